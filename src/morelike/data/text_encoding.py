"""From the bytes of a text file to clean text: which encoding, what could not be read, what was taken out."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import NamedTuple

from morelike.core.errors import DataError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
BINARY = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"PK\x03\x04", b"\x7fELF", b"\x1f\x8b", b"RIFF", b"OggS", b"ID3",
    b"fLaC", b"\xd0\xcf\x11\xe0", b"Rar!", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"SQLite format", b"\x93NUMPY", b"MThd",
)  # fmt: skip
MOST_CONTROL = 0.02  # share of control characters from which a file is not text
MOST_BROKEN = 0.1  # share of the characters beyond ASCII that may be broken where most are UTF-8
WIDE = 0.3  # share of zeros at every other byte from which a file is UTF-16
_LOOK = 1 << 18  # bytes from which an encoding other than UTF-8 is told
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_SPACES = re.compile("[\x0c\x85\u2028\u2029]")
_HAN_RUN = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]{2,}")
_HAN = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_COMMON = re.compile(rb"(?:[\xa1-\xa9\xb0-\xd7][\xa1-\xfe])+")  # GB2312: signs, and the characters of every day


class Decoded(NamedTuple):
    """The text of a file, and what had to be done to it.

    replaced  bytes that belong to no character, each shown as U+FFFD
    removed   control characters, such as NUL, that were taken out
    """

    text: str
    encoding: str
    replaced: int = 0
    removed: int = 0

    @property
    def problem(self) -> str:
        """What is wrong with it in words; "" where nothing is."""
        said = []
        if self.replaced:
            said.append(f"{self.replaced:,} bytes are not {self.encoding} and were replaced by U+FFFD")
        if self.removed:
            said.append(f"{self.removed:,} control characters were removed")
        return ", ".join(said)


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """The text of a file in NFC with lines that end in a line feed.

    encoding  what the file says of itself, used where that is possible; else it is told from the bytes

    Raises `DataError` where this is no text.
    """
    if data.startswith(BINARY):
        raise not_text()
    name = _declared(data, encoding) or told(data)
    for mark, marked in MARKS:
        if marked == name and data.startswith(mark):
            data = data[len(mark) :]
            break
    try:
        text, replaced = data.decode(name), 0
    except UnicodeDecodeError:
        text = data.decode(name, "replace")
        replaced = text.count("\ufffd")
    text, removed = clean(text)
    if removed > 8 and removed > MOST_CONTROL * (len(text) + removed):
        raise not_text()
    return Decoded(text, name, replaced, removed)


def not_text() -> DataError:
    """The error for a file that holds something else."""
    return DataError("not text", "a text file in UTF-8, UTF-16, GB18030 or Latin-1", "Save it as text in UTF-8")


def clean(text: str) -> tuple[str, int]:
    """Text in NFC, with line feeds alone to end a line and no control characters; and how many were removed."""
    if text.isascii() and text.isprintable():  # most cells of a table: nothing to do
        return text, 0
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        text = text if "\n" in text else text.replace("\r", "\n")
    text, removed = _CONTROL.subn("", _SPACES.sub(" ", text).replace("\r", " "))
    return (text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)), removed


def told(data: bytes) -> str:
    """The encoding of some bytes, as Python names it: told by their mark, by what is valid and by what is plausible.

    Bytes that are neither UTF-8 nor UTF-16 are GB18030 where that gives Chinese characters side by side, and
    Windows-1252 otherwise, where no byte is undefined in it; else Latin-1.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    head = data[:_LOOK]
    if wide := _wide(head):
        return wide
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start > len(head):  # only a late part is at odds
            head = data[error.start - _LOOK // 2 : error.start + _LOOK // 2]
    if _mostly_utf8(head):
        return "utf-8"
    if _chinese(head):
        return "gb18030"
    return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", head) else "cp1252"


def _declared(data: bytes, encoding: str | None) -> str | None:
    """The declared encoding, if there is one that the bytes obey; GB18030 for its forerunners."""
    if not encoding or data.startswith(tuple(mark for mark, _ in MARKS)):
        return None
    try:
        name = codecs.lookup(encoding).name
        name = "gb18030" if name in ("gb2312", "gbk") else name
        data.decode(name)
    except (LookupError, UnicodeError):
        return None
    return name


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte is often zero, the one between hardly ever."""
    even, odd, half = head[::2].count(0), head[1::2].count(0), max(1, len(head) // 2)
    if odd > WIDE * half and even < 0.02 * half:
        return "utf-16-le"
    return "utf-16-be" if even > WIDE * half and odd < 0.02 * half else None


def _mostly_utf8(head: bytes) -> bool:
    """True where the bytes beyond ASCII form characters, but for a few."""
    text = head[4:-4].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = len(text) - len(text.encode("ascii", "ignore")) - broken
    return whole > 0 and broken <= MOST_BROKEN * (broken + whole)


def _chinese(head: bytes) -> bool:
    """True where GB18030 gives hardly an error, and Chinese characters that mostly stand side by side, or common ones:
    in the dates and sexes of a table they stand alone, while letters with accents are one byte, beyond the common."""
    text = head.decode("gb18030", "replace")
    beyond = sum(1 for char in text if char > "\x7f")
    han, together = len(_HAN.findall(text)), sum(map(len, _HAN_RUN.findall(text)))
    broken = text[:-2].count("\ufffd")
    runs = _HIGH_RUN.findall(head[:-2])
    common = sum(bool(_COMMON.fullmatch(run)) for run in runs) > 0.9 * len(runs)
    return han > 0 and broken <= 0.02 * han and han >= 0.7 * beyond and (together >= 0.7 * han or common)
