"""What cells of a series amount to: worked out by hand, beside what the codec draws, and in a net that sees it."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs._series_levels import dates
from morelike.codecs._series_time import Clock
from morelike.codecs.series import Codec, Config, tiny
from morelike.core.spec import Batch
from morelike.data.listing import Reading
from morelike.data.sources import open_source
from morelike.families.autoregressive import CellReader, Model
from morelike.families.autoregressive import Config as Settings
from morelike.nn.levels import Cell, Levels

NAN = math.nan


def test_numbers_are_added_up_as_cells_say() -> None:
    level, change = torch.tensor([10.0, 20.0]), torch.tensor([-1.0, NAN, 2.0])
    fine = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    cells = [
        Cell(0, 0, level), Cell(),  # the first number, and a category
        Cell(0, 1, change, ((0, 1, 1.0),)), Cell(1, 1, level), Cell(1, 1, fine),
        Cell(0, 2, change, ((0, 1, 0.5), (1, 1, 2.0)), 7.0), Cell(1, 2, change, ((0, 0, 1.0), (1, 1, 1.0)), 0.0, 1),
        Cell(1, 3, level),  # of the first step again
    ]  # fmt: skip
    z = Levels(cells, (0.0, 5.0), 3).raw(torch.tensor([[1, 0, 2, 0, 1, 0, 2, 0], [0, 1, 1, 1, 0, 1, 0, 1]]))
    want = [
        [(20, 5), (20, 5), (22, 5), (22, 10), (22, 1), (0.5 * 22 + 2 + 7 - 1, 1), (19, 21), (20, 10)],
        [(10, 5), (10, 5), (10, 5), (10, 20), (10, 2), (10, 2), (10, 9), (10, 20)],
    ]
    assert torch.equal(z, torch.tensor(want, dtype=torch.float32))


def after(levels: Levels, x: torch.Tensor) -> torch.Tensor:
    """u after all cells of the only step."""
    return levels.seen(levels.raw(x)[:, -1], torch.ones(levels.count))


def test_numbers_are_set_apart_from_one_another() -> None:
    torch.manual_seed(0)
    size = 500
    values = torch.linspace(-2, 2, 9)
    cells = [Cell(0, 0, values), Cell(1, 0, 0.01 * values, ((0, 0, 1.0),))]
    levels, x = Levels(cells, (0.0, 0.0), 1), torch.randint(9, (size, 2))
    levels.learn([x[:200], x[200:]])
    u = after(levels, x)
    assert torch.allclose(u.mean(0), torch.zeros(2), atol=1e-4)
    assert torch.allclose(torch.cov(u.T), torch.eye(2), atol=0.02)
    near = torch.tensor([[4, 0], [4, 8]])  # a hundredth of the level apart
    assert float((after(levels, near)[0] - after(levels, near)[1]).norm()) > 1


def test_small_changes_of_changes_are_as_plain_as_levels() -> None:
    torch.manual_seed(0)
    size = 400
    level, change = torch.linspace(-1, 1, 5), torch.linspace(-1e-3, 1e-3, 5)
    cells = [Cell(0, 0, level), Cell(0, 1, 0.1 * level, ((0, 1, 1.0),))]
    cells += [Cell(0, step, change, ((0, 1, 2.0), (0, 2, -1.0))) for step in range(2, 6)]
    levels, x = Levels(cells, (0.0,), 6), torch.randint(5, (size, 6))
    levels.learn([x])
    u = levels(x, torch.arange(6))  # (B, 6, 4) of three steps before and this one
    assert not u[:, 0].any() and not u[:, :, 3].any()  # nothing is said yet of this step
    assert u[:, 1, 0].std() > 0.5
    shown = torch.stack([u[:, 5, 2], change[x[:, 4]]])  # of the step before, the change of its change
    assert abs(float(torch.corrcoef(shown)[0, 1])) > 0.99
    walk = levels.walk(size)
    for place in range(6):
        assert torch.allclose(walk.seen(), u[:, place], atol=1e-3), place
        walk.read(x[:, place])


def test_when_each_step_is_follows_from_when_a_window_begins() -> None:
    clock = Clock("when", dated=True, step=3600.0)
    hours = dates(clock, ((0, 6), (4,), tuple(range(24))), 5)  # January or July, always the same weekday
    assert hours is not None and hours.shape == (2, 24, 5, 2)
    assert hours[0, 22, :, 1].tolist() == [12 + 22, 12 + 23, 12, 13, 14] and set(hours[1, ..., 0].flat) == {6}
    days = dates(Clock("when", dated=True, step=86400.0), ((), tuple(range(7)), ()), 3)
    assert days is not None and days[5, :, 0].tolist() == [5, 6, 0]
    months = dates(Clock("when", dated=True, months=1), (tuple(range(12)), (), ()), 3)
    assert months is not None and months[10, :, 0].tolist() == [10, 11, 0]
    assert dates(Clock("when", dated=True, step=0.0), (tuple(range(12)), (), ()), 3) is None
    whole = dates(Clock("when", dated=True, step=3600.0), (tuple(range(12)), tuple(range(7)), tuple(range(24))), 1)
    assert whole is not None
    want = np.stack(np.meshgrid(range(12), range(7), range(24), indexing="ij"), -1) + [0, 12, 19]
    assert np.array_equal(whole[..., 0, :], want)
    levels = Levels([Cell(), Cell(0, 0, torch.zeros(2)), Cell(0, 1, torch.zeros(2))], (0.0,), 2,
                    dates=torch.tensor([[[0], [1]], [[2], [0]]]))  # fmt: skip
    u = levels(torch.tensor([[0, 0, 0], [1, 0, 0]]), torch.arange(3))[..., -3:]
    assert u.tolist() == [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 1], [1, 0, 0]]]


@pytest.mark.parametrize(("net", "first"), [("transformer", 0), ("transformer", 3), ("gru", 4), ("gru", 6)])
def test_what_is_read_has_the_law_of_what_is_written(net: str, first: int) -> None:
    torch.manual_seed(0)
    codec = tiny()
    model = Model(codec.spec("log_prob"), Settings(width=4, net=net)).eval()
    x = torch.stack([torch.randint(size, (6,)) for size in codec.sizes], 1)
    model.begin([Batch(x)], 6)
    assert model.cells is not None
    for part in model.parameters():
        part.data.add_(0.3 * torch.randn_like(part))
    whole, laws = model.token_log_probs(Batch(x)), []
    reader = CellReader(model, {}, 6)
    with torch.inference_mode():
        laws.append(reader.begin(x[:, :first]))
        laws += [reader.step(x[:, place]) for place in range(first, x.shape[1] - 1)]
    for place, law in enumerate(laws, first):
        told = law.log_softmax(-1).gather(1, x[:, place : place + 1])[:, 0]
        assert torch.allclose(told, whole[:, place], atol=1e-4), place


def test_numbers_seen_are_those_drawn(tmp_path: Path) -> None:
    draw, rows = random.Random(0), ["low,high,load"]
    low = 100.0
    for at in range(900):
        low *= math.exp(draw.gauss(0, 0.02))
        load = 20 + 5 * math.sin(at / 4) + draw.gauss(0, 0.5)
        rows.append(f"{low:.3f},{low * math.exp(abs(draw.gauss(0, 0.01))):.3f},{load:.2f}")
    (tmp_path / "prices.csv").write_text("\n".join(rows))
    items = open_source(tmp_path / "prices.csv", Reading("series")).items
    codec = Codec(Config()).fit(items)
    x = torch.from_numpy(np.concatenate(list(codec.prepare_all(items)))).long()
    made = codec.spec("log_prob").levels
    assert made is not None
    levels = made()
    z = levels.raw(x).numpy()
    for number, track in enumerate(codec.config.tracks):
        told = np.stack([track.scaled(one.rows[:, track.column].astype(float)) for one in codec.decode(x[:200])])
        places = [codec.layout.where[step, number][-1] for step in range(1, codec.config.steps)]
        seen = z[:200, places, number]
        # where a level comes last, it is seen beforehand how it goes on, and no more
        assert np.std(np.diff(seen) - np.diff(told[:, 1:])) < 0.5 * np.std(np.diff(told)), track


def test_smooth_numbers_seen_are_those_drawn(tmp_path: Path) -> None:
    draw, rows = np.random.default_rng(0), ["series,step,x"]
    speed, phase = draw.uniform(0.05, 0.15, 600), draw.uniform(0, 0.5, 600)
    for series in range(600):
        rows += [f"{series},{at},{math.sin(speed[series] * at + phase[series]):.6f}" for at in range(16)]
    (tmp_path / "waves.csv").write_text("\n".join(rows))
    items = open_source(tmp_path / "waves.csv", Reading("series")).items
    codec = Codec(Config()).fit(items)
    x = torch.from_numpy(np.concatenate(list(codec.prepare_all(items)))[:200]).long()
    made = codec.spec("log_prob").levels
    assert made is not None and any(one.curve is not None for one in made().cells)
    told = np.stack([one.rows[:, -1].astype(float) for one in codec.decode(x)])
    seen = made().raw(x).numpy()[:, [codec.layout.where[step, 0][-1] for step in range(codec.config.steps)], 0]
    assert np.abs(seen - told).max() < 5e-3  # a place of the first level, within which a number is drawn, is as wide
    assert np.abs(np.diff(seen, 2) - np.diff(told, 2)).max() < 5e-4
