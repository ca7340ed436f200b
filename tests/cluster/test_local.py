"""Workers on this machine: nobody else on it can reach them, or the files that they spill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import psutil
import pytest

from glassdask.cluster import connect, local
from glassdask.cluster.local import private_folder
from glassdask.errors import ClusterError
from tests.strangers import only_root, somebody_was_first, tried


@pytest.mark.cluster
@only_root
def test_another_user_is_refused():
    """With no certificate, with one of their own, at the files; all doors at once are in tests.faults.test_uids."""
    folder = private_folder()
    with connect("local", workers=1) as client:
        workers = client.scheduler_info()["workers"]
        addresses = [client.scheduler.address, *workers, *(worker["nanny"] for worker in workers.values())]
        assert all(worker["local_directory"].startswith(f"{folder}/") for worker in workers.values())
        lines = tried(f"secret {folder}", *(f"reach {address}" for address in addresses))
    assert len(lines) == 2 * len(addresses) + 3
    assert all(line.startswith("refused") for line in lines), lines
    assert sum("CommClosedError" in line for line in lines) == 2 * len(addresses), lines


@pytest.mark.parametrize("way", ["fresh", "again", "others may write", "link", "file"])
def test_a_folder_of_ones_own(tmp_path, way):
    """What somebody else has put in its place is not used."""
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        folder = tmp_path / f"glassdask-{os.getuid()}"
        somebody_was_first(way, folder)
        found = private_folder()
    assert (found == str(folder)) == (way in ("fresh", "again"))
    assert os.lstat(found).st_mode & 0o777 == 0o700


@pytest.mark.cluster
def test_a_worker_killed_while_it_starts():
    """One line, not dask's hundred."""
    stop, others = threading.Event(), psutil.Process().children()  # workers of other tests among them

    def kill():
        while not stop.wait(0.01):
            for child in psutil.Process().children():
                if child not in others and "spawn_main" in " ".join(child.cmdline()):
                    child.send_signal(signal.SIGKILL)
                    return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(
            ClusterError, match=r"the workers could not be started .*run the same command again"
        ) as told:
            connect("local", workers=1).__enter__()
    finally:
        stop.set()
        killer.join()
    assert "\n" not in str(told.value)


ORPHAN = """
from glassdask.cluster import connect
if __name__ == "__main__":
    with connect("local", workers=2) as client:
        client.map(sum, [[1]] * 10)
        print(*client.run(__import__("os").getpid).values(), flush=True)
        input()
"""


@pytest.mark.cluster
def test_workers_of_a_killed_client_end(tmp_path):
    (tmp_path / "client.py").write_text(ORPHAN)
    command = [sys.executable, tmp_path / "client.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as client:
        workers = [psutil.Process(int(pid)) for pid in client.stdout.readline().split()]
        client.kill()
        assert len(workers) == 2
        end = time.monotonic() + 60
        while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert "Traceback" not in client.stderr.read()


FROZEN = """
import os, signal
from multiprocessing import context, popen_spawn_posix
from glassdask.cluster import connect

class Frozen(popen_spawn_posix.Popen):  # a worker stands still as soon as there is a process of it
    def _launch(self, process):
        super()._launch(process)
        os.kill(self.pid, signal.SIGSTOP)

if __name__ == "__main__":
    context.SpawnProcess._Popen = staticmethod(Frozen)
    with connect("local", workers=1):
        pass
"""


@pytest.mark.cluster
@pytest.mark.slow
def test_a_worker_that_stands_still_while_it_starts(tmp_path):
    (tmp_path / "frozen.py").write_text(FROZEN)
    done = subprocess.run([sys.executable, tmp_path / "frozen.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "one was killed or stood still" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not local.SEMAPHORES.is_dir(), reason="no /dev/shm")
def test_semaphores_of_processes_that_are_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "SEMAPHORES", tmp_path)
    here = os.stat("/proc/self/ns/pid").st_ino
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {f"sem.glassdask-{here}-{ended.pid}-x": False, f"sem.glassdask-{here}-{os.getpid()}-x": True}
    names |= {f"sem.glassdask-{here + 1}-{ended.pid}-x": True, "sem.mp-x": True}
    for name in names:
        (tmp_path / name).touch()
    with local._named_semaphores():
        pass
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_semaphores_bear_our_name():
    """In a process of its own: others change how multiprocessing names them, for good."""
    code = (
        "import multiprocessing\nfrom glassdask.cluster import local\n"
        "def name(): return multiprocessing.get_context('spawn').Lock()._semlock.name\n"
        "with local._named_semaphores(): print(name())\nprint(name())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    inside, after = done.stdout.split()
    assert inside.startswith(f"/glassdask-{os.stat('/proc/self/ns/pid').st_ino}-")
    assert after.startswith("/mp-")
