"""Positions of single precision are stored so, and results are those that the same numbers in double precision give."""

from __future__ import annotations

import numpy as np
import pytest

import glassdask as gd
from glassdask import dynamics, errors
from tests.io.sample_files import CUBIC, sample
from tests.io.test_h5md import write


@pytest.fixture(scope="module")
def both():
    rng = np.random.default_rng(3)
    start = rng.random((1, 200, 3)) * 5.5
    path = start + np.cumsum(rng.normal(size=(6, 200, 3)) * 0.1, axis=0)
    made = gd.from_arrays(path, species=["A"] * 120 + ["B"] * 80, box=[5.5] * 3, time=np.arange(6.0))
    single = made.assign(position=made["position"].astype(np.float32))
    return single, single.assign(position=single["position"].astype(np.float64))


CALLS = {
    "radial_distribution": lambda t: gd.radial_distribution(t),
    "structure_factor": lambda t: gd.structure_factor(t),
    "bond_angles": lambda t: gd.bond_angle_distribution(t, 1.4),
    "describe": lambda t: gd.describe(t, [gd.BondOrder(cutoffs=1.4), gd.VoronoiCell(), gd.Coordination(cutoffs=1.4)]),
    "averages": lambda t: dynamics.self_correlations(t, k=7.0),
    "displacements": lambda t: dynamics.displacements(t, 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_double_precision(both, name):
    single, double = (CALLS[name](trajectory) for trajectory in both)
    one, other = (found if hasattr(found, "data_vars") else found.to_dataset(name="x") for found in (single, double))
    for variable in other.data_vars:
        assert one[variable].dtype == other[variable].dtype
        np.testing.assert_allclose(one[variable].values, other[variable].values, rtol=1e-12, err_msg=variable)


def test_what_is_single_in_a_file_is_so_in_the_store(tmp_path):
    run = sample()
    double = write(tmp_path / "double.h5", run)
    run.position = run.position.astype(np.float32)
    path = write(tmp_path / "run.h5", run)
    gd.ingest(path, tmp_path / "x.zarr")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert found["position"].dtype == np.float32
    np.testing.assert_array_equal(found["position"].values, run.position)
    assert gd.store.verify(tmp_path / "x.zarr") == []
    with pytest.raises(errors.FormatError, match=r"its positions are of double precision, those of .* of single"):
        gd.ingest(double, tmp_path / "x.zarr", append=True)
    gd.ingest(path, tmp_path / "both.zarr", append=True)
    run.step += 1000
    run.time += 100
    gd.ingest(write(tmp_path / "later.h5", run), tmp_path / "both.zarr", append=True)
    assert gd.open_trajectory(tmp_path / "both.zarr")["position"].dtype == np.float32
    assert gd.open_trajectory(tmp_path / "both.zarr").sizes["frame"] == 10


def test_wrapped_positions_stay_below_the_upper_face(tmp_path):
    run = sample(n_frames=1)
    run.box[:] = CUBIC * 1.1
    run.position = (run.unwrapped - 1e-9).astype(np.float32)
    run.position[0, :3] = [-1e-9, -1e-7, -1e-6]
    gd.ingest(write(tmp_path / "run.h5", run, names=()), tmp_path / "x.zarr")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert (found["position"].values.astype(float) < np.diag(run.box[0])).all()
    whole = found["position"].values + found["image"].values @ found["box"].values[0]
    np.testing.assert_allclose(whole, run.position, atol=2e-6)
