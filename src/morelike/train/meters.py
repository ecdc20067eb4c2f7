"""What this process has used so far: processor time, memory, and energy where there is a meter that one may read."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")  # where Linux shows the meters of the processor


def processor_seconds() -> float:
    """CPU seconds of this process with all its threads, and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory() -> int | None:
    """The most bytes of memory that this process has held since it began; None where the system does not say."""
    with suppress(OSError):
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()):
            return 1024 * int(found[1])
    with suppress(ImportError):  # Windows has no such module
        from resource import RUSAGE_SELF, getrusage

        return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return None


def processor_name() -> str:
    """What the processor calls itself."""
    with suppress(OSError):
        if found := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()):
            return found[1].strip()
    return platform.processor() or platform.machine()


@dataclass
class Meter:
    """Joules that a counter has gone up by since this was made; the counter starts again from 0 at `limit`."""

    read: Callable[[], float]
    limit: float = 0.0
    joules: float = 0.0

    def __post_init__(self) -> None:
        self.last = self.read()

    def update(self) -> float:
        """All joules so far; to be called more often than the counter starts again (a quarter of an hour and more)."""
        now = self.read()
        self.joules += now - self.last + (self.limit if now < self.last else 0.0)
        self.last = now
        return self.joules


def processor_meters(root: Path = POWERCAP) -> list[Meter]:
    """A meter for each processor package (RAPL of Intel and AMD); none where the system does not let one read them."""
    meters = []
    for zone in sorted(root.glob("intel-rapl:[0-9]*")):
        with suppress(OSError, ValueError):
            if zone.name.count(":") > 1 or not (zone / "name").read_text().startswith("package"):
                continue  # parts of a package, or the whole machine: they would count twice
            limit = float((zone / "max_energy_range_uj").read_text()) / 1e6
            meters.append(Meter(_reader(zone / "energy_uj"), limit))
    return meters


def _reader(path: Path) -> Callable[[], float]:
    """Reads a counter of microjoules as joules."""
    return lambda: float(path.read_text()) / 1e6


def gpu_meters(device: torch.device) -> list[Meter]:
    """A meter for the GPU that is trained on, where NVIDIA's library (package nvidia-ml-py) can be asked for it."""
    if device.type != "cuda":
        return []
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return [Meter(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)]
    except Exception:  # no such library, or a driver or card that does not support it: it raises errors of its own
        return []
