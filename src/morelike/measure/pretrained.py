"""Features of nets that others have trained on millions of pictures, for figures that can be compared with papers.

They come from torch-fidelity (Obukhov et al. 2020), an extra, which fetches their weights on first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from morelike.core.errors import DataError, OptionError, missing_extra, unknown
from morelike.core.spec import Spec

CHUNK = 64  # pictures that are looked at together


@dataclass(frozen=True)
class _Source:
    extractor: str  # torch-fidelity's name of the net
    layer: str  # and of its layer
    width: int
    says: str


SOURCES = {
    "inception": _Source("inception-v3-compat", "2048", 2048, "Inception v3 of the original FID (Heusel et al. 2017)"),
    "dinov2": _Source("dinov2-vit-l-14", "dinov2", 1024, "DINOv2 ViT-L/14 (Oquab et al. 2024; Stein et al. 2023)"),
}


class Pretrained:
    """Features of a net that was trained elsewhere; pictures of 1 or 3 channels with values from -1 to 1 only."""

    def __init__(self, name: str, net: Any) -> None:
        self.name, self.width, self.net = name, SOURCES[name].width, net

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width) float32. Raises `OptionError` for anything but pictures."""
        check_pictures(self.name, tuple(x.shape[1:]))
        out = torch.empty(len(x), self.width)
        for start in range(0, len(x), CHUNK):
            (found,) = self.net(as_bytes(x[start : start + CHUNK]))
            out[start : start + CHUNK] = found.float().cpu().flatten(1)
        return out

    def classify(self, x: Tensor) -> Tensor | None:
        """None: the net knows nothing of the user's classes."""
        return None

    def described(self) -> dict[str, Any]:
        """Which net it is, as plain data."""
        source = SOURCES[self.name]
        return {"kind": self.name, "width": self.width, "net": source.extractor, "layer": source.layer,
                "says": source.says}  # fmt: skip


def pretrained(name: str, spec: Spec | None = None) -> Pretrained:
    """The features "inception" or "dinov2" of the extra `pretrained`.

    spec  kind of the items, to refuse what is no picture before anything is fetched

    The library fetches the weights (91 MB and 1.2 GB) into torch's cache; for DINOv2 it also fetches and runs the code
    of the net from its authors' repository. Raises `OptionError` for another name, for items that are no pictures, and
    where the library is not installed; `DataError` where the weights cannot be had, as without a connection.
    """
    if name not in SOURCES:
        raise unknown("pretrained net", name, SOURCES)
    if spec is not None:
        check_pictures(name, spec.shape, spec.tokens)
    source = SOURCES[name]
    try:
        from torch_fidelity.utils import create_feature_extractor
    except ModuleNotFoundError as error:
        package = "torchvision" if (error.name or "").startswith("torchvision") else "torch-fidelity"
        raise missing_extra(package, "pretrained", f'The features "{name}"') from None
    except (ImportError, RuntimeError) as error:  # such as a torchvision built for another torch
        found = f'The library of the features "{name}" cannot be loaded: {_first_line(error)}'
        raise OptionError(found, "torch-fidelity, and a torchvision built for this torch",
                          "Install both anew, or leave these features out") from None  # fmt: skip
    try:
        net = create_feature_extractor(source.extractor, [source.layer], cuda=False, verbose=False)
    except Exception as error:  # whatever the library, its downloads and its unpacking raise
        raise DataError(
            f'The weights of "{name}" cannot be had: {_first_line(error)}',
            "A connection on first use, or weights already in torch's cache",
            "Connect once and run it again, or leave these features out: the other figures need no download",
        ) from None
    return Pretrained(name, net)


def check_pictures(name: str, shape: tuple[int, ...], tokens: int | None = None) -> None:
    """Raise `OptionError` for items that are not pictures of 1 or 3 channels, (1 | 3, H, W)."""
    if len(shape) == 3 and shape[0] in (1, 3) and tokens is None:
        return
    kind = f"tokens of shape {tuple(shape)}" if tokens is not None else f"shape {tuple(shape)}"
    raise OptionError(
        f'The features "{name}" were asked for items of {kind}',
        "Pictures with 1 or 3 channels",
        "Leave them out: learned and random features suit every kind of data",
    )


def as_bytes(x: Tensor) -> Tensor:
    """(N, 1 | 3, H, W) from -1 to 1 -> uint8 (N, 3, H, W), rounded as the codec does; not finite becomes 0."""
    pixels = x.float().nan_to_num(0.0).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1).contiguous()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
