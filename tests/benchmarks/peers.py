"""Timing of two or more programs on the same work, in turn, one thread each.

Times drift on shared machines, so what counts is the ratio of medians over alternating runs.
"""

from __future__ import annotations

import os

# before any library starts its pool
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

import glassdask as gd

DATA = Path(__file__).parents[2] / "pipelines" / "data"


def wahnstrom(copies: int = 2, keep: int = 20_000):
    """The shipped Wahnström configuration repeated to about `keep` particles, one frame.

    Two of three axes are repeated `copies` times; the third as often as that needs.
    """
    run = np.load(DATA / "wahn_N4000_T0.58.npz")
    position, box = run["position"][0], run["box"]
    repeats = (copies, copies, max(1, round(keep / len(position) / copies**2)))
    shifts = np.array(list(np.ndindex(*repeats)))
    everything = (position[None] + (shifts * box)[:, None]).reshape(-1, 3)
    species = np.tile(np.where(run["species"] == 1, "A", "B"), len(shifts))
    return gd.from_arrays(everything, species=species, box=box * repeats)


def alternate(works: Mapping[str, Callable[[], object]], n: int = 5, patience: float = 20.0) -> dict[str, float]:
    """Median seconds of CPU of each piece of work over `n` runs in turn, after one run of each that does not count.

    Work that took longer than `patience` seconds in that first run is not repeated: its first time stands.
    """
    times: dict[str, list[float]] = {}
    for name, work in works.items():
        times[name] = [cpu_seconds(work)]
    quick = {name: work for name, work in works.items() if times[name][0] < patience}
    for name in quick:
        times[name].clear()
    for _ in range(n):
        for name, work in quick.items():
            times[name].append(cpu_seconds(work))
    return {name: statistics.median(values) for name, values in times.items()}


def report(title, number, ours, others, rtol=1e-8):
    """Print microseconds of one of `number` by us and the others, whose first must give the same numbers as we."""
    expected = next(iter(others.values()))()
    np.testing.assert_allclose(ours(), expected, rtol=rtol)
    medians = alternate({"glassdask": ours, **others})
    line = " | ".join(f"{name} {t / number * 1e6:.3g} us" for name, t in medians.items())
    ratio = medians[next(iter(others))] / medians["glassdask"]
    print(f"{title:45s} {line} (x {ratio:.1f})", flush=True)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU of this process, which other users of the machine change less than those of the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start
