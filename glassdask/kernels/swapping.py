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
def mirror(offsets, index, vector, filled, other_index, other_vector, reverse):
    """Write a symmetric neighbour list anew, each particle's neighbours in order, with where each pair's other end is.

    `offsets` (N + 1,), `index` (P,), `vector` (3, P) the list; `filled` (N,) scratch. Entry k of the new one,
    `other_index` and `other_vector`, says of the pair i, j what entry ``reverse[k]`` says of j, i; of several images of
    a pair, of any of them.
    """
    filled[:] = 0
    for i in range(filled.shape[0]):
        for k in range(offsets[i], offsets[i + 1]):
            j = index[k]
            m = offsets[j] + filled[j]
            filled[j] += 1
            other_index[m] = i
            other_vector[0, m] = -vector[0, k]
            other_vector[1, m] = -vector[1, k]
            other_vector[2, m] = -vector[2, k]
    filled[:] = 0
    for i in range(filled.shape[0]):
        for k in range(offsets[i], offsets[i + 1]):
            j = other_index[k]
            reverse[offsets[j] + filled[j]] = k
            filled[j] += 1


@kernel
def energy_change(i, skip, dx, dy, dz, new, offsets, index, vector, size, diameter, table, nonadditivity):
    """Change of the energy of the pairs of i, but those with `skip`, if it moves and its diameter becomes `new`.

    All that is read lies side by side, so that eight pairs are computed at once; see `sweep_swaps`.
    """
    total = 0.0
    own = diameter[i]
    # unsigned: of a number that may be negative, what is read might not lie side by side
    for k in range(np.uint64(offsets[i]), np.uint64(offsets[i + 1])):
        x = vector[0, k]
        y = vector[1, k]
        z = vector[2, k]
        r2 = x * x + y * y + z * z
        x -= dx
        y -= dy
        z -= dz
        t2 = x * x + y * y + z * z
        other = size[k]
        sigma = 0.5 * (own + other) * (1.0 - nonadditivity * abs(own - other))
        s2 = sigma * sigma
        sigma = 0.5 * (new + other) * (1.0 - nonadditivity * abs(new - other))
        n2 = sigma * sigma
        if table.ndim == 2:  # known when this is compiled
            if index[k] != skip:
                total += splined_energy(table, t2 / n2) - splined_energy(table, r2 / s2)
        else:
            inverse = s2 / r2
            inverse6 = inverse * inverse * inverse
            x2 = r2 / s2
            before = (table[1] * inverse6 + table[2]) * inverse6 + table[3] + x2 * (table[4] + x2 * table[5])
            inverse = n2 / t2
            inverse6 = inverse * inverse * inverse
            x2 = t2 / n2
            after = (table[1] * inverse6 + table[2]) * inverse6 + table[3] + x2 * (table[4] + x2 * table[5])
            before = before if r2 < table[0] * s2 else 0.0
            after = after if t2 < table[0] * n2 else 0.0
            total += after - before if index[k] != skip else 0.0
    return total


@kernel
def sweep_swaps(
    offsets, index, vector, size, reverse, shift, diameter, table, nonadditivity, beta, share, room2, random, first,
    counts
):  # fmt: skip
    """Metropolis trials until one makes the neighbour list too old; returns the number of the next one.

    `offsets` (N + 1,), `index`, `size` and `reverse` (P,) and `vector` (3, P): a neighbour list of `mirror` that holds
    while nobody is displaced by more than the root of `room2`, with the diameters of the neighbours; `shift` (3, N) are
    the displacements since, `diameter` (N,). Vectors, sizes, displacements and diameters are updated. `random`
    (trials, 6): below `share` an exchange, else a move; which particle; the move, or which particle it exchanges with;
    a number in [0, 1) for the decision. To `counts` (4,) the numbers of moves and exchanges, tried and accepted, are
    added.
    """
    n = shift.shape[1]
    for trial in range(first, random.shape[0]):
        i = int(random[trial, 1] * n)
        s = diameter[i]
        if random[trial, 0] < share:
            counts[EXCHANGES] += 1
            j = int(random[trial, 2] * (n - 1))
            j += j >= i
            t = diameter[j]
            # the pair of the two themselves stays as it is
            change = energy_change(
                i, j, 0.0, 0.0, 0.0, t, offsets, index, vector, size, diameter, table, nonadditivity
            ) + energy_change(j, i, 0.0, 0.0, 0.0, s, offsets, index, vector, size, diameter, table, nonadditivity)
            if change <= 0.0 or random[trial, 5] < np.exp(-beta * change):
                counts[EXCHANGED] += 1
                diameter[i] = t
                diameter[j] = s
                for k in range(offsets[i], offsets[i + 1]):
                    size[reverse[k]] = t
                for k in range(offsets[j], offsets[j + 1]):
                    size[reverse[k]] = s
            continue
        counts[TRIED] += 1
        x = random[trial, 2]
        y = random[trial, 3]
        z = random[trial, 4]
        change = energy_change(i, -1, x, y, z, s, offsets, index, vector, size, diameter, table, nonadditivity)
        if change <= 0.0 or random[trial, 5] < np.exp(-beta * change):
            counts[MOVED] += 1
            for k in range(offsets[i], offsets[i + 1]):
                m = reverse[k]
                vector[0, k] -= x
                vector[1, k] -= y
                vector[2, k] -= z
                vector[0, m] += x
                vector[1, m] += y
                vector[2, m] += z
            x += shift[0, i]
            y += shift[1, i]
            z += shift[2, i]
            shift[0, i] = x
            shift[1, i] = y
            shift[2, i] = z
            if x * x + y * y + z * z > room2:
                return trial + 1
    return random.shape[0]
