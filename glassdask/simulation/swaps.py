"""What a worker does with particles that have diameters: place them, and sweep over them by Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import Declaration
from glassdask.errors import SimulationError
from glassdask.simulation.instance import Frame
from glassdask.simulation.operations import THERMO_STEPS, State, seeded

SETTLING = 100  # sweeps that push apart particles that were placed at random
HOT = 1.0  # their temperature
STEP = 0.1  # and their moves


@dataclass(frozen=True, kw_only=True)
class Place(Declaration):
    """Particles at random places, with the diameters of the model in random order, moved until none overlap much."""

    n_particles: int
    density: float
    seed: int

    fresh: ClassVar[bool] = True

    def perform(self, instance: Any, state: State, checkpoint: int) -> bool:
        """Monte Carlo at a high temperature, which overlaps do not survive."""
        model, rng = instance.model, seeded(self.seed, 0)
        d = model.dimension
        box = (self.n_particles / self.density) ** (1.0 / d) * np.eye(d)
        diameter = rng.permutation(model.diameters(self.n_particles))
        position = rng.random((self.n_particles, d)) @ box
        instance.load(Frame(position, np.zeros(self.n_particles, np.int32), box, diameter=diameter))
        for sweep in range(SETTLING):
            instance.sweep(seeded(self.seed, 0, sweep), HOT, STEP, 0.0)
        if instance.thermo()["potential_energy"] > 1e3:
            raise SimulationError(f"overlaps are left at density {self.density:.4g}: use a lower density")
        return True


@dataclass(frozen=True, kw_only=True)
class SwapSweeps(Declaration):
    """Monte Carlo over `sweeps`; frames are kept at the given numbers of sweeps.

    The random numbers of a sweep are made of the seed and its number.
    """

    sweeps: int
    temperature: tuple[float, float]
    step: float
    share: float
    seed: tuple[int, ...]
    frames: tuple[int, ...] = ()

    fresh: ClassVar[bool] = False

    def perform(self, instance: Any, state: State, checkpoint: int) -> bool:
        """Sweep from mark to mark: frames, thermodynamic numbers, the next checkpoint."""
        begin, (first, last) = state.done, self.temperature
        if begin == 0:
            instance.temperature = first
        start, start_time = state.step - begin, state.time - begin
        end = min(self.sweeps, (begin // checkpoint + 1) * checkpoint)
        kept = {mark for mark in self.frames if begin < mark <= end or mark == begin == 0}
        interval = max(1, min(THERMO_STEPS, self.sweeps // 100))
        noted = {mark for mark in range(0, end + 1, interval) if begin < mark or mark == begin == 0}
        for mark in sorted({*kept, *noted, end}):
            for sweep in range(state.done, mark):
                temperature = first + (last - first) * (sweep + 1) / self.sweeps
                instance.sweep(seeded(*self.seed, sweep), temperature, self.step, self.share)
            state.done, state.step, state.time = mark, start + mark, float(start_time + mark)
            if mark in noted or mark == self.sweeps:
                state.note(instance.thermo())
            if mark in kept:
                state.record(instance)
        return end == self.sweeps
