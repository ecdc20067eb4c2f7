"""x % of junk among real pictures: do clipped density and coverage read as the share of good ones?

    python bench/junk.py --cache FOLDER [--features learned|random|pca] [--made 4000] [--real 4000]

Of `--made` training pictures, 0 to 100 % in steps of 10 are replaced by junk: even noise, the other data set, or good
pictures with their pixels shuffled (each in its own way). They are compared with held-out pictures in one of three
spaces: a net trained on the training pictures (kept in FOLDER); a net with fixed random weights; the first 64 principal
components of the pixels. Both ways round: Fashion-MNIST with MNIST as junk, and MNIST with Fashion-MNIST.

Expected: both scores within 0.05 of the share of good pictures everywhere with learned and random features (measured
0.026 and 0.013). With `pca` they are not: the components cannot tell shuffled pixels from a dim digit in the middle of
the cloud, and density then welcomes them all. A score is no better than its features.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import data
import torch
from machine import table, tell, verdict
from torch import Tensor

from morelike.codecs import image
from morelike.measure.coverage import Balls, balls_of, clipped

SETS = {"fashion_mnist": data.fashion_mnist, "mnist": data.mnist}
SHARES = [step / 10 for step in range(11)]
WIDTH, SEED = 64, 20_173
See = Callable[[Tensor], Tensor]


def encoded(images: data.Images) -> Tensor:
    """uint8 (N, 28, 28) -> float (N, 1, 28, 28) from -1 to 1."""
    return torch.from_numpy(images.copy()).float().div_(127.5).sub_(1).unsqueeze(1)


def principal(x: Tensor) -> See:
    """Projection on the first principal components of x (N, *shape)."""
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    axes = torch.linalg.eigh((flat - mean).T @ (flat - mean)).eigenvectors[:, -WIDTH:]
    return lambda items: ((items.flatten(1).double() - mean) @ axes).float()


def space(kind: str, name: str, cut: data.Split, cache: Path) -> See:
    """What pictures (N, 1, 28, 28) are turned into before they are compared."""
    x = encoded(cut.train)
    if kind == "pca":
        return principal(x)
    from morelike.measure import features

    spec = image.Codec(image.Config((28, 28), "grey", likelihood="logistic")).spec("log_prob")
    if kind == "random":
        return features.random_features(spec)
    path = cache / f"learned-{name}-{SEED}.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        labels = torch.from_numpy(cut.train_labels.copy()).long()
        features.save(features.learn(x, labels, spec, classes=10, seed=SEED), path)
    return features.load(path, spec)


def junks(good: Tensor, other: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """As many junk pictures of each sort as there are good ones, (N, 1, 28, 28)."""
    order = torch.rand(len(good), 784, generator=rng).argsort(1)
    return {
        "noise": torch.rand(good.shape, generator=rng) * 2 - 1,
        "other set": other[torch.randperm(len(other), generator=rng)[: len(good)]],
        "shuffled": good.flatten(1).gather(1, order).view_as(good),
    }


def mixtures(good: Tensor, junk: Tensor, real: Balls) -> list[tuple[float, float, float]]:
    """Share of good pictures, clipped density and clipped coverage for each mixture of features."""
    rows = []
    for share in SHARES:
        cut = round(share * len(good))
        density, coverage = clipped(torch.cat([junk[:cut], good[cut:]]), real)
        assert density.value is not None and coverage.value is not None
        rows.append((1 - share, density.value, coverage.value))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--features", choices=("learned", "random", "pca"), default="learned")
    parser.add_argument("--cache", type=Path, default=Path("features"), help="folder for learned features")
    parser.add_argument("--made", type=int, default=4_000)
    parser.add_argument("--real", type=int, default=4_000)
    given = parser.parse_args()
    cuts, worst = {name: load() for name, load in SETS.items()}, 0.0
    for name, other in (("fashion_mnist", "mnist"), ("mnist", "fashion_mnist")):
        rng = torch.Generator().manual_seed(SEED)
        see = space(given.features, name, cuts[name], given.cache)
        around = balls_of(see(encoded(cuts[name].heldout[: given.real])))
        chosen = torch.randperm(len(cuts[name].train), generator=rng)[: given.made]
        good = encoded(cuts[name].train)[chosen]
        rows = {kind: mixtures(see(good), see(junk), around)
                for kind, junk in junks(good, encoded(cuts[other].train), rng).items()}  # fmt: skip
        print(f"\n{name}, {given.features} features: {len(good):,} made, {len(around.real):,} real")
        columns = [f"{kind}: {score}" for kind in rows for score in ("density", "coverage")]
        cells = [
            [f"{found[i]:.3f}" for kind in rows for found in [rows[kind][step]] for i in (1, 2)] for step in range(11)
        ]
        table(["good", *columns], [[f"{1 - share:.0%}", *row] for share, row in zip(SHARES, cells, strict=True)])
        worst = max([worst, *(abs(found[i] - found[0]) for kind in rows.values() for found in kind for i in (1, 2))])
    print(f"\nlargest error {worst:.3f} (target <= 0.05): {verdict(worst <= 0.05)}")
    tell("junk", features=given.features, made=given.made, real=given.real, worst=round(worst, 4))


if __name__ == "__main__":
    main()
