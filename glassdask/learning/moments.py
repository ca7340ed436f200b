"""Means and centred Gram matrices of any number of rows in one pass, exact and without cancellation.

Every linear method of `glassdask.learning` is fitted from a `Moments` object, so the data are read once, however many
penalties, lags or subsets of features are tried afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_labels, as_matrix, as_targets, checked_labels, reduce_chunks
from glassdask.variables import unmasked

DOUBLE = 64 * float(np.finfo(np.float64).eps)  # what sums in double precision leave of a constant
SINGLE = float(np.finfo(np.float32).eps)  # numbers that were stored in single precision scatter by half of this
BLOCK = 2**19  # numbers that are centred at a time: a few MB, so that they stay in the cache


class Described:
    """What is known of the columns of features after a pass; shared by `Moments` and `Columns`."""

    n: float
    n_undefined: int
    names: list[str] | None
    n_features: int
    rounding: float = DOUBLE  # relative to the mean, the standard deviation below which a feature does not vary

    @property
    def x_mean(self) -> np.ndarray:
        """Means of the features, (feature,)."""
        raise NotImplementedError

    @property
    def x_scale(self) -> np.ndarray:
        """Standard deviation of each feature over all rows (divided by n), (feature,)."""
        raise NotImplementedError

    def constant_features(self) -> np.ndarray:
        """Positions of the features that do not vary beyond rounding."""
        return np.flatnonzero(self.x_scale <= self.rounding * np.abs(self.x_mean))

    def varying_features(self) -> np.ndarray:
        """Positions of the features that are not constant."""
        return np.setdiff1d(np.arange(self.n_features), self.constant_features())

    def name_of(self, feature: int) -> str:
        """A feature's name for a message."""
        return f"feature {feature}" if self.names is None else f"feature {feature} ({self.names[feature]})"

    def require_rows(self, least: int) -> None:
        """Raise `ParameterError` if fewer than `least` rows are defined."""
        if self.n < least:
            raise ParameterError(
                f"{self.n} sample(s) without NaN (and {self.n_undefined} with), but at least {least} are needed: "
                "check the descriptor's cutoffs and centres"
            )


