"""Families of a table's cells against a Bayesian network of which everything can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, Optim
from morelike.core.spec import Batch, Spec
from morelike.families import circuit, independent, mixture
from morelike.nn import tree
from morelike.nn.rows import Row
from morelike.nn.tables import Tables
from morelike.nn.tree import coarser, information, spanning
from morelike.recipes import suited
from morelike.samplers.mcmc.compose import HasInfill
from morelike.train.em import EM
from morelike.train.game import Game, HasBeginning

SIZES = (2, 3, 4, 2, 3)
EVERY = torch.tensor(list(product(*(range(size) for size in SIZES))))  # all 144 rows
SPEC = Spec((5,), tokens=4, sizes=SIZES, head_shape=(sum(SIZES),), head=partial(Row, sizes=SIZES))
EXACT = ("independent", "mixture", "circuit", "anyorder")
each = pytest.mark.parametrize("name", EXACT)


def network() -> Tensor:
    """p(x) of all rows for the tree 1 <- 0 -> 2 -> 3, 2 -> 4 with known tables: (144,)."""
    generator = torch.Generator().manual_seed(3)

    def table(*size: int) -> Tensor:
        return (2 * torch.randn(*size, generator=generator)).softmax(-1)

    a, b, c, d, e = EVERY.unbind(1)
    p0, p1, p2, p3, p4 = table(2), table(2, 3), table(2, 4), table(4, 2), table(4, 3)
    return p0[a] * p1[a, b] * p2[a, c] * p3[c, d] * p4[c, e]


def rows(n: int, seed: int = 0) -> Tensor:
    drawn = torch.multinomial(network(), n, replacement=True, generator=torch.Generator().manual_seed(seed))
    return EVERY[drawn]


def law_of(tables: Tables, t: int) -> Tensor:
    """The law of one cell, a view of those of all cells of its size: (K, size)."""
    alike = [cell for cell, size in enumerate(SIZES) if size == SIZES[t]]
    return tables.laws[sorted(set(SIZES)).index(SIZES[t])][alike.index(t)]


def learnt(family: Family, x: Tensor, steps: int = 150) -> Family:
    """A family after some steps on rows, as the loop would take them."""
    if hasattr(family, "begin"):
        family.begin([Batch(x)], len(x))
    game, size = Game(family), min(len(x), 500)
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        torch.manual_seed(step)
        game.turn(Batch(x[torch.randperm(len(x), generator=generator)[:size]]), step, step / steps)
    family.load_state_dict(game.weights())
    return family.eval()


@pytest.fixture(scope="module")
def trained() -> Iterator[Callable[[str], Family]]:
    made: dict[str, Family] = {}

    def get(name: str) -> Family:
        if name not in made:
            torch.manual_seed(0)
            made[name] = learnt(import_module(f"morelike.families.{name}").tiny(SPEC), rows(4000))
        return made[name]

    yield get


def law(family: Family) -> Tensor:
    """The model's own p of every row, by enumeration: (144,) in float64."""
    with torch.no_grad():
        return family.log_prob(Batch(EVERY)).double().exp()


@each
def test_its_probabilities_sum_to_one(name: str, trained) -> None:
    assert float(law(trained(name)).sum()) == pytest.approx(1, abs=1e-5)


def matching(row: Tensor) -> Tensor:
    """Which of all rows agree with the known cells of one: (144,)."""
    return ((row == EVERY) | (row < 0)).all(1)


@pytest.mark.parametrize("name", ["independent", "mixture", "circuit"])
def test_unknown_cells_are_summed_over(name: str, trained) -> None:
    family, p = trained(name), law(trained(name))
    partly = torch.where(torch.rand(60, 5, generator=torch.Generator().manual_seed(0)) < 0.5, rows(60), -1)
    expected = torch.stack([p[matching(row)].sum() for row in partly])
    with torch.no_grad():
        torch.testing.assert_close(family.log_prob(Batch(partly)).double().exp(), expected, atol=1e-5, rtol=1e-5)
        assert family.log_prob(Batch(torch.full((1, 5), -1))).abs() < 1e-5


def test_an_any_order_net_gives_marginals_that_sum_to_one(trained) -> None:
    both = torch.tensor([(-1, i, -1, j, -1) for i in range(3) for j in range(2)])
    with torch.no_grad():
        p = trained("anyorder").log_prob(Batch(both)).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    real = torch.stack([network()[matching(row)].sum() for row in both])
    torch.testing.assert_close(p, real, atol=0.04, rtol=0)


@each
def test_samples_are_as_frequent_as_they_are_likely(name: str, trained) -> None:
    family, n = trained(name), 40_000
    made = family.sample(range(n))
    share = (made[:, None] == EVERY).all(2).double().mean(0)
    assert float((share - law(family)).abs().sum()) / 2 < 1.5 * float((law(family) / n).sqrt().sum()) / 2 + 1e-3


