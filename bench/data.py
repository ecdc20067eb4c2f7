"""The images of the benchmarks: a fixed split by content, and statically binarised MNIST.

    python bench/data.py --out FOLDER

writes `fashion_train.npy fashion_heldout.npy mnist_bin_train.npy mnist_bin_heldout.npy` and the labels beside them
(`*_labels.npy`). Images are uint8 (N, 28, 28); binarised images hold 0 and 255 only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
TRAIN_SIZE = 16_000
BINARISATION_SEED = 20_160


class Split(NamedTuple):
    """Images (N, 28, 28) with labels (N,), train and held-out; no image is in both."""

    train: Images
    train_labels: NDArray[np.uint8]
    heldout: Images
    heldout_labels: NDArray[np.uint8]


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The uint8 array of a gzipped IDX file: magic 0 0 8 ndim, big-endian sizes, then the values (LeCun, MNIST)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path}: starts with {raw[:3]!r}, expected an IDX file of unsigned bytes.")
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def split_order(images: Images) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of train and held-out images, in the order of the SHA-256 of their pixels.

    Equal images have equal hashes and lie side by side, so the boundary moves down until it separates two hashes.
    """
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])
    order = np.argsort(digests, kind="stable")
    boundary = min(TRAIN_SIZE, len(images) * 4 // 5)
    while digests[order[boundary - 1]] == digests[order[boundary]]:
        boundary -= 1
    return order[:boundary], order[boundary:]


def load(name: str) -> tuple[Images, NDArray[np.uint8]]:
    """All images (20000, 28, 28) and labels (20000,) of `fashion_mnist` or `mnist` in the shared data."""
    folder = SHARED / name
    if not folder.is_dir():
        raise SystemExit(f"{folder}: not found; the benchmarks need the shared data beside the repository.")
    return read_idx(folder / "train-images-idx3-ubyte.gz"), read_idx(folder / "train-labels-idx1-ubyte.gz")


def split(images: Images, labels: NDArray[np.uint8], pixels: Images | None = None) -> Split:
    """Split by the content of `images`; `pixels`, if given, are what is returned in their place (binarised)."""
    train, heldout = split_order(images)
    pixels = images if pixels is None else pixels
    return Split(pixels[train], labels[train], pixels[heldout], labels[heldout])


def fashion_mnist() -> Split:
    """Fashion-MNIST (Xiao et al. 2017), grey: 16,000 train and 4,000 held-out images."""
    return split(*load("fashion_mnist"))


def mnist() -> Split:
    """MNIST (LeCun et al. 1998), grey: 16,000 train and 4,000 held-out images."""
    return split(*load("mnist"))


def binarise(images: Images, seed: int = BINARISATION_SEED) -> Images:
    """One fixed Bernoulli draw per pixel with its grey value / 255 as probability (Salakhutdinov & Murray 2008)."""
    uniform = np.random.default_rng(seed).random(images.shape)
    return ((uniform < images / 255.0) * 255).astype(np.uint8)


def mnist_binarised() -> Split:
    """Statically binarised MNIST, values 0 and 255, split exactly as `mnist()` is."""
    images, labels = load("mnist")
    return split(images, labels, binarise(images))


LOADERS = {"fashion": fashion_mnist, "mnist": mnist, "mnist_bin": mnist_binarised}


def materialise(name: str, folder: Path) -> dict[str, Path]:
    """Write the parts of one split into `folder` as .npy where they are missing; returns part -> path."""
    paths = {part: folder / f"{name}_{part}.npy" for part in Split._fields}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        for part, array in LOADERS[name]()._asdict().items():
            partial = paths[part].with_suffix(".tmp")
            with partial.open("wb") as file:
                np.save(file, array)
            os.replace(partial, paths[part])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the .npy files")
    folder = parser.parse_args().out
    for name in ("fashion", "mnist_bin"):
        for part, path in materialise(name, folder).items():
            print(f"{path}  {part} {np.load(path, mmap_mode='r').shape}")


if __name__ == "__main__":
    main()
