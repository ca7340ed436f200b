"""`glassdask ingest` as one types it: options in the shell's way, and advice that works when it is followed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.cli import advice
from glassdask.cli.ingesting import spelled_out
from tests.io.test_text_quirks import columned, frame, xyz
from tests.test_cli import ARGS, run

PLAIN = xyz("no box here")
LABELS = frame(n=2, columns=" id typelabel x y z", atoms="1 Big 1 1 1\n2 Small 2 2 2\n")


@pytest.fixture
def ingest(monkeypatch, capsys, tmp_path):
    """Runs the command in the temporary folder, words as the shell takes them; gives what is stored or the error."""
    monkeypatch.chdir(tmp_path)

    def call(words: str):
        code, out, error = run(monkeypatch, capsys, "ingest", *shlex.split(words), "-o", "x.zarr", "--overwrite", *ARGS)
        assert "\n" not in error.strip() or code == 0
        return (gd.open_trajectory("x.zarr"), out) if code == 0 else error

    return call


def test_boxes(ingest):
    Path("plain.xyz").write_text(PLAIN)
    for box in ("4,4,4", "[4,4,4]", "4.0,4,4", "4,0,0,0,4,0,0,0,4"):
        assert ingest(f"plain.xyz --box {box}")[0]["box"].values[0].tolist() == (4 * np.eye(3)).tolist()
    assert ingest("plain.xyz --option box=[4,4,4]")[0]["box"].values[0].diagonal().tolist() == [4, 4, 4]
    for box in ("4", "4,a,4", "4,4,4,4,4"):
        assert f"--box {box}: expected 2 or 3 edges such as 4,4,4" in ingest(f"plain.xyz --box {box}")


def test_columns_and_kept_ones(ingest):
    Path("run").write_text(columned(0, charge=-0.5))
    for words in ("--keep radius q 'c_stress[1]'", "--keep radius,q --keep 'c_stress[1]'"):
        found, out = ingest(f"run {words} --dt 0.005")
        assert "not kept: mol fx" in out
        np.testing.assert_array_equal(found["radius"], [0.5, 0.4])
        np.testing.assert_array_equal(found["c_stress[1]"], [-1.5, -1.25])
    assert {"mol", "fx"} <= {*ingest("--keep all run")[0].data_vars}
    found, _ = ingest("run --column species=mol energy=fx --species 7=A,8=B --periodic xy")
    assert found["species"].values.tolist() == ["A", "B"]
    assert found["energy"].values.tolist() == [[1.5, 0.5]]
    assert found["periodic"].values.tolist() == [True, True, False]
    Path("labels").write_text(LABELS)
    assert ingest("labels")[0]["species"].values.tolist() == ["Big", "Small"]
    assert ingest("labels --column species=typelabel")[0]["species"].values.tolist() == ["Big", "Small"]
    assert "periodic is 'xq', expected axes such as 'xy'" in ingest("run --periodic xq")


def test_words_belong_to_options_up_to_the_next_option_or_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("b.dump").touch()
    assert spelled_out(["--keep", "q", "r", "b.dump", "c"]) == ["--keep", "q", "--keep", "r", "b.dump", "c"]
    found = spelled_out(["a", "--species", "1=A", "2=B", "-o", "x"])
    assert " ".join(found) == "a --species 1=A --species 2=B -o x"


ADVISED = {
    "box": (PLAIN, "", r"--box 4\.0,4\.0,4\.0"),
    "box in words": (xyz('box="4 4 4" step=100'), "", r"--box 4\.0,4\.0,4\.0"),
    "no box": (PLAIN, "", "--periodic none"),
    "box of a plane": (xyz("comment", "A 1 1\nB 2 2\n"), "", r"--box 4\.0,4\.0"),
    "dimension": (
        frame(n=2, atoms="1 1 1 1 1\n2 1 2 2 1\n") + frame("1", n=2, atoms="1 1 1 1 1\n2 1 2 2 2\n"),
        "",
        "--dimension 3",
    ),
    "unordered": (frame("5") + frame("3"), "", "--unordered"),
    "periodic": (frame(box="pp pp ff\n0 4\n0 4\n0 4") + frame("1"), "", "--periodic xy"),
    "columns": (
        xyz('Lattice="4 0 0 0 4 0 0 0 4" Properties=kind:S:1:place:R:3'),
        "",
        "--column position=place --column species=kind",
    ),
    "keep": (columned(0), "--keep x", "leave it out of keep"),
}  # fmt: skip


@pytest.mark.parametrize("name", ADVISED)
def test_advice_works_as_typed(ingest, name):
    text, words, expected = ADVISED[name]
    Path("run").write_text(text)
    error = ingest(f"run {words}")
    assert isinstance(error, str), name
    advised = re.search(expected, error)
    assert advised, error
    if name == "keep":
        words, advised = "", [""]
    followed = ingest(f"run {words} {advised[0]}")
    assert not isinstance(followed, str), followed


def test_advice_of_python_becomes_that_of_the_shell():
    for python, shell in {
        "`wrapped=False`": "--unwrapped",
        "`columns={'species': 'c x'}`": "--column 'species=c x'",
        "`species_names={'1': 'A'}`": "--species 1=A",
        "`topology=FILE`": "--topology FILE",
        "`style='full'`": "--option style=full",
        "`lags=[...]`": "--option 'lags=[Ellipsis]'",
    }.items():
        if "Ellipsis" not in shell:
            assert advice.shell(f"say {python}, please") == f"say {shell}, please"


def test_what_means_nothing_is_told_before_a_cluster_starts(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("glassdask.cluster.connect", lambda *_, **__: pytest.fail("a cluster was started"))
    Path("run").write_text(frame())
    Path("tracks.csv").write_text("particle,frame,a,b\n1,1,0.5,0.5\n1,2,0.6,0.5\n")
    for words, message in {
        "none.dump": r"none\.dump: cannot be read \(No such file",
        "run --dimension 4": "dimension is 4",
        "run --column place=x": "columns has place, expected some of species",
        "run --topology a.pdb": "format lammps has no option topology",
        "run --box 0,4,4": "is not a right-handed cell",
        "run --dt=-1": "dt is",
        "run --periodic ab": "periodic is 'ab'",
        "none*": "no file matches",
        "tracks.csv --column x=a y=b": "are named together: give --column position=a,b$",
    }.items():
        code, _, error = run(monkeypatch, capsys, "ingest", *words.split(), "-o", "x.zarr", "--cluster", "local")
        assert code == 1
        assert re.search(message, error), error
    assert "say --store x.zarr" in run(monkeypatch, capsys, "ingest", "run", "x.zarr")[2]


def test_the_help_lists_what_is_read(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "ingest", "--help")
    assert code == 0
    for words in ("lammps", "extended and plain XYZ", "H5MD", "--keep", "--topology", "--periodic"):
        assert words in out


def test_what_has_no_times_is_told_at_once(monkeypatch, capsys, tmp_path):
    """Where a step has no time, and where there is no step; the advice works."""
    monkeypatch.chdir(tmp_path)
    atoms = "1 1 1 1 1\n2 2 2 2 2\n"
    Path("run").write_text(frame("0", n=2, atoms=atoms) + frame("10", n=2, atoms=atoms))
    Path("plain.xyz").write_text(PLAIN + PLAIN)

    def told(*words):
        return run(monkeypatch, capsys, "ingest", *words, *ARGS)[2]

    assert "no times are known: for dynamics, say --dt 0.005" in told("run", "-o", "x.zarr")
    assert "no times" not in told("run", "-o", "x.zarr", "--dt", "0.5", "--overwrite")
    assert gd.open_trajectory("x.zarr")["time"].values.tolist() == [0.0, 5.0]
    assert "--dt means nothing without" in told("plain.xyz", "--box", "4,4,4", "--dt", "1", "-o", "p.zarr")
    trajectory, times = gd.open_trajectory("p.zarr"), [0.0, 1.0]
    gd.save_trajectory(trajectory.assign_coords(time=("frame", times)), "other.zarr")
    assert gd.open_trajectory("other.zarr")["time"].values.tolist() == times
