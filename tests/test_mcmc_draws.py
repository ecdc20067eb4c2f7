"""Draws: what goes in comes out, as a table, from disk and for ArviZ."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.core.errors import DataError, OptionError
from morelike.samplers.mcmc.draws import Draws, as_draws


def some(chains: int = 4, draws: int = 250) -> Draws:
    values = {"mu": 5 + torch.randn(chains, draws), "theta": torch.randn(chains, draws, 2, 3)}
    stats = {
        "accept": torch.rand(chains, draws),
        "energy": torch.randn(chains, draws),
        "diverging": torch.rand(chains, draws) < 0.1,
        "evals": torch.randint(1, 9, (chains, draws)),
    }
    return Draws(values, stats, {"kernel": "nuts", "seed": 3, "step": 0.25})


def test_draws_are_a_mapping_of_parameters() -> None:
    draws = some()
    assert list(draws) == ["mu", "theta"] and "mu" in draws and "nu" not in draws and len(draws) == 2
    assert draws["theta"].shape == (4, 250, 2, 3) and (draws.chains, draws.draws) == (4, 250)
    assert set(dict(draws)) == {"mu", "theta"}
    assert repr(draws) == "Draws(4 chains x 250 draws of mu, theta (2, 3))"
    with pytest.raises(OptionError, match='There is no parameter "thetta".*Did you mean "theta"'):
        draws["thetta"]


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(OptionError, match=r'"b" is \(4, 30\).*here \(4, 20\)'):
        as_draws({"a": np.zeros((4, 20)), "b": np.zeros((4, 30))})
    with pytest.raises(OptionError, match=r'"energy" is \(20,\)'):
        as_draws({"a": np.zeros((4, 20))}, {"energy": np.zeros(20)})
    with pytest.raises(OptionError, match="no parameter"):
        as_draws({})


def test_save_and_load_give_the_same_draws(tmp_path: Path) -> None:
    draws, path = some(), tmp_path / "new" / "draws.safetensors"
    assert draws.save(path) == path and [file.name for file in path.parent.iterdir()] == [path.name]
    again = Draws.load(path)
    assert list(again) == list(draws) and list(again.stats) == list(draws.stats) and again.about == draws.about
    for mine, other in ((draws.values, again.values), (draws.stats, again.stats)):
        assert all(torch.equal(mine[name], other[name]) and mine[name].dtype == other[name].dtype for name in mine)


def test_a_failing_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = some().save(tmp_path / "draws.safetensors")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OptionError, match=r"cannot be written: No space left"):
        some().save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_file_that_is_no_draws_is_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "draws.safetensors"
    if damage == "cut":
        whole = some().save(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "other":
        path.write_text("hello")
    with pytest.raises(DataError, match=r"draws\.safetensors: these are no draws.*Draws\.save wrote"):
        Draws.load(path)


def test_the_summary_marks_what_is_doubtful_and_only_that() -> None:
    draws = some()
    draws.values["bad"] = torch.randn(4, 250) + 3 * torch.arange(4)[:, None]
    table = draws.summary()
    assert [row.name for row in table][:2] == ["mu", "theta[0,0]"] and len(table) == 8
    assert table["mu"].mean == pytest.approx(float(draws["mu"].double().mean())) and table["mu"].rhat < 1.02
    assert table.worst()[0].name == "bad" and table["bad"].doubts >= {"rhat", "ess_bulk"}
    line = {text.split()[0]: text for text in str(table).splitlines()[1:]}
    assert "!" in line["bad"] and line["bad"].endswith("doubtful")
    assert ("!" in line["mu"]) == bool(table["mu"].doubts)


def test_the_summary_shows_the_digits_that_the_error_allows() -> None:
    scale = torch.tensor([1e6, 1.0, 1e-9])
    table = as_draws({"x": (7 + torch.randn(4, 1000, 3)) * scale}).summary()
    large, plain, small = str(table).splitlines()[1:]
    assert re.fullmatch(r"(6,9|7,0)\d0,000", large.split()[1])
    assert len(plain.split()[1].split(".")[1]) == 2 and "e-0" in small
    constant = as_draws({"x": torch.full((4, 100), 2.5), "y": torch.full((4, 100), math.nan)}).summary()
    assert "2.50" in str(constant) and "–" in str(constant).splitlines()[2]


def test_without_arviz_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(OptionError, match=r"morelike\[mcmc\]"):
        some().arviz()


def test_arviz_gets_draws_and_statistics_by_its_own_names() -> None:
    pytest.importorskip("arviz")
    draws = some()
    found = draws.arviz()
    np.testing.assert_array_equal(np.asarray(found["posterior"]["theta"]), draws["theta"].numpy())
    assert dict(found["posterior"].sizes)["chain"] == 4
    assert {"acceptance_rate", "energy", "diverging", "n_steps"} <= set(found["sample_stats"].data_vars)
