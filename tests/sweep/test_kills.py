"""A sweep whose processes are all killed, again and again, at any moment, ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from glassdask import store
from glassdask.files import read_json
from glassdask.sweep import run_sweep, status
from tests.sweep.liquids import FILE, STAGES, save_liquid, stored

ROOT = Path(__file__).parents[2]
STATES, DISTINCT, KILLS = 80, 8, 7
COMMANDS = (0, 3, 6)  # kills of the whole command with its dask workers; the others are of two shares
STAGE_NAMES = ("describe", "reduce", "correlate")


def begun(root: Path) -> int:
    """Units of which a record exists."""
    gathered = read_json(root / ".sweep/records.json") or {"states": {}}
    units = {(label, stage) for label, stages in gathered["states"].items() for stage in stages}
    units_folder = root / ".sweep/units"
    for folder, _, files in os.walk(units_folder):
        units |= {(os.path.relpath(folder, units_folder), Path(name).stem) for name in files}
    return len(units)


def ended(root: Path) -> int:
    """Units that are complete, by the table that anybody may look at while the sweep runs."""
    table = status(root)
    return int((table[list(STAGE_NAMES)] == "complete").sum().sum())


@pytest.fixture(scope="module")
def distinct(tmp_path_factory):
    """Eight states, and what a sweep that is never killed makes of each."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for seed in range(DISTINCT):
        save_liquid(folder / f"data/gas/T=1/{seed}.zarr", seed, timed=seed % 4 == 0)
    shutil.copytree(folder / "data", folder / "raw")
    (folder / "sweep.toml").write_text(FILE + STAGES)
    table = run_sweep(folder / "sweep.toml")
    assert (table[list(STAGE_NAMES)] == "complete").all(axis=None)
    return folder


@pytest.mark.slow
@pytest.mark.cluster
def test_killed_again_and_again(distinct, tmp_path):
    for n in range(STATES):
        target = tmp_path / f"data/gas/T={1 + n // 20 / 10}/{n}.zarr"
        shutil.copytree(distinct / f"raw/gas/T=1/{n % DISTINCT}.zarr", target)
    file, root = tmp_path / "sweep.toml", tmp_path / "sweep.zarr"
    file.write_text(FILE + STAGES)
    rng = np.random.default_rng(20261121)
    # moments by progress, so that a slow machine is killed at the same ones, and then somewhere within a unit
    moments = np.sort(rng.choice(np.arange(5, 3 * STATES - 20), KILLS, replace=False))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "glassdask",
        "sweep",
        "run",
        str(file),
        "--workers",
        "2",
        "--quiet",
    ]
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.sweep.driver", str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    progress = []
    try:
        for kill, moment in enumerate(moments):
            if kill in COMMANDS:
                process = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
                group = process.pid
            else:
                driver.stdin.write("run\n")
                driver.stdin.flush()
                group = int(driver.stdout.readline())
            while begun(root) < moment:
                if kill in COMMANDS:
                    assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 0.1))
            os.killpg(group, signal.SIGKILL)
            if kill in COMMANDS:
                process.wait()
                process.stderr.close()
            else:
                assert int(driver.stdout.readline()) == signal.SIGKILL
            progress.append(ended(root))
        driver.stdin.write("run\n")
        driver.stdin.flush()
        driver.stdout.readline()
        assert driver.stdout.readline() == "0\n"
    finally:
        driver.stdin.close()
        driver.stdout.close()
        driver.wait()
    assert progress == sorted(progress)
    assert 0 < progress[0] < progress[-1] < 3 * STATES
    table = status(root)
    left = table[(table[list(STAGE_NAMES)] != "complete").any(axis=1)]
    assert left.empty, left.drop(columns="path").to_dict("index")
    undisturbed = [stored(distinct / f"data/gas/T=1/{n}.zarr") for n in range(DISTINCT)]
    assert len(table) == STATES
    assert (root / ".sweep/records.json").exists()
    for path in table["path"]:
        number = int(Path(path).stem)
        assert stored(Path(path)) == undisturbed[number % DISTINCT], path
    assert store.verify(table["path"].iloc[0]) == []
