"""How velocities are forgotten: their autocorrelation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.dynamics.averages import by_species, particle_means
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.walk import sum_paths
from glassdask.errors import SchemaError
from glassdask.schema import species_names, validate

# What a product of two velocities of a particle takes, in microseconds, roughly.
MICROSECONDS = 0.003


def velocity_autocorrelation(
    trajectory: xr.Dataset, lags: Sequence[float] | None = None, *, origins: int = ORIGINS
) -> xr.Dataset:
    """Velocity autocorrelation <v_i(t0) . v_i(t0 + t)>, over particles and time origins.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``velocity`` and ``time``, in memory or lazy.
    lags : sequence of float, optional
        Times besides 0; by default about 50 that occur.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.

    Returns
    -------
    xarray.Dataset
        ``vacf`` (species, lag), with ``_error``, and ``_total`` of all particles alike; ``origins`` (lag). The first
        lag is 0, where it is <v^2>, in equilibrium d k_B T / m. Computed, not lazy; errors as those of
        `self_correlations`.

    Raises
    ------
    SchemaError
        When there are no velocities or times, or the times do not increase.
    PositionError
        When a velocity is not finite.
    ParameterError
        As `self_correlations`.

    Examples
    --------
    A particle in a spring, in phases that are a quarter of a period apart:

    >>> import glassdask as gd
    >>> v = np.array([[[1.0, 0.0]], [[0.0, 0.0]], [[-1.0, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    >>> t = gd.from_arrays(np.ones((5, 1, 2)), species=["A"], box=[9.0, 9.0], time=np.arange(5.0), velocity=v)
    >>> velocity_autocorrelation(t, lags=[1.0, 2.0])["vacf"].values.round(2).tolist()
    [[0.6, 0.0, -0.67]]
    """
    found_origins, means = velocity_products(trajectory, lags, origins)
    return by_species(trajectory, found_origins, found_origins.averages(lambda m, n: {"vacf": m}, means))


def velocity_products(trajectory: xr.Dataset, lags: Sequence[float] | None, origins: int) -> tuple[Origins, np.ndarray]:
    """v(t0).v(t0 + t) of each pair of frames, the means (P, S + 1) over each species and over all particles."""
    validate(trajectory)
    check_velocities(trajectory)
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    shape = (len(found_origins.pairs), len(species_names(trajectory)))
    sums = sum_paths(
        partial(_products, pairs=found_origins.places), trajectory, found_origins.frames, shape,
        MICROSECONDS * len(found_origins.pairs), of="velocity",
    )  # fmt: skip
    return found_origins, particle_means(trajectory, sums)


def check_velocities(trajectory: xr.Dataset) -> None:
    """`SchemaError` where there are none."""
    if "velocity" not in trajectory:
        raise SchemaError(
            "no variable 'velocity' (frame, particle, space): write velocities into the files that are ingested; in "
            "Python also from_arrays(..., velocity=...)"
        )


def _products(velocity: np.ndarray, starts: np.ndarray, *, pairs: np.ndarray) -> np.ndarray:
    out = np.empty((len(pairs), len(starts) - 1))
    for s, (begin, end) in enumerate(itertools.pairwise(starts)):
        rows = velocity[:, :, begin:end].reshape(len(velocity), -1)
        for p, (f, g) in enumerate(pairs):
            out[p, s] = rows[f] @ rows[g]
    return out
