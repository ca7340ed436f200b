"""Who is whose neighbour, as lists that one can look at and hand on: to SciPy, to freud, to code of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import xarray as xr

from glassdask.errors import needed
from glassdask.frames import one_by_one
from glassdask.neighborhood.boxes import check_reach
from glassdask.neighborhood.configuration import Configuration, require_diameters
from glassdask.neighborhood.cutoffs import Cutoffs, chosen_species
from glassdask.neighborhood.nearest import Cutoff, Neighborhood
from glassdask.neighborhood.voronoi import Voronoi
from glassdask.schema import species_names, validate


@dataclass(frozen=True)
class NeighborList:
    """Neighbours of the particles of one frame, one entry a pair, sorted by centre.

    Attributes
    ----------
    center, neighbor : array (pair,)
        Numbers of the particles, as in the trajectory. Rules such as SANN are not symmetric: the list has j as a
        neighbour of i where the rule says so, and not the other way round unless it says that, too.
    vector : array (pair, space)
        From the centre to the neighbour, r_j - r_i, the image that was found.
    distance : array (pair,)
        Length of the vector.
    weight : array (pair,)
        How much a neighbour counts: 1, or its share of the cell's surface with ``Voronoi(weighted=True)``.
    n_particles : int
        Of the frame.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[0.5, 1.0], [1.5, 1.0], [3.0, 1.0]]], species=["A"] * 3, box=[4.0, 4.0])
    >>> found = gd.neighbors(row, gd.KNearest(1))[0]
    >>> found.center.tolist(), found.neighbor.tolist(), found.vector[2].tolist()
    ([0, 1, 2], [1, 0, 0], [1.5, 0.0])
    >>> found.counts.tolist(), found.matrix().nnz
    ([1, 1, 1], 3)
    """

    center: np.ndarray
    neighbor: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    weight: np.ndarray
    n_particles: int

    @property
    def counts(self) -> np.ndarray:
        """Number of neighbours of each particle, (particle,)."""
        return np.bincount(self.center, minlength=self.n_particles)

    def matrix(self) -> Any:
        """The weights as a sparse matrix (particle, particle) of SciPy, centres as rows.

        In a small box, where several images of a particle are neighbours, their weights are added.
        """
        from scipy.sparse import coo_array

        shape = (self.n_particles, self.n_particles)
        return coo_array((self.weight, (self.center, self.neighbor)), shape=shape).tocsr()

    def to_freud(self) -> Any:
        """The same as freud's NeighborList, which all of its analyses take (``neighbors=...``).

        Raises
        ------
        MissingPackageError
            When freud is not installed.
        """
        needed("freud", "freud-analysis")
        import freud

        flat = np.zeros((len(self.vector), 3), np.float32)
        flat[:, : self.vector.shape[1]] = self.vector
        n = self.n_particles
        return freud.locality.NeighborList.from_arrays(n, n, self.center, self.neighbor, flat, self.weight)

    @classmethod
    def from_freud(cls, found: Any, space: int = 3) -> NeighborList:
        """From freud's NeighborList, whose numbers are of single precision.

        Parameters
        ----------
        found : freud.locality.NeighborList
            Of one frame.
        space : int, default 3
            Dimension of the vectors.
        """
        pairs = np.asarray(found)
        vector = np.asarray(found.vectors, dtype=np.float64)[:, :space]
        distance, weight = (np.asarray(values, dtype=np.float64) for values in (found.distances, found.weights))
        return cls(pairs[:, 0].copy(), pairs[:, 1].copy(), vector, distance, weight, int(found.num_query_points))


@dataclass(frozen=True)
class NeighborLists(Sequence[NeighborList]):
    """The list of each frame, found when it is asked for; slices are lazy, too."""

    read: Callable[[int], tuple[Configuration, np.ndarray | None]]
    rule: Neighborhood
    is_center: np.ndarray
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> NeighborList: ...
    @overload
    def __getitem__(self, index: slice) -> NeighborLists: ...
    def __getitem__(self, index: int | slice) -> NeighborList | NeighborLists:
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        configuration, present = self.read(self.numbers[index])
        centers = np.flatnonzero(self.is_center[configuration.species])
        found = self.rule.find(configuration, centers)
        center, neighbor = np.repeat(found.centers, found.counts), found.index.astype(np.int64)
        n_particles = len(configuration.position)
        if present is not None:
            numbers = np.flatnonzero(present)
            center, neighbor, n_particles = numbers[center], numbers[neighbor], len(present)
        weight = np.ones(len(center)) if found.weight is None else found.weight
        vector = np.ascontiguousarray(found.vector[: configuration.dimension].T)
        return NeighborList(center, neighbor, vector, found.distance, weight, n_particles)

    def __repr__(self) -> str:
        return f"<neighbours of {len(self)} frames by {self.rule}, each found when it is asked for>"


def neighbors(
    trajectory: xr.Dataset,
    rule: Neighborhood | Cutoffs | None = None,
    *,
    centers: str | Sequence[str] | None = None,
) -> NeighborLists:
    """Neighbour lists of the frames of a trajectory, by any rule.

    What descriptors use inside; for analyses of your own, and for other programs. To compute something of the
    neighbours for many frames on a cluster, `map_frames` finds them in its tasks.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy: a frame is read when its list is asked for.
    rule : Neighborhood, number or dict of pairs of species, optional
        `KNearest`, `SANN`, `Voronoi`, `Cutoff`, `ScaledCutoff`, or cutoffs; by default the faces of Voronoi cells.
        Cutoffs may be longer than half of the box: then images count, each with its own vector.
    centers : str or sequence of str, optional
        Species whose neighbours are listed, by default all.

    Returns
    -------
    sequence of NeighborList
        One for each frame. Particles near an open face, whose neighbours are not all known, have those that are found;
        absent particles have none.

    Raises
    ------
    ParameterError, SpeciesError
        When the rule does not fit the species, or `centers` are not there.
    BoxError
        When a cutoff holds more than 100000 images.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> lists = neighbors(crystal, 1.2)
    >>> len(lists), lists[0].counts[:4].tolist(), float(lists[0].distance.max())
    (1, [6, 6, 6, 6], 1.0)
    """
    validate(trajectory)
    names = species_names(trajectory)
    rule = Voronoi() if rule is None else rule
    found = rule if isinstance(rule, Neighborhood) else Cutoff(rule)
    if found.needs_diameters:
        require_diameters(trajectory, str(found))
    check_reach(trajectory, found.reach(names))
    wanted = chosen_species(names, centers)
    return NeighborLists(one_by_one(trajectory), found, np.isin(names, wanted), range(trajectory.sizes["frame"]))
