"""The command line, from files to figures, with its exit codes and errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask import cli
from glassdask.descriptors import registry
from tests.sweep.liquids import save_sweep

ARGS = ("--cluster", "threads")


def run(monkeypatch, capsys, *arguments):
    """Exit code, standard output and what a failure says."""
    monkeypatch.setattr("sys.argv", ["glassdask", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    code = ended.value.code
    if isinstance(code, str):
        return 1, captured.out, code
    return code or 0, captured.out, captured.err


@pytest.fixture
def archive(tmp_path):
    rng = np.random.default_rng(7)
    file = tmp_path / "liquid.npz"
    np.savez(file, position=rng.random((3, 300, 3)) * 7, species=1 + (np.arange(300) % 3 == 0), box=[7.0] * 3)
    return file


def test_from_file_to_figure(monkeypatch, capsys, tmp_path, archive):
    store = tmp_path / "liquid.zarr"
    code, out, _ = run(
        monkeypatch, capsys, "ingest", archive, "--store", store, "--species", "1=A", "--species", "2=B", *ARGS
    )
    assert code == 0
    assert "3 new frames" in out
    cutoff = ("--cutoff", "A-A=1.4", "--cutoff", "B-A=1.3", "--cutoff", "B-B=1.2")
    describe = ("describe", store, "sbo:l_max=6", "bo", "--centers", "B", *cutoff, *ARGS)
    code, out, _ = run(monkeypatch, capsys, *describe)
    assert code == 0
    assert "descriptors/sbo, descriptors/bo" in out
    told = json.loads(run(monkeypatch, capsys, *describe, "--json")[1])
    assert told["stored"] == ["descriptors/sbo", "descriptors/bo"]
    assert told["cutoffs"] == {"A-A": 1.4, "A-B": 1.3, "B-B": 1.2}
    cutoffs = {("A", "A"): 1.4, ("A", "B"): 1.3, ("B", "B"): 1.2}
    expected = gd.describe(gd.open_trajectory(store), [gd.SmoothedBondOrder(l_max=6, cutoffs=cutoffs)], centers="B")[
        "sbo"
    ]
    np.testing.assert_allclose(gd.open_descriptors(store, ["sbo"])["sbo"].values, expected.values, atol=1e-13)

    code, out, _ = run(monkeypatch, capsys, "reduce", store, "sbo", *ARGS)
    assert code == 0
    assert out.startswith("PC1: ")
    code, out, error = run(monkeypatch, capsys, "reduce", store, "sbo:l_max=6,name='here'", *describe[4:])
    assert code == 0, error
    assert not (store / "descriptors/here").exists()  # found without what was stored, and the same
    stored, here = (gd.open_reduction(store, name) for name in ("sbo", "here"))
    for name in ("direction", "projection", "explained_variance_ratio"):
        np.testing.assert_allclose(here[name], stored[name], atol=1e-6)
    code, out, _ = run(monkeypatch, capsys, "plot", store, "sbo", "--output", tmp_path / "sbo.png")
    assert code == 0
    assert (tmp_path / "sbo.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sbo.csv").read_text().startswith("x1,x2,density")
    code, _, _ = run(monkeypatch, capsys, "plot", store, "sbo", "--output", tmp_path / "sbo.png")
    assert code == 0  # again
    (tmp_path / "tracks.csv").write_text("the only copy")
    for command in (("plot", store, "sbo"), ("cutoffs", store, *cutoff)):
        code, _, err = run(monkeypatch, capsys, *command, "-o", tmp_path / "tracks.png")
        assert code == 1
        assert "tracks.csv: exists, and no figure beside it" in err
    assert (tmp_path / "tracks.csv").read_text() == "the only copy"
    assert not (tmp_path / "tracks.png").exists()

    code, out, _ = run(monkeypatch, capsys, "info", store, "--json")
    assert code == 0
    assert json.loads(out)["descriptors"]["sbo"]["parameters"]["l_max"] == 6
    code, out, _ = run(monkeypatch, capsys, "info", store)
    assert code == 0
    assert "liquid.npz" in out
    assert "other code" not in out
    kept = gd.store.info(store)["descriptors"]["sbo"]["code"]
    gd.store.set_attributes(store / "descriptors/sbo", code="0" * 64)
    (told,) = [line for line in run(monkeypatch, capsys, "info", store)[1].splitlines() if "other code" in line]
    assert told.endswith("sbo (of B; made by other code: --overwrite computes it anew)")
    picture = ("-o", tmp_path / "sbo.png")
    of_particles = ("plot", store, "particles", "--color", "sbo_4", *picture)
    for command in (("reduce", store, "sbo", "--overwrite", *ARGS), ("plot", store, "sbo", *picture), of_particles):
        code, _, error = run(monkeypatch, capsys, *command)
        assert code == 0, error
        assert "descriptors/sbo: made by other code than this: glassdask describe with --overwrite" in error
    gd.store.set_attributes(store / "descriptors/sbo", code=kept)
    assert "other code" not in run(monkeypatch, capsys, "reduce", store, "sbo", "--overwrite", *ARGS)[2]
    assert run(monkeypatch, capsys, "verify", store)[0] == 0

    # repeated: nothing to do; with other parameters: refused unless overwritten
    assert run(monkeypatch, capsys, *describe)[0] == 0
    other = ("describe", store, "sbo:l_max=4", "--centers", "B", *cutoff, *ARGS)
    code, _, error = run(monkeypatch, capsys, *other)
    assert code == 1
    assert "overwrite" in error
    assert run(monkeypatch, capsys, *other, "--overwrite")[0] == 0

    # the damage is named, and the exit code tells
    chunk = next(
        path for path in sorted((store / "descriptors" / "bo").rglob("*")) if "/c/" in str(path) and path.is_file()
    )
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    code, out, _ = run(monkeypatch, capsys, "verify", store)
    assert code == 1
    assert "bo" in out


def test_cutoffs(monkeypatch, capsys, tmp_path, shipped):
    name, trajectory = shipped
    store = tmp_path / "s.zarr"
    gd.save_trajectory(trajectory, store)
    code, out, _ = run(
        monkeypatch, capsys, "cutoffs", store, "--cutoff", "A-B=1.3", "--output", tmp_path / "g.png", *ARGS
    )
    assert code == 0
    assert "given" in out
    expected = {"wahnstrom": ((1.404, 1.254)), "kob_andersen": ((1.425, 1.075))}[name]
    found = gd.first_minima(trajectory)
    assert found["A", "A"] == pytest.approx(expected[0], abs=0.03)
    assert found["B", "B"] == pytest.approx(expected[1], abs=0.03)
    assert (tmp_path / "g.csv").read_text().startswith("r,g_AA,g_AB,g_BB")


def test_parameters_from_a_file(monkeypatch, capsys, tmp_path, archive):
    store = tmp_path / "liquid.zarr"
    run(monkeypatch, capsys, "ingest", archive, "--store", store, *ARGS)
    file = tmp_path / "descriptors.toml"
    file.write_text(
        '[sharp]\ntype = "bo"\nl_max = 4\nneighbors = {type = "k_nearest", k = 12}\n\n[ld]\nneighbors = "sann"\n\n'
        '[sbo]\ncutoffs = {"1-1" = 1.4, "1-2" = 1.3, "2-2" = 1.2}\n'
    )
    assert run(monkeypatch, capsys, "describe", store, "--parameters", file, *ARGS)[0] == 0
    stored = gd.open_descriptors(store)
    assert set(stored.data_vars) == {"sharp", "sbo", "ld"}
    rule = "bo:name='again',l_max=4,neighbors={type='k_nearest',k=12}"
    code, _, error = run(monkeypatch, capsys, "describe", store, rule, "ld:name='angles',neighbors='sann'", *ARGS)
    assert code == 0, error
    stored = gd.open_descriptors(store)
    np.testing.assert_array_equal(stored["again"].values, stored["sharp"].values)
    np.testing.assert_array_equal(stored["angles"].values, stored["ld"].values)
    expected = gd.describe(gd.open_trajectory(store), [gd.BondOrder(l_max=4, neighbors=gd.KNearest(12))])["bo"]
    np.testing.assert_array_equal(stored["sharp"].values, expected.values.astype(np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[soap]\nr_cut = 1.6\nn_max = 6.5\nl_max = 8\nsigma = 0.2", r"soap.n_max: expected int, found 6\.5"),
        ("[ld]\nneighbors = {type = 'k_nearest', k = 0}", "ld.neighbors.k: expected a whole number of at least 1"),
        ("[ld]\nneighbors = 'nearest'", "ld.neighbors.type: expected one of .*, found 'nearest'"),
        ("[sharp]\nl_max = 3", "sharp: descriptor 'sharp' is not known: expected one of ace, ackland_jones"),
        ("[sharp]\ntype = 'bo'\nsize = 3", "sharp.size: unknown, expected some of .*l_max"),
        ("l_max = 3", "'l_max' stands outside of a table"),
        ("[sharp", "cannot be read as TOML"),
    ],
)
def test_errors_of_parameter_files_name_the_path(monkeypatch, capsys, tmp_path, archive, text, message):
    store = tmp_path / "liquid.zarr"
    gd.ingest(archive, store)
    file = tmp_path / "descriptors.toml"
    file.write_text(text)
    code, _, error = run(monkeypatch, capsys, "describe", store, "--parameters", file, *ARGS)
    assert code == 1
    assert "\n" not in error
    assert re.match(rf"glassdask: {file}: .*{message}", error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("describe", "STORE", "*", *ARGS), "descriptor '\\*' is not known"),
        (("describe", "STORE", "sbo:l_max", *ARGS), "write name:parameter=value"),
        (("describe", "STORE", "sbo:l_min=9, l_max=8, cutoffs=1.2", *ARGS), "l_min = 9"),
        (("describe", "STORE", "sbo", "--cutoff", "1-3=1.2", *ARGS), "the species of this store are 1, 2"),
        (("describe", "STORE", "bo:size=3", *ARGS), "bo.size: unknown, expected some of .*l_max"),
        (("describe", "STORE", "soap:r_cut=1.6,n_max=6.5,l_max=8,sigma=0.2", *ARGS), "soap.n_max: expected int, found"),
        (("describe", "STORE", "ld:neighbors={k=3}", *ARGS), "ld.neighbors.type: expected one of"),
        (("describe", "STORE", *ARGS), "no descriptors"),
        (("describe", "STORE", "bo:cutoffs=1.2", "--centers", "Z", *ARGS), "expected some of the species 1, 2"),
        (("describe", "STORE", "bo:cutoffs=360", *ARGS), "give the cutoff in the unit of the positions"),
        (("describe", "STORE", "bo", "--cutoff", "1-1", *ARGS), "expected a number for all pairs, or KEY=VALUE"),
        (("describe", "STORE", "bo", "--cutoff", "11=1", *ARGS), "expected two species such as 'A-B'"),
        (("reduce", "STORE", "soap", *ARGS), "no descriptor"),
        (("reduce", "STORE", "soap:r_cut=-1", *ARGS), "soap.r_cut"),
        (("reduce", "STORE", "sbo", "--centers", "B", *ARGS), "--centers and --cutoff are of what is computed"),
        (("plot", "STORE", "soap", "-o", "x.png"), "no 'soap' is stored: describe it first, glassdask describe"),
        (("plot", "STORE", "soup", "-o", "x.png"), "no reduction"),
        (("info", "nowhere.zarr"), "does not exist: check the path"),
        (("verify", "nowhere.zarr"), "nowhere.zarr"),
        (("ingest", "nowhere.npz", "-o", "x.zarr", *ARGS), "nowhere.npz"),
        (("sweep", "run", "nowhere.toml", *ARGS), r"cannot be read \(No such file or directory\): check the path"),
        (("cutoffs", "STORE", "--cluster", "nowhere.toml"), "expected local, threads, slurm, an address"),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, tmp_path, archive, arguments, message):
    store = tmp_path / "liquid.zarr"
    gd.ingest(archive, store)
    monkeypatch.chdir(tmp_path)
    code, _, error = run(monkeypatch, capsys, *(store if a == "STORE" else a for a in arguments))
    assert code == 1
    assert "\n" not in error
    assert error.startswith("glassdask: ")
    assert re.search(message, error)


HEAVY = ("numpy", "numba", "xarray", "dask", "zarr", "pandas", "scipy", "distributed")


@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["describe", "/nowhere.zarr", "sbo"]])
def test_what_needs_no_numbers_loads_nothing_that_computes(words):
    program = (
        "import sys; from glassdask import cli\n"
        f"sys.argv = ['glassdask', *{words}]\n"
        "try: cli.main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.startswith("[]"), done.stderr[-500:]


def test_help_and_version(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--version")
    assert (code, out.strip()) == (0, f"glassdask {gd.__version__}")
    commands = ["ingest", "info", "verify", "cutoffs", "describe", "reduce", "plot", "dynamics"]
    commands += ["sweep run", "sweep status", "sweep retry", "cluster check"]
    for command in commands:
        code, out, _ = run(monkeypatch, capsys, *command.split(), "--help")
        assert code == 0
        assert "Usage" in out


@pytest.mark.parametrize("name", sorted(registry.DESCRIPTORS))
def test_every_descriptor_has_its_name(name):
    cls = registry.descriptor_class(name)
    assert cls.name == name
    assert getattr(gd, cls.__name__) is cls


def test_results_can_be_had_as_json(monkeypatch, capsys, tmp_path, archive):
    """Of every command that prints numbers: what Python gives, and NaN is null."""
    store = tmp_path / "liquid.zarr"
    code, out, _ = run(monkeypatch, capsys, "ingest", archive, "-o", store, "--json", *ARGS)
    assert (code, json.loads(out)["n_new"]) == (0, 3)
    code, out, _ = run(monkeypatch, capsys, "cutoffs", store, "--cutoff", "1.3", "--cutoff", "1-1=1.2", "--json", *ARGS)
    assert (code, json.loads(out)) == (0, {"cutoffs": {"1-1": 1.2, "1-2": 1.3, "2-2": 1.3}, "shells": {}})
    assert run(monkeypatch, capsys, "describe", store, "bo:l_max=2", "--cutoff", "1.3", "-q", *ARGS)[0] == 0
    code, out, _ = run(monkeypatch, capsys, "reduce", store, "bo", "--json", "-q", *ARGS)
    ratios = gd.open_reduction(store, "bo")["explained_variance_ratio"].values
    assert (code, json.loads(out)["explained_variance_ratio"]) == (0, ratios.tolist())
    code, out, _ = run(monkeypatch, capsys, "verify", store, "--json", "-q")
    assert (code, json.loads(out)) == (0, {"store": str(store), "problems": []})
    next(file for file in (store / "position" / "c").rglob("*") if file.is_file()).unlink()
    code, out, _ = run(monkeypatch, capsys, "verify", store, "--json", "-q")
    assert code == 1
    assert "position" in json.loads(out)["problems"][0]


def test_one_cutoff_is_for_all_pairs(monkeypatch, capsys, tmp_path, archive):
    store = tmp_path / "liquid.zarr"
    assert run(monkeypatch, capsys, "ingest", archive, "-o", store, *ARGS)[0] == 0
    assert run(monkeypatch, capsys, "describe", store, "bo", "--cutoff", "1.4", *ARGS)[0] == 0
    expected = gd.describe(gd.open_trajectory(store), gd.BondOrder(cutoffs=1.4))["bo"]
    np.testing.assert_allclose(gd.open_descriptors(store)["bo"], expected, atol=1e-6)
    for arguments, message in (
        (("--cutoff", "1.4", "--cutoff", "1.3"), "--cutoff 1.4 --cutoff 1.3: give one number for all pairs"),
        (("--cutoff", "-1"), "--cutoff: expected a positive finite number, found -1"),
        (("--cutoff", "wide"), "--cutoff wide: expected a number for all pairs, or KEY=VALUE"),
    ):
        code, _, error = run(monkeypatch, capsys, "describe", store, "bo", *arguments, *ARGS)
        assert code == 1
        assert message in error


def test_names_that_are_nearly_right_are_told(monkeypatch, capsys, tmp_path, archive):
    store = tmp_path / "liquid.zarr"
    assert run(monkeypatch, capsys, "ingest", archive, "-o", store, *ARGS)[0] == 0
    assert run(monkeypatch, capsys, "describe", store, "bo", "--cutoff", "1.4", *ARGS)[0] == 0
    for arguments, meant in (
        (("describe", store, "sboo"), "sbo"), (("describe", store, "bo:lmax=4"), "l_max"),
        (("reduce", store, "boo"), "bo"), (("dynamics", store, "mds"), "msd"), (("dynamics", store, "fs:q=7"), None),
    ):  # fmt: skip
        code, _, error = run(monkeypatch, capsys, *arguments)
        assert code == 1
        assert error.endswith(f"did you mean {meant!r}?") if meant else "did you mean" not in error, error


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [("--version",), ("descriptors",), ("info", "nothing.zarr")])
def test_output_that_cannot_be_written(arguments, buffered):
    """One line, as of any full disk; but of what went wrong before."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "glassdask", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    what = (
        "nothing.zarr: does not exist" if "info" in arguments else "standard output: cannot be written (No space left"
    )
    assert done.stderr.startswith(f"glassdask: {what}")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 1


