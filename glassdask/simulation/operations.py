"""What a worker does, one operation after the other; each goes on from the LAMMPS instance that the last one has left.

`perform` works from `state.done` to the next checkpoint and tells whether the operation is over. Every call begins with
a new instance, whether or not the process was killed in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from glassdask.declarations import Declaration
from glassdask.errors import ConvergenceError, SimulationError
from glassdask.simulation.instance import Frame, Instance
from glassdask.wrapping import wrap

# a minimisation ends where no component of a force exceeds this (in units of the model) or it cannot be improved
FORCE_TOLERANCE = 1e-9
MOST_EVALUATIONS = 1_000_000
FIRST_EVALUATIONS = 20_000
UNTANGLE_STEPS = 2000  # with chains as soft as at the beginning
THERMO_STEPS = 1000  # at most so many integration steps between two rows of thermodynamic numbers


class Recorder(Protocol):
    """Takes frames, and puts them in order into a store when all is done."""

    def add(self, frame: Frame, step: int, time: float, strain: float | None) -> None:
        """Take the next frame."""
        ...

    def finish(self, thermo: dict[str, np.ndarray], lammps: int) -> None:
        """Store what is left; `lammps` is the version of LAMMPS."""
        ...


@dataclass
class State:
    """Where a worker is: all that a checkpoint holds besides LAMMPS' restart file.

    `done` counts the steps of the current operation, `memory` is what the operation itself has to remember, `thermo`
    rows of numbers named by `columns`. `strain` is None where nothing is ever sheared.
    """

    recorder: Recorder
    operation: int = 0
    done: int = 0
    step: int = 0
    time: float = 0.0
    strain: float | None = None
    memory: Any = None
    columns: tuple[str, ...] = ()
    thermo: list[tuple[float, ...]] = field(default_factory=list)
    checkpoints: int = 0
    lammps: int = 0

    def note(self, row: dict[str, float]) -> None:
        """Remember a row of thermodynamic numbers."""
        full = {"stage": float(self.operation), "step": float(self.step), "time": self.time}
        full |= row if self.strain is None else {"strain": self.strain, **row}
        self.columns = tuple(full)
        self.thermo.append(tuple(full.values()))

    def record(self, instance: Instance) -> None:
        """Hand the present configuration to the recorder."""
        self.recorder.add(instance.frame(), self.step, self.time, self.strain)


class Operation(Protocol):
    """One part of a simulation."""

    fresh: ClassVar[bool]  # begins with a configuration of its own, not with the instance of the operation before

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Work until the next checkpoint (`checkpoint` integration steps apart); tells whether that was all of it."""
        ...


LARGEST_SEED = 900_000_000  # of LAMMPS' own generators


def seeded(seed: int, *key: int) -> np.random.Generator:
    """Independent random numbers for each `key` of one seed."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


@dataclass(frozen=True, kw_only=True)
class Scatter(Declaration):
    """Particles at random places (chains: random walks), pushed apart and relaxed to the nearest minimum."""

    n_particles: int
    density: float
    seed: int

    fresh: ClassVar[bool] = True

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Minimise a soft repulsion first, in which overlaps cost little, then the energy of the model."""
        model = instance.model
        d = model.dimension
        length = (self.n_particles / self.density) ** (1.0 / d)
        # spheres of this diameter fill 38 % of space (64 % of a plane): far from jammed, so that no overlap is left
        diameter = 0.9 * self.density ** (-1.0 / d)
        rng = seeded(self.seed, 0)
        if model.chains is None:
            position = rng.random((self.n_particles, d)) * length
        else:
            position = _random_walks(self.n_particles, model.chains.length, length, rng)
        species = np.repeat(np.arange(len(model.species)), model.counts(self.n_particles))
        commands = model.commands(instance.folder)
        bonds = [line for line in commands if line.startswith(("mass", "bond", "special"))]
        soft = [f"pair_style soft {diameter!r}", "pair_coeff * * 100.0"]
        box = length * np.eye(d)
        wrapped, image = wrap(position[None], box[None])
        instance.load(Frame(wrapped[0], species, box, image[0]), [*bonds, *soft])
        instance.flatten()
        instance.command("min_modify dmax 0.05")
        if model.chains is not None:
            _untangle(instance, int(rng.integers(1, 2**30) - 1) % LARGEST_SEED + 1)
        instance.minimize(1e-4, 10_000)
        instance.command(*commands)
        instance.minimize(10.0, 1000)  # enough to begin with at a high temperature
        instance.rest()
        row = instance.thermo()
        if row["potential_energy"] > 1e3:
            raise SimulationError(f"overlaps are left at density {self.density:.4g}: use a lower density")
        return True


