"""What was found beside the walks, as parts of a page: true causes, similar items, attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.explanation.attention import Looked
from morelike.explanation.disentanglement import Disentanglement
from morelike.explanation.drawing import labelled, overlay
from morelike.explanation.part import HasSheet, Part, cells
from morelike.explanation.provenance import Resembled
from morelike.measure.page.html import grid, number, percent

EVEN = 0.97  # entropy of attention above which it looks nearly everywhere alike


def known_factors(own: Disentanglement, floors: Mapping[str, Disentanglement]) -> Part:
    """Four figures of the codes beside those of the floors, and what is known of each factor."""
    names = {
        "mig": "gap (MIG)",
        "disentanglement": "DCI: one cause per number",
        "completeness": "DCI: one number per cause",
        "informativeness": "DCI: causes can be told (R²)",
    }
    others = {name: one.plain() for name, one in floors.items()}
    rows = [[title, *(f"{one[key]:.3f}" for one in (own.plain(), *others.values()))] for key, title in names.items()]
    each = [[own.factors[k].replace("_", " "), percent(own.told[k]), *(percent(one.told[k]) for one in floors.values()),
             f"{own.gaps[k]:.3f}", f"code {own.information[:, k].argmax()}"]
            for k in np.argsort(own.told)[::-1]]  # fmt: skip
    html = grid(["", "this model", *others], rows) + grid(
        ["true factor", "can be told (R²)", *others, "gap", "best number"], each
    )
    figures = {"model": own.plain(), **others, "factors": {
        name: {"mig": own.gaps[k], "r2": own.told[k]} for k, name in enumerate(own.factors)}}  # fmt: skip
    says = (
        "The true causes of each picture of the built-in world are known. 1 means that every number of the code stands "
        "for one cause; 0 that it is a mixture. Beside this model: the same codes handed to other pictures, which know "
        "nothing, and as many principal components of the pixels, which need no model."
    )
    return Part("disentanglement", says, figures, None, html)


def similar(codec: Any, items: Tensor, found: Resembled, names: Sequence[Sequence[str]], seeds: Sequence[int]) -> Part:
    """Made items beside the training items nearest to each, (n, 1 + k, *shape), the names of these (n, k)."""
    low, middle, high = found.typical.tolist()
    distances, shares = found.distance.tolist(), found.nearer.tolist()
    heads = [f"seed {seed}" for seed in seeds]
    columns = [f"similar {i + 1}" for i in range(len(names[0]))]
    rows = [f"{head}\n{_beside(one[0], middle)}" for head, one in zip(heads, distances, strict=True)]
    picture, html = cells(codec, items.flatten(0, 1), rows, ["made", *columns])
    told, samples = [], {}
    for head, seed, called, lengths, share in zip(heads, seeds, names, distances, shares, strict=True):
        pairs = zip(called, lengths, strict=True)
        told.append([head, *(f"{escape(name)}<br>{number(length)}" for name, length in pairs), percent(share)])
        samples[str(seed)] = {"names": list(called), "distances": lengths, "as_near": share}
    html += grid(["", *columns, "training items with one as near"], told)
    figures = {"note": "similar, not causal", "features": found.features, "typical_distance": [low, middle, high],
               "samples": samples}  # fmt: skip
    says = (
        f"Similar, not causal: the training items that each sample is most like, by {found.features} features. The "
        "model learned from all items at once; nothing here says that it made a sample out of these. For scale: a "
        f"training item lies {number(middle)} from its nearest other ({number(low)} to {number(high)} for nine in ten)."
    )
    return Part("provenance", says, figures, picture, html)


def attended(codec: Any, x: Tensor, looked: Looked, names: Sequence[str]) -> Part:
    """Items (N, *shape) beside where the net looks: followed through all layers, then layer by layer."""
    layers = looked.layers.shape[1]
    figures = {"evenness": list(looked.even), "grid": list(looked.rollout.shape[1:])}
    says = (
        "Where the net that reads items looks; red: most, unpainted: no more than its even share. The second column "
        "follows attention through all layers, the others show one layer each. It tells where the net takes numbers "
        "from, not why it decides."
    )
    if min(looked.even) > EVEN:
        says += " Here it looks nearly everywhere alike, so these maps say little."
    if looked.rollout.ndim != 3 or not isinstance(codec, HasSheet):
        return Part("attention", reason="Maps are drawn over pictures only.")
    pictures = codec.decode(x)
    maps = torch.cat([looked.rollout.unsqueeze(1), looked.layers], 1)  # (N, 1 + layers, h, w)
    painted = overlay(pictures.repeat(1 + layers, 0), maps.flatten(0, 1).numpy())
    plain = np.broadcast_to(pictures, (*pictures.shape[:3], 3))
    rows = np.concatenate([plain[:, None], painted.reshape(len(x), 1 + layers, *painted.shape[1:])], 1)
    sheet = codec.sheet(rows.reshape(-1, *rows.shape[2:]), 2 + layers)
    columns = ["item", "all layers", *(f"layer {i + 1}" for i in range(layers))]
    return Part("attention", says, figures, labelled(sheet, names, columns))


def _beside(distance: float, typical: float) -> str:
    """A distance in words, beside the typical one."""
    return f"{distance / typical:.2g} x typical" if typical > 0 else f"at {distance:.3g}"
