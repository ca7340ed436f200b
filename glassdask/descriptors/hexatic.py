"""Bond-orientational order in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.declarations import Count
from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfBonds
from glassdask.errors import ParameterError
from glassdask.kernels import local_order as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors


@dataclass(frozen=True, kw_only=True)
class Hexatic(OfBonds):
    r"""Hexatic order psi_6, and psi_n for any other n, in two dimensions.

    psi_n(i) = 1/N_b(i) sum_j exp(i n theta_ij), theta_ij the angle between the bond and the x axis (Nelson and
    Halperin, Phys. Rev. B 19, 2457 (1979)). With ``Voronoi(weighted=True)`` the mean is weighted by the lengths of the
    edges, as Mickel et al., J. Chem. Phys. 138, 044501 (2013), do, so that it does not jump when edges vanish.

    Parameters
    ----------
    n : int, default 6
        Fold of the symmetry.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule, such as ``Voronoi()`` or ``KNearest(6)``. Where it weighs the neighbours, so
        does the mean.

    Notes
    -----
    Output ``hexatic`` (frame, particle, hexatic_feature) with the features ``real``, ``imaginary`` and ``modulus``, no
    unit: the complex number as real ones, which every file and every fit can hold. The phase of psi_n is
    ``arctan2(imaginary, real)``, and an orientation of the bonds is that divided by n. NaN for a centre without
    neighbours or with a neighbour on top of it.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = np.arange(6.0)
    >>> triangular = np.array([[x + 0.5 * y, y * np.sqrt(0.75)] for y in row for x in row])
    >>> crystal = gd.from_arrays(triangular, species=["A"] * 36, box=[[6.0, 0.0], [3.0, 6 * np.sqrt(0.75)]])
    >>> psi = gd.describe(crystal, [gd.Hexatic(n=6, neighbors=gd.Voronoi())])["hexatic"]
    >>> psi.sel(hexatic_feature=["real", "modulus"]).values[0, 0].round(9).tolist()
    [1.0, 1.0]
    """

    name: ClassVar[str] = "hexatic"
    n: Count = 6

    def check(self) -> None:
        """See `Declaration.check`."""
        super().check()
        if self.n > 64:
            raise ParameterError(f"Hexatic: n is {self.n}, expected at most 64")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 2:
            raise ParameterError("Hexatic needs two dimensions: in space use BondOrder or MinkowskiStructure")
        search, weigh = self.bonds(names)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            kernels.hexatic(neighbors.offsets, neighbors.vector, weigh(configuration, neighbors), self.n, out)

        dim = "hexatic_feature"
        return Plan(
            dims=(dim,),
            shape=(3,),
            coords={dim: (dim, np.array(["real", "imaginary", "modulus"]))},
            search=search,
            compute=compute,
            attrs={"long_name": f"bond-orientational order psi_{self.n}", "units": ""},
            microseconds=1.0,
        )
