"""What the machinery costs: a training step by `train` and `Game` over the same step written out by hand.

    OMP_NUM_THREADS=1 nice python bench/machinery.py

Both train the DCGAN variant (28x28, batch 64) from the same first weights on the same batch, in turns and in changing
order, so that a busy machine slows both; the median of the paired differences is what counts. Expected: less than 1 %
(the target is 5 %), and weights that are identical to the last bit.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.codecs.image import Codec, Config
from morelike.core.spec import Batch
from morelike.families import gan
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import step_seed, train


def by_hand(model: gan.Model, batch: Batch) -> Iterator[None]:
    """The DCGAN step as anybody would write it, with the optimizers that the family recommends."""
    optim = model.optimizers()["critic"]
    critic, generator = (
        torch.optim.Adam(player.parameters(), optim.lr, optim.betas, fused=True)
        for player in (model.critic, model.generator)
    )
    for step in itertools.count():
        torch.manual_seed(step_seed(0, step))
        lr = optim.lr * min(1.0, 0.01 + 0.99 * (step / STEPS) / optim.warmup) if optim.warmup else optim.lr
        critic.param_groups[0]["lr"] = generator.param_groups[0]["lr"] = lr
        fake = torch.tanh(model.generator(torch.randn(len(batch.x), model.config.latent), {}))
        real_score, fake_score = model.critic(batch.x, {})[0], model.critic(fake.detach(), {})[0]
        critic.zero_grad()
        (F.softplus(-real_score) + F.softplus(fake_score)).mean().backward()
        critic.step()
        generator.zero_grad()
        F.softplus(-model.critic(fake, {})[0]).mean().backward()
        generator.step()
        yield


STEPS = 10_000  # of the plan that both follow; only the first few are taken


def timed(step: Callable[[], object]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--width", type=int, default=32)
    options = parser.parse_args()
    torch.manual_seed(0)
    spec = Codec(Config(size=(28, 28), colour="grey")).spec("rsample")
    ours = gan.Model(spec, gan.Config("dcgan", width=options.width))
    hand = copy.deepcopy(ours)
    x: Tensor = torch.rand(64, 1, 28, 28) * 2 - 1
    turns = train(Game(ours, average=0.0), itertools.repeat(Batch(x)), Plan.of(STEPS), seed=0)
    plain = by_hand(hand, Batch(x))
    pairs: list[tuple[float, float]] = []
    for number in range(options.steps):
        if number % 2:
            machine, manual = timed(lambda: next(turns)), timed(lambda: next(plain))
        else:
            manual, machine = timed(lambda: next(plain)), timed(lambda: next(turns))
        pairs.append((machine, manual))
    pairs = pairs[5:]
    manual = statistics.median(one for _, one in pairs)
    extra = statistics.median(machine - one for machine, one in pairs)
    theirs = hand.state_dict()
    difference = max(float((value - theirs[name]).abs().max()) for name, value in ours.state_dict().items())
    print(
        f"by hand {1000 * manual:.2f} ms a step, machinery {1000 * extra:+.3f} ms = {extra / manual:+.1%} (target 5 %)"
    )
    print(f"largest difference between the weights after {options.steps} steps: {difference:g}")


if __name__ == "__main__":
    main()
