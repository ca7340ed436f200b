"""Means and central moments up to the fourth of each column, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from glassdask.learning.arrays import as_matrix, reduce_chunks
from glassdask.learning.moments import BLOCK, DOUBLE, Described, centred, rounding_of


@dataclass(frozen=True)
class Columns(Described):
    r"""Number, mean and sums of powers :math:`M_p = \sum_i (x_i - \bar x)^p` of each feature.

    Rows with a NaN in any feature are counted in `n_undefined` and left out.

    Examples
    --------
    >>> c = column_moments(np.array([[1.0], [2.0], [3.0], [np.nan]]))
    >>> c.n, c.n_undefined, c.mean.tolist(), c.m2.tolist(), c.m3.tolist(), c.m4.tolist()
    (3, 1, [2.0], [2.0], [0.0], [2.0])
    """

    n: int
    n_undefined: int
    mean: np.ndarray
    m2: np.ndarray
    m3: np.ndarray
    m4: np.ndarray
    names: list[str] | None = None
    rounding: float = DOUBLE

    @property
    def x_mean(self) -> np.ndarray:
        """Means of the features, (feature,)."""
        return self.mean

    @property
    def x_scale(self) -> np.ndarray:
        """Standard deviation of each feature over all rows (divided by n), (feature,)."""
        return np.sqrt(self.m2 / max(self.n, 1))

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Number of features."""
        return len(self.mean)


def column_moments(X: Any) -> Columns:
    """`Columns` of a matrix (sample, feature), NumPy, dask or DataArray."""
    return merge_columns(columns_of_chunks(X))


def columns_of_chunks(X: Any) -> list[Columns]:
    """`Columns` of each chunk of rows in turn, in one pass."""
    X, names = as_matrix(X)
    parts = reduce_chunks(lambda x, *, chunk: [_chunk_columns(x, chunk=chunk)], _joined, [X])
    return [replace(part, names=names, rounding=rounding_of(X)) for part in parts]


def _joined(parts: Sequence[list[Columns]]) -> list[Columns]:
    return [columns for part in parts for columns in part]


def merge_columns(parts: Iterable[Columns]) -> Columns:
    """The moments of all rows of all parts (P. Pebay, Sandia report SAND2008-6212, Eqs. 2.1-3.1)."""
    return reduce(_merge, parts)


def _merge(a: Columns, b: Columns) -> Columns:
    n_undefined = a.n_undefined + b.n_undefined
    if a.n == 0 or b.n == 0:
        return replace(a if b.n == 0 else b, n_undefined=n_undefined)
    n = a.n + b.n
    p, q = a.n / n, b.n / n
    d = b.mean - a.mean
    return Columns(
        n,
        n_undefined,
        a.mean + q * d,
        a.m2 + b.m2 + n * p * q * d**2,
        a.m3 + b.m3 + n * p * q * (p - q) * d**3 + 3 * d * (p * b.m2 - q * a.m2),
        a.m4
        + b.m4
        + n * p * q * (p * p - p * q + q * q) * d**4
        + 6 * d**2 * (p * p * b.m2 + q * q * a.m2)
        + 4 * d * (p * b.m3 - q * a.m3),
        a.names,
    )


def _chunk_columns(x: np.ndarray, *, chunk: int) -> Columns:
    n_features = x.shape[1]
    zero = np.zeros(n_features)
    total = Columns(0, 0, zero, zero, zero, zero)
    step = max(BLOCK // n_features, 256)
    for start in range(0, len(x), step):
        z, mean, n_undefined = centred(np.array(x[start : start + step], dtype=np.float64), n_features, chunk)
        squares = z * z
        total = _merge(
            total,
            Columns(
                len(z),
                n_undefined,
                mean,
                squares.sum(axis=0),
                np.einsum("ij,ij->j", squares, z),
                np.einsum("ij,ij->j", squares, squares),
            ),
        )
    return total
