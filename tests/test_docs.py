"""The documentation holds: links and names lead somewhere, examples run, both languages say the same."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WITH_READMES = [*PAGES, *sorted(ROOT.glob("README*.md"))]
TRANSLATED = sorted(page for page in WITH_READMES if page.name.endswith(".zh-CN.md"))
FENCE = re.compile(r"(?:^<!-- *(?P<mark>[^>]*?) *-->\n)?^```(?P<kind>\S*)\n(?P<text>.*?)^```$", re.M | re.S)
LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
NAME = re.compile(r"`([A-Za-z_][\w.]*)(?:\(.*\))?`")
FORBIDDEN = {
    "hype": r"state[- ]of[- ]the[- ]art|cutting[- ]edge|revolution|seamless|blazing|game[- ]chang|world[- ]class",
    "hype in Chinese": r"业界领先|颠覆|赋能|最先进|革命性|一键搞定",
    "unfinished": r"TODO|FIXME|TBD|lorem ipsum|待补充",
    "American spelling": r"\b[Cc]olors?\b|normaliz|behavior\b|\bgray\b",
}


class Block(NamedTuple):
    """A fenced block: its language, what the comment before it says, and its text."""

    kind: str
    mark: str
    text: str


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    return [Block(found["kind"], found["mark"] or "", found["text"]) for found in FENCE.finditer(read(page))]


def prose(page: Path) -> str:
    """A page without fenced blocks."""
    return FENCE.sub("", read(page))


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) +(.+)$", prose(page), re.M)]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get when it is shown: lower case, no punctuation, hyphens for spaces."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(page)}


def names(path: Path) -> set[str]:
    """Everything that a Python file defines: functions, classes, their members, and top-level names."""
    return set(defined(ast.parse(read(path)).body, ""))


def defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from defined(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from (prefix + each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def fault(page: Path, text: str, target: str) -> str | None:
    """What is wrong with one link, if anything."""
    place, _, anchor = target.partition("#")
    path = (page.parent / place).resolve() if place else page
    if not path.exists():
        return f"{page.name}: {target} does not exist"
    if ROOT not in [path, *path.parents]:
        return f"{page.name}: {target} leaves the repository"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path)):
        return f"{page.name}: {target} has no such heading"
    if path.suffix == ".py" and (named := NAME.fullmatch(text)) and named[1] not in {path.name, path.stem}:
        return None if named[1] in names(path) else f"{page.name}: {path.name} does not define {named[1]}"
    return None


def test_there_are_pages_and_runnable_blocks() -> None:
    assert len(PAGES) >= 9
    assert sum(block.mark == "runnable" for page in PAGES for block in blocks(page)) >= 12


@pytest.mark.parametrize("page", WITH_READMES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [(found["text"], found["target"]) for found in LINK.finditer(prose(page))]
    local = [(text, target) for text, target in links if not target.startswith(("http://", "https://", "mailto:"))]
    assert not [found for text, target in local if (found := fault(page, text, target))]


def test_a_wrong_link_is_found() -> None:
    page = DOCS / "README.md"
    assert "does not exist" in (fault(page, "x", "nowhere.md") or "")
    assert "no such heading" in (fault(page, "x", "likelihoods.md#nothing") or "")
    assert "does not define" in (fault(page, "`Nothing`", "../src/morelike/core/spec.py") or "")
    assert "leaves the repository" in (fault(page, "x", "../..") or "")
    assert fault(page, "`Spec.dims`", "../src/morelike/core/spec.py") is None


def test_the_index_names_every_page() -> None:
    linked = {found["target"] for found in LINK.finditer(read(DOCS / "README.md"))}
    assert {page.name for page in PAGES} - {"README.md"} <= linked


@pytest.mark.parametrize("page", WITH_READMES, ids=lambda page: page.name)
def test_no_forbidden_words(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    assert not {why: found for why, pattern in FORBIDDEN.items() if (found := re.findall(pattern, text))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_formulas_survive_markdown(page: Path) -> None:
    """Formulas stand in fenced math blocks or in $`..`$: elsewhere Markdown eats their backslashes."""
    text = re.sub(r"\$`[^`\n]+`\$", "", prose(page))
    assert "$" not in re.sub(r"`[^`\n]*`", "", text)
    for formula in (block.text for block in blocks(page) if block.kind == "math"):
        assert formula.count("{") == formula.count("}"), formula
        assert len(re.findall(r"\\left", formula)) == len(re.findall(r"\\right(?!arrow)", formula)), formula
        assert len(re.findall(r"\\begin", formula)) == len(re.findall(r"\\end", formula)), formula


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_both_languages_say_the_same(page: Path) -> None:
    english = page.with_name(page.name.replace(".zh-CN", ""))
    assert [level for level, _ in headings(page)] == [level for level, _ in headings(english)]
    assert [(block.kind, block.mark) for block in blocks(page)] == [(one.kind, one.mark) for one in blocks(english)]
    for here, there in zip(blocks(page), blocks(english), strict=True):
        if here.kind in ("math", "python", "bash"):
            assert uncommented(here.text) == uncommented(there.text)
    if page.parent == DOCS:
        both = [sorted({found["target"] for found in LINK.finditer(prose(one))}) for one in (page, english)]
        assert untranslated(both[0]) == untranslated(both[1])
    assert len(re.findall(r"[\u4e00-\u9fff]", prose(page))) > 0.2 * len(prose(english).split())


def uncommented(code: str) -> str:
    return re.sub(r" *# .*", "", code)


def untranslated(targets: list[str]) -> list[str]:
    """Link targets without language and anchors, which are translated; the links to each other's page left out."""
    bare = {target.partition("#")[0].replace(".zh-CN", "") for target in targets}
    return sorted(target for target in bare if target and "/" in target)


