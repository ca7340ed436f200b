"""One function of a whole frame, applied lazily to all frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import xarray as xr

from glassdask.errors import SchemaError
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_positions, species_codes, species_names, validate
from glassdask.store import in_frames, task_rows, task_shape

# Particles of one task at most: with kernels of 1 to 30 us a particle about a second of work.
TASK_ROWS = 1 << 15

# What is computed of one frame, of the configuration and of the frame's part of the input.
OfFrame = Callable[[Configuration, np.ndarray], np.ndarray]


def map_frames(
    of_frame: OfFrame,
    trajectory: xr.Dataset,
    values: xr.DataArray | None,
    dims: Mapping[str, int],
) -> xr.DataArray:
    """``of_frame(configuration, values)`` of every frame: a lazy DataArray (frame, *dims) of the given sizes.

    `values` (frame, ...) are in memory or lazy; without them the function gets a zero. Tasks hold whole frames.

    Raises
    ------
    SchemaError
        When `values` has other frames or particles than the trajectory.
    """
    validate(trajectory)
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    if values is None:
        values = xr.DataArray(np.zeros(n_frames), dims="frame")
    for dim in ("frame", "particle"):
        if values.sizes.get(dim, trajectory.sizes[dim]) != trajectory.sizes[dim] or "frame" not in values.dims:
            raise SchemaError(
                f"the values have dimensions {dict(values.sizes)}, the trajectory {n_frames} frames of {n_particles} "
                "particles: give values of the same frames and particles"
            )
    rows = task_rows(n_frames * n_particles, most=TASK_ROWS)
    frames = {"frame": task_shape(n_frames, n_particles, rows)[0]}
    position = xr.Variable(trajectory["position"].dims, in_frames(trajectory["position"], frames["frame"]))
    core = [str(dim) for dim in values.dims if dim != "frame"]
    whole = values.variable.transpose("frame", *core).chunk({**frames, **dict.fromkeys(core, -1)})
    result = xr.apply_ufunc(
        partial(_of_block, of_frame=of_frame, codes=species_codes(trajectory), names=species_names(trajectory)),
        xr.Variable("frame", np.arange(n_frames)).chunk(frames),
        position,
        trajectory["box"].variable.chunk(frames),
        whole,
        input_core_dims=[[], ["particle", "space"], ["axis", "space"], core],
        output_core_dims=[list(dims)],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": dict(dims)},
    )
    return xr.DataArray(result)


def _of_block(frames, position, box, values, *, of_frame, codes, names):
    check_positions(position, first_frame=int(frames[0]))
    return np.stack([
        of_frame(Configuration(r, codes, cell, names, label=f"frame {frame}"), np.asarray(part, dtype=np.float64))
        for frame, r, cell, part in zip(frames, position, box, values)
    ])  # fmt: skip
