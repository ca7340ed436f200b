"""Where the work runs: this machine's cores, a scheduler's address, or a batch system described in a file."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glassdask.errors import ParameterError

# Batch systems by the names that a profile may use, and the classes of dask-jobqueue that speak to them.
BATCH_SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}


@contextmanager
def connect(target: str = "local", *, workers: int | None = None) -> Iterator[Any]:
    """A `distributed.Client` for the time of a ``with`` block; every dask computation inside uses it.

    Parameters
    ----------
    target : ``"local"`` (a process for each core, on the loopback interface), ``"threads"`` (this process, no cluster),
        the address of a running scheduler such as ``"tcp://10.0.0.5:8786"``, or the path of a TOML profile
    workers : how many; by default one for each core, or what the profile says

    A profile names a batch system and the arguments of its dask-jobqueue class::

        kind = "slurm"
        workers = 8
        [options]
        queue = "normal"
        cores = 1
        processes = 1
        memory = "4GiB"
        walltime = "04:00:00"
        interface = "ib0"

    Raises
    ------
    ParameterError
        The target is none of these, or the profile is not understood.

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
    from distributed import Client

    if "://" in target:
        with Client(target) as client:
            yield client
        return
    with _cluster(target, workers) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def _cluster(target: str, workers: int | None) -> Iterator[Any]:
    from distributed import LocalCluster

    if target == "local":
        n = workers or len(os.sched_getaffinity(0))
        # loopback only: a scheduler and a dashboard run whatever they are sent. Failures of tasks are raised here; what
        # workers log about coming and going tells a person at a prompt nothing
        with LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster
        return
    profile = read_profile(target)
    import dask_jobqueue

    with getattr(dask_jobqueue, BATCH_SYSTEMS[profile["kind"]])(**profile["options"]) as cluster:
        cluster.scale(workers or profile["workers"])
        yield cluster


def read_profile(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The checked content of a cluster profile: kind, workers, options."""
    file = Path(path)
    if not file.is_file():
        raise ParameterError(
            f"cluster '{path}': expected local, threads, an address such as tcp://host:8786, or the path of a "
            "TOML profile"
        )
    try:
        profile = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: not a TOML profile ({error})") from None
    unknown = sorted(set(profile) - {"kind", "workers", "options"})
    if unknown:
        raise ParameterError(f"{path}: unknown keys {', '.join(unknown)}: expected kind, workers, options")
    if profile.get("kind") not in BATCH_SYSTEMS:
        raise ParameterError(f"{path}: kind is {profile.get('kind')!r}, expected one of {', '.join(BATCH_SYSTEMS)}")
    profile.setdefault("workers", 1)
    profile.setdefault("options", {})
    return profile
