"""The figures of the paper: what is computed elsewhere in, PNG and CSV out.

Panels are mappings from a title to the data of the panel.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from report import plain

from glassdask import plotting
from paper_c.published import DELTAS, INDICATORS, PAIRS, SYMBOLS

COLORS = {"Gamma": plotting.RED, "Upsilon": "#1f5fa8", "Theta": "#3a9d5d"}
MARKERS = ("o", "s", "^", "v", "D", "x")
DASHES = ("-", "--", ":")
CLASSES = ("0.35", "0.75", "#e08a00", "#7a4fa3")


def symbol(name: str, sign: int = 1) -> str:
    """An indicator as it is shown: 1 - X where its order is reversed."""
    return f"${SYMBOLS[name]}$" if sign > 0 else f"$1-{SYMBOLS[name]}$"


def maps(trajectory: xr.Dataset, rows: Sequence[Sequence[tuple[str, np.ndarray | None]]], path: Path) -> None:
    """Figs. 1, 2, 4, S4-S7: particles of one configuration coloured by values in [0, 1]; None stays empty.

    In three dimensions a slice through the middle, one mean spacing thick, is shown.
    """
    position = trajectory["position"].values[0]
    box = trajectory["box"].values[0]
    shown = np.ones(len(position), dtype=bool)
    table: dict[str, Any] = {}
    if position.shape[1] == 3:
        spacing = (np.linalg.det(box) / len(position)) ** (1 / 3)
        shown = np.abs(position[:, 2] - 0.5 * box[2, 2]) < 0.5 * spacing
    for axis, values in zip("xyz", position.T):
        table[axis] = values
    drawn, axes = plotting.figure(len(rows), max(map(len, rows)), size=(2.6, 2.5))
    # about as large as the particles: 0.72 points a mean spacing of an axes 2.3 inches wide
    diameter = 0.95 * 2.25 * 72 * (np.linalg.det(box) / len(position)) ** (1 / position.shape[1]) / box[0, 0]
    letters = iter(string.ascii_lowercase)
    points = None
    for line, panels in zip(axes, rows):
        for ax in line[len(panels) :]:
            ax.axis("off")
        for ax, (title, values) in zip(line, panels):
            ax.set(xticks=[], yticks=[], aspect="equal", xlim=(0, box[0, 0]), ylim=(0, box[1, 1]))
            ax.set_title(f"({next(letters)}) {title}", fontsize=9, loc="left")
            if values is None:
                ax.text(0.5, 0.5, "not reached", ha="center", va="center", transform=ax.transAxes, fontsize=8)
                continue
            points = ax.scatter(
                position[shown, 0], position[shown, 1], c=values[shown], s=diameter**2, cmap="turbo", vmin=0, vmax=1,
                linewidths=0,
            )  # fmt: skip
            table[plain(title).replace("\\", "")] = values
    if points is not None:
        drawn.colorbar(points, ax=axes, shrink=0.6, pad=0.02)
    plotting.save(drawn, path, table)


def decays(panels: Mapping[str, Mapping[str, xr.DataArray]], path: Path, level: float, name: str) -> None:
    """Fig. 3: C(r) of one configuration at several deltas, with the level at which the length is taken."""
    drawn, axes = plotting.figure(1, len(panels))
    table: dict[str, Any] = {}
    for letter, (title, curves), ax in zip(string.ascii_lowercase, panels.items(), axes[0]):
        for dashes, (label, curve) in zip(DASHES, curves.items()):
            ax.plot(curve["r"], curve, dashes, color=plotting.BLACK, linewidth=1.2, label=label)
            table |= {f"{title} r": curve["r"].values, f"{title} {plain(label)}".replace("\\", ""): curve.values}
        ax.axhline(level, color=plotting.GREY, linewidth=0.8, linestyle=":")
        ax.set(xlabel="$r$", ylabel=name)
        ax.set_title(f"({letter}) {title}", loc="left")
        if curves:
            ax.legend(frameon=False, fontsize="small")
    plotting.save(drawn, path, table)


def structure_decays(panels: Mapping[str, Mapping[str, xr.DataArray]], path: Path) -> None:
    """Fig. 8: C(r) of the bare indicators, mean over configurations; inset: C_Gamma near zero, with errors."""
    drawn, axes = plotting.figure(1, len(panels), size=(4.0, 3.0))
    table: dict[str, Any] = {}
    for letter, (title, curves), ax in zip(string.ascii_lowercase, panels.items(), axes[0]):
        for dashes, (name, frames) in zip(DASHES, curves.items()):
            r, mean = frames["r"].values, frames.mean("frame").values
            error = frames.std("frame", ddof=1).values / np.sqrt(frames.sizes["frame"])
            ax.plot(r, mean, dashes, color=COLORS[name], linewidth=1.2, label=symbol(name))
            table |= {f"{title} r": r, f"{title} {name}": mean, f"{title} {name} error": error}
            if name == "Gamma":
                inset = ax.inset_axes((0.5, 0.5, 0.48, 0.42))
                positive = mean > 0
                inset.errorbar(
                    r[positive], mean[positive], error[positive], fmt="o", color=COLORS[name], markersize=2.5,
                    linewidth=0.8,
                )  # fmt: skip
                inset.set(yscale="log", ylim=(1e-3, 1.0))
                inset.tick_params(labelsize=6)
        ax.axhline(0.0, color=plotting.GREY, linewidth=0.8, linestyle=":")
        ax.set(xlabel="$r$", ylabel=r"$C_\alpha(r)$", ylim=(-0.25, 1.0))
        ax.set_title(f"({letter}) {title}", loc="left")
        ax.legend(frameon=False, fontsize="small", loc="upper right", bbox_to_anchor=(1.0, 0.44), ncols=3)
    plotting.save(drawn, path, table)


def evolution(panels: Mapping[str, Mapping[float, xr.Dataset]], signs: Mapping[str, Mapping[str, int]], path: Path,
              names: Sequence[str] = INDICATORS) -> None:  # fmt: skip
    """Figs. 5 and 7: R with the propensity against delta; a marker for each temperature."""
    drawn, axes = plotting.figure(1, len(panels))
    table: dict[str, Any] = {}
    for letter, (title, curves), ax in zip(string.ascii_lowercase, panels.items(), axes[0]):
        for marker, (temperature, found) in zip(MARKERS, curves.items()):
            for name in names:
                label = f"$T={temperature:g}$" if len(names) == 1 else symbol(name, signs[title][name])
                first = len(names) == 1 or marker == MARKERS[0]
                ax.plot(found["delta"], found["r"].sel(indicator=name), marker, color=COLORS[name], markersize=4,
                        markerfacecolor="none" if marker != "o" else None, label=label if first else None)  # fmt: skip
                head = f"{title} T={temperature:g}"
                table |= {
                    f"{head} delta": found["delta"].values,
                    f"{head} {name}": found["r"].sel(indicator=name).values,
                }
        for delta in DELTAS:
            ax.axvline(delta, color=plotting.GREY, linewidth=0.8, linestyle=":")
        ax.axhline(0.0, color=plotting.GREY, linewidth=0.7)
        ylabel = (
            rf"$C_{{{symbol(names[0], signs[title][names[0]])[1:-1]},\Delta}}$"
            if len(names) == 1
            else r"$C_{\alpha,\Delta}$"
        )
        ax.set(xscale="log", xlabel=r"$\delta$", ylabel=ylabel, ylim=(-1, 1))
        ax.set_title(f"({letter}) {title}", loc="left")
        if curves:
            ax.legend(frameon=False, fontsize="small", loc="lower left")
    plotting.save(drawn, path, table)


def violins(panels: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Fig. 6: distributions over configurations of the coefficients of each pair, with quartiles, class by class."""
    drawn, axes = plotting.figure(1, len(panels), size=(4.2, 3.0))
    table: dict[str, Any] = {}
    for letter, (title, classes), ax in zip(string.ascii_lowercase, panels.items(), axes[0]):
        width = 0.8 / len(classes)
        for number, (color, (label, values)) in enumerate(zip(CLASSES, classes.items())):
            for k, pair in enumerate(PAIRS):
                defined = values[:, k][np.isfinite(values[:, k])]
                table[f"{title} {label} C_{pair[0]}_{pair[1]}"] = values[:, k]
                if len(defined) < 2 or np.ptp(defined) == 0:
                    continue
                place = k + (number - 0.5 * (len(classes) - 1)) * width
                body = ax.violinplot(defined, [place], widths=width, showextrema=False)["bodies"][0]
                body.set(facecolor=color, edgecolor="black", linewidth=0.7, alpha=1.0)
                for q in np.quantile(defined, [0.25, 0.5, 0.75]):
                    ax.plot([place - 0.3 * width, place + 0.3 * width], [q, q], "--", color="white", linewidth=0.9)
            ax.plot([], [], "s", color=color, markeredgecolor="black", label=label)
        ax.axhline(0.0, color=plotting.GREY, linewidth=0.7)
        names = [rf"$C_{{{SYMBOLS[a]},{SYMBOLS[b]}}}$" for a, b in PAIRS]
        ax.set(xticks=range(len(PAIRS)), ylim=(-1, 1), ylabel="correlation coefficient")
        ax.set_xticklabels(names)
        ax.set_title(f"({letter}) {title}", loc="left")
        ax.legend(frameon=False, fontsize="small")
    plotting.save(drawn, path, table)


