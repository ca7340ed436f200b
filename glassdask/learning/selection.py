"""Orders of features, and how a linear model improves with their number (paper B, Fig. 5)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from glassdask.declarations import Count, converted
from glassdask.errors import ParameterError
from glassdask.learning.linear import LinearModel, LinearRegression, linear_model
from glassdask.learning.moments import Moments, merge_moments
from glassdask.learning.pca import PCA
from glassdask.learning.validation import Parts, folds, pooled_r

# What the features before it must leave of the variance of a feature; less is rounding.
INDEPENDENT = 1e-10


def forward_selection(moments: Moments, n_features: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features in the order in which each lowers the error of least squares most, given those before it.

    Each step sweeps the chosen feature out of the scatter matrix of features and targets, which leaves the partial
    covariances of the others: no refits, no data, (features + targets)^2 operations a step.

    Parameters
    ----------
    moments : Moments
        Of features and targets. With several targets, the sum of their explained fractions decides.
    n_features : int, optional
        Where to stop; by default when no feature is left that is independent of those chosen.

    Returns
    -------
    order : array of int (step,)
        Positions of the features.
    r2 : array (step, target)
        Fraction of the variance of each target that the features up to this step explain, on these rows. For a
        fair score see `selection_curve`.

    Examples
    --------
    >>> from glassdask.learning import compute_moments
    >>> x = np.random.default_rng(0).normal(size=(1000, 5))
    >>> order, r2 = forward_selection(compute_moments(x, 5 * x[:, 3] + x[:, 1]), 2)
    >>> order.tolist(), r2[:, 0].round(1).tolist()
    ([3, 1], [1.0, 1.0])
    """
    if moments.n_targets == 0:
        raise ParameterError("the moments are of features only: compute_moments(X, y) gives those with targets")
    moments.require_rows(2)
    m = moments.n_features
    wanted = converted(n_features, Count | None, "n_features") or m
    if not 1 <= wanted <= m:
        raise ParameterError(f"n_features is {n_features}, expected 1 to {m}")
    unit = np.sqrt(np.maximum(np.diag(moments.scatter), 0.0))
    unit[moments.constant_features()] = 0.0
    inverse = np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > 0)
    matrix = moments.scatter * np.outer(inverse, inverse)
    free = unit[:m] > 0
    order, r2 = [], []
    for _ in range(wanted):
        pivot = np.diag(matrix)[:m]
        # what is left of a feature that the chosen ones determine is rounding
        usable = free & (pivot > INDEPENDENT)
        if not usable.any():
            break
        gain = np.full(m, -1.0)
        gain[usable] = (matrix[:m, m:][usable] ** 2).sum(axis=1) / pivot[usable]
        best = int(np.argmax(gain))
        free[best] = False
        order.append(best)
        column = matrix[:, best].copy()
        matrix -= np.outer(column, column / column[best])
        r2.append(1.0 - np.diag(matrix)[m:])
    return np.array(order, dtype=int), np.array(r2).reshape(len(order), moments.n_targets)


class ForwardSelection(LinearModel):
    """Least squares on the features that `forward_selection` finds first.

    Parameters
    ----------
    n_features : int or None
        How many to use; None for all that are independent.

    Attributes
    ----------
    order_ : array of int
        The features used, the first chosen first; the coefficients of the others are 0.
    """

    def __init__(self, n_features: Count | None = 10):
        self.n_features = n_features

    def _solve(self, moments: Moments) -> np.ndarray:
        self.order_, _ = forward_selection(moments, self.n_features)
        return _on_subset(moments, self.order_)


def selection_curve(
    parts: Parts, order: str | Sequence[int] = "forward", sizes: Sequence[int] | None = None, n_folds: int | None = None
) -> np.ndarray:
    """Pearson's R on unseen groups against the number of features used, by least squares.

    Parameters
    ----------
    parts : dict of group to Moments
        From ``grouped_moments(X, y, configuration)``.
    order : {"forward", "pca"} or sequence of int
        "forward" selects, and "pca" finds the components, in the training groups of each fold only. A sequence gives
        positions of features, for instance in ascending body order.
    sizes : sequence of int, optional
        Numbers of features; by default 1 to all.
    n_folds : int, optional
        As in `cross_validate`.

    Returns
    -------
    array (size, target)
        R, pooled over the groups. A size beyond what the training groups can tell apart gives the R of all that
        they can.
    """
    first = next(iter(parts.values()))
    steps = list(converted(sizes, tuple[int, ...] | None, "sizes") or range(1, first.n_features + 1))
    if not steps or min(steps) < 1 or max(steps) > first.n_features:
        raise ParameterError(f"sizes {steps} must lie between 1 and the {first.n_features} features")
    if isinstance(order, str) and order not in ("forward", "pca"):
        raise ParameterError(f"order is '{order}', expected 'forward', 'pca' or positions of features")
    predictions: list[dict[Hashable, Moments]] = [{} for _ in steps]
    for held_out in folds(list(parts), n_folds):
        training = merge_moments(part for group, part in parts.items() if group not in held_out)
        for found, model in zip(predictions, _nested_models(training, order, steps)):
            found.update({group: model.predicted_moments(parts[group]) for group in held_out})
    return np.array([pooled_r(list(found.values())) for found in predictions])


def _nested_models(training: Moments, order: str | Sequence[int], steps: Sequence[int]) -> list[LinearModel]:
    if isinstance(order, str) and order == "pca":
        pca = PCA().fit_moments(training)
        variance = pca.explained_variance_ * (training.n - 1)
        significant = variance > training.n_features * np.finfo(np.float64).eps * variance[0]
        weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=significant)
        # components are uncorrelated: each adds its own term
        terms = (weight[:, None] * (pca.components_ @ training.xy))[:, :, None] * pca.components_[:, None, :]
        coefs = np.cumsum(terms, axis=0)
        return [linear_model(training, coefs[min(size, len(coefs)) - 1]) for size in steps]
    if isinstance(order, str):
        positions = forward_selection(training, max(steps))[0]
    else:
        positions = np.asarray(order, dtype=int)
        if len(positions) < max(steps):
            raise ParameterError(f"order names {len(positions)} features, but sizes go up to {max(steps)}")
    return [linear_model(training, coef) for coef in _on_first(training, positions[: max(steps)], steps)]


def _on_first(moments: Moments, positions: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Coefficients of least squares on the first features of an order, for several numbers of them.

    One Cholesky factor has those of all its leading parts, so that each number is a back substitution. Where features
    depend on those before them, each number is solved by itself.
    """
    some = moments.select(positions) if len(positions) else moments
    unit = np.sqrt(np.maximum(np.diag(some.xx), 0.0))
    if len(positions) and unit.all():
        with suppress(np.linalg.LinAlgError):
            factor = np.linalg.cholesky(some.xx / np.outer(unit, unit))
            if np.diag(factor).min() ** 2 > INDEPENDENT:
                forward = solve_triangular(factor, some.xy / unit[:, None], lower=True)
                coefs = []
                for size in sizes:
                    n = min(size, len(positions))
                    found = solve_triangular(factor[:n, :n], forward[:n], lower=True, trans="T")
                    coefs.append(np.zeros((moments.n_targets, moments.n_features)))
                    coefs[-1][:, positions[:n]] = (found / unit[:n, None]).T
                return coefs
    return [_on_subset(moments, positions[:size]) for size in sizes]


def _on_subset(moments: Moments, positions: Any) -> np.ndarray:
    coef = np.zeros((moments.n_targets, moments.n_features))
    if len(positions):
        coef[:, positions] = LinearRegression()._solve(moments.select(positions))
    return coef
