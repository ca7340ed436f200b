"""How near the kernels are to what a core can do: ``python -m tests.benchmarks.bench_limits``, two minutes.

Measured first: the operations a second of a product of matrices, which fills the vector units with multiply-adds in
double precision, and the bytes a second that a scalar product reads from the cache and from memory. Then each kernel
alone, over pairs that lie in the cache as `Configuration.batches` leaves them. Operations are those of the formulas (an
addition or a multiplication is one, an exponential, a root, a sine or a division 20), not of the machine code; of
Voronoi cells they are only those that no method can do without. The limit is the longer of the times that the
operations and the bytes of a pair take. Times are of the processor; on a machine that others use, the ratios are what
to read, as all is measured in one run.
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
from glassdask.correlations import waves
from glassdask.descriptors import ace
from glassdask.frames import one_by_one
from glassdask.kernels import correlations, dynamics
from glassdask.learning.moments import compute_moments
from glassdask.neighborhood.configuration import BATCH_PAIRS
from tests.benchmarks.programs import ANGULAR, RADIAL

CUTOFFS = {("A", "A"): 1.404, ("A", "B"): 1.366, ("B", "B"): 1.254}
PAIR_BYTES = 4 + 4 * 8  # index, and x, y, z and r
HARD = 20  # operations of an exponential, a root, a sine or a division


# operations a second, and bytes a second from the cache and from memory
Core = tuple[float, float, float]


def harmonics(l_min: int, l_max: int) -> int:
    """Operations of the sums of Y_lm of a pair: of each l and m >= 0 a step of the recurrence and two multiply-adds."""
    return sum(8 * (l + 1) for l in range(l_min, l_max + 1)) + 10


def soap(n_max: int, l_max: int, n_species: int, neighbors: float) -> float:
    """Cubic radial functions, harmonics, their products; and of the centre the power spectrum."""
    of_pair = 6 * n_max * (l_max + 1) + 4 * (l_max + 1) ** 2 + 2 * n_max * (l_max + 1) ** 2
    channels = n_max * n_species
    return of_pair + channels * (channels + 1) / 2 * 2 * (l_max + 1) ** 2 / neighbors


def expansion(descriptor: gd.ACE, neighbors: float) -> float:
    """Radial functions and harmonics of a pair, their sums; and of the centre products of densities and their sums."""
    sizes = (descriptor.degree, descriptor.degree, descriptor.w_l, descriptor.body_order)
    _, tables = ace._prepare(2, sizes, 3, descriptor.purified, descriptor.r_cut, descriptor.r_0)
    of_pair = 4 * len(tables.radial_recurrence) + 5 * len(tables.depth) ** 2 + tables.density_rows + 2 * HARD
    of_centre = 2 * tables.pairs[:, 3].sum() + 4 * len(tables.triples) + 2 * len(tables.column)
    return float(of_pair + of_centre / neighbors)


def symmetry(radial: int, angular: int, etas: int, neighbors: float) -> float:
    """Radial functions of a pair; of the pairs of neighbours cos theta, r_jk, both falloffs and the functions."""
    of_pair = radial * (4 + HARD) + HARD
    of_triplet = 12 + HARD + etas * HARD + angular * 6
    return of_pair + of_triplet * (neighbors - 1) / 2


def polyhedron(faces: float) -> float:
    """Of a face of a cell: its plane against each of the 2 (f - 2) vertices once, and the volume of its corners."""
    vertices = 2 * (faces - 2)
    return 6 * vertices + 20 * 3 * vertices / faces


@dataclass(frozen=True)
class Case:
    """A descriptor, and the operations of a pair by the number of neighbours."""

    name: str
    descriptor: gd.Descriptor
    operations: Callable[[float], float]


def cases() -> list[Case]:
    soaps = gd.SOAP(r_cut=1.6, n_max=6, l_max=8, sigma=0.2)
    aces = gd.ACE(r_cut=4.0 if not TINY else 2.0, degree=10)
    return [
        Case("BO l 1-8", gd.BondOrder(cutoffs=CUTOFFS, l_max=8), lambda n: harmonics(1, 8)),
        Case("SBO l 1-8", gd.SmoothedBondOrder(cutoffs=CUTOFFS, l_max=8), lambda n: harmonics(1, 8) + 2 * HARD),
        Case("SOAP 6 x 8", soaps, lambda n: soap(6, 8, 2, n)),
        Case("ACE d 10", aces, lambda n: expansion(aces, n)),
        Case(
            "symmetry functions 4 + 6",
            gd.SymmetryFunctions(r_cut=2.0, radial=RADIAL, angular=ANGULAR),
            lambda n: symmetry(len(RADIAL), len(ANGULAR), 2, n),
        ),
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


def machine() -> Core:
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
    core = machine()
    speeds = f"{core[1] / 1e9:.0f} B/ns from the cache, {core[2] / 1e9:.0f} from memory"
    print(f"a core: {core[0] / 1e9:.1f} operations a ns, {speeds}")
    numbers = f"{'many':>9s}{'operations':>12s}{'bytes':>7s}{'ns':>10s}{'limit':>9s}{'ratio':>7s}"
    print(f"{'kernel, and what is counted':38s}{numbers}")
    configuration = prepared()
    of_descriptors(configuration, core)
    of_cells(configuration, core)
    of_searches(configuration, core)
    of_motion(core)
    of_sums(configuration, core)


def of_descriptors(configuration: Configuration, core: Core) -> None:
    """A pair of a centre and a neighbour."""
    for case in cases():
        plan = case.descriptor.plan(configuration.names, 3)
        density = 4.19 * configuration.density * np.max(plan.search) ** 3
        centers = np.arange(min(len(configuration.position), max(8, int(BATCH_PAIRS / density))))
        found = configuration.neighbors(centers, plan.search)
        out = np.empty((len(centers), *plan.shape))
        n = len(found.index) / len(centers)
        ours = seconds(lambda plan=plan, found=found, out=out: plan.compute(configuration, found, out))
        line(f"{case.name}: a pair", n, case.operations(n), PAIR_BYTES, ours / len(found.index), core)


def of_cells(configuration: Configuration, core: Core) -> None:
    """A face of a Voronoi cell, the search for who may have one included."""
    centers = np.arange(min(500, len(configuration.position)))
    ((_, bonds),) = gd.Voronoi().batches(configuration, centers)
    faces = len(bonds.index) / len(centers)
    cells = gd.VoronoiCell(diameters={"A": 1.07, "B": 0.89}).plan(configuration.names, 3)
    shapes = gd.MinkowskiStructure().plan(configuration.names, 3)
    out, degrees = (np.empty((len(centers), *plan.shape)) for plan in (cells, shapes))

    def describe():
        configuration.cells.clear()  # those that were cut before
        cells.compute(configuration, centers, out)

    def weigh():
        configuration.cells.clear()
        for _, found in shapes.search.batches(configuration, centers):
            shapes.compute(configuration, found, degrees)

    for name, work, more in (("Voronoi cells", describe, 0), ("Minkowski l 1-8", weigh, harmonics(1, 8))):
        ours = seconds(work) / len(bonds.index)
        line(f"{name}: a face", faces, polyhedron(faces) + more, PAIR_BYTES, ours, core)


def of_searches(configuration: Configuration, core: Core) -> None:
    """A candidate, of which each has a distance; those that are kept have a vector and a root, or a bin."""
    everybody = np.arange(len(configuration.position))
    for reach in (1.404, 2.5):
        cutoffs = np.full((2, 2), reach)
        candidates = 27 * configuration.density * max(reach, 0.5 * configuration.spacing) ** 3
        kept = len(configuration.neighbors(everybody, cutoffs).index) / len(everybody)

        def search(cutoffs=cutoffs):
            return [len(rows) for rows, _ in configuration.batches(everybody, cutoffs)]

        operations = (8 * candidates + (HARD + 8) * kept) / candidates
        ours = seconds(search) / len(everybody) / candidates
        line(f"search to {reach}: a candidate", candidates, operations, 28, ours, core)
    grid = configuration.grid(2.5)
    centers, counts = everybody[grid.order(everybody)], np.zeros((2, 2, 250), np.int64)
    room = grid.room()
    ours = seconds(lambda: correlations.histogram_pairs(centers, grid.lists, 2.5**2, 100.0, *room, counts))
    once, pairs = candidates / 2, kept / 2
    operations = (8 * once + (HARD + 3) * pairs) / once
    line("g(r) to 2.5: a candidate", once, operations, 28, ours / len(everybody) / once, core)


def of_motion(core: Core) -> None:
    """A displacement of a particle between two frames."""
    n, n_frames = (50 if TINY else 2000), 8
    position = np.random.default_rng(0).normal(size=(n_frames, 3, n))
    pairs = np.array([(a, b) for a in range(n_frames) for b in range(a + 1, n_frames)])
    square, out, starts = np.empty(n), np.empty((len(pairs), 1, dynamics.N_SUMS)), np.array([0, n])
    for name, k, operations in (("msd and chi_4", 0.0, 13), ("the same and F_s", 7.0, 15 + 3 * HARD)):
        ours = seconds(lambda k=k: dynamics.self_sums(position, starts, pairs, k, 0.09, square, out))
        line(f"{name}: a displacement", len(pairs) * n, operations, 48, ours / len(pairs) / n, core)


def of_sums(configuration: Configuration, core: Core) -> None:
    """A wave of a particle; a row of features."""
    rng = np.random.default_rng(0)
    fraction = np.ascontiguousarray((configuration.position @ configuration.inverse).T)
    n, modes = fraction.shape[1], rng.integers(-20, 21, (20 if TINY else 400, 3))
    of_waves = (fraction, np.ones(n), np.array([0, n]), modes, np.zeros((1, 2, len(modes))))
    ours = seconds(lambda: waves.add_waves(*of_waves)) / n / len(modes)
    line("S(k): a wave of a particle", n * len(modes), 14, 48, ours, core)
    rows, m = (200, 24) if TINY else (5000, 324)
    features = rng.normal(size=(rows, m))
    for x in (features, features.astype(np.float32)):
        ours = seconds(lambda x=x: compute_moments(x)) / rows
        line(f"moments, {x.dtype} x {m}: a row", rows, m * (m + 1) + 3 * m, m * x.itemsize, ours, core)


def line(name: str, many: float, operations: float, n_bytes: int, ours: float, core: Core) -> None:
    """Print a row, and keep it for the table of all benchmarks."""
    limit = max(operations / core[0], n_bytes / core[1])
    print(f"{name:38s}{many:9.4g}{operations:12.0f}{n_bytes:7d}{1e9 * ours:10.2f}{1e9 * limit:9.2f}{ours / limit:7.1f}")
    ROWS.append(Row(f"{name}, against this core", "ns", 1e9 * ours, {"the core's limit": 1e9 * limit}, 0.0))


if __name__ == "__main__":
    main()
