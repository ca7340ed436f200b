"""How far each particle moves along each axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from glassdask.declarations import flags
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme, unwrapped, whole_paths
from glassdask.schema import validate
from glassdask.variables import annotated


def particle_msd(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.DataArray:
    """Mean-square displacement of each particle along each axis, <(x_i(t0 + t) - x_i(t0))^2> over time origins t0.

    Summed over ``space`` it is that of a particle, whose mean over the particles is `mean_square_displacement`; means
    over the particles tell the axes apart, as beside walls and in shear.

    Parameters
    ----------
    trajectory : Dataset of the schema with ``time``, in memory or lazy
        With ``image``, or with frames so close that `unwrapped` works without.
    lags : sequence of float, optional
        Times; by default about 50 that occur, evenly spaced in their logarithm.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.
    remove_drift : bool, default False
        Whether displacements are relative to the mean of all particles, each of the same weight.
    scheme : str, default "lattice"
        "toroidal" at constant pressure, see `unwrapped`.

    Returns
    -------
    DataArray (particle, space, lag), lazy where the positions are
        In units of length^2. A task holds the whole path of a block of particles.

    Raises
    ------
    SchemaError, ParameterError, PositionError
        As `mean_square_displacement`.

    Examples
    --------
    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0]], [[1.0, 2.0]], [[1.0, 3.0]]])
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0], time=[0.0, 1.0, 2.0])
    >>> particle_msd(t).values.tolist()
    [[[0.0, 0.0], [1.0, 4.0]]]
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    found = Origins.of(trajectory, lags, origins)
    path = unwrapped(trajectory, scheme).drop_vars("time", errors="ignore")
    if remove_drift:
        path = path - path.mean("particle")
    path = whole_paths(path.isel(frame=found.frames), copies=2)
    msd = xr.apply_ufunc(
        _means, path, kwargs={"origins": found}, input_core_dims=[["frame"]], output_core_dims=[["lag"]],
        dask="parallelized", output_dtypes=[np.float64], dask_gufunc_kwargs={"output_sizes": {"lag": len(found.lags)}},
    )  # fmt: skip
    return annotated(msd.transpose("particle", "space", "lag").assign_coords(lag=found.lags).rename("particle_msd"))


def _means(path: np.ndarray, origins: Origins) -> np.ndarray:
    """Mean squares (..., lag) of how far a path (..., frame) moves."""
    out = np.empty((*path.shape[:-1], len(origins.lags)))
    for lag, (first, count) in enumerate(zip(origins.first, origins.counts)):
        begin, end = origins.places[first : first + count].T
        out[..., lag] = np.square(path[..., end] - path[..., begin]).mean(axis=-1)
    return out
