"""Columns of numbers for every particle, by name: of a trajectory, or of what its store has."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import shown
from glassdask.errors import ParameterError, SchemaError
from glassdask.schema import check_labels
from glassdask.store.groups import children, is_group
from glassdask.store.layout import checked_name
from glassdask.store.reading import open_descriptors, open_reduction
from glassdask.store.stored import stored_source

KINDS = ("descriptors", "reductions")


def columns_of(trajectory: xr.Dataset, wanted: Any) -> dict[str, xr.DataArray]:
    """Columns (frame, particle) or (particle,) of a trajectory, in the order asked for; what has features is many.

    Parameters
    ----------
    wanted : name, DataArray, or list or mapping of them
        A name is that of a variable of the trajectory, of a descriptor of its store, or a part of its store:
        ``descriptors/sbo``, ``reductions/sbo``, ``reductions/sbo/projection``; or that of one column, ``sbo_4``. A
        DataArray has the dimensions particle and perhaps frame, and others; its name, or that in the mapping, is the
        column's.

    Raises
    ------
    ParameterError
        There is no such variable; the line says which there are.
    SchemaError
        Values are of other frames or particles.

    Examples
    --------
    >>> import numpy as np, glassdask as gd
    >>> pair = gd.from_arrays([[[0.0, 0], [1, 0]]], species=["A", "B"], box=[4.0, 4.0])
    >>> q = xr.DataArray(np.zeros((1, 2, 2)), dims=("frame", "particle", "l"), coords={"l": [4, 6]}, name="q")
    >>> list(columns_of(pair, q))
    ['q_4', 'q_6']
    """
    found: dict[str, xr.DataArray] = {}
    for name, values, only in _named(trajectory, wanted):
        for label, column in _scalars(name, _fitting(name, values, trajectory)):
            if only not in (None, label):
                continue
            if label in found:
                raise ParameterError(f"column {label} is asked for twice: name each once")
            found[label] = column
    return found


def _meant(trajectory: xr.Dataset, name: str) -> Iterable[tuple[str, xr.DataArray, str | None]]:
    """What a name means, and which one of its columns where it is the name of one."""
    try:
        return [(*found, None) for found in _looked_up(trajectory, name)]
    except ParameterError as error:
        base = name.rpartition("_")[0]
        while base:  # labels may have the sign, too
            with suppress(ParameterError):
                for key, values in _looked_up(trajectory, base):
                    short = f"{key}_{name.removeprefix(f'{base}_')}"
                    if any(column == short for column, _ in _scalars(key, values)):
                        return [(key, values, short)]
            base = base.rpartition("_")[0]
        raise error


def _named(trajectory: xr.Dataset, wanted: Any) -> Iterable[tuple[str, xr.DataArray, str | None]]:
    if isinstance(wanted, Mapping):
        for name, values in wanted.items():
            if not isinstance(values, xr.DataArray):
                raise ParameterError(f"columns[{name!r}]: expected an xarray.DataArray, found {shown(values)}")
            yield str(name), values, None
        return
    single = isinstance(wanted, (str, xr.DataArray))
    if not single and not isinstance(wanted, Iterable):
        raise ParameterError(f"columns: expected names, such as ['sbo'], found {shown(wanted)}")
    for item in [wanted] if single else wanted:
        if isinstance(item, xr.DataArray):
            if item.name is None:
                raise ParameterError("columns: a DataArray has no name: give a table such as {'propensity': values}")
            yield str(item.name), item, None
        elif isinstance(item, str):
            yield from _meant(trajectory, item)
        else:
            raise ParameterError(f"columns: expected a name or an xarray.DataArray, found {shown(item)}")


def _looked_up(trajectory: xr.Dataset, name: str) -> Iterable[tuple[str, xr.DataArray]]:
    """What a name means: a variable of the trajectory, else a part of the store that it was opened from."""
    if name in trajectory.data_vars:
        return [(name, trajectory[name])]
    source = stored_source(trajectory["position"])
    if source is None or source.shape[1] != trajectory.sizes["particle"]:
        raise ParameterError(
            f"column {name!r}: not in the dataset, and its positions are no frames of a store, where it could be: "
            f"found {', '.join(_variables(trajectory))}; give the values themselves, columns={{{name!r}: values}}"
        )
    group = source.info.path.parent
    stored = _stored(group, name, trajectory)
    frames = source.frames
    rows = slice(frames.start, frames.stop, frames.step) if isinstance(frames, range) else list(frames)
    return [(label, values.isel(frame=rows) if "frame" in values.dims else values) for label, values in stored]


def _stored(group: Path, name: str, trajectory: xr.Dataset) -> list[tuple[str, xr.DataArray]]:
    """Variables of particles of a part of a store, by the name that their columns begin with."""
    kind, _, rest = name.rpartition("/") if name.count("/") < 2 else name.partition("/")
    kind, (part, _, variable) = kind or "descriptors", rest.partition("/")
    if kind not in KINDS or not is_group(group / kind / checked_name(part)):
        parts = [f"{kind}/{part}".removeprefix("descriptors/") for kind in KINDS for part in _parts(group, kind)]
        raise ParameterError(
            f"column {name!r}: expected a variable of the trajectory, a descriptor or a reduction of {group}: found "
            f"{', '.join([*_variables(trajectory), *parts])}"
        )
    found = open_descriptors(group, [part]) if kind == "descriptors" else open_reduction(group, part)
    variables = _variables(found)
    if variable:
        if variable not in variables:
            raise ParameterError(f"column {name!r}: no such variable of particles: found {', '.join(variables)}")
        variables = [variable]
    if not variables:
        raise ParameterError(f"column {name!r}: nothing in it is of single particles, found {sorted(map(str, found))}")
    return [(key if key == part else f"{part}_{key}", found[key]) for key in variables]


def _parts(group: Path, kind: str) -> list[str]:
    return [child.name for child in children(group / kind, "group")] if is_group(group / kind) else []


def _variables(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that have a number for every particle."""
    return [str(name) for name, v in dataset.data_vars.items() if "particle" in v.dims and v.dtype.kind in "fiub"]


