"""Which ways out of a latent point change the items most: effect sizes of coordinates, and principal directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.core.spec import Batch
from morelike.explanation.space import Space
from morelike.measure.figure import Estimate

STEP = 0.1  # standard deviations, of the central differences
RESAMPLED = 1000


@dataclass(frozen=True)
class Direction:
    """One way through a latent space.

    name    "code 7" for a coordinate, "direction 1" for a principal direction
    vector  (latent,) one standard deviation of it
    read    (latent,) such that (z - mean) . read is the position of z along it, in standard deviations
    effect  root mean square change of the numbers of an item per standard deviation, with its interval; its square is
            the share of tokens that change, where items are tokens
    share   of all that the latent space changes, to first order; None where nothing changes anything
    steady  how far it does the same everywhere: |mean change|^2 / mean |change|^2, 0 to 1
    change  (D,) mean change of an item per standard deviation
    """

    name: str
    vector: Tensor
    read: Tensor
    effect: Estimate
    share: float | None
    steady: float | None
    change: Tensor


@dataclass(frozen=True)
class Slopes:
    """How items change with each latent coordinate, in steps of its standard deviation.

    grams  (n, latent, latent) float64: J' J of the Jacobian J at each of n points
    mean   (D, latent): the mean of J
    size   numbers, or tokens, in an item
    """

    grams: Tensor
    mean: Tensor
    size: int


def slopes(space: Space, points: int = 64) -> Slopes:
    """Jacobians of the items at the first `points` places, by central differences.

    Any decoder will do, as it is only called: J e_j = (g(z + h s_j e_j) - g(z - h s_j e_j)) / 2h with s_j the spread
    of coordinate j and h = 0.1, or h = 1 for tokens, which change in jumps.
    """
    h = STEP if space.tokens is None else 1.0
    offsets = torch.diag(space.spread) * h  # (latent, latent)
    grams, total, n = [], torch.zeros(()), min(points, len(space.points))
    for i in range(n):
        z = torch.cat([space.points[i] + offsets, space.points[i] - offsets])  # (2 latent, latent)
        given = {name: value.expand(len(z), *value.shape[1:]) for name, value in _one(space, i).items()}
        ahead, behind = space.numbers(z, given).chunk(2)
        jacobian = (ahead - behind).div_(2 * h)  # (latent, D)
        grams.append((jacobian @ jacobian.T).double())
        total = total + jacobian.T
    return Slopes(torch.stack(grams), total / n, len(total) // (space.tokens or 1))


def coordinates(space: Space, found: Slopes, count: int, seed: int = 0) -> list[Direction]:
    """The `count` coordinates with the largest effect, largest first."""
    sizes = found.grams.diagonal(dim1=1, dim2=2)  # (n, latent)
    order = sizes.mean(0).argsort(descending=True, stable=True)[:count].tolist()
    spread, unit = space.spread, torch.eye(len(space.mean))
    inverse = torch.where(spread > 0, 1 / spread, 0.0)
    return [
        _direction(f"code {j}", unit[j] * spread, unit[j] * inverse, (found, unit[j], float(sizes.sum(1).mean())), seed)
        for j in order
    ]


def principal(space: Space, found: Slopes, count: int, seed: int = 0) -> list[Direction]:
    """The `count` orthogonal directions of largest mean effect: eigenvectors of E[B' J' J B], largest first.

    B is the square root of the covariance of the places, so a direction counts by how far items really lie apart along
    it. For a linear decoder they are the principal components of its items; for any other, those of its average
    linearisation. Where Shen & Zhou (2021, eq. 4) take the weights of the first layer and Harkonen et al. (2020,
    section 3) the activations, this takes the items themselves.
    """
    spread = space.spread
    basis = torch.where(spread[:, None] > 0, space.factor / spread[:, None], 0.0)  # (latent, latent), sd per u
    gram = basis.T.double() @ found.grams.mean(0) @ basis.double()
    _, vectors = torch.linalg.eigh(gram)
    inverse = torch.linalg.pinv(space.factor)
    made = []
    for k in range(min(count, len(spread))):
        u = vectors[:, -1 - k].float()
        u = u * u[u.abs().argmax()].sign()  # an eigenvector has no sign of its own
        about = (found, basis @ u, float(gram.trace()))
        made.append(_direction(f"direction {k + 1}", space.factor @ u, inverse.T @ u, about, seed))
    return made


def walk(space: Space, start: int, directions: Sequence[Direction], stops: Sequence[float]) -> Tensor:
    """Items along each direction through the point number `start`, at positions counted in standard deviations.

    (len(directions) * len(stops), *shape), one direction after another. Only the position along the direction changes:
    z + (t - position of z) vector for each stop t.
    """
    z = space.points[start]
    places = [z + (t - (z - space.mean) @ one.read) * one.vector for one in directions for t in stops]
    given = {name: value.expand(len(places), *value.shape[1:]) for name, value in _one(space, start).items()}
    return space.items(torch.stack(places), given)


def _one(space: Space, i: int) -> dict[str, Tensor]:
    """The condition of one point, as a batch of one."""
    return dict(Batch(space.points, space.given).slice(i, i + 1).given)


def _direction(name: str, vector: Tensor, read: Tensor, about: tuple[Slopes, Tensor, float], seed: int) -> Direction:
    """Its figures, from the slopes, its coefficients `way` on them, and the total of what the space changes."""
    found, way, total = about
    squares = torch.einsum("i,nij,j->n", way.double(), found.grams, way.double()).clamp_min(0)  # (n,): |J way|^2
    mean, change = float(squares.mean()), found.mean @ way
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(squares), (RESAMPLED, len(squares)), generator=generator)
    low, high = torch.quantile(squares[drawn].mean(1), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    effect = Estimate(*((value / found.size) ** 0.5 for value in (mean, low, high)))
    share = mean / total if total > 0 else None
    steady = min(1.0, float(change.square().sum()) / mean) if mean > 0 else None
    return Direction(name, vector, read, effect, share, steady, change)
