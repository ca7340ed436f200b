"""State points that are simulated: from the keys of ``[protocol]`` and ``[[runs]]`` to a `Recipe`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glassdask.errors import ParameterError
from glassdask.simulation import engine
from glassdask.simulation.eam import copper_zirconium
from glassdask.simulation.models import MODELS, Model
from glassdask.simulation.protocols import Dynamics, Isoconfigurational, RandomStart, Simulation, StoredStart, quench

DEFAULTS: dict[str, Any] = {
    "particles": None,
    "melt": None,
    "melt_time": None,
    "rate": None,
    "equilibrate": None,
    "produce": None,
    "every": None,
    "between": 0,
    "ensemble": "nvt",
    "pressure": None,
    "inherent": False,
    "replicas": 0,
    "lags": (),
    "keep": False,
    "potential": None,
}
REQUIRED = ("particles", "melt", "melt_time", "rate", "equilibrate", "produce")


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
        steps = sum(getattr(stage, "time", 0.0) for stage in self.simulation.stages) / self.simulation.step
        if self.ensemble is not None:
            steps += self.ensemble.replicas * self.ensemble.steps[-1]
        start = self.simulation.start
        return steps * (start.n_particles if isinstance(start, RandomStart) else 1)

    def key(self) -> str:
        """Hash of everything that is simulated, wherever it is stored."""
        ensemble = self.ensemble and replace(self.ensemble, start=StoredStart(path="", frame=self.ensemble.start.frame))
        return engine.key(self.simulation, self.inherent, ensemble)


def model_named(file: Path, name: str, potential: str | None) -> Model:
    """The model liquid of this name; Cu64Zr36 is made of a potential file that lies beside the sweep's file."""
    if name == "copper_zirconium":
        return copper_zirconium(str(file.parent / (potential or "")))
    if name not in MODELS:
        raise ParameterError(f"{file}: no model {name!r}: choose one of {', '.join([*MODELS, 'copper_zirconium'])}")
    return MODELS[name]


def recipe(
    model: Model, label: str, path: str, density: float | None, temperature: float, seed: int, settings: dict[str, Any]
) -> Recipe:
    """Melt, cool, equilibrate, produce. The random numbers are made of the seed and the label."""
    own_seed = int.from_bytes(hashlib.sha256(f"{seed} {label}".encode()).digest()[:4], "big")
    ensemble, pressure = settings["ensemble"], settings["pressure"]
    # at a given pressure the density is found while the system is prepared
    prepare: dict[str, Any] = {"ensemble": "nvt" if pressure is None else "npt", "pressure": pressure}
    simulation = Simulation(
        model=model,
        start=RandomStart(n_particles=settings["particles"], density=density),
        stages=(
            Dynamics(time=settings["melt_time"], temperature=settings["melt"]),
            quench(settings["melt"], temperature, settings["rate"], **prepare),
            Dynamics(time=settings["equilibrate"], temperature=temperature, **prepare),
            Dynamics(
                time=settings["produce"],
                temperature=temperature,
                ensemble=ensemble,
                pressure=pressure if ensemble == "npt" else None,
                every=settings["every"],
                between=settings["between"],
            ),
        ),
        seed=own_seed,
    )
    replicas = None
    if settings["replicas"]:
        replicas = Isoconfigurational(
            model=model,
            start=StoredStart(path=path),
            temperature=temperature,
            lags=tuple(settings["lags"]),
            replicas=settings["replicas"],
            seed=own_seed,
            keep=settings["keep"],
        )
    return Recipe(simulation, settings["inherent"], replicas)
