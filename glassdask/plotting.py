"""Plots in the style of the papers: arrays in, a matplotlib Axes out, and the numbers of every figure as CSV.

The functions draw on Axes that the caller owns; no window system and no global state of pyplot is needed.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassdask.files import put, replacing

RED, BLACK, LIGHT_BLUE, GREY = "#c8102e", "black", "#7fb7e6", "0.6"


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (3.4, 2.8)) -> tuple[Figure, np.ndarray]:
    """A figure with a (rows, columns) array of Axes, each `size` inches large."""
    drawn = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return drawn, np.asarray(drawn.subplots(rows, columns, squeeze=False))


def save(drawn: Figure, path: str | os.PathLike[str], table: Mapping[str, Any] | None = None) -> None:
    """Write a figure as PNG and, beside it, its numbers as CSV.

    `table` maps column names to one-dimensional sequences; shorter ones leave their last cells empty. The folder must
    be there: a path with a slip in it makes no others.

    Raises
    ------
    StoreError
        The file system refuses.
    """
    path = Path(path)
    with replacing(path.with_suffix(".png")) as stream:
        drawn.savefig(stream, format="png", dpi=200)
    if table is not None:
        write_table(path.with_suffix(".csv"), table)


def write_table(path: str | os.PathLike[str], table: Mapping[str, Any]) -> None:
    """Write columns of different lengths as CSV.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_table(folder.name + "/t.csv", {"r": [1.0, 2.0], "g": [0.5]})
    >>> pathlib.Path(folder.name, "t.csv").read_text().split()
    ['r,g', '1.0,0.5', '2.0,']
    >>> folder.cleanup()
    """
    columns = {name: np.atleast_1d(values).tolist() for name, values in table.items()}
    length = max(map(len, columns.values()), default=0)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in range(length):
        writer.writerow([values[row] if row < len(values) else "" for values in columns.values()])
    put(path, file.getvalue())


def density(ax: Axes, x: np.ndarray, y: np.ndarray, *, bins: int | None = None) -> dict[str, np.ndarray]:
    """Probability density p(x, y) as a map (paper A, Fig. 1a). Returns the bin centres and the density, flattened.

    The number of bins grows with the cube root of the number of points unless it is given; a map that shows the
    bands of a sharp descriptor needs more.
    """
    x, y = _finite(x, y)
    n = bins or int(np.clip(2.0 * len(x) ** (1 / 3), 16, 200))
    p, x_edges, y_edges = np.histogram2d(x, y, bins=n, density=True)
    shown = np.where(p > 0, p, np.nan)
    mesh = ax.pcolormesh(x_edges, y_edges, shown.T, cmap="magma_r", rasterized=True)
    _figure_of(ax).colorbar(mesh, ax=ax, label=r"$p(\tilde{X}_1, \tilde{X}_2)$", pad=0.02)
    ax.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$\tilde{X}_2$")
    x_mid, y_mid = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    return {"x1": np.repeat(x_mid, n), "x2": np.tile(y_mid, n), "density": p.ravel()}


def distribution(
    ax: Axes, x: np.ndarray, *, bins: int | np.ndarray | None = None, weight: float = 1.0, **line: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Marginal probability density of x as a line. Returns bin centres and the density times `weight`."""
    (x,) = _finite(x)
    chosen = bins if bins is not None else int(np.clip(2.0 * len(x) ** (1 / 3), 16, 120))
    p, edges = np.histogram(x, bins=chosen, density=True)
    middle = 0.5 * (edges[1:] + edges[:-1])
    ax.plot(middle, weight * p, **line)
    return middle, weight * p


def direction(ax: Axes, values: xr.DataArray, *, name: str = "V^{(1)}") -> None:
    """Components of one principal direction as bars over its degrees l (paper A, Fig. 1c)."""
    dim = str(values.dims[0])
    ax.bar(values[dim].values, values.values, color=LIGHT_BLUE, edgecolor=BLACK, linewidth=0.7)
    ax.axhline(0.0, color=BLACK, linewidth=0.7)
    ax.set(xlabel=f"${dim}$", ylabel=f"${name}_{dim}$", xticks=values[dim].values)


def spectrum(ax: Axes, ratio: Sequence[float] | np.ndarray) -> None:
    """Explained variance ratio of each principal component (paper A, Fig. 5, top)."""
    ratio = np.asarray(ratio)
    index = np.arange(1, len(ratio) + 1)
    ax.plot(index, ratio, "o-", color=BLACK, markersize=4, linewidth=1)
    ax.set(xlabel="PC index", ylabel="EVR", ylim=(0, None))
    if len(index) <= 16:
        ax.set_xticks(index)


