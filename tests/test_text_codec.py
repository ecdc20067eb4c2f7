"""The text codec: exact round trips in every vocabulary, bad input, choices by measurement, constraints by patterns."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morelike.codecs import _ngram, _reading, text
from morelike.codecs._whole import whole
from morelike.core.codec import Codec, Item
from morelike.core.errors import DataError, OptionError
from morelike.data.text import open_text

SHARED = Path(os.environ.get("MORELIKE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
TEXTS = [
    "the cat sat on the mat",
    "a dog and a cat",
    "naïve café 👩‍👩‍👧",
    "床前明月光，疑是地上霜。",
    "שלום עולם",
    "x",
    "yes, no: 0123456789.",
] * 4


def items(texts: list[str]) -> list[Item]:
    return [Item(f"line {n}", lambda one=one: one) for n, one in enumerate(texts)]


@pytest.fixture(params=["bytes", "characters", "bpe"])
def codec(request) -> text.Codec:
    return text.Codec(text.Config(request.param)).fit(items(TEXTS))


def test_round_trip(codec: text.Codec) -> None:
    assert isinstance(codec, Codec)
    stored = [codec.prepare(item) for item in items(TEXTS)]
    assert all((one > 0).all() and one.ndim == 1 for one in stored)
    x = codec.encode(stored)
    assert x.dtype == torch.int64 and (x[:, 0] == 0).all() and x.shape[1] <= codec.shape[0]
    assert list(codec.decode(x)) == TEXTS
    assert codec.byte_counts(x).tolist() == [len(one.encode()) for one in TEXTS]


def test_the_config_is_plain_json(codec: text.Codec) -> None:
    again = text.Codec(text.Config(**json.loads(json.dumps(asdict(codec.config)))))
    assert again.preparation == codec.preparation
    assert [again.tokens(one).tolist() for one in TEXTS] == [codec.tokens(one).tolist() for one in TEXTS]


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_in_bytes(said: str) -> None:
    for config in (
        text.Config("bytes", context=512),
        text.Config("characters", context=512, known="abc", spelling=True),
    ):
        codec = text.Codec(config)
        assert codec.decode(codec.encode([codec.tokens(said)]))[0] == codec.normal(said)


def test_unknown_characters_are_written_in_the_nearest_way() -> None:
    codec = text.Codec(text.Config("characters", context=64)).fit_texts(["plain text?", 'more "text"...', "Texts"])
    assert codec.decode(codec.encode([codec.tokens("téxt “ﬁ” Ｘ…")]))[0] == 'text "??" x...'.replace("??", "?")
    assert codec.instead("téxt") == {"é": "e"} and codec.instead("text") == {}
    assert len(codec.tokens("\0")) == 0


def test_bytes_that_are_no_text_are_shown(codec: text.Codec) -> None:
    half = text.Codec(text.Config("bytes", context=16))
    assert half.decode(torch.tensor([[0, 0xE5, 0xBA, 65, 0]]))[0] == "\ufffdA"
    size = len(codec.vocabulary)
    x = torch.randint(0, size, (50, codec.shape[0]), generator=torch.Generator().manual_seed(0))
    assert all(isinstance(one, str) for one in codec.decode(x))


def test_rows_of_long_documents() -> None:
    codec = text.Codec(text.Config("bytes", context=4))
    stored = [codec.tokens("abcdefgh"), codec.tokens("abc"), codec.tokens("abcd")]
    assert codec.decode(codec.encode(stored)).tolist() == ["abcd", "abc", "abcd"]
    x, owners = codec.windows(stored)
    assert owners.tolist() == [0, 0, 0, 1, 2, 2]
    rows = ["".join(chr(c) if c else "|" for c in row) for row in x.tolist()]
    assert rows == ["|abcd", "defgh", "h||||", "|abc|", "|abcd", "d||||"]
    assert codec.byte_counts(x).tolist() == [4, 4, 0, 3, 4, 0]
    assert codec.decode(torch.tensor([[0, 97, 0, 98, 0, 0]]))[0] == "a\n\nb"


def test_spec_and_what_is_refused(codec: text.Codec) -> None:
    spec = codec.spec("log_prob")
    assert spec.end == 0 and spec.tokens == len(codec.vocabulary) and spec.shape == codec.shape
    with pytest.raises(OptionError, match="autoregressive"):
        codec.spec("rsample")
    with pytest.raises(OptionError, match="fit"):
        text.Codec().spec("log_prob")
    with pytest.raises(OptionError, match="vocabulary"):
        text.Config("words")
    with pytest.raises(OptionError, match="context"):
        text.Config(context=0)
    with pytest.raises(DataError, match="empty"):
        codec.prepare(Item("a", lambda: "\0"))
    with pytest.raises(DataError, match="no text"):
        text.Codec().fit(items(["", "\0"]))


def test_types_are_as_small_as_the_vocabulary_allows() -> None:
    assert text.Codec(text.Config("bytes")).fit_texts(TEXTS).tokens("ab").dtype == np.uint8
    many = "".join(chr(0x4E00 + n) for n in range(600))
    assert text.Codec(text.Config("characters")).fit_texts([many, many]).tokens("ab").dtype == np.uint16


def test_rare_characters_of_many_are_spelt() -> None:
    common, rare = "".join(chr(0x4E00 + n) for n in range(600)), "".join(chr(0x7000 + n) for n in range(50))
    codec = text.Codec(text.Config("characters")).fit_texts([common, common, rare])
    assert len(codec.vocabulary) == 1 + 600 + 256
    assert codec.vocabulary.decode(codec.tokens(rare).tolist()) == rare
    small = text.Codec(text.Config("characters", size=300)).fit_texts([common, common])
    assert len(small.vocabulary) == 300


def test_context_fits_short_documents() -> None:
    assert text.fitting_context([10] * 100) == 16 and text.fitting_context([50] * 98 + [900] * 2) == 56
    assert text.fitting_context([5000] * 10) == 256


def test_files_and_html(codec: text.Codec, tmp_path: Path) -> None:
    said = np.array(["<b>one</b>", "two\nlines", "שלום 👩‍👩‍👧"], dtype=object)
    assert codec.html(said)[0] == '<pre class="item" dir="auto">&lt;b&gt;one&lt;/b&gt;</pre>'
    (path,) = codec.write(said, tmp_path / "a.jsonl")
    assert [item.load() for item in open_text(path).items] == list(said)
    (path,) = codec.write(said, tmp_path / "a.txt")
    assert path.read_text(encoding="utf-8").count("-" * 40) == 2
    assert codec.write(said[:1], tmp_path / "b.txt")[0].read_text() == "<b>one</b>\n"
    assert [one.name for one in codec.write(said, tmp_path / "c")] == ["00000.txt", "00001.txt", "00002.txt"]
    with pytest.raises(OptionError, match=r"\.txt or \.jsonl"):
        codec.write(said, tmp_path / "a.png")


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "regex", [r"(yes|no), \d{2}\.", r"[a-c]+t( the)?", r"[\u4e00-\u9fff]{3}。", r"\p{L}é", r"👩|naïve"]
)
def test_whatever_is_allowed_ends_in_a_match(regex: str, codec: text.Codec) -> None:
    import regex as library

    allowed = codec.pattern(regex)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        x = torch.zeros(1, 1, dtype=torch.int64)
        for _ in range(60):
            token = torch.multinomial(allowed(x)[0].float(), 1, generator=generator)
            if token.item() == 0:
                break
            x = torch.cat([x, token[None]], 1)
        said = codec.decode(x)[0]
        assert library.fullmatch(regex, said) or (len(said) > 20 and library.fullmatch(regex, said, partial=True)), said


SPELT = [b"", *(bytes([byte]) for byte in range(256)), b"a\xe4", b"\xb8\xad", b"\x80b", "é".encode()]


def test_what_is_drawn_at_random_is_made_of_whole_characters() -> None:
    allowed = whole(SPELT)
    assert allowed is not None and whole([b"a", "中".encode()]) is None
    x, generator = torch.zeros(64, 1, dtype=torch.int64), torch.Generator().manual_seed(0)
    for _ in range(40):
        x = torch.cat([x, torch.multinomial(allowed(x).float(), 1, generator=generator)], 1)
    for row in x.tolist():
        said = b"".join(SPELT[token] for token in row).decode("utf-8", "replace")
        assert "\ufffd" not in said.removesuffix("\ufffd")  # the last one may be cut short


@given(st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_every_text_is_allowed(said: str) -> None:
    codec = text.Codec(text.Config("bytes", form="as is", context=64))
    allowed, row = codec.spec("log_prob").allowed, torch.tensor([[0, *codec.tokens(said).tolist(), 0]])
    assert allowed is not None
    for place in range(1, row.shape[1]):
        assert allowed(row[:, :place])[0, row[0, place]], said


def test_the_end_is_allowed_exactly_where_the_text_matches(codec: text.Codec) -> None:
    allowed = codec.pattern("cat|cats")
    for said, end in (("", False), ("ca", False), ("cat", True), ("cats", True)):
        row = torch.tensor([[0, *codec.vocabulary.encode(said).tolist()]])
        assert bool(allowed(row)[0, 0]) == end
    prompted = codec.pattern("cat", begin=1 + len(codec.tokens("a dog ")))
    row = torch.tensor([[0, *codec.tokens("a dog ").tolist(), *codec.tokens("cat").tolist()]])
    if codec.config.vocabulary != "bpe":
        assert prompted(row)[0].nonzero().flatten().tolist() == [0]
    with pytest.raises(OptionError, match="no regular expression"):
        codec.pattern("(a")


# --- the choice of a vocabulary --------------------------------------------------------------------------------------


def test_the_quick_model_is_a_distribution() -> None:
    """Of every next token after some context, the probabilities add up to one."""
    train = [np.array([1, 2, 3, 1, 2, 2]), np.array([2, 1, 3])]
    for order in (1, 2, 3):
        start = _ngram.nats(train, [np.array([], np.int64)], 4, order) if order == 1 else None
        assert start is None or start > 0
    total = sum(
        math.exp(-_ngram.nats(train, [np.array([a])], 4, 1) + _ngram.nats(train, [np.array([], int)], 4, 1))
        for a in (1, 2, 3)
    )
    p_end = math.exp(-_ngram.nats(train, [np.array([], int)], 4, 1))
    assert total + p_end == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [("tiny_shakespeare", None, "characters"), ("tang_poems", None, "characters"),
     ("tatoeba_en_zh", "chinese", "characters"), ("multi30k/train", "de", "bpe"),
     ("dialogsum", None, "bpe"), ("sms_spam", None, "bpe")],
)  # fmt: skip
def test_the_vocabulary_suits_real_sets(name: str, make: str | None, kind: str) -> None:
    if not (SHARED / name.split("/")[0]).exists():
        pytest.skip(f"{name} is not here")
    source = open_text(SHARED / name, make)
    codec = text.Codec().fit(source.items)
    assert codec.config.vocabulary == kind and "bits per byte" in codec.said
    some = list(source.items)[:50]
    assert [codec.vocabulary.decode(codec.prepare(one).tolist()) for one in some] == [one.load() for one in some]


def test_characters_are_known_though_not_all_texts_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a text that is not held has a character of its own, that is spelt; else nothing is."""
    monkeypatch.setattr(_reading, "_KEPT", 4_000)
    plain = [f"a text of number {number}" for number in range(1_000)]
    config = text.Config("characters", context=32)
    assert not text.Codec(config).fit(items(plain)).config.spelling
    odd = text.Codec(config).fit(items([f"{one} €" if place == 501 else one for place, one in enumerate(plain)]))
    assert odd.config.spelling and odd.vocabulary.decode(odd.tokens("5 €").tolist()) == "5 €"
    assert "€" not in odd.config.known


def test_a_share_of_the_texts_settles_the_vocabulary_as_all_of_them_would(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = items([f"row {number} of the many rows that are read but not held" for number in range(2_000)])
    whole = _reading.read(rows)
    assert (len(whole.texts), whole.share, whole.whole) == (2_000, 1.0, True)
    monkeypatch.setattr(_reading, "_KEPT", 20_000)
    held = _reading.read(rows)
    assert held.whole and held.letters == whole.letters and held.share < 0.25
    assert sum(map(len, held.texts)) / held.share == pytest.approx(sum(map(len, whole.texts)), rel=0.01)
    monkeypatch.setattr(_reading, "_READ", 40_000)
    some = _reading.read(rows)
    assert not some.whole
    assert sum(map(len, some.texts)) / some.share == pytest.approx(sum(map(len, whole.texts)), rel=0.3)
