"""What a result was computed from, told by content: attributes survive `assign` and `isel`, and so prove nothing.

A trajectory that was opened and not touched has the content hash of its store; what is in memory, the digest of its
numbers; what is lazy otherwise, dask's token. Only the first two can turn out to be what a store holds.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr

from glassdask.errors import GlassdaskError, SchemaError, StoreError
from glassdask.graphs import compute
from glassdask.schema import UNKNOWN, check_kind
from glassdask.store.encoding import is_text
from glassdask.store.groups import content_hash
from glassdask.store.reading import open_descriptors, open_trajectory
from glassdask.store.stored import in_frames, stored_source

# what descriptors depend on, as far as it is there; velocities, energies and times they do not see
NEEDED = ("position", "box", "species")
DESCRIBED = (*NEEDED, "diameter", "periodic", "present")
VALUES = "values:"
LAZY = "lazy:"
CHANGED = "changed"
DIGEST_BYTES = 64 << 20  # that are read at a time


def identity(trajectory: xr.Dataset, also: Iterable[str] = ()) -> str:
    """What identifies what descriptors see of a trajectory, in this order of frames and particles.

    `also` are further variables that they see, such as the positions of other structures.

    Examples
    --------
    >>> import glassdask as gd
    >>> t = gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "A"], box=[2.0, 2.0])
    >>> identity(t) == identity(t.isel(particle=[0, 1])), identity(t) == identity(t.isel(particle=[1, 0]))
    (True, False)
    """
    check_kind(trajectory, xr.Dataset, "the trajectory", "make one with from_arrays or open_trajectory")
    missing = [name for name in NEEDED if name not in trajectory]
    if missing:
        raise SchemaError(f"no variable '{missing[0]}': found {sorted(map(str, trajectory.variables))}")
    described = _described(trajectory, also)
    source = stored_source(described["position"])
    if source is None and described["position"].chunks is None:
        return VALUES + digest(described)
    path = trajectory.attrs.get("store", "") if source is None else source.info.path.parent
    try:
        opened = open_trajectory(path)
    except GlassdaskError:  # none, moved, or being written anew
        opened = None
    if opened is not None and _all_same(described, _described(opened, also)):
        return content_hash(path)
    sources = {name: stored_source(v) or (v.chunks is not None and v.data.name) for name, v in described.items()}
    in_memory = digest({name: variable for name, variable in described.items() if not sources[name]})
    return LAZY + str(dask.base.tokenize(sources, in_memory))


def _described(trajectory: xr.Dataset, also: Iterable[str] = ()) -> dict[str, xr.Variable]:
    names = (*DESCRIBED, *(name for name in also if name not in DESCRIBED))
    found = {name: trajectory[name].variable for name in names if name in trajectory}
    borders = found.pop("periodic", None)
    if borders is not None and not borders.values.all():  # all axes repeat where nothing is said
        found[f"periodic, beyond {borders.attrs.get('beyond', UNKNOWN)}"] = borders
    return found


def is_stored_at(path: str | os.PathLike[str], found: str | None, also: Iterable[str] = ()) -> bool:
    """Whether a store holds the trajectory of this `identity`; reads it where only its numbers can tell."""
    if found is None or found == content_hash(path):
        return found is not None
    if not found.startswith(VALUES):
        return False
    opened = open_trajectory(path)
    return found == VALUES + digest(_described(opened, also))


def is_descriptor_at(path: str | os.PathLike[str], group: str, found: str) -> bool:
    """Whether a store holds features with these numbers, of which `found` is the `condition`."""
    name = group.removeprefix("descriptors/")
    try:
        return found == digest({"": open_descriptors(path, [name])[name].variable})
    except StoreError:
        return False


def untouched(values: xr.DataArray) -> bool:
    """Whether a lazy result is still the array that its attribute ``graph`` names, whatever chunks it is in by now.

    What is in memory is not: nothing tells any more whether it was edited or put in another order.
    """
    return isinstance(values.data, da.Array) and _is_cut_from(values.data, values.attrs.get("graph"))


def condition(values: xr.DataArray) -> str | None:
    """None of features that are `untouched`, `CHANGED` of other lazy ones, and the `digest` of what is in memory."""
    if untouched(values):
        return None
    return CHANGED if values.chunks is not None else digest({"": values.variable})


def fingerprint(dataset: xr.Dataset) -> str:
    """What tells a derived dataset from one that was edited: the numbers in memory, and the names of what is lazy."""
    memory = {str(name): v.variable for name, v in dataset.data_vars.items() if v.chunks is None}
    lazy = {
        str(name): values.attrs["graph"] if untouched(values) else values.data.name
        for name, values in dataset.data_vars.items()
        if values.chunks is not None
    }
    return hashlib.sha256(json.dumps([digest(memory), lazy], sort_keys=True).encode()).hexdigest()


def digest(variables: Mapping[str, xr.Variable]) -> str:
    """SHA-256 of names, types, shapes and values; what is lazy is computed, some frames at a time."""
    found = hashlib.sha256()
    for name, variable in variables.items():
        text = is_text(variable.dtype)
        dtype = "text" if text else variable.dtype.newbyteorder("=").str
        found.update(json.dumps([name, variable.shape, dtype]).encode())
        if text:
            found.update(json.dumps(np.asarray(variable.values).astype(str).tolist()).encode())
            continue
        for block in _blocks(variable):
            found.update(np.ascontiguousarray(block, dtype=variable.dtype.newbyteorder("=")).data)
    return found.hexdigest()


def _blocks(variable: xr.Variable) -> Any:
    """The values of a variable, one block after the other along its first dimension."""
    if variable.chunks is None or variable.ndim == 0:
        yield variable.values
        return
    frames = max(1, DIGEST_BYTES // max(1, variable[:1].nbytes))
    data = in_frames(xr.DataArray(variable), frames)
    for first, last in itertools.pairwise(np.cumsum([0, *data.chunks[0]])):
        yield from compute(data[first:last])


def _all_same(found: Mapping[str, xr.Variable], opened: Mapping[str, xr.Variable]) -> bool:
    return found.keys() == opened.keys() and all(_same(found[name], opened[name]) for name in found)


def _same(found: xr.Variable, opened: xr.Variable) -> bool:
    """Whether a variable of a dataset is the one that was opened."""
    if stored_source(found) is not None:
        return stored_source(found) == stored_source(opened)
    if opened.chunks is not None:
        return isinstance(found.data, da.Array) and _is_cut_from(found.data, opened.data.name)
    return found.shape == opened.shape and np.array_equal(found.values, opened.values)


def _is_cut_from(array: da.Array, name: str | None) -> bool:
    """Whether an array is the one that dask knows by this name, perhaps in other chunks."""
    layer = array.name
    while layer != name and layer.startswith("rechunk-"):
        below = getattr(array.dask, "dependencies", {}).get(layer, ())
        if len(below) != 1:
            return False
        (layer,) = below
    return bool(layer == name)
