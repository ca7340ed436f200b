"""Coarse-graining: a brute-force twin, limits, undefined values, laziness."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SchemaError
from glassdask.fields.coarse import coarse_grain, normalize
from glassdask.fields.shell_averages import average_shells
from glassdask.fields.spatial import spatial_correlation
from glassdask.kernels import fields as kernels
from glassdask.neighborhood.configuration import Configuration
from tests.neighborhood.brute_neighbors import images


def field(values, **coords):
    return xr.DataArray(values, dims=("frame", "particle"), coords=coords, name="x", attrs={"units": "energy"})


def in_chunks(trajectory):
    """The same trajectory with positions that are read a frame at a time."""
    return trajectory.assign(position=trajectory["position"].chunk(frame=1))


def refuse(*args, **kwargs):
    raise AssertionError("computed too early")


@pytest.fixture
def plane():
    rng = np.random.default_rng(3)
    box = np.array([[9.0, 0.0], [3.0, 8.0]])
    return gd.from_arrays(rng.random((2, 90, 2)) @ box, species=["A", "B", "B"] * 30, box=box)


def brute_force(trajectory, frame, values, xi, cutoff):
    position, box = trajectory["position"].values[frame], trajectory["box"].values[frame]
    weight = np.zeros((len(position), len(position)))
    for shift in images(box, xi * cutoff):
        r = np.linalg.norm(position[None] - position[:, None] + shift, axis=-1)
        weight += np.where(r < cutoff * xi, np.exp(-((r / xi) ** 2)), 0.0)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (weight @ np.where(known, values, 0.0)) / (weight @ known)


@pytest.mark.parametrize("kind", ["liquid", "plane"])
def test_equals_brute_force(kind, request):
    trajectory = request.getfixturevalue(kind)
    n_frames, n = trajectory.sizes["frame"], trajectory.sizes["particle"]
    values = np.random.default_rng(0).normal(size=(n_frames, n))
    values[1, ::4] = np.nan
    lengths = [0.3, 1.0, 1.4]
    found = coarse_grain(field(values), trajectory, lengths)
    assert found.dims == ("frame", "particle", "length")
    assert found["length"].values.tolist() == lengths
    for frame in range(2):
        for k, xi in enumerate(lengths):
            expected = brute_force(trajectory, frame, values[frame], xi, 2.0)
            np.testing.assert_allclose(found.values[frame, :, k], expected, rtol=1e-12, atol=1e-14)
    one = coarse_grain(field(values), trajectory, 0.8, cutoff=1.5)
    assert one.sizes["length"] == 1
    np.testing.assert_allclose(one.values[0, :, 0], brute_force(trajectory, 0, values[0], 0.8, 1.5), rtol=1e-12)


def test_limits(liquid):
    values = np.random.default_rng(0).normal(size=(3, 240))
    x = field(values)
    np.testing.assert_allclose(coarse_grain(x, liquid, 1e-3).values[..., 0], values, rtol=1e-14)
    np.testing.assert_allclose(coarse_grain(0 * x + 7.0, liquid, [0.5, 1.2]).values, 7.0, rtol=1e-14)
    smooth = coarse_grain(x, liquid, [0.3, 0.6, 0.9, 1.2])
    assert (np.diff(smooth.std(("frame", "particle"))) < 0).all()
    scaled = coarse_grain(2 * x + 1, liquid, 1.0).values
    np.testing.assert_allclose(scaled, 2 * coarse_grain(x, liquid, 1.0).values + 1, rtol=1e-10)


def test_undefined_values(liquid):
    is_b = liquid["species"].values == "B"
    values = np.where(is_b, 3.0, np.nan) * np.ones((3, 1))
    near = coarse_grain(field(values), liquid, 1.3).values
    assert np.nanmax(np.abs(near - 3.0)) < 1e-12
    assert np.isfinite(near[:, ~is_b]).any()
    alone = coarse_grain(field(values), liquid, 1e-3).values[..., 0]
    np.testing.assert_array_equal(np.isnan(alone), np.isnan(values))
    assert np.isnan(coarse_grain(field(values * np.nan), liquid, 1.0).values).all()


def test_features_and_labels_stay(liquid):
    features = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=1.4)], centers="B", block=50)["sbo"]
    found = coarse_grain(features, liquid, [0.5, 1.0])
    assert found.dims == ("frame", "particle", "l", "length")
    assert found["l"].values.tolist() == list(range(1, 9))
    assert (found["species"] == liquid["species"]).all()
    assert found.attrs["centers"] == ["B"]
    for l in (1, 6):
        one = coarse_grain(features.sel(l=l, drop=True), liquid, [0.5, 1.0])
        np.testing.assert_allclose(found.sel(l=l).values, one.values, rtol=1e-12)


def test_lazy_and_independent_of_chunks(liquid):
    values = field(np.random.default_rng(0).normal(size=(3, 240)))
    whole = coarse_grain(values, liquid, [0.5, 1.0]).values
    with dask.config.set(scheduler=refuse):
        pieces = coarse_grain(values.chunk(frame=2, particle=17), in_chunks(liquid), [0.5, 1.0])
        again = normalize(pieces)
    np.testing.assert_allclose(pieces.values, whole, rtol=1e-14)
    assert again.min() == 0
    assert again.max() == 1


def test_moving_and_renumbering_changes_nothing(plane):
    values = np.random.default_rng(0).normal(size=(2, 90))
    order = np.random.default_rng(1).permutation(90)
    before = coarse_grain(field(values), plane, [0.5, 1.5]).values
    moved = gd.from_arrays(
        plane["position"].values[:, order] + [5.0, -33.0],
        species=plane["species"].values[order],
        box=plane["box"].values,
    )
    np.testing.assert_allclose(
        coarse_grain(field(values[:, order]), moved, [0.5, 1.5]).values, before[:, order], rtol=1e-10
    )


def test_normalize():
    x = xr.DataArray([[[1.0, 3.0], [2.0, np.nan]], [[5.0, 5.0], [5.0, 5.0]]], dims=("frame", "particle", "k"))
    each = normalize(x, ("particle", "k"))
    np.testing.assert_array_equal(each.values[0], [[0, 1], [0.5, np.nan]])
    assert np.isnan(each.values[1]).all()
    np.testing.assert_array_equal(normalize(x, x.dims).values[1], 1.0)


def test_bad_parameters(liquid):
    x = field(np.zeros((3, 240)))
    for lengths in ([], 0.0, [1.0, -1.0], np.nan):
        with pytest.raises(ParameterError, match="positive"):
            coarse_grain(x, liquid, lengths)
    with pytest.raises(BoxError, match="half"):
        coarse_grain(x, liquid, 2.5)
    with pytest.raises(SchemaError, match="same frames and particles"):
        coarse_grain(x.isel(particle=slice(5)), liquid, 1.0)
    with pytest.raises(SchemaError, match="same frames and particles"):
        coarse_grain(x.isel(frame=slice(2)), liquid, 1.0)


@pytest.fixture
def labelled(liquid):
    """Two frames whose times and ids differ, and values with all of its labels."""
    trajectory = liquid.isel(frame=[0, 0]).assign_coords(time=("frame", [0.0, 1.0]))
    n = trajectory.sizes["particle"]
    trajectory["id"] = ("particle", np.arange(n)[::-1] + 5)
    x = np.random.default_rng(2).random((2, n))
    return trajectory, field(x, time=trajectory["time"], species=trajectory["species"], id=trajectory["id"])


FIELDS = [
    lambda x, t: coarse_grain(x, t, 0.5),
    lambda x, t: average_shells(x, t, cutoff=1.3),
    lambda x, t: spatial_correlation(x, t, width=0.5),
]


@pytest.mark.parametrize("function", FIELDS)
@pytest.mark.parametrize(
    ("change", "label"),
    [
        (lambda x: x.isel(frame=[1, 0]), "time at frame 0"),
        (lambda x: x.sortby("species").drop_vars("id"), "species at particle"),
        (lambda x: x.isel(particle=slice(None, None, -1)).drop_vars("species"), "id at particle 0"),
        (lambda x: x.assign_coords(time=("frame", [0.0, 2.0])), "time at frame 1"),
    ],
)
def test_values_in_another_order_are_refused(labelled, function, change, label):
    trajectory, x = labelled
    with pytest.raises(SchemaError, match=f"the values: another {label}"):
        function(change(x), trajectory)


@pytest.mark.parametrize("function", FIELDS)
def test_values_without_labels_are_taken_in_order(labelled, function):
    trajectory, x = labelled
    bare = x.drop_vars(["time", "species", "id"])
    xr.testing.assert_equal(
        *(function(v, trajectory).compute().drop_vars(["time", "species", "id"], errors="ignore") for v in (x, bare))
    )


@pytest.mark.parametrize("function", FIELDS)
@pytest.mark.parametrize("dtype", [complex, str, object, "datetime64[s]"])
def test_values_that_are_no_real_numbers_are_refused(labelled, function, dtype):
    trajectory, x = labelled
    with pytest.raises(SchemaError, match=r"the values have dtype .*, expected real numbers"):
        function(xr.zeros_like(x, dtype=int).astype(dtype), trajectory)


def test_kernels_as_plain_python():
    rng = np.random.default_rng(2)
    configuration = Configuration(rng.random((25, 3)) * 3, np.zeros(25), np.eye(3) * 3.0, ("A",))
    found = configuration.neighbors(np.arange(25), np.array([[1.2]]))
    values, known = rng.normal(size=(25, 2)), np.ones((25, 2))
    values[3], known[3] = 0, 0
    padded = 32
    results = []
    for function in (kernels.coarse_grain, kernels.coarse_grain.py_func):
        out = np.empty((25, 2, 2))
        function(
            found.centers, found.offsets, found.index, found.distance, values, known, np.array([4.0, 2.0]),
            np.array([1.0, 1.3]), np.empty((2, padded)), np.empty((4, padded)), out,
        )  # fmt: skip
        results.append(out)
    np.testing.assert_allclose(*results, rtol=1e-12)
    arguments = (
        rng.random((5, 3)), np.eye(3) * 4.0, np.full(3, 4.0), np.ones(5), np.full(5, 1.1), np.array([0.5, 0.5, 0.5])
    )  # fmt: skip
    grids = np.zeros((2, 4, 5, 6))
    kernels.spread(*arguments, grids[0])
    kernels.spread.py_func(*arguments, grids[1])
    np.testing.assert_allclose(*grids, rtol=1e-12)
    shares = np.empty((2, 5))
    kernels.gather(*arguments, grids[0], shares[0])
    kernels.gather.py_func(*arguments, grids[0], shares[1])
    np.testing.assert_allclose(*shares, rtol=1e-12)


@pytest.mark.parametrize("dim", [None, 3, True, {"particle"}, [1]])
def test_dimensions_that_are_none(liquid, dim):
    with pytest.raises(ParameterError, match=r"^normalize.dim"):
        normalize(liquid["position"], dim)
