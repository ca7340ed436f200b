"""chi_4 of other ensembles: two-level systems, planted laws, planted structure and chance, brute force, laziness."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.special import j0

import glassdask as gd
from glassdask.dynamics import canonical_susceptibility, dynamic_susceptibility, isoconfigurational_susceptibility
from glassdask.errors import ParameterError, SchemaError


def state(T, lag, chi4=0.5, species=False):
    """Q = exp(-t / tau), tau = exp(2 / T), its errors 1e-3, and some chi_4."""
    q = np.exp(-lag / np.exp(2.0 / T))
    found = {
        "overlap_total": ("lag", q, {"a": 0.3}),
        "overlap_total_error": ("lag", np.full_like(q, 1e-3)),
        "chi4_total": ("lag", np.full_like(q, chi4)),
        "chi4_total_error": ("lag", np.full_like(q, 0.01)),
    }
    if species:
        found["overlap"] = (("species", "lag"), np.stack([q, q**2]), {"a": 0.3})
        found["chi4"] = (("species", "lag"), np.full((2, len(lag)), chi4))
    return xr.Dataset(found, {"lag": lag, **({"species": ["A", "B"]} if species else {})}, {"dimension": 3})


def slope(T, lag):
    tau = np.exp(2.0 / T)
    return -np.exp(-lag / tau) * lag / tau * 2.0 / T**2


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_planted_law(order):
    T, lag = np.array([0.49, 0.5, 0.515])[order], np.geomspace(0.1, 300, 40)
    found = canonical_susceptibility([state(t, lag) for t in T], T, heat_capacity=3.0)
    for t, one in zip(T, found):
        expected = t**2 / 3.0 * slope(t, lag) ** 2
        # a parabola: errors of the square of the steps, once for the middle, twice for an end
        np.testing.assert_allclose(one["correction_total"], expected, atol=0.02 * expected.max())
        np.testing.assert_allclose(one["chi4_nvt_total"] - one["correction_total"], 0.5, atol=1e-12)
        assert (one["chi4_nvt_total_error"] >= 0.01).all()
        assert one["chi4_nvt_total"].attrs["a"] == 0.3


def test_heat_capacity_from_energies():
    """u = T^2: c_V = 2 T + 3/2, exactly, as a parabola is."""
    T, lag = [0.5, 0.6, 0.8], np.array([1.0, 10.0])
    found = canonical_susceptibility([state(t, lag) for t in T], T, energies=np.square(T))
    np.testing.assert_allclose([one["heat_capacity"] for one in found], 2 * np.array(T) + 1.5, rtol=1e-12)


def test_species_and_their_share():
    """What the energy does to a species is seen by its share of the particles."""
    T, lag = np.array([0.49, 0.5, 0.51]), np.array([2.0, 20.0])
    runs = [state(t, lag, species=True) for t in T]
    found = canonical_susceptibility(runs, T, heat_capacity=2.0, fractions={"B": 0.2, "A": 0.8})[1]
    np.testing.assert_allclose(found["correction"].sel(species="A"), 0.8 * found["correction_total"], rtol=1e-12)
    b = 0.5**2 / 2.0 * 0.2 * (2 * np.exp(-lag / np.exp(4.0)) * slope(0.5, lag)) ** 2
    np.testing.assert_allclose(found["correction"].sel(species="B"), b, rtol=0.01)


def test_other_lags_are_interpolated():
    T = [0.49, 0.5, 0.51]
    lags = [np.geomspace(0.1, 100, 400), np.geomspace(0.2, 300, 30), np.geomspace(0.05, 60, 300)]
    found = canonical_susceptibility([state(t, lag) for t, lag in zip(T, lags)], T, heat_capacity=3.0)[1]
    expected = 0.25 / 3.0 * slope(0.5, lags[1]) ** 2
    known = lags[1] <= 60
    np.testing.assert_allclose(found["correction_total"][known], expected[known], atol=0.01 * expected.max())
    assert found["correction_total"][~known].isnull().all()


def test_two_level_systems():
    """Sampled at constant energy chi_4 is zero; with the correction it is what constant temperature gives."""
    rng = np.random.default_rng(2)
    T, n, runs = np.array([0.68, 0.7, 0.72]), 400, []
    p = 1 / (1 + np.exp(1 / T))
    for x in p:
        # as many excited as the energy says, others in each frame; a particle is where it was if it is in the state 0
        excited = np.argsort(rng.random((200, n)), axis=1) < round(x * n)
        path = np.full((400, n, 2), 5.0)
        path[1::2, :, 0] += excited
        time = np.repeat(np.arange(200) * 100.0, 2) + np.tile([0.0, 1.0], 200)
        t = gd.from_arrays(path, species=["A"] * n, box=[12.0, 12.0], image=np.zeros(path.shape, int), time=time)
        runs.append(dynamic_susceptibility(t, a=0.5, lags=[1.0], origins=200))
    found = canonical_susceptibility(runs, T, heat_capacity=p * (1 - p) / T**2)[1]
    assert float(runs[1]["chi4_total"][0]) < 1e-12
    assert float(found["chi4_nvt_total"][0]) == pytest.approx(p[1] * (1 - p[1]), rel=0.1)


def test_bad_states():
    lag = np.array([1.0, 2.0])
    runs = [state(t, lag) for t in (0.5, 0.6)]
    for error, match, call in (
        (ParameterError, "as a list", lambda: canonical_susceptibility(runs[0], [0.5], heat_capacity=3.0)),
        (ParameterError, "at least two", lambda: canonical_susceptibility(runs[:1], [0.5], heat_capacity=3.0)),
        (ParameterError, "all different", lambda: canonical_susceptibility(runs, [0.5, 0.5], heat_capacity=3.0)),
        (ParameterError, "give heat_capacity", lambda: canonical_susceptibility(runs, [0.5, 0.6])),
        (ParameterError, "positive numbers", lambda: canonical_susceptibility(runs, [0.5, 0.6], heat_capacity=-1)),
        (ParameterError, "one for each", lambda: canonical_susceptibility(runs, [0.5, 0.6], energies=[1.0])),
        (SchemaError, "results of dynamic", lambda: canonical_susceptibility(
            [runs[0], runs[0].drop_vars("chi4_total")], [0.5, 0.6], heat_capacity=3.0)),
        (SchemaError, "give the same to all", lambda: canonical_susceptibility(
            [runs[0], runs[1].assign(overlap_total=runs[1]["overlap_total"].assign_attrs(a=0.4))], [0.5, 0.6],
            heat_capacity=3.0)),
        (ParameterError, "fractions", lambda: canonical_susceptibility(
            [state(t, lag, species=True) for t in (0.5, 0.6)], [0.5, 0.6], heat_capacity=3.0, fractions={"A": 1.0})),
    ):  # fmt: skip
        with pytest.raises(error, match=match) as raised:
            call()
        assert "\n" not in str(raised.value)


def start_of(n, d=3, species=None):
    return gd.from_arrays(np.ones((1, n, d)), species=["A"] * n if species is None else species, box=[9.0] * d)


def moves(flags):
    """Displacements (replica, particle, 3): by 1 where a flag is set."""
    return xr.DataArray(flags[..., None] * np.array([1.0, 0.0, 0.0]), dims=("replica", "particle", "space"))


def test_structure_and_chance():
    """A configuration decides the probability to move, chance the rest: binomial within, the law's variance between."""
    rng = np.random.default_rng(4)
    n, configurations, replicas = 50, 400, 6
    p = rng.beta(2.0, 2.0, configurations)  # mean 1/2, variance 1/20
    moved = [moves(rng.random((replicas, n)) < x) for x in p]
    found = isoconfigurational_susceptibility(moved, [start_of(n)] * configurations, a=0.5)
    within, between = (1 / 4 - 1 / 20), n / 20
    for name, expected in (("chi4_within", within), ("chi4_between", between), ("chi4", within + between)):
        value, error = float(found[f"{name}_total"][0]), float(found[f"{name}_total_error"][0])
        assert abs(value - expected) < 4 * error < expected, name


