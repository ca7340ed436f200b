"""Bayesian regression with automatic relevance determination from moments (paper B, Fig. 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from glassdask.declarations import Count, Positive
from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning.arrays import map_rows
from glassdask.learning.linear import LinearModel
from glassdask.learning.moments import Moments


class ARDRegression(LinearModel):
    r"""Linear regression in which every coefficient has its own prior width, found by maximising the evidence.

    Each :math:`\beta_j` has a Gaussian prior of precision :math:`\lambda_j`, the noise has precision :math:`\alpha`.
    With the posterior covariance :math:`\Sigma = (\Lambda + \alpha X^T X)^{-1}` and mean
    :math:`\beta = \alpha \Sigma X^T y`, MacKay's updates

    .. math:: \gamma_j = 1 - \lambda_j \Sigma_{jj}, \quad \lambda_j = \gamma_j / \beta_j^2, \quad
              \alpha = \left(n - \sum_j \gamma_j\right) / |y - X \beta|^2

    are repeated; a feature whose :math:`\lambda_j` exceeds `threshold` is pruned (D. J. C. MacKay, ASHRAE Trans. 100,
    1053 (1994); M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001)). Only the Gram matrix is needed. The flat
    hyperpriors (1e-6) are those of scikit-learn's ARDRegression, with which this agrees on standardised data.

    Parameters
    ----------
    threshold : float
        Precision beyond which a feature is irrelevant; features and targets are in units of their deviations.
    max_iter : int
        Most updates.
    tol : float
        The updates end when the coefficients change by less than this in sum, in the same units.

    Attributes
    ----------
    lambda_ : array (target, feature)
        Precisions, infinite for pruned and for constant features.
    alpha_ : array (target,)
        Precisions of the noise, in units of the inverse variance of the target.
    sigma_ : array (target, feature, feature)
        Posterior covariances of the coefficients, in units of the features and targets; zero for pruned features.
    noise_ : array (target,)
        Standard deviations of the noise, in units of the targets.
    mean_ : array (feature,)
        Means of the features.
    n_iter_ : array (target,)
        Updates made.

    Raises
    ------
    ConvergenceError
        If `max_iter` updates were not enough.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 6))
    >>> ARDRegression().fit(x, 2 * x[:, 1]).coef_.round(3).tolist()
    [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, threshold: Positive = 1e4, max_iter: Count = 1000, tol: Positive = 1e-3):
        self.threshold = threshold
        self.max_iter = max_iter
        self.tol = tol

    def _solve(self, moments: Moments) -> np.ndarray:
        varying = moments.varying_features()
        coef = np.zeros((moments.n_targets, moments.n_features))
        self.lambda_ = np.full(coef.shape, np.inf)
        self.alpha_ = np.full(moments.n_targets, np.nan)
        self.n_iter_ = np.zeros(moments.n_targets, dtype=int)
        self.sigma_ = np.zeros((*coef.shape, moments.n_features))
        self.noise_ = np.zeros(moments.n_targets)
        self.mean_ = moments.x_mean
        if len(varying) == 0:
            return coef
        few = moments.select(varying)
        x_unit = few.x_scale
        y_unit = np.sqrt(np.diag(few.yy) / few.n)
        gram = few.xx / np.outer(x_unit, x_unit)
        for target in np.flatnonzero(y_unit > 0):
            product = few.xy[:, target] / (x_unit * y_unit[target])
            beta, precision, noise, n_iter, covariance = self._maximise(gram, product, few.n, int(target))
            coef[target, varying] = beta * y_unit[target] / x_unit
            self.lambda_[target, varying] = precision
            self.alpha_[target], self.n_iter_[target] = noise, n_iter
            kept = np.flatnonzero(np.isfinite(precision))
            unit = y_unit[target] / x_unit[kept]
            self.sigma_[target][np.ix_(varying[kept], varying[kept])] = covariance * np.outer(unit, unit)
            self.noise_[target] = y_unit[target] / np.sqrt(noise)
        return coef

    def predict(self, X: Any, return_std: bool = False) -> Any:
        r"""Predicted targets, and with `return_std` their standard errors; lazy for dask. Rows with NaN give NaN.

        The variance of a prediction is that of the noise and of the coefficients,
        :math:`1/\alpha + (x - \bar x)^T \Sigma (x - \bar x)` (M. E. Tipping, cited above, Eq. 22). With few
        rows for each feature it is too small, as the widths of the priors are taken for known: of targets far from the
        rows that were fitted, 50 % were within it with 25 rows for 8 features, 64 % with 200 rows, instead of 68 %.

        Returns
        -------
        predicted, or (predicted, standard deviation)
            Both shaped like the `y` that was fitted.
        """
        predicted = super().predict(X)
        if not return_std:
            return predicted
        if not hasattr(self, "sigma_"):
            raise ParameterError("this model was saved before it kept the errors of its coefficients: fit it again")
        mean, sigma, noise = self.mean_, self.sigma_, self.noise_

        def spread(block: np.ndarray) -> np.ndarray:
            apart = block - mean
            variance = np.stack([np.einsum("ij,jk,ik->i", apart, each, apart, optimize=True) for each in sigma], axis=1)
            deviation: np.ndarray = np.sqrt(np.maximum(variance, 0.0) + noise**2)
            return deviation

        std = map_rows(spread, self.matrix(X), len(noise))
        return predicted, std[:, 0] if np.ndim(self.coef_) == 1 else std

    def _maximise(
        self, gram: np.ndarray, product: np.ndarray, n: float, target: int
    ) -> tuple[np.ndarray, np.ndarray, float, int, np.ndarray]:
        prior = 1e-6
        noise = 1.0  # precision: the target's variance is 1 in these units
        precision = np.ones(len(product))
        kept = np.arange(len(product))
        beta, before = np.zeros(len(product)), np.zeros(len(product))
        for iteration in range(self.max_iter):
            mean, covariance = _posterior(gram, product, precision, kept, noise)
            beta[:] = 0.0
            beta[kept] = mean
            # |y - X b|^2 with y'y = n
            error = max(n - 2 * mean @ product[kept] + mean @ gram[np.ix_(kept, kept)] @ mean, 0.0)
            well = 1.0 - precision[kept] * np.diag(covariance)
            precision[kept] = (well + 2 * prior) / (mean**2 + 2 * prior)
            noise = (n - well.sum() + 2 * prior) / (error + 2 * prior)
            kept = kept[precision[kept] < self.threshold]
            pruned = np.setdiff1d(np.arange(len(beta)), kept)
            beta[pruned] = 0.0
            precision[pruned] = np.inf
            change = np.abs(beta - before).sum()
            if (iteration > 0 and change < self.tol) or len(kept) == 0:
                covariance = np.zeros((0, 0))
                if len(kept):
                    beta[kept], covariance = _posterior(gram, product, precision, kept, noise)
                return beta, precision, float(noise), iteration + 1, covariance
            before = beta.copy()
        raise ConvergenceError(
            f"target {target}: after {self.max_iter} updates the coefficients still change by {change:.2g} in sum, "
            f"more than {self.tol:.2g}: raise max_iter or tol"
        )


def _posterior(
    gram: np.ndarray, product: np.ndarray, precision: np.ndarray, kept: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the coefficients that are kept."""
    # scaled to a unit diagonal first: prior and data may differ by many orders of magnitude
    matrix = noise * gram[np.ix_(kept, kept)]
    matrix[np.diag_indices_from(matrix)] += precision[kept]
    unit = np.sqrt(np.diag(matrix))
    matrix /= np.outer(unit, unit)
    try:
        inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix), np.eye(len(kept)))
    except np.linalg.LinAlgError:  # equal features without noise: singular to rounding; 15 times as slow
        inverse = scipy.linalg.pinvh(matrix)
    covariance = inverse / np.outer(unit, unit)
    return noise * covariance @ product[kept], covariance
