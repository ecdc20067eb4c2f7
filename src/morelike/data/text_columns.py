"""Which column of a table is the text, which ones are labels, and what a dialogue is made into."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from morelike.chemistry.lines import are_smiles
from morelike.core.errors import DataError, unknown
from morelike.data.tablefile import LABELS
from morelike.data.text_cells import TEXT
from morelike.data.text_rows import Row

TEXTS = (
    TEXT, "content", "body", "message", "poem", "sentence", "document", "article", "review", "story", "comment",
    "正文", "内容", "文本",
)  # fmt: skip
CLASSES = (*LABELS, "type", "kind", "标签", "类别")
BEFORE, REPLY, SPEAKER, DIALOGUE = "before", "reply", "speaker", "dialogue"
DIFFERENT, WORDY = 0.3, 0.5  # shares of the cells of a column of text that are different, and that hold some words
_LOOK = 2_000  # rows from which columns are judged
_WORDS = re.compile(r"[^\W\d_]{2,}")
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_TURN = re.compile(r"^(#[^#\n]{1,30}#|[^\W\d_][\w .'-]{0,30})\s?[:：]\s*(.*)$")


def text_column(rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """The column to make when nobody says: one that is called so, else one of molecules, else the one with the longest
    text; None if none."""
    cells = {name: _sample(rows, name) for name in columns}
    for name in named_text(columns):
        if is_wordy(cells[name], least=0.2):
            return name
    if molecules := next((name for name in columns if is_molecules(cells[name])), None):
        return molecules
    found = {name: np.mean([len(cell) for cell in cells[name]]) for name in columns if is_wordy(cells[name])}
    return max(found, key=lambda name: found[name]) if found else None


def named_text(columns: Sequence[str]) -> list[str]:
    """The columns that are called like a text, the likeliest first."""
    lower = {name.lower(): name for name in reversed(columns)}
    return [lower[name] for name in TEXTS if name in lower]


def only_text(rows: Sequence[Row], columns: Sequence[str], name: str) -> None:
    """Raise `DataError` where several columns are text and none is called so: the data does not say what is made."""
    wordy = [column for column in columns if is_wordy(_sample(rows, column))]
    if len(wordy) > 1 and not set(named_text(columns)) & set(wordy):
        raise DataError(
            f"{name} has several columns of text: {', '.join(wordy)[:200]}",
            "One of them to make, and others to make it from if you like",
            f"Name it: --make {wordy[-1]}, and perhaps --given {wordy[0]}",
        )


def is_wordy(cells: Sequence[str], least: float = WORDY) -> bool:
    """True for a column of text: most cells hold three words, or four characters without spaces, and few repeat.

    Words have blanks between them: an address of mail or of a page is one.
    """
    if not cells or len(set(cells)) < DIFFERENT * len(cells):
        return False
    wordy = sum(_words(cell[:400]) >= 3 or len(_HAN.findall(cell[:400])) >= 4 for cell in cells)
    return wordy >= least * len(cells)


def is_molecules(cells: Sequence[str]) -> bool:
    """True for a column of SMILES that differ, and are longer than codes such as C1."""
    if not cells or len(set(cells)) < DIFFERENT * len(cells) or sum(map(len, cells)) < 6 * len(cells):
        return False
    return are_smiles([cell.strip() for cell in cells])


def _words(cell: str) -> int:
    return sum(bool(_WORDS.search(one)) for one in cell.split())


def is_short(cells: Sequence[str]) -> bool:
    """True for a column of names and titles: hardly a cell is a sentence of ten words or sixty letters."""
    return sum(len(cell) > 60 or len(cell.split()) > 9 for cell in cells) < 0.1 * len(cells)


def label_column(columns: Sequence[str]) -> str | None:
    """The only column that is called like a label, or None; "label" itself comes before the others."""
    found = [name for name in columns if name.lower() in CLASSES]
    exact = [name for name in found if name.lower() == "label"]
    return (exact or found)[0] if len(exact or found) == 1 else None


def dialogue_column(rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """The column in which most cells are turns of a dialogue, or None."""
    for name in columns:
        cells = _sample(rows[:200], name)
        if cells and sum(len(turns(cell)) >= 2 for cell in cells) > 0.5 * len(cells):
            return name
    return None


def turns(text: str) -> list[tuple[str, str]]:
    """Who says what, of a dialogue with "Name: ..." at the head of each turn; [] where it is none.

    Lines without a name go on with the turn before.
    """
    found: list[tuple[str, str]] = []
    for line in text.strip().split("\n"):
        head = _TURN.match(line.strip())
        if head:
            found.append((head[1], head[2].strip()))
        elif not found:
            return []
        elif line.strip():
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line.strip()}".strip())
    return found if len(found) >= 2 and len({who for who, _ in found}) <= max(2, len(found) // 2 + 1) else []


def replies(rows: Sequence[Row], column: str) -> Iterator[Row]:
    """A row for each turn after the first: what was said before, the reply, who speaks, and which dialogue it is."""
    for row in rows:
        others = {name: cell for name, cell in row.cells.items() if name != column}
        said = [(who, what) for who, what in turns(row.cells.get(column, "")) if what]
        lines = [f"{who}: {what}" for who, what in said]
        for place in range(1, len(said)):
            virtual = {BEFORE: "\n".join(lines[:place]), REPLY: said[place][1], SPEAKER: said[place][0]}
            yield Row(f"{row.where}, turn {place + 1}", {**others, **virtual, DIALOGUE: row.where})


def chosen(rows: Sequence[Row], columns: Sequence[str], make: str | None, name: str) -> tuple[Sequence[Row], str]:
    """The rows to learn from, and the column that is made of each.

    Raises `DataError` where no column is text, or no column a dialogue whose replies are asked for, and `OptionError`
    for a column that is not there.
    """
    if make in (REPLY, BEFORE) and make not in columns:
        column = dialogue_column(rows, columns)
        if column is None:
            raise DataError(
                f"{name} has no dialogues in its columns {', '.join(columns)[:200]}",
                'A column with turns such as "Ann: Hello", one on each line',
                "Write them so, or name another column to make",
            )
        return list(replies(rows, column)), make
    if make is not None:
        if make not in columns:
            extra = (REPLY,) if dialogue_column(rows, columns) else ()
            raise unknown("column", make, [*columns, *extra])
        return rows, make
    column = text_column(rows, columns) or next((one for one in columns if one.lower() in TEXTS), None)
    if column is None and len(columns) == 1:
        column = columns[0]
    if column is None:
        raise DataError(
            f"{name} has the columns {', '.join(columns)[:200]}, none of which is text",
            "A column with some words in each row, such as text",
            "Name the column to make: --make COLUMN",
        )
    return rows, column


def _sample(rows: Sequence[Row], name: str) -> list[str]:
    step = max(1, len(rows) // _LOOK)
    return [cell for row in rows[::step] if (cell := row.cells.get(name, "").strip())]
