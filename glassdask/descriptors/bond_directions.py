"""Angles between the bonds of a particle, dihedral angles, and their nematic and cubatic order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from glassdask.declarations import Where
from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfBonds, OfNeighbors
from glassdask.errors import ParameterError
from glassdask.kernels import bond_directions as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.surroundings import surroundings

Bins = Annotated[int, Where(lambda n: 1 <= n <= 720, "a whole number of bins from 1 to 720")]
# Axes in no special direction: from those of a crystal, turns about single axes may lead nowhere. These never change.
STARTS = np.linalg.qr(np.random.RandomState(1).normal(size=(12, 3, 3)))[0]


def _scratch(neighbors: Neighbors, rows: int = 4) -> np.ndarray:
    return np.empty((rows, max(64, int(neighbors.counts.max(initial=0)))))


def _middles(low: float, n: int) -> np.ndarray:
    middles: np.ndarray = low + (np.arange(n) + 0.5) * (180.0 - low) / n
    return middles


@dataclass(frozen=True, kw_only=True)
class BondAngles(OfBonds):
    r"""Distribution of the angles between the bonds of each particle.

    p_i(theta) = 1 / Z sum_{j<k} w_j w_k delta(theta - theta_jik) over all pairs of the neighbours of i, with an
    integral of 1: `bond_angle_distribution` of a single particle, and the bond-angle descriptor of J. Paret, R. L. Jack
    and D. Coslovich, J. Chem. Phys. 152, 144502 (2020), with which `CommunityInference` finds communities.

    Parameters
    ----------
    n_bins : int, default 60
        Bins of equal width from 0 to 180 degrees.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule. Where it weighs the neighbours, a pair counts by the product of their
        weights.

    Notes
    -----
    Output ``bond_angles`` (frame, particle, angle) per degree; ``angle`` is the middle of the bins in degrees. NaN for
    a centre with fewer than two neighbours; one on top of the centre has no direction and is left out.

    Examples
    --------
    In the simple cubic crystal three of fifteen angles are straight, the others right:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> p = gd.describe(crystal, [gd.BondAngles(cutoffs=1.2, n_bins=3)])["bond_angles"]
    >>> p.angle.values.tolist(), (p[0, 0] * 60).values.round(3).tolist()
    ([30.0, 90.0, 150.0], [0.0, 0.8, 0.2])
    """

    name: ClassVar[str] = "bond_angles"
    n_bins: Bins = 60

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = self.bonds(names)
        width = 180.0 / self.n_bins

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            weight = weigh(configuration, neighbors)
            kernels.angle_histogram(neighbors.offsets, neighbors.vector, weight, width, _scratch(neighbors), out)

        return Plan(
            dims=("angle",),
            shape=(self.n_bins,),
            coords={"angle": ("angle", _middles(0.0, self.n_bins))},
            search=search,
            compute=compute,
            attrs={"long_name": "distribution of bond angles", "units": "1/degree"},
        )


@dataclass(frozen=True, kw_only=True)
class DihedralAngles(OfNeighbors):
    r"""Distribution of the dihedral angles around the bonds of each particle, and their handedness.

    p_i(phi) over all chains k-i-j-l, j and k neighbours of i and l one of j, with an integral of 1; phi is the angle
    between the planes of k, i, j and i, j, l, 0 degrees where k and l are on the same side (cis), 180 where they are
    opposite (trans). With `signed` it is positive where, along the bond, l is clockwise from k (IUPAC): mirror images
    then have mirrored distributions, and what is not symmetric about 0 is chiral.

    Parameters
    ----------
    n_bins : int, default 36
        Bins of equal width from 0, or with `signed` from -180, to 180 degrees.
    signed : bool, default False
        Whether angles to the left and to the right are told apart.

    Notes
    -----
    Output ``dihedral_angles`` (frame, particle, dihedral) per degree; ``dihedral`` is the middle of the bins in
    degrees. Three particles in line have no plane, and rings of three (l = k) are no chains: they are left out. NaN
    for a centre without chains, and beside open borders where not all neighbours of a neighbour are known.

    Examples
    --------
    In the simple cubic crystal all angles are multiples of 90 degrees:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> p = gd.describe(crystal, [gd.DihedralAngles(cutoffs=1.2, n_bins=3)])["dihedral_angles"]
    >>> (p[0, 0] * 60).values.round(3).tolist()
    [0.25, 0.5, 0.25]
    """

    name: ClassVar[str] = "dihedral_angles"
    weighed: ClassVar[bool] = False
    n_bins: Bins = 36
    signed: bool = False

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("DihedralAngles needs three dimensions: in the plane use BondAngles")
        rule = self.rule(names)
        low = -180.0 if self.signed else 0.0
        width = (180.0 - low) / self.n_bins

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            around = surroundings(rule.find, configuration, centers)
            found = around.found
            kernels.dihedral_histogram(
                around.rows, found.offsets, found.index, found.vector, around.row_of, width, self.signed, out
            )
            out[around.lost] = np.nan

        return Plan(
            dims=("dihedral",),
            shape=(self.n_bins,),
            coords={"dihedral": ("dihedral", _middles(low, self.n_bins))},
            search=None,
            compute=compute,
            attrs={"long_name": "distribution of dihedral angles", "units": "1/degree"},
            microseconds=100.0,
        )


@dataclass(frozen=True, kw_only=True)
class NematicOrder(OfBonds):
    r"""Nematic order of the bonds of each particle: whether they lie along one line, or in one plane.

    Eigenvalues of Q = (d <u u> - 1) / (d - 1), the mean over the unit vectors u of the bonds in d dimensions (P. G. de
    Gennes and J. Prost, The Physics of Liquid Crystals, 1993). The largest one, S, is 1 where all bonds lie along a
    line and 0 where no direction is preferred, as in all cubic crystals; the difference of the other two is 3/4 for
    bonds that are spread evenly in a plane, and 0 where the line is an axis of symmetry.

    Notes
    -----
    Output ``nematic`` (frame, particle, nematic_feature) with the features ``order`` and, in three dimensions,
    ``biaxiality``; no unit. NaN for a centre without neighbours; one on top of the centre is left out.

    Examples
    --------
    >>> import glassdask as gd
    >>> chain = gd.from_arrays([[[1.0, 1, 0], [1, 1, 1], [1, 1, 2], [1, 1, 3]]], species=["A"] * 4, box=[9.0, 9, 4])
    >>> gd.describe(chain, [gd.NematicOrder(cutoffs=1.2)])["nematic"].values[0, 0].round(9).tolist()
    [1.0, 0.0]
    """

    name: ClassVar[str] = "nematic"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = self.bonds(names)
        features = np.array(["order", "biaxiality"][: dimension - 1])

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            mean = np.empty((len(out), 3, 3))
            weight = weigh(configuration, neighbors)
            kernels.bond_tensors(neighbors.offsets, neighbors.vector, weight, _scratch(neighbors), mean)
            defined = ~np.isnan(mean[:, 0, 0])
            q = (dimension * mean[defined, :dimension, :dimension] - np.eye(dimension)) / (dimension - 1)
            values = np.linalg.eigvalsh(q)
            out[~defined] = np.nan
            out[defined, 0] = values[:, -1]
            if dimension == 3:
                out[defined, 1] = values[:, 1] - values[:, 0]

        dim = "nematic_feature"
        return Plan(
            dims=(dim,),
            shape=(len(features),),
            coords={dim: (dim, features)},
            search=search,
            compute=compute,
            attrs={"long_name": "nematic order of the bonds", "units": ""},
            microseconds=2.0,
        )


@dataclass(frozen=True, kw_only=True)
class CubaticOrder(OfBonds):
    r"""Cubatic order of the bonds of each particle: how far they lie along three axes at right angles.

    C(i) = max_R 5/2 (< sum_a (u . e_a)^4 > - 3/5) over the unit vectors u of the bonds and all orientations R of the
    three axes e_a: the cubic harmonic of degree 4, 1 where all bonds lie along the axes, 0 on average for bonds in all
    directions (A. Haji-Akbari and S. C. Glotzer, J. Phys. A 48, 485201 (2015), of orientations instead of bonds). The
    axes are turned about one of them after the other, each time by the best angle, from twelve starts in no special
    direction: of shells of crystals each of them ends at the largest value, of liquids for about one particle in a
    thousand none does, and the value is a little too small.

    Notes
    -----
    Output ``cubatic`` (frame, particle), no unit: 1 for the simple cubic crystal, 13/108 for fcc, 7/72 for hcp, 26/81
    for the eight nearest of bcc, 1/21 for its fourteen, 0 for an icosahedron. NaN for a centre without neighbours; one
    on top of the centre is left out.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> gd.describe(crystal, [gd.CubaticOrder(cutoffs=1.2)])["cubatic"].values[0, :2].round(9).tolist()
    [1.0, 1.0]
    """

    name: ClassVar[str] = "cubatic"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("CubaticOrder needs three dimensions: in the plane use Hexatic with n=4")
        search, weigh = self.bonds(names)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            weight = weigh(configuration, neighbors)
            bond, turned = _scratch(neighbors), _scratch(neighbors, 3)
            kernels.cubatic(neighbors.offsets, neighbors.vector, weight, STARTS, bond, turned, out)

        return Plan(
            search=search,
            compute=compute,
            attrs={"long_name": "cubatic order of the bonds", "units": ""},
            microseconds=30.0,
        )
