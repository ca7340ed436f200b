"""An interrupted writer never leaves what reads as complete, and the same call goes on where it stopped."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import errors, store
from glassdask.errors import BusyStoreError
from glassdask.store import write_datasets
from glassdask.store.locks import locked
from tests.store.store_cases import chunk_files, make_trajectory
from tests.store.store_kill import run_killed_at

# python 3.12 warns of every fork of a process with threads; the children here only write files and die
forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def derived(trajectory, log=None):
    """Two variables that are cut from the same blocks; `log` gets a line for every block that is computed."""

    def block(position):
        if log is not None and position.size:
            with open(log, "a") as file:
                file.write("block\n")
        return np.concatenate([position, position**2], axis=-1)

    packed = da.map_blocks(
        block,
        trajectory["position"].data,
        chunks=(*trajectory["position"].data.chunks[:2], (6,)),
        dtype=float,
        meta=np.empty((0, 0, 0)),
    )
    dims = ("frame", "particle")
    return xr.Dataset(
        {"one": ((*dims, "l"), packed[..., :3]), "two": ((*dims, "m"), packed[..., 3:])},
        coords={"l": [1, 2, 3], "m": ["x", "y", "z"], "species": trajectory["species"].variable},
    )


@pytest.fixture
def run(tmp_path, small_chunks):
    """A stored trajectory of seven frames in four chunks."""
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(), path)
    return path


def describe(path, log=None, **options):
    dataset = derived(store.open_trajectory(path), log)
    with dask.config.set(scheduler="synchronous"):
        store.write_dataset(dataset, path, "descriptors/both", **{"parameters": {"power": 2}, **options})


def lines(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def assert_described(path):
    trajectory = store.open_trajectory(path)
    found = store.open_descriptors(path)
    np.testing.assert_array_equal(found["one"], trajectory["position"])
    np.testing.assert_array_equal(found["two"], trajectory["position"] ** 2)
    assert found["m"].values.tolist() == ["x", "y", "z"]
    assert store.verify(path) == []
    assert not list(path.rglob("*.partial"))


def test_each_block_is_computed_once_for_all_its_variables(run, tmp_path):
    describe(run, tmp_path / "log")
    assert lines(tmp_path / "log") == 4
    assert_described(run)
    describe(run, tmp_path / "log")  # the same again: nothing is done
    assert lines(tmp_path / "log") == 4


def test_several_datasets_in_one_pass(run, tmp_path):
    both = derived(store.open_trajectory(run), tmp_path / "log")
    datasets = {"descriptors/one": both[["one", "species"]], "descriptors/two": both[["two", "species"]]}
    parameters = {"descriptors/one": {"power": 1}, "descriptors/two": {"power": 2}}
    store.write_datasets(datasets, run, parameters=parameters)
    assert lines(tmp_path / "log") == 4
    assert_described(run)
    assert {name: entry["parameters"] for name, entry in store.info(run)["descriptors"].items()} == {
        "one": {"power": 1},
        "two": {"power": 2},
    }
    (run / "descriptors/two/two/c/1/0/0").unlink()
    store.write_datasets(datasets, run, parameters=parameters)
    assert lines(tmp_path / "log") == 5
    assert_described(run)


@pytest.mark.parametrize("lost", ["one/c/2/0/0", "two/c/3/0/0"])
def test_only_missing_blocks_are_computed(run, tmp_path, lost):
    describe(run, tmp_path / "log")
    before = chunk_files(run)
    (run / "descriptors/both" / lost).unlink()
    describe(run, tmp_path / "log")
    assert lines(tmp_path / "log") == 4 + 1
    assert chunk_files(run) == before


def test_other_parameters_or_input_are_refused(run, tmp_path):
    describe(run)
    with pytest.raises(errors.StoreError, match=r"descriptors/both: holds data of other .*: replace it with"):
        describe(run, parameters={"power": 3})
    assert_described(run)
    describe(run, tmp_path / "log", parameters={"power": 3}, overwrite=True)
    assert lines(tmp_path / "log") == 4
    assert store.info(run)["descriptors"]["both"]["parameters"] == {"power": 3}

    store.save_trajectory(make_trajectory(seed=1), tmp_path / "other.zarr")
    shutil.copytree(run / "descriptors", tmp_path / "other.zarr/descriptors")
    with pytest.raises(errors.StoreError, match="was computed before the trajectory was changed"):
        store.open_descriptors(tmp_path / "other.zarr")
    with pytest.raises(errors.StoreError, match="other input"):
        describe(tmp_path / "other.zarr", parameters={"power": 3})


def test_other_frames_with_the_same_parameters_are_refused(tmp_path, small_chunks):
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(time=np.arange(7.0)), path)
    double = store.open_trajectory(path)[["position"]].rename(position="double") * 2
    save = partial(store.write_dataset, path=path, group="reductions/double", parameters={"by": 2})
    save(double.isel(frame=slice(2, 4)))
    for frames in (slice(4, 6), slice(2, 5), slice(None)):
        with pytest.raises(errors.StoreError, match="replace it with `overwrite=True`"):
            save(double.isel(frame=frames))
    save(double.isel(frame=slice(2, 4)))
    assert store.open_reduction(path, "double").sizes["frame"] == 2


def test_another_trajectory_is_refused_and_overwrites_on_demand(run):
    describe(run)
    with pytest.raises(errors.StoreError, match="replace it with `overwrite=True`"):
        store.save_trajectory(make_trajectory(seed=1), run)
    with pytest.raises(errors.StoreError, match="cannot be overwritten with what is read from it"):
        store.save_trajectory(store.open_trajectory(run).isel(frame=slice(3)), run, overwrite=True)
    assert_described(run)
    store.save_trajectory(make_trajectory(seed=1), run, overwrite=True)
    np.testing.assert_array_equal(store.open_trajectory(run)["position"], make_trajectory(seed=1)["position"])
    with pytest.raises(errors.StoreError, match="no descriptor"):
        store.open_descriptors(run)
    assert not list(run.parent.glob(".glassdask-removed*"))


def test_overwriting_spares_other_state_points(tmp_path):
    store.save_trajectory(make_trajectory(), tmp_path / "sweep.zarr")
    store.save_trajectory(make_trajectory(seed=1), tmp_path / "sweep.zarr/KA")
    with pytest.raises(errors.StoreError, match=r"has other groups in it \(\['KA'\]\)"):
        store.save_trajectory(make_trajectory(seed=2), tmp_path / "sweep.zarr", overwrite=True)
    assert store.verify(tmp_path / "sweep.zarr") == []


@pytest.mark.slow
@forks
@pytest.mark.parametrize("task, step", [("save", 4), ("describe", 7), ("describe again", 9), ("overwrite", 9)])
def test_killed_anywhere_it_goes_on(tmp_path, small_chunks, task, step):
    """Killed before its n-th change of the file system for many n; the same call then ends as if undisturbed."""
    trajectory = make_trajectory(n_frames=3)
    other = make_trajectory(n_frames=3, seed=1)
    path = tmp_path / "run.zarr"

    def begin():
        shutil.rmtree(path, ignore_errors=True)
        if task != "save":
            store.save_trajectory(other if task == "overwrite" else trajectory, path)
        if task == "describe again":
            describe(path, parameters={"power": 1})

    def action():
        if task in ("save", "overwrite"):
            store.save_trajectory(trajectory, path, overwrite=task == "overwrite")
        else:
            describe(path, overwrite=task == "describe again")

    begin()
    action()
    undisturbed = chunk_files(path)
    for n in itertools.count(1, step):
        begin()
        if run_killed_at(n, action):
            break
        try:
            opened = store.open_trajectory(path)
            found = store.open_descriptors(path) if "describe" in task else opened
        except errors.StoreError:
            pass
        else:  # it reads as complete, so it is complete
            values = opened["position"].values
            assert any(np.array_equal(values, case["position"]) for case in (trajectory, other))
            found.load()
            assert not [problem for problem in store.verify(path) if "status" in problem or "missing" in problem]
        action()
        assert chunk_files(path) == undisturbed, f"killed at change {n}"
        assert store.verify(path) == []
        assert not list(tmp_path.rglob("*.partial"))
        assert not list(tmp_path.rglob(".glassdask-removed*"))
    assert n > 10


WRITER = """
import sys, time, dask
import numpy as np
sys.path[:0] = sys.argv[4:]
from glassdask import store
import test_store_resume as case
store.layout.CHUNK_BYTES = 2 * 30 * 3 * 8
dask.config.set({"glassdask.task.bytes": 2 * 30 * 3 * 8})
path, log, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
trajectory = store.open_trajectory(path)
dataset = case.derived(trajectory, log)
slow = lambda block: (time.sleep(pause), block)[1]
for name in ("one", "two"):
    dataset[name].data = dataset[name].data.map_blocks(slow, meta=np.empty((0, 0, 0)))
