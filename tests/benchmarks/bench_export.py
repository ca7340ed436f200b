"""Writing trajectory files: against the writers of OVITO, ASE, MDAnalysis and chemfiles, CPU time, one thread each.

Run with ``python -m tests.benchmarks.bench_export``; ``pip install -e ".[io,peers]"`` brings the other programs. All
write the same frames, which are in memory, with as many columns as each of them can: the ratio is theirs to ours.
"""

from __future__ import annotations

import os

from tests.benchmarks.peers import TINY, alternate, record  # isort: skip (sets the number of threads)

os.environ["OVITO_THREAD_COUNT"] = "1"

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import pyarrow
import xarray as xr

import glassdask as gd

FRAMES, PARTICLES, COLUMNS = 10, 300 if TINY else 20_000, 4
EDGE = 27.0
BOXLESS = (".xyz", ".csv", ".parquet")
# Where programs write coarser than we: digits of positions.
COARSE = 6e-5


def trajectory():
    rng = np.random.default_rng(0)
    position = EDGE * rng.random((FRAMES, PARTICLES, 3))
    names = np.where(np.arange(PARTICLES) % 5, "Ni", "P")
    made = gd.from_arrays(
        position, species=names, box=[EDGE] * 3, step=1000 * np.arange(FRAMES), time=np.arange(FRAMES) * 5.0
    )
    values = rng.normal(size=(FRAMES, PARTICLES, COLUMNS))
    return made, xr.DataArray(values, dims=("frame", "particle", "l"), name="q")


def others(made, columns, folder):
    """Format -> program -> a file and a function that writes all frames into it."""
    found: dict[str, dict[str, tuple[str, Callable[[], object]]]] = {}
    n_frames, names = made.sizes["frame"], made["species"].values
    try:
        import ase.io

        images = list(gd.to_ase(made, columns=columns))
        for image in images:
            del image.arrays["species"]
        found.setdefault("extxyz", {})["ASE"] = (
            "ase.extxyz", lambda: ase.io.write(folder / "ase.extxyz", images, format="extxyz")
        )  # fmt: skip
    except ImportError:
        pass
    try:
        from ovito.io import export_file

        pipeline = gd.to_ovito(made, columns=columns)
        wanted = ["Particle Identifier", "Particle Type", *(f"Position.{axis}" for axis in "XYZ")]
        wanted += [f"q_{k}" for k in range(COLUMNS)]
        for suffix, kind in (("lammpstrj", "lammps/dump"), ("extxyz", "xyz")):
            file = folder / f"ovito.{suffix}"
            given = {"columns": wanted[1:] if kind == "xyz" else wanted, "multiple_frames": True, "precision": 17}
            found.setdefault(suffix, {})["OVITO"] = (
                file.name, lambda file=file, kind=kind, given=given: export_file(pipeline, str(file), kind, **given)
            )  # fmt: skip
    except ImportError:
        pass
    try:
        import MDAnalysis

        universe = gd.to_mdanalysis(made)

        def write(kind):
            with MDAnalysis.Writer(str(folder / f"mda.{kind}"), n_atoms=PARTICLES) as writer:
                for _ in universe.trajectory:
                    writer.write(universe.atoms)

        found.setdefault("extxyz", {})["MDAnalysis (xyz)"] = "mda.xyz", lambda: write("xyz")
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

        found.setdefault("extxyz", {})["chemfiles (xyz)"] = "chemfiles.xyz", lambda: chem("xyz")
    except ImportError:
        pass
    return found


def positions(path):
    """What a file has, read by glassdask."""
    index = gd.io.scan(str(path), **({"box": [EDGE] * 3} if path.suffix in BOXLESS else {}))
    return np.stack([frame.position for frame in gd.io.frames(index)])


def main():
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    made, columns = trajectory()
    with (
        warnings.catch_warnings(),
        dask.config.set(scheduler="synchronous"),
        tempfile.TemporaryDirectory() as name,
    ):
        warnings.simplefilter("ignore")
        folder = Path(name)
        peers = others(made, columns, folder)
        for suffix in ("extxyz", "lammpstrj", "gsd", "h5md", "csv", "parquet"):
            path = folder / f"ours.{suffix}"
            works = {"glassdask": lambda path=path: gd.export(made, path, columns=columns, overwrite=True)}
            works["glassdask"]()
            np.testing.assert_allclose(
                positions(path), made["position"].values, atol=2e-6
            )  # some are in single precision
            for program, (written, write) in peers.get(suffix, {}).items():
                write()
                np.testing.assert_allclose(positions(folder / written), made["position"].values, atol=COARSE)
                works[program] = write
            record(f"{suffix} written: a particle and frame", alternate(works, 3), FRAMES * PARTICLES)


if __name__ == "__main__":
    main()
