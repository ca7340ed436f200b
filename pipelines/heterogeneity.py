"""How cooperative motion becomes as a liquid slows down: chi_4(t), S_4(q, t) and xi_4 at several temperatures.

Methods. Of every state of the sweeps (one model; simulations of any length, or trajectories of your own) F_s(k, t) and
the overlap Q(t) are averaged over time origins, tau_alpha is where F_s has fallen to 1/e, and chi_4(t) is N times the
variance of Q among the origins (Lacevic et al., J. Chem. Phys. 119, 7372 (2003)), at fixed N, energy and composition.
S_4(q, t) and its Ornstein-Zernike length xi_4 are taken at the time t_4 of the highest chi_4. Errors are from blocks of
origins. A length of more than a tenth of the box is drawn as an open circle: the box holds too few of them.

    glassdask sweep run pipelines/data/heterogeneity.toml        # hours; the same command goes on
    python pipelines/heterogeneity.py results/heterogeneity.zarr --output results/heterogeneity
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from rich.progress import track

import glassdask as gd
from glassdask import plotting
from glassdask.sweep import status

TOO_LONG = 0.1  # of the box


@dataclass(frozen=True)
class State:
    """What is found of one temperature."""

    temperature: float
    n_particles: int
    averages: xr.Dataset
    susceptibility: xr.Dataset
    four_point: xr.Dataset
    tau: float
    tau_error: float

    @property
    def peak(self) -> int:
        """Where chi_4 is highest."""
        return highest(self.susceptibility)


def main() -> None:
    """Measure all states, write the table and the figure."""
    parser = argparse.ArgumentParser(description="chi_4, S_4 and xi_4 of the states of sweeps over temperatures.")
    parser.add_argument("sweeps", nargs="+", type=Path, help="stores of sweeps, all of one model")
    parser.add_argument("--output", type=Path, default=Path("results/heterogeneity"), help="folder of table and figure")
    parser.add_argument(
        "--k", type=float, default=7.2, help="wave number of F_s, default the first peak of Kob-Andersen"
    )
    parser.add_argument("--a", type=float, default=0.3, help="distance of the overlap")
    chosen = parser.parse_args()
    rows = [row for sweep in chosen.sweeps for _, row in status(sweep).iterrows()]
    models = sorted({row["model"] for row in rows})
    if len(models) != 1:
        sys.exit(f"expected states of one model, found {', '.join(models) or 'none'}: give the sweeps of one")
    waiting = [row["path"] for row in rows if not _there(row)]
    for name in waiting:
        print(f"left out, its trajectory is not complete: {name}", file=sys.stderr)
    states = [
        measured(gd.open_trajectory(row["path"]), float(row["temperature"]), chosen.k, chosen.a)
        for row in track([row for row in rows if _there(row)], "measure")
    ]
    states.sort(key=lambda state: -state.temperature)
    if not states:
        sys.exit("no state is complete: glassdask sweep run ...")
    chosen.output.mkdir(parents=True, exist_ok=True)
    plotting.write_table(chosen.output / "heterogeneity.csv", table(states))
    draw(states, models[0], chosen.k, chosen.a, chosen.output)
    for state in states:
        chi, error, xi, xi_error = peaks(state)
        print(
            f"T = {state.temperature:g}: tau_alpha {state.tau:.3g}({state.tau_error:.1g}), "
            f"chi_4 {chi:.2f}({error:.1g}) at {float(state.susceptibility['lag'][state.peak]):.3g}, "
            f"xi_4 {xi:.2f}({xi_error:.1g})"
        )
    print(chosen.output)


def _there(row: Any) -> bool:
    """Whether the trajectory of a state, a row of the sweep's table, is complete."""
    return row.get("simulate", row.get("ingest", "complete")) == "complete"


def measured(trajectory: xr.Dataset, temperature: float, k: float, a: float) -> State:
    """All of one temperature."""
    averages = gd.dynamics.self_correlations(trajectory, k=k, a=a)
    relaxation = gd.dynamics.relaxation_time(averages)
    susceptibility = gd.dynamics.dynamic_susceptibility(trajectory, a=a, k=k)
    lag = float(susceptibility["lag"][highest(susceptibility)])
    return State(
        temperature,
        trajectory.sizes["particle"],
        averages,
        susceptibility,
        gd.dynamics.four_point(trajectory, lag=lag, a=a),
        float(relaxation["tau_total"]),
        float(relaxation["tau_total_error"]),
    )


