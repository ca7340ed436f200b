"""Every descriptor that has neighbours takes every rule that says who they are, and refuses what is none."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.special import sph_harm_y

import glassdask as gd
from glassdask.declarations import converted, plain
from glassdask.descriptors.base import Descriptor
from glassdask.descriptors.registry import DESCRIPTORS, make
from glassdask.errors import ParameterError
from glassdask.neighborhood import voronoi
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_codes

RULES = {
    "cutoff": gd.Cutoff({("A", "A"): 1.4, ("A", "B"): 1.3, ("B", "B"): 1.2}),
    "k_nearest": gd.KNearest(9),
    "sann": gd.SANN(),
    "voronoi": gd.Voronoi(diameters={"A": 1.0, "B": 0.8}),
    "weighted": gd.Voronoi(weighted=True),
}
# as given, and what computes the same where only the neighbours are there
BONDED = {
    "bo": (gd.BondOrder, {"l_max": 6}, {"cutoffs": 3.0}),
    "bo_of_others": (gd.BondOrder, {"neighbor_species": "other"}, {"cutoffs": 3.0}),
    "coordination": (gd.Coordination, {"by_species": True}, {"cutoffs": 3.0}),
    "tetrahedrality": (gd.Tetrahedrality, {"deviation": "angle"}, {"cutoffs": 3.0}),
    "third_order": (gd.ThirdOrderInvariants, {"l_max": 6, "l_min": 4}, {"cutoffs": 3.0}),
}
RADIAL = {
    "sbo": (gd.SmoothedBondOrder, {"cutoffs": {"A-A": 1.1, "A-B": 1.0, "B-B": 1.05}, "gamma": 4}, {}),
    "smooth_coordination": (gd.Coordination, {"cutoffs": 1.1, "gamma": 8}, {}),
    "rbo": (gd.RadialBondOrder, {"grid": (0.9, 1.1), "l_max": 4}, {}),
    "radial_density": (gd.RadialDensity, {"grid": (0.9, 1.1)}, {}),
    "soap": (gd.SOAP, {"r_cut": 1.3, "n_max": 3, "l_max": 3, "sigma": 0.3, "by_species": True}, {}),
    "ace": (gd.ACE, {"r_cut": 1.4, "degree": 5}, {}),
    "acsf": (gd.SymmetryFunctions, {"r_cut": 1.4, "radial": ((1.0, 1.0),), "angular": ((0.5, 2, 1.0),)}, {}),
}
UNWEIGHTED = {"rbo", "radial_density", "soap", "ace", "acsf"}
COMBINATIONS = [
    (kind, rule)
    for kind in {**BONDED, **RADIAL}
    for rule in RULES
    if not (rule == "weighted" and (kind in UNWEIGHTED or kind in BONDED))
]


@pytest.fixture(scope="module")
def mixture():
    """Two frames of a jittered lattice in a skewed box, with holes."""
    rng = np.random.default_rng(8)
    box = np.array([[5.6, 0.0, 0.0], [1.2, 5.4, 0.0], [-0.9, 1.1, 5.7]])
    lattice = np.stack(np.meshgrid(*[np.arange(5)] * 3), -1).reshape(-1, 3)
    fraction = (lattice + 0.5 + rng.uniform(-0.3, 0.3, (2, 125, 3))) / 5
    keep = rng.permutation(125)[:119]
    species = np.where(np.arange(119) % 3 == 0, "B", "A")
    return gd.from_arrays((fraction @ box)[:, keep], species=species, box=box)


def configuration_of(trajectory, frame=0):
    names = tuple(np.unique(trajectory["species"].values))
    return Configuration(
        trajectory["position"].values[frame], species_codes(trajectory), trajectory["box"].values[frame], names
    )


def values(trajectory, descriptor, **options):
    return gd.describe(trajectory, {"it": descriptor}, **options)["it"].values


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rule"), COMBINATIONS)
def test_equals_the_descriptor_of_the_neighbours_alone(mixture, kind, rule):
    """Each centre once more, in an empty box with nobody but those whom the rule names."""
    cls, given, instead = {**BONDED, **RADIAL}[kind]
    found = values(mixture, cls(**given, neighbors=RULES[rule]))
    configuration = configuration_of(mixture)
    around = RULES[rule].find(configuration, np.arange(119))
    species = mixture["species"].values
    alone = cls(**given, **instead)
    for i in range(0, 119, 7):
        slots = slice(around.offsets[i], around.offsets[i + 1])
        position = np.concatenate([np.zeros((1, 3)), around.vector[:3, slots].T]) + 10
        names = [species[i], *species[around.index[slots]]]
        # far away from all, so that both species are there
        position, names = np.concatenate([position, [[1.0, 1, 1], [4.0, 16, 1]]]), [*names, "A", "B"]
        cluster = gd.from_arrays(position, species=names, box=[20.0] * 3)
        if rule == "weighted":
            expected = _weighted_sum(cls, given, around.vector[:, slots], around.weight[slots], names)
        else:
            expected = values(cluster, alone)[0, 0]
        np.testing.assert_allclose(found[0, i], expected, rtol=1e-9, atol=1e-11)


def _weighted_sum(cls, given, vector, weight, names):
    """Smooth bond order or coordination with the weights of the rule, from their definitions."""
    pairs = given["cutoffs"]
    r_c = np.array([pairs if isinstance(pairs, float) else pairs["-".join(sorted((names[0], b)))] for b in names[1:-2]])
    f = weight * np.where(vector[3] < 1.3 * r_c, np.exp(-((vector[3] / r_c) ** given["gamma"])), 0.0)
    return f.sum() if cls is gd.Coordination else invariants(vector, f, 1, 8)


def invariants(vector, weight, l_min, l_max):
    """Q_l of weighted neighbours with SciPy's harmonics."""
    return np.array(
        [np.linalg.norm(q) * np.sqrt(4 * np.pi / len(q)) for q in coefficients(vector, weight, l_min, l_max)]
    )


