"""Constrained parameters by bijections: a chain walks over real numbers u, the user's density sees x = forward(u)."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, prod
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from morelike.core.errors import OptionError


class Support(Protocol):
    """The values that a parameter may have, and the way to them from real numbers (Stan Reference Manual, Transforms).

    A density of x becomes one of u by the change of variables: log p(u) = log p(forward(u)) + log_det(u).

    event  how many of the last dimensions of x depend on each other: 0 for numbers, 1 for vectors, 2 for matrices;
           those before it are free, so that one support serves a batch, an array of parameters, or one under vmap
    """

    event: ClassVar[int]

    def forward(self, u: Tensor) -> Tensor:
        """x, from unconstrained to constrained: (*, *free) -> (*, *event)."""

    def inverse(self, x: Tensor) -> Tensor:
        """u, the way back; infinite or not a number where x is outside: (*, *event) -> (*, *free)."""

    def log_det(self, u: Tensor) -> Tensor:
        """log |dx/du| of every event: (*, *free) -> (*)."""

    def unconstrained(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of u for a parameter x of this shape."""

    def size(self, shape: tuple[int, ...]) -> int:
        """How many real numbers a parameter of this shape takes."""


class _Numbers:
    """Every number is constrained by itself."""

    event: ClassVar[int] = 0

    def unconstrained(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(shape)

    def size(self, shape: tuple[int, ...]) -> int:
        return prod(self.unconstrained(shape))


@dataclass(frozen=True)
class Real(_Numbers):
    """All real numbers: x = u."""

    def forward(self, u: Tensor) -> Tensor:
        return u

    def inverse(self, x: Tensor) -> Tensor:
        return x

    def log_det(self, u: Tensor) -> Tensor:
        return torch.zeros_like(u)


@dataclass(frozen=True)
class Lower(_Numbers):
    """Numbers above a: x = a + exp(u)."""

    a: float

    def forward(self, u: Tensor) -> Tensor:
        return self.a + u.exp() if self.a else u.exp()

    def inverse(self, x: Tensor) -> Tensor:
        return (x - self.a).log()

    def log_det(self, u: Tensor) -> Tensor:
        return u


@dataclass(frozen=True)
class Upper(_Numbers):
    """Numbers below b: x = b - exp(u)."""

    b: float

    def forward(self, u: Tensor) -> Tensor:
        return self.b - u.exp()

    def inverse(self, x: Tensor) -> Tensor:
        return (self.b - x).log()

    def log_det(self, u: Tensor) -> Tensor:
        return u


@dataclass(frozen=True)
class Interval(_Numbers):
    """Numbers between a and b: x = a + (b - a) sigmoid(u)."""

    a: float
    b: float

    def __post_init__(self) -> None:
        if not self.a < self.b:
            raise OptionError(
                f"An interval from {self.a} to {self.b} holds no number",
                "Its lower end lies below its upper end",
                "Write interval(a, b) with a < b",
            )

    def forward(self, u: Tensor) -> Tensor:
        width = self.b - self.a
        # Each half is measured from its own end, where floating-point numbers are dense if that end is nought.
        x = torch.where(u < 0, self.a + width * torch.sigmoid(u), self.b - width * torch.sigmoid(-u))
        return x.clamp(*self._inside(u.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        return (x - self.a).log() - (self.b - x).log()

    def log_det(self, u: Tensor) -> Tensor:
        return log(self.b - self.a) + logsigmoid(u) + logsigmoid(-u)

    def _inside(self, dtype: torch.dtype) -> tuple[float, float]:
        """The outermost numbers of the open interval: log(x - a) and log(b - x) of the user's density stay finite."""
        kind = np.float64 if dtype == torch.float64 else np.float32
        a, b = kind(self.a), kind(self.b)
        return float(np.nextafter(a, b)), float(np.nextafter(b, a))


class _Vectors:
    """The last dimension is constrained as a whole, and takes `missing` fewer real numbers than it has entries."""

    event: ClassVar[int] = 1
    missing: ClassVar[int] = 0

    def unconstrained(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape or shape[-1] <= self.missing:
            raise OptionError(
                f"A parameter of shape {tuple(shape)} cannot be of the kind {type(self).__name__.lower()}",
                f"Its last dimension has at least {self.missing + 1} entries",
                "Give it the shape of a vector, such as (3,)",
            )
        return (*shape[:-1], shape[-1] - self.missing)

    def size(self, shape: tuple[int, ...]) -> int:
        return prod(self.unconstrained(shape))


@dataclass(frozen=True)
class Ordered(_Vectors):
    """Rising vectors: x_1 = u_1, x_k = x_{k-1} + exp(u_k)."""

    def forward(self, u: Tensor) -> Tensor:
        return torch.cat([u[..., :1], u[..., 1:].exp()], -1).cumsum(-1)

    def inverse(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., :1], (x[..., 1:] - x[..., :-1]).log()], -1)

    def log_det(self, u: Tensor) -> Tensor:
        return u[..., 1:].sum(-1)


@dataclass(frozen=True)
class Simplex(_Vectors):
    """Positive vectors whose sum is one: x = softmax(V u), the isometric log-ratio (Egozcue et al. 2003; Stan 2.37).

    V (K, K-1) has orthonormal columns (Helmert) that sum to nought. It treats all entries alike, where breaking a stick
    makes a ridge of the last ones. dx is of the first K-1 entries, as in the density of a Dirichlet distribution.
    """

    missing: ClassVar[int] = 1

    def forward(self, u: Tensor) -> Tensor:
        return torch.softmax(self._spread(u), -1)

    def inverse(self, x: Tensor) -> Tensor:
        z = x.log()
        z = z - z.mean(-1, keepdim=True)
        n = self._count(z[..., 1:])
        return (z[..., :-1].cumsum(-1) - n * z[..., 1:]) / (n * (n + 1)).sqrt()

    def log_det(self, u: Tensor) -> Tensor:
        return torch.log_softmax(self._spread(u), -1).sum(-1) + 0.5 * log(u.shape[-1] + 1)

    def _spread(self, u: Tensor) -> Tensor:
        """V u in O(K): z_k = sum_{i >= k} w_i - (k-1) w_{k-1} with w_i = u_i / sqrt(i (i+1))."""
        n = self._count(u)
        w = u / (n * (n + 1)).sqrt()
        nought = torch.zeros_like(u[..., :1])
        tail = torch.cat([w.flip(-1).cumsum(-1).flip(-1), nought], -1)
        return tail - torch.cat([nought, n * w], -1)

    def _count(self, like: Tensor) -> Tensor:
        return torch.arange(1, like.shape[-1] + 1, dtype=like.dtype, device=like.device)


class _Triangles:
    """The last two dimensions are a lower triangle, filled row by row; `diagonal` of them -1 below it, 0 with it."""

    event: ClassVar[int] = 2
    diagonal: ClassVar[int] = -1

    def unconstrained(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 2 or shape[-1] != shape[-2]:
            raise OptionError(
                f"A parameter of shape {tuple(shape)} cannot be the Cholesky factor of a matrix",
                "Its last two dimensions are equal",
                "Give it a square shape, such as (3, 3)",
            )
        return (*shape[:-2], shape[-1] * (shape[-1] + 1 + 2 * self.diagonal) // 2)

    def size(self, shape: tuple[int, ...]) -> int:
        return prod(self.unconstrained(shape))

    def _square(self, u: Tensor) -> Tensor:
        """The triangle with noughts around it: (*, n) -> (*, K, K)."""
        k = round(((8 * u.shape[-1] + 1) ** 0.5 - 1) / 2) - self.diagonal
        where = np.zeros((k, k), dtype=np.int64)
        where[np.tril_indices(k, self.diagonal)] = np.arange(1, u.shape[-1] + 1)
        padded = torch.cat([torch.zeros_like(u[..., :1]) if u.shape[-1] else u.new_zeros((*u.shape[:-1], 1)), u], -1)
        return padded[..., torch.from_numpy(where).to(u.device)]

    def _triangle(self, x: Tensor) -> Tensor:
        """Its entries row by row: (*, K, K) -> (*, n)."""
        rows, columns = (torch.from_numpy(i).to(x.device) for i in np.tril_indices(x.shape[-1], self.diagonal))
        return x[..., rows, columns]


@dataclass(frozen=True)
class CorrelationCholesky(_Triangles):
    """Lower triangles L with rows of length one, so that L L' is a correlation matrix (Lewandowski et al. 2009).

    With z = tanh(u): x_ij = z_ij prod_{k<j} sqrt(1 - z_ik^2), and the diagonal takes what is left. dx is of the entries
    below the diagonal, as in the LKJ density of L. A matrix of K rows takes K (K-1) / 2 numbers.
    """

    def forward(self, u: Tensor) -> Tensor:
        square = self._square(u)
        z = square.tanh() + torch.eye(square.shape[-1], dtype=u.dtype, device=u.device)
        return z * self._left(square).exp()

    def inverse(self, x: Tensor) -> Tensor:
        left = (x * x).flip(-1).cumsum(-1).flip(-1).sqrt()  # what x_i1 .. x_i,j-1 leave of a row's length of one
        # atanh(x_ij / left_ij) with 1 - z^2 = (left_i,j+1 / left_ij)^2, which keeps its digits where z is close to one
        following = torch.cat([left[..., 1:], torch.zeros_like(left[..., :1])], -1)
        return torch.asinh(self._triangle(x) / self._triangle(following))

    def log_det(self, u: Tensor) -> Tensor:
        square = self._square(u)
        return 2 * self._log_sech(u).sum(-1) + self._triangle(self._left(square)).sum(-1)

    def _log_sech(self, u: Tensor) -> Tensor:
        """log sqrt(1 - tanh(u)^2)."""
        return log(2.0) - u - softplus(-2 * u)

    def _left(self, square: Tensor) -> Tensor:
        """log of the length that the entries to the left have left over: (*, K, K)."""
        part = self._log_sech(square)
        return part.cumsum(-1) - part


@dataclass(frozen=True)
class CovarianceCholesky(_Triangles):
    """Lower triangles with a positive diagonal: x_ii = exp(u_ii), the rest is u; K rows take K (K+1) / 2 numbers."""

    diagonal: ClassVar[int] = 0

    def forward(self, u: Tensor) -> Tensor:
        square = self._square(u)
        on = torch.eye(square.shape[-1], dtype=torch.bool, device=u.device)
        # exp is kept from the entries off the diagonal: where it overflows, `where` alone would hand back 0 * inf.
        return torch.where(on, square.where(on, 0.0).exp(), square)

    def inverse(self, x: Tensor) -> Tensor:
        on = torch.eye(x.shape[-1], dtype=torch.bool, device=x.device)
        return self._triangle(torch.where(on, x.where(on, 1.0).log(), x))

    def log_det(self, u: Tensor) -> Tensor:
        return self._square(u).diagonal(dim1=-2, dim2=-1).sum(-1)


real = Real()
positive = Lower(0.0)
lower, upper, interval = Lower, Upper, Interval
ordered = Ordered()
simplex = Simplex()
correlation_cholesky = CorrelationCholesky()
covariance_cholesky = CovarianceCholesky()
