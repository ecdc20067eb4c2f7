"""The first step, collect and prepare: a source becomes items in a cache, split and numbered."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from morelike.conditions import Given, conditions, named
from morelike.core.codec import TOGETHER
from morelike.core.errors import OptionError
from morelike.data.augment import Augment
from morelike.data.cache import Dataset, build
from morelike.data.listing import Source
from morelike.data.ragged import Ragged
from morelike.data.split import split
from morelike.measure.audit.amount import parted
from morelike.recipes import Request, configure, labels_among, module
from morelike.train.loop import Progress

Groups = Sequence[Sequence[int]]
DIALOGUE, TURN = "dialogue", {"before", "speaker", "dialogue"}  # fields of a row that is a turn of a dialogue


@dataclass
class Prepared:
    """A source made ready: codecs of items and conditions, items, their conditions, and which of them to train on."""

    codec: Any
    conditions: Mapping[str, Any]
    data: Dataset
    given: Given
    kept: np.ndarray
    held: np.ndarray

    @property
    def labels(self) -> Mapping[str, Any]:
        """The codecs of those conditions that are labels."""
        return labels_among(self.conditions)


def new_codec(request: Request, name: str, settings: Mapping[str, Any]) -> Any:
    """The codec of this name as asked for, not yet fitted to the data."""
    chosen = module("codec", name)
    if name != "image":
        words = {"--colour": request.colour, "--augment": request.augment.replace("none", "auto")}
        for option, value in (("--image", request.image), *words.items()):
            if value and value != "auto":
                raise OptionError(f"{option} is {value}", f"Pictures; these items are {name}", f"Leave out {option}")
        return chosen.Codec(configure(chosen.Config, settings))
    values: dict[str, Any] = {"colour": request.colour, **settings}
    if request.image:
        sides = request.image.lower().split("x")
        if not (all(side.isdigit() for side in sides) and len(sides) in (1, 2)):
            raise OptionError(
                f'The picture size is "{request.image}"', "Pixels, such as 28 or 64x48", "Correct --image"
            )
        values["size"] = (int(sides[-1]), int(sides[0]))  # height and width
    return chosen.Codec(configure(chosen.Config, values))


def prepare(source: Source, codec: Any, clock: Callable[[], float], ready: list[Dataset]) -> Iterator[Progress]:
    """Build the cache in a thread of its own, so that its progress can be told; the result goes into `ready`."""
    told: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    fault: list[BaseException] = []
    abandoned = threading.Event()

    def tell(done: int, total: int) -> None:
        if abandoned.is_set():
            raise InterruptedError("nobody is waiting for these items any more")
        told.put((done, total))

    def work() -> None:
        try:
            ready.append(build(source, codec, progress=tell))
        except BaseException as error:  # raised again below, in the thread that can tell the user
            fault.append(error)

    thread = threading.Thread(target=work, name="prepare")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
            if latest := _newest(told):
                done, total = latest
                yield Progress("prepare", done, total, done / max(1, total), clock())
    finally:
        abandoned.set()
    if fault:
        raise fault[0]


def _newest(told: queue.SimpleQueue[tuple[int, int]]) -> tuple[int, int] | None:
    latest = None
    with contextlib.suppress(queue.Empty):
        while True:
            latest = told.get_nowait()
    return latest


def arrange(
    data: Dataset, codec: Any, given: str, held_out: float, known: Mapping[str, Any] | None = None,
    together: Groups = (),
) -> Prepared:  # fmt: skip
    """Split by content, and number what the model is conditioned on.

    known     codecs of the conditions; None to make them from the fields named in `given`
    together  groups of rows that stay on one side of the split
    """
    if known is None:
        known = conditions(data.fields, given, codec)
    texts = [data.fields[name] for name, one in known.items() if one.natural == "text" and name in data.fields]
    owner = DIALOGUE if data.fields.keys() >= TURN else TOGETHER
    apart = [*together, *alike(texts), *alike([data.fields[owner]] if owner in data.fields else [])]
    kept, held = sides(codec, data, held_out, apart)
    if not len(kept):
        kept, held = np.arange(len(data)), np.arange(0)
    return Prepared(codec, known, data, named(known, data.fields, len(data)), kept, held)


def sides(codec: Any, data: Dataset, held_out: float, together: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out: by content, or as a codec does whose items overlap."""
    if hasattr(codec, "split"):
        return codec.split(data.fields, held_out)
    return split(tied(data.hashes, together), held_out)


def alike(columns: Sequence[Sequence[str]]) -> list[list[int]]:
    """Groups of rows that have the same value in one of some columns: what belongs to one source, or one dialogue."""
    found = []
    for column in columns:
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(column):
            rows.setdefault(value, []).append(row)
        found += [group for value, group in rows.items() if value and len(group) > 1]
    return found


def again(recipe: Mapping[str, Any], data: Dataset, codec: Any, known: Mapping[str, Any]) -> Prepared:
    """Items split and numbered as they were when a run began."""
    together = recipe["data"].get("together", ())
    return arrange(data, codec, recipe["given"] or "none", recipe["held_out"], known, together)


def tied(hashes: np.ndarray, together: Groups) -> np.ndarray:
    """The same hashes (N,), those of a group all being that of its first row, so that a split does not divide it.

    Groups that share a row are one group. Not the smallest hash: groups would be held out more often than single items.
    """
    first = np.arange(len(hashes))

    def root(row: int) -> int:
        while first[row] != row:
            first[row] = row = first[first[row]]
        return row

    for group in together:
        for row in group[1:]:
            a, b = sorted((root(group[0]), root(row)))
            first[b] = a
    return hashes[[root(row) for row in range(len(hashes))]] if len(together) else hashes.copy()


def augmentation(words: str) -> Augment:
    """What to do to training pictures; nothing unless asked, since a model learns to make what it is shown."""
    return Augment() if words in ("auto", "none") else Augment.parse(words)


def speakers(fields: Mapping[str, Sequence[str]]) -> list[str]:
    """The two who speak most, where items are turns of dialogues."""
    return [name for name, _ in Counter(fields["speaker"]).most_common(2)] if fields.keys() >= TURN else []


def counted(prepared: Prepared) -> str:
    """What was found, in one line."""
    data, (kept, held) = prepared.data, (len(prepared.kept), len(prepared.held))
    shape = f" of shape {prepared.codec.shape}" if not isinstance(data.x, Ragged) else ""
    said = f"{len(data):,} items{shape}: {kept:,} to train on, {held:,} held out"
    said += "".join(f"; {name}: {one.said or one.natural}" for name, one in prepared.conditions.items())
    said += f". {prepared.codec.said.rstrip('.')}" if prepared.codec.said else ""
    for word, problems in zip(("Skipped", "Mended"), parted(data.problems), strict=True):
        if listed := [f"{name} ({why})" for name, why in problems]:
            said += f". {word} {len(listed):,}: {'; '.join(listed[:3])}{' …' if len(listed) > 3 else ''}"
    return said + "".join(f". Warning: {warning}" for warning in data.warnings)


def digest(prepared: Prepared) -> str:
    """A checksum of items and conditions: a run may only be resumed on the same ones."""
    total = blake2b(prepared.data.hashes.tobytes(), digest_size=16)
    for name, numbers in sorted(prepared.given.items()):
        parts = (numbers.values, numbers.offsets) if isinstance(numbers, Ragged) else (numbers,)
        total.update(name.encode() + b"".join(part.tobytes() for part in parts))
    return total.hexdigest()