with dask.config.set(scheduler="threads", num_workers=2):
    store.write_dataset(dataset, path, "descriptors/both", parameters={"power": 2})
"""


def start_writer(path, log, pause):
    command = [sys.executable, "-c", WRITER, str(path), str(log), str(pause), os.path.dirname(__file__)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_kill_9_in_the_middle(tmp_path, small_chunks):
    """A process that computes in threads is killed by the system; the same command computes only what is missing."""
    store.save_trajectory(make_trajectory(n_frames=24), tmp_path / "run.zarr")
    shutil.copytree(tmp_path / "run.zarr", tmp_path / "undisturbed.zarr")
    describe(tmp_path / "undisturbed.zarr")

    path, log, log_again = tmp_path / "run.zarr", tmp_path / "log", tmp_path / "log again"
    writer = start_writer(path, log, 0.1)
    group, end = path / "descriptors/both", time.monotonic() + 60
    while len(chunk_files(group)) < 8 and writer.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    with pytest.raises(errors.IncompleteStoreError, match="run the same command again to continue"):
        store.open_descriptors(path, ["both"])
    assert any("status is 'writing'" in problem for problem in store.verify(path))
    done = {key.split("/")[2] for key in chunk_files(group) if key.startswith("one")}
    done &= {key.split("/")[2] for key in chunk_files(group) if key.startswith("two")}
    assert 0 < len(done) < 12

    again = start_writer(path, log_again, 0)
    _, message = again.communicate(timeout=120)
    assert again.returncode == 0, message.decode()
    assert lines(log_again) == 12 - len(done)
    assert chunk_files(path) == chunk_files(tmp_path / "undisturbed.zarr")
    assert_described(path)


@pytest.mark.slow
def test_two_processes_write_the_same_at_once(tmp_path, small_chunks):
    """The later one waits a little and finds all done, or is told who is at it; nothing is computed twice."""
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(n_frames=24), path)
    shutil.copytree(path, tmp_path / "undisturbed.zarr")
    describe(tmp_path / "undisturbed.zarr")
    writers = [start_writer(path, tmp_path / "log", 0.01) for _ in range(2)]
    ends = [(writer.communicate(timeout=120)[1].decode(), writer.returncode) for writer in writers]
    assert any(code == 0 for _, code in ends), ends
    assert all(code == 0 or "is being written by process" in message for message, code in ends), ends
    assert lines(tmp_path / "log") == 12
    assert chunk_files(path) == chunk_files(tmp_path / "undisturbed.zarr")
    assert_described(path)


@forks
def test_what_the_file_system_refuses_is_one_line_and_what_was_stored_stays(run):
    """Files are limited to a size that lets small ones pass, as a full disk would."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        wide = derived(store.open_trajectory(run))
        wide["wide"] = (("frame", "particle", "many"), da.random.random((7, 30, 100), chunks=(2, 30, 100)))
        dask.config.set(scheduler="synchronous")  # threads do not survive the fork
        with pytest.raises(errors.StoreError, match=r"written \(File too large\).*run the same command again"):
            store.write_dataset(wide, run, "descriptors/both", parameters={"power": 2})

    assert run_killed_at(10**9, limited)
    stored = [key for key in chunk_files(run / "descriptors/both") if not key.startswith("wide")]
    assert any(key.startswith("l/") for key in stored)
    assert not [key for key in chunk_files(run / "descriptors/both") if key.startswith("wide")]
    assert not list(run.rglob("*.partial"))
    with pytest.raises(errors.IncompleteStoreError):
        store.open_descriptors(run, ["both"])


