"""Newton's equations of particles that interact in pairs, for as long as no pair can come near that is not listed.

Beside the N particles there are images of some, so that a pair is never on two sides of the box: an image is where its
particle is, and a translation further.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.pairs import piece


@kernel
def splined_pull(u, r2):
    """-u'(r) / r of one pair at a squared distance, of its part (1 + PIECES, 8) of a splined table.

    The inner part is a function of t = (r / begin)^2, or of 1 - t, and u'(r) / r = 2 begin^-2 du/dt.
    """
    if r2 >= u[0, 0] * u[0, 0]:
        return 0.0
    if r2 >= u[0, 1] * u[0, 1]:
        r = np.sqrt(r2)
        x = r - u[0, 1]
        return -(u[0, 4] + x * (2.0 * u[0, 5] + x * (3.0 * u[0, 6] + x * 4.0 * u[0, 7]))) / r
    t = r2 * u[0, 2]
    row, key = piece(t)
    p = u[row]
    x = key - p[0]
    slope = p[2] + x * (2.0 * p[3] + x * (3.0 * p[4] + x * (4.0 * p[5] + x * (5.0 * p[6] + x * 6.0 * p[7]))))
    return (2.0 if t >= 0.5 else -2.0) * u[0, 2] * slope


@kernel
def pull_of(begin, end, index, place, u, i):
    """Force of the partners of one species on particle i; arguments as for `pull`, `u` the pair's part of the table."""
    cutoff2 = u[0] * u[0] if u.ndim == 1 else u[0, 0] * u[0, 0]
    at_x, at_y, at_z = place[0, i], place[1, i], place[2, i]
    force_x, force_y, force_z = 0.0, 0.0, 0.0
    for k in range(begin, end):
        j = index[k]
        x, y, z = at_x - place[0, j], at_y - place[1, j], at_z - place[2, j]
        r2 = x * x + y * y + z * z
        if u.ndim == 2:  # known when this is compiled
            strength = splined_pull(u, r2)
        else:
            inverse = 1.0 / r2
            inverse6 = inverse * inverse * inverse
            strength = inverse * (inverse6 * (12.0 * u[2] * inverse6 + 6.0 * u[3]) - u[5] * np.sqrt(r2)) - 2.0 * u[6]
            strength = strength if r2 < cutoff2 else 0.0
        force_x += strength * x
        force_y += strength * y
        force_z += strength * z
    return force_x, force_y, force_z


@kernel
def pull(offsets, index, place, species, table, force):
    """Forces (3, N) on all particles.

    `place` (3, N + images). `offsets` (N, S + 1): the partners of particle i of species s are the entries
    ``offsets[i, s]:offsets[i, s + 1]`` of `index` (P,). `table` is a splined one, or a Lennard-Jones one without an
    outer part (see `glassdask.kernels.pairs`).
    """
    for i in range(species.shape[0]):
        total_x, total_y, total_z = 0.0, 0.0, 0.0
        for s in range(table.shape[0]):
            x, y, z = pull_of(offsets[i, s], offsets[i, s + 1], index, place, table[species[i], s], i)
            total_x += x
            total_y += y
            total_z += z
        force[0, i], force[1, i], force[2, i] = total_x, total_y, total_z


@kernel
def arrange(offsets, index, vector, position, inverse, species, new_offsets, new_index, turns, bounds):
    """Partners sorted by their species, and in how many boxes' distance along each cell vector they are found.

    `offsets` (N + 1,), `index` (P,) and `vector` (3 or more, P) are a neighbour list of all particles, `position`
    (N, 3) and `inverse` (3, 3) those of the configuration. Outputs: `new_offsets` (N, S + 1), `new_index` (P,), `turns`
    (P, 3), and `bounds` (2, 3), the least and the most of these and of zero.
    """
    n_species = new_offsets.shape[1] - 1
    bounds[:] = 0
    for i in range(species.shape[0]):
        at = offsets[i]
        for s in range(n_species):
            new_offsets[i, s] = at
            for k in range(offsets[i], offsets[i + 1]):
                j = index[k]
                if species[j] != s:
                    continue
                x = vector[0, k] - position[j, 0] + position[i, 0]
                y = vector[1, k] - position[j, 1] + position[i, 1]
                z = vector[2, k] - position[j, 2] + position[i, 2]
                new_index[at] = j
                for d in range(3):
                    turn = int(np.rint(x * inverse[0, d] + y * inverse[1, d] + z * inverse[2, d]))
                    turns[at, d] = turn
                    bounds[0, d], bounds[1, d] = min(bounds[0, d], turn), max(bounds[1, d], turn)
                at += 1
        new_offsets[i, n_species] = at


