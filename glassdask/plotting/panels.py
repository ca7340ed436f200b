"""Panels in the style of the papers: arrays in, drawn on Axes that the caller owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from glassdask.plotting.style import BLACK, LIGHT_BLUE, NOTHING, RED, figure_of, finite


def density(
    ax: Axes, x: np.ndarray, y: np.ndarray, *, bins: int | None = None, bar: str = "right"
) -> dict[str, np.ndarray]:
    """Probability density p(x, y) as a map (paper A, Fig. 1a). Returns the bin centres and the density, flattened.

    Unless they are given, there are so many `bins` along each axis as the statistics bear: their width is
    2 IQR n^(-1/4), the rule of Freedman and Diaconis in two dimensions. The colour bar is on the side `bar`; on "top"
    the map stays as wide as what is drawn below it.
    """
    x, y = finite(x, y)
    edges = [_edges(values, 0.25) if bins is None else bins for values in (x, y)]
    p, x_edges, y_edges = np.histogram2d(x, y, bins=edges, density=True)
    shown = np.where(p > 0, p, np.nan)
    mesh = ax.pcolormesh(x_edges, y_edges, shown.T, cmap="magma_r", rasterized=True)
    figure_of(ax).colorbar(mesh, ax=ax, label=r"$p(\tilde{X}_1, \tilde{X}_2)$", pad=0.02, location=bar)
    ax.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$\tilde{X}_2$")
    x_mid, y_mid = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    return {"x1": np.repeat(x_mid, len(y_mid)), "x2": np.tile(y_mid, len(x_mid)), "density": p.ravel()}


def distribution(
    ax: Axes, x: np.ndarray, *, bins: int | np.ndarray | None = None, weight: float = 1.0, **line: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Marginal probability density of x as a line, with the noise of counting, 1 / sqrt(counts), as a band.

    Returns bin centres and the density times `weight`. Unless they are given, bins are 2 IQR n^(-1/3) wide.
    """
    (x,) = finite(x)
    counts, edges = np.histogram(x, bins=_edges(x, 1 / 3) if bins is None else bins)
    scale = weight / (max(counts.sum(), 1) * np.diff(edges))
    middle, p, noise = 0.5 * (edges[1:] + edges[:-1]), scale * counts, scale * np.sqrt(counts)
    curve(ax, middle, p, noise, **line)
    return middle, p


def _edges(x: np.ndarray, power: float) -> np.ndarray:
    """Edges of bins that are 2 IQR n^-power wide: of 8 to 200 that cover all values."""
    if not len(x):
        return np.array([0.0, 1.0])
    low, high = float(x.min()), float(x.max())
    width = 2.0 * float(np.subtract(*np.percentile(x, [75, 25]))) * len(x) ** -power
    n = int(np.clip((high - low) / width, 8, 200)) if width > 0 else 8
    return np.histogram_bin_edges(x, bins=n)


