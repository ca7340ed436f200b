"""What the fields accept: values of the particles of a trajectory."""

from __future__ import annotations

from typing import Any

import xarray as xr

from glassdask.errors import SchemaError
from glassdask.schema import check_kind, check_labels, validate


def particle_values(values: Any, trajectory: Any) -> tuple[xr.DataArray, dict[str, int]]:
    """Values (frame, particle, ...) with these dimensions first, and the sizes of the others.

    Raises
    ------
    SchemaError
        When they are not labelled, lack a dimension, are no real numbers, or are of frames or particles in another
        order than the trajectory's, as their coordinates tell.
    """
    validate(trajectory)
    remedy = "put a name to each dimension, such as xarray.DataArray(x, dims=('frame', 'particle'))"
    check_kind(values, xr.DataArray, "the values", remedy)
    if not {"frame", "particle"} <= {*values.dims}:
        raise SchemaError(
            f"the values have dimensions {values.dims}, expected (frame, particle, ...): {remedy}, or "
            "expand_dims('frame') for one frame"
        )
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"the values have dtype {values.dtype}, expected real numbers: convert them to float")
    check_labels(values, trajectory)
    rest = {str(dim): size for dim, size in values.sizes.items() if dim not in ("frame", "particle")}
    return values.transpose("frame", "particle", *rest), rest
