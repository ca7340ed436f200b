"""The figures: R against lag, learning curve, chi_4, predicted against measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmark import published
from glassdask import plotting

OURS = ("C3", "C0", "C2", "C1", "C4", "C5")
THEIRS = ("EIGNN", "SE3", "CAGE", "GlassMLP", "BOTAN")


def against_lag(
    rows: list[dict[str, Any]], target: str, model: str, temperature: float, ceiling: dict[float, float], path: Path
) -> None:
    """R of all models at all lags, pooled and within configurations, with the published curves and rho_max."""
    drawn, axes = plotting.figure(1, 2)
    curves = published.curves(model, temperature, target)
    table: dict[str, Any] = {"curve": [], "lag": [], "pooled_r": [], "mean_r": [], "error": []}
    for name in THEIRS:
        if name in curves:
            axes[0, 0].plot(curves["t"], curves[name], color="0.7", linewidth=0.8)
            axes[0, 0].annotate(name, (curves["t"][-1], curves[name][-1]), fontsize=5, color="0.5")
            _add(table, name, curves["t"], curves[name])
    ours = sorted({(row["model"], row["structure"]) for row in rows if row["target"] == target})
    for number, (color, (name, structure)) in enumerate(zip(OURS, ours)):
        mine = sorted(
            (row for row in rows if (row["model"], row["structure"], row["target"]) == (name, structure, target)),
            key=lambda row: row["lag"],
        )
        lag, pooled, mean, error = (
            np.array([row[key] for row in mine]) for key in ("lag", "pooled_r", "mean_r", "error")
        )
        label = f"{name}, {structure}"
        axes[0, 0].plot(lag, pooled, color=color, marker="o", markersize=3, linewidth=1, label=label)
        beside = lag * 1.15**number  # error bars that do not hide each other
        axes[0, 1].errorbar(beside, mean, np.nan_to_num(error), color=color, marker="o", markersize=3, linewidth=1,
                            capsize=2)  # fmt: skip
        _add(table, label, lag, pooled, mean, error)
    t, rho = published.ceiling(model, temperature, target)
    axes[0, 0].plot(t, rho, color="k", linewidth=0.8, linestyle="--", label=r"$\rho_{max}$, published")
    _add(table, "rho_max, published", t, rho)
    if ceiling:
        lags = np.array(sorted(ceiling))
        axes[0, 0].plot(lags, [ceiling[lag] for lag in lags.tolist()], "kx", markersize=5, label=r"$\rho_{max}$, files")
        _add(table, "rho_max, files", lags, np.array([ceiling[lag] for lag in lags.tolist()]))
    axes[0, 0].set(xlabel="lag", ylabel="pooled $R$", ylim=(0.0, 1.0))
    axes[0, 1].set(xlabel="lag", ylabel="$R$ within a configuration")
    axes[0, 0].legend(frameon=False, fontsize=5)
    if all(row["lag"] > 0 for row in rows):
        low, high = min(table["lag"]), max(table["lag"])
        for ax in axes[0]:  # one lag alone would have ticks that overlap; and names of curves are behind them
            ax.set_xscale("log")
            ax.set_xlim(low / 3.0, high * 10.0)
    plotting.save(drawn, path, table)


def _add(table: dict[str, Any], name: str, lag: np.ndarray, pooled: np.ndarray, mean: Any = None, error: Any = None):
    nothing = np.full(len(lag), np.nan)
    for key, values in zip(
        table, ([name] * len(lag), lag, pooled, *(nothing if v is None else v for v in (mean, error)))
    ):
        table[key] += list(values)


def transfer(rows: list[dict[str, Any]], path: Path) -> None:
    """Pooled R of one target against the inverse temperature, at the lag of what is published, or else the longest."""
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    longest = {row["temperature"]: row["lag"] for row in sorted(rows, key=lambda row: row["lag"])}
    at = longest | {row["temperature"]: row["lag"] for row in rows if row["structure"] == "published"}
    names = sorted({(row["model"], row["structure"]) for row in rows}, key=lambda name: (name[1] == "published", name))
    colors = iter(OURS)
    for name in names:
        r = {
            row["temperature"]: row["pooled_r"]
            for row in rows if (row["model"], row["structure"]) == name and row["lag"] == at[row["temperature"]]
        }  # fmt: skip
        color = "0.7" if name[1] == "published" else next(colors, "k")
        ax.plot([1.0 / t for t in sorted(r)], [r[t] for t in sorted(r)], color=color, marker="o", markersize=3,
                linewidth=1, label=", ".join(name))  # fmt: skip
    ax.set(xlabel="$1/T$", ylabel="pooled $R$")
    ax.legend(frameon=False, fontsize=5)
    plotting.save(drawn, path, {key: [row[key] for row in rows] for key in rows[0]})


def learning_curve(curves: dict[str, dict[str, np.ndarray]], sizes: np.ndarray, path: Path) -> None:
    """R on the test configurations against the number of those that were learned from."""
    drawn, axes = plotting.figure(1, 2)
    table: dict[str, Any] = {"configurations": sizes}
    for color, (name, found) in zip(OURS, curves.items()):
        for ax, key in zip(axes[0], ("pooled_r", "mean_r")):
            mean, scatter = found[key].mean(axis=1), found[key].std(axis=1)
            ax.errorbar(sizes, mean, scatter, color=color, marker="o", markersize=3, linewidth=1, label=name)
            table |= {f"{name}, {key}": mean, f"{name}, {key}, scatter": scatter}
    for ax, label in zip(axes[0], ("pooled $R$", "$R$ within a configuration")):
        ax.set(xlabel="training configurations", ylabel=label)
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend(frameon=False)
    plotting.save(drawn, path, table)


def susceptibility(rows: list[dict[str, Any]], path: Path) -> None:
    """chi_4 of the predicted fields, as they are and matched (dotted), and of the measured one, at every lag."""
    drawn, axes = plotting.figure()
    ax = axes[0, 0]
    names = sorted({(row["model"], row["structure"]) for row in rows if row["model"] != "measured"})
    for color, name in zip(("k", *OURS), [("measured", ""), *names]):
        mine = sorted((row for row in rows if (row["model"], row["structure"]) == name), key=lambda row: row["lag"])
        label = ", ".join(part for part in name if part)
        lags = [row["lag"] for row in mine]
        ax.plot(lags, [row["chi_4"] for row in mine], color=color, marker="o", markersize=3, linewidth=1, label=label)
        if name[0] != "measured":
            ax.plot(lags, [row["matched"] for row in mine], color=color, marker="x", markersize=3, linewidth=0.5,
                    linestyle=":")  # fmt: skip
    if all(row["lag"] > 0 for row in rows):
        ax.set_xscale("log")
    ax.set(xlabel="lag", ylabel=r"$\chi_4$ of the propensity")
    ax.set_ylim(bottom=0.0)
    ax.legend(frameon=False, fontsize=6)
    plotting.save(drawn, path, {key: [row[key] for row in rows] for key in rows[0]})


def predicted(actual: np.ndarray, found: np.ndarray, target: str, path: Path) -> None:
    """Predicted against measured, of all particles of the test."""
    drawn, axes = plotting.figure()
    table = plotting.density(axes[0, 0], actual.ravel(), found.ravel())
    ends = np.quantile(actual, [0.0, 1.0])
    axes[0, 0].plot(ends, ends, color=plotting.GREY, linewidth=0.7)
    axes[0, 0].set(xlabel=target.replace("_", " "), ylabel="predicted")
    drawn.axes[-1].set_ylabel("probability density")
    plotting.save(drawn, path, {"measured": table["x1"], "predicted": table["x2"], "density": table["density"]})
