"""Settings of training that hold for every family."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """How to train; None means: as the family recommends, or as the planner measures.

    batch         examples per step
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
    tensorboard   also write TensorBoard events (extra "log")
    """

    batch: int = 64
    precision: str = "auto"
    threads: int | None = None
    accumulate: int = 1
    average: float | None = None
    device: str = "auto"
    compile: bool = False
    optimizer: str | None = None
    lr: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    cooldown: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    picture: float | None = None
    tensorboard: bool = False
