"""Particles to a grid and back (paper C, supplement I A)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted, shown
from glassdask.errors import ParameterError, SchemaError
from glassdask.frames import map_frames
from glassdask.kernels import fields as kernels
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.voronoi import of_species
from glassdask.schema import check_kind, check_labels, species_names, validate
from glassdask.variables import annotated

AXES = ("grid_x", "grid_y", "grid_z")


def to_grid(
    trajectory: xr.Dataset, shape: int | tuple[int, ...], sizes: Mapping[str, float], *, cutoff: float = 2.5
) -> xr.DataArray:
    """Density of the particles on a grid of points, each particle a Gaussian: what a convolutional network sees.

    rho_kl = sum_i exp(-|r_kl - r_i|^2 / w_i^2) over the particles closer than cutoff * sigma_i, with the widths
    w_i = a sigma_i and a = (V / 0.64 N)^(1/d)  (paper C, Eqs. S1-S2, where V^(1/d) = L and d = 2).

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, two or three dimensions, any periodic cell.
    shape : int or tuple of int
        Points along each cell vector, or one number for all.
    sizes : dict
        Sigma of each species; paper C takes the potential's sigma_aa.
    cutoff : float, default 2.5
        Where the Gaussians end, in units of sigma_i.

    Returns
    -------
    DataArray (frame, grid_x, grid_y(, grid_z)), lazy
        The coordinates are fractions of the cell vectors: point k of n is at (k + 1/2) / n. Paper C scales each frame
        to [0, 1]: ``normalize(grid, ("grid_x", "grid_y"))``. NaN at points that are closer to an open face of the box
        than the largest cutoff, where something unknown is beyond it.

    Raises
    ------
    ParameterError, SpeciesError, BoxError
        When a size or the shape is wrong or missing, or cutoff * sigma exceeds half of the box.

    Examples
    --------
    >>> import glassdask as gd
    >>> one = gd.from_arrays([[[2.0, 2.0]]], species=["A"], box=[4.0, 4.0])
    >>> grid = to_grid(one, 4, {"A": 0.4}, cutoff=2.0)  # a = 5, and only the four nearest points are within 0.8
    >>> grid.values[0].round(3).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.882, 0.882, 0.0], [0.0, 0.882, 0.882, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    validate(trajectory)
    dimension = trajectory.sizes["space"]
    if not isinstance(shape, (int, tuple, list)):
        raise ParameterError(f"to_grid.shape: expected an int or a tuple of ints, found {shown(shape)}")
    found = converted(shape, Count | tuple[Count, ...], "to_grid.shape")
    points = (found,) * dimension if isinstance(found, int) else found
    if len(points) != dimension:
        raise ParameterError(f"shape {shape}: expected one number of points for each of {dimension} dimensions")
    each = _sizes(trajectory, sizes, cutoff)
    dims = dict(zip(AXES, points))
    result = map_frames(partial(_spread, points=points, each=each, cutoff=cutoff), trajectory, dims=dims)
    fractions = {axis: (np.arange(n) + 0.5) / n for axis, n in dims.items()}
    return annotated(result.assign_coords(fractions).rename("grid"))


def from_grid(
    grid: xr.DataArray, trajectory: xr.Dataset, sizes: Mapping[str, float], *, cutoff: float = 2.5
) -> xr.DataArray:
    """Share the values on a grid among the particles, by what each contributes to the density there.

    Gamma_i = sum_kl L_kl exp(-|r_i - r_kl|^2 / w_i^2) / rho_kl over the grid points closer than cutoff * sigma_i
    (paper C, Eqs. S3-S4), with the widths and the density of `to_grid`. The sum over all particles is the sum of L
    over the grid points that any particle reaches.

    Parameters
    ----------
    grid : DataArray (frame, grid_x, grid_y(, grid_z)), in memory or lazy
        L, such as a Grad-CAM score, on the points of `to_grid`.
    trajectory, sizes, cutoff : xarray.Dataset or dict or float
        Those of `to_grid`.

    Returns
    -------
    DataArray (frame, particle), lazy
        NaN where a particle reaches a grid point that is NaN, or beyond an open face; 0 for one that reaches none.

    Raises
    ------
    SchemaError, ParameterError, SpeciesError, BoxError
        When the grid has other frames or dimensions than the trajectory, or as for `to_grid`.

    Examples
    --------
    >>> import glassdask as gd
    >>> two = gd.from_arrays([[[1.0, 2.0], [3.0, 2.0]]], species=["A", "A"], box=[4.0, 4.0])
    >>> ones = xr.ones_like(to_grid(two, 8, {"A": 0.8}))
    >>> from_grid(ones, two, {"A": 0.8}).values.round(9).tolist()
    [[32.0, 32.0]]
    """
    validate(trajectory)
    check_kind(grid, xr.DataArray, "the grid", "give an array with the dimensions of to_grid")
    axes = AXES[: trajectory.sizes["space"]]
    if set(grid.dims) != {"frame", *axes}:
        raise SchemaError(f"the grid has dimensions {grid.dims}: expected (frame, {', '.join(axes)})")
    check_labels(grid, trajectory, "the grid")
    each = _sizes(trajectory, sizes, cutoff)
    grid = grid.transpose("frame", *axes)
    dims = {"particle": trajectory.sizes["particle"]}
    result = map_frames(partial(_gather, each=each, cutoff=cutoff), trajectory, grid, dims=dims)
    return result.assign_attrs(grid.attrs).rename(grid.name)


def _sizes(trajectory: xr.Dataset, sizes: Mapping[str, float], cutoff: float) -> np.ndarray:
    each = of_species(sizes, species_names(trajectory))
    cutoff = converted(cutoff, Positive, "cutoff")
    check_radius(trajectory, cutoff * float(each.max()))
    return each


class _Points:
    """The grid points of a configuration, where the particles are among them, and how far each of these reaches.

    Along open axes there are points beyond the faces while the kernels work: nothing comes in on the other side.
    """

    def __init__(self, configuration: Configuration, points: tuple[int, ...], each: np.ndarray, cutoff: float):
        dimension, self.borders = configuration.dimension, configuration.borders
        self.number = np.array((*points, 1)[:3])
        self.box, self.widths = configuration.box, 1.0 / np.linalg.norm(configuration.inverse, axis=0)
        self.fraction = configuration.position @ configuration.inverse
        own = each[configuration.species]
        self.reach, self.furthest = cutoff * own, cutoff * float(each.max())
        a = (0.64 * configuration.density) ** (-1.0 / dimension)
        self.inverse2 = 1.0 / (a * own) ** 2
        # two dimensions: a single layer of points, in the plane of the particles
        self.origin = np.where(np.arange(3) < dimension, 0.5, 0.0)
        self.near = np.ones(len(own), bool)
        self.beyond = np.zeros(3, int)
        if self.borders is not None:
            part = self.furthest / self.widths
            self.near = (~self.borders.open | (np.abs(self.fraction - 0.5) <= 0.5 + part)).all(axis=1)
            self.beyond = np.where(self.borders.open, np.ceil(2.0 * part * self.number).astype(int) + 1, 0)

    def _geometry(self) -> tuple[np.ndarray, ...]:
        """What both kernels take: fractions, box, its widths, 1 / width^2, cutoff and where the first grid point is."""
        if self.borders is None:
            return self.fraction, self.box, self.widths, self.inverse2, self.reach, self.origin
        larger = 1.0 + 2.0 * self.beyond / self.number
        fraction = (self.fraction[self.near] + self.beyond / self.number) / larger
        box, widths = self.box * larger[:, None], self.widths * larger
        return fraction, box, widths, self.inverse2[self.near], self.reach[self.near], self.origin

    @property
    def _inside(self) -> tuple[slice, ...]:
        return tuple(slice(m, m + n) for m, n in zip(self.beyond, self.number))

    def density(self) -> np.ndarray:
        """The density at the points, NaN where what is unknown beyond open faces may add to it."""
        grid = np.zeros(self.number + 2 * self.beyond)
        kernels.spread(*self._geometry(), grid)
        grid = np.ascontiguousarray(grid[self._inside])
        if self.borders is not None and not self.borders.nothing_beyond:
            for axis in np.flatnonzero(self.borders.open):
                at = (np.arange(self.number[axis]) + self.origin[axis]) / self.number[axis]
                hidden = np.minimum(at, 1.0 - at) * self.widths[axis] < self.furthest
                np.moveaxis(grid, axis, 0)[hidden] = np.nan
        return grid

    def gather(self, share: np.ndarray) -> np.ndarray:
        """What the particles get of the `share` of each point."""
        grid = np.zeros(self.number + 2 * self.beyond)
        grid[self._inside] = share
        out = np.zeros(len(self.near))
        found = np.empty(np.count_nonzero(self.near))
        kernels.gather(*self._geometry(), grid, found)
        out[self.near] = found
        return out


def _spread(configuration, *, points, each, cutoff):
    return _Points(configuration, points, each, cutoff).density().reshape(points)


def _gather(configuration, values, *, each, cutoff):
    points = _Points(configuration, values.shape, each, cutoff)
    grid = values.reshape((*values.shape, 1)[:3])
    density = points.density()
    share = np.divide(grid, density, out=np.zeros(grid.shape), where=~(density <= 0))
    out = points.gather(share)
    if configuration.sight is not None:
        out[points.reach > configuration.sight] = np.nan
    return out
