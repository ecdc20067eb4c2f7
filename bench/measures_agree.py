"""Our measures against independent implementations, on the same features of real pictures.

    PEERS/bin/python bench/measures_agree.py

    frechet            torchmetrics 1.9 (FrechetInceptionDistance with the features as its net), and scipy's matrix root
    kernel distance    torchmetrics 1.9 (KernelInceptionDistance, one subset of all rows)
    sliced Wasserstein POT 0.9.7 (ot.sliced_wasserstein_distance along the same directions)
    nearest            scikit-learn (NearestNeighbors, brute force)
    clipped scores     both formulas written out with scikit-learn's neighbours and scipy's beta-binomial law

The features are the first 64 principal components of Fashion-MNIST pixels: 2,000 training and 1,500 held-out pictures,
and 2,000 of each for torchmetrics' kernel distance, which takes equal numbers only. PEERS is an environment with
morelike, torchmetrics, POT and scikit-learn; a row whose library is missing is left out and says so.

Expected: every relative difference at most 1e-4.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

os.environ.setdefault("OMP_NUM_THREADS", "2")

import data
import numpy as np
import torch
from junk import encoded, principal
from machine import table, tell, verdict
from torch import Tensor, nn

from morelike.measure.coverage import clipped
from morelike.measure.distances import frechet, kernel_distance, sliced_wasserstein
from morelike.measure.nearest import nearest

TARGET, K = 1e-4, 5
Pair = tuple[float, float]  # ours, theirs


class Identity(nn.Module):
    """Features that are handed over as they are: (N, d) -> (N, d)."""

    num_features = 64

    def forward(self, x: Tensor) -> Tensor:
        return x


def with_scipy(a: Tensor, b: Tensor) -> Pair:
    from scipy import linalg

    x, y = a.double().numpy(), b.double().numpy()
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(cov_x @ cov_y).real
    return frechet(a, b), float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cov_x + cov_y - 2 * root))


def with_torchmetrics_frechet(a: Tensor, b: Tensor) -> Pair:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=Identity(), normalize=True, input_img_size=(64,)).set_dtype(torch.float64)
    metric.update(b.double(), real=True)
    metric.update(a.double(), real=False)
    return frechet(a, b), float(metric.compute())


def with_torchmetrics_kernel(a: Tensor, b: Tensor) -> Pair:
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(a), len(b))
    metric = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=size, normalize=True)
    metric.update(b[:size].double(), real=True)
    metric.update(a[:size].double(), real=False)
    return kernel_distance(a[:size], b[:size]).value or 0.0, float(metric.compute()[0])


def with_pot(a: Tensor, b: Tensor) -> Pair:
    import ot

    directions = torch.randn(a.shape[1], 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    theirs = ot.sliced_wasserstein_distance(a.double().numpy(), b.double().numpy(), projections=directions.numpy())
    return sliced_wasserstein(a, b, projections=directions), float(theirs)


def with_neighbours(a: Tensor, b: Tensor) -> Pair:
    from sklearn.neighbors import NearestNeighbors

    theirs, rows = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(b.double()).kneighbors(a.double())
    ours, columns = nearest(a, b, K)
    assert np.array_equal(rows, columns.numpy()), "other neighbours"
    return float(ours.double().sum()), float(theirs.sum())


def scores(made: np.ndarray, real: np.ndarray) -> Pair:
    """Clipped density and clipped coverage of Salvy, Talbot & Thirion 2025, by the table of all distances."""
    from scipy.stats import betabinom
    from sklearn.metrics import pairwise_distances

    n, m = len(real), len(made)
    own, across = pairwise_distances(real), pairwise_distances(real, made)
    np.fill_diagonal(own, np.inf)
    radius = np.partition(own, K - 1, axis=1)[:, K - 1]
    short = np.minimum(radius, np.median(radius))[:, None]
    good, ideal = (np.minimum((one <= short).sum(0) / K, 1).mean() for one in (across, own))
    filled = np.minimum((across < radius[:, None]).sum(1), K).mean() / K
    j = np.arange(K)
    curve = [1 - ((K - j) * betabinom.pmf(j, size, K, n - K)).sum() / K for size in range(m + 1)]
    return float(min(1, good / ideal)), float(np.interp(filled, curve, np.arange(m + 1) / m))


def with_scores(place: int) -> Callable[[Tensor, Tensor], Pair]:
    def both(a: Tensor, b: Tensor) -> Pair:
        half = torch.cat([a[: len(a) // 2], a[len(a) // 2 :] * 3 + 50])  # half of it junk
        return clipped(half, b, K)[place].value or 0.0, scores(half.double().numpy(), b.double().numpy())[place]

    return both


ROWS: tuple[tuple[str, str, str, Callable[[Tensor, Tensor], Pair]], ...] = (
    ("frechet", "scipy", "scipy", with_scipy),
    ("frechet", "torchmetrics", "torchmetrics", with_torchmetrics_frechet),
    ("kernel distance", "torchmetrics", "torchmetrics", with_torchmetrics_kernel),
    ("sliced Wasserstein", "POT", "ot", with_pot),
    ("nearest", "scikit-learn", "sklearn", with_neighbours),
    ("clipped density", "scikit-learn", "sklearn", with_scores(0)),
    ("clipped coverage", "scikit-learn", "sklearn", with_scores(1)),
)


def main() -> None:
    cut = data.fashion_mnist()
    see = principal(encoded(cut.train))
    a, b = see(encoded(cut.train[:2000])), see(encoded(cut.heldout[:1500]))
    rows, worst = [], 0.0
    for measure, peer, package, compare in ROWS:
        if find_spec(package) is None:
            rows.append([measure, peer, "", "", f"left out: {package} is not installed"])
            continue
        ours, theirs = compare(a, see(encoded(cut.heldout[:2000])) if compare is with_torchmetrics_kernel else b)
        off = abs(ours - theirs) / abs(theirs)
        worst = max(worst, off)
        rows.append([measure, peer, f"{ours:.9g}", f"{theirs:.9g}", f"{off:.1e} {verdict(off <= TARGET)}"])
    table(["measure", "peer", "ours", "theirs", "relative difference"], rows)
    tell("measures_agree", rows=sum(bool(row[2]) for row in rows), worst=worst, met=worst <= TARGET)


if __name__ == "__main__":
    main()
