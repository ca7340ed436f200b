"""Arrays of a store: create, write whole chunks, know which are there, finish a group, append frames to it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ContainsArrayError

from glassdask.errors import CorruptStoreError, IncompleteStoreError, StoreError
from glassdask.files import replacing, retried, writing
from glassdask.store import layout
from glassdask.store.groups import (
    COMPLETE,
    WRITING,
    attributes,
    children,
    clear_leftovers,
    plain,
    read_metadata,
    set_attributes,
)
from glassdask.store.layout import Region


@dataclass(frozen=True)
class ArrayInfo:
    """What the metadata of one array say. `unit` is what one file holds: the shard, or else the chunk."""

    path: Path
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    dtype: np.dtype
    unit: tuple[int, ...]
    chunks: tuple[int, ...]
    attrs: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the array in its group."""
        return self.path.name

    def regions(self) -> Iterator[Region]:
        """Every region that is one file."""
        return layout.all_regions(self.shape, self.unit)

    def file(self, region: Region) -> Path:
        """The file of a region that is one file."""
        return self.path / next(layout.chunk_keys(region, self.unit))


def create_array(
    group_path: str | os.PathLike[str],
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: Any,
    dims: tuple[str, ...],
    attrs: dict[str, Any] | None = None,
    shards: tuple[int, ...] | None = None,
) -> ArrayInfo:
    """Create an empty array in a group: zstd and crc32c over every chunk, each chunk a file of its own (or a shard).

    An array of the same layout that exists already is kept as it is; any other raises `StoreError`.
    """
    group = layout.checked_path(group_path)
    if "/" in layout.checked_name(name):
        raise StoreError(f"{group}: {name!r} cannot name an array: leave out the '/'")
    path = group / name
    kind = np.dtype(dtype).newbyteorder("=")
    unit = tuple(shards or chunks)
    if kind.kind not in "biuf" or kind.itemsize > 8:
        raise StoreError(f"{path}: dtype {kind} cannot be stored: convert it to numbers or bool")
    if layout.n_bytes(unit, kind) > layout.LARGEST_CHUNK:
        raise StoreError(f"{path}: a chunk {unit} of {kind} exceeds 2 GiB: use smaller blocks of frames or particles")
    had_chunks = (path / "c").exists()  # looked at before the metadata, which another process writes first
    if not (path / "zarr.json").exists():
        if had_chunks:
            raise CorruptStoreError(f"{path}: chunks without zarr.json: overwrite the group")
        # another process may create the same array at the same time
        with writing(path), suppress(ContainsArrayError):
            zarr.create_array(
                group,
                name=name,
                shape=shape,
                chunks=chunks,
                shards=shards,
                dtype=kind,
                compressors=[ZstdCodec(), Crc32cCodec()],
                fill_value=math.nan if kind.kind == "f" else (False if kind.kind == "b" else 0),
                dimension_names=list(dims),
                attributes=plain(attrs or {}),
            )
    found = array_info(group, name)
    expected = (tuple(shape), tuple(dims), kind, unit)
    if (found.shape, found.dims, found.dtype, found.unit) != expected:
        raise StoreError(
            f"{path}: exists with shape {found.shape}, chunks {found.unit}, {found.dtype}, expected {tuple(shape)}, "
            f"{unit}, {kind}: overwrite it or choose another name"
        )
    return found


def array_info(group_path: str | os.PathLike[str], name: str) -> ArrayInfo:
    """What the metadata of an array say."""
    path = layout.checked_path(group_path) / layout.checked_name(name)
    content = read_metadata(path / "zarr.json")
    try:
        shape = tuple(int(size) for size in content["shape"])
        unit = tuple(int(size) for size in content["chunk_grid"]["configuration"]["chunk_shape"])
        codec = content["codecs"][0]
        sharded = codec["name"] == "sharding_indexed"
        chunks = tuple(int(size) for size in codec["configuration"]["chunk_shape"]) if sharded else unit
        dims = tuple(content.get("dimension_names") or [f"dim_{i}" for i in range(len(shape))])
        dtype = np.dtype(content["data_type"])
        if not len(shape) == len(unit) == len(dims) or min(unit, default=1) < 1:
            raise ValueError(f"shape {shape}, chunks {unit} and dimensions {dims} disagree")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptStoreError(f"{path}/zarr.json: not the metadata of an array ({error}): write it again") from None
    return ArrayInfo(path, shape, dims, dtype, unit, chunks, content.get("attributes", {}))


def arrays(group_path: str | os.PathLike[str]) -> list[ArrayInfo]:
    """All arrays of a group, by name."""
    return [array_info(group_path, node.name) for node in children(group_path, "array")]


