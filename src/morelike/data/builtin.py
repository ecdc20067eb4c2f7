"""The built-in world as a source: menagerie[:count[:size[:colour]]]."""

from __future__ import annotations

from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import OptionError
from morelike.data.listing import Lazy, Source, fingerprint

COUNT, SIZE = 12_000, 28
_CHUNK = 256  # pictures drawn at once
_KEPT = 256 << 20  # bytes of pictures kept, since a codec looks at them before they are prepared
_COLOURS = {"grey": False, "colour": True, "color": True}


def open_menagerie(source: str) -> Source:
    """Pictures of cats, dogs and rabbits, with their species as label and an English caption; drawn when asked for."""
    from morelike.data import menagerie

    count, size, colour = _parse(source)
    truth = menagerie.factors(count)
    species, captions = truth.species.tolist(), menagerie.captions(truth, "en")
    lock = Lock()  # or two threads would draw the same chunk

    @lru_cache(maxsize=max(2, _KEPT // (_CHUNK * size * size * (3 if colour else 1))))
    def draw(chunk: int) -> np.ndarray:
        begin = chunk * _CHUNK
        return menagerie.pictures(min(_CHUNK, count - begin), size, colour, start=begin)[0]

    def load(index: int) -> np.ndarray:
        with lock:
            return draw(index // _CHUNK)[index % _CHUNK]

    def make(index: int) -> Item:
        fields = {"label": menagerie.SPECIES[species[index]], "caption": captions[index]}
        return Item(f"menagerie[{index}]", partial(load, index), fields)

    code = blake2b(digest_size=8)
    for file in sorted(Path(menagerie.__file__).parent.glob("*.py")):  # other code draws other pictures
        code.update(file.read_bytes())
    return Source(source, Lazy(count, make), fingerprint("menagerie", (count, size, colour, code.digest())))


def _parse(source: str) -> tuple[int, int, bool]:
    words = dict(zip(("count", "size", "colour"), source.split(":")[1:], strict=False))
    try:
        count, size = int(words.get("count", COUNT)), int(words.get("size", SIZE))
        colour = _COLOURS[words.get("colour", "grey")]
        sound = count >= 2 and 8 <= size <= 128 and source.count(":") <= 3
    except (ValueError, KeyError):
        sound = False
    if not sound:
        expected = "menagerie[:COUNT[:SIZE[:colour]]] with at least 2 pictures of 8 to 128 pixels"
        raise OptionError(f'The source is "{source}"', expected, "For example menagerie:12000:64:colour")
    return count, size, colour
