"""Secs. III.D, V and VI: SOAP and its parameters, the autoencoder beside PCA, and changes with temperature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask import files
from paper_a.structure import Shell, modality, over_configurations, spectrum

LEAST_STEPS = 10_000  # of gradient descent, where the paper's epochs give fewer because the sample is smaller


def soap(r_cut: float = 1.6, sigma: float = 0.2) -> Any:
    """Sec. III.D: six radial functions, degrees up to 8."""
    return gd.SOAP(r_cut=r_cut, n_max=6, l_max=8, sigma=sigma)


def scaled_components(matrix: np.ndarray, n: int = 2) -> np.ndarray:
    """Projections on the first components of scaled features."""
    return gd.learning.PCA(n, scale=True).fit(matrix).transform(matrix)


def soap_rows(shell: Shell, r_cut: float = 1.6, sigma: float = 0.2) -> np.ndarray:
    """SOAP of the centres, in memory: (rows, 189)."""
    features = gd.describe(shell.state.trajectory, [soap(r_cut, sigma)], centers=shell.species)["soap"]
    return np.asarray(gd.feature_matrix(features).compute())


def soap_direction(shell: Shell, matrix: np.ndarray) -> xr.DataArray:
    """First direction of scaled SOAP, with the n, n' and l of every feature."""
    one = shell.state.trajectory.isel(frame=[0])
    features = gd.describe(one, [soap()], centers=shell.species)["soap"]
    along = features.dims[-1]
    named = {name: coord for name, coord in features.coords.items() if coord.dims == (along,)}
    return xr.DataArray(gd.learning.PCA(1, scale=True).fit(matrix).components_[0], dims=along, coords=named)


def soap_stability(shell: Shell, sigmas: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Fig. 9: |R| of X1 for other parameters with that of sigma = 0.2 and r_cut = 1.6, (sigma, r_cut)."""
    reference = scaled_components(soap_rows(shell), 1)[:, 0]
    found = np.empty((len(sigmas), len(radii)))
    for i, sigma in enumerate(sigmas):
        for j, radius in enumerate(radii):
            found[i, j] = abs(
                gd.learning.pearson(scaled_components(soap_rows(shell, radius, sigma), 1)[:, 0], reference)
            )
    return found


@dataclass(frozen=True)
class Encoding:
    """One line of Table I, and the best network's features for Figs. 13 and 14."""

    r: np.ndarray  # (repeat, 2, 2), |R| of rotated features (rows) with those of PCA
    evr: np.ndarray  # (repeat,)
    loss: np.ndarray  # (repeat,)
    evr_pca: float
    reduced: np.ndarray
    rotated: np.ndarray
    pca: np.ndarray
    angle: float
    best_r: np.ndarray
    epochs: int


def encode(matrix: np.ndarray, epochs: int, repeats: int, folder: Path | None = None, **network: Any) -> Encoding:
    """Sec. V: autoencoders with two numbers in the bottleneck, rotated to match the first two components.

    `network` are further parameters of `glassdask.learning.Autoencoder`. What was trained on the same rows in the same
    way is read from `folder`, where it is kept.
    """
    batches = max(1, round(0.7 * len(matrix) / 200))
    epochs = max(epochs, -(-LEAST_STEPS // batches))
    settings = repr((matrix.shape, epochs, repeats, gd.learning.Autoencoder(**network))).encode()
    kept = folder and folder / f"{hashlib.sha256(np.ascontiguousarray(matrix).tobytes() + settings).hexdigest()}.npz"
    if kept and kept.is_file():
        with np.load(kept) as found:
            return Encoding(**{f.name: found[f.name][()] for f in fields(Encoding)})
    model = gd.learning.Autoencoder(n_components=2, epochs=epochs, n_repeats=repeats, **network).fit(matrix)
    pca = gd.learning.PCA(2).fit(matrix)
    reference = pca.transform(matrix)
    r = []
    for k in range(repeats):
        _, _, found = gd.learning.align_rotation(model.repeat(k).transform(matrix), reference)
        r.append(np.abs(found))
    reduced = model.transform(matrix)
    angle, turn, best = gd.learning.align_rotation(reduced, reference)
    made = Encoding(
        np.array(r), model.repeats_explained_variance_ratio_, model.repeats_validation_loss_,
        float(pca.explained_variance_ratio_.sum()), reduced, reduced @ turn, reference, angle, best, epochs,
    )  # fmt: skip
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(kept) as stream:
            np.savez(stream, **vars(made))
    return made


def with_temperature(shells: list[Shell]) -> dict[str, np.ndarray]:
    """Sec. VI.B: EVR, variances and non-Gaussianity of the components at every temperature, each with its own PCA."""
    found: dict[str, list[np.ndarray]] = {"T": [np.array(shell.state.temperature) for shell in shells]}
    for shell in shells:
        own = spectrum(shell.rows("sbo"), shell.groups)
        shape, error = over_configurations(
            lambda x: np.stack(gd.learning.skewness_kurtosis(x)), shell.components(), shell.groups
        )
        for name, value in {
            "evr": own.ratio, "evr_error": own.ratio_error, "variance": own.variance,
            "variance_error": own.variance_error, "skewness": shape[0], "skewness_error": error[0],
            "kurtosis": shape[1], "kurtosis_error": error[1],
        }.items():  # fmt: skip
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def transfer(shells: list[Shell]) -> dict[str, np.ndarray]:
    """Sec. VI.B: how well the directions of one temperature (row) serve at another (column)."""
    moments = [gd.learning.compute_moments(shell.rows("sbo")) for shell in shells]
    directions = [gd.learning.PCA(2).fit_moments(m).components_ for m in moments]
    captured = np.array([[np.trace(v @ m.xx @ v.T) for m in moments] for v in directions])
    return {
        "T": np.array([shell.state.temperature for shell in shells]),
        "cosine": np.abs([[v[0] @ w[0] for w in directions] for v in directions]),
        "captured": captured / np.diag(captured),
    }


def radial_modality(shell: Shell, grid: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Sec. VI.C: modality of the first two components of RBO on a grid of distances."""
    features = gd.describe(shell.state.trajectory, [gd.RadialBondOrder(grid=grid, delta=0.2, l_max=8)],
                           centers=shell.species)["rbo"]  # fmt: skip
    matrix = np.asarray(gd.feature_matrix(features).compute())
    return modality(gd.learning.PCA(2).fit(matrix).transform(matrix), shell.groups)
