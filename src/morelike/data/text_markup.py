"""Markdown and HTML without their markup: what a reader would see, paragraph by paragraph."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SKIPPED = {"script", "style", "template", "noscript", "svg", "iframe", "object", "title"}
_BLOCKS = {
    *("p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "figure", "figcaption", "form"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "hr", "address", "body"),
}
_LINES = {"br", "li", "dt", "dd", "tr", "option", "caption", "summary"}
_CELLS = {"td", "th"}
_CHARSET = re.compile(rb"""(?:<meta[^>]*charset|<\?xml[^>]*encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")


def declared(data: bytes) -> str | None:
    """The encoding that an HTML file says it has, or None."""
    found = _CHARSET.search(data[:4096])
    return found[1].decode("ascii", "replace") if found else None


def html_text(source: str) -> str:
    """The text of an HTML file: a blank line between blocks, without scripts, styles and comments."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return _tidy("".join(reader.parts))


class _Reader(HTMLParser):
    """Collects what is shown; white space is kept inside <pre> only."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.skipping, self.verbatim = 0, 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.skipping += tag in _SKIPPED
        self.verbatim += tag == "pre"
        self._space(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self._space(tag)

    def handle_endtag(self, tag: str) -> None:
        self.skipping = max(0, self.skipping - (tag in _SKIPPED))
        self.verbatim = max(0, self.verbatim - (tag == "pre"))
        if tag not in _LINES:
            self._space(tag)

    def _space(self, tag: str) -> None:
        self.parts.append("\n\n" if tag in _BLOCKS else "\n" if tag in _LINES else " " if tag in _CELLS else "")

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.parts.append(data if self.verbatim else re.sub(r"\s+", " ", data))


_MARKDOWN = (
    (re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL), ""),  # front matter
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"^ {0,3}(?:```|~~~).*$", re.MULTILINE), ""),
    (re.compile(r"^ {0,3}\[[^\]\n]+\]:\s+\S+.*$", re.MULTILINE), ""),  # where links lead
    (re.compile(r"^ {0,3}(?:[-*_] ?){3,}$", re.MULTILINE), ""),  # rules
    (re.compile(r"^ {0,3}(?:=+|-+)$", re.MULTILINE), ""),  # under headings
    (re.compile(r"^ {0,3}\|?(?: *:?-+:? *\|)+ *:?-* *$", re.MULTILINE), ""),  # under the heads of tables
    (re.compile(r"^ {0,3}#{1,6} +(.*?)(?: +#+)?$", re.MULTILINE), r"\1"),
    (re.compile(r"^ {0,3}(?:> ?)+", re.MULTILINE), ""),
    (re.compile(r"^( *)(?:[-*+]|\d{1,9}[.)]) +(?:\[[ xX]\] +)?", re.MULTILINE), r"\1"),
    (re.compile(r"!\[([^\]\n]*)\]\([^()\n]*(?:\([^()\n]*\))?[^()\n]*\)"), r"\1"),
    (re.compile(r"\[([^\]\n]+)\]\([^()\n]*(?:\([^()\n]*\))?[^()\n]*\)"), r"\1"),
    (re.compile(r"\[([^\]\n]+)\]\[[^\]\n]*\]"), r"\1"),
    (re.compile(r"<((?:https?|mailto):[^>\s]+)>"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"~~(?=\S)(.+?)(?<=\S)~~"), r"\1"),
    (re.compile(r"`+([^`\n]+)`+"), r"\1"),
    (re.compile(r"^\|(.*)\|$", re.MULTILINE), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!>~|-])"), r"\1"),
)


def markdown_text(source: str) -> str:
    """The text of a Markdown file: headings, lists and emphasis lose their signs, links keep their words."""
    for pattern, by in _MARKDOWN:
        source = pattern.sub(by, source)
    return html_text_inside(source) if _TAG.search(source) else _tidy(source)


def html_text_inside(source: str) -> str:
    """Text with some tags in it, without them; line breaks stay where they are."""
    return _tidy(_TAG.sub("", source))


def _tidy(text: str) -> str:
    """At most one blank line in a row, and no white space at the ends of lines."""
    text = re.sub(r"[ \t]+\n", "\n", re.sub(r"\n[ \t]+\n", "\n\n", text))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<=\n) (?=\S)", "", text)).strip()
