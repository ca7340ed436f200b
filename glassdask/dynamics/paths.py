"""Positions that do not jump at the faces of the box, and how far particles have moved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.declarations import converted
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.graphs import compute, task_bytes
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.borders import borders_of
from glassdask.schema import validate
from glassdask.store.stored import Source, file_chunks, of_one_class, stored_source
from glassdask.variables import annotated
from glassdask.wrapping import MOST_BOXES, add_images, wrap

Scheme = Literal["lattice", "toroidal"]

# Without images, a particle that moves by this much of the box between two frames may have gone either way round.
AMBIGUOUS = 0.45
# Wrapped positions may be outside the box by this part of it.
ROUNDING = 1e-6


def unwrapped(trajectory: xr.Dataset, scheme: Scheme = "lattice") -> xr.DataArray:
    """Positions that do not jump when a particle leaves the box on one side and enters on the other.

    With images, origin + position + image @ box, each frame with its own box. Without them each particle is taken to
    have gone the short way between successive frames: no fractional coordinate changes by more than one half. That is
    right where frames are so close that no particle moves by half of the narrowest box width, and is refused where one
    comes near to it. Cells of a sheared box that are flipped between two frames need images. Where there is no
    ``origin`` the lower corner of the box is taken to stay at zero. Along open axes nothing is unwrapped.

    In a box that changes its shape these are positions in the laboratory: the affine motion of the box is part of their
    displacements, and a particle that has crossed the box many times moves with its image. With the scheme "toroidal"
    the displacements between successive frames are added up, each from the wrapped positions and with whole vectors of
    the later box, so that a box that breathes moves no particle further the longer its path is: at constant pressure
    diffusion constants are right with that one alone [1]_. Both are the same in a box that stays. All frames count,
    also those that are in between: take them as densely as they are. See `d2min` for displacements without their affine
    part.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    scheme : str, default "lattice"
        "lattice" or "toroidal".

    Returns
    -------
    DataArray (frame, particle, space), lazy where the positions are

    Raises
    ------
    SchemaError
        When there are no images and a particle moves by more than 0.45 of the box between two frames; where the
        positions are lazy, when they are computed. When particles are matched by the lines of a dump without ids.
    PositionError
        When there are images, and a position is outside the box, so that they are not the images of the positions.
    ParameterError
        When the scheme is another one.

    References
    ----------
    .. [1] J. T. Bullerjahn, S. von Bulow, M. Heidari, J. Henin and G. Hummer, J. Chem. Theory Comput. 19, 3406 (2023).

    Examples
    --------
    >>> import glassdask as gd
    >>> t = gd.from_arrays([[[3.5, 1.0]], [[0.5, 1.0]], [[1.5, 1.0]]], species=["A"], box=[4.0, 4.0])
    >>> unwrapped(t).values[:, 0, 0].tolist()
    [3.5, 4.5, 5.5]
    """
    validate(trajectory)
    check_matched(trajectory)
    scheme = converted(scheme, Scheme, "scheme")
    position, box = trajectory["position"], *compute(trajectory["box"])
    is_open = open_axes(trajectory)
    particle = xr.DataArray(np.arange(position.sizes["particle"]), dims="particle")
    if "image" in trajectory:
        parts = xr.Dataset(
            {
                "position": position,
                "image": trajectory["image"],
                "box": box,
                "frame_number": ("frame", np.arange(position.sizes["frame"])),
                "particle_number": particle,
            }
        )
        # of a long store, positions and images come in chunks of different lengths, which `parts.chunks` refuses
        if any(variable.chunks for variable in parts.variables.values()):
            parts = parts.unify_chunks()
            parts = of_one_class(parts.chunk({**parts.chunksizes, "space": -1, "axis": -1}))
        result = xr.apply_ufunc(
            partial(_place, is_open=is_open),
            *(parts[name] for name in parts.data_vars),
            input_core_dims=[["space"], ["axis"], ["axis", "space"], [], []],
            output_core_dims=[["space"]],
            dask="parallelized",
            output_dtypes=[np.float64],
        )
    elif position.sizes["frame"] == 1:
        result = position
    else:
        if position.chunks is not None:
            position = position.chunk(frame=-1, space=-1)
        result = xr.apply_ufunc(
            partial(_follow, is_open=is_open),
            position,
            box,
            particle,
            input_core_dims=[["frame", "space"], ["frame", "axis", "space"], []],
            output_core_dims=[["frame", "space"]],
            dask="parallelized",
            output_dtypes=[np.float64],
        ).transpose(*position.dims)
    if scheme == "toroidal" and position.sizes["frame"] > 1:
        if result.chunks is not None:
            position, result = (values.chunk(frame=-1, space=-1) for values in (position, result))
        result = xr.apply_ufunc(
            _toroidal,
            result,
            position,
            box,
            input_core_dims=[["frame", "space"], ["frame", "space"], ["frame", "axis", "space"]],
            output_core_dims=[["frame", "space"]],
            dask="parallelized",
            output_dtypes=[np.float64],
        ).transpose(*position.dims)
    if "origin" in trajectory:
        result = result + trajectory["origin"]
    return annotated(result.rename("unwrapped"))


def open_axes(trajectory: xr.Dataset) -> np.ndarray:
    """Whether the box is open along each axis, (d,)."""
    borders, d = borders_of(trajectory), trajectory.sizes["space"]
    return np.zeros(d, bool) if borders is None else borders.open[:d]


def placed(
    position: np.ndarray, image: np.ndarray, box: np.ndarray, frame: np.ndarray, *, is_open: np.ndarray
) -> np.ndarray:
    """The unwrapped positions (particle, space) of one frame, as `unwrapped` has them; `frame` is its number."""
    numbers = np.arange(len(position))
    return _place(position[None], image[None], box[None, None], np.reshape(frame, (1, 1)), numbers, is_open=is_open)[0]


def read_paths(trajectory: xr.Dataset, frames: np.ndarray, scheme: Scheme) -> da.Array | None:
    """`unwrapped` of these frames, each file read and its images added by one task; None of what was not just opened.

    Positions and images that are sent about apart would be twice as much.
    """
    if "image" not in trajectory or scheme != "lattice":
        return None
    sources = [stored_source(trajectory[name]) for name in ("position", "image")]
    if None in sources:
        return None
    position, image = (source.take(frames) for source in sources if source is not None)
    box = trajectory["box"].values[frames]
    origin = np.asarray(trajectory["origin"].values) if "origin" in trajectory else np.zeros(0)
    found = _Paths(position, image, box, origin[frames] if origin.ndim == 2 else origin, frames, open_axes(trajectory))
    chunks = (file_chunks(position)[0], -1, -1)
    return da.from_array(found, chunks=chunks, asarray=True, fancy=False, meta=np.empty((0, 0, 0)))


@dataclass(frozen=True)
class _Paths:
    """What dask reads as an array (frame, particle, space) of unwrapped positions."""

    position: Source
    image: Source
    box: np.ndarray
    origin: np.ndarray  # of each frame, of all alike, or empty
    frames: np.ndarray  # their numbers
    is_open: np.ndarray
    ndim = 3
    dtype = np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of it."""
        return self.position.shape

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        frames, particles, _ = key
        numbers = np.arange(self.shape[1])[particles]
        path = _place(
            self.position[key], self.image[key], self.box[frames][:, None], self.frames[frames][:, None], numbers,
            is_open=self.is_open,
        )  # fmt: skip
        if self.origin.ndim == 2:
            path += self.origin[frames][:, None]
        elif len(self.origin):
            path += self.origin
        return path


