"""What training took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from morelike.measure.page.html import grid, number

SCALES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def cost(values: Mapping[str, Any]) -> str:
    """Time, memory, operations and energy, each with how it was found, or why it is not known."""
    missing = values.get("missing") or {}
    band = [values.get(f"energy_kwh{end}") for end in ("_low", "_high")]
    speed, rate = values.get("flops_per_second"), values.get("examples_per_second")
    machine = " ".join(str(values[name]) for name in ("processor", "gpu") if values.get(name))
    rows = (
        ("Time", "wall_seconds", clock, machine),
        ("CPU time", "cpu_seconds", clock, "all threads together"),
        ("Memory, at most", "peak_memory_mb", "{:,.0f} MB".format, ""),
        ("Memory of the GPU, at most", "gpu_peak_memory_mb", "{:,.0f} MB".format, ""),
        ("Training steps", "steps", "{:,.0f}".format, ""),
        ("Examples seen", "examples", "{:,.0f}".format, f"{rate:,.0f} a second" if rate else ""),
        ("Operations", "flops", short, f"{short(speed)} a second. {values.get('flops_method', '')}" if speed else ""),
        ("Energy", "energy_kwh", lambda kwh: energy(kwh, band), values.get("energy_method", "")),
    )
    shown = [(title, values.get(name), told, says or missing.get(name, "")) for title, name, told, says in rows]
    return grid(("", "", "How it was found"), (
        [title, told(value) if value is not None else "–", f'<span class="says">{escape(str(says))}</span>']
        for title, value, told, says in shown if value is not None or says
    )) if values.get("wall_seconds") is not None else ""  # fmt: skip


def clock(seconds: float) -> str:
    """Seconds as people write them."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minute:02d} min"
    return f"{minutes} min {second:02d} s" if minutes else f"{seconds:.3g} s"


def energy(kwh: float, band: Sequence[float | None]) -> str:
    """Energy with its band, in kWh or Wh."""
    by, unit = (1.0, "kWh") if kwh >= 0.1 else (1000.0, "Wh")
    ends = [number(by * end, 2) for end in band if end is not None]
    return f"{number(by * kwh, 2)} {unit}" + (f" ({' to '.join(ends)})" if len(ends) == 2 else "")


def short(count: float) -> str:
    """A large number with the letter of its size: 3.2 T."""
    by, letter = next((by, letter) for by, letter in SCALES if count >= by or by == 1.0)
    return f"{count / by:.3g} {letter}".strip()
