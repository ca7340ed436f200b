"""Fluctuations of other ensembles: at constant temperature in place of energy, and from one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.replicas import check_displacement, check_start
from glassdask.errors import ParameterError, SchemaError
from glassdask.graphs import compute
from glassdask.schema import check_kind, species_codes, species_names
from glassdask.variables import annotated

# Curves of `dynamic_susceptibility`: the average, and its fluctuations.
CURVES = {"overlap": "chi4", "fs": "chi4_fs"}


def canonical_susceptibility(
    susceptibilities: Sequence[xr.Dataset],
    temperatures: Sequence[float],
    *,
    heat_capacity: float | Sequence[float] | None = None,
    energies: Sequence[float] | None = None,
    fractions: Mapping[str, float] | None = None,
) -> list[xr.Dataset]:
    r"""chi_4 at constant temperature, from runs at constant energy and several temperatures.

    chi_4^NVT(t) = chi_4^NVE(t) + k_B T^2 / c_V (dQ(t)/dT)^2,

    Q the overlap or F_s, c_V the heat capacity of a particle at constant volume [1]_: the energy, which does not
    fluctuate in the runs, does so in the canonical ensemble, and Q with it. The second term alone is a lower bound of
    chi_4^NVT, that needs no fluctuations. Both are at fixed N and composition; chi_4 of a mixture of which particles
    are exchanged is larger still, by terms with dQ/d(density) and dQ/d(composition), which such runs do not tell.

    dQ/dT is the slope, at each temperature, of the parabola through it and its two neighbours (at an end, through the
    next two; of two temperatures, the difference), where the neighbours know Q at that lag: between their lags it is
    interpolated, linearly in log t. Temperatures should be so close that Q(t) differs by little.

    Parameters
    ----------
    susceptibilities : sequence of xarray.Dataset
        Results of `dynamic_susceptibility`, with the same `a` and `k`, each of runs at constant energy, two or more.
    temperatures : sequence of float
        k_B T of each, all different.
    heat_capacity : float or sequence of float, optional
        c_V / k_B of a particle, of all temperatures or of each.
    energies : sequence of float, optional
        In its place: the potential energy of a particle at each temperature, of which c_V is the slope plus d / 2.
    fractions : dict, optional
        Share of the particles that each species has; with it, ``chi4_nvt`` of the species is given as well.

    Returns
    -------
    list of xarray.Dataset
        For each temperature ``chi4_nvt_total`` and ``correction_total`` (lag), the second term alone, with ``_error``;
        with `fractions` also of each species (species, lag); and likewise ``chi4_nvt_fs`` and ``correction_fs``.
        The number ``heat_capacity``. NaN where a neighbour does not know Q at the lag. Errors are those of chi_4 and of
        the Q that the slope is from, not that of a slope between temperatures which are far apart, nor of c_V.

    Raises
    ------
    SchemaError
        When the datasets are not results of `dynamic_susceptibility`, or of other lengths or wave numbers.
    ParameterError
        When there are fewer than two temperatures, two are the same, or c_V is not told or not positive.

    References
    ----------
    .. [1] L. Berthier et al., J. Chem. Phys. 126, 184503 (2007), Eq. (34).

    Examples
    --------
    Particles in two states 1 apart in energy, Q the share that is in the lower one: where the energy is constant Q is,
    too, and at constant temperature chi_4 is p (1 - p).

    >>> temperatures = np.array([0.49, 0.5, 0.51])
    >>> p = 1 / (1 + np.exp(1 / temperatures))
    >>> runs = [xr.Dataset({"overlap_total": ("lag", [1 - x]), "chi4_total": ("lag", [0.0])}) for x in p]
    >>> runs = [run.assign_coords(lag=[1.0]) for run in runs]
    >>> heat_capacity = p * (1 - p) / temperatures**2
    >>> found = canonical_susceptibility(runs, temperatures, heat_capacity=heat_capacity)[1]
    >>> float(found["chi4_nvt_total"][0].round(4)), float((p * (1 - p))[1].round(4))
    (0.105, 0.105)
    """
    runs, T, order = _states(susceptibilities, temperatures)
    c = _heat_capacities(runs, T, heat_capacity, energies)
    share = None if fractions is None else {str(name): float(value) for name, value in fractions.items()}
    results = []
    for s, run in enumerate(runs):
        near = _neighbors(T, order, s)
        weights = _slope_weights(T[near], T[s])
        variables: dict[str, Any] = {"heat_capacity": c[s]}
        details: dict[str, Mapping[str, Any]] = {}
        for curve, chi4 in CURVES.items():
            for end in ("_total", *([] if share is None else [""])):
                if f"{curve}{end}" not in run or f"{chi4}{end}" not in run:
                    continue
                value = run[f"{curve}{end}"]
                at = [_at_lags(runs[j][f"{curve}{end}"], run["lag"]) for j in near]
                error = [_at_lags(_error_of(runs[j], f"{curve}{end}"), run["lag"]) for j in near]
                slope = sum(w * q for w, q in zip(weights, at))
                slope_error = np.sqrt(sum((w * e) ** 2 for w, e in zip(weights, error)))
                scale: Any = T[s] ** 2 / c[s]
                if not end:
                    assert share is not None
                    scale = scale * _shares(share, value["species"].values.tolist())
                correction = scale * slope**2
                correction_error = 2.0 * scale * np.abs(slope) * slope_error
                suffix = chi4.removeprefix("chi4") + end
                dims = value.dims
                variables[f"correction{suffix}"] = correction.transpose(*dims)
                variables[f"correction{suffix}_error"] = correction_error.transpose(*dims)
                variables[f"chi4_nvt{suffix}"] = (run[f"{chi4}{end}"] + correction).transpose(*dims)
                total_error = np.hypot(_error_of(run, f"{chi4}{end}"), correction_error)
                variables[f"chi4_nvt{suffix}_error"] = total_error.transpose(*dims)
                details[f"chi4_nvt{suffix}"] = {k: v for k, v in value.attrs.items() if k in ("a", "k")}
        found = xr.Dataset(variables, attrs={**run.attrs, "temperature": float(T[s])})
        results.append(annotated(found, **details))  # type: ignore[arg-type]
    return results


def isoconfigurational_susceptibility(
    displacements: Sequence[xr.DataArray] | xr.DataArray,
    starts: Sequence[xr.Dataset] | xr.Dataset,
    *,
    a: float | None = None,
    k: float | None = None,
) -> xr.Dataset:
    r"""chi_4 of isoconfigurational ensembles: what of it structure decides, and what chance.

    chi_4 = chi_within + chi_between,   chi_within = N < Var_r Q >_c,   chi_between = N Var_c < Q >_r,

    Q the overlap or F_s of one run, r the replicas of a configuration c, and N the number of particles (of a species,
    its own) [1]_. What replicas of one configuration differ by is not in the structure; what configurations differ by
    when averaged over their replicas is.

    Parameters
    ----------
    displacements : sequence of xarray.DataArray, or one
        Of each configuration (replica, particle, space) or (replica, lag, particle, space), of two replicas or more,
        such as the ``replica_displacement`` of simulated ensembles; in memory or lazy. The lags must be the same.
    starts : sequence of xarray.Dataset, or one
        The configurations, trajectories of one frame each, with the same number of particles of each species.
    a : float, optional
        Length of the overlap.
    k : float, optional
        Wave number of F_s.

    Returns
    -------
    xarray.Dataset
        With `a`, ``overlap``, ``chi4``, ``chi4_within`` and ``chi4_between``, each (species, lag) and ``_total`` (lag);
        with `k`, ``fs``, ``chi4_fs``, ``chi4_fs_within``, ``chi4_fs_between``. ``_error`` is from the jackknife over
        configurations, of one configuration from that over its replicas. The variances are unbiased: the scatter of
        the means over R replicas that is chance, chi_within / R, is taken from ``between``, which may therefore be
        negative within its error. ``between``, and with it chi_4, is NaN with one configuration. Computed, not lazy.

    Raises
    ------
    SchemaError
        When the numbers of configurations, particles, species or lags differ, or a replica is alone.
    ParameterError
        When neither a nor k is given, or one is not positive.

    References
    ----------
    .. [1] L. Berthier and R. L. Jack, Phys. Rev. E 76, 041509 (2007).

    Examples
    --------
    In one configuration all particles move, in the other none does, whatever the velocities:

    >>> import glassdask as gd
    >>> start = gd.from_arrays(np.ones((1, 4, 2)), species=["A"] * 4, box=[9.0, 9.0])
    >>> moved = [xr.DataArray(np.full((3, 4, 2), x), dims=("replica", "particle", "space")) for x in (0.0, 1.0)]
    >>> found = isoconfigurational_susceptibility(moved, [start, start], a=0.3)
    >>> float(found["chi4_within_total"][0]), float(found["chi4_between_total"][0])
    (0.0, 2.0)
    """
    a, k = (converted(value, Positive | None, name) for name, value in (("a", a), ("k", k)))
    if a is None and k is None:
        raise ParameterError("chi_4 of what: give a length a for the overlap, a wave number k for F_s, or both")
    moved = [displacements] if isinstance(displacements, xr.DataArray) else list(displacements)
    begun = [starts] if isinstance(starts, xr.Dataset) else list(starts)
    names, number, lags = _check_ensembles(moved, begun)
    found: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for curve, asked in (("overlap", {"a": a}), ("fs", {"k": k})):
        if not any(asked.values()):
            continue
        means = compute(*(_run_means(one, start, curve, asked[next(iter(asked))]) for one, start in zip(moved, begun)))
        values = [_by_species(np.asarray(m.values), number) for m in means]
        for name, (value, error) in _split(values, np.append(number, number.sum()), CURVES[curve], curve).items():
            for end, array in (("", value), ("_error", error)):
                found[f"{name}{end}"] = (("species", "lag"), array[:-1])
                found[f"{name}_total{end}"] = ("lag", array[-1])
            details[name] = details[f"{name}_total"] = asked
    attrs = {"dimension": begun[0].sizes["space"], "particles": int(number.sum()), "configurations": len(moved)}
    return annotated(xr.Dataset(found, coords={"species": list(names), "lag": lags}, attrs=attrs), **details)


def _states(
    susceptibilities: Sequence[xr.Dataset], temperatures: Sequence[float]
) -> tuple[list[xr.Dataset], np.ndarray, np.ndarray]:
    """The datasets with increasing lags, temperatures, and the order of these."""
    if isinstance(susceptibilities, xr.Dataset):
        raise ParameterError("one dataset: give those of two temperatures or more, as a list")
    runs = list(susceptibilities)
    T = np.asarray(temperatures, dtype=np.float64)
    if T.ndim != 1 or len(T) != len(runs) or len(T) < 2:
        raise ParameterError(f"{len(runs)} datasets and {T.size} temperatures: expected as many of each, at least two")
    if not (np.isfinite(T) & (T > 0)).all() or len(np.unique(T)) < len(T):
        raise ParameterError(f"temperatures {T.tolist()}: expected positive ones, all different")
    for run in runs:
        check_kind(run, xr.Dataset, "a susceptibility", "give results of dynamic_susceptibility")
        if not any(f"{curve}_total" in run and f"{chi4}_total" in run for curve, chi4 in CURVES.items()):
            raise SchemaError("no variables overlap_total and chi4_total: give results of dynamic_susceptibility")
        for curve, key in (("overlap_total", "a"), ("fs_total", "k")):
            ours, theirs = (one[curve].attrs.get(key) if curve in one else None for one in (runs[0], run))
            if ours != theirs:
                raise SchemaError(f"{key} is {ours} of the first and {theirs} of another dataset: give the same to all")
    return [run.sortby("lag") for run in runs], T, np.argsort(T)


def _heat_capacities(
    runs: list[xr.Dataset], T: np.ndarray, heat_capacity: Any, energies: Sequence[float] | None
) -> np.ndarray:
    if (heat_capacity is None) == (energies is None):
        raise ParameterError("the heat capacity: give heat_capacity, or energies, the potential energy of a particle")
    if heat_capacity is not None:
        c = (
            np.broadcast_to(np.asarray(heat_capacity, dtype=np.float64), T.shape)
            if np.ndim(heat_capacity) < 2
            else T[:0]
        )
    else:
        u = np.asarray(energies, dtype=np.float64)
        if u.shape != T.shape:
            raise ParameterError(f"{u.size} energies of {len(T)} temperatures: give one for each")
        order = np.argsort(T)
        near = [_neighbors(T, order, s) for s in range(len(T))]
        slope = np.array([_slope_weights(T[n], T[s]) @ u[n] for s, n in enumerate(near)])
        c = slope + np.array([run.attrs.get("dimension", 3) for run in runs]) / 2.0
    if c.shape != T.shape or not (np.isfinite(c) & (c > 0)).all():
        raise ParameterError(
            f"heat capacities {np.asarray(c).tolist()}: expected positive numbers, one or one for each"
        )
    return np.asarray(c)


def _neighbors(T: np.ndarray, order: np.ndarray, state: int) -> np.ndarray:
    """The states that a slope is from: a state and those of the next temperatures, three where there are as many."""
    place = int(np.flatnonzero(order == state)[0])
    first = min(max(place - 1, 0), max(len(T) - 3, 0))
    return order[first : first + 3]


def _slope_weights(x: np.ndarray, at: float) -> np.ndarray:
    """Weights of values at `x` in the slope, at `at`, of the polynomial through them."""
    powers = np.arange(len(x))
    matrix = (x - at)[None, :] ** powers[:, None]
    return np.linalg.solve(matrix, (powers == 1).astype(float))


def _at_lags(values: xr.DataArray, lags: xr.DataArray) -> xr.DataArray:
    """Values interpolated at lags, linearly in their logarithm, NaN outside."""
    known = values["lag"].values > 0
    x, wanted = np.log(values["lag"].values[known]), np.log(np.where(lags.values > 0, lags.values, np.nan))
    rows = values.transpose(..., "lag").values[..., known]
    # at the same lag a value is taken as it is
    near = np.abs(wanted[:, None] - x) < 1e-9
    wanted = np.where(near.any(axis=1), x[np.argmax(near, axis=1)], wanted)
    found = np.apply_along_axis(lambda row: np.interp(wanted, x, row, left=np.nan, right=np.nan), -1, rows)
    dims = [*(dim for dim in values.dims if dim != "lag"), "lag"]
    coords = {dim: values[dim] for dim in dims[:-1]}
    return xr.DataArray(found, dims=dims, coords={**coords, "lag": lags})


def _error_of(run: xr.Dataset, name: str) -> xr.DataArray:
    return run.get(f"{name}_error", xr.full_like(run[name], np.nan, dtype=np.float64))


def _shares(share: Mapping[str, float], names: list[str]) -> xr.DataArray:
    if set(share) != set(names) or not np.isclose(sum(share.values()), 1.0, atol=1e-6) or min(share.values()) <= 0:
        raise ParameterError(f"fractions {dict(share)}: expected the share of each of {', '.join(names)}, 1 together")
    return xr.DataArray([share[name] for name in names], dims="species", coords={"species": names})


def _check_ensembles(
    moved: list[xr.DataArray], begun: list[xr.Dataset]
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the species, their particles, and the lags, which all configurations must share."""
    if not moved or len(moved) != len(begun):
        raise SchemaError(f"displacements of {len(moved)} configurations, starts of {len(begun)}: give as many of each")
    first = None
    for one, start in zip(moved, begun):
        check_displacement(one, ("replica", "particle", "space"))
        check_start(start, one)
        if one.sizes["replica"] < 2:
            raise SchemaError("one replica: chance is what two or more of a configuration differ by")
        if extra := {*map(str, one.dims)} - {"replica", "lag", "particle", "space"}:
            raise SchemaError(f"displacements have a dimension {min(extra)!r}: give a list, one of each configuration")
        number = np.bincount(species_codes(start)).astype(float)
        lag = np.asarray(one["lag"].values if "lag" in one.dims else [one.coords.get("lag", np.nan)], dtype=np.float64)
        same = (species_names(start), number.tolist(), lag.ravel())
        if first is None:
            first = same
        elif same[:2] != first[:2] or not np.array_equal(same[2], first[2], equal_nan=True):
            raise SchemaError(
                "the configurations differ in their species, numbers of particles or lags: give equal ones"
            )
    assert first is not None
    return first[0], np.array(first[1]), first[2]


