"""Training rate and memory of language models: ours against `transformers`' GPT-2 and torch's nn.Transformer.

    python bench/text_training_rate.py --peer-python PEERS/bin/python [--quick]

PEERS is a virtual environment with torch and transformers 5 (bench/peers/gpt2_steps.py runs there); without it only
nn.TransformerEncoder is compared. Equal size, vocabulary of 65, random tokens: 0.8 M parameters (4 blocks of 128 units,
16 rows of 128 tokens) and 10.7 M (6 of 384, 8 rows of 256). Peers step as their documentation shows: float32, eager,
AdamW as it comes. Ours is the game that `morelike fit` plays: bfloat16 autocast, Muon and AdamW, the average of the
weights. Every contestant runs alone in a process of its own, one after another, in rounds; the best round counts.
Memory is the largest resident size after three steps of the larger model, less what the imports alone take.

Expected (two Zen 4 cores, idle): at least 1.5 times the tokens/s of both, and no more memory than GPT-2.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import Watch, table, tell, verdict

HERE = Path(__file__).resolve().parent
SIZES = {"0.8 M": (4, 128, 16, 128), "10.7 M": (6, 384, 8, 256)}  # blocks, units, rows, tokens in a row


def run(python: Path, who: str, size: tuple[int, ...], steps: int) -> dict[str, Any]:
    """One contestant in its own process: tokens per second, parameters, MiB."""
    script = HERE / "peers" / ("gpt2_steps.py" if who == "gpt2" else "causal_steps.py")
    words = [str(python), str(script), "--who", who, "--steps", str(steps), "--size", *map(str, size)]
    environment = os.environ | {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000"}
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", type=Path, help="interpreter that has transformers")
    parser.add_argument("--quick", action="store_true", help="few steps: a smoke test")
    given = parser.parse_args()
    who = ["ours", "encoder"] + (["gpt2"] if given.peer_python else [])
    rounds, watch, rows, figures = 1 if given.quick else 3, Watch(), [], {}
    for label, size in SIZES.items():
        steps = (3 if given.quick else 60) if size[1] < 200 else (2 if given.quick else 12)
        best: dict[str, dict[str, Any]] = {}
        for _ in range(rounds):
            for name in who:
                python = given.peer_python if name == "gpt2" else Path(sys.executable)
                found = run(python, name, size, steps)
                if name not in best or found["rate"] > best[name]["rate"]:
                    best[name] = found
        for name, one in best.items():
            ratio = best["ours"]["rate"] / one["rate"]
            figures[f"{label} {name}"] = {**one, "ratio": round(ratio, 2)}
            rows.append(
                [f"{label}, {name}", f"{one['parameters']:,}", f"{one['rate']:,.0f}", f"{ratio:.2f}", one["mib"]]
            )
    table(["", "parameters", "tokens/s", "ours x", "MiB"], rows)
    slowest = min(one["ratio"] for name, one in figures.items() if not name.endswith("ours"))
    print(f"at least 1.5 x the tokens/s of each: {verdict(slowest >= 1.5)} ({slowest:.2f})")
    if "10.7 M gpt2" in figures:
        ours, theirs = figures["10.7 M ours"]["mib"], figures["10.7 M gpt2"]["mib"]
        print(f"no more memory than GPT-2: {verdict(ours <= theirs)} ({ours} MiB against {theirs})")
    tell("text_training_rate", **figures, others=watch.others())


if __name__ == "__main__":
    main()
