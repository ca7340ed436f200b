"""Local order: crystals, other programs, twins in plain Python, invariances and limits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import glassdask as gd
from glassdask.descriptors.coordination import Coordination
from glassdask.descriptors.tetrahedrality import Tetrahedrality
from glassdask.descriptors.tong_tanaka import TongTanaka
from glassdask.errors import ParameterError, SpeciesError
from glassdask.kernels import local_order as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import Cutoff, KNearest
from glassdask.neighborhood.voronoi import Voronoi
from tests.conftest import DATA
from tests.neighborhood.brute_neighbors import sets

BASIS = {
    "sc": np.zeros((1, 3)),
    "bcc": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    "fcc": np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
}
CUTOFFS = {"A-A": 1.45, "A-B": 1.3, "B-B": 1.1}
MATRIX = np.array([[1.45, 1.3], [1.3, 1.1]])


def crystal(kind, n=3):
    corner = np.stack(np.meshgrid(*[np.arange(float(n))] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    position = (corner + BASIS[kind]).reshape(-1, 3)
    return gd.from_arrays(position, species=["A"] * len(position), box=[float(n)] * 3)


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, [descriptor], **options)[descriptor.name].values


def codes(trajectory):
    return (trajectory["species"].values == "B").astype(int)


@pytest.fixture
def stored(peer):
    name, trajectory, cutoffs = peer
    kept = np.load(DATA / f"{name}_local_order.npz")
    return trajectory, cutoffs, kept, dict(zip("AB", 2 * kept["theta_radii"]))


# coordination


def test_coordination_of_crystals_and_species():
    assert (values(crystal("fcc"), Coordination(cutoffs=0.85)) == 12).all()
    assert (values(crystal("bcc"), Coordination(cutoffs=1.2)) == 14).all()
    body = crystal("bcc").assign(species=("particle", ["Cl", "Cs"] * 27))
    apart = gd.describe(body, [Coordination(cutoffs=1.2, by_species=True)])["coordination"]
    assert apart["coordination_feature"].values.tolist() == ["Cl", "Cs"]
    assert apart.values[0, :2].tolist() == [[6, 8], [8, 6]]
    other = Coordination(cutoffs={("Cl", "Cs"): 1.2}, neighbor_species="other")
    assert (values(body, other) == 8).all()


def test_coordination_equals_brute_force(liquid):
    sharp = Coordination(cutoffs=CUTOFFS)
    smooth = Coordination(cutoffs=CUTOFFS, gamma=6, enlargement=1.2, by_species=True)
    limit = Coordination(cutoffs=CUTOFFS, gamma=np.inf)
    features = gd.describe(liquid, {"sharp": sharp, "smooth": smooth, "limit": limit}).compute()
    species = codes(liquid)
    for frame in range(3):
        position, box = liquid["position"].values[frame], liquid["box"].values[frame]
        near = sets(position, species, box, MATRIX)
        far = sets(position, species, box, 1.2 * MATRIX)
        for i in range(0, 240, 11):
            assert features["sharp"].values[frame, i] == features["limit"].values[frame, i] == len(near[i])
            z = np.zeros(2)
            for j, vector in far[i].items():
                z[species[j]] += np.exp(-((np.linalg.norm(vector) / MATRIX[species[i], species[j]]) ** 6))
            assert features["smooth"].values[frame, i] == pytest.approx(z, rel=1e-12)


def test_coordination_of_a_lone_particle_is_zero():
    alone = gd.from_arrays([[[1.0, 1, 1], [5, 5, 5]]], species=["A", "B"], box=[8.0, 8, 8])
    assert values(alone, Coordination(cutoffs=1.2)).tolist() == [[0, 0]]
    assert values(alone, Coordination(cutoffs=1.2, gamma=8, by_species=True)).tolist() == [[[0, 0], [0, 0]]]


def test_smooth_coordination_moves_little():
    # the largest jump is the weight left at R = 1.3 r_c, exp(-1.3^8) = 0.0003
    def at(r):
        pair = gd.from_arrays([[[1.0, 1, 1], [1 + r, 1, 1]]], species=["A", "A"], box=[8.0, 8, 8])
        return values(pair, Coordination(cutoffs=1.0, gamma=8))[0, 0]

    r = np.linspace(0.5, 1.4, 37)
    z = np.array([at(x) for x in r])
    steps = np.array([at(x + 1e-6) for x in r]) - z
    assert np.abs(steps).max() < 3e-4
    assert np.abs(steps[r < 1.29]).max() < 1e-5
    assert at(1.3 - 1e-6) == pytest.approx(np.exp(-(1.3**8)), rel=1e-4)
    assert at(1.3 + 1e-6) == 0
    assert (np.diff(z) <= 0).all()


# tetrahedrality


def test_tetrahedrality_equals_other_programs(stored):
    trajectory, cutoffs, kept, _ = stored
    found = values(trajectory, Tetrahedrality(cutoffs=cutoffs))[0]
    np.testing.assert_allclose(found, kept["tetrahedrality"], atol=1e-14)
    np.testing.assert_allclose(found, kept["tetrahedrality_partycls"], atol=2e-8)


def test_tetrahedrality_of_known_angles():
    square = crystal("sc")
    # six bonds: 12 right angles and 3 straight ones
    assert values(square, Tetrahedrality(cutoffs=1.2, angle=90, deviation="angle")) == pytest.approx(90 * 3 / 15)
    assert values(square, Tetrahedrality(cutoffs=1.2, angle=90)) == pytest.approx(3 / 15)
    site = np.array([[0, 0, 0], [2, 2, 0], [2, 0, 2], [0, 2, 2]])
    corner = 4.0 * np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 1, 3)
    zinc_blende = np.concatenate([corner + site, corner + site + 1]).reshape(1, -1, 3)
    network = gd.from_arrays(zinc_blende, species=["Zn"] * 32 + ["S"] * 32, box=[8.0, 8, 8])
    ideal = np.degrees(np.arccos(-1 / 3))
    for options in (
        {"cutoffs": 2.0},
        {"neighbors": KNearest(4)},
        {"cutoffs": 3.0, "neighbor_species": "other"},
        {"neighbors": Cutoff(3.0), "neighbor_species": "other"},
    ):
        assert values(network, Tetrahedrality(angle=ideal, **options)) == pytest.approx(0, abs=1e-12)
        assert values(network, Tetrahedrality(deviation="angle", **options)) == pytest.approx(109.5 - ideal)


def test_bond_angles_equal_brute_force(liquid):
    descriptors = {
        "cosine": Tetrahedrality(cutoffs=CUTOFFS, angle=60.0),
        "degrees": Tetrahedrality(cutoffs=CUTOFFS, deviation="angle"),
    }
    features = gd.describe(liquid, descriptors).compute()
    near = sets(liquid["position"].values[1], codes(liquid), liquid["box"].values[1], MATRIX)
    undefined = 0
    for i in range(0, 240, 3):
        unit = [vector / np.linalg.norm(vector) for vector in near[i].values()]
        cosines = np.array([a @ b for a, b in itertools.combinations(unit, 2)])
        if len(cosines) == 0:
            assert np.isnan([features[name].values[1, i] for name in descriptors]).all()
            undefined += 1
            continue
        assert features["cosine"].values[1, i] == pytest.approx(np.abs(cosines - 0.5).mean(), rel=1e-12)
        degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
        assert features["degrees"].values[1, i] == pytest.approx(np.abs(degrees - 109.5).mean(), rel=1e-9)
    assert undefined < 40


# Theta


def test_theta_equals_partycls(stored):
    trajectory, cutoffs, kept, diameters = stored
    additive = {("A", "A"): diameters["A"], "A-B": sum(diameters.values()) / 2, ("B", "B"): diameters["B"]}
    features = gd.describe(
        trajectory,
        {
            "theta_radical": TongTanaka(diameters=diameters),
            "theta_plain": TongTanaka(sigma=additive),
            "theta_cutoffs": TongTanaka(diameters=diameters, neighbors=Cutoff(cutoffs)),
        },
    ).compute()
    for name, found in features.items():
        np.testing.assert_allclose(found.values[0], kept[name], atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_theta_of_perfect_crystals(n):
    diameters = {"A": np.sqrt(0.5)}
    assert values(crystal("fcc", n), TongTanaka(diameters=diameters)) == pytest.approx(0, abs=1e-12)
    wide = {"A": 1.1 * np.sqrt(0.5)}
    assert values(crystal("fcc", n), TongTanaka(diameters=wide)) == pytest.approx(0.1 / 1.1)
    # bcc: tetrahedra with four edges of nearest and two of second neighbours
    d = np.sqrt(0.75)
    assert values(crystal("bcc", n), TongTanaka(diameters={"A": d})) == pytest.approx(2 * (1 - d) / (6 * d))
    # the neighbours of a simple cubic site are not neighbours of each other
    assert np.isnan(values(crystal("sc", n), TongTanaka(diameters={"A": 1.0}))).all()


def test_theta_of_an_icosahedron():
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    cluster = gd.from_arrays(np.concatenate([[[5.0, 5, 5]], corners + 5]), species=["A"] * 13, box=[10.0, 10, 10])
    # every tetrahedron has three edges of length 1 and three of the edge of the icosahedron
    edge = 2 / np.hypot(1, golden)
    theta = values(cluster, TongTanaka(sigma=1.0))[0]
    assert theta[0] == pytest.approx(3 * (edge - 1) / 6)


def brute_theta(trajectory, frame, lists, sigma, i):
    """Theta from the definition: all triples of neighbours that are neighbours of each other."""
    species = codes(trajectory)
    around = lists[i]
    found = []
    for triple in itertools.combinations(around, 3):
        if any(b not in lists[a] for a, b in itertools.combinations(triple, 2)):
            continue
        corners = {i: np.zeros(3), **{j: around[j] for j in triple}}
        edges = [
            (np.linalg.norm(corners[a] - corners[b]), sigma[species[a], species[b]])
            for a, b in itertools.combinations(corners, 2)
        ]
        found.append(sum(abs(r - s) for r, s in edges) / sum(s for _, s in edges))
    return np.mean(found) if found else np.nan


def test_theta_equals_brute_force(liquid):
    cutoffs = {"A-A": 1.6, "A-B": 1.5, "B-B": 1.4}
    matrix = np.array([[1.6, 1.5], [1.5, 1.4]])
    sigma = np.array([[1.1, 0.8], [0.8, 0.9]])
    pairs = {"A-A": 1.1, "A-B": 0.8, "B-B": 0.9}
    theta = values(liquid, TongTanaka(sigma=pairs, neighbors=Cutoff(cutoffs)))
    assert np.isnan(theta).any()
    for frame in range(3):
        lists = sets(liquid["position"].values[frame], codes(liquid), liquid["box"].values[frame], matrix)
        expected = [brute_theta(liquid, frame, lists, sigma, i) for i in range(0, 240, 7)]
        assert theta[frame, ::7] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def lattice(vectors, n=4):
    fraction = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    return fraction @ np.array(vectors), np.array(vectors) * n


def test_theta_of_lattices_in_the_plane():
    position, box = lattice([[1, 0], [0.5, np.sqrt(0.75)]])
    hexagonal = gd.from_arrays(position, species=["A"] * 16, box=box)
    assert values(hexagonal, TongTanaka(diameters={"A": 1.0})) == pytest.approx(0, abs=1e-12)
    assert values(hexagonal, TongTanaka(diameters={"A": 2.0})) == pytest.approx(0, abs=1e-12)
    position, box = lattice([[1.0, 0.0], [0.0, 1.0]])
    square = gd.from_arrays(position, species=["A"] * 16, box=box)
    # 90 degrees where touching discs would have 60
    assert values(square, TongTanaka(sigma=1.0)) == pytest.approx(np.pi / 6)
    board = gd.from_arrays(position, species=np.where(position.sum(axis=1) % 2 == 0, "A", "B"), box=box)
    ideal = {"A-B": 1.0, "A-A": np.sqrt(2), "B-B": np.sqrt(2)}
    assert values(board, TongTanaka(sigma=ideal)) == pytest.approx(0, abs=1e-7)
    assert values(board, TongTanaka(diameters={"A": 1.2, "B": 0.8}, sigma=ideal)) == pytest.approx(0, abs=1e-7)
    # sigma of which no triangle can be made: the neighbours stand on opposite sides
    apart = {"A-B": 1.0, "A-A": 2.5, "B-B": 2.5}
    assert values(board, TongTanaka(sigma=apart)) == pytest.approx(np.pi / 2)


def test_theta_in_the_plane_equals_brute_force():
    data, kept = np.load(DATA / "ka2d_N1290.npz"), np.load(DATA / "ka2d_N1290_voronoi.npz")
    names = np.unique(data["species"].astype(str))
    sigma = np.array([[1.0, 0.8, 0.9], [0.8, 0.88, 0.8], [0.9, 0.8, 0.94]])
    pairs = {(a, b): sigma[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}
    trajectory = gd.from_arrays(data["position"], species=data["species"].astype(str), box=data["box"])
    theta = values(trajectory, TongTanaka(sigma=pairs))[0]
    code = np.searchsorted(names, data["species"].astype(str))
    for o in range(0, 1290, 31):
        around = kept["pairs"][kept["pairs"][:, 0] == o, 1]
        vector = data["position"][around] - data["position"][o]
        vector -= data["box"] * np.rint(vector / data["box"])
        order = np.argsort(np.arctan2(vector[:, 1], vector[:, 0]))
        around, vector = around[order], vector[order]
        total = 0.0
        for (i, a), (j, b) in zip(zip(around, vector), zip(np.roll(around, -1), np.roll(vector, -1, axis=0))):
            real = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            oi, oj, ij = sigma[code[o], code[i]], sigma[code[o], code[j]], sigma[code[i], code[j]]
            total += abs(real - np.arccos((oi**2 + oj**2 - ij**2) / (2 * oi * oj)))
        assert theta[o] == pytest.approx(total / len(around), rel=1e-6)


def test_theta_without_enough_neighbors():
    three = gd.from_arrays([[[1.0, 1], [2, 1], [4, 1]]], species=["A"] * 3, box=[8.0, 8])
    assert np.isnan(values(three, TongTanaka(sigma=1.0, neighbors=Cutoff(1.2)))).all()


# all of them


def family():
    return {
        "sharp": Coordination(cutoffs=CUTOFFS),
        "smooth": Coordination(cutoffs=CUTOFFS, gamma=8),
        "angles": Tetrahedrality(cutoffs=CUTOFFS, deviation="angle"),
        "theta": TongTanaka(diameters={"A": 1.0, "B": 0.9}),
    }


def test_invariances(liquid):
    frame = liquid.isel(frame=[0])
    before = gd.describe(frame, family()).compute()
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    order = np.random.default_rng(1).permutation(240)
    position = ((frame["position"].values + np.array([1.0, -20.0, 3.0])) @ turn.T)[:, order]
    moved = gd.from_arrays(position, species=frame["species"].values[order], box=frame["box"].values @ turn.T)
    after = gd.describe(moved, family()).compute()
    for name in before:
        np.testing.assert_allclose(after[name].values, before[name].values[:, order], rtol=1e-9)


def test_blocks_and_chunks_change_nothing(liquid):
    whole = gd.describe(liquid, family()).compute()
    for pieces in (gd.describe(liquid, family(), block=120), gd.describe(liquid.chunk(frame=2), family())):
        for name in whole:
            np.testing.assert_allclose(pieces[name].values, whole[name].values, rtol=1e-12)
    small = gd.describe(liquid, family(), centers="B").compute()
    is_b = liquid["species"].values == "B"
    for name in whole:
        np.testing.assert_allclose(small[name].values[:, is_b], whole[name].values[:, is_b], rtol=1e-12)
        assert np.isnan(small[name].values[:, ~is_b]).all()


def test_bad_parameters(liquid):
    for wrong, options in (
        (Coordination, {"cutoffs": 1.2, "gamma": 0}),
        (Coordination, {"cutoffs": 1.2, "enlargement": 0.9}),
        (Tetrahedrality, {}),
        (Tetrahedrality, {"cutoffs": 1.2, "neighbors": KNearest(4)}),
        (Tetrahedrality, {"cutoffs": 1.2, "angle": 190.0}),
        (Tetrahedrality, {"cutoffs": 1.2, "deviation": "sine"}),
        (TongTanaka, {}),
        (Coordination, {"cutoffs": -1.0}),
    ):
        with pytest.raises(ParameterError):
            wrong(**options)
    for descriptor, error in (
        (Coordination(cutoffs={"A-A": 1.0}), ParameterError),
        (Tetrahedrality(cutoffs=1.0, neighbor_species=("C",)), SpeciesError),
        (TongTanaka(diameters={"A": 1.0}), ParameterError),
        (TongTanaka(diameters={"A": 1.0, "B": 1.0, "X": 1.0}), SpeciesError),
        (TongTanaka(sigma={"A-A": 1.0}), ParameterError),
    ):
        with pytest.raises(error):
            gd.describe(liquid, [descriptor])


def test_kernels_as_plain_python():
    rng = np.random.default_rng(4)
    position = rng.random((30, 3)) * 3
    configuration = Configuration(position, np.arange(30) % 2, np.eye(3) * 3.0, ("A", "B"))
    everyone = np.arange(30)
    found = Voronoi().find(configuration, everyone)
    longest = int(found.counts.max())
    sigma, half = np.array([[1.0, 0.8], [0.8, 0.9]]), 0.1 * rng.random(30)
    weight = rng.random(len(found.index)) * (rng.random(len(found.index)) < 0.8)
    pairs = {
        kernels.bond_angles: [
            (found.offsets, found.vector, weight, 109.5, cosine, np.empty((4, longest))) for cosine in (True, False)
        ],
        kernels.compactness: [
            (
                everyone, everyone, everyone, found.offsets, found.index, found.vector, configuration.species, sigma,
                half, np.empty(longest), np.empty((longest, longest), bool), np.empty((longest, longest)),
            )
        ],
        kernels.ring: [
            (
                everyone, found.offsets, found.index, found.vector, configuration.species, sigma, half,
                np.empty(longest), np.empty(longest, np.int64),
            )
        ],
    }  # fmt: skip
    for kernel, calls in pairs.items():
        for arguments in calls:
            compiled, plain = np.empty((2, 30))
            kernel(*arguments, compiled)
            with np.errstate(invalid="ignore"):
                kernel.py_func(*arguments, plain)
            np.testing.assert_allclose(compiled, plain, rtol=1e-12)
            assert np.isfinite(compiled).any()
