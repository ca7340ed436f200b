"""Local rearrangements: what the best affine map of the surroundings leaves of the motion of the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.correlations.shells import typical_minima
from glassdask.dynamics.averages import by_species
from glassdask.dynamics.origins import Origins
from glassdask.dynamics.paths import check_matched
from glassdask.dynamics.replicas import check_displacement, check_start, whole_particles
from glassdask.errors import SchemaError
from glassdask.frames import map_blocks
from glassdask.graphs import compute
from glassdask.kernels import rearrangements as kernels
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Cutoff
from glassdask.schema import (
    check_positions,
    labels,
    names_and_codes,
    species_codes,
    species_names,
    validate,
)
from glassdask.variables import annotated

# What a particle takes, roughly.
MICROSECONDS = 5.0
# Time origins of a lag that fields are made of.
FIELD_ORIGINS = 20
# What of a trajectory decides them.
SEEN = ("position", "species", "box", "diameter", "periodic", "present")
# Frames from which cutoffs are found that are not given.
CUTOFF_FRAMES = 20


def d2min(reference: xr.Dataset, deformed: xr.Dataset, cutoffs: Cutoffs) -> xr.Dataset:
    r"""Non-affine part of the motion around every particle between two configurations (Falk and Langer).

    D2min_i = min_F sum_j |r'_ij - F r_ij|^2,

    r_ij = r_j - r_i in the reference and r'_ij in the deformed configuration, the sum over all j that are closer to i
    than the cutoff in the reference [1]_. It is zero under any deformation that is affine around i, and does not change
    under rotations, shifts and whole box vectors. It is the sum, as Falk and Langer define it, whom paper B follows;
    divided by ``neighbors`` it is the mean square per neighbour.

    Each r'_ij is the image nearest to where the deformation of the box takes r_ij. That is right where no two
    neighbours come apart by half of the box more than the box deforms; also across a flip of the cell, as LAMMPS does
    them, as long as cutoff and non-affine motion together stay below half of the box.

    Parameters
    ----------
    reference, deformed : Datasets of the schema with the same particles, in memory or lazy
        Frame k of the one with frame k of the other; a single frame of either with all of the other. Successive frames
        of a sheared run: ``d2min(run.isel(frame=slice(None, -1)), run.isel(frame=slice(1, None)), 2.5)``; motion since
        the first frame: ``d2min(run.isel(frame=[0]), run, 2.5)``. Where both have an ``id`` (particle), particles of
        the same id are compared, in the order of the reference; otherwise they must be in the same order.
    cutoffs : float or dict
        Radius of the surroundings, or one for each pair of species.

    Returns
    -------
    xarray.Dataset, lazy
        ``d2min`` (frame, particle); ``local_strain`` (frame, particle, space_a, space_b), the Green-Lagrange strain
        (F^T F - 1) / 2 of the best map; ``neighbors`` (frame, particle), their number, as a float. The first two are
        NaN where the neighbours do not span the space (fewer than d, or in a plane), and all three where an open border
        may hide some. Coordinates ``species``
        (particle), and ``time`` (frame) of the deformed frames.

    Raises
    ------
    SchemaError, SpeciesError
        When frames, particles, their ids or species differ.
    ParameterError, BoxError
        When the cutoffs are wrong, or larger than half of a reference box.

    References
    ----------
    .. [1] M. L. Falk and J. S. Langer, Phys. Rev. E 57, 7192 (1998), Eqs. 2.11-2.14.

    Examples
    --------
    A shear of crystal and box is affine; one particle that moves by 0.1 is seen by itself, six times 0.1^2:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(64, 3)
    >>> shear = np.eye(3)
    >>> shear[1, 0] = 0.2
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=np.eye(3) * 4)
    >>> sheared = gd.from_arrays(cubic @ shear, species=["A"] * 64, box=4 * shear)
    >>> bool((d2min(crystal, sheared, 1.2)["d2min"] < 1e-24).all())
    True
    >>> cubic[0, 0] += 0.1
    >>> moved = gd.from_arrays(cubic, species=["A"] * 64, box=np.eye(3) * 4)
    >>> d2min(crystal, moved, 1.2)["d2min"][0, 0].values.round(6).tolist()
    0.06
    """
    validate(reference)
    validate(deformed)
    check_matched(reference, deformed)
    deformed = _in_order_of(reference, deformed)
    _check_pair(reference, deformed)
    names, codes = names_and_codes(reference)
    matrix = Cutoff(cutoffs).matrix(names)
    check_radius(reference, float(matrix.max()))
    n_frames = max(reference.sizes["frame"], deformed.sizes["frame"])
    n, d = reference.sizes["particle"], reference.sizes["space"]
    numbers = xr.DataArray(np.arange(deformed.sizes["frame"]), dims="frame")
    packed = map_blocks(
        partial(_rearranged, matrix=matrix), reference, numbers, deformed["position"], deformed["box"],
        columns=d * d + 2, microseconds=MICROSECONDS,
    )  # fmt: skip
    strain = packed[:, :, 2:].reshape(n_frames, n, d, d)
    dims = ("frame", "particle")
    axes = list("xyz"[:d])
    coords: dict[str, Any] = labels(deformed, particles=False) if deformed.sizes["frame"] == n_frames else {}
    coords |= {"species": ("particle", np.array(names)[codes]), "space_a": axes, "space_b": axes}
    if "id" in reference:
        coords["id"] = reference["id"].variable
    found = {
        "d2min": (dims, packed[:, :, 0]),
        "local_strain": ((*dims, "space_a", "space_b"), strain),
        "neighbors": (dims, packed[:, :, 1]),
    }
    return annotated(xr.Dataset(found, coords=coords))


def d2min_fields(
    trajectory: xr.Dataset,
    lags: Sequence[float],
    *,
    cutoffs: Cutoffs | None = None,
    origins: int = FIELD_ORIGINS,
) -> xr.Dataset:
    r"""Non-affine motion in time: D2min of every particle, for each lag and time origin.

    See `d2min`, of the frames at the origin and a lag later: drift, and strain that varies slowly in space, leave no
    trace in it.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; images are not needed.
    lags : sequence of float
        Times.
    cutoffs : float or dict, optional
        Radius of the surroundings, or one for each pair of species; by default the `first_minima` of about 20 frames.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.

    Returns
    -------
    xarray.Dataset, lazy
        ``d2min`` (lag, origin, particle), as that of `d2min`, and NaN where a lag has fewer origins than others;
        ``start`` (lag, origin), the times of the origins, NaN where there is none.

    Raises
    ------
    SchemaError, ParameterError, BoxError
        As `self_correlations` and `d2min`.

    Examples
    --------
    One particle of a crystal moves by 0.1 between two frames:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(64, 3)
    >>> path = np.stack([cubic, cubic, cubic])
    >>> path[2, 0, 0] += 0.1
    >>> t = gd.from_arrays(path, species=["A"] * 64, box=[4.0] * 3, time=[0.0, 1.0, 2.0])
    >>> found = d2min_fields(t, lags=[1.0], cutoffs=1.2)
    >>> found["d2min"].values[0, :, 0].round(6).tolist(), found["start"].values.tolist()
    ([0.0, 0.06], [[0.0, 1.0]])
    """
    validate(trajectory)
    found = Origins.of(trajectory, lags, origins)
    most = int(found.counts.max())
    fields = [field.pad(frame=(0, most - field.sizes["frame"])) for field in _of_lags(trajectory, found, cutoffs)]
    time = np.asarray(trajectory["time"].values, dtype=np.float64)
    start = np.full((len(fields), most), np.nan)
    for lag, (first, count) in enumerate(zip(found.first, found.counts)):
        start[lag, :count] = time[found.pairs[first : first + count, 0]]
    values = xr.concat(fields, "lag").rename(frame="origin").transpose("lag", "origin", "particle")
    dataset = xr.Dataset({"d2min": values, "start": (("lag", "origin"), start)}, coords={"lag": found.lags})
    return annotated(dataset.assign_coords(species=trajectory["species"].variable))


def nonaffine_motion(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    cutoffs: Cutoffs | None = None,
    origins: int = FIELD_ORIGINS,
) -> xr.Dataset:
    """Mean of D2min over particles and time origins, and of each particle over the origins; see `d2min_fields`.

    Parameters
    ----------
    trajectory, cutoffs, origins : xarray.Dataset, float or dict, int
        See `d2min_fields`.
    lags : sequence of float, optional
        Times; by default about 50 that occur.

    Returns
    -------
    xarray.Dataset
        ``d2min_mean`` (species, lag) with ``_error`` and, of all particles alike, ``_total``, errors as those of
        `self_correlations`; ``d2min`` (particle, lag), the field that is left of the mean over the origins;
        ``origins`` (lag). Computed, not lazy. Particles whose neighbours do not span the space are left out.

    Raises
    ------
    SchemaError, ParameterError, BoxError
        As `d2min_fields`.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(64, 3)
    >>> path = np.stack([cubic, cubic])
    >>> path[1, 0, 0] += 0.1
    >>> t = gd.from_arrays(path, species=["A"] * 64, box=[4.0] * 3, time=[0.0, 1.0])
    >>> found = nonaffine_motion(t, lags=[1.0], cutoffs=1.2)
    >>> found["d2min"].values[0].round(6).tolist()
    [0.06]
    """
    validate(trajectory)
    found = Origins.of(trajectory, lags, origins)
    codes, n_species = species_codes(trajectory), len(species_names(trajectory))
    wanted = []
    for field in _of_lags(trajectory, found, cutoffs):
        of_species = [field.isel(particle=codes == s).mean("particle") for s in range(n_species)]
        wanted += [field.mean("frame"), xr.concat([*of_species, field.mean("particle")], "s").transpose("frame", "s")]
    values = [part.values for part in compute(*wanted)]
    averages = found.averages(lambda means, counts: {"d2min_mean": means}, np.concatenate(values[1::2]))
    result = by_species(trajectory, found, averages)
    return annotated(result.assign(d2min=(("particle", "lag"), np.stack(values[::2], axis=1))))


def _of_lags(trajectory: xr.Dataset, origins: Origins, cutoffs: Cutoffs | None) -> list[xr.DataArray]:
    """D2min (frame, particle) of the pairs of frames of each lag, lazily."""
    if cutoffs is None:
        cutoffs = typical_minima(trajectory, CUTOFF_FRAMES)
    still = trajectory[[name for name in SEEN if name in trajectory]].drop_vars("time", errors="ignore")
    pairs = np.split(origins.pairs, origins.first[1:])
    fields = [d2min(still.isel(frame=part[:, 0]), still.isel(frame=part[:, 1]), cutoffs)["d2min"] for part in pairs]
    # what labels frames and particles differs between the lags
    return [xr.DataArray(field.data, dims=field.dims) for field in fields]


def replica_d2min(displacement: xr.DataArray, start: xr.Dataset, cutoffs: Cutoffs) -> xr.DataArray:
    """D2min of every particle for many displacements from the same configuration, in a box that keeps its shape.

    The same sum as `d2min`. Its isoconfigurational average (paper B) is ``replica_d2min(...).mean("replica")``.

    Parameters
    ----------
    displacement : xarray.DataArray (..., particle, space)
        In memory or lazy, such as (replica, lag, particle, space) Unwrapped: exact however far particles move.
    start : xarray.Dataset
        Trajectory with one frame.
    cutoffs : float or dict
        Radius of the surroundings, or one for each pair of species.

    Returns
    -------
    DataArray (..., particle), lazy where the displacements are
        NaN where the neighbours do not span the space, and where an open border may hide some.

    Raises
    ------
    SchemaError
        When `start` has more than one frame or other particles.
    ParameterError, SpeciesError, BoxError
        When the cutoffs are wrong, or larger than half of the box.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> moved = xr.DataArray(np.zeros((2, 64, 3)), dims=("replica", "particle", "space"))
    >>> moved[1, 0, 0] = 0.1
    >>> replica_d2min(moved, crystal, 1.2)[:, 0].values.round(6).tolist()
    [0.0, 0.06]
    """
    check_displacement(displacement, ("particle", "space"))
    check_start(start, displacement)
    names, codes = names_and_codes(start)
    matrix = Cutoff(cutoffs).matrix(names)
    check_radius(start, float(matrix.max()))
    result = xr.apply_ufunc(
        partial(_replicas, matrix=matrix, codes=codes, names=names, borders=borders_of(start)),
        whole_particles(displacement),
        *compute(*(start[name].isel(frame=0, drop=True) for name in ("position", "box"))),
        input_core_dims=[["particle", "space"], ["particle", "space"], ["axis", "space"]],
        output_core_dims=[["particle"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return annotated(result.rename("d2min"))


def _in_order_of(reference: xr.Dataset, deformed: xr.Dataset) -> xr.Dataset:
    """`deformed` with its particles in the order of those of the same id in the reference, where both have ids."""
    if "id" not in reference or "id" not in deformed:
        return deformed
    ours, theirs = (np.asarray(trajectory["id"].values) for trajectory in (reference, deformed))
    if np.array_equal(ours, theirs):
        return deformed
    if not np.array_equal(np.sort(ours), np.sort(theirs)):
        raise SchemaError(
            f"the ids differ (particle {np.setxor1d(ours, theirs)[0]} is in one only): give configurations of the same "
            "particles, or drop_vars('id') where their order is the same"
        )
    where = np.argsort(theirs)
    return deformed.isel(particle=where[np.searchsorted(theirs, ours, sorter=where)])


def _check_pair(reference: xr.Dataset, deformed: xr.Dataset) -> None:
    for dim in ("particle", "space"):
        if reference.sizes[dim] != deformed.sizes[dim]:
            raise SchemaError(f"{dim}: the reference has {reference.sizes[dim]}, deformed has {deformed.sizes[dim]}")
    ours, theirs = (np.broadcast_to(one["species"].values, (1, one.sizes["particle"])) for one in (reference, deformed))
    if not np.array_equal(ours, theirs):
        raise SchemaError("the species differ: the particles must be the same, in the same order")
    frames = {reference.sizes["frame"], deformed.sizes["frame"]}
    if len(frames) > 1 and 1 not in frames:
        raise SchemaError(
            f"the reference has {reference.sizes['frame']} frames, deformed has {deformed.sizes['frame']}: give as "
            "many, or one"
        )


def _rearranged(configuration, particles, number, position, new_box, *, out, matrix):
    """D2min, number of neighbours and strain of some particles, (particle, 2 + d * d); of the deformed frame number."""
    check_positions(position[None], first_frame=int(number))
    d = configuration.dimension
    old, old_box = configuration.position[:, :d], configuration.box[:d, :d]
    inverse = np.linalg.inv(old_box)
    moved = _embed(position @ np.linalg.inv(new_box) - old @ inverse)
    affine, box = np.eye(3), np.eye(3)
    affine[:d, :d], box[:d, :d] = inverse @ new_box, new_box
    if configuration.borders is not None:
        longer = configuration.borders.lengthening(moved)
        moved, box = moved / longer, box * longer[:, None]
    for rows, found in configuration.batches(particles, matrix):
        scratch = np.empty((3, int(found.counts.max(initial=0))))
        residual, gradient = np.empty(len(rows)), np.empty((len(rows), 3, 3))
        kernels.nonaffine(
            found.centers, found.offsets, found.index, found.vector, moved, 1.0, affine, box, d, scratch, residual,
            gradient,
        )  # fmt: skip
        gradient = gradient[:, :d, :d]
        strain = 0.5 * (gradient @ gradient.transpose(0, 2, 1) - np.eye(d))
        out[rows, 0], out[rows, 1], out[rows, 2:] = residual, found.counts, strain.reshape(-1, d * d)
        if found.known is not None:
            out[rows[~found.known]] = np.nan


def _replicas(displacement, position, box, *, matrix, codes, names, borders):
    n, d = position.shape
    moved = _embed(np.asarray(displacement, dtype=np.float64).reshape(-1, n, d))
    configuration = Configuration(position, codes, box, names, label="start", borders=borders)
    out = np.empty((len(moved), n))
    for rows, found in configuration.batches(np.arange(n), matrix):
        scratch = np.empty((3, int(found.counts.max(initial=0))))
        residual, gradient = np.empty(len(rows)), np.empty((len(rows), 3, 3))
        for m in range(len(moved)):
            # displacements themselves: the box does not change, so its affine map is the identity
            kernels.nonaffine(
                found.centers, found.offsets, found.index, found.vector, moved[m], 0.0, np.eye(3), np.eye(3), d,
                scratch, residual, gradient,
            )  # fmt: skip
            out[m, rows] = residual if found.known is None else np.where(found.known, residual, np.nan)
    return out.reshape(displacement.shape[:-1])


def _embed(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) as contiguous (..., 3)."""
    if vectors.shape[-1] == 3:
        return np.ascontiguousarray(vectors)
    return np.concatenate([vectors, np.zeros((*vectors.shape[:-1], 1))], axis=-1)
