"""What a run has learned: walks through its latent space, what it looks at, and what its samples resemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from morelike import collect
from morelike.core.errors import MorelikeError, OptionError, RunError
from morelike.core.family import HasInterpolation, HasLatent
from morelike.core.spec import Batch
from morelike.data.cache import build
from morelike.data.ragged import take
from morelike.data.sources import open_source
from morelike.explanation import parts, truth, walks
from morelike.explanation.attention import looked_at
from morelike.explanation.directions import Direction, coordinates, principal, slopes
from morelike.explanation.page import Explanation
from morelike.explanation.part import TITLES, Part, unit_of
from morelike.explanation.provenance import resembled
from morelike.explanation.space import Space, codes_of, great_circle, places_of, space_of
from morelike.measure import features
from morelike.run import Run

SHOWN, STEPS = 6, 9  # seeds that are shown, and items on the way between two of them
POINTS, ITEMS = 64, 512  # places where slopes are taken, and items that say how a space of codes is used
KNOWN = 6000  # items whose codes are compared with their true causes, fewer if they are large
BLOCK = 2048  # training items in memory at once


@dataclass
class _Asked:
    """A run, what is to be explained of it, and what is known so far."""

    run: Run
    given: Mapping[str, str]
    seeds: tuple[int, ...]
    directions: int
    training: collect.Prepared | str  # or why there is none
    causes: tuple[Tensor, dict[str, np.ndarray]] | None = None  # codes of items, and their true factors

    @property
    def walked(self) -> tuple[int, ...]:
        """The seeds that were asked for, and as many after the last as make six."""
        more = range(self.seeds[-1] + 1, self.seeds[-1] + 1 + max(0, SHOWN - len(self.seeds)))
        return (*self.seeds, *more)

    def made(self, seeds: Sequence[int]) -> Batch:
        """The items of some seeds, with their conditions."""
        given = self.run.conditions(seeds, self.given)
        return Batch(self.run.family.sample(seeds, given), given)

    def real(self, training: collect.Prepared, rows: np.ndarray) -> Batch:
        """Training items by their rows in the source, with their conditions."""
        given = {name: torch.from_numpy(value[rows]) for name, value in training.given.items()}
        return Batch(self.run.codec.encode(take(training.data.x, rows)), given)

    def some(self, count: int) -> Batch:
        """Training items of the condition that was asked for; made ones where there are not enough."""
        if isinstance(self.training, collect.Prepared):
            rows = self.training.kept
            for name, label in self.given.items():
                rows = rows[self.training.given[name][rows] == self.run.labels[name].encode([label])[0]]
            if len(rows) >= min(count, POINTS):
                return self.real(self.training, np.random.default_rng(0).permutation(rows)[:count])
        first = self.walked[-1] + 1
        return self.made(range(first, first + count))


def explain(
    run: Run | str | Path,
    *,
    seeds: Sequence[int] = (),
    directions: int = 8,
    given: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda title: None,
) -> Explanation:
    """Explain a run: latent walks, principal directions, true causes, similar training items, attention.

    seeds       samples to start from and to look up in the training data; 0 to 5 if none are given
    directions  rows on the sheets of directions
    given       condition of all that is shown, such as {"label": "cat"}; the labels take turns without it
    tell        called with what is done next, before it is done

    A part that cannot be had is left out with its reason: a family without a latent space, a source that is gone or
    has changed, a net without attention. Raises `RunError` or `OptionError` for a run or an option that cannot be used.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    seeds = tuple(dict.fromkeys(seeds)) or tuple(range(SHOWN))
    with torch.no_grad():
        _check(run, seeds, directions, given or {})
        tell("Reading the training data")
        asked = _Asked(run, dict(given or {}), seeds, directions, _training(run))
        found: list[Part] = []
        for title, make in _MAKERS.items():
            if make is _causes and str(run.recipe["source"]).split(":")[0] != truth.SOURCE:
                continue  # nobody expects the true causes of their own data
            tell(title)
            found += make(asked)
    about = {
        "run": str(run.path), "source": str(run.recipe["source"]), "family": str(run.recipe["family"]),
        "given": asked.given, "seeds": list(seeds),
    }  # fmt: skip
    return Explanation(run.path, about, sorted(found, key=lambda part: list(TITLES).index(part.name)))


def _check(run: Run, seeds: Sequence[int], directions: int, given: Mapping[str, str]) -> None:
    """Raise the error for what cannot be explained, before any work."""
    if not all(0 <= seed < 2**63 - 2 * ITEMS for seed in seeds):
        raise OptionError(f"The seeds are {', '.join(map(str, seeds))}", "Whole numbers from 0 to 2^63", "Change them")
    if not 1 <= directions <= 64:
        raise OptionError(f"{directions} directions were asked for", "From 1 to 64", "Use --directions 8, say")
    if not run.family.sample(seeds, run.conditions(seeds, given)).isfinite().all():
        raise RunError(
            f"{run.path}: this model makes items that are no finite numbers", "A run whose training did not diverge",
            "Train again, with a smaller --set lr=",
        )  # fmt: skip


def _training(run: Run) -> collect.Prepared | str:
    """The items that a run was trained on, or why they are not to be had."""
    recipe = run.recipe
    try:
        data = build(open_source(recipe["source"], run.reading), run.codec)
        found = collect.arrange(data, run.codec, recipe["given"] or "none", recipe["held_out"], run.fields)
    except (MorelikeError, OSError) as error:
        return f"The source of this run cannot be read. {error}"
    if collect.digest(found) != recipe["data"]["digest"]:
        return f"The source {recipe['source']} has changed since this run was trained."
    return found


