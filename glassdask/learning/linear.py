"""Linear regression from moments: least squares, ridge and principal components (paper A, Sec. IV.B-C).

The data are read once, by `compute_moments` or `grouped_moments`; every fit after that costs a small eigenproblem,
whatever the number of rows. The price of squaring is that the relative error grows with the square of the condition
number of standardised features: 4e-14 against `numpy.linalg.lstsq` for 20000 x 8 rows of condition 20, 1.5e-8 for
100000 x 324 of condition 4e4. dask-ml's LinearRegression iterates over the data instead (20000 x 8: lbfgs is off by
4e-5, admm by 9e-4 in ten times the time; its ``score`` raises on today's dask), so it is measured in
``tests/benchmarks/bench_learning.py`` and not offered here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from glassdask.declarations import NotNegative, flags
from glassdask.errors import ParameterError
from glassdask.learning.arrays import map_rows
from glassdask.learning.correlation import correlations
from glassdask.learning.estimators import Estimator
from glassdask.learning.moments import Moments, compute_moments, grouped_moments, merge_moments
from glassdask.learning.pca import PCA


class LinearModel(RegressorMixin, Estimator):
    r"""What all linear models share: :math:`\hat y = \sum_j \beta_j X_j + \beta_0` (A, Eq. 26, with an intercept).

    Attributes
    ----------
    coef_ : array (feature,)
        Or (target, feature) if `y` was a matrix.
    intercept_ : float or array (target,)
    n_samples_, n_undefined_ : int
        Rows used, and rows with a NaN in a feature or a target, which are left out.
    n_features_in_, feature_names_in_ : int, array of str
        See `Estimator`.
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit features (sample, feature) to targets (sample,) or (sample, target); all targets cost one pass.

        `groups`, the configuration of each row, matters only to models that tune a parameter.
        """
        self.check_parameters()
        self.require_target(y)
        if groups is None:
            return self.fit_moments(compute_moments(X, y))
        return self.fit_groups(grouped_moments(X, y, groups))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit_groups(self, parts: Mapping[Hashable, Moments]) -> Self:
        """Fit to the moments of several groups of rows."""
        return self.fit_moments(merge_moments(parts.values()))

    def fit_moments(self, moments: Moments) -> Self:
        """Fit to moments that are known already."""
        self.check_parameters()
        if moments.n_targets == 0:
            raise ParameterError("the moments are of features only: compute_moments(X, y) gives those with targets")
        moments.require_rows(2)
        coef = self._solve(moments)
        return self._set(moments, coef)

    def _solve(self, moments: Moments) -> np.ndarray:
        """Coefficients (target, feature): what each model has its own way of."""
        raise NotImplementedError

    def _set(self, moments: Moments, coef: np.ndarray) -> Self:
        intercept = moments.y_mean - coef @ moments.x_mean
        self.coef_ = coef[0] if moments.vector_target else coef
        self.intercept_ = float(intercept[0]) if moments.vector_target else intercept
        self.n_samples_ = moments.n
        self.n_undefined_ = moments.n_undefined
        self.set_features(moments.n_features, moments.names)
        return self

    def predict(self, X: Any) -> Any:
        """Predicted targets, shaped like the `y` that was fitted; lazy for dask. Rows with NaN give NaN."""
        X = self.matrix(X)
        coef, intercept = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        predicted = map_rows(lambda block: block @ coef.T + intercept, X, len(coef))
        return predicted[:, 0] if np.ndim(self.coef_) == 1 else predicted

    def score(self, X: Any, y: Any) -> float:
        """Coefficient of determination R^2, averaged over targets, in one pass."""
        return float(np.mean(determination(self.predicted_moments(compute_moments(X, y)))))

    def correlation(self, moments: Moments) -> np.ndarray:
        """Pearson's R (target,) of predictions with targets on rows whose moments are known (A, Figs. 11-12)."""
        return np.diag(correlations(self.predicted_moments(moments))).copy()

    def predicted_moments(self, moments: Moments) -> Moments:
        """Moments of predictions (as features) and targets on rows whose moments are known; no data are needed."""
        self.check_fitted()
        self.check_features(moments.n_features, moments.names)
        coef, intercept = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        n_targets = len(coef)
        to_predictions = np.zeros((2 * n_targets, len(moments.mean)))
        to_predictions[:n_targets, : moments.n_features] = coef
        to_predictions[n_targets:, moments.n_features :] = np.eye(n_targets)
        mean = to_predictions @ moments.mean
        mean[:n_targets] += intercept
        scatter = to_predictions @ moments.scatter @ to_predictions.T
        return Moments(moments.n, moments.n_undefined, mean, scatter, n_targets)


def linear_model(moments: Moments, coef: np.ndarray) -> LinearModel:
    """A model with coefficients (target, feature) that were found for these moments."""
    return LinearModel()._set(moments, coef)


def determination(predicted: Moments) -> np.ndarray:
    """R^2 of each target from the moments of predictions and targets; NaN for a constant target."""
    bias = predicted.x_mean - predicted.y_mean
    total = np.diag(predicted.yy)
    error = np.diag(predicted.xx) - 2 * np.diag(predicted.xy) + total + predicted.n * bias**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 1.0 - error / total, np.nan)


