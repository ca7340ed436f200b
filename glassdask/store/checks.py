"""Look into a store: what is in it, and whether every chunk is there and unaltered."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.files import one_line, unreadable
from glassdask.remote import Address
from glassdask.store import layout, ledger
from glassdask.store.arrays import STAGE, ArrayInfo, array_info, arrays, read_region
from glassdask.store.encoding import decode_names
from glassdask.store.groups import COMPLETE, attributes, children, is_group
from glassdask.store.metadata import REPAIR, is_sealed, read_metadata, read_record
from glassdask.store.origins import out_of_date
from glassdask.store.others import refuse_others

RECORDS = ".sweep"  # where a sweep keeps its records in the store of its states
DESCRIPTION, GATHERED, UNITS = "sweep.json", "records.json", "units"
LOCKS = "locks"  # those of its runs, which come and go
FILES_AT_LEAST = 1000  # more files than this, and than twice those that are there, are not looked for one by one


@one_line
def verify(path: str | os.PathLike[str], *, progress: Any = None) -> list[str]:
    """Compare a group and all groups below it with their ledger; returns one line for each problem, [] if all is well.

    Every chunk is decoded. Found are missing, truncated and altered ones; those that were exchanged or are older than
    what was written last; arrays and groups that are missing, renamed or foreign; metadata that were edited; groups
    that were not finished, or were made from what has changed since. A line names the file and what it holds.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> from glassdask.store import save_trajectory
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays(np.array([[[0.5, 0.5], [1.5, 0.5]]]), species=["A", "B"], box=[2.0, 2.0])
    >>> save_trajectory(t, folder.name + "/run.zarr")
    >>> verify(folder.name + "/run.zarr")
    []
    >>> folder.cleanup()
    """
    group = layout.checked_path(path)
    if isinstance(group, Address):
        raise StoreError(
            f"{path}: only a store on this machine is verified as a whole: copy it; reading checks each chunk"
        )
    if not group.is_dir() or (group / "c").exists():
        raise StoreError(f"{path}: is not a store or a group of one: check the path")
    refuse_others(group, path)
    problems: list[str] = []
    work = list(_walk(group, problems))
    problems = list(dict.fromkeys(problems))  # several groups may find the same wrong with what they are made from
    owner = ledger.owner_of(group)
    if owner != group:
        problems += _lost(owner, group)
    if not work and not problems and not (group / RECORDS).is_dir() and not children(group, "group"):
        problems.append(f"{group}: holds nothing: check the path")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, problem in enumerate(pool.map(check_chunk, *zip(*work)) if work else [], start=1):
            if problem:
                problems.append(problem)
            if progress is not None:
                progress(done, len(work))
    return problems


# an array, a region that is one file, and the checksums that it may have
Chunk = tuple[ArrayInfo, layout.Region, set[str]]


def _walk(group: Path, problems: list[str]) -> Iterator[Chunk]:
    """All chunks in and below a group, with their checksums; what is wrong with metadata goes to `problems`."""
    try:
        yield from _below(group, problems)
    except OSError as error:  # of a folder that may not be looked into, or an error of our own
        problems.append(unreadable(error))


def _below(group: Path, problems: list[str]) -> Iterator[Chunk]:
    states: list[ledger.Entry] = []
    try:
        if not is_group(group):
            problems.append(f"{group}: no zarr.json of a group: {REPAIR}")
        else:
            states = _states(group, problems)
    except GlassdaskError as error:
        problems.append(str(error))
    expected = dict(states[0]["arrays"]) if states else {}
    for item in sorted(group.iterdir()):
        if item.name.startswith(".") or not item.is_dir():
            continue
        file = item / "zarr.json"
        known = expected.pop(item.name, None)
        try:
            kind = read_metadata(file).get("node_type") if file.exists() else None
            if kind == "array" or known or (kind is None and (item / "c").exists()):
                yield from _chunks(group, item.name, states, problems)
                continue
        except (GlassdaskError, OSError) as error:
            problems.append(unreadable(error) if isinstance(error, OSError) else str(error))
            continue
        yield from _walk(item, problems)
    problems += [f"{group / name}: is missing: run the command that wrote it again" for name in expected]
    if (group / ledger.FOLDER).is_dir():
        try:
            if not is_sealed(read_metadata(group / ledger.FOLDER / "zarr.json")):
                raise CorruptStoreError(f"{group / ledger.FOLDER}/zarr.json: has lost its checksum: {REPAIR}")
        except GlassdaskError as error:
            problems.append(str(error))
    records = (Path(folder, name) for folder, _, names in os.walk(group / RECORDS) for name in names)
    for file in sorted(file for file in records if file.suffix == ".json"):  # some go while a sweep runs
        place = file.relative_to(group / RECORDS)
        try:
            if place.parts[0] != LOCKS:
                read_record(file, place.as_posix(), strict=True)
        except GlassdaskError as error:
            problems.append(f"{error.args[0].rpartition(': ')[0]}: run the sweep again")
    problems += _lost_records(group)
    problems += _lost(group, group)


def _lost_records(group: Path) -> Iterator[str]:
    """Records that a sweep should have, as what they are about is there."""
    folder = group / RECORDS
    if not folder.is_dir():
        return
    try:
        described = read_record(folder / DESCRIPTION, DESCRIPTION, strict=True)
        gathered = (read_record(folder / GATHERED, GATHERED, strict=True) or {"states": {}})["states"]
    except GlassdaskError:  # told of like any other record
        return
    if described is None:
        yield f"{folder / DESCRIPTION}: is missing: run the sweep again"
        return
    for state in described["states"]:
        place = Path(os.path.normpath(os.path.join(os.path.realpath(group), state["path"])))
        for stage, unit in state["units"].items():
            record = folder / UNITS / state["label"] / f"{stage}.json"
            there = [name for name in unit["groups"] if (place / name / "zarr.json").is_file()]
            if there and stage not in gathered.get(state["label"], {}) and not record.is_file():
                yield f"{record}: is missing, though {place / there[0]} is there: run the sweep again"


def _lost(owner: Path, group: Path) -> Iterator[str]:
    """What the ledger of `owner` knows in a group, and is not there any more."""
    for name, file in ledger.entries(owner).items():
        place = owner / name
        if not place.is_relative_to(group) or (place.parent.is_dir() and not os.access(place.parent, os.X_OK)):
            continue  # what may not be entered is told of itself
        again = f"run the command that wrote it again, or glassdask repair {shlex.quote(str(owner))}"
        if not place.is_dir():
            yield f"{place}: is missing, though it was complete: {again}"
        elif not _has_status(place):
            yield f"{place}: is no group with data any more, though {file} knows it as one: {again}"


def _has_status(group: Path) -> bool:
    try:
        return "status" in attributes(group)
    except GlassdaskError:
        return True  # what is wrong with its metadata is told of the group itself


def _states(group: Path, problems: list[str]) -> list[ledger.Entry]:
    """What the ledger says of a complete group; also of what an append is just putting in place.

    What is wrong with the group itself goes to `problems`.
    """
    content = read_metadata(group / "zarr.json")
    attrs = content["attributes"]
    if not is_sealed(content):
        remedy = "run the command that wrote it again with overwrite" if "status" in attrs else REPAIR
        problems.append(f"{group}: has no checksums (an older glassdask wrote it, or they were removed): {remedy}")
    if "status" not in attrs:
        if "states" in attrs:
            problems.append(f"{group}: is an entry of a ledger in the place of a group: put back what was here")
        return []
    if attrs["status"] != COMPLETE:
        again = "run the command that wrote it again"
        problems.append(f"{group}: status is '{attrs['status']}', not '{COMPLETE}': {again}")
        return []
    problems += [f"{group}: {reason}" for reason in [out_of_date(group)] if reason]
    if not is_sealed(content):
        return []
    file = ledger.entry_file(group)
    known = ledger.read_entry(file)
    if attrs.get("content") not in known:
        problems.append(f"{file}: has no checksums of what {group} holds: {REPAIR}")
        return []
    wanted = [attrs["content"], *attrs.get("appending", [])[1:]]
    return [known[name] for name in wanted if name in known]


def _chunks(group: Path, name: str, states: list[ledger.Entry], problems: list[str]) -> Iterator[Chunk]:
    """The chunks of an array, after a check of its metadata."""
    info, content = array_info(group, name), read_metadata(group / name / "zarr.json")
    file, there = info.path / "zarr.json", _files_in(info.path / "c")
    if info.n_files > FILES_AT_LEAST + 2 * there:
        raise CorruptStoreError(
            f"{file}: shape {info.shape} in chunks {info.unit} means {info.n_files} files, {there} are there: {REPAIR}"
        )
    known = [state for state in states if name in state["arrays"]]
    if states and not known:
        problems.append(f"{info.path}: is no part of {group}: remove it")
    elif states and content not in [state["arrays"][name] for state in known]:
        raise CorruptStoreError(f"{file}: not what was written last for this array: {REPAIR}")
    yield from chunks_of(info, known)


def chunks_of(info: ArrayInfo, states: list[ledger.Entry]) -> Iterator[Chunk]:
    """The chunks of an array with the checksums that they have in these states of its group."""
    size = 2 * ledger.CRC
    for k, region in enumerate(info.regions()):
        yield info, region, {state["chunks"][info.name][k * size : (k + 1) * size] for state in states}


def _files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def check_chunk(info: ArrayInfo, region: layout.Region, stamps: set[str]) -> str | None:
    """What is wrong with a chunk that should have one of these checksums; None where nothing is."""
    file = info.file(region)
    holds = ", ".join(
        f"{dim} {part.start}:{part.stop}"
        for dim, part, size in zip(info.dims, region, info.shape)
        if dim in ("frame", "particle") or (part.start, part.stop) != (0, size)
    )
    remedy = "remove this file and run the command that wrote it again"
    try:
        if not file.is_file():
            return f"{file}: missing ({holds}): run the command that wrote it again"
        read_region(info, region)
        if stamps and ledger.stamp(file, info.inner) not in stamps:
            return f"{file}: not the chunk that was written last in this place ({holds}): {remedy}"
    except CorruptStoreError as error:
        reason = "damaged" if file.stat().st_size else "empty"
        return f"{file}: {reason} ({holds}; {str(error).partition('damaged (')[2].rpartition(')')[0]}): {remedy}"
    except OSError as error:
        return unreadable(error)
    return None


@one_line
def append_of(group: Path) -> dict[str, Any] | None:
    """How many frames of which files are being added to a trajectory, or were when that was interrupted."""
    stage = group / STAGE
    if not is_group(stage):
        return None
    old, new = attributes(stage).get("appended", (0, 0))
    return {"frames": new - old, "files": attributes(stage).get("pending", {}).get("files", [])}


def info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a store holds: sizes, layout and bytes of its arrays, species, box, provenance, and what was derived.

    Also works on an incomplete store, whose ``status`` says so.
    """
    group = layout.checked_path(path)
    attrs = attributes(group)
    summary: dict[str, Any] = {"path": str(group), "status": attrs.get("status", "group")}
    names = ("schema_version", "glassdask_version", "code", "created", "versions", "sources", "parameters")
    summary |= {name: attrs[name] for name in names if name in attrs}
    infos = arrays(group)
    summary["sizes"] = {dim: size for info in infos for dim, size in zip(info.dims, info.shape)}
    summary["arrays"] = {info.name: _array_summary(info) for info in infos}
    stored = sum(entry["bytes_stored"] for entry in summary["arrays"].values())
    summary["bytes"] = sum(entry["bytes"] for entry in summary["arrays"].values())
    summary["bytes_stored"] = stored
    summary["compression"] = summary["bytes"] / stored if stored else math.nan
    if summary["status"] == COMPLETE:
        by_name = {info.name: info for info in infos}
        if "species" in by_name:
            summary["species"] = _counts(by_name["species"], by_name.get("present"))
        if "box" in by_name:
            summary["box"] = _box(by_name["box"])
    if (append := append_of(group)) is not None:
        summary["append"] = append
    for kind in ("descriptors", "reductions"):
        if is_group(group / kind):
            summary[kind] = {child.name: _derived(child) for child in children(group / kind, "group")}
    others = [child.name for child in children(group, "group") if child.name not in ("descriptors", "reductions")]
    if others:
        summary["groups"] = others
    return summary


