"""The stage *ingest*: trajectory files as they are, dumps of LAMMPS and others, become the stores of states."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from glassdask.code import digest
from glassdask.declarations import Declaration, Positive, Read, plain
from glassdask.errors import ParameterError
from glassdask.store.groups import COMPLETE, attributes, is_group
from glassdask.sweep.replicas import REPLICAS, Ensemble, beginning_of, remove_ensemble
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import Settings, State, naming, twice
from glassdask.sweep.trajectories import PLACEHOLDERS, matching, read_patterns, state_of


@dataclass(frozen=True, kw_only=True)
class Dumps(Declaration):
    """A table of ``[[runs]]`` whose trajectories are files; files of the same model, temperature ... are one run."""

    files: Annotated[tuple[str, ...], Read(read_patterns)]
    model: str | None = None
    temperature: Positive | None = None
    density: Positive | None = None
    seed: int | None = None
    dt: Positive | None = None
    species: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    replicas: Annotated[tuple[str, ...], Read(read_patterns)] | None = None


@dataclass(frozen=True, kw_only=True)
class Sources(Declaration):
    """The files of one state, and how they are read.

    Attributes
    ----------
    paths : of all files
    names : the same, as seen from the folder of the sweep's file
    settings : arguments of `glassdask.ingest`
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    settings: dict[str, Any]


class Ingest(Stage):
    """What `glassdask.ingest` does; its settings are the `Sources` of the state."""

    name = "ingest"

    def groups(self, state: State, settings: Settings) -> list[str]:
        """The trajectory is the store itself."""
        return [""]

    def identity(self, own: Sources) -> Any:
        """How files are read, and the first one by its name and beginning: a run that goes on stays the same."""
        return [digest(*self.computing(own)), plain(own.settings), own.names[0], beginning_of(own.paths[0])]

    def remarks(self, state: State, settings: Settings) -> list[str]:
        """Files that came, changed or went since they were read: a run that goes on stays the same, see `identity`."""
        own: Sources = settings[self.name]
        known = attributes(state.path) if is_group(state.path) else {}
        if known.get("status") != COMPLETE:
            return []
        read = {str(entry["name"]): datetime.fromisoformat(entry["ingested"]) for entry in known.get("sources", [])}
        # the sweep and its files may have been moved together
        depth = len(Path(own.names[0]).parts)
        by_end = {Path(old).parts[-depth:]: old for old in read}
        lines: dict[str, list[str]] = {"was not read yet": [], "is newer than what was read of it": []}
        there = set()
        for path, name in zip(own.paths, own.names):
            old = path if path in read else by_end.get(Path(name).parts)
            if old is None:
                lines["was not read yet"].append(name)
                continue
            there.add(old)
            if os.path.getmtime(path) > read[old].timestamp() + 1.0:
                lines["is newer than what was read of it"].append(name)
        lines["is gone, and its frames are kept"] = [Path(old).name for old in read if old not in there]
        advice = "glassdask sweep run with --overwrite reads these files again"
        return [
            f"{state.label}: {names[0]} {what}{f', as {len(names) - 1} more' if len(names) > 1 else ''}: {advice}"
            for what, names in lines.items()
            if names
        ]

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """All files of the state."""
        from glassdask.io import ingest

        own: Sources = settings[self.name]
        if overwrite:
            remove_ensemble(state.path)
        ingest(list(own.paths), state.path, overwrite=overwrite, **own.settings)


def dumped_states(run: Dumps, root: Path, folder: Path, place: str) -> Iterator[tuple[State, dict[str, Any]]]:
    """A state for all files that tell the same, below `root`, with its `Sources` and `Ensemble`, by their stages.

    The first of the files is looked at.

    Raises
    ------
    ParameterError
        No file matches, the model or the temperature is not told, or a file cannot be what is said; replicas are of no
        state, or a state has less than two.
    """
    from glassdask.io import look

    told = {name: getattr(run, name) for name in PLACEHOLDERS if getattr(run, name) is not None}
    given = {"species_names": run.species or None, "dt": run.dt, "format": run.format}
    settings = {**{name: value for name, value in given.items() if value is not None}, **run.options}
    found: dict[str, tuple[State, list[str]]] = {}
    for _, path, known, where in _matches(run.files, "files", folder, told, place):
        state = state_of(path, known, where)
        first, paths = found.setdefault(state.label, (replace(state, path=str(root / state.label)), []))
        _refuse_other(first, state, where)
        paths.append(path)
    replicas: dict[str, dict[str, list[str]]] = {}
    for number, path, known, where in _matches(run.replicas or (), REPLICAS, folder, told, place):
        if "replica" not in known:
            raise ParameterError(f"{where}: does not tell the replicas apart: put {{replica}} into the pattern")
        which = f"{number}/{known.pop('replica')}"
        state = state_of(path, known, where)
        label = state.label
        if label not in found:
            raise ParameterError(f"{where}: {path} is of {label}, of which there are no files: give these in files")
        _refuse_other(found[label][0], state, where)
        replicas.setdefault(label, {}).setdefault(which, []).append(path)
    for state, paths in found.values():
        with naming(f"{place}.files"):
            look(paths[:1], state.path, **settings)
        names = tuple(os.path.relpath(path, folder) for path in paths)
        made: dict[str, Any] = {Ingest.name: Sources(paths=tuple(paths), names=names, settings=settings)}
        runs = [tuple(each) for each in replicas.get(state.label, {}).values()]
        if len(runs) == 1:
            raise ParameterError(f"{place}.{REPLICAS}: {state.label} has one: averages take two or more")
        if runs:
            named = tuple(tuple(os.path.relpath(path, folder) for path in each) for each in runs)
            made[REPLICAS] = Ensemble(paths=tuple(runs), names=named, settings=settings)
        yield state, made


def _refuse_other(first: State, second: State, where: str) -> None:
    """Raise where two files have one label and are not of one state."""
    if (first.temperature, first.density) != (second.temperature, second.density):
        raise ParameterError(f"{where}: {twice(first, second)}")


def _matches(
    patterns: Iterable[str], key: str, folder: Path, told: dict[str, Any], place: str
) -> Iterator[tuple[int, str, dict[str, Any], str]]:
    """Files of all patterns, each with the number of its pattern, what is known of it, and where that stands."""
    more = ("replica",) if key == REPLICAS else ()
    for number, pattern in enumerate(patterns):
        where = f"{place}.{key}[{number}]"
        matches = [match for match in matching(pattern, folder, told, where, more) if Path(match[0]).is_file()]
        if not matches:
            raise ParameterError(f"{where}: no file matches {pattern!r}: it is relative to {folder}")
        for path, known in matches:
            yield number, path, known, where
