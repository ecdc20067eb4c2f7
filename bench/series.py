"""Series: `morelike fit --codec series --minutes M` on a stock, ETTh1 and sines, by the scores of TimeGAN (Yoon 2019).

    python bench/series.py --data stock=google.csv etth1=ETTh1.csv sines --keep OUT --minutes 2.5 [--clean] [--seeds 3]

Windows of 24 steps; all of a file are real ones, as published, scaled to [0, 1] by their least and largest values.
Discriminative score: |accuracy - 1/2| of the published net (a GRU of half as many units as columns, 2,000 steps) on a
fifth of the windows; predictive score: mean absolute error of the last column one step ahead by a net that learned from
made windows (5,000 steps). Both are means over seeds. As weak nets make good scores, `score` stands beside them: the
report's two-sample score, 1 - mean of (2 max(AUC, 1/2) - 1), by boosted trees on features of windows, the more the
better; and `line`, the predictive score of a straight line. `real` are other windows of the same file, `independent`
draws every number by itself, `var` is a vector autoregression by least squares with resampled residuals.

Expected: discriminative at most TimeGAN's .102 (stock), .011 (sines), .114 (ETTh1, by later work); real windows .02 or
less; of independent numbers above .3, with a score under .1.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import series_data
import torch
from machine import Watch, table, tell, verdict
from peers import vector_autoregression
from table_contestants import CLEAN, spent

from morelike.measure.anchors import trivial
from morelike.measure.series import statistics
from morelike.measure.series.arrange import arrange
from morelike.measure.series.figures import trees_score
from morelike.measure.series.recurrent import predictive, published, scale, straight, tell_apart
from morelike.measure.series.windows import Series

TARGETS = {"stock": 0.102, "sines": 0.011, "etth1": 0.114}  # of the discriminative score, as published for TimeGAN
SIDES = ("ours", "real", "independent", "var")
WINDOWS = (
    1_500  # of either kind that are compared: by guessing alone, a net is off by about .016 then, of 5,000 by .009
)


def measured(made: np.ndarray, real: np.ndarray, seeds: int, steps: int | None = None) -> dict[str, Any]:
    """The scores of made windows (N, T, C) beside real ones (M, T, C), by the published nets or after fewer steps."""
    a, b = (torch.from_numpy(one) for one in (made, real))
    to, width = scale(b), real.shape[2]
    x, y = to(a), to(b)
    nets = [replace(one, steps=steps or one.steps) for one in (published(width, "tell"), published(width, "predict"))]
    told = [tell_apart(x, y, nets[0], seed=seed).discriminative for seed in range(seeds)]
    wrong = [predictive(x, y, nets[1], seed=seed).value or float("nan") for seed in range(seeds)]
    scene = arrange(Series(tuple(map(str, range(width))), list(made), list(real), []))
    score = trees_score(scene.side("made"), scene.side("real"), scene).value
    figures = {
        "discriminative": float(np.mean(told)), "spread": float(np.std(told)), "predictive": float(np.mean(wrong)),
        "line": straight(x, y), "score": score, "shape": statistics.marginals(a, b),
        "autocorrelation": statistics.memory(a, b), "cross_correlation": statistics.ties(a, b),
        "spectrum_db": statistics.waves(a, b),
    }  # fmt: skip
    return {name: None if value is None else round(float(value), 4) for name, value in figures.items()}


def ours(source: Path, name: str, given: argparse.Namespace) -> np.ndarray:
    """Windows that `morelike` makes after so many minutes of the file."""
    made, run = given.keep / f"{name}-made.csv", given.keep / name
    if not (given.reuse and made.exists()):
        call = ("-c", CLEAN) if given.clean else ("-m", "morelike")
        spent(*call, "fit", source, "--codec", "series", "--minutes", f"{given.minutes:g}", "--out", run)
        spent("-m", "morelike", "sample", run, "-n", given.windows, "--out", made)
    return series_data.read(made)[0]


def contest(name: str, source: Path, given: argparse.Namespace) -> Mapping[str, dict[str, Any]]:
    """Everybody's scores on one file, by contestant."""
    real, columns = series_data.read(source)
    draw = np.random.default_rng(0)
    n = min(given.windows, len(real) // 2)
    order = draw.permutation(len(real))
    some, other = (real[np.sort(part)] for part in (order[:n], order[n : 2 * n]))
    alone = trivial(torch.from_numpy(real), None, torch.zeros(n), 0).numpy()
    model = vector_autoregression.best(real)
    sides = {"ours": lambda: ours(source, name, given)[:n], "real": lambda: other, "independent": lambda: alone,
             "var": lambda: vector_autoregression.sample(model, real, n)}  # fmt: skip
    found = {}
    for who in given.who:
        watch = Watch()
        found[who] = measured(sides[who](), some, given.seeds)
        tell("series", data=name, who=who, windows=n, columns=len(columns), others=watch.others(), **found[who])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True, help="NAME=FILE.csv, or sines")
    parser.add_argument("--keep", type=Path, required=True, help="folder for runs and samples")
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--seeds", type=int, default=3, help="of the nets that judge")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="of either kind")
    parser.add_argument("--who", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--clean", action="store_true", help="count our minutes in CPU seconds, for a busy machine")
    parser.add_argument("--reuse", action="store_true", help="measure again what is there, and make only what is not")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    for one in given.data:
        name, _, path = one.partition("=")
        source = Path(path) if path else given.keep / f"{name}.csv"
        if not path and not source.exists():
            series_data.write(series_data.sines(), source)
        found = contest(name, source, given)
        keys = list(next(iter(found.values())))
        print(f"\n{name}")
        table(["", *keys], [[who, *(one[key] if one[key] is not None else "" for key in keys)]
                            for who, one in found.items()])  # fmt: skip
        if "ours" in found and name in TARGETS:
            value = found["ours"]["discriminative"]
            print(f"discriminative {value}, target {TARGETS[name]}: {verdict(value <= TARGETS[name])}", flush=True)


if __name__ == "__main__":
    main()
