"""The stage *reduce*: principal components of descriptors, with the explained variance ratio and the projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from glassdask.declarations import Declaration, Where
from glassdask.errors import ParameterError
from glassdask.sweep.describing import check_name, planned, structures, within
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State, naming

Names = Annotated[tuple[str, ...], Where(lambda names: 0 < len(names) == len(set(names)), "a list of different names")]
Components = Annotated[
    int | float,
    Where(
        lambda n: n >= 1 if isinstance(n, int) else 0 < n < 1, "a number of at least 1, or a fraction of the variance"
    ),
]


@dataclass(frozen=True, kw_only=True)
class ReduceTable(Declaration):
    """The table ``[reduce]``."""

    descriptors: Names | None = None
    n_components: Components | None = None
    scale: bool = False

    def check(self) -> None:
        """Names can be stored."""
        for name in self.descriptors or ():
            check_name(name, "descriptors")


class Reduce(Stage):
    """Principal components of all descriptors of the sweep, or of some, stored ones where it has none."""

    name = "reduce"
    table = ReduceTable
    needs = ("simulate", "describe")

    def check(self, settings: Settings) -> None:
        """There is something to reduce."""
        check_described(self.name, settings)
        check_reducible(self.name, settings[self.name], settings)

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A group for each descriptor."""
        return [f"{within(settings)}reductions/{name}" for name in reduced(settings)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """`glassdask.reduce`."""
        return ("glassdask.descriptors.reduce:reduce",)

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One descriptor after the other."""
        from glassdask.descriptors.reduce import reduce
        from glassdask.descriptors.saving import save_reduction
        from glassdask.store import open_descriptors

        table: ReduceTable = settings[self.name]
        path = structures(state, settings)
        for name in reduced(settings):
            features = open_descriptors(path, [name])[name]
            with naming(name):
                components = reduce(features, n_components=table.n_components, scale=table.scale)
            save_reduction(components, path, name, overwrite=overwrite)


def check_described(stage: str, settings: Settings) -> None:
    """Raise `ParameterError` where nothing is described of what a stage is to take, or where that is not said."""
    chosen = settings[stage].descriptors
    if "describe" not in settings and settings.get("simulate") is not None:
        raise ParameterError(f"[{stage}] without [describe] of states that are simulated: add the descriptors")
    if "describe" not in settings and chosen is None:
        raise ParameterError(f"[{stage}] without [describe]: say which of the stored descriptors, descriptors = [...]")
    own = settings["describe"].descriptors if "describe" in settings else chosen
    unknown = [name for name in chosen or () if name not in own]
    if unknown:
        raise ParameterError(f"{stage}.descriptors: {', '.join(unknown)}: [describe] has {', '.join(own)}")


def check_reducible(stage: str, table: Any, settings: Settings) -> None:
    """Raise `ParameterError` for descriptors that are classes, or one number where several components are wanted."""
    if "describe" not in settings:
        return
    own = settings["describe"].descriptors
    names = list(table.descriptors or own)
    plans = {name: planned(name, own[name]) for name in names}
    several = isinstance(table.n_components, int) and table.n_components > 1
    for name, plan in plans.items():
        classes = plan is not None and "classes" in plan.attrs
        if plan is None or not (classes or (several and not plan.dims)):
            continue
        what = "has classes, which have no principal components" if classes else "is one number of a particle"
        others = [n for n, p in plans.items() if p is None or (p.dims and "classes" not in p.attrs)]
        rest = ", ".join(f'"{n}"' for n in others)
        advice = f"name the others, descriptors = [{rest}]" if others else f"leave [{stage}] out"
        wanted = "" if classes else f", n_components is {table.n_components}"
        raise ParameterError(f"[{stage}]: {name} {what}{wanted}: {advice}")


def reduced(settings: Settings, stage: str = "reduce") -> list[str]:
    """Names of the descriptors that a stage takes."""
    if stage not in settings:
        return []
    return list(settings[stage].descriptors or settings["describe"].descriptors)
