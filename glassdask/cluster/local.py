"""Workers that are processes of this machine, which nobody else on it can reach."""

from __future__ import annotations

import logging
import multiprocessing
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glassdask.cluster.overhead import low_overhead
from glassdask.cluster.profile import Profile
from glassdask.cluster.tls import security
from glassdask.errors import ClusterError

# Ctrl-C at a prompt reaches workers as well, each of which would print where it was; they end with the cluster
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

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
                    f"the workers could not be started ({type(why).__name__}: {why}): one was killed, or memory, files "
                    "or disk ran out: run the same command again, or use fewer --workers"
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


# How long a worker that died may take to be back before it is given up for good: nobody starts another one, and the
# work would wait for ever. On a machine that is short of cores, starting takes long.
LOCAL_PATIENCE = "300s"
LOCAL = Profile(kind="local")


def private_folder() -> str:
    """A folder for what workers spill, which is pickled: nobody else can write there or put another in its place.

    dask's own, ``/tmp/dask-scratch-space``, belongs to whoever makes it first. This one stays the same from run to run,
    so that what killed workers left is removed by the next.
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
    with dask.config.set({"distributed.deploy.lost-worker-timeout": LOCAL_PATIENCE, **low_overhead()}):
        with _start_guarded():
            cluster = LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=[DEAF],
                security=security(profile or LOCAL),
                **{"local_directory": private_folder(), **options},
            )
        with cluster:
            yield cluster
