"""Radial distribution functions."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.frames import sum_frames
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.boxes import ROUNDING, ball, check_radius, half_widths, mean_spacing, volumes
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import particle_numbers, species_names, validate
from glassdask.variables import annotated

# Default reach in mean spacings: three shells of a liquid, and the work stays small.
REACH = 3.5


def radial_distribution(trajectory: xr.Dataset, r_max: float | None = None, n_bins: int = 700) -> xr.Dataset:
    r"""Partial radial distribution functions, averaged over frames.

    g_ab(r) = V / (N_a (N_b - delta_ab)) < sum_{i in a} sum_{j in b, j != i} delta(r - r_ij) > / (4 pi r^2),

    with 2 pi r in two dimensions; the shell's volume is exact for each bin. Without correlations it is 1, for like
    species too. V is each frame's own. Beside open borders a particle counts as a centre up to the distance of the
    nearest open face, N_a(r) of them, and N_b are those inside the box: faces leave no trace, but vacuum inside the box
    lowers the density with which all is compared. Where the numbers of particles change, the pairs
    N_a (N_b - delta_ab) are those of all frames together.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    r_max : float, optional
        Largest distance, up to half of the narrowest box width of any frame, along the axes that repeat; by default 3.5
        mean spacings (V/N)^(1/d), or half the box where that is less.
    n_bins : int, default 700
        Bins of equal width from 0 to r_max.

    Returns
    -------
    xarray.Dataset
        ``g`` (species_a, species_b, r); ``g_total`` (r) of all particles alike; ``counts`` (species_a, species_b, r),
        pairs found in all frames, species_a being the centre's, so like pairs count twice; ``coordination``
        (species_a, species_b, r_edge), mean number of b closer than r_edge to an a; ``centers`` (species_a, r), N_a(r)
        in all frames. Coordinates ``r`` (middle of the
        bins) and ``r_edge`` in the unit of the positions. Computed, not lazy. NaN for a species of one particle with
        itself, and where no particle is as far from the open faces.

    Raises
    ------
    BoxError
        When r_max is more than half of the narrowest box width that repeats; names the first such frame.
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
    number = np.broadcast_to(number, (len(names), n_bins))

    edges = np.linspace(0.0, r_max, n_bins + 1)
    d = trajectory.sizes["space"]
    shells = ball(1.0, d) * np.diff(edges**d)
    with np.errstate(invalid="ignore", divide="ignore"):
        # a pair is seen from both ends; beside open borders only from those that can see so far
        g = (weighted + weighted.swapaxes(0, 1)) / ((possible + possible.swapaxes(0, 1)) * shells)
        g_total = weighted.sum(axis=(0, 1)) / (possible.sum(axis=(0, 1)) * shells)
        if borders_of(trajectory) is None:
            within = np.cumsum(counts, axis=-1) / number[:, None]
        else:
            within = np.cumsum(counts / number[:, None], axis=-1)
    coordination = np.concatenate([np.zeros((len(names), len(names), 1)), within], axis=-1)
    pair = ("species_a", "species_b")
    found = {
        "g": ((*pair, "r"), g),
        "g_total": ("r", g_total),
        "counts": ((*pair, "r"), counts),
        "centers": (("species_a", "r"), number.astype(np.int64)),
        "coordination": ((*pair, "r_edge"), coordination),
    }
    coords = {**{dim: list(names) for dim in pair}, "r": 0.5 * (edges[1:] + edges[:-1]), "r_edge": edges}
    density = float((particle_numbers(trajectory) / volumes(trajectory)).mean())
    attrs = {"frames": trajectory.sizes["frame"], "dimension": d, "density": density}
    return annotated(xr.Dataset(found, coords=coords, attrs=attrs))


def count_pairs(configuration: Configuration, centers: np.ndarray, r_max: float, n_bins: int) -> tuple[np.ndarray, ...]:
    """Pairs in each bin, the same times the volume of this frame, the centres, and all pairs that they could be in."""
    n_species = len(configuration.names)
    if configuration.borders is not None:
        return _pairs_inside(configuration, centers, r_max, n_bins)
    once = np.zeros((n_species, n_species, n_bins), np.int64)
    grid = configuration.grid(r_max)
    kernels.histogram_pairs(
        centers[grid.order(centers)], grid.lists, r_max**2, n_bins / r_max,
        *grid.room(), once,
    )  # fmt: skip
    counts = once + once.transpose(1, 0, 2)
    volume = len(configuration.position) / configuration.density
    number = np.bincount(configuration.species[centers], minlength=n_species).astype(float)
    possible = np.multiply.outer(number, np.bincount(configuration.species, minlength=n_species))
    possible.flat[:: n_species + 1] -= number
    return counts, counts * volume, number[:, None], possible[:, :, None]


def _pairs_inside(
    configuration: Configuration, centers: np.ndarray, r_max: float, n_bins: int
) -> tuple[np.ndarray, ...]:
    """The same where borders are open: each centre in the bins that end before the nearest open face."""
    n_species, species = len(configuration.names), configuration.species
    depth = configuration.face_distance
    assert depth is not None
    usable = np.clip(np.floor(depth * (n_bins / r_max) * (1 + ROUNDING)), 0, n_bins).astype(np.int64)
    counts = np.zeros((n_species, n_species, n_bins), np.int64)
    for _, found in configuration.batches(centers, np.full((n_species, n_species), r_max)):
        kernels.histogram_inside(
            found.centers, found.offsets, found.index, found.distance, species, usable[found.centers], n_bins / r_max,
            counts,
        )  # fmt: skip
    number = np.zeros((n_species, n_bins + 1))
    np.add.at(number, (species[centers], usable[centers]), 1.0)
    number = np.cumsum(number[:, :0:-1], axis=1)[:, ::-1]  # those that can use a bin, or a later one
    others = np.bincount(species[depth >= 0], minlength=n_species)[:, None] - np.eye(n_species)[:, :, None]
    volume = len(configuration.position) / configuration.density
    return counts, counts * volume, number, number[:, None] * others
