"""Open borders: no images along them, and no neighbours that may be others than they seem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial import Voronoi as QhullVoronoi

from glassdask.errors import BoxError
from glassdask.neighborhood import nearest as module
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import SANN, Cutoff, KNearest
from glassdask.neighborhood.voronoi import TIMES, Voronoi, tessellate
from tests.neighborhood.cut_outs import CELLS, CUTS, cut, face_distances, liquid

NAMES = ("A", "B")
PAIRS = {("A", "A"): 1.5, ("A", "B"): 1.3, ("B", "B"): 1.1}
RULES = [
    Cutoff(PAIRS), KNearest(1), KNearest(12), SANN(), Voronoi(), Voronoi({"A": 1.0, "B": 0.8}, weighted=True),
]  # fmt: skip


def whole_and_part(name, nothing=False):
    shape, periodic = CUTS[name]
    cell = CELLS[shape]
    position, species = liquid(cell)
    kept, inside, box = cut(position, cell, periodic)
    whole = Configuration(position, species, cell, NAMES)
    return whole, kept, Configuration(inside, species[kept], box, NAMES, borders=Borders(periodic, nothing))


def brute(position, box, periodic, cutoffs, species):
    """Neighbours of each particle as {(j, rounded vector)}, with images along the periodic axes only."""
    width = 1 / np.linalg.norm(np.linalg.inv(box), axis=0)
    depth = [int(np.ceil(cutoffs.max() / w)) + 2 if p else 0 for p, w in zip(periodic, width)]
    n = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in depth], indexing="ij"), -1).reshape(-1, len(box))
    found = [set() for _ in position]
    for i, here in enumerate(position):
        vector = position + (n @ box)[:, None] - here
        near = np.linalg.norm(vector, axis=-1) < cutoffs[species[i], species]
        found[i] = {(int(j), *vector[k, j].round(8)) for k, j in np.argwhere(near) if j != i}
    return found


def as_sets(found, dimension):
    rows = np.split(np.arange(len(found.index)), found.offsets[1:-1])
    return [{(int(found.index[p]), *found.vector[:dimension, p].round(8)) for p in row} for row in rows]


@pytest.mark.parametrize("name", list(CUTS))
@pytest.mark.parametrize("share", [0.2, 0.9])
@pytest.mark.parametrize("spread", [0.6, 1.7, 40.0])
def test_neighbours_without_images_along_open_axes(name, share, spread):
    """Also of particles that are outside of the box, and of spheres that are wider than it."""
    shape, periodic = CUTS[name]
    cell, rng = CELLS[shape] * 0.5, np.random.default_rng(1)
    is_open = ~np.array(periodic)
    n = 60
    fraction = rng.random((n, len(cell)))
    fraction[:, is_open] = 0.5 + spread * (fraction[:, is_open] - 0.5)
    fraction[0, is_open], fraction[1, is_open] = 0.0, 1.0
    widths = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    radius = share * min(widths[~is_open].min() / 2 if not is_open.all() else np.inf, spread * widths.max())
    cutoffs, species = radius * np.array([[1.0, 0.8], [0.8, 0.6]]), rng.integers(0, 2, n)
    configuration = Configuration(fraction @ cell, species, cell, NAMES, borders=Borders(periodic))
    found = configuration.neighbors(np.arange(n), cutoffs)
    assert as_sets(found, len(cell)) == brute(fraction @ cell, cell, periodic, cutoffs, species)
    np.testing.assert_allclose(configuration.face_distance, face_distances(fraction @ cell, cell, periodic), atol=1e-12)
    np.testing.assert_array_equal(found.known, cutoffs.max(axis=1)[species] <= configuration.face_distance)


@pytest.mark.parametrize("name", list(CUTS))
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_known_neighbours_are_those_of_the_whole(name, rule):
    whole, kept, part = whole_and_part(name)
    d = whole.dimension
    found, expected = (rule.find(c, np.arange(len(c.position))) for c in (part, whole))
    part_of, whole_of = as_sets(found, d), as_sets(expected, d)
    for i in np.flatnonzero(found.known):
        assert {(int(kept[j]), *v) for j, *v in part_of[i]} == whole_of[kept[i]]
        if rule.weighted:
            weights = [c.weight[c.offsets[k] : c.offsets[k + 1]] for c, k in ((found, i), (expected, kept[i]))]
            np.testing.assert_allclose(np.sort(weights[0]), np.sort(weights[1]), atol=1e-12)
    depth = face_distances(part.position[:, :d], part.box[:d, :d], part.borders.periodic)
    needed = reach(rule, whole, expected)[kept]
    certain = abs(needed - depth) > 1e-9
    np.testing.assert_array_equal(found.known[certain], (needed <= depth)[certain])
    assert 0 < found.known.sum() < len(kept)


def reach(rule, configuration, found):
    """How far from each particle of a periodic configuration its neighbourhood extends."""
    starts, d = found.offsets[:-1], configuration.dimension
    if isinstance(rule, Cutoff):
        return rule.matrix(NAMES).max(axis=1)[configuration.species]
    if isinstance(rule, KNearest):
        return np.maximum.reduceat(found.distance, starts)
    if isinstance(rule, SANN) and d == 3:
        return np.add.reduceat(found.distance, starts) / (found.counts - 2)
    if isinstance(rule, SANN):
        return np.array([shell(found.distance[a:b]) for a, b in zip(starts, found.offsets[1:])])
    return corners(configuration, rule)


def shell(distance):
    """R with sum arccos(r_j / R) = pi."""
    low, high = distance.max(), 1e3
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if np.arccos(distance / middle).sum() > np.pi else (middle, high)
    return low


def corners(configuration, rule):
    """The sphere of each cell's furthest corner: from Qhull, for radical cells a lower hull in d + 1 dimensions."""
    d = configuration.dimension
    n = np.stack(np.meshgrid(*[np.arange(-1, 2)] * d, indexing="ij"), -1).reshape(-1, d)
    n = n[np.argsort(abs(n).sum(axis=1), kind="stable")]
    points = ((n @ configuration.box[:d, :d])[:, None] + configuration.position[:, :d]).reshape(-1, d)
    near = (np.abs(points @ np.linalg.inv(configuration.box[:d, :d]) - 0.5) < 0.95).all(axis=1)
    radii = rule.radii(NAMES)
    own2 = np.tile((np.zeros(2) if radii is None else radii)[configuration.species] ** 2, len(n))[near]
    points = points[near]
    if radii is None:
        cells = QhullVoronoi(points)
        many = [cells.vertices[cells.regions[cells.point_region[i]]] for i in range(len(configuration.position))]
    else:
        lifted = np.column_stack([points, (points**2).sum(axis=1) - own2])
        hull = ConvexHull(lifted)
        lower = hull.equations[:, d] < 0
        dual = -hull.equations[lower, :d] / hull.equations[lower, d, None] / 2
        many = [[] for _ in range(len(points))]
        for simplex, corner in zip(hull.simplices[lower], dual):
            for i in simplex:
                many[i].append(corner)
    furthest2 = np.array(
        [((np.array(c) - points[i]) ** 2).sum(axis=1).max() for i, c in enumerate(many[: len(configuration.position)])]
    )
    return np.sqrt(furthest2) + np.sqrt(furthest2 + own2.max() - own2[: len(furthest2)])


