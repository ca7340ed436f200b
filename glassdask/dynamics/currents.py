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
from glassdask.schema import species_names, validate
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

    j_a(k, t) = sum_{j in a} v_j(t) exp(-i k.r_j(t)), of the particles of a species; with e = k / k

    C_L,ab(k, t) = 1/N < Re (e.j_a(k, 0)) (e.j_b(k, t))* >

    C_T,ab(k, t) = 1/((d - 1) N) < Re j_T,a(k, 0).j_T,b(k, t)* >,  j_T = j - e (e.j)

    over both orders of the pair, time origins and wave vectors, as `intermediate_scattering` has them [1]_; the total,
    of all particles alike, is the sum over all a and b. In equilibrium that is k_B T / m at t = 0, of equal masses.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``velocity`` and ``time``, in memory or lazy.
    k, width, modes, lags, origins
        As for `intermediate_scattering`.

    Returns
    -------
    xarray.Dataset
        ``longitudinal`` and ``transverse`` (species_a, species_b, k, lag), each with ``_error``, and ``_total``
        (k, lag); ``modes`` (k), ``origins`` (lag). The first lag is 0. Computed, not lazy; errors as those of
        `self_correlations`.

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
    >>> [float(found[name][0, 0].round()) for name in ("longitudinal_total", "transverse_total")]
    [1.0, 1.0]
    """
    validate(trajectory)
    check_velocities(trajectory)
    refuse_open(trajectory, "current_correlations", "use velocity_autocorrelation")
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    frames = trajectory.isel(frame=found_origins.frames)
    box = np.asarray(frames["box"].values, dtype=np.float64)
    numbers, width, shells = wave_shells(trajectory, box.mean(axis=0), k, width, modes)
    n_modes, d, names = sum(map(len, shells)), trajectory.sizes["space"], species_names(trajectory)
    current = compute(
        map_frames(
            partial(_currents, modes=np.concatenate(shells)), frames.drop_vars("velocity"), frames["velocity"],
            dims={"component": d, "of": len(names), "part": 2, "mode": n_modes},
            microseconds=MODE_MICROSECONDS * n_modes,
        ).data
    )[0]  # fmt: skip
    f, g = found_origins.places.T
    values = np.empty((len(found_origins.pairs), 2, len(names), len(names), len(numbers)))
    cuts = np.cumsum([len(shell) for shell in shells])[:-1]
    for column, part in enumerate(np.split(current, cuts, axis=-1)):
        number = trajectory.sizes["particle"] * part.shape[-1]
        for one, other in np.ndindex(len(names), len(names)):
            # over both orders in time
            along, *across = (
                0.5 * (mode_products(part[:, axis], f, g, one, other) + mode_products(part[:, axis], g, f, one, other))
                for axis in range(d)
            )
            values[:, 0, one, other, column] = along / number
            values[:, 1, one, other, column] = sum(across) / (number * (d - 1))

    def quantities(means: np.ndarray, _: np.ndarray) -> dict[str, np.ndarray]:
        both = {"longitudinal": means[:, 0], "transverse": means[:, 1]}
        return both | {f"{name}_total": value.sum(axis=(1, 2)) for name, value in both.items()}

    pair = ("species_a", "species_b", "k", "lag")
    variables: dict[str, Any] = {"modes": ("k", [len(s) for s in shells]), "origins": ("lag", found_origins.counts)}
    for name, both in found_origins.averages(quantities, values).items():
        for end, found in zip(("", "_error"), both):
            variables[f"{name}{end}"] = (pair[-found.ndim :], found)
    attrs = {"dimension": d, "particles": trajectory.sizes["particle"], "width": width}
    coords = {dim: list(names) for dim in pair[:2]} | {"k": numbers, "lag": found_origins.lags}
    return annotated(xr.Dataset(variables, coords=coords, attrs=attrs))


def _currents(configuration: Configuration, velocity: np.ndarray, *, modes: np.ndarray) -> np.ndarray:
    """The current of each species in each mode (d, S, 2, M), real and imaginary: along the wave vector, then across."""
    d = configuration.dimension
    inverse = np.linalg.inv(configuration.box[:d, :d])
    waves = 2.0 * np.pi * modes[:, :d] @ inverse.T
    directions = waves / np.linalg.norm(waves, axis=1)[:, None]
    fraction = configuration.position[:, :d] @ inverse
    n_species = len(configuration.names)
    total = np.zeros((n_species, d, len(modes)), np.complex128)
    rows = max(1, PHASES // len(modes))
    for species in range(n_species):
        of = np.flatnonzero(configuration.species == species)
        for first in range(0, len(of), rows):
            some = of[first : first + rows]
            total[species] += velocity[some].T @ np.exp(-2j * np.pi * (fraction[some] @ modes[:, :d].T))
    turned = np.einsum("mab,sbm->asm", _frames_along(directions), total)
    return np.stack([turned.real, turned.imag], axis=2)


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
