"""Dates <-> the parts of which each is a cell: year, month, day or weekday, hour, minute, second."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np

EPOCH = datetime.datetime(1970, 1, 1)
UNITS = ("year", "month", "day", "hour", "minute", "second")
WEEKLY = ("year", "month", "weekday", "nth", "hour", "minute", "second")  # the third Friday of a month, say
LEAST, SPAN = 60, 28  # dates, and days from the first to the last, from which weekdays are looked at


def parts_of(moments: Any, counts: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The values of each part that occur among different dates, a polars column, each as often as `counts` says."""
    units = WEEKLY if is_weekly(moments, counts) else UNITS
    return tuple(tuple(np.unique(part(moments, unit)).tolist()) for unit in units)


def part(moments: Any, unit: str) -> np.ndarray:
    """A part of each date of a polars column without missing ones, int64 (N,): Monday is 1, the first of a month 0."""
    found = (moments.dt.day() - 1) // 7 if unit == "nth" else getattr(moments.dt, unit)()
    return np.asarray(found.to_numpy(), np.int64)


def is_weekly(moments: Any, counts: np.ndarray) -> bool:
    """Whether weekdays say as much of dates as days of the month do, or nothing does: then they may say it of others.

    By the likelihood ratio G = 2 sum n_i log(n_i / e_i) beside equally likely days, less what chance gives it (BIC).
    """
    import polars

    if len(moments) < LEAST or counts.sum() < LEAST:
        return False
    days = np.asarray(moments.dt.date().cast(polars.Int32).to_numpy(), np.int64)
    if days.max() - days.min() < SPAN or len(np.unique(part(moments, "day"))) <= 7:
        return False
    step = max(1, (days.max() - days.min()) // 100_000) // 7 * 7 + 1  # each weekday as often
    every = polars.Series(np.arange(days.min(), days.max() + 1, step)).cast(polars.Int32).cast(polars.Date)
    told = [_told(part(moments, unit), part(every, unit), counts) for unit in ("weekday", "day")]
    return told[1] <= max(told[0], 0.0)


def _told(values: np.ndarray, possible: np.ndarray, counts: np.ndarray) -> float:
    """What a part says of dates, in nats: G / 2 - (k - 1) / 2 log n."""
    there, usual = np.bincount(values, counts, 32), np.bincount(possible, minlength=32)
    n, seen = there.sum(), there > 0
    expected = np.maximum(usual, 0.5)[seen] / usual.sum() * n
    return float((there[seen] * np.log(there[seen] / expected)).sum() - ((usual > 0).sum() - 1) / 2 * np.log(n))


def as_date(parts: Sequence[int], dtype: str) -> datetime.date | datetime.time:
    """Year, month, day, hour, minute, second and microsecond; a day that the month lacks is its last."""
    year, month, day, hour, minute, second, micro = parts
    if dtype == "Time":
        return datetime.time(hour, minute, second, micro)
    date = datetime.date(year, month, min(day, _length(year, month)))
    return date if dtype == "Date" else datetime.datetime(date.year, date.month, date.day, hour, minute, second, micro)


def as_day(parts: Sequence[int]) -> tuple[int, ...]:
    """Year, month, weekday, which one of the month, and what comes after it -> with the day in the place of both; the
    last one where the month has no fifth."""
    year, month, weekday, nth, *rest = parts
    day = 1 + (weekday - datetime.date(year, month, 1).isoweekday()) % 7 + 7 * nth
    return (year, month, day if day <= _length(year, month) else day - 7, *rest)


def _length(year: int, month: int) -> int:
    """Days of a month."""
    return (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)).day if year < 9999 else 28


def seconds_of(date: Any) -> float:
    """A date, with or without a time of day, in seconds since 1970; a time of day alone since midnight."""
    if isinstance(date, datetime.time):
        return date.hour * 3_600 + date.minute * 60 + date.second + date.microsecond / 1e6
    if not isinstance(date, datetime.datetime):
        return float((date - EPOCH.date()).days * 86_400)
    return (date.replace(tzinfo=None) - EPOCH).total_seconds()


def as_numbers(cells: np.ndarray) -> np.ndarray:
    """Objects (N,), numbers or dates -> float64 (N,), dates in seconds, NaN for anything else."""
    found = [seconds_of(one) if isinstance(one, datetime.date | datetime.time) else one for one in cells.tolist()]
    return np.array([float(one) if isinstance(one, int | float) else np.nan for one in found], np.float64)