def coefficients(vector, weight, l_min, l_max):
    """q_lm of weighted neighbours for each l."""
    theta, phi = np.arccos(vector[2] / vector[3]), np.arctan2(vector[1], vector[0])
    return [
        np.array([weight @ sph_harm_y(l, m, theta, phi) for m in range(-l, l + 1)]) / weight.sum()
        for l in range(l_min, l_max + 1)
    ]


def test_faces_as_weights(mixture):
    """Bond order, coordination and angles of neighbours that count by the area of their face, written out."""
    rule = gd.Voronoi(weighted=True)
    around = rule.find(configuration_of(mixture), np.arange(119))
    cells = voronoi.tessellate(configuration_of(mixture), np.arange(119))
    species = mixture["species"].values
    found = {
        "bo": values(mixture, gd.BondOrder(l_max=6, neighbors=rule)),
        "other": values(mixture, gd.BondOrder(l_max=6, neighbors=rule, neighbor_species="other")),
        "z": values(mixture, gd.Coordination(neighbors=rule, by_species=True)),
        "angle": values(mixture, gd.Tetrahedrality(neighbors=rule)),
    }
    np.testing.assert_allclose(found["z"].sum(-1), 1.0, rtol=1e-12)
    for i in range(0, 119, 5):
        slots = slice(around.offsets[i], around.offsets[i + 1])
        area = cells.area[slots]
        np.testing.assert_allclose(around.weight[slots], area / area.sum(), rtol=1e-12)
        vector, names = around.vector[:, slots], species[around.index[slots]]
        np.testing.assert_allclose(found["bo"][0, i], invariants(vector, area, 1, 6), atol=1e-12)
        unlike = area * (names != species[i])
        np.testing.assert_allclose(found["other"][0, i], invariants(vector, unlike, 1, 6), atol=1e-12)
        np.testing.assert_allclose(found["z"][0, i, 1], area[names == "B"].sum() / area.sum(), rtol=1e-12)
        unit = vector[:3] / vector[3]
        upper = np.triu(np.outer(area, area), 1)
        expected = (upper * np.abs(unit.T @ unit - np.cos(np.radians(109.5)))).sum() / upper.sum()
        np.testing.assert_allclose(found["angle"][0, i], expected, rtol=1e-11)


