"""State points that are simulated: from ``[protocol]`` and ``[[runs]]`` to the `Recipe` of each."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from glassdask.declarations import Declaration, Finite, Positive, Where, digest
from glassdask.errors import ParameterError, near
from glassdask.simulation import engine
from glassdask.simulation.eam import copper_zirconium
from glassdask.simulation.models import MODELS, Model, read_model
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.protocols import (
    Dynamics,
    Isoconfigurational,
    RandomStart,
    Simulation,
    StoredStart,
    SwapMonteCarlo,
    quench,
)
from glassdask.simulation.recorders import MeansRecorder
from glassdask.sweep.state import State, label_of, naming

COPPER_ZIRCONIUM = "copper_zirconium"
Positives = Annotated[
    tuple[Positive, ...], Where(lambda values: 0 < len(values) == len(set(values)), "a list of different numbers")
]
MOST = 2**31 - 1  # what LAMMPS counts
Some = Annotated[int, Where(lambda n: 0 <= n <= MOST, f"a whole number from 0 to {MOST}")]
Particles = Annotated[int, Where(lambda n: 1 <= n <= MOST, f"a whole number from 1 to {MOST}")]


@dataclass(frozen=True, kw_only=True)
class Protocol(Declaration):
    """The table ``[protocol]``: how states are prepared, and what is simulated of each. A run may give any of it.

    Particles with diameters of their own (`PolydisperseModel`) move by swap Monte Carlo: their times are numbers of
    sweeps, and `step` and `share` those of `SwapMonteCarlo`.
    """

    particles: Particles
    melt: Positive
    melt_time: Positive
    rate: Positive
    equilibrate: Positive
    produce: Positive
    every: Positive | None = None
    between: Some = 0
    ensemble: Literal["nve", "nvt", "npt"] = "nvt"
    pressure: Finite | None = None
    inherent: bool = False
    replicas: Some = 0
    lags: tuple[Positive, ...] = ()
    keep: bool = False
    potential: str | None = None
    step: Positive | None = None
    share: Annotated[float, Where(lambda x: 0 <= x <= 1, "from 0 to 1")] | None = None


@dataclass(frozen=True, kw_only=True)
class Simulated(Protocol):
    """A table of ``[[runs]]`` whose states are simulated, with what it takes from ``[protocol]``.

    `model` is the name of one, or a table of its own: see `glassdask.simulation.models`.
    """

    model: str | dict[str, Any]
    temperatures: Positives
    densities: Positives | None = None

    def check(self) -> None:
        """What is simulated goes together."""
        if self.replicas and not self.lags:
            raise ParameterError(f"replicas = {self.replicas} without lags: say when displacements are measured")
        if self.every is not None and self.every > self.produce * (1 + 1e-9):
            raise ParameterError(f"every = {self.every:g} is longer than produce = {self.produce:g}: make it shorter")
        if self.between and self.every is None:
            raise ParameterError(f"between = {self.between} without every: say how often the first frames are kept")


@dataclass(frozen=True)
class Recipe:
    """How the trajectory of a state is made, and what else is simulated from it.

    The inherent structures go to ``PATH/inherent``, an isoconfigurational ensemble to ``PATH/isoconfigurational``.
    """

    simulation: Simulation
    inherent: bool = False
    ensemble: Isoconfigurational | None = None

    @property
    def work(self) -> float:
        """Particle-steps, by which long simulations are told from short ones."""
        steps = self.simulation.steps
        if self.ensemble is not None:
            steps += self.ensemble.replicas * self.ensemble.steps[-1]
        start = self.simulation.start
        return steps * (start.n_particles if isinstance(start, RandomStart) else 1)

    def key(self) -> str:
        """Hash of everything that is simulated, wherever it is stored."""
        ensemble = self.ensemble and replace(self.ensemble, start=StoredStart(path="", frame=self.ensemble.start.frame))
        inherent = engine.key(self.simulation.model, *engine.INHERENT) if self.inherent else None
        return digest(engine.key(self.simulation), inherent, ensemble and engine.key(ensemble, recorder=MeansRecorder))


def simulated_states(
    run: Simulated, root: Path, folder: Path, seeds: tuple[int, ...] | None, where: str
) -> Iterator[tuple[State, Recipe]]:
    """The states of a run, below `root`, and how each is made; `folder` is that of the sweep's file."""
    model = _model(run, folder, where)
    if run.every is not None and round(run.every / model.timestep) < 1:
        raise ParameterError(
            f"{where}.every: {run.every} is shorter than the timestep {model.timestep:g} of {model.name}"
        )
    if model.chains is not None:
        with naming(f"{where}.particles"):
            model.chains.bonds(run.particles)
    for density, temperature, seed in itertools.product(run.densities or (None,), run.temperatures, seeds or (None,)):
        known: dict[str, Any] = {"model": model.name, "temperature": temperature, "density": density, "seed": seed}
        with naming(where):
            label = label_of(**known)
            state = State(label=label, path=str(root / label), **known)
            yield state, _recipe(run, model, state)


