"""Modes, their density and elastic moduli: whole matrices, waves of crystals, strained minima, dynamics of springs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.dynamics import debye_waller
from glassdask.errors import BoxError, ConvergenceError, ParameterError, SchemaError
from glassdask.kernels import hessians as kernels
from glassdask.simulation import vibrations
from glassdask.simulation.elasticity import elastic_moduli
from glassdask.simulation.forms import LennardJones
from glassdask.simulation.interactions import configuration_of, interactions
from glassdask.simulation.mechanics import forces, hessian, stresses
from glassdask.simulation.mode_measures import harmonic_debye_waller, participation_ratio, phase_quotient, vibrality
from glassdask.simulation.models import KAM_2D, KOB_ANDERSEN_SMOOTH, WAHNSTROM_SMOOTH
from glassdask.simulation.spectra import density_of_states, jackson, level
from glassdask.simulation.springs import Springs, along_a_curve
from glassdask.simulation.vibrations import lowest_modes

from ..conftest import DATA
from .test_mechanics import R0, SPRINGS, STIFF, crystal, disturbed, one_form

BOTH = pytest.mark.parametrize("model", [KOB_ANDERSEN_SMOOTH, KAM_2D], ids=lambda model: model.name)


def minimum(model):
    stored = np.load(DATA / "minima.npz")
    position, box, species = (stored[f"{model.name}_{what}"] for what in ("position", "box", "species"))
    return gd.from_arrays(position[None], species=species, box=box)


@BOTH
@pytest.mark.parametrize("compiled", [True, False])
def test_springs_are_the_hessian(model, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(kernels, "apply_springs", kernels.apply_springs.py_func)
    trajectory = disturbed(model)
    n, d = trajectory.sizes["particle"], model.dimension
    x = np.random.default_rng(1).normal(size=(n * d, 11 if compiled else 3))  # more than a block
    mass = np.random.default_rng(2).uniform(0.5, 2.0, n)
    root = np.repeat(np.sqrt(mass), d)[:, None]
    matrix = hessian(model, trajectory).toarray() / root / root.T
    expected = matrix @ x
    along = along_a_curve(configuration_of(trajectory, "test"))
    for order in (None, along) if compiled else (along,):
        springs = Springs(interactions(model, trajectory, "test"), mass, order)
        assert np.abs(springs.of_columns(x) - expected).max() < 1e-12 * np.abs(expected).max()
        assert np.array_equal(springs(x[:, 0]), springs.of_columns(x)[:, 0])
        # Chebyshev's polynomials by their definition
        value, vector = np.linalg.eigh(matrix)
        low, high = value[0] - 1.0, value[-1] + 1.0
        y = (2 * value - low - high) / (high - low)
        for k, found in zip(range(7 if compiled else 3), springs.chebyshev(x[:, :3], low, high)):
            polynomial = (vector * np.cos(k * np.arccos(y))) @ (vector.T @ x[:, :3])
            assert np.allclose(springs.outside(found)[:, :3], polynomial, atol=1e-9)
            assert not found[:, 3:].any()


def test_particles_along_the_curve_are_near_each_other():
    """Most follow a neighbour; a lattice of a power of two is visited cube by cube."""
    edge = 8
    place = np.random.default_rng(1).permutation(np.array(list(np.ndindex(edge, edge, edge)))) + 0.5
    found = configuration_of(gd.from_arrays(place[None], species=["A"] * edge**3, box=[edge] * 3), "test")
    order = along_a_curve(found)
    assert sorted(order) == list(range(edge**3))
    for first in range(0, edge**3, 8):
        assert (np.ptp(place[order[first : first + 8]], axis=0) == 1).all()


@pytest.mark.parametrize("way", ["filtered", "whole"])
@pytest.mark.parametrize("model", [KOB_ANDERSEN_SMOOTH, KAM_2D, WAHNSTROM_SMOOTH], ids=lambda model: model.name)
def test_modes_are_the_lowest_of_the_whole_matrix(model, way, monkeypatch):
    """Also of a configuration that is no minimum, and with different masses."""
    monkeypatch.setattr(vibrations, "DENSE", 0 if way == "filtered" else 10**6)
    trajectory = disturbed(model) if model is WAHNSTROM_SMOOTH else minimum(model)
    modes = lowest_modes(model, trajectory, 25)
    value, vector = np.linalg.eigh(hessian(model, trajectory, mass_weighted=True).toarray())
    zero = np.argsort(np.abs(value))[: model.dimension]
    value, vector = np.delete(value, zero)[:25], np.delete(vector, zero, axis=1)[:, :25]
    assert np.allclose(modes["eigenvalue"], value, rtol=0, atol=1e-9 * np.abs(value).max())
    assert (value[0] < 0) == (model is WAHNSTROM_SMOOTH)
    assert np.array_equal(np.sign(modes["frequency"]), np.sign(value))
    assert np.allclose(modes["frequency"] ** 2, np.abs(value))
    overlap = np.abs(modes["polarization"].values.reshape(25, -1) @ vector)
    assert np.allclose(overlap, np.eye(25), atol=1e-6)
    assert float(modes["residual"].max()) < 1e-7 * float(np.abs(value).max())


@BOTH
def test_the_level_is_that_of_the_spectrum(model):
    """Twice the part of the modes that resolution and random vectors allow."""
    trajectory = minimum(model)
    value = np.linalg.eigvalsh(hessian(model, trajectory, mass_weighted=True).toarray())[model.dimension :]
    springs = Springs(interactions(model, trajectory, "test"))
    for rank in (30, 200, 330):
        found = level(springs, rank, -0.01 * value[-1], 1.01 * value[-1], np.random.default_rng(1))
        assert abs(np.sum(value < found) - rank) < 0.15 * rank


@pytest.mark.parametrize("kind", ["overlap", "stretched"])
def test_modes_far_below_zero_do_not_hide_the_others(kind, monkeypatch):
    """Two particles that overlap, and a crystal stretched until no wave is stable."""
    monkeypatch.setattr(vibrations, "DENSE", 0)
    edge = 1.95 if kind == "stretched" else 1.55
    trajectory = crystal(edge * np.eye(3), [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [4] * 3)
    if kind == "overlap":
        trajectory["position"][0, 10] += [0.4, 0.32, 0.04]
    noise = np.random.default_rng(0).normal(size=(256, 3))  # no two modes are alike
    trajectory["position"] = trajectory["position"] + 1e-3 * noise
    model = one_form(LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5, scheme="even"), "argon")
    value = np.linalg.eigvalsh(hessian(model, trajectory).toarray())
    value = np.delete(value, np.argsort(np.abs(value))[:3])[:20]
    assert value[0] < 0
    found = lowest_modes(model, trajectory, 20)
    assert np.allclose(found["eigenvalue"], value, rtol=1e-9, atol=1e-9 * np.abs(value).max())


def test_all_of_the_modes_that_are_alike_are_found(monkeypatch):
    """The softest waves of a perfect crystal: 12 of one frequency, 12 of the next."""
    monkeypatch.setattr(vibrations, "DENSE", 0)
    trajectory = crystal(1.55 * np.eye(3), [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], [4] * 3)
    model = one_form(LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5, scheme="even"), "argon")
    value = np.linalg.eigvalsh(hessian(model, trajectory).toarray())[3:]
    assert np.ptp(value[:12]) < 1e-9 < value[12] - value[11]
    for n_modes in (5, 12, 20):
        found = lowest_modes(model, trajectory, n_modes)
        assert np.allclose(found["eigenvalue"], value[:n_modes], rtol=1e-9)
        e = found["polarization"].values.reshape(n_modes, -1)
        assert np.allclose(e @ e.T, np.eye(n_modes), atol=1e-9)


def test_what_is_no_mode_is_refused(monkeypatch):
    monkeypatch.setattr(vibrations, "DENSE", 0)
    monkeypatch.setattr(
        vibrations, "largest", lambda a, start, many, tolerance: (np.ones(many), np.eye(len(start))[:, :many])
    )
    with pytest.raises(ConvergenceError, match="the 5 lowest modes were not found"):
        lowest_modes(KAM_2D, minimum(KAM_2D), 5)


def test_the_same_seed_gives_the_same_modes(monkeypatch):
    monkeypatch.setattr(vibrations, "DENSE", 0)
    first, again, other = (lowest_modes(KAM_2D, minimum(KAM_2D), 5, seed=seed) for seed in (1, 1, 2))
    assert first.identical(again)
    assert not first.identical(other)
    assert np.allclose(first["polarization"], other["polarization"], atol=1e-6)  # signs, too


def test_waves_of_a_crystal():
    """The lowest modes of a triangular crystal of springs are transverse waves; they move 1/(1 + 1/2) of it."""
    cell = R0 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    trajectory = crystal(cell, [[0, 0]], (12, 12))
    modes = lowest_modes(replace(one_form(SPRINGS, "springs"), dimension=2), trajectory, 6)
    half = 2 * np.pi / 12
    # along a close-packed row, the six shortest: k R0 = 2 pi / 12 / sin(60 degrees), across the rows
    k = half / np.sqrt(0.75) * np.array([np.sqrt(0.75), 0.5])
    bonds = np.array([[1, 0], [0.5, np.sqrt(0.75)], [-0.5, np.sqrt(0.75)]])
    dynamical = 2 * STIFF * np.einsum("b,bi,bj->ij", 1 - np.cos(bonds @ k), bonds, bonds)
    assert np.allclose(modes["eigenvalue"], np.linalg.eigvalsh(dynamical)[0], rtol=1e-8)
    total = (modes["polarization"] ** 2).sum("space").sum("mode")  # of all waves together
    assert np.allclose(total, 6 / 144)
    assert np.allclose(phase_quotient(modes, trajectory, 1.2 * R0), 1.0, atol=0.2)


def test_measures_of_modes():
    n = 40
    wave = np.zeros((3, n, 2))
    wave[0, :, 1] = np.cos(2 * np.pi * np.arange(n) / n)
    wave[1, 7, 0] = 1.0
    modes = xr.Dataset({"polarization": (("mode", "particle", "space"), wave), "eigenvalue": ("mode", [2.0, 4.0, 1.0])})
    ratio = participation_ratio(modes)
    assert np.allclose(ratio[:2], [2 / 3, 1 / n])
    assert np.isnan(ratio[2])
    spread = vibrality(modes)
    assert np.allclose(spread, wave[0, :, 1] ** 2 / 2 + (np.arange(n) == 7) / 4)
    row = np.column_stack([np.arange(n) + 0.5, np.full(n, 5.0)])
    line = gd.from_arrays(row[None], species=["A"] * n, box=[n, 10.0])
    quotient = phase_quotient(modes, line, 1.1)
    product = wave[0, :, 1] * np.roll(wave[0, :, 1], 1)
    assert quotient.values[0] == pytest.approx(product.sum() / np.abs(product).sum())
    assert np.isnan(quotient.values[1:]).all()


@BOTH
def test_all_modes_give_the_inverse(model):
    trajectory = minimum(model)
    n, d = trajectory.sizes["particle"], model.dimension
    modes = lowest_modes(model, trajectory, n * d - d)
    inverse = np.linalg.pinv(hessian(model, trajectory).toarray(), rcond=1e-10)
    expected = np.diag(inverse).reshape(n, d).sum(axis=1)
    assert np.allclose(vibrality(modes), expected, rtol=1e-6)
    assert np.allclose(harmonic_debye_waller(modes, model, 0.02), 0.02 * expected, rtol=1e-6)


def test_debye_waller_factors_of_dynamics_and_of_modes():
    """Vibrations with random phases and the amplitudes of the canonical ensemble, long enough for all of them."""
    trajectory, temperature = minimum(KAM_2D), 1e-4
    modes = lowest_modes(KAM_2D, trajectory, 398)
    omega, e = modes["frequency"].values, modes["polarization"].values
    time = np.arange(4000) * 0.37
    phase = np.random.default_rng(5).uniform(0, 2 * np.pi, len(omega))
    amplitude = np.sqrt(2 * temperature) / omega
    moved = np.einsum("tm,mps->tps", amplitude * np.cos(time[:, None] * omega + phase), e)
    path = gd.from_arrays(
        trajectory["position"].values + moved, species=trajectory["species"].values,
        box=trajectory["box"].values[0], time=time, image=np.zeros(moved.shape, int),
    )  # fmt: skip
    harmonic = harmonic_debye_waller(modes, KAM_2D, temperature)
    found = debye_waller(path, 4000 * 0.37)
    assert np.allclose(found, harmonic, rtol=0.1)
    assert float(found.sum()) == pytest.approx(float(harmonic.sum()), rel=5e-3)
    # shorter windows see less of the slow modes
    assert float(debye_waller(path, 2.0).sum()) < 0.9 * float(harmonic.sum())
    chunked = debye_waller(path.chunk(frame=300, particle=50), 20.0)
    assert np.allclose(chunked, debye_waller(path, 20.0), rtol=1e-12)


@BOTH
def test_the_density_of_states_is_that_of_all_eigenvalues(model):
    """The same broadening of the exact spectrum."""
    trajectory = minimum(model)
    d, moments = model.dimension, 60
    value = np.linalg.eigvalsh(hessian(model, trajectory, mass_weighted=True).toarray())[d:]
    found = density_of_states(model, trajectory, moments=moments, vectors=40)
    low, high = Springs(interactions(model, trajectory, "test")).bounds
    assert low < value[0]
    assert high > value[-1]
    omega = found["omega"].values
    x, lines = ((2 * y - high - low) / (high - low) for y in (omega**2, value))
    order = np.arange(moments)
    exact = np.cos(order * np.arccos(lines)[:, None]).mean(axis=0) * jackson(moments) * np.where(order, 2, 1)
    inside = np.abs(x) < 1
    series = exact @ np.cos(order[:, None] * np.arccos(np.where(inside, x, 0)))
    expected = np.where(inside, 4 * omega / (high - low) * series / np.pi / np.sqrt(np.abs(1 - x**2)), 0)
    deviation = (found["vdos"].values - expected) / np.maximum(found["vdos_error"].values, 1e-4)
    assert np.sqrt((deviation**2).mean()) < 2.0
    assert float(found["vdos"].sum() * (omega[1] - omega[0])) == pytest.approx(1.0, abs=0.02)
    again = density_of_states(model, trajectory, moments=moments, vectors=40, omega=omega[50:60])
    assert np.allclose(again["vdos"], found["vdos"][50:60], rtol=1e-12)


def relaxed(model, trajectory):
    """The nearest minimum, by Newton's method."""
    d = trajectory.sizes["space"]
    n = trajectory.sizes["particle"]
    for _ in range(8):
        force = forces(model, trajectory)
        if np.abs(force).max() < 1e-10:
            return trajectory
        matrix = hessian(model, trajectory).toarray() + np.kron(np.ones((n, n)), np.eye(d))
        step = np.linalg.solve(matrix, force.ravel()).reshape(-1, d)
        trajectory = trajectory.assign(position=trajectory["position"] + step)
    raise AssertionError(np.abs(force).max())


