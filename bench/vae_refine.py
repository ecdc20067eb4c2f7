"""How much of a VAE's likelihood its encoder misses: the ELBO, the importance-weighted bound, and annealed HMC.

    python bench/vae_refine.py --minutes 2 --folder OUT

Trains a VAE on thresholded MNIST through the package, then bounds log p(x) of 100 held-out items from below in three
ways: one sample of q(z|x), 64 samples (Burda et al. 2016), and 4 chains carried from q(z|x) to p(z|x) over
100 densities (Wu et al. 2017).

Expected: each bound above the one before it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import data
import numpy as np
import torch
from machine import Watch, table, verdict

import morelike
from morelike.core.spec import Batch

ITEMS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    watch = Watch()
    paths = data.materialise("mnist_bin", options.folder)
    run = morelike.fit(
        paths["train"],
        family="vae",
        minutes=options.minutes,
        out=options.folder / "run",
        settings={"likelihood": "bernoulli"},
    )
    x = torch.from_numpy(np.load(paths["heldout"])[:ITEMS]).float().div(127.5).sub(1).unsqueeze(1)  # -1 and 1
    model, batch = run.family.eval(), Batch(x)
    ways = {
        "one sample": lambda: model.log_prob(batch, 1),
        "64 samples": lambda: model.log_prob(batch, 64),
        "annealed HMC": lambda: model.refine(batch, k=4, levels=100).bound,
    }
    torch.manual_seed(0)
    bounds, rows = [], []
    for name, way in ways.items():
        began = time.perf_counter()
        bounds.append(way().double())
        error = float(bounds[-1].std() / ITEMS**0.5)
        rows.append([name, f"{float(bounds[-1].mean()):.2f} +- {error:.2f}", f"{time.perf_counter() - began:.1f}"])
    table(["bound", "nats", "seconds"], rows)
    gains = [float((b - a).mean()) for a, b in zip(bounds, bounds[1:], strict=False)]
    print(f"gains {gains[0]:.2f} and {gains[1]:.2f} nats: {verdict(min(gains) > 0)}; others used {watch.others():.0%}")


if __name__ == "__main__":
    main()
