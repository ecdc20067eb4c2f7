"""torch's optimizers without their calls into torch's compiler, whose import takes as long as that of torch itself.

torch asks `torch._dynamo` at every step and every change of parameters not to compile them. Nothing here is compiled,
so the functions below that are called as they stand: the same arithmetic, and a run that begins seconds sooner.
"""

from __future__ import annotations

from inspect import unwrap

import torch
from torch import optim


class Optimizer(optim.Optimizer):
    """torch's base class, of which own optimizers are made too."""

    add_param_group = unwrap(optim.Optimizer.add_param_group)
    zero_grad = unwrap(optim.Optimizer.zero_grad)
    state_dict = unwrap(optim.Optimizer.state_dict)
    load_state_dict = unwrap(optim.Optimizer.load_state_dict)


class SGD(Optimizer, optim.SGD):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013)."""

    step = torch.no_grad()(unwrap(optim.SGD.step))


class Adam(Optimizer, optim.Adam):
    """Adam (Kingma & Ba 2015)."""

    step = torch.no_grad()(unwrap(optim.Adam.step))


class AdamW(Optimizer, optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    step = torch.no_grad()(unwrap(optim.AdamW.step))


class LBFGS(Optimizer, optim.LBFGS):
    """L-BFGS (Liu & Nocedal 1989); its step asks nobody."""