@each
def test_infilling_keeps_what_is_known_and_draws_the_rest_given_that(name: str, trained) -> None:
    family, n = trained(name), 20_000
    assert isinstance(family, HasInfill)
    for row in ([-1, -1, 2, -1, 1], [1, 0, -1, 0, -1]):
        known = torch.tensor(row)
        x, mask = known.clamp_min(0).expand(n, -1), (known >= 0).expand(n, -1)
        made = family.infill(x, mask, range(n))
        assert torch.equal(made[mask], x[mask])
        here = EVERY[matching(known)]
        share = (made[:, None] == here).all(2).double().mean(0)
        if name == "anyorder":  # its law given cells that come later is another than that of its natural order
            true = network()[matching(known)]
            torch.testing.assert_close(share, (true / true.sum()).double(), atol=0.08, rtol=0)
            continue
        p = law(family)[matching(known)]
        torch.testing.assert_close(share, p / p.sum(), atol=5 / n**0.5 / 2, rtol=0)


@pytest.mark.parametrize(
    ("name", "far"), [("independent", 3.0), ("mixture", 0.08), ("circuit", 0.02), ("anyorder", 0.02)]
)
def test_trained_it_is_close_to_the_network(name: str, far: float, trained) -> None:
    p, q = network().double(), law(trained(name))
    divergence = float((p * (p.log() - q.log())).sum())
    assert 0 <= divergence < far
    if name != "independent":
        assert divergence < 0.2 * float((p * (p.log() - law(trained("independent")).log())).sum())


def test_a_circuit_holds_the_network_exactly() -> None:
    """Causes that are the cells themselves, on the network's own tree: the same law, unknown cells or not."""
    model, p = circuit.Model(SPEC, circuit.Config(width=1)), network()
    order, parents = [0, 1, 2, 3, 4], [-1, 0, 0, 2, 2]
    tree = model.trees[0]
    tree.order.copy_(torch.tensor(order))
    tree.parents.copy_(torch.tensor(parents))

    def given(t: int, s: int) -> Tensor:
        """p(x_t | x_s) by enumeration, padded to 4 x 4."""
        table = torch.full((4, 4), 1e-12)
        for i, j in product(range(SIZES[s]), range(SIZES[t])):
            table[i, j] = p[(EVERY[:, s] == i) & (EVERY[:, t] == j)].sum() / p[EVERY[:, s] == i].sum()
        return table.log()

    with torch.no_grad():
        tree.root.copy_(torch.tensor([*(p[EVERY[:, 0] == i].sum().log() for i in range(2)), -50.0, -50.0])[None])
        for t in range(1, 5):
            tree.transitions[t - 1] = given(t, parents[t])
        for t, size in enumerate(SIZES):
            law_of(tree.tables, t).copy_(torch.eye(4)[:, :size].clamp_min(1e-12).log())
    torch.testing.assert_close(law(model), p.double(), atol=1e-6, rtol=1e-4)
    partly = torch.where(torch.rand(50, 5, generator=torch.Generator().manual_seed(5)) < 0.5, rows(50), -1)
    expected = torch.stack([p[matching(row)].sum() for row in partly])
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(Batch(partly)).exp(), expected, atol=1e-5, rtol=1e-4)


def test_independent_columns_are_counts_with_a_half_added() -> None:
    x = rows(300)
    family = learnt(independent.tiny(SPEC), x, 60)
    for t in range(len(SIZES)):
        law_ = law_of(family.tables, t)
        count = torch.bincount(x[:, t], minlength=SIZES[t]) + 0.5
        torch.testing.assert_close(law_.detach().exp()[0], count / count.sum(), atol=1e-4, rtol=0)


def test_independent_columns_know_the_rows_before_the_first_step() -> None:
    x, family = rows(500), independent.Model(SPEC, independent.Config())
    family.begin([Batch(x[:200]), Batch(x[200:])], 500)
    with torch.no_grad():
        found = family.log_prob(Batch(torch.tensor([[-1, -1, v, -1, -1] for v in range(4)]))).exp()
    wanted = (torch.bincount(x[:, 2], minlength=4) + 0.5) / 502
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0)  # but for the noise from which it begins


