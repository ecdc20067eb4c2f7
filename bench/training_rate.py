"""Training rate: our loop against a plain eager PyTorch loop in float32, over the same networks and batches.

    python bench/training_rate.py [--quick] [--only dcgan|families] [--quality 5 --cache FOLDER]

DCGAN (width 64, batch 128; 28x28 grey and 32x32 colour): the plain loop is that of PyTorch's DCGAN example (zero_grad,
critic on real, critic on fake.detach(), generator; Adam as it comes; every backward through everything). Ours plays the
same game with bfloat16 autocast, fused Adam and gradients of the stepped player only; a third row is ours in float32.

Families: VAE and modern GAN with each of the four nets (28x28, width 32, batch 64). Ours with the precision and threads
that the planner measures, and with the average of weights that the plain loop does not keep, against a plain float32
loop over the same losses.

All contestants of a row run in one process and take turns, A B C A B C, a few steps each; ratios are of medians.

--quality MINUTES trains the 28x28 DCGAN on Fashion-MNIST both ways and compares the Frechet distance of
bench/evaluator.py: the plain loop for so many minutes, ours for as many steps, then ours for as many minutes.

Expected (two Zen 4 cores, idle): DCGAN at least 1.5 times the images/s; no family below 1.0 times; at equal steps the
Frechet distance within the spread of seeds (about 15 %).
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from machine import Watch, table, tell, verdict

from morelike.codecs import image
from morelike.core.family import Family
from morelike.core.spec import Batch
from morelike.data.menagerie import pictures
from morelike.families import gan, vae
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import train
from morelike.train.planner import Planner

import torch  # isort: skip  (after morelike, whose thread settings must come first)
from torch import Tensor
from torch.nn import functional as F

NETS = ("mlp", "cnn", "rnn", "transformer")
Step = Callable[[], None]


def world(size: int, colour: bool, batch: int) -> tuple[image.Codec, Batch]:
    """A codec, and one batch of the built-in world: (batch, C, size, size)."""
    codec = image.Codec(image.Config(size=(size, size), colour="rgb" if colour else "grey", likelihood="logistic"))
    drawn = torch.from_numpy(pictures(batch, size, colour)[0])
    return codec, Batch(codec.encode(drawn.permute(0, 3, 1, 2).contiguous() if colour else drawn.unsqueeze(1)))


class PlainDCGAN:
    """The loop of PyTorch's DCGAN example over the two networks of our GAN (after Radford et al. 2016)."""

    def __init__(self, family: gan.Model) -> None:
        self.family, self.critic, self.generator = family, family.critic, family.generator
        optim = family.optimizers()["critic"]
        self.critic_adam, self.generator_adam = (
            torch.optim.Adam(player.parameters(), lr=optim.lr, betas=optim.betas)
            for player in (self.critic, self.generator)
        )

    def step(self, real: Tensor) -> None:
        ones, noughts = torch.ones(len(real)), torch.zeros(len(real))
        bce = F.binary_cross_entropy_with_logits
        self.critic.zero_grad()
        bce(self.critic(real, {})[0], ones).backward()
        fake = torch.tanh(self.generator(torch.randn(len(real), self.family.config.latent), {}))
        bce(self.critic(fake.detach(), {})[0], noughts).backward()
        self.critic_adam.step()
        self.generator.zero_grad()
        bce(self.critic(fake, {})[0], ones).backward()
        self.generator_adam.step()


class PlainGame:
    """A hand-written loop over the losses of any family: zero_grad, full backward, the optimizer as it comes."""

    def __init__(self, family: Family) -> None:
        self.family, self.optims, self.number = family, family.optimizers(), 0
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        self.optimizers = {
            name: kinds[self.optims[name].name](
                player.parameters(), self.optims[name].lr, self.optims[name].betas,
                weight_decay=self.optims[name].weight_decay,
            )
            for name, player in family.players().items()
        }  # fmt: skip

    def step(self, batch: Batch) -> None:
        self.family.step = self.number
        for move in self.family.play(batch):
            self.optimizers[move.player].zero_grad()
            move.loss.mean().backward()
            if (most := self.optims[move.player].clip) is not None:
                torch.nn.utils.clip_grad_norm_(self.family.players()[move.player].parameters(), most)
            self.optimizers[move.player].step()
        self.number += 1


def ours(family: Family, batch: Batch, precision: str) -> Step:
    """One step of our loop, as `morelike fit` sets it up."""
    game = Game(family, precision=precision, average=0.0 if family.mixes else 0.1)
    turns = train(game, repeat(batch), Plan.of(10**9), seed=0)
    return lambda: void(next(turns))


