"""Two walks over pairs of frames: along the paths of some particles, and over all particles of two frames.

What is a sum over particles is added up along their paths, some particles at a time: a lag then never needs two tasks,
and a path can be followed without images. What needs neighbours gets the configurations, pair by pair.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.dynamics.paths import Scheme, unwrapped
from glassdask.errors import PositionError
from glassdask.frames import map_frames
from glassdask.graphs import compute, task_bytes, task_seconds
from glassdask.schema import species_codes, species_names

# A task holds the whole path of its particles: at most this much, and about a second of work.
SMALLEST_TASK_PARTICLES = 256
# Paths that are in memory together. A longer trajectory is read again for each part of its particles.
PART_BYTES = 2 << 30
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
    if alone and len(frames) < trajectory.sizes["frame"]:
        trajectory, frames = trajectory.isel(frame=frames), np.arange(len(frames))
    n_frames, n_particles, d = (trajectory.sizes[dim] for dim in ("frame", "particle", "space"))
    path_bytes = 8 * d * n_frames
    rows = max(SMALLEST_TASK_PARTICLES, min(int(1e6 * task_seconds() / microseconds), n_particles // 8))
    rows = max(1, min(rows, task_bytes() // path_bytes, n_particles))
    part = rows * max(1, PART_BYTES // (path_bytes * rows))
    chunks = {"frame": -1, "particle": rows}
    # each under a name of its own: what is in memory need not be read to make one of it
    cut = {name: trajectory[name].chunk(chunks, token=uuid.uuid4().hex) for name in (of, "image") if name in trajectory}
    path = unwrapped(trajectory.assign(cut), scheme) if of == "position" else cut[of]
    names = [f"axis {n}" for n in range(len(shape))]
    sums = da.blockwise(
        _of_block, ("block", *names),
        path.data.rechunk((-1, rows, -1)), ("frame", "block", "space"),
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
    first, second = (xr.DataArray(part, dims="frame") for part in pairs.T)
    trajectory = trajectory.drop_vars("time", errors="ignore")
    # lazily, a frame at a time: all pairs together may be many times as large as the trajectory
    chunks = {"frame": 1, "particle": -1, "space": -1}
    later = [trajectory["position"].chunk(chunks).isel(frame=second), trajectory["box"].isel(frame=second)]
    if moved:
        path = unwrapped(trajectory, scheme).chunk(chunks)
        later.append(path.isel(frame=second) - path.isel(frame=first))
    known = [name for name in ("position", "species", "box", "diameter", "periodic") if name in trajectory]
    starts = trajectory[known].isel(frame=first)
    dims = {f"axis {n}": size for n, size in enumerate(shape)}
    values: np.ndarray = compute(map_frames(function, starts, *later, dims=dims, microseconds=microseconds).data)[0]
    return values


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
