"""Bayesian regression with automatic relevance determination from moments (paper B, Fig. 7)."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from glassdask.declarations import Count, Positive
from glassdask.errors import ConvergenceError
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
        if len(varying) == 0:
            return coef
        few = moments.select(varying)
        x_unit = few.x_scale
        y_unit = np.sqrt(np.diag(few.yy) / few.n)
        gram = few.xx / np.outer(x_unit, x_unit)
        for target in np.flatnonzero(y_unit > 0):
            product = few.xy[:, target] / (x_unit * y_unit[target])
            beta, precision, noise, n_iter = self._maximise(gram, product, few.n, int(target))
            coef[target, varying] = beta * y_unit[target] / x_unit
            self.lambda_[target, varying] = precision
            self.alpha_[target], self.n_iter_[target] = noise, n_iter
        return coef

    def _maximise(
        self, gram: np.ndarray, product: np.ndarray, n: int, target: int
    ) -> tuple[np.ndarray, np.ndarray, float, int]:
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
                if len(kept):
                    beta[kept] = _posterior(gram, product, precision, kept, noise)[0]
                return beta, precision, float(noise), iteration + 1
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
