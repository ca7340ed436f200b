"""One worker, started and looked at: whether a profile works, before a week of work depends on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassdask.cluster.connection import connect
from glassdask.cluster.jobs import why_no_worker
from glassdask.cluster.profile import read_profile
from glassdask.errors import ClusterError

PACKAGES = ("glassdask", "dask", "distributed", "numpy", "numba", "xarray", "zarr")
SCRATCH_BYTES = 2**26  # enough for a rate, little enough for a memory disk


def check(target: str, measure: Callable[[], float], *, timeout: float = 120.0) -> dict[str, Any]:
    """Start one worker, look at it, and run a kernel on it.

    Parameters
    ----------
    target : str
        As for `glassdask.cluster.connect`, but not ``"threads"``.
    measure : callable
        What is run on the worker; its value is reported as ``kernel``.
    timeout : float, default 120.0
        Seconds to wait for the worker.

    Returns
    -------
    dict
        ``host``, ``cores`` (that the worker uses), ``cores_allowed`` (by the operating system), ``memory_limit``
        (bytes), ``worker``, ``scheduler`` and ``dashboard`` (addresses), ``scratch`` (``folder``, ``free`` bytes,
        ``write`` and ``read`` in bytes per second), ``versions`` (package: here and there), ``differences`` (the
        packages of other versions), ``kernel``, and ``seconds`` until the worker came.

    Raises
    ------
    ClusterError
        No worker came in time; the message says why, as far as the batch system tells.
    ParameterError
        The profile is wrong.
    """
    start = time.monotonic()
    with connect(target, workers=1) as client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError:
            raise ClusterError(f"{target}: no worker after {timeout:g} s: {_why(target, client)}") from None
        seconds = time.monotonic() - start
        address, worker = next(iter(client.scheduler_info()["workers"].items()))
        found = client.run(_look, workers=[address])[address]
        scheduler = client.scheduler.address
        kernel = client.submit(measure, workers=[address], pure=False).result()
    here, there = _versions(), found.pop("versions")
    versions = {name: (here[name], there[name]) for name in here}
    return {
        **found,
        "cores": worker["nthreads"],
        "memory_limit": worker["memory_limit"],
        "worker": address,
        "scheduler": scheduler,
        "versions": versions,
        "differences": [name for name, pair in versions.items() if pair[0] != pair[1]],
        "kernel": kernel,
        "seconds": seconds,
    }


def _why(target: str, client: Any) -> str:
    cluster = client.cluster
    if cluster is None or not hasattr(cluster, "job_script"):
        return "start one with `dask worker ADDRESS`"
    return why_no_worker(cluster, read_profile(target))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def _look(dask_worker: Any) -> dict[str, Any]:
    """What a worker sees of its machine; runs there."""
    folder = Path(dask_worker.local_directory)
    return {
        "host": platform.node(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "dashboard": f"{dask_worker.http_server.address}:{dask_worker.http_server.port}",
        "scratch": {"folder": str(folder), "free": shutil.disk_usage(folder).free, **_speed(folder)},
        "versions": _versions(),
    }


def _speed(folder: Path) -> dict[str, float]:
    """Bytes per second, written to the disk and read from it (not from the memory that caches it)."""
    block, file = os.urandom(SCRATCH_BYTES), folder / "glassdask-check"
    try:
        start = time.perf_counter()
        with open(file, "wb") as out:
            out.write(block)
            out.flush()
            os.fsync(out.fileno())
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        written = time.perf_counter()
        file.read_bytes()
        return {
            "write": SCRATCH_BYTES / (written - start),
            "read": SCRATCH_BYTES / (time.perf_counter() - written),
        }
    finally:
        file.unlink(missing_ok=True)
