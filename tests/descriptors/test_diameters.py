"""Diameters of particles: the same as with a species for each particle, and as by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import BoxError, ParameterError, SchemaError
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import ScaledCutoff

N = 60
RNG = np.random.default_rng(11)


def polydisperse(dimension, per_frame=True, absent=False):
    """Two frames of particles of many sizes; and each frame with a species for each particle, and their diameters."""
    edge = (N / 1.1) ** (1 / dimension)
    position = RNG.random((2, N, dimension)) * edge
    diameter = RNG.uniform(0.6, 1.4, (2, N) if per_frame else N)
    present = np.ones((2, N), bool)
    present[1, :7] = not absent
    t = gd.from_arrays(
        position, species=["A", "B"] * (N // 2), box=[edge] * dimension, diameter=diameter, present=present
    )
    alone = []
    for k in range(2):
        sizes = np.broadcast_to(diameter, (2, N))[k, present[k]]
        names = [f"p{n:03d}" for n in range(len(sizes))]
        one = gd.from_arrays(position[[k]][:, present[k]], species=names, box=[edge] * dimension)
        alone.append((one, dict(zip(names, sizes.tolist())), np.flatnonzero(present[k])))
    return t, alone


CASES = pytest.mark.parametrize(
    ("dimension", "per_frame", "absent"), [(2, True, False), (3, True, True), (3, False, False), (3, False, True)]
)


def pairs(sizes, scale=1.0):
    return {(a, b): scale * 0.5 * (sizes[a] + sizes[b]) for a in sizes for b in sizes if a <= b}


@CASES
def test_radical_cells_and_theta_are_those_of_as_many_species(dimension, per_frame, absent):
    trajectory, alone = polydisperse(dimension, per_frame, absent)
    own = {
        "cell": gd.VoronoiCell(diameters="own"),
        "minkowski": gd.BondOrder(neighbors=gd.Voronoi(diameters="own", weighted=True), l_max=3),
        "theta": gd.TongTanaka(diameters="own"),
        "touching": gd.TongTanaka(diameters="own", neighbors=gd.ScaledCutoff(1.2)),
    }
    if dimension == 3:
        own["lfs"] = gd.LocallyFavoredStructure(signature=(0, 3, 6), diameters="own")
    found = gd.describe(trajectory, own, block=25).compute()
    for k, (one, sizes, there) in enumerate(alone):
        same = {
            "cell": gd.VoronoiCell(diameters=sizes),
            "minkowski": gd.BondOrder(neighbors=gd.Voronoi(diameters=sizes, weighted=True), l_max=3),
            "theta": gd.TongTanaka(diameters=sizes),
            "touching": gd.TongTanaka(diameters=sizes, neighbors=gd.Cutoff(pairs(sizes, 1.2))),
        }
        if dimension == 3:
            same["lfs"] = gd.LocallyFavoredStructure(signature=(0, 3, 6), diameters=sizes)
        expected = gd.describe(one, same).compute()
        for name in own:
            np.testing.assert_allclose(found[name][k, there], expected[name][0], rtol=1e-12, atol=1e-12, err_msg=name)
        volume = np.prod(np.diag(one["box"].values[0]))
        assert found["cell"][k, there, 0].sum() == pytest.approx(volume)
    usual = gd.describe(trajectory, [gd.VoronoiCell()])["voronoi"].values
    assert not np.allclose(found["cell"], usual, equal_nan=True)


@CASES
def test_scaled_cutoffs_by_hand(dimension, per_frame, absent):
    trajectory, alone = polydisperse(dimension, per_frame, absent)
    z = gd.describe(trajectory, [gd.Coordination(neighbors=gd.ScaledCutoff(1.3))])["coordination"].values
    for k, (one, sizes, there) in enumerate(alone):
        d, edge = np.array(list(sizes.values())), one["box"].values[0, 0, 0]
        r = one["position"].values[0][:, None] - one["position"].values[0]
        distance = np.linalg.norm(r - edge * np.rint(r / edge), axis=-1) + 1e9 * np.eye(len(d))
        np.testing.assert_array_equal(z[k, there], (distance < 0.65 * (d[:, None] + d)).sum(axis=1))


def test_what_needs_diameters_says_so():
    liquid = gd.from_arrays(RNG.random((1, 20, 3)) * 3, species=["A"] * 20, box=[3.0] * 3)
    needs = [
        gd.VoronoiCell(diameters="own"),
        gd.TongTanaka(diameters="own"),
        gd.Coordination(neighbors=gd.ScaledCutoff(1.2)),
        gd.BondOrder(neighbors=gd.Voronoi(diameters="own")),
    ]
    for descriptor in needs:
        with pytest.raises(ParameterError, match=r"no diameters of their own: give them, from_arrays\(diameter"):
            gd.describe(liquid, [descriptor])
    with pytest.raises(ParameterError, match="frame 0: the particles have no diameters"):
        gd.bond_angle_distribution(liquid, gd.ScaledCutoff(1.4))
    with pytest.raises(ParameterError, match="scale"):
        gd.ScaledCutoff(-1.0)
    sized = liquid.assign(diameter=("particle", np.full(20, 200.0)))
    with pytest.raises(BoxError, match="frame 0"):
        gd.describe(sized, [gd.Coordination(neighbors=gd.ScaledCutoff(1.4))]).compute()


def test_points_have_no_neighbours():
    points = Configuration(RNG.random((5, 3)), np.zeros(5, int), np.eye(3), ("A",), diameter=np.zeros(5))
    assert ScaledCutoff(1.2).find(points, np.arange(5)).counts.tolist() == [0] * 5


@pytest.mark.parametrize("lazy", [False, True])
@CASES
def test_classes_of_diameters(dimension, per_frame, absent, lazy):
    trajectory, _ = polydisperse(dimension, per_frame, absent)
    given = trajectory.chunk(frame=1) if lazy else trajectory
    for classes in (3, (0.5, 0.8, 1.1, 1.5)):
        sorted_ = gd.by_diameter(given, classes)
        edges = np.array(sorted_["species"].attrs["edges"])
        there = np.isfinite(trajectory["position"].values[..., 0])
        d = np.broadcast_to(trajectory["diameter"].values, (2, N))
        expected = np.array(["d1", "d2", "d3"])[np.minimum((d[..., None] >= edges[1:]).sum(axis=-1), 2)]
        assert sorted_["species"].dims == (("frame", "particle") if per_frame else ("particle",))
        np.testing.assert_array_equal(np.broadcast_to(sorted_["species"], (2, N))[there], expected[there])
        if classes == 3:
            _, counts = np.unique(expected[there], return_counts=True)
            assert counts.max() - counts.min() <= 4
    by_hand = trajectory.assign(species=(("frame", "particle"), expected))
    xr.testing.assert_allclose(
        gd.radial_distribution(sorted_, r_max=1.2, n_bins=5), gd.radial_distribution(by_hand, r_max=1.2, n_bins=5)
    )
    assert gd.structure_factor(sorted_, k_max=6.0, n_bins=4)["species_a"].values.tolist() == ["d1", "d2", "d3"]


def test_classes_that_make_no_sense():
    trajectory, _ = polydisperse(3)
    for classes, message in [
        ((0.7, 1.5), "a diameter of 0.*is not between 0.7 and 1.5: give wider edges"),
        ((1.5, 0.5), "two or more increasing edges"),
        ((1.0,), "two or more increasing edges"),
        (0, "by_diameter.classes: expected"),
    ]:
        with pytest.raises(ParameterError, match=message):
            gd.by_diameter(trajectory, classes)
    with pytest.raises(ParameterError, match="need more different diameters"):
        gd.by_diameter(trajectory.assign(diameter=("particle", np.ones(N))), 2)
    with pytest.raises(SchemaError, match="no variable 'diameter'"):
        gd.by_diameter(trajectory.drop_vars("diameter"), 2)


def test_particles_that_keep_their_class_can_be_followed():
    """Sizes that breathe, or are stored with every frame, take no identity from particles."""
    rng = np.random.default_rng(0)
    size = np.repeat([0.8, 1.2], 10) + rng.uniform(-0.1, 0.1, (3, 20))
    path = 5 * rng.random((1, 20, 3)) + 0.1 * np.arange(3)[:, None, None]
    given = gd.from_arrays(path, species=["A"] * 20, box=[5.0] * 3, diameter=size, time=[0.0, 1.0, 2.0])
    classes = gd.by_diameter(given, (0.5, 1.0, 1.5))
    assert classes["species"].values.tolist() == ["d1"] * 10 + ["d2"] * 10
    assert gd.dynamics.mean_square_displacement(classes, [1.0])["msd"].values == pytest.approx(0.03)
    swapped = given.assign(diameter=given["diameter"].copy(data=np.concatenate([size[:2], size[2:, ::-1]])))
    assert gd.by_diameter(swapped, (0.5, 1.0, 1.5))["species"].dims == ("frame", "particle")
