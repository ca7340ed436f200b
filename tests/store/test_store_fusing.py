"""Graphs of blocks: one task each, but for what several blocks share."""

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from glassdask.store.fusing import one_task_each


def test_what_is_shared_and_what_is_cut_out_of_it_stay_tasks():
    """Two chunks that are read once each, cut in four, and used twice in every block."""
    read = []

    def chunk(block_info=None):
        first = block_info[None]["array-location"][0][0]
        read.append(first)
        return np.arange(first, first + 4.0)

    chunks = da.map_blocks(chunk, chunks=((4, 4),), dtype=float, meta=np.empty(0))
    blocks = chunks.rechunk(1)
    joined = (blocks + 1) * (blocks - 1) + da.arange(8, chunks=1)
    fused = one_task_each(joined)
    assert len(fused.dask) == 2 + 8 + 8
    np.testing.assert_array_equal(fused.compute(scheduler="synchronous"), np.arange(8.0) ** 2 - 1 + np.arange(8))
    assert sorted(read) == [0, 4]


def test_an_output_may_need_another():
    layer = {("x", 0): (np.ones, 1), ("x", 1): (np.add, ("x", 0), 1), ("x", 2): (np.add, ("x", 1), ("x", 0))}
    array = da.Array(HighLevelGraph.from_collections("x", layer), "x", chunks=((1, 1, 1),), dtype=float)
    assert one_task_each(array).compute(scheduler="synchronous").tolist() == [1, 2, 3]
