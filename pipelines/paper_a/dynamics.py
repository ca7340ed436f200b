"""Sec. IV: correlations of structure with the propensity of isoconfigurational ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from paper_a import kept
from paper_a.structure import State, descriptors

CUBES = 4  # along each edge of the box of a single start, wider than structure and motion reach
FIRST_SHELL = (0.9, 1.0, 1.1, 1.2, 1.3)
TWO_SHELLS = tuple(round(0.9 + 0.1 * k, 1) for k in range(14))


@dataclass(frozen=True)
class Ensembles:
    """Isoconfigurational ensembles of one state: their starts, one frame each, and the propensity at every lag."""

    state: State
    starts: list[xr.Dataset]
    lag: np.ndarray
    propensity: list[np.ndarray]  # (lag, particle) of each start
    noise: list[np.ndarray] | None  # standard errors of the same, where the replicas are stored
    replicas: list[np.ndarray] | None = None  # squared displacements (replica, lag, particle), likewise
    runs: int = 1  # in each of the replicas: kept ones may be means over several
    origin: str = ""

    @classmethod
    def open(cls, state: State, stores: Iterable[Path]) -> Ensembles:
        """Read the stores that `glassdask.simulation` filled, or the one file of `paper_a.kept`."""
        starts, propensities, noise, replicas, lags = [], [], [], [], []
        for store in stores:
            if store.suffix == ".npz":
                return cls._kept(state, kept.read(store))
            starts.append(gd.open_trajectory(store).isel(frame=[0]).load())
            found = gd.open_reduction(store, "isoconfigurational").load()
            propensities.append(found["propensity"].sel(power=2).values)
            lags.append(found["lag"].values)
            if "replica_displacement" in found:
                squares = (found["replica_displacement"].values ** 2).sum(axis=-1)
                noise.append(squares.std(axis=0, ddof=1) / np.sqrt(len(squares)))
                replicas.append(squares)
        if any(not np.array_equal(lag, lags[0]) for lag in lags):
            raise ValueError(f"{state.title}: the isoconfigurational ensembles have different lags")
        if len(noise) < len(starts):
            return cls(state, starts, lags[0], propensities, None)
        return cls(state, starts, lags[0], propensities, noise, replicas)

    @classmethod
    def _kept(cls, state: State, sample: kept.Sample) -> Ensembles:
        parts = list(sample.squares)
        noise = [squares.std(axis=0, ddof=1) / np.sqrt(len(squares)) for squares in parts]
        starts = [sample.starts.isel(frame=[k]) for k in range(len(parts))]
        means = [squares.mean(axis=0) for squares in parts]
        return cls(state, starts, sample.lag, means, noise, parts, sample.runs, sample.origin)

    @property
    def title(self) -> str:
        """How many starts, and how many runs of each."""
        some = f"{len(self.starts)} start{'s' if len(self.starts) > 1 else ''}"
        runs = "means only" if self.replicas is None else f"{self.runs * len(self.replicas[0])} replicas each"
        errors = f"; errors are over {CUBES**3} parts of its box" if len(self.starts) == 1 else ""
        return f"{some}, {runs}{errors}" + (f": {self.origin}" if self.origin else "")

    def rows(self, role: str, chosen: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Descriptors of the centres of all starts, one after the other: (rows, features) each."""
        species = self.state.mixture.centers[role]
        blocks: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
        for start in self.starts:
            for name, descriptor in chosen.items():
                features = gd.describe(start, {name: descriptor}, centers=species)[name]
                blocks[name].append(np.asarray(gd.feature_matrix(features.compute())))
        return {name: np.concatenate(parts) for name, parts in blocks.items()}

    def targets(self, role: str) -> np.ndarray:
        """Propensities of the same rows: (rows, lag)."""
        return np.concatenate([p[:, self._centers(s, role)].T for s, p in zip(self.starts, self.propensity)])

    def groups(self, role: str) -> np.ndarray:
        """Number of the start of each row; of a single start, which part of its box the row is from."""
        if len(self.starts) == 1:
            start = self.starts[0]
            inside = start["position"].values[0] @ np.linalg.inv(start["box"].values[0]) % 1.0
            part = np.minimum(CUBES * inside, CUBES - 1).astype(int) @ CUBES ** np.arange(inside.shape[1])
            return np.asarray(part[self._centers(start, role)])
        return np.concatenate([np.full(self._centers(s, role).sum(), k) for k, s in enumerate(self.starts)])

    def reliability(self, role: str) -> np.ndarray:
        """Share of the variance of the measured propensity that is not noise of too few replicas: (lag,), or NaN.

        R with the true propensity, of infinitely many replicas, is R / sqrt(reliability).
        """
        if self.noise is None:
            return np.full(len(self.lag), np.nan)
        noise = np.concatenate([n[:, self._centers(s, role)].T for s, n in zip(self.starts, self.noise)])
        return 1.0 - (noise**2).mean(axis=0) / self.targets(role).var(axis=0)

    def split_half(self, role: str) -> np.ndarray:
        """The same share from correlations alone (Spearman and Brown): 2 r / (1 + r), (lag,), or NaN.

        r is that of the means over the first and the second half of the replicas.
        """
        if self.replicas is None or min(map(len, self.replicas)) < 2:
            return np.full(len(self.lag), np.nan)
        halves = [self.mean_of(role, range(0, 10**6, 2)), self.mean_of(role, range(1, 10**6, 2))]
        r = np.array([gd.learning.pearson(a, b) for a, b in zip(*(half.T for half in halves))])
        return 2 * r / (1 + r)

    def mean_of(self, role: str, chosen: Iterable[int]) -> np.ndarray:
        """Propensities that only some of the replicas of each start give: (rows, lag)."""
        assert self.replicas is not None
        numbers = set(chosen) if not isinstance(chosen, range) else chosen
        parts = []
        for start, squares in zip(self.starts, self.replicas):
            kept = [k for k in range(len(squares)) if k in numbers]
            parts.append(squares[kept][:, :, self._centers(start, role)].mean(axis=0).T)
        return np.concatenate(parts)

    def _centers(self, start: xr.Dataset, role: str) -> np.ndarray:
        return np.asarray(start["species"].values) == self.state.mixture.centers[role]


