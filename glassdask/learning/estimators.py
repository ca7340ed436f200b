"""What all estimators share of scikit-learn's contract; imported by nothing that workers need for a reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, get_type_hints

import numpy as np
import sklearn.exceptions
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glassdask.declarations import Where, Whole, converted
from glassdask.errors import ParameterError
from glassdask.learning.arrays import as_matrix

Seed = Whole
Share = Annotated[float, Where(lambda x: 0 <= x < 1, "a number of at least 0 and below 1")]
Fraction = Annotated[float, Where(lambda x: 0 < x < 1, "a number between 0 and 1")]


class NotFittedError(ParameterError, sklearn.exceptions.NotFittedError):
    """A model is asked for something that it learns in `fit`."""


class Estimator(BaseEstimator):
    """Base of all estimators: what they were fitted on, and whether they were.

    Rows with NaN are allowed everywhere: they are left out of fits, and give NaN.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : array of str
        Only where the features had names: those of a DataArray's coordinates or a DataFrame's columns.
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    def check_fitted(self) -> None:
        """Raise `NotFittedError` before `fit`."""
        try:
            check_is_fitted(self, "n_features_in_")
        except sklearn.exceptions.NotFittedError:
            raise NotFittedError(f"this {type(self).__name__} is not fitted: call fit first") from None

    @property
    def names(self) -> list[str] | None:
        """Names of the features that were fitted, if they had any."""
        found = getattr(self, "feature_names_in_", None)
        return None if found is None else found.tolist()

    def set_features(self, n_features: int, names: Sequence[str] | None) -> None:
        """Note what is fitted on."""
        self.n_features_in_ = n_features
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def matrix(self, X: Any) -> Any:
        """The matrix behind `X`, which must have the features that were fitted."""
        self.check_fitted()
        X, names = as_matrix(X)
        self.check_features(X.shape[1], names)
        return X

    def check_features(self, n_features: int, names: Sequence[str] | None) -> None:
        """Raise `ParameterError` unless this many features of these names are those that were fitted."""
        check_width(n_features, self.n_features_in_, type(self).__name__)
        for i, (expected, found) in enumerate(zip(self.names or (), names or ())):
            if expected != found:
                raise ParameterError(
                    f"feature {i} is '{found}', but the model was fitted on '{expected}': reorder or refit"
                )

    def check_parameters(self) -> None:
        """Raise `ParameterError` unless the parameters are what the annotations of ``__init__`` say.

        When fitting, as scikit-learn wants it: ``set_params`` may have changed them.
        """
        for name, hint in get_type_hints(type(self).__init__, include_extras=True).items():
            converted(getattr(self, name), hint, f"{type(self).__name__}.{name}")

    def require_target(self, y: Any) -> None:
        """Raise `ParameterError` where there is nothing to learn."""
        if y is None:
            raise ParameterError(f"{type(self).__name__} requires y to be passed, but the target y is None")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def check_width(found: int, expected: int, what: str) -> None:
    """Raise `ParameterError` unless a matrix has the number of columns that a model was fitted on."""
    if found != expected:
        raise ParameterError(f"X has {found} features, but {what} is expecting {expected} features as input")
