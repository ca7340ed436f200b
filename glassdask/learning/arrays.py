"""What the estimators accept: matrices (sample, feature) as NumPy, dask or xarray arrays, and how chunks are walked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.layers import ArrayBlockIdDep

from glassdask.errors import ParameterError, SchemaError
from glassdask.graphs import compute, merge_blocks
from glassdask.variables import unmasked


def as_matrix(X: Any, *, what: str = "X") -> tuple[Any, list[str] | None]:
    """The 2-D array behind `X` (NumPy or dask, one chunk of columns) and the names of its features, if it has any.

    A DataArray gives its last dimension's coordinates as names, such as ``"l=6"``, a DataFrame its columns.
    """
    names = None
    if isinstance(X, xr.DataArray):
        names = feature_names(X)
        X = X.data
    elif hasattr(X, "columns") and all(isinstance(name, str) for name in X.columns):
        names = list(X.columns)
    X = _as_array(X, what)
    if X.ndim != 2:
        raise ParameterError(
            f"{what} has shape {X.shape}, expected (sample, feature). Reshape your data, as feature_matrix does"
        )
    if X.shape[1] == 0:
        raise ParameterError(
            f"{what} has 0 feature(s) (shape={X.shape}) while a minimum of 1 is required: describe again"
        )
    if X.dtype.kind not in "fiub":
        problem = "Complex data not supported" if X.dtype.kind == "c" else f"dtype {X.dtype}"
        raise ParameterError(f"{what}: {problem}, expected real numbers: convert it to float")
    if isinstance(X, da.Array) and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    return X, names


def _as_array(values: Any, what: str) -> Any:
    """An array of numbers, if need be from a list of lists or from objects; one of dask stays as it is."""
    if hasattr(values, "toarray"):
        raise ParameterError(f"{what} is a sparse matrix: give a dense one, such as its toarray()")
    try:
        array = unmasked(what, values)
        return array.astype(np.float64) if array.dtype == object and not isinstance(array, da.Array) else array
    except SchemaError:
        raise
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what} is no matrix of numbers ({error}): give an array (sample, feature)") from None


def as_labels(values: Any, X: Any, *, what: str) -> Any:
    """Labels (sample,), such as classes or configurations, with the rows of `X`, in chunks where `X` has them.

    Lazy ones with a lazy `X` are to be looked at chunk by chunk, with `checked_labels`.
    """
    values = getattr(values, "data", values) if isinstance(values, xr.DataArray) else values
    lazy = isinstance(values, da.Array)
    labels = unmasked(what, values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ParameterError(f"{what} has shape {labels.shape}, expected one label for each sample, (sample,)")
    if lazy and isinstance(X, da.Array):
        return like_rows(labels, X, what=what)
    return like_rows(checked_labels(np.asarray(labels), what), X, what=what)


def checked_labels(labels: np.ndarray, what: str) -> np.ndarray:
    """Labels that can be told apart and sorted: `ParameterError` where some are missing or of another type."""
    if labels.dtype == object:
        kinds = {type(label).__name__ for label in labels}
        if len(kinds) > 1 or "NoneType" in kinds:
            raise ParameterError(
                f"{what} are of the types {', '.join(sorted(kinds))}: give all rows labels of one type"
            )
        labels = np.array(labels.tolist())
    missing = labels != labels  # as NaN and NaT are
    if np.any(missing):
        raise ParameterError(
            f"{what}: {np.count_nonzero(missing)} of {len(labels)} rows have the label {labels[missing][0]}: leave "
            "these rows out or give them a label"
        )
    return labels


def as_targets(y: Any, X: Any) -> Any:
    """Targets (sample,) or (sample, target) as a matrix that is chunked like the matrix `X`."""
    if isinstance(y, xr.DataArray):
        y = y.data
    y = _as_array(y, "y")
    if y.ndim == 1:
        y = y[:, None]
    y, _ = as_matrix(y, what="y")
    return like_rows(y, X, what="y")


def like_rows(values: Any, X: Any, *, what: str) -> Any:
    """`values` (NumPy or dask, samples first) with the rows of `X`, chunk by chunk if `X` is a dask array."""
    n_rows, n_expected = values.shape[0], X.shape[0]
    known = not (np.isnan(n_rows) or np.isnan(n_expected))
    if known and n_rows != n_expected:
        raise ParameterError(f"{what} has {n_rows} rows and X {n_expected}: give one for each sample")
    if not isinstance(X, da.Array):
        return compute(values)[0] if isinstance(values, da.Array) else values
    if known:
        chunks = (X.chunks[0], *((size,) for size in values.shape[1:]))
        return values.rechunk(chunks) if isinstance(values, da.Array) else da.from_array(values, chunks=chunks)
    if not isinstance(values, da.Array) or values.numblocks[0] != X.numblocks[0]:
        raise ParameterError(
            f"X has chunks of unknown size that {what} cannot be matched to: call compute_chunk_sizes()"
        )
    return values


def feature_names(X: xr.DataArray) -> list[str] | None:
    """Names of the columns of a DataArray (sample, feature) or (frame, particle, features...).

    None unless every feature dimension has a coordinate.

    Examples
    --------
    >>> feature_names(xr.DataArray(np.zeros((1, 5, 2, 2)), dims=("frame", "particle", "l", "r"),
    ...                            coords={"l": [1, 2], "r": [0.9, 1.0]}))
    ['l=1, r=0.9', 'l=1, r=1.0', 'l=2, r=0.9', 'l=2, r=1.0']
    """
    dims = X.dims[2:] if X.dims[:2] == ("frame", "particle") else X.dims[-1:]
    if not dims:
        return [str(X.name)]
    labels = []
    for dim in dims:
        columns = {
            str(name): c.values
            for name, c in X.coords.items()
            if c.dims == (dim,) and not (c.dtype == object and isinstance(c.values[0], tuple))
        }
        if not columns:
            return None
        labels.append([", ".join(f"{n}={v[i]}" for n, v in columns.items()) for i in range(X.sizes[dim])])
    return [", ".join(parts) for parts in product(*labels)]


def reduce_chunks(leaf: Callable[..., Any], merge: Callable[..., Any], arrays: Sequence[Any]) -> Any:
    """``leaf(*chunk, chunk=number)`` of every chunk of rows, merged in a tree: ``merge(list of results)``.

    NumPy arrays are one chunk and need no dask. With dask arrays every task holds one chunk, or a few results.
    """
    if not isinstance(arrays[0], da.Array):
        return merge([leaf(*arrays, chunk=0)])

    def numbered(number: tuple[int], *chunk: np.ndarray) -> Any:
        return leaf(*chunk, chunk=number[0])

    pairs: list[Any] = [ArrayBlockIdDep(((1,) * arrays[0].numblocks[0],)), "i"]
    for array in arrays:
        pairs += [array, ("i", "jk"[array is not arrays[0]]) if array.ndim == 2 else "i"]
    leaves = da.blockwise(
        numbered, "i", *pairs, dtype=object, meta=np.empty(0, dtype=object), align_arrays=False, concatenate=True
    )
    return merge_blocks(leaves, merge)


def map_rows(function: Callable[[np.ndarray], Any], X: Any, n_out: int) -> Any:
    """``function(block)`` for every chunk of rows, lazily for dask arrays; the result has `n_out` columns."""
    if not isinstance(X, da.Array):
        return function(X)
    return da.map_blocks(function, X, dtype=np.float64, chunks=(X.chunks[0], (n_out,)), meta=np.empty((0, 0)))
