"""A sweep from its file to its stores, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import time

import dask
import pytest

from glassdask.errors import FormatError, ParameterError
from glassdask.simulation.sweep import read_sweep, sweep_tasks
from glassdask.store import content_hash, open_reduction, open_trajectory

FILE = """
store = "{store}"
seeds = [1]

[protocol]
particles = 100
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
replicas = 2
lags = [0.1, 1.0]

[[runs]]
model = "polymer"
temperatures = [1.0]
pressure = 1.0
"""
PATHS = ["kam_2d/rho=1.2000/T=1.0000/seed=1", "polymer/T=1.0000/seed=1"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(FILE.format(store="runs.zarr"))
    return path


def test_state_points(file):
    points = read_sweep(file)
    assert [point.path for point in points] == [str(file.parent / "runs.zarr" / path) for path in PATHS]
    first, second = points
    assert first.simulation.start.density == 1.2
    assert second.simulation.start.density is None
    assert [stage.time for stage in first.simulation.stages] == [2.0, 1.0, 2.0, 2.0]
    assert [stage.ensemble for stage in second.simulation.stages] == ["nvt", "npt", "npt", "nvt"]
    assert first.simulation.seed != second.simulation.seed
    assert first.ensemble.replicas == 2
    assert second.ensemble is None
    assert len(sweep_tasks(file)) == 4


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (("rate = 1.0", ""), ParameterError, "a run lacks rate"),
        (("rate = 1.0", "speed = 1.0"), ParameterError, "unknown speed"),
        (('"polymer"', '"glycerol"'), ParameterError, "no model 'glycerol'"),
        (('"polymer"', '"copper_zirconium"'), FormatError, "no such potential file"),
        (("[1.0]\npressure", "[1.0, 1.00001]\npressure"), ParameterError, "asked for twice"),
        (("[[runs]]", "[[runs]"), ParameterError, "cannot be read as TOML"),
    ],
)
def test_errors(file, change, error, words):
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(error, match=words):
        read_sweep(file)


def test_no_runs(tmp_path):
    (tmp_path / "empty.toml").write_text("seeds = [1]\n")
    with pytest.raises(ParameterError, match=r"no \[\[runs\]\]"):
        read_sweep(tmp_path / "empty.toml")


@pytest.mark.slow
@pytest.mark.cluster
def test_killed_worker(file):
    """All dask workers are killed in the middle of simulations: the stores are those of an undisturbed sweep."""
    distributed = pytest.importorskip("distributed")
    dask.compute(*sweep_tasks(file), scheduler="threads", num_workers=2)
    store = file.parent / "runs.zarr"
    opened = open_trajectory(store / PATHS[0])
    assert opened.sizes["frame"] == 3
    assert open_trajectory(store / PATHS[0] / "inherent").sizes["frame"] == 3
    assert open_reduction(store / PATHS[0] / "isoconfigurational", "isoconfigurational").sizes["lag"] == 2

    disturbed = file.parent / "disturbed.toml"
    disturbed.write_text(FILE.format(store="disturbed.zarr"))
    other = file.parent / "disturbed.zarr"
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        pids = client.run(os.getpid)
        futures = client.compute(sweep_tasks(disturbed))
        folder = other / PATHS[0] / ".simulation"
        for _ in range(6000):
            if list(folder.glob("checkpoint-*")):
                break
            time.sleep(0.01)
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        client.gather(futures)
    for path in PATHS:
        assert content_hash(other / path) == content_hash(store / path)
    inherent = f"{PATHS[0]}/inherent"
    assert (
        open_trajectory(other / inherent)["position"].values == open_trajectory(store / inherent)["position"].values
    ).all()
    ensemble = f"{PATHS[0]}/isoconfigurational"
    one, two = (open_reduction(root / ensemble, "isoconfigurational").load() for root in (store, other))
    assert one.drop_attrs().equals(two.drop_attrs())
    assert not list(other.rglob(".simulation*"))
