"""The scalar net of an energy model, made of any net of the house, and its slope."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import OptionError, unknown
from morelike.core.spec import Spec
from morelike.nn import names, net
from morelike.nn.condition import Condition
from morelike.nn.unet import UNet

EMBEDDED = 64  # numbers for each condition


class Around(nn.Module):
    """An encoder and a decoder of one of the nets as x -> (x of the same shape, code)."""

    def __init__(self, name: str, shape: tuple[int, ...], width: int, given: int) -> None:
        super().__init__()
        chosen, self.code = net(name), 4 * width
        self.encoder = chosen.Encoder(shape, self.code, width, given)
        self.decoder = chosen.Decoder(self.code, shape, width, given)

    def forward(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        code = self.encoder(x, c)
        return self.decoder(F.silu(code), c), code


class Potential(nn.Module):
    """V(x | c) = |x - f(x, c)|^2 / 2 + e(h), of a net f that gives back an item and a code h: (B, *shape) -> (B,).

    The first term pulls x to what the net makes of it, as a denoiser does (Salimans & Ho 2021, section 3); its slope is
    far better behaved than that of a plain encoder, and V grows without bound, so that exp(-V) can be normalised. The
    second weighs the valleys against each other. No constant is added, as no training could tell it.
    """

    def __init__(self, spec: Spec, name: str, width: int) -> None:
        super().__init__()
        if spec.tokens is not None:
            raise OptionError(
                f"An energy model was given tokens (of {spec.tokens} kinds)",
                "It walks along slopes, so items must be real numbers", "Use --family autoregressive or rbm for tokens",
            )  # fmt: skip
        if name == "auto":
            name = "unet" if spec.dims in (1, 2, 3) else "mlp"
        if name not in (known := [*names(), "unet"]):
            raise unknown("net", name, known)
        self.condition = Condition(spec.given, EMBEDDED)
        given = self.condition.width
        body = UNet(spec.shape, width, given) if name == "unet" else Around(name, spec.shape, width, given)
        self.body, code = body, body.code
        self.score = nn.Sequential(nn.Linear(code, 64), nn.SiLU(), nn.Linear(64, 1, bias=False))

    def forward(self, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        made, code = self.body(x, self.condition(given, len(x)))
        away = (x - made.to(x.dtype)).float()
        return 0.5 * away.square().flatten(1).sum(1) + self.score(F.silu(code)).squeeze(1).float()

    def slope(self, x: Tensor, given: Mapping[str, Tensor], learn: bool = False) -> Tensor:
        """The gradient of V at x, (B, *shape) -> same; a function of the weights if `learn`."""
        return self.both(x, given, learn)[1]

    def both(self, x: Tensor, given: Mapping[str, Tensor], learn: bool = False) -> tuple[Tensor, Tensor]:
        """V and its gradient at x: (B,), (B, *shape)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            v = self(x, given)
            (slope,) = torch.autograd.grad(v.sum(), x, create_graph=learn)
        return (v, slope) if learn else (v.detach(), slope)
