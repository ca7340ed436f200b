"""Voronoi cells: crystals, other programs, half-space intersections, invariances, tiny and huge boxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

import glassdask as gd
from glassdask.errors import ConvergenceError, ParameterError, SpeciesError
from glassdask.kernels import polyhedra, simple_cells
from glassdask.neighborhood import voronoi
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import KNearest
from glassdask.neighborhood.voronoi import Voronoi, tessellate
from tests.conftest import DATA
from tests.neighborhood.brute_neighbors import images

BASIS = {
    "sc": np.zeros((1, 3)),
    "bcc": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    "fcc": np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
}
SIGNATURE = {"sc": (0, 6, 0, 0), "bcc": (0, 6, 0, 8), "fcc": (0, 12, 0, 0)}
# nearest and, for bcc, second neighbours; edge of the cubic cell 1
DISTANCES = {"sc": {1.0: 6}, "bcc": {np.sqrt(0.75): 8, 1.0: 6}, "fcc": {np.sqrt(0.5): 12}}
PRIMITIVE = {
    "sc": np.eye(3),
    "bcc": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "fcc": np.array([[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]),
}


def one_species(position, box):
    return Configuration(np.asarray(position, float), np.zeros(len(position), np.int8), np.asarray(box, float), ("A",))


def mixture(n, box, seed, dimension=3):
    rng = np.random.default_rng(seed)
    box = np.asarray(box, float)
    return Configuration(rng.random((n, dimension)) @ box, np.arange(n) % 2, box, ("A", "B"))


def assert_same(one, other):
    """Equal cells; the faces of each may come in any order."""
    np.testing.assert_allclose(one.volume, other.volume, rtol=1e-11)
    np.testing.assert_array_equal(one.neighbors.offsets, other.neighbors.offsets)
    for cells in (one, other):
        assert cells.neighbors.distance == pytest.approx(np.linalg.norm(cells.neighbors.vector[:3], axis=0))
    rows = np.arange(len(one.volume))
    order = [
        np.lexsort((*c.neighbors.vector[:3].round(6), c.neighbors.index, np.repeat(rows, c.neighbors.counts)))
        for c in (one, other)
    ]
    np.testing.assert_array_equal(one.neighbors.index[order[0]], other.neighbors.index[order[1]])
    np.testing.assert_array_equal(one.edges[order[0]], other.edges[order[1]])
    np.testing.assert_allclose(one.area[order[0]], other.area[order[1]], atol=1e-11)
    np.testing.assert_allclose(one.neighbors.vector[:, order[0]], other.neighbors.vector[:, order[1]], atol=1e-11)


@pytest.mark.parametrize("kind", ["sc", "bcc", "fcc"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_perfect_crystals(kind, n):
    cells = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    cubic = one_species((cells + BASIS[kind] + 0.2).reshape(-1, 3), np.eye(3) * n)
    primitive = one_species(cells.reshape(-1, 3) @ PRIMITIVE[kind], PRIMITIVE[kind] * n)
    for configuration in (cubic, primitive):
        found = tessellate(configuration, np.arange(len(configuration.position)))
        assert found.volume == pytest.approx(1 / len(BASIS[kind]), rel=1e-12)
        assert (found.signature() == SIGNATURE[kind]).all()
        distances, counts = np.unique(found.neighbors.distance.round(9), return_counts=True)
        assert dict(zip(distances, counts / len(found.volume))) == {
            round(float(r), 9): z for r, z in DISTANCES[kind].items()
        }


def test_radical_cells_of_caesium_chloride():
    # the plane between unlike neighbours at distance d is (d^2 + R_A^2 - R_B^2) / 2 d from A: truncated octahedra again
    cells = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    position = (cells + BASIS["bcc"]).reshape(-1, 3)
    crystal = Configuration(position, np.tile([0, 1], 64), np.eye(3) * 4.0, ("A", "B"))
    radii = np.array([0.5, 0.4])
    found = tessellate(crystal, np.arange(128), radii)
    d = np.sqrt(0.75)
    for species, own, other in ((0, *radii), (1, *radii[::-1])):
        h = (d * d + own**2 - other**2) / (2 * d)
        # the octahedron |x| + |y| + |z| < a less its six corners beyond the planes half way to the second neighbours
        a = h * np.sqrt(3)
        assert found.volume[species::2] == pytest.approx(4 / 3 * a**3 - 4 * (a - 0.5) ** 3, rel=1e-12)
        assert (found.signature()[species::2] == (0, 6, 0, 8)).all()
    assert found.volume[:2].sum() == pytest.approx(1.0, rel=1e-12)
    assert found.volume[0] > found.volume[1]


@pytest.mark.parametrize("name", ["wahn_N1000", "kalj_N150"])
@pytest.mark.parametrize("kind", ["plain", "radical"])
def test_equals_other_programs(name, kind):
    data, kept = np.load(DATA / f"{name}.npz"), np.load(DATA / f"{name}_local_order.npz")
    species = (data["species"] == "B").astype(np.int8)
    configuration = Configuration(data["position"] % data["box"], species, np.diag(data["box"]), ("A", "B"))
    found = tessellate(configuration, np.arange(len(species)), kept["radii"] if kind == "radical" else None)
    np.testing.assert_allclose(found.volume, kept[f"{kind}_volume"], rtol=1e-12)
    np.testing.assert_array_equal(found.signature(tuple(range(3, 16))), kept[f"{kind}_signature"])
    np.testing.assert_array_equal(found.neighbors.offsets, kept[f"{kind}_offsets"])
    rows = np.repeat(np.arange(len(species)), found.neighbors.counts)
    order = np.lexsort((found.neighbors.index, rows))
    np.testing.assert_array_equal(found.neighbors.index[order], kept[f"{kind}_indices"])


def test_two_dimensions_equal_freud():
    data, kept = np.load(DATA / "ka2d_N1290.npz"), np.load(DATA / "ka2d_N1290_voronoi.npz")
    configuration = one_species(data["position"], np.diag(data["box"]))
    found = tessellate(configuration, np.arange(1290))
    np.testing.assert_allclose(found.volume, kept["area"], atol=1e-5)
    rows = np.repeat(np.arange(1290), found.neighbors.counts)
    mine, theirs = np.lexsort((found.neighbors.index, rows)), np.lexsort(kept["pairs"].T[::-1])
    np.testing.assert_array_equal(np.stack([rows, found.neighbors.index])[:, mine], kept["pairs"][theirs].T)
    np.testing.assert_allclose(found.area[mine], kept["length"][theirs], atol=1e-5)
    assert found.volume.sum() == pytest.approx(np.prod(data["box"]), rel=1e-12)


BOXES = {
    "cube": np.eye(3) * 4.0,
    "tiny": np.diag([1.1, 1.3, 0.9]),
    "rod": np.diag([1.0, 1.0, 9.0]),
    "skewed": np.array([[4.0, 0, 0], [1.9, 3.5, 0], [-1.5, 1.2, 3.0]]),
    "sheared": np.array([[2.0, 0, 0], [0.99, 2.0, 0], [0, 0, 9.0]]),
    "plane": np.eye(2) * 5.0,
    "skewed plane": np.array([[5.0, 0], [2.4, 4.0]]),
    "tiny plane": np.array([[1.0, 0], [0.3, 1.1]]),
}


@pytest.mark.parametrize("shape", list(BOXES))
@pytest.mark.parametrize("radii", [None, (0.5, 0.42)])
@pytest.mark.parametrize("n", [1, 4, 60])
def test_equals_intersections_of_half_spaces(shape, radii, n):
    box = BOXES[shape]
    dimension = len(box)
    configuration = mixture(n, box, seed=n, dimension=dimension)
    spacing = configuration.density ** (-1 / dimension)
    own = np.zeros(2) if radii is None else np.array(radii) * spacing
    found = tessellate(configuration, np.arange(n), own)
    position, species = configuration.position[:, :dimension], configuration.species
    assert found.volume.sum() == pytest.approx(abs(np.linalg.det(box)), rel=1e-10)
    shift = images(box, max(4 * spacing, 1.5 * np.abs(box).max() * (n < 10)))
    everyone = (position[None] + shift[:, None]).reshape(-1, dimension)
    owner = np.tile(np.arange(n), len(shift))
    compared = 0
    for i in range(0, n, 7):
        vector = everyone - position[i]
        d2 = (vector**2).sum(axis=1)
        # |r|^2 - R_i^2 <= |r - v|^2 - R_j^2  <=>  2 v.r - |v|^2 - R_i^2 + R_j^2 <= 0
        offset = -d2 - own[species[i]] ** 2 + own[species[owner]] ** 2
        near = d2 > 1e-12
        vector, offset = vector[near], offset[near]
        if offset.max() >= 0:
            continue  # the particle is outside its radical cell, which SciPy cannot start from
        cell = HalfspaceIntersection(np.column_stack([2 * vector, offset]), np.zeros(dimension))
        hull = ConvexHull(cell.intersections)
        mine = slice(*found.neighbors.offsets[i : i + 2])
        assert found.volume[i] == pytest.approx(hull.volume, rel=1e-9)
        assert found.area[mine].sum() == pytest.approx(hull.area, rel=1e-7)
        touching = vector[np.unique(np.concatenate(cell.dual_facets))]
        for there, area in zip(found.neighbors.vector[:dimension, mine].T, found.area[mine]):
            assert area < 1e-6 or np.abs(touching - there).max(axis=1).min() < 1e-9
        compared += 1
    assert compared


@pytest.mark.parametrize("shape", ["cube", "skewed", "tiny", "plane"])
def test_neighbors_are_mutual(shape):
    configuration = mixture(50, BOXES[shape], seed=5, dimension=len(BOXES[shape]))
    found = tessellate(configuration, np.arange(50), np.array([0.3, 0.25]) * configuration.density ** (-1 / 3))
    rows = np.repeat(np.arange(50), found.neighbors.counts)
    there = np.column_stack([rows, found.neighbors.index, found.area * 0, found.neighbors.vector[:3].T])
    back = np.column_stack([found.neighbors.index, rows, found.area * 0, -found.neighbors.vector[:3].T])
    order = [np.lexsort(table.round(8).T[::-1]) for table in (there, back)]
    np.testing.assert_allclose(there[order[0]], back[order[1]], atol=1e-8)
    np.testing.assert_allclose(found.area[order[0]], found.area[order[1]], atol=1e-10)


@pytest.mark.parametrize("shape", ["cube", "skewed", "plane"])
def test_a_block_of_centres_has_the_cells_of_the_whole(shape):
    configuration = mixture(300, BOXES[shape], seed=1, dimension=len(BOXES[shape]))
    radii = np.array([0.2, 0.15])
    centers = np.random.default_rng(0).permutation(300)[:40]
    whole = tessellate(configuration, np.arange(300), radii)
    assert_same(tessellate(configuration, centers, radii), whole.take(centers))
    assert len(tessellate(configuration, np.empty(0, int), radii).volume) == 0


def test_moving_and_renumbering_changes_nothing():
    configuration = mixture(400, BOXES["skewed"], seed=2)
    radii = np.array([0.2, 0.15])
    whole = tessellate(configuration, np.arange(400), radii)
    order = np.random.default_rng(3).permutation(400)
    fraction = (configuration.position + np.array([0.3, -1.2, 2.2])) @ configuration.inverse
    moved = Configuration(
        ((fraction % 1.0) @ configuration.box)[order], configuration.species[order], configuration.box, ("A", "B")
    )
    found = tessellate(moved, np.arange(400), radii)
    expected = whole.take(order)
    np.testing.assert_allclose(found.volume, expected.volume, rtol=1e-10)
    np.testing.assert_array_equal(found.signature(), expected.signature())
    np.testing.assert_allclose(np.sort(found.area), np.sort(expected.area), atol=1e-10)


def all_undecided(monkeypatch):
    """As if in every cell four planes met in a corner."""
    monkeypatch.setattr(simple_cells, "cut_simple_cells", lambda *given: given[-1].status.fill(polyhedra.UNDECIDED))


@pytest.mark.parametrize("shape", ["cube", "skewed", "plane"])
@pytest.mark.parametrize("radii", [(0.0, 0.0), (0.5, 0.4), (0.9, 0.1)])
def test_simple_cells_are_those_of_any_corners(shape, radii, monkeypatch):
    """Two programs for the same cells; particles at random have empty cells among the radical ones."""
    dimension = len(BOXES[shape])
    rng = np.random.default_rng(12)
    position = rng.random((400, dimension)) @ BOXES[shape]
    configuration = Configuration(position, rng.integers(0, 2, 400), BOXES[shape], ("A", "B"))
    radii = np.array(radii) * configuration.density ** (-1 / dimension)
    decided = []
    original = simple_cells.cut_simple_cells
    monkeypatch.setattr(
        simple_cells, "cut_simple_cells",
        lambda *given: (original(*given), decided.append((given[-1].status != polyhedra.UNDECIDED).all())),
    )  # fmt: skip
    simple = tessellate(configuration, np.arange(400), radii)
    assert all(decided)
    assert (simple.neighbors.counts == 0).any() == (radii[1] < 0.2 * radii[0])
    all_undecided(monkeypatch)
    configuration.cells.clear()
    assert_same(simple, tessellate(configuration, np.arange(400), radii))


@pytest.mark.parametrize("simple", [True, False])
@pytest.mark.parametrize("shape", ["cube", "skewed", "plane"])
@pytest.mark.parametrize("reach, faces", [(0.3, 64), (1.0, 7), (4.0, 10)])
def test_the_first_guess_does_not_matter(shape, reach, faces, simple, monkeypatch):
    """Cells that need more candidates, or room for more faces, are cut again; narrow boxes are repeated."""
    if not simple:
        all_undecided(monkeypatch)
    dimension = len(BOXES[shape])
    configuration = mixture(300, BOXES[shape], seed=7, dimension=dimension)
    radii = np.array([0.5, 0.4]) * configuration.density ** (-1 / dimension)
    whole = tessellate(configuration, np.arange(300), radii)
    monkeypatch.setitem(voronoi.REACH, dimension, reach)
    monkeypatch.setattr(voronoi, "FACES", faces)
    assert_same(tessellate(configuration, np.arange(300), radii), whole)


@pytest.mark.parametrize("rule", [Voronoi(), KNearest(12)])
def test_second_searches_make_no_more_cell_lists(rule, monkeypatch):
    """Each would be as large as the frame: half of the memory that the cells of ten million particles took."""
    monkeypatch.setitem(voronoi.REACH, 3, 1.9)
    configuration, asked = mixture(1000, BOXES["cube"], seed=4), []
    batches = Configuration.batches
    monkeypatch.setattr(Configuration, "batches", lambda self, *a: asked.append(len(a[0])) or batches(self, *a))
    for centers in np.array_split(np.arange(1000), 3):
        rule.find(configuration, centers)
    assert len(asked) > 3
    assert len(configuration._grids) == 1


@pytest.mark.parametrize("kind", ["sc", "bcc", "fcc"])
@pytest.mark.parametrize("noise", [1e-15, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-7, 1e-5])
def test_nearly_perfect_crystals(kind, noise):
    """Corners on more than three planes, and on nearly so many: whatever counts as one corner, the cells fill space."""
    cells = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 1, 3)
    position = (cells + BASIS[kind]).reshape(-1, 3)
    position = (position + np.random.default_rng(8).normal(scale=noise, size=position.shape)) % 4.0
    found = tessellate(one_species(position, np.eye(3) * 4), np.arange(len(position)))
    assert found.volume.sum() == pytest.approx(64.0, rel=1e-9)
    assert found.volume == pytest.approx(64.0 / len(position), rel=30 * noise + 1e-9)
    large = found.area > 1e-3
    counts = np.bincount(np.repeat(np.arange(len(position)), found.neighbors.counts)[large])
    assert (counts == sum(SIGNATURE[kind])).all()


def test_cells_that_do_not_close(monkeypatch):
    """They are cut again with corners taken for one from further apart; in the end somebody is told."""
    configuration = mixture(60, BOXES["cube"], seed=9)
    whole = tessellate(configuration, np.arange(60))
    cut = voronoi._cut
    for hopeless in (False, True):

        def broken(*arguments, hopeless=hopeless):
            if arguments[-2] < 1e-8 or hopeless:  # the tolerance
                cells, status = cut(*arguments)
                at = np.flatnonzero(arguments[1].centers[status == polyhedra.DONE] == 7)
                status[arguments[1].centers == 7] = polyhedra.BROKEN
                return cells.take(np.setdiff1d(np.arange(len(cells.volume)), at)), status
            return cut(*arguments)

        monkeypatch.setattr(voronoi, "_cut", broken)
        configuration.cells.clear()
        if hopeless:
            with pytest.raises(ConvergenceError, match="cell of particle 7 open"):
                tessellate(configuration, np.arange(60))
        else:
            assert_same(tessellate(configuration, np.arange(60)), whole)


@pytest.mark.slow
@pytest.mark.parametrize("shipped", ["wahnstrom"], indirect=True)
def test_a_hundred_thousand_particles(shipped):
    _, trajectory = shipped
    species = (trajectory["species"].values == "B").astype(np.int8)
    box, position = trajectory["box"].values[0], trajectory["position"].values[0]
    radii = np.array([0.5, 0.44])
    small = tessellate(Configuration(position, species, box, ("A", "B")), np.arange(len(species)), radii)
    n = round((100_000 / len(species)) ** (1 / 3)) + 1
    copies = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3) @ box
    large = Configuration((position + copies).reshape(-1, 3), np.tile(species, n**3), box * n, ("A", "B"))
    found = tessellate(large, np.arange(len(large.position)), radii)
    np.testing.assert_allclose(found.volume.reshape(n**3, -1), np.tile(small.volume, (n**3, 1)), rtol=1e-9)
    assert (found.signature().reshape(n**3, -1, 4) == small.signature()).all()


def test_empty_cells():
    # a small sphere inside a large one has no radical cell
    position = np.array([[1.0, 1, 1], [1.1, 1, 1], [3.0, 1, 1], [1, 3, 3]])
    configuration = Configuration(position, [0, 1, 0, 0], np.eye(3) * 4.0, ("A", "B"))
    found = tessellate(configuration, np.arange(4), np.array([1.0, 0.1]))
    assert found.volume[1] == 0
    assert found.neighbors.counts[1] == 0
    assert 1 not in found.neighbors.index
    assert found.volume.sum() == pytest.approx(64)
    assert (found.signature()[1] == 0).all()


def test_neighborhood():
    configuration = mixture(100, BOXES["cube"], seed=4)
    diameters = {"A": 0.8, "B": 0.7}
    found = Voronoi(diameters).find(configuration, np.arange(100))
    expected = tessellate(configuration, np.arange(100), np.array([0.4, 0.35])).neighbors
    np.testing.assert_array_equal(found.index, expected.index)
    with pytest.raises(ParameterError, match="no diameter for B"):
        Voronoi({"A": 1.0}).find(configuration, np.arange(1))
    with pytest.raises(SpeciesError, match="'C'"):
        Voronoi({"A": 1.0, "B": 1.0, "C": 1.0}).find(configuration, np.arange(1))
    with pytest.raises(ParameterError, match="positive"):
        Voronoi({"A": 1.0, "B": -1.0}).find(configuration, np.arange(1))


def test_a_shell_around_one_particle():
    """Hundreds of faces, more than there is room for at first."""
    z = np.linspace(-0.99, 0.99, 300)
    angle = np.arange(300) * np.pi * (3 - 5**0.5)
    shell = np.column_stack([np.cos(angle) * (1 - z**2) ** 0.5, np.sin(angle) * (1 - z**2) ** 0.5, z])
    found = tessellate(one_species(np.vstack([np.zeros((1, 3)), shell]) + 5.0, np.eye(3) * 10), np.arange(301))
    assert found.neighbors.counts[0] == 300
    assert found.volume[0] == pytest.approx(4 * np.pi / 3 / 8, rel=0.03)
    assert found.volume.sum() == pytest.approx(1000.0, rel=1e-11)


def as_plain_python(monkeypatch):
    for module, names in {
        polyhedra: ("cut_cells", "begin_box", "cut", "marks", "rotate", "measure", "copy_faces"),
        simple_cells: (
            "cut_simple_cells", "begin_corners", "find_beyond", "mark", "find_edges", "put_corners", "move",
            "furthest_corner", "measure_corners",
        ),
    }.items():  # fmt: skip
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)


@pytest.mark.parametrize("radii", [(0.0, 0.0), (0.4, 0.4), (0.4, 0.5), (0.5, 0.4)])
@pytest.mark.parametrize("shape", ["cube", "plane"])
def test_particles_at_the_same_place(shape, radii, monkeypatch):
    """The larger one has the cell that it has alone; of two of the same size neither has."""
    whole = mixture(60, BOXES[shape], seed=1, dimension=len(BOXES[shape]))
    position, species = whole.position.copy(), whole.species.copy()
    position[3] = position[5]
    species[[3, 5]] = 0, 1
    both = Configuration(position, species, whole.box, whole.names)
    found = tessellate(both, np.arange(60), np.array(radii))
    others = np.setdiff1d(np.arange(60), [3, 5])
    larger = 3 if radii[0] >= radii[1] else 5
    alone = Configuration(position[kept := np.append(others, larger)], species[kept], whole.box, whole.names)
    expected = tessellate(alone, np.arange(59), np.array(radii))
    np.testing.assert_allclose(found.volume[others], expected.volume[:-1], rtol=1e-9)
    if radii[0] == radii[1]:
        assert np.isnan(found.volume[[3, 5]]).all()
        assert found.neighbors.counts[[3, 5]].tolist() == [0, 0]
    else:
        assert found.volume[larger] == pytest.approx(expected.volume[-1], rel=1e-9)
        assert found.volume[8 - larger] == 0
        assert found.neighbors.counts[8 - larger] == 0
    as_plain_python(monkeypatch)
    np.testing.assert_array_equal(
        tessellate(both, np.array([3, 5]), np.array(radii)).volume > 0, found.volume[[3, 5]] > 0
    )  # fmt: skip


@pytest.mark.parametrize("shape", ["cube", "plane"])
def test_kernel_as_plain_python(shape, monkeypatch):
    configuration = mixture(60, BOXES[shape], seed=2, dimension=len(BOXES[shape]))
    radii = np.array([0.4, 0.3])
    compiled = tessellate(configuration, np.arange(12), radii)
    as_plain_python(monkeypatch)
    configuration.cells.clear()
    assert_same(tessellate(configuration, np.arange(12), radii), compiled)
    all_undecided(monkeypatch)
    configuration.cells.clear()
    assert_same(tessellate(configuration, np.arange(12), radii), compiled)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-3, 0.02])
def test_small_faces_of_a_noisy_crystal_make_no_neighbours(noise):
    """Cells of fcc have 12 faces of 1/12 of the surface; noise adds faces to corners where more than three meet."""
    base = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    position = (np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3) + base).reshape(-1, 3)
    moved = position + np.random.default_rng(0).normal(size=position.shape) * noise
    crystal = gd.from_arrays(moved, species=["A"] * 256, box=[4.0] * 3)
    rule = gd.Voronoi(smallest_face=0.02)
    assert (gd.neighbors(crystal, rule)[0].counts == 12).all()
    all_faces = gd.neighbors(crystal)[0].counts
    assert (all_faces > 12).any() == (noise > 0)
    q = gd.describe(crystal, [gd.BondOrder(neighbors=rule)])["bo"]
    np.testing.assert_allclose(q.sel(l=6), 0.5745, atol=max(4 * noise, 1e-4))
    weighted = gd.neighbors(crystal, gd.Voronoi(weighted=True, smallest_face=0.02))[0]
    np.testing.assert_allclose(np.bincount(weighted.center, weighted.weight), 1.0)


def test_smallest_face_is_a_share_of_the_surface():
    configuration = mixture(40, np.eye(3) * 4, 1)
    whole, rule = tessellate(configuration, np.arange(40)), gd.Voronoi(smallest_face=0.05)
    found = rule.find(configuration, np.arange(40))
    owner = np.repeat(np.arange(40), whole.neighbors.counts)
    large = whole.area >= 0.05 * np.bincount(owner, whole.area)[owner]
    np.testing.assert_array_equal(found.index, whole.neighbors.index[large])
    assert 0 < large.sum() < len(large)
    with pytest.raises(ParameterError, match="a share, at least 0 and less than 1"):
        gd.Voronoi(smallest_face=1.0)


def test_cells_are_cut_once_for_all_who_ask(monkeypatch):
    cut, asked = voronoi._cells_of, []
    monkeypatch.setattr(voronoi, "_cells_of", lambda c, centers, r: asked.append(len(centers)) or cut(c, centers, r))
    rng = np.random.default_rng(4)
    liquid = gd.from_arrays(rng.random((1, 200, 3)) * 6, species=["A", "B"] * 100, box=[6.0] * 3)
    wanted = [
        gd.VoronoiCell(), gd.LocallyFavoredStructure(signature=(0, 0, 12)), gd.BondOrder(neighbors=gd.Voronoi()),
        gd.TongTanaka(sigma=1.0, neighbors=gd.Voronoi()),
        gd.LechnerDellago(neighbors=gd.Voronoi(weighted=True)),
    ]  # fmt: skip
    together = gd.describe(liquid, wanted).compute(scheduler="synchronous")
    assert sum(asked) == 200
    for descriptor in wanted:
        alone = gd.describe(liquid, [descriptor]).compute(scheduler="synchronous")
        for name in alone.data_vars:
            np.testing.assert_array_equal(together[name], alone[name])
