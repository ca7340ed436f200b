"""Open what is stored as `xarray.Dataset`s, lazily, never with a fill value in place of a lost chunk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from glassdask.errors import CorruptStoreError, IncompleteStoreError, SchemaError, StoreError, near
from glassdask.files import one_line
from glassdask.schema import validate
from glassdask.store import layout
from glassdask.store.arrays import ArrayInfo, arrays, read_region
from glassdask.store.encoding import decode_names, decode_text
from glassdask.store.groups import COMPLETE, attributes, children, content_hash, is_group
from glassdask.store.metadata import SEAL
from glassdask.store.origins import out_of_date, version_of
from glassdask.store.others import refuse_others
from glassdask.store.stored import IndexedArray, Source, StoredArray
from glassdask.variables import TRAJECTORY

# of a trajectory: small enough to be read at once, needed to plan the work
IN_MEMORY = ("box", "origin", "species", "time", "step", "id", "periodic", "diameter")
# attributes that belong to the machinery of the store, not to the dataset
HIDDEN = ("status", "coordinates", "text", "key", "appending", "commits", "content", "stored_as", "varied", SEAL)


Lazy = Callable[[Source], Any]


def _indexed(source: Source) -> indexing.LazilyIndexedArray:
    return indexing.LazilyIndexedArray(IndexedArray(source))


@one_line
def open_group(path: str | os.PathLike[str], name: str | None = None) -> xr.Dataset:
    """A trajectory, or a group that was derived from it, as `xarray.open_dataset` wants it.

    Its variables are read when they are used, and are no dask arrays. The group is at `path`, or `name` below it.
    """
    group = layout.checked_path(path) / (layout.checked_name(name) if name else "")
    if "input" not in attributes(group):
        return _open_trajectory(group, _indexed)
    return _current(group, _indexed)


def _open_group(path: Path, eager: tuple[str, ...] | None, lazy: Lazy = StoredArray.of) -> xr.Dataset:
    """The dataset of one complete group; arrays named in `eager` (None: small ones and coordinates) are read."""
    attrs = attributes(path)
    if not is_group(path):
        raise StoreError(f"{path}: an array, expected a group: give the path of the group above it")
    if "status" not in attrs:
        inside = ", ".join(_inside(path))
        remedy = f"give the path of one of {inside}" if inside else "glassdask info tells what it is"
        raise StoreError(f"{path}: a group without data of its own: {remedy}")
    if attrs["status"] != COMPLETE:
        raise IncompleteStoreError(f"{path}: not written completely: run the same command again to continue")
    token = content_hash(path)
    coordinates = str(attrs.get("coordinates", "")).split()
    variables: dict[str, Any] = {}
    infos = arrays(path)
    at_once = {info.name for info in infos if _in_memory(info, coordinates, eager)}
    widest = max((layout.n_bytes(info.unit, info.dtype) for info in infos if info.name not in at_once), default=0)
    for info in infos:
        named, in_memory = "flag_meanings" in info.attrs, info.name in at_once
        whole = tuple(slice(0, size) for size in info.shape)
        values = read_region(info, whole) if in_memory else lazy(Source.whole(info, token, widest))
        array_attrs = info.attrs
        encoding = {} if in_memory else {"preferred_chunks": dict(zip(info.dims, info.unit))}
        if named:
            values, array_attrs = decode_names(np.asarray(values), array_attrs, str(info.path))
        variables[info.name] = (info.dims, values, array_attrs, encoding)
    text = attrs.get("text", {})
    variables |= {name: decode_text(stored) for name, stored in text.items()}
    coordinates += [name for name, stored in text.items() if stored.get("coordinate")]
    shown = {key: value for key, value in attrs.items() if key not in HIDDEN}
    try:
        dataset = xr.Dataset(variables, attrs={**shown, "store": str(path)})
    except ValueError as error:
        raise CorruptStoreError(f"{path}: arrays disagree in size ({error}): write the group again") from None
    if content_hash(path) != token:  # overwritten, or more frames have come, while it was read
        return _open_group(path, eager, lazy)
    return dataset.set_coords([name for name in coordinates if name in dataset.variables])


def _in_memory(info: ArrayInfo, coordinates: list[str], eager: tuple[str, ...] | None) -> bool:
    """Whether an array is read when its group is opened."""
    small = eager is not None and info.name in eager and info.dims != ("frame", "particle")
    return info.name in (*coordinates, *info.dims) or "flag_meanings" in info.attrs or small


def _inside(path: Path) -> list[str]:
    return [child.name for child in children(path, "group")]


def _present(folder: Path, names: list[str]) -> list[str]:
    """Those of the names that are there; all that is there where one is not."""
    if all(is_group(folder / layout.checked_name(name)) for name in names):
        return names
    return _inside(folder) if is_group(folder) else []


@one_line
def open_trajectory(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open the trajectory of a store; positions, velocities and the like are read when they are computed.

    Parameters
    ----------
    path : path or address
        A store, or a state point inside a tree, such as ``sweep.zarr/KA/T=0.450``; also where fsspec reads it:
        ``s3://bucket/run.zarr``, ``https://host/run.zarr``.

    Returns
    -------
    xarray.Dataset
        The dataset of `from_arrays`: dimensions frame, particle, space. position, velocity, image, energy and what
        else is of every particle in every frame are dask arrays in chunks of the same frames, some whole files each;
        the others are in memory, and so are the species. Its attributes are
        those of the dataset that was stored plus the provenance: ``glassdask_version``, ``created``, ``versions``,
        ``sources``, ``parameters``, and ``store``, the path.

    Raises
    ------
    StoreError
        Not a store.
    IncompleteStoreError
        An ingestion or append was interrupted: run the same command again.
    StoreVersionError
        The store was written by a newer schema.
    CorruptStoreError
        Metadata or a chunk are damaged; for lazy variables this is raised when they are computed.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> from glassdask.store import save_trajectory
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays(np.array([[[0.5, 0.5], [1.5, 0.5]]]), species=["A", "B"], box=[2.0, 2.0])
    >>> save_trajectory(t, folder.name + "/run.zarr")
    >>> opened = open_trajectory(folder.name + "/run.zarr")
    >>> dict(opened.sizes), opened["position"].values[0, 1].tolist()
    ({'frame': 1, 'particle': 2, 'space': 2, 'axis': 2}, [1.5, 0.5])
    >>> folder.cleanup()
    """
    group = layout.checked_path(path)
    if not (group / "zarr.json").exists() and not group.exists():
        raise StoreError(f"{path}: does not exist: check the path, or ingest a trajectory first")
    refuse_others(group, path)
    return _open_trajectory(group, StoredArray.of)