# The runner of one page, in a process and a folder of its own: Python blocks share their names, commands run in turn.
RUNNER = """
import json, shlex, sys
from morelike.cli import main
space = {"__name__": "__main__"}
for kind, text in json.load(open("steps.json")):
    if kind == "python":
        exec(compile(text, "page", "exec"), space)
    for line in text.splitlines() if kind == "bash" else ():
        words = shlex.split(line, comments=True)
        assert not words or words[0] == "morelike", line
        try:
            main(words[1:])
        except SystemExit as end:
            assert not end.code, line
"""


def runnable() -> list[Path]:
    return [page for page in PAGES if any(one.mark == "runnable" for one in blocks(page))]


def joined(commands: str) -> list[str]:
    """One command on each line, those broken over several put together."""
    return commands.replace("\\\n", " ").splitlines()


def quick(block: Block) -> str:
    """The same block with a tiny net, in commands also two training steps and a small built-in world."""
    if block.kind == "python":
        return re.sub(r"(morelike\.fit\([^()]*)\)", r'\1, size="tiny")', block.text)
    return "\n".join(map(quick_command, joined(block.text)))


def quick_command(command: str) -> str:
    steps = "--steps 2" if "--size" in command else "--steps 2 --size tiny"
    command = re.sub(r"--(minutes|steps) \S+", steps, command)
    command = re.sub(r"hidden=\d+", "hidden=50", command)
    return re.sub(r"(?<!\S)menagerie(?!\S)", "menagerie:120", command)


def photos(folder: Path) -> None:
    """What the examples speak of: photos/ with a sub-folder for each kind, photos.zip with the same, and texts."""
    from morelike.data import menagerie

    rows = ["file,label"]
    for kind in menagerie.SPECIES:
        (folder / "photos" / kind).mkdir(parents=True)
        for number, pixels in enumerate(menagerie.draw(menagerie.factors(16, species=kind), 16)):
            Image.fromarray(pixels).save(folder / "photos" / kind / f"{number}.png")
            rows.append(f"photos/{kind}/{number}.png,{kind}")
    (folder / "labels.csv").write_text("\n".join(rows))
    shutil.make_archive(str(folder / "photos"), "zip", folder / "photos")
    truth = menagerie.factors(120)
    english, chinese = menagerie.captions(truth, "en"), menagerie.captions(truth, "zh")
    (folder / "book.txt").write_text("\n\n".join(english))
    kinds = [menagerie.SPECIES[number] for number in truth.species]
    messages = "".join(f'{kind},"{text}"\n' for kind, text in zip(kinds, english, strict=True))
    (folder / "messages.csv").write_text("type,text\n" + messages)
    lines = "".join(f"{a}\t{b}\n" for a, b in zip(english, chinese, strict=True))
    (folder / "pairs.tsv").write_text("en\tzh\n" + lines, encoding="utf-8")
    talks = [{"talk": f"Ann: Who is there?\nBob: It is {text}.\nAnn: How nice!"} for text in english]
    (folder / "dialogues.jsonl").write_text("".join(json.dumps(one) + "\n" for one in talks))
    rng = random.Random(0)
    table = [f"{rng.gauss(50, 10):.1f},{rng.choice('abc')},{rng.randint(1, 9)}" for _ in range(400)]
    (folder / "patients.csv").write_text("size,group,visits\n" + "\n".join(table) + "\n")
    holes = [row if n % 3 else row.rsplit(",", 1)[0] + "," for n, row in enumerate(table)]
    (folder / "holes.csv").write_text("size,group,visits\n" + "\n".join(holes) + "\n")
    poems = [{"form": ("short", "long")[n % 2], "title": f"{kinds[n]} {n}", "text": "\n".join(english[n:][: 1 + n % 2])}
             for n in range(len(english))]  # fmt: skip
    (folder / "poems.jsonl").write_text("".join(json.dumps(one) + "\n" for one in poems))


