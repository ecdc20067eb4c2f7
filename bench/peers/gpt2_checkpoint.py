"""GPT-2 by `transformers` 5: make a checkpoint with fresh weights, or tell what a checkpoint computes.

    python bench/peers/gpt2_checkpoint.py make FOLDER --size LAYERS WIDTH HEADS PLACES TOKENS [--first] [--untied]
    python bench/peers/gpt2_checkpoint.py tell FOLDER --texts TEXTS.json --out FOUND.safetensors

Runs in an environment of its own, with torch and transformers 5. The weights are drawn larger than those that GPT-2
begins with, so that logits differ by whole numbers. `--first` gives the end of a text the first number, not the last.
What is told: the numbers of the tokens of each text, the logits behind <|endoftext|> and the text, and what follows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

END = "<|endoftext|>"
MOST = 24  # tokens of a continuation
TAUGHT = Path(__file__).resolve().parents[2]  # the words of this repository


def tokenizer(tokens: int, first: bool) -> GPT2TokenizerFast:
    """A byte-level BPE, learnt from the pages and programs of this repository."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=tokens - (not first), special_tokens=[END] if first else [], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    files = sorted(TAUGHT.glob("*.md")) + sorted((TAUGHT / "docs").rglob("*.md")) + sorted(TAUGHT.glob("src/**/*.py"))
    made.train([str(path) for path in files], trainer)
    made.add_special_tokens([END])
    return GPT2TokenizerFast(tokenizer_object=made, bos_token=END, eos_token=END, unk_token=END)


def make(given: argparse.Namespace) -> None:
    layers, width, heads, places, tokens = given.size
    written = tokenizer(tokens, given.first)
    torch.manual_seed(0)
    end = written.convert_tokens_to_ids(END)
    config = GPT2Config(
        vocab_size=len(written), n_positions=places, n_embd=width, n_layer=layers, n_head=heads,
        bos_token_id=end, eos_token_id=end, tie_word_embeddings=not given.untied, initializer_range=0.08,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    for p in model.parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, float(p.mean()), 0.1)
    model.save_pretrained(given.folder)
    written.save_pretrained(given.folder)


@torch.no_grad()
def tell(given: argparse.Namespace) -> None:
    model = AutoModelForCausalLM.from_pretrained(given.folder, attn_implementation="eager").eval()
    reader = AutoTokenizer.from_pretrained(given.folder)
    end, places, found = model.config.eos_token_id, model.config.n_positions, {}
    found["end"] = torch.tensor([end])
    for number, text in enumerate(json.loads(given.texts.read_text(encoding="utf-8"))):
        tokens = torch.tensor(reader(text)["input_ids"])
        assert reader.decode(tokens) == text, text
        begin = torch.cat([torch.tensor([end]), tokens])[None, : places // 2]
        found[f"{number}.tokens"] = tokens
        found[f"{number}.logits"] = model(begin).logits[0].contiguous()
        greedy = {"max_new_tokens": min(MOST, places // 2), "do_sample": False, "pad_token_id": end}
        after = model.generate(begin, attention_mask=torch.ones_like(begin), **greedy)
        found[f"{number}.greedy"] = after[0, begin.shape[1] :].contiguous()
    save_file(found, given.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=("make", "tell"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, nargs=5, default=(3, 48, 4, 64, 800))
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    (make if given.verb == "make" else tell)(given)


if __name__ == "__main__":
    main()
