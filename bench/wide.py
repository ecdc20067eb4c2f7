"""Tables of many columns: families alone on made-up tables of known structure, and on some of scikit-learn's.

    python bench/wide.py [--only survey genes] [--families circuit regressions] [--steps 20] [--seed 0]

Each family takes so many steps on the rows to train on, with the settings that a run gives it, and is judged by rows
of the same law that nobody has seen (`wide_data.py`): mean -log p in nats; how far Spearman's correlations of pairs of
first cells are off (root of the mean square, `floor` that of the training rows); how well samples pass for the new rows
(`measure/table/passing.py`, 1 is best). Also CPU seconds of training and of drawing as many rows as are new, and the
peak of memory, which grows over the contestants of one call.

Expected (20 steps, one core): regressions at most 127 nats on survey (circuit 130), 58 on answers (62), 89 on digits
(92), 2,880 on genes (2,997 after 9 steps), 2,250 on sensors (2,348 after 12) and 1,065 on pixels (1,273 after 9).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import Watch, table, tell
from table_contestants import MIB
from torch import Tensor
from wide_data import TABLES, parts

from morelike.codecs.table import Codec, Config
from morelike.core.family import Family
from morelike.core.spec import Batch
from morelike.data.sources import open_source
from morelike.measure.table.passing import passing
from morelike.recipes import build_family, suited
from morelike.train.game import Game

PAIRED = 300  # cells whose pairs are looked at, at most


def encoded(name: str, seed: int) -> tuple[Codec, Tensor, Tensor]:
    """The codec that has learnt from the rows to train on, these rows and new ones as cells."""
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for place, frame in enumerate(parts(name, seed)):
            frame.write_csv(path := Path(folder) / f"{place}.csv")
            items.append(open_source(path).items)
        codec = Codec(Config()).fit(items[0])
        train, new = (torch.from_numpy(np.concatenate(list(codec.prepare_all(one)))).long() for one in items)
    return codec, train, new


def trained(family: Family, x: Tensor, steps: int, seed: int) -> Family:
    """A family after so many steps on rows x (n, T), as the loop takes them."""
    random = torch.Generator().manual_seed(seed)
    family.begin([Batch(x)], len(x))  # type: ignore[operator]
    game = Game(family)
    for step in range(steps):
        some = torch.randperm(len(x), generator=random)[: family.batch]
        game.turn(Batch(x[some]), step, step / steps)
    family.load_state_dict(game.weights())
    return family.eval()


def correlations(x: Tensor, columns: tuple[int, ...]) -> np.ndarray:
    """Spearman's correlation of every two columns' first cells, of at most `PAIRED`: the pairs (P,)."""
    first = np.cumsum([0, *columns])[:-1]
    some = first[np.random.default_rng(0).permutation(len(first))[:PAIRED]]
    ranks = x[:, some].double().argsort(0).argsort(0).double()
    for at, cell in enumerate(some.tolist()):  # ties share their mean rank
        _, place, count = x[:, cell].unique(return_inverse=True, return_counts=True)
        ranks[:, at] = (torch.zeros(len(count)).double().index_add_(0, place, ranks[:, at]) / count)[place]
    found = np.corrcoef(ranks.numpy().T + 1e-9 * np.random.default_rng(1).normal(size=(len(some), len(x))))
    return found[np.triu_indices(len(some), 1)]


def contest(name: str, families: list[str], steps: int, seed: int) -> list[list[object]]:
    """A row of figures for each family."""
    codec, x, new = encoded(name, seed)
    sizes, columns = codec.spec("likelihood").sizes or (), codec.spec("likelihood").columns or (1,) * x.shape[1]
    real, found = correlations(new, columns), list[list[object]]()

    def off(rows: Tensor) -> float:
        return float(np.sqrt(np.mean((correlations(rows, columns) - real) ** 2)))

    for who in families:
        watch, began = Watch(), time.process_time()
        family = build_family(who, suited(who, {}, len(x), codec), codec, {}, seed)
        trained(family, x, steps, seed)
        train_s = time.process_time() - began
        with torch.no_grad():
            log_p = [family.log_prob(Batch(part)) for part in new.split(256)]  # type: ignore[operator]
            began = time.process_time()
            made = family.sample(range(2 * len(new)))
        draw_s = (time.process_time() - began) / 2
        both = np.concatenate([new.numpy(), x.numpy()])
        figures = {
            "nats": round(float(-torch.cat(log_p).mean()), 2), "correlation_off": round(off(made), 4),
            "floor": round(off(x), 4), "passes": round(passing(made.numpy(), both, len(new), sizes).score, 3),
            "train_cpu_s": round(train_s, 1), "draw_cpu_s": round(draw_s, 1),
            "mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / MIB),
        }  # fmt: skip
        tell("wide", table=name, who=who, rows=len(x), columns=len(columns), **figures, others=watch.others())
        found.append([f"{name}: {who}", *figures.values()])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--families", nargs="+", default=["independent", "circuit", "regressions"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = [row for name in given.only for row in contest(name, given.families, given.steps, given.seed)]
    table(["", "nats", "correlation off", "floor", "passes", "train CPU s", "draw CPU s", "MiB"], rows)


if __name__ == "__main__":
    main()
