"""How velocities are forgotten: their autocorrelation, and its spectrum, the density of vibrational states."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.averages import by_species, particle_means
from glassdask.dynamics.lags import even_step
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.walk import sum_paths
from glassdask.errors import ParameterError, SchemaError
from glassdask.schema import species_names, validate
from glassdask.variables import annotated

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
    validate(trajectory)
    if "velocity" not in trajectory:
        raise SchemaError(
            "no variable 'velocity' (frame, particle, space): give from_arrays(..., velocity=...), or write velocities "
            "into the files that are ingested"
        )
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    shape = (len(found_origins.pairs), len(species_names(trajectory)))
    sums = sum_paths(
        partial(_products, pairs=found_origins.places), trajectory, found_origins.frames, shape,
        MICROSECONDS * len(found_origins.pairs), of="velocity",
    )  # fmt: skip
    means = particle_means(trajectory, sums)
    return by_species(trajectory, found_origins, found_origins.averages(lambda m, n: {"vacf": m}, means))


def velocity_spectrum(trajectory: xr.Dataset, duration: float | None = None, *, origins: int = ORIGINS) -> xr.Dataset:
    r"""Spectrum of the velocities: in a solid the density of vibrational states.

    g(omega) = 2/pi int_0^T C(t) / C(0) w(t) cos(omega t) dt,  C the `velocity_autocorrelation`,

    by the trapezoidal rule, with Hann's window w(t) = (1 + cos(pi t / T)) / 2, which broadens lines to about 2 pi / T
    and keeps the integral over omega, which is 1.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``velocity``, and ``time`` in even steps.
    duration : float, optional
        T; by default a tenth of the trajectory.
    origins : int
        Time origins that are used of each lag at most.

    Returns
    -------
    xarray.Dataset
        ``spectrum`` (species, omega) and ``spectrum_total`` (omega), up to pi over the time between frames. Not
        weighted by masses. Computed, not lazy.

    Raises
    ------
    SchemaError
        As `velocity_autocorrelation`; and when the times are not evenly spaced.
    ParameterError
        When the duration is not positive, shorter than two intervals, or longer than the trajectory.

    Examples
    --------
    >>> import glassdask as gd
    >>> time = np.arange(400) * 0.1
    >>> v = np.cos(2.0 * time)[:, None, None] * np.ones((1, 1, 3))
    >>> t = gd.from_arrays(np.ones((400, 1, 3)), species=["A"], box=[9.0] * 3, time=time, velocity=v)
    >>> found = velocity_spectrum(t, duration=20.0)["spectrum_total"]
    >>> float(found["omega"][found.argmax("omega")].round(1))
    2.0
    """
    validate(trajectory)
    duration = converted(duration, Positive | None, "duration")
    step, n_steps = even_step(trajectory), trajectory.sizes["frame"] - 1
    number = n_steps // 10 if duration is None else round(duration / step)
    if not 2 <= number <= n_steps:
        raise ParameterError(
            f"duration {number * step:g}: expected at least two intervals of {step:g} and at most the trajectory, "
            f"{n_steps * step:g}"
        )
    curves = velocity_autocorrelation(trajectory, (np.arange(1, number + 1) * step).tolist(), origins=origins)
    window = 0.5 * (1.0 + np.cos(np.pi * np.arange(number + 1) / number))
    window[0] *= 0.5
    omega = np.arange(number + 1) * np.pi / (number * step)
    cosine = np.cos(omega[:, None] * np.arange(number + 1) * step)
    found = {}
    for name, dims in (("vacf", ("species", "omega")), ("vacf_total", ("omega",))):
        curve = curves[name].values
        with np.errstate(invalid="ignore"):
            values = (curve * window) @ cosine.T * (2.0 * step / np.pi) / curve[..., :1]
        found[name.replace("vacf", "spectrum")] = (dims, values)
    return annotated(xr.Dataset(found, coords={"species": curves["species"].values, "omega": omega}))


def _products(velocity: np.ndarray, starts: np.ndarray, *, pairs: np.ndarray) -> np.ndarray:
    out = np.empty((len(pairs), len(starts) - 1))
    for s, (begin, end) in enumerate(itertools.pairwise(starts)):
        rows = velocity[:, :, begin:end].reshape(len(velocity), -1)
        for p, (f, g) in enumerate(pairs):
            out[p, s] = rows[f] @ rows[g]
    return out
