"""Arrays of a store that are read where they are needed, and know from where: for dask, for xarray, for tasks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks
from xarray.backends import BackendArray
from xarray.core import indexing

from glassdask.errors import StoreError
from glassdask.graphs import task_bytes
from glassdask.store import layout
from glassdask.store.arrays import ArrayInfo, check_state, read_region

# what xarray lays around the arrays that it opens
ADAPTERS = (indexing.MemoryCachedArray, indexing.CopyOnWriteArray, indexing.ImplicitToExplicitIndexingAdapter)


@dataclass(frozen=True)
class Source:
    """Where an array is read from: some of the frames of an array of a store.

    Attributes
    ----------
    info : ArrayInfo
        Path, shape and type of the array in the store; its group is ``info.path.parent``, its name ``info.name``.
    token : str
        The hash of the content of its group when it was opened; what an overwritten group holds is never read.
    frames : range or tuple of int
        Which frames (or whatever the first dimension is), in this order.
    widest : int
        Bytes of one file of the variable of its group that takes most: all are cut into dask chunks of as many frames,
        as xarray wants them.
    """

    info: ArrayInfo
    token: str
    frames: range | tuple[int, ...]
    widest: int = field(default=0, compare=False)

    @classmethod
    def whole(cls, info: ArrayInfo, token: str, widest: int = 0) -> Source:
        """All of an array."""
        return cls(info, token, range(info.shape[0]) if info.shape else range(1), widest)

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole array as it is stored."""
        return self == Source.whole(self.info, self.token)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the selection."""
        return (len(self.frames), *self.info.shape[1:]) if self.info.shape else ()

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.info.shape)

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""
        return self.info.dtype

    def __dask_tokenize__(self) -> tuple[str, str, tuple[int, ...]]:
        frames = self.frames
        return str(self.info.path), self.token, frames if isinstance(frames, tuple) else (*_ends(frames), frames.step)

    def take(self, numbers: np.ndarray) -> Source:
        """The same of these frames of it, in any order."""
        return replace(self, frames=tuple(_numbers(self.frames)[numbers].tolist()))

    def select(self, index: Any) -> Source | None:
        """The same of some frames; None where the index is not of whole frames at equal distances, in this order."""
        parts = index if isinstance(index, tuple) else (index,)
        others = zip(parts[1:], self.shape[1:])
        if not 0 < len(parts) <= self.ndim or not all(_is_all(part, size) for part, size in others):
            return None
        first = _as_slice(parts[0], self.shape[0])
        frames = range(0) if first is None else self.frames[first]
        return replace(self, frames=frames) if len(frames) else None

    def __getitem__(self, key: Any) -> np.ndarray:
        """The numbers, read from the files; `key` as for NumPy."""
        parts = key if isinstance(key, tuple) else (key,)
        parts = (*parts, *[slice(None)] * (self.ndim - len(parts)))
        if not parts:
            return self._read_region(())
        frames, region, rest = self.frames, [], []
        for axis, (part, size) in enumerate(zip(parts, self.shape)):
            # what is no slice is cut out of all that was read
            plain = _as_slice(part, size) if isinstance(part, slice) or np.ndim(part) == 1 else None
            plain = plain if axis == 0 or (plain is not None and plain.step == 1) else None
            rest.append(part if plain is None else slice(None))
            if axis == 0:
                frames = frames if plain is None else frames[plain]
            else:
                region.append(slice(0, size) if plain is None else plain)
        return self._read(frames, region)[tuple(rest)]

    def _read(self, frames: range | tuple[int, ...], region: Sequence[slice]) -> np.ndarray:
        if len(frames) == 0:
            return np.empty((0, *[part.stop - part.start for part in region]), self.dtype)
        if isinstance(frames, range) and frames.step == 1:
            return self._read_region((slice(*_ends(frames)), *region))
        # only the files that have one of the frames, each once where they are in order
        parts = []
        for part in _by_block(frames, self.info.unit[0]):
            first, stop = _ends(part)
            own = slice(None, None, part.step) if isinstance(part, range) else _numbers(part) - first
            parts.append(self._read_region((slice(first, stop), *region))[own])
        return np.concatenate(parts)

    def _read_region(self, region: layout.Region) -> np.ndarray:
        """A region, after a look whether the group is still the one that was opened, perhaps with more frames."""
        values, problem = None, None
        try:
            values = read_region(self.info, region)
        except StoreError as error:
            problem = error
        check_state(self.info.path.parent, self.token)
        if values is None:
            raise problem or StoreError(str(self.info.path))
        return values


class _OneKind(type):
    """Classes that are equal to dask's array: xarray refuses arrays of unequal classes in one call of `apply_ufunc`."""

    def __eq__(cls, other: object) -> bool:
        return other is da.Array or cls is other

    def __hash__(cls) -> int:
        return hash(da.Array)


