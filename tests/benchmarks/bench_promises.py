"""What the promises cost: ingest, describe and reduce with and without seals, ledger and looks at the state of a group.

    python -m tests.benchmarks.bench_promises [ROUNDS] [ingest] [describe] [reduce] [workers]

does each in turn without and with them in one process, in pairs whose order alternates, so that a machine that others
use is the same for both; what is made is removed before each. It prints the median CPU time of each in milliseconds,
and the median of the pairs' ratios with its error (68 % by bootstrap); then those of a start of two workers without and
with TLS.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import dask
import numpy as np

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


def steps(file: Path, store: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """The three kinds of work, each on what the one before has left: the folder that it makes, and the call."""
    sbo = gd.SmoothedBondOrder(cutoffs=1.5)
    opened = lambda: gd.open_trajectory(store)  # noqa: E731
    return {
        "ingest": (store, lambda: gd.ingest(file, store)),
        "describe": (
            store / "descriptors/sbo",
            lambda: gd.save_descriptors(gd.describe(opened(), [sbo]), store),
        ),
        "reduce": (
            store / "reductions/sbo",
            lambda: gd.save_reduction(gd.reduce(gd.open_descriptors(store)["sbo"]), store, "sbo"),
        ),
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


def told(name: str, pairs: list[tuple[float, float]]) -> str:
    """Medians without and with, and the median ratio with its error."""
    without, having = np.array(pairs).T
    ratios, rng = having / without, np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    error = np.diff(np.percentile(medians, [16, 84]))[0] / 2
    return f"{name:12} {np.median(without):8.1f} {np.median(having):8.1f} {np.median(ratios):7.3f} +- {error:.3f}"


def main(rounds: int, only: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
        file = Path(folder) / "run.lammpstrj"
        gd.export(trajectory(FRAMES, PARTICLES), file)
        stores = [Path(folder) / name / "run.zarr" for name in ("bare", "whole")]
        bare, whole = (steps(file, store) for store in stores)
        for (_, one), (_, other) in zip(bare.values(), whole.values()):  # compiles, and is what the next one needs
            with unsealed():
                one()
            other()
        for name in [name for name in reversed(whole) if name in only]:  # ingestion removes the rest
            pairs = []
            for number in range(rounds):
                pair = {}
                for having in (True, False) if number % 2 else (False, True):
                    made, work = (whole if having else bare)[name]
                    shutil.rmtree(made)
                    with nullcontext() if having else unsealed():
                        pair[having] = cpu(work)
                pairs.append((pair[False], pair[True]))
            print(told(name, pairs), flush=True)
    if "workers" in only:
        starts = [(cpu(lambda: started(False)), cpu(lambda: started(True))) for _ in range(max(2, rounds // 4))]
        print(told("two workers", starts))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or ["ingest", "describe", "reduce", "workers"])