def write_region(
    group_path: str | os.PathLike[str],
    name: str,
    region: tuple[slice, ...],
    data: np.ndarray,
    *,
    key: str | None = None,
    needed: int | None = None,
) -> tuple[str, int]:
    """Write whole chunks of an array; returns its name and the bytes given. To write the same again is harmless.

    The region must begin and end on borders of chunks (shards, where there are any) or at the end of the array. While
    frames are being appended it may also begin at the first new frame: the frames before it in the same chunk are
    kept. Each chunk is put in place at once, by renaming, so that a killed process leaves no half chunk.

    Where a `key` is given it must be that of the group: a task that outlives its client writes nothing into a group
    that another command has made in its place. `needed`, the bytes that are still to be written, is for the error of
    a full disk.

    Raises
    ------
    StoreError
        Where the region is not aligned, data have another shape or type, the group has another key, or the file system
        refuses.
    """
    _check_key(group_path, key)
    info = array_info(group_path, name)
    begin = _append_begin(info)
    borders = layout.checked_region(region, info.shape, info.unit, str(info.path), begin)
    values = np.asarray(data)
    expected = tuple(part.stop - part.start for part in borders)
    if values.shape != expected or not np.can_cast(values.dtype, info.dtype, "same_kind"):
        raise StoreError(
            f"{info.path}: data of shape {values.shape}, {values.dtype} do not fit region of shape {expected}, "
            f"{info.dtype}: cut or convert them"
        )
    if borders and borders[0].start % info.unit[0]:
        tail = _read_tail(info, borders[0].start)
        values = np.concatenate([tail[(slice(None), *borders[1:])], values])
        borders = (slice(borders[0].start - len(tail), borders[0].stop), *borders[1:])
    put = partial(_put, info.path, borders, values.astype(info.dtype, copy=False))
    retried(info.path, put, needed or values.nbytes)
    _send_to_disk(info.path / chunk for chunk in layout.chunk_keys(borders, info.unit))
    try:
        _check_key(group_path, key)
    except StoreError:  # overwritten meanwhile: this may have gone into the new group
        for chunk in layout.chunk_keys(borders, info.unit):
            (info.path / chunk).unlink(missing_ok=True)
        raise
    return name, int(values.nbytes)


def _send_to_disk(files: Iterable[Path]) -> None:
    """Begin to write files from memory to disk, without waiting, so that `finish` need not wait for gigabytes."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        with suppress(OSError), open(file, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _check_key(group_path: str | os.PathLike[str], key: str | None) -> None:
    if key is not None and attributes(group_path).get("key") != key:
        raise StoreError(f"{group_path}: was overwritten by another command while this one was writing it: see to that")


def is_stored(file: Path) -> bool:
    """Whether a chunk is there; an empty file, which a machine that lost power may leave, is not."""
    try:
        return file.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def chunk_exists(group_path: str | os.PathLike[str], name: str, region: tuple[slice, ...]) -> bool:
    """Whether every chunk of the region has been stored (the file is there; `verify` looks into it)."""
    info = array_info(group_path, name)
    borders = layout.checked_region(region, info.shape, info.unit, str(info.path), _append_begin(info))
    return all(is_stored(info.path / key) for key in layout.chunk_keys(borders, info.unit))


def missing_chunks(info: ArrayInfo) -> list[str]:
    """Keys of the chunks that an array should have and has not."""
    keys = (next(layout.chunk_keys(region, info.unit)) for region in info.regions())
    return [key for key in keys if not is_stored(info.path / key)]


def _put(path: Path, region: Region, values: np.ndarray) -> None:
    array = zarr.open_array(path, mode="r+").with_config({"write_empty_chunks": True})
    array[region] = values


def finish(group_path: str | os.PathLike[str], **attrs: Any) -> None:
    """Check that every chunk of every array is there, and only then set the status "complete" (with `attrs`).

    Status, content hash and `attrs` appear in one step. Left-overs of killed writers are removed afterwards.

    Raises
    ------
    IncompleteStoreError
        Naming the arrays and the first missing chunks.
    """
    group = layout.checked_path(group_path)
    infos = arrays(group)
    missing = [f"{info.name}/{key}" for info in infos for key in missing_chunks(info)]
    if missing:
        listed = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise IncompleteStoreError(
            f"{group}: {len(missing)} chunks are not written yet ({listed}): run the same command again to continue"
        )
    frames = {info.shape[0] for info in infos if info.dims[:1] == ("frame",)}
    if len(frames) > 1:
        raise IncompleteStoreError(f"{group}: arrays have {sorted(frames)} frames: run the same command again")
    digest = _content(group, infos, attrs.get("sources", attributes(group).get("sources", [])))
    set_attributes(group, **attrs, appending=None, content=digest, status=COMPLETE)
    clear_leftovers(group, [info.path for info in infos])


def content_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of what a complete group holds: its sources, shapes, types and the checksums of its chunks.

    A plain group (the top of a tree) has the hash of nothing. It was found by `finish`; reading it is free.
    """
    attrs = attributes(path)
    if attrs.get("status", COMPLETE) != COMPLETE:
        raise IncompleteStoreError(f"{path}: not written completely: run the same command again to continue")
    return str(attrs.get("content", hashlib.sha256().hexdigest()))


