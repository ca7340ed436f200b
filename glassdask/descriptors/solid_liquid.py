"""Solid-like particles: whose surroundings are oriented as those of their neighbours are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from glassdask.declarations import Where
from glassdask.descriptors.base import Plan
from glassdask.descriptors.coefficients import shells
from glassdask.descriptors.of_neighbors import OfNeighbors
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration

Degree = Annotated[int, Where(lambda l: 1 <= l <= 32, "a degree from 1 to 32, such as 6")]
Number = Annotated[int, Where(lambda n: 1 <= n <= 100, "a whole number from 1 to 100, such as 7")]
Product = Annotated[float, Where(lambda s: -1 <= s < 1, "a product between -1 and 1, such as 0.7")]


@dataclass(frozen=True, kw_only=True)
class SolidLiquid(OfNeighbors):
    r"""Solid-like neighbours, their number, and whether the particle is solid-like itself.

    s_ij = Re sum_m q_lm(i) q*_lm(j) / (|q_l(i)| |q_l(j)|),  |q_l(i)|^2 = sum_m |q_lm(i)|^2: two neighbours are
    connected where s_ij exceeds a threshold, and a particle with enough connections is solid-like (ten Wolde,
    Ruiz-Montero and Frenkel, J. Chem. Phys. 104, 9932 (1996); Auer and Frenkel, J. Chem. Phys. 120, 3015 (2004)). The
    mean of s_ij over the neighbours is the coherence of Russo and Tanaka, Sci. Rep. 2, 505 (2012). `glassdask.clusters`
    of the solid-like particles gives the nuclei.

    Parameters
    ----------
    l : int, default 6
        Degree of the harmonics.
    threshold : float, default 0.7
        What s_ij must exceed.
    connections : int, default 7
        How many connections make a particle solid-like, at least.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule. Where it weighs the neighbours, so do q_lm and the mean of s_ij; all
        connections count alike.

    Notes
    -----
    Output ``solid_liquid`` (frame, particle, solid_feature) with the features ``connections``, ``coherence`` and
    ``solid``, 1 or 0; no unit. NaN for a particle without neighbours or with a neighbour on top of it, and where that
    is so of one of its neighbours. Beside an open border also where not all neighbours of a neighbour are known.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> found = gd.describe(crystal, [gd.SolidLiquid(connections=6, cutoffs=1.2)])["solid_liquid"][0, 0]
    >>> dict(zip(found["solid_feature"].values.tolist(), found.values.round(9).tolist()))
    {'connections': 6.0, 'coherence': 1.0, 'solid': 1.0}
    """

    name: ClassVar[str] = "solid_liquid"
    l: Degree = 6
    threshold: Product = 0.7
    connections: Number = 7

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        rule = self.rule(names)
        table = recurrence(self.l)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            for shell in shells(configuration, centers, rule, self.l, table):
                part = np.empty((len(shell.rows), 3))
                kernels.solid_bonds(shell.offsets, shell.index, shell.weight, shell.row, shell.q, self.threshold, part)
                part[:, 2] = np.where(np.isnan(part[:, 0]), np.nan, part[:, 0] >= self.connections)
                out[shell.rows] = part

        dim = "solid_feature"
        return Plan(
            dims=(dim,),
            shape=(3,),
            coords={dim: (dim, np.array(["connections", "coherence", "solid"]))},
            search=None,
            compute=compute,
            attrs={"long_name": "solid-like bonds", "units": ""},
        )
