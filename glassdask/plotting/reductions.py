"""Overviews of what is reduced."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from glassdask.plotting.files import figure
from glassdask.plotting.panels import density, direction, distribution, spectrum
from glassdask.plotting.style import BLACK, GREY, RED, symbol


def reduction(reduced: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """An overview of principal components: p(X1, X2), p(X1), the first two directions and the EVR.

    Takes the dataset of `glassdask.reduce`; gives the figure and its numbers.
    """
    projection = np.asarray(reduced["projection"].values)
    x = [projection[..., k].ravel() for k in range(min(2, projection.shape[-1]))]
    drawn, axes = figure(2, 2)
    table: dict[str, Any] = {}
    if len(x) == 2:
        table.update(density(axes[0, 0], x[0], x[1]))
    table["x1_bin"], table["p_x1"] = distribution(axes[0, 1], x[0], color=RED)
    axes[0, 1].set(xlabel=r"$\tilde{X}_1$", ylabel=r"$p(\tilde{X}_1)$")
    ratio = reduced["explained_variance_ratio"].values
    table["evr"] = ratio
    spectrum(axes[1, 1], ratio)
    directions = reduced["direction"]
    for k in range(min(2, len(ratio))):
        table[f"direction_{k + 1}"] = directions.values[k].ravel()
    if directions.ndim == 2 and directions.shape[1] <= 40:
        for k, color in zip(range(min(2, len(ratio))), (RED, BLACK)):
            axes[1, 0].plot(np.arange(1, directions.shape[1] + 1), directions.values[k], "o-", color=color,
                            markersize=3, linewidth=1, label=f"PC$_{k + 1}$")  # fmt: skip
        axes[1, 0].axhline(0.0, color=GREY, linewidth=0.7)
        axes[1, 0].set(xlabel=symbol(directions.dims[1]), ylabel="direction")
        axes[1, 0].legend(frameon=False)
    else:
        direction(axes[1, 0], directions[0])
    return drawn, table
