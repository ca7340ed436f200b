"""How describe and reduce scale: tasks, graph, memory, spilling, overhead of the scheduler, speed-up of two workers.

    python -m tests.benchmarks.bench_scaling growth overhead speedup motion ceiling large

Without names all are run, on free cores in about half an hour; ``--scale 0.1`` makes every job ten times smaller, to
see that it works. Workers are processes of one thread on the loopback interface, each bound to a core as batch systems
do it: otherwise a worker that is alone compresses on a second one. Configurations are those that the project ships,
with a little noise, so that every frame is another one. ``--folder`` says where the stores are made (and removed
again): tens of gigabytes for ``large``.

What is printed: `tasks` that the scheduler ran and per second of the job; bytes from the client to the scheduler by
task; `held`, most tasks that the scheduler knew at once; `peak`, high-water mark of the resident memory of a worker;
`spilled`, what workers wrote to disk to make room; `paused`, share of looks at which a worker had paused; `idle`, share
of the time between its first and its last task in which a worker computed nothing: scheduler, communication,
serialization and the worker's own bookkeeping; `CPU`, seconds of the process of client and scheduler plus those of all
workers, which mean something on a busy machine too.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from distributed.diagnostics.plugin import SchedulerPlugin

import glassdask as gd
from glassdask.dynamics import averages
from glassdask.dynamics.scattering import density_modes
from glassdask.schema import assemble

SHIPPED = Path(__file__).parents[2] / "pipelines" / "data" / "wahn_N4000_T0.58.npz"
CUTOFFS = {("A", "A"): 1.42, ("A", "B"): 1.31, ("B", "B"): 1.25}
SBO = gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs=CUTOFFS)
REPEATS = 5
MOTION_REPEATS = 3  # of five jobs, by one, by two, and twice by processes of their own: ten minutes of two free cores
SOAP = gd.SOAP(r_cut=1.6, n_max=8, l_max=8, sigma=0.2)  # 324 features


class Counter(SchedulerPlugin):
    """What a scheduler did: tasks run, most tasks known, and when each worker computed."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.tasks, self.held = 0, 0
        self.busy = defaultdict(float)
        self.span = {}

    def update_graph(self, scheduler, **_):
        self.held = max(self.held, len(scheduler.tasks))

    def transition(self, key, start, finish, *args, startstops=(), worker=None, **_):
        if start != "processing" or finish != "memory":
            return
        self.tasks += 1
        self.held = max(self.held, len(self.scheduler.tasks))
        for part in startstops or ():
            seconds = part["stop"] - part["start"]
            if part["action"] == "compute":
                self.busy[worker] += seconds
            first, last = self.span.get(worker, (part["start"], part["stop"]))
            self.span[worker] = (min(first, part["start"]), max(last, part["stop"]))

    def idle(self):
        """Share of the time between first and last task in which nothing was computed."""
        window = sum(last - first for first, last in self.span.values())
        return 1 - sum(self.busy.values()) / window if window else float("nan")


def _cpu():
    return time.process_time()


def _bound(dask_worker):
    """Binds a worker with all its threads to a core of its own, as batch systems do."""
    cores = sorted(os.sched_getaffinity(0))
    core = cores[int(dask_worker.name) % len(cores)]
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def _peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _spilled(dask_worker):
    return dict(dask_worker.data.cumulative_metrics).get(("disk-write", "bytes"), 0)


@contextmanager
def measured(workers, memory="4GiB"):
    """A cluster with counters; the dict that is yielded is filled at the end, `start` begins the clock."""
    report = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        gd.cluster.connect(_profile(scratch, memory), workers=workers) as client,
    ):
        scheduler = client.cluster.scheduler
        counter = Counter(scheduler)
        scheduler.add_plugin(counter)
        looks, ended = [], threading.Event()

        def look():
            while not ended.wait(0.5):
                looks.append(sum(str(ws.status) == "Status.paused" for ws in scheduler.workers.values()))

        threading.Thread(target=look, daemon=True).start()
        client.wait_for_workers(workers)
        client.run(_bound)
        before = time.process_time(), sum(client.run(_cpu).values())
        sent = client.scheduler_comm.byte_count
        begun = time.perf_counter()
        yield report
        seconds = time.perf_counter() - begun
        front, kernels = time.process_time() - before[0], sum(client.run(_cpu).values()) - before[1]
        ended.set()
        report |= {
            "seconds": seconds,
            "tasks": counter.tasks,
            "rate": counter.tasks / seconds,
            "graph": (client.scheduler_comm.byte_count - sent) / max(counter.tasks, 1),
            "held": counter.held,
            "peak": max(client.run(_peak).values()),
            "spilled": sum(client.run(_spilled).values()) / 1e9,
            "paused": float(np.mean(looks)) / workers if looks else 0.0,
            "idle": counter.idle(),
            "cpu": (front, kernels),
        }


