"""Whole frames for tasks: read by those that need them, whatever files they lie in."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from glassdask import errors, store
from glassdask.store import appending
from glassdask.store.backend import StoreBackend
from tests.store.store_cases import make_trajectory


@pytest.fixture
def path(tmp_path, small_chunks):
    """Eleven frames in files of two."""
    store.save_trajectory(make_trajectory(n_frames=11), tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


def readers(array: da.Array) -> int:
    """How many tasks stand before those that give the chunks."""
    graph = dict(dask.optimize(array)[0].__dask_graph__())
    return len(graph) - array.npartitions


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 11, 100])
def test_stored_frames_are_read_by_each_task(path, frames):
    opened = store.open_trajectory(path)["position"]
    cut = store.in_frames(opened, frames)
    assert cut.chunks[0][0] == min(frames, 11)
    assert cut.numblocks[1:] == (1, 1)
    assert readers(cut) == 0
    np.testing.assert_array_equal(cut.compute(), make_trajectory(n_frames=11)["position"])


def test_split_frames_are_whole(path, split_frames):
    store.save_trajectory(make_trajectory(n_frames=11), path, overwrite=True)
    opened = store.open_trajectory(path)["position"]
    assert opened.chunks[1] == (15, 15)
    cut = store.in_frames(opened, 1)
    assert cut.chunks[1] == (30,)
    np.testing.assert_array_equal(cut.compute(), opened.values)


def test_what_is_not_as_it_was_opened_is_rechunked(path):
    trajectory = store.open_trajectory(path)
    whole = trajectory["position"].values
    for changed, expected in (
        (trajectory.isel(frame=slice(3, None))["position"], whole[3:]),
        (trajectory["position"] + 1.0, whole + 1.0),
        (trajectory["position"].chunk(frame=4), whole),
        (trajectory["position"].compute(), whole),
    ):
        cut = store.in_frames(changed, 3)
        assert cut.chunks[0][0] == 3
        np.testing.assert_array_equal(cut.compute(), expected)


def test_small_files_are_read_together(path):
    with dask.config.set({"glassdask.task.bytes": 3 * (3 * 2 * 30 * 3 * 8 + 1)}):
        opened = store.open_trajectory(path)["position"]
    assert opened.chunks[0] == (6, 5)
    np.testing.assert_array_equal(opened.values, make_trajectory(n_frames=11)["position"])


def test_the_damaged_one_of_several_files_is_named(path):
    cut = store.in_frames(store.open_trajectory(path)["position"], 11)
    (path / "position/c/3/0/0").write_bytes(b"nonsense")
    with pytest.raises(errors.CorruptStoreError, match="position/c/3/0/0: chunk is damaged"):
        cut.compute()
    (path / "position/c/4/0/0").unlink()
    with pytest.raises(errors.CorruptStoreError, match="position/c/4/0/0: chunk is missing"):
        cut.compute()


@pytest.mark.parametrize("opened_by", ["us", "xarray"])
def test_what_was_overwritten_since_it_was_opened_is_not_read(path, opened_by):
    opened = store.open_trajectory(path) if opened_by == "us" else xr.open_dataset(path, engine=StoreBackend)
    position = opened["position"]
    for frames in (11, 4):  # of the same layout, and of another one
        store.save_trajectory(make_trajectory(n_frames=frames, seed=frames), path, overwrite=True)
        for chosen in (position, position[3:5], position[::3]):
            with pytest.raises(
                errors.StoreError, match=r"run\.zarr: was overwritten after it was opened: open it again"
            ):
                chosen.load() if opened_by == "xarray" else chosen.compute()
    store.save_trajectory(make_trajectory(n_frames=11), path, overwrite=True)  # the very same content
    np.testing.assert_array_equal(position.values, make_trajectory(n_frames=11)["position"])


def test_more_frames_do_not_disturb_who_reads_those_before(path):
    opened = store.open_trajectory(path)
    whole = make_trajectory(n_frames=15)
    for n_frames in (13, 15):
        stage = appending.begin(path, n_frames)
        for first, last in store.frame_blocks(store.open_trajectory(path).sizes["frame"], n_frames, 2):
            for name in ("position", "box"):
                store.write_region(stage, name, (slice(first, last),), whole[name].values[first:last])
        np.testing.assert_array_equal(opened["position"], make_trajectory(n_frames=11)["position"])
        appending.commit(path)
        np.testing.assert_array_equal(opened["position"].values, make_trajectory(n_frames=11)["position"])
        assert store.open_trajectory(path).sizes["frame"] == n_frames
        assert store.verify(path) == []
