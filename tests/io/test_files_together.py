"""Several files, or frames, that do not have the same: what is kept is right, and what is not is told."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError, GlassdaskError, ParameterError, SchemaError
from tests.test_cli import ARGS, run

LATTICE = 'Lattice="4 0 0 0 4 0 0 0 4"'


def xyz(step: int, kind: str, rows: list[str], head: str = "") -> str:
    """A frame with a column q."""
    lines = [f"{k % 2 + 1} {k + 0.5} 1 1 {row}" for k, row in enumerate(rows)]
    return "\n".join([str(len(rows)), f"{LATTICE} Properties=type:I:1:pos:R:3:q:{kind} Step={step} {head}", *lines, ""])


def dump(step: int, columns: str, rows: list[str], time: str = "") -> str:
    bounds = "0 4\n" * 3
    top = f"ITEM: TIMESTEP\n{step}\n{time}ITEM: NUMBER OF ATOMS\n{len(rows)}\nITEM: BOX BOUNDS pp pp pp\n{bounds}"
    return top + f"ITEM: ATOMS {columns}\n" + "".join(f"{row}\n" for row in rows)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(**given: object) -> np.ndarray:
    gd.ingest(["a", "b"], "x.zarr", keep=["q"], **given)
    return np.asarray(gd.open_trajectory("x.zarr")["q"].values)


@pytest.mark.parametrize("first", ["I:1", "R:1"])
def test_a_column_of_whole_numbers_in_one_file_and_of_others_in_the_next_loses_none(folder: Path, first: str) -> None:
    contents = {"I:1": ["1", "2"], "R:1": ["1.5", "2.5"]}
    (other,) = set(contents) - {first}
    (folder / "a").write_text(xyz(0, first, contents[first]))
    (folder / "b").write_text(xyz(1, other, contents[other]))
    assert stored(format="xyz").tolist() == [[float(v) for v in contents[kind]] for kind in (first, other)]


def test_tables_of_tracks_with_and_without_points(folder: Path) -> None:
    (folder / "a").write_text("frame,particle,x,y,q\n0,1,1,1,1\n0,2,2,2,2\n")
    (folder / "b").write_text("frame,particle,x,y,q\n1,1,1,1,1.5\n1,2,2,2,2.5\n")
    assert stored(box=[4, 4]).tolist() == [[1.0, 2.0], [1.5, 2.5]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("I:1", ["1", "2"]), ("R:1", ["1.5", "2.5"])),
        (("L:1", ["T", "F"]), ("I:1", ["5", "2"])),
        (("R:2", ["1 2", "3 4"]), ("R:1", ["1", "3"])),
        (("R:1", ["1", "3"]), ("R:2", ["1 2", "3 4"])),
    ],
)
def test_a_column_that_becomes_another_within_a_file_is_refused(
    folder: Path, first: tuple[str, list[str]], second: tuple[str, list[str]]
) -> None:
    (folder / "a").write_text(xyz(0, *first) + xyz(1, *second))
    with pytest.raises(FormatError, match=r"a, frame 1: the column q holds .*, before it held .*: write it alike"):
        gd.ingest("a", "x.zarr", keep=["q"], format="xyz")
    assert not Path("x.zarr").exists()


def test_components_of_another_number_are_not_spread_over_those_of_the_first_file(folder: Path) -> None:
    (folder / "a").write_text(xyz(0, "R:2", ["1 2", "3 4"]))
    (folder / "b").write_text(xyz(1, "R:1", ["1", "3"]))
    with pytest.raises(FormatError, match="q holds float64, before it held 2 components of float64"):
        stored(format="xyz")


def test_appended_numbers_that_the_store_would_cut_are_refused(folder: Path) -> None:
    (folder / "a").write_text(xyz(0, "I:1", ["1", "2"]) + xyz(1, "I:1", ["3", "2"]))
    (folder / "b").write_text(xyz(2, "R:1", ["1.5", "2.5"]))
    gd.ingest("a", "x.zarr", keep=["q"], format="xyz")
    with pytest.raises(FormatError, match="b, frame 0: the column q holds float64, before it held int64"):
        gd.ingest("b", "x.zarr", keep=["q"], format="xyz", append=True)
    assert gd.open_trajectory("x.zarr")["q"].values.tolist() == [[1, 2], [3, 2]]


@pytest.mark.parametrize("append", [False, True])
def test_what_only_a_later_file_has_is_told(folder: Path, append: bool) -> None:
    (folder / "a").write_text(dump(0, "id type x y z", ["1 1 1 1 1", "2 2 2 2 2"]))
    (folder / "b").write_text(
        dump(1, "id type x y z radius q", ["1 1 1 1 1 .5 7", "2 2 2 2 2 .6 8"], time="ITEM: TIME\n0.5\n")
    )
    if append:
        gd.ingest("a", "x.zarr")
    done = gd.ingest("b" if append else ["a", "b"], "x.zarr", keep=["q"] if append else "all", append=append)
    where = str(Path("x.zarr").absolute()) if append else "a"
    assert f"b: diameter time q, which {where} has not: not kept" in done.notes
    assert "diameter" not in "".join(note for note in done.notes if note.startswith("read:"))
    assert not {"q", "diameter", "time"} & set(gd.open_trajectory("x.zarr").variables)


CFG = """Number of particles = 2
A = 1 Angstrom
H0(1,1) = 4 A
H0(1,2) = 0 A
H0(1,3) = 0 A
H0(2,1) = 0 A
H0(2,2) = 4 A
H0(2,3) = 0 A
H0(3,1) = 0 A
H0(3,2) = 0 A
H0(3,3) = 4 A
.NO_VELOCITY.
entry_count = 4
auxiliary[0] = q
1.0
A
{} 0.5 0.5 1
1.0
A
{} 0.5 0.5 2
"""
YAML = """---
creator: LAMMPS
timestep: {step}
natoms: 2
boundary: [ p, p, p, p, p, p, ]
thermo:
box:
  - [ 0, 4 ]
  - [ 0, 4 ]
  - [ 0, 4 ]