class Spectrum:
    """The eigenproblem behind every spectral solution: standardised features, with constant ones set aside."""

    def __init__(self, moments: Moments, scale: bool = True):
        self.kept = moments.varying_features()
        few = moments.select(self.kept) if len(self.kept) else None
        self.n_features = moments.n_features
        self.n_targets = moments.n_targets
        if few is None:
            return
        self.unit = few.x_scale if scale else np.ones(len(self.kept))
        values, self.vectors = np.linalg.eigh(few.xx / np.outer(self.unit, self.unit))
        self.values = np.maximum(values, 0.0)
        self.target = self.vectors.T @ (few.xy / self.unit[:, None])

    def solve(self, penalty: float) -> tuple[np.ndarray, int]:
        """Coefficients (target, feature) of the penalised problem, of minimum norm if singular, and the rank."""
        coef = np.zeros((self.n_targets, self.n_features))
        if len(self.kept) == 0:
            return coef, 0
        # what numpy.linalg.lstsq drops of the singular values, squared as the eigenvalues are
        significant = self.values > len(self.values) * np.finfo(np.float64).eps * self.values[-1]
        weight = np.zeros_like(self.values)
        weight[significant] = 1.0 / (self.values[significant] + penalty)
        coef[:, self.kept] = ((self.vectors * weight) @ self.target / self.unit[:, None]).T
        return coef, int(significant.sum())


class LinearRegression(LinearModel):
    r"""Least squares, A, Eqs. (26)-(27): minimises :math:`\sum_i |\hat y_i - y_i|^2`.

    With linearly dependent features, or more features than rows, the solution of minimum norm in standardised
    features is taken; `rank_` tells. Constant features get the coefficient 0.

    Examples
    --------
    >>> x = np.arange(10.0).reshape(5, 2) ** 2
    >>> model = LinearRegression().fit(x, 3 * x[:, 0] - x[:, 1] + 2)
    >>> model.coef_.round(9).tolist(), round(model.intercept_, 9)
    ([3.0, -1.0], 2.0)
    """

    def _solve(self, moments: Moments) -> np.ndarray:
        coef, self.rank_ = Spectrum(moments).solve(0.0)
        return coef


class Ridge(LinearModel):
    r"""Least squares with an L2 penalty, :math:`\sum_i |\hat y_i - y_i|^2 + \alpha \sum_j \beta_j^2`.

    Parameters
    ----------
    alpha : float
        Penalty; it is added to sums over rows, so n times the data need n times the penalty.
    scale : bool
        Whether the penalty acts on the coefficients of features in units of their standard deviations (as learned on
        the rows that are fitted). Constant features get the coefficient 0.

    Examples
    --------
    >>> x = np.array([[-1.0], [1.0]])
    >>> Ridge(alpha=2.0).fit(x, np.array([-1.0, 1.0])).coef_.tolist()
    [0.5]
    """

    def __init__(self, alpha: NotNegative = 1.0, scale: bool = True):
        self.alpha = alpha
        self.scale = scale

    def _solve(self, moments: Moments) -> np.ndarray:
        coef: np.ndarray = ridge_path(moments, [self.alpha], self.scale)[0]
        return coef


def ridge_path(moments: Moments, alphas: Sequence[float], scale: bool = True) -> np.ndarray:
    """Coefficients of `Ridge` for every penalty, from one eigenproblem; shape (alpha, target, feature).

    Examples
    --------
    >>> m = compute_moments(np.array([[-1.0], [1.0]]), np.array([-1.0, 1.0]))
    >>> ridge_path(m, [0.0, 2.0]).ravel().tolist()
    [1.0, 0.5]
    """
    flags(scale=scale)
    penalties = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if len(penalties) == 0 or not np.isfinite(penalties).all() or (penalties < 0).any():
        raise ParameterError(f"alphas are {penalties.tolist()}, expected finite numbers that are not negative")
    spectrum = Spectrum(moments, scale)
    return np.stack([spectrum.solve(float(penalty))[0] for penalty in penalties])


class PrincipalComponentRegression(LinearModel):
    """Least squares on the first principal components (A, Sec. IV.B: two components of SBO).

    Parameters
    ----------
    n_components, scale : int, float or None, bool
        As in `PCA`.

    Attributes
    ----------
    pca_ : PCA
        The directions; `coef_` is in terms of the features.
    """

    def __init__(self, n_components: int | float | None = 2, scale: bool = False):
        self.n_components = n_components
        self.scale = scale

    def _solve(self, moments: Moments) -> np.ndarray:
        self.pca_ = PCA(self.n_components, self.scale).fit_moments(moments)
        directions = self.pca_.components_ / self.pca_.scale_
        variance = self.pca_.explained_variance_ * (moments.n - 1)
        weight = np.zeros_like(variance)
        significant = variance > moments.n_features * np.finfo(np.float64).eps * variance[0]
        weight[significant] = 1.0 / variance[significant]
        coef: np.ndarray = ((directions.T * weight) @ (directions @ moments.xy)).T
        return coef
