"""The description of a sweep: from its TOML file, or from the copy of it in the sweep's store, to its states."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from glassdask.declarations import Declaration, Where, digest, joined, make, parts, required, shown
from glassdask.errors import ParameterError
from glassdask.store.layout import checked_path
from glassdask.sweep import records
from glassdask.sweep.common import MOMENTS
from glassdask.sweep.ingesting import Dumps, dumped_states
from glassdask.sweep.protocol import Protocol, Simulated, simulated_states
from glassdask.sweep.replicas import REPLICAS
from glassdask.sweep.stage import Stage
from glassdask.sweep.stages import STAGES, ordered
from glassdask.sweep.state import Settings, State, Unit, naming, twice
from glassdask.sweep.trajectories import Found, found_states
from glassdask.texts import UTF8, parse_toml

NO_REPLICAS = "lags: means nothing without replicas: say how many, or leave it out"
# Where trajectories come from: their settings are those of the runs, the other stages have tables of their own.
SIMULATE, INGEST = "simulate", "ingest"
WITHOUT_TABLE = (SIMULATE, INGEST, REPLICAS, MOMENTS)


Seeds = Annotated[
    tuple[int, ...], Where(lambda seeds: 0 < len(seeds) == len(set(seeds)), "a list of different numbers")
]


@dataclass(frozen=True, kw_only=True)
class SweepFile(Declaration):
    """The file of a sweep, besides the tables of its stages."""

    store: Annotated[str, Where(lambda path: bool(path.strip()), "the path of a store")] | None = None
    seeds: Seeds | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    runs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Sweep:
    """What `read_sweep` found: a store, and the states in the order in which they are worked on.

    Attributes
    ----------
    store : str
        Path of the sweep's store.
    stages : tuple of str
        The stages that any of the states has, in order.
    states : tuple of State
        All states.
    settings : dict
        Of each state, by its label: of each stage, what its table says.
    text, folder, file : str
        The description, and where it lies.
    """

    store: str
    stages: tuple[str, ...]
    states: tuple[State, ...] = field(repr=False)
    settings: Mapping[str, Settings] = field(repr=False)
    text: str = field(repr=False)
    folder: str = field(repr=False)
    file: str = field(repr=False)

    def __len__(self) -> int:
        return len(self.states)

    def __iter__(self) -> Iterator[str]:
        return (state.label for state in self.states)

    def __getitem__(self, label: str) -> Any:
        """What is stored of a state, as an `xarray.DataTree` (see `glassdask.sweep.tree.open_state`)."""
        from glassdask.sweep.tree import open_state

        for state in self.states:
            if state.label == label:
                return open_state(state.path)
        raise ParameterError(f"{self.store}: no state '{label}': see list(sweep), such as {self.states[0].label}")

    def checked_stages(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Stages of this sweep that are asked for, by default all."""
        wanted = self.stages if names is None else tuple(names)
        unknown = [stage for stage in wanted if stage not in self.stages]
        if unknown:
            raise ParameterError(f"this sweep has no stage {unknown[0]}: choose from {', '.join(self.stages)}")
        return wanted

    def share(self, number: int, of: int) -> Sweep:
        """Share `number` (from 1) of `of` shares: every state is in one of them, long ones evenly spread."""
        if not 1 <= number <= of:
            raise ParameterError(f"share {number}/{of}: expected two numbers such as 1/{of}, counted from 1")
        return replace(self, states=self.states[number - 1 :: of])

    def description(self) -> records.Description:
        """What the store keeps of this."""
        return records.Description(
            folder=self.folder, file=self.file, stages=self.stages, states=self.states, toml=self.text
        )


