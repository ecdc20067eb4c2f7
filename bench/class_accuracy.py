"""Class asked for = class seen: samples judged by a classifier trained on real data.

    python bench/class_accuracy.py menagerie [--minutes 3] --cache FOLDER
    python bench/class_accuracy.py quickdraw_animals [--minutes 5] --cache FOLDER
    python bench/class_accuracy.py SOURCE --run RUN --cache FOLDER      judge a run that is there already

`morelike fit SOURCE --given label` trains for the minutes; 300 samples of every class are drawn from the run and
classified. The judge is a small convolutional net trained on real data of 28x28 with random shifts, turns and sizes:
on 10,000 pictures of the built-in world, drawn from another seed than those that the model is trained on; or on all
sketches of Quick, Draw!. Its own accuracy on real data that it has not seen is told as the ceiling (for the sketches
that of a twin trained on 85 % of them). The judge is kept in FOLDER.

Diversity is the mean distance between two samples of a class over that between two real pictures of it; a model that
makes one perfect cat scores 100 % on the first figure and 0 on this one.

Expected: built-in world, 3 minutes, at least 98 %; sketches, 5 minutes, at least 85 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from data import SHARED
from machine import Watch, table, tell, verdict
from numpy.typing import NDArray

import morelike
from morelike.data import menagerie

import torch  # isort: skip  (after morelike, whose thread settings must come first)
from safetensors.torch import safe_open, save_file
from torch import Tensor, nn
from torch.nn import functional as F

MORELIKE = Path(sys.executable).parent / "morelike"
SAMPLES, BATCH, PEAK_RATE, SEED = 300, 128, 4e-3, 20_172


class Real(NamedTuple):
    """Real pictures uint8 (N, 28, 28) with class numbers (N,), to train the judge on and, if there are, to test it."""

    names: tuple[str, ...]
    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    test_x: NDArray[np.uint8] | None = None
    test_y: NDArray[np.int64] | None = None


class Case(NamedTuple):
    """A source with its real data, minutes, target share and epochs of the judge."""

    source: str
    real: Callable[[], Real]
    minutes: float
    target: float
    epochs: int


def built_in() -> Real:
    """10,000 animals to train on and 2,000 to test on, none of which is in the source that models are trained on."""
    (x, true), (test_x, test_true) = (menagerie.pictures(n, 28, seed=seed) for n, seed in ((10_000, 1), (2_000, 2)))
    species = (np.asarray(one.species, np.int64) for one in (true, test_true))
    return Real(tuple(menagerie.SPECIES), x, next(species), test_x, next(species))


def sketches() -> Real:
    """All sketches of the seven animals."""
    files = sorted((SHARED / "quickdraw_animals").glob("*.npy"))
    if not files:
        raise SystemExit(f"{SHARED / 'quickdraw_animals'}: not found; this case needs the shared data.")
    parts = [np.load(file).reshape(-1, 28, 28) for file in files]
    y = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Real(tuple(file.stem for file in files), np.concatenate(parts), y)


CASES = {
    "menagerie": Case("menagerie", built_in, 3, 0.98, 10),
    "quickdraw_animals": Case(str(SHARED / "quickdraw_animals"), sketches, 5, 0.85, 40),
}


def classifier(classes: int) -> nn.Sequential:
    """(B, 1, 28, 28) -> logits (B, classes)."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(1, 32), *block(32, 64), *block(64, 128), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(128 * 9, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, classes),
    )  # fmt: skip


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, 28, 28) -> float (N, 1, 28, 28) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).float().div_(127.5).sub_(1).unsqueeze(1)