def test_chance_alone_has_nothing_between():
    """Unbiased: whatever the number of replicas, their own scatter is not taken for structure."""
    rng = np.random.default_rng(5)
    for replicas in (2, 5):
        moved = [moves(rng.random((replicas, 40)) < 0.3) for _ in range(600)]
        found = isoconfigurational_susceptibility(moved, [start_of(40)] * 600, a=0.5)
        assert abs(float(found["chi4_between_total"][0])) < 4 * float(found["chi4_between_total_error"][0]) < 0.1
        assert abs(float(found["chi4_within_total"][0]) - 0.21) < 4 * float(found["chi4_within_total_error"][0])


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_equals_brute_force(d, lazy):
    rng = np.random.default_rng(6)
    species = np.array(["A", "B", "A", "B", "A"] * 4)
    values = rng.normal(scale=0.4, size=(3, 4, 2, 20, d))
    moved = [xr.DataArray(v, dims=("replica", "lag", "particle", "space"), coords={"lag": [1.0, 5.0]}) for v in values]
    if lazy:
        moved = [one.chunk({"replica": 2, "particle": 7}) for one in moved]
    found = isoconfigurational_susceptibility(moved, [start_of(20, d, species)] * 3, a=0.5, k=3.0)
    r = np.linalg.norm(values, axis=-1)
    for end, curve, w in (("", "overlap", r < 0.5), ("_fs", "fs", np.sinc(3 * r / np.pi) if d == 3 else j0(3 * r))):
        for name, of in (("A", species == "A"), ("B", species == "B"), (None, slice(None))):
            q = w[..., of].mean(axis=-1)  # configuration, replica, lag
            n = w[..., of].shape[-1]
            within = n * q.var(axis=1, ddof=1).mean(axis=0)
            between = n * q.mean(axis=1).var(axis=0, ddof=1) - within / 4
            total = "_total" if name is None else ""
            at = found if name is None else found.sel(species=name)
            np.testing.assert_allclose(at[f"chi4{end}_within{total}"], within, atol=1e-12)
            np.testing.assert_allclose(at[f"chi4{end}_between{total}"], between, atol=1e-12)
            np.testing.assert_allclose(at[f"chi4{end}{total}"], within + between, atol=1e-12)
            np.testing.assert_allclose(at[f"{curve}{total}"], q.mean(axis=(0, 1)), atol=1e-12)


