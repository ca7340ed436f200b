"""Pair potentials: what a form must tell, and the ways in which it is cut off.

A new form is a class with one function, `PairPotential.uncut`; `glassdask.simulation.forms` has those of the field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from glassdask.declarations import Declaration, Positive
from glassdask.errors import ParameterError
from glassdask.kernels import pairs

Array = np.ndarray[Any, Any]
# steps for derivatives: of the imaginary part, which is exact however small, and of r, in units of r
IMAGINARY, REAL = 1e-30, 1e-3


class Native(NamedTuple):
    """A style of LAMMPS that is exactly this potential: what all pairs must share, and what a pair has of its own."""

    style: str
    reach: str
    coefficients: str
    modify: str | None = None


class PairPotential(Declaration, ABC):
    """A family of potentials u(r) between two species, zero from `cutoff` on.

    A form has the fields that it needs, among them its `cutoff` (or a property of that name, where the form itself
    ends), and `uncut`. Energies of particles are made of splines of it (`spline`), which are off by less than 1e-10 of
    the energy or, where that is small, of 1; LAMMPS gets a table, except where it has the same potential (`native`).

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Gaussian(CutPotential):
    ...     epsilon: Positive
    ...     sigma: Positive
    ...
    ...     def uncut(self, r):
    ...         return self.epsilon * np.exp(-((r / self.sigma) ** 2))
    >>> u = Gaussian(epsilon=1, sigma=1, cutoff=3)
    >>> u.energy([0.0, 1.0, 4.0]).round(6), u.force(1.0).round(6)
    (array([0.999877, 0.367756, 0.      ]), np.float64(0.735759))
    """

    cutoff: Any

    @abstractmethod
    def uncut(self, r: Array) -> Array:
        """The form itself, at distances below the cutoff; of complex numbers too, from which its slope is found."""

    def derivatives(self, r: Array) -> tuple[Array, Array, Array]:
        """Energy, slope and curvature before any cutoff; the curvature is off by some 1e-11 unless a form knows it."""

        def slope(x: Array) -> Array:
            return np.imag(self.uncut(x + 1j * IMAGINARY)) / IMAGINARY

        h = REAL * r
        third = [slope(r + k * h) - slope(r - k * h) for k in (1, 2, 3)]
        return self.uncut(r), slope(r), (45.0 * third[0] - 9.0 * third[1] + third[2]) / (60.0 * h)

    @property
    def end(self) -> float:
        """The distance from which on energy and force are zero."""
        return float(self.cutoff)

    @property
    def inner(self) -> float:
        """Where the form itself ends and a polynomial begins; the cutoff, if there is none."""
        return self.end

    @property
    def added(self) -> tuple[float, ...]:
        """q_0 to q_4: the polynomial of r that is added to the form."""
        return (0.0,) * 5

    @property
    def outer(self) -> tuple[float, ...]:
        """p_0 to p_4: the polynomial of r - `inner` that stands from there to the cutoff."""
        return (0.0,) * 5

    @property
    def powers(self) -> tuple[float, float] | None:
        """c_12 and c_6 of a form that is c_12 r^-12 + c_6 r^-6."""
        return None

    @property
    def native(self) -> Native | None:
        """LAMMPS' own style for this potential."""
        return None

    def energy(self, r: Any) -> Array:
        """u(r); infinite at r = 0 where it has no bound."""
        r = np.asarray(r, dtype=np.float64)
        outer = np.where(r < self.end, polyval(r - self.inner, self.outer), 0.0)
        return np.where(r < self.inner, self._within(r), outer)[()]

    def force(self, r: Any) -> Array:
        """-du/dr."""
        r = np.asarray(r, dtype=np.float64)
        slope = self.derivatives(self._clipped(r))[1] + polyval(r, polyder(self.added))
        outer = np.where(r < self.end, polyval(r - self.inner, polyder(self.outer)), 0.0)
        return -np.where(r < self.inner, slope, outer)[()]

    def _clipped(self, r: Array) -> Array:
        """Distances at which the form is known."""
        return np.minimum(r, np.nextafter(self.inner, 0.0))

    def _within(self, r: Array) -> Array:
        with np.errstate(all="ignore"):
            energy = self.uncut(self._clipped(r)) + polyval(r, self.added)
        return np.where(np.isfinite(energy), energy, np.inf)

    @property
    def row(self) -> Array | None:
        """Coefficients (12,) in a Lennard-Jones table; None for other forms."""
        if self.powers is None or any(self.added[3:]):
            return None
        return np.array([self.end, self.inner, *self.powers, *self.added[:3], *self.outer])


@lru_cache(maxsize=256)
def spline(potential: PairPotential) -> Array:
    """The potential's part (1 + PIECES, 8) of a splined table, as `glassdask.kernels.pairs` reads it.

    Each piece takes the potential at seven points, the ends among them.
    """
    octaves = 2.0 ** np.arange(-1.0 - max(pairs.LOW, pairs.HIGH), 0.0)
    table = np.zeros((1 + pairs.PIECES, 8))
    table[0, :3] = potential.end, potential.inner, potential.inner**-2.0
    table[0, pairs.OUTER] = potential.outer
    for first, number, of_t in ((1, pairs.LOW, lambda key: key), (pairs.HIGH_ROW, pairs.HIGH, lambda key: 1.0 - key)):
        low = octaves[-number - 1 : -1, None] * (1.0 + np.arange(pairs.SUBDIVISIONS) / pairs.SUBDIVISIONS)
        bounds = np.concatenate([[0.0], low.ravel(), octaves[-1:]])
        center, half = (bounds[1:] + bounds[:-1]) / 2.0, np.diff(bounds) / 2.0
        nodes = -np.cos(np.pi * np.arange(7) / 6.0)
        key = np.clip(center[:, None] + half[:, None] * nodes, bounds[:-1, None], bounds[1:, None])
        values = potential._within(potential.inner * np.sqrt(of_t(key)))
        rows = table[first : first + len(center)]
        with np.errstate(all="ignore"):
            fit = np.linalg.solve(np.vander(nodes, increasing=True), values.T).T / half[:, None] ** np.arange(7)
        rows[:, 0], rows[:, 1:] = center, fit
        rows[~np.isfinite(rows).all(axis=1), 1:] = [np.inf, 0, 0, 0, 0, 0, 0]
    return table


