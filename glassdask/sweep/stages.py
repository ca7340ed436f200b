"""What the stages do with one state. Each can be repeated: what is stored and the same is not computed again."""

from __future__ import annotations

from typing import Any

from glassdask import __version__
from glassdask.errors import StoreError
from glassdask.store import content_hash, open_descriptors, open_trajectory, write_dataset
from glassdask.store.groups import COMPLETE, attributes, is_group
from glassdask.sweep import correlating
from glassdask.sweep.description import State
from glassdask.sweep.settings import PROPENSITY, RELAXATION, STRUCTURE


def simulate(state: State, overwrite: bool) -> None:
    """The trajectory, its inherent structures and its isoconfigurational ensemble, one after the other."""
    from glassdask.simulation.tasks import inherent_structures, isoconfigurational
    from glassdask.simulation.tasks import simulate as task

    recipe = state.recipe
    assert recipe is not None
    # in this thread, so that an interrupt from the keyboard ends LAMMPS as well
    task(recipe.simulation, state.path, overwrite=overwrite).compute(scheduler="synchronous")
    if recipe.inherent:
        minimise = inherent_structures(
            recipe.simulation.model, state.path, f"{state.path}/inherent", overwrite=overwrite
        )
        minimise.compute(scheduler="synchronous")
    if recipe.ensemble is not None:
        isoconfigurational(recipe.ensemble, f"{state.path}/isoconfigurational", overwrite=overwrite).compute()


def describe(state: State, overwrite: bool) -> None:
    """All descriptors, in one pass over the same neighbours."""
    from glassdask.correlations.measured import Measured
    from glassdask.declarations import pair_of
    from glassdask.descriptors.describe import describe as features_of
    from glassdask.descriptors.registry import make
    from glassdask.descriptors.saving import save_descriptors

    settings = state.settings["describe"]
    path = structures(state, settings)
    trajectory = open_trajectory(path)
    measured = Measured(trajectory, {pair_of(pair): length for pair, length in settings["cutoffs"].items()})
    made = {}
    for name, values in settings["descriptors"].items():
        parameters = {key: value for key, value in values.items() if key != "descriptor"}
        made[name] = make(values["descriptor"], parameters, measured.defaults())
    features = features_of(trajectory, made, centers=settings["centers"])
    save_descriptors(features, path, overwrite=overwrite)


def reduce(state: State, overwrite: bool) -> None:
    """Principal components of each descriptor, with the explained variance ratio and the projections."""
    from glassdask.descriptors.reduce import reduce as components_of
    from glassdask.descriptors.saving import save_reduction

    settings = state.settings["reduce"]
    path = structures(state, settings)
    for name in settings["descriptors"]:
        features = open_descriptors(path, [name])[name]
        reduced = components_of(features, n_components=settings["n_components"], scale=settings["scale"])
        save_reduction(reduced, path, name, overwrite=overwrite)


def correlate(state: State, overwrite: bool) -> None:
    """g(r), S(k) and energies; F_s(k*, t) and tau_alpha; |R| with the propensity where there is an ensemble."""
    settings, path = state.settings["correlate"], state.path
    inherent = content_hash(f"{path}/inherent") if is_group(f"{path}/inherent") else None
    _derive(path, STRUCTURE, {"inherent": inherent}, overwrite, lambda: correlating.structure(path))
    if settings["dynamics"]:
        _derive(path, RELAXATION, {"k": settings["k"]}, overwrite, lambda: correlating.relaxation(path, settings["k"]))
    if f"reductions/{PROPENSITY}" in state.groups["correlate"]:
        described = structures(state, settings)
        # the key of the unit stands for the descriptors and reductions that are correlated
        parameters = {**settings, "key": state.keys["correlate"], "ensemble": correlating.ensemble_key(path)}
        _derive(path, PROPENSITY, parameters, overwrite, lambda: correlating.propensity(path, described, settings))


STAGES = {"simulate": simulate, "describe": describe, "reduce": reduce, "correlate": correlate}


def structures(state: State, settings: dict[str, Any]) -> str:
    """The store whose structures are described."""
    path = state.path if settings["structures"] == "instantaneous" else f"{state.path}/inherent"
    if not is_group(path):
        what = "trajectory" if path == state.path else "inherent structures"
        raise StoreError(f"{path}: no {what} there: simulate or ingest it first")
    return path


def _derive(path: str, name: str, parameters: dict[str, Any], overwrite: bool, compute: Any) -> None:
    """Store ``reductions/NAME``, computed now, unless the same is there and whole."""
    from glassdask.store.arrays import arrays, missing_chunks

    group = f"{path}/reductions/{name}"
    wanted = {**parameters, "version": __version__}
    if is_group(group):
        found = attributes(group)
        same = found.get("parameters") == wanted and found.get("input") == content_hash(path)
        if same and found["status"] == COMPLETE and not any(missing_chunks(info) for info in arrays(group)):
            return
    write_dataset(compute(), path, f"reductions/{name}", parameters=wanted, overwrite=overwrite)
