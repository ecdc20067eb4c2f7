"""Tokens written per second: our key/value cache against the plain loop that computes everything again.

    python bench/text_generation.py [--quick]

Both models have 0.80 M parameters (4 layers of 128 units, 4 heads), a vocabulary of 65 characters, a context of 64 and
fresh weights; each writes one text, then 64 at a time. The plain loop is bench/peers/nanogpt_like.py, float32, drawing
by torch.multinomial; ours draws with a seed for each text. Texts of 64 tokens from nothing, and longer ones, where the
plain loop moves its window and ours reads half of it again. Both with one thread and with two, whichever is faster.

Expected (two Zen 4 cores, idle): at least 8 times the tokens/s for one text, and 20 times for 64.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import torch
from machine import Watch, table, tell, verdict
from nanogpt_like import GPT, generate

from morelike.core.spec import Spec
from morelike.core.tokens import Manner
from morelike.families import autoregressive

KINDS, CONTEXT = 65, 64


class Endless(torch.nn.Linear):
    """A head that never predicts the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x)
        logits.select(-1, 0).fill_(-torch.inf)
        return logits


def writer() -> Callable[[int, int], None]:
    """Ours: `count` tokens of `rows` texts, none of which ends before."""
    spec = Spec((CONTEXT + 1,), tokens=KINDS + 1, end=0)
    model = autoregressive.Model(spec, autoregressive.Config(width=32, mlp="relu2")).eval()
    model.head = Endless(model.design.width, KINDS + 1, bias=False)

    def write(rows: int, count: int) -> None:
        for _ in model.write(range(rows), manner=Manner(length=count)):
            pass

    return write


def plain() -> Callable[[int, int], None]:
    model = GPT(KINDS).eval()
    return lambda rows, count: void(generate(model, torch.zeros(rows, 1, dtype=torch.long), count))


def void(_: object) -> None:
    """A loop returns nothing."""


def rates(loops: dict[str, Callable[[int, int], None]], rows: int, count: int, rounds: int) -> dict[str, float]:
    """Best tokens per second of each, over threads; they take turns, and the best of all rounds counts."""
    best = dict.fromkeys(loops, 0.0)
    for _ in range(rounds):
        for threads in (1, 2) if rounds > 1 else (1,):
            torch.set_num_threads(threads)
            for name, loop in loops.items():
                begin = time.perf_counter()
                loop(rows, count)
                best[name] = max(best[name], rows * count / (time.perf_counter() - begin))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round: a smoke test")
    quick = parser.parse_args().quick
    torch.manual_seed(0)
    loops, watch = {"plain": plain(), "ours": writer()}, Watch()
    rows, ratios = [], {}
    for texts in (1, 64):
        for count in (64,) if quick else (64, 256) if texts == 1 else (64, 128):
            found = rates(loops, texts, count, 1 if quick else 7 if texts == 1 else 3)
            ratios[f"{texts} x {count}"] = round(found["ours"] / found["plain"], 2)
            cells = [f"{found[name]:,.0f}" for name in ("plain", "ours")]
            rows.append([f"{texts} text(s) of {count}", *cells, f"{found['ours'] / found['plain']:.1f}"])
    table(["", "plain tokens/s", "ours", "x plain"], rows)
    one, many = (min(ratio for name, ratio in ratios.items() if name.startswith(f"{n} ")) for n in (1, 64))
    print(f"one text at least 8 x: {verdict(one >= 8)}; 64 texts at least 20 x: {verdict(many >= 20)}")
    tell("text_generation", ratios=ratios, others=watch.others())


if __name__ == "__main__":
    main()
