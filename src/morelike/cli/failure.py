"""Errors as a user sees them: what was found, what was expected, what to do, and an exit code; never a traceback."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from morelike.core.errors import MorelikeError, OptionError, RunError, TrainingError, unknown

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
ENDS_IN_A_COMMAND = re.compile(r": (morelike|pip|-)[^:]*$|Usage: ")
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
USER_CAN_MEND = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EROFS}


def report(error: BaseException, words: Sequence[str]) -> int:
    """Print an error on stderr, or as a JSON line on stdout after --json, and return the exit code."""
    if isinstance(error, BrokenPipeError):  # `morelike list | head`: the reader has gone, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if os.environ.get("MORELIKE_DEBUG") == "1" and not isinstance(error, typer.TyperException):
        traceback.print_exception(error)
    told, code = explain(error, words)
    if "--json" in words:
        parts = {"found": told.found, "expected": told.expected, "action": told.action}
        print(json.dumps({"event": "error", "kind": type(told).__name__, **parts, "exit": code}), flush=True)
    else:
        write(told)
    return code


def write(error: MorelikeError) -> None:
    """Print the three parts below one another, the first one bold where the terminal can."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    console.print(Text(sentence(error.found), style="bold"), soft_wrap=True)
    for part in (error.expected, error.action):
        console.print(Text("  " + sentence(part)), soft_wrap=True)


def sentence(text: str) -> str:
    """A part with a full stop at its end, unless it ends otherwise or in a command to copy."""
    text = text.strip()
    return text if text.endswith((".", "?", "!", ":")) or ENDS_IN_A_COMMAND.search(text) else text + "."


def explain(error: BaseException, words: Sequence[str]) -> tuple[MorelikeError, int]:
    """The three-part error that stands for any exception, and the exit code that goes with it."""
    if isinstance(error, MorelikeError):
        return error, FAILED if isinstance(error, TrainingError) else MISUSED
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return interrupted(words), INTERRUPTED
    if isinstance(error, typer.TyperException):
        return misused(error, words), MISUSED
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return out_of_memory(error), FAILED
    if isinstance(error, OSError):
        return refused(error), MISUSED if error.errno in USER_CAN_MEND else FAILED
    return unforeseen(error, words), FAILED


def misused(error: typer.TyperException, words: Sequence[str]) -> MorelikeError:
    """A command line that cannot be read, with the nearest right word where there is one."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context else "morelike"
    wrong = getattr(error, "option_name", None)
    if wrong and type(error).__name__ == "NoSuchOption":
        return unknown(
            "option", wrong, [option for p in context.command.params for option in p.opts if option[0] == "-"]
        )
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return OptionError(
            error.format_message(),
            context.get_usage() if context else "Usage: morelike VERB ...",
            f"See: {path} --help",
        )
    name = parameter.opts[-1] if parameter.opts[0].startswith("-") else parameter.name.upper()
    if type(error).__name__ == "MissingParameter":
        return OptionError(f"{name} is missing", context.get_usage(), f"See: {path} --help")
    return OptionError(f"{name} got {given_value(parameter.opts, words)}", error.message, f"See: {path} --help")


def given_value(options: Sequence[str], words: Sequence[str]) -> str:
    """The word that followed an option on the command line, in quotes."""
    for before, word in zip(["", *words], words, strict=False):
        head, _, tail = word.partition("=")
        if before in options:
            return f'"{word}"'
        if head in options and tail:
            return f'"{tail}"'
    return "a value that cannot be used"


def interrupted(words: Sequence[str]) -> MorelikeError:
    """Ctrl-C where there was nothing to save, or the second one."""
    return RunError("Stopped at once", "Nothing was saved after the last state in the run folder", how_to_resume(words))


def how_to_resume(words: Sequence[str], out: Path | None = None) -> str:
    """The command that takes up a run again, as far as the command line tells which run it is."""
    out = out or run_folder(words)
    if out and (out / "state").exists():
        return f"Continue with: morelike resume {out}"
    return "Give the command again to start afresh"


def run_folder(words: Sequence[str]) -> Path | None:
    """The run folder that a command line names, if it exists."""
    if "--out" in words[:-1] and Path(words[words.index("--out") + 1]).is_dir():
        return Path(words[words.index("--out") + 1])
    folders = [Path(word) for word in words[1:] if not word.startswith("-")]
    return next((folder for folder in folders if (folder / "recipe.json").is_file()), None)


def is_out_of_memory(error: BaseException) -> bool:
    """True for torch's own kinds of a memory error, told without importing torch."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def out_of_memory(error: BaseException) -> MorelikeError:
    """The memory did not suffice, on the CPU or on a GPU."""
    return TrainingError(
        f"The memory is full ({str(error).splitlines()[0][:200]})" if str(error) else "The memory is full",
        "The model, its batch and the program's other data must fit into the memory",
        "Choose a smaller --size or --image, or close other programs",
    )


def refused(error: OSError) -> MorelikeError:
    """A file or folder that the system would not read or write."""
    where = f": {error.filename}" if error.filename else ""
    found = f"{error.strerror or error}{where}"
    if error.errno in DISK_FULL:
        return TrainingError(
            found, "There must be room for the run folder", "Free some space, then continue with --resume"
        )
    return RunError(
        found, "A file or folder that can be read, and a place that can be written", "Check its name and permissions"
    )


def unforeseen(error: BaseException, words: Sequence[str]) -> MorelikeError:
    """A fault of the program's own: its traceback goes to a file, two lines go to the user."""
    folder = run_folder(words) if words[:1] == ["fit"] or words[:1] == ["resume"] else None
    text = "".join(traceback.format_exception(error))
    for place in (folder, Path(tempfile.gettempdir())):
        try:
            if place is None:
                continue
            handle, name = tempfile.mkstemp(prefix="morelike-error-", suffix=".txt", dir=place)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            break
        except OSError:
            name = "nowhere: no file could be written"
    last = str(error).splitlines()[0][:200] if str(error) else ""
    return MorelikeError(
        f"This is a fault in morelike, not in what you did: {type(error).__name__}: {last}",
        f"Its traceback was written to {name}",
        "Report it with that file, or set MORELIKE_DEBUG=1 to see it here",
    )
