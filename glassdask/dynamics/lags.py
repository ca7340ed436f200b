"""Which pairs of frames are a given time apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from glassdask.declarations import Count, Positive, converted
from glassdask.errors import ParameterError, SchemaError

# Lags that are chosen where none are asked for, evenly spaced in their logarithm.
N_LAGS = 50
# Differences of times that are looked at to choose lags where the frames are not evenly spaced.
N_DIFFERENCES = 1 << 22
# Times are the same when they differ by less than this much of the shortest interval.
TOLERANCE = 1e-3


def frame_pairs(
    trajectory: xr.Dataset, lags: Sequence[float] | None, origins: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Lags (L,) and for each of them the pairs of frames (n, 2) that are this time apart, at most `origins`.

    Without `lags`, about 50 that occur, evenly spaced in their logarithm; of about equal ones that with most pairs.
    Where more than `origins` pairs exist, those whose first frames are evenly spread over the trajectory.

    Raises
    ------
    SchemaError
        When the trajectory has no times, or they do not increase.
    ParameterError
        When a lag does not occur, two are of the same frames, or the numbers are not positive.
    """
    origins = converted(origins, Count, "origins")
    time = _times(trajectory)
    steps = np.diff(time)
    tolerance = _tolerance(time, float(steps.min()))
    if lags is None:
        wanted = _choose(time, tolerance)
    else:
        wanted = np.atleast_1d(converted(lags, Positive | tuple[Positive, ...], "lags"))
        if wanted.size == 0:
            raise ParameterError("lags: expected positive times, found none")
    pairs = [_pairs(time, lag, tolerance) for lag in wanted]
    missing = [lag for lag, found in zip(wanted, pairs) if len(found) == 0]
    if missing:
        raise ParameterError(
            f"no two frames are {missing[0]:g} apart: the times go from {time[0]:g} to {time[-1]:g}, the shortest "
            f"interval is {steps.min():g}: give differences of times"
        )
    order = np.argsort(wanted)
    for one, other in itertools.pairwise(order):
        if np.array_equal(pairs[one], pairs[other]):
            raise ParameterError(
                f"lags: {wanted[one]:.10g} and {wanted[other]:.10g} are of the same frames: leave one out, as "
                "np.unique does of equal ones"
            )
    return wanted, [_spread(found, origins) for found in pairs]


def even_step(trajectory: xr.Dataset) -> float:
    """The time between frames that are evenly spaced, at least three.

    Raises
    ------
    SchemaError
        When there are no times, or they are not evenly spaced.
    """
    time = _times(trajectory)
    steps = np.diff(time)
    if len(steps) < 2 or np.ptp(steps) > 2 * _tolerance(time, float(steps.min())):
        raise SchemaError(
            f"{len(time)} frames, {steps.min():g} to {steps.max():g} apart: expected at least three, evenly spaced; "
            "select such frames, as trajectory.isel(frame=slice(0, None, 2)) does"
        )
    return float((time[-1] - time[0]) / len(steps))


def even_frames(trajectory: xr.Dataset) -> np.ndarray:
    """Numbers of frames that are evenly spaced, beginning with the first and as close as go on to the end.

    Of logarithmically spaced frames after each of several origins, the origins. All frames where no three of them are.

    Examples
    --------
    >>> import glassdask as gd
    >>> time = [0.0, 0.1, 0.3, 1.0, 1.1, 1.3, 2.0, 2.1, 2.3, 3.0]
    >>> t = gd.from_arrays(np.zeros((10, 1, 2)), species=["A"], box=[9.0, 9.0], time=time)
    >>> even_frames(t).tolist()
    [0, 3, 6, 9]
    """
    time = _times(trajectory)
    tolerance = _tolerance(time, float(np.diff(time).min()))
    span = time[-1] - time[0]
    for step in time[1:] - time[0]:
        if 2 * step > span + tolerance:
            break
        wanted = time[0] + step * np.arange(int((span + tolerance) / step) + 1)
        near = np.clip(np.searchsorted(time, wanted - tolerance), 0, len(time) - 1)
        if (np.abs(time[near] - wanted) <= tolerance).all():
            return near
    return np.arange(len(time))


