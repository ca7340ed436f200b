"""The stage *correlate*: structure, relaxation, and structure against propensity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from glassdask.declarations import Declaration, Positive
from glassdask.errors import SchemaError
from glassdask.store.groups import is_group
from glassdask.store.origins import version_of
from glassdask.sweep.describing import structures, within
from glassdask.sweep.reducing import reduced
from glassdask.sweep.replicas import REPLICAS
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import ENSEMBLE, Settings, State

STRUCTURE, RELAXATION, PROPENSITY = "structure", "relaxation", "propensity"


@dataclass(frozen=True, kw_only=True)
class CorrelateTable(Declaration):
    """The table ``[correlate]``."""

    k: Positive | None = None
    dynamics: bool = True


class Correlate(Stage):
    """g(r), S(k) and energies; F_s(k*, t) and tau_alpha; |R| with the propensity where there is an ensemble."""

    name = "correlate"
    table = CorrelateTable
    needs = ("simulate", REPLICAS, "describe", "reduce")

    def after(self, state: State, settings: Settings) -> tuple[str, ...]:
        """Only the propensity needs descriptors and their reductions."""
        return self.needs if _ensemble(state, settings) else self.needs[:1]

    def groups(self, state: State, settings: Settings) -> list[str]:
        """Some of three reductions."""
        names = [STRUCTURE, *([RELAXATION] if settings[self.name].dynamics else [])]
        names += [PROPENSITY] if _ensemble(state, settings) and _columns(settings) else []
        return [f"reductions/{name}" for name in names]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """What measures each of them."""
        return tuple(map(_code, (STRUCTURE, RELAXATION, PROPENSITY)))

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One after the other."""
        from glassdask.sweep import measures

        table: CorrelateTable = settings[self.name]
        path, groups = state.path, state.units[self.name].groups
        store_structure(path, overwrite)
        if table.dynamics:
            # where k is not given, it is that of the peak of S(k)
            peak = [] if table.k is not None else [f"reductions/{STRUCTURE}"]
            versions = _versions(path, peak)
            try:
                _derive(
                    path, RELAXATION, {"k": table.k}, versions, overwrite, lambda: measures.relaxation(path, table.k)
                )
            except SchemaError as error:
                hint = "where motion cannot be followed, say dynamics = false in [correlate]"
                raise SchemaError(f"{error}; {hint}") from None
        if f"reductions/{PROPENSITY}" in groups:
            place, names = structures(state, settings), (_columns(settings), reduced(settings))
            # the key of the unit stands for the descriptors and reductions that are correlated
            parameters = {"descriptors": names[0], "reductions": names[1], "key": state.units[self.name].key}
            parameters |= {"ensemble": measures.ensemble_key(path)}
            made_from = [f"{within(settings)}descriptors/{name}" for name in names[0]]
            made_from += [f"{within(settings)}reductions/{name}" for name in names[1]]
            versions = _versions(path, [*made_from, ENSEMBLE])
            _derive(path, PROPENSITY, parameters, versions, overwrite, lambda: measures.propensity(path, place, *names))


def store_structure(path: str, overwrite: bool = False) -> None:
    """Store ``reductions/structure`` of a trajectory, unless the same is there: g(r), S(k), energies."""
    from glassdask.store import content_hash
    from glassdask.sweep import measures

    inherent = content_hash(f"{path}/inherent") if is_group(f"{path}/inherent") else None
    parameters, made_from = {"inherent": inherent}, _versions(path, ["inherent"])
    _derive(path, STRUCTURE, parameters, made_from, overwrite, lambda: measures.structure(path))


def _code(name: str) -> str:
    """What measures a reduction."""
    return f"glassdask.sweep.measures:{name}"


def _ensemble(state: State, settings: Settings) -> bool:
    """Whether there is, or will be, an isoconfigurational ensemble."""
    if "simulate" in settings:
        return settings["simulate"].ensemble is not None
    return REPLICAS in settings or (Path(state.path) / ENSEMBLE / "zarr.json").is_file()


def _columns(settings: Settings) -> list[str]:
    """Names of the descriptors that are correlated with the propensity."""
    return list(settings["describe"].descriptors) if "describe" in settings else reduced(settings)


def _versions(path: str, groups: list[str]) -> dict[str, str]:
    """Those of the groups that are there, with what tells one state of them from another."""
    there = {group: version_of(Path(path) / group) for group in groups if is_group(f"{path}/{group}")}
    return {group: version for group, version in there.items() if version is not None}


def _derive(
    path: str,
    name: str,
    parameters: dict[str, Any],
    made_from: dict[str, str],
    overwrite: bool,
    compute: Callable[[], xr.Dataset],
) -> None:
    """Store ``reductions/NAME`` of a state, computed now, unless the same is there and whole."""
    from glassdask.store.derived import derive

    derive(path, name, compute, _code(name), parameters, made_from, overwrite)
