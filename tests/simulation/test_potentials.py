"""Pair potentials: against formulas written down here, as splines, in LAMMPS, as energies of particles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

import glassdask as gd
from glassdask.declarations import Positive, converted, family, plain
from glassdask.errors import ParameterError
from glassdask.kernels import pairs as kernels
from glassdask.simulation.forms import (
    WCA,
    Dzugutov,
    Harmonic,
    Hertzian,
    InversePower,
    LennardJones,
    Yukawa,
    mixed_pairs,
)
from glassdask.simulation.instance import Frame
from glassdask.simulation.models import PairModel
from glassdask.simulation.operations import Scatter, State
from glassdask.simulation.potentials import CutPotential, PairPotential, spline
from tests.neighborhood.brute_neighbors import pairs

from .helpers import NoRecorder, instance


def lennard_jones(r, e=1.3, s=0.9):
    return 4 * e * ((s / r) ** 12 - (s / r) ** 6), 4 * e * (-12 * s**12 / r**13 + 6 * s**6 / r**7)


def wca(r, e=1.3, s=0.9):
    u, slope = lennard_jones(r)
    return np.where(r < 2 ** (1 / 6) * s, u + e, 0), np.where(r < 2 ** (1 / 6) * s, slope, 0)


def dzugutov(r, e=1.3, s=0.9):
    x = r / s
    near, far = x < 1.87, x < 1.94
    first = np.exp(1.1 / np.where(near, x - 1.87, -1)) * near
    second = 1.28 * np.exp(0.27 / np.where(far, x - 1.94, -1)) * far
    u = 5.82 * (x**-16.0 - 1.28) * first + second
    slope = 5.82 * first * (-16 * x**-17.0 - (x**-16.0 - 1.28) * 1.1 / np.where(near, x - 1.87, 1) ** 2)
    return e * u, e / s * (slope - second * 0.27 / np.where(far, x - 1.94, 1) ** 2)


UNCUT = {
    LennardJones(epsilon=1.3, sigma=0.9, cutoff=2.5): lennard_jones,
    InversePower(epsilon=1.3, sigma=0.9, cutoff=2.0): lambda r: (1.3 * (0.9 / r) ** 12, -12 * 1.3 * 0.9**12 / r**13),
    InversePower(epsilon=1.3, sigma=0.9, n=36, cutoff=1.4): lambda r: (1.3 * (0.9 / r) ** 36, -46.8 * 0.9**36 / r**37),
    InversePower(epsilon=1.3, sigma=0.9, n=3.5, cutoff=2.0): lambda r: (
        1.3 * (0.9 / r) ** 3.5,
        -4.55 / 0.9 * (0.9 / r) ** 4.5,
    ),
    Yukawa(epsilon=1.3, sigma=0.9, kappa=3.0, cutoff=3.0): lambda r: (
        1.17 / r * np.exp(3 - r / 0.3),
        -1.17 / r * np.exp(3 - r / 0.3) * (1 / r + 1 / 0.3),
    ),
}  # fmt: skip
WITH_AN_END = {
    WCA(epsilon=1.3, sigma=0.9): wca,
    Harmonic(epsilon=1.3, sigma=0.9): lambda r: (
        0.65 * (1 - r / 0.9).clip(0) ** 2,
        -1.3 / 0.9 * (1 - r / 0.9).clip(0),
    ),
    Hertzian(epsilon=1.3, sigma=0.9): lambda r: (
        0.52 * (1 - r / 0.9).clip(0) ** 2.5,
        -1.3 / 0.9 * (1 - r / 0.9).clip(0) ** 1.5,
    ),
    Dzugutov(epsilon=1.3, sigma=0.9): dzugutov,
}
SCHEMES = ("shift", "linear", "quadratic", "even", "smooth", "cubic")


def cut(form, scheme):
    if scheme not in ("smooth", "cubic"):
        return replace(form, scheme=scheme)
    begin = 0.85 * form.cutoff if scheme == "smooth" else 1.4 * form.sigma
    return replace(form, scheme=scheme, begin=begin, cutoff=form.cutoff if scheme == "smooth" else None)


EVERY = [cut(form, scheme) for form in UNCUT for scheme in SCHEMES] + list(WITH_AN_END)
IDS = [f"{type(p).__name__}{getattr(p, 'n', '')}-{getattr(p, 'scheme', '')}" for p in EVERY]
ALL = pytest.mark.parametrize("potential", EVERY, ids=IDS)


def distances(p):
    """From well inside the core to beyond the cutoff, and close to where one part ends."""
    edges = [edge * (1 + side * np.geomspace(1e-12, 0.3, 40)) for edge in (p.inner, p.end) for side in (-1, 1)]
    return np.sort(np.concatenate([np.linspace(0.5 * p.sigma, 1.05 * p.end, 400), *edges]))


@pytest.mark.parametrize("form", [*UNCUT, *WITH_AN_END], ids=lambda p: type(p).__name__)
def test_formulas(form):
    formula = (UNCUT | WITH_AN_END)[form]
    r = np.linspace(0.4, 1.2 * form.end, 500)
    u, slope = formula(r)
    if form in UNCUT:  # shifted to zero at the cutoff
        u = np.where(r < form.cutoff, u - formula(np.float64(form.cutoff))[0], 0)
        slope = np.where(r < form.cutoff, slope, 0)
    np.testing.assert_allclose(form.energy(r), u, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(form.force(r), -slope, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("form", list(UNCUT), ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes(form, scheme):
    """What each scheme adds, and what it makes of energy, force and the slope of the force at the cutoff."""
    p = cut(form, scheme)
    below, h = p.end * (1 - 1e-9), 1e-4
    inside = np.array([0.7, 0.8, 0.9]) * p.inner
    added = p.energy(inside) - form.uncut(inside)
    curvature = float((p.force(below - h) - p.force(below)) / h)
    scale = abs(float(form.derivatives(np.asarray(p.inner))[2]))
    assert abs(p.energy(below)) < 1e-8 * scale
    if scheme in ("shift", "smooth", "cubic"):
        assert np.ptp(added) < 1e-12 * abs(form.uncut(inside)).max()
    if scheme != "shift":
        assert abs(p.force(below)) < 1e-7 * scale
    if scheme in ("even", "smooth", "cubic"):
        assert abs(curvature) < 2e-2 * scale
    if scheme == "linear":
        assert added[0] - 2 * added[1] + added[2] == pytest.approx(0, abs=1e-12 * abs(form.uncut(inside)).max())
    if scheme in ("quadratic", "even"):
        powers = inside[:, None] ** np.array([0, 2] if scheme == "quadratic" else [0, 2, 4])
        c, *_ = np.linalg.lstsq(powers, added, rcond=None)
        np.testing.assert_allclose(powers @ c, added, atol=1e-12 * abs(form.uncut(inside)).max())


@ALL
def test_force_is_minus_the_slope(potential):
    r = distances(potential)
    h = 1e-5
    apart = np.min([abs(r - edge) for edge in (potential.inner, potential.end)], axis=0) > 3 * h
    r = r[apart]
    slope = (potential.energy(r + h) - potential.energy(r - h)) / (2 * h)
    curvature = np.abs(potential.force(r + h) - potential.force(r - h)) / (2 * h)
    assert (np.abs(slope + potential.force(r)) < 1e-6 * (1 + curvature)).all()


@pytest.mark.parametrize("form", [*UNCUT, *WITH_AN_END], ids=lambda p: type(p).__name__)
def test_slopes_and_curvatures(form):
    """Those that a form knows, and those that are found from it."""
    r = np.linspace(0.6, 0.95, 50) * form.end
    for known, found in zip(form.derivatives(r), PairPotential.derivatives(form, r)):
        np.testing.assert_allclose(known, found, rtol=1e-9, atol=1e-9)


@ALL
def test_closed_form(potential):
    """What is c_12 r^-12 + c_6 r^-6 and even in no fourth power needs no spline: the same energies."""
    closed = isinstance(potential, (LennardJones, WCA)) or getattr(potential, "n", 0) == 12
    assert (potential.row is not None) == (closed and getattr(potential, "scheme", "") != "even")
    if potential.row is None:
        return
    r = distances(potential)
    out, species = np.empty(len(r)), np.zeros(2 * len(r), np.int32)
    alone, others = np.arange(len(r)), np.arange(len(r), 2 * len(r), dtype=np.int32)
    offsets = np.arange(len(r) + 1)
    kernels.pair_energies(alone, offsets, others, r, species, potential.row[None, None], out)
    np.testing.assert_allclose(2 * out, potential.energy(r), rtol=1e-12, atol=1e-12)


@ALL
def test_nothing_jumps(potential):
    """The energy never, the force only where the potential is no more than shifted."""
    for edge in {potential.inner, potential.end}:
        below, above = np.nextafter(edge, 0.0), np.nextafter(edge, 9.0)
        assert abs(potential.energy(below) - potential.energy(above)) < 1e-12
        if getattr(potential, "scheme", "") != "shift":
            assert abs(potential.force(below) - potential.force(above)) < 1e-9
    assert potential.energy(potential.end) == potential.force(potential.end) == 0.0


@ALL
@pytest.mark.parametrize("compiled", [True, False])
def test_splines(potential, compiled, monkeypatch):
    """The bound that is promised: 1e-10 of the energy, or of 1 where it is smaller."""
    if not compiled:
        monkeypatch.setattr(kernels, "splined", kernels.splined.py_func)
    run = kernels.splined_energy if compiled else kernels.splined_energy.py_func
    r = distances(potential)[:: 1 if compiled else 7]
    found = np.array([run(spline(potential), x * x) for x in r])
    exact = potential.energy(r)
    assert (np.abs(found - exact) <= 1e-10 * np.maximum(np.abs(exact), 1.0)).all()


@pytest.mark.parametrize("potential", [Harmonic(epsilon=2.0, sigma=1.4), Hertzian(epsilon=2.0, sigma=1.4)])
def test_splines_of_particles_on_top_of_each_other(potential):
    r = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 200)])
    found = [kernels.splined_energy(spline(potential), x * x) for x in r]
    np.testing.assert_allclose(found, potential.energy(r), rtol=2e-6)
    np.testing.assert_allclose(found[150:], potential.energy(r)[150:], rtol=1e-12)


def test_published_numbers():
    """Dzugutov's minimum and maximum, the coefficients of swap Monte Carlo, heights at contact."""
    r = np.linspace(0.95, 1.9, 20_000)
    u = Dzugutov(epsilon=1.0, sigma=1.0).energy(r)
    assert r[u.argmin()] == pytest.approx(1.13, abs=0.005)
    assert u.min() == pytest.approx(-0.581, abs=5e-4)
    top = u[r > 1.3]
    assert r[r > 1.3][top.argmax()] == pytest.approx(1.63, abs=0.01)
    assert top.max() == pytest.approx(0.46, abs=0.005)
    assert Dzugutov(epsilon=1.0, sigma=0.5).end == 0.97
    # Ninarello, Berthier and Coslovich (2017): c_0 = -28 / x_c^12, c_2 = 48 / x_c^14, c_4 = -21 / x_c^16, x_c = 1.25
    swap = InversePower(epsilon=1.0, sigma=1.0, cutoff=1.25, scheme="even")
    expected = [-28 / 1.25**12, 0.0, 48 / 1.25**14, 0.0, -21 / 1.25**16]
    np.testing.assert_allclose(swap.added, expected, rtol=1e-12)
    assert WCA(epsilon=1.5, sigma=0.8).energy(0.8) == pytest.approx(1.5)
    assert Yukawa(epsilon=1.5, sigma=0.8, kappa=9.0, cutoff=90.0).energy(0.8) == pytest.approx(1.5)
    assert Harmonic(epsilon=1.5, sigma=0.8).energy(0.0) == 0.75
    assert Hertzian(epsilon=1.5, sigma=0.8).energy(0.0) == pytest.approx(0.6)


