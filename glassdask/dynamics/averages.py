"""How particles forget where they were: mean-square displacement, F_s(k, t), overlap, non-Gaussian parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.lags import frame_pairs
from glassdask.dynamics.paths import unwrapped
from glassdask.errors import PositionError
from glassdask.graphs import compute, task_bytes, task_seconds
from glassdask.kernels import dynamics as kernels
from glassdask.schema import species_codes, species_names, validate
from glassdask.variables import annotated

# Time origins of a lag: neighbouring ones tell much the same, and the work grows with their number.
ORIGINS = 100
# A task holds the whole path of its particles: at most this much, and about a second of work.
SMALLEST_TASK_PARTICLES = 256
MICROSECONDS = 0.015  # what one displacement of one particle takes, roughly
# Paths that are in memory together. A longer trajectory is read again for each part of its particles.
PART_BYTES = 2 << 30
# Blocks of origins whose scatter gives the errors.
BLOCKS = 10


def self_correlations(
    trajectory: xr.Dataset,
    *,
    k: float | None = None,
    a: float | None = None,
    lags: Sequence[float] | None = None,
    origins: int = ORIGINS,
) -> xr.Dataset:
    r"""All averages over the displacement r of a particle in the time t, in one pass.

    - ``msd``: <r^2>
    - ``alpha2``: d <r^4> / ((d + 2) <r^2>^2) - 1 in d dimensions, zero for Gaussian displacements
    - ``fs``, with `k`: F_s(k, t) = <cos(k.r)>, averaged over all directions of k for every displacement: sin(kr)/(kr)
      in three dimensions, J0(kr) in two. k need not fit the box. Its usual value is that of the first peak of S(k):
      ``first_peak_wavenumber(structure_factor(trajectory))``
    - ``overlap``, with `a`: the fraction of particles with r < a

    The averages are over the particles of a species and over time origins. Each quantity comes with ``_total``, over
    all particles alike.

    Parameters
    ----------
    trajectory : Dataset of the schema with ``time``, in memory or lazy
        With ``image``, or with frames so close that `unwrapped` works without. In a box that changes its shape, the
        displacements contain the affine motion. No drift of the whole system is removed.
    k : wave number, in the inverse unit of the positions
    a : length
    lags : times; by default about 50 that occur, evenly spaced in their logarithm
    origins : time origins that are used of each lag at most, evenly spread over the trajectory

    Returns
    -------
    xarray.Dataset
        For every quantity X: ``X`` (species, lag), ``X_error``, ``X_total`` (lag) and ``X_total_error``; and
        ``origins`` (lag). Computed, not lazy. The errors are standard errors from the scatter of up to ten blocks of
        successive origins, each at least as long as the lag; NaN where the trajectory holds fewer than two such blocks.
        They are too small where the slowest motion takes longer than a tenth of the trajectory. ``alpha2`` is NaN where
        nothing moves.

    Raises
    ------
    SchemaError
        When there are no times, they do not increase, or images are needed and missing.
    ParameterError
        When no two frames are a given lag apart, or k, a or origins is not positive.
    PositionError
        When a position is not finite.

    Examples
    --------
    Particles that fly freely, and the variance of their velocities is 1:

    >>> import glassdask as gd
    >>> rng = np.random.default_rng(0)
    >>> x, v = rng.random((5000, 3)) * 10, rng.normal(size=(5000, 3))
    >>> time = np.arange(6) * 0.1
    >>> path = x + v * time[:, None, None]
    >>> gas = gd.from_arrays(path, species=["A"] * 5000, box=[10.0] * 3, time=time, image=np.zeros(path.shape, int))
    >>> found = self_correlations(gas, k=2.0, lags=[0.5])
    >>> float(found["msd_total"][0].round(2)), float(found["fs_total"][0].round(2)), round(math.exp(-0.5), 2)
    (0.74, 0.61, 0.61)
    """
    validate(trajectory)
    for name, value in (("k", k), ("a", a)):
        converted(value, Positive | None, name)
    found_lags, pairs = frame_pairs(trajectory, lags, origins)
    sums = _sums(trajectory, np.concatenate(pairs), k or 0.0, a or 0.0)
    names = species_names(trajectory)
    number = np.bincount(species_codes(trajectory), minlength=len(names)).astype(float)
    # per-particle means of each origin, all particles alike as one more species
    means = np.concatenate([sums / number[:, None], sums.sum(axis=1, keepdims=True) / number.sum()], axis=1)
    time = np.asarray(trajectory["time"].values, dtype=np.float64)
    wanted = ["msd", "alpha2", *(["fs"] if k else []), *(["overlap"] if a else [])]
    values = {name: np.full((2, len(names) + 1, len(found_lags)), np.nan) for name in wanted}
    d = trajectory.sizes["space"]
    first = 0
    for column, (lag, found) in enumerate(zip(found_lags, pairs)):
        origin = means[first : first + len(found)]
        first += len(found)
        averages = _quantities(origin.mean(axis=0), d)
        span = time[found[-1, 0]] - time[found[0, 0]]
        n_blocks = min(BLOCKS, len(found), int(span / lag * (1 + 1e-9)) + 1)
        blocks = [_quantities(part.mean(axis=0), d) for part in np.array_split(origin, n_blocks)]
        for name in wanted:
            values[name][0, :, column] = averages[name]
            if n_blocks > 1:
                scatter = np.std([block[name] for block in blocks], axis=0, ddof=1)
                values[name][1, :, column] = scatter / math.sqrt(n_blocks)
    variables: dict[str, Any] = {}
    for name in wanted:
        mean, error = values[name]
        asked = {"k": k} if name == "fs" else {"a": a} if name == "overlap" else {}
        variables[name] = (("species", "lag"), mean[:-1], asked)
        variables[f"{name}_error"] = (("species", "lag"), error[:-1])
        variables[f"{name}_total"] = ("lag", mean[-1], asked)
        variables[f"{name}_total_error"] = ("lag", error[-1])
    variables["origins"] = ("lag", [len(found) for found in pairs])
    attrs = {"dimension": trajectory.sizes["space"], "particles": trajectory.sizes["particle"]}
    return annotated(xr.Dataset(variables, coords={"species": list(names), "lag": found_lags}, attrs=attrs))


def mean_square_displacement(
    trajectory: xr.Dataset, lags: Sequence[float] | None = None, *, origins: int = ORIGINS
) -> xr.Dataset:
    """Mean-square displacement <|r_i(t0 + t) - r_i(t0)|^2>; see `self_correlations` for all that can be asked.

    Examples
    --------
    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0]], [[1.0, 2.0]], [[1.0, 3.0]]])
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0], time=[0.0, 1.0, 2.0])
    >>> mean_square_displacement(t)["msd"].sel(species="A").values.tolist()
    [1.0, 4.0]
    """
    found = self_correlations(trajectory, lags=lags, origins=origins)
    return found.drop_vars([name for name in found if str(name).startswith("alpha2")])


def non_gaussian_parameter(
    trajectory: xr.Dataset, lags: Sequence[float] | None = None, *, origins: int = ORIGINS
) -> xr.Dataset:
    """alpha_2(t) = d <r^4> / ((d + 2) <r^2>^2) - 1; see `self_correlations` for all that can be asked.

    Examples
    --------
    Of two particles one moves: <r^4> / <r^2>^2 is 2, and in two dimensions alpha_2 = 2/2 - 1.

    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0], [5.0, 5.0]], [[1.0, 2.0], [5.0, 5.0]]])
    >>> t = gd.from_arrays(path, species=["A", "A"], box=[9.0, 9.0], time=[0.0, 1.0])
    >>> non_gaussian_parameter(t)["alpha2"].values.tolist()
    [[0.0]]
    """
    found = self_correlations(trajectory, lags=lags, origins=origins)
    return found.drop_vars([name for name in found if str(name).startswith("msd")])


def self_intermediate_scattering(
    trajectory: xr.Dataset, k: float, lags: Sequence[float] | None = None, *, origins: int = ORIGINS
) -> xr.Dataset:
    """F_s(k, t), averaged over the directions of k; see `self_correlations` for all that can be asked.

    Examples
    --------
    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0, 1.0]], [[1.0, 1.0, 1.5]]])
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0, 9.0], time=[0.0, 1.0])
    >>> fs = self_intermediate_scattering(t, k=math.pi)["fs"]
    >>> fs.values.round(4).tolist(), round(math.sin(math.pi / 2) / (math.pi / 2), 4)
    ([[0.6366]], 0.6366)
    """
    return _only("fs", self_correlations(trajectory, k=k, lags=lags, origins=origins))


def overlap(
    trajectory: xr.Dataset, a: float, lags: Sequence[float] | None = None, *, origins: int = ORIGINS
) -> xr.Dataset:
    """Fraction of the particles that have moved less than `a`; see `self_correlations` for all that can be asked.

    Examples
    --------
    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0], [5.0, 5.0]], [[1.0, 2.0], [5.0, 5.0]]])
    >>> t = gd.from_arrays(path, species=["A", "A"], box=[9.0, 9.0], time=[0.0, 1.0])
    >>> overlap(t, a=0.3)["overlap"].values.tolist()
    [[0.5]]
    """
    return _only("overlap", self_correlations(trajectory, a=a, lags=lags, origins=origins))


def _only(quantity: str, found: xr.Dataset) -> xr.Dataset:
    return found[[name for name in found if name == "origins" or str(name).startswith(quantity)]]


def _quantities(means: np.ndarray, d: int) -> dict[str, np.ndarray]:
    """From means (S, 4) over particles and origins."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "msd": means[:, kernels.SQUARE],
            "alpha2": d / (d + 2) * means[:, kernels.FOURTH] / means[:, kernels.SQUARE] ** 2 - 1.0,
            "fs": means[:, kernels.SCATTERING],
            "overlap": means[:, kernels.OVERLAP],
        }


