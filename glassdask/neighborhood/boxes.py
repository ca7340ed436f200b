"""Periodic boxes: their sizes, and how far a neighbour may be so that none is seen twice."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import xarray as xr

from glassdask.errors import BoxError
from glassdask.neighborhood.borders import borders_of
from glassdask.schema import particle_numbers

ROUNDING = 1e-12
# More neighbours of each particle than any use of them has: a radius in another unit than the positions, most likely.
MOST_NEIGHBORS = 100_000


def half_widths(trajectory: xr.Dataset) -> np.ndarray:
    """Half of the narrowest width of the box of each frame, (frame,)."""
    return half_width(np.asarray(trajectory["box"].values))


def half_width(box: np.ndarray) -> np.ndarray:
    """The same of cell matrices (..., axis, space).

    >>> float(half_width(np.diag([3.0, 2.0, 4.0])))
    1.0
    """
    return 0.5 * _widths(box).min(axis=-1)


def _widths(box: np.ndarray) -> np.ndarray:
    return 1.0 / np.linalg.norm(np.linalg.inv(box), axis=-2)


def largest_radii(trajectory: xr.Dataset) -> np.ndarray:
    """The largest distance with only one image in each frame, (frame,): half of the narrowest width that repeats."""
    widths, borders = _widths(np.asarray(trajectory["box"].values)), borders_of(trajectory)
    return 0.5 * widths[:, slice(None) if borders is None else list(borders.periodic)].min(axis=-1, initial=np.inf)


def reduced(box: np.ndarray) -> np.ndarray:
    """Cell vectors of the same lattice that are as short as one gets by subtracting one from another (pairwise).

    >>> reduced(np.array([[4.0, 0.0], [8.0, 4.0]])).tolist()
    [[4.0, 0.0], [0.0, 4.0]]
    """
    box = np.array(box, dtype=np.float64)
    changed = True
    while changed:
        changed = False
        for i, j in permutations(range(len(box)), 2):
            times = np.rint(box[i] @ box[j] / (box[j] @ box[j]))
            shorter = box[i] - times * box[j]
            if shorter @ shorter < (box[i] @ box[i]) * (1 - ROUNDING):
                box[i], changed = shorter, True
    return box


def volumes(trajectory: xr.Dataset) -> np.ndarray:
    """Volume (area in two dimensions) of the box of each frame, (frame,)."""
    return np.abs(np.linalg.det(np.asarray(trajectory["box"].values)))


def mean_spacing(trajectory: xr.Dataset) -> float:
    """Edge of the cube (square) that a particle has on average."""
    number = particle_numbers(trajectory).mean()
    return float((volumes(trajectory).mean() / number) ** (1 / trajectory.sizes["space"]))


def expected_neighbors(trajectory: xr.Dataset, radius: float) -> float:
    """How many particles are within a radius of one, if they are spread evenly.

    >>> import glassdask as gd
    >>> gas = gd.from_arrays(np.zeros((1, 500, 2)), species=["A"] * 500, box=[10.0, 10.0])
    >>> round(expected_neighbors(gas, 2.0))
    63
    """
    return ball(radius / mean_spacing(trajectory), trajectory.sizes["space"])


def ball(radius: float, dimension: int) -> float:
    """Volume of a sphere, area of a circle."""
    with np.errstate(over="ignore"):
        return float(math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1) * np.float64(radius) ** dimension)


def check_reach(trajectory: xr.Dataset, radius: float) -> None:
    """Raise `BoxError` when images would be asked for that are too many to be meant; see `MOST_NEIGHBORS`."""
    half = largest_radii(trajectory)
    density = particle_numbers(trajectory) / volumes(trajectory)
    many = density * ball(radius, trajectory.sizes["space"])
    bad = (radius > half * (1 + ROUNDING)) & (many > MOST_NEIGHBORS)
    if bad.any():
        frame = int(np.argmax(bad))
        refuse_reach(f"frame {frame}", radius, half[frame], float(many[frame]))


def refuse_reach(label: str, radius: float, half: float, many: float) -> None:
    """Raise the `BoxError` for so many neighbours in a box of this half width."""
    raise BoxError(
        f"{label}: within the cutoff {radius:.4g} each particle has about {many:.0e} neighbours, nearly all of them "
        f"images, since the narrowest box width is {2 * half:.4g}: give the cutoff in the unit of the positions"
    )


def check_radius(trajectory: xr.Dataset, radius: float) -> None:
    """Raise `BoxError` for the first frame of which `radius` is more than half the narrowest width that repeats."""
    half = largest_radii(trajectory)
    bad = radius > half * (1 + ROUNDING)
    if bad.any():
        frame = int(np.argmax(bad))
        refuse_radius(f"frame {frame}", radius, half[frame], float(half.min()))


def refuse_radius(label: str, radius: float, half: float, largest: float) -> None:
    """Raise the `BoxError`: the box has this half width, and `largest` would do for all boxes."""
    raise BoxError(
        f"{label}: the cutoff {radius:.4g} is more than half of the narrowest box width {2 * half:.4g}: use a cutoff "
        f"up to {largest:.4g} or a larger system"
    )
