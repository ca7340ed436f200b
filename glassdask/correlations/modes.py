"""Static structure factors from the density modes that fit the periodic box."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import numpy as np
import scipy  # whose ndimage is imported when it is first used: most commands never do
import xarray as xr

from glassdask.correlations.waves import add_waves, transform_microseconds
from glassdask.declarations import Count, Positive, converted
from glassdask.errors import BoxError, ParameterError, SchemaError, SpeciesError
from glassdask.frames import LEAST_TASKS, SHORTEST_TASK, sum_frames, sums_by_frame
from glassdask.graphs import task_seconds
from glassdask.neighborhood.borders import Borders, borders_of
from glassdask.neighborhood.boxes import ball, mean_spacing, volumes
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_kind, particle_numbers, species_names, validate
from glassdask.variables import annotated

# What a mode of one particle takes, roughly.
MODE_MICROSECONDS = 0.3e-3
# Smoothing of S(k) before its first peak is looked for, in bins.
PEAK_SMOOTHING = 1.5
# Wavelengths that fit into the box at most: the phases of all powers are in memory at once.
MOST_ORDERS = 50_000
# Where that peak is looked for: beyond this multiple of pi over the mean spacing.
SMALL_ANGLES = 1.0


def structure_factor(
    trajectory: xr.Dataset,
    k_max: float | None = None,
    n_bins: int = 150,
    modes_per_bin: int = 200,
    *,
    values: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Partial structure factors, averaged over frames and over the directions of k, of particles or of what they have.

    S_ab(k) = 1/N < Re rho_a(k) rho_b(-k) >,  rho_a(k) = sum_{j in a} w_j exp(-i k.r_j),

    with w_j = 1, or the `values` of the particles. The total S(k) is the sum of all S_ab (a, b and b, a); with w_j = 1,
    S_aa goes to N_a/N and S_ab to 0 for large k. The wave vectors are those of the periodic box, k = 2 pi H^-1 n, for
    any shape of box; each frame has its own. Where the numbers of particles change, N is their mean. Of bins with more
    than `modes_per_bin` of them a fixed choice in random directions is used. Where borders are open, only wave vectors
    along the axes that repeat are used, k = 2 pi n with the reciprocal vectors in their plane (on their line): along
    the others the faces would be seen.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    k_max : float, optional
        Largest wave number; by default 6 pi over the mean spacing (V/N)^(1/d), about the third peak.
    n_bins : int, default 150
        Bins of equal width from 0 to k_max.
    modes_per_bin : int, default 200
        About how many wave vectors of a bin are used at most, k and -k counting as one.
    values : DataArray (frame, particle) or (particle), optional
        A property of the particles, such as an energy, a charge, a mobility or a component: S(k) then tells how its
        variations are spread in space. Subtract its mean first, unless the density itself is to count. NaN counts as 0,
        and N is the number of all particles.

    Returns
    -------
    xarray.Dataset
        ``S`` (species_a, species_b, k), ``S_total`` (k), each with the standard error of its mean over the frames,
        ``S_error`` and ``S_total_error``, as if these were independent (NaN of a single frame), and ``modes`` (k) wave
        vectors used in all frames. ``k`` is the middle of the bins, in the inverse unit of the positions. NaN in bins
        without a wave vector, as below 2 pi over the box length. Computed, not lazy.

    Raises
    ------
    ParameterError
        When k_max, n_bins or modes_per_bin is not positive.
    SchemaError
        When the values are of other frames or particles.
    BoxError
        When the box repeats along no axis.

    Examples
    --------
    Without correlations S = 1:

    >>> import glassdask as gd
    >>> gas = gd.from_arrays(np.random.default_rng(0).random((20, 500, 3)) * 8, species=["A"] * 500, box=[8.0] * 3)
    >>> s = structure_factor(gas, k_max=9.0, n_bins=3)
    >>> s["S_total"].values.round(1).tolist(), s.k.values.tolist()
    ([1.0, 1.0, 1.0], [1.5, 4.5, 7.5])

    Charges +1 and -1 at random have the same, whatever the particles do:

    >>> charge = xr.DataArray(np.random.default_rng(1).choice([-1.0, 1.0], (20, 500)), dims=("frame", "particle"))
    >>> structure_factor(gas, k_max=9.0, n_bins=3, values=charge)["S_total"].values.round(1).tolist()
    [1.0, 1.0, 1.0]
    """
    return structure_factor_and_squares(trajectory, k_max, n_bins, modes_per_bin, values)[0]


