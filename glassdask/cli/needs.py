"""What memory a worker needs to describe particles: measured in processes of their own, once workers have died."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassdask.errors import WorkerMemoryError

if TYPE_CHECKING:
    import xarray as xr

USABLE = 0.8  # of its limit, above which dask lets a worker begin nothing
PARTS = (16, 2)  # of a task, that are measured in its place
SPARE = 1.1  # what workers get more than was measured
MIB = 2**20


@dataclass(frozen=True)
class Need:
    """Bytes that a process takes for a task of so many particles: `base`, and `each` for every one of them."""

    base: float
    each: float

    def __call__(self, particles: float, threads: int = 1) -> float:
        """Bytes of a worker with a task of this size in each thread."""
        return self.base + threads * self.each * particles


def measure(
    store: str | os.PathLike[str], descriptors: Mapping[str, Any], centers: Sequence[str] | None, particles: int
) -> Need:
    """How much it takes to describe some of a trajectory, found with a half and less of a task's particles."""
    blocks = sorted({max(1, particles // part) for part in PARTS})
    # each in a process of its own, as a process does not forget how large it was
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        # the first one compiles what is not compiled yet, which takes more than the work
        _, *found = (
            pool.submit(_peak, str(store), dict(descriptors), centers, block).result() for block in (1, *blocks)
        )
    (few, least), (many, most) = found[0], found[-1]
    each = max(0.0, (most - least) / (many - few)) if many > few else 0.0
    return Need(least - each * few, each)


def advised(
    error: WorkerMemoryError,
    store: str | os.PathLike[str],
    descriptors: Mapping[str, Any],
    centers: Sequence[str] | None,
    features: xr.Dataset,
) -> WorkerMemoryError:
    """The error with what was measured: the block that fits, or the memory that workers need whatever the block is."""
    frames, rows = _first_task(features)
    particles = frames * rows
    try:
        need = measure(store, descriptors, centers, particles)
    except (BrokenProcessPool, OSError, MemoryError):  # this machine has no more memory than its workers
        return error
    usable, whole = USABLE * error.limit, need(particles, error.threads)
    most = (usable - need.base) / (error.threads * need.each) if need.each else 0.0
    if whole <= usable:
        remedy = ", which should fit: see what else its workers keep"
    elif most >= 1:
        block = _rounded(most)
        fits = need(block, error.threads) / MIB
        remedy = f", of {block} particles {fits:.0f} MiB: run it again with --block {block} --overwrite"
    else:
        enough = SPARE * whole / USABLE / MIB
        remedy = f", of which {need.base / MIB:.0f} MiB whatever the block is: give workers {enough:.0f} MiB"
    threads = f" in each of {error.threads} threads" if error.threads > 1 else ""
    measured = f"measured here: a task of {particles} particles{threads} takes {whole / MIB:.0f} MiB"
    return WorkerMemoryError(f"{error}; {measured}{remedy}", error.limit, error.threads)


def _rounded(number: float) -> int:
    """The largest number of two digits that is not larger.

    >>> _rounded(1999.0), _rounded(7.5)
    (1900, 7)
    """
    step = int(10 ** max(0, len(str(int(number))) - 2))
    return int(number) // step * step


def _first_task(features: xr.Dataset) -> tuple[int, int]:
    """Frames and particles."""
    sizes = next(iter(features.data_vars.values())).chunksizes
    return sizes["frame"][0], sizes["particle"][0]


def _peak(store: str, descriptors: Mapping[str, Any], centers: Sequence[str] | None, block: int) -> tuple[int, int]:
    """Particles of the first task of a description, and the most bytes that this process has had."""
    import dask
    import distributed  # noqa: F401  workers have it in memory

    import glassdask as gd

    features = gd.describe(gd.open_trajectory(store), descriptors, centers=centers, block=block)
    frames, particles = _first_task(features)
    dask.compute(features.isel(frame=slice(frames), particle=slice(particles)), scheduler="synchronous")
    # not getrusage: it counts what the process was before it began to run Python anew
    lines = Path("/proc/self/status").read_text().splitlines()
    return frames * particles, next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
