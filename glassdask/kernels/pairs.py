"""Energies of particles that interact in pairs: Lennard-Jones in closed form, any other form as a spline.

Both are cut off in the same way, c(r) being the coefficients of a pair of species:

    r < begin           : the inner part
    begin <= r < cutoff : p0 + p1 x + p2 x^2 + p3 x^3 + p4 x^4 with x = r - begin

A Lennard-Jones table (S, S, 12) has the inner part c12 r^-12 + c6 r^-6 + q0 + q1 r + q2 r^2.

A splined table (S, S, 1 + PIECES, 8) has in row 0 the cutoffs and the outer part, then the inner part as polynomials of
degree six, each with its centre. They are pieces of t = (r / begin)^2, so that nothing takes a root, and narrower at
both ends: each octave of t below 1/2, and of 1 - t above, has `SUBDIVISIONS` of them. A power of r has the same error
relative to it everywhere, and a function that ends at the cutoff may end with any power.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel

# Columns of a Lennard-Jones table; the first two are those of a splined one, too
CUTOFF, BEGIN, C12, C6, Q0, Q1, Q2, P0, P1, P2, P3, P4 = range(12)
N_COEFFICIENTS = 12
SCALE, OUTER = 2, slice(3, 8)  # of row 0 of a splined table: begin^-2, p0 to p4
# The pieces of a splined table
SUBDIVISIONS = 64
LOW, HIGH = 40, 16  # octaves of t below 1/2, of 1 - t below 1/2
BITS = 46  # of a double below those that number its octave and the 64th of it
EXPONENT = 1022  # of the numbers from 1/2 on
PIECES = (LOW + HIGH) * SUBDIVISIONS + 2  # at the ends one more, down to zero
HIGH_ROW = 2 + LOW * SUBDIVISIONS  # of the piece at the cutoff


@kernel
def piece(t):
    """The row of a splined table that holds t, and what it is a polynomial of: t, or 1 - t from 1/2 on."""
    key, first, pieces, row = t, EXPONENT - LOW, LOW * SUBDIVISIONS, 2
    if t >= 0.5:
        key, first, pieces, row = 1.0 - t, EXPONENT - HIGH, HIGH * SUBDIVISIONS, HIGH_ROW + 1
    # the bits of a double number its octave and, within that, the piece
    number = int(np.float64(key).view(np.int64) >> BITS) - first * SUBDIVISIONS
    return row + max(-1, min(number, pieces - 1)), key


@kernel
def splined(u, r2):
    """The inner part of one pair at a squared distance; `u` (1 + PIECES, 8)."""
    row, key = piece(r2 * u[0, 2])
    p = u[row]
    x = key - p[0]
    return p[1] + x * (p[2] + x * (p[3] + x * (p[4] + x * (p[5] + x * (p[6] + x * p[7])))))


@kernel
def splined_energy(u, r2):
    """Energy of one pair at a squared distance."""
    if r2 < u[0, 1] * u[0, 1]:
        return splined(u, r2)
    if r2 < u[0, 0] * u[0, 0]:
        x = np.sqrt(r2) - u[0, 1]
        return u[0, 3] + x * (u[0, 4] + x * (u[0, 5] + x * (u[0, 6] + x * u[0, 7])))
    return 0.0


@kernel
def pair_energies(centers, offsets, index, distance, species, table, out):
    """Half of the energy of all pairs of each centre; NaN where it has no bound.

    `offsets` (C + 1,), `index` (P,) and `distance` (P,) are a neighbour list that may reach further than the cutoffs,
    `species` (N,) codes, `table` a Lennard-Jones or splined one (see this module), `out` (C,) the output.
    """
    for c in range(centers.shape[0]):
        s = species[centers[c]]
        total = 0.0
        for k in range(offsets[c], offsets[c + 1]):
            u = table[s, species[index[k]]]
            r = distance[k]
            if table.ndim == 4:  # known when this is compiled
                total += splined_energy(u, r * r)
                continue
            if r >= u[0]:
                continue
            if r < u[1]:
                inverse = 1.0 / (r * r)
                inverse6 = inverse * inverse * inverse
                total += (u[2] * inverse6 + u[3]) * inverse6 + u[4] + r * (u[5] + r * u[6])
            else:
                x = r - u[1]
                total += u[7] + x * (u[8] + x * (u[9] + x * (u[10] + x * u[11])))
        out[c] = np.nan if np.isinf(total) else 0.5 * total
