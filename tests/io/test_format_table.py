"""The table of formats in glassdask/io/README.md says what is so: every cell is tried."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import GlassdaskError
from glassdask.io.formats import FORMATS, OWN
from glassdask.io.writers.formats import WRITERS
from tests.io.test_export import features, trajectory

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "lammps"
CELLS = ("in", "out", "2-D", "triclinic", "images", "velocities", "extra columns", "compression")
# by the names of readers and writers; LAMMPS' own files are those of `tests/io/lammps`
ROWS = {
    "lammps": "LAMMPS dump", "lammps_data": "LAMMPS data", "lammps_binary": "LAMMPS binary dump",
    "lammps_yaml": "LAMMPS yaml dump", "cfg": "LAMMPS cfg dump", "netcdf": "AMBER and LAMMPS NetCDF",
    "xyz": "extended XYZ", "gsd": "GSD", "h5md": "H5MD", "csv": "CSV", "parquet": "parquet", "npz": "NumPy archive",
    "mdtraj": "DCD and what mdtraj reads", "ase": "what ASE reads",
}  # fmt: skip
MADE = {"lammps_binary": "{}.custom.bin", "lammps_yaml": "{}.yaml", "cfg": "{}.10.cfg"}


def written(name, given, column, folder):
    """A file of a format, options to read it with, and the trajectory that should be read."""
    if name in WRITERS:
        path = folder / f"x{WRITERS[name].suffixes[0]}"
        last = given.isel(frame=[-1])
        one = name in ("lammps_data", "csv")
        gd.export(given, path, columns=column if WRITERS[name].columns else (), frames=-1 if one else None)
        return path, {"box": last["box"].values[0]} if name == "csv" else {}, last if one else given
    if name in MADE:
        kind = "flat" if given.sizes["space"] == 2 else "cell"
        path = folder / MADE[name].format(kind)
        shutil.copy(FILES / path.name, path)
        gd.ingest(FILES / f"{kind}.dump", folder / "text.zarr", keep=["c_ke"])
        expected = gd.open_trajectory(folder / "text.zarr").compute().rename(c_ke="q")
        return path, {}, expected.isel(frame=[-1]) if name == "cfg" else expected
    names = given["species"].values.tolist()
    if name == "npz":
        path = folder / "x.npz"
        arrays = {key: given[key].values for key in ("position", "species", "box", "image", "velocity")}
        np.savez(path, q=column.values, **arrays)
        return path, {}, given
    if name == "ase":
        io = pytest.importorskip("ase.io")
        path = folder / "x.traj"
        io.write(path, gd.to_ase(given, columns=column)[:])
        return path, {}, given
    path = folder / ("x.dcd" if name == "mdtraj" else "x.nc")
    made = gd.to_mdtraj(given.assign(position=given["position"] / 10, box=given["box"] / 10))  # it writes Ångström
    (made.save_dcd if name == "mdtraj" else made.save_netcdf)(str(path))
    return path, {"species": names}, given


def same(found, expected, name, variable):
    """Whether a variable was read as it was, in the precision of the format."""
    if variable not in found or variable not in expected:
        return False
    digits = 1e-5 if name in ("gsd", "mdtraj", "netcdf", "lammps_yaml", "cfg") else 1e-12
    values, right = found[variable].values, expected[variable].values
    if values.shape != right.shape:
        values, right = np.broadcast_arrays(values, right)
    return np.allclose(values, right, rtol=digits, atol=digits)


def tried(name, folder):
    """What each cell of a format's row says."""
    reader = {"csv": "tracks", "parquet": "tracks"}.get(name, name)
    cells = {"in": reader in OWN, "out": name in WRITERS}
    for cell, n_space in (("triclinic", 3), ("2-D", 2)):
        place = folder / cell
        place.mkdir()
        given = trajectory(n_space, tilted=n_space == 3)
        column = features()[..., 0].drop_vars("l").rename("q").fillna(0.5)
        path, options, expected = written(name, given, column, place)
        kept = "c_ke" if name in MADE else "q"
        try:
            gd.ingest(path, place / "x.zarr", keep=[kept], **options)
        except GlassdaskError:
            gd.ingest(path, place / "x.zarr", **options)
        found = gd.open_trajectory(place / "x.zarr").compute()
        cells[cell] = all(same(found, expected, name, variable) for variable in ("box", "position"))
        cells["images"] = same(found, expected, name, "image")
        cells["velocities"] = same(found, expected, name, "velocity")
        right = expected if name in MADE else expected.assign(q=column[-expected.sizes["frame"] :])
        cells["extra columns"] = kept in found and same(found.rename({kept: "q"}), right, name, "q")
    packed = place / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    try:
        gd.ingest(packed, place / "gz.zarr", **options)
        cells["compression"] = same(gd.open_trajectory(place / "gz.zarr"), expected, name, "position")
    except GlassdaskError:
        cells["compression"] = False
    if name in WRITERS:
        compressed = place / f"again{WRITERS[name].suffixes[0]}.gz"
        if WRITERS[name].text:
            gd.export(expected, compressed, columns=())
            assert gzip.decompress(compressed.read_bytes()).count(b"\n") == path.read_bytes().count(b"\n")
        assert WRITERS[name].text == cells["compression"]
    return [cells[cell] for cell in CELLS]


def line(label, cells):
    return f"| {label} | {' | '.join('yes' if cell else '' for cell in cells)} |"


@pytest.mark.parametrize("name", ROWS)
def test_every_cell_is_true(tmp_path, name):
    text = (ROOT / "glassdask/io/README.md").read_text()
    assert line(ROWS[name], tried(name, tmp_path)) in text.splitlines()


def test_every_format_has_a_row():
    assert f"| format | {' | '.join(CELLS)} |" in (ROOT / "glassdask/io/README.md").read_text().splitlines()
    known = {*FORMATS} - {"tracks", "public"} | {"csv", "parquet"}  # public data sets are no format
    assert {*ROWS} == {name for name in known if name in OWN or name in WRITERS}
