"""Second derivatives of the energy of particles that interact in pairs, as rows of small blocks."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


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
def apply_springs(rows, second, bond, x, out):
    """The Hessian of a sum over pairs times a displacement `x` (N, d), by the springs of the pairs: `out` (N, d).

    The pairs of particle i with later ones are ``rows[i]:rows[i + 1]``, `second` (P,) those. `bond` (P, d + 2) has the
    unit vector of each pair, u'/r and u'' - u'/r. It reads a third of the numbers that the matrix has.
    """
    out[:] = 0.0
    for i in range(rows.shape[0] - 1):
        x0 = x[i, 0]
        x1 = x[i, 1]
        f0 = 0.0
        f1 = 0.0
        if x.shape[1] == 3:
            x2 = x[i, 2]
            f2 = 0.0
            for k in range(rows[i], rows[i + 1]):
                j = second[k]
                d0 = x[j, 0] - x0
                d1 = x[j, 1] - x1
                d2 = x[j, 2] - x2
                along = bond[k, 4] * (d0 * bond[k, 0] + d1 * bond[k, 1] + d2 * bond[k, 2])
                g0 = along * bond[k, 0] + bond[k, 3] * d0
                g1 = along * bond[k, 1] + bond[k, 3] * d1
                g2 = along * bond[k, 2] + bond[k, 3] * d2
                f0 -= g0
                f1 -= g1
                f2 -= g2
                out[j, 0] += g0
                out[j, 1] += g1
                out[j, 2] += g2
            out[i, 2] += f2
        else:
            for k in range(rows[i], rows[i + 1]):
                j = second[k]
                d0 = x[j, 0] - x0
                d1 = x[j, 1] - x1
                along = bond[k, 3] * (d0 * bond[k, 0] + d1 * bond[k, 1])
                g0 = along * bond[k, 0] + bond[k, 2] * d0
                g1 = along * bond[k, 1] + bond[k, 2] * d1
                f0 -= g0
                f1 -= g1
                out[j, 0] += g0
                out[j, 1] += g1
        out[i, 0] += f0
        out[i, 1] += f1
