"""Autoregressive models of token sequences: each token is predicted from those before it, and so they are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.core.errors import OptionError, unknown
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.core.tokens import Manner, counted
from morelike.nn.causal import Cache, Design, Stack, stack
from morelike.nn.cells import Cells
from morelike.nn.prefix import Prefix
from morelike.samplers.ancestral import Dice, Pen, ancestral, lawful

NETS = ("transformer", "lstm", "gru", "rnn")
HEAD = 32  # numbers per head of attention
TOKENS_PER_STEP = 1024  # few: Muon learns more from two small steps than from one of twice the size
TOKENS_WANTED = 5_000_000  # what a run of three minutes should see before a wider net pays
BEGINNING = 32  # batches from which it is seen how the numbers of series lie
AS_IT_COMES = Manner()
DROPOUT = {0: 0.0, 4: 0.1, 20: 0.2, 25: 0.3}  # by how many passes over the data there are at least


@dataclass(frozen=True)
class Config:
    """Settings of an autoregressive model.

    net       transformer | lstm | gru | rnn (which is gru)
    width     the one dial of size: there are 4 x width numbers for each token, and as many blocks as suit it
    depth     blocks; None: as suits the width
    heads     of attention; None: of 32 numbers each
    mlp       auto | relu2 | swiglu | gelu; auto is swiglu
    dropout   share of numbers dropped in training, against over-fitting
    tied      predict with the table of the embedding, which saves weights where the vocabulary is large
    units     numbers for each token; None: 4 x width
    layout    own | gpt2 (Radford et al. 2019: learned positions, LayerNorm, GELU), whose weights others can read
    """

    net: Literal["transformer", "lstm", "gru", "rnn"] = "transformer"
    width: Count = 32
    depth: Count | None = None
    heads: Count | None = None
    mlp: Literal["auto", "relu2", "swiglu", "gelu"] = "auto"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tied: bool = False
    units: Count | None = None
    layout: Literal["own", "gpt2"] = "own"

    def design(self, context: int) -> Design:
        """The stack of blocks that these settings mean."""
        if self.net not in NETS:
            raise unknown("net", self.net, NETS)
        width = self.units or 4 * self.width
        heads = self.heads or max(1, round(width / HEAD))
        if width % heads or (width // heads % 2 and self.layout == "own"):
            raise OptionError(
                f"{heads} heads cannot share the {width} numbers of width {self.width}",
                "Each head needs an even number of them", "Set heads to None, or to a divisor of twice the width",
            )  # fmt: skip
        if self.layout == "gpt2" and self.net != "transformer":
            raise OptionError(f"The net of layout gpt2 is {self.net}", "A transformer", "Leave out --net, or layout")
        design = Design(
            width, self.depth or max(2, round(2 + width / 64)), heads, context,
            "gru" if self.net == "rnn" else self.net, "swiglu" if self.mlp == "auto" else self.mlp,
            dropout=self.dropout,
        )  # fmt: skip
        return design if self.layout == "own" else design.like_gpt2()


class Model(Family):
    """log p(x) = sum_t log p(x_t | x_<t, given), exactly (Bengio et al. 2003; Radford et al. 2018).

    What the sequence is conditioned on stands before it as a prefix of embedded positions, which every token sees and
    which is not predicted. Documents that share a row do not see each other. Cells of a table's row or of a
    window of a series are written in their order; those of each kind have tokens of their own, and those of one step of
    a series are read at once (see `nn.cells`).
    """

    exact, watched = True, True

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        if spec.tokens is None or len(spec.shape) != 1:
            what = "real numbers" if spec.tokens is None else "tokens"
            raise OptionError(
                f"The data are {what} of shape {spec.shape}", "An autoregressive model writes a sequence of tokens",
                "Use --family vae or --family gan for such data",
            )  # fmt: skip
        self.spec, self.config = spec, config
        extra = sum(one.shape[0] if one.tokens and one.shape else 1 for one in spec.given.values())
        design = config.design(spec.shape[0] + extra)
        self.cells = Cells(spec, design) if spec.sizes else None
        self.tokens = self.cells.count if self.cells else spec.tokens
        # positions read in a row, and tokens predicted
        self.context = self.cells.groups if self.cells else spec.shape[0] - (spec.end is not None)
        self.predicted = len(self.cells.asked) if self.cells else self.context
        self.batch = max(4, int(TOKENS_PER_STEP / math.sqrt(self.context * self.predicted)))
        self.examples = max(1, TOKENS_WANTED // self.predicted)
        design = replace(design, context=self.context + extra)
        # without an end there is a token of its own for the beginning
        self.embed = nn.Embedding(self.tokens + (spec.end is None), design.width)
        self.prefix = Prefix(spec.given, design.width)
        self.stack, self.design = stack(design), design
        self.head = nn.Linear(design.width, self.tokens, bias=False)
        self.head.edge = True  # type: ignore[assignment]
        nn.init.normal_(self.embed.weight, std=0.1)
        if self.cells is not None:
            with torch.no_grad():
                self.embed.weight[: self.tokens] += 0.1 * self.cells.words.curves(design.width)
        nn.init.normal_(self.head.weight, std=0.02)
        if config.tied:
            self.head.weight = self.embed.weight

    def optimizers(self) -> dict[str, Optim]:
        """Muon for hidden matrices, AdamW for the rest. Losses are sums over a row, so the norm at which gradients are
        clipped is one for each of its tokens."""
        optim = Optim(
            "muon",
            0.01,
            (0.95, 0.95),
            schedule="linear",
            warmup=0.02,
            cooldown=0.6,
            clip=float(self.predicted),
            rest=0.4,
        )
        return {"model": optim}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in how the numbers of series lie, if these are such."""
        if self.cells is not None and self.cells.levels is not None:
            self.cells.levels.learn(one.x for one in islice(batches, BEGINNING))

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What is read, what is to be predicted from it, and which predictions count: (B, T) each."""
        x = batch.x.long()
        if self.spec.end is None:
            start = x.new_full((len(x), 1), self.tokens)
            return torch.cat([start, x[:, :-1]], 1), x, counted(self.spec, x, x)
        return x[:, :-1], x[:, 1:], counted(self.spec, x[:, :-1], x[:, 1:])

    def _segments(self, before: Tensor, after: Tensor) -> Tensor | None:
        """The number of the document of each position (B, T), or None where every row has just one.

        A document begins at an end that something follows.
        """
        if self.spec.end is None:
            return None
        begins = (before == self.spec.end) & (after != self.spec.end)
        begins[:, 0] = False
        return begins.cumsum(1) if bool(begins.any()) else None

    def hidden(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What each prediction is made from (B, T, width), what is to be predicted, and which count (B, T)."""
        before, after, counts = self._read(batch)
        return self._stacked(self.embed(before), batch.given, self._segments(before, after)), after, counts

    def _stacked(self, x: Tensor, given: Mapping[str, Tensor], segments: Tensor | None) -> Tensor:
        """What the stack says at each position (B, T, width) behind what is given."""
        prefix = self.prefix(given, len(x))
        if prefix is None:
            return self.stack(x, segments)
        (c, there), segments = prefix, None
        if not bool(there.all()):
            segments = F.pad(there.long() - 1, (0, x.shape[1]))  # -1 where nothing is, 0 elsewhere
        return self.stack(torch.cat([c.to(x.dtype), x], 1), segments)[:, c.shape[1] :]

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of texts, logits of every prediction (B, T, tokens), what is to be predicted, and which count (B, T)."""
        h, after, counts = self.hidden(batch)
        return self.head(h), after, counts

    def surprise(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """-log p of every token that is predicted in nats, 0 where it does not count, and which count: (B, T) each."""
        if self.cells is not None:
            x = batch.x.long()
            e, seen = self.embed(self.cells.tokens(x)), self.cells.seen(x)
            h = self._stacked(self.cells.read(e, self.embed.weight[self.tokens], seen), batch.given, None)
            return self.cells.nats(self.cells.apart(h, e, seen), x, self.head.weight), x[:, self.cells.asked] >= 0
        h, after, counts = self.hidden(batch)
        logits = self.head(h[counts]).float()  # no words for the room that is left
        nats = F.cross_entropy(logits, after[counts], reduction="none")
        return nats.new_zeros(counts.shape).masked_scatter(counts, nats), counts

    def play(self, batch: Batch) -> Iterator[Move]:
        nats, counts = self.surprise(batch)
        yield Move("model", nats.sum(1), {"nats": nats.detach().sum() / counts.sum().clamp_min(1)})

    @torch.no_grad()
    def token_log_probs(self, batch: Batch) -> Tensor:
        """(B, T) like `batch.x`: position i is log p(x[i] | before) in nats, 0 where nothing is predicted."""
        nats = self.surprise(batch)[0]
        if self.cells is not None:
            return -self.cells.surprise(batch.x, nats)
        return -nats if self.spec.end is None else F.pad(-nats, (1, 0))

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats."""
        return self.token_log_probs(batch).sum(1)

    def write(
        self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}, prompt: Tensor | None = None,
        manner: Manner = AS_IT_COMES,
    ) -> Iterator[Tensor]:  # fmt: skip
        """After a prompt (B, P) or (1, P), the next tokens (B,), one by one; see `samplers.ancestral`.

        Of a prompt that is longer than the context, the newest part is read. A text that outgrows it goes on: the
        older half of what is remembered is dropped, and the newer read again.
        """
        device, rows = self.embed.weight.device, len(seeds)
        prompt = torch.zeros(1, 0, dtype=torch.long) if prompt is None else prompt.long()
        prompt = prompt.to(device).expand(rows, -1)
        most = self.context if self.spec.end is not None else self.spec.shape[0] - prompt.shape[1]
        length = most if manner.length is None else manner.length
        if self.spec.end is None:
            length = min(length, most)
        reader = Reader(self, given, rows) if self.cells is None else CellReader(self, given, rows)
        pen = Pen(lawful(self.spec, manner), Dice(seeds, device), prompt, self.spec.end)
        return ancestral(lambda: reader.begin(self._opened(prompt)), reader.step, pen, length)

    def _opened(self, prompt: Tensor) -> Tensor:
        """The prompt behind the token that stands before every sequence."""
        first = self.tokens if self.spec.end is None else self.spec.end
        if self.cells is not None:
            return prompt
        if prompt.shape[1] and bool((prompt[:, 0] == first).all()):
            return prompt
        return F.pad(prompt, (1, 0), value=first)

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """(B, T): with an end, it stands before the sequence, after it, and in the room that is left."""
        if not len(seeds):
            return torch.empty(0, *self.spec.shape, dtype=torch.long)
        x = torch.stack(list(self.write(seeds, given)), 1)
        end = self.spec.end
        return x if end is None else F.pad(x, (1, self.context - x.shape[1]), value=end)

    def diagnose(self, history: History) -> str | None:
        recent = history.recent("nats", 10)
        if self.fraction > 0.3 and len(recent) == 10 and sum(recent) / 10 > 0.95 * math.log(self.tokens):
            return (
                f"A token costs {sum(recent) / 10:.2f} nats, about as much as by guessing: nothing is learned. "
                "Try --set lr=0.002, and look whether the tokens have any order."
            )
        return None


