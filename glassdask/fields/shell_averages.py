"""Averages over successive shells of neighbours (Boattini, Smallenburg and Filion 2021)."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.fields.values import lost_values, particle_values
from glassdask.frames import map_frames
from glassdask.neighborhood.boxes import check_radius
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
    from scipy.sparse import csr_array, eye_array

    n = len(configuration.position)
    found = configuration.neighbors(np.arange(n), np.full((len(configuration.names),) * 2, cutoff))
    weights = csr_array((np.exp(-found.distance / cutoff), found.index, found.offsets), shape=(n, n)) + eye_array(n)
    last = values.reshape(n, -1)
    out, lost = [last], lost_values(configuration, last, centers)
    for _ in range(generations):
        known = np.isfinite(last)
        weight = weights @ known.astype(np.float64)
        with np.errstate(invalid="ignore"):
            last = weights @ np.where(known, last, 0.0) / np.where(weight > 0, weight, np.nan)
        if lost is not None:
            lost = (weights @ lost.astype(np.float64) > 0) | (cutoff > configuration.sight)[:, None]
            last[lost] = np.nan
        out.append(last)
    return np.stack(out, axis=-1).reshape(*values.shape, generations + 1)
