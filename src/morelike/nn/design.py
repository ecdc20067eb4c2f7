"""What a causal stack looks like, in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Design:
    """What a stack looks like.

    width      numbers per position
    depth      blocks, one above another
    heads      of attention; each gets width / heads numbers
    context    most positions at once
    net        transformer | lstm | gru
    mlp        relu2 | swiglu | gelu
    hidden     width inside the perceptron; 0: 4 x width (as many weights for swiglu, which has three matrices)
    norm       plain (no parameters) | rms | layer (gain and bias)
    positions  rope (rotations) | learned (a vector each) | none
    qk_norm    normalise queries and keys (Henry et al. 2020)
    skips      every block sees the embedded tokens and the first block's values again, by learned amounts
    bias       of the linear maps
    dropout    share of numbers dropped from what each branch adds
    memory     also attend to a memory, as the decoder of an encoder-decoder does
    causal     False: see what comes after too, as an encoder does
    """

    width: int = 128
    depth: int = 4
    heads: int = 4
    context: int = 256
    net: Literal["transformer", "lstm", "gru"] = "transformer"
    mlp: Literal["relu2", "swiglu", "gelu"] = "relu2"
    hidden: int = 0
    norm: Literal["plain", "rms", "layer"] = "plain"
    positions: Literal["rope", "learned", "none"] = "rope"
    qk_norm: bool = True
    skips: bool = True
    bias: bool = False
    dropout: float = 0.0
    memory: bool = False
    causal: bool = True

    def like_gpt2(self) -> Design:
        """The layout of GPT-2 in the same size (Radford et al. 2019)."""
        return replace(self, mlp="gelu", norm="layer", positions="learned", qk_norm=False, skips=False, bias=True)
