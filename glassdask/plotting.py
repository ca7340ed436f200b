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
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from glassdask import files
from glassdask.appearance import appearance
from glassdask.errors import MissingPackageError, ParameterError

RED, BLACK, LIGHT_BLUE, GREY = "#c8102e", "black", "#7fb7e6", "0.6"
SPECIES_COLOURS = (LIGHT_BLUE, RED, "#f2b134", "#3a7d44", "#8e6c8a", "#444444")
NOTHING = "#d9d9d9"  # of particles that have no value
PIXELS = 380  # of the longest edge in a view


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
    with files.replacing(path.with_suffix(".png")) as stream:
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
    files.put(path, file.getvalue())


def density(
    ax: Axes, x: np.ndarray, y: np.ndarray, *, bins: int | None = None, bar: str = "right"
) -> dict[str, np.ndarray]:
    """Probability density p(x, y) as a map (paper A, Fig. 1a). Returns the bin centres and the density, flattened.

    Unless they are given, there are so many `bins` along each axis as the statistics bear: their width is
    2 IQR n^(-1/4), the rule of Freedman and Diaconis in two dimensions. The colour bar is on the side `bar`; on "top"
    the map stays as wide as what is drawn below it.
    """
    x, y = _finite(x, y)
    edges = [_edges(values, 0.25) if bins is None else bins for values in (x, y)]
    p, x_edges, y_edges = np.histogram2d(x, y, bins=edges, density=True)
    shown = np.where(p > 0, p, np.nan)
    mesh = ax.pcolormesh(x_edges, y_edges, shown.T, cmap="magma_r", rasterized=True)
    _figure_of(ax).colorbar(mesh, ax=ax, label=r"$p(\tilde{X}_1, \tilde{X}_2)$", pad=0.02, location=bar)
    ax.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$\tilde{X}_2$")
    x_mid, y_mid = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
    return {"x1": np.repeat(x_mid, len(y_mid)), "x2": np.tile(y_mid, len(x_mid)), "density": p.ravel()}


