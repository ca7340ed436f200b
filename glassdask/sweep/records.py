"""What a sweep keeps about itself, in the hidden folder ``.sweep`` of its store: description and records of units.

A unit of work is a stage of a state. Its record is one JSON file that is replaced at once, so that a reader never sees
half of one and a killed writer leaves the one before.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassdask.errors import CorruptStoreError, StoreError
from glassdask.files import read_json, write_json, writing
from glassdask.store.groups import create_parents

if TYPE_CHECKING:
    from glassdask.sweep.description import Sweep

FOLDER = ".sweep"
DESCRIPTION = "sweep.json"
UNITS = "units"
VERSION = 1
RUNNING, INTERRUPTED, COMPLETE, FAILED = "running", "interrupted", "complete", "failed"
ENSEMBLE = "isoconfigurational/reductions/isoconfigurational"


def description(sweep: Sweep) -> dict[str, Any]:
    """What a store keeps of a sweep's description."""
    root = Path(sweep.store)
    states = [
        {
            "label": state.label,
            "path": _relative(state.path, root),
            "model": state.model,
            "temperature": state.temperature,
            "density": state.density,
            "seed": state.seed,
            "units": {
                stage: {"key": state.keys[stage], "groups": state.groups[stage], "after": state.after[stage]}
                for stage in state.stages
            },
        }
        for state in sweep.states
    ]
    return {
        "version": VERSION,
        "folder": _relative(sweep.folder, root),
        "file": sweep.file,
        "stages": list(sweep.stages),
        "states": states,
        "toml": sweep.text,
    }


def _relative(path: str, root: Path) -> str:
    """A path as seen from the store, so that all can be moved together; through no link but the last part."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.relpath(real, os.path.realpath(root))


def absolute(path: str, store: str | os.PathLike[str]) -> Path:
    """The path that a description has relative to its store."""
    return Path(os.path.normpath(os.path.join(os.path.realpath(store), path)))


def write_description(store: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Put a description into a store, unless the same is there."""
    root = Path(store)
    if read(root / FOLDER / DESCRIPTION) != content:
        create_parents(root / FOLDER, below=root)
        write_json(root / FOLDER / DESCRIPTION, content)


def read_description(store: str | os.PathLike[str]) -> dict[str, Any]:
    """The description that is kept in a store.

    Raises
    ------
    StoreError
        There is none, or it was written by a newer glassdask.
    """
    content = read(Path(store) / FOLDER / DESCRIPTION)
    if content is None:
        raise StoreError(f"{store}: no sweep was run here: expected the store of a sweep, or run its TOML file first")
    if content.get("version") != VERSION:
        raise StoreError(f"{store}: the sweep's description has version {content.get('version')}: upgrade glassdask")
    return content


def unit_file(store: str | os.PathLike[str], label: str, stage: str) -> Path:
    """Where the record of a unit is."""
    return Path(store) / FOLDER / UNITS / label / f"{stage}.json"


def read(file: Path) -> dict[str, Any] | None:
    """The content of a JSON file, None where there is none (or where a disk has lost it)."""
    with suppress(CorruptStoreError):
        return read_json(file)
    return None


def write(file: Path, status: str, key: str, **more: Any) -> None:
    """Replace the record of a unit."""
    content = {"status": status, "key": key, "host": socket.gethostname(), "pid": os.getpid(), **more}
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, content, sync=False)  # what a power failure takes is found out, and costs one look at the store


def failure(error: BaseException, trace: str) -> dict[str, str]:
    """What a record keeps of an error."""
    text = " ".join(str(error).split()) or type(error).__name__
    return {"class": type(error).__name__, "message": text, "traceback": trace}


def now() -> str:
    """The time, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
