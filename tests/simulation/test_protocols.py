"""Protocols as descriptions: what they ask for, and what they refuse."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from glassdask.declarations import make, plain
from glassdask.errors import ParameterError
from glassdask.simulation.engine import key
from glassdask.simulation.instance import decode_images, maxwell_boltzmann
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN
from glassdask.simulation.operations import Integrate, Load, Relax, Scatter, Strain, seeded
from glassdask.simulation.protocols import (
    Dynamics,
    Isoconfigurational,
    Minimum,
    RandomStart,
    Shear,
    Simulation,
    StoredStart,
    logarithmic_times,
    quench,
)


def simulation(*stages, **settings):
    return Simulation(model=KOB_ANDERSEN, start=RandomStart(n_particles=100), stages=stages, **settings)


def test_acts_of_a_glass():
    operations, n_frames = simulation(
        Dynamics(time=1.0, temperature=2.0),
        quench(2.0, 0.5, rate=0.1),
        Dynamics(time=2.0, temperature=0.5, ensemble="nve", every=1.0),
        Minimum(keep=True),
        seed=5,
    ).operations(0, False)
    assert [type(operation) for operation in operations] == [Scatter, Integrate, Integrate, Integrate, Relax]
    assert operations[0].density == KOB_ANDERSEN.density
    assert [operation.steps for operation in operations[1:4]] == [200, 3000, 400]
    assert operations[2].temperature == (2.0, 0.5)
    assert operations[3].frames == (0, 200, 400)
    assert [operation.seed for operation in operations[1:4]] == [
        (5, 1),
        None,
        None,
    ]  # velocities are drawn once, at the beginning
    assert n_frames == 4


def test_the_last_configuration_is_always_kept():
    operations, n_frames = simulation(
        Dynamics(time=1.0, temperature=1.0), Dynamics(time=1.0, temperature=1.0)
    ).operations(0, False)
    assert operations[1].frames == ()
    assert operations[2].frames == (200,)
    assert n_frames == 1
    operations, n_frames = simulation(Minimum()).operations(0, False)
    assert operations[1].keep
    assert n_frames == 1


def test_velocities_are_drawn_after_a_minimum():
    operations, _ = simulation(
        Dynamics(time=1.0, temperature=1.0), Minimum(), Dynamics(time=1.0, temperature=0.1)
    ).operations(0, True)
    assert operations[1].seed is None
    assert operations[3].seed == (0, 3)


def test_shear_has_frames_that_nobody_knows_yet():
    operations, n_frames = simulation(Minimum(), Shear(strain=0.1, skip=0.05)).operations(0, False)
    assert isinstance(operations[2], Strain)
    assert (operations[2].steps, operations[2].skip) == (2000, 1000)
    assert n_frames is None


def test_isoconfigurational_replicas_are_the_same_in_any_batch():
    ensemble = Isoconfigurational(
        model=KAM_2D, start=StoredStart(path="x"), temperature=0.5, lags=(0.1, 1.0), replicas=4, seed=9
    )
    together, apart = ensemble.operations(range(4)), ensemble.operations(range(2, 4))
    assert together[4:] == apart
    assert [operation.seed for operation in together if isinstance(operation, Load)] == [(9, 0), (9, 1), (9, 2), (9, 3)]


def test_logarithmic_times():
    times = logarithmic_times(0.005, 50.0, 21, 0.005)
    assert times[0] == 0.005
    assert times[-1] == 50.0
    assert (np.diff(times) > 0).all()
    with pytest.raises(ParameterError, match="timestep"):
        logarithmic_times(0.001, 50.0, 21, 0.005)
    with pytest.raises(ParameterError, match=r"logarithmic_times.last: expected a positive finite number, found inf"):
        logarithmic_times(0.005, np.inf, 21, 0.005)
    with pytest.raises(ParameterError, match=r"up to 1e\+12 timesteps"):
        logarithmic_times(0.005, 1e300, 21, 0.005)
    with pytest.raises(ParameterError, match=r"quench.high: expected float, found '2'"):
        quench("2", 0.5, 0.1)


def test_velocities():
    """Maxwell-Boltzmann: mean kinetic energy d/2 T, no total momentum, another draw for another key."""
    masses = np.repeat([1.0, 0.5], 20000)
    v = maxwell_boltzmann(masses, 0.7, 3, seeded(1, 2))
    kinetic = 0.5 * masses * (v**2).sum(axis=1)
    for half in (slice(0, 20000), slice(20000, None)):
        # the standard error of the mean of a gamma variable
        assert kinetic[half].mean() == pytest.approx(1.05, abs=5 * 0.7 * np.sqrt(1.5 / 20000))
    assert np.abs(masses @ v).max() < 1e-9
    assert (v == maxwell_boltzmann(masses, 0.7, 3, seeded(1, 2))).all()
    assert not (v == maxwell_boltzmann(masses, 0.7, 3, seeded(1, 3))).any()


@pytest.mark.parametrize(("dtype", "bits"), [(np.int32, 10), (np.int64, 21)])
def test_images(dtype, bits):
    images = np.array([[0, 0, 0], [1, -2, 3], [-5, 400, -400]])
    shifted = (images + (1 << (bits - 1))).astype(np.int64)
    packed = shifted[:, 0] | shifted[:, 1] << bits | shifted[:, 2] << 2 * bits
    assert (decode_images(packed.astype(dtype)) == images).all()


def test_keys():
    """Equal descriptions have equal keys, anything else another."""
    one = simulation(Dynamics(time=1.0, temperature=1.0), seed=1)
    assert key(one) == key(simulation(Dynamics(time=1.0, temperature=1.0), seed=1))
    others = [
        simulation(Dynamics(time=1.0, temperature=1.0), seed=2),
        simulation(Dynamics(time=1.0, temperature=1.1), seed=1),
        simulation(Dynamics(time=1.0, temperature=1.0), Minimum(), seed=1),
    ]
    assert len({key(one), *map(key, others)}) == 4
    assert plain(one)["stages"][0]["ensemble"] == "nvt"


RUN = {"model": "kam_2d", "start": {"path": "a.zarr"}, "temperature": 1.0, "lags": [1.0]}
STAGES = {"model": "kam_2d", "start": {"n_particles": 10}}
WRONG = [
    (Dynamics, {"time": 1.0, "temperature": 1.0, "ensemble": "nph"}, "ensemble: expected one of 'nve', 'nvt', 'npt'"),
    (Dynamics, {"time": 1.0, "temperature": 1.0, "ensemble": "npt"}, "npt needs one"),
    (Dynamics, {"time": 1.0, "temperature": 1.0, "pressure": 1.0}, "npt needs one"),
    (Dynamics, {"time": 0.0, "temperature": 1.0}, "time: expected a positive finite number, found 0.0"),
    (Dynamics, {"time": "1", "temperature": 1.0}, "time: expected float, found '1'"),
    (Dynamics, {"time": 1.0, "temperature": [1.0, 0.0]}, "temperature[1]: expected a positive finite number"),
    (Dynamics, {"time": 1.0, "temperature": [1.0, 2.0, 3.0]}, "temperature: expected"),
    (Dynamics, {"time": 1.0, "temperature": 1.0, "between": 3}, "without every"),
    (Dynamics, {"time": 1.0, "temperature": 1.0, "every": 1.0, "between": 2.5}, "between: expected int, found 2.5"),
    (Dynamics, {"time": 1.0, "temperature": 1.0, "velocities": "no"}, "velocities: expected bool, found 'no'"),
    (Shear, {"strain": 0.6}, "strain: expected more than 0, at most 0.5, found 0.6"),
    (Shear, {"strain": 0.1, "skip": 0.1}, "expected skip < strain"),
    (Minimum, {"keep": 1}, "keep: expected bool, found 1"),
    (RandomStart, {"n_particles": 0}, "n_particles: expected a whole number of at least 1, found 0"),
    (RandomStart, {"n_particles": 8, "density": -1.2}, "density: expected a positive finite number, found -1.2"),
    (
        Simulation,
        {**STAGES, "stages": []},
        "stages: expected at least one of Dynamics, Minimum, Shear and SwapMonteCarlo, found []",
    ),
    (Simulation, {**STAGES, "stages": [{"time": 1.0}]}, "stages[0]."),
    (Simulation, {**STAGES, "model": "ka", "stages": [{}]}, "model: model 'ka' is not known: expected one of abm_2d"),
    (Isoconfigurational, {**RUN, "lags": [1.0, 0.5]}, "increase"),
    (Isoconfigurational, {**RUN, "ensemble": "npt"}, "ensemble: expected one of 'nve', 'nvt', found 'npt'"),
    (Isoconfigurational, {**RUN, "replicas": 0}, "replicas: expected a whole number of at least 1, found 0"),
    (Isoconfigurational, {**RUN, "start": {"frame": 1}}, "start.path: is missing"),
]


@pytest.mark.parametrize(("kind", "values", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_errors(kind, values, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make(kind, values, "run")
    with pytest.raises(ParameterError, match=re.escape(message)):
        kind(**values)


def test_other_errors():
    with pytest.raises(ParameterError, match="shorter than the timestep"):
        Dynamics(time=1.0, temperature=1.0, every=0.001).frames(0.01)
    with pytest.raises(ParameterError, match="rate"):
        quench(1.0, 0.5, 0.0)


def test_a_simulation_is_read_again():
    """From what a store holds of it, and from a file."""
    run = simulation(Dynamics(time=1, temperature=(2, 1)), Minimum(keep=True), Shear(strain=0.1), seed=3)
    assert make(Simulation, {k: v for k, v in plain(run).items() if k != "type"}) == run
    in_file = """
    model = "kob_andersen"
    start = {n_particles = 100}
    seed = 3
    stages = [{time = 1, temperature = [2, 1]}, {type = "minimum", keep = true}, {strain = 0.1}]
    """
    assert make(Simulation, tomllib.loads(in_file), "simulation") == run
