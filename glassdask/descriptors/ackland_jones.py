"""Crystal structures by the angles between the bonds of a particle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Descriptor, Plan
from glassdask.descriptors.common_neighbors import STRUCTURES
from glassdask.errors import ParameterError
from glassdask.kernels import bond_directions as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import KNearest


@dataclass(frozen=True, kw_only=True)
class AcklandJones(Descriptor):
    r"""Bond-angle analysis of Ackland and Jones: fcc, hcp, bcc, icosahedral or other.

    The cosines of the angles between the neighbours closer than sqrt(1.45) r_0, with r_0^2 the mean of r^2 of the six
    nearest, fall into eight ranges, and their numbers decide: G. J. Ackland and A. P. Jones, Phys. Rev. B 73, 054104
    (2006), of the 14 nearest, as OVITO and LAMMPS (``legacy yes``) have it. With thermal noise it takes more particles
    for a wrong crystal than the adaptive `CommonNeighbors` do, and half of a liquid for some crystal.

    Notes
    -----
    Output ``ackland_jones`` (frame, particle), no unit: 0 other, 1 fcc, 2 hcp, 3 bcc, 4 icosahedral, as of
    `CommonNeighbors` and in OVITO; the attribute ``classes`` has these names. NaN only beside open borders, where not
    all of the 14 nearest are known.

    Examples
    --------
    >>> import glassdask as gd
    >>> corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3)
    >>> fcc = (corner + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(1, 256, 3)
    >>> crystal = gd.from_arrays(fcc, species=["A"] * 256, box=[4.0] * 3)
    >>> gd.describe(crystal, [gd.AcklandJones()])["ackland_jones"].values[0, :3].tolist()
    [1.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "ackland_jones"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("AcklandJones needs three dimensions: in the plane use Hexatic")

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            kernels.structure_by_angles(neighbors.offsets, neighbors.vector, np.empty(8, np.int64), out)

        return Plan(
            search=KNearest(14),
            compute=compute,
            attrs={"long_name": "structure by bond angles", "units": "", "classes": list(STRUCTURES)},
        )
