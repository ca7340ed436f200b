"""Second derivatives of the energy of particles that interact in pairs, as rows of small blocks."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import full, load, store


@kernel
def count_blocks(first, second, rows, lower):
    """Blocks of each row: `rows` (N + 1,) where they begin, `lower` (N,) those left of the diagonal.

    `first`, `second` (P,): the pairs, each once, first <= second; of images of one pair, there are as many blocks.
    """
    rows[:] = 0
    lower[:] = 0
    for p in range(first.shape[0]):
        rows[first[p] + 1] += 1
        rows[second[p] + 1] += 1
        lower[second[p]] += 1
    for i in range(lower.shape[0]):
        rows[i + 1] += rows[i] + 1


@kernel
def fill_blocks(first, second, vector, slope, curvature, rows, lower, filled, column, block):
    r"""The Hessian of a sum over pairs u(r), in block rows whose columns increase, symmetric to the last bit.

    d^2 U / dr_i dr_j = -[(u'' - u'/r) e e^T + (u'/r) 1] for i != j, e = r_ij / r, and minus the sum of these on the
    diagonal.

    Pairs as for `count_blocks`, sorted; `vector` (P, d) from the first to the second; `slope` and `curvature` (P,) of
    u. `filled` (N,) is scratch. Outputs: `column` (blocks,), `block` (blocks, d, d).
    """
    d = vector.shape[1]
    n = filled.shape[0]
    filled[:] = 0
    i = -1
    upper = 0
    for p in range(first.shape[0]):
        if first[p] != i:
            i = first[p]
            upper = rows[i] + lower[i] + 1
        j = second[p]
        # the rows come in order: what is mirrored comes in order, too
        mirrored = rows[j] + filled[j]
        filled[j] += 1
        column[upper] = j
        column[mirrored] = i
        r2 = 0.0
        for a in range(d):
            r2 += vector[p, a] * vector[p, a]
        tension = slope[p] / np.sqrt(r2)
        stiffness = (curvature[p] - tension) / r2
        for a in range(d):
            for b in range(a + 1):
                value = -stiffness * vector[p, a] * vector[p, b]
                if a == b:
                    value -= tension
                block[upper, a, b] = value
                block[upper, b, a] = value
                block[mirrored, a, b] = value
                block[mirrored, b, a] = value
        upper += 1
    for i in range(n):
        own = rows[i] + lower[i]
        column[own] = i
        for a in range(d):
            for b in range(d):
                total = 0.0
                for k in range(rows[i], own):
                    total += block[k, a, b]
                for k in range(own + 1, rows[i + 1]):
                    total += block[k, a, b]
                block[own, a, b] = -total


@kernel
def apply_springs(rows, second, bond, root, shift, x, out):
    """Of eight vectors, the columns of `x` (N d, 8): `out` becomes D x + shift x - out, D_ij = root_i root_j H_ij.

    H is the Hessian of a sum over pairs. The pairs of particle i with later ones are ``rows[i]:rows[i + 1]``, `second`
    (P,) those. `bond` (P, d + 2) has the unit vector of each pair, u'/r and u'' - u'/r: a third of the numbers that the
    matrix has, read once for all vectors. As pairs come in order, nothing is added to a particle after its own.
    """
    if bond.shape[1] == 5:
        for i in range(rows.shape[0] - 1):
            own = root[i]
            x0 = own * load(x, 3 * i, 0)
            x1 = own * load(x, 3 * i + 1, 0)
            x2 = own * load(x, 3 * i + 2, 0)
            f0 = full(0.0)
            f1 = full(0.0)
            f2 = full(0.0)
            for k in range(rows[i], rows[i + 1]):
                j = 3 * np.int64(second[k])
                other = root[second[k]]
                e0 = bond[k, 0]
                e1 = bond[k, 1]
                e2 = bond[k, 2]
                d0 = other * load(x, j, 0) - x0
                d1 = other * load(x, j + 1, 0) - x1
                d2 = other * load(x, j + 2, 0) - x2
                along = bond[k, 4] * (d0 * e0 + d1 * e1 + d2 * e2)
                d0 = along * e0 + bond[k, 3] * d0
                d1 = along * e1 + bond[k, 3] * d1
                d2 = along * e2 + bond[k, 3] * d2
                f0 = f0 + d0
                f1 = f1 + d1
                f2 = f2 + d2
                store(load(out, j, 0) - other * d0, out, j, 0)
                store(load(out, j + 1, 0) - other * d1, out, j + 1, 0)
                store(load(out, j + 2, 0) - other * d2, out, j + 2, 0)
            store(shift * load(x, 3 * i, 0) - own * f0 - load(out, 3 * i, 0), out, 3 * i, 0)
            store(shift * load(x, 3 * i + 1, 0) - own * f1 - load(out, 3 * i + 1, 0), out, 3 * i + 1, 0)
            store(shift * load(x, 3 * i + 2, 0) - own * f2 - load(out, 3 * i + 2, 0), out, 3 * i + 2, 0)
    else:
        for i in range(rows.shape[0] - 1):
            own = root[i]
            x0 = own * load(x, 2 * i, 0)
            x1 = own * load(x, 2 * i + 1, 0)
            f0 = full(0.0)
            f1 = full(0.0)
            for k in range(rows[i], rows[i + 1]):
                j = 2 * np.int64(second[k])
                other = root[second[k]]
                e0 = bond[k, 0]
                e1 = bond[k, 1]
                d0 = other * load(x, j, 0) - x0
                d1 = other * load(x, j + 1, 0) - x1
                along = bond[k, 3] * (d0 * e0 + d1 * e1)
                d0 = along * e0 + bond[k, 2] * d0
                d1 = along * e1 + bond[k, 2] * d1
                f0 = f0 + d0
                f1 = f1 + d1
                store(load(out, j, 0) - other * d0, out, j, 0)
                store(load(out, j + 1, 0) - other * d1, out, j + 1, 0)
            store(shift * load(x, 2 * i, 0) - own * f0 - load(out, 2 * i, 0), out, 2 * i, 0)
            store(shift * load(x, 2 * i + 1, 0) - own * f1 - load(out, 2 * i + 1, 0), out, 2 * i + 1, 0)
