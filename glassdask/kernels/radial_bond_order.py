"""Radial bond order and radial densities: a neighbourhood seen through Gaussian shells (paper A, Eqs. 16-19)."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.expansion import accumulate, gather, harmonics, normalize
from glassdask.kernels.simd import LANES, exp, full, load, store


@kernel
def shells(work, j, count, grid, factor, radial):
    """Weights exp(-((d_n - r) factor)^2) of the neighbours j .. j + count in `work`, into `radial`; zeros after them.

    `grid` (1, columns) the d_n, padded; `radial` (LANES, columns).
    """
    for k in range(LANES):
        if k < count:
            for column in range(0, grid.shape[1], LANES):
                u = factor * (load(grid, 0, column) - work[3, j + k])
                store(exp(full(0.0) - u * u), radial, k, column)
        else:
            for column in range(0, grid.shape[1], LANES):
                store(full(0.0), radial, k, column)


@kernel
def radial_bond_order(offsets, vector, kind, reach, grid, factor, l_min, table, work, rows, radial, c, out):
    """Q_ln of each centre, `out` (C, degrees, radii); NaN in a shell where no neighbour has a weight.

    `kind` (P,) is zero for all neighbours that count. `factor` = 1 / (sqrt(2) delta), `table` of `row_recurrence`.
    Scratch: `work` (4, most neighbours + LANES), `rows` ((l_max + 1)^2, LANES), `radial` (LANES, columns of the padded
    grid), `c` ((l_max + 1)^2, the same).
    """
    first = max(1, l_min * l_min)
    for i in range(offsets.shape[0] - 1):
        n = gather(offsets[i], offsets[i + 1], vector, kind, 0, reach, work, 0)
        normalize(work, n, 0.0)
        for row in range(c.shape[0]):
            for column in range(0, c.shape[1], LANES):
                store(full(0.0), c, row, column)
        for j in range(0, n, LANES):
            harmonics(work, j, table, rows)
            shells(work, j, n - j, grid, factor, radial)
            for column in range(0, c.shape[1], LANES):
                # the row of l = 0 is the sum of the weights, Z
                accumulate(rows, 0, 1, radial, column, c, column)
                accumulate(rows, first, c.shape[0], radial, column, c, column)
        for d in range(out.shape[2]):
            inverse = 1.0 / c[0, d]
            for k in range(out.shape[1]):
                l = l_min + k
                total = 0.0
                for row in range(l * l, (l + 1) * (l + 1)):
                    # divided before squared: the weights may be tiny
                    q = c[row, d] * inverse
                    total += q * q
                out[i, k, d] = np.sqrt(total)


@kernel
def radial_density(offsets, vector, kind, reach, grid, factor, total, out):
    """Sums of the weights of `shells` over the neighbours of each kind, `out` (C, kinds, radii).

    Scratch: `total` (kinds, columns of the padded grid).
    """
    for i in range(offsets.shape[0] - 1):
        total[:] = 0.0
        for p in range(offsets[i], offsets[i + 1]):
            if vector[3, p] < reach:
                for column in range(0, grid.shape[1], LANES):
                    u = factor * (load(grid, 0, column) - vector[3, p])
                    weight = exp(full(0.0) - u * u)
                    store(load(total, kind[p], column) + weight, total, kind[p], column)
        for s in range(out.shape[1]):
            for d in range(out.shape[2]):
                out[i, s, d] = total[s, d]
