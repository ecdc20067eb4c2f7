"""Tiny Shakespeare by characters: ours against a plain PyTorch language model with nanoGPT's settings for a CPU.

    python bench/text_shakespeare.py --data input.txt [--peer result.json] [--budget third same ten] [--quick]

The peer is bench/peers/nanogpt_like.py (0.80 M parameters, 2,000 iterations); its result is taken from --peer where
that file exists. Ours then gets a quarter of its wall time, a third, all of it, and ten minutes; measuring the machine
and choosing width, precision and threads is part of the time. Validation is the last tenth of the file, all of it, in
windows of each model's own context. `cpu` is processor time, which shows how much of a busy machine each one had.

Expected (two Zen 4 cores, idle): the peer's final loss in a quarter to a third of its time, at most 1.75 nats in its
time and 1.60 in ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from machine import Watch, table, tell, verdict
from torch import Tensor

from morelike.core.family import Family
from morelike.core.spec import Batch, Spec
from morelike.families import autoregressive
from morelike.recipes import WIDTHS
from morelike.train.budget import Pace, Plan
from morelike.train.game import Game
from morelike.train.planner import Planner

CONTEXT = 128
HERE = Path(__file__).resolve().parent


def encoded(path: Path) -> tuple[Tensor, Tensor, int]:
    """Characters as tokens from 1: the first nine tenths, the rest, and the size of the vocabulary with the end."""
    text = path.read_text(encoding="utf-8")
    kinds = {letter: number for number, letter in enumerate(sorted(set(text)), start=1)}
    tokens = torch.tensor([kinds[letter] for letter in text])
    cut = int(0.9 * len(tokens))
    return tokens[:cut], tokens[cut:], len(kinds) + 1


def batches(tokens: Tensor, size: int) -> Iterator[Batch]:
    """Rows without end that begin anywhere."""
    generator, places = torch.Generator().manual_seed(0), torch.arange(CONTEXT + 1)
    while True:
        at = torch.randint(len(tokens) - CONTEXT, (size, 1), generator=generator)
        yield Batch(tokens[at + places])


def held_out(family: Any, tokens: Tensor) -> float:
    """Nats per token over all windows of one context that the tokens hold."""
    count = (len(tokens) - 1) // CONTEXT
    rows = tokens[torch.arange(count)[:, None] * CONTEXT + torch.arange(CONTEXT + 1)]
    return -float(torch.cat([family.log_prob(Batch(part)) for part in rows.split(128)]).sum()) / (count * CONTEXT)


def train(data: tuple[Tensor, Tensor, int], seconds: float, dropout: float) -> dict[str, Any]:
    """Ours for so many seconds of the wall clock, choosing included, as `morelike fit` plans and paces it."""
    tokens, held, kinds = data
    begin, cpu = time.perf_counter(), time.process_time()
    spec = Spec((CONTEXT + 1,), tokens=kinds, end=0)

    def build(width: int) -> Family:
        torch.manual_seed(0)
        return autoregressive.Model(spec, autoregressive.Config(width=width, dropout=dropout))

    first = build(8)
    source = batches(tokens, first.batch)
    planner = Planner(build, next(source), 0.08 * seconds)
    choice = planner.choose(
        WIDTHS, lambda: seconds - (time.perf_counter() - begin), int(first.examples * (seconds / 180) ** 0.8), {}
    )
    game, plan = Game(build(choice.width), precision=choice.precision, average=0.1), Plan.of(choice.steps)
    pace, step = Pace(seconds), 0
    while step < plan.steps:
        end = pace.revised_end(time.perf_counter() - begin, step, plan)
        if end is not None:
            plan.revise(step, end)
        game.turn(next(source), step, plan.fraction(step))
        step += 1
    spent, cpu = time.perf_counter() - begin, time.process_time() - cpu
    with game.averaged() as family:
        nats = held_out(family, held)
        seen = held_out(family, tokens[: len(held)])
    return {
        "nats": round(nats, 4), "train": round(seen, 4), "seconds": round(spent, 1), "cpu": round(cpu, 1),
        "width": choice.width, "steps": step, "precision": choice.precision, "threads": choice.threads,
    }  # fmt: skip


def peer(data: Path, kept: Path | None, quick: bool) -> dict[str, Any]:
    """The peer's result, from the file where it is kept or from a run."""
    if kept is not None and kept.exists():
        return json.loads(kept.read_text())
    out = kept or Path(tempfile.mkdtemp()) / "peer.json"
    words = [sys.executable, str(HERE / "peers" / "nanogpt_like.py"), "--data", str(data), "--out", str(out)]
    subprocess.run([*words, "--iterations", "20" if quick else "2000"], check=True)
    return json.loads(out.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, help="result of the peer, read if it exists, else written")
    parser.add_argument("--budget", nargs="*", default=["quarter", "third", "same", "ten"])
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: a smoke test")
    given = parser.parse_args()
    data, watch = encoded(given.data), Watch()
    plain = peer(given.data, given.peer, given.quick)
    seconds = {"quarter": plain["seconds"] / 4, "third": plain["seconds"] / 3, "same": plain["seconds"], "ten": 600.0}
    limits = {"quarter": plain["nats"], "third": plain["nats"], "same": 1.75, "ten": 1.60}
    rows: list[list[Any]] = [["plain", f"{plain['seconds']:.0f}", "", f"{plain['nats']:.3f}", "", 32, ""]]
    found = {}
    for name in given.budget:
        one = found[name] = train(data, 8.0 if given.quick else seconds[name], given.dropout)
        met = verdict(one["nats"] <= limits[name])
        shown = (f"{one['seconds']:.0f}", one["cpu"], f"{one['nats']:.3f}", f"{one['train']:.3f}", one["width"], met)
        rows.append([f"ours, {name}", *shown])
    table(["", "s", "cpu", "nats", "training nats", "width", ""], rows)
    tell("text_shakespeare", plain=plain, ours=found, others=watch.others())


if __name__ == "__main__":
    main()
