"""The coordination number, sharp and smooth (paper A, Secs. II A 1 and III C), and who the neighbours are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfBonds, OfNeighbors
from glassdask.descriptors.weights import Enlargement, Exponent, smooth_bonds
from glassdask.errors import ParameterError
from glassdask.neighborhood.configuration import Configuration, Neighbors


@dataclass(frozen=True, kw_only=True)
class Coordination(OfBonds):
    """Number of neighbours z.

    Sharp: the number of j with r_ij < r_c. Smooth: z(i) = sum_j exp(-(r_ij / r_c)^gamma) over r_ij < R, the weights of
    paper A, Eq. (8), with R = enlargement * r_c.

    Parameters
    ----------
    cutoffs : float or dict, optional
        r_c, one for all or one for each pair of species, such as the `first_minima` of g_ab(r).
    gamma : float, optional
        Sharpness of the smooth cutoff, such as 8; None is the sharp one.
    enlargement : float, default 1.3
        R / r_c of the smooth cutoff.
    neighbors : rule for neighbours, optional
        Instead of the sharp cutoff, another rule, such as ``SANN()``: the number of its neighbours; of a rule that
        weighs them the sum of their weights, so that with ``Voronoi(weighted=True)`` and `by_species` it is the share
        of each species in the surface of the cell. With `gamma`: who of those closer than R counts.
    by_species : bool, default False
        Count the neighbours of each species apart.

    Notes
    -----
    Output ``coordination`` (frame, particle), with `by_species` (frame, particle, coordination_feature) and the names
    of the species on ``coordination_feature``; no unit. A particle without neighbours has 0.

    The LFS index of SiO2 in paper A is ``z == 4`` of Si with ``neighbor_species="other"``.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> gd.describe(crystal, [Coordination(cutoffs=1.2)])["coordination"].values[0, :2].tolist()
    [6.0, 6.0]
    """

    name: ClassVar[str] = "coordination"
    gamma: Exponent | None = None
    enlargement: Enlargement = 1.3
    by_species: bool = False

    def check(self) -> None:
        """See `Declaration.check`."""
        if self.gamma is None:
            super().check()
        elif self.cutoffs is None:
            raise ParameterError("Coordination with gamma needs cutoffs: they are r_c of its weights")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if self.gamma is None or self.cutoffs is None:
            search, weigh = self.bonds(names)
        else:
            search, weigh = smooth_bonds(
                self.cutoffs, self.gamma, self.enlargement, self.neighbors, names, self.neighbor_species
            )
        columns = len(names) if self.by_species else 1

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            count = _by_species(configuration, neighbors, weigh(configuration, neighbors), columns)
            out[...] = count.reshape(out.shape)

        dim = "coordination_feature"
        return Plan(
            dims=(dim,) if self.by_species else (),
            shape=(columns,) if self.by_species else (),
            coords={dim: (dim, np.array(names))} if self.by_species else {},
            search=search,
            compute=compute,
            attrs={"long_name": "coordination number", "units": ""},
        )


@dataclass(frozen=True, kw_only=True)
class WarrenCowley(OfNeighbors):
    r"""Chemical short-range order around each particle, Warren and Cowley's parameters.

    alpha_b(i) = 1 - (n_b(i) / n(i)) / c_b, with n_b of the n neighbours of i of species b, and c_b their share of all
    particles (Cowley, Phys. Rev. 77, 669 (1950)). The mean over the centres of species a, where all have as many
    neighbours, is alpha_ab: 0 where neighbours are mixed at random, negative where b is preferred, 1 where there is
    none.

    Parameters
    ----------
    neighbors : rule for neighbours, optional
        Instead, another rule. Where it weighs the neighbours, their weights are counted.

    Notes
    -----
    Output ``warren_cowley`` (frame, particle, neighbor_species), no unit. NaN for a particle without neighbours, and
    for a species that is not in the frame.

    Examples
    --------
    >>> import glassdask as gd
    >>> body = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> corner = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 1, 3)
    >>> b2 = gd.from_arrays((corner + body).reshape(1, 54, 3), species=["A", "B"] * 27, box=[3.0, 3.0, 3.0])
    >>> gd.describe(b2, [gd.WarrenCowley(cutoffs=0.9)])["warren_cowley"].values[0, :2].tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """

    name: ClassVar[str] = "warren_cowley"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = self.bonds(names)
        columns = len(names)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            share = np.bincount(configuration.species, minlength=columns) / len(configuration.species)
            count = _by_species(configuration, neighbors, weigh(configuration, neighbors), columns)
            with np.errstate(invalid="ignore", divide="ignore"):
                out[:] = 1.0 - count / count.sum(axis=1, keepdims=True) / np.where(share > 0, share, np.nan)

        return Plan(
            dims=("neighbor_species",),
            shape=(columns,),
            coords={"neighbor_species": ("neighbor_species", np.array(names))},
            search=search,
            compute=compute,
            attrs={"long_name": "Warren-Cowley short-range order", "units": ""},
        )


def _by_species(configuration: Configuration, neighbors: Neighbors, weight: np.ndarray, columns: int) -> np.ndarray:
    """Sums of the weights of the neighbours of each species, (C, columns), or of all of them with one column."""
    bins = np.repeat(np.arange(len(neighbors.centers)) * columns, neighbors.counts)
    if columns > 1:
        bins += configuration.species[neighbors.index]
    return np.bincount(bins, weight, len(neighbors.centers) * columns).reshape(-1, columns)
