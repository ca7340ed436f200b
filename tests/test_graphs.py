"""Long lists of tasks on a cluster: their results are not lost with the workers that made them."""

from __future__ import annotations

import os
import signal
import threading
import time

import dask
import dask.array as da
import numpy as np
import pytest
from dask.highlevelgraph import HighLevelGraph

from glassdask.cluster import connect
from glassdask.graphs import compute_batches, one_task_each


@pytest.mark.cluster
def test_what_a_lost_worker_has_done_is_not_done_again(tmp_path):
    log = tmp_path / "log"

    @dask.delayed
    def note(k):
        time.sleep(0.2)
        with open(log, "a") as out:
            out.write(f"{k} {os.getpid()}\n")
        return k

    def kill_half_way():
        while not log.exists() or len(log.read_text().splitlines()) < 20:
            time.sleep(0.05)
        os.kill(int(log.read_text().split()[1]), signal.SIGKILL)

    with connect("local", workers=1):
        killer = threading.Thread(daemon=True, target=kill_half_way)
        killer.start()
        assert list(compute_batches([[note(k) for k in range(30)]])) == [list(range(30))]
        killer.join()
    lines = log.read_text().splitlines()
    assert len({line.split()[1] for line in lines}) == 2
    # what was about to be fetched when the worker died is done again, and not all of the first twenty
    assert 30 <= len(lines) <= 40


@pytest.mark.cluster
def test_collections_of_several_chunks(two_workers):
    numbers = da.arange(12, chunks=3)
    batches = [[numbers.reshape(3, 4) + 1, numbers.sum()], [dask.delayed(pow)(2, 3)]]
    (matrix, total), (power,) = compute_batches(batches)
    np.testing.assert_array_equal(matrix, np.arange(12).reshape(3, 4) + 1)
    assert (total, power) == (66, 8)


@pytest.mark.cluster
def test_workers_are_asked_for_each_result_once_and_never_for_none(two_workers, monkeypatch):
    asked, gather = [], two_workers.gather
    monkeypatch.setattr(two_workers, "gather", lambda futures: asked.append(len(futures)) or gather(futures))
    batches = [[dask.delayed(time.sleep)(0.02 * (k % 3)) for k in range(20)] for _ in range(3)]
    assert list(compute_batches(batches)) == [[None] * 20] * 3
    assert sum(asked) == 60
    assert min(asked) > 0


@pytest.mark.cluster
def test_an_error_ends_what_has_not_begun(two_workers):
    def fail():
        raise ValueError("a block that cannot be computed")

    slow = [dask.delayed(time.sleep)(0.01 * k) for k in range(100)]
    with pytest.raises(ValueError, match="a block that cannot be computed"):
        list(compute_batches([[dask.delayed(fail)(), *slow]]))
    end = time.monotonic() + 30
    while two_workers.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_is_shared_and_what_is_cut_out_of_it_stay_tasks():
    """Two chunks that are read once each, cut in four, and used twice in every block."""
    read = []

    def chunk(block_info=None):
        first = block_info[None]["array-location"][0][0]
        read.append(first)
        return np.arange(first, first + 4.0)

    chunks = da.map_blocks(chunk, chunks=((4, 4),), dtype=float, meta=np.empty(0))
    blocks = chunks.rechunk(1)
    joined = (blocks + 1) * (blocks - 1) + da.arange(8, chunks=1)
    fused = one_task_each(joined)
    assert len(fused.dask) == 2 + 8 + 8
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), np.arange(8.0) ** 2 - 1 + np.arange(8))
    assert sorted(read) == [0, 4]


def test_an_output_may_need_another():
    layer = {("x", 0): (np.ones, 1), ("x", 1): (np.add, ("x", 0), 1), ("x", 2): (np.add, ("x", 1), ("x", 0))}
    array = da.Array(HighLevelGraph.from_collections("x", layer), "x", chunks=((1, 1, 1),), dtype=float)
    assert one_task_each(array).compute(scheduler="synchronous").tolist() == [1, 2, 3]