class Reader:
    """Reads tokens with a model and tells the logits of the next one, with a cache of what it has read."""

    def __init__(self, model: Model, given: Mapping[str, Tensor], rows: int) -> None:
        self.model, self.rows, self.stack = model, rows, cast(Stack, model.stack)
        with torch.inference_mode():
            self.prefix = model.prefix(given, rows)
        self.room = model.context
        self.slides = model.design.net == "transformer"
        self.recent: list[Tensor] = []
        self.cache: Cache | None = None
        self.table = model.embed.weight.detach()

    def begin(self, tokens: Tensor) -> Tensor:
        """Read a prompt, or the newest part of it that there is room for: (B, P) -> (B, tokens)."""
        tokens = tokens[:, -self.room :] if self.slides else tokens
        self.recent = list(tokens.unbind(1))
        logits = self.model.head(self._opened(self.model.embed(tokens)))
        if (end := self.model.spec.end) is not None:
            logits[tokens[:, -1] == end, end] = -torch.inf  # no text is empty
        return logits

    def _opened(self, x: Tensor) -> Tensor:
        """What the stack says after the prefix and these positions, read anew: (B, P, width) -> (B, width)."""
        segments, before, size = None, 0, x.shape[1]
        if self.prefix is not None:
            c, there = self.prefix
            x, before = torch.cat([c, x], 1), c.shape[1]
            segments = None if bool(there.all()) else F.pad(there.long() - 1, (0, size))
        if self.cache is None:
            self.cache = self.stack.cache(self.rows, before + self.room)
        self.cache.forget()
        return self.stack.read(x, self.cache, segments)[:, -1]

    def step(self, token: Tensor) -> Tensor:
        """Read one more token of each sequence: (B,) -> (B, tokens)."""
        if self.slides:
            self.recent.append(token)
            if len(self.recent) > self.room:
                return self.begin(torch.stack(self.recent[-max(1, self.room // 2) :], 1))
        assert self.cache is not None, "begin comes first"
        return self.model.head(self.stack.read(self.table.index_select(0, token), self.cache))


class CellReader(Reader):
    """The same for cells in fixed places, a group of which is read at once."""

    def __init__(self, model: Model, given: Mapping[str, Tensor], rows: int) -> None:
        super().__init__(model, given, rows)
        assert model.cells is not None, "these are cells"
        self.cells = model.cells
        self.walk = None if self.cells.levels is None else self.cells.levels.walk(rows)
        self.at, self.group = 0, -1  # the cell that comes next, and the group that was read last
        self.inside = self.table[self.cells.count].expand(rows, -1)  # cells of the group so far, added up
        self.h = self.inside

    def begin(self, cells: Tensor) -> Tensor:
        """Read the first cells of rows: (B, P) -> (B, values of the next cell)."""
        for cell in cells.unbind(1):
            self._reach()
            self._take(cell)
        return self._law()

    def step(self, cell: Tensor) -> Tensor:
        """Read one more cell of each row: (B,) -> (B, values of the next cell)."""
        self._take(cell)
        return self._law()

    def _take(self, cell: Tensor) -> None:
        if self.at in self.cells.group_of:
            token = torch.where(cell < 0, self.cells.count, cell + self.cells.begins[self.at])
            self.inside = self.inside + self.table.index_select(0, token)
        if self.walk is not None:
            self.walk.read(cell)
        self.at += 1

    def _reach(self) -> None:
        """Read the cells of the last group, if the next one is of another."""
        if self.cells.group_of.get(self.at, self.group) == self.group:
            return
        x = self.inside if self.walk is None else self.inside + self._seen()
        if self.cache is None:
            self.h = self._opened(x[:, None])
        else:
            self.h = self.stack.read(x, self.cache)
        self.group, self.inside = self.cells.group_of[self.at], torch.zeros_like(self.inside)

    def _seen(self) -> Tensor:
        """What the net sees of the numbers now, (B, width)."""
        assert self.walk is not None and self.cells.sight is not None, "these are cells of a series"
        return self.cells.sight(self.walk.seen())

    def _law(self) -> Tensor:
        """Logits of the values of the next cell (B, values); of a free one, or behind the last, all alike."""
        cells, at = self.cells, self.at
        if at not in cells.group_of:
            return self.table.new_zeros(self.rows, cells.sizes[at] if at < len(cells.sizes) else 1)
        self._reach()
        kind, seen = cells.kind[cells.number_of[at]], None if self.walk is None else self._seen()
        h = cells.inner(self.h, kind, self.inside, seen)
        return F.linear(h, self.model.head.weight[cells.begins[at] : cells.begins[at] + cells.sizes[at]])


def suited(settings: Mapping[str, Any], epochs: float) -> dict[str, Any]:
    """The settings, with what depends on how often each item will be seen, where it was left open.

    What is seen again and again is learnt by heart, and dropout is against that.
    """
    usual = [share for least, share in DROPOUT.items() if epochs >= least]
    return {"dropout": usual[-1], **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=8, depth=2))
