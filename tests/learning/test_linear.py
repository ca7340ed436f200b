from dataclasses import replace

import dask
import dask.array as da
import numpy as np
import pytest
import sklearn.base
import sklearn.decomposition
import sklearn.linear_model
import sklearn.model_selection
import xarray as xr

from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning import (
    ARDRegression,
    LinearRegression,
    PrincipalComponentRegression,
    Ridge,
    compute_moments,
    load_model,
    ridge_path,
    save_model,
)

MODELS = [LinearRegression(), Ridge(2.0), PrincipalComponentRegression(3), ARDRegression()]


def planted(n=4000, noise=0.0, seed=0):
    """Correlated features with means and scales of their own, three targets that are linear in them."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, 6)) @ rng.normal(size=(6, 6))) * [1, 10, 0.1, 1, 3, 1] + rng.normal(size=6) * 5
    coef = rng.normal(size=(3, 6))
    return x, x @ coef.T + [1.0, -2.0, 3.0] + noise * rng.normal(size=(n, 3)), coef


def test_planted_laws_are_recovered():
    x, y, coef = planted()
    model = LinearRegression().fit(da.from_array(x, chunks=(600, 6)), y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, [1.0, -2.0, 3.0], atol=1e-8)
    assert model.score(x, y) == pytest.approx(1.0, abs=1e-12)


def test_least_squares_equals_lstsq():
    x, y, _ = planted(noise=1.0)
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0].T
    for array in (x, da.from_array(x, chunks=(321, 4))):
        model = LinearRegression().fit(array, y)
        np.testing.assert_allclose(model.coef_, expected[:, :-1], rtol=1e-10)
        np.testing.assert_allclose(model.intercept_, expected[:, -1], rtol=1e-10)
        assert model.rank_ == 6


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_chunked_equals_unchunked(model):
    x, y, _ = planted(noise=1.0)
    whole = sklearn.base.clone(model).fit(x, y)
    part = sklearn.base.clone(model).fit(da.from_array(x, chunks=(77, 6)), da.from_array(y, chunks=(500, 1)))
    np.testing.assert_allclose(part.coef_, whole.coef_, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_predictions_are_lazy_shaped_like_y_and_nan_where_undefined(model):
    x, y, _ = planted(600, noise=1.0)
    x[7, 2] = np.nan
    y[9, 1] = np.nan
    array = da.from_array(x, chunks=(100, 6))
    matrix = sklearn.base.clone(model).fit(array, y)
    assert (matrix.n_samples_, matrix.n_undefined_) == (598, 2)
    predicted = matrix.predict(array)
    assert isinstance(predicted, da.Array)
    assert predicted.shape == (600, 3)
    assert np.flatnonzero(np.isnan(predicted.compute()).any(axis=1)).tolist() == [7]
    vector = sklearn.base.clone(model).fit(array, np.where(np.isnan(y[:, 1]), np.nan, y[:, 0]))
    assert vector.predict(x).shape == (600,)
    assert isinstance(vector.intercept_, float)
    np.testing.assert_allclose(vector.coef_, matrix.coef_[0], rtol=1e-12)
    np.testing.assert_allclose(vector.predict(array).compute(), predicted[:, 0].compute(), rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 10.0, 1e5])
def test_ridge_equals_scikit_learn(alpha):
    x, y, _ = planted(500, noise=1.0)
    raw = sklearn.linear_model.Ridge(alpha=alpha).fit(x, y)
    np.testing.assert_allclose(Ridge(alpha, scale=False).fit(x, y).coef_, raw.coef_, rtol=1e-7)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    scaled = sklearn.linear_model.Ridge(alpha=alpha).fit(z, y)
    np.testing.assert_allclose(Ridge(alpha).fit(x, y).predict(x), scaled.predict(z), rtol=1e-8)


def test_ridge_path_is_one_eigenproblem():
    x, y, _ = planted(500, noise=1.0)
    m = compute_moments(x, y)
    path = ridge_path(m, [0.0, 1.0, 1e9])
    assert path.shape == (3, 3, 6)
    np.testing.assert_allclose(path[0], LinearRegression().fit(x, y).coef_, rtol=1e-9)
    np.testing.assert_allclose(path[1], Ridge(1.0).fit_moments(m).coef_, rtol=1e-12)
    assert np.abs(path[2]).max() < 1e-4
    with pytest.raises(ParameterError, match="not negative"):
        ridge_path(m, [-1.0])


def test_principal_component_regression():
    x, y, _ = planted(700, noise=1.0)
    reduced = sklearn.decomposition.PCA(2).fit_transform(x)
    expected = sklearn.linear_model.LinearRegression().fit(reduced, y).predict(reduced)
    np.testing.assert_allclose(PrincipalComponentRegression(2).fit(x, y).predict(x), expected, rtol=1e-9)
    everything = PrincipalComponentRegression(None, scale=True).fit(x, y)
    np.testing.assert_allclose(everything.coef_, LinearRegression().fit(x, y).coef_, rtol=1e-8)


@pytest.mark.parametrize(("n", "m"), [(300, 10), (2000, 60), (40, 80)])
def test_ard_equals_scikit_learn(n, m):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, m))
    y = x[:, :4] @ [1, -2, 0.5, 0.3] + 0.5 * rng.normal(size=n)
    z, t = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    reference = sklearn.linear_model.ARDRegression(threshold_lambda=1e4, max_iter=1000).fit(z, t)
    model = ARDRegression().fit(z, t)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-5)
    assert model.alpha_[0] == pytest.approx(reference.alpha_, rel=1e-3)
    assert model.n_iter_[0] == reference.n_iter_
    # units do not matter
    other = ARDRegression().fit(x * 1e3 + 1, y * 1e-3)
    np.testing.assert_allclose(
        other.predict(x * 1e3 + 1), y.std() * 1e-3 * model.predict(z) + y.mean() * 1e-3, atol=1e-8
    )


def test_ard_keeps_what_matters_only():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 30))
    x[:, 7] = 5.0
    y = np.stack([x[:, 3] - 2 * x[:, 11] + 0.1 * rng.normal(size=3000), np.full(3000, 2.0)], axis=1)
    model = ARDRegression(threshold=1e3).fit(x, y)
    assert set(np.flatnonzero(model.coef_[0])) == {3, 11}
    assert np.isinf(model.lambda_[0, 7])
    assert model.alpha_[0] * 0.01 / y[:, 0].var() == pytest.approx(1.0, rel=0.1)  # the noise that was planted
    np.testing.assert_array_equal(model.coef_[1], 0.0)
    assert model.intercept_[1] == 2.0


def test_ard_without_any_relevant_feature_predicts_the_mean():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(3000, 2)), rng.normal(size=3000) + 7
    model = ARDRegression(threshold=10.0).fit(x, y)
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.intercept_ == pytest.approx(y.mean(), rel=1e-12)


def test_ard_with_equal_features_without_noise():
    x = np.random.default_rng(0).normal(size=(200, 2))
    x = np.column_stack([x, x[:, 0]])
    model = ARDRegression().fit(x, x[:, 0])
    np.testing.assert_allclose(model.predict(x), x[:, 0], atol=1e-4)
    # so many rows that the prior is nothing beside them: the posterior is singular to rounding
    m = compute_moments(x, x[:, 0])
    many = ARDRegression().fit_moments(replace(m, n=m.n * 10**8, scatter=m.scatter * 1e8))
    np.testing.assert_allclose(many.predict(x), x[:, 0], atol=1e-4)


def test_ard_says_when_it_has_not_converged():
    x, y, _ = planted(200, noise=3.0)
    with pytest.raises(ConvergenceError, match="target 0: after 2 updates"):
        ARDRegression(max_iter=2, tol=1e-12).fit(x, y)
    with pytest.raises(ParameterError, match="max_iter: expected"):
        ARDRegression(max_iter=0).fit(x, y)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_constant_feature_gets_no_weight(model):
    x, y, _ = planted(300, noise=1.0)
    with_constant = np.insert(x, 2, 0.1, axis=1)
    a = sklearn.base.clone(model).fit(x, y)
    b = sklearn.base.clone(model).fit(with_constant, y)
    np.testing.assert_allclose(np.delete(b.coef_, 2, axis=1), a.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(b.predict(with_constant), a.predict(x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", [LinearRegression(), Ridge(), ARDRegression()], ids=lambda m: type(m).__name__)
def test_without_a_feature_that_varies_the_mean_is_predicted(model):
    assert sklearn.base.clone(model).fit(np.ones((9, 2)), np.arange(9.0)).predict(np.ones((1, 2)))[0] == 4.0


def test_more_features_than_rows_and_dependent_features():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 25)), rng.normal(size=10)
    model = LinearRegression().fit(x, y)
    assert model.rank_ == 9  # one is the mean's
    np.testing.assert_allclose(model.predict(x), y, atol=1e-10)
    x, y, _ = planted(200, noise=1.0)
    twice = LinearRegression().fit(np.column_stack([x, x]), y)
    assert twice.rank_ == 6
    np.testing.assert_allclose(
        twice.predict(np.column_stack([x, x])), LinearRegression().fit(x, y).predict(x), atol=1e-8
    )


def test_correlation_of_predictions_without_the_data():
    x, y, _ = planted(400, noise=5.0)
    model = LinearRegression().fit(x[:300], y[:300])
    expected = [np.corrcoef(model.predict(x[300:])[:, t], y[300:, t])[0, 1] for t in range(3)]
    np.testing.assert_allclose(model.correlation(compute_moments(x[300:], y[300:])), expected, rtol=1e-10)


def test_subsets_without_the_data():
    x, y, _ = planted(noise=1.0)
    m = compute_moments(x, y)
    with dask.config.set(scheduler=None):
        some = LinearRegression().fit_moments(m.select([5, 2], targets=[1]))
    np.testing.assert_allclose(some.coef_[0], LinearRegression().fit(x[:, [5, 2]], y[:, 1]).coef_, rtol=1e-9)


def test_score_equals_scikit_learns_and_works_in_its_tools():
    x, y, _ = planted(600, noise=2.0)
    reference = sklearn.linear_model.LinearRegression().fit(x, y)
    assert LinearRegression().fit(x, y).score(x[:100], y[:100]) == pytest.approx(reference.score(x[:100], y[:100]))
    ours = sklearn.model_selection.cross_val_score(LinearRegression(), x, y[:, 0], cv=3)
    theirs = sklearn.model_selection.cross_val_score(sklearn.linear_model.LinearRegression(), x, y[:, 0], cv=3)
    np.testing.assert_allclose(ours, theirs)


def test_features_must_match():
    x, y, _ = planted(50)
    named = xr.DataArray(x, dims=("sample", "l"), coords={"l": np.arange(6)})
    model = LinearRegression().fit(named, y)
    with pytest.raises(ParameterError, match="feature 1 is 'l=2', but the model was fitted on 'l=1'"):
        model.predict(named[:, [0, 2, 1, 3, 4, 5]])
    with pytest.raises(ParameterError, match="X has 5 features"):
        model.predict(x[:, :5])
    with pytest.raises(ParameterError, match="features only"):
        LinearRegression().fit_moments(compute_moments(x))
    with pytest.raises(ParameterError, match=r"0 sample\(s\) without NaN"):
        LinearRegression().fit(x * np.nan, y)


def test_errors_of_predictions_are_those_of_scikit_learn(tmp_path):
    """On standardised data; they follow the units, are the same in chunks, and are kept in files."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(80, 5)) * [1.0, 2.0, 0.5, 1.0, 3.0] + 1.0
    y = x @ [1.0, 0.0, 2.0, 0.0, 0.3] + rng.normal(size=80)
    z, t = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    reference = sklearn.linear_model.ARDRegression(threshold_lambda=1e4, max_iter=1000, tol=1e-10).fit(z, t)
    model = ARDRegression(tol=1e-10).fit(z, t)
    expected, spread = reference.predict(z * 3, return_std=True)
    found, ours = model.predict(z * 3, return_std=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(ours, spread, rtol=1e-4)
    raw = ARDRegression(tol=1e-10).fit(x, np.stack([y, -1e3 * y, np.ones(80)], axis=1))
    both, errors = raw.predict(x.mean(axis=0) + 3 * (x - x.mean(axis=0)), return_std=True)
    np.testing.assert_allclose(both[:, 0], found * y.std() + y.mean(), rtol=1e-6)
    np.testing.assert_allclose(errors[:, 0], ours * y.std(), rtol=1e-6)
    np.testing.assert_allclose(errors[:, 1], 1e3 * errors[:, 0], rtol=1e-6)
    assert (errors[:, 2] == 0).all()  # a constant target has none
    lazy = da.from_array(x, chunks=(30, 5))
    np.testing.assert_allclose(raw.predict(lazy, return_std=True)[1].compute(), raw.predict(x, return_std=True)[1])
    kept = load_model(save_model(raw, tmp_path / "ard.npz"))
    np.testing.assert_array_equal(kept.predict(x, return_std=True)[1], raw.predict(x, return_std=True)[1])
    x[3, 1] = np.nan
    assert np.isnan(raw.predict(x, return_std=True)[1][3]).all()
    del kept.sigma_
    with pytest.raises(ParameterError, match="saved before it kept the errors of its coefficients: fit it again"):
        kept.predict(x, return_std=True)


def test_two_of_three_targets_are_within_the_error_of_their_prediction():
    """Far from the rows that were fitted, so that the errors of the coefficients count."""
    rng = np.random.default_rng(9)
    inside, bare = [], []
    for _ in range(40):
        truth, x, far = rng.normal(size=8), rng.normal(size=(200, 8)), 8 * rng.normal(size=(50, 8))
        model = ARDRegression(max_iter=5000).fit(x, x @ truth + rng.normal(size=200))
        found, error = model.predict(far, return_std=True)
        apart = np.abs(far @ truth + rng.normal(size=50) - found)
        inside.append((apart < error).mean())
        bare.append((apart < model.noise_[0]).mean())
    assert 0.60 < np.mean(inside) < 0.72
    assert np.mean(bare) < 0.5  # the noise alone is too little
