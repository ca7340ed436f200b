"""One configuration, ready for neighbour searches."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.kernels import cells
from glassdask.kernels.simd import LANES
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.boxes import MOST_NEIGHBORS, ROUNDING, ball, reduced, refuse_radius, refuse_reach
from glassdask.neighborhood.scratch import Scratch
from glassdask.schema import CODE
from glassdask.wrapping import wrap

# Pairs held at once: small enough to stay in a core's cache between the search and the descriptors that read it.
BATCH_PAIRS = 1 << 15
# A search may go so many cells far, which it reads one by one, before it gets cell lists of its own.
MOST_CELLS = 2
# By this part of their extent along an open axis the cells end beyond the last particle.
FACE = 1e-9
NO_DIAMETERS = "the particles have no diameters of their own: give them, from_arrays(diameter=...)"


def require_diameters(trajectory: xr.Dataset, label: str) -> None:
    """`ParameterError` where the particles of a trajectory have no diameters, before any work is begun."""
    if "diameter" not in trajectory:
        raise ParameterError(f"{label}: {NO_DIAMETERS}")


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of some centres, as one list cut at `offsets`.

    Attributes
    ----------
    centers : array (C,)
        Indices of the central particles.
    offsets : array (C + 1,)
        The neighbours of centre c are the entries ``offsets[c]:offsets[c + 1]``.
    index : array (P,)
        Index of each neighbour.
    vector : array (4, P)
        Components x, y, z of r_j - r_i and the distance r_ij.
    weight : array (P,), optional
        How much each neighbour counts, where the rule weighs them: they then add up to 1 for each centre.
    known : array (C,), optional
        Whether these are all neighbours of a centre, where open borders may hide some; None where they are.
    """

    centers: np.ndarray
    offsets: np.ndarray
    index: np.ndarray
    vector: np.ndarray
    weight: np.ndarray | None = None
    known: np.ndarray | None = None

    @property
    def distance(self) -> np.ndarray:
        """Distances r_ij, shape (P,)."""
        return self.vector[3]

    @property
    def counts(self) -> np.ndarray:
        """Number of neighbours of each centre, shape (C,)."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> Neighbors:
        """Those of ``centers[rows]``."""
        offsets, entries = self.entries(rows)
        weight = None if self.weight is None else self.weight[entries]
        known = None if self.known is None else self.known[rows]
        return Neighbors(self.centers[rows], offsets, self.index[entries], self.vector[:, entries], weight, known)

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and entries of the neighbours of ``centers[rows]``."""
        counts = self.counts[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return offsets, np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)


def lists_for(radius: float, before: float) -> float:
    """The radius of the cell lists for a search to `radius` after one to `before`, see `Configuration.batches`."""
    return before if before < radius <= MOST_CELLS * before else radius


