"""Gated recurrent nets as encoder and decoder: an item is read and written as a sequence of its rows or chunks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.nn.condition import FiLM, joined
from morelike.nn.layers import Patches, TokenEmbedding, normalisation

STEPS = 64  # longest sequence; longer axes are read in chunks, since a recurrent net costs time for every step


def sequence(shape: tuple[int, ...]) -> Patches:
    """An item as at most 64 steps along an axis: rows of a picture, chunks of sound, frames of video.

    It is the first spatial axis longer than one.
    """
    space = shape[1:] or shape
    axis = next((i for i, side in enumerate(space) if side > 1), 0)
    return Patches(shape, [math.ceil(side / STEPS) if i == axis else side for i, side in enumerate(space)])


def gru(before: int, after: int, both_ways: bool = False) -> nn.GRU:
    """A GRU whose states neither fade nor saturate at the start: orthogonal recurrence, Glorot inputs."""
    cell = nn.GRU(before, after, batch_first=True, bidirectional=both_ways)
    for name, weight in cell.named_parameters():
        if weight.ndim == 1:
            nn.init.zeros_(weight)
        for gate in weight.chunk(3) if weight.ndim == 2 else ():
            (nn.init.orthogonal_ if "_hh_" in name else nn.init.xavier_normal_)(gate)
    return cell


def run(cell: nn.GRU, steps: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """All states and the last ones: (B, T, before) -> (B, T, after), (directions, B, after)."""
    if not steps.is_cuda:
        return cell(steps, start)
    with torch.backends.cudnn.flags(enabled=False):  # its RNNs have no second derivative, which gradient penalties need
        return cell(steps, start)


class Steps(nn.Module):
    """The same perceptron layer for every step: (B, T, size), c: (B, given) -> (B, T, width)."""

    def __init__(self, size: int, width: int, given: int = 0, norm: str = "none") -> None:
        super().__init__()
        self.linear, self.norm, self.film = nn.Linear(size, width), normalisation(norm, width), FiLM(given, width)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.linear(x).transpose(1, 2)  # (B, width, T)
        return F.leaky_relu(self.film(self.norm(h), c), 0.2).transpose(1, 2)


class Encoder(nn.Module):
    """Mean last state of a forward and a backward GRU (Cho et al. 2014): (B, *shape), c: (B, given) -> (B, out).

    width   the states have 6 x width units, the embedded steps 4 x width
    tokens  size of the vocabulary where items are integers, which are embedded first
    norm    "none", "batch" or "group", of the embedded steps
    style   this net has only one; accepted so that nets can be exchanged
    """

    def __init__(
        self, shape: tuple[int, ...], out: int, width: int = 32, given: int = 0, tokens: int | None = None,
        norm: str = "none", style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Identity() if tokens is None else TokenEmbedding(tokens, width)
        self.sequence = sequence(shape if tokens is None else (width, *shape))
        self.steps = Steps(self.sequence.size, 4 * width, given, norm)
        self.gru = gru(4 * width, 6 * width, both_ways=True)
        self.film, self.head = FiLM(given, 6 * width), nn.Linear(6 * width, out)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        steps = self.steps(self.sequence.split(self.embed(x)), c)  # (B, T, 4 width)
        _, last = run(self.gru, steps)  # (2, B, 6 width)
        return self.head(self.film(last.mean(0), c))


class Decoder(nn.Module):
    """A GRU unrolled over learned step inputs: (B, features), c: (B, given) -> (B, *shape).

    The features start it and modulate every input. No step sees what was written before, so that the item is a
    function of the features. norm: "none", "batch" or "group", of the states.
    """

    def __init__(
        self, features: int, shape: tuple[int, ...], width: int = 32, given: int = 0, norm: str = "none",
        style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.sequence = sequence(shape)
        self.places = nn.Parameter(torch.randn(self.sequence.count, 4 * width))
        self.steps = Steps(4 * width, 4 * width, features + given)
        self.start = nn.Linear(features + given, 8 * width)
        self.gru = gru(4 * width, 8 * width)
        self.norm, self.head = normalisation(norm, 8 * width), nn.Linear(8 * width, self.sequence.size)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        h = joined(h, c)
        steps = self.steps(self.places.expand(h.shape[0], -1, -1), h)  # (B, T, 4 width)
        states, _ = run(self.gru, steps, torch.tanh(self.start(h)).unsqueeze(0))  # (B, T, 8 width)
        return self.sequence.join(self.head(self.norm(states.transpose(1, 2)).transpose(1, 2)))
