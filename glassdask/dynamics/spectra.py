"""Spectra: what correlations in time say of frequencies, of frames that are evenly spaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.lags import even_step
from glassdask.dynamics.origins import ORIGINS, Origins, jackknife
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.scattering import scattering_of_pairs
from glassdask.dynamics.velocities import velocity_products
from glassdask.errors import ParameterError
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_names, validate
from glassdask.variables import annotated


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
        ``spectrum`` (species, omega) and ``spectrum_total`` (omega), up to pi over the time between frames, with
        ``_error``: from the jackknife over up to ten parts of the trajectory, each at least as long as T, NaN where it
        holds fewer than two. Not weighted by masses. Computed, not lazy.

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
    step, lags, omega = _times(trajectory, duration)
    found_origins, means = velocity_products(trajectory, lags, origins)

    def spectrum(curve: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            whole: np.ndarray = 2.0 * _transform(curve, step) / curve[..., :1]
        return whole

    value, error = _with_error(found_origins, means, spectrum)
    found: dict[str, Any] = {}
    for end, values in (("", value), ("_error", error)):
        found[f"spectrum{end}"] = (("species", "omega"), values[:-1])
        found[f"spectrum_total{end}"] = (("omega",), values[-1])
    return annotated(xr.Dataset(found, coords={"species": list(species_names(trajectory)), "omega": omega}))


def dynamic_structure_factor(
    trajectory: xr.Dataset,
    k: float | Sequence[float],
    duration: float | None = None,
    *,
    width: float | None = None,
    modes: int = 200,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Dynamic structure factor S(k, omega), what neutrons and X-rays scatter with a change of energy.

    S_ab(k, omega) = 1/pi int_0^T F_ab(k, t) w(t) cos(omega t) dt

    with F of `intermediate_scattering`, and Hann's window w as in `velocity_spectrum`; the integral over all omega,
    negative ones too, is S_ab(k). What has not relaxed within T, as in a glass, is a line at omega = 0 as broad as the
    window makes it.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time`` in even steps.
    k, width, modes, origins, cage, remove_drift, scheme
        As for `intermediate_scattering`.
    duration : float, optional
        T; by default a tenth of the trajectory.

    Returns
    -------
    xarray.Dataset
        ``skw`` (species_a, species_b, k, omega) and ``skw_total`` (k, omega), coherent; ``skw_self`` (species, k,
        omega) and ``skw_self_total`` of F_s, incoherent; omega up to pi over the time between frames. Each with
        ``_error``, as those of `velocity_spectrum`. Computed, not lazy.

    Raises
    ------
    SchemaError
        When there are no times, or they are not evenly spaced.
    ParameterError, PositionError, BoxError
        As `intermediate_scattering`; and when the duration is shorter than two intervals, or longer than the
        trajectory.

    Examples
    --------
    Particles that stay where they are scatter without a change of energy:

    >>> import glassdask as gd
    >>> x = np.random.default_rng(0).random((1, 500, 3)).repeat(21, axis=0) * 8
    >>> t = gd.from_arrays(x, species=["A"] * 500, box=[8.0] * 3, time=np.arange(21.0))
    >>> found = dynamic_structure_factor(t, k=7.0, duration=10.0)["skw_self_total"]
    >>> bool((found[0, 2:] < 1e-12).all()), round(float(2 * found[0].sum() - found[0, 0]) * np.pi / 10, 6)
    (True, 1.0)
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    step, lags, omega = _times(trajectory, duration)
    found_origins, shown, values, own, _ = scattering_of_pairs(
        trajectory, k, width, modes, lags, origins, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    assert own is not None
    found: dict[str, Any] = {}
    pair = ("species_a", "species_b", "k", "omega")
    for name, dims, of in (
        ("skw", pair, values), ("skw_total", pair[2:], values.sum(axis=(1, 2))),
        ("skw_self", ("species", *pair[2:]), own[:, :-1]), ("skw_self_total", pair[2:], own[:, -1]),
    ):  # fmt: skip
        value, error = _with_error(found_origins, of, lambda curve: _transform(curve, step))
        found |= {name: (dims, value), f"{name}_error": (dims, error)}
    return annotated(shown.assign(found).assign_coords(omega=omega))


def _with_error(
    origins: Origins, values: np.ndarray, spectrum: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The spectrum of the mean of values (P, ...) at each lag, and its error; the frequency is the last axis."""
    whole, left = origins.curves(values)
    return spectrum(np.moveaxis(whole, 0, -1)), jackknife(spectrum(np.moveaxis(left, 1, -1)))


def _times(trajectory: xr.Dataset, duration: float | None) -> tuple[float, list[float], np.ndarray]:
    """The time between frames, the lags besides 0 up to the duration, and the frequencies of the spectrum."""
    duration = converted(duration, Positive | None, "duration")
    step, n_steps = even_step(trajectory), trajectory.sizes["frame"] - 1
    number = n_steps // 10 if duration is None else round(duration / step)
    if not 2 <= number <= n_steps:
        raise ParameterError(
            f"duration {number * step:g}: expected at least two intervals of {step:g} and at most the trajectory, "
            f"{n_steps * step:g}"
        )
    steps = np.arange(number + 1)
    return step, (steps[1:] * step).tolist(), steps * np.pi / (number * step)


def _transform(curve: np.ndarray, step: float) -> np.ndarray:
    """1/pi of the integral of curve(t) w(t) cos(omega t), by the trapezoidal rule, of the last axis."""
    number = curve.shape[-1] - 1
    window = 0.5 * (1.0 + np.cos(np.pi * np.arange(number + 1) / number))
    window[0] *= 0.5
    cosine = np.cos(np.pi / number * np.outer(np.arange(number + 1), np.arange(number + 1)))
    result: np.ndarray = (curve * window) @ cosine * (step / np.pi)
    return result