@dataclass(frozen=True)
class Moments(Described):
    r"""Number, mean and scatter of the rows of features, or of features and targets side by side.

    Attributes
    ----------
    n : int
        Rows that were used; the sum of their weights after `weighted`.
    n_undefined : int
        Rows with a NaN in any column, which were left out.
    mean : array (column,)
        Means of the features, then of the targets.
    scatter : array (column, column)
        :math:`\sum_i (z_i - \bar z)(z_i - \bar z)^T` of the same columns.
    n_features : int
        How many of the columns are features.
    names : list of str or None
        Names of the features.
    vector_target : bool
        Whether the target was given as a vector (sample,), so that predictions are vectors too.

    Examples
    --------
    >>> m = compute_moments(np.array([[0.0, 1.0], [2.0, 5.0], [np.nan, 3.0]]))
    >>> m.n, m.n_undefined, m.mean.tolist(), m.scatter.tolist()
    (2, 1, [1.0, 3.0], [[2.0, 4.0], [4.0, 8.0]])
    """

    n: float
    n_undefined: int
    mean: np.ndarray
    scatter: np.ndarray
    n_features: int
    names: list[str] | None = None
    vector_target: bool = False
    rounding: float = DOUBLE

    @property
    def x_mean(self) -> np.ndarray:
        """Means of the features, (feature,)."""
        return self.mean[: self.n_features]

    @property
    def y_mean(self) -> np.ndarray:
        """Means of the targets, (target,)."""
        return self.mean[self.n_features :]

    @property
    def xx(self) -> np.ndarray:
        """Scatter of the features, (feature, feature)."""
        return self.scatter[: self.n_features, : self.n_features]

    @property
    def xy(self) -> np.ndarray:
        """Scatter between features and targets, (feature, target)."""
        return self.scatter[: self.n_features, self.n_features :]

    @property
    def yy(self) -> np.ndarray:
        """Scatter of the targets, (target, target)."""
        return self.scatter[self.n_features :, self.n_features :]

    @property
    def n_targets(self) -> int:
        """Number of targets; 0 if only features were given."""
        return len(self.mean) - self.n_features

    @property
    def x_scale(self) -> np.ndarray:
        """Standard deviation of each feature over all rows (divided by n), (feature,)."""
        return np.sqrt(np.maximum(np.diag(self.xx), 0.0) / max(self.n, 1))

    def weighted(self, weight: float) -> Moments:
        """The moments of rows that count so many times each, to be merged with others.

        Examples
        --------
        >>> m = compute_moments(np.array([[0.0], [2.0]]))
        >>> twice = m.weighted(2.0)
        >>> twice.n, twice.mean.tolist(), twice.scatter.tolist()
        (4.0, [1.0], [[4.0]])
        """
        if not (np.isfinite(weight) and weight > 0):
            raise ParameterError(f"weight is {weight}, expected a positive number")
        return replace(self, n=weight * self.n, scatter=weight * self.scatter)

    def select(self, features: ArrayLike, targets: ArrayLike | None = None) -> Moments:
        """The moments of some of the features (by position, in that order) and all or some of the targets."""
        kept = np.asarray(features, dtype=int).ravel()
        chosen = np.arange(self.n_targets) if targets is None else np.asarray(targets, dtype=int).ravel()
        if kept.size == 0 or kept.min() < 0 or kept.max() >= self.n_features:
            raise ParameterError(f"features {kept.tolist()} are not positions among {self.n_features} features")
        columns = np.concatenate([kept, self.n_features + chosen])
        return replace(
            self,
            mean=self.mean[columns],
            scatter=self.scatter[np.ix_(columns, columns)],
            n_features=kept.size,
            names=None if self.names is None else [self.names[i] for i in kept],
        )


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """The moments of all rows of all parts (T. F. Chan, G. H. Golub and R. J. LeVeque, Am. Stat. 37, 242 (1983)).

    Examples
    --------
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> whole, halves = compute_moments(x), merge_moments([compute_moments(x[:2]), compute_moments(x[2:])])
    >>> bool(np.allclose(whole.scatter, halves.scatter, rtol=1e-14))
    True
    """
    everything = list(parts)
    if not everything:
        raise ParameterError("no moments to merge: the list is empty")
    filled = [part for part in everything if part.n > 0]
    n_undefined = sum(part.n_undefined for part in everything)
    if not filled:
        return replace(everything[0], n_undefined=n_undefined)
    n = sum(part.n for part in filled)
    origin = filled[0].mean
    mean = origin + sum(part.n / n * (part.mean - origin) for part in filled)
    scatter = np.zeros_like(filled[0].scatter)
    for part in filled:
        shift = part.mean - mean
        scatter += part.scatter
        scatter += np.outer(part.n * shift, shift)
    return replace(filled[0], n=n, n_undefined=n_undefined, mean=mean, scatter=scatter)


def compute_moments(X: Any, y: Any = None) -> Moments:
    """Moments of the features, or of features and targets together, in one pass over the chunks.

    Parameters
    ----------
    X : array (sample, feature)
        NumPy, dask (chunk sizes may be unknown) or DataArray.
    y : array (sample,) or (sample, target), optional
        Targets, for instance the propensity at several lags.

    Returns
    -------
    Moments
        Rows with a NaN in a feature or in a target are counted in `n_undefined` and left out.

    Raises
    ------
    ParameterError
        If a number is infinite, or shapes do not match.
    """
    return grouped_moments(X, y)[None]


