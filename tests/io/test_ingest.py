"""Files into a store: the same numbers whatever the files, the tasks and the interruptions."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassdask as gd
import glassdask.io as gio
from glassdask import errors
from glassdask.io import tasks
from glassdask.store import layout, verify
from tests.io.sample_files import CUBIC, FLAT, TILTED, Sample, dump, extxyz, sample, write
from tests.io.test_binary_formats import save, write_gsd

SHIPPED = sorted((Path(__file__).parents[2] / "pipelines" / "data").glob("*.npz"))
FULL = "id type x y z vx vy vz ix iy iz c_pe"
VARIABLES = ("image", "velocity", "energy", "step", "id")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of a few small frames, so that little data makes many blocks."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", 2 * 20 * 3 * 8)


def part(run: Sample, start: int, stop: int) -> Sample:
    per_frame = ("position", "image", "velocity", "energy", "box", "step", "time")
    values = {name: getattr(run, name)[start:stop] if name in per_frame else getattr(run, name) for name in vars(run)}
    return Sample(**values)


def joined(one: Sample, other: Sample) -> Sample:
    per_frame = ("position", "image", "velocity", "energy", "box", "step", "time")
    return Sample(
        **{
            name: np.concatenate([getattr(one, name), getattr(other, name)])
            if name in per_frame
            else getattr(one, name)
            for name in vars(one)
        }
    )


def dumps(folder: Path, run: Sample, edges: list[int], suffix: str = ".dump", names: str = FULL) -> list[Path]:
    """The frames of a run in several files that are cut at `edges`."""
    pairs = itertools.pairwise([0, *edges, len(run.position)])
    return [write(folder / f"run.{a}{suffix}", dump(part(run, a, b), names)) for a, b in pairs]


def same_values(store, expected) -> None:
    found = gd.open_trajectory(store)
    assert set(found.variables) == set(expected.variables)
    for name, variable in expected.variables.items():
        np.testing.assert_array_equal(found[name].values, variable.values, err_msg=str(name))
        assert found[name].dims == variable.dims
        assert found[name].dtype.kind == variable.dtype.kind
    assert found["position"].attrs["wrapped"] == expected["position"].attrs["wrapped"]
    assert verify(store) == []


@pytest.mark.parametrize("suffixes", [(".dump",), (".dump.gz",), (".dump", ".dump.gz"), (".dump.gz", ".dump")])
@pytest.mark.parametrize("edges", [[], [7], [1, 2, 3, 20], [33, 34, 39]])
def test_chunks_that_span_files(tmp_path, monkeypatch, suffixes, edges):
    monkeypatch.setattr(layout, "CHUNK_BYTES", 4 * 20 * 3 * 8)
    run = sample(n_frames=40)
    paths = []
    for k, (a, b) in enumerate(itertools.pairwise([0, *edges, 40])):
        paths.append(write(tmp_path / f"{k}{suffixes[k % len(suffixes)]}", dump(part(run, a, b), FULL)))
    report = gio.ingest(paths, tmp_path / "run.zarr")
    assert (report.n_frames, report.n_new, report.n_particles, report.wrapped) == (40, 40, 20, 0)
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    assert not (tmp_path / "run.zarr" / ".ingest").exists()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_plan_gives_each_block_one_task_and_each_frame_once(data):
    counts = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    access = data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    size, first = data.draw(st.integers(1, 15)), data.draw(st.integers(0, 9))
    indexes = [
        gio.SourceIndex("", "lammps", "", n, 1, 3, (), ("A",), np.zeros(1), None, random_access, np.arange(n) * 10)
        for n, random_access in zip(counts, access)
    ]
    blocks = layout.frame_blocks(first, first + sum(counts), size)
    pending = [block for block in blocks if data.draw(st.booleans())]
    source = [(file, k) for file, n in enumerate(counts) for k in range(n)]
    planned = tasks.plan(indexes, pending, first)
    assert [block for task in planned for block in task.blocks] == pending
    for task in planned:
        covered = [piece.number + k for piece in task.pieces for k in range(piece.stop - piece.start)]
        assert covered == list(range(task.blocks[0][0], task.blocks[-1][1]))
        for piece in task.pieces:
            file = source[piece.number - first][0]
            assert source[piece.number - first] == (file, piece.start)
            assert piece.stop <= counts[file]
            assert piece.index.offsets.tolist() == [10 * piece.start]
            assert piece.index.first == piece.start
    # a compressed file is entered by the task of its own blocks, and by the one whose last block it ends
    for file, random_access in enumerate(access):
        if not random_access:
            owned = [task for task in planned if source[task.blocks[0][0] - first][0] == file]
            assert len(owned) <= 1


@pytest.mark.parametrize("cell", [CUBIC, TILTED, FLAT], ids=["cubic", "tilted", "flat"])
def test_all_formats_give_the_same_store(tmp_path, cell):
    pytest.importorskip("gsd")
    run = sample(cell=cell)
    columns = FULL if len(cell) == 3 else "id type x y vx vy ix iy c_pe"
    for name, text in (("run.dump.gz", dump(run, columns)), ("run.xyz", extxyz(run, more=":id:I:1"))):
        if len(cell) == 2 and name == "run.xyz":
            continue  # a lattice has three vectors
        gio.ingest(write(tmp_path / name, text), tmp_path / f"{name}.zarr")
    gio.ingest(save(tmp_path / "run.npz", run, *VARIABLES), tmp_path / "run.npz.zarr")
    same_values(tmp_path / "run.npz.zarr", run.trajectory(*VARIABLES))
    for store in tmp_path.glob("*.zarr"):
        found = gd.open_trajectory(store)
        for name in ("position", "velocity", "energy", "image", "step", "id", "species"):
            np.testing.assert_array_equal(found[name].values, getattr(run, name))
    gio.ingest(write_gsd(tmp_path / "run.gsd", run, dimensions=len(cell)), tmp_path / "gsd.zarr")
    found = gd.open_trajectory(tmp_path / "gsd.zarr")
    np.testing.assert_allclose(found["position"].values, run.position, atol=2e-6)
    np.testing.assert_array_equal(found["image"].values, run.image)


@pytest.mark.parametrize("number", [128, 129, 1200])
def test_many_species(tmp_path, number):
    pytest.importorskip("gsd")
    run = sample(n_frames=2, n_particles=1200)
    run.species = (np.random.default_rng(0).permutation(1200) % number).astype(str)
    files = [
        write(tmp_path / "run.dump.gz", dump(run, FULL, shuffle=1)),
        write(tmp_path / "run.xyz", extxyz(run, more=":id:I:1")),
        save(tmp_path / "run.npz", run, *VARIABLES),
        write_gsd(tmp_path / "run.gsd", run, types=[str(k) for k in range(number)]),
    ]
    for path in files:
        gio.ingest(path, tmp_path / f"{path.name}.zarr")
        np.testing.assert_array_equal(gd.open_trajectory(tmp_path / f"{path.name}.zarr")["species"], run.species)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations(tmp_path, path):
    data = np.load(path)
    numbered = data["species"].dtype.kind in "iu"
    report = gio.ingest(path, tmp_path / "run.zarr", species_names={1: "A", 2: "B"} if numbered else None)
    assert report.n_frames == len(data["position"])
    names = np.where(data["species"] == 1, "A", "B") if numbered else data["species"]
    more = {name: data[name] for name in ("time", "velocity", "energy") if name in data}
    same_values(tmp_path / "run.zarr", gd.from_arrays(data["position"], species=names, box=data["box"], **more))


def test_wrapped_particles_are_counted(tmp_path):
    run = sample(n_frames=40)
    paths = dumps(tmp_path, run, [11], ".dump.gz", names="id type xu yu zu")
    outside = int((run.image != 0).any(axis=2).sum())
    assert gio.ingest(paths, tmp_path / "run.zarr").wrapped == outside
    assert gd.open_trajectory(tmp_path / "run.zarr")["position"].attrs["wrapped"] == outside
    more = write(tmp_path / "more.dump", dump(part(run, 0, 5), "id type xu yu zu"))
    added = int((run.image[:5] != 0).any(axis=2).sum())
    assert gio.ingest(more, tmp_path / "run.zarr", append=True).wrapped == added
    assert gd.open_trajectory(tmp_path / "run.zarr")["position"].attrs["wrapped"] == outside + added


def test_provenance(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    gio.ingest(path, tmp_path / "run.zarr", species_names={1: "A", 2: "B"}, dt=0.005)
    attrs = gd.open_trajectory(tmp_path / "run.zarr").attrs
    source = attrs["sources"][0]
    digest = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]
    assert (source["name"], source["sha256"], source["format"], source["n_frames"]) == (str(path), digest, "lammps", 5)
    assert attrs["parameters"] == {"species_names": {"1": "A", "2": "B"}, "dt": 0.005}
    assert {"glassdask_version", "versions", "created"} <= set(attrs)


def test_patterns_sort_numbers_by_value(tmp_path):
    run = sample(n_frames=12)
    for k in range(12):
        write(tmp_path / f"dump.{k}.lammpstrj", dump(part(run, k, k + 1), FULL))
    gio.ingest(str(tmp_path / "dump.*.lammpstrj"), tmp_path / "run.zarr")
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    with pytest.raises(errors.FormatError, match="no file matches"):
        gio.ingest(str(tmp_path / "no*.dump"), tmp_path / "other.zarr")
    with pytest.raises(errors.FormatError, match="no file to ingest"):
        gio.ingest([], tmp_path / "other.zarr")


def test_state_points_of_a_tree(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    gio.ingest(path, tmp_path / "sweep.zarr" / "KA" / "T=0.450")
    same_values(tmp_path / "sweep.zarr" / "KA" / "T=0.450", run.trajectory(*VARIABLES))
    with pytest.raises(errors.StoreError, match="holds other groups, no trajectory"):
        gio.ingest(path, tmp_path / "sweep.zarr" / "KA")


@pytest.mark.parametrize("suffix", [".dump", ".dump.gz"])
def test_append(tmp_path, suffix):
    run = sample(n_frames=23)
    paths = dumps(tmp_path, run, [10, 12], suffix)
    store = tmp_path / "run.zarr"
    assert gio.ingest(paths[0], store, append=True).n_new == 10  # there is nothing yet: as without append
    report = gio.ingest(paths, store, append=True)
    assert (report.n_new, report.n_frames, report.skipped) == (13, 23, (str(paths[0]),))
    assert "there already" in str(report)
    same_values(store, run.trajectory(*VARIABLES))
    sources = gd.open_trajectory(store).attrs["sources"]
    assert [source["name"] for source in sources] == [str(path) for path in paths]
    assert gio.ingest(paths[2:], store, append=True).n_new == 0
    # the store is now what one ingestion of all files would have made
    assert gio.ingest(paths, store).n_new == 0


def test_append_to_what_was_stored_from_memory(tmp_path):
    run = sample(n_frames=9)
    gd.save_trajectory(part(run, 0, 5).trajectory("velocity", "step"), tmp_path / "run.zarr")
    path = write(tmp_path / "run.dump", dump(part(run, 5, 9), FULL))
    gio.ingest(path, tmp_path / "run.zarr", append=True)
    same_values(tmp_path / "run.zarr", run.trajectory("velocity", "step"))


def test_append_of_what_does_not_fit_changes_nothing(tmp_path):
    run = sample(n_frames=9)
    first, second = dumps(tmp_path, run, [5])
    store = tmp_path / "run.zarr"
    gio.ingest(first, store)
    other = sample(n_frames=4)
    other.species = other.species[::-1]
    text = second.read_text()
    line = next(line for line in reversed(text.splitlines()) if line.startswith("9 1"))
    cases = {
        "count.dump": (dump(sample(4, 19), FULL), errors.FormatError, "19 particles in 3 dimensions, .* has 20 in 3"),
        "species.dump": (dump(other, FULL), errors.SpeciesError, r"frame 0, particle 0: species is 1, in .* it is 2"),
        "bare.dump": (dump(run, "id type x y z"), errors.FormatError, "no image, velocity, energy, which"),
        "noid.dump": (dump(run, FULL.replace("id ", "")), errors.FormatError, "the ids are not those of"),
        "nan.dump": (
            text.replace(line, line.replace(line.split()[2], "nan")),
            errors.PositionError,
            "frame 3, particle 2",
        ),
        "late.dump": (text.replace(line, line.replace("9 1", "9 2")), errors.SpeciesError, "frame 3, particle 2"),
    }
    for name, (content, kind, message) in cases.items():
        with pytest.raises(kind, match=message):
            gio.ingest(write(tmp_path / name, content), store, append=True)
        same_values(store, part(run, 0, 5).trajectory(*VARIABLES))
    gio.ingest(second, store, append=True)
    same_values(store, run.trajectory(*VARIABLES))


def test_files_must_be_alike(tmp_path):
    run = sample(n_frames=4)
    first = write(tmp_path / "a.dump", dump(run, FULL))
    bare = write(tmp_path / "b.dump", dump(run, "id type x y z"))
    with pytest.raises(errors.FormatError, match=r"b.dump: no image, velocity, energy, which .*a.dump has"):
        gio.ingest([first, bare], tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
    # the variables of the first file are kept
    gio.ingest([bare, first], tmp_path / "run.zarr")
    same_values(tmp_path / "run.zarr", joined(run, run).trajectory("step", "id"))


def test_same_content_twice_is_skipped(tmp_path):
    run = sample()
    path = dumps(tmp_path, run, [])[0]
    shutil.copy(path, tmp_path / "copy.dump")
    report = gio.ingest([path, tmp_path / "copy.dump"], tmp_path / "run.zarr")
    assert (report.n_frames, report.skipped) == (5, (str(tmp_path / "copy.dump"),))


def test_same_again_other_and_overwrite(tmp_path):
    one, other = sample(seed=1), sample(seed=2)
    path = write(tmp_path / "one.dump", dump(one, FULL))
    second = write(tmp_path / "other.dump", dump(other, FULL))
    store = tmp_path / "run.zarr"
    gio.ingest(path, store)
    before = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    assert gio.ingest(path, store).n_new == 0
    assert before == {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    for sources, options in ((second, {}), (path, {"species_names": {1: "A", 2: "B"}})):
        with pytest.raises(errors.StoreError, match=r"run.zarr: holds frames of other files or options: append, over"):
            gio.ingest(sources, store, **options)
    same_values(store, one.trajectory(*VARIABLES))
    gio.ingest(second, store, overwrite=True)
    same_values(store, other.trajectory(*VARIABLES))


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_bad_frames_leave_no_store(tmp_path, scheduler):
    run = sample(n_frames=40)
    run.position[37, 3, 1] = np.nan
    paths = dumps(tmp_path, run, [20, 30])
    with (
        dask.config.set(scheduler=scheduler),
        pytest.raises(errors.PositionError, match=r"run.30.dump, frame 7, particle 3: .*not finite"),
    ):
        gio.ingest(paths, tmp_path / "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
    gio.ingest(paths[:2], tmp_path / "run.zarr")
    assert verify(tmp_path / "run.zarr") == []


def test_unwritable_store(tmp_path):
    path = dumps(tmp_path, sample(), [])[0]
    with pytest.raises(errors.StoreError, match="cannot be written"):
        gio.ingest(path, path / "run.zarr")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(errors.StoreError, match="choose another path"):
        gio.ingest(path, tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_disk_full_keeps_what_is_stored(tmp_path, monkeypatch):
    run = sample(n_frames=40)
    path = dumps(tmp_path, run, [])[0]
    store = tmp_path / "run.zarr"
    real, calls = tasks.write_region, []

    def full(group, name, region, data, **options):
        calls.append((name, region))
        if len(calls) == 40:
            raise errors.StoreError(f"{group}: no space left")
        return real(group, name, region, data, **options)

    monkeypatch.setattr(tasks, "write_region", full)
    with dask.config.set(scheduler="synchronous"), pytest.raises(errors.StoreError, match="no space left"):
        gio.ingest(path, store)
    with pytest.raises(errors.IncompleteStoreError, match="not written completely"):
        gd.open_trajectory(store)
    first, calls[:] = calls[:39], ["counted"] * 40
    gio.ingest(path, store)
    again = [call for call in calls[40:] if call in first]
    assert len(again) < 7  # no more than the block in which it stopped
    same_values(store, run.trajectory(*VARIABLES))


KILLED = """
    import os, signal, sys, time
    import dask
    from glassdask.io import ingest, tasks
    from glassdask.store import layout, progress as watching
    layout.CHUNK_BYTES = 2 * 20 * 3 * 8
    watching.POLL_SECONDS = 0.001
    real = tasks.write_region
    def slow(*args, **options):
        time.sleep(0.02)
        return real(*args, **options)
    tasks.write_region = slow
    def progress(done, total):
        if done >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    append = sys.argv[3] == "append"
    ingest(sys.argv[4:], sys.argv[1], append=append, progress=progress)