class StoredArray(da.Array, metaclass=_OneKind):
    """A dask array that was opened: some frames of it are again read from the store, by the tasks that need them.

    Of everything else that is done with it dask makes arrays of its own.
    """

    source: Source

    @classmethod
    def of(cls, source: Source, chunks: Any = None) -> StoredArray:
        """In chunks of as many whole files as one task reads, unless others are given."""
        if chunks is None:
            chunks = file_chunks(source)
        # fancy=False: an index list is applied after the whole chunk was read, as the source would do anyway
        meta = np.empty((0,) * source.ndim, source.dtype)
        read = da.from_array(source, chunks=chunks, asarray=True, fancy=False, inline_array=True, meta=meta)
        array: StoredArray = cls(read.dask, read.name, read.chunks, meta=meta)
        array.source = source
        return array

    def __getitem__(self, index: Any) -> Any:
        selected = self.source.select(index)
        if selected is None:
            return super().__getitem__(index)  # type: ignore[no-untyped-call]
        return self if selected == self.source else StoredArray.of(selected)

    def copy(self) -> StoredArray:
        """The array itself: it cannot be changed."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredArray.of, (self.source, self.chunks)


class IndexedArray(BackendArray):
    """The same for xarray, which keeps the indices until the numbers are asked for."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shape, self.dtype = source.shape, source.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        basic = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, basic, self.source.__getitem__)


def stored_source(values: xr.DataArray | xr.Variable) -> Source | None:
    """Where a variable is read from, of which nothing but frames was selected since it was opened; None otherwise.

    Whether it was opened by us or by ``xarray.open_dataset``, and whatever it is called by now. What was loaded,
    computed, persisted or chunked anew has no source, nor have frames of what xarray has opened with ``chunks``.
    ``source.frames`` are the frames, ``source.is_whole`` tells whether it is the untouched array, ``source[3:5]`` reads
    the fourth and the fifth of the frames.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays(np.zeros((9, 1, 2)), species=["A"], box=[2.0, 2.0])
    >>> gd.save_trajectory(t, folder.name + "/run.zarr")
    >>> opened = gd.open_trajectory(folder.name + "/run.zarr")["position"]
    >>> stored_source(opened).is_whole, stored_source(opened[2::3]).frames, stored_source(opened + 1)
    (True, range(2, 9, 3), None)
    >>> folder.cleanup()
    """
    data: Any = (values.variable if isinstance(values, xr.DataArray) else values)._data
    if isinstance(data, StoredArray):
        return data.source
    if isinstance(data, da.Array):  # as xarray makes it of what it has opened
        original = f"original-{data.name}"
        data = dict(getattr(data.dask, "layers", {}).get(original, {})).get(original)
        data = getattr(data, "value", data)
    while isinstance(data, ADAPTERS):
        data = data.array
    if isinstance(data, indexing.LazilyIndexedArray) and isinstance(data.array, IndexedArray):
        return data.array.source.select(data.key.tuple)
    return None


def in_frames(values: xr.DataArray, frames: int) -> da.Array:
    """An array (frame, ...) in dask chunks of this many whole frames.

    What is just as it was opened, or some frames of it, is read by the tasks that need it: none waits for another one
    that reads, and nothing that was read is cut, sent about or kept in memory between two tasks. All else is rechunked.

    Examples
    --------
    >>> in_frames(xr.DataArray(np.zeros((5, 2, 3)), dims=("frame", "particle", "space")), 2).chunks[0]
    (2, 2, 1)
    """
    source = stored_source(values)
    if source is not None:
        return StoredArray.of(source, (frames, *source.shape[1:]))
    first, *others = values.dims
    chunked: da.Array = values.variable.chunk({first: frames, **dict.fromkeys(others, -1)}).data
    return chunked


