"""How much the density of a liquid fluctuates at long wavelengths: its isothermal compressibility."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.correlations.modes import structure_factor_and_squares
from glassdask.declarations import Count, Positive, converted
from glassdask.errors import BoxError, ParameterError, SchemaError
from glassdask.frames import sum_frames
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.boxes import mean_spacing
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import particle_numbers, species_names, validate
from glassdask.variables import annotated

SHELLS = 12  # bins of S(k) up to the largest wave number
MODES = 2000  # wave vectors of a bin, at most
ENOUGH = 4.1 * np.pi  # times the inverse width of the box: at least three lengths of wave vectors are below


def compressibility(trajectory: xr.Dataset, k_max: float | None = None, divisions: int | None = None) -> xr.Dataset:
    r"""Isothermal compressibility rho k_B T chi_T, by S(k) at k = 0 and by numbers of particles in parts of the box.

    Of a mixture with fractions x_a and partial S_ab(k) as of `structure_factor`,

    rho k_B T chi_T = 1 / sum_ab x_a (S^-1)_ab x_b

    at k = 0 (J. G. Kirkwood and F. P. Buff, J. Chem. Phys. 19, 774 (1951)); of one species this is S(0), of an ideal
    gas 1. S_ab(k) = S_ab(0) + c_ab k^2 is fitted in shells of k, at the mean of their k^2, and extrapolated to k = 0.
    Independently, S_ab(0) is the covariance of the numbers of particles in a part of the box: V / m^d divided by
    1 - 1 / m^d, because their sum is fixed, and extrapolated linearly in m, its surface over its volume (F. L. Roman,
    J. A. White and S. Velasco, J. Chem. Phys. 107, 4635 (1997)).

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory at a fixed number of particles, in memory or lazy, in a box that repeats along all axes.
    k_max : float, optional
        Largest wave number that is fitted; by default pi / 2 over the mean spacing (V/N)^(1/d), a quarter of the first
        peak's, or 4.1 pi over the width of the box, so that there are three shells of wave vectors.
    divisions : int, optional
        Into how many parts along each axis the box is divided, at most; by default so many that they are at least 1.5
        mean spacings wide, and at least 3.

    Returns
    -------
    xarray.Dataset
        ``compressibility`` by S(k) and ``compressibility_counts`` by numbers, no unit; ``S_zero`` and ``S_zero_counts``
        (species_a, species_b). Multiply by 1 / (rho k_B T) for chi_T. Small values need many frames: the numbers of a
        nearly incompressible liquid differ little. NaN where the fitted S_ab(0) is no covariance. Computed, not lazy.

    Raises
    ------
    ParameterError
        When k_max is too small, or divisions less than 3.
    BoxError
        When the box has open axes.
    SchemaError
        When particles are absent from some frames, or the number of a species changes.

    Examples
    --------
    >>> import glassdask as gd
    >>> position = np.random.default_rng(0).random((300, 400, 3)) * 8
    >>> gas = gd.from_arrays(position, species=["A", "B"] * 200, box=[8.0] * 3)
    >>> found = gd.compressibility(gas)
    >>> float(found["compressibility"].round(1)), float(found["compressibility_counts"].round(1))
    (1.0, 1.0)
    """
    validate(trajectory)
    if borders_of(trajectory) is not None:
        raise BoxError("compressibility: the box has open axes: its particles do not fluctuate as those of a liquid")
    names, share = _composition(trajectory)
    spacing, dimension = mean_spacing(trajectory), trajectory.sizes["space"]
    narrowest = float((1.0 / np.linalg.norm(np.linalg.inv(trajectory["box"].values[0]), axis=0)).min())
    k_max = max(0.5 * np.pi / spacing, ENOUGH / narrowest) if k_max is None else k_max
    k_max = converted(k_max, Positive, "compressibility.k_max")
    parts = max(3, int(narrowest / (1.5 * spacing))) if divisions is None else divisions
    parts = converted(parts, Count, "compressibility.divisions")
    if parts < 3:
        raise ParameterError(f"compressibility.divisions: expected at least 3, to extrapolate, found {parts}")
    s, k_squared = structure_factor_and_squares(trajectory, k_max, SHELLS, MODES)
    used = s["modes"].values > 0
    if used.sum() < 3:
        raise ParameterError(
            f"compressibility.k_max = {k_max:g}: {used.sum()} shells of wave vectors are below, expected at least 3: "
            "take a larger box, or a larger k_max"
        )
    zero = _extrapolated(k_squared[used], s["S"].values[..., used], s["modes"].values[used])
    every = np.arange(2, parts + 1)
    sums = sum_frames(
        partial(_numbers, divisions=every),
        trajectory,
        items=len(every),
        microseconds=0.1 * trajectory.sizes["particle"],
    )[0]
    n = trajectory.sizes["particle"]
    boxes = every.astype(float) ** dimension
    mean = n * share / boxes[:, None]
    covariance = sums / (trajectory.sizes["frame"] * boxes)[:, None, None] - mean[:, :, None] * mean[:, None]
    covariance *= (boxes / n / (1 - 1 / boxes))[:, None, None]
    counted = _extrapolated(every.astype(float), np.moveaxis(covariance, 0, -1), boxes)
    axes = ("species_a", "species_b")
    return annotated(
        xr.Dataset(
            {
                "compressibility": ((), _compressibility(zero, share)),
                "compressibility_counts": ((), _compressibility(counted, share)),
                "S_zero": (axes, zero), "S_zero_counts": (axes, counted),
            },
            coords={axis: list(names) for axis in axes},
            attrs={"k_max": k_max, "divisions": parts},
        )
    )  # fmt: skip


def _composition(trajectory: xr.Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the species, and the part of the particles that each is of; `SchemaError` where that changes."""
    names, there = species_names(trajectory), particle_numbers(trajectory)
    if (few := np.flatnonzero(there < trajectory.sizes["particle"])).size:
        raise SchemaError(
            f"compressibility: frame {few[0]} has {there[few[0]]} of {trajectory.sizes['particle']} particles, "
            "expected all of them in every frame: choose such frames, trajectory.isel(frame=...)"
        )
    kinds = np.atleast_2d(trajectory["species"].values)  # in each frame, where they change
    share = np.stack([(kinds == name).mean(axis=1) for name in names], axis=1)
    if (other := np.flatnonzero((share != share[0]).any(axis=1))).size:
        raise SchemaError(
            f"compressibility: frame {other[0]} has other numbers of the species than frame 0, expected the same in "
            "every frame: choose such frames, trajectory.isel(frame=...)"
        )
    return names, share[0]


