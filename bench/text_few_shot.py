"""Examples in the prompt: a model of documents that keep to a hidden rule each, asked with 0, 1, 2 and 4 examples.

    python bench/text_few_shot.py --minutes 3 --folder OUT

A document is five lines such as "cabfj -> JFBAC": a word, and what its rule makes of it. A rule turns the word round or
not, then moves its letters on by 0 to 4 places in a ring, and writes capitals or not: twenty rules, told by nothing but
the lines themselves. Ours is `morelike fit planted.jsonl --minutes M --set vocabulary=characters` and nothing else.

Right is an answer that is right in every letter, at temperature 0, to a word that no training document holds. Without
examples nobody can do better than one in twenty. Beside it: examples of another rule than the one that is asked about,
which should lead away from it, to the answer of their own.

Expected (two cores, three minutes): about chance without examples, at least 90 % with two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

from machine import Watch, table, tell, verdict

import morelike
from morelike.core.tokens import Manner
from morelike.writing import Wish

LETTERS, SIZE, LINES = "abcdefghij", 5, 5
DOCUMENTS, ASKED, SHOTS = 20_000, 300, (0, 1, 2, 4)
RIGHT, WITH = 0.9, 2  # share that is right at least, with how many examples


class Rule(NamedTuple):
    """What is made of a word: turned round or not, its letters moved on in a ring, in capitals or not."""

    backwards: bool
    places: int
    capitals: bool

    def __call__(self, word: str) -> str:
        turned = word[::-1] if self.backwards else word
        moved = turned[-self.places :] + turned[: -self.places] if self.places else turned
        return moved.upper() if self.capitals else moved


RULES = [Rule(*one) for one in product((False, True), range(SIZE), (False, True))]


def word(dice: Random) -> str:
    return "".join(dice.choices(LETTERS, k=SIZE))


def line(rule: Rule, one: str) -> str:
    return f"{one} -> {rule(one)}"


def planted(path: Path, dice: Random) -> set[str]:
    """Documents under a rule each, one to a row; tells the words in them."""
    rows, known = list[str](), set[str]()
    for _ in range(DOCUMENTS):
        rule, words = dice.choice(RULES), [word(dice) for _ in range(LINES)]
        known.update(words)
        rows.append(json.dumps({"text": "\n".join(line(rule, one) for one in words)}))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return known


def answer(run: morelike.Run, examples: Sequence[str], asked: str) -> str:
    """What the run writes behind the examples and the word."""
    prompt = "\n".join([*examples, f"{asked} -> "])
    made = run.sample(1, wish=Wish(prompt, stop=("\n",), manner=Manner(temperature=0, length=SIZE + 1)))
    return str(made.array[0])[len(prompt) :]


def right(run: morelike.Run, known: set[str], shots: int, other: bool = False) -> tuple[float, float]:
    """Share of answers that are right, and share that keep to the rule of the examples, where that is another one."""
    dice, hits, led = Random(1), 0, 0
    for _ in range(ASKED):
        rule, shown = dice.sample(RULES, 2)
        shown = shown if other else rule
        while (asked := word(dice)) in known or rule(asked) == shown(asked) and other:
            pass
        made = answer(run, [line(shown, word(dice)) for _ in range(shots)], asked)
        hits, led = hits + (made == rule(asked)), led + (made == shown(asked))
    return hits / ASKED, led / ASKED


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, required=True, help="the run is kept here, and used again")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    watch, data, out = Watch(), given.folder / "planted.jsonl", given.folder / "run"
    known = planted(data, Random(0))
    if not (out / "weights.safetensors").exists():
        words = [sys.executable, "-m", "morelike", "fit", str(data), "--minutes", str(given.minutes)]
        subprocess.run([*words, "--set", "vocabulary=characters", "--out", str(out)], check=True)
    run = morelike.load(out)
    same = {shots: right(run, known, shots)[0] for shots in SHOTS}
    others = {shots: right(run, known, shots, other=True) for shots in SHOTS if shots}
    table(["examples", "right", "with examples of another rule", "to which it keeps"],
          [[str(shots), f"{100 * share:.1f} %", *(f"{100 * one:.1f} %" for one in others.get(shots, ()))] +
           ["", ""] * (shots not in others) for shots, share in same.items()])  # fmt: skip
    met = verdict(same[WITH] >= RIGHT)
    print(f"chance {100 / len(RULES):.1f} %; with {WITH} examples at least {100 * RIGHT:.0f} %: {met}")
    tell("text_few_shot", right=same, other=others, trained=dict(run.trained), others=watch.others())


if __name__ == "__main__":
    main()
