"""Times and temperatures from curves: tau_alpha, and where two straight lines meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr

from glassdask.declarations import Where, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.schema import check_kind
from glassdask.variables import annotated


def relaxation_time(correlations: xr.Dataset, quantity: str = "fs", level: float = math.exp(-1.0)) -> xr.Dataset:
    """Time at which a correlation has decayed to `level`: with F_s(k*, t) and 1/e the structural relaxation time.

    The first crossing, interpolated linearly in the logarithm of the time. Its error is that of the correlation there
    over its slope.

    Parameters
    ----------
    correlations : xarray.Dataset
        Result of `self_correlations`, `self_intermediate_scattering` or `overlap`, its lags in any order.
    quantity : str, default "fs"
        "fs" or "overlap".
    level : float
        Between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``tau`` (species), ``tau_error`` (species), ``tau_total``, ``tau_total_error``, in the unit of the lags. NaN
        where the correlation starts below the level or never falls to it; the error also where that of the correlation
        is.

    Raises
    ------
    SchemaError
        When the quantity is not there, or the lags are not times from 0 on that differ.
    ParameterError
        When the quantity is another one, or the level not between 0 and 1.

    Examples
    --------
    >>> lag = np.array([1.0, 10.0, 100.0])
    >>> fs = xr.Dataset({"fs": (("species", "lag"), [[0.9, 0.5, 0.2]])}, coords={"species": ["A"], "lag": lag})
    >>> relaxation_time(fs)["tau"].values.round(1).tolist(), round(10 ** (1 + (0.5 - 1 / math.e) / 0.3), 1)
    ([27.6], 27.6)
    """
    check_kind(correlations, xr.Dataset, "the correlations", "give the result of self_correlations")
    quantity = converted(quantity, Literal["fs", "overlap"], "quantity")
    if quantity not in correlations:
        raise SchemaError(
            f"no variable '{quantity}', found {', '.join(sorted(map(str, correlations)))}: give the result of "
            f"self_correlations with {'k' if quantity == 'fs' else 'a'}"
        )
    level = converted(level, Annotated[float, Where(lambda x: 0 < x < 1, "a number between 0 and 1")], "level")
    if "lag" not in correlations.coords or correlations["lag"].dims != ("lag",):
        raise SchemaError("no coordinate 'lag' (lag): give the result of self_correlations, or assign_coords(lag=...)")
    correlations = correlations.sortby("lag")  # the first crossing is the one at the shortest lag
    lag = np.asarray(correlations["lag"].values, dtype=np.float64)
    if not (np.isfinite(lag) & (lag >= 0)).all() or not (np.diff(lag) > 0).all():
        raise SchemaError(f"lags {lag.tolist()}: expected times from 0 on, each once")
    if len(lag) and lag[0] == 0.0:  # as F_s of `intermediate_scattering` has it, where nothing has decayed yet
        correlations, lag = correlations.isel(lag=slice(1, None)), lag[1:]
    variables: dict[str, Any] = {}
    for name, result in ((quantity, "tau"), (f"{quantity}_total", "tau_total")):
        if name not in correlations:
            continue
        curve = correlations[name]
        error = correlations.get(f"{name}_error", xr.full_like(curve, np.nan))
        rows = [str(dim) for dim in curve.dims if dim != "lag"]
        tau, tau_error = xr.apply_ufunc(
            _crossing,
            curve,
            error,
            input_core_dims=[["lag"], ["lag"]],
            output_core_dims=[[], []],
            kwargs={"lag": lag, "level": level},
            vectorize=True,
        )
        variables[result] = (rows, tau.data, {"of": name, "level": level})
        variables[f"{result}_error"] = (rows, tau_error.data)
    coords = {name: c for name, c in correlations.coords.items() if "lag" not in c.dims}
    return annotated(xr.Dataset(variables, coords=coords))


def _crossing(curve: np.ndarray, error: np.ndarray, lag: np.ndarray, level: float) -> tuple[float, float]:
    below = np.nonzero(curve < level)[0]
    if len(below) == 0 or below[0] == 0:
        return math.nan, math.nan
    i = int(below[0])
    slope = (curve[i] - curve[i - 1]) / math.log(lag[i] / lag[i - 1])
    share = (level - curve[i - 1]) / (curve[i] - curve[i - 1])
    tau = lag[i - 1] * (lag[i] / lag[i - 1]) ** share
    at_crossing = (1.0 - share) * error[i - 1] + share * error[i]
    return tau, tau * at_crossing / abs(slope)


def crossover_temperature(
    temperature: Sequence[float],
    energy: Sequence[float],
    lower: tuple[float, float],
    upper: tuple[float, float],
) -> xr.Dataset:
    """Temperature at which straight lines fitted to two ranges of a curve E(T) meet.

    With the energy E_0 of inherent structures along a cooling run (paper C, supplement II): the glass transition T* is
    where the nearly constant part at low temperatures meets the part that rises linearly; the onset of slow dynamics
    is where that part meets the plateau at high temperatures [1]_.

    Parameters
    ----------
    temperature, energy : sequence of float
        The curve, in any order.
    lower, upper : tuple of 2 float
        First and last temperature of the two ranges, each with at least two points.

    Returns
    -------
    xarray.Dataset
        ``temperature`` and ``energy`` of the crossing; ``temperature_error`` from the scatter about both lines, NaN
        when a range has two points; ``slope`` (range) and ``intercept`` (range) of the lines.

    Raises
    ------
    ParameterError
        When a range holds fewer than two temperatures, the ranges overlap, or the lines are parallel.

    References
    ----------
    .. [1] S. Sastry, P. G. Debenedetti and F. H. Stillinger, Nature 393, 554 (1998).

    Examples
    --------
    >>> T = np.linspace(0.05, 0.8, 16)
    >>> E = np.where(T < 0.37, -3.9, -3.9 + 0.5 * (T - 0.37))
    >>> float(crossover_temperature(T, E, lower=(0.0, 0.3), upper=(0.4, 0.8))["temperature"].round(6))
    0.37
    """
    T, E = np.asarray(temperature, dtype=np.float64), np.asarray(energy, dtype=np.float64)
    if T.ndim != 1 or T.shape != E.shape or not (np.isfinite(T) & np.isfinite(E)).all():
        raise ParameterError(f"temperatures {T.shape} and energies {E.shape}: expected finite values, one each")
    if not lower[0] < lower[1] <= upper[0] < upper[1]:
        raise ParameterError(f"ranges {lower} and {upper}: expected one below the other")
    lines, variances = [], []
    for low, high in (lower, upper):
        inside = (low <= T) & (high >= T)
        if len(np.unique(T[inside])) < 2:
            raise ParameterError(f"{inside.sum()} points between {low:g} and {high:g}: expected two temperatures")
        design = np.stack([np.ones(inside.sum()), T[inside]], axis=1)
        line = np.linalg.lstsq(design, E[inside], rcond=None)[0]
        lines.append(line)
        variances.append(covariance(design, E[inside] - design @ line))
    difference = lines[1] - lines[0]
    spread = np.ptp(E) or 1.0
    if abs(difference[1]) * np.ptp(T) < 1e-9 * spread:
        raise ParameterError(f"the lines of {lower} and {upper} are parallel: choose other ranges")
    crossing = -difference[0] / difference[1]
    slopes = -np.array([1.0, crossing]) / difference[1]
    error = math.sqrt(slopes @ (variances[0] + variances[1]) @ slopes)
    kinds = ["lower", "upper"]
    found = {
        "temperature": crossing,
        "temperature_error": error,
        "energy": lines[0] @ np.array([1.0, crossing]),
        "slope": ("range", [line[1] for line in lines]),
        "intercept": ("range", [line[0] for line in lines]),
    }
    return annotated(xr.Dataset(found, coords={"range": kinds}))


def covariance(jacobian: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Covariance of least-squares parameters; NaN when nothing is left to tell the scatter."""
    free = len(residual) - jacobian.shape[1]
    variance = float(residual @ residual) / free if free > 0 else math.nan
    return np.linalg.inv(jacobian.T @ jacobian) * variance