@dataclass(frozen=True)
class Structure:
    """What the propensity is regressed on: rows of all starts."""

    sbo: np.ndarray
    physical: np.ndarray
    soap: tuple[np.ndarray, np.ndarray]  # first shell, two shells
    rbo: tuple[np.ndarray, np.ndarray]


def components(ensembles: Ensembles, role: str, reduction: xr.Dataset) -> np.ndarray:
    """Sec. IV.A: PCs of SBO with the directions of the whole sample, rows of all starts."""
    rows = ensembles.rows(role, {"sbo": descriptors(ensembles.state, role)["sbo"]})["sbo"]
    return np.asarray((rows - reduction["mean"].values) @ reduction["direction"].values.T)


def structure(ensembles: Ensembles, role: str) -> Structure:
    """Secs. IV.B-C: SBO, z, l, Theta, u, and SOAP and RBO."""
    first = descriptors(ensembles.state, role)
    radial = {
        "soap_1": gd.SOAP(r_cut=1.6, n_max=6, l_max=8, sigma=0.2),
        "soap_2": gd.SOAP(r_cut=2.2, n_max=8, l_max=8, sigma=0.2),
        "rbo_1": gd.RadialBondOrder(grid=FIRST_SHELL, delta=0.2, l_max=8),
        "rbo_2": gd.RadialBondOrder(grid=TWO_SHELLS, delta=0.2, l_max=8),
    }
    rows = ensembles.rows(role, {**first, **radial})
    physical = [rows[name] for name in ("coordination", "lfs", "theta", "local_energy") if name in rows]
    return Structure(
        rows["sbo"],
        np.hstack(physical),
        (rows["soap_1"], rows["soap_2"]),
        (rows["rbo_1"], rows["rbo_2"]),
    )


def component_correlations(columns: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> tuple:
    """Fig. 10: |R| of every column with the propensity at every lag and its error, (column, lag)."""
    r, error = gd.learning.bootstrap_pearson(columns, targets, groups)
    return np.abs(r), error


@dataclass(frozen=True)
class Regression:
    """R (lag,) of fits with what was fitted, as in the paper, with its error; and of predictions of unseen starts."""

    r: np.ndarray
    error: np.ndarray
    held_out: np.ndarray
    held_out_error: np.ndarray
    n_features: int


def regress(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, model: Any = None) -> Regression:
    """Figs. 11-12: least squares to the propensity at all lags from one pass, or another linear `model`."""
    model = gd.learning.LinearRegression() if model is None else model
    parts = gd.learning.grouped_moments(features, targets, groups)
    model.fit_groups(parts)
    predicted = {group: model.predicted_moments(part) for group, part in parts.items()}
    r, error = gd.learning.bootstrap_correlations(predicted)
    unseen = gd.learning.cross_validate(model, parts)
    n = getattr(model, "n_components", features.shape[1])
    return Regression(np.diag(r), np.diag(error), unseen.pooled_r, unseen.error, n)
