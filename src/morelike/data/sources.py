"""From what the user names to a source: a folder, an archive, arrays, a table of files, the built-in world."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from morelike.core.errors import DataError
from morelike.data import arrays, idx
from morelike.data.folder import open_folder
from morelike.data.listing import Entry, Source, has_signature, printable, walk, why

__all__ = ["Source", "open_source"]
EXPECTED = "A folder of pictures, a zip or tar of them, .npy, .npz, IDX (.gz), a CSV of file,label, or menagerie"
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def open_source(source: str | Path) -> Source:
    """The items of a folder, file, built-in world ("menagerie:12000:64:colour") or Hugging Face data set ("hf:name").

    Raises `DataError` when there is nothing there, or fewer than two items.
    """
    if isinstance(source, str) and source.split(":")[0] == "menagerie":
        from morelike.data.builtin import open_menagerie

        return open_menagerie(source)
    if isinstance(source, str) and source.startswith("hf:"):
        from morelike.data.hub import open_hub

        return _enough(open_hub(source[3:]))
    path = Path(source).expanduser()
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # a loop of links, a name that no file can have
        raise DataError(f"{printable(path)} cannot be read: {why(error)}", EXPECTED, "Check the name") from None
    if not exists:
        raise _missing(path)
    try:
        return _enough(_open_folder(path) if is_folder else _open_file(path))
    except OSError as error:
        raise DataError(f"{printable(path)} cannot be read: {why(error)}", EXPECTED, "Check its permissions") from None


def _open_folder(path: Path) -> Source:
    if (path / "dataset_dict.json").is_file() or (
        (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
    ):
        from morelike.data.hub import open_saved

        return open_saved(path)
    entries, problems = walk(str(path))
    here = [entry for entry in entries if len(entry.parts) == 1]
    pictures = [entry for entry in here if idx.is_images(entry.parts[0])]
    if pictures:
        return idx.open_idx(pictures, printable(path), problems)
    source = open_folder(path, entries, problems)
    if not source.items:
        files = [entry for entry in entries if entry.suffix == ".npy"]
        if files:
            left = [one for one in source.problems if not one[0].endswith(".npy")]
            return arrays.open_class_arrays(path, files, left)
        packed = [entry for entry in here if entry.suffix == ".npz" or _is_archive(entry.parts[0])]
        if len(packed) == 1:
            return _open_file(Path(packed[0].path))
    return _table_of(path, entries) or source


def _table_of(path: Path, entries: list[Entry]) -> Source | None:
    """The table beside a single folder of pictures, whose name would be no label, if there is just one such table."""
    tables = [entry for entry in entries if len(entry.parts) == 1 and entry.suffix in (".csv", ".tsv")]
    folders = {entry.parts[0] if len(entry.parts) > 1 else "" for entry in entries if entry not in tables}
    if len(tables) != 1 or len(folders) != 1:
        return None
    from morelike.data.tablefile import open_table, picture_column

    return open_table(Path(tables[0].path)) if picture_column(Path(tables[0].path)) else None


def _open_file(path: Path) -> Source:
    return _opener(path)(path)


def _opener(path: Path) -> Callable[[Path], Source]:
    with open(path, "rb") as file:
        head = file.read(16)
    name = path.name.lower()
    if head.startswith(b"\x93NUMPY") or name.endswith((".npy", ".npz")):
        return arrays.open_array
    if idx.is_images(name) or (head[:2] == b"\0\0" and head[3:4] in (b"\3", b"\4")):
        return lambda path: idx.open_idx([path], printable(path), [])
    if name.endswith((".csv", ".tsv")):
        from morelike.data.tablefile import open_table

        return open_table
    if _is_archive(name) or zipfile.is_zipfile(path):
        from morelike.data.archive import open_archive

        return open_archive
    if has_signature(head):
        raise DataError(
            f"{printable(path)} is a single picture", "At least two pictures", "Name the folder that holds them"
        )
    raise DataError(
        f"{printable(path)} is a file of an unknown kind", EXPECTED, "Put the pictures into a folder and name it"
    )


def _is_archive(name: str) -> bool:
    return name.lower().endswith((".zip", *_TAR))


def _enough(source: Source) -> Source:
    if len(source.items) >= 2:
        return source
    found = "no pictures" if not len(source.items) else "one picture"
    if source.problems:
        found += f" and {len(source.problems):,} other files (such as {source.problems[0][0]}: {source.problems[0][1]})"
    raise DataError(
        f"{source.name} holds {found}",
        "At least two pictures (PNG, JPEG, WebP, GIF, BMP or TIFF)",
        "Name another folder, or try morelike fit menagerie",
    )


def _missing(path: Path) -> DataError:
    try:
        near = get_close_matches(path.name, [one.name for one in path.parent.iterdir()], n=1)
    except OSError:
        near = []
    action = f"Did you mean {printable(path.parent / near[0])}?" if near else "Check the name"
    return DataError(f"There is nothing at {printable(path)}", EXPECTED, action)
