"""Neighbour lists by frames: what rules find, in the numbering of the trajectory, for SciPy and freud."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import ParameterError, SpeciesError
from tests.neighborhood.brute_neighbors import sets

RULES = [1.3, gd.KNearest(6), gd.SANN(), gd.Voronoi(), gd.Voronoi(weighted=True)]


def test_equals_brute_force(liquid):
    lists = gd.neighbors(liquid, 1.3)
    assert len(lists) == 3
    for frame, found in enumerate(lists):
        position, box = liquid["position"].values[frame], liquid["box"].values[frame]
        expected = sets(position, np.zeros(240, int), box, np.full((1, 1), 1.3))
        assert found.counts.tolist() == [len(each) for each in expected]
        for center, neighbor, vector in zip(found.center, found.neighbor, found.vector):
            np.testing.assert_allclose(vector, expected[center][neighbor], atol=1e-12)
        np.testing.assert_allclose(found.distance, np.linalg.norm(found.vector, axis=1))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rules_centres_and_slices(liquid, rule):
    lists, of_b = gd.neighbors(liquid, rule), gd.neighbors(liquid, rule, centers="B")
    all_of, some = lists[1], of_b[1:][0]
    is_b = liquid["species"].values == "B"
    kept = is_b[all_of.center]
    for name in ("center", "neighbor", "distance", "weight"):
        np.testing.assert_array_equal(getattr(some, name), getattr(all_of, name)[kept])
    assert (np.diff(all_of.center) >= 0).all()
    assert "each found when it is asked for" in repr(lists)
    matrix = all_of.matrix()
    assert matrix.shape == (240, 240)
    np.testing.assert_allclose(matrix.sum(axis=1), np.bincount(all_of.center, all_of.weight, 240))
    if getattr(rule, "weighted", False):
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


def test_what_a_descriptor_makes_of_them_is_made_of_them(liquid):
    coordination = gd.describe(liquid, [gd.Coordination(cutoffs=1.4)])["coordination"]
    for frame, found in enumerate(gd.neighbors(liquid, 1.4)):
        np.testing.assert_array_equal(found.counts, coordination.values[frame])


def test_a_stored_trajectory_is_read_frame_by_frame(liquid, tmp_path):
    gd.save_trajectory(liquid, tmp_path / "s.zarr")
    lists, expected = gd.neighbors(gd.open_trajectory(tmp_path / "s.zarr"), gd.SANN()), gd.neighbors(liquid, gd.SANN())
    lazy = gd.neighbors(liquid.chunk(frame=1), gd.SANN())
    for ours, same, other in zip(lists, lazy, expected):
        for found in (ours, same):
            assert found.counts.tolist() == other.counts.tolist()
            np.testing.assert_allclose(found.vector, other.vector, atol=1e-6)


def test_absent_particles_keep_the_numbers_of_the_others(liquid):
    present = np.ones((3, 240), bool)
    present[1, ::3] = False
    position = liquid["position"].where(xr.DataArray(present, dims=("frame", "particle")))
    trajectory = liquid.assign(position=position, present=(("frame", "particle"), present))
    found = gd.neighbors(trajectory, 1.3)[1]
    there = np.flatnonzero(present[1])
    alone = gd.neighbors(liquid.isel(frame=[1], particle=there), 1.3)[0]
    np.testing.assert_array_equal(found.center, there[alone.center])
    np.testing.assert_array_equal(found.neighbor, there[alone.neighbor])
    assert found.n_particles == 240


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_to_freud_and_back(liquid, rule):
    freud = pytest.importorskip("freud")
    frame = liquid.isel(frame=[0])
    found = gd.neighbors(frame, rule)[0]
    theirs = found.to_freud()
    back = gd.NeighborList.from_freud(theirs)
    np.testing.assert_array_equal(back.center, found.center)
    np.testing.assert_array_equal(back.neighbor, found.neighbor)
    np.testing.assert_allclose(back.vector, found.vector, atol=1e-6)
    np.testing.assert_allclose(back.weight, found.weight, atol=1e-6)
    # freud's own Steinhardt parameters over our neighbours are ours
    ((box, points),) = gd.to_freud(frame)
    steinhardt = freud.order.Steinhardt(6, weighted=bool(getattr(rule, "weighted", False)))
    q6 = steinhardt.compute((box, points), neighbors=theirs).particle_order
    rule = rule if isinstance(rule, gd.Voronoi | gd.KNearest | gd.SANN) else gd.Cutoff(rule)
    ours = gd.describe(frame, [gd.BondOrder(neighbors=rule)])["bo"].sel(l=6).values[0]
    np.testing.assert_allclose(q6, ours, atol=2e-5)


def test_two_dimensions_and_bad_input(liquid):
    rng = np.random.default_rng(0)
    flat = gd.from_arrays(rng.random((1, 30, 2)) * 5, species=["A"] * 30, box=[5.0, 5.0])
    found = gd.neighbors(flat)[0]
    assert found.vector.shape == (len(found.center), 2)
    assert found.counts.mean() == 6.0, "Euler: cells of a torus have six neighbours on average"
    with pytest.raises(SpeciesError, match="expected some of the species A"):
        gd.neighbors(flat, 1.0, centers="C")
    with pytest.raises(ParameterError, match="no diameters of their own"):
        gd.neighbors(flat, gd.ScaledCutoff(1.4))
    with pytest.raises(ParameterError, match="lacks A-B"):
        gd.neighbors(liquid, {("A", "A"): 1.0})
    with pytest.raises(IndexError):
        gd.neighbors(flat)[1]
