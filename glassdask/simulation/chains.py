"""Bonds between consecutive particles: linear chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from glassdask.declarations import Declaration, NotNegative, Positive, Where
from glassdask.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Chains(Declaration):
    """Linear chains with finitely extensible bonds (Kremer and Grest, J. Chem. Phys. 92, 5057 (1990)).

    u(r) = -k/2 r_max^2 ln(1 - (r/r_max)^2) + 4 epsilon [(sigma/r)^12 - (sigma/r)^6] + epsilon, where the second part
    ends at 2^(1/6) sigma and replaces the pair potential between bonded monomers (LAMMPS ``bond_style fene``,
    ``special_bonds fene``). Monomers ``length * c`` to ``length * (c + 1) - 1`` are chain c.
    """

    length: Annotated[int, Where(lambda n: n >= 2, "a whole number of at least 2")] = 20
    k: Positive = 30.0
    r_max: Positive = 1.5
    epsilon: NotNegative = 1.0
    sigma: Positive = 1.0

    def bonds(self, n_particles: int) -> np.ndarray:
        """Pairs of bonded monomers, shape (bonds, 2)."""
        if n_particles % self.length:
            raise ParameterError(
                f"{n_particles} particles do not make chains of {self.length}: use a multiple of {self.length}"
            )
        first = np.arange(n_particles).reshape(-1, self.length)[:, :-1].ravel()
        return np.stack([first, first + 1], axis=1)

    def energy(self, r: np.ndarray) -> np.ndarray:
        """Energy of a bond of length r; infinite from `r_max` on."""
        r = np.asarray(r, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            spring = np.where(
                r < self.r_max, -0.5 * self.k * self.r_max**2 * np.log(1.0 - (r / self.r_max) ** 2), np.inf
            )
        power6 = (self.sigma / r) ** 6
        core = 4.0 * self.epsilon * power6 * (power6 - 1.0) + self.epsilon
        return spring + np.where(r < 2.0 ** (1.0 / 6.0) * self.sigma, core, 0.0)
