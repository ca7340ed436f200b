"""First shells: descriptors of a state into its store, principal components, and their errors over configurations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from paper_a.published import Mixture

MEASURES = ("l", "Theta", "z", "u")


@dataclass(frozen=True, eq=False)
class State:
    """A mixture at one temperature: the store of its configurations.

    Other temperatures of a series take the cutoffs and diameters of their `reference`, so that only the structure
    changes: the first minimum of g_BB(r) in Kob-Andersen is lost in a shoulder when it is hot.
    """

    mixture: Mixture
    temperature: float
    store: Path
    reference: State | None = None

    @property
    def title(self) -> str:
        """For legends."""
        return f"{self.mixture.title}, T = {self.temperature:g}"

    @cached_property
    def trajectory(self) -> xr.Dataset:
        """Its configurations, lazy."""
        return gd.open_trajectory(self.store)

    @cached_property
    def distribution(self) -> xr.Dataset:
        """The partial g_ab(r)."""
        return gd.radial_distribution(self.trajectory)

    @cached_property
    def cutoffs(self) -> dict[tuple[str, str], float]:
        """First minima of the partial g_ab(r)."""
        return gd.first_minima(self.distribution) if self.reference is None else self.reference.cutoffs

    @cached_property
    def diameters(self) -> dict[str, float]:
        """First peaks of the partial g_aa(r)."""
        return gd.first_peaks(self.distribution) if self.reference is None else self.reference.diameters


def descriptors(state: State, role: str) -> dict[str, Any]:
    """Sec. II.A.1-2 and III.C: sharp and smoothed bond order and the conventional measures of one species."""
    mixture, cutoffs = state.mixture, state.cutoffs
    around: dict[str, Any] = {"cutoffs": cutoffs, "neighbor_species": mixture.neighbor_species}
    chosen: dict[str, Any] = {
        "sbo": gd.SmoothedBondOrder(l_max=8, gamma=mixture.gamma, **around),
        "bo": gd.BondOrder(l_max=8, **around),
        "coordination": gd.Coordination(**around),
    }
    if mixture.network:
        chosen["theta"] = gd.Tetrahedrality(deviation="angle", **around)
    else:
        chosen["theta"] = gd.TongTanaka(diameters=state.diameters)
        if role == "small" and mixture.signature is not None:
            chosen["lfs"] = gd.LocallyFavoredStructure(signature=mixture.signature, diameters=state.diameters)
    if mixture.name != "copper_zirconium":  # its potential is a file that the user has; simulations store the energy
        chosen["local_energy"] = gd.LocalEnergy(model=mixture.name)
    return chosen


@dataclass(frozen=True, eq=False)
class Shell:
    """The first shells around one species in one state."""

    state: State
    role: str

    @property
    def species(self) -> str:
        """The central species."""
        return self.state.mixture.centers[self.role]

    def compute(self, overwrite: bool = False) -> None:
        """Descriptors and principal components into the store; what is there already is not computed again.

        With `overwrite` what other code or parameters gave is: in stores of the user's own that may be wanted.
        """
        state = self.state
        chosen = {self.name(name): descriptor for name, descriptor in descriptors(state, self.role).items()}
        gd.save_descriptors(
            gd.describe(state.trajectory, chosen, centers=self.species), state.store, overwrite=overwrite
        )
        for name in ("sbo", "bo"):
            gd.save_reduction(gd.reduce(self.features(name)), state.store, self.name(name), overwrite=overwrite)

    def name(self, descriptor: str) -> str:
        """Of a group in the store."""
        return descriptor if self.role == "small" else f"{descriptor}_{self.role}"

    def features(self, name: str) -> xr.DataArray:
        """One descriptor, lazy, all particles."""
        return gd.open_descriptors(self.state.store)[self.name(name)]

    def rows(self, name: str) -> np.ndarray:
        """One descriptor of the centres, in memory: (rows, features)."""
        return np.asarray(gd.feature_matrix(self.features(name)))

    @cached_property
    def is_center(self) -> np.ndarray:
        """(particle,)"""
        return np.asarray(self.state.trajectory["species"].values) == self.species

    @cached_property
    def groups(self) -> np.ndarray:
        """Configuration of each row."""
        return np.repeat(np.arange(self.state.trajectory.sizes["frame"]), int(self.is_center.sum()))

    def reduction(self, name: str = "sbo") -> xr.Dataset:
        """Principal components as they are stored, with the signs of the published tables."""
        mixture = self.state.mixture
        published = mixture.small if self.role == "small" else mixture.big
        found = gd.open_reduction(self.state.store, self.name(name)).load()
        return found if published is None else oriented(found, published.directions)

    def components(self, name: str = "sbo") -> np.ndarray:
        """Projections of the centres (rows, component)."""
        projection = self.reduction(name)["projection"].values[:, self.is_center]
        return projection.reshape(-1, projection.shape[-1])

    @cached_property
    def measures(self) -> dict[str, np.ndarray]:
        """Conventional measures of local order by their symbols: (rows,), those that are defined for this species."""
        stored = set(gd.open_descriptors(self.state.store))
        z = self.rows("coordination")[:, 0]
        found: dict[str, np.ndarray] = {}
        if self.name("lfs") in stored:
            found["l"] = self.rows("lfs")[:, 0]
        elif self.state.mixture.network:
            found["l"] = (z == 4).astype(float)
        found["Theta"] = self.rows("theta")[:, 0]
        found["z"] = z
        if self.name("local_energy") in stored:
            found["u"] = self.rows("local_energy")[:, 0]
        elif "energy" in self.state.trajectory:
            found["u"] = np.asarray(self.state.trajectory["energy"].values)[:, self.is_center].ravel()
        return found


def oriented(reduced: xr.Dataset, published: Any) -> xr.Dataset:
    """The same principal components with the signs of published directions; the sign of a direction means nothing."""
    signs = np.ones(reduced.sizes["component"])
    along = np.sum(reduced["direction"].values[: len(published)] * np.array(published), axis=1)
    signs[: len(published)] = np.where(along < 0, -1.0, 1.0)
    signs = xr.DataArray(signs, dims="component")
    made = {name: (signs * reduced[name]).transpose(*reduced[name].dims) for name in ("direction", "projection")}
    return reduced.assign(made)


@dataclass(frozen=True)
class Spectrum:
    """Explained variance ratios and directions of principal components, with errors over configurations."""

    ratio: np.ndarray
    ratio_error: np.ndarray
    variance: np.ndarray
    variance_error: np.ndarray
    directions: np.ndarray
    directions_error: np.ndarray


def spectrum(matrix: np.ndarray, groups: np.ndarray, scale: bool = False, kept: int | None = None) -> Spectrum:
    """Eqs. 23-24 with errors from resampling configurations; directions are aligned with those of all of them."""
    parts = gd.learning.grouped_moments(matrix, groups=groups)
    whole = gd.learning.PCA(kept, scale).fit_moments(gd.learning.merge_moments(parts.values()))

    def statistic(moments):
        pca = gd.learning.PCA(kept, scale).fit_moments(moments)
        signs = np.sign(np.sum(pca.components_ * whole.components_, axis=1, keepdims=True))
        return np.hstack(
            [pca.explained_variance_ratio_[:, None], pca.explained_variance_[:, None], signs * pca.components_]
        )

    # of many features the eigenproblems take the time: 30 resamples give an error to an eighth
    value, error = gd.learning.bootstrap(statistic, parts, n_resamples=100 if matrix.shape[1] < 100 else 30)
    return Spectrum(value[:, 0], error[:, 0], value[:, 1], error[:, 1], value[:, 2:], error[:, 2:])


def with_longer_cutoffs(shell: Shell, factor: float = 1.02) -> np.ndarray:
    """EVR of the components of SBO when all cutoffs are longer: how much hangs on where a shell is said to end."""
    longer = {pair: factor * cutoff for pair, cutoff in shell.state.cutoffs.items()}
    mixture = shell.state.mixture
    sbo = gd.SmoothedBondOrder(l_max=8, gamma=mixture.gamma, cutoffs=longer, neighbor_species=mixture.neighbor_species)
    features = gd.describe(shell.state.trajectory, [sbo], centers=shell.species)["sbo"]
    return gd.learning.PCA().fit(gd.feature_matrix(features.compute())).explained_variance_ratio_


@dataclass(frozen=True)
class Correlations:
    """R (component or feature, measure) with errors, and the names of the measures."""

    names: list[str]
    r: np.ndarray
    error: np.ndarray


def correlations(columns: np.ndarray, shell: Shell) -> Correlations:
    """Figs. 5, 6, 16, bottom: Pearson's R of columns with the measures of local order."""
    names = [name for name in MEASURES if name in shell.measures]
    measures = np.stack([shell.measures[name] for name in names], axis=1)
    r, error = gd.learning.bootstrap_pearson(columns, measures, shell.groups)
    return Correlations(names, r, error)


def over_configurations(statistic: Any, values: np.ndarray, groups: np.ndarray, n: int = 100) -> tuple[Any, Any]:
    """Any statistic of rows, and its error from resampling configurations."""
    frames = [values[groups == group] for group in np.unique(groups)]
    draws = np.random.default_rng(0).integers(len(frames), size=(n, len(frames)))
    samples = [statistic(np.concatenate([frames[i] for i in draw])) for draw in draws]
    return statistic(values), np.std(samples, axis=0, ddof=1)


def modality(columns: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Secs. III.C and VI.B for each column: dip, its p-value, folding statistic, skewness and excess kurtosis."""
    dip, p = gd.learning.dip_test(columns)
    kept = columns[np.isfinite(columns).all(axis=1)]
    shape, error = over_configurations(lambda x: np.stack(gd.learning.skewness_kurtosis(x)), columns, groups)
    return {
        "dip": dip,
        "p": p,
        "phi": np.array([gd.learning.folding_test(kept[:, j]) for j in range(kept.shape[1])]),
        "skewness": shape[0],
        "skewness_error": error[0],
        "kurtosis": shape[1],
        "kurtosis_error": error[1],
    }
