"""Bond-order invariants of weighted neighbours (paper A, Eqs. 4-9) and their average over neighbours."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.harmonics import accumulate, invariant


@kernel
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
        total_weight = own[c]
        for k in range(mean.shape[0]):
            mean[k] = own[c] * q[c, k]
        for p in range(offsets[c], offsets[c + 1]):
            one = q[row[index[p]]]
            w = weight[p]
            total_weight += w
            for k in range(mean.shape[0]):
                mean[k] += w * one[k]
        inverse = 1.0 / total_weight if total_weight != 0.0 else np.nan
        k = 0
        for degree in range(out.shape[1]):
            total = mean[k] * mean[k]
            for k_m in range(k + 2, k + 2 * (l_min + degree + 1)):
                total += 2.0 * mean[k_m] * mean[k_m]
            out[c, degree] = np.sqrt(total) * inverse
            k += 2 * (l_min + degree + 1)
