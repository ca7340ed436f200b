"""Currents of the density in a wave: longitudinal and transverse, and their correlations in time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.scattering import mode_products, wave_shells
from glassdask.dynamics.velocities import check_velocities
from glassdask.frames import map_frames
from glassdask.graphs import compute
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import validate
from glassdask.variables import annotated

# What a mode of one particle takes, in microseconds, roughly.
MODE_MICROSECONDS = 0.03
# Phases that are in memory at once.
PHASES = 1 << 20


def current_correlations(
    trajectory: xr.Dataset,
    k: float | Sequence[float],
    *,
    width: float | None = None,
    modes: int = 200,
    lags: Sequence[float] | None = None,
    origins: int = ORIGINS,
) -> xr.Dataset:
    r"""Autocorrelations of the longitudinal and the transverse current.

    j(k, t) = sum_j v_j(t) exp(-i k.r_j(t)), of all particles alike; with e = k / k

    C_L(k, t) = 1/N < Re (e.j(k, 0)) (e.j(k, t))* >

    C_T(k, t) = 1/((d - 1) N) < Re j_T(k, 0).j_T(k, t)* >,  j_T = j - e (e.j)

    over both orders of the pair, time origins and wave vectors, as `intermediate_scattering` has them [1]_. In
    equilibrium both are k_B T / m at t = 0, of equal masses.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``velocity`` and ``time``, in memory or lazy.
    k, width, modes, lags, origins
        As for `intermediate_scattering`.

    Returns
    -------
    xarray.Dataset
        ``longitudinal`` and ``transverse`` (k, lag), each with ``_error``; ``modes`` (k), ``origins`` (lag). The first
        lag is 0. Computed, not lazy; errors as those of `self_correlations`.

    Raises
    ------
    SchemaError
        When there are no velocities or times.
    ParameterError, BoxError
        As `intermediate_scattering`.

    References
    ----------
    .. [1] J.-P. Hansen and I. R. McDonald, Theory of Simple Liquids, chapter 7.4.

    Examples
    --------
    A gas whose velocities are those of a temperature of 1:

    >>> import glassdask as gd
    >>> rng = np.random.default_rng(0)
    >>> x, v = rng.random((2, 4000, 3)) * 8, rng.normal(size=(2, 4000, 3))
    >>> t = gd.from_arrays(x, species=["A"] * 4000, box=[8.0] * 3, time=[0.0, 1.0], velocity=v)
    >>> found = current_correlations(t, k=7.0)
    >>> [float(found[name][0, 0].round()) for name in ("longitudinal", "transverse")]
    [1.0, 1.0]
    """
    validate(trajectory)
    check_velocities(trajectory)
    refuse_open(trajectory, "current_correlations", "use velocity_autocorrelation")
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    frames = trajectory.isel(frame=found_origins.frames)
    box = np.asarray(frames["box"].values, dtype=np.float64)
    numbers, width, shells = wave_shells(trajectory, box.mean(axis=0), k, width, modes)
    n_modes, d = sum(map(len, shells)), trajectory.sizes["space"]
    current = compute(
        map_frames(
            partial(_currents, modes=np.concatenate(shells)), frames.drop_vars("velocity"), frames["velocity"],
            dims={"component": d, "part": 2, "mode": n_modes}, microseconds=MODE_MICROSECONDS * n_modes,
        ).data
    )[0]  # fmt: skip
    f, g = found_origins.places.T
    values = np.empty((len(found_origins.pairs), 2, len(numbers)))
    cuts = np.cumsum([len(shell) for shell in shells])[:-1]
    for column, part in enumerate(np.split(current, cuts, axis=-1)):
        along, *across = (mode_products(part, f, g, axis, axis) for axis in range(d))
        number = trajectory.sizes["particle"] * part.shape[-1]
        values[:, 0, column], values[:, 1, column] = along / number, sum(across) / (number * (d - 1))
    averages = found_origins.averages(lambda m, _: {"longitudinal": m[:, 0], "transverse": m[:, 1]}, values)
    variables: dict[str, Any] = {"modes": ("k", [len(s) for s in shells]), "origins": ("lag", found_origins.counts)}
    for name, (mean, error) in averages.items():
        variables[name], variables[f"{name}_error"] = (("k", "lag"), mean), (("k", "lag"), error)
    attrs = {"dimension": d, "particles": trajectory.sizes["particle"], "width": width}
    return annotated(xr.Dataset(variables, coords={"k": numbers, "lag": found_origins.lags}, attrs=attrs))


def _currents(configuration: Configuration, velocity: np.ndarray, *, modes: np.ndarray) -> np.ndarray:
    """The current in each mode (d, 2, M), real and imaginary: first along the wave vector, then across."""
    d = configuration.dimension
    inverse = np.linalg.inv(configuration.box[:d, :d])
    waves = 2.0 * np.pi * modes[:, :d] @ inverse.T
    directions = waves / np.linalg.norm(waves, axis=1)[:, None]
    fraction = configuration.position[:, :d] @ inverse
    total = np.zeros((d, len(modes)), np.complex128)
    rows = max(1, PHASES // len(modes))
    for first in range(0, len(fraction), rows):
        phases = np.exp(-2j * np.pi * (fraction[first : first + rows] @ modes[:, :d].T))
        total += velocity[first : first + rows].T @ phases
    frame = _frames_along(directions)
    turned = np.einsum("mab,bm->am", frame, total)
    return np.stack([turned.real, turned.imag], axis=1)


def _frames_along(directions: np.ndarray) -> np.ndarray:
    """Orthonormal axes (M, d, d) whose first is the given direction (M, d)."""
    d = directions.shape[1]
    if d == 2:
        return np.stack([directions, directions[:, ::-1] * np.array([-1.0, 1.0])], axis=1)
    # the axis that is furthest from the direction: the same in every frame, also where two are as far
    other = np.eye(3)[np.round(np.abs(directions), 6).argmin(axis=1)]
    second = np.cross(directions, other)
    second /= np.linalg.norm(second, axis=1)[:, None]
    return np.stack([directions, second, np.cross(directions, second)], axis=1)
