"""Budgets: how long a run may take, and the plan that turns minutes into steps and keeps its promise.

Schedules depend on the fraction of the budget spent. That fraction must not depend on the clock, or a resumed run
could not repeat the uninterrupted one: so minutes become steps when the plan is made, every change of the plan is
recorded before it takes effect, and a resumed run follows the record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Revision:
    """From `step` on, at which `fraction` of the budget was spent, the run is to end with step number `steps`."""

    step: int
    fraction: float
    steps: int


@dataclass
class Plan:
    """The schedule's clock: a piecewise linear map from steps to the fraction of the budget spent."""

    revisions: list[Revision] = field(default_factory=list)

    @classmethod
    def of(cls, steps: int) -> Plan:
        return cls([Revision(0, 0.0, max(1, steps))])

    @property
    def steps(self) -> int:
        return self.revisions[-1].steps

    def fraction(self, step: int) -> float:
        """Share of the budget spent before `step`, in [0, 1]."""
        now = self.revisions[0]
        for revision in self.revisions[1:]:
            if revision.step <= step:
                now = revision
        left = max(1, now.steps - now.step)
        return min(1.0, now.fraction + (1 - now.fraction) * (step - now.step) / left)

    def revise(self, step: int, steps: int) -> Revision:
        """Move the end to `steps`, keeping the fraction continuous."""
        revision = Revision(step, self.fraction(step), max(step + 1, steps))
        self.revisions.append(revision)
        return revision


def read_plan(path: Path) -> Plan | None:
    """The recorded plan; a last line cut off by a crash never took effect and is ignored."""
    if not path.exists():
        return None
    revisions = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            revision = Revision(**json.loads(line))
            if not line.endswith(b"\n") or not 0 <= revision.step < revision.steps or not 0 <= revision.fraction <= 1:
                break
        except (ValueError, TypeError):
            break
        revisions.append(revision)
    return Plan(revisions) if revisions else None


def record(path: Path, revisions: Iterable[Revision]) -> None:
    """Append revisions durably, before they take effect; a line that a crash cut off goes first."""
    lines = "".join(json.dumps(asdict(revision)) + "\n" for revision in revisions)
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)  # or the new line would be joined to it, and lost with it
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())


@dataclass
class Pace:
    """Decides when the end must move so that the run lands on its deadline.

    deadline  seconds of the run's own clock at which training has to be over
    """

    deadline: float
    checked: float = 0.0
    started: tuple[float, int] | None = None

    def revised_end(self, seconds: float, step: int, plan: Plan) -> int | None:
        """The number of steps that would end on the deadline, or None while the plan is good enough.

        The rate is that since the last check, so that a machine that has just become busy is noticed; the tolerance
        narrows as the end comes near.
        """
        if self.started is None:
            self.started, self.checked = (seconds, step), seconds
            return None
        left = self.deadline - seconds
        if seconds - self.checked < min(max(0.03 * self.deadline, 1.0), max(left / 3, 0.3)) or step == self.started[1]:
            return None
        rate = (step - self.started[1]) / (seconds - self.started[0])
        self.started, self.checked = (seconds, step), seconds
        end = step + max(1, round(rate * left))
        drift = abs(end - plan.steps) / max(1, plan.steps - step)
        return end if drift > 0.03 else None