def _profile(scratch, memory):
    """A cluster of this machine whose workers have some memory and spill to the folder `scratch`."""
    file = Path(scratch) / "local.toml"
    file.write_text(f'kind = "local"\n[options]\nmemory = "{memory}"\nlocal_directory = "{scratch}"\n')
    return str(file)


def show(what, report):
    print(
        f"{what:34s}{report['seconds']:8.1f} s{report['tasks']:8d} tasks{report['rate']:8.0f}/s"
        f"{report['graph']:7.0f} B/task{report['held']:7d} held{report['peak']:7.0f} MiB peak"
        f"{report['spilled']:7.2f} GB spilled{100 * report['paused']:5.1f} % paused{100 * report['idle']:6.1f} % idle"
        f"{report['cpu'][0]:8.1f} + {report['cpu'][1]:.1f} s CPU",
        flush=True,
    )


def liquid(n_frames):
    """A trajectory of the shipped mixture, made block by block: every frame is the same liquid with other noise."""
    run = np.load(SHIPPED)
    position, box = run["position"][0], np.asarray(run["box"], dtype=float).reshape(-1)[:3]
    species = np.where(run["species"] == 1, "A", "B")

    def block(block_info=None):
        (first, last), *_ = block_info[None]["array-location"]
        noise = np.random.default_rng(first).normal(scale=0.02, size=(last - first, *position.shape))
        return (position + noise) % box

    sizes = (*[100] * (n_frames // 100), *[n_frames % 100] * (n_frames % 100 > 0))
    positions = da.map_blocks(block, chunks=(sizes, *position.shape), dtype=float, meta=np.empty((0, 0, 0)))
    cells = np.broadcast_to(np.diag(box), (n_frames, 3, 3)).copy()
    return assemble({"position": positions, "species": species, "box": cells})


def make_store(folder, n_frames):
    path = Path(folder) / "run.zarr"
    with dask.config.set(scheduler="threads", num_workers=2):
        gd.save_trajectory(liquid(n_frames), path)
    return path


def stored(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e9


def describe(path, descriptor=SBO, block=None):
    gd.save_descriptors(gd.describe(gd.open_trajectory(path), [descriptor], block=block), path)


def reduce(path, descriptor=SBO):
    features = gd.open_descriptors(path)[descriptor.name]
    gd.save_reduction(gd.reduce(features, n_components=8), path, descriptor.name)


def growth(scale, folder):
    """Small blocks, so that many tasks do little work: 1, 10 and 100 times as many."""
    for times in (1, 10, 100):
        n_frames = max(4, round(100 * scale)) * times
        path = make_store(tempfile.mkdtemp(dir=folder), n_frames)
        for job, options in ((describe, {"block": 8000}), (reduce, {})):
            with measured(2) as report:
                job(path, **options)
            show(f"{job.__name__} {n_frames * 4000:.1e} particles", report)
        shutil.rmtree(path.parent)


def overhead(scale, folder):
    """Blocks of the default size, whatever their number: how much of the workers' time is not spent in kernels."""
    for descriptor, n_frames in ((SBO, 2000), (SOAP, 400)):
        path = make_store(tempfile.mkdtemp(dir=folder), max(16, round(n_frames * scale)))
        for job in (describe, reduce):
            with measured(1) as report:
                job(path, descriptor)
            show(f"{job.__name__} {descriptor.name}, default blocks", report)
        shutil.rmtree(path.parent)


def main_job(files, path):
    """What pipelines/local_structure.py does: ingest, cutoffs, describe, reduce."""
    gd.ingest(files, path, species_names={1: "A", 2: "B"})
    trajectory = gd.open_trajectory(path)
    distribution = gd.radial_distribution(trajectory)
    cutoffs = gd.first_minima(distribution)
    descriptors = [
        gd.SmoothedBondOrder(l_max=8, gamma=8, cutoffs=cutoffs),
        gd.BondOrder(l_max=8, cutoffs=cutoffs),
        gd.Coordination(cutoffs=cutoffs),
        gd.LocallyFavoredStructure(signature=(0, 0, 12), diameters=gd.first_peaks(distribution)),
    ]
    gd.save_descriptors(gd.describe(trajectory, descriptors, centers="B"), path)
    features = gd.open_descriptors(path)
    for name in ("sbo", "bo"):
        gd.save_reduction(gd.reduce(features[name]), path, name)


def write_dumps(folder, n_frames, n_files):
    """The liquid as LAMMPS dumps."""
    trajectory = liquid(n_frames)
    edges = np.linspace(0, n_frames, n_files + 1).astype(int)
    codes = np.where(trajectory["species"].values == "A", 1, 2)
    cell = np.diag(trajectory["box"].values[0])
    bounds = "".join(f"0 {edge:.6f}\n" for edge in cell)
    files = []
    for k, (first, last) in enumerate(itertools.pairwise(edges)):
        files.append(folder / f"liquid.{k}.dump")
        position = trajectory["position"][first:last].values
        with open(files[-1], "w") as file:
            for frame, rows in enumerate(position, first):
                file.write(
                    f"ITEM: TIMESTEP\n{frame}\nITEM: NUMBER OF ATOMS\n{len(rows)}\nITEM: BOX BOUNDS pp pp pp\n{bounds}"
                    "ITEM: ATOMS id type x y z\n"
                )
                table = np.column_stack([np.arange(1, len(rows) + 1), codes, rows])
                np.savetxt(file, table, fmt="%d %d %.6f %.6f %.6f")
    return files


def speedup(scale, folder):
    """The same job by one and by two workers of one thread, in turn: machines are faster and slower now and then."""
    found = defaultdict(list)
    n_frames = max(20, round(9000 * scale))
    home = Path(tempfile.mkdtemp(dir=folder))
    files = write_dumps(home, max(20, round(1000 * scale)), 8)
    for _, workers in itertools.product(range(REPEATS), (1, 2)):
        path = make_store(tempfile.mkdtemp(dir=folder), n_frames)
        with measured(workers) as report:
            describe(path)
        show(f"describe, {workers} workers", report)
        found["describe", workers].append(report)
        shutil.rmtree(path.parent)
        with measured(workers) as report:
            main_job(files, home / "store.zarr")
        show(f"main job, {workers} workers", report)
        found["main job", workers].append(report)
        shutil.rmtree(home / "store.zarr")
    for job in ("describe", "main job"):
        show_speedup(job, found)


def show_speedup(job, found):
    """What a second worker brought, of the reports of one and of two."""
    one, two = ([report["seconds"] for report in found[job, workers]] for workers in (1, 2))
    # of the cores' time, how much went into the work: what the machine's own ups and downs leave alone
    used = [[r["cpu"][1] / (w * r["seconds"]) for r in found[job, w]] for w in (1, 2)]
    pairs = [first / second for first, second in zip(one, two)]
    by_cpu = 2 * np.median(used[1]) / np.median(used[0])
    work = np.median([sum(r["cpu"]) for r in found[job, 2]]) / np.median([sum(r["cpu"]) for r in found[job, 1]])
    print(
        f"speed-up of {job} by a second worker: {sum(one) / sum(two):.2f} ({len(one)} runs of each together; "
        f"in pairs {min(pairs):.2f} to {max(pairs):.2f}; by CPU time {by_cpu:.2f}, of which two take {work:.2f} times "
        "that of one)"
    )


def chi4(path):
    gd.dynamics.dynamic_susceptibility(gd.open_trajectory(path), a=0.3, k=7.2, origins=200)


def s4(path):
    gd.dynamics.four_point(gd.open_trajectory(path), lag=10.0, a=0.3, origins=60)


def scattering(path):
    gd.dynamics.intermediate_scattering(gd.open_trajectory(path), 7.2, origins=200)


def coherent(path):
    gd.dynamics.intermediate_scattering(gd.open_trajectory(path), 7.2, origins=200, self_part=False)


def kernels(_):
    """What chi_4, F_s and F(k, t) are made of, without files and without dask, of a task that fits no cache."""
    rng = np.random.default_rng(0)
    path, starts = rng.random((400, 3, 4000)), np.array([0, 4000])
    pairs = rng.integers(0, 400, (8000, 2))
    modes = rng.integers(-20, 21, (200, 3))
    averages.self_sums(path, starts, pairs=pairs, k=7.2, a=0.3)
    density_modes(path, starts, inverse=np.broadcast_to(np.eye(3), (400, 3, 3)), modes=modes)


MOTION = (chi4, s4, scattering, coherent)


def walkers(folder, n_frames, n):
    """A store of random walks."""
    length, rng = (n / 1.2) ** (1 / 3), np.random.default_rng(0)
    path = rng.random((n, 3)) * length + np.cumsum(rng.normal(scale=0.05, size=(n_frames, n, 3)), axis=0)
    image = np.floor(path / length).astype(int)
    home = Path(tempfile.mkdtemp(dir=folder)) / "run.zarr"
    gd.save_trajectory(
        gd.from_arrays(
            path - image * length, species=["A"] * n, box=[length] * 3, image=image, time=1.0 * np.arange(n_frames)
        ),
        home,
    )
    return home


def motion(scale, folder):
    """Dynamic heterogeneity by one and by two workers, in turn, and what two processes do that share no work.

    The last is the most that a second worker can bring: of the bare kernels, and of each whole job. What it takes of
    CPU beside another process, against alone, tells what memory and clock cost, also where others use the machine.
    """
    home, few = (walkers(folder, max(20, round(400 * scale)), n) for n in (max(1000, round(30_000 * scale)), 100))
    found = defaultdict(list)
    for _, workers, job in itertools.product(range(MOTION_REPEATS), (1, 2), MOTION):
        with measured(workers) as report:
            job(home)
        show(f"{job.__name__}, {workers} workers", report)
        found[job.__name__, workers].append(report)
    for job in MOTION:
        show_speedup(job.__name__, found)
    for job in (kernels, *MOTION):
        show_ceiling(job, [home, home], few, MOTION_REPEATS)


def ceiling(scale, folder):
    """What two cores can do at all: two processes that know nothing of each other, each with its own store."""
    paths = [make_store(tempfile.mkdtemp(dir=folder), max(20, round(2000 * scale))) for _ in range(2)]
    few = make_store(tempfile.mkdtemp(dir=folder), 1)
    show_ceiling(describe, paths, few)
    for path in (*paths, few):
        shutil.rmtree(path.parent)


def show_ceiling(job, paths, few, repeats=REPEATS):
    """What two processes do at once that one does alone, each with one of the paths; kernels are loaded with `few`."""
    ratios, work = [], []
    for _ in range(repeats):
        (alone, one), (together, two) = (_side_by_side(some, job, few) for some in (paths[:1], paths))
        ratios.append(2 * alone / together)
        work.append(two / (2 * one))
    print(
        f"{job.__name__}: two processes without a scheduler do {np.median(ratios):.2f} times as much as one "
        f"({min(ratios):.2f} to {max(ratios):.2f}), each with {np.median(work):.2f} times the CPU time "
        f"({min(work):.2f} to {max(work):.2f})",
        flush=True,
    )


def _side_by_side(paths, job, few):
    """Seconds until the job is done with every path, by a process each, all begun at once; and of CPU, together."""
    context = multiprocessing.get_context("spawn")
    ready, taken = context.Barrier(len(paths)), context.Queue()
    processes = [context.Process(target=_alone, args=(path, job, few, ready, taken)) for path in paths]
    for process in processes:
        process.start()
    seconds, cpu = zip(*(taken.get() for _ in paths), strict=True)
    for process in processes:
        process.join()
    if job is describe:
        for path in paths:
            shutil.rmtree(path / "descriptors")
    return max(seconds), sum(cpu)


def _alone(path, job, few, ready, taken):
    with dask.config.set(scheduler="synchronous"):
        job(few)  # imports, kernels from their cache
        ready.wait()
        begun, used = time.perf_counter(), time.process_time()
        job(path)
        taken.put((time.perf_counter() - begun, time.process_time() - used))


def large(scale, folder):
    """A store ten times the memory of both workers together, described and reduced within it."""
    memory = 512
    n_frames = max(20, round(scale * 10.5 * 2 * memory * 2**20 / (4000 * 8 * (324 + 8 + 3))))
    path = make_store(tempfile.mkdtemp(dir=folder), n_frames)
    for job in (describe, reduce):
        with measured(2, f"{memory}MiB") as report:
            job(path, SOAP)
        show(f"{job.__name__} soap in 2 x {memory} MiB", report)
    arrays = n_frames * 4000 * 8 * (324 + 8 + 3) / 1e9
    print(f"the store: {arrays:.1f} GB of numbers, {stored(path):.1f} GB of files, {n_frames * 4000} particles")
    shutil.rmtree(path.parent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cases = {case.__name__: case for case in (growth, overhead, speedup, motion, ceiling, large)}
    parser.add_argument("cases", nargs="*", help=f"some of {', '.join(cases)}; default all")
    parser.add_argument("--scale", type=float, default=1.0, help="factor to all sizes")
    parser.add_argument("--folder", help="where stores are made; default the folder for temporary files")
    chosen = parser.parse_args()
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"  # of the workers, which tell of every pause
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    for name in chosen.cases or cases:
        print(f"-- {name}: {cases[name].__doc__.splitlines()[0]}")
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            cases[name](chosen.scale, folder)


if __name__ == "__main__":
    main()
