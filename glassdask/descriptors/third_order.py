"""Third-order invariants of bond order, W_l and w_l."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import factorial, pi, sqrt
from typing import ClassVar

import numpy as np

from glassdask.descriptors.base import Plan, degree_range
from glassdask.descriptors.coefficients import shells, workspace
from glassdask.descriptors.of_neighbors import OfBonds
from glassdask.errors import ParameterError
from glassdask.kernels import bond_order as kernels
from glassdask.kernels.harmonics import recurrence
from glassdask.neighborhood.configuration import Configuration, Neighbors


@dataclass(frozen=True, kw_only=True)
class ThirdOrderInvariants(OfBonds):
    r"""Steinhardt's third-order invariants of bond order, W_l, or normalised, w_l.

    W_l(i) = sum_{m1 + m2 + m3 = 0} (l l l; m1 m2 m3) q_lm1 q_lm2 q_lm3 with Wigner's 3j symbols, and
    w_l(i) = W_l / (sum_m |q_lm|^2)^(3/2), with q_lm(i) = 1/N_b(i) sum_j Y_lm(r_ij) (Steinhardt, Nelson and Ronchetti,
    Phys. Rev. B 28, 784 (1983)); with `averaged` the q_lm are averaged over the neighbours first (Lechner and Dellago,
    J. Chem. Phys. 129, 114707 (2008)). Their sign tells crystals apart that Q_l does not.

    Parameters
    ----------
    l_max, l_min : int
        Even degrees from l_min to l_max, at most 32; those of odd degree are zero.
    normalized : bool, default True
        w_l, which does not depend on the size of q_l, rather than W_l.
    averaged : bool, default False
        Average q_lm over the centre and its neighbours, as `LechnerDellago` does.
    neighbors : rule for neighbours, optional
        Instead of `cutoffs`, another rule. Where it weighs the neighbours, so do the sums.
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (species unlike the centre's) or a tuple of names; "all" with `averaged`.

    Notes
    -----
    Output ``third_order`` (frame, particle, l), no unit. NaN for a centre without neighbours or with a neighbour on
    top of it, and of w_l where q_l is exactly zero; where it is zero but for rounding, w_l is noise between its limits.

    Examples
    --------
    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(1, 27, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 27, box=[3.0, 3.0, 3.0])
    >>> w = gd.describe(crystal, [gd.ThirdOrderInvariants(l_max=6, l_min=4, cutoffs=1.2)])["third_order"]
    >>> w.sel(l=[4, 6]).values[0, 0].round(5).tolist()
    [0.15932, 0.01316]
    """

    name: ClassVar[str] = "third_order"
    l_max: int = 8
    l_min: int = 2
    normalized: bool = True
    averaged: bool = False

    def check(self) -> None:
        """See `Declaration.check`."""
        if not len(_even(self.l_min, self.l_max)):
            raise ParameterError(
                f"degrees l_min = {self.l_min} to l_max = {self.l_max}: expected an even one among them"
            )
        super().check()
        if self.averaged and self.neighbor_species != "all":
            raise ParameterError("ThirdOrderInvariants averages over all neighbours: leave out neighbor_species")

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        degrees = _even(self.l_min, self.l_max)
        table = recurrence(int(degrees[-1]))
        terms = _terms(tuple(degrees.tolist()), not self.normalized)
        search, weigh = self.bonds(names)
        rule = self.rule(names)
        n_coefficients = sum(2 * (l + 1) for l in range(self.l_min, table.shape[1]))

        def own(configuration: Configuration, neighbors: Neighbors, out: np.ndarray) -> None:
            weight, room = weigh(configuration, neighbors), workspace(neighbors, table)
            q = configuration.scratch("coefficients of the centres", len(out), n_coefficients)
            kernels.coefficients(neighbors.offsets, neighbors.vector, weight, self.l_min, table, *room, q)
            kernels.third_order(q, self.l_min, degrees, *terms, self.normalized, out)

        def averaged(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            for shell in shells(configuration, centers, rule, self.l_min, table):
                mean = np.empty((len(shell.rows), n_coefficients))
                part = np.empty((len(shell.rows), len(degrees)))
                kernels.averages(shell.offsets, shell.index, shell.weight, shell.own, shell.row, shell.q, mean)
                kernels.third_order(mean, self.l_min, degrees, *terms, self.normalized, part)
                out[shell.rows] = part

        name = "w_l" if self.normalized else "W_l"
        return Plan(
            dims=("l",),
            shape=(len(degrees),),
            coords={"l": ("l", degrees)},
            search=None if self.averaged else search,
            compute=averaged if self.averaged else own,
            attrs={"long_name": f"third-order invariant of bond order {name}", "units": ""},
        )


def _even(l_min: int, l_max: int) -> np.ndarray:
    degrees = degree_range(l_min, l_max)
    return degrees[(degrees % 2 == 0) & (degrees > 0)]


@lru_cache
def _terms(degrees: tuple[int, ...], scaled: bool) -> tuple[np.ndarray, ...]:
    """Where the terms of each degree begin, their m1 >= m2 >= 0, and the factor of each.

    A term (m1, m2, -m1 - m2) stands for all orders of the three, and for their opposites, which add its complex
    conjugate. `scaled`: from the harmonics of `glassdask.kernels.harmonics` to those of unit norm.
    """
    first, a, b, factor = [0], [], [], []
    for l in degrees:
        for m1 in range(l + 1):
            for m2 in range(min(m1, l - m1) + 1):
                orders = 1 if m1 == 0 else 6 if m2 in (0, m1) else 12
                a.append(m1)
                b.append(m2)
                # the sign turns q_l(-m), which is (-1)^m conj(q_lm), into conj(q_lm)
                size = ((2 * l + 1) / (4 * pi)) ** 1.5 if scaled else 1.0
                factor.append(orders * (-1) ** (m1 + m2) * size * _wigner(l, m1, m2))
        first.append(len(a))
    return np.array(first), np.array(a), np.array(b), np.array(factor)


def _wigner(l: int, m1: int, m2: int) -> float:
    """Wigner's 3j symbol (l l l; m1 m2 -m1-m2) for m1, m2 >= 0, by Racah's formula in whole numbers.

    >>> round(_wigner(2, 0, 0), 12) == round(-sqrt(2 / 35), 12)
    True
    """
    m3 = -m1 - m2
    total = sum(
        Fraction(
            (-1) ** t,
            factorial(t) * factorial(t + m1) * factorial(t - m2) * factorial(l - t) * factorial(l - t - m1)
            * factorial(l - t + m2),
        )
        for t in range(m2, l - m1 + 1)
    )  # fmt: skip
    square = Fraction(factorial(l) ** 3, factorial(3 * l + 1))
    for m in (m1, m2, m3):
        square *= factorial(l + m) * factorial(l - m)
    return (-1) ** m3 * float(total) * sqrt(square)
