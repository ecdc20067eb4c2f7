"""Molecules: `morelike fit zinc_smiles.txt --minutes 10` and nothing else; are its samples valid, different and new?

    python bench/molecules.py --data zinc_smiles.txt [--minutes 10] [--samples 10000] [--keep folder] [--quick]

Validity, uniqueness among the first 1,000 valid samples, and novelty against all strings of the file, held-out ones
too, as in MOSES (Polykovskiy et al. 2020), whose character model has .975, .999 (of 10,000) and .842 after training on
1.6 million. By RDKit where it is installed, in which case how often our own reading agrees is told as well. `morelike
sample` draws again what is no molecule, so the validity of what the model writes at the first attempt stands beside it.

Expected (two Zen 3 or 4 cores): validity at least .99, at the first attempt .7 to .9; uniqueness .99, novelty .80.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from machine import Watch, table, tell, verdict

from morelike import load
from morelike.chemistry.valence import fault
from morelike.measure.text.molecules import FIRST, reader
from morelike.reporting.samples import draw

TARGETS = {"validity": 0.90, "uniqueness": 0.99, "novelty": 0.80}


def trained(data: Path, minutes: float, out: Path) -> float:
    """`morelike fit`, and the seconds that it took from the start of the process to its end."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "morelike", "fit", str(data), "--minutes", str(minutes), "--out", str(out)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measured(made: list[str], known: list[str]) -> dict[str, Any]:
    """Validity, uniqueness and novelty of samples, and how often our own reading of SMILES agrees with RDKit's."""
    read = reader()
    forms = [read.normal(one) for one in made]
    valid = [one for one in forms if one is not None]
    different, there = set(valid), {read.normal(one) for one in known}
    found: dict[str, Any] = {
        "validity": len(valid) / len(made),
        "uniqueness": len(set(valid[:FIRST])) / max(1, len(valid[:FIRST])),
        "novelty": len(different - there) / max(1, len(different)),
        "by": "RDKit" if read.rdkit else "our own reading",
    }
    if read.rdkit:
        same = sum((form is not None) == (fault(one) == "") for form, one in zip(forms, made, strict=True))
        found["agreement"] = same / len(made)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="new folder for the run; otherwise it is deleted")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: a smoke test")
    given = parser.parse_args()
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        out = given.keep or Path(folder) / "run"
        seconds = trained(given.data, 0.2 if given.quick else given.minutes, out)
        others, run = watch.others(), load(out)
        began, count = time.perf_counter(), 200 if given.quick else given.samples
        made = run.sample(count).array.tolist()
        rate = count / (time.perf_counter() - began)
        plan = json.loads((out / "recipe.json").read_text())["plan"]["said"]
        first = run.codec.decode(draw(run, count, 0, {}, lambda stage, fraction: None)).tolist()
    found = measured(made, given.data.read_text(encoding="utf-8").split())
    print(plan)
    table(["", "target", "ours", ""], [[name, target, round(found[name], 4), verdict(found[name] >= target)]
                                       for name, target in TARGETS.items()])  # fmt: skip
    found["first_attempt"] = measured(first, [])["validity"]
    tell("molecules", seconds=round(seconds, 1), samples=count, rate=round(rate), others=others, **found)


if __name__ == "__main__":
    main()
