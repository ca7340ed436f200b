"""Further than half of the box: images count, each with its own vector, as in the same crystal repeated."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.boxes import reduced
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import SANN, KNearest

FCC = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
SKEWED = np.array([[3.0, 0.0, 0.0], [7.0, 2.5, 0.0], [-4.0, 6.0, 2.0]])


def brute_force(position, box, radius, periodic=(True, True, True)):
    """Sorted distances of everybody within the radius of each particle, images of itself too."""
    box = np.asarray(box, dtype=float)
    far = [int(np.ceil(60.0 / np.linalg.norm(vector))) if p else 0 for vector, p in zip(box, periodic)]
    shifts = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in far], indexing="ij"), -1).reshape(-1, len(box)) @ box
    shifts = shifts[np.linalg.norm(shifts, axis=1) < radius + 2 * np.abs(box).sum()]
    found = []
    for r in position:
        distance = np.linalg.norm(position[:, None] + shifts - r, axis=-1).ravel()
        found.append(np.sort(distance[(distance > 1e-9) & (distance < radius)]))
    return found


@pytest.mark.parametrize(
    ("box", "periodic"),
    [
        (np.eye(3) * 2.0, (True,) * 3),
        (np.diag([1.0, 9.0, 2.0]), (True,) * 3),
        (SKEWED, (True,) * 3),
        (np.diag([2.0, 2.0, 5.0]), (True, True, False)),
        (np.diag([2.0, 5.0, 5.0]), (True, False, False)),
        (np.array([[2.0, 0.0], [5.0, 1.5]]), (True, True)),
    ],
)
def test_equals_brute_force(box, periodic):
    rng, d = np.random.default_rng(5), len(box)
    position = rng.random((7, d)) @ box
    borders = None if all(periodic) else Borders(periodic, nothing_beyond=True)
    configuration = Configuration(position, np.zeros(7), box, ("A",), borders=borders)
    radius = 3.1
    found = configuration.neighbors(np.arange(7), np.full((1, 1), radius))
    for i, expected in enumerate(brute_force(position, box, radius, periodic)):
        part = slice(found.offsets[i], found.offsets[i + 1])
        np.testing.assert_allclose(np.sort(found.distance[part]), expected, atol=1e-12)
        # each vector leads to the particle that it names
        image = (found.vector[:d, part].T + position[i] - position[found.index[part]]) @ np.linalg.inv(box)
        np.testing.assert_allclose(image, np.rint(image), atol=1e-9)


def test_a_reduced_cell_is_the_same_lattice():
    rng = np.random.default_rng(1)
    for d in (2, 3):
        for _ in range(50):
            short = np.eye(d) * 2 + rng.random((d, d)) * 0.5
            long = short.copy()
            for _ in range(6):
                i, j = rng.permutation(d)[:2]
                long[i] += rng.integers(-3, 4) * long[j]
            found = reduced(long)
            whole = found @ np.linalg.inv(short)
            np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
            assert np.linalg.norm(found, axis=1).max() <= np.linalg.norm(long, axis=1).max() * (1 + 1e-12)
            assert abs(abs(np.linalg.det(found)) - abs(np.linalg.det(short))) < 1e-9


RULES = {
    "cutoff": {"cutoffs": 0.8},
    "12 nearest": {"neighbors": KNearest(12)},
    "solid angle": {"neighbors": SANN()},
    "Voronoi": {"neighbors": gd.Voronoi(weighted=True)},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cells", [1, 2])
def test_a_unit_cell_is_the_crystal(rule, cells):
    """Q_6 of fcc is 0.57452, and so of its unit cell; Q_4 0.19094 (Mickel et al., J. Chem. Phys. 138, 044501)."""
    corner = np.stack(np.meshgrid(*[np.arange(cells)] * 3), -1).reshape(-1, 1, 3)
    position = (corner + FCC).reshape(1, -1, 3)
    crystal = gd.from_arrays(position, species=["A"] * position.shape[1], box=[float(cells)] * 3)
    for descriptor in (gd.BondOrder(**RULES[rule]), gd.LechnerDellago(**RULES[rule])):
        (q,) = gd.describe(crystal, [descriptor]).data_vars.values()
        np.testing.assert_allclose(q.sel(l=6), 0.57452, atol=1e-4)
        np.testing.assert_allclose(q.sel(l=4), 0.19094, atol=1e-4)


def _features(trajectory):
    descriptors = [
        gd.SmoothedBondOrder(cutoffs=1.6),
        gd.SOAP(r_cut=1.6, n_max=3, l_max=3, sigma=0.3),
        gd.ACE(r_cut=1.6, degree=4),
        gd.Coordination(cutoffs={("A", "A"): 1.5, ("A", "B"): 1.3, ("B", "B"): 1.1}),
        gd.RadialDensity(grid=(0.9, 1.4), delta=0.2),
        gd.VoronoiCell(),
        gd.Tetrahedrality(cutoffs=1.5),
        gd.TongTanaka(diameters={"A": 1.0, "B": 0.9}),
        gd.LocalEnergy(model="kob_andersen"),
    ]
    return gd.describe(trajectory, descriptors).compute(scheduler="synchronous")


def test_every_descriptor_sees_a_small_box_as_the_same_one_repeated():
    """Ten particles in a box of edge 2.1, given also by skewed vectors, against 27 copies side by side."""
    rng = np.random.default_rng(8)
    position, edge = rng.random((1, 10, 3)) * 2.1, 2.1
    species = np.array(["A", "B"])[np.arange(10) % 2]
    small = _features(gd.from_arrays(position, species=species, box=[edge] * 3))
    skewed = gd.from_arrays(position, species=species, box=[[edge, 0, 0], [3 * edge, edge, 0], [0, -2 * edge, edge]])
    shifts = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 1, 3) * edge
    large = gd.from_arrays(
        (position[0] + shifts).reshape(1, -1, 3), species=np.tile(species, 27), box=[3 * edge] * 3
    )  # fmt: skip
    for name, other in {"repeated": _features(large), "skewed": _features(skewed)}.items():
        for variable in small:
            a, b = small[variable].values, other[variable].values[:, :10]
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(a)), err_msg=f"{name} {variable}")


def test_a_cutoff_in_another_unit_is_refused_before_any_work(liquid):
    with pytest.raises(BoxError, match=r"frame 0: within the cutoff 120 each particle has about .*"):
        gd.describe(liquid, [gd.BondOrder(cutoffs=120.0)])