def grouped_moments(X: Any, y: Any = None, groups: Any = None) -> dict[Hashable, Moments]:
    """`compute_moments` of each group of rows, for instance of each configuration, in one pass; groups are sorted.

    Cross-validation by groups then needs no further look at the data: the training set of a fold is
    `merge_moments` of the other groups.

    Parameters
    ----------
    X, y : arrays (sample, feature), (sample,) or (sample, target)
        As in `compute_moments`.
    groups : array (sample,), optional
        Label of each row, all of one type and none NaN. Without it there is one group, `None`.

    Examples
    --------
    >>> parts = grouped_moments(np.arange(8.0).reshape(4, 2), groups=[7, 7, 9, 9])
    >>> {group: (m.n, m.mean.tolist()) for group, m in parts.items()}
    {7: (2, [1.0, 2.0]), 9: (2, [5.0, 6.0])}
    """
    X, names = as_matrix(X)
    arrays = [X]
    n_targets = 0
    vector = False
    if y is not None:
        y = y if hasattr(y, "ndim") else unmasked("y", y)
        vector = y.ndim == 1
        arrays.append(as_targets(y, X))
        n_targets = arrays[1].shape[1]
    if groups is not None:
        arrays.append(as_labels(groups, X, what="groups"))

    def leaf(chunk_x: np.ndarray, *others: np.ndarray, chunk: int) -> dict[Hashable, Moments]:
        chunk_y = others[0] if n_targets else None
        if groups is None:
            return {None: _chunk_moments(chunk_x, chunk_y, chunk)}
        found = checked_labels(others[-1], "groups")
        return {
            label.item(): _chunk_moments(chunk_x, chunk_y, chunk, np.flatnonzero(found == label))
            for label in np.unique(found)
        }

    merged = reduce_chunks(leaf, _merge_groups, arrays)
    return {
        group: replace(part, names=names, vector_target=vector, rounding=rounding_of(X))
        for group, part in merged.items()
    }


def rounding_of(X: Any) -> float:
    """The `Described.rounding` of a matrix of this type."""
    return SINGLE if X.dtype == np.float32 else DOUBLE


def _merge_groups(parts: Sequence[dict[Hashable, Moments]]) -> dict[Hashable, Moments]:
    labels = {label for part in parts for label in part}
    ordered = sorted(labels, key=lambda label: (str(type(label)), label))  # None alone, or labels of one type
    return {label: merge_moments(part[label] for part in parts if label in part) for label in ordered}


def _chunk_moments(x: np.ndarray, y: np.ndarray | None, chunk: int, rows: np.ndarray | None = None) -> Moments:
    """Moments of a chunk, or of some of its rows, a block that fits into the cache at a time."""
    n_features = x.shape[1]
    n_columns = n_features + (0 if y is None else y.shape[1])
    n_rows = len(x) if rows is None else len(rows)
    total = Moments(0, 0, np.zeros(n_columns), np.zeros((n_columns, n_columns)), n_features)
    step = max(BLOCK // n_columns, 2 * n_columns, 256)
    for start in range(0, n_rows, step):
        block: Any = slice(start, start + step) if rows is None else rows[start : start + step]
        z = np.empty((min(step, n_rows - start), n_columns))
        z[:, :n_features] = x[block]
        if y is not None:
            z[:, n_features:] = y[block]
        total = merge_moments([total, _block_moments(z, n_features, chunk)])
    return total


def _block_moments(z: np.ndarray, n_features: int, chunk: int) -> Moments:
    z, mean, n_undefined = centred(z, n_features, chunk)
    scatter = z.T @ z
    return Moments(len(z), n_undefined, mean, scatter, n_features)


def centred(z: np.ndarray, n_features: int, chunk: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows of the float64 matrix `z` without NaN minus their mean, the mean, and how many rows had a NaN.

    `z` is overwritten if it has no NaN.
    """
    n_undefined = 0
    with np.errstate(invalid="ignore", over="ignore"):
        mean = z.mean(axis=0)
    if not np.isfinite(mean).all():  # looking at the mean first spares finite data one pass
        if np.isinf(z).any():
            row, column = np.argwhere(np.isinf(z))[0]
            what = f"feature {column}" if column < n_features else f"target {column - n_features}"
            raise ParameterError(
                f"{what} is infinite in chunk {chunk} (row {row} of a block): use NaN for what is undefined"
            )
        defined = ~np.isnan(z).any(axis=1)
        n_undefined = int(len(z) - defined.sum())
        z = z[defined]
        if len(z) == 0:
            return z, np.zeros(z.shape[1]), n_undefined
        mean = z.mean(axis=0)
    z -= mean
    # the mean was rounded: what is left of it is taken out as well, so that a constant column becomes exactly zero
    rest = z.mean(axis=0)
    z -= rest
    return z, mean + rest, n_undefined
