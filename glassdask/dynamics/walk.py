"""One walk over the paths of all particles: what is a sum over particles is added up, some particles at a time.

Particles are cut, not frames: a lag then never needs two tasks, and a path can be followed without images.
"""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.dynamics.paths import unwrapped
from glassdask.errors import PositionError
from glassdask.graphs import compute, task_bytes, task_seconds
from glassdask.schema import species_codes, species_names

# A task holds the whole path of its particles: at most this much, and about a second of work.
SMALLEST_TASK_PARTICLES = 256
# Paths that are in memory together. A longer trajectory is read again for each part of its particles.
PART_BYTES = 2 << 30


def sum_paths(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    trajectory: xr.Dataset,
    frames: np.ndarray,
    shape: tuple[int, ...],
    microseconds: float,
) -> np.ndarray:
    """Sum of ``function(path, starts)`` over all particles, by the current dask scheduler.

    Parameters
    ----------
    function : gives an array `shape` of some particles
        `path` (frame, space, particle) has their unwrapped positions, sorted by species; those of species s are
        ``starts[s]:starts[s + 1]``.
    trajectory : Dataset of the schema, valid
    frames : numbers of the frames that `path` has, increasing
    shape : of the result
    microseconds : what a particle takes, roughly

    Raises
    ------
    PositionError
        When a position is not finite.
    """
    if "image" in trajectory and len(frames) < trajectory.sizes["frame"]:
        trajectory, frames = trajectory.isel(frame=frames), np.arange(len(frames))
    n_frames, n_particles, d = (trajectory.sizes[dim] for dim in ("frame", "particle", "space"))
    path_bytes = 8 * d * n_frames
    rows = max(SMALLEST_TASK_PARTICLES, min(int(1e6 * task_seconds() / microseconds), n_particles // 8))
    rows = max(1, min(rows, task_bytes() // path_bytes, n_particles))
    part = rows * max(1, PART_BYTES // (path_bytes * rows))
    chunks = {"frame": -1, "particle": rows}
    cut = {name: trajectory[name].chunk(chunks) for name in ("position", "image") if name in trajectory}
    path = unwrapped(trajectory.assign(cut)).data.rechunk((-1, rows, -1))
    names = [f"axis {n}" for n in range(len(shape))]
    sums = da.blockwise(
        _of_block, ("block", *names),
        path, ("frame", "block", "space"),
        da.from_array(species_codes(trajectory), chunks=rows), ("block",),
        da.arange(n_particles, chunks=rows), ("block",),
        new_axes=dict(zip(names, shape)), adjust_chunks={"block": 1}, concatenate=True, dtype=np.float64,
        meta=np.empty((0,) * (1 + len(shape))), function=function, frames=frames,
        n_species=len(species_names(trajectory)), name=None,
    )  # fmt: skip
    total = np.zeros(shape)
    for first in range(0, sums.shape[0], part // rows):
        total += compute(sums[first : first + part // rows].sum(axis=0))[0]
    return total


def _of_block(
    path: np.ndarray,
    codes: np.ndarray,
    particles: np.ndarray,
    *,
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    frames: np.ndarray,
    n_species: int,
) -> np.ndarray:
    finite = np.isfinite(path)
    if not finite.all():
        particle = particles[np.argwhere(~finite)[0, 1]]
        raise PositionError(f"particle {particle}: a position is not finite: remove or repair that frame")
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_species + 1))
    if len(frames) < len(path):
        path = path[frames]
    if not (np.diff(codes) >= 0).all():
        path = path.take(order, axis=1)
    # rows of particles one after the other in memory, or kernels do not use the vector units
    return function(np.ascontiguousarray(path.transpose(0, 2, 1)), starts)[None]