def heat_table(
    ax: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, limit: float = 1.0, digits: int = 2
) -> None:
    """Numbers in coloured cells, red above zero and blue below (paper A, Fig. 5, bottom: correlation coefficients).

    `values` has the shape (rows, columns); the colours saturate at `limit`. What is NaN stays white and empty.
    """
    from matplotlib import colormaps

    values = np.asarray(values, dtype=np.float64)
    shown = colormaps["RdBu_r"].with_extremes(bad="white")
    ax.imshow(np.ma.masked_invalid(values), cmap=shown, vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "white" if abs(value) > 0.65 * limit else BLACK
            ax.text(j, i, f"{value:.{digits}f}", ha="center", va="center", fontsize=7, color=color)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)


def curve(ax: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray | None = None, **line: Any) -> None:
    """A line, with its standard errors as a band of the same colour (paper A, Figs. 10-12: R against time)."""
    (drawn,) = ax.plot(x, y, **line)
    if error is not None:
        y, error = np.asarray(y), np.asarray(error)
        ax.fill_between(x, y - error, y + error, color=drawn.get_color(), alpha=0.2, linewidth=0)


def scatter(
    ax: Axes, x: np.ndarray, y: np.ndarray, color: np.ndarray, *, label: str, n: int = 3000, seed: int = 0
) -> dict[str, np.ndarray]:
    """Points coloured by a whole number such as the coordination number, at most `n` of them (paper A, Fig. 4)."""
    x, y, color = _finite(x, y, color)
    if len(x) > n:
        kept = np.random.default_rng(seed).choice(len(x), n, replace=False)
        x, y, color = x[kept], y[kept], color[kept]
    levels = np.unique(color)
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    edges = np.concatenate([levels - 0.5, levels[-1:] + 0.5]) if len(levels) else np.array([0.0, 1.0])
    cmap = colormaps["turbo"].resampled(max(len(levels), 1))
    points = ax.scatter(x, y, c=color, s=3, cmap=cmap, norm=BoundaryNorm(edges, cmap.N), linewidths=0)
    bar = _figure_of(ax).colorbar(points, ax=ax, label=label, pad=0.02, ticks=levels)
    bar.ax.minorticks_off()
    ax.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$\tilde{X}_2$")
    return {"x1": x, "x2": y, "color": color}


def pair_correlations(
    axes: Sequence[Axes], g: xr.DataArray, minima: Mapping[tuple[str, str], float]
) -> dict[str, np.ndarray]:
    """Partial g_ab(r), one to an Axes, with the chosen cutoff of each pair as a vertical line.

    `g` has dimensions (species_a, species_b, r).
    """
    table = {"r": g["r"].values}
    for ax, ((a, b), cutoff) in zip(axes, sorted(minima.items())):
        values = g.sel(species_a=a, species_b=b).values
        ax.plot(g["r"], values, color=BLACK, linewidth=1)
        ax.axvline(cutoff, color=RED, linewidth=1)
        ax.annotate(f"{cutoff:.3f}", (cutoff, 0.97), xycoords=("data", "axes fraction"), color=RED, va="top", ha="left",
                    xytext=(3, 0), textcoords="offset points")  # fmt: skip
        ax.set(xlabel="$r$", ylabel=rf"$g_{{{a}{b}}}(r)$", ylim=(0, None))
        table[f"g_{a}{b}"] = values
    return table


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
    directions = reduced["direction"].values.reshape(len(ratio), -1)
    for k, color in zip(range(min(2, len(ratio))), (RED, BLACK)):
        axes[1, 0].plot(np.arange(1, directions.shape[1] + 1), directions[k], "o-", color=color, markersize=3,
                        linewidth=1, label=f"PC$_{k + 1}$")  # fmt: skip
        table[f"direction_{k + 1}"] = directions[k]
    axes[1, 0].axhline(0.0, color=GREY, linewidth=0.7)
    axes[1, 0].set(xlabel="feature", ylabel="direction")
    axes[1, 0].legend(frameon=False)
    return drawn, table


def _figure_of(ax: Axes) -> Any:
    return ax.get_figure()


def _finite(*columns: np.ndarray) -> list[np.ndarray]:
    flat = [np.asarray(c, dtype=np.float64).ravel() for c in columns]
    kept = np.all([np.isfinite(c) for c in flat], axis=0)
    return [c[kept] for c in flat]
