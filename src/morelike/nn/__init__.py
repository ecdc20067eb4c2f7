"""Networks that can be exchanged by one word: every file here with an `Encoder` and a `Decoder` is a net."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from morelike.core.errors import unknown


def names() -> list[str]:
    """Names of the nets, which are the names of their files, in alphabetical order.

    The files are read, not imported: importing one costs a second of torch, and a list or a help page needs none.
    """
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if "\nclass Encoder(" in file.read_text(encoding="utf-8"))


def net(name: str) -> ModuleType:
    """The module of one net, with its classes `Encoder` and `Decoder`.

    Raises `OptionError` for a name that is not in `names()`.
    """
    if name not in names():
        raise unknown("net", name, names())
    return import_module(f"morelike.nn.{name}")
