"""Groups of a store and their metadata files.

A group is *managed* when its attributes have a `status`: "writing" from its creation (or the beginning of an append)
until `finish` has seen every chunk of every array, then "complete". The status changes with one metadata file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import os
import shutil
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.code import version
from glassdask.errors import CorruptStoreError, IncompleteStoreError, StoreError
from glassdask.files import PARTIAL, check_links, writing
from glassdask.remote import Address, place
from glassdask.store import layout, ledger
from glassdask.store.metadata import create_metadata, read_metadata, write_metadata
from glassdask.variables import SCHEMA_VERSION

WRITING, COMPLETE = "writing", "complete"
REMOVED = ".glassdask-removed-"


def plain(value: Any) -> Any:
    """The value with NumPy's types replaced by what JSON has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise StoreError(f"attribute {value!r} of type {type(value).__name__} cannot be stored: use numbers, text or lists")


def attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Attributes of a group (or array), not to be changed, after a check that this glassdask knows its schema."""
    attrs: dict[str, Any] = read_metadata(layout.checked_path(path) / "zarr.json")["attributes"]
    return attrs


def content_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of what a complete group holds: its sources, shapes, types and the checksums of its chunks.

    A plain group (the top of a tree) has the hash of nothing. It was found by `finish`; reading it is free.
    """
    attrs = attributes(path)
    if attrs.get("status", COMPLETE) != COMPLETE:
        raise IncompleteStoreError(f"{path}: not written completely: run the same command again to continue")
    return str(attrs.get("content", hashlib.sha256().hexdigest()))


def set_attributes(path: str | os.PathLike[str], **attrs: Any) -> None:
    """Replace the given attributes of a group or array in one step; a value of None removes the attribute."""
    file = layout.checked_path(path) / "zarr.json"
    write_metadata(file, with_attributes(read_metadata(file), **attrs))


def with_attributes(content: dict[str, Any], /, **attrs: Any) -> dict[str, Any]:
    """Metadata with other attributes; None removes one."""
    merged = {**content["attributes"], **plain(attrs)}
    return {**content, "attributes": {key: value for key, value in merged.items() if value is not None}}


def is_group(path: str | os.PathLike[str]) -> bool:
    """Whether there is a Zarr 3 group at `path`."""
    file = place(path) / "zarr.json"
    return file.is_file() and read_metadata(file).get("node_type") == "group"


def provenance() -> dict[str, Any]:
    """Attributes that say by what and when a group was made."""
    return {
        "schema_version": SCHEMA_VERSION,
        "glassdask_version": version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in ("numpy", "zarr", "numba", "dask")},
    }


@cache
def _version(package: str) -> str:
    return importlib.metadata.version(package)


def create_group(path: str | os.PathLike[str], *, attrs: dict[str, Any] | None = None) -> bool:
    """Create a managed group with status "writing" and its provenance; tells whether it was created just now.

    Where a managed group exists already, nothing is changed (also when two processes create it at once). The groups
    above it, from the part of the path that ends in ``.zarr``, are made plain groups, so that the tree is one Zarr
    hierarchy.

    Raises
    ------
    StoreError
        Where the path cannot be written or something else is in the way.
    """
    group = layout.checked_path(path)
    create_parents(group)
    managed = {"status": WRITING, "sources": [], "parameters": {}, **provenance(), **(attrs or {})}
    if create_node(group, managed):
        return True
    if "status" in attributes(group):
        return False
    set_attributes(group, **managed)  # a plain group, made because something below it was stored first
    return True


def create_parents(path: Path, below: Path | None = None) -> None:
    """Make plain groups of the directories from `below`, or from the part that ends in .zarr, down to above `path`."""
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if part.endswith(".zarr")), len(parts))
    if below is not None:
        first = min(first, len(below.parts) - 1)
    for n in range(first + 1, len(parts)):
        create_node(Path(*parts[:n]), {})


