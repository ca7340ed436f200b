"""Where a particle goes and who comes in its place: van Hove functions and the collective overlap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted, flags
from glassdask.dynamics.averages import (
    by_species,
    cage_rule,
    later_relative,
    particle_means,
    rms_drift,
    sum_displacements,
)
from glassdask.dynamics.fluctuations import fluctuations
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import map_pairs
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.boxes import ball, check_radius, expected_neighbors, half_widths, mean_spacing, volumes
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_codes, species_names, validate
from glassdask.variables import annotated

# Default reach in mean spacings, as that of g(r).
REACH = 3.5
# What a displacement, and what a pair takes, in microseconds, roughly.
BIN_MICROSECONDS, PAIR_MICROSECONDS = 0.005, 0.02


def van_hove(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    r_max: float | None = None,
    n_bins: int = 200,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Self and distinct part of the van Hove function.

    G_s(r, t) = 1/N_a < sum_{i in a} delta(r - |r_i(t) - r_i(0)|) > / (4 pi r^2),

    G_d(r, t) = V / (N_a (N_b - delta_ab)) < sum_{i in a, j in b, j != i} delta(r - |r_j(t) - r_i(0)|) > / (4 pi r^2),

    with 2 pi r in two dimensions; the shell's volume is exact for each bin. The integral of G_s over space is 1; G_d is
    g_ab(r) at t = 0 and goes to 1 for long times. In the distinct part the vector is
    the shortest of all periodic images, and the earlier positions are deformed as the box was since; V is that of the
    later frame.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    lags : sequence of float, optional
        Times; by default about 50 that occur.
    r_max : float, optional
        Largest distance, up to half of the narrowest box width; by default 3.5 mean spacings (V/N)^(1/d), or half of
        the box where that is less. What moved further is in no bin of G_s.
    n_bins : int, default 200
        Bins of equal width from 0 to r_max.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        How particles move, see `self_correlations`. In the distinct part a particle is then where it was, plus its
        displacement relative to the cage.

    Returns
    -------
    xarray.Dataset
        ``gs`` (species, r, lag), ``gd`` (species_a, species_b, r, lag), where a is the species at the earlier time;
        with ``_error``, and ``_total`` of all particles alike; ``origins`` (lag). ``r`` is the middle of the bins.
        Computed, not lazy; errors, and ``drift`` with `remove_drift`, as those of `self_correlations`. NaN for a
        species of one particle with itself.

    Raises
    ------
    SchemaError, PositionError, ParameterError
        As `self_correlations`.
    BoxError
        When r_max is more than half of the narrowest box width.

    Examples
    --------
    A row that moves on by one place: each is where the next one was.

    >>> import glassdask as gd
    >>> row = np.array([[[x + 0.5, 1.0] for x in range(8)]] * 2) + [[[0.0, 0.0]], [[1.0, 0.0]]]
    >>> image = (row >= 8.0).astype(int)
    >>> t = gd.from_arrays(row % 8.0, species=["A"] * 8, box=[8.0, 8.0], time=[0.0, 1.0], image=image)
    >>> found = van_hove(t, r_max=2.5, n_bins=5)
    >>> (found["gs"].values[0, :, 0] > 0).tolist(), (found["gd"].values[0, 0, :, 0] > 0).tolist()
    ([False, False, True, False, False], [True, False, True, False, True])
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    refuse_open(trajectory, "van_hove", "use self_correlations")
    n_bins = converted(n_bins, Count, "van_hove.n_bins")
    if r_max is None:
        r_max = min(REACH * mean_spacing(trajectory), float(half_widths(trajectory).min()))
    r_max = converted(r_max, Positive, "van_hove.r_max")
    check_radius(trajectory, r_max)
    found_origins = Origins.of(trajectory, lags, origins)
    names = species_names(trajectory)
    pairs = found_origins.pairs
    alone, removed = sum_displacements(
        partial(_histogram, r_max=r_max, n_bins=n_bins), trajectory, found_origins, (n_bins,), BIN_MICROSECONDS,
        cage=cage, remove_drift=remove_drift, scheme=scheme,
    )  # fmt: skip
    distinct = map_pairs(
        partial(_distinct, r_max=r_max, n_bins=n_bins, rule=cage_rule(trajectory, cage), remove_drift=remove_drift),
        trajectory, pairs, (len(names), len(names), n_bins),
        1.0 + PAIR_MICROSECONDS * 2.0 * expected_neighbors(trajectory, r_max),
        moved=cage is not None or remove_drift, scheme=scheme,
    )  # fmt: skip
    d = trajectory.sizes["space"]
    edges = np.linspace(0.0, r_max, n_bins + 1)
    shells = ball(1.0, d) * np.diff(edges**d)
    number = np.bincount(species_codes(trajectory)).astype(float)
    possible = np.outer(number, number) - np.diag(number)
    distinct *= np.broadcast_to(volumes(trajectory), trajectory.sizes["frame"])[pairs[:, 1], None, None, None]

    def of_pairs(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            whole = means.sum(axis=(1, 2)) / (possible.sum() * shells)
            return {"gd": means / (possible[:, :, None] * shells), "gd_total": whole}

    own = found_origins.averages(lambda means, counts: {"gs": means / shells}, particle_means(trajectory, alone))
    r = 0.5 * (edges[1:] + edges[:-1])
    result = by_species(trajectory, found_origins, own, {"r": r})
    pair = ("species_a", "species_b", "r", "lag")
    for name, both in found_origins.averages(of_pairs, distinct).items():
        for end, values in zip(("", "_error"), both):
            result[f"{name}{end}"] = (pair[-values.ndim :], values)
    if removed is not None:
        result["drift"] = ("lag", removed)
    return annotated(result.assign_coords({dim: list(names) for dim in pair[:2]}))


def collective_overlap(
    trajectory: xr.Dataset,
    a: float,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Collective overlap: places that are still occupied after a time t, by any particle, and its chi_4.

    Q(t) = 1/N < sum_ij theta(a - |r_j(t) - r_i(0)|) >

    counts a place as kept when any particle is within `a` of it [1]_; of a species, both particles are of it. Its limit
    for long times is that of random places, the density times the volume of a sphere of radius a.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    a : float
        Length, below half of the smallest distance of particles, so that none counts twice.
    lags, origins : sequence of float or int
        As those of `dynamic_susceptibility`.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        As those of `van_hove`, whose distinct part this is at short distances.

    Returns
    -------
    xarray.Dataset
        ``collective_overlap`` (species, lag), ``chi4_collective`` and ``binder_collective``, and ``drift`` with
        `remove_drift`: see `dynamic_susceptibility`.

    Raises
    ------
    SchemaError, PositionError, ParameterError
        As `dynamic_susceptibility`.
    BoxError
        When a is more than half of the narrowest box width.

    References
    ----------
    .. [1] S. C. Glotzer, V. N. Novikov and T. B. Schroder, J. Chem. Phys. 112, 509 (2000).

    Examples
    --------
    Two particles exchange their places:

    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0], [5.0, 5.0]], [[5.0, 5.0], [1.0, 1.0]], [[1.0, 1.0], [5.0, 5.0]]])
    >>> t = gd.from_arrays(path, species=["A"] * 2, box=[9.0] * 2, time=[0.0, 1.0, 2.0], image=np.zeros((3, 2, 2), int))
    >>> collective_overlap(t, a=0.3, lags=[1.0])["collective_overlap"].values.tolist()
    [[1.0]]
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    refuse_open(trajectory, "collective_overlap", "use dynamic_susceptibility")
    a = converted(a, Positive, "a")
    check_radius(trajectory, a)
    found_origins = Origins.of(trajectory, lags, origins, least=2)
    n_species = len(species_names(trajectory))
    counts = map_pairs(
        partial(
            _distinct, r_max=a, n_bins=1, own=True, rule=cage_rule(trajectory, cage), remove_drift=remove_drift
        ),
        trajectory, found_origins.pairs, (n_species, n_species, 1), 2.0,
        moved=cage is not None or remove_drift, scheme=scheme,
    )[..., 0]  # fmt: skip
    number = np.bincount(species_codes(trajectory)).astype(float)
    same = np.einsum("pss->ps", counts) / number
    means = np.concatenate([same, counts.sum(axis=(1, 2))[:, None] / number.sum()], axis=1)
    found = found_origins.averages(lambda m, n: {"collective_overlap": m}, means)
    for name, value in fluctuations(found_origins, means, np.append(number, number.sum())).items():
        found[f"{name}_collective"] = value
    result = by_species(trajectory, found_origins, found, **{name: {"a": a} for name in found})
    if remove_drift:
        result = annotated(result.assign(drift=("lag", rms_drift(trajectory, found_origins, scheme))))
    return result


def _histogram(path: np.ndarray, starts: np.ndarray, *, pairs: np.ndarray, r_max: float, n_bins: int) -> np.ndarray:
    """Particles of each species that moved so far, (P, S, bins)."""
    out = np.zeros((len(pairs), len(starts) - 1, n_bins))
    kernels.histogram_displacements(path, starts, pairs, n_bins / r_max, out)
    return out


def _distinct(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray | None = None,
    *, r_max: float, n_bins: int, rule: Neighborhood | None, remove_drift: bool, own: bool = False,
) -> np.ndarray:  # fmt: skip
    """Particles j of each species that are so far from where i was, (S, S, bins); with `own`, i itself too."""
    d, n = configuration.dimension, len(configuration.position)
    names = configuration.names
    if moved is not None:
        later, _ = later_relative(configuration, later, box, moved, rule=rule, remove_drift=remove_drift)
    before = (configuration.position @ configuration.inverse)[:, :d] @ box  # deformed as the box
    both = Configuration(
        np.concatenate([before, later]),
        np.concatenate([configuration.species, configuration.species + len(names)]),
        box,
        [*names, *(f"{name} later" for name in names)],
        configuration.label,
    )
    cutoffs = np.zeros((2 * len(names),) * 2)
    cutoffs[: len(names), len(names) :] = r_max
    out = np.zeros((len(names), len(names), n_bins))
    for _, found in both.batches(np.arange(n), cutoffs):
        kernels.histogram_pairs(
            found.centers, found.offsets, found.index, found.distance, configuration.species, own, n_bins / r_max, out
        )
    return out
