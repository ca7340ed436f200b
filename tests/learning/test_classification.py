import dask.array as da
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics
import sklearn.preprocessing
import sklearn.svm

from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning import (
    LinearSVM,
    LogisticRegression,
    accuracy,
    balanced_above,
    balanced_extremes,
    calibration,
    cross_validate_classifier,
    roc_auc,
)

MODELS = [LogisticRegression(), LinearSVM()]
BOTH = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def planted(n=2000, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)) * [1, 100, 0.01, 1, 1] + [0, 50, 0, 1, 0]
    activity = x[:, 0] - (x[:, 1] - 50) / 100 + noise * rng.normal(size=n)
    return x, activity, np.arange(n) // (n // 10)


def test_extremes_are_balanced_and_extreme():
    _, activity, groups = planted()
    activity[5] = np.nan
    rows, labels = balanced_extremes(activity, 0.05)
    assert labels.sum() == len(labels) / 2 == 99
    order = np.argsort(activity)[:1999]
    assert set(rows[labels == 1]) == set(order[-99:])
    assert set(rows[labels == 0]) == set(order[:99])
    rows, labels = balanced_extremes(activity + 100 * (groups == 3), 0.1, groups)
    assert [int(((groups[rows] == g) & (labels == 1)).sum()) for g in range(10)] == [19] + [20] * 9
    for g in range(10):
        chosen = rows[(groups[rows] == g) & (labels == 1)]
        others = np.setdiff1d(np.flatnonzero(groups == g), [*chosen, 5])
        assert activity[chosen].min() >= activity[others].max()


def test_thresholds_and_avalanches():
    rng = np.random.default_rng(0)
    activity = rng.uniform(0, 0.5, size=300)
    activity[[3, 50, 120]] = 1.0
    activity[200:260] = 2.0
    groups = np.arange(300) // 100
    rows, labels = balanced_above(activity, 0.6, groups, avalanche=0.1)
    assert rows[labels == 1].tolist() == [3, 50, 120]
    assert np.bincount(groups[rows[labels == 0]]).tolist() == [2, 1]
    assert activity[rows[labels == 0]].max() < 0.05
    rows, labels = balanced_above(activity, 0.6, groups)
    assert labels.sum() == len(labels) / 2 == 53  # 60 of 100 are above in the last group: half of it is taken
    with pytest.raises(ParameterError, match="1 left out as avalanches"):
        balanced_above(activity[200:], 0.6, avalanche=0.1)


@pytest.mark.parametrize(
    ("activity", "fraction", "message"),
    [
        ([1.0, 2.0], 0.6, "at most 0.5"),
        ([1.0], 0.1, "at least 2"),
        ([np.nan, np.nan], 0.1, "none of the 2"),
        ([[1.0]], 0.1, "flatten"),
    ],
)
def test_wrong_selections(activity, fraction, message):
    with pytest.raises(ParameterError, match=message):
        balanced_extremes(activity, fraction)


def test_equal_to_scikit_learn_on_scaled_features():
    x, activity, _ = planted()
    y = (activity > 0).astype(int)
    z = sklearn.preprocessing.StandardScaler().fit_transform(x)
    logistic = sklearn.linear_model.LogisticRegression(C=0.1, max_iter=1000, tol=1e-9).fit(z, y)
    np.testing.assert_allclose(
        LogisticRegression(C=0.1).fit(x, y).predict_proba(x), logistic.predict_proba(z), rtol=1e-5
    )
    svm = sklearn.svm.LinearSVC(C=0.1, dual=False).fit(z, y)
    ours = LinearSVM(C=0.1).fit(x, y)
    np.testing.assert_allclose(ours.decision_function(x), svm.decision_function(z), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(x), svm.predict(z))


