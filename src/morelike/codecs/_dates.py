"""How dates and times of day are written: the pattern of a column is told, read and written by."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from morelike.codecs._months import in_english, month_names, say_month

DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y",
        "%d%b%Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d", "%d/%m/%y", "%m/%d/%y",
        "%d-%b-%y", "%d.%m.%y", "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%y", "%b-%Y", "%Y年%m月",
        "%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%G-W%V", "%GW%V")  # fmt: skip
CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%H.%M.%S", "%H.%M")
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"]  # fmt: skip
_CLOCK = re.compile(r"([T ]|(?<=\d{4}):)\d{1,2}[:.]\d{2}")
_POINTED = re.compile(r"\d{1,2}\.\d\d(\.\d\d)?$")
_ZONE = re.compile(r"[:.]\d{2,9}( ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))$")
_FRACTION = re.compile(r":\d{2}\.(\d+)")
_SPELT = (("%m", "%-m"), ("%d", "%-d"), ("%H", "%-H"), ("%I", "%-I"), ("%b", "%^b"), ("%p", "%P"))
_ABROAD = ("%d. %B %Y", "%d %B %Y", "%d-%B-%Y", "%d de %B de %Y", "%d.%B.%Y", "%d/%B/%Y", "%d %B, %Y", "%B %Y",
           "%B de %Y", "%B-%Y", "%B. %Y", "%d-%B-%y", "%d %B %y", "%B-%y", "%B %y", "%d%B%Y")  # fmt: skip
_PART = re.compile(r"%B\{.*?\}|%[-^:]?\.?\d?[A-Za-z]")
MOST = 0.02  # share of cells that may be no dates
_IN = "\t"  # between a pattern whose offset from UTC varies and the zone in which it does so
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
         "America/Los_Angeles", "America/Halifax", "America/St_Johns", "America/Anchorage", "America/Sao_Paulo",
         "America/Santiago", "Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland", "Asia/Jerusalem",
         "Europe/Moscow", "Africa/Cairo")  # fmt: skip
SEVERAL, _LEAST = "\n", 0.05  # between two patterns and the share of the first; share of cells that each has at least
_FIRST, _LOOK = 20, 200  # cells by which patterns are sifted; by which it is told how parts are spelt


def date_format(column: Any, mixed: bool = True) -> tuple[str, bool] | None:
    """How a polars column of different texts writes dates, and whether with a day; None where it holds none.

    mixed  whether they may be written in two ways
    """
    first = column[0]
    if not any(char.isdigit() for char in first) or not 4 <= len(first) <= 40:
        return None
    some, second, shares = column.head(2_000), None, dict[str, int]()
    for pattern in _candidates(some):
        if pattern == "%Y%m%d" and not all(len(one) == 8 and "1850" < one[:4] < "2101" for one in some.to_list()):
            continue
        if pattern in ("%H.%M.%S", "%H.%M") and not all(map(_POINTED.match, some.to_list())):
            continue  # 1.10.4 is a version
        few = some.head(_FIRST)
        shares[pattern] = len(few) - dates(few, pattern).null_count()
        if shares[pattern] < len(few) / 2:
            continue
        read = dates(some, pattern)
        if "%Y" in pattern and read.dt.year().median() < 100:
            continue  # "30-Oct-21" is not of the year 21
        if read.null_count() <= MOST * len(some):
            zone = _place(some.to_list(), read.to_list()) if pattern.endswith("z") else ""
            pattern += f"{_IN}{zone}" if zone else ""
            spelt, same = _spelt(pattern, some.to_list()[:_LOOK], read.to_list()[:_LOOK])
            second = second or (spelt, bool(re.search("%[YyG]", pattern)))
            if same:
                return spelt, bool(re.search("%[YyG]", pattern))
    return second or (_several(some, shares) if mixed else None)  # one that reads all, and writes them in another way


def _several(some: Any, shares: Mapping[str, int]) -> tuple[str, bool] | None:
    """How different texts write dates of which some are written in one way and some in another; both patterns, with the
    share of the first between them."""
    for pattern in sorted(filter(shares.get, shares), key=lambda one: -shares[one])[:3]:
        read = dates(some, pattern)
        rest, told = some.filter(read.is_null()), some.filter(read.is_not_null())
        if not _LEAST * len(some) <= len(told) <= (1 - _LEAST) * len(some):
            continue
        first, second = date_format(told, False), date_format(rest, False)
        if first and second and first[1] and second[1]:
            return SEVERAL.join((first[0], f"{len(told) / len(some):.3f}", second[0])), True
    return None


def _candidates(some: Any) -> Iterator[str]:
    """Patterns that cells may have, by the look of the first one."""
    texts = some.to_list()
    if names := month_names(texts):
        yield from (day.replace("%B", names) for day in _ABROAD)
        return
    clock, zone = _CLOCK.search(texts[0]), _zone(texts)
    if clock:
        yield from (f"{day}{clock[1]}{time}{zone}" for day in DAYS for time in CLOCKS)
    else:
        yield from (*DAYS, *CLOCKS)


def _zone(texts: list[str]) -> str:
    """What stands for the time zone behind the time: the same for all, or one that is to be read; "" for none."""
    found = {"".join(_ZONE.findall(text)) for text in texts}
    if len(found) == 1:
        return found.pop()
    return ("%:z" if any(":" in one for one in found) else "%z") if all(one.strip("Z UTCGM") for one in found) else ""


def _spelt(pattern: str, texts: list[str], read: list[Any]) -> tuple[str, bool]:
    """The pattern with leading zeros, capitals and decimals of a second as most cells have them, and whether it writes
    half of them as they are."""
    digits = {sum(map(len, _FRACTION.findall(text))) for text in texts}
    if "%.f" in pattern and digits in ({3}, {6}):
        pattern = pattern.replace("%.f", f"%.{digits.pop()}f")
    choices = [pair for pair in _SPELT if pair[0] in pattern]
    patterns = []
    for which in product((0, 1), repeat=len(choices)):
        patterns.append(pattern)
        for pair, one in zip(choices, which, strict=True):
            patterns[-1] = patterns[-1].replace(pair[0], pair[one])
    both = [(text, one) for text, one in zip(texts, read, strict=True) if one is not None]
    same = {way: sum(say_date(one, way) == text for text, one in both) for way in patterns}
    best = max(patterns, key=lambda way: same[way])
    return best, same[best] >= len(both) / 2


def is_pattern(pattern: str) -> bool:
    """Whether a pattern says how a whole date or time is written, and not only that it has parts of a second."""
    return pattern not in ("", "%.f")


def has_clock(pattern: str) -> bool:
    """Whether a pattern has a time of day."""
    return bool(re.search("%-?[HI]", pattern))


def dates(column: Any, pattern: str) -> Any:
    """A polars column of texts as datetimes, those with zones that vary in UTC; what is none is null."""
    import polars

    pattern = pattern.partition(_IN)[0]
    if SEVERAL in pattern:
        first, _, second = pattern.split(SEVERAL)
        return dates(column, first).fill_null(dates(column, second))
    column, pattern = in_english(column, pattern)
    plain = pattern.replace("%-", "%").replace("%^", "%").replace("%P", "%p")
    column = column.str.strip_chars()
    if "%V" in plain:
        column, plain = column + "-1", plain + "-%u"
    elif not re.search("%[YyBbm]", plain):
        column, plain = polars.Series(["1970-01-01 "]).new_from_index(0, len(column)) + column, "%Y-%m-%d " + plain
    elif "%d" not in plain:
        column, plain = column + " 01", plain + " %d"
    found = column.str.to_datetime(plain, strict=False, time_unit="us")
    return found.dt.replace_time_zone(None)


def _one_of(value: Any, first: str, share: str, second: str) -> str:
    """Which of two patterns writes a moment: that without a clock a midnight, else either one as often as it was."""
    clocks = has_clock(first), has_clock(second)
    if clocks[0] != clocks[1]:
        midnight = not any(getattr(value, name, 0) for name in ("hour", "minute", "second", "microsecond"))
        return first if midnight == clocks[1] else second
    drawn = blake2b(value.isoformat().encode(), digest_size=4).digest()
    return first if int.from_bytes(drawn) < float(share) * 2**32 else second


def _offset(value: Any) -> str:
    """How far the clock of a moment is from UTC: +0100."""
    return value.strftime("%z") if isinstance(value, datetime.datetime) and value.tzinfo else "+0000"


def _place(texts: list[str], read: list[Any]) -> str:
    """A time zone in whose summer and winter moments, told in UTC, have the offsets that their texts have; "" for none
    that is known."""
    told = [("".join(_ZONE.findall(text)).replace(":", ""), at) for text, at in zip(texts, read, strict=True) if at]
    if len({offset for offset, _ in told}) < 2:
        return ""
    utc = [(offset, at.replace(tzinfo=datetime.UTC)) for offset, at in told]
    for name in ZONES:
        try:
            if all(at.astimezone(ZoneInfo(name)).strftime("%z") == offset for offset, at in utc):
                return name
        except ZoneInfoNotFoundError:
            return ""
    return ""


def say_date(value: datetime.date | datetime.time, pattern: str) -> str:
    """A date as the pattern writes it; unlike strftime, of the same length for early years and in every language."""
    pattern, _, zone = pattern.partition(_IN)
    if zone and isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone))
    if SEVERAL in pattern:
        pattern = _one_of(value, *pattern.split(SEVERAL))
    offset = _offset(value)
    of = {name: getattr(value, name, 0) for name in ("year", "month", "day", "hour", "minute", "second", "microsecond")}
    month, half, micro = _MONTHS[max(of["month"], 1) - 1], of["hour"] % 12 or 12, f"{of['microsecond']:06}"
    parts = {
        "%Y": f"{of['year']:04}", "%y": f"{of['year'] % 100:02}", "%m": f"{of['month']:02}", "%-m": str(of["month"]),
        "%d": f"{of['day']:02}", "%-d": str(of["day"]), "%B": month, "%b": month[:3], "%^b": month[:3].upper(),
        "%H": f"{of['hour']:02}", "%-H": str(of["hour"]), "%I": f"{half:02}", "%-I": str(half),
        "%p": "AM" if of["hour"] < 12 else "PM", "%P": "am" if of["hour"] < 12 else "pm", "%M": f"{of['minute']:02}",
        "%S": f"{of['second']:02}", "%.f": f".{micro}".rstrip("0").rstrip("."), "%.3f": f".{micro[:3]}",
        "%.6f": f".{micro}", "%z": offset, "%:z": f"{offset[:3]}:{offset[3:]}",
        "%q": str((of["month"] + 2) // 3),
    }  # fmt: skip
    if "%V" in pattern and isinstance(value, datetime.date):
        year, week, _ = value.isocalendar()
        parts |= {"%G": f"{year:04}", "%V": f"{week:02}"}
    return _PART.sub(lambda one: parts.get(one[0]) or say_month(one[0], of["month"]), pattern)