def _open_trajectory(group: Path, lazy: Lazy) -> xr.Dataset:
    dataset = _open_group(group, IN_MEMORY, lazy)
    order = [name for name in TRAJECTORY if name in dataset.data_vars]
    dataset = dataset[[*order, *[name for name in dataset.data_vars if name not in order]]]
    try:
        return validate(dataset)
    except SchemaError as error:
        raise StoreError(f"{group}: not a trajectory ({error}): give the path of a trajectory") from None


@one_line
def open_descriptors(path: str | os.PathLike[str], names: list[str] | None = None) -> xr.Dataset:
    """Open the descriptors of a store, lazily, as one dataset.

    Parameters
    ----------
    path : path
        The store (or state point) that holds the trajectory they were computed from.
    names : list of str, optional
        Which ones; by default all that are complete.

    Returns
    -------
    xarray.Dataset
        An array (frame, particle, features...) for each descriptor with the coordinates of its features, and the
        coordinates of particles that were stored with it (species, center). Where two descriptors have a feature
        dimension or another coordinate of the same name and different values, the later one's is renamed to
        NAME_DESCRIPTOR. The attributes of a descriptor's array include its ``parameters``, and ``input``,
        ``made_from`` and ``graph``, by which `save_reduction` knows what a reduction was made from.

    Raises
    ------
    StoreError
        No such descriptor, or one that was computed for an earlier state of the trajectory.
    IncompleteStoreError
        A descriptor asked for was interrupted: run the same command again.
    """
    group = layout.checked_path(path)
    folder = group / "descriptors"
    if names is None:
        present = _inside(folder) if is_group(folder) else []
        wanted = [name for name in present if attributes(folder / name).get("status") == COMPLETE]
    else:
        wanted = list(names)
        present = _present(folder, wanted)
    missing = [name for name in wanted if name not in present]
    if missing or not wanted:
        hint = near(missing[0], present) if missing else ""
        what = f"no descriptor {', '.join(missing)} is" if missing else "no descriptors are"
        raise StoreError(f"{path}: {what} stored, found {', '.join(present) or 'none'}: describe it first{hint}")
    merged = xr.Dataset()
    current = content_hash(group)
    for name in wanted:
        dataset = _current(folder / layout.checked_name(name))
        origin = {"input": current, "made_from": {f"descriptors/{name}": version_of(folder / name)}}
        for variable in dataset.data_vars.values():
            variable.attrs.setdefault("parameters", dataset.attrs.get("parameters"))
            variable.attrs |= origin
            if variable.chunks is not None:
                variable.attrs["graph"] = variable.data.name
        dataset.attrs = {}
        merged = xr.merge([merged, _renamed(dataset, merged, name)], join="exact", compat="no_conflicts")
    return merged.assign_attrs({"store": str(group)})


@one_line
def open_reduction(path: str | os.PathLike[str], name: str) -> xr.Dataset:
    """Open the reduction ``reductions/NAME`` of a store, lazily: the dataset of `glassdask.reduce`.

    Raises
    ------
    StoreError
        No such reduction, or one that was computed for an earlier state of the trajectory or of its descriptor.
    IncompleteStoreError
        It was interrupted: run the same command again.
    """
    group = layout.checked_path(path)
    folder = group / "reductions"
    present = _present(folder, [name])
    if name not in present:
        found = ", ".join(present) or "none"
        raise StoreError(
            f"{path}: no reduction '{name}' is stored, found {found}: reduce it first{near(name, present)}"
        )
    return _current(folder / layout.checked_name(name))


def _current(group: Path, lazy: Lazy = StoredArray.of) -> xr.Dataset:
    """A derived group, unless what it was made from has changed since."""
    reason = out_of_date(group)
    if reason:
        raise StoreError(f"{group}: {reason}")
    return _open_group(group, None, lazy)


def _renamed(dataset: xr.Dataset, merged: xr.Dataset, name: str) -> xr.Dataset:
    """`dataset` with the names of dimensions and coordinates that clash with those of `merged` made unique."""
    renames: dict[Any, str] = {}
    for dim in dataset.dims:
        shared = dim in merged.dims and str(dim) not in ("frame", "particle")
        if shared and (dataset.sizes[dim] != merged.sizes[dim] or not dataset[dim].equals(merged[dim])):
            renames[dim] = f"{dim}_{name}"
    for coordinate in dataset.coords:
        if coordinate in merged.variables and not dataset[coordinate].equals(merged[coordinate]):
            renames[coordinate] = f"{coordinate}_{name}"
    return dataset.rename(renames)