def structure_factor_and_squares(
    trajectory: xr.Dataset, k_max: float | None, n_bins: int, modes_per_bin: int, values: xr.DataArray | None = None
) -> tuple[xr.Dataset, np.ndarray]:
    """What `structure_factor` gives, and the mean of k^2 over the wave vectors of each bin, NaN where there is none."""
    validate(trajectory)
    if k_max is None:
        k_max = 6.0 * math.pi / mean_spacing(trajectory)
    k_max = converted(k_max, Positive, "structure_factor.k_max")
    n_bins = converted(n_bins, Count, "structure_factor.n_bins")
    modes_per_bin = converted(modes_per_bin, Count, "structure_factor.modes_per_bin")
    names = species_names(trajectory)
    borders = borders_of(trajectory)
    if borders is not None and not any(borders.periodic):
        raise BoxError(
            "structure_factor: the box repeats along no axis, so that no wave vector fits it: use radial_distribution"
        )
    cell, _ = _repeating(np.asarray(trajectory["box"].values)[0], borders)
    used = np.minimum(_expected(cell, k_max, n_bins), modes_per_bin)
    arrays = [] if values is None else [values]
    given: dict[str, Any] = {"k_max": k_max, "n_bins": n_bins, "limit": modes_per_bin}
    microseconds, part = _effort(trajectory, cell, k_max, int(used.sum()))
    if part is None:
        work = partial(_modes_of_frame, **given)
        sums = sum_frames(work, trajectory, *arrays, items=1, microseconds=microseconds)
    else:
        sums = _modes_in_parts(trajectory, arrays, part, **given)
    products, modes, possible, squares, frames, lengths = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        partials = products / possible
        means, squares = squares / frames
        k_squared = lengths / modes
        error = np.where(frames > 1, np.sqrt(np.maximum(squares - means**2, 0.0) / (frames - 1)), np.nan)
    pair, n_species = ("species_a", "species_b"), len(names)
    found = {
        "S": ((*pair, "k"), partials),
        "S_total": ("k", partials.sum(axis=(0, 1))),
        "S_error": ((*pair, "k"), error[:-1].reshape(n_species, n_species, n_bins)),
        "S_total_error": ("k", error[-1]),
        "modes": ("k", modes),
    }
    coords = {**{dim: list(names) for dim in pair}, "k": (np.arange(n_bins) + 0.5) * (k_max / n_bins)}
    attrs = {
        "frames": trajectory.sizes["frame"],
        "dimension": trajectory.sizes["space"],
        "density": float((particle_numbers(trajectory) / volumes(trajectory)).mean()),
    }
    return annotated(xr.Dataset(found, coords=coords, attrs=attrs)), k_squared


