"""Which tokens may follow so that the bytes of a text stay UTF-8, where some tokens are only parts of characters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# What is open after some bytes: nothing, 1 to 3 more of any kind, or the second byte of a character that begins with
# E0, ED, F0 or F4, of which only some are lawful (Unicode 15, table 3-7).
CLOSED, ONE, TWO, THREE, E0, ED, F0, F4 = range(8)
LEADS = ((0x00, 0x7F, CLOSED), (0xC2, 0xDF, ONE), (0xE0, 0xE0, E0), (0xE1, 0xEC, TWO), (0xED, 0xED, ED),
         (0xEE, 0xEF, TWO), (0xF0, 0xF0, F0), (0xF1, 0xF3, THREE), (0xF4, 0xF4, F4))  # fmt: skip
SECONDS = {ONE: (0x80, 0xBF, CLOSED), TWO: (0x80, 0xBF, ONE), THREE: (0x80, 0xBF, TWO), E0: (0xA0, 0xBF, ONE),
           ED: (0x80, 0x9F, ONE), F0: (0x90, 0xBF, TWO), F4: (0x80, 0x8F, TWO)}  # fmt: skip
NEVER, MOST = -1, 3  # no state; tokens that a character can have been open for


class Whole:
    """For `Spec.allowed`: no token by which a character would be broken; the end, token 0, only between characters."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        following = torch.full((len(SECONDS) + 1, len(pieces)), NEVER, dtype=torch.int64)
        for token, piece in enumerate(pieces):
            if is_whole(piece):
                following[CLOSED, token] = CLOSED
            else:
                following[:, token] = torch.tensor([after(state, piece) for state in range(len(following))])
        self.following, self.lawful = following, following != NEVER

    def __call__(self, tokens: Tensor) -> Tensor:
        """(B, t) tokens so far -> (B, tokens), which may follow. What was broken before, in a prompt, is forgiven."""
        if self.following.device != tokens.device:
            self.following, self.lawful = self.following.to(tokens.device), self.lawful.to(tokens.device)
        state = tokens.new_zeros(len(tokens))
        for token in tokens[:, -MOST:].unbind(1):
            state = self.following[state, token].clamp_min(CLOSED)
        return self.lawful[state]


def whole(pieces: Sequence[bytes]) -> Whole | None:
    """What keeps characters whole; None where each token is."""
    return None if all(map(is_whole, pieces)) else Whole(pieces)


def is_whole(piece: bytes) -> bool:
    """Whether some bytes are whole characters, or none."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def after(state: int, piece: bytes) -> int:
    """What is open after some more bytes, `NEVER` where they break a character."""
    for byte in piece:
        ways = LEADS if state == CLOSED else (SECONDS[state],)
        state = next((then for low, high, then in ways if low <= byte <= high), NEVER)
        if state == NEVER:
            break
    return state
