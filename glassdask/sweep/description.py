"""The description of a sweep: from its TOML file, or from the copy of it in the sweep's store, to `State`s."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glassdask import __version__
from glassdask.errors import ParameterError
from glassdask.store.layout import checked_name, checked_path
from glassdask.sweep import records, settings
from glassdask.sweep.protocol import DEFAULTS, REQUIRED, Recipe, model_named, recipe
from glassdask.sweep.trajectories import found_trajectories

STAGES = ("simulate", "describe", "reduce", "correlate")
OF_STATE = ("centers", "cutoffs")  # settings of [describe] that a run may give for its own states


@dataclass(frozen=True)
class State:
    """One state of a sweep: a trajectory, and what is to be made of it.

    Attributes
    ----------
    label : what tells it from the others, such as ``kob_andersen/T=0.4500/seed=1``
    path : its store
    model, temperature, density, seed : what it is; the last two are None where they are not told
    settings : of each stage, with the species of the centres and the cutoffs of this state
    keys : a hash for each stage, of its settings and of all that it depends on
    groups : what each stage stores, relative to `path`
    after : the stages that must be complete before each stage
    recipe : how it is simulated; None for a trajectory that was there before
    """

    label: str
    path: str
    model: str
    temperature: float
    density: float | None
    seed: int | None
    settings: dict[str, dict[str, Any]] = field(repr=False)
    keys: dict[str, str] = field(repr=False)
    groups: dict[str, list[str]] = field(repr=False)
    after: dict[str, list[str]] = field(repr=False)
    recipe: Recipe | None = field(default=None, repr=False)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of this state, in order."""
        return tuple(self.keys)


