"""Spatial correlation of per-particle values and its length (paper C, Secs. IV B and 4.7)."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.fields.values import particle_values
from glassdask.frames import map_frames
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.boxes import check_radius, expected_neighbors, half_widths
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_kind
from glassdask.variables import annotated

PAIR_MICROSECONDS = 0.006  # what a pair takes, roughly


def spatial_correlation(
    values: xr.DataArray, trajectory: xr.Dataset, *, r_max: float | None = None, width: float = 0.1
) -> xr.Dataset:
    """How similar the values of particles are at a distance r from each other.

    C(r) = <dX(r_i) dX(r_i + r)>_{|r| = r} / <dX^2>,  dX = X - mean of X over the frame  (paper C, Eq. 8, divided by its
    value at r = 0), the average over the pairs of particles whose distance is in the bin. Beside open borders these are
    the pairs that are there: the faces leave no trace in a mean over pairs.

    Parameters
    ----------
    values : DataArray (frame, particle), in memory or lazy
        Particles whose value is NaN take no part.
    trajectory : xarray.Dataset
        Trajectory with the same frames and particles.
    r_max : float, optional
        Largest distance, at most half of the narrowest box width along the axes that repeat; by default half of the
        narrowest of all.
    width : float, default 0.1
        Of the bins.

    Returns
    -------
    xarray.Dataset, lazy
        ``correlation`` (frame, r), NaN in bins without pairs and where the values do not vary; ``pairs`` (frame, r),
        the number of pairs in each bin. ``r`` is the middle of the bins. The average over frames is
        ``c["correlation"].mean("frame")``; its length is given by `correlation_length`.

    Raises
    ------
    ParameterError, BoxError, SchemaError
        When r_max or width make no bins, r_max exceeds half of the box, or frames or particles differ.

    Examples
    --------
    A row of alternating values:

    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[x + 0.5, 1.0] for x in range(8)]], species=["A"] * 8, box=[8.0, 8.0])
    >>> x = xr.DataArray([[1.0, -1.0] * 4], dims=("frame", "particle"))
    >>> c = spatial_correlation(x, row, r_max=3.5, width=0.5)
    >>> c["correlation"].values[0].tolist()
    [nan, nan, -1.0, nan, 1.0, nan, -1.0]
    """
    values, rest = particle_values(values, trajectory)
    if rest:
        raise SchemaError(f"the values have dimensions {values.dims}: expected (frame, particle), select one feature")
    n_bins, width = bins_of(trajectory, "spatial_correlation", r_max, width)
    work = partial(_correlate, n_bins=n_bins, width=width)
    microseconds = 1.0 + PAIR_MICROSECONDS * expected_neighbors(trajectory, n_bins * width)
    both = map_frames(work, trajectory, values, dims={"kind": 2, "r": n_bins}, microseconds=microseconds)
    both = both.assign_coords(r=(np.arange(n_bins) + 0.5) * width)
    if "time" in values.coords and values["time"].dims == ("frame",):
        both = both.assign_coords(time=values["time"].variable)
    return annotated(xr.Dataset({"correlation": both.isel(kind=0), "pairs": both.isel(kind=1)}))


def bins_of(trajectory: xr.Dataset, name: str, r_max: float | None, width: float) -> tuple[int, float]:
    """How many bins of this width there are up to r_max, by default half of the narrowest box; `name` for errors."""
    width = converted(width, Positive, f"{name}.width")
    reach = float(half_widths(trajectory).min()) if r_max is None else r_max
    reach = converted(reach, Positive, f"{name}.r_max")
    n_bins = int(np.floor(reach / width + 1e-9))
    if n_bins < 1:
        raise ParameterError(f"r_max {reach:.4g} and width {width:.4g}: expected r_max of at least one positive width")
    check_radius(trajectory, n_bins * width)
    return n_bins, width


def correlation_length(correlation: xr.DataArray, level: float = float(np.exp(-1.0))) -> xr.DataArray:
    """Distance at which a correlation function first falls to `level`.

    Parameters
    ----------
    correlation : xarray.DataArray (..., r)
        As `spatial_correlation` gives it, 1 at r = 0; NaN bins are passed over.
    level : float
        1/e for the coarse-graining length of the propensity (paper C, Sec. IV B), 0 for the size of domains (paper C,
        Sec. 4.7).

    Returns
    -------
    DataArray (...)
        Interpolated linearly between the bins on both sides, with C(0) = 1. NaN where the level is not reached.

    Examples
    --------
    >>> c = xr.DataArray([0.75, 0.25, -0.25], dims="r", coords={"r": [0.5, 1.5, 2.5]})
    >>> float(correlation_length(c, level=0.0)), float(correlation_length(c, level=0.5))
    (2.0, 1.0)
    """
    check_kind(correlation, xr.DataArray, "the correlation", "give that of spatial_correlation")
    if "r" not in correlation.dims or not level < 1:
        raise ParameterError(
            f"dimensions {correlation.dims}, level {level}: expected a dimension r and a level below 1"
        )
    return xr.apply_ufunc(
        partial(_crossing, level=level),
        correlation.chunk(r=-1) if correlation.chunks is not None else correlation,
        correlation["r"],
        input_core_dims=[["r"], ["r"]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[np.float64],
    )


def correlate(
    configuration: Configuration, values: np.ndarray, n_bins: int, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the pairs in each bin of the products of their values (N,), NaN for none; and how many pairs it has."""
    known = np.isfinite(values)
    total, pairs = np.zeros((2, n_bins))
    grid, centers = configuration.grid(n_bins * width), np.flatnonzero(known)
    kernels.correlate(
        centers[grid.order(centers)], grid.lists, np.where(known, values, 0.0), known.astype(np.float64),
        (n_bins * width) ** 2, 1.0 / width, *grid.room(), total, pairs,
    )  # fmt: skip
    return total, pairs


def _correlate(configuration: Configuration, values: np.ndarray, *, n_bins: int, width: float) -> np.ndarray:
    known = np.isfinite(values)
    # a frame without values has no mean: nothing takes part
    deviation = values - (values[known].mean() if known.any() else 0.0)
    total, pairs = correlate(configuration, deviation, n_bins, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = total / pairs / (np.square(deviation[known]).sum() / known.sum())
    return np.stack([correlation, pairs])


def _crossing(correlation, r, *, level):
    known = np.isfinite(correlation)
    c = np.concatenate([[1.0], correlation[known]])
    x = np.concatenate([[0.0], r[known]])
    below = np.flatnonzero(c <= level)
    if len(below) == 0:
        return np.nan
    k = below[0]
    return x[k - 1] + (x[k] - x[k - 1]) * (c[k - 1] - level) / (c[k - 1] - c[k])
