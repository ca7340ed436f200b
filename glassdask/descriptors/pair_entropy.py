"""Excess entropy of pairs, particle by particle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import NotNegative, Positive
from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError
from glassdask.kernels import entropy as kernels
from glassdask.kernels.simd import LANES, aligned, padded
from glassdask.neighborhood.configuration import Configuration, Neighbors

FINEST = 1 << 14  # radii, at most


@dataclass(frozen=True, kw_only=True)
class PairEntropy(Descriptor):
    r"""Excess entropy of pairs s_2 around each particle, in units of k_B.

    s_2(i) = -1/2 sum_b rho_b int_0^r_max [g_ib ln g_ib - g_ib + 1] d^3r,  g_ib(r) = 1 / (4 pi r^2 rho_b) sum_{j of b}
    exp(-(r - r_ij)^2 / 2 sigma^2) / sqrt(2 pi sigma^2) (Piaggi and Parrinello, J. Chem. Phys. 147, 114112 (2017); for
    mixtures Tanaka, Kawasaki, Shintani and Watanabe, Nat. Mater. 9, 324 (2010)). The more negative, the more ordered.
    In two dimensions 2 pi r dr takes the place of 4 pi r^2 dr.

    Parameters
    ----------
    r_max : float
        Where the integral ends, such as the second or third minimum of g(r).
    sigma : float, default 0.1
        Width of the Gaussian by which g_ib(r) is smeared.
    by_species : bool, default True
        One g_ib(r) for each species b; otherwise all neighbours are alike, as for an alloy whose order is that of its
        sites.
    local_density : bool, default False
        rho_b is the density within r_max of the particle, rather than that of the whole system.
    average_radius : float, optional
        The mean of s_2 over the particle and all that are closer than this, which tells order from fluctuations.
    step : float, optional
        Of the integral (trapezoidal rule), by default sigma / 4.
    padding : float, optional
        Particles up to r_max + padding count: their Gaussians reach into the integral. By default 4 sigma.

    Notes
    -----
    Output ``pair_entropy`` (frame, particle), no unit. Never NaN, but beside open borders: where r_max + padding
    reaches beyond a face, with `average_radius` also for one of those around.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 512, box=[8.0, 8.0, 8.0])
    >>> gas = gd.from_arrays(np.random.default_rng(0).random((1, 512, 3)) * 8, species=["A"] * 512, box=[8.0] * 3)
    >>> order, disorder = (gd.describe(t, [gd.PairEntropy(r_max=3.0)])["pair_entropy"] for t in (crystal, gas))
    >>> round(float(order.mean()), 2), bool(order.max() < disorder.min())
    (-7.22, True)
    """

    name: ClassVar[str] = "pair_entropy"
    r_max: Positive
    sigma: Positive = 0.1
    by_species: bool = True
    local_density: bool = False
    average_radius: Positive | None = None
    step: Positive | None = None
    padding: NotNegative | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        step = self.sigma / 4 if self.step is None else self.step
        if not 1 <= self.r_max / step <= FINEST:
            raise ParameterError(
                f"PairEntropy: r_max = {self.r_max:g} in steps of {step:g}: expected 1 to {FINEST} of them"
            )

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        step = self.sigma / 4 if self.step is None else self.step
        r = np.linspace(0.0, self.r_max, int(np.ceil(self.r_max / step * (1 - 1e-12))) + 1)
        weight = np.full(len(r), r[1])
        weight[[0, -1]] *= 0.5
        shape = _Shape(self, r, 4 * np.pi * r**2 if dimension == 3 else 2 * np.pi * r, weight)
        search = np.full((len(names),) * 2, shape.reach)
        average = None if self.average_radius is None else np.full((len(names),) * 2, self.average_radius)

        def own(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            shape.entropy(configuration, neighbors, out)

        def averaged(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            assert average is not None
            around = configuration.neighbors(centers, average)
            members = np.unique(np.concatenate([centers, around.index]))
            found = np.full(len(configuration.position), np.nan)
            for rows, neighbors in configuration.batches(members, search):
                part = configuration.scratch("entropies", len(rows))
                shape.entropy(configuration, neighbors, part)
                if neighbors.known is not None:
                    part[~neighbors.known] = np.nan
                found[members[rows]] = part
            owner = np.repeat(np.arange(len(centers)), around.counts)
            total = found[centers] + np.bincount(owner, found[around.index], len(centers))
            out[:] = total / (1 + around.counts)
            if around.known is not None:
                out[~around.known] = np.nan

        return Plan(
            search=search if average is None else None,
            compute=own if average is None else averaged,
            attrs={"long_name": "excess entropy of pairs", "units": ""},
            microseconds=10.0,
        )


@dataclass(frozen=True)
class _Shape:
    """What is the same for all particles: parameters, radii, areas at them and weights of the integral."""

    given: PairEntropy
    r: np.ndarray
    size: np.ndarray
    weight: np.ndarray

    @property
    def reach(self) -> float:
        """How far away particles count."""
        padding = 4.0 * self.given.sigma if self.given.padding is None else self.given.padding
        return float(self.given.r_max + padding)

    def entropy(self, configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        """s_2 of each centre; the search may reach further."""
        given, kinds = self.given, len(configuration.names) if self.given.by_species else 1
        kind = configuration.species[neighbors.index].astype(np.int64) if given.by_species else 0
        kind = np.where(neighbors.distance < self.reach, kind, -1)
        owner: Any = np.repeat(np.arange(len(out)), neighbors.counts)
        if given.local_density:
            near = neighbors.distance < given.r_max
            count = np.bincount(owner[near] * kinds + kind[near], minlength=len(out) * kinds).reshape(-1, kinds)
            d = configuration.dimension
            ideal = count / (self.size[-1] * given.r_max / d)
        else:
            every = configuration.species if given.by_species else np.zeros(len(configuration.position), int)
            share = np.bincount(every, minlength=kinds) / len(configuration.position)
            ideal = np.tile(share * configuration.density, (len(out), 1))
        lanes = aligned(1, LANES)
        lanes[0] = np.arange(LANES)
        kernels.pair_entropy(
            neighbors.offsets, neighbors.distance, kind, float(self.r[1]), self.size, self.weight, ideal, given.sigma,
            lanes, aligned(kinds, padded(len(self.r)) + LANES), out,
        )  # fmt: skip
