"""scikit-learn's contract, by its own checks; what fails is listed here with its reason."""

import pickle

import dask.array as da
import numpy as np
import pytest
import sklearn.base
import sklearn.exceptions
import xarray as xr
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_estimator_cloneable,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    parametrize_with_checks,
)

import glassdask as gd
from glassdask import learning
from glassdask.errors import GlassdaskError, ParameterError, SchemaError
from glassdask.learning.persistence import MODELS


class RidgeCVWithGroups(learning.RidgeCV):
    """Which penalty is best is asked of groups of rows, which scikit-learn's checks don't give."""

    def fit(self, X, y):
        return super().fit(X, y, groups=None if y is None else np.arange(len(np.asarray(y))) % 5)


ESTIMATORS = [
    learning.PCA(n_components=1),
    learning.PCA(n_components=1, method="incremental"),
    learning.Autoencoder(n_components=1, epochs=2, n_repeats=1, device="cpu"),
    learning.LinearRegression(),
    learning.Ridge(),
    RidgeCVWithGroups(),
    learning.PrincipalComponentRegression(n_components=None),
    learning.ARDRegression(),
    learning.ForwardSelection(n_features=1),
    learning.LogisticRegression(),
    learning.LinearSVM(),
    learning.KMeans(),
    learning.GaussianMixture(),
    learning.CommunityInference(),
]

ALL = {"check_dtype_object": "what is no number is a ParameterError, and so a ValueError, instead of a TypeError"}
CLASSIFIERS = {
    "check_estimators_pickle": "it predicts rows with NaN: they have no label, and a lower one would be a guess",
    "check_supervised_y_2d": "labels (sample, 1) are taken as (sample,) without a warning",
}
CLUSTERINGS = {"check_estimators_pickle": "it predicts rows with NaN, which are of no class"}
HISTOGRAMS = {"check_estimators_dtypes": "a row of zeros is a histogram of nothing, and of no class"}
RIDGE_CV = {"check_fit2d_1sample": "there are fewer groups than folds, which is found before the number of rows is"}


def expected_failures(estimator):
    more = CLASSIFIERS if sklearn.base.is_classifier(estimator) else {}
    more |= CLUSTERINGS if hasattr(estimator, "n_classes") else {}
    more |= HISTOGRAMS if isinstance(estimator, learning.CommunityInference) else {}
    return ALL | more | (RIDGE_CV if isinstance(estimator, learning.RidgeCV) else {})


@pytest.mark.filterwarnings("default")  # the checks ask for warnings, and for what else they give
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)


def test_every_estimator_is_checked():
    checked = {type(estimator).__name__.removesuffix("WithGroups") for estimator in ESTIMATORS}
    assert {*MODELS} - checked == {"ConvolutionalClassifier", "EquivariantNetwork"}  # of no matrices, see below


@pytest.mark.parametrize(
    "check",
    [
        check_estimator_cloneable,
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
    ],
)
def test_images_and_trajectories_are_no_matrices(check):
    check("ConvolutionalClassifier", learning.ConvolutionalClassifier())
    check("EquivariantNetwork", learning.EquivariantNetwork())


METHODS = ("transform", "inverse_transform", "predict", "predict_proba", "decision_function", "predicted_moments")


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_learned_before_fit(name, tmp_path):
    model = getattr(learning, name)()
    x = np.zeros((3, 2, 4, 4)) if name == "ConvolutionalClassifier" else np.zeros((3, 2))
    asked = [method for method in METHODS if hasattr(model, method)]
    assert asked
    for method in asked:
        argument = learning.compute_moments(x, x[:, 0]) if method == "predicted_moments" else x
        with pytest.raises(sklearn.exceptions.NotFittedError, match=f"this {name} is not fitted: call fit first") as e:
            getattr(model, method)(argument)
        assert isinstance(e.value, GlassdaskError)
    with pytest.raises(sklearn.exceptions.NotFittedError, match="call fit first"):
        learning.save_model(model, tmp_path / "model.npz")


def labelled(x, names):
    return xr.DataArray(x, dims=("sample", "l"), coords={"l": names})


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_names_of_features(estimator, tmp_path):
    """They are known where the features had names, compared where both have, and forgotten by the next fit."""
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(40, 3)))  # as community inference wants it
    y = x[:, 0] > 0.5 if sklearn.base.is_classifier(estimator) else x @ [1.0, 2.0, 3.0]
    model = sklearn.base.clone(estimator).fit(labelled(x, [2, 4, 6]), y)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["l=2", "l=4", "l=6"]
    use = model.transform if hasattr(model, "transform") else model.predict
    np.testing.assert_array_equal(use(labelled(x, [2, 4, 6])), use(x))
    with pytest.raises(ParameterError, match="feature 1 is 'l=6', but the model was fitted on 'l=4'"):
        use(labelled(x, [2, 6, 4]))
    with pytest.raises(ParameterError, match=r"X has 2 features, but .* is expecting 3 features"):
        use(x[:, :2])
    if type(estimator).__name__ in MODELS:
        kept = learning.load_model(learning.save_model(model, tmp_path / "model.npz"))
        assert kept.feature_names_in_.tolist() == model.feature_names_in_.tolist()
        assert pickle.loads(pickle.dumps(kept)).n_features_in_ == 3
    assert not hasattr(model.fit(x, y), "feature_names_in_")


