"""Bond-order descriptors: sharp, averaged over neighbours, smoothed (paper A, Sec. II A 1-2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import PairValues
from glassdask.descriptors.base import Descriptor, Plan, Search, degree_range
from glassdask.descriptors.coefficients import shells, workspace
from glassdask.descriptors.of_neighbors import OfBonds, OfNeighbors
from glassdask.descriptors.weights import Enlargement, Exponent, Weigh, bonds, smooth_bonds
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.voronoi import Diameters, Voronoi


@dataclass(frozen=True, kw_only=True)
class BondOrder(OfBonds):
    r"""Steinhardt's bond-order invariants.

    q_lm(i) = 1/N_b(i) sum_j Y_lm(r_ij),  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lm(i)|^2)  (paper A, Eqs. 4-6), the
    sums over the N_b(i) neighbours of i.

    Parameters
    ----------
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule: `KNearest`, `SANN` or `Voronoi`. With ``Voronoi(weighted=True)`` the mean
        over the neighbours is weighted by the areas of their faces: the Minkowski structure metrics q'_l of Mickel et
        al., J. Chem. Phys. 138, 044501 (2013), Eq. 6, which do not jump when faces vanish.

    Notes
    -----
    Output ``bo`` (frame, particle, l), no unit. NaN for a centre without neighbours or with a neighbour on top of it.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> q = gd.describe(crystal, [gd.BondOrder(l_max=6, cutoffs=1.2)])["bo"]
    >>> q.sel(l=[4, 6]).values[0, 0].round(4).tolist()
    [0.7638, 0.3536]
    """

    name: ClassVar[str] = "bo"
    l_max: int = 8
    l_min: int = 1

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)
        super().check()

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        return _weighted(self, *self.bonds(names))


@dataclass(frozen=True, kw_only=True)
class SmoothedBondOrder(OfBonds):
    r"""Smoothed bond-order invariants.

    q_lm(i) = 1/Z(i) sum_j f(r_ij) Y_lm(r_ij),  f(r) = exp(-(r/r_c)^gamma) for r < R = enlargement * r_c,
    Z(i) = sum_j f(r_ij),  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lm(i)|^2)  (paper A, Eqs. 7-9).

    Parameters
    ----------
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.
    gamma : float, default 8.0
        Sharpness of the cutoff; 8 for close-packed mixtures, 18 for SiO2. Infinity is the sharp `BondOrder`.
    cutoffs : float or dict
        r_c, one for all or one for each pair of species, such as the `first_minima` of g_ab(r).
    enlargement : float, default 1.3
        R / r_c.
    neighbors : rule for neighbours, optional
        Who of those closer than R counts, such as ``Voronoi()``; None is everybody. A rule that weighs its neighbours
        multiplies f.

    Notes
    -----
    Output ``sbo`` (frame, particle, l), no unit. NaN for a centre with nothing within R or with a neighbour on top of
    it.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> q = gd.describe(crystal, [gd.SmoothedBondOrder(l_max=6, cutoffs=1.2, gamma=80)])["sbo"]
    >>> q.sel(l=[4, 6]).values[0, 0].round(4).tolist()
    [0.7638, 0.3536]
    """

    name: ClassVar[str] = "sbo"
    l_max: int = 8
    l_min: int = 1
    gamma: Exponent = 8.0
    cutoffs: PairValues = field()
    enlargement: Enlargement = 1.3

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = smooth_bonds(
            self.cutoffs, self.gamma, self.enlargement, self.neighbors, names, self.neighbor_species
        )
        return _weighted(self, search, weigh)


@dataclass(frozen=True, kw_only=True)
class LechnerDellago(OfNeighbors):
    r"""Bond-order invariants of coefficients averaged over the neighbours.

    qbar_lm(i) = 1/(N_b(i) + 1) [q_lm(i) + sum_j q_lm(j)],  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |qbar_lm(i)|^2)
    (Lechner and Dellago, J. Chem. Phys. 129, 114707 (2008); paper A, reference 31), with q_lm of Eq. (4).

    Where the neighbours have weights w_j, which add up to 1 (``Voronoi(weighted=True)``), q_lm(j) counts w_j and the
    centre's own coefficients count like a neighbour of average weight: qbar_lm(i) = [s q_lm(i) + sum_j w_j q_lm(j)] /
    (s + 1), s = sum_j w_j^2. With equal weights that is the formula above, and it does not jump when faces vanish.

    Parameters
    ----------
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.

    Notes
    -----
    Output ``ld`` (frame, particle, l), no unit. NaN for a centre that has no neighbours. Beside an open border also
    where not all neighbours of a neighbour are known.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> q = gd.describe(crystal, [gd.LechnerDellago(l_max=6, cutoffs=1.2)])["ld"]
    >>> q.sel(l=[4, 6]).values[0, 0].round(4).tolist()
    [0.7638, 0.3536]
    """

    name: ClassVar[str] = "ld"
    l_max: int = 8
    l_min: int = 1

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)
        super().check()

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        rule = self.rule(names)
        table = recurrence(self.l_max)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            for shell in shells(configuration, centers, rule, self.l_min, table):
                average = np.empty((len(shell.rows), out.shape[1]))
                kernels.averaged(
                    shell.offsets, shell.index, shell.weight, shell.own, shell.row, shell.q, self.l_min,
                    np.empty(shell.q.shape[1]), average,
                )  # fmt: skip
                out[shell.rows] = average

        return _plan(self, compute, None)


@dataclass(frozen=True, kw_only=True)
class MinkowskiStructure(Descriptor):
    r"""Minkowski structure metrics: bond-order invariants of Voronoi neighbours that count by the area of their face.

    q'_lm(i) = sum_f A_f / A Y_lm(n_f),  q'_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q'_lm(i)|^2), the sums over the faces f
    of the cell of i, with A = sum_f A_f (Mickel et al., J. Chem. Phys. 138, 044501 (2013), Eq. 6). Nothing is chosen:
    there is no cutoff, and a face that vanishes takes nothing with it. `BondOrder`, `LechnerDellago` (for averages) and
    `ThirdOrderInvariants` with ``neighbors=Voronoi(weighted=True)`` weigh their neighbours so, too.

    Parameters
    ----------
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.
    diameters : Diameters, optional
        Of each species, or "own", those that the particles of the trajectory have, for radical Voronoi cells; None for
        the usual ones.

    Notes
    -----
    Output ``minkowski`` (frame, particle, l), no unit. q'_1 is zero, as sum_f A_f n_f is for every closed cell. NaN for
    a particle without a cell. In two dimensions faces are edges and areas lengths.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> q = gd.describe(crystal, [gd.MinkowskiStructure(l_max=8)])["minkowski"]
    >>> q.sel(l=[4, 6]).values[0, 0].round(4).tolist()
    [0.7638, 0.3536]
    """

    name: ClassVar[str] = "minkowski"
    l_max: int = 8
    l_min: int = 1
    diameters: Diameters | None = None

    @classmethod
    def measured(cls, given: Mapping[str, Any]) -> list[str]:
        """See `Descriptor.measured`: nothing is, as the usual cells need nothing."""
        return []

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        rule = Voronoi(self.diameters, weighted=True)
        rule.reach(names)
        return _weighted(self, *bonds(None, rule, names))


def _weighted(descriptor: Any, search: Search, weigh: Weigh) -> Plan:
    table = recurrence(descriptor.l_max)

    def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        weight = weigh(configuration, neighbors)
        room = workspace(neighbors, table)
        kernels.bond_order(neighbors.offsets, neighbors.vector, weight, descriptor.l_min, table, *room, out)

    return _plan(descriptor, compute, search)


def _plan(descriptor: Any, compute: Callable[..., None], search: Search | None) -> Plan:
    degrees = degree_range(descriptor.l_min, descriptor.l_max)
    return Plan(
        dims=("l",),
        shape=(len(degrees),),
        coords={"l": ("l", degrees)},
        search=search,
        compute=compute,
        attrs={"long_name": (type(descriptor).__doc__ or "").strip().splitlines()[0].rstrip("."), "units": ""},
    )
