"""Blocks of code in the project's Markdown files, for the tests that run them as they stand there."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import glassdask as gd

ROOT = Path(__file__).parents[1]


def text(file: str) -> str:
    return (ROOT / file).read_text()


def block(file: str, language: str, words: str) -> str:
    """The first block of code in a language that has these words."""
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", text(file), re.DOTALL) if words in code)


def dumps(folder: Path, particles: int = 4000) -> None:
    """Frames of the shipped liquid as LAMMPS writes them: a file for each, which the shell does not sort by steps."""
    liquid = gd.example("wahnstrom").isel(particle=slice(particles))
    kinds = np.where(liquid["species"].values == "A", 1, 2).tolist()
    for step, position in zip((0, 1000, 200), liquid["position"].values):
        edges = "".join(f"0 {edge}\n" for edge in np.diag(liquid["box"].values[0]))
        head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{particles}\nITEM: BOX BOUNDS pp pp pp\n{edges}"
        rows = [f"{k + 1} {kind} {x!r} {y!r} {z!r}\n" for k, (kind, (x, y, z)) in
                enumerate(zip(kinds, position.tolist()))]  # fmt: skip
        lines = head + "ITEM: ATOMS id type x y z\n" + "".join(rows)
        (folder / f"dump.{step}.gz").write_bytes(gzip.compress(lines.encode(), compresslevel=1))


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in a folder, with this interpreter's programs and these sources."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
