"""Scores of predictions: within configurations and pooled, paired, against the ceiling, and whether labels leak."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from glassdask.learning import pearson

LEAK = 0.02


def rows_of(predicted: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    """R of predictions (configuration, particle) with what was measured.

    Pooled over all particles, and the mean within configurations with its standard error over them; NaN for one
    configuration.
    """
    single = within(predicted, actual)
    n = len(single)
    error = float(single.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    pooled = float(pearson(predicted.ravel(), actual.ravel()))
    return {"pooled_r": pooled, "mean_r": float(single.mean()), "error": error, "n_configurations": n}


def within(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """R within each configuration."""
    return np.array([float(pearson(p, m)) for p, m in zip(predicted, actual)])


def paired(scores: dict[tuple[str, str], np.ndarray]) -> list[dict[str, Any]]:
    """Differences of every two models of the same configurations, with standard errors over configurations."""
    rows = []
    for (a, first), (b, second) in combinations(scores.items(), 2):
        difference = second - first
        n = len(difference)
        error = float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
        rows.append({
            "model": b[0], "structure": b[1], "against_model": a[0], "against_structure": a[1],
            "difference": float(difference.mean()), "error": error, "n_configurations": n,
        })  # fmt: skip
    return rows


def leak(predicted: np.ndarray, others: np.ndarray, *, same: bool = True) -> tuple[float, float]:
    """Mean R of predictions with the labels of other configurations, and what chance alone may give.

    Particles are numbered anyhow, so that this is zero for every model, unless labels have come where they must not
    be. Chance: four standard errors, at least 0.02. `same`: whether others[k] are the labels of predicted[k] itself,
    which are left out; R of k and j is then nearly that of j and k, and tells nothing new.
    """
    found = [float(pearson(p, m)) for k, p in enumerate(predicted) for j, m in enumerate(others) if not same or j != k]
    return float(np.mean(found)), max(LEAK, 4.0 / np.sqrt(len(found) / (2 if same else 1) * predicted.shape[1]))


def ceiling(mean: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    r"""rho_max, the R of the true propensity with that of a finite number of runs, and its standard error.

    .. math:: \rho_{max}^2 = 1 - \overline{e^2} / Var(m)

    with m (configuration, particle) the means over the runs and e their standard errors; the error is a jackknife over
    configurations, NaN with one.
    """

    def estimate(m: np.ndarray, e: np.ndarray) -> float:
        return float(np.sqrt(max(1.0 - (e**2).mean() / m.var(), 0.0)))

    n = len(mean)
    if n < 2:
        return estimate(mean, error), float("nan")
    left_out = [estimate(np.delete(mean, k, axis=0), np.delete(error, k, axis=0)) for k in range(n)]
    return estimate(mean, error), float(np.sqrt((n - 1) * np.var(left_out)))


def susceptibility(field: np.ndarray) -> float:
    r"""N times the variance over configurations of the mean over the particles, chi_4 of a field; NaN with one."""
    return float(field.shape[1] * field.mean(axis=1).var(ddof=1)) if len(field) > 1 else float("nan")


def stretch(unseen: np.ndarray, actual: np.ndarray) -> float:
    """By how much chi_4 of predictions (configuration, particle) is too small, of configurations that were not seen.

    The relative error is about 2 / sqrt(configurations). NaN with fewer than two; rows of NaN are left out.
    """
    known = np.isfinite(unseen).all(axis=1)
    return susceptibility(actual[known]) / susceptibility(unseen[known]) if known.sum() > 1 else float("nan")


def spread(field: np.ndarray) -> float:
    """Mean over the configurations of the standard deviation within them."""
    return float(field.std(axis=1).mean())