@pytest.mark.parametrize("name", ["block", "window"])
def test_a_cluster_with_nothing_around_it(name):
    """Everybody has neighbours; the cells of those at the surface do not close."""
    _, _, cluster = whole_and_part(name, nothing=True)
    position = cluster.position[:, : cluster.dimension]
    everybody, tree = np.arange(len(position)), cKDTree(position)
    for rule in (Cutoff(2.0), KNearest(5), SANN()):
        assert rule.find(cluster, everybody).known is None or rule.find(cluster, everybody).known.all()
    assert Cutoff(2.0).find(cluster, everybody).counts.tolist() == [
        len(near) - 1 for near in tree.query_ball_point(position, 2.0 - 1e-12)
    ]
    _, nearest = tree.query(position, 6)
    found = KNearest(5).find(cluster, everybody).index.reshape(-1, 5)
    assert (np.sort(found) == np.sort(nearest[:, 1:])).all()
    cells, qhull = tessellate(cluster, everybody), QhullVoronoi(position)
    closed = np.array([-1 not in qhull.regions[region] for region in qhull.point_region])
    known = ~np.isnan(cells.volume)
    ridges = np.bincount(qhull.ridge_points.ravel(), minlength=len(position))
    np.testing.assert_array_equal(cells.neighbors.counts[known], ridges[known])
    corners = [qhull.vertices[qhull.regions[region]] for region in qhull.point_region]
    most = 0.5 * TIMES * cluster.useful_radius
    far = np.array([(np.linalg.norm(c - p, axis=1) > most).any() for c, p in zip(corners, position)])
    np.testing.assert_array_equal(known, closed & ~far)
    expected = [ConvexHull(corners[i]).volume for i in np.flatnonzero(known)]
    np.testing.assert_allclose(cells.volume[known], expected, rtol=1e-9)


