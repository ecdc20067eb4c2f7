"""Made-up tables of many columns, each like one that somebody has, and of which all is known; rows are drawn alike.

A table's first `n` rows are to train on, the others are as new to a model as the next month's would be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars


def holed(values: np.ndarray, gone: np.ndarray) -> polars.Series:
    """A column in which some cells are missing."""
    return polars.Series([None if out else one for out, one in zip(gone, values.tolist(), strict=True)])


def genes(random: np.random.Generator, n: int, columns: int = 1_000) -> polars.DataFrame:
    """Expression of genes: log-normal, in twelve pathways of which a gene hears one or two, some of them only above a
    threshold; a diagnosis that moves three pathways, age and sex."""
    ill = random.random(n) < 0.35
    pathway = random.normal(size=(n, 12))
    pathway[:, :3] += 1.2 * ill[:, None]
    own, loading = random.integers(12, size=(2, columns)), random.normal(0, 0.7, (2, columns))
    loading[1] *= random.random(columns) < 0.3
    heard = pathway[:, own]  # (n, 2, columns)
    heard[:, 0, ::10] = 2 * (heard[:, 0, ::10] > 0.5)  # switched on
    log = (heard * loading).sum(1) + random.normal(0, 0.6, (n, columns)) + random.normal(4, 1.5, columns)
    found = {f"gene {i}": np.round(np.exp(log[:, i]), 2) for i in range(columns)}
    age = np.round(55 + 8 * pathway[:, 3] + 6 * random.normal(size=n)).astype(int)
    about = {"age": age, "sex": np.where(random.random(n) < 0.5, "f", "m")}
    return polars.DataFrame({**about, **found, "diagnosis": np.where(ill, "ill", "well")})


def sensors(random: np.random.Generator, n: int, columns: int = 590) -> polars.DataFrame:
    """A factory: blocks of six sensors that go together, all moved by the recipe and a slow drift, some skewed, a
    tenth constant; whole blocks are missing, more often where the block before them is high; few lots fail."""
    recipe, drift = random.integers(3, size=n), np.sort(random.normal(size=n))[random.permutation(n)]
    block = np.arange(columns) // 6
    level = random.normal(size=(n, block[-1] + 1)) + 0.5 * drift[:, None]
    level[:, 1:] += 0.5 * level[:, :-1]
    mean = random.normal(0, 1, (3, columns)) * (random.random(columns) < 0.2)
    x = random.normal(0.8, 0.2, columns) * level[:, block] + mean[recipe] + random.normal(0, 0.5, (n, columns))
    skewed = random.random(columns) < 0.3
    x[:, skewed] = np.exp(0.7 * x[:, skewed])
    fail = level[:, 3] + level[:, 7] * level[:, 8] + random.normal(0, 0.7, n)
    gone = np.zeros((n, columns), bool)
    for one in np.flatnonzero(random.random(block[-1] + 1) < 0.35):
        share = random.uniform(0.02, 0.6)
        high = level[:, one - 1] + random.normal(0, 0.6, n)
        gone[:, block == one] = (high > np.quantile(high, 1 - share))[:, None]
    gone |= random.random((n, columns)) < 0.005
    constant = random.random(columns) < 0.1
    x[:, constant] = np.round(x[0, constant], 2)
    found = {f"sensor {i}": holed(np.round(x[:, i], 4), gone[:, i]) for i in range(columns)}
    return polars.DataFrame(
        {"recipe": np.array(list("ABC"))[recipe], **found, "result": np.where(fail > 2.6, "fail", "pass")}
    )


def survey(random: np.random.Generator, n: int, columns: int = 100) -> polars.DataFrame:
    """Questions from 1 to 5, of five factors that go together, some asked the other way round; a tenth of them is
    skipped by those who said no to the one before; age group, sex and region."""
    mixed = np.linalg.cholesky(0.7 * np.eye(5) + 0.3)
    sex, age = random.integers(2, size=n), random.integers(5, size=n)
    factor = random.normal(size=(n, 5)) @ mixed.T
    factor[:, 0] += 0.4 * age - 0.8
    factor[:, 1] += 0.7 * sex
    own = np.arange(columns) % 5
    loading = random.uniform(0.6, 1.4, columns) * np.where(random.random(columns) < 0.3, -1, 1)
    said = factor[:, own] * loading + random.normal(0, 0.9, (n, columns)) + random.normal(0, 0.6, columns)
    value = 1 + sum((said > cut).astype(int) for cut in (-1.5, -0.5, 0.5, 1.5))
    found = dict[str, polars.Series]()
    for i in range(columns):
        skipped = (value[:, i - 1] <= 2) & (i % 10 == 9)
        found[f"q{i + 1}"] = holed(value[:, i], skipped)
    about = {
        "age": np.array(["18-29", "30-44", "45-59", "60-74", "75+"])[age], "sex": np.where(sex, "f", "m"),
        "region": np.array(list("NSEW"))[random.integers(4, size=n)],
    }  # fmt: skip
    return polars.DataFrame({**about, **found})


def answers(random: np.random.Generator, n: int, columns: int = 150) -> polars.DataFrame:
    """Boxes that were ticked, as 0 and 1: a third in groups of five of which one is ticked, the others symptoms of six
    kinds of people, some of which come in pairs that exclude each other."""
    kind = random.choice(6, n, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    groups = columns // 15
    found = dict[str, np.ndarray]()
    for group in range(groups):
        taste = random.normal(0, 1.2, (6, 5))
        one = (taste[kind] + random.gumbel(size=(n, 5))).argmax(1)
        found |= {f"group {group} is {v}": (one == v).astype(int) for v in range(5)}
    share = random.beta(0.5, 1.5, (6, columns))
    strain = random.normal(size=n)
    for i in range(columns - 5 * groups):
        odds = np.log(share[kind, i] + 0.02) - np.log1p(0.02 - share[kind, i]) + strain * (i % 4 == 0)
        ticked = random.random(n) < 1 / (1 + np.exp(-odds))
        if i % 5 == 4:
            ticked &= found[f"symptom {i - 1}"] == 0
        found[f"symptom {i}"] = ticked.astype(int)
    return polars.DataFrame(found)


def pixels(random: np.random.Generator, n: int, columns: int = 784) -> polars.DataFrame:
    """Features of pictures, whole numbers from 0 to 16: scikit-learn's 1,797 digits of 8 x 8 drawn larger, moved by up
    to a point, with noise where there is ink; and which digit it is."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    side, digits = round(columns**0.5), load_digits()
    some = random.permutation(len(digits.target))[:n]
    x = zoom(digits.images[some], (1, side / 8, side / 8), order=1)
    for row, by in enumerate(random.integers(-1, 2, (n, 2))):
        x[row] = np.roll(x[row], by, (0, 1))
    x = np.where(x > 0.5, x + random.normal(0, 1.0, x.shape), 0).round().clip(0, 16).astype(int).reshape(n, -1)
    return polars.DataFrame({**{f"p{i}": x[:, i] for i in range(columns)}, "digit": digits.target[some]})


