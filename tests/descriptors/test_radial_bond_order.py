"""Radial bond order and radial densities: crystals, peers, brute-force twins, limits and hard cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

import glassdask as gd
from glassdask.descriptors.radial_bond_order import RadialBondOrder, RadialDensity
from glassdask.errors import BoxError, ParameterError
from glassdask.kernels import expansion
from glassdask.kernels import radial_bond_order as kernels
from tests.conftest import DATA

GRID = (0.5, 0.7, 0.8, 1.0, 1.1, 1.15, 1.2, 1.3, 1.45)  # uneven, and one more than a vector has lanes


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


def all_pairs(trajectory, frame, reach):
    """Every (i, j, vector) closer than `reach`, with the images found by search."""
    position, box = trajectory["position"].values[frame], trajectory["box"].values[frame]
    shifts = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ box
    vectors = position[None, :, None] - position[:, None, None] + shifts
    r = np.linalg.norm(vectors, axis=-1)
    i, j, image = np.nonzero((r < reach) & (r > 0))
    return i, j, vectors[i, j, image]


def brute_force(trajectory, frame, grid, delta, l_max, r_max):
    n_particles = trajectory.sizes["particle"]
    i, _, vectors = all_pairs(trajectory, frame, r_max)
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    result = np.full((n_particles, l_max + 1, len(grid)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        for k, d in enumerate(grid):
            weight = np.exp(-((d - r) ** 2) / (2 * delta**2))
            z = np.bincount(i, weight, n_particles)
            for l in range(l_max + 1):
                power = np.zeros(n_particles)
                for m in range(-l, l + 1):
                    y = weight * sph_harm_y(l, m, theta, phi)
                    power += np.abs(np.bincount(i, y.real, n_particles) + 1j * np.bincount(i, y.imag, n_particles)) ** 2
                result[:, l, k] = np.sqrt(4 * np.pi / (2 * l + 1) * power) / z
    return result


def test_equals_partycls(peer):
    name, trajectory, _ = peer
    kept = np.load(DATA / f"{name}_radial_bond_order.npz")
    q = gd.describe(trajectory, [RadialBondOrder(grid=kept["r"], delta=float(kept["delta"]))])["rbo"]
    np.testing.assert_array_equal(q["r"], kept["r"])
    np.testing.assert_array_equal(q["l"], kept["l"])
    np.testing.assert_allclose(q.values[0, kept["rows"]], kept["partycls"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("l_min", [0, 3])
def test_brute_force_in_a_triclinic_box(liquid, l_min):
    descriptor = RadialBondOrder(grid=GRID, delta=0.13, l_max=5, l_min=l_min, r_max=1.6)
    q = values(liquid.isel(frame=[2]), descriptor)[0]
    np.testing.assert_allclose(q, brute_force(liquid, 2, GRID, 0.13, 5, 1.6)[:, l_min:], rtol=1e-11, atol=1e-13)


def test_default_reach(liquid):
    one = liquid.isel(frame=[0])
    given = RadialBondOrder(grid=(0.9, 1.0), delta=0.2, r_max=1.5)
    np.testing.assert_array_equal(values(one, RadialBondOrder(grid=(0.9, 1.0), delta=0.2)), values(one, given))


def test_narrow_shells_of_a_crystal_are_its_bond_order():
    """fcc: the shells at distance 1 and sqrt(2) hold 12 and 6 neighbours with known invariants."""
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    cells = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    position = (cells + basis).reshape(-1, 3) * np.sqrt(2)
    crystal = gd.from_arrays(position, species=["A"] * len(position), box=[4 * np.sqrt(2)] * 3)
    q = gd.describe(crystal, [RadialBondOrder(grid=(1.0, np.sqrt(2)), delta=0.01)])["rbo"][0]
    np.testing.assert_allclose(q.sel(l=4), np.tile([0.19094, 0.76376], (256, 1)), atol=1e-5)
    np.testing.assert_allclose(q.sel(l=6), np.tile([0.57452, 0.35355], (256, 1)), atol=1e-5)
    assert np.abs(q.sel(l=[1, 3, 5, 7])).max() < 1e-12


def test_wide_shells_are_plain_bond_order(liquid):
    wide = values(liquid, RadialBondOrder(grid=(0.6,), delta=1e6, r_max=1.2))
    sharp = values(liquid, gd.BondOrder(l_max=8, cutoffs=1.2))
    np.testing.assert_allclose(wide[..., 0], sharp, atol=1e-10)


def test_invariances(liquid):
    descriptors = [RadialBondOrder(grid=GRID, delta=0.1), RadialDensity(grid=GRID, delta=0.1)]
    rng = np.random.default_rng(4)
    turn = Rotation.random(random_state=5).as_matrix()
    position, box, species = liquid["position"].values, liquid["box"].values, liquid["species"].values
    order = rng.permutation(liquid.sizes["particle"])
    images = np.einsum("fpa,fas->fps", rng.integers(-2, 3, position.shape).astype(float), box)
    twins = {
        "turned": (gd.from_arrays(position @ turn, species=species, box=box @ turn), slice(None)),
        "moved": (gd.from_arrays(position + np.array([0.3, -7.7, 2.2]), species=species, box=box), slice(None)),
        "rewrapped": (gd.from_arrays(position + images, species=species, box=box), slice(None)),
        "permuted": (gd.from_arrays(position[:, order], species=species[order], box=box), order),
    }
    for descriptor in descriptors:
        reference = values(liquid, descriptor)
        for twin, rows in twins.values():
            np.testing.assert_allclose(values(twin, descriptor), reference[:, rows], rtol=1e-10, atol=1e-10)


def pair_at(distance, extra=((0.0, 0.8, 0.0), (0.3, 0.0, -0.9))):
    position = np.concatenate([[[0.0, 0, 0], [distance, 0, 0]], extra]) + 5
    return gd.from_arrays(position, species=["A"] * 4, box=[10.0] * 3)


def test_continuity():
    """A neighbour crosses R_max: the last shell feels the weight exp(-2.5^2 / 2) left there, a wider reach nothing."""

    def jump(descriptor, r):
        before, after = (values(pair_at(r + step), descriptor, centers="A")[0, 0] for step in (-5e-7, 5e-7))
        return np.abs(after - before).max(axis=0)

    short = jump(RadialBondOrder(grid=(0.9, 1.1, 1.3), delta=0.1), 1.55)
    assert short[2] > 1e-3  # nearly alone in its shell: paper A's truncation shows
    assert short[0] < 1e-8
    assert jump(RadialBondOrder(grid=(0.9, 1.1, 1.3), delta=0.1, r_max=2.2), 2.2).max() < 1e-7
    assert jump(RadialBondOrder(grid=(0.9, 1.1, 1.3), delta=0.1), 1.2).max() < 1e-4


def test_radial_density(liquid):
    one = liquid.isel(frame=[1])
    g = gd.describe(one, [RadialDensity(grid=GRID, delta=0.13, r_max=1.6)])["radial_density"]
    i, j, vectors = all_pairs(liquid, 1, 1.6)
    r = np.linalg.norm(vectors, axis=1)
    for name in ("A", "B"):
        of = liquid["species"].values[j] == name
        for d in GRID:
            expected = np.bincount(i[of], np.exp(-((r[of] - d) ** 2) / (2 * 0.13**2)), minlength=g.sizes["particle"])
            np.testing.assert_allclose(g[0].sel(neighbor_species=name, r=d), expected, rtol=1e-12, atol=1e-14)
    total = values(one, RadialDensity(grid=GRID, delta=0.13, r_max=1.6, by_species=False))
    np.testing.assert_allclose(total, g.sum("neighbor_species"), rtol=1e-13)


def test_two_dimensions():
    """Particles in a plane have the same surroundings whether the system is called two- or three-dimensional."""
    position = np.random.default_rng(8).random((150, 2)) * 10
    flat = gd.from_arrays(position, species=["A"] * 150, box=[10.0] * 2)
    deep = gd.from_arrays(np.c_[position, np.full(150, 3.0)], species=["A"] * 150, box=[10.0] * 3)
    for descriptor in (RadialBondOrder(grid=GRID), RadialDensity(grid=GRID)):
        np.testing.assert_allclose(values(flat, descriptor), values(deep, descriptor), rtol=1e-12)


def test_hard_cases():
    """Nobody near, a coincident pair, shells far from the only neighbour."""
    position = np.array([[0.5, 0.5, 0.5], [5.0, 5, 5], [5.0, 5, 5], [2.5, 8.5, 2.5], [2.5, 8.5, 3.5]])
    trajectory = gd.from_arrays(position, species=["A", "A", "A", "B", "B"], box=[12.0] * 3)
    q = values(trajectory, RadialBondOrder(grid=(0.0, 1.0, 2.0), delta=0.02, l_min=1))[0]
    assert np.isnan(q[:3]).all()
    np.testing.assert_allclose(q[3:, :, 1], 1.0, rtol=1e-12)
    assert np.isnan(q[3:, :, [0, 2]]).all()  # 50 delta away: no weight at all
    density = gd.describe(trajectory, [RadialDensity(grid=(0.0, 1.0), delta=0.02)])["radial_density"][0]
    np.testing.assert_array_equal(density.sel(neighbor_species="B")[:3], 0.0)
    np.testing.assert_array_equal(density.sel(neighbor_species="A")[1:3], np.tile([1.0, 0.0], (2, 1)))
    # 30 delta away the weight is 1e-196, but the only one
    np.testing.assert_allclose(values(trajectory, RadialBondOrder(grid=(0.4, 1.0), delta=0.02))[0, 3:], 1.0, rtol=1e-12)


def test_more_neighbours_than_asked_for(liquid):
    """A descriptor with a longer reach in the same pass changes nothing."""
    short = RadialBondOrder(grid=(0.6, 0.8), delta=0.05)
    both = gd.describe(
        liquid, {"short": short, "long": RadialDensity(grid=GRID), "density": RadialDensity(grid=(0.6,))}
    )
    np.testing.assert_allclose(both["short"].values, values(liquid, short), rtol=1e-12)
    np.testing.assert_allclose(both["density"].values, values(liquid, RadialDensity(grid=(0.6,))), rtol=1e-12)


def test_kernels_as_plain_python(monkeypatch):
    rng = np.random.default_rng(3)
    vector = 0.7 * rng.normal(size=(4, 21))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    kind = rng.integers(0, 2, 21).astype(np.int8)
    offsets = np.array([0, 9, 9, 21])
    grid = np.pad([0.7, 1.0, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.9], (0, 7), mode="edge")[None]
    table = expansion.row_recurrence(5)

    def run():
        q, g = np.empty((3, 4, 9)), np.empty((3, 2, 9))
        scratch = np.empty((4, 21 + 8)), np.empty((36, 8)), np.empty((8, 16)), np.empty((36, 16))
        with np.errstate(invalid="ignore", divide="ignore"):
            kernel, density = kernels.radial_bond_order, kernels.radial_density
            kernel(offsets, vector, kind, 2.0, grid, 5.0, 2, table, *scratch, q)
            density(offsets, vector, kind, 2.0, grid, 5.0, np.empty((2, 16)), g)
        return q, g

    compiled = run()
    for module in (expansion, kernels):
        for name, kernel in list(vars(module).items()):
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)
    for plain, fast in zip(run(), compiled):
        np.testing.assert_allclose(plain, fast, rtol=1e-12)
    assert np.isnan(compiled[0][1]).all()
    assert np.isfinite(compiled[0][[0, 2]]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"grid": ()}, "grid"),
        ({"grid": (1.0, 0.9)}, "increasing"),
        ({"grid": (1.0, 1.0)}, "increasing"),
        ({"grid": (-0.1, 1.0)}, "at least 0"),
        ({"grid": (0.9, np.nan)}, "grid"),
        ({"grid": ((0.9,), (1.0,))}, "grid"),
        ({"grid": (0.9,), "delta": 0.0}, "delta: expected .*, found 0.0"),
        ({"grid": (0.9,), "delta": -0.1}, "delta: expected .*, found -0.1"),
        ({"grid": (0.9,), "r_max": 0.0}, "r_max: expected .*, found 0.0"),
    ],
)
def test_bad_parameters(parameters, message):
    for descriptor in (RadialBondOrder, RadialDensity):
        with pytest.raises(ParameterError, match=message):
            descriptor(**parameters)


def test_bad_degrees_and_boxes(liquid):
    with pytest.raises(ParameterError, match="l_max = 33"):
        RadialBondOrder(grid=(1.0,), l_max=33)
    with pytest.raises(BoxError, match="in the unit of the positions"):
        gd.describe(liquid, [RadialBondOrder(grid=(1.0, 400.0))])