def _array_summary(info: ArrayInfo) -> dict[str, Any]:
    files = [file for region in info.regions() if (file := info.file(region)).is_file()]
    return {
        "dims": info.dims,
        "shape": info.shape,
        "dtype": str(info.dtype),
        "chunks": info.chunks,
        "shards": info.unit if info.unit != info.chunks else None,
        "files": len(files),
        "files_expected": sum(1 for _ in info.regions()),
        "bytes": layout.n_bytes(info.shape, info.dtype),
        "bytes_stored": sum(file.stat().st_size for file in files),
    }


def _counts(info: ArrayInfo, present: ArrayInfo | None) -> dict[str, int]:
    """Particles of each species; where species are of each frame, those of all frames that are there."""
    codes = read_region(info, tuple(slice(0, size) for size in info.shape))
    if codes.ndim == 2 and present is not None:
        codes = codes[read_region(present, tuple(slice(0, size) for size in present.shape))]
    found, counts = np.unique(codes, return_counts=True)
    names, _ = decode_names(found, info.attrs, str(info.path))
    return {str(name): int(count) for name, count in zip(names, counts)}


def _box(info: ArrayInfo) -> dict[str, Any]:
    box = read_region(info, tuple(slice(0, size) for size in info.shape))
    return {"first": box[0].tolist(), "changes": bool((box != box[0]).any()), "last": box[-1].tolist()}


def _derived(group: Path) -> dict[str, Any]:
    attrs = attributes(group)
    stored = sum(entry["bytes_stored"] for entry in map(_array_summary, arrays(group)))
    names = ("status", "parameters", "created", "glassdask_version", "code")
    found = {name: attrs.get(name) for name in names}
    return {**found, "out_of_date": out_of_date(group), "bytes_stored": stored}
