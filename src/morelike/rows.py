"""What a trained run does with rows of a table: draws them with some columns given, fills in, predicts, judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import OptionError, unknown
from morelike.core.family import HasLogProb
from morelike.core.spec import Batch
from morelike.data.frame import Frame
from morelike.data.sources import open_source
from morelike.run import TRIES, Run, other, until_kept
from morelike.samplers.mcmc.compose import HasInfill

TOGETHER = 1024  # rows that are made at once: always this many, so that a row does not depend on how many are asked for
VALUES = 200  # values of a column up to which each one's probability is computed
DRAWS = 40  # of a column with more values, of which mean and interval are taken
Value = str | Sequence[str]


def drawn(run: Run, seeds: Sequence[int], given: Mapping[str, Value]) -> np.ndarray:
    """Rows (n, C) as the table has them, one for each seed.

    given  cells by column, one for all rows or a list, such as {"income": ">50K"}: the others are drawn given these
    """
    conditions = run.conditions(seeds, {name: value for name, value in given.items() if name in run.fields})
    cells = _known(run, {name: value for name, value in given.items() if name not in run.fields}, len(seeds))

    def make(seeds: Sequence[int], rows: np.ndarray) -> np.ndarray:
        return _decoded(run, cells[rows], seeds, {name: value[rows] for name, value in conditions.items()})

    return until_kept(run.codec, seeds, make)


def filled(run: Run, source: str | Path, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a table (N, C) with what is missing drawn given the rest, and which cells were filled, bool (N, C)."""
    rows, cells = read(run, source)
    holes = rows == None  # noqa: E711  (element by element)
    where = np.flatnonzero((cells < 0).any(1).numpy())
    for attempt in range(TRIES):
        if not len(where):
            break
        seeds = [other(seed + i, attempt) for i in where.tolist()]
        made = _decoded(run, cells[where], seeds, _turns(run, seeds))
        rows[where] = np.where(holes[where] & (rows[where] == None), made, rows[where])  # noqa: E711
        where = where[(rows[where][:, list(run.codec.places)] == None).any(1)]  # noqa: E711
    return rows, holes & (rows != None)  # noqa: E711


@torch.no_grad()
def scored(run: Run, source: str | Path) -> np.ndarray:
    """log p of each row of a table in nats, (N,), summed over what is missing: the lower, the odder the row."""
    if not isinstance(run.family, HasLogProb):
        raise OptionError(
            f'The family "{run.recipe["family"]}" gives no probabilities', "circuit, anyorder, mixture or vae",
            "Train with --family circuit",
        )  # fmt: skip
    _, cells = read(run, source)
    return np.concatenate([_log_prob(run, part) for part in cells.split(TOGETHER)])


def predicted(run: Run, source: str | Path, column: str, seed: int = 0) -> dict[str, np.ndarray]:
    """A column of a table given the others: arrays (N,) by name.

    Of few values: "value", the likeliest one, and "probability", its own. Of many: "value", the mean of what is drawn,
    and "low" and "high", between which nine of ten draws lie. The column itself may be there; it is not looked at.
    """
    codec = run.codec
    if column not in codec.columns:
        raise unknown("column", column, codec.columns)
    number = codec.columns.index(column)
    if number not in codec.places:
        raise OptionError(f'"{column}" is not learnt', "A column that is", "Choose another one")
    place = codec.places[number]
    _, cells = read(run, source)
    cells[:, place] = -1
    size = codec.sizes[place.start]
    if place.stop - place.start == 1 and size <= VALUES and isinstance(run.family, HasLogProb):
        return _likeliest(run, cells, number)
    parts = [_decoded(run, cells, [other(seed + i, k) for i in range(len(cells))], _turns(run, range(len(cells))))
             for k in range(DRAWS)]  # fmt: skip
    values = np.stack([part[:, number] for part in parts]).astype(float)  # (DRAWS, N)
    low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
    return {"value": np.nanmean(values, 0), "low": low, "high": high}


