"""The coherent intermediate scattering function, from density modes that fit the periodic box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.correlations.modes import wave_vectors
from glassdask.correlations.waves import add_waves
from glassdask.declarations import Count, Positive, converted, flags
from glassdask.dynamics.averages import (
    SCATTERING_MICROSECONDS,
    cage_rule,
    displacement_sums,
    later_relative,
    particle_means,
    root_mean_square,
    self_sums,
)
from glassdask.dynamics.fluctuations import fluctuations
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import drift, map_pairs, sum_paths
from glassdask.errors import ParameterError
from glassdask.frames import map_frames
from glassdask.graphs import compute
from glassdask.kernels.dynamics import SCATTERING
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.boxes import half_widths
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_names, validate
from glassdask.variables import annotated

# Pairs of frames whose modes are multiplied at once.
PAIRS_AT_ONCE = 256
# What a mode of one particle takes, in microseconds, roughly.
MODE_MICROSECONDS = 0.3e-3
# Lengths of wave vectors are the same up to this much of them.
ROUNDING = 1e-9


def intermediate_scattering(
    trajectory: xr.Dataset,
    k: float | Sequence[float],
    *,
    width: float | None = None,
    modes: int = 200,
    lags: Sequence[float] | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
    self_part: bool = True,
) -> xr.Dataset:
    r"""Collective (coherent) and self intermediate scattering functions, and the fluctuations of the collective one.

    F_ab(k, t) = 1/N < Re rho_a(k, 0) rho_b(-k, t) >,  rho_a(k, t) = sum_{j in a} exp(-i k.r_j(t)),

    so that F_ab(k, 0) = S_ab(k) as `structure_factor` has it, and the total is the sum of all F_ab. It is averaged over
    both orders of the pair, over time origins, and over the wave vectors of the periodic box whose length is within
    `width` / 2 of k. In a box that changes they change with it. The fluctuations of F_ab(k, t), averaged over the wave
    vectors but not over time origins, are chi_4 = N (<F^2> - <F>^2) and a Binder cumulant, as in
    `dynamic_susceptibility`, which has those of F_s.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    k : float or sequence of float
        Wave numbers, in the inverse unit of the positions.
    width : float, optional
        By default pi over the narrowest width of the box, half of a step between wave vectors.
    modes : int, default 200
        About how many wave vectors are used of each k at most, k and -k counting as one; in random directions.
    lags : sequence of float, optional
        Times besides 0; by default about 50 that occur.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        How particles move, see `self_correlations`. Relative to the cage, a particle is then where it was plus its
        relative displacement.
    self_part : bool, default True
        Whether F_s is wanted, too. F alone takes about half of the time, and is of each frame by itself, so that no
        images are needed.

    Returns
    -------
    xarray.Dataset
        ``f`` (species_a, species_b, k, lag) and ``fs`` (species, k, lag), each with ``_error``; ``f_total`` (k, lag)
        and ``fs_total`` of all particles alike; ``chi4_f`` and ``binder_f`` of ``f``, NaN of fewer than two origins;
        ``modes`` (k), wave vectors used; ``origins`` (lag). The first lag is 0. ``fs`` is the average over all
        directions of k, as that of `self_correlations`. Computed, not lazy; errors, and ``drift`` (lag) with
        `remove_drift`, as those of `self_correlations`. Each wave fluctuates by itself as much as its mean: where
        nothing else does, ``chi4_f_total`` at lag 0 is N S(k)^2 over the number of ``modes``. Compare systems with the
        same `width` and all wave vectors, of which there are as many for each particle.

    Raises
    ------
    SchemaError, PositionError
        As `self_correlations`.
    ParameterError
        When a number is not positive, or no wave vector of the box is that long.

    Examples
    --------
    Without correlations S = 1, and at rest F(k, t) = S(k):

    >>> import glassdask as gd
    >>> x = np.random.default_rng(0).random((1, 4000, 3)).repeat(2, axis=0) * 8
    >>> t = gd.from_arrays(x, species=["A"] * 4000, box=[8.0] * 3, time=[0.0, 1.0])
    >>> found = intermediate_scattering(t, k=[7.0])
    >>> found["f_total"].values.round(1).tolist(), found["fs_total"].values.tolist()
    ([[1.0, 1.0]], [[1.0, 1.0]])
    """
    flags(remove_drift=remove_drift, self_part=self_part)
    found_origins, shells, values, own, removed = scattering_of_pairs(
        trajectory, k, width, modes, lags, origins, cage=cage, remove_drift=remove_drift, scheme=scheme,
        self_part=self_part,
    )  # fmt: skip
    pair = ("species_a", "species_b", "k", "lag")
    variables: dict[str, Any] = {"origins": ("lag", found_origins.counts)}
    for end, of in (("", values), ("_total", values.sum(axis=(1, 2)))):
        found = found_origins.averages(lambda means, counts: {"f": means}, of)
        for name, value in fluctuations(found_origins, of, np.float64(trajectory.sizes["particle"])).items():
            found[f"{name}_f"] = value
        for name, (mean, error) in found.items():
            dims = pair[4 - mean.ndim :]
            variables |= {f"{name}{end}": (dims, mean), f"{name}{end}_error": (dims, error)}
    if own is not None:
        fs, fs_error = found_origins.averages(lambda means, counts: {"fs": means}, own)["fs"]
        for end, parts in (("", slice(-1)), ("_total", -1)):
            dims = ("species", *pair[2:]) if not end else pair[2:]
            variables |= {f"fs{end}": (dims, fs[parts]), f"fs{end}_error": (dims, fs_error[parts])}
    if removed is not None:
        variables["drift"] = ("lag", removed)
    return annotated(shells.assign(variables).assign_coords(lag=found_origins.lags))


def scattering_of_pairs(
    trajectory: xr.Dataset,
    k: float | Sequence[float],
    width: float | None,
    modes: int,
    lags: Sequence[float] | None,
    origins: int,
    *,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
    self_part: bool = True,
) -> tuple[Origins, xr.Dataset, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Of each pair of frames F_ab(k) (P, S, S, K), and F_s(k) (P, S + 1, K); a dataset with what they are of; drift.

    F_s is None without `self_part`.
    """
    validate(trajectory)
    refuse_open(trajectory, "intermediate_scattering", "use self_correlations")
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    box = np.asarray(trajectory["box"].values, dtype=np.float64)[found_origins.frames]
    numbers, width, shells = wave_shells(trajectory, box.mean(axis=0), k, width, modes)
    names = species_names(trajectory)
    rule = cage_rule(trajectory, cage)
    mean = drift(trajectory, found_origins.frames, scheme) if remove_drift else None
    sums: np.ndarray | None = None
    if rule is not None:
        n_modes = sum(map(len, shells))
        values = map_pairs(
            partial(_of_cages, rule=rule, shells=shells), trajectory, found_origins.pairs,
            (len(names), len(names), len(numbers)), rule.microseconds + 2 * MODE_MICROSECONDS * n_modes, scheme=scheme,
        )  # fmt: skip
        if self_part:
            moved = [
                displacement_sums(trajectory, found_origins, number, cage=rule, scheme=scheme)[0] for number in numbers
            ]
            sums = np.stack([of_k[:, :, SCATTERING] for of_k in moved], axis=-1)
    elif self_part:
        values, sums = _of_paths(trajectory, found_origins, box, shells, numbers, mean, scheme)
    else:
        density = _of_frames(trajectory.isel(frame=found_origins.frames), box, np.concatenate(shells), mean)
        values = _pair_products(trajectory, found_origins, density, shells)
    own = None if sums is None else particle_means(trajectory, sums)
    dims = ("species_a", "species_b") if own is None else ("species", "species_a", "species_b")
    coords = {dim: list(names) for dim in dims} | {"k": numbers}
    attrs = {"dimension": trajectory.sizes["space"], "particles": trajectory.sizes["particle"], "width": width}
    shown = xr.Dataset({"modes": ("k", [len(shell) for shell in shells])}, coords=coords, attrs=attrs)
    return found_origins, shown, values, own, None if mean is None else root_mean_square(mean, found_origins)


