"""How cooperative motion becomes as a liquid slows down: chi_4(t), S_4(q, t) and xi_4 at several temperatures.

Methods. Of every state of the sweeps (one model; simulations of any length, or trajectories of your own) F_s(k, t) and
the overlap Q(t) are averaged over time origins, tau_alpha is where F_s has fallen to 1/e, and chi_4(t) is N times the
variance of Q among the origins (Lacevic et al., J. Chem. Phys. 119, 7372 (2003)): at fixed N and composition, in the
ensemble of the simulation. Of states at constant energy, chi_4 at constant temperature is given as well: what the
energy adds is known from the slope of Q (Berthier et al., J. Chem. Phys. 126, 184503 (2007)). S_4(q, t) and its
Ornstein-Zernike length xi_4 are taken at the time t_4 of the highest chi_4. Errors are from blocks of origins. A length
of more than a tenth of the box is drawn as an open circle: the box holds too few of them.

Beside Kob and Andersen's mixture stands what others have found in it, `data/heterogeneity_published.csv`, each with
its source: relaxation times and chi_4. Most of the latter is chi_4 of the propensity, the share of particles whose mean
displacement over many runs from the same configuration is below a: of another definition than that of single runs,
which has chance in it, and with a peak when the mean displacement is a. With ``--earlier`` the rows of tables that this
pipeline wrote before, of other sizes or temperatures, are kept and drawn, too; without sweeps, they alone.

    glassdask sweep run pipelines/data/heterogeneity.toml        # hours; the same command goes on
    python pipelines/heterogeneity.py results/heterogeneity.zarr --output results/heterogeneity
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from refusing import told
from rich.progress import track

import glassdask as gd
from glassdask import plotting
from glassdask.errors import ParameterError
from glassdask.store import info
from glassdask.sweep import status

TOO_LONG = 0.1  # of the box
PUBLISHED = Path(__file__).parent / "data" / "heterogeneity_published.csv"
OWN = "overlap of single runs"
# of the rows of others, by what they are of
PUBLISHED_TIME = "published: relaxation time"
PUBLISHED_MARKERS = {"published: propensity": "^", "public runs, analysed here": "D"}


@dataclass(frozen=True)
class State:
    """What is found of one temperature; `ensemble` is that of the simulation, `energy` and `measured` its averages."""

    temperature: float
    n_particles: int
    ensemble: str
    energy: float
    measured: float
    susceptibility: xr.Dataset
    four_point: xr.Dataset
    tau: float
    tau_error: float

    @property
    def peak(self) -> int:
        """Where chi_4 is highest."""
        return highest(self.susceptibility)

    @property
    def t4(self) -> float:
        """The lag of the highest chi_4."""
        return float(self.susceptibility["lag"][self.peak])


@told
def main() -> None:
    """Measure all states, write the tables and the figure."""
    parser = argparse.ArgumentParser(description="chi_4, S_4 and xi_4 of the states of sweeps over temperatures.")
    parser.add_argument("sweeps", nargs="*", type=Path, help="stores of sweeps, all of one model")
    parser.add_argument("--output", type=Path, default=Path("results/heterogeneity"), help="folder of all results")
    parser.add_argument("--earlier", nargs="+", type=Path, default=[], help="tables of earlier runs, heterogeneity.csv")
    parser.add_argument(
        "--k", type=float, default=7.2, help="wave number of F_s, default the first peak of Kob-Andersen"
    )
    parser.add_argument("--a", type=float, default=0.3, help="distance of the overlap")
    chosen = parser.parse_args()
    wanted = [row for sweep in chosen.sweeps for _, row in status(sweep).iterrows()]
    models = sorted({row["model"] for row in wanted})
    if len(models) > 1 or (chosen.sweeps and not models):
        sys.exit(f"expected states of one model, found {', '.join(models) or 'none'}: give the sweeps of one")
    waiting = [row["path"] for row in wanted if not _there(row)]
    for name in waiting:
        print(f"left out, its trajectory is not complete: {name}", file=sys.stderr)
    states = [
        measured(row["path"], float(row["temperature"]), chosen.k, chosen.a)
        for row in track([row for row in wanted if _there(row)], "measure")
    ]
    states.sort(key=lambda state: -state.temperature)
    rows = table(states, at_constant_temperature(states), "".join(models), chosen.a)
    rows += [row for file in chosen.earlier for row in read(file) if row.get("quantity") == OWN]
    if not rows:
        sys.exit("no state is complete: glassdask sweep run ...")
    if {row.get("model") for row in rows} == {"kob_andersen"}:
        rows += read(PUBLISHED)
    chosen.output.mkdir(parents=True, exist_ok=True)
    draw(rows, chosen.a, chosen.output / "heterogeneity")
    if states:
        draw_curves(states, models[0], chosen.k, chosen.a, chosen.output / "curves")
    for state in states:
        chi, error, xi, xi_error = peaks(state)
        print(
            f"T = {state.temperature:g}: tau_alpha {state.tau:.3g}({state.tau_error:.1g}), "
            f"chi_4 {chi:.2f}({error:.1g}) at {state.t4:.3g} ({state.ensemble}), xi_4 {xi:.2f}({xi_error:.1g})"
        )
    print(chosen.output)


def _there(row: Any) -> bool:
    """Whether the trajectory of a state, a row of the sweep's table, is complete."""
    return row.get("simulate", row.get("ingest", "complete")) == "complete"


