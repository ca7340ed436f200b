"""Propensities of ensembles whose answer is known, and of public data."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.dynamics import at_delta, cage_relative, propensity, replica_displacements
from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.nearest import KNearest
from tests.conftest import DATA
from tests.neighborhood.brute_neighbors import sets


def ensemble(replicas=40, lags=3, n=60, dimension=3, seed=0):
    """Gaussian displacements whose width grows with the lag and differs from particle to particle."""
    rng = np.random.default_rng(seed)
    width = np.linspace(0.2, 1.0, n)[:, None] * np.arange(1, lags + 1)[:, None, None]
    initial = rng.random((n, dimension)) * 8
    final = initial + width * rng.normal(size=(replicas, lags, n, dimension))
    return initial, final, width[..., 0]


def test_public_data():
    data = np.load(DATA / "ka_isoconfigurational_N60.npz")
    moved = replica_displacements(data["initial_positions"], data["positions"])
    expected = np.linalg.norm(data["positions"] - data["initial_positions"], axis=-1)
    found = propensity(moved, power=1)
    np.testing.assert_allclose(found["propensity"], expected.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["propensity_error"], expected.std(axis=0, ddof=1) / np.sqrt(32), rtol=1e-12)
    np.testing.assert_allclose(found["delta"], expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(propensity(moved)["propensity"], (expected**2).mean(axis=0), rtol=1e-12)
    # small particles are more mobile, and the differences between particles are more than noise
    small = data["types"] == 1
    assert found["propensity"][small].mean() > 1.5 * found["propensity"][~small].mean()
    assert found["propensity"].std() > 2 * found["propensity_error"].mean()


@pytest.mark.parametrize("dimension", [2, 3])
def test_gaussian_displacements(dimension):
    initial, final, width = ensemble(replicas=2000, dimension=dimension)
    found = propensity(replica_displacements(initial, final, lag=[1.0, 2.0, 3.0]))
    assert found["propensity"].dims == ("lag", "particle")
    expected = dimension * width**2
    np.testing.assert_allclose(found["propensity"], expected, rtol=0.15)
    # the variance of |dr|^2 is 2 d s^4
    np.testing.assert_allclose(found["propensity_error"], np.sqrt(2 * dimension / 2000) * width**2, rtol=0.3)
    assert np.abs((found["propensity"] - expected) / found["propensity_error"]).max() < 5


def test_lazy_is_the_same():
    initial, final, _ = ensemble()
    moved = replica_displacements(initial, final, lag=[1.0, 2.0, 3.0])

    lazy = replica_displacements(initial, da.from_array(final, chunks=(7, 2, 13, 3)), lag=[1.0, 2.0, 3.0])
    assert lazy.chunks is not None
    for power in (1, 2):
        whole, parts = propensity(moved, power), propensity(lazy, power)
        assert parts["propensity"].chunks is not None
        for name in ("propensity", "propensity_error", "delta"):
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("kind, dimension", [(np.float32, 2), (np.float64, 1), (np.float64, 3)])
def test_moments_of_replicas(compiled, power, kind, dimension):
    # far from zero, where a difference of sums of squares would have lost five digits
    moved = (300.0 + np.random.default_rng(4).normal(size=(5, 21, dimension))).astype(kind)
    square, rows = np.empty(8), np.empty((3, 21))
    (kernels.replica_moments if compiled else kernels.replica_moments.py_func)(moved, power, square, *rows)
    distance = np.linalg.norm(moved.astype(np.float64), axis=-1)
    values = distance**power
    expected = [values.mean(axis=0), 5 * values.var(axis=0), distance.mean(axis=0)]
    np.testing.assert_allclose(rows, expected, rtol=1e-11)


def test_a_replica_that_is_not_known():
    moved = np.random.default_rng(5).normal(size=(9, 7, 3))
    moved[4, 2, 1] = np.nan
    for chunks in (None, (2, 7, 2)):
        given = xr.DataArray(moved, dims=("replica", "particle", "space"))
        found = propensity(given if chunks is None else given.chunk(dict(zip(given.dims, chunks))))
        assert np.isnan(found["propensity"]).values.tolist() == [k == 2 for k in range(7)]
        assert np.isnan(found["propensity_error"]).values.tolist() == [k == 2 for k in range(7)]
        assert np.isnan(found["delta"])
    with pytest.raises(SchemaError, match="no replica"):
        propensity(given[:0])


def test_other_dimensions_and_labels_are_kept():
    moved = xr.DataArray(
        np.random.default_rng(6).normal(size=(4, 3, 2, 5)), dims=("particle", "space", "frame", "replica"),
        coords={"species": ("particle", list("AABB")), "seed": ("replica", range(5)), "step": ("frame", [10, 20])},
    )  # fmt: skip
    found = propensity(moved, power=1)
    assert found["propensity"].dims == ("particle", "frame")
    assert {*found.coords} == {"species", "step", "delta", "power"}
    for frame in range(2):
        one = propensity(moved.isel(frame=frame), power=1)
        np.testing.assert_array_equal(found["propensity"][:, frame], one["propensity"])
        np.testing.assert_allclose(found["delta"][frame], one["delta"], rtol=1e-14)


def test_wrapped_final_positions():
    initial, final, _ = ensemble()
    box = np.array([[8.0, 0, 0], [2.0, 7.0, 0], [-1.0, 1.5, 9.0]])
    small = initial + 0.2 * (final - initial)
    jumps = np.random.default_rng(1).integers(-2, 3, size=small.shape) @ box
    found = replica_displacements(initial, small + jumps, lag=[1, 2, 3], box=box)
    np.testing.assert_allclose(found, small - initial, atol=1e-11)


def test_one_replica_has_no_error():
    initial, final, _ = ensemble(replicas=1)
    assert np.isnan(propensity(replica_displacements(initial, final[:, 0]))["propensity_error"]).all()


def test_bad_replicas():
    initial, final, _ = ensemble()
    with pytest.raises(SchemaError, match="same particles"):
        replica_displacements(initial[1:], final[:, 0])
    with pytest.raises(SchemaError, match="expected"):
        replica_displacements(initial, final)  # lags without their times
    with pytest.raises(SchemaError, match="lag has shape"):
        replica_displacements(initial, final, lag=[1.0])
    final[3, 1, 5, 0] = np.nan
    with pytest.raises(PositionError, match="replica 3, particle 5"):
        replica_displacements(initial, final, lag=[1, 2, 3])
    with pytest.raises(ParameterError, match="power"):
        propensity(replica_displacements(initial, final[4:, 0]), power=3)
    with pytest.raises(SchemaError, match="replica, particle, space among them"):
        propensity(xr.DataArray(np.zeros((2, 3)), dims=("particle", "space")))


def test_values_at_mean_displacements():
    initial, final, _ = ensemble()
    found = propensity(replica_displacements(initial, final, lag=[1.0, 10.0, 100.0]), power=1)
    delta = found["delta"].values
    at = at_delta(found, [0.5 * delta[0], delta[0], 0.25 * delta[1] + 0.75 * delta[2], delta[2], 2 * delta[2]])
    known = [False, True, True, True, False]
    assert np.isfinite(at["propensity"]).all("particle").values.tolist() == known
    np.testing.assert_allclose(at["lag"][known], [1.0, 77.5, 100.0])
    # the mean over the particles is delta itself
    np.testing.assert_allclose(at["propensity"].mean("particle")[known], at["delta"][known])
    np.testing.assert_allclose(at["propensity"][3], found["propensity"][2])
    for order in ([2, 0, 1], [2, 1, 0]):
        xr.testing.assert_identical(at_delta(found.isel(lag=order), [delta[1], 0.5]), at_delta(found, [delta[1], 0.5]))
    lazy = at_delta(found.chunk(particle=7, lag=1), [delta[1]])
    assert lazy["propensity"].chunks is not None
    np.testing.assert_allclose(lazy["propensity"][0], found["propensity"][1])
    with pytest.raises(ParameterError, match="positive"):
        at_delta(found, 0.0)
    with pytest.raises(SchemaError, match="delta"):
        at_delta(found.drop_vars("delta"), 1.0)


def test_first_passage_of_a_mean_displacement():
    # vibrations may take delta beyond a value, back and beyond it again
    moved = xr.DataArray(
        np.array([0.1, 0.4, 0.2, 0.4]).reshape(1, 4, 1, 1) * np.ones((1, 4, 2, 1)),
        dims=("replica", "lag", "particle", "space"),
        coords={"lag": [1.0, 2.0, 3.0, 4.0]},
    )
    assert at_delta(propensity(moved, power=1), 0.3)["lag"].item() == pytest.approx(1 + 2 / 3)


@pytest.mark.parametrize("dimension", [2, 3])
def test_cage_relative_equals_brute_force(dimension):
    rng = np.random.default_rng(3)
    box = np.eye(dimension) * 6.0
    box[1, 0] = 1.2
    n = 80
    start = gd.from_arrays(
        rng.random((n, dimension)) @ box, species=np.where(np.arange(n) % 3 == 0, "B", "A"), box=box
    )  # fmt: skip
    moved = rng.normal(size=(2, 3, n, dimension))
    cutoffs = np.array([[1.4, 1.2], [1.2, 1.0]])
    expected = np.empty_like(moved)
    codes = (start["species"].values == "B").astype(int)
    for i, neighbors in enumerate(sets(start["position"].values[0], codes, box, cutoffs)):
        cage = [i, *neighbors]
        expected[:, :, i] = moved[:, :, i] - moved[:, :, cage].mean(axis=2)
    given = xr.DataArray(moved, dims=("replica", "lag", "particle", "space"))
    pairs = {("A", "A"): 1.4, ("A", "B"): 1.2, ("B", "B"): 1.0}
    found = cage_relative(given, start, pairs)
    np.testing.assert_allclose(found, expected, atol=1e-13)
    lazy = cage_relative(given.chunk(replica=1, lag=2, particle=11), start.chunk(), pairs)
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, found)
    other = cage_relative(given.transpose("particle", "lag", "space", "replica"), start, pairs)
    assert other.dims == ("particle", "lag", "space", "replica")
    np.testing.assert_allclose(other.transpose(*found.dims), found, atol=1e-14)


def test_a_drift_is_no_motion_relative_to_the_cage(liquid):
    start = liquid.isel(frame=[0])
    drift = xr.DataArray(np.broadcast_to([5.0, -3.0, 1.0], (1, 240, 3)), dims=("replica", "particle", "space"))
    assert np.abs(cage_relative(drift, start, KNearest(8))).max() < 1e-14
    rng = np.random.default_rng(0)
    own = drift.copy(data=rng.normal(size=(1, 240, 3)))
    np.testing.assert_allclose(
        cage_relative(own + drift, start, KNearest(8)), cage_relative(own, start, KNearest(8)), atol=1e-13
    )
    # a cage of everybody: what remains is the motion relative to the mean
    island = gd.from_arrays(start["position"].values, species=start["species"].values, box=[99.0] * 3)
    np.testing.assert_allclose(cage_relative(own, island, 30.0), own - own.mean("particle"), atol=1e-13)


def test_cage_kernel_as_plain_python():
    rng = np.random.default_rng(0)
    moved, offsets = rng.normal(size=(2, 4, 3)), np.array([0, 2, 3, 3, 6])
    index = np.array([1, 3, 0, 0, 1, 2], np.int32)
    compiled, plain = np.empty_like(moved), np.empty_like(moved)
    kernels.cage_relative(moved, offsets, index, compiled)
    kernels.cage_relative.py_func(moved, offsets, index, plain)
    np.testing.assert_allclose(compiled, plain, atol=1e-15)
    assert (compiled[:, 2] == 0).all()


def test_bad_cages(liquid):
    moved = xr.DataArray(np.zeros((240, 3)), dims=("particle", "space"))
    with pytest.raises(SchemaError, match="3 frames"):
        cage_relative(moved, liquid, 1.5)
    with pytest.raises(SchemaError, match="start has 240, the displacements have 239"):
        cage_relative(moved[1:], liquid.isel(frame=[0]), 1.5)
    with pytest.raises(BoxError, match="cutoff"):
        cage_relative(moved, liquid.isel(frame=[0]), 5.0)


STILL = np.zeros((4, 2))
MOVED = np.ones((3, 4, 2))


def hidden(values):
    return np.ma.masked_array(values, np.arange(values.size).reshape(values.shape) == 1)


@pytest.mark.parametrize(
    ("initial", "final", "lag", "message"),
    [
        (hidden(STILL), MOVED, None, "initial is a masked array of which 1"),
        (STILL, hidden(MOVED), None, "final is a masked array of which 1"),
        (STILL, da.from_array(hidden(MOVED), chunks=2), None, "final is lazy and of masked arrays"),
        (STILL, MOVED[:, None], hidden(np.ones(1) * [1.0, 2.0]), "lag is a masked array"),
        (STILL.astype(str), MOVED, None, "initial has dtype <U32, expected real numbers"),
        (STILL, MOVED.astype(str), None, "final has dtype <U32, expected real numbers"),
        (STILL, da.from_array(MOVED.astype(complex), chunks=2), None, "final has dtype complex128, expected real"),
    ],
)
def test_positions_that_are_hidden_or_no_numbers(initial, final, lag, message):
    with pytest.raises(SchemaError, match=message):
        replica_displacements(initial, final, lag=lag)


@pytest.mark.parametrize("power", [True, 3, 0, "2", None, [2], np.array([1, 2]), np.True_, 1.5])
def test_powers_that_are_none(power):
    with pytest.raises(ParameterError, match=r"^power is .*: expected 1"):
        propensity(replica_displacements(STILL, MOVED), power)
