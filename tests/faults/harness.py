"""Processes that are to be disturbed, and what tells whether anything of the result was."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import dask
import distributed  # noqa: F401  (its defaults come with it: within `run` they would go with the settings)
import numpy as np

import glassdask as gd
from tests.faults.points import main_of

# long enough to be caught in the middle (sixteen tasks of a few tenths of a second), small enough for every day
N_FRAMES, N_PARTICLES = 64, 1000
SLOW = "sbo:l_max=32,gamma=8,cutoffs=1.5"
OTHER = "sbo:l_max=30,gamma=8,cutoffs=1.5"
CHUNKS = 16
DEADLINE = 180  # seconds after which a test gives up; nothing depends on it as long as nothing hangs
SETTINGS = {
    # a lost scheduler is noticed at once; how long a client then waits for another one is not what is tested
    "distributed.comm.timeouts.connect": "3s",
    # sixteen tasks of the little work that there is
    "glassdask.task.seconds": 0.2,
}
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(Path(gd.__file__).parents[1]),
    **{f"DASK_{name.replace('.', '__').upper()}": str(value) for name, value in SETTINGS.items()},
}


def trajectory(n_frames: int = N_FRAMES, n_particles: int = N_PARTICLES):
    """Particles at random in a cube at the density of a liquid."""
    rng = np.random.default_rng(6)
    edge = (n_particles / 1.2) ** (1 / 3)
    species = np.where(np.arange(n_particles) % 5 == 0, "B", "A")
    return gd.from_arrays(rng.random((n_frames, n_particles, 3)) * edge, species=species, box=[edge] * 3)


def fingerprint(store: Path) -> dict[str, str]:
    """SHA-256 of every file of a store but for its times; what is left over by a killed process has a place too."""
    found = {}
    beside = [path for top in store.parent.glob(f"*{store.name}*") for path in (top, *top.rglob("*"))]
    for file in sorted(path for path in beside if path.is_file()):
        content = file.read_bytes()
        if file.name == "zarr.json":
            with contextlib.suppress(ValueError):  # torn: as it is
                content = json.dumps(timeless(json.loads(content)), sort_keys=True).encode()
        found[str(file.relative_to(store.parent))] = hashlib.sha256(content).hexdigest()
    return found


def timeless(metadata: Any) -> Any:
    """Metadata, also those in a ledger, without times and the checksums that cover them."""
    if isinstance(metadata, dict):
        times = ("created", "ingested", "seal")
        return {key: timeless(value) for key, value in metadata.items() if key not in times}
    return [timeless(item) for item in metadata] if isinstance(metadata, list) else metadata


def n_chunks(group: Path) -> int:
    """Chunk files of the arrays of a group that have frames."""
    return len([file for file in group.glob("sbo/c/**/*") if file.is_file() and file.suffix != ".partial"])


def start(*arguments: object) -> subprocess.Popen:
    """A ``glassdask`` command in a process (group) of its own."""
    return start_process([sys.executable, "-m", "glassdask", *arguments], ENVIRONMENT)


def start_process(command: list[object], environment: dict[str, str]) -> subprocess.Popen:
    """A process whose descendants can be killed with it."""
    words, pipe = list(map(str, command)), subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that ends by itself."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        kill(process)
        raise AssertionError(f"hangs: {' '.join(map(str, process.args))}") from None
    return process.returncode, out, err


def run(*arguments: object) -> tuple[int, str, str]:
    """The same of a ``glassdask`` command that nobody disturbs, in this process, where all is imported."""
    out, err = io.StringIO(), io.StringIO()
    with dask.config.set(SETTINGS), redirect_stdout(out), redirect_stderr(err):
        code = main_of([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def message(result: tuple[int, str, str]) -> str:
    """What a command that failed says: one line, without a traceback, and exit code 1."""
    code, _, err = result
    assert code == 1, err
    assert "Traceback" not in err, err
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("glassdask: ")
    return lines[0]


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for(condition: Callable[[], object], *alive: subprocess.Popen) -> None:
    """Look until something is so; the processes on which it depends must go on meanwhile."""
    end = time.monotonic() + DEADLINE
    while not condition():
        for process in alive:
            if process.poll() is not None:
                raise AssertionError(f"ended too early: {process.communicate()}")
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def stop_when(condition: Callable[[], object], worker: subprocess.Popen, *alive: subprocess.Popen) -> None:
    """Stop a process and all that it started as soon as something is so, however busy the machine is.

    They work for a moment at a time, and stand still while we look.
    """

    def looked() -> object:
        os.killpg(worker.pid, signal.SIGSTOP)
        found = condition()
        if not found:
            os.killpg(worker.pid, signal.SIGCONT)
        return found

    wait_for(looked, worker, *alive)


def go_on(worker: subprocess.Popen) -> None:
    """Let them work again."""
    os.killpg(worker.pid, signal.SIGCONT)


class Cluster:
    """A scheduler and workers, each a process (group) of its own on the loopback interface."""

    def __init__(self, folder: Path, workers: int = 2, memory: str = "2GiB", **config: object) -> None:
        self.folder = folder
        names = {f"DASK_{name}": str(value) for name, value in config.items()}
        self.environment = {**ENVIRONMENT, **names}
        self.file = folder / f"scheduler-{time.monotonic_ns()}.json"
        command = [*self._dask("scheduler"), "--port", "0", "--scheduler-file", self.file]
        self.scheduler = start_process(command, self.environment)
        wait_for(self.file.exists, self.scheduler)
        wait_for(lambda: self.file.read_text().rstrip().endswith("}"), self.scheduler)
        self.address = json.loads(self.file.read_text())["address"]
        self.workers = [self.add_worker(memory) for _ in range(workers)]

    def _dask(self, what: str) -> list[object]:
        module = f"distributed.cli.dask_{what}"
        return [sys.executable, "-m", module, "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]

    def add_worker(self, memory: str) -> subprocess.Popen:
        """Start one more worker with a nanny."""
        options = ["--nthreads", "1", "--memory-limit", memory, "--local-directory", self.folder]
        command = [*self._dask("worker"), self.address, *options]
        return start_process(command, self.environment)

    def close(self) -> None:
        """Kill everything."""
        for process in (*self.workers, self.scheduler):
            kill(process)


@contextmanager
def cluster(folder: Path, **options) -> Iterator[Cluster]:
    """A `Cluster` for the time of a block."""
    made = Cluster(folder, **options)
    try:
        yield made
    finally:
        made.close()
