"""Simulations from start to store: physics, errors, interruptions."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from glassdask.dynamics import d2min, propensity, unwrapped
from glassdask.errors import GlassdaskError, SimulationError, SimulationKilledError, StoreError
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import from_arrays
from glassdask.simulation import engine, models, runs
from glassdask.simulation.protocols import (
    Dynamics,
    Isoconfigurational,
    Minimum,
    RandomStart,
    Shear,
    Simulation,
    StoredStart,
    SwapMonteCarlo,
    quench,
)
from glassdask.simulation.runs import inherent_structures, isoconfigurational, simulate
from glassdask.store import content_hash, open_reduction, open_trajectory, save_trajectory

from .helpers import compute


def small(*stages, model=models.KAM_2D, n=100, **settings):
    return Simulation(model=model, start=RandomStart(n_particles=n), stages=stages, **settings)


def energies(model, dataset, frame):
    codes = np.array([model.species.index(name) for name in dataset["species"].values], np.int8)
    configuration = Configuration(dataset["position"].values[frame], codes, dataset["box"].values[frame], model.species)
    return model.energies(configuration)


@pytest.fixture(scope="module")
def liquid(tmp_path_factory):
    """A small two-dimensional liquid: path, and its simulation."""
    path = str(tmp_path_factory.mktemp("liquid") / "runs.zarr" / "kam_2d" / "T=1.0")
    run = small(Dynamics(time=4.0, temperature=2.0), Dynamics(time=8.0, temperature=1.0, every=4.0, between=2), seed=4)
    compute(simulate(run, path))
    return path, run


def test_trajectory(liquid):
    path, run = liquid
    dataset = open_trajectory(path).load()
    assert dict(dataset.sizes) == {"frame": 7, "particle": 100, "space": 2, "axis": 2}
    # 4 is where the melt ended; then 1000 steps with lags 1 and 32 after each origin
    np.testing.assert_allclose(dataset["time"], [4.0, 4.004, 4.128, 8.0, 8.004, 8.128, 12.0], rtol=1e-12)
    assert dataset["step"].values.tolist() == [1000, 1001, 1032, 2000, 2001, 2032, 3000]
    names, counts = np.unique(dataset["species"], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist())) == {"A": 65, "B": 35}
    area = np.linalg.det(dataset["box"].values)
    np.testing.assert_allclose(100 / area, run.model.density, rtol=1e-12)
    for frame in (0, 6):
        np.testing.assert_allclose(
            dataset["energy"][frame], energies(run.model, dataset, frame), rtol=1e-10, atol=1e-10
        )
    # one step at constant velocity, up to the acceleration: positions and images are those of a trajectory
    place = unwrapped(dataset).values
    moved = place[1] - place[0] - 0.004 * dataset["velocity"].values[0]
    assert np.abs(moved).max() < 0.004**2 * 500
    assert dataset.attrs["model"] == "kam_2d"
    assert dataset.attrs["parameters"]["seed"] == 4
    assert dataset.attrs["lammps"] > 20200000
    assert not list(Path(path).glob(".simulation*"))


def test_thermo(liquid):
    path, _ = liquid
    thermo = open_reduction(path, "thermo").load()
    dataset = open_trajectory(path).load()
    last = thermo.isel(sample=-1)
    assert int(last["step"]) == 3000
    assert float(last["potential_energy"]) == pytest.approx(float(dataset["energy"][-1].mean()), rel=1e-12)
    velocity = dataset["velocity"][-1].values
    kinetic = 0.5 * (velocity**2).sum() / 100
    assert float(last["kinetic_energy"]) == pytest.approx(kinetic, rel=1e-12)
    assert float(last["temperature"]) == pytest.approx(kinetic * 100 / 99, rel=1e-12)  # 2 (N - 1) degrees of freedom
    assert float(thermo["temperature"][thermo["stage"] == 2][40:].mean()) == pytest.approx(1.0, abs=0.1)


def test_complete_is_kept_and_another_refused(liquid, monkeypatch):
    path, run = liquid
    before = content_hash(path)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", None)  # nothing is started
        assert compute(simulate(run, path)) == path
    assert content_hash(path) == before
    other = small(Dynamics(time=1.0, temperature=1.0))
    with pytest.raises(StoreError, match="holds another simulation"):
        compute(simulate(other, path))


@pytest.mark.slow
def test_seeds(tmp_path):
    """The same seed gives the same numbers to the last bit, another seed others."""
    paths = [str(tmp_path / name) for name in ("one.zarr", "again.zarr", "other.zarr")]
    for path, seed in zip(paths, (1, 1, 2)):
        compute(simulate(small(Dynamics(time=0.4, temperature=1.0), seed=seed), path))
    one, again, other = map(content_hash, paths)
    assert one == again
    assert one != other


@pytest.mark.slow
def test_energy_is_conserved(tmp_path):
    """NVE: no drift of the total energy beyond its fluctuation, which falls with the square of the timestep."""
    model = models.WAHNSTROM_SMOOTH
    path = str(tmp_path / "melt.zarr")
    compute(simulate(small(Dynamics(time=1.0, temperature=1.0), model=model, n=200), path))
    spread = []
    for timestep in (0.004, 0.002):
        run = Simulation(
            model=model,
            start=StoredStart(path=path),
            stages=(Dynamics(time=1.0, temperature=1.0, ensemble="nve"),),
            timestep=timestep,
        )
        target = str(tmp_path / f"{timestep}.zarr")
        compute(simulate(run, target))
        thermo = open_reduction(target, "thermo").load()
        total = thermo["potential_energy"] + thermo["kinetic_energy"]
        assert abs(float(total[-1] - total[0])) < 2e-3
        spread.append(float(total.std()))
    assert 2.5 < spread[0] / spread[1] < 6.0


@pytest.mark.slow
def test_pressure(tmp_path):
    """NPT: the volume goes where the pressure is the one that was asked for."""
    run = small(
        Dynamics(time=10.0, temperature=1.0, ensemble="npt", pressure=1.0),
        Dynamics(time=10.0, temperature=1.0, ensemble="npt", pressure=1.0, every=5.0),
        model=models.POLYMER,
    )
    path = str(tmp_path / "npt.zarr")
    compute(simulate(run, path))
    dataset, thermo = open_trajectory(path).load(), open_reduction(path, "thermo").load()
    second = thermo.isel(sample=thermo["stage"] == 2)
    assert float(second["pressure"].mean()) == pytest.approx(1.0, abs=0.6)
    volume = np.linalg.det(dataset["box"].values)
    assert volume[-1] != volume[0]
    assert volume[-1] == pytest.approx(float(second["volume"][-1]), rel=1e-12)
    bonds = models.POLYMER.chains.bonds(100)
    place = unwrapped(dataset).values[-1]
    length = np.linalg.norm(place[bonds[:, 1]] - place[bonds[:, 0]], axis=1)
    assert len(length) == 95
    assert 0.7 < length.min() < length.max() < 1.3
    # the box breathes about its centre, which stays where it is, also while the energy of each frame is minimised
    quiet = str(tmp_path / "quiet.zarr")
    compute(inherent_structures(run.model, path, quiet))
    quiet = open_trajectory(quiet).load()
    for frames in (dataset, quiet):
        centre = frames["origin"].values + 0.5 * frames["box"].values.sum(axis=1)
        np.testing.assert_allclose(centre, np.broadcast_to(centre[0], centre.shape), rtol=1e-12)
        assert np.ptp(frames["origin"].values[:, 0]) > 1e-3
    np.testing.assert_allclose(quiet["origin"], dataset["origin"], rtol=1e-12)
    assert np.abs(unwrapped(quiet) - unwrapped(dataset)).max() < 2.0


@pytest.mark.slow
def test_start_at_rest(liquid, tmp_path):
    """An inherent structure is at rest: velocities are drawn, with frames that keep theirs they are not."""
    path, run = liquid
    rest = str(tmp_path / "rest.zarr")
    compute(simulate(Simulation(model=run.model, start=StoredStart(path=path), stages=(Minimum(),)), rest))
    temperature = []
    for start in (rest, path):
        target = f"{start}-{len(temperature)}.zarr"
        stages = (Dynamics(time=0.004, temperature=0.3, ensemble="nve"),)
        compute(simulate(Simulation(model=run.model, start=StoredStart(path=start), stages=stages), target))
        temperature.append(float(open_reduction(target, "thermo")["temperature"][0]))
    assert temperature[0] == pytest.approx(0.3, abs=0.1)
    last = open_trajectory(path)["velocity"][-1].values
    assert temperature[1] == pytest.approx((last**2).sum() / 198, rel=1e-10)


@pytest.mark.slow
def test_minimum_where_conjugate_gradients_fail(tmp_path):
    """A hot configuration from which they stall at a force of 0.37, with any number of evaluations."""
    run = np.load(Path(__file__).parents[1] / "data" / "abm_2d_N300_T3.npz")
    species = np.where(run["species"], "B", "A")
    save_trajectory(from_arrays(run["position"], species=species, box=run["box"]), tmp_path / "hot.zarr")
    compute(inherent_structures(models.ABM_2D, str(tmp_path / "hot.zarr"), str(tmp_path / "inherent.zarr")))
    found = open_reduction(tmp_path / "inherent.zarr", "thermo")
    assert float(found["largest_force"][-1]) < 1e-7
    assert float(found["potential_energy"][-1]) < -0.296


def test_inherent_structures(liquid, tmp_path):
    path, run = liquid
    target = str(tmp_path / "inherent.zarr")
    compute(inherent_structures(run.model, path, target))
    thermal, inherent = open_trajectory(path).load(), open_trajectory(target).load()
    assert (inherent["time"].values == thermal["time"].values).all()
    assert (inherent["energy"].mean("particle") < thermal["energy"].mean("particle") - 0.3).all()
    # neighbouring frames (one step apart) lie in the same basin
    distance = inherent["position"].values[1] - inherent["position"].values[0]
    box = inherent["box"].values[0, 0, 0]
    assert np.abs(distance - box * np.round(distance / box)).max() < 1e-5
    assert float(open_reduction(target, "thermo")["largest_force"].max()) < 1e-7


def test_frames_that_are_minimised_side_by_side_are_the_same_to_the_last_bit(liquid, tmp_path, monkeypatch):
    path, run = liquid
    whole, parts = str(tmp_path / "whole.zarr"), str(tmp_path / "parts.zarr")
    compute(inherent_structures(run.model, path, whole))
    monkeypatch.setattr(runs, "MINIMISED_TOGETHER", 300)
    tasks = inherent_structures(run.model, path, parts)
    assert sum(key.startswith("_minimise-") for key in tasks.dask) == 3
    begun, start = [], engine.subprocess.Popen

    def killed(command, **options):
        process = start(command, **options)
        if "glassdask.simulation.process" in command:
            begun.append(process)
            if len(begun) == 3:
                process.kill()
        return process

    monkeypatch.setattr(engine.subprocess, "Popen", killed)
    with pytest.raises(SimulationKilledError, match="go on from the last checkpoint"):
        compute(tasks)
    done = runs.minimised(parts)
    assert done in (4, 5)  # parts of two, three and two frames, in any order
    # what is done is not done again
    compute(inherent_structures(run.model, path, parts))
    assert len(begun) == 4
    compute(inherent_structures(run.model, path, parts))
    assert len(begun) == 4
    assert not list(Path(parts).glob(".simulation*"))
    assert runs.minimised(parts) == 0
    assert runs.minimised(str(tmp_path / "absent.zarr")) == 0
    assert content_hash(parts) == content_hash(whole)
    for opened in (open_trajectory, lambda at: open_reduction(at, "thermo")):
        one, other = opened(whole).load(), opened(parts).load()
        xr.testing.assert_identical(one.drop_attrs(deep=False), other.drop_attrs(deep=False))
        changing = ("created", "store")
        assert {name: value for name, value in one.attrs.items() if name not in changing} == {
            name: value for name, value in other.attrs.items() if name not in changing
        }
    # the same as one task for all would have stored: it finds nothing left to do
    compute(inherent_structures(run.model, path, parts, after=path))
    assert len(begun) == 4


def test_sources_that_change_while_frames_are_minimised_side_by_side(liquid, tmp_path, monkeypatch):
    """Tasks for fewer frames than there are now are refused; what is stored is of the source that was read."""
    path, run = liquid
    monkeypatch.setattr(runs, "MINIMISED_TOGETHER", 300)
    source, target = str(tmp_path / "source.zarr"), str(tmp_path / "inherent.zarr")
    save_trajectory(open_trajectory(path).isel(frame=slice(4)), source)
    tasks, content = inherent_structures(run.model, source, target), content_hash(source)
    save_trajectory(open_trajectory(path).isel(frame=slice(6)), source, overwrite=True)
    with pytest.raises(StoreError, match=r"source.zarr: has 6 frames, and had 4 when the tasks were made: make them"):
        compute(tasks)
    assert not Path(target).exists()

    save_trajectory(open_trajectory(path).isel(frame=slice(4)), source, overwrite=True)
    join = runs._join

    def late(*given):
        save_trajectory(open_trajectory(path).isel(frame=slice(1, 5)), source, overwrite=True)
        return join(*given)

    monkeypatch.setattr(runs, "_join", late)
    compute(inherent_structures(run.model, source, target))
    assert [known["sha256"] for known in open_trajectory(target).attrs["sources"]] == [content]


def test_another_process_that_has_minimised_all_meanwhile(liquid, tmp_path, monkeypatch):
    """What is there is taken, by parts and in the end; parts of a call that was interrupted go with one for all."""
    path, run = liquid
    monkeypatch.setattr(runs, "MINIMISED_TOGETHER", 300)
    target = str(tmp_path / "inherent.zarr")
    begun = runs._begin_minimising(run.model, path, target, False, 7)
    compute(inherent_structures(run.model, path, target))
    stored = content_hash(target)
    parts = [runs._minimise(run.model, path, target, part, begun) for part in runs._ranges(path)]
    assert runs._join(run.model, target, parts, begun) == target
    assert content_hash(target) == stored
    (Path(target) / ".simulation-00002").mkdir()
    compute(inherent_structures(run.model, path, target, after=path))
    assert not list(Path(target).glob(".simulation*"))


@pytest.mark.slow
def test_isoconfigurational_means_equal_those_of_replicas(liquid, tmp_path):
    path, run = liquid
    target = str(tmp_path / "ensemble.zarr")
    ensemble = Isoconfigurational(
        model=run.model,
        start=StoredStart(path=path, frame=3),
        temperature=1.0,
        lags=(0.004, 0.1, 2.0),
        replicas=3,
        batch=2,
        keep=True,
        seed=8,
    )
    compute(isoconfigurational(ensemble, target))
    result = open_reduction(target, "isoconfigurational").load()
    assert dict(result.sizes) == {"power": 2, "lag": 3, "particle": 100, "replica": 3, "space": 2}
    np.testing.assert_allclose(result["lag"], [0.004, 0.1, 2.0], rtol=1e-12)
    for power in (1, 2):
        expected = propensity(result["replica_displacement"], power)["propensity"]
        np.testing.assert_allclose(result["propensity"].sel(power=power), expected, rtol=1e-12)
    # after one step: the velocities that were drawn, different in each replica, without total momentum
    first = result["replica_displacement"].isel(lag=0).values / 0.004
    temperature = (first**2).mean(axis=(1, 2))
    np.testing.assert_allclose(temperature, 1.0, atol=0.4)
    assert np.abs(first.mean(axis=1)).max() < 1e-10
    assert np.abs(first[0] - first[1]).max() > 1.0
    start = open_trajectory(target)["position"].values[0]
    assert (start == open_trajectory(path)["position"].values[3]).all()
    thermo = open_reduction(target, "thermo").load()
    assert np.unique(thermo["replica"]).tolist() == [0, 1, 2]
    assert not list(Path(target).glob(".simulation*"))
    other = Isoconfigurational(model=run.model, start=StoredStart(path=path), temperature=1.0, lags=(0.1,), replicas=1)
    with pytest.raises(StoreError, match="another isoconfigurational ensemble"):
        compute(isoconfigurational(other, target))


@pytest.mark.slow
def test_quasistatic_shear(tmp_path):
    """A small glass: the stress rises elastically and drops in events, which are where energy is dissipated."""
    model = models.KAM_2D
    run = small(
        Dynamics(time=4.0, temperature=1.0),
        quench(1.0, 0.05, rate=0.2),
        Minimum(),
        Shear(strain=0.06, increment=5e-4),
        model=model,
        n=120,
        seed=6,
    )
    path = str(tmp_path / "shear.zarr")
    compute(simulate(run, path))
    thermo = open_reduction(path, "thermo").load()
    thermo = thermo.isel(sample=thermo["stage"] == 4)
    stress, energy = thermo["shear_stress"].values, 120 * thermo["potential_energy"].values
    assert len(stress) == 121
    assert float(thermo["largest_force"].max()) < 1e-8
    dataset = open_trajectory(path).load()
    strain = dataset["box"].values[:, 1, 0] / dataset["box"].values[:, 1, 1]
    np.testing.assert_allclose(strain, dataset["strain"], atol=1e-12)
    assert (dataset["time"] == dataset["time"][0]).all()
    np.testing.assert_allclose(thermo["strain"], np.arange(121) * 5e-4, atol=1e-12)
    assert strain[0] == 0.0
    assert strain[-1] == pytest.approx(0.06, rel=1e-12)
    before, after = dataset["step"].values[1:-1:2], dataset["step"].values[2:-1:2]
    assert len(before) >= 1
    assert (after == before + 1).all()
    # away from events the work of the stress is the gain of energy, and there the stress rises
    area = float(thermo["volume"][0])
    lost = 0.5 * (stress[1:] + stress[:-1]) * area * 5e-4 - np.diff(energy)
    assert (lost[before] > 1e-4).all()
    assert np.abs(np.delete(lost, before)).max() <= 1e-4
    assert (np.diff(stress)[before] < 0).any()
    modulus = np.diff(stress)[:3] / 5e-4
    assert (modulus > 1.0).all()
    for frame in (0, 1, 2):
        np.testing.assert_allclose(dataset["energy"][frame], energies(model, dataset, frame), rtol=1e-10, atol=1e-10)
        assert float(dataset["energy"][frame].sum()) == pytest.approx(energy[dataset["step"].values[frame]], rel=1e-12)
    # an event is a local rearrangement, even in a system hardly larger: independent motions of all particles would
    # give a participation ratio near one
    participation = []
    for frame in range(1, dataset.sizes["frame"] - 1, 2):
        moved = d2min(dataset.isel(frame=[frame]), dataset.isel(frame=[frame + 1]), 2.0)["d2min"].values[0]
        participation.append(moved.sum() ** 2 / (120 * (moved**2).sum()))
    assert max(participation) < 0.6


@pytest.mark.parametrize(
    ("model", "timestep", "words"), [(models.KOB_ANDERSEN, 0.05, "Lost atoms"), (models.POLYMER, 0.03, "Bond atoms")]
)
def test_unstable(model, timestep, words, tmp_path):
    """Too long a timestep: LAMMPS' own words, where it happened, and what to do."""
    run = small(Dynamics(time=200 * timestep, temperature=2.0), model=model, n=200, timestep=timestep)
    where = r"run\.zarr: stage 1 \(Integrate\), after step \d+: LAMMPS: ERROR.*"
    with pytest.raises(SimulationError, match=f"{where}{words}.*use a smaller timestep"):
        compute(simulate(run, str(tmp_path / "run.zarr")))


