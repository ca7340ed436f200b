"""Who shares a face with whom: the Voronoi and the radical Voronoi (Laguerre) tessellation.

Each cell is cut by itself out of the particles around it, nearest first, until no other can reach what is left: a task
cuts the cells of its centres only. Two-dimensional systems are a slab one particle high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from glassdask.declarations import Positive, Where, converted
from glassdask.errors import ConvergenceError, ParameterError, SpeciesError
from glassdask.kernels import polyhedra, simple_cells
from glassdask.neighborhood.configuration import Configuration, Neighbors, lists_for
from glassdask.neighborhood.nearest import Batches, Neighborhood, by_distance
from glassdask.schema import CODE

# One of each species, or those that the particles of the trajectory have.
BySpecies = dict[str, Positive]
Diameters = BySpecies | Literal["own"]
Share = Annotated[float, Where(lambda x: 0 <= x < 1, "a share, at least 0 and less than 1")]

# Index, vector, area and edges of faces.
Faces = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

# How far away the first candidates may be, in units of density^(-1/d), for two and three dimensions; the cells for
# which that is not enough are cut again with more.
REACH = {2: 2.2, 3: 1.9}
ENLARGEMENT = 1.25

# Radical cells may lie beside their particle, but not as far as this, in the same units: what is cut away altogether
# from a box of this size is empty.
FAR = 4.0

# Where nothing is beyond an open border, a cell that is not closed by what is within this distance, in the same units,
# stays open; of a cluster, which has no images, all others are asked instead, and a corner may be as many times its
# extent away.
FURTHEST, TIMES = 8.0, 100.0

# How far from a plane a corner may be to count as on it, in units of density^(-1/d): well above the rounding of
# coordinates, since corners of perfect crystals lie on more than three planes. Where it leaves a cell that does not
# close, the cell is cut again with more.
TOLERANCES = (1e-11, 1e-9, 1e-7)

# Room for this many faces of a cell while it is cut; for cells with more it is doubled.
FACES = 64


@dataclass(frozen=True)
class Tessellation:
    """Voronoi cells of some centres.

    Attributes
    ----------
    neighbors : Neighbors
        Those that share a face with each centre, one entry a face; in tiny boxes several may be images of the same
        particle, or of the centre itself.
    volume : array (C,)
        Volume of each cell, area in two dimensions; 0 for a particle whose radical cell is empty, NaN for particles of
        the same radius at the same place, which share a cell, and for cells that reach beyond an open border of the box
        (`glassdask.neighborhood.borders`).
    area : array (P,)
        Area of each face, length in two dimensions.
    edges : array (P,)
        Number of edges of each face, 2 (the ends) in two dimensions.
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

    @property
    def shares(self) -> np.ndarray:
        """Area of each face as a share of its cell's surface, (P,)."""
        counts = self.neighbors.counts
        owner = np.repeat(np.arange(len(counts)), counts)
        shares: np.ndarray = self.area / np.bincount(owner, self.area, len(counts))[owner]
        return shares

    def with_faces(self, kept: np.ndarray) -> Tessellation:
        """The same cells with some of their faces (P,)."""
        near, offsets = self.neighbors, np.concatenate([[0], np.cumsum(kept)])[self.neighbors.offsets]
        neighbors = Neighbors(near.centers, offsets, near.index[kept], near.vector[:, kept], known=near.known)
        return Tessellation(neighbors, self.volume, self.area[kept], self.edges[kept])

    def take(self, rows: np.ndarray) -> Tessellation:
        """The cells of ``centers[rows]``."""
        near, counts = self.neighbors, self.neighbors.counts[rows]
        offsets, room = _room(counts)
        polyhedra.copy_faces(near.offsets[rows], counts, *self._faces(), offsets, *room)
        known = None if near.known is None else near.known[rows]
        return _made(near.centers[rows], offsets, room, self.volume[rows], known)

    def _faces(self) -> tuple[np.ndarray, ...]:
        """What `copy_faces` reads."""
        return np.arange(len(self.area)), self.neighbors.index, self.neighbors.vector, self.area, self.edges


