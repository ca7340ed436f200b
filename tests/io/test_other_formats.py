"""Files that ASE reads, and tables of tracks as trackpy and TrackMate write them."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import CUBIC, TILTED, sample
from tests.io.test_lammps_dump import read
from tests.io.test_objects import atoms_of

CELLS = pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])


@CELLS
@pytest.mark.parametrize(
    ("name", "format", "rtol"),
    [("run.traj", "traj", 1e-15), ("XDATCAR", "vasp-xdatcar", 1e-6), ("POSCAR", "vasp", 1e-14), ("x.cif", "cif", 1e-5),
     ("no-suffix", "traj", 1e-15), ("x.xsf", "xsf", 1e-10)],
)  # fmt: skip
def test_ase(tmp_path, cell, name, format, rtol):
    ase = pytest.importorskip("ase.io")
    run = sample(cell=cell)
    images = [atoms_of(run, k) for k in range(5)]
    if format == "vasp-xdatcar":  # which has one cell
        for image in images:
            image.set_cell(run.box[0])
    count = 1 if format in ("vasp", "cif") else 5
    ase.write(tmp_path / name, images[:count] if count > 1 else images[0], format=format)
    found = read(tmp_path / name)
    assert len(found["position"]) == count
    order = np.argsort(found["species"], kind="stable"), np.argsort(images[0].get_chemical_symbols(), kind="stable")
    assert found["species"][order[0]].tolist() == np.array(images[0].get_chemical_symbols())[order[1]].tolist()
    if format != "cif":  # which turns the cell
        for k in range(count):
            fraction = found["position"][k][order[0]] @ np.linalg.inv(found["box"][k])
            expected = images[k].get_scaled_positions()[order[1]]
            moved = fraction - expected
            np.testing.assert_allclose(moved, np.rint(moved), atol=max(rtol, 1e-12))
    lengths = np.linalg.norm(found["box"], axis=2)
    np.testing.assert_allclose(lengths, [image.cell.lengths() for image in images[:count]], rtol=max(rtol, 1e-12))
    np.testing.assert_array_equal(read(tmp_path / name, count - 1, count)["position"], found["position"][count - 1 :])


def test_what_ase_cannot_read_is_one_line(tmp_path):
    pytest.importorskip("ase.io")
    (tmp_path / "POSCAR").write_text("SiO\n1.0\n4 0 0\n0 4\n")
    with pytest.raises(errors.FormatError, match="POSCAR: ASE cannot read it") as caught:
        gio.scan(tmp_path / "POSCAR")
    assert "\n" not in str(caught.value)


def tracks(run) -> str:
    """A table as trackpy has it: particles in any order, and an index without a name."""
    rows = [
        f"{k},{run.position[k, i, 1]},{run.position[k, i, 0]},{10 * k},{i},{run.energy[k, i]},{0.5 + i / 40}\n"
        for k in range(len(run.position))
        for i in np.random.default_rng(k).permutation(20)
    ]
    return ",y,x,frame,particle,signal,radius\n" + "".join(rows)


@pytest.mark.parametrize("name", ["tracks.csv", "tracks.csv.gz"])
def test_trackpy(tmp_path, name):
    run = sample()
    content = tracks(run).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = read(tmp_path / name, box=[8.0, 8.0], keep=["signal"])
    np.testing.assert_array_equal(found["position"], run.position[..., :2])
    np.testing.assert_array_equal(found["signal"], run.energy)
    np.testing.assert_array_equal(found["step"], 10 * np.arange(5))
    np.testing.assert_array_equal(found["diameter"][0], 1.0 + np.arange(20) / 20)
    done = gd.ingest(tmp_path / name, tmp_path / "x.zarr", box=[8.0, 8.0])
    assert any("species 1" in line for line in done.notes)
    assert any("signal" in line for line in done.notes)


TRACKMATE = """LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R
,,,(quality),(micron),(micron),(micron),(sec),,(micron)
ID1,1,0,5.1,1.0,2.0,0.0,0.0,0,0.5
ID2,2,1,5.2,3.0,2.5,0.0,0.0,0,0.5
ID3,3,,5.3,4.0,4.5,0.0,0.0,0,0.5
ID4,4,1,5.1,3.1,2.5,0.0,0.25,1,0.5
ID5,5,0,5.1,1.1,2.0,0.0,0.25,1,0.5
"""


def test_trackmate(tmp_path):
    """Particles come and go, and spots without a track are particles of one frame."""
    (tmp_path / "spots.csv").write_text(TRACKMATE)
    done = gd.ingest(tmp_path / "spots.csv", tmp_path / "x.zarr", box=[5.0, 5.0])
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert found["present"].values.tolist() == [[True, True, True], [True, True, False]]
    np.testing.assert_array_equal(found["position"][1, :2], [[1.1, 2.0], [3.1, 2.5]])
    np.testing.assert_array_equal(found["time"], [0.0, 0.25])
    np.testing.assert_array_equal(found["diameter"].values.flat[0], 1.0)
    assert any("1 rows are of no track" in line for line in done.notes)


def test_tables_that_are_none_are_one_line(tmp_path):
    path = tmp_path / "x.csv"
    for content, message in (
        ("frame,x\n0,1\n", "no columns x, y"),
        ("t,x,y\n0,1,1\n", "no column for the frame: found t x y; name it"),
        ("frame,x,y\n0,1,1\n0,a,1\n", "column x, row 1: 'a' is no number"),
        ("frame,x,y,particle\n0,1,1,0.5\n", "column particle has numbers that are not whole"),
        ("frame,x,y,particle\n0,1,1,0\n0,2,2,0\n", "id 0 is there twice"),
    ):
        path.write_text(content)
        with pytest.raises(errors.FormatError, match=message) as caught:
            read(path, box=[4.0, 4.0])
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    named = tmp_path / "y.csv"
    named.write_text("t,xm,ym,cell\n0,1,1,3\n0,2,2,4\n")
    columns = {"frame": "t", "position": "xm,ym", "id": "cell"}
    assert read(named, columns=columns, box=[4.0, 4.0])["position"].tolist() == [[[1, 1], [2, 2]]]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_tables_that_are_exported(tmp_path, name):
    pytest.importorskip("pyarrow")
    run = sample(n_frames=1 if name == "x.csv" else 5, cell=TILTED)  # a CSV file has no box, and the run has many
    trajectory = run.trajectory("image", "velocity", "step", "time", "id")
    gd.export(trajectory, tmp_path / name)
    options = {"box": run.box[0]} if name == "x.csv" else {}
    gd.ingest(tmp_path / name, tmp_path / "x.zarr", **options)
    found = gd.open_trajectory(tmp_path / "x.zarr")
    for key in ("position", "box", "image", "velocity"):
        np.testing.assert_array_equal(found[key].values, trajectory[key].values, err_msg=key)
    np.testing.assert_array_equal(found["species"], run.species)


def with_columns(folder, kind, run):
    """A file with a charge that stays and a stress of two components that changes, and radii of the particles."""
    charge, stress, radius = np.arange(20.0) - 9.5, run.velocity[..., :2], 0.5 + np.arange(20) / 40
    path = folder / f"x.{kind}"
    if kind == "npz":
        np.savez(
            path, position=run.position, species=run.species, box=run.box, charge=charge, stress=stress, radius=radius
        )
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        from tests.io.test_h5md import in_time, write

        write(path, run)
        with h5py.File(path, "a") as file:
            particles = file["particles/all"]
            particles["charge"], particles["radius"] = charge, radius
            in_time(particles, "stress", stress, run)
    elif kind == "gsd":
        hoomd = pytest.importorskip("gsd.hoomd")
        with hoomd.open(path, "w") as file:
            for k in range(5):
                frame = hoomd.Frame()
                frame.configuration.box = [*np.diag(run.box[k]), 0, 0, 0]
                frame.configuration.step = int(run.step[k])
                frame.particles.N, frame.particles.types = 20, ["1", "2"]
                frame.particles.typeid = (run.species == "2").astype(int)
                frame.particles.position = run.position[k] - np.diag(run.box[k]) / 2
                frame.particles.charge, frame.particles.diameter = charge, 2 * radius
                frame.log["particles/stress"] = stress[k]
                file.append(frame)
    return path, {"charge": charge, "stress": stress, "diameter": 2 * radius}


@pytest.mark.parametrize("kind", ["npz", "h5", "gsd"])
def test_columns_are_kept(tmp_path, kind):
    path, expected = with_columns(tmp_path, kind, sample())
    done = gd.ingest(path, tmp_path / "none.zarr")
    assert any("charge" in line and "stress" in line for line in done.notes)
    assert any("diameter is" in line for line in done.notes)
    gd.ingest(path, tmp_path / "kept.zarr", keep=["charge", "stress"])
    found = gd.open_trajectory(tmp_path / "kept.zarr")
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].values, values, rtol=1e-7, err_msg=name)
    assert found["charge"].dims == ("particle",)
    assert found["stress"].dims == ("frame", "particle", "stress_component")
    with pytest.raises(errors.FormatError, match="no column 'q' to keep"):
        gio.scan(path, keep=["q"])


def test_columns_of_data_files_are_kept(tmp_path):
    from tests.io.test_lammps_files import data

    (tmp_path / "x.data").write_text(data("full", " # full"))
    found = read(tmp_path / "x.data", keep=["q", "mol"])
    assert found["q"].tolist() == [[-0.5] * 4]
    assert found["mol"].dtype.kind == "i"
    (tmp_path / "y.data").write_text(data("sphere", " # sphere"))
    assert read(tmp_path / "y.data")["diameter"].tolist() == [[1.5] * 4]


SMALL = {  # two particles at (1, 1, 1) and (2, 2, 2) of a cube of edge 4, as each program writes them
    "POSCAR": "SiO\n1.0\n4 0 0\n0 4 0\n0 0 4\nSi O\n1 1\nDirect\n0.25 0.25 0.25\n0.5 0.5 0.5\n",
    "XDATCAR": "SiO\n1.0\n4 0 0\n0 4 0\n0 0 4\nSi O\n1 1\nDirect configuration= 1\n0.25 0.25 0.25\n0.5 0.5 0.5\n",
    "one.cfg": "Number of particles = 2\nA = 1 Angstrom (basic length-scale)\n"
    + "".join(f"H0({i},{j}) = {4 * (i == j)} A\n" for i in (1, 2, 3) for j in (1, 2, 3))
    + ".NO_VELOCITY.\nentry_count = 3\n28.0\nSi\n0.25 0.25 0.25\n16.0\nO\n0.5 0.5 0.5\n",
    "dump.yaml": "---\ncreator: LAMMPS\ntimestep: 0\nunits: lj\ntime: 0\nnatoms: 2\nboundary: [ p, p, p, p, p, p, ]\n"
    "thermo:\n  - keywords: [ Step, ]\n  - data: [ 0, ]\nbox:\n  - [ 0, 4 ]\n  - [ 0, 4 ]\n  - [ 0, 4 ]\n"
    "keywords: [ id, element, x, y, z, ]\ndata:\n  - [ 1 , Si , 1 , 1 , 1 , ]\n  - [ 2 , O , 2 , 2 , 2 , ]\n...\n",
    "data.lmp": "two types\n\n2 atoms\n2 atom types\n0 4 xlo xhi\n0 4 ylo yhi\n0 4 zlo zhi\n\n"
    "Atom Type Labels\n\n1 Si\n2 O\n\n"
    "Atoms # atomic\n\n1 1 1 1 1\n2 2 2 2 2",
    "tracks.csv": ",y,x,frame,particle,z,species\n0,1.0,1.0,0,0,1,Si\n1,2.0,2.0,0,1,2,O",
}


@pytest.mark.parametrize("name", SMALL)
def test_the_smallest_file_of_each_format(tmp_path, name):
    pytest.importorskip("ase")
    (tmp_path / name).write_text(SMALL[name])
    options = {"box": [4.0, 4.0, 4.0]} if name.endswith("csv") else {}
    gd.ingest(tmp_path / name, tmp_path / "x.zarr", **options)
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert found["position"].values.tolist() == [[[1, 1, 1], [2, 2, 2]]]
    assert found["species"].values.tolist() == ["Si", "O"]
    np.testing.assert_array_equal(found["box"][0], np.eye(3) * 4)
