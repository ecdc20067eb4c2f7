"""Parquet, Arrow and the layouts of Hugging Face as sources of text: what is read, left out and refused."""

from __future__ import annotations

import json
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest

from morelike.core.errors import DataError, OptionError
from morelike.data import hub
from morelike.data.listing import Reading
from morelike.data.shards import laid_out
from morelike.data.sources import open_source
from morelike.data.text_files import File, gather

PAIRS = [
    {"id": i, "translation": {"en": f"A dog runs past house {i}", "zh": f"一只狗跑过房子{i}号"}} for i in range(30)
]
PLAIN = [{"text": f"Once there was a house of number {i}.", "label": i % 3 - 1} for i in range(30)]
CLASSES = {"label": {"names": ["calm", "loud"], "_type": "ClassLabel"}}


def arrow():
    return pytest.importorskip("pyarrow", reason="needs the extra hf")


def table(rows: list[dict], features: dict | None = None):
    found = arrow().Table.from_pylist(rows)
    info = {b"huggingface": json.dumps({"info": {"features": features or {}}}).encode()}
    return found.replace_schema_metadata(info) if features else found


def parquet(path: Path, rows: list[dict], features: dict | None = None) -> Path:
    arrow()
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table(rows, features), path)
    return path


def stream(path: Path, rows: list[dict], features: dict | None = None) -> Path:
    found = table(rows, features)
    path.parent.mkdir(parents=True, exist_ok=True)
    with arrow().OSFile(str(path), "wb") as file, arrow().ipc.new_stream(file, found.schema) as writer:
        writer.write_table(found)
    return path


def texts(path: Path | str, make: str | None = None, codec: str = "auto") -> list[str]:
    source = open_source(path, Reading(codec, make))
    assert source.codec == "text"
    return [item.load() for item in source.items]


def test_parquet_is_read_and_classes_are_called_by_name(tmp_path: Path) -> None:
    source = open_source(parquet(tmp_path / "a.parquet", PLAIN, CLASSES))
    assert [item.load() for item in source.items] == [row["text"] for row in PLAIN]
    assert [item.fields.get("label") for item in source.items][:3] == [None, "calm", "loud"]
    assert source.items[4].name == "a.parquet, row 5"


def test_a_translation_gives_a_field_for_each_language(tmp_path: Path) -> None:
    source = open_source(parquet(tmp_path / "a.parquet", PAIRS), Reading(make="zh"))
    assert source.items[7].load() == "一只狗跑过房子7号"
    assert source.items[7].fields["en"] == "A dog runs past house 7"