@BOTH
def test_planted_direction_is_found_in_any_units(model):
    x, activity, _ = planted(noise=0.2)
    fitted = model.fit(x, activity > 0)
    assert accuracy(activity > 0, fitted.predict(x)) > 0.93
    assert fitted.coef_[1] / fitted.coef_[0] == pytest.approx(-0.01, rel=0.05)
    other = type(model)().fit(x * 1e3 - 5, activity > 0)
    np.testing.assert_array_equal(fitted.predict(x), other.predict(x * 1e3 - 5))


@BOTH
def test_lazy_predictions_and_undefined_rows(model):
    x, activity, _ = planted()
    x[7, 3] = np.nan
    y = np.where(activity > 0, "active", "inactive")
    array = da.from_array(x, chunks=(301, 5))
    fitted = model.fit(array, y)
    assert (fitted.n_samples_, fitted.n_undefined_) == (1999, 1)
    assert fitted.classes_.tolist() == ["active", "inactive"]
    decision = fitted.decision_function(array)
    assert isinstance(decision, da.Array)
    np.testing.assert_allclose(decision.compute(), fitted.decision_function(x), rtol=1e-12)
    assert np.flatnonzero(np.isnan(decision.compute())).tolist() == [7]
    # a row without a decision has no label: the lower one was a guess that accuracy counted
    for given in (x, array):
        with pytest.raises(ParameterError, match=r"row 7 \(and 0 more of \d+\) has a NaN and so no label"):
            np.asarray(fitted.predict(given))
    labels = fitted.predict(x[8:])
    np.testing.assert_array_equal(fitted.predict(array[8:]).compute(), labels)
    np.testing.assert_array_equal(labels, np.where(fitted.decision_function(x[8:]) > 0, "inactive", "active"))


@BOTH
def test_cross_validation_by_groups(model):
    x, activity, groups = planted(noise=0.3)
    rows, labels = balanced_extremes(activity, 0.2, groups)
    scores = cross_validate_classifier(model, x[rows], labels, groups[rows])
    assert scores.accuracy.shape == scores.roc_auc.shape == (5,)
    assert sorted(g for fold in scores.groups for g in fold) == list(range(10))
    assert scores.accuracy.min() > 0.95
    assert roc_auc(labels, scores.decision) > 0.98


@BOTH
def test_shuffled_labels_are_at_chance(model):
    rng = np.random.default_rng(4)
    x, labels, groups = rng.normal(size=(1200, 150)), rng.permutation(np.arange(1200) % 2), np.arange(1200) // 100
    assert accuracy(labels, model.fit(x, labels).predict(x)) > 0.6  # on its own rows it seems to have learned
    scores = cross_validate_classifier(model, x, labels, groups)
    assert scores.accuracy.mean() == pytest.approx(0.5, abs=0.05)
    assert roc_auc(labels, scores.decision) == pytest.approx(0.5, abs=0.05)


def test_a_class_missing_in_a_fold():
    x, activity, groups = planted(200)
    labels = (activity > 0).astype(int)
    labels[groups == 0] = 1
    scores = cross_validate_classifier(LogisticRegression(), x, labels, groups, n_folds=10)
    alone = [fold == [0] for fold in scores.groups].index(True)
    assert np.isnan(scores.roc_auc[alone])
    assert np.isfinite(scores.accuracy).all()
    with pytest.raises(ParameterError, match=r"have the classes \[False\], expected two"):
        cross_validate_classifier(LogisticRegression(), x, groups == 0, groups, n_folds=10)
    with pytest.raises(ParameterError, match="11 folds of 10 groups"):
        cross_validate_classifier(LogisticRegression(), x, labels, groups, n_folds=11)


@BOTH
def test_clear_errors(model):
    x, activity, _ = planted(100)
    y = activity > 0
    with pytest.raises(ParameterError, match="have the classes"):
        model.fit(x, np.ones(100))
    with pytest.raises(ParameterError, match="none of the 5 features varies"):
        model.fit(np.ones((100, 5)), y)
    with pytest.raises(ParameterError, match="y has 3 rows"):
        model.fit(x, [0, 1, 1])
    with pytest.raises(ParameterError, match="infinite"):
        model.fit(np.where(x > x.max() - 1e-9, np.inf, x), y)
    with pytest.raises(ParameterError, match="positive"):
        type(model)(C=0.0).fit(x, y)
    constant = type(model)().fit(np.column_stack([x, np.ones(100)]), y)
    assert constant.coef_[5] == 0.0


