"""What can be restored of a damaged store from itself: metadata from the ledger, the ledger from the metadata.

An append that was interrupted is taken back; chunks that were exchanged are put in their places.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.files import put, writing
from glassdask.store import appending, ledger
from glassdask.store.arrays import STAGE, ArrayInfo, array_info, arrays, is_stored, stamps
from glassdask.store.checks import RECORDS, check_chunk, chunks_of
from glassdask.store.groups import COMPLETE, attributes, clear_leftovers, clear_removed, is_group, remove_group
from glassdask.store.layout import Region
from glassdask.store.locks import locked
from glassdask.store.metadata import SEAL, read_metadata, write_metadata

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
        _clear_way(group)
        if _metadata(group, restored, lost):
            _append(group, restored)
            if _arrays(group, restored, lost):
                incomplete.append(group)
        _forget(group, lost)
    for child in _below(group):
        incomplete += restore(child, restored, lost)
    return incomplete


def recover(group: Path) -> None:
    """Make a group fit to be written, whatever has happened to it: what is not known for certain is not there then.

    Metadata that are damaged or lost are those of the ledger. Where it does not know them either, the group was never
    complete: it is removed, or the array that it is about, and begun anew. Of a group that was not finished, chunks
    that a loss of power has left torn are removed. Only the writer of the group may call it.
    """
    if not group.is_dir():
        return
    _clear_way(group)
    told: list[str] = []
    if _known(group) is None:
        if not (group / "zarr.json").exists() and not any(map(_is_ours, _folders(group))):
            return
        if not _states(group, told):
            remove_group(group)
            return
        _metadata(group, told, told)
    known = attributes(group)
    if "status" not in known:
        return
    if known["status"] == COMPLETE and not _metadata(group, told, told):
        return
    if known["status"] != COMPLETE and SEAL not in known and any(map(_is_ours, _folders(group))):
        remove_group(group)  # it was edited, and its checksum removed
        return
    if known.get("content") in _states(group, told):
        _array_metadata(group, told)
    if known["status"] != COMPLETE:
        for item in _folders(group):  # but not the receipts, from which it goes on
            found = _known(item)
            whole = found is not None and (SEAL in found) == (SEAL in known)
            if not whole and all(part.name == "c" or part.is_file() for part in item.iterdir()):
                shutil.rmtree(item)
        remove_torn(group)


def recover_plain(group: Path) -> None:
    """The same of a group that only holds others, of which several processes may be the writers."""
    if not group.is_dir():
        return
    _clear_way(group)
    told: list[str] = []
    if _known(group) is None:
        _metadata(group, told, told)
    clear_leftovers(group, [])


def _clear_way(group: Path) -> None:
    """Remove folders in the place of metadata, and a file in that of the ledger."""
    with writing(group):
        entries = (group / ledger.FOLDER).glob("*")
        for place in (group, *_folders(group), *entries, ledger.entry_file(group).parent):
            if (place / "zarr.json").is_dir():
                shutil.rmtree(place / "zarr.json")
        if (group / ledger.FOLDER).is_file():
            (group / ledger.FOLDER).unlink()


def _folders(group: Path) -> list[Path]:
    return [item for item in sorted(group.iterdir()) if item.is_dir() and not item.name.startswith(".")]


def _is_ours(item: Path) -> bool:
    """Whether this is an array that glassdask has written."""
    return SEAL in (_known(item) or {}) and (item / "c").exists()


def remove_torn(group: Path) -> None:
    """Remove the chunks of a group that cannot be read."""
    work = [(info, region) for info in arrays(group) for region in info.regions() if is_stored(info.file(region))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = pool.map(lambda item: check_chunk(item[0], item[1], set()), work)
    for (info, region), problem in zip(work, problems):
        if problem:
            info.file(region).unlink(missing_ok=True)


def _metadata(group: Path, restored: list[str], lost: list[str]) -> bool:
    """See to the metadata of the group itself and to its ledger; tells whether it is a complete group now."""
    states = _states(group, restored)
    known = _known(group)
    if known is not None and SEAL not in known and states:  # it was edited, and its checksum removed
        known = None
    if known is not None and SEAL not in known and not {"status", "states"} & known.keys() and not states:
        write_metadata(group / "zarr.json", read_metadata(group / "zarr.json"))
        restored.append(f"{group}: its checksum, of a group without data of its own")
        return False
    if known is not None and ("status" in known or not states):
        return known.get("status") == COMPLETE and _ledger(group, states, restored, lost)
    if states:
        first, *later = states.values()
        content = first["group"]
        if later:  # it was being put in place
            frames = (array["shape"][0] for array in first["arrays"].values() if array["dimension_names"][0] == "frame")
            appended = [next(frames), later[0]["group"]["attributes"]["content"]]
            content = {**content, "attributes": {**content["attributes"], "appending": appended}}
        if "c" not in first["arrays"]:  # chunks of an array that somebody has put in the place of the group
            shutil.rmtree(group / "c", ignore_errors=True)
        write_metadata(group / "zarr.json", content)
        restored.append(f"{group}: its metadata, from the ledger")
        return True
    if any((item / "c").exists() for item in group.iterdir()):
        lost.append(f"{group}: its metadata, and with them what it was made of: {AGAIN}")
        return False
    if not ((group / RECORDS).is_dir() or any(part.name in ("zarr.json", "c") for part in group.rglob("*"))):
        return False  # somebody else's folder
    write_metadata(group / "zarr.json", {"attributes": {}, "zarr_format": 3, "node_type": "group"})
    restored.append(f"{group}: its metadata, those of a group without data of its own")
    return False


def _states(group: Path, restored: list[str]) -> ledger.Entry:
    """What the ledger says of a group; an entry that is damaged is removed."""
    file = ledger.entry_file(group)
    try:
        return ledger.read_entry(file)
    except CorruptStoreError:
        restored.append(f"{file}: was damaged, and is written again where the group is whole")
        if next(file.parent.rglob("c"), None) is None:  # else somebody has put a group in its place
            shutil.rmtree(file.parent)
        return {}


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
    stage = appending.stage_of(group)
    left = (group / STAGE).exists()
    if appending.settle(group):
        restored.append(f"{group}: all frames of an append that was interrupted at its end")
    elif stage is None and left:  # all of it is in the group, or nothing
        restored.append(f"{group}: what an append that was interrupted has left there was removed")
    elif stage is not None:
        found = attributes(stage).get("pending", {})
        appending.take_back(group)
        what = f"an append of {', '.join(found.get('files', [])) or 'frames'} that was interrupted was taken back"
        restored.append(f"{group}: {what}; its frames are those of before")


def _arrays(group: Path, restored: list[str], lost: list[str]) -> bool:
    """See to arrays and chunks of a complete group; tells whether chunks are missing."""
    state = _array_metadata(group, restored)
    wrong = list(_wrong(group, state))
    _put_in_place(wrong, restored)
    wrong = [item for item in wrong if check_chunk(*item[:3])]
    for info, region, _, problem in wrong:
        _clear(info, info.file(region))
        lost.append(problem.partition(": ")[0] + ": " + problem.partition(": ")[2].rpartition(": ")[0])
    clear_leftovers(group, [group / name for name in state["arrays"]])
    return bool(wrong)


def _array_metadata(group: Path, restored: list[str]) -> ledger.Entry:
    """Write the metadata of arrays again that are not those of the ledger; returns what it says of the group."""
    state: ledger.Entry = ledger.read_entry(ledger.entry_file(group))[attributes(group)["content"]]
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
    return state


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
            _clear(info, info.file(region))
            info.file(region).parent.mkdir(parents=True, exist_ok=True)
            put(info.file(region), found[stamp])
            restored.append(f"{info.file(region)}: its chunk, which was in another place")


def _clear(info: ArrayInfo, file: Path) -> None:
    """Remove what is in the place of a chunk, also a folder, or a file in place of one of its folders."""
    with writing(file):
        for place in (info.path / part for part in [*file.relative_to(info.path).parents][-2::-1]):
            if place.is_file():
                place.unlink()
        if file.is_dir():
            shutil.rmtree(file)
        elif file.parent.is_dir():
            file.unlink(missing_ok=True)


def _forget(group: Path, lost: list[str]) -> None:
    """Forget what the ledger knows and is not there any more."""
    file = group / ledger.FOLDER / "zarr.json"
    if file.parent.is_dir() and SEAL not in (_known(file.parent) or {}):
        write_metadata(file, {"attributes": {}, "zarr_format": 3, "node_type": "group"})
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
    found = []
    for item in _folders(group):
        try:
            array = not is_group(item) and (item / "zarr.json").exists()
        except GlassdaskError:
            array = False
        if not array and not (item / "c").exists():
            found.append(item)
    return found
