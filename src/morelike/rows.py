"""What a trained run does with rows of a table: draws them with some columns given, fills in, predicts, judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import OptionError, unknown
from morelike.core.family import HasLogProb
from morelike.core.spec import Batch
from morelike.data.frame import Frame, open_frame
from morelike.run import TRIES, Run, other
from morelike.samplers.mcmc.compose import HasInfill

TOGETHER = 1024  # rows that are made at once: always this many, so that a row does not depend on how many are asked for
PATIENCE, LOOK = 2_000, 20_000  # draws of a row until it keeps rules that were told; of all, until that is hopeless
FOUND = 64  # draws of a row until it keeps rules that were only found
SHOWN = 5  # rows that were left out and are named
VALUES = 200  # values of a column up to which each one's probability is computed
FIGURES = 12  # different numbers from which their mean says more than the likeliest of them
DRAWS = 40  # of a column with more values, of which mean and interval are taken
Value = Any  # a cell as text or as it is decoded, or a list of such


class Known(NamedTuple):
    """A table of which a run is told.

    rows   (N, C) as it is there, None where a cell is missing, and `cells`, int64 (N, T), -1 there
    table  the same as the codec reads it: what was never seen, what it calls its columns (`codecs._foreign.Foreign`)
    said   what was taken for what, and what was left out, a line each
    """

    rows: np.ndarray
    cells: Tensor
    table: Any
    said: tuple[str, ...]


Source = str | Path | Known


def drawn(run: Run, seeds: Sequence[int], given: Mapping[str, Value]) -> np.ndarray:
    """Rows (n, C) as the table has them, one for each seed.

    given  cells by column, one for all rows or a list, such as {"income": ">50K"}: the others are drawn given these
    """
    conditions = run.conditions(seeds, {name: value for name, value in given.items() if name in run.fields})
    cells, known = _known(run, {name: value for name, value in given.items() if name not in run.fields}, len(seeds))
    cells = _led_back(run, cells, known, seeds, conditions)
    rows, good = obeying(run, (cells, known), seeds, conditions, strict=True)
    broken = np.flatnonzero(~good & (~run.codec.kept(rows, only_told=True) | (known != None).any(1)))  # noqa: E711
    if len(broken):
        raise _impossible(run, rows[broken], known[broken], len(seeds))
    return rows


def _led_back(
    run: Run, cells: Tensor, known: np.ndarray, seeds: Sequence[int], conditions: Mapping[str, Tensor]
) -> Tensor:
    """Cells int64 (n, T), with those drawn that alone can lead to a value that is known and follows from them.

    p(source | what is known) over the codes that lead there: rejection would take long where these are rare.
    """
    if not isinstance(run.family, HasLogProb):
        return cells
    cells = cells.clone()
    for place, to, ways in run.codec.ways(known):
        for value, codes in ways.items():
            rows = torch.from_numpy(np.flatnonzero(known[:, to] == value))
            rows = rows[cells[rows, place] < 0]
            for part in rows.split(TOGETHER):
                each = cells[part].repeat_interleave(len(codes), 0)
                each[:, place] = torch.tensor(codes).repeat(len(part))
                given = {name: one[part].repeat_interleave(len(codes), 0) for name, one in conditions.items()}
                with torch.no_grad():
                    log_p = run.family.log_prob(Batch(each, given)).double().view(len(part), len(codes))
                u = [np.random.default_rng([seeds[row], place]).random() for row in part.tolist()]
                shares = log_p.softmax(1).cumsum(1)
                at = torch.searchsorted(shares, torch.tensor(u)[:, None]).clamp_max(len(codes) - 1)
                cells[part, place] = torch.tensor(codes)[at[:, 0]]
    return cells


def obeying(
    run: Run, known: tuple[Tensor, np.ndarray], seeds: Sequence[int], conditions: Mapping[str, Tensor], strict: bool,
    patience: int = PATIENCE,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Rows (n, C), drawn again until they keep the rules of the table and agree with what is known, and which do, (n,).

    known   cells int64 (n, T), -1 for unknown, and values (n, C), None for unknown
    strict  whether rules count all of whose columns are known

    A row is the first of its own draws that does, so that it does not depend on the others. It is given up after
    `patience` draws, or `FOUND` where only rules are broken that nobody told; all are, once one in `PATIENCE` of
    `LOOK` draws or fewer does.
    """

    def draw(at: np.ndarray, attempt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own = [other(seeds[i], one) for i, one in zip(at.tolist(), attempt.tolist(), strict=True)]
        made = _decoded(run, known[0][at], own, {name: value[at] for name, value in conditions.items()})
        return run.codec.joined_with(made, known[1][at], strict)

    rows, good = draw(np.arange(len(seeds)), np.zeros(len(seeds), np.int64))
    left, tried, hits, attempt = np.flatnonzero(~good), 0, 0, 1
    while len(left) and attempt < patience and not (tried >= LOOK and hits * PATIENCE < tried):
        each = min(max(1, TOGETHER // len(left)), patience - attempt)
        made, kept = draw(left.repeat(each), np.tile(np.arange(attempt, attempt + each), len(left)))
        kept, tried, attempt = kept.reshape(len(left), each), tried + len(made), attempt + each
        first, found = kept.argmax(1), kept.any(1)
        rows[left[found]] = made.reshape(len(left), each, -1)[found, first[found]]
        good[left[found]] = True
        left, hits = left[~found], hits + int(kept.sum())
        if attempt >= FOUND and not _asked(known[1]):
            left = left[~run.codec.kept(rows[left], only_told=True)]
    return rows, good


def _asked(known: np.ndarray) -> bool:
    return bool((known != None).any())  # noqa: E711


def _impossible(run: Run, rows: np.ndarray, known: np.ndarray, n: int) -> OptionError:
    """What is wrong where some rows cannot be drawn: the rules, and what was asked for."""
    names = [name for place, name in enumerate(run.codec.columns) if (known[:, place] != None).any()]  # noqa: E711
    wish = f" with {', '.join(names)} as given" if names else ""
    rules = "; ".join(run.codec.against(rows, known))[:400]
    found = f"{len(rows):,} of {n:,} rows{wish} break a rule, however often they are drawn"
    action = "Give other values, or train with other --set rules"
    return OptionError(found, f"Rows that keep the rules: {rules}", action)


def turns(run: Run, seeds: Sequence[int], column: str | None) -> dict[str, list[str]]:
    """The values of a column in turn, seed by seed, as what is given: {"fraud": ["no", "yes", "no", …]}."""
    if column is None:
        return {}
    values = run.fields[column].config.vocabulary if column in run.fields else run.codec.choices(column)
    return {column: [values[seed % len(values)] for seed in seeds]}


def filled(run: Run, source: Source, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a table (N, C) with what is missing drawn given the rest, and which cells were filled, bool (N, C)."""
    told = read(run, source)
    rows, cells = told.rows.copy(), told.cells
    holes = rows == None  # noqa: E711  (element by element)
    where = np.flatnonzero(holes[:, [place for place, one in enumerate(run.codec.found) if one.sizes]].any(1))
    for attempt in range(TRIES):
        if not len(where):
            break
        seeds = [other(seed + i, PATIENCE + attempt) for i in where.tolist()]
        made, _ = obeying(run, (cells[where], rows[where]), seeds, _turns(run, seeds), strict=False)
        made[:, [one.kind == "identifier" for one in run.codec.found]] = None
        rows[where] = np.where(holes[where] & (rows[where] == None), made, rows[where])  # noqa: E711
        where = where[(rows[where][:, list(run.codec.places)] == None).any(1)]  # noqa: E711
    rows = run.codec.unnamed(rows)
    return rows, holes & (rows != None)  # noqa: E711


@torch.no_grad()
def scored(run: Run, source: Source) -> np.ndarray:
    """log p of each row of a table in nats, (N,), summed over what is missing: the lower, the odder the row."""
    if not isinstance(run.family, HasLogProb):
        raise OptionError(
            f'The family "{run.recipe["family"]}" gives no probabilities', "circuit, anyorder, mixture or vae",
            "Train with --family circuit",
        )  # fmt: skip
    cells = read(run, source).cells
    return np.concatenate([_log_prob(run, part) for part in cells.split(TOGETHER)])


def predicted(
    run: Run, source: Source, column: str, seed: int = 0, tell: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, np.ndarray]:
    """A column of a table given the others: arrays (N,) by name.

    Of words and few numbers: "value", the likeliest one, and "probability", its own. Else: "value", the mean, of dates
    the median, and "low" and "high", between which nine tenths lie; by Bayes' rule over all values of one cell, or of
    what is drawn. The column itself may be there; it is not looked at.

    tell  called with how many of all draws are made, where they are drawn
    """
    codec = run.codec
    if column not in codec.columns:
        raise unknown("column", column, codec.columns)
    number = codec.columns.index(column)
    if not codec.found[number].sizes:
        found = f'"{column}" is not learnt ({codec.found[number].said})'
        raise OptionError(found, "A column that is", "Choose another one")
    rows, cells = _without(run, read(run, source), number)
    place = codec.places.get(number)
    few = place is not None and place.stop - place.start == 1 and codec.sizes[place.start] <= VALUES
    few = few and number not in codec.aparts
    if few and isinstance(run.family, HasLogProb):
        return _likeliest(run, cells, number)
    parts = []
    for k in range(DRAWS):
        made = _decoded(run, cells, [other(seed + i, k) for i in range(len(cells))], _turns(run, range(len(cells))))
        parts.append(codec.joined_with(made, rows, False)[0][:, number])
        tell(k + 1, DRAWS)
    return _summed(parts)


def _summed(draws: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What draws (N,) of a column say: mean and interval of numbers, median and interval of dates, else the most
    frequent value and its share."""
    every = np.stack(draws)  # (DRAWS, N)
    if all(one is None or isinstance(one, int | float) for one in every.ravel().tolist()):
        values = every.astype(float)
        low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
        return {"value": np.nanmean(values, 0), "low": low, "high": high}
    if all(one is None or isinstance(one, date | time) for one in every.ravel().tolist()):
        order = [sorted(one for one in column if one is not None) for column in every.T.tolist()]
        shares = {"value": 0.5, "low": 0.05, "high": 0.95}
        return {name: np.array([one[round(q * (len(one) - 1))] if one else None for one in order], object)
                for name, q in shares.items()}  # fmt: skip
    best = [Counter(one for one in column if one is not None).most_common(1) for column in every.T.tolist()]
    value = np.array([one[0][0] if one else None for one in best], object)
    return {"value": value, "probability": np.array([one[0][1] / len(every) if one else 0.0 for one in best])}


def read(run: Run, source: Source) -> Known:
    """The rows of a table as they are there, and their cells, -1 where a value is missing or was never seen."""
    if isinstance(source, Known):
        return source
    if run.codec.natural != "table":
        raise OptionError(f"This run makes items that are {run.codec.natural}", "A run of a table", "Name another run")
    there = open_frame(source, least=1)
    table = run.codec.foreign(there.items)
    items = Frame(table.table, str(source))
    rows = table.rows()
    cells = torch.from_numpy(np.concatenate(list(run.codec.prepare_all(items))).astype(np.int64))
    for number, place in run.codec.places.items():
        column, unknown = run.codec.found[number], _gone(run, rows, number)
        if column.kind in ("category", "boolean", "compound") and not column.rare and number in table.unseen:
            unknown = unknown | table.unseen[number]
        cells[:, place] = torch.where(torch.from_numpy(unknown)[:, None], -1, cells[:, place])
    said = (*(f"{where}: {why}: left out" for where, why in there.problems[:SHOWN]), *table.said)
    return Known(rows, run.codec.led_back(cells, rows), table, said)


def _gone(run: Run, rows: np.ndarray, number: int) -> np.ndarray:
    """In which rows (n, C) a column is missing, or what it is learnt as the difference from, bool (n,)."""
    needs = [number, *(one.of for one in [run.codec.aparts.get(number)] if one)]
    return np.asarray((rows[:, needs] == None).any(1))  # noqa: E711


def _without(run: Run, told: Known, number: int) -> tuple[np.ndarray, Tensor]:
    """Rows and cells of a table in which a column is taken for missing."""
    rows, cells = told.rows.copy(), told.cells.clone()
    rows[:, number] = None
    for place in [number, *(one.to for one in run.codec.config.apart if one.of == number)]:
        cells[:, run.codec.places.get(place, slice(0))] = -1
    return rows, run.codec.led_back(cells, rows)


def _known(run: Run, given: Mapping[str, Value], n: int) -> tuple[Tensor, np.ndarray]:
    """Of n rows of which some columns are known the cells, int64 (n, T), and the values as they are decoded, (n, C)."""
    values = np.full((n, len(run.codec.columns)), None, object)
    if not given:
        return torch.full((n, *run.codec.shape), -1, dtype=torch.int64), values
    lists = {name: list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
             for name, value in given.items()}  # fmt: skip
    rows = [tuple(values[i % len(values)] for values in lists.values()) for i in range(n)]
    codes = {one: run.codec.known(dict(zip(lists, one, strict=True))) for one in set(rows)}
    for at, name in enumerate(lists):
        native = {one[at]: run.codec.native(name, one[at]) for one in codes}
        values[:, native[rows[0][at]][0]] = [native[one[at]][1] for one in rows]
    return torch.stack([codes[one] for one in rows]), values


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
    for part in _chunks(len(seeds), TOGETHER if free else getattr(run.family, "together", TOGETHER)):
        own, some = [seeds[i] for i in part.tolist()], {name: value[part] for name, value in conditions.items()}
        with torch.no_grad():
            x = run.family.sample(own, some) if free else _infill(run)(cells[part], cells[part] >= 0, own, some)
        made.append(run.codec.decode(x))
    return np.concatenate(made)[: len(seeds)] if made else np.empty((0, len(run.codec.columns)), object)


def _infill(run: Run) -> Callable[..., Tensor]:
    return cast(HasInfill, run.family).infill


def _chunks(n: int, size: int = TOGETHER) -> Iterator[Tensor]:
    """Numbers of n rows, so many at a time, the last ones filled up with the last row."""
    for begin in range(0, n, size):
        yield torch.arange(begin, begin + size).clamp_max(n - 1)


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
    every = column.decode(np.arange(first, size)[:, None], np.full(size - first, 0.5))
    if len(every) > FIGURES and all(isinstance(one, int | float) for one in every):
        return _interval(every.astype(float), p)
    best = p.argmax(1)
    told = every[best]
    return {"value": told, "probability": p[np.arange(len(p)), best]}


def _interval(x: np.ndarray, p: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, and the interval that has nine tenths, of numbers x (V,) with these probabilities, (N, V)."""
    order = np.argsort(x)
    below = p[:, order].cumsum(1)
    low, high = (x[order][np.minimum((below < share).sum(1), len(x) - 1)] for share in (0.05, 0.95))
    return {"value": p @ x, "low": low, "high": high}
