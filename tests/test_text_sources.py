"""Every kind of text source, read with what is known to be in it, and every kind of bad input, named and survived."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from morelike.core.errors import DataError, OptionError
from morelike.data.sources import Source
from morelike.data.text import is_text, open_text
from morelike.data.text_cut import cut, is_list
from morelike.data.text_encoding import clean, decode
from morelike.data.text_markup import html_text, markdown_text

SHARED = Path(os.environ.get("MORELIKE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
PROSE = "Das Wetter ist schön, und die Männer gehen über die Straße. “Wohin?”, fragt einer. "
CHINESE = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def texts(source: Source) -> list[str]:
    return [item.load() for item in source.items]


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not here")
    return SHARED / name


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_western_text_in_any_encoding(encoding: str) -> None:
    assert decode(PROSE.encode(encoding)).text == PROSE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_chinese_text_in_any_encoding(encoding: str) -> None:
    assert decode(CHINESE.encode(encoding)).text == CHINESE
    mixed = "Chapter 1: " + CHINESE * 3
    assert decode(mixed.encode(encoding)).text == mixed


def test_what_is_not_plain_is_cleaned_and_counted() -> None:
    found = decode("a\0b\r\nc\rd\u2028e\x07 e\u0301".encode())
    assert (found.text, found.removed) == ("ab\nc d e é", 2)
    assert clean("old\rmac")[0] == "old\nmac"
    assert decode("👩‍👩‍👧 שלום".encode()).text == "👩‍👩‍👧 שלום"  # joiners and right-to-left text stay


def test_a_mixed_file_is_read_and_told() -> None:
    found = decode((PROSE * 3).encode() + "Käse".encode("cp1252"))
    assert found.encoding == "utf-8" and found.replaced == 1 and "1 bytes" in found.problem


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n123", bytes(range(256)) * 20, b"%PDF-1.4 ..."])
def test_binary_files_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="notes.txt: not text"):
        open_text(write(tmp_path / "notes.txt", data))


# --- markup ----------------------------------------------------------------------------------------------------------


def test_markup_is_stripped() -> None:
    page = "<html><head><title>t</title><style>p{}</style></head><body><h1>A &amp; b</h1><p>One\n two<br>three</p>"
    assert html_text(page + "<script>x<y</script><pre>a  b</pre></body></html>") == "A & b\n\nOne two\nthree\n\na  b"
    source = (
        "---\ntitle: x\n---\n# Head #\n\n* a **bold** [link](http://x.y/(z)) and `code`\n\n> said _so_ snake_case_name"
    )
    assert markdown_text(source) == "Head\n\na bold link and code\n\nsaid so snake_case_name"


def test_html_says_its_encoding(tmp_path: Path) -> None:
    page = f'<meta charset="gb2312"><p>{CHINESE}</p>'.encode("gb18030")
    write(tmp_path / "a.html", page)
    write(tmp_path / "b.md", "# Two\n\nwords")
    assert texts(open_text(tmp_path)) == [CHINESE, "Two\n\nwords"]


# --- files and how they are cut --------------------------------------------------------------------------------------


def test_a_list_is_cut_at_its_lines(tmp_path: Path) -> None:
    source = open_text(write(tmp_path / "names.txt", "Anna\nBob\nClara\n"))
    assert texts(source) == ["Anna", "Bob", "Clara"] and source.items[2].name == "names.txt, line 3"


def test_a_book_is_cut_at_blank_lines(tmp_path: Path) -> None:
    book = "\n\n".join(f"Chapter {n}\n" + PROSE * 5 for n in range(200))
    source = open_text(write(tmp_path / "book.txt", book))
    assert len(source.items) > 10 and all(1000 < len(text) < 6000 for text in texts(source))
    assert "".join("".join(texts(source)).split()) == "".join(book.split())
    assert source.items[1].name.startswith("book.txt, line ")


def test_the_unit_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\n\nthree\n")
    assert texts(open_text(path, unit="line")) == ["one", "two", "three"]
    assert texts(open_text(path, unit="paragraph")) == ["one\ntwo", "three"]
    with pytest.raises(DataError, match="one document"):
        open_text(path, unit="file")
    with pytest.raises(OptionError, match="unit"):
        open_text(path, unit="word")


def test_lists_are_told_from_prose() -> None:
    wrapped = "\n".join(
        "so that the lines of this are all of one length as in a book" + "x" * (n % 4) for n in range(40)
    )
    assert is_list("CCO\nCC\nCCN") and not is_list(wrapped) and not is_list("one\n\ntwo\n\nthree")
    assert not is_list("\n".join(["same"] * 50))


def test_one_endless_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "abcdefghij" * 1_000_000)
    start = time.perf_counter()
    source = open_text(path)
    assert len(source.items) == 2500 and len({item.name for item in source.items}) == 2500
    assert time.perf_counter() - start < 5
    assert (cut("x" * 20_000)[:, 1] - cut("x" * 20_000)[:, 0]).max() <= 6000


def test_a_large_text_is_held_once_and_not_four_times(tmp_path: Path) -> None:
    """A single emoji makes each letter of a Python text four bytes long."""
    line = "a plain word after another " * 100_000
    text = f"{line[: len(line) // 2]}😀 “zitiert” {line[len(line) // 2 :]}"
    file = write(tmp_path / "a.txt", text)
    tracemalloc.start()
    try:
        source = open_text(file)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1.5 * len(text)
    assert "".join("".join(texts(source)).split()) == "".join(text.split())
    place = next(item.name for item in source.items if "😀" in item.load())
    begin = int(place.rsplit(" ", 1)[1]) - 1
    assert "😀" in text[begin : begin + 8_000]


def test_folders_archives_and_gzip(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    write(folder / "ham" / "1.txt", "Dear all,\n\nsee you.")
    write(folder / "spam" / "sub" / "2.txt.gz", gzip.compress(b"Win now!"))
    write(folder / "README.md", "# about")
    write(folder / "spam" / "3.txt", PROSE.encode("cp1252"))
    write(folder / "spam" / "4.txt", b"\x89PNG1234")
    source = open_text(folder)
    assert [item.fields["label"] for item in source.items] == ["ham", "spam", "spam"]
    assert [item.name for item in source.items] == ["ham/1.txt", "spam/3.txt", "spam/sub/2.txt.gz"]
    assert texts(source)[1:] == [PROSE.rstrip(), "Win now!"]
    assert source.problems[0][0] == "spam/4.txt" and "not text" in source.problems[0][1]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for path in folder.rglob("*.*"):
            packed.write(path, path.relative_to(tmp_path))
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as packed:
        packed.add(folder, "mail")
    for name in ("a.zip", "a.tgz"):
        again = open_text(tmp_path / name)
        assert sorted(texts(again)) == sorted(texts(source)) and is_text(tmp_path / name)
        assert {item.fields["label"] for item in again.items} == {"ham", "spam"}


# --- tables ----------------------------------------------------------------------------------------------------------


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        '{"type": "a", "text": "one two three"}',
        "not json",
        '{"type": "b", "text": ""}',
        '{"text": "four five six"}',
    ]
    source = open_text(write(tmp_path / "a.jsonl", "\n".join(rows)))
    assert texts(source) == ["one two three", "four five six"]
    assert source.items[0].fields == {"type": "a", "label": "a"} and source.items[1].name == "a.jsonl, line 4"
    assert [name for name, _ in source.problems] == ["a.jsonl, line 2", "a.jsonl, line 3"]
    packed = open_text(write(tmp_path / "b.jsonl.gz", gzip.compress("\n".join(rows).encode())))
    assert texts(packed) == texts(source)


def test_json_lists_and_nested_records(tmp_path: Path) -> None:
    rows = [{"id": n, "translation": {"en": f"the number is {n}", "de": f"die Zahl ist {n}"}} for n in range(3)]
    source = open_text(write(tmp_path / "a.json", json.dumps({"data": rows})), make="de")
    assert texts(source)[1] == "die Zahl ist 1" and source.items[1].fields["en"] == "the number is 1"
    with pytest.raises(DataError, match="no list of records"):
        open_text(write(tmp_path / "b.json", "3"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_and_which_column_is_made(separator: str, tmp_path: Path) -> None:
    lines = [separator.join(["id", "title", "essay", "class"])]
    lines += [
        separator.join([str(n), f"Title {n}", f"A longer piece of text number {n} follows", "xy"[n % 2]])
        for n in range(9)
    ]
    path = write(tmp_path / ("a.tsv" if separator == "\t" else "a.csv"), "\n".join(lines))
    source = open_text(path)
    assert (
        source.items[1].load() == "A longer piece of text number 1 follows" and source.items[1].fields["label"] == "y"
    )
    assert open_text(path, make="title").items[2].load() == "Title 2"
    with pytest.raises(OptionError, match='Did you mean "essay"'):
        open_text(path, make="esay")


def test_a_table_without_a_header_and_loose_quotes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tsv", 'He said "no.\tEr sagte "nein.\nYes, I do.\tJa, das tue ich.\nGo "there".\tGeh dahin.\n'
    )
    source = open_text(path, make="column 2")
    assert texts(source) == ['Er sagte "nein.', "Ja, das tue ich.", "Geh dahin."]
    assert source.items[0].fields["column 1"] == 'He said "no.'


def test_dialogues_become_replies(tmp_path: Path) -> None:
    said = [
        "#Person1#: Hello.\n#Person2#: Hi, how are you?\nTell me.\n#Person1#: Fine.",
        "#Person1#: Tea?\n#Person2#: No.",
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps({"dialogue": one, "topic": "x"}) for one in said))
    source = open_text(path, make="reply")
    assert texts(source) == ["Hi, how are you?\nTell me.", "Fine.", "No."]
    assert source.items[1].fields["before"] == "#Person1#: Hello.\n#Person2#: Hi, how are you?\nTell me."
    assert source.items[1].fields["dialogue"] == "a.jsonl, line 1" and source.items[1].fields["topic"] == "x"
    chat = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": f"Ho {n}"}]} for n in "ab"
    ]
    path = write(tmp_path / "b.jsonl", "\n".join(map(json.dumps, chat)))
    assert texts(open_text(path, make="reply")) == ["Ho a", "Ho b"]
    path = write(tmp_path / "c.jsonl", '{"text": "no turns in here"}\n{"text": "and none in here"}')
    with pytest.raises(DataError, match="no dialogues"):
        open_text(path, make="reply")


# --- aligned files ---------------------------------------------------------------------------------------------------


def test_aligned_files(tmp_path: Path) -> None:
    write(tmp_path / "train.en", "one\ntwo\nthree\n")
    write(tmp_path / "train.de", "eins\nzwei\ndrei")
    write(tmp_path / "val.en", "four\n")
    write(tmp_path / "val.de", "vier\n")
    for path in (tmp_path, tmp_path / "train"):
        source = open_text(path, make="de")
        assert is_text(path) and texts(source) == ["eins", "zwei", "drei"]
        assert source.items[2].fields == {"en": "three"} and source.name == str(tmp_path / "train")
    write(tmp_path / "train.de", "eins\n\ndrei")
    assert texts(open_text(tmp_path, make="en")) == ["one", "three"]
    assert open_text(tmp_path, make="en").problems == [("train, line 2", "train.de: blank")]


def test_aligned_files_of_different_length(tmp_path: Path) -> None:
    write(tmp_path / "train.en", "one\ntwo\nthree\n")
    write(tmp_path / "train.de", "eins\nzwei\n")
    with pytest.raises(DataError, match=r"train.de 2, train.en 3. Line 3 of .*train.en is the first"):
        open_text(tmp_path / "train", make="de")


# --- what is text at all ---------------------------------------------------------------------------------------------


def test_pictures_and_numbers_are_no_text(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / f"{n}.png")
    write(
        tmp_path / "pictures" / "captions.csv", "file,caption\n0.png,a black square on it\n1.png,another one of them\n"
    )
    assert not is_text(tmp_path / "pictures")
    assert not is_text(write(tmp_path / "n.csv", "a,b\n1,2\n3,4\n"))
    assert not is_text(write(tmp_path / "c.csv", "a,b\n" + "red,very small thing\n" * 30))
    assert not is_text(write(tmp_path / "n.txt", "1 2 3.5\n4 5 6e-3\n" * 50))
    assert not is_text(tmp_path / "nowhere")
    assert is_text(write(tmp_path / "t.csv", "a,b\n" + "".join(f"{n},this is line {n}\n" for n in range(9))))
    assert is_text(write(tmp_path / "names.csv", "name\nAnna\nBob\n"), make="name")


def test_too_little_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text"):
        open_text(write(tmp_path / "a.txt", ""))
    with pytest.raises(DataError, match="one document.*unit=line"):
        open_text(write(tmp_path / "b.txt", "only this"))
    with pytest.raises(DataError, match="nothing at"):
        open_text(tmp_path / "c.txt")
    buffer = io.BytesIO()
    gzip.GzipFile(fileobj=buffer, mode="wb").write(b"cut short")
    with pytest.raises(DataError, match="d.txt.gz"):
        open_text(write(tmp_path / "d.txt.gz", gzip.compress(b"cut short" * 100)[:-20]))


def test_the_fingerprint_follows_what_is_made(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"a": "one two three", "b": "x"}\n{"a": "four five six", "b": "y"}')
    stamps = {open_text(path).fingerprint, open_text(path, make="a").fingerprint, open_text(path, make="b").fingerprint}
    assert len(stamps) == 3 and open_text(path, make="a").fingerprint in stamps


# --- the sets beside the repository ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make", "count"),
    [("tang_poems", None, 10_080), ("sms_spam", None, 4738), ("zinc_smiles", None, 24_445),
     ("tatoeba_en_zh", "chinese", 17_962), ("multi30k/train", "de", 15_000), ("multi30k", "en", 15_000),
     ("dialogsum", "summary", 500), ("tiny_shakespeare", None, 268)],
)  # fmt: skip
def test_real_sets(name: str, make: str | None, count: int) -> None:
    shared(name.split("/")[0])
    assert is_text(SHARED / name) and len(open_text(SHARED / name, make).items) == count


@pytest.mark.parametrize(
    "name",
    ["adult_census", "cmapss_turbofan", "groceries_baskets", "jsb_chorales", "flickr8k_dogs", "noto_emoji", "mnist",
     "nottingham_midi", "market_series", "german_credit", "posteriordb", "esc10", "quickdraw_animals"],
)  # fmt: skip
def test_real_sets_of_other_kinds(name: str) -> None:
    assert not is_text(shared(name))
