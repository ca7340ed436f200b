"""Monte Carlo of particles that have a diameter each: they move, and pairs of them exchange diameters.

The potential is a function of x = r / sigma_ij with sigma_ij = (s_i + s_j) / 2 (1 - nonadditivity |s_i - s_j|): where
`table` (6,) has one dimension, c12 x^-12 + c6 x^-6 + q0 + q2 x^2 + q4 x^4 up to the cutoff, (cutoff^2, c12, c6, q0, q2,
q4); where it has two, the part of a splined table for a pair of diameter 1, see `glassdask.kernels.pairs`.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.pairs import splined_energy

TRIED, MOVED, EXCHANGES, EXCHANGED = range(4)  # what is counted


@kernel
def energy_of(i, dx, dy, dz, offsets, index, vector, shift, diameter, table, nonadditivity):
    """Energy of the pairs of particle i if it is displaced by `dx`, `dy`, `dz`; see `sweep_swaps`."""
    total = 0.0
    own = diameter[i]
    for k in range(offsets[i], offsets[i + 1]):
        j = index[k]
        x = vector[0, k] + shift[0, j] - dx
        y = vector[1, k] + shift[1, j] - dy
        z = vector[2, k] + shift[2, j] - dz
        other = diameter[j]
        sigma = 0.5 * (own + other) * (1.0 - nonadditivity * abs(own - other))
        r2, s2 = x * x + y * y + z * z, sigma * sigma
        if table.ndim == 2:  # known when this is compiled
            total += splined_energy(table, r2 / s2)
        elif r2 < table[0] * s2:
            x2 = r2 / s2
            inverse = s2 / r2
            inverse6 = inverse * inverse * inverse
            total += (table[1] * inverse6 + table[2]) * inverse6 + table[3] + x2 * (table[4] + x2 * table[5])
    return total


@kernel
def sweep_swaps(
    offsets, index, vector, shift, diameter, table, nonadditivity, beta, share, room2, random, first, counts
):
    """Metropolis trials until one makes the neighbour list too old; returns the number of the next one.

    `offsets` (N + 1,), `index` (P,) and `vector` (3, P): a neighbour list that holds while nobody is displaced by more
    than the root of `room2`; `shift` (3, N) are the displacements since, `diameter` (N,); both are updated. `random`
    (trials, 6): below `share` an exchange, else a move; which particle; the move, or which particle it exchanges with;
    a number in [0, 1) for the decision. To `counts` (4,) the numbers of moves and exchanges, tried and accepted, are
    added.
    """
    n = shift.shape[1]
    for trial in range(first, random.shape[0]):
        i = int(random[trial, 1] * n)
        x, y, z = shift[0, i], shift[1, i], shift[2, i]
        old = energy_of(i, x, y, z, offsets, index, vector, shift, diameter, table, nonadditivity)
        if random[trial, 0] < share:
            counts[EXCHANGES] += 1
            j = int(random[trial, 2] * (n - 1))
            j += j >= i
            u, v, w = shift[0, j], shift[1, j], shift[2, j]
            # a pair of the two themselves counts twice, before and after, and alike
            old += energy_of(j, u, v, w, offsets, index, vector, shift, diameter, table, nonadditivity)
            s = diameter[i]
            diameter[i] = diameter[j]
            diameter[j] = s
            new = energy_of(i, x, y, z, offsets, index, vector, shift, diameter, table, nonadditivity)
            new += energy_of(j, u, v, w, offsets, index, vector, shift, diameter, table, nonadditivity)
            if new <= old or random[trial, 5] < np.exp(beta * (old - new)):
                counts[EXCHANGED] += 1
            else:
                diameter[j] = diameter[i]
                diameter[i] = s
            continue
        counts[TRIED] += 1
        x += random[trial, 2]
        y += random[trial, 3]
        z += random[trial, 4]
        new = energy_of(i, x, y, z, offsets, index, vector, shift, diameter, table, nonadditivity)
        if new <= old or random[trial, 5] < np.exp(beta * (old - new)):
            counts[MOVED] += 1
            shift[0, i] = x
            shift[1, i] = y
            shift[2, i] = z
            if x * x + y * y + z * z > room2:
                return trial + 1
    return random.shape[0]
