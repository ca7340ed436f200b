"""Rings: lattices, a brute-force twin, another program, neighbours that are not mutual, small boxes, plain Python."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.kernels import clusters
from glassdask.kernels import rings as kernels
from tests.descriptors import crystals

SILICA = Path(__file__).parents[2] / "pipelines" / "data" / "silica_N2000_T0.3397.npz"


def rings(trajectory, **given):
    return gd.describe(trajectory, [gd.Rings(**given)])["rings"].sel(frame=0).values


def diamond(n=3):
    basis = np.concatenate([crystals.BASIS["fcc"], np.array(crystals.BASIS["fcc"]) + 0.25])
    corner = np.stack(np.meshgrid(*[np.arange(float(n))] * 3), -1).reshape(-1, 1, 3)
    return (corner + basis).reshape(-1, 3)


def test_lattices():
    """Diamond has two rings of 6 for each pair of bonds; with oxygen in the middle of its bonds it is cristobalite."""
    silicon = diamond()
    of_carbon = rings(gd.from_arrays(silicon, species=["C"] * len(silicon), box=[3.0] * 3), cutoffs=0.5, max_size=12)
    assert (of_carbon == [0, 0, 0, 12, 0, 0, 0, 0, 0, 0]).all()
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 8
    oxygen = (silicon.reshape(-1, 8, 3)[:, :4, None] + bonds).reshape(-1, 3)
    names = ["Si"] * len(silicon) + ["O"] * len(oxygen)
    silica = gd.from_arrays(np.concatenate([silicon, oxygen]), species=names, box=[3.0] * 3)
    found = rings(silica, cutoffs=0.3, neighbor_species="other", max_size=12)
    assert (found[: len(silicon)] == [0] * 9 + [12]).all()
    assert (found[len(silicon) :] == [0] * 9 + [6]).all()
    # of the network formers alone, and for oxygen nothing
    alone = rings(silica, cutoffs=0.5, neighbor_species="Si", max_size=6)
    assert (alone[: len(silicon)] == [0, 0, 0, 12]).all()
    assert not alone[len(silicon) :].any()


def test_the_honeycomb_in_the_plane():
    edge = np.array([np.sqrt(3), 3.0])
    basis = np.array([[0, 0], [0, 1], [edge[0] / 2, 1.5], [edge[0] / 2, 2.5]])
    corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 2), -1).reshape(-1, 1, 2) * edge
    sheet = gd.from_arrays((corner + basis).reshape(-1, 2), species=["C"] * 64, box=4 * edge)
    assert (rings(sheet, cutoffs=1.2, max_size=8) == [0, 0, 0, 3, 0, 0]).all()


def brute_force(n, bonds, largest):
    """Rings of each particle by trying every closed path, with the lengths of all shortest ones."""
    apart = np.where(np.eye(n, dtype=bool), 0, n)
    near = [set() for _ in range(n)]
    for a, b in bonds:
        apart[a, b] = apart[b, a] = 1
        near[a].add(b)
        near[b].add(a)
    for via in range(n):
        apart = np.minimum(apart, apart[:, via, None] + apart[via])
    out = np.zeros((n, largest - 2), int)

    def grow(path):
        for b in near[path[-1]]:
            if b == path[0] and len(path) > 2 and path[1] < path[-1]:
                size = len(path)
                if all(apart[path[p], path[q]] == min(q - p, size - q + p) for p, q in combinations(range(size), 2)):
                    out[path, size - 3] += 1
            elif b > path[0] and b not in path and len(path) < largest:
                grow([*path, b])

    for start in range(n):
        grow([start])
    return out


@pytest.mark.parametrize("kind", ["gas", "holes"])
def test_every_closed_path(kind):
    """Random points, and a cubic lattice with holes, far from the walls of their box; in blocks, two frames in turn."""
    rng = np.random.default_rng(4)
    n, cutoff, largest = (40, 1.4, 6) if kind == "gas" else (100, 1.2, 10)
    lattice = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), -1).reshape(-1, 3)
    position = np.stack([rng.permutation(lattice)[:n] if kind == "holes" else rng.random((n, 3)) * 3.4] * 2) + 2
    position[1] += rng.normal(size=(n, 3)) * 0.1
    gas = gd.from_arrays(position, species=["A"] * n, box=[12.0] * 3)
    found = gd.describe(gas, [gd.Rings(cutoffs=cutoff, max_size=largest)], block=17)["rings"].values
    whole = gd.describe(gas, [gd.Rings(cutoffs=cutoff, max_size=largest)])["rings"].values
    np.testing.assert_array_equal(found, whole)
    for f in range(2):
        distance = np.linalg.norm(position[f, :, None] - position[f], axis=-1)
        bonds = [(a, b) for a, b in combinations(range(n), 2) if distance[a, b] < cutoff]
        expected = brute_force(n, bonds, largest)
        np.testing.assert_array_equal(found[f], expected)
        assert (expected.sum(axis=0) > 0).sum() > 2


def test_another_program(peer):
    """matscipy 1.3.1's find_sp_rings, which counts whole frames."""
    kept = np.load(SILICA)
    position = kept["fraction"][0] / 65536 @ kept["box"][0]
    silica = gd.from_arrays(position, species=kept["names"][kept["species"]], box=kept["box"][0])
    found = rings(silica, cutoffs=0.8375384586163939, neighbor_species="other", max_size=12).sum(axis=0) / np.arange(
        3, 13
    )
    assert found.tolist() == [0, 0, 0, 15, 0, 89, 0, 200, 0, 255]
    name, trajectory, _ = peer
    if name == "wahn_N1000":
        found = rings(trajectory, cutoffs=1.3, max_size=7).sum(axis=0) / np.arange(3, 8)
        assert found.tolist() == [9198, 1721, 4744, 0, 31]


