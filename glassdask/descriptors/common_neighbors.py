"""Crystal structures by the bonds among the neighbours, and centrosymmetry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from glassdask.descriptors.base import Descriptor, Plan
from glassdask.descriptors.of_neighbors import OfNeighbors
from glassdask.errors import ParameterError
from glassdask.kernels import common_neighbors as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.cutoffs import pair_matrix
from glassdask.neighborhood.nearest import Cutoff, KNearest, Neighborhood, refuse_both, refuse_weights
from glassdask.neighborhood.surroundings import surroundings

STRUCTURES = ("other", "fcc", "hcp", "bcc", "icosahedral")


@dataclass(frozen=True, kw_only=True)
class CommonNeighbors(OfNeighbors):
    r"""Common neighbour analysis: fcc, hcp, bcc, icosahedral or other.

    A particle and each of its neighbours have n common neighbours, with b bonds between them, l of which are in the
    chain with most: the signature nbl (Honeycutt and Andersen, J. Phys. Chem. 91, 4950 (1987)). Twelve neighbours with
    421 are fcc, six with 421 and six with 422 hcp, twelve with 555 icosahedral; eight with 666 and six with 444 bcc.

    Without `cutoffs` and `neighbors` the analysis is adaptive (Stukowski, Modelling Simul. Mater. Sci. Eng. 20, 045021
    (2012)): bonds reach (1 + sqrt 2) / 2 of the mean distance of the 12 nearest and, where that is no structure, of the
    14 nearest, for bcc, the first eight lengthened by 2 / sqrt 3.

    Parameters
    ----------
    cutoffs : float or dict, optional
        Neighbours of the centre, and of each other, are closer than this distance, one for all or one for each pair of
        species, such as the `first_minima` of g_ab(r).
    neighbors : rule for neighbours, optional
        Instead, another rule, such as ``Voronoi()``; two neighbours are connected if one has the other as neighbour.
    output : {"structure", "pairs"}, default "structure"
        The structure of each particle, or, with `cutoffs` or `neighbors`, how many of its neighbours have each
        signature: in liquids a measure that changes little by little, such as 555 for pairs with fivefold symmetry.

    Notes
    -----
    Output ``common_neighbors`` (frame, particle), no unit: 0 other, 1 fcc, 2 hcp, 3 bcc, 4 icosahedral, as in OVITO;
    the attribute ``classes`` has these names. With pairs (frame, particle, signature). Never NaN, but beside open
    borders: also where not all neighbours of a neighbour are known, with rules. At most 62 neighbours.

    Examples
    --------
    >>> import glassdask as gd
    >>> corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3)
    >>> fcc = (corner + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(1, 256, 3)
    >>> crystal = gd.from_arrays(fcc, species=["A"] * 256, box=[4.0] * 3)
    >>> gd.describe(crystal, [gd.CommonNeighbors()])["common_neighbors"].values[0, :3].tolist()
    [1.0, 1.0, 1.0]
    >>> pairs = gd.describe(crystal, [gd.CommonNeighbors(cutoffs=0.85, output="pairs")])["common_neighbors"]
    >>> float(pairs.sel(signature="421")[0, 0])
    12.0
    """

    name: ClassVar[str] = "common_neighbors"
    weighed: ClassVar[bool] = False
    output: Literal["structure", "pairs"] = "structure"

    @classmethod
    def measured(cls, given: Mapping[str, Any]) -> list[str]:
        """See `Descriptor.measured`: only pairs need cutoffs."""
        return super().measured(given) if given.get("output") == "pairs" else []

    def check(self) -> None:
        """See `Declaration.check`."""
        refuse_both(self.cutoffs, self.neighbors, "CommonNeighbors")
        if self.output == "pairs" and self.cutoffs is None and self.neighbors is None:
            raise ParameterError("CommonNeighbors counts pairs of given neighbours: give cutoffs or neighbors")
        self.check_weights()

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError("CommonNeighbors needs three dimensions: in the plane use Hexatic")
        cutoffs = self.neighbors.cutoffs if isinstance(self.neighbors, Cutoff) else self.cutoffs
        pairs = self.output == "pairs"
        labels = [*map(str, kernels.SIGNATURES), "other"]
        attrs: dict[str, Any] = {"long_name": "neighbours by their common neighbours", "units": ""}
        if not pairs:
            attrs = {
                "long_name": "structure by common neighbours", "units": "",
                "classes": list(STRUCTURES),
            }  # fmt: skip
        search: Any = None
        if cutoffs is not None:
            search = pair_matrix(cutoffs, names)
            compute: Any = _within(search, pairs)
        elif self.neighbors is not None:
            self.neighbors.reach(names)
            compute = _listed(self.neighbors, pairs)
        else:
            search, compute = KNearest(14), _adaptive
        return Plan(
            dims=("signature",) if pairs else (),
            shape=(len(labels),) if pairs else (),
            coords={"signature": ("signature", np.array(labels))} if pairs else {},
            search=search,
            compute=compute,
            attrs=attrs,
        )


def _rows(out: np.ndarray) -> np.ndarray:
    return out if out.ndim == 2 else out[:, None]


def _adaptive(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
    kernels.adaptive(neighbors.offsets, neighbors.vector, np.empty((14, 14)), np.empty(kernels.MOST, np.int64), out)


def _within(cutoffs: np.ndarray, pairs: bool) -> Any:
    def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        species, reach2 = configuration.species, np.square(cutoffs)
        row = kernels.within(
            neighbors.centers, neighbors.offsets, neighbors.vector, species, species[neighbors.index], reach2,
            np.empty(kernels.MOST, np.int64), np.empty(kernels.MOST, np.int64), pairs, _rows(out),
        )  # fmt: skip
        refuse_crowd(configuration, neighbors.centers, row)

    return compute


def _listed(rule: Neighborhood, pairs: bool) -> Any:
    def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
        around = surroundings(rule.find, configuration, centers)
        found, bits = around.found, np.empty(kernels.MOST, np.int64)
        row = kernels.listed(
            around.rows, found.offsets, found.index, found.vector, around.row_of, bits, pairs, _rows(out)
        )
        refuse_crowd(configuration, centers, row)
        out[around.lost] = np.nan

    return compute


def refuse_crowd(configuration: Configuration, centers: np.ndarray, row: int) -> None:
    """Raise `ParameterError` where a kernel has found a centre, in this row, with more neighbours than it has bits."""
    if row >= 0:
        raise ParameterError(
            f"{configuration.label}: particle {int(centers[row])} has more than {kernels.MOST} neighbours: common "
            "neighbours are those of the first shell, use shorter cutoffs"
        )


@dataclass(frozen=True, kw_only=True)
class Centrosymmetry(Descriptor):
    r"""How far the neighbours are from being pairs on opposite sides.

    C(i) = sum_{k <= N/2} |r_j + r_j'|^2 over the N / 2 smallest of all pairs of the N neighbours, r_j from i to j
    (Kelchner, Plimpton and Hamilton, Phys. Rev. B 58, 11085 (1998), in the form of LAMMPS and OVITO). 0 in crystals
    with a centre of symmetry, of which N is the number of nearest neighbours.

    Parameters
    ----------
    neighbors : rule for neighbours, default KNearest(12)
        12 for fcc, 8 for bcc, 6 for the triangular lattice.

    Notes
    -----
    Output ``centrosymmetry`` (frame, particle), in the unit of length squared. Of an odd number of neighbours one is
    left out. NaN for a particle with fewer than two neighbours.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> found = gd.describe(crystal, [gd.Centrosymmetry(neighbors=gd.KNearest(6))])["centrosymmetry"]
    >>> bool(found.max() < 1e-12)
    True
    """

    name: ClassVar[str] = "centrosymmetry"
    neighbors: Neighborhood = KNearest(12)  # noqa: RUF009  (rules are frozen)

    def check(self) -> None:
        """See `Declaration.check`."""
        refuse_weights(self.neighbors, "Centrosymmetry")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        self.neighbors.reach(names)

        def compute(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            least = np.empty(int(neighbors.counts.max(initial=0)) // 2)
            kernels.centrosymmetry(neighbors.offsets, neighbors.vector, least, out)

        return Plan(
            search=self.neighbors,
            compute=compute,
            attrs={"long_name": "centrosymmetry", "units": "length^2"},
        )