def read_sweep(source: str | os.PathLike[str]) -> Sweep:
    """The sweep that a TOML file describes, or that is described in a store where it was run before.

    The stores of simulated states are ``STORE/MODEL/T=...``, with a level ``rho=...`` before and ``seed=...`` after
    where the file names densities and seeds. Every state has random numbers of its own, made of its seed and label.

    Raises
    ------
    ParameterError
        The file cannot be read, or a key in it is missing, unknown or wrong: one line with its path, such as
        ``liquids.toml: runs[0].temperatures[2]: expected a positive finite number, found -1``.
    StoreError
        The directory holds no sweep.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ParameterError(f"expected the path of a sweep's TOML file or store, found {shown(source)}")
    path = Path(source)
    if path.is_dir():
        kept = records.read_description(path)
        return _checked(Path(kept.folder) / kept.file, kept.toml, checked_path(path))
    try:
        text = path.read_text(encoding=UTF8)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read ({error.strerror}): check the path") from None
    except ValueError as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None
    return _checked(path.absolute(), text, None)


def _checked(path: Path, text: str, store: Path | None) -> Sweep:
    """The sweep; every mistake in the text is told with the file."""
    try:
        content = parse_toml(text)
    except ValueError as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None
    with naming(str(path)):
        return _read(path, content, text, store)


def _read(path: Path, content: dict[str, Any], text: str, store: Path | None) -> Sweep:
    if isinstance(content.get("runs"), dict):
        raise ParameterError("runs: a table [runs], expected a list of them: write [[runs]]")
    tables = [name for name in STAGES if name not in WITHOUT_TABLE]
    known = [*SweepFile.__dataclass_fields__, *tables]
    for name in content:
        if name not in known:
            raise ParameterError(f"{joined(None, name)}: unknown, expected some of {', '.join(known)}")
    file = make(SweepFile, {name: value for name, value in content.items() if name not in tables})
    protocol = parts(Protocol, file.protocol, "protocol")
    stages = ordered(name for name in content if name in tables)
    made = {name: make(stage.table, content[name], name) for name, stage in stages.items() if name in content}
    made |= {other: made[name] for name in tuple(made) for other in stages[name].brings}
    root = store or checked_path(os.path.normpath(path.parent / (file.store or f"{path.stem}.zarr")))
    if root == Path(root.anchor):
        raise ParameterError(f"store: {file.store!r} is all of the file system: expected a path such as 'runs.zarr'")
    if protocol.get("lags") and not any("replicas" in {**protocol, **run} for run in file.runs):
        raise ParameterError(f"protocol.{NO_REPLICAS}")
    states: list[State] = []
    settings: dict[str, Settings] = {}
    for number, table in enumerate(file.runs):
        where = f"runs[{number}]"
        run, own = _split(table, stages, made, where)
        shared = {name: stages[name].identity(settled) for name, settled in own.items()}  # by all states of the run
        for state, origin in _states_of(run, protocol, root, path.parent, file.seeds, where):
            given = {**origin, **own}
            chosen = {name: given[name] for name in stages if given.get(name) is not None}
            with naming(where):
                states.append(_planned(state, chosen, stages, shared))
            settings[state.label] = chosen
    seen: dict[str, State] = {}
    for state in states:
        if seen.setdefault(state.label, state) is not state:
            raise ParameterError(f"runs: {twice(seen[state.label], state)}")
    states = _joined(states, settings, stages)
    if not states:
        raise ParameterError("runs: no [[runs]] with temperatures or trajectories: add one")
    if not any(state.units for state in states):
        raise ParameterError(f"nothing to do with these trajectories: add one of {', '.join(f'[{t}]' for t in tables)}")
    # long simulations first, then low temperatures: what begins late should be short
    work = {label: found[SIMULATE].work if SIMULATE in found else 0.0 for label, found in settings.items()}
    states.sort(key=lambda state: (-work[state.label], state.temperature, state.label))
    done = tuple(name for name in stages if any(name in state.units for state in states))
    return Sweep(str(root), done, tuple(states), settings, text, str(path.parent), path.name)


def _joined(states: list[State], settings: dict[str, Settings], stages: Mapping[str, Stage]) -> list[State]:
    """The states, in which units that are made of several states depend on all of these."""
    new: dict[str, dict[str, Unit]] = {}
    for name, stage in stages.items():
        members: dict[str, list[State]] = {}
        for state in states:
            among = stage.among(state) if name in state.units else None
            if among is not None:
                members.setdefault(among, []).append(state)
        for among, group in members.items():
            with naming(f"runs: {among}"):
                shared = stage.joined(settings[group[0].label][name], group, [settings[s.label] for s in group])
            others = sorted(s.units[before].key for s in group for before in s.units[name].after)
            for state in group:
                unit = state.units[name]
                key = digest(unit.key, others)[:20]
                new.setdefault(state.label, dict(state.units))[name] = replace(unit, key=key, among=among)
                settings[state.label] = {**settings[state.label], name: shared}
    return [replace(state, units=new.get(state.label, state.units)) for state in states]


def _split(
    table: dict[str, Any], stages: Mapping[str, Stage], made: Settings, where: str
) -> tuple[dict[str, Any], Settings]:
    """A run without the settings of stages that it gives for its own states, and the stages' settings with these."""
    run, own = dict(table), dict(made)
    for name, stage in stages.items():
        given = {key: run.pop(key) for key in stage.of_runs if key in run}
        if given and name not in made:
            raise ParameterError(f"{where}.{min(given)}: means nothing without [{name}]: add it or leave this out")
        if given:
            own[name] = replace(made[name], **parts(type(made[name]), given, where))
    return run, own


def _states_of(
    run: dict[str, Any], protocol: dict[str, Any], root: Path, folder: Path, seeds: tuple[int, ...] | None, where: str
) -> Iterator[tuple[State, dict[str, Any]]]:
    """The states of a run, each with how its trajectory is made: simulated, ingested, or there already."""
    if "trajectories" in run:
        for state in found_states(make(Found, run, where), folder, where):
            yield state, {}
        return
    if "files" in run:
        yield from dumped_states(make(Dumps, run, where), root, folder, where)
        return
    if "temperatures" not in run:
        raise ParameterError(
            f"{where}.temperatures: is missing: give them, or the trajectories or files that exist already"
        )
    merged = {**protocol, **run}
    if run.get("lags") and "replicas" not in merged:
        raise ParameterError(f"{where}.{NO_REPLICAS}")
    for name in required(Protocol):
        if name not in merged:
            raise ParameterError(f"{where}.{name}: is missing: give it there or under [protocol]")
    for state, recipe in simulated_states(make(Simulated, merged, where), root, folder, seeds, where):
        yield state, {SIMULATE: recipe}


def _planned(state: State, settings: Settings, stages: Mapping[str, Stage], shared: Mapping[str, Any]) -> State:
    """A state with its units: the key of each depends on its settings and on the stages before it."""
    units: dict[str, Unit] = {}
    for name in settings:
        stage = stages[name]
        stage.check(settings)
        # what waits for a simulation waits for files that are ingested
        wanted = [
            INGEST if before == SIMULATE and INGEST in units else before for before in stage.after(state, settings)
        ]
        after = tuple(before for before in wanted if before in units)
        identity = shared[name] if name in shared else stage.identity(settings[name])
        key = digest(name, identity, [units[before].key for before in after])[:20]
        groups = tuple(stage.groups(state, settings))
        taken = [group for unit in units.values() for group in unit.groups if group in groups]
        if taken:
            raise ParameterError(f"{name}: what it stores as {taken[0]} another stage stores, too: rename it")
        units[name] = Unit(key=key, groups=groups, after=after)
    return replace(state, units=units)
