"""What the promises cost: ingest, describe and reduce with and without seals, ledger and looks at the state of a group.

    python -m tests.benchmarks.bench_promises [ROUNDS]

alternates the two in one process, so that a machine that others use is the same for both, and prints the least CPU time
of each in milliseconds and their ratio; then that of a start of two workers with and without TLS, with their own.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import dask

import glassdask as gd
import glassdask.cluster
from glassdask.cluster import local
from glassdask.store import arrays, ledger, metadata, stored, writing
from tests.faults.harness import trajectory

FRAMES, PARTICLES = 64, 4000


@contextmanager
def unsealed() -> Iterator[None]:
    """The package as if it promised nothing: no checksums of metadata, no ledger, no look at what was opened."""
    nothing = {
        metadata: {"_digest": lambda *_: "0" * 64, "_check_kinds": lambda *_: None, "refuse_links": lambda *_: None},
        arrays: {"stamp": lambda *_, **__: "0" * 8, "write_entry": lambda *_: None, "_refuse_link": lambda *_: None},
        stored: {"check_state": lambda *_: None},
        writing: {"out_of_date": lambda *_: None},
        ledger: {"sync": lambda *_: None},
    }
    with ExitStack() as patches:
        for module, calls in nothing.items():
            for name, call in calls.items():
                patches.enter_context(mock.patch.object(module, name, call))
        yield


def steps(file: Path, store: Path) -> dict[str, Callable[[], object]]:
    """The three kinds of work, each on what the one before has left."""
    sbo = gd.SmoothedBondOrder(cutoffs=1.5)
    opened = lambda: gd.open_trajectory(store)  # noqa: E731
    return {
        "ingest": lambda: gd.ingest(file, store, overwrite=True),
        "describe": lambda: gd.save_descriptors(gd.describe(opened(), [sbo]), store, overwrite=True),
        "reduce": lambda: gd.save_reduction(gd.reduce(gd.open_descriptors(store)["sbo"]), store, "sbo", overwrite=True),
    }


def cpu(work: Callable[[], object]) -> float:
    """Milliseconds of CPU time, with those of processes that have ended."""
    before = _used()
    work()
    return 1000 * (_used() - before)


def _used() -> float:
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime


def started(secure: bool) -> None:
    """Two workers, a task, and their end."""
    security = local.security if secure else lambda _: None
    with mock.patch.object(local, "security", security), gd.cluster.connect("local", workers=2) as client:
        client.submit(time.process_time).result()


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
        least: dict[str, list[float]] = {}
        file = Path(folder) / "run.lammpstrj"
        gd.export(trajectory(FRAMES, PARTICLES), file)
        bare, whole = (steps(file, Path(folder) / f"{name}.zarr") for name in ("bare", "whole"))
        for number in range(rounds + 1):
            for name in whole:
                with unsealed():
                    without = cpu(bare[name])
                found = [without, cpu(whole[name])]
                if number:  # the first one compiles
                    least[name] = [min(pair) for pair in zip(least.get(name, found), found)]
    for name, (without, having) in least.items():
        print(f"{name:10} {without:8.1f} {having:8.1f} {having / without:6.3f}")
    pairs = [(cpu(lambda: started(False)), cpu(lambda: started(True))) for _ in range(max(2, rounds // 4))]
    without, having = (min(times) for times in zip(*pairs))
    print(f"{'two workers':10} {without:8.1f} {having:8.1f} {having / without:6.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
