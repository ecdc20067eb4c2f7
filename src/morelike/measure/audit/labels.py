"""Labels that are probably wrong: contradicted by a net and by the neighbours, both of which have not seen the item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morelike.measure.audit.seen import Seen
from morelike.measure.audit.wording import cut, some
from morelike.measure.figure import Finding

OWN, OTHER = 0.05, 0.8  # belief in the label that it has, below; in another one, above
CONFUSED = 0.05  # share of a class that passes for another one, from which a doubt says nothing
VOTES = 0.8  # share of the neighbours that must be of the other class


def doubtful(seen: Seen, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Places in `seen.rows` whose label is probably wrong, and the class that is likelier: two int64 (k,).

    labels  int64 (n,) of the rows that were seen

    Belief is the mean of the net's probability and the neighbours' votes, both out of sample. A label is doubted where
    another class is believed in with at least its own mean (the threshold of confident learning: Northcutt, Jiang &
    Chuang 2021, eq. 2), where little speaks for the label itself, and where the two classes are not often confused.
    """
    assert seen.odds is not None and seen.votes is not None
    belief, places = (seen.odds + seen.votes) / 2, torch.arange(len(labels))
    classes = belief.shape[1]
    own = belief[places, labels]
    count = torch.bincount(labels, minlength=classes).clamp_min(1)
    usual = torch.zeros(classes).index_add_(0, labels, own) / count
    pairs = torch.bincount(labels * classes + belief.argmax(1), minlength=classes * classes).view(classes, classes)
    confused = pairs / count[:, None]
    strength, other = belief.scatter(1, labels[:, None], -1.0).max(1)
    wrong = (own < OWN) & (strength > OTHER) & (strength >= usual[other]) & (confused[labels, other] < CONFUSED)
    wrong &= (seen.votes[places, other] >= VOTES) & (seen.votes[places, labels] <= OWN)
    found = torch.nonzero(wrong).flatten()
    found = found[(strength - own)[found].argsort(descending=True, stable=True)]
    return found, other[found]


def labelled(seen: Seen, labels: Tensor) -> Seen:
    """What was seen of the items that have a label."""
    assert seen.odds is not None and seen.votes is not None
    some = labels[seen.rows] >= 0
    return Seen(seen.rows[some], seen.odds[some], seen.votes[some], seen.distance[some])


def agreement(seen: Seen, labels: Tensor) -> float:
    """Share of the labels that net and neighbours together would have given."""
    seen = labelled(seen, labels)
    assert seen.odds is not None and seen.votes is not None
    return float(((seen.odds + seen.votes).argmax(1) == labels[seen.rows]).float().mean())


def wrong_labels(
    seen: Seen, labels: Tensor, classes: Sequence[str], names: Sequence[str]
) -> tuple[list[Finding], dict[int, str]]:
    """The finding about labels that are probably wrong, likeliest first, or none; and the likelier label by row.

    labels  int64 (N,) of all items, -1 where one has none
    names   of all items
    """
    if seen.odds is None:
        return [], {}
    seen = labelled(seen, labels)
    own = labels[seen.rows]
    places, other = doubtful(seen, own)
    if not len(places):
        return [], {}
    rows = seen.rows[places]
    right = agreement(seen, labels)
    said = [f"{names[row]}: {classes[mine]}, looks like {classes[theirs]}"
            for row, mine, theirs in zip(rows.tolist(), own[places].tolist(), other.tolist(), strict=True)]  # fmt: skip
    found = Finding(
        "wrong_labels", "warn" if len(rows) >= 0.01 * len(own) else "note",
        some(len(rows), "label is probably wrong", "labels are probably wrong"),
        "A net that had not seen them, and their neighbours, are sure of another class; of the labels in all, "
        f"they agree with {100 * right:.0f} %. {cut(said, 3)}.",
        "Asked for one class, the model will sometimes draw another.",
        "Look at them; move those that are wrong into the right class.",
        tuple(names[row] for row in rows.tolist()), tuple(rows.tolist()), (), len(rows),
        "They are trained on with the labels that they have.",
    )  # fmt: skip
    return [found], dict(zip(rows.tolist(), (classes[one] for one in other.tolist()), strict=True))
