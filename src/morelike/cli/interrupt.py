"""Ctrl-C: the first lets the step end and saves, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

STAGES_WITH_A_STATE = {"train", "finish"}


class Interrupt:
    """Turns SIGINT and SIGTERM into a request to the training loop to finish its step and save.

    Before training there is nothing to save, so there the first signal stops at once. `stage` is kept up to date by
    whoever iterates over the progress; `say` tells the user. Outside the main thread, where Python allows no handlers,
    it does nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.stage = ""
        self._say = say
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if loop := sys.modules.get("morelike.train.loop"):
            loop.stop.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, number
        loop = sys.modules.get("morelike.train.loop")
        if first and loop is not None and self.stage in STAGES_WITH_A_STATE:
            loop.stop.set()
            with suppress(RuntimeError):  # the signal may have come in the middle of another line
                self._say("Finishing this step and saving. Ctrl-C again stops at once.")
            return
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)  # should the clean-up hang, a third one ends the process
        raise KeyboardInterrupt
