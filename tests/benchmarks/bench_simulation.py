"""Steps a second of a simulation with glassdask against the same simulation by LAMMPS alone.

Run with ``python -m tests.benchmarks.bench_simulation [STEPS [REPEATS]]``. Both start from the shipped Wahnström run,
NVT, one thread. What counts is the processor time of STEPS more steps (a run of 2 STEPS minus one of STEPS): neither
the start of Python or LAMMPS nor other programs on the machine are in it.
"""

from __future__ import annotations

from tests.benchmarks.peers import wahnstrom  # isort: skip (sets the number of threads)

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from glassdask.simulation.instance import SKIN, Frame, write_data
from glassdask.simulation.models import WAHNSTROM
from glassdask.simulation.protocols import Dynamics, Simulation, StoredStart
from glassdask.simulation.runs import simulate
from glassdask.store import save_trajectory


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = wahnstrom(copies=1, keep=4000)
        save_trajectory(start, folder / "start.zarr")
        codes = np.array([WAHNSTROM.species.index(species) for species in start["species"].values])
        write_data(folder / "start.data", Frame(start["position"].values[0], codes, start["box"].values[0]), WAHNSTROM)

        count = itertools.count()

        def ours(number: int) -> None:
            run = Simulation(
                model=WAHNSTROM,
                start=StoredStart(path=str(folder / "start.zarr")),
                stages=(Dynamics(time=number * WAHNSTROM.timestep, temperature=0.58),),
            )
            simulate(run, str(folder / f"run-{next(count)}.zarr")).compute(scheduler="synchronous")

        def alone(number: int) -> None:
            commands = [
                "units lj", "atom_style atomic", f"read_data {folder}/start.data", *WAHNSTROM.commands(folder),
                f"neighbor {SKIN['lj']} bin", "neigh_modify every 1 delay 0 check yes", "velocity all create 0.58 1",
                "timestep 0.004", "fix integrate all nvt temp 0.58 0.58 0.4", "thermo 1000", f"run {number}",
            ]  # fmt: skip
            (folder / "input").write_text("\n".join(commands) + "\n")
            environment = {**os.environ, "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
            command = [str(Path(sys.prefix) / "bin" / "lmp"), "-in", str(folder / "input"), "-log", "none", "-nocite"]
            options = ["-screen", "none", "-sf", "omp", "-pk", "omp", "1"]
            subprocess.run([*command, *options], check=True, env=environment, stdout=subprocess.DEVNULL)

        times: dict[str, list[float]] = {"glassdask": [], "LAMMPS": []}
        for _ in range(repeats):
            for name, work in (("glassdask", ours), ("LAMMPS", alone)):
                times[name].append(processor_time(work, 2 * steps) - processor_time(work, steps))
        speed = {name: steps / statistics.median(values) for name, values in times.items()}
        for name, value in speed.items():
            print(f"{name:10s} {value:8.1f} steps a second, {value * 4000 / 1e6:.3f} million particle-steps")
        print(f"ratio {speed['glassdask'] / speed['LAMMPS']:.3f}")


def processor_time(work: Callable[[int], None], steps: int) -> float:
    """Seconds that the processes which `work` starts keep a processor busy."""
    before = os.times()
    work(steps)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
