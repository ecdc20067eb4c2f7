"""GPT-2 checkpoints: a small one made by hand, its equations written out, and the way there and back."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

import morelike
from morelike.codecs._vocabulary import letters
from morelike.core.errors import DataError, MorelikeError, OptionError, RunError
from morelike.core.spec import Batch
from morelike.core.tokens import Manner
from morelike.run import Run
from morelike.train.folder import read_json
from morelike.weights import bring, export, open_weights

pytest.importorskip("tokenizers")
N, PLACES, LAYERS, HEADS = 12, 16, 2, 2
MERGES = ["t h", "th e", "Ġ the", "e r", "Ġ a", "æ Ĺ"]
TEXT = "the other thé 床 \N{GRINNING FACE} a the\n"
WIDTHS = {"attn.c_attn": (N, 3 * N), "attn.c_proj": (N, N), "mlp.c_fc": (N, 4 * N), "mlp.c_proj": (4 * N, N)}
CONFIG = {"model_type": "gpt2", "n_positions": PLACES, "n_embd": N, "n_layer": LAYERS, "n_head": HEADS,
          "activation_function": "gelu_new"}  # fmt: skip


def vocabulary(first: bool = False) -> dict[str, int]:
    """As GPT-2 has it: visible bytes, hidden bytes, merges, and the end last (or first)."""
    pieces = [*sorted(letters()), *(merge.replace(" ", "") for merge in MERGES)]
    return {piece: i for i, piece in enumerate(["<|endoftext|>", *pieces] if first else [*pieces, "<|endoftext|>"])}


def tensors(tokens: int, tied: bool) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (tokens, N), "wpe.weight": (PLACES, N), "ln_f.weight": (N,)}
    for i in range(LAYERS):
        for part in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{part}.weight": (N,), f"h.{i}.{part}.bias": (N,)}
        for part, shape in WIDTHS.items():
            shapes |= {f"h.{i}.{part}.weight": shape, f"h.{i}.{part}.bias": shape[1:]}
    shapes |= {"ln_f.bias": (N,)} | ({} if tied else {"lm_head.weight": (tokens, N)})
    return {name: torch.randn(shape, generator=generator) * 0.5 for name, shape in shapes.items()}


def reference(w: dict[str, Tensor], tokens: Tensor, tied: bool) -> Tensor:
    """GPT-2 in plain torch: (T,) -> (T, tokens)."""

    def norm(x: Tensor, name: str) -> Tensor:
        y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return y * w[name + ".weight"] + w[name + ".bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[name + ".weight"] + w[name + ".bias"]

    count, size = len(tokens), N // HEADS
    x, unseen = w["wte.weight"][tokens] + w["wpe.weight"][:count], torch.ones(count, count).triu(1).bool()
    for i in range(LAYERS):
        q, k, v = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(N, 1)
        heads = []
        for h in range(HEADS):
            part = slice(h * size, (h + 1) * size)
            scores = (q[:, part] @ k[:, part].T / math.sqrt(size)).masked_fill(unseen, -torch.inf)
            heads.append(scores.softmax(-1) @ v[:, part])
        x = x + linear(torch.cat(heads, 1), f"h.{i}.attn.c_proj")
        u = linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        gelu = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
        x = x + linear(gelu, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ (w["wte.weight"] if tied else w["lm_head.weight"]).T


def checkpoint(folder: Path, first: bool = False, tied: bool = True, whole: bool = True, **changes: Any) -> Path:
    """A folder as transformers saves it: with tokenizer.json if `whole`, else vocab.json and merges.txt."""
    known = vocabulary(first)
    end = known["<|endoftext|>"]
    told = {**CONFIG, "vocab_size": len(known), "eos_token_id": end, "tie_word_embeddings": tied, **changes}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(told))
    weights = tensors(len(known), tied)
    prefix = "transformer." if whole else ""
    masks = {f"{prefix}h.0.attn.bias": torch.ones(1)}  # as old files have them
    named = {("" if name.startswith("lm_") else prefix) + name: value for name, value in weights.items()}
    save_file({**named, **masks}, folder / "model.safetensors")
    model = {"type": "BPE", "vocab": known, "merges": MERGES}
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True, "trim_offsets": True}
    if whole:
        whole_one = {"model": model, "pre_tokenizer": level, "normalizer": None, "added_tokens": []}
        (folder / "tokenizer.json").write_text(json.dumps(whole_one))
    else:
        (folder / "vocab.json").write_text(json.dumps(known))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    return folder


@pytest.mark.parametrize(("first", "tied", "whole"), [(False, True, True), (True, False, False)])
def test_a_checkpoint_computes_what_its_equations_say(first: bool, tied: bool, whole: bool, tmp_path: Path) -> None:
    run = Run.load(bring(checkpoint(tmp_path / "in", first, tied, whole), tmp_path / "run"))
    known = vocabulary(first)
    end = known["<|endoftext|>"]
    to_theirs = torch.tensor([end, *(i for i in range(len(known)) if i != end)])
    tokens = torch.from_numpy(run.codec.tokens(TEXT)).long()[: PLACES - 1]
    row = torch.cat([torch.zeros(1, dtype=torch.long), tokens])
    wanted = reference(tensors(len(known), tied), to_theirs[row], tied)[:, to_theirs]
    found = run.family.logits(Batch(F.pad(row, (0, 1), value=1)[None]))[0][0]  # type: ignore[attr-defined]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    greedy = run.family.write([0], prompt=tokens[None, :3], manner=Manner(temperature=0, length=1))  # type: ignore[attr-defined]
    assert int(next(greedy)) == int(wanted[3].argmax())


def test_tokens_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    run, known = Run.load(bring(checkpoint(tmp_path / "in"), tmp_path / "run")), vocabulary()
    pieces = {number: piece for piece, number in known.items()}
    tokens = run.codec.tokens(TEXT)
    assert [pieces[token - 1] for token in tokens.tolist()][:4] == ["the", "Ġ", "o", "the"]
    assert run.codec.vocabulary.decode(tokens.tolist()) == TEXT


@pytest.mark.parametrize("first", [False, True])
def test_the_words_of_a_special_token_are_text_in_a_text(first: bool, tmp_path: Path) -> None:
    """What a user writes does not end a text, nor give the model a token that only its makers could give it."""
    folder = checkpoint(tmp_path / "in", first, vocab_size=len(vocabulary()) + 1)
    told, size = read_json(folder / "tokenizer.json"), len(vocabulary())
    told["added_tokens"] = [
        {"content": content, "id": number, "special": True, "normalized": False}
        for content, number in (("<|endoftext|>", vocabulary(first)["<|endoftext|>"]), ("<|im_start|>", size))
    ]
    (folder / "tokenizer.json").write_text(json.dumps(told))
    tensor = load_file(folder / "model.safetensors")
    tensor["transformer.wte.weight"] = F.pad(tensor["transformer.wte.weight"], (0, 0, 0, 1))
    save_file(tensor, folder / "model.safetensors")
    codec = Run.load(bring(folder, tmp_path / "run")).codec
    for said in ("the end<|endoftext|>the other", "<|endoftext|>", "<|im_start|>the"):
        tokens = codec.tokens(said).tolist()
        assert min(tokens) > 0 and max(tokens) < size and codec.vocabulary.decode(tokens) == said
        (there,) = codec.decode(codec.encode([codec.tokens(said[:PLACES])]))
        assert there == said[:PLACES]


def test_there_and_back_is_the_same_checkpoint(tmp_path: Path) -> None:
    for tied in (True, False):
        begin = checkpoint(tmp_path / f"in{tied}", tied=tied)
        back = tmp_path / f"out{tied}"
        export(bring(begin, tmp_path / f"run{tied}"), back)
        for name, value in load_file(back / "model.safetensors").items():
            assert torch.equal(value, load_file(begin / "model.safetensors")[name]), name
        assert read_json(back / "tokenizer.json")["model"]["vocab"] == vocabulary()
        config = read_json(begin / "config.json")
        assert config == {name: value for name, value in read_json(back / "config.json").items() if name in config}
        assert open_weights(back).codec["config"] == open_weights(begin).codec["config"]


def test_transformers_opens_what_is_exported(tmp_path: Path) -> None:
    library = pytest.importorskip("transformers")
    export(bring(checkpoint(tmp_path / "in"), tmp_path / "run"), tmp_path / "out")
    model = library.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    row = torch.arange(10)
    wanted = reference(tensors(len(vocabulary()), True), row, True)
    torch.testing.assert_close(model(row[None]).logits[0].detach(), wanted, rtol=0, atol=1e-4)


def edited(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change a JSON file of a checkpoint."""

    def edit(folder: Path) -> None:
        told = read_json(folder / name)
        change(told)
        (folder / name).write_text(json.dumps(told))

    return edit


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "no model"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no such file"),
    "a pickle": (pickled, "pickle, which may run any program"),
    "cut short": (cut, "damaged"),
    "activation": (edited("config.json", lambda told: told.update(activation_function="relu")), "is 'relu'"),
    "scale": (edited("config.json", lambda told: told.update(scale_attn_by_inverse_layer_idx=True)), "inverse_layer"),
    "other model": (edited("config.json", lambda told: told.update(model_type="llama")), "model_type is 'llama'"),
    "inner": (edited("config.json", lambda told: told.update(n_inner=7)), "n_inner is 7"),
    "nonsense": (edited("config.json", lambda told: told.update(n_layer="two")), "n_layer is 'two'"),
    "shapes": (edited("config.json", lambda told: told.update(n_positions=8)), r"wpe.weight has shape \(16, 12\)"),
    "more layers": (edited("config.json", lambda told: told.update(n_layer=3)), r"h.2.ln_1.weight is missing"),
    "fewer layers": (edited("config.json", lambda told: told.update(n_layer=1)), "GPT-2 does not have, such as h.1"),
    "tokenizer": (edited("tokenizer.json", lambda told: told.update(pre_tokenizer={"type": "Split"})), "is cut by"),
    "word pieces": (edited("tokenizer.json", lambda told: told["model"].update(type="WordPiece")), "WordPiece"),
    "lost byte": (edited("tokenizer.json", lambda told: told["model"]["vocab"].pop("Ġ")), "no token for 'Ġ'"),
    "large token": (edited("tokenizer.json", lambda told: told["model"]["vocab"].update(x=999)), "'x' has number 999"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_checkpoint_is_refused_with_the_reason(fault: str, tmp_path: Path) -> None:
    spoil, said = FAULTS[fault]
    spoil(checkpoint(tmp_path / "in"))
    with pytest.raises(DataError, match=said):
        bring(tmp_path / "in", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with some text, a checkpoint, and a run that went on from it for three steps."""
    place = tmp_path_factory.mktemp("weights")
    (place / "book.txt").write_text("\n\n".join(f"{TEXT}{number}" for number in range(40)), encoding="utf-8")
    weights = checkpoint(place / "in")
    morelike.fit(place / "book.txt", weights=weights, steps=3, out=place / "run", show=False)
    shutil.rmtree(weights)
    return place


def test_training_goes_on_from_a_checkpoint_and_resumes_without_it(trained: Path) -> None:
    again = trained / "again"
    shutil.copytree(trained / "run", again)
    (again / "state" / "000000003.safetensors").unlink()
    first = load_file(again / "state" / "000000000.safetensors")
    torch.testing.assert_close(first["live.stack.norm.bias"], tensors(len(vocabulary()), True)["ln_f.bias"])
    run = morelike.resume(again, show=False)
    done = morelike.load(trained / "run")
    for name, value in done.family.state_dict().items():
        assert torch.equal(value, run.family.state_dict()[name]), name
    assert not torch.equal(first["live.head.weight"], done.family.state_dict()["head.weight"])
    assert torch.equal(done.family.embed.weight, done.family.head.weight), "one table, averaged"  # type: ignore[union-attr]
    assert done.recipe["weights"].endswith("in") and done.recipe["train"]["optimizer"] == "adamw"


def test_what_was_trained_is_exported(trained: Path) -> None:
    export(trained / "run", trained / "out")
    run, row = morelike.load(trained / "run"), torch.arange(10)
    theirs = {name.removeprefix("transformer."): v for name, v in load_file(trained / "out/model.safetensors").items()}
    ours = run.family.logits(Batch((row + 1)[None]))[0][0]  # type: ignore[attr-defined]
    wanted = reference(theirs, row, True)
    torch.testing.assert_close(ours, wanted[:9].roll(1, 1), rtol=0, atol=1e-4)
    with pytest.raises(OptionError, match="already exists"):
        export(trained / "run", trained / "out")


def test_a_run_goes_on_from_another_run(trained: Path) -> None:
    run = morelike.fit(trained / "book.txt", weights=trained / "run", steps=1, out=trained / "more", show=False)
    begun = load_file(trained / "more" / "state" / "000000000.safetensors")
    assert torch.equal(
        begun["live.stack.norm.bias"], morelike.load(trained / "run").family.state_dict()["stack.norm.bias"]
    )
    assert run.family.spec.tokens == len(vocabulary())
    for options, said in (({"size": "tiny"}, "--size"), ({"given": "label"}, "--given"), ({"family": "vae"}, "--fam")):
        with pytest.raises(OptionError, match=said):
            morelike.fit(trained / "book.txt", weights=trained / "run", show=False, **options)
    with pytest.raises(RunError, match=r"block.*\(12,\) for this"):
        morelike.fit(trained / "book.txt", weights=trained / "run", show=False, settings={"depth": "3"})


def test_a_model_of_our_own_layout_is_not_exported(trained: Path) -> None:
    morelike.fit(trained / "book.txt", steps=1, size="8", out=trained / "own", show=False)
    with pytest.raises(MorelikeError, match="layout of its own"):
        export(trained / "own", trained / "never")
