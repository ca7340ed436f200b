"""Grad-CAM score, Voronoi volume and Theta of every particle, and how they go together (Secs. III B-F, IV E, IV G)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.fields.coarse import coarse_grain
from glassdask.fields.grid import AXES, from_grid
from glassdask.fields.spatial import correlation_length, spatial_correlation
from glassdask.learning import grad_cam, pearson, spearman
from paper_c import images
from paper_c.published import INDICATORS, PAIRS
from paper_c.sources import Part, Sample


@dataclass(frozen=True)
class Scored:
    """Configurations of one class with the indicators of their particles, bare: (frame, particle) each."""

    label: str
    trajectory: xr.Dataset
    fields: xr.Dataset


def indicators(sample: Sample, model: Any, part: Part, label: str, frames: np.ndarray) -> Scored:
    """Gamma of one class, Upsilon and Theta of some configurations of a part."""
    trajectory = part.trajectory.isel(frame=frames).load()
    pictures = images.of_part(part)[frames].compute()
    dims = ("frame", *AXES[: trajectory.sizes["space"]])
    maps = xr.DataArray(grad_cam(model, pictures, label), dims=dims)
    theta = gd.TongTanaka(sigma=sample.contact) if sample.contact else gd.TongTanaka(diameters=sample.sizes)
    described = gd.describe(trajectory, [gd.VoronoiCell(), theta])
    fields = {
        "Gamma": from_grid(maps, trajectory, sample.sizes),
        "Upsilon": described["voronoi"].sel(voronoi_feature="volume", drop=True),
        "Theta": described["theta"],
    }
    plain = {name: (("frame", "particle"), np.asarray(values.values)) for name, values in fields.items()}
    return Scored(label, trajectory, xr.Dataset(plain))


def tested(sample: Sample, model: Any) -> Iterator[Scored]:
    """The configurations that the network has never seen, part by part and class by class.

    Those that it takes for another class are left out, as in the paper.
    """
    for part in sample.role("test"):
        for label in sample.classes:
            of_class = np.flatnonzero(np.array(part.labels) == label)
            if len(of_class):
                seen = np.asarray(model.predict(images.of_part(part)[of_class])) == label
                if seen.any():
                    yield indicators(sample, model, part, label, of_class[seen])


def smooth(values: xr.DataArray, trajectory: xr.Dataset, length: float) -> np.ndarray:
    """Eq. 7, (frame, particle); a length of zero leaves the values as they are."""
    if length == 0:
        return np.asarray(values.transpose("frame", "particle").values)
    return np.asarray(coarse_grain(values, trajectory, length).isel(length=0).transpose("frame", "particle").values)


def unit(values: np.ndarray) -> np.ndarray:
    """Shifted and scaled to [0, 1]."""
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def pair_coefficients(scored: Scored, length: float) -> dict[str, np.ndarray]:
    """Fig. 6, Table S2: Pearson's and Spearman's coefficient of each pair of indicators, (frame, pair) each.

    NaN where an indicator does not vary, such as a Grad-CAM score that is zero everywhere.
    """
    fields = {name: smooth(scored.fields[name], scored.trajectory, length) for name in INDICATORS}
    frames = range(scored.trajectory.sizes["frame"])
    return {
        name: np.array([[_coefficient(of, fields[a][f], fields[b][f]) for a, b in PAIRS] for f in frames])
        for name, of in (("pearson", pearson), ("spearman", spearman))
    }


def _coefficient(of: Any, x: np.ndarray, y: np.ndarray) -> float:
    defined = np.isfinite(x) & np.isfinite(y)
    if defined.sum() < 3 or np.ptp(x[defined]) == 0 or np.ptp(y[defined]) == 0:
        return np.nan
    return float(of(x[defined], y[defined]))


def correlations(scored: Scored, width: float = 0.25, least: int = 50) -> dict[str, xr.DataArray]:
    """Fig. 8: C_alpha(r) of the bare indicators, (frame, r); NaN where fewer than `least` pairs are in a bin."""
    found = {}
    for name in INDICATORS:
        curve = spatial_correlation(scored.fields[name], scored.trajectory, width=width).load()
        found[name] = curve["correlation"].where(curve["pairs"].min("frame") >= least)
    return found


def domain(curves: xr.DataArray) -> float:
    """Distance at which the mean over configurations of C(r) falls to zero (Sec. IV G)."""
    return float(correlation_length(curves.mean("frame"), level=0.0))