def scans(panels: Mapping[str, Any], signs: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Figs. S3 and S8: R with the propensity against the coarse-graining length, a column for each delta."""
    columns = max((len(found.deltas) for found in panels.values()), default=1)
    drawn, axes = plotting.figure(len(panels), columns, size=(2.8, 2.4))
    table: dict[str, Any] = {}
    for line, (title, found) in zip(axes, panels.items()):
        for ax in line[len(found.deltas) :]:
            ax.axis("off")
        for k, (delta, ax) in enumerate(zip(found.deltas, line)):
            for marker, name in zip(MARKERS, INDICATORS):
                ax.plot(found.lengths, found.r[name][k], f"{marker}-", color=COLORS[name], markersize=3.5, linewidth=1,
                        label=symbol(name, signs[title][name]))  # fmt: skip
                table |= {f"{title} xi": found.lengths, f"{title} delta={delta:g} {name}": found.r[name][k]}
            ax.axhline(0.0, color=plotting.GREY, linewidth=0.7)
            ax.set(xlabel=r"$\xi_\alpha$", ylabel=r"$C_{\alpha,\Delta}$", ylim=(-1, 1))
            ax.set_title(rf"{title}, $\delta={delta:g}$", fontsize=9, loc="left")
        line[0].legend(frameon=False, fontsize="x-small")
    plotting.save(drawn, path, table)


def energies(panels: Mapping[str, tuple[Any, Mapping[str, Any], tuple[float, float]]], path: Path) -> None:
    """Fig. S9: E(T), E_0(T), and E_0(T) around T* with the two lines whose crossing it is."""
    drawn, axes = plotting.figure(len(panels), 3, size=(3.0, 2.5))
    table: dict[str, Any] = {}
    for (title, (found, lines, marked)), line in zip(panels.items(), axes):
        T = found.temperature
        for ax, values, error, label in (
            (line[0], found.energy, found.energy_error, "$E/N$"),
            (line[1], found.inherent, found.inherent_error, "$E_0/N$"),
            (line[2], found.inherent, found.inherent_error, "$E_0/N$"),
        ):
            ax.errorbar(T, values, error, fmt="-", color=plotting.BLACK, linewidth=1, elinewidth=0.7)
            for temperature, color in zip(marked, ("0.25", "0.7")):
                ax.plot(temperature, np.interp(temperature, T[::-1], values[::-1]), "o", color=color, markersize=6,
                        markeredgecolor="black", zorder=3)  # fmt: skip
            ax.set(xlabel="$T$", ylabel=label)
            ax.set_title(title, loc="left", fontsize=9)
        near = max(marked) * 1.15
        crossing = lines["T*"]
        grid = np.linspace(0, near, 50)
        for kind in ("lower", "upper"):
            one = crossing.sel(range=kind)
            line[2].plot(
                grid, one["intercept"].item() + one["slope"].item() * grid, ":", color=plotting.RED, linewidth=1.2
            )
        inside = found.inherent[near >= T]
        margin = 0.15 * np.ptp(inside)
        line[2].set(xlim=(0, near), ylim=(inside.min() - margin, inside.max() + margin))
        line[2].set_title(f"$T^*={float(crossing['temperature']):.2f}$", loc="left", fontsize=9)
        table |= {f"{title} T": T, f"{title} E": found.energy, f"{title} E error": found.energy_error,
                  f"{title} E0": found.inherent, f"{title} E0 error": found.inherent_error}  # fmt: skip
    plotting.save(drawn, path, table)


def pair_correlations(panels: Mapping[str, Mapping[str, xr.DataArray]], path: Path) -> None:
    """Fig. S10: g(r) of every class, and its first peak."""
    drawn, axes = plotting.figure(len(panels), 2)
    table: dict[str, Any] = {}
    for (title, classes), line in zip(panels.items(), axes):
        for color, (label, g) in zip((plotting.BLACK, plotting.GREY, *CLASSES[2:]), classes.items()):
            for ax in line:
                ax.plot(g["r"], g, color=color, linewidth=1, label=label)
            table |= {f"{title} r": g["r"].values, f"{title} {label}": g.values}
        for ax in line:
            ax.set(xlabel="$r$", ylabel="$g(r)$", ylim=(0, None))
            ax.set_title(title, loc="left")
        line[1].set(xlim=(0.6, 2.4))
        line[0].legend(frameon=False)
    plotting.save(drawn, path, table)


def learning(panels: Mapping[str, Any], path: Path) -> None:
    """Loss and accuracy of the network, epoch by epoch, while it was trained and on the validation images."""
    drawn, axes = plotting.figure(2, len(panels), size=(3.4, 2.2))
    table: dict[str, Any] = {}
    for (title, model), column in zip(panels.items(), axes.T):
        epochs = np.arange(1, len(model.training_loss_) + 1)
        table[f"{title} epoch"] = epochs
        for ax, what in zip(column, ("loss", "accuracy")):
            for kind, color in (("training", plotting.GREY), ("validation", plotting.RED)):
                values = getattr(model, f"{kind}_{what}_")
                ax.plot(epochs, values, color=color, linewidth=1, label=kind)
                table[f"{title} {kind} {what}"] = values
            ax.set(xlabel="epoch", ylabel="cross entropy" if what == "loss" else what)
        column[0].set_title(title, loc="left")
        column[0].legend(frameon=False, fontsize="small")
        column[1].set(ylim=(None, 1.02))
    plotting.save(drawn, path, table)


def readings(panels: Mapping[str, tuple[Sequence[Any], Mapping[str, Any]]], path: Path) -> None:
    """C(Gamma, Upsilon) of both classes by how the paper is read; a panel a system."""
    names = list(dict.fromkeys(row.name for rows, _ in panels.values() for row in rows))
    drawn, axes = plotting.figure(1, len(panels), size=(4.6, 0.8 + 0.24 * len(names)))
    table: dict[str, list[Any]] = {name: [] for name in ("system", "class", "reading", "seed", "mean", "spread")}
    for k, (ax, (title, (rows, published))) in enumerate(zip(axes[0], panels.items())):
        for label, color, marker in (("glass", "#1f5fa8", "o"), ("liquid", plotting.RED, "s")):
            mean, spread = published[label][0][:2]
            ax.axvspan(mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
            ax.axvline(mean, color=color, linestyle=":", linewidth=1.2)
            values = [row.pairs[label][0] for row in rows]
            shift = 0.12 if label == "glass" else -0.12
            ax.errorbar([v for v, _ in values], [names.index(row.name) + shift for row in rows],
                        xerr=[s for _, s in values], color=color, fmt=marker, markersize=3.5, linewidth=0.8,
                        label=label)  # fmt: skip
            for row, (value, width) in zip(rows, values):
                for name, cell in zip(table, (title, label, row.name, row.seed, value, width)):
                    table[name].append(cell)
        ax.set(xlim=(-1.05, 1.05), ylim=(len(names) - 0.5, -0.5), xlabel=r"$C_{\Gamma,\Upsilon}$", title=title)
        ax.set_yticks(range(len(names)), names if k == 0 else [""] * len(names), fontsize=7)
    # below the names, where no point is
    drawn.legend(*axes[0][0].get_legend_handles_labels(), fontsize=7, loc="lower left", frameon=False)
    plotting.save(drawn, path, table)


def orderings(panels: Mapping[str, tuple[Sequence[Any], Any]], path: Path) -> None:
    """C(Theta, Upsilon) against sigma_AB, both classes and all cooling rates; a panel a system."""
    drawn, axes = plotting.figure(1, len(panels), size=(3.8, 2.8))
    names = ("rate", "hold", "label", "mixed", "length", "pearson", "error", "spread", "spearman", "configurations")
    table: dict[str, list[Any]] = {name: [] for name in ("system", *names)}
    for ax, (title, (points, system)) in zip(axes[0], panels.items()):
        made, length = sorted({(p.rate, p.hold) for p in points}), max(p.length for p in points)
        for label, color in (("glass", "#1f5fa8"), ("liquid", plotting.RED)):
            mean, spread = system.published.pairs[label][2][:2]
            for (rate, hold), style in zip(made, ("o-", "s--", "^-.", "v:")):
                name = f"{label}, rate {rate:g}, {hold:g} at $T_L$"
                own = [p for p in points if (p.label, p.rate, p.hold, p.length) == (label, rate, hold, length)]
                wide = 2 * spread / np.sqrt(max(p.configurations for p in own))
                ax.axhspan(mean - wide, mean + wide, color=color, alpha=0.08, linewidth=0)
                ax.errorbar([p.mixed for p in own], [p.pearson for p in own], [p.error for p in own], fmt=style,
                            color=color, markersize=3.5, linewidth=0.9, label=name)  # fmt: skip
            ax.axhline(mean, color=color, linewidth=0.8)
        for sigma in {0.5 * (system.sizes["A"] + system.sizes["B"]), system.mixed}:
            ax.axvline(sigma, color=plotting.GREY, linestyle=":", linewidth=1)
        for point in points:
            for name, cell in zip(table, (title, *(getattr(point, name) for name in names))):
                table[name].append(cell)
        ax.set(xlabel=r"$\sigma_{AB}$ of $\Theta$", ylabel=r"$C_{\Theta,\Upsilon}$", ylim=(-1, 0.5))
        ax.set_title(title, loc="left")
        ax.legend(fontsize=6, frameon=False)
    plotting.save(drawn, path, table)


def holdings(panels: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]], path: Path, settled: float) -> None:
    """C(Theta, Upsilon) against the time at T_L, of liquids and of glasses cooled from them; a panel a system."""
    drawn, axes = plotting.figure(1, len(panels), size=(3.6, 2.6))
    names = ("system", "class", "held for", "pearson", "spearman")
    table: dict[str, list[Any]] = {name: [] for name in names}
    for ax, (title, (found, published)) in zip(axes[0], panels.items()):
        for (label, (time, *both)), color, marker in zip(found.items(), (plotting.RED, "#1f5fa8"), "so"):
            mean, spread = published[label][2][:2]
            ax.axhspan(mean - spread, mean + spread, color=color, alpha=0.1, linewidth=0)
            ax.axhline(mean, color=color, linewidth=0.8)
            ax.plot(time, both[0], marker, color=color, markersize=4, label=label)
            late = both[0][time >= settled].mean()
            ax.plot([settled, time.max()], [late, late], color=color, linestyle="--", linewidth=1)
            for row in zip(time, *both):
                for name, cell in zip(names, (title, label, *row)):
                    table[name].append(cell)
        ax.set(xlabel="time at $T_L$", ylabel=r"$C_{\Theta,\Upsilon}$", ylim=(-1, 0.3))
        ax.set_title(title, loc="left")
        ax.legend(fontsize=7, frameon=False)
    plotting.save(drawn, path, table)
