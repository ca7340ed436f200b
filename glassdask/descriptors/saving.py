"""From lazy features to a store: every descriptor its own group, all of them in one pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Literal

import xarray as xr

from glassdask.declarations import converted, flags
from glassdask.descriptors.base import check_name
from glassdask.descriptors.features import center_species
from glassdask.descriptors.structures import STRUCTURE, STRUCTURES
from glassdask.errors import StoreError
from glassdask.files import check_links
from glassdask.schema import check_kind
from glassdask.store import write_dataset, write_datasets
from glassdask.store.groups import is_group
from glassdask.store.identity import CHANGED, fingerprint, is_descriptor_at, is_stored_at, untouched
from glassdask.store.layout import checked_part, checked_path
from glassdask.store.origins import version_of

Precision = Literal["float32", "float64"]
FULL = "float64"
Progress = Callable[[int, int], None]

# by which a result is known, and which belong to what is in memory, not to what is stored
ORIGIN = ("input", "graph", "made_from")
OWN = "store it with glassdask.store.write_dataset under parameters of your own"


def save_descriptors(
    features: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Compute the descriptors of `describe` and store each as ``descriptors/NAME`` below the store `path`.

    One pass over the neighbours serves all of them; results go from the task that computes them straight to the store.
    The same call continues where it was interrupted and does nothing where all is there.

    Parameters
    ----------
    features : xarray.Dataset
        Of `describe`, made from ``open_trajectory(path)`` or from the same positions, boxes and species in memory. It
        must still be lazy: ``features.persist()`` keeps results in memory and can be stored, ``features.load()``
        cannot, because nothing would show whether they were edited since.
    path : str or path
        The store, or a state point inside a tree.
    dtype : str, default "float32"
        "float32" or "float64", in which the numbers are stored. They are computed in double precision; single precision
        halves files and reading, and changes principal components, regressions and correlations by far less than their
        statistical error (deploy/SCALING.md shows it).
    overwrite : bool, default False
        Replace descriptors of the same name with other parameters, or of other code; otherwise they are a `StoreError`.
        Those that are the same are kept.
    progress : callable, optional
        Called with the numbers of finished and of all blocks.

    Raises
    ------
    StoreError
        When the features are of another trajectory than the store's (other positions, such as inherent ones, some of
        its frames, or another order), or are no longer what `describe` gave; when the store holds other descriptors of
        these names.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = folder.name + "/run.zarr"
    >>> rng = np.random.default_rng(1)
    >>> gd.save_trajectory(gd.from_arrays(rng.random((2, 60, 3)) * 4, species=["A"] * 60, box=[4.0] * 3), store)
    >>> gd.save_descriptors(gd.describe(gd.open_trajectory(store), [gd.BondOrder(cutoffs=1.5)]), store)
    >>> gd.open_descriptors(store)["bo"].shape
    (2, 60, 8)
    >>> folder.cleanup()
    """
    flags(overwrite=overwrite)
    dtype = converted(dtype, Precision, "dtype")
    check_links(checked_path(path))
    check_kind(features, xr.Dataset, "the features", "give what describe returned")
    if not features.data_vars:
        raise StoreError(f"{path}: the features hold no variable: give what describe returned")
    datasets, parameters, code = {}, {}, {}
    for name, variable in features.data_vars.items():
        check_name(name)
        group = f"descriptors/{name}"
        if _is_read_from(variable, path, group):
            continue
        _check(variable, path)
        datasets[group] = features[[name]].drop_attrs(deep=False)
        datasets[group][name] = _without_origin(variable).astype(dtype)
        unused = [c for c in datasets[group].coords if not set(datasets[group][c].dims) <= set(variable.dims)]
        datasets[group] = _named_as_alone(datasets[group].drop_vars(unused), str(name))
        parameters[group] = {
            **json.loads(variable.attrs["parameters"]),
            "centers": center_species(variable),
        }
        if dtype != FULL:  # as all were stored once, without saying so
            parameters[group]["dtype"] = dtype
        code[group] = variable.attrs["code"]
    write_datasets(datasets, path, parameters=parameters, code=code, overwrite=overwrite, on_block=progress)


