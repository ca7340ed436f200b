"""Clusters of selected particles: connected components, their sizes, and whether they percolate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import PairValues, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.fields.values import particle_values
from glassdask.frames import map_frames
from glassdask.kernels import clusters as kernels
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration, require_diameters
from glassdask.neighborhood.nearest import Cutoff, Neighborhood, one_of_both
from glassdask.schema import species_names, validate
from glassdask.variables import annotated

COLUMNS = ("cluster", "cluster_size", "percolation")


def clusters(
    selection: xr.DataArray | xr.Dataset,
    trajectory: xr.Dataset | None = None,
    *,
    cutoffs: Any = None,
    neighbors: Neighborhood | None = None,
) -> xr.Dataset:
    """Connected components of the selected particles of every frame, their sizes, and whether they percolate.

    Two selected particles are connected where one is a neighbour of the other.

    Parameters
    ----------
    selection : DataArray (frame, particle) or (particle,), in memory or lazy
        Whether a particle is selected: true, or a number other than 0 and NaN, such as the feature ``solid`` of
        `SolidLiquid`, ``features["lfs"] == 1`` or ``hops["hop"]``. Or a trajectory, of which all particles are.
    trajectory : xarray.Dataset, optional
        Trajectory with the same frames and particles; it is left out where `selection` is one.
    cutoffs : float or dict, optional
        Neighbours are closer than this distance, one for all or one for each pair of species, such as the
        `first_minima` of g_ab(r).
    neighbors : rule for neighbours, optional
        Instead, another rule, which chooses among all particles, selected or not.

    Returns
    -------
    xarray.Dataset
        Lazy, (frame, particle): ``cluster``, a number for each cluster of a frame, 0 for the largest; ``cluster_size``,
        how many particles it has; ``percolation``, in how many independent directions it meets its own periodic images:
        0 for a finite cluster, 3 (2 in the plane) for one that percolates in all. NaN where nothing is selected. The
        largest cluster of a frame has ``found["cluster_size"].max("particle")`` particles, and there are
        ``found["cluster"].max("particle") + 1`` of them. What is beyond an open border does not connect anything.

    Raises
    ------
    ParameterError, BoxError, SpeciesError, SchemaError
        When neighbours are not given in exactly one way, a cutoff exceeds half of the box or lacks a pair, or frames or
        particles differ.

    Examples
    --------
    A column that goes through the box, a pair, and a particle alone:

    >>> import glassdask as gd
    >>> places = [[1, 0, 1], [1, 1, 1], [1, 2, 1], [1, 3, 1], [3, 0, 3], [3, 1, 3], [1, 1, 3]]
    >>> found = gd.clusters(gd.from_arrays([places], species=["A"] * 7, box=[4.0] * 3), cutoffs=1.2)
    >>> found["cluster"].values[0].tolist(), found["percolation"].values[0].tolist()
    ([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    """
    chosen: tuple[xr.DataArray, ...] = ()
    if trajectory is None:
        if not isinstance(selection, xr.Dataset):
            raise ParameterError(
                "clusters of a selection need the trajectory that it is of: clusters(selection, trajectory, ...)"
            )
        trajectory = selection
        validate(trajectory)
    else:
        values, rest = particle_values(selection, trajectory)
        if rest:
            raise SchemaError(f"the selection has also the dimensions {', '.join(rest)}: select one of their entries")
        chosen = (values,)
    cutoffs = converted(cutoffs, PairValues | None, "clusters.cutoffs")
    rule = converted(neighbors, Neighborhood | None, "clusters.neighbors")
    one_of_both(cutoffs, rule, "clusters")
    rule = Cutoff(cutoffs) if rule is None else rule
    check_radius(trajectory, rule.reach(species_names(trajectory)))
    if rule.needs_diameters:
        require_diameters(trajectory, "clusters")
    dims = {"particle": trajectory.sizes["particle"], "column": len(COLUMNS)}
    found = map_frames(partial(_clusters, rule=rule), trajectory, *chosen, dims=dims, microseconds=1.0)
    return annotated(xr.Dataset({name: found.isel(column=k) for k, name in enumerate(COLUMNS)}))


def _clusters(configuration: Configuration, selected: np.ndarray | None = None, *, rule: Neighborhood) -> np.ndarray:
    """Number, size and percolation of the cluster of each particle, (N, 3)."""
    n = len(configuration.position)
    wanted = np.ones(n, bool) if selected is None else ~np.isnan(selected) & (selected != 0)
    centers = np.flatnonzero(wanted)
    if not len(centers):
        return np.full((n, len(COLUMNS)), np.nan)
    parent, shift, rank = np.arange(n), np.zeros((n, 3), np.int64), np.zeros(n, np.int64)
    joined = parent, shift, np.empty((n, 2, 3), np.int64), rank
    radius = rule.reach(configuration.names)
    if isinstance(rule, Cutoff) and configuration.repeated(radius) is configuration:
        grid = configuration.grid(radius)
        squares, near = grid.room()
        cutoff2 = rule.matrix(configuration.names) ** 2
        kernels.unite_within(grid.lists, cutoff2, cutoff2.max(), wanted, squares, near, *joined)
    else:
        for _, found in rule.batches(configuration, centers):
            image = np.empty((len(found.index), 3), np.int64)
            kernels.images(
                found.offsets, found.index, found.vector, found.centers, configuration.position, configuration.inverse,
                image,
            )  # fmt: skip
            kernels.unite(found.offsets, found.index, image, found.centers, wanted, *joined)
    kernels.finish(parent, shift)
    size = np.bincount(parent[centers], minlength=n)
    # by size, of equal ones that of the first particle first
    roots = np.flatnonzero(size)
    number = np.empty(n)
    number[roots[np.argsort(-size[roots], kind="stable")]] = np.arange(len(roots))
    out = np.empty((n, len(COLUMNS)))
    for column, of_root in enumerate((number, size, rank)):
        out[:, column] = of_root[parent]
    out[~wanted] = np.nan
    return out
