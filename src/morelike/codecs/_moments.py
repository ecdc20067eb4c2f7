"""Moments in seconds since 1970: their parts, the time between two of them, and what is so much later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DAY, DAYS = 86_400, "datetime64[D]"
MONTHS = "month of the year"
Seconds = np.ndarray  # float64 (N,) since 1970, NaN for missing


def whole(values: Seconds, unit: str) -> np.ndarray:
    """Whole days, months or years since 1970, int64 (N,)."""
    return np.floor(values).astype("datetime64[s]").astype(f"datetime64[{unit}]").astype(np.int64)


def month_days(values: Seconds) -> np.ndarray:
    """Days since the first of the month, with the part of a day that has gone, float64 (N,)."""
    first = np.floor(values).astype("datetime64[s]").astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)
    return (values - first) / DAY


def months(a: Seconds, b: Seconds) -> np.ndarray:
    """Months that are over between two moments."""
    return whole(b, "M") - whole(a, "M") - (month_days(np.floor(b / DAY) * DAY) < month_days(np.floor(a / DAY) * DAY))


PARTS: dict[str, Callable[[Seconds], np.ndarray]] = {  # numbers from 0 on of each date
    "year": lambda at: whole(at, "Y"),
    "month": lambda at: whole(at, "M") % 12,
    "weekday": lambda at: (whole(at, "D") + 3) % 7,  # 1970 began on a Thursday
    "hour": lambda at: np.floor(at / 3_600).astype(np.int64) % 24,
    "day of the month": lambda at: np.floor(month_days(at)).astype(np.int64),
    MONTHS: lambda at: whole(at, "M"),
}
STARTS = {"day": "D", "month": "M", "year": "Y", "hour": "h"}  # of which a date may be the beginning
SPANS: dict[str, Callable[[Seconds, Seconds], np.ndarray]] = {  # of two moments
    "days": lambda a, b: whole(b, "D") - whole(a, "D"),
    "full days": lambda a, b: np.floor((b - a) / DAY),
    "years": lambda a, b: np.floor(months(a, b) / 12),
    "months": months,
    "months on the calendar": lambda a, b: whole(b, "M") - whole(a, "M"),
    "years on the calendar": lambda a, b: whole(b, "Y") - whole(a, "Y"),
    "years of 365.25 days": lambda a, b: (b - a) / DAY / 365.25,
    "full years of 365.25 days": lambda a, b: np.floor((b - a) / DAY / 365.25),
    "full years of 365 days": lambda a, b: np.floor((b - a) / DAY / 365),
    "weeks": lambda a, b: (b - a) / DAY / 7,
    "full weeks": lambda a, b: np.floor((b - a) / DAY / 7),
    "exact days": lambda a, b: (b - a) / DAY,
    "hours": lambda a, b: (b - a) / 3_600,
    "full hours": lambda a, b: np.floor((b - a) / 3_600),
    "minutes": lambda a, b: (b - a) / 60,
    "full minutes": lambda a, b: np.floor((b - a) / 60),
    "seconds": lambda a, b: b - a,
    "working days": lambda a, b: np.busday_count(
        whole(a, "D").astype("datetime64[D]"), whole(b, "D").astype("datetime64[D]")
    ),
}


LATER: dict[
    str, Callable[[Seconds, np.ndarray], Seconds]
] = {  # a moment, and how many of them -> the one so much later
    "days": lambda a, n: a + n * DAY,
    "weeks": lambda a, n: a + 7 * n * DAY,
    "working days": lambda a, n: to_seconds(np.busday_offset(whole(a, "D").astype(DAYS), n.astype(int), "forward")),
    "months": lambda a, n: np.minimum(month(a, n) + month_days(a) * DAY, month(a, n + 1) - DAY + a % DAY),
    "months, on the first": lambda a, n: month(a, n),
    "months, on the last": lambda a, n: month(a, n + 1) - DAY,
    "years": lambda a, n: LATER["months"](a, 12 * n),
    "hours": lambda a, n: a + n * 3_600,
    "minutes": lambda a, n: a + n * 60,
    "seconds": lambda a, n: a + n,
}


def month(at: Seconds, n: np.ndarray) -> Seconds:
    """The beginning of the month that is n months later."""
    return to_seconds((whole(at, "M") + n.astype(np.int64)).astype("datetime64[M]"))


def to_seconds(at: np.ndarray) -> Seconds:
    """Moments of numpy."""
    return at.astype("datetime64[s]").astype(np.float64)


def start(seconds: Seconds, unit: str) -> Seconds:
    """The beginning of the day, month, year or hour of moments, by numpy's letter for it."""
    return np.floor(seconds).astype("datetime64[s]").astype(f"datetime64[{unit}]").astype("datetime64[s]").astype(float)
