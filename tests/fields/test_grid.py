"""Grids: a brute-force twin, sums, translation, and the way back to the particles."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SchemaError, SpeciesError
from glassdask.fields.coarse import normalize
from glassdask.fields.grid import from_grid, to_grid
from tests.fields.test_coarse import in_chunks, refuse
from tests.neighborhood.brute_neighbors import images

SIZES = {"A": 1.0, "B": 0.8}


def system(dimension):
    rng = np.random.default_rng(dimension)
    box = np.array([[7.0, 0, 0], [2.0, 6.0, 0], [-1.0, 0.5, 6.5]])[:dimension, :dimension]
    return gd.from_arrays(rng.random((2, 40, dimension)) @ box, species=["A", "B"] * 20, box=box)


def weights(trajectory, frame, shape, cutoff):
    """f(|r_kl - r_i|) of every particle and grid point, (N, *shape)."""
    position, box = trajectory["position"].values[frame], trajectory["box"].values[frame]
    dimension = len(box)
    point = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij"), axis=-1) @ box
    size = np.where(trajectory["species"].values == "A", 1.0, 0.8).reshape(-1, *[1] * dimension)
    a = (np.linalg.det(box) / (0.64 * len(position))) ** (1 / dimension)
    total = np.zeros((len(position), *shape))
    for shift in images(box, cutoff):
        r = np.linalg.norm(point[None] - position.reshape(-1, *[1] * dimension, dimension) + shift, axis=-1)
        total += np.where(r < cutoff * size, np.exp(-((r / (a * size)) ** 2)), 0.0)
    return total


@pytest.mark.parametrize(("shape", "cutoff"), [((12, 9), 2.5), ((6, 5, 7), 2.2)])
def test_equals_brute_force(shape, cutoff):
    trajectory = system(len(shape))
    grid = to_grid(trajectory, shape, SIZES, cutoff=cutoff)
    assert grid.dims == ("frame", "grid_x", "grid_y", "grid_z")[: len(shape) + 1]
    score = np.random.default_rng(1).random(grid.shape)
    back = from_grid(grid.copy(data=score), trajectory, SIZES, cutoff=cutoff)
    assert back.dims == ("frame", "particle")
    for frame in range(2):
        f = weights(trajectory, frame, shape, cutoff)
        np.testing.assert_allclose(grid.values[frame], f.sum(axis=0), rtol=1e-12, atol=1e-14)
        expected = (f * score[frame] / f.sum(axis=0)).reshape(len(f), -1).sum(axis=1)
        np.testing.assert_allclose(back.values[frame], expected, rtol=1e-11)
        # what the grid had, the particles share
        assert back.values[frame].sum() == pytest.approx(score[frame].sum())


def test_the_density_integrates_to_the_gaussians():
    trajectory = system(2)
    grid = to_grid(trajectory, 200, SIZES, cutoff=2.5)
    area = np.linalg.det(trajectory["box"].values[0])
    a2 = area / (0.64 * 40)
    expected = sum(20 * np.pi * a2 * s**2 * (1 - np.exp(-(2.5**2) / a2)) for s in SIZES.values())
    assert grid.values[0].sum() * area / 200**2 == pytest.approx(expected, rel=1e-3)


def test_a_shift_by_a_grid_step_rolls_the_grid():
    trajectory = system(2)
    shape = (10, 8)
    step = trajectory["box"].values[0, 0] * 3 / 10 - trajectory["box"].values[0, 1] / 8
    moved = gd.from_arrays(
        trajectory["position"].values + step, species=trajectory["species"].values, box=trajectory["box"].values
    )
    grid, rolled = to_grid(trajectory, shape, SIZES).values, to_grid(moved, shape, SIZES).values
    np.testing.assert_allclose(rolled, np.roll(grid, (3, -1), axis=(1, 2)), atol=1e-10)


def test_points_out_of_reach_belong_to_nobody():
    one = gd.from_arrays([[[2.0, 2.0], [2.5, 2.0]]], species=["A", "B"], box=[20.0, 20.0])
    grid = to_grid(one, 20, SIZES, cutoff=2.0)
    assert (grid.values == 0).mean() > 0.9
    back = from_grid(xr.ones_like(grid), one, SIZES, cutoff=2.0)
    assert back.values.sum() == pytest.approx((grid.values > 0).sum())
    empty = from_grid(to_grid(one, 1, SIZES), one, SIZES)
    assert empty.values.tolist() == [[0, 0]]


def test_lazy_and_independent_of_chunks():
    trajectory = system(2)
    whole = to_grid(trajectory, 16, SIZES).values
    with dask.config.set(scheduler=refuse):
        pieces = to_grid(in_chunks(trajectory), 16, SIZES)
        scaled = normalize(pieces, ("grid_x", "grid_y"))
        back = from_grid(pieces, trajectory, SIZES)
    np.testing.assert_allclose(pieces.values, whole, rtol=1e-14)
    assert scaled.min(("grid_x", "grid_y")).values.tolist() == [0, 0]
    assert scaled.max(("grid_x", "grid_y")).values.tolist() == [1, 1]
    assert np.isfinite(back.values).all()


def test_bad_parameters():
    trajectory = system(2)
    for shape in (0, (4,), (4, 4, 4), (4, -1)):
        with pytest.raises(ParameterError, match="shape"):
            to_grid(trajectory, shape, SIZES)
    with pytest.raises(ParameterError, match="cutoff"):
        to_grid(trajectory, 8, SIZES, cutoff=0.0)
    with pytest.raises(ParameterError, match="diameter"):
        to_grid(trajectory, 8, {"A": 1.0})
    with pytest.raises(SpeciesError, match="'C'"):
        to_grid(trajectory, 8, {**SIZES, "C": 1.0})
    with pytest.raises(BoxError, match="half"):
        to_grid(trajectory, 8, SIZES, cutoff=9.0)
    with pytest.raises(SchemaError, match="grid_x"):
        from_grid(xr.DataArray(np.zeros((2, 8)), dims=("frame", "grid_x")), trajectory, SIZES)
    with pytest.raises(SchemaError, match="same frames"):
        from_grid(to_grid(trajectory, 8, SIZES).isel(frame=[0]), trajectory, SIZES)


def test_a_grid_of_frames_in_another_order_is_refused():
    two = gd.from_arrays(np.ones((2, 1, 2)), species=["A"], box=[4.0, 4.0], time=[0.0, 1.0])
    grid = to_grid(two, 8, {"A": 0.8}).assign_coords(time=two["time"])
    assert from_grid(grid, two, {"A": 0.8}).shape == (2, 1)
    with pytest.raises(SchemaError, match="the grid: another time at frame 0"):
        from_grid(grid.isel(frame=[1, 0]), two, {"A": 0.8})
