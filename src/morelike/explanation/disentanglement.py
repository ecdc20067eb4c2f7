"""Whether single numbers of a code stand for single causes, where the true causes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

BINS = 20  # of each latent, as of each factor that measures


@dataclass(frozen=True)
class Disentanglement:
    """How codes relate to true factors; 1 is best for all four figures, 0 worst.

    gap             MIG: how much more the best coordinate knows of a factor than the second best, mean over factors
    disentanglement of DCI: each coordinate matters to one factor only, weighted by how much it matters
    completeness    of DCI: each factor depends on one coordinate only, mean over factors
    informative     of DCI: how well factors can be told from codes at all, held-out R^2, mean over factors
    factors         names, and by name:
    gaps, told      MIG and R^2 of each factor
    information     (latent, factors) I(z_j; v_k) / H(v_k)
    importance      (latent, factors) held-out loss of R^2 without coordinate j
    """

    gap: float
    disentanglement: float
    completeness: float
    informative: float
    factors: tuple[str, ...]
    gaps: tuple[float, ...]
    told: tuple[float, ...]
    information: np.ndarray
    importance: np.ndarray

    def plain(self) -> dict[str, float]:
        """The four figures, for JSON and tables."""
        return {
            "mig": self.gap, "disentanglement": self.disentanglement, "completeness": self.completeness,
            "informativeness": self.informative,
        }  # fmt: skip


def disentangled(codes: Tensor, factors: Mapping[str, np.ndarray], seed: int = 0) -> Disentanglement:
    """MIG and DCI of codes (N, latent) against true factors, each (N,): whole numbers for kinds, reals for measures.

    Factors that do not vary are left out. One half of the items (by `seed`) is fitted on, the other tells.
    """
    z = codes.double().numpy()
    names = [name for name, value in factors.items() if len(np.unique(value)) > 1]
    if not names:
        raise ValueError("no factor varies")
    information = information_of(z, [factors[name] for name in names])
    gaps = _gaps(information)
    importance, told = importances(z, [factors[name] for name in names], seed)
    by_code, by_factor = importance.sum(1), importance.sum(0)
    pure = 1 - _entropy(importance)  # (latent,)
    whole = np.where(by_factor > 0, 1 - _entropy(importance.T), 0.0)  # (factors,)
    weight = by_code / by_code.sum() if by_code.sum() > 0 else by_code
    return Disentanglement(
        float(gaps.mean()), float((weight * pure).sum()), float(whole.mean()), float(told.mean()), tuple(names),
        tuple(gaps.tolist()), tuple(told.tolist()), information, importance,
    )  # fmt: skip


def information_of(z: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
    """I(z_j; v_k) / H(v_k) of every coordinate and factor, (latent, factors), from counts in 20 equally full bins."""
    coded, kinds = [_binned(column) for column in z.T], [_kinds(value) for value in factors]
    table = np.zeros((len(coded), len(kinds)))
    for j, a in enumerate(coded):
        for k, b in enumerate(kinds):
            joint = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)) / len(a)
            joint = joint.reshape(-1, b.max() + 1)
            entropy = _nats(joint.sum(0))
            table[j, k] = max(0.0, _nats(joint.sum(1)) + entropy - _nats(joint.ravel())) / entropy
    return table


def importances(z: np.ndarray, factors: Sequence[np.ndarray], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """How much each coordinate matters to each factor (latent, factors), and held-out R^2 of each factor (factors,).

    The factors are regressed on the codes by an additive model v = c + sum_j f_j(z_j), each f_j a step function with
    20 steps, by ridge; kinds as one indicator each. The importance of z_j is what held-out R^2 loses without f_j,
    E[(r + f_j)^2 - r^2] / Var v with the residual r, where that is more than 5 of its standard errors and the factor
    can be told at all; else it is 0, or chance would look like structure. (Eastwood & Williams 2018, section 4, leave
    the regressor open; theirs are lasso and forests.)
    """
    order = np.random.default_rng(seed).permutation(len(z))
    fit, tell = order[: len(z) // 2], order[len(z) // 2 :]
    steps, begins = _steps(z)
    targets = [_targets(value) for value in factors]
    of_factor = np.repeat(np.eye(len(targets)), [one.shape[1] for one in targets], axis=0)  # (outputs, factors)
    y = np.concatenate(targets, 1)
    x, y = steps - steps[fit].mean(0), y - y[fit].mean(0)
    weights = ridge(x[fit], y[fit])  # (steps, outputs)
    parts = [x[tell, a:b] @ weights[a:b] for a, b in zip(begins, begins[1:], strict=False)]  # f_j, (n, outputs) each
    y = y[tell]
    residual = y - np.sum(parts, axis=0)
    spread = (y.var(0) @ of_factor).clip(1e-300)
    told = (1 - np.square(residual).mean(0) @ of_factor / spread).clip(0, 1)
    importance = np.zeros((len(parts), len(targets)))
    for j, part in enumerate(parts):
        lost = (part * (2 * residual + part)) @ of_factor  # (n, factors)
        sure = lost.mean(0) > 5 * lost.std(0) / len(lost) ** 0.5
        importance[j] = np.where(sure & (told > 0), lost.mean(0) / spread, 0.0)
    return importance, told


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights w (p, outputs) that minimise |y - x w|^2 + a |w|^2, for centred x (n, p) and y (n, outputs).

    a is chosen from 1 to 10^5 for each output by generalised cross-validation, RSS / (1 - degrees of freedom / n)^2
    (Golub, Heath & Wahba 1979, eq. 1.4).
    """
    values, vectors = np.linalg.eigh(x.T @ x)
    values, turned = values.clip(0)[:, None], vectors.T @ (x.T @ y)  # (p, 1), (p, outputs)
    best, weights = np.full(y.shape[1], np.inf), np.zeros_like(turned)
    for a in 10.0 ** np.arange(6):
        w = turned / (values + a)
        unexplained = np.square(y).sum(0) - 2 * (w * turned).sum(0) + (values * w * w).sum(0)
        score = unexplained / (1 - (1 + (values / (values + a)).sum()) / len(x)) ** 2
        weights = np.where(score < best, w, weights)
        best = np.minimum(best, score)
    return vectors @ weights


