"""How the numbers of a descriptor are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glassdask.errors import ParameterError
from glassdask.plotting.files import figure
from glassdask.plotting.panels import distribution
from glassdask.plotting.style import SPECIES_COLOURS, symbol

MOST_FRAMES = 64  # that are read
MOST_NAMES = 24  # of features, beside the axis
MOST_PLOTS = 4  # of features that have names, each with its distribution
MOST_NUMBERS = 1000  # between the least and the largest, of which each has its point


def descriptor(features: xr.DataArray) -> tuple[Figure, dict[str, Any]]:
    """One number of each particle, or some with names, as distributions, many as mean and spread; a line a species.

    Of many frames some, at equal distances, are read. Takes a variable of `glassdask.describe` (frame, particle, ...).
    """
    step = max(1, features.sizes["frame"] // MOST_FRAMES)
    shown = features.isel(frame=slice(None, None, step)).load()
    species = shown["species"] if "species" in shown.coords else None
    groups = ["all"] if species is None else np.unique(species.values).tolist()
    name = str(features.name)
    if _has_names(shown) and 1 < shown.shape[2] <= MOST_PLOTS:
        return _distributions(shown, species, groups, name)
    drawn, axes = figure(size=(4.4, 3.2))
    ax = axes[0, 0]
    table: dict[str, Any] = {}
    classes = list(features.attrs.get("classes", ()))
    if classes:
        table[f"{name} class"] = np.array(classes)
    for color, group in zip(SPECIES_COLOURS * len(groups), groups):
        rows = _rows(shown, species, group)
        if not len(rows):
            continue
        if rows.shape[1] == 1:
            if (rows == np.rint(rows)).all():  # a number of neighbours: how often each is found
                x, y = _shares(rows[:, 0], len(classes))
                ax.plot(x, y, "o-", color=color, markersize=4, linewidth=1, label=group)
            else:
                x, y = distribution(ax, rows[:, 0], color=color, label=group)
            table |= {f"{name} {group}": x, f"p {group}": y}
            continue
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        (dim,) = shown.dims[2:] if shown.ndim == 3 else ("feature",)
        labelled = shown.ndim == 3 and dim in shown.coords and shown[dim].dtype.kind in "if"
        x = shown[dim].values if labelled else np.arange(1, rows.shape[1] + 1)
        named = _has_names(shown)
        style = {"fmt": "o" if named else "o-", "markersize": 3, "linewidth": 1, "capsize": 2}
        ax.errorbar(x, mean, spread, color=color, label=group, **style)
        table |= {
            str(dim): shown[dim].values if named else x,
            f"mean {group}": mean,
            f"standard deviation {group}": spread,
        }
        ax.set(xlabel=symbol(dim), ylabel=f"{name}, mean and spread")
        if not labelled:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if named and len(x) <= MOST_NAMES:
            ax.set_xticks(x, shown[dim].values, rotation=45, ha="right", fontsize="small")
    if not ax.has_data():
        raise ParameterError(f"{name} is undefined for all particles: nothing to draw")
    if classes:
        ax.set_xticks(range(len(classes)), classes)
    if ax.get_xlabel() == "":
        ax.set(xlabel=name, ylabel=f"p({name})", ylim=(0, None))
    ax.legend(frameon=False)
    return drawn, table


def _has_names(shown: xr.DataArray) -> bool:
    """Whether features are one after the other and called by words."""
    dim = shown.dims[-1]
    return shown.ndim == 3 and dim in shown.coords and shown[dim].dtype.kind == "U"


def _rows(shown: xr.DataArray, species: xr.DataArray | None, group: str) -> np.ndarray:
    """The particles of a species for which all numbers are known, those of all frames one after the other."""
    chosen = shown.values if species is None else shown.where(species == group).values
    rows: np.ndarray = chosen.reshape(*chosen.shape[:2], -1).reshape(chosen.shape[0] * chosen.shape[1], -1)
    return rows[np.isfinite(rows).all(axis=1)]


def _distributions(
    shown: xr.DataArray, species: xr.DataArray | None, groups: list[str], name: str
) -> tuple[Figure, dict[str, Any]]:
    """The distribution of each of some features."""
    words = [str(word) for word in shown[shown.dims[-1]].values]
    drawn, axes = figure(-(-len(words) // 2), 2)
    table: dict[str, Any] = {}
    for ax in axes.ravel()[len(words) :]:
        ax.set_visible(False)
    for color, group in zip(SPECIES_COLOURS * len(groups), groups):
        rows = _rows(shown, species, group)
        for ax, word, values in zip(axes.ravel(), words, rows.T if len(rows) else ()):
            x, y = distribution(ax, values, color=color, label=group)
            table |= {f"{word} {group}": x, f"p({word}) {group}": y}
            ax.set(xlabel=f"{name}: {word}", ylabel="p")
    if not table:
        raise ParameterError(f"{name} is undefined for all particles: nothing to draw")
    axes[0, 0].legend(frameon=False)
    for ax in axes.ravel():
        ax.set_ylim(0, None)  # once all are drawn
    return drawn, table


def _shares(values: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, and which part of the values each is: 0, too, that no line passes over what nobody has."""
    found, counts = np.unique(values, return_counts=True)
    first, last = (0, classes - 1) if classes else (found[0], found[-1])
    if last - first < MOST_NUMBERS:
        filled = np.arange(first, last + 1)
        found, counts = filled, np.bincount(np.searchsorted(filled, found), counts, len(filled))
    return found, counts / counts.sum()
