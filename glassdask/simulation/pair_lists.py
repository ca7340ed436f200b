"""The pairs of a configuration, each once, and the slope and curvature of a potential."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from glassdask.errors import PositionError
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.potentials import Array, PairPotential


def half_list(configuration: Configuration, cutoffs: np.ndarray) -> tuple[np.ndarray, ...]:
    """First and second particle, vector and distance of each pair once, sorted; first <= second.

    In a box smaller than twice the cutoff a pair is there with each of its images, and a particle with its own: one of
    each two that are opposite.
    """
    n, d = len(configuration.position), configuration.dimension
    pieces: list[tuple[np.ndarray, ...]] = []
    for _, found in configuration.batches(np.arange(n), cutoffs):
        owner = np.repeat(found.centers, found.counts)
        kept = np.flatnonzero((found.index > owner) | ((found.index == owner) & _forward(found.vector)))
        pieces.append((owner[kept], found.index[kept].astype(np.int64), found.vector[:, kept]))
    first = np.concatenate([piece[0] for piece in pieces])
    second = np.concatenate([piece[1] for piece in pieces])
    vector = np.concatenate([piece[2] for piece in pieces], axis=1)
    order = np.argsort(first * n + second)
    if (vector[3] == 0.0).any():
        p = int(np.argmin(vector[3]))
        raise PositionError(f"particles {first[p]} and {second[p]} are at the same place: move one")
    return first[order], second[order], np.ascontiguousarray(vector[:d, order].T), vector[3, order]


def _forward(vector: np.ndarray) -> np.ndarray:
    """Whether the first component of a vector (4, P) that is not zero, but for rounding, is positive: one of +-R."""
    zero = np.abs(vector[:3]) <= 1e-9 * vector[3]
    leading = np.argmin(zero, axis=0)
    return np.asarray(np.take_along_axis(vector[:3], leading[None], axis=0)[0] > 0.0)


def slope_and_curvature(potential: PairPotential, r: Array) -> tuple[Array, Array]:
    """u'(r) and u''(r) with the cutoff as `CutPotential` says; a jump of the energy or force there is not seen.

    Examples
    --------
    >>> from glassdask.simulation.forms import LennardJones
    >>> u = LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5)
    >>> [(x + 0.0).round(6).tolist() for x in slope_and_curvature(u, np.array([2 ** (1 / 6), 3.0]))]
    [[0.0, 0.0], [57.146438, 0.0]]
    """
    inside, within = r < potential.inner, r < potential.end
    _, first, second = potential.derivatives(np.minimum(r, np.nextafter(potential.inner, 0.0)))
    x, found = r - potential.inner, []
    for order, value in ((1, first), (2, second)):
        outer = np.where(within, polyval(x, polyder(potential.outer, order)), 0.0)
        found.append(np.where(inside, value + polyval(r, polyder(potential.added, order)), outer))
    return found[0], found[1]