def wave_shells(
    trajectory: xr.Dataset, box: np.ndarray, k: float | Sequence[float], width: float | None, modes: int
) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """The wave numbers that are asked for, the width of their shells, and the wave vectors in each, see `_shell`."""
    numbers = np.atleast_1d(converted(k, Positive | tuple[Positive, ...], "k")).astype(np.float64)
    if numbers.size == 0:
        raise ParameterError("k: expected positive wave numbers, found none")
    modes = converted(modes, Count, "modes")
    width = converted(width, Positive | None, "width") or 0.5 * math.pi / float(half_widths(trajectory).min())
    return numbers, width, [_shell(box, number, width, modes) for number in numbers]


def _shell(box: np.ndarray, k: float, width: float, limit: int) -> np.ndarray:
    """Integers n (M, 3) of wave vectors 2 pi H^-1 n whose length is within `width` / 2 of k, at most `limit`."""
    cell = tuple(tuple(map(float, row)) for row in box)
    # from the last of bins up to k + width / 2, which are at least as wide
    low, high = k - 0.5 * width, (k + 0.5 * width) * (1.0 + ROUNDING)
    n_bins = max(1, int(high / width))
    drawn = math.ceil(limit * high / n_bins / width)
    found, _ = wave_vectors(cell, high, n_bins, drawn, n_bins - 1, n_bins - 1)
    length = np.linalg.norm(found[:, : len(box)] @ (2.0 * math.pi * np.linalg.inv(box).T), axis=1)
    found = found[length >= low * (1.0 - ROUNDING)]
    if len(found) == 0:
        shortest = 2.0 * math.pi * np.linalg.norm(np.linalg.inv(box), axis=0).min()
        raise ParameterError(
            f"k = {k:g}: no wave vector of the box has a length within {0.5 * width:.3g} of it, the shortest is "
            f"{shortest:.4g}: give another k or a larger width"
        )
    return found


