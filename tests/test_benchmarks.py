"""Every benchmark runs once, with tiny sizes, so that none rots; what it measures then means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments):
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_all_of_them_give_one_table(tmp_path):
    done = run("--tiny", "--json", tmp_path / "table.json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "table.json").read_text())
    assert found["tiny"] is True
    assert found["versions"]["numba"]
    works = [row["work"] for row in found["rows"]]
    for word in ("BO l 1-8", "PCA of", "SOAP written", "glassdask --help", *([] if found["left_out"] else ["g(r)"])):
        assert any(work.startswith(word) for work in works), (word, works)
    assert all(row["glassdask"] > 0 and row["unit"] for row in found["rows"])
    assert all(row["work"][:45] in done.stdout for row in found["rows"])


def test_unknown_ones_are_named():
    done = run("descriptors", "nothing")
    assert done.returncode == 2
    assert "no benchmark is called nothing: expected some of descriptors" in done.stderr
