"""Laws of the relaxation time's growth on cooling, fitted and compared; stretched exponentials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.optimize import least_squares, minimize_scalar

from glassdask.declarations import Positive, converted
from glassdask.dynamics.relaxation import covariance
from glassdask.errors import ConvergenceError, ParameterError, SchemaError
from glassdask.schema import check_kind
from glassdask.variables import annotated

LawName = Literal["arrhenius", "vft", "parabolic", "mode_coupling"]
# Values of the temperature in a law that are tried before the best one is refined.
GRID = 200
# How far from the data it is looked for, in parts of the lowest temperature, or of the highest.
NEAREST, FURTHEST = 1e-6, 10.0
# Of a correlation, what is fitted with a stretched exponential: after the first decay, before the noise.
HIGHEST, LOWEST = 0.75, 0.02


@dataclass(frozen=True)
class _Law:
    """log tau = a + b phi(T, theta), theta a temperature.

    `parameters` gives the law's own, by name, of a, b and theta.
    """

    phi: Callable[[np.ndarray, float], np.ndarray]
    parameters: Callable[[float, float, float], dict[str, float]]
    temperature: str = ""  # the name of theta; none where phi has none
    above: bool = False  # whether theta is above all temperatures, else between 0 and the lowest

    @property
    def n_parameters(self) -> int:
        return 3 if self.temperature else 2


LAWS = {
    "arrhenius": _Law(lambda T, _: 1.0 / T, lambda a, b, _: {"tau_0": math.exp(a), "activation_energy": b}),
    "vft": _Law(lambda T, x: 1.0 / (T - x), lambda a, b, x: {"tau_0": math.exp(a), "strength": b / x, "T_0": x}, "T_0"),
    "parabolic": _Law(
        lambda T, x: (1.0 / T - 1.0 / x) ** 2,
        lambda a, b, x: {"tau_0": math.exp(a), "barrier": math.sqrt(max(b, 0.0)), "T_onset": x},
        "T_onset",
        above=True,
    ),
    "mode_coupling": _Law(
        lambda T, x: -np.log(T - x), lambda a, b, x: {"tau_0": math.exp(a), "gamma": b, "T_c": x}, "T_c"
    ),
}


def fit_law(
    temperature: Sequence[float],
    tau: Sequence[float],
    law: LawName,
    tau_error: Sequence[float] | None = None,
    *,
    tau_g: float | None = None,
) -> xr.Dataset:
    r"""Fit of a law of the relaxation time, by least squares of log tau, weighted by the relative errors of tau.

    - ``arrhenius``: tau = tau_0 exp(E / T); E is ``activation_energy``
    - ``vft``: tau = tau_0 exp(D T_0 / (T - T_0)), of Vogel, Fulcher and Tammann; D is ``strength``
    - ``parabolic``: tau = tau_0 exp(J^2 (1/T - 1/T_o)^2) below the onset temperature T_o, ``T_onset``; J is ``barrier``
      [1]_
    - ``mode_coupling``: tau = tau_0 (T - T_c)^(-gamma)

    Give only the points that are to be fitted: the power law of mode-coupling theory holds at best in a window, since
    at low temperatures tau grows more slowly; the parabolic law below the onset.

    Parameters
    ----------
    temperature, tau : sequence of float
        At least as many different temperatures as the law has parameters.
    law : LawName
        Its name.
    tau_error : sequence of float, optional
        Standard errors of tau.
    tau_g : float, optional
        Relaxation time at which a liquid counts as a glass.

    Returns
    -------
    xarray.Dataset
        The parameters, each with ``_error`` from the curvature of the sum of squares and the scatter about the fit, NaN
        where no more points than parameters are given; ``misfit``, the root mean square of log tau minus its fit; with
        `tau_g`, ``T_g``, where tau reaches it, and ``fragility``, d log10(tau) / d(T_g / T) there. Attributes ``law``,
        and ``range``, the lowest and the highest temperature.

    Raises
    ------
    ParameterError
        When there are fewer points, a number is not positive and finite, or the law is another one.
    ConvergenceError
        When no temperature of the law fits best, or tau falls on cooling.

    References
    ----------
    .. [1] Y. S. Elmatad, D. Chandler and J. P. Garrahan, J. Phys. Chem. B 113, 5563 (2009).

    Examples
    --------
    >>> T = np.array([0.47, 0.5, 0.55, 0.6, 0.8])
    >>> fit = fit_law(T, 3.0 * (T - 0.435) ** -2.4, "mode_coupling")
    >>> float(fit.T_c.round(6)), float(fit.gamma.round(5)), float(fit.tau_0.round(4))
    (0.435, 2.4, 3.0)
    """
    law = converted(law, LawName, "law")
    tau_g = converted(tau_g, Positive | None, "tau_g")
    T, log_tau, weight = _points(temperature, tau, tau_error, law)
    form = LAWS[law]
    theta = _temperature(form, T, log_tau, weight, law)
    (a, b), residual = _straight(form, T, log_tau, weight, theta)
    if not b > 0:
        raise ConvergenceError(f"{law}: the times do not grow on cooling: choose other temperatures")
    values = form.parameters(a, b, theta)
    columns = [np.ones_like(T), form.phi(T, theta)]
    if form.temperature:
        step = 1e-6 * float(np.abs(T - theta).min())
        columns.append(b * (form.phi(T, theta + step) - form.phi(T, theta - step)) / (2.0 * step))
    spread = covariance(np.stack(columns, axis=1) * weight[:, None], residual)
    at = np.array([a, b, theta][: form.n_parameters])
    variables: dict[str, Any] = {}
    for name, value in values.items():
        slopes = np.empty(len(at))
        for n, x in enumerate(at):
            step = 1e-6 * max(abs(x), 1e-6)
            up, down = (
                form.parameters(*np.append(at, theta)[:3] + sign * step * (np.arange(3) == n))[name] for sign in (1, -1)
            )
            slopes[n] = (up - down) / (2.0 * step)
        variables[name], variables[f"{name}_error"] = value, math.sqrt(slopes @ spread @ slopes)
    variables["misfit"] = float(np.sqrt(np.mean((residual / weight) ** 2)))
    if tau_g is not None:
        variables["T_g"], variables["fragility"] = _glass(form, a, b, theta, math.log(tau_g))
    return annotated(xr.Dataset(variables, attrs={"law": law, "range": [float(T.min()), float(T.max())]}))


def compare_laws(
    temperature: Sequence[float],
    tau: Sequence[float],
    tau_error: Sequence[float] | None = None,
    laws: Sequence[LawName] = ("arrhenius", "vft", "parabolic", "mode_coupling"),
) -> xr.Dataset:
    """Which of some laws of the relaxation time describes it best, by Akaike's criterion.

    AICc = n log(RSS / n) + 2 p + 2 p (p + 1) / (n - p - 1), RSS the weighted sum of squares of n points, p the number
    of parameters of the law and 1 for the scatter. Lower is better; a difference of less than 2 says nothing, one of
    10 a lot.

    Parameters
    ----------
    temperature, tau, tau_error : sequence of float
        See `fit_law`.
    laws : sequence of LawName
        Names.

    Returns
    -------
    xarray.Dataset
        ``aicc`` (law), minus that of the best one, and ``misfit`` (law): see `fit_law`. NaN where the law has no fit,
        and ``aicc`` where there are no more than p + 1 points.

    Raises
    ------
    ParameterError
        As `fit_law`.

    Examples
    --------
    >>> T = np.linspace(0.4, 1.0, 10)
    >>> tau = 0.1 * np.exp(3.0 / T) * (1 + 0.01 * np.cos(50 * T))
    >>> found = compare_laws(T, tau, laws=["arrhenius", "mode_coupling"])
    >>> str(found["law"].values[found["aicc"].argmin("law")])
    'arrhenius'
    """
    names = converted(laws, tuple[LawName, ...], "laws")
    aicc, misfit = np.full((2, len(names)), np.nan)
    for n, name in enumerate(names):
        T, log_tau, weight = _points(temperature, tau, tau_error, name)
        form = LAWS[name]
        try:
            theta = _temperature(form, T, log_tau, weight, name)
        except ConvergenceError:
            continue
        (_, b), residual = _straight(form, T, log_tau, weight, theta)
        if not b > 0:
            continue
        misfit[n] = np.sqrt(np.mean((residual / weight) ** 2))
        p, number = form.n_parameters + 1, len(T)
        if number > p + 1:
            rss = max(float(residual @ residual), np.finfo(float).tiny)
            aicc[n] = number * math.log(rss / number) + 2 * p + 2 * p * (p + 1) / (number - p - 1)
    if np.isfinite(aicc).any():
        aicc -= np.nanmin(aicc)
    return annotated(xr.Dataset({"aicc": ("law", aicc), "misfit": ("law", misfit)}, coords={"law": list(names)}))


def stretched_exponential(
    correlations: xr.Dataset, quantity: str = "fs", highest: float = HIGHEST, lowest: float = LOWEST
) -> xr.Dataset:
    """Fit of A exp(-(t / tau)^beta), of Kohlrausch, Williams and Watts, to the end of a correlation.

    By least squares of all values between `highest` and `lowest`, which leaves out the decay to the plateau and the
    noise, from the first value below `highest` to the first one below `lowest`.

    Parameters
    ----------
    correlations : xarray.Dataset
        Result of `self_correlations`, `intermediate_scattering` or another with a dimension ``lag``.
    quantity : str, default "fs"
        Such as "fs" or "overlap".
    highest, lowest : float
        Below the plateau, and above the noise.

    Returns
    -------
    xarray.Dataset
        ``amplitude``, ``tau`` and ``beta`` of each species, with ``_error``, ``misfit`` and ``points``; the same with
        ``_total`` where the correlations have it. NaN where fewer than four lags are in between or there is no fit.
        The errors are from the curvature of the sum of squares and the scatter: values at neighbouring lags scatter
        together, so that they are lower estimates.

    Raises
    ------
    SchemaError
        When the quantity is not there, or has no lags.
    ParameterError
        When highest is not above lowest, or they are not between 0 and 1.

    Examples
    --------
    >>> lag = np.geomspace(0.1, 100.0, 40)
    >>> fs = xr.DataArray(0.8 * np.exp(-((lag / 5.0) ** 0.6))[None], dims=("species", "lag"))
    >>> found = stretched_exponential(xr.Dataset({"fs": fs}, coords={"species": ["A"], "lag": lag}))
    >>> [float(found[name][0].round(6)) for name in ("amplitude", "tau", "beta")]
    [0.8, 5.0, 0.6]
    """
    check_kind(correlations, xr.Dataset, "the correlations", "give the result of self_correlations")
    if not isinstance(quantity, str) or quantity not in correlations or "lag" not in correlations[quantity].dims:
        raise SchemaError(
            f"no variable {quantity!r} (..., lag): give one of {', '.join(map(str, correlations.data_vars))}"
        )
    highest, lowest = (converted(value, Positive, name) for name, value in (("highest", highest), ("lowest", lowest)))
    if not lowest < highest <= 1.0:
        raise ParameterError(f"highest {highest:g} and lowest {lowest:g}: expected 0 < lowest < highest <= 1")
    lag = np.asarray(correlations["lag"].values, dtype=np.float64)
    variables = {}
    for end in ("", "_total"):
        if f"{quantity}{end}" not in correlations:
            continue
        curve = correlations[f"{quantity}{end}"]
        found = xr.apply_ufunc(
            _stretched, curve, input_core_dims=[["lag"]], output_core_dims=[["value"]], vectorize=True,
            kwargs={"lag": lag, "highest": highest, "lowest": lowest},
        )  # fmt: skip
        for n, name in enumerate(("amplitude", "tau", "beta")):
            variables[f"{name}{end}"] = found.isel(value=n)
            variables[f"{name}{end}_error"] = found.isel(value=3 + n)
        variables[f"misfit{end}"] = found.isel(value=6)
        variables[f"points{end}"] = found.isel(value=7).astype(np.int64)
    attrs = {"of": quantity, "highest": highest, "lowest": lowest}
    return annotated(xr.Dataset(variables, attrs=attrs))


def _points(
    temperature: Sequence[float], tau: Sequence[float], tau_error: Sequence[float] | None, law: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Temperatures, log tau and weights."""
    T, y = np.asarray(temperature, dtype=np.float64), np.asarray(tau, dtype=np.float64)
    sigma = np.ones_like(y) if tau_error is None else np.asarray(tau_error, dtype=np.float64)
    needed = LAWS[law].n_parameters
    if T.ndim != 1 or T.shape != y.shape or T.shape != sigma.shape or len(np.unique(T)) < needed:
        raise ParameterError(
            f"{len(np.unique(T))} temperatures and {y.size} times: expected at least "
            f"{'two' if needed == 2 else 'three'} of each"
        )
    if not all((np.isfinite(values) & (values > 0)).all() for values in (T, y, sigma)):
        raise ParameterError("temperatures, times and errors must be positive and finite: leave out undefined points")
    return T, np.log(y), np.ones_like(y) if tau_error is None else y / sigma


