"""How long the measuring of a report takes: 10,000 samples of 28x28 with everything that is asked of them.

    python bench/evaluate_time.py --cache FOLDER

18,000 training items and 2,000 held-out ones of Fashion-MNIST, ten classes, features learned beforehand; the samples
are training items with noise, since it does not matter to the time what they look like. All of `evaluate`: features,
figures with four anchors, figures by class, novelty, self-test; all but the likelihood, which is the model's own time.

Expected: at most 45 s on two cores, so that sampling and the page fit into 90 s; seen when nobody else used them: 19 s.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import morelike  # noqa: F401, isort: skip - its thread settings must come before torch

import torch
from machine import Watch, table, tell, verdict
from real import features, real

from morelike.measure.evaluate import evaluate

SAMPLES, TARGET = 10_000, 45.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the learned features")
    given = parser.parse_args()
    found, rng = real("fashion_mnist"), torch.Generator().manual_seed(0)
    looks = features(found, given.cache)
    rows = torch.randint(len(found.train), (SAMPLES,), generator=rng)
    made = (found.train[rows] + 0.1 * torch.randn(SAMPLES, *found.train.shape[1:], generator=rng)).clamp(-1, 1)
    labels = None if found.train_labels is None else found.train_labels[rows]
    watch, began, spent = Watch(), time.perf_counter(), time.process_time()
    done: dict[str, float] = {}

    def note(stage: str, share: float) -> None:
        done[stage] = time.perf_counter() - began

    measured = evaluate(found.evidence(made, labels), looks, metrics=found.codec.metrics, tell=note)
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    before = 0.0
    rows_shown = []
    for stage, ended in sorted(done.items(), key=lambda one: one[1]):
        rows_shown.append([stage, f"{ended - before:.1f}"])
        before = ended
    table(["until the end of", "seconds"], rows_shown)
    print(f"{len(measured.figures)} figures, verdict {measured.verdict.word}; {cpu:.1f} CPU seconds")
    met = verdict(seconds <= TARGET)
    print(f"evaluate on {SAMPLES:,} samples of 28x28: {seconds:.1f} s (target <= {TARGET:.0f}): {met}")
    tell("evaluate_time", seconds=round(seconds, 1), cpu=round(cpu, 1), others=watch.others())


if __name__ == "__main__":
    main()
