"""What is measured of texts: bits per byte and runs against sums by hand, answers against sacrebleu."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.core.spec import Batch, Spec
from morelike.measure.anchors import Fold
from morelike.measure.features import learn, random_features
from morelike.measure.text import bits, documents, runs, verbatim, wording
from morelike.measure.text.answers import answers, measures, nearest_source, rouge_l, tokenizer
from morelike.measure.text.loops import loops
from morelike.measure.usual import Usual

WORDS = tuple("the cat dog sat on a mat and ran far away from old blue house in rain".split())  # noqa: SIM905


def texts(n: int, seed: int = 0, words: int = 8) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) for _ in range(words)) for _ in range(n)]


# --- bits per byte


class Unigram(nn.Module):
    """Token t has probability (t + 1) / sum; knows the surprise of each token."""

    exact = True

    def __init__(self, tokens: int, context: int) -> None:
        super().__init__()
        self.spec = Spec((context + 1,), tokens=tokens, end=0)
        self.law = torch.arange(1.0, tokens + 1).div(tokens * (tokens + 1) / 2).log()
        self.weight = nn.Parameter(torch.zeros(1))

    def token_log_probs(self, batch: Batch) -> Tensor:
        found = self.law[batch.x]
        counts = (batch.x[:, 1:] != 0) | (batch.x[:, :-1] != 0)
        return torch.cat([torch.zeros(len(found), 1), found[:, 1:] * counts], 1)

    def log_prob(self, batch: Batch) -> Tensor:
        return self.token_log_probs(batch).sum(1)

    def write(self, *_: Any) -> Iterator[Tensor]:
        raise NotImplementedError


class Unwriting(Unigram):
    """The same for a family that only knows whole rows."""

    write = None  # type: ignore[assignment]
    token_log_probs = None  # type: ignore[assignment]

    def log_prob(self, batch: Batch) -> Tensor:
        return Unigram.token_log_probs(self, batch).sum(1)


def read(x: Tensor) -> list[str]:
    return ["".join(chr(96 + t) for t in row if t) for row in x.tolist()]


def count(x: Tensor) -> Tensor:
    return (x[:, 1:] != 0).sum(1)


def whole(*lengths: int, seed: int = 0) -> documents.Whole:
    draw = np.random.default_rng(seed)
    return documents.Whole([draw.integers(1, 9, n).astype(np.uint8) for n in lengths], [str(n) for n in lengths])


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("size", [2, 3, 8, 9, 10, 17, 31, 100])
def test_every_token_is_predicted_once(size: int, overlap: bool) -> None:
    length, seen = 9, []
    for begin, first in bits.cuts(size, length, overlap):
        seen += range(begin + first, min(begin + length, size))
        assert begin == 0 or first >= (length - 1) // 2 if overlap else first == 1
    assert seen == list(range(1, size))


def test_bits_per_byte_are_those_of_the_whole_documents() -> None:
    known = documents.Documents(read, count, whole(5, 40, 3, seed=1), whole(3, 50, 9, 8))
    family: Any = Unigram(10, 8)
    found = {one.name: one for one in bits.bits_per_byte(known, family, "held out")}
    laws = family.law.tolist()
    nats = -sum(sum(laws[t] for t in one.tolist()) + laws[0] for one in known.held.tokens)
    size = sum(map(len, known.held.tokens))
    assert found["bits_per_byte"].value == pytest.approx(nats / size / math.log(2), rel=1e-6)
    assert found["perplexity"].value == pytest.approx(math.exp(nats / (size + 4)), rel=1e-6)
    low, high = found["bits_per_byte"].low, found["bits_per_byte"].high
    assert low is not None and high is not None and low < nats / size / math.log(2) < high
    assert found["bits_per_byte"].baseline > 0 and found["likelihood_gap"].value is not None
    other: Any = Unwriting(10, 8)
    rows = list(range(4))
    same = [bits.costs(known.held, rows, count, one, 1000) for one in (family, other)]
    assert torch.allclose(same[0].nats, same[1].nats)


def test_bits_per_byte_of_nothing_have_a_reason() -> None:
    known = documents.Documents(read, count, whole(5), whole())
    family: Any = Unigram(10, 8)
    assert all(one.value is None and one.reason for one in bits.bits_per_byte(known, family, "held out"))
    one = documents.Documents(read, count, whole(), whole(7))
    found = bits.bits_per_byte(one, family, "held out")
    assert found[0].value > 0 and found[0].low is None and found[2].reason


def test_a_compressor_that_knows_the_text_needs_next_to_nothing() -> None:
    lines = [one.encode() for one in texts(200)]
    assert bits.packed(lines, lines[:50]) < 0.3 * bits.packed([b"x"], lines[:50])
    assert bits.packed(lines, []) is None


# --- word for word


def test_runs_are_those_that_a_search_finds(monkeypatch) -> None:
    known, new = texts(30, 1), [*texts(5, 2), "", "é" * 4, "the cat"]
    joined = "\0".join(known)
    for block in (runs.BLOCK, 50):
        monkeypatch.setattr(runs, "BLOCK", block)
        a, b = runs.Texts(new, verbatim.SOUGHT), runs.Texts(known, verbatim.KNOWN)
        for length in (1, 4, 11, 30):
            begins = runs.found(a, b, length)
            inside = a.summed(runs.covered(begins, length)).tolist()
            for row, text in enumerate(new):
                places = [i for i in range(len(text) - length + 1) if text[i : i + length] in joined]
                assert [int(a.offsets[row]) + i for i in places] == np.flatnonzero(
                    begins[a.offsets[row] : a.offsets[row] + max(0, len(text) - length + 1)]
                ).__add__(a.offsets[row]).tolist()  # fmt: skip
                assert inside[row] == len({i + j for i in places for j in range(length)})
        most = max(j - i for t in new for i in range(len(t)) for j in range(i, len(t) + 1) if t[i:j] in joined)
        assert verbatim.longest(a, b) == most


def test_what_was_learnt_by_heart_is_found_and_shown() -> None:
    known, new = texts(200, 1, 30), texts(80, 2, 30)
    passage = known[7][20:110]
    made = [f"zebra {passage} zebra", *texts(79, 3, 30)]
    found = verbatim.verbatim({"made": made, "held": new, "copies": known[:80], "trivial": ["q" * 50]}, known,
                              [f"line {i}" for i in range(200)])  # fmt: skip
    share, longest = found.figures
    assert share.floor < 0.06 and share.copies == pytest.approx(1.0) and share.baseline == 0
    assert share.low <= share.value <= share.high and longest.value >= len(passage) > longest.floor
    first = found.passages[0]
    assert first.name == "line 7" and first.made == 0 and passage in first.run
    assert (first.before + first.run + first.after) in made[0]
    assert (first.there_before + first.run + first.there_after) in known[7]


@pytest.mark.parametrize("made", [[], ["", ""]])
def test_empty_samples_give_a_reason(made: list[str]) -> None:
    found = verbatim.verbatim({"made": made, "held": [], "copies": [], "trivial": []}, texts(3))
    assert all(one.value is None and one.reason for one in found.figures) and not found.passages


def test_without_new_documents_a_fixed_length_counts() -> None:
    known = texts(20, 1, 30)
    found = verbatim.verbatim({"made": known[:3], "held": [], "copies": known[:3], "trivial": []}, known)
    assert found.figures[0].value == pytest.approx(1.0) and found.figures[0].floor is None


# --- wording


def test_words_of_several_scripts() -> None:
    assert wording.words("Don't go, 床前明月!") == ["don't", "go", ",", "床", "前", "明", "月", "!"]
    assert wording.repeats(["a"] * 6) == (3, 2) and wording.repeats(["a"]) == (0, 0)


LOOPS = {
    "the cat ran and the dog sat, " + "and then he said " * 6: True,
    "一只猫坐在地上。" + "明月光，" * 8: True,
    "no " * 40: True,
    "no " * 8: False,  # too short to be one
    " ".join(
        f"the {one} of the house"
        for one in ["door", "roof", "wall", "lamp", "room", "yard", "gate", "well", "barn", "path"]
    ): False,
    "how much wood would a woodchuck chuck if a woodchuck could chuck wood as a woodchuck would": False,
    " ".join(f"word{one}" for one in range(90)) + " and on and on and on and on and on and on and on": False,  # a sixth
    "": False,
}


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_told_from_what_only_returns(text: str) -> None:
    assert loops(wording.words(text)) == LOOPS[text]


def test_the_share_of_loops_stands_beside_that_of_real_texts() -> None:
    """A third of the samples loop, and one in ten of the real texts."""
    real = [one if row % 10 else "la la li lo " * 9 for row, one in enumerate(texts(120, 1))]
    made = [one if row % 3 else "and then he said " * 9 for row, one in enumerate(texts(120, 2))]
    half = [torch.arange(60), torch.arange(60, 120)]
    pair = [Fold(made=a, real=b, fresh=a, copies=a, trivial=a) for a, b in (half, half[::-1])]
    sets = [wording.Texts(one, frozenset("".join(real))) for one in (made, real, real, real)]
    (found,) = (one for one in wording.wording(sets, pair) if one.name == "loops")
    assert found.value == pytest.approx(1 / 3) and found.floor == pytest.approx(0.1)
    assert found.low < found.value < found.high and "33 of 100 samples go round in a loop" in found.says


# --- answers


def test_answers_are_scored_as_by_sacrebleu_beside_a_memory() -> None:
    metrics = pytest.importorskip("sacrebleu.metrics")
    sources, targets = texts(300, 1), [one.upper() for one in texts(300, 1)]
    asked, right = texts(60, 2), [one.upper() for one in texts(60, 2)]
    made = [" ".join(one.split()[:-1]) for one in right]
    found = {one.name: one for one in answers(documents.Answers(asked, made, right, sources, targets))}
    assert found["bleu"].value == pytest.approx(metrics.BLEU(force=True).corpus_score(made, [right]).score)
    assert found["chrf"].value == pytest.approx(metrics.CHRF().corpus_score(made, [right]).score)
    for one in found.values():
        assert one.low <= one.value <= one.high and one.value > one.copies > one.baseline


def test_the_memory_returns_what_it_has_seen() -> None:
    sources = [*texts(50), "床前明月光，疑是地上霜。"]
    assert nearest_source([sources[3], sources[17]], sources) == [3, 17]


def test_rouge_is_that_of_the_longest_common_subsequence() -> None:
    assert rouge_l(["a b c d"], ["a c d e"]).value == pytest.approx(75.0)
    assert rouge_l(["", "x"], ["", "y"]).value == pytest.approx(50.0)


def test_a_missing_library_is_a_reason(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
    found = measures(["a"])["bleu"](["a"], ["a"], 0)
    assert found.value is None and "morelike[text]" in found.reason


@pytest.mark.parametrize(
    ("text", "name"), [("abc", "13a"), ("床前明月光", "zh"), ("猫がいるのです", "char"), ("", "13a")]
)
def test_the_tokenizer_suits_the_script(text: str, name: str) -> None:
    assert tokenizer([text]) == name


# --- features


SPEC = Spec((65,), tokens=27, end=0)


def encoded(lines: list[str]) -> Tensor:
    x = torch.zeros(len(lines), 65, dtype=torch.int64)
    for row, line in zip(x, lines, strict=True):
        tokens = torch.tensor([ord(c) - 96 if c != " " else 26 for c in line[:63]])
        row[1 : 1 + len(tokens)] = tokens
    return x


def test_usual_runs_are_counted_and_own_ones_taken_off() -> None:
    x = encoded(texts(50))
    usual = Usual(27, 0, torch.Generator().manual_seed(0))
    usual.count(x)
    seen = usual(x)
    assert seen.shape == (50, 12) and (seen[:, 1:10:2] == 0).all()  # nothing is new
    shuffled = x.clone()
    for row in shuffled:
        n = int((row != 0).sum())
        row[1 : 1 + n] = row[1 : 1 + n][torch.randperm(n)]
    assert usual(shuffled)[:, 5].mean() > 0.3  # share of new runs of three
    usual.own = 1
    assert (usual(x)[:, 9] > 0).any() and usual(torch.zeros(1, 65, dtype=torch.int64)).isfinite().all()


def test_features_see_the_order_of_tokens_and_the_class() -> None:
    x = torch.cat([encoded(texts(300)), encoded([one[::-1] for one in texts(300, 5)])])
    labels = torch.arange(600) // 300
    net = learn(x, labels, SPEC, seconds=3)
    new = torch.cat([encoded(texts(60, 8)), encoded([one[::-1] for one in texts(60, 9)])])
    assert (net.classify(new).argmax(1) == torch.arange(120) // 60).float().mean() > 0.9
    random = random_features(SPEC, on=x)
    for features in (net, random):
        assert features(new).isfinite().all() and features(new).shape == (120, 64) and features.alike == 52


def test_neighbouring_words_are_marked() -> None:
    from morelike.measure.page.texts import marked

    a, b = marked("x <b> the cat sat on", "the cat sat on y")
    assert "<mark>the cat sat on</mark>" in a.replace("<mark> ", "<mark>") and "&lt;b&gt;" in a and "<mark>" in b
    assert all(one.startswith('<pre class="item" dir="auto">') for one in (a, b))
