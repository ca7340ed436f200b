"""Locks of runs: what a killed process leaves does not stand in the way, what a living one holds does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from glassdask.errors import StoreError
from glassdask.sweep import lock
from glassdask.sweep.lock import holders, locked

HOLD = (
    "import sys; from glassdask.sweep.lock import locked\nwith locked(sys.argv[1]): print('held', flush=True); input()"
)


def lock_file(root):
    return root / ".sweep" / "locks" / "all.json"


def change(file, **what):
    file.write_text(json.dumps({**json.loads(file.read_text()), **what}))


def leave_dead_lock(root):
    """A lock as a process of this machine leaves it that was killed."""
    with locked(root):
        content = lock_file(root).read_text()
    lock_file(root).write_text(content)
    change(lock_file(root), born="1", token="dead")


def test_killed_holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"held\n"
        assert [run["pid"] for run in holders(tmp_path)] == [process.pid]
        with pytest.raises(StoreError, match=rf"process {process.pid}\) since"), locked(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert lock_file(tmp_path).exists()
    assert holders(tmp_path) == []
    with locked(tmp_path):
        assert [run["pid"] for run in holders(tmp_path)] == [os.getpid()]
    assert not list(lock_file(tmp_path).parent.iterdir())


def test_number_of_a_dead_process_is_used_again(tmp_path):
    """A process with the holder's number that was born later is not the holder."""
    with locked(tmp_path):
        change(lock_file(tmp_path), born="1")
        with locked(tmp_path):
            pass


@pytest.mark.parametrize(
    ("age", "stale"),
    [(0.0, False), (lock.STALE_SECONDS - 30, False), (lock.STALE_SECONDS + 30, True), (-1e7, True)],
)
def test_other_machine(tmp_path, monkeypatch, age, stale):
    """Of a process on another machine only the heartbeat tells, also where it was killed before a clock was set."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with locked(tmp_path):
        content = lock_file(tmp_path).read_text()
    lock_file(tmp_path).write_text(content)
    change(lock_file(tmp_path), machine="elsewhere", host="node7", pid=1)
    beat = lock_file(tmp_path).stat().st_mtime - age
    os.utime(lock_file(tmp_path), (beat, beat))
    assert len(holders(tmp_path)) == (not stale)
    if stale:
        with locked(tmp_path):
            pass
    else:
        with pytest.raises(StoreError, match="on node7"), locked(tmp_path):
            pass


def test_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with locked(tmp_path):
        os.utime(lock_file(tmp_path), (1.0, 1.0))
        beaten = threading.Event()
        for _ in range(1000):
            if lock_file(tmp_path).stat().st_mtime > 1.0:
                break
            beaten.wait(0.01)
        assert lock_file(tmp_path).stat().st_mtime > 1.0


@pytest.mark.parametrize("jump", [-1e7, 1e7])
def test_a_clock_is_set(tmp_path, monkeypatch, jump):
    """A run elsewhere goes on to touch its lock, whatever time that has."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    with locked(tmp_path):
        content = lock_file(tmp_path).read_text()
    lock_file(tmp_path).write_text(content)
    change(lock_file(tmp_path), machine="elsewhere", host="node7")
    now, over = lock_file(tmp_path).stat().st_mtime + jump, threading.Event()

    def beat():
        for k in range(10_000):
            os.utime(lock_file(tmp_path), (now + k, now + k))
            if over.wait(0.01):
                return

    beater = threading.Thread(target=beat)
    beater.start()
    with pytest.raises(StoreError, match="on node7"), locked(tmp_path):
        pass
    over.set()
    beater.join()


