"""Energies and forces of every model: LAMMPS against plain NumPy that knows only the papers' formulas."""

from __future__ import annotations

import numpy as np
import pytest

from glassdask.errors import FormatError, ParameterError, SpeciesError
from glassdask.kernels import pairs as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation import models
from glassdask.simulation.acts import Scatter, State
from glassdask.simulation.chains import Chains
from glassdask.simulation.eam import EmbeddedAtom, copper_zirconium
from glassdask.simulation.forms import InversePower, LennardJones
from glassdask.simulation.instance import Frame
from glassdask.simulation.potentials import PairPotential

from .helpers import NoRecorder, instance

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


@pytest.fixture(params=list(models.MODELS))
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


@pytest.mark.parametrize("name", sorted(set(models.MODELS) - {"polymer"}))  # whose first two monomers are bonded
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


@pytest.mark.parametrize("name", list(models.MODELS))
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
    for model in models.MODELS.values():
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


def test_papers_numbers():
    """What the papers print (A, App. A; B; C, Table I)."""
    wahn, ka = models.WAHNSTROM, models.KOB_ANDERSEN
    assert [p.sigma for p in wahn.pairs] == [1.0, 11 / 12, 5 / 6]
    assert wahn.masses[0] == 2 * wahn.masses[1]
    assert [p.epsilon for p in ka.pairs] == [1.0, 1.5, 0.5]
    assert models.KAM_2D.counts(2000) == (1300, 700)
    assert models.ABM_2D.counts(2000) == (1000, 1000)
    assert [p.cutoff / p.sigma for p in models.ABM_2D.pairs] == [3.0, 3.0, 3.0]
    assert {p.begin for p in models.KOB_ANDERSEN_SMOOTH.pairs} == {2.2}
    assert {p.cutoff for p in models.KOB_ANDERSEN_SMOOTH.pairs} == {2.5}
    assert models.POLYMER.chains.length == 20
    assert models.POLYMER.pairs[0].cutoff == 2.25


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


def test_embedded_atom_energies(tmp_path):
    """Energies of an embedded-atom alloy against LAMMPS, also beyond the tabulated electron densities."""
    file = write_setfl(tmp_path / "toy.eam.alloy")
    model = EmbeddedAtom(
        file=str(file), name="toy", species=("Zr", "Cu"), fractions=(0.4, 0.6), masses=(91.0, 63.5), density=0.06
    )
    with instance(model, tmp_path) as lmp:
        Scatter(n_particles=300, density=model.density, seed=2).perform(lmp, State(NoRecorder()), 1000)
        frame = lmp.frame()
    configuration = Configuration(frame.position, frame.species.astype(np.int8), frame.box, model.species)
    np.testing.assert_allclose(model.energies(configuration), frame.energy, rtol=1e-10, atol=1e-11)


def write_setfl(path):
    """A made-up alloy with smooth functions, coarse tables and a short range of electron densities."""
    n, cutoff, most = 60, 5.0, 10.0
    r = np.linspace(0.0, cutoff, n)
    density = np.linspace(0.0, most, n)
    fade = (1 - r / cutoff) ** 3
    lines = ["made for a test", "", "", "2 Cu Zr", f"{n} {density[1]:.17g} {n} {r[1]:.17g} {cutoff}"]
    for k, number in enumerate((29, 40)):
        lines.append(f"{number} {63.5 + 27.5 * k} 3.6 fcc")
        lines += [f"{x:.17g}" for x in -(1.0 + 0.3 * k) * np.sqrt(density)]
        lines += [f"{x:.17g}" for x in (2.0 + k) * fade]
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
    with pytest.raises(ParameterError, match="must differ in sign"):
        LennardJones(epsilon=1.0, sigma=1.0, begin=1.15, scheme="cubic")
    with pytest.raises(ParameterError, match="chains of 20"):
        Chains().bonds(50)
