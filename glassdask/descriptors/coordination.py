"""The coordination number, sharp and smooth (paper A, Secs. II A 1 and III C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Cutoffs, Descriptor, Plan, allowed_pairs, pair_matrix
from glassdask.descriptors.weights import sharp, smooth
from glassdask.errors import ParameterError
from glassdask.neighborhood.configuration import Configuration, Neighbors


@dataclass(frozen=True, kw_only=True)
class Coordination(Descriptor):
    """Number of neighbours z.

    Sharp: the number of j with r_ij < r_c. Smooth: z(i) = sum_j exp(-(r_ij / r_c)^gamma) over r_ij < R, the weights of
    paper A, Eq. (8), with R = enlargement * r_c.

    Parameters
    ----------
    cutoffs : r_c, one for all or one for each pair of species, such as the `first_minima` of g_ab(r)
    gamma : sharpness of the smooth cutoff, such as 8; None is the sharp one
    enlargement : R / r_c of the smooth cutoff
    neighbor_species : ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names
    by_species : count the neighbours of each species apart

    Output ``coordination`` (frame, particle), with `by_species` (frame, particle, coordination_feature) and the names
    of the species on ``coordination_feature``; no unit. A particle without neighbours has 0.

    The LFS index of SiO2 in paper A is ``z == 4`` of Si with ``neighbor_species="other"``.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> gd.describe(crystal, [Coordination(cutoffs=1.2)])["coordination"].values[0, :2].tolist()
    [6.0, 6.0]
    """

    name: ClassVar[str] = "coordination"
    cutoffs: Cutoffs
    gamma: float | None = None
    enlargement: float = 1.3
    neighbor_species: str | tuple[str, ...] = "all"
    by_species: bool = False

    def __post_init__(self):
        if self.gamma is not None and not self.gamma > 0:
            raise ParameterError(f"gamma = {self.gamma}: expected a positive exponent such as 8, or None")
        if not 1 <= self.enlargement < np.inf:
            raise ParameterError(f"enlargement = {self.enlargement}: expected R / r_c of at least 1, such as 1.3")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        cutoffs = pair_matrix(self.cutoffs, names, needed=allowed_pairs(self.neighbor_species, names))
        if self.gamma is None:
            weigh, reach = sharp(cutoffs), cutoffs
        else:
            weigh, reach = smooth(cutoffs, self.gamma, self.enlargement), cutoffs * self.enlargement
        columns = len(names) if self.by_species else 1

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            bins = np.repeat(np.arange(len(neighbors.centers)) * columns, neighbors.counts)
            if self.by_species:
                bins += configuration.species[neighbors.index]
            found = np.bincount(bins, weigh(configuration, neighbors), len(neighbors.centers) * columns)
            out[...] = found.reshape(out.shape)

        dim = "coordination_feature"
        return Plan(
            dims=(dim,) if self.by_species else (),
            shape=(columns,) if self.by_species else (),
            coords={dim: (dim, np.array(names))} if self.by_species else {},
            cutoffs=reach,
            compute=compute,
            attrs={"long_name": "coordination number", "units": ""},
        )