def first_peak_wavenumber(structure: xr.Dataset, species: str | None = None) -> float:
    """Wave number of the first peak of a `structure_factor`, of all particles or of S_aa of one species.

    The highest maximum of the smoothed S beyond the small angles, k > pi over the mean spacing, where slow variations
    of the composition can stand out; refined by a parabola through the bins around it.

    Raises
    ------
    ParameterError
        When S still rises at its last k: take a larger k_max.
    SpeciesError
        When the species is unknown.

    Examples
    --------
    >>> import glassdask as gd
    >>> jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    >>> cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    >>> crystal = gd.from_arrays(cubic + jitter, species=["A"] * 512, box=[8.0, 8.0, 8.0])
    >>> round(first_peak_wavenumber(structure_factor(crystal, k_max=8.0, n_bins=40)) / (2 * np.pi), 1)
    1.0
    """
    remedy = "give the result of structure_factor"
    check_kind(structure, xr.Dataset, "the structure factor", remedy)
    if not {"S", "S_total", "modes"} <= {*structure.data_vars}:
        raise SchemaError(f"no variables S, S_total and modes, found {sorted(map(str, structure.variables))}: {remedy}")
    names = [str(name) for name in structure["species_a"].values]
    if species is None:
        values = structure["S_total"].values
    elif species in names:
        values = structure["S"].sel(species_a=species, species_b=species).values
    else:
        raise SpeciesError(f"unknown species {species}: known species are {', '.join(names)}")
    modes = structure["modes"].values.astype(float)
    total = scipy.ndimage.gaussian_filter1d(np.nan_to_num(values) * modes, PEAK_SMOOTHING, mode="constant")
    weight = scipy.ndimage.gaussian_filter1d(modes, PEAK_SMOOTHING, mode="constant")
    spacing = structure.attrs["density"] ** (-1 / structure.attrs["dimension"])
    beyond = (weight > 0) & (structure["k"].values > SMALL_ANGLES * math.pi / spacing)
    smooth, k = total[beyond] / weight[beyond], structure["k"].values[beyond]
    at = int(np.argmax(smooth)) if len(smooth) else 0
    if not 0 < at < len(smooth) - 1:
        raise ParameterError(
            f"S(k) has no peak inside {k.min(initial=0):.3g} < k < {k.max(initial=0):.3g}: raise k_max"
        )
    left, middle, right = smooth[at - 1 : at + 2]
    return float(k[at] + 0.5 * (k[at] - k[at - 1]) * (left - right) / (left - 2.0 * middle + right))


