"""Averages over successive shells of neighbours (Boattini, Smallenburg and Filion 2021)."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.fields.values import lost_values, particle_values
from glassdask.frames import map_frames
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.variables import annotated


def average_shells(
    values: xr.DataArray, trajectory: xr.Dataset, *, cutoff: float = 2.1, generations: int = 2
) -> xr.DataArray:
    r"""Repeated averages of per-particle values over the neighbours.

    .. math::
        X_i^{(n)} = \frac{1}{C_i} \sum_{j: r_{ij} < r_c} e^{-r_{ij} / r_c} X_j^{(n-1)}, \quad
        C_i = \sum_{j: r_{ij} < r_c} e^{-r_{ij} / r_c}

    with i itself among the j and X^(0) the values (E. Boattini, F. Smallenburg and L. Filion, Phys. Rev. Lett. 127,
    088007 (2021), with r_c = 2.1 for Kob-Andersen): generation n has seen particles up to n r_c away.

    Parameters
    ----------
    values : DataArray (frame, particle, ...), in memory or lazy
        Such as a variable of `describe`, of all species.
    trajectory : xarray.Dataset
        Trajectory with the same frames and particles.
    cutoff : float, default 2.1
        r_c, in the unit of the positions.
    generations : int, default 2
        How many times to average.

    Returns
    -------
    DataArray (frame, particle, ..., generation), lazy
        Generation 0 holds the values. Undefined values are left out of both sums; NaN only where nothing is defined
        within the cutoff. Beside open borders with something unknown beyond it is also NaN where the cutoff reaches
        beyond a face, or has a particle in it whose value of the generation before is undefined, but for species that
        are not among the ``centers`` of `values`.

    Raises
    ------
    ParameterError, BoxError, SchemaError
        When the cutoff is not positive or exceeds half of the box, or frames or particles differ.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[0.0, 0], [1, 0], [5, 0]]], species=["A"] * 3, box=[10.0, 10.0])
    >>> x = xr.DataArray([[0.0, 1.0, 4.0]], dims=("frame", "particle"))
    >>> average_shells(x, row, cutoff=2.0, generations=2).values[0].round(4).tolist()
    [[0.0, 0.3775, 0.47], [1.0, 0.6225, 0.53], [4.0, 4.0, 4.0]]
    """
    cutoff = converted(cutoff, Positive, "average_shells.cutoff")
    generations = converted(generations, Count, "average_shells.generations")
    values, rest = particle_values(values, trajectory)
    check_radius(trajectory, cutoff)
    dims = {"particle": trajectory.sizes["particle"], **rest, "generation": generations + 1}
    work = partial(_average, cutoff=cutoff, generations=generations, centers=values.attrs.get("centers"))
    result = map_frames(work, trajectory, values, dims=dims)
    kept = {name: coordinate for name, coordinate in values.coords.items() if set(coordinate.dims) <= set(result.dims)}
    attrs = {**values.attrs, "averaged": f"weights exp(-r/r_c) to r_c = {cutoff:g}"}
    coords = annotated(xr.Dataset(coords={**kept, "generation": np.arange(generations + 1)})).coords
    return result.assign_coords(coords).assign_attrs(attrs).rename(values.name)


def _average(configuration, values, *, cutoff, generations, centers):
    last = values.reshape(len(configuration.position), -1)
    out, lost = [last], lost_values(configuration, last, centers)
    for _ in range(generations):
        known = np.isfinite(last)
        given = [np.where(known, last, 0.0), known.astype(np.float64)]
        sums = _summed(configuration, np.hstack(given if lost is None else [*given, lost]), cutoff)
        total, weight, of_lost = (sums[:, k * last.shape[1] : (k + 1) * last.shape[1]] for k in range(3))
        with np.errstate(invalid="ignore"):
            last = total / np.where(weight > 0, weight, np.nan)
        if lost is not None:
            lost = (of_lost > 0) | (cutoff > configuration.sight)[:, None]
            last[lost] = np.nan
        out.append(last)
    return np.stack(out, axis=-1).reshape(*values.shape, generations + 1)


def _summed(configuration: Configuration, columns: np.ndarray, cutoff: float) -> np.ndarray:
    """Weighted sums over the neighbours of every particle and itself, of columns (N, C).

    The neighbours are found anew each time, a batch after the other: to keep them takes kilobytes a particle.
    """
    from scipy.sparse import csr_array

    result = columns.astype(np.float64)  # everybody counts for itself with weight 1
    everybody, cutoffs = np.arange(len(columns)), np.full((len(configuration.names),) * 2, cutoff)
    for rows, found in configuration.batches(everybody, cutoffs):
        weights = np.exp(-found.distance / cutoff)
        result[rows] += csr_array((weights, found.index, found.offsets), shape=(len(rows), len(columns))) @ columns
    return result
