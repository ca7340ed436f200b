"""The tasks that store lazy variables: each computes one block of all of them, writes it and returns a receipt."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import xarray as xr

from glassdask.schema import check_positions
from glassdask.store import layout
from glassdask.store.arrays import chunk_exists, write_region

Progress = Callable[[int, int], None]

BATCH = 512  # blocks handed to the scheduler at a time: a graph costs the client up to a millisecond a task
POLL_SECONDS = 0.5  # between two looks at which blocks are stored, for the progress


@dataclass(frozen=True)
class Block:
    """What one task writes: for each variable the index of its dask block and the region it goes to."""

    names: tuple[str, ...]
    at: tuple[tuple[int, ...], ...]
    regions: tuple[layout.Region, ...]

    def stored(self, group: Path) -> bool:
        """Whether all of it is on disk."""
        return all(chunk_exists(group, name, region) for name, region in zip(self.names, self.regions))


def is_lazy(variable: xr.Variable) -> bool:
    """Whether a variable is a dask array."""
    return variable.chunks is not None


def write_blocks(lazy: dict[str, xr.Variable], group: Path, unit: tuple[int, int], progress: Progress | None) -> None:
    """Compute and store the missing blocks of lazy variables by the current dask scheduler, in bounded batches.

    `unit` is the number of frames and particles in one block. Variables of one block that come from the same task
    share it: their graphs are not optimised apart from each other.
    """
    steps = {"frame": unit[0], "particle": unit[1]}
    parts = {}
    for name, variable in lazy.items():
        chunks = {axis: steps.get(str(dim), -1) for axis, dim in enumerate(variable.dims)}
        parts[name] = variable.data.rechunk(chunks).to_delayed(optimize_graph=False)
    blocks = _blocks(lazy, steps)
    pending = [block for block in blocks if not block.stored(group)]
    done = len(blocks) - len(pending)
    for first in range(0, len(pending), BATCH):
        batch = pending[first : first + BATCH]
        tasks = [
            dask.delayed(store_block)(
                str(group), block.names, block.regions, [parts[name][at] for name, at in zip(block.names, block.at)]
            )
            for block in batch
        ]
        with _watched(group, batch, done, len(blocks), progress):
            dask.compute(*tasks)
        done += len(batch)
    if progress is not None:
        progress(done, len(blocks))


def store_block(
    group: str, names: Sequence[str], regions: Sequence[layout.Region], values: Sequence[np.ndarray]
) -> list[tuple[str, int]]:
    """Write one block of several variables. Positions are checked first; whole blocks are there or are not."""
    receipts = []
    for name, region, block in zip(names, regions, values):
        if name == "position":
            check_positions(np.asarray(block), first_frame=region[0].start)
    for name, region, block in zip(names, regions, values):
        receipts.append(write_region(group, name, region, np.asarray(block)))
    return receipts


def _blocks(lazy: dict[str, xr.Variable], steps: dict[str, int]) -> list[Block]:
    sizes: dict[str, int] = {}
    for variable in lazy.values():
        sizes |= {str(dim): size for dim, size in variable.sizes.items()}
    counts = {dim: math.ceil(sizes.get(dim, 1) / step) for dim, step in steps.items()}
    blocks = []
    for index in itertools.product(*[range(count) for count in counts.values()]):
        at = dict(zip(counts, index))
        # a variable without one of the dimensions belongs to the first block along it
        here = [
            name
            for name, variable in lazy.items()
            if all(number == 0 or dim in variable.dims for dim, number in at.items())
        ]
        if here:
            places = [tuple(at.get(str(dim), 0) for dim in lazy[name].dims) for name in here]
            regions = [_region(lazy[name], at, steps) for name in here]
            blocks.append(Block(tuple(here), tuple(places), tuple(regions)))
    return blocks


def _region(variable: xr.Variable, at: dict[str, int], steps: dict[str, int]) -> layout.Region:
    region = []
    for dim, size in variable.sizes.items():
        step = steps.get(str(dim), size)
        start = at.get(str(dim), 0) * step
        region.append(slice(start, min(start + step, size)))
    return tuple(region)


@contextmanager
def _watched(group: Path, batch: list[Block], done: int, total: int, progress: Progress | None) -> Iterator[None]:
    """Report progress while a batch is computed, by looking which of its blocks are on disk (any scheduler will do)."""
    if progress is None:
        yield
        return
    report: Progress = progress
    ended = threading.Event()
    waiting = list(batch)

    def watch() -> None:
        while True:
            waiting[:] = [block for block in waiting if not block.stored(group)]
            report(done + len(batch) - len(waiting), total)
            if ended.wait(POLL_SECONDS):
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
