"""From what the user names to a source: a folder, an archive, arrays, a table of files, the built-in world."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from morelike.core.errors import DataError, unknown
from morelike.data import archive, arrays, idx, tablefile
from morelike.data.baskets import is_baskets, open_baskets
from morelike.data.folder import open_folder
from morelike.data.frame import BASES, BOOKS, PART, WRITTEN, has_polars, is_frame, is_url, open_frame
from morelike.data.frame_json import RECORDS
from morelike.data.frame_ts import ENDING
from morelike.data.listing import AS_FOUND, Entry, Reading, Source, has_signature, is_companion, printable, walk, why
from morelike.data.pairs import is_pairs, open_pairs
from morelike.data.shards import SHARDS, is_shard, laid_out
from morelike.data.text import is_text, open_text

__all__ = ["Source", "open_source"]
EXPECTED = (
    "A folder of pictures or texts, a zip or tar of them, .npy, .npz, IDX (.gz), a CSV of file,label, a table of "
    "numbers and categories or with a column of text, a database, or menagerie"
)
CODECS = ("auto", "image", "text", "table", "baskets", "series")


def open_source(source: str | Path, reading: Reading = AS_FOUND) -> Source:
    """The items of a folder, file, built-in world ("menagerie:12000:64:colour") or Hugging Face data set ("hf:name").

    reading  what the items are, where the files leave that open
    Raises `DataError` when there is nothing there, or fewer than two items, and `OptionError` for a misspelt name.
    """
    if isinstance(source, str) and source.split(":")[0] == "menagerie":
        from morelike.data.builtin import open_menagerie

        return open_menagerie(source)
    if isinstance(source, str) and source.startswith("hf:"):
        if not Path(source[3:]).exists():
            from morelike.data.hub import open_hub

            return _enough(open_hub(source[3:], reading))
        source = source[3:]
    if reading.codec not in CODECS:
        raise unknown("kind of source", reading.codec, CODECS)
    path, free = Path(source).expanduser(), reading.codec == "auto" and reading.make is None
    if reading.codec == "baskets" or (free and (is_baskets(path) or is_pairs(str(source)))):
        pairs = open_pairs(str(source)) if has_polars() and not is_baskets(path) else None
        return pairs or open_baskets(path)
    if reading.codec == "table" or (free and _is_table(str(source))):
        return open_frame(source)
    if reading.codec == "series" or (free and path.name.lower().endswith(ENDING) and path.is_file()):
        return replace(open_frame(source), codec="series")
    if reading.codec == "text" or (reading.codec == "auto" and is_text(path, reading.make)):
        return replace(open_text(path, reading.make, reading.unit), codec="text")
    try:
        if not path.exists():
            raise _missing(path)
        return _enough(_open_folder(path) if path.is_dir() else _open_file(path))
    except OSError as error:
        found = f"{printable(path)} cannot be read: {why(error)}"
        raise DataError(found, EXPECTED, "Check the name and the permissions") from None


def _is_table(source: str) -> bool:
    """Whether a source names a table of numbers and categories, and neither texts nor files of pictures."""
    place, part, _ = source.partition(PART)
    if is_url(place):
        return bool(part)
    path, name = Path(place).expanduser(), place.lower().removesuffix(".gz")
    if not path.is_file():
        return False
    if name.endswith((*BOOKS, *BASES)):
        return True
    if name.endswith((*SHARDS, *RECORDS)) and not has_polars():
        return False
    if name.endswith((*WRITTEN, *SHARDS, *RECORDS)):
        written = name.endswith((*WRITTEN, *RECORDS))
        pictures = name.endswith(WRITTEN) and tablefile.picture_column(path)
        return not pictures and is_frame(path, written and is_text(path))
    return False


def _open_folder(path: Path) -> Source:
    if (path / "dataset_dict.json").is_file() or all((path / f"{n}.json").is_file() for n in ("dataset_info", "state")):
        from morelike.data.hub import open_saved

        return open_saved(path)
    entries, problems = walk(str(path))
    here = [entry for entry in entries if len(entry.parts) == 1]
    images = [Path(entry.path) for entry in here if idx.is_images(entry.parts[0])]
    if images:
        return idx.open_idx(images, printable(path), problems)
    source = open_folder(path, entries, problems)
    if source.items:
        return _table_of(entries) or source
    if shards := [Path(entry.path) for entry in laid_out(entries) if is_shard(entry)]:
        from morelike.data.hub import open_files

        return open_files(path, shards)
    files = [entry for entry in entries if entry.suffix == ".npy"]
    if files:
        left = [(name, reason) for name, reason in source.problems if not name.endswith(".npy")]
        return arrays.open_class_arrays(path, files, left)
    packed = [entry for entry in here if entry.suffix == ".npz" or archive.is_archive(entry.parts[0])]
    return _open_file(Path(packed[0].path)) if len(packed) == 1 else source


def _table_of(entries: list[Entry]) -> Source | None:
    """The only table beside a single folder of pictures, whose name would tell nothing."""
    tables = [Path(entry.path) for entry in entries if len(entry.parts) == 1 and entry.suffix in (".csv", ".tsv")]
    kept = [entry for entry in entries if not is_companion(entry.parts[-1])]
    folders = {entry.parts[0] if len(entry.parts) > 1 else "" for entry in kept}
    if len(tables) != 1 or len(folders) != 1 or not tablefile.picture_column(tables[0]):
        return None
    table = tablefile.open_table(tables[0])
    return table if len(table.items) >= 2 else None


def _open_file(path: Path) -> Source:
    with open(path, "rb") as file:
        head = file.read(16)
    name = path.name.lower()
    if head.startswith(b"\x93NUMPY") or name.endswith((".npy", ".npz")):
        return arrays.open_array(path)
    if idx.is_images(name) or (head[:2] == b"\0\0" and head[3:4] in (b"\3", b"\4")):
        return idx.open_idx([path], printable(path))
    if name.endswith((".csv", ".tsv")):
        return tablefile.open_table(path) if tablefile.picture_column(path) else open_frame(path)
    if archive.is_archive(name) or zipfile.is_zipfile(path):
        return archive.open_archive(path)
    if name.endswith(SHARDS):
        from morelike.data.hub import open_files

        return open_files(path, [path])
    if has_signature(head):
        found = f"{printable(path)} is a single picture"
        raise DataError(found, "At least two pictures", "Name the folder that holds them")
    found = f"{printable(path)} is a file of an unknown kind"
    raise DataError(found, EXPECTED, "Put the pictures into a folder and name it")


def _enough(source: Source) -> Source:
    if len(source.items) >= 2:
        return source
    found = "one picture" if source.items else "no pictures"
    if source.problems:
        name, reason = source.problems[0]
        found += f"; {len(source.problems):,} other files were left out, such as {name}: {reason}"
    expected = "At least two pictures (PNG, JPEG, WebP, GIF, BMP or TIFF)"
    raise DataError(f"{source.name} holds {found}", expected, "Name another source, or try menagerie")


def _missing(path: Path) -> DataError:
    try:
        near = get_close_matches(path.name, [one.name for one in path.parent.iterdir()], n=1)
    except OSError:
        near = []
    action = f"Did you mean {printable(path.parent / near[0])}?" if near else "Check the name"
    return DataError(f"There is nothing at {printable(path)}", EXPECTED, action)
