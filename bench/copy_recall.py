"""Are changed copies found, and is nothing else called a copy? Known changes on real data, by source.

    python bench/copy_recall.py --cache FOLDER [SOURCE ...]

Training items are returned with a grey level of noise, more noise, compression, a shift by a pixel, mirrored. On the
other side are items that copy nothing: held-out ones, these blurred or with noise, the mean of two, means of classes.

Expected: copies with a grey level, JPEG at quality 75, a shift and a mirror: at least 85 % found, most of them at 99 %;
items that copy nothing: at most 1.5 % called copies; the mean of a training item and its nearest neighbour, which is
between both: less than half.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
import torch.nn.functional as F
from machine import table, tell, verdict
from PIL import Image
from real import Real, features, real
from torch import Tensor

from morelike.measure.copies import Items, Judged, Rule
from morelike.measure.nearest import nearest

SOURCES = ("menagerie", "fashion_mnist", "mnist", "quickdraw_animals", "animal_photos")
COUNT = 600
FOUND, CALLED = 0.85, 0.015


def compressed(x: Tensor, quality: int) -> Tensor:
    """What JPEG leaves of (n, C, H, W) in [-1, 1]."""
    out = []
    for one in ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy():
        file = io.BytesIO()
        Image.fromarray(one[0] if len(one) == 1 else one.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
        back = np.asarray(Image.open(file))
        out.append(torch.from_numpy(back[None] if back.ndim == 2 else back.transpose(2, 0, 1).copy()))
    return torch.stack(out).float() / 127.5 - 1


def shifted(x: Tensor, dy: int, dx: int) -> Tensor:
    """Moved by a pixel; what comes in repeats the edge."""
    height, width = x.shape[2:]
    return F.pad(x, (1, 1, 1, 1), mode="replicate")[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def blurred(x: Tensor, width: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, [width // 2] * 4, mode="replicate"), width, 1)


def noise(x: Tensor, size: float) -> Tensor:
    return x + size * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "as they are": lambda x: x,
    "1 grey level": lambda x: x + torch.randint(-1, 2, x.shape, generator=torch.Generator().manual_seed(2)) / 127.5,
    "JPEG 75": lambda x: compressed(x, 75),
    "1 pixel across": lambda x: shifted(x, 0, 1),
    "1 pixel down": lambda x: shifted(x, -1, 0),
    "mirrored": lambda x: x.flip(-1),
    "JPEG 30": lambda x: compressed(x, 30),
    "noise 0.1": lambda x: noise(x, 0.1),
    "noise 0.1, 1 pixel": lambda x: shifted(noise(x, 0.1), 0, 1),
    "10 % darker": lambda x: (x + 1) * 0.9 - 1,
}
MUST = ("as they are", "1 grey level", "JPEG 75", "1 pixel across", "1 pixel down", "mirrored")


def originals(found: Real, rng: torch.Generator) -> dict[str, Tensor]:
    """Sets that copy no training item, and one that half does."""
    held, train = found.held[:COUNT], found.train
    one, two = (train[torch.randint(len(train), (COUNT,), generator=rng)] for _ in range(2))
    small = F.adaptive_avg_pool2d(train, 12).flatten(1)
    near = nearest(F.adaptive_avg_pool2d(one, 12).flatten(1), small, 2)[1][:, 1]
    made = {
        "held-out": held, "held-out, blurred 3": blurred(held, 3), "held-out, blurred 5": blurred(held, 5),
        "held-out, noise 0.1": noise(held, 0.1), "held-out, mirrored": held.flip(-1), "two held-out mixed":
        (held + held.roll(1, 0)) / 2, "two training mixed": (one + two) / 2,
    }  # fmt: skip
    labels = found.train_labels
    if labels is not None:
        made["class means"] = torch.stack([train[labels == label].mean(0) for label in labels.unique()])
    return made | {"with its neighbour": (one + train[near]) / 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the learned features")
    parser.add_argument("sources", nargs="*", default=SOURCES)
    given = parser.parse_args()
    rows: dict[str, list[object]] = {}
    good = True
    for source in given.sources:
        found, rng = real(source), torch.Generator().manual_seed(1)
        learned = features(found, given.cache)[0]

        def items(x: Tensor) -> Items:
            return Items(x, learned(x))  # noqa: B023

        half = len(found.held) // 2
        rule = Rule(items(found.train), items(found.held[half:]), found.spec)
        found = found._replace(held=found.held[:half])
        source_rows = torch.randint(len(found.train), (COUNT,), generator=rng)
        made = {name: change(found.train[source_rows]) for name, change in CHANGES.items()} | originals(found, rng)
        for name, x in made.items():
            judged: Judged = rule.judge(items(x))
            share = float(judged.copy.double().mean())
            rows.setdefault(name, []).append(share)
            good &= share >= FOUND if name in MUST else share <= (0.5 if name.startswith("with") else CALLED) or (
                name in CHANGES or share * len(x) <= 2)  # fmt: skip
            tell("copy_recall", source=source, made=name, copies=round(share, 4), limit=rule.limit)
    table(["made of", *given.sources], [[name, *shares] for name, shares in rows.items()])
    print(f"\nchanged copies are found, and nothing else is called a copy: {verdict(good)}")


if __name__ == "__main__":
    main()