keywords: [ type, x, y, z, ]
data:
  - [ 1 , 1 , 1 , 1 , ]
  - [ 1 , 2 , 2 , 2 , ]
...
"""


@pytest.mark.parametrize(
    "contents",
    [
        (CFG.format(0.1, 0.2), CFG.format(0.2, 0.1)),
        (YAML.format(step=0), YAML.format(step=1)),
        (dump(0, "type x y z", ["1 1 1 1", "1 2 2 2"]), dump(1, "type x y z", ["1 1 1 1", "1 2 2 2"])),
        (dump(0, "id type x y z", ["2 1 1 1 1", "1 1 2 2 2"]), f"2\n{LATTICE} Step=1\n1 1 1 1\n1 2 2 2\n"),
    ],
    ids=["cfg", "yaml", "dump", "ids and none"],
)
def test_particles_that_only_their_lines_tell_are_not_followed(folder: Path, contents: tuple[str, str]) -> None:
    names = [f"{name}.cfg" if "H0" in contents[0] else name for name in "ab"]
    for name, content in zip(names, contents):
        (folder / name).write_text(content)
    done = gd.ingest(names, "x.zarr", wrapped=True)
    assert sum("displacements are refused" in note for note in done.notes) == 1
    trajectory = gd.open_trajectory("x.zarr")
    with pytest.raises(GlassdaskError, match="matched_by"):
        gd.dynamics.displacements(trajectory, 1)


def test_ids_in_appended_frames_alone_do_not_tell_who_is_who(folder: Path) -> None:
    (folder / "a").write_text(f"2\n{LATTICE} Step=0\n1 1 1 1\n1 2 2 2\n")
    (folder / "b").write_text(dump(1, "id type x y z", ["2 1 1 1 1", "1 1 2 2 2"]))
    gd.ingest("a", "x.zarr", format="xyz", wrapped=True)
    done = gd.ingest("b", "x.zarr", append=True)
    assert any("the store has no ids" in note for note in done.notes)
    assert gd.open_trajectory("x.zarr")["position"].attrs["matched_by"] == "line"


def test_a_box_that_begins_to_move_after_the_first_frame(folder: Path) -> None:
    first, second = xyz(0, "R:1", ["1", "2"]), xyz(1, "R:1", ["1", "2"], 'Origin="0.25 0 0"')
    (folder / "a").write_text(first + second)
    gd.ingest("a", "x.zarr", format="xyz")
    trajectory = gd.open_trajectory("x.zarr")
    assert trajectory["origin"].values.tolist() == [[0, 0], [0.25, 0]]
    assert (trajectory["position"] + trajectory["origin"]).isel(space=0).values.tolist() == [[0.5, 1.5]] * 2


@pytest.mark.parametrize(("step", "time", "right"), [(0, 1.0, False), (20, 0.1, True), (20, 0.2, False)])
def test_dt_must_agree_with_the_times_of_a_file(folder: Path, step: int, time: float, right: bool) -> None:
    (folder / "a").write_text(dump(step, "id type x y z", ["1 1 1 1 1", "2 2 2 2 2"], f"ITEM: TIME\n{time}\n"))
    if right:
        gd.ingest("a", "x.zarr", dt=0.005)
        assert gd.open_trajectory("x.zarr")["time"].values.tolist() == [time]
        return
    with pytest.raises(ParameterError, match=f"a, frame 0: the time in the file is {time}, .*: leave dt out"):
        gd.ingest("a", "x.zarr", dt=0.005)


def test_appended_frames_have_the_same_dt(folder: Path) -> None:
    for name, step in (("a", 0), ("b", 10)):
        (folder / name).write_text(dump(step, "id type x y z", ["1 1 1 1 1", "2 2 2 2 2"]))
    gd.ingest("a", "x.zarr", dt=0.005)
    with pytest.raises(ParameterError, match=r"dt is 0\.01, .* was made with 0\.005, .*: say `dt=0\.005`"):
        gd.ingest("b", "x.zarr", dt=0.01, append=True)
    with pytest.raises(FormatError, match=r"no time, .*, or say the time of one step, such as `dt=0\.005`"):
        gd.ingest("b", "x.zarr", append=True)
    gd.ingest("b", "x.zarr", dt=0.005, append=True)
    assert gd.open_trajectory("x.zarr")["time"].values.tolist() == [0.0, 0.05]


def test_columns_that_never_change_are_coarse_grained_and_correlated(folder: Path) -> None:
    rng = np.random.default_rng(3)
    values, rows = rng.random(20), [rng.random((20, 3)) * 4 for _ in range(3)]
    lines = [[f"{k + 1} 1 {x} {y} {z} {values[k]}" for k, (x, y, z) in enumerate(place)] for place in rows]
    (folder / "a").write_text("".join(dump(step, "id type x y z q", some) for step, some in enumerate(lines)))
    gd.ingest("a", "x.zarr", keep=["q"])
    trajectory = gd.open_trajectory("x.zarr")
    assert trajectory["q"].dims == ("particle",)
    found = gd.coarse_grain(trajectory["q"], trajectory, 1.0).squeeze("length").values
    for frame, place in enumerate(rows):
        d = place[:, None] - place
        r = np.linalg.norm(d - 4 * np.rint(d / 4), axis=-1)
        weight = np.where(r < 2.0, np.exp(-(r**2)), 0.0)
        np.testing.assert_allclose(found[frame], weight @ values / weight.sum(axis=1), rtol=1e-10)
    repeated = trajectory["q"].expand_dims(frame=3)
    for one, other in zip(
        *(gd.spatial_correlation(q, trajectory, r_max=1.9).values() for q in (trajectory["q"], repeated))
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(SchemaError, match="expand_dims") as told:
        gd.feature_matrix(trajectory["q"])
    advice = str(told.value).rpartition("say ")[2]
    assert eval(f"gd.feature_matrix(trajectory['q']{advice})").shape == (60, 1)


@pytest.mark.parametrize("columns", ["xu yu z", "xs ys z", "x y zu", "xsu ysu zs", "x y zs ix iy iz"])
def test_coordinates_of_several_kinds_are_not_taken_for_two_dimensions(folder: Path, columns: str) -> None:
    rows = [f"{k} 1 {' '.join(['0.5'] * len(columns.split()))}" for k in (1, 2)]
    (folder / "a").write_text(dump(0, f"id type {columns}", rows).replace("0.5 0.5 0.5 0.5 0.5 0.5", "1 1 1 0 0 0"))
    with pytest.raises(FormatError, match=r"a.*: positions are .* and z\w*, which do not belong together"):
        gd.ingest("a", "x.zarr")


@pytest.mark.parametrize("name", ["T0.45", "T 0.45", "T[0.45]", "T\u00b2"])
def test_a_folder_is_told_from_a_file_and_the_advice_works(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkdir(name)
    Path(name, "dump.0").write_text(dump(0, "id type x y z", ["1 1 1 1 1", "2 2 2 2 2"]))
    code, _, error = run(monkeypatch, capsys, "ingest", name, "-o", "x.zarr", *ARGS)
    assert code != 0
    assert f"{name}: is a folder: name the files in it, such as '" in error
    (pattern,) = shlex.split(error.rpartition("such as ")[2])
    assert run(monkeypatch, capsys, "ingest", pattern, "-o", "x.zarr", *ARGS)[0] == 0
    if "[" in name:
        with pytest.raises(FormatError, match=r"a bracket that is part of a name is written \[\[\]"):
            gd.ingest(f"{name}/*", "y.zarr")
