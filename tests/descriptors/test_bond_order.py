"""Bond order: crystals, peers, a brute-force twin, invariances and limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SpeciesError
from glassdask.kernels import bond_order as kernels
from glassdask.kernels import harmonics
from glassdask.neighborhood.configuration import Configuration
from tests.conftest import DATA

SC = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
BASIS = {
    "sc": np.zeros((1, 3)),
    "bcc": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    "fcc": np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
}
# Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983), Fig. 2, and Mickel et al., J. Chem. Phys. 138, 044501
# (2013), Table I; bcc with its 14 neighbours
CONSTANTS = {"sc": (0.76376, 0.35355), "bcc": (0.03637, 0.51069), "fcc": (0.19094, 0.57452)}
SHELL = {"sc": 1.2, "bcc": 1.2, "fcc": 0.85}


def crystal(kind: str, n: int = 4) -> gd.schema.xr.Dataset:
    cells = np.stack(np.meshgrid(*[np.arange(float(n))] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    position = (cells + BASIS[kind]).reshape(-1, 3)
    return gd.from_arrays(position, species=["A"] * len(position), box=[float(n)] * 3)


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


def family(cutoffs):
    return [
        gd.BondOrder(l_max=10, l_min=0, cutoffs=cutoffs),
        gd.LechnerDellago(l_max=10, l_min=0, cutoffs=cutoffs),
        gd.SmoothedBondOrder(l_max=10, l_min=0, cutoffs=cutoffs),
    ]


def brute_force(trajectory, frame, weight, l_max):
    """Q_l from the definition, with all pairs, the nearest image by search and SciPy's spherical harmonics."""
    position = trajectory["position"].values[frame]
    box = trajectory["box"].values[frame]
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ box
    species = trajectory["species"].values
    result = np.full((len(position), l_max + 1), np.nan)
    for i in range(len(position)):
        vectors = (position[None] - position[i] + shifts[:, None]).reshape(-1, 3)
        owner = np.tile(np.arange(len(position)), len(shifts))
        r = np.linalg.norm(vectors, axis=1)
        near = (r < 3.0) & (owner != i)
        vectors, r, owner = vectors[near], r[near], owner[near]
        w = np.array([weight(species[i], species[j], d) for j, d in zip(owner, r)])
        vectors, r, w = vectors[w > 0], r[w > 0], w[w > 0]
        if len(r) == 0:
            continue
        theta, phi = np.arccos(np.clip(vectors[:, 2] / r, -1, 1)), np.arctan2(vectors[:, 1], vectors[:, 0])
        for l in range(l_max + 1):
            q = [np.sum(w * sph_harm_y(l, m, theta, phi)) / w.sum() for m in range(-l, l + 1)]
            result[i, l] = np.sqrt(4 * np.pi / (2 * l + 1) * np.sum(np.abs(q) ** 2))
    return result


@pytest.mark.parametrize("kind", ["sc", "bcc", "fcc"])
def test_perfect_crystals(kind):
    for descriptor in family(SHELL[kind])[:2]:  # the smoothed one also sees the tail of further shells
        q = values(crystal(kind), descriptor)[0]
        assert q[:, 0] == pytest.approx(1.0, abs=1e-12)
        assert np.abs(q[:, [1, 3, 5, 7, 9]]).max() < 1e-12
        assert q[:, 4] == pytest.approx(CONSTANTS[kind][0], abs=1e-5)
        assert q[:, 6] == pytest.approx(CONSTANTS[kind][1], abs=1e-5)


def test_icosahedron():
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    cluster = gd.from_arrays(
        np.concatenate([[[5.0, 5, 5]], corners + 5]), species=["B"] + ["A"] * 12, box=[10.0, 10, 10]
    )
    q = values(cluster, gd.BondOrder(l_max=10, cutoffs=1.05), centers="B")[0]
    assert q[0, 5] == pytest.approx(0.66332, abs=1e-5)
    assert q[0, 9] == pytest.approx(0.36295, abs=1e-5)
    assert np.abs(np.delete(q[0], [5, 9])).max() < 1e-12
    assert np.isnan(q[1:]).all()


