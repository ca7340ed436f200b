"""What is drawn of particles: where they are, how large, and with which value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from glassdask.errors import ParameterError, SchemaError


def appearance(
    trajectory: xr.Dataset, values: xr.DataArray | None, frame: int, diameters: Mapping[str, float] | float | None
) -> dict[str, Any]:
    """What is drawn of a frame: position, diameter and value of every particle, the box, and how they are labelled."""
    n_frames = trajectory.sizes["frame"]
    if not -n_frames <= frame < n_frames:
        raise ParameterError(f"frame {frame} is not there: the trajectory has {n_frames}, from 0 to {n_frames - 1}")
    here = trajectory[[name for name in ("position", "box", "species", "diameter") if name in trajectory]].isel(
        frame=frame
    )
    position, box = here["position"].values, here["box"].values
    species = here["species"].values.astype(str)
    there = np.isfinite(position).all(axis=1)
    spacing = float((abs(np.linalg.det(box)) / max(1, there.sum())) ** (1 / len(box)))
    names = np.unique(species[there])
    if isinstance(diameters, Mapping):
        missing = sorted(set(names.tolist()) - set(diameters))
        if missing:
            raise ParameterError(f"diameters: none of species {', '.join(missing)}: give one for each")
        diameter = np.array([diameters.get(name, 0.0) for name in species.tolist()], dtype=np.float64)
    elif diameters is None and "diameter" in here:
        diameter = here["diameter"].values
    else:
        diameter = np.full(len(position), 0.9 * spacing if diameters is None else float(diameters))
    found: dict[str, Any] = {"position": position, "box": box, "diameter": diameter, "spacing": spacing, "names": []}
    if values is None:
        return {**found, "names": names.tolist(), "label": "species",
                "value": np.searchsorted(names, species).astype(np.float64)}  # fmt: skip
    sizes = {"frame": n_frames, "particle": len(position)}
    if set(values.dims) - set(sizes) or "particle" not in values.dims:
        raise SchemaError(f"values have dimensions {values.dims}, expected one number for each particle: select one")
    if any(values.sizes[dim] != sizes[str(dim)] for dim in values.dims):
        raise SchemaError(
            f"values have sizes {dict(values.sizes)}, the trajectory {sizes}: give values of the same particles"
        )
    value = values.isel(frame=frame) if "frame" in values.dims else values
    unit = str(values.attrs.get("units", ""))
    label = str(values.name or values.attrs.get("long_name", ""))
    classes = list(value.attrs.get("classes", ()))
    return {**found, "value": np.asarray(value.values, dtype=np.float64), "classes": classes,
            "whole": value.dtype.kind in "biu" or bool(classes),
            "label": f"{label} ({unit})" if unit else label}  # fmt: skip
