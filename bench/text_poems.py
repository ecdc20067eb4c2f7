"""Tang poems by form and title: does a sample keep the form that was asked for, does it rhyme, and is it new?

    python bench/text_poems.py --data tang_poems/poems.jsonl --given form,title --minutes 10 --folder OUT
    python bench/text_poems.py --data tang_poems/poems.jsonl --given form --minutes 10 --folder OUT

Ours is `morelike fit train.jsonl --given form,title --minutes M` and nothing else. About a twentieth of the poems is
kept from it; as many samples are asked for with their forms (and titles), which stand in their real proportions.

form    share of poems with the lines and the characters to a line that their form has
rhyme   share whose even lines all end in characters that pair by pair end even lines of one known poem
varied  share of the characters of a poem that did not stand in it before, on average
poem    share that is a known poem, letter by letter
couplet share that has two lines running of a known poem: as many characters as two lines have, with their sign
line    share that has a whole line of a known poem

Known are the poems that ours was given. Beside ours: the poems kept back (the best that can be expected), known poems
of any form, and a chain of characters of order two for each form (what counting alone gives).

Expected (two cores, ten minutes): form at least 97 %, couplets of known poems at most 1 %.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from random import Random
from typing import NamedTuple

from machine import Watch, table, tell, verdict

import morelike
from morelike.core.tokens import Manner
from morelike.measure.text.runs import Texts, found
from morelike.measure.text.verbatim import verbatim
from morelike.writing import Wish

SIZES = {"五言绝句": (4, 5), "七言绝句": (4, 7), "五言律诗": (8, 5), "七言律诗": (8, 7)}  # lines, characters
FORM, COPIES = 0.97, 0.01  # at least, and at most
CALM = 0.8  # temperature of a second set of samples
SIGNS = re.compile(r"[\W_]+")


class Poem(NamedTuple):
    """What is read of a poem."""

    form: str
    title: str
    text: str

    def lines(self) -> list[str]:
        """The lines of verse, without signs."""
        return [one for one in SIGNS.split(self.text) if one]

    def verse(self) -> str:
        """All characters but the signs."""
        return "".join(self.lines())


def divided(data: Path, folder: Path) -> tuple[list[Poem], list[Poem]]:
    """The poems to train on, which are written to the folder, and about a twentieth that is kept back."""
    known, kept = list[str](), list[str]()
    for row in data.read_text(encoding="utf-8").splitlines():
        drawn = blake2b(json.loads(row)["text"].encode(), digest_size=1).digest()[0] < 13
        (kept if drawn else known).append(row)
    (folder / "train.jsonl").write_text("\n".join(known) + "\n", encoding="utf-8")
    read = [[Poem(one["form"], one["title"], one["text"]) for one in map(json.loads, rows)] for rows in (known, kept)]
    return read[0], read[1]


def keeps_form(poem: Poem) -> bool:
    lines, size = SIZES[poem.form]
    return [len(one) for one in poem.lines()] == [size] * lines


def rhymes(poem: Poem) -> list[tuple[str, str]]:
    """The pairs of characters at the ends of the even lines."""
    return [(min(pair), max(pair)) for pair in combinations([one[-1] for one in poem.lines()[1::2]], 2)]


def chained(known: Sequence[Poem], asked: Sequence[Poem], dice: Random) -> list[Poem]:
    """Poems in which each character is drawn as it follows the two before it in known poems of the form."""
    after: dict[tuple[str, str], list[str]] = defaultdict(list)
    for poem in known:
        text = f"\0\0{poem.text}\0"
        for at in range(2, len(text)):
            after[poem.form, text[at - 2 : at]].append(text[at])
    made = []
    for poem in asked:
        text = "\0\0"
        while len(text) < 200 and (one := dice.choice(after[poem.form, text[-2:]])) != "\0":
            text += one
        made.append(poem._replace(text=text[2:]))
    return made


def holding(poems: Sequence[Poem], known: Texts, length: dict[str, int]) -> float:
    """Share of the poems with a run of characters of known ones, as long as their form says."""
    counts = 0.0
    for run in set(length.values()):
        part = Texts([one.text for one in poems if length[one.form] == run], 0x10FFFF)
        counts += (part.summed(found(part, known, run)) > 0).sum()
    return float(counts) / len(poems)


def measured(poems: Sequence[Poem], known: Sequence[Poem]) -> dict[str, float]:
    """The figures of the heading, as shares."""
    texts, whole = Texts([one.text for one in known], 0), {one.text for one in known}
    lines = {line for one in known for line in one.lines()}
    heard = {pair for one in known for pair in rhymes(one)}
    return {
        "form": sum(map(keeps_form, poems)) / len(poems),
        "rhyme": sum(bool(own := rhymes(one)) and heard.issuperset(own) for one in poems) / len(poems),
        "varied": sum(len(set(one.verse())) / max(1, len(one.verse())) for one in poems) / len(poems),
        "poem": sum(one.text in whole for one in poems) / len(poems),
        "couplet": holding(poems, texts, {form: 2 * size + 1 for form, (_, size) in SIZES.items()}),
        "line": sum(not lines.isdisjoint(one.lines()) for one in poems) / len(poems),
    }


def trained(folder: Path, given: str, minutes: float) -> morelike.Run:
    out = folder / "run"
    if not (out / "weights.safetensors").exists():
        words = [sys.executable, "-m", "morelike", "fit", str(folder / "train.jsonl"), "--given", given]
        subprocess.run([*words, "--minutes", str(minutes), "--out", str(out)], check=True)
    return morelike.load(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="the run is kept here, and used again")
    parser.add_argument("--given", default="form,title", choices=["form", "form,title"])
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    watch, dice, (known, kept) = Watch(), Random(0), divided(given.data, given.folder)
    run, forms = trained(given.folder, given.given, given.minutes), [one.form for one in kept]
    wanted = {"form": forms, "title": [one.title for one in kept]}
    asked = {name: wanted[name] for name in given.given.split(",")}
    made = run.sample(len(kept), given=asked).array.tolist()
    calm = run.sample(len(kept), given=asked, wish=Wish(manner=Manner(temperature=CALM))).array.tolist()
    any_known = [one._replace(text=other.text) for one, other in zip(kept, dice.sample(known, len(kept)), strict=True)]
    ours, calmer = ([one._replace(text=text) for one, text in zip(kept, texts, strict=True)] for texts in (made, calm))
    sets = {
        "ours": ours,
        f"ours, temperature {CALM}": calmer,
        "kept back": kept,
        "known, of any form": any_known,
        "chain": chained(known, kept, dice),
    }
    figures = {name: measured(poems, known) for name, poems in sets.items()}
    for name, one in list(figures.items())[:2]:
        met = (verdict(one["form"] >= FORM), verdict(one["couplet"] <= COPIES))
        print(f"\n{name}: form {met[0]}, copies {met[1]}; {len(kept):,} poems, {dict(Counter(forms))}\n")
    table(["", *figures["ours"]], [[name, *(f"{100 * share:.1f} %" for share in one.values())]
                                   for name, one in figures.items()])  # fmt: skip
    texts = {"made": made, "held": [one.text for one in kept], "copies": [one.text for one in any_known],
             "trivial": [one.text for one in sets["chain"]]}  # fmt: skip
    for one in verbatim(texts, [one.text for one in known]).figures:
        print(f"\n{one.says}")
    for poem in (*ours[:10], *calmer[:10]):
        print(f"\n{poem.form}  {poem.title if 'title' in given.given else ''}\n{poem.text}")
    tell("text_poems", given=given.given, figures=figures, trained=dict(run.trained), others=watch.others())


if __name__ == "__main__":
    main()
