"""What a run cost: time, memory, FLOPs and energy, each with its unit, and with the method where it is an estimate."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

WATTS = (4.0, 8.0, 15.0)  # of one busy thread: least, assumed, most; server parts are near the least, desktops the most
GPU_SHARE = (0.3, 0.6, 1.0)  # of its rated power that a GPU draws while it trains: least, assumed, most
GPU_WATTS = {  # rated power by a word of the name, from the makers' data sheets
    "B200": 1000, "H200": 700, "H100": 700, "A100": 400, "V100": 300, "P100": 250, "L40": 300, "L4": 72, "A40": 300,
    "A10": 150, "T4": 70, "5090": 575, "4090": 450, "4080": 320, "4070": 200, "4060": 115, "3090": 350, "3080": 320,
    "3070": 220, "3060": 170, "2080": 215, "1080": 180,
}  # fmt: skip
UNKNOWN_GPU = 250.0  # watts
FLOPS = (
    "Convolutions, matrix products and attention of training steps, forward and backward; a product and a sum are two."
)
JOULES_PER_KWH = 3.6e6


class Energy(NamedTuple):
    """Joules: lowest, best guess and highest, and how they were found."""

    low: float
    value: float
    high: float
    method: str


def cost(run: Path) -> dict[str, Any]:
    """What a run has cost so far, all its parts together: a number with its unit in the name, or None.

    wall_seconds, cpu_seconds      time of the whole run but for reports; CPU seconds count every thread
    threads, processor, gpu        what it ran on
    peak_memory_mb                 the most that the process held, and gpu_peak_memory_mb on the GPU (10^6 bytes)
    steps, examples, examples_per_second
    flops_per_step, flops, flops_per_second   counted, not estimated; `flops_method` says what is in them
    energy_kwh, energy_kwh_low, energy_kwh_high   an estimate unless metered; `energy_method` says how it was made
    missing                        why a number is None, by name

    It is read from cost.json, which training writes whenever it saves.
    """
    kept = _record(run / "cost.json")
    wall, steps, batch = kept.get("seconds"), kept.get("step"), kept.get("batch")
    each = kept.get("flops_per_step")
    examples = steps * batch if steps is not None and batch is not None else None
    flops = each * steps if each is not None and steps is not None else None
    energy = _energy(kept)
    found: dict[str, Any] = {
        "wall_seconds": wall, "cpu_seconds": kept.get("cpu_seconds"), "threads": kept.get("threads"),
        "processor": kept.get("processor"), "gpu": kept.get("gpu"),
        "peak_memory_mb": _scaled(kept.get("peak_memory"), 1e6),
        "gpu_peak_memory_mb": _scaled(kept.get("gpu_peak_memory"), 1e6),
        "steps": steps, "examples": examples, "examples_per_second": _scaled(examples, wall),
        "flops_per_step": each, "flops": flops, "flops_per_second": _scaled(flops, wall), "flops_method": FLOPS,
        "energy_kwh": _scaled(energy and energy.value, JOULES_PER_KWH),
        "energy_kwh_low": _scaled(energy and energy.low, JOULES_PER_KWH),
        "energy_kwh_high": _scaled(energy and energy.high, JOULES_PER_KWH),
        "energy_method": energy.method if energy else "",
    }  # fmt: skip
    return found | {"missing": _missing(found, bool(kept))}


def _record(path: Path) -> dict[str, Any]:
    """The numbers and words in cost.json that make sense; nothing where there is no such file or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    numbers = {n: v for n, v in kept.items() if isinstance(v, int | float) and math.isfinite(v) and v >= 0}
    return numbers | {name: kept[name] for name in ("processor", "gpu") if isinstance(kept.get(name), str)}


def _scaled(value: float | None, by: float | None) -> float | None:
    """value / by, to four digits; None where there is nothing to divide."""
    return float(f"{value / by:.4g}") if value is not None and by else None


def _missing(found: Mapping[str, Any], there: bool) -> dict[str, str]:
    """Why a number is None."""
    if not there:
        why = "cost.json is missing or damaged: the run was made by an older version, or ended before its first save"
        return {name: why for name, value in found.items() if value is None}
    reasons = {
        "peak_memory_mb": "this system does not say how much memory a process has held",
        "flops_per_step": "no step was counted", "flops": "no step was counted",
        "energy_kwh": "the CPU seconds are not known",
    }  # fmt: skip
    return {name: why for name, why in reasons.items() if found[name] is None}


def _energy(kept: Mapping[str, Any]) -> Energy | None:
    """Energy of processor and GPU together; None where nothing is known of the time."""
    parts = [_processor(kept)] + ([_gpu(kept)] if kept.get("gpu") else [])
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    said = " ".join(part.method for part in known)
    low, value, high = (sum(joules) for joules in zip(*(part[:3] for part in known), strict=True))
    return Energy(low, value, high, f"{said} Disks, screen and losses of the power supply are not in it.")


def _processor(kept: Mapping[str, Any]) -> Energy | None:
    seconds, wall, joules = kept.get("cpu_seconds"), kept.get("seconds"), kept.get("processor_joules")
    if seconds is None:
        return None
    if joules is not None and wall:
        share = min(1.0, seconds / (wall * max(1, kept.get("cores", 1))))
        return Energy(
            share * joules, (share + 1) / 2 * joules, joules,
            f"Processor: metered (RAPL) at {joules:,.0f} J for all that ran on it, {share:.0%} of its time for this "
            "run; the range is from that share to all.",
        )  # fmt: skip
    low, middle, high = (watts * seconds for watts in WATTS)
    return Energy(
        low, middle, high,
        f"Processor: estimated, {seconds:,.0f} CPU seconds at {WATTS[1]:g} W ({WATTS[0]:g} to {WATTS[2]:g} W), because "
        "its meter cannot be read here.",
    )  # fmt: skip


def _gpu(kept: Mapping[str, Any]) -> Energy | None:
    wall, joules, name = kept.get("seconds"), kept.get("gpu_joules"), str(kept["gpu"])
    if joules is not None:
        return Energy(joules, joules, joules, f"GPU: metered by the card (NVML), {joules:,.0f} J.")
    if wall is None:
        return None
    words = re.findall(r"[A-Z]*\d+", name.upper())
    watts = next((float(GPU_WATTS[word]) for word in words if word in GPU_WATTS), None)
    rated = f"the {watts:g} W that it is rated at" if watts else f"{UNKNOWN_GPU:g} W, a guess,"
    low, middle, high = (share * (watts or UNKNOWN_GPU) * wall for share in GPU_SHARE)
    return Energy(
        low, middle, high,
        f"GPU: estimated, {GPU_SHARE[1]:.0%} ({GPU_SHARE[0]:.0%} to {GPU_SHARE[2]:.0%}) of {rated} over {wall:,.0f} s, "
        "because the card was not asked (package nvidia-ml-py).",
    )  # fmt: skip
