"""Diffusion coefficients, and how they part from relaxation times on cooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, Where, converted
from glassdask.dynamics.relaxation import covariance
from glassdask.errors import ParameterError, SchemaError
from glassdask.schema import check_kind
from glassdask.variables import annotated

# From where the exponent of the mean square displacement is no further from 1, motion counts as diffusive.
DIFFUSIVE = 0.9
Exponent = Annotated[float, Where(lambda x: 0 < x < 1, "a number between 0 and 1")]


def diffusion_coefficient(
    correlations: xr.Dataset, shortest: float | None = None, *, exponent: float = DIFFUSIVE
) -> xr.Dataset:
    """Diffusion coefficient D = lim <r^2(t)> / (2 d t), as the slope of the mean square displacement (Einstein).

    A straight line is fitted to the lags of the diffusive part, each weighted by its error, so that what particles
    moved before they diffused counts as an intercept and not as diffusion. Lags of so few time origins that they have
    no error are left out, where there are two others.

    Parameters
    ----------
    correlations : xarray.Dataset
        With ``msd``: of `mean_square_displacement` or `self_correlations`.
    shortest : float, optional
        Lag from which on motion is diffusive. By default the first from which d log <r^2> / d log t between
        neighbouring lags stays between `exponent` and 2 - `exponent`, for each species by itself.
    exponent : float, default 0.9
        See `shortest`.

    Returns
    -------
    xarray.Dataset
        ``diffusion`` (species) and ``diffusion_total``, in length^2 / time; ``shortest`` (species) and
        ``shortest_total``, where the fit begins; ``points`` and ``points_total``, lags in it. NaN where fewer than two
        lags are diffusive. The ``_error`` is the largest relative error of the displacements that are fitted, times D:
        displacements at neighbouring lags are of the same motion, so that more lags do not make it smaller.

    Raises
    ------
    SchemaError
        When there is no mean square displacement.
    ParameterError
        When a number is out of range.

    Examples
    --------
    A cage of size 0.1 that is left with D = 0.01:

    >>> lag = np.array([1.0, 2.0, 4.0, 100.0, 200.0, 400.0])
    >>> msd = np.where(lag < 50, 0.1, 0.1 + 6 * 0.01 * lag)
    >>> curve = xr.Dataset({"msd": (("species", "lag"), msd[None])}, {"species": ["A"], "lag": lag}, {"dimension": 3})
    >>> found = diffusion_coefficient(curve)
    >>> found["diffusion"].values.round(6).tolist(), found["shortest"].values.tolist()
    ([0.01], [100.0])
    """
    check_kind(correlations, xr.Dataset, "the correlations", "give the result of mean_square_displacement")
    if not {"msd", "msd_total"} & {*correlations} or "dimension" not in correlations.attrs:
        raise SchemaError("no variable 'msd' (species, lag): give the result of mean_square_displacement")
    shortest = converted(shortest, Positive | None, "shortest")
    exponent = converted(exponent, Exponent, "exponent")
    correlations = correlations.sortby("lag")
    lag = np.asarray(correlations["lag"].values, dtype=np.float64)
    if (twice := np.flatnonzero(np.diff(lag) == 0)).size:
        raise ParameterError(
            f"the lag {lag[twice[0]]:g} is there twice: leave one out, correlations.drop_duplicates('lag')"
        )
    variables: dict[str, Any] = {}
    for end in ("", "_total"):
        if f"msd{end}" not in correlations:
            continue
        curve = correlations[f"msd{end}"]
        error = correlations.get(f"msd{end}_error", xr.full_like(curve, np.nan))
        found = xr.apply_ufunc(
            _slope, curve, error, input_core_dims=[["lag"], ["lag"]], output_core_dims=[["value"]], vectorize=True,
            kwargs={"lag": lag, "shortest": shortest, "exponent": exponent},
        )  # fmt: skip
        scale = 2.0 * correlations.attrs["dimension"]
        variables[f"diffusion{end}"] = found.isel(value=0) / scale
        variables[f"diffusion{end}_error"] = found.isel(value=1) / scale
        variables[f"shortest{end}"] = found.isel(value=2)
        variables[f"points{end}"] = found.isel(value=3).astype(np.int64)
    return annotated(xr.Dataset(variables, attrs={"dimension": correlations.attrs["dimension"]}))


def stokes_einstein(
    diffusion: Sequence[float],
    tau: Sequence[float],
    diffusion_error: Sequence[float] | None = None,
    tau_error: Sequence[float] | None = None,
) -> xr.Dataset:
    """How diffusion parts from relaxation: the exponent of D ~ tau^-xi, and D tau.

    In a simple liquid xi = 1, as Stokes and Einstein have it with tau in place of viscosity over temperature; less in
    a supercooled one, where diffusion is of the fast particles and relaxation of the slow ones [1]_.

    Parameters
    ----------
    diffusion, tau : sequence of float
        Of the same states, at least two that differ, the first one the reference: the hottest.
    diffusion_error, tau_error : sequence of float, optional
        Standard errors; the weights of the fit of log D are from both, with the slope at 1.

    Returns
    -------
    xarray.Dataset
        ``xi`` and its ``_error``, from the scatter about the fit and NaN with two states; ``ratio`` (state), D tau
        over that of the first state.

    Raises
    ------
    ParameterError
        When the numbers are not as many, or not positive and finite.

    References
    ----------
    .. [1] S. Sengupta, S. Karmakar, C. Dasgupta and S. Sastry, J. Chem. Phys. 138, 12A548 (2013).

    Examples
    --------
    >>> tau = np.array([1.0, 10.0, 100.0])
    >>> found = stokes_einstein(0.1 * tau**-0.8, tau)
    >>> float(found["xi"].round(6)), found["ratio"].values.round(3).tolist()
    (0.8, [1.0, 1.585, 2.512])
    """
    D, t = (np.asarray(values, dtype=np.float64) for values in (diffusion, tau))
    errors = [np.zeros_like(D) if e is None else np.asarray(e, dtype=np.float64) for e in (diffusion_error, tau_error)]
    if D.ndim != 1 or any(values.shape != D.shape for values in (t, *errors)) or len(np.unique(t)) < 2:
        raise ParameterError(
            f"{D.size} diffusion coefficients and {t.size} times: expected as many of each, of two states or more"
        )
    if not all((np.isfinite(values) & (values > 0)).all() for values in (D, t)) or not np.isfinite(errors).all():
        raise ParameterError(
            "diffusion coefficients and times must be positive and finite, and errors finite: leave out states that "
            "have none"
        )
    spread = np.hypot(errors[0] / D, errors[1] / t)
    weight = 1.0 / spread if (spread > 0).all() else np.ones_like(D)
    design = np.stack([np.ones_like(D), -np.log(t)], axis=1) * weight[:, None]
    solution = np.linalg.lstsq(design, np.log(D) * weight, rcond=None)[0]
    error = math.sqrt(covariance(design, np.log(D) * weight - design @ solution)[1, 1])
    return annotated(xr.Dataset({"xi": solution[1], "xi_error": error, "ratio": ("state", D * t / (D[0] * t[0]))}))


def _slope(
    msd: np.ndarray, error: np.ndarray, *, lag: np.ndarray, shortest: float | None, exponent: float
) -> np.ndarray:
    """d <r^2> / dt of the diffusive part, its error, where it begins, and of how many lags."""
    known = (lag > 0) & np.isfinite(msd) & (msd > 0)
    sure = known & np.isfinite(error) & (error > 0)
    weighted = np.count_nonzero(sure) >= 2
    t, y, sigma = (values[sure if weighted else known] for values in (lag, msd, error))
    if shortest is None:
        slope = np.diff(np.log(y)) / np.diff(np.log(t))
        other = np.flatnonzero(np.abs(slope - 1.0) > 1.0 - exponent)
        begin = int(other[-1]) + 1 if len(other) else 0
    else:
        begin = int(np.searchsorted(t, shortest * (1 - 1e-9)))
    t, y, sigma = t[begin:], y[begin:], sigma[begin:]
    if len(t) < 2:
        return np.array([np.nan, np.nan, np.nan, len(t)])
    slope = np.polyfit(t, y, 1, w=1.0 / (sigma if weighted else y))[0]
    return np.array([slope, abs(slope) * np.max(sigma / y), t[0], len(t)])
