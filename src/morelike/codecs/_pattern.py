"""Which tokens may follow, so that a text can still come to match a regular expression."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from morelike.core.errors import OptionError, missing_extra

_KEPT = 4096  # texts whose next tokens are remembered
_TRIED = 64  # characters, besides those in the pattern, that are tried to complete one that is begun
_CODE = re.compile(r"\\u\{?([0-9a-fA-F]{4,6})\}?|\\U([0-9a-fA-F]{8})|\\x\{?([0-9a-fA-F]{2,6})\}?")


class Pattern:
    """Tokens so far (B, t) -> which may follow, bool (B, tokens): the `allowed` of a `Manner`.

    regex   what the text has to match as a whole, in the syntax of the library `regex`
    pieces  UTF-8 of each token; pieces[0] is empty and ends the text
    begin   tokens at the head of each row that are given, such as the leading 0 and a prompt

    The end may follow where the text matches, and where nothing else can. Raises `OptionError` for a wrong expression.
    """

    def __init__(self, regex: str, pieces: Sequence[bytes], begin: int = 1) -> None:
        self.fits, self.pieces, self.begin = _compiled(regex).fullmatch, list(pieces), begin
        self.known: OrderedDict[bytes, Tensor] = OrderedDict()
        self.named = _characters(regex)
        whole = [(token, text) for token, piece in enumerate(pieces) if piece and (text := _whole(piece)) is not None]
        self.branches = _tree(whole)
        broken = set(range(1, len(self.pieces))) - {token for token, _ in whole}
        self.broken = [(token, self.pieces[token]) for token in sorted(broken)]

    def __call__(self, tokens: Tensor) -> Tensor:
        rows = tokens[:, self.begin :].tolist()
        return torch.stack([self.after(b"".join([self.pieces[one] for one in row])) for row in rows]).to(tokens.device)

    def after(self, text: bytes) -> Tensor:
        """Which tokens may follow this text: bool (tokens,)."""
        if text in self.known:
            self.known.move_to_end(text)
            return self.known[text]
        allowed = torch.zeros(len(self.pieces), dtype=torch.bool)
        whole = _whole(text)
        if whole is not None:
            allowed[list(self._whole_pieces(whole))] = True
        seen: dict[bytes, bool] = {}  # by what a piece leaves behind: many begin the same character
        for token, piece in self.broken if whole is not None else enumerate(self.pieces):
            if piece and (whole is None or piece[0] >= 0xC2 or piece[0] < 0x80):
                both = text + piece
                if both not in seen:
                    seen[both] = self.possible(both)
                allowed[token] = seen[both]
        allowed[0] = bool(whole is not None and self.fits(whole)) or not allowed[1:].any()
        self.known[text] = allowed
        if len(self.known) > _KEPT:
            self.known.popitem(last=False)
        return allowed

    def _whole_pieces(self, text: str) -> Iterable[int]:
        """The tokens of whole characters that may follow; a piece is tried only where its beginning is possible."""
        stack = [(text, self.branches)]
        while stack:
            before, branches = stack.pop()
            for said, tokens, further in branches:
                if self.fits(before + said, partial=True):
                    yield from tokens
                    if further:
                        stack.append((before + said, further))

    def possible(self, text: bytes) -> bool:
        """Whether a text, the last character of which may be begun only, is the beginning of one that matches."""
        whole, rest = _divided(text)
        if whole is None:
            return False
        if not rest:
            return self.fits(whole, partial=True) is not None
        return any(self.fits(whole + char, partial=True) for char in self._completions(rest))

    def _completions(self, rest: bytes) -> Iterable[str]:
        """The characters of the pattern that begin with these bytes, and some others, evenly chosen."""
        yield from (char for char in self.named if char.encode("utf-8", "replace").startswith(rest))
        found = _range(rest) or range(0)
        for point in found[:: max(1, len(found) // _TRIED)]:
            if not 0xD800 <= point < 0xE000:
                yield chr(point)


Branch = tuple[str, list[int], list]


def _compiled(regex: str) -> Any:
    try:
        import regex as library  # type: ignore[import-untyped]
    except ImportError:
        raise missing_extra("regex", "text", "Text that matches a pattern") from None
    try:
        return library.compile(regex)
    except library.error as error:
        found = f'The pattern "{regex}" is no regular expression: {error}'
        raise OptionError(found, "A pattern such as [a-z]+ or (yes|no)", "Mend it, or leave it out") from None


def _characters(regex: str) -> list[str]:
    """The characters beyond ASCII that an expression names, as they are or by their numbers."""
    numbers = (int("".join(found.groups("")), 16) for found in _CODE.finditer(regex))
    points = {*map(ord, regex), *(number for number in numbers if number < 0x110000)}
    return [chr(point) for point in sorted(points) if point >= 0x80 and not 0xD800 <= point < 0xE000]


def _tree(pieces: Sequence[tuple[int, str]]) -> list[Branch]:
    """The pieces by their first characters: what is said, the tokens that say it, and how each may go on."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for token, text in pieces:
        groups.setdefault(text[0], []).append((token, text[1:]))
    branches = list[Branch]()
    for char, rest in groups.items():
        here, further = [token for token, left in rest if not left], [(token, left) for token, left in rest if left]
        if not here and len(further) == 1:  # a long piece of its own is tried at once
            branches.append((char + further[0][1], [further[0][0]], []))
        else:
            branches.append((char, here, _tree(further)))
    return branches


def _whole(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def _divided(text: bytes) -> tuple[str | None, bytes]:
    """The whole characters, and the bytes of one that is begun; None where this can be no UTF-8."""
    for cut in range(4):
        whole, rest = _whole(text[: len(text) - cut]), text[len(text) - cut :]
        if whole is not None:
            return (whole, rest) if not rest or _range(rest) else (None, b"")
    return None, b""


def _range(rest: bytes) -> range | None:
    """The characters that begin with these bytes."""
    lead = rest[0]
    if not 0xC2 <= lead <= 0xF4:
        return None
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if len(rest) >= length or not all(0x80 <= byte < 0xC0 for byte in rest[1:]):
        return None
    value = lead & (0xFF >> (length + 1))
    for byte in rest[1:]:
        value = value << 6 | byte & 0x3F
    open_bits = 6 * (length - len(rest))
    least = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    found = range(max(least, value << open_bits), min(0x110000, (value + 1) << open_bits))
    return found if found else None