def test_bonds_are_mutual(peer):
    """j is among the nearest of i, and i not of j: no bond."""
    _, trajectory, _ = peer
    pairs = gd.neighbors(trajectory, gd.KNearest(6))[0]
    found = {(int(a), int(b)) for a, b in zip(pairs.center, pairs.neighbor)}
    triangles = np.zeros(trajectory.sizes["particle"], int)
    near = {}
    for a, b in found:
        if (b, a) in found:
            near.setdefault(a, set()).add(b)
    for a, around in near.items():
        triangles[a] = sum(b in near[c] for b, c in combinations(around, 2))
    assert triangles.any()
    np.testing.assert_array_equal(rings(trajectory, neighbors=gd.KNearest(6), max_size=3)[:, 0], triangles)


def test_paths_around_the_box_are_no_rings():
    """A unit cell has the rings of the crystal, though its particles are their own neighbours."""
    for kind in ("sc", "fcc"):
        reach, large = crystals.REACH[kind], crystals.crystal(kind, n=6)
        unit = gd.from_arrays(
            np.array(crystals.BASIS[kind], float), species=["A"] * len(crystals.BASIS[kind]), box=[1.0] * 3
        )
        expected = rings(large, cutoffs=reach, max_size=6)
        assert (expected == expected[0]).all()
        assert (rings(unit, cutoffs=reach, max_size=6) == expected[0]).all()


def test_balls_that_scratch_memory_cannot_hold(monkeypatch, peer):
    _, trajectory, _ = peer
    expected = rings(trajectory, cutoffs=1.3, max_size=5)
    monkeypatch.setattr("glassdask.descriptors.rings.BALL", 3)
    np.testing.assert_array_equal(rings(trajectory, cutoffs=1.3, max_size=5), expected)


def test_few_particles_may_have_many_bonds():
    """All of 220 are bound to each other: as many triangles as pairs of others."""
    position = 5.0 + np.random.default_rng(2).random((1, 220, 3))
    crowd = gd.from_arrays(position, species=["B"] + ["A"] * 219, box=[20.0] * 3)
    found = gd.describe(crowd, [gd.Rings(cutoffs=1.8, max_size=3)], centers="B")["rings"]
    assert found.values[0, :1].tolist() == [[219 * 218 / 2]]


def test_crowds_are_refused(peer):
    _, trajectory, _ = peer
    with pytest.raises(
        ParameterError, match=r"particle 0 has more than 2048 others within 10 bonds: use a smaller max"
    ):
        rings(trajectory, cutoffs=1.3, max_size=20)


def test_weights_are_refused():
    with pytest.raises(ParameterError, match=r"^Rings counts all neighbours alike, found Voronoi"):
        gd.Rings(neighbors=gd.Voronoi(weighted=True))


@pytest.mark.parametrize(("n", "largest"), [(2, 7), (3, 5)])
def test_kernels_as_plain_python(monkeypatch, n, largest):
    """In a box in which particles meet their images in rings, and in one where they do not."""
    crystal = crystals.crystal("sc", n=n, noise=0.02)
    expected = rings(crystal, cutoffs=1.2, max_size=largest)
    for module, names in {
        kernels: ("mutual", "count_rings", "gather", "closings", "second_paths", "closer"), clusters: ("images",),
    }.items():  # fmt: skip
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)
    np.testing.assert_array_equal(rings(crystal, cutoffs=1.2, max_size=largest), expected)
