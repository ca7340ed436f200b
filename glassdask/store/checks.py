"""Look into a store: what is in it, and whether every chunk is there and unaltered."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import CorruptStoreError, GlassdaskError, StoreError
from glassdask.store import layout
from glassdask.store.arrays import ArrayInfo, array_info, arrays, read_region
from glassdask.store.encoding import decode_names
from glassdask.store.groups import COMPLETE, attributes, children, is_group, read_metadata


def verify(path: str | os.PathLike[str], *, progress: Any = None) -> list[str]:
    """Decode every chunk of a group and of all groups below it; returns one line for each problem, [] if all is well.

    Found are missing chunks, truncated or altered ones (by the crc32c of each), groups that were not finished and
    metadata that cannot be read. A line names the file and the frames or particles that it holds.

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
    if not group.is_dir() or (group / "c").exists():
        raise StoreError(f"{path}: is not a store or a group of one: check the path")
    problems: list[str] = []
    infos = list(_walk(group, problems))
    work = [(info, region) for info in infos for region in info.regions()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, problem in enumerate(pool.map(_check_chunk, *zip(*work)) if work else [], start=1):
            if problem:
                problems.append(problem)
            if progress is not None:
                progress(done, len(work))
    return problems


def intact(group: Path) -> bool:
    """Whether every chunk of the arrays of a group can be read."""
    work = [(info, region) for info in arrays(group) for region in info.regions()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return not any(pool.map(_check_chunk, *zip(*work)) if work else [])


def _walk(group: Path, problems: list[str]) -> Iterator[ArrayInfo]:
    """All arrays in and below a group; what is wrong with the groups and metadata goes to `problems`."""
    try:
        if not is_group(group):
            problems.append(f"{group}: no zarr.json of a group: write it again")
        elif (status := attributes(group).get("status", COMPLETE)) != COMPLETE:
            problems.append(f"{group}: status is '{status}', not '{COMPLETE}': run the command that wrote it again")
    except GlassdaskError as error:
        problems.append(str(error))
    for item in sorted(group.iterdir()):
        if item.name.startswith(".") or not item.is_dir():
            continue
        file = item / "zarr.json"
        try:
            kind = read_metadata(file).get("node_type") if file.exists() else None
            if kind == "array" or (kind is None and (item / "c").exists()):
                yield array_info(group, item.name)
                continue
        except GlassdaskError as error:
            problems.append(str(error))
            continue
        yield from _walk(item, problems)


def _check_chunk(info: ArrayInfo, region: layout.Region) -> str | None:
    file = info.file(region)
    holds = ", ".join(
        f"{dim} {part.start}:{part.stop}"
        for dim, part, size in zip(info.dims, region, info.shape)
        if dim in ("frame", "particle") or (part.start, part.stop) != (0, size)
    )
    remedy = "remove this file and run the command that wrote it again"
    if not file.is_file():
        return f"{file}: missing ({holds}): run the command that wrote it again"
    try:
        read_region(info, region)
    except CorruptStoreError as error:
        reason = "damaged" if file.stat().st_size else "empty"
        return f"{file}: {reason} ({holds}; {str(error).partition('damaged (')[2].rpartition(')')[0]}): {remedy}"
    except StoreError as error:
        return f"{file}: {error}"
    return None


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
            summary["species"] = _counts(by_name["species"])
        if "box" in by_name:
            summary["box"] = _box(by_name["box"])
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


def _counts(info: ArrayInfo) -> dict[str, int]:
    codes = read_region(info, tuple(slice(0, size) for size in info.shape))
    names, _ = decode_names(codes, info.attrs, str(info.path))
    found, counts = np.unique(names, return_counts=True)
    return {str(name): int(count) for name, count in zip(found, counts)}


def _box(info: ArrayInfo) -> dict[str, Any]:
    box = read_region(info, tuple(slice(0, size) for size in info.shape))
    return {"first": box[0].tolist(), "changes": bool((box != box[0]).any()), "last": box[-1].tolist()}


def _derived(group: Path) -> dict[str, Any]:
    attrs = attributes(group)
    stored = sum(entry["bytes_stored"] for entry in map(_array_summary, arrays(group)))
    names = ("status", "parameters", "created", "glassdask_version", "code")
    return {**{name: attrs.get(name) for name in names}, "bytes_stored": stored}
