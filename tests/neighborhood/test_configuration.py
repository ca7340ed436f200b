import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassdask.errors import BoxError, PositionError
from glassdask.kernels import cells
from glassdask.neighborhood import configuration as module
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.configuration import Configuration, gather
from tests.neighborhood.brute_neighbors import sets

NAMES = ("A", "B")
CUBE = np.eye(3)
SKEWED = np.array([[4.0, 0.0, 0.0], [3.1, 3.6, 0.0], [-2.7, 2.9, 3.9]])
TURNED = np.array([[1.0, 3.5, 0.3], [-3.8, 0.9, 0.4], [0.2, -0.5, 4.1]])


def half_width(box):
    return 0.5 / np.linalg.norm(np.linalg.inv(box), axis=0).max()


def wrapped(fraction, box):
    return np.asarray(fraction, dtype=float) @ box


def check(position, box, cutoffs, species=None):
    """The cell lists give the brute force's neighbours, with its vectors and distances."""
    species = np.zeros(len(position), int) if species is None else species
    configuration = Configuration(position, species, box, NAMES)
    found = configuration.neighbors(np.arange(len(position)), cutoffs)
    expected = sets(position, species, box, cutoffs)
    for i, neighbors in enumerate(expected):
        part = slice(found.offsets[i], found.offsets[i + 1])
        assert sorted(found.index[part].tolist()) == sorted(neighbors), f"particle {i}"
        for j, vector in zip(found.index[part], found.vector[:, part].T):
            np.testing.assert_allclose(vector[: len(box)], neighbors[j], atol=1e-12)
            np.testing.assert_allclose(vector[3], np.linalg.norm(neighbors[j]), atol=1e-12)
    return found


@pytest.mark.parametrize("box", [CUBE * 4.0, SKEWED, TURNED, np.diag([4.0, 4.0, 60.0]), np.diag([40.0, 3.0, 3.5])])
@pytest.mark.parametrize("share", [0.31, 0.8, 1.0])
def test_equals_brute_force(box, share):
    rng = np.random.default_rng(3)
    position = wrapped(rng.random((70, 3)), box)
    r = share * half_width(box)
    check(position, box, np.array([[r, 0.7 * r], [0.7 * r, 0.5 * r]]), rng.integers(0, 2, 70))


@pytest.mark.parametrize("box", [np.eye(2) * 5.0, np.array([[5.0, 0.0], [4.0, 3.0]]), np.diag([3.0, 80.0])])
def test_equals_brute_force_in_two_dimensions(box):
    rng = np.random.default_rng(4)
    position = wrapped(rng.random((90, 2)), box)
    for share in (0.4, 1.0):
        r = share * half_width(box)
        found = check(position, box, np.array([[r, r], [r, 0.6 * r]]), rng.integers(0, 2, 90))
        assert np.all(found.vector[2] == 0.0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_brute_force_in_random_boxes(data):
    d = data.draw(st.sampled_from([2, 3]))
    entry = st.floats(-2.0, 2.0)
    box = np.diag(data.draw(st.lists(st.floats(2.0, 6.0), min_size=d, max_size=d)))
    lower = np.tril(np.array(data.draw(st.lists(entry, min_size=d * d, max_size=d * d))).reshape(d, d), -1)
    share = data.draw(st.floats(0.05, 1.0))
    # a small set of fractions makes coincident particles, faces, edges and corners common
    point = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.999999999, 0.1234, 0.77]), min_size=d, max_size=d)
    position = wrapped(data.draw(st.lists(point, min_size=1, max_size=12)), box + lower)
    # not a distance of the lattice of fractions, where rounding decides
    r = share * half_width(box + lower) * 0.99371
    check(position, box + lower, np.full((2, 2), r))


@pytest.mark.parametrize("box", [CUBE * 4.0, SKEWED])
def test_particles_on_faces_edges_and_corners(box):
    corners = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3), -1).reshape(-1, 3)
    upper = np.nextafter(1.0, 0.0)
    rim = [[upper, 0.2, 0.2], [upper, upper, 0.2], [upper, upper, upper], [0.2, 0.0, upper], [0.3, 0.9, 0.0]]
    check(wrapped(np.concatenate([corners, rim]), box), box, np.full((2, 2), half_width(box) * 0.999))


def test_a_particle_that_rounding_left_on_the_upper_face():
    box = CUBE * 3.0
    position = np.array([[3.0, 1.0, 1.0], [0.5, 1.0, 1.0], [2.4, 1.0, 1.0], [-1e-17, 2.0, 1.0]])
    check(position, box, np.full((2, 2), 1.45))


def test_box_of_exactly_two_cutoffs_sees_every_particle_once():
    box = CUBE * 2.0
    position = np.array([[0.1, 0.1, 0.1], [1.0, 0.1, 0.1], [1.9, 1.9, 1.9], [1.0, 1.0, 1.0]])
    check(position, box, np.full((2, 2), 1.0))
    with pytest.raises(
        BoxError, match=r"frame 7: the cutoff 1\.001 is more than half .* width 2: use a cutoff up to 1"
    ):
        Configuration(position, np.zeros(4), box, NAMES, "frame 7").check_radius(1.001)


