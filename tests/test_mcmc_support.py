"""Bijections: there and back, and the volume that they stretch, against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import support as s

CASES = [
    (s.real, ()), (s.real, (2, 3)), (s.positive, (4,)), (s.lower(-2.0), (3,)), (s.upper(5.0), (2, 2)),
    (s.interval(-1.0, 3.0), (5,)), (s.interval(0.0, 1.0), ()), (s.ordered, (1,)), (s.ordered, (5,)),
    (s.ordered, (2, 3)), (s.simplex, (2,)), (s.simplex, (6,)), (s.simplex, (3, 4)), (s.correlation_cholesky, (2, 2)),
    (s.correlation_cholesky, (5, 5)), (s.correlation_cholesky, (2, 3, 3)), (s.covariance_cholesky, (1, 1)),
    (s.covariance_cholesky, (4, 4)),
]  # fmt: skip
NAMES = [f"{type(kind).__name__}{shape}" for kind, shape in CASES]
every = pytest.mark.parametrize(("kind", "shape"), CASES, ids=NAMES)


def draw(kind: s.Support, shape: tuple[int, ...], *batch: int, scale: float = 1.5) -> Tensor:
    return scale * torch.randn((*batch, *kind.unconstrained(shape)), dtype=torch.float64)


def free(kind: s.Support, x: Tensor) -> Tensor:
    """The coordinates of x that its density is of."""
    if kind.event == 1 and kind is s.simplex:
        return x[..., :-1].flatten()
    if kind.event == 2:
        rows, columns = torch.tril_indices(x.shape[-1], x.shape[-1], -1 if kind is s.correlation_cholesky else 0)
        return x[..., rows, columns].flatten()
    return x.flatten()


@every
def test_there_and_back(kind: s.Support, shape: tuple[int, ...]) -> None:
    u = draw(kind, shape, 50)
    x = kind.forward(u)
    assert x.shape == (50, *shape) and u[0].numel() == kind.size(shape)
    torch.testing.assert_close(kind.inverse(x), u, atol=1e-9, rtol=1e-9)


@every
def test_volume_is_that_of_the_jacobian(kind: s.Support, shape: tuple[int, ...]) -> None:
    for _ in range(5):
        u = draw(kind, shape)
        jacobian = torch.autograd.functional.jacobian(lambda v: free(kind, kind.forward(v)), u)
        expected = torch.linalg.slogdet(jacobian.reshape(kind.size(shape), kind.size(shape))).logabsdet
        found = kind.log_det(u)
        assert found.shape == shape[: len(shape) - kind.event]
        torch.testing.assert_close(found.sum(), expected, atol=1e-10, rtol=1e-10)


@every
def test_under_vmap_and_tracing_a_batch_is_its_rows(kind: s.Support, shape: tuple[int, ...]) -> None:
    u = draw(kind, shape, 7)

    def one(v: Tensor) -> Tensor:
        return kind.forward(v).pow(2).sum() + kind.log_det(v).sum()

    batched = torch.func.vmap(torch.func.grad_and_value(one))
    traced = make_fx(batched)(torch.randn_like(u))
    for grad, value in (batched(u), traced(u)):
        for i in range(len(u)):
            row = u[i].clone().requires_grad_()
            (expected,) = torch.autograd.grad(one(row), row)
            torch.testing.assert_close(value[i], one(u[i]))
            torch.testing.assert_close(grad[i], expected)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_out_numbers_stay_numbers(kind: s.Support, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    u = draw(kind, shape, 100).sign().to(dtype) * 40
    u.requires_grad_()
    x, volume = kind.forward(u), kind.log_det(u)
    assert x.dtype == dtype and x.isfinite().all() and volume.isfinite().all()
    (grad,) = torch.autograd.grad((x / x.detach().abs().clamp_min(1)).sum() + volume.sum(), u)
    assert grad.isfinite().all()


def test_constraints_hold() -> None:
    torch.manual_seed(1)
    assert (s.positive.forward(draw(s.positive, (9,), 9, scale=9)) > 0).all()
    for dtype in (torch.float32, torch.float64):
        u = torch.tensor([-800.0, -30.0, 0.0, 30.0, 800.0], dtype=dtype)
        x = s.interval(2.0, 5.0).forward(u)
        assert (x > 2).all() and (x < 5).all()
    assert (s.ordered.forward(draw(s.ordered, (6,), 99)).diff() > 0).all()
    x = s.simplex.forward(draw(s.simplex, (6,), 99))
    assert (x > 0).all()
    torch.testing.assert_close(x.sum(-1), torch.ones(99, dtype=x.dtype))
    corr = s.correlation_cholesky.forward(draw(s.correlation_cholesky, (5, 5), 99))
    assert (corr == corr.tril()).all() and (corr.diagonal(dim1=-2, dim2=-1) > 0).all()
    torch.testing.assert_close((corr @ corr.mT).diagonal(dim1=-2, dim2=-1), torch.ones(99, 5, dtype=corr.dtype))
    cov = s.covariance_cholesky.forward(draw(s.covariance_cholesky, (4, 4), 99))
    assert (cov == cov.tril()).all() and (cov.diagonal(dim1=-2, dim2=-1) > 0).all()


def test_uniform_correlations_have_their_known_density() -> None:
    """Normal u reweighted to LKJ(1), K = 3: every correlation has mean 0 and variance 1 / (K + 1)."""
    u = draw(s.correlation_cholesky, (3, 3), 200_000, scale=1.0)
    L = s.correlation_cholesky.forward(u)
    # LKJ(1) of L: prod_k L_kk^(K - k) (Stan Functions Reference, lkj_corr_cholesky)
    logp = L[:, 1, 1].log() + s.correlation_cholesky.log_det(u)
    w = torch.softmax(logp + u.pow(2).sum(-1) / 2, 0)
    r = (L @ L.mT)[:, 2, 1]
    assert (w * r).sum().abs() < 0.01 and abs((w * r * r).sum() - 0.25) < 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: s.interval(2.0, 2.0),
        lambda: s.simplex.size(()),
        lambda: s.simplex.size((3, 1)),
        lambda: s.ordered.size(()),
        lambda: s.correlation_cholesky.size((3,)),
        lambda: s.covariance_cholesky.size((2, 3)),
    ],
)
def test_a_shape_that_cannot_be_is_named(wrong) -> None:
    with pytest.raises(OptionError):
        wrong()
