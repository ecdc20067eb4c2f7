"""Following a run from its first event to its last, for the command line and for Python."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from morelike.cli.display import Display, Silence, display
from morelike.cli.interrupt import Interrupt

if TYPE_CHECKING:
    from morelike.train.loop import Progress


def watch(events: Iterable[Progress], shown: Display) -> tuple[Path, int | None]:
    """Hand every event to a display; return the run folder, and the signal that ended the run early, if one did."""
    out = ""
    with Interrupt(shown.say) as interrupt, shown:
        for event in events:
            interrupt.stage = event.stage
            out = event.run or out
            shown.show(event)
    return Path(out), None if interrupt.stage == "done" else interrupt.signal


def follow(events: Iterable[Progress], show: bool = True) -> Path:
    """Follow a run for a Python program; returns the run folder, or raises KeyboardInterrupt once it is saved."""
    out, stopped_by = watch(events, display() if show else Silence())
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt(f'Continue with: morelike.resume("{out}")')
    if stopped_by is not None:
        raise SystemExit(128 + stopped_by)
    return out
