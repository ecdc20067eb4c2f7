"""How much the columns of a table say of each other, by which weights of regressions are held near 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from morelike.nn.variables import Variable

LOOKED = 20_000  # rows that are looked at
MOST = 40_000.0  # ridge of a weight
FEW = 0.05  # weights for each row, up to which they are left as they are
SEEN = 0.5  # information on a weight below which nothing is said of it


@torch.no_grad()
def ridges(variables: Sequence[Variable], x: Tensor, phi: Tensor, least: float) -> Tensor:
    """The ridge of each weight, by what all weights of its kind seem to vary by: (traits, outputs).

        tau^2 = sum (g^2 / I - 1) / sum I,    E g^2 / I = 1 + I tau^2,    ridge = 1 / tau^2, at least `least`

    over the weights from one part of a column (its score, the square of that, which value it is) to one of another
    (its classes, its line), with the gradient g and the information I of each where all weights are 0, where these are
    more than a twentieth of the rows; else `least`. Two columns that say nothing of each other, as day and year of
    birth, would be made to say something by each of a thousand weights; of few weights one ridge has better samples.

    x, phi  rows (n, T) and what they tell, (n, traits), the traits of these variables one after another

    Source: a moment estimate of the variance of effects, as in the score test of le Cessie & van Houwelingen 1995.
    """
    x, phi = x[:LOOKED], phi[:LOOKED]
    sides = [_targets(one, one.value(x)) for one in variables]
    target, info = (torch.cat(side, -1) for side in zip(*sides, strict=True))
    amount = phi.square().mean(0)[:, None] * info  # (traits, outputs)
    gain = torch.where(amount > SEEN, (phi.T @ target).square() / amount.clamp_min(SEEN) - 1, 0.0)
    amount = torch.where(amount > SEEN, amount, 0.0)
    rows = _numbered([part for one in variables for part in _told(one)], x.device)
    columns = _numbered([part for one in variables for part in _heard(one)], x.device)
    gain, amount = (_summed(_summed(one, rows).T, columns).T for one in (gain, amount))
    several = _summed(_summed(torch.ones_like(info)[None].expand(len(rows), -1), rows).T, columns).T
    ridge = (amount / gain.clamp_min(amount.clamp_min(SEEN) / MOST)).clamp(least, MOST)
    ridge = torch.where(several > FEW * len(x), ridge, least)
    return ridge[rows][:, columns]


def _targets(one: Variable, value: Tensor) -> tuple[Tensor, Tensor]:
    """What the outputs of a variable are to say, less their means, (n, outputs), and how much of it there is."""
    share, kind = one.shares.double(), one.kind[value]
    classes = nn.functional.one_hot(kind, one.classes).double() - share
    line = torch.where(kind == 0, one.score[value], 0.0) if one.number else one.score[value]
    line = line - line.mean()
    target = torch.cat([classes, line[:, None], *([torch.zeros_like(line)[:, None]] if one.number else [])], 1)
    info = torch.cat([share * (1 - share), line.square().mean()[None], share.new_zeros(int(one.number))])
    return target, len(value) * info


def _told(one: Variable) -> list[int]:
    """How many traits of a variable are of each part."""
    return [1] * (1 + one.number) + [one.traits.shape[1] - 1 - one.number]


def _heard(one: Variable) -> list[int]:
    return [one.classes, 1 + one.number]


def _numbered(sizes: Sequence[int], device: torch.device) -> Tensor:
    return torch.arange(len(sizes), device=device).repeat_interleave(torch.tensor(sizes, device=device))


def _summed(x: Tensor, groups: Tensor) -> Tensor:
    return x.new_zeros(int(groups[-1]) + 1, x.shape[1]).index_add_(0, groups, x)
