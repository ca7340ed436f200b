"""Swap Monte Carlo far below the mode-coupling temperature: do two histories end in the same liquid?

Run by hand: ``nice python -m tests.benchmarks.bench_swap FOLDER [SCALE]``. A thousand particles of `POLYDISPERSE` go
from T = 0.2 to 0.09, one at once and one in 10000 sweeps, and stay there (mode coupling would arrest them at 0.1).
SCALE multiplies all numbers of sweeps; with 1 it is 55000 of them, some 45 s of a free core, and what was interrupted
goes on. With 15 they stay longer than the diameters remember.

The memory of the diameters is how long it takes until their mean square change is 1 - 1/e of what it can be. As long is
left out after the arrival, and the rest is cut into blocks of at least that length, whose scatter gives the errors.
Printed are energies, and how many of these errors the two differ by, in energy and in S(k), beside what is expected of
the same liquid: errors from few blocks are uncertain themselves, as in Student's distribution. FOLDER/swap.png shows
energies, what was accepted, how far diameters have diffused, and S(k), and FOLDER/swap.csv has the first three.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import glassdask as gd
from glassdask import plotting
from glassdask.simulation import RandomStart, Simulation, SwapMonteCarlo, simulate

TARGET = 0.09
REMEMBERED = 1.0 - np.exp(-1.0)  # change of diameters, of what it can be, after which they count as forgotten
MOST_BLOCKS = 8
ROWS = 100  # of the log of a history


def histories(scale: float) -> dict[str, tuple[SwapMonteCarlo, ...]]:
    """The stages of both."""

    def stage(sweeps, temperature, every=None):
        return SwapMonteCarlo(
            sweeps=max(1, round(scale * sweeps)), temperature=temperature, every=every and max(1, round(scale * every))
        )

    return {
        "at once": (stage(300, 0.2), stage(24_000, 0.09, 200)),
        "slowly": (stage(1000, 0.2), stage(10_000, (0.2, 0.09)), stage(20_000, 0.09, 200)),
    }


def diffusion(diameter: np.ndarray) -> np.ndarray:
    """Mean square change of diameters by lag, of twice their variance: 1 where nothing is remembered."""
    lags = range(1, max(2, len(diameter) // 2))
    return np.array([((diameter[k:] - diameter[:-k]) ** 2).mean() for k in lags]) / (2.0 * diameter[0].var())


def memory(change: np.ndarray) -> int:
    """Frames until the diameters are forgotten; where that is not seen, a third of all, which still gives blocks."""
    forgotten = np.flatnonzero(change > REMEMBERED)
    if not len(forgotten):
        print(f"the diameters change by {change.max():.2f} of what they can only: make SCALE larger")
    return int(forgotten[0]) + 1 if len(forgotten) else max(1, 2 * len(change) // 3)


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
    there = at(trajectory, thermo, TARGET)
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
    means = []
    for seed, (name, stages) in enumerate(histories(scale).items(), start=1):
        path = str(folder / f"swap-{seed}.zarr")
        run = Simulation(model="polydisperse", start=RandomStart(n_particles=1000), stages=stages, seed=seed)
        simulate(run, path).compute(scheduler="synchronous")
        trajectory, thermo = gd.open_trajectory(path).load(), gd.open_reduction(path, "thermo").load()
        note(log, name, trajectory, thermo)
        axes[0, 0].plot(thermo["time"], thermo["potential_energy"], label=name)
        for what, style in (("moves", "-"), ("exchanges", ":")):
            axes[0, 1].plot(thermo["time"], thermo[f"accepted_{what}"], style, label=f"{what}, {name}")
        frames = at(trajectory, thermo, TARGET)
        times, change = frames["time"].values, diffusion(frames["diameter"].values)
        step, length = times[1] - times[0], memory(change)
        later = frames.isel(frame=slice(length, None))
        number = min(MOST_BLOCKS, max(2, later.sizes["frame"] // length))
        parts = [later.isel(frame=k) for k in np.array_split(np.arange(later.sizes["frame"]), number)]
        found = [gd.structure_factor(part, k_max=12.0, n_bins=60) for part in parts]
        k, waves = found[0]["k"].values, np.array([part["S"].values.squeeze() for part in found])
        blocks = np.array([float(part["energy"].mean()) for part in parts])
        means.append([(values.mean(axis=0), error_of(values), number) for values in (blocks, waves)])
        print(
            f"{name}: energy {blocks.mean():.5f} +- {error_of(blocks):.5f}, {number} blocks of "
            f"{step * later.sizes['frame'] / number:.0f} sweeps; the diameters remember {step * length:.0f}"
        )
        axes[1, 0].semilogx(step * np.arange(1, len(change) + 1), change, label=name)
        axes[1, 1].errorbar(k, waves.mean(axis=0), error_of(waves), label=name, linewidth=0.8)
    one, other = means
    apart = [(a[0] - b[0]) / np.hypot(a[1], b[1]) for a, b in zip(one, other)]
    freedom = one[0][2] + other[0][2] - 2  # at most: of errors that are alike
    expected = f"{(freedom / (freedom - 2)) ** 0.5:.1f}" if freedom > 2 else "any number"
    print(f"apart by {apart[0]:.1f} errors in energy, {rms(apart[1]):.2f} (rms) in S(k); expected {expected}")
    axes[0, 0].set(xlabel="sweeps", ylabel="energy of a particle", ylim=(0.3, 0.7))
    axes[0, 1].set(xlabel="sweeps", ylabel="accepted")
    axes[1, 0].axhline(REMEMBERED, color="grey", linewidth=0.7)
    axes[1, 0].set(xlabel="sweeps", ylabel="change of diameters / 2 variance")
    axes[1, 1].set(xlabel="k", ylabel="S(k)")
    for one in axes.flat:
        one.legend(fontsize=7)
    figure.savefig(folder / "swap.png", dpi=70)
    plotting.write_table(folder / "swap.csv", log)


if __name__ == "__main__":
    main()
