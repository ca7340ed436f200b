"""The forms of pair potentials. Lengths and energies are in the units of the model.

Each is a function of r / sigma times epsilon; any pair of species may have its own sigma, additive or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import NotNegative, Positive
from glassdask.simulation.potentials import Array, CutPotential, Native, PairPotential

# LAMMPS' styles by scheme
LENNARD_JONES_STYLES = {"shift": "lj/cut", "linear": "lj/smooth/linear", "smooth": "lj/smooth"}


class _TwelveSix(PairPotential):
    """4 epsilon [(sigma/r)^12 - (sigma/r)^6]."""

    epsilon: float
    sigma: float

    def uncut(self, r: Array) -> Array:
        """See `PairPotential.uncut`."""
        return self.derivatives(r)[0]

    def derivatives(self, r: Array) -> tuple[Array, Array, Array]:
        """See `PairPotential.derivatives`."""
        c12, c6 = self.powers
        a, b = c12 * r**-12.0, c6 * r**-6.0
        return a + b, (-12.0 * a - 6.0 * b) / r, (156.0 * a + 42.0 * b) / r**2

    @property
    def powers(self) -> tuple[float, float]:
        """See `PairPotential.powers`."""
        return 4.0 * self.epsilon * self.sigma**12, -4.0 * self.epsilon * self.sigma**6


@dataclass(frozen=True, kw_only=True)
class LennardJones(_TwelveSix, CutPotential):
    """u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6], cut off as `CutPotential` says.

    Examples
    --------
    >>> u = LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5)
    >>> round(float(u.energy(2 ** (1 / 6))), 6)  # -1 and the shift at the cutoff
    -0.983683
    """

    epsilon: NotNegative
    sigma: Positive

    @property
    def native(self) -> Native | None:
        """See `PairPotential.native`."""
        style = LENNARD_JONES_STYLES.get(self.scheme)
        if style is None:
            return None
        begin = f"{self.begin!r} " if self.scheme == "smooth" else ""
        modify = None if self.scheme == "linear" else "shift yes"
        reach = f"{begin}{self.end!r}"
        return Native(style, reach, f"{self.epsilon!r} {self.sigma!r} {reach}", modify)


@dataclass(frozen=True, kw_only=True)
class WCA(_TwelveSix):
    """u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] + epsilon up to the minimum, 2^(1/6) sigma.

    J. D. Weeks, D. Chandler and H. C. Andersen, J. Chem. Phys. 54, 5237 (1971).
    """

    epsilon: NotNegative
    sigma: Positive

    @property
    def cutoff(self) -> float:
        """The minimum of the Lennard-Jones potential."""
        return float(2.0 ** (1.0 / 6.0) * self.sigma)

    @property
    def added(self) -> tuple[float, ...]:
        """See `PairPotential`."""
        return (self.epsilon, 0.0, 0.0, 0.0, 0.0)

    @property
    def native(self) -> Native:
        """See `PairPotential.native`."""
        return Native("lj/cut", f"{self.end!r}", f"{self.epsilon!r} {self.sigma!r} {self.end!r}", "shift yes")


@dataclass(frozen=True, kw_only=True)
class InversePower(CutPotential):
    """u(r) = epsilon (sigma/r)^n, cut off as `CutPotential` says.

    With n = 12 and scheme ``"even"`` at 1.25 sigma, the liquids of swap Monte Carlo (A. Ninarello, L. Berthier and
    D. Coslovich, Phys. Rev. X 7, 021039 (2017)); see `glassdask.simulation.mixed_pairs` for their diameters.
    """

    epsilon: NotNegative
    sigma: Positive
    n: Positive = 12.0

    def uncut(self, r: Array) -> Array:
        """See `PairPotential.uncut`."""
        return self.epsilon * (self.sigma / r) ** self.n

    def derivatives(self, r: Array) -> tuple[Array, Array, Array]:
        """See `PairPotential.derivatives`."""
        u, n = self.uncut(r), self.n
        return u, -n * u / r, n * (n + 1.0) * u / r**2

    @property
    def powers(self) -> tuple[float, float] | None:
        """See `PairPotential.powers`."""
        return (self.epsilon * self.sigma**12, 0.0) if self.n == 12.0 else None


@dataclass(frozen=True, kw_only=True)
class Yukawa(CutPotential):
    """u(r) = epsilon exp[-kappa (r/sigma - 1)] sigma/r, cut off as `CutPotential` says.

    `kappa` is the inverse screening length in units of 1/sigma (F. El Azhar, M. Baus, J.-P. Ryckaert and E. J. Meijer,
    J. Chem. Phys. 112, 5121 (2000), without their hard core).
    """

    epsilon: NotNegative
    sigma: Positive
    kappa: Positive

    def uncut(self, r: Array) -> Array:
        """See `PairPotential.uncut`."""
        return self.epsilon * self.sigma / r * np.exp(-self.kappa * (r / self.sigma - 1.0))

    @property
    def native(self) -> Native | None:
        """See `PairPotential.native`; all pairs must have the same screening length."""
        if self.scheme != "shift":
            return None
        amplitude = float(self.epsilon * self.sigma * np.exp(self.kappa))
        return Native(
            f"yukawa {self.kappa / self.sigma!r}", f"{self.end!r}", f"{amplitude!r} {self.end!r}", "shift yes"
        )


class _SoftSphere(PairPotential):
    """u(r) = epsilon (1 - r/sigma)^exponent / exponent for r < sigma."""

    exponent: ClassVar[float]
    epsilon: float
    sigma: float

    @property
    def cutoff(self) -> float:
        """The sum of the radii."""
        return self.sigma

    def uncut(self, r: Array) -> Array:
        """See `PairPotential.uncut`."""
        return self.epsilon * (1.0 - r / self.sigma) ** self.exponent / self.exponent

    def derivatives(self, r: Array) -> tuple[Array, Array, Array]:
        """See `PairPotential.derivatives`; beyond sigma, where steps of r would end, the form has no meaning."""
        x, n = 1.0 - r / self.sigma, self.exponent
        slope, curvature = -self.epsilon / self.sigma * x ** (n - 1.0), (n - 1.0) / self.sigma**2 * x ** (n - 2.0)
        return self.uncut(r), slope, self.epsilon * curvature


@dataclass(frozen=True, kw_only=True)
class Harmonic(_SoftSphere):
    """u(r) = epsilon/2 (1 - r/sigma)^2 for r < sigma.

    C. S. O'Hern, S. A. Langer, A. J. Liu and S. R. Nagel, Phys. Rev. Lett. 88, 075507 (2002), alpha = 2.
    """

    exponent: ClassVar[float] = 2.0
    epsilon: NotNegative
    sigma: Positive


@dataclass(frozen=True, kw_only=True)
class Hertzian(_SoftSphere):
    """u(r) = 2 epsilon/5 (1 - r/sigma)^(5/2) for r < sigma.

    C. S. O'Hern, S. A. Langer, A. J. Liu and S. R. Nagel, Phys. Rev. Lett. 88, 075507 (2002), alpha = 5/2.
    """

    exponent: ClassVar[float] = 2.5
    epsilon: NotNegative
    sigma: Positive


@dataclass(frozen=True, kw_only=True)
class Dzugutov(PairPotential):
    """u(r) = epsilon [A (x^-m - B) exp(c / (x - a)) + B exp(d / (x - b))] with x = r / sigma.

    The first term ends at x = a, the second at x = b; m = 16, A = 5.82, B = 1.28, a = 1.87, b = 1.94, c = 1.1, d = 0.27
    (M. Dzugutov, Phys. Rev. A 46, R2984 (1992)): a minimum near 1.13 and a maximum near 1.63 that frustrates crystals.
    """

    epsilon: NotNegative
    sigma: Positive

    @property
    def cutoff(self) -> float:
        """Where the second term ends."""
        return 1.94 * self.sigma

    def uncut(self, r: Array) -> Array:
        """See `PairPotential.uncut`."""
        x = r / self.sigma
        first = 5.82 * (x**-16.0 - 1.28) * _ending(x, 1.1, 1.87)
        return self.epsilon * (first + 1.28 * _ending(x, 0.27, 1.94))


def _ending(x: Any, rate: float, end: float) -> Any:
    """exp(rate / (x - end)) up to `end`, then zero, with all its derivatives."""
    before = np.real(x) < end
    return np.where(before, np.exp(rate / np.where(before, x - end, -rate)), 0.0)


def mixed_pairs(
    diameters: Sequence[float], form: Callable[[float], PairPotential], nonadditivity: float = 0.0
) -> tuple[PairPotential, ...]:
    """The potentials of all pairs of species, whose sigma is (s_i + s_j) / 2 (1 - nonadditivity |s_i - s_j|).

    Parameters
    ----------
    diameters : sequence of float
        s_i of each species.
    form : callable
        Makes the potential of a pair from its sigma.
    nonadditivity : float, default 0.0
        0 for additive diameters, 0.2 for the liquids of swap Monte Carlo.

    Examples
    --------
    >>> swap = lambda sigma: InversePower(epsilon=1.0, sigma=sigma, cutoff=1.25 * sigma, scheme="even")
    >>> [round(pair.sigma, 4) for pair in mixed_pairs([0.8, 1.2], swap, nonadditivity=0.2)]
    [0.8, 0.92, 1.2]
    """
    pairs = itertools.combinations_with_replacement(diameters, 2)
    return tuple(form(0.5 * (a + b) * (1.0 - nonadditivity * abs(a - b))) for a, b in pairs)