def test_no_convergence_is_said():
    x, activity, _ = planted()
    with pytest.raises(ConvergenceError, match="did not converge in 1 iterations"):
        LogisticRegression(max_iter=1).fit(x, activity > 0)


def test_metrics_against_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20000).round(2)
    y = rng.uniform(size=20000) < p
    assert roc_auc(y, p) == pytest.approx(sklearn.metrics.roc_auc_score(y, p), abs=1e-12)
    predicted, observed, count = calibration(y, p)
    assert count.sum() == 20000
    np.testing.assert_allclose(observed, predicted, atol=0.05)  # these probabilities are honest
    assert np.isnan(calibration([1.0], [0.95])[0][:9]).all()
    with pytest.raises(ParameterError, match="from 0 to 1"):
        calibration([1.0], [1.5])


@pytest.mark.parametrize("labels", [(0, 1), (False, True), (-1, 1), (1, 2), ("a", "b"), (0.0, 1.0), (3, 10)])
def test_two_labels_of_any_kind(labels):
    """The larger one is active, as scikit-learn has it."""
    rng = np.random.default_rng(1)
    p = rng.uniform(size=200).round(2)
    active = rng.uniform(size=200) < p
    y = np.array(labels)[active.astype(int)]
    assert roc_auc(y, p) == pytest.approx(sklearn.metrics.roc_auc_score(active, p), abs=1e-12)
    assert roc_auc(y.astype(object), p) == roc_auc(y, p)
    undefined = np.where(np.arange(200) < 50, np.nan, p)
    assert roc_auc(y, undefined) == pytest.approx(sklearn.metrics.roc_auc_score(active[50:], p[50:]), abs=1e-12)
    if set(labels) == {0, 1}:
        np.testing.assert_allclose(calibration(y, p), calibration(active, p))
    else:
        with pytest.raises(ParameterError, match="expected 0 and 1: give y == the label"):
            calibration(y, p)


@pytest.mark.parametrize(
    "y",
    [[0, 1, np.nan, 0], [0, 1, None, 0], ["a", 1, "b", 0], [[0], [1], [1], [0]], [0, 1, 1], [], 1],
)
def test_labels_that_are_none(y):
    p = np.array([0.1, 0.8, 0.2, 0.3])
    labels = np.array(y, dtype=object) if np.ndim(y) == 1 else y
    for metric, other in ((roc_auc, p), (calibration, p), (accuracy, [0, 1, 1, 0])):
        with pytest.raises(ParameterError):
            metric(labels, other)


def test_three_classes_have_no_curve():
    for metric in (roc_auc, calibration):
        with pytest.raises(ParameterError, match=r"3 classes, such as \[0, 1, 2\], expected two"):
            metric([0, 1, 2, 0], [0.1, 0.8, 0.2, 0.3])


def test_metrics_compare_like_with_like():
    for wrong in ([0, 1], [[0, 1], [1, 0], [0, 0]], [0.0, np.nan, 1.0], ["0", "1", "1"]):
        with pytest.raises(ParameterError):
            accuracy([0, 1, 1], wrong)
    for wrong in ([0.1, 0.2], [[0.1, 0.9]] * 3, ["low", "high", "high"]):
        for metric in (roc_auc, calibration):
            with pytest.raises(ParameterError):
                metric([0, 1, 1], wrong)
    for n_bins in (0, 2.5, True, "3"):
        with pytest.raises(ParameterError, match="n_bins"):
            calibration([0, 1, 1], [0.1, 0.2, 0.3], n_bins=n_bins)
