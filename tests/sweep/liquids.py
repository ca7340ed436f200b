"""Tiny trajectories and sweeps over them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import glassdask as gd
from tests.faults.harness import timeless

STAGES = """
[describe]
cutoffs = {A-A = 1.3, A-B = 1.3, B-B = 1.3}
[describe.descriptors.bo]
l_max = 2
[reduce]
n_components = 1
[correlate]
k = 7.0
"""
FILE = """
store = "sweep.zarr"
[[runs]]
trajectories = "data/{model}/T={temperature}/{seed}.zarr"
"""


def save_liquid(path: Path, seed: int, frames: int = 2, timed: bool = True) -> None:
    """Random walks of 30 particles of two species, with times or as independent configurations."""
    rng = np.random.default_rng(seed)
    position = rng.random((1, 30, 3)) * 3 + np.cumsum(rng.normal(scale=0.1, size=(frames, 30, 3)), axis=0)
    time = np.arange(float(frames)) if timed else None
    image = np.zeros(position.shape, int)
    species = np.where(np.arange(30) % 3 == 0, "B", "A")
    gd.save_trajectory(gd.from_arrays(position, species=species, box=[3.0] * 3, time=time, image=image), path)


# a liquid that is simulated, in some seconds
SIMULATED = """
store = "runs.zarr"
[protocol]
particles = 100
melt = 2.0
melt_time = 2.0
rate = 1.0
equilibrate = 2.0
produce = 4.0
every = 2.0
[[runs]]
model = "kam_2d"
temperatures = [1.0]
[describe]
cutoffs = 1.5
[describe.descriptors.bo]
l_max = 2
[reduce]
n_components = 1
"""


def save_sweep(
    folder: Path, temperatures=(0.5, 0.6), seeds=2, stages: str = STAGES, timed: bool = True, frames: int = 2
) -> Path:
    """A sweep over liquids that exist already; returns its file."""
    for number, temperature in enumerate(temperatures):
        for seed in range(seeds):
            place = folder / f"data/gas/T={temperature}/{seed}.zarr"
            save_liquid(place, 100 * number + seed, frames=frames, timed=timed)
    file = folder / "sweep.toml"
    file.write_text(FILE + stages)
    return file


def stored(state: Path) -> dict[str, bytes]:
    """Every file of a state by its relative path; metadata without the time of their creation."""
    found = {}
    for file in sorted(state.rglob("*")):
        if not file.is_file() or file.name.startswith(".glassdask-lock-"):  # a lock of a killed process means nothing
            continue
        content = file.read_bytes()
        if file.name == "zarr.json":
            content = json.dumps(timeless(json.loads(content)), sort_keys=True).encode()
        found[str(file.relative_to(state))] = content
    return found
