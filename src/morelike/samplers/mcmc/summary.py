"""Draws as a table: what they say of each number, and what that is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from morelike.samplers.mcmc import diagnostics
from morelike.samplers.mcmc._evidence import ESS, RHAT

SHOWN = 60  # rows that are printed
HEAD = ("", "mean", "sd", "mcse", "5 %", "50 %", "95 %", "R-hat ", "bulk ESS ", "tail ESS ", "")


class Row(NamedTuple):
    """One number of one parameter; the fields are those of `diagnostics.Figures`."""

    name: str
    mean: float
    sd: float
    mcse: float
    q5: float
    q50: float
    q95: float
    rhat: float
    ess_bulk: float
    ess_tail: float

    @property
    def doubts(self) -> frozenset[str]:
        """Names of the figures that are too bad to rely on (Vehtari et al. 2021, section 5): unknown ones are."""
        bad = {name for name in ("ess_bulk", "ess_tail") if not getattr(self, name) >= ESS}
        return frozenset(bad | ({"rhat"} if not self.rhat <= RHAT else set()))


@dataclass(frozen=True)
class Summary:
    """A row for each number, in the order of the parameters; `worst` has the most doubtful ones first."""

    rows: tuple[Row, ...]
    chains: int
    draws: int

    def __iter__(self):
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def worst(self) -> list[Row]:
        """Rows by R-hat, unknown ones first; those that agree by the lesser effective size."""

        def badness(row: Row) -> tuple[float, float]:
            r = math.inf if math.isnan(row.rhat) else row.rhat
            ess = min(row.ess_bulk, row.ess_tail)
            return max(r, RHAT), -(0.0 if math.isnan(ess) else ess)

        return sorted(self.rows, key=badness, reverse=True)

    def __str__(self) -> str:
        """The table; figures that are too bad are marked, and values have the digits that their error allows."""
        cells = [HEAD, *(_cells(row) for row in self.rows[:SHOWN])]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(_padded(line, widths)).rstrip() for line in cells]
        if len(self.rows) > SHOWN:
            lines.append(f"and {len(self.rows) - SHOWN:,} more")
        return "\n".join(lines)


def summarise(values: Mapping[str, diagnostics.Values]) -> Summary:
    """The table of draws, name -> (chains, draws, *shape)."""
    names, x = diagnostics.columns(values)  # (P, C, N)
    found = diagnostics.figures(np.moveaxis(x, 0, 2))
    rows = (Row(name, *map(float, figures)) for name, *figures in zip(names, *found, strict=True))
    return Summary(tuple(rows), *x.shape[1:])


def digits(row: Row) -> int:
    """Decimals that are worth showing: down to the first digit of the Monte Carlo error; negative for large numbers."""
    if row.mcse > 0 and math.isfinite(row.mcse):
        return min(12, -math.floor(math.log10(row.mcse)))
    scale = abs(row.mean) if math.isfinite(row.mean) and row.mean else 1.0
    return min(12, 2 - math.floor(math.log10(scale)))


def rounded(value: float, decimals: int) -> str:
    """A number with so many decimals, or as a power of ten where there would be too many."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if decimals > 6:
        return f"{value:.2e}"
    return f"{round(value, decimals) + 0.0:,.{max(0, decimals)}f}"


def _cells(row: Row) -> tuple[str, ...]:
    d, bad = digits(row), row.doubts
    numbers = [rounded(value, d) for value in (row.mean, row.sd)]
    numbers += [rounded(row.mcse, d + 1), *(rounded(value, d) for value in (row.q5, row.q50, row.q95))]
    judged = [("rhat", rounded(row.rhat, 3 if row.rhat < 10 else 0)),
              ("ess_bulk", rounded(row.ess_bulk, 0)), ("ess_tail", rounded(row.ess_tail, 0))]  # fmt: skip
    marked = [text + ("!" if name in bad else " ") for name, text in judged]
    return row.name, *numbers, *marked, "doubtful" if bad else ""


def _padded(line: tuple[str, ...], widths: list[int]) -> list[str]:
    name, *numbers, last = line
    return [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:-1]), last]
