"""A sweep over models and temperatures: simulate, then the relaxation time, energies and correlations of every state.

Methods. Each state point of a TOML file (see `glassdask.simulation.sweep`) is melted, cooled at a constant rate,
equilibrated and simulated with LAMMPS, one process a state, and its frames are minimised to their inherent structures.
All of it goes into one tree of stores; what is stored already is not done again, and a state that fails does not stop
the others. From the stores come the radial distribution functions, the structure factor with its first peak k*, the
self-intermediate scattering function F_s(k*, t), and the structural relaxation time tau_alpha where it has fallen to
1/e, all species alike, each with its statistical error.

    python pipelines/sweep.py pipelines/data/sweep_small.toml --output results/sweep
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib import colormaps
from rich.progress import Progress, track

import glassdask as gd
from glassdask import plotting
from glassdask.dynamics import relaxation_time, self_correlations
from glassdask.simulation import StatePoint, read_sweep, run_sweep


@dataclass(frozen=True)
class State:
    """What was measured of one state point."""

    model: str
    temperature: float
    k: float
    tau: float
    tau_error: float
    energy: float
    inherent_energy: float
    inherent_error: float
    distribution: xr.Dataset
    correlations: xr.Dataset


def main() -> None:
    """Simulate and analyse every state point of a sweep."""
    parser = argparse.ArgumentParser(description="Simulate a sweep and measure its structure and dynamics.")
    parser.add_argument("sweep", type=Path, help="TOML file of the sweep")
    parser.add_argument("--output", type=Path, default=Path("results/sweep"), help="folder of tables and figures")
    parser.add_argument("--cluster", default="local", help="local, threads, tcp://HOST:PORT or a TOML profile")
    chosen = parser.parse_args()
    points = read_sweep(chosen.sweep)
    with gd.cluster.connect(chosen.cluster) as client:
        with Progress(*Progress.get_default_columns()) as bar:
            task = bar.add_task("simulate", total=len(points))
            failed = run_sweep(points, client, progress=lambda done, total: bar.update(task, completed=done))
        done = [point for point in points if point.path not in failed]
        states = [analyse(point) for point in track(done, "analyse")]
    chosen.output.mkdir(parents=True, exist_ok=True)
    write_tables(states, chosen.output)
    draw(states, chosen.output)
    for path, error in failed.items():
        print(f"failed: {path}: {error}", file=sys.stderr)
    print(f"{len(states)} of {len(points)} states: {chosen.output}")
    sys.exit(1 if failed else 0)


def analyse(point: StatePoint) -> State:
    """Structure, relaxation and energies of one state point."""
    trajectory = gd.open_trajectory(point.path)
    distribution = gd.radial_distribution(trajectory, n_bins=300)
    k = gd.first_peak_wavenumber(gd.structure_factor(trajectory, k_max=12.0))
    correlations = self_correlations(trajectory, k=k)
    relaxation = relaxation_time(correlations)
    inherent = np.full(1, np.nan)
    if point.inherent:
        inherent = gd.open_trajectory(f"{point.path}/inherent")["energy"].mean("particle").values
    return State(
        model=point.simulation.model.name,
        temperature=point.temperature,
        k=k,
        tau=float(relaxation["tau_total"]),
        tau_error=float(relaxation["tau_total_error"]),
        energy=float(trajectory["energy"].mean()),
        inherent_energy=float(inherent.mean()),
        inherent_error=float(inherent.std() / np.sqrt(len(inherent))),
        distribution=distribution,
        correlations=correlations,
    )


def write_tables(states: list[State], folder: Path) -> None:
    """One row a state."""
    names = ("model", "temperature", "k", "tau", "tau_error", "energy", "inherent_energy", "inherent_error")
    plotting.write_table(folder / "states.csv", {name: [getattr(s, name) for s in states] for name in names})


def draw(states: list[State], folder: Path) -> None:
    """tau_alpha(T), E_IS(T), and g(r) and F_s(k*, t) of every state, one column of panels a model."""
    models = sorted({state.model for state in states})
    drawn, axes = plotting.figure(4, max(len(models), 1))
    table: dict[str, np.ndarray] = {}
    for column, model in enumerate(models):
        chosen = sorted((s for s in states if s.model == model), key=lambda s: s.temperature)
        temperature = np.array([s.temperature for s in chosen])
        colors = colormaps["coolwarm"](np.linspace(0, 1, len(chosen)))
        relax, energy, pairs, scattering = axes[:, column]
        relax.errorbar(1 / temperature, [s.tau for s in chosen], [s.tau_error for s in chosen], fmt="o-", color="black",
                       markersize=4, linewidth=1)  # fmt: skip
        relax.set(yscale="log", xlabel="$1/T$", ylabel=r"$\tau_\alpha$", title=model)
        energy.errorbar(temperature, [s.inherent_energy for s in chosen], [s.inherent_error for s in chosen], fmt="s-",
                        color=plotting.RED, markersize=4, linewidth=1)  # fmt: skip
        energy.set(xlabel="$T$", ylabel=r"$E_\mathrm{IS}/N$")
        for state, color in zip(chosen, colors):
            label = f"T={state.temperature:g}"
            g, fs = state.distribution["g_total"], state.correlations["fs_total"]
            pairs.plot(g["r"], g, color=color, linewidth=1, label=label)
            scattering.plot(fs["lag"], fs, "o-", color=color, markersize=2, linewidth=1, label=label)
            table[f"{model} {label} r"], table[f"{model} {label} g"] = g["r"].values, g.values
            table[f"{model} {label} t"], table[f"{model} {label} F_s"] = fs["lag"].values, fs.values
        pairs.set(xlabel="$r$", ylabel="$g(r)$", ylim=(0, None))
        scattering.axhline(np.exp(-1), color=plotting.GREY, linewidth=0.7)
        scattering.set(xscale="log", xlabel="$t$", ylabel=r"$F_s(k^*, t)$", ylim=(None, 1.02))
        scattering.legend(frameon=False, fontsize="x-small")
    plotting.save(drawn, folder / "sweep", table)


if __name__ == "__main__":
    main()