def highest(susceptibility: xr.Dataset) -> int:
    """The lag of the highest chi_4 of all particles; of longer ones without an error there are too few origins."""
    chi = susceptibility["chi4_total"].where(np.isfinite(susceptibility["chi4_total_error"]))
    return int(chi.argmax("lag"))


def peaks(state: State) -> tuple[float, float, float, float]:
    """chi_4 at its highest and its error, xi_4 and its error; NaN where the fit of xi_4 has none."""
    at, found = state.peak, state.susceptibility
    xi, error = (float(state.four_point[name]) for name in ("xi4_total", "xi4_total_error"))
    xi = xi if np.isfinite(error) else np.nan  # a fit that some blocks of origins do not allow
    return float(found["chi4_total"][at]), float(found["chi4_total_error"][at]), xi, error


def table(states: list[State]) -> dict[str, list[float]]:
    """A row for each temperature."""
    names = ("chi4", "chi4_error", "xi4", "xi4_error")
    columns = {name: [peaks(state)[n] for state in states] for n, name in enumerate(names)}
    return {
        "temperature": [state.temperature for state in states],
        "particles": [state.n_particles for state in states],
        "tau_alpha": [state.tau for state in states],
        "tau_alpha_error": [state.tau_error for state in states],
        "t4": [float(state.susceptibility["lag"][state.peak]) for state in states],
        **columns,
        "box": [float(state.four_point.attrs["box_width"]) for state in states],
    }


def draw(states: list[State], model: str, k: float, a: float, folder: Path) -> None:
    """F_s(t) and chi_4(t) at each temperature; S_4(q) with its fits; what grows against tau_alpha."""
    drawn, axes = plotting.figure(2, 2)
    (scattering, chi), (waves, growth) = axes
    colors = colormaps["plasma"](np.linspace(0, 0.85, len(states)))
    for state, color in zip(states, colors):
        lag, name = state.averages["lag"], f"$T = {state.temperature:g}$"
        scattering.errorbar(lag, state.averages["fs_total"], state.averages["fs_total_error"], color=color, label=name)
        found = state.susceptibility
        chi.errorbar(found["lag"], found["chi4_total"], found["chi4_total_error"], color=color, label=name)
        four = state.four_point
        waves.plot(four["q"], four["s4_total"], ".", color=color, label=name)
        xi = peaks(state)[2]
        if np.isfinite(xi):
            q = np.linspace(0.0, float(four["q_fit_total"]), 50)
            waves.plot(q, float(four["s4_zero_total"]) / (1 + (q * xi) ** 2), color=color)
    values = np.array([peaks(state) for state in states])
    tau = np.array([state.tau for state in states])
    growth.errorbar(tau, values[:, 0], values[:, 1], fmt="s-", color=plotting.RED, label=r"$\chi_4(t_4)$")
    long = values[:, 2] > TOO_LONG * np.array([state.four_point.attrs["box_width"] for state in states])
    growth.errorbar(tau, values[:, 2], values[:, 3], fmt="-", color=plotting.BLACK)
    growth.plot(tau[~long], values[~long, 2], "o", color=plotting.BLACK, label=r"$\xi_4$")
    if long.any():
        growth.plot(tau[long], values[long, 2], "o", mfc="white", color=plotting.BLACK, label=r"$\xi_4$, box too small")
    scattering.axhline(np.exp(-1), color=plotting.GREY, linewidth=0.7)
    title = f"{model.replace('_', ' ')}, N = {states[0].n_particles}"
    scattering.set(xscale="log", xlabel="$t$", ylabel=f"$F_s(k = {k:g}, t)$", title=title)
    chi.set(xscale="log", xlabel="$t$", ylabel=rf"$\chi_4(t)$, $a = {a:g}$", ylim=(0, None))
    waves.set(xlabel="$q$", ylabel="$S_4(q, t_4)$", yscale="log")
    growth.set(xscale="log", yscale="log", xlabel=r"$\tau_\alpha$")
    for axis in (growth.xaxis, growth.yaxis, waves.yaxis):
        plotting.labelled_decades(axis)
    for ax in (scattering, growth):
        ax.legend(frameon=False, fontsize="x-small")
    plotting.save(drawn, folder / "heterogeneity", table(states))


if __name__ == "__main__":
    main()
