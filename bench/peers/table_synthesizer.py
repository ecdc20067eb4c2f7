"""Rows of a table by a synthesizer of SDV, trained at its published settings; run by bench/tables.py.

    python table_synthesizer.py --who copula|tvae|ctgan --data train.csv --out made.csv --rows N --kinds kinds.json

Training ends after `--epochs`, or with the first epoch that ends later than `--minutes` of the processor; what it came
to is printed as one line of JSON. The kinds of the columns are told, so that no column is guessed wrong; identifiers
are left out, since CTGAN and TVAE would learn each as a category.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NUMBERS, LEFT_OUT = ("number",), ("identifier", "constant")  # kinds of columns; all others are categories


class Epochs:
    """Counts epochs, and ends when time is up; stands where ctgan has its progress bar."""

    def __init__(self, seconds: float) -> None:
        self.end, self.done = time.process_time() + seconds, 0

    def __call__(self, epochs: range, **_: Any) -> Iterator[int]:
        for epoch in epochs:
            if epoch and time.process_time() > self.end:
                return
            self.done = epoch + 1
            yield epoch


def synthesizer(who: str, metadata: Any, epochs: int, count: Epochs) -> Any:
    import ctgan.synthesizers.ctgan
    import ctgan.synthesizers.tvae
    from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

    if who == "copula":
        return GaussianCopulaSynthesizer(metadata)
    ctgan.synthesizers.ctgan.tqdm = ctgan.synthesizers.tvae.tqdm = count
    kind = {"tvae": TVAESynthesizer, "ctgan": CTGANSynthesizer}[who]
    return kind(metadata, epochs=epochs, enable_gpu=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--who", choices=("copula", "tvae", "ctgan"), required=True)
    for name in ("data", "out", "kinds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    began = time.perf_counter()

    import numpy as np
    import pandas
    import torch
    from sdv.metadata import Metadata

    kinds = {name: kind for name, kind in json.loads(given.kinds.read_text()).items() if kind not in LEFT_OUT}
    words = {name: str for name, kind in kinds.items() if kind not in NUMBERS}
    frame = pandas.read_csv(given.data, dtype=words, na_values=["?"])[list(kinds)]
    columns = {name: {"sdtype": "numerical" if kind in NUMBERS else "categorical"} for name, kind in kinds.items()}
    metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
    np.random.seed(given.seed)  # which ctgan draws from as well as torch's
    torch.manual_seed(given.seed)
    count = Epochs(60 * given.minutes)
    model = synthesizer(given.who, metadata, given.epochs, count)
    model.fit({"table": frame})
    trained = time.perf_counter() - began
    model.sample(given.rows)["table"].to_csv(given.out, index=False)
    sampled = time.perf_counter() - began - trained
    print(json.dumps({"fit_s": round(trained, 1), "sample_s": round(sampled, 1), "epochs": count.done}))


if __name__ == "__main__":
    main()
