"""A week in which only some moments have rows, such as working days, or the hours of a market: these are counted."""

from __future__ import annotations

import numpy as np

DAY, WEEK = 86_400.0, 604_800.0
MONDAY = -3 * DAY  # 1970 began on a Thursday
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHARE, MOST, OFTEN = 0.8, 4_000, 2  # of the moments of a week, those that have rows; of these, at most; rows for each
EVEN = 0.9  # share of steps that lead to the next of these moments
Open = tuple[float, ...]


def opened(times: np.ndarray, begins: np.ndarray) -> Open:
    """The moments of a week that have rows, in seconds since Monday; () where that is all of them, or there is no such
    week.

    times   (N,) seconds since 1970, in order within each series
    begins  bool (N,) where a series begins
    """
    ahead = np.diff(times)[~begins[1:]]
    if not len(ahead):
        return ()
    sizes, counts = np.unique(ahead, return_counts=True)
    moments = np.unique((times - MONDAY) % WEEK)
    possible = WEEK / sizes[counts.argmax()]
    if not 1 < len(moments) <= min(SHARE * possible, MOST, len(times) / OFTEN):
        return ()
    found = tuple(moments.tolist())
    steps = np.diff(counted(times, found))[~begins[1:]]
    return found if np.isclose(steps, 1).mean() >= EVEN else ()


def counted(times: np.ndarray, moments: Open) -> np.ndarray:
    """How many of the moments have passed at some times, since a Monday; between two of them, a part of one."""
    week, rest = np.divmod(times - MONDAY, WEEK)
    edges = _edges(moments)
    at = np.clip(np.searchsorted(edges, rest, side="right") - 1, 0, len(moments))
    return week * len(moments) + at - 1 + (rest - edges[at]) / (edges[at + 1] - edges[at])


def moment(count: np.ndarray, moments: Open) -> np.ndarray:
    """The times at which so many of the moments have passed: always one of these."""
    week, at = np.divmod(np.rint(count), len(moments))
    return MONDAY + week * WEEK + np.array(moments)[np.nan_to_num(at).astype(np.int64)]


def _edges(moments: Open) -> np.ndarray:
    return np.array([moments[-1] - WEEK, *moments, moments[0] + WEEK])


def said(moments: Open) -> str:
    """The days and hours in words: "Mon to Fri, 09:30 to 16:00"."""
    days = sorted({int(one // DAY) for one in moments})
    row = len(days) > 2 and days[-1] - days[0] == len(days) - 1
    names = f"{DAYS[days[0]]} to {DAYS[days[-1]]}" if row else ", ".join(DAYS[day] for day in days)
    hours = sorted({one % DAY for one in moments})
    clock = [f"{int(one // 3600):02}:{int(one % 3600 // 60):02}" for one in (hours[0], hours[-1])]
    return names + (f", {clock[0]} to {clock[1]}" if len(hours) > 1 else "")
