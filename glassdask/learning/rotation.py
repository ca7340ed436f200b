"""Rotation of two reduced features to match those of another reduction (paper A, Sec. V)."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.declarations import Finite, converted
from glassdask.errors import ParameterError
from glassdask.learning.moments import compute_moments


def align_rotation(reduced: Any, reference: Any, step: float = 5.0) -> tuple[float, np.ndarray, np.ndarray]:
    r"""Rotation that matches two reduced features with those of a reference, A, Eqs. (28)-(29).

    .. math:: S_R(\theta) = \sum_{j=1}^2 |R(\tilde X_{T,j}, \tilde X_j^{\mathrm{ref}})|, \qquad
              \tilde X_T = \tilde X \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}

    is maximised over multiples of `step`. The correlations at all angles come from one pass.

    Parameters
    ----------
    reduced, reference : arrays (sample, 2)
        For instance of an autoencoder and of PCA. Rows with a NaN in either are left out.
    step : float
        In degrees; the paper takes 5.

    Returns
    -------
    angle : float
        In degrees.
    rotation : array (2, 2)
        ``reduced @ rotation`` are the rotated features.
    r : array (2, 2)
        R of each rotated feature (rows) with each one of the reference (columns), as in Table I.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 2)) * [2.0, 1.0]
    >>> quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> angle, rotation, r = align_rotation(x @ quarter, x)
    >>> angle, np.abs(r).round(2).tolist()
    (90.0, [[1.0, 0.02], [0.02, 1.0]])
    """
    moments = compute_moments(reduced, reference)
    if moments.n_features != 2 or moments.n_targets != 2:
        raise ParameterError(f"{moments.n_features} and {moments.n_targets} features given, expected two and two")
    step = converted(step, Finite, "step")
    if not 0.0 < step <= 180.0:
        raise ParameterError(f"step is {step}, expected degrees between 0 and 180")
    moments.require_rows(3)
    deviation = np.sqrt(np.diag(moments.yy))
    best = (-1.0, 0.0, np.eye(2), np.zeros((2, 2)))
    for angle in np.arange(0.0, 360.0, step):
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        rotation = np.array([[cos, -sin], [sin, cos]])
        spread = np.sqrt(np.diag(rotation.T @ moments.xx @ rotation))
        r = rotation.T @ moments.xy / np.outer(spread, deviation)
        score = float(np.abs(np.diag(r)).sum())
        if score > best[0] + 1e-12:
            best = (score, float(angle), rotation, r)
    return best[1], best[2], best[3]
