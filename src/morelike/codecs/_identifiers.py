"""What names the rows of a table: its pattern, and new ones in that pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import gcd, prod

CLASSES = {"%d": "0123456789", "%u": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "%l": "abcdefghijklmnopqrstuvwxyz",
           "%x": "0123456789abcdef", "%X": "0123456789ABCDEF"}  # fmt: skip
_ALNUM = re.compile(r"[^\W_]")


def pattern_of(values: Sequence[str]) -> str:
    """What stands at each place of identifiers that have signs where most have them: %d a digit, %u %l a letter,
    %x %X a digit of base 16, =c always c."""
    shapes = [_ALNUM.sub("a", one) for one in values]
    usual = Counter(shapes).most_common(1)[0][0]
    alike = [one for one, shape in zip(values, shapes, strict=True) if shape == usual]
    found = []
    for place in range(min(len(usual), 200)):
        here = {one[place] for one in alike}
        if len(here) == 1:
            found.append("=" + here.pop())
        elif all(char in "0123456789" for char in here):
            found.append("%d")
        elif all(char in "0123456789abcdef" for char in here):
            found.append("%x")
        elif all(char in "0123456789ABCDEF" for char in here):
            found.append("%X")
        else:
            letters = "".join(here)
            found.append("%l" if letters.islower() else "%u")
    return "".join(found)


def counted(numbers: Sequence[int], low: int, high: int, in_order: bool) -> list[int]:
    """Different whole numbers for different ones, between low and high as long as these suffice.

    A number k gives (a k) mod n in a place of n, with a coprime to n, so that the order of the rows is not that of the
    identifiers; with a = 1 where it is so in the table.
    """
    n = high - low + 1
    a = 1 if in_order else coprime(n)
    return [low + (a * k) % n + k // n * n for k in map(int, numbers)]


def spelt(numbers: Sequence[int], pattern: str) -> list[str]:
    """Different texts in a pattern for different numbers; where it has no more, with digits before what varies."""
    alphabets = _alphabets(pattern)
    n, varied = prod(map(len, alphabets)), next((i for i, one in enumerate(alphabets) if len(one) > 1), len(alphabets))
    a, made = coprime(n), list[str]()
    for k in map(int, numbers):
        rest, letters = (a * (k + 1)) % n, list[str]()
        for alphabet in reversed(alphabets):
            rest, digit = divmod(rest, len(alphabet))
            letters.append(alphabet[digit])
        letters.insert(len(letters) - varied, str(k // n) if k >= n else "")
        made.append("".join(reversed(letters)))
    return made


def capacity(pattern: str) -> int:
    """How many texts there are in a pattern."""
    return prod(map(len, _alphabets(pattern)))


def _alphabets(pattern: str) -> list[str]:
    return [CLASSES.get(mark, mark[1]) for mark in (pattern[at : at + 2] for at in range(0, len(pattern), 2))]


def coprime(n: int) -> int:
    """A number near 0.618 n that has no divisor in common with n."""
    a = max(1, int(n * 0.6180339887))
    while gcd(a, n) != 1:
        a += 1
    return a
