"""What passes before the first result: commands in new processes, kernels compiled before, against bare imports.

Run with ``python -m tests.benchmarks.bench_first``. Seconds of CPU of all processes that a command starts.
"""

from __future__ import annotations

from tests.benchmarks.peers import REPEATS, TINY, record, wahnstrom  # isort: skip (sets the number of threads)

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import glassdask as gd

IMPORTS = ["-c", "import numpy, numba, dask.array, xarray, zarr"]
DESCRIBED = "glassdask describe sbo, 4000 particles"
CUTOFFS = ["--cutoff", "A-A=1.404", "--cutoff", "A-B=1.366", "--cutoff", "B-B=1.254"]


USUAL = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(arguments):
    """Of CPU of a Python process and of those that it starts; modules are compiled before, as an installation does."""

    def used():
        found = resource.getrusage(resource.RUSAGE_CHILDREN)
        return found.ru_utime + found.ru_stime

    before = used()
    subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, check=False, env=USUAL)
    return used() - before


def main():
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "run.zarr")
        gd.save_trajectory(wahnstrom(copies=1, keep=4000), store)
        command = ["-m", "glassdask"]
        works = {
            "glassdask --help": [*command, "--help"],
            "glassdask info of a store that is not there": [*command, "info", Path(folder, "none.zarr")],
            "glassdask info": [*command, "info", store],
            DESCRIBED: [*command, "describe", store, "sbo", *CUTOFFS],
            "the same again, with nothing to do": [*command, "describe", store, "sbo", *CUTOFFS],
        }
        for name, arguments in list(works.items())[: 2 if TINY else None]:
            seconds(arguments)  # compiles what is not compiled yet
            times = []
            for _ in range(REPEATS):
                if name == DESCRIBED:
                    shutil.rmtree(store / "descriptors")
                times.append((seconds(arguments), seconds(IMPORTS)))
            ours, imports = (statistics.median(column) for column in zip(*times))
            record(name, {"glassdask": ours, "imports": imports}, 1, unit="s", limit=1 / 1.15, scale=1.0)


if __name__ == "__main__":
    main()
