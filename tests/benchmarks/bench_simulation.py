"""Steps of a simulation with glassdask against the same simulation by LAMMPS alone.

Run with ``python -m tests.benchmarks.bench_simulation [STEPS [REPEATS]]``. Both start from the shipped Wahnström run,
whose energy they must agree about, NVT, one thread. What counts is the processor time of STEPS more steps (a run of
2 STEPS minus one of STEPS): neither the start of Python or LAMMPS nor other programs on the machine are in it. Of the
motion from rest, whose means LAMMPS does not take here, all is counted, lists of neighbours included.
"""

from __future__ import annotations

from tests.benchmarks.peers import TINY, alternate, record, wahnstrom  # isort: skip (sets the number of threads)

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from glassdask.dynamics import motion_from_rest
from glassdask.simulation.instance import SKIN, Frame, Instance, write_data
from glassdask.simulation.models import WAHNSTROM
from glassdask.simulation.protocols import Dynamics, Simulation, StoredStart
from glassdask.simulation.runs import simulate
from glassdask.store import open_trajectory, save_trajectory


def main(arguments: Sequence[str] = ()) -> None:
    steps, repeats = (*map(int, arguments), *((20, 1) if TINY else (1000, 3))[len(arguments) :])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = wahnstrom(copies=1, keep=4000)
        save_trajectory(start, folder / "start.zarr")
        codes = np.array([WAHNSTROM.species.index(species) for species in start["species"].values])
        write_data(folder / "start.data", Frame(start["position"].values[0], codes, start["box"].values[0]), WAHNSTROM)

        count = itertools.count()

        def ours(number: int, every: float | None = None) -> Path:
            run = Simulation(
                model=WAHNSTROM,
                start=StoredStart(path=str(folder / "start.zarr")),
                stages=(Dynamics(time=number * WAHNSTROM.timestep, temperature=0.58, every=every),),
            )
            path = folder / f"run-{next(count)}.zarr"
            simulate(run, str(path)).compute(scheduler="synchronous")
            return path

        def alone(number: int) -> None:
            commands = [
                "units lj", "atom_style atomic", f"read_data {folder}/start.data", *WAHNSTROM.commands(folder),
                f"neighbor {SKIN['lj']} bin", "neigh_modify every 1 delay 0 check yes", "velocity all create 0.58 1",
                "timestep 0.004", "fix integrate all nvt temp 0.58 0.58 0.4", "thermo 1000", f"run {number}",
                f'print "$(pe)" file {folder}/energy',
            ]  # fmt: skip
            (folder / "input").write_text("\n".join(commands) + "\n")
            environment = {**os.environ, "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
            command = [str(Path(sys.prefix) / "bin" / "lmp"), "-in", str(folder / "input"), "-log", "none", "-nocite"]
            options = ["-screen", "none", "-sf", "omp", "-pk", "omp", "1"]
            subprocess.run([*command, *options], check=True, env=environment, stdout=subprocess.DEVNULL)

        first = open_trajectory(ours(1, WAHNSTROM.timestep))["energy"].values[0]
        alone(0)
        np.testing.assert_allclose(first.mean(), float((folder / "energy").read_text()), rtol=1e-6)
        times: dict[str, list[float]] = {"glassdask": [], "LAMMPS": []}
        for _ in range(repeats):
            for name, work in (("glassdask", ours), ("LAMMPS", alone)):
                begin = 0.0 if TINY else processor_time(work, steps)
                times[name].append(processor_time(work, 2 * steps) - begin)
        median = {name: statistics.median(values) for name, values in times.items()}
        record("simulation, NVT: a particle and step", median, steps * len(codes), limit=0.95)
        from_rest(start, codes, steps, folder)


def from_rest(start: xr.Dataset, codes: np.ndarray, steps: int, folder: Path) -> None:
    """Particles that begin at rest, by `motion_from_rest` and by LAMMPS as a library."""
    instance = Instance(WAHNSTROM, WAHNSTROM.timestep, folder)
    frame = Frame(start["position"].values[0], codes, start["box"].values[0])
    instance.load(frame)

    def ours() -> np.ndarray:
        lags = [steps * WAHNSTROM.timestep]
        found = motion_from_rest(start, WAHNSTROM, lags).compute(scheduler="synchronous")
        return found["displacement_from_rest"].values[0, :, 0]

    def lammps() -> np.ndarray:
        n, order = instance._order()
        instance.lmp.numpy.extract_atom("x")[:n][order] = frame.position
        instance.rest()
        instance.command("fix integrate all nve", f"run {steps}", "unfix integrate")
        return instance.frame().position

    moved, edge = lammps() - frame.position, np.diag(frame.box)
    np.testing.assert_allclose(ours(), moved - edge * np.round(moved / edge), atol=1e-6)
    times = alternate({"glassdask": ours, "LAMMPS": lammps})
    record("motion from rest: a particle and step", times, steps * len(codes), limit=1.0)
    instance.close()


def processor_time(work: Callable[[int], object], steps: int) -> float:
    """Seconds that the processes which `work` starts keep a processor busy."""
    before = os.times()
    work(steps)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main(sys.argv[1:])
