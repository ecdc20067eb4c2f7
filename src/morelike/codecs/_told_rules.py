"""Rules of a table in the user's own words: "start<=end, total=a+b, cost=n*price, zip->city,
age in 0..120, unique(email)"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from morelike.core.errors import OptionError, unknown

EXPECTED = "a<=b, a<b, total=a+b, total=a*b, zip->city, age in 0..120 or unique(email), with commas between them"
AUTO, NONE = ("auto", "true"), ("false", "none")
_COMPARES = re.compile(r"<=|>=|≤|≥|<|>")
_TERM = re.compile(r"\s*(?P<sign>[+-]?)\s*(?:(?P<scale>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?P<times>\s*\*?\s*))?")
_PLAIN = {"≤": "<=", "≥": ">="}


@dataclass(frozen=True)
class Told:
    """A rule with the names of its columns.

    kind     lookup | sum | product (of two) | order | below (order, and never equal) | range | unique
    of, to   names: what it follows from, and what follows; a <= b has of = (a,), to = b
    scales, offset   of a sum
    low, high        of a range, as they were written, "" for none
    strict           whether these ends are left out
    """

    kind: str
    of: tuple[str, ...]
    to: str
    scales: tuple[float, ...] = ()
    offset: float = 0.0
    low: str = ""
    high: str = ""
    strict: bool = False


def looks(rules: bool | str) -> bool:
    """Whether rules are looked for in the data as well: unless "false" is among what is said."""
    return rules is True or (isinstance(rules, str) and not any(part.casefold() in NONE for part in parts(rules)))


def told(rules: bool | str, names: Sequence[str]) -> list[Told]:
    """The rules that a user has given, for a table of columns with these names.

    Names that are not plain words may stand in quotation marks. Raises `OptionError` for what is no rule, and for a
    column that there is not.
    """
    if isinstance(rules, bool):
        return []
    words = [part for part in parts(rules) if part.casefold() not in (*AUTO, *NONE)]
    return [rule for part in words for rule in _rules(part, names)]


def parts(rules: str) -> list[str]:
    """What stands between commas, semicolons and ends of lines, outside of quotation marks and parentheses."""
    found, depth, quote = [""], 0, ""
    for char in rules:
        quote = "" if char == quote else quote or (char if char in "\"'" else "")
        depth += (char == "(") - (char == ")") if not quote else 0
        if char in ",;\n" and not quote and depth <= 0:
            found.append("")
        else:
            found[-1] += char
    return [part.strip() for part in found if part.strip()]


def _rules(part: str, names: Sequence[str]) -> Iterator[Told]:
    """The rules that one part gives: a chain a<=b<=c gives two."""
    if one := re.fullmatch(r"unique\s*\((.*)\)", part, re.I):
        name = column(one[1], names, part)
        yield Told("unique", (name,), name)
    elif len(sides := _cut(part, "->")) == 2:
        yield Told("lookup", (column(sides[0], names, part),), column(sides[1], names, part))
    elif len(sides := _cut(part, " in ")) == 2 and ".." in sides[1]:
        low, _, high = sides[1].partition("..")
        yield Told("range", (), column(sides[0], names, part), low=bare(low), high=bare(high))
    elif len(sides := _cut(part, _COMPARES)) > 1:
        marks = [_PLAIN.get(mark, mark) for mark in _marks(part)]
        for a, mark, b in zip(sides, marks, sides[1:], strict=False):
            yield _order(*((a, b) if mark[0] == "<" else (b, a)), len(mark) == 1, names, part)
    elif len(sides := _cut(part, "=")) == 2:
        factors = [bare(one) for one in _cut(sides[1], "*")]
        if len(factors) == 2 and set(factors) <= set(names):
            yield Told("product", tuple(factors), column(sides[0], names, part))
        else:
            yield _sum(sides[0], sides[1], names, part)
    else:
        raise OptionError(f'"{part}" is no rule', EXPECTED, "Correct --set rules")


def _order(a: str, b: str, strict: bool, names: Sequence[str], part: str) -> Told:
    """a <= b, of which one may be a number or date."""
    known = [one for one in (a, b) if bare(one) in names]
    if len(known) == 2:
        return Told("below" if strict else "order", (bare(a),), bare(b))
    number = b if known == [a] else a if known == [b] else ""
    if not re.match(r"[\"']?[+-]?[.\d]", number):
        column(b if known == [a] else a, names, part)  # names the nearest one
    low, high = (bare(a), "") if known == [b] else ("", bare(b))
    return Told("range", (), bare(known[0]), low=low, high=high, strict=strict)


def _sum(left: str, right: str, names: Sequence[str], part: str) -> Told:
    """total = a + 2*b - 3, in which the longest name that there is counts."""
    known, at, offset = sorted(names, key=len, reverse=True), 0, 0.0
    of, scales = list[str](), list[float]()
    while right[at:].strip():
        term = _TERM.match(right, at)
        assert term is not None
        sign, scale = -1.0 if term["sign"] == "-" else 1.0, float(term["scale"] or 1)
        plain = term.end("sign") + len(right[term.end("sign") :]) - len(right[term.end("sign") :].lstrip())
        begin, name = next(((at, name) for at in (plain, term.end()) if (name := _name(right, at, known))), (0, ""))
        first = not of and not offset
        if name and (first or term["sign"]):  # a name may begin with a digit
            of.append(bare(name))
            scales.append(sign * (scale if begin == term.end() else 1.0))
            at = begin + len(name)
        elif term["scale"] and not term["times"].strip() and (first or term["sign"]):
            offset, at = offset + sign * scale, term.end()
        else:
            if not name:
                column(right[term.end() :].split("+")[0], names, part)
            raise OptionError(f'"{part}" is no sum', EXPECTED, "Correct --set rules")
    if not of or (to := column(left, names, part)) in of:
        raise OptionError(f'"{part}" is no sum of other columns', EXPECTED, "Correct --set rules")
    return Told("sum", tuple(of), to, tuple(scales), offset)


def _name(text: str, at: int, known: Sequence[str]) -> str:
    """The longest name of a column that stands at a place of a text, in quotation marks or not; "" for none."""
    for name in known:
        for spelt in (f'"{name}"', f"'{name}'", name):
            rest = text[at + len(spelt) : at + len(spelt) + 1]
            if text.startswith(spelt, at) and not (spelt == name and (rest.isalnum() or rest == "_")):
                return spelt
    return ""


def column(name: str, names: Sequence[str], part: str) -> str:
    """A name without its quotation marks; an `OptionError` with the nearest one where there is no such column."""
    if bare(name) not in names:
        error = unknown("column", bare(name), names)
        raise OptionError(f'{error.found}, which the rule "{part}" names', error.expected, error.action)
    return bare(name)


def bare(name: str) -> str:
    """Without white space and quotation marks around it."""
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name


def _masked(text: str) -> str:
    """The same with what stands in quotation marks as so many x."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", lambda one: "x" * len(one[0]), text)


def _cut(text: str, mark: str | re.Pattern[str]) -> list[str]:
    """The text cut at a mark outside of quotation marks."""
    found, at = list[str](), 0
    pattern = re.compile(re.escape(mark)) if isinstance(mark, str) else mark
    for one in pattern.finditer(_masked(text)):
        found.append(text[at : one.start()].strip())
        at = one.end()
    return [*found, text[at:].strip()]


def _marks(text: str) -> list[str]:
    return _COMPARES.findall(_masked(text))
