"""Between labelled features (frame, particle, features...) and the matrix of paper A, Eq. (20)."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.errors import ParameterError, SchemaError, SpeciesError
from glassdask.schema import check_kind
from glassdask.variables import annotated


def feature_matrix(features: xr.DataArray) -> Any:
    """The matrix X of paper A, Eq. (20): one row per central particle and frame, one column per feature.

    Parameters
    ----------
    features : DataArray (frame, particle, features...)
        A variable of `describe`, lazy or in memory. Only particles of the species in its attribute ``centers`` give
        rows; without that attribute all particles do.

    Raises
    ------
    SchemaError, SpeciesError
        When the particles have no species by which the centres are known, or none is of theirs.

    Returns
    -------
    array (rows, columns), dask where `features` is lazy, else NumPy
        Row ``frame * n_centers + k`` belongs to the k-th centre; where species change between frames, each frame has
        rows for its own centres. Rows of centres without a defined descriptor are NaN, and of absent particles.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 13 + ["B"] * 14, box=[3.0, 3.0, 3.0])
    >>> features = gd.describe(crystal, [gd.BondOrder(cutoffs=1.2)], centers="B")
    >>> gd.feature_matrix(features["bo"]).shape
    (14, 8)
    """
    features = one_descriptor(features)
    data, columns = _flat_features(features)
    keep = is_center(features)
    if keep.ndim == 2:
        return _rows_of_frames(data, keep, columns)
    if not isinstance(data, da.Array):
        return np.asarray(data)[:, keep].reshape(-1, columns)
    if not keep.all():
        data = _keep_particles(data, keep)
    return data.reshape(-1, columns)


def project(features: xr.DataArray, model: Any) -> xr.DataArray:
    """Apply a fitted model to every particle and lay the result back to (frame, particle, component).

    Parameters
    ----------
    features : xarray.DataArray (frame, particle, features...)
        Lazy or in memory.
    model : object
        Anything with ``transform(matrix)`` that keeps the rows, such as `PCA`; or the dataset of `reduce`, perhaps of
        other particles.

    Returns
    -------
    DataArray (frame, particle, component), lazy where `features` is; components are counted from 1 as in the papers.
    NaN where the features are.

    Raises
    ------
    SchemaError, ParameterError
        The features are others than those that the model was made of, or in another order, as far as both are named;
        or the model has no ``transform``.

    Examples
    --------
    >>> import glassdask as gd
    >>> rng = np.random.default_rng(1)
    >>> liquid = gd.from_arrays(rng.random((2, 60, 3)) * 4, species=["A"] * 60, box=[4.0, 4.0, 4.0])
    >>> q = gd.describe(liquid, [gd.SmoothedBondOrder(cutoffs=1.5)])["sbo"]
    >>> gd.project(q, gd.learning.PCA(n_components=2).fit(gd.feature_matrix(q))).shape
    (2, 60, 2)
    """
    features = one_descriptor(features)
    data, columns = _flat_features(features)
    if isinstance(model, xr.Dataset):
        model = _Reduction(model, features)
    if not hasattr(model, "transform"):
        raise ParameterError(f"model: {type(model).__name__} has no transform: give a fitted model, such as PCA")
    if getattr(model, "feature_names_in_", None) is not None and hasattr(model, "check_features"):
        from glassdask.learning.arrays import feature_names

        model.check_features(columns, feature_names(features))
    width = model.transform(np.zeros((1, columns))).shape[1]

    def transform(block: np.ndarray) -> np.ndarray:
        out = np.full((*block.shape[:2], width), np.nan)
        defined = ~np.isnan(block).any(axis=-1)
        if defined.any():
            out[defined] = model.transform(np.ascontiguousarray(block[defined]))
        return out

    if isinstance(data, da.Array):
        result: Any = da.map_blocks(transform, data, chunks=(*data.chunks[:2], (width,)), dtype=np.float64)
    else:
        result = transform(np.asarray(data))
    kept = {n: c for n, c in features.coords.items() if set(c.dims) <= {"frame", "particle"}}
    coords = {**kept, "component": np.arange(1, width + 1)}
    attrs = {"centers": features.attrs["centers"]} if "centers" in features.attrs else {}
    dims = ("frame", "particle", "component")
    return annotated(xr.DataArray(result, dims=dims, coords=coords, name="projection", attrs=attrs))


def one_descriptor(features: Any) -> xr.DataArray:
    """The only variable of a dataset of `describe`, or what is one variable already.

    Raises
    ------
    SchemaError
        The dataset has several, or it is something else.
    """
    if isinstance(features, xr.Dataset) and len(features.data_vars) > 1:
        names = ", ".join(map(str, features.data_vars))
        first = next(iter(features.data_vars))
        raise SchemaError(f"the features: found a dataset of {names}: give one of them, such as features['{first}']")
    if isinstance(features, xr.Dataset) and features.data_vars:
        (features,) = features.data_vars.values()
    check_kind(features, xr.DataArray, "the features", "give one variable of describe, such as features['bo']")
    return features


def check_alike(found: xr.DataArray, expected: xr.DataArray, what: str, than: str = "the first features") -> None:
    """Raise `SchemaError` unless two features (frame, particle, features...) have the same columns in the same order.

    Columns are told from each other by the coordinates of their dimensions. Those of one descriptor may be called
    otherwise where it was described beside others (``l_wide`` for ``l``), and without coordinates only sizes tell.

    Examples
    --------
    >>> q = xr.DataArray(np.zeros((1, 5, 2)), dims=("frame", "particle", "l"), coords={"l": [4, 6]})
    >>> check_alike(q.isel(l=[1, 0]), q, "other")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    glassdask.errors.SchemaError: other: its l differs from that of the first features (6 instead of 4): ...
    """
    ours, theirs = found.dims[2:], expected.dims[2:]
    if ours != theirs and set(ours) == set(theirs):
        raise SchemaError(
            f"{what}: has the dimensions {', '.join(map(str, ours))} in another order than {than}: say "
            f".transpose({', '.join(map(repr, map(str, (*found.dims[:2], *theirs))))})"
        )
    if len(ours) != len(theirs):
        raise SchemaError(f"{what}: has the dimensions {ours}, {than} {theirs}: give the same descriptor")
    for dim, other in zip(ours, theirs):
        where = _difference(_coordinates(found, dim), _coordinates(expected, other))
        if where or found.sizes[dim] != expected.sizes[other]:
            raise SchemaError(
                f"{what}: its {dim} differs from that of {than}{where}: give the same descriptor with the same "
                "parameters, and its columns in the same order"
            )


def _coordinates(features: xr.DataArray, dim: Any) -> dict[str, np.ndarray]:
    """The coordinates along a dimension; the one of the same name without a name."""
    found = {name: c.values for name, c in features.coords.items() if c.dims == (dim,)}
    return {
        "" if name == dim else str(name): values
        for name, values in sorted(found.items(), key=lambda item: str(item[0]))
    }


def _difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str:
    """The first labels that differ, in words, or nothing."""
    shared = [(found[name], expected[name]) for name in found if name in expected]
    if not shared and len(found) == len(expected):  # renamed one by one
        shared = list(zip(found.values(), expected.values()))
    for ours, theirs in shared:
        if ours.shape == theirs.shape and not np.array_equal(ours, theirs):
            first = next(k for k, (a, b) in enumerate(zip(ours, theirs)) if a != b)
            return f" ({ours[first]} instead of {theirs[first]})"
    return ""


class _Reduction:
    """What `reduce` has found, as a model: its directions are applied to other features."""

    def __init__(self, reduced: xr.Dataset, features: xr.DataArray):
        if not {"direction", "mean"} <= set(reduced):
            raise ParameterError(
                f"model: a dataset of {', '.join(map(str, reduced))}: give one of reduce, or a fitted PCA"
            )
        self.mean = np.asarray(reduced["mean"].values).ravel()
        self.directions = np.asarray(reduced["direction"].values).reshape(-1, self.mean.size)
        columns = int(np.prod(features.shape[2:], dtype=int))
        if columns != self.mean.size:
            raise SchemaError(f"{columns} features, the reduction was made of {self.mean.size}: describe them likewise")
        check_alike(features, reduced["direction"].expand_dims("frame"), "the features", "what was reduced")
        if "scale" in reduced:
            self.directions = self.directions / np.asarray(reduced["scale"].values).ravel()
        elif json.loads(reduced.attrs.get("reduction", "{}")).get("scale"):
            raise ParameterError("model: by what the reduction divides the features was not stored: reduce them again")

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """Projections of rows."""
        projections: np.ndarray = (matrix - self.mean) @ self.directions.T
        return projections


def check_dimensions(features: xr.DataArray) -> None:
    """Raise `SchemaError` unless the features are (frame, particle, features...)."""
    check_kind(features, xr.DataArray, "the features", "give one variable of describe, such as features['bo']")
    if features.dims[:2] == ("frame", "particle"):
        return
    remedy = "transpose them"
    if "frame" not in features.dims:
        remedy = (
            "choose one frame with .isel(frame=[0]), or of what is the same in all frames say "
            ".expand_dims(frame=trajectory.sizes['frame'])"
        )
    raise SchemaError(f"features have dimensions {features.dims}, expected (frame, particle, features...): {remedy}")


def _flat_features(features: xr.DataArray) -> tuple[Any, int]:
    check_dimensions(features)
    data = features.data
    columns = int(np.prod(data.shape[2:], dtype=int))
    if isinstance(data, da.Array):
        data = data.rechunk(dict.fromkeys(range(2, data.ndim), -1))
    return data.reshape(*data.shape[:2], columns), columns


def is_center(features: xr.DataArray) -> np.ndarray:
    """Which particles are centres, (particle,), or (frame, particle) where species change between frames."""
    species = center_species(features)
    if species is None:
        return np.ones(features.sizes["particle"], bool)
    found = features.coords["species"].dims if "species" in features.coords else None
    if found not in (("particle",), ("frame", "particle")):
        raise SchemaError(
            f"the features are of the centers {', '.join(species)} but have no coordinate species (particle): keep it, "
            "or take the attribute away where all particles count"
        )
    names = np.asarray(features.coords["species"].values)
    keep = np.isin(names, species)
    if not keep.any():
        raise SpeciesError(
            f"the features are of the centers {', '.join(map(str, species))}, the particles of "
            f"{', '.join(map(str, np.unique(names)))}: describe them with others"
        )
    return keep


def center_species(features: xr.DataArray) -> list[str] | None:
    """The species of the attribute ``centers``; one text with blanks between them in older stores."""
    found = features.attrs.get("centers")
    return found.split() if isinstance(found, str) else found


def _rows_of_frames(data: Any, keep: np.ndarray, columns: int) -> Any:
    """Centres (frame, particle) only, block by block of whole frames."""
    if not isinstance(data, da.Array):
        return np.asarray(data)[keep]
    data = data.rechunk({1: -1})
    starts = np.cumsum((0, *data.chunks[0]))
    rows = tuple(int(keep[begin:end].sum()) for begin, end in pairwise(starts))
    inside = da.from_array(keep[..., None], chunks=(data.chunks[0], -1, 1))
    return da.map_blocks(
        lambda block, part: block[part[..., 0]], data, inside, drop_axis=1, chunks=(rows, (columns,)),
        meta=np.empty((0, 0), data.dtype),
    )  # fmt: skip


def _keep_particles(data: da.Array, keep: np.ndarray) -> da.Array:
    """Centres only, block by block: no row moves from one block to another."""
    starts = np.cumsum((0, *data.chunks[1]))
    pieces = []
    for j, (begin, end) in enumerate(pairwise(starts)):
        inside = keep[begin:end]
        if inside.any():
            column = data if data.numblocks[1] == 1 else data.blocks[:, j]
            chunks = (data.chunks[0], (int(inside.sum()),), *data.chunks[2:])
            # not by an index list, which would be a task of its own beside the chunk
            pieces.append(da.map_blocks(_take, column, inside=inside, chunks=chunks, dtype=data.dtype))
    return pieces[0] if len(pieces) == 1 else da.concatenate(pieces, axis=1)


def _take(block: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return block[:, inside[: block.shape[1]]]  # dask also calls it with empty blocks