def test_a_skewed_box_is_judged_by_its_width_not_by_its_edges():
    configuration = Configuration(np.zeros((1, 3)), [0], SKEWED, NAMES)
    faces = [np.cross(SKEWED[1], SKEWED[2]), np.cross(SKEWED[2], SKEWED[0]), np.cross(SKEWED[0], SKEWED[1])]
    np.testing.assert_allclose(configuration.widths, [np.linalg.det(SKEWED) / np.linalg.norm(f) for f in faces])
    configuration.check_radius(half_width(SKEWED))
    with pytest.raises(BoxError):
        configuration.check_radius(half_width(SKEWED) * 1.0001)


def test_nobody_near():
    position = np.array([[1.0, 1.0, 1.0], [5.0, 5.0, 5.0], [5.5, 5.0, 5.0]])
    found = check(position, CUBE * 10.0, np.full((2, 2), 1.0))
    assert found.counts.tolist() == [0, 1, 1]
    alone = Configuration(position[:1], [0], CUBE * 10.0, NAMES).neighbors(np.array([0]), np.full((2, 2), 5.0))
    assert alone.counts.tolist() == [0]
    assert (
        Configuration(position, [0, 0, 0], CUBE * 10.0, NAMES).neighbors(np.empty(0, int), np.ones((2, 2))).index.size
        == 0
    )


def test_coincident_particles_are_neighbours_at_distance_zero():
    position = np.array([[1.0, 1.0, 1.0]] * 3 + [[1.5, 1.0, 1.0]])
    found = check(position, CUBE * 4.0, np.full((2, 2), 1.0))
    assert found.counts.tolist() == [3, 3, 3, 3]
    assert (found.distance == 0.0).sum() == 6


def test_the_cutoff_itself_is_outside():
    position = np.array([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]])
    configuration = Configuration(position, [0, 0], CUBE * 4.0, NAMES)
    assert configuration.neighbors(np.arange(2), np.full((2, 2), 1.0)).counts.tolist() == [0, 0]
    assert configuration.neighbors(np.arange(2), np.full((2, 2), np.nextafter(1.0, 2.0))).counts.tolist() == [1, 1]


def test_translation_and_rewrapping_change_nothing():
    rng = np.random.default_rng(5)
    fraction = rng.random((60, 3))
    cutoffs = np.full((2, 2), 0.9 * half_width(SKEWED))
    distances = []
    for shift in (np.zeros(3), np.array([0.37, 0.9, 0.11])):
        moved = (fraction + shift) % 1.0 @ SKEWED
        distances.append(Configuration(moved, np.zeros(60), SKEWED, NAMES).neighbors(np.arange(60), cutoffs))
    assert distances[0].counts.tolist() == distances[1].counts.tolist()
    np.testing.assert_allclose(np.sort(distances[0].distance), np.sort(distances[1].distance), atol=1e-12)


@pytest.mark.parametrize("batch_pairs", [1, 40, 1000])
def test_batches_of_any_size_give_the_same_neighbours(monkeypatch, batch_pairs):
    rng = np.random.default_rng(6)
    position = wrapped(rng.random((300, 3)), CUBE * 6.0)
    configuration = Configuration(position, rng.integers(0, 2, 300), CUBE * 6.0, NAMES)
    cutoffs = np.array([[1.3, 1.0], [1.0, 0.8]])
    centers = rng.permutation(300)[:211]
    whole = configuration.neighbors(centers, cutoffs)
    monkeypatch.setattr(module, "BATCH_PAIRS", batch_pairs)
    seen = []
    for rows, batch in configuration.batches(centers, cutoffs):
        assert np.array_equal(batch.centers, centers[rows])
        seen.append(rows.copy())
    assert len(seen) > 1
    assert sorted(np.concatenate(seen).tolist()) == list(range(211))
    cut = configuration.neighbors(centers, cutoffs)
    assert np.array_equal(whole.offsets, cut.offsets)
    assert np.array_equal(whole.index, cut.index)
    assert np.array_equal(whole.vector, cut.vector)


@pytest.mark.parametrize("dimension", [2, 3])
def test_memory_of_a_dilute_system_follows_its_particles(dimension):
    position = np.random.default_rng(8).random((50, dimension)) * 1000.0
    grid = Configuration(position, np.zeros(50), np.eye(dimension) * 1000.0, NAMES).grid(0.5)
    assert len(grid.lists.starts) < 100 * 50


def test_a_long_box_is_cut_finely_along_its_length():
    position = np.random.default_rng(9).random((2000, 3)) * [4.0, 4.0, 125.0]
    grid = Configuration(position, np.zeros(2000), np.diag([4.0, 4.0, 125.0]), NAMES).grid(1.0)
    assert grid.lists.n_cells.tolist() == [4, 4, 125]


