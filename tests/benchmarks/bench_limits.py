"""How near the kernels are to what a core can do: ``python -m tests.benchmarks.bench_limits``, a minute.

Measured first: the operations a second of a product of matrices, which fills the vector units with multiply-adds in
double precision, and the bytes a second that a scalar product reads from the cache and from memory. Then each kernel
alone, over pairs that lie in the cache as `Configuration.batches` leaves them. Operations are those of the formulas (an
addition or a multiplication is one, an exponential or a root 20), not of the machine code; the limit is the longer of
the times that the operations and the bytes of a pair take. Times are of the processor; on a machine that others use,
the ratios are what to read, as all is measured in one run.
"""

from __future__ import annotations

from tests.benchmarks.peers import REPEATS, ROWS, TINY, Row, wahnstrom  # isort: skip (sets the number of threads)

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import glassdask as gd
from glassdask.configurations import Configuration
from glassdask.frames import one_by_one

CUTOFFS = {("A", "A"): 1.404, ("A", "B"): 1.366, ("B", "B"): 1.254}
CENTERS = 50 if TINY else 2000  # of which the pairs stay in the cache
PAIR_BYTES = 4 + 4 * 8  # index, and x, y, z and r
HARD = 20  # operations of an exponential or a root


def harmonics(l_min: int, l_max: int) -> int:
    """Operations of the sums of Y_lm of a pair: of each l and m >= 0 a step of the recurrence and two multiply-adds."""
    return sum(8 * (l + 1) for l in range(l_min, l_max + 1)) + 10


def soap(n_max: int, l_max: int, n_species: int, neighbors: float) -> float:
    """Cubic radial functions, harmonics, their products; and of the centre the power spectrum."""
    of_pair = 6 * n_max * (l_max + 1) + 4 * (l_max + 1) ** 2 + 2 * n_max * (l_max + 1) ** 2
    channels = n_max * n_species
    return of_pair + channels * (channels + 1) / 2 * 2 * (l_max + 1) ** 2 / neighbors


@dataclass(frozen=True)
class Case:
    """A descriptor, and the operations of a pair by the number of neighbours."""

    name: str
    descriptor: gd.Descriptor
    operations: Callable[[float], float]


def cases() -> list[Case]:
    return [
        Case("BO l 1-8", gd.BondOrder(cutoffs=CUTOFFS, l_max=8), lambda n: harmonics(1, 8)),
        Case("SBO l 1-8", gd.SmoothedBondOrder(cutoffs=CUTOFFS, l_max=8), lambda n: harmonics(1, 8) + 2 * HARD),
        Case("SOAP 6 x 8", gd.SOAP(r_cut=1.6, n_max=6, l_max=8, sigma=0.2), lambda n: soap(6, 8, 2, n)),
        Case("local energy", gd.LocalEnergy(model="wahnstrom"), lambda n: 12.0),
    ]


def seconds(work: Callable[[], object]) -> float:
    """Median CPU time of a piece of work, repeated until it takes a twentieth of a second."""
    work()
    times, number = [], 1
    while len(times) < REPEATS:
        begun = time.process_time()
        for _ in range(number):
            work()
        passed = time.process_time() - begun
        if passed < (0.0 if TINY else 0.05):
            number *= 2
        else:
            times.append(passed / number)
    return statistics.median(times)


def machine() -> tuple[float, float, float]:
    """Operations a second, bytes a second from the cache and from memory, of one core, as BLAS reaches them."""
    size = 64 if TINY else 512
    square = np.full((size, size), 1.0 / size)
    peak = 2.0 * size**3 / seconds(lambda: square @ square)
    near, far = (np.ones(size) for size in (1 << 12, 1 << (14 if TINY else 24)))
    other = near.copy()
    return peak, 2 * near.nbytes / seconds(lambda: near @ other), far.nbytes / seconds(lambda: far @ far)


def prepared() -> Configuration:
    configuration, _ = one_by_one(wahnstrom(copies=1, keep=4000))(0)
    return configuration


def main() -> None:
    peak, cache, memory = machine()
    speeds = f"{cache / 1e9:.0f} B/ns from the cache, {memory / 1e9:.0f} from memory"
    print(f"a core: {peak / 1e9:.1f} operations a ns, {speeds}")
    print(f"{'kernel':14s}{'pairs':>8s}{'operations':>12s}{'bytes':>7s}{'ns a pair':>11s}{'limit':>8s}{'ratio':>8s}")
    configuration = prepared()
    everybody = np.arange(min(CENTERS, len(configuration.position)))
    for case in cases():
        plan = case.descriptor.plan(configuration.names, 3)
        found = configuration.neighbors(everybody, plan.search)
        out = np.empty((len(everybody), *plan.shape))
        pairs = len(found.index)
        n = pairs / len(everybody)
        ours = seconds(lambda plan=plan, found=found, out=out: plan.compute(configuration, found, out)) / pairs
        line(case.name, n, case.operations(n), PAIR_BYTES, ours, peak, cache)
    cutoffs = np.full((2, 2), 1.404)
    candidates = 27 * configuration.density * max(1.404, 0.5 * configuration.spacing) ** 3

    def search():
        return [len(rows) for rows, _ in configuration.batches(everybody, cutoffs)]

    # of every candidate a distance, of those that are kept its vector and root
    found = len(configuration.neighbors(everybody, cutoffs).index) / len(everybody)
    operations = (8 * candidates + (HARD + 8) * found) / candidates
    line("search (cells)", candidates, operations, 28, seconds(search) / len(everybody) / candidates, peak, cache)


def line(name: str, pairs: float, operations: float, n_bytes: int, ours: float, peak: float, cache: float) -> None:
    """Print a row, and keep it for the table of all benchmarks."""
    limit = max(operations / peak, n_bytes / cache)
    counted = f"{name:14s}{pairs:8.1f}{operations:12.0f}{n_bytes:7d}"
    print(f"{counted}{1e9 * ours:11.2f}{1e9 * limit:8.2f}{ours / limit:8.1f}")
    ROWS.append(Row(f"{name}: a pair, against this core", "ns", 1e9 * ours, {"the core's limit": 1e9 * limit}, 0.0))


if __name__ == "__main__":
    main()
