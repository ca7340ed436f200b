"""Reading and ingestion of a LAMMPS dump against OVITO, MDAnalysis, chemfiles and ASE: CPU time on the same file.

Run with ``python -m tests.benchmarks.bench_ingestion``; ``--megabytes 153`` makes the file larger, ``--files 5000``
sets how many files of one frame are ingested. chemfiles reads no dumps, but XYZ with the same particles. Every
measurement is a process of its own that reads each frame's positions into NumPy; its time is that of all its threads,
without imports and compilation.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PARTICLES = 10_000


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

    scan(path)


def parse(path):
    from glassdask.io import lammps, scan

    index = scan(path)
    return lambda: sum(len(found.position) for found in lammps.read(path, 0, index.n_frames, 0))


def parse_xyz(path):
    from glassdask.io import scan, xyz

    path = path.replace(".dump", ".xyz")
    index = scan(path)
    return lambda: sum(len(found.position) for found in xyz.read(path, 0, index.n_frames, 0))


def ingest(path):
    import dask

    from glassdask.io import ingest

    with dask.config.set(scheduler="synchronous"):
        ingest(path, f"{path}.zarr", overwrite=True)


def ingest_many(path):
    ingest(str(Path(path).parent / "many" / "*") if "large" in path else path)


def ovito(path):
    from ovito.io import import_file

    pipeline = import_file(path)
    for k in range(pipeline.source.num_frames):
        np.array(pipeline.compute(k).particles.positions)


def mdanalysis(path):
    import MDAnalysis

    universe = MDAnalysis.Universe(path, format="LAMMPSDUMP", to_guess=())
    for step in universe.trajectory:
        np.array(step.positions)


def chemfiles(path):
    import chemfiles

    with chemfiles.Trajectory(path.replace(".dump", ".xyz")) as trajectory:
        for _ in range(trajectory.nsteps):
            found = trajectory.read()  # whose memory the positions are in
            np.array(found.positions)


def ase(path):
    from ase.io import iread

    for atoms in iread(path, index=":", format="lammps-dump-text"):
        np.array(atoms.positions)


OURS = {"scan": scan, "parse": parse, "parse XYZ": parse_xyz, "ingest": ingest, "ingest one-frame files": ingest_many}
PEERS = {"OVITO": ovito, "MDAnalysis": mdanalysis, "chemfiles": chemfiles, "ASE": ase}


def measure(name, path):
    run = {**OURS, **PEERS}[name]
    for file in (path.replace("large", "warm"), path):
        prepared = run(file) if name.startswith("parse") else lambda file=file: run(file)
        begin = time.process_time()
        prepared()
        seconds = time.process_time() - begin
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=31.0)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(*given.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.megabytes, given.files)
        large = Path(folder) / "large.dump"
        size = {"chemfiles": "large.xyz", "parse XYZ": "large.xyz"}
        parsed = {}
        for name in (*OURS, *PEERS):
            command = [sys.executable, "-m", "tests.benchmarks.bench_ingestion", "--one", name, str(large)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr.strip() or f"ended by signal {-done.returncode}"
                print(f"{name:24}{said.splitlines()[-1][:90]}")
                continue
            seconds, memory = json.loads(done.stdout.splitlines()[-1])
            if name == "ingest one-frame files":
                print(f"{name:24}{seconds / given.files * 1e3:8.2f} ms a file    {memory:6.0f} MB of memory")
                continue
            parsed[name] = seconds
            ours = parsed["parse XYZ" if name == "chemfiles" else "parse"] if name in PEERS else None
            ratio = f"   {seconds / ours:6.1f} times our parser" if ours else ""
            megabytes = (Path(folder) / size.get(name, "large.dump")).stat().st_size / 1e6
            print(f"{name:24}{megabytes / seconds:8.1f} MB/s of CPU  {memory:6.0f} MB of memory{ratio}")


if __name__ == "__main__":
    main()
