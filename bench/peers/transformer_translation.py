"""A plain translator of torch's own nn.Transformer, trained for a given wall time; the peer of text_translation.py.

    python bench/peers/transformer_translation.py --data multi30k/train --test multi30k/val --from en --to de --out o

Pre-norm, 3 + 3 layers of 256 units and 8 heads, feed-forward 1,024, dropout 0.2, sinusoidal positions, one table for
source, target and output, label smoothing 0.1, Adam (0.9, 0.98) at 1e-3 with 400 steps of warm-up and an inverse square
root after them, 96 pairs of like length a batch, gradients clipped at 1, float32. A joint BPE vocabulary of 2,048.
Greedy search.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

PAD, BEGIN, END = 0, 1, 2
BATCH, WIDTH, PEAK, WARMUP = 96, 256, 1e-3, 400


class Translator(nn.Module):
    """Logits of the next target token: source (B, S), target (B, T) -> (B, T, tokens)."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, WIDTH, padding_idx=PAD)
        nn.init.normal_(self.embed.weight, std=WIDTH**-0.5)
        self.net = nn.Transformer(WIDTH, 8, 3, 3, 1024, 0.2, batch_first=True, norm_first=True)
        place, wave = torch.arange(512)[:, None], torch.exp(-math.log(10_000) * torch.arange(0, WIDTH, 2) / WIDTH)
        self.places: Tensor
        self.register_buffer("places", torch.stack([(place * wave).sin(), (place * wave).cos()], -1).flatten(1))

    def placed(self, x: Tensor) -> Tensor:
        return F.dropout(self.embed(x) * WIDTH**0.5 + self.places[: x.shape[1]], 0.2, self.training)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(self.encode(source), source, target)

    def encode(self, source: Tensor) -> Tensor:
        return self.net.encoder(self.placed(source), src_key_padding_mask=source == PAD)

    def decode(self, memory: Tensor, source: Tensor, target: Tensor) -> Tensor:
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1]).isinf()
        hidden = self.net.decoder(
            self.placed(target), memory, tgt_mask=causal, tgt_is_causal=True, tgt_key_padding_mask=target == PAD,
            memory_key_padding_mask=source == PAD,
        )  # fmt: skip
        return hidden @ self.embed.weight.T


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def tokenizer(texts: list[str]) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=2048, special_tokens=["<pad>", "<s>", "</s>"]))
    return made


def padded(rows: list[list[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def train(model: Translator, pairs: list[tuple[list[int], list[int]]], seconds: float) -> int:
    """Steps taken in so many seconds."""
    optimizer = torch.optim.Adam(model.parameters(), PEAK, (0.9, 0.98), eps=1e-9)
    began, step, generator = time.perf_counter(), 0, torch.Generator().manual_seed(0)
    while True:
        order = sorted(torch.randperm(len(pairs), generator=generator).tolist(), key=lambda i: len(pairs[i][1]))
        groups = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        for place in torch.randperm(len(groups), generator=generator).tolist():
            if time.perf_counter() - began > seconds:
                return step
            source, target = (padded([pairs[i][side] for i in groups[place]]) for side in (0, 1))
            logits = model(source, target[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            step += 1
            optimizer.param_groups[0]["lr"] = PEAK * min(step / WARMUP, (WARMUP / step) ** 0.5)
            optimizer.step()


@torch.inference_mode()
def translate(model: Translator, rows: list[list[int]]) -> list[list[int]]:
    found: list[list[int]] = []
    for at in range(0, len(rows), 64):
        source = padded(rows[at : at + 64])
        target = torch.full((len(source), 1), BEGIN)
        memory = model.encode(source)
        for _ in range(60):
            token = model.decode(memory, source, target)[:, -1].argmax(-1)
            target = torch.cat([target, torch.where((target == END).any(1), PAD, token)[:, None]], 1)
            if bool((target == END).any(1).all()):
                break
        found += [[token for token in row if token > END] for row in target.tolist()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("--data", "--test", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="target", required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    torch.manual_seed(0)
    sides = [lines(given.data.with_suffix(f".{one}")) for one in (given.source, given.target)]
    words = tokenizer(sides[0] + sides[1])
    a, b = ([one.ids for one in words.encode_batch(side)] for side in sides)
    pairs = [(x + [END], [BEGIN, *y, END]) for x, y in zip(a, b, strict=True)]
    model = Translator(words.get_vocab_size())
    steps = train(model, pairs, 60 * given.minutes)
    test = [one.ids + [END] for one in words.encode_batch(lines(given.test.with_suffix(f".{given.source}")))]
    made = [words.decode(row) for row in translate(model.eval(), test)]
    parameters = sum(map(torch.numel, model.parameters()))
    given.out.write_text(json.dumps({"steps": steps, "parameters": parameters, "made": made}, ensure_ascii=False))


if __name__ == "__main__":
    main()
