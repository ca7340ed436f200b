"""What can be restored of a damaged store from itself: metadata from the ledger, the ledger from the metadata.

An append that was interrupted is taken back; chunks that were exchanged are put in their places.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.files import put, writing
from glassdask.store import appending, ledger
from glassdask.store.arrays import STAGE, ArrayInfo, array_info, arrays, is_stored, stamps
from glassdask.store.checks import check_chunk, chunks_of
from glassdask.store.groups import COMPLETE, attributes, clear_leftovers, clear_removed, is_group
from glassdask.store.layout import Region
from glassdask.store.locks import locked
from glassdask.store.metadata import read_metadata, write_metadata

AGAIN = "run the command that wrote it again"


def restore(group: Path, restored: list[str], lost: list[str]) -> list[Path]:
    """Restore a group and all below it; returns those of which chunks are missing now.

    What was done and what is lost are lines that are added to the two lists. Damaged chunks are removed, so that the
    command that wrote them writes them again.

    Raises
    ------
    BusyStoreError
        Another process is writing one of the groups.
    """
    incomplete = []
    with locked(group):
        clear_removed(group.parent)
        if _metadata(group, restored, lost):
            _append(group, restored)
            if _arrays(group, restored, lost):
                incomplete.append(group)
        _forget(group, lost)
    for child in _below(group):
        incomplete += restore(child, restored, lost)
    return incomplete


def _metadata(group: Path, restored: list[str], lost: list[str]) -> bool:
    """See to the metadata of the group itself and to its ledger; tells whether it is a complete group now."""
    file, states = ledger.entry_file(group), {}
    try:
        states = ledger.read_entry(file)
    except CorruptStoreError as error:
        restored.append(f"{error} (removed)")
        shutil.rmtree(file.parent)
    known = _known(group)
    if known is not None and ("status" in known or not states):
        return known.get("status") == COMPLETE and _ledger(group, states, restored, lost)
    if states:
        first, *later = states.values()
        content = first["group"]
        if later:  # it was being put in place
            frames = (array["shape"][0] for array in first["arrays"].values() if array["dimension_names"][0] == "frame")
            appended = [next(frames), later[0]["group"]["attributes"]["content"]]
            content = {**content, "attributes": {**content["attributes"], "appending": appended}}
        write_metadata(group / "zarr.json", content)
        restored.append(f"{group}: its metadata, from the ledger")
        return True
    if any((item / "c").exists() for item in group.iterdir()):
        lost.append(f"{group}: its metadata, and with them what it was made of: {AGAIN}")
        return False
    write_metadata(group / "zarr.json", {"attributes": {}, "zarr_format": 3, "node_type": "group"})
    restored.append(f"{group}: its metadata, those of a group without data of its own")
    return False


def _known(group: Path) -> dict[str, Any] | None:
    """Attributes of a group, None where its metadata are damaged or missing."""
    try:
        attrs: dict[str, Any] = read_metadata(group / "zarr.json")["attributes"]
    except CorruptStoreError:
        return None
    except StoreError:
        if (group / "zarr.json").exists():
            raise
        return None
    return attrs


def _ledger(group: Path, states: dict[str, Any], restored: list[str], lost: list[str]) -> bool:
    """Write the ledger of a complete group again where it is lost; tells whether there is one."""
    content = read_metadata(group / "zarr.json")
    if content["attributes"].get("content") in states:
        return True
    try:
        infos = arrays(group)
        metadata = {info.name: read_metadata(info.path / "zarr.json") for info in infos}
        state = ledger.state_of(content, metadata, {info.name: stamps(info) for info in infos})
    except (GlassdaskError, OSError) as error:
        lost.append(f"{group}: what it held, as its ledger is gone, too ({error}): {AGAIN} with overwrite")
        return False
    if state["group"] != content:
        lost.append(f"{group}: which of its files were changed, as its ledger is gone: {AGAIN} with overwrite")
        return False
    ledger.write_entry(ledger.entry_file(group), [state])
    restored.append(f"{group}: its ledger, from its metadata and chunks")
    return True


def _append(group: Path, restored: list[str]) -> None:
    """Complete an append that was being put in place, or take back one that was not that far."""
    if "appending" in attributes(group):
        appending.settle(group)
        restored.append(f"{group}: all frames of an append that was interrupted at its end")
    elif (group / STAGE).exists():
        stage = appending.stage_of(group)
        found = {} if stage is None else attributes(stage).get("pending", {})
        appending.take_back(group)
        what = f"an append of {', '.join(found.get('files', [])) or 'frames'} that was interrupted was taken back"
        restored.append(f"{group}: {what}; its frames are those of before")


def _arrays(group: Path, restored: list[str], lost: list[str]) -> bool:
    """See to arrays and chunks of a complete group; tells whether chunks are missing."""
    state = ledger.read_entry(ledger.entry_file(group))[attributes(group)["content"]]
    for name, content in state["arrays"].items():
        file = group / name / "zarr.json"
        try:
            same = read_metadata(file) == content
        except GlassdaskError:
            same = False
        if not same:
            with writing(file):
                file.parent.mkdir(exist_ok=True)
            write_metadata(file, content)
            restored.append(f"{file}: from the ledger")
    wrong = list(_wrong(group, state))
    _put_in_place(wrong, restored)
    wrong = [item for item in wrong if check_chunk(*item[:3])]
    for info, region, _, problem in wrong:
        with writing(info.file(region)):
            info.file(region).unlink(missing_ok=True)
        lost.append(problem.partition(": ")[0] + ": " + problem.partition(": ")[2].rpartition(": ")[0])
    clear_leftovers(group, [group / name for name in state["arrays"]])
    return bool(wrong)


Wrong = tuple[ArrayInfo, Region, set[str], str]


def _wrong(group: Path, state: ledger.Entry) -> Iterator[Wrong]:
    """The chunks that are not those that were written last, and what is wrong with each."""
    for name in state["arrays"]:
        for info, region, known in chunks_of(array_info(group, name), [state]):
            problem = check_chunk(info, region, known)
            if problem:
                yield info, region, known, problem


def _put_in_place(wrong: list[Wrong], restored: list[str]) -> None:
    """Exchange chunks that are in each other's places."""
    found = {}
    for info, region, _, _ in wrong:
        if is_stored(info.file(region)):
            found[ledger.stamp(info.file(region), info.inner)] = info.file(region).read_bytes()
    for info, region, known, _ in wrong:
        for stamp in known & found.keys():
            put(info.file(region), found[stamp])
            restored.append(f"{info.file(region)}: its chunk, which was in another place")


def _forget(group: Path, lost: list[str]) -> None:
    """Forget what the ledger knows and is not there any more."""
    for name, file in ledger.entries(group).items():
        if (group / name).is_dir():
            continue
        try:
            attrs = next(iter(ledger.read_entry(file).values()))["group"]["attributes"]
            made = f" ({json.dumps(attrs['parameters'], sort_keys=True)})" if attrs.get("parameters") else ""
        except (GlassdaskError, StopIteration):
            made = ""
        shutil.rmtree(file.parent)
        lost.append(f"{group / name}: all of it{made}")


def _below(group: Path) -> list[Path]:
    """The groups in a group, those without metadata too."""
    folders = [item for item in sorted(group.iterdir()) if item.is_dir() and not item.name.startswith(".")]
    found = []
    for item in folders:
        try:
            array = not is_group(item) and (item / "zarr.json").exists()
        except GlassdaskError:
            array = False
        if not array and not (item / "c").exists():
            found.append(item)
    return found
