"""Writing whole chunks, finishing, appending frames."""

import errno
import itertools
import os
import shutil

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import glassdask as gd
from glassdask import errors, files, store
from glassdask.store import appending, arrays, layout, ledger
from tests.store.store_cases import chunk_files, make_trajectory
from tests.store.store_kill import run_killed_at


@pytest.fixture
def group(tmp_path):
    path = tmp_path / "a.zarr"
    store.create_group(path)
    store.create_array(path, "x", (7, 5, 3), (2, 3, 3), float, ("frame", "particle", "space"))
    return path


@pytest.mark.parametrize(
    "region",
    [
        (slice(1, 3),),
        (slice(0, 3),),
        (slice(0, 2), slice(0, 2)),
        (slice(0, 2), slice(3, 4)),
        (slice(0, 8),),
        (slice(2, 2),),
        (slice(0, 4, 2),),
        (slice(0, 2), slice(None), slice(1, 3)),
        (slice(-1, None),),
        (slice(None),) * 4,
    ],
)
def test_regions_that_are_not_whole_chunks_are_refused(group, region):
    with pytest.raises(errors.StoreError, match=r"a\.zarr/x: region"):
        store.write_region(group, "x", region, np.zeros((2, 5, 3)))
    with pytest.raises(errors.StoreError):
        store.chunk_exists(group, "x", region)
    assert chunk_files(group) == {}


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3), st.data())
def test_regions_of_whole_chunks_are_exactly_their_files(sizes, data):
    shape, unit = zip(*sizes)
    borders = [sorted({*range(0, size, step), size}) for size, step in sizes]
    picks = [data.draw(st.lists(st.sampled_from(edge), min_size=2, max_size=2, unique=True)) for edge in borders]
    region = tuple(slice(min(pick), max(pick)) for pick in picks)
    assert layout.checked_region(region, shape, unit, "x") == region
    covered = np.zeros(shape, int)
    for key in layout.chunk_keys(region, unit):
        covered[layout.key_region(key, shape, unit)] += 1
    expected = np.zeros(shape, int)
    expected[region] = 1
    np.testing.assert_array_equal(covered, expected)
    assert sum(np.ones(shape)[part].size for part in layout.all_regions(shape, unit)) == covered.size


def test_regions_in_any_order_twice_over(group):
    values = np.random.default_rng(0).random((7, 5, 3))
    regions = [(slice(6, 7), slice(3, 5)), (slice(0, 4),), (slice(4, 7), slice(0, 3)), (slice(4, 6), slice(3, None))]
    for region in regions:
        assert not store.chunk_exists(group, "x", region)
        assert store.write_region(group, "x", region, values[region]) == ("x", values[region].nbytes)
        assert store.chunk_exists(group, "x", region)
    before = chunk_files(group)
    for region in regions:
        store.write_region(group, "x", region, values[region])
    assert chunk_files(group) == before
    store.finish(group)
    info = arrays.array_info(group, "x")
    np.testing.assert_array_equal(arrays.read_region(info, (slice(0, 7), slice(0, 5), slice(0, 3))), values)


@pytest.mark.parametrize("data", [np.zeros((2, 5)), np.zeros((1, 5, 3)), np.zeros((2, 5, 3), complex), np.array("a")])
def test_data_that_do_not_fit_are_refused(group, data):
    with pytest.raises(errors.StoreError, match="do not fit region"):
        store.write_region(group, "x", (slice(0, 2),), data)


def test_finish_lists_what_is_missing(group):
    store.write_region(group, "x", (slice(0, 6),), np.zeros((6, 5, 3)))
    with pytest.raises(errors.IncompleteStoreError, match=r"2 chunks are not written yet \(x/c/3/0/0, x/c/3/1/0\)"):
        store.finish(group)
    assert store.info(group)["status"] == "writing"
    with pytest.raises(errors.IncompleteStoreError):
        store.content_hash(group)
    store.write_region(group, "x", (slice(6, 7),), np.zeros((1, 5, 3)))
    store.finish(group)
    assert store.info(group)["status"] == "complete"


def test_arrays_of_another_layout_are_not_replaced(group):
    same = store.create_array(group, "x", (7, 5, 3), (2, 3, 3), ">f8", ("frame", "particle", "space"))
    assert same.dtype == np.float64
    for shape, chunks, dtype in [
        ((8, 5, 3), (2, 3, 3), float),
        ((7, 5, 3), (1, 3, 3), float),
        ((7, 5, 3), (2, 3, 3), "f4"),
    ]:
        with pytest.raises(
            errors.StoreError, match=r"x: exists with shape \(7, 5, 3\).*replace it with `overwrite=True`, or choose"
        ):
            store.create_array(group, "x", shape, chunks, dtype, ("frame", "particle", "space"))
    with pytest.raises(errors.StoreError, match="dtype complex128 cannot be stored"):
        store.create_array(group, "z", (7,), (2,), complex, ("frame",))
    with pytest.raises(errors.StoreError, match="exceeds 2 GiB: use smaller blocks"):
        store.create_array(group, "z", (2**29,), (2**29,), float, ("particle",))


