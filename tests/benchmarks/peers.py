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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import glassdask as gd

# sizes that are enough to see that everything works: what tests run
TINY = os.environ.get("GLASSDASK_BENCHMARKS") == "tiny"
REPEATS = 1 if TINY else 5
DATA = Path(__file__).parents[2] / "pipelines" / "data"


def wahnstrom(copies: int = 2, keep: int = 20_000):
    """The shipped Wahnström configuration repeated to about `keep` particles, one frame.

    Two of three axes are repeated `copies` times; the third as often as that needs.
    """
    if TINY:
        run = np.load(DATA.parents[1] / "tests" / "data" / "wahn_N1000.npz")
        copies, keep = 1, 1000
    else:
        run = np.load(DATA / "wahn_N4000_T0.58.npz")
    position, box = run["position"].reshape(-1, len(run["species"]), 3)[0], run["box"]
    repeats = (copies, copies, max(1, round(keep / len(position) / copies**2)))
    shifts = np.array(list(np.ndindex(*repeats)))
    everything = (position[None] + (shifts * box)[:, None]).reshape(-1, 3)
    species = np.tile(np.where(np.isin(run["species"].astype(str), ("1", "A")), "A", "B"), len(shifts))
    return gd.from_arrays(everything, species=species, box=box * repeats)


def alternate(
    works: Mapping[str, Callable[[], object]], n: int = REPEATS, patience: float = 0.0 if TINY else 20.0
) -> dict[str, float]:
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


@dataclass(frozen=True)
class Row:
    """A line of the table: what is done, the time of it by us and by others in `unit`, and the least ratio."""

    work: str
    unit: str
    ours: float
    others: dict[str, float]
    limit: float

    @property
    def best(self) -> tuple[str, float] | None:
        """The fastest of the others."""
        return min(self.others.items(), key=lambda item: item[1], default=None)

    @property
    def ratio(self) -> float | None:
        """Its time over ours."""
        return self.best[1] / self.ours if self.best else None


ROWS: list[Row] = []  # of this run, see `tests.benchmarks.__main__`


def record(
    work: str, times: Mapping[str, float], number: float, unit: str = "us", limit: float = 1.0, scale: float = 1e6
) -> None:
    """Print the times (seconds; ours is "glassdask") of one of `number`, and keep them for the table."""
    each = {name: seconds / number * scale for name, seconds in times.items()}
    ours = each.pop("glassdask")
    ROWS.append(Row(work, unit, ours, each, limit))
    line = [f"glassdask {ours:.3g} {unit}", *(f"{k} {t:.3g} (x {t / ours:.1f})" for k, t in each.items())]
    print(f"{work:45s} {' | '.join(line)}", flush=True)


def report(title, number, ours, others, rtol=1e-8, limit=1.0):
    """`record` of one of `number` by us and the others, whose first must give the same numbers as we."""
    expected = next(iter(others.values()))()
    np.testing.assert_allclose(ours(), expected, rtol=rtol)
    record(title, alternate({"glassdask": ours, **others}), number, limit=limit)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU of this process, which other users of the machine change less than those of the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start
