"""The isoconfigurational ensemble: what in the motion of a particle is decided by the structure around it.

Replicas start from the same positions with other velocities. Their displacements have the dimensions (replica, lag,
particle, space); a simulated ensemble stores them as ``replica_displacement``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from numbers import Real
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.dynamics.paths import check_matched
from glassdask.errors import ParameterError, PositionError, SchemaError
from glassdask.graphs import FAN_IN, compute, task_bytes
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood, rule_of
from glassdask.schema import (
    cell_matrix,
    check_box,
    check_kind,
    check_labels,
    check_positions,
    numbers,
    species_codes,
    species_names,
    validate,
)
from glassdask.variables import annotated, unmasked

# Particles whose sums stay in the cache while replica after replica is added.
AT_ONCE = 512


def replica_displacements(
    initial: Any, final: Any, *, lag: Any = None, box: Any = None, periodic: Any = None
) -> xr.DataArray:
    """Displacements of the replicas of an isoconfigurational ensemble, from positions.

    Parameters
    ----------
    initial : array (particle, space)
        Positions that all replicas start from.
    final : array (replica, particle, space), or (replica, lag, particle, space) with `lag`
        Positions after some time, unwrapped (public data sets have them so; with images add image @ box to both), in
        NumPy or dask.
    lag : object, optional
        Times, where `final` has that dimension.
    box : array_like, optional
        Edge lengths or cell matrix.
        Only where the final positions are wrapped: each particle is then taken to have gone the short way, which is
        right only where none moved by more than half of the box.
    periodic : object, optional
        True or false, for all axes of the box or for each; along open ones positions are as they are. By default true.

    Returns
    -------
    DataArray (replica, particle, space) or (replica, lag, particle, space), lazy where `final` is

    Raises
    ------
    SchemaError
        When the shapes do not fit.
    PositionError
        When a position in memory is not finite.

    Examples
    --------
    >>> replica_displacements([[0.5, 1.0]], [[[2.5, 1.0]], [[3.5, 1.0]]], box=[4.0, 4.0]).values[:, 0, 0].tolist()
    [2.0, -1.0]
    """
    start = numbers("initial", initial)
    lazy = hasattr(final, "dask")
    end = unmasked("final", final) if lazy else numbers("final", final)
    if end.dtype.kind not in "fiub":
        raise SchemaError(f"final has dtype {end.dtype}, expected real numbers")
    dims = ("replica", "particle", "space") if lag is None else ("replica", "lag", "particle", "space")
    if start.ndim != 2 or start.shape[1] not in (2, 3) or end.ndim != len(dims) or end.shape[-2:] != start.shape:
        raise SchemaError(
            f"initial positions {start.shape}, final ones {end.shape}: expected (particle, 2 or 3) and {dims} of the "
            "same particles"
        )
    check_positions(start[None])
    if not lazy and not np.isfinite(end).all():
        at = np.argwhere(~np.isfinite(end))[0]
        raise PositionError(f"replica {at[0]}, particle {at[-2]}: final position not finite: leave out that replica")
    moved = end - start
    if box is not None:
        flags = numbers("periodic", True if periodic is None else periodic, "b")
        if flags.shape not in ((), start.shape[1:]):
            raise SchemaError(f"periodic has shape {flags.shape}, expected one for all axes or {start.shape[1]}")
        cell = cell_matrix(box, 1, start.shape[1])
        check_box(cell)
        fraction = moved @ np.linalg.inv(cell[0])
        moved = (fraction - np.rint(fraction) * np.broadcast_to(flags, cell.shape[1:2])) @ cell[0]
    result = xr.DataArray(moved, dims=dims, coords={"space": list("xyz"[: start.shape[1]])})
    if lag is not None:
        lags = numbers("lag", lag)
        if lags.shape != (end.shape[1],):
            raise SchemaError(f"lag has shape {lags.shape}, expected ({end.shape[1]},), one time for each of final's")
        result = result.assign_coords(lag=lags)
    return annotated(result.rename("replica_displacement"))


def propensity(displacement: xr.DataArray, power: int = 2) -> xr.Dataset:
    """Propensity for motion of every particle: the isoconfigurational average of how far it moves.

    mu_i(t) = < |r_i(t) - r_i(0)|^p >, p = 2 in paper A (Sec. IV) and p = 1 in the public data sets. Of cage-relative
    displacements (`cage_relative`) with p = 1 it is the propensity Delta_i of paper C (Sec. III E).

    Parameters
    ----------
    displacement : xarray.DataArray (replica, particle, space)
        Or (replica, lag, particle, space), in memory or lazy From `replica_displacements`, or ``replica_displacement``
        of a simulated ensemble. No drift of the whole system is removed.
    power : int, default 2
        1 or 2.

    Returns
    -------
    xarray.Dataset, lazy where the displacements are
        ``propensity`` (lag, particle) and ``propensity_error`` (lag, particle), the standard error from the scatter of
        the replicas, NaN with one replica. The coordinate ``delta`` (lag) is the mean of |dr| over particles and
        replicas, by which paper C measures time, and ``power`` is p.

    Raises
    ------
    SchemaError
        When dimensions are missing, or there is no replica.
    ParameterError
        When the power is neither 1 nor 2.

    Examples
    --------
    >>> moved = replica_displacements(np.zeros((1, 2)), np.array([[[3.0, 4.0]], [[0.0, 1.0]]]))
    >>> p = propensity(moved)
    >>> p["propensity"].values.tolist(), p["propensity_error"].values.round(6).tolist(), p["delta"].item()
    ([13.0], [12.0], 3.0)
    """
    check_displacement(displacement, ("replica", "particle", "space"))
    if isinstance(power, bool) or not isinstance(power, Real) or power not in (1, 2):
        raise ParameterError(f"power is {power!r}: expected 1, the mean of |dr|, or 2, the mean of |dr|^2")
    replicas = displacement.sizes["replica"]
    if not replicas:
        raise SchemaError("the displacements are of no replica: give those of one or more")
    moved = displacement.transpose("replica", ..., "space")
    dims = [str(dim) for dim in moved.dims[1:-1]]
    _, mean, squares, distance = _moments_of(moved.data, power)
    # one replica has no scatter
    share = 1.0 / (replicas * (replicas - 1)) if replicas > 1 else np.nan
    of_these = [name for name, known in moved.coords.items() if {"replica", "space"} & {*known.dims}]
    found = xr.Dataset(
        {"propensity": (dims, mean, {"replicas": replicas}), "propensity_error": (dims, (share * squares) ** 0.5)},
        coords=moved.coords.to_dataset().drop_vars(of_these).coords,
    )
    delta = distance.mean(axis=dims.index("particle"))
    found = found.assign_coords(delta=([dim for dim in dims if dim != "particle"], delta), power=power)
    unit = {"units": "length" if power == 1 else "length^2"}
    return annotated(found, propensity=unit, propensity_error=unit)


def at_delta(propensities: xr.Dataset, delta: float | Iterable[float]) -> xr.Dataset:
    """Propensities at given mean displacements in place of times (paper C, Sec. IV B: delta = 0.3, 1, 3).

    Linear interpolation in delta between the two lags where the mean displacement first passes the value.

    Parameters
    ----------
    propensities : xarray.Dataset
        Result of `propensity` with a dimension ``lag``, in any order.
    delta : float or iterable of float
        One or more mean displacements.

    Returns
    -------
    xarray.Dataset
        The variables of `propensities` with ``delta`` in place of ``lag``, and the coordinate ``lag`` (delta),
        interpolated. NaN where no lag is that early or late. An interpolated error is an upper estimate.

    Raises
    ------
    SchemaError, ParameterError
        When there is no ``delta`` (lag), or a value is not positive.

    Examples
    --------
    >>> moved = replica_displacements(np.zeros((1, 2)), np.array([[[[1.0, 0]], [[2.0, 0]]]]), lag=[10.0, 30.0])
    >>> found = at_delta(propensity(moved, power=1), [0.5, 1.25])
    >>> found["propensity"].values.tolist(), found["lag"].values.tolist()
    ([[nan], [1.25]], [nan, 15.0])
    """
    check_kind(propensities, xr.Dataset, "the propensities", "give the result of propensity")
    if any(name not in propensities.coords or propensities[name].dims != ("lag",) for name in ("delta", "lag")):
        raise SchemaError(
            "no coordinates 'delta' (lag) and 'lag': give the result of propensity() of displacements with lags"
        )
    wanted = np.atleast_1d(np.asarray(list(delta) if isinstance(delta, Iterable) else delta, dtype=np.float64))
    if not (np.isfinite(wanted) & (wanted > 0)).all():
        raise ParameterError(f"delta is {wanted.tolist()}: expected positive lengths")
    propensities = propensities.sortby("lag")  # passed first means at the shortest lag
    reached = np.asarray(propensities["delta"].values)
    lag = np.asarray(propensities["lag"].values, dtype=np.float64)
    after = np.array([np.argmax(reached >= value) for value in wanted])
    known = np.array([(reached >= value).any() for value in wanted]) & (reached[0] <= wanted)
    before = np.maximum(after - 1, 0)
    gap = np.where(after > before, reached[after] - reached[before], 1.0)
    share = np.where(known, np.where(after > before, (wanted - reached[before]) / gap, 1.0), np.nan)
    weight = xr.DataArray(share, dims="delta")
    plain = propensities.drop_vars(["lag", "delta"])
    early = plain.isel(lag=xr.DataArray(before, dims="delta"))
    late = plain.isel(lag=xr.DataArray(after, dims="delta"))
    with xr.set_options(keep_attrs=True):
        result = early * (1.0 - weight) + late * weight
    passed = lag[before] * (1.0 - share) + lag[after] * share
    return annotated(result.assign_coords(delta=wanted, lag=("delta", passed)))


def cage_relative(displacement: xr.DataArray, start: xr.Dataset, neighbors: Neighborhood | Cutoffs) -> xr.DataArray:
    r"""Displacements relative to the cage: minus the mean displacement of a particle and its neighbours.

    d_i - (1/N_i) sum_j d_j, the sum over the neighbours of i at the beginning and i itself, N_i particles (paper C,
    Sec. III E). It takes out the long-wavelength motion of two-dimensional systems, and any drift.

    Parameters
    ----------
    displacement : DataArray (..., particle, space), in memory or lazy
        Of replicas, or from `displacements`.
    start : xarray.Dataset
        Trajectory with one frame, the configuration from which the displacements are counted.
    neighbors : rule for neighbours or float or dict
        Cutoffs, one or for each pair of species, such as the `first_minima`; or a rule such as `Voronoi()`.

    Returns
    -------
    DataArray like `displacement`
        Zero for a particle without neighbours. NaN where an open border may hide some.

    Raises
    ------
    SchemaError
        When `start` has more than one frame or other particles.
    ParameterError, SpeciesError, BoxError
        When cutoffs are missing, wrong or too large.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[0.0, 0], [1, 0], [5, 0]]], species=["A"] * 3, box=[10.0, 10.0])
    >>> moved = xr.DataArray([[0.4, 0.0], [0.0, 0.2], [1.0, 1.0]], dims=("particle", "space"))
    >>> cage_relative(moved, row, 1.2).values.tolist()
    [[0.2, -0.1], [-0.2, 0.1], [0.0, 0.0]]
    """
    check_displacement(displacement, ("particle", "space"))
    check_start(start, displacement)
    rule = rule_of(neighbors, "the cage-relative displacement")
    check_radius(start, rule.reach(species_names(start)))
    size = np.asarray(start["diameter"].values).reshape(-1) if "diameter" in start else None
    work = partial(
        _cage_relative, rule=rule, codes=species_codes(start), names=species_names(start), borders=borders_of(start),
        diameter=size,
    )  # fmt: skip
    result = xr.apply_ufunc(
        work,
        whole_particles(displacement),
        *compute(*(start[name].isel(frame=0, drop=True) for name in ("position", "box"))),
        input_core_dims=[["particle", "space"], ["particle", "space"], ["axis", "space"]],
        output_core_dims=[["particle", "space"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return annotated(result.transpose(*displacement.dims).rename("cage_relative"))


def check_start(start: xr.Dataset, displacement: xr.DataArray) -> None:
    """Raise `SchemaError` unless `start` is one configuration of the particles that moved."""
    validate(start)
    check_matched(start)
    if start.sizes["frame"] != 1:
        raise SchemaError(
            f"start has {start.sizes['frame']} frames: give the one that the displacements are counted from, such as "
            "trajectory.isel(frame=[0])"
        )
    for dim in ("particle", "space"):
        if start.sizes[dim] != displacement.sizes[dim]:
            raise SchemaError(f"{dim}: start has {start.sizes[dim]}, the displacements have {displacement.sizes[dim]}")
    check_labels(displacement, start[[name for name in ("species", "id") if name in start]], "the displacements")


def whole_particles(displacement: xr.DataArray) -> xr.DataArray:
    """The same, where lazy in chunks of all particles, for neighbours to be found, and of few replicas and lags."""
    if displacement.chunks is None:
        return displacement
    others = [str(dim) for dim in displacement.dims if dim not in ("particle", "space")]
    at_once = max(1, task_bytes() // (8 * displacement.sizes["particle"] * displacement.sizes["space"]))
    chunks = {"particle": -1, "space": -1}
    for dim in reversed(others):
        chunks[dim] = min(at_once, displacement.sizes[dim])
        at_once = max(1, at_once // chunks[dim])
    return displacement.chunk(chunks)


def check_displacement(displacement: xr.DataArray, dims: tuple[str, ...]) -> None:
    """Raise `SchemaError` unless `displacement` has the dimensions `dims`."""
    if not isinstance(displacement, xr.DataArray) or not set(dims) <= set(displacement.dims):
        raise SchemaError(
            f"displacements have dimensions {getattr(displacement, 'dims', type(displacement).__name__)}, expected "
            f"{', '.join(dims)} among them: make them with replica_displacements() or displacements()"
        )


def _moments_of(displacement: Any, power: int) -> Any:
    """`_moments` of displacements (R, ..., d), in memory or lazy; those of few replicas at a time are merged."""
    if not hasattr(displacement, "dask"):
        return _moments(displacement, power)
    whole = displacement.rechunk({displacement.ndim - 1: -1})
    parts = da.map_blocks(
        _moments, whole, power, drop_axis=whole.ndim - 1, chunks=((4,) * whole.numblocks[0], *whole.chunks[1:-1]),
        dtype=np.float64, meta=np.empty((0,) * (whole.ndim - 1)),
    )  # fmt: skip
    return da.reduction(
        parts, _same, _merged, axis=0, keepdims=True, output_size=4, combine=_merged, dtype=np.float64,
        meta=np.empty((0,) * parts.ndim), split_every=FAN_IN,
    )  # fmt: skip


def _moments(displacement: np.ndarray, power: int) -> np.ndarray:
    """Number of replicas, and what `replica_moments` gives, of displacements (R, ..., d), as (4, ...)."""
    moved = np.asarray(displacement)
    moved = np.ascontiguousarray(moved, moved.dtype if moved.dtype in (np.float32, np.float64) else np.float64)
    found = np.empty((4, *moved.shape[1:-1]))
    rows = found.reshape(4, -1)
    rows[0] = len(moved)
    kernels.replica_moments(moved.reshape(len(moved), -1, moved.shape[-1]), power, np.empty(AT_ONCE), *rows[1:])
    return found


def _same(parts: np.ndarray, axis: Any, keepdims: bool) -> np.ndarray:
    return parts


def _merged(parts: np.ndarray, axis: Any, keepdims: bool) -> np.ndarray:
    """The `_moments` of all replicas from those of some at a time, one below the other (4 P, ...)."""
    number, mean, squares, distance = np.moveaxis(parts.reshape(-1, 4, *parts.shape[1:]), 1, 0)
    total = number.sum(axis=0)
    share = number / total
    middle = (share * mean).sum(axis=0)
    within = (squares + number * (mean - middle) ** 2).sum(axis=0)
    return np.stack([total, middle, within, (share * distance).sum(axis=0)])


def _cage_relative(displacement, position, box, *, rule, codes, names, borders, diameter):
    n, d = position.shape
    start = Configuration(position, codes, box, names, label="start", diameter=diameter, borders=borders)
    found = rule.find(start, np.arange(n))
    moved = np.ascontiguousarray(displacement, dtype=np.float64).reshape(-1, n, d)
    out = np.empty_like(moved)
    kernels.cage_relative(moved, found.offsets, found.index, out)
    if found.known is not None:
        out[:, ~found.known] = np.nan
    return out.reshape(displacement.shape)
