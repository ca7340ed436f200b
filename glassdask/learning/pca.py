"""Principal component analysis over any number of chunks, and the comparison of two sets of directions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_matrix, map_rows
from glassdask.learning.directions import Directions, check_method, n_for, principal_directions
from glassdask.learning.estimators import Estimator, check_width
from glassdask.learning.moments import Moments, compute_moments


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
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
    n_features_in_, feature_names_in_ : int, array of str
        See `Estimator`.

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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions of `X` (sample, feature); `y` is ignored."""
        self.check_parameters()
        check_method(self.method)
        if self.method == "exact":
            return self.fit_moments(compute_moments(X))
        from glassdask.learning.incremental import incremental_directions

        return self._set(incremental_directions(X, self.n_components, self.scale))

    def fit_moments(self, moments: Moments) -> Self:
        """Find the directions from moments that are known already; targets among them are ignored."""
        self.check_parameters()
        return self._set(principal_directions(moments, self.n_components, self.scale))

    def _set(self, found: Directions) -> Self:
        self.spectrum_ = found.spectrum
        self.n_components_ = len(found.components)
        self.components_ = found.components
        self.explained_variance_ = found.explained_variance
        self.explained_variance_ratio_ = found.explained_variance_ratio
        self.mean_ = found.mean
        self.scale_ = found.scale
        self.n_samples_ = found.n_samples
        self.n_undefined_ = found.n_undefined
        self.set_features(found.components.shape[1], found.names)
        return self

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def n_components_for(self, variance: float) -> int:
        """Number of components that together explain at least this fraction of the variance (A: 0.8 as a rule)."""
        if not 0.0 < variance <= 1.0:
            raise ParameterError(f"variance is {variance}, expected a fraction between 0 and 1")
        self.check_fitted()
        return n_for(self.spectrum_, variance)

    def transform(self, X: Any) -> Any:
        """Projections (sample, component), Eq. (22) about the mean; lazy for dask. Rows with NaN stay NaN."""
        X = self.matrix(X)
        mean, directions = self.mean_, (self.components_ / self.scale_).T

        def project(block: np.ndarray) -> Any:
            return (block - mean) @ directions

        return map_rows(project, X, self.n_components_)

    def inverse_transform(self, X: Any) -> Any:
        """Features (sample, feature) of projections (sample, component); lazy for dask."""
        self.check_fitted()
        X, _ = as_matrix(X)
        check_width(X.shape[1], self.n_components_, "inverse_transform")
        mean, directions = self.mean_, self.components_ * self.scale_

        def lift(block: np.ndarray) -> Any:
            return block @ directions + mean

        return map_rows(lift, X, self.n_features_in_)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to `X` and give its projections; the data are read twice, once for each."""
        return self.fit(X).transform(X)


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
