"""Sudden motion of single particles: the hop function, and the times between hops."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.averages import cage_rule, relative_to_cage
from glassdask.dynamics.lags import even_step
from glassdask.dynamics.origins import jackknife
from glassdask.dynamics.paths import Scheme, check_matched, unwrapped, whole_paths
from glassdask.errors import ParameterError, SchemaError
from glassdask.frames import map_frames
from glassdask.graphs import compute
from glassdask.kernels import events as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import check_kind, labels, names_and_codes, validate
from glassdask.variables import annotated

# Parts of the trajectory whose scatter gives the errors.
PARTS = 10
# What a position in a window takes, in microseconds, roughly.
MOMENT_MICROSECONDS = 0.1


def hops(
    trajectory: xr.Dataset,
    window: float,
    threshold: float,
    *,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""The hop function p_hop of every particle and frame, and where it says that a particle has left its cage.

    p_hop(t) = sqrt( < |r(t') - <r>_B|^2 >_{t' in A} < |r(t') - <r>_A|^2 >_{t' in B} ),

    where A is the half of the window before t, B the one after it, t in both, and <r> the mean position there [1]_. In
    a cage it is the mean square distance from its middle; where a particle jumps by d it has a peak of about d^2. A
    hop is at the largest p_hop of each run of frames in which p_hop is above the threshold [2]_.

    Parameters
    ----------
    trajectory : Dataset of the schema with ``time`` in even steps, in memory or lazy
        With ``image``, or with frames so close that `unwrapped` works without.
    window : float
        Length of A and B together, in the unit of the times; a few times what a cage needs to be explored.
    threshold : float
        In the square of the unit of length; such as the plateau of the mean-square displacement, or 0.2.
    cage : rule for neighbours or float or dict, optional
        Positions in the window of a frame are then relative to the mean of a particle and its neighbours in that frame,
        see `self_correlations`: long waves, as in two dimensions, are no hops.
    remove_drift : bool, default False
        Whether positions are relative to the mean of all particles, each of the same weight.
    scheme : str, default "lattice"
        "toroidal" at constant pressure, where a box that breathes would make particles far from the first one hop; see
        `unwrapped`.

    Returns
    -------
    xarray.Dataset, lazy where the positions are
        ``p_hop`` (frame, particle), ``jump`` (frame, particle), the distance of the mean positions in A and B, both NaN
        in the first and last half of a window; ``hop`` (frame, particle), true where a particle hops. The jumps alone
        are ``found["jump"].where(found["hop"])``.

    Raises
    ------
    SchemaError
        When there are no times, or they are not evenly spaced; and as `unwrapped`.
    ParameterError
        When a number is not positive, or the window is longer than the trajectory or shorter than two intervals.
    ParameterError, SpeciesError, BoxError
        When the cutoffs of a cage are missing, wrong or too large, or the box has open faces.

    References
    ----------
    .. [1] R. Candelier et al., Phys. Rev. Lett. 105, 135702 (2010).
    .. [2] A. Smessaert and J. Rottler, Phys. Rev. E 88, 022314 (2013).

    Examples
    --------
    A jump by 1 between the frames 3 and 4:

    >>> import glassdask as gd
    >>> path = np.full((9, 1, 2), 2.0)
    >>> path[4:, 0, 0] += 1.0
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0], time=np.arange(9.0))
    >>> found = hops(t, window=4.0, threshold=0.2)
    >>> found["p_hop"].values[:, 0].round(2).tolist()
    [nan, nan, 0.19, 0.54, 0.54, 0.19, 0.0, nan, nan]
    >>> np.flatnonzero(found["hop"].values[:, 0]).tolist()
    [3]
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    check_matched(trajectory)
    window, threshold = converted(window, Positive, "window"), converted(threshold, Positive, "threshold")
    step, n_frames = even_step(trajectory), trajectory.sizes["frame"]
    half = round(0.5 * window / step)
    if not 1 <= half <= (n_frames - 1) // 2:
        raise ParameterError(
            f"window {window:g}: expected at least two intervals of {step:g}, and at most the trajectory, "
            f"{(n_frames - 1) * step:g}"
        )
    rule = cage_rule(trajectory, cage)
    path = unwrapped(trajectory, scheme)
    lazy = path.chunks is not None
    if remove_drift:
        path = path - path.mean("particle")
    if rule is None:
        function: Callable[..., Any] = partial(_hop_function, half=half)
        p_hop, jump = _along(function, whole_paths(path), [np.float64] * 2, ["frame", "space"])
    else:
        found = _in_cages(trajectory, path, half, rule)
        if not lazy:
            (found,) = compute(found)
        p_hop, jump = found.isel(of=0), found.isel(of=1)
    (hop,) = _along(partial(_label_hops, threshold=threshold), whole_paths(p_hop), [np.bool_], ["frame"])
    named = {name: values.transpose("frame", "particle") for name, values in
             (("p_hop", p_hop), ("jump", jump), ("hop", hop))}  # fmt: skip
    attrs = {"window": 2 * half * step, "threshold": threshold}
    plain = {name: values.drop_vars(list(values.coords)) for name, values in named.items()}
    return annotated(xr.Dataset(plain, coords=labels(trajectory), attrs=attrs))


def _along(
    function: Callable[..., Any], values: xr.DataArray, dtypes: list[Any], dims: list[str]
) -> tuple[xr.DataArray, ...]:
    """Arrays (particle, frame) of the whole paths of particles."""
    found = xr.apply_ufunc(
        function, values, input_core_dims=[dims], output_core_dims=[["frame"]] * len(dtypes), dask="parallelized",
        output_dtypes=dtypes,
    )  # fmt: skip
    return found if isinstance(found, tuple) else (found,)


def _in_cages(trajectory: xr.Dataset, path: xr.DataArray, half: int, rule: Neighborhood) -> xr.DataArray:
    """p_hop and jump (frame, of, particle) of positions relative to the cages that there are in each frame."""
    frames = trajectory.sizes["frame"]
    middle = slice(half, frames - half)
    # each frame with the window around it, lazily: all windows together are many times as large as the paths
    whole = path.drop_vars(list(path.coords)).chunk(particle=-1, space=-1)
    windows = whole.rolling(frame=2 * half + 1, center=True).construct("moment").isel(frame=middle)
    known = [name for name in ("position", "species", "box", "diameter", "periodic") if name in trajectory]
    found = map_frames(
        partial(_of_window, rule=rule, half=half), trajectory[known].isel(frame=middle),
        windows.transpose("frame", "moment", "particle", "space"),
        dims={"of": 2, "particle": trajectory.sizes["particle"]},
        microseconds=rule.microseconds + MOMENT_MICROSECONDS * (2 * half + 1),
    )  # fmt: skip
    return found.pad(frame=half)


def _of_window(configuration: Configuration, window: np.ndarray, *, rule: Neighborhood, half: int) -> np.ndarray:
    relative = relative_to_cage(configuration, window - window[half], rule)
    out = np.empty((2, *relative.shape[1::-1]))
    kernels.hop_function(np.ascontiguousarray(relative.transpose(1, 0, 2)), half, out[0], out[1])
    return out[:, :, half]


def _hop_function(path: np.ndarray, *, half: int) -> tuple[np.ndarray, np.ndarray]:
    p_hop, jump = np.full((2, *path.shape[:2]), np.nan)
    kernels.hop_function(np.ascontiguousarray(path), half, p_hop, jump)
    return p_hop, jump


def _label_hops(p_hop: np.ndarray, *, threshold: float) -> np.ndarray:
    hop = np.zeros(p_hop.shape, np.bool_)
    kernels.label_hops(np.ascontiguousarray(p_hop), threshold, hop)
    return hop


def waiting_times(found: xr.Dataset) -> xr.Dataset:
    r"""Persistence and exchange times: from any moment to the next hop, and from a hop to the next one.

    The probability that nothing has happened yet is estimated as by Kaplan and Meier: an interval that the end of the
    trajectory cuts counts as one that is at least as long. Where hops come at random, without memory, both are the
    same; where some particles are slow for long, the persistence time is the longer one [1]_.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `hops`.

    Returns
    -------
    xarray.Dataset
        ``persistence`` (species, lag) and ``exchange`` (species, lag), the probability that the time to the next hop is
        longer than the lag, with ``_total`` of all particles alike. ``lag`` are multiples of the time between frames,
        from 0. The sum of a curve times that interval is the mean time, as far as the curve has decayed. NaN where no
        interval is that long. Each with ``_error``, from the jackknife over up to ten
        parts of the trajectory, as many as are not shorter than the lag, and two of longer ones, for which it is too
        small. Computed, not lazy.

    Raises
    ------
    SchemaError
        When `found` is no result of `hops`.

    References
    ----------
    .. [1] Y. Jung, J. P. Garrahan and D. Chandler, J. Chem. Phys. 123, 084509 (2005).

    Examples
    --------
    A hop in every fourth frame: after a hop it takes four intervals, from any moment two and a half on average.

    >>> hop = np.zeros((41, 1), bool)
    >>> hop[::4] = True
    >>> events = xr.Dataset({name: (("frame", "particle"), values) for name, values in
    ...                      {"hop": hop, "p_hop": np.where(hop, 1.0, 0.0)}.items()},
    ...                     coords={"time": ("frame", np.arange(41.0)), "species": ("particle", ["A"])})
    >>> times = waiting_times(events)
    >>> float(times["exchange_total"].sum()), float(times["persistence_total"].sum())
    (4.0, 2.5)
    """
    check_kind(found, xr.Dataset, "the hops", "give the result of hops")
    if not {"hop", "p_hop", "time", "species"} <= {*map(str, found.variables)}:
        raise SchemaError("no variables hop, p_hop, time and species: give the result of hops")
    step = even_step(found)
    hop, known = compute(found["hop"].transpose("frame", "particle"), found["p_hop"].notnull().all("particle"))
    hop = hop.values[known.values]
    names, codes = names_and_codes(found)
    last = max(len(hop) - 1, 0)
    # of each part of the trajectory: number of intervals of each length that a hop has begun in it, ended by another
    # one or by the end, and of moments in it from which so long is waited, until a hop or until the end
    parts = max(1, min(PARTS, last))
    bounds = -(-np.arange(parts + 1) * last // parts)
    counts = np.zeros((parts, len(names) + 1, 4, last + 2))
    for particle, code in enumerate(codes):
        at = np.flatnonzero(hop[:, particle])
        edges = np.concatenate([[0], at, [last]])
        begins, ends, cut = edges[:-1], edges[1:], np.arange(len(at) + 1) == len(at)
        part = np.clip(np.searchsorted(bounds, begins, side="right") - 1, 0, parts - 1)
        np.add.at(counts, (part[1:], code, cut[1:] * 1, (ends - begins)[1:]), 1.0)
        # the moments of an interval go together, but for the first: all of those begin in the first part
        split = np.arange(parts)
        owner, part = np.concatenate([0 * split, np.arange(1, len(begins))]), np.concatenate([split, part[1:]])
        first = np.concatenate([np.minimum(bounds[:-1], ends[0]), begins[1:]])
        past = np.concatenate([np.minimum(bounds[1:], ends[0]), ends[1:]])
        # one moment for each time from first to past: summed below
        for times, sign in ((past, 1.0), (first, -1.0)):
            np.add.at(counts, (part, code, 2 + cut[owner], ends[owner] - times + 1), sign)
    counts[:, :, 2:] = np.cumsum(counts[:, :, 2:], axis=-1)
    counts[:, -1] = counts[:, :-1].sum(axis=1)
    counts = counts[..., :-1]
    whole = counts.sum(axis=0)
    curves = _longer(whole)
    errors = {name: np.full_like(curve, np.nan) for name, curve in curves.items()}
    for n in range(2, parts + 1):
        left = [_longer(whole - some) for some in np.add.reduceat(counts, np.arange(n) * parts // n)]
        few = last // n + 1 if n > 2 else last + 1  # lags that are not longer than one of n parts
        for name, error in errors.items():
            error[:, :few] = jackknife(np.stack([one[name][:, :few] for one in left]))
    variables: dict[str, Any] = {}
    for name, curve in curves.items():
        for end, values in (("", curve), ("_error", errors[name])):
            variables[f"{name}{end}"] = (("species", "lag"), values[:-1])
            variables[f"{name}_total{end}"] = (("lag",), values[-1])
    coords = {"species": list(names), "lag": np.arange(last + 1) * step}
    return annotated(xr.Dataset(variables, coords=coords))


def _longer(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities that exchange and persistence are longer than each lag, (S + 1, L), of numbers (S + 1, 4, L)."""
    found = {}
    for name, kinds in (("exchange", slice(0, 2)), ("persistence", slice(2, 4))):
        events, cut = counts[:, kinds].swapaxes(0, 1)
        waiting = np.cumsum((events + cut)[:, ::-1], axis=-1)[:, ::-1]  # of at least each length
        with np.errstate(invalid="ignore", divide="ignore"):
            left = 1.0 - events[:, 1:] / waiting[:, 1:]
        found[name] = np.cumprod(np.concatenate([np.ones((len(left), 1)), left], axis=1), axis=1)
    return found


