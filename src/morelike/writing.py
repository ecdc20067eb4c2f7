"""Texts from a run as a user asks for them: a beginning, a manner, where to stop, a pattern to keep to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.core.tokens import Manner, Writes

if TYPE_CHECKING:
    from morelike.run import Run

TOGETHER = 64  # texts that are written at once
LOOKS_BACK = 64  # tokens in which a stop is looked for


@dataclass(frozen=True)
class Wish:
    """How a text is to be written.

    prompt   what it begins with
    stop     it ends before the first of these
    pattern  a regular expression that what follows the prompt matches as a whole
    manner   temperature, length and so on
    """

    prompt: str = ""
    stop: tuple[str, ...] = ()
    pattern: str | None = None
    manner: Manner = field(default_factory=Manner)

    @property
    def whole(self) -> bool:
        """Whether texts go on to their own end."""
        return not self.stop and self.pattern is None and self.manner.length is None


def written(run: Run, seeds: Sequence[int], given: Mapping[str, Tensor], wish: Wish) -> np.ndarray:
    """One text for each seed, the prompt included: (n,) of str."""
    texts: list[str] = []
    for begin in range(0, len(seeds), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        *_, latest = stream(run, seeds[part], {name: value[part] for name, value in given.items()}, wish)
        texts += latest
    return np.array(texts, dtype=object)


def stream(run: Run, seeds: Sequence[int], given: Mapping[str, Tensor], wish: Wish) -> Iterator[list[str]]:
    """The texts as far as they are, after every token; raises `OptionError` for a family that does not write."""
    family, codec = run.family, run.codec
    if not isinstance(family, Writes):
        raise OptionError(
            f'The family "{run.recipe["family"]}" does not write token by token',
            "autoregressive or seq2seq, trained on texts", "Leave out what concerns writing",
        )  # fmt: skip
    prompt = torch.from_numpy(codec.tokens(wish.prompt)).long().expand(len(seeds), -1)
    manner = wish.manner
    if wish.pattern is not None:
        manner = replace(manner, allowed=codec.pattern(wish.pattern, prompt.shape[1]))
    tokens: list[Tensor] = []
    ends: list[int | None] = [None] * len(seeds)
    with torch.inference_mode():
        for token in cast(Writes, family).write(seeds, given, prompt, manner):
            tokens.append(token)
            rows = torch.cat([torch.zeros(len(seeds), 1, dtype=torch.long), prompt, torch.stack(tokens, 1)], 1)
            texts = codec.decode(rows).tolist()
            ends = [end if end is not None else stopped(text, len(wish.prompt), wish.stop)
                    for end, text in zip(ends, texts, strict=True)]  # fmt: skip
            yield [text if end is None else text[:end] for text, end in zip(texts, ends, strict=True)]
            if all(end is not None for end in ends):
                return


def stopped(text: str, begin: int, stop: Sequence[str]) -> int | None:
    """Where the first stop after the prompt is, if there is one."""
    places = [place for word in stop if (place := text.find(word, begin)) >= 0]
    return min(places, default=None)
