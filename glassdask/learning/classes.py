"""Classes of particles that are alike: Gaussian mixtures, k-means and community inference, of any number of rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, ClassVar, Self

import dask.array as da
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from glassdask.declarations import Count, Positive, Where
from glassdask.errors import ConvergenceError, ParameterError
from glassdask.graphs import compute
from glassdask.learning.arrays import as_matrix, map_rows
from glassdask.learning.estimators import Estimator, Seed
from glassdask.learning.moments import Moments, compute_moments
from glassdask.learning.partitions import (
    Centroids,
    Communities,
    Gaussians,
    Partition,
    Tally,
    probabilities,
    tally_rows,
)

NumberOfClasses = Annotated[int, Where(lambda n: n >= 1, "a whole number of at least 1")]
SAMPLE = 20_000  # rows among which the passes over all rows begin
Rows = Callable[[], Iterable[Any]]  # matrices, as often as they are asked for


class Clustering(Estimator):
    """What the three have in common: a start from a sample, passes over all rows, and classes in order of their size.

    Attributes
    ----------
    weights_ : array (class,)
        Which part of the rows each class is, in descending order.
    means_ : array (class, feature)
        Means of the features in each class.
    n_iter_ : int
        Passes over all rows.
    n_samples_, n_undefined_ : int
        Rows used, and rows that are left out, as they have a NaN.
    """

    kind: ClassVar[type[Partition]]
    n_classes: int
    n_init: int
    max_iter: int
    tol: float
    seed: int

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the classes of `X` (sample, feature), which is read once and then once for each pass; `y` is ignored."""
        self.check_parameters()
        matrix, _ = as_matrix(X)
        if isinstance(matrix, da.Array) and np.isnan(matrix.shape[0]):
            matrix = matrix.copy()
            matrix.compute_chunk_sizes()
        return self.fit_rows(lambda: [matrix], compute_moments(X))

    def fit_rows(self, rows: Rows, moments: Moments) -> Self:
        """The same of several matrices, one after the other, with the moments of all of them."""
        self.check_parameters()
        moments.require_rows(max(self.n_classes, 2))
        partition = self._start(_sample(list(rows()), self.seed), moments)
        spread, before = self._spread(moments), -np.inf
        for n_iter in range(1, self.max_iter + 1):
            total = tally_rows(partition, rows())
            if total.n == 0:
                raise ParameterError("no row has a sum above zero: give histograms that count something")
            partition = partition.updated(total)
            value = total.value / total.n
            change, before = abs(value - before), value
            if change <= self.tol * spread:
                return self._set(partition, total, moments, n_iter)
        raise ConvergenceError(
            f"{type(self).__name__}: after {self.max_iter} passes over the rows what is optimised still changes by "
            f"{change:.2g}, more than {self.tol * spread:.2g}: raise max_iter or tol"
        )

    def _start(self, sample: np.ndarray, moments: Moments) -> Partition:
        raise NotImplementedError

    def _spread(self, moments: Moments) -> float:
        return 1.0

    def _set(self, partition: Partition, total: Tally, moments: Moments, n_iter: int) -> Self:
        filled = np.count_nonzero(partition.share)
        if filled < self.n_classes:
            raise ParameterError(f"{self.n_classes} classes: only {filled} have any rows, take {filled} or fewer")
        order = np.lexsort([*partition.mean_of_features.T[::-1], -partition.share])
        self._keep(partition.ordered(order))
        self.n_iter_, self.n_samples_ = n_iter, total.n
        self.n_undefined_ = moments.n + moments.n_undefined - total.n
        self.set_features(moments.n_features, moments.names)
        return self

    def _keep(self, found: Any) -> None:
        self.weights_, self.means_ = found.share, found.mean_of_features

    def partition(self) -> Any:
        """What was learned, a `kind`, in the coordinates of the features."""
        return self.kind(**self._learned())

    def _learned(self) -> dict[str, Any]:
        n = self.means_.shape[1]
        return {"share": self.weights_, "mean": self.means_, "origin": np.zeros(n), "unit": np.ones(n)}

    def predict_proba(self, X: Any) -> Any:
        """How probable each class is for every row, (sample, class); lazy for dask. Rows with a NaN stay NaN."""
        X = self.matrix(X)
        partition = self.partition()
        return map_rows(lambda block: probabilities(partition, block), X, self.n_classes)

    def predict(self, X: Any) -> Any:
        """The most probable class of every row, (sample,), from 0 on; lazy for dask.

        Raises
        ------
        ParameterError
            Where a row has a NaN, which is of no class; where X is lazy, when it is computed.
        """
        found = self.predict_proba(X)
        if isinstance(found, da.Array):
            return da.map_blocks(_labels, found, dtype=np.int64, drop_axis=1, meta=np.empty(0, np.int64))
        return _labels(found)


def _labels(found: np.ndarray) -> np.ndarray:
    undefined = np.isnan(found).any(axis=1)
    if undefined.any():
        raise ParameterError(
            f"row {int(np.argmax(undefined))} (and {undefined.sum() - 1} more of {len(found)}) has a NaN, or is a "
            "histogram of nothing, and so of no class: predict the others, or use predict_proba, which gives NaN"
        )
    labels: np.ndarray = found.argmax(axis=1)
    return labels


