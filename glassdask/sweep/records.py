"""What a sweep keeps about itself, in the hidden folder ``.sweep`` of its store: description and records of units.

A unit of work is a stage of a state. Its record is one JSON file that is replaced at once, so that a reader never sees
half of one and a killed writer leaves the one before.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from glassdask.declarations import Declaration, converted, plain
from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.files import read_json, writing
from glassdask.store import metadata
from glassdask.store.checks import RECORDS
from glassdask.store.groups import create_parents
from glassdask.sweep.state import State, checked_stage

FOLDER = RECORDS
DESCRIPTION = "sweep.json"
UNITS = "units"
VERSION = 1
RUNNING, INTERRUPTED, COMPLETE, FAILED = "running", "interrupted", "complete", "failed"


@dataclass(frozen=True, kw_only=True)
class Record(Declaration):
    """How a unit of work stands, as the process that does it writes down.

    Attributes
    ----------
    status : of the unit
    key : the one that the unit had then
    host, pid, started, ended, seconds : where and when
    run : which run of the sweep is at it
    input : content hash of the trajectory that it was computed from
    error : "class", "message" and "traceback"
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


def absolute(path: str, store: str | os.PathLike[str]) -> str:
    """The path that a description has relative to its store."""
    return os.path.normpath(os.path.join(os.path.realpath(store), path))


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
        kept: Description = converted(content, Description, DESCRIPTION)
    except GlassdaskError as error:
        raise StoreError(f"{store}: the sweep's description is damaged ({error}): run its TOML file again") from None
    states = tuple(replace(state, path=absolute(state.path, store)) for state in kept.states)
    return replace(kept, folder=absolute(kept.folder, store), states=states)


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
    text = " ".join(str(error).split()) or type(error).__name__
    return {"class": type(error).__name__, "message": text, "traceback": trace}


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
