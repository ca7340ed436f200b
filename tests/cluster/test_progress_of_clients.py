"""Progress of what a cluster does is counted at its scheduler."""

from __future__ import annotations

import threading

import dask
import pytest

from glassdask import reporting
from glassdask.errors import ParameterError


def waited(number, seconds):
    threading.Event().wait(seconds)
    return number


@pytest.mark.cluster
def test_tasks_of_a_cluster_are_counted(two_workers, monkeypatch, capsys):
    monkeypatch.setattr(reporting, "EVERY", 0.1)
    tasks = [dask.delayed(waited, pure=False)(n, 0.05) for n in range(30)]
    dask.compute(tasks[:4])  # of before: they do not count
    with reporting.progress("waiting") as told:
        assert told is not None
        found = dask.compute(tasks[4:])
    assert found[0] == list(range(4, 30))
    lines = capsys.readouterr().err.splitlines()
    counted = [line.split(": ")[1].split(",")[0].split(" of ") for line in lines if " of " in line]
    assert counted, lines
    assert all(0 <= int(done) <= int(total) <= 27 for done, total in counted)
    assert any(int(total) >= 26 for _, total in counted)
    # what is told counts more than what is seen
    with reporting.progress("told") as told:
        told(3, 7)
        dask.compute(tasks[:4])
    assert "told: 3 of 7" in capsys.readouterr().err


def test_a_scheduler_that_cannot_be_asked_is_no_error():
    class Gone:
        asynchronous = False

        def run_on_scheduler(self, function):
            raise OSError("gone")

    assert reporting._handled_by(Gone()) is None
    assert reporting._handled_by(None) is None


def test_look_has_to_be_a_function():
    with pytest.raises(ParameterError, match=r"look is 3: expected a function that gives \(done, total\)"):
        reporting.progress("waiting", look=3)
