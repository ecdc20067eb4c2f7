"""The built-in world as a source: menagerie[:count[:size[:colour]]]."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import OptionError
from morelike.data.listing import Source, fingerprint

COUNT, SIZE = 12_000, 28
_CHUNK = 256  # pictures drawn at once
_KEPT = 256 << 20  # bytes of pictures kept, since a codec looks at them before they are prepared


class Drawn(Sequence[Item]):
    """Items that are drawn, a chunk at a time, when their pictures are asked for."""

    def __init__(self, count: int, size: int, colour: bool) -> None:
        from morelike.data import menagerie

        self.count, self.size, self.colour = count, size, colour
        truth = menagerie.factors(count)
        self.labels = [menagerie.SPECIES[int(one)] for one in truth.species]
        self.captions = menagerie.captions(truth, "en")
        self._lock = Lock()  # or two threads would draw the same chunk
        self._chunk = lru_cache(maxsize=max(2, _KEPT // (_CHUNK * size * size * (3 if colour else 1))))(self._draw)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -self.count <= index < self.count:
            raise IndexError(index)
        index %= self.count
        fields = {"label": self.labels[index], "caption": self.captions[index]}
        return Item(f"menagerie[{index}]", partial(self._picture, index), fields)

    def _draw(self, chunk: int) -> np.ndarray:
        from morelike.data import menagerie

        begin = chunk * _CHUNK
        return menagerie.pictures(min(_CHUNK, self.count - begin), self.size, self.colour, start=begin)[0]

    def _picture(self, index: int) -> np.ndarray:
        with self._lock:
            return self._chunk(index // _CHUNK)[index % _CHUNK]


def open_menagerie(source: str) -> Source:
    """Pictures of cats, dogs and rabbits, their species as label and an English caption."""
    from morelike.data import menagerie

    count, size, colour = _parse(source)
    code = blake2b(digest_size=8)
    for file in sorted(Path(menagerie.__file__).parent.glob("*.py")):  # other code draws other pictures
        code.update(file.read_bytes())
    return Source(source, Drawn(count, size, colour), fingerprint("menagerie", (count, size, colour, code.digest())))


def _parse(source: str) -> tuple[int, int, bool]:
    words = source.split(":")[1:]
    sound = (
        len(words) <= 3
        and all(one.isdecimal() for one in words[:2])
        and words[2:] in ([], ["colour"], ["color"], ["grey"])
    )
    count, size = (*map(int, words[:2]), *(COUNT, SIZE)[len(words[:2]) :]) if sound else (0, 0)
    if not sound or count < 2 or not 8 <= size <= 128:
        raise OptionError(
            f'The source is "{source}"',
            "menagerie, menagerie:COUNT, menagerie:COUNT:SIZE or menagerie:COUNT:SIZE:colour, "
            "with at least 2 pictures of 8 to 128 pixels",
            'For example "menagerie:12000:64:colour"',
        )
    return count, size, words[2:] in (["colour"], ["color"])
