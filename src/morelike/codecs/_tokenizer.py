"""Byte-level BPE as others keep it: tokenizer.json, or vocab.json and merges.txt, <-> the settings of our text codec.

Nothing but JSON and lines of text is read. The token that ends a text is left out of the pieces, as it is our token 0;
other special tokens stand for their names, but a name in a text is read as the letters that it is made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morelike.codecs._vocabulary import letters
from morelike.core.errors import DataError

ENDING = "<|endoftext|>"
FORMS = {None: "as is", "NFC": "NFC", "NFKC": "NFKC"}
PLAIN: dict[str, tuple[Any, ...]] = {  # of a BPE model
    "type": ("BPE",), "dropout": (None,), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, ""),
    "byte_fallback": (False,), "ignore_merges": (False,),
}  # fmt: skip


def read(folder: Path, size: int, end: int | None) -> tuple[dict[str, Any], int]:
    """Settings of our codec for a model of `size` tokens, and their number of the end.

    end  what the model's config.json says of it; None: <|endoftext|>
    """
    if (path := folder / "tokenizer.json").is_file():
        known, merges, form = _whole(path)
    elif (path := folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        merges = [line for line in lines if line and not line.startswith("#version")]
        known, form = dict(_object(path)), "as is"
    else:
        raise DataError(
            f"{folder}: there is no tokenizer", "tokenizer.json, or vocab.json and merges.txt",
            "Copy them from where the model comes from",
        )  # fmt: skip
    end = known.get(ENDING) if end is None else end
    pieces = [""] * size
    for piece, number in known.items():
        if not (isinstance(number, int) and 0 <= number < size):
            raise DataError(
                f"{path}: the token {piece!r} has number {number}", f"Less than the {size} of config.json",
                "Give the tokenizer that belongs to the model",
            )  # fmt: skip
        pieces[number] = piece
    if not (isinstance(end, int) and 0 <= end < size):
        raise DataError(f"{path}: nothing ends a text", f"eos_token_id, or a token {ENDING}", "Correct config.json")
    del pieces[end]
    _covered(path, set(pieces), merges)
    return {"vocabulary": "bpe", "merges": merges, "pieces": pieces, "form": form}, end


def written(pieces: list[str], merges: list[str], form: str, context: int) -> dict[str, Any]:
    """tokenizer.json and tokenizer_config.json by name, the end being the last token."""
    vocabulary = {piece or f"<|unused {number}|>": number for number, piece in enumerate(pieces)}
    vocabulary[ENDING] = end = len(pieces)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = {"id": end, "content": ENDING, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": False}  # fmt: skip
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
             "vocab": vocabulary, "merges": merges}  # fmt: skip
    return {
        "tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special],
            "normalizer": None if form == "as is" else {"type": form}, "pre_tokenizer": level,
            "post_processor": None, "decoder": level, "model": model,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "model_max_length": context,
            **dict.fromkeys(("bos_token", "eos_token", "unk_token"), ENDING),
        },
    }  # fmt: skip


def _whole(path: Path) -> tuple[dict[str, int], list[str], str]:
    """Vocabulary, merges and normal form in a tokenizer.json; a `DataError` where it works in another way than ours."""
    told = _object(path)
    model, before, normal = (told.get(part) or {} for part in ("model", "pre_tokenizer", "normalizer"))
    for name, allowed in PLAIN.items():
        if (value := model.get(name, allowed[0])) not in allowed:
            raise _other(path, f"{name} of its model is {value!r}", f"{allowed[0]!r}")
    if before.get("type") != "ByteLevel" or before.get("add_prefix_space", True) or not before.get("use_regex", True):
        raise _other(path, f"text is cut by {json.dumps(before)[:80]}", "ByteLevel without add_prefix_space")
    if normal.get("type") not in FORMS:
        raise _other(path, f"text is made normal by {json.dumps(normal)[:80]}", "Nothing, NFC or NFKC")
    special = {one["content"]: one["id"] for one in told.get("added_tokens") or []}
    merges = [one if isinstance(one, str) else " ".join(one) for one in model.get("merges") or []]
    return {**model.get("vocab", {}), **special}, merges, FORMS[normal.get("type")]


def _other(path: Path, found: str, expected: str) -> DataError:
    return DataError(f"{path}: {found}", f"A byte-level BPE as GPT-2 has it: {expected}", "Take another checkpoint")


def _object(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "A JSON object", "Restore the file") from None
    if not isinstance(told, dict):
        raise DataError(f"{path}: holds a {type(told).__name__}", "A JSON object", "Restore the file")
    return told


def _covered(path: Path, pieces: set[str], merges: list[str]) -> None:
    """Every byte of a text is a token, and so is all that is merged."""
    lost = [letter for byte, letter in enumerate(letters()) if byte and letter not in pieces]
    lost += [merge for merge in merges if not {*merge.split(" "), merge.replace(" ", "")} <= pieces]
    if lost:
        raise DataError(
            f"{path}: there is no token for {lost[0]!r}", "One for each byte, and for each merge", "Restore the file"
        )
