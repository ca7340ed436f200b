"""Long lists of tasks, handed to the scheduler a bounded number at a time; and the progress of what they write."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import dask

Progress = Callable[[int, int], None]
T = TypeVar("T")

BATCH = 512  # tasks (blocks) handed to the scheduler at a time: a graph costs the client a millisecond or so a block
OUTSTANDING = 2  # batches that a cluster has: while the last tasks of one are running, workers go on with the next
LOOKED_AT = OUTSTANDING * BATCH
POLL_SECONDS = 0.5  # between two looks at what is stored, for the progress


def batched(items: Sequence[T]) -> list[Sequence[T]]:
    """The items, `BATCH` at a time."""
    return [items[first : first + BATCH] for first in range(0, len(items), BATCH)]


def compute_batches(batches: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Results of each batch of dask collections, in order, by the current dask scheduler.

    However many batches there are, the scheduler and the client know of at most `OUTSTANDING` of them. A batch is asked
    for when it is handed over. After an error nothing more is handed over, and what a cluster has not begun is
    cancelled.

    Examples
    --------
    >>> list(compute_batches([dask.delayed(pow)(k, 2) for k in pair] for pair in ((0, 1), (2, 3))))
    [[0, 1], [4, 9]]
    """
    client = _client()
    if client is None:
        for batch in batches:
            yield list(dask.compute(*batch))
        return
    running: deque[list[Any]] = deque()
    try:
        for batch in batches:
            running.append(client.compute(list(batch)))
            if len(running) == OUTSTANDING:
                yield client.gather(running[0])
                running.popleft()
        while running:
            yield client.gather(running[0])
            running.popleft()
    finally:
        if running:
            client.cancel([future for futures in running for future in futures], force=True)


def _client() -> Any:
    """The `distributed.Client` that dask computes with now, if it does."""
    owner = getattr(dask.base.get_scheduler(), "__self__", None)
    distributed = sys.modules.get("distributed")  # where it is not imported there is no client
    return owner if distributed is not None and isinstance(owner, distributed.Client) else None


@contextmanager
def watched(items: Iterable[T], is_done: Callable[[T], bool], done: int, progress: Progress | None) -> Iterator[None]:
    """Report progress while `items` are worked on, by looking which of them are done (any scheduler will do).

    `done` others were finished before; they count in what is reported.
    """
    if progress is None:
        yield
        return
    report: Progress = progress
    ended = threading.Event()
    waiting = list(items)
    total = done + len(waiting)

    def watch() -> None:
        while not ended.is_set():
            begun = time.monotonic()
            # those behind are not handed over yet; a slow file system is not kept busy with our looks
            waiting[:LOOKED_AT] = [item for item in waiting[:LOOKED_AT] if not is_done(item)]
            report(total - len(waiting), total)
            ended.wait(max(POLL_SECONDS, 10 * (time.monotonic() - begun)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
