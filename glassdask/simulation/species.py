"""Whether particles are those of a model: apart from the models, whose code is part of the keys of simulations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassdask.errors import ParameterError, SpeciesError
from glassdask.simulation.mixture import Model
from glassdask.simulation.polydisperse import PolydisperseModel


def masses_of(model: Model, names: Sequence[str]) -> np.ndarray:
    """Masses of the species `names`, in this order; `SpeciesError` where one is none of the model.

    Particles with diameters of their own are all alike: their species may be classes of these.

    >>> from glassdask.simulation.models import WAHNSTROM
    >>> masses_of(WAHNSTROM, ("B", "A")).tolist()
    [0.5, 1.0]
    """
    if isinstance(model, PolydisperseModel):
        return np.full(len(names), model.masses[0])
    for name in names:
        if name not in model.species:
            raise SpeciesError(f"{model.name}: no species {name!r}, it has {', '.join(model.species)}: rename it")
    return np.array([model.masses[model.species.index(name)] for name in names])


def refuse_others(model: Model, names: Sequence[str], dimension: int) -> None:
    """Raise where particles of these species, in so many dimensions, are none of the model."""
    if model.dimension != dimension:
        raise ParameterError(f"{model.name} is {model.dimension}-dimensional, the trajectory {dimension}-dimensional")
    masses_of(model, names)
