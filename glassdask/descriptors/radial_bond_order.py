"""Radial bond order (paper A, Sec. II A 4) and the radial densities that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from glassdask.declarations import NotNegative, Positive
from glassdask.descriptors.base import Descriptor, Plan, degree_range
from glassdask.descriptors.weights import everyone
from glassdask.errors import ParameterError
from glassdask.kernels import radial_bond_order as kernels
from glassdask.kernels.expansion import row_recurrence
from glassdask.kernels.simd import LANES, aligned, padded
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood, refuse_weights
from glassdask.schema import CODE


@dataclass(frozen=True, kw_only=True)
class RadialBondOrder(Descriptor):
    r"""Bond-order invariants of Gaussian shells around each particle.

    q_lmn(i) = 1/Z_n(i) sum_j G_n(r_ij) Y_lm(r_ij),  G_n(r) = exp(-(d_n - r)^2 / 2 delta^2) for r < R_max,
    Z_n(i) = sum_j G_n(r_ij),  Q_ln(i) = sqrt(4 pi / (2 l + 1) sum_m |q_lmn(i)|^2)  (paper A, Eqs. 16-19).

    Parameters
    ----------
    grid : tuple of float
        The radii d_n, increasing; paper A takes (0.9, 1.0, ..., 1.3) for the first shell, up to 2.2 for two.
    delta : float, default 0.2
        Width of the shells.
    l_max, l_min : int
        Degrees l_min..l_max, at most 32.
    r_max : float, optional
        R_max, by default d_nmax + 2.5 delta.
    neighbors : rule for neighbours, optional
        Who of those closer than R_max counts, such as ``Voronoi()``; None is everybody.

    Notes
    -----
    Output ``rbo`` (frame, particle, l, r), no unit. NaN in the shells without any weight: everywhere when nobody is
    within R_max, and where all neighbours are more than 37 delta from d_n. NaN with another particle on top.

    The weight of a neighbour at R_max is exp(-2.5^2 / 2) = 0.04 in the last shell, which therefore jumps a little when
    a neighbour crosses R_max; a larger `r_max` makes it smooth.

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.descriptors.radial_bond_order import RadialBondOrder
    >>> cubic = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 216, box=[6.0, 6.0, 6.0])
    >>> q = gd.describe(crystal, [RadialBondOrder(grid=(1.0, 1.4, 1.7), delta=0.02, l_max=6)])["rbo"]
    >>> q[0, 0].sel(l=4).values.round(4).tolist()  # the shells of 6, 12 and 8 neighbours, each for itself
    [0.7638, 0.1909, 0.5092]
    """

    name: ClassVar[str] = "rbo"
    grid: tuple[NotNegative, ...]
    delta: Positive = 0.2
    l_max: int = 8
    l_min: int = 1
    r_max: Positive | None = None
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        degree_range(self.l_min, self.l_max)
        _check_shells(self)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        reach, grid, factor = _shells(self)
        table = row_recurrence(self.l_max)
        degrees = degree_range(self.l_min, self.l_max)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            most = int(neighbors.counts.max(initial=0))
            kernels.radial_bond_order(
                neighbors.offsets, neighbors.vector, np.zeros(len(neighbors.index), CODE), reach, grid, factor,
                self.l_min, table, np.empty((4, most + LANES)), aligned(len(table), LANES),
                aligned(LANES, grid.shape[1]), aligned(len(table), grid.shape[1]), out,
            )  # fmt: skip

        return Plan(
            dims=("l", "r"),
            shape=(len(degrees), len(self.grid)),
            coords={"l": ("l", degrees), "r": ("r", np.array(self.grid, dtype=np.float64))},
            search=everyone(reach, names, self.neighbors),
            compute=compute,
            attrs={"long_name": "Radial bond order Q_ln", "units": ""},
        )


@dataclass(frozen=True, kw_only=True)
class RadialDensity(Descriptor):
    r"""Number of neighbours of each species in Gaussian shells around each particle.

    G_s(r; i) = sum_j exp(-(r_ij - r)^2 / 2 delta^2) over the neighbours j of species s with r_ij < R_max: the radial
    descriptors that Boattini, Smallenburg and Filion, Phys. Rev. Lett. 127, 088007 (2021), add to bond order.

    Parameters
    ----------
    grid : tuple of float
        The radii r, increasing.
    delta : float, default 0.2
        Width of the shells.
    by_species : bool, default True
        One density for each species of the neighbours, otherwise one for all together.
    r_max : float, optional
        R_max, by default the last radius + 2.5 delta, as for `RadialBondOrder`.
    neighbors : rule for neighbours, optional
        Who of those closer than R_max counts, such as ``SANN()``; None is everybody.

    Notes
    -----
    Output ``radial_density`` (frame, particle, neighbor_species, r), no unit; without `by_species` (frame, particle,
    r). Zero where there is nobody.

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.descriptors.radial_bond_order import RadialDensity
    >>> cubic = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 216, box=[6.0, 6.0, 6.0])
    >>> g = gd.describe(crystal, [RadialDensity(grid=(1.0, 1.2, 1.4142), delta=0.02)])["radial_density"]
    >>> g[0, 0].sel(neighbor_species="A").values.round(4).tolist()
    [6.0, 0.0, 12.0]
    """

    name: ClassVar[str] = "radial_density"
    grid: tuple[NotNegative, ...]
    delta: Positive = 0.2
    by_species: bool = True
    r_max: Positive | None = None
    neighbors: Neighborhood | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        _check_shells(self)

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        reach, grid, factor = _shells(self)
        kinds = len(names) if self.by_species else 1

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            kind = configuration.species[neighbors.index] if kinds > 1 else np.zeros(len(neighbors.index), CODE)
            total = aligned(kinds, grid.shape[1])
            shape = (len(out), kinds, len(self.grid))
            kernels.radial_density(
                neighbors.offsets, neighbors.vector, kind, reach, grid, factor, total, out.reshape(shape)
            )

        coords = {"r": ("r", np.array(self.grid, dtype=np.float64))}
        if self.by_species:
            coords["neighbor_species"] = ("neighbor_species", np.array(names))
        return Plan(
            dims=("neighbor_species", "r") if self.by_species else ("r",),
            shape=(kinds, len(self.grid)) if self.by_species else (len(self.grid),),
            coords=coords,
            search=everyone(reach, names, self.neighbors),
            compute=compute,
            attrs={"long_name": "Radial density", "units": ""},
        )


def _check_shells(descriptor: RadialBondOrder | RadialDensity) -> None:
    grid = descriptor.grid
    if not grid or any(a >= b for a, b in pairwise(grid)):
        raise ParameterError(f"grid {list(grid)}: expected increasing radii of at least 0, such as (0.9, 1.0, 1.1)")
    refuse_weights(descriptor.neighbors, type(descriptor).__name__)


def _shells(descriptor: RadialBondOrder | RadialDensity) -> tuple[float, np.ndarray, float]:
    """R_max, the grid padded to whole vectors (1, columns), and 1 / (sqrt(2) delta)."""
    grid = np.asarray(descriptor.grid, dtype=np.float64)
    reach = float(grid[-1] + 2.5 * descriptor.delta) if descriptor.r_max is None else descriptor.r_max
    wide = aligned(1, padded(len(grid)))
    wide[:] = grid[-1]
    wide[0, : len(grid)] = grid
    return reach, wide, float(1.0 / (np.sqrt(2.0) * descriptor.delta))
