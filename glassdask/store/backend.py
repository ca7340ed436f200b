"""Stores for xarray: ``xarray.open_dataset(path)``, also with ``engine="glassdask"`` and ``chunks={}``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from glassdask.errors import GlassdaskError
from glassdask.store.groups import attributes
from glassdask.store.layout import checked_path
from glassdask.store.reading import open_group


class StoreBackend(BackendEntrypoint):
    """Opens a trajectory, or with ``group="descriptors/NAME"`` what was derived from it; numbers are read when needed.

    A chunk that is missing or damaged is an error, never a fill value. With ``chunks=`` the variables are dask arrays.

    Examples
    --------
    >>> import tempfile, numpy as np, glassdask as gd
    >>> folder = tempfile.TemporaryDirectory()
    >>> t = gd.from_arrays(np.zeros((9, 1, 2)), species=["A"], box=[2.0, 2.0])
    >>> gd.save_trajectory(t, folder.name + "/run.zarr")
    >>> xr.open_dataset(folder.name + "/run.zarr", engine=StoreBackend)["position"].isel(frame=slice(3)).shape
    (3, 1, 2)
    >>> folder.cleanup()
    """

    description = "Stores of glassdask: trajectories and what was computed from them"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group")

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, group: str | None = None
    ) -> xr.Dataset:
        """See `xarray.open_dataset`."""
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or [])
        return open_group(filename_or_obj, group).drop_vars(dropped, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is the path of something that we stored."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        try:
            found = attributes(checked_path(filename_or_obj))
        except (GlassdaskError, OSError):
            return False
        return "status" in found and "glassdask_version" in found
