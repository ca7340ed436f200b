"""Athermal shear of the surroundings of one particle: those near it relax, all others follow the box.

Positions are kept as they were before any strain, q; they are at F(g) q, with F = exp(g M / 2) and M = [[-sin 2a,
cos 2a], [cos 2a, sin 2a]] in the plane of shear, so that areas stay and the deformation to g + h is that to g, and then
that to h. The slope of the energy by g at fixed q is the sum over pairs of u'/r (cos 2a x y - sin 2a (x^2 - y^2) / 2).

Sums are those of exact kernels: whether a minimum is still there is decided step by step, and the last bit would tell.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import exact_kernel
from glassdask.kernels.pairs import BITS, EXPONENT, HIGH, HIGH_ROW, LOW, SUBDIVISIONS

ENERGY, WORK, STRESS = range(3)  # of a region: its energy, dU/dg, and the part of that which is its own
MEMORY = 8  # steps that the minimiser remembers
FURTHEST = 0.1  # that a particle goes in one of its steps
ARMIJO = 1e-4
SHORTEST = 1e-10  # a part of a step that is too short to go on with
LOOSE = 1e3
SKIN = 0.3  # of the lists of pairs, which are made once for each strain
ROUNDED = 1e-13  # of an energy


@exact_kernel
def energy_and_slope(u, x2):
    """Energy of a pair at a squared distance, and u'(r) / r; `u` (1 + PIECES, 8), see `glassdask.kernels.pairs`."""
    if x2 >= u[0, 1] * u[0, 1]:
        if x2 >= u[0, 0] * u[0, 0]:
            return 0.0, 0.0
        r = np.sqrt(x2)
        x = r - u[0, 1]
        energy = u[0, 3] + x * (u[0, 4] + x * (u[0, 5] + x * (u[0, 6] + x * u[0, 7])))
        return energy, (u[0, 4] + x * (2.0 * u[0, 5] + x * (3.0 * u[0, 6] + x * 4.0 * u[0, 7]))) / r
    t = x2 * u[0, 2]
    key, first, pieces, row, sign = t, EXPONENT - LOW, LOW * SUBDIVISIONS, 2, 2.0
    if t >= 0.5:
        key, first, pieces, row, sign = 1.0 - t, EXPONENT - HIGH, HIGH * SUBDIVISIONS, HIGH_ROW + 1, -2.0
    number = int(np.float64(key).view(np.int64) >> BITS) - first * SUBDIVISIONS
    p = u[row + max(-1, min(number, pieces - 1))]
    x = key - p[0]
    energy = p[1] + x * (p[2] + x * (p[3] + x * (p[4] + x * (p[5] + x * (p[6] + x * p[7])))))
    slope = p[2] + x * (2.0 * p[3] + x * (3.0 * p[4] + x * (4.0 * p[5] + x * (5.0 * p[6] + x * 6.0 * p[7]))))
    return energy, sign * u[0, 2] * slope


@exact_kernel
def list_pairs(q, n, free, deform, reach, begin, second):
    """Pairs of the `free` first particles with later ones within `reach`, to `begin` (free + 1,) and `second`."""
    begin[0] = 0
    for i in range(free):
        count = begin[i]
        for j in range(i + 1, n):
            x, y, z = q[j, 0] - q[i, 0], q[j, 1] - q[i, 1], q[j, 2] - q[i, 2]
            u, v = deform[0] * x + deform[1] * y, deform[1] * x + deform[2] * y
            if u * u + v * v + z * z < reach * reach:
                second[count] = j
                count += 1
        begin[i + 1] = count


