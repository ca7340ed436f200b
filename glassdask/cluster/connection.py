"""A client of whatever does the work, for the time of a ``with`` block."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glassdask.cluster.failures import plain_failures
from glassdask.cluster.jobs import batch_cluster
from glassdask.cluster.overhead import low_overhead
from glassdask.cluster.profile import Profile, read_profile
from glassdask.cluster.tls import security
from glassdask.errors import ClusterError

# Ctrl-C at a prompt reaches workers as well, each of which would print where it was; they end with the cluster
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@contextmanager
def connect(target: str = "local", *, workers: int | None = None) -> Iterator[Any]:
    """A `distributed.Client` for the time of a ``with`` block; every dask computation inside uses it.

    Schedulers, workers and dashboards listen on the loopback interface, or on the interface that a profile names, and
    never on all. Whoever can connect to a scheduler can run code as you; where other people use the same machine or
    network, let the profile ask for TLS.

    Parameters
    ----------
    target : ``"local"`` (a process for each core, on the loopback interface), ``"threads"`` (this process, no cluster),
        the address of a running scheduler such as ``"tcp://10.0.0.5:8786"``, or the path of a TOML or YAML profile;
        ``"slurm"`` is the profile at ``$GLASSDASK_PROFILE``, ``./slurm.toml`` or ``~/.config/glassdask/slurm.toml``.
        For ``tls://`` addresses dask's configuration names the certificates (``distributed.comm.tls``)
    workers : how many; by default one for each core, or what the profile says

    A profile names a batch system and the arguments of its dask-jobqueue class (see ``deploy/slurm/profile.toml``)::

        kind = "slurm"
        workers = 8
        lifetime = "3.8 hours"
        [options]
        queue = "normal"
        cores = 1
        processes = 1
        memory = "4GiB"
        walltime = "04:00:00"
        interface = "ib0"
        local_directory = "$TMPDIR"

    Workers that end (lifetime, wall time, cancelled, lost with their node) are replaced: the wanted number is kept.

    Raises
    ------
    ParameterError
        The target is none of these, or the profile is not understood.
    ClusterError
        No scheduler answers, the batch system refuses the workers' jobs, or workers or the scheduler were lost inside
        the block.

    Examples
    --------
    >>> with connect("threads") as client:
    ...     print(client)
    None
    """
    if target == "threads":
        import dask

        with dask.config.set(scheduler="threads", num_workers=workers or os.cpu_count()):
            yield None
        return
    if "://" in target:
        with _reached(target) as client, plain_failures(client):
            yield client
        return
    from distributed import Client

    profile = read_profile(target) if target != "local" else None
    if profile is None or profile.kind == "local":
        cluster_of = _local_cluster(profile, workers)
    else:
        cluster_of = batch_cluster(profile, workers)
    with cluster_of as cluster, Client(cluster) as client, plain_failures(client):
        yield client


@contextmanager
def _reached(address: str) -> Iterator[Any]:
    """A client of a running scheduler, closed without waiting for one that is gone."""
    from distributed import Client

    try:
        # a client whose start fails leaves threads behind, so that it is made only once the scheduler has answered;
        # asked in a thread of its own, because notebooks have a running loop in this one
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, _greeted(address)).result()
        client = Client(address)
    except TypeError:  # how distributed tells that it has no certificate
        raise ClusterError(
            f"{address}: no certificate to show: name it in dask's configuration (distributed.comm.tls), see "
            "deploy/slurm/README.md"
        ) from None
    except (OSError, ValueError, ImportError) as error:
        raise ClusterError(f"no scheduler answers at {address} ({error}): check the address, or start one") from None
    try:
        yield client
    finally:
        client.close(timeout=2)


async def _greeted(address: str) -> None:
    from distributed import Security
    from distributed.comm import connect

    await (await connect(address, **Security().get_connection_args("client"))).close()


# names, to the processes that a local cluster starts, a file that tells that one of them came here itself
STARTING = "GLASSDASK_STARTING"


@contextmanager
def _main_guarded() -> Iterator[None]:
    """Say what is wrong where the processes of a cluster run the lines of the script that starts it.

    Python's way to start a process runs the file of the script in it first; where nothing keeps the script from
    starting its cluster there, too, no process gets further.
    """
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "mark"
        before = os.environ.get(STARTING)
        os.environ[STARTING] = str(mark)
        try:
            yield
        except RuntimeError:
            if not mark.exists():
                raise
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


@contextmanager
def _local_cluster(profile: Profile | None, workers: int | None) -> Iterator[Any]:
    import dask
    from distributed import LocalCluster

    options = dict(profile.options) if profile else {}
    n = workers or (profile.workers if profile else len(os.sched_getaffinity(0)))
    if "memory" in options:
        options["memory_limit"] = options.pop("memory")
    # loopback only: a scheduler and a dashboard run whatever they are sent. Workers without an address for their
    # dashboard would open one on all interfaces. Failures of tasks are raised here; what workers log about coming and
    # going tells a person at a prompt nothing
    _refuse_while_starting()
    with dask.config.set({"distributed.deploy.lost-worker-timeout": LOCAL_PATIENCE, **low_overhead()}):
        with _main_guarded():
            cluster = LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=[DEAF],
                security=security(profile),
                **options,
            )
        with cluster:
            yield cluster