def test_columns_of_a_data_frame_are_names():
    pandas = pytest.importorskip("pandas")
    x = np.random.default_rng(0).normal(size=(20, 2))
    model = learning.PCA().fit(pandas.DataFrame(x, columns=["a", "b"]))
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert not hasattr(learning.PCA().fit(pandas.DataFrame(x)), "feature_names_in_")
    np.testing.assert_array_equal(model.components_, learning.PCA().fit(x).components_)
    assert model.get_feature_names_out().tolist() == ["pca0", "pca1"]


def test_tags_say_what_is_allowed():
    for estimator in ESTIMATORS:
        tags = get_tags(estimator)
        assert tags.input_tags.allow_nan
        assert not tags.input_tags.sparse
        assert tags.estimator_type == (
            "classifier" if hasattr(estimator, "decision_function")
            else "regressor" if hasattr(estimator, "predict") and not hasattr(estimator, "n_classes")
            else None
        )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0], [3.0]], "no matrix of numbers"),
        ([["a", "b"]], "dtype <U1"),
        (None, "no matrix of numbers|shape"),
        (3.0, "Reshape your data"),
        (np.zeros((2, 2, 2)), "Reshape your data"),
        ([[1j, 2.0]], "Complex data not supported"),
        ([[None, "x"]], "no matrix of numbers"),
        (da.zeros((4, 2), chunks=2).astype(complex), "Complex data not supported"),
    ],
)
def test_what_is_no_matrix(values, message):
    for model in (learning.PCA(), learning.LinearRegression(), learning.LogisticRegression()):
        with pytest.raises(ParameterError, match=message):
            model.fit(values, [0, 1])


WRONG = ("false", None, -1, 1.5, np.nan, [], {}, ["x"])
TAKEN = {  # which of these are right
    "n_components": [None], "unit": [None, 1.5], "n_folds": [None], "n_features": [None], "alpha": [1.5], "C": [1.5],
    "threshold": [1.5], "tol": [1.5], "l2": [1.5], "learning_rate": [1.5], "cutoff": [1.5], "shell": [1.5],
    "reg_covar": [1.5], "variation": [1.5], "patience": [None],
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_wrong_parameters_are_one_line(name):
    """Nothing is taken for true or false, or ends in an error of NumPy or torch; all is looked at when fitting."""
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = x[:, 0] > 0 if name in ("LogisticRegression", "LinearSVM") else x[:, 0]
    groups = {"groups": np.arange(40) % 5} if name == "RidgeCV" else {}
    if name == "ConvolutionalClassifier":
        x, y = np.zeros((4, 1, 4, 4)), [0, 1, 0, 1]
    if name == "EquivariantNetwork":
        x, y = gd.from_arrays(np.ones((3, 1, 3)), species=["A"], box=[9.0] * 3), np.zeros((3, 1))
    cls = getattr(learning, name)
    for parameter in cls().get_params():
        for value in WRONG:
            if any(value is right or value == right for right in TAKEN.get(parameter, [])):
                continue
            with pytest.raises(ParameterError) as error:
                cls().set_params(**{parameter: value}).fit(x, y, **groups)
            assert "\n" not in str(error.value)
            assert parameter in str(error.value)


ROWS = np.random.default_rng(7).normal(size=(40, 2))
LABELS = np.arange(40) % 2
HIDDEN = np.arange(40) == 3


def masked(values):
    """The same with one row behind a mask."""
    hidden = HIDDEN.reshape(-1, *(1,) * (values.ndim - 1)) & np.ones(values.shape, bool)
    return np.ma.masked_array(values, hidden)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda m: learning.pearson(m(ROWS[:, 0]), ROWS[:, 1]),
        lambda m: learning.pearson(ROWS[:, 0], m(ROWS[:, 1])),
        lambda m: learning.spearman(m(ROWS), ROWS[:, 1]),
        lambda m: learning.spearman(ROWS[:, 0], m(ROWS[:, 1])),
        lambda m: learning.bootstrap_pearson(ROWS[:, 0], ROWS[:, 1], m(LABELS)),
        lambda m: learning.accuracy(m(LABELS), LABELS),
        lambda m: learning.PCA().fit(m(ROWS)),
        lambda m: learning.PCA().fit(ROWS).transform(m(ROWS)),
        lambda m: learning.Ridge().fit(m(ROWS), ROWS[:, 0]),
        lambda m: learning.Ridge().fit(ROWS, m(ROWS[:, 0])),
        lambda m: learning.LogisticRegression().fit(ROWS, m(LABELS)),
        lambda m: learning.grouped_moments(ROWS, groups=m(LABELS)),
        lambda m: learning.skewness_kurtosis(m(ROWS[:, 0])),
        lambda m: learning.dip_test(m(ROWS)),
    ],
)
def test_what_is_behind_a_mask_is_never_read(function, lazy):
    def hide(values):
        return da.from_array(masked(values), chunks=20) if lazy else masked(values)

    with pytest.raises(SchemaError, match="masked array") as caught:
        function(hide)
    assert "\n" not in str(caught.value)


def test_a_mask_that_hides_nothing_is_no_mask():
    whole = np.ma.masked_array(ROWS, False)
    assert learning.pearson(whole[:, 0], ROWS[:, 1]) == learning.pearson(ROWS[:, 0], ROWS[:, 1])
