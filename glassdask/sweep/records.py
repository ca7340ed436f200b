"""What a sweep keeps about itself, in the hidden folder ``.sweep`` of its store: description and records of units.

A unit of work is a stage of a state. Its record is one JSON file that is replaced at once, so that a reader never sees
half of one and a killed writer leaves the one before. Records of complete states are gathered in one file, since
tens of thousands of small ones take longer to read than all else that is asked of a sweep. A unit that is run again
has a file of its own again, which counts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import starmap
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from glassdask.declarations import Declaration, converted, plain, rebuilt
from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.files import locked, read_json, writing
from glassdask.store import checks, metadata
from glassdask.store.checks import DESCRIPTION, GATHERED, RECORDS
from glassdask.store.groups import create_parents
from glassdask.store.layout import checked_name
from glassdask.sweep.advice import toml
from glassdask.sweep.state import State, Unit, checked_stage

FOLDER = RECORDS
UNITS = checks.UNITS
VERSION = 1
THREADS = 8  # readers of small files; a network file system answers many at once
BLOCK = 100  # states that one of them takes at a time
T = TypeVar("T")
RUNNING, INTERRUPTED, COMPLETE, FAILED = "running", "interrupted", "complete", "failed"


@dataclass(frozen=True, kw_only=True)
class Record(Declaration):
    """How a unit of work stands, as the process that does it writes down.

    Attributes
    ----------
    status : {"running", "interrupted", "complete", "failed"}
        Of the unit.
    key : str
        The one that the unit had then.
    host, pid, started, ended, seconds : str or int or float
        Where and when.
    run : str, optional
        Which run of the sweep is at it.
    input : str, optional
        Content hash of the trajectory that it was computed from.
    error : dict, optional
        "class", "message" and "traceback".
    """

    status: Literal["running", "interrupted", "complete", "failed"]
    key: str
    host: str = ""
    pid: int = 0
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    run: str | None = None
    input: str | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Description(Declaration):
    """What a store keeps of a sweep: the text of its file, and the states that this means."""

    version: int = VERSION
    folder: str
    file: str
    stages: tuple[str, ...]
    states: tuple[State, ...]
    toml: str

    def check(self) -> None:
        """Stages become columns and HTML."""
        for stage in self.stages:
            checked_stage(stage)


def relative(path: str, root: Path) -> str:
    """A path as seen from the store, so that all can be moved together; through no link but the last part."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.relpath(real, os.path.realpath(root))


def absolute(path: str, root: str) -> str:
    """The path that a description has relative to its store, whose real path is given."""
    return os.path.normpath(os.path.join(root, path))


def write_description(store: str | os.PathLike[str], described: Description) -> None:
    """Put a description into a store, unless the same is there."""
    root = Path(store)
    states = tuple(replace(state, path=relative(state.path, root)) for state in described.states)
    content = plain(replace(described, folder=relative(described.folder, root), states=states))
    file = root / FOLDER / DESCRIPTION
    if _sealed(file) != content:
        create_parents(root / FOLDER, below=root)
        metadata.write_record(file, content, name_of(file))


def read_description(store: str | os.PathLike[str]) -> Description:
    """The description that is kept in a store, with absolute paths.

    Raises
    ------
    StoreError
        There is none, it is damaged, or it was written by a newer glassdask.
    """
    file = Path(store) / FOLDER / DESCRIPTION
    content = _sealed(file)
    if content is None and file.exists():
        raise StoreError(f"{store}: the sweep's description is damaged: run its TOML file again")
    if content is None:
        raise StoreError(f"{store}: no sweep was run here: expected the store of a sweep, or run its TOML file first")
    if content.get("version") != VERSION:
        raise StoreError(f"{store}: the sweep's description has version {content.get('version')}: upgrade glassdask")
    try:
        states = content.get("states")
        found = _states(states) if isinstance(states, list) else None
        kept: Description = converted(
            content if found is None else {**content, "states": found}, Description, DESCRIPTION
        )
    except GlassdaskError as error:
        raise StoreError(f"{store}: the sweep's description is damaged ({error}): run its TOML file again") from None
    root = os.path.realpath(store)
    whole = (rebuilt(State, **{**vars(state), "path": absolute(state.path, root)}) for state in kept.states)
    return replace(kept, folder=absolute(kept.folder, root), states=tuple(whole))