def test_one_configuration():
    moved = moves(np.random.default_rng(1).random((8, 30)) < 0.5)
    found = isoconfigurational_susceptibility(moved, start_of(30), a=0.5)
    assert found["chi4_between_total"].isnull().all()
    assert found["chi4_total"].isnull().all()
    assert float(found["chi4_within_total_error"][0]) > 0


def test_bad_ensembles():
    moved, start = moves(np.zeros((3, 5))), start_of(5)
    for error, match, call in (
        (ParameterError, "chi_4 of what", lambda: isoconfigurational_susceptibility(moved, start)),
        (SchemaError, "as many of each", lambda: isoconfigurational_susceptibility([moved], [start] * 2, a=0.3)),
        (SchemaError, "one replica", lambda: isoconfigurational_susceptibility(moved[:1], start, a=0.3)),
        (SchemaError, "differ", lambda: isoconfigurational_susceptibility(
            [moved, moved], [start, start_of(5, species=["B"] * 5)], a=0.3)),
        (SchemaError, "differ", lambda: isoconfigurational_susceptibility(
            [moved.assign_coords(lag=1.0), moved.assign_coords(lag=2.0)], [start] * 2, a=0.3)),
        (SchemaError, "dimension 'frame'", lambda: isoconfigurational_susceptibility(
            moved.expand_dims("frame"), start, a=0.3)),
        (SchemaError, "particle", lambda: isoconfigurational_susceptibility(moved, start_of(6), a=0.3)),
    ):  # fmt: skip
        with pytest.raises(error, match=match) as raised:
            call()
        assert "\n" not in str(raised.value)