def test_one_step_of_em_on_all_rows_is_that_of_the_textbook() -> None:
    """w_k = mean of r_k and p_kt(v) = sum of r_k over rows with v / sum of r_k, r the posteriors (Bishop 2006, 9.3)."""
    torch.manual_seed(0)
    model, x = mixture.Model(SPEC, mixture.Config(most=3, prior=0.0)), rows(200)
    model.tables.rows.fill_(torch.inf)  # so that no row is added
    with torch.no_grad():
        r = model.joint(x, {}).softmax(1)
    game = Game(model, {"model": Optim("em", 1.0, schedule="constant", warmup=0.0)}, average=0.0)
    before = model.log_prob(Batch(x)).mean().item()
    game.turn(Batch(x), 0, 0.0)
    torch.testing.assert_close(model.weights.exp()[0], r.mean(0), atol=1e-5, rtol=1e-4)
    for t, size in enumerate(SIZES):
        counts = torch.stack([r[x[:, t] == v].sum(0) for v in range(size)], 1)
        torch.testing.assert_close(
            law_of(model.tables, t).exp(), counts / counts.sum(1, keepdim=True), atol=1e-5, rtol=1e-4
        )
    assert model.log_prob(Batch(x)).mean() > before, "EM never lowers the likelihood"


@pytest.mark.parametrize("name", EXACT)
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(name: str) -> None:
    x, module = rows(400), import_module(f"morelike.families.{name}")

    def steps(game: Game, begin: int, end: int) -> None:
        for step in range(begin, end):
            torch.manual_seed(step)
            game.turn(Batch(x[step * 20 : step * 20 + 100]), step, step / 10)

    torch.manual_seed(0)
    family = module.tiny(SPEC)
    assert isinstance(family, HasBeginning)
    family.begin([Batch(x)], len(x))
    whole = Game(family)
    steps(whole, 0, 5)
    saved = {key: value.clone() for key, value in whole.state().items()}
    steps(whole, 5, 10)
    torch.manual_seed(1)
    again = Game(module.tiny(SPEC))  # which does not begin again
    again.load_state(saved)
    steps(again, 5, 10)
    for key, value in whole.state().items():
        assert torch.equal(again.state()[key], value), key


def test_what_a_batch_seldom_uses_changes_little() -> None:
    theta = nn.Parameter(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log())
    optimizer = EM([theta], lr=0.5)
    theta.grad = -torch.tensor([[10.0, 10.0], [10.0, 10.0]])
    optimizer.step()
    theta.grad = -torch.tensor([[10.0, 0.0], [0.1, 0.0]])
    optimizer.step()
    torch.testing.assert_close(theta.exp(), torch.tensor([[2 / 3, 1 / 3], [5.05 / 10.05, 5.0 / 10.05]]))


def test_the_tree_is_found_from_the_data() -> None:
    weights = information(rows(4000), SIZES)
    p = network().double()
    joint = torch.stack([p[(EVERY[:, 2] == i) & (EVERY[:, 4] == j)].sum() for i in range(4) for j in range(3)]).view(
        4, 3
    )
    true = float((joint * (joint / joint.sum(1, keepdim=True) / joint.sum(0)).log()).sum())
    assert float(weights[2, 4]) == pytest.approx(true, abs=0.03)
    order, parents = spanning(weights)
    edges = {frozenset((node, order[parent])) for node, parent in zip(order, parents, strict=True) if parent >= 0}
    assert edges == {frozenset(edge) for edge in ((0, 1), (0, 2), (2, 3), (2, 4))}
    assert sorted(order) == [0, 1, 2, 3, 4] and parents[0] == -1 and all(p < i for i, p in enumerate(parents))


def test_information_is_the_same_however_many_cells_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.where(torch.rand(2000, 5, generator=torch.Generator().manual_seed(2)) < 0.1, -1, rows(2000))
    together = information(x, SIZES)
    monkeypatch.setattr(tree, "ROOM", 1)
    torch.testing.assert_close(information(x, SIZES), together, atol=1e-6, rtol=1e-5)


