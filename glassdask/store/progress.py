"""The progress of what is being stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from glassdask.graphs import BATCH, OUTSTANDING

Progress = Callable[[int, int], None]
T = TypeVar("T")

LOOKED_AT = OUTSTANDING * BATCH
POLL_SECONDS = 0.5  # between two looks at what is stored


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