@pytest.mark.parametrize("box", [CUBE * 4.0, SKEWED])
def test_kernels_as_plain_python(monkeypatch, box):
    rng = np.random.default_rng(10)
    position = wrapped(rng.random((12, 3)), box)
    cutoffs = np.full((2, 2), 0.95 * half_width(box))
    compiled = Configuration(position, np.zeros(12), box, NAMES).neighbors(np.arange(12), cutoffs)
    for name in ("count_particles", "sort_particles", "find_neighbors"):
        monkeypatch.setattr(cells, name, getattr(cells, name).py_func)
    plain = Configuration(position, np.zeros(12), box, NAMES).neighbors(np.arange(12), cutoffs)
    assert np.array_equal(compiled.offsets, plain.offsets)
    assert np.array_equal(compiled.index, plain.index)
    np.testing.assert_allclose(compiled.vector, plain.vector, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("box", [CUBE * 4.0, SKEWED, TURNED, np.array([[5.0, 0.0], [4.0, 3.0]])])
@pytest.mark.parametrize("far", [1, 3, 1000])
def test_positions_outside_the_box_are_wrapped(box, far):
    rng = np.random.default_rng(5)
    position = wrapped(rng.random((60, len(box))), box)
    moved = position + rng.integers(-far, far + 1, position.shape) @ box
    before = moved.copy()
    r = 0.9 * half_width(box)
    names, cutoffs = np.zeros(60, int), np.array([[r]])
    found = Configuration(moved, names, box, NAMES)
    np.testing.assert_array_equal(moved, before)
    np.testing.assert_allclose(found.position[:, : len(box)], position, atol=1e-11 * far)
    expected = sets(position, names, box, cutoffs)
    neighbors = found.neighbors(np.arange(60), cutoffs)
    assert [set(part) for part in np.split(neighbors.index, neighbors.offsets[1:-1])] == [set(s) for s in expected]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("box", [CUBE * 8.0, 2.0 * SKEWED, TURNED, np.array([[9.0, 0.0], [4.0, 7.0]])])
def test_a_search_goes_on_in_the_cells_of_the_one_before(box, is_open, plain, monkeypatch):
    """Through more than one cell in each direction, past the faces, and without cell lists of its own."""
    if plain:
        monkeypatch.setattr(cells, "find_further", cells.find_further.py_func)
    rng, d = np.random.default_rng(6), len(box)
    position, species = wrapped(rng.random((300, d)), box), rng.integers(0, 2, 300)
    borders = Borders((False,) + (True,) * (d - 1), nothing_beyond=True) if is_open else None
    configuration = Configuration(position, species, box, NAMES, borders=borders)
    centers = rng.permutation(300)[:40]
    radius = 0.9 * configuration.largest_radius
    cutoffs = np.array([[radius, 0.8 * radius], [0.8 * radius, 0.7 * radius]])
    expected = gather(configuration.batches(centers, cutoffs), centers)
    again = Configuration(position, species, box, NAMES, borders=borders)
    before = 0.55 * radius
    again.grid(before)
    grids = []
    make = Configuration.grid
    monkeypatch.setattr(Configuration, "grid", lambda self, r: grids.append(r) or make(self, r))
    found = gather(again.batches(centers, cutoffs, before), centers)
    assert grids == [before]
    assert expected.counts.sum() > 200
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    owner = np.repeat(np.arange(40), found.counts)
    one, other = (np.lexsort((part.distance, part.index, owner)) for part in (found, expected))
    np.testing.assert_array_equal(found.index[one], expected.index[other])
    np.testing.assert_allclose(found.vector[:, one], expected.vector[:, other], atol=1e-12)


def test_searches_do_not_change_what_is_known_of_a_cluster():
    """How far its particles extend decides where cells are cut first, so faces would depend on earlier searches."""
    position = 0.2 * np.random.default_rng(3).random((30, 3)) + 0.4
    borders = Borders((False, False, False), nothing_beyond=True)
    cluster = Configuration(position, np.zeros(30), np.eye(3), ("A",), borders=borders)
    before = cluster.useful_radius
    for radius in (3.0, 0.1):
        cluster.neighbors(np.arange(30), np.array([[radius]]))
    assert cluster.useful_radius == before


def test_positions_nowhere_are_refused():
    position = np.array([[0.5, 0.5, 0.5], [1e17, 0.5, 0.5]])
    with pytest.raises(PositionError, match=r"^frame 7, particle 1: position .* boxes away"):
        Configuration(position, [0, 0], CUBE * 4.0, NAMES, label="frame 7")


def test_any_outside_as_python_and_compiled():
    inverse = np.linalg.inv(SKEWED)
    inside = np.random.default_rng(6).random((30, 3))
    for place, outside in ((0.5, False), (1.0, False), (1.0 + 1e-9, True), (-1e-9, True), (7.0, True), (np.nan, False)):
        for axis in range(3):
            fraction = inside.copy()
            fraction[29, axis] = place
            for function in (cells.any_outside, cells.any_outside.py_func):
                assert function(fraction @ SKEWED, inverse, 1e-12) == outside
