"""Trajectories from objects of other packages: the same particles, cells as rows whatever they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask import errors
from tests.io.sample_files import CUBIC, FLAT, TILTED, sample
from tests.io.test_lammps_dump import read

FILES = Path(__file__).parent / "lammps"
CELLS = pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])


def atoms_of(run, frame, **more):
    ase = pytest.importorskip("ase")
    d = run.box.shape[-1]
    cell = np.eye(3)
    cell[:d, :d] = run.box[frame]
    position = np.pad(run.position[frame], ((0, 0), (0, 3 - d)))
    return ase.Atoms(np.where(run.species == "1", "Si", "O"), positions=position, cell=cell, pbc=True, **more)


@CELLS
def test_ase(cell):
    run = sample(cell=cell)
    images = [atoms_of(run, k) for k in range(5)]
    for k, image in enumerate(images):
        image.arrays["charge"], image.arrays["spin"] = run.energy[k], run.velocity[0]
        image.set_velocities(np.pad(run.velocity[k], ((0, 0), (0, 3 - len(cell)))))
    found = gd.from_ase(images, keep=["charge", "spin"])
    np.testing.assert_array_equal(found["position"], run.position)
    np.testing.assert_array_equal(found["box"], run.box)
    np.testing.assert_allclose(found["velocity"], run.velocity, rtol=1e-14)
    np.testing.assert_array_equal(found["charge"], run.energy)
    assert found["spin"].dims == ("particle", "spin_component")
    assert set(found["species"].values) == {"Si", "O"}
    assert not {"periodic", "image"} & set(found)
    one = gd.from_ase(images[2])
    np.testing.assert_array_equal(one["position"], run.position[2:3])


def test_ase_species_ids_open_axes_and_files(tmp_path):
    ase = pytest.importorskip("ase.io")
    run = sample()
    images = [atoms_of(run, k) for k in range(5)]
    rng = np.random.default_rng(0)
    for k, image in enumerate(images):
        image.pbc = [True, True, False]
        order = rng.permutation(20)
        image.positions = run.unwrapped[k][order]
        image.arrays["species"], image.arrays["id"] = run.species[order], run.id[order]
    found = gd.from_ase(images)
    np.testing.assert_array_equal(found["species"], run.species)
    assert found["periodic"].values.tolist() == [True, True, False]
    assert not found["image"].values[..., 2].any()
    whole = found["position"].values + np.einsum("fpa,fas->fps", found["image"].values, found["box"].values)
    np.testing.assert_allclose(whole, run.unwrapped, rtol=1e-13, atol=1e-13)
    images = [atoms_of(run, k) for k in range(5)]
    ase.write(tmp_path / "run.traj", images)
    with ase.Trajectory(tmp_path / "run.traj") as file:
        lazy = gd.from_ase(file)
        assert lazy["position"].chunks is not None
        np.testing.assert_array_equal(lazy["position"].values, run.position)


def test_names_of_files_are_no_objects():
    for given in ("a.traj", ["a.traj", "b.traj"]):
        with pytest.raises(errors.SchemaError, match=r"images: .*'a\.traj'"):
            gd.from_ase(given)


def test_objects_that_do_not_fit_are_refused_in_one_line():
    run = sample()
    images = [atoms_of(run, k) for k in range(2)]
    images[1].pbc = False
    for made, error, message in (
        (lambda: gd.from_ase(images), errors.FormatError, "image 1: other periodic axes than image 0"),
        (lambda: gd.from_ase([images[0], images[0][:5]]), errors.FormatError, "image 1: 5 particles, 20 in image 0"),
        (lambda: gd.from_ase([]), errors.FormatError, "no image: there is nothing to read"),
        (lambda: gd.from_ase(3), errors.SchemaError, "images: expected ASE's Atoms or a list of them, found int"),
        (
            lambda: gd.from_ase(images[0], keep=["q"]),
            errors.FormatError,
            "no array 'q' to keep: found numbers",
        ),
        (lambda: gd.from_ase(images[0], keep="q"), errors.ParameterError, "keep is 'q', expected a list of names"),
        (lambda: gd.from_mdanalysis(3), errors.SchemaError, "group: expected a Universe or an AtomGroup"),
        (lambda: gd.from_mdtraj(3), errors.SchemaError, "trajectory: expected one of mdtraj, found int"),
        (lambda: gd.from_freud(3), errors.SchemaError, "no points: give them, or pairs"),
        (lambda: gd.from_freud(3, run.position), errors.BoxError, "box: expected a freud.box.Box, or 5 of them"),
        (lambda: gd.from_ovito(3), errors.SchemaError, "data: expected a Pipeline or a DataCollection of OVITO"),
    ):
        with pytest.raises(error, match=message) as caught:
            made()
        assert "\n" not in str(caught.value)
    images[0].cell = None
    with pytest.raises(errors.BoxError, match=r"image 0 has no cell: give box="):
        gd.from_ase(images[0])
    np.testing.assert_array_equal(gd.from_ase(images[0], box=[9.0, 9.0, 9.0])["box"][0], np.eye(3) * 9)


def universe_of(run):
    MDAnalysis = pytest.importorskip("MDAnalysis")
    from MDAnalysis.coordinates.memory import MemoryReader
    from MDAnalysis.lib.mdamath import triclinic_box

    universe = MDAnalysis.Universe.empty(20, trajectory=True, velocities=True)
    universe.add_TopologyAttr("types", run.species)
    universe.add_TopologyAttr("charges", run.energy[0])
    cells = np.array([triclinic_box(*cell) for cell in run.box])
    universe.load_new(run.position.astype(np.float32), format=MemoryReader, dimensions=cells, dt=0.5,
                      velocities=run.velocity.astype(np.float32))  # fmt: skip
    return universe


@pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])
def test_mdanalysis(cell, monkeypatch):
    run = sample(cell=cell)
    universe = universe_of(run)
    monkeypatch.setattr("glassdask.io.objects.BLOCK", 1000)  # two frames at a time
    universe.trajectory[3]
    found = gd.from_mdanalysis(universe, keep=["charges"])
    assert found["position"].chunks[0] == (2, 2, 1)
    assert universe.trajectory.frame == 3
    for name in ("position", "velocity"):
        np.testing.assert_array_equal(found[name].values, getattr(run, name).astype(np.float32))
    np.testing.assert_allclose(found["box"], run.box, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found["time"], run.time)
    np.testing.assert_array_equal(found["species"], run.species)
    np.testing.assert_allclose(found["charges"], run.energy[0])
    some = gd.from_mdanalysis(universe.select_atoms("type 2"))
    np.testing.assert_array_equal(some["position"].values, found["position"].values[:, run.species == "2"])
    with pytest.raises(errors.FormatError, match="the atoms have no elements: give species="):
        gd.from_mdanalysis(universe, species="elements")


@pytest.mark.filterwarnings("ignore:DCDReader currently")
def test_mdanalysis_of_a_file():
    MDAnalysis = pytest.importorskip("MDAnalysis")
    universe = MDAnalysis.Universe(
        FILES / "cell.data", FILES / "cell.dcd", topology_format="DATA", atom_style="id type x y z"
    )
    try:
        found = gd.from_mdanalysis(universe)
        expected = read(FILES / "cell.dcd", topology=str(FILES / "cell.data"))
        np.testing.assert_allclose(found["position"].values, expected["position"], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(found["species"], expected["species"])
    finally:
        universe.trajectory.close()


@pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])
def test_mdtraj(cell):
    mdtraj = pytest.importorskip("mdtraj")
    run = sample(cell=cell)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for name in run.species:
        topology.add_atom(name, mdtraj.element.silicon, topology.add_residue("GLA", chain))
    trajectory = mdtraj.Trajectory(run.position, topology, time=run.time)
    trajectory.unitcell_vectors = run.box.astype(np.float32)
    found = gd.from_mdtraj(trajectory)
    np.testing.assert_array_equal(found["position"], run.position.astype(np.float32))
    np.testing.assert_allclose(found["box"], run.box, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found["species"], run.species)
    assert set(gd.from_mdtraj(trajectory, species="element")["species"].values) == {"Si"}


@pytest.mark.parametrize("flat", [False, True])
def test_freud(flat):
    freud = pytest.importorskip("freud")
    box = freud.box.Box(5, 6, 0 if flat else 7, 0.1, 0 if flat else 0.2, 0 if flat else 0.3, is2D=flat)
    points = box.wrap(np.random.default_rng(0).random((20, 3)) * [9, 9, 0 if flat else 9])
    found = gd.from_freud(box, points, species=["A", "B"] * 10)
    d = 2 if flat else 3
    np.testing.assert_array_equal(found["box"][0], box.to_matrix().T[:d, :d])
    np.testing.assert_allclose(found["position"][0] + found["origin"][0], points[:, :d], atol=1e-6)
    # the lattice is the same: distances to the nearest images are
    moved = found["position"].values[0] - found["position"].values[0, 0]
    fraction = moved @ np.linalg.inv(found["box"].values[0])
    near = np.pad((fraction - np.rint(fraction)) @ found["box"].values[0], ((0, 0), (0, 3 - d)))
    np.testing.assert_allclose(near, box.wrap(points - points[0]), atol=1e-5)
    pairs = gd.from_freud(gd.to_freud(found), species=["A", "B"] * 10)
    np.testing.assert_allclose(pairs["position"], found["position"], atol=1e-6)
    if not flat:
        box.periodic = (True, True, False)
        assert gd.from_freud(box, points)["periodic"].values.tolist() == [True, True, False]
        with pytest.raises(errors.BoxError, match=r"use glassdask.from_freud"):
            gd.from_arrays(points, species=["A"] * 20, box=box)


@pytest.mark.parametrize("name", ["cell", "flat"])
def test_ovito(name):
    pytest.importorskip("ovito")
    from ovito.io import import_file

    pipeline = import_file(str(FILES / f"{name}.dump"))
    found, expected = gd.from_ovito(pipeline, keep=["c_ke"]), read(FILES / f"{name}.dump")
    for key in ("position", "box", "origin", "velocity", "image", "step", "time"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-14, atol=1e-14, err_msg=key)
    np.testing.assert_array_equal(found["species"], expected["species"])
    assert found["c_ke"].sizes["particle"] == 10
    one = gd.from_ovito(pipeline.compute(1))
    np.testing.assert_array_equal(one["position"], found["position"][1:])


def test_boxes_in_arrays():
    """What looks like a cell whose columns are its vectors, or like lengths and angles, is not taken for rows."""
    freud = pytest.importorskip("freud")
    rng = np.random.default_rng(1)
    box = freud.box.Box(5, 6, 7, 0.1, 0.2, 0.3)
    made = {"position": rng.random((20, 3)), "species": ["A"] * 20}
    np.testing.assert_array_equal(gd.from_arrays(**made, box=box)["box"][0], box.to_matrix().T)
    with pytest.raises(errors.BoxError, match=r"is upper triangular, as that of freud.*box_vectors='columns'"):
        gd.from_arrays(**made, box=box.to_matrix())
    for vectors, rows in (("columns", box.to_matrix().T), ("rows", box.to_matrix())):
        found = gd.from_arrays(**made, box=box.to_matrix(), box_vectors=vectors)
        np.testing.assert_array_equal(found["box"][0], rows)
    with pytest.raises(errors.BoxError, match="box_vectors is 'column', expected 'rows' or 'columns'"):
        gd.from_arrays(**made, box=box.to_matrix(), box_vectors="column")
    with pytest.raises(errors.BoxError, match=r"three edge lengths and three angles: give .* box=\[10.0, 11.0, 12.0\]"):
        gd.from_arrays(**made, box=[10, 11, 12, 90, 90, 90])
    np.testing.assert_array_equal(gd.from_arrays(**made, box=10.0)["box"][0], np.eye(3) * 10)
    full = np.array([[4.0, 1, 0], [0.5, 5, 0], [0, 0, 6]])
    np.testing.assert_array_equal(gd.from_arrays(**made, box=full)["box"][0], full)
