"""Tables: `morelike fit train.csv --minutes M` and nothing else, against SDV's copula, TVAE and CTGAN on the same rows.

    python bench/tables.py --data FOLDER --keep OUT --peers SDVENV/bin/python [--only heart adult] [--minutes 1 4]

A quarter of each table, always the same, is held out from everybody. Each contestant trains in a process of its own,
makes as many rows as it was trained on, and is measured by the report's own code; of small tables five times, since one
draw of few rows says little: figures are means. So are those of several seeds of training (`--seeds 0 1 2`), beside
which their standard deviation stands. `real` are training rows in the place of samples, `columns` are independent
columns. Two-sample score: 1 - 2 (max(AUC, 1/2) - 1/2), AUC the mean over three folds, by gradient-boosted trees, of few
rows also by a regression on pairs of columns, judged on held-out rows; of small tables on all that was made, once for
each draw. `poor`: the share of draws that would be graded poor by this score alone. AUC: of the label, by trees that
learned from samples, on held-out rows.

Expected (two idle cores, CTGAN with its 300 epochs): Adult in ten minutes: two-sample score >= .60, AUC >= .905, shape
>= .985, trend >= .970, beta-recall >= .45, mutual-information error <= .02; in one minute better than CTGAN on each of
these, in at most 1/20 of its time. All others: score and AUC above each peer; coverage >= .85 on the small ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars
import torch
from machine import Watch, table, tell, verdict
from table_contestants import divide, ours, peer

from morelike.codecs.table import Codec, Config
from morelike.data.sources import open_source
from morelike.measure.anchors import Anchored, trivial
from morelike.measure.coverage import clipped_coverage
from morelike.measure.figure import Estimate
from morelike.measure.table import shape
from morelike.measure.table.arrange import Tables, arrange
from morelike.measure.table.copies import Known
from morelike.measure.table.evaluate import as_test
from morelike.measure.table.figures import JUDGED, POINTS, passing
from morelike.measure.table.prediction import skill
from morelike.measure.table.sheet import Rows, Sheet
from morelike.measure.table.support import precision_recall, scaled, spread
from morelike.measure.verdict import poor_above

TABLES = {  # the file, and the column that is to be predicted
    "heart": ("medical_tables/heart_cleveland.csv", "num"),
    "diabetes": ("medical_tables/pima_diabetes.csv", "outcome"),
    "breast_cancer": ("medical_tables/breast_cancer_wdbc.csv", "diagnosis"),
    "german_credit": ("german_credit/german_credit.csv", "default"),
    "ai4i": ("industrial_tables/ai4i2020.csv", "Machine failure"),
    "credit_default": ("credit_default/credit_default.csv", "default.payment.next.month"),
    "adult": ("adult_census/adult.csv", "income"),
}
SMALL, DRAWS, COPIED = 2_000, 5, 4_000  # rows of a small table, draws from it, rows that copies are looked for in
FEW = 10  # values of a number up to which the peers are told that it is a category, which helps them
ADULT = {"score": 0.60, "auc": 0.905, "shape": 0.985, "trend": 0.970, "beta_recall": 0.45, "information_error": 0.02}
LOWER = ("information_error", "copies", "poor")  # less is better; of all others more is
PEERS = ("copula", "tvae", "ctgan")


def measured(tables: Tables, whole: Tables, side: str, label: str) -> dict[str, float | None]:
    """All figures of one side of a comparison: made, fresh (other real rows) or trivial (independent columns).

    whole  the same with all rows that were made, which the two-sample score looks at, as a report does
    """
    columns, seed = tables.columns, tables.seed
    made, real = tables.rows(side), tables.rows("real")
    target = [one.name for one in columns].index(label)
    score, poor = told(whole, side)
    alpha, beta = precision_recall(*(scaled(real, columns)(one[:POINTS]) for one in (made, real)))
    points, held = spread(tables.train, columns), tables.held[:POINTS]
    known = Known(tables.train, columns, seed)
    near = known.near(made[:COPIED]) if side != "fresh" else known.among(torch.arange(min(COPIED, len(known.some))))
    figures = {
        "score": score.value, "poor": poor,
        "auc": skill(made, tables.test(JUDGED), columns, target, seed).estimate.value,
        "shape": shape.average(shape.shapes(made, real, columns)),
        "trend": shape.average(shape.trends(made, real, columns, seed)),
        "information_error": shape.information_error(*shape.information(made, real, columns, seed)),
        "alpha_precision": alpha, "beta_recall": beta,
        "coverage": clipped_coverage(points(made[: len(held)]), points(held)).value,
        "copies": float((near.exact | near.near).double().mean()),
    }  # fmt: skip
    return {name: None if value is None else round(float(value), 4) for name, value in figures.items()}


def told(tables: Tables, side: str) -> tuple[Estimate, float]:
    """The two-sample score of one side, and 1.0 if by this alone it is graded poor.

    Independent columns stand beside others, drawn anew, as those do that come from a model.
    """
    wanted = tables.pool.real[: tables.wanted]
    made, real = (tables.rows("fresh"), tables.rows("real")) if side == "fresh" else (tables.many(side), wanted)
    score = passing(tables, made, real)
    alone = trivial(tables.train, None, torch.zeros(len(tables.many("trivial"))), tables.seed + 1)
    test = as_test(Anchored(score, score, score, passing(tables, alone, wanted)))
    return score, float((test.value.low or 0.0) > poor_above(test.trivial))


def contest(name: str, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Everybody's figures on one table, by contestant."""
    source, label = given.data / TABLES[name][0], TABLES[name][1]
    folder = given.keep / name
    folder.mkdir(parents=True, exist_ok=True)
    train, held = divide(source, folder)
    codec = Codec(Config(columns=f"{label}=category")).fit(open_source(source).items)
    few = [column.kind == "number" and column.single and len(column.values) <= FEW for column in codec.found]
    kinds = {name: "category" if one else kind for name, kind, one in zip(codec.columns, codec.kinds, few, strict=True)}
    (folder / "kinds.json").write_text(json.dumps(kinds))

    def sheet(path: Path) -> Sheet:
        items = open_source(path).items
        return Sheet(codec.columns, codec.kinds, codec.natural_rows(items, np.arange(len(items))))

    real, found = (sheet(train), sheet(held)), dict[str, dict[str, Any]]()
    rows = len(real[0])
    draws = DRAWS if rows < SMALL else 1
    for who, call in contestants(given, train, draws * rows).items():
        each = []
        for seed in given.seeds:
            made = folder / f"{who.replace(' ', '_')}{f'_seed_{seed}' if seed else ''}.csv"
            cost = spent_on(made, given.reuse, partial(call, made, seed))
            if given.make:
                continue
            whole = sheet(made)
            parts = [replace(whole, cells=whole.cells[i * rows : (i + 1) * rows]) for i in range(draws)]
            compared = [[arrange(Rows(one, *real), draw) for one in (part, whole)] for draw, part in enumerate(parts)]
            for side, called in (("fresh", "real"), ("trivial", "columns")) if not found else ():
                found[called] = mean([measured(*tables, side, label) for tables in compared])
            each.append(cost | mean([measured(*tables, "made", label) for tables in compared]))
            tell("tables", table=name, who=who, seed=seed, rows=rows, draws=draws, **each[-1])
        if each:
            found[who] = over_seeds(each)
    for called in ("real", "columns") if found else ():
        tell("tables", table=name, who=called, rows=rows, draws=draws, **found[called])
    return found