@exact_kernel
def region_energy(q, free, deform, plane, begin, second, kind, size, table, nonadditivity, gradient, totals):
    """`totals` (3,) and the `gradient` (free, 3) of the energy by q; `plane` (2,): sin 2a and cos 2a."""
    for i in range(free):
        gradient[i, 0] = gradient[i, 1] = gradient[i, 2] = 0.0
    totals[0] = totals[1] = totals[2] = 0.0
    for i in range(free):
        for k in range(begin[i], begin[i + 1]):
            j = second[k]
            x, y, z = q[j, 0] - q[i, 0], q[j, 1] - q[i, 1], q[j, 2] - q[i, 2]
            u, v = deform[0] * x + deform[1] * y, deform[1] * x + deform[2] * y
            sigma = 0.5 * (size[i] + size[j]) * (1.0 - nonadditivity * abs(size[i] - size[j]))
            inverse = 1.0 / (sigma * sigma)
            energy, slope = energy_and_slope(table[kind[i], kind[j]], (u * u + v * v + z * z) * inverse)
            slope *= inverse
            work = slope * (plane[1] * u * v - 0.5 * plane[0] * (u * u - v * v))
            totals[ENERGY] += energy
            totals[WORK] += work
            totals[STRESS] += work if j < free else 0.5 * work
            # F is symmetric
            a, b, c = slope * (deform[0] * u + deform[1] * v), slope * (deform[1] * u + deform[2] * v), slope * z
            gradient[i, 0] -= a
            gradient[i, 1] -= b
            gradient[i, 2] -= c
            if j < free:
                gradient[j, 0] += a
                gradient[j, 1] += b
                gradient[j, 2] += c


@exact_kernel
def product(a, b, free):
    """Of two arrays (free, 3)."""
    total = 0.0
    for i in range(free):
        total += a[i, 0] * b[i, 0] + a[i, 1] * b[i, 1] + a[i, 2] * b[i, 2]
    return total


@exact_kernel
def largest(a, free):
    """The largest absolute value in an array (free, 3)."""
    found = 0.0
    for i in range(free):
        found = max(found, abs(a[i, 0]), abs(a[i, 1]), abs(a[i, 2]))
    return found


@exact_kernel
def add(a, factor, b, free):
    """a += factor b, arrays (free, 3)."""
    for i in range(free):
        for axis in range(3):
            a[i, axis] += factor * b[i, axis]


@exact_kernel
def assign(a, factor, b, free):
    """a = factor b, arrays (free, 3); as slices these take a minute to compile."""
    for i in range(free):
        for axis in range(3):
            a[i, axis] = factor * b[i, axis]


@exact_kernel
def downhill(gradient, free, past, steps, changes, direction, weights):
    """The direction of Nocedal's two loops, from the `past` steps and changes of the gradient (MEMORY, n, 3)."""
    assign(direction, -1.0, gradient, free)
    for k in range(past - 1, max(-1, past - 1 - MEMORY), -1):
        row = k % MEMORY
        weights[row] = product(steps[row], direction, free) / product(steps[row], changes[row], free)
        add(direction, -weights[row], changes[row], free)
    if past > 0:
        row = (past - 1) % MEMORY
        scale = product(steps[row], changes[row], free) / product(changes[row], changes[row], free)
        assign(direction, scale, direction, free)
    for k in range(max(0, past - MEMORY), past):
        row = k % MEMORY
        back = product(changes[row], direction, free) / product(steps[row], changes[row], free)
        add(direction, weights[row] - back, steps[row], free)


@exact_kernel
def relax(
    q, free, deform, plane, begin, second, kind, size, table, nonadditivity, force, most, trial, gradient, new,
    steps, changes, direction, weights, totals, tried
):  # fmt: skip
    """Minimise the energy over the first `free` of q until no component of its gradient exceeds `force`.

    In at most `most` evaluations, by the method of Broyden, Fletcher, Goldfarb and Shanno with limited memory. `totals`
    (3,) are those of the minimum; the arguments from `trial` on but that are scratch, `trial` with the others of q.
    Tells whether it was found.
    """
    past = 0
    part = 0.0  # the first evaluation is of q itself
    slope = 0.0
    assign(direction, 0.0, q, free)
    for evaluation in range(most):
        assign(trial, 1.0, q, free)
        add(trial, part, direction, free)
        region_energy(trial, free, deform, plane, begin, second, kind, size, table, nonadditivity, new, tried)
        rounded = ROUNDED * (abs(totals[ENERGY]) + 1.0)
        if evaluation > 0 and not tried[ENERGY] <= totals[ENERGY] + ARMIJO * part * slope + rounded:
            part *= 0.5
            if part < SHORTEST:  # rounding allows no further
                return largest(gradient, free) <= LOOSE * force
            continue
        if evaluation > 0:
            row = past % MEMORY
            for i in range(free):
                for axis in range(3):
                    steps[row, i, axis] = trial[i, axis] - q[i, axis]
                    changes[row, i, axis] = new[i, axis] - gradient[i, axis]
            if product(steps[row], changes[row], free) > 0.0:
                past += 1
            else:
                past = 0  # where the energy curves downwards, nothing is known of it
        assign(q, 1.0, trial, free)
        assign(gradient, 1.0, new, free)
        totals[ENERGY], totals[WORK], totals[STRESS] = tried[ENERGY], tried[WORK], tried[STRESS]
        if largest(gradient, free) <= force:
            return True
        downhill(gradient, free, past, steps, changes, direction, weights)
        slope = product(gradient, direction, free)
        if not slope < 0.0:
            past = 0
            assign(direction, -1.0, gradient, free)
            slope = -product(gradient, gradient, free)
        part = min(1.0, FURTHEST / largest(direction, free))
    return False


