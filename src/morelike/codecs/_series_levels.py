"""What the cells of a window say of the numbers of its columns, for a net that sees these."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from morelike.codecs._series_layout import Layout
from morelike.codecs._series_tracks import Told, Track
from morelike.nn.levels import Cell, Levels

DRAWS = 32  # from each cell, of which the mean is what it says


def levels(layout: Layout) -> partial[Levels] | None:
    """What makes the `Levels` of a window; None where there are no numbers."""
    plain = [number for number, track in enumerate(layout.tracks) if track.plain]
    if not plain:
        return None
    at = {number: place for place, number in enumerate(plain)}
    made: dict[tuple[int, int, int], Cell] = {}
    found = []
    for step, number, cell, *_ in layout.slots:
        if number not in at:
            found.append(Cell(step=step))
            continue
        track = layout.tracks[number]
        key = number, track.index(step % layout.steps), cell
        if key not in made:
            made[key] = _cell(track, track.at(step % layout.steps), cell, at, at[number])
        one = made[key]
        found.append(Cell(one.number, step, one.values, one.terms, one.constant, one.bound))
    starts = [float(layout.tracks[n].scaled(np.array(layout.tracks[n].usual))) for n in plain]
    return partial(Levels, found, starts, layout.steps)


def _cell(track: Track, told: Told, cell: int, at: dict[int, int], number: int) -> Cell:
    sizes = told.cells
    if cell == 0:
        codes = np.arange(sizes[0])[:, None]
        values = _means(track, told, codes)
    else:
        codes = np.stack(np.meshgrid(np.arange(sizes[0]), np.arange(sizes[1]), indexing="ij"), -1).reshape(-1, 2)
        values = _means(track, told, codes).reshape(sizes)
    reference: Any = told.reference
    if reference is None:
        return Cell(number, 0, torch.from_numpy(values))
    terms = tuple((at[one], before, weight) for one, before, weight in reference.terms)
    return Cell(number, 0, torch.from_numpy(values), terms, reference.constant, reference.bound)


def _means(track: Track, told: Told, codes: np.ndarray) -> np.ndarray:
    """What cells (N, 1 or 2) say in the mean, on the scale of the track, (N,)."""
    u = np.tile((np.arange(DRAWS) + 0.5) / DRAWS, len(codes))
    whole = np.repeat(codes, DRAWS, 0)
    if told.reference is None:
        values = track.scaled(track.decode(whole, u, told, None))
    else:
        values = track.decode(whole, u, told, np.zeros(len(whole)))
        values = np.log(values) if track.log else values
    return values.reshape(-1, DRAWS).mean(1)
