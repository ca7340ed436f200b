"""The stages *moments* and *common*: principal components that all states of a model have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.code import digest
from glassdask.declarations import plain
from glassdask.errors import ParameterError
from glassdask.sweep.describing import structures, within
from glassdask.sweep.reducing import ReduceTable, check_reducible
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State, naming
from glassdask.variables import annotated

MOMENTS, COMMON = "moments", "common"


@dataclass(frozen=True, kw_only=True)
class CommonTable(ReduceTable):
    """The table ``[common]``."""


@dataclass(frozen=True)
class Joined:
    """The table, and where the structures of all states lie that have their components in common."""

    table: CommonTable
    states: tuple[State, ...]


class Moments(Stage):
    """Means and covariances of the features of a state, from which the components of all states are found."""

    name = MOMENTS
    table = CommonTable
    needs = ("simulate", "describe")

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A group for each descriptor."""
        return [f"{within(settings)}reductions/{name}_{MOMENTS}" for name in _names(settings)]

    def identity(self, own: Any) -> Any:
        """Whatever is made of them, they are the same."""
        return [digest(*self.computing(own)), plain(own.descriptors)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """What sums them up."""
        return (f"{__name__}:_moments", "glassdask.descriptors.reduce:moments_of")

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One descriptor after the other."""
        from glassdask.store import open_descriptors
        from glassdask.store.derived import derive
        from glassdask.store.origins import version_of

        path = structures(state, settings)
        for name in _names(settings):
            group = f"descriptors/{name}"
            features = open_descriptors(path, [name])[name]
            derive(
                path, f"{name}_{MOMENTS}", lambda features=features: _moments(features), f"{__name__}:_moments", {},  # type: ignore[misc]
                {group: str(version_of(Path(path, group)))}, overwrite,
            )  # fmt: skip


class Common(Stage):
    """Principal components of a descriptor, fitted to all states of a model together; each has its projections."""

    name = COMMON
    table = CommonTable
    needs = ("simulate", "describe", MOMENTS)
    brings = (MOMENTS,)

    def check(self, settings: Settings) -> None:
        """There is something to reduce."""
        table = _table(settings)
        if "describe" not in settings and table.descriptors is None:
            raise ParameterError(
                "[common] without [describe]: say which of the stored descriptors, descriptors = [...]"
            )
        described = list(settings["describe"].descriptors if "describe" in settings else table.descriptors or ())
        unknown = [name for name in table.descriptors or () if name not in described]
        if unknown:
            raise ParameterError(f"common.descriptors: {', '.join(unknown)}: [describe] has {', '.join(described)}")
        check_reducible(self.name, table, settings)

    def among(self, state: State) -> str:
        """All states of a model."""
        return state.model

    def joined(self, own: Any, states: Sequence[State], settings: Sequence[Settings]) -> Joined:
        """With the places of all states, whose centres must be the same."""
        centers = {of["describe"].centers for of in settings if "describe" in of}
        if len(centers) > 1:
            told = " and ".join("all" if each is None else ", ".join(each) for each in centers)
            raise ParameterError(
                f"[common]: the states of {states[0].model} have other centers ({told}): name the models apart"
            )
        bare = tuple(replace(state, units={}) for state in states)
        return Joined(own.table if isinstance(own, Joined) else own, bare)

    def groups(self, state: State, settings: Settings) -> list[str]:
        """A group for each descriptor."""
        return [f"{within(settings)}reductions/{name}_{COMMON}" for name in _names(settings)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """What finds the directions."""
        return (f"{__name__}:_found", "glassdask.descriptors.reduce:projected")

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One descriptor after the other."""
        from glassdask.descriptors.reduce import projected
        from glassdask.descriptors.saving import save_reduction
        from glassdask.store import open_descriptors
        from glassdask.store.origins import version_of

        joined: Joined = settings[self.name]
        table, path = joined.table, structures(state, settings)
        places = [structures(each, settings) for each in joined.states]
        code = digest(*self.computing(joined))
        for name in _names(settings):
            features = open_descriptors(path, [name])[name]
            with naming(name):
                found = _found(places, name, table.n_components, table.scale)
            of = [str(version_of(Path(place, "reductions", f"{name}_{MOMENTS}"))) for place in places]
            more = {"together": len(places), "moments": sorted(of)}
            reduced = projected(features, found, method="exact", scale=table.scale, code=code, more=more)
            save_reduction(reduced, path, f"{name}_{COMMON}", overwrite=overwrite)


def _table(settings: Settings) -> CommonTable:
    own = settings[COMMON if COMMON in settings else MOMENTS]
    table: CommonTable = own.table if isinstance(own, Joined) else own
    return table


def _names(settings: Settings) -> list[str]:
    """The descriptors that are reduced."""
    return list(_table(settings).descriptors or settings["describe"].descriptors)


def _moments(features: xr.DataArray) -> xr.Dataset:
    """Number, means and scatter (feature, feature_b) of the rows of one descriptor's features, flattened."""
    from glassdask.descriptors.reduce import moments_of

    found = moments_of(features)
    counts = {"n_samples": found.n, "n_undefined": found.n_undefined, "rounding": found.rounding}
    arrays = {"mean": ("feature", found.mean), "scatter": (("feature", "feature_b"), found.scatter)}
    return annotated(xr.Dataset({**arrays, **counts}))


def _found(places: Sequence[str], name: str, n_components: int | float | None, scale: bool) -> Any:
    """The directions that are common to all states."""
    from glassdask.graphs import compute
    from glassdask.learning.directions import principal_directions
    from glassdask.learning.moments import Moments as Sums
    from glassdask.learning.moments import merge_moments
    from glassdask.store import open_reduction

    parts: list[Sums] = []
    for place in places:
        kept = compute(open_reduction(place, f"{name}_{MOMENTS}"))[0]
        mean = np.asarray(kept["mean"].values)
        if parts and len(mean) != parts[0].n_features:
            raise ParameterError(f"{place}: {name} has {len(mean)} features, elsewhere {parts[0].n_features}")
        parts.append(
            Sums(int(kept["n_samples"]), int(kept["n_undefined"]), mean, np.asarray(kept["scatter"].values), len(mean),
                 rounding=float(kept["rounding"]))
        )  # fmt: skip
    return principal_directions(merge_moments(parts), n_components, scale)