def _model(run: Simulated, folder: Path, where: str) -> Model:
    """The model liquid; Cu64Zr36 is made of a potential file that lies beside the sweep's file."""
    if run.model == COPPER_ZIRCONIUM:
        if not run.potential:
            raise ParameterError(
                f"{where}.potential: is missing: {run.model} is made of a potential file, give its path"
            )
        with naming(f"{where}.potential"):
            return copper_zirconium(str(folder / run.potential))
    given = run.model
    if isinstance(given, str) and given not in MODELS:
        known = ", ".join([*MODELS, COPPER_ZIRCONIUM])
        raise ParameterError(f"{where}.model: no model {given!r:.80}: choose one of {known}{near(given, MODELS)}")
    if isinstance(given, dict) and isinstance(given.get("file"), str):
        given = {**given, "file": str(folder / given["file"])}
    return read_model(given, f"{where}.model")


def _recipe(run: Simulated, model: Model, state: State) -> Recipe:
    """Melt, cool, equilibrate, produce. The random numbers are made of the seed and the label."""
    own_seed = int.from_bytes(hashlib.sha256(f"{state.seed or 0} {state.label}".encode()).digest()[:4], "big")
    stages = _swapped if isinstance(model, PolydisperseModel) else _integrated
    simulation = Simulation(
        model=model,
        start=RandomStart(n_particles=run.particles, density=state.density),
        stages=stages(run, state.temperature, model.name),
        seed=own_seed,
    )
    ensemble = None
    if run.replicas:
        ensemble = Isoconfigurational(
            model=model,
            start=StoredStart(path=state.path),
            temperature=state.temperature,
            lags=run.lags,
            replicas=run.replicas,
            seed=own_seed,
            keep=run.keep,
        )
    return Recipe(simulation, run.inherent, ensemble)


def _integrated(run: Simulated, temperature: float, name: str) -> tuple[Any, ...]:
    """The stages by molecular dynamics."""
    for key in ("step", "share"):
        if getattr(run, key) is not None:
            raise ParameterError(f"{key}: means nothing to {name}, whose particles have no diameters of their own")
    if run.ensemble == "npt" and run.pressure is None:
        raise ParameterError("ensemble = 'npt' without pressure: give it, or take another ensemble")
    # at a given pressure the density is found while the system is prepared
    prepare: dict[str, Any] = {"ensemble": "nvt" if run.pressure is None else "npt", "pressure": run.pressure}
    cooling = () if run.melt == temperature else (quench(run.melt, temperature, run.rate, **prepare),)
    return (
        Dynamics(time=run.melt_time, temperature=run.melt),
        *cooling,
        Dynamics(time=run.equilibrate, temperature=temperature, **prepare),
        Dynamics(
            time=run.produce,
            temperature=temperature,
            ensemble=run.ensemble,
            pressure=run.pressure if run.ensemble == "npt" else None,
            every=run.every,
            between=run.between,
        ),
    )


def _swapped(run: Simulated, temperature: float, name: str) -> tuple[Any, ...]:
    """The stages by swap Monte Carlo, at a given volume."""
    for key, given in (("pressure", run.pressure), ("ensemble", None if run.ensemble == "nvt" else run.ensemble)):
        if given is not None:
            raise ParameterError(f"{key} = {given!r}: swap Monte Carlo, which moves {name}, has none: leave it out")
    trials = {key: given for key in ("step", "share") if (given := getattr(run, key)) is not None}
    slow = max(1, round(abs(run.melt - temperature) / run.rate))
    quenched = SwapMonteCarlo(sweeps=slow, temperature=(run.melt, temperature), **trials)
    return (
        SwapMonteCarlo(sweeps=_sweeps(run, "melt_time"), temperature=run.melt, **trials),
        *(() if run.melt == temperature else (quenched,)),
        SwapMonteCarlo(sweeps=_sweeps(run, "equilibrate"), temperature=temperature, **trials),
        SwapMonteCarlo(
            sweeps=_sweeps(run, "produce"),
            temperature=temperature,
            every=None if run.every is None else _sweeps(run, "every"),
            between=run.between,
            **trials,
        ),
    )


def _sweeps(run: Simulated, key: str) -> int:
    """A time as a number of sweeps."""
    found = float(getattr(run, key))
    if found != round(found):
        raise ParameterError(f"{key} = {found:g}: of swap Monte Carlo it is a number of sweeps: give a whole one")
    return int(found)
