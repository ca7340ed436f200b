"""What many calls in one process leave: no file, no thread, no memory."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import dask
import pytest

import glassdask as gd
from tests.faults.harness import trajectory

FEW, SPANS = 10, 3


def open_files() -> list[str]:
    names = []
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            names.append(str(handle.readlink()))
    return names


def standings(store: Path) -> list[tuple[list[str], int, int]]:
    """Open files, number of threads and bytes of memory after every few calls."""

    def work():
        made = gd.describe(gd.open_trajectory(store), [gd.BondOrder(l_max=3, cutoffs=1.4)])
        gd.save_descriptors(made, store, overwrite=True)
        gd.reduce(gd.open_descriptors(store)["bo"]).compute()

    found = []
    tracemalloc.start()
    with dask.config.set(scheduler="threads", num_workers=2):
        for _ in range(1 + SPANS):
            for _ in range(FEW):
                work()
            gc.collect()
            found.append((open_files(), threading.active_count(), tracemalloc.get_traced_memory()[0]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files here")
def test_many_describes_leave_nothing(tmp_path):
    """Each opens, describes, stores anew, opens and reduces. What leaks does so in every span; a cache is filled once.

    In a process of its own: what other tests left may come and go meanwhile.
    """
    store = tmp_path / "run.zarr"
    gd.save_trajectory(trajectory(8, 500), store)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        files, threads, memory = zip(*pool.submit(standings, store).result(), strict=True)
    assert min(len(now) - len(then) for then, now in pairwise(files)) <= 0, files
    assert min(now - then for then, now in pairwise(threads)) <= 0, threads
    assert min(now - then for then, now in pairwise(memory)) < 50_000, memory  # the results of one have 96 kB
