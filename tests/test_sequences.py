"""Items of different length: the cache, packed rows, batches of like length, and what they are conditioned on."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs import text
from morelike.collect import alike, arrange, tied
from morelike.conditions import conditions, is_label
from morelike.core.codec import Item
from morelike.core.errors import DataError, OptionError
from morelike.data.cache import build
from morelike.data.listing import Source
from morelike.data.packing import Packer
from morelike.data.ragged import Ragged, take
from morelike.data.sequences import Sequences, filled

RNG = np.random.default_rng(0)
LENGTHS = {
    "alike": [3] * 50, "mixed": [5, 300, 2, 1, 80, 7, 9, 1, 64, 63, 62, 65], "one": [1000],
    "many": RNG.integers(1, 200, 300).tolist(),
}  # fmt: skip


def documents(lengths: list[int]) -> Ragged:
    """Every token is a number of its own, so that it can be told where it went."""
    return Ragged.of([np.arange(n) + 1 + 10_000 * row for row, n in enumerate(lengths)])


def predictions(rows: np.ndarray) -> Counter:
    """Pairs of neighbours that a model is asked to predict one from the other."""
    pairs = [pair for row in rows.tolist() for pair in zip(row[:-1], row[1:], strict=True)]
    return Counter(pair for pair in pairs if pair != (0, 0))


@pytest.mark.parametrize("empty", [0, 20])
@pytest.mark.parametrize("name", LENGTHS)
def test_every_token_of_every_document_is_predicted_once(name: str, empty: int) -> None:
    x = documents(LENGTHS[name])
    rows = Packer(x.lengths, 65, empty).pack(RNG.permutation(len(x)).tolist())
    wanted = Counter(pair for one in x[:] for pair in zip([0, *one.tolist()], [*one.tolist(), 0], strict=True))
    assert predictions(filled(x, rows, 65).numpy()) == wanted


def test_short_documents_stay_whole_and_rows_are_full() -> None:
    lengths = RNG.integers(5, 60, 2_000)
    rows = Packer(lengths, 129).pack(list(range(2_000)))
    assert all(piece.begin == 0 and piece.end == lengths[piece.row] + 1 for row in rows for piece in row)
    assert (lengths + 1).sum() / (129 * len(rows)) > 0.9


def test_a_batch_is_a_function_of_its_step_and_epochs_differ() -> None:
    x = documents(LENGTHS["many"])
    loader = Sequences(x, {}, np.arange(200), 8, 3, 64)
    again = Sequences(x, {}, np.arange(200), 8, 3, 64)
    for step in (0, 5, 400):
        assert torch.equal(loader.batch(step).x, again.batch(step).x)
    epoch = -(-loader.count // 8)
    assert not torch.equal(loader.batch(0).x, loader.batch(epoch).x)
    assert int(loader.batch(0).x.max()) < 200 * 10_000  # only the rows that it was given


def test_with_conditions_a_row_is_one_document_beside_its_own_condition() -> None:
    x, source = documents(LENGTHS["many"]), Ragged.of([np.full(1 + row % 7, row + 1) for row in range(300)])
    loader = Sequences(x, {"from": source, "label": np.arange(300)}, np.arange(300), 16, 0, 64)
    for step in range(30):
        batch = loader.batch(step)
        for row, given, label in zip(batch.x, batch.given["from"], batch.given["label"], strict=True):
            assert int(row[0]) == int(given[0]) == 0 and int(row[1]) // 10_000 == int(label) == int(given[1]) - 1
            assert int((given > 0).sum()) == 1 + int(label) % 7 and int(given[-1]) == 0
    widths = [loader.batch(step).x.shape[1] for step in range(10)]
    assert max(widths) <= 65 and len(set(widths)) > 1  # batches are cut to their longest row


def test_a_typical_batch_is_neither_the_longest_nor_the_shortest() -> None:
    lengths = RNG.integers(2, 200, 600).tolist()
    loader = Sequences(documents(lengths), {"label": np.zeros(600, int)}, np.arange(600), 20, 0, 256)
    sizes = sorted(loader.batch(step).x.shape[1] for step in range(30))
    assert sizes[3] < loader.typical().x.shape[1] < sizes[-3]


def source(texts: list[str], **fields: list[str]) -> Source:
    rows = [{name: column[row] for name, column in fields.items()} for row in range(len(texts))]
    items = [Item(f"line {n}", partial(str, one), rows[n]) for n, one in enumerate(texts)]
    return Source("texts", items, repr((texts, fields)), codec="text")


def test_the_cache_keeps_items_of_different_length(tmp_path: Path) -> None:
    texts = ["a cat", "", "another, longer text", "é"]
    codec = text.Codec(text.Config("bytes")).fit(source(texts).items)
    for _ in range(2):  # made, then read again
        data = build(source(texts), codec, tmp_path)
        assert isinstance(data.x, Ragged) and [name for name, _ in data.problems] == ["line 1"]
        stored = take(data.x, [0, 2])
        assert [codec.vocabulary.decode(one.tolist()) for one in stored] == ["a cat", texts[3]]
    assert len(data.hashes) == 3 and data.x.lengths.tolist() == [5, 20, 2]


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    texts = ["one", "two", "three"]
    codec = text.Codec(text.Config("bytes")).fit(source(texts).items)
    path = build(source(texts), codec, tmp_path).path
    (path / "offsets.npy").write_bytes(b"nothing")
    assert build(source(texts), codec, tmp_path).x.lengths.tolist() == [3, 3, 5]


def test_few_values_that_come_back_are_labels_and_others_are_text() -> None:
    fields = {"kind": ["a", "b"] * 20, "title": [f"the title number {n}" for n in range(40)]}
    assert is_label(fields["kind"]) and not is_label(fields["title"])
    codec = text.Codec(text.Config("bytes", context=16))
    found = conditions(fields, "kind, title", codec)
    assert [one.natural for one in found.values()] == ["label", "text"]
    assert found["title"].config.vocabulary == "bytes" and found["title"].context >= 20
    assert conditions(fields, "none", codec) == {}
    with pytest.raises(OptionError, match='Did you mean "title"'):
        conditions(fields, "titel", codec)
    with pytest.raises(DataError, match="no field"):
        conditions({}, "title", codec)


def test_what_belongs_together_is_on_one_side_of_the_split() -> None:
    assert alike([["a", "b", "a", "", ""]]) == [[0, 2]]
    hashes = tied(np.array([5, 3, 9, 7, 1], dtype=np.uint64), [[0, 2], [2, 4]])
    assert hashes.tolist() == [5, 3, 5, 7, 5]  # groups that share a row are one


def test_translations_of_one_sentence_are_not_divided(tmp_path: Path) -> None:
    made = [f"made {n}" for n in range(200)]
    english = [f"a sentence, number {n // 4}" for n in range(200)]
    codec = text.Codec(text.Config("bytes")).fit(source(made).items)
    data = build(source(made, english=english), codec, tmp_path)
    found = arrange(data, codec, "english", 0.3)
    assert len(found.held) > 10
    assert not {english[row] for row in found.kept} & {english[row] for row in found.held}
