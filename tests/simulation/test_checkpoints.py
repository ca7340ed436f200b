"""Checkpoints that the disk or a loss of power has damaged, and places with names that LAMMPS would parse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from glassdask.errors import CorruptStoreError
from glassdask.simulation import models, runs
from glassdask.simulation.checkpoints import CHECKSUMS, KEPT, RESTART, STATE, newest_checkpoint, save_checkpoint
from glassdask.simulation.operations import State
from glassdask.simulation.protocols import Dynamics, Isoconfigurational, RandomStart, Simulation, StoredStart
from glassdask.simulation.recorders import MeansRecorder, read_sums
from glassdask.simulation.runs import isoconfigurational, simulate
from glassdask.store import content_hash, open_reduction, open_trajectory

from .helpers import compute
from .test_models import write_setfl

ODD = ["with blank", "Schrödinger", "a#b", "$HOME", "a*b", "50%", "it's", 'say "so"', "[x]{y}", "a&b;c\\d"]


class FakeInstance:
    """Writes what stands for a restart file."""

    def save(self, file):
        file.write_bytes(b"restart" * 1000)


@pytest.fixture
def folder(tmp_path):
    """A folder with checkpoints of steps 100, 200, 300, 400."""
    state = State(recorder=None)
    for step in (100, 200, 300, 400):
        state.step = step
        save_checkpoint(tmp_path, state, FakeInstance())
    return tmp_path


def flip(file, where=0.5):
    content = bytearray(file.read_bytes())
    content[int(where * len(content))] ^= 4
    file.write_bytes(content)


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def zero(file):
    file.write_bytes(bytes(file.stat().st_size))


def empty(file):
    os.truncate(file, 0)


DAMAGES = [flip, cut, zero, empty, os.unlink]


def test_the_newest_two_are_kept(folder):
    assert len(list(folder.iterdir())) == KEPT
    state, restart, damaged = newest_checkpoint(folder)
    assert (state.step, restart.parent.name, damaged) == (400, "checkpoint-00000004", [])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [RESTART, STATE, CHECKSUMS])
def test_a_damaged_one_is_named_and_the_one_before_used(folder, name, damage):
    damage(folder / "checkpoint-00000004" / name)
    state, restart, damaged = newest_checkpoint(folder)
    assert (state.step, restart.parent.name) == (300, "checkpoint-00000003")
    assert len(damaged) == 1
    assert damaged[0].startswith(f"{folder}/checkpoint-00000004: ")
    state.step = 400
    save_checkpoint(folder, state, FakeInstance())  # takes the place of the damaged one
    assert newest_checkpoint(folder)[0].step == 400


def test_every_bit_counts(folder):
    for name in (RESTART, STATE, CHECKSUMS):
        for where in np.random.default_rng(0).random(20):
            flip(folder / "checkpoint-00000004" / name, where)
            state, _, damaged = newest_checkpoint(folder)
            assert (state.step, len(damaged)) == (300, 1)
            state.step = 400
            save_checkpoint(folder, state, FakeInstance())


def test_both_damaged_is_a_new_beginning(folder):
    for k in (3, 4):
        cut(folder / f"checkpoint-0000000{k}" / RESTART)
    state, restart, damaged = newest_checkpoint(folder)
    assert (state, restart, len(damaged)) == (None, None, 2)


SCRIPT = """
import sys
from glassdask.simulation import runs
from tests.simulation.test_checkpoints import liquid
runs.LEAST_CHECKPOINT, runs.CHECKPOINT_WORK = 100, 0
runs.simulate(liquid(), sys.argv[1]).compute(scheduler="synchronous")
"""


def liquid(model=models.KAM_2D, n=100, time=4.0):
    stages = (Dynamics(time=time, temperature=2.0, every=time / 8),)
    return Simulation(model=model, start=RandomStart(n_particles=n), stages=stages, seed=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The undisturbed simulation."""
    path = tmp_path_factory.mktemp("whole") / "run.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "LEAST_CHECKPOINT", 100)
        patch.setattr(runs, "CHECKPOINT_WORK", 0)
        compute(simulate(liquid(), str(path)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_simulation_goes_on_with_the_same_numbers(tmp_path, monkeypatch, caplog, whole, damaged):
    """Killed, and then one or both of its checkpoints are damaged."""
    monkeypatch.setattr(runs, "LEAST_CHECKPOINT", 100)
    monkeypatch.setattr(runs, "CHECKPOINT_WORK", 0)
    path = tmp_path / "killed.zarr"
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT, path], start_new_session=True)
    end = time.monotonic() + 60
    while len(found := sorted(path.glob(".simulation/checkpoint-0000000[3-9]"))) < KEPT:
        assert parent.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.001)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    found = sorted(path.glob(".simulation/checkpoint-*"))
    assert len(found) >= KEPT
    for checkpoint in found[-damaged:]:
        flip(checkpoint / RESTART)
    compute(simulate(liquid(), str(path)))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == damaged
    assert all("restart is damaged" in line for line in lines)
    assert content_hash(path) == content_hash(whole)
    assert open_reduction(path, "thermo").load().equals(open_reduction(whole, "thermo").load())
    assert not (path / ".simulation").exists()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["sums.npz", "replica-00003.npy"])
