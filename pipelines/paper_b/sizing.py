"""How large the `day` profile is, from the errors of what is known and from what a step of a simulation costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glassdask import simulation
from paper_b.published import FRACTION, SYSTEMS
from paper_b.sources import BEGIN, WINDOW, Sizes, shipped_frames

SPEED = 0.9e6  # particle-steps a second of one core
EVALUATIONS = 150  # of the forces, in a minimisation after a strain step
# Standard deviation over configurations of accuracies in Kob and Andersen's mixture (10 of 3277 particles of type A,
# kept sample): far more than that of independent particles, since mobile ones lie together. With particles it falls as
# their square root.
SPREAD = {"highest accuracy": 0.047, "A-A features alone": 0.105}
SPREAD_PARTICLES = 3277
# Accuracies lost to few runs in that sample, with so many of them (`paper_b.experiments`)
LOST = {1: 0.16, 2: 0.10, 4: 0.09, 8: 0.05, 16: 0.02}
# Distances to be told apart at two errors: neighbours in 0.97, 0.90, 0.85; 0.72 (seen at short times) and 0.65
DISTANCE = {"highest accuracy": 0.05, "A-A features alone": 0.07}


@dataclass(frozen=True)
class Need:
    """What one claim needs of one system: configurations for its error, and the error of those that the profile has."""

    system: str
    claim: str
    wanted: float
    configurations: int
    planned: int
    error: float


def needs(sizes: Sizes) -> list[Need]:
    """For each system and claim of the thermal part.

    A difference d is told at two errors from a number that has none if the error is d / 2.
    """
    found = []
    for name, plan in sizes.thermal.items():
        model = simulation.MODELS[SYSTEMS[name].model]
        majority = plan.particles * model.fractions[0]
        for claim, spread in SPREAD.items():
            deviation = spread * np.sqrt(SPREAD_PARTICLES / majority)
            wanted = DISTANCE[claim] / 2
            found.append(
                Need(
                    SYSTEMS[name].title, claim, wanted, int(np.ceil((deviation / wanted) ** 2)), plan.starts,
                    float(deviation / np.sqrt(plan.starts)),
                )
            )  # fmt: skip
    return found


def core_hours(sizes: Sizes) -> dict[tuple[str, str], float]:
    """Of the simulations: (system, activation) -> core-hours."""
    found = {}
    for name, plan in sizes.thermal.items():
        system = SYSTEMS[name]
        step = simulation.MODELS[system.model].timestep
        prepared = 3.01 * system.quench if system.mixture else 1.01 * system.quench
        if plan.shipped:
            prepared = plan.apart * np.mean(np.arange(plan.starts) // shipped_frames(system))
        time = plan.replicas * plan.lag / (plan.timestep or step) + prepared / step
        found[name, "thermal"] = 0.0 if plan.kept else plan.starts * plan.particles * time / SPEED / 3600
    for name, glass in sizes.mechanical.items():
        step = simulation.MODELS[SYSTEMS[name].model].timestep
        strains = BEGIN / glass.first + glass.windows * WINDOW / glass.increment
        steps = 1.25 * glass.quench / step + strains * EVALUATIONS
        found[name, "mechanical"] = glass.realisations * glass.particles * steps / SPEED / 3600
    return found


def learned_from(sizes: Sizes) -> dict[str, int]:
    """Particles to learn from in the thermal part, of each system."""
    found = {}
    for name, plan in sizes.thermal.items():
        majority = int(plan.particles * simulation.MODELS[SYSTEMS[name].model].fractions[0])
        found[name] = 2 * plan.starts * int(FRACTION * majority)
    return found