@BOTH
def test_moduli_are_stress_over_strain(model):
    """The box is strained by hand and all particles relax: C by the second Piola-Kirchhoff stress."""
    trajectory, d = relaxed(model, minimum(model)), model.dimension
    moduli = elastic_moduli(model, trajectory)
    strains = [tuple("xyz".index(axis) for axis in name) for name in moduli["strain_a"].values]
    position, box = trajectory["position"].values, trajectory["box"].values
    volume, h = np.linalg.det(box[0]), 1e-6
    for column, (a, b) in enumerate(strains):
        ends, moved = [], []
        for sign in (1.0, -1.0):
            eta = np.zeros((d, d))
            eta[a, b] += sign * h / 2
            eta[b, a] += sign * h / 2
            deformed = np.eye(d) + eta  # symmetric; the square of eta is below the error
            strained = trajectory.assign(
                position=(trajectory["position"].dims, position @ deformed),
                box=(trajectory["box"].dims, box @ deformed),
            )
            found = relaxed(model, strained)
            moved.append(((found["position"].values - position @ deformed)[0]) @ np.linalg.inv(deformed))
            back = np.linalg.inv(deformed)
            ends.append(back @ stresses(model, found).sum(axis=0) @ back.T / volume)
        slope = (ends[0] - ends[1]) / (2 * h)
        expected = np.array([slope[pair] for pair in strains])
        assert np.allclose(moduli["elastic"].values[:, column], expected, rtol=1e-4, atol=1e-4 * np.abs(slope).max())
        drift = (moved[0] - moved[1]) / (2 * h)
        drift -= drift.mean(axis=0)
        field = moduli["nonaffine_displacement"].values[column]
        assert np.allclose(field, drift, atol=1e-3 * np.abs(drift).max())
    pressed = []
    for factor in (1 + 1e-5, 1 - 1e-5):
        strained = trajectory.assign(
            position=trajectory["position"] * factor, box=(trajectory["box"].dims, box * factor)
        )
        stress = stresses(model, relaxed(model, strained)).sum(axis=0)
        pressed.append(np.trace(stress) / d / (volume * factor**d))
    bulk = (pressed[0] - pressed[1]) / 2e-5 / d
    assert float(moduli["bulk_modulus"]) == pytest.approx(bulk, rel=1e-3)
    assert float(moduli["born"][0, 0]) > float(moduli["elastic"][0, 0])


