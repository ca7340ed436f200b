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
from dask.core import flatten

Progress = Callable[[int, int], None]
T = TypeVar("T")

BATCH = 512  # tasks (blocks) handed to the scheduler at a time: a graph costs the client a millisecond or so a block
OUTSTANDING = 2  # batches that a cluster has: while the last tasks of one are running, workers go on with the next
LOOKED_AT = OUTSTANDING * BATCH
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.5  # seconds between two looks at which results are there
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
    crew = _Crew(client)
    try:
        for batch in batches:
            crew.hand_over(batch)
            if len(crew.batches) == OUTSTANDING:
                yield crew.first()
        while crew.batches:
            yield crew.first()
    finally:
        crew.cancel()


class _Crew:
    """Batches that a cluster works on.

    Every result comes to the client within half a second, and is no longer kept on a worker: a worker that ends by its
    lifetime or its wall time takes with it what it holds, and all of that would be computed once more.
    """

    def __init__(self, client: Any):
        self.client = client
        self.pending: dict[Any, Any] = {}  # key -> future, of what is not computed yet
        self.values: dict[Any, Any] = {}
        self.batches: deque[list[Any]] = deque()

    def hand_over(self, batch: Sequence[Any]) -> None:
        """Have a batch computed."""
        from distributed import futures_of

        persisted = self.client.persist(list(batch))
        self.pending |= {future.key: future for future in futures_of(persisted)}
        # names, not collections, which would keep the results on the workers
        self.batches.append([(part.__dask_keys__(), part.__dask_postcompute__()) for part in persisted])

    def first(self) -> list[Any]:
        """The results of the batch that was handed over first, once they are all there."""
        batch = self.batches[0]
        keys = {key for part, _ in batch for key in flatten(part)}
        begun, collected = time.monotonic(), 0
        while missing := self.pending.keys() & keys:
            done = [key for key, future in self.pending.items() if future.done()]
            if done:
                self.values |= zip(done, self.client.gather([self.pending[key] for key in done]))
                for key in done:
                    del self.pending[key]
                collected += len(done)
            else:
                # a question to the workers for every result would cost as much as the result: many are collected at a
                # time, but nobody waits long after the last one
                seconds = time.monotonic() - begun
                left = seconds * len(missing) / max(collected, 1)
                time.sleep(min(max(min(seconds, left) / 10, SHORTEST_PAUSE), LONGEST_PAUSE))
        self.batches.popleft()
        results = [finalize(_nested(part, self.values), *extra) for part, (finalize, extra) in batch]
        for key in keys:
            self.values.pop(key, None)
        return results

    def cancel(self) -> None:
        """Have nothing more computed."""
        if self.pending:
            self.client.cancel(list(self.pending.values()), force=True)


def _nested(keys: Any, values: dict[Any, Any]) -> Any:
    """Values in the places of their keys."""
    return [_nested(key, values) for key in keys] if isinstance(keys, list) else values[keys]


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
