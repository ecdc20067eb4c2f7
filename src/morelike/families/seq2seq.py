"""Encoder and decoder over tokens: a text is made from another, word by word, looking back at what it is made from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.core.tokens import Manner, counted
from morelike.nn.causal import Cache, Design, Memory, Stack, stack
from morelike.nn.prefix import Prefix
from morelike.samplers.ancestral import Dice, Pen, ancestral, lawful
from morelike.samplers.beam import Search, beam_search

NETS = ("transformer", "lstm", "gru", "rnn")
HEAD = 32  # numbers per head of attention
TOKENS_PER_STEP = 2048  # of what is made, its room included
TOKENS_WANTED = 3_000_000  # what a run of three minutes should see before a wider net pays
AS_IT_COMES = Manner()
FEW_EPOCHS, MANY_EPOCHS = 3, 12  # passes from which dropout is 0.1, 0.2


@dataclass(frozen=True)
class Config:
    """Settings of an encoder-decoder.

    net        transformer | lstm | gru | rnn (which is gru), with attention to the source in each case
    width      the one dial of size: there are 4 x width numbers for each token, and as many blocks as suit it
    depth      blocks of the decoder, and as many of the encoder; None: as suits the width
    heads      of attention; None: of 32 numbers each
    mlp        auto | relu2 | swiglu | gelu; auto is swiglu
    dropout    share of numbers dropped in training, against over-fitting
    smoothing  probability that is spread over all tokens in what is to be predicted (Szegedy et al. 2016, section 7)
    tied       one table for source, target and prediction, where both have one vocabulary
    beam       sequences kept when a text is made; 1 draws instead
    penalty    exponent of the length in the score of the search
    """

    net: Literal["transformer", "lstm", "gru", "rnn"] = "transformer"
    width: Count = 32
    depth: Count | None = None
    heads: Count | None = None
    mlp: Literal["auto", "relu2", "swiglu", "gelu"] = "auto"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    tied: bool = True
    beam: Count = 5
    penalty: float = 1.0

    def design(self, context: int) -> Design:
        """The decoder's stack of blocks."""
        width = 4 * self.width
        heads = self.heads or max(1, round(width / HEAD))
        if width % heads or width // heads % 2:
            raise OptionError(
                f"{heads} heads cannot share the {width} numbers of width {self.width}",
                "Each head needs an even number of them", "Set heads to None, or to a divisor of twice the width",
            )  # fmt: skip
        net = "gru" if self.net == "rnn" else self.net
        mlp = "swiglu" if self.mlp == "auto" else self.mlp
        depth = self.depth or max(2, round(1 + width / 96))
        return Design(width, depth, heads, context, net, mlp, dropout=self.dropout, memory=True)


