"""Text files as programs and people write them: each is read, and what had to be understood is told."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from tests.io.sample_files import dump, extxyz, sample, write
from tests.io.test_lammps_dump import read, same

LATTICE = 'Lattice="4 0 0 0 4 0 0 0 4"'
CUBE = 4.0 * np.eye(3)
ATOMS = "1 1 1 1 1\n2 2 2 2 1.5\n3 1 3 3 2.5\n4 2 0.5 3.5 0.5\n"
POSITION = [[1, 1, 1], [2, 2, 1.5], [3, 3, 2.5], [0.5, 3.5, 0.5]]


def frame(step="0", n=4, box="pp pp pp\n0 4\n0 4\n0 4", columns=" id type x y z", atoms=ATOMS) -> str:
    head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS {box}\n"
    return head + f"ITEM: ATOMS{columns}\n{atoms}"


SCALED = "1 1 .25 .25 .25\n2 2 .5 .5 .375\n3 1 .75 .75 .625\n4 2 .125 .875 .125\n"
EMPTY = frame(n=0, atoms="")
DUMPS = {
    # text, steps, words of a note
    "blank lines": (frame() + "\n" + frame("100") + "\n\n", [0, 100], None),
    "blanks among atoms": (frame(atoms=ATOMS.replace("\n", "\n \n\n")) + frame("5"), [0, 5], None),
    "Windows": (frame().replace("\n", "\r\n"), [0], None),
    "old Mac": (frame().replace("\n", "\r"), [0], None),
    "old Mac, two frames": ((frame() + frame("5")).replace("\n", "\r"), [0, 5], None),
    "no line end": (frame().rstrip(), [0], "the last line has no line end"),
    "no line end at the second": ((frame() + frame("7")).rstrip(), [0, 7], "the last line has no line end"),
    "empty first": (EMPTY + frame("100"), [100], "1 frame without particles left out"),
    "empty between": (EMPTY + frame("1") + EMPTY + EMPTY + frame("2"), [1, 2], "3 frames without particles"),
    "float step": (frame("0.0") + frame("1e3"), [0, 1000], None),
    "Fortran": (
        frame(box="pp pp pp\n0.0D+00 4.0d0\n0 4.0D+00\n0 0.4D+001", atoms=ATOMS.replace(" 1.5", " 0.15D+01")),
        [0],
        None,
    ),
    "before 2010": (
        frame(box="\n0 4\n0 4\n0 4", columns="", atoms=SCALED),
        [0],
        "taken for id type xs ys zs",
    ),
    "images before 2010": (
        frame(box="pp pp pp\n0 1\n0 1\n0 1", columns="", atoms=ATOMS.replace("\n", " 0 0 0\n")),
        None,
        "taken for id type xs ys zs ix iy iz",
    ),
    "one tab": (frame(atoms=ATOMS.replace(" ", "\t")), [0], None),
}  # fmt: skip


@pytest.mark.parametrize("name", DUMPS)
def test_dumps(tmp_path, name):
    content, steps, note = DUMPS[name]
    (tmp_path / "run").write_bytes(content.encode())
    index = gio.scan(tmp_path / "run")
    found = list(gio.frames(index))
    assert note is None or any(note in line for line in index.notes), index.notes
    assert note is not None or not index.notes
    if steps is None:
        assert found[0].image.tolist() == [[1, 1, 1], [2, 2, 1], [3, 3, 2], [0, 3, 0]]
        return
    assert index.clock.tolist() == steps
    for one in found:
        np.testing.assert_array_equal(one.position, POSITION)
        np.testing.assert_array_equal(one.box, CUBE)
        assert [one.species[code] for code in one.codes] == ["1", "2", "1", "2"]


DATA = "by hand\n\n2 atoms\n2 atom types\n0 4 xlo xhi\n0 4 ylo yhi\n0 4 zlo zhi\n\nAtoms\n\n1 1 1 1 1\n2 2 2 2 2\n"
GRO = (
    "\n2\n    1SOL      A    1   1.000   1.000   1.000\n    1SOL      B    2   2.000   2.000   2.000\n   4.0 4.0 4.0\n"
)
CFG = (
    "Number of particles = 2\nA = 1.0 Angstrom\n"
    + "".join(f"H0({i},{j}) = {4.0 * (i == j)} A\n" for i in (1, 2, 3) for j in (1, 2, 3))
    + ".NO_VELOCITY.\nentry_count = 3\n1.0\nA\n0.25 0.25 0.25\n2.0\nB\n0.5 0.5 0.5\n"
)


@pytest.mark.parametrize("title", ["", "2", "by hand, t= 0.0"])
def test_gro_with_any_title(tmp_path, title):
    """Without a title it looks like XYZ."""
    pytest.importorskip("mdtraj")
    (tmp_path / "a.gro").write_text(title + GRO)
    (found,) = gio.frames(gio.scan(tmp_path / "a.gro"))
    np.testing.assert_allclose(found.position, [[1, 1, 1], [2, 2, 2]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.data", DATA), ("a.gro", GRO), ("a.cfg", CFG), ("a", f"2\n{LATTICE}\nA 1 1 1\nB 2 2 2\n")],
)
def test_line_ends_of_old_macs(tmp_path, name, content):
    """``\\r`` alone: such files were called truncated, or of no known format."""
    if name.endswith("gro"):
        pytest.importorskip("mdtraj")
    path = tmp_path / name
    path.write_bytes(content.replace("\n", "\r").encode())
    (found,) = gio.frames(gio.scan(path))
    np.testing.assert_allclose(found.position, [[1, 1, 1], [2, 2, 2]], rtol=1e-6)


def test_line_ends_of_old_macs_in_blocks(tmp_path, monkeypatch):
    """Lines that are cut anywhere, of frames that are entered by a seek, plain and compressed."""
    monkeypatch.setattr("glassdask.io.text.BLOCK", 100)
    content = "".join(frame(str(step), atoms=ATOMS.replace("2.5", f"2.{step}")) for step in range(9))
    for number, whole in enumerate((content, content.rstrip())):
        unix, mac, packed = (tmp_path / f"{name}{number}" for name in ("unix", "mac", "mac.gz"))
        unix.write_text(whole)
        mac.write_bytes(whole.replace("\n", "\r").encode())
        packed.write_bytes(gzip.compress(mac.read_bytes()))
        expected = np.stack([one.position for one in gio.frames(gio.scan(unix))])
        for path in (mac, packed):
            np.testing.assert_array_equal(np.stack([one.position for one in gio.frames(gio.scan(path))]), expected)


@pytest.mark.parametrize(
    ("box", "cell"),
    [
        ("pp pp\n0 4\n0 4", [[4, 0], [0, 4]]),
        ("xy pp pp\n0 5 1\n0 4 0\n0 0.1 0", [[4, 0], [1, 4]]),
        ("xy pp pp\n0 5 1\n0 4 0", [[4, 0], [1, 4]]),
        ("pp pp pp\n-1 3\n0 4\n-0.5 0.5", [[4, 0], [0, 4]]),
    ],
)
def test_boxes_of_two_dimensions(tmp_path, box, cell):
    content = frame(n=2, box=box, columns=" id type x y", atoms="1 1 1 1\n2 1 2 2\n")
    found = read(write(tmp_path / "run", content))
    np.testing.assert_array_equal(found["box"][0], cell)
    np.testing.assert_array_equal(found["position"][0] + found["origin"][0], [[1, 1], [2, 2]])


def xyz(comment: str, atoms: str = "A 1 1 1\nB 2 2 2\n") -> str:
    return f"2\n{comment}\n{atoms}"


XYZ = {
    "brackets": (xyz("Lattice=[[4,0,0],[0,4,0],[0,0,4]] Properties=species:S:1:pos:R:3"), None),
    "brackets with blanks": (xyz("Lattice=[[4, 0, 0], [0, 4, 0], [0, 0, 4]] pbc=[T, T, T]"), None),
    "braces": (xyz("Lattice={4 0 0 0 4 0 0 0 4}"), None),
    "atomic numbers": (xyz(f"{LATTICE} Properties=Z:I:1:pos:R:3", "14 1 1 1\n8 2 2 2\n"), None),
    "time with a unit": (xyz(f"{LATTICE} time=1.0fs"), "times are in fs"),
    "left-handed": (xyz('Lattice="0 4 0 4 0 0 0 0 4"'), "left-handed: its vectors are taken in the order b a c"),
    "left-handed in z": (xyz('Lattice="0 0 4 0 4 0 4 0 0"'), "in the order c b a"),
    "two types of an element": (
        xyz(f"{LATTICE} Properties=species:S:1:type:I:1:pos:R:3", "C 1 1 1 1\nC 2 2 2 2\n"),
        "species are the column type (2 values), not species (1)",
    ),
    "empty first": ("0\n" + LATTICE + "\n" + xyz(LATTICE), "1 frame without particles"),
    "no line end": (xyz(LATTICE).rstrip(), "no line end"),
    "blank lines": ("\n\n" + xyz(LATTICE) + "\n", None),
    "atooms": (
        xyz("columns:id,pos,mass,radius step:3 cell:4.0,4.0,4.0", "A 1 1 1 1 0.5\nB 2 2 2 2 0.4\n"),
        "twice the column radius",
    ),
    "RUMD": (
        xyz(
            "ioformat=2 timeStepIndex=200 numTypes=2 integrator=IntegratorNVT,0.005,0.5,0.2,0 "
            "sim_box=RectangularSimulationBox,4.0,4.0,4.0 mass=1,1 columns=type,x,y,z,imx,imy,imz,vx,vy,vz,fx,fy,fz,pe",
            "0 1 1 1 0 1 0 1 2 3 0 0 0 -7\n1 -2 -2 -2 1 0 0 1 2 3 0 0 0 -6\n",
        ),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", XYZ)
def test_xyz(tmp_path, name):
    text, note = XYZ[name]
    (tmp_path / "run").write_text(text)
    index = gio.scan(tmp_path / "run")
    (one,) = gio.frames(index)
    np.testing.assert_array_equal(one.position, [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(one.box, CUBE)
    assert note is None or any(note in line for line in index.notes), index.notes
    assert note is not None or not index.notes
    if name == "RUMD":
        np.testing.assert_array_equal(one.image, [[0, 1, 0], [0, -1, -1]])
        np.testing.assert_array_equal(one.velocity, [[1, 2, 3], [1, 2, 3]])
        assert (one.step, one.time, one.energy.tolist()) == (200, 1.0, [-7, -6])
    if name == "atooms":
        np.testing.assert_array_equal(one.diameter, [1.0, 0.8])
        assert index.unread == ("mass",)
    if name == "time with a unit":
        assert one.time == 1.0


def test_a_box_in_words_and_none(tmp_path):
    path = write(tmp_path / "words.xyz", xyz('box="4 4 4" step=100'))
    with pytest.raises(errors.FormatError, match=r"the word box=4 4 4 was seen, .*`box=\[4\.0, 4\.0, 4\.0\]`"):
        gio.scan(path)
    index = gio.scan(path, box=[4.0, 4.0, 4.0])
    assert index.clock.tolist() == [100]
    flat = write(tmp_path / "flat.xyz", xyz("comment", "A 1 1\nB 2 2\n"))
    with pytest.raises(errors.FormatError, match=r"no box in the file: .*`box=\[4\.0, 4\.0\]`"):
        gio.scan(flat)
    np.testing.assert_array_equal(read(flat, box=[4, 4])["position"], [[[1, 1], [2, 2]]])


SPECIES = {
    "element tells less": ("type element", "1 C\n2 C\n1 C\n2 C", ["1", "2", "1", "2"], "type (2 values), not element"),
    "element tells as much": ("type element", "1 A\n2 B\n1 A\n2 B", ["A", "B", "A", "B"], None),
    "element tells more": ("type element", "1 A\n1 B\n1 A\n2 C", ["A", "B", "A", "C"], None),
    "both tell something": ("element type", "A 1\nA 2\nB 1\nB 1", ["1", "2", "1", "1"], "type (2 values)"),
    "labels of types": ("typelabel", "Big\nSmall\nBig\nSmall", ["Big", "Small", "Big", "Small"], None),
    "nothing": ("mol", "1\n2\n3\n4", ["1"] * 4, "all particles are of the species 1"),
}


@pytest.mark.parametrize("name", SPECIES)
def test_what_the_species_are(tmp_path, name):
    columns, words, expected, note = SPECIES[name]
    atoms = "".join(f"{k + 1} 1 1 {k}.5 {word}\n" for k, word in enumerate(words.split("\n")))
    text = frame(columns=f" id x y z {columns}", atoms=atoms)
    index = gio.scan(write(tmp_path / "run", text + text.replace("STEP\n0", "STEP\n1")))
    for one in gio.frames(index):
        assert [one.species[code] for code in one.codes] == expected
    assert any(note in line for line in index.notes) if note else not index.notes
    named = columns.split()[0]
    if named != "mol":
        assert gio.scan(tmp_path / "run", columns={"species": named}).notes == ()


def test_the_first_frame_says_where_the_species_are_for_all(tmp_path):
    """In the second frame element tells as much as type: it would have been taken there."""
    second = frame("1", columns=" id type element x y z", atoms="1 1 A 1 1 1\n2 2 B 2 2 2\n", n=2)
    path = write(tmp_path / "run", second.replace("STEP\n1", "STEP\n0").replace(" B ", " A ") + second)
    assert [[one.species[code] for code in one.codes] for one in gio.frames(gio.scan(path))] == [["1", "2"]] * 2


def columned(step: int, radius: float = 0.4, charge: float = 0.0) -> str:
    """Particles in another order than that of their ids."""
    atoms = f"2 1 2 2 2 {radius} {charge} 8 -1.25 0.5\n1 1 1 1 1 0.5 0.25 7 -1.5 1.5\n"
    return frame(str(step), n=2, columns=" id type x y z radius q mol c_stress[1] fx", atoms=atoms)


KEEP = ["radius", "q", "mol", "c_stress[1]"]


def test_columns_are_kept_as_variables(tmp_path):
    for step in (0, 1000, 200):
        write(tmp_path / f"dump.{step}", columned(step, charge=step))
    paths = [tmp_path / f"dump.{step}" for step in (0, 1000, 200)]
    told = gd.ingest(paths, tmp_path / "x.zarr", keep=KEEP)
    assert told.notes[0] == "files are in the order of their steps"
    assert told.notes[1].endswith("dump.0 and 2 more: diameter is twice the column radius")
    assert told.notes[2].endswith("step radius q mol c_stress[1]; not kept: fx")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert {name: found[name].dims for name in KEEP} == {
        "radius": ("particle",), "q": ("frame", "particle"), "mol": ("particle",), "c_stress[1]": ("particle",),
    }  # fmt: skip
    np.testing.assert_array_equal(found["radius"], [0.5, 0.4])
    np.testing.assert_array_equal(found["diameter"], [1.0, 0.8])
    np.testing.assert_array_equal(found["q"], [[0.25, 0.0], [0.25, 200.0], [0.25, 1000.0]])
    np.testing.assert_array_equal(found["c_stress[1]"], [-1.5, -1.25])
    assert found["mol"].dtype == np.int64
    assert found["mol"].values.tolist() == [7, 8]
    assert gd.store.verify(tmp_path / "x.zarr") == []
    again = gd.ingest(paths, tmp_path / "x.zarr", keep=KEEP)
    assert again.n_new == 0
    # what is appended is kept alike, and must be constant where the store is
    write(tmp_path / "dump.2000", columned(2000, charge=3.0))
    gd.ingest(tmp_path / "dump.2000", tmp_path / "x.zarr", keep=KEEP, append=True)
    assert gd.open_trajectory(tmp_path / "x.zarr")["q"].values[:, 1].tolist() == [0.0, 200.0, 1000.0, 3.0]
    write(tmp_path / "dump.3000", columned(3000, radius=0.3))
    with pytest.raises(errors.FormatError, match=r"dump\.3000, frame 0: diameter is another one than in all frames"):
        gd.ingest(tmp_path / "dump.3000", tmp_path / "x.zarr", keep=KEEP, append=True)
    with pytest.raises(errors.FormatError, match=r"with `keep=\['c_stress\[1\]', 'mol', 'q', 'radius'\]`"):
        gd.ingest(tmp_path / "dump.3000", tmp_path / "x.zarr", append=True)
    assert gd.open_trajectory(tmp_path / "x.zarr").sizes["frame"] == 4


def test_sizes_that_change_are_kept_a_frame(tmp_path, monkeypatch):
    from glassdask.store import layout

    monkeypatch.setattr(layout, "CHUNK_BYTES", 2 * 2 * 3 * 8)  # several blocks, each of which is constant
    radii = [0.4] * 4 + [0.3] * 5
    path = write(tmp_path / "run", "".join(columned(k, radius) for k, radius in enumerate(radii)))
    gd.ingest(path, tmp_path / "x.zarr", keep="all")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert found["diameter"].dims == ("frame", "particle")
    np.testing.assert_allclose(found["diameter"].values[:, 1], 2 * np.array(radii))
    assert {*found.data_vars} >= {"q", "mol", "fx", "c_stress[1]", "diameter"}
    assert found["mol"].dims == ("particle",)


def test_vectors_and_truths_of_extended_xyz(tmp_path):
    run = sample(n_frames=3)
    text = extxyz(run).replace(":image:I:3", ":image:I:3:forces:R:3:fixed:L:1:note:S:1")
    lines = text.splitlines()
    lines = [
        f"{line} {k} 0.5 1 {'TF'[k % 2]} word" if len(line.split()) == 11 else line for k, line in enumerate(lines)
    ]
    path = write(tmp_path / "run.xyz", "\n".join(lines) + "\n")
    told = gd.ingest(path, tmp_path / "x.zarr", keep=["forces", "fixed"])
    assert told.notes[-1].endswith("not kept: note")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert found["forces"].dims == ("frame", "particle", "space")
    assert found["fixed"].dtype == bool
    np.testing.assert_array_equal(found["forces"].values[1, :, 0], 2 + 22 + np.arange(20))
    np.testing.assert_array_equal(found["fixed"].values, np.broadcast_to(np.arange(20) % 2 == 0, (20,)))
    with pytest.raises(errors.FormatError, match="no column 'word' to keep: found species pos"):
        gio.scan(path, keep=["word"])
    with pytest.raises(errors.FormatError, match="the column 'velo' is read as velocity"):
        gio.scan(path, keep=["velo"])
    with pytest.raises(errors.FormatError, match="the column 'note' holds words"):
        gio.scan(path, keep=["note"])


def test_names_that_glassdask_has_are_not_taken_for_columns(tmp_path):
    path = write(tmp_path / "run", columned(0).replace(" mol ", " propensity "))
    with pytest.raises(errors.FormatError, match="the column propensity has a name that means something else"):
        gio.scan(path, keep=["propensity"])
    with pytest.raises(errors.ParameterError, match="keep: expected list, found 3"):
        gio.scan(path, keep=3)


def test_sizes_that_are_none(tmp_path):
    index = gio.scan(write(tmp_path / "run", columned(0, radius=0.0)))
    assert "diameter" not in index.variables
    assert any("radius is not taken for sizes: not all of its values are positive" in note for note in index.notes)


@pytest.mark.parametrize(
    "word", ["1.5", "15D-1", "0.15E+1", "+1.5", "1.5000000000000000000000000", "0.015e+002", "15e-1"]
)
def test_numbers_in_any_spelling(tmp_path, word):
    text = frame(atoms=ATOMS.replace(" 1.5\n", f" {word}\n"))
    np.testing.assert_array_equal(read(write(tmp_path / "run", text))["position"][0], POSITION)


@pytest.mark.parametrize("word", ["1_0", "0x1p3", "1e", "--1", "1.2.3", "e5", "one", "1,5", "٣"])
def test_words_that_are_no_numbers(tmp_path, word):
    text = frame(atoms=ATOMS.replace(" 1.5\n", f" {word}\n"))
    with pytest.raises(errors.FormatError, match=r"run, frame 0: atom line 1, column z: '.*' is not a number"):
        read(write(tmp_path / "run", text))


def test_a_header_that_claims_more_atoms_than_any_memory_has(tmp_path):
    for claimed in (10**18, 10**40):
        path = write(tmp_path / "run", dump(sample(1)).replace("ATOMS\n20\n", f"ATOMS\n{claimed}\n"))
        with pytest.raises(errors.FormatError, match=r"truncated in its first frame|expected an integer of 64 bits"):
            gio.scan(path)


def test_names_without_number(tmp_path):
    """More names than the first table has room for, some of them long."""
    run = sample(n_frames=2, n_particles=1200)
    run.species = np.array([f"{'x' * (k % 50)}{k}" for k in range(1200)])
    same(read(write(tmp_path / "run", dump(run, "id element x y z"))), run, "step")


FILM = frame(n=2, box="pp pp ff\n0 4\n0 4\n0 4", atoms="1 1 5 1 1\n2 1 2 2 4.5\n")


def test_axes_along_which_the_box_does_not_repeat(tmp_path):
    told = gd.ingest(write(tmp_path / "film", FILM), tmp_path / "film.zarr")
    assert any("the box repeats along x y, positions are not wrapped along the other axes" in n for n in told.notes)
    found = gd.open_trajectory(tmp_path / "film.zarr")
    assert found["periodic"].values.tolist() == [True, True, False]
    np.testing.assert_array_equal(found["position"], [[[1, 1, 1], [2, 2, 4.5]]])
    flat = xyz('Lattice="4 0 0 0 4 0 0 0 8" pbc="T T F"')
    gd.ingest(write(tmp_path / "slab.xyz", flat), tmp_path / "slab.zarr")
    assert gd.open_trajectory(tmp_path / "slab.zarr")["periodic"].values.tolist() == [True, True, False]
    write(tmp_path / "film", FILM.replace("pp pp ff", "pp pp pp").replace("STEP\n0", "STEP\n1"))
    with pytest.raises(errors.FormatError, match=r"repeats along other axes than in .*`periodic='xy'`"):
        gd.ingest(tmp_path / "film", tmp_path / "film.zarr", append=True)
    assert gd.ingest(tmp_path / "film", tmp_path / "film.zarr", append=True, periodic="xy").n_frames == 2


@pytest.mark.parametrize("periodic", ["xyz", True, (True, True, True), [True] * 3])
def test_flags_that_are_written_by_habit(tmp_path, periodic):
    path = write(tmp_path / "run", frame(box="ss ss ss\n0 4\n0 4\n0 4", n=2, atoms="1 1 5 1 1\n2 1 2 2 4.5\n"))
    gd.ingest(path, tmp_path / "x.zarr", periodic=periodic)
    found = gd.open_trajectory(tmp_path / "x.zarr")
    assert "periodic" not in found
    np.testing.assert_array_equal(found["position"], [[[1, 1, 1], [2, 2, 0.5]]])


def test_a_cluster_needs_no_box(tmp_path):
    path = write(tmp_path / "cluster.xyz", xyz("no box", "A 1 -1 1\nB 2 2 3\n"))
    gd.ingest(path, tmp_path / "x.zarr", periodic="")
    found = gd.open_trajectory(tmp_path / "x.zarr")
    np.testing.assert_array_equal(found["origin"], [[1, -1, 1]])
    np.testing.assert_array_equal(found["box"].values[0].diagonal(), [1, 3, 2])
    for wrong in ("xw", 3, [True], ["x"], {1: 2}):
        with pytest.raises(errors.ParameterError, match=r"periodic is .*, expected axes such as 'xy'"):
            gio.scan(path, periodic=wrong)