@dataclass(frozen=True)
class Voronoi(Neighborhood):
    """Neighbours share a face of the Voronoi cells, or of the radical Voronoi cells.

    Parameters
    ----------
    diameters : Diameters, optional
        Mapping from each species to its diameter, such as the position of the first peak of g_aa(r), or "own", the
        diameter of each particle in the trajectory; the radical cells are those of spheres of these diameters. None:
        the usual Voronoi cells, all particles alike.
    weighted : bool, default False
        A neighbour counts by the area of its face, A_f / sum_f' A_f', as in the Minkowski structure metrics of Mickel
        et al., J. Chem. Phys. 138, 044501 (2013), Eq. 5. Without it a face of hardly any area counts like the others:
        in crystals, where many corners are degenerate, noise of 1e-7 then changes the set of neighbours.
    smallest_face : float, default 0
        Share of a cell's surface below which a face makes no neighbours, such as 0.01, which makes the neighbours of a
        crystal insensitive to noise. Then j may be a neighbour of i and i not of j.

    Raises
    ------
    ParameterError, SpeciesError
        When a diameter is missing, not positive, or of an unknown species, or particles have none of their own.

    Examples
    --------
    >>> square = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), -1).reshape(-1, 2)
    >>> configuration = Configuration(square, np.zeros(16), np.eye(2) * 4, ("A",))
    >>> np.unique(Voronoi().find(configuration, np.arange(16)).counts).tolist()
    [4]
    """

    diameters: Diameters | None = None
    weighted: bool = False
    smallest_face: Share = 0.0
    microseconds = 7.0

    def radii(self, names: tuple[str, ...]) -> np.ndarray | Literal["own"] | None:
        """Radius of each species for `tessellate`, "own" for those of the particles, None for the usual cells."""
        if self.diameters is None or isinstance(self.diameters, str):
            return self.diameters
        return 0.5 * of_species(self.diameters, names)

    @property
    def needs_diameters(self) -> bool:
        """See `Neighborhood.needs_diameters`."""
        return self.diameters == "own"

    def reach(self, names: tuple[str, ...]) -> float:
        """0: see `Neighborhood.reach`."""
        self.radii(names)
        return 0.0

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`."""
        cells = tessellate(configuration, centers, self.radii(configuration.names))
        if self.smallest_face > 0.0:
            cells = cells.with_faces(cells.shares >= self.smallest_face)
        neighbors = cells.neighbors
        if self.weighted:
            neighbors = replace(neighbors, weight=cells.shares)
        yield np.arange(len(centers)), neighbors


def of_species(diameters: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
    """Diameters in the order of `names`, checked.

    Examples
    --------
    >>> of_species({"B": 0.88, "A": 1.0}, ("A", "B")).tolist()
    [1.0, 0.88]
    """
    diameters = converted(diameters, BySpecies, "diameters")
    unknown = [name for name in diameters if name not in names]
    if unknown:
        raise SpeciesError(f"a diameter for {unknown[0]!r}: known species are {', '.join(names)}")
    missing = [name for name in names if name not in diameters]
    if missing:
        raise ParameterError(f"no diameter for {', '.join(missing)}: give one for every species of {', '.join(names)}")
    return np.array([diameters[name] for name in names])


def tessellate(
    configuration: Configuration, centers: np.ndarray, radii: np.ndarray | Literal["own"] | None = None
) -> Tessellation:
    """Voronoi cells of `centers` in a configuration.

    The cell of particle i is the set of points r with |r - r_i|^2 - R_i^2 <= |r - r_j|^2 - R_j^2 for every j and every
    periodic image of it. Equal radii give the usual Voronoi cell (C, Eq. 5). No face is too small to count.

    Parameters
    ----------
    configuration : Configuration
        Two or three dimensions, any periodic cell, of any size.
    centers : array (C,)
        Indices.
    radii : array (S,), optional
        Radius R of each species, at least 0; "own", half of the diameter of each particle; None for the usual Voronoi
        cells.

    Returns
    -------
    Tessellation
        In the order of `centers`. Of particles at exactly the same place the one with the largest radius has the
        cell; where several have it, their volumes are NaN and they have no faces.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    >>> simple_cubic = Configuration(grid, np.zeros(64, int), np.eye(3) * 4.0, ("A",))
    >>> cells = tessellate(simple_cubic, np.arange(2))
    >>> cells.volume.round(12).tolist(), cells.signature().tolist()
    ([1.0, 1.0], [[0, 6, 0, 0], [0, 6, 0, 0]])
    """
    centers = np.asarray(centers, dtype=np.int64)
    # descriptors that ask for the same cells share them
    key = radii if radii is None or isinstance(radii, str) else np.asarray(radii, dtype=np.float64).tobytes()
    # one more than the row, 0 for none: memory of a huge frame that is never written is never taken
    row_of, cells = configuration.cells.get(key, (np.zeros(len(configuration.position), np.int64), _nobody()))
    if len(missing := centers[row_of[centers] == 0]):
        row_of[missing] = 1 + len(cells.volume) + np.arange(len(missing))
        found = _cells_of(configuration, missing, radii)
        cells = found if len(missing) == len(centers) and not len(cells.volume) else _join(cells, found)
        configuration.cells[key] = row_of, cells
    rows = row_of[centers] - 1
    return cells if np.array_equal(rows, np.arange(len(cells.volume))) else cells.take(rows)


def _cells_of(configuration: Configuration, centers: np.ndarray, radii: np.ndarray | str | None) -> Tessellation:
    """See `tessellate`."""
    species = len(configuration.names)
    kinds, radius = configuration.species, np.zeros(species)
    if isinstance(radii, str):
        radius = 0.5 * configuration.known_diameters()
        kinds = np.arange(len(radius), dtype=CODE)
    elif radii is not None:
        radius = np.asarray(radii, dtype=np.float64)
    spacing = configuration.spacing
    reach = REACH[configuration.dimension] * spacing
    rows, pieces = [np.empty(0, np.int64)], [_nobody()]
    waiting, before = np.arange(len(centers)), 0.0
    tolerances, room = list(TOLERANCES), FACES
    borders = configuration.borders
    sees_all = borders is not None and borders.nothing_beyond and not any(borders.periodic)
    while len(waiting):
        search = reach
        if sees_all and reach > FURTHEST * spacing:
            search = configuration.useful_radius
            reach = TIMES * search
        again, states = [], []
        for which, found in configuration.batches(centers[waiting], np.full((species, species), search), before):
            cells, status = _cut(configuration, found, kinds, radius, reach, spacing, tolerances[0], room)
            done = np.flatnonzero(status == polyhedra.DONE)
            rows.append(waiting[which[done]])
            pieces.append(cells)
            again.append(waiting[which[status != polyhedra.DONE]])
            states.append(status[status != polyhedra.DONE])
        waiting, state = np.concatenate(again), np.concatenate(states)
        before = lists_for(search, before)
        if len(unclosed := waiting[state == polyhedra.BROKEN]):
            tolerances.pop(0)
            if not tolerances:
                raise ConvergenceError(
                    f"{configuration.label}: rounding leaves the Voronoi cell of particle {centers[unclosed[0]]} open: "
                    "move the particles by 1e-6 of their distance"
                )
        if (state == polyhedra.FULL).any():
            room *= 2
        if (state == polyhedra.OPEN).any():
            reach *= ENLARGEMENT
    return _in_order(pieces, rows, centers)


def _cut(configuration, found, kinds, radii, reach, spacing, tolerance, room) -> tuple[Tessellation, np.ndarray]:
    """The cells of a batch that could be finished, and what became of each."""
    flat = configuration.dimension == 2
    n, pairs = len(found.centers), len(found.index)
    cells = polyhedra.Cells(
        slot=np.empty(pairs, np.int64), area=np.empty(pairs), edges=np.empty(pairs, np.int64),
        faces=np.empty(n, np.int64), volume=np.empty(n), furthest2=np.empty(n), status=np.empty(n, np.int64),
    )  # fmt: skip
    given = (
        found.offsets, found.vector, by_distance(found), kinds[found.index], kinds[found.centers], radii**2, reach,
        0.5 * spacing if flat else reach, tolerance * spacing, reach >= FAR * spacing,
    )  # fmt: skip
    corners = simple_cells.make_corners(int(found.counts.max(initial=0)))
    simple_cells.cut_simple_cells(*given, corners, cells)
    if (cells.status == polyhedra.UNDECIDED).any():
        polyhedra.cut_cells(*given, _polyhedron(room), cells)
    known = (
        None
        if configuration.borders is None
        else _close(configuration, found, radii[kinds[found.centers]], radii.max(), reach, spacing, cells)
    )
    done = np.flatnonzero(cells.status == polyhedra.DONE)
    offsets, faces = _room(cells.faces[done])
    polyhedra.copy_faces(
        found.offsets[done], cells.faces[done], cells.slot, found.index, found.vector, cells.area, cells.edges, offsets,
        *faces,
    )  # fmt: skip
    volume = cells.volume[done]
    if flat:
        index, vector, area, edges = faces
        volume, faces = volume / spacing, (index, vector, area / spacing, np.full(len(edges), 2))
    known = None if known is None else known[done]
    return _made(found.centers[done], offsets, faces, volume, known), cells.status


def _polyhedron(faces: int) -> polyhedra.Polyhedron:
    """Room for cells of up to so many faces."""
    state, free = np.empty((2, 4 * faces), np.int64)
    length, owner, bits = np.empty((3, faces), np.int64)
    return polyhedra.Polyhedron(
        np.empty((3, 4 * faces)), state, np.empty(4 * faces), free, np.empty((faces, 2 * faces), np.int64), length,
        owner, bits, np.empty((4, faces), np.int64),
    )  # fmt: skip


def _close(configuration, found, own, largest, reach, spacing, cells) -> np.ndarray:
    """Give up the cells that unknown particles may cut, and those that stay open; tells which are not given up."""
    furthest2 = cells.furthest2 - (
        0.25 * spacing**2 if configuration.dimension == 2 else 0.0
    )  # of corners in the plane
    furthest2 = np.maximum(furthest2, 0.0)
    needed = np.sqrt(furthest2) + np.sqrt(furthest2 + largest**2 - own**2)
    sure = FURTHEST * spacing if configuration.sight is None else configuration.sight[found.centers]
    lost = (cells.status == polyhedra.OPEN) & (reach >= sure)
    if configuration.sight is not None:
        lost |= (cells.status == polyhedra.DONE) & (cells.faces > 0) & (needed > sure)
    cells.status[lost], cells.faces[lost], cells.volume[lost] = polyhedra.DONE, 0, np.nan
    return ~lost


def _room(counts: np.ndarray) -> tuple[np.ndarray, Faces]:
    """Where the faces of cells begin that have so many of them, and room for all of these."""
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = offsets[-1]
    return offsets, (np.empty(total, np.int32), np.empty((4, total)), np.empty(total), np.empty(total, np.int64))


def _made(centers: np.ndarray, offsets: np.ndarray, faces: Faces, volume: np.ndarray, known: Any) -> Tessellation:
    index, vector, area, edges = faces
    return Tessellation(Neighbors(centers, offsets, index, vector, known=known), volume, area, edges)


def _nobody() -> Tessellation:
    nobody = np.zeros(0, np.int64)
    return _made(nobody, *_room(nobody), np.empty(0), None)


def _in_order(pieces: list[Tessellation], rows: list[np.ndarray], centers: np.ndarray) -> Tessellation:
    """Cells that were found in pieces, as one: cell k of a piece is that of ``centers[rows[k]]``."""
    counts, volume = np.zeros(len(centers), np.int64), np.empty(len(centers))
    known = None if all(piece.neighbors.known is None for piece in pieces) else np.ones(len(centers), bool)
    for piece, row in zip(pieces, rows, strict=True):
        counts[row], volume[row] = piece.neighbors.counts, piece.volume
        if known is not None and piece.neighbors.known is not None:
            known[row] = piece.neighbors.known
    offsets, room = _room(counts)
    for piece, row in zip(pieces, rows, strict=True):
        near = piece.neighbors
        polyhedra.copy_faces(near.offsets[:-1], near.counts, *piece._faces(), offsets[row], *room)
    return _made(centers, offsets, room, volume, known)


def _join(first: Tessellation, second: Tessellation) -> Tessellation:
    """Two tessellations as one, in their order."""
    centers = np.concatenate([first.neighbors.centers, second.neighbors.centers])
    rows = [np.arange(len(first.volume)), len(first.volume) + np.arange(len(second.volume))]
    return _in_order([first, second], rows, centers)