def test_diameters_of_a_mixture():
    swap = mixed_pairs([0.7, 1.0, 1.6], lambda s: InversePower(epsilon=1, sigma=s, cutoff=1.25 * s), 0.2)
    expected = [0.7, 0.85 * 0.94, 1.15 * 0.82, 1.0, 1.3 * 0.88, 1.6]
    np.testing.assert_allclose([p.sigma for p in swap], expected, rtol=1e-14)
    additive = mixed_pairs([0.8, 1.2], lambda s: WCA(epsilon=1.0, sigma=s))
    assert [p.sigma for p in additive] == [0.8, 1.0, 1.2]


@dataclass(frozen=True, kw_only=True)
class Gaussian(CutPotential):
    """A form of somebody else: one function."""

    height: Positive

    def uncut(self, r):
        return self.height * np.exp(-(r**2))


def test_a_form_is_one_function():
    p = Gaussian(height=2.0, cutoff=3.0, scheme="even")
    r = np.linspace(0.0, 3.1, 300)
    found = [kernels.splined_energy(spline(p), x * x) for x in r]
    np.testing.assert_allclose(found, p.energy(r), rtol=1e-10, atol=1e-12)
    u = 2 * np.exp(-9.0)
    # slope -2 r u and curvature (4 r^2 - 2) u, analytically
    _, slope, curvature = p.derivatives(np.asarray(3.0))
    assert slope == pytest.approx(-6 * u, rel=1e-14)
    assert curvature == pytest.approx(34 * u, rel=1e-10)


