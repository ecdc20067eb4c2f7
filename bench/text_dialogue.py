"""Summaries of dialogues, and replies in them: ours beside a memory and beside the words of the dialogue itself.

    python bench/text_dialogue.py --data dialogsum/dialogsum.jsonl --test dialogsum/dialogsum_multiref.jsonl \\
        --make summary --minutes 12 --folder OUT
    python bench/text_dialogue.py ... --make reply --minutes 12 --folder OUT

Ours is `morelike fit DATA --make summary --given dialogue`, or `--make reply --given before`, with --minutes M and
nothing else. Tested on other dialogues: a summary against the best of the three that belong to its dialogue, a reply
against the turn that follows. ROUGE-L and BLEU, 0 to 100, with 95 % intervals by bootstrap over texts; beside ours

memory  what belongs to the known source that is most like the one asked, by rare runs of characters
lead    the first turn of the dialogue for a summary, the last turn before it for a reply
any     what belongs to some known source at random
stock   one known answer to everything: the one that is most like the others
people  one summary of three against the other two, where there are three

Of replies at most 500 are asked for. A run of replies is then talked to, with `morelike chat` and a few lines.

Expected (two cores, ten minutes, 500 dialogues): summaries above the memory, no better than one stock answer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sacrebleu
from machine import Watch, table, tell

import morelike
from morelike.data.text_columns import turns
from morelike.measure.text.answers import nearest_source, rouge_l

ASKED, DRAWS = 500, 1_000
GIVEN = {"summary": "dialogue", "reply": "before"}
TALK = ("Hello, how are you today?", "What are you going to do this weekend?", "Can I help you?", "How much is it?",
        "Thank you very much.")  # fmt: skip


class Pair(NamedTuple):
    """What is given, and the texts of which any would be right."""

    source: str
    right: list[str]


def pairs(data: Path, make: str) -> list[Pair]:
    """Dialogues with their summaries, or what was said before each turn with the turn."""
    rows = [json.loads(one) for one in data.read_text(encoding="utf-8").splitlines()]
    if make == "summary":
        return [Pair(row["dialogue"], [row[name] for name in sorted(row) if name.startswith("summary")])
                for row in rows]  # fmt: skip
    found = []
    for row in rows:
        said = [(who, what) for who, what in turns(row["dialogue"]) if what]
        lines = [f"{who}: {what}" for who, what in said]
        found += [Pair("\n".join(lines[:place]), [said[place][1]]) for place in range(1, len(said))]
    return found


def rouge(made: str, right: Sequence[str]) -> float:
    """ROUGE-L of one text against the text to which it comes nearest."""
    return max(rouge_l([made], [one]).value or 0.0 for one in right)


def score(made: Sequence[str], right: Sequence[Sequence[str]]) -> tuple[str, str]:
    """ROUGE-L and BLEU with their intervals, in words."""
    each = np.array([rouge(one, true) for one, true in zip(made, right, strict=True)])
    drawn = each[np.random.default_rng(0).integers(len(each), size=(DRAWS, len(each)))].mean(1)
    half = float(np.subtract(*np.quantile(drawn, [0.975, 0.025]))) / 2
    references = [list(one) for one in zip(*right, strict=True)]
    bleu = sacrebleu.metrics.BLEU().corpus_score(list(made), references, n_bootstrap=DRAWS)
    return f"{each.mean():.1f} ± {half:.1f}", f"{bleu.score:.1f} ± {bleu._ci:.1f}"


def lead(pair: Pair, make: str) -> str:
    """The turn that a lazy answer repeats."""
    said = pair.source.split("\n")
    return said[0] if make == "summary" else said[-1].split(": ", 1)[-1]


def stock(targets: Sequence[str], most: int = 300) -> str:
    """The answer that is on average most like others, by ROUGE-L, among some of each."""
    order = np.random.default_rng(2).permutation(len(targets)).tolist()
    tried, others = ([targets[row] for row in part] for part in (order[:most], order[-most:]))
    return max(tried, key=lambda one: rouge_l([one] * len(others), others).value or 0.0)


def trained(data: Path, make: str, minutes: float, folder: Path) -> morelike.Run:
    out = folder / make
    if not (out / "weights.safetensors").exists():
        words = [sys.executable, "-m", "morelike", "fit", str(data), "--given", GIVEN[make], "--make", make]
        subprocess.run([*words, "--minutes", str(minutes), "--out", str(out)], check=True)
    return morelike.load(out)


def talked(run: morelike.Run) -> str:
    """What `morelike chat` prints when it is told some lines."""
    words = [sys.executable, "-m", "morelike", "chat", str(run.path)]
    return subprocess.run(words, input="\n".join(TALK), text=True, capture_output=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("--data", "--test", "--folder"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--make", choices=sorted(GIVEN), required=True)
    parser.add_argument("--minutes", type=float, default=12.0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    watch, dice = Watch(), np.random.default_rng(0)
    known, test = pairs(given.data, given.make), pairs(given.test, given.make)
    test = [test[row] for row in dice.permutation(len(test))[:ASKED]]
    run = trained(given.data, given.make, given.minutes, given.folder)
    asked, right = [one.source for one in test], [one.right for one in test]
    sources, targets = [one.source for one in known], [one.right[0] for one in known]
    made = {
        "ours": run.sample(len(test), given={GIVEN[given.make]: asked}).array.tolist(),
        "memory": [targets[row] for row in nearest_source(asked, sources)],
        "lead": [lead(one, given.make) for one in test],
        "stock": [stock(targets)] * len(test),
        "any": [targets[row] for row in dice.integers(len(targets), size=len(test))],
    }
    scores = {name: score(texts, right) for name, texts in made.items()}
    if given.make == "summary":
        scores["people"] = score([one[0] for one in right], [one[1:] for one in right])
    scores["ours, on known"] = known_too(run, known, given.make)
    print(f"{len(known):,} known pairs, {len(test):,} asked; {len(set(made['ours'])):,} different answers")
    table(["", "ROUGE-L", "BLEU"], [[name, *both] for name, both in scores.items()])
    for one, own in list(zip(test, made["ours"], strict=True))[:10]:
        print(f"\n{one.source[-400:]}\n  ours   {own}\n  truth  {one.right[0]}")
    if given.make == "reply":
        print(f"\n{talked(run)}")
    tell("text_dialogue", make=given.make, scores=scores, trained=dict(run.trained), others=watch.others())


def known_too(run: morelike.Run, known: Sequence[Pair], make: str) -> tuple[str, str]:
    """The score on sources of its own training file, most of which it has learnt from: what it could fit at all."""
    part = [known[row] for row in np.random.default_rng(1).permutation(len(known))[:200]]
    made = run.sample(len(part), given={GIVEN[make]: [one.source for one in part]}).array.tolist()
    return score(made, [one.right for one in part])


if __name__ == "__main__":
    main()
