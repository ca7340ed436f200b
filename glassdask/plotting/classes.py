"""Overviews of classes of particles, and maps of particles."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassdask.plotting.files import figure
from glassdask.plotting.style import NOTHING, SPECIES_COLOURS, finite

MOST_POINTS = 4000  # that are drawn
MOST_BARS = 40  # features that each have a point of their own


def classes(found: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """An overview of the dataset of `glassdask.classify`: means of the classes, and how many particles they have.

    Where components were classified, also the plane of the first two: some particles are points in the colours of their
    classes, and an ellipse has two standard deviations of a mixture's class along each axis.
    """
    plane = "projection" in found and found.sizes["component"] > 1
    drawn, axes = figure(1, 3 if plane else 2)
    panels = list(axes[0])
    table: dict[str, Any] = {}
    assignment = np.asarray(found["assignment"].values)
    if plane:
        table |= _plane(panels.pop(0), found, assignment)
    table |= _means(panels[0], found)
    table |= _numbers(panels[1], found, assignment)
    return drawn, table


def embedding(ax: Axes, found: xr.Dataset, values: xr.DataArray | None = None) -> dict[str, np.ndarray]:
    """The map of `glassdask.embed`; points have the colours of values (frame, particle). Returns places and values."""
    from glassdask.plotting.style import figure_of

    x, y = np.asarray(found["embedding"].values).T
    ax.set(xlabel="t-SNE 1", ylabel="t-SNE 2")
    table = {"frame": found["frame"].values, "particle": found["particle"].values, "x": x, "y": y}
    if values is None:
        ax.scatter(x, y, s=4, color=SPECIES_COLOURS[0], linewidths=0)
        return table
    places = {dim: found[dim] for dim in ("frame", "particle") if dim in values.dims}
    here = np.asarray(values.isel(places).values)
    table["value"] = here
    levels = list(values.attrs.get("classes", ())) or (np.unique(here).tolist() if here.dtype.kind in "US" else [])
    if levels:
        code = here.astype(float) if here.dtype.kind not in "US" else np.searchsorted(levels, here)
        for k, level in enumerate(levels):
            if (code == k).any():
                colour = SPECIES_COLOURS[k % len(SPECIES_COLOURS)]
                ax.scatter(x[code == k], y[code == k], s=4, color=colour, linewidths=0, label=str(level))
        if np.isnan(code).any():
            ax.scatter(x[np.isnan(code)], y[np.isnan(code)], s=4, color=NOTHING, linewidths=0, label="NaN")
        title = str(values.name or "")
        ax.legend(frameon=False, markerscale=3, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title)
        return table
    points = ax.scatter(x, y, s=4, c=here, linewidths=0)
    figure_of(ax).colorbar(points, ax=ax, label=str(values.name or ""), pad=0.02)
    return table


def _plane(ax: Axes, found: xr.Dataset, assignment: np.ndarray) -> dict[str, np.ndarray]:
    from matplotlib.patches import Ellipse

    flat = np.asarray(found["projection"].values)[..., :2].reshape(-1, 2)
    x, y, label = finite(flat[:, 0], flat[:, 1], assignment)
    kept = np.random.default_rng(0).permutation(len(x))[:MOST_POINTS]
    colours = [SPECIES_COLOURS[k % len(SPECIES_COLOURS)] for k in range(found.sizes["class"])]
    ax.scatter(x[kept], y[kept], s=3, c=[colours[int(k)] for k in label[kept]], linewidths=0)
    scale = found.get("scale", 1.0)
    apart = ((found["class_mean"] - found["mean"]) / scale).values.reshape(found.sizes["class"], -1)
    centers = apart @ found["direction"].values.reshape(found.sizes["component"], -1).T
    for k in range(found.sizes["class"]) if "covariance" in found else ():
        cov = found["covariance"].values[k, :2, :2]
        middle = (float(centers[k, 0]), float(centers[k, 1]))
        size, axes = np.linalg.eigh(cov)
        angle = float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))
        width, height = 4 * np.sqrt(size[1]), 4 * np.sqrt(max(size[0], 0.0))
        ax.add_patch(Ellipse(middle, width, height, angle=angle, fill=False, edgecolor=colours[k], linewidth=1.2))
    ax.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$\tilde{X}_2$")
    return {"x1": x[kept], "x2": y[kept], "class": label[kept]}


def _means(ax: Axes, found: xr.Dataset) -> dict[str, np.ndarray]:
    means = found["class_mean"]
    flat = means.values.reshape(means.shape[0], -1)
    dims = [str(dim) for dim in means.dims[1:]]
    labelled = len(dims) == 1 and dims[0] in means.coords and means[dims[0]].dtype.kind in "if"
    x = means[dims[0]].values if labelled else np.arange(1, flat.shape[1] + 1)
    table = {}
    for k, row in enumerate(flat):
        colour = SPECIES_COLOURS[k % len(SPECIES_COLOURS)]
        style = "o-" if len(x) <= MOST_BARS else "-"
        ax.plot(x, row, style, color=colour, markersize=3, linewidth=1, label=f"class {k}")
        table[f"mean of class {k}"] = row
    ax.set(xlabel=f"${dims[0]}$" if labelled else "feature", ylabel="mean in the class")
    ax.legend(frameon=False)
    return {(dims[0] if labelled else "feature"): np.asarray(x), **table}


def _numbers(ax: Axes, found: xr.Dataset, assignment: np.ndarray) -> dict[str, np.ndarray]:
    """Which part of the particles of each species is in each class."""
    n = found.sizes["class"]
    species = found["assignment"].coords.get("species")
    names = [""] if species is None else np.unique(species.values).tolist()
    of = np.broadcast_to("" if species is None else species.values.astype(str), assignment.shape)
    table: dict[str, np.ndarray] = {"class number": np.arange(n)}
    shown = [name for name in names if np.isfinite(assignment[of == str(name)]).any()]
    for number, name in enumerate(shown):
        inside = assignment[(of == str(name)) & np.isfinite(assignment)].astype(int)
        part = np.bincount(inside, minlength=n) / len(inside)
        bars = np.arange(n) + 0.8 * ((number + 0.5) / len(shown) - 0.5)
        ax.bar(bars, part, 0.8 / len(shown), color=SPECIES_COLOURS[number % len(SPECIES_COLOURS)],
               edgecolor="black", linewidth=0.5, label=str(name) or None)  # fmt: skip
        table[f"part {name}".strip()] = part
    ax.set(xlabel="class", ylabel="part of the particles", ylim=(0, None), xticks=range(n))
    if any(shown):
        ax.legend(frameon=False)
    return table
