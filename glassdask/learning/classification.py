"""Active against inactive particles: balanced selections, linear classifiers, and how good they are (paper B)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.multiclass import type_of_target

from glassdask.declarations import Count, Positive, converted
from glassdask.errors import ConvergenceError, ParameterError
from glassdask.learning.arrays import as_labels, as_matrix, checked_labels, map_rows
from glassdask.learning.directions import feature_scale
from glassdask.learning.estimators import Estimator
from glassdask.learning.moments import compute_moments
from glassdask.variables import unmasked


class LinearClassifier(ClassifierMixin, Estimator):
    r"""What both classifiers share: class 1 where :math:`\sum_j \beta_j X_j + \beta_0 > 0`.

    Features are divided by their standard deviations in the rows that are fitted, and in no others, before
    scikit-learn sees them; `coef_` is in terms of the features as given. The selected rows are brought into memory:
    a balanced selection is small.

    Attributes
    ----------
    coef_ : array (feature,)
    intercept_ : float
    classes_ : array (2,)
        The two labels in ascending order.
    n_iter_ : int
        Iterations that were made.
    n_samples_, n_undefined_ : int
        Rows used, and rows with a NaN in a feature, which are left out.
    """

    def __init__(self, C: Positive = 1.0, max_iter: Count = 1000):
        self.C = C
        self.max_iter = max_iter

    def _estimator(self) -> Any:
        raise NotImplementedError

    def fit(self, X: Any, y: Any) -> Self:
        """Fit features (sample, feature) to labels (sample,) of two classes."""
        self.check_parameters()
        X, names = as_matrix(X)
        X = np.asarray(X, dtype=np.float64)
        self.require_target(y)
        labels = as_labels(y, X, what="y")
        moments = compute_moments(X)  # names what is infinite
        moments.require_rows(2)
        defined = ~np.isnan(X).any(axis=1)
        self.classes_ = np.unique(labels[defined])
        if len(self.classes_) > 2:
            raise ParameterError(
                f"Only binary classification is supported. The type of the target is {type_of_target(labels)}: y has "
                f"{len(self.classes_)} classes, such as {self.classes_[:3].tolist()}"
            )
        if len(self.classes_) != 2:
            raise ParameterError(
                f"the {moments.n} defined rows to learn from have the classes {self.classes_.tolist()}, expected two: "
                "choose fewer folds or a larger fraction"
            )
        varying = moments.varying_features()
        if len(varying) == 0:
            raise ParameterError(f"none of the {moments.n_features} features varies in {moments.n} rows")
        scale = feature_scale(moments.select(varying))
        z = (X[np.ix_(defined, varying)] - moments.x_mean[varying]) / scale
        with warnings.catch_warnings():
            from sklearn.exceptions import ConvergenceWarning

            warnings.simplefilter("error", ConvergenceWarning)
            try:
                model = self._estimator().fit(z, labels[defined] == self.classes_[1])
            except ConvergenceWarning:
                raise ConvergenceError(
                    f"{type(self).__name__} with C = {self.C} did not converge in {self.max_iter} iterations: "
                    "raise max_iter or lower C"
                ) from None
        self.coef_ = np.zeros(moments.n_features)
        self.coef_[varying] = model.coef_[0] / scale
        self.intercept_ = float(model.intercept_[0] - self.coef_ @ moments.x_mean)
        self.n_iter_ = int(np.max(model.n_iter_))
        self.n_samples_ = moments.n
        self.n_undefined_ = moments.n_undefined
        self.set_features(moments.n_features, names)
        return self

    def decision_function(self, X: Any) -> Any:
        """Signed distance (sample,) from the separating plane, in the units of `coef_`; lazy for dask."""
        X = self.matrix(X)
        coef, intercept = self.coef_[:, None], self.intercept_
        return map_rows(lambda block: block @ coef + intercept, X, 1)[:, 0]

    def predict(self, X: Any) -> Any:
        """Labels (sample,); lazy for dask.

        Raises
        ------
        ParameterError
            Where a row has a NaN, which has no label; where X is lazy, when it is computed. `decision_function` gives
            NaN for such rows.
        """
        decision = self.decision_function(X)
        if hasattr(decision, "dask"):
            return decision.map_blocks(self._labels, dtype=self.classes_.dtype, meta=self.classes_[:0])
        return self._labels(decision)

    def _labels(self, decision: np.ndarray) -> np.ndarray:
        undefined = np.isnan(decision)
        if undefined.any():
            raise ParameterError(
                f"row {int(np.argmax(undefined))} (and {undefined.sum() - 1} more of {len(decision)}) has a NaN and so "
                "no label: predict the defined rows, or use decision_function, which gives NaN"
            )
        labels: np.ndarray = self.classes_[(decision > 0).astype(int)]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class LogisticRegression(LinearClassifier):
    r"""Logistic regression with an L2 penalty, B, Eq. (11): :math:`P = 1 / (1 + e^{-(\beta X + \beta_0)})`.

    Parameters
    ----------
    C : float
        Inverse of the penalty on the coefficients of standardised features, as in scikit-learn, whose newton-cholesky
        solves it: three times as fast as its lbfgs on features that are as correlated as descriptors are. (dask-ml's
        took 14 to 170 s where this takes less than one.)
    max_iter : int
        Most iterations.

    Raises
    ------
    ConvergenceError, ParameterError

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = LogisticRegression().fit(x, x[:, 0] > x[:, 1])
    >>> model.predict(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [True, False]
    """

    def _estimator(self) -> Any:
        from sklearn.linear_model import LogisticRegression as Estimator

        return Estimator(C=self.C, max_iter=self.max_iter, tol=1e-7, solver="newton-cholesky")

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (sample, 2) of the two classes; NaN for rows with NaN; lazy for dask."""
        decision = self.decision_function(X)
        z = decision[:, None] * np.array([-1.0, 1.0])
        return 1.0 / (1.0 + np.exp(-z.clip(-700, 700)))


class LinearSVM(LinearClassifier):
    """Linear support vector machine (B: "nearly identical results"); squared hinge loss by scikit-learn's liblinear.

    Parameters
    ----------
    C : float
        Inverse of the penalty on the coefficients of standardised features.
    max_iter : int
        Most iterations.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> LinearSVM().fit(x, x[:, 0] > x[:, 1]).predict(np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [True, False]
    """

    def _estimator(self) -> Any:
        from sklearn.svm import LinearSVC

        return LinearSVC(C=self.C, max_iter=self.max_iter, dual=False)


@dataclass(frozen=True)
class ClassifierScores:
    """How well a classifier does on groups that it has not seen.

    Attributes
    ----------
    groups : list of lists
        The groups of each fold.
    accuracy, roc_auc : arrays (fold,)
        In each fold; the area is NaN where a fold has one class only.
    decision : array (sample,)
        Decision function (or probability of class 1, where the model has one) of each row by the model that has not
        seen its group; NaN where a feature is NaN.
    """

    groups: list[list[Any]]
    accuracy: np.ndarray
    roc_auc: np.ndarray
    decision: np.ndarray


def cross_validate_classifier(model: Any, X: Any, y: Any, groups: Any, n_folds: int = 5) -> ClassifierScores:
    """Scores of a classifier in cross-validation by groups: no configuration is divided between folds.

    Parameters
    ----------
    model : LogisticRegression or LinearSVM
        It is cloned; scaling is learned in each fold's training rows.
    X, y, groups : arrays (sample, feature), (sample,), (sample,)
        Features, labels of two classes, and the configuration of each row.
    n_folds : int
        Number of folds of scikit-learn's `GroupKFold`.

    Raises
    ------
    ParameterError
        With fewer groups than folds, or if a fold's training rows have only one class.
    """
    from sklearn.model_selection import GroupKFold

    X, _ = as_matrix(X)
    X = np.asarray(X, dtype=np.float64)
    labels = as_labels(y, X, what="y")
    members = as_labels(groups, X, what="groups")
    n_groups, n_folds = len(np.unique(members)), converted(n_folds, Count, "n_folds")
    if not 2 <= n_folds <= n_groups:
        raise ParameterError(f"{n_folds} folds of {n_groups} groups: expected 2 to the number of groups")
    positive = np.unique(labels)[-1]
    decision = np.full(len(X), np.nan)
    folds, accuracies, areas = [], [], []
    for train, test in GroupKFold(n_folds).split(X, labels, members):
        fitted = clone(model).fit(X[train], labels[train])
        probability = hasattr(fitted, "predict_proba")
        decision[test] = fitted.predict_proba(X[test])[:, 1] if probability else fitted.decision_function(X[test])
        defined = test[~np.isnan(decision[test])]
        folds.append(np.unique(members[test]).tolist())
        accuracies.append(accuracy(labels[defined], fitted.predict(X[defined])) if len(defined) else np.nan)
        areas.append(roc_auc(labels[defined] == positive, decision[defined]))
    return ClassifierScores(folds, np.array(accuracies), np.array(areas), decision)


def accuracy(y: Any, predicted: Any) -> float:
    """Fraction of labels that are predicted right.

    Parameters
    ----------
    y, predicted : arrays (sample,)
        Labels of the same kind, all of them defined.

    Raises
    ------
    ParameterError
        When their shapes or kinds differ, or a label is NaN.

    Examples
    --------
    >>> accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    """
    found = _vectors(y=y, predicted=predicted)
    true, guessed = (checked_labels(values, name) for name, values in found.items())
    if (true.dtype.kind in "US") != (guessed.dtype.kind in "US"):
        raise ParameterError(f"y has labels of {true.dtype} and predicted of {guessed.dtype}: none could be equal")
    return float(np.mean(true == guessed))


def roc_auc(y: Any, decision: Any) -> float:
    """Probability that an active row gets a larger decision value than an inactive one; ties count half.

    This is the area under the receiver operating characteristic. NaN with one class only, or none.

    Parameters
    ----------
    y : array (sample,)
        Labels of at most two classes; active is the larger one, as True, 1, or ``classes_[1]`` of a classifier.
    decision : array (sample,)
        Rows with NaN are left out.

    Raises
    ------
    ParameterError
        When shapes differ, there are more than two classes, or a label is NaN.

    Examples
    --------
    >>> roc_auc([0, 1, 1, 0], [0.1, 0.8, 0.3, 0.3])
    0.875
    """
    import scipy.stats

    found = _vectors(y=y, decision=decision)
    values, defined = _defined(found["decision"], "decision")
    _, active = _two_classes(found["y"])
    active = active[defined]
    n1, n0 = int(active.sum()), int((~active).sum())
    if n1 == 0 or n0 == 0:
        return float("nan")
    ranks = scipy.stats.rankdata(values[defined])
    return float((ranks[active].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def calibration(y: Any, probability: Any, n_bins: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reliability of predicted probabilities: mean prediction, observed fraction of class 1 and count in each bin.

    Parameters
    ----------
    y : array (sample,)
        0 and 1, or False and True.
    probability : array (sample,)
        Predicted probability of class 1; rows with NaN are left out.
    n_bins : int
        Bins of equal width between 0 and 1.

    Returns
    -------
    predicted, observed, count : arrays (bin,)
        NaN in the first two for an empty bin.

    Raises
    ------
    ParameterError
        When shapes differ, a probability is not between 0 and 1, or labels are others than 0 and 1.

    Examples
    --------
    >>> predicted, observed, count = calibration([0, 1, 1, 1], [0.2, 0.4, 0.9, 0.7], n_bins=2)
    >>> predicted.round(3).tolist(), observed.tolist(), count.tolist()
    ([0.3, 0.8], [0.5, 1.0], [2, 2])
    """
    n_bins = converted(n_bins, Count, "calibration.n_bins")
    found = _vectors(y=y, probability=probability)
    values, defined = _defined(found["probability"], "probability")
    p = values[defined]
    if not ((p >= 0) & (p <= 1)).all():
        raise ParameterError(f"probabilities go from {p.min():g} to {p.max():g}, expected from 0 to 1")
    classes, active = _two_classes(found["y"])
    if not set(classes.tolist()) <= {0, 1}:
        raise ParameterError(f"y has the labels {classes.tolist()}, expected 0 and 1: give y == the label of class 1")
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bins, weights=p, minlength=n_bins) / count
        observed = np.bincount(bins, weights=active[defined], minlength=n_bins) / count
    return predicted, observed, count


def _vectors(**values: Any) -> dict[str, np.ndarray]:
    """Arrays (sample,) of the same length."""
    arrays = {name: np.asarray(unmasked(name, value)) for name, value in values.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 or 0 in shape for shape in shapes.values()):
        found = " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise ParameterError(f"{found}: expected one number for each sample, (sample,), the same for both")
    return arrays


def _defined(values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Values as floats, and which of them are not NaN."""
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{what} has dtype {values.dtype}, expected numbers") from None
    return numbers, ~np.isnan(numbers)


def _two_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes of labels, at most two, and which rows have the larger one (or 1, where it is the only one)."""
    labels = checked_labels(y, "y")
    classes = np.unique(labels)
    if len(classes) > 2:
        raise ParameterError(f"y has {len(classes)} classes, such as {classes[:3].tolist()}, expected two")
    return classes, labels == (classes[-1] if len(classes) == 2 else 1)
