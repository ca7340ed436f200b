"""Frames that are added to a group: written beside it, and put in place at once when all are there.

Until then they lie in the *stage*, the hidden group ``.append`` of the group: its arrays have room for all frames, and
files of those that hold new ones. The group itself stays as it is, so that it is read, described and verified as
before, and an append that cannot go on loses nothing: `take_back` removes the stage.

`commit` makes the new frames part of the group, in this order: the ledger knows both states; the group says that it is
being changed, and that the frames before are those that count; files and metadata of arrays take their places; the
group says that it has all frames. A commit that was interrupted is carried on by the next one that looks (`settle`).
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

from glassdask.errors import CorruptStoreError, IncompleteStoreError, StoreError
from glassdask.files import writing
from glassdask.store import layout
from glassdask.store.arrays import STAGE, ArrayInfo, arrays, is_stored, stamp_files, stamps, sync_folders
from glassdask.store.groups import (
    COMPLETE,
    WRITING,
    attributes,
    clear_leftovers,
    create_node,
    set_attributes,
    with_attributes,
)
from glassdask.store.ledger import entry_file, read_entry, state_of, write_entry
from glassdask.store.metadata import REPAIR, create_metadata, read_metadata, sealed, write_metadata


def stage_of(group: Path) -> Path | None:
    """The stage of an append that was begun, and not taken back; None where there is none."""
    stage = group / STAGE
    if not (stage / "zarr.json").is_file():
        return None
    try:
        begun = attributes(stage)
    except CorruptStoreError:  # nothing that was committed is in it
        return None
    # of an append that was carried out, and its stage not removed any more
    return stage if begun.get("appended_to") == attributes(group).get("content") else None


def begin(group_path: str | os.PathLike[str], n_frames: int, **attrs: Any) -> Path:
    """Make a stage for frames that are to be added to a complete group, or find the one that was begun; returns it.

    `attrs` are kept in its attributes. After it, write the regions from the old number of frames on into the stage
    (`layout.frame_blocks(old, new, chunk)`, `write_region`), then `commit`.

    Raises
    ------
    StoreError
        Where there are more frames already, or another append was begun and not finished.
    """
    group = layout.checked_path(group_path)
    settle(group)
    found = attributes(group)
    if found.get("status") != COMPLETE:
        raise IncompleteStoreError(f"{group}: not written completely: first run the command that wrote it again")
    infos = [info for info in arrays(group) if info.dims[:1] == ("frame",)]
    old = infos[0].shape[0] if infos else 0
    stage = stage_of(group)
    end = n_frames if stage is None else attributes(stage)["appended"][1]
    if end != n_frames or n_frames < old:
        raise StoreError(
            f"{group}: {n_frames} frames asked for, it has {old} and an append to {end} was begun: run the command "
            f"that began it again, or take it back with glassdask repair {shlex.quote(str(group))}"
        )
    if stage is None:
        take_back(group)
        stage = group / STAGE
        create_node(
            stage,
            {
                "status": WRITING,
                "key": found.get("key"),
                **attrs,
                "appended": [old, n_frames],
                "appended_to": found["content"],
            },
        )
    for info in infos:
        content = read_metadata(info.path / "zarr.json")
        path = stage / info.name
        with writing(path):
            path.mkdir(exist_ok=True)
        create_metadata(path / "zarr.json", {**content, "shape": [n_frames, *info.shape[1:]]})
    return stage


def commit(group_path: str | os.PathLike[str], **attrs: Any) -> None:
    """Add the frames of the stage to the group, with new attributes, once all of them are there.

    A key that is not among the attributes is removed: it was that of the frames before.

    Raises
    ------
    IncompleteStoreError
        Naming the first missing chunks.
    """
    group = layout.checked_path(group_path)
    stage = group / STAGE
    old, new = attributes(stage)["appended"]
    staged = arrays(stage)
    missing = [file for info in staged for file in _new_files(info, old) if not is_stored(file)]
    if missing:
        listed = ", ".join(str(file.relative_to(stage)) for file in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise IncompleteStoreError(
            f"{group}: {len(missing)} chunks are not written yet ({listed}): run the same command again to continue"
        )
    found = read_metadata(group / "zarr.json")
    with writing(group):
        chunks = {info.name: stamps(info) for info in arrays(group)}
        for info in staged:
            kept = chunks[info.name][: 8 * (old // info.unit[0]) * info.n_files // -(-new // info.unit[0])]
            chunks[info.name] = kept + stamp_files(_new_files(info, old), info.inner, to_disk=True)
    files = {info.name: info.path / "zarr.json" for info in [*arrays(group), *staged]}
    # sealed, as they will be put in place: those of an older store are not
    metadata = {name: sealed(file, read_metadata(file)) for name, file in files.items()}
    commits = [*found["attributes"].get("commits", []), [old, found["attributes"]["content"]]]
    state = state_of(with_attributes(found, **{"key": None, **attrs}, commits=commits), metadata, chunks)
    file = entry_file(group)
    known = read_entry(file)
    write_entry(file, [*(known[content] for content in [found["attributes"]["content"]] if content in known), state])
    set_attributes(group, appending=[old, state["group"]["attributes"]["content"]])
    settle(group)


def settle(group: Path) -> bool:
    """Carry on a commit that was interrupted, and tell whether there was one; only the writer of the group may."""
    begun = attributes(group).get("appending")
    if begun is not None:
        _put_in_place(group, *begun)
    elif not (group / STAGE).exists() or stage_of(group) is not None:
        return False
    # also of a commit that was interrupted at its very end, after the group said that it has all frames
    ended = begun is not None or len(read_entry(entry_file(group))) > 1
    take_back(group)
    clear_leftovers(group, [info.path for info in arrays(group)])
    return ended


def _put_in_place(group: Path, old: int, content: str) -> None:
    """Move the files of the stage to the group, and have its metadata tell of them; `old` frames were there before."""
    file = entry_file(group)
    state = read_entry(file).get(content)
    if state is None:
        raise CorruptStoreError(f"{file}: nothing tells any more what an interrupted append has put in place: {REPAIR}")
    stage, folders = group / STAGE, set()
    with writing(group):
        for source in [file for info in arrays(stage) for file in _new_files(info, old)]:
            target = group / source.relative_to(stage)
            folders.add(target.parent)
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
    sync_folders(folders)
    for name, metadata in state["arrays"].items():
        write_metadata(group / name / "zarr.json", metadata)
    write_metadata(group / "zarr.json", state["group"])


def take_back(group: Path) -> None:
    """Remove the stage: what was to be added and is not in the group is gone, and the ledger knows no more of it."""
    if not (group / STAGE).exists():
        return
    known, content = read_entry(entry_file(group)), attributes(group).get("content")
    if len(known) > 1 and content in known:
        write_entry(entry_file(group), [known[content]])
    with writing(group):
        shutil.rmtree(group / STAGE, ignore_errors=True)


def _new_files(info: ArrayInfo, old: int) -> list[Path]:
    """The files of an array that hold frames from `old` on."""
    return [info.file(region) for region in info.regions() if region[0].stop > old]
