"""The papers' protocols: descriptions of simulations, frozen and complete. `glassdask.simulation.runs` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from glassdask.declarations import Count, Declaration, Finite, NotNegative, Positive, Where, Whole, converted
from glassdask.errors import ParameterError
from glassdask.simulation.models import AnyModel
from glassdask.simulation.operations import Integrate, Load, Operation, Relax, Scatter, Strain
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.swaps import Place, SwapSweeps

MOST_STEPS = 1e12  # years of a fast core, for a few particles
MOST_FRAMES = 1e7  # whose numbers every task of a simulation holds


@dataclass(frozen=True, kw_only=True)
class RandomStart(Declaration):
    """Begin with particles at random places, pushed apart until none overlap.

    `density` None takes the model's.
    """

    n_particles: Count
    density: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class StoredStart(Declaration):
    """Begin with a frame of a store (its last one by default), with its velocities where it has any."""

    path: str
    frame: int = -1


@dataclass(frozen=True, kw_only=True)
class Dynamics(Declaration):
    """Molecular dynamics at constant or linearly changing temperature.

    Parameters
    ----------
    time : float
        Duration, in time units of the model.
    temperature : float or (float, float)
        Of the thermostat; two numbers: at the beginning and at the end, changing linearly (a quench). In "nve" it is
        the temperature of velocities that are drawn.
    ensemble : str
        "nvt" (Nose-Hoover, relaxation time 100 steps), "npt" (isotropic, 1000 steps) or "nve".
    pressure : float, optional
        For "npt".
    every : float, optional
        Keep a frame at the beginning and then every so often.
    between : int
        Keep so many more frames at logarithmically spaced lags after each of those, from one timestep on.
    velocities : bool
        Draw new velocities at the beginning. They are drawn anyway where the particles are at rest.
    """

    time: Positive
    temperature: Positive | tuple[Positive, Positive]
    ensemble: Literal["nve", "nvt", "npt"] = "nvt"
    pressure: Finite | None = None
    every: Positive | None = None
    between: Whole = 0
    velocities: bool = False

    def check(self) -> None:
        """A pressure for "npt" and for nothing else; an interval for the frames between."""
        if (self.ensemble == "npt") != (self.pressure is not None):
            raise ParameterError(f"ensemble {self.ensemble!r} and pressure {self.pressure}: npt needs one, others none")
        if self.between and self.every is None:
            raise ParameterError(f"between = {self.between} without every: say how often the first frames are kept")

    @property
    def temperatures(self) -> tuple[float, float]:
        """At the beginning and at the end."""
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature, self.temperature)

    def frames(self, timestep: float) -> tuple[int, ...]:
        """Integration steps at which frames are kept.

        >>> Dynamics(time=1.0, temperature=1.0, every=0.5, between=3).frames(0.01)
        (0, 1, 4, 14, 50, 51, 54, 64, 100)
        """
        if self.every is None:
            return ()
        interval, steps = round(self.every / timestep), round(self.time / timestep)
        if interval < 1:
            raise ParameterError(f"every = {self.every} is shorter than the timestep {timestep}")
        return kept_steps(steps, interval, self.between)


def kept_steps(steps: int, interval: int, between: int) -> tuple[int, ...]:
    """Multiples of an interval from 0 to `steps`, and so many more after each, at logarithmically spaced lags.

    >>> kept_steps(10, 5, 2)
    (0, 1, 2, 5, 6, 7, 10)
    """
    lags = [0]
    if between:
        lags += np.unique(np.round(np.geomspace(1, interval, between + 1)).astype(int))[:-1].tolist()
    origins = range(0, steps + 1, interval)
    return tuple(sorted({origin + lag for origin in origins for lag in lags if origin + lag <= steps}))


def quench(high: float, low: float, rate: float, **settings: Any) -> Dynamics:
    """Cooling (or heating) from `high` to `low` at a constant rate, temperature per time.

    >>> quench(2.0, 0.5, 0.01).time
    150.0
    """
    high, low, rate = (
        converted(value, Positive, f"quench.{name}") for name, value in (("high", high), ("low", low), ("rate", rate))
    )
    return Dynamics(time=abs(high - low) / rate, temperature=(high, low), **settings)


@dataclass(frozen=True, kw_only=True)
class Minimum(Declaration):
    """To the inherent structure: the minimum of the energy downhill from the present configuration, at rest."""

    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class Shear(Declaration):
    """Athermal quasistatic simple shear in x along y (Rottler and Ortner 2024: strain steps 5e-5, minimise).

    Kept are the configuration at strain `skip`, then pairs: before and after each event, then the last configuration.
    An event is a strain step d gamma that dissipates more energy than `dissipation`: V d gamma (s + s') / 2 - (U' - U),
    with the shear stress s, s' and the energy U, U' before and after. On a reversible branch that is of third order in
    d gamma, whatever the sign of the stress's change. ``strain`` (frame) begins
    at zero in each such stage; ``time`` stands still.
    """

    strain: Annotated[float, Where(lambda x: 0 < x <= 0.5, "more than 0, at most 0.5")]
    increment: Positive = 5e-5
    skip: NotNegative = 0.0
    dissipation: Positive = 1e-4

    def check(self) -> None:
        """Something is left to be sheared."""
        if not self.skip < self.strain:
            raise ParameterError(f"strain {self.strain} and skip {self.skip}: expected skip < strain")


@dataclass(frozen=True, kw_only=True)
class SwapMonteCarlo(Declaration):
    """Monte Carlo of a `PolydisperseModel` in which particles move and pairs of them exchange their diameters.

    It equilibrates far below the temperatures at which dynamics do (A. Ninarello, L. Berthier and D. Coslovich, Phys.
    Rev. X 7, 021039 (2017)). Each trial of a sweep takes a particle at random, and moves it, or exchanges its diameter
    with that of another one at random; it is accepted as Metropolis says. ``time`` counts sweeps. The frames have the
    ``diameter`` of each particle (frame, particle), the reduction "thermo" the parts of moves and exchanges that were
    accepted.

    Parameters
    ----------
    sweeps : int
        As many trials for each particle.
    temperature : float or (float, float)
        Two numbers: at the beginning and at the end, changing linearly.
    every : int, optional
        Keep a frame at the beginning and then every so many sweeps.
    between : int
        Keep so many more frames at logarithmically spaced lags after each of those.
    step : float, default 0.12
        Moves are uniform in a cube (square) from -step to step.
    share : float, default 0.2
        Of the trials that are exchanges.
    """

    sweeps: Count
    temperature: Positive | tuple[Positive, Positive]
    every: Count | None = None
    between: Whole = 0
    step: Positive = 0.12
    share: Annotated[float, Where(lambda x: 0 <= x <= 1, "from 0 to 1")] = 0.2

    def check(self) -> None:
        """An interval for the frames between."""
        if self.between and self.every is None:
            raise ParameterError(f"between = {self.between} without every: say how often the first frames are kept")

    @property
    def temperatures(self) -> tuple[float, float]:
        """At the beginning and at the end."""
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature, self.temperature)

    def frames(self) -> tuple[int, ...]:
        """Sweeps at which frames are kept."""
        return () if self.every is None else kept_steps(self.sweeps, self.every, self.between)


Stage = Dynamics | Minimum | Shear | SwapMonteCarlo


@dataclass(frozen=True, kw_only=True)
class Simulation(Declaration):
    """One trajectory: a model, a start, stages one after the other, a seed.

    The last configuration is always kept; the stages say what else is.

    Parameters
    ----------
    model : Model
        One of `glassdask.simulation.models`, or its name.
    start : RandomStart or StoredStart
        The first configuration.
    stages : tuple of Dynamics, Minimum, Shear and SwapMonteCarlo
        What is done; particles with diameters of their own (`PolydisperseModel`) know Minimum and SwapMonteCarlo,
        others all but the latter.
    seed : int
        Of the start and all velocities.
    timestep : float, optional
        The model's by default.

    Examples
    --------
    >>> from glassdask.simulation.models import KOB_ANDERSEN
    >>> Simulation(
    ...     model=KOB_ANDERSEN,
    ...     start=RandomStart(n_particles=1000),
    ...     stages=(
    ...         Dynamics(time=40.0, temperature=2.0),
    ...         quench(2.0, 0.45, rate=1e-3),
    ...         Dynamics(time=4500.0, temperature=0.45),
    ...         Dynamics(time=9000.0, temperature=0.45, ensemble="nve", every=900.0),
    ...     ),
    ...     seed=7,
    ... ).seed
    7
    """

    model: AnyModel
    start: RandomStart | StoredStart
    stages: Annotated[tuple[Stage, ...], Where(len, "at least one of Dynamics, Minimum, Shear and SwapMonteCarlo")]
    seed: int = 0
    timestep: Positive | None = None

    def check(self) -> None:
        """No stage is shorter than a timestep, but for a sudden quench, or longer than anybody can wait for."""
        of_sizes = isinstance(self.model, PolydisperseModel)
        for number, stage in enumerate(self.stages):
            frames, least, every = 0.0, 0.5, getattr(stage, "every", None)
            if isinstance(stage, SwapMonteCarlo) != of_sizes and not isinstance(stage, Minimum):
                expected = "SwapMonteCarlo and Minimum" if of_sizes else "Dynamics, Minimum and Shear"
                raise ParameterError(
                    f"stages[{number}]: {type(stage).__name__} of {self.model.name}: expected {expected}, as its "
                    f"particles have {'' if of_sizes else 'no '}diameters of their own"
                )
            if isinstance(stage, Dynamics):
                what, steps = f"time {stage.time:g}", stage.time / self.step
                frames = 0.0 if stage.every is None else stage.time / stage.every * (1 + stage.between)
                least = 0.0 if isinstance(stage.temperature, tuple) else least
            elif isinstance(stage, Shear):
                what, steps = f"strain {stage.strain:g}", stage.strain / stage.increment
            elif isinstance(stage, SwapMonteCarlo):
                what, steps = f"{stage.sweeps} sweeps", float(stage.sweeps)
                frames = 0.0 if stage.every is None else stage.sweeps / stage.every * (1 + stage.between)
            else:
                continue
            if not least <= steps <= MOST_STEPS:
                raise ParameterError(f"stages[{number}]: {what} are {steps:.3g} steps: expected 1 to {MOST_STEPS:.0e}")
            if frames > MOST_FRAMES:
                raise ParameterError(
                    f"stages[{number}]: every {every:g} gives {frames:.3g} frames, more than {MOST_FRAMES:.0e}: "
                    "make it longer"
                )

    @property
    def step(self) -> float:
        """The timestep."""
        return self.model.timestep if self.timestep is None else self.timestep

    @property
    def steps(self) -> float:
        """Integration steps, or sweeps, of all stages but shear."""
        return sum(getattr(stage, "time", 0.0) / self.step + getattr(stage, "sweeps", 0) for stage in self.stages)

    def operations(self, frame: int, moving: bool) -> tuple[tuple[Operation, ...], int | None]:
        """What a worker has to do, and how many frames that gives (None: known only at the end).

        `frame` is the frame of a `StoredStart`, `moving` says whether its particles have velocities.
        """
        if isinstance(self.start, StoredStart):
            operations: list[Operation] = [Load(path=str(self.start.path), frame=frame)]
        else:
            density = self.model.density if self.start.density is None else self.start.density
            made = Place if isinstance(self.model, PolydisperseModel) else Scatter
            operations = [made(n_particles=self.start.n_particles, density=density, seed=self.seed)]
        n_frames: int | None = 0
        for number, stage in enumerate(self.stages, start=1):
            last = number == len(self.stages)
            if isinstance(stage, Dynamics):
                steps = round(stage.time / self.step)
                frames = tuple(sorted({*stage.frames(self.step), *([steps] if last else [])}))
                operations.append(
                    Integrate(
                        steps=steps,
                        ensemble=stage.ensemble,
                        temperature=stage.temperatures,
                        pressure=stage.pressure,
                        frames=frames,
                        seed=(self.seed, number) if stage.velocities or not moving else None,
                    )
                )
                count: int | None = len(frames)
            elif isinstance(stage, SwapMonteCarlo):
                frames = tuple(sorted({*stage.frames(), *([stage.sweeps] if last else [])}))
                operations.append(
                    SwapSweeps(
                        sweeps=stage.sweeps,
                        temperature=stage.temperatures,
                        step=stage.step,
                        share=stage.share,
                        seed=(self.seed, number),
                        frames=frames,
                    )
                )
                count = len(frames)
            elif isinstance(stage, Minimum):
                operations.append(Relax(keep=stage.keep or last))
                count = int(stage.keep or last)
            else:
                steps, skip = round(stage.strain / stage.increment), round(stage.skip / stage.increment)
                operations.append(
                    Strain(steps=steps, increment=stage.increment, skip=skip, dissipation=stage.dissipation)
                )
                count = None
            moving = isinstance(stage, Dynamics)
            n_frames = None if n_frames is None or count is None else n_frames + count
        return tuple(operations), n_frames


@dataclass(frozen=True, kw_only=True)
class Isoconfigurational(Declaration):
    """Many runs from one configuration, each with other velocities.

    A. Widmer-Cooper, P. Harrowell and H. Fynewever, Phys. Rev. Lett. 93, 135701 (2004).

    Parameters
    ----------
    model : Model
        One of `glassdask.simulation.models`, or its name.
    start : StoredStart
        The configuration. Its velocities are not used.
    temperature : float
        Of the velocities that are drawn.
    lags : tuple of float
        Times at which displacements are measured, increasing; see `logarithmic_times`.
    replicas : int
        Number of runs.
    ensemble : str
        "nve" or "nvt".
    seed : int
        Of the velocities: run r has the same ones whatever the number of runs.
    keep : bool
        Store the displacements of every run as well.
    batch : int
        Runs in one task.
    timestep : float, optional
        The model's by default.
    """

    model: AnyModel
    start: StoredStart
    temperature: Positive
    lags: tuple[Positive, ...]
    replicas: Count = 30
    ensemble: Literal["nve", "nvt"] = "nve"
    seed: int = 0
    keep: bool = False
    batch: Count = 5
    timestep: Positive | None = None

    def check(self) -> None:
        """Lags that can be told apart, of particles that LAMMPS knows."""
        if isinstance(self.model, PolydisperseModel):
            raise ParameterError(f"{self.model.name}: an ensemble of runs needs LAMMPS, which has no such particles")
        if not self.lags or min(self.steps) < 1 or (np.diff(self.steps) < 1).any():
            raise ParameterError(f"lags {self.lags}: expected times that increase by a timestep {self.step} or more")

    @property
    def step(self) -> float:
        """The timestep."""
        return self.model.timestep if self.timestep is None else self.timestep

    @property
    def steps(self) -> tuple[int, ...]:
        """The lags in integration steps."""
        return tuple(round(lag / self.step) for lag in self.lags)

    def operations(self, replicas: range) -> tuple[Operation, ...]:
        """What a worker has to do for some of the runs."""
        operations: list[Operation] = []
        for replica in replicas:
            operations.append(
                Load(
                    path=str(self.start.path),
                    frame=self.start.frame,
                    temperature=self.temperature,
                    seed=(self.seed, replica),
                )
            )
            operations.append(
                Integrate(
                    steps=self.steps[-1],
                    ensemble=self.ensemble,
                    temperature=(self.temperature, self.temperature),
                    frames=self.steps,
                )
            )
        return tuple(operations)


def logarithmic_times(first: float, last: float, number: int, timestep: float) -> tuple[float, ...]:
    """Up to `number` times from `first` to `last`, evenly spaced in their logarithm, multiples of the timestep.

    >>> logarithmic_times(0.01, 1.0, 5, 0.01)
    (0.01, 0.03, 0.1, 0.32, 1.0)
    """
    first, last, timestep = (
        converted(value, Positive, f"logarithmic_times.{name}")
        for name, value in (("first", first), ("last", last), ("timestep", timestep))
    )
    number = converted(number, Count, "logarithmic_times.number")
    if not timestep <= first < last <= MOST_STEPS * timestep or number < 2:
        raise ParameterError(
            f"{number} times from {first} to {last}: expected two or more, timestep {timestep} <= first < last, and up "
            f"to {MOST_STEPS:.0e} timesteps"
        )
    steps = np.unique(np.round(np.geomspace(first / timestep, last / timestep, number)).astype(int))
    return tuple(round(float(step) * timestep, 12) for step in steps)
