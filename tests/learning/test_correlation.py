import dask.array as da
import numpy as np
import pytest
import scipy.stats
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.learning import bootstrap_pearson, bootstrap_spearman, pearson, spearman


def sample(n=900, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) + 50
    return x, np.exp(x @ [[0.5, 0.0], [0.0, 1.0], [0.2, 0.0]] - 50) + rng.normal(size=(n, 2))


@pytest.mark.parametrize(("ours", "theirs"), [(pearson, scipy.stats.pearsonr), (spearman, scipy.stats.spearmanr)])
def test_against_scipy(ours, theirs):
    x, y = sample()
    x[4, 1] = np.nan
    good = np.delete(np.arange(len(x)), 4)
    for array in (x, da.from_array(x, chunks=(130, 2))):
        r = ours(array, y)
        assert r.shape == (3, 2)
        for i in range(3):
            for j in range(2):
                assert r[i, j] == pytest.approx(theirs(x[good, i], y[good, j])[0], abs=1e-12)
    assert ours(xr.DataArray(x), y[:, 0]).shape == (3,)
    assert ours(x[:, 0], y).shape == (2,)
    assert np.ndim(ours(x[:, 0], y[:, 0])) == 0


def test_limits():
    x, _ = sample()
    assert pearson(x[:, 0], 3 - 2 * x[:, 0]) == pytest.approx(-1.0, abs=1e-14)
    assert spearman(x[:, 0], x[:, 0] ** 3) == pytest.approx(1.0, abs=1e-14)
    assert np.isnan(pearson(x[:, 0], np.full(len(x), 0.1)))
    with pytest.raises(ParameterError, match="y has 3 rows and X 900"):
        pearson(x, np.zeros(3))
    with pytest.raises(ParameterError, match="nothing to rank"):
        spearman(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))


def test_bootstrap_error_is_that_of_independent_configurations():
    # configurations share an offset: rows within one are not independent, and the error must know
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 200)

    def draw():
        offset = rng.normal(size=(60, 2))[groups]
        x = offset[:, 0] + 0.3 * rng.normal(size=len(groups))
        return x, 0.5 * x + offset[:, 1] + 0.3 * rng.normal(size=len(groups))

    x, y = draw()
    r, error = bootstrap_pearson(x, y, groups, n_resamples=400)
    assert r == pytest.approx(pearson(x, y), abs=1e-12)
    spread = np.std([pearson(*draw()) for _ in range(100)])
    assert error == pytest.approx(spread, rel=0.4)
    naive = bootstrap_pearson(x, y, np.arange(len(x)), n_resamples=50)[1]
    assert naive < error / 3


def test_bootstrap_equals_resampling_the_rows():
    x, y = sample(400)
    groups = np.arange(400) % 8
    r, error = bootstrap_pearson(da.from_array(x, chunks=(60, 3)), y, groups, n_resamples=30, seed=5)
    draws = np.random.default_rng(5).integers(8, size=(30, 8))
    brute = []
    for draw in draws:
        rows = np.concatenate([np.flatnonzero(groups == g) for g in draw])
        brute.append(pearson(x[rows], y[rows]))
    np.testing.assert_allclose(error, np.std(brute, axis=0, ddof=1), rtol=1e-7)
    np.testing.assert_allclose(r, pearson(x, y), rtol=1e-9)


def test_bootstrap_spearman_and_too_few_groups():
    x, y = sample(400)
    r, error = bootstrap_spearman(x[:, 0], y[:, 0], np.arange(400) % 20, n_resamples=50)
    assert r == pytest.approx(spearman(x[:, 0], y[:, 0]), abs=1e-12)
    assert 0.001 < error < 0.2
    with pytest.raises(ParameterError, match="needs at least 2"):
        bootstrap_pearson(x, y, np.zeros(400))
