"""Local structure and dynamics of glass-forming liquids, from a laptop to a cluster.

Names are imported on first use: ``import glassdask`` costs little more than ``import xarray``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "BondOrder": "glassdask.descriptors.bond_order",
    "LechnerDellago": "glassdask.descriptors.bond_order",
    "SmoothedBondOrder": "glassdask.descriptors.bond_order",
    "describe": "glassdask.descriptors.describe",
    "feature_matrix": "glassdask.descriptors.features",
    "from_arrays": "glassdask.schema",
    "open_descriptors": "glassdask.store",
    "open_reduction": "glassdask.store",
    "open_trajectory": "glassdask.store",
    "project": "glassdask.descriptors.features",
    "reduce": "glassdask.descriptors.reduce",
    "save_descriptors": "glassdask.descriptors.saving",
    "save_reduction": "glassdask.descriptors.saving",
    "save_trajectory": "glassdask.store",
    "validate": "glassdask.schema",
}
_MODULES = ("learning",)

__all__ = [
    "BondOrder",
    "LechnerDellago",
    "SmoothedBondOrder",
    "__version__",
    "describe",
    "feature_matrix",
    "from_arrays",
    "learning",
    "open_descriptors",
    "open_reduction",
    "open_trajectory",
    "project",
    "reduce",
    "save_descriptors",
    "save_reduction",
    "save_trajectory",
    "validate",
]

if TYPE_CHECKING:
    from glassdask import learning
    from glassdask.descriptors.bond_order import BondOrder, LechnerDellago, SmoothedBondOrder
    from glassdask.descriptors.describe import describe
    from glassdask.descriptors.features import feature_matrix, project
    from glassdask.descriptors.reduce import reduce
    from glassdask.schema import from_arrays, validate
    from glassdask.descriptors.saving import save_descriptors, save_reduction
    from glassdask.store import open_descriptors, open_reduction, open_trajectory, save_trajectory


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
