"""What `check` sees in texts: planted faults are found and named, good texts are left alone, versions are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from morelike.codecs import text
from morelike.codecs._personal import is_card, is_iban, is_identity, personal
from morelike.core.codec import Blemish, Inspectable, Item

SOME = "the house of a friend is near and the river with its old trees was quiet that day for all of us"
WORDS = SOME.split()
POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
CODEC = text.Codec(text.Config("bytes", context=64))


def sentence(seed: int, count: int = 25) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count)) + "."


def found(texts: list[str]) -> dict[str, Blemish]:
    looks = [CODEC.look(Item(str(n), lambda one=one: one)) for n, one in enumerate(texts)]
    return {one.kind: one for one in CODEC.judge(looks)}


GOOD = [sentence(n) for n in range(100)]


def test_good_texts_are_left_alone() -> None:
    assert isinstance(CODEC, Inspectable) and found(GOOD) == {} and CODEC.judge([]) == []


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("too_short", "ok"),
        ("odd_encoding", "SchÃ¶ne GrÃ¼ÃŸe an alle, die das hier lesen kÃ¶nnen"),
        ("odd_encoding", sentence(1) + "\ufffd"),
        ("low_information", "spam " * 300),
        ("low_information", "#####....!!!!----====~~~~****" * 2),
        ("other_script", "Это предложение написано по-русски, а не по-английски."),
        ("other_language", "Der Mann ist nicht mit dem Hund in das Haus und auf die Straße gegangen."),
        ("personal_data", sentence(2) + " Write to jane.doe@example.com"),
    ],
)
def test_a_planted_fault_is_found(kind: str, bad: str) -> None:
    assert found([*GOOD, bad])[kind].rows == (100,)


def test_boilerplate_is_found() -> None:
    footer = "\n\nThis message is confidential and meant for its addressee alone."
    shared = found([*GOOD, *(sentence(n) + footer for n in range(200, 205))])["boilerplate"]
    assert shared.rows == tuple(range(100, 105)) and "5" in shared.evidence


def test_personal_data_is_counted_and_not_shown() -> None:
    said = "Call +44 20 7946 0958, mail a.b@c.org, card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00"
    counts = personal(said + ", 192.168.20.1, 11010519491231002X, 13812345678")
    assert counts == {"mail": 1, "phone": 2, "card": 1, "identity": 1, "iban": 1, "address": 1}
    told = found([*GOOD, said])["personal_data"]
    assert "4111" not in str(told) and "a.b@c" not in str(told) and "1 card number" in told.evidence
    assert told.severity == "warn"
    assert (
        sum(personal("In 2019 we sold 1,234,567 of 3.14159 at 12:30, version 1.2.3.4, ISBN 978-3-16-148410-0").values())
        == 0
    )


def test_checksums() -> None:
    assert is_card("4111111111111111") and not is_card("4111111111111112") and not is_card("0000000000000000")
    assert is_identity("11010519491231002X") and not is_identity("110105194912310021")
    assert is_iban("GB82WEST12345698765432") and not is_iban("GB82WEST12345698765433")


def test_versions_of_a_text_are_told_from_others() -> None:
    one = " ".join(GOOD[:3])
    versions = [one, one.upper(), one.replace("river", "lake", 1), POEM,
                POEM.replace("是", "似"), " ".join(sentence(n) for n in (7, 8, 9)), "", "!"]  # fmt: skip
    sketches = CODEC.sketch([CODEC.tokens(said) for said in versions])
    assert sketches.shape == (len(versions), 256) and torch.isfinite(sketches).all()

    def unlike(a: int, b: int) -> float:
        return float(CODEC.difference(sketches[a : a + 1], sketches[b : b + 1]))

    assert unlike(0, 1) < 0.01 and unlike(0, 2) < 1 and unlike(3, 4) < 2
    assert unlike(0, 5) > 1 and unlike(0, 3) > 2
    signed = CODEC.signature(sketches)
    assert float((signed[0] - signed[2]).norm()) < 1 < float((signed[0] - signed[5]).norm())
