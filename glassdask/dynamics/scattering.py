"""The coherent intermediate scattering function, from density modes that fit the periodic box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.correlations.modes import wave_vectors
from glassdask.correlations.waves import add_waves
from glassdask.declarations import Count, Positive, converted
from glassdask.dynamics.averages import displacement_sums, particle_means
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import sum_paths
from glassdask.errors import ParameterError
from glassdask.kernels.dynamics import SCATTERING
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.boxes import half_widths
from glassdask.schema import species_names, validate
from glassdask.variables import annotated

# Pairs of frames whose modes are multiplied at once.
PAIRS_AT_ONCE = 256
# What a mode of one particle takes, in microseconds, roughly.
MODE_MICROSECONDS = 1e-3
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
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Collective (coherent) and self intermediate scattering functions.

    F_ab(k, t) = 1/N < Re rho_a(k, 0) rho_b(-k, t) >,  rho_a(k, t) = sum_{j in a} exp(-i k.r_j(t)),

    so that F_ab(k, 0) = S_ab(k) as `structure_factor` has it, and the total is the sum of all F_ab. It is averaged over
    both orders of the pair, over time origins, and over the wave vectors of the periodic box whose length is within
    `width` / 2 of k. In a box that changes they change with it.

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
    scheme : str, default "lattice"
        Of the displacements in ``fs``, "toroidal" at constant pressure, see `unwrapped`.

    Returns
    -------
    xarray.Dataset
        ``f`` (species_a, species_b, k, lag) and ``fs`` (species, k, lag), each with ``_error``; ``f_total`` (k, lag)
        and ``fs_total`` of all particles alike; ``modes`` (k), wave vectors used; ``origins`` (lag). The first lag is
        0. ``fs`` is the average over all directions of k, as that of `self_correlations`. Computed, not lazy; errors
        as those of `self_correlations`.

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
    found_origins, shells, values, own = scattering_of_pairs(trajectory, k, width, modes, lags, origins, scheme)

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        return {"f": means, "f_total": means.sum(axis=(1, 2))}

    found = found_origins.averages(quantities, values)
    fs, fs_error = found_origins.averages(lambda means, counts: {"fs": means}, own)["fs"]
    pair = ("species_a", "species_b", "k", "lag")
    variables: dict[str, Any] = {
        "f": (pair, found["f"][0]), "f_error": (pair, found["f"][1]),
        "f_total": (pair[2:], found["f_total"][0]), "f_total_error": (pair[2:], found["f_total"][1]),
        "fs": (("species", "k", "lag"), fs[:-1]), "fs_error": (("species", "k", "lag"), fs_error[:-1]),
        "fs_total": (pair[2:], fs[-1]), "fs_total_error": (pair[2:], fs_error[-1]),
        "origins": ("lag", found_origins.counts),
    }  # fmt: skip
    return annotated(shells.assign(variables).assign_coords(lag=found_origins.lags))


def scattering_of_pairs(
    trajectory: xr.Dataset,
    k: float | Sequence[float],
    width: float | None,
    modes: int,
    lags: Sequence[float] | None,
    origins: int,
    scheme: Scheme,
) -> tuple[Origins, xr.Dataset, np.ndarray, np.ndarray]:
    """Of each pair of frames F_ab(k) (P, S, S, K), and F_s(k) (P, S + 1, K); and a dataset with what they are of."""
    validate(trajectory)
    refuse_open(trajectory, "intermediate_scattering", "use self_correlations")
    found_origins = Origins.of(trajectory, lags, origins, zero=True)
    box = np.asarray(trajectory["box"].values, dtype=np.float64)[found_origins.frames]
    numbers, width, shells = wave_shells(trajectory, box.mean(axis=0), k, width, modes)
    names = species_names(trajectory)
    density = _density(trajectory, found_origins.frames, box, np.concatenate(shells))
    cuts = np.cumsum([len(shell) for shell in shells])[:-1]
    values = np.empty((len(found_origins.pairs), len(names), len(names), len(numbers)))
    f, g = found_origins.places.T
    for column, part in enumerate(np.split(density, cuts, axis=-1)):
        for a, b in np.ndindex(values.shape[1:3]):
            # Re rho_a rho_b*, over both orders in time
            forth, back = (mode_products(part, first, second, a, b) for first, second in ((f, g), (g, f)))
            values[:, a, b, column] = 0.5 * (forth + back) / (trajectory.sizes["particle"] * part.shape[-1])
    scattering = [
        displacement_sums(trajectory, found_origins, number, scheme=scheme)[0][:, :, SCATTERING] for number in numbers
    ]
    own = particle_means(trajectory, np.stack(scattering, axis=-1))
    coords = {dim: list(names) for dim in ("species", "species_a", "species_b")} | {"k": numbers}
    attrs = {"dimension": trajectory.sizes["space"], "particles": trajectory.sizes["particle"], "width": width}
    shown = xr.Dataset({"modes": ("k", [len(shell) for shell in shells])}, coords=coords, attrs=attrs)
    return found_origins, shown, values, own


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


def _density(trajectory: xr.Dataset, frames: np.ndarray, box: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """rho_a(k) of the `frames`, (F, S, 2, M), real and imaginary parts."""
    shape = (len(frames), len(species_names(trajectory)), 2, len(modes))
    microseconds = MODE_MICROSECONDS * len(frames) * len(modes)
    return sum_paths(
        partial(density_modes, inverse=np.linalg.inv(box), modes=modes), trajectory, frames, shape, microseconds
    )


def density_modes(path: np.ndarray, starts: np.ndarray, *, inverse: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """rho_a(k) of some particles, see `sum_paths`, in every frame, (F, S, 2, M); `inverse` (F, d, d) of the boxes."""
    out = np.zeros((len(path), len(starts) - 1, 2, len(modes)))
    fraction, weight = np.zeros((3, path.shape[2])), np.ones(path.shape[2])
    for frame, position in enumerate(path):
        np.matmul(inverse[frame].T, position, out=fraction[: len(position)])
        fraction -= np.floor(fraction)
        add_waves(fraction, weight, starts, modes, out[frame])
    return out


def mode_products(density: np.ndarray, f: np.ndarray, g: np.ndarray, a: int, b: int) -> np.ndarray:
    """Sums over the modes of Re rho_a(f) rho_b(g)*, of each pair of frames; `density` (F, S, 2, M), see `_density`."""
    out = np.empty(len(f))
    for first in range(0, len(f), PAIRS_AT_ONCE):
        part = slice(first, first + PAIRS_AT_ONCE)
        out[part] = np.einsum("pcm,pcm->p", density[f[part], a], density[g[part], b])
    return out