def test_wrong_model(liquid, tmp_path):
    """Where the start is made before, it is known only then what it has."""
    start, stage = StoredStart(path=liquid[0]), Dynamics(time=1.0, temperature=1.0)
    flat = dataclasses.replace(models.KAM_2D, species=("A", "X"))
    for model, words in (
        (models.POLYMER, "polymer is 3-dimensional, the trajectory 2-dimensional"),
        (flat, "no species 'B', it has A, X"),
    ):
        run = Simulation(model=model, start=start, stages=(stage,))
        with pytest.raises(GlassdaskError, match=words):
            compute(simulate(run, str(tmp_path / "run.zarr"), after=liquid[0]))


def long_run():
    return small(
        Dynamics(time=2.0, temperature=1.0),
        Dynamics(time=4.0, temperature=0.5, ensemble="nve", every=0.2),
        model=models.KOB_ANDERSEN,
        n=200,
        seed=2,
    )


def swap_run():
    return small(
        SwapMonteCarlo(sweeps=200, temperature=(0.5, 0.2)),
        SwapMonteCarlo(sweeps=600, temperature=0.2, every=50, between=2),
        Minimum(keep=True),
        model=models.POLYDISPERSE_2D,
        seed=2,
    )


def wait_for(condition, process=None):
    for _ in range(6000):
        if condition():
            return
        assert process is None or process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("waited a minute")


