"""The topological cluster classification: its own program, single clusters, neighbours in between, plain Python."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError
from glassdask.kernels import clusters, compounds, rings, rows
from glassdask.kernels import topology as kernels
from tests.conftest import DATA
from tests.descriptors import crystals

RULE = gd.ModifiedVoronoi(cutoffs=1.8)


def members(trajectory, **given):
    features = gd.describe(trajectory, [gd.TCC(**given or {"neighbors": RULE})])["tcc"].sel(frame=0)
    return {kind: features.sel(cluster_type=kind).values == 1 for kind in kernels.TYPES}


def alone(position, **given):
    position = np.asarray(position, float)
    return members(gd.from_arrays(position + 10, species=["A"] * len(position), box=[20.0] * 3), **given)


def kinds(found):
    """Those to which everybody belongs, and those to which anybody does."""
    return {k for k, each in found.items() if each.all()}, {k for k, each in found.items() if each.any()}


def polygon(n, height=0.0, turn=0.0, radius=None):
    angle = (np.arange(n) + turn) * 2 * np.pi / n
    radius = 0.5 / np.sin(np.pi / n) if radius is None else radius
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(n, height)], -1)


def test_the_program_of_its_authors(peer):
    """All members of all clusters; of an icosahedron it misses those whose pairs it meets in another order."""
    name, trajectory, _ = peer
    kept = np.load(DATA / f"{name}_tcc.npz")
    assert tuple(kept["types"]) == kernels.TYPES
    n = trajectory.sizes["particle"]
    theirs = dict(zip(kernels.TYPES, np.unpackbits(kept["members"], axis=1, count=n).astype(bool)))
    ours = members(trajectory)
    for kind in set(kernels.TYPES) - {"13A"}:
        np.testing.assert_array_equal(ours[kind], theirs[kind], err_msg=kind)
    assert (ours["13A"] >= theirs["13A"]).all()
    assert (ours["13A"] <= ours["12B"]).sum() >= n - 1
    if name == "wahn_N1000":
        assert ours["13A"].sum() == theirs["13A"].sum() + 13
    blocks = gd.describe(trajectory, [gd.TCC(neighbors=RULE)], block=n // 2 + 1)["tcc"].values[0]
    np.testing.assert_array_equal(blocks.T == 1, np.stack(list(ours.values())))


@pytest.mark.parametrize("kind", ["10K", "10W", "13K"])
def test_structures_of_least_energy(kind):
    """All are members, and no particle can be left out."""
    position = np.load(DATA / "tcc_clusters.npz")[kind]
    assert alone(position, neighbors=RULE)[kind].all()
    for left in range(len(position)):
        assert not alone(np.delete(position, left, axis=0), neighbors=RULE)[kind].any()


@pytest.mark.parametrize(("n", "kind"), [(3, "5A"), (4, "6A"), (5, "7A")])
def test_bipyramids(n, kind):
    ring, spindles = polygon(n), np.array([[0, 0, 0.8], [0, 0, -0.8]])
    without = {5: "sp5", 4: "sp4", 3: "sp3"}[n]
    assert kinds(alone(ring, cutoffs=1.2))[0] == {without + "a"}
    assert kinds(alone([*ring, spindles[0]], cutoffs=1.2))[0] >= {without + "b"}
    assert kind in kinds(alone([*ring, *spindles], cutoffs=1.2))[0]


def test_icosahedron():
    everybody, anybody = kinds(members(crystals.icosahedron(), cutoffs=1.1))
    assert {"7A", "9B", "10B", "11C", "12B", "13A"} <= everybody
    assert not {"6A", "9K", "11A"} & anybody


def test_bicapped_square_antiprism():
    """Two squares turned against each other, capped, around a particle in the middle."""
    height = 0.5
    radius = np.sqrt(1 - height**2)
    square, other = polygon(4, height, radius=radius), polygon(4, -height, 0.5, radius)
    found = alone([[0, 0, 0], [0, 0, 1], [0, 0, -1], *square, *other], cutoffs=1.25)
    assert "11A" in kinds(found)[0]
    assert not kinds(alone([[0, 0, 0], [0, 0, 1], *square, *other], cutoffs=1.25))[1] & {"11A"}
    assert "10A" in kinds(alone([[0, 0, 1], [0, 0, -1], *square, *other], cutoffs=1.25))[0]
    assert not found["10A"].any()
    triangle = square[0] + other[[0, 3]].sum(axis=0)
    on_top = 1.7 * triangle / np.linalg.norm(triangle)
    assert alone([[0, 0, 0], [0, 0, 1], [0, 0, -1], *square, *other, on_top], cutoffs=1.25)["12K"].all()
    assert not found["12K"].any()


def test_trigonal_prism_with_three_caps():
    """Its three squares, each with a cap, are a 9A; one of them less and there is none."""
    height, radius = 0.55, 0.8
    prism = [*polygon(3, height, radius=radius), *polygon(3, -height, radius=radius)]
    caps = polygon(3, 0.0, 0.5, 1.05)
    assert "9A" in kinds(alone([*prism, *caps], cutoffs=1.42))[0]
    assert not kinds(alone([*prism, *caps[:2]], cutoffs=1.42))[1] & {"9A"}


def test_pentagonal_prism_around_a_particle():
    """Two pentagons, one above the other: 13B; turned against each other they are an icosahedron."""
    height = 0.5
    radius = np.sqrt(1 - height**2)
    middle = [[0, 0, 0], [0, 0, 1], [0, 0, -1]]
    upper, lower = polygon(5, height, radius=radius), polygon(5, -height, radius=radius)
    found = kinds(alone([*middle, *upper, *lower], cutoffs=1.2))
    assert "13B" in found[0]
    assert "13A" not in found[1]


def test_an_extra_particle_on_a_pentagonal_bipyramid():
    ring, spindles = polygon(5), np.array([[0, 0, 0.6], [0, 0, -0.6]])
    outward = (ring[0] + ring[1]) / 2
    extra = outward * 1.6 + [0, 0, 0.75]
    found = alone([*ring, *spindles, extra], cutoffs=1.25)
    assert found["8B"].all()
    assert found["7A"].tolist() == 7 * [True] + [False]


def test_octahedra_of_fcc_and_small_boxes():
    """A unit cell, in which neighbours are images of each other, has what the crystal has."""
    large = members(crystals.crystal("fcc", n=5), cutoffs=0.85)
    cell = np.array(crystals.BASIS["fcc"], float)
    small = members(gd.from_arrays(cell, species=["A"] * 4, box=[1.0] * 3), cutoffs=0.85)
    assert large["6A"].all()
    assert not large["7A"].any()
    for kind, each in large.items():
        assert (each == each[0]).all()
        assert (small[kind] == each[0]).all()


@pytest.mark.parametrize("f_c", [0.82, 1.0])
def test_nobody_in_between(peer, f_c):
    """The rule written out; with f_c = 1 its neighbours are some of Voronoi's."""
    _, trajectory, _ = peer
    near = gd.neighbors(trajectory, 1.8)[0]
    found = gd.neighbors(trajectory, gd.ModifiedVoronoi({"A-A": 1.8, "A-B": 1.7, "B-B": 1.6}, f_c=f_c))[0]
    pairs = set(zip(found.center.tolist(), found.neighbor.tolist()))
    assert pairs == {(j, i) for i, j in pairs}
    species = trajectory["species"].values
    longest = {"AA": 1.8, "AB": 1.7, "BB": 1.6}
    for i in range(0, trajectory.sizes["particle"], 31):
        of = near.center == i
        vector, index = near.vector[of], near.neighbor[of]
        square = (vector**2).sum(axis=1)
        between = ((vector[:, None] - vector) ** 2).sum(axis=-1)
        broken = (square[:, None] > f_c * (square + between)) & (square < square[:, None]) & (between < square[:, None])
        short = np.sqrt(square) < [longest["".join(sorted(species[i] + species[j]))] for j in index]
        assert {j for a, j in pairs if a == i} == set(index[~broken.any(axis=1) & short].tolist())
    if f_c == 1.0:
        faces = gd.neighbors(trajectory, gd.Voronoi())[0]
        assert pairs <= set(zip(faces.center.tolist(), faces.neighbor.tolist()))


