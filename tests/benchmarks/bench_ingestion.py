"""Reading and ingestion of a LAMMPS dump against OVITO, MDAnalysis, chemfiles and ASE: CPU time on the same file.

Run with ``python -m tests.benchmarks.bench_ingestion``; ``--megabytes 153`` makes the file larger, ``--files 5000``
sets how many files of one frame are ingested. chemfiles reads no dumps, but XYZ with the same particles. Every
measurement is a process of its own that reads each frame's positions into NumPy; its time is that of all its threads,
without imports and compilation. All read the same positions, which is looked at first, and take turns.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, record  # isort: skip (sets the number of threads)

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PARTICLES = 100 if TINY else 10_000
PATIENCE = 20.0  # seconds, after which a program is not asked again


def frame(rng, step, n):
    head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS pp pp pp\n0 20\n0 20\n0 20\n"
    rows = "".join(f"{k + 1} {1 + k % 2} {x:g} {y:g} {z:g}\n" for k, (x, y, z) in enumerate(rng.random((n, 3)) * 20))
    return f"{head}ITEM: ATOMS id type x y z\n{rows}"


def write(folder, megabytes, files):
    """The dump, a small one that warms up, and files of one frame of 100 particles."""
    rng = np.random.default_rng(0)
    count = max(2, round(1e6 * megabytes / len(frame(rng, 0, PARTICLES))))
    for name, n_frames in (("large.dump", count), ("warm.dump", 2)):
        (folder / name).write_text("".join(frame(rng, 100 * k, PARTICLES) for k in range(n_frames)))
        lines = (folder / name).read_text().split("ITEM: TIMESTEP\n")[1:]
        with open(folder / name.replace("dump", "xyz"), "w") as out:
            for text in lines:
                rows = text.split("x y z\n")[1].splitlines()
                out.write(f"{PARTICLES}\ncell:20,20,20 columns:species,pos\n")
                out.writelines(f"{row.partition(' ')[2]}\n" for row in rows)
    (folder / "many").mkdir()
    for k in range(files):
        (folder / "many" / f"dump.{100 * k}").write_text(frame(rng, 100 * k, 100))


def scan(path):
    from glassdask.io import scan

    yield np.array(scan(path).n_frames)


def parse(path):
    from glassdask.io import lammps, scan

    for found in lammps.read(path, 0, scan(path).n_frames, 0):
        yield found.position


def parse_xyz(path):
    from glassdask.io import scan, xyz

    path = path.replace(".dump", ".xyz")
    for found in xyz.read(path, 0, scan(path).n_frames, 0):
        yield found.position


def ingest(path, store=None):
    import dask

    from glassdask.io import ingest

    with dask.config.set(scheduler="synchronous"):
        yield np.array(ingest(path, store or f"{path}.zarr", overwrite=True).n_frames)


def ingest_many(path):
    folder = Path(path).parent
    yield from ingest(str(folder / "many" / "*"), folder / "many.zarr") if "large" in path else ingest(path)


def ovito(path):
    from ovito.io import import_file

    pipeline = import_file(path)
    for k in range(pipeline.source.num_frames):
        yield np.array(pipeline.compute(k).particles.positions)


def mdanalysis(path):
    import MDAnalysis

    universe = MDAnalysis.Universe(path, format="LAMMPSDUMP", to_guess=())
    for step in universe.trajectory:
        yield np.array(step.positions)


def chemfiles(path):
    import chemfiles

    with chemfiles.Trajectory(path.replace(".dump", ".xyz")) as trajectory:
        for _ in range(trajectory.nsteps):
            found = trajectory.read()  # whose memory the positions are in
            yield np.array(found.positions)


def ase(path):
    from ase.io import iread

    for atoms in iread(path, index=":", format="lammps-dump-text"):
        yield np.array(atoms.positions)


OURS = {"scan": scan, "parse": parse, "parse XYZ": parse_xyz, "ingest": ingest, "ingest one-frame files": ingest_many}
PEERS = {"OVITO": ovito, "MDAnalysis": mdanalysis, "chemfiles": chemfiles, "ASE": ase}
READERS = ("parse", "parse XYZ", *PEERS)


def measure(name, path):
    """Seconds of CPU, MB of memory and the mean of each coordinate, of a small file that is read first."""
    run = {**OURS, **PEERS}[name]
    warm = list(run(path.replace("large", "warm")))
    mean = np.concatenate(warm).mean(axis=0, dtype=np.float64).tolist() if name in READERS else None
    begin = time.process_time()
    for _ in run(path):
        pass
    return time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, mean


def apart(name, path):
    """`measure` in a process of its own, None where the program is not there; in this one where it is to be quick."""
    try:
        if TINY:
            return measure(name, path)
        command = [sys.executable, "-m", "tests.benchmarks.bench_ingestion", "--one", name, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1][:90] if done.stderr.strip() else done.returncode)
        return json.loads(done.stdout.splitlines()[-1])
    except (ImportError, RuntimeError) as error:
        print(f"{name:24}{error}")
        return None


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=0.1 if TINY else 31.0)
    parser.add_argument("--files", type=int, default=3 if TINY else 1000)
    parser.add_argument("--turns", type=int, default=1 if TINY else 3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.megabytes, given.files)
        large = str(Path(folder) / "large.dump")
        found = {name: [apart(name, large)] for name in (*OURS, *PEERS)}
        there = [name for name, (first,) in found.items() if first is not None]
        for name in there:
            if name in READERS:
                np.testing.assert_allclose(found[name][0][2], found["parse"][0][2], rtol=1e-5)  # single precision
        for _ in range(given.turns - 1):
            for name in there:
                if found[name][0][0] < PATIENCE:
                    found[name].append(apart(name, large))
        seconds = {name: statistics.median(each[0] for each in found[name]) for name in there}
        for name in there:
            print(f"{name:24}{found[name][0][1]:6.0f} MB of memory")
        megabytes = {suffix: Path(folder, f"large.{suffix}").stat().st_size / 1e6 for suffix in ("dump", "xyz")}
        of_dumps = {name: seconds[name] for name in there if name in PEERS and name != "chemfiles"}
        of_xyz = {name: seconds[name] for name in there if name == "chemfiles"}
        record("LAMMPS dump read: a MB", {"glassdask": seconds["parse"], **of_dumps}, megabytes["dump"], "ms", 1.0, 1e3)
        record("XYZ read: a MB", {"glassdask": seconds["parse XYZ"], **of_xyz}, megabytes["xyz"], "ms", 1.0, 1e3)
        record("LAMMPS dump looked through: a MB", {"glassdask": seconds["scan"]}, megabytes["dump"], "ms", 1.0, 1e3)
        record("LAMMPS dump into a store: a MB", {"glassdask": seconds["ingest"]}, megabytes["dump"], "ms", 1.0, 1e3)
        many = {"glassdask": seconds["ingest one-frame files"]}
        record("one-frame dumps into a store: a file", many, given.files, "ms", 1.0, 1e3)


if __name__ == "__main__":
    main(sys.argv[1:])