class Model(Family):
    """log p(x | source) = sum_t log p(x_t | x_<t, source), exactly (Sutskever et al. 2014; Vaswani et al. 2017).

    The loop's average of the weights does what averaging the last checkpoints does.
    """

    exact, watched = True, True

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        texts = [one for one in spec.given.values() if one.tokens and len(one.shape) == 1]
        if spec.tokens is None or len(spec.shape) != 1 or spec.end is None or not texts:
            raise OptionError(
                "The tokens of these items are made from no text" if spec.tokens
                else f"The data are real numbers of shape {spec.shape}",
                "seq2seq makes a text from another: --given en --make de",
                "Use --family autoregressive for texts alone, vae or gan for anything else",
            )  # fmt: skip
        self.spec, self.config, self.end = spec, config, spec.end
        self.context = spec.shape[0] - 1
        self.batch = max(8, TOKENS_PER_STEP // self.context)
        self.examples = max(1, TOKENS_WANTED // self.context)
        design = config.design(max(self.context, sum(math.prod(one.shape) or 1 for one in spec.given.values())))
        self.embed = nn.Embedding(spec.tokens, design.width)
        self.source = Prefix(spec.given, design.width)
        self.encoder = stack(replace(design, memory=False, causal=False))
        self.decoder, self.design = stack(design), design
        self.head = nn.Linear(design.width, spec.tokens, bias=False)
        self.head.edge = True  # type: ignore[assignment]
        self._tables()

    def _tables(self) -> None:
        """Small tables, one for all where source and target have the same tokens."""
        for table in (self.embed, *(part for part in self.source.parts if isinstance(part, nn.Embedding))):
            nn.init.normal_(table.weight, std=0.05)
            if self.config.tied and table.num_embeddings == self.embed.num_embeddings:
                table.weight = self.embed.weight
        nn.init.normal_(self.head.weight, std=0.02)
        if self.config.tied:
            self.head.weight = self.embed.weight

    def optimizers(self) -> dict[str, Optim]:
        """Muon for hidden matrices, AdamW for the rest, as for `autoregressive`."""
        optim = Optim(
            "muon", 0.01, (0.95, 0.95), schedule="linear", warmup=0.05, cooldown=0.6, clip=float(self.context), rest=0.3
        )
        return {"model": optim}

    def memory(self, given: Mapping[str, Tensor], rows: int) -> Memory:
        """What the decoder looks back at: the encoded source (B, S, width), and which of it is there."""
        x, there = cast(tuple[Tensor, Tensor], self.source(given, rows))
        segments = None if bool(there.all()) else there.long() - 1
        return Memory(self.encoder(x, segments), there)

    def hidden(self, batch: Batch) -> Tensor:
        """What the decoder makes of x[:, :-1]: (B, T - 1, width)."""
        x = self.embed(batch.x[:, :-1].long())
        return self.decoder(x, None, self.memory(batch.given, len(x)))

    def logits(self, batch: Batch) -> Tensor:
        """Logits of x[:, 1:]: (B, T - 1, tokens)."""
        return self.head(self.hidden(batch))

    def play(self, batch: Batch) -> Iterator[Move]:
        after, counts = batch.x[:, 1:].long(), counted(self.spec, batch.x[:, :-1], batch.x[:, 1:])
        log_p = self.head(self.hidden(batch)[counts]).float().log_softmax(-1)  # no words for the room that is left
        nats = -log_p.gather(1, after[counts][:, None]).squeeze(1)
        cost = (1 - self.config.smoothing) * nats - self.config.smoothing * log_p.mean(1)
        loss = cost.new_zeros(counts.shape).masked_scatter(counts, cost).sum(1)
        yield Move("model", loss, {"nats": nats.detach().sum() / counts.sum().clamp_min(1)})

    @torch.no_grad()
    def token_log_probs(self, batch: Batch) -> Tensor:
        """(B, T) like `batch.x`: position i is log p(x[i] | before, source) in nats, 0 where nothing is predicted."""
        after, counts = batch.x[:, 1:].long(), counted(self.spec, batch.x[:, :-1], batch.x[:, 1:])
        flat = F.cross_entropy(self.logits(batch).float().flatten(0, 1), after.flatten(), reduction="none")
        nats = flat.view_as(after) * counts
        return F.pad(-nats, (1, 0))

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats."""
        return self.token_log_probs(batch).sum(1)

    def write(
        self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}, prompt: Tensor | None = None,
        manner: Manner = AS_IT_COMES,
    ) -> Iterator[Tensor]:  # fmt: skip
        """After a prompt (B, P) or (1, P), the next tokens (B,); a search with a beam tells them when it is over."""
        rows, device, manner = len(seeds), self.embed.weight.device, lawful(self.spec, manner)
        prompt = torch.zeros(1, 0, dtype=torch.long) if prompt is None else prompt.long()
        prompt = prompt.to(device).expand(rows, -1)
        length = min(manner.length or self.context, max(1, self.context - prompt.shape[1]))
        beam = manner.beam or (self.config.beam if self._as_it_comes(manner) else 1)
        if beam > 1:
            penalty = self.config.penalty if manner.penalty is None else manner.penalty
            return self._search(given, prompt, Search(beam, length, self.end, penalty, manner.allowed))
        reader = Reader(self, given, rows)
        pen = Pen(manner, Dice(seeds, device), prompt, self.end)
        return ancestral(lambda: reader.begin(self._opened(prompt)), reader.step, pen, length)

    def _as_it_comes(self, manner: Manner) -> bool:
        return manner.temperature == 1 and not manner.top_k and manner.top_p == 1 and manner.repetition == 1

    def _opened(self, prompt: Tensor) -> Tensor:
        """The newest part of a prompt, behind the end that stands before every text."""
        return F.pad(prompt, (1, 0), value=self.end)[:, -self.context :]

    def _search(self, given: Mapping[str, Tensor], prompt: Tensor, search: Search) -> Iterator[Tensor]:
        with torch.inference_mode():
            opened = self._opened(prompt)
            again = torch.arange(len(opened), device=opened.device).repeat_interleave(search.beam)
            reader = Reader(self, given, len(opened))
            reader.repeat(again)
            found = beam_search(lambda: reader.begin(opened[again]), reader.step, reader.select, search, prompt)
        for token in found.unbind(1):
            yield token
            if bool((token == self.end).all()):
                return

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """(B, T): the end stands before the text, after it, and in the room that is left."""
        if not len(seeds):
            return torch.empty(0, *self.spec.shape, dtype=torch.long)
        x = torch.stack(list(self.write(seeds, given)), 1)
        return F.pad(x, (1, self.context - x.shape[1]), value=self.end)

    def diagnose(self, history: History) -> str | None:
        recent = history.recent("nats", 10)
        if self.fraction > 0.3 and len(recent) == 10 and sum(recent) / 10 > 0.95 * math.log(self.spec.tokens or 2):
            return (
                f"A token costs {sum(recent) / 10:.2f} nats, about as much as by guessing: nothing is learned. "
                "Try --set lr=0.003, and look whether both sides belong together."
            )
        return None


class Reader:
    """Reads tokens with a model and tells the logits of the next one; the source is encoded once."""

    def __init__(self, model: Model, given: Mapping[str, Tensor], rows: int) -> None:
        self.model, self.decoder = model, cast(Stack, model.decoder)
        with torch.inference_mode():
            self.memory = model.memory(given, rows)

    def repeat(self, rows: Tensor) -> None:
        """Several rows for one source."""
        mask = self.memory.mask
        self.memory = Memory(self.memory.x[rows], None if mask is None else mask[rows])

    def begin(self, tokens: Tensor) -> Tensor:
        """Read the beginning of every sequence: (B, P) -> (B, tokens)."""
        self.cache: Cache = self.decoder.cache(len(tokens), self.model.context + 1, self.memory)
        logits = self.model.head(self.decoder.read(self.model.embed(tokens), self.cache)[:, -1])
        if tokens.shape[1] == 1:
            logits[:, self.model.end] = -torch.inf  # no text is empty
        return logits

    def step(self, token: Tensor) -> Tensor:
        """Read one more token of each sequence: (B,) -> (B, tokens)."""
        return self.model.head(self.decoder.read(self.model.embed(token)[:, None], self.cache)[:, 0])

    def select(self, rows: Tensor) -> None:
        self.cache.select(rows)


def suited(settings: Mapping[str, Any], epochs: float) -> dict[str, Any]:
    """The settings, with what depends on how often each item will be seen, where it was left open."""
    return {"dropout": 0.0 if epochs < FEW_EPOCHS else 0.1 if epochs < MANY_EPOCHS else 0.2, **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=8, depth=1, beam=1, dropout=0.0))
