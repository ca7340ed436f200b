"""Principal component analysis over any number of chunks, and the comparison of two sets of directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_matrix, check_features, map_rows
from glassdask.learning.moments import Described, Moments, compute_moments

METHODS = ("exact", "incremental")


class PCA(BaseEstimator):
    r"""Directions of the largest variance of a descriptor, paper A, Eqs. (22)-(24).

    The directions are the eigenvectors of :math:`\mathrm{cov}(X_j, X_k)`, Eq. (23), and

    .. math:: \mathrm{EVR}(\mathrm{PC}_j) = \lambda_j / \sum_k \lambda_k .

    Each direction has unit length and its component of largest magnitude is positive (if several agree within 1e-6,
    the first of them).

    Parameters
    ----------
    n_components : int, float or None
        Number of directions; or, between 0 and 1, the fraction of the variance that they shall explain at least; or
        None for all, min(rows, features).
    scale : bool
        Divide each feature by its standard deviation over all rows (Z-score; A, Sec. II.B).
    method : {"exact", "incremental"}
        "exact" is one pass over the chunks, one covariance matrix each, merged in a tree. "incremental" is dask-ml's
        `IncrementalPCA`, one batch a chunk, one after the other; it truncates after every batch and is kept to check
        against.

    Attributes
    ----------
    components_ : array (component, feature)
        The directions, in descending order of variance.
    explained_variance_ : array (component,)
        Variances along them: sample variances, divided by n - 1 as in scikit-learn (the ratios don't depend on it).
    explained_variance_ratio_ : array (component,)
        Fractions of the total variance.
    spectrum_ : array
        Fractions of all components that were found, also of those left out ("exact").
    mean_, scale_ : array (feature,)
        What is subtracted, and what is divided by (ones without scaling).
    n_samples_, n_undefined_ : int
        Rows used, and rows with a NaN, which are left out.
    feature_names_ : list of str or None
        Names of the features if a DataArray was given.

    Raises
    ------
    ParameterError
        A parameter out of range, an infinite number, a constant feature with `scale`, or fewer than two defined rows.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 6.1]])
    >>> pca = PCA(n_components=1).fit(x)
    >>> pca.components_.round(2).tolist(), bool(pca.explained_variance_ratio_[0] > 0.999)
    ([[0.44, 0.9]], True)
    >>> pca.transform(x).shape
    (4, 1)
    """

    def __init__(self, n_components: int | float | None = None, scale: bool = False, method: str = "exact"):
        self.n_components = n_components
        self.scale = scale
        self.method = method

    def fit(self, X: Any, y: Any = None) -> PCA:
        """Find the directions of `X` (sample, feature); `y` is ignored."""
        if self.method not in METHODS:
            raise ParameterError(f"method is '{self.method}', expected one of {METHODS}")
        if self.method == "exact":
            return self.fit_moments(compute_moments(X))
        from glassdask.learning.incremental import incremental_spectrum

        n_wanted = self.n_components if isinstance(self.n_components, (int, np.integer)) else None
        return self._set(*incremental_spectrum(X, n_wanted, self.scale))

    def fit_moments(self, moments: Moments) -> PCA:
        """Find the directions from moments that are known already; targets among them are ignored."""
        moments.require_rows(2)
        covariance = moments.xx / (moments.n - 1)
        if self.scale:
            scale = feature_scale(moments)
            covariance = covariance / np.outer(scale, scale)
        # eigh reads one triangle; rows that are fewer than features give eigenvalues of rounding size only
        variance, vectors = np.linalg.eigh(covariance)
        order = np.arange(len(variance))[::-1][: min(moments.n, moments.n_features)]
        total = float(np.trace(covariance))
        return self._set(moments, np.maximum(variance[order], 0.0), vectors[:, order].T, total)

    def _set(self, moments: Described, variance: np.ndarray, components: np.ndarray, total: float) -> PCA:
        if len(moments.constant_features()) == moments.n_features:
            raise ParameterError(
                f"none of the {moments.n_features} features varies in {moments.n} rows: nothing to find"
            )
        self.spectrum_ = variance / total
        kept = self._n_kept(self.spectrum_)
        self.n_components_ = kept
        self.components_ = fix_signs(components[:kept])
        self.explained_variance_ = variance[:kept]
        self.explained_variance_ratio_ = self.spectrum_[:kept]
        self.mean_ = moments.x_mean
        self.scale_ = feature_scale(moments) if self.scale else np.ones(moments.n_features)
        self.n_samples_ = moments.n
        self.n_undefined_ = moments.n_undefined
        self.n_features_in_ = moments.n_features
        self.feature_names_ = moments.names
        return self

    def _n_kept(self, ratios: np.ndarray) -> int:
        wanted, most = self.n_components, len(ratios)
        if wanted is None:
            return most
        if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
            if 1 <= wanted <= most:
                return int(wanted)
            raise ParameterError(f"n_components is {wanted}, expected 1 to {most}, the lesser of rows and features")
        if isinstance(wanted, (float, np.floating)) and 0.0 < wanted < 1.0:
            return _n_for(ratios, float(wanted))
        raise ParameterError(f"n_components is {wanted!r}, expected an integer, a fraction between 0 and 1, or None")

    def n_components_for(self, variance: float) -> int:
        """Number of components that together explain at least this fraction of the variance (A: 0.8 as a rule)."""
        if not 0.0 < variance <= 1.0:
            raise ParameterError(f"variance is {variance}, expected a fraction between 0 and 1")
        return _n_for(self.spectrum_, variance)

    def transform(self, X: Any) -> Any:
        """Projections (sample, component), Eq. (22) about the mean; lazy for dask. Rows with NaN stay NaN."""
        X, names = as_matrix(X)
        check_features(self.n_features_in_, self.feature_names_, X, names)
        mean, directions = self.mean_, (self.components_ / self.scale_).T

        def project(block: np.ndarray) -> np.ndarray:
            return (block - mean) @ directions

        return map_rows(project, X, self.n_components_)

    def inverse_transform(self, X: Any) -> Any:
        """Features (sample, feature) of projections (sample, component); lazy for dask."""
        X, _ = as_matrix(X)
        check_features(self.n_components_, None, X, None)
        mean, directions = self.mean_, self.components_ * self.scale_

        def lift(block: np.ndarray) -> np.ndarray:
            return block @ directions + mean

        return map_rows(lift, X, self.n_features_in_)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to `X` and give its projections; the data are read twice, once for each."""
        return self.fit(X).transform(X)