def test_open_borders_hide_nothing_that_is_told(peer):
    _, trajectory, _ = peer
    whole = gd.describe(trajectory, [gd.TCC(cutoffs=1.3)])["tcc"].values[0]
    box = trajectory["box"].values[0]
    slab = gd.from_arrays(
        trajectory["position"].values, species=trajectory["species"].values, box=box, periodic=[True, True, False]
    )
    part = gd.describe(slab, [gd.TCC(cutoffs=1.3)])["tcc"].values[0]
    known = ~np.isnan(part[:, 0])
    assert (~known).any()
    np.testing.assert_array_equal(part[known], whole[known])


def test_planes_and_weights_are_refused():
    flat = gd.from_arrays(np.zeros((1, 3, 2)), species=["A"] * 3, box=[4.0] * 2)
    with pytest.raises(ParameterError, match=r"^TCC needs three dimensions"):
        gd.describe(flat, [gd.TCC(cutoffs=1.0)])
    with pytest.raises(ParameterError, match=r"^TCC counts all neighbours alike"):
        gd.TCC(neighbors=gd.Voronoi(weighted=True))
    with pytest.raises(ParameterError, match=r"f_c: expected a number above 0, up to 1, such as 0.82, found 1.2"):
        gd.ModifiedVoronoi(1.8, f_c=1.2)


def test_kernels_as_plain_python(monkeypatch):
    cluster = crystals.icosahedron()
    rule = gd.ModifiedVoronoi(cutoffs=1.2, f_c=0.9)
    expected = members(cluster, neighbors=rule)
    for module in (kernels, compounds, rows, rings, clusters):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    found = members(cluster, neighbors=rule)
    assert found["13A"].all()
    for kind in kernels.TYPES:
        np.testing.assert_array_equal(found[kind], expected[kind])
