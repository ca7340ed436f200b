"""Positions that do not jump at the faces of the box, and how far particles have moved."""

from __future__ import annotations

import operator

import numpy as np
import xarray as xr

from glassdask.errors import ParameterError, SchemaError
from glassdask.kernels import dynamics as kernels
from glassdask.schema import validate

# Without images, a particle that moves by this much of the box between two frames may have gone either way round.
AMBIGUOUS = 0.45


def unwrapped(trajectory: xr.Dataset) -> xr.DataArray:
    """Positions that do not jump when a particle leaves the box on one side and enters on the other.

    With images, position + image @ box, each frame with its own box. Without them each particle is taken to have gone
    the short way between successive frames: no fractional coordinate changes by more than one half. That is right where
    frames are so close that no particle moves by half of the narrowest box width, and is refused where one comes near
    to it. Cells of a sheared box that are flipped between two frames need images.

    In a box that changes its shape these are positions in the laboratory: the affine motion of the box is part of their
    displacements, and a particle that has crossed the box many times moves with its image. See `d2min` for
    displacements without their affine part.

    Parameters
    ----------
    trajectory : Dataset of the schema, in memory or lazy

    Returns
    -------
    DataArray (frame, particle, space), lazy where the positions are

    Raises
    ------
    SchemaError
        When there are no images and a particle moves by more than 0.45 of the box between two frames; where the
        positions are lazy, when they are computed.

    Examples
    --------
    >>> import glassdask as gd
    >>> t = gd.from_arrays([[[3.5, 1.0]], [[0.5, 1.0]], [[1.5, 1.0]]], species=["A"], box=[4.0, 4.0])
    >>> unwrapped(t).values[:, 0, 0].tolist()
    [3.5, 4.5, 5.5]
    """
    validate(trajectory)
    position, box = trajectory["position"], trajectory["box"].compute()
    if "image" in trajectory:
        # whole boxes as a product of matrices: ten times as fast as a general contraction
        result = position + xr.apply_ufunc(
            operator.matmul,
            trajectory["image"],
            box,
            input_core_dims=[["particle", "axis"], ["axis", "space"]],
            output_core_dims=[["particle", "space"]],
            dask="allowed",
        )
    elif position.sizes["frame"] == 1:
        result = position
    else:
        if position.chunks is not None:
            position = position.chunk(frame=-1, space=-1)
        result = xr.apply_ufunc(
            _follow,
            position,
            box,
            xr.DataArray(np.arange(position.sizes["particle"]), dims="particle"),
            input_core_dims=[["frame", "space"], ["frame", "axis", "space"], []],
            output_core_dims=[["frame", "space"]],
            dask="parallelized",
            output_dtypes=[np.float64],
        ).transpose(*position.dims)
    return result.rename("unwrapped").assign_attrs(units="length", long_name="unwrapped positions")


def displacements(trajectory: xr.Dataset, reference: int = 0) -> xr.DataArray:
    """How far each particle has moved since the frame `reference`, r_i(t) - r_i(t_reference).

    Nothing is done about a drift of the whole system, as in the papers, whose simulations have none; without masses,
    ``d - d.mean("particle")`` removes one where all particles are alike.

    Parameters
    ----------
    trajectory : Dataset of the schema, in memory or lazy
    reference : number of a frame, negative ones from the end

    Returns
    -------
    DataArray (frame, particle, space), lazy where the positions are; see `unwrapped`

    Raises
    ------
    ParameterError
        When there is no such frame.
    SchemaError
        As `unwrapped`.

    Examples
    --------
    >>> import glassdask as gd
    >>> t = gd.from_arrays([[[3.5, 1.0]], [[0.5, 1.0]], [[1.5, 1.0]]], species=["A"], box=[4.0, 4.0])
    >>> displacements(t).values[:, 0, 0].tolist()
    [0.0, 1.0, 2.0]
    """
    n_frames = trajectory.sizes.get("frame", 0)
    if not -n_frames <= reference < n_frames:
        raise ParameterError(f"reference frame {reference}: the trajectory has frames 0 to {n_frames - 1}")
    path = unwrapped(trajectory)
    moved = path - path.isel(frame=reference, drop=True)
    return moved.rename("displacement").assign_attrs(units="length", long_name=f"displacement since frame {reference}")


def _follow(position: np.ndarray, box: np.ndarray, particle: np.ndarray) -> np.ndarray:
    """Unwrapped `position` (particle, frame, space) by the shortest steps; `box` (frame, axis, space)."""
    out = np.empty(position.shape)
    largest, at, frame = kernels.follow(np.ascontiguousarray(position), box, np.linalg.inv(box), out)
    if largest > AMBIGUOUS:
        raise SchemaError(
            f"particle {particle.flat[at]} moves by {largest:.2f} of the box between frames {frame - 1} and {frame} "
            "and there is no variable 'image': keep images or closer frames"
        )
    return out
