"""Make the data: model liquids, protocols, and LAMMPS in a process of its own that writes into a store.

Names are imported on first use, so that the worker process loads only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "ABM_2D": "models",
    "KAM_2D": "models",
    "KOB_ANDERSEN": "models",
    "KOB_ANDERSEN_SMOOTH": "models",
    "MODELS": "models",
    "NICKEL_YTTRIUM": "models",
    "POLYMER": "models",
    "SILICA": "models",
    "WAHNSTROM": "models",
    "WAHNSTROM_SMOOTH": "models",
    "Dynamics": "protocols",
    "EmbeddedAtom": "eam",
    "Isoconfigurational": "protocols",
    "Minimum": "protocols",
    "PairModel": "models",
    "PairPotential": "potentials",
    "RandomStart": "protocols",
    "Shear": "protocols",
    "Simulation": "protocols",
    "StoredStart": "protocols",
    "copper_zirconium": "eam",
    "inherent_structures": "tasks",
    "isoconfigurational": "tasks",
    "logarithmic_times": "protocols",
    "quench": "protocols",
    "simulate": "tasks",
}

__all__ = [
    "ABM_2D",
    "KAM_2D",
    "KOB_ANDERSEN",
    "KOB_ANDERSEN_SMOOTH",
    "MODELS",
    "NICKEL_YTTRIUM",
    "POLYMER",
    "SILICA",
    "WAHNSTROM",
    "WAHNSTROM_SMOOTH",
    "Dynamics",
    "EmbeddedAtom",
    "Isoconfigurational",
    "Minimum",
    "PairModel",
    "PairPotential",
    "RandomStart",
    "Shear",
    "Simulation",
    "StoredStart",
    "copper_zirconium",
    "inherent_structures",
    "isoconfigurational",
    "logarithmic_times",
    "quench",
    "simulate",
]

if TYPE_CHECKING:
    from glassdask.simulation.eam import EmbeddedAtom, copper_zirconium
    from glassdask.simulation.models import (
        ABM_2D,
        KAM_2D,
        KOB_ANDERSEN,
        KOB_ANDERSEN_SMOOTH,
        MODELS,
        NICKEL_YTTRIUM,
        POLYMER,
        SILICA,
        WAHNSTROM,
        WAHNSTROM_SMOOTH,
        PairModel,
    )
    from glassdask.simulation.potentials import PairPotential
    from glassdask.simulation.protocols import (
        Dynamics,
        Isoconfigurational,
        Minimum,
        RandomStart,
        Shear,
        Simulation,
        StoredStart,
        logarithmic_times,
        quench,
    )
    from glassdask.simulation.tasks import inherent_structures, isoconfigurational, simulate


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