def with_dask(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with dask arrays in place of what xarray would read as a whole."""
    lazy = {}
    for name, variable in dataset.variables.items():
        if source := stored_source(variable):
            lazy[name] = (variable.dims, StoredArray.of(source), variable.attrs)
    return dataset.assign(lazy)


def of_one_class(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with dask's own arrays only: functions of xarray that take several refuse to mix them with ours."""
    ours = {name: variable for name, variable in dataset.variables.items() if isinstance(variable._data, StoredArray)}
    arrays = {name: variable.data for name, variable in ours.items()}
    plain = {name: da.Array(array.dask, array.name, array.chunks, meta=array._meta) for name, array in arrays.items()}
    return dataset.assign({name: (variable.dims, plain[name], variable.attrs) for name, variable in ours.items()})


def file_chunks(source: Source) -> tuple[tuple[int, ...], ...]:
    """The chunks of as many whole files as a third of what one task may hold.

    A pass over them has at once what was read, what is made of it, and the next that is being read.
    """
    unit = source.info.unit
    if not unit:
        return ()
    # as many small files together, since a task alone costs 2 ms
    together = max(1, task_bytes() // 3 // max(source.widest, layout.n_bytes(unit, source.dtype)))
    frames = tuple(len(part) for part in _by_block(source.frames, together * unit[0]))
    return (frames or (0,), *normalize_chunks(unit[1:], source.shape[1:]))


def picked(values: xr.DataArray, numbers: np.ndarray) -> xr.DataArray:
    """Frames of a variable in any order, which are read where they are needed if it is as it was opened.

    Examples
    --------
    >>> picked(xr.DataArray(np.arange(3), dims="frame"), np.array([2, 0, 0])).values.tolist()
    [2, 0, 0]
    """
    source = stored_source(values)
    if source is None:
        return values.isel(frame=xr.DataArray(numbers, dims="frame"))
    return xr.DataArray(StoredArray.of(source.take(numbers)), dims=values.dims, name=values.name, attrs=values.attrs)


def _ends(frames: range | tuple[int, ...]) -> tuple[int, int]:
    """The lowest of the frames and the one after the highest."""
    if not frames:
        return 0, 0
    return (frames[0], frames[-1] + 1) if isinstance(frames, range) else (min(frames), max(frames) + 1)


def _numbers(frames: range | tuple[int, ...]) -> np.ndarray:
    """The same as an array."""
    return np.arange(frames.start, frames.stop, frames.step) if isinstance(frames, range) else np.array(frames, int)


def _by_block(frames: range | tuple[int, ...], size: int) -> list[range | tuple[int, ...]]:
    """The frames, parted where a new block of `size` begins.

    >>> _by_block(range(3, 20, 4), 8), _by_block((5, 4, 9, 5), 8)
    ([range(3, 11, 4), range(11, 19, 4), range(19, 23, 4)], [(5, 4), (9,), (5,)])
    """
    number = _numbers(frames) // size
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(frames)]
    return [frames[first:last] for first, last in itertools.pairwise(edges) if last > first]


def _is_all(part: Any, size: int) -> bool:
    return isinstance(part, slice) and part.indices(size) == (0, size, 1)


def _as_slice(part: Any, size: int) -> slice | None:
    """A slice with a positive step, or integers at equal distances, as a slice with borders; else None."""
    if isinstance(part, slice):
        start, stop, step = part.indices(size)
        return slice(start, max(start, stop), step) if step > 0 else None
    numbers = np.asarray(part) if isinstance(part, list | np.ndarray) else np.empty((0, 0))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        return None
    numbers = np.arange(size)[numbers]
    steps = np.diff(numbers)
    if len(steps) and (steps[0] < 1 or (steps != steps[0]).any()):
        return None
    return slice(int(numbers[0]), int(numbers[-1]) + 1, int(steps[0]) if len(steps) else 1)
