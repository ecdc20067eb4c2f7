"""Series in the format .ts of the UEA and UCR archives: one on each line, its channels and its class behind colons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from morelike.core.errors import DataError
from morelike.data.listing import printable

ENDING = ".ts"
EXPECTED = "Lines such as 1.0,2.0:3.0,4.0:class behind @data, channels between colons"


def read_ts(path: Path, most: int | None = None) -> tuple[Any, list[tuple[str, str]], None]:
    """A polars frame with a row for each moment, in the columns series, step, channel 1, … and class; and the lines
    that could not be read, with the reason.

    most  series to read; None for all

    Raises `DataError` where there are none, and for times beside the values.
    """
    import polars as pl

    head, data, body = path.read_text("utf-8", "replace").partition("@data")
    words = {line.split()[0].lower(): line.split()[1:] for line in head.splitlines() if line.startswith("@")}
    if not data or words.get("@timestamps", ["false"])[0].lower() == "true":
        raise DataError(f"{printable(path)} has {'times beside its values' if data else 'no @data'}", EXPECTED,
                        "Write it as a CSV with a row for each moment")  # fmt: skip
    labelled = words.get("@classlabel", ["false"])[0].lower() == "true"
    rows, problems, first = list[dict[str, str | int | None]](), list[tuple[str, str]](), head.count("\n") + 1
    lines = [(number, line.strip()) for number, line in enumerate(body.splitlines(), first) if line.strip()]
    for series, (number, line) in enumerate(lines[:most], 1):
        *channels, label = line.split(":") if labelled else (*line.split(":"), "")
        values = [channel.split(",") for channel in channels]
        if len(set(map(len, values))) != 1:
            problems.append((f"{printable(path.name)}, line {number}", "channels differ in length, or there are none"))
            continue
        for step, moment in enumerate(zip(*values, strict=True), 1):
            row: dict[str, str | int | None] = {"series": series, "step": step}
            row |= {f"channel {place}": cell.strip() for place, cell in enumerate(moment, 1)}
            rows.append(row | ({"class": label} if labelled else {}))
    if not rows:
        raise DataError(f"{printable(path)} holds no series", EXPECTED, "Name another file")
    return pl.DataFrame(rows, infer_schema_length=None), problems, None