def direction(ax: Axes, values: xr.DataArray, *, name: str = "V^{(1)}") -> None:
    """Components of one principal direction.

    Over one coordinate, such as l, as bars (paper A, Fig. 1c); of SOAP as a map, l against the pairs n, n'; of what has
    two dimensions as a map as well. Red is positive.
    """
    flat, dims = np.asarray(values.values).ravel(), [str(dim) for dim in values.dims]
    of = {str(coord).rpartition("_")[2]: values[coord].values for coord in values.coords if values[coord].ndim}
    if values.ndim == 1 and {"l", "n", "n2"} <= set(of):
        kinds = of["species"].tolist() if len(set(of.get("species", []))) > 1 else [""] * flat.size
        keys = list(zip(kinds, of["n"].tolist(), of["n2"].tolist()))
        pairs, rows = list(dict.fromkeys(keys)), np.unique(of["l"])
        grid = np.full((len(rows), len(pairs)), np.nan)
        grid[np.searchsorted(rows, of["l"]), [pairs.index(key) for key in keys]] = flat
        firsts = [k for k, (_, n, n2) in enumerate(pairs) if n == n2]
        _map(
            ax,
            grid,
            name,
            ("$l$", rows),
            (r"$n$, for each $n' \geq n$", firsts, [f"{pairs[k][0]} {pairs[k][1]}" for k in firsts]),
        )
    elif values.ndim == 2:
        _map(ax, values.values, name, (f"${dims[0]}$", values[dims[0]].values),
             (f"${dims[1]}$", range(values.shape[1]), values[dims[1]].values))  # fmt: skip
    else:
        bars = values.ndim == 1 and flat.size <= 40 and dims[0] in values.coords
        x = values[dims[0]].values if bars else np.arange(1, flat.size + 1)
        ax.bar(x, flat, color=LIGHT_BLUE, edgecolor=BLACK if bars else LIGHT_BLUE, linewidth=0.7)
        ax.axhline(0.0, color=BLACK, linewidth=0.7)
        ax.set(xlabel=f"${dims[0]}$" if bars else "feature", ylabel=f"${name}_{dims[0]}$" if bars else f"${name}$")
        if bars:
            ax.set_xticks(x)


def _map(ax: Axes, grid: np.ndarray, name: str, rows: tuple[str, Any], columns: tuple[str, Any, Any]) -> None:
    """Numbers of both signs as colours, with a bar; what is not there is grey."""
    from matplotlib import colormaps

    limit = float(np.nanmax(np.abs(grid)))
    chosen = colormaps["RdBu_r"].with_extremes(bad=NOTHING)
    image = ax.imshow(np.ma.masked_invalid(grid), cmap=chosen, vmin=-limit, vmax=limit, aspect="auto", origin="lower")
    figure_of(ax).colorbar(image, ax=ax, label=f"${name}$", pad=0.02)
    ax.set_yticks(range(len(rows[1])), [str(row) for row in rows[1]])
    ax.set_xticks(columns[1], [str(column).strip() for column in columns[2]])
    ax.set(xlabel=columns[0], ylabel=rows[0])


def spectrum(ax: Axes, ratio: Sequence[float] | np.ndarray) -> None:
    """Explained variance ratio of each principal component (paper A, Fig. 5, top)."""
    ratio = np.asarray(ratio)
    index = np.arange(1, len(ratio) + 1)
    ax.plot(index, ratio, "o-", color=BLACK, markersize=4, linewidth=1)
    ax.set(xlabel="PC index", ylabel="EVR", ylim=(0, None))
    if len(index) <= 12:  # more touch each other
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
    x, y, color = finite(x, y, color)
    if len(x) > n:
        kept = np.random.default_rng(seed).choice(len(x), n, replace=False)
        x, y, color = x[kept], y[kept], color[kept]
    levels = np.unique(color)
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    edges = np.concatenate([levels - 0.5, levels[-1:] + 0.5]) if len(levels) else np.array([0.0, 1.0])
    cmap = colormaps["viridis"].resampled(max(len(levels), 1))
    points = ax.scatter(x, y, c=color, s=3, cmap=cmap, norm=BoundaryNorm(edges, cmap.N), linewidths=0)
    bar = figure_of(ax).colorbar(points, ax=ax, label=label, pad=0.02, ticks=levels)
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
        ax.margins(y=0.12)  # room for the number above the curve
        ax.plot(g["r"], values, color=BLACK, linewidth=1)
        ax.axvline(cutoff, color=RED, linewidth=1, label="$r_c$" if ax is axes[0] else None)
        ax.annotate(f"{cutoff:.3f}", (cutoff, 0.97), xycoords=("data", "axes fraction"), color=RED, va="top", ha="left",
                    xytext=(3, 0), textcoords="offset points")  # fmt: skip
        ax.set(xlabel="$r$", ylabel=rf"$g_{{{a}{b}}}(r)$", ylim=(0, None))
        table[f"g_{a}{b}"] = values
    return table
