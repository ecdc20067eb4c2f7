"""One feature net for every contestant: Fréchet and kernel distance, class balance and confidence of 28x28 samples.

    python bench/evaluator.py --cache FOLDER samples.npy ...

A small classifier is trained on the 16,000 training images of Fashion-MNIST (three minutes on two cores, once; then
read from FOLDER). Every file of samples, uint8 (N, 28, 28), is compared with the 4,000 held-out images, below
reference rows that give the scale: real training images (the floor), noise of standard deviation 25/255, a class gone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

import data
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES, CLASSES = 128, 10
EPOCHS, BATCH, PEAK_RATE, SEED = 30, 128, 4e-3, 20_171
Array = NDArray[np.float64]


class Classifier(nn.Module):
    """(B, 1, 28, 28) -> logits (B, 10); its 128 penultimate activations are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(FEATURES, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, 28, 28) -> float (N, 1, 28, 28) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).float().div_(127.5).sub_(1).unsqueeze(1)


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image by up to two pixels and mirror every second one; keeps the net from knowing its images."""
    dx, dy = torch.randint(-2, 3, (2, len(x), 1), generator=rng)
    column = (torch.arange(28) + dx).clamp(0, 27)  # (B, 28)
    row = (torch.arange(28) + dy).clamp(0, 27)
    mirrored = torch.rand(len(x), 1, generator=rng) < 0.5
    column = torch.where(mirrored, 27 - column, column)
    return x[torch.arange(len(x))[:, None, None], 0, row[:, :, None], column[:, None, :]].unsqueeze(1)


def train(x: Tensor, y: Tensor) -> Classifier:
    """AdamW, one cycle, label smoothing 0.05; seeded."""
    torch.manual_seed(SEED)
    rng = torch.Generator().manual_seed(SEED)
    net = Classifier()
    steps = EPOCHS * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.2)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x), generator=rng)[: len(x) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(net(augment(x[chosen], rng)), y[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


class Evaluator:
    """The feature net of one labelled split, trained once and kept as safetensors in `cache`."""

    def __init__(self, split: data.Split, cache: Path) -> None:
        self.split = split
        key = hashlib.sha256(split.train.tobytes() + split.train_labels.tobytes() + f"{EPOCHS, SEED}".encode())
        path = cache / f"features-{key.hexdigest()[:12]}.safetensors"
        if path.exists():
            self.net = Classifier().eval()
            self.net.load_state_dict(load_file(path))
        else:
            cache.mkdir(parents=True, exist_ok=True)
            self.net = train(as_tensor(split.train), torch.from_numpy(split.train_labels).long())
            save_file(self.net.state_dict(), path.with_suffix(".tmp"))
            os.replace(path.with_suffix(".tmp"), path)
        self.heldout = self.features(split.heldout)

    @torch.inference_mode()
    def features(self, images: NDArray[np.uint8]) -> Array:
        """uint8 (N, 28, 28) -> penultimate activations (N, 128), double."""
        return torch.cat([self.net.body(batch) for batch in as_tensor(images).split(1000)]).double().numpy()

    @torch.inference_mode()
    def classify(self, images: NDArray[np.uint8]) -> Array:
        """uint8 (N, 28, 28) -> class probabilities (N, 10), double."""
        return torch.cat([self.net(batch).softmax(1) for batch in as_tensor(images).split(1000)]).double().numpy()

    def measure(self, images: NDArray[np.uint8]) -> dict[str, float]:
        """Distances of (N, 28, 28) to the held-out images, total variation of the classes, mean confidence."""
        found, probabilities = self.features(images), self.classify(images)
        real = np.bincount(self.classify(self.split.heldout).argmax(1), minlength=CLASSES) / len(self.heldout)
        seen = np.bincount(probabilities.argmax(1), minlength=CLASSES) / len(images)
        return {
            "frechet": frechet(found, self.heldout),
            "kid_x1000": 1000 * kid(found, self.heldout),
            "class_tv": float(np.abs(seen - real).sum() / 2),
            "confidence": float(probabilities.max(1).mean()),
        }


def frechet(a: Array, b: Array) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) between rows (N, d) and (M, d), in double precision.

    The inner product under the root is symmetric and positive, so its eigenvalues are real and clipped at nought: no
    general matrix root, and no trouble when N < d. Source: Dowson & Landau 1982; Heusel et al. 2017, eq. 6.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root_a @ cov_b @ root_a).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def kid(a: Array, b: Array) -> float:
    """Unbiased squared MMD of (N, d) and (M, d) with the kernel (x.y/d + 1)^3, on all rows (Binkowski et al. 2018)."""

    def total(x: Array, y: Array) -> float:
        return sum(float(((part @ y.T / x.shape[1] + 1) ** 3).sum()) for part in np.array_split(x, len(x) // 1000 + 1))

    def within(x: Array) -> float:
        diagonal = ((x * x).sum(1) / x.shape[1] + 1) ** 3
        return (total(x, x) - float(diagonal.sum())) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * total(a, b) / (len(a) * len(b))


def read_samples(path: Path) -> NDArray[np.uint8]:
    """uint8 (N, 28, 28) from a .npy file that may also hold a channel axis of one."""
    samples = np.load(path)
    if samples.ndim == 4 and 1 in (samples.shape[1], samples.shape[3]):
        samples = samples.squeeze(1 if samples.shape[1] == 1 else 3)
    if samples.dtype != np.uint8 or samples.shape[1:] != (28, 28):
        raise SystemExit(f"{path}: holds {samples.dtype} {samples.shape}, expected uint8 (N, 28, 28).")
    return samples


def reference_rows(split: data.Split) -> dict[str, NDArray[np.uint8]]:
    """Images whose distance tells the scale of the figures."""
    noise = np.random.default_rng(0).normal(0, 25, split.heldout.shape)
    return {
        "real, train (floor)": split.train,
        "held-out + noise 25/255": (split.heldout + noise).round().clip(0, 255).astype(np.uint8),
        "train without class 9": split.train[split.train_labels != 9],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the trained feature net")
    parser.add_argument("--no-reference", action="store_true", help="leave the reference rows out")
    parser.add_argument("samples", type=Path, nargs="*", help=".npy of uint8 (N, 28, 28)")
    options = parser.parse_args()
    split = data.fashion_mnist()
    evaluator = Evaluator(split, options.cache)
    accuracy = (evaluator.classify(split.heldout).argmax(1) == split.heldout_labels).mean()
    size = sum(p.numel() for p in evaluator.net.parameters())
    print(f"classifier: {size:,} parameters, {accuracy:.2%} on {len(split.heldout):,} held-out images,")
    print(f"total variance of its features {evaluator.heldout.var(0).sum():.1f}")
    print(f"{'samples':40}{'n':>7}{'frechet':>10}{'KIDx1000':>11}{'class TV':>10}{'confidence':>12}")
    rows = {} if options.no_reference else reference_rows(split)
    rows |= {str(path): read_samples(path) for path in options.samples}
    for name, images in rows.items():
        m = evaluator.measure(images)
        print(f"{name[-40:]:40}{len(images):7}{m['frechet']:10.3f}{m['kid_x1000']:11.2f}", end="")
        print(f"{m['class_tv']:10.4f}{m['confidence']:12.4f}")


if __name__ == "__main__":
    main()
