"""How far bond angles are from an ideal one (paper A, Sec. III C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from glassdask.declarations import Where
from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfBonds
from glassdask.kernels.local_order import bond_angles
from glassdask.neighborhood.configuration import Configuration, Neighbors

Degrees = Annotated[float, Where(lambda angle: 0 <= angle <= 180, "degrees between 0 and 180")]


@dataclass(frozen=True, kw_only=True)
class Tetrahedrality(OfBonds):
    r"""Average deviation of the bond angles from the tetrahedral one, 0 where all are ideal.

    Theta(i) = 2 / (N_b (N_b - 1)) sum_{j<k} |cos theta_jik - cos theta_0|  over all pairs of the N_b neighbours of i,
    the measure of partycls and so of paper A for SiO2 (Sec. III C); with ``deviation="angle"`` the bond-angle
    deviation |theta_jik - theta_0| in degrees. In perfect tetrahedra theta_0 is 109.47 degrees; 109.5 is the paper's.

    Parameters
    ----------
    cutoffs : float or dict, optional
        Neighbours are closer than this distance, one for all or one for each pair of species.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule, such as ``KNearest(4)``. Where it weighs the neighbours, a pair counts by
        the product of their weights.
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (species unlike the centre's: O around Si) or a tuple of names.
    angle : float, default 109.5
        theta_0 in degrees.
    deviation : {"cosine", "angle"}, default "cosine"
        ``"cosine"`` or ``"angle"``.

    Notes
    -----
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
    angle: Degrees = 109.5
    deviation: Literal["cosine", "angle"] = "cosine"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = self.bonds(names)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            bond = np.empty((4, int(neighbors.counts.max(initial=0))))
            weight = weigh(configuration, neighbors)
            bond_angles(neighbors.offsets, neighbors.vector, weight, self.angle, self.deviation == "cosine", bond, out)

        return Plan(
            search=search,
            compute=compute,
            attrs={
                "long_name": "mean deviation of the bond angles from the tetrahedral one",
                "units": "" if self.deviation == "cosine" else "degree",
            },
            microseconds=40.0,
        )
