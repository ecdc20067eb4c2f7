"""Does training wait for its data? The loader's stall as a share of the step time, at 28x28 and 64x64.

    python bench/loader_stall.py [--seconds 20] [--quick]

The modern GAN (width 32, batch 64) trains from the prepared cache as `morelike fit` does: on the built-in world at
28x28 grey, and on photos (animal_photos; the built-in world where the shared data is missing) at 64x64 in colour, each
as it is and with every augmentation. Stall is the time spent waiting for the next batch. Since the loader's thread also
takes CPU time from training, the step is compared with one on a batch that is ready; the two take turns, sixteen steps
each.

Expected (two cores): stall at most 5 % of a step in every row.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from data import SHARED
from machine import Watch, table, tell, verdict

from morelike.codecs import image
from morelike.core.spec import Batch
from morelike.data.augment import Augment
from morelike.data.cache import Dataset, build
from morelike.data.loader import Loader, Prefetch
from morelike.data.sources import open_source
from morelike.families import gan
from morelike.train.game import Game

TARGET, BLOCK = 0.05, 16  # sixteen steps hold two penalties of the modern GAN


def prepared(source: str, size: int, root: Path) -> tuple[image.Codec, Dataset]:
    opened = open_source(source)
    codec = image.Codec(image.Config(size=(size, size))).fit(opened.items)
    return codec, build(opened, codec, root)


def turns(game: Game, batches: Iterator[Batch], begin: int) -> float:
    """Seconds of one block of steps."""
    started = time.perf_counter()
    for step in range(begin, begin + BLOCK):
        game.turn(next(batches), step, 0.5)
    return time.perf_counter() - started


def stall(codec: image.Codec, data: Dataset, augment: Augment | None, width: int, seconds: float) -> dict[str, Any]:
    """Stall, seconds and step times of so many seconds of training."""
    loader = Loader(data.x, {}, np.arange(len(data)), 64, 0, codec, augment)
    game = Game(gan.Model(codec.spec("rsample"), gan.Config(width=width)))
    fixed = repeat(loader.batch(0))
    turns(game, fixed, 0)  # first steps are slower
    loaded, ready, stalled = [], [], 0.0
    with loader.iterate() as batches:
        assert isinstance(batches, Prefetch)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds or not ready:
            for _ in range(3):  # batches that were made while the other block ran
                game.turn(next(batches), 1, 0.5)
            before = batches.stall
            loaded.append(turns(game, batches, 0))
            stalled += batches.stall - before
            ready.append(turns(game, fixed, 0))
    medians = [1000 * float(np.median(times)) / BLOCK for times in (loaded, ready)]
    return {"stall": stalled / sum(loaded), "loaded_ms": medians[0], "ready_ms": medians[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of each row")
    parser.add_argument("--quick", action="store_true", help="narrow nets and short rows: a smoke test")
    given = parser.parse_args()
    seconds, width = (0.5, 8) if given.quick else (given.seconds, 32)
    photos = SHARED / "animal_photos"
    sources = [("menagerie:3000", 28), (str(photos) if photos.is_dir() else "menagerie:3000:64:colour", 64)]
    sources = [("menagerie:300", 28), ("menagerie:300:64:colour", 64)] if given.quick else sources
    rows, figures, watch = [], {}, Watch()
    with tempfile.TemporaryDirectory(prefix="loader-") as root:
        for source, size in sources:
            codec, data = prepared(source, size, Path(root))
            for words in ("none", "flip,crop,rotate,scale,colour"):
                augment = None if words == "none" else Augment.parse(words)
                found = stall(codec, data, augment, width, seconds)
                name = f"{size}x{size} {Path(source).name.split(':')[0]}, {'as is' if augment is None else 'augmented'}"
                slower = found["loaded_ms"] / found["ready_ms"] - 1
                rows.append([name, f"{100 * found['stall']:.2f}", f"{found['loaded_ms']:.1f}",
                             f"{found['ready_ms']:.1f}", f"{100 * slower:+.1f}"])  # fmt: skip
                figures[name] = {one: round(value, 4) for one, value in found.items()}
    table(["", "stall %", "ms/step, loader", "ms/step, ready batch", "slower %"], rows)
    worst = max(one["stall"] for one in figures.values())
    print(f"stall at most {TARGET:.0%} of a step: {verdict(worst <= TARGET)} (worst {worst:.1%})")
    tell("loader_stall", rows=figures, others=watch.others())


if __name__ == "__main__":
    main()
