"""Swap Monte Carlo far below the mode-coupling temperature: do two histories end in the same liquid?

Run by hand: ``nice python -m tests.benchmarks.bench_swap FOLDER [SCALE]``. A thousand particles of `POLYDISPERSE` go
from T = 0.2 to 0.09, one at once and one in 12000 sweeps, and stay there; the slow one goes on to 0.075 (mode coupling
would arrest it at 0.1). SCALE multiplies all numbers of sweeps; with 1 it is 67000 of them, some 2 minutes of a free
core, and what was interrupted goes on. Printed are energies of the second half at each temperature, with errors from
blocks, and how many of these errors two histories differ by, in energy and in S(k); FOLDER/swap.png shows energies,
what was accepted, how far diameters have diffused, and S(k), and FOLDER/swap.csv has the first three as numbers.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import glassdask as gd
from glassdask import plotting
from glassdask.simulation import RandomStart, Simulation, SwapMonteCarlo, simulate

TARGETS = (0.09, 0.075)
BLOCKS = 4  # of the second half
ROWS = 100  # of the log of a history


def histories(scale: float) -> dict[str, tuple[SwapMonteCarlo, ...]]:
    """The stages of both."""

    def stage(sweeps, temperature, every=None):
        return SwapMonteCarlo(
            sweeps=max(1, round(scale * sweeps)), temperature=temperature, every=every and max(1, round(scale * every))
        )

    return {
        "at once": (stage(300, 0.2), stage(20_000, 0.09, 200)),
        "slowly": (
            stage(1000, 0.2), stage(12_000, (0.2, 0.09)), stage(16_000, 0.09, 200), stage(6000, (0.09, 0.075)),
            stage(12_000, 0.075, 200),
        ),
    }  # fmt: skip


def diffusion(diameter: np.ndarray) -> np.ndarray:
    """Mean square change of diameters by lag, of twice their variance: 1 where nothing is remembered."""
    lags = range(1, max(2, len(diameter) // 2))
    return np.array([((diameter[k:] - diameter[:-k]) ** 2).mean() for k in lags]) / (2.0 * diameter[0].var())


def error_of(blocks: np.ndarray) -> np.ndarray:
    """Standard error of the mean of blocks."""
    return np.asarray(blocks.std(axis=0, ddof=1) / len(blocks) ** 0.5)


def rms(values: np.ndarray) -> float:
    """Root of the mean square of those that are finite."""
    return float(np.sqrt(np.mean(values[np.isfinite(values)] ** 2)))


def at(trajectory: xr.Dataset, thermo: xr.Dataset, temperature: float) -> xr.Dataset:
    """The frames at a temperature."""
    found = np.interp(trajectory["time"], thermo["time"], thermo["temperature"])
    return trajectory.isel(frame=np.flatnonzero(np.abs(found - temperature) < 1e-9)[1:])


def note(log: dict[str, list[float | str]], name: str, trajectory: xr.Dataset, thermo: xr.Dataset) -> None:
    """Rows of means over a hundredth of a history each; diameters are compared with the first frame at the target."""
    there = at(trajectory, thermo, TARGETS[0])
    first, begun, times = there["diameter"].values[0], float(there["time"][0]), trajectory["time"].values
    for part in np.array_split(np.arange(thermo.sizes["sample"]), ROWS):
        rows = thermo.isel(sample=part)
        time = float(rows["time"][-1])
        now = trajectory["diameter"].values[int(np.abs(times - time).argmin())]
        row: dict[str, float | str] = {"history": name, "sweeps": time}
        row |= {
            what: round(float(rows[what].mean()), 5)
            for what in ("temperature", "potential_energy", "accepted_moves", "accepted_exchanges")
        }
        changed = float(((now - first) ** 2).mean() / (2.0 * first.var()))
        row["diameters_changed"] = round(changed, 4) if time >= begun else np.nan
        for column, value in row.items():
            log.setdefault(column, []).append(value)


def main() -> None:
    folder, scale = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    log: dict[str, list[float | str]] = {}
    means: dict[float, list] = {temperature: [] for temperature in TARGETS}
    for seed, (name, stages) in enumerate(histories(scale).items(), start=1):
        path = str(folder / f"swap-{seed}.zarr")
        run = Simulation(model="polydisperse", start=RandomStart(n_particles=1000), stages=stages, seed=seed)
        simulate(run, path).compute(scheduler="synchronous")
        trajectory, thermo = gd.open_trajectory(path).load(), gd.open_reduction(path, "thermo").load()
        note(log, name, trajectory, thermo)
        axes[0, 0].plot(thermo["time"], thermo["potential_energy"], label=name)
        for what, style in (("moves", "-"), ("exchanges", ":")):
            axes[0, 1].plot(thermo["time"], thermo[f"accepted_{what}"], style, label=f"{what}, {name}")
        for temperature in TARGETS:
            frames = at(trajectory, thermo, temperature)
            if frames.sizes["frame"] < 4:
                continue
            times, label = frames["time"].values, f"{name}, T = {temperature}"
            later = frames.isel(frame=slice(frames.sizes["frame"] // 2, None))
            parts = [later.isel(frame=k) for k in np.array_split(np.arange(later.sizes["frame"]), BLOCKS)]
            found = [gd.structure_factor(part, k_max=12.0, n_bins=60) for part in parts]
            k, waves = found[0]["k"].values, np.array([part["S"].values.squeeze() for part in found])
            blocks = np.array([float(part["energy"].mean()) for part in parts])
            means[temperature].append([(values.mean(axis=0), error_of(values)) for values in (blocks, waves)])
            print(f"{label}: energy {blocks.mean():.4f} +- {error_of(blocks):.4f}")
            curve = diffusion(frames["diameter"].values)
            axes[1, 0].semilogx((times[1] - times[0]) * np.arange(1, len(curve) + 1), curve, label=label)
            axes[1, 1].errorbar(k, waves.mean(axis=0), error_of(waves), label=label, linewidth=0.8)
    for temperature, histories_there in means.items():
        for one, other in combinations(histories_there, 2):
            apart = [(a[0] - b[0]) / np.hypot(a[1], b[1]) for a, b in zip(one, other)]
            print(f"T = {temperature}: apart by {apart[0]:.1f} errors in energy, {rms(apart[1]):.1f} (rms) in S(k)")
    axes[0, 0].set(xlabel="sweeps", ylabel="energy of a particle", ylim=(0.3, 0.7))
    axes[0, 1].set(xlabel="sweeps", ylabel="accepted")
    axes[1, 0].set(xlabel="sweeps", ylabel="change of diameters / 2 variance")
    axes[1, 1].set(xlabel="k", ylabel="S(k)")
    for one in axes.flat:
        one.legend(fontsize=7)
    figure.savefig(folder / "swap.png", dpi=70)
    plotting.write_table(folder / "swap.csv", log)


if __name__ == "__main__":
    main()
