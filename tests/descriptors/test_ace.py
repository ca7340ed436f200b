"""Atomic cluster expansion: against explicit sums over clusters, symmetries, independence of the features."""

from __future__ import annotations

import itertools
import json
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.special import eval_legendre, sph_harm_y

import glassdask as gd
from glassdask.descriptors import ace_basis
from glassdask.descriptors.ace import ACE
from glassdask.errors import BoxError, ParameterError
from glassdask.kernels import ace as kernels
from glassdask.neighborhood.configuration import Configuration

DATA = Path(__file__).parents[1] / "data"
BOX = 20.0


def cluster_coordinates(plan):
    """Features as lists of (species, n, l) read back from the coordinates."""
    found = []
    for f in range(plan.shape[0]):
        size = plan.coords["ace_body_order"][1][f] - 1
        slots = range(1, size + 1)
        found.append([tuple(plan.coords[f"ace_{q}{t}"][1][f] for q in ("species", "n", "l")) for t in slots])
    return found


def expand(descriptor, vectors, species, dimension=3, reach=None):
    """Features of a particle with neighbours at `vectors`; `species` of the neighbours are 0 for A and 1 for B.

    `reach` : how far the neighbour list goes beyond the cutoff.
    """
    vectors = np.asarray(vectors, dtype=float).reshape(-1, dimension)
    position = np.concatenate([np.zeros((1, dimension)), vectors]) + BOX / 2
    codes = np.concatenate([[0], species]).astype(np.int8)
    configuration = Configuration(position, codes, np.eye(dimension) * BOX, ("A", "B"))
    plan = descriptor.plan(("A", "B"), dimension)
    cutoffs = plan.search if reach is None else np.full((2, 2), reach)
    out = np.full((1, *plan.shape), np.nan)
    plan.compute(configuration, configuration.neighbors(np.array([0]), cutoffs), out)
    return out[0]


def environment(rng, n, r_cut=4.0):
    """n neighbours of both species at distances from 0.7 to r_cut."""
    vectors = rng.normal(size=(n, 3))
    vectors *= (0.7 + (r_cut - 0.7) * rng.random((n, 1))) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.arange(n) % 2


def rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def three_j(l1, l2, l3):
    """3j symbols for l1 + l2 + l3 even from integrals of three harmonics and of three Legendre polynomials."""
    t, w = np.polynomial.legendre.leggauss(24)
    phi = 2 * pi * np.arange(32) / 32
    theta = np.arccos(t)[:, None]
    squared = 0.5 * np.sum(w * eval_legendre(l1, t) * eval_legendre(l2, t) * eval_legendre(l3, t))
    zero = (-1) ** ((l1 + l2 + l3) // 2) * sqrt(squared)
    table = {}
    for m1, m2 in itertools.product(range(-l1, l1 + 1), range(-l2, l2 + 1)):
        if abs(m1 + m2) <= l3:
            y = sph_harm_y(l1, m1, theta, phi) * sph_harm_y(l2, m2, theta, phi) * sph_harm_y(l3, -m1 - m2, theta, phi)
            gaunt = (y * w[:, None]).sum().real * 2 * pi / 32
            table[m1, m2] = gaunt / (zero * sqrt((2 * l1 + 1) * (2 * l2 + 1) * (2 * l3 + 1) / (4 * pi)))
    return table


def radial_function(n, r, r_cut, a):
    """R_n of paper B, Eq. 3, written out."""

    def y(s):
        return (1 + s**3) / (1 + s**3 + a * s**4)

    x = 1 - (y(r / r_cut) - y(1)) / (y(0) - y(1)) * (1 - r**4 / r_cut**4)
    return (x - 1) * sqrt(2 * n - 1) * eval_legendre(n - 1, 2 * x - 1)


def brute_force(descriptor, vectors, species, purified):
    """Sums over all clusters of distinct neighbours, or over all with repetition, one term after another."""
    r = np.linalg.norm(vectors, axis=1)
    theta, phi = np.arccos(vectors[:, 2] / r), np.arctan2(vectors[:, 1], vectors[:, 0])
    a = ace_basis.distance_transform(descriptor.r_cut, descriptor.r_0)[1]
    clusters = {}
    for size in (1, 2, 3):
        every = itertools.product(range(len(r)), repeat=size)
        clusters[size] = np.array([js for js in every if len(set(js)) == size or not purified])

    def one(function, m):
        s, n, l = function
        radial = radial_function(n, r, descriptor.r_cut, a)
        return (np.array(["A", "B"])[species] == s) * radial * sph_harm_y(l, m, theta, phi)

    def total(*factors):
        return np.sum(np.prod([f[j] for f, j in zip(factors, clusters[len(factors)].T)], axis=0))

    values = []
    for cluster in cluster_coordinates(descriptor.plan(("A", "B"), 3)):
        ls = [l for _, _, l in cluster]
        if len(cluster) == 1:
            value = sqrt(4 * pi) * total(one(cluster[0], 0))
        elif len(cluster) == 2:
            f, g = cluster
            value = sum((-1) ** m * total(one(f, m), one(g, -m)) for m in range(-ls[0], ls[0] + 1))
        else:
            f, g, h = cluster
            symbols = three_j(*ls)
            value = sum(c * total(one(f, m), one(g, k), one(h, -m - k)) for (m, k), c in symbols.items())
        assert abs(np.imag(value)) < 1e-12
        values.append(np.real(value))
    return np.array(values)


@pytest.mark.parametrize("purified", [True, False])
@pytest.mark.parametrize(
    "options", [{"degree": 6}, {"degree": 7.5, "n_max": 2, "w_l": 0.75}, {"degree": 4, "n_max": 6}]
)
def test_equals_sums_over_clusters(options, purified):
    rng = np.random.default_rng(5)
    descriptor = ACE(r_cut=3.0, r_0=1.1, purified=purified, **options)
    vectors, species = environment(rng, 9, 2.9)
    expected = brute_force(descriptor, vectors, species, purified)
    outside = np.array([[3.0, 0.0, 0.0], [0.0, -4.0, 1.0]])
    found = expand(descriptor, np.concatenate([outside, vectors]), np.concatenate([[0, 1], species]), reach=6.0)
    assert np.abs(expected).min() > 1e-9
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_compiled_equals_plain_python(monkeypatch):
    descriptor = ACE(r_cut=4.0, degree=7)
    vectors, species = environment(np.random.default_rng(2), 12)
    compiled = expand(descriptor, vectors, species)
    for name in ("gather", "radial", "harmonics", "project", "products", "combine", "expand"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    np.testing.assert_allclose(expand(descriptor, vectors, species), compiled, rtol=1e-11, atol=1e-13)


def test_many_centers_in_one_batch_equal_each_alone(liquid):
    """More centres than lanes, and a last group that is not full."""
    descriptor = ACE(r_cut=2.0, degree=6)
    together = gd.describe(liquid, [descriptor])["ace"].values[0]
    alone = gd.describe(liquid, [descriptor], block=1)["ace"].values[0]
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("purified", [True, False])
def test_invariance(purified):
    rng = np.random.default_rng(8)
    descriptor = ACE(r_cut=4.0, degree=9, purified=purified)
    vectors, species = environment(rng, 40)
    value = expand(descriptor, vectors, species)
    shuffle = rng.permutation(40)
    for other in (vectors @ rotation(rng), -vectors, vectors * [1, 1, -1]):
        np.testing.assert_allclose(expand(descriptor, other, species), value, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(expand(descriptor, vectors[shuffle], species[shuffle]), value, rtol=1e-9, atol=1e-12)
    assert np.abs(expand(descriptor, vectors, 1 - species) - value).max() > 0.1
    assert np.abs(expand(descriptor, vectors * [1, 1, 0.9], species) - value).max() > 0.1


def test_translation_and_wrapping(liquid):
    descriptor = ACE(r_cut=2.5, degree=7)
    value = gd.describe(liquid, [descriptor])["ace"].values
    box = liquid["box"].values
    moved = liquid["position"].values + 0.37 + np.array([1, -2, 3]) @ box[:, None]
    again = gd.from_arrays(moved, species=liquid["species"].values, box=box)
    np.testing.assert_allclose(gd.describe(again, [descriptor])["ace"].values, value, rtol=1e-9, atol=1e-11)


def test_continuity_at_the_cutoff():
    """The envelope falls as (1 - r / r_cut)^2, so a step of 1e-6 across the cutoff is felt at 1e-12."""
    descriptor = ACE(r_cut=4.0, degree=10)
    vectors, species = environment(np.random.default_rng(3), 60)
    shell = np.array([0.6, 0.48, 0.64])

    def at(r):
        return expand(descriptor, np.concatenate([vectors, [r * shell]]), np.concatenate([species, [1]]))

    assert np.abs(at(4.0 - 5e-7) - at(4.0 + 5e-7)).max() < 1e-8
    assert np.abs(at(3.9) - at(4.0)).max() > 1e-4
    inside = np.abs(at(3.0) - at(3.0 + 1e-6)).max()
    assert 0 < inside < 1e-3


def test_without_self_interaction_few_neighbors_make_no_clusters():
    rng = np.random.default_rng(4)
    pure, plain = ACE(r_cut=4.0, degree=10), ACE(r_cut=4.0, degree=10, purified=False)
    bodies = pure.plan(("A", "B"), 3).coords["ace_body_order"][1]
    for n in (1, 2, 3):
        vectors, _ = environment(rng, n, 1.5)
        value = expand(pure, vectors, np.zeros(n, int))
        assert np.abs(value[bodies > n + 1]).max(initial=0) < 1e-12
        assert np.abs(value[bodies == n + 1]).max() > 1e-2
        assert np.abs(expand(plain, vectors, np.zeros(n, int))[bodies > n + 1]).max(initial=1) > 1e-2


def test_purified_differs_from_plain_only_where_a_pair_of_factors_has_one_species():
    vectors, species = environment(np.random.default_rng(6), 30)
    pure = expand(ACE(r_cut=4.0, degree=8), vectors, species)
    plain = expand(ACE(r_cut=4.0, degree=8, purified=False), vectors, species)
    clusters = cluster_coordinates(ACE(r_cut=4.0, degree=8).plan(("A", "B"), 3))
    repeats = np.array([len({s for s, _, _ in cluster}) < len(cluster) for cluster in clusters])
    np.testing.assert_array_equal(pure[~repeats], plain[~repeats])
    assert np.abs(pure - plain)[repeats].min() > 1e-6


def character(l, angle, power, mirrored, dimension):
    """Character of the power of a group element (a rotation, or one with inversion or reflection) in l (or |m|)."""
    if dimension == 3:
        parity = (-1) ** (l * power) if mirrored else 1
        return parity * (1 + 2 * sum(np.cos(m * power * angle) for m in range(1, l + 1)))
    if l == 0:
        return np.ones_like(angle)
    if mirrored:  # a reflection has trace 0, its square is the identity
        return np.full_like(angle, 0.0 if power % 2 else 2.0)
    return 2 * np.cos(l * power * angle)


def molien(n_species, degree, factors, dimension):
    """Number of invariants in products of two or three one-particle functions up to the degree, from characters alone.

    Functions of degree n + 1.5 l span representations l of O(3), or |m| of O(2). The invariants in their symmetric
    power are counted by the group average of (c1^2 + c2) / 2 or (c1^3 + 3 c1 c2 + 2 c3) / 6, c_k the character of the
    k-th power of an element, as a series in the degree (in halves).
    """
    size = 2 * degree + 1
    angle, weight = np.polynomial.legendre.leggauss(60)
    angle = pi * (angle + 1) / 2
    weight = weight * ((1 - np.cos(angle)) / 2 if dimension == 3 else 0.5)
    total = 0.0
    for mirrored in (False, True):
        c = np.zeros((4, size, len(angle)))
        for power, n, l in itertools.product((1, 2, 3), range(1, degree + 1), range(degree)):
            at = power * (2 * n + 3 * l)
            if at < size:
                c[power, at] += n_species * character(l, angle, power, mirrored, dimension)

        def times(a, b):
            return np.array([sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(size)])

        if factors == 2:
            series = (times(c[1], c[1]) + c[2]) / 2
        else:
            series = (times(times(c[1], c[1]), c[1]) + 3 * times(c[1], c[2]) + 2 * c[3]) / 6
        total += 0.5 * np.sum(weight * series.sum(axis=0))
    return total


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("n_species, degree", [(1, 10), (2, 10), (3, 6), (1, 18)])
def test_there_are_as_many_features_as_invariants(n_species, degree, dimension):
    names = ("A", "B", "C")[:n_species]
    coords = ACE(r_cut=4.0, degree=degree).plan(names, dimension).coords
    found = [int(np.sum(coords["ace_body_order"][1] == b)) for b in (2, 3, 4)]
    expected = [molien(n_species, degree, factors, dimension) for factors in (2, 3)]
    assert found[0] == n_species * degree
    np.testing.assert_allclose(found[1:], expected, rtol=1e-9)
    if (n_species, degree, dimension) == (2, 10, 3):
        assert found == [20, 154, 400]


def test_same_functions_as_another_expansion():
    """python-ace lists the same multisets of (n, l) for one species, and none of two that is not here."""
    peer = {tuple(map(tuple, f)) for f in json.loads((DATA / "ace_pyace_functions.json").read_text())}
    mine = set(ace_basis.features(2, 15.0, 6, 1.5, 4, 3))
    limits = {1: (6, 0), 2: (3, 3), 3: (2, 2)}

    def listed(cluster):
        n_max, l_max = limits[len(cluster)]
        return all(s == 0 and n <= n_max and l <= l_max for s, n, l in cluster)

    assert {f for f in mine if listed(f)} == {f for f in peer if listed(f)}
    assert peer < mine
    assert len([f for f in peer if listed(f)]) == 6 + 24 + 26


@pytest.mark.parametrize("purified", [True, False])
@pytest.mark.parametrize("dimension", [2, 3])
def test_features_are_linearly_independent(dimension, purified):
    rng = np.random.default_rng(7)
    descriptor = ACE(r_cut=3.0, degree=7.5, purified=purified, w_l=1.0)
    samples = []
    n_features = descriptor.plan(("A", "B"), dimension).shape[0]
    for _ in range(2 * n_features):
        vectors, species = environment(rng, 14, 2.9)
        samples.append(expand(descriptor, vectors[:, :dimension], species, dimension))
    samples = np.array(samples)
    assert (samples.std(axis=0) > 0).all()
    values = np.linalg.svd((samples - samples.mean(axis=0)) / samples.std(axis=0), compute_uv=False)
    # 1e-16 is the level of a dependence
    assert values[-1] / values[0] > 1e-9


def test_order_and_labels():
    coords = {name: values for name, (_, values) in ACE(r_cut=4.0, degree=10).plan(("A", "B"), 3).coords.items()}
    labels = coords["ace_feature"].tolist()
    assert labels[:21] == [*(f"A{n}" for n in range(1, 11)), *(f"B{n}" for n in range(1, 11)), "A1 A1 l=0"]
    assert labels[-1].startswith("B")
    assert len(set(labels)) == len(labels)
    assert (np.diff(coords["ace_body_order"]) >= 0).all()
    together = np.char.add(np.char.add(coords["ace_species1"], coords["ace_species2"]), coords["ace_species3"])
    block = np.char.add(coords["ace_body_order"].astype(str), together)
    for name in np.unique(block):
        assert (np.diff(np.flatnonzero(block == name)) == 1).all()
        assert (np.diff(coords["ace_degree"][block == name]) >= 0).all()
    where = labels.index("A1 B2 l=1")
    assert [coords[f"ace_{q}{t}"][where] for t in (1, 2, 3) for q in ("species", "n", "l")] == [
        "A", 1, 1, "B", 2, 1, "", -1, -1,
    ]  # fmt: skip
    assert coords["ace_degree"][where] == 6.0
    assert "A1 A1 B2 l=1,1,0" in labels
    assert coords["ace_degree"].max() == 10


def test_largest_radial_order():
    polymer = ACE(r_cut=4.0, degree=18, n_max=20).plan(("A",), 3).coords
    assert np.sum(polymer["ace_body_order"][1] == 2) == 20
    assert polymer["ace_degree"][1][polymer["ace_body_order"][1] > 2].max() <= 18
    short = ACE(r_cut=4.0, degree=10, n_max=3).plan(("A",), 3).coords
    assert max(short[f"ace_n{t}"][1].max() for t in (1, 2, 3)) == 3
    # what is left is what the full set has with n <= 3, and has the same values
    full = ACE(r_cut=4.0, degree=10)
    vectors, species = environment(np.random.default_rng(1), 30)
    labels = full.plan(("A", "B"), 3).coords["ace_feature"][1]
    kept = np.isin(labels, ACE(r_cut=4.0, degree=10, n_max=3).plan(("A", "B"), 3).coords["ace_feature"][1])
    np.testing.assert_allclose(
        expand(ACE(r_cut=4.0, degree=10, n_max=3), vectors, species), expand(full, vectors, species)[kept], atol=1e-12
    )


@pytest.mark.parametrize("r_cut, r_0", [(4.0, 1.0), (2.5, 1.0), (1.5, 1.2)])
def test_radial_basis(r_cut, r_0):
    descriptor = ACE(r_cut=r_cut, degree=12, r_0=r_0)
    a = ace_basis.distance_transform(r_cut, r_0)[1]
    r = np.linspace(0, r_cut, 200_001)
    s = r / r_cut
    y = (1 + s**3) / (1 + s**3 + a * s**4)
    steepest = r[np.argmax(np.abs(np.gradient(y, r)))]
    assert steepest == pytest.approx(r_0, abs=2e-4)
    basis = descriptor.radial_basis(r)
    for n in range(1, 13):
        np.testing.assert_allclose(basis[n - 1, 1:-1], radial_function(n, r[1:-1], r_cut, a), atol=1e-12)
        assert np.sum(np.diff(np.sign(basis[n - 1, 1:-1])) != 0) == n - 1
    # orthonormal in x on [0, 1]: R_1 = x - 1 gives x
    x = 1 + basis[0]
    assert (np.diff(x[2000:]) > 0).all()
    assert x[0] == pytest.approx(0)
    assert x[-1] == pytest.approx(1)
    p = basis[:, :-1] / (x[:-1] - 1)
    gram = np.trapezoid(p[:, None, :-1] * p[None, :, :-1], x[:-2], axis=-1)
    np.testing.assert_allclose(gram, np.eye(12), atol=2e-3)
    assert (descriptor.radial_basis([r_cut, 2 * r_cut]) == 0).all()


def test_products_of_radial_functions():
    basis = ACE(r_cut=4.0, degree=12).radial_basis(np.linspace(0, 4, 50))
    products = ace_basis.RadialProducts(12)
    for n in [(1, 1), (2, 5), (4, 4), (1, 2, 3), (4, 4, 4)]:
        expected = np.prod([basis[k - 1] for k in n], axis=0)
        np.testing.assert_allclose(products(*n) @ basis[: sum(n)], expected, atol=1e-12)


@pytest.mark.parametrize("ls", [(0, 0, 0), (1, 1, 0), (2, 1, 1), (2, 2, 2), (4, 3, 1), (5, 5, 4)])
def test_wigner_3j(ls):
    for (m1, m2), value in three_j(*ls).items():
        assert ace_basis.wigner_3j(*ls, m1, m2, -m1 - m2) == pytest.approx(value, abs=1e-12)


def test_wigner_3j_of_odd_sums_and_large_degrees():
    assert ace_basis.wigner_3j(1, 1, 1, 1, -1, 0) == pytest.approx(1 / sqrt(6))
    assert ace_basis.wigner_3j(1, 1, 3, 0, 0, 0) == 0
    total = sum(ace_basis.wigner_3j(30, 28, 26, m, 3 - m, -3) ** 2 for m in range(-25, 31))
    assert total * 53 == pytest.approx(1, abs=1e-12)


def test_crystal():
    """Inversion and cubic symmetry: A vanishes for l = 1, 2, so plain products of these do; 2-body terms are exact."""
    cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0] * 3)
    descriptor = ACE(r_cut=1.5, degree=10)
    pure = gd.describe(crystal, [descriptor])["ace"][0].values
    plain = gd.describe(crystal, [ACE(r_cut=1.5, degree=10, purified=False)])["ace"][0]
    with_l = plain["ace_l1"] + plain["ace_l2"].where(plain["ace_l2"] > 0, 0) > 0
    r_1, r_2 = descriptor.radial_basis([1.0, sqrt(2)]).T
    np.testing.assert_allclose(plain.values[:, :10], np.broadcast_to(6 * r_1 + 12 * r_2, (64, 10)), rtol=1e-12)
    assert np.abs(plain.values[:, with_l.values]).max() < 1e-12
    np.testing.assert_allclose(pure, np.broadcast_to(pure[0], pure.shape), atol=1e-12)
    labels = plain["ace_feature"].values.tolist()
    repeated = 6 * r_1[0] * r_1[1] + 12 * r_2[0] * r_2[1]
    np.testing.assert_allclose(pure[0, labels.index("A1 A2 l=1")], -3 / (4 * pi) * repeated)


def test_two_dimensions(liquid):
    flat = gd.from_arrays(
        liquid["position"].values[:1, :, :2], species=liquid["species"].values, box=[liquid["box"].values[0, :2, :2]]
    )
    descriptor = ACE(r_cut=2.0, degree=9)
    value = gd.describe(flat, [descriptor])["ace"].values
    coords = descriptor.plan(("A", "B"), 2).coords
    l = np.stack([coords[f"ace_l{t}"][1] for t in (1, 2, 3)])[:, coords["ace_body_order"][1] == 4]
    assert (2 * l.max(axis=0) == l.sum(axis=0)).all()
    cell = flat["box"].values[0][::-1, ::-1]
    swapped = gd.from_arrays(
        flat["position"].values[..., ::-1], species=flat["species"].values, box=[cell], box_vectors="rows"
    )
    np.testing.assert_allclose(gd.describe(swapped, [descriptor])["ace"].values, value, rtol=1e-9, atol=1e-11)


def test_no_neighbors_and_coincident_neighbors():
    descriptor = ACE(r_cut=3.0, degree=7)
    assert (expand(descriptor, np.empty((0, 3)), []) == 0).all()
    coincident = expand(descriptor, [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [0, 0])
    coords = descriptor.plan(("A", "B"), 3).coords
    directed = np.max([coords[f"ace_l{t}"][1] for t in (1, 2, 3)], axis=0) > 0
    of_a = np.all([coords[f"ace_species{t}"][1] != "B" for t in (1, 2, 3)], axis=0)
    assert np.isnan(coincident[directed & of_a]).all()
    assert np.isfinite(coincident[~directed]).all()


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"r_cut": 0.0}, "r_cut"),
        ({"r_cut": np.nan}, "r_cut"),
        ({"r_0": 4.0}, "r_0"),
        ({"r_0": -1.0}, "r_0"),
        ({"degree": 0.5}, "degree"),
        ({"degree": np.inf}, "degree"),
        ({"n_max": 0}, "n_max"),
        ({"n_max": 2.5}, "n_max"),
        ({"body_order": 5}, "body_order"),
        ({"w_l": 0.0}, "w_l"),
        ({"w_l": 0.01}, "at most 32"),
    ],
)
def test_bad_parameters(bad, message):
    with pytest.raises(ParameterError, match=message):
        ACE(**{"r_cut": 4.0, "degree": 10, **bad})


def test_too_many_features():
    with pytest.raises(ParameterError, match="more than 100000 features"):
        ACE(r_cut=4.0, degree=40).plan(("A", "B"), 3)


def test_a_cutoff_in_another_unit(liquid):
    with pytest.raises(BoxError, match="cutoff"):
        gd.describe(liquid, [ACE(r_cut=400.0, degree=5)])
