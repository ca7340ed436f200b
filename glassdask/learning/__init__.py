"""Learning from descriptors: arrays (sample, feature) of any length, scikit-learn's contract.

Names are imported on first use, so that a principal component analysis needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassdask.learning.activation_maps import grad_cam
    from glassdask.learning.ard import ARDRegression
    from glassdask.learning.autoencoder import Autoencoder
    from glassdask.learning.classification import (
        ClassifierScores,
        LinearSVM,
        LogisticRegression,
        accuracy,
        calibration,
        cross_validate_classifier,
        roc_auc,
    )
    from glassdask.learning.convolution import ConvolutionalClassifier
    from glassdask.learning.correlation import (
        bootstrap_correlations,
        bootstrap_pearson,
        bootstrap_spearman,
        correlations,
        pearson,
        spearman,
    )
    from glassdask.learning.extremes import balanced_above, balanced_extremes
    from glassdask.learning.linear import LinearRegression, PrincipalComponentRegression, Ridge, ridge_path
    from glassdask.learning.modality import dip_test, folding_test, skewness_kurtosis
    from glassdask.learning.moments import Moments, compute_moments, grouped_moments, merge_moments
    from glassdask.learning.pca import PCA, principal_cosines
    from glassdask.learning.persistence import load_model, save_model
    from glassdask.learning.resampling import bootstrap
    from glassdask.learning.rotation import align_rotation
    from glassdask.learning.selection import ForwardSelection, forward_selection, selection_curve
    from glassdask.learning.validation import CrossValidation, RidgeCV, cross_validate, learning_curve

_HOME = {
    "ARDRegression": "ard",
    "Autoencoder": "autoencoder",
    "ClassifierScores": "classification",
    "LinearSVM": "classification",
    "LogisticRegression": "classification",
    "accuracy": "classification",
    "calibration": "classification",
    "cross_validate_classifier": "classification",
    "roc_auc": "classification",
    "ConvolutionalClassifier": "convolution",
    "bootstrap": "resampling",
    "bootstrap_correlations": "correlation",
    "bootstrap_pearson": "correlation",
    "bootstrap_spearman": "correlation",
    "correlations": "correlation",
    "pearson": "correlation",
    "spearman": "correlation",
    "balanced_above": "extremes",
    "balanced_extremes": "extremes",
    "grad_cam": "activation_maps",
    "LinearRegression": "linear",
    "PrincipalComponentRegression": "linear",
    "Ridge": "linear",
    "ridge_path": "linear",
    "dip_test": "modality",
    "folding_test": "modality",
    "skewness_kurtosis": "modality",
    "Moments": "moments",
    "compute_moments": "moments",
    "grouped_moments": "moments",
    "merge_moments": "moments",
    "PCA": "pca",
    "principal_cosines": "pca",
    "load_model": "persistence",
    "save_model": "persistence",
    "align_rotation": "rotation",
    "ForwardSelection": "selection",
    "forward_selection": "selection",
    "selection_curve": "selection",
    "CrossValidation": "validation",
    "RidgeCV": "validation",
    "cross_validate": "validation",
    "learning_curve": "validation",
}

__all__ = [
    "PCA",
    "ARDRegression",
    "Autoencoder",
    "ClassifierScores",
    "ConvolutionalClassifier",
    "CrossValidation",
    "ForwardSelection",
    "LinearRegression",
    "LinearSVM",
    "LogisticRegression",
    "Moments",
    "PrincipalComponentRegression",
    "Ridge",
    "RidgeCV",
    "accuracy",
    "align_rotation",
    "balanced_above",
    "balanced_extremes",
    "bootstrap",
    "bootstrap_correlations",
    "bootstrap_pearson",
    "bootstrap_spearman",
    "calibration",
    "compute_moments",
    "correlations",
    "cross_validate",
    "cross_validate_classifier",
    "dip_test",
    "folding_test",
    "forward_selection",
    "grad_cam",
    "grouped_moments",
    "learning_curve",
    "load_model",
    "merge_moments",
    "pearson",
    "principal_cosines",
    "ridge_path",
    "roc_auc",
    "save_model",
    "selection_curve",
    "skewness_kurtosis",
    "spearman",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
