"""Bond-order invariants of weighted neighbours (paper A, Eqs. 4-9) and their average over neighbours."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import inlined, kernel
from glassdask.kernels.harmonics import accumulate, invariant


@inlined
def gather(begin, end, vector, weight, work, z):
    """Unit vectors and weights of the neighbours with a weight, into `work` (rows x, y, w) and `z`.

    Returns their number and the sum of the weights. A coincident neighbour has no direction: 0/0 makes it NaN.
    """
    n = 0
    total = 0.0
    for p in range(begin, end):
        w = weight[p]
        work[0, n] = vector[0, p]
        work[1, n] = vector[1, p]
        work[2, n] = w
        z[n] = vector[2, p]
        work[3, n] = vector[3, p]
        total += w
        n += w != 0.0
    for j in range(n):
        inverse = 1.0 / work[3, j]
        work[0, j] *= inverse
        work[1, j] *= inverse
        z[j] *= inverse
    return n, total


@kernel
def bond_order(offsets, vector, weight, l_min, table, work, z, real, imag, out):
    """Q_l of each centre for l_min <= l <= l_max; `out` (C, l_max - l_min + 1). No weight at all gives NaN."""
    for c in range(offsets.shape[0] - 1):
        n, total = gather(offsets[c], offsets[c + 1], vector, weight, work, z)
        accumulate(n, z, table, work, real, imag)
        inverse = 1.0 / total if total != 0.0 else np.nan
        for k in range(out.shape[1]):
            out[c, k] = np.sqrt(invariant(l_min + k, real, imag)) * inverse


@kernel
def coefficients(offsets, vector, weight, l_min, table, work, z, real, imag, out):
    """Coefficients q_lm / sum of weights of each centre, into `out` (C, 2 x number of l, m).

    In a row: l from `l_min` on, for each l the m from 0 to l, for each m the real and the imaginary part.
    """
    for c in range(offsets.shape[0] - 1):
        n, total = gather(offsets[c], offsets[c + 1], vector, weight, work, z)
        accumulate(n, z, table, work, real, imag)
        inverse = 1.0 / total if total != 0.0 else np.nan
        k = 0
        for l in range(l_min, table.shape[1]):
            for m in range(l + 1):
                out[c, k] = real[l, m] * inverse
                out[c, k + 1] = imag[l, m] * inverse
                k += 2


@kernel
def averaged(offsets, index, weight, own, row, q, l_min, mean, out):
    """Invariants of coefficients averaged over each centre and its neighbours (Lechner and Dellago).

    `index` (P,) neighbours of each centre, `weight` (P,) how much each counts and `own` (C,) the centre itself. `q`
    (rows, number of coefficients) as `coefficients` writes them, the rows of the centres first, `row` (N,) that of each
    particle; `mean` (number of coefficients,) scratch. Output: `out` (C, degrees).
    """
    for c in range(offsets.shape[0] - 1):
        inverse = 1.0 / weighted_sum(c, offsets, index, weight, own, row, q, mean)
        k = 0
        for degree in range(out.shape[1]):
            total = mean[k] * mean[k]
            for k_m in range(k + 2, k + 2 * (l_min + degree + 1)):
                total += 2.0 * mean[k_m] * mean[k_m]
            out[c, degree] = np.sqrt(total) * inverse
            k += 2 * (l_min + degree + 1)


@kernel
def averages(offsets, index, weight, own, row, q, out):
    """The averaged coefficients themselves, into `out` (C, number of coefficients); otherwise as `averaged`."""
    for c in range(offsets.shape[0] - 1):
        inverse = 1.0 / weighted_sum(c, offsets, index, weight, own, row, q, out[c])
        for k in range(out.shape[1]):
            out[c, k] *= inverse


@kernel
def weighted_sum(c, offsets, index, weight, own, row, q, total):
    """Coefficients of centre `c` and its neighbours added up into `total`; returns the sum of the weights.

    NaN where that is zero.
    """
    norm = own[c]
    for k in range(total.shape[0]):
        total[k] = own[c] * q[c, k]
    for p in range(offsets[c], offsets[c + 1]):
        one = q[row[index[p]]]
        w = weight[p]
        norm += w
        for k in range(total.shape[0]):
            total[k] += w * one[k]
    return norm if norm != 0.0 else np.nan


@kernel
def third_order(q, l_min, degree, first, a, b, factor, normalized, out):
    """W_l or w_l of coefficients `q` (C, number of coefficients), as `coefficients` writes them from `l_min` on.

    `degree` (degrees,) the even l; term t of degree d, ``first[d] <= t < first[d + 1]``, is ``factor[t]`` Re(q_la q_lb
    conj(q_l(a + b))) with ``a[t] >= b[t] >= 0``. Output: `out` (C, degrees).
    """
    for c in range(q.shape[0]):
        for d in range(degree.shape[0]):
            l = degree[d]
            begin = l * (l + 1) - l_min * (l_min + 1)  # of this degree in a row
            total = 0.0
            for t in range(first[d], first[d + 1]):
                u = begin + 2 * a[t]
                v = begin + 2 * b[t]
                w = u + 2 * b[t]
                real = q[c, u] * q[c, v] - q[c, u + 1] * q[c, v + 1]
                imag = q[c, u] * q[c, v + 1] + q[c, u + 1] * q[c, v]
                total += factor[t] * (real * q[c, w] + imag * q[c, w + 1])
            if normalized:
                square = q[c, begin] * q[c, begin]
                for k in range(begin + 2, begin + 2 * (l + 1)):
                    square += 2.0 * q[c, k] * q[c, k]
                total /= square * np.sqrt(square)
            out[c, d] = total


@kernel
def solid_bonds(offsets, index, weight, row, q, threshold, out):
    """How alike the surroundings of each centre and of its neighbours are, from coefficients of one degree.

    `offsets`, `index`, `weight`, `row` and `q` as for `averaged`. Output: `out` (C, 2), the number of neighbours of
    which the normalised product exceeds `threshold`, and the weighted mean of the products; NaN without neighbours.
    """
    for c in range(offsets.shape[0] - 1):
        own = square(q[c])
        connections = 0
        total = 0.0
        norm = 0.0
        for p in range(offsets[c], offsets[c + 1]):
            other = q[row[index[p]]]
            product = q[c, 0] * other[0]
            for k in range(2, other.shape[0]):
                product += 2.0 * q[c, k] * other[k]
            product /= np.sqrt(own * square(other))
            connections += product > threshold
            total += weight[p] * product
            norm += weight[p]
        out[c, 1] = total / norm if norm != 0.0 else np.nan
        out[c, 0] = np.nan if np.isnan(out[c, 1]) else connections


@kernel
def square(q):
    """sum_m |q_m|^2 of the coefficients of one degree."""
    total = q[0] * q[0]
    for k in range(2, q.shape[0]):
        total += 2.0 * q[k] * q[k]
    return total
