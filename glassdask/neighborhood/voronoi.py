"""Who shares a face with whom: the Voronoi and the radical Voronoi (Laguerre) tessellation.

The cells are cut by Voro++ (C. H. Rycroft, Chaos 19, 041111 (2009)) through the package `multivoro`, which is imported
when the first cell is asked for. Voro++ cuts the cells of *all* the points it is given, while a task may want some of
them only: the cells of the last frames are kept, so that the tasks of one frame in the same process share them.
Two-dimensional systems go in as a slab one particle high.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from threading import Lock

import numpy as np

from glassdask.errors import MissingPackageError, ParameterError, SpeciesError
from glassdask.kernels.polyhedra import measure
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Batches, Neighborhood

# Particles tessellated at once: beyond this the box is divided, which bounds the memory (about 2 kB a particle) and the
# time for which Voro++ holds Python's global lock, at the price of cutting the cells near the divisions several times.
REGION = 100_000

# Frames, of up to REGION particles, whose cells are kept: about 1 kB a particle each.
KEPT = 2

# First guess for how far away a particle can still touch a cell, in units of density^(-1/d). Dense liquids need 2.3;
# where it is not enough the region is tessellated again with a halo that is known to be.
HALO = 3.0


@dataclass(frozen=True)
class Tessellation:
    """Voronoi cells of some centres.

    Attributes
    ----------
    neighbors : those that share a face with each centre, one entry a face; in tiny boxes several may be images of the
        same particle, or of the centre itself
    volume : (C,) volume of each cell, area in two dimensions; 0 for a particle whose radical cell is empty
    area : (P,) area of each face, length in two dimensions
    edges : (P,) number of edges of each face, 2 (the ends) in two dimensions
    """

    neighbors: Neighbors
    volume: np.ndarray
    area: np.ndarray
    edges: np.ndarray

    def signature(self, edges: tuple[int, ...] = (3, 4, 5, 6)) -> np.ndarray:
        """Numbers of faces with the given numbers of edges, <n3, n4, n5, n6> by default, shape (C, len(edges))."""
        centre = np.repeat(np.arange(len(self.volume)), self.neighbors.counts)
        most = max(max(edges), int(self.edges.max(initial=0))) + 1
        table = np.bincount(centre * most + self.edges, minlength=len(self.volume) * most)
        return table.reshape(-1, most)[:, list(edges)]

    def take(self, rows: np.ndarray) -> Tessellation:
        """The cells of ``centers[rows]``."""
        counts = self.neighbors.counts[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        entries = np.arange(offsets[-1]) + np.repeat(self.neighbors.offsets[rows] - offsets[:-1], counts)
        neighbors = Neighbors(
            self.neighbors.centers[rows], offsets, self.neighbors.index[entries], self.neighbors.vector[:, entries]
        )
        return Tessellation(neighbors, self.volume[rows], self.area[entries], self.edges[entries])


@dataclass(frozen=True)
class Voronoi(Neighborhood):
    """Neighbours share a face of the Voronoi cells, or of the radical Voronoi cells.

    Parameters
    ----------
    diameters : mapping from each species to its diameter, such as the position of the first peak of g_aa(r); the
        radical cells are those of spheres of these diameters. None: the usual Voronoi cells, all particles alike

    Raises
    ------
    ParameterError, SpeciesError
        When a diameter is missing, not positive, or of an unknown species.

    Examples
    --------
    >>> square = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), -1).reshape(-1, 2)
    >>> configuration = Configuration(square, np.zeros(16), np.eye(2) * 4, ("A",))
    >>> np.unique(Voronoi().find(configuration, np.arange(16)).counts).tolist()
    [4]
    """

    diameters: Mapping[str, float] | None = None

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`."""
        radii = None if self.diameters is None else 0.5 * of_species(self.diameters, configuration.names)
        yield np.arange(len(centers)), tessellate(configuration, centers, radii).neighbors


