"""The README's commands and lines of Python, as they stand there."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str, words: str) -> str:
    """The first block of code in a language that has these words."""
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if words in code)


def dumps(folder: Path) -> None:
    """Frames of the shipped liquid as LAMMPS writes them: a file for each, which the shell does not sort by steps."""
    run = np.load(ROOT / "pipelines" / "data" / "wahn_N4000_T0.58.npz")
    for step, position in zip((0, 100, 1000, 200), run["position"]):
        edges = "".join(f"0 {edge}\n" for edge in np.ravel(run["box"])[:3])
        head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n4000\nITEM: BOX BOUNDS pp pp pp\n{edges}"
        rows = [f"{k + 1} {kind} {x!r} {y!r} {z!r}\n" for k, (kind, (x, y, z)) in
                enumerate(zip(run["species"].tolist(), position.tolist()))]  # fmt: skip
        text = head + "ITEM: ATOMS id type x y z\n" + "".join(rows)
        (folder / f"dump.{step}.gz").write_bytes(gzip.compress(text.encode(), compresslevel=1))


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_commands_run_as_typed(tmp_path):
    dumps(tmp_path)
    lines = block("sh", "glassdask ingest").strip().splitlines()
    assert lines[0].startswith("glassdask ingest dump.*.gz ")
    for line in lines:
        done = shell(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    stored = gd.open_trajectory(tmp_path / "liquid.zarr")
    assert stored["step"].values.tolist() == [0, 100, 200, 1000]
    assert sorted(set(stored["species"].values.tolist())) == ["A", "B"]
    assert (tmp_path / "sbo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_lines_of_python_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(block("python", "first_minima"), names)
    assert names["pca"].explained_variance_ratio_[0] > 0.5
