"""Writing trajectory files: against the writers of OVITO, ASE, MDAnalysis and chemfiles, CPU time, one thread each.

Run with ``python -m tests.benchmarks.bench_export``; ``pip install -e ".[io,peers]"`` brings the other programs. All
write the same frames, which are in memory, with as many columns as each of them can: the ratio is theirs to ours.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OVITO_THREAD_COUNT"):
    os.environ[name] = "1"

import sys
import tempfile
import time
import warnings
from pathlib import Path

import dask
import numpy as np
import pyarrow
import xarray as xr

import glassdask as gd

FRAMES, PARTICLES, COLUMNS = 10, 20_000, 4
REPEATS = 3


def trajectory():
    rng = np.random.default_rng(0)
    position = 27.0 * rng.random((FRAMES, PARTICLES, 3))
    names = np.where(np.arange(PARTICLES) % 5, "Ni", "P")
    made = gd.from_arrays(
        position, species=names, box=[27.0] * 3, step=1000 * np.arange(FRAMES), time=np.arange(FRAMES) * 5.0
    )
    values = rng.normal(size=(FRAMES, PARTICLES, COLUMNS))
    return made, xr.DataArray(values, dims=("frame", "particle", "l"), name="q")


def others(made, columns, folder):
    """Format -> program -> a function that writes all frames."""
    found: dict[str, dict[str, object]] = {}
    n_frames, names = made.sizes["frame"], made["species"].values
    try:
        import ase.io

        images = list(gd.to_ase(made, columns=columns))
        for image in images:
            del image.arrays["species"]
        found.setdefault("extxyz", {})["ASE"] = lambda: ase.io.write(folder / "ase.extxyz", images, format="extxyz")
    except ImportError:
        pass
    try:
        from ovito.io import export_file

        pipeline = gd.to_ovito(made, columns=columns)
        wanted = ["Particle Identifier", "Particle Type", *(f"Position.{axis}" for axis in "XYZ")]
        wanted += [f"q_{k}" for k in range(COLUMNS)]
        for suffix, kind in (("lammpstrj", "lammps/dump"), ("extxyz", "xyz")):
            found.setdefault(suffix, {})["OVITO"] = lambda kind=kind: export_file(
                pipeline,
                str(folder / f"ovito.{kind[:3]}"),
                kind,
                columns=wanted[1:] if kind == "xyz" else wanted,
                multiple_frames=True,
                precision=17,
            )
    except ImportError:
        pass
    try:
        import MDAnalysis

        universe = gd.to_mdanalysis(made)

        def write(kind):
            with MDAnalysis.Writer(str(folder / f"mda.{kind}"), n_atoms=PARTICLES) as writer:
                for _ in universe.trajectory:
                    writer.write(universe.atoms)

        found.setdefault("extxyz", {})["MDAnalysis (xyz)"] = lambda: write("xyz")
    except ImportError:
        pass
    try:
        import chemfiles

        def chem(kind):
            with chemfiles.Trajectory(str(folder / f"chemfiles.{kind}"), "w", "XYZ") as file:
                for k in range(n_frames):
                    frame = chemfiles.Frame()
                    frame.resize(PARTICLES)
                    frame.positions[:] = made["position"].values[k]
                    for atom, name in zip(frame.atoms, names):
                        atom.name = atom.type = name
                    file.write(frame)

        found.setdefault("extxyz", {})["chemfiles (xyz)"] = lambda: chem("xyz")
    except ImportError:
        pass
    return found


def cpu(function):
    """The least CPU time of some calls."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        function()
        times.append(time.process_time() - begin)
    return min(times)


def main():
    warnings.simplefilter("ignore")
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    made, columns = trajectory()
    rows = FRAMES * PARTICLES
    with dask.config.set(scheduler="synchronous"), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = others(made, columns, folder)
        print(
            f"{FRAMES} frames of {PARTICLES} particles, {COLUMNS} columns; CPU seconds, and times ours", file=sys.stderr
        )
        for suffix in ("extxyz", "lammpstrj", "gsd", "h5md", "csv", "parquet"):
            path = folder / f"ours.{suffix}"
            ours = cpu(lambda path=path: gd.export(made, path, columns=columns, overwrite=True))
            size = path.stat().st_size / 1e6
            print(f"{suffix:10} glassdask {ours:7.3f} s {rows / ours / 1e6:6.2f} M rows/s {size / ours:6.0f} MB/s")
            for program, write in peers.get(suffix, {}).items():
                theirs = cpu(write)
                print(f"{'':10} {program:17} {theirs:7.3f} s {theirs / ours:6.1f} x")


if __name__ == "__main__":
    main()
