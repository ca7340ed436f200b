"""Descriptors of whole trajectories: lazy, many at a time, a task for each (frames, block of central particles)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.descriptors.base import Descriptor, Plan
from glassdask.errors import ParameterError, SpeciesError
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.scratch import Scratch
from glassdask.schema import check_positions, names_and_codes, validate
from glassdask.store import identity, in_frames, task_rows, task_shape

# One task writes at most this much and runs for about a second.
BLOCK_BYTES = 48 << 20
BLOCK_ROWS = 1 << 17
BLOCK_MICROSECONDS = 1e6
# Frames up to this size are not cut: cell lists, tessellations and the coefficients of neighbours are made once.
WHOLE_FRAME = 1 << 15


def describe(
    trajectory: xr.Dataset,
    descriptors: Iterable[Descriptor] | Mapping[str, Descriptor],
    *,
    centers: str | Iterable[str] | None = None,
    block: int | None = None,
) -> xr.Dataset:
    """Descriptors of every particle of every frame, in one pass over the same neighbours.

    Nothing is computed before the result is stored, plotted or fitted. Neighbours are searched once, for the largest
    cutoff, a cache-sized batch of centres at a time.

    Parameters
    ----------
    trajectory : Dataset of the schema, in memory or lazy
    descriptors : a list, or a mapping from the variable's name where the same class is wanted twice
    centers : species of the central particles; None is all
    block : most central particles to a task; by default as many as make a task of about a second and at most 48 MiB

    Returns
    -------
    xarray.Dataset
        One lazy variable (frame, particle, features...) for each descriptor, with the coordinate ``species``
        (particle) and the attributes ``centers`` and ``parameters``, and ``input`` and ``graph``, by which
        `save_descriptors` knows what it was computed from. Rows of other particles are NaN. Two
        descriptors whose feature dimensions have the same name but not the same values get ``dim_name`` for the later.

    Raises
    ------
    SpeciesError, ParameterError, BoxError
        Before any work, where it can be known; otherwise when the block with the offending frame is computed.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> features = gd.describe(crystal, [gd.BondOrder(cutoffs=1.2), gd.LechnerDellago(cutoffs=1.2)])
    >>> features["bo"].dims, features["ld"].shape
    (('frame', 'particle', 'l'), (1, 27, 8))
    """
    validate(trajectory)
    named = _named(descriptors)
    names, codes = names_and_codes(trajectory)
    dimension = trajectory.sizes["space"]
    plans = {name: descriptor.plan(names, dimension) for name, descriptor in named.items()}
    wanted = _center_species(names, centers)
    is_center = np.isin(names, wanted)[codes]
    reach = max((float(plan.cutoffs.max()) for plan in plans.values() if plan.cutoffs is not None), default=0.0)
    check_radius(trajectory, reach)
    sizes = [int(np.prod(plan.shape)) for plan in plans.values()]
    microseconds = sum(plan.microseconds for plan in plans.values())
    shape = _block_shape(trajectory.sizes["frame"], trajectory.sizes["particle"], sum(sizes), microseconds, block)
    packed = _packed(trajectory, tuple(named.values()), names, codes, is_center, sum(sizes), shape)

    described = identity(trajectory)

    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {"species": trajectory["species"].variable}
    if "time" in trajectory:
        coords["time"] = trajectory["time"].variable
    sizes_of: dict[str, int] = {}
    first = 0
    for (name, plan), size in zip(plans.items(), sizes):
        data = packed[:, :, first : first + size]
        first += size
        data = data.reshape(*data.shape[:2], *plan.shape) if plan.shape else data[:, :, 0]
        renamed = _free_dimensions(name, plan, coords, sizes_of)
        sizes_of.update({renamed[dim]: size for dim, size in zip(plan.dims, plan.shape)})
        for coordinate, (dim, values) in plan.coords.items():
            moved = coordinate if renamed[dim] == dim else f"{coordinate}_{name}"
            coords[moved] = (renamed[dim], values)
        parameters = json.dumps(named[name].parameters(), sort_keys=True)
        origin = {"input": described, "graph": data.name}
        attrs = {**plan.attrs, "centers": wanted, "parameters": parameters, **origin}
        variables[name] = (("frame", "particle", *(renamed[d] for d in plan.dims)), data, attrs)
    return xr.Dataset(variables, coords=coords, attrs=dict(trajectory.attrs))


def describe_block(
    frames: np.ndarray,
    particles: np.ndarray,
    position: np.ndarray,
    box: np.ndarray,
    codes: np.ndarray,
    is_center: np.ndarray,
    *,
    descriptors: tuple[Descriptor, ...],
    names: tuple[str, ...],
    n_features: int,
) -> np.ndarray:
    """All descriptors of some central particles in some frames, side by side: (frames, particles, n_features).

    `position` (frames, N, d) holds whole frames, because every particle may be a neighbour.
    """
    plans = [descriptor.plan(names, position.shape[-1]) for descriptor in descriptors]
    out = np.full((len(frames), len(particles), n_features), np.nan)
    rows = np.nonzero(is_center[particles])[0]
    if len(rows) == 0:
        return out
    centers = particles[rows]
    room = Scratch()
    for k, frame in enumerate(frames):
        check_positions(position[k : k + 1], first_frame=int(frame))
        configuration = Configuration(position[k], codes, box[k], names, label=f"frame {frame}")
        _describe_frame(configuration, centers, plans, out[k], rows, room)
    return out


def _describe_frame(
    configuration: Configuration,
    centers: np.ndarray,
    plans: list[Plan],
    out: np.ndarray,
    rows: np.ndarray,
    room: Scratch,
) -> None:
    first = 0
    shared: list[tuple[Plan, slice]] = []
    for plan in plans:
        columns = slice(first, first + int(np.prod(plan.shape)))
        first = columns.stop
        if plan.cutoffs is None:
            part = room(len(centers), *plan.shape)
            part[...] = np.nan
            plan.compute(configuration, centers, part)
            out[rows, columns] = part.reshape(len(centers), -1)
        else:
            shared.append((plan, columns))
    if not shared:
        return
    cutoffs = np.max([plan.cutoffs for plan, _ in shared if plan.cutoffs is not None], axis=0)
    for which, neighbors in configuration.batches(centers, cutoffs):
        for plan, columns in shared:
            part = room(len(which), *plan.shape)
            plan.compute(configuration, neighbors, part)
            out[rows[which], columns] = part.reshape(len(which), -1)


def _packed(trajectory, descriptors, names, codes, is_center, n_features, block_shape) -> da.Array:
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    frames_per_task, particles_per_task = block_shape
    position = in_frames(trajectory["position"], frames_per_task)
    box = da.from_array(np.asarray(trajectory["box"].values), chunks=(frames_per_task, -1, -1))
    return da.blockwise(
        describe_block, "fpk",
        da.arange(n_frames, chunks=frames_per_task), "f",
        da.arange(n_particles, chunks=particles_per_task), "p",
        position, "fas",
        box, "fbs",
        da.from_array(codes, chunks=-1), "a",
        da.from_array(is_center, chunks=-1), "a",
        new_axes={"k": n_features}, concatenate=True, dtype=np.float64, meta=np.empty((0, 0, 0)),
        descriptors=descriptors, names=names, n_features=n_features, name=None,
    )  # fmt: skip


def _block_shape(
    n_frames: int, n_particles: int, n_features: int, microseconds: float, block: int | None
) -> tuple[int, int]:
    """Frames and central particles of a task."""
    if block is not None:
        if block < 1:
            raise ParameterError(f"block = {block}: expected a number of central particles of at least 1")
        rows = block
    else:
        rows = min(BLOCK_ROWS, BLOCK_BYTES // (8 * n_features))
        # fewer frames where they take long; one frame is not cut for that, since cells and angles need its neighbours
        rows = min(rows, max(int(BLOCK_MICROSECONDS / microseconds), n_particles))
        rows = task_rows(n_frames * n_particles, most=rows)
        if n_particles <= WHOLE_FRAME and 8 * n_features * n_particles <= 4 * BLOCK_BYTES:
            rows = max(rows, n_particles)
    return task_shape(n_frames, n_particles, rows)


def _named(descriptors: Iterable[Descriptor] | Mapping[str, Descriptor]) -> dict[str, Descriptor]:
    if isinstance(descriptors, Descriptor):
        descriptors = [descriptors]
    if isinstance(descriptors, Mapping):
        named = dict(descriptors)
    else:
        listed = list(descriptors)
        named = {descriptor.name: descriptor for descriptor in listed}
        if len(named) < len(listed):
            raise ParameterError(
                f"{len(listed)} descriptors but only the names {', '.join(named)}: give a mapping from names of your "
                "choice, such as {'sharp': BondOrder(...), 'wide': BondOrder(...)}"
            )
    if not named:
        raise ParameterError("no descriptors: give at least one, such as SmoothedBondOrder(cutoffs=...)")
    return named


def _center_species(names: tuple[str, ...], centers: str | Iterable[str] | None) -> list[str]:
    if centers is None:
        return list(names)
    wanted = [centers] if isinstance(centers, str) else list(centers)
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise SpeciesError(f"centers {centers!r}: expected some of the species {', '.join(names)}")
    return wanted


def _free_dimensions(name: str, plan: Plan, coords: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, str]:
    """New name of each feature dimension: its own, unless it is taken by one with other labels or size."""
    renamed = {}
    for dim, size in zip(plan.dims, plan.shape):
        own = {c: values for c, (along, values) in plan.coords.items() if along == dim}
        clash = any(c in coords and not np.array_equal(coords[c][1], values) for c, values in own.items())
        renamed[dim] = f"{dim}_{name}" if clash or sizes.get(dim, size) != size else dim
    return renamed
