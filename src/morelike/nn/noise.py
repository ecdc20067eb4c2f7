"""Random numbers for samplers that draw millions of bits: from one stream, or from one for each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

_AHEAD = 2**21  # numbers that are fetched at once, for all rows together


class Noise(Protocol):
    """Where the numbers of a sampler come from."""

    def uniform(self, like: Tensor) -> Tensor: ...  # in [0, 1), float32, of the shape (n, m) of `like`
    def normal(self, like: Tensor) -> Tensor: ...  # standard normal, of its shape and type


def bernoulli(p: Tensor, noise: Noise, dtype: torch.dtype) -> Tensor:
    """0 or 1, which is as likely as p says: (n, m)."""
    return (noise.uniform(p) < p).to(dtype)


class Stream:
    """Numbers from one seed. On a CPU numpy makes them, in a third of torch's time (SFC64; Doty-Humphrey 2010)."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.cpu = torch.device(device).type == "cpu"
        self.numpy = np.random.Generator(np.random.SFC64(seed))
        self.torch = None if self.cpu else Generator(device).manual_seed(seed)

    def uniform(self, like: Tensor) -> Tensor:
        if self.cpu:
            return torch.from_numpy(self.numpy.random(tuple(like.shape), np.float32))
        return torch.rand(like.shape, device=like.device, generator=self.torch)

    def normal(self, like: Tensor) -> Tensor:
        if self.cpu:
            return torch.from_numpy(self.numpy.standard_normal(tuple(like.shape))).to(like.dtype)
        return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=self.torch)


class Streams:
    """Numbers of which row i depends on seeds[i] alone, made on the CPU so that a seed means the same everywhere."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.rngs = [Generator().manual_seed(int(seed)) for seed in seeds]
        self.ready = torch.empty(len(seeds), 0)

    def uniform(self, like: Tensor) -> Tensor:
        n, width = like.shape
        if self.ready.shape[1] < width:  # what is left over comes first, so that it does not matter how much is fetched
            fetched = torch.empty(n, max(width, _AHEAD // max(n, 1)))
            for row, rng in zip(fetched, self.rngs, strict=True):
                torch.rand(len(row), generator=rng, out=row)
            self.ready = torch.cat([self.ready, fetched], 1)
        drawn, self.ready = self.ready[:, :width], self.ready[:, width:]
        return drawn.to(like.device)

    def normal(self, like: Tensor) -> Tensor:
        u = self.uniform(like).double().clamp(2.0**-26, 1 - 2.0**-26)
        return (math.sqrt(2) * torch.erfinv(2 * u - 1)).to(like.dtype)
