"""Cats, dogs and rabbits of 28 by 28 grey pixels from a generative adversarial network, one kind at a time.

python examples/animals.py                          the built-in animals, three minutes
python examples/animals.py --steps 20               a dry run, in seconds
python examples/animals.py photos/ --minutes 10     your own, one sub-folder for each kind
"""

import argparse

import morelike

words = argparse.ArgumentParser(description="Train a class-conditional GAN on pictures and draw each kind.")
words.add_argument("source", nargs="?", default="menagerie", help="pictures in one sub-folder for each kind")
words.add_argument("--out", help="new folder for the run")
budget = words.add_mutually_exclusive_group()
budget.add_argument("--minutes", type=float, help="time for training; 3 if not said")
budget.add_argument("--steps", type=int, help="number of training steps instead")
asked = words.parse_args()
minutes = None if asked.steps else asked.minutes or 3.0

# Collect and prepare, then train: G(z, label) draws, C(x, label) tells its pictures from the data.
run = morelike.fit(asked.source, family="gan", given="label", minutes=minutes, steps=asked.steps, out=asked.out)

# Generate: 64 of each kind, and a walk of 12 steps from the noise of seed 3 to the noise of seed 8.
for kind in run.info()["labels"]["label"]:
    for path in (
        *run.sample(64, label=kind).save(run.path / f"{kind}.png"),
        *run.interpolate(3, 8, steps=12, label=kind).save(run.path / f"{kind}-walk.png"),
    ):
        print(path)