def test_a_torn_lock(tmp_path, monkeypatch):
    """What a loss of power has left is nobody's, unless it is touched; an empty one may be just being made."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    leave_dead_lock(tmp_path)
    text = lock_file(tmp_path).read_bytes()
    lock_file(tmp_path).write_bytes(b"")
    with pytest.raises(StoreError, match="is run by somebody"), locked(tmp_path):
        pass
    lock_file(tmp_path).write_bytes(text[: len(text) // 2] + bytes(len(text) // 2))
    assert holders(tmp_path) == []
    ended = threading.Event()

    def touch():
        while not ended.wait(0.005):
            os.utime(lock_file(tmp_path))

    living = threading.Thread(target=touch)
    living.start()
    try:
        with pytest.raises(StoreError, match="is run by somebody"), locked(tmp_path):
            pass
    finally:
        ended.set()
        living.join()
    with locked(tmp_path):
        assert len(holders(tmp_path)) == 1


def test_a_lock_that_comes_between_two_looks_is_not_torn(tmp_path, monkeypatch):
    with locked(tmp_path):
        read, looks = lock._holder, [{}]
        monkeypatch.setattr(lock, "_holder", lambda file: looks.pop() if looks else read(file))
        (found,) = holders(tmp_path)
        assert found["pid"] == os.getpid()


def test_lost_lock(tmp_path):
    """A run that was stopped so long that another took over ends, and leaves the other's lock alone."""
    with locked(tmp_path) as still_ours:
        still_ours()
        change(lock_file(tmp_path), token="another")
        with pytest.raises(StoreError, match="taken over"):
            still_ours()
    assert lock_file(tmp_path).exists()


def test_shares(tmp_path):
    with locked(tmp_path, (1, 3)), locked(tmp_path, (2, 3)):
        assert [run["share"] for run in holders(tmp_path)] == ["1-of-3", "2-of-3"]
        for other in ((1, 3), (1, 2), None):
            with pytest.raises(StoreError, match="is run by"), locked(tmp_path, other):
                pass
        assert len(holders(tmp_path)) == 2
    with locked(tmp_path), pytest.raises(StoreError, match="is run by"), locked(tmp_path, (1, 3)):
        pass


@pytest.mark.parametrize("attempt", range(20))
def test_one_of_many_takes_a_stale_lock(tmp_path, attempt):
    """Of many that find a dead lock at the same time exactly one gets it."""
    leave_dead_lock(tmp_path)
    ready, all_tried, taken, refused = threading.Barrier(8), threading.Barrier(8), [], []

    def take():
        ready.wait(60)
        try:
            with locked(tmp_path):
                taken.append(1)
                all_tried.wait(60)
        except StoreError as error:
            refused.append(str(error))
            all_tried.wait(60)

    threads = [threading.Thread(target=take, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(taken), len(refused)) == (1, 7), refused
    assert not list(lock_file(tmp_path).parent.iterdir())


def test_a_faster_newcomer_is_not_removed(tmp_path, monkeypatch):
    """Who sees a dead lock, and gets the claim after another has put its own in place, leaves that one alone."""
    leave_dead_lock(tmp_path)
    create, others = lock.create, []

    def slow(file, text):
        """Between the look and the claim another one takes the lock."""
        if file.suffix == ".claim" and not others:
            others.append(locked(tmp_path))
            others[0].__enter__()
        return create(file, text)

    monkeypatch.setattr(lock, "create", slow)
    with pytest.raises(StoreError, match="is run by"), locked(tmp_path):
        pass
    assert [run["pid"] for run in holders(tmp_path)] == [os.getpid()]
    others[0].__exit__(None, None, None)
    assert not list(lock_file(tmp_path).parent.iterdir())


def test_claim_of_a_killed_process(tmp_path):
    """Killed while it cleared a dead lock: the next run waits a little, then clears both."""
    with locked(tmp_path):
        change(lock_file(tmp_path), born="1")
        claim = lock_file(tmp_path).with_suffix(".claim")
        claim.touch()
        old = claim.stat().st_mtime - lock.CLAIM_SECONDS - 1
        os.utime(claim, (old, old))
        with locked(tmp_path):
            assert not claim.exists()
