"""Particles with diameters of their own: energies by hand, Metropolis by hand, exact distributions, stores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SimulationError
from glassdask.kernels import swapping as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation import POLYDISPERSE, POLYDISPERSE_2D, Hertzian, LennardJones
from glassdask.simulation.instance import Frame
from glassdask.simulation.mechanics import forces, hessian, stresses
from glassdask.simulation.models import KAM_2D, read_model
from glassdask.simulation.protocols import (
    Dynamics,
    Isoconfigurational,
    Minimum,
    RandomStart,
    Simulation,
    StoredStart,
    SwapMonteCarlo,
)
from glassdask.simulation.runs import inherent_structures, simulate
from glassdask.simulation.sample import Sample, coefficients, listed
from glassdask.simulation.vibrations import lowest_modes
from glassdask.store import content_hash, open_reduction, open_trajectory

from .helpers import compute

# one table of six numbers, and splines
SPLINED = replace(POLYDISPERSE_2D, name="splined", form=Hertzian(epsilon=20.0, sigma=1.1))
MODELS = pytest.mark.parametrize("model", [POLYDISPERSE, POLYDISPERSE_2D, SPLINED], ids=lambda model: model.name)


def disturbed(model, seed=3):
    """A lattice at density 1 whose particles are off their places: N = 125 or 100."""
    d = model.dimension
    edge = 5 if d == 3 else 10
    rng = np.random.default_rng(seed)
    position = np.array(list(np.ndindex(*[edge] * d))) + 0.5 + 0.1 * rng.normal(size=(edge**d, d))
    diameter = rng.permutation(model.diameters(edge**d))
    return gd.from_arrays(position[None], species=["A"] * edge**d, box=[edge] * d, diameter=diameter)


def published(model, position, box, diameter):
    """Energy by the formula of Ninarello, Berthier and Coslovich, (N,)."""
    delta = position[:, None] - position
    delta -= np.round(delta / box) * box
    mean, gap = (diameter[:, None] + diameter) / 2, np.abs(diameter[:, None] - diameter)
    x = np.linalg.norm(delta, axis=-1) / (mean * (1 - 0.2 * gap))
    np.fill_diagonal(x, np.inf)
    if model is SPLINED:
        y = np.maximum(1 - x / 1.1, 0.0)
        return 0.5 * (20.0 * y**2.5 / 2.5).sum(axis=1)
    near = np.where(x < 1.25, x, 1.0)
    u = near**-12.0 - 28 / 1.25**12 + 48 / 1.25**14 * near**2 - 21 / 1.25**16 * near**4
    return 0.5 * np.where(x < 1.25, u, 0.0).sum(axis=1)


def sample_of(model, trajectory):
    sample = Sample(model)
    values = {name: trajectory[name].values for name in ("position", "box", "diameter")}
    n = trajectory.sizes["particle"]
    sample.load(Frame(values["position"][0], np.zeros(n, int), values["box"][0], diameter=values["diameter"]))
    return sample


@MODELS
def test_energies(model):
    trajectory = disturbed(model)
    position, diameter = trajectory["position"].values[0], trajectory["diameter"].values
    box = np.diag(trajectory["box"].values[0])
    expected = published(model, position, box, diameter)
    assert expected.max() > 0.1
    found = model.energies(
        Configuration(position, np.zeros(len(position), int), np.diag(box), ("A",), diameter=diameter)
    )
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-12 * expected.max())
    described = gd.describe(trajectory, [gd.LocalEnergy(model=model)])["local_energy"].values[0]
    assert np.array_equal(described, found)
    h = 1e-5
    force = forces(model, trajectory)
    for particle in (0, 33):
        ends = []
        for step in (h, -h):
            moved = position.copy()
            moved[particle, 1] += step
            ends.append(published(model, moved, box, diameter).sum())
        assert force[particle, 1] == pytest.approx((ends[1] - ends[0]) / (2 * h), rel=1e-6, abs=1e-6)
        column = hessian(model, trajectory).tocsr()[[model.dimension * particle + 1]].toarray().ravel()
        moved = trajectory.copy(deep=True)
        moved["position"][0, particle, 1] += h
        slope = (force - forces(model, moved)).ravel() / h
        assert np.allclose(column, slope, atol=1e-3 * np.abs(column).max())
    assert np.trace(stresses(model, trajectory).sum(axis=0)) < 0.0  # it is pressed


def test_diameters():
    """Probability s^-3 from 0.73 to 1.62: moments by hand; one exponent makes them grow exponentially."""
    low, high = 0.73, 1.62
    diameters = POLYDISPERSE.diameters(100_000)
    norm = (low**-2 - high**-2) / 2
    assert diameters.mean() == pytest.approx((1 / low - 1 / high) / norm, rel=1e-6)
    assert (diameters**2).mean() == pytest.approx(np.log(high / low) / norm, rel=1e-6)
    assert (np.diff(diameters) > 0).all()
    assert low < diameters[0] < diameters[-1] < high
    flat = replace(POLYDISPERSE, exponent=1.0).diameters(1001)
    assert flat[500] == pytest.approx(np.sqrt(low * high))
    assert np.ptp(replace(POLYDISPERSE, smallest=1.0, largest=1.0).diameters(5)) == 0.0


@MODELS
@pytest.mark.parametrize("compiled", [True, False])
def test_the_kernel_is_metropolis_with_the_whole_energy(model, compiled, monkeypatch):
    """The same random numbers, the whole energy computed anew for each trial."""
    if not compiled:
        monkeypatch.setattr(kernels, "energy_change", kernels.energy_change.py_func)
    sweep = kernels.sweep_swaps if compiled else kernels.sweep_swaps.py_func
    sample = sample_of(model, disturbed(model))
    n, d = sample.position.shape
    lists = sample._neighbors(0.1)
    position, box = sample.position.copy(), np.diag(sample.box)
    random, counts = np.random.default_rng(1).random((60, 6)), np.zeros(4, np.int64)
    random[:, 2:5] = np.where(random[:, :1] < 0.5, random[:, 2:5], 0.2 * random[:, 2:5] - 0.1)
    random[:, 2 + d : 5] = 0.0
    diameter, beta, moved, exchanged = sample.diameter.copy(), 5.0, 0, 0
    done = sweep(*lists, sample.shift, sample.diameter, sample.table, 0.2, beta, 0.5, 1.0, random, 0, counts)
    assert done == 60
    last = published(model, position, box, diameter).sum()
    for kind, first, *move, chance in random:
        i = int(first * n)
        trial, sizes = position.copy(), diameter.copy()
        if kind < 0.5:
            j = int(move[0] * (n - 1))
            j += j >= i
            sizes[[i, j]] = sizes[[j, i]]
        else:
            trial[i] += move[:d]
        energy = published(model, trial, box, sizes).sum()
        if energy <= last or chance < np.exp(-beta * (energy - last)):
            position, diameter, last = trial, sizes, energy
            moved, exchanged = moved + (kind >= 0.5), exchanged + (kind < 0.5)
    assert counts.tolist() == [(random[:, 0] >= 0.5).sum(), moved, (random[:, 0] < 0.5).sum(), exchanged]
    assert 0 < exchanged < 30
    assert np.array_equal(sample.diameter, diameter)
    assert np.allclose(sample.position + sample.shift[:d].T, position, atol=1e-13)
    # what is kept of the neighbours has followed
    offsets, index, vector, size, reverse = lists
    center = np.repeat(np.arange(n), np.diff(offsets))
    assert np.array_equal(index[reverse], center)
    assert np.array_equal(reverse[reverse], np.arange(len(index)))
    assert np.array_equal(size, diameter[index])
    between = position[index] - position[center]
    assert np.allclose(vector[:d].T, between - np.round(between / box) * box, atol=1e-12)
    assert np.allclose(vector[:, reverse], -vector, atol=1e-12)


def test_two_particles_are_where_boltzmann_says():
    """Moves and exchanges, in the plane; the exact distribution of the distance by quadrature over the box.

    Each sees all images of the other that it can meet before the list is made anew, so that moves may be long.
    """
    edge, temperature, blocks, trials = 5.0, 0.4, 20_000, 6
    diameter, table = np.array([0.8, 1.4]), coefficients(POLYDISPERSE_2D.form)
    sigma = 1.1 * (1 - 0.2 * 0.6)
    images = edge * np.array(list(np.ndindex(13, 13))) - 6 * edge
    offsets, index = np.array([0, 169, 338]), np.repeat([1, 0], 169)
    random = np.random.default_rng(7).random((blocks, trials, 6))
    random[..., 2:4] = np.where(random[..., :1] < 0.3, random[..., 2:4], 3.0 * random[..., 2:4] - 1.5)
    random[..., 4] = 0.0
    delta, distances, counts = np.array([2.0, 2.0]), np.empty(blocks), np.zeros(4, np.int64)
    for block in range(blocks):
        vector = np.zeros((3, 338))
        vector[:2, :169], vector[:2, 169:] = (images + delta).T, (images - delta).T
        shift = np.zeros((3, 2))
        lists = listed(offsets, index, vector, diameter)
        kernels.sweep_swaps(*lists, shift, diameter, table, 0.2, 1 / temperature, 0.3, np.inf, random[block], 0, counts)
        delta += shift[:2, 1] - shift[:2, 0]
        delta -= edge * np.round(delta / edge)
        distances[block] = np.linalg.norm(delta)
    places = (np.arange(1000) + 0.5) / 1000 * edge - edge / 2
    r = np.hypot(*np.meshgrid(places, places)).ravel()
    energy = POLYDISPERSE_2D.form.energy(r / sigma)
    weight = np.exp(-energy / temperature)
    weight /= weight.sum()
    edges = np.array([0.0, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 4.0])
    expected = np.histogram(r, edges, weights=weight)[0]
    found = np.histogram(distances, edges)[0] / blocks
    # five standard errors of values that are almost independent
    assert (np.abs(found - expected) < 5 * np.sqrt(expected / blocks) + 1e-4).all()
    assert expected[1] < 0.5 * np.pi * (1.0 - 0.95**2) / edge**2  # where they feel each other
    spread = np.sqrt((energy**2 * weight).sum() / blocks)
    assert abs(POLYDISPERSE_2D.form.energy(distances / sigma).mean() - (energy * weight).sum()) < 5 * spread
    assert counts[kernels.EXCHANGED] == counts[kernels.EXCHANGES]  # of two, they cost nothing


def test_exchanges_alone_are_where_boltzmann_says():
    """Four particles that stay: each of the 24 orders of their diameters, with its weight."""
    position = np.array([[2.0, 2.0], [3.0, 2.1], [2.4, 3.0], [3.3, 3.2]])
    diameter, temperature = np.array([0.75, 0.95, 1.15, 1.35]), 0.8
    trajectory = gd.from_arrays(position[None], species=["A"] * 4, box=[6.0] * 2, diameter=diameter)
    sample, seen = sample_of(POLYDISPERSE_2D, trajectory), Counter()
    for k in range(12_000):
        sample.sweep(np.random.default_rng([8, k]), temperature, 0.1, 1.0)
        seen[tuple(sample.diameter.tolist())] += 1
    orders = list(permutations(diameter.tolist()))
    energy = [published(POLYDISPERSE_2D, position, 6.0, np.array(order)).sum() for order in orders]
    weight = np.exp(-np.array(energy) / temperature)
    weight /= weight.sum()
    found = np.array([seen[order] for order in orders]) / 12_000
    assert weight.max() > 5 * np.median(weight)
    assert np.abs(found - weight).max() < 0.02
    assert np.array_equal(sample.position, position)


def test_neighbor_lists_are_renewed_in_time():
    """The energies after many sweeps with small and with wide lists are those of the same moves."""
    ends = []
    for skin in (0.35, 2.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("glassdask.simulation.sample.SKIN", skin)
            sample = sample_of(POLYDISPERSE_2D, disturbed(POLYDISPERSE_2D))
            for k in range(60):
                sample.sweep(np.random.default_rng([3, k]), 2.0, 0.12, 0.2)
            ends.append(sample.frame())
    assert np.allclose(ends[0].position, ends[1].position, atol=1e-10)
    assert np.array_equal(ends[0].diameter, ends[1].diameter)
    assert np.array_equal(ends[0].image, ends[1].image)


def swap_run(seed=2):
    stages = (
        SwapMonteCarlo(sweeps=100, temperature=(0.5, 0.2)),
        SwapMonteCarlo(sweeps=60, temperature=0.2, every=20, between=1),
        Minimum(keep=True),
    )
    return Simulation(model="polydisperse_2d", start=RandomStart(n_particles=100), stages=stages, seed=seed)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("swaps") / "run.zarr")
    compute(simulate(swap_run(), path))
    return path


def test_a_store_of_a_run(stored):
    trajectory, thermo = open_trajectory(stored).load(), open_reduction(stored, "thermo").load()
    assert trajectory["time"].values.tolist() == [100, 101, 120, 121, 140, 141, 160, 160]
    assert trajectory["diameter"].dims == ("frame", "particle")
    sorted_sizes = np.sort(trajectory["diameter"].values, axis=1)
    assert np.array_equal(sorted_sizes, np.tile(POLYDISPERSE_2D.diameters(100), (8, 1)))
    assert (trajectory["diameter"].values[0] != trajectory["diameter"].values[-2]).any()
    for frame in range(8):
        one = trajectory.isel(frame=frame)
        expected = published(POLYDISPERSE_2D, one["position"].values, 10.0, one["diameter"].values)
        assert np.allclose(one["energy"], expected, rtol=1e-12, atol=1e-12)
    assert thermo["temperature"].values[0] == pytest.approx(0.5, abs=0.01)
    assert np.isnan(thermo["temperature"].values[-1])
    accepted = thermo["accepted_exchanges"].values[1:-1]
    assert 0.05 < np.nanmean(accepted) < 0.5
    assert thermo["largest_force"].values[-1] < 1e-9
    assert np.abs(forces("polydisperse_2d", trajectory.isel(frame=[-1]))).max() < 1e-9
    modes = lowest_modes("polydisperse_2d", trajectory.isel(frame=[-1]), 5)
    assert float(modes["eigenvalue"][0]) > 0.0
    # the virial of its own forces, and the ideal gas
    row = thermo.isel(sample=-2)
    virial = np.trace(stresses("polydisperse_2d", trajectory.isel(frame=[-2])).sum(axis=0))
    assert float(row["pressure"]) == pytest.approx(float(row["temperature"]) - virial / 200, rel=1e-12)


def test_seeds(stored, tmp_path):
    compute(
        simulate(swap_run(), str(tmp_path / "again.zarr")), simulate(swap_run(seed=3), str(tmp_path / "other.zarr"))
    )
    assert content_hash(tmp_path / "again.zarr") == content_hash(stored)
    assert content_hash(tmp_path / "other.zarr") != content_hash(stored)


def test_a_run_goes_on_from_a_store_and_has_inherent_structures(stored, tmp_path):
    stages = (SwapMonteCarlo(sweeps=10, temperature=0.2),)
    further = Simulation(model="polydisperse_2d", start=StoredStart(path=stored, frame=2), stages=stages)
    inherent = str(tmp_path / "inherent.zarr")
    compute(simulate(further, str(tmp_path / "further.zarr")), inherent_structures("polydisperse_2d", stored, inherent))
    last = open_trajectory(tmp_path / "further.zarr").load()
    assert np.array_equal(np.sort(last["diameter"].values[0]), POLYDISPERSE_2D.diameters(100))
    minima, thermal = open_trajectory(inherent).load(), open_trajectory(stored).load()
    assert np.array_equal(minima["diameter"], thermal["diameter"])
    assert np.array_equal(minima["time"], thermal["time"])
    assert (minima["energy"].sum("particle")[:-1] < thermal["energy"].sum("particle")[:-1]).all()
    assert open_reduction(inherent, "thermo")["largest_force"].values.max() < 1e-9


def test_refusals(stored, tmp_path):
    swap = SwapMonteCarlo(sweeps=10, temperature=0.2)
    start = RandomStart(n_particles=100)
    with pytest.raises(ParameterError, match=r"stages\[1\]: Dynamics of polydisperse: expected Swap.* and Minimum"):
        Simulation(model="polydisperse", start=start, stages=(swap, Dynamics(time=1.0, temperature=1.0)))
    with pytest.raises(ParameterError, match=r"stages\[0\]: Swap.* of kam_2d: expected Dynamics, Minimum and Shear"):
        Simulation(model=KAM_2D, start=start, stages=(swap,))
    with pytest.raises(ParameterError, match="between = 2 without every"):
        SwapMonteCarlo(sweeps=10, temperature=0.2, between=2)
    with pytest.raises(ParameterError, match="more than 1e"):
        Simulation(model="polydisperse", start=start, stages=(SwapMonteCarlo(sweeps=10**9, temperature=0.2, every=1),))
    with pytest.raises(ParameterError, match="an ensemble of runs needs LAMMPS"):
        Isoconfigurational(model="polydisperse", start=StoredStart(path=stored), temperature=0.2, lags=(1.0,))
    with pytest.raises(ParameterError, match="LAMMPS has no particles with diameters"):
        POLYDISPERSE.interactions(tmp_path)
    with pytest.raises(ParameterError, match=r"smallest 2\.0 and largest 1\.62: exchange them"):
        replace(POLYDISPERSE, smallest=2.0)
    with pytest.raises(ParameterError, match="2 species: expected one"):
        replace(POLYDISPERSE, species=("A", "B"), fractions=(0.5, 0.5), masses=(1.0, 1.0))
    few = Simulation(model="polydisperse", start=RandomStart(n_particles=30), stages=(swap,))
    with pytest.raises(SimulationError, match=r"half of the box, 1\.554, is below the cutoff .*: take more"):
        compute(simulate(few, str(tmp_path / "few.zarr")))
    plain = gd.from_arrays(np.ones((1, 1, 2)), species=["A"], box=[9.0] * 2)
    with pytest.raises(ParameterError, match="the particles have no diameters of their own: give them"):
        forces("polydisperse_2d", plain)
    with pytest.raises(BoxError, match="take more particles"):
        sample_of(POLYDISPERSE_2D, disturbed(POLYDISPERSE_2D).isel(particle=slice(0, 2)).assign(
            box=(("frame", "axis", "space"), 3.0 * np.eye(2)[None])
        )).sweep(np.random.default_rng(1), 1.0, 0.1, 0.2)  # fmt: skip


def test_a_model_of_ones_own():
    table = {"density": 1.0, "form": {"type": "lennard_jones", "epsilon": 1.0, "sigma": 1.0, "cutoff": 2.5}}
    model = read_model({"name": "mine", **table}, "model")
    assert model.form == LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5)
    assert coefficients(model.form).shape == (6,)
    assert coefficients(replace(model.form, scheme="linear")).ndim == 2
