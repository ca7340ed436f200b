"""Propensities, and structure against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from glassdask.plotting.files import figure
from glassdask.plotting.panels import distribution
from glassdask.plotting.style import BLACK, GREY, logarithmic

MOST = 6  # lines of a panel: the columns that correlate best


def correlation_with_propensity(found: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """|R| of structure with the propensity against time, a panel for each species: the columns that are best somewhere.

    Takes the variable ``pearson`` (species, column, lag). Gives the figure, and the numbers of all columns.
    """
    pearson = found["pearson"].load()
    species = [s for s in pearson["species"].values.tolist() if pearson.sel(species=s).notnull().any()]
    drawn, axes = figure(1, max(len(species), 1), (4.2, 3.2))
    lag = found["lag"].values
    table: dict[str, Any] = {"lag": lag}
    for ax, name in zip(axes[0], species):
        values = pearson.sel(species=name).transpose("column", "lag")
        table |= {f"{name} {column}": values.sel(column=column).values for column in values["column"].values.tolist()}
        best = np.argsort(-np.nan_to_num(values.max("lag").values, nan=-1.0), kind="stable")[:MOST]
        for column in best:
            label = str(values["column"].values[column])
            ax.plot(lag, values.values[column], "o-", markersize=3, linewidth=1, label=label)
        logarithmic(ax, lag)
        ax.set(xlabel="$t$", ylabel=r"$|R|$ with the propensity", ylim=(0, None))
        ax.set_title(f"species {name}", fontsize="small")
        ax.legend(frameon=False, fontsize="x-small")
    return drawn, table


def propensity(found: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """Propensities of an isoconfigurational ensemble: their mean against time, and how they are distributed.

    Takes ``propensity`` (power, lag, particle), or (lag, particle).
    """
    values = found["propensity"].load()
    power = float(values["power"].values[-1]) if "power" in values.dims else None
    values = (values.isel(power=-1) if power is not None else values).transpose("lag", "particle")
    lag, p = values["lag"].values, values.values
    symbol = r"\langle |\Delta r| \rangle" if power == 1 else rf"\langle |\Delta r|^{{{power or 2:g}}} \rangle"
    drawn, axes = figure(1, 2)
    mean = np.nanmean(p, axis=1)
    low, high = np.nanpercentile(p, [10, 90], axis=1)
    axes[0, 0].plot(lag, mean, "o-", color=BLACK, markersize=3, linewidth=1, label="mean")
    axes[0, 0].fill_between(lag, low, high, color=GREY, alpha=0.4, linewidth=0, label="10 to 90 % of the particles")
    logarithmic(axes[0, 0], lag)
    axes[0, 0].set(yscale="log", xlabel="$t$", ylabel=rf"${symbol}$")
    axes[0, 0].legend(frameon=False, fontsize="x-small")
    table: dict[str, Any] = {"lag": lag, "mean": mean, "low": low, "high": high}
    for k in np.unique(np.linspace(0, len(lag) - 1, min(len(lag), 4)).round().astype(int)):
        x, y = distribution(axes[0, 1], p[k] / mean[k], label=f"t = {lag[k]:.3g}")
        table |= {f"relative {lag[k]:.6g}": x, f"p {lag[k]:.6g}": y}
    axes[0, 1].set(xlabel=rf"${symbol}$ / mean", ylabel="probability density", ylim=(0, None))
    axes[0, 1].legend(frameon=False, fontsize="x-small")
    return drawn, table
