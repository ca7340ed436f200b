import numpy as np
import pytest

from glassdask.errors import BoxError, ParameterError, SpeciesError
from glassdask.kernels import nearest as kernels
from glassdask.neighborhood import configuration as configuration_module
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import SANN, Cutoff, KNearest
from glassdask.schema import species_codes
from tests.conftest import DATA
from tests.neighborhood.brute_neighbors import pairs

CUBE = np.eye(3)
SKEWED = np.array([[6.0, 0.0, 0.0], [2.1, 5.6, 0.0], [-1.7, 1.9, 5.9]])


def configuration_of(peer):
    name, trajectory, _ = peer
    codes, box = species_codes(trajectory), trajectory["box"].values[0]
    return Configuration(trajectory["position"].values[0], codes, box, ("A", "B"), name)


def fluid(seed=1, n=216, box=SKEWED):
    """A jittered lattice: disordered, but without overlaps or holes."""
    rng = np.random.default_rng(seed)
    side = round(n ** (1 / len(box)))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * len(box)), -1).reshape(-1, len(box))
    fraction = (lattice + 0.5 + rng.uniform(-0.3, 0.3, lattice.shape)) / side
    return Configuration(fraction @ box, np.arange(len(lattice)) % 2, box, ("A", "B"))


def crystal(basis, repeat=4):
    corner = np.stack(np.meshgrid(*[np.arange(float(repeat))] * len(basis[0])), -1).reshape(-1, 1, len(basis[0]))
    position = (corner + np.array(basis)).reshape(-1, len(basis[0]))
    return Configuration(position, np.zeros(len(position)), np.eye(len(basis[0])) * repeat, ("A",))


def sorted_neighbors(configuration):
    """Brute force: (distance, index) of all others within half the box, nearest first, for each particle."""
    d = configuration.dimension
    reach = 0.5 * configuration.widths.min()
    found = [[] for _ in configuration.position]
    for i, j, vector in pairs(configuration.position[:, :d], configuration.box[:d, :d], reach):
        found[i].append((float(np.linalg.norm(vector)), j))
    return [sorted(neighbors) for neighbors in found]


def lists(found):
    return [found.index[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:])]


# --- fixed cutoffs


def test_fixed_cutoffs_give_the_neighbours_that_partycls_gives(peer):
    name, _, cutoffs = peer
    expected = np.load(DATA / f"{name}_neighbors.npz")
    configuration = configuration_of(peer)
    found = Cutoff(cutoffs).find(configuration, np.arange(len(configuration.position)))
    assert np.array_equal(found.offsets, expected["fixed_offsets"])
    reference = [expected["fixed_indices"][a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:])]
    assert [sorted(x) for x in lists(found)] == reference


def test_cutoffs_are_checked():
    configuration = fluid()
    with pytest.raises(ParameterError, match="lacks B-B"):
        Cutoff({("A", "A"): 1.0, ("A", "B"): 1.0}).find(configuration, np.arange(3))
    with pytest.raises(SpeciesError, match="known species are A, B"):
        Cutoff({("A", "C"): 1.0}).find(configuration, np.arange(3))
    with pytest.raises(ParameterError, match="positive finite"):
        Cutoff(-1.0).find(configuration, np.arange(3))
    with pytest.raises(BoxError, match=r"about 2e\+09 neighbours.*in the unit of the positions"):
        Cutoff(800.0).find(configuration, np.arange(3))


# --- k nearest


@pytest.mark.parametrize("k", [1, 5, 12, 40])
@pytest.mark.parametrize("box", [SKEWED, CUBE * 6.0, np.eye(2) * 14.0, np.diag([5.6, 5.8, 7.0])])
def test_k_nearest_equals_brute_force(k, box):
    configuration = fluid(box=box)
    found = KNearest(k).find(configuration, np.arange(len(configuration.position)))
    expected = sorted_neighbors(configuration)
    assert lists(found) == [[j for _, j in neighbors[:k]] for neighbors in expected]
    distance = np.array([[d for d, _ in neighbors[:k]] for neighbors in expected])
    np.testing.assert_allclose(found.distance.reshape(-1, k), distance, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.vector[:3], axis=0), found.distance, atol=1e-12)


def test_only_the_centres_asked_for_in_their_order():
    configuration = fluid()
    whole = lists(KNearest(7).find(configuration, np.arange(216)))
    centers = np.random.default_rng(2).permutation(216)[:50]
    some = KNearest(7).find(configuration, centers)
    assert np.array_equal(some.centers, centers)
    assert lists(some) == [whole[i] for i in centers]
    assert KNearest(7).find(configuration, np.empty(0, int)).index.size == 0


