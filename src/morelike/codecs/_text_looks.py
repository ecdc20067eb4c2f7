"""What is seen of one text: how long it is, in what script and language, how repetitive, how odd its characters."""

from __future__ import annotations

import re
import zlib
from hashlib import blake2b

from morelike.codecs._personal import personal
from morelike.core.codec import Item, Look

SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff", "Chinese": "\u3400-\u9fff", "Japanese": "\u3040-\u30ff",
    "Korean": "\uac00-\ud7a3", "Cyrillic": "\u0400-\u04ff", "Greek": "\u0370-\u03ff", "Arabic": "\u0600-\u06ff",
    "Hebrew": "\u0590-\u05ff", "Indic": "\u0900-\u0dff", "Thai": "\u0e00-\u0e7f",
}  # fmt: skip
LANGUAGES = {
    "English": "the and of to is that it was for with his you not are this have",
    "German": "der die und das ist nicht ein eine mit den von zu sich auf dem auch",
    "French": "le la les et des est une dans que pour qui pas du sur au avec",
    "Spanish": "el la los las que y en un una es por con para del se no",
    "Italian": "il di che e la un una per non sono del della con gli le si",
    "Portuguese": "o a os as que e de um uma para com não do da em se",
    "Dutch": "de het een en van is dat niet op te zijn met voor ik aan er",
}
UNIT = 40  # characters that a paragraph has at least, to be looked for in other documents
_LOOK = 20_000  # characters of a text that are looked at
_WORDS = {name: frozenset(words.split()) for name, words in LANGUAGES.items()}
_IN_SCRIPT = {name: re.compile(f"[{ranges}]") for name, ranges in SCRIPTS.items()}
_MISREAD = re.compile(r"Ã[\x80-\xbf]|â€|Â[\xa0-\xbf]|ï»¿|å[\x80-\xbf]|锟斤拷|烫烫烫|ä½|é€")


def look(item: Item) -> Look:
    """Measure one text; raises whatever its reader raises.

    characters  how many
    letters     share of letters among what is no white space
    packed      bytes when compressed over bytes; 1 for texts of less than 200 bytes
    broken      characters that stand for unreadable bytes, or come of a wrong encoding
    script_...  share of its letters in each script
    data_...    personal data of each kind

    Notes: language (of texts in Latin letters), paragraphs (hashes of those that could be boilerplate).
    """
    text = str(item.load())
    seen = text[:_LOOK]
    raw, dense = seen.encode("utf-8", "replace"), len("".join(seen.split()))
    shares = {name: len(pattern.findall(seen)) for name, pattern in _IN_SCRIPT.items()}
    letters = sum(map(str.isalpha, seen))
    notes = {"paragraphs": " ".join(paragraphs(text))}
    if language := language_of(seen):
        notes["language"] = language
    return Look(
        {
            "characters": float(len(text.strip())), "letters": letters / max(1, dense),
            "packed": len(zlib.compress(raw, 6)) / len(raw) if len(raw) >= 200 else 1.0,
            "broken": float(text.count("\ufffd") + len(_MISREAD.findall(seen))),
            **{f"script_{name}": count / max(1, sum(shares.values())) for name, count in shares.items()},
            **{f"data_{kind}": float(count) for kind, count in personal(text).items()},
        },
        notes,
    )  # fmt: skip


def language_of(text: str) -> str:
    """The language whose common words are there most often, "" where that is not clear."""
    words = re.findall(r"[^\W\d_]+", text[:2000].lower())
    hits = sorted(((sum(word in known for word in words), name) for name, known in _WORDS.items()), reverse=True)
    (most, name), (next_most, _) = hits[:2]
    return name if most >= 4 and most >= 1.5 * next_most and most >= 0.1 * len(words) else ""


def paragraphs(text: str) -> list[str]:
    """Hashes of the different paragraphs of a text, where it has several; of its lines, where it has no blank ones."""
    parts = text.split("\n\n") if "\n\n" in text else text.split("\n")
    plain = [" ".join(part.split()).lower() for part in parts]
    kept = dict.fromkeys(part for part in plain if len(part) >= UNIT)
    return (
        [blake2b(part.encode("utf-8", "replace"), digest_size=6).hexdigest() for part in kept] if len(parts) > 1 else []
    )
