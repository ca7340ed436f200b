"""Sequential feature selection by the cross-validated accuracy of logistic regression, as the paper selects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEPS = 25  # of Newton's method at most; some six are enough where classes overlap
PRECISION = 1e-6


def select(
    features: np.ndarray, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]], n: int, C: float = 1.0
) -> tuple[list[int], list[float]]:
    """The columns that are added one after the other, and the accuracy with each.

    At each step the one that most improves the fraction of right predictions in the rows that are left out is added
    (the first of equally good ones). Features are scaled in the training rows of each fold; C is that of
    `glassdask.learning.LogisticRegression`, whose predictions these are: here all candidates are fitted at once.

    Parameters
    ----------
    features : array (row, feature)
    labels : array (row,)
        1 for active, 0 for inactive.
    folds : training and test rows
        Their configurations must differ.
    n : int
        How many are selected.
    """
    labels = np.asarray(labels, float)
    scaled = []
    for train, test in folds:
        deviation = features[train].std(axis=0)
        z = (features - features[train].mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
        scaled.append((z[train], labels[train], z[test], labels[test]))
    selected: list[int] = []
    scores: list[float] = []
    for _ in range(min(n, features.shape[1])):
        rest = [k for k in range(features.shape[1]) if k not in selected]
        right = np.zeros(len(rest))
        for x, y, unseen, truth in scaled:
            coefficients = _fit(x[:, selected], x[:, rest], y, C)
            decision = unseen[:, selected] @ coefficients[:, 1:-1].T + unseen[:, rest] * coefficients[:, -1]
            right += ((decision + coefficients[:, 0] > 0) == (truth[:, None] > 0.5)).sum(axis=0)
        best = int(np.argmax(right))
        selected.append(rest[best])
        scores.append(float(right[best] / sum(len(test) for _, test in folds)))
    return selected, scores


def _fit(common: np.ndarray, candidates: np.ndarray, y: np.ndarray, C: float) -> np.ndarray:
    """Intercept and coefficients (candidate, 1 + common + 1) of as many regressions as there are candidates.

    Newton's method for sum_i log(1 + exp(-s_i f_i)) + |beta|^2 / 2 C, whose intercept is not penalised.
    """
    n, c = candidates.shape
    fixed = np.column_stack([np.ones(n), common])
    m = fixed.shape[1] + 1
    ridge = np.full(m, 1.0 / C)
    ridge[0] = 0.0
    beta = np.zeros((c, m))
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-(fixed @ beta[:, :-1].T + candidates * beta[:, -1])))
        error, weight = p - y[:, None], p * (1.0 - p)
        gradient = np.column_stack([error.T @ fixed, (error * candidates).sum(axis=0)]) + ridge * beta
        hessian = np.empty((c, m, m))
        hessian[:, :-1, :-1] = np.einsum("ic,ia,ib->cab", weight, fixed, fixed, optimize=True)
        hessian[:, :-1, -1] = hessian[:, -1, :-1] = (weight * candidates).T @ fixed
        hessian[:, -1, -1] = (weight * candidates**2).sum(axis=0)
        hessian += np.diag(ridge + 1e-9)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        beta -= step
        if np.abs(step).max() < PRECISION:
            break
    return beta
