"""Relaxation times and temperatures from curves of known form."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from glassdask.dynamics import crossover_temperature, relaxation_time
from glassdask.errors import ParameterError, SchemaError


def curve(lag, values, error=None, quantity="fs"):
    data = {quantity: (("species", "lag"), values)}
    if error is not None:
        data[f"{quantity}_error"] = (("species", "lag"), error)
    return xr.Dataset(data, coords={"species": list("AB")[: len(values)], "lag": lag})


def test_stretched_exponentials():
    lag = np.geomspace(1, 1e5, 60)
    values = np.exp(-((lag / np.array([[20.0], [3000.0]])) ** 0.6))
    found = relaxation_time(curve(lag, values, 0.01 * np.ones_like(values)))
    np.testing.assert_allclose(found["tau"], [20.0, 3000.0], rtol=2e-3)
    # d F / d log t = -0.6 / e at tau
    np.testing.assert_allclose(found["tau_error"] / found["tau"], 0.01 / (0.6 / np.e), rtol=0.03)
    half = relaxation_time(curve(lag, values, quantity="overlap"), "overlap", level=0.5)
    np.testing.assert_allclose(half["tau"], np.array([20.0, 3000.0]) * np.log(2) ** (1 / 0.6), rtol=2e-3)
    assert np.isnan(half["tau_error"]).all()


@pytest.mark.parametrize("order", [slice(None, None, -1), np.random.default_rng(0).permutation(60)])
def test_the_order_of_lags_does_not_matter(order):
    """Also of curves that come back up behind the first crossing."""
    lag = np.geomspace(1, 1e5, 60)
    values = np.exp(-((lag / np.array([[20.0], [3000.0]])) ** 0.6)) + 0.5 * (lag > 3e4)
    sorted_lags = curve(lag, values, 0.01 * np.ones_like(values))
    xr.testing.assert_identical(relaxation_time(sorted_lags.isel(lag=order)), relaxation_time(sorted_lags))


@pytest.mark.parametrize("lag", [[1.0, 1.0, 2.0], [0.0, 0.0, 2.0], [1.0, np.nan, 2.0], [-1.0, 1.0, 2.0]])
def test_lags_that_are_no_times_are_refused(lag):
    with pytest.raises(SchemaError, match="expected times from 0 on, each once"):
        relaxation_time(curve(lag, [[0.9, 0.5, 0.1]]))
    with pytest.raises(SchemaError, match="no coordinate 'lag'"):
        relaxation_time(curve(lag, [[0.9, 0.5, 0.1]]).drop_vars("lag"))


def test_a_lag_of_zero_has_not_decayed():
    """As F_s of `intermediate_scattering` begins."""
    later = curve([1.0, 2.0, 4.0], [[0.9, 0.5, 0.1]])
    xr.testing.assert_identical(
        relaxation_time(curve([0.0, 1.0, 2.0, 4.0], [[1.0, 0.9, 0.5, 0.1]])), relaxation_time(later)
    )


def test_curves_without_a_crossing():
    found = relaxation_time(curve([1.0, 2.0, 4.0], [[0.3, 0.2, 0.1], [0.9, 0.8, 0.7]]))
    assert np.isnan(found["tau"]).all()


def test_errors_are_the_scatter_of_noisy_curves():
    rng = np.random.default_rng(0)
    lag = np.geomspace(0.1, 100, 30)
    tau = []
    for _ in range(300):
        values = np.exp(-lag / 5.0) + rng.normal(scale=0.005, size=lag.shape)
        found = relaxation_time(curve(lag, values[None], np.full((1, 30), 0.005)))
        tau.append(float(found["tau"][0]))
    # the reported error is for errors that are fully correlated between neighbouring lags
    assert 0.6 < np.std(tau) / float(found["tau_error"][0]) < 1.1


def test_bad_relaxation():
    one = curve([1.0, 2.0], [[0.9, 0.1]])
    with pytest.raises(SchemaError, match="no variable 'overlap'"):
        relaxation_time(one, "overlap")
    with pytest.raises(ParameterError, match="level"):
        relaxation_time(one, level=1.0)


def test_crossing_with_noise():
    rng = np.random.default_rng(2)
    T = np.linspace(0.05, 1.5, 59)
    clean = np.where(T < 0.37, -3.9 + 0.01 * (T - 0.37), -3.9 + 0.5 * (T - 0.37))
    deviation = []
    for _ in range(200):
        fit = crossover_temperature(T, clean + rng.normal(scale=0.005, size=T.shape), (0.0, 0.3), (0.45, 1.5))
        deviation.append((float(fit.temperature) - 0.37) / float(fit.temperature_error))
    assert 0.8 < np.std(deviation) < 1.25
    assert abs(np.mean(deviation)) < 0.3


def test_onset_and_glass_transition_of_one_curve():
    T = np.linspace(0.05, 3.0, 119)
    E = np.interp(T, [0.0, 1.0, 2.0, 4.0], [-7.0, -7.0, -6.6, -6.6])
    star = crossover_temperature(T, E, lower=(0.0, 0.8), upper=(1.2, 1.8))
    onset = crossover_temperature(T, E, lower=(1.2, 1.8), upper=(2.2, 3.0))
    np.testing.assert_allclose([star.temperature, star.energy], [1.0, -7.0], atol=1e-9)
    np.testing.assert_allclose([onset.temperature, onset.energy], [2.0, -6.6], atol=1e-9)
    np.testing.assert_allclose(onset.slope, [0.4, 0.0], atol=1e-9)


def test_bad_crossings():
    T = np.linspace(0, 1, 11)
    with pytest.raises(ParameterError, match="parallel"):
        crossover_temperature(T, 2 * T, (0, 0.4), (0.6, 1))
    with pytest.raises(ParameterError, match="one below the other"):
        crossover_temperature(T, T, (0, 0.6), (0.4, 1))
    with pytest.raises(ParameterError, match=r"1 points between 0\.41"):
        crossover_temperature(T, T, (0, 0.4), (0.41, 0.55))
    with pytest.raises(ParameterError, match="finite"):
        crossover_temperature(T, T[:5], (0, 0.4), (0.6, 1))


@pytest.mark.parametrize("quantity", ["msd", "alpha2", "fs_total", "lag", None, 3])
def test_quantities_that_do_not_relax(quantity):
    curve = ("lag", [0.9, 0.5, 0.2])
    found = xr.Dataset({"msd": curve, "alpha2": curve, "fs": curve, "fs_total": curve}, coords={"lag": [1.0, 2.0, 3.0]})
    with pytest.raises(ParameterError, match=r"^quantity: expected"):
        relaxation_time(found, quantity)


def test_a_lag_that_is_no_dimension():
    found = xr.Dataset({"fs": ("lag", [0.9, 0.2])}, coords={"lag": [1.0, 2.0]})
    with pytest.raises(SchemaError, match=r"no coordinate 'lag' \(lag\)"):
        relaxation_time(found.isel(lag=0))
