"""Mean positions in cages: detailed balance, limits of a crystal, an independent Metropolis loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import glassdask as gd
from glassdask.dynamics.cages import _static_neighbors, cage_positions
from glassdask.errors import ParameterError
from glassdask.kernels import cages as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.forms import Dzugutov, Hertzian, LennardJones
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, POLYMER, PairModel


@pytest.fixture(scope="module")
def crystal():
    """Face-centred cubic A at density 1.2, 500 particles."""
    edge = (4 / 1.2) ** (1 / 3)
    cell = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    places = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    # nobody on a face of the box, so that mean positions do not wrap
    position = ((places + cell).reshape(1, -1, 3) + 0.25) * edge
    return gd.from_arrays(position, species=["A"] * 500, box=[5 * edge] * 3)


@pytest.fixture(scope="module")
def mixture():
    """A disturbed cubic lattice of both species: small, dense, without symmetry."""
    rng = np.random.default_rng(4)
    places = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(1, 216, 3)
    position = places + 0.5 + 0.05 * rng.normal(size=places.shape)
    return gd.from_arrays(position, species=np.where(rng.random(216) < 0.2, "B", "A"), box=[6.0, 6.0, 6.0])


# smoothed, splined forms, and one table for both
SPLINED = PairModel(
    name="splined",
    species=("A", "B"),
    fractions=(0.8, 0.2),
    masses=(1.0, 1.0),
    density=1.0,
    timestep=0.004,
    pairs={
        "A-A": Dzugutov(epsilon=1.0, sigma=0.9),
        "A-B": LennardJones(epsilon=1.0, sigma=0.9, scheme="cubic", begin=1.5),
        "B-B": Hertzian(epsilon=50.0, sigma=1.2),
    },
)
LIQUIDS = pytest.mark.parametrize("model", [KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, SPLINED], ids=lambda m: m.name)


def kernel_input(model, trajectory, radius, sweeps, step=0.06):
    names = ("A", "B")
    codes = (trajectory["species"].values == "B").astype(np.int8)
    configuration = Configuration(trajectory["position"].values[0], codes, trajectory["box"].values[0], names)
    table = model.table(names, inner_only=True)
    random = np.random.default_rng(1).random((sweeps, len(codes), 4))
    random[..., :3] = step * (2 * random[..., :3] - 1)
    return configuration, table, _static_neighbors(configuration, model.cutoffs(names) + 2 * radius), random


@LIQUIDS
def test_the_kernel_is_metropolis_with_the_whole_energy(mixture, model):
    """The same random numbers, the whole energy computed anew for each trial."""
    configuration, table, (offsets, index, vector), random = kernel_input(model, mixture, 0.1, 1)
    n, beta, radius = 216, 1 / 0.8, 0.1
    shift, total, square = np.zeros((3, n)), np.zeros((3, n)), np.zeros(n)
    arguments = (offsets, index, vector, configuration.species, table, beta, radius, random)
    accepted = kernels.sweep_cages(*arguments, shift, total, square)

    def energy(moved):
        position = (configuration.position + moved) % 6.0
        return model.energies(Configuration(position, configuration.species, configuration.box, ("A", "B"))).sum()

    moved, count = np.zeros((n, 3)), 0
    last = energy(moved)
    for i in range(n):
        trial = moved.copy()
        trial[i] += random[0, i, :3]
        if np.linalg.norm(trial[i]) < radius and random[0, i, 3] < np.exp(min(0.0, -beta * (energy(trial) - last))):
            moved, count = trial, count + 1
            last = energy(moved)
    assert 20 < accepted == count < 216
    np.testing.assert_allclose(shift.T, moved, atol=1e-14)
    np.testing.assert_allclose(total, shift, atol=1e-14)
    np.testing.assert_allclose(square, (moved**2).sum(axis=1), atol=1e-14)


@LIQUIDS
def test_compiled_and_plain_agree(mixture, model, monkeypatch):
    configuration, table, neighbors, random = kernel_input(model, mixture, 0.2, 1)
    arguments = (*neighbors, configuration.species, table, 2.0, 0.2, random)
    results = []
    for sweep in (kernels.sweep_cages, kernels.sweep_cages.py_func):
        if sweep is not kernels.sweep_cages:
            monkeypatch.setattr(kernels, "trial_energy", kernels.trial_energy.py_func)
        shift, total, square = np.zeros((3, 216)), np.zeros((3, 216)), np.zeros(216)
        results.append((sweep(*arguments, shift, total, square), shift, total, square))
    assert results[0][0] == results[1][0]
    for one, other in zip(results[0][1:], results[1][1:]):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_crystal(crystal):
    """The mean positions are the lattice, and twice the temperature gives twice the mean square amplitude."""
    small, large = (cage_positions(crystal, KOB_ANDERSEN, t, sweeps=800, burn_in=200).compute() for t in (0.1, 0.2))
    assert np.abs(small["position"].values - crystal["position"].values).max() < 0.05
    ratio = float(large["cage_size"].mean() / small["cage_size"].mean())
    assert 1.7 < ratio < 2.3


def test_free_particles_fill_their_cages():
    """Out of reach of each other they are spread evenly over spheres: <r^2> = 3/5 R^2."""
    sparse = gd.from_arrays([[[5.0, 5, 5], [15.0, 15, 15]]], species=["A", "B"], box=[20.0] * 3)
    cages = cage_positions(sparse, KOB_ANDERSEN, 1.0, radius=0.1, sweeps=40_000).compute()
    np.testing.assert_allclose(cages["cage_size"], 0.6 * 0.1**2, rtol=0.03)
    np.testing.assert_allclose(cages["position"], sparse["position"], atol=0.004)


def test_nobody_leaves_its_cage(mixture):
    cages = cage_positions(mixture, KOB_ANDERSEN, 50.0, radius=0.05, sweeps=20, burn_in=5)
    moved = cages["position"].values - mixture["position"].values
    moved -= 6.0 * np.round(moved / 6.0)
    assert 0 < np.linalg.norm(moved, axis=-1).max() < 0.05


def test_they_make_a_trajectory(mixture):
    """Mean positions take the place of those that they were made of."""
    cages = cage_positions(mixture, KOB_ANDERSEN, 1.0, radius=0.2, sweeps=2, burn_in=1).compute()
    structure = mixture[["species", "box"]].assign(position=cages["position"])
    assert gd.describe(structure, [gd.Coordination(cutoffs=1.2)])["coordination"].shape[:2] == (1, 216)


def test_two_dimensions_and_reproducibility():
    places = np.stack(np.meshgrid(*[np.arange(8.0)] * 2), axis=-1).reshape(64, 2) + 0.5
    flat = gd.from_arrays(np.stack([places, places]), species=["A"] * 40 + ["B"] * 24, box=[8.0, 8.0])
    first = cage_positions(flat, KAM_2D, 0.3, sweeps=60, burn_in=10)
    assert first["position"].shape == (2, 64, 2)
    second = cage_positions(flat.isel(frame=[0]), KAM_2D, 0.3, sweeps=60, burn_in=10)
    np.testing.assert_array_equal(first["position"][0], second["position"][0])
    assert np.abs(first["position"][0] - first["position"][1]).max() > 0  # frames have their own random numbers


def test_wrong_parameters(crystal):
    for name, wrong, words in (
        ("temperature", 0.0, "a positive finite number"),
        ("temperature", "1", "float"),
        ("temperature", True, "float"),
        ("temperature", np.inf, "a positive finite number"),
        ("radius", -1.0, "a positive finite number"),
        ("sweeps", 0, "a whole number of at least 1"),
        ("sweeps", 2.5, "int"),
        ("burn_in", -1, "a whole number of at least 0"),
        ("seed", 1.5, "int"),
    ):
        with pytest.raises(ParameterError, match=rf"^cage_positions\.{name}: expected {words}, found"):
            cage_positions(crystal, KOB_ANDERSEN, **{"temperature": 1.0, name: wrong})
    with pytest.raises(ParameterError, match="polymer: expected particles that interact in pairs, without bonds"):
        cage_positions(crystal, POLYMER, 1.0)
    with pytest.raises(ParameterError, match=r"^cage_positions.model: model 'ka' is not known"):
        cage_positions(crystal, "ka", 1.0)
    with pytest.raises(ParameterError, match="2-dimensional"):
        cage_positions(crystal, replace(KAM_2D, name="flat"), 1.0)


def test_size_of_a_cage_is_about_its_mean_and_not_about_the_start():
    """<r^2> of any motion within the radius is at most its square; two particles that push each other apart sit far
    from where they began, so that the mean and the scatter about it make up most of that."""
    dimer = gd.from_arrays([[[4.0, 4.0, 4.0], [4.6, 4.0, 4.0]]], species=["A", "A"], box=[8.0] * 3)
    found = cage_positions(dimer, KOB_ANDERSEN, 0.2, radius=0.3, sweeps=2000, burn_in=200).compute()
    moved = found["position"].values - dimer["position"].values
    mean2, size = np.sum(moved**2, axis=-1), found["cage_size"].values
    assert (mean2 > 0.3 * 0.3**2).all()
    assert (mean2 + size < 0.3**2).all()
    assert (mean2 + size > 0.5 * 0.3**2).all()
