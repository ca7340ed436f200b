"""Figures of a whole sweep: everything against temperature, and curves of all temperatures together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassdask import plotting
from glassdask.dynamics import stokes_einstein
from glassdask.dynamics.in_time import error_in_time
from glassdask.errors import GlassdaskError, ParameterError, near
from glassdask.plotting.curves import SYMBOLS
from glassdask.plotting.style import as_written
from glassdask.store import open_reduction, open_trajectory
from glassdask.store.arrays import arrays
from glassdask.store.groups import children, is_group
from glassdask.sweep import read_sweep
from glassdask.sweep.state import State

TAU, ENERGY, SPECTRA, PROPENSITY = "tau", "energy", "evr", "propensity"
DIFFUSION = "diffusion"
# Structures whose descriptors are reduced lie there, or in the state itself.
PLACES = ("", "inherent")
SHOWN_COMPONENTS = 2


@dataclass
class Point:
    """A temperature of a model: what its states, the seeds, say."""

    temperature: float
    states: list[State] = field(default_factory=list)


def sweep_pictures(store: str | os.PathLike[str]) -> dict[str, str]:
    """What can be drawn of a sweep: what `draw_sweep` takes -> what it is."""
    known: dict[str, str] = {}
    for state in read_sweep(store).states:
        for place in PLACES:
            folder = Path(state.path) / place / "reductions"
            for group in children(folder, "group") if is_group(folder) else []:
                infos = {info.name: info for info in arrays(group)}
                if group.name == "structure" and {"energy", "inherent_energy"} & infos.keys():
                    known[ENERGY] = "energy and inherent energy against temperature"
                if "explained_variance_ratio" in infos:
                    known[SPECTRA] = "explained variance ratios against temperature"
                if "tau_total" in infos:
                    known[TAU] = "relaxation time against 1/T"
                if "diffusion_total" in infos:
                    known[DIFFUSION] = "diffusion against relaxation time, and how both part (Stokes and Einstein)"
                if group.name == "propensity" and "pearson" in infos:
                    known[PROPENSITY] = "|R| of the first component with the propensity, all temperatures"
                for name, info in infos.items():
                    if name.endswith("_total") and set(info.dims) & set(plotting.ALONG):
                        base = name.removesuffix("_total")
                        known[f"{group.name}/{base}"] = f"{base} of all temperatures"
        if len(known) > 3 and SPECTRA in known and TAU in known:
            break
    first = [name for name in (TAU, DIFFUSION, ENERGY, PROPENSITY, SPECTRA) if name in known]
    return {name: known[name] for name in (*first, *known)}


def draw_sweep(
    store: str | os.PathLike[str], what: str, note: Callable[[str], None] = lambda text: None
) -> tuple[Figure, dict[str, Any]]:
    """A figure of all states of a sweep, a column for each model, and its numbers.

    Parameters
    ----------
    store : of the sweep
    what : one of `sweep_pictures`: "tau", "diffusion", "energy", "evr", "propensity", or curves such as "fs", "g", "S"
    note : called with a line about states that have nothing of it yet, or only what is out of date
    """
    sweep = read_sweep(store)
    known = sweep_pictures(store)
    short = [name for name in known if name == what or name.rpartition("/")[2] == what]
    if len(short) != 1:
        problem = (
            f"no state has '{what}' yet: expected one of {', '.join(known) or 'nothing so far'}{near(what, known)}"
        )
        if short:
            problem = f"'{what}' may be {' or '.join(short)}: say which"
        raise ParameterError(f"{store}: {problem}")
    chosen = short[0]
    models: dict[str, dict[tuple[float | None, float], Point]] = {}
    for state in sweep.states:
        points = models.setdefault(state.model, {})
        points.setdefault((state.density, state.temperature), Point(state.temperature)).states.append(state)
    missing: list[str] = []
    drawn, axes = plotting.figure(1, len(models), (4.2, 3.3))
    table: dict[str, Any] = {}
    for ax, (model, found) in zip(axes[0], sorted(models.items())):
        points_of = [found[key] for key in sorted(found, key=lambda key: (key[1], key[0] or 0.0))]
        several = len({key[0] for key in found}) > 1
        _panel(ax, chosen, model, points_of, several, table, missing)
        ax.set_title(f"{model}, {_particles(points_of[0].states[0])}", fontsize="small")
    if missing:
        why = "; tau is known where F_s falls through 1/e within the lags" if chosen == "tau" else ""
        note(f"{len(missing)} of {len(sweep.states)} states have no current {chosen}, the first is {missing[0]}{why}")
    name = chosen.rpartition("/")[2]
    told = f"{SYMBOLS[name]} of all temperatures" if name in SYMBOLS and "/" in chosen else known[chosen]
    drawn.suptitle(f"{as_written(Path(sweep.store).name)}: {told}", fontsize="small", wrap=True)
    return drawn, table


def _panel(
    ax: Axes, what: str, model: str, points: list[Point], several: bool, table: dict[str, Any], missing: list[str]
) -> None:
    temperatures = np.array([point.temperature for point in points])
    table[f"{model} T"] = temperatures
    if what == TAU:
        values = [_mean(p, "relaxation", "tau_total", missing) for p in points]
        _against(ax, 1.0 / temperatures, values, "o-", plotting.BLACK, None)
        ax.set(xlabel="$1/T$", ylabel=r"$\tau_\alpha$", yscale="log")
        plotting.labelled_decades(ax.yaxis)
        table[f"{model} tau"], table[f"{model} tau error"] = np.array(values).T
    elif what == DIFFUSION:
        tau, tau_error = np.array([_mean(p, "relaxation", "tau_total", missing) for p in points]).T
        D, D_error = np.array([_mean(p, "relaxation", "diffusion_total", []) for p in points]).T
        ax.errorbar(tau, D, D_error, tau_error, "o-", color=plotting.BLACK)
        known = np.flatnonzero(np.isfinite(tau) & np.isfinite(D) & (D > 0))
        if len(known) > 1:
            hot = known[np.argmax(temperatures[known])]
            x = np.sort(tau[known])
            ax.plot(x, D[hot] * tau[hot] / x, color=plotting.GREY, linewidth=0.7, label=r"$D \sim 1/\tau_\alpha$")
            if len(np.unique(tau[known])) > 1:
                xi = stokes_einstein(D[known], tau[known])["xi"]
                ax.plot([], [], " ", label=rf"$D \sim \tau_\alpha^{{-{float(xi):.2f}}}$")
            ax.legend(frameon=False, fontsize="x-small")
        ax.set(xlabel=r"$\tau_\alpha$", ylabel="$D$", xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            plotting.labelled_decades(axis)
        table |= {f"{model} tau": tau, f"{model} D": D, f"{model} D error": D_error, f"{model} D tau": D * tau}
    elif what == ENERGY:
        for name, color in (("energy", plotting.BLACK), ("inherent_energy", plotting.RED)):
            values = [_mean(p, "structure", name, missing if name == "energy" else []) for p in points]
            if np.isfinite(np.array(values)[:, 0]).any():
                _against(ax, temperatures, values, "s-", color, SYMBOLS[name])
            table[f"{model} {name}"], table[f"{model} {name} error"] = np.array(values).T
        ax.set(xlabel="$T$", ylabel="energy of a particle")
        ax.legend(frameon=False, fontsize="x-small")
    elif what == SPECTRA:
        _spectra(ax, model, points, temperatures, table, missing)
    else:
        _overlaid(ax, what, model, points, several, table, missing)


def _spectra(
    ax: Axes, model: str, points: list[Point], temperatures: np.ndarray, table: dict[str, Any], missing: list[str]
) -> None:
    """EVR of the first principal components of every descriptor against temperature."""
    ratios: list[dict[str, list[np.ndarray]]] = []
    for point in points:
        of: dict[str, list[np.ndarray]] = {}
        for state in point.states:
            there = False
            for place in PLACES:
                folder = Path(state.path) / place / "reductions"
                for group in children(folder, "group") if is_group(folder) else []:
                    common = group.name.endswith("_common")  # the same at all temperatures
                    if (group / "explained_variance_ratio").is_dir() and not common:
                        found = _read(state, group.name, place)
                        if found is not None:
                            there = True
                            of.setdefault(group.name, []).append(found["explained_variance_ratio"].values)
            if not there:
                missing.append(state.label)
        ratios.append(of)
    names = sorted({name for of in ratios for name in of})
    for name, color in zip(names, plotting.SPECIES_COLOURS * len(names)):
        for n, style in zip(range(SHOWN_COMPONENTS), ("o-", "o--")):
            found_ratios = [[r[n] for r in of.get(name, []) if len(r) > n] for of in ratios]
            values = [_of_seeds(np.array(r), np.nan) for r in found_ratios]
            _against(ax, temperatures, values, style, color, f"{name} PC{n + 1}")
            table[f"{model} {name} {n + 1}"] = np.array(values)[:, 0]
    ax.set(xlabel="$T$", ylabel="explained variance ratio", ylim=(0, None))
    ax.legend(frameon=False, fontsize="x-small")


def _overlaid(
    ax: Axes, what: str, model: str, points: list[Point], several: bool, table: dict[str, Any], missing: list[str]
) -> None:
    """The curves of all temperatures, the mean over seeds with its standard error."""
    group, _, name = what.partition("/")
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(points)))
    dim = ""
    for point, color in zip(points, colors):
        lines: list[xr.DataArray] = []
        error = None
        for state in point.states:
            found = _read(state, group)
            line = None
            if found is not None:
                line = _first_component(found) if what == PROPENSITY else found.get(f"{name}_total")
            if line is None or not line.dims:
                missing.append(state.label)
                continue
            lines.append(line.load())
            error = None if found is None else found.get(f"{name}_total_error")
        if not lines:
            continue
        dim = next(str(d) for d in plotting.ALONG if d in lines[0].dims)
        same = [line for line in lines if line.shape == lines[0].shape and np.allclose(line[dim], lines[0][dim])]
        y = np.mean([line.values for line in same], axis=0)
        errors = None if error is None or len(same) > 1 else error.values
        if len(same) > 1:
            errors = np.std([line.values for line in same], axis=0, ddof=1) / np.sqrt(len(same))
        density = f", density {point.states[0].density:g}" if several and point.states[0].density is not None else ""
        label = f"T = {point.temperature:g}{density}"
        x = lines[0][dim].values
        shown = x > 0 if dim == "lag" else np.ones(len(x), bool)
        shown &= np.isfinite(y)
        style = {
            "color": color,
            "linewidth": 1,
            "label": label,
            **({"marker": "o", "markersize": 3} if len(x) < 12 else {}),
        }
        plotting.curve(ax, x[shown], y[shown], None if errors is None else errors[shown], **style)
        table |= {f"{model} {label} {dim}": x, f"{model} {label} {name or what}": y}
    if dim == "lag":
        plotting.logarithmic(ax, x)
    if name == "msd":
        ax.set_yscale("log")
        plotting.labelled_decades(ax.yaxis)
    if name == "fs":
        ax.axhline(np.exp(-1), color=plotting.GREY, linewidth=0.7)
    told = r"$|R|$, PC1 and propensity" if what == PROPENSITY else SYMBOLS.get(name, name)
    ax.set(xlabel=SYMBOLS.get(dim, dim), ylabel=told)
    if ax.lines:
        ax.legend(frameon=False, fontsize="x-small")


def _first_component(found: xr.Dataset) -> xr.DataArray | None:
    """|R| (lag) of the first principal component with the propensity, of the species that it was made of."""
    columns = [c for c in found["column"].values.tolist() if c.endswith("PC1")]
    if not columns:
        return None
    return found["pearson"].sel(column=columns[0]).load().dropna("species", how="all").mean("species")


def _read(state: State, group: str, place: str = "") -> xr.Dataset | None:
    """A reduction of a state; None where it is not there, unfinished, or out of date."""
    if not is_group(Path(state.path) / place / "reductions" / group):
        return None
    try:
        return open_reduction(Path(state.path) / place, group)
    except GlassdaskError:
        return None


def _mean(point: Point, group: str, name: str, missing: list[str]) -> tuple[float, float]:
    """Mean of a number over the seeds of a temperature, with its standard error; of one seed its own."""
    values, own = [], np.nan
    for state in point.states:
        found = _read(state, group)
        value = None if found is None or name not in found else found[name].values
        if value is None or not np.isfinite(value).any():
            missing.append(state.label)
            continue
        values.append(float(np.nanmean(value)))
        if found is not None and f"{name}_error" in found:
            own = float(found[f"{name}_error"])
        elif np.size(value) > 1:
            own = error_in_time(value, times_of(state.path))
    return _of_seeds(np.array(values), own)


def times_of(path: str) -> np.ndarray | None:
    """The times of the frames of a store, None where it tells none."""
    trajectory = open_trajectory(path)
    return trajectory["time"].values if "time" in trajectory else None


def _of_seeds(values: np.ndarray, own: float) -> tuple[float, float]:
    if len(values) < 2:
        return (float(values[0]), own) if len(values) else (np.nan, np.nan)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _against(
    ax: Axes, x: np.ndarray, points: list[tuple[float, float]], style: str, color: str, label: str | None
) -> None:
    y, errors = np.array(points).T
    ax.errorbar(x, y, np.nan_to_num(errors), fmt=style, color=color, markersize=4, linewidth=1, capsize=2, label=label)
    if np.isnan(y).all():
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=plotting.GREY)


def _particles(state: State) -> str:
    """N of a state, read from the metadata of its store."""
    try:
        sizes = {info.name: info.shape for info in arrays(Path(state.path))}
    except (GlassdaskError, OSError):
        return "N unknown"
    return f"N = {sizes['position'][1]}" if "position" in sizes else "N unknown"
