"""Binarised MNIST, five minutes on two cores: our VAE against pythae's, by importance-weighted log-likelihood.

    python bench/vae_mnist.py --folder OUT --peer-python PEERS/bin/python [--minutes 5] [--clean]

16,000 statically binarised training images for both (bench/data.py); the first 1,000 held-out images, k = 200 draws.
Target: ours at least 3 nats better per image.

Expected (two Zen 4 cores, 5 clean-equivalent minutes, seed 0), nats per image:

    morelike vae       -88.8
    VAE, pythae MLP   -99.8  (36,145 steps of 100; its last epoch -101.7)
"""

from __future__ import annotations

from pathlib import Path

import data
import numpy as np
import torch
from contestants import arena, train_ours, train_peer
from likelihood import importance_weighted
from torch import Tensor

HELDOUT, DRAWS, BATCH = 1000, 200, 100


def ours_log_likelihood(run_dir: Path, heldout: np.ndarray) -> Tensor:
    """Importance-weighted log p(x) in nats of 0/255 images (N, 28, 28) under the trained run: (N,).

    The same estimator as the peer's (bench/likelihood.py), fed with the run's own encoder and Bernoulli decoder.
    """
    import morelike
    from morelike.core.distribution import Bernoulli
    from morelike.core.spec import Batch

    family = morelike.load(run_dir).family

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        q = family.posterior(Batch(x))
        return q.loc, 2 * q.scale.log()

    def log_px(x: Tensor, z: Tensor) -> Tensor:
        p = family.likelihood(z, {})
        assert isinstance(p, Bernoulli), f"{type(p).__name__} is a density: its nats cannot be compared"
        return p.log_prob(x)

    x = torch.from_numpy(heldout).float().div(127.5).sub(1).unsqueeze(1)  # (N, 1, 28, 28), -1 and 1
    return torch.cat([importance_weighted(part, encode, log_px, DRAWS) for part in x.split(BATCH)])


def main() -> None:
    place = arena(__doc__ or "", minutes=5)
    paths = data.materialise("mnist_bin", place.folder)
    run = train_ours(place, "ours_vae", paths["train"], "--family", "vae", "--set", "likelihood=bernoulli")
    scored = ("--binary", "--heldout", paths["heldout"])
    _, figures = train_peer(place, "pythae_vae", "pythae_vae_binary", paths["train"], *scored)
    ours = ours_log_likelihood(run, np.load(paths["heldout"])[:HELDOUT])
    mean, error = float(ours.mean()), float(ours.std() / len(ours) ** 0.5)
    peer = figures["log_likelihood"]
    print(f"\nlog-likelihood, nats per image, {HELDOUT} held-out images, k = {DRAWS}")
    print(f"{'morelike vae':20}{mean:10.2f} +- {error:.2f}")
    print(f"{'VAE, pythae MLP':20}{peer:10.2f}  ({figures['wall_s']:.0f} s wall, {figures['clean_s']:.0f} s clean)")
    print(f"ours - peer {mean - peer:.2f} nats (target >= 3): {'met' if mean - peer >= 3 else 'MISSED'}")


if __name__ == "__main__":
    main()
