"""Open borders: boxes that do not repeat along all axes, such as films, walls, clusters and what a microscope sees.

Along an open axis there are no images: positions are not wrapped, and may be outside the box. The box says where the
open faces are, and the trajectory what is beyond them (`beyond` of `glassdask.from_arrays` and `glassdask.ingest`, the
attribute ``trajectory["periodic"].attrs["beyond"]``):

``"unknown"``, if nothing else is said
    There may be more particles, and what could be another number because of them is NaN: where the neighbourhood of a
    particle crosses an open face. That is the sphere of its cutoff; the sphere that reaches to its k-th neighbour; the
    shell of `SANN`, R(m); for `Voronoi` the sphere of radius |v| + sqrt(|v|^2 + R_max^2 - R_i^2), with v the corner of
    the cell that is furthest away, R_i the radius of the particle and R_max the largest of all that are there: 2 |v|
    for the usual cells. Averages over neighbours are NaN where that of a neighbour is. All other values are those of
    the whole system. A particle outside the box has only NaN.
``"nothing"``
    There are no more particles: neighbours end at the surface, and nothing is NaN for being close to it.

In both cases there are no neighbours that are known, and values are NaN, where fewer than k particles are in reach of
`KNearest`, or too few for `SANN`, and where a Voronoi cell is not closed (in a film: by what is within eight mean
spacings). Distribution functions are those of the inside of the box, without a trace of its faces: see
`radial_distribution` and `structure_factor`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from glassdask.errors import BoxError
from glassdask.schema import NOTHING


@dataclass(frozen=True)
class Borders:
    """Which axes repeat, and whether nothing is beyond the faces of the others."""

    periodic: tuple[bool, ...]
    nothing_beyond: bool = False

    @property
    def open(self) -> np.ndarray:
        """Which axes do not repeat, three of them."""
        found = np.zeros(3, bool)
        found[: len(self.periodic)] = ~np.array(self.periodic)
        return found

    def lengthening(self, fraction: np.ndarray) -> np.ndarray:
        """Factors (3,) for a box whose open axes are to be so long that, of these fractions (N, 3), no other image is
        the nearest.
        """
        return np.where(self.open, 4.0 * (1.0 + np.abs(fraction).max(axis=0)), 1.0)


def borders_of(trajectory: xr.Dataset) -> Borders | None:
    """The borders of a trajectory, None where its box repeats along all axes.

    Examples
    --------
    >>> import glassdask as gd
    >>> film = gd.from_arrays(np.zeros((1, 1, 2)), species=["A"], box=[4.0, 4.0], periodic=(True, False))
    >>> borders_of(film)
    Borders(periodic=(True, False), nothing_beyond=False)
    """
    if "periodic" not in trajectory:
        return None
    periodic = trajectory["periodic"]
    flags = tuple(map(bool, periodic.values))
    return None if all(flags) else Borders(flags, periodic.attrs.get("beyond") == NOTHING)


def refuse_open(trajectory: xr.Dataset, what: str, remedy: str) -> None:
    """Raise `BoxError` where the box does not repeat along all axes, which `what` needs.

    Examples
    --------
    >>> import glassdask as gd
    >>> film = gd.from_arrays(np.zeros((1, 1, 2)), species=["A"], box=[4.0, 4.0], periodic=(True, False))
    >>> refuse_open(film, "van_hove", "use self_correlations")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    glassdask.errors.BoxError: van_hove needs a box that repeats along all axes, this one is open along b: use ...
    """
    borders = borders_of(trajectory)
    if borders is not None:
        axes = ", ".join(axis for axis, periodic in zip("abc", borders.periodic) if not periodic)
        raise BoxError(f"{what} needs a box that repeats along all axes, this one is open along {axes}: {remedy}")
