"""The yardsticks against closed forms: `pytest bench`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import data  # noqa: E402
import evaluator  # noqa: E402
import likelihood  # noqa: E402


def gaussian_rows(mean: np.ndarray, cov: np.ndarray, n: int) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly those given."""
    x = np.random.default_rng(0).normal(size=(n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return mean + x @ np.linalg.cholesky(cov).T


def test_frechet_of_commuting_covariances() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 16.0])
    found = evaluator.frechet(gaussian_rows(np.zeros(3), np.diag(a), 50), gaussian_rows(np.ones(3), np.diag(b), 40))
    assert found == pytest.approx(3 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), abs=1e-9)


def test_frechet_against_general_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(70, 5)) @ rng.normal(size=(5, 5)) + 0.3
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(cov_x @ cov_y).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert evaluator.frechet(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_with_fewer_rows_than_columns() -> None:
    few = np.random.default_rng(2).normal(size=(20, 128))
    assert evaluator.frechet(few, few) == pytest.approx(0, abs=1e-3)  # a root of rounding errors
    assert evaluator.frechet(few, few + 1) == pytest.approx(128, rel=1e-6)


def test_kid_is_unbiased_mmd() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(9, 4))

    def kernel(u: np.ndarray, v: np.ndarray) -> float:
        return float((u @ v / 4 + 1) ** 3)

    within = [
        np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)
    ]  # fmt: skip
    between = np.mean([kernel(u, v) for u in x for v in y])
    assert evaluator.kid(x, y) == pytest.approx(sum(within) - 2 * between, rel=1e-10)