def read(run: Run, source: str | Path) -> tuple[np.ndarray, Tensor]:
    """The rows of a table as they are there, (N, C), and their cells, int64 (N, T), -1 where a value is missing.

    Columns that the table lacks are missing in all rows.
    """
    if run.codec.natural != "table":
        raise OptionError(f"This run makes items that are {run.codec.natural}", "A run of a table", "Name another run")
    items = Frame(run.codec.completed(open_source(source, run.reading).items), str(source))
    rows = run.codec.natural_rows(items, np.arange(len(items)))
    cells = torch.from_numpy(np.concatenate(list(run.codec.prepare_all(items))).astype(np.int64))
    for number, place in run.codec.places.items():
        missing = torch.from_numpy(rows[:, number] == None)  # noqa: E711
        cells[:, place] = torch.where(missing[:, None], -1, cells[:, place])
    return rows, cells


def _known(run: Run, given: Mapping[str, Value], n: int) -> Tensor:
    """The cells of n rows of which some columns are known, int64 (n, T)."""
    if not given:
        return torch.full((n, *run.codec.shape), -1, dtype=torch.int64)
    lists = {name: [value] if isinstance(value, str) else list(value) for name, value in given.items()}
    rows = [tuple(values[i % len(values)] for values in lists.values()) for i in range(n)]
    codes = {one: run.codec.known(dict(zip(lists, one, strict=True))) for one in set(rows)}
    return torch.stack([codes[one] for one in rows])


def _turns(run: Run, seeds: Sequence[int]) -> dict[str, Tensor]:
    """Conditions that nobody gave."""
    return run.conditions(seeds, {})


def _decoded(run: Run, cells: Tensor, seeds: Sequence[int], conditions: Mapping[str, Tensor]) -> np.ndarray:
    """Rows (n, C) drawn given the cells that are known."""
    free = bool((cells < 0).all())
    if not free and not isinstance(run.family, HasInfill):
        raise OptionError(
            f'The family "{run.recipe["family"]}" cannot hold some columns and draw the others',
            "circuit, anyorder or mixture", "Train with --family circuit",
        )  # fmt: skip
    made = []
    for part in _chunks(len(seeds)):
        own, some = [seeds[i] for i in part.tolist()], {name: value[part] for name, value in conditions.items()}
        with torch.no_grad():
            x = run.family.sample(own, some) if free else _infill(run)(cells[part], cells[part] >= 0, own, some)
        made.append(run.codec.decode(x))
    return np.concatenate(made)[: len(seeds)] if made else np.empty((0, len(run.codec.columns)), object)


def _infill(run: Run) -> Callable[..., Tensor]:
    return cast(HasInfill, run.family).infill


def _chunks(n: int) -> Iterator[Tensor]:
    """Numbers of n rows, so many at a time, the last ones filled up with the last row."""
    for begin in range(0, n, TOGETHER):
        yield torch.arange(begin, begin + TOGETHER).clamp_max(n - 1)


def _log_prob(run: Run, cells: Tensor) -> np.ndarray:
    given = _turns(run, range(len(cells)))
    with torch.no_grad():
        return cast(HasLogProb, run.family).log_prob(Batch(cells, given)).double().numpy()


def _likeliest(run: Run, cells: Tensor, number: int) -> dict[str, np.ndarray]:
    """By Bayes' rule over all values of a column of one cell; a missing one is none of them."""
    codec, place = run.codec, run.codec.places[number].start
    column = codec.found[number]
    first, size = int(column.holes), codec.sizes[place]
    found = []
    for part in cells.split(TOGETHER):
        logs = []
        for code in range(first, size):
            part = part.clone()
            part[:, place] = code
            logs.append(_log_prob(run, part))
        found.append(np.stack(logs, 1))
    log_p = np.concatenate(found)
    p = np.exp(log_p - np.logaddexp.reduce(log_p, 1, keepdims=True))
    best = p.argmax(1)
    told = column.decode((best + first)[:, None], np.full(len(best), 0.5))
    return {"value": told, "probability": p[np.arange(len(p)), best]}
