"""What many calls in one process leave: no file, no thread, no memory."""

from __future__ import annotations

import gc
import threading
import tracemalloc

import dask
import psutil
import pytest

import glassdask as gd
from tests.faults.harness import trajectory

FEW, MANY = 10, 30


@pytest.mark.slow
def test_many_describes_leave_nothing(tmp_path):
    """Each opens, describes, stores anew, opens and reduces; what the first few leave is caches, which have a size."""
    store = tmp_path / "run.zarr"
    gd.save_trajectory(trajectory(8, 500), store)

    def work():
        made = gd.describe(gd.open_trajectory(store), [gd.BondOrder(l_max=3, cutoffs=1.4)])
        gd.save_descriptors(made, store, overwrite=True)
        gd.reduce(gd.open_descriptors(store)["bo"]).compute()

    def standing():
        gc.collect()
        return psutil.Process().num_fds(), threading.active_count(), tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        with dask.config.set(scheduler="threads", num_workers=2):
            for _ in range(FEW):
                work()
            before = standing()
            for _ in range(MANY):
                work()
            after = standing()
    finally:
        tracemalloc.stop()
    files, threads, memory = (now - then for now, then in zip(after, before))
    # what earlier tests left may be collected meanwhile
    assert files <= 0
    assert threads <= 0
    assert memory < 100_000, memory  # the results of one have 96 kB, its graph some 10
