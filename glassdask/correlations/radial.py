"""Radial distribution functions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.frames import sum_frames
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.boxes import check_radius, half_widths, mean_spacing, volumes
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import particle_numbers, species_names, validate
from glassdask.variables import annotated

# Default reach in mean spacings: three shells of a liquid, and the work stays small.
REACH = 3.5


def radial_distribution(trajectory: xr.Dataset, r_max: float | None = None, n_bins: int = 700) -> xr.Dataset:
    r"""Partial radial distribution functions, averaged over frames.

    g_ab(r) = V / (N_a (N_b - delta_ab)) < sum_{i in a} sum_{j in b, j != i} delta(r - r_ij) > / (4 pi r^2),

    with 2 pi r in two dimensions; the shell's volume is exact for each bin. Without correlations it is 1, for like
    species too. V is each frame's own. Where the numbers of particles change, the pairs N_a (N_b - delta_ab) are those
    of all frames together.

    Parameters
    ----------
    trajectory : Dataset of the schema, in memory or lazy
    r_max : largest distance, up to half of the narrowest box width of any frame; by default 3.5 mean spacings
        (V/N)^(1/d), or half the box where that is less
    n_bins : bins of equal width from 0 to r_max

    Returns
    -------
    xarray.Dataset
        ``g`` (species_a, species_b, r); ``g_total`` (r) of all particles alike; ``counts`` (species_a, species_b, r),
        pairs found in all frames, species_a being the centre's, so like pairs count twice; ``coordination``
        (species_a, species_b, r_edge), mean number of b closer than r_edge to an a. Coordinates ``r`` (middle of the
        bins) and ``r_edge`` in the unit of the positions. Computed, not lazy. NaN for a species of one particle with
        itself.

    Raises
    ------
    BoxError
        When r_max is more than half of the narrowest box width; names the first such frame.
    ParameterError
        When r_max or n_bins is not positive.

    Examples
    --------
    >>> import glassdask as gd
    >>> gas = gd.from_arrays(np.random.default_rng(0).random((2, 4000, 3)) * 10, species=["A"] * 4000, box=[10] * 3)
    >>> g = radial_distribution(gas, r_max=2.5, n_bins=5)["g_total"]
    >>> g.values.round(1).tolist(), g.r.values.tolist()
    ([1.0, 1.0, 1.0, 1.0, 1.0], [0.25, 0.75, 1.25, 1.75, 2.25])
    """
    validate(trajectory)
    n_bins = converted(n_bins, Count, "radial_distribution.n_bins")
    if r_max is None:
        r_max = min(REACH * mean_spacing(trajectory), float(half_widths(trajectory).min()))
    r_max = converted(r_max, Positive, "radial_distribution.r_max")
    check_radius(trajectory, r_max)
    names = species_names(trajectory)
    counts, weighted, number, possible = sum_frames(partial(count_pairs, r_max=r_max, n_bins=n_bins), trajectory)

    edges = np.linspace(0.0, r_max, n_bins + 1)
    d = trajectory.sizes["space"]
    shells = math.pi ** (d / 2) / math.gamma(d / 2 + 1) * np.diff(edges**d)
    within = np.concatenate([np.zeros((len(names), len(names), 1)), np.cumsum(counts, axis=-1)], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        g = weighted / (possible[:, :, None] * shells)
        g_total = weighted.sum(axis=(0, 1)) / (possible.sum() * shells)
        coordination = within / number[:, None, None]
    pair = ("species_a", "species_b")
    found = {
        "g": ((*pair, "r"), g),
        "g_total": ("r", g_total),
        "counts": ((*pair, "r"), counts),
        "coordination": ((*pair, "r_edge"), coordination),
    }
    coords = {**{dim: list(names) for dim in pair}, "r": 0.5 * (edges[1:] + edges[:-1]), "r_edge": edges}
    density = float((particle_numbers(trajectory) / volumes(trajectory)).mean())
    attrs = {"frames": trajectory.sizes["frame"], "dimension": d, "density": density}
    return annotated(xr.Dataset(found, coords=coords, attrs=attrs))


def count_pairs(configuration: Configuration, centers: np.ndarray, r_max: float, n_bins: int) -> tuple[np.ndarray, ...]:
    """Pairs in each bin, the same times the volume of this frame, the centres, and all pairs that they could be in."""
    n_species = len(configuration.names)
    once = np.zeros((n_species, n_species, n_bins), np.int64)
    grid = configuration.grid(r_max)
    kernels.histogram_pairs(
        centers[grid.order(centers)], grid.lists, r_max**2, n_bins / r_max, grid.scratch,
        np.empty(grid.longest_run, np.int64), once,
    )  # fmt: skip
    counts = once + once.transpose(1, 0, 2)
    volume = len(configuration.position) / configuration.density
    number = np.bincount(configuration.species[centers], minlength=n_species).astype(float)
    others = np.bincount(configuration.species, minlength=n_species) - np.eye(n_species)
    return counts, counts * volume, number, number[:, None] * others
