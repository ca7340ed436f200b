"""Angles between bonds, dihedral angles, and the nematic and cubatic order of the bonds of each particle."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import exact_kernel, kernel

SWEEPS = 50  # of turns about the three axes, at most
STILL = 1e-14  # a turn that gains less is none
# Between the ranges of cosines of Ackland and Jones, their Table I.
COSINES = np.array([-0.945, -0.915, -0.755, -0.195, 0.195, 0.245, 0.795])


@kernel
def unit_bonds(first, last, vector, weight, bond):
    """Unit vectors and weights of the neighbours `first` to `last` that count, into `bond` (4, longest): how many."""
    n = 0
    for k in range(first, last):
        if weight[k] > 0.0 and vector[3, k] > 0.0:
            for d in range(3):
                bond[d, n] = vector[d, k] / vector[3, k]
            bond[3, n] = weight[k]
            n += 1
    return n


@kernel
def angle_histogram(offsets, vector, weight, width, bond, out):
    """Distribution of the angles between all pairs of bonds of each centre, `out` (C, bins), a density per degree.

    `offsets` (C + 1,), `vector` (4, P), `weight` (P,): a pair counts by the product of its two; `width` of a bin in
    degrees; `bond` (4, longest) is scratch. NaN with fewer than two bonds.
    """
    bins = out.shape[1]
    for c in range(out.shape[0]):
        n = unit_bonds(offsets[c], offsets[c + 1], vector, weight, bond)
        for b in range(bins):
            out[c, b] = 0.0
        for p in range(n):
            for q in range(p):
                cosine = bond[0, p] * bond[0, q] + bond[1, p] * bond[1, q] + bond[2, p] * bond[2, q]
                theta = np.degrees(np.arccos(min(max(cosine, -1.0), 1.0)))
                out[c, min(int(theta / width), bins - 1)] += bond[3, p] * bond[3, q]
        normalize(out[c], width)


@kernel
def normalize(row, width):
    """Divide a histogram by its integral; NaN where nothing was counted."""
    total = 0.0
    for b in range(row.shape[0]):
        total += row[b]
    scale = 1.0 / (total * width) if total > 0.0 else np.nan
    for b in range(row.shape[0]):
        row[b] *= scale


@kernel
def dihedral_histogram(rows, offsets, index, vector, row_of, width, signed, out):
    """Distribution of the dihedral angles of the chains k-i-j-l around each centre i, `out` (C, bins), per degree.

    `rows` (C,) row of each centre in the list `offsets`, `index`, `vector` of particles among which are all neighbours
    of the centres; `row_of` (N,) row of each particle in it. Angles are from -180 degrees with `signed`, else their
    moduli. Chains with three particles in line, and rings of three, have none. NaN without any chain.
    """
    bins = out.shape[1]
    low = -180.0 if signed else 0.0
    for c in range(rows.shape[0]):
        first = offsets[rows[c]]
        last = offsets[rows[c] + 1]
        for b in range(bins):
            out[c, b] = 0.0
        for p in range(first, last):
            ux, uy, uz, u = vector[0, p], vector[1, p], vector[2, p], vector[3, p]
            far = row_of[index[p]]
            for q in range(first, last):
                if q == p:
                    continue
                # from k to i, times from i to j
                ax = -(vector[1, q] * uz - vector[2, q] * uy)
                ay = -(vector[2, q] * ux - vector[0, q] * uz)
                az = -(vector[0, q] * uy - vector[1, q] * ux)
                a2 = ax * ax + ay * ay + az * az
                if a2 <= 1e-12 * (u * vector[3, q]) ** 2:
                    continue
                for e in range(offsets[far], offsets[far + 1]):
                    vx, vy, vz, v = vector[0, e], vector[1, e], vector[2, e], vector[3, e]
                    bx = uy * vz - uz * vy
                    by = uz * vx - ux * vz
                    bz = ux * vy - uy * vx
                    b2 = bx * bx + by * by + bz * bz
                    if b2 <= 1e-12 * (u * v) ** 2:
                        continue
                    x = ux + vx - vector[0, q]
                    y = uy + vy - vector[1, q]
                    z = uz + vz - vector[2, q]
                    if x * x + y * y + z * z <= 1e-12 * v * v:
                        continue  # l is k
                    cosine = ax * bx + ay * by + az * bz
                    sine = -u * (vector[0, q] * bx + vector[1, q] * by + vector[2, q] * bz)
                    phi = np.degrees(np.arctan2(sine, cosine))
                    if not signed:
                        phi = abs(phi)
                    out[c, max(0, min(int((phi - low) / width), bins - 1))] += 1.0
        normalize(out[c], width)


@kernel
def bond_tensors(offsets, vector, weight, bond, out):
    """Mean of u u over the bonds u of each centre, `out` (C, 3, 3); NaN without bonds."""
    for c in range(out.shape[0]):
        n = unit_bonds(offsets[c], offsets[c + 1], vector, weight, bond)
        total = 0.0
        for p in range(n):
            total += bond[3, p]
        inverse = 1.0 / total if n > 0 else np.nan
        for a in range(3):
            for b in range(a + 1):
                mean = 0.0
                for p in range(n):
                    mean += bond[3, p] * bond[a, p] * bond[b, p]
                mean *= inverse
                out[c, a, b] = mean
                out[c, b, a] = mean


@kernel
def turn(bond, n, turned, best):
    """Turn the axes of `turned` (3, longest), bond by bond, until sum_bonds w sum_axes x^4 is largest nearby.

    Turns about one axis after the other, each by the best angle, which is known in closed form. Gives the mean of the
    sum over axes; `best` is what it must exceed to be of interest.
    """
    weight = 0.0
    for p in range(n):
        weight += bond[3, p]
    for _ in range(SWEEPS):
        gained = 0.0
        for axis in range(3):
            a = (axis + 1) % 3
            b = (axis + 2) % 3
            cosine = 0.0
            sine = 0.0
            for p in range(n):
                x2 = turned[a, p] * turned[a, p]
                y2 = turned[b, p] * turned[b, p]
                cosine += bond[3, p] * (x2 * x2 - 6.0 * x2 * y2 + y2 * y2)
                sine += bond[3, p] * 4.0 * turned[a, p] * turned[b, p] * (x2 - y2)
            gain = np.sqrt(cosine * cosine + sine * sine) - cosine
            if gain <= STILL * weight:
                continue
            gained += gain
            phi = 0.25 * np.arctan2(sine, cosine)
            c = np.cos(phi)
            s = np.sin(phi)
            for p in range(n):
                x = c * turned[a, p] + s * turned[b, p]
                turned[b, p] = c * turned[b, p] - s * turned[a, p]
                turned[a, p] = x
        if gained == 0.0:
            break
    total = 0.0
    for p in range(n):
        for d in range(3):
            total += bond[3, p] * turned[d, p] ** 4
    return max(best, total / weight)


@kernel
def cubatic(offsets, vector, weight, starts, bond, turned, out):
    """Cubatic order of the bonds of each centre, `out` (C,): NaN without bonds.

    `starts` (S, 3, 3): the axes, as rows, from which the best ones are looked for. `bond` (4, longest) and `turned`
    (3, longest) are scratch.
    """
    for c in range(out.shape[0]):
        n = unit_bonds(offsets[c], offsets[c + 1], vector, weight, bond)
        best = 0.0 if n > 0 else np.nan
        for s in range(starts.shape[0] if n > 0 else 0):
            for p in range(n):
                for d in range(3):
                    turned[d, p] = (
                        starts[s, d, 0] * bond[0, p] + starts[s, d, 1] * bond[1, p] + starts[s, d, 2] * bond[2, p]
                    )
            best = turn(bond, n, turned, best)
        out[c] = 2.5 * (best - 0.6)


@kernel
def structure_by_angles(offsets, vector, chi, out):
    """Of each centre and its 14 nearest, nearest first: G. J. Ackland and A. P. Jones, Phys. Rev. B 73, 054104 (2006).

    `chi` (8,) is scratch. `out` (C,): 0 other, 1 fcc, 2 hcp, 3 bcc, 4 icosahedral; NaN with fewer than 14 neighbours.
    """
    for c in range(out.shape[0]):
        first = offsets[c]
        if offsets[c + 1] - first < 14:
            out[c] = np.nan
            continue
        square = 0.0
        for p in range(first, first + 6):
            square += vector[3, p] * vector[3, p] / 6.0
        near = 0  # closer than sqrt(1.45), and than sqrt(1.55), of that
        wider = 0
        for p in range(first, first + 14):
            near += vector[3, p] * vector[3, p] < 1.45 * square
            wider += vector[3, p] * vector[3, p] < 1.55 * square
        for k in range(8):
            chi[k] = 0
        for p in range(first, first + near):
            for q in range(first, p):
                x = vector[0, p] * vector[0, q] + vector[1, p] * vector[1, q] + vector[2, p] * vector[2, q]
                x /= vector[3, p] * vector[3, q]
                k = 0  # a sum, where branches would be taken at random
                for m in range(7):
                    k += x >= COSINES[m]
                chi[k] += 1
        out[c] = judged(chi, wider)


@exact_kernel
def judged(chi, wider):
    """The structure that the numbers of cosines in the eight ranges, and of neighbours in the wider shell, are of.

    Deviations from two structures may be exactly equal: then rounding decides, and must not depend on the compiler.
    """
    denominator = chi[5] + chi[6] - chi[4]
    bcc = 0.35 * chi[4] / denominator if denominator != 0 else np.inf
    packed = abs(1.0 - chi[6] / 24.0)
    fcc = 0.61 * (abs(chi[0] + chi[1] - 6) + chi[2]) / 6.0
    hcp = (abs(chi[0] - 3) + abs(chi[0] + chi[1] + chi[2] + chi[3] - 9)) / 12.0
    if chi[0] == 7:
        bcc = 0.0
    elif chi[0] == 6:
        fcc = 0.0
    elif chi[0] <= 3:
        hcp = 0.0
    if chi[7] > 0:
        return 0
    if chi[4] < 3:
        return 4 if 11 <= wider <= 13 else 0
    if bcc <= packed:
        return 3 if wider >= 11 else 0
    if wider < 11 or wider > 12:
        return 0
    return 1 if fcc < hcp else 2
