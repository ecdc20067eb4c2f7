"""Names of months in languages other than English, and quarters: read as English names and numbers, written as seen."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

ENGLISH = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
SPELLINGS = {  # of each month: in full, in short, and in other ways
    "de": "Januar,Jan,Jänner Februar,Feb März,Mär,Mrz April,Apr Mai Juni,Jun Juli,Jul August,Aug September,Sep,Sept "
    "Oktober,Okt November,Nov Dezember,Dez",
    "fr": "janvier,janv,jan février,févr,fév mars,mar avril,avr mai juin juillet,juil,jul août,aoû septembre,sept,sep "
    "octobre,oct novembre,nov décembre,déc",
    "es": "enero,ene febrero,feb marzo,mar abril,abr mayo,may junio,jun julio,jul agosto,ago "
    "septiembre,sep,setiembre,sept,set octubre,oct noviembre,nov diciembre,dic",
    "it": "gennaio,gen febbraio,feb marzo,mar aprile,apr maggio,mag giugno,giu luglio,lug agosto,ago "
    "settembre,set,sett ottobre,ott novembre,nov dicembre,dic",
}
_WORD = re.compile(r"[^\W\d_]{3,}\.?")
_NAMED = re.compile(r"%B\{(.*?)\}")


def spellings(language: str) -> dict[str, int]:
    """The number of a month, from 1, by each of its names, without accents and dots."""
    months = enumerate(SPELLINGS[language].split(), start=1)
    return {plain(name): number for number, names in months for name in names.split(",")}


def plain(word: str) -> str:
    """A word in small letters, without accents and a dot behind it."""
    apart = unicodedata.normalize("NFKD", word.casefold().rstrip("."))
    return "".join(char for char in apart if not unicodedata.combining(char))


def month_names(texts: list[str]) -> str:
    """How some dates name months, as the pattern %B{de:Jan,Feb,…}; "" where they are English or no names."""
    words = Counter(word for text in texts for word in _WORD.findall(text))
    for language in SPELLINGS:
        known = spellings(language)
        named = {word: count for word, count in words.items() if plain(word) in known}
        if sum(named.values()) < 0.98 * len(texts) or all(plain(word) in _english() for word in named):
            continue
        best = _default(language, max(named, key=lambda word: named[word]))
        for word, _ in sorted(named.items(), key=lambda one: one[1]):  # the commonest is written last
            best[known[plain(word)] - 1] = word
        return f"%B{{{language}:{','.join(best)}}}"
    return ""


def _default(language: str, like: str) -> list[str]:
    """Names of all months, as long as one that was seen, with capitals and a dot as it has them."""
    full = any(plain(like) == plain(names.split(",")[0]) for names in SPELLINGS[language].split())
    best = [(names.split(",") * 2)[not full] for names in SPELLINGS[language].split()]
    case = str.upper if like.isupper() else str.lower if like.islower() else str.title
    return [case(name) + "." * like.endswith(".") for name in best]


def _english() -> set[str]:
    return {*ENGLISH, *(name[:3] for name in ENGLISH)}


def in_english(column: Any, pattern: str) -> tuple[Any, str]:
    """A polars column of dates, and their pattern, with months in English, and quarters as their first month."""
    if found := _NAMED.search(pattern):
        language, names = found[1].split(":", 1)
        number = {one: month - 1 for one, month in spellings(language).items()}
        number |= {name.lower(): place for place, name in enumerate(names.split(","))}
        accented = {name.lower().rstrip(".") for name in _accented(column)} - number.keys()
        number |= {word: number[plain(word)] for word in accented if plain(word) in number}
        number |= {f"{word}.": month for word, month in number.items() if not word.endswith(".")}
        order = sorted(number, key=len, reverse=True)
        english = [ENGLISH[number[word]] for word in order]
        column = column.str.to_lowercase().str.replace_many(order, english, leftmost=True)
        pattern = _NAMED.sub("%B", pattern)
    if "%q" in pattern:
        for quarter in range(4, 0, -1):
            column = column.str.replace(rf"[Qq]{quarter}(\D|$)", f"Q{3 * quarter - 2:02}$1")
        pattern = pattern.replace("%q", "%m")
    return column, pattern


def _accented(column: Any) -> list[str]:
    """The different words of a column that hold other letters than those of English."""
    words = column.str.extract(r"([^\x00-\x7f]*[a-zA-Z]*[^\x00-\x7f]+[a-zA-Z]*)").drop_nulls().unique()
    return [word for text in words.to_list() for word in _WORD.findall(text)]


def say_month(part: str, month: int) -> str:
    """The name of a month, from 1, by the part %B{…} of a pattern."""
    found = _NAMED.match(part)
    return found[1].split(":", 1)[1].split(",")[month - 1] if found else ""