def save_reduction(
    reduced: xr.Dataset,
    path: str | os.PathLike[str],
    name: str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Store the dataset of `reduce` or `classify` as ``reductions/NAME`` of a store; resumes like `save_descriptors`.

    The features must be those of the store's trajectory: of `describe`, or of ``open_descriptors(path)``, loaded or
    not. A reduction of stored descriptors is out of date once these are replaced.

    Raises
    ------
    StoreError
        When the features are of other data, or they or the reduction were changed since; when the store holds another
        reduction of this name.
    """
    flags(overwrite=overwrite)
    check_links(checked_path(path))
    check_kind(reduced, xr.Dataset, "the reduction", "give what reduce or classify returned")
    checked_part(name)
    origin = json.loads(reduced.attrs.get("origin", "{}"))
    if not origin:
        raise StoreError(f"{path}: '{name}' is no result of reduce (no attribute 'origin'): {OWN}")
    if origin["result"] != fingerprint(reduced):
        raise StoreError(
            f"{path}: the reduction '{name}' was loaded into memory or changed since reduce gave it: store what reduce "
            f"gives (persist() keeps it in memory), or {OWN}"
        )
    made_from = _made_from(origin, path, name)
    _require(is_stored_at(path, origin["input"]), path, f"reduction '{name}'")
    stored = reduced.assign({known: _without_origin(values) for known, values in reduced.data_vars.items()})
    del stored.attrs["origin"]
    parameters = json.loads(reduced.attrs["reduction"])
    write_dataset(
        stored, path, f"reductions/{name}", parameters=parameters, code=reduced.attrs["code"], made_from=made_from,
        overwrite=overwrite, on_block=progress,
    )  # fmt: skip


def _check(variable: xr.DataArray, path: str | os.PathLike[str]) -> None:
    """Refuse what is not, or no longer, a result of `describe` for the trajectory of this store."""
    if not {"parameters", "centers", "code", "input", "graph"} <= variable.attrs.keys():
        raise StoreError(f"{path}: '{variable.name}' is no result of describe: {OWN}")
    structures = json.loads(variable.attrs["parameters"]).get(STRUCTURES, [])
    if not untouched(variable) or (structures and variable[STRUCTURE].values.tolist() != structures):
        what = "changed since describe gave it" if variable.chunks else "in memory, where nothing shows edits"
        raise StoreError(
            f"{path}: '{variable.name}' is {what}: store the lazy result of describe (persist() keeps it in memory), "
            f"or {OWN}"
        )
    _require(is_stored_at(path, variable.attrs["input"], structures), path, f"'{variable.name}'")


def _require(same: bool, path: str | os.PathLike[str], what: str) -> None:
    if not same:
        raise StoreError(
            f"{path}: {what}: computed from other positions, boxes or species than the store's (or part of them, or "
            f"in another order): describe open_trajectory('{path}') as it is, or save that trajectory as a store of "
            "its own"
        )


def _is_read_from(variable: xr.DataArray, path: str | os.PathLike[str], group: str) -> bool:
    """Whether a variable was opened from this very group, which then holds it already."""
    key = variable.attrs.get("made_from", {}).get(group)
    place = checked_path(path) / group
    return key is not None and untouched(variable) and is_group(place) and version_of(place) == key


def _made_from(origin: dict[str, Any], path: str | os.PathLike[str], name: str) -> dict[str, str]:
    """The stored descriptor that a reduction was made from, with its key; none where `describe` gave the features."""
    if origin["features"] == CHANGED:
        raise StoreError(f"{path}: the features of the reduction '{name}' were changed before they were reduced: {OWN}")
    root, found = checked_path(path), origin["made_from"]
    if origin["features"] is not None:  # in memory: only those that are stored are known
        group = next(iter(found), f"descriptors/{origin['name']}")
        if not is_descriptor_at(path, group, origin["features"]):
            raise StoreError(
                f"{path}: the features of the reduction '{name}' were in memory, and {group} does not hold the same: "
                "save the descriptor first and reduce what open_descriptors gives, or reduce what is lazy"
            )
        return {group: str(version_of(root / group))}
    for group, key in found.items():
        if is_group(root / group) and version_of(root / group) != key:
            raise StoreError(f"{path}: {group} was changed since it was opened: open and reduce it again")
    return {group: key for group, key in found.items() if is_group(root / group)}


def _named_as_alone(features: xr.Dataset, name: str) -> xr.Dataset:
    """Features with the names of dimensions that they have without the descriptors they were computed with."""
    suffix = f"_{name}"
    short = {each: str(each).removesuffix(suffix) for each in features.coords if str(each).endswith(suffix)}
    short |= {each: str(each).removesuffix(suffix) for each in features.dims if str(each).endswith(suffix)}
    taken = {*features.dims, *features.variables}
    return features.rename({each: bare for each, bare in short.items() if bare and bare not in taken})


def _without_origin(variable: xr.DataArray) -> xr.DataArray:
    """A variable without the attributes by which it is known in memory."""
    kept = {key: value for key, value in variable.attrs.items() if key not in ORIGIN}
    return variable.drop_attrs().assign_attrs(kept)
