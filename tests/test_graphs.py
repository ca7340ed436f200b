"""Long lists of tasks on a cluster: their results are not lost with the workers that made them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from dask.highlevelgraph import HighLevelGraph

from glassdask import graphs
from glassdask.cli.cluster import kernel_speed
from glassdask.cluster import connect
from glassdask.graphs import compute, compute_batches, one_task_each, within_task


def threads_of(blocks=8):
    """A lazy array whose blocks are the numbers of the threads that compute them."""

    def where(block):
        time.sleep(0.01)
        return np.full_like(block, threading.get_ident())

    return da.zeros(blocks, chunks=1, dtype=np.int64).map_blocks(where, meta=np.empty(0, np.int64))


def test_a_task_computes_in_its_own_thread_and_changes_nothing_for_others():
    """As many tasks as there are threads, one inside of the other in time: dask's configuration is the process's."""
    before = dask.config.get("scheduler", None)
    others, seen = [], []

    @dask.delayed(pure=False)
    def task(k):
        with within_task():
            time.sleep(0.02 * (k % 3))
            inside = {threading.get_ident()} == {*compute(threads_of())[0].tolist()}
            (written,) = compute_batches([[threads_of()]])
            inside &= {threading.get_ident()} == {*written[0].tolist()}
            seen.append(dask.config.get("scheduler", None))
        return inside

    def session():
        while len(seen) < 6:
            others.append(len({*compute(threads_of())[0].tolist()}))

    user = threading.Thread(target=session)
    user.start()
    with dask.config.set(num_workers=6):
        assert dask.compute(*map(task, range(6)), scheduler="threads") == (True,) * 6
    user.join()
    assert seen == [before] * 6
    assert max(others) > 1  # the session of the user had all its threads meanwhile
    assert dask.config.get("scheduler", None) == before
    assert len({*compute(threads_of())[0].tolist()}) > 1


def test_within_a_task_is_over_after_an_error():
    with pytest.raises(ZeroDivisionError), within_task():
        raise ZeroDivisionError
    assert len({*compute(threads_of())[0].tolist()}) > 1


@pytest.mark.slow
def test_the_session_keeps_its_scheduler_after_threaded_tasks_of_ours():
    before = dask.config.get("scheduler", None)
    speeds = dask.compute(*[dask.delayed(kernel_speed, pure=False)() for _ in range(6)], scheduler="threads")
    assert min(speeds) > 0
    assert dask.config.get("scheduler", None) == before
    assert len({*compute(threads_of())[0].tolist()}) > 1


def test_no_task_of_ours_touches_the_configuration():
    """Where a scheduler is asked for, it is for a person at a prompt (`connect`), not for a task."""
    package = Path(graphs.__file__).parent
    asked = {str(f.relative_to(package)) for f in package.rglob("*.py") if "config.set(scheduler" in f.read_text()}
    assert asked == {"cluster/connection.py"}


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
def test_many_workers_have_more_batches(two_workers, monkeypatch):
    handed = []
    batches = ((handed.append(k), [dask.delayed(abs)(-k)])[1] for k in range(12))
    monkeypatch.setattr("glassdask.graphs.BATCH", 1)  # less than the workers have threads
    first = next(iter(compute_batches(batches)))
    assert first == [0]
    assert len(handed) == 1 + 2 * sum(two_workers.nthreads().values())


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


def test_what_is_given_to_all_is_no_share():
    """What only one block needs is in its task, also where it needs nothing but what comes with the graph."""
    table = dask.delayed(np.arange(5.0), name="table", traverse=False)
    numbers = da.core.ArrayBlockIdDep(((1,) * 5,))
    blocks = da.blockwise(
        lambda table, n: table[list(n)], "i", table, None, numbers, "i", dtype=float, meta=np.empty(0),
        align_arrays=False,
    )  # fmt: skip
    joined = da.stack([blocks + 1, blocks - 1]).sum(axis=0)
    fused = one_task_each(joined)
    assert len(fused.dask) == 5 + 1
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), 2.0 * np.arange(5))


def test_an_output_may_need_another():
    layer = {("x", 0): (np.ones, 1), ("x", 1): (np.add, ("x", 0), 1), ("x", 2): (np.add, ("x", 1), ("x", 0))}
    array = da.Array(HighLevelGraph.from_collections("x", layer), "x", chunks=((1, 1, 1),), dtype=float)
    assert one_task_each(array).compute(scheduler="synchronous").tolist() == [1, 2, 3]


def doubled(n):
    return int(compute(2 * da.arange(n, chunks=1).sum())[0])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [None, 2])
def test_a_forked_process_computes_after_its_parent_has(workers):
    """`multiprocessing` forks by default before Python 3.14; the threads of the parent are not in its children."""
    with dask.config.set(num_workers=workers) if workers else nullcontext():
        assert doubled(10) == 90
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(doubled, [10, 20]).get(60) == [90, 380]