def _straight(
    form: _Law, T: np.ndarray, log_tau: np.ndarray, weight: np.ndarray, theta: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best a and b for this theta, and the weighted residuals."""
    design = np.stack([np.ones_like(T), form.phi(T, theta)], axis=1)
    solution = np.linalg.lstsq(design * weight[:, None], log_tau * weight, rcond=None)[0]
    return solution, (log_tau - design @ solution) * weight


def _temperature(form: _Law, T: np.ndarray, log_tau: np.ndarray, weight: np.ndarray, law: str) -> float:
    """The temperature of the law that fits best."""
    if not form.temperature:
        return math.nan
    edge, sign, furthest = (T.max(), 1.0, FURTHEST) if form.above else (T.min(), -1.0, 1.0)

    def misfit(log_gap: float) -> float:
        return float(np.sum(_straight(form, T, log_tau, weight, edge + sign * math.exp(log_gap))[1] ** 2))

    # the distance from the data, on a logarithmic scale
    grid = np.linspace(math.log(NEAREST * edge), math.log(furthest * edge), GRID)
    if not form.above:
        grid = grid[:-1]  # theta = 0 is another law
    best = int(np.argmin([misfit(x) for x in grid]))
    if best in (0, len(grid) - 1):
        where = f"{edge:g} and {(1 + furthest) * edge:g}" if form.above else f"0 and the lowest temperature {edge:g}"
        raise ConvergenceError(
            f"no {form.temperature} between {where} fits best: the times do not follow the law there; choose other "
            "temperatures"
        )
    found = minimize_scalar(misfit, bounds=(grid[best - 1], grid[best + 1]), method="bounded", options={"xatol": 1e-12})
    return float(edge + sign * math.exp(found.x))


def _glass(form: _Law, a: float, b: float, theta: float, log_tau_g: float) -> tuple[float, float]:
    """Temperature at which log tau reaches a value, and the fragility there; NaN where it does not."""
    wanted = (log_tau_g - a) / b  # phi
    if form is LAWS["mode_coupling"]:
        T = theta + math.exp(-wanted)
    elif wanted <= 0:
        return math.nan, math.nan
    elif form.above:
        T = 1.0 / (1.0 / theta + math.sqrt(wanted))
    else:
        T = (theta if form.temperature else 0.0) + 1.0 / wanted
    step = 1e-6 * (T - theta if form.temperature and not form.above else T)
    slope = (form.phi(np.array([T + step]), theta) - form.phi(np.array([T - step]), theta))[0] / (2.0 * step)
    return T, -b * slope * T / math.log(10.0)


def _stretched(curve: np.ndarray, *, lag: np.ndarray, highest: float, lowest: float) -> np.ndarray:
    """A, tau, beta, their errors, the misfit and the points."""
    order = np.argsort(lag)
    order = order[lag[order] > 0]
    y, t = curve[order], lag[order]
    begin = int(np.argmax(y < highest)) if (y < highest).any() else len(y)
    end = begin + (int(np.argmax(y[begin:] < lowest)) if (y[begin:] < lowest).any() else len(y) - begin)
    y, t = y[begin:end], t[begin:end]
    nothing = np.append(np.full(7, np.nan), len(y))
    if len(y) < 4:
        return nothing
    # where the search begins: at 1/e of the first value
    near = float(np.interp(-y[0] / math.e, -y, t))

    def deviations(p: np.ndarray) -> np.ndarray:
        return p[0] * np.exp(-np.exp(p[2] * (np.log(t) - p[1]))) - y

    found = least_squares(deviations, [max(highest, y[0]), math.log(near), 0.7], x_scale=[1.0, 1.0, 1.0])
    amplitude, log_tau, beta = found.x
    if not (found.success and amplitude > 0 and 0.05 < beta < 5.0):
        return nothing
    error = np.sqrt(np.diag(covariance(found.jac, found.fun)))
    tau = math.exp(log_tau)
    misfit = math.sqrt(np.mean(found.fun**2))
    return np.array([amplitude, tau, beta, error[0], tau * error[1], error[2], misfit, len(y)])
