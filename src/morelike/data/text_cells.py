"""The cells of a record as clean text: records within it unfolded, turns of a dialogue one on each line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from morelike.data.text_encoding import clean

TEXT = "text"  # the column of a row that is a bare string
_SPEAKERS = ("speaker", "role", "from", "name", "author", "user")
_SAID = ("content", "value", "text", "utterance", "message")


def flat(value: Mapping[str, Any] | str) -> dict[str, str]:
    """A record as clean text by column; records within it are unfolded, turns of a dialogue become lines."""
    if isinstance(value, str):
        return {TEXT: clean(value)[0]}
    cells = dict[str, str]()
    for key, one in value.items():
        if key is None:
            continue
        name = clean(str(key))[0].strip()
        if isinstance(one, Mapping):
            for inner, text in flat(one).items():
                cells[inner if inner not in value and inner not in cells else f"{name}.{inner}"] = text
        else:
            cells[name] = clean(_said(one))[0]
    return cells


def _said(value: Any) -> str:
    """A cell in words: texts as they are, turns of a dialogue one on each line, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        if value and all(isinstance(one, Mapping) for one in value):
            return "\n".join(filter(None, map(_turn, value)))
        plain = [_said(one) for one in value]
        long = bool(plain) and sum(" " in one for one in plain) > len(plain) / 2
        if long:
            return "\n".join(f"{'AB'[place % 2]}: {' '.join(one.split())}" for place, one in enumerate(plain))
        return ", ".join(plain)
    return json.dumps(value, ensure_ascii=False, default=str).strip('"')  # a date has its quotation marks by `default`


def _turn(value: Mapping[str, Any]) -> str:
    """{"role": "user", "content": "Hello"} as "user: Hello"."""
    who = next((str(value[name]) for name in _SPEAKERS if value.get(name)), "")
    said = next((value[name] for name in _SAID if isinstance(value.get(name), str)), None)
    if said is None:
        return json.dumps(value, ensure_ascii=False, default=str)
    return f"{who}: {' '.join(said.split())}" if who else " ".join(said.split())
