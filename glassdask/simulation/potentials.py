"""Pair potentials: Lennard-Jones with the ways to cut it off that the papers use, and the bonds of chains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glassdask.errors import ParameterError
from glassdask.kernels import pairs

SCHEMES = ("shift", "linear", "quadratic", "smooth", "cubic")


@dataclass(frozen=True, kw_only=True)
class PairPotential:
    """u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] between two species, cut off at `cutoff`.

    With `scheme` (u_c and u_c' are the energy and its slope at the cutoff)

    - ``"shift"``: u(r) - u_c. The force jumps at the cutoff.
    - ``"linear"``: u(r) - u_c - (r - r_c) u_c'  (Oyama, Koyama and Kawasaki 2023, Eq. 1).
    - ``"quadratic"``: u(r) - u_c - (r^2 - r_c^2) u_c' / (2 r_c)  (Stoddard and Ford, Phys. Rev. A 8, 1504 (1973)).
    - ``"smooth"``: from `begin` on the force is the cubic polynomial that goes on with the force and its slope there
      and ends with both zero at the cutoff (LAMMPS ``lj/smooth``); the energy is shifted to zero at the cutoff.
    - ``"cubic"``: from `begin` on a (r_c - r)^3, with a and r_c such that force and slope go on at `begin` (Grigera,
      Cavagna, Giardina and Parisi, Phys. Rev. Lett. 88, 055502 (2002)); the energy is shifted accordingly. `cutoff` is
      then found, not given.

    Parameters
    ----------
    epsilon, sigma : float
        Energy and length, in reduced units.
    cutoff : float, optional
        Distance from which on energy and force are zero.
    scheme : str
        How the potential is cut off.
    begin : float, optional
        Where smoothing begins, for "smooth" and "cubic".
    attraction : bool
        False leaves out the term r^-6 (Coslovich, Jack and Paret 2022, Eq. A2).

    Examples
    --------
    >>> u = PairPotential(epsilon=1.0, sigma=1.0, cutoff=2.5)
    >>> round(float(u.energy(2 ** (1 / 6))), 6)  # -1 and the shift at the cutoff
    -0.983683
    """

    epsilon: float
    sigma: float
    cutoff: float = math.nan
    scheme: str = "shift"
    begin: float = math.nan
    attraction: bool = True

    def __post_init__(self):
        if self.scheme not in SCHEMES:
            raise ParameterError(f"scheme {self.scheme!r} is unknown: choose one of {', '.join(SCHEMES)}")
        if not (self.epsilon >= 0 and self.sigma > 0):
            raise ParameterError(f"epsilon {self.epsilon} and sigma {self.sigma}: expected 0 or more, and more than 0")
        if self.scheme == "cubic":
            _, u1, u2 = self._uncut(self.begin)
            if not u1 * u2 < 0:
                raise ParameterError(f"begin {self.begin}: slope {u1:.4g} and curvature {u2:.4g} must differ in sign")
            object.__setattr__(self, "cutoff", self.begin - 2.0 * u1 / u2)
        if self.scheme in ("smooth", "cubic") and not 0 < self.begin < self.cutoff:
            raise ParameterError(f"begin {self.begin} and cutoff {self.cutoff}: expected 0 < begin < cutoff")
        if not self.cutoff > 0:
            raise ParameterError(f"cutoff {self.cutoff}: expected more than 0")

    def _uncut(self, r: float) -> tuple[float, float, float]:
        """Energy, slope and curvature before any cutoff."""
        c12, c6 = self._powers
        a, b = c12 * r**-12.0, c6 * r**-6.0
        return a + b, (-12.0 * a - 6.0 * b) / r, (156.0 * a + 42.0 * b) / r**2

    @property
    def _powers(self) -> tuple[float, float]:
        c12 = 4.0 * self.epsilon * self.sigma**12
        return c12, -4.0 * self.epsilon * self.sigma**6 if self.attraction else 0.0

    @cached_property
    def table(self) -> np.ndarray:
        """Coefficients (12,) as `glassdask.kernels.pairs` reads them."""
        table = np.zeros(pairs.N_COEFFICIENTS)
        table[pairs.C12], table[pairs.C6] = self._powers
        rc = table[pairs.CUTOFF] = table[pairs.BEGIN] = self.cutoff
        if self.scheme in ("smooth", "cubic"):
            u0, u1, u2 = self._uncut(self.begin)
            x = rc - self.begin
            table[pairs.BEGIN] = self.begin
            if self.scheme == "smooth":
                # slope u1 + u2 x + a x^2 + b x^3 with zero value and slope at the cutoff
                a = -(3.0 * u1 + 2.0 * u2 * x) / x**2
                b = (2.0 * u1 + u2 * x) / x**3
                slope = np.array([u1, u2, a, b])
                outer = np.concatenate([[0.0], slope / np.arange(1, 5)])
                outer[0] = -sum(c * x**n for n, c in enumerate(outer))
            else:
                a = -u1 / (3.0 * x**2)
                outer = a * np.array([x**3, -3.0 * x**2, 3.0 * x, -1.0, 0.0])
            table[pairs.P0 : pairs.P4 + 1] = outer
            table[pairs.Q0] = outer[0] - u0
        else:
            u0, u1, _ = self._uncut(rc)
            if self.scheme == "linear":
                table[pairs.Q1] = -u1
                table[pairs.Q0] = -u0 + rc * u1
            elif self.scheme == "quadratic":
                table[pairs.Q2] = -u1 / (2.0 * rc)
                table[pairs.Q0] = -u0 + 0.5 * rc * u1
            else:
                table[pairs.Q0] = -u0
        return table

    def energy(self, r: np.ndarray | float) -> np.ndarray:
        """u(r)."""
        return pairs.evaluate(self.table, np.asarray(r))[0]

    def force(self, r: np.ndarray | float) -> np.ndarray:
        """-du/dr."""
        return pairs.evaluate(self.table, np.asarray(r))[1]


@dataclass(frozen=True, kw_only=True)
class Chains:
    """Linear chains with finitely extensible bonds (Kremer and Grest, J. Chem. Phys. 92, 5057 (1990)).

    u(r) = -k/2 r_max^2 ln(1 - (r/r_max)^2) + 4 epsilon [(sigma/r)^12 - (sigma/r)^6] + epsilon, where the second part
    ends at 2^(1/6) sigma and replaces the pair potential between bonded monomers (LAMMPS ``bond_style fene``,
    ``special_bonds fene``). Monomers ``length * c`` to ``length * (c + 1) - 1`` are chain c.
    """

    length: int = 20
    k: float = 30.0
    r_max: float = 1.5
    epsilon: float = 1.0
    sigma: float = 1.0

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
