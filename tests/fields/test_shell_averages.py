"""Averages over successive shells: a brute-force twin, invariances, undefined values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import BoxError, ParameterError
from glassdask.fields.shell_averages import average_shells
from tests.neighborhood.brute_neighbors import images


def brute_force(trajectory, frame, values, cutoff):
    position, box = trajectory["position"].values[frame], trajectory["box"].values[frame]
    weight = np.zeros((len(position), len(position)))
    for shift in images(box, cutoff):
        r = np.linalg.norm(position[None] - position[:, None] + shift, axis=-1)
        weight += np.where(r < cutoff, np.exp(-r / cutoff), 0.0)
    known = np.isfinite(values)
    return (weight @ np.where(known, values, 0.0)) / (weight @ known)


@pytest.mark.slow
def test_equals_brute_force(liquid):
    values = np.random.default_rng(0).normal(size=(3, 240, 2))
    values[1, ::5, 0] = np.nan
    field = xr.DataArray(values, dims=("frame", "particle", "l"), coords={"l": [4, 6]}, name="q")
    found = average_shells(field, liquid, cutoff=1.7, generations=3)
    assert found.dims == ("frame", "particle", "l", "generation")
    assert found["l"].values.tolist() == [4, 6]
    np.testing.assert_array_equal(found.sel(generation=0), values)
    for frame in range(3):
        for l in range(2):
            expected = values[frame, :, l]
            for n in range(1, 4):
                expected = brute_force(liquid, frame, expected, 1.7)
                np.testing.assert_allclose(found.values[frame, :, l, n], expected, rtol=1e-12, atol=1e-14)


def test_constants_stay_and_lonely_particles_keep_their_value(liquid):
    ones = xr.DataArray(np.ones((3, 240)), dims=("frame", "particle"))
    np.testing.assert_allclose(average_shells(ones, liquid, cutoff=2.0, generations=4), 1.0, rtol=1e-14)
    values = xr.DataArray(np.random.default_rng(1).normal(size=(3, 240)), dims=("frame", "particle"))
    alone = average_shells(values, liquid, cutoff=1e-6, generations=2)
    np.testing.assert_array_equal(alone.isel(generation=2), values)


def test_invariances(liquid):
    values = np.random.default_rng(2).normal(size=(3, 240))
    field = xr.DataArray(values, dims=("frame", "particle"))
    reference = average_shells(field, liquid, cutoff=1.9).values
    order = np.random.default_rng(3).permutation(240)
    moved = liquid["position"].values[:, order] + [11.3, -4.1, 2.2]
    other = gd.from_arrays(moved, species=liquid["species"].values[order], box=liquid["box"])
    np.testing.assert_allclose(average_shells(field[:, order], other, cutoff=1.9), reference[:, order], atol=1e-12)


def test_undefined_values_are_left_out(liquid):
    values = xr.DataArray(np.full((3, 240), np.nan), dims=("frame", "particle"))
    assert np.isnan(average_shells(values, liquid, cutoff=2.0)).all()
    values[0, 7] = 3.0
    first = average_shells(values, liquid, cutoff=2.0, generations=1).values[0, :, 1]
    assert first[7] == 3.0
    assert np.nanmax(np.abs(first - 3.0)) < 1e-12
    assert np.isnan(first).any()


@pytest.mark.parametrize("wrong", [{"cutoff": 0.0}, {"cutoff": np.nan}, {"generations": 0}])
def test_wrong_parameters(liquid, wrong):
    values = xr.DataArray(np.zeros((3, 240)), dims=("frame", "particle"))
    with pytest.raises(ParameterError, match=r"expected a (positive finite number|whole number of at least 1)"):
        average_shells(values, liquid, **wrong)
    with pytest.raises(BoxError):
        average_shells(values, liquid, cutoff=4.0)
