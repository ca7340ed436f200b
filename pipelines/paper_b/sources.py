"""What is simulated: supercooled liquids with isoconfigurational ensembles, glasses with quasistatic shear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dask.delayed import Delayed

import glassdask as gd
from glassdask import simulation
from glassdask.errors import ParameterError
from paper_b.published import MELT, STRAIN_INCREMENT, System


@dataclass(frozen=True)
class Thermal:
    """Isoconfigurational ensembles of one system.

    `shipped` starts from the configurations of the project, at the temperature they have; else as many `starts` of
    `particles` are melted, cooled and equilibrated as in the paper. Where there are more starts than shipped
    configurations, these go on for a time `apart` before each further one. `lag` is the time that motion is measured
    over. `kept` takes the sample that is kept of the system (`paper_b.kept`): nothing is simulated.
    """

    starts: int
    replicas: int
    lag: float
    temperature: float
    particles: int = 30_000
    shipped: bool = False
    apart: float = 0.0
    kept: bool = False
    timestep: float | None = None


@dataclass(frozen=True)
class Mechanical:
    """Athermal quasistatic shear of glasses that were quenched within a time `quench`.

    Strain goes to 0.1 in steps of `first`, then on in steps of `increment` through so many `windows` of 1 %.
    """

    particles: int
    realisations: int
    quench: float
    first: float
    increment: float
    windows: int


@dataclass(frozen=True)
class Sizes:
    """How much is done: the `small` profile takes minutes, `day` 10 to 20 hours of two cores, `paper` needs a cluster.

    `radii` are the cutoffs of Fig. 3, `repeats` the random subsets of the learning curves.
    """

    thermal: dict[str, Thermal]
    mechanical: dict[str, Mechanical]
    radii: tuple[float, ...]
    repeats: int


SMALL = Sizes(
    thermal={
        "polymer": Thermal(starts=4, replicas=8, lag=20.0, temperature=0.47, particles=1000, shipped=True),
        "kob_andersen": Thermal(starts=5, replicas=8, lag=15.0, temperature=0.45, particles=2000, shipped=True),
        "wahnstrom": Thermal(starts=4, replicas=6, lag=8.0, temperature=0.58, particles=4000, shipped=True),
    },
    # boxes wide enough for a cutoff of 4
    mechanical={
        name: Mechanical(particles, realisations=4, quench=20.0, first=1e-2, increment=2e-3, windows=4)
        for name, particles in (("polymer", 560), ("kob_andersen", 640), ("wahnstrom", 700))
    },
    radii=(2.0, 3.0, 4.0),
    repeats=4,
)
# 10 to 20 hours of two cores (`paper_b.sizing` says what each claim needs and what it costs)
DAY = Sizes(
    thermal={
        "polymer": Thermal(starts=12, replicas=16, lag=1000.0, temperature=0.47, shipped=True, apart=2000.0,
                           timestep=0.006, particles=1000),
        "kob_andersen": Thermal(starts=10, replicas=32, lag=4120.0, temperature=0.44, kept=True, particles=4096),
        "wahnstrom": Thermal(starts=6, replicas=16, lag=1000.0, temperature=0.58, shipped=True, timestep=0.006,
                             particles=4000),
    },
    mechanical={
        name: Mechanical(1000, realisations=30, quench=500.0, first=1e-3, increment=STRAIN_INCREMENT, windows=2)
        for name in ("polymer", "kob_andersen", "wahnstrom")
    },
    radii=(2.0, 3.0, 4.0),
    repeats=4,
)  # fmt: skip
PAPER = Sizes(
    thermal={
        "polymer": Thermal(starts=4, replicas=30, lag=1000.0, temperature=0.47),
        "kob_andersen": Thermal(starts=4, replicas=30, lag=5000.0, temperature=0.44),
        "wahnstrom": Thermal(starts=4, replicas=30, lag=1000.0, temperature=0.58),
    },
    mechanical={
        name: Mechanical(30_000, 30, quench=500.0, first=STRAIN_INCREMENT, increment=STRAIN_INCREMENT, windows=1)
        for name in ("polymer", "kob_andersen", "wahnstrom")
    },
    radii=(1.5, 2.0, 3.0, 4.0, 5.0),
    repeats=10,
)
PROFILES = {"small": SMALL, "day": DAY, "paper": PAPER}

SETTLE = 2.0  # time in which configurations of a slightly different potential get used to the paper's
BEGIN = 0.1  # strain at which the preparation is forgotten
WINDOW = 0.01


@dataclass(frozen=True)
class Ensemble:
    """One isoconfigurational ensemble: the store with start and replicas, and that with its inherent structure."""

    store: Path
    inherent: Path


def thermal(system: System, sizes: Thermal, folder: Path) -> tuple[list[Ensemble], list[Delayed]]:
    """Where the ensembles of one system are, and the tasks that make them."""
    if sizes.kept:
        return [], []
    model = simulation.MODELS[system.model]
    found, tasks = [], []
    for k, (start, after) in enumerate(_starts(system, sizes, folder)):
        ensemble = Ensemble(folder / f"isoconfigurational-{k:03d}.zarr", folder / f"inherent-{k:03d}.zarr")
        protocol = simulation.Isoconfigurational(
            model=model,
            start=simulation.StoredStart(path=str(start)),
            temperature=sizes.temperature,
            lags=(sizes.lag,),
            replicas=sizes.replicas,
            seed=k,
            keep=True,
            # short runs are one task, so that they do not wait for each other
            batch=sizes.replicas if sizes.lag < 100.0 else 1,
            timestep=sizes.timestep,
        )
        run = simulation.isoconfigurational(protocol, str(ensemble.store), after=after)
        # the ensemble's store holds its start as the only frame
        tasks.append(simulation.inherent_structures(model, str(ensemble.store), str(ensemble.inherent), after=run))
        found.append(ensemble)
    return found, tasks


def _starts(system: System, sizes: Thermal, folder: Path) -> list[tuple[Path, Delayed]]:
    """Equilibrated configurations, one store each: the shipped ones, or made as the paper says."""
    model = simulation.MODELS[system.model]
    T = sizes.temperature
    stores = [folder / f"start-{k:03d}.zarr" for k in range(sizes.starts)]
    if sizes.shipped:
        shipped = folder / "shipped.zarr"
        gd.ingest(system.configurations, shipped, species_names={1: "A", 2: "B"} if system.mixture else {1: "A"})
        available = shipped_frames(system)
        protocols = []
        for k in range(sizes.starts):
            rounds, frame = divmod(k, available)
            if rounds and not sizes.apart:
                raise ParameterError(
                    f"{system.title}: {sizes.starts} starts of {available} shipped configurations: give the time apart"
                )
            time = SETTLE + rounds * sizes.apart
            protocols.append(
                simulation.Simulation(
                    model=model,
                    start=simulation.StoredStart(path=str(shipped), frame=frame),
                    stages=(simulation.Dynamics(time=time, temperature=T, velocities=True),),
                    seed=k,
                )
            )
    else:
        time = system.quench
        bath: dict[str, Any] = {} if system.pressure is None else {"ensemble": "npt", "pressure": system.pressure}
        # the paper equilibrates mixtures at constant pressure too, which one it does not say: here the volume is kept
        stages = (
            simulation.Dynamics(time=0.01 * time, temperature=MELT, **bath),
            simulation.quench(MELT, T, rate=(MELT - T) / time, **bath),
            *([simulation.Dynamics(time=2 * time, temperature=T)] if system.mixture else []),
        )
        start = simulation.RandomStart(n_particles=sizes.particles, density=_melt_density(system))
        protocols = [
            simulation.Simulation(model=model, start=start, stages=stages, seed=k) for k in range(sizes.starts)
        ]
    return [(store, simulation.simulate(p, str(store))) for store, p in zip(stores, protocols)]


def shipped_frames(system: System) -> int:
    """Number of configurations that are shipped."""
    with np.load(system.configurations) as file:
        return len(file["position"])


def _melt_density(system: System) -> float:
    """Chains begin less dense and reach the density of their pressure by themselves."""
    return system.density if system.mixture else 0.8


def mechanical(system: System, sizes: Mechanical, folder: Path) -> tuple[list[Path], list[Delayed]]:
    """Where the sheared glasses of one system are, and the tasks that make them.

    Each store has, for every window of 1 % strain after the first 10 %, its first configuration (strain 0), those
    before and after each event, and its last one.
    """
    model = simulation.MODELS[system.model]
    found, tasks = [], []
    for k in range(sizes.realisations):
        glass, sheared = folder / f"glass-{k:03d}.zarr", folder / f"sheared-{k:03d}.zarr"
        cold = 0.02  # from here a minimisation goes to zero
        prepare = simulation.Simulation(
            model=model,
            start=simulation.RandomStart(n_particles=sizes.particles, density=system.density),
            stages=(
                simulation.Dynamics(time=0.25 * sizes.quench, temperature=MELT),
                simulation.quench(MELT, cold, rate=(MELT - cold) / sizes.quench),
                simulation.Minimum(),
            ),
            seed=1000 + k,
        )
        shear = simulation.Simulation(
            model=model,
            start=simulation.StoredStart(path=str(glass)),
            stages=(
                simulation.Shear(strain=BEGIN, increment=sizes.first, skip=BEGIN - sizes.first),
                *[simulation.Shear(strain=WINDOW, increment=sizes.increment) for _ in range(sizes.windows)],
            ),
        )
        quenched = simulation.simulate(prepare, str(glass))
        tasks.append(simulation.simulate(shear, str(sheared), after=quenched))
        found.append(sheared)
    return found, tasks
