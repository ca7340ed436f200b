"""Datasets of curves, as figures and as their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from glassdask.errors import ParameterError
from glassdask.plotting.files import figure
from glassdask.plotting.panels import curve
from glassdask.plotting.style import BLACK

# What curves may run over; of several of them the first.
ALONG = ("r", "q", "omega", "size", "lag")
MOST_LABELS = 12  # of a legend


def curves(found: xr.Dataset) -> tuple[Figure, dict[str, Any]]:
    """Every variable of a dataset of curves with its errors, such as chi_4 or F_s: a plot for each, a line a species.

    Times are drawn on a logarithmic scale. Gives the figure and its numbers.

    Examples
    --------
    >>> overlap = xr.DataArray([[0.9, 0.5]], dims=("species", "lag"))
    >>> drawn, table = curves(xr.Dataset({"overlap": overlap}, coords={"species": ["A"], "lag": [1.0, 2.0]}))
    >>> {name: values.tolist() for name, values in table.items()}
    {'lag': [1.0, 2.0], 'overlap A': [0.9, 0.5]}
    """
    ends = ("_error", "_total")
    axis = {str(name): [dim for dim in ALONG if dim in found[name].dims] for name in found}
    names = [name for name in axis if axis[name] and not name.endswith(ends) and found[name].dtype.kind == "f"]
    if not names:
        raise ParameterError(f"nothing to draw: no curves among {', '.join(axis) or 'no variables'}")
    drawn, axes = figure(-(-len(names) // 2), min(len(names), 2))
    table: dict[str, Any] = {}
    for ax, name in zip(axes.ravel(), names):
        dim = axis[name][0]
        x = found[dim].values
        ax.set(xlabel=_label(found[dim]), ylabel=_label(found[name], name), xscale="log" if dim == "lag" else "linear")
        for key in (name, f"{name}_total"):
            if key not in found:
                continue
            lines = found[key].transpose(..., dim)
            error = found.get(f"{key}_error")
            errors = np.full(lines.shape, np.nan) if error is None else error.transpose(..., dim).values
            for index in np.ndindex(lines.shape[:-1]):
                labels = [str(lines[d].values[i]) for d, i in zip(lines.dims, index)]
                text = " ".join(labels) or "all"
                shown = x > 0 if dim == "lag" else np.ones(len(x), bool)
                style = {"color": BLACK} if key != name and lines.ndim == 1 else {}
                curve(ax, x[shown], lines.values[index][shown], errors[index][shown], label=text, **style)
                table.setdefault(dim, x)
                table[f"{key} {text}"] = lines.values[index]
        if len(ax.lines) <= MOST_LABELS:
            ax.legend(frameon=False, fontsize="x-small")
    for ax in axes.ravel()[len(names) :]:
        ax.set_visible(False)
    return drawn, table


def _label(values: xr.DataArray, name: str | None = None) -> str:
    units = values.attrs.get("units", "")
    return f"{name or values.name}{f' ({units})' if units else ''}"