def of_species(diameters: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
    """Diameters in the order of `names`, checked.

    Examples
    --------
    >>> of_species({"B": 0.88, "A": 1.0}, ("A", "B")).tolist()
    [1.0, 0.88]
    """
    unknown = [name for name in diameters if name not in names]
    if unknown:
        raise SpeciesError(f"a diameter for {unknown[0]!r}: known species are {', '.join(names)}")
    missing = [name for name in names if name not in diameters]
    if missing:
        raise ParameterError(f"no diameter for {', '.join(missing)}: give one for every species of {', '.join(names)}")
    values = np.array([float(diameters[name]) for name in names])
    if not (np.isfinite(values) & (values > 0)).all():
        raise ParameterError(f"diameters {dict(diameters)}: expected positive finite lengths")
    return values


_kept: OrderedDict[bytes, Tessellation] = OrderedDict()
_keeping = Lock()


def tessellate(configuration: Configuration, centers: np.ndarray, radii: np.ndarray | None = None) -> Tessellation:
    """Voronoi cells of `centers` in a configuration.

    The cell of particle i is the set of points r with |r - r_i|^2 - R_i^2 <= |r - r_j|^2 - R_j^2 for every j and every
    periodic image of it. Equal radii give the usual Voronoi cell (C, Eq. 5). No face is too small to count.

    Parameters
    ----------
    configuration : two or three dimensions, any periodic cell, of any size
    centers : (C,) indices
    radii : (S,) radius R of each species, at least 0; None for the usual Voronoi cells

    Returns
    -------
    Tessellation
        In the order of `centers`. Particles at exactly the same place have empty cells.

    Raises
    ------
    MissingPackageError
        When `multivoro` is not installed.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    >>> simple_cubic = Configuration(grid, np.zeros(64, np.int8), np.eye(3) * 4.0, ("A",))
    >>> cells = tessellate(simple_cubic, np.arange(2))
    >>> cells.volume.round(12).tolist(), cells.signature().tolist()
    ([1.0, 1.0], [[0, 6, 0, 0], [0, 6, 0, 0]])
    """
    centers = np.asarray(centers, dtype=np.int64)
    by_species = np.zeros(len(configuration.names)) if radii is None else np.asarray(radii, dtype=np.float64)
    if len(configuration.position) > REGION:
        return _divided(configuration, centers, by_species)
    parts = (configuration.position, configuration.species, configuration.box, by_species)
    key = bytes([configuration.dimension]) + b"".join(blake2b(part.tobytes()).digest() for part in parts)
    # one task at a time: Voro++ holds Python's global lock anyway, and the others find the frame already done
    with _keeping:
        if key not in _kept:
            _kept[key] = _whole(configuration, by_species)
        _kept.move_to_end(key)
        whole = _kept[key]
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return whole.take(centers)


def _whole(configuration: Configuration, radii: np.ndarray) -> Tessellation:
    everyone = np.arange(len(configuration.position))
    box = configuration.box[: configuration.dimension, : configuration.dimension]
    if np.array_equal(box, np.diag(np.diagonal(box))):
        result, needed = _periodic(configuration, radii)
        # closer than half the box a neighbour is its nearest image; otherwise the images must be told apart
        if needed < 0.5 * configuration.widths.min():
            return result
    return _region(configuration, everyone, radii, _fractions(configuration))


def _divided(configuration: Configuration, centers: np.ndarray, radii: np.ndarray) -> Tessellation:
    """Cells of a frame so large that it is cut into regions, of which only those with centres are tessellated."""
    if len(centers) == 0:
        nobody = Neighbors(centers, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty((4, 0)))
        return Tessellation(nobody, np.empty(0), np.empty(0), np.empty(0, np.int64))
    fraction = _fractions(configuration)
    side = _spacing(configuration) * REGION ** (1.0 / configuration.dimension)
    n_regions = np.maximum(1, np.rint(configuration.widths / side)).astype(np.int64)
    block = np.clip((fraction[centers] * n_regions).astype(np.int64), 0, n_regions - 1)
    region = np.ravel_multi_index(tuple(block.T), n_regions)
    rows = [np.flatnonzero(region == number) for number in np.unique(region)]
    found = _join([_region(configuration, centers[part], radii, fraction) for part in rows])
    return found.take(np.argsort(np.concatenate(rows)))


def _spacing(configuration: Configuration) -> float:
    return configuration.density ** (-1.0 / configuration.dimension)


def _fractions(configuration: Configuration) -> np.ndarray:
    return (configuration.position @ configuration.inverse)[:, : configuration.dimension]


def _periodic(configuration, radii):
    """Cells of all particles in a periodic rectangular container, and how far away a neighbour of theirs may be."""
    position, dimension, spacing = configuration.position, configuration.dimension, _spacing(configuration)
    lengths = np.diagonal(configuration.box).copy()
    limits = np.array([np.zeros(3), lengths])
    if dimension == 2:
        limits[:, 2] = -0.5 * spacing, 0.5 * spacing
    # rounding may have left a wrapped particle a hair outside
    points = np.clip(position, limits[0], limits[1])
    cells = _voro(points, radii[configuration.species], limits, periodic=(True, True, dimension == 3))
    cut = _Cut(cells, points, dimension, spacing)
    vector = position[cut.index] - np.repeat(position, cut.counts, axis=0)
    vector[:, :dimension] -= lengths[:dimension] * np.rint(vector[:, :dimension] / lengths[:dimension])
    return cut.tessellation(np.arange(len(position)), cut.index, vector), cut.needed(radii, configuration.species)


def _region(configuration, centers, radii, fraction):
    """Cells of centres that lie together, in an open container with every image that can touch them."""
    dimension, spacing = configuration.dimension, _spacing(configuration)
    low, high = fraction[centers].min(axis=0), fraction[centers].max(axis=0)
    halo = HALO * spacing
    while True:
        reach = halo / configuration.widths
        points, owner = _images(configuration, fraction, low - reach, high + reach)
        limits = np.array([points.min(axis=0) - halo, points.max(axis=0) + halo])
        if dimension == 2:
            limits[:, 2] = -0.5 * spacing, 0.5 * spacing
        cells = _voro(points, radii[configuration.species[owner]], limits, periodic=(False, False, False))
        # the image that is the particle itself comes first
        first = np.full(len(configuration.position), -1, np.int64)
        first[owner[::-1]] = np.arange(len(owner))[::-1]
        cut = _Cut([cells[i] for i in first[centers].tolist()], points[first[centers]], dimension, spacing)
        needed = cut.needed(radii, configuration.species[centers])
        if not cut.open and needed <= halo:
            break
        # a cell only shrinks as points are added: what closed cells need now will do in the next round
        halo = 2.0 * halo if cut.open else needed * (1 + 1e-9)
    vector = points[cut.index] - np.repeat(points[first[centers]], cut.counts, axis=0)
    return cut.tessellation(centers, owner[cut.index], vector)


def _images(configuration, fraction, low, high):
    """Points (M, 3) with fractional coordinates between `low` and `high`, and whose images they are (M,)."""
    box = configuration.box
    shifts = [range(int(np.floor(a)), int(np.floor(b)) + 1) for a, b in zip(low, high)]
    points, owner = [], []
    for shift in sorted(product(*shifts), key=lambda n: sum(map(abs, n))):
        moved = fraction + shift
        inside = np.flatnonzero(((moved >= low) & (moved <= high)).all(axis=1))
        points.append(configuration.position[inside] + np.array(shift) @ box[: len(shift)])
        owner.append(inside)
    return np.concatenate(points), np.concatenate(owner)


class _Cut:
    """The cells of some points as arrays."""

    def __init__(self, cells, points, dimension, height):
        neighbors = [cell.get_neighbors() for cell in cells]
        loops = [cell.get_face_vertices() for cell in cells]
        vertices = [cell.get_vertices() for cell in cells]
        starts = _starts(neighbors)
        index = np.concatenate([*neighbors, np.empty(0, np.int32)])
        volume, self.radius = np.empty((2, len(cells)))
        area, edges = np.empty(len(index)), np.empty(len(index), np.int64)
        measure(
            points, np.concatenate([*vertices, np.empty((0, 3))]), _starts(vertices),
            np.concatenate([*loops, np.empty(0, np.int32)]), _starts(loops), starts,
            volume, self.radius, area, edges,
        )  # fmt: skip
        side = index >= 0  # walls have negative numbers, -5 and -6 the floor and the ceiling
        self.open = bool((index > -5).sum() > side.sum()) if dimension == 2 else not side.all()
        total = np.concatenate([[0], np.cumsum(side)])
        self.counts = np.diff(total[starts])
        self.index = index[side]
        self.volume, self.area, self.edges = volume, area[side], edges[side]
        if dimension == 2:
            self.volume, self.area, self.edges = volume / height, self.area / height, np.full(len(self.index), 2)
            self.radius = np.sqrt(np.maximum(self.radius**2 - 0.25 * height**2, 0.0))

    def needed(self, radii, species):
        """Distance beyond which no particle can touch any of the cells, whatever its radius."""
        slack = radii.max() ** 2 - radii[species] ** 2
        return float((self.radius + np.sqrt(self.radius**2 + slack)).max(initial=0.0))

    def tessellation(self, centers, index, vector):
        """The cells as a `Tessellation`, given whose images the neighbours are and where."""
        offsets = np.concatenate([[0], np.cumsum(self.counts)])
        columns = np.empty((4, len(index)))
        columns[:3] = vector.T
        columns[3] = np.sqrt((vector**2).sum(axis=1))
        neighbors = Neighbors(centers, offsets, index.astype(np.int32), columns)
        return Tessellation(neighbors, self.volume, self.area, self.edges)


def _starts(pieces):
    return np.concatenate([[0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)])


def _join(pieces):
    """Several tessellations as one, in their order."""
    counts = np.concatenate([piece.neighbors.counts for piece in pieces])
    neighbors = Neighbors(
        np.concatenate([piece.neighbors.centers for piece in pieces]),
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([piece.neighbors.index for piece in pieces]),
        np.concatenate([piece.neighbors.vector for piece in pieces], axis=1),
    )
    volume, area, edges = (
        np.concatenate([getattr(piece, key) for piece in pieces]) for key in ("volume", "area", "edges")
    )
    return Tessellation(neighbors, volume, area, edges)


def _voro(points, radii, limits, periodic):
    try:
        from multivoro import compute_voronoi
    except ImportError:
        raise MissingPackageError(
            "Voronoi cells need the package multivoro: pip install 'glassdask[voronoi]'"
        ) from None
    return compute_voronoi(points, radii=radii, limits=limits, periodic_boundaries=periodic)
