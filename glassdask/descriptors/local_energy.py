"""The potential energy of each particle (paper A, Sec. III C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.descriptors.base import Descriptor, Plan
from glassdask.kernels import pairs as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.simulation.models import AnyModel, PairModel
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.species import refuse_others


@dataclass(frozen=True, kw_only=True)
class LocalEnergy(Descriptor):
    """Potential energy u of each particle: half of the energy of each of its pairs (and bonds).

    Parameters
    ----------
    model : str or Model
        Name of one of `glassdask.simulation.MODELS`, such as ``"kob_andersen"``, or a model of your own.

    Notes
    -----
    Output ``local_energy`` (frame, particle) in the model's unit of energy. Particles out of reach of all others have
    0. NaN where two particles are at exactly the same place.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]], species=["A", "B"], box=[9.0, 9.0, 9.0])
    >>> gd.describe(pair, [LocalEnergy(model="kob_andersen")])["local_energy"].values.round(6).tolist()
    [[-0.568036, -0.568036]]
    """

    name: ClassVar[str] = "local_energy"
    model: AnyModel

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        model = self.model
        refuse_others(model, names, dimension)
        attrs = {"long_name": f"potential energy, {model.name}", "units": "energy"}
        cutoffs = model.cutoffs(names) if isinstance(model, PairModel) else np.full((len(names),) * 2, model.reach)
        if isinstance(model, PairModel) and model.chains is None:
            return Plan(search=cutoffs, compute=_OfPairs(model, names), attrs=attrs)

        def of_block(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            out[:] = model.energies(configuration)[centers]
            known = configuration.sees(centers, cutoffs)
            if known is not None:
                out[~known] = np.nan

        sized = isinstance(model, PolydisperseModel)
        return Plan(search=None, compute=of_block, attrs=attrs, needs_diameters=sized)


class _OfPairs:
    """Energies of a batch of centres. A splined table, up to a megabyte, is made anew where a graph sends this."""

    def __init__(self, model: PairModel, names: tuple[str, ...]):
        self.model, self.names, self.table = model, names, model.table(names)

    def __reduce__(self) -> tuple[Any, ...]:
        return _OfPairs, (self.model, self.names)

    def __call__(self, configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
        kernels.pair_energies(
            neighbors.centers, neighbors.offsets, neighbors.index, neighbors.distance, configuration.species,
            self.table, out,
        )  # fmt: skip
