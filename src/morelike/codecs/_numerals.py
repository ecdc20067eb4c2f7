"""How numbers are written: currency, thousands, decimal comma, decimals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

_BODY = re.compile(
    r"^([^\d.,+\-]{0,5}?)([-+]?)(\d(?:[\d.,'\u2019 \u00a0\u202f]*\d)?[.,]?|[.,]\d+)((?:[eE][-+]?\d+)?)"
    r"(\s?[^\d.,]{0,6})$"
)
_DIGITS = re.compile(r"(?:(?:^|\n)-?(?:0|[1-9]\d*)(?:\.\d+)?)+", re.ASCII)  # lines of numbers that are written plainly
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "CNY", "RMB", "SEK", "NOK", "DKK", "PLN", "INR", "Rs", "Rs.", "kr")
_GROUPS = {mark: re.compile(rf"^\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+$") for mark in ",.'\u2019 \u00a0\u202f"}
_LAKHS = re.compile(r"^\d{1,2}(?:,\d\d)*,\d{3}$")  # 12,34,567: hundreds of thousands, as in India
_INNER = re.compile(r"^([^\d()+-]{1,5})\((.*\d.*)\)$")  # $ (5)
LONG = "\u2212"  # the minus sign of typographers
_PLAIN = 15  # decimals from which a number is a binary fraction written out


@dataclass(frozen=True)
class Style:
    """How a number is written.

    before, after  what stands around it, such as "$" or " %"
    thousands      between groups of three digits, "" for nothing; `lakhs`: of two digits but for the last, 12,34,567
    point          before the decimals
    minus          how one below 0 is told: - before its digits | first, before all: -$5 | last: 5- | round: (5) |
                   long, the sign of typographers before its digits | inner: $ (5)
    decimals       decimals that mean something, to which new numbers are rounded; None for binary fractions
    places         decimals that are written at least: 2 for 12.50; of those with an exponent, of each; -1 for binary
                   fractions among which whole numbers have no point
    exponent       the e or E of numbers that are all written like 1.25E-03
    plus           whether numbers above 0 have their sign, too: +0.3
    """

    before: str = ""
    after: str = ""
    thousands: str = ""
    point: str = "."
    decimals: int | None = 0
    places: int = 0
    minus: str = "-"
    exponent: str = ""
    plus: bool = False
    lakhs: bool = False

    def say(self, value: float) -> str:
        """The number as it is written in the table."""
        if self.decimals is None:
            body = f"{value:.{self.places}{self.exponent}}" if self.exponent else repr(float(value))
            body = body.removesuffix(".0") if self.places < 0 else body
        else:
            digits = max(self.decimals, self.places)
            body = f"{value:.{digits}f}" if digits else str(round(value))
            if self.decimals > self.places:
                body = body.rstrip("0")
                short = self.places - len(body.partition(".")[2])
                body = (body + "0" * max(0, short)).rstrip(".")
        sign, body = ("-", body[1:]) if body.startswith("-") else ("", body)
        sign = sign if body.strip("0.") else ""  # no -0.0
        whole, point, rest = body.partition(".")
        if self.thousands:
            whole = _in_lakhs(whole) if self.lakhs else f"{int(whole):,}".replace(",", self.thousands)
        if sign and self.minus in ("-", "long"):
            whole, sign = ("-" if self.minus == "-" else LONG) + whole, ""
        whole = "+" + whole if self.plus and value > 0 and body.strip("0.") else whole
        told = f"{whole}{self.point if point else ''}{rest}{self.after}"
        told = self.before + (f"({told})" if sign and self.minus == "inner" else told)
        return (
            {"first": f"-{told}", "last": f"{told}-", "round": f"({told})", "inner": told}[self.minus] if sign else told
        )


def style_of(texts: Sequence[str], share: float = 0.9) -> Style | None:
    """How most of some different texts write a number; None where fewer than `share` of them are numbers, or where
    some begin with 0 as codes do."""
    return _plain(texts) or _any_style(texts, share)


def _plain(texts: Sequence[str]) -> Style | None:
    """The same where all are digits with a point and a minus at most, which takes a tenth of the time."""
    if not texts or not _DIGITS.fullmatch("\n".join(texts)):
        return None
    tails = [text.partition(".")[2] for text in texts]
    longest, shortest = max(map(len, tails)), min(map(len, tails))
    return Style(decimals=max(len(t.rstrip("0")) for t in tails), places=shortest) if longest <= _PLAIN - 5 else None


def _any_style(texts: Sequence[str], share: float) -> Style | None:
    told = [(one, minus) for text, minus in map(_unsigned, texts) if (one := _BODY.match(text))]
    told = [(one, minus or one[2].replace("+", "")) for one, minus in told]
    signs = [one[2] for one, _ in told if one[3].strip("0.,")]
    plus = "+" in signs and signs.count("") < 0.1 * len(signs)
    ways = Counter(minus for _, minus in told if minus)
    minus = ways.most_common(1)[0][0] if ways else "-"
    found = [one for one, way in told if way in ("", minus)]
    if not found or len(found) < share * len(texts):
        return None
    (before, after), most = Counter((one[1], one[5]) for one in found).most_common(1)[0]
    letters = any(char.isalpha() for char in before) and not before.endswith("$") and before.strip() not in CURRENCIES
    if most < share * len(texts) or letters:
        return None
    bodies = _plain_powers([(one[3], one[4]) for one in found if (one[1], one[5]) == (before, after)])
    if any(len(body) > 1 and body[0] == "0" and body[1].isdigit() for body, _ in bodies):
        return None
    thousands, point = _marks([body for body, _ in bodies])
    if point is None:
        return None
    tails = [body.rpartition(point)[2] if point in body else "" for body, _ in bodies]
    longest, shortest = max(map(len, tails)), min(map(len, tails))
    exponents = sum(bool(power) for _, power in bodies)
    if exponents or longest > _PLAIN - 5:
        marks = {power[:1] for _, power in bodies}
        mark = marks.pop() if len(marks) == 1 and longest == shortest else ""
        places = longest if mark else 0 if shortest or exponents == len(bodies) else -1
        return Style(before, after, thousands, point, None, places, minus, mark, plus)
    need = max(len(tail.rstrip("0")) for tail in tails)
    lakhs = thousands == "," and not all(_GROUPS[","].match(b) for b in _wholes([b for b, _ in bodies], point))
    return Style(before, after, thousands, point, need, shortest, minus, plus=plus, lakhs=lakhs)


def _wholes(bodies: Sequence[str], point: str) -> list[str]:
    """What stands before the decimals of those that have commas there."""
    return [whole for body in bodies if "," in (whole := body.split(point)[0])]


def _in_lakhs(digits: str) -> str:
    """1234567 as 12,34,567."""
    head, last = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join((*pairs, last))


def _plain_powers(bodies: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Digits and exponents, the latter worked out where few have one that is no finer than the others are: 1e+05 among
    whole numbers, as R writes 100000."""
    plain = [body for body, power in bodies if not power]
    told = [f"{Decimal(body + power):f}" for body, power in bodies if power and "," not in body]
    longest = max((len(body.partition(".")[2]) for body in plain), default=0)
    if len(plain) < len(told) or any(len(one.partition(".")[2]) > longest or len(one) > 2 * _PLAIN for one in told):
        return bodies
    return [(body, "") for body in plain] + [(one, "") for one in told]


