"""Peer: pythae's VAE with its default MLP encoder and decoder, trained by its own trainer.

    OMP_NUM_THREADS=2 python bench/peers/pythae_vae.py --data fashion_train.npy --minutes 10 --out vae.npy --clean
    OMP_NUM_THREADS=2 python bench/peers/pythae_vae.py --binary --data mnist_bin_train.npy \\
        --heldout mnist_bin_heldout.npy --minutes 5 --out vae_bin.npy --clean

Settings of pythae's own MNIST example: 16 latent values, Adam 1e-3, batch 100 (the library's default rate is 1e-4).
Grey images: squared error, samples are decoder means of N(0, I). `--binary`: Bernoulli likelihood; 1,000 training
images are set aside, by which its trainer keeps the best epoch (the run is long enough to overfit), and the
importance-weighted log-likelihood of 1,000 held-out images (k = 200) goes into the result, of that epoch and the last.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
from pathlib import Path

import contest
import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.samplers import NormalSampler
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from likelihood import importance_weighted  # noqa: E402

HELDOUT, VALIDATION, DRAWS = 1000, 1000, 200


class BudgetSpent(Exception):
    """Leaves the trainer, which has no other way to stop inside an epoch."""


class Deadline(TrainingCallback):
    """Ticks the clock after every step of the trainer."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def on_train_begin(self, training_config: BaseTrainerConfig, **kwargs: object) -> None:
        self.clock = contest.Clock(self.options)

    def on_train_step_end(self, training_config: BaseTrainerConfig, **kwargs: object) -> None:
        if self.clock.tick():
            raise BudgetSpent


def read(path: Path, binary: bool) -> Tensor:
    """uint8 (N, 28, 28) -> float (N, 1, 28, 28) in [0, 1]; `binary` keeps 0 and 1 only."""
    images = np.load(path)[:, None]
    return torch.from_numpy(images > 127 if binary else images / 255.0).float()


def dataset(x: Tensor) -> BaseDataset:
    return BaseDataset(x, torch.ones(len(x)))


def log_likelihood(model: VAE, x: Tensor, k: int) -> Tensor:
    """Importance-weighted log p(x) in nats, (B, 1, 28, 28) -> (B,), with the model's own Bernoulli decoder."""

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        q = model.encoder(x)
        return q.embedding, q.log_covariance

    def log_px(x: Tensor, z: Tensor) -> Tensor:
        pixels = model.decoder(z)["reconstruction"]
        return -F.binary_cross_entropy(pixels, x, reduction="none").flatten(1).sum(1)

    return importance_weighted(x, encode, log_px, k)


def main() -> None:
    parser = contest.parser(__doc__ or "")
    parser.add_argument("--binary", action="store_true", help="Bernoulli likelihood on 0/255 images")
    parser.add_argument("--heldout", type=Path, help="with --binary: .npy of held-out images to score")
    parser.add_argument("--rate", type=float, default=1e-3, help="Adam's learning rate")
    options = parser.parse_args()
    if options.binary and options.heldout is None:
        parser.error("--binary needs --heldout FILE, the images whose likelihood is measured")
    torch.set_num_threads(contest.THREADS)
    torch.manual_seed(options.seed)
    x = read(options.data, options.binary)
    loss = "bce" if options.binary else "mse"
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss=loss))
    deadline = Deadline(options)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=1_000_000, learning_rate=options.rate, seed=options.seed, no_cuda=True,
            per_device_train_batch_size=100, per_device_eval_batch_size=100,
        )  # fmt: skip
        kept = VALIDATION if options.binary else 0
        train, validation = dataset(x[: len(x) - kept]), dataset(x[len(x) - kept :]) if kept else None
        trainer = BaseTrainer(model, train, validation, config, [deadline])
        with contextlib.suppress(BudgetSpent):
            trainer.train()
    result = deadline.clock.result("pythae_vae", 100) | {"rate": options.rate}

    model.eval()
    if options.binary:
        heldout = read(options.heldout, True)[:HELDOUT]
        result["log_likelihood_last"] = round(float(log_likelihood(model, heldout, DRAWS).mean()), 3)
        model = getattr(trainer, "_best_model", model).eval()
        result["log_likelihood"] = round(float(log_likelihood(model, heldout, DRAWS).mean()), 3)
        result["log_likelihood_train"] = round(float(log_likelihood(model, x[:HELDOUT], DRAWS).mean()), 3)
    torch.manual_seed(options.seed)
    with torch.no_grad():
        drawn = NormalSampler(model).sample(num_samples=options.samples)[:, 0]
    contest.finish(drawn.mul(255).round().clamp(0, 255).byte().cpu().numpy(), options.out, result)


if __name__ == "__main__":
    main()
