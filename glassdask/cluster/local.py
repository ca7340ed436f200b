"""Workers that are processes of this machine, which nobody else on it can reach."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from glassdask.cluster.overhead import low_overhead
from glassdask.cluster.profile import Profile
from glassdask.cluster.tls import security
from glassdask.cluster.watching import LOOK_SECONDS, STOPPED_SECONDS
from glassdask.errors import ClusterError

# most of what workers need they import with their first task
RESTING = "from glassdask.starting import rest; rest()"

# names, to the processes that a local cluster starts, a file that tells that one of them came here itself
STARTING = "GLASSDASK_STARTING"


@contextmanager
def _start_guarded() -> Iterator[None]:
    """Say what is wrong where the processes of a cluster do not start.

    One reason is that they run the lines of the script that starts it.
    Python's way to start a process runs the file of the script in it first; where nothing keeps the script from
    starting its cluster there, too, no process gets further.
    """
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "mark"
        before = os.environ.get(STARTING)
        os.environ[STARTING] = str(mark)
        try:
            yield
        except (RuntimeError, OSError) as error:
            if not mark.exists():
                why = error.__cause__ or error
                raise ClusterError(
                    f"the workers could not be started ({type(why).__name__}: {why}): one was killed or stood still, "
                    "or memory, files or disk ran out: run the same command again, or use fewer --workers"
                ) from None
            raise ClusterError(
                "the processes of the workers run this script, too, and would start workers of their own: put the "
                'lines that connect below `if __name__ == "__main__":`'
            ) from None
        finally:
            os.environ.pop(STARTING)
            if before is not None:
                os.environ[STARTING] = before


def _refuse_while_starting() -> None:
    """End a process of a cluster that is about to start a cluster because it runs the script that started it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False) and STARTING in os.environ:
        with suppress(OSError):
            Path(os.environ[STARTING]).touch()
        os._exit(1)


SEMAPHORES = Path("/dev/shm")


@contextmanager
def _named_semaphores() -> Iterator[None]:
    """Let the semaphores of the processes that are started here bear our name, so that abandoned ones are known.

    Python takes them away when their processes end, but not where all of these are killed at once. Those of processes
    that are gone are taken away here.
    """
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    before = settings.get("semprefix")
    with suppress(OSError):
        here = os.stat("/proc/self/ns/pid").st_ino  # process numbers of another container are not ours
        for file in SEMAPHORES.glob(f"sem.glassdask-{here}-*"):
            if not Path("/proc", file.name.split("-")[2]).exists():
                file.unlink(missing_ok=True)
        settings["semprefix"] = f"/glassdask-{here}-{os.getpid()}"
    try:
        yield
    finally:
        settings["semprefix"] = before


@contextmanager
def _ending_stopped() -> Iterator[None]:
    """End processes below this one that stand still (SIGSTOP) while the workers start: nobody else looks yet."""
    import psutil

    over = threading.Event()
    looks: dict[int, int] = {}

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            with suppress(psutil.Error):
                for child in psutil.Process().children(recursive=True):
                    with suppress(psutil.Error):
                        stopped = child.status() == psutil.STATUS_STOPPED
                        looks[child.pid] = looks.get(child.pid, 0) + 1 if stopped else 0
                        if looks[child.pid] * LOOK_SECONDS >= STOPPED_SECONDS:
                            child.kill()

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()


@contextmanager
def _deaf() -> Iterator[list[int]]:
    """Let the threads that are made here, and the processes that these start, now or later, not hear Ctrl-C.

    At a prompt it reaches workers as well, each of which would print where it was, be it among its first imports; they
    end with the cluster. This process only notes it, in the list that is yielded: what is half made cannot be closed.
    """
    heard: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    resource_tracker.ensure_running()  # Python would let the thread that starts it hear again
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if main else None
    try:
        yield heard
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


# How long a worker that died may take to be back before it is given up for good: nobody starts another one, and the
# work would wait for ever. On a machine that is short of cores, starting takes long.
LOCAL_PATIENCE = "300s"
LOCAL = Profile(kind="local")


def private_folder() -> str:
    """A folder for what workers spill, which is pickled: nobody else can write there or put another in its place.

    dask's own, ``/tmp/dask-scratch-space``, belongs to whoever makes it first, and schedulers and workers look there
    for modules before they look anywhere else. This one stays the same from run to run, so that what killed workers
    left is removed by the next.
    """
    import dask

    folder = Path(dask.config.get("temporary-directory") or tempfile.gettempdir()) / f"glassdask-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return str(folder)
    return tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent)


@contextmanager
def local_cluster(profile: Profile | None, workers: int | None) -> Iterator[Any]:
    """A `distributed.LocalCluster`; nothing of it can be reached from elsewhere, or by other users of this machine."""
    import dask
    from distributed import LocalCluster

    options = dict(profile.options) if profile else {}
    n = workers or (profile.workers if profile else len(os.sched_getaffinity(0)))
    if "memory" in options:
        options["memory_limit"] = options.pop("memory")
    # loopback only: a scheduler and a dashboard run whatever they are sent. Workers without an address for their
    # dashboard would open one on all interfaces. Other users of this machine reach the loopback interface, too: TLS, by
    # default with a certificate that only these processes have. Failures of tasks are raised here; what workers log
    # about coming and going tells a person at a prompt nothing
    _refuse_while_starting()
    waiting = {"distributed.deploy.lost-worker-timeout": LOCAL_PATIENCE}
    folder = private_folder()
    with _named_semaphores(), dask.config.set({**waiting, **low_overhead(), "temporary-directory": folder}):
        with _start_guarded(), _ending_stopped(), _deaf() as heard:
            cluster = LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=[RESTING],
                security=security(profile or LOCAL),
                **{"local_directory": folder, **options},
            )
        with cluster:
            if heard:
                raise KeyboardInterrupt
            yield cluster
