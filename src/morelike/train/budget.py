"""Budgets: how long a run may take, and the plan that turns minutes into steps and keeps its promise.

Schedules depend on the fraction of the budget spent. That fraction must not depend on the clock, or a resumed run
could not repeat the uninterrupted one: so minutes become steps when the plan is made, every change of the plan is
recorded before it takes effect, and a resumed run follows the record.
"""

from __future__ import annotations

import json
import os
from collections import deque
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
    if not path.is_file():
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
    seen      (seconds, step) at the last few checks; the rate is that since the oldest of them, so that neither a
              picture that was drawn nor a moment of other load moves the end, but a machine that stays busy does
    """

    deadline: float
    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=5))

    def revised_end(self, seconds: float, step: int, plan: Plan) -> int | None:
        """The number of steps that would end on the deadline, or None while the plan is good enough."""
        left = self.deadline - seconds
        if self.seen and (seconds - self.seen[-1][0] < self._pause(left) or step == self.seen[-1][1]):
            return None
        self.seen.append((seconds, step))
        if len(self.seen) < 2:
            return None
        began, first = self.seen[0]
        end = step + max(1, round((step - first) / (seconds - began) * left))
        return end if abs(end - plan.steps) > 0.04 * max(1, plan.steps - step) else None

    def _pause(self, left: float) -> float:
        """Seconds between two checks: rarer in long runs, closer together near the end."""
        return min(max(0.03 * self.deadline, 1.0), max(left / 4, 0.3))
