"""The command is killed, or the scheduler that works for it: repeated, it ends with the same bytes."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.harness import (
    CHUNKS,
    SLOW,
    cluster,
    ended,
    fingerprint,
    go_on,
    message,
    n_chunks,
    run,
    start,
    stop_when,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_client_killed_and_repeated(store, undisturbed):
    """The command with its own scheduler, killed alone: its workers must not go on for ever either."""
    command = start("describe", store, SLOW, "--cluster", "local", "--workers", "2", "-q")
    stop_when(lambda: n_chunks(store / "descriptors/sbo") >= 3, command)
    os.kill(command.pid, signal.SIGKILL)
    go_on(command)
    command.communicate()  # until its workers have ended as well, which hold the same pipe
    assert n_chunks(store / "descriptors/sbo") < CHUNKS
    kept = {file: file.stat().st_mtime_ns for file in (store / "descriptors/sbo/sbo/c").rglob("0")}
    code, _, err = ended(start("describe", store, SLOW, "--cluster", "threads", "-q"))
    assert (code, err) == (0, "")
    assert fingerprint(store) == undisturbed
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())  # nothing is computed twice


def test_interrupted_at_the_keyboard(store, undisturbed):
    command = start("describe", store, SLOW, "--cluster", "local", "--workers", "1", "-q")
    stop_when(lambda: n_chunks(store / "descriptors/sbo") >= 1, command)
    os.killpg(command.pid, signal.SIGINT)
    go_on(command)
    code, _, err = ended(command)
    assert (code, err) == (130, "glassdask: interrupted; the same command goes on from here\n")
    code, _, err = run("describe", store, SLOW, "--cluster", "threads", "-q")
    assert (code, err) == (0, "")
    assert fingerprint(store) == undisturbed


def test_scheduler_killed_and_repeated(tmp_path, store, undisturbed):
    with cluster(tmp_path, workers=1) as made:
        command = start("describe", store, SLOW, "--cluster", made.address, "-q")
        stop_when(lambda: n_chunks(store / "descriptors/sbo") >= 2, made.workers[0], command)
        os.kill(made.scheduler.pid, signal.SIGKILL)
        made.scheduler.wait()
        go_on(made.workers[0])
        text = message(ended(command))
        assert f"the connection to the scheduler {made.address} was lost" in text
        assert "run the same command again (what is stored stays)" in text
        assert n_chunks(store / "descriptors/sbo") < CHUNKS
    with cluster(tmp_path, workers=1) as made:
        code, _, err = run("describe", store, SLOW, "--cluster", made.address, "-q")
    assert (code, err) == (0, "")
    assert fingerprint(store) == undisturbed


def test_no_scheduler_at_all(store, undisturbed):
    begun = time.monotonic()
    text = message(run("describe", store, SLOW, "--cluster", "tcp://127.0.0.1:9", "-q"))
    assert "no scheduler answers at tcp://127.0.0.1:9" in text
    assert time.monotonic() - begun < 100
