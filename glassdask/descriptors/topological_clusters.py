"""Locally favoured structures by their topology: who is the middle of one, and who belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from glassdask.descriptors.base import Plan
from glassdask.descriptors.common_neighbors import refuse_crowd
from glassdask.descriptors.of_neighbors import OfNeighbors
from glassdask.errors import ParameterError
from glassdask.kernels import common_neighbors as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.neighborhood.surroundings import surroundings

CLUSTERS = ("11A", "13A", "FK14", "FK15", "FK16", "fcc", "hcp", "bcc")


@dataclass(frozen=True, kw_only=True)
class TopologicalClusters(OfNeighbors):
    r"""Clusters with a particle in the middle, by the bonds in their shell.

    Those of the topological cluster classification that have a middle (Malins, Williams, Eggers and Royall, J. Chem.
    Phys. 139, 234506 (2013)), and Frank and Kasper's polyhedra, by the signatures of `CommonNeighbors` of all
    neighbours of the middle: 11A, the bicapped square antiprism that the Kob-Andersen mixture favours (two 444 and
    eight 555); 13A, the icosahedron of the Wahnström mixture (twelve 555); FK14, FK15 and FK16 (twelve 555, and two,
    three or four 666); fcc, hcp and bcc. The classification itself takes a modified Voronoi construction and allows for
    more neighbours than those of the cluster; here they are those of the rule, and all of them.

    Parameters
    ----------
    neighbors : rule for neighbours, optional
        Instead, another rule, such as ``Voronoi()``; two are connected if one has the other as neighbour.
    role : {"member", "middle"}, default "member"
        Who counts: all particles of a cluster, or only the one in the middle.

    Notes
    -----
    Output ``topological_clusters`` (frame, particle, cluster_type), 1 or 0, no unit. The middle of a cluster is looked
    for among the particle and its own neighbours. Never NaN, but beside open borders where not all neighbours are known
    of the particle, its neighbours and theirs. At most 62 neighbours.

    Examples
    --------
    >>> import glassdask as gd
    >>> corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3)
    >>> fcc = (corner + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(1, 256, 3)
    >>> crystal = gd.from_arrays(fcc, species=["A"] * 256, box=[4.0] * 3)
    >>> found = gd.describe(crystal, [gd.TopologicalClusters(cutoffs=0.85)])["topological_clusters"]
    >>> dict(zip(found["cluster_type"].values.tolist(), found.values[0, 0].tolist()))["fcc"]
    1.0
    """

    name: ClassVar[str] = "topological_clusters"
    weighed: ClassVar[bool] = False
    role: Literal["member", "middle"] = "member"

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("TopologicalClusters needs three dimensions: in the plane use Hexatic")
        rule = self.rule(names)
        every = np.arange(len(CLUSTERS))

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            if self.role == "middle":
                kind, lost = _middles(configuration, centers, rule)
                out[:] = kind[:, None] == every
                out[lost] = np.nan
                return
            around = rule.find(configuration, centers)
            middles = np.unique(np.concatenate([centers, around.index]))
            kind, lost = _middles(configuration, middles, rule)
            slot = np.concatenate([np.searchsorted(middles, centers), np.searchsorted(middles, around.index)])
            owner = np.concatenate([np.arange(len(centers)), np.repeat(np.arange(len(centers)), around.counts)])
            for k in every:
                out[:, k] = np.bincount(owner, kind[slot] == k, len(centers)) > 0
            out[np.bincount(owner, lost[slot], len(centers)) > 0] = np.nan

        dim = "cluster_type"
        return Plan(
            dims=(dim,),
            shape=(len(CLUSTERS),),
            coords={dim: (dim, np.array(CLUSTERS))},
            search=None,
            compute=compute,
            attrs={"long_name": f"{self.role} of a cluster", "units": ""},
            microseconds=20.0,
        )


def _middles(configuration: Configuration, particles: np.ndarray, rule: Neighborhood) -> tuple[np.ndarray, np.ndarray]:
    """The cluster that each particle is the middle of, -1 for none, and whether an open border may hide that."""
    around = surroundings(rule.find, configuration, particles)
    found, kind, bits = around.found, np.empty(len(particles), np.int64), np.empty(kernels.MOST, np.int64)
    row = kernels.centres(around.rows, found.offsets, found.index, found.vector, around.row_of, bits, kind)
    refuse_crowd(configuration, particles, row)
    return kind, around.lost