def _unsigned(text: str) -> tuple[str, str]:
    """A number without its sign, and how that was told; "" for one that is not below 0, or has it before its digits."""
    if text.startswith("(") and text.endswith(")"):
        return text[1:-1], "round"
    if inner := _INNER.match(text):
        return inner[1] + inner[2], "inner"
    if text.endswith("-") and text[-2:-1].isdigit():
        return text[:-1], "last"
    if LONG in text:
        return text.replace(LONG, "", 1), "long"
    first = text[:1] == "-" and not text[1:2].isdigit() and text[1:2] not in ".,"
    return (text[1:], "first") if first else (text, "")


def _marks(bodies: Sequence[str]) -> tuple[str, str | None]:
    """What groups the thousands and what stands before the decimals; (…, None) where that is not consistent."""
    used = {mark for mark in set("".join(bodies)) if not mark.isdigit()}
    if not used:
        return "", "."
    if len(used) == 1:
        (mark,) = used
        with_it = [body for body in bodies if mark in body]
        grouped = _grouped(mark, with_it)
        several = any(body.count(mark) > 1 for body in with_it)
        if (
            mark in "'\u2019 \u00a0\u202f"
            or several
            or (mark == "," and grouped and not any(len(b) > 3 for b in bodies if mark not in b))
        ):
            return (mark, ".") if grouped else ("", None)
        return ("", mark) if all(body.count(mark) == 1 for body in with_it) else ("", None)
    if len(used) == 2:
        a, b = sorted(used, key=lambda mark: max(body.rfind(mark) for body in bodies if mark in body))
        both = [body for body in bodies if a in body and b in body]
        point = Counter(b if body.rfind(b) > body.rfind(a) else a for body in both).most_common(1)[0][0] if both else b
        group = a if point == b else b
        whole = [body.split(point)[0] for body in bodies if group in body]
        good = point in ".," and all(body.count(point) <= 1 for body in bodies) and _grouped(group, whole)
        return (group, point) if good else ("", None)
    return "", None


