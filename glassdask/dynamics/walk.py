"""Two walks over pairs of frames: along the paths of some particles, and over all particles of two frames.

What is a sum over particles is added up along their paths, some particles at a time: a lag then never needs two tasks,
and a path can be followed without images. What needs neighbours gets the configurations, pair by pair.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

import dask
import dask.array as da
import numpy as np
import xarray as xr

from glassdask.dynamics.paths import Scheme, open_axes, placed, read_paths, unwrapped
from glassdask.errors import PositionError
from glassdask.frames import map_frames
from glassdask.graphs import compute, task_bytes, task_seconds
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import species_codes, species_names
from glassdask.store import picked, stored_source

# A task holds the whole path of its particles: at most this much, and about a second of work.
SMALLEST_TASK_PARTICLES = 256
# Paths that are in memory together. A longer trajectory is read again for each part of its particles.
PART_BYTES = 2 << 30
IN_MEMORY_BYTES = 1 << 30  # of paths that the workers of a cluster can be expected to have in memory together
# Bytes that are read in a microsecond, and the part of its time in which a task reads whole files for two frames alone.
READ_BYTES, READING = 400.0, 0.2
DRIFT_MICROSECONDS = 0.003  # what a particle takes of a frame, roughly


def sum_paths(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    trajectory: xr.Dataset,
    frames: np.ndarray,
    shape: tuple[int, ...],
    microseconds: float,
    of: str = "position",
    scheme: Scheme = "lattice",
) -> np.ndarray:
    """Sum of ``function(path, starts)`` over all particles, by the current dask scheduler.

    Parameters
    ----------
    function : callable
        Gives an array `shape` of some particles `path` (frame, space, particle) has their unwrapped positions, or
        another vector of them, sorted by species; those of species s are ``starts[s]:starts[s + 1]``.
    trajectory : xarray.Dataset
        Trajectory, valid.
    frames : array
        Numbers of the frames that `path` has, increasing.
    shape : tuple of int
        Of the result.
    microseconds : float
        What a particle takes, roughly.
    of : str, default "position"
        "position", or the variable (frame, particle, space) that is followed.
    scheme : str, default "lattice"
        See `unwrapped`.

    Raises
    ------
    PositionError
        When a position is not finite.
    """
    # a path along which steps are added up, or images are found, needs the frames in between
    alone = of != "position" or ("image" in trajectory and scheme == "lattice")
    path = read_paths(trajectory, frames, scheme) if of == "position" else None
    if alone and len(frames) < trajectory.sizes["frame"]:
        trajectory, frames = trajectory.isel(frame=frames), np.arange(len(frames))
    n_frames, n_particles, d = (trajectory.sizes[dim] for dim in ("frame", "particle", "space"))
    path_bytes = 8 * d * n_frames
    rows = max(SMALLEST_TASK_PARTICLES, min(int(1e6 * task_seconds() / microseconds), n_particles // 8))
    rows = max(1, min(rows, task_bytes() // path_bytes, n_particles))
    part = rows * max(1, PART_BYTES // (path_bytes * rows))
    chunks = {"frame": -1, "particle": rows}
    if path is None:
        # each under a name of its own: what is in memory need not be read to make one of it
        read = [name for name in (of, "image") if name in trajectory]
        cut = {name: trajectory[name].chunk(chunks, token=uuid.uuid4().hex) for name in read}
        path = (unwrapped(trajectory.assign(cut), scheme) if of == "position" else cut[of]).data
    # what fits in memory not by dask's own shuffle for clusters, which writes all of it to disk first
    with dask.config.set({"array.rechunk.method": "tasks" if path.nbytes <= IN_MEMORY_BYTES else None}):
        path = path.rechunk((-1, rows, -1))
    names = [f"axis {n}" for n in range(len(shape))]
    sums = da.blockwise(
        _of_block, ("block", *names),
        path, ("frame", "block", "space"),
        da.from_array(species_codes(trajectory), chunks=rows), ("block",),
        da.arange(n_particles, chunks=rows), ("block",),
        new_axes=dict(zip(names, shape)), adjust_chunks={"block": 1}, concatenate=True, dtype=np.float64,
        meta=np.empty((0,) * (1 + len(shape))), function=function, frames=frames,
        n_species=len(species_names(trajectory)), of=of, name=None,
    )  # fmt: skip
    total = np.zeros(shape)
    for first in range(0, sums.shape[0], part // rows):
        total += compute(sums[first : first + part // rows].sum(axis=0))[0]
    return total


def drift(trajectory: xr.Dataset, frames: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Mean position of all particles alike in each of the `frames`, (F, d)."""
    shape = (len(frames), trajectory.sizes["space"])
    total = sum_paths(_sum, trajectory, frames, shape, DRIFT_MICROSECONDS * len(frames), scheme=scheme)
    return total / trajectory.sizes["particle"]


