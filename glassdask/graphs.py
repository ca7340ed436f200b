"""Graphs of many tasks: how large a task is, what it does at once, sums in a tree, a bounded number of tasks at a time.

A task that is too small costs more than its work, one that is too large leaves cores without any and fills the memory.
Both sizes can be set through dask's configuration, as ``dask.config.set({"glassdask.task.seconds": 5})``, in a file of
dask's or as DASK_GLASSDASK__TASK__SECONDS:

- ``glassdask.task.bytes`` (48 MiB): what a task reads, holds of paths, or gives
- ``glassdask.task.seconds`` (1): how long a task takes, roughly, on one core

They shape the chunks of what is stored; an interrupted command goes on only with the sizes that it began with.

Between two tasks a result waits in a worker's memory, and under pressure goes to disk and back. Dask fuses chains of
tasks; `one_task_each` fuses the tree above a block, so that only what several blocks share is a task of its own.
"""

from __future__ import annotations

import math
import operator
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import dask
import dask.array as da
from dask._task_spec import DataNode, Task, TaskRef
from dask.base import named_schedulers
from dask.core import flatten, get_dependencies, quote
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, Layer
from dask.utils import parse_bytes

from glassdask.errors import ParameterError

T = TypeVar("T")

dask.config.update_defaults({"glassdask": {"task": {"bytes": "48 MiB", "seconds": 1.0}}})

BATCH = 512  # tasks (blocks) handed to the scheduler at a time: a graph costs the client a millisecond or so a block
OUTSTANDING = 2  # batches that a cluster has: while the last tasks of one are running, workers go on with the next
TASKS_OF_A_THREAD = 2  # that wait for each thread of many workers behind the first batch, so that none has to wait
FAN_IN = 8  # partial results that one task merges: few levels, and never more than 8 matrices in memory
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.5  # seconds between two looks at which results are there


def task_bytes() -> int:
    """Most bytes that one task reads or gives: ``glassdask.task.bytes`` of dask's configuration."""
    return int(_positive("bytes", parse_bytes))


def task_seconds() -> float:
    """What one task takes, roughly: ``glassdask.task.seconds`` of dask's configuration."""
    return _positive("seconds", float)


