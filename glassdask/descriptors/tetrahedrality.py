"""How far bond angles are from an ideal one (paper A, Sec. III C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Cutoffs, Descriptor, Plan, allowed_pairs, pair_matrix
from glassdask.descriptors.weights import sharp
from glassdask.errors import ParameterError
from glassdask.kernels.local_order import bond_angles
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood

DEVIATIONS = ("cosine", "angle")


@dataclass(frozen=True, kw_only=True)
class Tetrahedrality(Descriptor):
    r"""Average deviation of the bond angles from the tetrahedral one, 0 where all are ideal.

    Theta(i) = 2 / (N_b (N_b - 1)) sum_{j<k} |cos theta_jik - cos theta_0|  over all pairs of the N_b neighbours of i,
    the measure of partycls and so of paper A for SiO2 (Sec. III C); with ``deviation="angle"`` the bond-angle
    deviation |theta_jik - theta_0| in degrees. In perfect tetrahedra theta_0 is 109.47 degrees; 109.5 is the paper's.

    Parameters
    ----------
    cutoffs : neighbours are closer than this distance, one for all or one for each pair of species
    neighbors : instead of `cutoffs`, another definition of neighbours, such as ``KNearest(4)``
    neighbor_species : ``"all"``, ``"other"`` (species unlike the centre's: O around Si) or a tuple of names
    angle : theta_0 in degrees
    deviation : ``"cosine"`` or ``"angle"``

    Output ``tetrahedrality`` (frame, particle), no unit, or degrees. NaN for a centre with fewer than two neighbours.

    Examples
    --------
    >>> import glassdask as gd
    >>> site = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 0], [3, 3, 1], [2, 0, 2], [3, 1, 3], [0, 2, 2], [1, 3, 3.0]])
    >>> corner = 4.0 * np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 1, 3)
    >>> diamond = gd.from_arrays((corner + site).reshape(1, 64, 3), species=["Si"] * 64, box=[8.0, 8.0, 8.0])
    >>> ideal = Tetrahedrality(cutoffs=2.0, angle=np.degrees(np.arccos(-1 / 3)), deviation="angle")
    >>> bool(gd.describe(diamond, [ideal])["tetrahedrality"].max() < 1e-5)
    True
    """

    name: ClassVar[str] = "tetrahedrality"
    cutoffs: Cutoffs | None = None
    neighbors: Neighborhood | None = None
    neighbor_species: str | tuple[str, ...] = "all"
    angle: float = 109.5
    deviation: str = "cosine"

    def __post_init__(self):
        if (self.cutoffs is None) == (self.neighbors is None):
            raise ParameterError("Tetrahedrality takes either cutoffs or neighbors: give exactly one of them")
        if not 0 <= self.angle <= 180:
            raise ParameterError(f"angle = {self.angle}: expected degrees between 0 and 180")
        if self.deviation not in DEVIATIONS:
            raise ParameterError(f"deviation = {self.deviation!r}: expected one of {', '.join(DEVIATIONS)}")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        allowed = allowed_pairs(self.neighbor_species, names)
        cutoffs = None if self.cutoffs is None else pair_matrix(self.cutoffs, names, needed=allowed)
        # the cutoff of a neighbour that another definition found is none
        weigh = sharp(np.where(allowed, np.inf, 0.0) if cutoffs is None else cutoffs)

        def of_batch(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            unit = np.empty((3, int(neighbors.counts.max(initial=0))))
            counted = weigh(configuration, neighbors) > 0
            bond_angles(neighbors.offsets, neighbors.vector, counted, self.angle, self.deviation == "cosine", unit, out)

        def of_block(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            for rows, neighbors in self.neighbors.batches(configuration, centers):  # type: ignore[union-attr]
                part = np.empty(len(rows))
                of_batch(configuration, neighbors, part)
                out[rows] = part

        return Plan(
            dims=(),
            shape=(),
            coords={},
            cutoffs=cutoffs,
            compute=of_block if cutoffs is None else of_batch,
            attrs={
                "long_name": "mean deviation of the bond angles from the tetrahedral one",
                "units": "" if self.deviation == "cosine" else "degree",
            },
            microseconds=40.0,
        )
