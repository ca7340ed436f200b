"""Species and sizes that change from frame to frame, and particles that come and go: as each frame without them."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.frames import map_frames, sum_frames
from tests.conftest import pair_cutoffs

CUTOFFS = pair_cutoffs(np.array([[1.3, 1.1], [1.1, 0.9]]))
DESCRIPTORS = {
    "sbo": gd.SmoothedBondOrder(cutoffs=CUTOFFS, l_max=3),
    "z": gd.Coordination(cutoffs=CUTOFFS, by_species=True),
    "sann": gd.BondOrder(neighbors=gd.SANN(), l_max=3),
    "cell": gd.VoronoiCell(diameters={"A": 1.0, "B": 0.8}),
}
ABSENT = {1: [0, 3, 4, 100, 239], 2: range(200, 240)}


def varied(liquid, species=True, absent=True):
    """The liquid with species that change, or particles that are not there, or both."""
    rng = np.random.default_rng(5)
    present = np.ones((3, 240), bool)
    for frame, particles in ABSENT.items():
        present[frame, list(particles)] = not absent
    names = liquid["species"].values
    return gd.from_arrays(
        liquid["position"].values,
        species=[rng.permutation(names) for _ in range(3)] if species else names,
        box=liquid["box"].values,
        present=present,
        diameter=rng.uniform(0.8, 1.2, (3, 240)),
    )


def compact(trajectory):
    """Each frame as a trajectory of its own, of the particles that are there, and their numbers."""
    for k in range(trajectory.sizes["frame"]):
        frame = trajectory.isel(frame=[k]).compute()
        there = np.isfinite(frame["position"].values[0, :, 0])
        names = np.broadcast_to(frame["species"].values, (1, len(there)))[0, there]
        position, diameter = frame["position"].values[:, there], frame["diameter"].values[:, there]
        yield gd.from_arrays(position, species=names, box=frame["box"].values, diameter=diameter), np.flatnonzero(there)


def lazily(trajectory, frames=2, particles=100):
    lazy = {
        name: (values.dims, da.from_array(values.values, chunks=(frames, particles, 3)[: values.ndim]), values.attrs)
        for name, values in trajectory.data_vars.items()
        if name in ("position", "present", "diameter")
    }
    return trajectory.assign(lazy)


CASES = pytest.mark.parametrize(("species", "absent"), [(True, False), (False, True), (True, True)])


@CASES
@pytest.mark.parametrize("centers", [None, "B"])
def test_descriptors_are_those_of_each_frame(liquid, species, absent, centers):
    trajectory = varied(liquid, species, absent)
    whole = gd.describe(trajectory, DESCRIPTORS, centers=centers).compute()
    for k, (alone, there) in enumerate(compact(trajectory)):
        expected = gd.describe(alone, DESCRIPTORS, centers=centers).compute()
        for name in DESCRIPTORS:
            np.testing.assert_allclose(whole[name][k, there], expected[name][0], rtol=0, atol=1e-12, err_msg=name)
            assert np.isnan(np.delete(whole[name].values[k], there, axis=0)).all()
    cut = gd.describe(lazily(trajectory), DESCRIPTORS, centers=centers, block=70).compute()
    xr.testing.assert_allclose(cut, whole, rtol=0, atol=1e-12)


@CASES
@pytest.mark.parametrize("centers", [None, "B"])
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_of_features_are_those_of_each_frame(liquid, species, absent, centers, lazy):
    trajectory = varied(liquid, species, absent)
    features = gd.describe(lazily(trajectory) if lazy else trajectory, DESCRIPTORS, centers=centers, block=70)["sbo"]
    rows = np.asarray(gd.feature_matrix(features if lazy else features.compute()))
    names = np.broadcast_to(trajectory["species"].values, (3, 240))
    assert len(rows) == (720 if centers is None else (names == "B").sum())
    defined = rows[~np.isnan(rows).any(axis=1)]
    alone = [gd.describe(one, DESCRIPTORS, centers=centers)["sbo"].compute() for one, _ in compact(trajectory)]
    expected = np.concatenate([gd.feature_matrix(one) for one in alone])
    np.testing.assert_allclose(defined, expected[~np.isnan(expected).any(axis=1)], rtol=0, atol=1e-12)
    reduced = gd.reduce(features, n_components=2)
    assert np.isfinite(reduced["projection"].values[..., 0]).sum() == len(defined)


@CASES
def test_correlations_count_the_particles_that_are_there(liquid, species, absent, task_rows):
    trajectory = varied(liquid, species, absent)
    frames = [alone for alone, _ in compact(trajectory)]
    volume = np.abs(np.linalg.det(trajectory["box"].values))
    for rows in (10_000, 50):
        task_rows(rows)
        found = gd.radial_distribution(lazily(trajectory), r_max=2.0, n_bins=8)
        each = [gd.radial_distribution(frame, r_max=2.0, n_bins=8) for frame in frames]
        pairs = np.array([possible_pairs(frame) for frame in frames])
        np.testing.assert_array_equal(found["counts"], sum(g["counts"] for g in each))
        np.testing.assert_allclose(
            found["g"], sum(g["g"] * p[..., None] for g, p in zip(each, pairs)) / pairs.sum(axis=0)[..., None]
        )
        of_all = np.array([len(frame["particle"]) * (len(frame["particle"]) - 1) for frame in frames])
        np.testing.assert_allclose(found["g_total"], sum(g["g_total"] * p for g, p in zip(each, of_all)) / of_all.sum())
        assert found.attrs["density"] == pytest.approx(np.mean([frame.sizes["particle"] for frame in frames] / volume))
        # each frame of the trajectory has its own wave vectors, and the same ones alone
        s = gd.structure_factor(trajectory, k_max=6.0, n_bins=6)
        alone = [gd.structure_factor(frame, k_max=6.0, n_bins=6) for frame in frames]
        weights = np.array([one["modes"].values * frame.sizes["particle"] for one, frame in zip(alone, frames)])
        np.testing.assert_array_equal(s["modes"], sum(one["modes"] for one in alone))
        expected = sum(np.nan_to_num(one["S"]) * w for one, w in zip(alone, weights)) / weights.sum(axis=0)
        np.testing.assert_allclose(np.nan_to_num(s["S"]), np.nan_to_num(expected), atol=1e-12)
        angles = gd.bond_angle_distribution(trajectory, CUTOFFS, n_bins=6)["triplets"]
        np.testing.assert_array_equal(
            angles, sum(gd.bond_angle_distribution(frame, CUTOFFS, n_bins=6)["triplets"] for frame in frames)
        )


def possible_pairs(frame):
    _, number = np.unique(frame["species"].values, return_counts=True)
    return np.outer(number, number) - np.diag(number)


@CASES
def test_fields_are_those_of_each_frame(liquid, species, absent):
    trajectory = varied(liquid, species, absent)
    values = xr.DataArray(np.random.default_rng(0).random((3, 240)), dims=("frame", "particle"))
    coarse = gd.coarse_grain(values, trajectory, [0.5, 1.0])
    shells = gd.average_shells(values, trajectory, cutoff=1.2)
    grid = gd.to_grid(trajectory, 4, {"A": 0.5, "B": 0.4})
    back = gd.from_grid(grid, trajectory, {"A": 0.5, "B": 0.4})
    similar = gd.spatial_correlation(values, trajectory, r_max=2.0, width=0.5)
    for k, (alone, there) in enumerate(compact(trajectory)):
        own = values[[k], there]
        np.testing.assert_allclose(coarse[k, there], gd.coarse_grain(own, alone, [0.5, 1.0])[0])
        np.testing.assert_allclose(shells[k, there], gd.average_shells(own, alone, cutoff=1.2)[0])
        np.testing.assert_allclose(grid[k], gd.to_grid(alone, 4, {"A": 0.5, "B": 0.4})[0])
        np.testing.assert_allclose(back[k, there], gd.from_grid(grid[[k]], alone, {"A": 0.5, "B": 0.4})[0])
        one = gd.spatial_correlation(own, alone, r_max=2.0, width=0.5)
        np.testing.assert_allclose(similar["correlation"][k], one["correlation"][0])
        assert np.isnan(np.delete(coarse.values[k], there, axis=0)).all()


def test_functions_of_frames_get_the_particles_that_are_there(liquid):
    trajectory = lazily(varied(liquid))
    charge = xr.DataArray(np.arange(240.0), dims="particle")

    def both(configuration, charge):
        assert len(configuration.position) == len(configuration.species) == len(configuration.diameter) == len(charge)
        return np.stack([charge, configuration.diameter])

    found = map_frames(both, trajectory, charge, dims={"kind": 2, "particle": 240}).values
    there = trajectory["present"].values
    np.testing.assert_array_equal(found[:, 0], np.where(there, charge, np.nan))
    np.testing.assert_array_equal(found[:, 1], np.where(there, trajectory["diameter"], np.nan))
    (number,) = sum_frames(lambda configuration, particles: (particles.size,), trajectory)
    assert number == there.sum()
    with pytest.raises(ParameterError, match="absent particles are NaN: give dtype=float"):
        map_frames(both, trajectory, charge, dims={"kind": 2, "particle": 240}, dtype=int)


def test_stored_and_opened_they_give_the_same(liquid, tmp_path):
    trajectory = varied(liquid)
    whole = gd.describe(trajectory, DESCRIPTORS, centers="B").compute()
    gd.save_trajectory(trajectory, tmp_path / "run.zarr")
    features = gd.describe(gd.open_trajectory(tmp_path / "run.zarr"), DESCRIPTORS, centers="B", block=100)
    gd.save_descriptors(features, tmp_path / "run.zarr", dtype="float64")
    gd.save_descriptors(gd.describe(trajectory, DESCRIPTORS, centers="B"), tmp_path / "run.zarr", dtype="float64")
    opened = gd.open_descriptors(tmp_path / "run.zarr")
    for name in DESCRIPTORS:
        np.testing.assert_allclose(opened[name], whole[name], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(opened["species"], trajectory["species"])
    there = trajectory["species"].values[trajectory["present"].values]
    assert gd.store.info(tmp_path / "run.zarr")["species"] == dict(zip(*np.unique(there, return_counts=True)))
    reduced = gd.reduce(opened["sbo"], n_components=2)
    gd.save_reduction(reduced, tmp_path / "run.zarr", "sbo")
    others = trajectory.assign(diameter=trajectory["diameter"] * 1.1)
    with pytest.raises(gd.errors.StoreError, match="other positions"):
        gd.save_descriptors(gd.describe(others, DESCRIPTORS, centers="B"), tmp_path / "run.zarr")


def test_a_lazy_frame_without_particles_is_refused(liquid):
    trajectory = varied(liquid)
    nobody = np.arange(3)[:, None] == 2
    gone = trajectory.assign(
        present=trajectory["present"] & ~nobody, position=trajectory["position"].where(~nobody[..., None])
    )
    with pytest.raises(SchemaError, match="frame 2: no particle is there: leave the frame out"):
        gd.radial_distribution(lazily(gone), r_max=1.0)


@pytest.mark.parametrize("name", ["position", "present", "diameter"])
def test_what_is_wrong_in_a_lazy_frame_is_found_there(liquid, name):
    trajectory = varied(liquid)
    values = trajectory[name].values.copy()
    values[1, 7] = False if name == "present" else np.nan
    broken = lazily(trajectory.assign({name: (trajectory[name].dims, values)}))
    error = SchemaError if name == "diameter" else PositionError
    with pytest.raises(error, match=r"frame 1, particle \d+: "):
        gd.describe(broken, DESCRIPTORS).compute(scheduler="synchronous")
