"""The pipeline of dynamic heterogeneity on walks whose cooperativity is known."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.sweep import read_sweep, run_sweep

ROOT = Path(__file__).parents[2]
SWEEP = """
store = "sweep.zarr"
[[runs]]
trajectories = "{model}/T={temperature}.zarr"
[correlate]
k = 5.0
"""
LIQUID = """
store = "sweep.zarr"
[protocol]
particles = 150
melt = 2.0
melt_time = 1.0
rate = 0.5
ensemble = "nve"
equilibrate = 2.0
produce = 20.0
every = 0.5
between = 3
[[runs]]
model = "kob_andersen"
temperatures = [1.6, 1.2]
"""


def save_walks(path, together, seed, n=64, frames=120):
    """Walks of particles that move or rest in groups of `together` at a time: chi_4 grows with the groups."""
    rng = np.random.default_rng(seed)
    moves = rng.random((frames, n // together)) < 0.3
    steps = rng.normal(scale=0.25, size=(frames, n, 3)) * np.repeat(moves, together, axis=1)[:, :, None]
    position = rng.random((n, 3)) * 5 + steps.cumsum(axis=0)
    trajectory = gd.from_arrays(
        position % 5.0, species=["A"] * n, box=[5.0] * 3, time=np.arange(float(frames)),
        image=np.floor(position / 5.0).astype(int),
    )  # fmt: skip
    gd.save_trajectory(trajectory, path)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["heterogeneity.py", *map(str, arguments)])
    runpy.run_path(str(ROOT / "pipelines" / "heterogeneity.py"), run_name="__main__")


def read(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_cooperative_walks(tmp_path, monkeypatch, capsys):
    for temperature, together in (("1.0", 1), ("0.5", 16)):
        save_walks(tmp_path / f"walks/T={temperature}.zarr", together, 1)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run_sweep(read_sweep(tmp_path / "sweep.toml"))
    run(monkeypatch, tmp_path / "sweep.zarr", "--output", tmp_path / "out", "--k", 5.0, "--a", 0.3)
    rows = read(tmp_path / "out/heterogeneity.csv")
    assert [float(row["temperature"]) for row in rows] == [1.0, 0.5]
    chi4, tau = ([float(row[name]) for row in rows] for name in ("chi4", "tau_alpha"))
    # N times the variance of the share that stays: at most 1/4 of independent particles, of groups of 16 times that
    assert chi4[0] == pytest.approx(0.25, abs=0.1)
    assert chi4[1] == pytest.approx(16 * 0.25, abs=2.0)
    assert tau[0] == pytest.approx(tau[1], rel=0.3)
    assert {row["ensemble"] for row in rows} == {"unknown ensemble"}
    found = gd.dynamics.self_correlations(gd.open_trajectory(tmp_path / "walks/T=0.5.zarr"), k=5.0, a=0.3)
    curves = [row for row in read(tmp_path / "out/curves.csv") if row["temperature"] == "0.5"]
    shown = found.sel(lag=[float(row["lag"]) for row in curves])
    for name in ("fs_total", "overlap_total"):
        np.testing.assert_allclose([float(row[name]) for row in curves], shown[name], rtol=1e-12)
    assert (tmp_path / "out/heterogeneity.png").stat().st_size > 20_000
    assert "T = 0.5: tau_alpha" in capsys.readouterr().out


def test_simulated_liquid_beside_what_is_published(tmp_path, monkeypatch, capsys):
    """The table says of each number whose it is; chi_4 at constant temperature is what the function makes of it."""
    (tmp_path / "sweep.toml").write_text(LIQUID)
    table = run_sweep(read_sweep(tmp_path / "sweep.toml"))
    run(monkeypatch, tmp_path / "sweep.zarr", "--output", tmp_path / "out", "--a", 0.35)
    rows = read(tmp_path / "out/heterogeneity.csv")
    own, others = rows[:2], rows[2:]
    assert [(row["temperature"], row["ensemble"], row["quantity"]) for row in own] == [
        ("1.6", "NVE", "overlap of single runs"), ("1.2", "NVE", "overlap of single runs")
    ]  # fmt: skip
    assert all("a = 0.35" in row["source"] for row in own)
    runs, energies = [], []
    for path in table.sort_values("temperature", ascending=False)["path"]:
        runs.append(gd.dynamics.dynamic_susceptibility(gd.open_trajectory(path), a=0.35, k=7.2))
        thermo = gd.open_reduction(path, "thermo").load()
        energies.append(float(thermo["potential_energy"].where(thermo["stage"] == thermo["stage"].max()).mean()))
    canonical = gd.dynamics.canonical_susceptibility(runs, [1.6, 1.2], energies=energies)
    for row, found in zip(own, canonical):
        at = found.sel(lag=float(row["t4"]))
        assert float(row["chi4_nvt"]) == pytest.approx(float(at["chi4_nvt_total"]))
        assert float(row["chi4_nvt"]) > float(row["chi4"])
        assert float(row["mean_temperature"]) == pytest.approx(float(row["temperature"]), rel=0.2)
    # what is published is the archive's, and each row has its source
    archive = {
        part["path"]: part for part in json.loads((ROOT / "pipelines/data/glassbench_published.json").read_text())
    }
    figure = archive["GlassBench/KA_results/FIG7.dat"]
    numbers = dict(zip(figure["header"], np.array(figure["rows"], dtype=float).T))
    assert all(len(row["source"]) > 40 for row in others)
    propensity = [row for row in others if "propensity" in row["quantity"]]
    assert [row["temperature"] for row in propensity] == ["0.64", "0.56", "0.50", "0.44"]
    for row in propensity:
        assert "KA_results/FIG7.dat" in row["source"]
        heights = numbers[f"MD{row['temperature']}"]
        assert float(row["chi4"]) == heights.max()
        assert float(row["t4"]) == numbers[f"t{row['temperature']}"][heights.argmax()]
    assert "(NVE)" in capsys.readouterr().out
    # what was found before is kept beside
    run(
        monkeypatch,
        tmp_path / "sweep.zarr",
        "--output",
        tmp_path / "two",
        "--earlier",
        tmp_path / "out/heterogeneity.csv",
    )
    again = read(tmp_path / "two/heterogeneity.csv")
    assert again[2:4] == own
    assert again[4:] == others
    # and drawn alone where nothing is measured
    run(monkeypatch, "--output", tmp_path / "kept", "--earlier", tmp_path / "out/heterogeneity.csv")
    assert read(tmp_path / "kept/heterogeneity.csv") == rows
    assert not (tmp_path / "kept/curves.png").exists()
    with pytest.raises(SystemExit, match="no state is complete"):
        run(monkeypatch, "--output", tmp_path / "none")


def test_two_models_are_refused(tmp_path, monkeypatch):
    for model in ("one", "two"):
        save_walks(tmp_path / model / "T=1.0.zarr", 1, 1, frames=20)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run_sweep(read_sweep(tmp_path / "sweep.toml"))
    with pytest.raises(SystemExit, match="expected states of one model, found one, two"):
        run(monkeypatch, tmp_path / "sweep.zarr", "--output", tmp_path / "out")


def test_what_cannot_be_measured_is_said_in_a_line(tmp_path, monkeypatch):
    save_walks(tmp_path / "one" / "T=1.0.zarr", 1, 1, frames=3)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run_sweep(read_sweep(tmp_path / "sweep.toml"))
    (tmp_path / "other.csv").write_text("model,r\nridge,0.5\n")
    for arguments, message in (
        ([tmp_path / "one"], "no sweep was run here"),
        ([tmp_path / "sweep.zarr"], "T=1.0.zarr: 3 frames are too few origins for an error of chi_4 at any lag"),
        (["--earlier", tmp_path / "none.csv"], "none.csv: cannot be read"),
        (["--earlier", tmp_path / "other.csv"], "other.csv: no column `quantity`"),
    ):
        with pytest.raises(SystemExit, match=message):
            run(monkeypatch, *arguments, "--output", tmp_path / "out")


def test_the_sweep_that_comes_with_it_can_be_read():
    sweep = read_sweep(ROOT / "pipelines/data/heterogeneity.toml")
    assert [state.temperature for state in sweep.states] == [0.5, 0.55, 0.65, 0.8, 1.0]
