"""The other simulations: cooling with inherent structures (Fig. S9) and isoconfigurational ensembles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import glassdask as gd
from glassdask.dynamics import crossover_temperature
from paper_c.published import System
from paper_c.sources import MELT, Sizes

STEPS = (20, 24)  # temperatures at which energies are taken above and below T_L


def energy_tasks(system: System, sizes: Sizes, folder: Path) -> list[Any]:
    """Cooling runs whose configurations on the way are minimised."""
    from glassdask.simulation import MODELS, Dynamics, RandomStart, Simulation, inherent_structures, quench, simulate

    model = MODELS[system.name]
    runs, particles = sizes.energies
    above, below = (
        quench(high, low, sizes.rate).time / steps
        for (high, low), steps in zip(((MELT, system.liquid), (system.liquid, system.glass)), STEPS)
    )
    tasks = []
    for k in range(runs):
        protocol = Simulation(
            model=model,
            start=RandomStart(n_particles=particles),
            stages=(
                Dynamics(time=sizes.melt, temperature=MELT),
                quench(MELT, system.liquid, sizes.rate, every=above),
                quench(system.liquid, system.glass, sizes.rate, every=below),
            ),
            seed=1000 + k,
        )
        store = folder / system.name / f"energies-{k:03d}.zarr"
        trajectory = simulate(protocol, str(store))
        tasks.append(inherent_structures(model, str(store), f"{store}/inherent", after=trajectory))
    return tasks


@dataclass(frozen=True)
class Energies:
    """Means over cooling runs at each temperature, and their standard errors: (temperature,)."""

    temperature: np.ndarray
    energy: np.ndarray
    energy_error: np.ndarray
    inherent: np.ndarray
    inherent_error: np.ndarray

    def crossing(self, lower: tuple[float, float], upper: tuple[float, float]) -> tuple[float, float, Any]:
        """Temperature where the lines through two ranges of E_0 meet, its error, and the lines."""
        found = crossover_temperature(self.temperature, self.inherent, lower, upper)
        return float(found["temperature"]), float(found["temperature_error"]), found


def energies(system: System, sizes: Sizes, folder: Path) -> Energies:
    """E(T) and E_0(T) of the cooling runs."""
    thermal, inherent = [], []
    for k in range(sizes.energies[0]):
        store = folder / system.name / f"energies-{k:03d}.zarr"
        trajectory = gd.open_trajectory(store)
        step = trajectory["step"].values
        first = np.searchsorted(step, step)[0 : len(step)] == np.arange(len(step))  # T_L is kept by both stages
        time = trajectory["time"].values - sizes.melt
        temperature = np.maximum(MELT - sizes.rate * time, system.glass)
        thermal.append(trajectory["energy"].mean("particle").values[first])
        inherent.append(gd.open_trajectory(f"{store}/inherent")["energy"].mean("particle").values[first])
    share = np.sqrt(max(len(thermal) - 1, 1) * len(thermal))
    spread = [np.sqrt(((np.array(x) - np.mean(x, axis=0)) ** 2).sum(axis=0)) / share for x in (thermal, inherent)]
    return Energies(temperature[first], np.mean(thermal, axis=0), spread[0], np.mean(inherent, axis=0), spread[1])


def ensemble_stores(system: System, sizes: Sizes, folder: Path) -> dict[float, Path]:
    """Where the isoconfigurational ensemble of each temperature lies."""
    return {T: folder / system.name / f"propensity-T={T:.3f}.zarr" for T in sizes.temperatures}


def ensemble_tasks(system: System, sizes: Sizes, folder: Path, start: Path, frame: int, after: Any) -> list[Any]:
    """Sec. III E: runs from one glass configuration at temperatures at which it can relax."""
    from glassdask.simulation import MODELS, Isoconfigurational, StoredStart, isoconfigurational, logarithmic_times

    model = MODELS[system.name]
    tasks = []
    for (temperature, store), longest in zip(ensemble_stores(system, sizes, folder).items(), sizes.longest):
        protocol = Isoconfigurational(
            model=model,
            start=StoredStart(path=str(start), frame=frame),
            temperature=temperature,
            lags=logarithmic_times(0.5, longest, sizes.lags, model.timestep),
            replicas=sizes.replicas,
            ensemble="nvt",
            keep=True,
            batch=-(-sizes.replicas // 10),
        )
        tasks.append(isoconfigurational(protocol, str(store), after=after))
    return tasks