def _gaps(information: np.ndarray) -> np.ndarray:
    """The mutual information gap of each factor (Chen et al. 2018, eq. 6, before the mean): (factors,)."""
    best = np.sort(information, 0)[::-1]
    return best[0] - (best[1] if len(best) > 1 else 0.0)


def _kinds(value: np.ndarray) -> np.ndarray:
    """A factor as whole numbers from 0: its kinds, or the bin of each measurement."""
    return np.unique(value, return_inverse=True)[1] if value.dtype.kind in "iub" else _binned(value)


def _binned(value: np.ndarray) -> np.ndarray:
    """The number of the equally full bin that each value falls into; equal values share one."""
    edges = np.quantile(value, np.arange(1, BINS) / BINS)
    return np.unique(np.searchsorted(edges, value, side="right"), return_inverse=True)[1]


def _steps(z: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Indicators of the bins of all coordinates side by side, and the column at which each coordinate begins."""
    blocks = [np.eye(one.max() + 1, dtype=np.float32)[one] for one in map(_binned, z.T)]
    return np.concatenate(blocks, 1), np.cumsum([0, *(block.shape[1] for block in blocks)]).tolist()


def _targets(value: np.ndarray) -> np.ndarray:
    """What is regressed: a measurement (N, 1) in standard deviations, or an indicator for each kind (N, kinds)."""
    if value.dtype.kind in "iub":
        return np.eye(len(np.unique(value)))[_kinds(value)]
    return ((value - value.mean()) / value.std())[:, None]


def _nats(p: np.ndarray) -> float:
    """Entropy of probabilities."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy of each row's shares, in units of the largest possible one; 0 for a single column, 1 for rows of 0."""
    total = weights.sum(1, keepdims=True)
    share = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights.shape[1])
    logs = np.log(np.where(share > 0, share, 1))
    return -(share * logs).sum(1) / np.log(max(2, weights.shape[1]))
