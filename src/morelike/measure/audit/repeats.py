"""What is there more than once, told as findings: copies, versions, mirror images; what labels and split make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from morelike.measure.audit.twins import Twins
from morelike.measure.audit.wording import cut, some
from morelike.measure.figure import Finding

MANY = 0.01  # share of surplus items from which they matter
OFTEN = 5  # times that one item may be there before that matters by itself
Groups = Sequence[Sequence[int]]


def repeats(
    twins: Twins, names: Sequence[str], labels: Sequence[str], versions: str = "", usual: str = ""
) -> list[Finding]:
    """Findings about everything that is there more than once; `names` and `labels` are those of all items.

    versions  how two versions of one item differ, in words: "resized or cropped"
    usual     why equal items are no fault, in words; "" where they are one

    Rows that name one file, such as a picture with five captions, are that file and no copies of it.
    """
    listed = [group for group in twins.equal if len({names[row] for row in group}) == 1]
    copied = [group for group in twins.equal if len({names[row] for row in group}) > 1]
    known = {row: index for index, group in enumerate(twins.equal) for row in group}
    differing = [group for group in twins.alike if len({known.get(row, -row - 1) for row in group}) > 1]
    return [
        *repeated_rows(listed, len(names)), *duplicates(copied, names, usual),
        *near_duplicates(differing, names, versions), *disguised(twins.disguised, names),
        *conflicting(copied + differing, names, labels),
    ]  # fmt: skip


def duplicates(groups: Groups, names: Sequence[str], usual: str = "") -> list[Finding]:
    """The finding about items with equal content."""
    if not groups:
        return []
    if usual:
        groups, total = sorted(groups, key=len, reverse=True), sum(map(len, groups))
        title = some(total, "item equals", "items equal") + " others"
        said = f"The commonest is there {len(groups[0])} times, such as {names[groups[0][0]]}."
        action = "Nothing, unless the same one was written down twice."
        return [Finding("duplicates", "note", title, said, usual, action, count=total)]
    surplus, most = sum(len(group) - 1 for group in groups), max(groups, key=len)
    times = "twice" if len(most) == 2 else f"{len(most)} times"
    return [
        finding(
            "duplicates", groups, names, surplus, some(surplus, "item is a copy", "items are copies") + " of another",
            f"{some(len(groups), 'item is', 'items are')} there 2 to {len(most)} times, such as {names[most[0]]}."
            if len(most) > 2 else f"{some(len(groups), 'item is', 'items are')} there twice.",
            f"What is there {times} is seen {times} as often, and sooner returned as it is.",
            "Delete the copies; --json lists them.",
            "Copies stay on one side of the split, so that none of them is measured against itself.",
        )
    ]  # fmt: skip


def near_duplicates(groups: Groups, names: Sequence[str], versions: str = "") -> list[Finding]:
    """The finding about versions of one item."""
    if not groups:
        return []
    surplus, most = sum(len(group) - 1 for group in groups), len(max(groups, key=len))
    return [
        finding(
            "near_duplicates", groups, names, surplus,
            some(surplus, "item is nearly the same", "items are nearly the same") + " as another",
            f"{some(len(groups), 'group', 'groups')} of up to {most}{': ' if versions else ''}{versions}.",
            f"The model sees the same thing up to {most} times as often, and returns it sooner.",
            "Keep the best of each group.",
            "Training keeps each group on one side of the split, up to 1,000 items a minute and 5,000 in all.",
        )
    ]  # fmt: skip


def finding(
    kind: str, groups: Groups, names: Sequence[str], surplus: int, title: str, evidence: str, consequence: str,
    *last: str,
) -> Finding:  # fmt: skip
    """A finding about groups of rows, largest first."""
    rows = tuple(row for group in groups for row in group)
    grave = surplus >= MANY * len(names) or any(len(group) >= OFTEN for group in groups)
    return Finding(kind, "warn" if grave else "note", title, evidence, consequence, last[0],
                   tuple(names[row] for row in rows), rows, tuple(tuple(group) for group in groups), surplus,
                   last[1])  # fmt: skip


def disguised(pairs: Mapping[str, Sequence[tuple[int, int]]], names: Sequence[str]) -> list[Finding]:
    """The findings about items that are others in disguise, such as mirrored."""
    return [
        finding(
            name, found, names, len(found), some(len(found), f"item is another one {name}", f"items are others {name}"),
            f"Such as {names[found[0][1]]} of {names[found[0][0]]}.",
            "The model sees the same thing twice as often.", "Keep one of each two, unless you did it on purpose.",
            "They are trained on as they are.",
        )
        for name, found in pairs.items() if found
    ]  # fmt: skip


def repeated_rows(groups: Groups, total: int) -> list[Finding]:
    """The finding about files that are listed in several rows."""
    if not groups:
        return []
    rows = sum(len(group) for group in groups)
    title = some(len(groups), "file is listed more than once", "files are listed more than once")
    return [
        Finding("repeated_rows", "note", title,
                f"They stand in {rows:,} of {total:,} rows, as with several captions of one picture.",
                "Each counts as often as it has rows.", "Nothing, if that is meant.", count=len(groups),
                default="Rows of one file stay on one side of the split.")
    ]  # fmt: skip


def conflicting(groups: Groups, names: Sequence[str], labels: Sequence[str]) -> list[Finding]:
    """The finding about copies and versions that have different labels."""
    at_odds = [group for group in groups if len({labels[row] for row in group if labels[row]}) > 1]
    if not at_odds:
        return []
    said = [
        f"{names[group[0]]}: {', '.join(sorted({labels[row] for row in group if labels[row]}))}" for group in at_odds
    ]
    rows = tuple(row for group in at_odds for row in group)
    return [
        Finding("conflicting_labels", "warn", some(len(at_odds), "item has", "items have") + " two labels",
                f"Its copies are labelled differently. {cut(said, 3)}.",
                "Asked for either, the model may draw the same thing.", "Keep the copy with the right label.",
                tuple(names[row] for row in rows), rows, tuple(tuple(group) for group in at_odds), len(at_odds),
                "They are trained on with the labels that they have.")
    ]  # fmt: skip


def across(groups: Groups, held: np.ndarray, names: Sequence[str], kept_together: bool) -> list[Finding]:
    """The finding about groups of versions that a split by content alone would divide.

    held           rows that would be held out, each by its own content
    kept_together  whether the groups are put on one side
    """
    out = set(held.tolist())
    divided = [group for group in groups if 0 < sum(row in out for row in group) < len(group)]
    if not divided:
        return []
    leaked = sum(row in out for group in divided for row in group)
    rows = tuple(row for group in divided for row in group)
    said = "None now" if kept_together else "The report would compare samples with what was trained on"
    return [
        Finding("across_split", "note" if kept_together or leaked < MANY * len(held) else "warn",
                f"{some(leaked, 'held-out item has', 'held-out items have')} a version among those trained on",
                f"{leaked:,} of {len(held):,} held-out items, in {some(len(divided), 'group', 'groups')}.",
                f"{said}: novelty and the distances in it would look better than they are.",
                "Keep one of each group." if not kept_together else "Nothing.",
                tuple(names[row] for row in rows), rows, tuple(tuple(group) for group in divided), leaked,
                "Each group is kept on one side of the split." if kept_together
                else "There are too many items to look for groups before training: each is placed by its own content.")
    ]  # fmt: skip
