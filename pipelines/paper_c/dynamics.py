"""Propensity by cage-relative displacement, its lengths, and what predicts it (Secs. III E, IV B-F)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.dynamics import at_delta, cage_relative, propensity
from glassdask.fields.spatial import correlation_length, spatial_correlation
from glassdask.learning import pearson
from paper_c.published import DELTAS, INDICATORS
from paper_c.structure import Scored, smooth

CENTRE = 1.0  # delta at which the length is taken that serves for all others, as in Table 3


@dataclass(frozen=True)
class Motion:
    """An isoconfigurational ensemble at one temperature: cage-relative displacements from one glass."""

    temperature: float
    start: xr.Dataset
    displacement: xr.DataArray  # (replica, lag, particle, space), cage-relative

    @classmethod
    def open(cls, temperature: float, store: Path) -> Motion:
        """Read the store that `glassdask.simulation` filled."""
        start = gd.open_trajectory(store).isel(frame=[0]).load()
        moved = gd.open_reduction(store, "isoconfigurational")["replica_displacement"].load()
        return cls.of(temperature, start, moved)

    @classmethod
    def of(cls, temperature: float, start: xr.Dataset, moved: xr.DataArray) -> Motion:
        """Of the displacements of all replicas."""
        return cls(temperature, start, cage_relative(moved, start, gd.Voronoi()))

    @cached_property
    def propensity(self) -> xr.Dataset:
        """Delta of every particle at every lag, and delta of the lag."""
        return propensity(self.displacement, power=1)

    def at(self, deltas: Sequence[float], replicas: slice = slice(None)) -> xr.Dataset:
        """Delta of every particle where the mean displacement of all replicas is delta: (delta, particle).

        NaN for a delta that is not reached.
        """
        chosen = propensity(self.displacement.isel(replica=replicas), power=1)
        return at_delta(chosen.assign_coords(delta=self.propensity["delta"]), deltas)

    @property
    def reached(self) -> float:
        """The largest delta."""
        return float(self.propensity["delta"].max())


def most_mobile(motions: Sequence[Motion], delta: float) -> Motion | None:
    """The ensemble at the lowest temperature that reaches delta."""
    able = [motion for motion in motions if motion.reached >= delta]
    return min(able, key=lambda motion: motion.temperature) if able else None


def field(values: np.ndarray) -> xr.DataArray:
    """Values of one configuration (particle,) as (frame, particle)."""
    return xr.DataArray(np.asarray(values)[None], dims=("frame", "particle"))


def fields_at(motions: Sequence[Motion], deltas: Sequence[float] = DELTAS) -> dict[float, np.ndarray]:
    """Bare propensity (particle,) at each delta that is reached, at the lowest temperature that does."""
    found = {}
    for delta in deltas:
        motion = most_mobile(motions, delta)
        if motion is not None:
            found[delta] = motion.at([delta])["propensity"].values[0]
    return found


def correlation(values: np.ndarray, start: xr.Dataset, width: float = 0.25) -> xr.DataArray:
    """Fig. 3: C_Delta(r) of one configuration."""
    return spatial_correlation(field(values), start, width=width)["correlation"].isel(frame=0).load()


def correlation_of_runs(motions: Sequence[Motion], delta: float, runs: int) -> xr.DataArray:
    """C_Delta(r) of so many runs at one delta, from the spread of those there are, at the lowest temperature.

    A run's propensity is what all runs share plus its own noise, which is alike in neighbours, too: of the mean of n
    runs the covariance of particles at a distance r is shared(r) + single(r) / n, both estimated without bias. A run
    alone has no spread, and gives its own C_Delta.
    """
    motion = most_mobile(motions, delta)
    assert motion is not None
    total = motion.displacement.sizes["replica"]
    bare = np.array([motion.at([delta], slice(k, k + 1))["propensity"].values[0] for k in range(total)])
    mean = bare.mean(axis=0)
    covariance, variance = _moments(mean, motion.start)
    if total == 1:
        return covariance / variance
    noise = [_moments(values - mean, motion.start) for values in bare]
    share = (1.0 / runs - 1.0 / total) / (total - 1)
    covariance = covariance + share * sum(one for one, _ in noise)
    return covariance / (variance + share * sum(own for _, own in noise))


def _moments(values: np.ndarray, start: xr.Dataset) -> tuple[xr.DataArray, float]:
    """Covariance of particles at a distance r, and variance."""
    variance = float(np.nanvar(values))
    return correlation(values, start) * variance, variance


def length(curve: xr.DataArray) -> float:
    """Where C_Delta has fallen to 1/e (Sec. IV B)."""
    return float(correlation_length(curve))


@dataclass(frozen=True)
class Scan:
    """C_{alpha, Delta} over coarse-graining lengths: R (indicator, delta, length), the signs of `slow` applied."""

    lengths: np.ndarray
    deltas: tuple[float, ...]
    r: Mapping[str, np.ndarray]

    def best(self, indicator: str) -> tuple[float, float, float]:
        """Largest R, its delta and its length: a line of Table S1."""
        table = self.r[indicator]
        if not np.isfinite(table).any():
            return np.nan, np.nan, np.nan
        k, j = np.unravel_index(np.nanargmax(table), table.shape)
        return float(table[k, j]), self.deltas[int(k)], float(self.lengths[int(j)])

    @property
    def longest(self) -> float:
        """The longest of the best lengths, which then serves for all indicators, as in the paper."""
        return float(np.nanmax([self.best(name)[2] for name in INDICATORS]))


def scan(scored: Scored, targets: Mapping[float, np.ndarray], slow: Mapping[str, int], lengths: np.ndarray) -> Scan:
    """Figs. S3 and S8: R of each indicator of one configuration, smoothed over each length, with the propensities."""
    y = np.stack(list(targets.values()), axis=1)
    r = {}
    for name in INDICATORS:
        smoothed = [smooth(scored.fields[name], scored.trajectory, x)[0] for x in lengths]
        columns = np.stack([slow[name] * values for values in smoothed], axis=1)
        r[name] = _pearson(columns, y).T
    return Scan(lengths, tuple(targets), r)


def evolution(scored: Scored, motion: Motion, slow: Mapping[str, int], own: float, of_delta: float) -> xr.Dataset:
    """Figs. 5 and 7: R of the smoothed indicators with the smoothed propensity at every lag, over delta."""
    values = motion.propensity["propensity"]
    targets = np.stack([smooth(field(row), motion.start, of_delta)[0] for row in values.values], axis=1)
    columns = np.stack(
        [slow[name] * smooth(scored.fields[name], scored.trajectory, own)[0] for name in INDICATORS], axis=1
    )
    return xr.Dataset(
        {"r": (("indicator", "delta"), _pearson(columns, targets))},
        coords={"indicator": list(INDICATORS), "delta": motion.propensity["delta"].values},
    )


@dataclass(frozen=True)
class Noise:
    """Second moments over the particles of a propensity, bare (0) and smoothed (1), by which R of more runs is known.

    A run's propensity is what all runs share plus its own noise, so that of n runs the covariance of two kinds is
    shared + single / n, with `shared` and `single` (2, 2), and of ensembles of n and m runs, c of them common to both,
    shared + single c / (n m). Both are unbiased estimates from the spread of the runs.
    """

    shared: np.ndarray
    single: np.ndarray

    @classmethod
    def of(cls, motion: Motion, delta: float, own: float) -> Noise:
        """At one delta, smoothed over the length `own`; NaN of a single run."""
        total = motion.displacement.sizes["replica"]
        bare = [motion.at([delta], slice(k, k + 1))["propensity"].values[0] for k in range(total)]
        both = np.array([[values, smooth(field(values), motion.start, own)[0]] for values in bare])
        both = both[..., np.isfinite(both).all(axis=(0, 1))]
        both -= both.mean(axis=2, keepdims=True)
        mean, n = both.mean(axis=0), both.shape[2]
        apart = both - mean
        single = np.einsum("rap,rbp->ab", apart, apart) / n / (total - 1 if total > 1 else np.nan)
        return cls(mean @ mean.T / n - single / total, single)

    def r(self, kinds: tuple[int, int], runs: tuple[int, int], common: int = 0) -> float:
        """R between propensities of two kinds and of so many runs each, of which some are common to both."""
        a, b = kinds
        n, m = runs
        variances = [self.shared[k, k] + self.single[k, k] / x for k, x in zip(kinds, runs)]
        covariance = self.shared[a, b] + self.single[a, b] * common / (n * m)
        return float(covariance / np.sqrt(variances[0] * variances[1])) if min(variances) > 0 else float("nan")

    def ceiling(self, runs: int) -> float:
        """The largest R that anything can have with the smoothed propensity of so many runs; NaN if it is all noise."""
        share = self.r((1, 1), (runs, runs))
        return float(np.sqrt(share)) if share > 0 else float("nan")

    def table(self, few: int, many: int) -> dict[str, float]:
        """Table 4 of ensembles of so many runs, of which the larger one has all runs of the smaller ones."""
        return {
            "e30, e30": self.r((0, 0), (few, few)),
            "cg e30, cg e30": self.r((1, 1), (few, few)),
            "e30, cg e30": self.r((0, 1), (few, few), few),
            "e100, cg e100": self.r((0, 1), (many, many), many),
            "cg e30, cg e100": self.r((1, 1), (few, many), few),
        }


def ensembles(motion: Motion, delta: float, own: float) -> tuple[dict[str, np.ndarray], dict[str, float], int]:
    """Fig. 4 and Table 4: bare and smoothed propensity of three disjoint ensembles and of all replicas.

    The fields by the names of the paper's ensembles, R between them by those of Table 4, and the replicas in one of the
    three.
    """
    n_all = motion.displacement.sizes["replica"]
    n = 3 * n_all // 10
    slices = {"e30 A": slice(0, n), "e30 B": slice(n, 2 * n), "e30 C": slice(2 * n, 3 * n), "e100": slice(None)}
    bare = {name: motion.at([delta], part)["propensity"].values[0] for name, part in slices.items()}
    both = {**bare, **{f"cg {name}": smooth(field(x), motion.start, own)[0] for name, x in bare.items()}}
    three = ("e30 A", "e30 B", "e30 C")
    others = [(a, b) for a in three for b in three if a < b]

    def mean(pairs: list[tuple[str, str]]) -> float:
        return float(np.mean([_pearson(both[a][:, None], both[b][:, None])[0, 0] for a, b in pairs]))

    table = {
        "e30, e30": mean(others),
        "cg e30, cg e30": mean([(f"cg {a}", f"cg {b}") for a, b in others]),
        "e30, cg e30": mean([(a, f"cg {a}") for a in three]),
        "e100, cg e100": mean([("e100", "cg e100")]),
        "cg e30, cg e100": mean([(f"cg {a}", "cg e100") for a in three]),
    }
    return both, table, n


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """R of every column with every column; NaN for those that do not vary."""
    defined = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    if defined.sum() < 3:
        return np.full((x.shape[1], y.shape[1]), np.nan)
    return np.asarray(pearson(x[defined], y[defined]))
