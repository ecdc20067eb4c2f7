"""What a sequence is conditioned on, as positions that stand before its first one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from morelike.core.spec import Spec
from morelike.core.tokens import counted
from morelike.nn.condition import Condition, missing


class Prefix(nn.Module):
    """Conditions one behind another as embedded positions: a label or a vector is one, a text as many as it has tokens.

    given  what the sequence is conditioned on, by name
    width  numbers per position
    """

    def __init__(self, given: Mapping[str, Spec], width: int) -> None:
        super().__init__()
        self.specs = dict(given)
        self.parts = nn.ModuleList(
            nn.Embedding(spec.tokens, width) if spec.tokens and spec.shape else Condition({name: spec}, width)
            for name, spec in given.items()
        )

    def forward(self, given: Mapping[str, Tensor], batch: int) -> tuple[Tensor, Tensor] | None:
        """given: (batch or 1, *shape) each -> (batch, P, width), and which of them are there, bool (batch, P).

        What is not there stands first, so that the others keep their distance to the sequence. None without conditions.
        """
        if not self.specs:
            return None
        parts = [self._part(name, given) for name in self.specs]
        x, there = (torch.cat([part[i].expand(batch, *part[i].shape[1:]) for part in parts], 1) for i in (0, 1))
        order = there.long().argsort(dim=1, stable=True)
        return x.gather(1, order[..., None].expand_as(x)), there.gather(1, order)

    def _part(self, name: str, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        spec, part = self.specs[name], self.parts[list(self.specs).index(name)]
        if name not in given:
            raise missing(name, given, self.specs)
        value = given[name]
        if isinstance(part, nn.Embedding):
            there = torch.ones_like(value, dtype=torch.bool)
            there[:, 1:] = counted(spec, value[:, :-1], value[:, 1:])
            return part(value), there
        x = part({name: value}, len(value))[:, None]
        return x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
