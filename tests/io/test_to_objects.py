"""Trajectories as objects of other packages, and back again."""

import sys
import warnings

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import BoxError, MissingPackageError, SchemaError
from tests.io.test_export import F, N, features, trajectory

CELLS = {"straight": (3, False, False), "tilted": (3, True, True), "flat": (2, True, False)}


@pytest.fixture(params=CELLS)
def given(request):
    return trajectory(*CELLS[request.param])


def lazy(given):
    """The trajectory with positions that fail in frame 2, where nobody has looked."""
    import dask.array as da

    def block(position, block_info=None):
        assert block_info[0]["chunk-location"][0] != 2, "frame 2 was read"
        return position

    position = da.from_array(given["position"].values, chunks=(1, -1, -1)).map_blocks(
        block, dtype=float, meta=np.empty((0, 0, 0))
    )
    return given.assign(position=(given["position"].dims, position, given["position"].attrs))


def test_ase(given):
    pytest.importorskip("ase")
    images = gd.to_ase(given, columns=features())
    assert len(images) == F
    found = gd.from_ase(images[:], keep=["sbo_3"])
    n_space = given.sizes["space"]
    np.testing.assert_allclose(
        found["position"][..., :n_space], given["position"], atol=1e-15 if n_space == 2 else 1e-14
    )
    np.testing.assert_array_equal(found["sbo_3"], features()[..., 3])
    for name in ("species", "id"):
        np.testing.assert_array_equal(found[name], given[name])
    assert images[2].info == {"step": 2000, "time": 0.25}
    assert images[1:][1] == images[2]
    gd.to_ase(lazy(given))[1]


def test_ase_with_elements_absences_and_sizes():
    pytest.importorskip("ase")
    present = np.arange(8) < np.array([8, 5])[:, None]
    glass = gd.from_arrays(
        np.random.default_rng(0).random((2, 8, 3)), species=["Ni", "P"] * 4, box=[1.0] * 3, present=present,
        diameter=np.arange(1.0, 9.0), periodic=(True, False, True),
    )  # fmt: skip
    atoms = gd.to_ase(glass)[1]
    assert atoms.get_chemical_symbols() == ["Ni", "P", "Ni", "P", "Ni"]
    assert atoms.arrays["diameter"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert atoms.pbc.tolist() == [True, False, True]
    with pytest.raises(SchemaError, match="particles come and go, which MDAnalysis does not know"):
        gd.to_mdanalysis(glass)
    with pytest.raises(SchemaError, match="particles come and go, which mdtraj does not know"):
        gd.to_mdtraj(glass)


def test_mdanalysis(given):
    mda = pytest.importorskip("MDAnalysis")
    universe = gd.to_mdanalysis(given, columns=features())
    n_space, corner = given.sizes["space"], given["origin"].values if "origin" in given else np.zeros((F, 1))
    with warnings.catch_warnings(action="ignore"):
        for frame, ts in enumerate(universe.trajectory):
            np.testing.assert_allclose(ts.positions[:, :n_space], given["position"][frame] + corner[frame], atol=1e-6)
            np.testing.assert_allclose(ts.velocities[:, :n_space], given["velocity"][frame], atol=1e-6)
            assert ts.time == given["time"][frame]
            np.testing.assert_array_equal(ts.data["sbo_5"], features()[frame, :, 5])
            box = mda.lib.mdamath.triclinic_vectors(ts.dimensions)[:n_space, :n_space]
            np.testing.assert_allclose(box, given["box"][frame], atol=1e-6)
        assert frame == F - 1
        assert universe.trajectory[-1].frame == universe.copy().trajectory.ts.frame == F - 1
        assert gd.to_mdanalysis(lazy(given)).trajectory[1].frame == 1
    assert universe.atoms.types.tolist() == given["species"].values.tolist()


def test_mdtraj(given):
    pytest.importorskip("mdtraj")
    found = gd.to_mdtraj(given)
    n_space, corner = given.sizes["space"], given["origin"].values if "origin" in given else np.zeros((F, 1))
    np.testing.assert_allclose(found.xyz[..., :n_space], given["position"] + corner[:, None], atol=1e-6)
    np.testing.assert_allclose(found.unitcell_vectors[:, :n_space, :n_space], given["box"], atol=1e-6)
    np.testing.assert_array_equal(found.time, given["time"])
    assert [atom.name for atom in found.topology.atoms] == given["species"].values.tolist()


def test_freud(given):
    pytest.importorskip("freud")
    frames = gd.to_freud(given)
    box, points = frames[1]
    found = gd.from_freud(box, points, species=given["species"].values)
    np.testing.assert_allclose(found["position"][0], given["position"][1], atol=2e-6)
    np.testing.assert_allclose(found["box"][0], given["box"][1], atol=2e-6)
    gd.to_freud(lazy(given))[1]


def test_ovito(given):
    pytest.importorskip("ovito")
    pipeline = gd.to_ovito(given, columns=features())
    assert pipeline.num_frames == F
    found = gd.from_ovito(pipeline, keep=["sbo_4"])
    for name in given.data_vars:
        np.testing.assert_allclose(found[name], given[name], atol=1e-14) if name != "species" else None
    np.testing.assert_array_equal(found["species"], given["species"])
    np.testing.assert_array_equal(found["sbo_4"], features()[..., 4])
    assert gd.to_ovito(lazy(given)).compute(1).particles.count == N


@pytest.mark.parametrize("name", ["ase", "freud", "mdanalysis", "mdtraj", "ovito"])
def test_a_missing_package_is_one_line(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "MDAnalysis" if name == "mdanalysis" else name, None)
    with pytest.raises(MissingPackageError, match=r"needs the package .*: pip install") as found:
        getattr(gd, f"to_{name}")(trajectory())
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", ["freud", "mdtraj"])
def test_cells_that_do_not_fit_are_refused(name):
    pytest.importorskip(name)
    turned = gd.from_arrays(
        [[[0.5, 0.5, 0.5]]], species=["A"], box=[[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]
    )
    with pytest.raises(BoxError, match="first vector lies along x"):
        getattr(gd, f"to_{name}")(turned)[0]
