"""Where things lie in a store: paths, chunk grids, regions and the files that hold them. No input or output."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glassdask.declarations import shown
from glassdask.errors import StoreError
from glassdask.remote import place

Region = tuple[slice, ...]

MIB = 2**20
CHUNK_BYTES = 4 * MIB  # of positions in one chunk of whole frames: tasks read the chunks that hold their frames
WHOLE_FRAME_BYTES = 64 * MIB  # a larger frame is split along particle
MANY_CHUNKS = 10_000  # from here on, several chunks share a file (a shard)
CHUNKS_IN_SHARD = 8
LARGEST_CHUNK = 2**31 - 17  # blosc takes no more; zstd, as numcodecs calls it, 16 bytes


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The path of a group, absolute for the sake of workers; `StoreError` where it steps upwards inside a store."""
    if not isinstance(path, (str, os.PathLike)):
        raise StoreError(f"{shown(path)} is not the path of a store: give a path such as runs.zarr or runs.zarr/KA")
    if "\0" in str(path):
        raise StoreError(f"{str(path)!r} is not the path of a store: it has a NUL character")
    result = place(path).absolute()
    inside = list(itertools.dropwhile(lambda part: not part.endswith(".zarr"), result.parts))
    if not str(path) or ".." in inside:
        raise StoreError(f"{str(path)!r} is not the path of a store: give a path such as runs.zarr or runs.zarr/KA")
    return result


def checked_name(name: str) -> str:
    """A name of an array or group relative to its parent ('sbo', 'descriptors/sbo'), or `StoreError`."""
    parts = str(name).split("/")
    if any(part in ("", ".", "..", "c", "zarr.json") or part[0] in "._" or "\\" in part for part in parts) or str(
        name
    ).split() != [str(name)]:
        raise StoreError(
            f"{str(name)!r} cannot name a part of a store: use letters, digits, '_', '=', '.', and '/', but not 'c' "
            "alone (Zarr's files are called so), and nothing hidden"
        )
    return str(name)


def checked_part(name: str) -> str:
    """A name of a descriptor or reduction, which is one part of a store, or `StoreError`.

    >>> checked_part("sbo/pca")
    Traceback (most recent call last):
    glassdask.errors.StoreError: 'sbo/pca' cannot name one part of a store: leave out the '/', as in sbo_pca
    """
    found = checked_name(name)
    if "/" in found:
        raise StoreError(
            f"{found!r} cannot name one part of a store: leave out the '/', as in {found.replace('/', '_')}"
        )
    return found


def trajectory_layout(
    n_frames: int, n_particles: int, n_space: int, itemsize: int = 8
) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Frames and particles in one chunk of a trajectory, and in one shard where files would be many (else None).

    A chunk holds whole frames unless a frame exceeds 64 MiB.

    Every variable of the trajectory uses the same numbers, so that a block of frames is written in one go. Frames are a
    power of two, in chunks as in tasks: then a task reads no chunk of which it needs but a part, unless it needs less
    than one.

    Examples
    --------
    >>> trajectory_layout(100_000, 4000, 3)
    ((32, 4000), None)
    >>> trajectory_layout(5, 10_000_000, 3)
    ((1, 2500000), None)
    """
    frame_bytes = n_particles * n_space * itemsize
    if frame_bytes > WHOLE_FRAME_BYTES:
        return (1, math.ceil(n_particles / math.ceil(frame_bytes / WHOLE_FRAME_BYTES))), None
    frames = power_of_two(CHUNK_BYTES // frame_bytes)
    if math.ceil(n_frames / frames) <= MANY_CHUNKS:
        return (frames, n_particles), None
    return (frames, n_particles), (frames * CHUNKS_IN_SHARD, n_particles)


def power_of_two(most: int) -> int:
    """The largest power of two that is not above `most`; at least 1.

    >>> [power_of_two(n) for n in (0, 1, 7, 8, 43)]
    [1, 1, 4, 8, 32]
    """
    return 1 << max(0, most.bit_length() - 1)


def chunks_of(dims: tuple[str, ...], shape: tuple[int, ...], grid: tuple[int, int]) -> tuple[int, ...]:
    """Chunk (or shard) of a variable with these dimensions: `grid` along frame and particle, whole along the others.

    >>> chunks_of(("frame", "particle", "space"), (100, 4000, 3), (10, 2000))
    (10, 2000, 3)
    """
    along = {"frame": grid[0], "particle": grid[1]}
    return tuple(max(1, along.get(dim, size)) for dim, size in zip(dims, shape))


def frame_blocks(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Ranges of frames that cover [start, stop) and end on multiples of `size`: what one task may write.

    >>> frame_blocks(5, 14, 4)
    [(5, 8), (8, 12), (12, 14)]
    """
    edges = [start, *range((start // size + 1) * size, stop, size), stop] if stop > start else []
    return list(itertools.pairwise(edges))


def all_regions(shape: tuple[int, ...], unit: tuple[int, ...]) -> Iterator[Region]:
    """The regions of an array that are written as one file each."""
    ranges = [range(0, size, step) for size, step in zip(shape, unit)]
    for start in itertools.product(*ranges):
        yield tuple(slice(low, min(low + step, size)) for low, step, size in zip(start, unit, shape))


def chunk_keys(region: Region, unit: tuple[int, ...]) -> Iterator[str]:
    """Keys (paths inside the array) of the files that `region` touches."""
    ranges = [range(part.start // step, math.ceil(part.stop / step)) for part, step in zip(region, unit)]
    for index in itertools.product(*ranges):
        yield "/".join(["c", *map(str, index)])


def key_region(key: str, shape: tuple[int, ...], unit: tuple[int, ...]) -> Region:
    """The region that a chunk key holds.

    >>> key_region("c/1/0", (5, 3), (4, 3))
    (slice(4, 5, None), slice(0, 3, None))
    """
    index = [int(part) for part in key.split("/")[1:]]
    return tuple(slice(i * step, min((i + 1) * step, size)) for i, step, size in zip(index, unit, shape))


def checked_region(
    region: tuple[slice, ...], shape: tuple[int, ...], unit: tuple[int, ...], where: str, begin: int | None = None
) -> Region:
    """The region with explicit borders, or `StoreError` unless it consists of whole files (the array's end counts).

    `begin` is one more place where a region may begin along the first dimension: the first appended frame.
    """
    if len(region) > len(shape):
        raise StoreError(f"{where}: region {region} has more dimensions than the array's shape {shape}")
    full = [*region, *[slice(None)] * (len(shape) - len(region))]
    result = []
    for axis, (part, size, step) in enumerate(zip(full, shape, unit)):
        start = 0 if part.start is None else int(part.start)
        stop = size if part.stop is None else int(part.stop)
        aligned = start % step == 0 or (axis == 0 and start == begin)
        if part.step not in (None, 1) or not 0 <= start < stop <= size or not aligned or (stop % step and stop != size):
            raise StoreError(
                f"{where}: region {start}:{stop} along axis {axis} (size {size}) does not consist of whole chunks of "
                f"{step}: begin and end at multiples of {step} or at the end of the array"
            )
        result.append(slice(start, stop))
    return tuple(result)


def n_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of an array in memory."""
    return math.prod(shape) * dtype.itemsize
