"""The stage *describe*: descriptors of every particle, all in one pass over the same neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from glassdask.declarations import TAG, Declaration, PairValues, Read, converted, parts
from glassdask.errors import GlassdaskError, ParameterError, StoreError
from glassdask.simulation.species import refuse_others
from glassdask.store.groups import is_group
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State, naming

if TYPE_CHECKING:
    from glassdask.descriptors.base import Plan

# Groups and reductions of other stages, beside which no descriptor of the same name can be stored.
RESERVED = ("structure", "relaxation", "propensity", "thermo", "isoconfigurational")
OF_SPECIES = ("cutoffs", "diameters", "signature", "neighbor_species")  # parameters that may name species
# stand in for what is measured of each state
UNMEASURED: dict[str, Callable[[], Any]] = {"cutoffs": lambda: 1.0, "diameters": lambda: {"A": 1.0}}


def read_centers(value: Any, where: str) -> tuple[str, ...] | None:
    """One species or a list of them.

    >>> read_centers("B", "describe.centers")
    ('B',)
    """
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else converted(value, tuple[str, ...], where)
    if not all(name.strip() for name in names) or not names or len(set(names)) < len(names):
        raise ParameterError(f'{where}: expected a species or a list of different ones, such as ["B"], found {value!r}')
    return names


def read_descriptors(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """A table of parameters for each name; ``type`` among them says which descriptor it is, unless the name does."""
    from glassdask.descriptors import registry

    if not isinstance(value, Mapping) or not value:
        raise ParameterError(f"{where}: expected tables such as [describe.descriptors.sbo], found {value!r}")
    found = {}
    for name, table in value.items():
        place = f"{where}.{name}"
        check_name(name, where)
        if not isinstance(table, Mapping):
            raise ParameterError(f"{place}: expected a table of parameters, found {table!r}")
        if "descriptor" in table:
            raise ParameterError(f"{place}.descriptor: is called {TAG} now: rename it")
        kind = converted(table.get(TAG, name), str, f"{place}.{TAG}")
        cls = registry.descriptor_class(kind, f"{place}.{TAG}" if TAG in table else place)
        registry.make(name, table, UNMEASURED, place)  # so that mistakes show before any work
        given = {key: item for key, item in table.items() if key != TAG}
        found[name] = {TAG: kind, **parts(cls, given, place)}
    return found


def check_name(name: str, where: str) -> None:
    """`ParameterError` where what is made of a descriptor cannot be stored under a name."""
    from glassdask.descriptors import base

    if name in RESERVED:
        raise ParameterError(f"{where}: a descriptor cannot be called {name}, as other results are: rename it")
    base.check_name(name, where)


@dataclass(frozen=True, kw_only=True)
class DescribeTable(Declaration):
    """The table ``[describe]``."""

    descriptors: Annotated[dict[str, dict[str, Any]], Read(read_descriptors)]
    structures: Literal["instantaneous", "inherent"] = "instantaneous"
    centers: Annotated[tuple[str, ...] | None, Read(read_centers)] = None
    cutoffs: PairValues | None = None
    dtype: Literal["float32", "float64"] = "float32"


class Describe(Stage):
    """Descriptors; cutoffs and diameters that are not given are measured of each state."""

    name = "describe"
    table = DescribeTable
    needs = ("simulate",)
    of_runs = ("centers", "cutoffs")

    def check(self, settings: Settings) -> None:
        """Structures and species are there, where it is known what there will be."""
        table: DescribeTable = settings[self.name]
        recipe = settings.get("simulate")
        if recipe is None:
            return
        model = recipe.simulation.model
        if table.structures == "inherent" and not recipe.inherent:
            raise ParameterError(f"[describe] wants inherent structures of {model.name}: set inherent = true")
        named = {"centers": species_in(table.centers), "cutoffs": species_in(table.cutoffs)}
        for name, values in table.descriptors.items():
            named |= {f"descriptors.{name}.{key}": species_in(values.get(key)) for key in OF_SPECIES}
        for what, names in named.items():
            unknown = sorted({*names} - {*model.species})
            if unknown:
                known = ", ".join(model.species)
                raise ParameterError(f"{what} of {', '.join(unknown)}: the species of {model.name} are {known}")
        for name, values in table.descriptors.items():
            if "model" in values:
                with naming(f"descriptors.{name}"):
                    refuse_others(values["model"], model.species, model.dimension)

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A group for each descriptor."""
        return [f"{within(settings)}descriptors/{name}" for name in settings[self.name].descriptors]

    def computing(self, own: DescribeTable) -> tuple[Any, ...]:
        """The descriptors, and what measures cutoffs that are not given."""
        from glassdask.descriptors.registry import make

        made = [make(name, values, UNMEASURED) for name, values in own.descriptors.items()]
        return "glassdask.descriptors.describe:_Work", "glassdask.correlations.measured:Measured", *made

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """All descriptors in one pass."""
        from glassdask.correlations.measured import Measured
        from glassdask.descriptors.describe import describe
        from glassdask.descriptors.registry import make
        from glassdask.descriptors.saving import save_descriptors
        from glassdask.store import open_trajectory

        table: DescribeTable = settings[self.name]
        path = structures(state, settings)
        trajectory = open_trajectory(path)
        measured = Measured(trajectory, table.cutoffs)
        made = {name: make(name, values, measured.defaults()) for name, values in table.descriptors.items()}
        features = describe(trajectory, made, centers=None if table.centers is None else list(table.centers))
        save_descriptors(features, path, dtype=table.dtype, overwrite=overwrite)


def planned(name: str, values: Mapping[str, Any]) -> Plan | None:
    """What a descriptor is like where the trajectory is not known: of one species; None where that takes others.

    >>> planned("theta", {"type": "theta"}).dims, planned("sbo", {"type": "sbo"}).dims
    ((), ('l',))
    """
    from glassdask.descriptors.registry import make

    try:
        return make(name, values, UNMEASURED).plan(("A",), 3)
    except GlassdaskError:
        return None


def species_in(value: Any) -> tuple[str, ...]:
    """Species that a parameter names.

    >>> species_in({("A", "B"): 1.2}), species_in("other"), species_in(("A",)), species_in(1.4)
    (('A', 'B'), (), ('A',), ())
    """
    if isinstance(value, Mapping):
        return tuple(name for key in value for name in (key if isinstance(key, tuple) else (key,)))
    if isinstance(value, str):
        return () if value in ("all", "other", "own") else (value,)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, tuple) else ()


def within(settings: Settings) -> str:
    """Where the described structures are, relative to the state: "" or "inherent/"."""
    table = settings.get("describe")
    return "inherent/" if table is not None and table.structures == "inherent" else ""


def structures(state: State, settings: Settings) -> str:
    """The store whose structures are described."""
    path = f"{state.path}/inherent" if within(settings) else state.path
    if not is_group(path):
        what = "inherent structures" if within(settings) else "trajectory"
        raise StoreError(f"{path}: no {what} there: simulate or ingest it first")
    return path
