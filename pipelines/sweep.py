"""A sweep over models and temperatures, and what it says: relaxation times, energies, structure, explained variance.

Methods. `glassdask.sweep` does the work, state by state, and stores the results with the states: each is melted, cooled
at a constant rate, equilibrated and simulated with LAMMPS (or taken from a store that exists), its frames are minimised
to their inherent structures; descriptors of every particle, their principal components with the explained variance
ratio (EVR); the radial distribution function, the structure factor with its first peak k*, the self-intermediate
scattering function F_s(k*, t), and the structural relaxation time tau_alpha where it has fallen to 1/e, all species
alike, with its statistical error; and where there are isoconfigurational ensembles, |R| of the first principal
component with the propensity, the mean square displacement of each particle. What is stored already is not done again,
and a state that fails does not stop the others. The figure shows what is stored, also of a sweep that is not finished;
over several seeds of a temperature it shows the mean and its standard error.

    python pipelines/sweep.py pipelines/data/sweep_small.toml --output results/sweep
    python pipelines/sweep.py results/sweep/states.zarr --output results/sweep --no-run     # only draw
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from refusing import told
from rich.progress import Progress, track

import glassdask as gd
from glassdask import plotting
from glassdask.drawing.sweeps import times_of
from glassdask.dynamics.in_time import error_in_time
from glassdask.sweep import read_sweep, run_sweep, status

SHOWN_COMPONENTS = 2
LABELS = {
    "chi4": r"$\chi_4(t)$", "msd": r"$\langle \Delta r^2(t) \rangle$", "alpha2": r"$\alpha_2(t)$", "overlap": "$Q(t)$",
    "fs": "$F_s(k, t)$", "f": "$F(k, t)$", "vacf": "$Z(t)$", "cb": "$C_B(t)$",
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """What is stored of one state; None and NaN for what is not."""

    model: str
    temperature: float
    k: float
    tau: float
    tau_error: float
    energy: float
    inherent_energy: float
    inherent_error: float
    evr: dict[str, np.ndarray]
    distribution: xr.DataArray
    scattering: xr.DataArray | None
    propensity: xr.DataArray | None
    motion: dict[str, xr.DataArray]


@told
def main() -> None:
    """Run a sweep, or what is left of it, and draw what is stored."""
    parser = argparse.ArgumentParser(description="Run a sweep and draw what it has measured.")
    parser.add_argument("sweep", type=Path, help="TOML file of the sweep, or its store")
    parser.add_argument("--output", type=Path, default=Path("results/sweep"), help="folder of tables and figures")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    parser.add_argument("--no-run", action="store_true", help="only draw, such as while the sweep runs elsewhere")
    chosen = parser.parse_args()
    sweep = read_sweep(chosen.sweep)
    if chosen.no_run:
        table = status(sweep.store)
    else:
        with gd.cluster.connect(chosen.cluster) as client, Progress(*Progress.get_default_columns()) as bar:
            task = bar.add_task("sweep", total=None)
            table = run_sweep(sweep, client, progress=lambda done, total: bar.update(task, completed=done, total=total))
    if "correlate" not in table.attrs["stages"]:
        sys.exit(f"{chosen.sweep}: without [correlate] there is nothing to draw: add it")
    done = table[table["correlate"] == "complete"]
    units = [state.units["dynamics"] for state in sweep.states if "dynamics" in state.units]
    quantities = list(dict.fromkeys(group.partition("reductions/")[2] for unit in units for group in unit.groups))
    states = [state_of(row, quantities) for _, row in track(list(done.iterrows()), "read")]
    chosen.output.mkdir(parents=True, exist_ok=True)
    if states:
        write_tables(states, chosen.output)
        draw(states, chosen.output)
    stages = table.attrs["stages"]
    for label, row in table.iterrows():
        for stage in stages:
            if row[f"{stage}_error"]:
                print(f"{row[stage]}: {label}: {stage}: {row[f'{stage}_error']}", file=sys.stderr)
    finished = (table[stages] == "complete").all(axis=1)
    print(f"{finished.sum()} of {len(table)} states: {chosen.output}")
    sys.exit(0 if finished.all() or chosen.no_run else 1)


def state_of(row: pd.Series, quantities: list[str]) -> State:
    """Read what is stored of a state; small arrays only."""
    structure = gd.open_reduction(row["path"], "structure").load()
    measured = (Path(row["path"]) / "reductions" / "relaxation").exists()
    relaxation = gd.open_reduction(row["path"], "relaxation").load() if measured else xr.Dataset()
    missing = xr.DataArray(np.full(1, np.nan), dims="frame")
    inherent = structure.get("inherent_energy", missing).values
    evr = {}
    if row.get("reduce") == "complete":
        for store in (Path(row["path"]), Path(row["path"]) / "inherent"):
            for folder in sorted((store / "reductions").glob("*")):
                if (folder / "explained_variance_ratio").exists():
                    evr[folder.name] = gd.open_reduction(store, folder.name)["explained_variance_ratio"].values
    return State(
        model=row["model"],
        temperature=row["temperature"],
        k=float(relaxation.get("k", np.nan)),
        tau=float(relaxation.get("tau_total", np.nan)),
        tau_error=float(relaxation.get("tau_total_error", np.nan)),
        energy=float(structure.get("energy", missing).mean()),
        inherent_energy=float(inherent.mean()),
        inherent_error=error_in_time(inherent, times_of(row["path"])) if "inherent_energy" in structure else np.nan,
        evr=evr,
        distribution=structure["g_total"],
        scattering=relaxation.get("fs_total"),
        propensity=first_component(row),
        motion=motion_of(row, quantities),
    )


def motion_of(row: pd.Series, quantities: list[str]) -> dict[str, xr.DataArray]:
    """What [dynamics] has measured over the lags, of all species together; chi_4 without what it is made of."""
    found: dict[str, xr.DataArray] = {}
    for quantity in quantities if row.get("dynamics") == "complete" else []:
        stored = gd.open_reduction(row["path"], quantity)
        names = [
            name for name, v in stored.items() if v.dims == ("lag",) and v.dtype.kind == "f" and "_error" not in name
        ]
        names = [name for name in names if name.startswith("chi4")] or names
        for name in names:
            key = quantity if len(names) == 1 else f"{quantity} {name.removesuffix('_total')}"
            found[key] = stored[name].load()
    return found


def first_component(row: pd.Series) -> xr.DataArray | None:
    """|R| (lag) of the first stored principal component with the propensity of the species that it was made of."""
    if not (Path(row["path"]) / "reductions" / "propensity").exists():
        return None
    r = gd.open_reduction(row["path"], "propensity")["pearson"].load()
    return r.isel(column=0).dropna("species", how="all").mean("species")


def write_tables(states: list[State], folder: Path) -> None:
    """One row a state."""
    names = ("model", "temperature", "k", "tau", "tau_error", "energy", "inherent_energy", "inherent_error")
    table = {name: [getattr(s, name) for s in states] for name in names}
    for descriptor in sorted({name for s in states for name in s.evr}):
        for n in range(SHOWN_COMPONENTS):
            ratios = [s.evr.get(descriptor, np.array([])) for s in states]
            table[f"evr_{descriptor}_{n + 1}"] = [float(r[n]) if len(r) > n else np.nan for r in ratios]
    plotting.write_table(folder / "states.csv", table)


def draw(states: list[State], folder: Path) -> None:
    """tau_alpha(T), E_IS(T), EVR(T); g(r), F_s(k*, t) and |R|(t) of every temperature; one column of panels a model."""
    models = sorted({state.model for state in states})
    correlated = any(state.propensity is not None for state in states)
    motion = sorted({name for state in states for name in state.motion})
    rows = 5 + correlated + len(motion)
    drawn, axes = plotting.figure(rows, max(len(models), 1))
    table: dict[str, np.ndarray] = {}
    for column, model in enumerate(models):
        chosen = [s for s in states if s.model == model]
        temperatures = np.unique([s.temperature for s in chosen])
        relax, energy, variance, pairs, scattering, *more = axes[:, column]
        groups = [[s for s in chosen if s.temperature == t] for t in temperatures]
        _against(relax, 1 / temperatures, [_mean(g, "tau", "tau_error") for g in groups], "o-", plotting.BLACK)
        relax.set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$", title=model)
        inherent = [_mean(g, "inherent_energy", "inherent_error") for g in groups]
        _against(energy, temperatures, inherent, "s-", plotting.RED)
        energy.set(xlabel="$T$", ylabel=r"$E_\mathrm{IS}/N$")
        _explained(variance, temperatures, groups)
        colors = colormaps["plasma"](np.linspace(0, 0.85, len(temperatures)))  # the last of it is too bright
        for group, color in zip(groups, colors):
            _curves(pairs, scattering, more[:correlated], group[0], color, model, table)
            for ax, name in zip(more[correlated:], motion):
                _motion(ax, group[0], name, color, table)
        pairs.set(xlabel="$r$", ylabel="$g(r)$", ylim=(0, None))
        scattering.axhline(np.exp(-1), color=plotting.GREY, linewidth=0.7)
        scattering.set(xscale="log", xlabel="$t$", ylabel=r"$F_s(k^*, t)$", ylim=(None, 1.02))
        pairs.legend(frameon=False, fontsize="x-small")
        for ax in more[:correlated]:
            ax.set(xscale="log", xlabel="$t$", ylabel=r"$|R|$, PC1 and propensity", ylim=(0, None))
        for ax, name in zip(more[correlated:], motion):
            ax.set(xscale="log", xlabel="$t$", ylabel=LABELS.get(name, name))
            if name.startswith("msd"):
                ax.set_yscale("log")
    plotting.save(drawn, folder / "sweep", table)


def _mean(group: list[State], name: str, error: str) -> tuple[float, float]:
    """Mean over the seeds of a temperature and its standard error; of one seed, its own."""
    values = np.array([getattr(s, name) for s in group])
    if len(values) == 1:
        return float(values[0]), getattr(group[0], error)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _against(ax: Axes, x: np.ndarray, points: list[tuple[float, float]], style: str, color: str) -> None:
    y, errors = np.array(points).T
    ax.errorbar(x, y, errors, fmt=style, color=color, markersize=4, linewidth=1, capsize=2)
    if np.isnan(y).all():
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=plotting.GREY)


def _explained(ax: Axes, temperatures: np.ndarray, groups: list[list[State]]) -> None:
    """EVR of the first principal components of every descriptor against temperature."""
    names = sorted({name for group in groups for s in group for name in s.evr})
    for style, name in zip(("-", "--", ":", "-."), names):
        for n, color in zip(range(SHOWN_COMPONENTS), (plotting.RED, plotting.LIGHT_BLUE)):
            found = [[s.evr[name][n] for s in group if len(s.evr.get(name, ())) > n] for group in groups]
            y = [np.mean(values) if values else np.nan for values in found]
            ax.plot(temperatures, y, f"o{style}", color=color, markersize=4, linewidth=1, label=f"{name} PC{n + 1}")
    ax.set(xlabel="$T$", ylabel="EVR", ylim=(0, None))
    if names:
        ax.legend(frameon=False, fontsize="x-small")


def _curves(
    pairs: Axes, scattering: Axes, more: list[Axes], state: State, color: np.ndarray, model: str, table: dict
) -> None:
    """g(r), F_s and |R| of one temperature, the first seed's."""
    label = f"T={state.temperature:g}"
    name = f"{model} {label}"
    g, fs, r = state.distribution, state.scattering, state.propensity
    pairs.plot(g["r"], g, color=color, linewidth=1, label=label)
    table[f"{name} r"], table[f"{name} g"] = g["r"].values, g.values
    if fs is not None:
        scattering.plot(fs["lag"], fs, "o-", color=color, markersize=2, linewidth=1, label=label)
        table[f"{name} t"], table[f"{name} F_s"] = fs["lag"].values, fs.values
    if r is not None:
        more[0].plot(r["lag"], r, "o-", color=color, markersize=3, linewidth=1, label=label)
        table[f"{name} lag"], table[f"{name} R"] = r["lag"].values, r.values


def _motion(ax: Axes, state: State, name: str, color: np.ndarray, table: dict) -> None:
    """A quantity of motion of one temperature, the first seed's."""
    values = state.motion.get(name)
    if values is not None:
        shown = values["lag"].values > 0
        x, y = values["lag"].values[shown], values.values[shown]
        ax.plot(x, y, "o-", color=color, markersize=2, linewidth=1)
        key = f"{state.model} T={state.temperature:g} {name}"
        table[f"{key} t"], table[key] = x, y


if __name__ == "__main__":
    main()