def test_moduli_of_a_crystal_under_pressure():
    """Triangular, of particles that are pressed: B_xyxy by the formula of a lattice, and Cauchy's relation."""
    a = 0.95 * R0
    cell = a * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    trajectory = crystal(cell, [[0, 0]], (8, 8))
    model = replace(one_form(SPRINGS, "springs"), dimension=2)
    moduli = elastic_moduli(model, trajectory)
    pairs = interactions(model, trajectory, "test")
    slope, curvature, area = pairs.slope[0], pairs.curvature[0], a**2 * np.sqrt(0.75)
    stiff = (a**2 * curvature - a * slope) * 3 / 8 / area  # C_xyxy = C_xxyy = C_xxxx / 3
    assert np.allclose(moduli["elastic"], stiff * np.array([[3, 1, 0], [1, 3, 0], [0, 0, 1]]), rtol=1e-10, atol=1e-8)
    pressure = -1.5 * a * slope / area
    assert pressure > 0
    assert float(moduli["shear_modulus"]) == pytest.approx(stiff - pressure, rel=1e-10)
    assert float(moduli["bulk_modulus"]) == pytest.approx(2 * stiff, rel=1e-10)
    assert np.allclose(moduli["stress"], [-pressure, -pressure, 0], atol=1e-10)


