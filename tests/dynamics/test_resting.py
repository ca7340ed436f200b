"""Motion from rest: a slow twin with the forces from the formulas, LAMMPS, the harmonic limit, conserved quantities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import eigh

import glassdask as gd
from glassdask.dynamics import motion_from_rest, resting
from glassdask.errors import ParameterError, SimulationError
from glassdask.kernels import motion as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation import forces, hessian
from glassdask.simulation.forms import Dzugutov, Hertzian, LennardJones
from glassdask.simulation.instance import Frame, Instance
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, POLYMER, PairModel

# inner and outer parts as splines, different masses
SPLINED = PairModel(
    name="splined", species=("A", "B"), fractions=(0.8, 0.2), masses=(1.0, 2.5), density=1.0, timestep=0.004,
    pairs={
        "A-A": Dzugutov(epsilon=1.0, sigma=0.9),
        "A-B": LennardJones(epsilon=1.0, sigma=0.9, scheme="cubic", begin=1.5),
        "B-B": Hertzian(epsilon=50.0, sigma=1.2),
    },
)  # fmt: skip
LINEAR = replace(
    KOB_ANDERSEN, name="linear", pairs=tuple(replace(pair, scheme="linear") for pair in KOB_ANDERSEN.pairs)
)  # fmt: skip
LIQUIDS = pytest.mark.parametrize("model", [KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, LINEAR, SPLINED], ids=lambda m: m.name)


SPACING = 1.1


def disturbed(edge=6, amount=0.04, dimension=3, seed=4):
    """A cubic lattice of both species, disturbed, partly outside of its box."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(float(edge))] * dimension), axis=-1).reshape(1, -1, dimension)
    position = SPACING * places + amount * rng.normal(size=places.shape)
    species = np.where(rng.random(places.shape[1]) < 0.3, "B", "A")
    return gd.from_arrays(position, species=species, box=[SPACING * edge] * dimension)


def slowly(model, trajectory, steps, dt):
    """The same by the textbook, all forces computed anew from the formulas: displacements after each step."""
    start, box = trajectory["position"].values[0], trajectory["box"].values[0]
    masses = np.array([model.masses[model.species.index(name)] for name in trajectory["species"].values])[:, None]
    place, velocity, path = start.copy(), np.zeros_like(start), []

    def acceleration():
        fraction = place @ np.linalg.inv(box)
        at = trajectory.assign(position=(trajectory["position"].dims, ((fraction - np.floor(fraction)) @ box)[None]))
        return forces(model, at)[:, : start.shape[1]] / masses

    a = acceleration()
    for _ in range(steps):
        place = place + velocity * dt + 0.5 * a * dt**2
        last, a = a, acceleration()
        velocity = velocity + 0.5 * (last + a) * dt
        path.append(place - start)
    return np.array(path)


def check(found, path, steps, atol):
    for k, end in enumerate(steps):
        one, mean = found.isel(frame=0, lag=k), path[:end].mean(axis=0)
        np.testing.assert_allclose(one["displacement_from_rest"], path[end - 1], atol=atol)
        np.testing.assert_allclose(one["mean_displacement_from_rest"], mean, atol=atol)
        size = (path[:end] ** 2).sum(axis=-1).mean(axis=0) - (mean**2).sum(axis=-1)
        np.testing.assert_allclose(one["cage_size_from_rest"], size, atol=atol)


@LIQUIDS
def test_the_slow_twin(model):
    trajectory, steps = disturbed(), [1, 7, 40]
    found = motion_from_rest(trajectory, model, [end * model.timestep for end in steps]).compute()
    assert dict(found.sizes) == {"frame": 1, "particle": 216, "lag": 3, "space": 3}
    check(found, slowly(model, trajectory, 40, model.timestep), steps, 1e-9)
    assert float(np.abs(found["displacement_from_rest"]).max()) > 0.05


@pytest.mark.parametrize("edge", [3, 12])
def test_two_dimensions(edge):
    """Of three particles a side every one meets several images of each other one, and its own."""
    trajectory = disturbed(edge, 0.05, dimension=2)
    found = motion_from_rest(trajectory, KAM_2D, [0.02, 0.1]).compute()
    assert found["displacement_from_rest"].dims == ("frame", "particle", "lag", "space")
    assert found["space"].values.tolist() == ["x", "y"]
    check(found, slowly(KAM_2D, trajectory, 25, 0.004), [5, 25], 1e-9)