@pytest.mark.parametrize("rule", RULES)
def test_average_over_the_neighbours_of_a_rule(mixture, rule):
    """Lechner and Dellago's average from coefficients of every particle, written out."""
    around = RULES[rule].find(configuration_of(mixture), np.arange(119))
    parts = [slice(a, b) for a, b in zip(around.offsets, around.offsets[1:])]
    weight = np.ones(len(around.index)) if around.weight is None else around.weight
    q = [coefficients(around.vector[:, part], weight[part], 4, 6) for part in parts]
    found = values(mixture, gd.LechnerDellago(l_max=6, l_min=4, neighbors=RULES[rule]))[0]
    for i, part in enumerate(parts):
        w = weight[part]
        own = 1.0 if around.weight is None else (w**2).sum()
        for k in range(3):
            mean = (own * q[i][k] + sum(a * q[j][k] for a, j in zip(w, around.index[part]))) / (own + w.sum())
            assert found[i, k] == pytest.approx(np.linalg.norm(mean) * np.sqrt(4 * np.pi / len(mean)), abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_in_parts_as_in_one_piece(mixture, rule, monkeypatch):
    """Frames cut into blocks, batches of a few centres, and the average in pieces."""
    weighted = rule == "weighted"
    made = {
        kind: cls(**given, neighbors=RULES[rule])
        for kind, (cls, given, _) in {**BONDED, **RADIAL}.items()
        if not (weighted and kind in UNWEIGHTED)
    }
    made["ld"] = gd.LechnerDellago(neighbors=RULES[rule])
    made["third_averaged"] = gd.ThirdOrderInvariants(averaged=True, neighbors=RULES[rule])
    made["warren_cowley"] = gd.WarrenCowley(neighbors=RULES[rule])
    made["pair_entropy"] = gd.PairEntropy(r_max=1.5, average_radius=1.2, by_species=not weighted)
    if not weighted:
        made["ackland_jones"] = gd.AcklandJones()
        made["common_neighbors"] = gd.CommonNeighbors(neighbors=RULES[rule], output="pairs")
        made["rings"] = gd.Rings(neighbors=RULES[rule], max_size=5)
        made["tcc"] = gd.TCC(neighbors=RULES[rule])
        made["topological_clusters"] = gd.TopologicalClusters(neighbors=RULES[rule])
        made["centrosymmetry"] = gd.Centrosymmetry(neighbors=RULES[rule])
    made["solid_liquid"] = gd.SolidLiquid(threshold=0.1, neighbors=RULES[rule])
    whole = gd.describe(mixture, made).compute()
    assert all(np.isfinite(whole[kind].sel(frame=0)).any() for kind in made)
    monkeypatch.setattr("glassdask.descriptors.coefficients.PIECE", 20)
    monkeypatch.setattr("glassdask.neighborhood.configuration.BATCH_PAIRS", 1)
    cut = gd.describe(mixture.isel(frame=[1]), made, block=17, centers="B").compute()
    of_b = mixture["species"].values == "B"
    for kind in made:
        np.testing.assert_allclose(cut[kind].values[0, of_b], whole[kind].values[1, of_b], rtol=1e-11, atol=1e-13)
        assert np.isnan(cut[kind].values[0, ~of_b]).all()


@pytest.mark.parametrize("dimension", [2, 3])
def test_equal_rules_share_their_search(monkeypatch, dimension):
    rng = np.random.default_rng(3)
    liquid = gd.from_arrays(rng.random((1, 100, dimension)) * 9, species=["A"] * 100, box=[9.0] * dimension)
    calls = []
    tessellate = voronoi.tessellate
    monkeypatch.setattr(voronoi, "tessellate", lambda *a: calls.append(a) or tessellate(*a))
    rule = gd.Voronoi(diameters={"A": 1.0})
    made = [
        gd.BondOrder(neighbors=rule), gd.Coordination(neighbors=gd.Voronoi({"A": 1})),
        gd.Tetrahedrality(neighbors=rule), gd.SmoothedBondOrder(cutoffs=1.2, neighbors=rule),
        gd.ACE(r_cut=1.5, degree=4, neighbors=rule),
    ]  # fmt: skip
    if dimension == 2:
        made.append(gd.TongTanaka(diameters={"A": 1.0}))
    gd.describe(liquid, made).compute()
    assert len(calls) == 1
    gd.describe(liquid, {"one": made[0], "other": gd.BondOrder(neighbors=gd.Voronoi())}).compute()
    assert len(calls) == 3


def crystal(kind, noise=0.0):
    """Five cubic cells a side."""
    basis = {
        "fcc": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }[kind]
    corner = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), -1).reshape(-1, 1, 3)
    position = (corner + np.array(basis)).reshape(-1, 3)
    position += np.random.default_rng(0).normal(size=position.shape) * noise
    return gd.from_arrays(position, species=["A"] * len(position), box=[5.0] * 3)


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-7, 1e-4])
def test_minkowski_structure_metrics_do_not_see_faces_that_vanish(noise):
    """Mickel et al. (2013): q'_l is continuous, while noise gives fcc up to 18 neighbours, and Q_6 of less than 0.5."""
    rule = gd.Voronoi(weighted=True)
    made = {"bo": gd.BondOrder(neighbors=rule), "ld": gd.LechnerDellago(neighbors=rule)}
    made["unweighted"] = gd.BondOrder(neighbors=gd.Voronoi())
    found = gd.describe(crystal("fcc", noise), made)
    for kind in ("bo", "ld"):
        np.testing.assert_allclose(found[kind].sel(l=4), 0.19094, atol=1e-5 + 20 * noise)
        np.testing.assert_allclose(found[kind].sel(l=6), 0.57452, atol=1e-5 + 20 * noise)
    assert (found["unweighted"].sel(l=6).min() < 0.5) == (noise > 0)