def _untangle(instance: Instance, seed: int) -> None:
    """Dynamics of chains whose soft repulsion grows slowly (R. Auhl et al., J. Chem. Phys. 119, 12718 (2003)).

    Without it some bonds stay locked for ever: three that cross each other in one point, each 1.34 long.
    """
    instance.command(
        "pair_coeff * * 5.0",
        "fix move all nve/limit 0.05",
        f"fix bath all langevin 1.0 1.0 0.5 {seed}",
        f"run {UNTANGLE_STEPS}",
        "variable strength equal ramp(5.0,100.0)",
        "fix harden all adapt 10 pair soft a * * v_strength",
        f"run {2 * UNTANGLE_STEPS}",
        "unfix harden",
        "unfix bath",
        "unfix move",
        "pair_coeff * * 100.0",
    )


def _random_walks(n_particles: int, chain: int, length: float, rng: np.random.Generator) -> np.ndarray:
    """Walks of `chain` monomers with steps of 0.97 that do not turn back sharply, not wrapped."""
    steps = rng.standard_normal((n_particles // chain, chain, 3))
    steps /= np.linalg.norm(steps, axis=-1, keepdims=True)
    for k in range(1, chain):
        # towards the direction of the step before: the next but one monomer is at least 1.02 away
        steps[:, k] = 0.9 * steps[:, k] + steps[:, k - 1]
        steps[:, k] /= np.linalg.norm(steps[:, k], axis=-1, keepdims=True)
    steps[:, 0] = rng.random((n_particles // chain, 3)) * length / 0.97
    return 0.97 * np.cumsum(steps, axis=1).reshape(-1, 3)


@dataclass(frozen=True, kw_only=True)
class Load(Declaration):
    """A stored configuration; with `temperature`, all particles get new velocities of that temperature.

    `keep_time` goes on with the time and step of the stored frame, else both begin at zero.
    """

    path: str
    frame: int
    keep_time: bool = False
    temperature: float | None = None
    seed: tuple[int, ...] = (0,)

    fresh: ClassVar[bool] = True

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Read the frame from its store."""
        dataset, frame = read_frame(self.path, self.frame, instance.model.species)
        instance.load(frame)
        if self.temperature is not None:
            instance.draw_velocities(self.temperature, seeded(*self.seed))
        state.step, state.time = 0, 0.0
        if self.keep_time:
            state.step = int(dataset["step"]) if "step" in dataset else self.frame
            state.time = float(dataset["time"]) if "time" in dataset else float(self.frame)
        return True


def read_frame(path: str, index: int, species: tuple[str, ...]) -> tuple[Any, Frame]:
    """One frame of a store, as dataset and as `Frame`."""
    from glassdask.store import open_trajectory

    dataset = open_trajectory(path).isel(frame=index)
    names = dataset["species"].values
    unknown = sorted(set(names.tolist()) - set(species))
    if unknown:
        raise SimulationError(f"{path}: species {', '.join(unknown)} are not in the model ({', '.join(species)})")
    optional = {name: dataset[name].values for name in ("image", "origin", "velocity", "diameter") if name in dataset}
    codes = np.array([species.index(name) for name in names])
    return dataset, Frame(dataset["position"].values, codes, dataset["box"].values, **optional)


@dataclass(frozen=True, kw_only=True)
class Integrate(Declaration):
    """Molecular dynamics over `steps`; frames are kept at the given numbers of steps."""

    steps: int
    ensemble: str
    temperature: tuple[float, float]
    pressure: float | None = None
    frames: tuple[int, ...] = ()
    seed: tuple[int, ...] | None = None  # of new velocities at the beginning

    fresh: ClassVar[bool] = False

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Integrate from mark to mark: frames, thermodynamic numbers, the next checkpoint."""
        if state.done == 0 and self.seed is not None:
            instance.draw_velocities(self.temperature[0], seeded(*self.seed))
        instance.integrate(self.ensemble, self.temperature, self.pressure)
        begin = state.done
        start, start_time = state.step - begin, state.time - begin * instance.timestep
        end = min(self.steps, (begin // checkpoint + 1) * checkpoint)
        kept = {mark for mark in self.frames if begin < mark <= end or mark == begin == 0}
        interval = max(1, min(THERMO_STEPS, self.steps // 100))
        noted = {mark for mark in range(0, end + 1, interval) if begin < mark or mark == begin == 0}
        for mark in sorted({*kept, *noted, end}):
            instance.run(mark - state.done, start, start + self.steps)
            state.done, state.step = mark, start + mark
            state.time = start_time + mark * instance.timestep
            row = instance.thermo()
            if mark in noted or mark == self.steps:
                state.note(row)
            if mark in kept:
                state.record(instance)
        return end == self.steps


@dataclass(frozen=True, kw_only=True)
class Relax(Declaration):
    """To the inherent structure: the minimum of the energy that is reached by going downhill."""

    keep: bool

    fresh: ClassVar[bool] = False

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Minimise with conjugate gradients."""
        _relax(instance)
        state.note(instance.thermo())
        if self.keep:
            state.record(instance)
        return True


def _relax(instance: Instance) -> dict[str, float]:
    instance.rest()
    instance.flatten()
    instance.minimize(FORCE_TOLERANCE, FIRST_EVALUATIONS)
    row = instance.thermo()
    if row["largest_force"] > 1e-2:
        # conjugate gradients can stall far from the minimum, for ever; damped dynamics gets on from there
        instance.descend(1e-2, FIRST_EVALUATIONS)
    if row["largest_force"] > FORCE_TOLERANCE:
        instance.minimize(FORCE_TOLERANCE, MOST_EVALUATIONS)
        row = instance.thermo()
    # a force that jumps at the cutoff ends a minimisation early, but not as early as this
    if row["largest_force"] > 1e-2:
        raise ConvergenceError(
            f"minimisation ended with a force of {row['largest_force']:.3g}: use a potential whose force is continuous"
        )
    return row


@dataclass(frozen=True, kw_only=True)
class Strain(Declaration):
    """Athermal quasistatic simple shear: strain by `increment`, minimise, `steps` times.

    Kept are the configuration after `skip` steps, those before and after every later event, and the last. The strain
    begins at zero, and no time passes.
    """

    steps: int
    increment: float
    skip: int
    dissipation: float

    fresh: ClassVar[bool] = False

    def perform(self, instance: Instance, state: State, checkpoint: int) -> bool:
        """Strain, step by step; an event is a step that dissipates more than `dissipation`."""
        if state.done == 0:
            instance.command("change_box all triclinic")
            row = _relax(instance)
            state.step, state.strain = 0, 0.0
            state.note(row)
            before = instance.frame()
            if self.skip == 0:
                state.recorder.add(before, 0, state.time, 0.0)
            tilt = before.box[1, 0]
        else:
            instance.flatten()
            before, row, tilt = state.memory
        # a minimisation takes some 200 evaluations of the forces
        end = min(self.steps, state.done + max(1, checkpoint // 200))
        for step in range(state.done + 1, end + 1):
            now = float(tilt + step * self.increment * before.box[1, 1])
            instance.command(f"change_box all xy final {now!r} remap units box")
            instance.minimize(FORCE_TOLERANCE, MOST_EVALUATIONS)
            last, row = row, instance.thermo()
            after = instance.frame()
            work = 0.5 * (row["shear_stress"] + last["shear_stress"]) * row["volume"] * self.increment
            gain = (row["potential_energy"] - last["potential_energy"]) * len(after.position)
            if step > self.skip and work - gain > self.dissipation:
                state.recorder.add(before, step - 1, state.time, (step - 1) * self.increment)
                state.recorder.add(after, step, state.time, step * self.increment)
            state.step = state.done = step
            state.strain = step * self.increment
            if step in (self.skip, self.steps):
                state.recorder.add(after, step, state.time, state.strain)
            state.note(row)
            before = after
        state.memory = (before, row, tilt)
        return end == self.steps


__all__ = ["Integrate", "Load", "Relax", "Scatter", "State", "Strain", "read_frame", "seeded"]
