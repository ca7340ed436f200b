"""Local structure and dynamics of glass-forming liquids, from a laptop to a cluster.

Names are imported on first use: ``import glassdask`` costs little more than ``import xarray``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "ACE": "glassdask.descriptors.ace",
    "BondOrder": "glassdask.descriptors.bond_order",
    "Coordination": "glassdask.descriptors.coordination",
    "Cutoff": "glassdask.neighborhood.nearest",
    "FirstShell": "glassdask.correlations",
    "KNearest": "glassdask.neighborhood.nearest",
    "LechnerDellago": "glassdask.descriptors.bond_order",
    "LocalEnergy": "glassdask.descriptors.local_energy",
    "LocallyFavoredStructure": "glassdask.descriptors.voronoi_cell",
    "RadialBondOrder": "glassdask.descriptors.radial_bond_order",
    "RadialDensity": "glassdask.descriptors.radial_bond_order",
    "SANN": "glassdask.neighborhood.nearest",
    "SOAP": "glassdask.descriptors.soap",
    "SmoothedBondOrder": "glassdask.descriptors.bond_order",
    "Tetrahedrality": "glassdask.descriptors.tetrahedrality",
    "TongTanaka": "glassdask.descriptors.tong_tanaka",
    "Voronoi": "glassdask.neighborhood.voronoi",
    "VoronoiCell": "glassdask.descriptors.voronoi_cell",
    "average_shells": "glassdask.fields.shells",
    "bond_angle_distribution": "glassdask.correlations",
    "coarse_grain": "glassdask.fields.coarse",
    "correlation_length": "glassdask.fields.correlation",
    "describe": "glassdask.descriptors.describe",
    "feature_matrix": "glassdask.descriptors.features",
    "first_minima": "glassdask.correlations",
    "first_peak_wavenumber": "glassdask.correlations",
    "first_peaks": "glassdask.correlations",
    "first_shell": "glassdask.correlations",
    "from_arrays": "glassdask.schema",
    "from_grid": "glassdask.fields.grid",
    "ingest": "glassdask.io",
    "ingest_public": "glassdask.io.public",
    "normalize": "glassdask.fields.coarse",
    "open_descriptors": "glassdask.store",
    "open_reduction": "glassdask.store",
    "open_trajectory": "glassdask.store",
    "project": "glassdask.descriptors.features",
    "radial_distribution": "glassdask.correlations",
    "read_public": "glassdask.io.public",
    "reduce": "glassdask.descriptors.reduce",
    "save_descriptors": "glassdask.descriptors.saving",
    "save_reduction": "glassdask.descriptors.saving",
    "save_trajectory": "glassdask.store",
    "spatial_correlation": "glassdask.fields.correlation",
    "structure_factor": "glassdask.correlations",
    "to_grid": "glassdask.fields.grid",
    "validate": "glassdask.schema",
}
_MODULES = ("cluster", "correlations", "dynamics", "fields", "learning", "plotting", "simulation", "store", "sweep")

__all__ = [
    "ACE",
    "SANN",
    "SOAP",
    "BondOrder",
    "Coordination",
    "Cutoff",
    "FirstShell",
    "KNearest",
    "LechnerDellago",
    "LocalEnergy",
    "LocallyFavoredStructure",
    "RadialBondOrder",
    "RadialDensity",
    "SmoothedBondOrder",
    "Tetrahedrality",
    "TongTanaka",
    "Voronoi",
    "VoronoiCell",
    "__version__",
    "average_shells",
    "bond_angle_distribution",
    "cluster",
    "coarse_grain",
    "correlation_length",
    "correlations",
    "describe",
    "dynamics",
    "feature_matrix",
    "fields",
    "first_minima",
    "first_peak_wavenumber",
    "first_peaks",
    "first_shell",
    "from_arrays",
    "from_grid",
    "ingest",
    "ingest_public",
    "learning",
    "normalize",
    "open_descriptors",
    "open_reduction",
    "open_trajectory",
    "plotting",
    "project",
    "radial_distribution",
    "read_public",
    "reduce",
    "save_descriptors",
    "save_reduction",
    "save_trajectory",
    "simulation",
    "spatial_correlation",
    "store",
    "structure_factor",
    "sweep",
    "to_grid",
    "validate",
]

if TYPE_CHECKING:
    from glassdask import cluster, correlations, dynamics, fields, learning, plotting, simulation, store, sweep
    from glassdask.correlations import (
        FirstShell,
        bond_angle_distribution,
        first_minima,
        first_peak_wavenumber,
        first_peaks,
        first_shell,
        radial_distribution,
        structure_factor,
    )
    from glassdask.descriptors.ace import ACE
    from glassdask.descriptors.bond_order import BondOrder, LechnerDellago, SmoothedBondOrder
    from glassdask.descriptors.coordination import Coordination
    from glassdask.descriptors.describe import describe
    from glassdask.descriptors.features import feature_matrix, project
    from glassdask.descriptors.local_energy import LocalEnergy
    from glassdask.descriptors.radial_bond_order import RadialBondOrder, RadialDensity
    from glassdask.descriptors.reduce import reduce
    from glassdask.descriptors.saving import save_descriptors, save_reduction
    from glassdask.descriptors.soap import SOAP
    from glassdask.descriptors.tetrahedrality import Tetrahedrality
    from glassdask.descriptors.tong_tanaka import TongTanaka
    from glassdask.descriptors.voronoi_cell import LocallyFavoredStructure, VoronoiCell
    from glassdask.fields.coarse import coarse_grain, normalize
    from glassdask.fields.correlation import correlation_length, spatial_correlation
    from glassdask.fields.grid import from_grid, to_grid
    from glassdask.fields.shells import average_shells
    from glassdask.io import ingest
    from glassdask.io.public import ingest_public, read_public
    from glassdask.neighborhood.nearest import SANN, Cutoff, KNearest
    from glassdask.neighborhood.voronoi import Voronoi
    from glassdask.schema import from_arrays, validate
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