def test_several_columns_of_text_want_a_word(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", PAIRS)
    with pytest.raises(DataError, match=r"several columns of text: en, zh.*--make zh"):
        open_source(file)
    assert len(texts(file, "en")) == 30
    with pytest.raises(OptionError, match="en"):
        open_source(file, Reading(make="eng"))


def test_no_column_of_text_is_told_with_the_columns(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="needs the extra hf")
    file = parquet(tmp_path / "a.parquet", [{"height": i, "width": 2.5 * i} for i in range(9)])
    with pytest.raises(DataError, match=r"columns height, width.*--make COLUMN"):
        open_source(file)


def test_a_repository_is_read_by_its_split_for_training(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Houses\n")
    parquet(tmp_path / "data" / "train-00000-of-00002.parquet", PLAIN[:20])
    parquet(tmp_path / "data" / "train-00001-of-00002.parquet", PLAIN[20:])
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [{"text": "Kept for the test, all of it.", "label": 0}])
    source = open_source(tmp_path)
    assert [item.load() for item in source.items] == [row["text"] for row in PLAIN]
    assert source.problems == []
    assert source.items[0].fields["label"] == "-1"  # a number, as nothing names the classes


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_repository_of_other_tables(kind: str, tmp_path: Path) -> None:
    def put(name: str, rows: list[str]) -> None:
        table = ["text,n", *(f"{row},1" for row in rows)]
        lines = table if kind == "csv" else [json.dumps({"text": row}) for row in rows]
        (tmp_path / f"{name}.{kind}").write_text("\n".join(lines))

    put("train", [row["text"] for row in PLAIN])
    put("validation", ["This is looked at later"] * 3)
    assert len(open_source(tmp_path).items) == 33  # without a card, all of a folder
    (tmp_path / "README.md").write_text("---\npretty_name: Houses\n---\n")
    assert len(texts(tmp_path)) == 30


def test_a_folder_that_the_library_has_saved(tmp_path: Path) -> None:
    stream(tmp_path / "train" / "data-00000-of-00001.arrow", PLAIN, CLASSES)
    stream(tmp_path / "train" / "cache-1a2b.arrow", PLAIN[:4], CLASSES)
    stream(tmp_path / "test" / "data-00000-of-00001.arrow", PLAIN[:2], CLASSES)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    for split in ("train", "test"):
        (tmp_path / split / "state.json").write_text("{}")
        (tmp_path / split / "dataset_info.json").write_text("{}")
    assert texts(tmp_path) == texts(tmp_path / "train") == [row["text"] for row in PLAIN]


def test_what_the_library_really_saves(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    kept = datasets.Dataset.from_list(PAIRS)
    datasets.DatasetDict({"test": kept.select([0, 1]), "train": kept}).save_to_disk(tmp_path / "pairs")
    assert texts(tmp_path / "pairs", "en") == [row["translation"]["en"] for row in PAIRS]


def test_names_that_only_contain_a_split_are_no_split() -> None:
    names = ["data/training.parquet", "data/strain.parquet", "data/restrained-0.parquet", "trains.parquet"]
    files = [File(name, name.split("/"), 1, bytes) for name in names]
    assert [file.name for file in laid_out(files)] == ["data/training.parquet"]
    assert laid_out(files[1:]) == files[1:]


def test_messages_become_a_dialogue(tmp_path: Path) -> None:
    reply = {"role": "assistant", "content": "There."}
    asked = [{"role": "user", "content": f"Where is house {i}?"} for i in range(9)]
    file = parquet(tmp_path / "a.parquet", [{"messages": [one, reply]} for one in asked])
    assert texts(file)[3] == "user: Where is house 3?\nassistant: There."
    assert texts(file, "reply") == ["There."] * 9


def test_values_of_other_types_become_words(tmp_path: Path) -> None:
    rows = [{"text": f"Dear diary, today was day {i}.", "day": date(2020, 1, 1 + i), "blob": b"\0\1", "ok": True}
            for i in range(9)]  # fmt: skip
    fields = open_source(parquet(tmp_path / "a.parquet", rows)).items[2].fields
    assert fields == {"day": "2020-01-03", "ok": "true"}


def test_in_a_zip_and_damaged(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "a.parquet", PLAIN).read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("train.parquet", whole)
    assert len(texts(tmp_path / "a.zip")) == 30
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="b.parquet: not Parquet or Arrow"):
        open_source(tmp_path / "b.parquet", Reading("text"))
    folder = tmp_path / "both"
    folder.mkdir()
    (tmp_path / "a.parquet").rename(folder / "a.parquet")
    (tmp_path / "b.parquet").rename(folder / "b.parquet")
    assert [name for name, _ in open_source(folder).problems] == ["b.parquet"]


def test_without_the_library_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError, match=r"morelike\[hf\]"):
        open_source(tmp_path / "a.parquet")
    assert gather(tmp_path)[0][0].kind == "shard"  # what it is, is known without


def test_pictures_with_captions_are_pictures_unless_text_is_asked_for(tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": b"\x89PNG", "path": "a.png"}, "caption": f"a house with {i} red doors"} for i in range(9)
    ]
    kinds = {"image": {"_type": "Image"}, "caption": {"dtype": "string", "_type": "Value"}}
    file = parquet(tmp_path / "a.parquet", rows, kinds)
    assert texts(file, "caption")[2] == "a house with 2 red doors" == texts(file, codec="text")[2]
    pytest.importorskip("datasets", reason="needs the extra hf")
    assert open_source(file).codec == "image"


def test_a_name_gives_texts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    asked = []

    def load(*names: str):
        asked.append(names)
        return {"train": datasets.Dataset.from_list(PAIRS)}

    library = type("Library", (), {"load_dataset": staticmethod(load)})
    monkeypatch.setattr(hub, "_library", lambda: library)
    assert texts("hf:some/pairs:en-zh", "zh")[29] == "一只狗跑过房子29号"
    assert asked == [("some/pairs", "en-zh")]
    with pytest.raises(DataError, match="hf:some/pairs has several columns of text: en, zh"):
        open_source("hf:some/pairs")
