"""GPT-2 as others keep it (Radford et al. 2019): what its config.json says, and its tensors under their names and ours.

Their matrices are (into, out), ours (out, into). Their token for the end of a text may be any, ours is 0: the others
keep their order, so that ours are 1 higher where the end was the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from morelike.core.errors import DataError

SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
ONLY: dict[str, tuple[Any, ...]] = {  # what our stack can compute; the first is what is meant where nothing is said
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "quantization_config": (None,),
}
PARTS = {
    "norm1": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
    "norm2": "ln_2", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj",
}  # fmt: skip
FILLS = (".attn.bias", ".attn.masked_bias")  # masks that old files hold beside the weights


class Named(NamedTuple):
    """A tensor: its name here and there, and the shape that it has there."""

    ours: str
    theirs: str
    shape: tuple[int, ...]

    @property
    def turned(self) -> bool:
        """Whether it is a matrix that stands the other way round here."""
        return ".c_" in self.theirs and len(self.shape) == 2


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes in a config.json, and `tied`; a `DataError` for what our stack does not compute."""
    for name, known in ONLY.items():
        if (value := config.get(name, known[0])) not in known:
            raise DataError(
                f"config.json: {name} is {value!r}", f"For GPT-2 here: {' or '.join(map(repr, known))}",
                "Take another checkpoint, or one that was made with this setting",
            )  # fmt: skip
    for name in SIZES:
        if not (isinstance(value := config.get(name), int) and value > 0):
            raise DataError(f"config.json: {name} is {value!r}", "A whole number of at least 1", "Restore the file")
    inner = config.get("n_inner")
    if inner not in (None, 4 * config["n_embd"]):
        raise DataError(f"config.json: n_inner is {inner}", f"4 x n_embd, {4 * config['n_embd']}", "Take another one")
    return {**{name: config[name] for name in SIZES}, "tied": config.get("tie_word_embeddings", True) is not False}


def settings(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The `Config` of the family for these sizes."""
    return {
        "layout": "gpt2", "units": sizes["n_embd"], "width": max(1, sizes["n_embd"] // 4), "depth": sizes["n_layer"],
        "heads": sizes["n_head"], "tied": sizes["tied"],
    }  # fmt: skip


def config(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json for these sizes, the last token being the end."""
    end = sizes["vocab_size"] - 1
    said = {name: known[0] for name, known in ONLY.items() if known[0] is not None}
    return {
        "architectures": ["GPT2LMHeadModel"], **said, **{name: sizes[name] for name in SIZES},
        "n_ctx": sizes["n_positions"], "n_inner": None, "tie_word_embeddings": sizes["tied"],
        "bos_token_id": end, "eos_token_id": end, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
        "dtype": "float32",
    }  # fmt: skip


def names(sizes: Mapping[str, Any]) -> list[Named]:
    """Every tensor of a model of these sizes; the table of a tied head comes twice."""
    tokens, places, n = sizes["vocab_size"], sizes["n_positions"], sizes["n_embd"]
    widths = {"attn.c_attn": (n, 3 * n), "attn.c_proj": (n, n), "mlp.c_fc": (n, 4 * n), "mlp.c_proj": (4 * n, n)}
    found = [Named("embed.weight", "wte.weight", (tokens, n))]
    found += [Named("stack.positions.weight", "wpe.weight", (places, n))]
    for block in range(sizes["n_layer"]):
        for ours, theirs in PARTS.items():
            begin, shape = (f"stack.blocks.{block}.{ours}", f"h.{block}.{theirs}"), widths.get(theirs, (n,))
            found += [Named(f"{begin[0]}.weight", f"{begin[1]}.weight", shape),
                      Named(f"{begin[0]}.bias", f"{begin[1]}.bias", shape[-1:])]  # fmt: skip
    found += [Named(f"stack.norm.{kind}", f"ln_f.{kind}", (n,)) for kind in ("weight", "bias")]
    return [*found, Named("head.weight", "wte.weight" if sizes["tied"] else "lm_head.weight", (tokens, n))]


def read(tensors: Mapping[str, Tensor], sizes: Mapping[str, Any], end: int) -> dict[str, Tensor]:
    """Their tensors as our state; a `DataError` names the first that is missing or has another shape."""
    plain = {name.removeprefix("transformer."): value for name, value in tensors.items()}
    found: dict[str, Tensor] = {}
    for one in names(sizes):
        if one.theirs not in plain:
            raise DataError(f"The tensor {one.theirs} is missing", f"One of shape {one.shape}", "Restore the file")
        value = plain[one.theirs]
        if tuple(value.shape) != one.shape or not value.is_floating_point():
            raise DataError(
                f"The tensor {one.theirs} has shape {tuple(value.shape)}, {value.dtype}",
                f"By config.json floating-point numbers of shape {one.shape}", "Restore config.json, or the tensors",
            )  # fmt: skip
        value = value.float().t().contiguous() if one.turned else value.float()
        found[one.ours] = torch.cat([value[end : end + 1], value[:end], value[end + 1 :]]) if _rows(one) else value
    _nothing_else(set(plain), {one.theirs for one in names(sizes)} | {"lm_head.weight"})
    return found


def written(state: Mapping[str, Tensor], sizes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Our state as their tensors; the end becomes the last token."""
    found: dict[str, Tensor] = {}
    for one in names(sizes):
        value = state[one.ours].detach().float().cpu()
        value = value.t() if one.turned else value.roll(-1, 0) if _rows(one) else value
        prefix = "" if one.theirs.startswith("lm_head") else "transformer."
        found[prefix + one.theirs] = value.contiguous().clone()
    return found


def _rows(one: Named) -> bool:
    """Whether there is a row for each token."""
    return one.ours in ("embed.weight", "head.weight")


def _nothing_else(there: set[str], known: set[str]) -> None:
    odd = sorted(name for name in there - known if not name.endswith(FILLS))
    if odd:
        raise DataError(
            f"There are {len(odd)} tensors that GPT-2 does not have, such as {odd[0]}",
            "Those of the layers that config.json names", "Take a checkpoint of the model alone, or correct n_layer",
        )  # fmt: skip
