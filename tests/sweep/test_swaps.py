"""Sweeps of particles with diameters of their own: the protocol in numbers of sweeps of swap Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.simulation import POLYDISPERSE_2D, SwapMonteCarlo
from glassdask.store import open_reduction, open_trajectory
from glassdask.sweep import read_sweep, run_sweep
from glassdask.sweep.estimating import _sizes, _small

FILE = """
store = "runs.zarr"
seeds = [1]
[protocol]
particles = 100
melt = 0.5
melt_time = 20
rate = 0.01
equilibrate = 30
produce = 40
every = 20
between = 1
step = 0.1
share = 0.3
inherent = true
[[runs]]
model = "polydisperse_2d"
temperatures = [0.2]
[describe.descriptors.bo]
cutoffs = 1.6
l_max = 2
[reduce]
n_components = 1
[correlate]
k = 6.0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "swap.toml"
    path.write_text(FILE)
    return path


def test_times_are_numbers_of_sweeps(file):
    (state,) = (sweep := read_sweep(file)).states
    recipe = sweep.settings[state.label]["simulate"]
    trials = {"step": 0.1, "share": 0.3}
    assert recipe.simulation.stages == (
        SwapMonteCarlo(sweeps=20, temperature=0.5, **trials),
        SwapMonteCarlo(sweeps=30, temperature=(0.5, 0.2), **trials),
        SwapMonteCarlo(sweeps=30, temperature=0.2, **trials),
        SwapMonteCarlo(sweeps=40, temperature=0.2, every=20, between=1, **trials),
    )
    assert recipe.work == 120 * 100
    file.write_text(FILE.replace("melt = 0.5", "melt = 0.2").replace("step = 0.1\nshare = 0.3\n", ""))
    (state,) = (sweep := read_sweep(file)).states
    stages = sweep.settings[state.label]["simulate"].simulation.stages
    assert [(stage.sweeps, stage.step, stage.share) for stage in stages] == [
        (number, 0.12, 0.2) for number in (20, 30, 40)
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("every = 20", "every = 2.5"), r"runs\[0\]: every = 2\.5: of swap Monte Carlo it is a number of sweeps"),
        (("melt_time = 20", "melt_time = 0.5"), r"runs\[0\]: melt_time = 0\.5: .*: give a whole one"),
        (("share = 0.3", "share = 1.5"), r"protocol\.share: expected .*from 0 to 1"),
        (("step = 0.1", "pressure = 1.0"), r"runs\[0\]: pressure = 1\.0: swap Monte Carlo, .*: leave it out"),
        (("step = 0.1", 'ensemble = "nve"'), r"runs\[0\]: ensemble = 'nve': swap Monte Carlo, .*: leave it out"),
        (("step = 0.1", 'ensemble = "npt"'), r"runs\[0\]: ensemble = 'npt': swap Monte Carlo, .*: leave it out"),
        (("step = 0.1", "replicas = 2\nlags = [1.0]"), "polydisperse_2d: an ensemble of runs needs LAMMPS"),
        (("polydisperse_2d", "kam_2d"), r"runs\[0\]: step: means nothing to kam_2d, whose particles have no diameters"),
    ],
)
def test_what_does_not_go_together(file, change, message):
    assert change[0] in FILE
    file.write_text(FILE.replace(*change))
    with pytest.raises(ParameterError, match=message):
        read_sweep(file)


def test_pieces_of_a_dry_run_are_short(file):
    (state,) = (sweep := read_sweep(file)).states
    recipe = sweep.settings[state.label]["simulate"]
    assert _sizes(state, sweep.settings[state.label], 0.0) == (12_000.0, 0.0, 500.0)  # frames at 0, 1, 20, 21, 40
    small = _small(recipe, 0).simulation.stages
    assert [stage.sweeps for stage in small] == [667, 667, 667, 20]
    assert small[-1] == SwapMonteCarlo(sweeps=20, temperature=0.2, every=10, between=1, step=0.1, share=0.3)


def test_all_stages(file):
    table = run_sweep(file)
    assert (table[["simulate", "describe", "reduce", "correlate"]] == "complete").all(axis=None)
    (state,) = read_sweep(file).states
    stored = open_trajectory(state.path).load()
    assert stored["time"].values.tolist() == [80, 81, 100, 101, 120]
    sizes = np.sort(stored["diameter"].values, axis=1)
    assert np.array_equal(sizes, np.tile(POLYDISPERSE_2D.diameters(100), (5, 1)))
    energies = gd.describe(stored, [gd.LocalEnergy(model="polydisperse_2d")])["local_energy"]
    np.testing.assert_allclose(energies, stored["energy"], rtol=1e-9, atol=1e-9)
    minima = open_trajectory(f"{state.path}/inherent")
    assert (minima["energy"].sum("particle") < stored["energy"].sum("particle")).all()
    assert open_reduction(state.path, "relaxation").sizes["lag"] > 0
    assert 0.0 < float(open_reduction(state.path, "thermo")["accepted_exchanges"][1:].mean()) < 1.0