def test_minkowski_structure_metrics_of_bcc():
    """Eight hexagons and six squares with the same edge: the faces of a truncated octahedron."""
    to_hexagon = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(-1, 3) / np.sqrt(3)
    unit = np.concatenate([to_hexagon, np.eye(3), -np.eye(3)])
    area = np.array([1.5 * np.sqrt(3)] * 8 + [1.0] * 6)
    expected = invariants(np.concatenate([unit.T, np.ones((1, 14))]), area, 1, 8)
    found = values(crystal("bcc"), gd.BondOrder(neighbors=gd.Voronoi(weighted=True)))[0]
    np.testing.assert_allclose(found, np.tile(expected, (len(found), 1)), atol=1e-12)


def test_vanishing_edges_in_the_plane():
    """The square lattice with noise has up to eight neighbours, four of which hardly touch."""
    square = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    noisy = square + np.random.default_rng(1).normal(size=square.shape) * 1e-8
    exact, shaken = (gd.from_arrays(position, species=["A"] * 64, box=[8.0, 8.0]) for position in (square, noisy))
    expected = values(exact, gd.BondOrder(cutoffs=1.2))
    np.testing.assert_allclose(values(shaken, gd.BondOrder(neighbors=gd.Voronoi(weighted=True))), expected, atol=1e-6)
    assert values(shaken, gd.Coordination(neighbors=gd.Voronoi())).max() > 4


@pytest.mark.parametrize("rule", [gd.Voronoi(weighted=True), gd.Voronoi()])
def test_neighbours_that_are_images_of_one_another(rule):
    """One cubic cell of a crystal, in which particles share several faces, as in many."""
    made = [gd.BondOrder(neighbors=rule), gd.LechnerDellago(neighbors=rule), gd.Coordination(neighbors=rule)]
    many = gd.describe(crystal("fcc"), made)
    position = crystal("fcc")["position"].values[0]
    first = position[(position < 0.9).all(axis=-1)]
    assert len(first) == 4
    one = gd.describe(gd.from_arrays(first, species=["A"] * 4, box=[1.0] * 3), made)
    for kind in ("bo", "ld", "coordination"):
        np.testing.assert_allclose(one[kind].values[0], many[kind].values[0, :4], atol=1e-12)


def test_particles_without_cells_have_no_neighbours():
    """A radical cell may be empty: nothing is defined there, and nobody is its neighbour."""
    rng = np.random.default_rng(5)
    position = rng.random((60, 3)) * 6
    position[-1] = position[0] + 0.05
    tiny = gd.from_arrays(position, species=["A"] * 59 + ["B"], box=[6.0] * 3)
    rule = gd.Voronoi(diameters={"A": 2.0, "B": 0.1}, weighted=True)
    assert rule.find(configuration_of(tiny), np.array([59])).counts[0] == 0
    found = gd.describe(tiny, [gd.BondOrder(neighbors=rule), gd.LechnerDellago(neighbors=rule)])
    for kind in ("bo", "ld"):
        assert np.isnan(found[kind].values[0, 59]).all()
        assert np.isfinite(found[kind].values[0, :59]).all()
    assert values(tiny, gd.Coordination(neighbors=rule))[0, 59] == 0


@pytest.mark.parametrize("cls", [gd.SOAP, gd.ACE, gd.RadialBondOrder, gd.RadialDensity, gd.TongTanaka])
def test_weights_that_would_be_ignored_are_refused(cls):
    given = {
        gd.TongTanaka: {"sigma": 1.0}, gd.ACE: {"r_cut": 1.5, "degree": 4},
        gd.SOAP: {"r_cut": 1.5, "n_max": 2, "l_max": 2, "sigma": 0.3},
    }.get(cls, {"grid": (1.0,)})  # fmt: skip
    with pytest.raises(ParameterError, match=rf"^{cls.__name__} counts all neighbours alike, found Voronoi"):
        cls(**given, neighbors=gd.Voronoi(weighted=True))


def test_every_descriptor_of_neighbours_takes_a_rule():
    taking = {name for name in DESCRIPTORS if "neighbors" in {f.name for f in dataclasses.fields(DESCRIPTORS[name])}}
    without = {"ackland_jones", "lfs", "local_energy", "local_yield_stress", "minkowski", "pair_entropy", "voronoi"}
    assert set(DESCRIPTORS) - taking == without


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_rules_are_written_and_read(rule):
    written = json.loads(json.dumps(plain(gd.BondOrder(neighbors=rule))))
    assert converted(written, Descriptor, "again") == gd.BondOrder(neighbors=rule)
    assert converted(written["neighbors"], Neighborhood, "neighbors") == rule
    assert make("bo", {"neighbors": written["neighbors"]}).neighbors == rule
    if rule == gd.SANN():
        assert make("bo", {"neighbors": "sann"}).neighbors == rule
