import dask.array as da
import numpy as np
import pytest
import scipy.stats
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.learning import dip_test, folding_test, skewness_kurtosis


def test_skewness_and_kurtosis_against_scipy():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=9000), rng.exponential(size=9000), rng.uniform(5, 6, size=9000)], axis=1)
    x[17, 1] = np.nan
    good = np.delete(x, 17, axis=0)
    for array in (x, da.from_array(x, chunks=(700, 2)), xr.DataArray(x)):
        skewness, kurtosis = skewness_kurtosis(array)
        np.testing.assert_allclose(skewness, scipy.stats.skew(good), atol=1e-10)
        np.testing.assert_allclose(kurtosis, scipy.stats.kurtosis(good), atol=1e-10)
    assert abs(skewness[0]) < 0.1
    assert kurtosis[2] == pytest.approx(-1.2, abs=0.05)


def test_chunked_moments_equal_unchunked_ones_at_an_offset():
    x = np.random.default_rng(1).gamma(2.0, size=(5000, 3)) + 1e4
    whole = skewness_kurtosis(x)
    parts = skewness_kurtosis(da.from_array(x, chunks=(37, 3)))
    np.testing.assert_allclose(parts, whole, rtol=1e-8)
    assert np.isnan(skewness_kurtosis(np.ones((5, 1)))).all()


def test_dip_finds_the_planted_bimodality():
    rng = np.random.default_rng(0)
    one = rng.normal(size=4000)
    two = np.concatenate([rng.normal(-2, 1, size=2000), rng.normal(2, 1, size=2000)])
    x = np.stack([one, two, rng.permutation(two)], axis=1)
    dip, p = dip_test(da.from_array(x, chunks=(1000, 3)))
    assert p[0] > 0.5
    assert p[1] < 0.001
    assert dip[1] == dip[2] > dip[0]
    # two separate points, half each: no distribution with one mode is nearer than 1/4
    assert dip_test(np.repeat([0.0, 1.0], 500))[0][0] == pytest.approx(0.25, abs=1e-3)


def test_dip_leaves_out_nan_and_accepts_more_rows_than_its_table():
    rng = np.random.default_rng(2)
    x = rng.normal(size=80000)
    padded = np.concatenate([x, np.full(100, np.nan)])
    assert dip_test(padded) == dip_test(x)
    assert dip_test(x)[1][0] > 0.2
    with pytest.raises(ParameterError, match="component 0 has 2 finite"):
        dip_test([1.0, 2.0, np.nan])
    with pytest.raises(ParameterError, match="none infinite"):
        dip_test([1.0, 2.0, 3.0, 4.0, np.inf])


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_folding_statistic_of_a_uniform_ball_is_one(d):
    rng = np.random.default_rng(d)
    directions = rng.normal(size=(40000, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ball = directions * rng.uniform(size=(40000, 1)) ** (1 / d)
    assert folding_test(ball) == pytest.approx(1.0, abs=0.03)


def test_folding_statistic_in_one_dimension():
    rng = np.random.default_rng(5)
    normal = rng.normal(size=200000)
    assert folding_test(normal) == pytest.approx(4 * (1 - 2 / np.pi), abs=0.02)
    # two narrow peaks at +-a: Var |X| = s^2, Var X = a^2 + s^2
    a, s = 3.0, 0.2
    peaks = s * normal + a * rng.choice([-1.0, 1.0], size=200000)
    assert folding_test(peaks) == pytest.approx(4 * s**2 / (a**2 + s**2), rel=0.02)


def test_folding_test_against_its_definition_and_invariances():
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(size=(900, 3)), rng.normal(size=(600, 3)) * 0.4 + [4, 1, 0]])
    covariance = np.cov(x.T, bias=True)
    square = (x**2).sum(axis=1)
    pivot = 0.5 * np.linalg.solve(covariance, ((x - x.mean(axis=0)) * (square - square.mean())[:, None]).mean(axis=0))
    expected = 16 * np.linalg.norm(x - pivot, axis=1).var() / np.trace(covariance)
    assert folding_test(x) == pytest.approx(expected, rel=1e-9)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert folding_test(5 * x @ rotation + 100) == pytest.approx(expected, rel=1e-9)
    padded = np.concatenate([x, np.full((20, 3), np.nan)])
    assert folding_test(da.from_array(padded, chunks=(91, 3))) == pytest.approx(expected, rel=1e-9)


def test_folding_test_refuses_what_does_not_vary():
    x = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ParameterError, match="singular"):
        folding_test(np.column_stack([x, x.sum(axis=1)]))
    with pytest.raises(ParameterError, match="singular"):
        folding_test(np.column_stack([x, np.ones(50)]))


def test_the_p_value_of_a_dip_is_drawn():
    """As in the table within the error of counting, and by a law of its own: p of uniform samples is uniform."""
    rng = np.random.default_rng(3)
    x = np.stack([rng.uniform(size=60), rng.normal(size=60), rng.normal(size=60) + 6 * (np.arange(60) % 2)], axis=1)
    dip, p = dip_test(x)
    again, drawn = dip_test(x, n_resamples=4000)
    np.testing.assert_array_equal(again, dip)
    assert (np.abs(drawn - p) < 5 * np.sqrt(np.maximum(p * (1 - p), 1e-3) / 4000) + 0.01).all()
    np.testing.assert_array_equal(dip_test(x, n_resamples=4000)[1], drawn)
    assert (dip_test(x, n_resamples=4000, seed=1)[1] != drawn).any()
    _, uniform = dip_test(rng.uniform(size=(30, 200)), n_resamples=500)
    assert abs(uniform.mean() - 0.5) < 5 / np.sqrt(12 * 200)
    with pytest.raises(ParameterError, match="n_resamples: expected a whole number of at least 2, found 1"):
        dip_test(x, n_resamples=1)
