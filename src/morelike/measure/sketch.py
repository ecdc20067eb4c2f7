"""Items as few numbers, without any learned features: for telling copies by what the items themselves hold.

Two sketches of each item. `place` keeps what is where: the principal components of a coarse version, in which noise
and the traces of compression hardly show. `spectrum` forgets where things are: the same of the sizes of the Fourier
coefficients, which a shift or a mirror does not change. So a shifted copy can be found by its spectrum, laid over the
original, and compared in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.usual import Runs

WIDTH, SIGNATURE = 64, 256  # components that are kept; numbers by which a sequence of tokens is told from others
RUN = 3  # tokens of the runs that two versions of a sequence share
FINEST = 1024  # positions of an item that are looked at; larger ones are averaged down
FIT = 3_000  # items from which the components are learned
NUMBERS = 2**22  # numbers at a time, 16 MiB of float32
_ROUNDS = 3

Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sketch:
    """A way from items (n, *shape) to sketches; see `fit`.

    coarse    to floats (n, channels, *space), or (n, numbers) where positions mean nothing
    place     from coarse items to what is where, (n, width)
    spectrum  from coarse items to what is anywhere, (n, width); None for items without space
    """

    coarse: Part
    place: Part
    spectrum: Part | None

    def __call__(self, x: Tensor, part: Part) -> Tensor:
        """One sketch of many items, (n, *shape) -> (n, width), a few at a time; n >= 1."""
        return torch.cat([part(self.coarse(some)) for some in chunks(x)])


def fit(train: Tensor, spec: Spec, seed: int = 0) -> Sketch:
    """The sketches of these training items, (M, *shape) with M >= 1, finite."""
    generator = torch.Generator().manual_seed(seed)
    if spec.tokens is not None and spec.end is not None:
        return Sketch(_runs(spec.tokens, spec.end, generator), lambda x: x, None)
    coarse = _tokens(spec.tokens, spec.shape, generator) if spec.tokens is not None else _coarse(spec.shape)
    some = train[torch.randperm(len(train), generator=generator)[:FIT]]
    seen = torch.cat([coarse(part) for part in chunks(some)])
    place = principal(seen.flatten(1), generator)
    if spec.tokens is not None or not spec.dims:
        return Sketch(coarse, lambda x: place(x.flatten(1)), None)
    turns = principal(torch.cat([_sizes(part) for part in chunks(seen)]), generator)
    return Sketch(coarse, lambda x: place(x.flatten(1)), lambda x: turns(_sizes(x)))


def principal(x: Tensor, generator: torch.Generator) -> Part:
    """(n, p) -> projection on the `WIDTH` leading principal components of x, fewer where p is smaller.

    By subspace iteration from a random start, Q <- orth(X^T X Q) (Halko, Martinsson & Tropp 2011, algorithm 4.4):
    three rounds, as nothing here needs the last digits.
    """
    centre = x.mean(0)
    x = x - centre
    basis = torch.randn(x.shape[1], min(WIDTH, x.shape[1]), generator=generator)
    for _ in range(_ROUNDS):
        basis = torch.linalg.qr(x.T @ (x @ basis)).Q
    return lambda one: (one - centre) @ basis


def aligned(x: Tensor, to: Tensor) -> Tensor:
    """Each coarse item shifted by up to an eighth of each side, and in pictures perhaps mirrored, to fit its partner.

    x, to  (n, C, *space); positions that come in at an edge take the partner's values, so that they count for nothing

    The shift s has the smallest mean of (x(p - s) - t(p))^2 over the positions p that both have. With m = 1 inside and
    0 in a margin as wide as the largest shift, the sums for all s at once are the inverse transform of
    conj(X2) M + conj(M) T2 - 2 conj(X) T, where X2 and T2 are the transforms of the squares.
    """
    space, axes = tuple(x.shape[2:]), tuple(range(2, x.ndim))
    reach = [max(1, side // 8) if side > 2 else 0 for side in space]
    full = [-(-(side + r) // 4) * 4 for side, r in zip(space, reach, strict=True)]  # sizes that transform fast

    def transform(one: Tensor) -> Tensor:
        return torch.fft.rfftn(one, s=full, dim=axes)

    inside, partner, squares = transform(torch.ones(1, 1, *space)), transform(to), transform(to.square())
    window = torch.cartesian_prod(*(torch.arange(-r, r + 1) for r in reach)).reshape(-1, len(space))  # shifts
    common = (torch.tensor(space) - window.abs()).prod(1)  # positions that both have
    least, out = torch.full((len(x),), torch.inf), x.clone()
    for one in (x, x.flip(-1)) if x.ndim >= 4 else (x,):
        sums = transform(one.square()).conj() * inside + inside.conj() * squares - 2 * transform(one).conj() * partner
        sums = torch.fft.irfftn(sums.sum(1), s=full, dim=tuple(axis - 1 for axis in axes))  # (n, *full)
        value, best = (sums[(slice(None), *window.T)] / common).min(1)
        rows = value < least
        least = torch.where(rows, value, least)
        out[rows] = _moved(one[rows], to[rows], window[best[rows]])
    return out


def chunks(x: Tensor) -> Iterator[Tensor]:
    """Parts of x (n, *shape), n >= 1, of at most 16 MiB each."""
    yield from x.split(max(1, NUMBERS // max(1, x[0].numel())))


def _coarse(shape: tuple[int, ...]) -> Part:
    """Averaging down by whole steps along every axis of (C, *space) until at most `FINEST` positions are left."""
    factors = [1] * (len(shape) - 1)
    while math.prod(math.ceil(side / f) for side, f in zip(shape[1:], factors, strict=True)) > FINEST:
        sides = [math.ceil(side / f) for side, f in zip(shape[1:], factors, strict=True)]
        factors[sides.index(max(sides))] += 1
    if max(factors, default=1) == 1:
        return lambda x: x.float()
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(factors)]
    return lambda x: pool(x.float(), factors, ceil_mode=True)


def _tokens(tokens: int, shape: tuple[int, ...], generator: torch.Generator) -> Part:
    """Signatures whose squared distances are on average the number of positions that differ: (n, T) -> (n, width).

    sum_t s_t * e(x_t) / sqrt(2 width), with a random vector e for each token and random signs s_t for each position.
    """
    words = torch.randn(tokens + 1, SIGNATURE, generator=generator) / math.sqrt(2 * SIGNATURE)
    signs = torch.randint(0, 2, (math.prod(shape), SIGNATURE), generator=generator) * 2.0 - 1

    def signature(x: Tensor) -> Tensor:
        few = x.reshape(len(x), -1).long().clamp(0, tokens).split(max(1, NUMBERS // max(1, signs.numel())))
        return torch.cat([(words[part] * signs).sum(1) for part in few])

    return signature


def _runs(tokens: int, end: int, generator: torch.Generator) -> Part:
    """Sequences of varying length by the runs of three tokens that they hold, wherever these stand: (n, T) -> (n, 256).

    Signed counts of hashed runs, of length 1: ||a - b||^2 = 2 (1 - share of common runs), about (Weinberger et al.
    2009).
    """
    runs = Runs(tokens, RUN, end, generator)

    def signature(x: Tensor) -> Tensor:
        hashes, there = runs(x.long().clamp(0, tokens), RUN)
        sign = (2.0 * (hashes & 1) - 1) * there
        found = torch.zeros(len(x), SIGNATURE).scatter_add_(1, (hashes >> 1) % SIGNATURE, sign)
        return found / found.norm(dim=1, keepdim=True).clamp_min(1e-6)

    return signature


def _sizes(x: Tensor) -> Tensor:
    """Absolute Fourier coefficients of (n, C, *space), in pictures averaged with those of the mirror image: (n, p)."""
    axes = tuple(range(2, x.ndim))
    sizes = torch.fft.rfftn(x, dim=axes).abs()
    if x.ndim >= 4:
        sizes = (sizes + torch.fft.rfftn(x.flip(-1), dim=axes).abs()) / 2
    return sizes.flatten(1)


def _moved(x: Tensor, to: Tensor, shifts: Tensor) -> Tensor:
    """Each item by its own shift, filled up from its partner: (n, C, *space), the same, (n, rank) -> (n, C, *space)."""
    inside = torch.ones(len(x), *[1] * (x.ndim - 1), dtype=torch.bool)
    for axis in range(shifts.shape[1]):
        side = x.shape[2 + axis]
        place = torch.arange(side) - shifts[:, axis, None]  # (n, side)
        place = place.reshape(len(x), *[1] * (1 + axis), side, *[1] * (x.ndim - 3 - axis))
        inside = inside & (place >= 0) & (place < side)
        x = x.gather(2 + axis, place.clamp(0, side - 1).expand_as(x))
    return torch.where(inside, x, to)