def _times(trajectory: xr.Dataset) -> np.ndarray:
    """Times of the frames, which must increase."""
    if "time" not in trajectory:
        raise SchemaError(
            "no variable 'time' (frame): lags are differences of times; ingest with the time of a step, such as "
            "`dt=0.005`; in Python also from_arrays(..., time=...) or trajectory.assign_coords(time=('frame', times))"
        )
    time = np.asarray(trajectory["time"].values, dtype=np.float64)
    steps = np.diff(time)
    if len(time) < 2:
        raise SchemaError(f"{len(time)} frame: expected at least two, between which particles move")
    if (same := np.diff(np.sort(time)) == 0).any():
        twice = np.sort(time)[1:][same][0]
        first, second = np.flatnonzero(time == twice)[:2]
        raise SchemaError(
            f"frames {first} and {second} have the same time {twice:g}: keep one of them, as "
            "trajectory.isel(frame=np.sort(np.unique(trajectory['time'], return_index=True)[1])) does, or give "
            "independent runs times of their own trajectories"
        )
    if not (steps > 0).all() or not np.isfinite(time).all():
        raise SchemaError(
            f"{len(time)} frames with times from {time[0]:g} to {time[-1]:g}: expected times that increase from frame "
            "to frame; sort them with trajectory.sortby('time')"
        )
    return time


def _tolerance(time: np.ndarray, shortest: float) -> float:
    """By how much differences of times may differ that are meant to be the same.

    Some formats (XTC, TRR, GSD's logs) keep times as float32: 1000.01 is off by up to 3e-5 there. Times that are all
    float32 values, and no whole numbers, are taken to be such; still no lag may reach two frames from the same origin.
    """
    largest = float(np.abs(time).max())
    single = np.array_equal(time, time.astype(np.float32)) and not np.array_equal(time, np.rint(time))
    rounding = 2.0 * float(np.spacing(np.float32(largest))) if single else 1e-12 * largest
    return max(TOLERANCE * shortest, min(rounding, shortest / 4))


def _choose(time: np.ndarray, tolerance: float) -> np.ndarray:
    """Lags that occur, about evenly spaced in their logarithm."""
    starts = np.unique(np.linspace(0, len(time) - 1, max(1, min(len(time), N_DIFFERENCES // len(time)))).astype(int))
    differences = np.concatenate([time[i + 1 :] - time[i] for i in starts])
    differences.sort()
    group = np.concatenate([[0], np.nonzero(np.diff(differences) > 2 * tolerance)[0] + 1])
    number = np.diff([*group, len(differences)])
    candidates = np.add.reduceat(differences, group) / number  # means, which rounding of the times hardly changes
    bins = np.zeros(len(candidates), int)
    if len(candidates) > N_LAGS:
        position = np.log(candidates / candidates[0]) / np.log(candidates[-1] / candidates[0])
        bins = np.rint(position * (N_LAGS - 1)).astype(int)
    else:
        bins = np.arange(len(candidates))
    # the most frequent of each bin, the shortest of equally frequent ones
    order = np.lexsort((candidates, -number, bins))
    _, first = np.unique(bins[order], return_index=True)
    return candidates[order[first]]


def _pairs(time: np.ndarray, lag: float, tolerance: float) -> np.ndarray:
    later = np.searchsorted(time, time + lag - tolerance)
    first = np.arange(len(time))
    inside = later < len(time)
    first, later = first[inside], later[inside]
    hit = (time[later] - time[first] < lag + tolerance) & (later > first)
    return np.stack([first[hit], later[hit]], axis=1)


def _spread(pairs: np.ndarray, origins: int) -> np.ndarray:
    if len(pairs) <= origins:
        return pairs
    return pairs[np.rint(np.linspace(0, len(pairs) - 1, origins)).astype(int)]
