"""The stages that there are: a new one is a module of its own and a line here, or an entry point of another package."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter

from glassdask.declarations import Declaration
from glassdask.errors import ParameterError, PluginError
from glassdask.plugins import Catalog
from glassdask.sweep.classifying import Classify
from glassdask.sweep.common import Common, Moments
from glassdask.sweep.correlating import Correlate
from glassdask.sweep.describing import Describe
from glassdask.sweep.dynamics import Dynamics
from glassdask.sweep.ingesting import Ingest
from glassdask.sweep.reducing import Reduce
from glassdask.sweep.replicas import Replicas
from glassdask.sweep.simulating import Simulate
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import checked_stage

STAGES_OF_OURS = (
    Simulate(), Ingest(), Replicas(), Describe(), Reduce(), Classify(), Moments(), Common(), Correlate(), Dynamics(),
)  # fmt: skip
OWN: dict[str, Stage] = {stage.name: stage for stage in STAGES_OF_OURS}
STAGES: Catalog[type[Stage]] = Catalog("stage", {name: type(stage) for name, stage in OWN.items()}, Stage)
# Other keys of a sweep's file, and columns of its table.
TAKEN = ("store", "seeds", "protocol", "runs", "label", "path", "model", "temperature", "density", "seed")


def ordered(names: Iterable[str] = ()) -> dict[str, Stage]:
    """Our stages and others of these names, each after those that it needs."""
    found = OWN | {name: stage_named(name) for name in names}
    needs = {name: [need for need in stage.needs if need in found] for name, stage in found.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise PluginError(f"stages {', '.join(error.args[1])} need each other: uninstall one of them") from None
    order: list[str] = []
    while len(order) < len(found):  # in the order of this module where nothing else is needed
        order.append(next(name for name in found if name not in order and set(needs[name]) <= set(order)))
    return {name: found[name] for name in order}


def stage_named(name: str) -> Stage:
    """One of our stages, or one that another package adds."""
    return OWN[name] if name in OWN else _added(name)


@cache
def _added(name: str) -> Stage:
    """The stage of another package, after a look at what it says of itself."""
    cls = STAGES.find(name)
    where = f"stage {cls.__module__}:{cls.__qualname__}"
    try:
        checked_stage(name)
    except ParameterError as error:
        raise PluginError(f"{where}: {error}: rename it") from None
    if getattr(cls, "name", None) != name or name in TAKEN or name.endswith(("_fraction", "_error")):
        raise PluginError(f"{where}: its name is not that of its entry point, {name!r}, or is taken: rename it")
    table = getattr(cls, "table", None)
    if not (isinstance(table, type) and issubclass(table, Declaration)):
        raise PluginError(f"{where}: its table is no Declaration: say what is in [{name}]")
    return cls()