@kernel
def number_images(index, turns, low, numbers, images):
    """Partners that are boxes away become images; returns how many there are.

    `index` (P,) and `turns` (P, 3) as `arrange` gives them, `low` (3,) the least turns. `numbers` (N, ...), of one
    dimension for each axis, is zero. Outputs: `index`, N + g for image g, and `images` (P, 4), the particle and turns.
    """
    count, n = 0, numbers.shape[0]
    for k in range(index.shape[0]):
        x, y, z = turns[k, 0], turns[k, 1], turns[k, 2]
        if x == 0 and y == 0 and z == 0:
            continue
        j = index[k]
        if numbers[j, x - low[0], y - low[1], z - low[2]] == 0:
            images[count, 0], images[count, 1], images[count, 2], images[count, 3] = j, x, y, z
            count += 1
            numbers[j, x - low[0], y - low[1], z - low[2]] = count
        index[k] = n - 1 + numbers[j, x - low[0], y - low[1], z - low[2]]
    return count


@kernel
def prune(offsets, index, place, species, reach2, near_offsets, near_index):
    """Of a list of partners (see `pull`) those that are within the root of ``reach2[s, t]`` (S, S) now.

    Written to `near_offsets` (N, S + 1) and to as much of `near_index` (P,) as there are.
    """
    count = 0
    for i in range(species.shape[0]):
        near_offsets[i, 0] = count
        for s in range(reach2.shape[0]):
            most = reach2[species[i], s]
            for k in range(offsets[i, s], offsets[i, s + 1]):
                j = index[k]
                x, y, z = place[0, i] - place[0, j], place[1, i] - place[1, j], place[2, i] - place[2, j]
                near_index[count] = j
                count += x * x + y * y + z * z < most
            near_offsets[i, s + 1] = count


@kernel
def farthest2(place, since):
    """The largest squared distance of a particle from where it was, `since` (3, N); NaN where one is."""
    largest = 0.0
    for i in range(since.shape[1]):
        x, y, z = place[0, i] - since[0, i], place[1, i] - since[1, i], place[2, i] - since[2, i]
        r2 = x * x + y * y + z * z
        if not r2 <= largest:  # `max` leaves out NaN
            largest = r2
            if r2 != r2:
                break
    return largest


@kernel
def integrate(
    offsets, index, place, origin, translation, species, table, reach2, impulse, dt, near2, far2, steps, motion, force,
    sums, near_offsets, near_index, pruned, listed,
):  # fmt: skip
    """Up to `steps` steps of the velocity Verlet algorithm; the number of those that were done.

    It ends early, after a whole step, where a particle is farther than the root of `far2` from where it was when the
    pairs were listed, `listed` (3, N). Those within `reach2` are listed again, in `near_offsets` and `near_index`,
    whenever one is farther than the root of `near2` from where it was then, `pruned` (3, N).

    Image g is that of particle ``origin[g]``, by ``translation[:, g]``. `impulse` (N,) is half of `dt` over the mass.
    Updated are `place` (3, N + images), `motion` (2, 3, N): how far from the start, and velocities; `force` (3, N); and
    `sums` (4, N), to which these distances, component by component, and their squares are added after each step.
    """
    n = species.shape[0]
    for step in range(steps):
        for d in range(3):
            for i in range(n):
                motion[1, d, i] += impulse[i] * force[d, i]
                motion[0, d, i] += dt * motion[1, d, i]
                place[d, i] += dt * motion[1, d, i]
            for g in range(origin.shape[0]):
                place[d, n + g] = place[d, origin[g]] + translation[d, g]
        if step == 0 or not farthest2(place, pruned) < near2:
            prune(offsets, index, place, species, reach2, near_offsets, near_index)
            pruned[:] = place[:, :n]
        pull(near_offsets, near_index, place, species, table, force)
        for d in range(3):
            for i in range(n):
                motion[1, d, i] += impulse[i] * force[d, i]
                sums[d, i] += motion[0, d, i]
                sums[3, i] += motion[0, d, i] * motion[0, d, i]
        if not farthest2(place, listed) < far2:  # nor where it is no number any more
            return step + 1
    return steps
