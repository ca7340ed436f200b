"""The pipeline of dynamic heterogeneity on walks whose cooperativity is known."""

from __future__ import annotations

import csv
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


def test_cooperative_walks(tmp_path, monkeypatch, capsys):
    for temperature, together in (("1.0", 1), ("0.5", 16)):
        save_walks(tmp_path / f"walks/T={temperature}.zarr", together, 1)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run_sweep(read_sweep(tmp_path / "sweep.toml"))
    run(monkeypatch, tmp_path / "sweep.zarr", "--output", tmp_path / "out", "--k", 5.0, "--a", 0.3)
    rows = list(csv.DictReader((tmp_path / "out/heterogeneity.csv").read_text().splitlines()))
    assert [float(row["temperature"]) for row in rows] == [1.0, 0.5]
    chi4, tau = ([float(row[name]) for row in rows] for name in ("chi4", "tau_alpha"))
    # N times the variance of the share that stays: at most 1/4 of independent particles, of groups of 16 times that
    assert chi4[0] == pytest.approx(0.25, abs=0.1)
    assert chi4[1] == pytest.approx(16 * 0.25, abs=2.0)
    assert tau[0] == pytest.approx(tau[1], rel=0.3)
    assert (tmp_path / "out/heterogeneity.png").stat().st_size > 20_000
    assert "T = 0.5: tau_alpha" in capsys.readouterr().out


def test_two_models_are_refused(tmp_path, monkeypatch):
    for model in ("one", "two"):
        save_walks(tmp_path / model / "T=1.0.zarr", 1, 1, frames=20)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run_sweep(read_sweep(tmp_path / "sweep.toml"))
    with pytest.raises(SystemExit, match="expected states of one model, found one, two"):
        run(monkeypatch, tmp_path / "sweep.zarr", "--output", tmp_path / "out")


def test_the_sweep_that_comes_with_it_can_be_read():
    sweep = read_sweep(ROOT / "pipelines/data/heterogeneity.toml")
    assert [state.temperature for state in sweep.states] == [0.5, 0.55, 0.65, 0.8, 1.0]
