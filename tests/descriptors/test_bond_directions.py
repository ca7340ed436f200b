"""Bond angles, dihedral angles, nematic and cubatic order: constants of crystals, brute force, and freud."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.kernels import bond_directions as kernels
from tests.descriptors import crystals
from tests.neighborhood.brute_neighbors import sets

MATRIX = np.array([[1.45, 1.3], [1.3, 1.1]])
CUTOFFS = {"A-A": 1.45, "A-B": 1.3, "B-B": 1.1}


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


class Near(dict):
    """The vectors to the neighbours of a particle, by comparing it with all others: their nearest images."""

    def __init__(self, trajectory):
        super().__init__()
        self.position, self.box = trajectory["position"].values[0], trajectory["box"].values[0]
        self.species = (trajectory["species"].values == "B").astype(int)

    def __missing__(self, i):
        apart = self.position - self.position[i]
        apart -= np.rint(apart @ np.linalg.inv(self.box)) @ self.box
        r = np.linalg.norm(apart, axis=1)
        inside = np.flatnonzero((r < MATRIX[self.species[i], self.species]) & (np.arange(len(r)) != i))
        self[i] = {int(j): apart[j] for j in inside}
        return self[i]


def near(trajectory, every=40):
    """Some centres of a mixture, and the neighbours of those that one asks for."""
    return range(0, trajectory.sizes["particle"], every), Near(trajectory)


def moved(trajectory, matrix):
    """The particles and the cell turned, or mirrored, where the cell, with edges along the axes, stays what it is."""
    box = trajectory["box"].values
    box = box @ matrix.T if np.linalg.det(matrix) > 0 else box
    return gd.from_arrays(
        trajectory["position"].values @ matrix.T, species=trajectory["species"].values,
        box=box,
    )  # fmt: skip


ANGLES = {  # of the nearest neighbours of a particle: degrees and how many pairs have them
    "sc": {90.0: 12, 180.0: 3},
    "fcc": {60.0: 24, 90.0: 12, 120.0: 24, 180.0: 6},
    "hcp": {60.0: 24, 90.0: 12, 109.4712: 3, 120.0: 18, 146.4427: 6, 180.0: 3},
    "icosahedron": {63.4349: 30, 116.5651: 30, 180.0: 6},
}


@pytest.mark.parametrize("kind", ANGLES)
def test_bond_angles_of_crystals(kind):
    n = 100  # bins with none of the angles at their edges
    found = gd.describe(crystals.SHELLS[kind], [gd.BondAngles(cutoffs=crystals.REACH[kind], n_bins=n)])["bond_angles"]
    expected = np.zeros(n)
    for angle, count in ANGLES[kind].items():
        expected[min(int(angle / 1.8 + 1e-6), n - 1)] += count
    shift = np.zeros(n)  # right angles and others that rounding may put below an edge
    got = found.values[0, 0] * 1.8 * sum(ANGLES[kind].values())
    for angle, count in ANGLES[kind].items():
        b = min(int(angle / 1.8 + 1e-6), n - 1)
        assert got[max(b - 1, 0) : b + 1].sum() == pytest.approx(count), angle
        shift[max(b - 1, 0) : b + 1] = 1
    assert got[shift == 0].sum() == 0
    assert expected.sum() == pytest.approx(got.sum())


def test_bond_angles_equal_brute_force_and_add_up(peer):
    _, trajectory, _ = peer
    found = gd.describe(trajectory, [gd.BondAngles(cutoffs=CUTOFFS, n_bins=36)])["bond_angles"]
    centres, around = near(trajectory)
    for i in centres:
        units = [v / np.linalg.norm(v) for v in around[i].values()]
        angles = [np.degrees(np.arccos(np.clip(a @ b, -1, 1))) for a, b in itertools.combinations(units, 2)]
        expected, _ = np.histogram(angles, 36, (0, 180), density=True)
        np.testing.assert_allclose(found.values[0, i], expected, atol=1e-12)
    np.testing.assert_allclose(found.sum("angle") * 5.0, 1.0)
    # weighted by the number of pairs, they are the distribution of all
    n = gd.describe(trajectory, [gd.Coordination(cutoffs=CUTOFFS)])["coordination"].values.reshape(1, len(found[0]), -1)
    n = n[0].sum(axis=1)
    pairs = n * (n - 1) / 2
    total = gd.bond_angle_distribution(trajectory, CUTOFFS, n_bins=36)["probability_total"].values
    np.testing.assert_allclose(pairs @ found.values[0] / pairs.sum(), total, atol=1e-12)


def dihedral(k, j, l):
    """Degrees of the chain k-i-j-l with i at the origin, by its definition: the sign is that of IUPAC."""
    axis = j / np.linalg.norm(j)
    one, other = k - (k @ axis) * axis, (l - j) - ((l - j) @ axis) * axis
    return np.degrees(np.arctan2(np.cross(one, other) @ axis, one @ other))


@pytest.mark.parametrize("signed", [False, True])
def test_dihedral_angles_equal_brute_force(peer, signed):
    _, trajectory, _ = peer
    made = gd.DihedralAngles(cutoffs=CUTOFFS, n_bins=24, signed=signed)
    found = gd.describe(trajectory, [made])["dihedral_angles"].values[0]
    centres, around = near(trajectory, 200)
    for i in centres:
        phi = []
        for j, to_j in around[i].items():
            for k, to_k in around[i].items():
                for step in around[j].values():
                    end = to_j + step
                    if k != j and np.linalg.norm(end) > 1e-9 and np.linalg.norm(end - to_k) > 1e-9:
                        phi.append(dihedral(to_k, to_j, end))
        phi = np.array(phi) if signed else np.abs(phi)
        expected, _ = np.histogram(phi, 24, (-180 if signed else 0, 180), density=True)
        np.testing.assert_allclose(found[i], expected, atol=1e-12)


def test_only_the_sign_of_dihedral_angles_knows_left_from_right():
    """A helix, and its mirror image: particles in the middle have mirrored distributions, which are not symmetric."""
    t = np.arange(12) * 0.9
    helix = np.stack([np.cos(t), np.sin(t), 0.25 * t], axis=1)
    box = [20.0] * 3
    turned = {}
    for name, sign in (("right", 1.0), ("left", -1.0)):
        chain = gd.from_arrays(helix * [1, sign, 1] + 8, species=["A"] * 12, box=box)
        turned[name] = values(chain, gd.DihedralAngles(cutoffs=1.0, n_bins=360, signed=True))[0, 3:-3]
        plain = values(chain, gd.DihedralAngles(cutoffs=1.0, n_bins=180))[0, 3:-3]
        np.testing.assert_allclose(plain.sum(axis=1), 1.0)
    np.testing.assert_allclose(turned["left"], turned["right"][:, ::-1], atol=1e-12)
    assert np.abs(turned["right"] - turned["right"][:, ::-1]).max() > 0.5
    expected = dihedral(*(helix[[0, 2, 3]] - helix[1]))
    assert expected > 0  # a right-handed helix
    assert turned["right"][0].argmax() == int(expected + 180)


def test_nematic_order_of_lines_planes_and_crystals():
    for kind in ("sc", "fcc", "bcc", "icosahedron"):
        found = values(crystals.SHELLS[kind], gd.NematicOrder(cutoffs=crystals.REACH[kind]))[0, 0]
        np.testing.assert_allclose(found, 0.0, atol=1e-12)
    # a plane of squares in space: eigenvalues 1/4, 1/4, -1/2
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 2), axis=-1).reshape(-1, 2)
    plane = gd.from_arrays(np.c_[grid, np.full(16, 4.0)], species=["A"] * 16, box=[4.0, 4.0, 9.0])
    np.testing.assert_allclose(values(plane, gd.NematicOrder(cutoffs=1.2))[0], [[0.25, 0.75]] * 16, atol=1e-12)
    flat = gd.from_arrays(grid, species=["A"] * 16, box=[4.0, 4.0])
    np.testing.assert_allclose(values(flat, gd.NematicOrder(cutoffs=1.2))[0], 0.0, atol=1e-12)
    row = gd.from_arrays([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]], species=["A"] * 3, box=[3.0, 9.0])
    np.testing.assert_allclose(values(row, gd.NematicOrder(cutoffs=1.2))[0], 1.0)
    alone = gd.from_arrays([[0.0, 1.0, 1.0]], species=["A"], box=[9.0] * 3)
    for descriptor in (gd.NematicOrder, gd.CubaticOrder, gd.BondAngles, gd.DihedralAngles):
        assert np.isnan(values(alone, descriptor(cutoffs=1.2))).all()


def test_nematic_order_is_that_of_freud(peer):
    freud = pytest.importorskip("freud")
    _, trajectory, _ = peer
    found = values(trajectory, gd.NematicOrder(cutoffs=CUTOFFS))[0]
    centres, around = near(trajectory)
    for i in centres:
        units = np.array([v / np.linalg.norm(v) for v in around[i].values()])
        theirs = freud.order.Nematic().compute(units)
        assert found[i, 0] == pytest.approx(theirs.order, abs=1e-5)
        middle = np.sort(np.linalg.eigvalsh(theirs.nematic_tensor))
        assert found[i, 1] == pytest.approx(middle[1] - middle[0], abs=1e-5)


CUBATIC = {("sc", 1.2): 1.0, ("fcc", 0.85): 13 / 108, ("hcp", 0.85): 7 / 72, ("bcc", 0.95): 26 / 81,
           ("bcc", 1.2): 1 / 21, ("icosahedron", 1.1): 0.0}  # fmt: skip


@pytest.mark.parametrize(("kind", "cutoff"), CUBATIC)
def test_cubatic_order_of_crystals(kind, cutoff):
    found = values(crystals.SHELLS[kind], gd.CubaticOrder(cutoffs=cutoff))[0, 0]
    assert found == pytest.approx(CUBATIC[kind, cutoff], abs=1e-9)


def test_cubatic_order_is_the_largest_of_all_axes(peer):
    """No orientation of very many is better, and the best of them is close; turns and mirrors change nothing."""
    _, trajectory, _ = peer
    found = values(trajectory, gd.CubaticOrder(cutoffs=CUTOFFS))[0]
    centres, around = near(trajectory, 100)
    axes = Rotation.random(5000, rng=np.random.default_rng(2)).as_matrix()
    for i in centres:
        units = np.array([v / np.linalg.norm(v) for v in around[i].values()])
        tried = 2.5 * (np.power(axes.reshape(-1, 3) @ units.T, 4).mean(axis=1).reshape(-1, 3).sum(axis=1) - 0.6)
        assert -1e-12 < found[i] - tried.max() < 0.04
    turned = moved(trajectory, Rotation.random(rng=np.random.default_rng(1)).as_matrix())
    for other in (turned, moved(trajectory, np.diag([1.0, 1.0, -1.0]))):
        apart = np.abs(values(other, gd.CubaticOrder(cutoffs=CUTOFFS))[0] - found)
        assert (apart > 1e-7).mean() < 0.01  # where not all twelve starts end at a lower maximum
        assert apart.max() < 0.02
    np.testing.assert_allclose(values(turned, gd.NematicOrder(cutoffs=CUTOFFS)), values(trajectory, gd.NematicOrder(
        cutoffs=CUTOFFS)), atol=1e-9)  # fmt: skip


MADE = [gd.BondAngles(cutoffs=CUTOFFS), gd.DihedralAngles(cutoffs=CUTOFFS, n_bins=6), gd.NematicOrder(cutoffs=CUTOFFS),
        gd.CubaticOrder(cutoffs=CUTOFFS)]  # fmt: skip


@pytest.mark.parametrize("descriptor", MADE, ids=lambda d: d.name)
def test_blocks_rules_and_centres(descriptor, liquid):
    """In blocks of few particles, by a rule that names the same neighbours, and of one species: the same numbers."""
    whole = values(liquid, descriptor)
    blocks = values(liquid.chunk(frame=1), descriptor, block=50)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12, atol=1e-12)
    rule = type(descriptor)(neighbors=gd.Cutoff(CUTOFFS), **({"n_bins": 6} if descriptor.name.startswith("di") else {}))
    np.testing.assert_array_equal(values(liquid, rule), whole)
    some = values(liquid, descriptor, centers="B")
    inside = liquid["species"].values == "B"
    np.testing.assert_allclose(some[:, inside], whole[:, inside], rtol=1e-12, atol=1e-12)
    assert np.isnan(some[:, ~inside]).all()
    nearest = values(liquid, type(descriptor)(neighbors=gd.KNearest(8)))
    assert np.isfinite(nearest).all()
    if descriptor.name in ("dihedral_angles", "cubatic"):
        flat = gd.from_arrays([[1.0, 1.0]], species=["A"], box=[9.0, 9.0])
        with pytest.raises(ParameterError, match="needs three dimensions: in the plane use"):
            values(flat, type(descriptor)(cutoffs=1.2))
    with pytest.raises(ParameterError, match="takes either cutoffs or neighbors"):
        type(descriptor)()


def test_kernels_as_plain_python():
    """What is compiled and what is written give the same."""
    rng = np.random.default_rng(0)
    vector = rng.normal(size=(4, 15))
    vector[3] = np.linalg.norm(vector[:3], axis=0)
    offsets, weight = np.array([0, 6, 6, 15]), rng.uniform(0.5, 1.0, 15)
    bond, turned = np.empty((4, 64)), np.empty((3, 64))
    starts = np.eye(3)[None] @ Rotation.from_rotvec([0.3, 0.4, 0.5]).as_matrix()
    for name, given, shape in (
        ("angle_histogram", (offsets, vector, weight, 30.0, bond), (3, 6)),
        ("bond_tensors", (offsets, vector, weight, bond), (3, 3, 3)),
        ("cubatic", (offsets, vector, weight, starts, bond, turned), (3,)),
    ):
        kernel = getattr(kernels, name)
        compiled, plain = np.empty(shape), np.empty(shape)
        kernel(*given, compiled)
        kernel.py_func(*given, plain)
        np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-9)
        assert np.isnan(plain[1]).all()
    ring = crystals.SHELLS["sc"]
    expected = values(ring, gd.DihedralAngles(cutoffs=1.2, n_bins=8))[0, :2]
    offsets, index, vectors = lists(ring, 1.2)
    plain = np.empty((2, 8))
    kernels.dihedral_histogram.py_func(np.arange(2), offsets, index, vectors, np.arange(64), 22.5, False, plain)
    np.testing.assert_allclose(plain, expected, atol=1e-12)


def lists(trajectory, cutoff):
    """Neighbours of all particles as the kernels take them."""
    species = np.zeros(trajectory.sizes["particle"], int)
    found = sets(trajectory["position"].values[0], species, trajectory["box"].values[0], np.array([[cutoff]]))
    offsets = np.cumsum([0, *map(len, found)])
    index = np.concatenate([list(each) for each in found])
    vector = np.concatenate([np.array(list(each.values())) for each in found]).T
    return offsets, index, np.concatenate([vector, np.linalg.norm(vector, axis=0)[None]])
