"""From cells of windows to values, one step after another, so that each refers to what has been drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from morelike.codecs._columns import Column
from morelike.codecs._hashing import hashed, mixed, uniform
from morelike.codecs._series_time import calendar, times_as
from morelike.codecs._series_told import Track
from morelike.codecs.table import followed

if TYPE_CHECKING:
    from morelike.codecs.series import Codec

TRIES = 4  # draws within a cell until a value keeps the order of columns; then it is moved as little as that takes
BIG = 1e300  # beyond it a value is no number any more


@dataclass
class Piece:
    """A window of a series, or all of one.

    times  (T,) seconds since 1970, or numbers, or the number of the step
    rows   (T, C) objects as the table has them, in all its columns; those that name the series are None
    name   of the series, where it has one
    """

    times: np.ndarray
    rows: np.ndarray
    name: object = None

    def __len__(self) -> int:
        return len(self.times)


@dataclass
class State:
    """What has been drawn so far of some windows.

    floats   (B, L, K) the numbers of each track, NaN for missing and for categories
    objects  by track (B, L), the values of those that are no plain numbers
    times    (B, L)
    known    steps that are given
    """

    floats: np.ndarray
    objects: dict[int, np.ndarray]
    times: np.ndarray
    known: int = 0

    @classmethod
    def empty(cls, codec: Codec, count: int, steps: int | None = None) -> State:
        """Nothing drawn, of so many steps, or those of a window."""
        steps, tracks = steps or codec.config.steps, codec.config.tracks
        objects = {n: np.full((count, steps), None, object) for n, one in enumerate(tracks) if not one.plain}
        return cls(np.full((count, steps, len(tracks)), np.nan), objects, np.full((count, steps), np.nan))

    @classmethod
    def joined(cls, states: Sequence[State]) -> State:
        """Windows of several states of which as much is known."""
        objects = {n: np.concatenate([one.objects[n] for one in states]) for n in states[0].objects}
        floats, times = (np.concatenate([getattr(one, name) for one in states]) for name in ("floats", "times"))
        return cls(floats, objects, times, states[0].known)

    def take(self, other: State, steps: tuple[int, int], at: int) -> None:
        """Put some steps of another state at a place."""
        begin, end = steps
        to = slice(at, at + end - begin)
        self.floats[:, to], self.times[:, to] = other.floats[:, begin:end], other.times[:, begin:end]
        for number, one in self.objects.items():
            one[:, to] = other.objects[number][:, begin:end]


def unrolled(codec: Codec, cells: np.ndarray) -> np.ndarray:
    """Cells (B, T) -> objects (B,), a `Piece` each."""
    state = drawn(codec, cells, State.empty(codec, len(cells)))
    return pieces(codec, state, codec.layout.lengths(cells))


def drawn(codec: Codec, cells: np.ndarray, state: State, until: int | None = None) -> State:
    """The state with all steps drawn that are not known, or those before `until`."""
    seeds, layout, clock = hashed(cells), codec.layout, codec.config.clock
    if not state.known:
        state.times[:, 0] = started(codec, cells, seeds)
    for step in range(state.known, until or layout.steps):
        for number, track in enumerate(layout.tracks):
            where = layout.where.get((layout.steps if track.late and not step else step, number))
            if where is None:
                continue
            at = np.maximum(cells[:, where], 0)
            salt = mixed(seeds + np.uint64(step * 1009 + number))
            if number in state.objects:
                state.objects[number][:, step] = track.told[0].coder.decode(at, uniform(salt, 0))
            else:
                state.floats[:, step, number] = _number(codec, state, (step, number), at, salt)
        if step:
            ahead = state.floats[:, step, 0] if layout.gap else None
            state.times[:, step] = clock.later(state.times[:, step - 1], ahead) if ahead is not None else np.nan
    if not layout.gap:
        state.times = clock.after(state.times[:, 0], state.times.shape[1])
    state.known = until or layout.steps
    return state


def _number(codec: Codec, state: State, place: tuple[int, int], at: np.ndarray, salt: np.ndarray) -> np.ndarray:
    """Values (B,) of a track at a step, drawn within their cells so that orders are kept."""
    step, number = place
    track = codec.layout.tracks[number]
    low, high = bounds(codec, state, step, track)
    value = np.full(len(at), np.nan)
    left = np.arange(len(at))
    for attempt in range(TRIES):
        value[left] = _draw(codec, state, place, at[left], uniform(salt[left], attempt), left)
        with np.errstate(invalid="ignore"):
            left = np.flatnonzero((value < low) | (value > high))
        if not len(left):
            return value
    with np.errstate(invalid="ignore"):  # mirrored at the bound: cut off there, many would be equal to it
        value = np.where(value > high, 2 * high - value, np.where(value < low, 2 * low - value, value))
    return np.where(np.isnan(value), np.nan, np.clip(rounded(value, column_of(codec, track)), low, high))


def _draw(
    codec: Codec, state: State, place: tuple[int, int], at: np.ndarray, u: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    step, number = place
    track = codec.layout.tracks[number]
    told = track.at(step)

    def known(other: int, before: int) -> np.ndarray:
        return latest(state, step - before, other, rows, codec)

    reference = None if told.reference is None else told.reference.value(known)
    raw, column = track.decode(at, u, told, reference), column_of(codec, track)
    value = track.snapped(rounded(np.where(np.abs(raw) < BIG, raw, np.nan), column))
    if not told.stays:
        return value
    before = held(state, step - 1, number, rows, track.usual)
    unit = 0.0 if column.style.decimals is None else 10.0**-column.style.decimals
    return np.where(at[:, 0] == 0, before, rounded(track.apart(value, raw, before, unit), column))


def column_of(codec: Codec, track: Track) -> Column:
    """The column of the table that a track is, or what tells the gaps in time."""
    return codec.config.found[track.column] if track.column >= 0 else track.told[0].coder


def rounded(value: np.ndarray, column: Column) -> np.ndarray:
    """With as many decimals as the column has."""
    return value if column.style.decimals is None else np.round(value, column.style.decimals)


def latest(state: State, step: int, number: int, rows: np.ndarray, codec: Codec) -> np.ndarray:
    """The last known value (n,) of a track up to a step, on its scale; its usual one where there is none."""
    track = codec.layout.tracks[number]
    found = track.scaled(held(state, step, number, rows, track.usual))
    return np.where(np.isnan(found), track.scaled(np.array(track.usual)), found)


def held(state: State, step: int, number: int, rows: np.ndarray, usual: float) -> np.ndarray:
    """The last known value (n,) of a track up to a step; the usual one where there is none."""
    found = np.full(len(rows), np.nan)
    while step >= 0 and np.isnan(found).any():
        found = np.where(np.isnan(found), state.floats[rows, step, number], found)
        step -= 1
    return np.where(np.isnan(found), usual, found)


def bounds(codec: Codec, state: State, step: int, track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Between which numbers (B,) a value has to be by the orders of columns drawn before it, and where it returns."""
    ends = (-np.inf, np.inf) if track.smooth else track.ends
    low, high = (np.full(len(state.floats), end) for end in ends)
    number = {one.column: place for place, one in enumerate(codec.layout.tracks)}
    for rule in codec.config.kept:
        if rule.kind != "order" or rule.of[0] not in number or rule.to not in number:
            continue
        for mine, other, up in ((rule.of[0], rule.to, False), (rule.to, rule.of[0], True)):
            if mine == track.column and number[other] not in state.objects:
                value = state.floats[:, step, number[other]]
                low = np.where(np.isnan(value), low, np.maximum(low, value)) if up else low
                high = high if up else np.where(np.isnan(value), high, np.minimum(high, value))
    return low, np.maximum(low, high)


