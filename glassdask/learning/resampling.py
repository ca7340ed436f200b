"""Standard errors of anything that moments tell, from resampling whole configurations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from glassdask.declarations import Where, converted
from glassdask.errors import ParameterError
from glassdask.learning.moments import Moments, merge_moments

Several = Annotated[int, Where(lambda n: n >= 2, "a whole number of at least 2")]


def bootstrap(
    statistic: Callable[[Moments], ArrayLike],
    parts: Mapping[Hashable, Moments],
    n_resamples: int = 200,
    seed: int = 0,
) -> tuple[Any, Any]:
    """A statistic of all groups together and its standard error from resampling the groups with replacement.

    Particles of one configuration are not independent, so whole configurations are drawn; the data are not read again.
    With few groups the error itself is uncertain: by about a third with five.

    Parameters
    ----------
    statistic : callable
        From `Moments` to a number or an array, such as explained variance ratios or coefficients.
    parts : dict of group to Moments
        From ``grouped_moments(X, y, configuration)``.
    n_resamples, seed : int
        Resamples, and the seed of their choice.

    Returns
    -------
    value, error
        Shaped as what `statistic` gives; the error is the standard deviation over the resamples.

    Raises
    ------
    ParameterError
        With fewer than two groups that have defined rows.

    Examples
    --------
    >>> from glassdask.learning import PCA, grouped_moments
    >>> x = np.random.default_rng(0).normal(size=(2000, 2)) * [2.0, 1.0]
    >>> parts = grouped_moments(x, groups=np.arange(2000) // 100)
    >>> ratio, error = bootstrap(lambda m: PCA().fit_moments(m).explained_variance_ratio_, parts)
    >>> ratio.round(1).tolist(), bool(0.002 < error[0] < 0.02)
    ([0.8, 0.2], True)
    """
    filled = [part for part in parts.values() if part.n > 0]
    if len(filled) < 2:
        raise ParameterError(f"{len(filled)} groups with defined rows, but an error over groups needs at least 2")
    n_resamples = converted(n_resamples, Several, "n_resamples")
    draws = np.random.default_rng(seed).integers(len(filled), size=(n_resamples, len(filled)))
    samples = np.array([np.asarray(statistic(merge_moments([filled[i] for i in draw]))) for draw in draws])
    return np.asarray(statistic(merge_moments(filled)))[()], samples.std(axis=0, ddof=1)[()]
