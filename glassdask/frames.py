"""One walk over the frames of a trajectory: what is computed of each is put side by side, or added up.

A task has some frames, and of them a block of central particles; it reads the whole frames itself, since any particle
may be a neighbour. Nothing is read by one task for another.

Functions see a frame without the particles that are absent from it, and with the species that its particles have there.
What they give of particles is put back in its place, NaN for the absent ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask._task_spec import TaskRef
from dask.array.core import ArraySliceDep, normalize_chunks
from dask.highlevelgraph import HighLevelGraph

from glassdask.configurations import Job, each_frame
from glassdask.errors import ParameterError, SchemaError
from glassdask.graphs import Parts, compute, merge_blocks, task_bytes, task_seconds
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_kind, labels, names_and_codes, validate
from glassdask.store import in_frames, stored_source
from glassdask.store.layout import power_of_two

# Small jobs are cut into this many tasks, so that none of a few cores waits long for the last one, unless a task would
# then be shorter than this part of its usual length: files have many small frames, and are read as a whole.
LEAST_TASKS = 48
SHORTEST_TASK = 1 / 10
# Frames of this many particles are not cut to have more tasks: cell lists, tessellations and what is known of the
# neighbours are found once. Longer tasks than wanted do not cut frames of four times this size either.
WHOLE_FRAME = 1 << 15


def task_shape(
    n_frames: int, n_items: int, microseconds: float, *, row_bytes: int = 0, whole: int | None = None
) -> tuple[int, int]:
    """Frames and items (central particles) of a task: whole frames, or an equal part of one.

    A function of the data and dask's configuration (see `glassdask.graphs`), so that a store looks the same wherever
    it was made. Frames are a power of two, as they are in the chunks of a stored trajectory.

    Parameters
    ----------
    n_frames, n_items : int
        All frames, and the items of each.
    microseconds : float
        What an item takes, roughly.
    row_bytes : int, default 0
        Bytes that are given for each item.
    whole : int, optional
        Items of a frame that is not cut to have more tasks, by default 32768.

    Examples
    --------
    >>> task_shape(10_000, 4000, 10.0), task_shape(100, 4000, 10.0), task_shape(100, 10**6, 5.0)
    ((16, 4000), (2, 4000), (1, 200000))
    """
    seconds, most_bytes = 1e6 * task_seconds(), task_bytes()
    whole = WHOLE_FRAME if whole is None else whole
    rows = max(int(seconds / microseconds), min(n_items, 4 * whole))
    rows = min(rows, max(n_frames * n_items // LEAST_TASKS, int(SHORTEST_TASK * seconds / microseconds)))
    rows = min(rows, most_bytes // row_bytes if row_bytes else rows)
    if n_items <= whole and row_bytes * n_items <= 4 * most_bytes:
        rows = max(rows, n_items)
    return shape_of_rows(n_frames, n_items, rows)


def shape_of_rows(n_frames: int, n_items: int, rows: int) -> tuple[int, int]:
    """Frames and items of a task of at most this many items of all frames together.

    Examples
    --------
    >>> shape_of_rows(100, 4000, 20_000), shape_of_rows(100, 10**6, 300_000)
    ((4, 4000), (1, 250000))
    """
    if rows >= n_items:
        return min(n_frames, power_of_two(rows // n_items)), n_items
    return 1, -(-n_items // -(-n_items // max(rows, 1)))


def map_frames(
    function: Callable[..., Any],
    trajectory: xr.Dataset,
    *values: xr.DataArray,
    dims: Mapping[str, int] | Sequence[str] = (),
    dtype: Any = np.float64,
    microseconds: float = 30.0,
) -> xr.DataArray:
    """A function of your own, of one configuration, applied to every frame: lazily, in parallel, on any cluster.

    For what fits no descriptor: something of a whole configuration, or of every particle of it.

    Parameters
    ----------
    function : callable
        ``function(configuration, *values)`` gives the array of one frame. `configuration` has ``position``
        (particle, 3) and ``box`` (3, 3), padded in two dimensions; ``species`` (particle,), codes that are indices
        into ``names``; ``diameter`` (particle,) or None; ``dimension``, ``density``; ``label``, such as "frame 3"; and
        ``neighbors(centers, cutoffs)``, which finds the neighbours of the particles `centers` within the distances
        `cutoffs` (species, species), and tells of which of them all neighbours are ``known``: see
        `glassdask.neighborhood.configuration` and, for what open borders leave unknown,
        `glassdask.neighborhood.borders`. It must not change what it is given.
        Particles that are absent from the frame are not among them, nor in `values`: its dimension ``particle`` is then
        shorter, in what the function gives too.
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    values : DataArrays (frame, ...), in memory or lazy
        What the function needs besides, such as a variable of `describe`. It gets the part of its frame, and all of
        what has no dimension ``frame``.
    dims : dict or sequence of str
        Dimensions of what the function gives Sizes by name; or only names, of dimensions of the trajectory. None for
        one number for each frame.
    dtype : object
        Of the result; absent particles are NaN.
    microseconds : float, default 30.0
        About what a frame takes, divided by its particles; tasks get as many frames as take a second.

    Returns
    -------
    DataArray (frame, *dims), lazy
        With times and steps of the frames, and species and ids of the particles, where the trajectory has them.

    Raises
    ------
    SchemaError
        When `values` have other frames or particles than the trajectory.
    ParameterError
        When the size of a dimension is not known; when it is computed, where the function gives another shape.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> def nearest(configuration):
    ...     everybody = np.arange(len(configuration.position))
    ...     found = configuration.neighbors(everybody, np.array([[1.2]]))
    ...     return np.minimum.reduceat(found.distance, found.offsets[:-1])
    >>> map_frames(nearest, crystal, dims=["particle"]).values[0, :4].tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> energy = xr.DataArray(np.ones((1, 27)), dims=("frame", "particle"))
    >>> map_frames(lambda configuration, e: e.sum() * configuration.density, crystal, energy).values.tolist()
    [27.0]
    """
    validate(trajectory)
    known = dims if isinstance(dims, Mapping) else {dim: trajectory.sizes.get(dim) for dim in dims}
    unknown = [dim for dim, size in known.items() if size is None]
    if unknown:
        raise ParameterError(f"dims {list(known)}: the trajectory has no dimension {unknown[0]}: give sizes by name")
    sizes = {str(dim): int(size) for dim, size in known.items() if size is not None}
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    frames, _ = task_shape(
        n_frames, n_particles, microseconds, row_bytes=8 * math.prod(sizes.values()) // n_particles, whole=n_particles
    )
    arrays = [_checked(array, trajectory) for array in values]
    kind = np.dtype(dtype)
    if "present" in trajectory and "particle" in sizes and kind.kind not in "fc":
        raise ParameterError(f"dtype is {kind}, but absent particles are NaN: give dtype=float")
    axis = list(sizes).index("particle") if "particle" in sizes else None
    of_block = partial(_stack, shape=tuple(sizes.values()), dtype=kind, axis=axis)
    data = _tasks(
        of_block, function, trajectory, arrays, (frames,), (n_frames,), ("frame", *sizes), new_axes=sizes,
        dtype=dtype, meta=np.empty((0,) * (1 + len(sizes)), dtype),
    )  # fmt: skip
    coords = labels(trajectory, particles=sizes.get("particle") == n_particles)
    return xr.DataArray(data, dims=("frame", *sizes), coords=coords)


def map_blocks(
    function: Callable[..., None],
    trajectory: xr.Dataset,
    *values: xr.DataArray,
    columns: int | Sequence[int],
    microseconds: float,
    block: int | None = None,
    token: Any = None,
) -> da.Array:
    """Columns of numbers for every particle of every frame, lazily: (frame, particle, columns).

    Where there are several numbers of `columns`, each is a chunk of its own, and ``function.only(numbers)`` is what
    gives the columns of some of them: of several chunks of a block, those that are asked for are computed by one task.

    Parameters
    ----------
    function : ``function(configuration, centers, *values, out)`` fills `out` (centers, columns), NaN before it;
        `centers` are numbers in the configuration, and so are the items of `sum_frames`
    trajectory, values : xarray.Dataset
        As for `map_frames`, but a single frame of one of them goes with all frames of the others.
    columns : int
        Numbers for each particle.
    microseconds : float
        What a particle takes, roughly.
    block : int, optional
        Most particles of a task, of all its frames together; by default as many as `task_shape` gives.
    token : object, optional
        What tells this function from others, where pickling it would not be the same each time.
    """
    n_frames = max([trajectory.sizes["frame"], *(array.sizes.get("frame", 1) for array in values)])
    sizes = (n_frames, trajectory.sizes["particle"])
    parts = (columns,) if isinstance(columns, int) else tuple(columns)
    if block is None:
        shape = task_shape(*sizes, microseconds, row_bytes=8 * sum(parts))
    else:
        shape = shape_of_rows(*sizes, block)
    arrays = [_checked(array, trajectory, one=True) for array in values]
    if len(parts) > 1:
        return _parted(function, trajectory, arrays, shape, sizes, parts, token)
    fill = partial(_fill, columns=sum(parts), parts=_tasks_of_a_frame(sizes, shape))
    return _tasks(
        fill, function, trajectory, arrays, shape, sizes, ("frame", "item", "column"),
        token=token, new_axes={"column": sum(parts)}, dtype=np.float64, meta=np.empty((0, 0, 0)),
    )  # fmt: skip


def sum_frames(
    function: Callable[..., tuple[np.ndarray, ...]],
    trajectory: xr.Dataset,
    *values: xr.DataArray,
    items: int | None = None,
    microseconds: float = 4.0,
) -> tuple[np.ndarray, ...]:
    """Sum of ``function(configuration, items, *values)`` over all frames and items, by the current dask scheduler.

    Parameters
    ----------
    function : callable
        Gives arrays for one frame and an array of item numbers.
    trajectory, values : xarray.Dataset
        As for `map_frames`; at most the frames of the running tasks are in memory.
    items : int, optional
        Number of items of a frame that may be split over tasks; by default the particles.
    microseconds : float, default 4.0
        What an item takes, roughly.

    Raises
    ------
    SchemaError, PositionError, BoxError
        Of the first frame that a task finds bad.

    Examples
    --------
    >>> import glassdask as gd
    >>> gas = gd.from_arrays(np.random.default_rng(0).random((5, 40, 3)), species=["A"] * 40, box=[1.0] * 3)
    >>> sum_frames(lambda configuration, particles: (configuration.position[particles].shape[0],), gas)
    (200,)
    """
    validate(trajectory)
    sizes = (trajectory.sizes["frame"], trajectory.sizes["particle"] if items is None else items)
    # nothing but the length of a task cuts other items than particles
    whole = None if items is None else max(1, int(1e6 * task_seconds() / microseconds))
    shape = task_shape(*sizes, microseconds, whole=whole)
    return merge_blocks(_sums(function, trajectory, values, shape, sizes, of_particles=items is None), _add)


def sums_by_frame(
    function: Callable[..., tuple[np.ndarray, ...]], trajectory: xr.Dataset, *values: xr.DataArray, block: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """What `sum_frames` gives, of one frame after the other: for what is no sum over its particles, but made of such.

    `block` are the most particles of a task.

    Examples
    --------
    >>> import glassdask as gd
    >>> gas = gd.from_arrays(np.random.default_rng(0).random((2, 40, 3)), species=["A"] * 40, box=[1.0] * 3)
    >>> [int(n) for (n,) in sums_by_frame(lambda configuration, particles: (len(particles),), gas, block=15)]
    [40, 40]
    """
    validate(trajectory)
    sizes = (trajectory.sizes["frame"], trajectory.sizes["particle"])
    _, rows = shape_of_rows(*sizes, block)
    sums = _sums(function, trajectory, values, (1, rows), sizes, of_particles=True)
    for frame in range(sizes[0]):
        yield merge_blocks(sums.blocks[frame], _add)


def _sums(
    function: Callable[..., Any],
    trajectory: xr.Dataset,
    values: Sequence[xr.DataArray],
    shape: tuple[int, int],
    sizes: tuple[int, int],
    of_particles: bool,
) -> da.Array:
    """The sums of each task, as blocks (frame, item)."""
    arrays = [_checked(array, trajectory) for array in values]
    add = partial(_sum, of_particles=of_particles, parts=_tasks_of_a_frame(sizes, shape))
    return _tasks(
        add, function, trajectory, arrays, shape, sizes, ("frame", "item"),
        dtype=object, meta=np.empty((0, 0), object),
    )  # fmt: skip


def one_by_one(trajectory: xr.Dataset) -> Callable[[int], tuple[Configuration, np.ndarray | None]]:
    """A function that reads one frame now: the configuration of the particles that are present, and which these are."""
    job, arrays, _ = _common(lambda: None, trajectory, [])

    def read(number: int) -> tuple[Configuration, np.ndarray | None]:
        frames = slice(number, number + 1)
        blocks = compute(*(a.data[frames] for a, source in zip(arrays, job.sources) if source is None))
        (frame,) = each_frame(job, frames, blocks)
        return frame.configuration, frame.present

    return read


def _job(
    function: Callable[..., Any], trajectory: xr.Dataset, values: Sequence[xr.DataArray], token: Any
) -> tuple[Any, list[xr.DataArray], tuple[Any, ...], str]:
    """The `Job` as a node, all arrays of it, where those are read from that tasks read themselves, and its token."""
    common, arrays, alike = _common(function, trajectory, values)
    token = dask.base.tokenize(token or function, common.names, alike, list(common.own), common.sources)
    # not traversed, and named by hand: plans of descriptors are pickled with the graph, and only then
    return dask.delayed(common, name=f"job-{token}", traverse=False), arrays, common.sources, token


def _common(
    function: Callable[..., Any], trajectory: xr.Dataset, values: Sequence[xr.DataArray]
) -> tuple[Job, list[xr.DataArray], dict[str, Any]]:
    """The `Job`, all arrays of it, and what all frames share."""
    names, codes = names_and_codes(trajectory)
    own = {"present": trajectory["present"]} if "present" in trajectory else {}
    if codes.ndim == 2:
        own["codes"] = xr.DataArray(codes, dims=("frame", "particle"))
    if "diameter" in trajectory and trajectory["diameter"].ndim == 2:
        own["diameter"] = trajectory["diameter"]
    alike: dict[str, Any] = {
        "codes": None if "codes" in own else codes,
        "diameter": np.asarray(trajectory["diameter"]) if "diameter" in {*trajectory} - {*own} else None,
        "box": np.asarray(trajectory["box"].values),
        "borders": borders_of(trajectory),
    }
    arrays = [trajectory["position"], *own.values(), *values]
    sources = tuple(stored_source(array) for array in arrays)
    axes = tuple(array.dims.index("particle") - 1 if "particle" in array.dims else None for array in values)
    return Job(function, names, own=tuple(own), axes=axes, sources=sources, **alike), arrays, alike


def _tasks(
    of_block: Callable[..., Any],
    function: Callable[..., Any],
    trajectory: xr.Dataset,
    values: Sequence[xr.DataArray],
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    out: tuple[str, ...],
    token: Any = None,
    **options: Any,
) -> da.Array:
    """A dask array of ``of_block(job, region, position, *values)``, cut into `shape` along frames (and items)."""
    job, arrays, sources, _ = _job(function, trajectory, values, token)
    chunks = normalize_chunks(shape, sizes)
    arguments: list[Any] = [job, None, ArraySliceDep(chunks), out[: len(shape)]]
    for n, (array, source) in enumerate(zip(arrays, sources)):
        if source is None:
            alone = array.sizes["frame"] == 1
            arguments += [in_frames(array, 1 if alone else shape[0])]
            frame = f"alone {n}" if alone and sizes[0] > 1 else "frame"
            arguments += [(frame, *[f"{dim} {n}" for dim in array.dims[1:]])]
    return da.blockwise(of_block, out, *arguments, concatenate=True, align_arrays=False, **options)


def _parted(
    function: Any,
    trajectory: xr.Dataset,
    values: Sequence[xr.DataArray],
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    parts: tuple[int, ...],
    token: Any,
) -> da.Array:
    """The same for `Parts`, whose tasks blockwise graphs do not know."""
    job, arrays, sources, token = _job(function, trajectory, values, token)
    read = [
        in_frames(array, 1 if array.sizes["frame"] == 1 else shape[0])
        for array, source in zip(arrays, sources)
        if source is None
    ]
    chunks = normalize_chunks(shape, sizes)
    edges = [np.cumsum((0, *one)).tolist() for one in chunks]

    def arguments(place: tuple[int, ...]) -> list[Any]:
        region = tuple(slice(edge[n], edge[n + 1]) for edge, n in zip(edges, place))
        frame = [min(place[0], array.numblocks[0] - 1) for array in read]
        blocks = [TaskRef((array.name, n, *[0] * (array.ndim - 1))) for array, n in zip(read, frame)]
        return [TaskRef(job.key), region, *blocks]

    name = f"parts-{dask.base.tokenize(token, chunks, parts, [array.name for array in read])}"
    keys = ((name, *place, n) for place in np.ndindex(*map(len, chunks)) for n in range(len(parts)))
    layer = Parts(partial(_fill_parts, widths=parts, parts=_tasks_of_a_frame(sizes, shape)), arguments, keys)
    inputs: list[Any] = [job, *read]
    graph = HighLevelGraph.from_collections(name, layer, dependencies=inputs)
    return da.Array(graph, name, chunks=(*chunks, parts), meta=np.empty((0, 0, 0)))


def _checked(values: xr.DataArray, trajectory: xr.Dataset, one: bool = False) -> xr.DataArray:
    """The values, frames first; with `one`, a single frame of either goes with all of the other."""
    check_kind(values, xr.DataArray, "the values", "put a name to each dimension")
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    if "frame" not in values.dims:
        values, one = values.expand_dims("frame"), True
    fits = values.sizes["frame"] == n_frames or (one and 1 in (values.sizes["frame"], n_frames))
    if not fits or values.sizes.get("particle", n_particles) != n_particles:
        raise SchemaError(
            f"the values have dimensions {dict(values.sizes)}, the trajectory {n_frames} frames of {n_particles} "
            "particles: give values of the same frames and particles"
        )
    return values.transpose("frame", ...)


def _tasks_of_a_frame(sizes: Sequence[int], shape: Sequence[int]) -> int:
    """How many tasks have a part of one frame, of so many particles (or items) each."""
    return -(-sizes[1] // shape[1])


def _fill(job, region, *blocks, columns, parts):
    frames, items = region
    out = np.full((frames.stop - frames.start, items.stop - items.start, columns), np.nan)
    for part, frame in zip(out, each_frame(job, frames, blocks, parts)):
        centers = frame.numbers(items)
        if frame.present is None:
            job.function(frame.configuration, centers, *frame.values, out=part)
        elif len(centers):
            found = np.full((len(centers), columns), np.nan)
            job.function(frame.configuration, centers, *frame.values, out=found)
            part[frame.present[items]] = found
    return out


def _fill_parts(wanted, job, region, *blocks, widths, parts):
    some = job if len(wanted) == len(widths) else replace(job, function=job.function.only(wanted))
    own = [widths[n] for n in wanted]
    found = _fill(some, region, *blocks, columns=sum(own), parts=parts)
    return np.split(found, np.cumsum(own)[:-1], axis=2)


def _stack(job, region, *blocks, shape, dtype, axis):
    (frames,) = region
    out = np.empty((frames.stop - frames.start, *shape), dtype)
    for k, frame in enumerate(each_frame(job, frames, blocks)):
        found = np.asarray(job.function(frame.configuration, *frame.values))
        absent = frame.present is not None and axis is not None
        n_present = len(frame.configuration.position)
        expected = (*shape[:axis], n_present, *shape[axis + 1 :]) if absent else shape
        if found.shape != expected:
            raise ParameterError(
                f"{frame.configuration.label}: the function gave an array of shape {found.shape}, expected {expected}: "
                "give the sizes of its result in dims"
            )
        if absent:
            out[k] = np.nan
            np.moveaxis(out[k], axis, 0)[frame.present] = np.moveaxis(found, axis, 0)
        else:
            out[k] = found
    return out


def _sum(job, region, *blocks, of_particles, parts):
    frames, items = region
    numbers = np.arange(items.start, items.stop)
    total = None
    for frame in each_frame(job, frames, blocks, parts):
        part = job.function(frame.configuration, frame.numbers(items) if of_particles else numbers, *frame.values)
        total = part if total is None else _add([total, part])
    return total


def _add(parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    return tuple(sum(arrays[1:], start=arrays[0]) for arrays in zip(*parts))
