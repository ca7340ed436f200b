"""Rows in classes, and what a pass over rows tells of them: NumPy only, as workers load no scikit-learn for it.

A partition is improved in passes: each chunk gives a `Tally`, the tallies of all chunks add up, and the sum gives the
next partition. Rows are counted from an origin near the middle, so that the sums do not cancel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from glassdask.errors import ParameterError
from glassdask.learning.arrays import reduce_chunks
from glassdask.learning.moments import BLOCK

FLOOR = 1e-300  # below all probabilities, and so what has none is far from a class


@dataclass(frozen=True)
class Tally:
    """Sums over rows: their number, the weight of each class, its first and second moments, and what is optimised.

    The moments are about the mean that the class had; `second` only where the classes have covariances.
    """

    n: int
    weight: np.ndarray
    first: np.ndarray
    value: float
    second: np.ndarray | None = None

    def __add__(self, other: Tally) -> Tally:
        second = None if self.second is None or other.second is None else self.second + other.second
        return Tally(
            self.n + other.n, self.weight + other.weight, self.first + other.first, self.value + other.value, second
        )


@dataclass(frozen=True)
class Partition:
    """Classes of rows x, by their coordinates z = (x - origin) / unit.

    Attributes
    ----------
    share : array (class,)
        Which part of the rows each is.
    mean : array (class, feature)
        In coordinates z.
    origin, unit : array (feature,)
        What is subtracted, and by what is divided.
    """

    share: np.ndarray
    mean: np.ndarray
    origin: np.ndarray
    unit: np.ndarray

    def coordinates(self, x: np.ndarray) -> np.ndarray:
        """The coordinates z of rows."""
        z: np.ndarray = (x - self.origin) / self.unit
        return z

    @property
    def mean_of_features(self) -> np.ndarray:
        """Means of the features in each class, (class, feature)."""
        means: np.ndarray = self.mean * self.unit + self.origin
        return means

    def probability(self, z: np.ndarray) -> tuple[np.ndarray, float]:
        """How probable each class is for rows of coordinates, (row, class), and the sum of what is optimised."""
        raise NotImplementedError

    def tally(self, z: np.ndarray) -> Tally:
        """The sums over rows of coordinates."""
        weight, value = self.probability(z)
        first = weight.T @ z - weight.sum(axis=0)[:, None] * self.mean
        return Tally(len(z), weight.sum(axis=0), first, value)

    def updated(self, total: Tally) -> Any:
        """The next partition; a class that has no rows stays where it was."""
        weight = np.where(total.weight > 0, total.weight, 1.0)[:, None]
        return replace(self, share=total.weight / total.n, mean=self.mean + total.first / weight)

    def ordered(self, order: np.ndarray) -> Any:
        """The classes in another order."""
        return replace(self, share=self.share[order], mean=self.mean[order])


def _hard(label: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities of rows that are of one class each."""
    return np.asarray(label[:, None] == np.arange(n_classes), dtype=np.float64)


@dataclass(frozen=True)
class Centroids(Partition):
    """Each row is of the class whose mean is nearest; the squared distances in coordinates are minimised."""

    def probability(self, z: np.ndarray) -> tuple[np.ndarray, float]:
        """See `Partition.probability`."""
        distance = np.stack([np.square(z - mean).sum(axis=1) for mean in self.mean], axis=1)
        return _hard(distance.argmin(axis=1), len(self.mean)), -float(distance.min(axis=1).sum())


@dataclass(frozen=True)
class Communities(Partition):
    """Each row, a histogram, is of the class of which its counts are likeliest; the sum of the logarithms grows."""

    def coordinates(self, x: np.ndarray) -> np.ndarray:
        """The rows as distributions: divided by their sums. NaN for a row of zeros."""
        if (x < 0).any():
            raise ParameterError(
                f"Negative values in data passed to CommunityInference (the least is {x[x < 0].min():.3g}), which "
                "compares histograms: give counts or densities, such as those of RadialDensity"
            )
        total = x.sum(axis=1, keepdims=True)
        z: np.ndarray = x / np.where(total > 0, total, np.nan)
        return z

    def probability(self, z: np.ndarray) -> tuple[np.ndarray, float]:
        """See `Partition.probability`."""
        likelihood = z @ np.log(np.maximum(self.mean, FLOOR)).T
        return _hard(likelihood.argmax(axis=1), len(self.mean)), float(likelihood.max(axis=1).sum())

    @property
    def mutual_information(self) -> float:
        """What the class tells of a count, in bits: sum_k f_k sum_x p_k(x) log2(p_k(x) / p(x))."""
        ratio = np.maximum(self.mean, FLOOR) / np.maximum(self.share @ self.mean, FLOOR)
        return float(self.share @ (self.mean * np.log2(ratio)).sum(axis=1))