def distribution(
    ax: Axes, x: np.ndarray, *, bins: int | np.ndarray | None = None, weight: float = 1.0, **line: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Marginal probability density of x as a line, with the noise of counting, 1 / sqrt(counts), as a band.

    Returns bin centres and the density times `weight`. Unless they are given, bins are 2 IQR n^(-1/3) wide.
    """
    (x,) = _finite(x)
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
    _figure_of(ax).colorbar(image, ax=ax, label=f"${name}$", pad=0.02)
    ax.set_yticks(range(len(rows[1])), [str(row) for row in rows[1]])
    ax.set_xticks(columns[1], [str(column).strip() for column in columns[2]])
    ax.set(xlabel=columns[0], ylabel=rows[0])


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
    cmap = colormaps["viridis"].resampled(max(len(levels), 1))
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
        ax.axvline(cutoff, color=RED, linewidth=1, label="$r_c$" if ax is axes[0] else None)
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
    directions = reduced["direction"]
    for k in range(min(2, len(ratio))):
        table[f"direction_{k + 1}"] = directions.values[k].ravel()
    if directions.ndim == 2 and directions.shape[1] <= 40:
        for k, color in zip(range(min(2, len(ratio))), (RED, BLACK)):
            axes[1, 0].plot(np.arange(1, directions.shape[1] + 1), directions.values[k], "o-", color=color,
                            markersize=3, linewidth=1, label=f"PC$_{k + 1}$")  # fmt: skip
        axes[1, 0].axhline(0.0, color=GREY, linewidth=0.7)
        axes[1, 0].set(xlabel=str(directions.dims[1]), ylabel="direction")
        axes[1, 0].legend(frameon=False)
    else:
        direction(axes[1, 0], directions[0])
    return drawn, table


def snapshot(
    ax: Axes,
    trajectory: xr.Dataset,
    values: xr.DataArray | None = None,
    *,
    frame: int = 0,
    normal: str = "z",
    between: tuple[float, float] | None = None,
    diameters: Mapping[str, float] | float | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str | None = None,
) -> dict[str, np.ndarray]:
    """Particles of a frame as discs of their diameters, coloured by a variable; of three dimensions a slice.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory.
    values : DataArray (frame, particle) or (particle,), optional
        What colours them, with a colour bar; whole numbers of few values get one colour each, NaN is light grey. By
        default the species do.
    frame : int, default 0
        Number of the frame.
    normal : str, default "z"
        The axis that one looks along, "x", "y" or "z", in three dimensions; the nearest particles are on top.
    between : tuple of 2 float, optional
        Lower and upper end of the slice along `normal`, from the corner of the box. By default a layer in the middle of
        the box that is as thick as particles are apart, (V / N)^(1/3).
    diameters : dict or float, optional
        Of the species by name, or of all. By default the variable ``diameter``, or else 0.9 (V / N)^(1/d) for all.
    limits : tuple of 2 float, optional
        Of the colours; by default the least and the largest value that is shown.
    cmap : str, optional
        Name of a colour map of matplotlib.

    Returns
    -------
    dict
        Of every particle that is drawn: ``particle``, its number, ``x`` and ``y`` as drawn, ``diameter`` and ``value``.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[0.5, 0.5], [1.5, 0.5]]], species=["A", "B"], box=[2.0, 2.0])
    >>> drawn, axes = figure()
    >>> snapshot(axes[0, 0], pair, diameters={"A": 1.0, "B": 0.5})["diameter"].tolist()
    [1.0, 0.5]
    """
    particles = appearance(trajectory, values, frame, diameters)
    box, position = particles["box"], particles["position"]
    across = [axis for axis in range(len(box)) if len(box) == 2 or "xyz"[axis] != normal]
    shown = np.isfinite(position).all(axis=1)
    if len(box) == 3:
        if normal not in ("x", "y", "z"):
            raise ParameterError(f"normal is {normal!r}, expected 'x', 'y' or 'z'")
        depth = position[:, "xyz".index(normal)]
        low, high = between or _middle(box["xyz".index(normal)]["xyz".index(normal)], particles["spacing"])
        shown &= (depth >= low) & (depth < high)
        if not shown.any():
            raise ParameterError(
                f"between {low:.6g} and {high:.6g} along {normal} is no particle: choose another slice"
            )
        ax.set_title(rf"${low:.3g} \leq {normal} < {high:.3g}$", fontsize="small")
        order = np.flatnonzero(shown)[np.argsort(depth[shown], kind="stable")]
    else:
        order = np.flatnonzero(shown)
    x, y = position[order][:, across].T
    size = particles["diameter"][order]
    discs = _discs(ax, x, y, size)
    value = particles["value"][order]
    _colour(ax, discs, value, particles, limits, cmap)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ box[np.ix_(across, across)]
    ax.plot(*corners.T, color=BLACK, linewidth=0.7)
    if isinstance(_figure_of(ax).get_layout_engine(), ConstrainedLayoutEngine):
        _figure_of(ax).set_layout_engine("compressed")  # which knows of axes that keep their shape
    room = 0.5 * size.max(initial=0.0)
    ends = [f(np.concatenate([corners[:, k], (x, y)[k]])) for k in range(2) for f in (np.min, np.max)]
    unit = str(trajectory["position"].attrs.get("units", ""))
    names = ["xyz"[axis] for axis in across]
    labels = [f"${name}$" + (f" ({unit})" if unit else "") for name in names]
    ax.set(xlim=(ends[0] - room, ends[1] + room), ylim=(ends[2] - room, ends[3] + room), aspect="equal",
           xlabel=labels[0], ylabel=labels[1])  # fmt: skip
    return {"particle": order, "x": x, "y": y, "diameter": size, "value": value}


def view(
    trajectory: xr.Dataset,
    values: xr.DataArray | None = None,
    *,
    frame: int = 0,
    diameters: Mapping[str, float] | float | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str = "Viridis",
) -> Any:
    """A frame that is turned with the mouse, in a notebook or as a page (``view(...).write_html("x.html")``): Plotly.

    Arguments as for `snapshot`. Spheres have the right sizes where one looks at the box from the front; a million of
    them are too many for a browser.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    MissingPackageError
        Plotly is not installed.
    """
    try:
        from plotly import graph_objects as plotly
    except ImportError:
        raise MissingPackageError("view needs the package plotly: pip install 'glassdask[notebooks]'") from None
    particles = appearance(trajectory, values, frame, diameters)
    box = np.eye(3)
    d = len(particles["box"])
    box[:d, :d] = particles["box"]
    shown = np.isfinite(particles["position"]).all(axis=1)
    position = np.zeros((int(shown.sum()), 3))
    position[:, :d] = particles["position"][shown]
    value, names = particles["value"][shown], particles["names"]
    pixels = PIXELS / np.linalg.norm(box[:d], axis=1).max()
    marker = {
        "size": pixels * particles["diameter"][shown],
        "line": {"width": 1, "color": "#444444"},
        "opacity": 1.0,
    }
    drawn = plotly.Figure()
    groups = [(name, value == code) for code, name in enumerate(names)] if names else [("", np.isfinite(value))]
    groups += [] if names or np.isfinite(value).all() else [("NaN", np.isnan(value))]
    for number, (name, chosen) in enumerate(groups):
        colour: dict[str, Any] = {"color": SPECIES_COLOURS[number % len(SPECIES_COLOURS)]}
        if not names and number == 0:
            low, high = limits or _range(value)
            bar = {"title": {"text": particles["label"]}}
            colour = {"color": value[chosen], "colorscale": cmap, "cmin": low, "cmax": high, "colorbar": bar}
        elif not names:
            colour = {"color": NOTHING}
        x, y, z = position[chosen].T
        spheres = {**marker, "size": marker["size"][chosen], **colour}
        drawn.add_trace(
            plotly.Scatter3d(x=x, y=y, z=z, mode="markers", marker=spheres, name=name, showlegend=bool(name))
        )
    # one line through all edges of the cell
    path = "000 100 110 010 000 001 101 100 101 111 110 111 011 010 011 001"
    corners = np.array([[float(digit) for digit in word] for word in path.split()])
    x, y, z = ((corners if d == 3 else corners[:5]) @ box).T
    edges = {"color": BLACK, "width": 2}
    drawn.add_trace(plotly.Scatter3d(x=x, y=y, z=z, mode="lines", line=edges, showlegend=False, hoverinfo="skip"))
    drawn.update_layout(
        scene={"aspectmode": "data"}, margin={"l": 0, "r": 0, "t": 0, "b": 0}, legend={"itemsizing": "constant", "x": 0}
    )
    return drawn


def _middle(length: float, thick: float) -> tuple[float, float]:
    return 0.5 * (length - thick), 0.5 * (length + thick)


def _discs(ax: Axes, x: np.ndarray, y: np.ndarray, size: np.ndarray) -> EllipseCollection:
    """Discs as large as in the box, whatever the size of the figure."""
    many = len(x) > 3000
    made = EllipseCollection(
        size, size, np.zeros_like(size), units="xy", offsets=np.stack([x, y], axis=1), transOffset=ax.transData,
        linewidths=0.0 if many else 0.3, edgecolors="none" if many else BLACK, rasterized=many,
    )  # fmt: skip
    ax.add_collection(made)
    return made


def _colour(
    ax: Axes, discs: Any, value: np.ndarray, particles: Mapping[str, Any], limits: Any, cmap: str | None
) -> None:
    """Colours of discs, with a legend of the species or a colour bar."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm
    from matplotlib.lines import Line2D

    names = particles["names"]
    if names:
        colours = [SPECIES_COLOURS[k % len(SPECIES_COLOURS)] for k in range(len(names))]
        discs.set_facecolor([colours[int(code)] for code in value])
        spots = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in colours]
        ax.legend(spots, names, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        return
    levels = np.unique(value[np.isfinite(value)])
    discrete = particles["whole"] and 0 < len(levels) <= 20 and limits is None
    ticks = None
    if discrete:
        chosen = colormaps[cmap or "viridis"].resampled(max(2, len(levels)))
        discs.set_norm(BoundaryNorm(np.concatenate([levels - 0.5, levels[-1:] + 0.5]), chosen.N))
        ticks = levels
    else:
        chosen = colormaps[cmap or "viridis"]
        discs.set_clim(*(limits or _range(value)))
    discs.set_cmap(chosen.with_extremes(bad=NOTHING))
    discs.set_array(np.ma.masked_invalid(value))
    bar = _figure_of(ax).colorbar(discs, ax=ax, label=particles["label"], pad=0.02, ticks=ticks)
    bar.ax.minorticks_off()


def _range(value: np.ndarray) -> tuple[float, float]:
    finite = value[np.isfinite(value)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _figure_of(ax: Axes) -> Any:
    return ax.get_figure()


def _finite(*columns: np.ndarray) -> list[np.ndarray]:
    flat = [np.asarray(c, dtype=np.float64).ravel() for c in columns]
    kept = np.all([np.isfinite(c) for c in flat], axis=0)
    return [c[kept] for c in flat]
