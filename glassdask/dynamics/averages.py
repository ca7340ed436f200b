"""How particles forget where they were: mean-square displacement, F_s(k, t), overlap, non-Gaussian parameter."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import drift, map_pairs, sum_paths
from glassdask.graphs import task_bytes
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.borders import refuse_open
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood, rule_of
from glassdask.schema import species_codes, species_names, validate
from glassdask.variables import annotated

# What a displacement of one particle takes, in microseconds, roughly: without F_s(k, t), and that alone.
PAIR_MICROSECONDS, SCATTERING_MICROSECONDS = 0.001, 0.003
# A product of all frames with all frames costs this part of as many displacements.
PRODUCT = 0.15


def self_correlations(
    trajectory: xr.Dataset,
    *,
    k: float | None = None,
    a: float | None = None,
    lags: Sequence[float] | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
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
        displacements contain the affine motion.
    k : float, optional
        Wave number, in the inverse unit of the positions.
    a : float, optional
        Length.
    lags : sequence of float, optional
        Times; by default about 50 that occur, evenly spaced in their logarithm.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.
    cage : rule for neighbours or float or dict, optional
        Cutoffs, one or for each pair of species, or a rule such as ``Voronoi()``. Displacements are then relative to
        the mean of a particle and its neighbours at the time origin, see `cage_relative`, without the long waves of
        two-dimensional systems.
    remove_drift : bool, default False
        Whether displacements are relative to the mean of all particles, each of the same weight.
    scheme : str, default "lattice"
        "toroidal" at constant pressure, see `unwrapped`.

    Returns
    -------
    xarray.Dataset
        For every quantity X: ``X`` (species, lag), ``X_error``, ``X_total`` (lag) and ``X_total_error``; and
        ``origins`` (lag). With `remove_drift` also ``drift`` (lag), the root mean square of what was removed. Computed,
        not lazy. The errors are standard errors from the jackknife over up to ten blocks of successive origins, each at
        least as long as the lag; NaN where the trajectory holds fewer than two such blocks. They are too small where
        the slowest motion takes longer than a tenth of the trajectory. ``alpha2`` is NaN where nothing moves.

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
    >>> float(found["msd_total"][0].round(2)), float(found["fs_total"][0].round(2)), float(np.exp(-0.5).round(2))
    (0.74, 0.61, 0.61)
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    k, a = (converted(value, Positive | None, name) for name, value in (("k", k), ("a", a)))
    origins_of_lags = Origins.of(trajectory, lags, origins)
    sums, removed = displacement_sums(
        trajectory, origins_of_lags, k, a, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    wanted = ["msd", "alpha2", *(["fs"] if k else []), *(["overlap"] if a else [])]

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        found = _quantities(means, trajectory.sizes["space"])
        return {name: found[name] for name in wanted}

    found = by_species(
        trajectory, origins_of_lags, origins_of_lags.averages(quantities, particle_means(trajectory, sums)),
        fs={"k": k}, overlap={"a": a},
    )  # fmt: skip
    return found if removed is None else annotated(found.assign(drift=("lag", removed)))


def particle_means(trajectory: xr.Dataset, sums: np.ndarray) -> np.ndarray:
    """Means (P, S + 1, ...) over the particles of each species, and over all, from sums (P, S, ...) of each species."""
    number = np.bincount(species_codes(trajectory), minlength=sums.shape[1]).astype(float)
    number = number.reshape(-1, *[1] * (sums.ndim - 2))
    return np.concatenate([sums / number, sums.sum(axis=1, keepdims=True) / number.sum()], axis=1)


def by_species(
    trajectory: xr.Dataset,
    origins: Origins,
    found: Mapping[str, tuple[np.ndarray, np.ndarray]],
    coords: Mapping[str, Any] | None = None,
    **attributes: Mapping[str, Any],
) -> xr.Dataset:
    """The dataset of averages (S + 1, *coords, lag), of each species and of all particles alike, with their errors."""
    variables: dict[str, Any] = {}
    coords = coords or {}
    for name, both in found.items():
        asked = attributes.get(name, {})
        for end, values in zip(("", "_error"), both):
            variables[f"{name}{end}"] = (("species", *coords, "lag"), values[:-1], asked if not end else {})
            variables[f"{name}_total{end}"] = ((*coords, "lag"), values[-1], asked if not end else {})
    variables["origins"] = ("lag", origins.counts)
    coords = {"species": list(species_names(trajectory)), **coords, "lag": origins.lags}
    attrs = {"dimension": trajectory.sizes["space"], "particles": trajectory.sizes["particle"]}
    return annotated(xr.Dataset(variables, coords=coords, attrs=attrs))


def mean_square_displacement(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
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
    flags(remove_drift=remove_drift)
    if cage is not None or remove_drift:
        every = self_correlations(
            trajectory, lags=lags, origins=origins, cage=cage, remove_drift=remove_drift, scheme=scheme
        )
        return _only("msd", every)
    validate(trajectory)
    origins_of_lags = Origins.of(trajectory, lags, origins)
    n_frames, n_species = len(origins_of_lags.frames), len(species_names(trajectory))
    # of many pairs, r(t0).r(t0 + t) as a product of matrices, of all frames with all frames
    as_product = len(origins_of_lags.pairs) > PRODUCT * n_frames**2
    if as_product and 8 * n_species * n_frames**2 <= 2 * task_bytes():
        shape = (n_species, n_frames, n_frames)
        microseconds = PRODUCT * PAIR_MICROSECONDS * n_frames**2
        product = sum_paths(_products, trajectory, origins_of_lags.frames, shape, microseconds, scheme=scheme)
        square = np.einsum("sff->sf", product)
        f, g = origins_of_lags.places.T
        sums = np.maximum(square[:, f] + square[:, g] - 2.0 * product[:, f, g], 0.0).T
    else:
        sums = displacement_sums(trajectory, origins_of_lags, scheme=scheme)[0][:, :, kernels.SQUARE]
    found = origins_of_lags.averages(lambda means, counts: {"msd": means}, particle_means(trajectory, sums))
    return by_species(trajectory, origins_of_lags, found)


def non_gaussian_parameter(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
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
    found = self_correlations(
        trajectory, lags=lags, origins=origins, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    return _only("alpha2", found)


def self_intermediate_scattering(
    trajectory: xr.Dataset,
    k: float,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    """F_s(k, t), averaged over the directions of k; see `self_correlations` for all that can be asked.

    Examples
    --------
    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0, 1.0]], [[1.0, 1.0, 1.5]]])
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0, 9.0], time=[0.0, 1.0])
    >>> fs = self_intermediate_scattering(t, k=np.pi)["fs"]
    >>> fs.values.round(4).tolist(), round(2 / np.pi, 4)
    ([[0.6366]], 0.6366)
    """
    found = self_correlations(
        trajectory, k=k, lags=lags, origins=origins, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    return _only("fs", found)


def overlap(
    trajectory: xr.Dataset,
    a: float,
    lags: Sequence[float] | None = None,
    *,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
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
    found = self_correlations(
        trajectory, a=a, lags=lags, origins=origins, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    return _only("overlap", found)


def _only(quantity: str, found: xr.Dataset) -> xr.Dataset:
    return found[[name for name in found if name in ("origins", "drift") or str(name).startswith(quantity)]]


def _quantities(means: np.ndarray, d: int) -> dict[str, np.ndarray]:
    """From means (..., 4) over particles and origins."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "msd": means[..., kernels.SQUARE],
            "alpha2": d / (d + 2) * means[..., kernels.FOURTH] / means[..., kernels.SQUARE] ** 2 - 1.0,
            "fs": means[..., kernels.SCATTERING],
            "overlap": means[..., kernels.OVERLAP],
        }