def test_solid_angles_of_a_cluster_are_those_of_a_list_that_ends():
    position = np.random.default_rng(2).random((20, 3)) * 3
    cluster = Configuration(position, np.zeros(20), np.eye(3) * 3, ("A",), borders=Borders((False,) * 3, True))
    counts = SANN().find(cluster, np.arange(20)).counts
    for i in range(20):
        r = np.append(np.sort(np.linalg.norm(position - position[i], axis=1))[1:], np.inf)
        assert counts[i] == next(m for m in range(3, 20) if r[:m].sum() / (m - 2) <= r[m])


def test_a_particle_far_above_a_film_finds_its_own_images():
    """A film of 30 with a particle far above it: nearer to it are those that repeat beside it, a box of 4 away."""
    rng = np.random.default_rng(3)
    position = rng.random((30, 3)) * [4, 4, 2]
    position[0] = [1.0, 1.0, 50.0]
    film = Configuration(position, np.zeros(30), np.eye(3) * 4, ("A",), borders=Borders((True, True, False), True))
    for rule in (KNearest(3), SANN()):
        found = rule.find(film, np.arange(30))
        assert found.known.all()
        assert found.counts.min() >= 3
        assert (found.index[: found.counts[0]] == 0).all()
        assert found.distance[0] == pytest.approx(4.0)


@pytest.mark.parametrize("nothing", [False, True])
def test_a_single_particle_and_a_layer(nothing):
    borders = Borders((False,) * 3, nothing)
    alone = Configuration(np.array([[0.5, 0.5, 0.5]]), [0], np.eye(3), ("A",), borders=borders)
    assert alone.neighbors(np.array([0]), np.full((1, 1), 0.3)).counts.tolist() == [0]
    layer = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0), [0.5], indexing="ij"), -1).reshape(-1, 3)
    flat = Configuration(layer, np.zeros(36), np.eye(3) * 6, ("A",), borders=Borders((True, True, False), nothing))
    found = flat.neighbors(np.arange(36), np.full((1, 1), 1.1))
    assert found.counts.tolist() == [4] * 36
    assert np.isnan(tessellate(flat, np.arange(36)).volume).all()


def test_cells_are_not_many_more_than_particles_however_far_one_has_gone():
    position = np.random.default_rng(5).random((100, 3))
    position[0, 2] = 1e12
    gone = Configuration(position, np.zeros(100), np.eye(3), ("A",), borders=Borders((True, True, False)))
    assert len(gone.grid(0.1).lists.starts) < 10_000


@pytest.mark.parametrize("lonely", [0, 3])
@pytest.mark.parametrize("room", [1.0, 100.0])
def test_the_spacing_is_that_of_where_the_particles_are(lonely, room):
    """However large the box around a cluster, a film or a layer is, and even where some have gone far."""
    rng = np.random.default_rng(7)
    for extent, expected in (([10, 10, 10], 1.0), ([10, 10, 2], 0.2 ** (1 / 3)), ([10, 10, 0], 1000**-0.5 * 10)):
        position = rng.random((1000, 3)) * extent
        position[:lonely] += 1e4
        box = np.eye(3) * 10.0 * room
        configuration = Configuration(position, np.zeros(1000), box, ("A",), borders=Borders((False,) * 3, True))
        assert configuration.spacing == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("rule", [KNearest(6), SANN(), Voronoi()], ids=str)
def test_long_lists_are_sorted_in_the_same_order(monkeypatch, rule):
    _, _, cluster = whole_and_part("block", nothing=True)
    expected = rule.find(cluster, np.arange(100))
    monkeypatch.setattr(module, "LONG", 2)
    found = rule.find(cluster, np.arange(100))
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.known, expected.known)


def test_the_radius_is_limited_by_the_axes_that_repeat():
    position = np.random.default_rng(6).random((20, 3)) * [9, 4, 9]
    for periodic, largest in (((True, False, True), 4.5), ((False, True, False), 2.0), ((False,) * 3, np.inf)):
        box = np.diag([9.0, 4.0, 9.0])
        configuration = Configuration(position, np.zeros(20), box, ("A",), borders=Borders(periodic))
        assert configuration.largest_radius == largest
        configuration.neighbors(np.arange(20), np.full((1, 1), min(largest, 20.0)))
        if np.isfinite(largest):
            with pytest.raises(BoxError, match="half of the narrowest"):
                configuration.check_radius(largest * 1.01)
