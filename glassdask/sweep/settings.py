"""The stages' tables of a sweep's file: checked, with their defaults, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glassdask.errors import GlassdaskError, ParameterError
from glassdask.sweep.protocol import Recipe
from glassdask.sweep.records import ENSEMBLE

STRUCTURES = ("instantaneous", "inherent")
STRUCTURE, RELAXATION, PROPENSITY = "structure", "relaxation", "propensity"
RESERVED = (STRUCTURE, RELAXATION, PROPENSITY, "thermo", "isoconfigurational")


def check_keys(path: Path, table: Any, known: tuple[str, ...], where: str = "") -> None:
    """`ParameterError` unless a table has only keys that are known."""
    if not isinstance(table, dict):
        raise ParameterError(f"{path}: {where} is {table!r}, expected a table: correct the file")
    unknown = sorted(set(table) - set(known))
    if unknown:
        place = f" in {where}" if where else ""
        raise ParameterError(f"{path}: unknown {', '.join(unknown)}{place}: expected some of {', '.join(known)}")


def of_stages(path: Path, content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of the stages describe, reduce and correlate that the file asks for."""
    stages: dict[str, dict[str, Any]] = {}
    if "describe" in content:
        stages["describe"] = _describe(path, content["describe"])
    structures = stages.get("describe", {}).get("structures", STRUCTURES[0])
    made = list(stages.get("describe", {}).get("descriptors", {}))
    if "reduce" in content:
        table = content["reduce"]
        check_keys(path, table, ("descriptors", "n_components", "scale"), "[reduce]")
        chosen = table.get("descriptors", made)
        unknown = [name for name in chosen if made and name not in made] if isinstance(chosen, list) else [chosen]
        if unknown or not chosen:
            raise ParameterError(f"{path}: [reduce] descriptors {unknown}: expected a list of {made or 'stored ones'}")
        stages["reduce"] = {
            "descriptors": chosen,
            "n_components": table.get("n_components"),
            "scale": bool(table.get("scale", False)),
            "structures": structures,
        }
    if "correlate" in content:
        table = content["correlate"]
        check_keys(path, table, ("k", "dynamics"), "[correlate]")
        k = table.get("k")
        if k is not None and not (isinstance(k, (int, float)) and k > 0):
            raise ParameterError(f"{path}: [correlate] k is {k!r}: expected a positive wave number")
        stages["correlate"] = {
            "k": k,
            "dynamics": bool(table.get("dynamics", True)),
            "descriptors": made or stages.get("reduce", {}).get("descriptors", []),
            "reductions": stages.get("reduce", {}).get("descriptors", []),
            "structures": structures,
        }
    return stages


def of_state(path: Path, stages: dict[str, dict[str, Any]], own: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages' settings with what a run says of its own states."""
    if "describe" not in stages:
        return stages
    merged = {**stages["describe"]}
    if "centers" in own:
        merged["centers"] = _centers(path, own["centers"])
    if "cutoffs" in own:
        merged["cutoffs"] = _cutoffs(path, own["cutoffs"])
    return {**stages, "describe": merged}


def groups_of(stage: str, settings: dict[str, Any], recipe: Recipe | None, ensemble: bool) -> list[str]:
    """The groups that a stage stores, relative to the state's store."""
    if stage == "simulate":
        assert recipe is not None
        return ["", *(["inherent"] if recipe.inherent else []), *([ENSEMBLE] if ensemble else [])]
    if stage == "correlate":
        names = [STRUCTURE, *([RELAXATION] if settings["dynamics"] else [])]
        names += [PROPENSITY] if ensemble and settings["descriptors"] else []
        return [f"reductions/{name}" for name in names]
    within = "inherent/" if settings["structures"] == "inherent" else ""
    kind = "descriptors" if stage == "describe" else "reductions"
    return [f"{within}{kind}/{name}" for name in settings["descriptors"]]


def _describe(path: Path, table: dict[str, Any]) -> dict[str, Any]:
    from glassdask.descriptors import registry

    check_keys(path, table, ("descriptors", "structures", "centers", "cutoffs"), "[describe]")
    structures = table.get("structures", STRUCTURES[0])
    if structures not in STRUCTURES:
        raise ParameterError(f"{path}: [describe] structures {structures!r}: choose one of {', '.join(STRUCTURES)}")
    if not table.get("descriptors"):
        raise ParameterError(f"{path}: [describe] without descriptors: add a table such as [describe.descriptors.sbo]")
    check_keys(path, table["descriptors"], tuple(table["descriptors"]), "[describe.descriptors]")
    descriptors = {}
    for name, values in table["descriptors"].items():
        check_keys(path, values, tuple(values), f"[describe.descriptors.{name}]")
        kind = values.get("descriptor", name)
        parameters = {key: value for key, value in values.items() if key != "descriptor"}
        if name in RESERVED:
            raise ParameterError(f"{path}: a descriptor cannot be called {name}, as other results are: rename it")
        try:
            # what is measured later stands in for itself here, so that all other mistakes show before any work
            registry.make(kind, parameters, {"cutoffs": lambda: 1.0, "diameters": lambda: {"A": 1.0}})
        except GlassdaskError as error:
            raise ParameterError(f"{path}: [describe.descriptors.{name}]: {error}") from None
        descriptors[name] = {"descriptor": kind, **parameters}
    return {
        "descriptors": descriptors,
        "structures": structures,
        "centers": _centers(path, table.get("centers")),
        "cutoffs": _cutoffs(path, table.get("cutoffs", {})),
    }


def _centers(path: Path, value: Any) -> list[str] | None:
    names = [value] if isinstance(value, str) else value
    if names is not None and not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ParameterError(f'{path}: centers is {value!r}: expected a species or a list of them, such as ["B"]')
    return names


def _cutoffs(path: Path, value: Any) -> dict[str, float]:
    pairs = value.items() if isinstance(value, dict) else [("", value)]
    for pair, length in pairs:
        if pair.count("-") != 1 or not (isinstance(length, (int, float)) and length > 0):
            raise ParameterError(f"{path}: cutoffs is {value!r}: expected a table such as {{A-A = 1.4, A-B = 1.3}}")
    return {"-".join(sorted(pair.split("-"))): float(length) for pair, length in pairs}