"""


def test_killed_ingestion_goes_on(tmp_path):
    run = sample(n_frames=60)
    paths = dumps(tmp_path, run, [33, 40], ".dump.gz")
    paths[0] = write(tmp_path / "run.0.dump", dump(part(run, 0, 33), FULL))
    store = tmp_path / "run.zarr"

    def killed(blocks: int, mode: str, files: list[Path]) -> None:
        script = textwrap.dedent(KILLED)
        ended = subprocess.run([sys.executable, "-c", script, store, str(blocks), mode, *files], check=False)
        assert ended.returncode == -signal.SIGKILL
        with pytest.raises(errors.IncompleteStoreError):
            gd.open_trajectory(store)
        assert verify(store)

    killed(4, "create", paths[:2])
    with pytest.raises(errors.StoreError, match="an interrupted ingestion of other files or options"):
        gio.ingest(paths, store)
    written = len(list((store / "position" / "c").glob("*/0/0")))
    assert 4 <= written < 20
    seen = []
    gio.ingest(paths[:2], store, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] >= 4
    assert seen[-1] == (20, 20)
    same_values(store, part(run, 0, 40).trajectory(*VARIABLES))
    killed(1, "append", paths[2:])
    with pytest.raises(errors.StoreError, match="was interrupted: run it again"):
        gio.ingest(write(tmp_path / "x.dump", dump(sample(seed=9), FULL)), store, append=True)
    gio.ingest(paths, store, append=True)
    same_values(store, run.trajectory(*VARIABLES))


@pytest.mark.cluster
def test_two_processes_write_the_same_store(tmp_path, two_workers):
    run = sample(n_frames=60)
    paths = dumps(tmp_path, run, [33, 40], ".dump.gz")
    paths[1] = write(tmp_path / "run.33.dump", dump(part(run, 33, 40), FULL))
    gio.ingest(paths, tmp_path / "run.zarr")
    same_values(tmp_path / "run.zarr", run.trajectory(*VARIABLES))
    path = write(tmp_path / "bad.dump", dump(run, FULL).replace("id type", "id mol"))
    with pytest.raises(errors.FormatError, match=r"bad.dump, frame 0: found columns id mol"):
        gio.ingest(path, tmp_path / "bad.zarr")
    run.position[50, 2] = np.inf
    with pytest.raises(errors.PositionError, match=r"inf.dump.gz, frame 50, particle 2"):
        gio.ingest(write(tmp_path / "inf.dump.gz", dump(run, FULL)), tmp_path / "bad.zarr")
    assert not (tmp_path / "bad.zarr").exists()


def test_lost_chunks_are_written_again(tmp_path):
    run = sample(n_frames=40)
    paths = dumps(tmp_path, run, [11], ".dump.gz")
    store = tmp_path / "run.zarr"
    gio.ingest(paths, store)
    lost = sorted((store / "position" / "c").glob("*/0/0"))[4]
    lost.unlink()
    assert verify(store)
    gio.ingest(paths, store)
    same_values(store, run.trajectory(*VARIABLES))