def measured(path: str, temperature: float, k: float, a: float) -> State:
    """All of one temperature; the displacements are summed once for F_s, Q and their fluctuations."""
    trajectory = gd.open_trajectory(path)
    susceptibility = gd.dynamics.dynamic_susceptibility(trajectory, a=a, k=k)
    if not np.isfinite(susceptibility["chi4_total_error"]).any():
        raise ParameterError(
            f"{path}: {trajectory.sizes['frame']} frames are too few origins for an error of chi_4 at any lag: give a "
            "longer run, or leave out the state"
        )
    relaxation = gd.dynamics.relaxation_time(susceptibility)
    lag = float(susceptibility["lag"][highest(susceptibility)])
    ensemble, energy, mean = simulated(path, trajectory)
    return State(
        temperature,
        trajectory.sizes["particle"],
        ensemble,
        energy,
        mean,
        susceptibility,
        gd.dynamics.four_point(trajectory, lag=lag, a=a),
        float(relaxation["tau_total"]),
        float(relaxation["tau_total_error"]),
    )


def simulated(path: str, trajectory: xr.Dataset) -> tuple[str, float, float]:
    """Ensemble of the last stage, mean potential energy of a particle and mean temperature there; of others nothing."""
    stages = (trajectory.attrs.get("parameters") or {}).get("stages")
    if not stages or "thermo" not in info(path)["reductions"]:
        return "unknown ensemble", np.nan, np.nan
    thermo = gd.open_reduction(path, "thermo").load()
    last = thermo.isel(sample=thermo["stage"].values == thermo["stage"].values.max())
    return stages[-1]["ensemble"].upper(), *(float(last[name].mean()) for name in ("potential_energy", "temperature"))


