"""Two worker processes write what threads write."""

import dask
import numpy as np
import pytest
import xarray as xr

from glassdask import errors, store
from tests.store.store_cases import chunk_files, make_trajectory

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(host="127.0.0.1", **options) as cluster, Client(cluster) as client:
        yield client


def derived(path):
    position = store.open_trajectory(path)["position"].drop_vars("time", errors="ignore")
    return xr.Dataset({"double": position * 2, "radius": (position**2).sum("space") ** 0.5}).chunk(particle=10)


def test_a_cluster_writes_what_threads_write(tmp_path, small_chunks, client):
    trajectory = make_trajectory(n_frames=11)
    with dask.config.set(scheduler="threads"):
        store.save_trajectory(trajectory.chunk(frame=2), tmp_path / "threads.zarr")
        store.write_dataset(
            derived(tmp_path / "threads.zarr"), tmp_path / "threads.zarr", "reductions/x", parameters={}
        )
    path = tmp_path / "cluster.zarr"
    store.save_trajectory(trajectory.chunk(frame=2), path)
    seen = []
    store.write_dataset(
        derived(path), path, "reductions/x", parameters={}, on_block=lambda *counts: seen.append(counts)
    )
    assert chunk_files(path) == chunk_files(tmp_path / "threads.zarr")
    assert store.verify(path) == []
    assert seen[-1] == (18, 18)
    np.testing.assert_array_equal(store.open_trajectory(path)["position"].compute(), trajectory["position"])


def test_results_stay_on_the_workers(tmp_path, small_chunks, client):
    """What comes back to the client is a receipt for each block, not its values."""
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(n_frames=4), path)
    gathered = []

    def get(*args, **kwargs):
        gathered.append(client.get(*args, **kwargs))
        return gathered[-1]

    with dask.config.set(scheduler=get):
        store.write_dataset(derived(path), path, "reductions/x", parameters={})
    assert gathered
    assert sum(np.asarray(part).nbytes for result in gathered for part in np.ravel(result)) <= 8 * 64


def test_errors_come_back_as_they_are(tmp_path, small_chunks, client):
    path = tmp_path / "run.zarr"
    store.save_trajectory(make_trajectory(n_frames=4), path)
    dataset = derived(path)
    (path / "position/c/1/0/0").write_bytes(b"nonsense")
    with pytest.raises(errors.CorruptStoreError, match="position/c/1/0/0: chunk is damaged"):
        store.write_dataset(dataset, path, "reductions/x", parameters={})
