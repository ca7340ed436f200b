"""Learning from descriptors: arrays (sample, feature) of any length, scikit-learn's contract.

Names are imported on first use, so that a principal component analysis needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Moments": "moments",
    "compute_moments": "moments",
    "grouped_moments": "moments",
    "merge_moments": "moments",
    "PCA": "pca",
    "principal_cosines": "pca",
    "dip_test": "modality",
    "folding_test": "modality",
    "skewness_kurtosis": "modality",
}

__all__ = [
    "PCA",
    "Moments",
    "compute_moments",
    "dip_test",
    "folding_test",
    "grouped_moments",
    "merge_moments",
    "principal_cosines",
    "skewness_kurtosis",
]

if TYPE_CHECKING:
    from glassdask.learning.modality import dip_test, folding_test, skewness_kurtosis
    from glassdask.learning.moments import Moments, compute_moments, grouped_moments, merge_moments
    from glassdask.learning.pca import PCA, principal_cosines


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
