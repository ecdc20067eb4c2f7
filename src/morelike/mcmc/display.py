"""The live display of a run of chains: how far, how well it mixes, what it accepts, how long it still takes."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from morelike.samplers.mcmc.diagnostics import Running, running
from morelike.samplers.mcmc.walk import Progress, Walk

REDRAW = 0.25  # seconds
SHARE = 0.02  # of the time goes into diagnostics at most


def show(walk: Walk, console: Console | None = None) -> None:
    """Make a run and show it on the terminal."""
    clock, judged = time.perf_counter, Judged()
    began, drawn = clock(), 0.0
    with Live(console=console or Console(stderr=True), auto_refresh=False, transient=True) as area:
        for event in walk:
            if clock() - drawn < REDRAW:
                continue
            drawn = clock()
            judged.look(walk, drawn - began)
            area.update(_lines(walk, event, drawn - began, judged), refresh=True)


class Judged:
    """The worst R-hat and the least effective size so far, looked at seldom enough to cost next to nothing."""

    def __init__(self) -> None:
        self.figures: Running | None = None
        self.spent = 0.0

    def look(self, walk: Walk, seconds: float) -> None:
        if len(walk.places) < 20 or self.spent > SHARE * seconds:
            return
        began = time.perf_counter()
        self.figures = running(walk.draws().values)
        self.spent += time.perf_counter() - began


def _lines(walk: Walk, event: Progress, seconds: float, judged: Judged) -> Group:
    steps = walk.warmup.steps + walk.steps
    done = event.done + (walk.warmup.steps if event.phase == "draws" else 0)
    row = Table.grid(padding=(0, 1))
    title = Text("Warming up" if event.phase == "warmup" else "Drawing", style="bold")
    left = seconds / done * (steps - done)
    row.add_row(title, ProgressBar(steps, done, width=32), Text(f"{done:,} of {steps:,}, about {left:.0f} s left"))
    accept = float(event.info.accept.float().mean())
    lost = sum(int(info.diverging.sum()) for info in walk.infos)
    text = f"step {float(event.tuning.step):.3g}  acceptance {accept:.2f}  lost trajectories {lost}"
    if judged.figures is not None:
        figures = judged.figures
        text += f"  worst R-hat {figures.rhat:.3f} ({figures.rhat_of})  least ESS {figures.ess:.0f} ({figures.ess_of})"
    return Group(row, Text(text, style="dim"))
