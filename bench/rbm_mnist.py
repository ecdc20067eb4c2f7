"""MNIST, ten minutes: our restricted Boltzmann machine with 500 hidden units, and scikit-learn's beside it.

    python bench/rbm_mnist.py --folder OUT [--minutes 10] [--peer-epochs 10] [--temperatures 2500] [--reuse]

Both train on the same 16,000 grey images, whose pixels are how likely a bit is on; ours draws the bits anew in every
step, scikit-learn takes the greys themselves. What is measured is log p of 4,000 held-out images, of each of which one
binarisation has been drawn for good (bench/data.py). log Z is annealed up from independent pixels, 500 chains, and back
down from samples of the model; each side is moved outwards by two standard errors, so log p lies between the two
figures as far as the chains are good samples. Target: at least -95 nats, by the lower one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import data
import numpy as np
import torch
from contestants import MORELIKE, call
from machine import Watch, table, tell, verdict
from torch import Tensor

HIDDEN, CHAINS, TARGET, SHOWN = 500, 500, -95.0, 10


def bits(path: Path) -> Tensor:
    """Images of 0 and 255 as -1 and 1: (N, 1, 28, 28)."""
    return torch.from_numpy(np.load(path)).float().div(127.5).sub(1).unsqueeze(1)


def measured(model, train: Tensor, heldout: Tensor, temperatures: int) -> dict[str, float]:
    """Mean log p in nats from below and from above, and of training images, which shows what was learnt by heart."""
    from morelike.core.spec import Batch

    low, high = (float(one) for one in model.bounds(temperatures, CHAINS)[:, 0])
    model.log_z_bounds[0, 0], model.log_z_bounds[1, 0] = low, high
    model.fitted.fill_(1)
    new, known = (model.log_prob(Batch(x)).double() for x in (heldout, train))
    return {
        "lower": float(new.mean()), "upper": float(new.mean()) + high - low, "train_lower": float(known.mean()),
        "error": float(new.std() / len(new) ** 0.5), "log_z_low": low, "log_z_high": high,
    }  # fmt: skip


def peer(path: Path, epochs: int):
    """scikit-learn's BernoulliRBM, defaults but for the hidden units, as a model of ours; and the seconds it took."""
    from sklearn.neural_network import BernoulliRBM

    from morelike.core.distribution import Bernoulli
    from morelike.core.spec import Spec
    from morelike.families.rbm import Config, Model

    x = np.load(path).reshape(-1, 784) / 255
    began = time.perf_counter()
    rbm = BernoulliRBM(n_components=HIDDEN, n_iter=epochs, random_state=0).fit(x)
    seconds = time.perf_counter() - began
    model = Model(Spec((1, 28, 28), head_shape=(1, 28, 28), head=Bernoulli), Config(hidden=HIDDEN, training="cd"))
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(rbm.components_.T))
        model.bias.copy_(torch.from_numpy(rbm.intercept_visible_))
        model.hidden_bias.copy_(torch.from_numpy(rbm.intercept_hidden_))
    model.chains.mean.copy_(torch.from_numpy(x.mean(0, keepdims=True)))
    return model, seconds


def independent(train: Path, heldout: Tensor) -> float:
    """Mean log p of pixels that do not know each other, each on as often as in the training images, and once more."""
    greys = torch.from_numpy(np.load(train)).double().flatten(1) / 255
    p = (greys.sum(0) + 0.5) / (len(greys) + 1)
    v = (heldout.flatten(1).double() + 1) / 2
    return float((v @ p.log() + (1 - v) @ (-p).log1p()).mean())


def spread(run) -> list[float]:
    """Share of each class among 1,000 samples, as a logistic regression on real images reads them."""
    from sklearn.linear_model import LogisticRegression

    train = data.mnist()
    reader = LogisticRegression(max_iter=200).fit(train.train.reshape(-1, 784)[:8000] / 255, train.train_labels[:8000])
    read = reader.predict(run.sample(1000).array.reshape(-1, 784) / 255)
    return [round(float((read == digit).mean()), 3) for digit in range(SHOWN)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--peer-epochs", type=int, default=10)
    parser.add_argument("--temperatures", type=int, default=2500)
    parser.add_argument("--reuse", action="store_true", help="measure the run that lies in the folder")
    asked = parser.parse_args()
    paths, coded = data.materialise("mnist", asked.folder), data.materialise("mnist_bin", asked.folder)
    run_dir, watch = asked.folder / "rbm", Watch()
    if not asked.reuse:
        fit = ("fit", paths["train"], "--family", "rbm", "--set", f"hidden={HIDDEN}", "--size", "medium")
        wall = call(MORELIKE, *fit, "--held-out", 0, "--minutes", f"{asked.minutes:g}", "--out", run_dir)
        run_dir.with_suffix(".json").write_text(json.dumps({"wall_s": round(wall, 1), "others": watch.others()}))
    import morelike

    run, notes = morelike.load(run_dir), json.loads(run_dir.with_suffix(".json").read_text())
    train, heldout = bits(coded["train"])[:4000], bits(coded["heldout"])
    ours = measured(run.family, train, heldout, asked.temperatures)
    run.sample(100).save(asked.folder / "rbm.png")
    model, seconds = peer(paths["train"], asked.peer_epochs)
    theirs = measured(model, train, heldout, asked.temperatures)
    rows = [
        (name, *(f"{one[key]:.2f}" for key in ("lower", "upper", "train_lower")), f"{wall:.0f}")
        for name, one, wall in (("morelike rbm", ours, notes["wall_s"]), ("scikit-learn", theirs, seconds))
    ]
    table(("nats per image", "at least", "at most", "training, at least", "wall s"), rows)
    alone = independent(paths["train"], heldout)
    print(f"independent pixels {alone:.2f}; standard error of the mean over images {ours['error']:.2f}")
    print(f"target at least {TARGET}: {verdict(ours['lower'] >= TARGET)}; classes drawn {spread(run)}")
    tell("rbm_mnist", ours=ours, theirs=theirs, independent=alone, steps=run.trained.get("step"), **notes)


if __name__ == "__main__":
    main()
