"""Settings of threads and memory that must be made before torch is loaded."""

from __future__ import annotations

import ctypes
import os
from threading import Thread

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of malloc.h


def quiet_threads() -> None:
    """Make OpenMP threads give way while they wait, so that a busy machine is not slowed by spinning.

    Acts only on variables that the user has not set, and only before torch is imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def keep_memory() -> None:
    """Let the C library keep up to 2 GiB of what is freed, for the system takes long to clear it when it is asked anew.

    Arrays of a few megabytes that come and go otherwise cost a page fault for each 4 KiB of them, every time. Acts only
    in a process of our own, with glibc, and not where the user has set `MALLOC_TRIM_THRESHOLD_`.
    """
    mallopt = getattr(ctypes.CDLL(None) if os.name == "posix" else None, "mallopt", None)
    if mallopt is None or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    for option, value in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26), (_MMAP_THRESHOLD, 2**30)):
        mallopt(option, value)


def load_ahead() -> None:
    """Load torch beside what follows, which takes seconds: those in which a table is read."""

    def load() -> None:
        import torch  # noqa: F401

    Thread(target=load, daemon=True).start()
