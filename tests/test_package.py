"""The package as a whole: quick to import, torch only when it is needed, names where they should be."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def seconds(*code: str, times: int = 7) -> float:
    """Processor time of this Python with the given arguments, the least of several runs; others met a busy machine.

    Bytecode is kept from one to the next, as it is where a package is installed.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *code], check=True, stdout=subprocess.DEVNULL, env=env)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    with tempfile.TemporaryDirectory() as kept:
        env["PYTHONPYCACHEPREFIX"] = kept
        return min(once() for _ in range(times))


def loaded_after(statement: str) -> list[str]:
    """Names of the modules that a fresh Python holds after a statement."""
    code = f"import sys, json\n{statement}\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_import_costs_at_most_50_ms_over_bare_python() -> None:
    """Expected: about 10 ms."""
    bare = seconds("-c", "pass")
    assert seconds("-c", "import morelike") - bare <= 0.05


def test_help_takes_at_most_300_ms() -> None:
    """Expected: about 90 ms."""
    assert seconds("-m", "morelike", "--help") <= 0.3


@pytest.mark.parametrize("statement", ["import morelike; dir(morelike)", "from morelike import OptionError"])
def test_torch_is_not_imported_by_the_package(statement: str) -> None:
    assert not {"torch", "numpy", "PIL"} & set(loaded_after(statement))


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["sample", "--help"], ["list"], ["--version"]])
def test_torch_is_not_imported_by_help_and_list(words: list[str]) -> None:
    run = f"from morelike import cli\ntry:\n    cli.main({words})\nexcept SystemExit as end:\n    assert not end.code"
    assert not {"torch", "numpy", "PIL"} & set(loaded_after(run))


def test_thread_settings_are_made_by_import_and_the_users_own_are_kept() -> None:
    code = "import os, morelike; print(os.environ['GOMP_SPINCOUNT'])"
    bare = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    for environment, expected in ((bare, "1000"), (bare | {"GOMP_SPINCOUNT": "7"}, "7")):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == expected


def test_every_public_name_can_be_had_and_is_documented() -> None:
    import morelike

    for name in morelike.__all__:
        assert getattr(morelike, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        morelike.fitt  # noqa: B018


def test_a_misspelt_option_in_python_names_the_nearest() -> None:
    import morelike

    with pytest.raises(morelike.OptionError, match='Did you mean "colour"'):
        morelike.fit("menagerie", coulor="grey")  # type: ignore[call-arg]


def test_the_makefile_has_the_targets_that_the_readme_names() -> None:
    made = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"(?<!-)\bmake ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"setup", "demo", "test", "check"} <= set(re.findall(r"^([a-z-]+) ", made, re.M))
    assert named <= set(re.findall(r"^([a-z-]+) ", made, re.M))


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / "pyproject.toml").touch()
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout


def test_version_is_the_same_everywhere() -> None:
    from importlib.metadata import version

    import morelike

    assert version("morelike") == morelike.__version__
    assert f"## {morelike.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Every command line of `morelike` in a page, without what is remarked behind it."""
    found = re.findall(r"(?:^|`)(morelike (?!VERB)[a-z][^`\n]*)", (ROOT / name).read_text(encoding="utf-8"), re.M)
    return [re.sub(r" +# .*", "", line) for line in found]


def test_both_readmes_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh-CN.md") != []


@pytest.mark.parametrize("line", commands("README.md"))
def test_the_commands_of_the_readme_are_understood(line: str) -> None:
    import typer

    from morelike import cli

    verb, *words = shlex.split(line)[1:]
    command = typer.main.get_command(cli.app).commands[verb]  # type: ignore[attr-defined]
    read = command.make_context(verb, words).params
    assert read.get("source") or read.get("run") or verb == "list"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "CHANGELOG.md"])
def test_the_links_of_a_page_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]
