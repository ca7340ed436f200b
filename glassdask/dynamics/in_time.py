"""Errors of means over the frames of a run, which are not independent of each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.dynamics.origins import BLOCKS


def error_in_time(values: Any, time: Any = None) -> float:
    r"""Standard error of the mean of values that follow each other in time, from the scatter of blocks.

    .. math:: e^2 = \frac{1}{n (n - 1)} \sum_{b=1}^n (m_b - \bar m)^2

    with the means m_b of up to ten blocks of equal duration. Frames are not counted one by one: those at logarithmic
    lags lie so close together that they tell the same. It is too small where the values are correlated over more
    than a tenth of the run.

    Parameters
    ----------
    values : array (frame,)
        NaN is left out.
    time : array (frame,), optional
        Times of the frames; without it blocks are of as many frames.

    Returns
    -------
    float
        NaN with fewer than two blocks.

    Examples
    --------
    >>> error_in_time([1.0, 3.0]), error_in_time([1.0, 1.0, 1.0, 3.0, 3.0, 3.0], [0.0, 0.01, 0.02, 1.0, 1.01, 1.02])
    (1.0, 1.0)
    """
    values = np.asarray(values, dtype=np.float64)
    time = np.arange(float(len(values))) if time is None else np.asarray(time, dtype=np.float64)
    known = np.isfinite(values)
    values, time = values[known], time[known]
    if len(values) < 2 or time.min() == time.max():
        return float("nan")
    n = min(BLOCKS, len(values))
    block = np.minimum((time - time.min()) / (time.max() - time.min()) * n, n - 1).astype(int)
    means = np.array([values[block == number].mean() for number in np.unique(block)])
    return float(means.std(ddof=1) / np.sqrt(len(means)))
