"""Spatial correlation: a brute-force twin, waves, noise, and the lengths of known functions."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr
from scipy.special import j0, jn_zeros

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SchemaError
from glassdask.fields import spatial
from glassdask.fields.spatial import correlation_length, spatial_correlation
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.configuration import Configuration
from tests.fields.test_coarse import field, in_chunks, refuse
from tests.neighborhood.brute_neighbors import pairs


def test_equals_brute_force(liquid):
    values = np.random.default_rng(0).normal(2.0, 1.0, size=(3, 240))
    values[2, :100] = np.nan
    found = spatial_correlation(field(values), liquid, r_max=2.4, width=0.4)
    assert found["r"].values == pytest.approx(np.arange(6) * 0.4 + 0.2)
    for frame in range(3):
        deviation = values[frame] - np.nanmean(values[frame])
        total, number = np.zeros((2, 6))
        for i, j, vector in pairs(liquid["position"].values[frame], liquid["box"].values[frame], 2.4):
            if np.isfinite(deviation[i] * deviation[j]):
                b = int(np.linalg.norm(vector) / 0.4)
                total[b] += deviation[i] * deviation[j]
                number[b] += 1
        np.testing.assert_array_equal(found["pairs"].values[frame], number / 2)
        expected = total / number / np.nanmean(deviation**2)
        np.testing.assert_allclose(found["correlation"].values[frame], expected, rtol=1e-10)


def test_kernel_as_plain_python(monkeypatch):
    rng = np.random.default_rng(2)
    configuration = Configuration(rng.random((25, 3)) * 3, np.zeros(25), np.eye(3) * 3.0, ("A",))
    values = rng.normal(size=25)
    values[3] = np.nan
    compiled = spatial._correlate(configuration, values, n_bins=4, width=0.3)
    for name in ("correlate", "later_in_row"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    np.testing.assert_allclose(spatial._correlate(configuration, values, n_bins=4, width=0.3), compiled, rtol=1e-12)
    assert compiled[1].sum() > 0


def test_a_wave_in_the_plane_gives_a_bessel_function():
    n = 60
    rng = np.random.default_rng(1)
    site = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2) + 0.5
    position = site + rng.uniform(-0.3, 0.3, site.shape)
    trajectory = gd.from_arrays(position, species=["A"] * n**2, box=[float(n)] * 2)
    k = 2 * np.pi * 3 / n
    c = spatial_correlation(field(np.cos(k * position[None, :, 0] + 0.3)), trajectory, r_max=20, width=0.5)
    correlation = c["correlation"].mean("frame").compute()
    far = (correlation["r"] > 2) & (correlation["r"] < 12)
    assert np.abs(correlation - j0(k * correlation["r"]))[far].max() < 0.02
    assert float(correlation_length(correlation, level=0.0)) == pytest.approx(jn_zeros(0, 1)[0] / k, rel=0.02)


def test_noise_has_no_correlation(shipped):
    _, trajectory = shipped
    frames = trajectory.isel(frame=slice(2))
    noise = field(np.random.default_rng(5).normal(size=(2, frames.sizes["particle"])))
    c = spatial_correlation(noise, frames, r_max=3.0, width=0.25)
    enough = c["pairs"].values > 100
    assert np.abs((c["correlation"] * np.sqrt(c["pairs"])).values[enough]).max() < 4.5


def test_lengths_of_an_exponential():
    r = np.arange(0.05, 8, 0.1)
    decays = xr.DataArray(np.exp(-r / np.array([[0.7], [2.0], [50.0]])), dims=("frame", "r"), coords={"r": r})
    found = correlation_length(decays)
    assert found.values[:2] == pytest.approx([0.7, 2.0], rel=4e-3)
    assert np.isnan(found.values[2])
    decays[0, :8] = np.nan  # bins without pairs, closer than particles come
    decays[1, 10] = np.nan
    lazy = correlation_length(decays.chunk(frame=1, r=7))
    assert lazy.chunks is not None
    assert lazy.values[1] == pytest.approx(2.0, rel=1e-3)
    assert 0 < lazy.values[0] < 0.85
    assert np.isnan(correlation_length(decays, level=0.0).values).all()


def test_undefined_frames(liquid):
    values = np.random.default_rng(0).normal(size=(3, 240))
    values[1] = np.nan
    values[2] = 4.0
    c = spatial_correlation(field(values), liquid, r_max=2.0, width=0.5)
    assert np.isfinite(c["correlation"].values[0]).all()
    assert np.isnan(c["correlation"].values[1:]).all()
    assert c["pairs"].values[1].sum() == 0
    assert c["pairs"].values[2].sum() > 0
    assert np.isnan(correlation_length(c["correlation"]).values[1:]).all()


def test_lazy_and_independent_of_chunks(liquid):
    values = field(np.random.default_rng(0).normal(size=(3, 240)))
    whole = spatial_correlation(values, liquid).compute()
    assert whole["r"].max() < 0.5 * 6.0
    with dask.config.set(scheduler=refuse):
        pieces = spatial_correlation(values.chunk(frame=2, particle=50), in_chunks(liquid))
    for name in whole:
        np.testing.assert_allclose(pieces[name].values, whole[name].values, rtol=1e-12)


def test_bad_parameters(liquid):
    x = field(np.zeros((3, 240)))
    with pytest.raises(BoxError, match="half"):
        spatial_correlation(x, liquid, r_max=5.0)
    for options in ({"r_max": 0.05}, {"width": 0.0}, {"r_max": -1.0}):
        with pytest.raises(ParameterError, match=next(iter(options))):
            spatial_correlation(x, liquid, **options)
    with pytest.raises(SchemaError, match="one feature"):
        spatial_correlation(x.expand_dims("l"), liquid)
    with pytest.raises(ParameterError, match="dimension r"):
        correlation_length(x)
    with pytest.raises(ParameterError, match="below 1"):
        correlation_length(xr.DataArray([0.5], dims="r", coords={"r": [1.0]}), level=1.0)