def feature_scale(moments: Described) -> np.ndarray:
    """Standard deviations to divide by; `ParameterError` naming the feature if one is constant."""
    constant = moments.constant_features()
    if len(constant):
        raise ParameterError(
            f"{moments.name_of(int(constant[0]))} is constant in {moments.n} rows, so it cannot be scaled: "
            "leave it out or use scale=False"
        )
    return moments.x_scale


def fix_signs(components: np.ndarray) -> np.ndarray:
    """Directions (component, feature) whose component of largest magnitude is positive.

    Examples
    --------
    >>> fix_signs(np.array([[0.6, -0.8], [0.8, 0.6]])).tolist()
    [[-0.6, 0.8], [0.8, 0.6]]
    """
    magnitude = np.abs(components)
    first = np.argmax(magnitude >= (1 - 1e-6) * magnitude.max(axis=1, keepdims=True), axis=1)
    largest = np.take_along_axis(components, first[:, None], axis=1)
    return components * np.where(largest < 0, -1.0, 1.0)


def _n_for(ratios: np.ndarray, wanted: float) -> int:
    reached = np.cumsum(ratios)
    enough = np.flatnonzero(reached >= wanted - 1e-12)
    if len(enough) == 0:
        raise ParameterError(
            f"the {len(ratios)} components known explain {reached[-1]:.3f} of the variance, less than {wanted}: "
            "fit with n_components=None"
        )
    return int(enough[0]) + 1


def principal_cosines(A: Any, B: Any) -> np.ndarray:
    """Cosines of the principal angles between the spans of the rows of `A` and of `B`, in descending order.

    1 everywhere means that one span contains the other (A. Bjorck and G. H. Golub, Math. Comput. 27, 579 (1973)).

    Parameters
    ----------
    A, B : array (direction, feature)
        Independent directions; they need not be orthogonal or normalised.

    Returns
    -------
    array (min(directions of A, directions of B),)

    Raises
    ------
    ParameterError
        If directions are dependent, not finite, or live in different numbers of features.

    Examples
    --------
    >>> principal_cosines([[1.0, 0, 0], [0, 1.0, 0]], [[0, 2.0, 0], [0, 1.0, 1.0]]).round(12).tolist()
    [1.0, 0.0]
    """
    bases = []
    for name, rows in (("A", A), ("B", B)):
        matrix = np.atleast_2d(np.asarray(rows, dtype=np.float64))
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ParameterError(f"{name} has shape {matrix.shape}, expected finite directions (direction, feature)")
        _, values, basis = np.linalg.svd(matrix, full_matrices=False)
        if len(matrix) > matrix.shape[1] or values[-1] <= 1e-12 * values[0]:
            raise ParameterError(f"the {len(matrix)} directions of {name} are not independent: leave some out")
        bases.append(basis)
    if bases[0].shape[1] != bases[1].shape[1]:
        raise ParameterError(f"A has {bases[0].shape[1]} features and B {bases[1].shape[1]}: compare like with like")
    return np.clip(np.linalg.svd(bases[0] @ bases[1].T, compute_uv=False), 0.0, 1.0)