def _sample(matrices: Sequence[Any], seed: int) -> np.ndarray:
    """At most `SAMPLE` rows without NaN, the same whatever chunks they are in."""
    edges = np.cumsum([0, *(len(matrix) for matrix in matrices)])
    n = int(edges[-1])
    chosen = np.sort(np.random.default_rng(seed).choice(n, min(n, SAMPLE), replace=False))
    parts = []
    for matrix, first, last in zip(matrices, edges[:-1], edges[1:]):
        inside = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, last)] - first
        if len(inside):
            parts.append(matrix[inside])
    rows = np.concatenate([np.asarray(part, dtype=np.float64) for part in compute(*parts)])
    kept: np.ndarray = rows[~np.isnan(rows).any(axis=1)]
    return kept


def _nearest(sample: np.ndarray, n_classes: int, n_init: int, seed: int) -> Any:
    """scikit-learn's k-means of a sample, k-means++ and the best of several starts."""
    from sklearn.cluster import KMeans as Reference

    if len(sample) < n_classes:
        raise ParameterError(f"{len(sample)} rows of the sample are defined, fewer than the {n_classes} classes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than classes: told at the end
        return Reference(n_clusters=n_classes, n_init=n_init, random_state=seed).fit(sample)


class KMeans(Clustering):
    r"""Classes of which the means are nearest to their rows: :math:`\sum_i \min_k |x_i - m_k|^2` is least.

    scikit-learn's k-means++ finds where to begin in a sample of at most 20000 rows; passes over all rows then move
    every mean to the mean of the rows that are nearest to it (S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982)).

    Parameters
    ----------
    n_classes : int
        Number of classes.
    n_init : int
        Starts in the sample, of which the best is taken.
    max_iter : int
        Most passes over all rows.
    tol : float
        The passes end when the mean squared distance changes by less than this part of the variance of all rows.
    seed : int
        Of the sample and the starts.

    Attributes
    ----------
    inertia_ : float
        Sum of the squared distances.

    Raises
    ------
    ParameterError
        A parameter out of range, an infinite number, or fewer different rows than classes.
    ConvergenceError
        If `max_iter` passes were not enough.

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [0.2], [5.0], [5.2]])
    >>> found = KMeans(n_classes=2).fit(x)
    >>> found.means_.round(2).tolist(), found.predict(x).tolist()
    ([[0.1], [5.1]], [0, 0, 0, 1, 1])
    """

    kind = Centroids

    def __init__(
        self,
        n_classes: NumberOfClasses = 2,
        n_init: Count = 10,
        max_iter: Count = 300,
        tol: Positive = 1e-6,
        seed: Seed = 0,
    ):
        self.n_classes = n_classes
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed

    def _start(self, sample: np.ndarray, moments: Moments) -> Partition:
        origin, unit = moments.x_mean, np.ones(moments.n_features)
        found = _nearest(sample - origin, self.n_classes, self.n_init, self.seed)
        share = np.full(self.n_classes, 1 / self.n_classes)
        return Centroids(share, found.cluster_centers_, origin, unit)

    def _spread(self, moments: Moments) -> float:
        return float(np.square(moments.x_scale).sum())

    def _set(self, partition: Partition, total: Tally, moments: Moments, n_iter: int) -> Self:
        self.inertia_ = -total.value
        return super()._set(partition, total, moments, n_iter)


class GaussianMixture(Clustering):
    r"""Classes that are normal distributions, each with its own covariance: the rows' likelihood is largest.

    .. math:: p(x) = \sum_k w_k \, \mathcal{N}(x; m_k, \Sigma_k)

    scikit-learn finds where to begin in a sample of at most 20000 rows; passes over all rows then repeat the two steps
    of A. P. Dempster, N. M. Laird and D. B. Rubin, J. R. Stat. Soc. B 39, 1 (1977), from the weight, mean and
    covariance of each class alone.

    Parameters
    ----------
    n_classes, n_init, max_iter, seed : int
        As for `KMeans`.
    tol : float
        The passes end when the mean log-likelihood of a row changes by less than this.
    reg_covar : float
        Added to the variances, in units of the variance of each feature over all rows.

    Attributes
    ----------
    covariances_ : array (class, feature, feature)
        Covariances of the classes.
    log_likelihood_ : float
        Of all rows.
    bic_ : float
        Bayesian information criterion, :math:`p \ln n - 2 \ln L` with p free parameters: the number of classes for
        which it is least is best supported (G. Schwarz, Ann. Stat. 6, 461 (1978)). It says nothing where a class is of
        rows that are all the same, such as counts: `covariances_` are then those of `reg_covar` alone, and only that
        bounds the likelihood.

    Raises
    ------
    ParameterError
        A parameter out of range, an infinite number, or a covariance that `reg_covar` leaves singular.
    ConvergenceError
        If `max_iter` passes were not enough.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(-5, 1, (3000, 2)), rng.normal(6, 2, (1000, 2))])
    >>> found = GaussianMixture(n_classes=2).fit(x)
    >>> found.weights_.round(2).tolist(), found.means_.round(0).tolist()
    ([0.75, 0.25], [[-5.0, -5.0], [6.0, 6.0]])
    >>> found.bic_ < GaussianMixture(n_classes=1).fit(x).bic_
    True
    """

    kind = Gaussians

    def __init__(
        self,
        n_classes: NumberOfClasses = 2,
        n_init: Count = 5,
        max_iter: Count = 300,
        tol: Positive = 1e-4,
        reg_covar: Positive = 1e-6,
        seed: Seed = 0,
    ):
        self.n_classes = n_classes
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.seed = seed

    def _start(self, sample: np.ndarray, moments: Moments) -> Partition:
        from sklearn.mixture import GaussianMixture as Reference

        unit = moments.x_scale
        unit[moments.constant_features()] = 1.0
        z = (sample - moments.x_mean) / unit
        if len(z) < max(self.n_classes, 2):
            raise ParameterError(f"{len(z)} rows of the sample are defined, fewer than the {self.n_classes} classes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the passes over all rows converge
            begun = Reference(
                self.n_classes, n_init=self.n_init, reg_covar=self.reg_covar, random_state=self.seed, tol=1e-3
            )
            begun.fit(z)
        added = self.reg_covar * np.eye(moments.n_features)
        return Gaussians(
            begun.weights_, begun.means_, moments.x_mean, unit, begun.covariances_ - added, self.reg_covar
        )  # fmt: skip

    def _set(self, partition: Partition, total: Tally, moments: Moments, n_iter: int) -> Self:
        super()._set(partition, total, moments, n_iter)
        self.log_likelihood_ = total.value
        d = moments.n_features
        free = self.n_classes * (1 + d + d * (d + 1) // 2) - 1
        self.bic_ = float(free * np.log(total.n) - 2.0 * total.value)
        return self

    def _keep(self, found: Any) -> None:
        super()._keep(found)
        self.covariances_ = found.covariance_of_features

    def _learned(self) -> dict[str, Any]:
        return {**super()._learned(), "covariance": self.covariances_, "added": 0.0}


class CommunityInference(Clustering):
    r"""Communities of which the histograms tell most: the mutual information of community and count is largest.

    .. math:: I = \sum_k f_k \sum_x p_k(x) \log_2 \frac{p_k(x)}{\sum_j f_j p_j(x)}

    with the fraction :math:`f_k` of the particles and the mean :math:`p_k` of their normalised histograms, of
    distances, angles or whatever is counted (J. Paret, R. L. Jack and D. Coslovich, J. Chem. Phys. 152, 144502 (2020)).
    A particle goes where :math:`\sum_x p_i(x) \ln p_k(x)` is largest, which never lowers I (I. S. Dhillon, S. Mallela
    and R. Kumar, J. Mach. Learn. Res. 3, 1265 (2003)). k-means of the square roots of a sample finds where to begin.

    Parameters
    ----------
    n_classes, n_init, max_iter, seed : int
        As for `KMeans`.
    tol : float
        The passes end when the mean of the sum above changes by less than this.

    Attributes
    ----------
    mutual_information_ : float
        I in bits, at most log2 of the number of communities.

    Raises
    ------
    ParameterError
        A parameter out of range, a negative or infinite number, or fewer different rows than communities. Rows of
        zeros are left out, like those with NaN.
    ConvergenceError
        If `max_iter` passes were not enough.

    Examples
    --------
    >>> x = np.array([[4, 0, 0], [3, 1, 0], [9, 1, 0], [0, 1, 5], [0, 0, 2]])
    >>> found = CommunityInference(n_classes=2).fit(x)
    >>> found.predict(x).tolist(), round(found.mutual_information_, 2)
    ([0, 0, 0, 1, 1], 0.88)
    """

    kind = Communities

    def __init__(
        self,
        n_classes: NumberOfClasses = 2,
        n_init: Count = 10,
        max_iter: Count = 300,
        tol: Positive = 1e-7,
        seed: Seed = 0,
    ):
        self.n_classes = n_classes
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.seed = seed

    def _start(self, sample: np.ndarray, moments: Moments) -> Partition:
        n, d = self.n_classes, moments.n_features
        if d < 2:
            raise ParameterError("X has 1 feature(s), and a histogram of a single bin tells nothing: give more bins")
        nothing = Communities(np.full(n, 1 / n), np.zeros((n, d)), np.zeros(d), np.ones(d))
        z = nothing.coordinates(sample)
        z = z[~np.isnan(z).any(axis=1)]
        label = _nearest(np.sqrt(z), n, self.n_init, self.seed).labels_
        mean = np.stack([z[label == k].mean(axis=0) if (label == k).any() else z.mean(axis=0) for k in range(n)])
        return Communities(nothing.share, mean, nothing.origin, nothing.unit)

    def _set(self, partition: Partition, total: Tally, moments: Moments, n_iter: int) -> Self:
        super()._set(partition, total, moments, n_iter)
        self.mutual_information_ = self.partition().mutual_information
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
