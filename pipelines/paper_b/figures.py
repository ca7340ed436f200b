"""The figures of the paper: what is computed elsewhere in, PNG and CSV out.

Panels are mappings from a title ("polymer, thermal") to the data of the panel: one row for each activation, one column
for each system.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import draw_published

import glassdask as gd
from glassdask import plotting
from paper_b.classify import Curve
from paper_b.experiments import Finding

COLORS = ("#1f5fa8", "#3a9d5d", plotting.RED, "#e08a00", "#7a4fa3")
ACTIVE, INACTIVE = plotting.RED, "#1f5fa8"


def radial_basis(ace: gd.ACE, path: Path) -> None:
    """Fig. 1: the first radial basis functions."""
    drawn, ((ax,),) = plotting.figure(1, 1, size=(4.4, 3.2))
    r = np.linspace(0.0, ace.r_cut, 401)
    values = ace.radial_basis(r)
    table = {"r": r}
    for n, row in enumerate(values, start=1):
        ax.plot(r, row, linewidth=1.3, label=f"$n = {n}$")
        table[f"R_{n}"] = row
    ax.axhline(0.0, color=plotting.GREY, linewidth=0.6)
    ax.set(xlabel="$r$", ylabel="$R_n(r)$", xlim=(0, ace.r_cut))
    ax.legend(frameon=False, ncols=2, fontsize=8)
    plotting.save(drawn, path, table)


def slices(panels: Mapping[str, tuple[xr.Dataset, np.ndarray]], path: Path) -> None:
    """Fig. 2: type-A particles in a slice one diameter thick, coloured by D2min; the slice holds the largest sum."""
    drawn, axes = _grid(panels, size=(3.7, 3.2))
    table: dict[str, Any] = {}
    for (title, (configuration, activity)), ax in zip(panels.items(), _placed(panels, axes)):
        position, box = configuration["position"].values[0], configuration["box"].values[0]
        known = np.isfinite(activity)
        z = position[:, 2]
        middle = max(np.arange(0.5, box[2, 2] - 0.5, 0.5), key=lambda m: activity[known & (np.abs(z - m) < 0.5)].sum())
        shown = known & (np.abs(z - middle) < 0.5)
        mechanical = title.endswith("mechanical")
        color = activity[shown] if mechanical else np.log10(activity[shown])
        low, high = np.percentile(color, (2, 98))
        if mechanical:
            low, high = 0.0, max(float(np.max(color)), 0.6)
        order = np.argsort(color)
        x, y = position[shown, 0][order], position[shown, 1][order]
        # area of a disc one diameter wide, in points of the axes
        width = 72 * 2.5 / max(box[0, 0] + abs(box[1, 0]), box[1, 1])
        points = ax.scatter(
            x, y, c=color[order], s=(0.9 * width) ** 2, cmap="coolwarm", vmin=low, vmax=high, linewidths=0.3,
            edgecolors="black",
        )  # fmt: skip
        label = "$D^2_{min}$" if mechanical else r"$\log_{10}\,\langle D^2_{min}\rangle$"
        drawn.colorbar(points, ax=ax, label=label, pad=0.02, shrink=0.85)
        ax.set(aspect="equal", xticks=[], yticks=[], title=title)
        table |= _named(title, {"x": x, "y": y, "D2min": activity[shown][order]})
    plotting.save(drawn, path, table)


def against_features(
    panels: Mapping[str, Mapping[str, Curve]],
    borders: Mapping[str, Mapping[str, int]],
    path: Path,
    *,
    label: str,
    published: Mapping[str, Sequence[tuple[int, float, float]]] | None = None,
) -> None:
    """Figs. 3 and 7: a score against the number of features in body order; vertical lines where a body order begins.

    `published` are values of the text: number of features, score and its rounding, of each panel.
    """
    drawn, axes = _grid(panels)
    table: dict[str, Any] = {}
    for (title, curves), ax in zip(panels.items(), _placed(panels, axes)):
        _curves(ax, curves, table, title)
        for name, n in borders[title].items():
            same = name == "A-A"
            # features of another body order begin after these
            if same and n == borders[title]["2-body"]:
                continue
            ax.axvline(n + 0.5, color=plotting.GREY, linewidth=0.8, linestyle="--" if same else "-", zorder=0)
            if not same:
                ax.annotate(name, (n, 0.02), xycoords=("data", "axes fraction"), rotation=90, ha="right", va="bottom",
                            fontsize=7, color="0.4")  # fmt: skip
        if printed := (published or {}).get(title):
            n, score, rounding = np.array(printed).T
            ax.errorbar(
                n, score, rounding, fmt="D", color="black", markersize=4, capsize=2, label="published", zorder=5
            )
        ax.set(xscale="log", xlabel="number of features", ylabel=label, title=title)
        ax.legend(frameon=False, fontsize=7, loc="best")
    plotting.save(drawn, path, table)


def distributions(panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], path: Path) -> None:
    """Fig. 4: the first radial descriptor of active and inactive particles; a panel is {activation: (values, labels)}.

    Solid lines are thermal, dashed ones mechanical.
    """
    drawn, axes = plotting.figure(1, len(panels), size=(3.6, 3.0))
    table: dict[str, Any] = {}
    for k, ((title, found), ax) in enumerate(zip(panels.items(), axes[0])):
        every = np.concatenate([values for values, _ in found.values()])
        edges = np.linspace(*np.percentile(every, (0.1, 99.9)), 21)
        columns = {"B_1": 0.5 * (edges[1:] + edges[:-1])}
        for activation, (values, labels) in found.items():
            for label, kind, color in ((1, "active", ACTIVE), (0, "inactive", INACTIVE)):
                _, columns[f"{activation}, {kind}"] = plotting.distribution(
                    ax, values[labels == label], bins=edges, color=color, linewidth=1.3,
                    linestyle="-" if activation == "thermal" else "--", label=f"{kind} ({activation[0].upper()})",
                )  # fmt: skip
        ax.set(xlabel=r"$B^{(1)}_{A,1}$", ylabel="probability density", ylim=(0, None))
        ax.set_title(f"({string.ascii_lowercase[k]})  {title}", loc="left", fontsize=9)
        ax.locator_params(axis="x", nbins=5)
        ax.set_ylim(0, 1.35 * ax.get_ylim()[1])  # room for the legend
        ax.legend(frameon=False, fontsize=7)
        table |= _named(title, columns)
    plotting.save(drawn, path, table)


def orders(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Fig. 5: accuracy of features in the selected, the standard and the PCA order."""
    drawn, axes = _grid(panels)
    table: dict[str, Any] = {}
    for (title, curves), ax in zip(panels.items(), _placed(panels, axes)):
        _curves(ax, curves, table, title)
        ax.set(xscale="log", xlabel="number of features", ylabel="accuracy", title=title)
        ax.legend(frameon=False, fontsize=7, loc="best")
    plotting.save(drawn, path, table)


