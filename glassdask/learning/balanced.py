"""Balanced sets of active and inactive particles (paper B: 5 % each, or D2min above 0.6 and as many of the lowest)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.declarations import Finite, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.learning.arrays import as_labels
from glassdask.variables import unmasked


def balanced_extremes(activity: Any, fraction: float, groups: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The most and the least active fraction of particles, equally many of both.

    Parameters
    ----------
    activity : array (sample,)
        For instance the propensity or D2min. Particles with NaN are left out first.
    fraction : float
        Of each kind, between 0 and 0.5; B takes 0.05. The number is rounded down, but at least one.
    groups : array (sample,), optional
        Configuration of each particle. If given, the fraction is taken in each group by itself, so that
        configurations that are active as a whole don't supply all active particles.

    Returns
    -------
    rows : array of int
        Positions of the selected particles in ascending order.
    labels : array of int
        1 for active, 0 for inactive.

    Examples
    --------
    >>> rows, labels = balanced_extremes(np.array([5.0, 1.0, 3.0, 9.0, 2.0]), 0.2)
    >>> rows.tolist(), labels.tolist()
    ([1, 3], [0, 1])
    """
    fraction = converted(fraction, Finite, "fraction")
    if not 0.0 < fraction <= 0.5:
        raise ParameterError(f"fraction is {fraction}, expected more than 0 and at most 0.5 of the particles of a kind")
    values = _activity(activity)
    low, high = [], []
    for rows in _defined_groups(values, groups):
        n = max(int(fraction * len(rows) + 1e-9), 1)
        if 2 * n > len(rows):
            raise ParameterError(f"a group has {len(rows)} defined particles: at least 2 are needed for both kinds")
        order = rows[np.argsort(values[rows], kind="stable")]
        low.append(order[:n])
        high.append(order[-n:])
    return _labelled(low, high)


def balanced_above(
    activity: Any, threshold: float, groups: Any = None, avalanche: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The particles more active than a threshold, and as many of the least active ones of the same groups.

    Parameters
    ----------
    activity : array (sample,)
        For instance D2min. Particles with NaN are left out first.
    threshold : float
        Particles above it are active; B takes 0.6 for D2min in shear.
    groups : array (sample,), optional
        Event (or configuration) of each particle; inactive ones are taken from the same group.
    avalanche : float, optional
        Groups in which more than this fraction of the particles is active are left out as collective avalanches.

    Returns
    -------
    rows, labels
        As in `balanced_extremes`. At most half of a group is active: beyond that the most active half is taken.

    Raises
    ------
    ParameterError
        If no particle is left that is active.

    Examples
    --------
    >>> rows, labels = balanced_above(np.array([0.9, 0.1, 0.3, 0.8, 0.2]), 0.6)
    >>> rows.tolist(), labels.tolist()
    ([0, 1, 3, 4], [1, 0, 1, 0])
    """
    threshold, avalanche = converted(threshold, Finite, "threshold"), converted(avalanche, Finite | None, "avalanche")
    values = _activity(activity)
    low, high = [], []
    left_out = 0
    for rows in _defined_groups(values, groups):
        n = int((values[rows] > threshold).sum())
        if avalanche is not None and n > avalanche * len(rows):
            left_out += 1
            continue
        n = min(n, len(rows) // 2)
        order = rows[np.argsort(values[rows], kind="stable")]
        low.append(order[:n])
        high.append(order[len(order) - n :])
    if sum(len(rows) for rows in high) == 0:
        raise ParameterError(
            f"no particle is more active than {threshold} in the groups that are left ({left_out} left out as "
            "avalanches): lower the threshold or raise avalanche"
        )
    return _labelled(low, high)


def _activity(activity: Any) -> np.ndarray:
    try:
        values = np.asarray(unmasked("activity", activity), dtype=np.float64)
    except SchemaError:
        raise
    except (TypeError, ValueError) as error:
        raise ParameterError(f"activity is no array of numbers ({error}): give one for each sample") from None
    if values.ndim != 1:
        raise ParameterError(f"activity has shape {values.shape}, expected (sample,): flatten frames and particles")
    return values


def _defined_groups(values: np.ndarray, groups: Any) -> Iterator[np.ndarray]:
    """Rows with a defined activity, group by group."""
    rows = np.flatnonzero(~np.isnan(values))
    if len(rows) == 0:
        raise ParameterError(f"none of the {len(values)} activities is defined")
    if groups is None:
        yield rows
        return
    labels = as_labels(groups, values, what="groups")[rows]
    order = np.argsort(labels, kind="stable")
    yield from np.split(rows[order], np.flatnonzero(np.diff(np.unique(labels, return_inverse=True)[1][order])) + 1)


def _labelled(low: list[np.ndarray], high: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    inactive, active = np.concatenate(low), np.concatenate(high)
    rows = np.concatenate([inactive, active])
    labels = np.repeat([0, 1], [len(inactive), len(active)])
    order = np.argsort(rows)
    return rows[order], labels[order]
