"""What a user sees of a run in progress: a live display, plain lines, or JSON lines for machines."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

    from morelike.train.loop import Progress

STAGES = {
    "collect": "Collecting", "prepare": "Preparing", "plan": "Planning", "train": "Training", "finish": "Finishing",
    "done": "Done", "stopped": "Stopped",
}  # fmt: skip
REDRAW_SECONDS, LINE_SECONDS = 0.15, 10.0


class Display(Protocol):
    """Shows progress events, one after the other, between `with` and its end."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *error: object) -> None: ...
    def show(self, event: Progress) -> None: ...
    def say(self, line: str) -> None: ...


def display(machine: bool = False) -> Display:
    """The right display for where standard output goes: a terminal, a file or pipe, or a machine."""
    if machine:
        return JsonLines()
    return Live() if sys.stdout.isatty() else Lines()


def clock(seconds: float) -> str:
    """Seconds as people write them: 9 s, 1:40, 2:05:00."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def rate(event: Progress) -> str:
    """The speed of training in words: 1,204 examples/s."""
    return f"{event.rate:,.0f} examples/s" if event.rate >= 10 else f"{event.rate:.2g} examples/s"


def steps(event: Progress) -> str:
    """How far training is: step 30 of 60."""
    return f"step {event.step:,} of {event.steps:,}" if event.steps else f"step {event.step:,}"


def losses(log: Mapping[str, float]) -> str:
    """Named figures in one line: critic 0.693  generator 1.2."""
    return "  ".join(f"{name} {value:.4g}" for name, value in log.items())


class Lines:
    """A plain line every ten seconds, and at once for every note and every new stage."""

    def __init__(self) -> None:
        self._stage, self._next = "", 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def say(self, line: str) -> None:
        print(line, flush=True)

    def show(self, event: Progress) -> None:
        if event.note:
            self.say(event.note)
        if (event.note and not event.step) or (event.stage == self._stage and time.monotonic() < self._next):
            return
        self._stage, self._next = event.stage, time.monotonic() + LINE_SECONDS
        self.say("  ".join(part for part in self._parts(event) if part))

    def _parts(self, event: Progress) -> list[str]:
        title = STAGES.get(event.stage, event.stage)
        if event.stage in ("done", "stopped"):
            return [title, f"after {clock(event.seconds)}"]
        head = [title, f"{100 * event.fraction:.0f} %" if event.fraction else ""]
        if event.stage != "train" or not event.step:
            return head
        picture = f"picture {event.picture}" if event.picture else ""
        return [*head, steps(event), rate(event), f"{clock(event.seconds_left)} left", losses(event.log), picture]


class Silence(Lines):
    """Shows nothing."""

    def say(self, line: str) -> None:
        pass


class JsonLines(Silence):
    """One JSON object per line, for machines: {"event": "progress", "step": 120, ...}."""

    def show(self, event: Progress) -> None:
        self.emit("progress", vars(event))

    def emit(self, event: str, values: Mapping[str, Any]) -> None:
        """Print one event; numbers that JSON cannot hold become null, paths become text."""
        print(json.dumps({"event": event, **plain(values)}, ensure_ascii=False, allow_nan=False), flush=True)


def plain(value: Any) -> Any:
    """The same value in JSON's own kinds."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None


class Live:
    """A display redrawn in place: stage, bar, losses, rate, time left, newest picture; notes scroll above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Area

        self._console = Console(highlight=False)
        self._area = Area(console=self._console, auto_refresh=False, transient=True)
        self._stage, self._next = "", 0.0
        self._picture: str | None = None
        self._log: Mapping[str, float] = {}

    def __enter__(self) -> Live:
        self._area.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._area.stop()

    def say(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text(line), soft_wrap=True)

    def show(self, event: Progress) -> None:
        if event.note:
            self.say(event.note)
        self._picture, self._log = event.picture or self._picture, event.log or self._log
        if event.stage == self._stage and time.monotonic() < self._next:
            return
        self._stage, self._next = event.stage, time.monotonic() + REDRAW_SECONDS
        self._area.update(self._draw(event), refresh=True)

    def _draw(self, event: Progress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        title = Text(STAGES.get(event.stage, event.stage), style="bold")
        if not event.fraction:
            return title
        row.add_row(title, ProgressBar(1.0, event.fraction, width=32), Text(f"{100 * event.fraction:3.0f} %"))
        lines: list[RenderableType] = [row]
        if event.stage == "train" and event.step:
            lines.append(Text(f"{steps(event)}, {rate(event)}, {clock(event.seconds_left)} left"))
        if self._log:
            lines.append(Text(losses(self._log), style="dim"))
        if self._picture:
            lines.append(Text(f"newest picture: {self._picture}", style="dim"))
        return Group(*lines)