def hop_statistics(
    trajectory: xr.Dataset,
    window: float,
    threshold: float,
    *,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    """Hops of a trajectory in numbers: how often and how far, persistence and exchange times; see `hops`.

    Parameters
    ----------
    trajectory, window, threshold : xarray.Dataset, float and float
        See `hops`.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        See `hops`.

    Returns
    -------
    xarray.Dataset
        ``persistence`` and ``exchange`` (species, lag) of `waiting_times`; ``hop_rate`` (species), hops of a particle
        in a unit of time, and ``hop_length`` (species), the mean of their ``jump``, NaN without hops; all with
        ``_total`` of all particles alike, and ``_error``, from the jackknife over tenths of the trajectory, NaN where
        fewer than two of them are known. Computed, not lazy.

    Raises
    ------
    SchemaError, ParameterError
        As `hops`.

    Examples
    --------
    One jump by 1 in the 6 intervals of which p_hop is known of both ends:

    >>> import glassdask as gd
    >>> path = np.full((11, 1, 2), 2.0)
    >>> path[5:, 0, 0] += 1.0
    >>> t = gd.from_arrays(path, species=["A"], box=[9.0, 9.0], time=np.arange(11.0))
    >>> found = hop_statistics(t, window=4.0, threshold=0.2)
    >>> round(float(found["hop_rate_total"]) * 6, 6), float(found["hop_length_total"].round(2))
    (1.0, 0.67)
    """
    found = hops(trajectory, window, threshold, cage=cage, remove_drift=remove_drift, scheme=scheme)
    hop, p_hop, jump = compute(found["hop"], found["p_hop"], found["jump"])
    times = waiting_times(found.assign(hop=hop, p_hop=p_hop))
    names, codes = names_and_codes(found)
    known = np.flatnonzero(p_hop.notnull().all("particle").values)
    frames, step = len(known), even_step(found)
    parts = max(1, min(PARTS, frames))
    # hops, and the sum of their lengths, of each particle in each part of the trajectory
    happened = hop.transpose("frame", "particle").values[known]
    way = np.where(happened, jump.transpose("frame", "particle").values[known], 0.0)
    edges = np.arange(parts) * frames // parts
    sums = np.stack([np.add.reduceat(values.astype(float), edges) for values in (happened, way)])  # (2, B, N)
    of_species = np.stack([sums[..., codes == code].sum(axis=-1) for code in range(len(names))], axis=-1)
    of_species = np.concatenate([of_species, of_species.sum(axis=-1, keepdims=True)], axis=-1)  # (2, B, S + 1)
    particles = np.bincount(codes, minlength=len(names)).astype(float)
    particles = np.append(particles, particles.sum())
    # a rate is per interval between frames, of which there is one less than frames
    span = np.diff([*edges, frames]) * (frames - 1.0) / frames * step

    def quantities(few: np.ndarray, time: np.ndarray) -> dict[str, np.ndarray]:
        count, distance = few
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"hop_rate": count / particles / time, "hop_length": distance / count}

    total = of_species.sum(axis=1)
    whole = quantities(total, span.sum())
    left = quantities(total[:, None] - of_species, (span.sum() - span)[:, None]) if parts > 1 else {}
    variables: dict[str, Any] = {}
    for name, value in whole.items():
        error = jackknife(left[name]) if left else np.full_like(value, np.nan)
        for end, values in (("", value), ("_error", error)):
            variables[f"{name}{end}"], variables[f"{name}_total{end}"] = ("species", values[:-1]), values[-1]
    return annotated(times.assign(variables).assign_attrs(found.attrs))
