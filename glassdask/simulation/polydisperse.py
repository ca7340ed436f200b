"""Liquids of particles that have a diameter each, drawn from a power law: those of swap Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from glassdask.declarations import NotNegative, Positive, Where
from glassdask.errors import ParameterError
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.forms import InversePower
from glassdask.simulation.mixture import Model
from glassdask.simulation.pair_lists import half_list
from glassdask.simulation.potentials import PairPotential


@dataclass(frozen=True, kw_only=True)
class PolydisperseModel(Model):
    """Particles with continuously distributed diameters.

    u(r / sigma_ij), sigma_ij = (s_i + s_j) / 2 (1 - nonadditivity |s_i - s_j|), where s_i, the diameter of a particle,
    has a probability proportional to s^-exponent from `smallest` to `largest`.

    A. Ninarello, L. Berthier and D. Coslovich, Phys. Rev. X 7, 021039 (2017); in two dimensions, L. Berthier, P.
    Charbonneau, A. Ninarello, M. Ozawa and S. Yaida, Nat. Commun. 10, 1508 (2019).

    Parameters
    ----------
    name, density, timestep, dimension : str, float, float and int
        As for `Model`; there is one species, of mass 1.
    form : PairPotential
        u(r) between two particles of diameter 1.
    nonadditivity : float, default 0.2
        By how much particles of different diameters come closer.
    smallest, largest : float, default 0.73 and 1.62
        Of the diameters, whose mean is then 1 and standard deviation 0.23.
    exponent : float, default 3.0
        Of the distribution.

    Examples
    --------
    >>> diameters = POLYDISPERSE.diameters(1000)
    >>> round(float(diameters.mean()), 2), round(float(diameters.std() / diameters.mean()), 2)
    (1.01, 0.23)
    """

    species: tuple[str, ...] = ("A",)
    fractions: tuple[NotNegative, ...] = (1.0,)
    masses: tuple[Positive, ...] = (1.0,)
    timestep: Positive = 0.01
    form: PairPotential
    nonadditivity: Annotated[float, Where(lambda x: 0 <= x < 0.5, "at least 0, less than 0.5")] = 0.2
    smallest: Positive = 0.73
    largest: Positive = 1.62
    exponent: float = 3.0

    tag: ClassVar[str] = "polydisperse_model"
    units: ClassVar[str] = "lj"

    def check(self) -> None:
        """One species, and diameters in order."""
        super().check()
        if len(self.species) != 1:
            raise ParameterError(f"{self.name}: {len(self.species)} species: expected one, with diameters of its own")
        if not self.smallest <= self.largest:
            raise ParameterError(f"{self.name}: smallest {self.smallest} and largest {self.largest}: exchange them")

    @property
    def reach(self) -> float:
        """The cutoff of two of the largest particles."""
        return self.form.end * self.largest

    def diameters(self, n_particles: int) -> np.ndarray:
        """Diameters (N,), increasing, as evenly spread over the distribution as so many can be."""
        part, n = (np.arange(n_particles) + 0.5) / n_particles, self.exponent - 1.0
        low, high = self.smallest, self.largest
        if abs(n) < 1e-9:
            return np.asarray(low * (high / low) ** part)
        return np.asarray((low**-n - part * (low**-n - high**-n)) ** (-1.0 / n))

    def mixed(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """sigma_ij of particles of these diameters."""
        return 0.5 * (first + second) * (1.0 - self.nonadditivity * np.abs(first - second))

    def energies(self, configuration: Configuration) -> np.ndarray:
        """Potential energy of each particle, half of that of its pairs, (N,); the configuration knows the diameters.

        Examples
        --------
        >>> dimer = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
        >>> system = Configuration(dimer, np.zeros(2, int), 10.0 * np.eye(3), ("A",), diameter=[0.8, 1.2])
        >>> energies = POLYDISPERSE.energies(system)
        >>> bool(abs(energies.sum() - POLYDISPERSE.form.energy(1.0 / 0.92)) < 1e-14)
        True
        """
        diameter, n = configuration.known_diameters(), len(configuration.position)
        first, second, _, distance = half_list(configuration, self.cutoffs(configuration))
        half = 0.5 * self.form.energy(distance / self.mixed(diameter[first], diameter[second]))
        return np.bincount(first, half, n) + np.bincount(second, half, n)

    def cutoffs(self, configuration: Configuration) -> np.ndarray:
        """The largest cutoff of the particles of a configuration, (S, S)."""
        largest = float(configuration.known_diameters().max())
        return np.full((len(configuration.names),) * 2, self.form.end * largest)

    def interactions(self, folder: Path) -> list[str]:
        """LAMMPS has no such particles."""
        raise ParameterError(f"{self.name}: LAMMPS has no particles with diameters of their own: use SwapMonteCarlo")


def soft_spheres(name: str, dimension: int) -> PolydisperseModel:
    """u(r) = (sigma/r)^12 with an even polynomial that ends smoothly at 1.25 sigma, at density 1."""
    form = InversePower(epsilon=1.0, sigma=1.0, n=12.0, cutoff=1.25, scheme="even")
    return PolydisperseModel(name=name, density=1.0, dimension=dimension, form=form)  # type: ignore[arg-type]


POLYDISPERSE = soft_spheres("polydisperse", 3)
POLYDISPERSE_2D = soft_spheres("polydisperse_2d", 2)
