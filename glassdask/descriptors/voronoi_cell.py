"""Volumes and shapes of Voronoi cells, and the locally favoured structure that a shape tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError, SpeciesError
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.voronoi import Diameters, Voronoi, tessellate

Signature = tuple[int, ...]
CELL_MICROSECONDS = 7.0


@dataclass(frozen=True, kw_only=True)
class VoronoiCell(Descriptor):
    """Volume of the Voronoi cell, number of its faces and its signature <n3, n4, n5, n6>.

    n_k is the number of faces with k edges. The radical cells of spheres of the given diameters are those of papers A
    (Sec. III C) and Rycroft, Chaos 19, 041111 (2009); the plain ones are paper C's (Eq. 5). See `tessellate` for the
    neighbours and the areas of the faces.

    Parameters
    ----------
    diameters : Diameters, optional
        Of each species, or "own", those that the particles of the trajectory have, for radical Voronoi cells; None for
        the usual ones.

    Notes
    -----
    Output ``voronoi`` (frame, particle, voronoi_feature) with the features ``volume`` (the area in two dimensions),
    ``faces`` (the number of neighbours) and, in three dimensions, ``n3``, ``n4``, ``n5``, ``n6``. Volumes are in the
    unit of length to the power of the dimension. A radical cell may be empty: volume and faces are then 0. All are NaN
    for particles of the same radius at exactly the same place, which share one cell.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> cell = gd.describe(crystal, [VoronoiCell()])["voronoi"][0, 0]
    >>> dict(zip(cell["voronoi_feature"].values.tolist(), cell.values.round(9).tolist()))
    {'volume': 1.0, 'faces': 6.0, 'n3': 0.0, 'n4': 6.0, 'n5': 0.0, 'n6': 0.0}
    """

    name: ClassVar[str] = "voronoi"
    diameters: Diameters | None = None

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        radii = Voronoi(self.diameters).radii(names)
        features = ["volume", "faces"] + (["n3", "n4", "n5", "n6"] if dimension == 3 else [])

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            cells = tessellate(configuration, centers, radii)
            out[:, 0] = cells.volume
            out[:, 1] = cells.neighbors.counts
            if dimension == 3:
                out[:, 2:] = cells.signature()
            out[np.isnan(cells.volume)] = np.nan

        dim = "voronoi_feature"
        return Plan(
            dims=(dim,),
            shape=(len(features),),
            coords={dim: (dim, np.array(features))},
            search=None,
            compute=compute,
            attrs={"long_name": "radical Voronoi cell" if self.diameters else "Voronoi cell", "units": ""},
            microseconds=CELL_MICROSECONDS,
            needs_diameters=self.diameters == "own",
        )


@dataclass(frozen=True, kw_only=True)
class LocallyFavoredStructure(Descriptor):
    """LFS index: 1 where the Voronoi cell has the given signature, else 0 (paper A, Sec. III C).

    The signature <n3, n4, n5, ...> counts the faces with 3, 4, 5, ... edges; those it does not reach are zero, so
    <0, 0, 12> is the dodecahedron around the centre of an icosahedron. Around the small particles it is (0, 0, 12) in
    the Wahnström and Cu64Zr36 models and (0, 2, 8) in the Kob-Andersen and Ni33Y67 ones (Coslovich and Pastore,
    J. Chem. Phys. 127, 124504 (2007), paper A's reference 10). For SiO2 see `Coordination`.

    Parameters
    ----------
    signature : tuple of int or dict
        Of the favoured cell, for all centres or, as a mapping, for each species.
    diameters : Diameters, optional
        Of each species, or "own", those that the particles of the trajectory have, for radical Voronoi cells; None for
        the usual ones.

    Notes
    -----
    Output ``lfs`` (frame, particle), no unit. NaN for species that a mapping does not name, and
    for particles of the same radius at exactly the same place.

    Examples
    --------
    >>> import glassdask as gd
    >>> body = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> corner = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 1, 3)
    >>> bcc = gd.from_arrays((corner + body).reshape(1, 54, 3), species=["A", "B"] * 27, box=[3.0, 3.0, 3.0])
    >>> gd.describe(bcc, [LocallyFavoredStructure(signature={"B": (0, 6, 0, 8)})])["lfs"].values[0, :2].tolist()
    [nan, 1.0]
    """

    name: ClassVar[str] = "lfs"
    signature: Signature | dict[str, Signature]
    diameters: Diameters | None = None

    def check(self) -> None:
        """See `Declaration.check`."""
        wanted = list(self.signature.values()) if isinstance(self.signature, dict) else [self.signature]
        for signature in wanted or [()]:
            if sum(signature) < 4 or min(signature) < 0:
                raise ParameterError(f"signature {signature}: expected numbers of faces with 3, 4, 5, ... edges")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        if dimension != 3:
            raise ParameterError(
                "LocallyFavoredStructure needs three dimensions: in the plane count VoronoiCell's faces"
            )
        radii = Voronoi(self.diameters).radii(names)
        wanted = self.signature if isinstance(self.signature, dict) else dict.fromkeys(names, self.signature)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise SpeciesError(f"a signature for {unknown[0]!r}: known species are {', '.join(names)}")
        edges = tuple(range(3, 3 + max(map(len, wanted.values()))))

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            cells = tessellate(configuration, centers, radii)
            counts = cells.signature(edges)
            own = configuration.species[centers]
            for name, signature in wanted.items():
                mine = own == names.index(name)
                same = (counts[mine, : len(signature)] == signature).all(axis=1)
                out[mine] = same & (cells.neighbors.counts[mine] == sum(signature))
            out[np.isnan(cells.volume)] = np.nan

        attrs = {"long_name": "1 in the locally favoured structure", "units": ""}
        return Plan(
            search=None, compute=compute, attrs=attrs, microseconds=CELL_MICROSECONDS,
            needs_diameters=self.diameters == "own",
        )  # fmt: skip
