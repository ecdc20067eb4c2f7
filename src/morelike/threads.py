"""Thread settings that must be made before torch is loaded."""

from __future__ import annotations

import os


def quiet_threads() -> None:
    """Make OpenMP threads give way while they wait, so that a busy machine is not slowed by spinning.

    Acts only on variables that the user has not set, and only before torch is imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
