"""Energy models of two known densities in the plane: eight Gaussians on a ring, and two moons.

    python bench/energy_2d.py [--training matching] [--seconds 60] [--case gaussians | moons]

The family `energy` is trained on one core for these seconds of CPU time, which a busy machine does not shorten, on
endless data. 4,000 samples are compared with 4,000 real points:
sliced Wasserstein distance (root mean square over 256 directions of the distance between sorted projections), its
floor (two real sets of that size, mean of 20 pairs), and one fitted Gaussian as the trivial model. A mode of the ring
counts as found if at least half of its share of the samples, 1/16, lies within three standard deviations of its centre.
log Z by quadrature gives log p of real points, beside the truth; annealed importance sampling has to bracket it.

Expected: 8 of 8 modes, and a distance of at most 1.5 times the floor.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")

from machine import Watch, table, tell, verdict

import morelike  # noqa: F401  (its thread settings come before torch)

import torch  # isort: skip
from torch import Generator, Tensor

from morelike.core.spec import Batch, Spec
from morelike.families.energy import Config, Model
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import train

N, BATCH, WIDTH = 4000, 256, 8
CENTRES = 0.7 * torch.stack([torch.tensor([torch.pi / 4 * k]).cos().squeeze() for k in range(8)])
RING = torch.stack([CENTRES, CENTRES.roll(2)], 1)  # (8, 2)
SD = 0.05


def gaussians(n: int, rng: Generator) -> Tensor:
    """(n, 2)."""
    return RING[torch.randint(8, (n,), generator=rng)] + SD * torch.randn(n, 2, generator=rng)


def moons(n: int, rng: Generator) -> Tensor:
    """Two half circles of radius 0.5, one turned round and moved, with noise of 0.05: (n, 2)."""
    return curve(20_000)[torch.randint(20_000, (n,), generator=rng)] + SD * torch.randn(n, 2, generator=rng)


def curve(n: int) -> Tensor:
    """Points at equal distances on both half circles: (n, 2)."""
    angle = torch.pi * (torch.arange(n // 2) + 0.5) / (n // 2)
    upper = torch.stack([angle.cos() * 0.5 - 0.25, angle.sin() * 0.5 - 0.125], 1)
    return torch.cat([upper, -upper])


CASES: dict[str, Callable[[int, Generator], Tensor]] = {"gaussians": gaussians, "moons": moons}


def sliced_wasserstein(x: Tensor, y: Tensor, directions: int = 256) -> float:
    """(n, 2), (n, 2) -> distance."""
    angle = torch.pi * (torch.arange(directions) + 0.5) / directions
    along = torch.stack([angle.cos(), angle.sin()])
    return float(((x @ along).sort(0).values - (y @ along).sort(0).values).square().mean().sqrt())


def floor(draw: Callable[[int, Generator], Tensor], rng: Generator) -> float:
    pairs = [sliced_wasserstein(draw(N, rng), draw(N, rng)) for _ in range(20)]
    return sum(pairs) / len(pairs)


def trivial(draw: Callable[[int, Generator], Tensor], rng: Generator) -> Tensor:
    """Samples of the Gaussian with mean and covariance of the data: (N, 2)."""
    x = draw(N, rng)
    return x.mean(0) + torch.randn(N, 2, generator=rng) @ torch.linalg.cholesky(torch.cov(x.T)).T


def fit(draw: Callable[[int, Generator], Tensor], config: Config, seconds: float, rng: Generator) -> tuple[Model, int]:
    """A model trained for this long, with its averaged weights, and the steps that it took."""
    began = time.process_time()

    def batches():
        while True:
            yield Batch(draw(BATCH, rng))

    def timed(fraction: float) -> float:
        torch.manual_seed(0)
        game, data = Game(Model(Spec((2,)), config)), batches()
        for step in range(3):
            game.turn(next(data), step, fraction)
        start = time.process_time()
        for step in range(20):
            game.turn(next(data), step, fraction)
        return (time.process_time() - start) / 20

    early, late = timed(0.1), timed(0.99)
    torch.manual_seed(0)
    game = Game(Model(Spec((2,)), config))
    late_share = (config.sharpen or 0.2) if config.training == "matching" else 1.0
    each = (1 - late_share) * early + late_share * late
    plan = Plan.of(int(0.97 * (seconds - (time.process_time() - began)) / each))
    for turn in train(game, batches(), plan, seed=0):  # noqa: B007
        if time.process_time() - began > seconds:
            break
    family = game.family
    family.load_state_dict(game.weights())
    return family.eval(), turn.step  # type: ignore[return-value]


def modes(x: Tensor) -> tuple[int, float]:
    """Modes of the ring that were found, and the share of samples near any of them."""
    near = torch.cdist(x, RING) < 3 * SD
    return int((near.float().mean(0) >= 1 / 16).sum()), float(near.any(1).float().mean())


def truth(name: str, x: Tensor) -> float:
    """Mean log density of points under their own law; of the moons by 20,000 kernels of the noise, on their curve."""
    if name == "gaussians":
        centres, weight = RING, 1 / 8
    else:
        centres, weight = curve(20_000), 1 / 20_000
    square = torch.cdist(x, centres).square() / (2 * SD**2)
    return float((torch.logsumexp(-square, 1) + math.log(weight / (2 * math.pi * SD**2))).mean())


def row(name: str, config: Config, seconds: float, training: str) -> tuple[list[object], bool]:
    """One case: trained, drawn from, measured."""
    draw, rng = CASES[name], Generator().manual_seed(1)
    lowest, plain = floor(draw, rng), sliced_wasserstein(trivial(draw, rng), draw(N, rng))
    model, steps = fit(draw, config, seconds, rng)
    began = time.perf_counter()
    x = model.sample(range(N))
    took, real = time.perf_counter() - began, draw(N, rng)
    far, (found, share) = sliced_wasserstein(x, real), modes(x) if name == "gaussians" else (8, 1.0)
    low, high = (float(bound) for bound in model.bracket())
    energy = float(model.energy(Batch(real)).detach().mean())
    tell(
        "energy_2d", case=name, training=training, distance=far, floor=lowest, trivial=plain, modes=found, near=share,
        log_z=(low, high), log_prob=(-energy - high, -energy - low), true_log_prob=truth(name, real),
    )  # fmt: skip
    seen = f"{found}/8, {share:.1%} near" if name == "gaussians" else ""
    like = f"{-energy - high:.2f} .. {-energy - low:.2f} ({truth(name, real):.2f})"
    cells = [
        name,
        steps,
        f"{far:.4f}",
        f"{lowest:.4f}",
        f"{far / lowest:.2f}",
        f"{plain:.4f}",
        seen,
        like,
        f"{took:.1f}",
    ]
    return cells, far <= 1.5 * lowest and found == 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--training", default="pcd")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    watch = Watch()
    changes = {name: float(value) if "." in value else int(value) for name, value in (s.split("=") for s in given.set)}
    config = Config(training=given.training, width=WIDTH, **changes)
    rows, met = zip(*[row(name, config, given.seconds, given.training) for name in CASES
                      if given.case in (None, name)], strict=True)  # fmt: skip
    table(["data", "steps", "distance", "floor", "ratio", "one Gaussian", "modes", "nats (true)", "draw s"], rows)
    print(f"energy, {given.training}, {given.seconds:g} s: ratio <= 1.5, 8 of 8 modes: {verdict(all(met))}")
    print(f"share of the machine that others used: {watch.others():.0%}")


if __name__ == "__main__":
    main()