def test_refusals():
    trajectory = minimum(KAM_2D)
    with pytest.raises(ParameterError, match="n_modes 399: expected 1 to 398"):
        lowest_modes(KAM_2D, trajectory, 399)
    with pytest.raises(ParameterError, match="moments 1 and vectors 4: expected whole numbers of at least 2"):
        density_of_states(KAM_2D, trajectory, moments=1)
    with pytest.raises(ParameterError, match="omega: expected increasing frequencies"):
        density_of_states(KAM_2D, trajectory, omega=[1.0, 1.0])
    with pytest.raises(ConvergenceError, match="give an inherent structure of a solid"):
        elastic_moduli(KAM_2D, disturbed(KAM_2D))
    with pytest.raises(BoxError, match="open axes has no volume"):
        elastic_moduli(KAM_2D, gd.from_arrays(
            trajectory["position"].values, species=trajectory["species"].values, box=trajectory["box"].values[0],
            periodic=(True, False), beyond="nothing",
        ))  # fmt: skip
    modes = lowest_modes(KAM_2D, disturbed(KAM_2D), 3)
    with pytest.raises(ParameterError, match=r"3 modes are unstable or cost nothing \(eigenvalue -"):
        vibrality(modes)
    with pytest.raises(SchemaError, match="modes have no polarization"):
        participation_ratio(xr.Dataset())
    with pytest.raises(SchemaError, match="modes of 144 particles, 200 in the configuration"):
        phase_quotient(modes, trajectory, 1.5)
    with pytest.raises(ParameterError, match=r"a window has 1 frames of 3: expected 2 to 3"):
        debye_waller(path := paths(3), 1.0)
    with pytest.raises(SchemaError, match="evenly spaced"):
        debye_waller(path.assign_coords(time=("frame", [0.0, 1.0, 3.0])), 2.0)


def paths(frames):
    return gd.from_arrays(np.ones((frames, 1, 2)), species=["A"], box=[4.0] * 2, time=np.arange(float(frames)))
