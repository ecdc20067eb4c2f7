"""What is wrong with some texts of a set, by their looks: short, repeated, odd, foreign, with personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from morelike.codecs._blemishes import MANY, strays
from morelike.codecs._personal import KINDS
from morelike.codecs._text_looks import SCRIPTS
from morelike.core.codec import Blemish, Look

SHORT = 10  # characters of a short text, which is also far shorter than the others
OFTEN = 3  # documents that a paragraph has to be in, to be boilerplate
MAIN = 0.7  # share of the texts that are in one script or language, from which others are strange
MIXED = 0.25  # share of the letters of a text in a second script, from which it is mixed
PACKED, NOISE = 0.12, 0.35  # a text of repetitions; share of letters in one that is none
_KEPT = "They are trained on as they are."


def judge(looks: Sequence[Look]) -> list[Blemish]:
    """What is wrong with which texts; rows count the looks."""
    if not looks:
        return []
    field = {name: np.array([one.measures[name] for one in looks]) for name in looks[0].measures}
    return [*content(field), *boilerplate(looks), *scripts(field), *languages(looks), *private(field)]


def content(field: Mapping[str, np.ndarray]) -> Iterator[Blemish]:
    """Texts that are much shorter than the others, broken, or without information."""
    size, letters = field["characters"], field["letters"]
    short = (size < SHORT) & strays(size)
    yield from told("too_short", short, "is very short", "are very short",
                    f"At most {size[short].max(initial=0):.0f} characters, where the median is {np.median(size):,.0f}.",
                    "The model will end too early as often.", "Take them out.")  # fmt: skip
    broken = field["broken"] > 0
    yield from told("odd_encoding", broken, "has broken characters", "have broken characters",
                    f"{field['broken'].sum():,.0f} signs of text that was read in a wrong encoding.",
                    "The model will write them too.", "Save the files again in UTF-8.")  # fmt: skip
    dull = (field["packed"] < PACKED) & strays(field["packed"], 3.0)
    noise = (letters < NOISE) & (np.median(letters) > 2 * NOISE - 0.05) & (size >= SHORT) & strays(letters, 3.0)
    yield from told("low_information", dull | noise, "says next to nothing", "say next to nothing",
                    f"{dull.sum():,} of repetitions, {noise.sum():,} with hardly a letter.",
                    "The model will write such texts too.", "Take them out.")  # fmt: skip


def boilerplate(looks: Sequence[Look]) -> Iterator[Blemish]:
    """Documents with paragraphs that are also in others."""
    each = [one.notes.get("paragraphs", "").split() for one in looks]
    count = Counter(part for parts in each for part in parts)
    again = {part for part, times in count.items() if times >= OFTEN}
    rows = np.array([any(part in again for part in parts) for parts in each])
    most = max((count[part] for part in again), default=0)
    yield from told("boilerplate", rows, "shares a paragraph with others", "share paragraphs with others",
                    f"{len(again):,} paragraphs are in {OFTEN} documents or more, one of them in {most:,}.",
                    "The model learns them by heart.", "Delete headers, footers and licences.")  # fmt: skip


def scripts(field: Mapping[str, np.ndarray]) -> Iterator[Blemish]:
    """Texts in another script than most, or in two."""
    shares = np.stack([field[f"script_{name}"] for name in SCRIPTS], 1)  # (N, scripts)
    if {"Japanese", "Chinese"} <= set(SCRIPTS):
        names = list(SCRIPTS)
        kana = shares[:, names.index("Japanese")] > 0.1  # Japanese is written with Chinese characters too
        shares[kana, names.index("Japanese")] += shares[kana, names.index("Chinese")]
        shares[kana, names.index("Chinese")] = 0
    told_of = shares.sum(1) > 0
    first = shares.argmax(1)
    main = np.bincount(first[told_of], minlength=len(SCRIPTS)).argmax() if told_of.any() else 0
    if (first[told_of] == main).mean() >= MAIN if told_of.any() else False:
        other = told_of & (first != main)
        found = Counter(list(SCRIPTS)[one] for one in first[other])
        yield from told("other_script", other, "is in another script", "are in another script",
                        f"{listed(found)}, where most are {list(SCRIPTS)[main]}.", "The model mixes the languages.",
                        "Take them out, or train on each language by itself.")  # fmt: skip
    second = np.sort(shares, 1)[:, -2]
    mixed = (second > MIXED) & (np.mean(second > MIXED) < 1 - MAIN)
    yield from told("mixed_scripts", mixed, "is in two scripts", "are in two scripts",
                    f"At least {100 * MIXED:.0f} % of their letters are in a second one.",
                    "The model will change language within a text.", "Look at whether that is meant.")  # fmt: skip


def languages(looks: Sequence[Look]) -> Iterator[Blemish]:
    """Texts in another language than most, of those whose language is clear."""
    each = [one.notes.get("language", "") for one in looks]
    known = Counter(name for name in each if name)
    if not known or known.most_common(1)[0][1] < MAIN * known.total():
        return
    main = known.most_common(1)[0][0]
    other = np.array([bool(name) and name != main for name in each])
    found = Counter(name for name in each if name and name != main)
    yield from told("other_language", other, "is in another language", "are in another language",
                    f"{listed(found)}, where most are {main}.", "The model mixes the languages.",
                    "Take them out, or train on each language by itself.")  # fmt: skip


def private(field: Mapping[str, np.ndarray]) -> Iterator[Blemish]:
    """Texts with personal data: how many of each kind; the words of the finding do not repeat any of it."""
    counts = {kind: int(field[f"data_{kind}"].sum()) for kind in KINDS}
    rows = np.sum([field[f"data_{kind}"] for kind in KINDS], axis=0) > 0
    said = ", ".join(f"{count:,} {KINDS[kind][count != 1]}" for kind, count in counts.items() if count)
    for one in told("personal_data", rows, "holds personal data", "hold personal data", f"{said}.",
                    "A model may give back what it has read, to anybody.",
                    "Replace or delete them before training."):  # fmt: skip
        yield Blemish(**{**vars(one), "severity": "warn"})


def told(
    kind: str, faulty: np.ndarray, one: str, many: str, evidence: str, consequence: str, action: str
) -> Iterator[Blemish]:
    """The fault of the faulty ones (N,) bool, if there are any."""
    rows = np.flatnonzero(faulty)
    if not len(rows):
        return
    title = f"1 text {one}" if len(rows) == 1 else f"{len(rows):,} texts {many}"
    severity: Literal["warn", "note"] = "warn" if len(rows) >= MANY * len(faulty) else "note"
    yield Blemish(kind, severity, title, tuple(rows.tolist()), evidence, consequence, action, _KEPT)


def listed(found: Mapping[str, int]) -> str:
    """{"German": 3} as "3 German"."""
    return ", ".join(f"{count:,} {name}" for name, count in Counter(found).most_common())