def _grouped(mark: str, bodies: Sequence[str]) -> bool:
    """Whether a mark stands between groups of digits in each of some numbers without decimals."""
    return all(map(_GROUPS[mark].match, bodies)) or (mark == "," and all(map(_LAKHS.match, bodies)))


def numbers(column: Any, style: Style) -> Any:
    """A polars column of texts as float64; what is no number is null."""
    import polars

    column = column.str.strip_chars()
    if style.minus == "long":
        column = column.str.replace(LONG, "-", literal=True)
    elif style.minus != "-":
        below, column = _below(column, style.minus)
    if style.before:
        column = column.str.strip_prefix(style.before)
    if style.after:
        column = column.str.strip_suffix(style.after)
    if style.thousands:
        mark = re.escape(style.thousands)
        pairs = rf"(?:{mark}\d{{2}})*{mark}\d{{3}}" if style.lakhs else rf"(?:{mark}\d{{3}})+"
        grouped = column.str.contains(rf"^\D*\d{{1,3}}{pairs}(?:\D|$)")
        column = column.set((column.str.contains(mark) & ~grouped).fill_null(False), None)  # 12,5 is not 125
        column = column.str.replace_all(style.thousands, "", literal=True)
    if style.point != ".":
        column = column.str.replace(style.point, ".", literal=True)
    found = column.cast(polars.Float64, strict=False)
    return found if style.minus in ("-", "long") else found * (1 - 2 * below.cast(polars.Float64))


def _below(column: Any, minus: str) -> tuple[Any, Any]:
    """Which cells of a polars column are told to be below 0, and the column without what tells it."""
    if minus == "inner":
        return column.str.contains("(", literal=True), column.str.replace_all(r"[()]", "")
    if minus == "round":
        below = column.str.starts_with("(") & column.str.ends_with(")")
        return below, column.str.strip_prefix("(").str.strip_suffix(")")
    if minus == "last":
        return column.str.ends_with("-"), column.str.strip_suffix("-")
    return column.str.starts_with("-"), column.str.strip_prefix("-")


def decimals_of(values: np.ndarray) -> int | None:
    """The decimals that some float64 (N,) have; None for binary fractions."""
    some = values[:: max(1, len(values) // 5_000)]
    for digits in range(_PLAIN - 5):
        if np.array_equal(np.round(some, digits), some):
            return digits
    return None