def _fitting(name: str, values: xr.DataArray, trajectory: xr.Dataset) -> xr.DataArray:
    """The values with frame and particle first, after a check that they are those of the trajectory."""
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"column {name!r} has dtype {values.dtype}, expected numbers or true and false: convert it")
    if "particle" not in values.dims:
        raise SchemaError(f"column {name!r} has dimensions {values.dims}: expected particle, and perhaps frame")
    if clock := {"time", "step"} & {*values.dims}:
        (dim, *_) = clock
        raise SchemaError(f"column {name!r} has the dimension {dim} for frame: say .swap_dims({dim}='frame')")
    for dim in ("frame", "particle"):
        if dim in values.dims and values.sizes[dim] != trajectory.sizes[dim]:
            raise SchemaError(
                f"column {name!r} has {values.sizes[dim]} {dim}s, the trajectory {trajectory.sizes[dim]}: give values "
                "of the same frames and particles"
            )
    check_labels(values, trajectory, f"column {name!r}")
    return values.transpose(*[dim for dim in ("frame", "particle") if dim in values.dims], ...)


def _scalars(name: str, values: xr.DataArray) -> Iterable[tuple[str, xr.DataArray]]:
    """The column, or one for each feature, labelled by its coordinates."""
    dims = _feature_dims(values)
    indices = itertools.product(*[range(values.sizes[dim]) for dim in dims])
    for label, index in zip(labels_of(name, values), indices):
        yield label, values.isel(dict(zip(dims, index)), drop=True)


def labels_of(name: str, values: xr.DataArray) -> list[str]:
    """The names of the columns of a variable: its own, or one for each feature.

    Examples
    --------
    >>> labels_of("way", xr.DataArray([[0.0, 1.0]], dims=("particle", "space"), coords={"space": ["x", "y"]}))
    ['way_x', 'way_y']
    """
    labels = itertools.product(*[_labels(values, dim) for dim in _feature_dims(values)])
    return ["_".join([name, *parts]) for parts in labels]


def _feature_dims(values: xr.DataArray) -> list[Hashable]:
    return [dim for dim in values.dims if dim not in ("frame", "particle")]


def _labels(values: xr.DataArray, dim: Hashable) -> list[str]:
    """The labels of a dimension as text where they tell its entries apart, else numbers from 0 on."""
    given = values[dim].values if dim in values.coords else np.arange(values.sizes[dim])
    labels = [f"{label:.6g}" if isinstance(label, float) else str(label) for label in given.tolist()]
    return labels if len(set(labels)) == len(labels) else [str(k) for k in range(len(labels))]
