"""A GPT-2 checkpoint there and back: the same tokens, logits and continuations as `transformers` computes.

    python bench/gpt2_weights.py --peer-python PEERS/bin/python [--quick]

PEERS is a virtual environment with torch and transformers 5 (bench/peers/gpt2_checkpoint.py runs there). It makes
checkpoints with fresh weights and byte-level BPE tokenizers: a small one, one whose end is the first token and whose
head is a table of its own, and one with the blocks of GPT-2 small (12 of 768 units; not with --quick). Each becomes a
run (`morelike import`), is compared on texts in many languages, is written back (`morelike export`), opened by
transformers and compared again.

Expected: tokens and greedy continuations identical, logits within 1e-4.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import table, tell, verdict
from safetensors.torch import load_file
from torch import Tensor

from morelike.core.spec import Batch
from morelike.core.tokens import Manner
from morelike.run import Run
from morelike.weights import bring, export

PEER = Path(__file__).resolve().parent / "peers" / "gpt2_checkpoint.py"
TEXTS = [
    "The quick brown fox, don't you know, jumps over 13 lazy dogs.\n\n  Indented\ttext; it's we'll 1,234.5!",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "Привет, мир! Как дела? Ёлка",
    "مرحبا بالعالم — كيف حالك؟",
    "日本語のテキストと한국어 텍스트",
    "Ünïcödé naïve façade Straße 👩\u200d👩\u200d👧 🏳️\u200d🌈",
    "def f(x):\n    return x ** 2  # ∑ ≤ ∞",
    " leading",
    "a",
]
CHECKPOINTS = {  # words for `make`
    "small": [],
    "end first, own head": ["--first", "--untied", "--size", "2", "30", "2", "48", "700"],
    "as GPT-2 small": ["--size", "12", "768", "12", "1024", "4000"],
}


def ask(python: Path, *words: str | Path) -> None:
    subprocess.run([str(python), str(PEER), *map(str, words)], check=True, capture_output=True)


def told(python: Path, folder: Path) -> dict[str, Tensor]:
    """What transformers computes with a checkpoint."""
    texts, out = folder.parent / "texts.json", folder.parent / "found.safetensors"
    texts.write_text(json.dumps(TEXTS), encoding="utf-8")
    ask(python, "tell", folder, "--texts", texts, "--out", out)
    return load_file(out)


@torch.no_grad()
def compared(run: Run, theirs: dict[str, Tensor]) -> dict[str, Any]:
    """How many texts have the same tokens and the same continuation, and the largest difference of logits."""
    end, model, found = int(theirs["end"]), run.family, {"tokens": 0, "greedy": 0, "logits": 0.0}
    count = len(run.codec.vocabulary)
    to_theirs = torch.tensor([end, *(number for number in range(count) if number != end)])
    for number, text in enumerate(TEXTS):
        tokens = torch.from_numpy(run.codec.tokens(text)).long()
        found["tokens"] += torch.equal(to_theirs[tokens], theirs[f"{number}.tokens"])
        begin = tokens[: model.context // 2 - 1]
        row = torch.cat([torch.zeros(1, dtype=torch.long), begin, torch.ones(1, dtype=torch.long)])
        logits = model.logits(Batch(row[None]))[0][0]
        gap = (logits - theirs[f"{number}.logits"][:, to_theirs]).abs().max()
        found["logits"] = max(found["logits"], float(gap))
        manner = Manner(temperature=0, length=min(24, model.context // 2))
        after = torch.stack(list(model.write([0], prompt=begin[None], manner=manner)), 1)[0]
        found["greedy"] += torch.equal(to_theirs[after], theirs[f"{number}.greedy"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", type=Path, required=True, help="interpreter that has transformers")
    parser.add_argument("--quick", action="store_true", help="without the large one")
    given = parser.parse_args()
    rows, figures, python = [], {}, given.peer_python
    for name, words in list(CHECKPOINTS.items())[: 2 if given.quick else 3]:
        with tempfile.TemporaryDirectory() as place:
            there, run, back = (Path(place) / part for part in ("there", "run", "back"))
            ask(python, "make", there, *words)
            loaded = Run.load(bring(there, run))
            export(run, back)
            for way, folder in (("loaded", there), ("written back", back)):
                found = compared(loaded, told(python, folder))
                figures[f"{name}, {way}"] = found
                rows.append([f"{name}, {way}", found["tokens"], found["greedy"], f"{found['logits']:.1e}"])
    table(["", f"same tokens of {len(TEXTS)}", "same continuation", "logits differ by"], rows)
    same = all(found["tokens"] == found["greedy"] == len(TEXTS) for found in figures.values())
    close = max(found["logits"] for found in figures.values())
    print(f"tokens and continuations identical: {verdict(same)}; logits within 1e-4: {verdict(close < 1e-4)}")
    tell("gpt2_weights", **figures)


if __name__ == "__main__":
    main()