def test_damaged_sums_are_made_again(tmp_path, name, damage):
    """What replicas leave until all of them are there has checksums as well; what is damaged is removed."""
    recorder = MeansRecorder(str(tmp_path / "batch"), "", ("A",), range(2, 4), 1, True)
    (tmp_path / "batch").mkdir()
    recorder.start = frame = type("Frame", (), {"position": np.ones((8, 3)), "image": None, "origin": None})()
    recorder.sums, recorder.kept = np.zeros((2, 1, 8)), np.zeros((1, 8, 3))
    for _ in range(2):
        recorder.add(frame, 1, 1.0, None)
    recorder.finish({"time": np.ones(1)}, 1)
    _, files = read_sums(tmp_path / "batch")
    assert [file.name for file in files] == ["replica-00002.npy", "replica-00003.npy"]
    damage(tmp_path / "batch" / name)
    with pytest.raises(CorruptStoreError, match=r"batch: damaged .*: run the same command again"):
        read_sums(tmp_path / "batch")
    assert not (tmp_path / "batch").exists()


def eam(folder):
    return models.read_model(
        {"type": "embedded_atom", "file": str(write_setfl(folder / "toy potential #1")), "name": "toy",
         "species": ["Cu", "Zr"], "fractions": [0.5, 0.5], "masses": [1.0, 1.0], "density": 0.05}, "model",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["native", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("table", "eam"))])
def test_places_with_any_name(tmp_path, monkeypatch, kind):
    """Files whose whole path LAMMPS would parse: of configurations, of restarts, of tables, of potentials."""
    monkeypatch.setattr(runs, "_checkpoint", lambda n: 20)
    folder = tmp_path.joinpath(*ODD)
    folder.mkdir(parents=True)
    model = {"native": lambda: models.KAM_2D, "table": lambda: models.SILICA, "eam": lambda: eam(folder)}[kind]()
    run = liquid(model, 48, 40 * model.timestep)
    monkeypatch.chdir(folder)
    compute(simulate(run, "run #1.zarr"))
    assert np.isfinite(open_trajectory(folder / "run #1.zarr")["position"].values).all()
    if kind == "native":
        ensemble = Isoconfigurational(
            model=model, start=StoredStart(path="run #1.zarr"), temperature=1.0, lags=(0.1,), replicas=2, keep=True
        )
        compute(isoconfigurational(ensemble, str(folder / "two.zarr")))
        found = open_reduction(folder / "two.zarr", "isoconfigurational")
        assert (found["replica_displacement"][0] != found["replica_displacement"][1]).any()
