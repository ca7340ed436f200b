"""How far long work is: a bar in a terminal, a line that changes in a notebook, a line every half minute elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from glassdask.errors import ParameterError

EVERY = 30.0  # seconds between two lines, in a log and where there is no terminal
REFRESH = 0.5  # seconds between two looks of a person
logger = logging.getLogger(__name__)


def progress(
    what: str, quiet: bool = False, *, look: Callable[[], tuple[int, int]] | None = None
) -> AbstractContextManager[Callable[[int, int], None] | None]:
    """Show how far the work inside is; gives the callback (done, total) that long functions take as ``progress``.

    Where nothing is told through the callback, tasks of dask are counted: those of this process, or of the scheduler
    that the client of this process is connected to. In a batch job's output a line comes every half minute, so that it
    is seen that the work goes on, and how long it still takes.

    Parameters
    ----------
    what : str
        Begins the line.
    quiet : bool, default False
        Show nothing, and give None.
    look : callable, optional
        Gives (done, total) of work that tells nothing by itself, such as what has come to lie in a folder. It is asked
        now and then, from another thread.

    Raises
    ------
    ParameterError
        When `quiet` is neither True nor False, or `look` is no function.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> cells = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cells, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> with gd.progress("bond order"):
    ...     q = gd.describe(crystal, gd.BondOrder(cutoffs=1.2))["bo"].compute()
    """
    from glassdask.declarations import flags  # late: help and refusals load no NumPy

    flags(quiet=quiet)
    if look is not None and not callable(look):
        raise ParameterError(f"look is {look!r}: expected a function that gives (done, total)")
    return _shown(what, quiet, look)


@contextmanager
def _shown(
    what: str, quiet: bool, look: Callable[[], tuple[int, int]] | None
) -> Iterator[Callable[[int, int], None] | None]:
    if quiet:
        yield None
        return
    state = _State(what, look)
    ended = threading.Event()
    show = _bar(state) if sys.stderr.isatty() else _cell(state) if _in_notebook() else _lines(state)
    watcher = threading.Thread(target=_watch, args=(state, show, ended), daemon=True)
    with show, state.counting():
        watcher.start()
        try:
            yield state.told
        finally:
            ended.set()
            watcher.join()
            logger.info("%s", state)


class _State:
    """How far some work is, as text and as numbers."""

    def __init__(self, what: str, asked: Callable[[], tuple[int, int]] | None = None):
        self.what, self.asked, self.begun = what, asked, time.monotonic()
        self.done, self.total = 0, 0
        self.before: tuple[int, float] | None = None  # what was done before, when it was first told of
        self.tasks, self.all_tasks = 0, 0
        self.scheduler: tuple[Any, tuple[int, int]] | None = None

    def told(self, done: int, total: int) -> None:
        self.before = self.before or (done, time.monotonic())
        self.done, self.total = done, total

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what dask's schedulers of this process do."""
        from dask.callbacks import Callback

        def start(graph: Any) -> None:
            self.all_tasks += len(graph)

        def end(*_: Any) -> None:
            self.tasks += 1

        client = _client()
        begun = _handled_by(client)
        with Callback(start=start, posttask=end):
            self.scheduler = None if begun is None else (client, begun)
            yield

    def look(self) -> None:
        """Ask who can be asked: of a cluster its scheduler, how many tasks it has had and done since."""
        if self.asked is not None:
            with suppress(OSError):  # of files that come and go; it is asked again
                self.told(*self.asked())
        elif self.scheduler is not None and not self.total:
            client, begun = self.scheduler
            now = _handled_by(client)
            if now is not None:
                self.tasks, self.all_tasks = (after - before for after, before in zip(now, begun))

    @property
    def counts(self) -> tuple[int, int]:
        """Done, and of how many; zero where that is not known."""
        return (self.done, self.total) if self.total else (self.tasks, self.all_tasks)

    def __str__(self) -> str:
        now = time.monotonic()
        done, total = self.counts
        parts = [f"{done} of {total}" if total else "", clock(now - self.begun)]
        # what an interrupted run had done says nothing of how fast this one is
        before, since = self.before or (0, self.begun)
        if before < done < total:
            parts.append(f"about {clock((now - since) * (total - done) / (done - before))} left")
        return f"{self.what}: " + ", ".join(part for part in parts if part)


def _watch(state: _State, show: _Shown, ended: threading.Event) -> None:
    logged = time.monotonic()
    while not ended.wait(min(REFRESH, EVERY)):
        state.look()
        show.refresh()
        if time.monotonic() - logged >= EVERY:
            logged = time.monotonic()
            logger.info("%s", state)


class _Shown:
    """Where a state is shown."""

    def __init__(self, state: _State):
        self.state = state

    def __enter__(self) -> None: ...

    def __exit__(self, *_: Any) -> None: ...

    def refresh(self) -> None: ...


class _lines(_Shown):
    """A line from time to time, on standard error: the output of a batch job."""

    last = 0.0

    def refresh(self) -> None:
        if time.monotonic() - max(self.state.begun, self.last) >= EVERY:
            self.last = time.monotonic()
            print(self.state, file=sys.stderr, flush=True)

    def __exit__(self, *_: Any) -> None:
        if self.last:
            print(self.state, file=sys.stderr, flush=True)


class _cell(_Shown):
    """A line that changes, below the cell of a notebook."""

    def __enter__(self) -> None:
        from IPython.display import Pretty, display

        self.pretty = Pretty
        self.handle = display(Pretty(str(self.state)), display_id=True)

    def refresh(self) -> None:
        self.handle.update(self.pretty(str(self.state)))

    def __exit__(self, *_: Any) -> None:
        self.refresh()


class _bar(_Shown):
    """A bar in a terminal."""

    def __enter__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed(), Remaining())
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task(self.state.what, total=None)
        self.bar.start()

    def refresh(self) -> None:
        done, total = self.state.counts
        self.bar.update(self.task, completed=done, total=total or None)

    def __exit__(self, *_: Any) -> None:
        self.refresh()
        self.bar.stop()


def _client() -> Any:
    """The client by which this process computes on a cluster; None where there is none."""
    distributed = sys.modules.get("distributed")
    try:
        return None if distributed is None else distributed.default_client()
    except ValueError:
        return None


def _handled_by(client: Any) -> tuple[int, int] | None:
    """Tasks that a scheduler has done, and all that it was given; None where it cannot be asked."""
    try:
        return None if client is None or client.asynchronous else tuple(client.run_on_scheduler(_handled))
    except Exception:  # a scheduler that is gone, or another program's: the work itself says what is wrong
        return None


def _handled(dask_scheduler: Any) -> tuple[int, int]:
    """On the scheduler: tasks that have ended, and all that were to be done."""
    counts = [prefix.state_counts for prefix in dask_scheduler.task_prefixes.values()]
    return sum(c["memory"] + c["erred"] for c in counts), sum(c["waiting"] for c in counts)


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def clock(seconds: float) -> str:
    """Hours, minutes, seconds.

    >>> clock(3725.2)
    '1:02:05'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
