"""What every family of generative models is to the rest of the house."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from morelike.core.distribution import Distribution
from morelike.core.spec import Batch, Spec


class Move(NamedTuple):
    """One player's losses, handed to the training loop, which steps that player's optimizer and resumes the game.

    player  a key of `Family.players()`
    loss    (B,), one per example
    log     scalars worth showing
    """

    player: str
    loss: Tensor
    log: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Optim:
    """How one player is optimised; families recommend it, the user may override it.

    name          sgd | adam | adamw | muon | em (of tables that are counted)
    lr            peak learning rate
    betas         decay rates of the moments; the first is the momentum of sgd and muon
    weight_decay  decoupled, per unit of learning rate
    schedule      constant | cosine | linear (warm-up, constant, linear cool-down), over the fraction of the budget
    warmup, cooldown  shares of the budget for the linear warm-up, and for the cool-down (linear schedule)
    clip          largest gradient norm; None for no clipping
    rest          of muon: learning rate of all that is no hidden matrix, relative to lr
    """

    name: str = "adamw"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.02
    cooldown: float = 0.5
    clip: float | None = None
    rest: float = 1.0


class Family(nn.Module, ABC):
    """A generative model as a game between players, played on batches.

    needs      what it asks of the data's head: a density ("log_prob") or a differentiable sample ("rsample")
    examples   how many examples a run of three minutes should see before a wider net pays
    batch      examples per step that suit it
    mixes      True when a loss depends on the other examples of its batch (batch statistics, pairing)
    watched    True when its loss on held-out items tells when it learns items by heart, and training should look at it
    fraction, step  share of the budget spent, and games played so far: set by the training loop before each game
    """

    needs: ClassVar[Literal["log_prob", "rsample"]] = "log_prob"
    examples: int = 160_000
    batch: int = 64
    mixes: bool = False
    watched: ClassVar[bool] = False
    fraction: float = 0.0
    step: int = 0
    spec: Spec

    def players(self) -> dict[str, nn.Module]:
        return {"model": self}

    def optimizers(self) -> dict[str, Optim]:
        return {player: Optim() for player in self.players()}

    @abstractmethod
    def play(self, batch: Batch) -> Iterator[Move]:
        """Yield one `Move` per optimizer step; resumed after each of them."""

    @abstractmethod
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """Draw one item per seed: (len(seeds), *spec.shape); item i depends on seeds[i] and its condition alone."""


@dataclass
class History:
    """Recent means of what a game logged, by name, oldest first; the evidence for a diagnosis."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, log: Mapping[str, float]) -> None:
        for name, value in log.items():
            self.values.setdefault(name, []).append(value)

    def recent(self, name: str, n: int = 5) -> list[float]:
        return self.values.get(name, [])[-n:]


@runtime_checkable
class HasDiagnosis(Protocol):
    """Can say in a sentence what is going wrong in training, and what to do."""

    def diagnose(self, history: History) -> str | None: ...


@runtime_checkable
class HasFinish(Protocol):
    """Has something to fit once training ends, such as a density on its latents."""

    def finish(self, batches: Iterable[Batch]) -> None: ...


@runtime_checkable
class HasLogProb(Protocol):
    """Knows log p(x), exactly or as a lower bound."""

    exact: bool

    def log_prob(self, batch: Batch) -> Tensor: ...  # (B,) in nats


@runtime_checkable
class HasLatent(Protocol):
    """Has a latent space: x -> z -> distribution of x."""

    def encode(self, batch: Batch) -> Tensor: ...  # (B, *shape) -> (B, latent)
    def decode(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Distribution: ...


@runtime_checkable
class HasInterpolation(Protocol):
    """Can turn a path between two seeds into items."""

    def noise(self, seeds: Sequence[int]) -> Tensor: ...  # (B, latent)
    def generate(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor: ...  # (B, *shape)


@runtime_checkable
class HasCritic(Protocol):
    """Has a critic that scores how real items look."""

    def judge(self, batch: Batch) -> Tensor: ...  # (B,), higher is more real
