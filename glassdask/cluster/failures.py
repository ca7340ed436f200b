"""What dask raises when it has lost workers or the scheduler, in words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from glassdask.errors import ClusterError, WorkerMemoryError


@contextmanager
def plain_failures(client: Any, watcher: Any = None) -> Iterator[None]:
    """Turn what dask raises when it has lost workers or the scheduler into a `ClusterError` of one line."""
    from distributed import KilledWorker
    from distributed.client import ClosedClientError, FuturesCancelledError
    from distributed.comm import CommClosedError

    again = "then run the same command again (what is stored stays)"
    try:
        yield
    except KilledWorker as error:
        bytes_each = getattr(error.last_worker, "memory_limit", 0)
        limit = f" of {bytes_each / 2**20:.0f} MiB" if bytes_each else ""
        text = (
            f"{error.allowed_failures + 1} workers died in the same task, as they do over their memory limit{limit}: "
            f"give workers more memory or the work smaller blocks (describe --block), {again}"
        )
        if not bytes_each:
            raise ClusterError(text) from None
        raise WorkerMemoryError(text, bytes_each, getattr(error.last_worker, "nthreads", 1)) from None
    except (CommClosedError, CancelledError, FuturesCancelledError, ClosedClientError):
        if watcher is not None and watcher.failure:
            raise ClusterError(f"{watcher.failure}, {again}") from None
        # tasks are cancelled by nobody else: the client does it when its connection ends
        address = client.scheduler.address if client.scheduler else "the scheduler"
        raise ClusterError(f"the connection to the scheduler {address} was lost: start one, {again}") from None