Scheme = Literal["shift", "linear", "quadratic", "smooth", "cubic", "even"]


@dataclass(frozen=True, kw_only=True)
class CutPotential(PairPotential):
    """A potential of infinite range, cut off at `cutoff` in one of these ways.

    With u_c, u_c' and u_c'' the energy, its slope and its curvature at the cutoff r_c, `scheme` is

    - ``"shift"``: u(r) - u_c. The force jumps at the cutoff.
    - ``"linear"``: u(r) - u_c - (r - r_c) u_c'  (Oyama, Koyama and Kawasaki 2023, Eq. 1).
    - ``"quadratic"``: u(r) - u_c - (r^2 - r_c^2) u_c' / (2 r_c)  (Stoddard and Ford, Phys. Rev. A 8, 1504 (1973)).
    - ``"even"``: u(r) + c_0 + c_2 r^2 + c_4 r^4, such that energy, force and its slope are zero at the cutoff
      (A. Ninarello, L. Berthier and D. Coslovich, Phys. Rev. X 7, 021039 (2017)).
    - ``"smooth"``: from `begin` on the force is the cubic polynomial that goes on with the force and its slope there
      and ends with both zero at the cutoff (LAMMPS ``lj/smooth``); the energy is shifted to zero at the cutoff.
    - ``"cubic"``: from `begin` on a (r_c - r)^3, with a and r_c such that force and slope go on at `begin` (Grigera,
      Cavagna, Giardina and Parisi, Phys. Rev. Lett. 88, 055502 (2002)); the energy is shifted accordingly. `cutoff` is
      then found, not given.
    """

    cutoff: Positive | None = None
    scheme: Scheme = "shift"
    begin: Positive | None = None

    def check(self) -> None:
        """The fields that the scheme needs, and no others."""
        if (self.scheme in ("smooth", "cubic")) != (self.begin is not None):
            raise ParameterError(
                f"scheme {self.scheme!r} and begin {self.begin}: expected a begin with 'smooth' and 'cubic' only"
            )
        if self.begin is not None and self.scheme == "cubic":
            _, u1, u2 = map(float, self.derivatives(np.asarray(self.begin)))
            if not u1 * u2 < 0:
                raise ParameterError(f"begin {self.begin}: slope {u1:.4g} and curvature {u2:.4g} must differ in sign")
            found = self.begin - 2.0 * u1 / u2
            if self.cutoff is not None and abs(self.cutoff / found - 1.0) > 1e-9:
                raise ParameterError(
                    f"cutoff {self.cutoff}: 'cubic' from {self.begin} ends at {found:.10g}: leave it out"
                )
            object.__setattr__(self, "cutoff", found)
        if self.cutoff is None:
            raise ParameterError(f"cutoff: is missing: scheme {self.scheme!r} needs it")
        if self.begin is not None and not self.begin < self.cutoff:
            raise ParameterError(f"begin {self.begin} and cutoff {self.cutoff}: expected 0 < begin < cutoff")

    @property
    def inner(self) -> float:
        """See `PairPotential`."""
        return self.end if self.begin is None else self.begin

    @property
    def added(self) -> tuple[float, ...]:
        """See `PairPotential`."""
        return self._polynomials[0]

    @property
    def outer(self) -> tuple[float, ...]:
        """See `PairPotential`."""
        return self._polynomials[1]

    @cached_property
    def _polynomials(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        zero = (0.0,) * 5
        u0, u1, u2 = map(float, self.derivatives(np.asarray(self.inner)))
        rc = self.end
        x = rc - self.inner
        if self.scheme == "shift":
            return (-u0, *zero[1:]), zero
        if self.scheme == "linear":
            return (rc * u1 - u0, -u1, *zero[2:]), zero
        if self.scheme == "quadratic":
            return (0.5 * rc * u1 - u0, 0.0, -u1 / (2.0 * rc), 0.0, 0.0), zero
        if self.scheme == "even":
            c4 = (u1 / rc - u2) / (8.0 * rc**2)
            c2 = -u1 / (2.0 * rc) - 2.0 * c4 * rc**2
            return (-u0 - c2 * rc**2 - c4 * rc**4, 0.0, c2, 0.0, c4), zero
        if self.scheme == "smooth":
            # slope u1 + u2 x + a x^2 + b x^3 with zero value and slope at the cutoff
            a = -(3.0 * u1 + 2.0 * u2 * x) / x**2
            b = (2.0 * u1 + u2 * x) / x**3
            rise = [u1, u2 / 2.0, a / 3.0, b / 4.0]
            p0 = -sum(c * x**n for n, c in enumerate(rise, start=1))
            return (p0 - u0, *zero[1:]), (p0, *rise)
        a = -u1 / (3.0 * x**2)
        return (a * x**3 - u0, *zero[1:]), (a * x**3, -3.0 * a * x**2, 3.0 * a * x, -a, 0.0)
