"""A sweep over gases whose relaxation times are known, one state of which fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import glassdask as gd
from glassdask.sweep import run_sweep

DIFFUSION = {("fast", 0.5): 0.008, ("fast", 1.0): 0.016, ("slow", 0.5): 0.002, ("slow", 1.0): 0.005}
WAVE_NUMBER = 7.0
LENGTH = 6.0
TOML = """
[[runs]]
trajectories = "{model}-T={temperature}.zarr"
[describe]
centers = "B"
[describe.descriptors.sbo]
cutoffs = 1.4
l_max = 6
[reduce]
n_components = 3
[dynamics]
quantities = ["chi4:a=0.3,lags=[1.0,4.0,16.0]"]
[correlate]
k = 7.0
"""


def brownian(model: str, temperature: float):
    """Free Brownian particles: F_s(k, t) = exp(-k^2 D t)."""
    rng = np.random.default_rng([int(100 * temperature), len(model)])
    n_frames, n_particles = 60, 300
    steps = np.sqrt(2 * DIFFUSION[model, temperature]) * rng.normal(size=(n_frames, n_particles, 3))
    steps[0] = rng.random((n_particles, 3)) * LENGTH
    path = np.cumsum(steps, axis=0)
    species = np.where(np.arange(n_particles) % 3 == 0, "B", "A")
    image = np.zeros(path.shape, int)
    return gd.from_arrays(path, species=species, box=[LENGTH] * 3, time=np.arange(n_frames), image=image)


def make(folder: Path, *, broken: bool = True, more: str = "") -> Path:
    """Run the sweep; the path of its store."""
    for model, temperature in DIFFUSION:
        gd.save_trajectory(brownian(model, temperature), folder / f"{model}-T={temperature}.zarr")
    if broken:  # no particles of the species that is to be described
        alone = gd.from_arrays(np.random.default_rng(0).random((2, 20, 3)), species=["A"] * 20, box=[4.0] * 3)
        gd.save_trajectory(alone, folder / "slow-T=0.7.zarr")
    (folder / "gases.toml").write_text(TOML + more)
    run_sweep(folder / "gases.toml")
    return folder / "gases.zarr"
