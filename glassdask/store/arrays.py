"""Arrays of a store: create, write whole chunks, know which are there, finish a group."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glassdask.declarations import Count, converted, flags
from glassdask.errors import CorruptStoreError, IncompleteStoreError, StoreError, StoreVersionError
from glassdask.files import retried, sync, whole, writing
from glassdask.remote import Address
from glassdask.store import layout
from glassdask.store.chunks import BYTES, CRC, codecs_of, compressor_of, decoded, encoded
from glassdask.store.groups import (
    COMPLETE,
    attributes,
    children,
    clear_leftovers,
    plain,
    with_attributes,
)
from glassdask.store.layout import Region
from glassdask.store.ledger import entry_file, stamp, state_of, write_entry
from glassdask.store.metadata import KEPT, REPAIR, SEAL, create_metadata, is_sealed, read_metadata, write_metadata

STAGE = ".append"  # the hidden group of frames that are being added
UNIT = tuple[Count, ...]


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
    compressor: Mapping[str, Any] | None  # None: not ours, left to Zarr

    @property
    def inner(self) -> int:
        """Chunks in one file that is a shard; 0 of a file that is a chunk."""
        return (
            math.prod(whole // part for whole, part in zip(self.unit, self.chunks)) if self.unit != self.chunks else 0
        )

    @property
    def name(self) -> str:
        """Name of the array in its group."""
        return self.path.name

    @property
    def n_files(self) -> int:
        """How many files it should have."""
        return math.prod(-(-size // step) for size, step in zip(self.shape, self.unit))

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
    decimal: bool = False,
) -> ArrayInfo:
    """Create an empty array in a group: compressed, a crc32c at the end of every chunk, each a file (or in a shard).

    Floats are compressed for speed; float64 with `decimal`, which says that they may come from text, for size. An array
    of the same layout that exists already is kept as it is; any other raises `StoreError`.
    """
    flags(decimal=decimal)
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
        content = _new_metadata(shape, chunks, shards, kind, dims, plain(attrs or {}), codecs_of(kind, decimal))
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        create_metadata(path / "zarr.json", content)  # another process may create the same array at the same time
    found = array_info(group, name)
    expected = (tuple(shape), tuple(dims), kind, unit)
    if (found.shape, found.dims, found.dtype, found.unit) != expected:
        raise StoreError(
            f"{path}: exists with shape {found.shape}, chunks {found.unit}, {found.dtype}, expected {tuple(shape)}, "
            f"{unit}, {kind}: replace it with `overwrite=True`, or choose another name"
        )
    return found


def _new_metadata(
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    dtype: np.dtype,
    dims: tuple[str, ...],
    attrs: dict[str, Any],
    codecs: list[dict[str, Any]],
) -> dict[str, Any]:
    """The metadata that Zarr gives an array."""
    if shards is not None:
        inner = {"chunk_shape": list(chunks), "codecs": codecs, "index_codecs": [BYTES, CRC], "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": inner}]
    return {
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shards or chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": {"f": "NaN", "b": False}.get(dtype.kind, 0),
        "codecs": codecs,
        "attributes": attrs,
        **({"dimension_names": list(dims)} if dims else {}),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def array_info(group_path: str | os.PathLike[str], name: str) -> ArrayInfo:
    """What the metadata of an array say."""
    path = layout.checked_path(group_path) / layout.checked_name(name)
    content = read_metadata(path / "zarr.json")
    try:
        shape = tuple(content["shape"])
        unit = converted(content["chunk_grid"]["configuration"]["chunk_shape"], UNIT, "chunk_shape")
        codec = content["codecs"][0]
        sharded = codec["name"] == "sharding_indexed"
        chunks = converted(codec["configuration"]["chunk_shape"], UNIT, "chunk_shape") if sharded else unit
        dims = tuple(content.get("dimension_names") or [f"dim_{i}" for i in range(len(shape))])
        dtype = np.dtype(content["data_type"])
        if not len(shape) == len(unit) == len(chunks) == len(dims):
            raise ValueError(f"shape {shape}, chunks {unit} and dimensions {dims} disagree")
        if layout.n_bytes(unit, dtype) > layout.LARGEST_CHUNK:
            raise ValueError(f"a chunk {unit} exceeds 2 GiB")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptStoreError(f"{path}/zarr.json: not the metadata of an array ({error}): {REPAIR}") from None
    group = read_metadata(path.parent / "zarr.json")
    if is_sealed(group) != is_sealed(content):
        raise CorruptStoreError(f"{path}/zarr.json: it or its group has lost its checksum: {REPAIR}")
    begun = group["attributes"].get("appending")
    if begun is not None and dims[:1] == ("frame",):  # more of them may have taken their place, but do not count yet
        shape = (begun[0], *shape[1:])
    attrs = {key: value for key, value in content["attributes"].items() if key != SEAL}
    compressor = compressor_of(content["codecs"]) if not isinstance(path, Address) else None
    return ArrayInfo(path, shape, dims, dtype, unit, chunks, attrs, compressor)


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

    The region must begin and end on borders of chunks (shards, where there are any) or at the end of the array. In the
    stage of an append it may also begin at the first new frame: the frames before it in the same chunk are those of
    the group. Each chunk is put in place at once, by renaming, so that a killed process leaves no half chunk.

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
        start = borders[0].start - borders[0].start % info.unit[0]
        before = array_info(info.path.parents[1], name)
        tail = read_region(before, (slice(start, borders[0].start), *borders[1:]))
        values = np.concatenate([tail, values])
        borders = (slice(start, borders[0].stop), *borders[1:])
    put = partial(_put, info, borders, values.astype(info.dtype, copy=False))
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
        found = file.stat()
        return found.st_size > 0 and stat.S_ISREG(found.st_mode)
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


def _put(info: ArrayInfo, region: Region, values: np.ndarray) -> None:
    """Write a region of whole files, each put in its place at once."""
    if info.compressor is None:
        _opened(info.path, "r+")[region] = values
        return
    fill = math.nan if info.dtype.kind == "f" else 0
    for key in layout.chunk_keys(region, info.unit):
        file, (_, there) = info.path / key, _shared(info, region, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole(file, os.replace, sync=False) as stream:  # `finish` sends all to the disk
            stream.write(encoded(values[there], info.compressor, info.unit, fill))


def _shared(info: ArrayInfo, region: Region, key: str) -> tuple[Region, Region]:
    """What a chunk and a region have in common, as the chunk counts and as the region counts."""
    chunk = layout.key_region(key, info.shape, info.unit)
    common = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region, chunk)]
    return (
        tuple(slice(low - part.start, high - part.start) for (low, high), part in zip(common, chunk)),
        tuple(slice(low - part.start, high - part.start) for (low, high), part in zip(common, region)),
    )


_arrays: dict[tuple[str, str], tuple[dict[str, Any], Any]] = {}


def _opened(path: Path, mode: Literal["r", "r+"]) -> Any:
    """The array for Zarr, opened again only when its metadata have changed: that takes longer than a small chunk."""
    import zarr

    content = read_metadata(path / "zarr.json")
    known = _arrays.get((str(path), mode))
    if known is not None and known[0] is content:
        return known[1]
    store = zarr.storage.FsspecStore.from_url(path.url, read_only=True) if isinstance(path, Address) else path
    array = zarr.open_array(store, mode=mode, zarr_format=3).with_config({"write_empty_chunks": True})
    if len(_arrays) >= KEPT:
        _arrays.clear()
    _arrays[str(path), mode] = (content, array)
    return array


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
    with writing(group):
        chunks = {info.name: stamps(info, to_disk=True) for info in infos}
    content = with_attributes(read_metadata(group / "zarr.json"), **attrs, status=COMPLETE)
    state = state_of(content, {info.name: read_metadata(info.path / "zarr.json") for info in infos}, chunks)
    file = entry_file(group)
    write_entry(file, [state])
    write_metadata(group / "zarr.json", state["group"])
    clear_leftovers(group, [info.path for info in infos])


def check_state(group: Path, content: str) -> None:
    """Raise `StoreError` unless a group has this `content_hash`, or had it before frames were added."""
    try:
        attrs = attributes(group)
    except StoreVersionError:
        raise
    except StoreError:  # taken away, to be written anew
        attrs = {}
    if content != attrs.get("content") and content not in [earlier for _, earlier in attrs.get("commits", ())]:
        raise StoreError(f"{group}: was overwritten after it was opened: open it again")


def stamps(info: ArrayInfo, to_disk: bool = False) -> str:
    """The checksums of all chunks of an array, joined; with `to_disk` they are there then, with their names."""
    return stamp_files((info.file(region) for region in info.regions()), info.inner, to_disk)


def stamp_files(files: Iterable[Path], inner: int, to_disk: bool) -> str:
    """The same of some files, chunks or shards of `inner` chunks."""
    joined, folders = [], set()
    for file in files:
        joined.append(stamp(file, inner, to_disk=to_disk))
        folders.add(file.parent)
    if to_disk:
        sync_folders(folders)
    return "".join(joined)


def sync_folders(folders: Iterable[Path]) -> None:
    """Return when the names in these folders are on the disk, where the file system can tell."""
    for folder in folders:
        with suppress(OSError):
            sync(folder)


def _append_begin(info: ArrayInfo) -> int | None:
    """The first new frame of an array of a stage; see `glassdask.store.appending`."""
    if info.dims[:1] != ("frame",) or info.path.parent.name != STAGE:
        return None
    return int(attributes(info.path.parent)["appended"][0])


def _refuse_link(array: Path, key: str) -> None:
    """`StoreError` where a chunk, or a folder of chunks, is a symbolic link."""
    if isinstance(array, Address):
        return
    place = str(array)
    for part in key.split("/"):
        place += f"/{part}"
        if os.path.islink(place):
            raise StoreError(f"{place}: is a symbolic link, through which nothing is read: put what it names there")


def read_region(info: ArrayInfo, region: Region) -> np.ndarray:
    """A region of an array; `CorruptStoreError` that names the chunk where one is missing or altered."""
    keys = list(layout.chunk_keys(region, info.unit))
    try:
        for key in keys:
            _refuse_link(info.path, key)
            if not (info.path / key).is_file():
                raise CorruptStoreError(f"{info.path}/{key}: chunk is missing: write it again, or see glassdask verify")
        if info.compressor is None:
            return np.asarray(_opened(info.path, "r")[region if region else ()])
        return _decoded(info, region, keys, info.compressor)
    except (StoreError, MemoryError, ImportError):  # an incomplete installation is no damage
        raise
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else info.path
        raise StoreError(f"{where}: cannot be read ({error.strerror or error}): see to the file system") from None
    except Exception as error:  # the codecs raise ValueError, RuntimeError and others
        if len(keys) > 1:  # which one it was, they tell one by one
            for key in keys:
                read_region(info, layout.key_region(key, info.shape, info.unit))
        raise CorruptStoreError(f"{info.path}/{keys[0]}: chunk is damaged ({error}): see glassdask verify") from None


def _decoded(info: ArrayInfo, region: Region, keys: list[str], compressor: Mapping[str, Any]) -> np.ndarray:
    """A region of chunks that are decoded one by one."""
    shape = tuple(part.stop - part.start for part in region)
    if len(keys) == 1 and shape == info.unit:
        values = decoded(info.path / keys[0], compressor, info.unit, info.dtype)
        return values if values.flags.writeable else values.copy()
    result = np.empty(shape, info.dtype)
    for key in keys:
        there, here = _shared(info, region, key)
        result[here] = decoded(info.path / key, compressor, info.unit, info.dtype)[there]
    return result
