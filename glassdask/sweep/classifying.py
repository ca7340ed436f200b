"""The stage *classify*: classes of particles with a similar structure, and the class of each particle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from glassdask.declarations import Count, Declaration, Whole
from glassdask.errors import ParameterError
from glassdask.sweep.describing import check_name, structures, within
from glassdask.sweep.reducing import Names, check_described, check_reducible, reduced
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State, naming

SUFFIX = "classes"  # reductions/NAME_classes, as of the command


@dataclass(frozen=True, kw_only=True)
class ClassifyTable(Declaration):
    """The table ``[classify]``."""

    descriptors: Names | None = None
    classes: Count = 2
    method: Literal["mixture", "kmeans", "communities"] = "mixture"
    n_components: Count | None = None
    scale: bool = False
    seed: Whole = 0

    def check(self) -> None:
        """Names can be stored."""
        for name in self.descriptors or ():
            check_name(name, "descriptors")


class Classify(Stage):
    """Classes by all descriptors of the sweep, each by itself, or by some, stored ones where it has none."""

    name = "classify"
    table = ClassifyTable
    needs = ("simulate", "describe")

    def check(self, settings: Settings) -> None:
        """There is something to classify, whose classes take nobody else's place."""
        check_described(self.name, settings)
        check_reducible(self.name, settings[self.name], settings)
        names = set(reduced(settings, self.name))
        taken = {f"{name}_{SUFFIX}" for name in names} & ({*reduced(settings)} | names)
        if taken:
            raise ParameterError(f"[classify]: {min(taken)} is a descriptor, too: rename it")

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A group for each descriptor."""
        return [f"{within(settings)}reductions/{name}_{SUFFIX}" for name in reduced(settings, self.name)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """`glassdask.classify`."""
        return ("glassdask.descriptors.classify:classify",)

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One descriptor after the other."""
        from glassdask import learning
        from glassdask.descriptors.classify import METHODS, classify
        from glassdask.descriptors.saving import save_reduction
        from glassdask.store import open_descriptors

        table: ClassifyTable = settings[self.name]
        path = structures(state, settings)
        for name in reduced(settings, self.name):
            features = open_descriptors(path, [name])[name]
            model = getattr(learning, METHODS[table.method])(n_classes=table.classes, seed=table.seed)
            with naming(name):
                found = classify(features, model, n_components=table.n_components, scale=table.scale)
            save_reduction(found, path, f"{name}_{SUFFIX}", overwrite=overwrite)