def test_far_enough_for_new_pairs(monkeypatch):
    """Particles that go farther than lists of pairs reach: made again and again, and those of all images."""
    made, pairs = [], resting._pairs
    monkeypatch.setattr(resting, "_pairs", lambda *args: made.append(1) or pairs(*args))
    trajectory = disturbed(5, 0.1, seed=1)
    steps = [100, 400]
    found = motion_from_rest(trajectory, KOB_ANDERSEN, [0.2, 0.8], timestep=0.002).compute(scheduler="synchronous")
    path = slowly(KOB_ANDERSEN, trajectory, 400, 0.002)
    assert np.linalg.norm(path[-1], axis=-1).max() > 1.0
    assert len(made) >= 3
    # paths diverge: an error of the forces would be there from the beginning
    check(found.isel(lag=[0]), path, steps[:1], 1e-9)
    check(found.isel(lag=[1]), path, steps[1:], 1e-3)


def test_lammps(tmp_path):
    trajectory, model = disturbed(7), KOB_ANDERSEN
    found = motion_from_rest(trajectory, model, [0.05, 0.5])["displacement_from_rest"].values[0]
    start, edge = trajectory["position"].values[0], 7 * SPACING
    codes = np.array([model.species.index(name) for name in trajectory["species"].values])
    instance = Instance(model, model.timestep, tmp_path)
    instance.load(Frame(start % edge, codes, trajectory["box"].values[0]))
    instance.rest()
    instance.integrate("nve", (1.0, 1.0), None)
    for k, steps in enumerate((10, 90)):
        instance.run(steps, 0, 100)
        moved = instance.frame().position - start
        np.testing.assert_allclose(found[:, k], moved - edge * np.round(moved / edge), atol=1e-7)
    instance.close()


def test_small_vibrations_are_those_of_the_hessian():
    """r(t) - R = cos(sqrt(D) t) (r(0) - R) about a crystal R, with different masses."""
    model = replace(SPLINED, name="crystal", pairs=3 * KOB_ANDERSEN_SMOOTH.pairs[:1])
    edge = (4 / 1.2) ** (1 / 3)
    cell = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    crystal = ((places + cell).reshape(1, -1, 3) + 0.25) * edge
    species = np.where(np.arange(108) % 4 == 0, "B", "A")
    rest = gd.from_arrays(crystal, species=species, box=[3 * edge] * 3)
    matrix = hessian(model, rest, mass_weighted=True).toarray()
    value, vector = eigh(matrix)
    assert value[3] > 1.0
    root = np.sqrt(np.where(species == "B", 2.5, 1.0)).repeat(3)
    away = 1e-6 * np.random.default_rng(2).normal(size=108 * 3)
    start = rest.assign(position=rest["position"] + away.reshape(1, 108, 3))
    lags = [0.1, 0.35]
    found = motion_from_rest(start, model, lags, timestep=1e-4)["displacement_from_rest"].values[0]
    for k, lag in enumerate(lags):
        turned = vector @ (np.cos(np.sqrt(np.abs(value)) * lag) * (vector.T @ (root * away))) / root
        np.testing.assert_allclose(found[:, k].ravel(), turned - away, atol=1e-10)


def test_the_first_step_and_what_is_conserved():
    """F t^2 / 2m; the centre of mass; a crystal stays; and of two lags the shorter one does not know the longer one."""
    trajectory = disturbed()
    masses = np.where(trajectory["species"] == "B", 2.5, 1.0)[:, None]
    early = motion_from_rest(trajectory, SPLINED, [1e-4], timestep=1e-5)["displacement_from_rest"].values[0, :, 0]
    np.testing.assert_allclose(early, 0.5e-8 * forces(SPLINED, trajectory) / masses, rtol=1e-4, atol=1e-12)
    late = motion_from_rest(trajectory, SPLINED, [0.2, 0.4])
    assert float(np.abs((late["displacement_from_rest"].values * masses[:, None]).sum(axis=1)).max()) < 1e-11
    alone = motion_from_rest(trajectory, SPLINED, [0.2])
    xr.testing.assert_equal(alone.compute(), late.isel(lag=[0]).compute())
    crystal = disturbed(amount=0.0)
    found = motion_from_rest(crystal.assign(species=("particle", ["A"] * 216)), KOB_ANDERSEN, [0.1]).compute()
    assert max(float(np.abs(values).max()) for values in found.data_vars.values()) < 1e-12


