"""How long `morelike report` takes on 10,000 samples of 28 x 28 once the features are trained, and on what.

    OMP_NUM_THREADS=2 python bench/report_time.py                # built-in animals, a GAN of the default width
    OMP_NUM_THREADS=2 python bench/report_time.py --run RUN       # any run

The model is trained for a few steps only, for a report takes as long for a bad model as for a good one. The first
report trains the features and is not counted; the second loads them from the run folder and does everything else:
reading the data, drawing the samples, all figures with their anchors, classes, novelty, self-test, cost, diagnosis,
page and JSON. The target is 90 s on two cores. Seen there when nobody else used the machine: 17 s (20 CPU seconds), of
which drawing the samples takes 1; while others used two thirds of it: 58 s (39 CPU seconds). It also says how long the
page takes that `fit` leaves without measuring: under 0.1 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from machine import Watch, own_seconds, table, tell, verdict

from morelike.measure.report import write
from morelike.recipes import Request, fit
from morelike.reporting import Asked, report
from morelike.run import Run

TARGET, QUICK = 90.0, 1.0  # seconds


def trained(folder: Path, items: int, steps: int) -> Path:
    """A run on the built-in animals."""
    *_, last = fit(Request(f"menagerie:{items}", "gan", steps=steps, size="24", out=folder / "run"))
    assert last.stage == "done"
    return folder / "run"


def timed(run: Run, samples: int) -> None:
    """Measure both pages of a run, and tell."""
    began = time.perf_counter()
    write(run.path)
    quick = time.perf_counter() - began
    report(run, Asked(samples=500, selftest=False))  # trains the features, or finds them
    watch, began, busy = Watch(), time.perf_counter(), own_seconds()
    found = report(run, Asked(samples=samples))
    whole, others, cpu = time.perf_counter() - began, watch.others(), own_seconds() - busy
    stages = {name: seconds for name, seconds in found.about["seconds"].items() if name != "all"}
    table(["stage", "seconds"], [[name, float(seconds)] for name, seconds in stages.items()])
    sizes = {name: round((run.path / name).stat().st_size / 1e6, 2) for name in ("report.html", "report.json")}
    print(f"whole report on {samples:,} samples: {whole:.1f} s (target {TARGET:.0f} s: {verdict(whole <= TARGET)})")
    print(f"{cpu:.1f} CPU seconds; others used {others:.0%} of the machine meanwhile; verdict: {found.verdict.word}")
    print(f"page without measuring: {quick:.2f} s (target {QUICK:.0f} s: {verdict(quick <= QUICK)}); MB: {sizes}")
    tell(
        "report_time",
        seconds=round(whole, 1),
        cpu=round(cpu, 1),
        quick=round(quick, 3),
        others=others,
        stages=stages,
        mb=sizes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=12_000, help="items of the built-in world to train on")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or trained(Path(folder), options.items, options.steps)
        timed(Run.load(run), options.n)


if __name__ == "__main__":
    main()
