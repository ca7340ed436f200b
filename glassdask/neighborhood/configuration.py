"""One configuration, ready for neighbour searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glassdask.kernels import cells
from glassdask.neighborhood.boxes import ROUNDING, refuse_radius
from glassdask.neighborhood.scratch import Scratch
from glassdask.schema import CODE
from glassdask.wrapping import wrap

# Pairs held at once: small enough to stay in a core's cache between the search and the descriptors that read it.
BATCH_PAIRS = 1 << 15


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of some centres, as one list cut at `offsets`.

    Attributes
    ----------
    centers : (C,) indices of the central particles
    offsets : (C + 1,) the neighbours of centre c are the entries ``offsets[c]:offsets[c + 1]``
    index : (P,) index of each neighbour
    vector : (4, P) components x, y, z of r_j - r_i and the distance r_ij
    weight : (P,) how much each neighbour counts, where the rule weighs them: they then add up to 1 for each centre
    """

    centers: np.ndarray
    offsets: np.ndarray
    index: np.ndarray
    vector: np.ndarray
    weight: np.ndarray | None = None

    @property
    def distance(self) -> np.ndarray:
        """Distances r_ij, shape (P,)."""
        return self.vector[3]

    @property
    def counts(self) -> np.ndarray:
        """Number of neighbours of each centre, shape (C,)."""
        return np.diff(self.offsets)


class Configuration:
    """Positions, species and box of one frame, with the cell lists built on demand.

    Parameters
    ----------
    position : (N, d) positions, d = 2 or 3; those outside the box are wrapped
    species : (N,) species codes 0..S-1
    box : (d, d) cell matrix, rows are the cell vectors
    names : species names in the order of the codes
    label : how errors call this configuration, e.g. ``"frame 3"``
    scratch : memory that the frames of a task use one after the other; by default this one has its own
    diameter : (N,) sizes of the particles, where they are known

    Examples
    --------
    >>> square = np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 0.5], [2.5, 1.5],
    ...                    [0.5, 2.5], [1.5, 2.5], [2.5, 2.5]])
    >>> configuration = Configuration(square, np.zeros(9, int), np.eye(2) * 3.0, ("A",))
    >>> configuration.neighbors(np.arange(9), np.array([[1.1]])).counts.tolist()
    [4, 4, 4, 4, 4, 4, 4, 4, 4]
    """

    def __init__(self, position, species, box, names, label="configuration", scratch=None, diameter=None):
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
            self.position = wrap(self.position[None], self.box[None], label)[0][0]
        self._grids: dict[float, _Grid] = {}

    @property
    def widths(self) -> np.ndarray:
        """Distances between opposite faces of the box, shape (dimension,)."""
        return 1.0 / np.linalg.norm(self.inverse, axis=0)[: self.dimension]

    @property
    def density(self) -> float:
        """Particles per unit volume (area in two dimensions)."""
        return len(self.position) / abs(np.linalg.det(self.box[: self.dimension, : self.dimension]))

    def check_radius(self, radius: float) -> None:
        """Raise `BoxError` when a sphere of this radius would see a particle twice."""
        half = 0.5 * float(self.widths.min())
        if radius > half * (1 + ROUNDING):
            refuse_radius(self.label, radius, half, half)

    def grid(self, radius: float) -> _Grid:
        """Cell lists for searches up to `radius`; kept for the next search."""
        if radius not in self._grids:
            self.check_radius(radius)
            self._grids[radius] = _Grid(self, radius)
        return self._grids[radius]

    def batches(self, centers: np.ndarray, cutoffs: np.ndarray) -> Iterator[tuple[np.ndarray, Neighbors]]:
        """Neighbours of `centers` within `cutoffs` (S, S), a cache-sized batch at a time.

        The centres come in the order of their cells. Yields (rows, neighbors) with
        ``neighbors.centers == centers[rows]``. The arrays are reused by the next batch, and by the next search after
        the last batch: copy what is to be kept.
        """
        radius = float(np.max(cutoffs))
        grid = self.grid(radius)
        rows = grid.order(centers)
        cutoff2 = np.ascontiguousarray(np.square(cutoffs, dtype=np.float64))
        sorted_centers = np.ascontiguousarray(centers[rows], dtype=np.int64)
        offsets = np.empty(len(rows) + 1, np.int64)
        neighbor, vector = room = self._room(28 * grid.longest_run)
        done = 0
        try:
            while done < len(rows):
                n = cells.find_neighbors(
                    sorted_centers[done:], self.position, self.species, grid.lists, cutoff2, grid.scratch, offsets,
                    neighbor, vector,
                )  # fmt: skip
                total = offsets[n]
                found = Neighbors(
                    sorted_centers[done : done + n], offsets[: n + 1], neighbor[:total], vector[:, :total]
                )
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
    pieces = []
    counts = np.zeros(len(centers), np.int64)
    for rows, batch in batches:
        weight = None if batch.weight is None else batch.weight.copy()
        pieces.append((rows, batch.counts, batch.index.copy(), batch.vector.copy(), weight))
        counts[rows] = batch.counts
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
    return Neighbors(np.asarray(centers), offsets, index, vector, weight)


class _Grid:
    """Particles and their periodic images sorted by cells at least one cutoff wide."""

    def __init__(self, configuration: Configuration, radius: float):
        position, box = configuration.position, configuration.box
        n = len(position)
        # not many more cells than particles: a dilute system gains nothing from empty ones
        width = max(radius, (0.125 / configuration.density) ** (1.0 / configuration.dimension))
        n_cells = np.full(3, 2)  # in two dimensions: one layer that does not meet its own images
        n_cells[: configuration.dimension] = np.maximum(1.0, np.floor(configuration.widths / width))
        cell = np.empty(n, np.int64)
        counts = np.zeros(int(np.prod(n_cells + 2)), np.int64)
        total = cells.count_particles(position, configuration.inverse, n_cells, cell, counts)
        starts = np.concatenate([[0], np.cumsum(counts)])
        self.lists = cells.CellLists(
            cell, n_cells, starts, np.empty((3, total)), np.empty(total, np.int32), np.empty(total, CODE)
        )
        cells.sort_particles(position, configuration.species, box, self.lists)
        self.longest_run = int((starts[3:] - starts[:-3]).max())
        self.scratch = np.empty(self.longest_run)

    def order(self, centers: np.ndarray) -> np.ndarray:
        """Rows of `centers` in the order of their cells, in which one finds in the cache what the last one has read."""
        return np.argsort(self.lists.cell[centers], kind="stable")
