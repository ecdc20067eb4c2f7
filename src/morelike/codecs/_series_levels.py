"""What the cells of a window say of the numbers of its columns, for a net that sees these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from morelike.codecs._series_curve import Curve as CodecCurve
from morelike.codecs._series_layout import Layout
from morelike.codecs._series_time import DAY, Clock, calendar
from morelike.codecs._series_told import Told, Track
from morelike.nn.levels import Cell, Curve, Levels

DRAWS = 8  # from each cell, of which the mean is what it says
SIZES = (12, 7, 24)  # months, weekdays and hours


def levels(layout: Layout, dates: np.ndarray | None = None) -> partial[Levels] | None:
    """What makes the `Levels` of a window, of which `dates` tell when each step is; None where there are no numbers."""
    plain = [number for number, track in enumerate(layout.tracks) if track.plain]
    if not plain:
        return None
    at = {number: place for place, number in enumerate(plain)}
    made: dict[tuple[int, int, int], Cell] = {}
    found = []
    for place, (step, number, cell, *_) in enumerate(layout.slots):
        track, early = layout.tracks[number], step % layout.steps
        if number not in at or layout.free[min(place + 1, len(layout.slots) - 1)] and not layout.free[place]:
            found.append(Cell(step=step))  # of a number of which the next cell says all
            continue
        key = number, track.index(early), cell
        if key not in made:
            made[key] = _cell(track, track.at(early), cell, at)
        found.append(replace(made[key], number=at[number], step=step))
    starts = [float(layout.tracks[n].scaled(np.array(layout.tracks[n].usual))) for n in plain]
    return partial(Levels, found, starts, layout.steps, layout.free, None if dates is None else torch.from_numpy(dates))


def dates(clock: Clock, parts: Sequence[Sequence[int]], steps: int) -> np.ndarray | None:
    """Month, weekday and hour of each step, as far as it is told when a window begins, counted through: int64 (values
    of each cell that tells it .., steps, D). None where nothing follows from it.

    parts  what is told of each of the three, none or one value where it is not told
    """
    told = [at for at, part in enumerate(parts) if len(part) > 1]
    if not clock.dated or not (clock.step or clock.months) or not told:
        return None
    values = [np.array(part) if at in told else np.zeros(1, np.int64) for at, part in enumerate(parts)]
    month, weekday, hour = (one.reshape(-1) for one in np.meshgrid(*values, indexing="ij"))
    middle = np.datetime64("2001-01") + month  # of some year
    days = middle.astype("datetime64[D]").astype(np.int64) + 14
    days += (weekday - (days + 3) % 7 + 3) % 7 - 3
    seen = calendar(clock.after(days * DAY + hour * 3600.0, steps).reshape(-1))[:, told]
    seen += np.cumsum([0, *(SIZES[at] for at in told)])[:-1]
    return seen.reshape(*(len(parts[at]) for at in told), steps, len(told))


def _cell(track: Track, told: Told, cell: int, at: Mapping[int, int]) -> Cell:
    """What the first cell of a number says of it, or both of its cells."""
    sizes = told.sizes
    if cell:
        codes = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 2)
        values = _means(track, told, codes).reshape(sizes)
    else:
        values = np.stack([_means(track, told, codes) for codes in _parts(told)]).mean(0)
    if told.reference is None:
        return Cell(values=torch.from_numpy(values))
    terms = tuple((at[one], before, weight) for one, before, weight in told.reference.terms)
    return Cell(values=torch.from_numpy(values), terms=terms, constant=told.reference.constant,
                bound=told.reference.bound, curve=_curve(told.reference.curve))  # fmt: skip


def _curve(one: CodecCurve | None) -> Curve | None:
    if one is None:
        return None
    mix, shift, weights = (torch.tensor(part) for part in (one.mix, one.shift, one.weights))
    return Curve(mix, shift, torch.tensor(one.factors), weights)


def _parts(told: Told) -> Iterator[np.ndarray]:
    """The cells of each value of the first one with parts of it, evenly."""
    first = np.arange(told.sizes[0])
    for share in (np.arange(DRAWS) + 0.5) / DRAWS:
        yield np.stack([first, (share * told.parts).astype(np.int64)], 1)[:, : len(told.sizes)]


def _means(track: Track, told: Told, codes: np.ndarray) -> np.ndarray:
    """What cells (N, cells) say in the mean, on the scale of the track, (N,)."""
    u = np.tile((np.arange(DRAWS) + 0.5) / DRAWS, len(codes))
    whole = np.repeat(codes, DRAWS, 0)
    if told.reference is None:
        values = track.scaled(track.decode(whole, u, told, None))
    else:
        values = track.decode(whole, u, told, np.zeros(len(whole)))
        values = np.log(values) if track.log else values
    return values.reshape(-1, DRAWS).mean(1)