def _run_means(moved: xr.DataArray, start: xr.Dataset, curve: str, value: float) -> xr.DataArray:
    """Means over the particles of each species of each run (species, replica, lag), lazy where displacements are."""
    if "lag" not in moved.dims:
        moved = moved.drop_vars("lag", errors="ignore").expand_dims("lag")
    square = (moved**2).sum("space", skipna=False)
    if curve == "overlap":
        weight = (square < value**2).where(square.notnull())
    else:
        weight = xr.apply_ufunc(
            _directions, value * square**0.5, kwargs={"d": moved.sizes["space"]}, dask="parallelized",
            output_dtypes=[np.float64],
        )  # fmt: skip
    codes = species_codes(start)
    of = [weight.isel(particle=codes == s).mean("particle", skipna=False) for s in range(codes.max() + 1)]
    return xr.concat(of, dim="species").transpose("species", "replica", "lag")


def _directions(x: np.ndarray, d: int) -> np.ndarray:
    """cos(k.r) averaged over all directions of k, of x = k r."""
    from scipy.special import j0

    values: np.ndarray = np.sinc(x / np.pi) if d == 3 else j0(x)
    return values


def _by_species(means: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The means (S, R, L), and that over all particles, (S + 1, R, L)."""
    total = np.tensordot(number / number.sum(), means, axes=1)
    return np.concatenate([means, total[None]])


def _split(
    runs: list[np.ndarray], number: np.ndarray, chi4: str, curve: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Both parts of chi_4, their sum and the average, with errors, of values (S, R, L) of each configuration."""

    def parts(mean: np.ndarray, chance: np.ndarray, of_means: np.ndarray) -> dict[str, np.ndarray]:
        within = chance.mean(axis=0)
        between = mean.var(axis=0, ddof=1) - of_means.mean(axis=0) if len(mean) > 1 else np.full_like(within, np.nan)
        scale = number[:, None]
        return {
            curve: mean.mean(axis=0),
            chi4: scale * (within + between),
            f"{chi4}_within": scale * within,
            f"{chi4}_between": scale * between,
        }

    def moments(some: list[np.ndarray]) -> list[np.ndarray]:
        variance = np.stack([run.var(axis=1, ddof=1) for run in some])
        replicas = np.array([run.shape[1] for run in some], dtype=float).reshape(-1, 1, 1)
        return [np.stack([run.mean(axis=1) for run in some]), variance, variance / replicas]

    whole = moments(runs)
    if len(runs) > 1:
        left = [parts(*(np.delete(part, c, axis=0) for part in whole)) for c in range(len(runs))]
    else:
        (run,) = runs
        left = [parts(*moments([np.delete(run, r, axis=1)])) for r in range(run.shape[1])] if run.shape[1] > 2 else []
    found = {}
    for name, value in parts(*whole).items():
        error = np.full_like(value, np.nan)
        if len(left) > 1:
            others = np.stack([part[name] for part in left])
            error = np.sqrt((len(left) - 1) * others.var(axis=0))
        found[name] = (value, error)
    return found