@dataclass(frozen=True)
class Gaussians(Partition):
    """Each class is a normal distribution with a covariance of its own; the log-likelihood of the rows grows.

    Attributes
    ----------
    covariance : array (class, feature, feature)
        Of the coordinates, without what is added to their diagonal.
    added : float
        To the diagonal of each covariance, which otherwise is singular where a class has few rows.
    """

    covariance: np.ndarray
    added: float

    @property
    def covariance_of_features(self) -> np.ndarray:
        """Covariances of the features in each class, (class, feature, feature)."""
        return (self.covariance + self.added * np.eye(self.mean.shape[1])) * np.outer(self.unit, self.unit)

    def probability(self, z: np.ndarray) -> tuple[np.ndarray, float]:
        """See `Partition.probability`."""
        import scipy.linalg

        d = self.mean.shape[1]
        logs = np.empty((len(z), len(self.mean)))
        for k, mean in enumerate(self.mean):
            try:
                lower = np.linalg.cholesky(self.covariance[k] + self.added * np.eye(d))
            except np.linalg.LinAlgError:
                raise ParameterError(
                    f"the covariance of class {k}, a part of {self.share[k]:.2g} of the rows, is singular: take "
                    "fewer classes, fewer features (n_components) or a larger reg_covar"
                ) from None
            scaled = scipy.linalg.solve_triangular(lower, (z - mean).T, lower=True)
            logs[:, k] = -0.5 * np.square(scaled).sum(axis=0) - np.log(np.diag(lower)).sum()
        logs += np.log(np.maximum(self.share, FLOOR)) - 0.5 * d * np.log(2 * np.pi) - np.log(self.unit).sum()
        largest = logs.max(axis=1, keepdims=True)
        total = np.exp(logs - largest).sum(axis=1, keepdims=True)
        value = float((largest + np.log(total)).sum())
        return np.exp(logs - largest) / total, value

    def tally(self, z: np.ndarray) -> Tally:
        """See `Partition.tally`."""
        weight, value = self.probability(z)
        first, second = np.empty_like(self.mean), np.empty_like(self.covariance)
        for k, mean in enumerate(self.mean):
            apart = z - mean
            first[k] = weight[:, k] @ apart
            second[k] = (weight[:, k, None] * apart).T @ apart
        return Tally(len(z), weight.sum(axis=0), first, value, second)

    def updated(self, total: Tally) -> Gaussians:
        """See `Partition.updated`."""
        assert total.second is not None
        weight = np.maximum(total.weight, FLOOR)[:, None]
        shift = total.first / weight
        covariance = total.second / weight[..., None] - shift[:, :, None] * shift[:, None, :]
        mean = self.mean + shift
        return replace(self, share=total.weight / total.n, mean=mean, covariance=covariance)

    def ordered(self, order: np.ndarray) -> Any:
        """See `Partition.ordered`."""
        return replace(super().ordered(order), covariance=self.covariance[order])


def tally_rows(partition: Partition, matrices: Iterable[Any]) -> Tally:
    """The sums over all rows without NaN of some matrices, NumPy or dask, in one pass over their chunks."""
    n_classes, n_features = partition.mean.shape
    step = max(BLOCK // n_features, 256)

    def leaf(x: np.ndarray, *, chunk: int) -> Tally:
        return _sum(partition.tally(z) for z in _defined(partition, (x[i : i + step] for i in range(0, len(x), step))))

    def _sum(parts: Iterable[Tally]) -> Tally:
        second = np.zeros((n_classes, n_features, n_features)) if isinstance(partition, Gaussians) else None
        nothing = Tally(0, np.zeros(n_classes), np.zeros((n_classes, n_features)), 0.0, second)
        return reduce(Tally.__add__, parts, nothing)

    return _sum(reduce_chunks(leaf, _sum, [matrix]) for matrix in matrices)


def _defined(partition: Partition, blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    for block in blocks:
        z = partition.coordinates(np.asarray(block, dtype=np.float64))
        kept = ~np.isnan(z).any(axis=1)
        yield z if kept.all() else z[kept]


def probabilities(partition: Partition, x: np.ndarray) -> np.ndarray:
    """How probable each class is for every row, (row, class); NaN where a row has a NaN."""
    z = partition.coordinates(np.asarray(x, dtype=np.float64))
    kept = ~np.isnan(z).any(axis=1)
    found = np.full((len(z), len(partition.mean)), np.nan)
    found[kept] = partition.probability(z[kept])[0]
    return found