def void(_: object) -> None:
    """A step returns nothing."""


def interleave(steps: Mapping[str, Step], threads: Mapping[str, int], block: int, rounds: int) -> dict[str, Any]:
    """Milliseconds per step of each contestant, one figure per block; the first block of each is not counted."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            torch.set_num_threads(threads[name])
            begin = time.perf_counter()
            for _ in range(block):
                step()
            if number:
                times[name].append(1000 * (time.perf_counter() - begin) / block)
    return times


def dcgan_rate(size: int, colour: bool, quick: bool) -> tuple[list[list[Any]], dict[str, Any]]:
    """Rows of the table and figures of the DCGAN at one size."""
    codec, batch = world(size, colour, 16 if quick else 128)
    torch.manual_seed(0)
    first = gan.Model(codec.spec("rsample"), gan.Config(variant="dcgan", width=8 if quick else 64))
    plain = PlainDCGAN(copy.deepcopy(first))
    steps: dict[str, Step] = {
        "plain float32": lambda: plain.step(batch.x),
        "ours bfloat16": ours(copy.deepcopy(first), batch, "bfloat16"),
        "ours float32": ours(copy.deepcopy(first), batch, "float32"),
    }
    watch, threads = Watch(), dict.fromkeys(steps, torch.get_num_threads())
    times = interleave(steps, threads, block=2, rounds=2 if quick else 12)
    median = {name: float(np.median(found)) for name, found in times.items()}
    kind = f"dcgan {size}x{size} {'colour' if colour else 'grey'}"
    rows = []
    for name in steps:
        low, high = np.percentile(times[name], (25, 75))
        rate = 1000 * len(batch.x) / median[name]
        ratio = median["plain float32"] / median[name]
        rows.append([f"{kind}, {name}", f"{median[name]:.1f}", f"{low:.1f}-{high:.1f}", f"{rate:.0f}", f"{ratio:.2f}"])
    figures = {"ms": {name: round(value, 2) for name, value in median.items()}, "others": watch.others()}
    figures["ratio"] = round(median["plain float32"] / median["ours bfloat16"], 3)
    return rows, {kind: figures}


def family_rate(name: str, net: str, quick: bool) -> tuple[list[list[Any]], dict[str, Any]]:
    """Row of the table and figures of one family with one net, at what the planner chooses for it."""
    codec, batch = world(28, False, 16 if quick else 64)
    width, chosen = 8 if quick else 32, {"vae": vae, "gan": gan}[name]

    def build(width: int) -> Family:
        torch.manual_seed(0)
        return chosen.Model(codec.spec(chosen.Model.needs), chosen.Config(net=net, width=width))

    most = torch.get_num_threads()
    choice = Planner(build, batch, 0.5 if quick else 9.0).choose([width], lambda: 60.0, 1, {})
    plain = PlainGame(build(width))
    steps = {"plain": lambda: plain.step(batch), "ours": ours(build(width), batch, choice.precision)}
    watch = Watch()
    # blocks of eight steps: the modern GAN pays its penalty in every eighth
    times = interleave(steps, {"plain": most, "ours": choice.threads}, block=8, rounds=1 if quick else 7)
    torch.set_num_threads(most)
    plain_ms, ours_ms = (float(np.median(times[one])) for one in steps)
    ratio, low, high = plain_ms / ours_ms, *np.percentile(times["ours"], (25, 75))
    setting = f"{choice.precision}, {choice.threads} thread(s)"
    row = [f"{name} {net}, ours {setting}", f"{ours_ms:.1f}", f"{low:.1f}-{high:.1f}",
           f"{1000 * len(batch.x) / ours_ms:.0f}", f"{ratio:.2f}"]  # fmt: skip
    figures = {"plain_ms": round(plain_ms, 2), "ours_ms": round(ours_ms, 2), "ratio": round(ratio, 3)}
    return [row], {f"{name} {net}": {**figures, "setting": setting, "others": watch.others()}}


def rates(only: str | None, quick: bool) -> None:
    rows, figures = [], {}
    sizes = [(28, False), (32, True)] if only != "families" else []
    cases = [(name, net) for name in ("vae", "gan") for net in NETS] if only != "dcgan" else []
    for found in (*(dcgan_rate(*one, quick) for one in sizes), *(family_rate(*one, quick) for one in cases)):
        rows += found[0]
        figures |= found[1]
    table(["", "ms/step", "quartiles", "images/s", "x plain"], rows)
    ratios = {name: one["ratio"] for name, one in figures.items()}
    fast = [ratio for name, ratio in ratios.items() if name.startswith("dcgan")]
    rest = [ratio for name, ratio in ratios.items() if not name.startswith("dcgan")]
    if fast:
        print(f"DCGAN at least 1.5 x the plain loop: {verdict(min(fast) >= 1.5)} ({min(fast):.2f})")
    if rest:
        print(f"no family slower than the plain loop: {verdict(min(rest) >= 1.0)} ({min(rest):.2f})")
    tell("training_rate", **figures)


def shuffled(x: Tensor, size: int) -> Iterator[Tensor]:
    """Batches without end, a seeded permutation for every epoch."""
    rng = torch.Generator().manual_seed(0)
    while True:
        for rows in torch.randperm(len(x), generator=rng)[: len(x) // size * size].split(size):
            yield x[rows]


@torch.no_grad()
def samples(family: gan.Model, n: int) -> np.ndarray:
    """uint8 (n, 28, 28), drawn with the running statistics of the batch normalisation."""
    family.eval()
    drawn = torch.cat([family.sample(range(i, min(i + 500, n))) for i in range(0, n, 500)])
    family.train()
    return drawn.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).squeeze(1).numpy()


def train_plain(family: gan.Model, x: Tensor, seconds: float) -> tuple[int, float]:
    """The plain loop for so many seconds; steps taken, and seconds."""
    plain, begin = PlainDCGAN(family), time.perf_counter()
    for step, real in enumerate(shuffled(x, 128), start=1):
        plain.step(real)
        if (spent := time.perf_counter() - begin) >= seconds:
            return step, spent
    raise AssertionError("the batches have no end")


def train_ours(family: gan.Model, x: Tensor, steps: int, seconds: float) -> Iterator[tuple[int, float]]:
    """Our game; tells steps taken and seconds spent at `steps`, and when both steps and seconds are over."""
    game, spent = Game(family, precision="bfloat16", average=0.0), 0.0
    for step, real in enumerate(shuffled(x, 128), start=1):
        begin = time.perf_counter()
        game.turn(Batch(real), step - 1, min(1.0, (step - 1) / steps))
        spent += time.perf_counter() - begin
        if step == steps:
            yield step, spent
        if step >= steps and spent >= seconds:
            break
    yield step, spent


def quality(minutes: float, cache: Path, n: int) -> None:
    """Frechet distances of the DCGAN trained by the plain loop and by ours, at equal steps and at equal time."""
    import data
    from evaluator import Evaluator, as_tensor

    split, watch = data.fashion_mnist(), Watch()
    judge, x = Evaluator(split, cache), as_tensor(split.train)
    torch.manual_seed(0)
    first = gan.Model(world(28, False, 2)[0].spec("rsample"), gan.Config(variant="dcgan", width=64))
    rows: list[list[Any]] = []
    found: list[float] = []

    def note(name: str, family: gan.Model, steps: int, seconds: float) -> None:
        found.append(judge.measure(samples(family, n))["frechet"])
        rows.append([name, steps, f"{seconds:.0f}", f"{128 * steps / seconds:.0f}", f"{found[-1]:.2f}"])

    plain, family = copy.deepcopy(first), copy.deepcopy(first)
    steps, seconds = train_plain(plain, x, 60 * minutes)
    note("plain float32", plain, steps, seconds)
    kinds = ("ours bfloat16, as many steps", "ours bfloat16, as many minutes")
    for kind, spent in zip(kinds, train_ours(family, x, steps, 60 * minutes), strict=True):
        note(kind, family, *spent)
    table(["Fashion-MNIST, DCGAN", "steps", "s", "images/s", "Frechet"], rows)
    at_steps, at_time = found[1] / found[0], found[2] / found[0]
    print(f"at equal steps {at_steps:.2f} x the Frechet distance of the plain loop, at equal time {at_time:.2f} x")
    print(f"equal quality at equal steps (<= 1.15 x): {verdict(at_steps <= 1.15)}")
    tell("training_quality", minutes=minutes, steps=steps, frechet=[round(one, 3) for one in found],
         others=watch.others())  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny nets and few steps: a smoke test")
    parser.add_argument("--only", choices=("dcgan", "families"))
    parser.add_argument("--quality", type=float, metavar="MINUTES", help="compare quality instead of rate")
    parser.add_argument("--cache", type=Path, default=Path("runs/bench"), help="folder of the evaluator's net")
    given = parser.parse_args()
    if given.quality:
        quality(given.quality, given.cache, 500 if given.quick else 5000)
    else:
        rates(given.only, given.quick)


if __name__ == "__main__":
    main()