def _of_paths(
    trajectory: xr.Dataset, origins: Origins, box: np.ndarray, shells: list[np.ndarray], numbers: np.ndarray,
    mean: np.ndarray | None, scheme: Scheme,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """F_ab(k) of each pair of frames, (P, S, S, K), and the sums over particles of F_s(k) (P, S, K), from their paths.

    `box` (F, d, d) of the frames, and `mean` (F, d) the positions that others are counted from.
    """
    n_species, modes, frames = len(species_names(trajectory)), np.concatenate(shells), origins.frames
    waves = partial(density_modes, inverse=np.linalg.inv(box), modes=modes, mean=mean)
    alone = partial(_self_sums, pairs=origins.places, numbers=numbers, mean=mean)
    of_waves = (len(frames), n_species, 2, len(modes))
    of_pairs = (len(origins.pairs), n_species, len(numbers))
    cost = MODE_MICROSECONDS * len(frames) * len(modes), SCATTERING_MICROSECONDS * math.prod(of_pairs[::2])
    if scheme == "lattice":
        # in one pass over the trajectory
        both = partial(_one_after_the_other, functions=(waves, alone))
        found = sum_paths(both, trajectory, frames, (math.prod(of_waves) + math.prod(of_pairs),), sum(cost))
        density, sums = np.split(found, [math.prod(of_waves)])
        density = density.reshape(of_waves)
    else:
        # whole vectors of the box are seen in no wave of that box alone
        density = _of_frames(trajectory.isel(frame=frames), box, modes, mean)
        sums = sum_paths(alone, trajectory, frames, of_pairs, cost[1], scheme=scheme)
    return _pair_products(trajectory, origins, density, shells), sums.reshape(of_pairs)


def _of_frames(trajectory: xr.Dataset, box: np.ndarray, modes: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """rho_a(k) of every frame, (F, S, 2, M), frame by frame; of positions counted from `mean` (F, d)."""
    n_species = len(species_names(trajectory))
    known = [name for name in ("position", "species", "box", "periodic") if name in trajectory]
    density: np.ndarray = compute(
        map_frames(
            partial(_modes_of_frame, modes=modes), trajectory[known],
            dims={"of": n_species, "part": 2, "mode": len(modes)}, microseconds=MODE_MICROSECONDS * len(modes),
        ).data
    )[0]  # fmt: skip
    shift = np.zeros(box.shape[:2]) if mean is None else -mean
    if "origin" in trajectory:
        shift = shift + trajectory["origin"].values
    if shift.any():
        # positions that are moved together turn the phase of a wave
        turn = np.exp(-2j * np.pi * np.einsum("fd,fda,ma->fm", shift, np.linalg.inv(box), modes[:, : box.shape[1]]))
        turned = (density[:, :, 0] + 1j * density[:, :, 1]) * turn[:, None]
        density = np.stack([turned.real, turned.imag], axis=2)
    return density


def _modes_of_frame(configuration: Configuration, *, modes: np.ndarray) -> np.ndarray:
    """rho_a(k) of one frame, (S, 2, M)."""
    path, starts = sorted_by_species(configuration, configuration.position)
    inverse = configuration.inverse[: configuration.dimension, : configuration.dimension]
    return density_modes(path[None], starts, inverse=inverse[None], modes=modes)[0]


def sorted_by_species(configuration: Configuration, *values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Vectors (N, d or more) of the particles as (d, N), species by species, and where each species begins (S + 1,)."""
    species, d = configuration.species, configuration.dimension
    starts = np.append(0, np.cumsum(np.bincount(species, minlength=len(configuration.names))))
    order = slice(None) if (np.diff(species) >= 0).all() else np.argsort(species, kind="stable")
    return *(np.ascontiguousarray(one[order, :d].T) for one in values), starts


def _pair_products(
    trajectory: xr.Dataset, origins: Origins, density: np.ndarray, shells: list[np.ndarray]
) -> np.ndarray:
    """F_ab(k) of each pair of frames, (P, S, S, K), from the modes of the frames (F, S, 2, M)."""
    n_species = density.shape[1]
    values = np.empty((len(origins.pairs), n_species, n_species, len(shells)))
    f, g = origins.places.T
    for column, part in enumerate(np.split(density, _cuts(shells), axis=-1)):
        for a, b in np.ndindex(n_species, n_species):
            # Re rho_a rho_b*, over both orders in time
            forth, back = (mode_products(part, first, second, a, b) for first, second in ((f, g), (g, f)))
            values[:, a, b, column] = 0.5 * (forth + back) / (trajectory.sizes["particle"] * part.shape[-1])
    return values


def _one_after_the_other(
    path: np.ndarray, starts: np.ndarray, *, functions: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...]
) -> np.ndarray:
    return np.concatenate([function(path, starts).ravel() for function in functions])


def _self_sums(
    path: np.ndarray, starts: np.ndarray, *, pairs: np.ndarray, numbers: np.ndarray, mean: np.ndarray | None
) -> np.ndarray:
    """Sums over the particles of each species of F_s at each wave number, (P, S, K)."""
    if mean is not None:
        path = path - mean[:, :, None]
    return np.stack([self_sums(path, starts, pairs=pairs, k=k, a=0.0)[:, :, SCATTERING] for k in numbers], axis=-1)


def _of_cages(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, rule: Neighborhood, shells: list[np.ndarray],
) -> np.ndarray:  # fmt: skip
    """F_ab(k) of one pair of frames, (S, S, K), of particles that have moved relative to their cages."""
    later, _ = later_relative(configuration, later, box, moved, rule=rule, remove_drift=False)
    *rows, starts = sorted_by_species(configuration, configuration.position, later)
    d = configuration.dimension
    inverse = np.stack([configuration.inverse[:d, :d], np.linalg.inv(box)])
    before, after = density_modes(np.stack(rows), starts, inverse=inverse, modes=np.concatenate(shells))
    both = np.einsum("acm,bcm->abm", before, after)
    products = np.split(0.5 * (both + both.swapaxes(0, 1)), _cuts(shells), axis=-1)
    return np.stack([part.mean(axis=-1) for part in products], axis=-1) / len(later)


def _cuts(shells: list[np.ndarray]) -> np.ndarray:
    """Where the modes of each shell but the first begin."""
    return np.cumsum([len(shell) for shell in shells])[:-1]


def density_modes(
    path: np.ndarray, starts: np.ndarray, *, inverse: np.ndarray, modes: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """rho_a(k) of some particles, see `sum_paths`, in every frame, (F, S, 2, M); `inverse` (F, d, d) of the boxes.

    Positions are counted from `mean` (F, d).
    """
    out = np.zeros((len(path), len(starts) - 1, 2, len(modes)))
    fraction, weight = np.zeros((3, path.shape[2])), np.ones(path.shape[2])
    for frame, position in enumerate(path):
        if mean is not None:
            position = position - mean[frame][:, None]
        np.matmul(inverse[frame].T, position, out=fraction[: len(position)])
        fraction -= np.floor(fraction)
        add_waves(fraction, weight, starts, modes, out[frame])
    return out


def mode_products(density: np.ndarray, f: np.ndarray, g: np.ndarray, a: int, b: int) -> np.ndarray:
    """Sums over the modes of Re rho_a(f) rho_b(g)*, of each pair of frames; `density_modes` (F, S, 2, M)."""
    out = np.empty(len(f))
    for first in range(0, len(f), PAIRS_AT_ONCE):
        part = slice(first, first + PAIRS_AT_ONCE)
        out[part] = np.einsum("pcm,pcm->p", density[f[part], a], density[g[part], b])
    return out
