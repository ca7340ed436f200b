import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.learning import (
    LogisticRegression,
    RidgeCV,
    balanced_extremes,
    bootstrap_pearson,
    compute_moments,
    cross_validate_classifier,
    grouped_moments,
    merge_moments,
)
from glassdask.learning.arrays import feature_names
from glassdask.learning.columns import column_moments


def data(n=3001, m=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, m)) @ rng.normal(size=(m, m)) + rng.normal(size=m)


def no_compute(*args, **kwargs):
    raise AssertionError("a NumPy array needs no scheduler")


def test_against_numpy_and_without_a_scheduler():
    x, y = data(), data(m=2, seed=1)
    with dask.config.set(scheduler=no_compute):
        m = compute_moments(x, y)
    z = np.hstack([x, y])
    np.testing.assert_allclose(m.mean, z.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(m.scatter / (len(z) - 1), np.cov(z.T), rtol=1e-12)
    assert (m.xx.shape, m.xy.shape, m.yy.shape, m.n_targets) == ((5, 5), (5, 2), (2, 2), 2)


@pytest.mark.parametrize("rows", [3001, 1000, 100, 7])
def test_chunked_equals_unchunked(rows):
    x, y = data(), data(m=2, seed=1)
    whole = compute_moments(x, y)
    chunked = compute_moments(da.from_array(x, chunks=(rows, 2)), da.from_array(y, chunks=(1234, 1)))
    scale = np.sqrt(np.outer(np.diag(whole.scatter), np.diag(whole.scatter)))
    assert np.abs(chunked.scatter - whole.scatter).max() < 1e-12 * scale.max()
    np.testing.assert_allclose(chunked.mean, whole.mean, rtol=1e-12)
    assert chunked.n == whole.n


def test_no_cancellation_when_the_mean_is_huge():
    # X'X - n m m' would lose every digit here: the squares are 1e16 and the variance 1. What remains is that the means
    # of the chunks are rounded to 1e-8 of a standard deviation.
    x = data(2000)
    shifted = x + 1e8
    exact = compute_moments(shifted - 1e8)
    found = compute_moments(da.from_array(shifted, chunks=(300, -1)))
    np.testing.assert_allclose(found.scatter, exact.scatter, rtol=1e-8)


def test_rows_with_nan_are_counted_and_left_out():
    x, y = data(), data(m=2, seed=1)
    x[::10, 2] = np.nan
    y[::15, 1] = np.nan
    good = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    for m in (compute_moments(x, y), compute_moments(da.from_array(x, chunks=(500, 5)), y)):
        assert (m.n, m.n_undefined) == (good.sum(), (~good).sum())
        np.testing.assert_allclose(m.xy, (x[good] - x[good].mean(axis=0)).T @ y[good], rtol=1e-9)
    nothing = compute_moments(da.full((40, 2), np.nan, chunks=(9, 2)))
    assert (nothing.n, nothing.n_undefined) == (0, 40)
    with pytest.raises(ParameterError, match=r"0 sample\(s\) without NaN"):
        nothing.require_rows(1)


def test_chunks_of_unknown_size():
    x = da.from_array(data(), chunks=(800, 5))
    kept = x[x[:, 0] > 0]
    assert np.isnan(kept.shape[0])
    m = compute_moments(kept, kept[:, :1] * 2)
    np.testing.assert_allclose(m.xx, compute_moments(kept.compute()).xx, rtol=1e-12)
    np.testing.assert_allclose(m.xy[:, 0], 2 * m.xx[:, 0], rtol=1e-12)
    with pytest.raises(ParameterError, match="unknown size"):
        compute_moments(kept, np.zeros(10))


def test_groups_add_up_and_stay_apart():
    x, y = data(), data(m=1, seed=1)[:, 0]
    labels = np.arange(len(x)) % 3
    parts = grouped_moments(da.from_array(x, chunks=(700, 5)), y, labels)
    assert list(parts) == [0, 1, 2]
    for label, part in parts.items():
        np.testing.assert_allclose(part.xx, compute_moments(x[labels == label]).xx, rtol=1e-11)
    np.testing.assert_allclose(merge_moments(parts.values()).scatter, compute_moments(x, y).scatter, rtol=1e-11)
    assert list(grouped_moments(x, groups=labels.astype(str))) == ["0", "1", "2"]


def test_infinite_number_is_named():
    x = data(50)
    x[13, 3] = np.inf
    with pytest.raises(ParameterError, match="feature 3 is infinite in chunk 2"):
        compute_moments(da.from_array(x, chunks=(5, 5)))
    x[13, 3] = 1.0
    with pytest.raises(ParameterError, match="target 0 is infinite"):
        compute_moments(x, np.where(np.arange(50) == 3, -np.inf, 1.0))


def test_select_is_a_smaller_problem():
    x, y = data(), data(m=3, seed=1)
    m = compute_moments(x, y)
    few = m.select([4, 1], targets=[2])
    direct = compute_moments(x[:, [4, 1]], y[:, 2])
    np.testing.assert_allclose(few.scatter, direct.scatter, rtol=1e-11)
    with pytest.raises(ParameterError, match="not positions"):
        m.select([5])


def test_names_come_from_the_coordinate():
    array = xr.DataArray(data(20, 3), dims=("sample", "l"), coords={"l": [2, 4, 6]})
    assert compute_moments(array).names == ["l=2", "l=4", "l=6"]
    assert compute_moments(array.chunk(sample=7)).names == ["l=2", "l=4", "l=6"]
    assert compute_moments(array.drop_vars("l")).names is None
    pairs = array.assign_coords(n=("l", [0, 1, 1])).stack(feature=["l"])
    assert feature_names(pairs) == ["n=0, l=2", "n=1, l=4", "n=1, l=6"]
    scalar = xr.DataArray(np.zeros((2, 5)), dims=("frame", "particle"), name="theta")
    assert feature_names(scalar) == ["theta"]


def test_targets_and_groups_may_be_data_arrays_or_dask():
    x, y = data(60), data(60, 1, seed=1)[:, 0]
    labels = np.arange(60) // 20
    expected = grouped_moments(x, y, labels)
    found = grouped_moments(
        xr.DataArray(x, dims=("sample", "l")),
        xr.DataArray(da.from_array(y, chunks=13), dims="sample"),
        xr.DataArray(da.from_array(labels, chunks=7), dims="sample"),
    )
    for group in expected:
        np.testing.assert_array_equal(found[group].scatter, expected[group].scatter)
        assert found[group].vector_target
    with pytest.raises(ParameterError, match="no moments to merge"):
        merge_moments([])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(3), None, "expected \\(sample, feature\\)"),
        (np.zeros((3, 0)), None, r"0 feature\(s\)"),
        (np.zeros((3, 2), dtype=complex), None, "Complex data not supported"),
        (np.zeros((3, 2)), np.zeros(4), "y has 4 rows and X 3"),
    ],
)
def test_wrong_arguments(x, y, message):
    with pytest.raises(ParameterError, match=message):
        compute_moments(x, y)


