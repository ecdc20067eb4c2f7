"""Training steps of our autoregressive family ("ours"), or of torch's nn.TransformerEncoder with a causal mask
("encoder": GELU, pre-norm, learned positions, tied head, float32, AdamW). Called by bench/text_training_rate.py."""

from __future__ import annotations

from collections.abc import Callable

import stopwatch
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Encoder(nn.Module):
    """The language model that PyTorch's documentation builds from nn.TransformerEncoder: (B, T) -> (B, T, tokens)."""

    def __init__(self, blocks: int, width: int, length: int) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(stopwatch.KINDS, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(
            width,
            width // 32 if width < 200 else width // 64,
            4 * width,
            0.0,
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        self.body = nn.TransformerEncoder(layer, blocks, nn.LayerNorm(width), enable_nested_tensor=False)
        self.mask = nn.Transformer.generate_square_subsequent_mask(length)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.places.weight
        return self.body(h, self.mask, is_causal=True) @ self.embed.weight.T


def encoder(size: tuple[int, int, int, int]) -> tuple[Callable[[], object], nn.Module]:
    blocks, width, rows, length = size
    model = Encoder(blocks, width, length)
    adamw, x = torch.optim.AdamW(model.parameters(), 1e-3), torch.randint(stopwatch.KINDS, (rows, length + 1))

    def step() -> None:
        adamw.zero_grad()
        F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
        adamw.step()

    return step, model


def ours(size: tuple[int, int, int, int]) -> tuple[Callable[[], object], nn.Module]:
    from morelike.core.spec import Batch, Spec
    from morelike.families import autoregressive
    from morelike.train.game import Game

    blocks, width, rows, length = size
    config = autoregressive.Config(width=width // 4, depth=blocks, heads=width // 32 if width < 200 else width // 64)
    model = autoregressive.Model(Spec((length + 1,), tokens=stopwatch.KINDS + 1, end=0), config)
    game, x = Game(model, precision="bfloat16"), torch.randint(1, stopwatch.KINDS + 1, (rows, length + 1))
    return lambda: game.turn(Batch(x), 1, 0.5), model


def main() -> None:
    who, steps, size = stopwatch.arguments()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    import morelike.families.autoregressive
    import morelike.train.game  # noqa: F401  (its memory is not the step's)

    before = stopwatch.resident()
    step, model = (ours if who == "ours" else encoder)(size)
    stopwatch.measure(step, steps, size, sum(p.numel() for p in model.parameters()), before)


if __name__ == "__main__":
    main()
