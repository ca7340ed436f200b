"""Bond-angle distributions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, converted
from glassdask.frames import sum_frames
from glassdask.kernels import correlations as kernels
from glassdask.neighborhood.boxes import check_reach
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood, rule_of
from glassdask.schema import species_names, validate
from glassdask.variables import annotated


def bond_angle_distribution(trajectory: xr.Dataset, neighbors: Neighborhood | Cutoffs, n_bins: int = 180) -> xr.Dataset:
    """Distribution of the angle j-i-k between two neighbours j and k of a particle i, by species, over all frames.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory, in memory or lazy.
    neighbors : rule for neighbours or float or dict
        Cutoffs, one or for each pair of species, such as the `first_minima`; or `KNearest`, `SANN`, `Voronoi`.
    n_bins : int, default 180
        Bins of equal width from 0 to 180 degrees.

    Returns
    -------
    xarray.Dataset
        ``probability`` (center, species_a, species_b, angle), a density per degree whose integral is 1, with species_a
        and species_b those of j and k, symmetric in them; ``probability_total`` (angle) of all triplets alike;
        ``triplets`` (center, species_a, species_b, angle), triplets of each kind, each counted once and, where a and b
        differ, under both orders. ``angle`` is the middle of the bins in degrees. No sin(theta) is divided out: without
        correlations the distribution is sin(theta)/2 per radian in three dimensions and flat in two. NaN for kinds of
        triplets that do not occur. A neighbour on top of the centre has no direction and is left out. Beside open
        borders only particles count as centres whose neighbours are known (`glassdask.neighborhood.borders`). Computed,
        not lazy.

    Raises
    ------
    ParameterError, SpeciesError, BoxError
        When cutoffs are missing, wrong or too large, or n_bins is not positive.

    Examples
    --------
    In the simple cubic crystal three of fifteen angles are straight, the others right:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> p = bond_angle_distribution(crystal, 1.2, n_bins=3)["probability_total"]
    >>> p.angle.values.tolist(), (p * 60).values.round(3).tolist()
    ([30.0, 90.0, 150.0], [0.0, 0.8, 0.2])
    """
    validate(trajectory)
    n_bins = converted(n_bins, Count, "bond_angle_distribution.n_bins")
    names = species_names(trajectory)
    rule = rule_of(neighbors, "the distribution of bond angles")
    check_reach(trajectory, rule.reach(names))
    (ordered,) = sum_frames(partial(_triplets, neighbors=rule, n_bins=n_bins), trajectory)
    # a triplet was found with its ends in one of the two orders
    counts = ordered + ordered.swapaxes(1, 2)
    like = np.arange(len(names))
    counts[:, like, like] //= 2
    width = 180.0 / n_bins
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = counts / (counts.sum(axis=-1, keepdims=True) * width)
        total = ordered.sum(axis=(0, 1, 2)) / (ordered.sum() * width)
    dims = ("center", "species_a", "species_b", "angle")
    found = {"probability": (dims, probability), "probability_total": ("angle", total), "triplets": (dims, counts)}
    coords = {**{dim: list(names) for dim in dims[:3]}, "angle": (np.arange(n_bins) + 0.5) * width}
    return annotated(xr.Dataset(found, coords=coords, attrs={"frames": trajectory.sizes["frame"]}))


def _triplets(
    configuration: Configuration, centers: np.ndarray, neighbors: Neighborhood, n_bins: int
) -> tuple[np.ndarray, ...]:
    counts = np.zeros((*[len(configuration.names)] * 3, n_bins), np.int64)
    for _, found in neighbors.batches(configuration, centers):
        if found.known is not None:
            found = found.take(np.flatnonzero(found.known))
        kernels.histogram_angles(
            found.centers, found.offsets, found.index, found.vector, configuration.species, n_bins / math.pi, counts
        )
    return (counts,)