def _content(group: Path, infos: list[ArrayInfo], sources: list[dict[str, Any]]) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps([source.get("sha256") for source in sources]).encode())
    for info in infos:
        digest.update(f"{info.name} {info.shape} {info.dtype} {info.unit}".encode())
        for region in info.regions():
            with open(info.file(region), "rb") as file:  # every chunk ends with its crc32c
                os.fsync(file.fileno())  # what is called complete survives a loss of power
                file.seek(-min(4, file.seek(0, os.SEEK_END)), os.SEEK_END)
                digest.update(file.read())
    return digest.hexdigest()


def resize_frames(group_path: str | os.PathLike[str], n_frames: int, **attrs: Any) -> None:
    """Make room for more frames at the end of every array whose first dimension is frame.

    After it, write the regions from the old number of frames on (`layout.frame_blocks(old, new, chunk)`), then
    `finish`. Order of operations, each of which is done at once, so that an append that is interrupted anywhere never
    reads as complete and loses nothing:

    1. status "writing", with the old and new number of frames and `attrs` (an attribute `key` that is not among them is
       removed: it was that of the content before);
    2. for each array: the frames of a last chunk that is not full are put aside in a file of the group, the chunk is
       removed (so that it counts as missing until `write_region` has put old and new frames together), the array
       is resized;
    3. `finish` sets the status "complete" and removes what was put aside.

    Calling it again with the same number goes on where it stopped.

    Raises
    ------
    StoreError
        Where there are more frames already, or another append was begun and not finished.
    """
    group = layout.checked_path(group_path)
    found = attributes(group)
    infos = [info for info in arrays(group) if info.dims[:1] == ("frame",)]
    begun = found.get("appending")
    if begun is None:
        if found.get("status") != COMPLETE:
            raise IncompleteStoreError(f"{group}: not written completely: first run the command that wrote it again")
        begun = {"from": infos[0].shape[0] if infos else 0, "to": n_frames}
    if begun["to"] != n_frames or n_frames < begun["from"]:
        raise StoreError(
            f"{group}: {n_frames} frames asked for, it has {begun['from']} and an append to {begun['to']} was begun: "
            "run the command that began it again"
        )
    set_attributes(group, **{"key": None, **attrs, "status": WRITING, "appending": begun})
    for info in infos:
        if info.shape[0] == n_frames:
            continue
        start = info.shape[0] - info.shape[0] % info.unit[0]
        if start < info.shape[0]:
            _put_tail_aside(info, start)
        with writing(info.path):
            zarr.open_array(info.path, mode="r+").resize((n_frames, *info.shape[1:]))


def _append_begin(info: ArrayInfo) -> int | None:
    """The first appended frame of an array, while frames are being appended."""
    if info.dims[:1] != ("frame",):
        return None
    begun = attributes(info.path.parent).get("appending")
    return None if begun is None else int(begun["from"])


def _tail_file(info: ArrayInfo, stop: int) -> Path:
    return info.path.parent / f".tail-{info.name}-{stop}.npy"


def _put_tail_aside(info: ArrayInfo, start: int) -> None:
    region = (slice(start, info.shape[0]), *[slice(0, size) for size in info.shape[1:]])
    keys = list(layout.chunk_keys(region, info.unit))
    file = _tail_file(info, info.shape[0])
    with writing(file):
        if not file.exists():
            values = read_region(info, region)
            with replacing(file) as stream:
                np.save(stream, values)
        for key in keys:
            (info.path / key).unlink(missing_ok=True)


def _read_tail(info: ArrayInfo, stop: int) -> np.ndarray:
    file = _tail_file(info, stop)
    if not file.exists():
        raise CorruptStoreError(f"{file}: the last frames before the append are gone: ingest all sources again")
    tail: np.ndarray = np.load(file, allow_pickle=False)
    return tail


def read_region(info: ArrayInfo, region: Region) -> np.ndarray:
    """A region of an array; `CorruptStoreError` that names the chunk where one is missing or altered."""
    keys = list(layout.chunk_keys(region, info.unit))
    try:
        for key in keys:
            if not (info.path / key).is_file():
                raise CorruptStoreError(f"{info.path}/{key}: chunk is missing: write it again, or see glassdask verify")
        return np.asarray(zarr.open_array(info.path, mode="r")[region if region else ()])
    except (CorruptStoreError, MemoryError):
        raise
    except OSError as error:
        raise StoreError(f"{info.path}: cannot be read ({error.strerror or error}): see to the file system") from None
    except Exception as error:  # the codecs raise ValueError, RuntimeError and others
        if len(keys) > 1:  # which one it was, they tell one by one
            for key in keys:
                read_region(info, layout.key_region(key, info.shape, info.unit))
        raise CorruptStoreError(f"{info.path}/{keys[0]}: chunk is damaged ({error}): see glassdask verify") from None
