"""Training steps of `transformers`' GPT-2: float32, eager, AdamW as it comes, no dropout. Called by
bench/text_training_rate.py with the interpreter that has the library."""

from __future__ import annotations

import stopwatch
import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main() -> None:
    _, steps, size = stopwatch.arguments()
    blocks, width, rows, length = size
    torch.set_num_threads(2)
    torch.manual_seed(0)
    before = stopwatch.resident()
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=stopwatch.KINDS, n_positions=length, n_embd=width, n_layer=blocks,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            n_head=width // (32 if width < 200 else 64), use_cache=False, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
    adamw, x = torch.optim.AdamW(model.parameters(), 1e-3), torch.randint(stopwatch.KINDS, (rows, length))

    def step() -> None:
        adamw.zero_grad()
        model(input_ids=x, labels=x).loss.backward()
        adamw.step()

    stopwatch.measure(step, steps, size, sum(p.numel() for p in model.parameters()), before)


if __name__ == "__main__":
    main()