def create_node(path: Path, attrs: dict[str, Any]) -> bool:
    """Make a Zarr group with these attributes; tells whether it was made just now."""
    file = path / "zarr.json"
    with writing(path):
        if not file.exists():
            if path.is_dir() and not _only_nodes(path):
                raise StoreError(f"{path}: is a directory with other files, not a store: choose another path")
            path.mkdir(parents=True, exist_ok=True)
            known = {key: value for key, value in plain(attrs).items() if value is not None}
            content = {"attributes": known, "zarr_format": 3, "node_type": "group"}
            if create_metadata(file, content):
                return True
    if read_metadata(file).get("node_type") != "group":
        raise StoreError(f"{path}: an array is in the way of a group: choose another path")
    return False


def remove_group(path: str | os.PathLike[str]) -> None:
    """Remove a managed group and what was derived from it; refuses where other state points lie below it."""
    check_links(layout.checked_path(path))
    group = layout.checked_path(path).resolve()
    others = _other_groups(group)
    try:
        managed = not (group / "zarr.json").exists() or "status" in attributes(group)
    except CorruptStoreError:  # it is to go, whatever it was
        managed = True
    if others or not managed:
        raise StoreError(f"{path}: is not removed, it has other groups in it ({others}): remove it by hand")
    with writing(group):
        # first out of the way, at once, so that no half of it is ever continued
        os.rename(group, group.with_name(f"{REMOVED}{uuid.uuid4().hex}"))
    ledger.forget(group)
    clear_removed(group.parent)


def derived_names(path: str | os.PathLike[str]) -> list[str]:
    """Names of the groups that were derived from a trajectory, which go where it is overwritten: descriptors/sbo."""
    group = layout.checked_path(path)
    folders = [folder for folder in (group / "descriptors", group / "reductions") if folder.is_dir()]
    return [f"{folder.name}/{item.name}" for folder in folders for item in children(folder, "group")]


def _other_groups(group: Path) -> list[str]:
    """Names of the groups below one that are not derived from it; with damaged metadata, what has no chunks."""
    found = []
    for item in sorted(group.iterdir()):
        if (
            item.name.startswith(".")
            or item.name in ("descriptors", "reductions")
            or not (item / "zarr.json").is_file()
        ):
            continue
        try:
            other = is_group(item)
        except CorruptStoreError:
            other = not (item / "c").exists()
        found += [item.name] if other else []
    return found


def clear_removed(folder: Path) -> None:
    """Delete groups that were put out of the way, also by a process that was killed before it had deleted them."""
    for leftover in folder.glob(f"{REMOVED}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def clear_leftovers(group: Path, arrays: list[Path]) -> None:
    """Delete what killed writers of a group left: half-written files and what was put aside."""
    with writing(group):
        for folder in (group, group.parent, *ledger.entry_file(group).parents[:2]):
            for leftover in folder.glob(f"zarr*{PARTIAL}"):
                leftover.unlink(missing_ok=True)
        for leftover in itertools.chain(*[array.rglob(f"*{PARTIAL}") for array in arrays]):
            leftover.unlink(missing_ok=True)
    clear_removed(group.parent)


def _only_nodes(path: Path) -> bool:
    """Whether a directory is empty but for other Zarr nodes, hidden files and unfinished files of another writer."""
    return all(
        (item / "zarr.json").exists() or item.suffix == PARTIAL or item.name.startswith(".") for item in path.iterdir()
    )


def children(group_path: str | os.PathLike[str], kind: str) -> list[Path]:
    """Directories of the arrays (`kind` "array") or groups ("group") of a group, by name."""
    group = layout.checked_path(group_path)
    if isinstance(group, Address) and kind == "array":  # the ledger tells it, also where the host lists nothing
        state = ledger.read_entry(ledger.entry_file(group)).get(attributes(group).get("content", ""))
        if state is not None:
            return [group / name for name in sorted(state["arrays"])]
    found = []
    for item in sorted(group.iterdir()):
        node = not item.name.startswith(".") and (item / "zarr.json").is_file()
        if node and read_metadata(item / "zarr.json").get("node_type") == kind:
            found.append(item)
    return found
