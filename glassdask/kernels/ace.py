"""Atomic cluster expansion: densities of each centre in the one-particle basis, and polynomials of them.

The densities A are sums over neighbours, so their lanes are neighbours. The invariants are the same polynomial of A for
every centre, so there the lanes are `LANES` centres side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import LANES, full, load, store

# radial functions that share one reading of a spherical harmonic; the radial rows of each l are padded to a multiple
GROUP = 4


class Tables(NamedTuple):
    """What `expand` needs to know of the basis; the columns are explained where they are used."""

    transform: np.ndarray
    radial_recurrence: np.ndarray
    harmonic_recurrence: np.ndarray
    depth: np.ndarray
    base: np.ndarray
    density_rows: int
    rows: int
    pairs: np.ndarray
    triple_start: np.ndarray
    triples: np.ndarray
    coupling: np.ndarray
    start: np.ndarray
    column: np.ndarray
    factor: np.ndarray


@kernel
def radial(n, reach, transform, recurrence, work, rows):
    """Radial functions R_1..R_n_max at the n distances in `reach`, into `rows` (n_max, >= n); `work` (>= n,).

    `transform` = (1 / r_cut, a, y(1), 1 / (y(0) - y(1))) of paper B, Eq. 3. `recurrence` (n_max, 2):
    P_(k+1) = recurrence[k, 0] t P_k - recurrence[k, 1] P_(k-1) with t = 2 x - 1 and P_0 = 1.
    """
    t = work
    first = rows[0]
    inverse = transform[0]
    a = transform[1]
    y1 = transform[2]
    scale = transform[3]
    for j in range(n):
        s = reach[j] * inverse
        s3 = s * s * s
        s4 = s3 * s
        y = (1.0 + s3) / (1.0 + s3 + a * s4)
        below = (y - y1) * scale * (1.0 - s4)
        t[j] = 1.0 - 2.0 * below
        first[j] = -below
    if rows.shape[0] > 1:
        second = rows[1]
        c = recurrence[0, 0]
        for j in range(n):
            second[j] = c * t[j] * first[j]
    for k in range(2, rows.shape[0]):
        old = rows[k - 1]
        older = rows[k - 2]
        new = rows[k]
        c = recurrence[k - 1, 0]
        d = recurrence[k - 1, 1]
        for j in range(n):
            new[j] = c * t[j] * old[j] - d * older[j]


@kernel
def harmonics(n, x, y, z, table, rows):
    """Real orthonormal spherical harmonics of n unit vectors, into `rows` ((l_max + 1)^2, >= n) at l^2 + l + m.

    `table` (2, l_max + 1, l_max + 1): coefficients of Y_lm = t0 z Y_(l-1)m - t1 Y_(l-2)m, and at [0, m, m] of
    Y_mm from Y_(m-1)(m-1); of Y_11 from x. m > 0 goes with cos(m phi), m < 0 with sin(|m| phi).
    """
    l_max = table.shape[1] - 1
    for j in range(n):
        rows[0, j] = table[0, 0, 0]
    for m in range(l_max + 1):
        if m > 0:
            here_c = rows[m * m + 2 * m]
            here_s = rows[m * m]
            last_c = rows[(m - 1) * (m - 1) + 2 * (m - 1)]
            last_s = rows[(m - 1) * (m - 1)]
            f = table[0, m, m]
            if m == 1:
                for j in range(n):
                    here_c[j] = f * x[j]
                    here_s[j] = f * y[j]
            else:
                for j in range(n):
                    here_c[j] = f * (x[j] * last_c[j] - y[j] * last_s[j])
                    here_s[j] = f * (x[j] * last_s[j] + y[j] * last_c[j])
        for l in range(m + 1, l_max + 1):
            t0 = table[0, l, m]
            t1 = table[1, l, m]
            for sign in range(-1, 2, 2):
                if m == 0 and sign > 0:
                    break
                new = rows[l * l + l + sign * m]
                old = rows[(l - 1) * (l - 1) + l - 1 + sign * m]
                if l == m + 1:
                    for j in range(n):
                        new[j] = t0 * z[j] * old[j]
                else:
                    older = rows[(l - 2) * (l - 2) + l - 2 + sign * m]
                    for j in range(n):
                        new[j] = t0 * z[j] * old[j] - t1 * older[j]


@kernel
def project(n, depth, base, radial_rows, harmonic_rows, density):
    """Densities A_nlm = sum_j R_n(j) Y_lm(j) over the n neighbours of one centre and species.

    `depth` (l_max + 1,) radial functions of each l, a multiple of `GROUP`; (n, l, m) goes to
    density[base[l] + (l + m) depth[l] + n - 1].
    """
    for l in range(depth.shape[0]):
        for m in range(2 * l + 1):
            y = harmonic_rows[l * l + m]
            for k in range(0, depth[l], GROUP):
                r0 = radial_rows[k]
                r1 = radial_rows[k + 1]
                r2 = radial_rows[k + 2]
                r3 = radial_rows[k + 3]
                a0 = 0.0
                a1 = 0.0
                a2 = 0.0
                a3 = 0.0
                for j in range(n):
                    a0 += r0[j] * y[j]
                    a1 += r1[j] * y[j]
                    a2 += r2[j] * y[j]
                    a3 += r3[j] * y[j]
                row = base[l] + m * depth[l] + k
                density[row] = a0
                density[row + 1] = a1
                density[row + 2] = a2
                density[row + 3] = a3


@kernel
def gather(begin, end, index, vector, species, r_cut, counts, bucket):
    """Sort the neighbours within `r_cut` of one centre by species: `bucket` (S, 4, capacity) unit vector and distance.

    `counts` (S,) receives their numbers. A neighbour at distance 0 has no direction: 0/0 makes it NaN.
    """
    counts[:] = 0
    for p in range(begin, end):
        s = species[index[p]]
        k = counts[s]
        bucket[s, 0, k] = vector[0, p]
        bucket[s, 1, k] = vector[1, p]
        bucket[s, 2, k] = vector[2, p]
        bucket[s, 3, k] = vector[3, p]
        counts[s] = k + (vector[3, p] < r_cut)
    for s in range(counts.shape[0]):
        for j in range(counts[s]):
            inverse = 1.0 / bucket[s, 3, j]
            bucket[s, 0, j] *= inverse
            bucket[s, 1, j] *= inverse
            bucket[s, 2, j] *= inverse


@kernel
def products(density_rows, pairs, triple_start, triples, coupling, value):
    """Invariants with self-interaction (paper B, Eqs. 8 and 9) of `LANES` centres, from the densities.

    `value` (rows, LANES): the first `density_rows` rows hold the densities, then one row for each of `pairs` and one
    for each triple product are written. `pairs` (P, 4): first rows of two densities, distance between rows of
    successive m, 2 l + 1. Triple product q is the sum over t in triple_start[q]:triple_start[q + 1] of coupling[t]
    times the densities of the rows triples[t].
    """
    for q in range(pairs.shape[0]):
        a = pairs[q, 0]
        b = pairs[q, 1]
        total = load(value, a, 0) * load(value, b, 0)
        for _ in range(1, pairs[q, 3]):
            a += pairs[q, 2]
            b += pairs[q, 2]
            total = total + load(value, a, 0) * load(value, b, 0)
        store(total, value, density_rows + q, 0)
    for q in range(triple_start.shape[0] - 1):
        total = full(0.0)
        for t in range(triple_start[q], triple_start[q + 1]):
            pair = load(value, triples[t, 0], 0) * load(value, triples[t, 1], 0)
            total = total + coupling[t] * load(value, triples[t, 2], 0) * pair
        store(total, value, density_rows + pairs.shape[0] + q, 0)


@kernel
def combine(start, column, factor, value, feature):
    """Features of `LANES` centres: `feature`[f] = sum of factor[k] value[column[k]], k in start[f]:start[f + 1]."""
    for f in range(start.shape[0] - 1):
        total = full(0.0)
        for k in range(start[f], start[f + 1]):
            total = total + factor[k] * load(value, column[k], 0)
        store(total, feature, f, 0)


@kernel
def expand(
    offsets, index, vector, species, r_cut, tables, bucket, work, radial_rows, harmonic_rows, value, feature, out
):
    """Atomic cluster expansion of each centre of a neighbour list, into `out` (C, features).

    `tables` (Tables); scratch: `bucket` (S, 4, m), `work` (m,), `radial_rows` (n, m) with n padded to `GROUP` and m
    at least one more than the most neighbours, `harmonic_rows` ((l_max + 1)^2, m), `value` (rows, LANES) of
    `products` and `feature` (features, LANES).
    """
    n_centers = offsets.shape[0] - 1
    n_species = bucket.shape[0]
    counts = np.zeros(n_species, np.int64)
    rows = tables.density_rows // n_species
    for first in range(0, n_centers, LANES):
        last = min(first + LANES, n_centers)
        value[: tables.density_rows] = 0.0
        for c in range(first, last):
            gather(offsets[c], offsets[c + 1], index, vector, species, r_cut, counts, bucket)
            for s in range(n_species):
                n = counts[s]
                radial(n, bucket[s, 3], tables.transform, tables.radial_recurrence, work, radial_rows)
                harmonics(n, bucket[s, 0], bucket[s, 1], bucket[s, 2], tables.harmonic_recurrence, harmonic_rows)
                project(n, tables.depth, tables.base + s * rows, radial_rows, harmonic_rows, value[:, c - first])
        products(tables.density_rows, tables.pairs, tables.triple_start, tables.triples, tables.coupling, value)
        combine(tables.start, tables.column, tables.factor, value, feature)
        for c in range(first, last):
            for f in range(feature.shape[0]):
                out[c, f] = feature[f, c - first]
