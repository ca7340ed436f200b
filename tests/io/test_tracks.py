"""Tables of tracks: sizes that are none, who is who, what is kept, and advice that works."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import FormatError, GlassdaskError, PositionError
from glassdask.io.frame import Frame
from glassdask.io.sources import prepare, scan

HEAD = "frame,particle,x,y"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ingested(text: str, name: str = "t.csv", **options: object) -> gd.io.Ingestion:
    Path(name).write_text(text)
    return gd.ingest(name, "x.zarr", **{"box": [5, 5], **options})


@pytest.mark.parametrize("value", ["", "-1", "0", "inf"])
@pytest.mark.parametrize("column", ["radius", "diameter", "RADIUS"])
def test_sizes_that_are_none_are_left_out_and_told(value: str, column: str) -> None:
    done = ingested(f"{HEAD},{column}\n0,0,1,1,.5\n0,1,2,2,.5\n1,0,1,1,.5\n1,1,2,2,{value}\n")
    assert f"t.csv: {column} is not taken for sizes: not all of its values are positive" in done.notes
    assert "diameter" not in gd.open_trajectory("x.zarr")


def test_a_store_with_sizes_that_are_none_is_not_made() -> None:
    np.savez("a.npz", position=np.ones((1, 2, 2)) * [[0.2], [0.7]], species=[1, 1], box=[1.0, 1.0], diameter=[1, -1.0])
    gd.ingest("a.npz", "x.zarr")
    assert "diameter" not in gd.open_trajectory("x.zarr")
    # as a reader from another package may give them
    frame = Frame(np.zeros((2, 2)), ("1",), np.zeros(2, np.int16), np.eye(2), diameter=np.array([1.0, np.nan]))
    index = replace(scan("a.npz"), variables=("diameter",), kept={"diameter": ("<f8", 0)})
    with pytest.raises(GlassdaskError, match=r"a\.npz, frame 3, particle 1: diameter nan, expected a positive number"):
        prepare(frame, index, 3)


def test_all_columns_of_numbers_are_kept() -> None:
    done = ingested(f"{HEAD},radius,mass,word,image\n0,0,1,1,.5,3,a,0\n0,1,2,2,.5,4,b,0\n", keep=["all"])
    trajectory = gd.open_trajectory("x.zarr")
    assert trajectory["mass"].values.tolist() == [3, 4]
    assert {"word", "image"}.isdisjoint(trajectory.variables)
    assert any(note.endswith("not kept: word image") for note in done.notes)
    with pytest.raises(FormatError, match="the column 'x' is read as position, leave it out of keep"):
        ingested(f"{HEAD}\n0,0,1,1\n", keep=["x"], overwrite=True)
    with pytest.raises(FormatError, match="the column 'image' has a name that means something else"):
        ingested(f"{HEAD},image\n0,0,1,1,1\n", keep=["image"], overwrite=True)


def test_rows_without_tracks_are_not_followed() -> None:
    done = ingested("frame,x,y\n0,1,1\n0,2,2\n1,2,2\n1,1,1\n")
    assert "t.csv: no ids, and rows of a table are in any order: displacements are refused" in done.notes
    with pytest.raises(GlassdaskError, match="matched by their lines in files without ids"):
        gd.dynamics.mean_square_displacement(gd.open_trajectory("x.zarr"), lags=[1])


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_signs_between_columns_are_told(sign: str) -> None:
    with pytest.raises(FormatError, match="write the table with commas between the columns"):
        ingested(f"{HEAD}\n0,0,1,1\n".replace(",", sign))


def test_a_place_that_is_missing_is_no_reason_to_advise_what_files_cannot_say() -> None:
    with pytest.raises(PositionError, match=r"t.csv, frame 1, particle 0: position \[nan, 1.0\] .* repair this frame$"):
        ingested(f"{HEAD}\n0,0,1,1\n1,0,,1\n")


@pytest.mark.parametrize(
    ("write", "role"),
    [
        (lambda: np.savez("a", positions=np.ones((1, 2, 2)), species=[1, 1], box=[4.0, 4.0]), "position"),
        (lambda: np.savez("a", position=np.ones((1, 2, 2)), type=[1, 1], box=[4.0, 4.0]), "species"),
        (lambda: Path("a.npz").write_text("T,x,y\n0,1,1\n"), "frame"),
        (lambda: Path("a.npz").write_text("frame,X_um,Y_um\n0,1,1\n"), "position"),
    ],
)
def test_advice_on_names_works_as_typed(write: object, role: str) -> None:
    write()  # type: ignore[operator]
    format_ = "tracks" if Path("a.npz").read_bytes()[:2] != b"PK" else None
    with pytest.raises(FormatError) as told:
        gd.ingest("a.npz", "x.zarr", format=format_, box=None if format_ is None else [4, 4])
    (found,) = re.findall(r"`columns=(.*?)`", str(told.value))
    columns = ast.literal_eval(found)
    assert set(columns) == {role}
    gd.ingest("a.npz", "x.zarr", format=format_, columns=columns, box=None if format_ is None else [4, 4])
    assert gd.open_trajectory("x.zarr").sizes["frame"] == 1


@pytest.mark.parametrize("column", ["time", "step"])
def test_rows_of_one_frame_with_other_times_are_told(column: str) -> None:
    """Rows in any order; where all of a frame agree there is nothing to tell."""
    rows = ["1,0,1.5,2,40", "0,0,1,2,{}", "1,1,3,4,40", "0,1,3,4,20"]
    same = "\n".join([f"{HEAD},{column}", *rows]).format(20)
    assert not any("differs" in note for note in ingested(same).notes)
    done = ingested("\n".join([f"{HEAD},{column}", *rows]).format(10), "o.csv", overwrite=True)
    assert f"o.csv: {column} differs between rows of one frame: that of its first row is taken" in done.notes
    assert gd.open_trajectory("x.zarr")[column].values.tolist() == [10, 40]
