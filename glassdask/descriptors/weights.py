"""How much each neighbour counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glassdask.kernels import weights as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors

# Weights (P,) of the pairs of a batch, which the next call for the same configuration overwrites.
Weigh = Callable[[Configuration, Neighbors], np.ndarray]


def sharp(cutoffs: np.ndarray) -> Weigh:
    """Weights 1 for pairs closer than their cutoff, 0 for the others."""

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        weight = configuration.scratch("weights", len(neighbors.index))
        kernels.sharp(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.distance, configuration.species, cutoffs,
            weight,
        )  # fmt: skip
        return weight

    return weigh


def smooth(cutoffs: np.ndarray, gamma: float, enlargement: float) -> Weigh:
    """Weights exp(-(r / r_c)^gamma) for r < enlargement * r_c (paper A, Eq. 8); a cutoff of zero excludes the pair."""
    with np.errstate(divide="ignore"):
        inverse2 = np.where(cutoffs > 0, 1.0 / np.square(cutoffs), np.inf)

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        weight = configuration.scratch("weights", len(neighbors.index))
        kernels.smooth_exponent(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.distance, configuration.species, inverse2,
            0.5 * gamma, enlargement * enlargement, weight,
        )  # fmt: skip
        return np.exp(weight, out=weight)

    return weigh