def vary(x: Tensor) -> Tensor:
    """Shift by up to three pixels, turn by up to 12 degrees, resize by up to 12 %: (B, 1, 28, 28) -> same."""
    angle, size, across, down = (torch.rand(4, len(x)) * 2 - 1).unbind(0)
    zoom, angle = 1 + 0.12 * size, torch.deg2rad(12 * angle)
    cos, sin, reach = zoom * torch.cos(angle), zoom * torch.sin(angle), 3 / 14
    rows = torch.stack((cos, -sin, reach * across, sin, cos, reach * down), 1).reshape(-1, 2, 3)
    grid = F.affine_grid(rows, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def train(x: Tensor, y: Tensor, classes: int, epochs: int) -> nn.Sequential:
    """AdamW, one cycle, label smoothing 0.05; seeded."""
    torch.manual_seed(SEED)
    net, steps = classifier(classes), epochs * (len(x) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.2)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(net(vary(x[chosen])), y[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.inference_mode()
def classes_seen(net: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """uint8 (N, 28, 28) -> class numbers (N,)."""
    return torch.cat([net(part).argmax(1) for part in as_tensor(images).split(1000)]).numpy()


def judge(real: Real, epochs: int, cache: Path) -> tuple[nn.Module, float]:
    """The classifier of a case and its accuracy on unseen real data, from the cache or trained now."""
    key = hashlib.sha256(real.x.tobytes() + real.y.tobytes() + f"{real.names, epochs, SEED, 1}".encode()).hexdigest()
    path, net = cache / f"judge-{key[:12]}.safetensors", classifier(len(real.names)).eval()
    if path.exists():
        with safe_open(path, "pt") as file:
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            return net, float(file.metadata()["ceiling"])
    x, y = as_tensor(real.x), torch.from_numpy(real.y)
    net = train(x, y, len(real.names), epochs)
    if real.test_x is not None:
        ceiling = float((classes_seen(net, real.test_x) == real.test_y).mean())
    else:
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
        kept, held = order.split([len(x) * 85 // 100, len(x) - len(x) * 85 // 100])
        twin = train(x[kept], y[kept], len(real.names), epochs)
        ceiling = float((classes_seen(twin, real.x[held]) == real.y[held]).mean())
    cache.mkdir(parents=True, exist_ok=True)
    save_file(net.state_dict(), path.with_suffix(".tmp"), {"ceiling": str(ceiling)})
    os.replace(path.with_suffix(".tmp"), path)
    return net, ceiling


def distance(images: NDArray[np.uint8]) -> float:
    """Mean Euclidean distance between two of the pictures (N, 28, 28)."""
    return float(torch.pdist(as_tensor(images).flatten(1)).mean())


def fit(case: Case, minutes: float, run: Path) -> None:
    command = [str(MORELIKE), "fit", case.source, "--given", "label", "--minutes", f"{minutes:g}", "--out", str(run)]
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def report(case: Case, real: Real, judged: tuple[nn.Module, float], folder: Path, n: int) -> dict[str, Any]:
    """Draw, classify, print the table; the figures."""
    (net, ceiling), run = judged, morelike.load(folder)
    shares, spreads, rows = {}, {}, []
    for number, name in enumerate(real.names):
        made = run.sample(n, seed=number * n, given={"label": name}).array.squeeze(-1)
        seen = classes_seen(net, made)
        real_ones = real.x[real.y == number][:n]
        shares[name], spreads[name] = float((seen == number).mean()), distance(made) / distance(real_ones)
        wrong = np.bincount(seen[seen != number], minlength=len(real.names))
        taken = real.names[int(wrong.argmax())] if wrong.any() else ""
        rows.append([name, f"{100 * shares[name]:.1f}", taken, f"{spreads[name]:.2f}"])
    overall, diversity = float(np.mean(list(shares.values()))), float(np.mean(list(spreads.values())))
    rows.append(["all", f"{100 * overall:.1f}", "", f"{diversity:.2f}"])
    table(["class asked", "seen %", "else mostly", "diversity"], rows)
    print(f"ceiling, real data: {ceiling:.1%}")
    return {"seen": round(overall, 4), "by_class": shares, "diversity": spreads, "ceiling": round(ceiling, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--run", type=Path, help="judge this run instead of training one")
    parser.add_argument("--out", type=Path, help="keep the run here; a temporary folder if not said")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the judges")
    parser.add_argument("--quick", action="store_true", help="a quarter of a minute, 50 samples, a hasty judge")
    given = parser.parse_args()
    case, watch = CASES[given.case], Watch()
    real = case.real()
    judged = judge(real, 1 if given.quick else case.epochs, given.cache)
    minutes = given.minutes or (0.25 if given.quick else case.minutes)
    with tempfile.TemporaryDirectory(prefix="class-") as temporary:
        folder = given.run or given.out or Path(temporary) / "run"
        if given.run is None:
            fit(case, minutes, folder)
        figures = report(case, real, judged, folder, 50 if given.quick else SAMPLES)
        planned = json.loads((folder / "recipe.json").read_text())["plan"]["said"]
    print(planned)
    met = verdict(figures["seen"] >= case.target)
    print(f"class asked = class seen, {given.case}: {figures['seen']:.1%} (target >= {case.target:.0%}): {met}")
    tell("class_accuracy", case=given.case, minutes=None if given.run else minutes, **figures, others=watch.others())


if __name__ == "__main__":
    main()
