"""Frames of one file that have more or less than its first one, and marks and steps that are not those of LAMMPS."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError

BOX = 'Lattice="9 0 0 0 9 0 0 0 9"'


def frame(suffix, step, columns, names=("A", "B", "A"), order=(0, 1, 2)):
    """Three particles at rest, with columns of LAMMPS or of extended XYZ."""
    position = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 1]])
    values = {
        "id": [[k + 1] for k in range(3)], "species": [[name] for name in names], "pos": position,
        "velo": np.full((3, 3), 0.5), "q": np.full((3, 1), 7.0), "time": None,
    }  # fmt: skip
    rows = [" ".join(str(x) for name in columns if name != "time" for x in values[name][k]) for k in order]
    if suffix == "xyz":
        kinds = {"id": "id:I:1", "species": "species:S:1", "pos": "pos:R:3", "velo": "velo:R:3", "q": "q:R:1"}
        words = [BOX, "Properties=" + ":".join(kinds[name] for name in columns if name != "time"), f"Step={step}"]
        words += [f"Time={0.5 * step}"] if "time" in columns else []
        return "\n".join(["3", " ".join(words), *rows]) + "\n"
    lammps = {"id": "id", "species": "element", "pos": "x y z", "velo": "vx vy vz", "q": "q", "time": ""}
    lines = ["ITEM: TIME", str(0.5 * step)] if "time" in columns else []
    lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", "3", "ITEM: BOX BOUNDS pp pp pp", *["0 9"] * 3]
    lines += ["ITEM: ATOMS " + " ".join(lammps[name] for name in columns if name != "time"), *rows]
    return "\n".join(lines) + "\n"


FEW, MORE = ("id", "species", "pos"), ("time", "id", "species", "pos", "velo", "q")


@pytest.mark.parametrize("suffix", ["dump", "xyz"])
def test_what_only_later_frames_have_is_told(tmp_path, suffix):
    """The store is as if they had it not, and the line says what it was, also when they are appended."""
    file, store = tmp_path / f"a.{suffix}", tmp_path / "s.zarr"
    file.write_text(frame(suffix, 0, FEW) + frame(suffix, 10, MORE))
    line = "q time velocity, which the first frame has not and later ones have: not kept"
    assert gd.ingest(file, store).notes == (line,)
    found = gd.open_trajectory(store)
    assert not {"velocity", "q", "time"} & {*found.variables}
    other = tmp_path / f"b.{suffix}"
    other.write_text(frame(suffix, 20, FEW) + frame(suffix, 30, MORE))
    assert gd.ingest(other, store, append=True).notes == (line,)
    same = tmp_path / f"c.{suffix}"
    same.write_text(frame(suffix, 0, MORE) + frame(suffix, 10, MORE))
    told = gd.ingest(same, tmp_path / "c.zarr").notes
    assert not any("later ones" in note for note in told)
    assert {"velocity", "time"} <= {*gd.open_trajectory(tmp_path / "c.zarr").variables}


@pytest.mark.parametrize("names", ["AAA", "ABA"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("suffix", ["dump", "xyz"])
def test_ids_of_some_frames_only_are_refused(tmp_path, suffix, first, names):
    """Else particles would be sorted in some frames and not in others, and move where they exchange lines."""
    parts = [FEW, FEW[1:]] if first else [FEW[1:], FEW]
    file = tmp_path / f"a.{suffix}"
    text = [
        frame(suffix, 10 * k, part, names, order) for k, (part, order) in enumerate(zip(parts, [(0, 1, 2), (2, 0, 1)]))
    ]
    file.write_text("".join(text))
    with pytest.raises(FormatError, match=r"frame 1: (no ids, and frame 0 has them|ids, and frame 0 has none): write"):
        gd.ingest(file, tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("suffix", ["dump", "xyz"])
def test_the_mark_of_editors_is_no_letter(tmp_path, suffix):
    text = "".join(frame(suffix, step, FEW) for step in (0, 10, 20))
    for name, opened, mark in (("plain", open, ""), ("marked", open, "\ufeff"), ("packed", gzip.open, "\ufeff")):
        with opened(tmp_path / name, "wt", encoding="utf-8") as stream:  # no suffix: the content tells the format
            stream.write(mark + text)
        gd.ingest(tmp_path / name, tmp_path / f"{name}.zarr")
        found = gd.open_trajectory(tmp_path / f"{name}.zarr")
        assert found["step"].values.tolist() == [0, 10, 20]
        assert found["position"].values[2, 1].tolist() == [4, 5, 6]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_wide_text_is_told(tmp_path, encoding):
    file = tmp_path / "a.dump"
    file.write_text(("\ufeff" if encoding.endswith("be") else "") + frame("dump", 0, FEW), encoding=encoding)
    with pytest.raises(FormatError, match=r"is text in UTF-16, .* convert it to UTF-8, such as with iconv -f UTF-16"):
        gd.ingest(file, tmp_path / "s.zarr")


@pytest.mark.parametrize("suffix", ["dump", "xyz"])
@pytest.mark.parametrize("step", ["1e30", "9223372036854775808", "0.5"])
def test_steps_are_integers_that_fit(tmp_path, suffix, step):
    file = tmp_path / f"a.{suffix}"
    file.write_text(frame(suffix, 777, FEW).replace("777", step))
    with pytest.raises(FormatError, match=r"(?i)step is .*, expected an integer of 64 bits"):
        gd.ingest(file, tmp_path / "s.zarr")


@pytest.mark.parametrize("suffix", ["dump", "xyz"])
def test_a_column_twice(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    file.write_text(frame(suffix, 0, (*FEW, "pos")))
    with pytest.raises(FormatError, match=r"frame 0: the column (x|pos) is there twice: write it once"):
        gd.ingest(file, tmp_path / "s.zarr")


def test_a_step_of_single_precision_makes_no_noise(tmp_path):
    file = tmp_path / "a.dump"
    file.write_text(frame("dump", 100, FEW))
    gd.ingest(file, tmp_path / "s.zarr", dt=np.float32(0.5))
    assert gd.open_trajectory(tmp_path / "s.zarr")["time"].values.tolist() == [50.0]
