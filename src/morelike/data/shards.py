"""Parquet and Arrow files: their rows as records, and which files of a folder in Hugging Face's layout are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from morelike.core.errors import DataError, missing_extra
from morelike.data.listing import why

SHARDS = (".parquet", ".arrow")
MEDIA = ("Image", "Audio", "Video", "Pdf")  # features that are files of other kinds
_ROWS = 1_000  # rows that are read at once
_NOTES = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
_TRAIN = re.compile(r"(?:^|[-._ 0-9/])train(?:ing)?(?:$|[-._ 0-9/])", re.IGNORECASE)


class Named(Protocol):
    """A file in a folder or archive."""

    @property
    def parts(self) -> Sequence[str]: ...


F = TypeVar("F", bound=Named)
Features = Mapping[str, Mapping[str, Any]]


def laid_out(files: Sequence[F], card: bool = False) -> list[F]:
    """The files of a data set in the layout of Hugging Face that are read: the split for training, where it has one.

    card  whether there is a data set card; without one, the layout is told by Parquet or Arrow files, and of any other
          folder all files are read
    """
    if not card and not any(map(is_shard, files)):
        return list(files)
    kept = [file for file in files if file.parts[-1] not in _NOTES and not _is_cached(file.parts[-1])]
    return [file for file in kept if _TRAIN.search("/".join(file.parts))] or kept


def is_shard(file: Named) -> bool:
    """True for a Parquet or Arrow file."""
    return file.parts[-1].lower().endswith(SHARDS)


def has_card(folder: Path) -> bool:
    """True where the read-me of a folder begins as a data set card does."""
    try:
        with open(folder / "README.md", "rb") as file:
            return file.read(5).startswith((b"---\n", b"---\r\n"))
    except OSError:
        return False


def _is_cached(name: str) -> bool:
    return name.startswith("cache-") and name.endswith(".arrow")  # intermediate results, beside the data set itself


def read_shard(file: str | bytes, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or Arrow file as records, without pictures and sounds.

    file  its path, or its bytes
    most  rows to read; None for all

    Raises `DataError` where it is neither, and `OptionError` where the library is missing.
    """
    arrow = _library()
    try:
        yield from islice(records(_opened(arrow, file)[1]), most)
    except Exception as error:  # the library raises errors of many kinds for a damaged file
        raise _damaged(error) from None


def media_columns(file: str | bytes) -> list[str]:
    """The columns of pictures, sounds and the like. Raises as `read_shard` does."""
    arrow = _library()
    try:
        declared = features(_opened(arrow, file)[0])
    except Exception as error:
        raise _damaged(error) from None
    return [name for name, kind in declared.items() if kind.get("_type") in MEDIA]


def records(batches: Iterable[Any], declared: Features | None = None) -> Iterator[dict[str, Any]]:
    """The rows of some Arrow tables or batches, classes by their names.

    declared  what is known of the columns; None for what each table says
    """
    for batch in batches:
        kinds = features(batch.schema) if declared is None else declared
        plain = [one.name for one in batch.schema if "binary" not in str(one.type)]
        classes = {name: kinds[name]["names"] for name in plain if kinds.get(name, {}).get("_type") == "ClassLabel"}
        for row in batch.select(plain).to_pylist():
            for column, names in classes.items():
                row[column] = names[row[column]] if row[column] in range(len(names)) else None  # -1 is unknown
            yield row


def features(schema: Any) -> Features:
    """What Hugging Face's library has written about the columns of an Arrow schema; {} where it has not."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: kind for name, kind in found.items() if isinstance(kind, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _library() -> Any:
    try:
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "hf", "Reading Parquet and Arrow files") from None
    return pyarrow


def _opened(arrow: Any, file: str | bytes) -> tuple[Any, Iterator[Any]]:
    """The schema of a file and its rows, some at a time."""
    buffer = arrow.BufferReader(file) if isinstance(file, bytes) else arrow.memory_map(file)
    magic = buffer.read(6)
    buffer.seek(0)
    if magic.startswith(b"PAR1"):
        parquet = arrow.parquet.ParquetFile(buffer)
        return parquet.schema_arrow, parquet.iter_batches(_ROWS)
    if magic == b"ARROW1":
        reader = arrow.ipc.open_file(buffer)
        return reader.schema, map(reader.get_batch, range(reader.num_record_batches))
    stream = arrow.ipc.open_stream(buffer)
    return stream.schema, iter(stream)


def _damaged(error: Exception) -> DataError:
    return DataError(f"not Parquet or Arrow: {why(error)}", "a file as pandas or datasets writes it", "Write it again")