def _sum(path: np.ndarray, starts: np.ndarray) -> np.ndarray:
    total: np.ndarray = path.sum(axis=2)
    return total


def map_pairs(
    function: Callable[..., np.ndarray],
    trajectory: xr.Dataset,
    pairs: np.ndarray,
    shape: tuple[int, ...],
    microseconds: float,
    *,
    moved: bool = True,
    scheme: Scheme = "lattice",
) -> np.ndarray:
    """``function(configuration, later, box, moved)`` of each pair of frames, (P, *shape), by the current scheduler.

    Parameters
    ----------
    function : callable
        Gives an array `shape` `configuration` is the first frame, see `glassdask.frames.map_frames`; `later` (particle,
        space) the positions in the second, `box` (axis, space) that of the second, `moved` (particle, space) the
        displacements.
    trajectory : xarray.Dataset
        Trajectory, valid.
    pairs : array (P, 2)
        Numbers of frames.
    microseconds : float
        What a particle takes, roughly.
    moved : bool, default True
        Whether displacements are wanted, for which particles must be followed.
    scheme : str, default "lattice"
        See `unwrapped`.
    """
    trajectory = trajectory.drop_vars("time", errors="ignore")
    first, second = pairs.T
    known = [name for name in ("species", "box", "diameter", "periodic") if name in trajectory]
    starts, later = trajectory[known].isel(frame=first), trajectory["box"].isel(frame=second)
    dims = {f"axis {n}": size for n, size in enumerate(shape)}
    if _read_alone(trajectory, moved and scheme, microseconds):
        # no task has to wait for others that read, nothing is sent about, and the graph is small
        begun = picked(trajectory["position"], first)
        starts = starts.assign(position=begun)
        values = [picked(trajectory["position"], second), later]
        if moved:
            # images go with the positions that are stored, and a configuration wraps those a little outside
            values.append(begun)
            function = partial(_read_moved, function=function, is_open=open_axes(trajectory))
            values += [picked(trajectory["image"], part) for part in (first, second)]
            values += [xr.DataArray(part, dims="frame") for part in (first, second)]
            if "origin" in trajectory:
                origin = trajectory["origin"]
                values += [origin.isel(frame=part, missing_dims="ignore") for part in (first, second)]
    else:
        # lazily, a frame at a time: all pairs together may be many times as large as the trajectory
        chunks = {"frame": 1, "particle": -1, "space": -1}
        starts = starts.assign(position=trajectory["position"].isel(frame=first))
        values = [trajectory["position"].chunk(chunks).isel(frame=second), later]
        if moved:
            path = unwrapped(trajectory, scheme).chunk(chunks)
            values.append(path.isel(frame=second) - path.isel(frame=first))
    found: np.ndarray = compute(map_frames(function, starts, *values, dims=dims, microseconds=microseconds).data)[0]
    return found


def _read_alone(trajectory: xr.Dataset, followed: Scheme | bool, microseconds: float) -> bool:
    """Whether each task reads its pairs of frames itself: where the whole files that they are in take little time."""
    if followed and (followed != "lattice" or "image" not in trajectory):
        return False
    sources = [stored_source(trajectory[name]) for name in (["position", "image"] if followed else ["position"])]
    if any(source is None for source in sources):
        return False
    of_a_particle = sum(2 * s.info.unit[0] * s.shape[2] * s.dtype.itemsize for s in sources if s is not None)
    return of_a_particle / READ_BYTES <= READING * microseconds


def _read_moved(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, earlier: np.ndarray, image: np.ndarray,
    later_image: np.ndarray, first: np.ndarray, second: np.ndarray, *origins: np.ndarray,
    function: Callable[..., np.ndarray], is_open: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """``function(configuration, later, box, moved)``, with displacements from positions and images as they are read."""
    d = configuration.dimension
    begun = (earlier, image, configuration.box[:d, :d], first)
    ended = (later, later_image, box, second)
    paths = [placed(*part, is_open=is_open) for part in (begun, ended)]
    if origins:
        paths = [path + origin for path, origin in zip(paths, origins)]
    return function(configuration, later, box, paths[1] - paths[0])


def _of_block(
    path: np.ndarray,
    codes: np.ndarray,
    particles: np.ndarray,
    *,
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    frames: np.ndarray,
    n_species: int,
    of: str,
) -> np.ndarray:
    finite = np.isfinite(path)
    if not finite.all():
        particle = particles[np.argwhere(~finite)[0, 1]]
        raise PositionError(f"particle {particle}: a {of} is not finite: remove or repair that frame")
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_species + 1))
    if len(frames) < len(path):
        path = path[frames]
    if not (np.diff(codes) >= 0).all():
        path = path.take(order, axis=1)
    # rows of particles one after the other in memory, or kernels do not use the vector units
    return function(np.ascontiguousarray(path.transpose(0, 2, 1)), starts)[None]
