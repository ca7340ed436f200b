"""Averages of motion relative to the cage, and without the drift of all; boxes that do not repeat."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import dynamics
from glassdask.errors import BoxError, ParameterError
from tests.dynamics.test_collective import fixed, skewed
from tests.dynamics.test_fluctuations import as_trajectory

CUTOFFS = {("A", "A"): 1.6, ("A", "B"): 1.4, ("B", "B"): 1.3}


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("rule", [CUTOFFS, 1.5, gd.KNearest(4)])
def test_cage_relative_averages_equal_brute_force(dimension, rule):
    t, path, _, species = fixed(dimension, n=60)
    found = dynamics.self_correlations(t, a=0.4, cage=rule)
    chi4 = dynamics.dynamic_susceptibility(t, a=0.4, cage=rule)
    for lag in range(1, 6):
        square = []
        for f in range(6 - lag):
            moved = xr.DataArray(path[f + lag] - path[f], dims=("particle", "space"))
            relative = dynamics.cage_relative(moved, t.isel(frame=[f]), rule).values
            square.append((relative**2).sum(axis=1))
        square = np.array(square)
        at = found.sel(lag=lag)
        np.testing.assert_allclose(at["msd_total"], square.mean())
        np.testing.assert_allclose(at["msd"].sel(species="B"), square[:, species == "B"].mean())
        np.testing.assert_allclose(at["overlap_total"], (square < 0.16).mean())
        if lag < 5:
            q = (square < 0.16).mean(axis=1)
            np.testing.assert_allclose(chi4["chi4_total"].sel(lag=lag), 60 * q.var(ddof=1), atol=1e-12)
    chunked = dynamics.self_correlations(t.chunk(frame=2, particle=25), a=0.4, cage=rule)
    xr.testing.assert_allclose(chunked, found)


@pytest.mark.parametrize("options", [{"cage": 1.5}, {"remove_drift": True}, {"scheme": "toroidal"}])
def test_each_average_can_be_relative(options):
    """What `self_correlations` can be asked each quantity can be asked alone, as commands and sweeps do."""
    t, *_ = skewed(3, n=40, scale=0.2)
    whole = dynamics.self_correlations(t, k=3.0, a=0.4, **options)
    for name, found in {
        "msd": dynamics.mean_square_displacement(t, **options),
        "alpha2": dynamics.non_gaussian_parameter(t, **options),
        "fs": dynamics.self_intermediate_scattering(t, k=3.0, **options),
        "overlap": dynamics.overlap(t, a=0.4, **options),
    }.items():
        assert ("drift" in found) == ("remove_drift" in options)
        assert {name, f"{name}_error", f"{name}_total"} < {*found} < {*whole}
        for variable in found:
            np.testing.assert_allclose(found[variable], whole[variable], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_van_hove_function_in_the_cage(dimension):
    t, path, _, species = fixed(dimension, n=60)
    found = dynamics.van_hove(t, [2.0], r_max=2.0, n_bins=4, cage=CUTOFFS)
    plain = dynamics.van_hove(t, [2.0], r_max=2.0, n_bins=4)
    xr.testing.assert_equal(found["gd"], plain["gd"])
    edges = np.linspace(0, 2.0, 5)
    shells = np.diff(edges**dimension) * (np.pi if dimension == 2 else 4 / 3 * np.pi)
    counts = {name: np.zeros(4) for name in "AB"}
    for f in range(4):
        moved = xr.DataArray(path[f + 2] - path[f], dims=("particle", "space"))
        r = np.linalg.norm(dynamics.cage_relative(moved, t.isel(frame=[f]), CUTOFFS).values, axis=1)
        for name in "AB":
            counts[name] += np.histogram(r[species == name], edges)[0]
    for name in "AB":
        expected = counts[name] / 4 / (species == name).sum() / shells
        np.testing.assert_allclose(found["gs"].sel(species=name, lag=2.0), expected)


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("rule", [gd.ScaledCutoff(1.5), gd.Voronoi(diameters="own")])
def test_cages_are_of_the_sizes_that_particles_have(changing, rule):
    t, path, _, _ = fixed(3, n=60)
    sizes = np.random.default_rng(1).uniform(0.8, 1.2, (6, 60) if changing else 60)
    t = t.assign(diameter=(("frame", "particle")[-sizes.ndim :], sizes))
    square, cell = [], t["box"].values[0]
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ cell
    for f in range(5):
        moved = xr.DataArray(path[f + 1] - path[f], dims=("particle", "space"))
        relative = dynamics.cage_relative(moved, t.isel(frame=[f]), rule).values
        square.append((relative**2).sum(axis=1))
        if isinstance(rule, gd.ScaledCutoff):
            size = np.broadcast_to(sizes, (6, 60))[f]
            place = t["position"].values[f]
            distance = np.linalg.norm(place[:, None, None] - place[:, None] + images, axis=-1).min(axis=-1)
            mean = [moved.values[row].mean(axis=0) for row in distance < 1.5 * (size[:, None] + size) / 2]
            np.testing.assert_allclose(relative, moved.values - mean, atol=1e-12)
    for run in (t, t.chunk(frame=2, particle=25)):
        found = dynamics.self_correlations(run, a=0.4, lags=[1.0], cage=rule)
        np.testing.assert_allclose(found["msd_total"], np.mean(square))
        assert dynamics.four_point(run, 1.0, 0.4, q_max=4.0, n_bins=5, cage=rule)["s4_total"][0] > 0


def waves(dimension):
    """A lattice that drifts and carries a long wave, and in which some particles leave their places."""
    cells = np.stack(np.meshgrid(*[np.arange(8.0)] * dimension), axis=-1).reshape(1, -1, dimension)
    time = np.arange(8.0)[:, None, None]
    wave = 0.9 * np.sin(2 * np.pi * cells[..., :1] / 8 + time) * np.eye(dimension)[1]
    path = cells + 0.03 * time + wave
    left = np.random.default_rng(0).choice(cells.shape[1], cells.shape[1] // 16, replace=False)
    path[4:, left] += 0.6
    return as_trajectory(path, length=8.0), left


@pytest.mark.parametrize("dimension", [2, 3])
def test_waves_and_drift_are_no_relaxation(dimension):
    t, left = waves(dimension)
    plain = dynamics.self_correlations(t, a=0.45, lags=[3.0])
    caged = dynamics.self_correlations(t, a=0.45, lags=[3.0], cage=1.25)
    assert float(plain["overlap_total"][0]) < 0.5
    # three of five intervals hold the moment at which they left
    expected = 1 - 3 / 5 * len(left) / t.sizes["particle"]
    assert float(caged["overlap_total"][0]) == pytest.approx(expected, abs=0.03)
    # the stripes in which the wave leaves particles at their places are not there relative to the cages
    stripes, still = (dynamics.four_point(t, 3.0, 0.45, cage=cage, n_bins=4)["s4_total"].max() for cage in (None, 1.25))
    assert float(stripes) > 5 * float(still)


@pytest.mark.parametrize("chunks", [None, {"frame": 3, "particle": 20}])
def test_drift_is_removed_and_reported(chunks):
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(scale=0.2, size=(12, 50, 3)), axis=0)
    path -= path.mean(axis=1, keepdims=True)
    drift = np.cumsum(rng.normal(scale=0.3, size=(12, 1, 3)), axis=0)
    still, moving = as_trajectory(path + 3), as_trajectory(path + 3 + drift)
    moving = moving if chunks is None else moving.chunk(chunks)
    for function in (dynamics.self_correlations, dynamics.dynamic_susceptibility):
        expected, found = function(still, a=0.5, k=3.0), function(moving, a=0.5, k=3.0, remove_drift=True)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-8, atol=1e-10)
        for lag in found["lag"].values.astype(int):
            square = ((drift[lag:] - drift[:-lag]) ** 2).sum(axis=-1).mean()
            assert float(found["drift"].sel(lag=lag)) == pytest.approx(np.sqrt(square))


def test_four_points_and_van_hove_functions_without_drift():
    rng = np.random.default_rng(4)
    path = 3 + np.cumsum(rng.normal(scale=0.2, size=(8, 80, 3)), axis=0)
    path -= path.mean(axis=1, keepdims=True)
    drift = np.array([0.31, -0.2, 0.1]) * np.arange(8.0)[:, None, None]
    still, moving = as_trajectory(path, length=8.0), as_trajectory(path + drift, length=8.0)
    for function in (
        lambda t, **options: dynamics.four_point(t, 2.0, 0.5, n_bins=6, **options)[["s4", "s4_total", "g4_total"]],
        lambda t, **options: dynamics.van_hove(t, [2.0], r_max=3.0, n_bins=6, **options)[["gs", "gs_total"]],
    ):
        xr.testing.assert_allclose(function(moving, remove_drift=True), function(still))
        assert not np.allclose(function(moving).to_array(), function(still).to_array(), rtol=0.05)
    removed = dynamics.van_hove(moving, [2.0], r_max=3.0, remove_drift=True)["drift"]
    assert float(removed[0]) == pytest.approx(2 * np.linalg.norm([0.31, -0.2, 0.1]))


def test_one_particle_is_not_changed():
    """Its path is laid out as kernels want it: nothing may be written into it."""
    t = as_trajectory(np.arange(12.0).reshape(4, 1, 3))
    before = t["position"].values.copy()
    dynamics.self_correlations(t, remove_drift=True)
    np.testing.assert_array_equal(t["position"].values, before)


OPEN = {
    "intermediate_scattering": lambda t: dynamics.intermediate_scattering(t, k=[3.0]),
    "van_hove": dynamics.van_hove,
    "collective_overlap": lambda t: dynamics.collective_overlap(t, a=0.3),
    "four_point": lambda t: dynamics.four_point(t, lag=1.0, a=0.3),
    "cage": lambda t: dynamics.self_correlations(t, cage=1.2),
}


@pytest.mark.parametrize("call", OPEN.values(), ids=OPEN)
def test_open_faces_are_refused_where_they_matter(call):
    x = np.random.default_rng(1).random((4, 40, 3)) * 6
    film = gd.from_arrays(x, species=["A"] * 40, box=[6.0] * 3, time=np.arange(4.0), periodic=(True, True, False))
    with pytest.raises(BoxError, match="this one is open along c"):
        call(film)


def test_rules_that_do_not_fit():
    t, *_ = fixed(3)
    with pytest.raises(ParameterError, match="lacks A-B"):
        dynamics.self_correlations(t, cage={("A", "A"): 1.0})
    with pytest.raises(BoxError, match="more than half"):
        dynamics.self_correlations(t, cage=9.0)
