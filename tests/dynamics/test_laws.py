"""Laws of the relaxation time, and stretched exponentials: exact and noisy curves, errors, what has no fit."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from glassdask.dynamics import compare_laws, fit_law, stretched_exponential
from glassdask.errors import ConvergenceError, ParameterError, SchemaError


def test_power_law_with_noise():
    rng = np.random.default_rng(1)
    T = np.array([0.466, 0.475, 0.5, 0.55, 0.6, 0.7, 0.8])
    deviation = []
    for _ in range(200):
        tau = 2.0 * (T - 0.435) ** -2.4 * np.exp(rng.normal(scale=0.02, size=T.shape))
        fit = fit_law(T, tau, "mode_coupling", 0.02 * tau)
        deviation.append([(fit.T_c - 0.435) / fit.T_c_error, (fit.gamma - 2.4) / fit.gamma_error])
        assert abs(fit.T_c - 0.435) < 0.01
        assert abs(fit.tau_0 - 2.0) < 0.6
    # Student's t with four degrees of freedom: its root mean square is the square root of 2
    assert (np.sqrt(np.mean(np.square(deviation), axis=0)) < 2.0).all()
    assert (np.abs(np.mean(deviation, axis=0)) < 0.4).all()


def test_power_law_in_other_units():
    T, tau = np.array([0.47, 0.5, 0.55, 0.6]), np.array([900.0, 200.0, 60.0, 30.0])
    fit, scaled = (fit_law(x, y, "mode_coupling") for x, y in ((T, tau), (1000 * T, 7 * tau)))
    np.testing.assert_allclose(scaled.T_c, 1000 * fit.T_c, rtol=1e-6)
    np.testing.assert_allclose(scaled.gamma, fit.gamma, rtol=1e-4)
    np.testing.assert_allclose(scaled.T_c_error, 1000 * fit.T_c_error, rtol=1e-3)


def test_three_points_have_no_error():
    T = np.array([0.5, 0.6, 0.8])
    fit = fit_law(T, (T - 0.4) ** -2.0, "mode_coupling")
    assert float(fit.T_c) == pytest.approx(0.4, abs=1e-6)
    assert np.isnan(fit.T_c_error)


def test_bad_power_laws():
    T = np.array([0.5, 0.6, 0.7, 0.8])
    with pytest.raises(ConvergenceError, match="no T_c between 0"):
        fit_law(T, T, "mode_coupling")  # rises
    with pytest.raises(ConvergenceError):
        fit_law(T, np.exp(-T), "mode_coupling")  # too slow for a power law above T = 0
    with pytest.raises(ParameterError, match="at least three"):
        fit_law(T[:2], T[:2], "mode_coupling")
    with pytest.raises(ParameterError, match="positive and finite"):
        fit_law(T, [1.0, np.nan, 0.5, 0.4], "mode_coupling")


T = np.array([0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0])
CURVES = {
    "arrhenius": (0.3 * np.exp(4.0 / T), {"tau_0": 0.3, "activation_energy": 4.0}),
    "vft": (0.2 * np.exp(2.5 * 0.3 / (T - 0.3)), {"tau_0": 0.2, "strength": 2.5, "T_0": 0.3}),
    "parabolic": (2.0 * np.exp(1.5**2 * (1 / T - 1 / 1.3) ** 2), {"tau_0": 2.0, "barrier": 1.5, "T_onset": 1.3}),
    "mode_coupling": (3.0 * (T - 0.42) ** -2.3, {"tau_0": 3.0, "gamma": 2.3, "T_c": 0.42}),
}


@pytest.mark.parametrize("law", CURVES)
def test_exact_curves(law):
    tau, expected = CURVES[law]
    fit = fit_law(T, tau, law)
    for name, value in expected.items():
        assert float(fit[name]) == pytest.approx(value, rel=1e-4)
        assert float(fit[f"{name}_error"]) < 1e-3
    assert float(fit["misfit"]) < 1e-6
    assert fit.attrs == {"law": law, "range": [0.45, 1.0]}


@pytest.mark.parametrize("law", CURVES)
def test_errors_are_the_scatter_of_repeated_fits(law):
    rng = np.random.default_rng(5)
    tau, expected = CURVES[law]
    deviation = []
    for _ in range(150):
        fit = fit_law(T, tau * np.exp(rng.normal(scale=0.01, size=T.shape)), law, 0.01 * tau)
        deviation.append([(float(fit[name]) - value) / float(fit[f"{name}_error"]) for name, value in expected.items()])
    # Student's t with four or five degrees of freedom
    spread = np.sqrt(np.mean(np.square(deviation), axis=0))
    assert (spread > 0.8).all()
    assert (spread < 2.2).all()


@pytest.mark.parametrize("law", CURVES)
def test_glass_temperature_and_fragility(law):
    tau, _ = CURVES[law]
    fit = fit_law(T, tau, law, tau_g=float(tau[2]))
    assert float(fit["T_g"]) == pytest.approx(0.55, rel=1e-5)
    step = 1e-5
    shifted = {
        "arrhenius": lambda x: 4.0 / x, "vft": lambda x: 0.75 / (x - 0.3),
        "parabolic": lambda x: 1.5**2 * (1 / x - 1 / 1.3) ** 2, "mode_coupling": lambda x: -2.3 * np.log(x - 0.42),
    }[law]  # fmt: skip
    low, high = (shifted(0.55 / y) / np.log(10) for y in (1 - step, 1 + step))
    assert float(fit["fragility"]) == pytest.approx((high - low) / (2 * step), rel=1e-3)
    never = fit_law(T, tau, law, tau_g=1e-30)
    assert np.isnan(never["T_g"]) or float(never["T_g"]) > 1.0


@pytest.mark.parametrize("law", CURVES)
def test_the_law_of_the_curve_is_the_best(law):
    tau = CURVES[law][0] * np.exp(np.random.default_rng(1).normal(scale=1e-3, size=T.shape))
    found = compare_laws(T, tau)
    best = found["aicc"].argmin("law")
    assert str(found["law"].values[best]) == law
    assert float(found["aicc"].min()) == 0.0
    assert float(found["misfit"][best]) < 3e-3


def test_what_has_no_fit():
    with pytest.raises(ConvergenceError, match="do not grow on cooling"):
        fit_law(T, T, "arrhenius")
    with pytest.raises(ConvergenceError, match="no T_onset between 1 and 11"):
        fit_law(T, np.exp(1 / T), "parabolic")
    assert np.isnan(compare_laws(T, T)["misfit"]).all()
    for wrong in ("vogel", None, 3):
        with pytest.raises(ParameterError, match="law: expected"):
            fit_law(T, 1 / T, wrong)
    with pytest.raises(ParameterError, match="tau_g: expected"):
        fit_law(T, 1 / T, "arrhenius", tau_g=-1.0)


class TestStretchedExponential:
    lag = np.geomspace(0.01, 1e3, 80)

    def curves(self, noise=0.0, seed=0):
        """Two species: a fast decay to the plateau, then a slow one; the second does not decay."""
        rng = np.random.default_rng(seed)
        slow = 0.2 * np.exp(-self.lag / 0.05) + 0.8 * np.exp(-((self.lag / 20.0) ** 0.6))
        both = np.stack([slow, np.full_like(slow, 0.9)]) + noise * rng.normal(size=(2, len(self.lag)))
        variables = {"fs": (("species", "lag"), both), "fs_total": ("lag", both[0])}
        return xr.Dataset(variables, coords={"species": ["A", "B"], "lag": self.lag})

    def test_the_slow_decay_is_found(self):
        found = stretched_exponential(self.curves(), highest=0.7)
        for name, value in {"amplitude": 0.8, "tau": 20.0, "beta": 0.6}.items():
            assert float(found[name][0]) == pytest.approx(value, rel=1e-3)
            assert float(found[f"{name}_total"]) == float(found[name][0])
            assert np.isnan(found[name][1])
        inside = (self.curves()["fs"][0] < 0.7) & (self.curves()["fs"][0] > 0.02)
        assert int(found["points"][0]) == int(inside.sum())
        assert int(found["points"][1]) == 0

    def test_errors_are_those_of_independent_noise(self):
        fits = [stretched_exponential(self.curves(0.003, seed), highest=0.6) for seed in range(60)]
        for name, value in {"amplitude": 0.8, "tau": 20.0, "beta": 0.6}.items():
            deviation = [(float(fit[name][0]) - value) / float(fit[f"{name}_error"][0]) for fit in fits]
            assert 0.7 < np.std(deviation) < 1.4

    def test_bad_input(self):
        with pytest.raises(ParameterError, match="lowest < highest"):
            stretched_exponential(self.curves(), highest=0.1, lowest=0.2)
        for wrong in ("overlap", None, 3):
            with pytest.raises(SchemaError, match="no variable"):
                stretched_exponential(self.curves(), wrong)
