"""XYZ files: extended, as atooms and partycls write them, and broken."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import CUBIC, FLAT, TILTED, dump, extxyz, plain_xyz, sample, write
from tests.io.test_lammps_dump import read, same


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz.gz", ".xyz.zst"])
@pytest.mark.parametrize("cell", [CUBIC, TILTED, TILTED[[1, 2, 0]][:, [1, 2, 0]]], ids=["cubic", "tilted", "turned"])
def test_extended_numbers_are_those_of_the_file(tmp_path, suffix, cell):
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard")
    run = sample(cell=cell)
    run.species = np.where(run.species == "1", "Si", "O")
    same(read(write(tmp_path / f"run{suffix}", extxyz(run))), run, "velocity energy image time step")


@pytest.mark.parametrize("suffix", [".xyz", ".xyz.gz", ".dump"])
@pytest.mark.parametrize("names", [("é", "ü"), ("鉄", "β-Sn"), ("A", "Ångström")])
def test_names_in_any_script(tmp_path, names, suffix):
    run = sample()
    run.species = np.where(run.species == "1", *names)
    text = dump(run, "id element x y z") if suffix == ".dump" else extxyz(run)
    data = text.encode()
    path = tmp_path / f"run{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert read(path)["species"].tolist() == run.species.tolist()
    text = text.replace(names[1], "é")
    path.write_bytes(
        gzip.compress(text.encode("latin-1", "replace")) if suffix.endswith("gz") else text.encode("latin-1", "replace")
    )
    with pytest.raises(errors.FormatError, match=r"frame 0: a name in the atom lines is no UTF-8"):
        read(path)


def test_extended_ids_sort_the_particles(tmp_path):
    run = sample(n_frames=3)
    text = extxyz(run, more=":id:I:1").splitlines(keepends=True)
    rng = np.random.default_rng(0)
    for begin in range(0, len(text), 22):
        text[begin + 2 : begin + 22] = rng.permutation(text[begin + 2 : begin + 22]).tolist()
    path = write(tmp_path / "run.xyz", "".join(text))
    same(read(path), run, "velocity energy image")
    np.testing.assert_array_equal(gio.scan(path).id, run.id)


def test_extended_origin_and_boundaries(tmp_path):
    run = sample()
    path = write(tmp_path / "run.xyz", extxyz(run, rest=' Origin="0.5 -1 2" pbc="T T T" energy=-3.5'))
    moved = (run.position - [0.5, -1.0, 2.0]) % np.diagonal(run.box, axis1=1, axis2=2)[:, None]
    np.testing.assert_allclose(read(path)["position"], moved, rtol=1e-13)
    assert gio.scan(write(tmp_path / "run.xyz", extxyz(run, rest=' pbc="T F T"'))).periodic == (True, False, True)


def test_what_ase_writes(tmp_path):
    ase = pytest.importorskip("ase")
    from ase.io import write as ase_write

    run = sample(cell=TILTED)
    path = tmp_path / "run.extxyz"
    atoms = [ase.Atoms(["Si"] * 5 + ["O"] * 15, positions=p, cell=c, pbc=True) for p, c in zip(run.position, run.box)]
    ase_write(path, atoms)
    found = read(path)
    np.testing.assert_allclose(found["position"], run.position, atol=1e-7)
    np.testing.assert_allclose(found["box"], run.box, rtol=1e-12)
    assert found["species"].tolist() == ["Si"] * 5 + ["O"] * 15


@pytest.mark.parametrize("columns", ["id,pos", "id,x,y,z", "species,position", "name,pos", None])
def test_plain_columns(tmp_path, columns):
    run = sample()
    same(read(write(tmp_path / "run.xyz", plain_xyz(run, columns))), run, "step")


@pytest.mark.parametrize("columns", ["id,pos", "id,x,y", None])
def test_plain_two_dimensions(tmp_path, columns):
    run = sample(cell=FLAT)
    same(read(write(tmp_path / "run.xyz", plain_xyz(run, columns))), run, "step")


def test_plain_velocities_and_other_columns(tmp_path):
    run = sample()
    text = plain_xyz(run, "id,radius,pos,vx,vy,vz,energy").splitlines()
    for frame in range(5):
        text[22 * frame + 1] += " dt:0.005"
        for k in range(20):
            name, position = text[22 * frame + 2 + k].split(" ", 1)
            velocity = " ".join(f"{v:.17g}" for v in run.velocity[frame, k])
            text[22 * frame + 2 + k] = f"{name} 0.5 {position} {velocity} {run.energy[frame, k]:.17g}"
    found = read(write(tmp_path / "run.xyz", "\n".join(text) + "\n\n\n"))
    same(found, run, "velocity energy step")
    np.testing.assert_allclose(found["time"], run.time, rtol=1e-15)


def test_centred_positions_are_wrapped(tmp_path):
    run = sample()
    found = read(write(tmp_path / "run.xyz", plain_xyz(run, shift=0.5)))
    half = np.diagonal(run.box, axis1=1, axis2=2)[:, None] / 2
    np.testing.assert_allclose((found["position"] + half) % (2 * half), run.position, rtol=1e-12)
    np.testing.assert_array_equal(found["wrapped"], (run.position < half).any(axis=2).sum(axis=1))


def test_box_can_be_given(tmp_path):
    run = sample(n_frames=1)
    path = write(tmp_path / "run.xyz", plain_xyz(run, cell=False))
    with pytest.raises(errors.FormatError, match=r"run.xyz, frame 0: no box in the file: give its edges"):
        gio.scan(path)
    same(read(path, box=[6.0, 7.0, 8.0]), run, "step")
    same(read(path, box=CUBIC), run, "step")
    with pytest.raises(errors.FormatError, match="the box has shape"):
        gio.scan(path, box=[6.0, 7.0])
    assert read(path, box=[6.0, 7.0], dimension=2)["position"].shape == (1, 20, 2)


RUN = sample()
GOOD = extxyz(RUN)
PLAIN = plain_xyz(RUN)
BAD = {
    "cut": (GOOD[:-200], errors.FormatError, r"frame 4: truncated.*head -c"),
    "cut_line": (GOOD[: GOOD.rindex(" ")], errors.FormatError, r"frame 4: truncated"),
    "comment": (GOOD.split("\n")[0] + "\n", errors.FormatError, "truncated in its first frame"),
    "count": ("19" + GOOD[2:], errors.FormatError, r"frame 1: expected a number of particles, found '\d "),
    "text": (GOOD.replace("\n1 ", "\n1 x", 1), errors.FormatError, r"frame 0: atom line 1, column pos: 'x"),
    "properties": (GOOD.replace("pos:R:3", "pos:R", 1), errors.FormatError, r"frame 0: Properties=.*is not name:kind"),
    "no_pos": (
        GOOD.replace("pos:R:3", "abc:R:3"),
        errors.FormatError,
        r"frame 0: found columns species abc .*expected",
    ),
    "width": (GOOD.replace("velo:R:3:pe:R:1", "velo:R:4"), errors.FormatError, "velocity 'velo' has 4 columns"),
    "lattice": (
        GOOD.replace('Lattice="6', 'Lattice="', 1),
        errors.FormatError,
        r"frame 0: Lattice is .*expected 4 or 9",
    ),
    "cell": (PLAIN.replace("cell:6", "cell:a", 1), errors.FormatError, r"frame 0: cell is 'a.*expected 2 or 3 numbers"),
    "flat": (GOOD.replace('Lattice="6', 'Lattice="0', 1), errors.BoxError, r"frame 0: box .*right-handed"),
    "nan": (
        PLAIN.replace("\n1 ", "\n1 nan 0 0 #", 1),
        errors.FormatError,
        r"frame 0: atom line 1 has 7 columns, expected 4",
    ),
    "no_file": ("A file\nof words\n", errors.FormatError, r"frame 0: expected a number of particles, found 'A file'"),
    "species": (PLAIN[:-500] + PLAIN[-500:].replace("\n2 ", "\n1 ", 1), errors.SpeciesError, r"frame 4, particle \d+"),
    "long_name": (
        PLAIN.replace("\n1 ", "\n" + "x" * 70 + " ", 1),
        errors.FormatError,
        "a name of more than 64 characters",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_in_one_line(tmp_path, name):
    text, kind, message = BAD[name]
    path = write(tmp_path / f"{name}.xyz", text)
    with pytest.raises(kind, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