class _Unit(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    groups: tuple[str, ...]
    after: tuple[str, ...] = ()
    among: str | None = None
    type: Literal["unit"] = "unit"


class _State(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    path: str
    model: str
    temperature: float
    density: float | None = None
    seed: int | None = None
    units: dict[str, _Unit] = {}
    type: Literal["state"] = "state"


def _states(content: list[Any]) -> tuple[State, ...] | None:
    """The states of a description, all at once; None where one is wrong, which is then said by the usual way."""
    try:
        states = msgspec.convert(content, list[_State])
    except msgspec.ValidationError:
        return None
    for name in {name for state in states for name in state.units}:
        checked_stage(name)
    for group in {group for state in states for unit in state.units.values() for group in unit.groups if group}:
        checked_name(group)
    return tuple(
        rebuilt(
            State, label=checked_name(state.label), path=state.path, model=state.model, temperature=state.temperature,
            density=state.density, seed=state.seed,
            units={
                name: rebuilt(Unit, key=unit.key, groups=unit.groups, after=unit.after, among=unit.among)
                for name, unit in state.units.items()
            },
        )
        for state in states
    )  # fmt: skip


def unit_file(store: str | os.PathLike[str], label: str, stage: str) -> Path:
    """Where the record of a unit is."""
    return Path(store) / FOLDER / UNITS / label / f"{stage}.json"


def name_of(file: Path) -> str:
    """The name of a record, that of no other one in its store."""
    parts = file.parts
    return "/".join(parts[len(parts) - parts[::-1].index(FOLDER) :])


def _sealed(file: Path) -> dict[str, Any] | None:
    """The content of a record; None where there is none, or it is not what was written."""
    with suppress(CorruptStoreError):
        return metadata.read_record(file, name_of(file))
    return None


def read(file: Path) -> dict[str, Any] | None:
    """The content of a JSON file, None where there is none (or where a disk has lost it)."""
    with suppress(CorruptStoreError):
        return read_json(file)
    return None


def read_record(file: Path) -> Record | None:
    """The record of a unit; None where there is none, or one that is damaged: then the unit counts as not begun."""
    content = _sealed(file)
    with suppress(GlassdaskError):
        return None if content is None else converted(content, Record, str(file))
    return None


def mapped(function: Callable[..., T], *items: Sequence[Any]) -> list[T]:
    """The results of a function that looks at small files, by some threads, each of which takes a row of items."""
    rows = list(zip(*items))
    blocks = [rows[k : k + BLOCK] for k in range(0, len(rows), BLOCK)]
    with ThreadPoolExecutor(THREADS) as pool:
        return [result for found in pool.map(lambda block: list(starmap(function, block)), blocks) for result in found]


def read_records(store: str | os.PathLike[str], states: Sequence[State]) -> list[dict[str, Record]]:
    """The records of all units of some states, by stage; one that is damaged is left out.

    Files come first and what is gathered after them: a record that moves from there to here is seen in one of the two.
    """
    root = os.path.join(store, FOLDER, UNITS)

    def own(state: State) -> dict[str, Record]:
        folder = os.path.join(root, state.label)
        if not os.path.isdir(folder):
            return {}
        found = ((stage, read_record(Path(folder, f"{stage}.json"))) for stage in state.units)
        return {stage: record for stage, record in found if record is not None}

    records = mapped(own, states)
    gathered = _gathered(store)
    for state, known in zip(states, records):
        for stage, record in gathered.get(state.label, {}).items():
            known.setdefault(stage, record)
    return records


def gather(store: str | os.PathLike[str], labels: Iterable[str]) -> None:
    """Move the records of states that are complete, and that nobody works on, into the file of all such states."""
    root = Path(store) / FOLDER
    with locked(root / "gathering", root):
        kept = _gathered(store)
        files: list[Path] = []
        for label in labels:
            for file in sorted((root / UNITS / label).glob("*.json")):
                record = read_record(file)
                if record is not None and record.status == COMPLETE:
                    kept.setdefault(label, {})[file.stem] = record
                    files.append(file)
        states = {label: {stage: _row(record) for stage, record in units.items()} for label, units in kept.items()}
        metadata.write_record(root / GATHERED, {"version": VERSION, "states": states}, name_of(root / GATHERED))
        for file in files:
            file.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()


def _gathered(store: str | os.PathLike[str]) -> dict[str, dict[str, Record]]:
    """The records that are gathered; those of a damaged file count as none, and their units as not begun."""
    content = _sealed(Path(store) / FOLDER / GATHERED)
    try:
        states = msgspec.convert((content or {}).get("states", {}), dict[str, dict[str, _Row]])
    except msgspec.ValidationError:
        return {}
    names = tuple(ROW)
    done = {"status": COMPLETE, "error": None}
    return {
        label: {stage: rebuilt(Record, **done, **dict(zip(names, row))) for stage, row in units.items()}
        for label, units in states.items()
    }


# what is gathered of a record, in this order
ROW = ("key", "host", "pid", "started", "ended", "seconds", "run", "input")
_Row = tuple[str, str, int, str | None, str | None, float | None, str | None, str | None]


def _row(record: Record) -> list[Any]:
    return [getattr(record, name) for name in ROW]


def write_record(file: Path, status: str, key: str, **more: Any) -> None:
    """Replace the record of a unit."""
    record = Record(status=status, key=key, host=socket.gethostname(), pid=os.getpid(), **more)  # type: ignore[arg-type]
    content = {name: value for name, value in plain(record).items() if value is not None}
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    # what a power failure takes is found out, and costs one look at the store
    metadata.write_record(file, content, name_of(file), sync=False)


def failure(error: BaseException, trace: str) -> dict[str, str]:
    """What a record keeps of an error."""
    text = toml(" ".join(str(error).split())) or type(error).__name__
    return {"class": type(error).__name__, "message": text, "traceback": trace}


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
