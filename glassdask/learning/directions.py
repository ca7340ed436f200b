"""Directions of the largest variance: the numbers behind `PCA`, without scikit-learn, which every worker would load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glassdask.errors import ParameterError
from glassdask.learning.moments import Described, Moments

METHODS = ("exact", "incremental")


@dataclass(frozen=True)
class Directions:
    """What a principal component analysis found; the attributes are those of `PCA` without their underscores."""

    components: np.ndarray
    explained_variance: np.ndarray
    spectrum: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    n_samples: float
    n_undefined: int
    names: list[str] | None

    @property
    def explained_variance_ratio(self) -> np.ndarray:
        """Fractions of the total variance, (component,)."""
        return self.spectrum[: len(self.components)]

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Projections (sample, component) of a matrix in memory, paper A, Eq. (22) about the mean."""
        projections: np.ndarray = (X - self.mean) @ (self.components / self.scale).T
        return projections


def check_method(method: str) -> None:
    """Raise `ParameterError` unless this is one of the methods of `PCA`."""
    if method not in METHODS:
        raise ParameterError(f"method is '{method}', expected one of {METHODS}")


def principal_directions(moments: Moments, n_components: int | float | None, scale: bool) -> Directions:
    """Eigenvectors of the covariance matrix, paper A, Eq. (23)."""
    moments.require_rows(2)
    covariance = moments.xx / (moments.n - 1)
    if scale:
        deviation = feature_scale(moments)
        covariance = covariance / np.outer(deviation, deviation)
    # eigh reads one triangle; rows that are fewer than features give eigenvalues of rounding size only
    variance, vectors = np.linalg.eigh(covariance)
    order = np.arange(len(variance))[::-1][: min(moments.n, moments.n_features)]
    total = float(np.trace(covariance))
    return keep(moments, np.maximum(variance[order], 0.0), vectors[:, order].T, total, n_components, scale)


def keep(
    moments: Described,
    variance: np.ndarray,
    components: np.ndarray,
    total: float,
    n_components: int | float | None,
    scale: bool,
) -> Directions:
    """As many of the directions, in descending order of variance, as were asked for, with their signs fixed."""
    if len(moments.constant_features()) == moments.n_features:
        raise ParameterError(f"none of the {moments.n_features} features varies in {moments.n} rows: nothing to find")
    spectrum = variance / total
    kept = _n_kept(n_components, spectrum)
    return Directions(
        components=fix_signs(components[:kept]),
        explained_variance=variance[:kept],
        spectrum=spectrum,
        mean=moments.x_mean,
        scale=feature_scale(moments) if scale else np.ones(moments.n_features),
        n_samples=moments.n,
        n_undefined=moments.n_undefined,
        names=moments.names,
    )


def _n_kept(wanted: int | float | None, ratios: np.ndarray) -> int:
    most = len(ratios)
    if wanted is None:
        return most
    if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool):
        if 1 <= wanted <= most:
            return int(wanted)
        raise ParameterError(f"n_components is {wanted}, expected 1 to {most}, the lesser of rows and features")
    if isinstance(wanted, (float, np.floating)) and 0.0 < wanted < 1.0:
        return n_for(ratios, float(wanted))
    raise ParameterError(f"n_components is {wanted!r}, expected an integer, a fraction between 0 and 1, or None")


def n_for(ratios: np.ndarray, wanted: float) -> int:
    """Number of components that together explain at least the fraction `wanted` of the variance."""
    reached = np.cumsum(ratios)
    enough = np.flatnonzero(reached >= wanted - 1e-12)
    if len(enough) == 0:
        raise ParameterError(
            f"the {len(ratios)} components known explain {reached[-1]:.3f} of the variance, less than {wanted}: "
            "fit with n_components=None"
        )
    return int(enough[0]) + 1


def feature_scale(moments: Described) -> np.ndarray:
    """Standard deviations to divide by; `ParameterError` naming the feature if one is constant."""
    constant = moments.constant_features()
    if len(constant):
        raise ParameterError(
            f"{moments.name_of(int(constant[0]))} is constant in {moments.n} rows, so it cannot be scaled: "
            "leave it out or use scale=False"
        )
    return moments.x_scale


def fix_signs(components: np.ndarray) -> np.ndarray:
    """Directions (component, feature) whose component of largest magnitude is positive.

    Examples
    --------
    >>> fix_signs(np.array([[0.6, -0.8], [0.8, 0.6]])).tolist()
    [[-0.6, 0.8], [0.8, 0.6]]
    """
    magnitude = np.abs(components)
    first = np.argmax(magnitude >= (1 - 1e-6) * magnitude.max(axis=1, keepdims=True), axis=1)
    largest = np.take_along_axis(components, first[:, None], axis=1)
    return components * np.where(largest < 0, -1.0, 1.0)