class Configuration:
    """Positions, species and box of one frame, with the cell lists built on demand.

    Parameters
    ----------
    position : array (N, d)
        Positions, d = 2 or 3; those outside the box are wrapped along the axes that repeat.
    species : array (N,)
        Species codes 0..S-1.
    box : array (d, d)
        Cell matrix, rows are the cell vectors.
    names : object
        Species names in the order of the codes.
    label : object, default "configuration"
        How errors call this configuration, e.g. ``"frame 3"``.
    scratch : object, optional
        Memory that the frames of a task use one after the other; by default this one has its own.
    diameter : array (N,), optional
        Sizes of the particles, where they are known.
    borders : Borders, optional
        The open ones; None where the box repeats along all axes.

    Examples
    --------
    >>> square = np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 0.5], [2.5, 1.5],
    ...                    [0.5, 2.5], [1.5, 2.5], [2.5, 2.5]])
    >>> configuration = Configuration(square, np.zeros(9, int), np.eye(2) * 3.0, ("A",))
    >>> configuration.neighbors(np.arange(9), np.array([[1.1]])).counts.tolist()
    [4, 4, 4, 4, 4, 4, 4, 4, 4]
    """

    def __init__(
        self, position, species, box, names, label="configuration", scratch=None, diameter=None,
        borders: Borders | None = None,
    ):  # fmt: skip
        self.borders = borders
        self.dimension = position.shape[1]
        self.names = tuple(names)
        self.label = label
        self.scratch = Scratch() if scratch is None else scratch
        self.species = np.ascontiguousarray(species, dtype=CODE)
        self.diameter = None if diameter is None else np.ascontiguousarray(diameter, dtype=np.float64)
        if self.dimension == 3:
            self.position = np.ascontiguousarray(position, dtype=np.float64)
            self.box = np.ascontiguousarray(box, dtype=np.float64)
        else:
            self.position = np.zeros((len(position), 3))
            self.position[:, :2] = position
            self.box = np.zeros((3, 3))
            self.box[:2, :2] = box
            # high enough that no image above or below is ever within reach of a cutoff that fits in the plane
            self.box[2, 2] = 2.0 * np.abs(box).sum()
        self.inverse = np.linalg.inv(self.box)
        if cells.any_outside(self.position, self.inverse, ROUNDING):
            periodic = None if borders is None else ~borders.open
            self.position = wrap(self.position[None], self.box[None], label, periodic=periodic)[0][0]
        self.cells: dict[Any, Any] = {}  # Voronoi cells that were cut, by their radii
        self._grids: dict[float, _Grid] = {}
        self._building: AbstractContextManager[Any] = nullcontext()
        self._repeated: dict[tuple[int, ...], Configuration] = {}

    def share(self) -> None:
        """Get ready for tasks that use this at the same time, each a copy that it has `borrowed`."""
        self._building = threading.Lock()

    def borrowed(self) -> Configuration:
        """This for one of several tasks: the cell lists are common, whoever makes them first, scratch memory is not."""
        other = copy.copy(self)
        other.scratch, other.cells, other._repeated = Scratch(), {}, {}
        return other

    def short_way(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """From places (..., d) to others, the short way around the box along the axes that repeat."""
        d = self.dimension
        fraction = (second - first) @ self.inverse[:d, :d]
        image = np.round(fraction)
        if self.borders is not None:
            image[..., self.borders.open[:d]] = 0.0
        way: np.ndarray = (fraction - image) @ self.box[:d, :d]
        return way

    @cached_property
    def widths(self) -> np.ndarray:
        """Distances between opposite faces of the box, shape (dimension,)."""
        return 1.0 / np.linalg.norm(self.inverse, axis=0)[: self.dimension]

    @cached_property
    def density(self) -> float:
        """Particles per unit volume (area in two dimensions)."""
        return len(self.position) / abs(np.linalg.det(self.box[: self.dimension, : self.dimension]))

    @cached_property
    def spacing(self) -> float:
        """Edge of the cube (square) that a particle has on average, of the part of the box in which particles are."""
        mean = float(self.density ** (-1.0 / self.dimension))
        if self.borders is None:
            return mean
        # without the few that may have gone far; a layer is as thick as its particles are apart
        low, high = np.quantile(self.position @ self.inverse, [0.01, 0.99], axis=0)
        part = np.where(self.borders.open, (high - low) / 0.98, 1.0)[: self.dimension] * self.widths
        cell = self.density**-1.0 * len(self.position) / np.prod(self.widths)  # of a box that is skewed
        for _ in range(60):
            mean = float((cell * np.maximum(part, mean).prod() / len(self.position)) ** (1.0 / self.dimension))
        return mean

    @cached_property
    def _occupied(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the particles begin along each axis and how far they extend, as fractions; along open axes only."""
        assert self.borders is not None
        fraction = self.position @ self.inverse
        low = np.where(self.borders.open, fraction.min(axis=0), 0.0)
        return low, np.where(self.borders.open, fraction.max(axis=0) - low, 1.0)

    @property
    def largest_radius(self) -> float:
        """Radius of the largest sphere that sees no particle twice, infinite where no axis repeats."""
        periodic = slice(None) if self.borders is None else list(self.borders.periodic)
        return 0.5 * float(self.widths[periodic].min(initial=np.inf))

    @property
    def useful_radius(self) -> float:
        """A radius within which everybody sees everybody, infinite where images follow without end."""
        if np.isfinite(self.largest_radius):
            return np.inf
        diagonal = np.abs(self._occupied[1][:, None] * self.box).sum()
        return float(max(2.0 * diagonal, self.spacing))

    def repeated(self, radius: float) -> Configuration:
        """This, or its images side by side in a box that is wide enough for a search to `radius`.

        Image m of particle i has the number m N + i, where m = 0 is the particle itself.
        """
        if radius <= self.largest_radius * (1 + ROUNDING):
            return self
        d, box = self.dimension, self.box[: self.dimension, : self.dimension]
        many = self.density * ball(radius, d)
        if many > MOST_NEIGHBORS:
            refuse_reach(self.label, radius, self.largest_radius, many)
        if self.borders is None:
            box = reduced(box)
        widths = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
        times = np.ceil(2.0 * radius / widths * (1 - ROUNDING)).astype(int)
        if self.borders is not None:
            times[~np.array(self.borders.periodic)] = 1
        key = tuple(np.maximum(times, 1).tolist())
        if key not in self._repeated:
            shifts = np.array(list(np.ndindex(key))) @ box
            position = (shifts[:, None] + self.position[None, :, :d]).reshape(-1, d)
            diameter = None if self.diameter is None else np.tile(self.diameter, len(shifts))
            self._repeated[key] = Configuration(
                position, np.tile(self.species, len(shifts)), box * np.array(key)[:, None], self.names, self.label,
                self.scratch, diameter, self.borders,
            )  # fmt: skip
        return self._repeated[key]

    @cached_property
    def face_distance(self) -> np.ndarray | None:
        """Distance of each particle from the nearest open face, negative outside, (N,); None where none is open."""
        if self.borders is None:
            return None
        fraction = (self.position @ self.inverse)[:, self.borders.open]
        return (np.minimum(fraction, 1.0 - fraction) * self.widths[self.borders.open[: self.dimension]]).min(axis=1)

    @property
    def sight(self) -> np.ndarray | None:
        """Distance from each particle up to which all others are known, (N,); None where that is without limit."""
        return None if self.borders is None or self.borders.nothing_beyond else self.face_distance

    def sees(self, centers: np.ndarray, cutoffs: np.ndarray) -> np.ndarray | None:
        """Whether all neighbours of the `centers` within `cutoffs` (S, S) are known, (C,); None where they all are."""
        if self.sight is None:
            return None
        return cutoffs.max(axis=1)[self.species[centers]] <= self.sight[centers]

    def known_diameters(self) -> np.ndarray:
        """The diameter of every particle, (N,), or `ParameterError` where there are none."""
        if self.diameter is None:
            raise ParameterError(f"{self.label}: {NO_DIAMETERS}")
        return self.diameter

    def check_radius(self, radius: float) -> None:
        """Raise `BoxError` when a sphere of this radius would see a particle twice."""
        half = self.largest_radius
        if radius > half * (1 + ROUNDING):
            refuse_radius(self.label, radius, half, half)

    def grid(self, radius: float) -> _Grid:
        """Cell lists for searches up to `radius`; kept for the next search."""
        with self._building:
            if radius not in self._grids:
                self.check_radius(radius)
                self._grids[radius] = _Grid(self, radius)
            return self._grids[radius]

    def batches(
        self, centers: np.ndarray, cutoffs: np.ndarray, before: float = 0.0
    ) -> Iterator[tuple[np.ndarray, Neighbors]]:
        """Neighbours of `centers` within `cutoffs` (S, S), a cache-sized batch at a time.

        Further than half of the narrowest box width a particle may be there more than once, each time by another
        vector, and a centre see its own images. The centres come in the order of their cells. Yields (rows, neighbors)
        with ``neighbors.centers == centers[rows]``. The arrays are reused by the next batch, and by the next search
        after the last batch: copy what is to be kept.

        `before` is the radius of a search that did not suffice for some of its centres, which these are: where its
        cell lists are fine enough they serve again, since lists of a whole frame for a few centres cost too much.
        """
        radius = float(np.max(cutoffs))
        wide = self.repeated(radius)
        if wide is not self:
            for rows, found in wide.batches(centers, cutoffs, before):
                yield rows, replace(found, index=found.index % len(self.position))
            return
        width = lists_for(radius, before)
        grid, further = self.grid(width), width < radius
        rows = grid.order(centers)
        cutoff2 = np.ascontiguousarray(np.square(cutoffs, dtype=np.float64))
        sorted_centers = np.ascontiguousarray(centers[rows], dtype=np.int64)
        known = self.sees(sorted_centers, cutoffs)
        offsets = np.empty(len(rows) + 1, np.int64)
        neighbor, vector = room = self._room((126 if further else 28) * grid.longest_run)
        done = 0
        find = partial(cells.find_further, *grid.around(radius)) if further else cells.find_neighbors
        try:
            while done < len(rows):
                n = find(
                    sorted_centers[done:], self.position, self.species, grid.lists, cutoff2, offsets, neighbor, vector,
                )  # fmt: skip
                total = offsets[n]
                found = Neighbors(
                    sorted_centers[done : done + n], offsets[: n + 1], neighbor[:total], vector[:, :total],
                    known=None if known is None else known[done : done + n],
                )  # fmt: skip
                yield rows[done : done + n], found
                done += n
        finally:
            if len(neighbor) == BATCH_PAIRS:
                self.scratch.pairs = room

    def neighbors(self, centers: np.ndarray, cutoffs: np.ndarray) -> Neighbors:
        """All neighbours of `centers` within `cutoffs` (S, S) at once, in the order of `centers`.

        Its size grows with the number of pairs; kernels that can work in `batches` should.
        """
        return gather(self.batches(centers, cutoffs), centers)

    def _room(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Index and vector of at least `most` pairs: those of the last search, unless another search has them now."""
        capacity = max(BATCH_PAIRS, most)
        left, self.scratch.pairs = self.scratch.pairs, None
        if left is not None and len(left[0]) == capacity:
            return left
        return np.empty(capacity, np.int32), np.empty((4, capacity))


def gather(batches: Iterator[tuple[np.ndarray, Neighbors]], centers: np.ndarray) -> Neighbors:
    """All of the `batches` as one list in the order of `centers`."""
    pieces, known = [], None
    counts = np.zeros(len(centers), np.int64)
    for rows, batch in batches:
        weight = None if batch.weight is None else batch.weight.copy()
        pieces.append((rows, batch.counts, batch.index.copy(), batch.vector.copy(), weight))
        counts[rows] = batch.counts
        if batch.known is not None:
            known = np.ones(len(centers), bool) if known is None else known
            known[rows] = batch.known
    offsets = np.concatenate([[0], np.cumsum(counts)])
    index = np.empty(offsets[-1], np.int32)
    vector = np.empty((4, offsets[-1]))
    weight = np.empty(offsets[-1]) if pieces and pieces[0][-1] is not None else None
    for rows, number, piece_index, piece_vector, piece_weight in pieces:
        begin = np.concatenate([[0], np.cumsum(number)])[:-1]
        target = np.arange(len(piece_index)) + np.repeat(offsets[rows] - begin, number)
        index[target] = piece_index
        vector[:, target] = piece_vector
        if weight is not None:
            weight[target] = piece_weight
    return Neighbors(np.asarray(centers), offsets, index, vector, weight, known)


class _Grid:
    """Particles and their periodic images sorted by cells at least one cutoff wide."""

    def __init__(self, configuration: Configuration, radius: float):
        position, box, inverse = configuration.position, configuration.box, configuration.inverse
        n, d = len(position), configuration.dimension
        # not many more cells than particles: a dilute system gains nothing from empty ones
        width = max(radius, 0.125 ** (1.0 / d) * configuration.spacing)
        n_cells, widths, origin = np.full(3, 2), configuration.widths, np.zeros(3)
        if configuration.borders is not None:
            low, extent = configuration._occupied
            extent = np.append(np.maximum(extent[:d] * (1 + FACE), width / widths), extent[d:])
            widths, origin = widths * extent[:d], low @ box
        # in two dimensions: one layer that does not meet its own images
        n_cells[:d] = np.minimum(np.maximum(np.floor(widths / width), 1), max(n, 1))
        if configuration.borders is not None:
            # one that has gone far is no reason for many cells between it and the others
            axis = int(np.argmax(n_cells))
            n_cells[axis] = min(n_cells[axis], max(1, 8 * n * n_cells[axis] // int(np.prod(n_cells, dtype=float))))
        if configuration.borders is not None:
            # the same along open axes: the particles fill all cells but the last
            is_open = configuration.borders.open
            stretch = np.where(is_open, extent * (n_cells + 1) / n_cells, 1.0)
            box, inverse, n_cells = box * stretch[:, None], inverse / stretch, n_cells + is_open
        cell = np.empty(n, np.int64)
        counts = np.zeros(int(np.prod(n_cells + 2)), np.int64)
        total = cells.count_particles(position - origin if origin.any() else position, inverse, n_cells, cell, counts)
        starts = np.concatenate([[0], np.cumsum(counts)])
        self.lists = cells.CellLists(
            cell, n_cells, starts, np.zeros((3, total + LANES)), np.empty(total, np.int32), np.empty(total, CODE)
        )
        cells.sort_particles(position, configuration.species, box, self.lists)
        self.longest_run = int((starts[3:] - starts[:-3]).max())
        self._box, self._origin, self._per_cell = box, origin, inverse * n_cells
        self._repeats = np.ones(3, bool) if configuration.borders is None else ~configuration.borders.open
        self._cells_per_length = np.linalg.norm(self._per_cell, axis=0)
        self._cells_per_length[d:] = 0.0

    def around(self, radius: float) -> tuple[np.ndarray, ...]:
        """What `find_further` needs for a search to `radius`: box, axes that repeat, origin, inverse and reach."""
        # particles on a face may be in the cell beside that in which they are by a hair
        reach = radius * self._cells_per_length + 4.0 * ROUNDING * self.lists.n_cells
        return self._box, self._repeats, self._origin, self._per_cell, reach

    def room(self) -> tuple[np.ndarray, np.ndarray]:
        """Work space for the squared distances of a run of slots, and for the places in it that are near."""
        return np.empty((1, self.longest_run + LANES)), np.empty(self.longest_run + LANES, np.int32)

    def order(self, centers: np.ndarray) -> np.ndarray:
        """Rows of `centers` in the order of their cells, in which one finds in the cache what the last one has read."""
        return np.argsort(self.lists.cell[centers], kind="stable")
