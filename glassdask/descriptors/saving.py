"""From lazy features to a store: every descriptor its own group, all of them in one pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from glassdask.descriptors.features import center_species
from glassdask.errors import StoreError
from glassdask.store import open_trajectory, write_dataset, write_datasets

Progress = Callable[[int, int], None]


def save_descriptors(
    features: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Compute the descriptors of `describe` and store each as ``descriptors/NAME`` below the store `path`.

    One pass over the neighbours serves all of them; results go from the task that computes them straight to the store.
    The same call continues where it was interrupted and does nothing where all is there.

    Parameters
    ----------
    features : Dataset of `describe`, made from ``open_trajectory(path)``
    path : the store, or a state point inside a tree
    overwrite : replace descriptors of the same name with other parameters; otherwise they are a `StoreError`
    progress : called with the numbers of finished and of all blocks

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
    source = features.attrs.get("store")
    if source is None or Path(source).resolve() != Path(path).resolve():
        raise StoreError(
            f"{path}: the descriptors were computed from {source or 'a trajectory in memory'}: describe "
            f"open_trajectory('{path}')"
        )
    _same_sizes(features, path)
    datasets, parameters = {}, {}
    for name, variable in features.data_vars.items():
        group = f"descriptors/{name}"
        datasets[group] = features[[name]].drop_attrs(deep=False)
        unused = [c for c in datasets[group].coords if not set(datasets[group][c].dims) <= set(variable.dims)]
        datasets[group] = datasets[group].drop_vars(unused)
        parameters[group] = {
            **json.loads(variable.attrs["parameters"]),
            "centers": center_species(variable),
        }
    write_datasets(datasets, path, parameters=parameters, overwrite=overwrite, on_block=progress)


def save_reduction(
    reduced: xr.Dataset,
    path: str | os.PathLike[str],
    name: str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Store the dataset of `reduce` as ``reductions/NAME`` below a store; it resumes like `save_descriptors`."""
    _same_sizes(reduced, path)
    parameters = json.loads(reduced.attrs["reduction"])
    write_dataset(reduced, path, f"reductions/{name}", parameters=parameters, overwrite=overwrite, on_block=progress)


def _same_sizes(derived: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Refuse what was derived from some of the frames or particles only."""
    trajectory = open_trajectory(path)
    for dim in ("frame", "particle"):
        if derived.sizes[dim] != trajectory.sizes[dim]:
            raise StoreError(
                f"{path}: holds {trajectory.sizes[dim]} along {dim}, what is to be stored {derived.sizes[dim]}: derive "
                "it from the whole trajectory, or save the selection as a store of its own"
            )
