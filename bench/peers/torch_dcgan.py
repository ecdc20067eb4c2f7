"""Peer: a plain DCGAN in eager fp32 PyTorch, the usual recipe (Radford, Metz & Chintala 2016).

    OMP_NUM_THREADS=2 python bench/peers/torch_dcgan.py --data fashion_train.npy --minutes 10 --out dcgan.npy --clean

Images padded to 32x32, 100 noise values, widths 64, BatchNorm, weights from N(0, 0.02), batch 128, both players Adam
with rate 2e-4 and betas (0.5, 0.999), binary cross-entropy. Nothing else: no autocast, no EMA, no augmentation.
"""

from __future__ import annotations

from itertools import pairwise

import contest
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOISE, WIDTH, BATCH = 100, 64, 128


def generator() -> nn.Sequential:
    """(B, 100, 1, 1) -> (B, 1, 32, 32) in [-1, 1]."""
    layers: list[nn.Module] = []
    widths = [NOISE, 4 * WIDTH, 2 * WIDTH, WIDTH]
    for narrow, wide in pairwise(widths):
        stride, padding = (1, 0) if narrow == NOISE else (2, 1)  # 1 -> 4, then doubled
        layers += [nn.ConvTranspose2d(narrow, wide, 4, stride, padding, bias=False)]
        layers += [nn.BatchNorm2d(wide), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1, bias=False), nn.Tanh())


def critic() -> nn.Sequential:
    """(B, 1, 32, 32) -> logit (B, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for wide in (2 * WIDTH, 4 * WIDTH):
        layers += [nn.Conv2d(wide // 2, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(4 * WIDTH, 1, 4, 1, 0, bias=False))


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm scales N(1, 0.02), as in the paper's section 4."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)


def main() -> None:
    options = contest.parser(__doc__ or "").parse_args()
    torch.set_num_threads(contest.THREADS)
    torch.manual_seed(options.seed)
    images = torch.from_numpy(np.load(options.data)).float().div_(127.5).sub_(1).unsqueeze(1)
    images = F.pad(images, (2, 2, 2, 2), value=-1.0)  # (N, 1, 32, 32)
    G, D = generator(), critic()
    initialise(G)
    initialise(D)
    adam_G = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_D = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    ones, noughts = torch.ones(BATCH), torch.zeros(BATCH)

    def step(x: Tensor) -> None:
        fake = G(torch.randn(BATCH, NOISE, 1, 1))
        adam_D.zero_grad()
        F.binary_cross_entropy_with_logits(D(x).flatten(), ones).backward()
        F.binary_cross_entropy_with_logits(D(fake.detach()).flatten(), noughts).backward()
        adam_D.step()
        adam_G.zero_grad()
        F.binary_cross_entropy_with_logits(D(fake).flatten(), ones).backward()
        adam_G.step()

    clock = contest.Clock(options)
    spent = False
    while not spent:
        for chosen in torch.randperm(len(images)).split(BATCH):
            if len(chosen) < BATCH:
                continue
            step(images[chosen])
            spent = clock.tick()
            if spent:
                break
    result = clock.result("torch_dcgan", BATCH)

    G.eval()
    with torch.inference_mode():
        noise = torch.randn(options.samples, NOISE, 1, 1).split(500)
        drawn = torch.cat([G(z)[:, 0, 2:-2, 2:-2] for z in noise])
    contest.finish(drawn.add(1).mul(127.5).round().clamp(0, 255).byte().numpy(), options.out, result)


if __name__ == "__main__":
    main()
