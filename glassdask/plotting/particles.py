"""Particles of a frame: a slice as discs, or all of them turned with the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.layout_engine import ConstrainedLayoutEngine

from glassdask.appearance import appearance
from glassdask.errors import MissingPackageError, ParameterError, install
from glassdask.plotting.style import BLACK, NOTHING, SPECIES_COLOURS, figure_of

PIXELS = 380  # of the longest edge in a view


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
        What colours them, with a colour bar; whole numbers of few values get one colour each, those with
        the attribute ``classes`` the names in it; NaN is light grey. By
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
    >>> drawn, axes = gd.plotting.figure()
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
    if isinstance(figure_of(ax).get_layout_engine(), ConstrainedLayoutEngine):
        figure_of(ax).set_layout_engine("compressed")  # which knows of axes that keep their shape
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
        raise MissingPackageError(f"view needs the package plotly: {install('notebooks')}") from None
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
    bar = figure_of(ax).colorbar(discs, ax=ax, label=particles["label"].replace("_", " "), pad=0.02, ticks=ticks)
    bar.ax.minorticks_off()
    if discrete and particles.get("classes"):
        bar.set_ticks(levels, labels=[str(particles["classes"][int(level)]) for level in levels])


def _range(value: np.ndarray) -> tuple[float, float]:
    finite = value[np.isfinite(value)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