def _effort(trajectory: xr.Dataset, cell: np.ndarray, k_max: float, n_waves: int) -> tuple[float, int | None]:
    """Microseconds of a frame, and the particles of a task where frames are cut: where there would be too few tasks."""
    n_frames, n_particles = trajectory.sizes["frame"], trajectory.sizes["particle"]
    orders = np.zeros(3, np.int64)
    orders[: len(cell)] = k_max * np.linalg.norm(cell, axis=1) / (2.0 * math.pi)
    summed, transformed = MODE_MICROSECONDS * max(n_waves, 1), transform_microseconds(n_particles, orders)
    microseconds, enough = 1e6 * task_seconds(), 1
    one = min(summed * n_particles, transformed)
    if one < microseconds * min(1.0, max(SHORTEST_TASK, n_frames / LEAST_TASKS)):
        return one, None
    if transformed < summed * n_particles:
        # the transform's own grid, which each part has, then takes a third of the time at most
        enough = 2 * math.ceil(transform_microseconds(0, orders) / (transformed / n_particles))
    part = max(n_particles // LEAST_TASKS, math.ceil(SHORTEST_TASK * microseconds * n_particles / one), enough)
    return one, min(part, max(math.ceil(microseconds * n_particles / one), enough), n_particles)


def _modes_in_parts(
    trajectory: xr.Dataset, values: list[xr.DataArray], part: int, **given: Any
) -> tuple[np.ndarray, ...]:
    """Sums of what `_modes_of_frame` gives, of frames that are cut: rho(k) of each is a sum over its particles."""
    total: tuple[np.ndarray, ...] | None = None
    box, borders = np.asarray(trajectory["box"].values), borders_of(trajectory)
    sums = sums_by_frame(partial(_density, **given), trajectory, *values, block=part)
    for frame, (density, number) in enumerate(sums):
        cell, _ = _repeating(box[frame if len(box) > 1 else 0], borders)
        found = _products(density, int(number), cell, **given)
        total = found if total is None else tuple(one + more for one, more in zip(total, found))
    assert total is not None
    return total


def _modes_of_frame(
    configuration: Configuration, _: np.ndarray, *values: np.ndarray, **given: Any
) -> tuple[np.ndarray, ...]:
    """What adds up to S(k) and its error: `_products` of a frame."""
    d = configuration.dimension
    density, number = _density(configuration, np.arange(len(configuration.position)), *values, **given)
    return _products(density, int(number), _repeating(configuration.box[:d, :d], configuration.borders)[0], **given)


def _density(
    configuration: Configuration, particles: np.ndarray, *values: np.ndarray, k_max: float, n_bins: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """What some particles add to rho_a(k) of all wave vectors, (S, 2, M), and their number."""
    d = configuration.dimension
    n_species = len(configuration.names)
    cell, own_axes = _repeating(configuration.box[:d, :d], configuration.borders)
    modes, _ = wave_vectors(_as_tuple(cell), k_max, n_bins, limit, 0, n_bins - 1)
    order = particles[np.argsort(configuration.species[particles], kind="stable")]
    starts = np.searchsorted(configuration.species[order], np.arange(n_species + 1))
    inverse = configuration.inverse
    if configuration.borders is not None:
        inverse = np.zeros((3, 3))
        inverse[:d, : len(cell)] = own_axes @ np.linalg.inv(cell)
    fraction = np.ascontiguousarray((configuration.position[order] @ inverse).T)
    weight = np.ones(len(order)) if not values else np.nan_to_num(values[0][order].astype(np.float64))
    density = np.zeros((n_species, 2, len(modes)))
    add_waves(fraction, weight, starts, modes, density)
    return density, np.array(len(particles))


def _products(
    density: np.ndarray, n_particles: int, cell: np.ndarray, *, k_max: float, n_bins: int, limit: int
) -> tuple[np.ndarray, ...]:
    """What adds up to S(k) and its error, of rho_a(k) (S, 2, M) of a frame.

    Sums of Re rho_a rho_b* over the modes of each bin, the number of modes, that times the number of particles; S of
    this frame, all S_ab and the total one after the other, and its square; whether there are modes; and the sum of
    their k^2.
    """
    modes, bin_of = wave_vectors(_as_tuple(cell), k_max, n_bins, limit, 0, n_bins - 1)
    n_species = len(density)
    products = np.einsum("acm,bcm->abm", density, density)
    sums = np.zeros((n_species, n_species, n_bins))
    for a, b in np.ndindex(n_species, n_species):
        sums[a, b] = np.bincount(bin_of, products[a, b], minlength=n_bins)
    number = np.bincount(bin_of, minlength=n_bins)
    possible = number * n_particles
    own = np.concatenate([sums.reshape(-1, n_bins), sums.sum(axis=(0, 1))[None]]) / np.maximum(possible, 1)
    vectors = 2.0 * math.pi * (modes[:, : len(cell)] @ np.linalg.inv(cell).T)
    lengths = np.bincount(bin_of, (vectors**2).sum(axis=1), n_bins)
    return sums, number, possible, np.stack([own, own**2]), (number > 0).astype(np.int64), lengths


def _repeating(box: np.ndarray, borders: Borders | None) -> tuple[np.ndarray, np.ndarray]:
    """The vectors (p, p) along which a box (d, d) repeats, in a space of their own, and the axes (d, p) of that space.

    >>> cell, axes = _repeating(np.diag([2.0, 3.0, 5.0]), Borders((True, False, True)))
    >>> (cell @ axes.T).tolist()
    [[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]]
    """
    if borders is None:
        return box, np.eye(len(box))
    axes, cell = np.linalg.qr(box[list(borders.periodic)].T)
    return cell.T, axes


def _as_tuple(box: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in box)


@lru_cache(maxsize=32)
def wave_vectors(
    box: tuple[tuple[float, ...], ...], k_max: float, n_bins: int, limit: int, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integers n (M, 3) of wave vectors k = 2 pi H^-1 n with |k| in the bins first..last, and the bin of each (M,).

    Of k and -k one is taken, and of a bin at most `limit`: all where there are fewer, else random ones. The choice
    depends on the arguments only. They are sorted by their integers, so that many share the first two with the one
    before them, see `kernels.correlations.density_modes`.
    """
    cell = np.array(box)
    d = len(cell)
    longest = float(np.linalg.norm(cell, axis=1).max())
    if k_max * longest > 2.0 * math.pi * MOST_ORDERS:
        raise ParameterError(
            f"wave number {k_max:.4g}: expected at most {2.0 * math.pi * MOST_ORDERS / longest:.4g}, of which "
            f"{MOST_ORDERS} wavelengths fit into the box: give a smaller one"
        )
    step = k_max / n_bins
    reciprocal = 2.0 * math.pi * np.linalg.inv(cell).T
    edges = np.arange(n_bins + 1) * step
    complete = int(np.searchsorted(_expected(cell, k_max, n_bins), limit))
    # all of the bins that are complete, listed once for the tasks of all their bins
    found = [_complete(box, k_max, n_bins, complete, first, last)]
    for b in range(max(first, complete), last + 1):
        rng = np.random.default_rng(b)
        direction = rng.normal(size=(4 * limit, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = rng.uniform(edges[b] ** d, edges[b + 1] ** d, (4 * limit, 1)) ** (1 / d)
        found.append(_one_of_each_pair(np.rint(direction * length @ cell.T / (2.0 * math.pi)).astype(np.int64)))
    modes = np.concatenate(found)
    bin_of = np.floor(np.linalg.norm(modes @ reciprocal, axis=1) / step).astype(np.int64)
    source = np.repeat([-1, *range(max(first, complete), last + 1)], [len(part) for part in found])
    # a random wave vector belongs to the bin it was drawn for, one of the complete list to any bin of that list
    keep = (bin_of >= first) & (bin_of <= last) & np.where(source < 0, bin_of < complete, bin_of == source)
    modes, bin_of = modes[keep], bin_of[keep]
    # at most `limit` of each bin, in the order of the draw
    order = np.argsort(bin_of, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(bin_of[order], bin_of[order])
    chosen = order[(rank < limit) | (bin_of[order] < complete)]
    chosen = chosen[np.lexsort(modes[chosen].T[::-1])]
    padded = np.zeros((len(chosen), 3), np.int64)
    padded[:, :d] = modes[chosen]
    return padded, bin_of[chosen]


def _expected(cell: np.ndarray, k_max: float, n_bins: int) -> np.ndarray:
    """About how many wave vectors are in each bin, one of k and -k."""
    d = len(cell)
    edges = np.arange(n_bins + 1) * (k_max / n_bins)
    return 0.5 * ball(1.0, d) * np.diff(edges**d) * abs(np.linalg.det(cell)) / (2.0 * math.pi) ** d


def _complete(
    box: tuple[tuple[float, ...], ...], k_max: float, n_bins: int, complete: int, first: int, last: int
) -> np.ndarray:
    """Integers n (M, d) of all wave vectors in those of the bins first..last that are before bin `complete`."""
    n, starts = _all_by_bin(box, k_max, n_bins, complete)
    return n[starts[min(first, complete)] : starts[min(last + 1, complete)]]


@lru_cache(maxsize=2)
def _all_by_bin(
    box: tuple[tuple[float, ...], ...], k_max: float, n_bins: int, complete: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integers n of all wave vectors in the first `complete` bins, bin by bin, and where each bin begins."""
    cell = np.array(box)
    reciprocal = 2.0 * math.pi * np.linalg.inv(cell).T
    step = k_max / n_bins
    n = _all_up_to(cell, reciprocal, complete * step)
    bin_of = np.floor(np.linalg.norm(n @ reciprocal, axis=1) / step).astype(np.int64)
    order = np.argsort(bin_of, kind="stable")
    return n[order], np.searchsorted(bin_of[order], np.arange(complete + 1))


def _all_up_to(cell: np.ndarray, reciprocal: np.ndarray, k: float) -> np.ndarray:
    largest = np.floor(k * np.linalg.norm(cell, axis=1) / (2.0 * math.pi) + 1e-9).astype(int)
    n = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in largest], indexing="ij"), axis=-1).reshape(-1, len(cell))
    return _one_of_each_pair(n[np.linalg.norm(n @ reciprocal, axis=1) <= k])


def _one_of_each_pair(n: np.ndarray) -> np.ndarray:
    """Of n and -n the one whose first component that is not zero is positive, each once in the order given."""
    leading = np.take_along_axis(n, np.argmax(n != 0, axis=1)[:, None], axis=1)
    n = (n * np.sign(leading))[leading[:, 0] != 0]
    span = 2 * int(np.abs(n).max(initial=0)) + 1
    _, first = np.unique(n @ span ** np.arange(n.shape[1]), return_index=True)
    return n[np.sort(first)]
