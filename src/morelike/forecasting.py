"""How series of a table go on: many continuations are drawn, of which median and interval are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from morelike.core.errors import DataError, OptionError
from morelike.core.tokens import Manner, Writes
from morelike.data.sources import open_source

if TYPE_CHECKING:
    from morelike.run import Run

PATHS, LEVEL = 200, 0.9  # continuations of each series; share of them between low and high
TOGETHER = 2_000  # continuations that are drawn at once
FEWEST, NEW = 2, 4  # rows of a history; windows keep all but a quarter of their steps when they move on
APART = 1_000_003  # between the seeds of two stretches of one continuation


@dataclass(frozen=True)
class Forecast:
    """How some series go on.

    names   of the series, None where there is just one
    times   (E, steps), median
    paths   (E, P, steps, C) objects in all columns of the table
    codec   of the run
    skipped (name, reason) of series that are too short
    """

    names: Sequence[Any]
    times: np.ndarray
    paths: np.ndarray
    codec: Any
    skipped: Sequence[tuple[str, str]] = ()

    def quantile(self, q: float | Sequence[float]) -> np.ndarray:
        """Quantiles of the numbers over the continuations: (E, steps, C), in the columns of `codec.columns`."""
        shape = self.paths.shape
        numbers = self.codec.numeric(self.paths.reshape(-1, shape[-1]))
        with np.errstate(all="ignore"):
            return np.nanquantile(numbers.reshape(*shape[:3], -1), q, axis=1)

    def write(self, target: str | Path, level: float = LEVEL) -> Path:
        """A row for each series and step: median, and the ends of the interval that holds `level` of all."""
        return self.codec.write_forecast(self, Path(target), level)

    def write_paths(self, target: str | Path) -> Path:
        """All continuations, one after another, each with its number."""
        return self.codec.write_paths(self, Path(target))


def forecast(run: Run, source: str | Path, steps: int, *, paths: int = PATHS, seed: int = 0) -> Forecast:
    """Draw how the series of a table go on after their last row.

    source  a table with the same columns
    steps   rows that are drawn, and `paths`, how often

    Raises `OptionError` for a run of another kind, and `DataError` for a history that lacks columns or rows.
    """
    codec, family = run.codec, run.family
    if codec.natural != "series" or not isinstance(family, Writes):
        found = f"This run makes items that are {codec.natural}, with {run.recipe['family']}"
        expected = "A run of a series, by a family that writes step by step"
        raise OptionError(found, expected, "Train one: --codec series")
    for name, value, most in (("--steps", steps, 100_000), ("--draws", paths, 10_000)):
        if not 1 <= value <= most:
            raise OptionError(f"{name} is {value}", f"A whole number from 1 to {most:,}", f"Correct {name}")
    histories, skipped = codec.histories(open_source(source, run.reading).items, FEWEST)
    if not histories:
        why = f": {skipped[0][0]} {skipped[0][1]}" if skipped else ""
        raise DataError(f"{source} holds no history that is long enough{why}", f"At least {FEWEST} rows",
                        "Name a longer one")  # fmt: skip
    drawn = list[tuple[np.ndarray, np.ndarray]]()
    for some in _together(histories, codec.config.steps, paths):
        drawn += _continued(run, [histories[at] for at in some], steps, [_seeds(seed, at, paths) for at in some])
    return Forecast([one.name for one in histories], np.stack([np.median(times, 0) for times, _ in drawn]),
                    np.stack([rows for _, rows in drawn]), codec, skipped)  # fmt: skip


def _seeds(seed: int, series: int, paths: int) -> list[int]:
    return [(seed + path + (series << 32)) % 2**62 for path in range(paths)]


def _together(histories: Sequence[Any], length: int, paths: int) -> Iterator[list[int]]:
    """Numbers of histories next to each other whose continuations are drawn at once: as much is known of each."""
    known = [min(one.end - one.begin, _most(length)) for one in histories]
    some = list[int]()
    for at, one in enumerate(known):
        if some and (one != known[some[0]] or (len(some) + 1) * paths > TOGETHER):
            yield some
            some = []
        some.append(at)
    yield some


def _most(length: int) -> int:
    """Steps of a window that may be known when it is gone on with."""
    return length - max(1, length // NEW)


def _continued(
    run: Run, histories: Sequence[Any], steps: int, seeds: Sequence[Sequence[int]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times (P, steps) and rows (P, steps, C) of the continuations of each of some series."""
    parts, paths = list[tuple[np.ndarray, np.ndarray]](), len(seeds[0])
    for at in range(0, paths, TOGETHER):  # of one series there may be more than are drawn at once
        parts.append(_part(run, histories, steps, [one[at : at + TOGETHER] for one in seeds]))
    times, rows = (np.concatenate(one, 1) for one in zip(*parts, strict=True))
    return list(zip(times, rows, strict=True))


def _part(
    run: Run, histories: Sequence[Any], steps: int, seeds: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    codec, length, every = run.codec, run.codec.config.steps, [seed for one in seeds for seed in one]
    begun = [codec.opened(one, _most(length), len(own)) for one, own in zip(histories, seeds, strict=True)]
    cells, state = np.concatenate([one for one, _ in begun]), codec.joined_states([one for _, one in begun])
    whole, done = codec.blank(len(every), steps), 0
    while done < steps:
        if state.known == length:
            cells, state = codec.slid(cells, state, length - _most(length))
        begin, end = state.known, min(length, state.known + steps - done)
        written = list(_written(run, cells, (begin, end), [one + APART * done for one in every]))
        at = codec.layout.ends
        cells[:, at[begin] : at[end]] = torch.stack(written, 1).cpu().numpy()
        state = codec.drawn(cells, state, end)
        whole.take(state, (begin, end), done)
        done += end - begin
    shape = (len(histories), -1, steps)
    rows = codec.rows_of(whole).reshape(*shape, len(codec.found))
    for at, one in enumerate(histories):
        codec.settled(one, rows[at])
    return whole.times.reshape(shape), rows


def _written(run: Run, cells: np.ndarray, steps: tuple[int, int], seeds: Sequence[int]) -> Iterator[torch.Tensor]:
    """The cells of some steps after those before, (B,) each; none is the end."""
    layout, (begin, end) = run.codec.layout, steps
    first, last = layout.ends[begin], layout.ends[end]
    over = {place for (_, track), where in layout.where.items() if track == -2 for place in where}

    def allowed(written: torch.Tensor) -> torch.Tensor:
        place = written.shape[1]
        found = torch.ones(1, layout.sizes[place], dtype=torch.bool)
        if place in over:
            found[0, 1] = False
        return found

    manner = Manner(length=last - first, allowed=allowed if over else None)
    prompt = torch.from_numpy(cells[:, :first].astype(np.int64))
    return cast(Writes, run.family).write(seeds, {}, prompt, manner)