def test_importance_weighting_finds_the_exact_marginal() -> None:
    """x|z ~ N(Wz, s^2): with the exact posterior any k is exact; with a wrong encoder a large k still is."""
    torch.manual_seed(0)
    W, s = torch.randn(3, 2), 0.7
    W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])  # orthogonal, so that the posterior is diagonal
    x = torch.randn(4, 3)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3), W @ W.T + s**2 * torch.eye(3)).log_prob(x)
    precision = (W * W).sum(0) / s**2 + 1

    def posterior(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (x @ W) / s**2 / precision, -precision.log().expand(len(x), 2)

    def wrong(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = posterior(x)
        return mean + 0.1, log_variance + 0.5

    def log_px(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return likelihood.log_normal(x, z @ W.T, torch.full_like(x, s**2).log())

    torch.testing.assert_close(likelihood.importance_weighted(x, posterior, log_px, k=1).float(), exact)
    loose = likelihood.importance_weighted(x, wrong, log_px, k=5000).float()
    torch.testing.assert_close(loose, exact, atol=0.05, rtol=0)
    assert (likelihood.importance_weighted(x, wrong, log_px, k=1) < exact + 0.5).all()


@pytest.mark.skipif(not data.SHARED.is_dir(), reason="the shared data is not beside the repository")
def test_split_keeps_equal_images_together() -> None:
    images, labels = data.load("fashion_mnist")
    doubled = np.concatenate([images[:500], images[:500]])
    parts = data.split(doubled, np.concatenate([labels[:500], labels[:500]]))
    assert not {i.tobytes() for i in parts.train} & {i.tobytes() for i in parts.heldout}
    assert len(parts.train) + len(parts.heldout) == 1000 and len(parts.heldout) >= 200
    grey, binary = data.mnist(), data.mnist_binarised()
    assert set(np.unique(binary.train)) == {0, 255}
    assert (binary.heldout[grey.heldout == 0] == 0).all() and (binary.heldout[grey.heldout == 255] == 255).all()
    assert binary.train.mean() == pytest.approx(grey.train.mean(), rel=0.005)


def test_tables_are_divided_the_same_way_each_time_and_keep_every_cell_as_written(tmp_path: Path) -> None:
    pytest.importorskip("polars")
    import table_contestants

    lines = [f"{i:03d},{i % 7}.50,?" for i in range(100)]
    (tmp_path / "all.csv").write_text("\n".join(["code,size,hole", *lines]) + "\n")
    train, held = table_contestants.divide(tmp_path / "all.csv", tmp_path)
    parts = [path.read_text().splitlines()[1:] for path in (train, held)]
    assert [len(part) for part in parts] == [75, 25] and sorted(sum(parts, [])) == lines
    before = train.read_text()
    assert table_contestants.divide(tmp_path / "all.csv", tmp_path)[0].read_text() == before


def test_a_process_is_charged_its_own_memory_and_seconds() -> None:
    import table_contestants

    spent = table_contestants.spent("-c", "x = bytearray(300 << 20); print(sum(range(10 ** 6)))")
    assert spent.said.strip() == "499999500000" and 300 <= spent.mib <= 500 and 0 < spent.cpu <= spent.seconds + 1
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        table_contestants.spent("-c", "1 / 0")


def test_figures_of_tables_rank_real_rows_above_independent_columns() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("polars")
    import tables

    from morelike.measure.table.arrange import arrange
    from morelike.measure.table.sheet import Rows, Sheet

    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=1200)
    cells = np.stack(
        [kind * 2.0 + rng.normal(size=1200) * 0.3, rng.normal(size=1200), kind.astype(str)], 1, dtype=object
    )
    sheets = [Sheet(("size", "noise", "kind"), ("number", "number", "category"), part) for part in np.split(cells, 3)]
    arranged = arrange(Rows(*sheets))
    made, alone = (tables.measured(arranged, arranged, side, "kind") for side in ("made", "trivial"))
    for name in ("score", "auc", "trend", "information_error", "beta_recall"):
        assert tables.better(name, made[name], alone[name]), (name, made, alone)
    assert made["copies"] < 0.1 and made["auc"] > 0.95 and alone["score"] < 0.4
    assert (made["poor"], alone["poor"]) == (0, 1)


def test_verdicts_on_tables_name_what_is_missed() -> None:
    pytest.importorskip("polars")
    import tables

    ours = {"score": 0.5, "auc": 0.8, "coverage": 0.9}
    rival = {"score": 0.4, "auc": 0.9, "coverage": 0.1}
    found = {"real": ours, "columns": {"score": 0.1, "poor": 1.0}, "ours 1 min": ours, "ctgan": rival}
    said = tables.verdicts("heart", 200, found)
    assert [line.rsplit(" ", 1)[1] for line in said] == ["met", "MISSED", "met", "met"]


def test_several_trainings_are_told_by_mean_and_standard_deviation() -> None:
    pytest.importorskip("polars")
    import tables

    each = [{"family": "circuit", "auc": 0.7, "score": None}, {"family": "forest", "auc": 0.8, "score": 0.5}]
    told = tables.over_seeds(each)
    assert told["auc"] == 0.75 and told["sd"] == {"auc": 0.0707} and told["family"] == "circuit+forest"
    assert tables.over_seeds(each[:1]) == each[0]


def test_a_peer_stops_training_when_its_time_is_over() -> None:
    from peers import table_synthesizer

    assert list(table_synthesizer.Epochs(60)(range(4))) == [0, 1, 2, 3]
    late = table_synthesizer.Epochs(-1)
    assert list(late(range(4), disable=True)) == [0] and late.done == 1


def test_scores_of_series_rank_real_windows_above_independent_numbers() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("polars")
    import series
    import series_data

    real, other = (series_data.sines(300, seed)[:, :, :2] for seed in (0, 1))
    alone = np.random.default_rng(2).permuted(real, axis=0)
    good, bad = (series.measured(made, real, 1, 60) for made in (other, alone))
    assert good["score"] > 0.5 > bad["score"] and good["discriminative"] < 0.2
    assert good["line"] < bad["line"] and good["autocorrelation"] < bad["autocorrelation"] / 3


def test_sines_are_written_and_read_again(tmp_path: Path) -> None:
    pytest.importorskip("polars")
    import series_data

    made = series_data.sines(4)
    series_data.write(made, tmp_path / "sines.csv")
    read, names = series_data.read(tmp_path / "sines.csv")
    assert names == ("x1", "x2", "x3", "x4", "x5") and np.abs(read - made).max() < 1e-6
    assert made.min() >= 0 and made.max() <= 1


def test_a_vector_autoregression_finds_its_own_coefficients() -> None:
    from peers import vector_autoregression as var

    matrix, draw = np.array([[0.5, 0.2], [-0.3, 0.4]]), np.random.default_rng(0)
    x = np.zeros((2000, 12, 2))
    for t in range(1, 12):
        x[:, t] = 1 + x[:, t - 1] @ matrix.T + draw.normal(size=(2000, 2))
    found = var.fit(x, 1)
    assert np.abs(found.weights - np.vstack([[1, 1], matrix.T])).max() < 0.03
    made = var.sample(found, x, 4000)
    assert np.abs(made[:, -1].mean(0) - x[:, -1].mean(0)).max() < 0.1
    assert np.abs(np.cov(made[:, -1].T) - np.cov(x[:, -1].T)).max() < 0.15
