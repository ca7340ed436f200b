"""Simulations of a study, all at once on whatever does the work, with a line for each that is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
from dask.delayed import Delayed


def run(tasks: Mapping[str, Sequence[Delayed]], client: Any, done: Callable[[str], None]) -> None:
    """Do the tasks, by what they are called; `done` hears of each that is done (without a `client`, of all of a name).

    Tasks are those of `glassdask.simulation`, which know what is stored already. The first that fails ends it.
    """
    if client is None:
        for name, some in tasks.items():
            dask.compute(*some)
            done(f"simulated: {name}")
        return
    from distributed import as_completed

    names = [f"{name} {k} of {len(some)}" for name, some in tasks.items() for k in range(1, len(some) + 1)]
    futures = client.compute([task for some in tasks.values() for task in some])
    known = {future.key: name for future, name in zip(futures, names)}
    for future in as_completed(futures):
        future.result()
        done(f"simulated: {known[future.key]}")
