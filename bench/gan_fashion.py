"""Fashion-MNIST, ten minutes on two cores: our default GAN against three peers, in one common feature net.

    python bench/gan_fashion.py --folder OUT --peer-python PEERS/bin/python [--minutes 10] [--clean]

16,000 training images for everybody; 10,000 samples each against the 4,000 held-out images (bench/evaluator.py).
Target: Fréchet distance at most 1/10 of the Keras DCGAN's and at most 1/2 of the best peer's.

Expected (two Zen 4 cores, 10 clean-equivalent minutes, seed 0; real training images 0.20):

    morelike gan                 1.4  (17,350 steps of 32)
    DCGAN, PyTorch eager fp32    8.4  (stopped after 526 of the 600 s: 2,334 steps of 128)
    DCGAN, Keras tutorial       45.8  (2,095 steps of 256)
    VAE, pythae MLP             23.4  (76,649 steps of 100)
"""

from __future__ import annotations

import json
from pathlib import Path

import data
from contestants import MORELIKE, Arena, arena, call, train_ours, train_peer
from evaluator import Evaluator, read_samples

SAMPLES = 10_000
PEERS = {"DCGAN, PyTorch": "torch_dcgan", "DCGAN, Keras tutorial": "keras_dcgan", "VAE, pythae MLP": "pythae_vae"}


def sample_ours(place: Arena, train: Path) -> tuple[Path, float]:
    """Fit and sample our default GAN; returns the .npy of samples and the wall seconds of the fit."""
    run = train_ours(place, "ours_gan", train, "--family", "gan")
    out = place.folder / "ours_gan.npy"
    if not (place.reuse and out.exists()):
        call(MORELIKE, "sample", run, "-n", SAMPLES, "--seed", 0, "--out", out)
    return out, json.loads(run.with_suffix(".json").read_text())["wall_s"]


def main() -> None:
    place = arena(__doc__ or "", minutes=10)
    train = data.materialise("fashion", place.folder)["train"]
    judge = Evaluator(data.fashion_mnist(), place.folder / "cache")
    rows = {}
    ours, seconds = sample_ours(place, train)
    # our minutes are always wall minutes: on a busy machine we get less of it than a peer with --clean
    rows["morelike gan"] = judge.measure(read_samples(ours)) | {"wall_s": seconds, "clean_s": seconds}
    for title, script in PEERS.items():
        samples, figures = train_peer(place, script, script, train, "--samples", SAMPLES)
        rows[title] = judge.measure(read_samples(samples)) | figures
    floor = judge.measure(judge.split.train)["frechet"]
    mine = rows["morelike gan"]["frechet"]
    print(f"\nreal training images: {floor:.3f}")
    print(f"{'contestant':24}{'frechet':>9}{'ours / it':>11}{'KIDx1000':>10}{'wall s':>8}{'clean s':>9}")
    for title, row in rows.items():
        print(f"{title:24}{row['frechet']:9.2f}{mine / row['frechet']:11.3f}{row['kid_x1000']:10.1f}", end="")
        print(f"{row['wall_s']:8.0f}{row['clean_s']:9.0f}")
    best = min(rows[title]["frechet"] for title in PEERS)
    keras = mine / rows["DCGAN, Keras tutorial"]["frechet"]
    print(f"ours / Keras DCGAN {keras:.3f} (target <= 0.1): {'met' if keras <= 0.1 else 'MISSED'}")
    print(f"ours / best peer   {mine / best:.3f} (target <= 0.5): {'met' if mine <= best / 2 else 'MISSED'}")


if __name__ == "__main__":
    main()