def test_chunks_that_lost_their_metadata_are_not_taken_for_written(group):
    store.write_region(group, "x", (slice(0, 2),), np.zeros((2, 5, 3)))
    (group / "x/zarr.json").unlink()
    with pytest.raises(errors.CorruptStoreError, match=r"x: chunks without zarr.json: overwrite the group"):
        store.create_array(group, "x", (7, 5, 3), (2, 3, 3), float, ("frame", "particle", "space"))


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../b", "", "a//b", "c", "zarr.json", ".hidden", "a b", "__x", "a\\b", "a/"]
)
def test_names_cannot_leave_the_store(group, name):
    with pytest.raises(errors.StoreError, match="cannot name"):
        store.create_array(group, name, (1,), (1,), float, ("frame",))
    with pytest.raises(errors.StoreError, match="cannot name"):
        store.write_region(group, name, (slice(0, 1),), np.zeros(1))
    with pytest.raises(errors.StoreError, match="cannot name"):
        store.write_dataset(xr.Dataset(), group, name, parameters={})
    with pytest.raises(errors.StoreError, match="is not the path of a store"):
        store.create_group(f"{group}/../elsewhere")


def test_places_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    for place in ("file", "file/run.zarr", "full"):
        with pytest.raises(errors.StoreError, match="choose another path") as caught:
            store.save_trajectory(make_trajectory(), tmp_path / place, overwrite=True)
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "notes.txt"]


@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.EACCES, "where you may write"),
        (errno.EROFS, "where you may write"),
        (errno.ENOSPC, "free space"),
        (errno.EIO, "run the same command again"),
    ],
)
def test_refusals_of_the_file_system_name_path_and_remedy(group, monkeypatch, number, remedy):
    def refuse(*args):
        raise OSError(number, "refused")

    monkeypatch.setattr(arrays, "_put", refuse)
    with pytest.raises(errors.StoreError, match=rf"a\.zarr/x: cannot be written \({os.strerror(number)}\): .*{remedy}"):
        store.write_region(group, "x", (slice(0, 2),), np.zeros((2, 5, 3)))


def test_another_finishing_process_may_take_a_temporary_file_for_a_left_over(group, monkeypatch):
    put, calls = arrays._put, []

    def lose(*args):
        calls.append(args)
        if len(calls) < files.ATTEMPTS:
            raise FileNotFoundError(errno.ENOENT, "gone")
        put(*args)

    monkeypatch.setattr(arrays, "_put", lose)
    store.write_region(group, "x", (slice(0, 2),), np.ones((2, 5, 3)))
    assert store.chunk_exists(group, "x", (slice(0, 2),))


# appending frames


def append(path, trajectory, start, names=("position", "box", "time")):
    """What an ingestion does: begin, write what is missing, commit."""
    n_frames = trajectory.sizes["frame"]
    appending.settle(path)
    if arrays.array_info(path, "position").shape[0] == n_frames:
        return
    stage = appending.begin(path, n_frames)
    step = arrays.array_info(path, "position").unit[0]
    for first, last in store.frame_blocks(start, n_frames, step):
        for name in names:
            if not store.chunk_exists(stage, name, (slice(first, last),)):
                store.write_region(stage, name, (slice(first, last),), trajectory[name].values[first:last])
    appending.commit(path)


@pytest.mark.parametrize("layout_name", ["small_chunks", "split_frames", "shards"])
@pytest.mark.parametrize("start, n_frames", [(3, 8), (4, 9), (3, 4), (1, 2), (2, 3)])
def test_appended_frames_follow_the_old_ones(tmp_path, request, layout_name, start, n_frames):
    request.getfixturevalue(layout_name)
    trajectory = make_trajectory(n_frames=n_frames, time=np.arange(float(n_frames)))
    path = tmp_path / "run.zarr"
    store.save_trajectory(trajectory.isel(frame=slice(start)), path)
    before = store.content_hash(path)
    append(path, trajectory, start)
    np.testing.assert_array_equal(store.open_trajectory(path)["position"], trajectory["position"])
    xr.testing.assert_equal(store.open_trajectory(path).load(), trajectory)
    assert store.content_hash(path) != before
    assert store.verify(path) == []
    assert not list(path.glob(".append*"))
    with pytest.raises(errors.StoreError, match="replace it with `overwrite=True`, or choose"):
        store.save_trajectory(trajectory.isel(frame=slice(start)), path)


