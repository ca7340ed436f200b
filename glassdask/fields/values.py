"""What the fields accept: values of the particles of a trajectory."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import xarray as xr

from glassdask.errors import SchemaError
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_kind, check_labels, validate


def particle_values(values: Any, trajectory: Any) -> tuple[xr.DataArray, dict[str, int]]:
    """Values (frame, particle, ...) with these dimensions first, and the sizes of the others.

    Those without frames, such as diameters or columns that are kept and never change, are the same in all of them.

    Raises
    ------
    SchemaError
        When they are not labelled, lack a dimension, are no real numbers, or are of frames or particles in another
        order than the trajectory's, as their coordinates tell.
    """
    validate(trajectory)
    remedy = "put a name to each dimension, such as xarray.DataArray(x, dims=('frame', 'particle'))"
    check_kind(values, xr.DataArray, "the values", remedy)
    if "particle" not in values.dims:
        raise SchemaError(f"the values have dimensions {values.dims}, expected (frame, particle, ...): {remedy}")
    if "frame" not in values.dims:
        values = values.expand_dims(frame=trajectory.sizes["frame"])
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"the values have dtype {values.dtype}, expected real numbers: convert them to float")
    check_labels(values, trajectory)
    rest = {str(dim): size for dim, size in values.sizes.items() if dim not in ("frame", "particle")}
    return values.transpose("frame", "particle", *rest), rest


def lost_values(
    configuration: Configuration, values: np.ndarray, centers: str | Collection[str] | None
) -> np.ndarray | None:
    """Where values (N, ...) are undefined that an average near open borders would need; None where there are no such.

    Of species that are not among the `centers` nothing was to be known.
    """
    if configuration.sight is None:
        return None
    wanted = centers.split() if isinstance(centers, str) else centers
    expected = np.array([wanted is None or name in wanted for name in configuration.names])[configuration.species]
    return ~np.isfinite(values) & expected.reshape(-1, *[1] * (values.ndim - 1))