@ALL
def test_potentials_are_read_again(potential):
    assert converted(plain(potential), PairPotential, "pairs.A-A") == potential


def test_family():
    ours = {tag for tag, cls in family(PairPotential).items() if cls.__module__ == "glassdask.simulation.forms"}
    assert ours == {"lennard_jones", "inverse_power", "wca", "yukawa", "harmonic", "hertzian", "dzugutov"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"type": "lj", "epsilon": 1.0}, r"u\.type: expected one of .*lennard_jones"),
        ({"type": "lennard_jones", "epsilon": 1.0, "sigma": 1.0}, "u: cutoff: is missing: scheme 'shift' needs it"),
        ({"type": "lennard_jones", "epsilon": 1, "sigma": -1.0, "cutoff": 2}, r"u\.sigma: expected a positive finite"),
        ({"type": "wca", "epsilon": 1, "sigma": 1.0, "cutoff": 2}, r"u\.cutoff: unknown"),
        ({"type": "yukawa", "epsilon": 1, "sigma": 1, "cutoff": 2}, r"u\.kappa: is missing"),
        ({"type": "inverse_power", "epsilon": 1, "sigma": 1, "cutoff": 2, "begin": 1.5}, "u: scheme 'shift' and begin"),
        ({"type": "inverse_power", "epsilon": 1, "sigma": 1, "scheme": "cubic"}, "u: scheme 'cubic' and begin None"),
        (
            {"type": "inverse_power", "epsilon": 1, "sigma": 1, "scheme": "cubic", "begin": 1.5, "cutoff": 2.0},
            "u: cutoff 2.0: 'cubic' from 1.5 ends at 1.730769231: leave it out",
        ),
        ({"type": "harmonic", "epsilon": "soft", "sigma": 1}, r"u\.epsilon: expected float, found 'soft'"),
    ],
)
def test_errors(given, message):
    with pytest.raises(ParameterError, match=f"^{message}"):
        converted(given, PairPotential, "u")


