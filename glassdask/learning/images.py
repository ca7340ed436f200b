"""Images (sample, channel, x, y[, z]) and the feature maps that convolutions make of them: shapes, and chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.variables import unmasked


def as_images(X: Any) -> tuple[Any, tuple[int, ...]]:
    """The array behind images (sample, channel, x, y[, z]), NumPy or dask with whole images a chunk; their shape."""
    if isinstance(X, xr.DataArray):
        X = X.data
    X = unmasked("images", X)
    if X.ndim not in (4, 5) or X.dtype.kind not in "fiub" or 0 in X.shape:
        raise ParameterError(f"images have shape {X.shape}, {X.dtype}: expected numbers (sample, channel, x, y[, z])")
    if isinstance(X, da.Array) and max(X.numblocks[1:]) > 1:
        X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    return X, tuple(int(size) for size in X.shape[1:])


def check_shape(expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Raise `ParameterError` unless images have the shape of those that were trained on."""
    if tuple(expected) != tuple(found):
        raise ParameterError(f"images have shape {found}, but the model is trained on {tuple(expected)}: grid them so")


def feature_shape(shape: tuple[int, ...], kernel_sizes: Any, strides: Any) -> tuple[int, ...]:
    """Points of the last feature maps along each axis.

    >>> feature_shape((1, 48, 48), (5, 4, 3), (1, 2, 1))
    (24, 24)
    """
    points = np.array(shape[1:])
    for kernel, stride in zip(kernel_sizes, strides):
        if (kernel - stride) % 2 or kernel < stride:
            raise ParameterError(
                f"kernel {kernel} with stride {stride}: (kernel - stride) / 2 must be whole and not negative, so that "
                "the points of feature maps lie in the middle of those they stand for"
            )
        if (points % stride).any() or ((kernel - stride) // 2 > points).any():
            raise ParameterError(f"kernel {kernel}, stride {stride}: do not fit maps of {points.tolist()} points")
        points = points // stride
    return tuple(points.tolist())


def map_images(function: Callable[..., Any], model: Any, X: Any, shape: tuple[int, ...], *arguments: Any) -> Any:
    """``function(model, block, *arguments)`` of every chunk of images; results are (sample, *shape), lazy for dask."""
    model.check_fitted()
    X, found = as_images(X)
    check_shape(model.image_shape_, found)
    if not isinstance(X, da.Array):
        return function(model, X, *arguments)
    axes = tuple(range(1, X.ndim))
    return da.map_blocks(
        lambda block: function(model, block, *arguments),
        X,
        drop_axis=axes,
        new_axis=tuple(range(1, 1 + len(shape))),
        chunks=(X.chunks[0], *((size,) for size in shape)),
        dtype=np.float64,
        meta=np.empty((0,) * (1 + len(shape))),
    )
