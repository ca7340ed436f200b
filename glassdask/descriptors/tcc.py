"""The topological cluster classification: which clusters of bound particles each particle belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfNeighbors
from glassdask.errors import ParameterError
from glassdask.kernels import compounds
from glassdask.kernels import rings as bonds
from glassdask.kernels import topology as kernels
from glassdask.kernels.clusters import images
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.surroundings import Surroundings, surroundings

REACH = 4  # bonds from a particle to those whose neighbours decide which clusters it belongs to
RINGS = 16  # of three to five for each particle, at first


@dataclass(frozen=True, kw_only=True)
class TCC(OfNeighbors):
    r"""Topological cluster classification: which clusters a particle belongs to.

    Rings of three, four and five bound particles without bonds across, and the spindles that are bound to all of a
    ring: sp3a, sp3b and 5A have none, one and two of them, so have sp4a, sp4b and 6A, the octahedron, and sp5a, sp5b
    and 7A, the pentagonal bipyramid. Others are put together of these: 6Z, 7K and 8K of 5A; 8B, 9B, 10B, 11C, 11E,
    12B, 12D, 13A, the icosahedron, and 13B of 7A; 8A of sp5b and 7A; 10W of sp5b; 9A and 10A of sp4b; 9K and 11A, the
    bicapped square antiprism, of 6A; 11F, 12E and 13K of 5A and 6A; and of one of these with one or two more particles
    10K (9K), 11B (9B), 11W (10B), 12A (11C) and 12K (11A). All as defined by A. Malins, S. R. Williams, J. Eggers and
    C. P. Royall, J. Chem. Phys. 139, 234506 (2013), with their letters; of more than two spindles of a ring none
    counts, as in their program.

    Parameters
    ----------
    neighbors : rule for neighbours, optional
        Instead, another rule: that of the classification is ``ModifiedVoronoi(cutoffs=1.8)``, in units of the larger
        diameter.

    Notes
    -----
    Output ``tcc`` (frame, particle, cluster_type), 1 or 0, no unit. A particle of a large cluster belongs to the
    smaller ones in it, too. Two particles are bound where each is a neighbour of the other. `TopologicalClusters` has
    clusters with a middle of which all neighbours count, among them Frank and Kasper's, fcc, hcp and bcc. There may be
    a few more 10W, 12A and 13A than their program finds, which looks at particles in the order of their numbers. NaN
    only beside open borders, where a neighbour of a particle within four bonds may be hidden.

    Examples
    --------
    In fcc, each particle belongs to octahedra:

    >>> import glassdask as gd
    >>> corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3)
    >>> fcc = (corner + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(1, 256, 3)
    >>> crystal = gd.from_arrays(fcc, species=["A"] * 256, box=[4.0] * 3)
    >>> found = gd.describe(crystal, [gd.TCC(neighbors=gd.ModifiedVoronoi(cutoffs=1.2))])["tcc"]
    >>> found.sel(cluster_type=["6A", "7A"]).values[0, 0].tolist()
    [1.0, 0.0]
    """

    name: ClassVar[str] = "tcc"
    weighed: ClassVar[bool] = False

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("TCC needs three dimensions: in the plane use Hexatic or Rings")
        rule = self.rule(names)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            around = surroundings(rule.find, configuration, centers, REACH)
            # five bonds must not meet around the box
            wide = configuration.repeated(2.5 * float(around.found.distance.max(initial=0.0)))
            if wide is not configuration:
                around = surroundings(rule.find, wide, centers, REACH)
            out[:] = _classified(wide, around)[around.rows]
            out[around.lost] = np.nan

        dim = "cluster_type"
        return Plan(
            dims=(dim,),
            shape=(len(kernels.TYPES),),
            coords={dim: (dim, np.array(kernels.TYPES))},
            search=None,
            compute=compute,
            attrs={"long_name": "member of a cluster", "units": ""},
            microseconds=100.0,
        )


def _classified(configuration: Configuration, around: Surroundings) -> np.ndarray:
    """Whether each particle of the surroundings belongs to a cluster of each type, (rows, types)."""
    found = around.found
    n, image, target = (
        len(found.centers),
        np.empty((len(found.index), 3), np.int64),
        np.empty(len(found.index), np.int64),
    )
    images(
        found.offsets, found.index, found.vector, found.centers, configuration.position, configuration.inverse, image
    )
    bonds.mutual(found.offsets, found.index, image, around.row_of, target)
    start, near = np.concatenate([[0], np.cumsum(target >= 0)])[found.offsets], target[target >= 0]
    room = RINGS * n
    while True:
        row, size, spindles = np.empty((room, 7), np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
        filled = kernels.rings(start, near, row, size, spindles)
        if filled <= room:
            break
        room = filled
    row, column = row[:filled], 3 * (size[:filled] - 3) + spindles[:filled]
    of = {kind: np.ascontiguousarray(row[column == k]) for k, kind in enumerate(kernels.TYPES[:9])}
    out = np.zeros((n, len(kernels.TYPES)), bool)
    for k, kind in enumerate(of):
        # spindles of a ring with more than two of them do not belong to it
        members = of[kind][:, : 5 + k % 3]
        out[members[members >= 0], k] = True
    five, six, seven = (_listed(of[kind], [5, 6], n) for kind in ("5A", "6A", "7A"))
    kernels.of_triangles(of["5A"], *five, out)
    kernels.of_squares(of["6A"], *six, start, near, out)
    kernels.of_pentagons(of["7A"], *seven, start, near, out)
    kernels.of_halves(of["sp5b"], of["7A"], *_listed(of["sp5b"], [0, 1, 2, 3, 4], n), *seven, out)
    squares, caps = _listed(of["sp4b"], [0, 1, 2, 3], n), _listed(of["sp5b"], [5], n)
    compounds.of_caps(of["sp4b"], *squares, of["sp5b"], *caps, start, near, out)
    compounds.of_two_triangles(
        of["5A"], *five, *_listed(of["5A"], [0, 1, 2], n), of["6A"], *six, start, near, out
    )  # fmt: skip
    return out


def _listed(row: np.ndarray, columns: list[int], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows have each of the n particles in one of the columns: offsets, and numbers of rows."""
    particle = row[:, columns].ravel()
    order = np.argsort(particle, kind="stable")
    return np.searchsorted(particle[order], np.arange(n + 1)), order // len(columns)