def contestants(given: argparse.Namespace, train: Path, rows: int) -> dict[str, Callable[[Path, int], dict[str, Any]]]:
    """Who makes so many rows from those to train on, each as a call of where to write them, and a seed of training."""
    calls: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        f"ours {minutes:g} min": lambda made, seed, m=minutes: ours(train, rows, (m, seed), made, given.clean)
        for minutes in given.minutes
    }
    options = ("--epochs", given.epochs, "--minutes", given.most)
    for who in given.who if given.peers else ():
        calls[who] = lambda made, seed, who=who: peer(given.peers, who, train, rows, made, "--seed", seed, *options)
    return calls


def spent_on(made: Path, reuse: bool, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it took to make these rows; made now, unless they are there and may be used again."""
    cost, watch = made.with_suffix(".json"), Watch()
    if not (reuse and cost.exists()):
        cost.write_text(json.dumps(call() | {"others": watch.others()}))
    return dict(json.loads(cost.read_text()))


def over_seeds(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over several trainings, and as `sd` the standard deviation of each figure; words side by side."""
    if len(found) == 1:
        return dict(found[0])
    told: dict[str, Any] = {}
    for name in found[0]:
        values = [one[name] for one in found]
        plain = all(isinstance(value, int | float) for value in values)
        told[name] = round(float(np.mean(values)), 4) if plain else "+".join(sorted({str(value) for value in values}))
        if plain:
            told.setdefault("sd", {})[name] = round(float(np.std(values, ddof=1)), 4)
    return told


def mean(found: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Of each figure over several draws; None where it is missing in any."""
    values = {name: [one[name] for one in found] for name in found[0]}
    return {name: None if None in of else round(float(np.mean(of)), 4) for name, of in values.items()}  # type: ignore[arg-type]


def better(name: str, one: float | None, other: float | None) -> bool:
    return one is not None and (other is None or (one < other if name in LOWER else one > other))


def verdicts(name: str, rows: int, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which targets are met, in words; ours is the longest run, and of Adult the first one too."""
    mine = [who for who in found if who.startswith("ours")]
    rivals, last, said = [who for who in PEERS if who in found], found[mine[-1]], []
    if name == "adult":
        for key, least in ADULT.items():
            good = last[key] <= least if key in LOWER else last[key] >= least
            said.append(f"{mine[-1]}: {key} {last[key]:.3f}, target {least}: {verdict(good)}")
        rivals = [who for who in rivals if who == "ctgan"]
    for who in rivals:
        for key in ADULT if name == "adult" else ("score", "auc"):
            one, other = found[mine[0]][key], found[who][key]
            said.append(f"{mine[0]}: {key} {one} against {who} {other}: {verdict(better(key, one, other))}")
    if name == "adult" and rivals:
        ratio = found[mine[0]]["cpu_s"] / found["ctgan"]["cpu_s"]
        said.append(f"{mine[0]}: {ratio:.3f} of ctgan's time ({found['ctgan']['epochs']} epochs), target 0.05: "
                    f"{verdict(ratio <= 0.05)}")  # fmt: skip
    if rows < SMALL:
        said.append(f"{mine[-1]}: coverage {last['coverage']}, target 0.85: {verdict((last['coverage'] or 0) >= 0.85)}")
    alone = found["columns"]
    return [*said, f"independent columns: score {alone['score']}, graded poor by it in {alone['poor']:.0%} of draws, "
                   f"target 100%: {verdict(alone['poor'] == 1)}"]  # fmt: skip


def show(name: str, found: Mapping[str, Mapping[str, Any]], keys: Sequence[str]) -> None:
    def cell(one: Mapping[str, Any], key: str) -> Any:
        value, sd = one.get(key), one.get("sd", {}).get(key)
        return "" if value is None else value if sd is None else f"{value:.3g} ± {sd:.2g}"

    print(f"\n{name}")
    table(["", *keys], [[who, *(cell(one, key) for key in keys)] for who, one in found.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--keep", type=Path, required=True, help="folder for parts, runs and samples")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--minutes", type=float, nargs="*", default=[1.0], help="of ours; several make several runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training; figures are means over them")
    parser.add_argument("--peers", type=Path, help="a Python that has sdv")
    parser.add_argument("--who", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--most", type=float, default=1e6, help="CPU minutes after which a peer trains no more")
    parser.add_argument("--clean", action="store_true", help="count our minutes in CPU seconds, for a busy machine")
    parser.add_argument("--make", action="store_true", help="make rows, and measure nothing")
    parser.add_argument("--reuse", action="store_true", help="measure again what is there, and make only what is not")
    given = parser.parse_args()
    for name in given.only:
        found = contest(name, given)
        if not found:
            continue
        keys = ["fit_s", "cpu_s", *next(iter(found.values()))]
        show(name, found, keys)
        rows = polars.read_csv(given.keep / name / "train.csv", infer_schema=False).height
        if given.minutes:
            print(*verdicts(name, rows, found), sep="\n", flush=True)


if __name__ == "__main__":
    main()
