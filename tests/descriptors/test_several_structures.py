"""Several structures described at once: the same as one after the other, and stored with the trajectory."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import SchemaError, StoreError

PLACES = ("frame", "particle", "space")
BOTH = ["position", "inherent_position"]


def liquid(n_frames=3, n=80, dimension=3, seed=0):
    """Particles of two species at random, and other places of theirs close by, across the faces of the box as well."""
    rng = np.random.default_rng(seed)
    box = np.array([4.0, 4.5, 5.0][:dimension])
    position = rng.random((n_frames, n, dimension)) * box
    made = gd.from_arrays(position, species=["A"] * (n // 2) + ["B"] * (n // 2), box=box)
    way = 0.3 * rng.uniform(-1, 1, position.shape)
    return made.assign(inherent_position=(PLACES, (position + way) % box)), way


@pytest.mark.parametrize("dimension", [2, 3])
def test_each_structure_is_described_as_if_alone(dimension):
    trajectory, _ = liquid(dimension=dimension)
    wanted = [gd.Coordination(cutoffs=1.5), gd.RadialDensity(grid=[0.9, 1.2], delta=0.2)]
    found = gd.describe(trajectory, wanted, structures=BOTH, centers="B")
    alone = trajectory.drop_vars("inherent_position")
    for name, position in zip(BOTH, (trajectory["position"], trajectory["inherent_position"])):
        expected = gd.describe(alone.assign(position=position), wanted, centers="B")
        for variable in expected.data_vars:
            mine = found[variable].sel(structure=name)
            assert mine.dims == expected[variable].dims
            np.testing.assert_array_equal(mine.values, expected[variable].values)
    assert found["structure"].values.tolist() == BOTH
    assert gd.feature_matrix(found["radial_density"]).shape[0] == 3 * 40


def test_cutoffs_that_are_measured_are_those_of_the_positions():
    trajectory = gd.example("wahnstrom").isel(frame=[0])
    moved = trajectory.assign(cage_position=trajectory["position"] * 1.0)
    found = gd.describe(moved, "coordination", structures=["position", "cage_position"])["coordination"]
    np.testing.assert_array_equal(found.values[:, :, 0], gd.describe(trajectory, "coordination")["coordination"].values)
    np.testing.assert_array_equal(found.values[:, :, 0], found.values[:, :, 1])


@pytest.mark.parametrize("chunks", [{}, {"frame": 1}])
def test_displacements_go_the_short_way(chunks):
    trajectory, way = liquid()
    lazy = trajectory.chunk(chunks) if chunks else trajectory
    found = gd.displacement_between(lazy, *BOTH)
    assert found.dims == PLACES
    np.testing.assert_allclose(found.values, way, atol=1e-12)
    np.testing.assert_allclose(gd.displacement_between(lazy, *BOTH[::-1]).values, -way, atol=1e-12)
    assert not gd.displacement_between(lazy, "position", "position").values.any()


def test_displacements_are_inputs_like_descriptors():
    trajectory, way = liquid()
    length = np.sqrt((gd.displacement_between(trajectory, *BOTH) ** 2).sum("space"))
    averaged = gd.average_shells(length, trajectory, cutoff=1.9, generations=1)
    np.testing.assert_allclose(averaged.values[..., 0], np.linalg.norm(way, axis=-1))
    assert averaged.sizes["generation"] == 2


def test_stored_with_the_trajectory(tmp_path):
    trajectory, _ = liquid()
    store = tmp_path / "run.zarr"
    gd.save_trajectory(trajectory, store)
    wanted = {"near": gd.Coordination(cutoffs=1.5)}
    for given in (gd.open_trajectory(store), trajectory):  # lazy, and what is in memory, with the same numbers
        found = gd.describe(given, wanted, structures=BOTH)
        gd.save_descriptors(found, store)
        stored = gd.open_descriptors(store, ["near"])["near"]
        assert stored.dims == ("frame", "particle", "structure")
        np.testing.assert_array_equal(stored.values, found["near"].values)
        assert stored["structure"].values.tolist() == BOTH
    other = gd.open_trajectory(store)
    changed = other.assign(inherent_position=(other["inherent_position"] + 0.01))
    with pytest.raises(StoreError, match="computed from other positions"):
        gd.save_descriptors(gd.describe(changed, wanted, structures=BOTH), store, overwrite=True)
    with pytest.raises(StoreError, match="near"):  # of one structure alone it is another descriptor
        gd.save_descriptors(gd.describe(other, wanted), store)


def test_features_with_names_are_drawn_for_several_structures():
    values = np.random.default_rng(0).random((2, 30, 2, 3))
    dims, labels = ("frame", "particle", "structure", "name"), {"structure": BOTH, "name": ["a", "b", "c"]}
    _, table = gd.plotting.descriptor(xr.DataArray(values, dims=dims, coords=labels, name="odd"))
    assert table["feature"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(table["mean all"], values.reshape(60, 6).mean(axis=0))


def test_labels_that_were_exchanged_are_not_stored(tmp_path):
    trajectory, _ = liquid()
    store = tmp_path / "run.zarr"
    gd.save_trajectory(trajectory, store)
    found = gd.describe(gd.open_trajectory(store), gd.Coordination(cutoffs=1.5), structures=BOTH)
    with pytest.raises(StoreError, match="changed since"):
        gd.save_descriptors(found.assign_coords(structure=BOTH[::-1]), store)
    with pytest.raises(StoreError, match="changed since"):
        gd.save_descriptors(found.drop_vars("structure"), store)


def test_what_is_no_structure_is_said():
    trajectory, _ = liquid()
    for wrong in (["cage_position"], ["position", "box"], [], ["position", "position"], 5, [["position"]]):
        with pytest.raises(SchemaError, match="structures: found"):
            gd.describe(trajectory, gd.Coordination(cutoffs=1.5), structures=wrong)
    with pytest.raises(SchemaError, match="position, inherent_position"):
        gd.displacement_between(trajectory, "position", "cage_position")
    whole = trajectory.assign(inherent_position=xr.zeros_like(trajectory["position"]).astype(int))
    with pytest.raises(SchemaError, match="expected variables of positions"):
        gd.describe(whole, gd.Coordination(cutoffs=1.5), structures=["inherent_position"])
