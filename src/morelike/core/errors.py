"""Errors for users: what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MorelikeError(ValueError):
    """An error whose three parts tell the user what was found, what was expected and what to do.

    found     the value, file, column or index at fault
    expected  what would have been right
    action    what the user can do about it
    """

    def __init__(self, found: str, expected: str, action: str) -> None:
        self.found, self.expected, self.action = found, expected, action
        super().__init__(" ".join(part if part[-1:] in ".?!" else part + "." for part in (found, expected, action)))


class OptionError(MorelikeError):
    """An option, name or number that cannot be used."""


class DataError(MorelikeError):
    """A source that cannot be read, or holds nothing to train on."""


class RunError(MorelikeError):
    """A run folder that is missing, incomplete or changed."""


class TrainingError(MorelikeError):
    """A training run that had to stop."""


def unknown(kind: str, name: str, known: Iterable[str]) -> OptionError:
    """An `OptionError` for a misspelt name that offers the nearest known one."""
    known = sorted(known)
    near = get_close_matches(str(name), known, n=1, cutoff=0.4)
    told = known if len(known) < 41 else [*get_close_matches(str(name), known, 12, 0), f"and {len(known) - 12:,} more"]
    action = f'Did you mean "{near[0]}"?' if near else "Choose one of these."
    return OptionError(f'There is no {kind} "{name}"', f"Known: {', '.join(told)}", action)


def missing_extra(package: str, extra: str, purpose: str) -> OptionError:
    """An `OptionError` for an optional library that is not installed."""
    found = f'{purpose} needs the package "{package}", which is not installed'
    return OptionError(found, f'It comes with the extra "{extra}"', f"Run: pip install 'morelike[{extra}]'")
