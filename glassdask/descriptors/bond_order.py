"""Bond-order descriptors: sharp, averaged over neighbours, smoothed (paper A, Sec. II A 1-2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.descriptors.base import Cutoffs, Descriptor, Plan, allowed_pairs, degree_range, pair_matrix
from glassdask.descriptors.weights import sharp, smooth
from glassdask.errors import ParameterError
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration, Neighbors

# Centres whose coefficients, with those of their neighbours, are held at once by the Lechner-Dellago average.
AVERAGE_BATCH = 1 << 15


@dataclass(frozen=True, kw_only=True)
class BondOrder(Descriptor):
    r"""Steinhardt's bond-order invariants.

    q_lm(i) = 1/N_b(i) sum_j Y_lm(r_ij),  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lm(i)|^2)  (paper A, Eqs. 4-6), the
    sums over the N_b(i) neighbours of i.

    Parameters
    ----------
    l_max, l_min : degrees l_min..l_max, at most 32
    cutoffs : neighbours are closer than this distance, one for all or one for each pair of species, such as the
        `first_minima` of g_ab(r)
    neighbors : instead of `cutoffs`, another definition of neighbours: `KNearest` or `SANN`
    neighbor_species : ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names

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
    cutoffs: Cutoffs | None = None
    neighbors: Any = None
    neighbor_species: str | tuple[str, ...] = "all"

    def __post_init__(self):
        degree_range(self.l_min, self.l_max)
        if (self.cutoffs is None) == (self.neighbors is None):
            raise ParameterError("BondOrder takes either cutoffs or neighbors: give exactly one of them")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        allowed = allowed_pairs(self.neighbor_species, names)
        table = recurrence(self.l_max)

        def from_neighbors(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            _invariants(neighbors, weigh(configuration, neighbors), self.l_min, table, out)

        if self.cutoffs is None:
            weigh = sharp(np.where(allowed, np.inf, 0.0))  # however far the definition's neighbours are

            def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
                for rows, neighbors in self.neighbors.batches(configuration, centers):
                    part = np.empty((len(rows), out.shape[1]))
                    from_neighbors(configuration, neighbors, part)
                    out[rows] = part

            return _plan(self, compute, None)

        cutoffs = pair_matrix(self.cutoffs, names, needed=allowed)
        weigh = sharp(cutoffs)
        return _plan(self, from_neighbors, cutoffs)


@dataclass(frozen=True, kw_only=True)
class SmoothedBondOrder(Descriptor):
    r"""Smoothed bond-order invariants.

    q_lm(i) = 1/Z(i) sum_j f(r_ij) Y_lm(r_ij),  f(r) = exp(-(r/r_c)^gamma) for r < R = enlargement * r_c,
    Z(i) = sum_j f(r_ij),  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lm(i)|^2)  (paper A, Eqs. 7-9).

    Parameters
    ----------
    l_max, l_min : degrees l_min..l_max, at most 32
    gamma : sharpness of the cutoff; 8 for close-packed mixtures, 18 for SiO2. Infinity is the sharp `BondOrder`
    cutoffs : r_c, one for all or one for each pair of species, such as the `first_minima` of g_ab(r)
    enlargement : R / r_c
    neighbor_species : ``"all"``, ``"other"`` (species unlike the centre's, for network formers) or a tuple of names

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
    gamma: float = 8
    cutoffs: Cutoffs
    enlargement: float = 1.3
    neighbor_species: str | tuple[str, ...] = "all"

    def __post_init__(self):
        degree_range(self.l_min, self.l_max)
        if not self.gamma > 0:
            raise ParameterError(f"gamma = {self.gamma}: expected a positive exponent, such as 8")
        if not 1 <= self.enlargement < np.inf:
            raise ParameterError(f"enlargement = {self.enlargement}: expected R / r_c of at least 1, such as 1.3")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        cutoffs = pair_matrix(self.cutoffs, names, needed=allowed_pairs(self.neighbor_species, names))
        weigh = smooth(cutoffs, self.gamma, self.enlargement)
        table = recurrence(self.l_max)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            _invariants(neighbors, weigh(configuration, neighbors), self.l_min, table, out)

        return _plan(self, compute, cutoffs * self.enlargement)


@dataclass(frozen=True, kw_only=True)
class LechnerDellago(Descriptor):
    r"""Bond-order invariants of coefficients averaged over the neighbours.

    qbar_lm(i) = 1/(N_b(i) + 1) [q_lm(i) + sum_j q_lm(j)],  Q_l(i) = sqrt(4 pi / (2 l + 1) sum_m |qbar_lm(i)|^2)
    (Lechner and Dellago, J. Chem. Phys. 129, 114707 (2008); paper A, reference 31), with q_lm of Eq. (4).

    Parameters
    ----------
    l_max, l_min, cutoffs : as for `BondOrder`

    Output ``ld`` (frame, particle, l), no unit. NaN for a centre that has no neighbours.

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
    cutoffs: Cutoffs

    def __post_init__(self):
        degree_range(self.l_min, self.l_max)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        cutoffs = pair_matrix(self.cutoffs, names)
        table = recurrence(self.l_max)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            grid = configuration.grid(float(cutoffs.max()))
            order = grid.order(centers)
            for begin in range(0, len(order), AVERAGE_BATCH):
                rows = order[begin : begin + AVERAGE_BATCH]
                out[rows] = _average(configuration, centers[rows], cutoffs, self.l_min, table)

        return _plan(self, compute, None)


def _workspace(neighbors: Neighbors, table: np.ndarray) -> tuple[np.ndarray, ...]:
    longest = int(neighbors.counts.max(initial=0)) + 1
    degrees = table.shape[1]
    return np.empty((6, longest)), np.empty(longest), np.zeros((degrees, degrees)), np.zeros((degrees, degrees))


def _invariants(neighbors: Neighbors, weight: np.ndarray, l_min: int, table: np.ndarray, out: np.ndarray) -> None:
    work, z, real, imag = _workspace(neighbors, table)
    kernels.bond_order(neighbors.offsets, neighbors.vector, weight, l_min, table, work, z, real, imag, out)


def _average(configuration, centers, cutoffs, l_min, table) -> np.ndarray:
    """Invariants of `centers` in the order of their cells: coefficients of each and its neighbours, then averages."""
    n_coefficients = sum(2 * (l + 1) for l in range(l_min, table.shape[1]))
    scratch = configuration.scratch
    lists: list[np.ndarray] = []
    offsets = np.zeros(len(centers) + 1, np.int64)

    def coefficients(particles: np.ndarray, q: np.ndarray, keep: bool) -> None:
        for which, neighbors in configuration.batches(particles, cutoffs):
            weight = scratch("weights", len(neighbors.index))
            weight[:] = 1.0
            part = scratch("coefficients of a batch", len(which), n_coefficients)
            work, z, real, imag = _workspace(neighbors, table)
            kernels.coefficients(neighbors.offsets, neighbors.vector, weight, l_min, table, work, z, real, imag, part)
            q[which] = part
            if keep:
                lists.append(neighbors.index.copy())  # batches follow the cells, as `centers` do
                offsets[which + 1] = neighbors.counts

    own = scratch("coefficients of the centres", len(centers), n_coefficients)
    coefficients(centers, own, keep=True)
    np.cumsum(offsets, out=offsets)
    index = np.concatenate(lists)
    row = np.full(len(configuration.position), -1)
    row[index] = 0
    row[centers] = -1
    others = np.flatnonzero(row == 0)
    row[centers], row[others] = np.arange(len(centers)), len(centers) + np.arange(len(others))
    halo = np.empty((len(others), n_coefficients))
    coefficients(others, halo, keep=False)
    q = np.concatenate([own, halo]) if len(others) else own
    out = np.empty((len(centers), table.shape[1] - l_min))
    kernels.averaged(offsets, index, row, q, l_min, np.empty(n_coefficients), out)
    return out


def _plan(descriptor: Any, compute: Callable[..., None], cutoffs: np.ndarray | None) -> Plan:
    degrees = degree_range(descriptor.l_min, descriptor.l_max)
    return Plan(
        dims=("l",),
        shape=(len(degrees),),
        coords={"l": ("l", degrees)},
        cutoffs=cutoffs,
        compute=compute,
        attrs={"long_name": (type(descriptor).__doc__ or "").strip().splitlines()[0].rstrip("."), "units": ""},
    )