SCRIPT = """
import sys
from glassdask.simulation import runs
from tests.simulation import test_runs
runs.LEAST_CHECKPOINT, runs.CHECKPOINT_WORK = 100, 0
runs.simulate(getattr(test_runs, sys.argv[2])(), sys.argv[1]).compute(scheduler="synchronous")
"""


@pytest.mark.slow
@pytest.mark.parametrize("made", [long_run, swap_run], ids=lambda made: made.__name__)
def test_kill(tmp_path, monkeypatch, made):
    """Killed twice, once LAMMPS and once the process that waits for it: the store is the same to the last bit."""
    monkeypatch.setattr(runs, "LEAST_CHECKPOINT", 100)
    monkeypatch.setattr(runs, "CHECKPOINT_WORK", 0)
    whole, killed = str(tmp_path / "whole.zarr"), tmp_path / "killed.zarr"
    compute(simulate(made(), whole))
    folder = killed / ".simulation"

    def kill(signal_child: bool, number: int) -> None:
        parent = subprocess.Popen([sys.executable, "-c", SCRIPT, str(killed), made.__name__], stderr=subprocess.DEVNULL)
        wait_for(lambda: any(int(p.name[-8:]) >= number for p in folder.glob("checkpoint-*")), parent)
        if signal_child:
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            assert len(children) == 1
            os.kill(int(children[0]), signal.SIGKILL)
            assert parent.wait() == 1
        else:
            parent.kill()
            parent.wait()
        # the worker has ended, too: its lock is free
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    kill(True, 3)
    kill(False, 7)
    assert not (folder / "done").exists()
    compute(simulate(made(), str(killed)))
    assert content_hash(killed) == content_hash(whole)
    one, other = open_reduction(whole, "thermo").load(), open_reduction(str(killed), "thermo").load()
    assert one.equals(other)
    assert not folder.exists()
