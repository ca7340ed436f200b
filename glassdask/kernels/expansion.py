"""Expansion of a neighbourhood in radial functions and spherical harmonics, eight neighbours at a time.

All sums are over real harmonics in Schmidt's semi-normalisation: row l^2 is C_l0, rows l^2 + 2 m - 1 and l^2 + 2 m are
sqrt(2) Re C_lm and sqrt(2) Im C_lm for m > 0, C_lm = sqrt(4 pi / (2 l + 1)) Y_lm. So sum_m C*_lm C'_lm over all m is
the sum of products of the rows l^2 .. (l + 1)^2 - 1.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.harmonics import recurrence
from glassdask.kernels.simd import LANES, full, load, store


def row_recurrence(l_max: int) -> np.ndarray:
    """Coefficients ((l_max + 1)^2, 2) of `harmonics`, one pair for each row."""
    table = recurrence(l_max)
    rows = np.zeros(((l_max + 1) ** 2, 2))
    for l in range(l_max + 1):
        m = (np.arange(2 * l + 1) + 1) // 2
        rows[l * l : (l + 1) ** 2] = table[:, l, m].T
    return rows


@kernel
def gather(begin, end, vector, kind, wanted, reach, work, n):
    """Append the neighbours of the `wanted` kind that are closer than `reach` to `work` (4, capacity).

    `kind` (P,) of each neighbour; `n` neighbours are there already. Returns how many there are then.
    """
    for p in range(begin, end):
        # written always, kept only when inside: cheaper than a branch that is taken at random
        work[0, n] = vector[0, p]
        work[1, n] = vector[1, p]
        work[2, n] = vector[2, p]
        work[3, n] = vector[3, p]
        n += (kind[p] == wanted) & (vector[3, p] < reach)
    return n


@kernel
def normalize(work, n, smallest):
    """Divide the n vectors in `work` by their lengths and fill the last block of `LANES` up with zeros.

    A neighbour on top of the centre gets the direction zero when `smallest` is a tiny length, NaN when it is zero.
    """
    for j in range(n):
        inverse = 1.0 / max(work[3, j], smallest)
        work[0, j] *= inverse
        work[1, j] *= inverse
        work[2, j] *= inverse
    for j in range(n, n + LANES):
        for k in range(4):
            work[k, j] = 0.0


@kernel
def harmonics(work, j, table, rows):
    """Harmonics of the neighbours j .. j + LANES in `work`, into `rows` ((l_max + 1)^2, LANES).

    `table` of `row_recurrence`: C_lm = a z C_(l-1)m - b C_(l-2)m for m < l, C_ll = a (x + i y) C_(l-1)(l-1).
    """
    x = load(work, 0, j)
    y = load(work, 1, j)
    z = load(work, 2, j)
    store(full(1.0), rows, 0, 0)
    l = 1
    if table.shape[0] > 1:
        store(z, rows, 1, 0)
        store(x, rows, 2, 0)
        store(y, rows, 3, 0)
        l = 2
    while l * l < table.shape[0]:
        for row in range(l * l, l * l + 2 * l - 1):
            old = load(rows, row - 2 * l + 1, 0)
            # for m = l - 1 there is no C_(l-2)m: b is zero and the row any
            older = load(rows, row - 4 * l + 4, 0)
            store(table[row, 0] * z * old - table[row, 1] * older, rows, row, 0)
        row = l * l + 2 * l - 1
        re = load(rows, l * l - 2, 0)
        im = load(rows, l * l - 1, 0)
        store(table[row, 0] * (x * re - y * im), rows, row, 0)
        store(table[row, 0] * (x * im + y * re), rows, row + 1, 0)
        l += 1


@kernel
def accumulate(rows, first, last, radial, column, target, lane):
    """target[row, lane + k] += sum_j rows[row, j] radial[j, column + k] for first <= row < last and k < LANES."""
    f0 = load(radial, 0, column)
    f1 = load(radial, 1, column)
    f2 = load(radial, 2, column)
    f3 = load(radial, 3, column)
    f4 = load(radial, 4, column)
    f5 = load(radial, 5, column)
    f6 = load(radial, 6, column)
    f7 = load(radial, 7, column)
    for row in range(first, last):
        total = load(target, row, lane)
        total = total + rows[row, 0] * f0
        total = total + rows[row, 1] * f1
        total = total + rows[row, 2] * f2
        total = total + rows[row, 3] * f3
        total = total + rows[row, 4] * f4
        total = total + rows[row, 5] * f5
        total = total + rows[row, 6] * f6
        total = total + rows[row, 7] * f7
        store(total, target, row, lane)
