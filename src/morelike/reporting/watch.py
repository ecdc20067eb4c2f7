"""Tells what stage a report is in, and remembers how long each took."""

from __future__ import annotations

import time

from morelike.reporting.items import Tell

STAGES = {  # what the measures call their stages, in words for a user
    "features": "Looking at the items", "figures": "Measuring", "classes": "Measuring class by class",
    "likelihood": "Measuring the likelihood", "predictions": "Predicting columns",
    "texts": "Reading the texts", "novelty": "Looking for copies", "self-test": "Testing the measures",
}  # fmt: skip


class Watch:
    """A function of stage and fraction that passes both on; `seconds` is the time that each stage took.

    The time since the last call belongs to the stage that says that some of it is done, or, where a stage only begins,
    to the one before.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell, self._last, self._stage = tell, time.perf_counter(), ""
        self._took: dict[str, float] = {}

    def __call__(self, stage: str, fraction: float) -> None:
        stage, now = STAGES.get(stage, stage), time.perf_counter()
        owner = stage if fraction > 0 else self._stage or stage
        self._took[owner] = self._took.get(owner, 0.0) + now - self._last
        self._stage, self._last = stage, now
        self._tell(stage, min(max(fraction, 0.0), 1.0))

    def seconds(self) -> dict[str, float]:
        """Seconds by stage, and in all."""
        took = {stage: round(seconds, 2) for stage, seconds in self._took.items()}
        return took | {"all": round(sum(self._took.values()), 2)}
