"""The stage *dynamics*: quantities of motion by name, such as chi_4, each stored as a reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from glassdask.declarations import Declaration, Read, converted
from glassdask.errors import GlassdaskError, ParameterError, SchemaError
from glassdask.sweep.describing import RESERVED
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State

Quantities = dict[str, tuple[str, dict[str, Any]]]


def read_quantities(value: Any, where: str) -> tuple[str, ...]:
    """Quantities as `glassdask dynamics` takes them, a list of texts or one.

    >>> read_quantities(["chi4", "fs:k=7.2"], "dynamics.quantities")
    ('chi4', 'fs:k=7.2')
    """
    texts: tuple[str, ...] = (value,) if isinstance(value, str) else converted(value, tuple[str, ...], where)
    if not texts:
        raise ParameterError(f'{where}: expected quantities such as ["chi4", "fs:k=7.2"], found none')
    try:
        taken = [name for name in parsed(texts) if name in RESERVED]
    except GlassdaskError as error:
        raise ParameterError(f"{where}: {error}") from None
    if taken:
        raise ParameterError(f"{where}: a quantity cannot be called {taken[0]}, as other results are: rename it")
    return texts


def parsed(texts: tuple[str, ...]) -> Quantities:
    """Quantity and parameters of each name under which one is stored."""
    from glassdask.descriptors.registry import parse
    from glassdask.dynamics.quantities import named

    return named(parse(text, "quantity") for text in texts)


@dataclass(frozen=True, kw_only=True)
class DynamicsTable(Declaration):
    """The table ``[dynamics]``."""

    quantities: Annotated[tuple[str, ...], Read(read_quantities)]


class Dynamics(Stage):
    """Quantities of motion; what one needs and is not given is found from the trajectory of each state."""

    name = "dynamics"
    table = DynamicsTable
    needs = ("simulate",)

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A reduction for each quantity."""
        return [f"reductions/{name}" for name in parsed(settings[self.name].quantities)]

    def computing(self, own: DynamicsTable) -> tuple[Any, ...]:
        """What measures each of them, and what finds parameters that are not given."""
        from glassdask.dynamics.quantities import code_of

        kinds = [kind for kind, _ in parsed(own.quantities).values()]
        return ("glassdask.dynamics.quantities:completed", *map(code_of, kinds))

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One after the other."""
        from glassdask.dynamics.quantities import completed, save_quantity
        from glassdask.store import open_trajectory

        trajectory = open_trajectory(state.path)
        for name, (kind, given) in parsed(settings[self.name].quantities).items():
            try:
                parameters = completed(kind, given, trajectory)
                save_quantity(state.path, name, kind, parameters, trajectory, overwrite)
            except (ParameterError, SchemaError) as error:
                raise type(error)(f"{name}: {error}") from None
