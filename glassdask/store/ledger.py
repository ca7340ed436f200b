"""The ledger of a store: what each of its groups holds, as a table of checksums and a second copy of the metadata.

It lies in the hidden group ``.glassdask`` of a trajectory: one entry for the trajectory itself and for each group that
was stored below it. An entry has, for each state that the group may be in (two while frames take their places: before
and after), the metadata of the group and its arrays and the checksum of every chunk. The attribute ``content`` of a
group is the SHA-256 of its state, so that what was edited, exchanged or put back is told from what was written, and
metadata that were lost can be restored.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from glassdask.declarations import converted
from glassdask.errors import CorruptStoreError, GlassdaskError
from glassdask.files import sync, writing
from glassdask.store.metadata import REPAIR, SEAL, create_metadata, is_sealed, read_metadata, write_metadata

FOLDER = ".glassdask"
OWN = "_"  # the entry of the trajectory itself
CRC = 4  # bytes of the crc32c at the end of every chunk

Entry = dict[str, Any]
STATES = Mapping[str, Mapping[str, Mapping[str, Any]]]


def owner_of(group: Path) -> Path:
    """The group whose ledger has the entry of a group: itself where it has one, or the nearest above it that has."""
    return next((place for place in (group, *group.parents) if (place / FOLDER).is_dir()), group)


def entry_file(group: Path) -> Path:
    """Where the entry of a group is."""
    owner = owner_of(group)
    name = OWN if owner == group else quote(group.relative_to(owner).as_posix(), safe="")
    return owner / FOLDER / name / "zarr.json"


def entries(owner: Path) -> dict[str, Path]:
    """The entries of a ledger: the path of each group as seen from the owner ("" is the owner itself), and the file."""
    files = sorted((owner / FOLDER).glob("*/zarr.json"))
    return {"" if file.parent.name == OWN else unquote(file.parent.name): file for file in files}


def read_entry(file: Path) -> Entry:
    """The states in an entry, by content; none where there is no entry.

    Raises
    ------
    CorruptStoreError
        It is damaged.
    """
    if not file.is_file():
        return {}
    try:
        metadata = read_metadata(file)
        if not is_sealed(metadata):
            raise CorruptStoreError("has lost its checksum")
        found = converted(metadata["attributes"].get("states"), STATES, "attributes.states")
        for content, state in found.items():
            if not state.keys() >= {"group", "arrays", "chunks"} or content_of(state) != content:
                raise CorruptStoreError(f"does not fit its checksum {content}")
    except GlassdaskError as error:
        text = str(error) if str(error).startswith(str(file)) else f"{file}: is damaged ({error}): {REPAIR}"
        raise CorruptStoreError(text) from None
    return dict(found)


def write_entry(file: Path, states: Iterable[dict[str, Any]]) -> None:
    """Replace an entry at once; it is on the disk before the group says that it is in one of these states."""
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    node: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    if not (file.parents[1] / "zarr.json").exists():
        create_metadata(file.parents[1] / "zarr.json", node)
    write_metadata(
        file, {**node, "attributes": {"states": {content_of(state): state for state in states}}}, indent=None
    )


def forget(group: Path) -> None:
    """Remove the entries of a group that was removed, and of what was below it."""
    owner = owner_of(group)
    name = group.relative_to(owner).as_posix()
    for known, file in entries(owner).items():
        if owner != group and (known == name or known.startswith(f"{name}/")):
            shutil.rmtree(file.parent, ignore_errors=True)


def state_of(group_metadata: dict[str, Any], arrays: dict[str, dict[str, Any]], chunks: dict[str, str]) -> Entry:
    """A state of a group: its metadata, those of its arrays by name, and the checksums of their chunks, joined.

    ``content`` of the group's own metadata is that of the state.
    """
    state = {"group": group_metadata, "arrays": arrays, "chunks": chunks}
    attrs = {**group_metadata["attributes"], "content": content_of(state)}
    return {**state, "group": {**group_metadata, "attributes": attrs}}


def content_of(state: Entry) -> str:
    """SHA-256 of what a group holds: the sources, the metadata of its arrays and the checksums of their chunks."""
    sources = [source.get("sha256") for source in state["group"]["attributes"].get("sources", [])]
    held = {name: [array["attributes"].get(SEAL), state["chunks"].get(name)] for name, array in state["arrays"].items()}
    return hashlib.sha256(json.dumps([sources, held], sort_keys=True).encode()).hexdigest()


def stamp(file: Path, inner: int = 0, *, to_disk: bool = False) -> str:
    """The checksum of a chunk as its file has it, eight digits: the crc32c at its end; zeros where there is none.

    Of a shard with `inner` chunks it is one of the checksums of all of these. With `to_disk` the file is there then.
    """
    if to_disk:
        sync(file)
    with open(file, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)

        def before(end: int, n_bytes: int = CRC) -> bytes:
            stream.seek(end - n_bytes)
            return stream.read(n_bytes)

        if size < CRC + 16 * inner:
            return "0" * 2 * CRC
        if not inner:
            return before(size).hex()
        ends = np.frombuffer(before(size - CRC, 16 * inner), "<u8").reshape(-1, 2).sum(axis=1)
        sums = [before(size), *(before(int(end)) for end in ends if CRC <= end <= size)]
        return hashlib.sha256(b"".join(sums)).hexdigest()[: 2 * CRC]
