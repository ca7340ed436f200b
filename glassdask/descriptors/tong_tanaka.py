"""Tong and Tanaka's packing capability Theta, in three and in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.declarations import PairValues
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError
from glassdask.kernels import local_order as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.cutoffs import pair_matrix
from glassdask.neighborhood.nearest import Neighborhood, refuse_weights
from glassdask.neighborhood.voronoi import Diameters, Voronoi, of_species


@dataclass(frozen=True, kw_only=True)
class TongTanaka(Descriptor):
    r"""How far the neighbours are from touching each other, Theta; 0 in a perfect packing.

    Three dimensions: the mean of omega = sum_{ab} |r_ab - sigma_ab| / sum_{ab} sigma_ab over the tetrahedra of the
    centre and three neighbours that are neighbours of each other, the sums over their six edges (Tong and Tanaka,
    Phys. Rev. X 8, 011041 (2018); paper A, Sec. III C, which takes the radical Voronoi neighbours).

    Two dimensions: Theta_o = 1/N_o sum_<ij> |theta^1_ij - theta^2_ij| in radians, the sum over the pairs of
    neighbours that are next to each other around o; theta^1 is the angle i-o-j and theta^2 what it would be if the
    three touched (paper C, Eqs. 6 and S5).

    Parameters
    ----------
    diameters : Diameters, optional
        Of each species, such as the positions of the first peaks of g_aa(r), or "own", those that the particles of the
        trajectory have; sigma_ab is then their mean, and neighbours share a face of the radical Voronoi cells of these
        spheres.
    sigma : float or dict, optional
        Instead, or for sigma_ab alone: distances at contact for each pair of species, which need not be additive (paper
        C takes the potential's sigma_ab). Without `diameters` neighbours share a face of the Voronoi cells.
    neighbors : rule for neighbours, optional
        Another rule for neighbours, symmetric, such as ``Cutoff(...)``; it needs `sigma` or `diameters`.

    Notes
    -----
    Output ``theta`` (frame, particle), no unit. NaN for a centre that is in no tetrahedron, in two dimensions for one
    with fewer than three neighbours.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = np.arange(6.0)
    >>> hexagonal = np.array([[x + 0.5 * y, y * np.sqrt(0.75)] for y in row for x in row])
    >>> crystal = gd.from_arrays(hexagonal, species=["A"] * 36, box=[[6.0, 0.0], [3.0, 6 * np.sqrt(0.75)]])
    >>> bool(gd.describe(crystal, [TongTanaka(sigma=1.0)])["theta"].max() < 1e-12)
    True
    """

    name: ClassVar[str] = "theta"
    diameters: Diameters | None = None
    sigma: PairValues | None = None
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        if self.diameters is None and self.sigma is None:
            raise ParameterError("TongTanaka needs diameters of the species or sigma of their pairs: give one of them")
        refuse_weights(self.neighbors, "TongTanaka")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        own = self.diameters == "own" and self.sigma is None
        sigma = np.zeros((len(names), len(names)))
        if self.sigma is not None:
            sigma = pair_matrix(self.sigma, names, "sigma")
        elif self.diameters is not None and not isinstance(self.diameters, str):
            each = of_species(self.diameters, names)
            sigma = 0.5 * (each[:, None] + each)
        rule = self.neighbors or Voronoi(self.diameters)
        rule.reach(names)

        def in_space(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            _tetrahedra(configuration, rule, centers, sigma, _half(configuration, own), out)

        def in_plane(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            _rings(configuration, neighbors, sigma, _half(configuration, own), out)

        return Plan(
            search=None if dimension == 3 else rule,
            compute=in_space if dimension == 3 else in_plane,
            attrs={"long_name": "Tong and Tanaka's Theta", "units": ""},
            needs_diameters=self.diameters == "own",
        )


def _half(configuration: Configuration, own: bool) -> np.ndarray:
    """What each particle adds to the distances at contact."""
    return 0.5 * configuration.known_diameters() if own else np.zeros(len(configuration.position))


def _tetrahedra(configuration, neighborhood: Neighborhood, centers, sigma, half, out) -> None:
    around = neighborhood.find(configuration, centers)
    # who is whose neighbour is asked of the neighbours too
    members = np.unique(np.concatenate([centers, around.index]))
    found = neighborhood.find(configuration, members)
    row_of = np.full(len(configuration.position), -1, np.int64)
    row_of[members] = np.arange(len(members))
    longest = int(found.counts.max(initial=0))
    kernels.compactness(
        row_of[centers], members, row_of, found.offsets, found.index, found.vector, configuration.species, sigma, half,
        np.empty(longest), np.empty((longest, longest), np.bool_), np.empty((longest, longest)), out,
    )  # fmt: skip
    if found.known is None:
        return
    known = found.known[row_of[centers]]
    if not neighborhood.reach(configuration.names):
        # no distance tells whether two neighbours are neighbours of each other, only their own surroundings do
        owner = np.repeat(np.arange(len(centers)), around.counts)
        known &= np.bincount(owner, ~found.known[row_of[around.index]], len(centers)) == 0
    out[~known] = np.nan


def _rings(configuration, found: Neighbors, sigma, half, out) -> None:
    longest = int(found.counts.max(initial=0))
    kernels.ring(
        found.centers, found.offsets, found.index, found.vector, configuration.species, sigma, half,
        np.empty(longest), np.empty(longest, np.int64), out,
    )  # fmt: skip