def started(codec: Codec, cells: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Times (B,) at which windows begin, drawn among those of the data in the same part of the calendar, at the hour
    that the cells tell."""
    clock, layout = codec.config.clock, codec.layout
    if not clock.starts or not clock.time:
        return np.zeros(len(cells))
    starts, u = np.array(clock.starts), uniform(seeds, 7)
    if not layout.begin:
        return starts[np.minimum((u * len(starts)).astype(np.int64), len(starts) - 1)]
    begun, found = cells[:, : len(layout.begin)], np.empty(len(cells))
    told, hours = codec.begun(starts), codec.config.parts[-1] if clock.dated else ()
    days = len(layout.begin) - (len(hours) > 1)  # cells that tell the day, the first ones
    for row, cell in enumerate(begun):
        fit = (told == cell) @ np.array([2.0] * days + [1.0] * (len(layout.begin) - days))
        best = np.flatnonzero(fit == fit.max())
        found[row] = starts[best[int(u[row] * len(best))]]
    if len(hours) > 1:  # some day has been found, but few hours of each are kept
        found += 3600.0 * (np.array(hours)[np.clip(begun[:, -1], 0, None)] - calendar(found)[:, 2])
    return found


def pieces(codec: Codec, state: State, lengths: np.ndarray) -> np.ndarray:
    """Windows (B,) as the table would have them."""
    found = np.empty(len(lengths), object)
    columns, steps = codec.config.found, state.floats.shape[1]
    rows = np.full((len(lengths) * steps, len(columns)), None, object)
    for number, track in enumerate(codec.layout.tracks):
        if track.column >= 0:
            flat = state.floats[:, :, number].reshape(-1)
            flat = np.clip(flat, *track.ends) if track.smooth else flat
            plain = column_of(codec, track).plain(flat) if number not in state.objects else state.objects[number]
            rows[:, track.column] = plain.reshape(-1)
    for number, column in enumerate(columns):
        if column.kind == "constant" and column.values:
            rows[:, number] = column.values[0]
    for rule in codec.config.kept:
        if rule.derives:
            rows[:, rule.to] = followed(rule, columns, rows)
    for time in codec.when:
        at = [one.name for one in columns].index(time.name)
        rows[:, at] = times_as(time, np.nan_to_num(state.times.reshape(-1)))
    whole = rows.reshape(len(lengths), steps, len(columns))
    for number in codec.config.still:
        whole[:, :, number] = whole[:, :1, number]
    for row, length in enumerate(lengths.tolist()):
        found[row] = Piece(state.times[row, :length], whole[row, :length])
    return found


def slid(codec: Codec, cells: np.ndarray, state: State, by: int) -> tuple[np.ndarray, State]:
    """Windows (B, T) that begin some steps later, and what is known of them; later cells are -1."""
    layout, kept = codec.layout, codec.config.steps - by
    later = State.empty(codec, len(cells))
    later.known = kept
    later.floats[:, :kept], later.times[:, :kept] = state.floats[:, by:], state.times[:, by:]
    for number, one in state.objects.items():
        later.objects[number][:, :kept] = one[:, by:]
    moved = np.full_like(cells, -1)
    first = codec.told(later.floats[:, :kept])
    for (step, number), where in layout.where.items():
        if number == -2 and step < kept:
            moved[:, where] = 0
        if number >= 0 and step < kept and number not in later.objects:
            told = first[number][layout.tracks[number].index(step)]
            moved[:, where] = told.reshape(len(cells), kept, -1)[:, step, : len(where)]
        elif number >= 0 and step < kept:
            moved[:, where] = cells[:, layout.where[step + by, number]]
    if layout.begin:
        moved[:, : len(layout.begin)] = codec.begun(later.times[:, 0])
    return moved, later
