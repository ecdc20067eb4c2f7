"""The restricted Boltzmann machine: its conditional laws, its free energy, and the tempered machines below it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.nn.noise import Noise, bernoulli

ENUMERABLE = 20  # binary units whose states can all be gone through
_CHUNK = 4096  # states at once


@dataclass(frozen=True)
class Machine:
    """p(v) = f(v) / Z with f(v) = exp(v.eta - v.(precision v) / 2) prod_j (1 + exp(c_j + v.w_j)) (Hinton 2002).

    The hidden units h, each 0 or 1, are summed out. Visible units are 0 or 1, or real numbers if there is a precision.

    w          (V, H); a Bernoulli machine may have it in bfloat16, in which bits are exact
    eta, c     biases (V,) and (H,), or (n, V) and (n, H) with a row for each of n chains
    precision  inverse variance of the visible units given the hidden ones, like eta; None: they are bits
    """

    w: Tensor
    eta: Tensor
    c: Tensor
    precision: Tensor | None = None

    def visible(self, v: Tensor) -> Tensor:
        """v.eta - v.(precision v) / 2, the part of log f without hidden units: (n, V) -> (n,)."""
        v = v.to(self.eta.dtype)
        if self.precision is None:
            return (v * self.eta).sum(1) if self.eta.dim() == 2 else v @ self.eta
        return (v * (self.eta - v * self.precision / 2)).sum(1)

    def inputs(self, v: Tensor) -> Tensor:
        """What the visible units tell the hidden ones, v w: (n, V) -> (n, H)."""
        return (v.to(self.w.dtype) @ self.w).to(self.c.dtype)

    def log_prob(self, v: Tensor) -> Tensor:
        """log f(v), the negative free energy: (n, V) -> (n,)."""
        return self.visible(v) + F.softplus(self.inputs(v) + self.c).sum(1)

    def hidden(self, inputs: Tensor, noise: Noise, beta: Any = 1.0) -> Tensor:
        """Hidden bits given what the visible units tell them, tempered by beta: (n, H)."""
        return bernoulli(torch.sigmoid(beta * (inputs + self.c)), noise, self.w.dtype)

    def outputs(self, h: Tensor) -> Tensor:
        """What the hidden units tell the visible ones, h w': (n, H) -> (n, V)."""
        return (h.to(self.w.dtype) @ self.w.T).to(self.eta.dtype)

    def mean(self, h: Tensor) -> Tensor:
        """E[v | h]: (n, H) -> (n, V)."""
        return self._mean(self.eta + self.outputs(h), self.precision)

    def draw(self, natural: Tensor, noise: Noise, precision: Tensor | None) -> Tensor:
        """Visible units with the natural parameter given to them: (n, V)."""
        mean = self._mean(natural, precision)
        if precision is None:
            return bernoulli(mean, noise, self.w.dtype)
        return mean + noise.normal(mean) * precision.rsqrt()

    def gibbs(self, v: Tensor, noise: Noise, steps: int) -> tuple[Tensor, Tensor]:
        """Block Gibbs sampling from v (n, V): the new v, and the hidden units (n, H) from which it was drawn."""
        h = v[:, :0]
        for _ in range(steps):
            h = self.hidden(self.inputs(v), noise)
            v = self.draw(self.eta + self.outputs(h), noise, self.precision)
        return v, h

    def cast(self, dtype: torch.dtype) -> Machine:
        """The same machine with other numbers."""
        precision = None if self.precision is None else self.precision.to(dtype)
        return Machine(self.w.to(dtype), self.eta.to(dtype), self.c.to(dtype), precision)

    @property
    def exact(self) -> bool:
        """Whether `log_z` can go through all states of one side."""
        return min(self._sides()) <= ENUMERABLE

    def _sides(self) -> tuple[float, int]:
        return (self.w.shape[0] if self.precision is None else math.inf), self.w.shape[1]

    @torch.no_grad()
    def log_z(self) -> Tensor:
        """log Z by going through all states of the smaller side, in float64; biases without rows: ()."""
        one, (visible, hidden) = self.cast(torch.float64), self._sides()
        if visible < hidden:
            terms = [one.log_prob(v) for v in states(int(visible), one.w)]
        else:
            terms = [h @ one.c + one.log_base(one.eta + one.outputs(h)) for h in states(hidden, one.w)]
        return torch.logsumexp(torch.cat(terms), 0)

    def log_base(self, natural: Tensor) -> Tensor:
        """log of the integral of exp(v.natural - v.(precision v) / 2): (n, V) -> (n,)."""
        if self.precision is None:
            return F.softplus(natural).sum(-1)
        return 0.5 * (natural.square() / self.precision + (2 * math.pi / self.precision).log()).sum(-1)

    @staticmethod
    def _mean(natural: Tensor, precision: Tensor | None) -> Tensor:
        return torch.sigmoid(natural) if precision is None else natural / precision


def states(n: int, like: Tensor) -> list[Tensor]:
    """All 2^n rows of n bits, some at a time: (.., n) each."""
    codes = torch.arange(2**n, device=like.device)
    places = torch.arange(n, device=like.device)
    return [(part[:, None] >> places & 1).to(like.dtype) for part in codes.split(_CHUNK)]


class Stand(NamedTuple):
    """Where chains are, and what is known of it: v (n, V), log f of the base and `visible` (n,), v w (n, H)."""

    v: Tensor
    base: Tensor
    own: Tensor
    inputs: Tensor


