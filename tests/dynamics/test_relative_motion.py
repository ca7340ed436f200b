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
        lambda t, **options: dynamics.van_hove(t, [2.0], r_max=3.0, n_bins=6, **options)[["gs_total", "gd_total"]],
        lambda t, **options: dynamics.intermediate_scattering(t, [2.0], lags=[2.0], **options)[["f", "chi4_f", "fs"]],
        lambda t, **options: dynamics.collective_overlap(t, 0.5, lags=[2.0], **options)[["collective_overlap"]],
        lambda t, **options: dynamics.strings(t, 2.0, 0.8, **options)[["mean_size"]],
        lambda t, **options: dynamics.hops(t, 4.0, 0.2, **options)[["p_hop"]],
    ):
        xr.testing.assert_allclose(function(moving, remove_drift=True), function(still))
        plain = function(moving).to_array(), function(still).to_array()
        assert not np.allclose(*plain, rtol=0.01, equal_nan=True)
    for function in (
        lambda t: dynamics.van_hove(t, [2.0], r_max=3.0, remove_drift=True),
        lambda t: dynamics.intermediate_scattering(t, [2.0], lags=[2.0], remove_drift=True).isel(lag=[1]),
        lambda t: dynamics.collective_overlap(t, 0.5, lags=[2.0], remove_drift=True),
        lambda t: dynamics.four_point(t, 2.0, 0.5, n_bins=6, remove_drift=True),
        lambda t: dynamics.mobile_clusters(t, 2.0, 0.8, remove_drift=True),
    ):
        removed = function(moving.chunk(frame=3))["drift"].values.ravel()
        np.testing.assert_allclose(removed, 2 * np.linalg.norm([0.31, -0.2, 0.1]))


@pytest.mark.parametrize("dimension", [2, 3])
def test_others_are_where_the_cage_would_have_left_them(dimension):
    """Of each pair of frames the same as plainly, of where particles were and that plus the relative displacement."""
    t, path, box, species = fixed(dimension, n=60)
    pairs = []
    for f in range(4):
        moved = xr.DataArray(path[f + 2] - path[f], dims=("particle", "space"))
        relative = dynamics.cage_relative(moved, t.isel(frame=[f]), CUTOFFS).values
        places, image = gd.schema.wrap(np.stack([path[f], path[f] + relative]), box[:2])
        pairs.append(gd.from_arrays(places, species=species, box=box[0], image=image, time=[0.0, 2.0]))
    for function, names in (
        (lambda t, **o: dynamics.van_hove(t, [2.0], r_max=2.0, n_bins=4, **o), ["gs", "gd", "gd_total"]),
        (lambda t, **o: dynamics.intermediate_scattering(t, [3.0], lags=[2.0], **o).isel(lag=[1]), ["f", "fs"]),
        (lambda t, **o: dynamics.mobile_clusters(t, 2.0, 1.5, fraction=0.3, **o), ["mean_size"]),
        (lambda t, **o: dynamics.strings(t, 2.0, 1.2, fraction=0.3, **o), ["mean_size"]),
        (lambda t, **o: dynamics.displacement_correlation(t, [2.0], r_max=2.0, width=0.5, **o), ["vector"]),
    ):
        caged = function(t.chunk(frame=2, particle=25), cage=CUTOFFS)
        for name in names:
            each = [function(pair)[name] for pair in pairs]
            if name == "mean_size":
                # of all strings together
                each = [18 / np.mean([18 / float(one) for one in each])]
            np.testing.assert_allclose(caged[name], sum(each) / len(each), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_collective_overlap_in_cages(dimension):
    t, left = waves(dimension)
    plain, caged = (dynamics.collective_overlap(t, 0.45, lags=[3.0], cage=cage) for cage in (None, 1.25))
    expected = 1 - 3 / 5 * len(left) / t.sizes["particle"]
    assert float(caged["collective_overlap_total"][0]) == pytest.approx(expected, abs=0.04)
    assert float(plain["collective_overlap_total"][0]) < 0.9


@pytest.mark.parametrize("dimension", [2, 3])
def test_hops_in_cages_equal_brute_force(dimension):
    t, path, *_ = fixed(dimension, n_frames=14, n=60)
    found = dynamics.hops(t, window=4.0, threshold=0.3, cage=CUTOFFS)
    for f in range(2, 12):
        moved = xr.DataArray(path[f - 2 : f + 3] - path[f], dims=("moment", "particle", "space"))
        relative = dynamics.cage_relative(moved, t.isel(frame=[f]), CUTOFFS).values
        a, b = relative[:3], relative[2:]
        before = ((a - b.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
        after = ((b - a.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
        np.testing.assert_allclose(found["p_hop"][f], np.sqrt(before * after), rtol=1e-9)
        np.testing.assert_allclose(found["jump"][f], np.linalg.norm(b.mean(axis=0) - a.mean(axis=0), axis=-1))
    assert found["p_hop"].isel(frame=[0, 1, 12, 13]).isnull().all()
    lazy = dynamics.hops(t.chunk(frame=3, particle=25), window=4.0, threshold=0.3, cage=CUTOFFS)
    assert lazy["hop"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), found)


@pytest.mark.parametrize("dimension", [2, 3])
def test_waves_are_no_hops(dimension):
    t, left = waves(dimension)
    plain, caged = (dynamics.hop_statistics(t, 4.0, 0.2, cage=cage) for cage in (None, 1.25))
    hopped = set(np.flatnonzero(dynamics.hops(t, 4.0, 0.2, cage=1.25)["hop"].any("frame")))
    # in the plane the few neighbours take some of a jump with them
    assert hopped == set(left) if dimension == 3 else hopped < set(left)
    assert float(plain["hop_rate_total"]) > 3 * float(caged["hop_rate_total"])


@pytest.mark.parametrize("scheme", ["lattice", "toroidal"])
def test_scattering_without_drift_in_a_box_that_breathes(scheme):
    """The density is counted from the mean of the paths, and knows of no images."""
    t, path, box, species = skewed(3, n=40)
    mean = dynamics.unwrapped(t, scheme).values.mean(axis=1, keepdims=True)
    places, image = gd.schema.wrap(path - mean, box)
    still = gd.from_arrays(places, species=species, box=box, image=image, time=t["time"].values)
    found = dynamics.intermediate_scattering(t, [3.0], width=0.8, remove_drift=True, scheme=scheme)
    expected = dynamics.intermediate_scattering(still, [3.0], width=0.8)
    np.testing.assert_allclose(found["f"], expected["f"], rtol=1e-9, atol=1e-12)
    own = dynamics.self_correlations(t, k=3.0, remove_drift=True, scheme=scheme)
    np.testing.assert_allclose(found["fs"][:, 0, 1:], own["fs"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["drift"][1:], own["drift"])
    alone = dynamics.intermediate_scattering(t, [3.0], width=0.8, remove_drift=True, scheme=scheme, self_part=False)
    assert not {"fs", "species"} & set(alone.variables)
    for name in alone:
        # cumulants of two origins are what rounding leaves of them
        np.testing.assert_allclose(alone[name], found[name], rtol=1e-9, atol=1e-9)


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