def mixture(*potentials, dimension=3, **settings):
    """Three species, the potentials in the order of their pairs."""
    species = ("A", "B", "C")[: {1: 1, 3: 2, 6: 3}[len(potentials)]]
    n = len(species)
    values = {"density": 0.9, "timestep": 0.002, "fractions": (1 / n,) * n, "masses": (1.0, 2.0, 0.5)[:n], **settings}
    return PairModel(name="mine", species=species, pairs=potentials, dimension=dimension, **values)


SIX = (
    Dzugutov(epsilon=1.0, sigma=1.0),
    LennardJones(epsilon=1.5, sigma=0.8, cutoff=2.4, begin=2.0, scheme="smooth"),
    InversePower(epsilon=1.0, sigma=1.1, n=10, cutoff=2.2, scheme="even"),
    Hertzian(epsilon=90.0, sigma=1.3),
    Yukawa(epsilon=1.0, sigma=1.0, kappa=2.0, cutoff=2.5, scheme="linear"),
    WCA(epsilon=0.5, sigma=0.9),
)


@pytest.mark.parametrize("dimension", [2, 3])
def test_energies_of_particles(dimension):
    """Six forms, one for each pair, not additive: a sum over all images, and the same in blocks."""
    model = mixture(*SIX, dimension=dimension)
    rng = np.random.default_rng(5)
    box = np.array([[7.0, 0, 0], [2.0, 6.5, 0], [-1.0, 0.5, 6.2]])[:dimension, :dimension]
    site = np.stack(np.meshgrid(*[np.arange(6)] * dimension), -1).reshape(-1, dimension) / 6
    position = (site + rng.normal(0, 0.02, site.shape)) @ box
    species = np.array(["C", "A", "B"])[rng.integers(0, 3, len(site))]
    trajectory = gd.from_arrays(position, species=species, box=box)
    found = gd.describe(trajectory, [gd.LocalEnergy(model=model)])["local_energy"].values[0]
    expected = np.zeros(len(site))
    for i, j, vector in pairs(trajectory["position"].values[0], box, 2.5):
        expected[i] += 0.5 * model.pair(species[i], species[j]).energy(np.linalg.norm(vector))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    blocks = gd.describe(trajectory, [gd.LocalEnergy(model=model)], block=7)["local_energy"].values[0]
    np.testing.assert_allclose(blocks, found, rtol=1e-12)