@dataclass(frozen=True)
class Tempered:
    """f_beta(v) = base(v)^(1 - beta) exp(beta visible(v)) prod_j (1 + exp(beta (c_j + v.w_j))).

    From independent visible units (beta = 0) to the machine (beta = 1), hidden units summed out (Salakhutdinov & Murray
    2008, eq. 12-15). beta may be (n, 1), one for each chain.

    base   a machine whose weights do not count
    known  the visible units that are held, bool (n, V) or (V,), and their values (n, V)
    """

    machine: Machine
    base: Machine
    known: tuple[Tensor, Tensor] | None = None

    def stand(self, v: Tensor) -> Stand:
        v = v if self.known is None else torch.where(self.known[0], self.known[1], v)
        return Stand(v, self.base.visible(v), self.machine.visible(v), self.machine.inputs(v))

    def log_prob(self, beta: Any, state: Stand) -> Tensor:
        b = beta.squeeze(1) if isinstance(beta, Tensor) else beta
        hidden = F.softplus(beta * (state.inputs + self.machine.c)).sum(1)
        return (1 - b) * state.base + b * state.own + hidden

    def move(self, beta: Any, state: Stand, rng: Noise) -> Stand:
        h = self.machine.hidden(state.inputs, rng, beta)
        natural = (1 - beta) * self.base.eta + beta * (self.machine.eta + self.machine.outputs(h))
        precision = None
        if self.machine.precision is not None and self.base.precision is not None:
            precision = (1 - beta) * self.base.precision + beta * self.machine.precision
        return self.stand(self.machine.draw(natural, rng, precision))

    def start(self, n: int, noise: Noise) -> Stand:
        """n chains from the base."""
        natural = self.base.eta.expand(n, -1)
        return self.stand(self.machine.draw(natural, noise, self.base.precision))

    @property
    def log_z0(self) -> Tensor:
        """log Z of f_0: (), or (n,) where the base has rows."""
        return self.base.log_base(self.base.eta) + self.machine.w.shape[1] * math.log(2)


class Offsets(NamedTuple):
    """About the means of the visible units, mu (V,), and of the hidden ones, lam (H,)."""

    mu: Tensor
    lam: Tensor


class _Centred(torch.autograd.Function):
    """-v.(eta + d) - sum_j softplus(c_j + e_j + v.w_j), whose gradient is that of the centred machine."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, eta: Tensor, c: Tensor, d: Tensor | None, e: Tensor | None,
                data: tuple[Tensor, torch.dtype], at: Offsets) -> Tensor:  # fmt: skip
        v, dtype = data
        bits = v.to(dtype)
        inputs = (bits @ w.to(dtype)).float().add_(c if e is None else c + e)
        ctx.save_for_backward(v, bits, torch.sigmoid(inputs), *at)
        ctx.rows = d is not None
        free = -(v @ eta) - F.softplus(inputs).sum(1)
        return free if d is None else free - (v * d).sum(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        v, bits, h, mu, lam = ctx.saved_tensors
        g = -grads[0]
        rows = (g[:, None] * v, g[:, None] * h) if ctx.rows else (None, None)  # of the biases of each row
        off = (h - lam).mul_(g[:, None])  # (n, H)
        w = (bits.T @ off.to(bits.dtype)).float().addr_(mu, off.sum(0), alpha=-1)
        eta, c = g @ v - w @ lam, g @ h - mu @ w
        return w, eta, c, *rows, None, None


def centred_energy(
    machine: Machine, v: Tensor, at: Offsets, dtype: torch.dtype,
    rows: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:  # fmt: skip
    """The free energy of bits v, with the gradient of the centred machine (Montavon & Mueller 2012): (n, V) -> (n,).

    dW = <(v - mu)(h - lam)'>, d eta = <v> - dW lam, d c = <h> - dW' mu (Melchior et al. 2016, eq. 13-15): steepest
    descent that does not depend on whether a bit is coded 0 and 1 or 1 and 0. It is the gradient that the difference
    of two free energies has in the parameters of the centred machine, carried back to those of the plain one.

    dtype  in which matrices are multiplied
    rows   what each row adds to eta and c: (n, V) and (n, H)
    """
    return _Centred.apply(machine.w, machine.eta, machine.c, *rows, (v, dtype), at)


def swap(path: Tempered, betas: Tensor, state: Stand, odd: bool, noise: Noise) -> Stand:
    """Neighbouring temperatures trade places with probability min(1, f_i(v_j) f_j(v_i) / (f_i(v_i) f_j(v_j))).

    betas  (T,); `state` holds T n chains, those of one temperature beside each other; `odd` says which pairs are asked
    """
    t = len(betas)
    first = torch.arange(int(odd), t - 1, 2, device=betas.device)
    n = len(state.v) // t

    def log_prob(shift: int) -> Tensor:  # of what stands at each temperature under the one that is `shift` away
        other = betas[(torch.arange(t, device=betas.device) + shift).clamp(0, t - 1)]
        return path.log_prob(other.repeat_interleave(n)[:, None].to(state.own.dtype), state).view(t, n)

    here = log_prob(0)
    gain = (log_prob(1)[first] - here[first]) + (log_prob(-1)[first + 1] - here[first + 1])  # (pairs, n)
    trade = noise.uniform(gain).log() < gain
    order = torch.arange(t * n, device=betas.device).view(t, n).clone()
    low, high = order[first], order[first + 1]
    order[first], order[first + 1] = torch.where(trade, high, low), torch.where(trade, low, high)
    return Stand(*(part[order.flatten()] for part in state))
