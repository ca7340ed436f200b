"""The most mobile particles: their clusters, and strings in which one takes the place of the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.averages import cage_rule, later_relative, rms_drift
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import map_pairs
from glassdask.errors import ParameterError, SpeciesError
from glassdask.neighborhood.borders import Borders
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_names, validate
from glassdask.variables import annotated

# What a particle takes, in microseconds, roughly.
MICROSECONDS = 1.0


def strings(
    trajectory: xr.Dataset,
    lag: float,
    distance: float,
    *,
    fraction: float = 0.065,
    species: str | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""String-like motion: mobile particles that take each other's places.

    Two of the most mobile particles belong to one string when one is then where the other one was,
    min(|r_i(t) - r_j(0)|, |r_j(t) - r_i(0)|) < `distance` [1]_. Strings are the clusters of these pairs.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    lag : float
        The time, best where the non-Gaussian parameter has its maximum.
    distance : float
        Such as 0.6 of a diameter.
    fraction : float, default 0.065
        The part of the particles that moved farthest.
    species : str, optional
        The particles that are looked at; by default all.
    origins : int
        Time origins that are used at most, evenly spread over the trajectory.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        How far a particle has moved, see `self_correlations`. Relative to the cage, it is then where it was plus that.

    Returns
    -------
    xarray.Dataset
        ``clusters`` (size): strings of that many particles in a configuration, those of one particle too, up to the
        longest; ``mean_size``, the mean number of particles of a string, sum n N(n) / sum N(n), and
        ``weighted_size``, that of the string of a mobile particle, sum n^2 N(n) / sum n N(n); with ``_error``.
        Computed, not lazy; errors, and the number ``drift`` with `remove_drift`, as those of `self_correlations`.

    Raises
    ------
    SchemaError, PositionError, ParameterError
        As `self_correlations`; and when no particle, or every one, is mobile.
    BoxError
        When the distance is more than half of the narrowest box width.
    SpeciesError
        When there is no such species.

    References
    ----------
    .. [1] C. Donati et al., Phys. Rev. Lett. 80, 2338 (1998).

    Examples
    --------
    Of eight particles in a row three move on, each to the place of the next one, the last to a new place:

    >>> import glassdask as gd
    >>> row = np.array([[[x + 0.5, 1.0] for x in range(8)]] * 2)
    >>> row[1, 2:5] += [[1.0, 0.0], [1.0, 0.0], [0.5, 0.9]]
    >>> t = gd.from_arrays(row, species=["A"] * 8, box=[8.0, 8.0], time=[0.0, 1.0], image=np.zeros((2, 8, 2), int))
    >>> strings(t, lag=1.0, distance=0.4, fraction=3 / 8)["clusters"].values.tolist()
    [0.0, 0.0, 1.0]
    """
    return _clusters(trajectory, lag, distance, fraction, species, origins, _replaced, cage, remove_drift, scheme)


