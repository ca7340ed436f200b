"""The tasks that store lazy variables: each computes one block of all of them, writes it and returns a receipt."""

from __future__ import annotations

import itertools
import math
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from glassdask.schema import check_positions
from glassdask.store import layout
from glassdask.store.arrays import ArrayInfo, write_region

Progress = Callable[[int, int], None]

BATCH = 512  # blocks handed to the scheduler at a time: a graph costs the client up to a millisecond a task
POLL_SECONDS = 0.5  # between two looks at which blocks are stored, for the progress


@dataclass(frozen=True)
class Piece:
    """One block of one variable: where it goes, and the key of the task that gives its values."""

    target: ArrayInfo
    region: layout.Region
    key: tuple[str | int, ...]

    def stored(self) -> bool:
        """Whether it is on disk."""
        return self.target.file(self.region).is_file()


def is_lazy(variable: xr.Variable) -> bool:
    """Whether a variable is a dask array."""
    return variable.chunks is not None


def write_blocks(
    lazy: Sequence[tuple[ArrayInfo, xr.Variable]], unit: tuple[int, int], progress: Progress | None = None
) -> None:
    """Compute and store what is missing of lazy variables by the current dask scheduler, in bounded batches.

    `unit` is the number of frames and particles in one block, that is, in one file of each array. Variables of one
    block that come from the same task share it, because they are in the same graph.
    """
    steps = dict(zip(("frame", "particle"), unit))
    arrays: list[Any] = [
        variable.data.rechunk({axis: steps.get(dim, -1) for axis, dim in enumerate(info.dims)})
        for info, variable in lazy
    ]
    blocks = _blocks([(info, array.name) for (info, _), array in zip(lazy, arrays)], steps)
    pending = [missing for block in blocks if (missing := [piece for piece in block if not piece.stored()])]
    done = len(blocks) - len(pending)
    for first in range(0, len(pending), BATCH):
        batch = pending[first : first + BATCH]
        with _watched(batch, done, len(blocks), progress):
            _receipts(batch, arrays).compute()
        done += len(batch)
    if progress is not None and blocks:
        progress(done, len(blocks))


def _receipts(batch: list[list[Piece]], arrays: list[Any]) -> da.Array:
    """The bytes of each block, lazily: what computes them also stores the block.

    The graph is made by hand, because `dask.delayed` would walk through all tasks of all arrays once for each block.
    """
    name = f"store-{uuid.uuid4().hex}"
    layer: dict[Any, Any] = {}
    for n, block in enumerate(batch):
        targets = [(str(piece.target.path.parent), piece.target.name, piece.region) for piece in block]
        layer[(name, n)] = (partial(store_block, targets), [piece.key for piece in block])
    graph = HighLevelGraph.from_collections(name, layer, dependencies=arrays)
    return da.Array(graph, name, chunks=((1,) * len(batch),), dtype=np.int64)


def store_block(targets: Sequence[tuple[str, str, layout.Region]], values: Sequence[np.ndarray]) -> np.ndarray:
    """Write one block of several variables, each given by group, name and region; returns the bytes given, shape (1,).

    Positions are checked before anything of the block is written.
    """
    arrays = [np.asarray(array) for array in values]
    for (_, name, region), array in zip(targets, arrays):
        if name == "position":
            check_positions(array, first_frame=region[0].start)
    return np.array([sum(write_region(*target, array)[1] for target, array in zip(targets, arrays))])


def _blocks(lazy: list[tuple[ArrayInfo, str]], steps: dict[str, int]) -> list[list[Piece]]:
    """The pieces of every block; a variable without one of the dimensions belongs to the first block along it."""
    sizes: dict[str, int] = {}
    for info, _ in lazy:
        sizes |= dict(zip(info.dims, info.shape))
    counts = [math.ceil(sizes.get(dim, 1) / step) for dim, step in steps.items()]
    blocks = []
    for index in itertools.product(*map(range, counts)):
        block = []
        at = dict(zip(steps, index))
        for info, name in lazy:
            if all(number == 0 or dim in info.dims for dim, number in at.items()):
                place = tuple(at.get(dim, 0) for dim in info.dims)
                region = tuple(
                    slice(i * step, min((i + 1) * step, size)) for i, step, size in zip(place, info.unit, info.shape)
                )
                block.append(Piece(info, region, (name, *place)))
        if block:
            blocks.append(block)
    return blocks


@contextmanager
def _watched(batch: list[list[Piece]], done: int, total: int, progress: Progress | None) -> Iterator[None]:
    """Report progress while a batch is computed, by looking which of its blocks are on disk (any scheduler will do)."""
    if progress is None:
        yield
        return
    report: Progress = progress
    ended = threading.Event()
    waiting = list(batch)

    def watch() -> None:
        while not ended.is_set():
            waiting[:] = [block for block in waiting if not all(piece.stored() for piece in block)]
            report(done + len(batch) - len(waiting), total)
            ended.wait(POLL_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
