import dask
import pytest


@pytest.fixture
def small_chunks(monkeypatch):
    """Two frames in a chunk (for 30 particles in three dimensions), each read by a task of its own."""
    monkeypatch.setattr("glassdask.store.layout.CHUNK_BYTES", 2 * 30 * 3 * 8)
    with dask.config.set({"glassdask.task.bytes": 2 * 30 * 3 * 8}):
        yield


@pytest.fixture
def split_frames(monkeypatch, small_chunks):
    """Frames are split in two along particle."""
    monkeypatch.setattr("glassdask.store.layout.WHOLE_FRAME_BYTES", 15 * 3 * 8)


@pytest.fixture
def shards(monkeypatch, small_chunks):
    """Two chunks of two frames share a file."""
    monkeypatch.setattr("glassdask.store.layout.MANY_CHUNKS", 2)
    monkeypatch.setattr("glassdask.store.layout.CHUNKS_IN_SHARD", 2)