@exact_kernel
def yield_stresses(
    centers, offsets, index, vector, species, diameter, radius, outer, reach, table, nonadditivity, planes, increment,
    strains, dissipation, force, most, start, q, trial, gradient, new, steps, changes, direction, weights, begin,
    second, kind, size, out
):  # fmt: skip
    """Least residual strength of the surroundings of each centre: the highest stress before an event, minus the first.

    `offsets` (C + 1,), `index` (P,) and `vector` (4, P): a neighbour list; particles within `outer` are known, those
    within `radius` are free, and `reach` is that of the potential. `species`, `diameter` (N,); `table` a splined one.
    `planes` (A, 3): sin 2a, cos 2a and the factor of the stress in each direction. An event is a step of `increment`
    that dissipates more than `dissipation`; there are `strains` at most. `out` (C,): infinite where nothing happens.
    The others are scratch for regions of up to ``len(q)`` particles.
    """
    totals, tried, deform = np.empty(3), np.empty(3), np.empty(3)
    for c in range(centers.shape[0]):
        start[0, 0] = start[0, 1] = start[0, 2] = 0.0
        kind[0], size[0] = species[centers[c]], diameter[centers[c]]
        n = 1
        free = 1
        for frozen in range(2):
            for k in range(offsets[c], offsets[c + 1]):
                r = vector[3, k]
                if (r < radius) == (frozen == 0) and r < outer:
                    start[n, 0], start[n, 1], start[n, 2] = vector[0, k], vector[1, k], vector[2, k]
                    kind[n], size[n] = species[index[k]], diameter[index[k]]
                    n += 1
            if frozen == 0:
                free = n
        least = np.inf
        for a in range(planes.shape[0]):
            assign(q, 1.0, start, n)
            assign(trial, 1.0, start, n)
            first = 0.0
            energy = 0.0
            work = 0.0
            strength = 0.0
            for step in range(strains + 1):
                half = 0.5 * increment * step
                deform[0] = np.cosh(half) - np.sinh(half) * planes[a, 0]
                deform[1] = np.sinh(half) * planes[a, 1]
                deform[2] = np.cosh(half) + np.sinh(half) * planes[a, 0]
                list_pairs(q, n, free, deform, reach + SKIN, begin, second)
                found = relax(
                    q, free, deform, planes[a], begin, second, kind, size, table, nonadditivity, force, most, trial,
                    gradient, new, steps, changes, direction, weights, totals, tried,
                )  # fmt: skip
                if step == 0:
                    first = totals[STRESS]
                    if not found:
                        first = np.nan
                        break
                elif not found or 0.5 * (totals[WORK] + work) * increment - (totals[ENERGY] - energy) > dissipation:
                    least = min(least, strength)
                    break
                energy, work = totals[ENERGY], totals[WORK]
                strength = max(strength, planes[a, 2] * (totals[STRESS] - first))
                if strength >= least:  # it is stronger than in another direction
                    break
            if np.isnan(first):
                least = np.nan
        out[c] = least
