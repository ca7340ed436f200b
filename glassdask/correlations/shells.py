"""The first shell of neighbours as g_ab(r) shows it: first peaks and first minima."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy  # whose ndimage is imported when it is first used: most commands never do
import xarray as xr

from glassdask.correlations.radial import radial_distribution
from glassdask.declarations import pair_text, read_pairs
from glassdask.errors import ParameterError, SpeciesError
from glassdask.schema import check_kind, species_names, validate
from glassdask.texts import unknown_values

ADVICE = ": average over more frames, or "
# All lengths in mean spacings. Width of the Gaussian that smooths g before its turning points, and its slope before
# its shoulders, are looked for; the slope is noisier. Half-width of the fits that refine what was found.
SMOOTHING = 0.03
SLOPE_SMOOTHING = 0.05
PEAK_FIT = 0.07
MINIMUM_FIT = 0.2
# The widest bins for which those fits have enough points.
COARSEST = 0.03
# A rise or fall counts when it exceeds this many standard errors and this share of the peak's height.
SIGNIFICANCE = 4.0
SHARE = 0.02
# A shoulder is where the slope falls below this share of the rises before and after it, and it ends where the slope
# has come back to that share of the following rise.
FLAT = 0.35
END = 0.25
# Pairs this much closer (in mean spacings) than where g rises above its noise are no part of the first shell.
APART = 0.1
# A first peak this much further out than where g begins hides something weaker that begins there.
LATE = 1.4


@dataclass(frozen=True)
class FirstShell:
    """First peak and first minimum of one g_ab(r).

    Attributes
    ----------
    species : tuple of 2 str
        The pair, sorted by name.
    peak, height : float
        Position of the first peak or shoulder, and g there.
    minimum, depth : float
        Position of the first minimum, or of the end of the shoulder, and g there.
    highest : float
        Position of the highest peak.
    shoulder : bool
        The first peak is only a shoulder of the next one: a minimum is not resolved.
    strays : int, default 0
        Pairs left out that are far closer than all others, such as particles that overlap; few, so no peak.
    """

    species: tuple[str, str]
    peak: float
    height: float
    minimum: float
    depth: float
    highest: float
    shoulder: bool
    strays: int = 0

    @property
    def note(self) -> str:
        """What a reader of the minimum should know, or nothing.

        Examples
        --------
        >>> FirstShell(("B", "B"), 1.0, 0.6, 1.08, 0.5, 1.35, True).note
        'the first peak is a shoulder; the highest peak is a later one, at 1.35'
        """
        notes = ["the first peak is a shoulder"] if self.shoulder else []
        if self.highest > self.minimum:
            notes.append(f"the highest peak is a later one, at {self.highest:.3g}")
        if self.strays:
            notes.append(f"pairs left out that are far closer than all others: {self.strays}")
        return "; ".join(notes)


def first_minima(source: xr.Dataset, overrides: Mapping[Any, float] | None = None) -> dict[tuple[str, str], float]:
    """Cutoffs from the first minima of the partial g_ab(r), averaged over the frames of a trajectory.

    Use some of the frames of a long one: ``first_minima(trajectory.isel(frame=slice(0, None, 10)))``. To see what was
    found, and to plot it, call `first_shells` on a `radial_distribution`.

    Parameters
    ----------
    source : xarray.Dataset
        Trajectory, in memory or lazy; or its `radial_distribution`, where that is known.
    overrides : dict, optional
        Cutoffs to take instead for some pairs, ``{("A", "B"): 1.25}``.

    Returns
    -------
    dict
        (species, species), sorted by name -> distance, for every pair.

    Raises
    ------
    ParameterError
        When a pair has no minimum above the noise: average over more frames, or give its cutoff.

    Examples
    --------
    >>> import glassdask as gd
    >>> jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    >>> cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    >>> crystal = gd.from_arrays(cubic + jitter, species=["A"] * 512, box=[8.0, 8.0, 8.0])
    >>> {pair: round(r, 1) for pair, r in first_minima(crystal).items()}
    {('A', 'A'): 1.2}
    """
    given = read_pairs({} if overrides is None else overrides, "overrides")
    if not isinstance(given, dict):
        raise ParameterError(f"overrides is {overrides!r}: expected distances of some pairs, such as {{'A-B': 1.25}}")
    names = [str(name) for name in source["species_a"].values] if _is_distribution(source) else species_names(source)
    unknown = sorted({name for pair in given for name in pair} - set(names))
    if unknown:
        raise SpeciesError(f"overrides name {', '.join(unknown)}: known species are {', '.join(names)}")
    distribution = _distribution(source)
    pairs = list(itertools.combinations_with_replacement(names, 2))
    try:
        return {pair: given[pair] if pair in given else first_shell(distribution, *pair).minimum for pair in pairs}
    except ParameterError as error:  # what commands and files call cutoffs
        raise ParameterError(str(error).replace("`cutoffs=", "`overrides=")) from None


def typical_minima(trajectory: xr.Dataset, frames: int) -> dict[tuple[str, str], float]:
    """The `first_minima` of about so many frames, for a quantity that takes `cutoffs`, of all pairs, in their place."""
    try:
        return first_minima(trajectory.isel(frame=slice(0, None, max(1, trajectory.sizes["frame"] // frames))))
    except ParameterError as error:
        found, advice, _ = str(error).partition(ADVICE)
        if not advice:
            raise
        names = itertools.combinations_with_replacement(species_names(trajectory), 2)
        table = ",".join(f"{pair_text(*pair)}=..." for pair in names)
        raise ParameterError(f"{found}{advice}give all cutoffs, cutoffs={{{table}}}") from None


def first_peaks(source: xr.Dataset) -> dict[str, float]:
    """Position of the first peak of each g_aa(r), an effective diameter of species a; see `first_minima`.

    Examples
    --------
    >>> import glassdask as gd
    >>> jitter = np.random.default_rng(0).normal(scale=0.05, size=(4, 512, 3))
    >>> cubic = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(1, 512, 3)
    >>> crystal = gd.from_arrays(cubic + jitter, species=["A"] * 512, box=[8.0, 8.0, 8.0])
    >>> round(first_peaks(gd.radial_distribution(crystal))["A"], 2)
    1.0
    """
    distribution = _distribution(source)
    names = [str(name) for name in distribution["species_a"].values]
    try:
        return {name: first_shell(distribution, name, name).peak for name in names}
    except ParameterError as error:
        found = str(error).partition(ADVICE)[0]
        table = ", ".join(f"{name}=..." for name in names)
        raise ParameterError(
            f"{found}{ADVICE}give the diameters, diameters={{{table}}}, or diameters=none for the usual Voronoi cells"
        ) from None


def _distribution(source: xr.Dataset) -> xr.Dataset:
    return source if _is_distribution(source) else radial_distribution(source)


def _is_distribution(source: xr.Dataset) -> bool:
    """Whether it is a `radial_distribution`; otherwise it must be a trajectory."""
    check_kind(source, xr.Dataset, "the source", "give a radial_distribution or a trajectory")
    if {"g", "counts", "r_edge"} <= {*source.variables}:
        return True
    validate(source)
    return False


def first_shells(distribution: xr.Dataset) -> tuple[FirstShell, ...]:
    """`first_shell` of every pair of species of a `radial_distribution`, in the order of their names."""
    distribution = _distribution(distribution)
    names = [str(name) for name in distribution["species_a"].values]
    return tuple(first_shell(distribution, *pair) for pair in itertools.combinations_with_replacement(names, 2))


def first_shell(distribution: xr.Dataset, species_a: str, species_b: str) -> FirstShell:
    """First peak and first minimum of g_ab(r) of a `radial_distribution`.

    A few pairs that are far closer than all others, such as particles that overlap, are left out and counted.

    The first peak is not the highest: it is the first rise of the smoothed g that is followed by a fall, both above
    the noise of the pairs counted. Where the rise is interrupted by a stretch without slope, that shoulder is the first
    peak. Positions are refined by a local fit to the g that was not smoothed; in a gap where g is 0 the minimum is its
    middle.

    Raises
    ------
    ParameterError
        When nothing stands out of the noise, when g begins so long before its first clear peak that a weaker one must
        be lost in the noise, or when the bins are wider than 0.03 mean spacings.
    """
    curve = _Curve.of(distribution, species_a, species_b)
    g, error = curve.smooth(SMOOTHING)
    turning = _turning_points(g, SIGNIFICANCE * error, SHARE)
    if len(turning) < 2:
        raise curve.unclear("has no first peak and minimum above the noise")
    peak, dip = turning[:2]
    highest = float(curve.r[np.argmax(g)])
    shoulder = _shoulder(curve, peak)
    if shoulder is not None:
        flat, end = shoulder
        at, height, bottom, depth = (float(value) for value in (curve.r[flat], g[flat], curve.r[end], g[end]))
        return FirstShell(curve.species, at, height, bottom, depth, highest, True, curve.strays)
    onset = float(curve.r[np.argmax(g > 0.05 * g[peak])])
    top, height = curve.extremum(peak, PEAK_FIT, 2)
    if top > LATE * onset:
        raise curve.unclear(
            f"begins at {onset:.3g} but its first clear peak is at {top:.3g}: a weaker one may be lost in the noise"
        )
    bottom = curve.gap(g, dip, g[peak]) or curve.extremum(dip, MINIMUM_FIT, 3)[0]
    depth = float(np.interp(bottom, curve.r, g))
    return FirstShell(curve.species, top, height, bottom, depth, highest, False, curve.strays)


@dataclass(frozen=True)
class _Curve:
    """One g_ab(r) with the number of pairs behind it."""

    species: tuple[str, str]
    r: np.ndarray
    g: np.ndarray
    pairs: np.ndarray  # independent pairs in each bin
    ideal: np.ndarray  # how many there would be if g were 1
    spacing: float
    strays: int = 0

    @classmethod
    def of(cls, distribution: xr.Dataset, a: str, b: str) -> _Curve:
        distribution = _distribution(distribution)
        names = [str(name) for name in distribution["species_a"].values]
        unknown = sorted({a, b} - set(names))
        if unknown:
            raise SpeciesError(f"unknown species {', '.join(unknown)}: known species are {', '.join(names)}")
        d = distribution.attrs["dimension"]
        spacing = distribution.attrs["density"] ** (-1 / d)
        widest = float(np.diff(distribution["r_edge"].values).max())
        if widest > COARSEST * spacing:
            raise ParameterError(
                f"bins of g(r) are {widest:.3g} wide, expected at most {COARSEST * spacing:.3g} to see a first shell: "
                "raise n_bins"
            )
        chosen = distribution.sel(species_a=a, species_b=b)
        pairs = chosen["counts"].values / (2.0 if a == b else 1.0)
        # beside open borders there are fewer centres the larger the distance
        centers = chosen["centers"].values if "centers" in chosen else np.ones(len(pairs))
        known = centers > 0
        if known.sum() < 2:
            raise ParameterError(
                f"g_{a}{b}: no {a} is away from the open faces of the box: give the cutoff of {(a, b)}"
            )
        shells = (np.diff(distribution["r_edge"].values ** d) * (centers / centers.max()))[known]
        g, pairs = np.nan_to_num(chosen["g"].values)[known], pairs[known]
        scale = pairs.sum() / max((g * shells).sum(), np.finfo(float).tiny)
        low, high = sorted((str(a), str(b)))
        return cls((low, high), distribution["r"].values[known], g, pairs, scale * shells, spacing)._without_strays()

    def _without_strays(self) -> _Curve:
        g, error = self.smooth(SMOOTHING)
        begins = int(np.argmax(g > SIGNIFICANCE * error)) - int(APART * self.spacing / self.step)
        few = self.pairs[: max(begins, 0)].sum()
        if not few:
            return self
        there = np.arange(len(self.r)) >= begins
        return replace(self, g=self.g * there, pairs=self.pairs * there, strays=int(few))

    @property
    def step(self) -> float:
        return float(self.r[1] - self.r[0])

    def smooth(self, width: float) -> tuple[np.ndarray, np.ndarray]:
        """g smoothed by a Gaussian, and its standard error from the number of pairs."""
        sigma = width * self.spacing / self.step
        ideal = scipy.ndimage.gaussian_filter1d(self.ideal, sigma)
        if not ideal.any():
            return self.g, np.zeros_like(self.g)
        pairs = scipy.ndimage.gaussian_filter1d(self.pairs, sigma)
        # one pair more, so that an empty stretch has an error too
        least = 1.0 / (2.0 * math.sqrt(math.pi) * sigma)
        return pairs / ideal, np.sqrt((pairs + least) * least) / ideal

    def extremum(self, at: int, half_width: float, degree: int) -> tuple[float, float]:
        """Position and value of the extremum of a polynomial fitted to g around bin `at`, then around itself."""
        reach = half_width * self.spacing
        position = float(self.r[at])
        value = float(self.g[at])
        # the window follows what it finds and fades at its ends, so that the bin it started from does not matter
        for _ in range(5):
            x = (self.r - position) / reach
            near = np.abs(x) < 1.0
            weight = np.sqrt(self.ideal[near]) * (1.0 - x[near] ** 2)
            fit = np.polynomial.Polynomial.fit(x[near], self.g[near], degree, w=weight)
            roots = fit.deriv().roots()
            inside = roots[(np.abs(roots.imag) < 1e-9) & (np.abs(roots.real) < 1.0)].real
            if len(inside) == 0:
                break
            best = inside[np.argmin(np.abs(inside))]
            position, value = position + float(best) * reach, float(fit(best))
        return position, value

    def gap(self, g: np.ndarray, at: int, height: float) -> float | None:
        """Middle of a stretch without particles around bin `at`, as crystals have it."""
        empty = g <= 1e-3 * height
        if not empty[at]:
            return None
        first = at - int(np.argmin(empty[at::-1])) + 1
        last = at + int(np.argmin(empty[at:])) - 1
        return 0.5 * float(self.r[first] + self.r[last])

    def unclear(self, what: str) -> ParameterError:
        a, b = self.species
        return ParameterError(
            f"g_{a}{b} (from {int(self.pairs.sum())} pairs) {what}{ADVICE}give the cutoff of {pair_text(a, b)}, "
            f"{unknown_values('cutoffs', [pair_text(a, b)])}"
        )


def _shoulder(curve: _Curve, peak: int) -> tuple[int, int] | None:
    """Bins of the flattest point and of the end of a shoulder on the rise to bin `peak`, if there is one."""
    g, _ = curve.smooth(SLOPE_SMOOTHING)
    sigma = SLOPE_SMOOTHING * curve.spacing / curve.step
    slope = np.gradient(g)[: peak + 1]
    # of the derivative of the Gaussian, as `smooth` has it of the Gaussian itself
    least = 1.0 / (4.0 * math.sqrt(math.pi) * sigma**3)
    error = np.sqrt((g * curve.ideal)[: peak + 1] * least + least / sigma) / np.maximum(curve.ideal[: peak + 1], 1e-300)
    turning = _turning_points(slope, SIGNIFICANCE * error, SHARE)
    if len(turning) < 2:
        return None
    steep, flat = turning[:2]
    after = flat + int(np.argmax(slope[flat:]))
    if slope[flat] > FLAT * min(slope[steep], slope[after]):
        return None
    end = flat + int(np.argmax(slope[flat:] > END * slope[after]))
    return flat, end


def _turning_points(values: np.ndarray, threshold: np.ndarray, share: float) -> list[int]:
    """Maximum, minimum, maximum, ... of `values`, each followed by a return of more than the threshold.

    The threshold is that of the noise at both points, and at least `share` of the largest value so far.
    """
    found: list[int] = []
    best = 0
    rising = True
    largest = 0.0
    for i in range(1, len(values)):
        largest = max(largest, values[i])
        step = values[i] - values[best]
        if (step > 0) == rising and step != 0:
            best = i
        elif abs(step) > max(math.hypot(threshold[i], threshold[best]), share * largest):
            found.append(best)
            best, rising = i, not rising
    return found
