"""How fast the built-in world is drawn, in pictures per second on one core.

    OMP_NUM_THREADS=1 python bench/menagerie_rate.py

Expected on one core of an AMD EPYC server shared with other work: about 12,000 at 28 x 28 grey (the target is 3,000),
2,300 at 64 x 64 colour, 550 at 128 x 128 colour; the best of three runs is printed.
"""

from __future__ import annotations

import time

from morelike.data.menagerie import pictures


def rate(n: int, size: int, colour: bool) -> float:
    """Pictures per second, factors included: the best of three runs over different animals."""
    best = float("inf")
    for run in range(3):
        begin = time.perf_counter()
        pictures(n, size, colour, seed=1, start=run * n)
        best = min(best, time.perf_counter() - begin)
    return n / best


if __name__ == "__main__":
    for n, size, colour in ((8000, 28, False), (2000, 64, True), (500, 128, True)):
        print(f"{size:3d} x {size:3d} {'colour' if colour else 'grey  '} {rate(n, size, colour):8,.0f} pictures/s")