def package_with(found: list[Block], folder: Path) -> Path:
    """A folder to import the package from, in which it holds the files that a page gives for it."""
    files = [one for one in found if one.mark.startswith("file: ")]
    if not files:
        return ROOT / "src"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for one in files:
        (folder / "src" / "morelike" / one.mark.removeprefix("file: ")).write_text(one.text)
    return folder / "src"


@pytest.mark.timeout(600)  # a minute in all on a machine that is free
@pytest.mark.parametrize("page", [page for page in runnable() if page not in TRANSLATED], ids=lambda page: page.name)
def test_runnable_blocks_run(page: Path, tmp_path: Path) -> None:
    """Blocks after a comment "runnable" run in order; those after "file: PATH" are files of the package before that.

    Translated pages have the same blocks, which another test makes sure of.
    """
    found = blocks(page)
    steps = [(one.kind, quick(one)) for one in found if one.mark == "runnable"]
    path = package_with(found, tmp_path)
    photos(tmp_path)
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    (tmp_path / "runner.py").write_text(RUNNER)
    own = {"PYTHONPATH": str(path), "MORELIKE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "runner.py"], cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=590
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_the_chains_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = [one.text for one in blocks(ROOT / "README.md") if "mcmc.sample" in one.text]
    exec(compile(text, "README.md", "exec"), {})
    assert "R-hat" in capsys.readouterr().out


def test_the_family_of_the_docs_keeps_the_contract(tmp_path: Path) -> None:
    """It joins the contract tests of all families by existing; having no nets, it has none to refuse."""
    path = package_with(blocks(DOCS / "new-family.md"), tmp_path)
    which = ["-k", "ppca and not a_net_that_cannot_read", str(ROOT / "tests" / "test_families.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *which]
    own = {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout[-4000:]


def test_files_on_the_pages_are_tidy(tmp_path: Path) -> None:
    """What a page gives as a file of the package would pass `ruff check` and keep the layers."""
    given = [one for page in PAGES for one in blocks(page) if one.mark.startswith("file: ")]
    assert len(given) == 3
    for one in given:
        path = tmp_path / one.mark.removeprefix("file: ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(one.text)
        assert ast.get_docstring(ast.parse(one.text))
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("needs ruff")
    command = [str(ruff), "check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["command-line.md"])
def test_the_page_of_commands_is_in_step_with_the_program(name: str) -> None:
    """Every verb and every option of the program stands on the page, and no other."""
    import typer.main

    from morelike.cli import VERBS, app

    text = read(DOCS / name)
    command = typer.main.get_command(app)
    assert set(VERBS) == {
        title.strip("`").split()[-1] for level, title in headings(DOCS / name) if "`morelike" in title
    }
    real = {
        option for verb in command.commands.values() for one in verb.params for option in one.opts if option[0] == "-"
    }
    told = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", re.sub(r"https?://\S+", "", text)))
    common = {"--help", "-h", "--version", "--n"}
    assert real <= told, f"the page lacks {real - told}"
    assert told <= real | common, f"the program lacks {told - real - common}"


def test_the_picture_names_the_modules_that_there_are() -> None:
    """Every module named in the drawing of the architecture exists."""
    text = read(DOCS / "architecture.svg")
    package = ROOT / "src" / "morelike"
    for box, named in re.findall(r'class="ink mid"[^>]*>([a-z_]+)</text><text class="soft small"[^>]*>([^<:]*)', text):
        if (package / box).is_dir() and " · " in named:
            for module in named.split(" · "):
                assert (package / box / module).exists() or (package / box / f"{module}.py").exists(), (box, module)
    drawn = set(re.findall(r'class="ink mid"[^>]*>([a-z_]+)</text>', text))
    parts = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert drawn - {"files", "x", "distribution"} <= parts
    assert parts - {"__init__", "__main__", "threads"} <= drawn


@pytest.mark.parametrize("name", ["menagerie.png"])
def test_pictures_of_the_docs_are_small(name: str) -> None:
    assert (DOCS / name).stat().st_size < 150_000
    wide, high = Image.open(DOCS / name).size
    assert wide > 2 * high