def test_a_log_that_cannot_be_written():
    command = [sys.executable, "-m", "glassdask", "descriptors", "--log", "/dev/full"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert (
        done.stderr
        == "glassdask: --log /dev/full: cannot be written (No space left on device): the work goes on without it\n"
    )


def test_nothing_from_elsewhere_controls_the_terminal(monkeypatch, capsys, tmp_path):
    """Names of folders in a store, and whatever an error tells of them."""
    made = gd.from_arrays(np.zeros((1, 1, 3)), species=["A"], box=[1.0] * 3)
    gd.save_trajectory(made, tmp_path / "run.zarr")
    (tmp_path / "run.zarr/descriptors/x\x1b]0;title\x07").mkdir(parents=True)
    places = [("verify", "run.zarr"), ("info", "run.zarr"), ("repair", "run.zarr"), ("info", "\x1b[2J.zarr")]
    for command, place in places:
        _, out, err = run(monkeypatch, capsys, command, tmp_path / place)
        assert "\x1b" not in out + err
        assert "\\x1b" in out + err or (place == "run.zarr" and command != "verify")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "latin-1:strict", "ascii:strict"])
def test_names_that_are_no_text(tmp_path, encoding):
    """Names of files are bytes, and terminals do not know every letter: all is told all the same."""
    sweep = save_sweep(tmp_path / os.fsdecode(b"latin\xe4 \xc3\xa4"), temperatures=(0.5,), seeds=1)
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for command in (["run", sweep, "--cluster", "threads", "-q"], ["status", sweep.with_suffix(".zarr"), "--json"]):
        words = [sys.executable, "-m", "glassdask", "sweep", *command]
        done = subprocess.run(words, capture_output=True, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)["states"]
    assert [state["correlate"] for state in found] == ["complete"]
    assert found[0]["density"] is None
    assert Path(found[0]["path"]).is_dir()
    store = found[0]["path"]
    done = subprocess.run([sys.executable, "-m", "glassdask", "verify", store], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def test_garbage_is_looked_for_after_the_start():
    """In a process of its own, which is left as it was."""
    done = subprocess.run(
        [
            sys.executable, "-c",
            "import gc, sys, threading\n"
            "from glassdask import __main__ as command, cli, starting\n"
            "starting.RESTING = 0.01\n"
            "cli.main = lambda: print(threading.active_count() > 1 or gc.isenabled())\n"
            "command.main()\n"
            "for thread in threading.enumerate():\n"
            "    if thread is not threading.current_thread(): thread.join()\n"
            "print(gc.isenabled())\n",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "True"]


def test_interrupted_before_a_command_begins(tmp_path):
    """Among the first imports, which take seconds on a busy machine."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "glassdask", "info", "x.zarr"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "glassdask: interrupted; the same command goes on from here\n")
