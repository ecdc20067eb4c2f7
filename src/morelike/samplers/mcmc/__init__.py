"""Markov chain Monte Carlo: kernels over a batch of chains (their names are those of files), warm-up, diagnostics."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from morelike.core.errors import unknown

if TYPE_CHECKING:
    from morelike.samplers.mcmc.kernel import Kernel


def kernel_of(kernel: str | Kernel) -> Kernel:
    """A kernel by the name of its file, with its usual options, or itself."""
    if not isinstance(kernel, str):
        return kernel
    if kernel not in kernels():
        raise unknown("kernel", kernel, kernels())
    return import_module(f"morelike.samplers.mcmc.{kernel}").Kernel()


def kernels() -> list[str]:
    """The names that `kernel_of` knows."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stem for path in files if "\nclass Kernel:" in path.read_text(encoding="utf-8")]
