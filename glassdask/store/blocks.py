"""The tasks that store lazy variables: each computes one block of all of them, writes it and returns a receipt."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from glassdask.graphs import batched, compute_batches, one_task_each
from glassdask.schema import check_positions
from glassdask.store import layout
from glassdask.store.arrays import ArrayInfo, array_info, is_stored, read_region, write_region
from glassdask.store.groups import attributes
from glassdask.store.progress import Progress, watched


@dataclass(frozen=True)
class Piece:
    """One block of one variable: where it goes, and the key of the task that gives its values."""

    target: ArrayInfo
    region: layout.Region
    key: tuple[str | int, ...]

    def stored(self) -> bool:
        """Whether it is on disk."""
        return is_stored(self.target.file(self.region))

    def n_bytes(self) -> int:
        """Bytes before compression."""
        return layout.n_bytes(tuple(part.stop - part.start for part in self.region), self.target.dtype)


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
    keys = {info.path.parent: attributes(info.path.parent).get("key") for info, _ in lazy}
    needed = sum(piece.n_bytes() for block in pending for piece in block)
    with watched(pending, lambda block: all(piece.stored() for piece in block), done, progress):
        receipts = (_receipts(batch, arrays, keys, needed) for batch in batched(pending))
        for _ in compute_batches([one_task_each(receipt)] for receipt in receipts):
            pass
    done += len(pending)
    if progress is not None and blocks:
        progress(done, len(blocks))


def _receipts(batch: Sequence[list[Piece]], arrays: list[Any], keys: dict[Path, str | None], needed: int) -> da.Array:
    """The bytes of each block, lazily: what computes them also stores the block.

    The graph is made by hand, because `dask.delayed` would walk through all tasks of all arrays once for each block.
    """
    name = f"store-{uuid.uuid4().hex}"
    layer: dict[Any, Any] = {}
    for n, block in enumerate(batch):
        targets = [(str(piece.target.path.parent), piece.target.name, piece.region) for piece in block]
        own = [keys[piece.target.path.parent] for piece in block]
        layer[(name, n)] = (partial(store_block, targets, own, needed), [piece.key for piece in block])
    graph = HighLevelGraph.from_collections(name, layer, dependencies=arrays)
    return da.Array(graph, name, chunks=((1,) * len(batch),), dtype=np.int64)


def store_block(
    targets: Sequence[tuple[str, str, layout.Region]],
    keys: Sequence[str | None],
    needed: int,
    values: Sequence[np.ndarray],
) -> np.ndarray:
    """Write one block of several variables, each given by group, name and region; returns the bytes given, shape (1,).

    Positions are checked before anything of the block is written. For `keys` and `needed` see `write_region`.
    """
    arrays = [np.asarray(array) for array in values]
    for (group, name, region), array in zip(targets, arrays):
        if name == "position":
            given = [other for target, other in zip(targets, arrays) if target[:2] == (group, "present")]
            check_positions(array, region[0].start, given[0] if given else _present(Path(group), region[:2]))
    written = 0
    for target, key, array in zip(targets, keys, arrays):
        written += write_region(*target, array, key=key, needed=needed)[1]
    return np.array([written])


def _present(group: Path, region: layout.Region) -> np.ndarray | None:
    """Which particles of a block are there, as it is stored; None where all are."""
    return read_region(array_info(group, "present"), region) if (group / "present" / "zarr.json").exists() else None


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