def mobile_clusters(
    trajectory: xr.Dataset,
    lag: float,
    distance: float,
    *,
    fraction: float = 0.065,
    species: str | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Clusters of the most mobile particles: those that were closer than `distance` before they moved.

    Parameters
    ----------
    trajectory, lag, fraction, species, origins : xarray.Dataset, float, float, str, int
        As those of `strings`.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        As those of `strings`.
    distance : float
        Such as the first minimum of g(r).

    Returns
    -------
    xarray.Dataset
        As that of `strings`.

    Raises
    ------
    SchemaError, PositionError, ParameterError, BoxError, SpeciesError
        As `strings`.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = np.array([[[x + 0.5, 1.0] for x in range(8)]] * 2)
    >>> row[1, [2, 3, 6]] += [0.0, 0.8]
    >>> t = gd.from_arrays(row, species=["A"] * 8, box=[8.0, 8.0], time=[0.0, 1.0], image=np.zeros((2, 8, 2), int))
    >>> found = mobile_clusters(t, lag=1.0, distance=1.2, fraction=3 / 8)
    >>> found["clusters"].values.tolist(), float(found["mean_size"])
    ([1.0, 1.0], 1.5)
    """
    return _clusters(trajectory, lag, distance, fraction, species, origins, _near, cage, remove_drift, scheme)


def _clusters(
    trajectory: xr.Dataset, lag: Any, distance: Any, fraction: Any, species: Any, origins: int,
    connect: Callable[..., tuple[np.ndarray, np.ndarray]],
    cage: Neighborhood | Cutoffs | None, remove_drift: bool, scheme: Scheme,
) -> xr.Dataset:  # fmt: skip
    flags(remove_drift=remove_drift)
    validate(trajectory)
    lag, distance, fraction = (
        converted(value, Positive, name)
        for name, value in (("lag", lag), ("distance", distance), ("fraction", fraction))
    )
    check_radius(trajectory, distance)
    found_origins = Origins.of(trajectory, [lag], origins)
    names = species_names(trajectory)
    if species is not None and species not in names:
        raise SpeciesError(f"unknown species {species}: known species are {', '.join(names)}")
    of = np.flatnonzero(np.isin(trajectory["species"].values, [species] if species is not None else names))
    number = round(fraction * len(of))
    if not 0 < number < len(of):
        raise ParameterError(
            f"fraction {fraction:g} of {len(of)} particles: expected at least one that is mobile and one that is not"
        )
    work = partial(
        _sizes, of=of, number=number, distance=distance, connect=connect, rule=cage_rule(trajectory, cage),
        remove_drift=remove_drift,
    )  # fmt: skip
    found = map_pairs(work, trajectory, found_origins.pairs, (number,), MICROSECONDS, scheme=scheme)
    size = np.arange(1, number + 1)

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        particles = means @ size
        return {
            "clusters": means,
            "mean_size": particles / means.sum(axis=1),
            "weighted_size": means @ size**2 / particles,
        }

    longest = int(np.flatnonzero(found.any(axis=0)).max()) + 1
    variables: dict[str, Any] = {}
    for name, both in found_origins.averages(quantities, found).items():
        for end, values in zip(("", "_error"), both):
            dims, values = (("size",), values[:longest, 0]) if name == "clusters" else ((), values[0])
            variables[f"{name}{end}"] = (dims, values)
    if remove_drift:
        variables["drift"] = ((), rms_drift(trajectory, found_origins, scheme)[0])
    attrs = {"lag": lag, "distance": distance, "mobile": number, "origins": int(found_origins.counts[0])}
    return annotated(xr.Dataset(variables, coords={"size": size[:longest]}, attrs=attrs))


def _sizes(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, of: np.ndarray, number: int, distance: float,
    connect: Callable[..., tuple[np.ndarray, np.ndarray]], rule: Neighborhood | None, remove_drift: bool,
) -> np.ndarray:  # fmt: skip
    """Clusters of 1 to `number` particles, (number,)."""
    later, moved = later_relative(configuration, later, box, moved, rule=rule, remove_drift=remove_drift)
    square = (moved[of] ** 2).sum(axis=1)
    mobile = of[np.argpartition(square, len(of) - number)[len(of) - number :]]
    d = configuration.dimension
    before = configuration.position[mobile, :d]
    i, j = connect(before, later[mobile], configuration.box[:d, :d], box, distance, configuration.borders)
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(number, number))
    _, label = connected_components(graph, directed=False)
    return np.bincount(np.bincount(label), minlength=number + 1)[1:].astype(np.float64)


def _near(
    before: np.ndarray,
    later: np.ndarray,
    box: np.ndarray,
    later_box: np.ndarray,
    distance: float,
    borders: Borders | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that were close to each other."""
    return _within(before, np.zeros(len(before), int), box, np.array([[distance]]), borders)


def _replaced(
    before: np.ndarray,
    later: np.ndarray,
    box: np.ndarray,
    later_box: np.ndarray,
    distance: float,
    borders: Borders | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of which one is where the other one was; the earlier positions are deformed as the box was since."""
    n = len(before)
    places = np.concatenate([before @ np.linalg.inv(box) @ later_box, later])
    i, j = _within(places, np.repeat([0, 1], n), later_box, np.array([[0.0, distance], [distance, 0.0]]), borders)
    first = i < n
    i, j = i[first], j[first] - n
    return i[i != j], j[i != j]


def _within(
    position: np.ndarray, species: np.ndarray, box: np.ndarray, cutoffs: np.ndarray, borders: Borders | None
) -> tuple[np.ndarray, np.ndarray]:
    n = len(position)
    places = Configuration(position, species, box, ["0", "1"][: len(cutoffs)], borders=borders)
    found = places.neighbors(np.arange(n), cutoffs)
    return np.repeat(np.arange(n), found.counts), found.index
