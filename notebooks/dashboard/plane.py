"""The plane of the first two principal components: its extent and density, chunk by chunk, of any number of points."""

from __future__ import annotations

import dask.array as da
import datashader as ds
import numpy as np
import pandas as pd
import xarray as xr


def extent(projection: xr.DataArray) -> np.ndarray:
    """Smallest and largest value of the first two components, (2, 2), chunk by chunk; NaN without any."""
    blocks = _plane(projection)
    ends = da.map_blocks(_ends, blocks, chunks=(*_ones(blocks), (2,), (2,)), drop_axis=2, new_axis=(2, 3), dtype=float)
    low, high = da.compute(ends[..., 0].min(axis=(0, 1)), ends[..., 1].max(axis=(0, 1)))
    return np.where(low <= high, np.stack([low, high]), np.nan)


def density(projection: xr.DataArray, within: np.ndarray, bins: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p(X1, X2) on a grid over the extent `within`: X1, X2 and p (X2, X1); zero where nobody is.

    Each chunk is rasterised by the task that reads it, and only its counts are kept, so that the memory does not grow
    with the number of points.
    """
    (x0, y0), (x1, y1) = within
    canvas = ds.Canvas(bins, bins, x_range=(x0, x1), y_range=(y0, y1))
    blocks = _plane(projection)
    chunks = (*_ones(blocks), (bins,), (bins,))
    counts = da.map_blocks(
        _counts, blocks, canvas, chunks=chunks, drop_axis=2, new_axis=(2, 3), dtype=float, meta=np.empty((0,) * 4)
    )
    total = counts.sum(axis=(0, 1)).compute()
    x = x0 + (np.arange(bins) + 0.5) * (x1 - x0) / bins
    y = y0 + (np.arange(bins) + 0.5) * (y1 - y0) / bins
    return x, y, total / max(total.sum() * (x[1] - x[0]) * (y[1] - y[0]), np.finfo(float).tiny)


def _plane(projection: xr.DataArray) -> da.Array:
    data = projection.data[..., :2]
    return data.rechunk({2: -1}) if isinstance(data, da.Array) else da.from_array(data, chunks=(1, -1, -1))


def _ones(blocks: da.Array) -> tuple[tuple[int, ...], ...]:
    return tuple((1,) * n for n in blocks.numblocks[:2])


def _ends(block: np.ndarray) -> np.ndarray:
    found = block.reshape(-1, 2)
    low = np.where(np.isnan(found), np.inf, found).min(axis=0, initial=np.inf)
    high = np.where(np.isnan(found), -np.inf, found).max(axis=0, initial=-np.inf)
    return np.stack([low, high], axis=-1)[None, None]


def _counts(block: np.ndarray, canvas: ds.Canvas) -> np.ndarray:
    points = pd.DataFrame(block.reshape(-1, 2), columns=["x", "y"])
    return canvas.points(points, "x", "y", ds.count()).values.astype(float)[None, None]


def inside(x1: np.ndarray, x2: np.ndarray, bounds: tuple[float, float, float, float] | None) -> np.ndarray:
    """Which particles lie in the box (X1, X2, X1', X2') of the plane; all False without one, and where X is NaN."""
    if bounds is None:
        return np.zeros(len(x1), bool)
    x0, y0, x_end, y_end = bounds
    return (x1 >= x0) & (x1 <= x_end) & (x2 >= y0) & (x2 <= y_end)
