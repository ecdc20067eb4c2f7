"""One step of training for every family: play the game once, stepping the player that each move names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch
from morelike.train.flops import counted
from morelike.train.optim import Average, build, rate, set_rate
from morelike.train.stepper import Accumulated, Stepper


@runtime_checkable
class HasBeginning(Protocol):
    """Has something to learn from the training items before the first step, such as which cells belong together.

    What it learns has to lie in its parameters and buffers: a resumed run does not begin again.
    """

    def begin(self, batches: Iterable[Batch], rows: int) -> None: ...  # some batches of all the rows there are


class Game:
    """A family, its optimizers and the average of its weights; `turn` is one training step.

    optims      how each player is optimised; default: what the family recommends
    precision   float32 | bfloat16 (autocast; weights stay in float32)
    average     width of the power-law average of the weights; 0 for none

    `flops` is where to write the FLOPs of the first steps, if anybody wants to know: a dict, {step: FLOPs}.
    """

    def __init__(
        self, family: Family, optims: dict[str, Optim] | None = None, precision: str = "float32",
        average: float = 0.1, stepper: Stepper | None = None,
    ) -> None:  # fmt: skip
        self.family, self.optims = family, optims or family.optimizers()
        self.stepper = stepper or Accumulated()
        self.players = family.players()
        self.params = {
            name: [p for p in player.parameters() if p.requires_grad] for name, player in self.players.items()
        }
        self.optimizers = {name: build(self.optims[name], player) for name, player in self.players.items()}
        self.device = next(family.parameters()).device
        self.precision = precision
        self.average = Average(family, average) if average else None
        self.flops: dict[int, int] | None = None

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def turn(self, batch: Batch, step: int, fraction: float) -> dict[str, Tensor]:
        """Play one game on a batch and step every player it names; returns the mean losses and logs, as tensors.

        The generators of all microbatches advance in lockstep, so that every optimizer step sees the whole batch.
        """
        with counted(self.flops, step):
            return self._turn(batch, step, fraction)

    def _turn(self, batch: Batch, step: int, fraction: float) -> dict[str, Tensor]:
        self.family.step, self.family.fraction = step, fraction
        parts = self.stepper.split(batch)
        games = [self.family.play(part) for part in parts]
        log: dict[str, list[Tensor]] = {}
        while moves := self._advance(games):
            player = moves[0].player
            assert all(move.player == player for move in moves), "microbatches must make the same moves"
            self._step(player, moves, sum(len(part.x) for part in parts), fraction)
            for move in moves:
                log.setdefault(player, []).append(move.loss.detach().mean())
                for name, value in move.log.items():
                    log.setdefault(name, []).append(value.detach())
        if self.average:
            self.average.update(step + 1)
        return {name: torch.stack(values).float().mean() for name, values in log.items()}

    def _advance(self, games: Sequence[Iterator[Move]]) -> list[Move]:
        """Resume every microbatch's game up to its next move; empty when the games are over."""
        with self.autocast():
            moves = [move for game in games if (move := next(game, None)) is not None]
        assert len(moves) in (0, len(games)), "microbatches must make equally many moves"
        return moves

    def _step(self, player: str, moves: Sequence[Move], n: int, fraction: float) -> None:
        optim = self.optims[player]
        self.stepper.begin(self.params[player], n)
        for move in moves:
            self.stepper.add(move.loss)
        self.stepper.end()
        if optim.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.params[player], optim.clip)
        set_rate(self.optimizers[player], rate(optim, fraction))
        for optimizer in self.optimizers[player]:
            optimizer.step()

    @contextmanager
    def averaged(self) -> Iterator[Family]:
        """The family in evaluation mode with its averaged weights, for sampling; the live ones come back after."""
        live = [p.data for p in self.average.live] if self.average else []
        if self.average:
            for p, value in zip(self.average.live, self.average.values, strict=True):
                p.data = value
        try:
            with self.still() as family:
                yield family
        finally:
            if self.average:
                for p, value in zip(self.average.live, live, strict=True):
                    p.data = value

    @contextmanager
    def still(self) -> Iterator[Family]:
        """The family in evaluation mode with its live weights."""
        self.family.eval()
        try:
            with torch.no_grad():
                yield self.family
        finally:
            self.family.train()

    def weights(self) -> dict[str, Tensor]:
        """What is sampled from: averaged parameters, and buffers."""
        return self.average.tensors() if self.average else dict(self.family.state_dict())

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Sample from these weights from now on, as `weights` gave them earlier."""
        if self.average is None:
            self.family.load_state_dict(dict(weights))
            return
        for name, value in zip(self.average.names, self.average.values, strict=True):
            value.copy_(weights[name])

    def state(self) -> dict[str, Tensor]:
        """All that training needs to go on exactly as if it had not stopped."""
        tensors = {f"live.{name}": value for name, value in self.family.state_dict().items()}
        if self.average:
            tensors |= {f"average.{name}": v for name, v in zip(self.average.names, self.average.values, strict=True)}
        for key, entry in self._entries():
            tensors |= {f"{key}.{name}": value for name, value in entry.items() if isinstance(value, Tensor)}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` gave; the optimizers' slots are filled from the tensors that belong to them."""
        live = {name[5:]: value for name, value in tensors.items() if name.startswith("live.")}
        self.family.load_state_dict(live)
        if self.average:
            for name, value in zip(self.average.names, self.average.values, strict=True):
                value.copy_(tensors[f"average.{name}"])
        for player, optimizers in self.optimizers.items():
            for number, optimizer in enumerate(optimizers):
                prefix = f"optim.{player}.{number}."
                slots: dict[int, dict[str, Tensor]] = {}
                for name, value in tensors.items():
                    if name.startswith(prefix):
                        index, slot = name[len(prefix) :].split(".", 1)
                        slots.setdefault(int(index), {})[slot] = value
                optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})

    def _entries(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for player, optimizers in self.optimizers.items():
            for number, optimizer in enumerate(optimizers):
                for index, entry in optimizer.state_dict()["state"].items():
                    yield f"optim.{player}.{number}.{index}", entry


def override(optims: dict[str, Optim], **changes: object) -> dict[str, Optim]:
    """The same settings with every change that is not None applied to all players."""
    chosen = {name: value for name, value in changes.items() if value is not None}
    return {player: replace(optim, **chosen) for player, optim in optims.items()}  # type: ignore[arg-type]
