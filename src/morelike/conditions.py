"""What items are conditioned on: which fields, read by which codec, as numbers. p(make | given) begins here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from zlib import compress

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import DataError, OptionError, unknown
from morelike.data.listing import Source
from morelike.data.ragged import Ragged
from morelike.data.text_columns import BEFORE, DIALOGUE
from morelike.recipes import LABELS, RACE, USUAL, Request, module

Given = Mapping[str, np.ndarray | Ragged]
Fields = Mapping[str, Sequence[str]]
SAYS, LOOKED_AT = 0.5, 500  # how much a source says of what it settles; items that are looked at for it


def wanted(fields: Fields, given: str) -> list[str]:
    """The fields that `given` asks for: "auto" is the labels, if there are two or more of them and none is missing.

    Raises `DataError` or `OptionError` for a field that the items do not have.
    """
    if given == "none":
        return []
    if given == "auto":
        values = fields.get("label", ())
        return ["label"] if len(set(values)) > 1 and "" not in values else []
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in fields:
            if not fields:
                raise DataError(f'The items have no field "{name}"', "Labels, such as sub-folders", "Leave out --given")
            raise unknown("field", name, fields)
    return names


def is_label(values: Sequence[str]) -> bool:
    """Whether a column holds labels and no text: few different values that come back."""
    return len(set(values)) <= min(LABELS, max(2, len(values) // 5))


def texts(fields: Fields, given: str) -> list[str]:
    """Those of the fields asked for that hold text."""
    return [name for name in wanted(fields, given) if name != "label" and not is_label(fields[name])]


def conditions(fields: Fields, given: str, codec: Any) -> dict[str, Any]:
    """A codec for each field that is asked for: labels, or text in the vocabulary of the items where these are text."""
    found: dict[str, Any] = {}
    reads_text = texts(fields, given)
    for name in wanted(fields, given):
        if name not in reads_text:
            found[name] = module("codec", "label").Codec().fit(fields[name])
            continue
        text = module("codec", "text")
        known = replace(codec.config, context=None) if codec.natural == "text" else text.Config()
        found[name] = text.Codec(known).fit_texts(fields[name])
    return found


def named(known: Mapping[str, Any], fields: Fields, count: int) -> dict[str, np.ndarray | Ragged]:
    """The conditions of some items as numbers, by name: int64 (N,) for labels, arrays of tokens for texts."""
    return {name: numbers(name, one, fields.get(name, [""] * count)) for name, one in known.items()}


def numbers(name: str, codec: Any, values: Sequence[str]) -> np.ndarray | Ragged:
    """Some values of one condition as numbers."""
    if codec.natural == "label":
        return codec.encode(values)
    return Ragged.of([codec.tokens(value) for value in values])


def as_items(name: str, values: Sequence[str]) -> list[Item]:
    """The values of a column as items of their own."""
    return [Item(f"{name}[{row}]", partial(str, value)) for row, value in enumerate(values)]


def columns(items: Sequence[Item]) -> dict[str, list[str]]:
    """The other columns of some items, "" where one lacks them."""
    names = dict.fromkeys(name for item in items for name in item.fields)
    return {name: [item.fields.get(name, "") for item in items] for name in names}


def fitted(codec: Any, items: Sequence[Item], given: str) -> Any:
    """The codec fitted to the items; a text codec takes its vocabulary from conditions that are texts, too.

    One vocabulary for both sides lets a name be copied from one to the other.
    """
    fields = columns(items) if codec.natural == "text" and given not in ("auto", "none") else {}
    names = texts(fields, given) if fields else []
    if not names:
        return codec.fit(items)
    rows = whole(fields, names, len(items))
    more = [item for name in names for item in as_items(name, [fields[name][row] for row in rows])]
    both = codec.fit([*(items[row] for row in rows), *more])
    found = type(codec)(replace(both.config, context=codec.config.context)).fit(items)
    found.said = both.said
    return found


def whole(fields: Fields, names: Sequence[str], count: int) -> list[int]:
    """Rows that say everything once: of the turns of a dialogue the last, before which stand all the others.

    If every turn stood in what was said before each later one, a vocabulary of whole phrases would seem to suit.
    """
    if BEFORE not in names or DIALOGUE not in fields:
        return list(range(count))
    return list({dialogue: row for row, dialogue in enumerate(fields[DIALOGUE])}.values())


def settles(given: Sequence[str], made: Sequence[str]) -> bool:
    """Whether texts say about as much as those that are made from them: at least `SAYS` of their bytes, compressed.

    Compression makes languages comparable, which differ in bytes for what they say.
    """
    sizes = [len(compress("\n".join(texts).encode("utf-8", "replace"))) for texts in (given, made)]
    return sizes[0] >= SAYS * sizes[1]


def family_of(request: Request, source: Source) -> str:
    """The family that was asked for, or the one that suits the items.

    A translation or a summary is settled by its source, and the likeliest one is wanted: seq2seq, which searches it. A
    title leaves open which poem, and the likeliest would be the dullest (Holtzman et al. 2020): it has to be drawn.
    """
    if request.family == RACE and USUAL[source.codec] != RACE:
        found = f"Nothing races for items that are {source.codec}"
        raise OptionError(found, "A table, or another family", "Leave out --family race")
    if request.family != "auto":
        return request.family
    if source.codec != "text" or request.given in ("auto", "none"):
        return USUAL[source.codec]
    some = source.items[:: max(1, len(source.items) // LOOKED_AT)]
    names = texts(columns(source.items), request.given)
    given = [" ".join(item.fields.get(name, "") for name in names) for item in some]
    return "seq2seq" if names and settles(given, [str(item.load()) for item in some]) else USUAL[source.codec]
