"""Bond-order descriptors: sharp, averaged over neighbours, smoothed (paper A, Sec. II A 1-2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import PairValues
from glassdask.descriptors.base import Descriptor, Plan, Search, degree_range
from glassdask.descriptors.weights import Enlargement, Exponent, Weigh, bonds, either, smooth_bonds
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Batches, Cutoff, Neighborhood

# Centres whose coefficients, with those of their neighbours, are held at once by the Lechner-Dellago average.
AVERAGE_BATCH = 1 << 15
# Numbers in a row of scratch, at least.
SHORTEST_ROW = 64


@dataclass(frozen=True, kw_only=True)
class BondOrder(Descriptor):
    r"""Steinhardt's bond-order invariants.

    q_lm(i) = 1/N_b(i) sum_j Y_lm(r_ij),  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lm(i)|^2)  (paper A, Eqs. 4-6), the
    sums over the N_b(i) neighbours of i.

    Parameters
    ----------
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.
    cutoffs : float or dict, optional
        Neighbours are closer than this distance, one for all or one for each pair of species, such as the
        `first_minima` of g_ab(r).
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule: `KNearest`, `SANN` or `Voronoi`. With ``Voronoi(weighted=True)`` the mean
        over the neighbours is weighted by the areas of their faces: the Minkowski structure metrics q'_l of Mickel et
        al., J. Chem. Phys. 138, 044501 (2013), Eq. 6, which do not jump when faces vanish.
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names.

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
    cutoffs: PairValues | None = None
    neighbors: Neighborhood | None = None
    neighbor_species: str | tuple[str, ...] = "all"

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)
        either(self, self.cutoffs, self.neighbors)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        return _weighted(self, *bonds(self.cutoffs, self.neighbors, names, self.neighbor_species))


@dataclass(frozen=True, kw_only=True)
class SmoothedBondOrder(Descriptor):
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
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names.

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
    cutoffs: PairValues
    enlargement: Enlargement = 1.3
    neighbors: Neighborhood | None = None
    neighbor_species: str | tuple[str, ...] = "all"

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
class LechnerDellago(Descriptor):
    r"""Bond-order invariants of coefficients averaged over the neighbours.

    qbar_lm(i) = 1/(N_b(i) + 1) [q_lm(i) + sum_j q_lm(j)],  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |qbar_lm(i)|^2)
    (Lechner and Dellago, J. Chem. Phys. 129, 114707 (2008); paper A, reference 31), with q_lm of Eq. (4).

    Where the neighbours have weights w_j, which add up to 1 (``Voronoi(weighted=True)``), q_lm(j) counts w_j and the
    centre's own coefficients count like a neighbour of average weight: qbar_lm(i) = [s q_lm(i) + sum_j w_j q_lm(j)] /
    (s + 1), s = sum_j w_j^2. With equal weights that is the formula above, and it does not jump when faces vanish.

    Parameters
    ----------
    l_max, l_min, cutoffs, neighbors : int or float or dict or rule for neighbours
        As for `BondOrder`.

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
    cutoffs: PairValues | None = None
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)
        either(self, self.cutoffs, self.neighbors)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        rule = self.neighbors if self.cutoffs is None else Cutoff(self.cutoffs)
        assert rule is not None
        reach = rule.reach(names)
        table = recurrence(self.l_max)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            # neighbours outside of a piece are looked at again, so a piece is to be a compact part of space
            order = configuration.grid(reach or min(configuration.spacing, configuration.largest_radius)).order(centers)
            for begin in range(0, len(order), AVERAGE_BATCH):
                rows = order[begin : begin + AVERAGE_BATCH]
                which, average = _average(configuration, centers[rows], rule, self.l_min, table)
                out[rows[which]] = average

        return _plan(self, compute, None)


def _workspace(neighbors: Neighbors, table: np.ndarray) -> tuple[np.ndarray, ...]:
    # never short: of rows that lie close together in memory, sums are not vectorised, and differ in the last bit
    longest = max(int(neighbors.counts.max(initial=0)) + 1, SHORTEST_ROW)
    degrees = table.shape[1]
    return np.empty((6, longest)), np.empty(longest), np.zeros((degrees, degrees)), np.zeros((degrees, degrees))


def _average(configuration, centers, rule, l_min, table) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `centers`, in the order in which their neighbours are found, and their invariants.

    First the coefficients of each centre and neighbour, then averages.
    """
    n_coefficients = sum(2 * (l + 1) for l in range(l_min, table.shape[1]))
    scratch = configuration.scratch
    row = np.full(len(configuration.position), -1)

    def coefficients(particles: np.ndarray, q: np.ndarray, first: int) -> Batches:
        done = 0
        for which, neighbors in rule.batches(configuration, particles):
            part = q[done : done + len(which)]
            row[neighbors.centers] = first + done + np.arange(len(which))
            weight = neighbors.weight
            if weight is None:
                weight = scratch("weights", len(neighbors.index))
                weight[:] = 1.0
            work, z, real, imag = _workspace(neighbors, table)
            kernels.coefficients(neighbors.offsets, neighbors.vector, weight, l_min, table, work, z, real, imag, part)
            if neighbors.known is not None:
                part[~neighbors.known] = np.nan
            yield which, neighbors
            done += len(which)

    own = scratch("coefficients of the centres", len(centers), n_coefficients)
    # the arrays of a batch may be those of the next one
    found = [
        (which, n.counts, n.index.copy(), None if n.weight is None else n.weight.copy())
        for which, n in coefficients(centers, own, 0)
    ]
    which, counts, index = (np.concatenate([part[k] for part in found]) for k in range(3))
    row[index[row[index] < 0]] = -2
    others = np.flatnonzero(row == -2)
    halo = np.empty((len(others), n_coefficients))
    for _ in coefficients(others, halo, len(own)):
        pass
    q = np.concatenate([own, halo]) if len(others) else own
    own_weight = np.ones(len(which))
    if found[0][-1] is None:
        weight = np.ones(len(index))
    else:
        weight = np.concatenate([part[-1] for part in found])
        own_weight[:] = np.bincount(np.repeat(np.arange(len(which)), counts), np.square(weight), len(which))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    out = np.empty((len(which), table.shape[1] - l_min))
    kernels.averaged(offsets, index, weight, own_weight, row, q, l_min, np.empty(n_coefficients), out)
    return which, out


def _weighted(descriptor: Any, search: Search, weigh: Weigh) -> Plan:
    table = recurrence(descriptor.l_max)

    def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        weight = weigh(configuration, neighbors)
        work, z, real, imag = _workspace(neighbors, table)
        kernels.bond_order(
            neighbors.offsets, neighbors.vector, weight, descriptor.l_min, table, work, z, real, imag, out
        )

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