def _positive(name: str, read: Callable[[Any], float]) -> float:
    value = dask.config.get(f"glassdask.task.{name}")
    try:
        number = read(value)
    except (TypeError, ValueError, AttributeError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ParameterError(f"glassdask.task.{name} is {value!r} in dask's configuration: expected a positive number")
    return number


def _after_fork() -> None:
    """Forget the threads of the parent, which a forked process does not have: dask would wait for them for ever."""
    threaded: Any = sys.modules.get("dask.threaded")
    if threaded is not None:
        threaded.default_pool, threaded.main_thread = None, threading.current_thread()
        threaded.pools.clear()
        threaded.pools_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_within_task: ContextVar[bool] = ContextVar("_within_task", default=False)


@contextmanager
def within_task() -> Iterator[None]:
    """What `compute` is asked for inside is computed at once, in this thread: workers are busy with other tasks.

    For this thread alone. What dask's configuration says holds for all threads of a process, so that it must not be
    changed in a task: with threads as workers it is the configuration of the user's own session.
    """
    token = _within_task.set(True)
    try:
        yield
    finally:
        _within_task.reset(token)


def compute(*collections: Any) -> tuple[Any, ...]:
    """`dask.compute` by the current scheduler, or at once where this is part of a task (`within_task`).

    Examples
    --------
    >>> with within_task():
    ...     int(compute(da.arange(3, chunks=1).sum())[0])
    3
    """
    return dask.compute(*collections, scheduler=_scheduler())


def batched(items: Sequence[T]) -> list[Sequence[T]]:
    """The items, `BATCH` at a time."""
    return [items[first : first + BATCH] for first in range(0, len(items), BATCH)]


def compute_batches(batches: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Results of each batch of dask collections, in order, by the current dask scheduler.

    However many batches there are, the scheduler and the client know of at most `OUTSTANDING` of them; of more only
    where there are hundreds of workers, which would be left without work. A batch is asked for when it is handed over.
    After an error nothing more is handed over, and what a cluster has not begun is cancelled.

    Examples
    --------
    >>> list(compute_batches([dask.delayed(pow)(k, 2) for k in pair] for pair in ((0, 1), (2, 3))))
    [[0, 1], [4, 9]]
    """
    client = _client()
    if client is None:
        for batch in batches:
            yield list(compute(*batch))
        return
    crew = _Crew(client)
    try:
        for batch in batches:
            crew.hand_over(batch)
            if crew.full():
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

    def full(self) -> bool:
        """Whether the threads that there are now are busy while the results of one batch are being collected."""
        if len(self.batches) < OUTSTANDING:
            return False  # without asking the scheduler
        threads = sum(self.client.nthreads().values())
        return len(self.batches) >= 1 + math.ceil(TASKS_OF_A_THREAD * threads / BATCH)

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


def _scheduler() -> Callable[..., Any] | None:
    """What dask computes with now; None leaves it to dask, which imports distributed to see whether there is a client.

    That takes longer than a small job: a process that has not imported it has no client.
    """
    if _within_task.get():
        return named_schedulers["synchronous"]
    given = dask.config.get("scheduler", None) or "threads"
    return named_schedulers.get(given) if "distributed" not in sys.modules and isinstance(given, str) else None


def _client() -> Any:
    """The `distributed.Client` that dask computes with now, if it does."""
    if _within_task.get() or "distributed" not in sys.modules:
        return None
    owner = getattr(dask.base.get_scheduler(), "__self__", None)
    return owner if isinstance(owner, sys.modules["distributed"].Client) else None


def merge_blocks(blocks: da.Array, merge: Callable[[list[Any]], Any]) -> Any:
    """``merge(list of results)`` of all blocks, in a tree of tasks, computed by the current dask scheduler.

    The blocks may be any objects, not only arrays. A task computes one block with all that no other block needs, or
    merges `FAN_IN` results; however many blocks there are, only some batches of them are known to the scheduler. What
    is merged with what depends on the number of blocks alone, so that sums of floats are the same on any number of
    workers.

    Examples
    --------
    >>> merge_blocks(da.arange(10, chunks=1), sum).tolist()
    [45]
    """
    keys = list(flatten(blocks.__dask_keys__()))
    trees: Any = ([_tree(one_task_each(_some(blocks, part)), merge)] for part in batched(keys))
    total: Any = None
    for n, (part,) in enumerate(compute_batches(trees)):
        total = part if n == 0 else merge([total, part])
    return total


def _some(blocks: Any, keys: Sequence[Any]) -> da.Array:
    """Some of the blocks, in a row."""
    name = f"some-{dask.base.tokenize(keys)}"
    layer: dict[Any, Any] = {(name, n): (_same, key) for n, key in enumerate(keys)}
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[blocks])
    return da.Array(graph, name, chunks=((1,) * len(keys),), dtype=object)


def _same(value: T) -> T:
    return value


def _tree(blocks: Any, merge: Callable[[list[Any]], Any]) -> Delayed:
    name = f"merge-{dask.base.tokenize(blocks.name, merge)}"
    keys: list[Any] = list(flatten(blocks.__dask_keys__()))
    layer: dict[Any, Any] = {}
    while True:
        above = []
        for first in range(0, len(keys), FAN_IN):
            layer[(name, len(layer))] = (merge, keys[first : first + FAN_IN])
            above.append((name, len(layer) - 1))
        keys = above
        if len(keys) == 1:
            graph = HighLevelGraph.from_collections(name, layer, dependencies=[blocks])
            return Delayed(keys[0], graph, layer=name)


class Parts(Layer):
    """Tasks of arrays that lie side by side along the last axis, one chunk each, and are computed together.

    A block is one task that computes those of its parts that are asked for, and no others: which these are is known
    when dask removes from a graph what nobody needs.

    Parameters
    ----------
    function : ``function(numbers of parts, *arguments)`` gives a list of these parts of a block
    arguments : gives the arguments of a block, of its place; keys are `TaskRef`
    keys : (name, *place, number of the part) of all that may be asked for
    """

    has_legacy_tasks = False  # dask would make all tasks to find that out

    def __init__(
        self, function: Callable[..., list[Any]], arguments: Callable[[tuple[int, ...]], list[Any]], keys: Iterable[Any]
    ) -> None:
        super().__init__()
        self.function, self.arguments, self.wanted = function, arguments, frozenset(keys)

    @cached_property
    def _tasks(self) -> dict[Any, Task]:
        blocks: dict[Any, list[int]] = {}
        for name, *place, number in sorted(self.wanted):
            blocks.setdefault((name, *place), []).append(number)
        tasks = {}
        for (name, *place), numbers in blocks.items():
            work = (self.function, tuple(numbers), *self.arguments(tuple(place)))
            if len(numbers) == 1:
                key = (name, *place, numbers[0])
                tasks[key] = Task(key, _only_part, *work)
                continue
            together = (f"parts-{name}", *place)
            tasks[together] = Task(together, _all_parts, *work)
            for n, number in enumerate(numbers):
                key = (name, *place, number)
                tasks[key] = Task(key, operator.getitem, TaskRef(together), n)
        return tasks

    def __getitem__(self, key: Any) -> Task:
        return self._tasks[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def is_materialized(self) -> bool:
        """Whether the tasks have been made."""
        return "_tasks" in self.__dict__

    def get_output_keys(self) -> frozenset[Any]:
        """What may be asked for."""
        return self.wanted

    def cull(self, keys: Iterable[Any], all_hlg_keys: Any) -> tuple[Parts, dict[Any, set[Any]]]:
        """The layer of some of the parts, and what their tasks need."""
        culled = Parts(self.function, self.arguments, self.wanted & frozenset(keys))
        return culled, {key: set(task.dependencies) for key, task in culled.items()}


def _all_parts(function: Callable[..., list[Any]], *arguments: Any) -> list[Any]:
    return function(*arguments)


def _only_part(function: Callable[..., list[Any]], *arguments: Any) -> Any:
    return function(*arguments)[0]


def one_task_each(array: da.Array) -> da.Array:
    """The same array, each chunk of which is one task that does all that no other chunk needs.

    Examples
    --------
    >>> import numpy as np
    >>> shared = da.from_delayed(dask.delayed(np.arange)(3), (3,), int)
    >>> joined = da.concatenate([da.stack([shared, shared + k]).sum(axis=0) for k in range(4)])
    >>> fused = one_task_each(joined)
    >>> len(fused.dask) < len(joined.dask), fused.compute().tolist() == joined.compute().tolist()
    (True, True)
    """
    (optimised,) = dask.optimize(array)
    graph = dict(optimised.__dask_graph__())
    outputs = dict.fromkeys(flatten(optimised.__dask_keys__()))
    needs = {key: get_dependencies(graph, key) for key in graph}
    given = {key for key, task in graph.items() if isinstance(task, DataNode)}
    owner = _owners(outputs, needs, given)
    parts: dict[Any, dict[Any, Any]] = {output: {} for output in outputs}
    layer: dict[Any, Any] = {}
    for key, task in graph.items():
        if owner.get(key) is None:
            layer[key] = task
        else:
            parts[owner[key]][key] = task
    name = f"fused-{optimised.name}"
    for output, part in parts.items():
        # an output that others need is a task of its own
        used = {need for key in part for need in needs[key]} if part else {output}
        outside = sorted(used - part.keys(), key=str)
        run = partial(_run, _Hidden(part, output, tuple(outside)))
        layer[(name, *output[1:])] = (run, list(outside))
    joined = HighLevelGraph.from_collections(name, layer, dependencies=())
    return da.Array(joined, name, chunks=optimised.chunks, dtype=optimised.dtype, meta=optimised._meta)


@dataclass(frozen=True)
class _Hidden:
    """A piece of a graph that dask does not look into."""

    tasks: dict[Any, Any]
    output: Any
    outside: tuple[Any, ...]


def _run(hidden: _Hidden, values: Sequence[Any]) -> Any:
    given = {key: quote(value) for key, value in zip(hidden.outside, values)}
    return dask.get({**hidden.tasks, **given}, hidden.output)


def _owners(outputs: Iterable[Any], needs: dict[Any, set[Any]], given: set[Any]) -> dict[Any, Any]:
    """For each task the only output that needs it, or None where several do.

    None too for what cuts the share of one output out of something computed that several need: it runs where that
    lies, so that only the share travels. What is `given` with the graph lies nowhere yet.
    """
    owner: dict[Any, Any] = {output: output for output in outputs}
    waiting = dict.fromkeys(needs, 0)
    for found in needs.values():
        for need in found:
            waiting[need] += 1
    ready = [key for key, count in waiting.items() if count == 0]
    while ready:
        key = ready.pop()
        for need in needs[key]:
            owner[need] = owner.get(key) if owner.get(need, owner.get(key)) == owner.get(key) else None
            waiting[need] -= 1
            if waiting[need] == 0:
                ready.append(need)
    shared = {key for key, found in owner.items() if found is None} - given
    shares = [key for key in owner if key not in outputs and len(needs[key]) == 1 and needs[key] <= shared]
    return owner | dict.fromkeys(shares)