def learning(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Fig. 6: accuracy against the number of particles learned from; dashed is that of these particles themselves."""
    drawn, axes = _grid(panels)
    table: dict[str, Any] = {}
    for (title, curves), ax in zip(panels.items(), _placed(panels, axes)):
        _curves(ax, curves, table, title, dashed="learned from")
        ax.set(xlabel="particles learned from", ylabel="accuracy", title=title)
        ax.legend(frameon=False, fontsize=7, loc="best")
    plotting.save(drawn, path, table)


def trends(panels: Mapping[str, Mapping[str, Sequence[Finding]]], path: Path) -> None:
    """What an experiment varies (a panel) against the accuracies that it gives, dotted the published ones."""
    drawn, axes = plotting.figure(1, len(panels), size=(3.4, 3.0))
    table: dict[str, Any] = {}
    for k, ((varied, curves), ax) in enumerate(zip(panels.items(), axes[0])):
        for color, (quantity, found) in zip(COLORS, curves.items()):
            x = np.arange(len(found))
            score, error = np.array([f.ours for f in found]), np.array([f.error for f in found])
            plotting.curve(ax, x, score, error, marker="o", markersize=3, linewidth=1.2, color=color, label=quantity)
            if found[0].published is not None:
                draw_published(ax, found[0].published, found[0].rounding, color=color, label="_")
            table |= _named(
                varied, {"value": [f.value for f in found], f"{quantity}": score, f"{quantity}: error": error}
            )
        ax.set_xticks(x, [f.value for f in found], fontsize=7)
        ax.set(xlabel=varied, ylabel="accuracy" if k == 0 else "", ylim=(0.5, 1.0))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, frameon=False, fontsize=7, loc="outside upper left", ncols=len(labels))
    plotting.save(drawn, path, table)


def _curves(ax: Any, curves: Mapping[str, Curve], table: dict[str, Any], title: str, dashed: str = "") -> None:
    columns: dict[str, Any] = {}
    for color, (name, curve) in zip(COLORS, curves.items()):
        style = {"linestyle": "--", "color": "0.4"} if name == dashed else {"color": color}
        plotting.curve(ax, curve.x, curve.score, curve.error, marker="o", markersize=2, linewidth=1.2, label=name,
                       **style)  # fmt: skip
        key = name.replace("$", "").replace("_\\mathrm{cut}", "_cut")
        columns |= {f"{key}: n": curve.x, f"{key}: score": curve.score, f"{key}: error": curve.error}
    table |= _named(title, columns)


def _layout(panels: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Systems (columns) and activations (rows) that there are, from the titles."""
    systems = list(dict.fromkeys(title.rpartition(", ")[0] for title in panels))
    return systems, list(dict.fromkeys(title.rpartition(", ")[2] for title in panels))


def _grid(panels: Mapping[str, Any], size: tuple[float, float] = (3.6, 2.9)) -> tuple[Any, np.ndarray]:
    systems, activations = _layout(panels)
    return plotting.figure(len(activations), len(systems), size=size)


def _placed(panels: Mapping[str, Any], axes: np.ndarray) -> Sequence[Any]:
    """The Axes of each panel; those without one are taken away."""
    systems, activations = _layout(panels)
    cells = {f"{s}, {a}": axes[i, j] for i, a in enumerate(activations) for j, s in enumerate(systems)}
    for title, ax in cells.items():
        if title not in panels:
            ax.set_axis_off()
    return [cells[title] for title in panels]


def _named(title: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{title}: {name}": values for name, values in columns.items()}
