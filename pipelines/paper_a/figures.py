"""The figures of the paper: what is computed elsewhere in, PNG and CSV out.

Panels are mappings from a title to the data of the panel; a single panel has no title and plain names in its CSV.
"""

from __future__ import annotations

import string
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import draw_published, plain

from glassdask import plotting
from paper_a.structure import Correlations

SYMBOLS = {"l": r"$\ell$", "Theta": r"$\Theta$", "z": "$z$", "u": "$u$"}
# told apart by all eyes (M. Okabe and K. Ito)
COLORS = ("#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "black", "0.6")
Heading = tuple[str, str]  # the title of a figure that stands alone, and what it shows


def ordered_colors(n: int) -> list[Any]:
    """The first component red, the others from dark to light."""
    from matplotlib import colormaps

    return [plotting.RED, *colormaps["viridis"](np.linspace(0.0, 0.9, max(n - 1, 1)))][:n]


def _save(drawn: Any, path: Path, table: dict[str, Any], heading: Heading | None) -> None:
    if heading is not None:
        width, height = drawn.get_size_inches()
        title, caption = (textwrap.fill(text, int(per_inch * width)) for text, per_inch in zip(heading, (12, 18)))
        drawn.set_size_inches(width, height + 0.2 * len(title.splitlines()) + 0.14 * len(caption.splitlines()))
        drawn.suptitle(title, fontsize=10)
        drawn.supxlabel(caption, fontsize=7, color="0.3", x=0.01, ha="left")
    plotting.save(drawn, path, table)


def pair_correlations(
    g: xr.DataArray, cutoffs: Mapping[tuple[str, str], float], path: Path, heading: Heading | None = None
) -> None:
    """Partial g_ab(r) with the chosen cutoffs."""
    drawn, axes = plotting.figure(1, len(cutoffs))
    # bins that are wide enough for the noise of few configurations
    table = plotting.pair_correlations(axes[0], g.coarsen(r=3, boundary="trim").mean(), cutoffs)
    axes[0, 0].legend(["$g(r)$", "$r_c$, first minimum"], frameon=False, fontsize=7, loc="center right")
    _save(drawn, path, table, heading)


def overview(reduced: xr.Dataset, lfs: np.ndarray, path: Path, heading: Heading | None = None) -> None:
    """Fig. 1: density in the plane of the first two components, LFS, first direction, and all marginals."""
    x = reduced["projection"].values
    drawn, ((a, b), (c, d)) = plotting.figure(2, 2)
    table = plotting.density(a, x[..., 0], x[..., 1], bar="top")

    table["x1_bin"], table["p_x1"] = plotting.distribution(b, x[..., 0], color="black", label=r"$p(\tilde{X}_1)$")
    locally_favored = x[..., 0][lfs == 1]
    table["x1_lfs_bin"], table["p_x1_lfs"] = plotting.distribution(
        b, locally_favored, color=plotting.RED, label=r"$p(\tilde{X}_1|$LFS$)$"
    )
    top = 1.3 * max(np.nanmax(table["p_x1"]), np.max(table["p_x1_lfs"], initial=0.0))
    b.set(xlabel=r"$\tilde{X}_1$", ylabel="probability density", ylim=(0, top))
    b.legend(frameon=False, fontsize=8)

    plotting.direction(c, reduced["direction"].sel(component=1))
    table["l"], table["direction_1"] = reduced["l"].values, reduced["direction"].sel(component=1).values

    for j, color in zip(range(1, x.shape[-1] + 1), ordered_colors(x.shape[-1])):
        table[f"x{j}_bin"], table[f"p_x{j}_marginal"] = plotting.distribution(
            d, x[..., j - 1] - np.nanmean(x[..., j - 1]), linewidth=1, color=color, zorder=3 if j == 1 else 2,
            label=f"$j = {j}$",
        )  # fmt: skip
    spread = float(np.sqrt(reduced["explained_variance"].values[-1]))
    grid = np.linspace(-6 * spread, 6 * spread, 200)
    gauss = np.exp(-0.5 * (grid / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    d.plot(grid, gauss, color=plotting.LIGHT_BLUE, linewidth=2.5, zorder=1, label=r"Gauss, $\lambda_8$")
    d.set(xlabel=r"$\tilde{X}_j - \langle\tilde{X}_j\rangle$", ylabel=r"$p(\tilde{X}_j)$", ylim=(0, None))
    d.legend(frameon=False, fontsize=6, ncols=1, loc="upper right")
    for panel, letter in zip((a, b, c, d), "abcd"):
        panel.set_title(f"({letter})", loc="left")
    _save(drawn, path, table, heading)


def densities(panels: Mapping[str, np.ndarray], path: Path, heading: Heading | None = None) -> None:
    """Figs. 2, 3, 7 and 15: p(X1, X2) of each system, and p(X1) below it; x is (..., 2 or more)."""
    drawn, axes = plotting.figure(2, len(panels))
    table: dict[str, Any] = {}
    for (title, x), (above, below) in zip(panels.items(), axes.T):
        found = plotting.density(above, x[..., 0], x[..., 1], bar="top")
        found["x1_bin"], found["p_x1"] = plotting.distribution(below, x[..., 0], color="black")
        below.set(xlabel=r"$\tilde{X}_1$", ylabel=r"$p(\tilde{X}_1)$", ylim=(0, None), xlim=above.get_xlim())
        _letter(above, title)
        table |= _prefixed(found, title)
    _save(drawn, path, table, heading)


def directions(panels: Mapping[str, xr.DataArray], path: Path) -> None:
    """First directions of SOAP as maps over l and n, n'."""
    drawn, axes = plotting.figure(1, len(panels), size=(4.4, 2.8))
    table: dict[str, Any] = {}
    for (title, values), ax in zip(panels.items(), axes[0]):
        plotting.direction(ax, values)
        _letter(ax, title)
        indices = {str(name): coord.values for name, coord in values.coords.items()}
        table |= _prefixed({**indices, "direction_1": values.values}, title)
    plotting.save(drawn, path, table)


def bands(panels: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path, heading: Heading | None = None) -> None:
    """Fig. 4: components of the sharp descriptor coloured by coordination number."""
    drawn, axes = plotting.figure(1, len(panels))
    table: dict[str, Any] = {}
    for (title, (x, z)), ax in zip(panels.items(), axes[0]):
        found = plotting.scatter(ax, x[..., 0], x[..., 1], z, label="$z$")
        _letter(ax, title)
        table |= _prefixed({"x1": found["x1"], "x2": found["x2"], "z": found["color"]}, title)
    _save(drawn, path, table, heading)


def spectra(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray | None]],
    path: Path,
    heading: Heading | None = None,
    *,
    published: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Figs. 5 (top) and 8: explained variance ratio of every component, with errors where there are any.

    `published` are the ratios that are printed in the paper, those of the first components.
    """
    drawn, axes = plotting.figure(1, len(panels))
    table: dict[str, Any] = {}
    for (title, (ratio, error)), ax in zip(panels.items(), axes[0]):
        _bars(ax, np.arange(1, len(ratio) + 1), ratio, error, "PC index", "EVR")
        _printed(ax, (published or {}).get(title, ()))
        _letter(ax, title)
        found = {"component": np.arange(1, len(ratio) + 1), "evr": ratio}
        table |= _prefixed(found if error is None else {**found, "evr_error": error}, title)
    _save(drawn, path, table, heading)


def _printed(ax: Any, ratio: Sequence[float]) -> None:
    """Explained variance ratios that are printed in the paper, with half of their last digit."""
    if len(ratio):
        ax.errorbar(
            np.arange(1, len(ratio) + 1), ratio, 0.005, fmt="s", color=plotting.RED, markerfacecolor="none",
            markersize=6, capsize=2, linewidth=1, label="published",
        )  # fmt: skip
        ax.legend(frameon=False, fontsize=7)


def measures(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray, Correlations]],
    path: Path,
    *,
    individual: bool = False,
    published: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Figs. 5, 6 and 16: EVR of each component above its R with l, Theta, z and u; or spread and R of each Q_l."""
    drawn, axes = plotting.figure(2, len(panels), size=(3.6, 2.3))
    table: dict[str, Any] = {}
    for (title, (top, error, found)), (above, below) in zip(panels.items(), axes.T):
        index = np.arange(1, len(top) + 1)
        names = [f"$Q_{k}$" if individual else str(k) for k in index]
        _bars(above, index, top, error, "$l$" if individual else "PC index", "std($Q_l$)" if individual else "EVR")
        _printed(above, (published or {}).get(title, ()))
        plotting.heat_table(below, found.r.T, [SYMBOLS[name] for name in found.names], names)
        below.set(xlabel="" if individual else "PC index")
        _letter(above, title)
        columns = {"index": index, "std" if individual else "evr": top, "error": error}
        for j, name in enumerate(found.names):
            columns |= {f"r_{name}": found.r[:, j], f"r_{name}_error": found.error[:, j]}
        table |= _prefixed(columns, title)
    plotting.save(drawn, path, table)


def stability(panels: Mapping[str, np.ndarray], sigmas: np.ndarray, radii: np.ndarray, path: Path) -> None:
    """Fig. 9: |R| of X1 with that of the reference parameters; arrays are (sigma, r_cut)."""
    drawn, axes = plotting.figure(1, len(panels))
    table: dict[str, Any] = {"sigma": np.repeat(sigmas, len(radii)), "r_cut": np.tile(radii, len(sigmas))}
    for (title, r), ax in zip(panels.items(), axes[0]):
        plotting.heat_table(ax, r, [f"{s:g}" for s in sigmas], [f"{radius:g}" for radius in radii])
        ax.set(xlabel=r"$r_\mathrm{cut}$", ylabel=r"$\sigma$")
        _letter(ax, title)
        table |= _prefixed({"r": r.ravel()}, title)
    plotting.save(drawn, path, table)


def against_time(
    panels: Mapping[str, tuple[np.ndarray, Mapping[str, tuple[np.ndarray, np.ndarray | None]], float]],
    path: Path,
    *,
    label: str = "$|R|$",
    published: Mapping[str, float] | None = None,
) -> None:
    """Figs. 10-12: R with the propensity; a panel is (lags, {curve: (R, error)}, relaxation time).

    A curve "X, held out" is dotted and "X, without noise" dashed, in the colour of X. `published` is the largest R
    that the paper gives for a panel. Of a single lag there are points beside each other.
    """
    from matplotlib.lines import Line2D

    columns = -(-len(panels) // 2)
    drawn, axes = plotting.figure(-(-len(panels) // columns), columns, size=(4.4, 3.0))
    table: dict[str, Any] = {}
    # room for the legend above the highest curve and published value
    curved = [float(np.nanmax(r)) for _, curves, _ in panels.values() for r, _ in curves.values()]
    top = min(1.0, 1.45 * max(*curved, *(published or {}).values()))
    for (title, (lag, curves, relaxation)), ax in zip(panels.items(), axes.ravel()):
        found: dict[str, Any] = {"lag": lag}
        bases = [name for name in curves if "," not in name or name.rpartition(", ")[0] not in curves]
        of_components = all(name.startswith("PC") for name in bases)
        colors = dict(zip(bases, ordered_colors(len(bases)) if of_components else COLORS))
        styles = {"held out": ":", "without noise": "--"}
        for name, (r, error) in curves.items():
            base, _, kind = name.rpartition(", ")
            extra = kind in styles and base in colors
            color, told = colors[base if extra else name], None if extra else name
            if len(lag) == 1:
                beside = [list(colors).index(base if extra else name)]
                ax.errorbar(beside, r, error, fmt="o", color=color, label=told, markersize=4,
                            markerfacecolor="none" if extra else color)  # fmt: skip
            else:
                plotting.curve(ax, lag, r, error, color=color, linewidth=1.3, label=told,
                               linestyle=styles[kind] if extra else "-")  # fmt: skip
            key = plain(name).replace(" ", "_").replace(",", "")
            found |= {key: r} if error is None else {key: r, f"{key}_error": error}
        if len(lag) > 1 and lag[0] < relaxation < 3 * lag[-1]:
            ax.axvline(relaxation, color=plotting.GREY, linewidth=0.8, linestyle="-.", label=r"$\tau_\alpha$")
        if published and title in published:
            draw_published(ax, published[title], 0.02)
        ax.set(ylabel=label, ylim=(0, top))
        if len(lag) == 1:
            ax.set(xticks=[], xlabel=f"at $t$ = {lag[0]:g}")
        else:
            ax.set(xscale="log", xlabel="$t$")
        kinds = [kind for kind in styles if any(name.endswith(kind) for name in curves)]
        handles, labels = ax.get_legend_handles_labels()
        handles += [Line2D([], [], color="black", linestyle=styles[kind]) for kind in kinds]
        ax.legend(handles, labels + kinds, frameon=False, fontsize=6, ncols=3)
        _letter(ax, title)
        table |= _prefixed(found, title)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_axis_off()
    plotting.save(drawn, path, table)


def rotation(reduced: np.ndarray, rotated: np.ndarray, angle: float, path: Path) -> None:
    """Fig. 13: features of the autoencoder before and after the rotation towards those of PCA."""
    drawn, axes = plotting.figure(1, 2)
    table: dict[str, Any] = {}
    names = (
        ("before", reduced, r"$\tilde{{X}}^\mathrm{{AE}}_{}$"),
        ("after", rotated, r"$\tilde{{X}}^\mathrm{{AE}}_{{T,{}}}$"),
    )
    for (name, x, label), ax, letter in zip(names, axes[0], "ab"):
        table |= {f"{name}_{k}": v for k, v in plotting.density(ax, x[:, 0], x[:, 1]).items()}
        ax.set(xlabel=label.format(1), ylabel=label.format(2))
        ax.set_title(f"({letter})" if name == "before" else f"({letter})  rotated by {angle:g}°", loc="left")
    plotting.save(drawn, path, table)


def agreement(pca: np.ndarray, rotated: np.ndarray, r: np.ndarray, path: Path, shown: int = 1000) -> None:
    """Fig. 14: features of PCA against those of the autoencoder, at most 1000 points."""
    kept = np.random.default_rng(0).permutation(len(pca))[:shown]
    drawn, axes = plotting.figure(1, 2)
    table: dict[str, Any] = {}
    for j, ax in enumerate(axes[0]):
        x, y = rotated[kept, j], pca[kept, j]
        ax.plot(x, y, ".", color="black", markersize=2)
        ax.set(xlabel=rf"$\tilde{{X}}_{{T,{j + 1}}}^\mathrm{{AE}}$", ylabel=rf"$\tilde{{X}}_{j + 1}^\mathrm{{PCA}}$")
        corner = (0.05, "left") if r[j, j] > 0 else (0.95, "right")
        ax.text(corner[0], 0.95, f"$|R|$ = {abs(r[j, j]):.4f}", transform=ax.transAxes, va="top", ha=corner[1])
        ax.set_title(f"({'ab'[j]})", loc="left", fontsize=9)
        table |= {f"autoencoder_{j + 1}": x, f"pca_{j + 1}": y}
    plotting.save(drawn, path, table)


def temperature(panels: Mapping[str, dict[str, np.ndarray]], path: Path) -> None:
    """Sec. VI.B: EVR, variances, skewness and excess kurtosis of the first components against temperature.

    A panel has ``T`` (n,) and ``evr``, ``variance``, ``skewness``, ``kurtosis`` with their errors, (n, component).
    """
    drawn, axes = plotting.figure(4, len(panels), size=(3.4, 2.1))
    table: dict[str, Any] = {}
    labels = {"evr": "EVR", "variance": r"variance $\lambda_j$", "skewness": "skewness", "kurtosis": "excess kurtosis"}
    for (title, data), column in zip(panels.items(), axes.T):
        found: dict[str, Any] = {"T": data["T"]}
        for (name, label), ax in zip(labels.items(), column):
            for j in range(3):
                y, error = data[name][:, j], data[f"{name}_error"][:, j]
                ax.errorbar(data["T"], y, error, fmt="o-", color=COLORS[j], markersize=3, linewidth=1,
                            capsize=2, label=f"PC$_{j + 1}$")  # fmt: skip
                found |= {f"{name}_{j + 1}": y, f"{name}_{j + 1}_error": error}
            ax.set(ylabel=label)
            if name in ("skewness", "kurtosis"):
                ax.axhline(0.0, color=plotting.GREY, linewidth=0.7)
        column[0].legend(frameon=False, fontsize=7)
        column[-1].set(xlabel="$T$")
        _letter(column[0], title)
        table |= _prefixed(found, title)
    plotting.save(drawn, path, table)


def transfer(panels: Mapping[str, dict[str, np.ndarray]], path: Path) -> None:
    """Sec. VI.B: directions learned at one temperature (row) on another (column).

    A panel has ``T`` (n,), ``cosine`` (n, n), |cos| of the first directions, and ``captured`` (n, n), the variance that
    the plane of the row's first two directions captures at the column's temperature over what its own plane does.
    """
    drawn, axes = plotting.figure(2, len(panels))
    table: dict[str, Any] = {}
    for (title, data), (above, below) in zip(panels.items(), axes.T):
        names = [f"{t:g}" for t in data["T"]]
        for ax, name in ((above, "cosine"), (below, "captured")):
            plotting.heat_table(ax, data[name], names, names, digits=3)
            ax.set(xlabel="$T$", ylabel="$T$ of the directions")
        _letter(above, f"{title}: |cos| of PC$_1$" if title else "")
        _letter(below, "captured variance of PC$_{1,2}$")
        n = len(names)
        found = {"T_directions": np.repeat(data["T"], n), "T": np.tile(data["T"], n)}
        table |= _prefixed({**found, "cosine": data["cosine"].ravel(), "captured": data["captured"].ravel()}, title)
    plotting.save(drawn, path, table)


def _bars(ax: Any, x: np.ndarray, y: np.ndarray, error: np.ndarray | None, xlabel: str, ylabel: str) -> None:
    ax.errorbar(x, y, error, fmt="o-", color="black", markersize=3, linewidth=1, capsize=2)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, None))
    if len(x) <= 16:
        ax.set_xticks(x)
        ax.set_xlim(0.5, len(x) + 0.5)


def _letter(ax: Any, title: str) -> None:
    """Title of a panel with the next letter; a single panel without a title gets neither."""
    if title:
        begun = [other for other in ax.get_figure().axes if other.get_title(loc="left")]
        ax.set_title(f"({string.ascii_lowercase[len(begun)]})  {title}", loc="left", fontsize=9)


def _prefixed(columns: dict[str, Any], title: str) -> dict[str, Any]:
    if not title:
        return columns
    prefix = plain(title).replace(", ", "_").replace(" = ", "").replace(" ", "_")
    return {f"{prefix}: {name}": values for name, values in columns.items()}