def test_equals_other_programs(peer):
    name, trajectory, cutoffs = peer
    kept = np.load(DATA / f"{name}_bond_order.npz")
    rows = kept["rows"]
    descriptors = {
        "bo": gd.BondOrder(l_max=12, cutoffs=cutoffs),
        "ld": gd.LechnerDellago(cutoffs=cutoffs),
        "sbo": gd.SmoothedBondOrder(cutoffs=cutoffs),
        "wide": gd.SmoothedBondOrder(cutoffs=cutoffs, gamma=4, enlargement=1.5),
    }
    features = gd.describe(trajectory, descriptors).compute()
    for key in ("bo", "ld", "sbo"):
        np.testing.assert_allclose(features[key].values[0, rows], kept[f"{key}_partycls"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(features[key].values[0, rows], kept[f"{key}_freud"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(features["wide"].values[0, rows], kept["sbo_partycls_1p5_4"], rtol=0, atol=1e-10)


def test_brute_force_in_a_triclinic_box(liquid):
    cutoffs = {("A", "A"): 1.3, ("A", "B"): 1.1, ("B", "B"): 0.9}
    table = {**cutoffs, ("B", "A"): 1.1}

    def sharp(a, b, r):
        return float(r < table[a, b])

    def smooth(a, b, r):
        x = r / table[a, b]
        return np.exp(-(x**8)) * (x < 1.3)

    for frame in (0, 2):
        one = liquid.isel(frame=[frame])
        bo = values(one, gd.BondOrder(l_max=6, l_min=0, cutoffs=cutoffs))[0]
        np.testing.assert_allclose(bo, brute_force(liquid, frame, sharp, 6), atol=1e-12)
        sbo = values(one, gd.SmoothedBondOrder(l_max=6, l_min=0, cutoffs=cutoffs))[0]
        np.testing.assert_allclose(sbo, brute_force(liquid, frame, smooth, 6), atol=1e-12)


def test_lechner_dellago_is_the_average_of_coefficients(liquid):
    """Against an average written out with SciPy's harmonics."""
    one = liquid.isel(frame=[0])
    configuration = Configuration(
        one["position"].values[0], np.zeros(one.sizes["particle"], np.int8), one["box"].values[0], ("A",)
    )
    around = configuration.neighbors(np.arange(one.sizes["particle"]), np.array([[1.3]]))
    x, y, z, r = around.vector
    l = 6
    theta, phi = np.arccos(z / r), np.arctan2(y, x)
    q = np.zeros((one.sizes["particle"], 2 * l + 1), complex)
    for k, m in enumerate(range(-l, l + 1)):
        sums = np.add.reduceat(np.append(sph_harm_y(l, m, theta, phi), 0), around.offsets[:-1])
        q[:, k] = np.divide(sums, around.counts, out=np.full(len(q), np.nan + 0j), where=around.counts > 0)
    expected = np.empty(len(q))
    for i in range(len(q)):
        members = np.append(around.index[around.offsets[i] : around.offsets[i + 1]], i)
        expected[i] = np.sqrt(4 * np.pi / (2 * l + 1) * np.sum(np.abs(q[members].mean(axis=0)) ** 2))
    np.testing.assert_allclose(
        values(one, gd.LechnerDellago(l_max=6, l_min=6, cutoffs=1.3))[0, :, 0], expected, atol=1e-12
    )


def test_invariances(liquid):
    rng = np.random.default_rng(4)
    turn = Rotation.random(random_state=5).as_matrix()
    position, box = liquid["position"].values, liquid["box"].values
    order = rng.permutation(liquid.sizes["particle"])
    species = liquid["species"].values
    images = np.einsum("fpa,fas->fps", rng.integers(-2, 3, position.shape).astype(float), box)
    for descriptor in family(1.2):
        reference = values(liquid, descriptor)
        turned = gd.from_arrays(position @ turn, species=species, box=box @ turn)
        np.testing.assert_allclose(values(turned, descriptor), reference, atol=1e-10)
        moved = gd.from_arrays(position + np.array([0.3, -7.7, 2.2]), species=species, box=box)
        np.testing.assert_allclose(values(moved, descriptor), reference, atol=1e-10)
        permuted = gd.from_arrays(position[:, order], species=species[order], box=box)
        np.testing.assert_allclose(values(permuted, descriptor), reference[:, order], atol=1e-12)
        rewrapped = gd.from_arrays(position + images, species=species, box=box)
        np.testing.assert_allclose(values(rewrapped, descriptor), reference, atol=1e-10)


def test_smoothed_tends_to_sharp(peer):
    _, trajectory, cutoffs = peer
    sharp = values(trajectory, gd.BondOrder(cutoffs=cutoffs))
    distance = []
    for gamma in (8, 32, 128, 2000):
        distance.append(np.abs(values(trajectory, gd.SmoothedBondOrder(cutoffs=cutoffs, gamma=gamma)) - sharp).mean())
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 0.02 * distance[0]


def test_smoothed_is_continuous_where_sharp_jumps():
    """A neighbour crosses r_c by 1e-6: the sharp invariants jump, the smoothed ones do not."""
    ring = np.array([[0.9, 0, 0], [0, 0.9, 0], [0, 0, 0.9], [-0.8, 0.1, 0.2]])

    def environment(distance):
        position = np.concatenate([[[0.0, 0, 0]], ring, [[0.0, -distance, 0]]]) + 5
        return gd.from_arrays(position, species=["A"] * 6, box=[10.0] * 3)

    def jump(descriptor, r):
        return np.abs(values(environment(r + 5e-7), descriptor) - values(environment(r - 5e-7), descriptor))[0, 0].max()

    assert jump(gd.BondOrder(cutoffs=1.2), 1.2) > 0.05
    assert jump(gd.SmoothedBondOrder(cutoffs=1.2), 1.2) < 1e-5
    # at R the weight left is exp(-1.3^8) = 3e-4 of a neighbour: the jump that paper A accepts "for efficiency"
    assert jump(gd.SmoothedBondOrder(cutoffs=1.2), 1.3 * 1.2) < 5e-4


def test_other_species_only():
    rng = np.random.default_rng(11)
    position = rng.random((90, 3)) * 5
    species = np.where(np.arange(90) % 3 == 0, "Si", "O")
    silica = gd.from_arrays(position, species=species, box=[5.0] * 3)
    # pairs of like species need no cutoff
    other = gd.SmoothedBondOrder(cutoffs={("O", "Si"): 1.4}, gamma=18, neighbor_species="other")
    q = values(silica, other, centers="Si")[0]
    alone = position[species == "O"]
    for i in np.nonzero(species == "Si")[0][:5]:
        one = gd.from_arrays(
            np.concatenate([position[i : i + 1], alone]), species=["Si"] + ["O"] * len(alone), box=[5.0] * 3
        )
        expected = values(one, gd.SmoothedBondOrder(cutoffs=1.4, gamma=18), centers="Si")[0, 0]
        np.testing.assert_allclose(q[i], expected, atol=1e-12)
    named = gd.SmoothedBondOrder(cutoffs={("O", "Si"): 1.4}, gamma=18, neighbor_species=("O",))
    with pytest.raises(ParameterError, match="O-O"):
        values(silica, named)


def test_hard_cases():
    """A particle without neighbours, a coincident pair, particles on the box edge, a box of two cutoffs."""
    position = np.array([[0.0, 0, 0], [2.0, 2, 2], [2.0, 2, 2], [3.9999999999, 0, 0], [2.0, 0.5, 0.5]])
    trajectory = gd.from_arrays(position, species=["A"] * 5, box=[4.0] * 3)
    for descriptor in family(1.0):
        q = values(trajectory, descriptor)[0]
        assert np.isnan(q[4]).all()
        assert np.isnan(q[1:3, 1:]).all()
        # one neighbour: every invariant is one; the average over the pair keeps the even ones
        even = slice(0, None, 2) if descriptor.name == "ld" else slice(None)
        np.testing.assert_allclose(q[[0, 3], even], 1.0, atol=1e-9)
    assert np.isfinite(values(trajectory, gd.BondOrder(cutoffs=2.0))[0, [0, 3]]).all()
    with pytest.raises(BoxError, match="in the unit of the positions"):
        values(trajectory, gd.BondOrder(cutoffs=201.0))
    with pytest.raises(BoxError, match="frame 0"):
        values(trajectory, gd.SmoothedBondOrder(cutoffs=160.0))


def test_two_dimensions():
    """Sixfold order of a triangular lattice: for neighbours in a plane |C_66|^2 is the largest term of Q_6."""
    rows, columns = np.meshgrid(np.arange(8), np.arange(8))
    position = np.stack([rows + 0.5 * (columns % 2), columns * np.sqrt(0.75)], axis=-1).reshape(-1, 2)
    lattice = gd.from_arrays(position, species=["A"] * 64, box=[8.0, 8 * np.sqrt(0.75)])
    q = values(lattice, gd.BondOrder(cutoffs=1.2, l_max=6))[0]
    assert q[:, 5] == pytest.approx(0.74083, abs=1e-5)  # hexagonal ring, e.g. Steinhardt et al. 1983
    assert np.abs(q[:, [0, 2, 4]]).max() < 1e-12


def test_kernels_as_plain_python(monkeypatch):
    """The same numbers from the interpreted kernels."""
    rng = np.random.default_rng(3)
    vector = rng.normal(size=(4, 12))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    weight = rng.random(12)
    weight[[2, 7]] = 0.0
    offsets = np.array([0, 5, 5, 12])
    table = harmonics.recurrence(7)

    def run(kernel, columns):
        out = np.empty((3, columns))
        scratch = np.empty((6, 13)), np.empty(13), np.zeros((8, 8)), np.zeros((8, 8))
        with np.errstate(invalid="ignore", divide="ignore"):
            kernel(offsets, vector, weight, 1, table, *scratch, out)
        return out

    def average(kernel, q):
        out = np.empty((2, 7))
        row = np.array([0, -1, -1, 2, 1])  # of particles 0, 3 and 4; two centres, 0 and 4, and one more neighbour
        some = np.array([0.2, 0.5, 0.3]), np.array([0.4, 1.0])
        kernel(np.array([0, 2, 3]), np.array([3, 4, 3]), *some, row, q, 1, np.empty(q.shape[1]), out)
        return out

    n_coefficients = 70  # l = 1..7, m = 0..l, real and imaginary parts
    compiled = run(kernels.bond_order, 7)
    coefficients = run(kernels.coefficients, n_coefficients)
    averaged = average(kernels.averaged, coefficients)

    for name in ("gather",):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    for name in ("accumulate", "invariant"):
        monkeypatch.setattr(kernels, name, getattr(harmonics, name).py_func)
    np.testing.assert_allclose(run(kernels.bond_order.py_func, 7), compiled, atol=1e-13)
    np.testing.assert_allclose(run(kernels.coefficients.py_func, n_coefficients), coefficients, atol=1e-13)
    assert np.isnan(compiled[1]).all()
    # the second row has no neighbours with a weight: NaN, and so is whatever it is averaged into
    assert np.isnan(coefficients[1]).all()
    assert np.isnan(averaged).all()
    coefficients[1] = coefficients[0]
    averaged = average(kernels.averaged, coefficients)
    np.testing.assert_allclose(average(kernels.averaged.py_func, coefficients), averaged, atol=1e-13)
    assert np.isfinite(averaged).all()


def test_average_in_pieces(monkeypatch):
    """Fewer coefficients held at once, with those of the neighbours outside of each piece: the same averages."""
    rng = np.random.default_rng(6)
    liquid = gd.from_arrays(rng.random((300, 3)) * 6, species=list("AAB") * 100, box=[6.0] * 3)
    descriptor = gd.LechnerDellago(cutoffs={"A-A": 1.4, "A-B": 1.3, "B-B": 1.2})
    whole = values(liquid, descriptor)
    monkeypatch.setattr("glassdask.descriptors.coefficients.PIECE", 70)
    np.testing.assert_allclose(values(liquid, descriptor), whole, rtol=1e-12)
    some = values(liquid, descriptor, centers="B")
    np.testing.assert_allclose(some[:, 2::3], whole[:, 2::3], rtol=1e-12)


def test_high_degrees_are_stable():
    """One neighbour makes every invariant exactly one, to degree 32."""
    pair = gd.from_arrays(np.array([[1.0, 1, 1], [1.3, 1.5, 0.4]]), species=["A", "A"], box=[4.0] * 3)
    np.testing.assert_allclose(values(pair, gd.BondOrder(l_max=32, l_min=0, cutoffs=1.0)), 1.0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gd.BondOrder(l_max=-1, cutoffs=1.0), "l_max = -1"),
        (lambda: gd.BondOrder(l_max=40, cutoffs=1.0), "l_max = 40"),
        (lambda: gd.BondOrder(), "either cutoffs or neighbors, found neither"),
        (lambda: gd.SmoothedBondOrder(cutoffs=1.0, gamma=0), "gamma: expected a positive exponent .*, found 0"),
        (lambda: gd.SmoothedBondOrder(cutoffs=1.0, enlargement=0.9), "enlargement: expected .*, found 0.9"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_bad_species_and_cutoffs(liquid):
    with pytest.raises(SpeciesError, match="known species are A, B"):
        gd.describe(liquid, [gd.BondOrder(cutoffs={("A", "C"): 1.0})])
    with pytest.raises(ParameterError, match="lacks B-B"):
        gd.describe(liquid, [gd.BondOrder(cutoffs={("A", "A"): 1.0, ("A", "B"): 1.0})])
    with pytest.raises(ParameterError, match="positive finite"):
        gd.describe(liquid, [gd.BondOrder(cutoffs=-1.0)])
    with pytest.raises(SpeciesError, match="centers 'C'"):
        gd.describe(liquid, [gd.BondOrder(cutoffs=1.0)], centers="C")