def test_an_append_that_was_interrupted_after_its_last_frame_leaves_nothing(tmp_path, small_chunks, monkeypatch):
    trajectory = make_trajectory(n_frames=9, time=np.arange(9.0))
    path, twin = tmp_path / "run.zarr", tmp_path / "twin.zarr"
    for place in (path, twin):
        store.save_trajectory(trajectory.isel(frame=slice(3)), place)
    append(twin, trajectory, 3)
    monkeypatch.setattr(appending, "write_entry", stopped_at(2, ledger.write_entry))
    with pytest.raises(KeyboardInterrupt):
        append(path, trajectory, 3)
    monkeypatch.undo()
    assert len(ledger.read_entry(ledger.entry_file(path))) == 2
    again = shutil.copytree(path, tmp_path / "again" / "run.zarr")
    assert gd.repair(again).restored == (f"{again}: all frames of an append that was interrupted at its end",)
    append(path, trajectory, 3)
    (only,) = ledger.read_entry(ledger.entry_file(twin))
    for place in (path, again):
        assert list(ledger.read_entry(ledger.entry_file(place))) == [only]
        assert store.verify(place) == []
        xr.testing.assert_equal(store.open_trajectory(place).load(), trajectory)


def stopped_at(number, call):
    """A call that is interrupted in place of its so manieth time."""
    calls = []

    def counted(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return call(*arguments, **keywords)

    return counted


def test_an_append_that_was_begun_must_be_finished_first(tmp_path, small_chunks):
    trajectory = make_trajectory(n_frames=9, time=np.arange(9.0))
    path = tmp_path / "run.zarr"
    store.save_trajectory(trajectory.isel(frame=slice(3)), path)
    with pytest.raises(errors.StoreError, match="2 frames asked for, it has 3"):
        appending.begin(path, 2)
    stage = appending.begin(path, 9)
    with pytest.raises(errors.StoreError, match=r"it has 3 and an append to 9 was begun: .* or take it back"):
        appending.begin(path, 8)
    with pytest.raises(errors.IncompleteStoreError, match="chunks are not written yet"):
        appending.commit(path)
    store.write_region(stage, "position", (slice(3, 4),), trajectory["position"].values[3:4])
    # the old frames are whole all the while
    xr.testing.assert_equal(store.open_trajectory(path).load(), trajectory.isel(frame=slice(3)))
    assert store.verify(path) == []
    append(path, trajectory, 3)
    xr.testing.assert_equal(store.open_trajectory(path).load(), trajectory)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_append_killed_anywhere_loses_nothing(tmp_path, small_chunks):
    """It is the old trajectory or the new one, whole either way; the same append ends as if undisturbed."""
    trajectory = make_trajectory(n_frames=5, time=np.arange(5.0))
    old, path, whole = tmp_path / "old.zarr", tmp_path / "run.zarr", tmp_path / "whole.zarr"
    store.save_trajectory(trajectory.isel(frame=slice(3)), old)
    shutil.copytree(old, whole)
    append(whole, trajectory, 3)
    seen = []
    for n in itertools.count(1, 2):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(old, path)
        if run_killed_at(n, lambda: append(path, trajectory, 3)):
            break
        assert store.verify(path) == [], f"killed at change {n}"
        opened = store.open_trajectory(path)
        seen.append(opened.sizes["frame"])
        xr.testing.assert_equal(opened.load(), trajectory.isel(frame=slice(seen[-1])))
        append(path, trajectory, 3)
        assert chunk_files(path) == chunk_files(whole), f"killed at change {n}"
        assert store.verify(path) == []
        assert not (path / ".append").exists()
    assert n > 10
    assert set(seen) == {3, 5}


def test_nothing_is_written_into_a_group_that_another_command_made(group, monkeypatch):
    """A task that outlives its command finds another key before it writes, or afterwards, and leaves nothing."""
    store.set_attributes(group, key="new")
    with pytest.raises(errors.StoreError, match="was overwritten by another command"):
        store.write_region(group, "x", (slice(0, 2),), np.zeros((2, 5, 3)), key="old")
    assert not list(group.rglob("c/**/*"))

    put = arrays._put

    def put_late(*args):
        put(*args)
        store.set_attributes(group, key="new")

    store.set_attributes(group, key="old")
    monkeypatch.setattr(arrays, "_put", put_late)
    with pytest.raises(errors.StoreError, match="was overwritten by another command"):
        store.write_region(group, "x", (slice(0, 2),), np.zeros((2, 5, 3)), key="old")
    assert not [path for path in group.rglob("c/**/*") if path.is_file()]


def test_an_empty_file_is_no_chunk(group):
    """What a machine may leave that lost power: the name is there, its content is not."""
    whole = (slice(0, 2),)
    store.write_region(group, "x", whole, np.zeros((2, 5, 3)))
    assert store.chunk_exists(group, "x", whole)
    os.truncate(next(path for path in group.rglob("c/**/*") if path.is_file()), 0)
    assert not store.chunk_exists(group, "x", whole)
