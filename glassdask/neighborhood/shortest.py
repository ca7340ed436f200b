"""Neighbours that no third particle comes between, as in the topological cluster classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from glassdask.declarations import PairValues, Where
from glassdask.kernels import topology
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.cutoffs import pair_matrix
from glassdask.neighborhood.nearest import Batches, Neighborhood

Bound = Annotated[float, Where(lambda f: 0 < f <= 1, "a number above 0, up to 1, such as 0.82")]


@dataclass(frozen=True)
class ModifiedVoronoi(Neighborhood):
    """Neighbours between which no third particle is, the modified Voronoi construction.

    i and j are neighbours where r_ij^2 <= f_c (r_ik^2 + r_jk^2) for all k that are closer to both of them, A. Malins,
    S. R. Williams, J. Eggers and C. P. Royall, J. Chem. Phys. 139, 234506 (2013). With f_c = 1 these are the Voronoi
    neighbours whose bond crosses their common face; smaller f_c leave fewer, and four-membered rings that are less
    regular.

    Parameters
    ----------
    cutoffs : number, or mapping of pairs of species to numbers
        Longest bonds, such as 1.8 diameters; k is looked for within the largest of them.
    f_c : float, default 0.82
        As in the classification.

    Raises
    ------
    ParameterError, SpeciesError
        When cutoffs are missing, not positive, or of an unknown species, or f_c is not in range.

    Examples
    --------
    Across the square there is no bond, as two others are in between:

    >>> square = Configuration(np.array([[1.0, 1], [2, 1], [1, 2], [2, 2]]), np.zeros(4, int), np.eye(2) * 9, "A")
    >>> ModifiedVoronoi(1.8).find(square, np.arange(4)).index.tolist()
    [1, 2, 0, 3, 0, 3, 1, 2]
    """

    cutoffs: PairValues
    f_c: Bound = 0.82
    microseconds = 3.0

    def reach(self, names: tuple[str, ...]) -> float:
        """The largest cutoff."""
        return float(pair_matrix(self.cutoffs, names).max())

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`."""
        longest = pair_matrix(self.cutoffs, configuration.names)
        for rows, found in configuration.batches(centers, np.full_like(longest, longest.max())):
            kept = np.empty(len(found.index), np.bool_)
            topology.shortest_bonds(found.offsets, found.vector, self.f_c, kept)
            own = np.repeat(configuration.species[found.centers], found.counts)
            kept &= found.distance < longest[own, configuration.species[found.index]]
            offsets = np.concatenate([[0], np.cumsum(kept)])[found.offsets]
            yield rows, Neighbors(found.centers, offsets, found.index[kept], found.vector[:, kept], known=found.known)
