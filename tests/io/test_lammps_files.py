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
    return [*found, folder / "run.npz"]


def test_topologies_of_dcd(tmp_path):
    """LAMMPS sorts the particles of a DCD file by their ids, and so must whatever names them."""
    pytest.importorskip("mdtraj")
    run = expected("cell")
    for topology in topologies(tmp_path):
        found = read(FILES / "cell.dcd", topology=str(topology))
        np.testing.assert_array_equal(found["species"], run["species"], err_msg=topology.name)
    given = read(FILES / "cell.dcd", species=run["species"].tolist())
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
