"""Voronoi cells and locally favoured structures as descriptors."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask.descriptors.voronoi_cell import LocallyFavoredStructure, VoronoiCell
from glassdask.errors import ParameterError, SpeciesError
from tests.conftest import DATA


def test_equals_other_programs(peer):
    name, trajectory, _ = peer
    kept = np.load(DATA / f"{name}_local_order.npz")
    diameters = dict(zip("AB", 2 * kept["radii"]))
    cells = gd.describe(trajectory, {"radical": VoronoiCell(diameters=diameters), "plain": VoronoiCell()}).compute()
    for kind in ("radical", "plain"):
        found = cells[kind].isel(frame=0)
        np.testing.assert_allclose(found.sel(voronoi_feature="volume"), kept[f"{kind}_volume"], rtol=1e-12)
        np.testing.assert_array_equal(found.sel(voronoi_feature="faces"), np.diff(kept[f"{kind}_offsets"]))
        edges = found.sel(voronoi_feature=["n3", "n4", "n5", "n6"])
        np.testing.assert_array_equal(edges, kept[f"{kind}_signature"][:, :4])
    lfs = gd.describe(trajectory, [LocallyFavoredStructure(signature=(0, 0, 12), diameters=diameters)])["lfs"]
    expected = (kept["radical_signature"][:, 2] == 12) & (kept["radical_signature"].sum(axis=1) == 12)
    np.testing.assert_array_equal(lfs.values[0], expected)


def test_icosahedron():
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    cluster = gd.from_arrays(
        np.concatenate([[[5.0, 5, 5]], corners + 5]), species=["B"] + ["A"] * 12, box=[10.0, 10, 10]
    )
    features = gd.describe(
        cluster,
        [VoronoiCell(), LocallyFavoredStructure(signature={"B": (0, 0, 12)})],
    ).compute()
    cell = features["voronoi"][0, 0]
    # a regular dodecahedron with faces at a distance of 1/2
    edge = 0.5 / (0.5 * np.sqrt(2.5 + 1.1 * np.sqrt(5)))
    assert cell.values == pytest.approx([(15 + 7 * np.sqrt(5)) / 4 * edge**3, 12, 0, 0, 12, 0])
    assert features["voronoi"].sel(voronoi_feature="volume").sum() == pytest.approx(1000)
    assert features["lfs"].values[0, 0] == 1
    assert np.isnan(features["lfs"].values[0, 1:]).all()
    # one face more than the signature is another cell
    longer = LocallyFavoredStructure(signature=(0, 0, 12, 1))
    assert gd.describe(cluster, [longer])["lfs"].values[0, 0] == 0


def test_planar_cells_have_areas_and_neighbors():
    square = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0)), -1).reshape(1, -1, 2) * 0.7
    cells = gd.describe(gd.from_arrays(square, species=["A"] * 16, box=[2.8, 2.8]), [VoronoiCell()])["voronoi"]
    assert cells["voronoi_feature"].values.tolist() == ["volume", "faces"]
    assert cells.values[0] == pytest.approx(np.tile([0.49, 4], (16, 1)))


@pytest.mark.parametrize(
    ("shipped", "signature", "expected"),
    [("wahnstrom", (0, 0, 12), 0.2), ("kob_andersen", (0, 2, 8), 0.14)],
    indirect=["shipped"],
)
def test_small_particles_of_the_models_favour_their_structure(shipped, signature, expected):
    # about a fifth of Wahnström's small particles at T = 0.58 are in icosahedra; they are lower in energy
    _, trajectory = shipped
    frames = trajectory.isel(frame=slice(2))
    lfs = gd.describe(frames, [LocallyFavoredStructure(signature=signature, diameters={"A": 1.08, "B": 0.88})])["lfs"]
    is_b = frames["species"].values == "B"
    assert lfs.values[:, is_b].mean() == pytest.approx(expected, rel=0.25)
    assert lfs.values[:, ~is_b].mean() < 0.02


def test_volumes_fill_a_box_that_changes(liquid):
    cells = gd.describe(liquid, [VoronoiCell(diameters={"A": 0.4, "B": 0.3})], block=100)["voronoi"]
    volume = cells.sel(voronoi_feature="volume").sum("particle")
    np.testing.assert_allclose(volume, np.linalg.det(liquid["box"].values), rtol=1e-10)
    assert (
        cells.sel(voronoi_feature="faces") >= cells.sel(voronoi_feature=["n3", "n4", "n5", "n6"]).sum("voronoi_feature")
    ).all()


@pytest.mark.parametrize("diameters", [None, {"A": 0.4, "B": 0.4}, {"A": 0.4, "B": 0.6}])
def test_no_volume_is_lost_between_particles_at_the_same_place(liquid, diameters):
    position, species = liquid["position"].values.copy(), liquid["species"].values.copy()
    position[:, 7] = position[:, 9]
    species[[7, 9]] = "A", "B"
    twins = liquid.assign(position=(liquid["position"].dims, position), species=("particle", species))
    favoured = LocallyFavoredStructure(signature=(0, 0, 12), diameters=diameters)
    found = gd.describe(twins, [VoronoiCell(diameters=diameters), favoured], block=100).compute()
    volume, box = found["voronoi"].sel(voronoi_feature="volume"), np.linalg.det(liquid["box"].values)
    if diameters is None or diameters["A"] == diameters["B"]:
        for name in found:
            assert np.isnan(found[name].values[:, [7, 9]]).all()
            assert np.isfinite(found[name].values[:, np.setdiff1d(np.arange(240), [7, 9])]).all()
        assert (volume.sum("particle").values < box).all()
    else:
        np.testing.assert_allclose(volume.sum("particle"), box, rtol=1e-10)
        assert (volume[:, 7] == 0).all()


def test_bad_parameters(liquid):
    for signature in ((0, 0, 2), (0, -1, 12), {"A": (0,)}):
        with pytest.raises(ParameterError, match="signature"):
            LocallyFavoredStructure(signature=signature)
    with pytest.raises(SpeciesError, match="'X'"):
        gd.describe(liquid, [LocallyFavoredStructure(signature={"X": (0, 0, 12)})])
    with pytest.raises(ParameterError, match="diameter"):
        gd.describe(liquid, [VoronoiCell(diameters={"A": 1.0})])
    plane = gd.from_arrays(np.zeros((1, 1, 2)), species=["A"], box=[3.0, 3.0])
    with pytest.raises(ParameterError, match="three dimensions"):
        gd.describe(plane, [LocallyFavoredStructure(signature=(0, 0, 12))])
