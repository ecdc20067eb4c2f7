"""How many of twenty runs, killed at random moments and resumed, end with exactly the weights of the uninterrupted run.

    OMP_NUM_THREADS=1 nice python bench/resume_kills.py

Expected: "20 of 20 identical" in a few minutes; less is a fault. Every trial is a process of its own that gets SIGKILL
at a moment drawn uniformly from the time that the whole run takes, collecting and finishing included, and once more
while it is resumed. All tensors of weights.safetensors are compared bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from morelike import fitting  # noqa: F401  (imported once, before the processes are forked)
from morelike.recipes import Request, fit, resume
from morelike.train import session
from morelike.train.folder import Folder, load_tensors


def request(out: Path, family: str, steps: int) -> Request:
    settings = {"batch": "16", "save": "0.001", "latent": "8", "picture": "0.5"}
    return Request("menagerie:400:12", family=family, steps=steps, size="8", out=out, settings=settings)


def run(out: Path, family: str, steps: int) -> None:
    """Begin the run, or go on with it, to its end."""
    for _ in resume(out) if Folder(out).recipe.exists() else fit(request(out, family, steps)):
        pass


def forked(work: Callable[[], None], killed_after: float | None = None) -> bool:
    """Do the work in a process of its own; True if it ended well, False if it was killed before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        sys.exit("A run failed; its error stands above.")
    return not os.WIFSIGNALED(status)


def identical(one: Path, other: Path) -> bool:
    ours, theirs = (load_tensors(Folder(path).weights)[0] for path in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def trial(out: Path, whole: Path, family: str, steps: int, seconds: float) -> tuple[bool, str]:
    """Kill twice, resume to the end, compare; also a word on what had been reached when it was killed."""

    def work() -> None:
        run(out, family, steps)

    moments = []
    for share in (random.random(), random.random() / 2):
        done = forked(work, share * seconds)
        states = sorted(path.stem for path in Folder(out).states.glob("*.safetensors"))
        reached = "the end" if done else f"step {int(states[-1])}" if states else "no step"
        moments.append(f"{share * seconds:.2f} s ({reached})")
    forked(work)
    return identical(out, whole), ", then ".join(moments)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--family", action="append")
    options = parser.parse_args()
    families = options.family or ["gan", "vae"]
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True).step()  # torch imports much at the first one
    session.FLUSH, session.PATIENCE = 0.0, 0  # save after every step: as many different moments as there can be
    good = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MORELIKE_CACHE"] = f"{folder}/cache"
        seconds: dict[str, float] = {}
        for family in families:
            begin = time.perf_counter()
            forked(lambda family=family: run(Path(folder, family), family, options.steps))
            seconds[family] = time.perf_counter() - begin
        for number in range(options.kills):
            family = families[number % len(families)]
            out = Path(folder, f"{family}-{number}")
            same, moments = trial(out, Path(folder, family), family, options.steps, seconds[family])
            good += same
            print(f"{family} killed after {moments}: {'identical' if same else 'DIFFERENT'}", flush=True)
    print(f"{good} of {options.kills} identical")
    sys.exit(good < options.kills)


if __name__ == "__main__":
    main()