def _causes(asked: _Asked) -> list[Part]:
    """Codes against the true factors of the built-in world."""
    run, training = asked.run, asked.training
    if isinstance(training, str):
        return [Part("disentanglement", reason=training)]
    if not isinstance(run.family, HasLatent):
        return [Part("disentanglement", reason="This family has no encoder whose codes could be compared.")]
    shape = run.family.spec.shape
    rows = training.kept[: max(2000, min(KNOWN, 2**24 // int(np.prod(shape))))]
    batch = asked.real(training, rows)
    told = ["species"] if "label" in run.labels else []
    codes, factors = codes_of(run.family, batch), truth.true_factors(rows, grey=shape[0] == 1, told=told)
    asked.causes = codes, factors
    return [parts.known_factors(*truth.compared(codes, batch.x, factors))]


def _latent(asked: _Asked) -> list[Part]:
    """Sheets of directions and of paths."""
    family, codec, seeds = asked.run.family, asked.run.codec, asked.walked
    if not isinstance(family, HasLatent | HasInterpolation):
        reason = "This family has no latent space to walk in."
        return [Part(name, reason=reason) for name in ("traversal", "directions", "interpolation")]
    made = asked.made(seeds)
    if isinstance(family, HasLatent):
        more = asked.some(ITEMS)
    else:
        seeds = (*seeds, *range(seeds[-1] + 1, seeds[-1] + 1 + POINTS))
        more = Batch(made.x[:0], asked.run.conditions(seeds[len(made.x) :], asked.given))
    batch = Batch(torch.cat([made.x, more.x]), {k: torch.cat([v, more.given[k]]) for k, v in made.given.items()})
    space = space_of(family, batch, seeds)
    found, walker = slopes(space, POINTS), walks.Walker(space, family.spec.shape, codec, unit_of(codec, made.x), seeds)
    own = principal(space, found, asked.directions)
    single = coordinates(space, found, asked.directions) if space.coded else own
    return [
        walks.traversal(walker, single, _meanings(asked, space, single)),
        walks.principal_sheet(walker, own, _meanings(asked, space, own)),
        _paths(asked, space),
    ]


def _meanings(asked: _Asked, space: Space, directions: Sequence[Direction]) -> dict[str, str]:
    """What directions of a code stand for, where the true causes are known."""
    return truth.meanings(*asked.causes, space, directions) if asked.causes and space.coded else {}


def _paths(asked: _Asked, space: Space) -> Part:
    """Walks from seed to seed; both ends of a walk have the same condition."""
    run, seeds = asked.run, asked.walked
    items, names = [], []
    for row, pair in enumerate(zip(seeds[::2], seeds[1::2], strict=False)):
        turn = run.conditions([row], asked.given)
        given = {name: value.expand(len(pair)) for name, value in turn.items()}
        ends = places_of(run.family, Batch(run.family.sample(pair, given), given), pair)
        path = great_circle(space, ends, STEPS)
        items.append(space.items(path, {name: value.expand(STEPS) for name, value in turn.items()}))
        told = [run.labels[name].decode(value.tolist())[0] for name, value in turn.items()]
        names.append("\n".join([f"seed {pair[0]} to {pair[1]}", *told]))
    return walks.paths(run.codec, torch.cat(items), names)


def _similar(asked: _Asked) -> list[Part]:
    """The training items most like the samples that were asked for."""
    run, training = asked.run, asked.training
    if isinstance(training, str):
        return [Part("provenance", reason=training)]
    path, kept, spec = run.path / "measure" / "learned.safetensors", training.kept, run.family.spec
    if path.exists():  # the report has trained them on this data
        try:
            net: features.Features = features.load(path, spec)
        except RunError as error:
            return [Part("provenance", reason=str(error))]
    else:
        net = features.random_features(spec, on=asked.real(training, kept[:BLOCK]).x)
    blocks = [net(asked.real(training, kept[i : i + BLOCK]).x) for i in range(0, len(kept), BLOCK)]
    made = asked.made(asked.seeds).x
    found = resembled(net, made, torch.cat(blocks))
    if isinstance(found, str):
        return [Part("provenance", reason=found)]
    rows = kept[found.train]  # (n, k)
    near = asked.real(training, rows.ravel()).x.unflatten(0, rows.shape)
    names = [[training.data.names[row] for row in one] for one in rows]
    return [parts.similar(run.codec, torch.cat([made.unsqueeze(1), near], 1), found, names, asked.seeds)]


def _attention(asked: _Asked) -> list[Part]:
    """Where a transformer looks in some items."""
    batch = asked.some(SHOWN)
    looked = looked_at(asked.run.family, batch)
    if isinstance(looked, str):
        return [Part("attention", reason=looked)]
    names = [f"item {i + 1}" for i in range(len(batch.x))]
    return [parts.attended(asked.run.codec, batch.x, looked, names)]


_MAKERS: dict[str, Callable[[_Asked], list[Part]]] = {
    "Comparing codes with true causes": _causes,  # first, as it gives names to the directions of the next
    "Walking through the latent space": _latent,
    "Looking up similar training items": _similar,
    "Looking where the net looks": _attention,
}