def test_very_many_cells_are_told_by_fewer_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours in equal shares: what goes together still does, and the tree of a chain is that chain."""
    generator = torch.Generator().manual_seed(0)
    walk = torch.randn(1000, 6, generator=generator).cumsum(1)
    x = ((walk / walk.std(0)) * 4 + 10).long().clamp(0, 19)
    small, sizes = coarser(x, (20,) * 6, 4)
    assert sizes == (4,) * 6 and int(small.max()) == 3
    assert (torch.stack([(small == v).sum(0) for v in range(4)]) > 100).all()
    assert all((small[x[:, t].argsort(), t].diff() >= 0).all() for t in range(6)), "the order stays"
    monkeypatch.setattr(tree, "WORK", 500 * (6 * 4) ** 2)
    order, parents = spanning(information(x, (20,) * 6))
    assert {frozenset((order[a], order[b])) for a, b in enumerate(parents) if b >= 0} == {
        frozenset((t, t + 1)) for t in range(5)
    }
    assert parents == sorted(parents), "level by level"


@pytest.mark.parametrize("name", ["circuit", "anyorder"])
def test_many_rows_of_many_cells_are_looked_at_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = import_module(f"morelike.families.{name}").tiny(SPEC).eval(), rows(100)
    known = torch.arange(5) < 2
    with torch.no_grad():
        whole, made = model.log_prob(Batch(x)), model.infill(x, known, range(100))
        monkeypatch.setattr(model, "room", 7)
        torch.testing.assert_close(model.log_prob(Batch(x)), whole)
        assert torch.equal(model.infill(x, known, range(100)), made)
    sizes = (40,) * 3500
    wide = Spec((3500,), tokens=40, sizes=sizes, head_shape=(sum(sizes),), head=partial(Row, sizes=sizes))
    chosen = import_module(f"morelike.families.{name}")
    assert chosen.Model(wide, chosen.Config(width=1)).batch < 80 and model.batch >= 512


def test_cells_that_tell_nothing_have_no_information() -> None:
    x = torch.randint(0, 30, (1000, 2), generator=torch.Generator().manual_seed(0))
    assert float(information(x, (30, 30))[0, 1]) < 0.1  # 0.42 without the correction


@each
def test_a_single_cell_is_a_table_too(name: str) -> None:
    spec = Spec((1,), tokens=3, sizes=(3,), head_shape=(3,), head=partial(Row, sizes=(3,)))
    torch.manual_seed(0)
    x = torch.tensor([[0]] * 70 + [[2]] * 30)
    family = learnt(import_module(f"morelike.families.{name}").tiny(spec), x, 60)
    with torch.no_grad():
        p = family.log_prob(Batch(torch.arange(3)[:, None])).exp()
    torch.testing.assert_close(p, torch.tensor([0.7, 0.0, 0.3]), atol=0.03, rtol=0)
    assert family.sample([]).shape == (0, 1)


@pytest.mark.parametrize("name", ["independent", "mixture", "circuit"])
def test_conditions_that_are_no_labels_are_refused(name: str) -> None:
    spec = Spec((2,), tokens=2, sizes=(2, 2), given={"words": Spec((8,), tokens=9, end=0)})
    with pytest.raises(OptionError, match="words"):
        import_module(f"morelike.families.{name}").tiny(spec)


def test_few_rows_get_few_states() -> None:
    assert suited("circuit", {}, 233)["most"] == 15 and suited("circuit", {}, 30_000)["most"] == 173
    assert suited("mixture", {}, 233)["most"] == 4 and suited("mixture", {"most": 50}, 233) == {"most": 50}
    assert circuit.Model(SPEC, circuit.Config(width=32, most=15)).trees[0].root.shape == (1, 15)
    assert [suited("circuit", {}, n)["rate"] for n in (233, 1024, 30_000)] == [1.0, 0.5, 0.3]
    assert suited("circuit", {}, 1_999)["trees"] == 4 and suited("circuit", {}, 2_000)["trees"] == 1


@pytest.fixture(scope="module")
def several() -> circuit.Model:
    torch.manual_seed(0)
    family = learnt(circuit.Model(SPEC, circuit.Config(width=2, trees=3)), rows(200), 80)
    assert isinstance(family, circuit.Model)
    return family


def test_the_law_of_several_trees_is_their_mean_and_nearer_to_the_truth(several: circuit.Model) -> None:
    y, p = torch.zeros(144, dtype=torch.long), network().double()
    with torch.no_grad():
        each = torch.stack([tree(EVERY, y) for tree in several.trees]).double().exp()
    torch.testing.assert_close(each.sum(1), torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(law(several), each.mean(0), atol=1e-6, rtol=1e-4)
    alone = (p * (p.log() - each.log())).sum(1)
    assert float((p * (p.log() - law(several).log())).sum()) < float(alone.min())


def test_rows_of_several_trees_are_drawn_from_their_mean_whatever_is_known(several: circuit.Model) -> None:
    n = 20_000
    for row in ([-1] * 5, [-1, -1, 2, -1, 1]):
        known = torch.tensor(row)
        x, mask = known.clamp_min(0).expand(n, -1), (known >= 0).expand(n, -1)
        made, here = several.infill(x, mask, range(n)), matching(known)
        share = (made[:, None] == EVERY[here]).all(2).double().mean(0)
        p = law(several)[here]
        torch.testing.assert_close(share, p / p.sum(), atol=5 / n**0.5 / 2, rtol=0)
    assert torch.equal(several.sample(range(7, 9)), several.sample(range(10))[7:9])


def test_every_tree_learns_as_if_it_were_alone() -> None:
    torch.manual_seed(0)
    model, x = circuit.Model(SPEC, circuit.Config(width=1, trees=2)), rows(50)
    next(model.play(Batch(x))).loss.mean().backward()
    alone = circuit.Model(SPEC, circuit.Config(width=1))
    alone.trees[0].load_state_dict(model.trees[1].state_dict())
    next(alone.play(Batch(x))).loss.mean().backward()
    for one, two in zip(model.trees[1].parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