def displacement_sums(
    trajectory: xr.Dataset,
    origins: Origins,
    k: float | None = None,
    a: float | None = None,
    *,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> tuple[np.ndarray, np.ndarray | None]:
    """Sums over the particles of each species, (pair of frames, species, 4), and the root mean square drift (lag,).

    See `kernels.self_sums`; the other parameters are those of `self_correlations`.
    """
    k, a = k or 0.0, a or 0.0
    microseconds = PAIR_MICROSECONDS + (SCATTERING_MICROSECONDS if k else 0.0)
    return sum_displacements(
        partial(self_sums, k=k, a=a), trajectory, origins, (kernels.N_SUMS,), microseconds, cage=cage,
        remove_drift=remove_drift, scheme=scheme,
    )  # fmt: skip


def sum_displacements(
    function: Callable[..., np.ndarray],
    trajectory: xr.Dataset,
    origins: Origins,
    shape: tuple[int, ...],
    microseconds: float,
    *,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> tuple[np.ndarray, np.ndarray | None]:
    """Sums over the particles of each species, (pair of frames, species, *shape), and the rms drift (lag,).

    ``function(path, starts, pairs=)`` gives those of some particles, as `sum_paths` has them, for pairs of frames of
    `path`; a displacement relative to the cage is given as a path of two frames. `microseconds`: what one takes.
    """
    names = species_names(trajectory)
    shape = (len(origins.pairs), len(names), *shape)
    mean = drift(trajectory, origins.frames, scheme) if remove_drift else None
    rule = cage_rule(trajectory, cage)
    if rule is None:
        work = partial(_along_paths, function=function, pairs=origins.places, mean=mean)
        sums = sum_paths(work, trajectory, origins.frames, shape, microseconds * len(origins.pairs), scheme=scheme)
    else:
        relative = partial(_in_cages, function=function, rule=rule)
        sums = map_pairs(
            relative, trajectory, origins.pairs, shape[1:], rule.microseconds + microseconds, scheme=scheme
        )
    return sums, None if mean is None else root_mean_square(mean, origins)


def _along_paths(
    path: np.ndarray, starts: np.ndarray,
    *, function: Callable[..., np.ndarray], pairs: np.ndarray, mean: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    if mean is not None:
        path = path - mean[:, :, None]
    return function(path, starts, pairs=pairs)


def _in_cages(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, function: Callable[..., np.ndarray], rule: Neighborhood,
) -> np.ndarray:  # fmt: skip
    relative = relative_to_cage(configuration, moved, rule)
    order = np.argsort(configuration.species, kind="stable")
    starts = np.searchsorted(configuration.species[order], np.arange(len(configuration.names) + 1))
    path = np.zeros((2, *relative.T.shape))
    path[1] = relative[order].T
    of_pair: np.ndarray = function(path, starts, pairs=np.array([[0, 1]]))[0]
    return of_pair


def self_sums(path: np.ndarray, starts: np.ndarray, *, pairs: np.ndarray, k: float, a: float) -> np.ndarray:
    """Those of `kernels.self_sums` of some particles, see `sum_paths`, (P, S, 4)."""
    out = np.empty((len(pairs), len(starts) - 1, kernels.N_SUMS))
    kernels.self_sums(path, starts, pairs, k, a * a, np.empty(path.shape[2]), out)
    return out


def relative_to_cage(configuration: Configuration, moved: np.ndarray, rule: Neighborhood) -> np.ndarray:
    """Displacements (..., N, d) minus the mean of those of a particle and its neighbours in the configuration."""
    found = rule.find(configuration, np.arange(moved.shape[-2]))
    several = np.ascontiguousarray(moved).reshape(-1, *moved.shape[-2:])
    out = np.empty(several.shape)
    kernels.cage_relative(several, found.offsets, found.index, out)
    return out.reshape(moved.shape)


def later_relative(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, rule: Neighborhood | None, remove_drift: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Positions (N, d) after a displacement `moved` that is relative to the cage, or to the mean of all, and that.

    Relative to the cage, a particle is then where it was, in the box as it is then, plus its relative displacement.
    """
    if rule is not None:
        moved = relative_to_cage(configuration, moved, rule)
        before: np.ndarray = (configuration.position @ configuration.inverse)[:, : moved.shape[1]] @ box
        return before + moved, moved
    if remove_drift:
        mean = moved.mean(axis=0)
        return later - mean, moved - mean
    return later, moved


def cage_rule(trajectory: xr.Dataset, cage: Neighborhood | Cutoffs | None) -> Neighborhood | None:
    """The neighbours that `cage` means, of a box in which they can be found.

    Raises
    ------
    ParameterError, SpeciesError, BoxError
        When cutoffs are missing, wrong or too large, or the box has open faces.
    """
    if cage is None:
        return None
    refuse_open(trajectory, "cage", "leave cage out")
    rule = rule_of(cage, "the cage-relative displacement")
    check_radius(trajectory, rule.reach(species_names(trajectory)))
    return rule


def rms_drift(trajectory: xr.Dataset, origins: Origins, scheme: Scheme) -> np.ndarray:
    """Root mean square over the origins of how far the mean of all particles has moved, (L,)."""
    return root_mean_square(drift(trajectory, origins.frames, scheme), origins)


def root_mean_square(mean: np.ndarray, origins: Origins) -> np.ndarray:
    """That of how far positions (F, d) move, over the origins of each lag, (L,)."""
    moved = ((mean[origins.places[:, 1]] - mean[origins.places[:, 0]]) ** 2).sum(axis=1)
    root: np.ndarray = np.sqrt(np.add.reduceat(moved, origins.first) / origins.counts)
    return root


def _products(path: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums over the particles of each species of r(frame).r(frame'), counted from the mean of each path."""
    path = path - path.mean(axis=0)
    out = np.empty((len(starts) - 1, len(path), len(path)))
    for s, (begin, end) in enumerate(itertools.pairwise(starts)):
        rows = path[:, :, begin:end].reshape(len(path), -1)
        np.matmul(rows, rows.T, out=out[s])
    return out
