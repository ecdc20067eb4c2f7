"""How fast photos become cached tensors, and how long training waits for its batches.

    python bench/data_rate.py [--data FOLDER_OF_SHARED_SETS]

Expected (two cores, Pillow 13): animal_photos, 1,650 JPEG photos to 64 x 64 tensors, listed, measured, decoded,
resized, hashed and written for 0.85 s of CPU, 1,900 photos for each second of CPU (target 500 photos/s of wall time).
Measured so far only on busy machines: 900 to 1,900 photos/s at a load of 7, 320 to 720 at a load of 10. From the cache
0.1 s of CPU. A plain loop that only decodes and crops takes 0.65 s of CPU and was the faster one under load. One thread
makes a batch of 64 in 0.03 ms at 28 x 28 and 0.25 ms at 64 x 64; with every augmentation 0.8 ms and 39 ms under load.
Training waited for 0.1 to 0.5 % of a step (target 5 %), with steps that the load had made 10 to 40 times longer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from morelike.codecs import image
from morelike.data.augment import Augment
from morelike.data.cache import Dataset, build
from morelike.data.loader import Loader
from morelike.data.sources import open_source

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def collected(folder: Path, root: Path) -> Dataset:
    """The whole first step, from the name of a folder to the memory map."""
    source = open_source(folder)
    return build(source, image.Codec(image.Config(size=(64, 64))).fit(source.items), root)


def plain(folder: Path) -> int:
    """What one would write by hand: open, turn, crop, resize, one photo after the other."""
    files = sorted(folder.rglob("*.jpg"))
    for file in files:
        with Image.open(file) as photo:
            np.asarray(ImageOps.fit(ImageOps.exif_transpose(photo).convert("RGB"), (64, 64), Image.Resampling.LANCZOS))
    return len(files)


def seconds(call: Callable, *arguments: Any) -> tuple[float, Any]:
    """Wall time of a call, and what it returned."""
    begin = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - begin, result


def rates(folder: Path) -> None:
    """Ours first and cached, beside the plain loop, three times in turn."""
    for _ in range(3):
        with tempfile.TemporaryDirectory() as root:
            busy = time.process_time()
            first, data = seconds(collected, folder, Path(root))
            busy = time.process_time() - busy
            again, _ = seconds(collected, folder, Path(root))
            by_hand, count = seconds(plain, folder)
        print(
            f"{folder.name}: {len(data) / first:,.0f} photos/s to cached tensors ({first:.2f} s, {busy:.2f} s of CPU, "
            f"from the cache {again:.2f} s); plain loop {count / by_hand:,.0f} photos/s; ratio {by_hand / first:.2f}"
        )


def batches(side: int, channels: int, augment: Augment | None = None) -> None:
    """Milliseconds for one batch of 64, in one thread, as the loader prepares it beside training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    colour = "grey" if channels == 1 else "rgb"
    x = np.random.default_rng(0).integers(0, 256, (2000, channels, side, side), dtype=np.uint8)
    loader = Loader(x, {}, np.arange(2000), 64, 0, image.Codec(image.Config((side, side), colour)), augment)
    taken = [seconds(loader.batch, step)[0] * 1000 for step in range(200)]
    torch.set_num_threads(threads)
    said = "" if augment is None else f", {augment}"
    print(f"batch of 64 at {side} x {side} x {channels}{said}: median {statistics.median(taken):.2f} ms")


def stall(side: int, channels: int, augment: Augment | None = None, steps: int = 40) -> None:
    """The share of the time of a small convolutional training step that is spent waiting for its batch."""
    colour = "grey" if channels == 1 else "rgb"
    x = np.random.default_rng(0).integers(0, 256, (2000, channels, side, side), dtype=np.uint8)
    loader = Loader(x, {}, np.arange(2000), 64, 0, image.Codec(image.Config((side, side), colour)), augment)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 64, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(64, 128, 5, 2, 2), torch.nn.ReLU()
    )
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    with loader.iterate() as ahead:
        next(ahead)
        waited, begin = ahead.stall, time.perf_counter()
        for _ in range(steps):
            network(next(ahead).x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        spent, waited = time.perf_counter() - begin, ahead.stall - waited
    said = "" if augment is None else f", {augment}"
    print(f"stall at {side} x {side}{said}: {waited / spent:.2%} of a step of {spent / steps * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rates(options.data / "animal_photos")
    everything = Augment(crop=0.1, rotate=10, scale=0.1, flip=True, colour=0.2)
    for side, channels in ((28, 1), (64, 3)):
        batches(side, channels)
        batches(side, channels, everything)
        stall(side, channels)
        stall(side, channels, everything)


if __name__ == "__main__":
    main()
