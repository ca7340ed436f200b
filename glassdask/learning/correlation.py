"""Correlation coefficients between particle properties, with errors over configurations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import converted
from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_matrix, like_rows
from glassdask.learning.moments import Moments, compute_moments, grouped_moments
from glassdask.learning.resampling import Several
from glassdask.variables import unmasked


def pearson(x: Any, y: Any) -> Any:
    r"""Pearson's correlation coefficient R of every column of `x` with every column of `y`, in one pass.

    Parameters
    ----------
    x, y : arrays (sample,) or (sample, column)
        NumPy, dask or DataArray. Rows with a NaN in any column are left out.

    Returns
    -------
    float, or array (columns of x, columns of y)
        A dimension is left out where a vector was given. NaN where a column does not vary.

    Examples
    --------
    >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.5])).round(3).item()
    0.998
    """
    return _squeeze(correlations(compute_moments(_columns(x), y)), x, y)


def correlations(moments: Moments) -> np.ndarray:
    """R of every feature with every target, (feature, target), from moments; NaN where a column does not vary."""
    moments.require_rows(2)
    return _normalised(moments.xy, np.diag(moments.xx), np.diag(moments.yy), moments.mean, moments.n)


def spearman(x: Any, y: Any) -> Any:
    """Spearman's rank correlation coefficient, with the arguments and the result of `pearson`.

    The ranks need all values at once: dask arrays are brought into memory.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 5.0])).round(3).item()
    0.5
    """
    ranks_x, ranks_y = _ranks(x, y)
    return _squeeze(correlations(compute_moments(ranks_x, ranks_y)), x, y)


def bootstrap_pearson(x: Any, y: Any, groups: Any, n_resamples: int = 1000, seed: int = 0) -> tuple[Any, Any]:
    """`pearson` and its standard error from resampling whole groups, such as configurations, with replacement.

    Particles of one configuration are not independent, so single rows must not be resampled. One pass over the data.

    Parameters
    ----------
    x, y : arrays (sample,) or (sample, column)
        As in `pearson`.
    groups : array (sample,)
        Configuration of each row.
    n_resamples, seed : int
        Resamples, and the seed of their choice.

    Returns
    -------
    r, error
        Shaped as in `pearson`; the error is the standard deviation over the resamples.

    Raises
    ------
    ParameterError
        With fewer than two groups.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=4000)
    >>> r, error = bootstrap_pearson(x, x + rng.normal(size=4000), groups=np.arange(4000) // 100)
    >>> bool(abs(r - 0.5**0.5) < 3 * error), bool(0.004 < error < 0.012)
    (True, True)
    """
    parts = grouped_moments(_columns(x), y, groups)
    r, error = bootstrap_correlations(parts, n_resamples, seed)
    return _squeeze(r, x, y), _squeeze(error, x, y)


def bootstrap_spearman(x: Any, y: Any, groups: Any, n_resamples: int = 1000, seed: int = 0) -> tuple[Any, Any]:
    """`spearman` and its standard error, as `bootstrap_pearson`; ranks are those among all rows in every resample."""
    ranks_x, ranks_y = _ranks(x, y)
    parts = grouped_moments(ranks_x, ranks_y, groups)
    r, error = bootstrap_correlations(parts, n_resamples, seed)
    return _squeeze(r, x, y), _squeeze(error, x, y)


def bootstrap_correlations(
    parts: Mapping[Hashable, Moments], n_resamples: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """R (feature, target) of all groups together and its standard error over resamples of the groups."""
    n_resamples = converted(n_resamples, Several, "n_resamples")
    filled = [part for part in parts.values() if part.n > 0]
    if len(filled) < 2:
        raise ParameterError(f"{len(filled)} groups with defined rows, but an error over groups needs at least 2")
    n = np.array([part.n for part in filled], dtype=np.float64)
    means = np.array([part.mean for part in filled])
    origin = n @ means / n.sum()
    shift = means - origin
    k = filled[0].n_features
    # second moments about the overall mean are linear in how often each group is drawn
    xx = np.array([np.diag(part.xx) for part in filled]) + n[:, None] * shift[:, :k] ** 2
    yy = np.array([np.diag(part.yy) for part in filled]) + n[:, None] * shift[:, k:] ** 2
    xy = np.array([part.xy for part in filled]) + np.einsum("g,gi,gj->gij", n, shift[:, :k], shift[:, k:])
    draws = np.random.default_rng(seed).integers(len(filled), size=(n_resamples, len(filled)))
    samples = np.empty((n_resamples, *xy.shape[1:]))
    for i, draw in enumerate(draws):
        total = n[draw].sum()
        mean = n[draw] @ shift[draw] / total
        samples[i] = _normalised(
            xy[draw].sum(axis=0) - total * np.outer(mean[:k], mean[k:]),
            xx[draw].sum(axis=0) - total * mean[:k] ** 2,
            yy[draw].sum(axis=0) - total * mean[k:] ** 2,
            np.concatenate([origin[:k] + mean[:k], origin[k:] + mean[k:]]),
            int(total),
        )
    everything = _normalised(xy.sum(axis=0), xx.sum(axis=0), yy.sum(axis=0), origin, int(n.sum()))
    return everything, samples.std(axis=0, ddof=1)


def _normalised(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray, mean: np.ndarray, n: float) -> np.ndarray:
    """xy / sqrt(xx yy), NaN where one of the two is rounding only."""
    scatter = np.concatenate([xx, yy])
    varies = scatter > n * (64 * np.finfo(np.float64).eps * mean) ** 2
    deviation = np.sqrt(np.where(varies, scatter, np.nan))
    r: np.ndarray = np.clip(xy / np.outer(deviation[: len(xx)], deviation[len(xx) :]), -1.0, 1.0)
    return r


def _columns(x: Any) -> Any:
    if isinstance(x, xr.DataArray):
        x = x.data
    x = unmasked("x", x)
    return x[:, None] if x.ndim == 1 else x


def _ranks(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    import scipy.stats

    columns = [
        np.asarray(as_matrix(_columns(values), what=name)[0], dtype=np.float64) for name, values in (("x", x), ("y", y))
    ]
    like_rows(columns[1], columns[0], what="y")
    defined = ~np.isnan(np.hstack(columns)).any(axis=1)
    if not defined.any():
        raise ParameterError(f"all {defined.size} rows have a NaN: there is nothing to rank")
    ranks = [np.full(values.shape, np.nan) for values in columns]
    for rank, values in zip(ranks, columns):
        rank[defined] = scipy.stats.rankdata(values[defined], axis=0)
    return ranks[0], ranks[1]


def _squeeze(r: np.ndarray, x: Any, y: Any) -> Any:
    if np.ndim(y) == 1:
        r = r[:, 0]
    return r[0] if np.ndim(x) == 1 else r