def whole_paths(values: xr.DataArray, copies: int = 1) -> xr.DataArray:
    """The same, where lazy in chunks of all frames of some particles, of which a task holds so many copies."""
    if values.chunks is None:
        return values
    rows = max(1, task_bytes() // (8 * copies * values.sizes["frame"] * values.sizes.get("space", 1)))
    chunks = {"frame": -1, "space": -1, "particle": min(rows, values.sizes["particle"])}
    return values.chunk({dim: size for dim, size in chunks.items() if dim in values.dims})


def check_matched(*trajectories: xr.Dataset) -> None:
    """Raise `SchemaError` where it is not known which particle of a frame is which of another, or one is not there."""
    for trajectory in trajectories:
        _check_identity(trajectory)
    n_frames = sum(trajectory.sizes["frame"] for trajectory in trajectories)
    if n_frames > 1 and any(trajectory["position"].attrs.get("matched_by") == "nothing" for trajectory in trajectories):
        raise SchemaError("frames are independent configurations, no particle of one is one of another: take one frame")
    by_line = any(trajectory["position"].attrs.get("matched_by") == "line" for trajectory in trajectories)
    if by_line and n_frames > 1:
        raise SchemaError(
            "particles are matched by their lines in files without ids, which may be exchanged: write them "
            "with ids, or where you know that they keep the order, del trajectory['position'].attrs['matched_by']"
        )


def _check_identity(trajectory: xr.Dataset) -> None:
    """Raise `SchemaError` where species change from frame to frame, or particles come and go."""
    if trajectory["species"].ndim == 2 and trajectory.sizes["frame"] > 1:
        raise SchemaError(
            "the species of particles change from frame to frame, as in swap Monte Carlo and of independent samples: "
            "they cannot be followed; take frames one by one, or where particles are the same nevertheless, "
            "trajectory.assign(species=trajectory['species'].isel(frame=0, drop=True))"
        )
    if "present" not in trajectory:
        return
    (always,) = compute(trajectory["present"].all("frame"))
    if not always.all():
        raise SchemaError(
            f"particle {int(np.argmin(always.values))} is absent from a frame, and particles that come and go are not "
            "followed: take those that stay, trajectory.isel(particle=trajectory['present'].all('frame').values)"
        )


def displacements(trajectory: xr.Dataset, reference: int = 0, *, scheme: Scheme = "lattice") -> xr.DataArray:
    """How far each particle has moved since the frame `reference`, r_i(t) - r_i(t_reference).

    Nothing is done about a drift of the whole system, as in the papers, whose simulations have none; without masses,
    ``d - d.mean("particle")`` removes one where all particles are alike.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    reference : int, default 0
        Number of a frame, negative ones from the end.
    scheme : str, default "lattice"
        See `unwrapped`.

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
    validate(trajectory)
    n_frames = trajectory.sizes["frame"]
    reference = converted(reference, int, "reference")
    if not -n_frames <= reference < n_frames:
        raise ParameterError(f"reference frame {reference}: the trajectory has frames 0 to {n_frames - 1}")
    path = unwrapped(trajectory, scheme)
    moved = path - path.isel(frame=reference, drop=True)
    return annotated(moved.rename("displacement").assign_attrs(reference=reference))


def _place(
    position: np.ndarray, image: np.ndarray, box: np.ndarray, frame: np.ndarray, particle: np.ndarray,
    *, is_open: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """position + image @ box (frame, particle, space), after a check that the images are those of the positions.

    `box` (frame, 1, axis, space), `frame` (frame, 1), `particle` (particle,) numbers for the error.
    """
    if image.dtype != np.int32:
        image = add_images(image, 0)
    cell, inverse = np.where(is_open[:, None], 0.0, box[:, 0]), np.where(is_open, 0.0, np.linalg.inv(box[:, 0]))
    position = np.ascontiguousarray(position, dtype=np.float64)
    out = np.empty(position.shape)
    f, p = kernels.place(position, np.ascontiguousarray(image), cell, inverse, ROUNDING, out)
    if f >= 0:
        raise PositionError(
            f"frame {frame[f, 0]}, particle {particle.ravel()[p]}: position {position[f, p].tolist()} is outside the "
            "box, but there are images: make the trajectory with from_arrays(position, image=...), or drop 'image'"
        )
    return out


def _toroidal(path: np.ndarray, position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Steps of wrapped positions and whole vectors of the later box, added up (particle, frame, space).

    `path` has whole vectors of each frame's own box; `box` (frame, axis, space).
    """
    images = np.rint(np.einsum("pfs,fsa->pfa", path - position, np.linalg.inv(box)))
    steps = np.diff(position, axis=1) + np.einsum("pfa,fas->pfs", np.diff(images, axis=1), box[1:])
    return np.concatenate([path[:, :1], path[:, :1] + np.cumsum(steps, axis=1)], axis=1)


def _follow(position: np.ndarray, box: np.ndarray, particle: np.ndarray, *, is_open: np.ndarray) -> np.ndarray:
    """Unwrapped `position` (particle, frame, space) by the shortest steps; `box` (frame, axis, space)."""
    out = np.empty(position.shape)
    inverse = np.where(is_open, 0.0, np.linalg.inv(box))  # all fractions are the same where there are no images
    if np.abs(position).max(initial=0.0) * np.abs(inverse).sum(axis=1).max() >= MOST_BOXES:
        wrap(position.swapaxes(0, 1), box)  # says which
    largest, at, frame = kernels.follow(np.ascontiguousarray(position), box, inverse, out)
    if largest > AMBIGUOUS:
        raise SchemaError(
            f"particle {particle.flat[at]} moves by {largest:.2f} of the box between frames {frame - 1} and {frame} "
            "and there is no variable 'image': keep images or closer frames"
        )
    return out
