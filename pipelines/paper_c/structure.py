"""Grad-CAM score, Voronoi volume and Theta of every particle, and how they go together (Secs. III B-F, IV E, IV G)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.fields.coarse import coarse_grain
from glassdask.fields.grid import AXES, from_grid, to_grid
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


@dataclass(frozen=True)
class Reading:
    """How Grad-CAM is read: which convolution, with the outer ReLU or not, and how its map is shared among particles.

    "S4" divides by the density at each point, as the paper's supplement; "undivided" does not, "mean" is the mean of
    the map over a particle's Gaussian. A `map` that is "uniform" or the "image" itself needs no network: what is found
    with it says nothing of one. `mixed` is what Theta takes for sigma_AB, where its neighbours are of two kinds.
    """

    layer: int = -1
    rectify: bool = True
    share: str = "S4"
    map: str = "Grad-CAM"
    mixed: float | None = None

    def theta(self, sample: Sample) -> Any:
        """The descriptor of Theta."""
        if not sample.contact:
            return gd.TongTanaka(diameters=sample.sizes)
        changed = {} if self.mixed is None else {("A", "B"): self.mixed}
        return gd.TongTanaka(sigma={**sample.contact, **changed})

    def gamma(self, model: Any, pictures: Any, label: str, trajectory: xr.Dataset, sizes: Any) -> xr.DataArray:
        """Gamma of every particle for a class."""
        axes = AXES[: trajectory.sizes["space"]]
        if self.map == "Grad-CAM":
            maps = grad_cam(model, pictures, label, layer=self.layer, rectify=self.rectify)
        else:
            maps = pictures[:, 0] if self.map == "image" else np.ones_like(pictures[:, 0])
        values = xr.DataArray(np.asarray(maps, dtype=np.float64), dims=("frame", *axes))
        if self.share == "S4":
            return from_grid(values, trajectory, sizes)
        density = to_grid(trajectory, values.shape[1:], sizes).drop_vars(axes)
        shared = from_grid(values * density, trajectory, sizes)
        return shared if self.share == "undivided" else shared / from_grid(density, trajectory, sizes)


def indicators(
    sample: Sample, pictures: images.Pictures, model: Any, part: Part, label: str, frames: np.ndarray
) -> Scored:
    """Gamma of one class, Upsilon and Theta of some configurations of a part."""
    trajectory = part.trajectory.isel(frame=frames).load()
    seen = images.scaling(sample, pictures)(images.of_part(part, pictures)[frames]).compute()
    described = gd.describe(trajectory, [gd.VoronoiCell(), Reading().theta(sample)])
    fields = {
        "Gamma": Reading().gamma(model, seen, label, trajectory, sample.sizes),
        "Upsilon": described["voronoi"].sel(voronoi_feature="volume", drop=True),
        "Theta": described["theta"],
    }
    plain = {name: (("frame", "particle"), np.asarray(values.values)) for name, values in fields.items()}
    return Scored(label, trajectory, xr.Dataset(plain))


def recognised(
    sample: Sample, pictures: images.Pictures, model: Any
) -> Iterator[tuple[Part, str, np.ndarray, np.ndarray]]:
    """Configurations that the network has never seen and takes for what they are: part, class, frames, images.

    Those that it takes for another class are left out, as in the paper.
    """
    scaled = images.scaling(sample, pictures)
    for part in sample.role("test"):
        seen = scaled(images.of_part(part, pictures)).compute()
        found = np.asarray(model.predict(seen))
        for label in sample.classes:
            frames = np.flatnonzero((np.array(part.labels) == label) & (found == label))
            if len(frames):
                yield part, label, frames, seen[frames]


def tested(sample: Sample, pictures: images.Pictures, model: Any) -> Iterator[Scored]:
    """The indicators of those configurations, part by part and class by class."""
    for part, label, frames, _ in recognised(sample, pictures, model):
        yield indicators(sample, pictures, model, part, label, frames)


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
    """Distance from which on zero is within the spread over configurations of C(r) (Sec. IV G; error bars of Fig. 8).

    The mean itself comes near to zero long before it crosses it, where noise decides. Of one configuration it is that.
    """
    return float(correlation_length(curves.mean("frame") - curves.std("frame"), level=0.0))
