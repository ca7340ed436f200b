"""A client of whatever does the work, for the time of a ``with`` block."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from glassdask.cluster.failures import plain_failures
from glassdask.cluster.jobs import batch_cluster
from glassdask.cluster.local import local_cluster
from glassdask.cluster.profile import read_profile
from glassdask.cluster.watching import watching
from glassdask.errors import ClusterError


@contextmanager
def connect(target: str = "local", *, workers: int | None = None) -> Iterator[Any]:
    """A `distributed.Client` for the time of a ``with`` block; every dask computation inside uses it.

    Schedulers, workers and dashboards listen on the loopback interface, or on the interface that a profile names, and
    never on all. Whoever can connect to a scheduler can run code as you: on this machine nobody else can, by TLS with a
    certificate made for the occasion; where other people use the same network, let the profile ask for it.

    Parameters
    ----------
    target : str, default "local"
        ``"local"`` (a process for each core, on the loopback interface), ``"threads"`` (this process, no cluster), the
        address of a running scheduler such as ``"tcp://10.0.0.5:8786"``, or the path of a TOML or YAML profile;
        ``"slurm"`` is the profile at ``$GLASSDASK_PROFILE``, ``./slurm.toml`` or ``~/.config/glassdask/slurm.toml``.
        For ``tls://`` addresses dask's configuration names the certificates (``distributed.comm.tls``).
    workers : int, optional
        How many; by default one for each core, or what the profile says.

    Yields
    ------
    distributed.Client or None
        None with ``"threads"``.

    Raises
    ------
    ParameterError
        The target is none of these, or the profile is not understood.
    ClusterError
        No scheduler answers, the batch system refuses the workers' jobs, or workers or the scheduler were lost inside
        the block.

    Notes
    -----
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
    One that is silent is told of, and its work goes on elsewhere (`glassdask.cluster.watching`).

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
        cluster_of = local_cluster(profile, workers)
    else:
        cluster_of = batch_cluster(profile, workers)
    with (
        cluster_of as cluster,
        watching(cluster) as watcher,
        Client(cluster) as client,
        plain_failures(client, watcher),
    ):
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