def test_a_search_that_was_too_short_is_enlarged_for_those_that_need_it():
    # a dense drop in a large box, and a lone pair far away from it
    rng = np.random.default_rng(3)
    position = np.concatenate([rng.random((60, 3)) * 2.0 + 9.0, [[16.0, 10.0, 10.0], [16.5, 10.0, 10.0]]])
    configuration = Configuration(position, np.zeros(62), CUBE * 24.0, ("A",))
    for rule in (KNearest(6), SANN()):
        found = rule.find(configuration, np.arange(62))
        expected = sorted_neighbors(configuration)
        assert lists(found) == [[j for _, j in e[:n]] for e, n in zip(expected, found.counts)]
    assert KNearest(6).find(configuration, np.array([60])).index[0] == 61


def test_ties_go_to_the_lower_index():
    found = KNearest(2).find(crystal([[0.0, 0.0, 0.0]]), np.arange(64))
    expected = sorted_neighbors(crystal([[0.0, 0.0, 0.0]]))
    assert lists(found) == [[j for _, j in neighbors[:2]] for neighbors in expected]


def test_coincident_particles_are_the_nearest():
    position = np.array([[1.0, 1.0, 1.0]] * 3 + [[2.0, 1.0, 1.0], [1.0, 2.5, 1.0]])
    found = KNearest(3).find(Configuration(position, np.zeros(5), CUBE * 4.0, ("A",)), np.arange(5))
    assert lists(found)[0] == [1, 2, 3]
    assert found.distance[:3].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("k", [0, -3, 2.5, True, "6", np.nan])
def test_k_is_checked(k):
    with pytest.raises(ParameterError, match=r"KNearest.k: expected (int|a whole number of at least 1), found"):
        KNearest(k)


def test_not_enough_particles():
    three = Configuration(
        np.array([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5], [0.5, 1.5, 0.5]]), [0] * 3, CUBE * 4, "A", "frame 4",
        borders=Borders((False,) * 3, True),
    )  # fmt: skip
    with pytest.raises(ParameterError, match="k is 3, but a particle has only 2 others"):
        KNearest(3).find(three, np.arange(3))
    with pytest.raises(BoxError, match="in the unit of the positions"):
        KNearest(10**7).find(fluid(), np.arange(3))
    assert not SANN().find(three, np.arange(3)).known.any()


# --- SANN


def test_sann_equals_the_algorithm_and_pyscal(peer):
    expected = np.load(DATA / f"{peer[0]}_neighbors.npz")
    configuration = configuration_of(peer)
    found = SANN().find(configuration, np.arange(len(configuration.position)))
    assert np.array_equal(found.counts, expected["sann_count"])
    assert np.array_equal(found.counts, expected["sann_count_pyscal3"])
    reference = [set(expected["sann_indices"][a:b]) for a, b in zip(found.offsets, found.offsets[1:])]
    assert [set(x) for x in lists(found)] == reference
    radius = np.add.reduceat(found.distance, found.offsets[:-1]) / (found.counts - 2)
    np.testing.assert_allclose(radius, expected["sann_radius"], atol=1e-12)


def solid_angle_count(distance):
    return next(m for m in range(3, len(distance)) if sum(distance[:m]) / (m - 2) <= distance[m])


def plane_angle_count(distance):
    """The shell radius by bisection, as in the definition."""
    for m in range(3, len(distance)):
        r = np.array(distance[:m])
        low, high = r[-1], 1e3 * r[-1]
        if np.arccos(r / low).sum() >= np.pi:
            return m
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if np.arccos(r / middle).sum() >= np.pi else (middle, high)
        if high <= distance[m]:
            return m
    raise AssertionError("undecided")


@pytest.mark.parametrize("box, count", [(SKEWED, solid_angle_count), (np.eye(2) * 14.0, plane_angle_count)])
def test_sann_equals_brute_force(box, count):
    configuration = fluid(box=box)
    found = SANN().find(configuration, np.arange(len(configuration.position)))
    expected = sorted_neighbors(configuration)
    numbers = [count([d for d, _ in neighbors]) for neighbors in expected]
    assert found.counts.tolist() == numbers
    assert lists(found) == [[j for _, j in neighbors[:n]] for neighbors, n in zip(expected, numbers)]


HALF = 0.5
FCC = [[0, 0, 0], [0, HALF, HALF], [HALF, 0, HALF], [HALF, HALF, 0]]
BCC = [[0, 0, 0], [HALF, HALF, HALF]]


@pytest.mark.parametrize("basis, expected", [(FCC, 12), (BCC, 14), ([[0, 0, 0]], 18), ([[0, 0]], 4)])
def test_sann_in_crystals(basis, expected):
    # simple cubic: R(6) = 1.5 > sqrt(2), so all 12 second neighbours come in; square lattice: R(4) = sqrt(2) exactly
    configuration = crystal([[float(x) for x in b] for b in basis], repeat=6)
    counts = SANN().find(configuration, np.arange(len(configuration.position))).counts
    assert np.unique(counts).tolist() == [expected]


