"""What all models of liquids have: species in given proportions, a density, a timestep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from glassdask.declarations import Declaration, NotNegative, Positive
from glassdask.errors import ParameterError
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.chains import Chains


@dataclass(frozen=True, kw_only=True)
class Model(Declaration, ABC):
    """A model liquid: base of `PairModel` and `EmbeddedAtom`.

    Parameters
    ----------
    name : str
        How the model is called in sweeps and stores.
    species : tuple of str
        Names of the species.
    fractions, masses : tuple of float
        Of each species; the fractions add up to 1.
    density : float
        Particles per unit volume (area in two dimensions) to begin with.
    timestep : float
        Of the integration.
    dimension : int
        2 or 3.
    """

    name: str = "liquid"
    species: tuple[str, ...]
    fractions: tuple[NotNegative, ...]
    masses: tuple[Positive, ...]
    density: Positive
    timestep: Positive
    dimension: Literal[2, 3] = 3

    units: ClassVar[str]  # of LAMMPS
    chains: ClassVar[Chains | None] = None

    def check(self) -> None:
        """One fraction and mass for each species."""
        n = len(self.species)
        if not len(self.fractions) == len(self.masses) == n:
            raise ParameterError(
                f"{self.name}: {n} species, {len(self.fractions)} fractions and {len(self.masses)} masses: give one of "
                "each for each species"
            )
        if abs(sum(self.fractions) - 1.0) > 1e-9:
            raise ParameterError(f"{self.name}: fractions add up to {sum(self.fractions):.10g}, expected 1")
        if len(set(self.species)) < n or not all(
            name and name.isprintable() and "-" not in name for name in self.species
        ):
            raise ParameterError(f"{self.name}: species {self.species}: expected different names without hyphens")

    @property
    @abstractmethod
    def reach(self) -> float:
        """The largest cutoff."""

    @abstractmethod
    def energies(self, configuration: Configuration) -> np.ndarray:
        """Potential energy of each particle of one frame, shape (N,)."""

    @abstractmethod
    def interactions(self, folder: Path) -> list[str]:
        """LAMMPS commands that define the interactions; they run in `folder`, which may take a file that they read."""

    def commands(self, folder: Path) -> list[str]:
        """LAMMPS commands that define masses and interactions, once the box exists."""
        masses = [f"mass {i} {mass!r}" for i, mass in enumerate(self.masses, start=1)]
        return [*masses, *self.interactions(folder)]

    def counts(self, n_particles: int) -> tuple[int, ...]:
        """Particles of each species in a system of `n_particles`."""
        return species_counts(self.fractions, n_particles)


def species_counts(fractions: tuple[float, ...], n_particles: int) -> tuple[int, ...]:
    """Whole numbers of particles closest to the fractions, whose sum is `n_particles`.

    >>> species_counts((0.33, 0.67), 100), species_counts((0.5, 0.5), 7)
    ((33, 67), (4, 3))
    """
    edges = np.floor(np.cumsum([0.0, *fractions]) * n_particles + 0.5).astype(int)
    return tuple(int(n) for n in np.diff(edges))
