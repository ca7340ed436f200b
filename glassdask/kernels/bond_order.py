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
def coefficients(offsets, vector, weight, table, work, z, out):
    """Normalised coefficients q_lm / sum of weights of each centre; `out` (C, 2, l_max + 1, l_max + 1), [l, m >= 0]."""
    for c in range(offsets.shape[0] - 1):
        n, total = gather(offsets[c], offsets[c + 1], vector, weight, work, z)
        accumulate(n, z, table, work, out[c, 0], out[c, 1])
        inverse = 1.0 / total if total != 0.0 else np.nan
        for part in range(2):
            for l in range(table.shape[1]):
                for m in range(l + 1):
                    out[c, part, l, m] *= inverse


@kernel
def averaged(offsets, members, q, l_min, mean, out):
    """Invariants of coefficients averaged over each centre and its neighbours (Lechner and Dellago).

    `members` row in `q` of each neighbour; the row of the centre itself is the first of each stretch. `q`
    (rows, 2, l_max + 1, l_max + 1); `mean` (2, l_max + 1, l_max + 1) scratch; `out` (C, degrees).
    """
    l_max = q.shape[2] - 1
    for c in range(offsets.shape[0] - 1):
        inverse = 1.0 / (offsets[c + 1] - offsets[c])
        mean[:] = 0.0
        for p in range(offsets[c], offsets[c + 1]):
            row = members[p]
            for part in range(2):
                for l in range(l_min, l_max + 1):
                    for m in range(l + 1):
                        mean[part, l, m] += q[row, part, l, m]
        for k in range(out.shape[1]):
            out[c, k] = np.sqrt(invariant(l_min + k, mean[0], mean[1])) * inverse