def test_a_full_disk(tmp_path, small_chunks):
    """A file system of one megabyte, where it can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount a small file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        trajectory = make_trajectory(n_frames=60, n_particles=1200)
        with pytest.raises(errors.StoreError, match=r"No space left on device.*what is stored stays"):
            store.save_trajectory(trajectory, disk / "run.zarr")
        stored = chunk_files(disk / "run.zarr")
        assert len(stored) > 10
        subprocess.run([mount, "-o", "remount,size=64m", disk], check=True)
        store.save_trajectory(trajectory, disk / "run.zarr")
        assert stored.items() <= chunk_files(disk / "run.zarr").items()
        assert store.verify(disk / "run.zarr") == []
    finally:
        subprocess.run([shutil.which("umount"), disk], check=True)


def test_progress_counts_blocks_and_starts_where_it_stopped(run):
    dataset = derived(store.open_trajectory(run))
    seen = []
    options = {"parameters": {"power": 2}, "on_block": lambda done, total: seen.append((done, total))}
    store.write_dataset(dataset, run, "descriptors/both", **options)
    assert seen[0][0] < 4
    assert seen[-1] == (4, 4)
    assert seen == sorted(seen)
    (run / "descriptors/both/one/c/1/0/0").unlink()
    seen.clear()
    store.write_dataset(dataset, run, "descriptors/both", **options)
    assert seen[0][0] >= 3
    assert seen[-1] == (4, 4)


def test_interrupted_and_begun_anew_in_other_blocks(run):
    """A group that was interrupted is continued in its own blocks only, or overwritten in others."""
    describe(run)
    values = store.open_descriptors(run)["one"].values
    group = run / "descriptors/both"
    (group / "one/c/1/0/0").unlink()
    store.set_attributes(group, status="writing")
    other = derived(store.open_trajectory(run))
    for name in ("one", "two"):
        other[name].data = other[name].data.rechunk({1: 10})
    with pytest.raises(errors.StoreError, match=r"chunks \(2, 30, 3\).*expected .*\(2, 10, 3\).*: replace it"):
        store.write_dataset(other, run, "descriptors/both", parameters={"power": 2})
    store.write_dataset(other, run, "descriptors/both", parameters={"power": 2}, overwrite=True)
    np.testing.assert_array_equal(store.open_descriptors(run)["one"], values)
    assert store.info(run)["descriptors"]["both"]["status"] == "complete"


def test_one_writer_also_where_nothing_can_be_made_beside_the_store(tmp_path, monkeypatch):
    """A folder that may not be written with a store in it that may: the lock lies in the store then."""
    store = tmp_path / "run.zarr"
    store.mkdir()
    monkeypatch.setattr("glassdask.store.locks.PATIENCE", 0.0)
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with locked(store):
        assert [file.parent for file in tmp_path.rglob(".glassdask-lock-*")] == [store]
        with pytest.raises(BusyStoreError, match=rf"is being written by process {os.getpid()}"), locked(store):
            pass


def test_two_commands_with_groups_in_common_do_not_wait_for_each_other(tmp_path, monkeypatch):
    """All locks are taken in one order before anything is begun: who comes second leaves nothing half begun."""
    gd.save_trajectory(gd.from_arrays(np.zeros((1, 1, 2)), species=["A"], box=[2.0, 2.0]), tmp_path / "run.zarr")
    half = (gd.open_trajectory(tmp_path / "run.zarr")[["position"]] / 2).rename(position="half")
    names = {f"descriptors/{name}": half.rename(half=name) for name in ("b", "a")}
    monkeypatch.setattr("glassdask.store.locks.PATIENCE", 0.0)
    parameters = {name: {} for name in names}
    with locked(tmp_path / "run.zarr/descriptors/a"), pytest.raises(BusyStoreError, match="descriptors/a: is being"):
        write_datasets(names, tmp_path / "run.zarr", parameters=parameters)
    assert not (tmp_path / "run.zarr/descriptors/b").exists()
    write_datasets(names, tmp_path / "run.zarr", parameters=parameters)
    assert sorted(gd.open_descriptors(tmp_path / "run.zarr").data_vars) == ["a", "b"]