def _sums(trajectory: xr.Dataset, pairs: np.ndarray, k: float, a: float) -> np.ndarray:
    """Sums over the particles of each species, (pair of frames, species, 4), in tasks of some particles each.

    Particles are cut, not frames: a lag then never needs two tasks, and a path can be followed without images.
    """
    if "image" in trajectory:
        frames, flat = np.unique(pairs, return_inverse=True)
        pairs = flat.reshape(pairs.shape)
        if len(frames) < trajectory.sizes["frame"]:
            trajectory = trajectory.isel(frame=frames)
    n_frames, n_particles, d = (trajectory.sizes[dim] for dim in ("frame", "particle", "space"))
    path_bytes = 8 * d * n_frames
    rows = max(SMALLEST_TASK_PARTICLES, min(int(1e6 * task_seconds() / MICROSECONDS) // len(pairs), n_particles // 8))
    rows = max(1, min(rows, task_bytes() // path_bytes, n_particles))
    part = rows * max(1, PART_BYTES // (path_bytes * rows))
    chunks = {"frame": -1, "particle": rows}
    cut = {name: trajectory[name].chunk(chunks) for name in ("position", "image") if name in trajectory}
    path = unwrapped(trajectory.assign(cut)).data.rechunk((-1, rows, -1))
    codes = da.from_array(species_codes(trajectory), chunks=rows)
    n_species = len(species_names(trajectory))
    sums = da.blockwise(
        _block, "bpsm",
        path, "fbx",
        codes, "b",
        da.arange(n_particles, chunks=rows), "b",
        new_axes={"p": len(pairs), "s": n_species, "m": kernels.N_SUMS}, adjust_chunks={"b": 1}, concatenate=True,
        dtype=np.float64, meta=np.empty((0, 0, 0, 0)), pairs=pairs, k=k, a=a, n_species=n_species, name=None,
    )  # fmt: skip
    total = np.zeros(sums.shape[1:])
    for first in range(0, sums.shape[0], part // rows):
        total += compute(sums[first : first + part // rows].sum(axis=0))[0]
    return total


def _block(
    path: np.ndarray,
    codes: np.ndarray,
    particles: np.ndarray,
    *,
    pairs: np.ndarray,
    k: float,
    a: float,
    n_species: int,
) -> np.ndarray:
    """Sums over some particles, (1, pair, species, 4), of their `path` (frame, particle, space)."""
    finite = np.isfinite(path)
    if not finite.all():
        particle = particles[np.argwhere(~finite)[0, 1]]
        raise PositionError(f"particle {particle}: a position is not finite: remove or repair that frame")
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(n_species + 1))
    position = path.transpose(0, 2, 1)[:, :, order]
    out = np.empty((len(pairs), n_species, kernels.N_SUMS))
    kernels.self_sums(position, starts, pairs, k, a * a, np.empty(len(codes)), out)
    return out[None]
