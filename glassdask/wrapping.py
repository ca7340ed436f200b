"""Positions that are put into the box, and the images that tell where they came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.errors import PositionError

# A position this many boxes away has lost its place in the box to rounding, and its image does not fit 32 bits.
MOST_BOXES = 2.0**31
# Programs wrap particles when they rebuild their neighbour lists; until then some are this part of the box outside.
SLACK = 0.05
# Fewer particles may all be in one cell by chance.
FEW = 30


def wrap(
    position: np.ndarray, box: np.ndarray, where: str | None = None, periodic: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frame, particle, space) folded into the box, and the image (frame, particle, axis) they came from.

    position_in = position_out + image @ box. A particle on the upper face is put on the lower one. Along an axis that
    is not `periodic` (axis,) nothing is folded. Absent particles stay NaN, with image 0. A `PositionError` about a
    particle so far away that nothing of its place in the box is left begins with `where`, or with its frame.

    Examples
    --------
    >>> p, image = wrap(np.array([[[2.5, -0.5]]]), np.array([[[2.0, 0.0], [0.0, 2.0]]]))
    >>> p.tolist(), image.tolist()
    ([[[0.5, 1.5]]], [[[1, -1]]])
    """
    inverse = np.linalg.inv(box)
    image = np.floor(position @ inverse)
    open_axes = np.zeros(box.shape[-1], bool) if periodic is None else ~np.asarray(periodic)
    image[..., open_axes] = 0.0
    wrapped = np.array(position, dtype=np.float64)
    if image.any():
        image[np.isnan(image)] = 0.0
        outside = image.any(axis=-1)
        frames = np.nonzero(outside)[0]
        far = np.abs(image[outside]).max(axis=-1)
        if far.max(initial=0.0) >= MOST_BOXES:
            frame, particle = np.argwhere(outside)[np.argmax(far)]
            raise PositionError(
                f"{where or f'frame {frame}'}, particle {particle}: position {position[frame, particle].tolist()} is "
                f"{far.max():.3g} boxes away, where rounding leaves no place in the box: remove or repair this frame"
            )
        wrapped[outside] -= np.einsum("na,nas->ns", image[outside], box[frames])
        # rounding may leave a tiny negative fraction at the upper face: that point is the lower face itself
        fraction = np.einsum("ns,nsa->na", wrapped[outside], inverse[frames])
        edge = (fraction >= 1.0) & ~open_axes
        if edge.any():
            image[outside] += edge
            wrapped[outside] -= np.einsum("na,nas->ns", edge.astype(float), box[frames])
    return wrapped, image.astype(np.int32)


def add_images(image: Any, shift: np.ndarray | int, where: str = "image") -> np.ndarray:
    """Sum (..., axis) of the images that are given and those that wrapping has found, as 32-bit integers."""
    given = np.asarray(image)
    largest = max(abs(int(given.max(initial=0))), abs(int(given.min(initial=0))))
    if largest < MOST_BOXES:
        total = given.astype(np.int64) + shift
        largest = int(np.abs(total).max(initial=0))
    if largest >= MOST_BOXES:
        raise PositionError(f"{where}: an image of {largest:.3g} boxes does not fit 32 bits: repair it")
    return total.astype(np.int32)


def enclosing(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower corner and edges of the upright box around positions (frame, particle, space); 1 instead of no extent.

    Examples
    --------
    >>> [x.tolist() for x in enclosing(np.array([[[1.0, 2.0], [4.0, 2.0]]]))]
    [[1.0, 2.0], [3.0, 1.0]]
    """
    lower, upper = np.nanmin(position, axis=(0, 1)), np.nanmax(position, axis=(0, 1))
    return lower, np.where(upper > lower, upper - lower, 1.0)


def span(position: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Least and largest fractional coordinates along each axis, (2, axis), of positions (frame, particle, space).

    Those of absent particles, which are NaN, do not count.
    """
    fraction = position @ np.linalg.inv(box)
    along = [np.ascontiguousarray(fraction[..., axis]) for axis in range(box.shape[-1])]  # ten times as fast
    bounds = np.array([[values.min() for values in along], [values.max() for values in along]])
    if np.isnan(bounds).any():
        along = [values[~np.isnan(values)] for values in along]
        bounds = np.array([[values.min() for values in along], [values.max() for values in along]])
    return bounds


def looks_wrapped(bounds: np.ndarray, n_particles: int, periodic: np.ndarray | None = None) -> bool:
    """Whether positions with this `span`, of all frames together, have been wrapped, as far as they tell.

    They have where all lie in one cell that begins or is centred at the origin, or, where it is filled by many
    particles, anywhere; `SLACK` of the box may stick out. Else they are the unwrapped ones. Only `periodic` axes tell.

    Examples
    --------
    >>> looks_wrapped(np.array([[-0.5], [0.499]]), 10), looks_wrapped(np.array([[0.1], [1.9]]), 10)
    (True, False)
    """
    low, high = bounds if periodic is None else bounds[:, np.asarray(periodic)]
    if n_particles >= FEW:
        return bool((high - low <= 1.0 + 2.0 * SLACK).all())
    cells = [(low >= begin - SLACK) & (high <= begin + 1.0 + SLACK) for begin in (0.0, -0.5)]
    return bool((cells[0] | cells[1]).all())