def test_frames_in_any_chunks_and_boxes_of_any_shape():
    """Three frames one by one; and a skewed box that describes the same crystal of the same disturbed particles."""
    frames = [disturbed(seed=seed) for seed in (1, 2, 3)]
    together = xr.concat([frame.drop_vars("species") for frame in frames], "frame").assign(species=frames[0]["species"])
    whole = motion_from_rest(together, KOB_ANDERSEN, [0.1]).compute()
    parts = motion_from_rest(together.chunk(frame=1), KOB_ANDERSEN, [0.1]).compute()
    xr.testing.assert_equal(whole, parts)
    one = together.isel(frame=[1])
    skewed = one.assign(box=(one["box"].dims, SPACING * np.array([[[6.0, 0, 0], [6.0, 6.0, 0], [0, -6.0, 6.0]]])))
    other = motion_from_rest(gd.from_arrays(one["position"].values, species=one["species"].values,
                                            box=skewed["box"].values[0]), KOB_ANDERSEN, [0.1]).compute()  # fmt: skip
    for name, values in other.data_vars.items():
        np.testing.assert_allclose(values.values[0], whole[name].values[1], atol=1e-12)


@LIQUIDS
def test_compiled_and_plain_agree(model, monkeypatch):
    trajectory = disturbed(4)
    codes = (trajectory["species"].values == "B").astype(np.int8)
    configuration = Configuration(trajectory["position"].values[0], codes, trajectory["box"].values[0], ("A", "B"))
    results = [resting._paths(configuration, model=model, steps=(2,), step=0.005)]
    for name in ("splined_pull", "pull_of", "pull", "arrange", "number_images", "prune", "farthest2", "integrate"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    results.append(resting._paths(configuration, model=model, steps=(2,), step=0.005))
    np.testing.assert_allclose(*results, atol=1e-12)


def test_wrong_parameters():
    trajectory = disturbed(5)
    for lags in ([0.0], [np.nan], [0.1, -1]):
        with pytest.raises(ParameterError, match=r"motion_from_rest.lags.*: expected a positive finite number, found"):
            motion_from_rest(trajectory, KOB_ANDERSEN, lags)
    for lags in ([], [0.1, 0.1], [0.2, 0.1], [0.001]):
        with pytest.raises(
            ParameterError, match=r"lags \(.*\): expected times that increase by a timestep 0.005 or more"
        ):
            motion_from_rest(trajectory, KOB_ANDERSEN, lags)
    with pytest.raises(ParameterError, match=r"motion_from_rest.timestep: expected a positive finite number, found -1"):
        motion_from_rest(trajectory, KOB_ANDERSEN, [0.1], timestep=-1)
    with pytest.raises(ParameterError, match="polymer: expected particles that interact in pairs, without bonds"):
        motion_from_rest(trajectory, POLYMER, [0.1])
    with pytest.raises(ParameterError, match="2-dimensional"):
        motion_from_rest(trajectory, KAM_2D, [0.1])
    overlapping = gd.from_arrays([[[1.0, 1, 1], [1.2, 1, 1]]], species=["A", "A"], box=[9.0] * 3)
    with pytest.raises(SimulationError, match=r"frame 0: a particle of kob_andersen goes .* in one step"):
        motion_from_rest(overlapping, KOB_ANDERSEN, [0.1]).compute()
    same = gd.from_arrays([[[1.0, 1, 1], [1.0, 1, 1]]], species=["A", "A"], box=[9.0] * 3)
    with pytest.raises(SimulationError, match=r"goes nan in one step, at a time of 0.005"):
        motion_from_rest(same, KOB_ANDERSEN, [0.5]).compute()
