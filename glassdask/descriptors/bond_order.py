"""Bond-order descriptors: sharp, averaged over neighbours, smoothed (paper A, Sec. II A 1-2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.descriptors.base import Cutoffs, Descriptor, Plan, allowed_pairs, degree_range, pair_matrix
from glassdask.errors import ParameterError
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration, Neighbors

# Centres whose coefficients, with those of their neighbours, are held at once by the Lechner-Dellago average.
AVERAGE_BATCH = 8192


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

            def weigh(configuration, neighbors):
                return _of_pairs(allowed, configuration, neighbors).astype(np.float64)

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
            order = np.argsort(grid.cell[centers], kind="stable")
            for begin in range(0, len(order), AVERAGE_BATCH):
                rows = order[begin : begin + AVERAGE_BATCH]
                _average(configuration, centers[rows], cutoffs, self.l_min, table, out, rows)

        return _plan(self, compute, None)


def sharp(cutoffs: np.ndarray) -> Callable[[Configuration, Neighbors], np.ndarray]:
    """Weights 1 for pairs closer than their cutoff, 0 for the others."""

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        return (neighbors.distance < _of_pairs(cutoffs, configuration, neighbors)).astype(np.float64)

    return weigh


def smooth(cutoffs: np.ndarray, gamma: float, enlargement: float) -> Callable[[Configuration, Neighbors], np.ndarray]:
    """Weights exp(-(r / r_c)^gamma) for r < enlargement * r_c (paper A, Eq. 8); a cutoff of zero excludes the pair."""
    half_gamma = 0.5 * gamma
    with np.errstate(divide="ignore"):
        inverse2 = np.where(cutoffs > 0, 1.0 / np.square(cutoffs), np.inf)

    def weigh(configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
        # (r / r_c)^2 to the power gamma / 2; both a large power and an excluded pair may overflow to a weight of zero
        with np.errstate(over="ignore", invalid="ignore"):
            x2 = np.square(neighbors.distance) * _of_pairs(inverse2, configuration, neighbors)
            weight = np.exp(-_power(x2, half_gamma))
        weight[~(x2 < enlargement * enlargement)] = 0.0
        return weight

    return weigh


def _power(base: np.ndarray, exponent: float) -> np.ndarray:
    """base ** exponent, by repeated squaring for whole exponents, several times faster than `numpy.power`."""
    if not float(exponent).is_integer() or exponent > 64:
        return base**exponent
    result, remaining = None, int(exponent)
    while remaining:
        if remaining & 1:
            result = base if result is None else result * base
        remaining >>= 1
        if remaining:
            base = base * base
    return np.ones_like(base) if result is None else result


def _of_pairs(matrix: np.ndarray, configuration: Configuration, neighbors: Neighbors) -> np.ndarray:
    """Element [species of the centre, species of the neighbour] of a (S, S) matrix for every pair."""
    if len(matrix) == 1:
        return np.full(len(neighbors.index), matrix[0, 0])
    row = configuration.species[neighbors.centers].astype(np.int64) * len(matrix)
    return matrix.ravel()[np.repeat(row, neighbors.counts) + configuration.species[neighbors.index]]


def _workspace(neighbors: Neighbors, table: np.ndarray) -> tuple[np.ndarray, ...]:
    longest = int(neighbors.counts.max(initial=0)) + 1
    degrees = table.shape[1]
    return np.empty((6, longest)), np.empty(longest), np.zeros((degrees, degrees)), np.zeros((degrees, degrees))


def _invariants(neighbors: Neighbors, weight: np.ndarray, l_min: int, table: np.ndarray, out: np.ndarray) -> None:
    work, z, real, imag = _workspace(neighbors, table)
    kernels.bond_order(neighbors.offsets, neighbors.vector, weight, l_min, table, work, z, real, imag, out)


def _average(configuration, centers, cutoffs, l_min, table, out, rows) -> None:
    """Lechner-Dellago invariants of some centres: the coefficients of every member first, then their averages."""
    around = configuration.neighbors(centers, cutoffs)
    # the centre itself belongs to the average: put it before its neighbours
    offsets = around.offsets + np.arange(len(around.offsets))
    members = np.empty(offsets[-1], np.int64)
    own = np.zeros(len(members), bool)
    own[offsets[:-1]] = True
    members[own] = centers
    members[~own] = around.index
    unique, members = np.unique(members, return_inverse=True)
    degrees = table.shape[1]
    q = np.empty((len(unique), 2, degrees, degrees))
    for batch_rows, neighbors in configuration.batches(unique, cutoffs):
        work, z, _, _ = _workspace(neighbors, table)
        part = np.empty((len(batch_rows), 2, degrees, degrees))
        weight = np.ones(len(neighbors.index))
        kernels.coefficients(neighbors.offsets, neighbors.vector, weight, table, work, z, part)
        q[batch_rows] = part
    part = np.empty((len(rows), out.shape[1]))
    kernels.averaged(offsets, members, q, l_min, np.empty((2, degrees, degrees)), part)
    out[rows] = part


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
