"""Energies of particles that interact in pairs."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel

# Columns of a table of coefficients, one row for each pair of species:
#   r < begin : c12 r^-12 + c6 r^-6 + q0 + q1 r + q2 r^2
#   begin <= r < cutoff : p0 + p1 x + p2 x^2 + p3 x^3 + p4 x^4 with x = r - begin
CUTOFF, BEGIN, C12, C6, Q0, Q1, Q2, P0, P1, P2, P3, P4 = range(12)
N_COEFFICIENTS = 12


@kernel
def pair_energies(centers, offsets, index, distance, species, table, out):
    """Half of the energy of all pairs of each centre.

    `offsets` (C + 1,), `index` (P,) and `distance` (P,) are a neighbour list that may reach further than the cutoffs,
    `species` (N,) codes, `table` (S, S, 12) coefficients (see this module), `out` (C,) the output.
    """
    for c in range(centers.shape[0]):
        s = species[centers[c]]
        total = 0.0
        for k in range(offsets[c], offsets[c + 1]):
            u = table[s, species[index[k]]]
            r = distance[k]
            if r >= u[0]:
                continue
            if r < u[1]:
                inverse = 1.0 / (r * r)
                inverse6 = inverse * inverse * inverse
                total += (u[2] * inverse6 + u[3]) * inverse6 + u[4] + r * (u[5] + r * u[6])
            else:
                x = r - u[1]
                total += u[7] + x * (u[8] + x * (u[9] + x * (u[10] + x * u[11])))
        out[c] = 0.5 * total


def evaluate(table: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy and force -du/dr at distances `r` for the coefficients of one pair, (12,)."""
    r = np.asarray(r, dtype=np.float64)
    x = r - table[BEGIN]
    power6 = r**-6.0
    inner = (table[C12] * power6 + table[C6]) * power6 + table[Q0] + r * (table[Q1] + r * table[Q2])
    inner_slope = -(12.0 * table[C12] * power6 + 6.0 * table[C6]) * power6 / r + table[Q1] + 2.0 * r * table[Q2]
    outer = np.polyval(table[P4 : P0 - 1 : -1], x)
    outer_slope = np.polyval((table[P1 : P4 + 1] * np.arange(1, 5))[::-1], x)
    inside, near = r < table[CUTOFF], r < table[BEGIN]
    energy = np.where(inside, np.where(near, inner, outer), 0.0)
    force = np.where(inside, -np.where(near, inner_slope, outer_slope), 0.0)
    return energy, force
