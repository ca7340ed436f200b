"""dask-ml's distributed logistic regression beside `glassdask.learning`'s, on the same particles and penalty."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np

from glassdask import learning
from glassdask.files import read_json, write_json

# its gradient_descent takes minutes here, its newton leaves out the penalty
SOLVERS = ("newton", "lbfgs")
OURS = "glassdask.learning"
HEADER = ["regression", "CPU seconds", "accuracy on configurations left out", "largest difference of its probabilities"]


def compare(x: np.ndarray, labels: np.ndarray, groups: np.ndarray, path: Path, done: Callable) -> list[list[str]]:
    """Rows of a table: who, CPU time of one fit, accuracy in a fifth of the configurations, how far it is from ours.

    One chunk for each configuration that is learned from, features in units of their deviations, C = 1. What is stored
    at `path` is not done again: the CPU time is that of the machine on which it was.
    """
    unseen = np.isin(groups, np.unique(groups)[:: max(1, min(5, len(np.unique(groups)) - 1))])
    mean, deviation = x[~unseen].mean(axis=0), x[~unseen].std(axis=0)
    z = (x - mean) / deviation
    stored = read_json(path) or {}
    expected = learning.LogisticRegression(C=1.0).fit(z[~unseen], labels[~unseen])
    probability = _sigmoid(expected.decision_function(z[unseen]))
    for name in (OURS, *(f"dask-ml, {solver}" for solver in SOLVERS)):
        if name in stored:
            continue
        begun = time.process_time()
        try:
            coefficients, intercept = _fit(name, z[~unseen], labels[~unseen], groups[~unseen])
        except Exception as error:  # whatever goes wrong inside of it is the result
            stored[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"}
        else:
            seconds = time.process_time() - begun
            found = _sigmoid(z[unseen] @ coefficients + intercept)
            right = float(np.mean((found > 0.5) == (labels[unseen] == 1)))
            stored[name] = {"seconds": seconds, "right": right, "off": float(np.abs(found - probability).max())}
        write_json(path, stored)
        done(f"distributed regression: {name}")
    return [_row(name, stored[name]) for name in (OURS, *(f"dask-ml, {solver}" for solver in SOLVERS))]


def _row(name: str, found: dict[str, Any]) -> list[str]:
    if "error" in found:
        return [name, "-", found["error"], "-"]
    return [name, f"{found['seconds']:.2f}", f"{found['right']:.3f}", f"{found['off']:.1e}"]


def _fit(name: str, z: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients and intercept."""
    if name == OURS:
        ours = learning.LogisticRegression(C=1.0).fit(z, labels)
        return ours.coef_, ours.intercept_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its dependencies are old
        from dask_ml.linear_model import LogisticRegression

        order = np.argsort(groups, kind="stable")
        chunks = (tuple(np.bincount(np.unique(groups, return_inverse=True)[1]).tolist()), z.shape[1])
        model = LogisticRegression(C=1.0, solver=name.rpartition(" ")[2], max_iter=100)
        with dask.config.set(scheduler="synchronous"):
            model.fit(da.from_array(z[order], chunks=chunks), da.from_array(labels[order], chunks=chunks[:1]))
        return np.asarray(model.coef_).ravel(), float(np.ravel(model.intercept_)[0])


def _sigmoid(decision: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.asarray(decision)))
