"""Metadata files of a store: each sealed by a checksum of its own, and checked by type before anything of it is used.

The *seal* is an attribute with the SHA-256 of everything else in the file and, of an array, its name: values that were
edited, files that were exchanged and arrays that were renamed are found when the file is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from glassdask.declarations import Count, Whole, converted
from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError, StoreVersionError
from glassdask.files import create, parse_json, read_json, read_text, refuse_links, write_json
from glassdask.remote import Address
from glassdask.variables import SCHEMA_VERSION

SEAL = "seal"
KEPT = 4096  # metadata files that are remembered
# A file that was written this short a time before it was read may be written again without a trace in its times.
SETTLED_NS = 100_000_000
ASKED_NS = 5_000_000_000  # between two looks at a file on another machine

Table = Mapping[str, Any]
NODE = {"zarr_format": Literal[3], "node_type": Literal["group", "array"], "attributes": Table}
ARRAY = {
    "shape": tuple[Whole, ...],
    "data_type": Literal[
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64",
    ],
    "chunk_grid": Table,
    "codecs": tuple[Table, ...],
    "dimension_names": tuple[str, ...] | None,
}  # fmt: skip
# the attributes that glassdask itself reads; others are the user's
OF_GROUPS = {
    "status": Literal["writing", "complete"],
    "schema_version": Count,
    "key": str,
    "content": str,
    "commits": tuple[tuple[Whole, str], ...],
    "appending": tuple[Whole, str],
    "appended": tuple[Whole, Whole],
    "appended_to": str,
    "pending": Table,
    "code": str,
    "input": str,
    "stored_as": str,
    "made_from": Mapping[str, str | None],
    "sources": tuple[Table, ...],
    "coordinates": str,
    "text": Mapping[str, Table],
    SEAL: str,
}
OF_ARRAYS = {"flag_values": tuple[int, ...], "flag_meanings": tuple[str, ...] | str, SEAL: str}

# what tells whether a file has changed, where that is certain; its text, and what was checked of it
_read: dict[str, tuple[tuple[int, ...] | None, str, dict[str, Any]]] = {}


def read_metadata(file: Path) -> dict[str, Any]:
    """The content of the metadata file of a group or array, not to be changed; read again only where it has changed.

    Raises
    ------
    StoreError
        There is none.
    StoreVersionError
        It was written by a newer glassdask.
    CorruptStoreError
        It is damaged, or was edited.
    """
    signature = _signature(file)
    known = _read.get(str(file))
    if known is not None and known[0] == signature:
        return known[2]
    refuse_links(file)
    text = read_text(file)
    if text is None:
        raise StoreError(f"{file.parent} is not a store or a part of one: no zarr.json, check the path")
    if known is not None and known[1] == text:
        content = known[2]
    else:
        content = parse_json(file, text)
        _check(file, content)
    if len(_read) >= KEPT:
        _read.clear()
    settled = signature and time.time_ns() - signature[-1] > SETTLED_NS
    _read[str(file)] = (signature if settled else None, text, content)
    return content


def write_metadata(file: Path, content: dict[str, Any], indent: int | None = 2) -> dict[str, Any]:
    """Seal and replace the metadata of a node; returns what was written."""
    result = sealed(file, content)
    write_json(file, result, indent=indent)
    return result


def create_metadata(file: Path, content: dict[str, Any]) -> bool:
    """The same of a node that must not exist yet; tells whether it was made."""
    return create(file, json.dumps(sealed(file, content), indent=2))


def sealed(file: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The metadata with their seal in place of an earlier one."""
    attrs = {key: value for key, value in content.get("attributes", {}).items() if key != SEAL}
    content = {**content, "attributes": attrs}
    try:
        _check_kinds(content)
    except GlassdaskError as error:
        raise StoreError(f"{file.parent}: {error}: rename it, glassdask has a meaning for this name") from None
    return {**content, "attributes": {**attrs, SEAL: _seal(file, content)}}


def write_record(file: Path, content: dict[str, Any], name: str, *, sync: bool = True) -> None:
    """Replace a JSON file that is no metadata, with a seal of its content and of the name that it goes by."""
    write_json(file, {**content, SEAL: _digest(name, content)}, sync=sync)


def read_record(file: Path, name: str, *, strict: bool = False) -> dict[str, Any] | None:
    """The content of `write_record`, None where there is no file; `CorruptStoreError` where the seal does not fit.

    Older files have no seal, which is an error where it is `strict`.
    """
    content = read_json(file)
    if content is None:
        return None
    seal = content.pop(SEAL, None)
    if seal != _digest(name, content) and (strict or seal is not None):
        raise CorruptStoreError(f"{file}: was changed after it was written (its checksum does not fit): write it again")
    return content


def is_sealed(content: dict[str, Any]) -> bool:
    """Whether metadata have a seal; those of older stores have none."""
    return SEAL in content["attributes"]


def _seal(file: Path, content: dict[str, Any]) -> str:
    return _digest(file.parent.name if content.get("node_type") == "array" else "", content)


def _digest(name: str, content: dict[str, Any]) -> str:
    return hashlib.sha256((name + json.dumps(content, sort_keys=True)).encode()).hexdigest()


def _check(file: Path, content: dict[str, Any]) -> None:
    attrs = content.get("attributes", {})
    version = attrs.get("schema_version", SCHEMA_VERSION) if isinstance(attrs, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{file.parent}: schema version {version} is newer than {SCHEMA_VERSION}, which this glassdask reads: "
            "upgrade glassdask"
        )
    content.setdefault("attributes", attrs)
    try:
        _check_kinds(content)
    except GlassdaskError as error:
        what = "array" if content.get("node_type") == "array" else "group"
        raise CorruptStoreError(f"{file}: not the metadata of an {what} of glassdask ({error}): {REPAIR}") from None
    if is_sealed(content):
        bare = {**content, "attributes": {key: value for key, value in attrs.items() if key != SEAL}}
        if _seal(file, bare) != attrs[SEAL]:
            raise CorruptStoreError(f"{file}: was changed after it was written (its checksum does not fit): {REPAIR}")


def _check_kinds(content: dict[str, Any]) -> None:
    """Raise `ParameterError` where a value is not of its kind."""
    _convert(content, NODE, "")
    is_array = content["node_type"] == "array"
    _convert(content, ARRAY if is_array else {}, "")
    _convert(content["attributes"], OF_ARRAYS if is_array else OF_GROUPS, "attributes.")


REPAIR = "glassdask repair restores what can be"


def _convert(values: Table, kinds: Table, where: str) -> None:
    for name, kind in kinds.items():
        value = values.get(name)
        if kind is Table and type(value) is dict and all(type(key) is str for key in value):
            continue  # whatever is in it, which `converted` would copy
        if name in values or (where == "" and name != "dimension_names"):
            converted(value, kind, where + name)


def _signature(file: Path) -> tuple[int, ...]:
    """What tells a file from one that has taken its place; it is opened, as network file systems look again only then.

    The time of the last change is the last number.
    """
    if isinstance(file, Address):  # asked again after some seconds
        return (time.time_ns() // ASKED_NS * ASKED_NS,)
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return ()
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
