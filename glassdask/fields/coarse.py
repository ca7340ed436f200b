"""Coarse-graining of per-particle values and their normalisation (paper C, Sec. III F)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.fields.values import lost_values, particle_values
from glassdask.frames import map_frames
from glassdask.kernels import fields as kernels
from glassdask.kernels.simd import padded
from glassdask.neighborhood.boxes import check_radius, expected_neighbors
from glassdask.schema import check_kind
from glassdask.variables import annotated

PAIR_MICROSECONDS = 0.013  # what a pair takes for one length, roughly


def coarse_grain(
    values: xr.DataArray, trajectory: xr.Dataset, lengths: float | Iterable[float], *, cutoff: float = 2.0
) -> xr.DataArray:
    """Weighted mean of a per-particle variable around every particle, for one or many lengths in one pass.

    X_i(xi) = sum_j X_j P(r_ij) / sum_j P(r_ij),  P(r) = exp(-(r/xi)^2) for r < cutoff * xi  (paper C, Eq. 7), the sums
    over all particles, i itself among them.

    Parameters
    ----------
    values : DataArray (frame, particle, ...), in memory or lazy
        Such as a variable of `describe`, a propensity, or ``trajectory["energy"]``.
    trajectory : xarray.Dataset
        Trajectory with the same frames and particles.
    lengths : float or iterable of float
        Xi, in the unit of the positions.
    cutoff : float, default 2.0
        Where P ends, in units of xi.

    Returns
    -------
    DataArray (frame, particle, ..., length), lazy
        NaN in `values` is left out of both sums; the result is NaN only where nothing within the cutoff is defined. A
        particle whose own value is undefined gets the mean of those around it. Beside open borders with something
        unknown beyond it is also NaN where the cutoff reaches beyond a face, or has a particle in it whose value is
        undefined, but for species that are not among the ``centers`` of `values`.

    Raises
    ------
    ParameterError, BoxError, SchemaError
        When a length is not positive, cutoff * xi exceeds half of the box, or frames or particles differ.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[0.0, 0], [1, 0], [5, 0]]], species=["A"] * 3, box=[10.0, 10.0])
    >>> x = xr.DataArray([[0.0, 1.0, 4.0]], dims=("frame", "particle"))
    >>> coarse_grain(x, row, [0.1, 1.0]).values[0].round(4).tolist()
    [[0.0, 0.2689], [1.0, 0.7311], [4.0, 4.0]]
    """
    xi = np.atleast_1d(converted(lengths, Positive | tuple[Positive, ...], "coarse_grain.lengths"))
    if xi.size == 0:
        raise ParameterError("coarse_grain.lengths: expected positive finite numbers, found none")
    cutoff = converted(cutoff, Positive, "coarse_grain.cutoff")
    values, rest = particle_values(values, trajectory)
    check_radius(trajectory, float(xi.max()) * cutoff)
    dims = {"particle": trajectory.sizes["particle"], **rest, "length": len(xi)}
    work = partial(_coarse_grain, xi=xi, cutoff=cutoff, centers=values.attrs.get("centers"))
    microseconds = 1.0 + PAIR_MICROSECONDS * len(xi) * expected_neighbors(trajectory, float(xi.max()) * cutoff)
    result = map_frames(work, trajectory, values, dims=dims, microseconds=microseconds)
    kept = {name: coordinate for name, coordinate in values.coords.items() if set(coordinate.dims) <= set(result.dims)}
    attrs = {**values.attrs, "coarse_grained": f"weights exp(-(r/length)^2) to r = {cutoff:g} length"}
    coords = annotated(xr.Dataset(coords={**kept, "length": xi})).coords
    return result.assign_coords(coords).assign_attrs(attrs).rename(values.name)


def normalize(values: xr.DataArray, dim: Any = "particle") -> xr.DataArray:
    """Values shifted and scaled to [0, 1]: (X - min X) / (max X - min X) (paper C, Sec. III F).

    Parameters
    ----------
    values : xarray.DataArray
        In memory or lazy.
    dim : object, default "particle"
        Dimension or dimensions over which minimum and maximum are taken: by default each frame is scaled on its own;
        ``("frame", "particle")`` scales all frames alike, ``("grid_x", "grid_y")`` a grid.

    Returns
    -------
    DataArray like `values`
        NaN stays NaN and counts for nothing. NaN everywhere where all values are equal.

    Examples
    --------
    >>> normalize(xr.DataArray([[2.0, 4.0, 3.0]], dims=("frame", "particle"))).values.tolist()
    [[0.0, 1.0, 0.5]]
    """
    check_kind(values, xr.DataArray, "the values", "give an array with dimensions")
    dim = converted(dim, str | tuple[str, ...], "normalize.dim")
    missing = ({dim} if isinstance(dim, str) else {*dim}) - {*values.dims}
    if missing:
        raise SchemaError(f"the values have dimensions {values.dims}: expected {', '.join(sorted(missing))} among them")
    low = values.min(dim)
    span = values.max(dim) - low
    return ((values - low) / span.where(span > 0)).assign_attrs(values.attrs)


def _coarse_grain(configuration, values, *, xi, cutoff, centers):
    n = len(configuration.position)
    flat = np.ascontiguousarray(values.reshape(n, -1))
    known = np.isfinite(flat)
    lost = lost_values(configuration, flat, centers)
    if lost is not None:
        flat, known = np.concatenate([flat, lost], axis=1), np.concatenate([known, np.ones(known.shape, bool)], axis=1)
    out = np.empty((n, len(xi), flat.shape[1]))
    reach = np.full((len(configuration.names),) * 2, xi.max() * cutoff)
    flat, weight = np.where(known, flat, 0.0), known.astype(np.float64)
    for rows, found in configuration.batches(np.arange(n), reach):
        longest = padded(int(found.counts.max(initial=0)))
        part = np.empty((len(rows), *out.shape[1:]))
        kernels.coarse_grain(
            found.centers, found.offsets, found.index, found.distance, flat, weight, 1.0 / xi**2, (cutoff * xi) ** 2,
            np.empty((2, longest)), np.empty((2 * flat.shape[1], longest)), part,
        )  # fmt: skip
        out[rows] = part
    if lost is not None:
        out, around = np.split(out, 2, axis=-1)
        out[(around > 0) | (cutoff * xi > configuration.sight[:, None])[..., None]] = np.nan
    return np.moveaxis(out, 1, -1).reshape(*values.shape, len(xi))
