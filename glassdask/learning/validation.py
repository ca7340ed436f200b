"""Cross-validation of linear models over groups, from moments: no fold looks at the data again."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from glassdask.declarations import Count, NotNegative, converted
from glassdask.errors import ParameterError
from glassdask.learning.correlation import correlations
from glassdask.learning.linear import LinearModel, determination, linear_model, ridge_path
from glassdask.learning.moments import Moments, merge_moments

Parts = Mapping[Hashable, Moments]

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)


@dataclass(frozen=True)
class CrossValidation:
    """Scores of predictions for groups that the predicting model has not seen.

    Attributes
    ----------
    groups : list
        The groups, in the order of the rows of `r`.
    r : array (group, target)
        Pearson's R within each group.
    pooled_r, pooled_r2 : arrays (target,)
        Pearson's R and the coefficient of determination over all groups together.
    """

    groups: list[Hashable]
    r: np.ndarray
    pooled_r: np.ndarray
    pooled_r2: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Standard error of the mean of `r` over groups, (target,)."""
        error: np.ndarray = self.r.std(axis=0, ddof=1) / np.sqrt(len(self.r))
        return error


def cross_validate(model: Any, parts: Parts, n_folds: int | None = None) -> CrossValidation:
    """Fit on all folds but one and score on that one, for every fold; groups are never divided.

    A model that tunes itself by cross-validation (`RidgeCV`) sees the training groups only, so this is nested.

    Parameters
    ----------
    model : object
        Estimator of this package with `fit_groups`. It is cloned, not fitted itself.
    parts : dict of group to Moments
        From ``grouped_moments(X, y, configuration)``.
    n_folds : int, optional
        Folds, to which groups are given in turn; by default every group is a fold (leave one configuration out).

    Examples
    --------
    >>> from glassdask.learning import LinearRegression, grouped_moments
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> parts = grouped_moments(x, x @ [1.0, 2.0, 3.0], groups=np.arange(400) // 100)
    >>> cross_validate(LinearRegression(), parts).pooled_r.round(6).tolist()
    [1.0]
    """
    predictions: dict[Hashable, Moments] = {}
    for held_out in folds(list(parts), n_folds):
        training = {group: part for group, part in parts.items() if group not in held_out}
        fitted = clone(model).fit_groups(training)
        predictions.update({group: fitted.predicted_moments(parts[group]) for group in held_out})
    return _scores({group: predictions[group] for group in parts})


def learning_curve(
    model: Any, parts: Parts, sizes: Sequence[int], n_repeats: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's R on unseen groups against the number of groups that were learned from.

    Parameters
    ----------
    model, parts : Estimator, dict
        As in `cross_validate`.
    sizes : sequence of int
        Numbers of training groups, less than all of them.
    n_repeats, seed : int
        Random choices of training groups for each size, and their seed.

    Returns
    -------
    mean, spread : arrays (size, target)
        Mean and standard deviation over the choices of R, which is pooled over the groups left out.
    """
    groups = list(parts)
    sizes = converted(sizes, tuple[int, ...], "learning_curve.sizes")
    n_repeats = converted(n_repeats, Count, "learning_curve.n_repeats")
    if any(not 1 <= size < len(groups) for size in sizes):
        raise ParameterError(
            f"sizes {list(sizes)} must lie between 1 and {len(groups) - 1}: one group is left to score"
        )
    rng = np.random.default_rng(seed)
    curve = []
    for size in sizes:
        repeats = []
        for _ in range(n_repeats):
            order = rng.permutation(len(groups))
            chosen, others = [[groups[i] for i in some] for some in (order[:size], order[size:])]
            fitted = clone(model).fit_groups({group: parts[group] for group in chosen})
            repeats.append(pooled_r([fitted.predicted_moments(parts[group]) for group in others]))
        curve.append(repeats)
    values = np.array(curve)
    return values.mean(axis=1), values.std(axis=1)


class RidgeCV(LinearModel):
    """`Ridge` with the penalty that predicts unseen groups best, for all targets together.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from.
    scale : bool
        As in `Ridge`.
    n_folds : int, optional
        As in `cross_validate`.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen: of the largest mean over targets of the pooled R.
    r_path_ : array (alpha, target)
        Pooled R in cross-validation for each penalty.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> model = RidgeCV(alphas=[0.01, 1e4]).fit(x, x @ [1.0, 2.0, 3.0], groups=np.arange(400) // 100)
    >>> model.alpha_
    0.01
    """

    def __init__(self, alphas: tuple[NotNegative, ...] = ALPHAS, scale: bool = True, n_folds: Count | None = None):
        self.alphas = alphas
        self.scale = scale
        self.n_folds = n_folds

    def fit_groups(self, parts: Parts) -> Self:
        """Choose the penalty by cross-validation over the groups and fit to all of them."""
        self.check_parameters()
        predictions: dict[Hashable, list[Moments]] = {}
        for held_out in folds(list(parts), self.n_folds):
            training = merge_moments(part for group, part in parts.items() if group not in held_out)
            models = [linear_model(training, coef) for coef in ridge_path(training, self.alphas, self.scale)]
            for group in held_out:
                predictions[group] = [model.predicted_moments(parts[group]) for model in models]
        self.r_path_ = np.array([pooled_r([p[i] for p in predictions.values()]) for i in range(len(self.alphas))])
        # predictions that do not vary at all have no R: they lose against every other penalty
        score = np.nan_to_num(self.r_path_, nan=-1.0).mean(axis=1)
        self.alpha_ = float(self.alphas[int(np.argmax(score))])
        return self.fit_moments(merge_moments(parts.values()))

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit features and targets; `groups`, the configuration of each row, is needed to choose the penalty."""
        self.check_parameters()
        self.require_target(y)
        if groups is None:
            raise ParameterError("RidgeCV chooses its penalty by groups: give groups, the configuration of each row")
        return super().fit(X, y, groups)

    def _solve(self, moments: Moments) -> np.ndarray:
        if not hasattr(self, "alpha_"):
            raise ParameterError("RidgeCV chooses its penalty by groups: use fit_groups, or Ridge for a given penalty")
        coef: np.ndarray = ridge_path(moments, [self.alpha_], self.scale)[0]
        return coef


def pooled_r(predictions: Sequence[Moments]) -> np.ndarray:
    """R (target,) of predictions with targets over several groups; NaN where the predictions do not vary."""
    return np.diag(correlations(merge_moments(predictions))).copy()


def _scores(predictions: Mapping[Hashable, Moments]) -> CrossValidation:
    r = np.array([np.diag(correlations(part)) for part in predictions.values()])
    pooled = merge_moments(predictions.values())
    return CrossValidation(list(predictions), r, np.diag(correlations(pooled)).copy(), determination(pooled))


def folds(groups: list[Hashable], n_folds: int | None) -> list[list[Hashable]]:
    """The groups that each fold leaves out."""
    n = converted(n_folds, Count | None, "n_folds") or len(groups)
    if not 2 <= n <= len(groups):
        raise ParameterError(f"{n} folds of {len(groups)} groups: expected 2 to the number of groups (configurations)")
    return [groups[i::n] for i in range(n)]
