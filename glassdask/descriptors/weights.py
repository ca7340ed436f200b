"""Who is searched, and how much each neighbour counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np

from glassdask.declarations import Where
from glassdask.descriptors.base import Search
from glassdask.kernels import weights as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.cutoffs import allowed_pairs, pair_matrix
from glassdask.neighborhood.nearest import Cutoff, Neighborhood

# Weights (P,) of the pairs of a batch, which the next call for the same configuration overwrites.
Weigh = Callable[[Configuration, Neighbors], np.ndarray]
Values = Mapping[tuple[str, str], float] | float

Exponent = Annotated[float, Where(lambda gamma: gamma > 0, "a positive exponent such as 8")]
Enlargement = Annotated[float, Where(lambda ratio: 1 <= ratio < np.inf, "R / r_c of at least 1, such as 1.3")]


def bonds(
    cutoffs: Values | None,
    neighbors: Neighborhood | None,
    names: tuple[str, ...],
    neighbor_species: str | tuple[str, ...] = "all",
) -> tuple[Search, Weigh]:
    """The search and the weights of neighbours that count alike, or as their rule weighs them."""
    allowed = allowed_pairs(neighbor_species, names)
    if isinstance(neighbors, Cutoff):
        cutoffs = neighbors.cutoffs
    if cutoffs is None:
        assert neighbors is not None
        return neighbors, sharp(np.where(allowed, np.inf, 0.0))  # however far the rule's neighbours are
    matrix = pair_matrix(cutoffs, names, needed=allowed)
    return matrix, sharp(matrix)


def smooth_bonds(
    cutoffs: Values,
    gamma: float,
    enlargement: float,
    neighbors: Neighborhood | None,
    names: tuple[str, ...],
    neighbor_species: str | tuple[str, ...],
) -> tuple[Search, Weigh]:
    """The search and the weights of neighbours that count less the further they are, see `smooth`."""
    matrix = pair_matrix(cutoffs, names, needed=allowed_pairs(neighbor_species, names))
    return neighbors or matrix * enlargement, smooth(matrix, gamma, enlargement)


def everyone(reach: float, names: tuple[str, ...], neighbors: Neighborhood | None) -> Search:
    """The search of a descriptor that looks at all closer than `reach`, or at those of them whom a rule names."""
    return neighbors or np.full((len(names), len(names)), reach)


def sharp(cutoffs: np.ndarray) -> Weigh:
    """Weights 1 for pairs closer than their cutoff, 0 for the others, times those of the neighbours' rule."""

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        weight = configuration.scratch("weights", len(neighbors.index))
        kernels.sharp(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.distance, configuration.species, cutoffs,
            weight,
        )  # fmt: skip
        return _times_rule(weight, neighbors)

    return weigh


def smooth(cutoffs: np.ndarray, gamma: float, enlargement: float) -> Weigh:
    """Weights exp(-(r / r_c)^gamma) for r < enlargement * r_c (paper A, Eq. 8), times those of the neighbours' rule.

    A cutoff of zero excludes the pair.
    """
    with np.errstate(divide="ignore", over="ignore"):
        inverse2 = np.where(cutoffs > 0, 1.0 / np.square(cutoffs), np.inf)

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        weight = configuration.scratch("weights", len(neighbors.index))
        kernels.smooth_exponent(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.distance, configuration.species, inverse2,
            0.5 * gamma, enlargement * enlargement, weight,
        )  # fmt: skip
        return _times_rule(np.exp(weight, out=weight), neighbors)

    return weigh


def _times_rule(weight: np.ndarray, neighbors: Neighbors) -> np.ndarray:
    return weight if neighbors.weight is None else np.multiply(weight, neighbors.weight, out=weight)
