"""Is a distribution of one mode, and is it Gaussian (paper A, Secs. III.C and VI.B)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Whole, converted
from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_matrix
from glassdask.learning.columns import column_moments
from glassdask.learning.moments import compute_moments
from glassdask.learning.resampling import Several
from glassdask.variables import unmasked


def skewness_kurtosis(X: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Skewness and excess kurtosis of each component: both vanish for a Gaussian.

    .. math:: \gamma_1 = m_3 / m_2^{3/2}, \qquad \gamma_2 = m_4 / m_2^2 - 3

    with central moments :math:`m_p` divided by the number of rows, in one pass over the chunks.

    Parameters
    ----------
    X : array (sample,) or (sample, component)
        Rows with NaN are left out.

    Returns
    -------
    skewness, kurtosis : arrays (component,)
        NaN for a component that does not vary.

    Examples
    --------
    >>> skewness, kurtosis = skewness_kurtosis(np.array([0.0, 0.0, 0.0, 4.0]))
    >>> skewness.round(3).tolist(), kurtosis.round(3).tolist()
    ([1.155], [-0.667])
    """
    columns = column_moments(_matrix(X))
    columns.require_rows(1)
    m2 = columns.m2 / columns.n
    m2[columns.constant_features()] = np.nan
    return columns.m3 / columns.n / m2**1.5, columns.m4 / columns.n / m2**2 - 3.0


def dip_test(X: Any, n_resamples: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hartigans' dip and its p-value for each component (A, reference 51).

    The dip is the largest distance between the empirical distribution function and the nearest one with a single
    mode. A small p-value says that there is more than one mode; the "output between 0 (unimodal) and 1 (multimodal)"
    of paper A is to be compared with 1 - p. p is interpolated in the published table on sqrt(n) dip, beyond its 72000
    rows with the last, asymptotic, line.

    Parameters
    ----------
    X : array (sample,) or (sample, component)
        A dask array is brought into memory, since the dip needs sorted values. NaN are left out column by column.
    n_resamples : int, optional
        Instead of the table, p is the part of so many samples of a uniform distribution, of the same number of values,
        that have a larger dip: not less than 1 / n_resamples can be told apart from 0.
    seed : int
        Of these samples.

    Returns
    -------
    dip, p : arrays (component,)

    Raises
    ------
    ParameterError
        For a component with fewer than four values, or fewer than two resamples.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 201)
    >>> dip, p = dip_test(np.stack([x, x + 3 * np.sign(x)], axis=1))
    >>> dip.round(3).tolist(), p.round(3).tolist()
    ([0.002, 0.213], [1.0, 0.0])
    """
    import diptest

    drawn = {}
    if n_resamples is not None:
        seed = converted(seed, Whole, "seed") + 1  # diptest takes 0 for none
        drawn = {"boot_pval": True, "n_boot": converted(n_resamples, Several, "n_resamples"), "n_threads": 1}
        drawn["seed"] = seed
    X = np.asarray(_matrix(X))
    results = []
    for j in range(X.shape[1]):
        values = X[:, j].astype(np.float64)
        values = values[~np.isnan(values)]
        if len(values) < 4 or np.isinf(values).any():
            raise ParameterError(
                f"component {j} has {np.isfinite(values).sum()} finite of {len(values)} values, "
                "expected at least 4, none infinite"
            )
        with warnings.catch_warnings():
            # beyond the table's largest sample the law of sqrt(n) dip no longer changes
            warnings.filterwarnings("ignore", "Sample size exceeds", UserWarning)
            results.append(diptest.diptest(values, **drawn))
    dips, p_values = np.array(results).T
    return dips, p_values


def folding_test(X: Any) -> float:
    r"""Folding statistic of a distribution in any dimension d: below 1 for several modes, above 1 for one.

    .. math::

        \Phi = (1 + d)^2 \, \frac{\mathrm{Var}\,\|X - s\|}{\mathrm{Tr}\,\Sigma}, \qquad
        s = \tfrac12 \Sigma^{-1} \mathrm{Cov}(X, \|X\|^2)

    (A. Siffer et al., Proc. 24th ACM SIGKDD, 2210 (2018); A, reference 79). It is 1 for a uniform ball of any
    dimension, :math:`4 (1 - 2/\pi) = 1.45` for a Gaussian in one. Paper A (Sec. VI.B) found that it grows with the
    dimension in a trivial way, so compare equal dimensions only. A third mode at the pivot s goes unseen.

    Parameters
    ----------
    X : array (sample,) or (sample, component)
        All components are taken together; call it once for each column for the marginal distributions. Rows with NaN
        are left out. A dask array is read three times: persist it if that is expensive.

    Raises
    ------
    ParameterError
        If the covariance is singular, such as for a constant component.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20001)
    >>> round(folding_test(x), 3), round(folding_test(x + 3 * np.sign(x)), 3)
    (1.0, 0.027)
    """
    X = _matrix(X)
    d = X.shape[1]
    first = compute_moments(X)
    first.require_rows(2)
    centred = X - first.mean  # distances are translation-invariant, and squares about the mean don't cancel
    second = compute_moments(centred, (centred * centred).sum(axis=1))
    scale = second.x_scale
    correlation = second.xx / second.n / np.outer(scale, scale) if scale.all() else np.zeros((d, d))
    if len(first.constant_features()) or np.linalg.cond(correlation) > 1e12:
        raise ParameterError(f"the covariance of the {d} components is singular: leave out what does not vary freely")
    pivot = 0.5 * np.linalg.solve(second.xx, second.xy[:, 0])
    apart = centred - pivot
    distance = compute_moments(((apart * apart).sum(axis=1) ** 0.5)[:, None])
    return float((1 + d) ** 2 * distance.xx[0, 0] / np.trace(second.xx))


def _matrix(X: Any) -> Any:
    """A matrix (sample, component); one component may come without its dimension."""
    if isinstance(X, xr.DataArray):
        X = X.data
    X = unmasked("X", X)
    return as_matrix(X[:, None] if X.ndim == 1 else X)[0]
