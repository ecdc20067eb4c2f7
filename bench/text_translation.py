"""Translation: ours against a plain nn.Transformer in equal wall time, BLEU and chrF on sentences new to both.

    python bench/text_translation.py --data multi30k/train --test multi30k/val --from en --to de --folder OUT
    python bench/text_translation.py --data tatoeba_en_zh/en-zh.tsv --from en --to zh --minutes 10 --alone --folder OUT

Ours is `morelike fit DATA --given en --make de --minutes M --held-out 0.03`. Both run at once with one thread each.
BLEU and chrF by sacrebleu, with 95 % intervals by its bootstrap; beside both, a translation memory: the target of the
training source that shares most character 4-grams.

Of a table of pairs a twentieth of the English sentences are the test, one translation of each; no pair of which either
side is in the test, letter by letter, is trained on. --alone leaves out the nn.Transformer.

Expected (one thread of two Zen 4 cores each): multi30k, 15,000 pairs, 30 minutes: at least 25 BLEU; tatoeba, 10 minutes
each way: more BLEU and chrF than the translation memory, beyond the intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from hashlib import blake2b
from pathlib import Path

import sacrebleu
from machine import Watch, table, tell

import morelike
from morelike.core.tokens import Manner
from morelike.writing import Wish

HERE = Path(__file__).resolve().parent


def grams(text: str, n: int = 4) -> set[str]:
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))}


def memory(source: list[str], target: list[str], asked: list[str]) -> list[str]:
    """For each sentence the target of the known source that is most like it, by Jaccard similarity of 4-grams."""
    known, where = [grams(one) for one in source], defaultdict(list)
    for row, one in enumerate(known):
        for gram in one:
            where[gram].append(row)
    found = []
    for text in asked:
        own = grams(text)
        shared = Counter(row for gram in own for row in where.get(gram, ()))
        best = max(shared, key=lambda row: shared[row] / len(own | known[row]), default=0)
        found.append(target[best])
    return found


def bare(text: str) -> str:
    """A sentence without what is no letter, for comparison."""
    return "".join(filter(str.isalnum, text.lower()))


def divided(table: Path, folder: Path, columns: tuple[str, str]) -> tuple[Path, Path]:
    """Aligned files of the pairs to train on and to test on, from a table whose first column is English."""
    rows = [line.split("\t")[:2] for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    drawn = {own for row in rows if blake2b((own := bare(row[0])).encode(), digest_size=1).digest()[0] < 13}
    test = {bare(row[0]): row for row in reversed(rows) if bare(row[0]) in drawn}
    known = {bare(text) for row in test.values() for text in row}
    train = [row for row in rows if not known & {bare(row[0]), bare(row[1])}]
    for name, part in (("train", train), ("test", list(test.values()))):
        for side, column in enumerate(columns):
            (folder / f"{name}.{column}").write_text("\n".join(row[side] for row in part) + "\n", encoding="utf-8")
    print(f"{len(train):,} pairs to train on, {len(test):,} to test on", flush=True)
    return folder / "train", folder / "test"


def score(made: list[str], truth: list[str], language: str) -> tuple[str, str]:
    """BLEU and chrF with their intervals, in words."""
    bleu = sacrebleu.metrics.BLEU(tokenize="zh" if language == "zh" else "13a")
    return tuple(
        f"{found.score:.1f} ± {found._ci:.1f}" if hasattr(found, "_ci") else f"{found.score:.1f}"
        for found in (one.corpus_score(made, [truth], n_bootstrap=1000) for one in (bleu, sacrebleu.metrics.CHRF()))
    )  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("--data", "--test", "--folder"):
        parser.add_argument(name, type=Path, required=name != "--test")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="target", required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.test is None:
        columns = ("en", given.target if given.source == "en" else given.source)
        given.data, given.test = divided(given.data, given.folder, columns)
    out, kept, alone = given.folder / "run", given.folder / "peer.json", os.environ | {"OMP_NUM_THREADS": "1"}
    shared = ["--from", given.source, "--to", given.target, "--minutes", str(given.minutes)]
    watch = Watch()
    other = [sys.executable, str(HERE / "peers" / "transformer_translation.py"), "--out", str(kept), *shared]
    more = ["--data", str(given.data), "--test", str(given.test)]
    peer = None if given.alone else subprocess.Popen([*other, *more], env=alone)
    words = [sys.executable, "-m", "morelike", "fit", str(given.data), "--given", given.source, "--make", given.target]
    more = ["--minutes", str(given.minutes), "--held-out", "0.03", "--out", str(out), "--set", "threads=1"]
    subprocess.run([*words, *more], env=alone, check=True)
    if peer is not None:
        peer.wait()
    others = watch.others()  # children count as our own once they have ended
    asked, truth, source, target = (
        stem.with_suffix(f".{side}").read_text(encoding="utf-8").splitlines()
        for stem in (given.test, given.data) for side in (given.source, given.target)
    )  # fmt: skip
    run, plain = morelike.load(out), json.loads(kept.read_text()) if peer is not None else {}
    made = {
        "ours, beam 5": run.sample(len(asked), given={given.source: asked}).array.tolist(),
        "ours, greedy": run.sample(
            len(asked), given={given.source: asked}, wish=Wish(manner=Manner(beam=1, temperature=0))
        ).array.tolist(),
        **({"nn.Transformer, greedy": plain["made"]} if plain else {}),
        "translation memory": memory(source, target, asked),
    }
    scores = {name: score(texts, truth, given.target) for name, texts in made.items()}
    table(["", "BLEU", "chrF"], [[name, *both] for name, both in scores.items()])
    for row in range(10):
        print(f"\n{asked[row]}\n  ours   {made['ours, beam 5'][row]}\n  truth  {truth[row]}")
    tell("text_translation", scores=scores, peer_steps=plain.get("steps"), info=run.info(), others=others)


if __name__ == "__main__":
    main()
