"""A plain PyTorch language model on characters with nanoGPT's settings for a CPU, its loop and its way to generate.

    python bench/peers/nanogpt_like.py --data input.txt --out result.json [--iterations 2000]

Four layers of 128 units, 4 heads, blocks of 64 characters, batches of 12, 2,000 iterations: pre-norm GPT-2 blocks
(LayerNorm, GELU, learned positions, the head tied to the embedding, residual projections started smaller by the square
root of their number), AdamW (0.9, 0.99) with weight decay 0.1 on matrices, rate 1e-3 after 100 steps of warm-up down to
1e-4 along a cosine, gradients clipped at 1, dropout 0, float32, eager. Written from the README's description of
karpathy/nanoGPT (config/train_shakespeare_char.py with the options that it gives for a MacBook); no code of it is used.

The last tenth of the file is for validation, all of it, in windows of one block. Expected (two Zen 4 cores, idle):
42 to 44 ms an iteration, 88 s in all, 1.88 to 1.90 nats a character.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS, WIDTH, HEADS, BLOCK, BATCH = 4, 128, 4, 64, 12


class Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (B, T, width) -> same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm_1(x)).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, heads, T, d)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class GPT(nn.Module):
    """Logits of the next token at every position: (B, T) -> (B, T, tokens)."""

    def __init__(
        self, tokens: int, layers: int = LAYERS, width: int = WIDTH, heads: int = HEADS, block: int = BLOCK
    ) -> None:
        super().__init__()
        self.block = block
        self.embed, self.places = nn.Embedding(tokens, width), nn.Embedding(block, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, tokens, bias=False)
        for name, p in self.named_parameters():
            if p.ndim > 1:
                last = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if last else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.places.weight[: x.shape[1]]
        for layer in self.layers:
            h = layer(h)
        return self.head(self.norm(h))


@torch.no_grad()
def generate(model: GPT, x: Tensor, count: int) -> Tensor:
    """The plain loop: everything is computed again for each new token, (B, P) -> (B, P + count)."""
    for _ in range(count):
        logits = model(x[:, -model.block :])[:, -1]
        x = torch.cat([x, torch.multinomial(logits.softmax(-1), 1)], 1)
    return x


def optimizer(model: nn.Module) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, 1e-3, (0.9, 0.99))


def rate(step: int, steps: int) -> float:
    """Linear warm-up over 100 steps, then a cosine from 1e-3 to 1e-4."""
    if step < 100:
        return 1e-3 * (step + 1) / 101
    return 1e-4 + 0.5 * (1e-3 - 1e-4) * (1 + math.cos(math.pi * (step - 100) / max(1, steps - 100)))


def train_step(model: nn.Module, adamw: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    adamw.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adamw.step()


@torch.no_grad()
def held_out(model: nn.Module, tokens: Tensor, block: int = BLOCK) -> float:
    """Nats per token over all windows of one block that the tokens hold."""
    count = (len(tokens) - 1) // block
    x = tokens[: count * block].view(count, block)
    y = tokens[1 : count * block + 1].view(count, block)
    pairs = zip(x.split(64), y.split(64), strict=True)
    losses = [F.cross_entropy(model(a).flatten(0, 1), b.flatten()) * len(a) for a, b in pairs]
    return float(torch.stack(losses).sum()) / count


def encoded(path: Path) -> tuple[Tensor, Tensor, int]:
    """Characters as tokens: the first nine tenths, the rest, and how many kinds there are."""
    text = path.read_text(encoding="utf-8")
    kinds = {letter: number for number, letter in enumerate(sorted(set(text)))}
    tokens = torch.tensor([kinds[letter] for letter in text])
    cut = int(0.9 * len(tokens))
    return tokens[:cut], tokens[cut:], len(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--every", type=int, default=250, help="iterations from one validation to the next (not timed)")
    given = parser.parse_args()
    torch.manual_seed(1337)
    train, held, kinds = encoded(given.data)
    model = GPT(kinds)
    adamw, spent, curve = optimizer(model), 0.0, []
    for step in range(given.iterations):
        begin = time.perf_counter()
        for group in adamw.param_groups:
            group["lr"] = rate(step, given.iterations)
        at = torch.randint(len(train) - BLOCK, (BATCH,))
        x = torch.stack([train[i : i + BLOCK] for i in at])
        y = torch.stack([train[i + 1 : i + 1 + BLOCK] for i in at])
        train_step(model, adamw, x, y)
        spent += time.perf_counter() - begin
        if (step + 1) % given.every == 0 or step + 1 == given.iterations:
            curve.append([step + 1, round(spent, 2), round(held_out(model, held), 4)])
            print(*curve[-1], flush=True)
    found = {
        "seconds": spent, "ms": 1000 * spent / given.iterations, "nats": curve[-1][2], "curve": curve,
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip
    given.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
