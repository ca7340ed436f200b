"""Batches of tasks: few at a time, overlapping on a cluster, and nothing more after an error."""

import dask
import pytest

from glassdask import graphs
from glassdask.store import progress


def counted(n, handed):
    """`n` batches of two tasks; each is noted when it is asked for."""
    for k in range(n):
        handed.append(k)
        yield [dask.delayed(pow)(k, 2), dask.delayed(pow)(k, 3)]


@pytest.mark.parametrize("overlap", [1, pytest.param(graphs.OUTSTANDING, marks=pytest.mark.cluster)])
def test_few_batches_at_a_time_in_order(request, overlap):
    if overlap > 1:
        request.getfixturevalue("two_workers")
    handed = []
    for k, results in enumerate(graphs.compute_batches(counted(7, handed))):
        assert results == [k**2, k**3]
        assert len(handed) == min(7, k + overlap)


@pytest.mark.cluster
def test_nothing_is_handed_over_after_an_error(two_workers, tmp_path):
    def task(k):
        if k == 1:
            raise ValueError("one")
        (tmp_path / str(k)).touch()

    calls = ([dask.delayed(task, pure=False)(k)] for k in range(9))
    with pytest.raises(ValueError, match="one"):
        list(graphs.compute_batches(calls))
    two_workers.sync(two_workers.scheduler.identity)  # what was cancelled before this is known to the scheduler now
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "2"}


def test_only_what_may_be_in_work_is_looked_at(monkeypatch):
    monkeypatch.setattr(progress, "LOOKED_AT", 3)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    done, seen, reported = set(), set(), []

    def is_done(item):
        seen.add(item)
        return item in done

    with progress.watched(range(10), is_done, 5, lambda *counts: reported.append(counts)):
        while (5, 15) not in reported:
            pass
        assert seen == {0, 1, 2}
        done |= {0, 2}
        while (7, 15) not in reported:
            pass
    assert reported == sorted(reported)
