"""Workers that are silent, cut off or stopped: told of, and their work goes on elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from glassdask.cluster import connect, watching
from glassdask.cluster.watching import FULL_SECONDS, LOOK_SECONDS, SILENT_SECONDS, STOPPED_SECONDS, Watcher


class FakeScheduler:
    """Workers that give signs of life by hand."""

    def __init__(self, names):
        self.workers = {f"tls://{name}": SimpleNamespace(name=name, last_seen=0.0) for name in names}
        self.restarted, self.clients, self.cancelled = [], {}, []

    def stimulus_cancel(self, keys, **_):
        self.cancelled += keys

    async def restart_workers(self, lost, **_):
        self.restarted += lost
        for address in lost:
            del self.workers[address]


@pytest.fixture
def watcher():
    return Watcher(SimpleNamespace(scheduler=FakeScheduler(["a", "b"]), workers={}), patience=300.0)


def look(watcher, seconds, alive=("a", "b")):
    """Look for some time, while these workers are alive."""
    for k in range(round(seconds / LOOK_SECONDS)):
        for name in alive:
            if worker := watcher.cluster.scheduler.workers.get(f"tls://{name}"):
                worker.last_seen += 1.0 + k
        asyncio.run(watcher.look())


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def test_who_lives_is_left_alone(watcher, caplog):
    look(watcher, 1000.0)
    assert (told(caplog), watcher.cluster.scheduler.restarted) == ([], [])


def test_a_worker_that_is_full_is_ended_and_the_work_given_up_where_that_does_not_help(watcher, caplog, monkeypatch):
    killed = []
    monkeypatch.setattr(watching.os, "kill", lambda pid, _: killed.append(pid))
    own = int(os.getpid())
    scheduler, worker = watcher.cluster.scheduler, watcher.cluster.scheduler.workers["tls://a"]
    paused = SimpleNamespace(name="paused")
    vars(worker).update(status=paused, executing={}, memory_limit=300 * 2**20, metrics={"memory": 256 * 2**20})
    watcher.cluster.workers["a"] = SimpleNamespace(pid=own, worker_address="tls://a")
    look(watcher, 100.0)  # nobody waits for anything
    assert killed == []
    scheduler.clients["me"] = SimpleNamespace(wants_what=[SimpleNamespace(key="task", dependents=[])])
    worker.executing = {"task": 1.0}
    look(watcher, 100.0)  # what runs may end
    assert killed == []
    worker.executing = {}
    look(watcher, FULL_SECONDS)
    assert (killed, scheduler.cancelled, watcher.failure) == ([own], [], None)
    assert told(caplog) == [f"worker a (process {own}): its memory is full: ended, another one takes its place"]
    worker.executing = {"task": 1.0}  # that helped
    look(watcher, LOOK_SECONDS)
    worker.executing = {}
    look(watcher, FULL_SECONDS)
    assert (len(killed), scheduler.cancelled) == (2, [])
    look(watcher, FULL_SECONDS)
    assert (len(killed), scheduler.cancelled) == (3, ["task"])
    assert watcher.failure == (
        "a worker takes 256 MiB before any task, and begins none above 80% of its memory limit of 300 MiB: give "
        "workers at least 420 MiB"
    )


def test_silence_is_told_once_and_ends(watcher, caplog):
    look(watcher, SILENT_SECONDS + 10.0, alive=["a"])
    assert told(caplog) == [
        "worker b at tls://b: no sign of life for 30 s: it is stopped, cut off or busy with one long call; after 300 s "
        "its work is done elsewhere"
    ]
    look(watcher, 310.0, alive=["a"])
    assert told(caplog)[1:] == ["worker b at tls://b: given up, its work is done elsewhere"]
    assert watcher.cluster.scheduler.restarted == ["tls://b"]
    look(watcher, 1000.0, alive=["a"])
    assert len(told(caplog)) == 2


def test_a_long_call_is_no_death(watcher, caplog):
    look(watcher, 250.0, alive=["a"])
    look(watcher, 10.0)
    look(watcher, 250.0, alive=["a"])
    assert watcher.cluster.scheduler.restarted == []
    assert len(told(caplog)) == 2


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_is_set_and_a_machine_that_sleeps_kill_nobody(watcher, caplog, jump):
    """Workers' signs of life have the time of the clock; between two looks any time may pass."""
    look(watcher, 10.0)
    for worker in watcher.cluster.scheduler.workers.values():
        worker.last_seen += jump
    look(watcher, 10.0)
    assert (told(caplog), watcher.cluster.scheduler.restarted) == ([], [])


def sent(process, number, stopped):
    """Send a signal and wait until it has done what it does."""
    os.kill(process.pid, number)
    while (psutil.Process(process.pid).status() == psutil.STATUS_STOPPED) != stopped:
        time.sleep(0.01)


def test_a_process_that_stands_still_is_ended(watcher, caplog):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        watcher.cluster.workers = {0: SimpleNamespace(pid=process.pid), 1: SimpleNamespace(pid=None)}
        look(watcher, 2 * STOPPED_SECONDS)
        for _ in range(2):  # Ctrl-Z and fg, twice
            sent(process, signal.SIGSTOP, True)
            look(watcher, STOPPED_SECONDS - LOOK_SECONDS)
            sent(process, signal.SIGCONT, False)
            look(watcher, LOOK_SECONDS)
        assert process.poll() is None
        sent(process, signal.SIGSTOP, True)
        look(watcher, STOPPED_SECONDS)
        assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()
    assert told(caplog) == [
        f"worker 0 (process {process.pid}): stopped by a signal: ended, another one takes its place"
    ]


@pytest.mark.cluster
@pytest.mark.slow
def test_work_of_a_frozen_worker_is_done(monkeypatch, caplog):
    monkeypatch.setattr(watching, "STOPPED_SECONDS", 2.0)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.5)
    with connect("local", workers=2) as client:
        pids = client.run(os.getpid)
        futures = client.map(lambda k: time.sleep(0.2) or k, range(20), pure=False)
        victim = next(iter(pids.values()))
        os.kill(victim, signal.SIGSTOP)
        assert client.gather(futures) == list(range(20))
    assert (
        [line for line in told(caplog) if line.startswith("worker ")]
        == [line for line in told(caplog) if f"(process {victim}): stopped by a signal" in line]
        != []
    )