def test_column_moments_against_numpy():
    x = np.exp(data()) + 100
    x[5, 1] = np.nan
    good = np.delete(x, 5, axis=0)
    centred = good - good.mean(axis=0)
    for array in (x, da.from_array(x, chunks=(210, 2))):
        c = column_moments(array)
        assert (c.n, c.n_undefined) == (len(good), 1)
        for power, found in ((2, c.m2), (3, c.m3), (4, c.m4)):
            np.testing.assert_allclose(found, (centred**power).sum(axis=0), rtol=1e-9)


def test_features_that_vary_by_rounding_only_are_constant():
    """A variation of a few units in the last place is none; one of 1e-12 of the mean is meant."""
    rng = np.random.default_rng(2)
    rounded = 1e6 * (1 + 2.0 ** rng.integers(-52, -50, size=500))
    small = 1e6 * (1 + 1e-12 * rng.normal(size=500))
    around_zero = 1e-12 * rng.normal(size=500)
    x = np.column_stack([np.full(500, 0.1), rounded, small, around_zero, np.zeros(500)])
    assert compute_moments(x).constant_features().tolist() == [0, 1, 4]
    assert column_moments(x).constant_features().tolist() == [0, 1, 4]


UNGROUPED = {
    "NaN": np.repeat([0.0, 1.0, 2.0, np.nan], 50),
    "NaT": np.repeat(np.array(["2026-01-01", "2026-01-02", "NaT", "NaT"], dtype="M8[D]"), 50),
    "None": np.array([0, 1, None, 1] * 50, dtype=object),
    "NaN of objects": np.array([0.0, 1.0, np.nan, 1.0] * 50, dtype=object),
    "types": np.array([0, "a", 1, "b"] * 50, dtype=object),
    "two columns": np.zeros((100, 2), dtype=int),
    "too few": np.zeros(199, dtype=int),
    "a number": 3,
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", UNGROUPED)
def test_rows_without_a_group_do_not_vanish(kind, lazy):
    x = np.random.default_rng(0).normal(size=(200, 3))
    groups = UNGROUPED[kind]
    if lazy:
        x = da.from_array(x, chunks=(60, 3))
        groups = da.from_array(groups, chunks=60) if np.ndim(groups) == 1 else groups
    for function in (
        lambda: grouped_moments(x, x[:, 0], groups),
        lambda: bootstrap_pearson(x, x[:, 0], groups),
        lambda: balanced_extremes(np.asarray(x[:, 0]), 0.2, np.asarray(groups)),
        lambda: cross_validate_classifier(LogisticRegression(), x, np.asarray(x[:, 0]) > 0, groups),
        lambda: RidgeCV().fit(x, x[:, 0], groups),
    ):
        with pytest.raises(ParameterError, match="groups"):
            function()


@pytest.mark.parametrize("labels", [[3, 1, 2], ["b", "c", "a"], [2.5, -1.0, 0.0], [True, False, True]])
def test_groups_of_any_one_type(labels):
    x = np.random.default_rng(0).normal(size=(60, 2))
    groups = np.array(labels)[np.arange(60) % 3]
    whole = grouped_moments(x, groups=groups)
    assert list(whole) == sorted(set(labels))
    assert sum(part.n for part in whole.values()) == 60
    for given in (groups.astype(object), groups[:, None], xr.DataArray(groups, dims="sample"), list(groups)):
        again = grouped_moments(x, groups=given)
        assert list(again) == list(whole)
        for group, part in again.items():
            np.testing.assert_array_equal(part.scatter, whole[group].scatter)
    lazy = grouped_moments(da.from_array(x, chunks=(7, 2)), groups=groups)
    assert {group: part.n for group, part in lazy.items()} == {group: part.n for group, part in whole.items()}
