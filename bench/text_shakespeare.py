"""Tiny Shakespeare by characters: ours against a plain PyTorch language model with nanoGPT's settings for a CPU.

    python bench/text_shakespeare.py --data input.txt [--peer result.json] [--budget third same ten] [--quick]

The peer is bench/peers/nanogpt_like.py (0.80 M parameters, 2,000 iterations); its result is taken from --peer where
that file exists. Ours is `morelike fit train.txt --minutes M --set vocabulary=characters` and nothing else, given a
third of the peer's wall time, all of it, and ten minutes; everything from the start of the process to its end is part
of that. Validation is the last tenth of the file, all of it, in windows of each model's own context.

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
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import torch
from machine import Watch, table, tell, verdict

from morelike import load
from morelike.core.spec import Batch

HERE = Path(__file__).resolve().parent


def held_out(out: Path, text: str) -> tuple[float, int]:
    """Nats per character over all windows of a text, and the parameters of the model."""
    run = load(out)
    rows, _ = run.codec.windows([run.codec.tokens(text)])
    with torch.inference_mode():
        total = sum(float(run.family.log_prob(Batch(part)).double().sum()) for part in rows.split(64))
    return -total / len(text), sum(map(torch.numel, run.family.parameters()))


def ours(data: Path, minutes: float, folder: Path) -> dict[str, Any]:
    """`morelike fit` on the first nine tenths, and its loss on the rest."""
    text = data.read_text(encoding="utf-8")
    cut, out = int(0.9 * len(text)), folder / f"run-{minutes:.3f}"
    source = folder / "train.txt"
    source.write_text(text[:cut], encoding="utf-8")
    words = [sys.executable, "-m", "morelike", "fit", str(source), "--minutes", str(minutes), "--out", str(out)]
    began = time.perf_counter()
    subprocess.run([*words, "--set", "vocabulary=characters"], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    nats, parameters = held_out(out, text[cut:])
    recipe = json.loads((out / "recipe.json").read_text())
    config = {name: recipe["config"].get(name) for name in ("width", "dropout")}
    return {"nats": round(nats, 4), "seconds": round(seconds, 1), "parameters": parameters, **config}


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
    parser.add_argument("--budget", nargs="*", default=["third", "same", "ten"])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: a smoke test")
    given = parser.parse_args()
    watch, plain = Watch(), peer(given.data, given.peer, given.quick)
    seconds = {"quarter": plain["seconds"] / 4, "third": plain["seconds"] / 3, "same": plain["seconds"], "ten": 600.0}
    limits = {"quarter": plain["nats"], "third": plain["nats"], "same": 1.75, "ten": 1.60}
    rows: list[list[Any]] = [["plain", f"{plain['seconds']:.0f}", f"{plain['nats']:.3f}", plain["parameters"], "", ""]]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.budget:
            one = found[name] = ours(given.data, (8.0 if given.quick else seconds[name]) / 60, Path(folder))
            met = verdict(one["nats"] <= limits[name])
            rows.append([f"ours, {name}", f"{one['seconds']:.0f}", f"{one['nats']:.3f}", one["parameters"],
                         one["width"], met])  # fmt: skip
    table(["", "s", "nats", "parameters", "width", ""], rows)
    tell("text_shakespeare", plain=plain, ours=found, others=watch.others())


if __name__ == "__main__":
    main()
