"""Correlation of two variables of the particles: against SciPy, with labels, centres and holes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import glassdask as gd
from glassdask.errors import ParameterError, SchemaError, SpeciesError

F, N = 4, 60
COORDS = {"time": ("frame", np.arange(F) * 2.0), "id": ("particle", np.arange(N) + 7)}
SPECIES = np.where(np.arange(N) % 3, "A", "B")
OF_SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}


@pytest.fixture
def pair():
    """Two variables with R^2 = 1/2 and an offset of each configuration, two components of the first."""
    rng = np.random.default_rng(8)
    a = rng.normal(size=(F, N, 2)) + 3 * np.arange(F)[:, None, None]
    b = a[..., 0] + rng.normal(size=(F, N))
    coords = COORDS | {"species": ("particle", SPECIES)}
    return xr.DataArray(a, dims=("frame", "particle", "component"), coords=coords), xr.DataArray(
        b, dims=("frame", "particle"), coords=coords
    )


@pytest.mark.parametrize("method", OF_SCIPY)
def test_it_is_what_scipy_finds_in_each_frame_and_in_all(pair, method):
    a, b = pair
    found = gd.correlate(a, b, method=method)
    for c in range(2):
        of = [OF_SCIPY[method](a.values[f, :, c], b.values[f]).statistic for f in range(F)]
        np.testing.assert_allclose(found["r_frame"][:, c], of, atol=1e-12)
        assert found["r_within"][c] == pytest.approx(np.mean(of), abs=1e-12)
        assert found["r_within_error"][c] == pytest.approx(np.std(of, ddof=1) / np.sqrt(F), abs=1e-12)
        whole = OF_SCIPY[method](a.values[..., c].ravel(), b.values.ravel()).statistic
        assert found["r_pooled"][c] == pytest.approx(whole, abs=1e-12)
    # the offsets of the configurations are seen only by the pooled coefficient
    assert found["r_pooled"][1] > 0.8 > 0.4 > abs(found["r_within"][1])
    assert found["time"].values.tolist() == COORDS["time"][1].tolist()


@pytest.mark.parametrize("method", OF_SCIPY)
def test_chunks_order_of_dimensions_and_affine_maps_change_nothing(pair, method):
    a, b = pair
    whole = gd.correlate(a, b, method=method)
    lazy = gd.correlate(
        a.transpose("component", "particle", "frame").chunk(frame=1, particle=17),
        5 - 2 * b.chunk(frame=3),
        method=method,
    )
    for name in ("r_within", "r_pooled", "r_frame"):
        np.testing.assert_allclose(lazy[name], -whole[name], atol=1e-12)
    np.testing.assert_allclose(gd.correlate(b, a, method=method)["r_pooled"], whole["r_pooled"], atol=1e-12)


def test_frames_and_particles_are_matched_by_their_labels(pair):
    a, b = pair
    shuffled = b.isel(frame=[2, 0, 3], particle=np.random.default_rng(1).permutation(N)[:50])
    found = gd.correlate(a, shuffled)
    assert found["time"].values.tolist() == [0.0, 4.0, 6.0]
    assert found["n_used"].values.tolist() == [50] * 3
    kept = np.isin(a["id"], shuffled["id"])
    expected = stats.pearsonr(a.values[2, kept, 0], b.values[2, kept]).statistic
    assert found["r_frame"][1, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", OF_SCIPY)
def test_centers_and_what_is_undefined(pair, method):
    a, b = pair
    a, b = a.isel(component=0, drop=True).copy(), b.copy()
    a[0, 3] = b[0, 9] = np.nan
    a[1, 4:] = np.nan  # of B only the particles 0 and 3 are left
    found = gd.correlate(a, b, centers="B", method=method)
    small = SPECIES == "B"
    assert found["n_used"].values.tolist() == [small.sum() - 2, 2, small.sum(), small.sum()]
    assert np.isnan(found["r_frame"][1])
    keep = small & np.isfinite(a.values[0]) & np.isfinite(b.values[0])
    assert found["r_frame"][0] == pytest.approx(OF_SCIPY[method](a.values[0, keep], b.values[0, keep]).statistic)
    others = found["r_frame"].values[[0, 2, 3]]
    assert found["r_within"] == pytest.approx(others.mean())
    assert found["r_within_error"] == pytest.approx(others.std(ddof=1) / np.sqrt(3))


def test_one_frame_has_no_error_and_meets_a_variable_without_frames(pair):
    a, b = pair
    one = gd.correlate(a.isel(frame=[1]), b.isel(frame=1))
    assert (
        one["r_within"][0]
        == one["r_pooled"][0]
        == pytest.approx(stats.pearsonr(a.values[1, :, 0], b.values[1]).statistic)
    )
    assert np.isnan(one[["r_within_error", "r_pooled_error"]].to_array()).all()


def test_the_error_is_that_of_configurations():
    """Configurations of which each has its own slope: resampling particles would give an error of a tenth of it."""
    rng = np.random.default_rng(3)
    slope = rng.choice([-1.0, 1.0], size=(200, 1))
    a = xr.DataArray(rng.normal(size=(200, 50)), dims=("frame", "particle"))
    found = gd.correlate(a, slope * a)
    assert found["r_within_error"] == pytest.approx(1 / np.sqrt(200), rel=0.02)
    assert found["r_pooled_error"] == pytest.approx(1 / np.sqrt(200), rel=0.15)


def test_what_does_not_belong_together_is_one_line(pair):
    a, b = pair
    later = b.assign_coords(time=b["time"] + 100)
    other = b.assign_coords(species=("particle", SPECIES[::-1]))
    no_labels = b.drop_vars(["time", "id"])
    for error, said, call in (
        (SchemaError, "no frame in common: time begins with 0.0 and 100.0", lambda: gd.correlate(a, later)),
        (SchemaError, "another species at particle", lambda: gd.correlate(a, other)),
        (SchemaError, "a has 4 frames and b 3, without labels", lambda: gd.correlate(a, no_labels[:3])),
        (SchemaError, "b has no frames and the other variable 4", lambda: gd.correlate(a, b[0])),
        (SchemaError, "both have the dimension component", lambda: gd.correlate(a, a)),
        (SchemaError, "expected an xarray.DataArray", lambda: gd.correlate(a, b.values)),
        (SpeciesError, "no particle is of species C, found A, B", lambda: gd.correlate(a, b, centers="C")),
        (SpeciesError, "neither variable has a coordinate species",
         lambda: gd.correlate(a.drop_vars("species"), b.drop_vars("species"), centers="A")),
        (ParameterError, "method is 'kendall'", lambda: gd.correlate(a, b, method="kendall")),
        (ParameterError, "none of the 240 particles has a value", lambda: gd.correlate(a, b * np.nan)),
    ):  # fmt: skip
        with pytest.raises(error, match=said) as found:
            call()
        assert "\n" not in str(found.value)


def test_frames_of_other_data_are_not_paired_without_a_word(pair):
    """Two halves of a trajectory that has no times: nothing says that frame 0 of one is not frame 0 of the other."""
    a, b = (values.drop_vars("time") for values in pair)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gd.correlate(a.assign_attrs(input="one"), b.assign_attrs(input="one"))
        gd.correlate(*(values.assign_attrs(input=name) for values, name in zip(pair, ("one", "two"))))
    with pytest.warns(UserWarning, match="nothing says which frames are the same"):
        gd.correlate(a.assign_attrs(input="one"), b.assign_attrs(input="two"))


def test_steps_and_ids_go_with_what_is_described_and_pair_it(tmp_path):
    """A trajectory of steps without times: other orders of frames and particles, other positions, and no warning."""
    liquid = gd.example("wahnstrom").isel(frame=slice(2), particle=slice(0, 300)).drop_vars(["time"])
    liquid = liquid.assign(step=("frame", [500, 700]), id=("particle", np.arange(300) * 2 + 1))
    gd.save_trajectory(liquid, tmp_path / "run.zarr")
    features = gd.describe(gd.open_trajectory(tmp_path / "run.zarr"), gd.Coordination(cutoffs=1.4))
    gd.save_descriptors(features, tmp_path / "run.zarr")
    first = gd.open_descriptors(tmp_path / "run.zarr")["coordination"]
    assert first["step"].values.tolist() == [500, 700]
    assert first["id"].values[-1] == 599
    other = liquid.assign(position=liquid["position"] + 0.1).isel(frame=[1, 0])
    again = gd.describe(other, gd.Coordination(cutoffs=1.4))["coordination"].isel(particle=slice(None, None, -1))
    assert gd.correlate(first, again)["r_within"] == pytest.approx(1.0, abs=1e-12)
