import dask.array as da
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.model_selection

from glassdask.errors import ParameterError
from glassdask.learning import (
    ARDRegression,
    ForwardSelection,
    LinearRegression,
    PrincipalComponentRegression,
    Ridge,
    RidgeCV,
    compute_moments,
    cross_validate,
    forward_selection,
    grouped_moments,
    learning_curve,
    pearson,
    selection_curve,
)

GROUPS = np.repeat(np.arange(10), 200)


def planted(noise=1.0, m=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(GROUPS), m)) @ (np.eye(m) + 0.3 * rng.normal(size=(m, m)))
    y = np.stack([2 * x[:, 3] - x[:, 7], x[:, 1]], axis=1) + noise * rng.normal(size=(len(GROUPS), 2))
    return x, y


@pytest.mark.parametrize("n_folds", [None, 5])
def test_folds_without_data_equal_folds_with_data(n_folds):
    x, y = planted()
    found = cross_validate(LinearRegression(), grouped_moments(da.from_array(x, chunks=(333, 12)), y, GROUPS), n_folds)
    splits = 10 if n_folds is None else n_folds
    predicted = np.empty_like(y)
    for fold in range(splits):
        test = GROUPS % splits == fold
        predicted[test] = sklearn.linear_model.LinearRegression().fit(x[~test], y[~test]).predict(x[test])
    expected = np.array([np.corrcoef(predicted[:, t], y[:, t])[0, 1] for t in range(2)])
    np.testing.assert_allclose(found.pooled_r, expected, rtol=1e-9)
    r2 = 1 - ((predicted - y) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(found.pooled_r2, r2, rtol=1e-9)
    assert found.groups == list(range(10))
    for g in range(10):
        rows = g == GROUPS
        np.testing.assert_allclose(found.r[g], np.diag(pearson(predicted[rows], y[rows])), rtol=1e-9)
    np.testing.assert_allclose(found.error, found.r.std(axis=0, ddof=1) / np.sqrt(10))


@pytest.mark.parametrize(
    "model",
    [LinearRegression(), Ridge(), RidgeCV(), PrincipalComponentRegression(40), ARDRegression(), ForwardSelection(3)],
    ids=lambda m: type(m).__name__,
)
def test_shuffled_targets_are_at_chance(model):
    x, y = planted(m=60)
    rng = np.random.default_rng(1)
    # many shuffles: the folds of one of them are not independent of each other
    shuffled = np.stack([rng.permutation(y[:, 0]) for _ in range(12)], axis=1)
    r = cross_validate(model, grouped_moments(x, shuffled, GROUPS)).r
    assert abs(np.nanmean(r)) < 0.04
    # all rows together give R of about sqrt(60 / 2000) = 0.17 to least squares, by chance
    m = compute_moments(x, shuffled)
    assert LinearRegression().fit_moments(m).correlation(m).mean() == pytest.approx(0.17, abs=0.03)
    # and what was planted is found
    assert np.nanmin(cross_validate(model, grouped_moments(x, y, GROUPS)).pooled_r) > 0.3


def test_ridge_cv_takes_the_best_penalty():
    x, y = planted(noise=6.0, m=60)
    alphas = [0.1, 10.0, 300.0, 1e6]
    model = RidgeCV(alphas).fit(x, y, GROUPS)
    parts = grouped_moments(x, y, GROUPS)
    each = [cross_validate(Ridge(alpha), parts).pooled_r for alpha in alphas]
    np.testing.assert_allclose(model.r_path_, each, rtol=1e-10)
    assert model.alpha_ == alphas[int(np.argmax(np.mean(each, axis=1)))]
    np.testing.assert_allclose(model.coef_, Ridge(model.alpha_).fit(x, y).coef_, rtol=1e-10)
    with pytest.raises(ParameterError, match="by groups"):
        RidgeCV().fit(x, y)
    with pytest.raises(ParameterError, match="by groups"):
        RidgeCV().fit_moments(compute_moments(x, y))


def test_learning_curve_grows_to_the_planted_level():
    x, y = planted(noise=2.0, m=60)
    parts = grouped_moments(x, y, GROUPS)
    mean, spread = learning_curve(LinearRegression(), parts, [1, 4, 9], n_repeats=6)
    assert mean.shape == spread.shape == (3, 2)
    assert (np.diff(mean, axis=0) > 0).all()
    assert mean[-1, 0] == pytest.approx(cross_validate(LinearRegression(), parts).pooled_r[0], abs=0.03)
    repeated, _ = learning_curve(LinearRegression(), parts, [1, 4, 9], n_repeats=6)
    np.testing.assert_array_equal(mean, repeated)
    with pytest.raises(ParameterError, match="between 1 and 9"):
        learning_curve(LinearRegression(), parts, [10])


@pytest.mark.parametrize("n_folds", [1, 11])
def test_wrong_folds(n_folds):
    x, y = planted()
    with pytest.raises(ParameterError, match="folds of 10 groups"):
        cross_validate(LinearRegression(), grouped_moments(x, y, GROUPS), n_folds)


def test_forward_selection_equals_refitting():
    x, y = planted(noise=1.5)
    order, r2 = forward_selection(compute_moments(x, y[:, 0]))
    chosen: list[int] = []
    for step in range(5):
        scores = {}
        for j in set(range(12)) - set(chosen):
            columns = x[:, [*chosen, j]]
            scores[j] = sklearn.linear_model.LinearRegression().fit(columns, y[:, 0]).score(columns, y[:, 0])
        chosen.append(max(scores, key=scores.get))
        assert order[step] == chosen[-1]
        assert r2[step, 0] == pytest.approx(scores[chosen[-1]], rel=1e-9)
    assert set(order[:2]) == {3, 7}
    assert len(order) == 12
    model = ForwardSelection(2).fit(x, y[:, 0])
    assert set(np.flatnonzero(model.coef_)) == {3, 7}
    np.testing.assert_allclose(model.coef_[[3, 7]], [2, -1], atol=0.2)


def test_forward_selection_judges_a_feature_by_what_is_new_in_it():
    """Nearly a copy of the first one, but its small remainder explains what is left of the target."""
    rng = np.random.default_rng(4)
    first, remainder, other = rng.normal(size=(3, 4000))
    x = np.column_stack([first, first + 0.05 * remainder, other])
    y = 10 * first - remainder + 0.3 * other
    assert forward_selection(compute_moments(x, y))[0].tolist() == [0, 1, 2]


def test_forward_selection_stops_at_what_is_dependent_or_constant():
    x, y = planted()
    x = np.column_stack([x[:, :8], x[:, 3] * 2 + x[:, 1], np.ones(len(x))])
    order, _ = forward_selection(compute_moments(x, y))
    assert len(order) == 8
    assert 9 not in order
    with pytest.raises(ParameterError, match="expected 1 to 10"):
        forward_selection(compute_moments(x, y), 11)
    with pytest.raises(ParameterError, match="features only"):
        forward_selection(compute_moments(x))


def test_selection_curves():
    x, y = planted(noise=1.0)
    parts = grouped_moments(x, y[:, 0], GROUPS)
    full = cross_validate(LinearRegression(), parts).pooled_r
    forward = selection_curve(parts, "forward")
    components = selection_curve(parts, "pca", sizes=[1, 6, 12])
    given = selection_curve(parts, [3, 7, *[i for i in range(12) if i not in (3, 7)]], sizes=[1, 2, 12])
    assert forward.shape == (12, 1)
    assert forward[1] == pytest.approx(full, abs=0.01)  # two features were planted
    np.testing.assert_allclose(forward[-1], full, rtol=1e-9)
    np.testing.assert_allclose(components[-1], full, rtol=1e-8)
    np.testing.assert_allclose(given[1:], [forward[1], full], rtol=1e-9)
    assert components[1] == pytest.approx(cross_validate(PrincipalComponentRegression(6), parts).pooled_r, rel=1e-9)
    x[:, 5] = x[:, 3] - 2 * x[:, 7]  # depends on those before it
    dependent = grouped_moments(x, y[:, 0], GROUPS)
    again = selection_curve(dependent, [3, 7, 5], sizes=[1, 2, 3])
    np.testing.assert_allclose(again, [given[0], forward[1], forward[1]], rtol=1e-9)
    for order, sizes, message in (
        ("body", None, "expected 'forward'"),
        ("pca", [13], "between 1 and"),
        ([0], [2], "names 1"),
    ):
        with pytest.raises(ParameterError, match=message):
            selection_curve(parts, order, sizes)