@dataclass(frozen=True)
class Sweep:
    """What `read_sweep` found: a store, and the states in the order in which they are worked on."""

    store: str
    states: tuple[State, ...] = field(repr=False)
    text: str = field(repr=False)
    folder: str = field(repr=False)
    file: str = field(repr=False)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that any of the states has, in order."""
        return tuple(stage for stage in STAGES if any(stage in state.keys for state in self.states))

    def __len__(self) -> int:
        return len(self.states)

    def __iter__(self) -> Iterator[str]:
        return (state.label for state in self.states)

    def __getitem__(self, label: str) -> Any:
        """What is stored of a state, as an `xarray.DataTree` (see `glassdask.sweep.reading.open_state`)."""
        from glassdask.sweep.reading import open_state

        for state in self.states:
            if state.label == label:
                return open_state(state.path)
        raise ParameterError(f"{self.store}: no state '{label}': see list(sweep), such as {self.states[0].label}")

    def share(self, number: int, of: int) -> Sweep:
        """Share `number` (from 1) of `of` shares: every state is in one of them, long ones evenly spread."""
        if not 1 <= number <= of:
            raise ParameterError(f"share {number}/{of}: expected two numbers such as 1/{of}, counted from 1")
        return replace(self, states=self.states[number - 1 :: of])


def read_sweep(source: str | os.PathLike[str]) -> Sweep:
    """The sweep that a TOML file describes, or that is described in a store where it was run before.

    The stores of simulated states are ``STORE/MODEL/T=...``, with a level ``rho=...`` before and ``seed=...`` after
    where the file names densities and seeds. Every state has random numbers of its own, made of its seed and label.

    Raises
    ------
    ParameterError
        The file cannot be read, a key is missing or unknown, or a parameter is outside of its range.
    StoreError
        The store holds no sweep.
    """
    path = Path(source)
    if path.is_dir():
        kept = records.read_description(path)
        return _parsed(records.absolute(kept["folder"], path) / kept["file"], kept["toml"], checked_path(path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None
    return _parsed(path.absolute(), text, None)


def _parsed(path: Path, text: str, store: Path | None) -> Sweep:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None
    settings.check_keys(path, content, ("store", "seeds", "protocol", "runs", "describe", "reduce", "correlate"))
    root = store or checked_path(os.path.normpath(path.parent / content.get("store", f"{path.stem}.zarr")))
    shared = content.get("protocol", {})
    settings.check_keys(path, shared, tuple(DEFAULTS), "[protocol]")
    stages = settings.of_stages(path, content)
    states: list[State] = []
    for run in content.get("runs", []):
        own = {name: run.pop(name) for name in OF_STATE if name in run}
        if own and "describe" not in stages:
            raise ParameterError(f"{path}: {', '.join(own)} in [[runs]] without [describe]: add it or leave them out")
        merged = settings.of_state(path, stages, own)
        if "trajectories" in run:
            states += [_given(found, merged) for found in found_trajectories(path, run)]
        else:
            states += _simulated(path, root, run, shared, content.get("seeds", [None]), merged)
    repeated = [label for label, count in Counter(state.label for state in states).items() if count > 1]
    if not states or repeated:
        found = f"{min(repeated)} is asked for twice" if repeated else "no [[runs]] with temperatures or trajectories"
        raise ParameterError(f"{path}: {found}: correct the file")
    if not any(state.keys for state in states):
        raise ParameterError(f"{path}: nothing to do with these trajectories: add [describe], [reduce] or [correlate]")
    # long simulations first, then low temperatures: what begins late should be short
    states.sort(key=lambda s: (-s.recipe.work if s.recipe else 0.0, s.temperature, s.label))
    return Sweep(str(root), tuple(states), text, str(path.parent), path.name)


def _simulated(
    path: Path, root: Path, run: dict[str, Any], shared: dict[str, Any], seeds: list[Any], stages: dict[str, Any]
) -> list[State]:
    settings.check_keys(path, run, ("model", "temperatures", "densities", *OF_STATE, *DEFAULTS), "[[runs]]")
    merged = {**DEFAULTS, **shared, **run}
    absent = [name for name in ("model", "temperatures", *REQUIRED) if merged.get(name) is None]
    if absent:
        raise ParameterError(f"{path}: a run lacks {', '.join(absent)}: add it there or under [protocol]")
    model = model_named(path, merged["model"], merged["potential"])
    if stages.get("describe", {}).get("structures") == "inherent" and not merged["inherent"]:
        raise ParameterError(f"{path}: [describe] wants inherent structures of {model.name}: set inherent = true")
    states = []
    for density, temperature, seed in itertools.product(run.get("densities", [None]), run["temperatures"], seeds):
        label = label_of(model.name, temperature, density, seed)
        where = str(root / label)
        made = recipe(model, label, where, density, temperature, seed or 0, merged)
        known = {"label": label, "path": where, "model": model.name, "temperature": temperature}
        known |= {"density": density, "seed": seed}
        states.append(_state(known, stages, made, made.ensemble is not None))
    return states


def _given(known: dict[str, Any], stages: dict[str, Any]) -> State:
    ensemble = (Path(known["path"]) / records.ENSEMBLE / "zarr.json").is_file()
    label = label_of(known["model"], known["temperature"], known["density"], known["seed"])
    return _state({"label": label, **known}, stages, None, ensemble)


def label_of(model: str, temperature: float, density: float | None, seed: int | None) -> str:
    """Name of a state.

    >>> label_of("kob_andersen", 0.45, 1.2, 7)
    'kob_andersen/rho=1.2000/T=0.4500/seed=7'
    """
    levels = [model, *([] if density is None else [f"rho={density:.4f}"]), f"T={temperature:.4f}"]
    levels += [] if seed is None else [f"seed={seed}"]
    return checked_name("/".join(levels))


def _state(known: dict[str, Any], stages: dict[str, Any], made: Recipe | None, ensemble: bool) -> State:
    """A state with the keys of its stages: each depends on its settings and on the stages before it."""
    wanted = {**({"simulate": {}} if made else {}), **stages}
    keys: dict[str, str] = {}
    after: dict[str, list[str]] = {}
    for name, chosen in wanted.items():
        before = {
            "simulate": [],
            "describe": ["simulate"],
            "reduce": ["simulate", "describe"],
            "correlate": ["simulate", "describe", "reduce"] if ensemble else ["simulate"],
        }[name]
        after[name] = [stage for stage in before if stage in wanted]
        own = made.key() if made and name == "simulate" else json.dumps([__version__, chosen], sort_keys=True)
        keys[name] = hashlib.sha256(" ".join([name, own, *[keys[s] for s in after[name]]]).encode()).hexdigest()[:20]
    groups = {name: settings.groups_of(name, chosen, made, ensemble) for name, chosen in wanted.items()}
    return State(**known, settings=wanted, keys=keys, groups=groups, after=after, recipe=made)
