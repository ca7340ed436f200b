"""Workers that give no sign of life: told of soon, and their work goes on elsewhere.

dask itself waits for five minutes by the clock of the wall, without a word. Here time is counted by looks, so that
neither a clock that is set nor a machine that slept makes a worker look dead.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
STOPPED_SECONDS = 10.0  # a process of this machine that stands still as long (SIGSTOP) is ended
SILENT_SECONDS = 30.0  # without a sign of life, until it is told
FULL_SECONDS = 20.0  # without memory for another task, until it is ended
FULL_TWICE = 2  # ends of this kind after each other, without a task between them, until the work is given up


class Watcher:
    """Looks at the workers of a cluster; each look counts as `LOOK_SECONDS` of silence, however long ago the last was.

    `patience` are the seconds of silence after which a worker is given up: as many as dask's ``worker-ttl``, since a
    task that does not let go of Python's lock silences a worker as well.
    """

    def __init__(self, cluster: Any, patience: float):
        self.cluster, self.patience = cluster, patience
        self.seen: dict[str, float] = {}  # address -> its last sign of life
        self.silent: dict[str, float] = {}  # address -> seconds since then
        self.stopped: dict[int, float] = {}  # process -> seconds for which it has been found standing still
        self.full: dict[str, float] = {}  # address -> seconds for which it has had no memory to begin a task
        self.ended: dict[Any, int] = {}  # name -> how often it was ended for that since its last task
        self.failure: str | None = None  # why the work was given up

    async def look(self) -> None:
        """End processes that stand still, tell of silent workers, and give up those that stay silent."""
        self._end_stopped()
        self._end_full()
        workers = dict(self.cluster.scheduler.workers)
        lost = []
        for address, worker in workers.items():
            if self.seen.get(address) != worker.last_seen:
                self.seen[address], self.silent[address] = worker.last_seen, 0.0
                continue
            before, now = self.silent[address], self.silent[address] + LOOK_SECONDS
            self.silent[address] = now
            if before < SILENT_SECONDS <= now:
                logger.warning(
                    f"worker {worker.name} at {address}: no sign of life for {now:.0f} s: it is stopped, cut off or "
                    f"busy with one long call; after {self.patience:.0f} s its work is done elsewhere"
                )
            if before < self.patience <= now:
                logger.warning(f"worker {worker.name} at {address}: given up, its work is done elsewhere")
                lost.append(address)
        for gone in self.seen.keys() - workers.keys():
            del self.seen[gone], self.silent[gone]
        if lost:
            scheduler = self.cluster.scheduler
            await scheduler.restart_workers(lost, wait_for_workers=False, on_error="return", stimulus_id="silence")

    def _end_full(self) -> None:
        """End processes of this machine that stand near their memory limit, where dask begins no task, with none to do.

        They would wait for ever. What another one takes over may need less; where that is full before any task, the
        work is given up.
        """
        import dask

        scheduler = self.cluster.scheduler
        before, self.full = self.full, {}
        for name, nanny in self.cluster.workers.items():
            address, pid = str(getattr(nanny, "worker_address", "")), getattr(nanny, "pid", None)
            worker = scheduler.workers.get(address)
            if not pid or worker is None:
                continue
            if worker.executing:
                self.ended[name] = 0
            elif worker.status.name == "paused" and any(client.wants_what for client in scheduler.clients.values()):
                self.full[address] = before.get(address, 0.0) + LOOK_SECONDS
            if self.full.get(address, 0.0) < FULL_SECONDS:
                continue
            del self.full[address]  # it may be listed for a while
            self.ended[name] = self.ended.get(name, 0) + 1
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if self.ended[name] < FULL_TWICE:
                logger.warning(f"worker {name} (process {pid}): its memory is full: ended, another one takes its place")
                continue
            taken, limit = worker.metrics["memory"] / 2**20, worker.memory_limit / 2**20
            usable = dask.config.get("distributed.worker.memory.pause", 0.8) or 1.0
            self.failure = (
                f"a worker takes {taken:.0f} MiB before any task, and begins none above {usable:.0%} of its memory "
                f"limit of {limit:.0f} MiB: give workers at least {taken / usable + 100:.0f} MiB"
            )
            self._cancel(self.failure)

    def _cancel(self, reason: str) -> None:
        scheduler = self.cluster.scheduler
        for key, client in list(scheduler.clients.items()):
            wanted = [task.key for task in client.wants_what if not task.dependents]
            scheduler.stimulus_cancel(wanted, client=key, force=True, reason=reason, msg=reason)

    def _end_stopped(self) -> None:
        import psutil

        before, self.stopped = self.stopped, {}
        for name, nanny in self.cluster.workers.items():
            pid = getattr(nanny, "pid", None)  # jobs of a batch system have none here
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if pid and psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                    self.stopped[pid] = before.get(pid, 0.0) + LOOK_SECONDS
                    if self.stopped[pid] >= STOPPED_SECONDS:
                        logger.warning(
                            f"worker {name} (process {pid}): stopped by a signal: ended, another one takes its place"
                        )
                        os.kill(pid, signal.SIGKILL)


@contextmanager
def watching(cluster: Any) -> Iterator[Watcher]:
    """Look at the workers of a cluster every few seconds while the block runs."""
    import dask
    from dask.utils import parse_timedelta
    from tornado.ioloop import PeriodicCallback

    patience = parse_timedelta(dask.config.get("distributed.scheduler.worker-ttl"))
    watcher = Watcher(cluster, float("inf") if patience is None else patience)
    callback = PeriodicCallback(watcher.look, 1000 * LOOK_SECONDS)

    async def start() -> None:
        if theirs := cluster.scheduler.periodic_callbacks.pop("worker-ttl", None):
            theirs.stop()
        callback.start()

    async def stop() -> None:
        callback.stop()

    cluster.sync(start)
    try:
        yield watcher
    finally:
        cluster.sync(stop)