def test_sann_of_the_triangular_lattice_is_six():
    side = np.sqrt(3.0)
    rows = [[i + 0.5 * s, side * (j + 0.5 * s)] for i in range(8) for j in range(5) for s in (0, 1)]
    configuration = Configuration(np.array(rows), np.zeros(80), np.diag([8.0, 5 * side]), ("A",))
    assert np.unique(SANN().find(configuration, np.arange(80)).counts).tolist() == [6]


def test_sann_does_not_depend_on_the_unit_of_length():
    small, large = fluid(), fluid(box=SKEWED * 1e3)
    assert lists(SANN().find(small, np.arange(216))) == lists(SANN().find(large, np.arange(216)))


@pytest.mark.parametrize("dimension", [2, 3])
def test_sann_with_coincident_particles(dimension):
    # four particles on one point fill the sphere around each other at radius zero
    lattice = fluid(box=np.eye(dimension) * 10.0, n=10**dimension if dimension == 2 else 512)
    position = np.concatenate([lattice.position[:, :dimension], np.full((4, dimension), 5.0)])
    configuration = Configuration(position, np.zeros(len(position)), np.eye(dimension) * 10.0, ("A",))
    found = SANN().find(configuration, np.arange(len(position) - 4, len(position)))
    assert np.all(found.counts >= 3)
    for neighbors, center in zip(lists(found), found.centers):
        assert set(neighbors) >= set(range(len(position) - 4, len(position))) - {center}


@pytest.mark.parametrize("dimension", [2, 3])
def test_sann_has_three_neighbours_at_least_and_where_they_fill_the_sphere_no_more(dimension):
    # four particles next to each other and far from all others: three nearest, R(3) = 3 r_1 < r_4
    near = {
        2: [[0, 0], [0, 0.1], [0.0866, -0.05], [-0.0866, -0.05]],
        3: [[0, 0, 0], [0, 0.1, 0], [0.1, 0, 0], [0, 0, 0.1]],
    }
    far = np.stack(np.meshgrid(*[np.arange(1.0, 12.0, 2.0)] * dimension), -1).reshape(-1, dimension)
    position = np.concatenate([6.0 + np.array(near[dimension]), far])
    configuration = Configuration(position, np.zeros(len(position)), np.eye(dimension) * 12.0, ("A",))
    assert SANN().find(configuration, np.array([0])).counts.tolist() == [3]


@pytest.mark.parametrize("kernel", [kernels.count_solid_angle, kernels.count_solid_angle.py_func])
def test_two_candidates_never_decide(kernel):
    """Two on top of the centre have solid angles that add up to the sphere at radius 0, but m is at least 3."""
    counts = np.empty(2, np.int64)
    kernel(np.array([0, 2, 7]), np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 3.0]), np.full(2, 5.0), counts)
    assert counts.tolist() == [-1, 3]


# --- batches


@pytest.mark.parametrize("rule", [Cutoff(1.4), KNearest(12), SANN()])
def test_batches_of_any_size_give_the_same_neighbours(monkeypatch, rule):
    configuration = fluid(n=1000, box=CUBE * 10.0)
    centers = np.random.default_rng(4).permutation(1000)[:701]
    whole = rule.find(configuration, centers)
    monkeypatch.setattr(configuration_module, "BATCH_PAIRS", 10)
    rows_seen = []
    for rows, batch in rule.batches(configuration, centers):
        assert np.array_equal(batch.centers, centers[rows])
        rows_seen.append(rows.copy())
    assert len(rows_seen) > 3
    assert sorted(np.concatenate(rows_seen).tolist()) == list(range(701))
    cut = rule.find(configuration, centers)
    assert np.array_equal(whole.offsets, cut.offsets)
    assert np.array_equal(whole.index, cut.index)
    assert np.array_equal(whole.vector, cut.vector)


def test_kernels_as_plain_python(monkeypatch):
    for box in (CUBE * 6.0, np.eye(2) * 14.0):
        configuration = fluid(box=box)
        centers = np.arange(20)
        compiled = [rule.find(configuration, centers) for rule in (KNearest(9), SANN())]
        with monkeypatch.context() as patch:
            for name in ("sort_by_distance", "keep_first", "count_solid_angle", "count_plane_angle"):
                patch.setattr(kernels, name, getattr(kernels, name).py_func)
            plain = [rule.find(configuration, centers) for rule in (KNearest(9), SANN())]
        for a, b in zip(compiled, plain):
            assert lists(a) == lists(b)
