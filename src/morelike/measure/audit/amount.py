"""Whether there is enough to learn from: of everything, of each class, and for measuring; and whether labels fit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from morelike.measure.audit.wording import cut, some
from morelike.measure.figure import Finding

FEW, SCARCE = 100, 1000  # items below which a model learns them by heart; below which it does so unless helped
FEW_EACH = 50  # items of a class
UNEVEN = 10  # times as many of the commonest class as of the rarest
FEW_HELD = 50  # held-out items
REASONS = 3  # causes of unreadable files that are told


def skipped(problems: Sequence[tuple[str, str]], total: int) -> list[Finding]:
    """Findings about what could not be read, as (name, reason): files cut short, other damage, and other things.

    total  number of items, these among them
    """
    kinds = defaultdict(list)
    lost, mended = parted(problems)
    for name, why in lost:
        kinds["truncated" if "truncat" in why else "unreadable"].append((name, why))
    words = {"truncated": ("file is cut short", "files are cut short"),
             "unreadable": ("file cannot be used", "files cannot be used")}  # fmt: skip
    found = []
    for kind, listed in kinds.items():
        causes = Counter(why.split(" (")[0] for _, why in listed).most_common()
        told = cut([f"{why}: {count:,}" for why, count in causes], REASONS)
        found.append(
            Finding(
                kind, "warn" if len(listed) >= 0.01 * total else "note", some(len(listed), *words[kind]), f"{told}.",
                "The model learns from the others only.",
                "Copy or download them again, or delete them.", tuple(name for name, _ in listed), (), (), len(listed),
                "They are left out.",
            )
        )  # fmt: skip
    return found + [
        Finding("repaired", "note", some(len(mended), "file was mended", "files were mended") + " while it was read",
                f"{cut([why for _, why in mended], REASONS)}.", "The model learns from what could be read.",
                "Save it again in UTF-8, if characters are missing.", tuple(name for name, _ in mended),
                count=len(mended), default="It is read as well as it can be.")
    ][: len(mended)]  # fmt: skip


def parted(problems: Sequence[Sequence[str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What was left out, and what was only mended: characters, or names of columns, read as well as they can be."""
    found: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for name, why in problems:
        found[name.endswith((" (encoding)", " (header)"))].append((name, why))
    return found


def amount(train: int, held: int, distinct: int, pictures: bool = False) -> list[Finding]:
    """Findings about the number of items to train on and to measure with; `distinct` of all of them differ.

    pictures  whether items are such, which can be augmented
    """
    found, critic = [], "A GAN's critic sees them augmented; nothing else is changed."
    if distinct == 1:
        found.append(
            Finding("identical", "stop", "All items are the same", f"{train + held:,} items, and no two differ.",
                    "The model can only return it.", "Name a source with different items.", count=train + held,
                    default="It is trained on all the same.")
        )  # fmt: skip
    elif train < FEW:
        found.append(
            Finding("too_few", "warn", f"Only {some(train, 'item', 'items')} to train on", f"Fewer than {FEW}.",
                    "The model will learn them by heart and return them, slightly changed at best.",
                    f"Collect more, a thousand if you can{', and augment: --augment flip,crop=0.1' * pictures}.",
                    count=train,
                    default="All of them are trained on.")
        )  # fmt: skip
    elif train < SCARCE:
        found.append(
            Finding("few", "note", f"{train:,} items are few to train on", f"Fewer than {SCARCE:,}.",
                    "The model may learn some of them by heart.",
                    "Augment them: --augment flip,crop=0.1." if pictures else "Collect more, if you can.", count=train,
                    default=critic if pictures else "They are trained on as they are.")
        )  # fmt: skip
    if held < FEW_HELD and distinct > 1:
        few = f"Only {some(held, 'item is', 'items are')} held out"
        found.append(
            Finding("few_held_out", "note", few if held else "Nothing is held out", f"Fewer than {FEW_HELD}.",
                    "None for the model; but whether it copies, and how real it is, can hardly be measured.",
                    "Hold out more, say --held-out 0.3, or measure beside another source: morelike report --against.",
                    count=held, default="As many are held out as the share that was asked for.")
        )  # fmt: skip
    return found


def balance(labels: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Findings about the labels of all items, "" where there is none: missing, uneven, few, or written in two ways."""
    missing = [row for row, label in enumerate(labels) if not label]
    counts = Counter(label for label in labels if label)
    if not counts:
        return []
    found = []
    if missing:
        found.append(
            Finding("missing_labels", "warn", some(len(missing), "item has no label", "items have no label"),
                    f"{len(labels) - len(missing):,} others have one.",
                    "The model cannot be asked for a class, since all items need one for that.",
                    "Label them, or move them away.", tuple(names[row] for row in missing), tuple(missing), (),
                    len(missing), "It is trained without labels.")
        )  # fmt: skip
    if len(counts) > 1 and len(counts) <= len(labels) // 4:
        found += spread(counts)
    return found + spelling(counts)


def spread(counts: Counter[str]) -> list[Finding]:
    """Findings about classes that are rare."""
    (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
    scarce = [f"{label} {count:,}" for label, count in reversed(counts.most_common()) if count < FEW_EACH]
    found = []
    if many >= UNEVEN * few:
        found.append(
            Finding("imbalance", "warn", f"There are {many / few:,.0f} times as many of {most} as of {least}",
                    f"{many:,} beside {few:,}.", f"What it draws of {least} will be poorer, and copied sooner.",
                    f"Collect more of {least}, or train without the rare classes.", count=few,
                    default="Each item is shown equally often.")
        )  # fmt: skip
    if scarce:
        found.append(
            Finding("few_each", "warn" if len(scarce) > len(counts) / 2 else "note",
                    some(len(scarce), "class has few items", "classes have few items"),
                    f"Fewer than {FEW_EACH}: {cut(scarce, 8)}.",
                    "Of these classes the model will return what it has seen.",
                    "Collect more of them, or put them together.", count=len(scarce),
                    default="They are trained on as they are.")
        )  # fmt: skip
    return found


def spelling(counts: Counter[str]) -> list[Finding]:
    """The finding about labels that differ only in capitals, spaces or strokes."""
    alike = defaultdict(list)
    for label in counts:
        alike["".join(c for c in label.casefold() if c.isalnum()) or label].append(label)
    twice = [sorted(group) for group in alike.values() if len(group) > 1]
    if not twice:
        return []
    title = some(len(twice), "label is written in two ways", "labels are written in two ways")
    ways = cut([" and ".join(f'"{label}"' for label in group) for group in twice], 4)
    return [
        Finding("label_spelling", "warn", title, f"{ways}.", "The model takes them for different classes.",
                "Give them one name.", count=len(twice),
                default="They are taken for different classes.")
    ]  # fmt: skip