def _learnt(name: str) -> Callable[[np.random.Generator, int], polars.DataFrame]:
    """One of the tables that scikit-learn holds, in an order drawn anew."""

    def made(random: np.random.Generator, n: int) -> polars.DataFrame:
        import sklearn.datasets

        found = getattr(sklearn.datasets, f"load_{name}")()
        names = [str(one) for one in found.feature_names]
        columns = {**dict(zip(names, found.data.T, strict=True)), "target": found.target}
        frame = polars.DataFrame(columns).with_columns(polars.col("target").cast(polars.Int64))
        return frame[random.permutation(frame.height)[:n]]

    return made


TABLES: dict[str, tuple[Callable[..., polars.DataFrame], int, int]] = {  # how it is made, rows to train on, new ones
    "survey": (survey, 300, 500),
    "answers": (answers, 1_000, 500),
    "genes": (genes, 200, 300),
    "genes_2000": (lambda random, n: genes(random, n, 2_000), 200, 300),
    "sensors": (sensors, 1_567, 500),
    "pixels": (pixels, 1_400, 397),
    "digits": (_learnt("digits"), 1_400, 397),
    "breast_cancer": (_learnt("breast_cancer"), 427, 142),
}  # fmt: skip


def parts(name: str, seed: int = 0) -> tuple[polars.DataFrame, polars.DataFrame]:
    """Rows to train on, and new ones of the same law."""
    make, rows, new = TABLES[name]
    frame = make(np.random.default_rng(seed), rows + new)
    return frame[:rows], frame[rows:]
