"""One task for each block: what only that block needs is computed inside of it.

Between two tasks a result waits in a worker's memory, and under pressure goes to disk and back. Dask fuses chains of
tasks; here the tree above a block is fused, so that only what several blocks share is a task of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import dask.array as da
from dask.core import flatten, get_dependencies, quote
from dask.highlevelgraph import HighLevelGraph


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
    owner = _owners(outputs, needs)
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


def _owners(outputs: Iterable[Any], needs: dict[Any, set[Any]]) -> dict[Any, Any]:
    """For each task the only output that needs it, or None where several do.

    None too for what cuts the share of one output out of something that several need: it runs where that lies, so that
    only the share travels.
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
    shared = {key for key, found in owner.items() if found is None}
    shares = [key for key in owner if key not in outputs and len(needs[key]) == 1 and needs[key] <= shared]
    return owner | dict.fromkeys(shares)
