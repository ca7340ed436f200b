"""Sums of spherical harmonics over the directions to many neighbours.

Schmidt's semi-normalised harmonics are used, C_lm = sqrt(4 pi / (2 l + 1)) Y_lm, because then the rotational invariant
of paper A, Eq. (5), is just Q_l^2 = sum_m |sum_j w_j C_lm(j)|^2 / (sum_j w_j)^2. Only m >= 0 is kept; the terms with
m > 0 count twice. The Condon-Shortley sign (-1)^m is left out: it cancels in every invariant.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import inlined


def recurrence(l_max: int) -> np.ndarray:
    """Coefficients (2, l_max + 1, l_max + 1) of C_lm = a_lm z C_(l-1)m - b_lm C_(l-2)m, and a_mm of the start.

    a_mm = sqrt((2 m - 1) / (2 m)) multiplies (x + i y) C_(m-1)(m-1).
    """
    table = np.zeros((2, l_max + 1, l_max + 1))
    table[0, 0, 0] = 1.0
    for m in range(l_max + 1):
        if m > 0:
            table[0, m, m] = np.sqrt((2 * m - 1) / (2 * m))
        for l in range(m + 1, l_max + 1):
            table[0, l, m] = (2 * l - 1) / np.sqrt(l * l - m * m)
            table[1, l, m] = np.sqrt(((l - 1) ** 2 - m * m) / (l * l - m * m))
    return table


@inlined
def accumulate(n, z, table, work, real, imag):
    """Weighted sums over n neighbours of C_lm, for all 0 <= m <= l <= l_max.

    `z` (n,) third component of the unit vectors; `work` (6, n): rows 0, 1 hold x and y of the unit vectors and row 2
    the weights on entry, the rest is scratch. `real`, `imag` (l_max + 1, l_max + 1) receive the sums at [l, m].
    """
    l_max = table.shape[1] - 1
    x = work[0]
    y = work[1]
    a = work[2]
    b = work[3]
    older = work[4]
    old = work[5]
    for j in range(n):
        b[j] = 0.0
    for m in range(l_max + 1):
        if m > 0:
            factor = table[0, m, m]
            for j in range(n):
                # a + i b = w (x + i y)^m, with the normalisation of C_mm
                t = factor * (a[j] * x[j] - b[j] * y[j])
                b[j] = factor * (a[j] * y[j] + b[j] * x[j])
                a[j] = t
        sum_a = 0.0
        sum_b = 0.0
        for j in range(n):
            sum_a += a[j]
            sum_b += b[j]
        real[m, m] = sum_a
        imag[m, m] = sum_b
        if m == l_max:
            break
        c1 = table[0, m + 1, m]
        sum_a = 0.0
        sum_b = 0.0
        for j in range(n):
            older[j] = 1.0
            p = c1 * z[j]
            old[j] = p
            sum_a += a[j] * p
            sum_b += b[j] * p
        real[m + 1, m] = sum_a
        imag[m + 1, m] = sum_b
        # two degrees at a time: each array is then both read and overwritten in place, without a third
        l = m + 2
        while l <= l_max:
            c1 = table[0, l, m]
            c0 = table[1, l, m]
            if l + 1 <= l_max:
                d1 = table[0, l + 1, m]
                d0 = table[1, l + 1, m]
                sum_a = 0.0
                sum_b = 0.0
                next_a = 0.0
                next_b = 0.0
                for j in range(n):
                    p = c1 * z[j] * old[j] - c0 * older[j]
                    q = d1 * z[j] * p - d0 * old[j]
                    older[j] = p
                    old[j] = q
                    sum_a += a[j] * p
                    sum_b += b[j] * p
                    next_a += a[j] * q
                    next_b += b[j] * q
                real[l, m] = sum_a
                imag[l, m] = sum_b
                real[l + 1, m] = next_a
                imag[l + 1, m] = next_b
            else:
                sum_a = 0.0
                sum_b = 0.0
                for j in range(n):
                    p = c1 * z[j] * old[j] - c0 * older[j]
                    sum_a += a[j] * p
                    sum_b += b[j] * p
                real[l, m] = sum_a
                imag[l, m] = sum_b
            l += 2


@inlined
def invariant(l, real, imag):
    """sum_m |C_lm|^2 over -l <= m <= l from the coefficients with m >= 0."""
    total = real[l, 0] * real[l, 0]
    for m in range(1, l + 1):
        total += 2.0 * (real[l, m] * real[l, m] + imag[l, m] * imag[l, m])
    return total
