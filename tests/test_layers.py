"""The architecture as a test: imports point downwards, files and functions stay small, names live in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "morelike"

LAYERS = {
    "core": 0, "threads": 0,
    "chemistry": 1, "nn": 1, "samplers": 1,
    "families": 2, "codecs": 2, "data": 2,
    "train": 3, "measure": 3, "explanation": 3,
    "conditions": 4, "preview": 4, "racing": 4, "linked": 4, "rows": 4, "forecasting": 4, "writing": 4, "weights": 4,
    "recipes": 4, "run": 4, "assemble": 4, "collect": 4, "fitting": 4, "auditing": 4, "reporting": 4, "explaining": 4,
    "cli": 5, "mcmc": 5, "serve": 5, "__init__": 5, "__main__": 5,
}  # fmt: skip
SIDEWAYS = {("data", "codecs"): False, ("codecs", "data"): False, ("nn", "samplers"): False, ("samplers", "nn"): False}
FAMILIES_MAY_IMPORT = {"core", "nn", "samplers"}
IGNORANT = {"train", "measure", "explanation"}  # they know no concrete family or codec
MAY_NAME_MODULES = {"recipes.py", "run.py", "nn/__init__.py", "samplers/mcmc/__init__.py", "__init__.py"}
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS, MAX_CORE = 400, 60, 8, 600


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def part(path: Path) -> str:
    """The piece of the house that a file belongs to: its folder below the package, or its own name."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """Absolute names of the modules that an import statement reads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            here = ("morelike", *path.relative_to(PACKAGE).parts[:-1])
            base = ".".join([*here[: len(here) - node.level + 1], *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        for name in imported(node, path):
            yield getattr(node, "lineno", 0), name


def inner(name: str) -> str | None:
    """The piece of the house that a module name means: "morelike.nn.cnn" -> "nn"; None for other packages."""
    pieces = name.split(".")
    if pieces[0] != "morelike":
        return None
    return pieces[1] if len(pieces) > 1 and pieces[1] in LAYERS else "__init__"


def kin(name: str) -> str:
    """The family that a file belongs to: energy.py has _energy_net.py to itself."""
    return name.lstrip("_").split("_")[0]


def faults(path: Path) -> Iterator[str]:
    """Every import of one file that breaks a rule of the house."""
    here = part(path)
    for line, name in imports(path):
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        there = inner(name)
        if name.split(".")[0] == "torchvision":
            yield f"{where}: it does not load beside every build of torch"
        if there is None or (name == "morelike" and here == "__init__"):
            continue
        if there == "__init__" and name != "morelike.__version__" and LAYERS[here] < 5:
            if name == "morelike" and any(
                n.startswith("morelike.") and inner(n) != "__init__" for _, n in imports(path)
            ):
                continue  # `from morelike import core`: the second name carries the meaning
            yield f"{where}: the front door is above everything"
        elif there != "__init__" and LAYERS[there] > LAYERS[here]:
            yield f"{where}: an import may only point down"
        elif SIDEWAYS.get((here, there), True) is False:
            yield f"{where}: {here} and {there} do not know each other"
        if here == "families" and there not in FAMILIES_MAY_IMPORT:
            own = name.split(".")
            if there != "families" or (len(own) > 2 and kin(own[2]) != kin(path.stem)):
                yield f"{where}: a family imports only {sorted(FAMILIES_MAY_IMPORT)}"
        if here in IGNORANT and there in {"families", "codecs"}:
            yield f"{where}: {here} asks what a family can do, not which it is"


def test_every_part_of_the_house_has_a_layer() -> None:
    unknown = {part(path) for path in sources()} - LAYERS.keys()
    assert not unknown, f"give {unknown} a layer in {Path(__file__).name}"


def test_imports_only_point_down() -> None:
    found = [fault for path in sources() for fault in faults(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("where", "line", "fault"),
    [
        ("core/spec.py", "from morelike.nn import cnn", "point down"),
        ("families/vae.py", "from morelike.families.gan import Model", "a family imports only"),
        ("families/vae.py", "from . import gan", "a family imports only"),
        ("families/vae.py", "import morelike.data.cache", "a family imports only"),
        ("train/loop.py", "from morelike.families import vae", "asks what a family can do"),
        ("codecs/image.py", "import torchvision.transforms", "torchvision"),
        ("data/cache.py", "from morelike import fit", "front door"),
        ("data/cache.py", "from ..recipes import fit", "point down"),
        ("recipes.py", "from morelike.cli import main", "point down"),
    ],
)
def test_a_broken_rule_is_found(where: str, line: str, fault: str, tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "src" / "morelike"
    file = package / where
    file.parent.mkdir(parents=True)
    file.write_text(line)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", package)
    assert any(fault in found for found in faults(file)), list(faults(file))


def test_only_a_few_files_turn_names_into_modules() -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in sources()
        for node in ast.walk(tree(path))
        if "import_module" in {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)}
    }
    assert callers <= MAY_NAME_MODULES, f"{callers - MAY_NAME_MODULES} should ask recipes.py"


def test_nothing_is_unpickled_or_evaluated() -> None:
    """Loading a run executes no code."""
    found = []
    for path in sources():
        for node in ast.walk(tree(path)):
            name = node.func if isinstance(node, ast.Call) else None
            if isinstance(name, ast.Name) and name.id in {"eval", "exec"}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} calls {name.id}")
        found += [
            f"{path.relative_to(ROOT)}:{n} imports pickle" for n, m in imports(path) if m.split(".")[0] == "pickle"
        ]
    assert not found, "\n".join(found)


def test_files_and_functions_are_small() -> None:
    found = []
    for path in sources():
        where, lines = path.relative_to(ROOT), len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE:
            found.append(f"{where} has {lines} lines, more than {MAX_FILE}: split it")
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            named = [
                a for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls")
            ]
            if length > MAX_FUNCTION:
                found.append(f"{where}:{node.lineno} {node.name} has {length} lines, more than {MAX_FUNCTION}")
            if len(named) > MAX_PARAMETERS:
                found.append(f"{where}:{node.lineno} {node.name} has {len(named)} parameters: use a frozen dataclass")
    assert not found, "\n".join(found)


def test_core_stays_small() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (PACKAGE / "core").glob("*.py"))
    assert lines <= MAX_CORE, f"core has {lines} lines; it should be read in one sitting"


def test_every_module_and_public_name_is_documented() -> None:
    found = []
    for path in sources():
        module = tree(path)
        if not ast.get_docstring(module) and module.body:
            found.append(f"{path.relative_to(ROOT)} has no docstring")
        for node in module.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has no docstring")
    assert not found, "\n".join(found)


def test_the_repository_names_no_machine_path() -> None:
    suffixes = {".py", ".md", ".toml", ".yml", ".json", ""}
    folders = ("src", "tests", "docs", "examples", "bench", ".ci")
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.is_file() and p.suffix in suffixes]
    needle = "/" + "work/"
    found = [str(p.relative_to(ROOT)) for p in files if needle in p.read_text(encoding="utf-8", errors="replace")]
    assert not found, found
