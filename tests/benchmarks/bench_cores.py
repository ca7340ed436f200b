"""What a second core brings: ``python -m tests.benchmarks.bench_cores [WORK ...]``, five minutes of two free cores.

Each job runs by one and by two threads or workers, in turn, and what is printed is the ratio of the medians of the
seconds of the clock, so that anything else that runs makes it worse. Workers are started before, and are processes of
one thread; ``threads`` are those of the calling process. ``copies`` tells what the memory itself allows. WORKs are
words of the lines to run, such as ``describe`` or ``autoencoder``; without any all are run.
``--scale 0.02`` makes the jobs fifty times smaller, to see that everything works.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY  # isort: skip (sets the number of threads)

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import torch

import glassdask as gd
from glassdask import learning
from tests.benchmarks import bench_scaling

REPEATS = 1 if TINY else 3


@contextmanager
def threads(n: int):
    """Threads of this process."""
    with dask.config.set(scheduler="threads", num_workers=n):
        yield


@contextmanager
def workers(n: int, profile: str = ""):
    """Worker processes of one thread, each bound to a core: of this machine, or of a cluster of its own."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        gd.cluster.connect(profile or bench_scaling._profile(scratch, "4GiB"), workers=n) as client,
    ):
        client.wait_for_workers(n)
        client.run(bench_scaling._bound)
        yield


@contextmanager
def of_torch(n: int):
    """Threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Jobs:
    """The jobs, in a folder of their own."""

    def __init__(self, folder: Path, scale: float):
        self.folder = folder
        self.run = bench_scaling.make_store(folder, max(20, round(1500 * scale)))
        self.files = bench_scaling.write_dumps(folder, max(20, round(800 * scale)), 8)
        self.walkers = bench_scaling.walkers(folder, max(20, round(300 * scale)), max(1000, round(20_000 * scale)))
        bench_scaling.describe(self.run)
        rng = np.random.default_rng(0)
        self.rows = rng.normal(size=(max(400, round(60_000 * scale)), 24)).astype(np.float32)
        self.labels = np.repeat([0, 1], max(4, round(60 * scale)))
        self.images = rng.normal(size=(len(self.labels), 1, 64, 64)).astype(np.float32)
        self.memory = [[np.zeros(max(1000, round(2e7 * scale))) for _ in range(2)] for _ in range(2)]

    def ingest(self) -> None:
        gd.ingest(self.files, self.folder / "ingested.zarr", species_names={1: "A", 2: "B"})
        shutil.rmtree(self.folder / "ingested.zarr")

    def describe(self) -> None:
        shutil.rmtree(self.run / "descriptors", ignore_errors=True)
        bench_scaling.describe(self.run)

    def reduce(self) -> None:
        bench_scaling.reduce(self.run)
        shutil.rmtree(self.run / "reductions", ignore_errors=True)

    def dynamics(self) -> None:
        gd.dynamics.four_point(gd.open_trajectory(self.walkers), lag=10.0, a=0.3, origins=60)

    def autoencoder(self) -> None:
        learning.Autoencoder(n_components=2, epochs=2, device="cpu").fit(self.rows)

    def convolution(self) -> None:
        learning.ConvolutionalClassifier(epochs=2, learning_rate=1e-4, device="cpu").fit(self.images, self.labels)

    def copies(self) -> None:
        """Memory read and written by NumPy, which leaves the interpreter free."""

        def copied(k: int) -> None:
            for _ in range(5):
                np.copyto(*self.memory[k % 2])

        dask.compute([dask.delayed(copied, pure=False)(k) for k in range(4)])


CASES: tuple[tuple[str, str, Callable[..., AbstractContextManager[Any]]], ...] = (
    ("ingest, workers", "ingest", workers),
    ("describe, threads", "describe", threads),
    ("describe, workers", "describe", workers),
    ("reduce, threads", "reduce", threads),
    ("reduce, workers", "reduce", workers),
    ("S_4, threads", "dynamics", threads),
    ("S_4, workers", "dynamics", workers),
    ("autoencoder, ten repeats", "autoencoder", of_torch),
    ("convolutional network", "convolution", of_torch),
    ("copies of memory, threads", "copies", threads),
)


def seconds(job: Callable[[], Any], place: Callable[[int], AbstractContextManager[Any]]) -> dict[int, list[float]]:
    """Of one and of two, in turn; what is compiled or loaded first is not counted."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for k, n in itertools.product(range(1 if TINY else 0, REPEATS + 1), (1, 2)):
        with place(n):
            begun = time.perf_counter()
            job()
            if k:
                taken[n].append(time.perf_counter() - begun)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help="words of the lines to run; default all")
    parser.add_argument("--scale", type=float, default=0.01 if TINY else 1.0, help="factor to all sizes")
    parser.add_argument("--profile", help="profile of a cluster, whose workers describe and reduce as well")
    given = parser.parse_args()
    cases = [*CASES]
    if given.profile:
        of_cluster = partial(workers, profile=given.profile)
        cases += [("describe, cluster", "describe", of_cluster), ("reduce, cluster", "reduce", of_cluster)]
    lines = [what for what, _, _ in cases]
    if unknown := [work for work in given.works if not any(work in line for line in lines)]:
        parser.error(f"no line has the words {', '.join(unknown)}: expected words of {'; '.join(lines)}")
    with tempfile.TemporaryDirectory() as name:
        jobs = Jobs(Path(name), given.scale)
        for what, job, place in cases:
            if TINY and place is workers:
                continue  # each starts four clusters
            if not given.works or any(work in what for work in given.works):
                show(what, seconds(getattr(jobs, job), place))


def show(what: str, taken: dict[int, list[float]]) -> None:
    one, two = (statistics.median(taken[n]) for n in (1, 2))
    print(f"{what:28s}{one:8.2f} s{two:8.2f} s{one / two:8.2f}", flush=True)


if __name__ == "__main__":
    main()