def _numbers(configuration: Configuration, items: np.ndarray, *, divisions: np.ndarray) -> tuple[np.ndarray]:
    """Sums over the parts of the box of products of the numbers of two species in them, (divisions, S, S)."""
    dimension, species = configuration.dimension, len(configuration.names)
    fraction = (configuration.position @ configuration.inverse)[:, :dimension] % 1.0
    out = np.zeros((len(divisions), species, species))
    for k in items:
        m = divisions[k]
        cell = np.minimum((fraction * m).astype(np.int64), m - 1) @ (m ** np.arange(dimension))
        number = np.bincount(configuration.species * m**dimension + cell, minlength=species * m**dimension)
        number = number.reshape(species, -1).astype(float)
        out[k] = number @ number.T
    return (out,)


def _extrapolated(x: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Where the line through values (..., n) of x is at 0, by least squares with weights."""
    rows = np.sqrt(weight)[:, None] * np.stack([np.ones_like(x), x], axis=1)
    found = np.linalg.lstsq(rows, (np.sqrt(weight) * values).reshape(-1, len(x)).T, rcond=None)[0]
    zero: np.ndarray = found[0].reshape(values.shape[:-1])
    return zero


def _compressibility(zero: np.ndarray, share: np.ndarray) -> float:
    """Kirkwood and Buff's rho k_B T chi_T of S_ab(0)."""
    if (np.linalg.eigvalsh(0.5 * (zero + zero.T)) <= 0).any():
        return float("nan")
    return float(1.0 / (share @ np.linalg.solve(zero, share)))
