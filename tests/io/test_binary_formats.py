"""GSD, NumPy archives and what mdtraj reads, against files that their own libraries write."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import CUBIC, FLAT, SHIPPED, TILTED, sample
from tests.io.test_lammps_dump import read, same

SINGLE = 2e-7  # a few rounding errors of single precision


def save(path, run, *names: str, **more) -> Path:
    arrays = {name: getattr(run, name) for name in ("position", "species", "box", *names)}
    np.savez_compressed(path, **{**arrays, **more})
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_archives(path):
    data = np.load(path)
    expected = gd.from_arrays(data["position"], species=data["species"], box=data["box"])
    found = read(path)
    np.testing.assert_array_equal(found["position"], expected["position"].values)
    np.testing.assert_array_equal(found["species"], expected["species"].values)
    np.testing.assert_array_equal(found["box"], expected["box"].values)
    for name in {"velocity", "energy", "time"} & set(data.files):
        np.testing.assert_array_equal(found[name], data[name])


@pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])
@pytest.mark.parametrize("compressed", [True, False])
def test_archive(tmp_path, cell, compressed):
    run = sample(cell=cell)
    names = ("velocity", "energy", "image", "time", "step", "id")
    arrays = {name: getattr(run, name) for name in ("position", "species", "box", *names)}
    (np.savez_compressed if compressed else np.savez)(tmp_path / "run.npz", **arrays)
    found = read(tmp_path / "run.npz")
    same(found, run, "velocity energy image time step")
    np.testing.assert_array_equal(read(tmp_path / "run.npz", 2, 4)["position"], run.position[2:4])
    unwrapped = save(tmp_path / "u.npz", run, position=run.unwrapped, image=np.zeros_like(run.image))
    same(read(unwrapped), run, "image", rtol=1e-13)


def test_archive_of_one_frame_and_other_names(tmp_path):
    run = sample(n_frames=1)
    path = save(tmp_path / "run.npz", run, position=run.position[0], box=[6.0, 7.0, 8.0])
    same(read(path), run, "")
    np.savez(path, xyz=run.position, types=run.species, L=run.box)
    with pytest.raises(errors.FormatError, match=r"run.npz: no array position, species: found L, types, xyz"):
        gio.scan(path)
    same(read(path, columns={"position": "xyz", "species": "types", "box": "L"}), run, "")


def test_archive_species_must_be_constant(tmp_path):
    run = sample()
    species = np.repeat(run.species[None], 5, axis=0)
    same(read(save(tmp_path / "run.npz", run, species=species)), run, "")
    species[3, 7] = "2"
    with pytest.raises(errors.SpeciesError, match=r"frame 3, particle 7: species is 2, in frame 0 it was 1"):
        read(save(tmp_path / "run.npz", run, species=species))


def test_archive_errors(tmp_path):
    run = sample()
    for more, message in (
        ({"position": run.position.T.copy().T}, "Fortran order: save numpy.ascontiguousarray"),
        ({"position": np.full((2, 3, 3), None)}, "Python objects: save numbers, position"),
        ({"species": np.array(list(run.species), dtype=object)}, r"Python objects: save text, species\.astype\(str\)"),
        ({"position": np.zeros(run.position.shape, bool)}, "position has dtype bool, expected real numbers"),
        ({"position": np.zeros(3)}, "expected 3 dimensions"),
        ({"velocity": run.velocity[:3]}, "'velocity' has shape"),
        ({"time": run.time[:3]}, "'time' has shape"),
        ({"species": run.species[:3]}, "'species' has shape"),
        ({"box": np.zeros((2, 2))}, "box has shape"),
    ):
        path = save(tmp_path / "bad.npz", run, **more)
        with pytest.raises(errors.GlassdaskError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
    run.position[2, 4, 1] = np.inf
    with pytest.raises(errors.PositionError, match=r"bad.npz, frame 2, particle 4: .*not finite"):
        read(save(tmp_path / "bad.npz", run))
    good = save(tmp_path / "good.npz", sample()).read_bytes()
    (tmp_path / "bad.npz").write_bytes(good[: len(good) // 2])
    with pytest.raises(errors.FormatError, match=r"bad.npz: not a readable NumPy archive"):
        gio.scan(tmp_path / "bad.npz")
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive, zipfile.ZipFile(tmp_path / "good.npz") as whole:
        for name in whole.namelist():
            data = whole.read(name)
            archive.writestr(name, data[:-500] if name == "position.npy" else data)
    with pytest.raises(errors.FormatError, match=r"bad.npz: truncated"):
        read(tmp_path / "bad.npz")


TYPES = {
    "position": (complex, str, "S8"),
    "velocity": (complex, str),
    "energy": (complex, str),
    "origin": (complex,),
    "box": (complex, str),
    "image": (complex, str, 0.7, np.nan, np.inf, 2.0**63),
    "step": (complex, str, 0.5, np.nan, 1e20, np.uint64(2**63)),
    "id": (complex, str, 0.5, np.nan, np.inf),
    "time": (complex, str, np.nan, np.inf),
}


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name, all_ in TYPES.items() for wrong in all_])
def test_archive_types(tmp_path, name, wrong):
    run = sample()
    good = run.position[:, 0] if name == "origin" else getattr(run, name)
    if isinstance(wrong, (type, str)):
        bad = (good + 1j) if wrong is complex else good.astype(wrong)
    else:
        bad = good.astype(type(wrong))
        bad.flat[-1] = wrong
    path = save(tmp_path / "bad.npz", run, **{name: bad})
    with pytest.raises(errors.GlassdaskError, match=f"bad.npz.*{name}") as caught:
        gio.ingest(path, tmp_path / "run.zarr")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_archive_whole_numbers_as_floats(tmp_path, whole):
    """As MATLAB and many scripts write them."""
    run = sample()
    floats = {name: getattr(run, name).astype(float) for name in ("image", "step", "id")} if whole else {}
    path = save(tmp_path / "run.npz", run, "image", "step", "id", **floats)
    same(read(path), run, "image step")


def test_archive_names_in_bytes_and_missing_ones(tmp_path):
    run = sample()
    same(read(save(tmp_path / "run.npz", run, species=run.species.astype("S"))), run, "")
    species = run.species.astype(float)
    species[3] = np.nan
    with pytest.raises(errors.SpeciesError, match=r"bad.npz: species has None or NaN"):
        read(save(tmp_path / "bad.npz", run, species=species))


def test_archive_times_that_are_not_read_may_be_missing(tmp_path):
    run = sample()
    path = save(tmp_path / "run.npz", run, time=np.full(len(run.time), np.nan))
    gio.ingest(path, tmp_path / "run.zarr", ordered=False)
    assert "time" not in gd.open_trajectory(tmp_path / "run.zarr")


def test_archive_memory_is_bounded_by_a_frame(tmp_path):
    run = sample(n_frames=2, n_particles=4000)
    path = save(tmp_path / "run.npz", run, position=np.tile(run.position, (50, 1, 1)), box=np.tile(run.box, (50, 1, 1)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in gio.frames(gio.scan(path))) == 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * run.position[0].nbytes / 4


def write_gsd(path, run, *, dimensions: int = 3, images: bool = True, types=("1", "unused", "2")) -> Path:
    hoomd = pytest.importorskip("gsd.hoomd")
    d = run.box.shape[1]
    with hoomd.open(path, "w") as trajectory:
        for k, (cell, position) in enumerate(zip(run.box, run.position)):
            frame = hoomd.Frame()
            lx, ly = cell[0, 0], cell[1, 1]
            box = [lx, ly, 0, cell[1, 0] / ly, 0, 0]
            if d == 3:
                box = [lx, ly, cell[2, 2], cell[1, 0] / ly, cell[2, 0] / cell[2, 2], cell[2, 1] / cell[2, 2]]
            frame.configuration.box = box
            frame.configuration.step = int(run.step[k])
            frame.configuration.dimensions = dimensions
            frame.particles.N = len(position)
            frame.particles.types = list(types)
            frame.particles.typeid = [types.index(name) for name in run.species]
            pad = ((0, 0), (0, 3 - d))
            frame.particles.position = np.pad(position - cell.sum(axis=0) / 2, pad)
            if images:
                frame.particles.image = np.pad(run.image[k], pad)
                frame.particles.velocity = np.pad(run.velocity[k], pad)
                frame.log["particles/pair/energies"] = run.energy[k]
            trajectory.append(frame)
    return path


@pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])
def test_gsd(tmp_path, cell):
    run = sample(cell=cell)
    path = write_gsd(tmp_path / "run.gsd", run, dimensions=len(cell))
    found = read(path, columns={"energy": "particles/pair/energies"})
    same(found, run, "velocity image", rtol=SINGLE)
    np.testing.assert_array_equal(found["energy"], run.energy)
    np.testing.assert_array_equal(found["step"], run.step)
    assert gio.scan(path).species == ("1", "2")
    np.testing.assert_array_equal(read(path, 3, 4)["position"][0], found["position"][3])


def test_gsd_without_images_and_errors(tmp_path):
    run = sample()
    path = write_gsd(tmp_path / "run.gsd", run, images=False)
    assert gio.scan(path).variables == ("origin", "step")
    with pytest.raises(errors.FormatError, match=r"frame 0: nothing logged as 'x': found \[\]"):
        gio.scan(path, columns={"energy": "x"})
    path.write_bytes(b"no gsd" * 100)
    with pytest.raises(errors.FormatError, match=r"run.gsd: not a readable GSD file"):
        gio.scan(path)


@pytest.fixture
def mdtraj_run():
    """A trajectory of mdtraj with the numbers of a sample as nanometres, and the sample."""
    mdtraj = pytest.importorskip("mdtraj")
    run = sample(n_frames=25, cell=TILTED)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for name in run.species:
        element = {"1": mdtraj.element.silicon, "2": mdtraj.element.oxygen}[str(name)]
        topology.add_atom(f"X{name}", element, topology.add_residue("GLA", chain))
    run.species = np.array([f"X{name}" for name in run.species])
    trajectory = mdtraj.Trajectory(run.position, topology, time=run.time)
    trajectory.unitcell_vectors = run.box.astype(np.float32)
    return trajectory, run


@pytest.mark.parametrize(
    ("suffix", "factor", "rtol", "timed"),
    [
        (".dcd", 10, 1e-6, False),
        (".xtc", 1, 1e-3, True),
        (".trr", 1, 1e-6, True),
        (".pdb", 10, 1e-3, False),
        (".h5", 1, 1e-6, True),
    ],
)
def test_mdtraj(tmp_path, mdtraj_run, suffix, factor, rtol, timed):
    trajectory, run = mdtraj_run
    if suffix == ".pdb":  # a PDB file has one cell for all its frames
        run.position = np.einsum("fpa,as->fps", run.scaled, run.box[0])
        run.box[:] = run.box[0]
        trajectory.xyz, trajectory.unitcell_vectors = run.position, run.box.astype(np.float32)
    path = tmp_path / f"run{suffix}"
    trajectory.save(str(path))
    trajectory[0].save(str(tmp_path / "top.pdb"))
    options = {} if suffix == ".pdb" else {"topology": str(tmp_path / "top.pdb")}
    found = read(path, **options)
    # what the file holds: ångströms for DCD and PDB, ten times the nanometres
    run.position, run.box = run.position * factor, run.box * factor
    same(found, run, "time" if timed else "", rtol=rtol)
    assert ("time" in found) == timed
    index = gio.scan(path, **options)
    part = np.stack([frame.position for frame in gio.frames(index, 12, 15)])
    np.testing.assert_array_equal(part, found["position"][12:15])


def test_mdtraj_topology(tmp_path, mdtraj_run):
    trajectory, _ = mdtraj_run
    path = tmp_path / "run.dcd"
    trajectory.save(str(path))
    trajectory[0].save(str(tmp_path / "top.pdb"))
    top = str(tmp_path / "top.pdb")
    assert gio.scan(path, topology=top, columns={"species": "element"}).species == ("O", "Si")
    with pytest.raises(errors.FormatError, match=r"run.dcd: has no species: give .topology="):
        gio.scan(path)
    with pytest.raises(errors.FormatError, match=r"none.pdb: no such file, it was to give the species"):
        gio.scan(path, topology=str(tmp_path / "none.pdb"))
    path.write_bytes(b"no dcd" * 100)
    with pytest.raises(errors.FormatError, match=r"run.dcd: mdtraj cannot read it"):
        gio.scan(path, topology=top)


def test_mdtraj_without_a_cell_needs_a_box(tmp_path, mdtraj_run):
    trajectory, _ = mdtraj_run
    trajectory.unitcell_vectors = None
    path = tmp_path / "run.xtc"
    trajectory.save(str(path))
    trajectory[0].save(str(tmp_path / "top.pdb"))
    with pytest.raises(errors.GlassdaskError, match=r"run.xtc, frame 0: (no box|box)"):
        gio.scan(path, topology=str(tmp_path / "top.pdb"))


def test_another_topology_of_the_same_name_is_another_input(tmp_path, mdtraj_run):
    """What the species were read from belongs to a store as the positions do."""
    trajectory, _ = mdtraj_run
    path, top = tmp_path / "run.dcd", tmp_path / "top.pdb"
    trajectory.save(str(path))
    trajectory[0].save(str(top))
    gio.ingest(path, tmp_path / "run.zarr", topology=str(top))
    assert gio.ingest(path, tmp_path / "run.zarr", topology=str(top)).n_new == 0
    top.write_text(top.read_text().replace("X1", "X2", 1))
    with pytest.raises(errors.StoreError, match="holds frames of the same files with another topology or format"):
        gio.ingest(path, tmp_path / "run.zarr", topology=str(top))
