"""The autoregressive family: packing, chain rule, writing, and the samplers against a plain computation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import History
from morelike.core.spec import Batch, Spec
from morelike.core.tokens import Manner, Writes
from morelike.families import autoregressive
from morelike.families.autoregressive import Config, Model
from morelike.samplers.ancestral import BLOCK, Dice, Pen, invert, narrowed

TEXT = Spec((13,), tokens=7, end=0)
GIVEN = {"form": Spec((), tokens=3), "title": Spec((6,), tokens=5, end=0), "size": Spec((2,))}
NETS = ("transformer", "lstm", "gru")
CLOSE = {"rtol": 0.0, "atol": 1e-5}


def scrambled(spec: Spec = TEXT, net: str = "transformer", seed: int = 0) -> Model:
    """A model with opinions, as one has that was trained."""
    torch.manual_seed(seed)
    model = Model(spec, Config(net=net, width=8, depth=2)).eval()  # type: ignore[arg-type]
    for p in model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=2 * p.shape[-1] ** -0.5)
    return model


def written(model: Model, seeds: list[int], **options: object) -> Tensor:
    return torch.stack(list(model.write(seeds, **options)), 1)  # type: ignore[arg-type]


def conditions(n: int) -> dict[str, Tensor]:
    title = torch.tensor([[0, 1, 2, 3, 0], [0, 4, 0, 0, 0], [0, 2, 2, 0, 0], [0, 0, 0, 0, 0]])
    return {"form": torch.arange(n) % 3, "title": title[torch.arange(n) % 4], "size": torch.randn(n, 2)}


nets = pytest.mark.parametrize("net", NETS)


@nets
def test_packed_documents_cost_what_they_cost_alone(net: str) -> None:
    model = scrambled(net=net)
    packed = torch.tensor([[0, 1, 2, 3, 0, 4, 5, 0, 0, 6, 0, 0, 0]])
    alone = [[0, 1, 2, 3, 0], [0, 4, 5, 0], [0, 6, 0]]
    costs = torch.stack([model.log_prob(Batch(torch.tensor([one])))[0] for one in alone])
    torch.testing.assert_close(model.log_prob(Batch(packed))[0], costs.sum(), **CLOSE)
    tokens = model.token_log_probs(Batch(packed))
    assert tokens.shape == packed.shape
    assert (tokens[0] != 0).tolist() == [i not in (0, 8, 11, 12) for i in range(13)], (
        "an end after an end costs nothing"
    )


@nets
def test_a_batch_may_be_shorter_than_the_context(net: str) -> None:
    model, row = scrambled(net=net), torch.tensor([[0, 1, 2, 3, 0]])
    longer = nn.functional.pad(row, (0, 8))
    torch.testing.assert_close(model.log_prob(Batch(row)), model.log_prob(Batch(longer)), **CLOSE)


@nets
def test_a_prompt_and_what_follows_have_the_probability_of_the_whole(net: str) -> None:
    """log p(x) = sum of what each step of writing gave the token it drew."""
    model, prompt = scrambled(net=net), torch.tensor([[3, 1]])
    pen_logits: list[Tensor] = []
    model.head.register_forward_hook(lambda _module, _x, out: pen_logits.append(out.clone()))
    drawn = written(model, list(range(5)), prompt=prompt, manner=Manner(length=9))
    steps = torch.stack([logits.log_softmax(-1) for logits in pen_logits], 1)  # (B, t, tokens)
    spent = steps.gather(2, drawn[..., None]).squeeze(2)
    whole = torch.cat([torch.zeros(5, 1, dtype=torch.long), prompt.expand(5, -1), drawn], 1)
    found = model.token_log_probs(Batch(whole))[:, 3:]
    torch.testing.assert_close(torch.where(found != 0, spent, 0), found, **CLOSE)


@nets
def test_a_seed_means_the_same_text_at_any_batch_size(net: str) -> None:
    model = scrambled(net=net)
    many = written(model, list(range(40)), manner=Manner(length=30))
    for seeds in ([17], [3, 39, 4]):
        few = written(model, seeds, manner=Manner(length=30))
        assert torch.equal(few, many[seeds][:, : few.shape[1]])


@nets
def test_samples_begin_and_end_with_the_end(net: str) -> None:
    x = scrambled(net=net).sample(range(60))
    assert x.shape == (60, 13) and not x[:, 0].any()
    assert x[:, 1].all(), "no text is empty"
    for row in x.tolist():
        end = row.index(0, 1) if 0 in row[1:] else 13
        assert not any(row[end:]), "nothing comes after an end"


def test_conditions_are_a_prefix_whose_padding_is_not_felt() -> None:
    model = scrambled(Spec((13,), tokens=7, end=0, given=GIVEN))
    given, x = conditions(4), torch.tensor([[0, 1, 2, 3, 0, 0]] * 4)
    found = model.log_prob(Batch(x, given))
    for i in range(4):
        one = {name: value[i : i + 1] for name, value in given.items()}
        length = int((one["title"][0] > 0).sum()) + 2
        one["title"] = one["title"][:, :length]  # no padding at all
        torch.testing.assert_close(model.log_prob(Batch(x[i : i + 1, :5], one)), found[i : i + 1], **CLOSE)
    for name in given:
        swapped = {**given, name: given[name].roll(1, 0)}
        assert (model.log_prob(Batch(x, swapped)) - found).abs().max() > 1e-4, name


@nets
def test_with_conditions_writing_follows_the_full_computation(net: str) -> None:
    model, given = scrambled(Spec((13,), tokens=7, end=0, given=GIVEN), net), conditions(4)
    seen: list[Tensor] = []
    model.head.register_forward_hook(lambda _module, _x, out: seen.append(out.clone()))
    drawn = written(model, [1, 2, 3, 4], given=given, manner=Manner(length=8))
    steps = torch.stack([logits.log_softmax(-1) for logits in seen], 1).gather(2, drawn[..., None]).squeeze(2)
    found = model.token_log_probs(Batch(nn.functional.pad(drawn, (1, 0)), given))[:, 1:]
    torch.testing.assert_close(torch.where(found != 0, steps, 0), found, **CLOSE)
    with pytest.raises(OptionError, match="title"):
        model.sample([1], {"form": torch.tensor([1])})


def test_without_an_end_every_token_counts_and_the_length_is_fixed() -> None:
    model, x = scrambled(Spec((6,), tokens=5)), torch.randint(0, 5, (3, 6))
    assert (model.token_log_probs(Batch(x)) < 0).all() and model.sample(range(4)).shape == (4, 6)
    assert written(model, [1, 2], prompt=torch.tensor([[1, 2]])).shape == (2, 4)


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    model = scrambled(Spec((3,), tokens=4))
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    assert float(model.log_prob(Batch(every)).exp().sum()) == pytest.approx(1, abs=1e-4)


@nets
def test_a_text_outgrows_the_context(net: str) -> None:
    model = scrambled(net=net)
    never = Manner(length=50, allowed=lambda so_far: torch.arange(7).expand(len(so_far), -1) > 0)
    long = written(model, [1, 2], manner=never, prompt=torch.randint(1, 7, (2, 40)))
    assert long.shape == (2, 50) and (long > 0).all()


def test_of_a_long_prompt_the_newest_part_is_read() -> None:
    model, tail = scrambled(), torch.randint(1, 7, (2, 12))
    first, second = (
        written(model, [1, 2], prompt=torch.cat([torch.full((2, 30), fill), tail], 1), manner=Manner(length=1))
        for fill in (1, 5)
    )
    assert torch.equal(first, second)


@nets
def test_greedy_takes_the_likeliest_whatever_the_seed(net: str) -> None:
    model = scrambled(net=net)
    found = written(model, [1, 2], manner=Manner(temperature=0, length=6))
    assert torch.equal(found[0], found[1])
    so_far = torch.zeros(1, 1, dtype=torch.long)
    for token in found[0].tolist():
        asked = Batch(torch.cat([so_far.expand(7, -1), torch.arange(7)[:, None]], 1))
        costs = model.token_log_probs(asked)[:, -1]
        costs[0] = -torch.inf if so_far.shape[1] == 1 else costs[0]  # no text is empty
        assert token == int(costs.argmax())
        so_far = torch.cat([so_far, torch.tensor([[token]])], 1)


def test_draws_follow_the_probabilities() -> None:
    logits, n = torch.randn(5) * 2, 20_000
    u = (torch.arange(n)[:, None] + 0.5) / n
    shares = torch.bincount(invert(logits.expand(n, -1), u), minlength=5) / n
    torch.testing.assert_close(shares, logits.softmax(0), rtol=0, atol=2e-4)


def test_dice_roll_the_same_numbers_alone_and_together() -> None:
    many, one = Dice([5, 6, 7]), Dice([6])
    rolls = [(many.roll()[1], one.roll()[0]) for _ in range(2 * BLOCK + 3)]
    assert all(torch.equal(a, b) for a, b in rolls) and len({float(a) for a, _ in rolls}) > BLOCK


def test_top_k_and_top_p_keep_what_a_plain_computation_keeps() -> None:
    for seed in range(20):
        logits = torch.randn(1, 9, generator=torch.Generator().manual_seed(seed))
        kept = narrowed(logits, Manner(top_k=4)).isfinite()[0]
        assert set(kept.nonzero().flatten().tolist()) == set(logits[0].argsort(descending=True)[:4].tolist())
        kept = narrowed(logits, Manner(top_p=0.7)).isfinite()[0]
        p, wanted, total = logits.softmax(-1)[0], [], 0.0
        for token in p.argsort(descending=True).tolist():
            if total >= 0.7:
                break
            wanted.append(token)
            total += float(p[token])
        assert set(kept.nonzero().flatten().tolist()) == set(wanted)
    assert torch.equal(narrowed(logits, Manner(top_k=50)), logits)


def test_repetition_makes_what_was_written_less_likely_but_not_the_end() -> None:
    pen = Pen(Manner(temperature=0, repetition=2.0), Dice([0]), torch.tensor([[0, 3, 4]]), end=0)
    assert pen.draw(torch.tensor([[-3.0, 1.1, 0.0, 2.0, -1.0]])).tolist() == [1]
    assert pen.draw(torch.tensor([[-3.0, 1.9, 1.0, 1.9, -1.0]])).tolist() == [2]
    assert pen.draw(torch.tensor([[-3.0, -1.6, -3.1, -1.6, -1.6]])).tolist() == [0]


def test_masks_are_obeyed_and_a_dead_end_ends() -> None:
    model = scrambled()

    def allowed(so_far: Tensor) -> Tensor:
        """Ones and twos in turn, three times; then nothing."""
        mask = torch.zeros(len(so_far), 7, dtype=torch.bool)
        if so_far.shape[1] < 6:
            mask[:, 1 + so_far.shape[1] % 2] = True
        return mask

    for temperature in (0.0, 1.0):
        manner = Manner(allowed=allowed, temperature=temperature)
        assert written(model, [1, 2, 3], manner=manner).tolist() == [[1, 2, 1, 2, 1, 2, 0]] * 3


def test_it_writes_and_says_so() -> None:
    assert (
        isinstance(scrambled(), Writes) and not scrambled().token_log_probs(Batch(torch.tensor([[0, 1]]))).requires_grad
    )


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="5 heads"):
        Model(TEXT, Config(width=8, heads=5))


def test_a_model_that_guesses_is_told_of() -> None:
    model, history = autoregressive.tiny(TEXT), History()
    for _ in range(10):
        history.add({"nats": 1.945})
    model.fraction = 0.5
    assert "guessing" in str(model.diagnose(history))
    history.add({"nats": 0.5})
    assert model.diagnose(history) is None
