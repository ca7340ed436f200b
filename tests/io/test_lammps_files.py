"""What LAMMPS itself has written of one run, in each of its formats: all are the same trajectory."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import CUBIC, TILTED, sample
from tests.io.test_lammps_dump import read

FILES = Path(__file__).parent / "lammps"


def expected(name: str) -> dict[str, np.ndarray]:
    """What the text dump of the run says."""
    return read(FILES / f"{name}.dump")


@pytest.mark.parametrize("name", ["cell", "flat"])
def test_data(name):
    run = expected(name)
    found = read(FILES / f"{name}.data")
    # write_data wraps what the dump has not wrapped yet, and has fewer digits
    moved = found["image"][0] @ found["box"][0] - run["image"][1] @ run["box"][1]
    np.testing.assert_allclose(found["position"][0] + moved, run["position"][1], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found["box"][0], run["box"][1], rtol=1e-15)
    np.testing.assert_allclose(found["velocity"][0], run["velocity"][1], rtol=1e-14)
    np.testing.assert_array_equal(found["origin"][0], run["origin"][1])
    np.testing.assert_array_equal(found["species"], run["species"])


HEADER = "a run, 4 atoms of old\n\n4 atoms\n2 atom types\n0 4 xlo xhi\n0 4 ylo yhi\n-1 3 zlo zhi\n\n"
ROWS = {
    "atomic": "{id} {type} {x}",
    "full": "{id} 1 {type} -0.5 {x}  # a comment",
    "charge": "{id} {type} 0.5 {x}",
    "molecular": "{id} 1 {type} {x}",
    "sphere": "{id} {type} 1.5 2.5 {x}",
}


def data(style: str, comment: str = "", images: bool = False, labels: str = "") -> str:
    rows = [ROWS[style].format(id=k, type=1 + k % 2, x=f"{k}.25 1 {0.5 * k}{' -1 0 2' * images}") for k in (3, 1, 2, 4)]
    return HEADER + labels + f"Masses\n\n1 1.0\n2 2.0\n\nAtoms{comment}\n\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("style", ROWS)
@pytest.mark.parametrize("images", [False, True])
def test_data_of_every_style(tmp_path, style, images):
    for comment, options in ((f"  # {style}", {}), ("", {"style": style})):
        (tmp_path / "run.data").write_text(data(style, comment, images))
        found = read(tmp_path / "run.data", **options)
        np.testing.assert_array_equal(found["position"][0][:3], [[1.25, 1, 1.5], [2.25, 1, 2], [3.25, 1, 2.5]])
        assert found["species"].tolist() == ["2", "1", "2", "1"]
        assert not images or found["image"].tolist() == [[[-1, 0, 2]] * 3 + [[0, 0, 2]]]  # the last was outside


@pytest.mark.parametrize(("style", "told"), [("atomic", True), ("charge", True), ("molecular", False), ("full", False)])
def test_data_that_names_no_style_is_read_where_one_fits(tmp_path, style, told):
    (tmp_path / "run.data").write_text(data(style))
    if told:
        np.testing.assert_array_equal(read(tmp_path / "run.data")["position"][0, 0], [1.25, 1, 1.5])
    else:
        with pytest.raises(errors.FormatError, match=r"run.data: Atoms has . columns and names no atom style"):
            read(tmp_path / "run.data")
        read(tmp_path / "run.data", style=style)


def test_data_with_labels_of_types(tmp_path):
    labels = "Atom Type Labels\n\n1 Si\n2 O\n\n"
    (tmp_path / "run.data").write_text(data("atomic", " # atomic", labels=labels))
    assert read(tmp_path / "run.data")["species"].tolist() == ["O", "Si", "O", "Si"]
    text = (tmp_path / "run.data").read_text()
    (tmp_path / "run.data").write_text(re.sub(r"(?m)^(\d) 1 (\d\.)", r"\1 Si \2", text))
    assert read(tmp_path / "run.data")["species"].tolist() == ["O", "Si", "O", "Si"]


def test_wrong_data_is_one_line(tmp_path):
    path = tmp_path / "run.data"
    good = data("atomic", " # atomic")
    for text, message in (
        (good.replace("\n4 1 ", "\n4 1 7 "), "Atoms, row 3: 6 columns, 5 in row 0"),
        ("\n".join(good.splitlines()[:-2]) + "\n", r"run.data: truncated \(the file ends within a section\)"),
        (good.replace("0 4 ylo yhi\n", ""), "bounds of the box along x z: expected xlo xhi"),
        (good.replace("# atomic", "# full"), "Atoms has 5 columns, which is not atom style 'full'"),
        (good.replace("# atomic", "# hybrid"), "Atoms has 5 columns, which is not atom style 'hybrid', known are"),
        (good.replace("1.25", "1.2.5"), "column x: could not convert"),
        (good.replace("0 4 xlo", "0 4f xlo"), "the box has '4f', expected a number"),
        (HEADER, "4 atoms, and no section Atoms"),
    ):
        path.write_text(text)
        with pytest.raises(errors.FormatError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def topologies(folder: Path) -> list[Path]:
    """Files of the same particles in other formats."""
    run = expected("cell")
    shutil.copy(FILES / "cell.data", folder)
    shutil.copy(FILES / "cell.dump", folder / "run.lammpstrj")
    rows = "".join(f"{kind} 1.0 2.0 3.0\n" for kind in run["species"])
    (folder / "run.xyz").write_text(f"10\ncell:9,9,9\n{rows}")
    found = [folder / "cell.data", folder / "run.lammpstrj", folder / "run.xyz"]
    np.savez(folder / "run.npz", position=run["position"], species=run["species"], box=run["box"])
    found.append(folder / "run.npz")
    try:
        import gsd.hoomd
    except ImportError:
        return found
    with gsd.hoomd.open(folder / "run.gsd", "w") as file:
        frame = gsd.hoomd.Frame()
        frame.particles.N, frame.particles.types = 10, ["1", "2"]
        frame.particles.typeid = (run["species"] == "2").astype(int)
        frame.particles.position, frame.configuration.box = np.zeros((10, 3)), [9, 9, 9, 0, 0, 0]
        file.append(frame)
    return [*found, folder / "run.gsd"]


def test_topologies_of_dcd(tmp_path, capfd):
    """LAMMPS sorts the particles of a DCD file by their ids, and so must whatever names them."""
    pytest.importorskip("mdtraj")
    run = expected("cell")
    for topology in topologies(tmp_path):
        found = read(FILES / "cell.dcd", topology=topology)
        np.testing.assert_array_equal(found["species"], run["species"], err_msg=topology.name)
    given = read(FILES / "cell.dcd", species=run["species"])
    assert capfd.readouterr().out == ""
    np.testing.assert_array_equal(given["species"], run["species"])
    # not wrapped, single precision, and without the lower corner of the box
    whole = run["position"] + run["origin"][:, None] + np.einsum("fpa,fas->fps", run["image"], run["box"])
    moved = (given["position"] - whole) @ np.linalg.inv(run["box"])
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)
    with pytest.raises(errors.SpeciesError, match=r"cell.dcd: 10 particles, but species has 3"):
        gio.scan(FILES / "cell.dcd", species=["A", "B", "B"])
    with pytest.raises(errors.ParameterError, match="both topology and species are given"):
        gio.scan(FILES / "cell.dcd", species=["A"] * 10, topology=str(tmp_path / "cell.data"))
    gd.ingest(FILES / "cell.dcd", tmp_path / "x.zarr", topology=str(tmp_path / "cell.data"))
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "x.zarr")["species"], run["species"])


@pytest.mark.parametrize("name", ["cell", "flat"])
def test_binary_and_yaml(name):
    run = read(FILES / f"{name}.dump", keep=["c_ke"])
    for file in (f"{name}.custom.bin", f"{name}.yaml"):
        found = read(FILES / file, keep=["c_ke"])
        assert found.keys() == run.keys()
        for key, values in run.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{file}: {key}")
        np.testing.assert_array_equal(read(FILES / file, 1, 2)["position"], run["position"][1:])
    found = read(FILES / f"{name}.atom.bin")
    np.testing.assert_allclose(found["position"], run["position"], rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(found["image"], run["image"])
    np.testing.assert_array_equal(found["species"], run["species"])


@pytest.mark.parametrize("name", ["cell", "flat"])
def test_cfg(tmp_path, name):
    run = read(FILES / f"{name}.dump", keep=["c_ke"])
    paths = [FILES / f"{name}.{step}.cfg" for step in (0, 10)]
    for k, path in enumerate(paths):
        found = read(path, keep=["c_ke"], dimension=2 if name == "flat" else None)
        np.testing.assert_allclose(found["position"][0], run["position"][k], rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(found["box"][0], run["box"][k], rtol=1e-5)  # of six digits in the file
        np.testing.assert_array_equal(found["image"][0], run["image"][k])
        np.testing.assert_array_equal(found["c_ke"][0], run["c_ke"][k])
        assert found["species"].tolist() == np.where(run["species"] == "1", "A", "B").tolist()
    done = gd.ingest(paths, tmp_path / "x.zarr", dimension=3 if name == "cell" else 2)
    assert done.n_frames == 2


def test_standard_cfg(tmp_path):
    head = "Number of particles = 2\nA = 2.0 Angstrom\n"
    head += "".join(f"H0({i},{j}) = {2.0 * (i == j)} A\n" for i in (1, 2, 3) for j in (1, 2, 3))
    (tmp_path / "x.cfg").write_text(f"# remark\n{head}28.0 Si 0.25 0.25 0.25 0 0 0\n16.0 O 0.5 0.5 0.5 0 0 0\n")
    found = read(tmp_path / "x.cfg")
    np.testing.assert_array_equal(found["position"][0], [[1, 1, 1], [2, 2, 2]])
    assert found["species"].tolist() == ["Si", "O"]
    (tmp_path / "x.cfg").write_text(f"{head}28.0 Si 0.25 0.25 0.25 0 0 0\n")
    with pytest.raises(errors.FormatError, match=r"x.cfg: truncated"):
        read(tmp_path / "x.cfg")


def write_netcdf(path, run, lammps: bool) -> Path:
    """After the convention of AMBER, with the variables that LAMMPS adds, and its factor for times."""
    netCDF4 = pytest.importorskip("netCDF4")
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.Conventions, file.ConventionVersion = "AMBER", "1.0"
        for name, size in (("frame", None), ("atom", 20), ("spatial", 3), ("cell_spatial", 3), ("cell_angular", 3)):
            file.createDimension(name, size)

        def put(name, values, dims, kind="f8"):
            file.createVariable(name, kind, dims)[:] = values

        put("coordinates", run.position, ("frame", "atom", "spatial"), "f8" if lammps else "f4")
        put("velocities", run.velocity, ("frame", "atom", "spatial"))
        put("cell_lengths", np.linalg.norm(run.box, axis=2), ("frame", "cell_spatial"))
        a, b, c = (run.box[:, k] / np.linalg.norm(run.box[:, k], axis=1)[:, None] for k in range(3))
        angles = np.degrees(np.arccos(np.stack([(b * c).sum(1), (a * c).sum(1), (a * b).sum(1)], axis=1)))
        put("cell_angles", angles, ("frame", "cell_angular"))
        if lammps:
            put("time", run.step, ("frame",))
            file["time"].scale_factor = 0.005
            put("cell_origin", np.zeros((5, 3)) - 1.0, ("frame", "cell_spatial"))
            file["coordinates"][:] = run.position - 1.0
            put("id", np.broadcast_to(run.id, (5, 20)), ("frame", "atom"), "i4")
            put("type", np.broadcast_to(run.species.astype(int), (5, 20)), ("frame", "atom"), "i4")
            put("c_pe", run.energy, ("frame", "atom"))
        else:
            put("time", run.time, ("frame",))
    return path


@pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])
def test_netcdf(tmp_path, cell):
    run = sample(cell=cell)
    found = read(write_netcdf(tmp_path / "run.nc", run, lammps=True))
    for key in ("position", "velocity", "energy", "box"):
        np.testing.assert_allclose(found[key], getattr(run, key), rtol=1e-13, atol=1e-13, err_msg=key)
    np.testing.assert_array_equal(found["species"], run.species)
    np.testing.assert_array_equal(found["origin"], -np.ones((5, 3)))
    np.testing.assert_allclose(found["time"], run.step * 0.005)
    amber = write_netcdf(tmp_path / "amber.nc", run, lammps=False)
    with pytest.raises(errors.FormatError, match=r"amber.nc: has no species: give `topology=FILE`"):
        gio.scan(amber)
    found = read(amber, species=run.species.tolist())
    np.testing.assert_array_equal(found["position"], run.position.astype(np.float32))
    np.testing.assert_array_equal(found["time"], run.time)
    np.testing.assert_array_equal(found["species"], run.species)
    (tmp_path / "bad.nc").write_bytes((tmp_path / "run.nc").read_bytes()[:50])
    with pytest.raises(errors.FormatError, match=r"bad.nc: (not a readable NetCDF|no coordinates)"):
        gio.scan(tmp_path / "bad.nc")


def test_netcdf_of_ovito(tmp_path):
    pytest.importorskip("ovito")
    from ovito.io import export_file, import_file

    columns = ["Particle Identifier", "Particle Type", "Position.X", "Position.Y", "Position.Z"]
    path = tmp_path / "run.nc"
    export_file(import_file(str(FILES / "cell.dump")), path, "netcdf/amber", columns=columns, multiple_frames=True)
    found, run = read(path), read(FILES / "cell.dump")
    np.testing.assert_array_equal(found["species"], run["species"])
    there = [np.asarray(import_file(str(path)).compute(k).cell) for k in range(2)]  # not quite the angles of the dump
    np.testing.assert_allclose(found["box"], [cell[:, :3].T for cell in there], atol=1e-12)
    np.testing.assert_allclose(found["origin"], run["origin"], atol=1e-12)
    moved = (found["position"] - run["position"]) @ np.linalg.inv(found["box"])
    near = np.einsum("fpa,fas->fps", moved - np.rint(moved), found["box"])
    np.testing.assert_allclose(near[(run["image"] == 0).all(axis=2)], 0.0, atol=1e-10)
