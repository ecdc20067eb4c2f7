"""The built-in world as a judge: its true factors, and how codes compare with them beside two floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from morelike.data import menagerie
from morelike.data.menagerie.world import LUMA
from morelike.explanation.directions import Direction
from morelike.explanation.disentanglement import Disentanglement, disentangled, information_of
from morelike.explanation.space import Space

SOURCE = "menagerie"
KNOWS = 0.15  # share of a factor that a direction must know to be named after it


def true_factors(rows: np.ndarray, *, grey: bool, told: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The factors of animals `rows` of the built-in world, by name, as one array each.

    grey  in grey pictures a colour is its lightness
    told  factors that a model is told, as its condition, and that are left out: its code need not hold them
    """
    true = menagerie.factors(int(rows.max()) + 1)[rows]
    table = {name: column for name, column in true.table().items() if not name.endswith(("_red", "_green", "_blue"))}
    if grey:
        table |= {"fur_lightness": true.fur_rgb @ LUMA, "background_lightness": true.background_rgb @ LUMA}
        del table["fur"], table["background_hue"]
    return {name: column for name, column in table.items() if name not in told}


def compared(
    codes: Tensor, x: Tensor, factors: Mapping[str, np.ndarray]
) -> tuple[Disentanglement, dict[str, Disentanglement]]:
    """Disentanglement of codes (N, latent) of items (N, *shape), and of two floors of the same size.

    The floors: the same codes handed to other items, which is an encoder that knows nothing, and the principal
    components of the items, which need no model.
    """
    return disentangled(codes, factors), {
        "shuffled codes": disentangled(shuffled(codes), factors),
        "PCA of pixels": disentangled(components(x, codes.shape[1]), factors),
    }


def shuffled(codes: Tensor, seed: int = 0) -> Tensor:
    """The same codes in another order."""
    return codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))]


def components(x: Tensor, count: int, seed: int = 0) -> Tensor:
    """The first principal component scores of items (N, *shape), `count` of them if there are: (N, count)."""
    rows = x.float().flatten(1)
    rows = rows - rows.mean(0)
    with torch.random.fork_rng(devices=[]):  # the randomised decomposition takes no generator of its own
        torch.manual_seed(seed)
        u, s, _ = torch.svd_lowrank(rows, min(count + 10, *rows.shape), niter=4)  # the last of them are inexact
    return (u * s)[:, :count]


def meanings(
    codes: Tensor, factors: Mapping[str, np.ndarray], space: Space, directions: Sequence[Direction]
) -> dict[str, str]:
    """What directions stand for, by their names: the factor that a code's position along each knows most of."""
    along = ((codes - space.mean) @ torch.stack([one.read for one in directions]).T).double().numpy()
    known, names = information_of(along, list(factors.values())), [name.replace("_", " ") for name in factors]
    pairs = zip(directions, known, strict=True)
    return {one.name: f"mostly {names[row.argmax()]}" for one, row in pairs if row.max() > KNOWS}