def at_constant_temperature(states: list[State]) -> list[xr.Dataset] | None:
    """chi_4 of the canonical ensemble, where all states are of constant energy."""
    energies = [state.energy for state in states]
    if len(states) < 2 or {state.ensemble for state in states} != {"NVE"} or not np.isfinite(energies).all():
        return None
    return gd.dynamics.canonical_susceptibility(
        [state.susceptibility for state in states], [state.temperature for state in states], energies=energies
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


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of a table, each with its source."""
    try:
        with open(file, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{file}: cannot be read ({error}): give a heterogeneity.csv") from None
    if any(not row.get("quantity") for row in rows):
        raise ParameterError(f"{file}: no column `quantity`, which says what each row is of: give a heterogeneity.csv")
    return rows


def table(states: list[State], canonical: list[xr.Dataset] | None, model: str, a: float) -> list[dict[str, Any]]:
    """A row for each temperature."""
    rows = []
    for n, state in enumerate(states):
        chi, chi_error, xi, xi_error = peaks(state)
        nvt = {} if canonical is None else canonical[n].isel(lag=state.peak)
        rows.append(
            {
                "model": model, "temperature": state.temperature,
                "mean_temperature": state.measured,
                "particles": state.n_particles, "ensemble": state.ensemble,
                "tau_alpha": state.tau, "tau_alpha_error": state.tau_error,
                "t4": state.t4, "chi4": chi, "chi4_error": chi_error,
                "chi4_nvt": float(nvt.get("chi4_nvt_total", np.nan)),
                "chi4_nvt_error": float(nvt.get("chi4_nvt_total_error", np.nan)),
                "xi4": xi, "xi4_error": xi_error, "box": float(state.four_point.attrs["box_width"]),
                "quantity": OWN,
                "source": f"pipelines/heterogeneity.py: overlap, a = {a:g}; tau_alpha where F_s of all is 1/e",
            }
        )  # fmt: skip
    return rows


def curves(states: list[State]) -> dict[str, list[float]]:
    """The curves of all temperatures, a row for each lag."""
    names = ("fs_total", "fs_total_error", "overlap_total", "overlap_total_error", "chi4_total", "chi4_total_error")
    found = [state.susceptibility for state in states]
    columns: dict[str, list[float]] = {
        "temperature": [state.temperature for state in states for _ in state.susceptibility["lag"]],
        "lag": np.concatenate([run["lag"].values for run in found]).tolist(),
    }
    return columns | {name: np.concatenate([run[name].values for run in found]).tolist() for name in names}


def draw_curves(states: list[State], model: str, k: float, a: float, path: Path) -> None:
    """F_s(t), chi_4(t), and S_4(q) with its fits, of all temperatures."""
    drawn, axes = plotting.figure(1, 3)
    scattering, chi, waves = axes[0]
    colors = colormaps["plasma"](np.linspace(0, 0.85, len(states)))
    for state, color in zip(states, colors):
        found, name = state.susceptibility, f"$T = {state.temperature:g}$"
        scattering.errorbar(found["lag"], found["fs_total"], found["fs_total_error"], color=color, label=name)
        chi.errorbar(found["lag"], found["chi4_total"], found["chi4_total_error"], color=color, label=name)
        four = state.four_point
        waves.errorbar(four["q"], four["s4_total"], four["s4_total_error"], fmt=".", color=color, label=name)
        xi = peaks(state)[2]
        if np.isfinite(xi):
            q = np.linspace(0.0, float(four["q_fit_total"]), 50)
            waves.plot(q, float(four["s4_zero_total"]) / (1 + (q * xi) ** 2), color=color)
    scattering.axhline(np.exp(-1), color=plotting.GREY, linewidth=0.7)
    ensembles = " and ".join(dict.fromkeys(state.ensemble for state in states))
    sizes = ", ".join(map(str, sorted({state.n_particles for state in states})))
    title = f"{model.replace('_', ' ')}, N = {sizes}, {ensembles}"
    scattering.set(xscale="log", xlabel="$t$", ylabel=f"$F_s(k = {k:g}, t)$", title=title)
    chi.set(xscale="log", xlabel="$t$", ylabel=rf"$\chi_4(t)$, $a = {a:g}$", ylim=(0, None))
    waves.set(xlabel="$q$", ylabel="$S_4(q, t_4)$", yscale="log")
    plotting.labelled_decades(waves.yaxis)
    scattering.legend(frameon=False, fontsize="x-small")
    plotting.save(drawn, path, curves(states))


def draw(rows: list[dict[str, Any]], a: float, path: Path) -> None:
    """What grows, how slow the liquid becomes, and when motion is most cooperative; beside published values."""
    drawn, axes = plotting.figure(2, 2, (4.0, 3.0))
    lengths, slowing, beside, times = axes.flat
    own = [row for row in rows if row["quantity"] == OWN]
    kinds = {(row["particles"], row["ensemble"]): None for row in own}
    for (n, ensemble), marker in zip(kinds, "so<>vph*"):
        some = [row for row in own if (row["particles"], row["ensemble"]) == (n, ensemble)]
        name, line = f"N = {n}, {ensemble}", {"marker": marker, "markersize": 4}
        tau, t4, height, xi, box = (numbers(some, column) for column in ("tau_alpha", "t4", "chi4", "xi4", "box"))
        error = numbers(some, "chi4_error")
        lengths.errorbar(tau, xi, numbers(some, "xi4_error"), color=plotting.BLACK, label=name, **line)
        lengths.plot(
            tau, np.where(xi > TOO_LONG * box, xi, np.nan), c=plotting.BLACK, mfc="white", ls="", zorder=3, **line
        )
        slowing.errorbar(
            numbers(some, "temperature"), tau, numbers(some, "tau_alpha_error"), c=plotting.RED, label=name, **line
        )
        beside.errorbar(t4, height, error, color=plotting.RED, ls="", label=name, **line)
        if np.isfinite(nvt := numbers(some, "chi4_nvt")).any():
            error = numbers(some, "chi4_nvt_error")
            beside.errorbar(t4, nvt, error, color=plotting.RED, ls="", mfc="white", label="the same, NVT", **line)
        times.plot(tau, t4, color=plotting.RED, label=name, **line)
    for quantity, (ax, x, y, marker) in {
        PUBLISHED_TIME: (slowing, "temperature", "tau_alpha", "x"),
        **{name: (beside, "t4", "chi4", marker) for name, marker in PUBLISHED_MARKERS.items()},
    }.items():
        if theirs := [row for row in rows if row["quantity"] == quantity]:
            values = (numbers(theirs, column) for column in (x, y, f"{y}_error"))
            ax.errorbar(*values, fmt=marker, color=plotting.BLACK, markersize=5, label=quantity)
    ends = np.array(times.get_xlim())
    times.plot(ends, ends, color=plotting.GREY, linewidth=0.7, label=r"$t_4 = \tau_\alpha$")
    lengths.set(
        xscale="log", xlabel=r"$\tau_\alpha$", ylabel=r"$\xi_4$, open: above a tenth of the box", ylim=(0, None)
    )
    slowing.set(yscale="log", xlabel="$T$", ylabel=r"$\tau_\alpha$")
    times.set(xscale="log", yscale="log", xlabel=r"$\tau_\alpha$", ylabel="$t_4$")
    beside.set(xscale="log", yscale="log", xlabel="$t_4$", ylabel=rf"$\chi_4(t_4)$, $a = {a:g}$")
    for ax in axes.flat:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                plotting.labelled_decades(axis)
        ax.legend(frameon=False, fontsize="xx-small")
    columns = dict.fromkeys(name for row in rows for name in row)
    plotting.save(drawn, path, {name: [row.get(name, "") for row in rows] for name in columns})


def numbers(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """A column, NaN where a row has none."""
    return np.array([float(row.get(name) or "nan") for row in rows])


if __name__ == "__main__":
    main()
