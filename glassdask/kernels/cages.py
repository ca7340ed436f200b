"""Monte Carlo of particles that must stay near where they began: nobody's neighbours ever change."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.pairs import splined_energy


@kernel
def trial_energy(begin, end, index, vector, shift, u, new, i):
    """Change of the energy of the pairs of one particle with others of one species when it moves to `new` (3,).

    `shift` (3, N) present displacements, `vector` (3, P) vectors to the neighbours before any displacement, `u` the
    pair's part of a table (see `glassdask.kernels.pairs`): a splined one, or a Lennard-Jones one without an outer part.
    """
    cutoff2 = u[0] * u[0]
    old_x, old_y, old_z = shift[0, i], shift[1, i], shift[2, i]
    new_x, new_y, new_z = new[0], new[1], new[2]
    total = 0.0
    for k in range(begin, end):
        j = index[k]
        x = vector[0, k] + shift[0, j]
        y = vector[1, k] + shift[1, j]
        z = vector[2, k] + shift[2, j]
        r2 = (x - new_x) * (x - new_x) + (y - new_y) * (y - new_y) + (z - new_z) * (z - new_z)
        s2 = (x - old_x) * (x - old_x) + (y - old_y) * (y - old_y) + (z - old_z) * (z - old_z)
        if u.ndim == 2:  # known when this is compiled
            total += splined_energy(u, r2) - splined_energy(u, s2)
            continue
        # one division for both
        inverse = 1.0 / (r2 * s2)
        i6 = inverse * s2 * inverse * s2 * inverse * s2
        j6 = inverse * r2 * inverse * r2 * inverse * r2
        after = (u[2] * i6 + u[3]) * i6 + u[4] + np.sqrt(r2) * u[5] + r2 * u[6]
        before = (u[2] * j6 + u[3]) * j6 + u[4] + np.sqrt(s2) * u[5] + s2 * u[6]
        total += (after if r2 < cutoff2 else 0.0) - (before if s2 < cutoff2 else 0.0)
    return total


@kernel
def sweep_cages(offsets, index, vector, species, table, beta, radius, random, shift, total, square):
    """Metropolis sweeps, a trial for each particle in turn; a particle never goes further than `radius` from its start.

    `offsets` (N, S + 1): the neighbours of particle i of species s are the entries ``offsets[i, s]:offsets[i, s + 1]``
    of `index` (P,) and `vector` (3, P). `table` as for `trial_energy`. `random` (sweeps, N, 4): three components of the
    trial move and a number in [0, 1). `shift` (3, N) is updated; to `total` (3, N) and `square` (N,) the displacements
    after each sweep and their squares are added. Returns the number of accepted moves.
    """
    new = np.empty(3)
    n_particles = shift.shape[1]
    accepted = 0
    for sweep in range(random.shape[0]):
        for i in range(n_particles):
            distance2 = 0.0
            for d in range(3):
                new[d] = shift[d, i] + random[sweep, i, d]
                distance2 += new[d] * new[d]
            if distance2 >= radius * radius:
                continue
            change = 0.0
            for s in range(table.shape[0]):
                change += trial_energy(
                    offsets[i, s], offsets[i, s + 1], index, vector, shift, table[species[i], s], new, i
                )
            if change <= 0.0 or random[sweep, i, 3] < np.exp(-beta * change):
                shift[:, i] = new
                accepted += 1
        for d in range(3):
            for i in range(n_particles):
                total[d, i] += shift[d, i]
                square[i] += shift[d, i] * shift[d, i]
    return accepted