STYLES = {
    "lj/cut": (WCA(epsilon=1, sigma=1), LennardJones(epsilon=1.5, sigma=0.8, cutoff=2.0), WCA(epsilon=1, sigma=0.9)),
    "yukawa": [Yukawa(epsilon=e, sigma=s, kappa=3 * s, cutoff=3.0) for e, s in ((1, 0.9), (2, 1), (3, 1.1))],
    "table": SIX,
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_lammps(style, tmp_path):
    """A dense disordered mixture: energies and forces of every particle."""
    model = mixture(*STYLES[style])
    assert [line for line in model.commands(tmp_path) if line.startswith(f"pair_style {style} ")]
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=300, density=model.density, seed=1).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    energy, force = np.zeros(300), np.zeros((300, 3))
    with instance(model, tmp_path) as lmp:
        lmp.load(Frame(frame.position, frame.species, frame.box, frame.image))
        lmp.integrate("nve", (1.0, 1.0), None)
        lmp.run(0, 0, 0)
        n, order = lmp._order()
        found = lmp.lmp.numpy.extract_atom("f")[:n][order].copy()
        per_particle = lmp.frame().energy
    side = frame.box[0, 0]
    vector = frame.position[:, None] - frame.position[None]
    vector -= side * np.round(vector / side)
    r = np.linalg.norm(vector, axis=-1)
    np.fill_diagonal(r, np.inf)
    for a, b in itertools.product(range(len(model.species)), repeat=2):
        p = model.pair(model.species[a], model.species[b])
        mask = (frame.species[:, None] == a) & (frame.species[None] == b) & (r < p.end)
        energy += 0.5 * np.where(mask, p.energy(np.where(mask, r, p.end)), 0).sum(axis=1)
        slope = np.where(mask, p.force(np.where(mask, r, p.end)), 0)
        force += np.einsum("ij,ijs->is", slope / r, vector)
    np.testing.assert_allclose(per_particle, energy, rtol=1e-9, atol=1e-9)
    # a table is least exact where the Hertzian force ends, as the power 3/2 of the distance
    strength = max(p.epsilon for p in model.pairs)
    np.testing.assert_allclose(found, force, rtol=1e-8, atol=1e-8 * strength)


@pytest.mark.parametrize(
    ("form", "density", "temperature"),
    [
        (InversePower(epsilon=1.0, sigma=1.0, cutoff=1.25, scheme="even"), 1.0, 1.0),
        (Dzugutov(epsilon=1.0, sigma=1.0), 0.85, 1.0),
        (Hertzian(epsilon=100.0, sigma=1.2), 0.9, 1.0),
        (Yukawa(epsilon=3.0, sigma=1.0, kappa=4.0, cutoff=2.5, scheme="quadratic"), 0.8, 1.0),
    ],
    ids=lambda p: type(p).__name__,
)
def test_energy_is_conserved(form, density, temperature, tmp_path):
    """NVE in LAMMPS: the total energy fluctuates with the square of the timestep and does not drift."""
    spread = []
    model = mixture(form, density=density)
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=200, density=density, seed=2).perform(lmp, State(NoRecorder()), 1000)
        lmp.draw_velocities(2 * temperature, np.random.default_rng(3))  # half of it goes into the potential energy
        lmp.integrate("nve", (1.0, 1.0), None)
        for steps, timestep in ((1000, 0.002), (200, 0.004), (400, 0.002)):
            lmp.command("reset_timestep 0", f"timestep {timestep}")
            lmp._ran = False
            energies = []
            for k in range(0, steps, 4):
                lmp.run(4, k, k + 4)
                row = lmp.thermo()
                energies.append(row["potential_energy"] + row["kinetic_energy"])
            spread.append(np.std(energies))
            assert abs(np.mean(energies[-20:]) - np.mean(energies[:20])) < 2e-3
        assert row["kinetic_energy"] > 0.5
    assert 2.0 < spread[1] / spread[2] < 8.0
