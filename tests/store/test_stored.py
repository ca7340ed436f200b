"""Opened arrays: frames that were selected are read by the tasks that need them; xarray opens stores, too."""

from __future__ import annotations

import copy
import importlib.metadata
import pickle

import dask
import numpy as np
import pytest
import xarray as xr

import glassdask as gd
from glassdask import errors, store
from glassdask.store import stored
from glassdask.store.backend import StoreBackend
from glassdask.store.stored import StoredArray
from tests.store.store_cases import make_trajectory


@pytest.fixture
def path(tmp_path, small_chunks):
    """Eleven frames in files of two."""
    store.save_trajectory(make_trajectory(n_frames=11), tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


SELECTED = {
    "all": (lambda v: v, range(11)),
    "the last": (lambda v: v[3:], range(3, 11)),
    "some": (lambda v: v.isel(frame=slice(1, 9, 3)), range(1, 8, 3)),
    "one": (lambda v: v.isel(frame=[4]), range(4, 5)),
    "numbers": (lambda v: v.isel(frame=[2, 5, 8]), range(2, 9, 3)),
    "from the end": (lambda v: v.isel(frame=[-3, -1]), range(8, 11, 2)),
    "twice": (lambda v: v[1:][::2].isel(frame=slice(1, None)), range(3, 11, 2)),
    "copied": (lambda v: copy.deepcopy(v[2:]), range(2, 11)),
    "pickled": (lambda v: pickle.loads(pickle.dumps(v[2:])), range(2, 11)),
    "named and noted": (lambda v: v[2:].rename("x").assign_attrs(y=1), range(2, 11)),
}
CHANGED = {
    "backwards": lambda v: v[::-1],
    "unevenly": lambda v: v.isel(frame=[1, 2, 4]),
    "repeated": lambda v: v.isel(frame=[1, 1]),
    "none": lambda v: v[:0],
    "one frame": lambda v: v[3],
    "particles": lambda v: v[:, 2:9],
    "a component": lambda v: v[..., 0],
    "turned": lambda v: v.transpose(),
    "computed with": lambda v: v + 1.0,
    "loaded": lambda v: v.compute(),
    "by truth": lambda v: v[np.arange(11) % 2 == 0][:, np.arange(30) % 2 == 0],
}
OPENED = {
    "opened": lambda path: gd.open_trajectory(path),
    "by xarray": lambda path: xr.open_dataset(path, engine=StoreBackend),
    "by xarray in chunks": lambda path: xr.open_dataset(path, engine=StoreBackend, chunks={}),
}


@pytest.mark.parametrize("how", OPENED)
@pytest.mark.parametrize("what", [*SELECTED, *CHANGED])
def test_selections_are_those_of_numpy(path, how, what):
    select = SELECTED[what][0] if what in SELECTED else CHANGED[what]
    expected = select(make_trajectory(n_frames=11)["position"])
    found = select(OPENED[how](path)["position"])
    source = store.stored_source(found)
    if what in CHANGED or (how == "by xarray in chunks" and what != "all"):
        assert source is None
    else:
        assert source.frames == SELECTED[what][1]
        assert source.is_whole == (what == "all")
        assert (source.info.path.parent, source.info.name) == (path, "position")
    if found.ndim == 3 and found.sizes["frame"]:
        cut = store.in_frames(found, 2)
        np.testing.assert_array_equal(cut.compute(), expected.values)
        if source is not None:
            assert len(dict(dask.optimize(cut)[0].__dask_graph__())) == cut.npartitions
    np.testing.assert_array_equal(found.values, expected.values)


def test_a_store_that_was_written_again_is_another_source(path):
    before = store.stored_source(gd.open_trajectory(path)["position"])
    assert before == store.stored_source(xr.open_dataset(path, engine=StoreBackend)["position"])
    store.save_trajectory(make_trajectory(seed=5, n_frames=11), path, overwrite=True)
    assert store.stored_source(gd.open_trajectory(path)["position"]) != before


def test_files_are_read_once_each_for_frames_far_apart(path, monkeypatch):
    read = []
    read_region = stored.read_region
    monkeypatch.setattr(stored, "read_region", lambda info, part: read.append(part[0]) or read_region(info, part))
    gd.open_trajectory(path)["position"].isel(frame=slice(0, None, 5)).compute(scheduler="synchronous")
    assert sorted((part.start, part.stop) for part in read) == [(0, 1), (5, 6), (10, 11)]


def test_the_chunks_of_a_selection_follow_the_files(path):
    assert gd.open_trajectory(path)["position"][3:].chunks[0] == (1, 2, 2, 2, 1)
    assert isinstance(gd.open_trajectory(path)["position"][3:].data, StoredArray)


def test_all_variables_come_in_the_same_frames(tmp_path, small_chunks):
    """Though images take half of the bytes of positions: xarray's own functions refuse anything else."""
    t, path = make_trajectory(n_frames=11), tmp_path / "run.zarr"
    image = np.random.default_rng(0).integers(-2, 3, t["position"].shape).astype(np.int32)
    t = t.assign(image=(("frame", "particle", "axis"), image), energy=(("frame", "particle"), np.zeros((11, 30))))
    store.save_trajectory(t, path)
    with dask.config.set({"glassdask.task.bytes": 3 * 2 * 1440}):  # two files of positions to a chunk
        t = gd.open_trajectory(path)
        assert {"position", "image", "energy"} <= {name for name, v in t.variables.items() if v.chunks}
        assert t.chunks["frame"] == (4, 4, 3)
        assert t.isel(frame=slice(3, None)).chunks["frame"] == (1, 4, 3)
        by_xarray = xr.open_dataset(path, engine=StoreBackend)
        assert stored.with_dask(by_xarray).chunks["frame"] == (4, 4, 3)
        moved = gd.dynamics.unwrapped(t)
    np.testing.assert_array_equal(moved, gd.dynamics.unwrapped(t.compute()))


def test_a_lost_chunk_is_an_error_for_xarray_too(path):
    opened = [xr.open_dataset(path, engine=StoreBackend, chunks=chunks)["position"] for chunks in (None, {})]
    (path / "position/c/3/0/0").unlink()
    for position in opened:
        np.testing.assert_array_equal(position[:4].values, make_trajectory(n_frames=11)["position"].values[:4])
        with pytest.raises(errors.CorruptStoreError, match="position/c/3/0/0: chunk is missing"):
            position.values  # noqa: B018


def test_xarray_opens_what_was_derived(path):
    trajectory = gd.open_trajectory(path)
    gd.save_descriptors(gd.describe(trajectory, [gd.BondOrder(cutoffs=1.5)]), path)
    expected = gd.open_descriptors(path)["bo"]
    for options in ({"group": "descriptors/bo"}, {}):
        where = path if options else path / "descriptors" / "bo"
        found = xr.open_dataset(where, engine=StoreBackend, drop_variables="time", **options)
        np.testing.assert_array_equal(found["bo"].isel(frame=[1, 4]), expected[[1, 4]])
        assert found["l"].equals(expected["l"])
        assert "time" not in found
    with pytest.raises(errors.StoreError, match=r"none\.zarr"):
        xr.open_dataset(path.with_name("none.zarr"), engine=StoreBackend)


def test_only_our_stores_are_guessed(path, tmp_path):
    xr.Dataset({"x": ("y", np.arange(3))}).to_zarr(tmp_path / "foreign.zarr", consolidated=False)
    guess = StoreBackend().guess_can_open
    assert guess(path)
    assert guess(str(path))
    assert not guess(tmp_path / "foreign.zarr")
    assert not guess(tmp_path)
    assert not guess(tmp_path / "none.zarr")
    assert not guess(b"CDF")


def test_xarray_knows_the_engine():
    (found,) = importlib.metadata.entry_points(group="xarray.backends", name="glassdask")
    assert found.load() is StoreBackend


@pytest.mark.parametrize("how", OPENED)
def test_all_that_is_opened_can_be_worked_with(path, how, tmp_path):
    opened = OPENED[how](path)
    expected = gd.describe(make_trajectory(n_frames=11), [gd.BondOrder(cutoffs=1.5)])["bo"]
    np.testing.assert_allclose(gd.describe(opened, [gd.BondOrder(cutoffs=1.5)])["bo"], expected, atol=1e-12)
    gd.save_descriptors(gd.describe(opened, [gd.BondOrder(cutoffs=1.5)]), path)
    np.testing.assert_allclose(gd.open_descriptors(path)["bo"], expected, atol=1e-12)
    gd.save_trajectory(opened.isel(frame=slice(2, None)), tmp_path / "again.zarr")
    np.testing.assert_array_equal(gd.open_trajectory(tmp_path / "again.zarr")["position"], opened["position"][2:])


TOGETHER = {
    "a function": lambda v: xr.apply_ufunc(np.add, v, 2 * v, dask="parallelized", output_dtypes=[float]),
    "chunks": lambda v: xr.unify_chunks(v, 2 * v)[0] + 2 * v,
    "a dataset": lambda v: (d := xr.Dataset({"a": v, "b": 2 * v}).unify_chunks()).a + d.b,
    "a choice": lambda v: xr.where(v > 0, v, v) + 2 * v,
    "blocks": lambda v: xr.map_blocks(lambda d: d.a + d.b, xr.Dataset({"a": v, "b": 2 * v})),
}


@pytest.mark.parametrize("how", TOGETHER)
@pytest.mark.parametrize("opened", OPENED)
def test_opened_and_computed_arrays_go_together(path, opened, how):
    values = OPENED[opened](path)["position"]
    np.testing.assert_allclose(TOGETHER[how](values), 3 * values.values)
