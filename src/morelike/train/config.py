"""Settings of training that hold for every family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from morelike.core.spec import Count

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Config:
    """How to train; None means: as the family recommends, or as the planner measures.

    batch         examples per step; None: as suits the family
    precision     auto | float32 | bfloat16; auto measures both when minutes are given, else float32
    threads       CPU threads; None: as many as pay on this machine now
    accumulate    microbatches per step, to save memory
    average       width of the power-law average of the weights that is sampled from, as a share of the run; 0: none
    device        auto | cpu | cuda
    compile       compile the networks (worth it on a GPU and in long runs; on CPU convolutions get slower)
    optimizer     sgd | adam | adamw | muon
    lr            peak learning rate
    schedule      constant | cosine | linear
    warmup, cooldown, weight_decay, clip  as in core.family.Optim
    picture       seconds between two sheets of samples; None: about thirty in a run
    save          seconds between two states from which the run could be resumed
    tensorboard   also write TensorBoard events (extra "log")
    """

    batch: Count | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: Count | None = None
    accumulate: Count = 1
    average: Share | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    optimizer: Literal["sgd", "adam", "adamw", "muon"] | None = None
    lr: Positive | None = None
    schedule: Literal["constant", "cosine", "linear"] | None = None
    warmup: Share | None = None
    cooldown: Share | None = None
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    clip: Positive | None = None
    picture: Positive | None = None
    save: Positive = 20.0
    tensorboard: bool = False
