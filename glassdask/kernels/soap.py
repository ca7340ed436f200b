"""SOAP power spectra (paper A, Eqs. 10-13): coefficients of the smeared density and their products."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.expansion import accumulate, gather, harmonics, normalize
from glassdask.kernels.simd import LANES, full, load, store

# coefficients of each piece of a tabulated radial function: a polynomial of fifth degree
PIECE = 6


@kernel
def interpolate(work, j, count, inverse_width, pieces, radial):
    """Radial functions of the neighbours j .. j + count in `work`, into `radial` (LANES, columns); zeros after them.

    `pieces` (intervals * PIECE, columns): rows of one interval are the coefficients of rising powers of t, which runs
    from -1 to 1 over the interval.
    """
    last = pieces.shape[0] // PIECE - 1
    for k in range(LANES):
        if k >= count:
            for column in range(0, radial.shape[1], LANES):
                store(full(0.0), radial, k, column)
            continue
        scaled = work[3, j + k] * inverse_width
        interval = min(int(scaled), last)
        t = 2.0 * (scaled - interval) - 1.0
        row = PIECE * interval
        for column in range(0, radial.shape[1], LANES):
            value = load(pieces, row + 5, column)
            value = value * t + load(pieces, row + 4, column)
            value = value * t + load(pieces, row + 3, column)
            value = value * t + load(pieces, row + 2, column)
            value = value * t + load(pieces, row + 1, column)
            value = value * t + load(pieces, row, column)
            store(value, radial, k, column)


@kernel
def expand(work, n, n_max, table, inverse_width, pieces, rows, radial, c):
    """Coefficients c (harmonics, n_max padded) of the n neighbours in `work`, all lanes past n_max meaningless."""
    for row in range(c.shape[0]):
        for k in range(0, c.shape[1], LANES):
            store(full(0.0), c, row, k)
    for j in range(0, n, LANES):
        harmonics(work, j, table, rows)
        interpolate(work, j, n - j, inverse_width, pieces, radial)
        l = 0
        while l * l < c.shape[0]:
            for k in range(0, n_max, LANES):
                accumulate(rows, l * l, (l + 1) * (l + 1), radial, l * n_max + k, c, k)
            l += 1


@kernel
def spectrum(a, b, same, n_max, product, out, f):
    """Q_nn'l = sum_m a*_nlm b_n'lm for all l, n and n' (n' >= n where a is b) into out[f:]; returns the next f.

    `product` (n_max padded, n_max padded) is scratch.
    """
    l = 0
    while l * l < a.shape[0]:
        for n in range(0, n_max, LANES):
            for k in range(0, n_max, LANES):
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = full(0.0)
                for row in range(l * l, (l + 1) * (l + 1)):
                    right = load(b, row, k)
                    s0 = s0 + a[row, n] * right
                    s1 = s1 + a[row, n + 1] * right
                    s2 = s2 + a[row, n + 2] * right
                    s3 = s3 + a[row, n + 3] * right
                    s4 = s4 + a[row, n + 4] * right
                    s5 = s5 + a[row, n + 5] * right
                    s6 = s6 + a[row, n + 6] * right
                    s7 = s7 + a[row, n + 7] * right
                store(s0, product, n, k)
                store(s1, product, n + 1, k)
                store(s2, product, n + 2, k)
                store(s3, product, n + 3, k)
                store(s4, product, n + 4, k)
                store(s5, product, n + 5, k)
                store(s6, product, n + 6, k)
                store(s7, product, n + 7, k)
        for n in range(n_max):
            for k in range(n if same else 0, n_max):
                out[f] = product[n, k]
                f += 1
        l += 1
    return f


@kernel
def diagonal(a, b, n_max, product, out, f):
    """Q_nnl = sum_m a*_nlm b_nlm for all l and n into out[f:]; returns the next f. `product` as in `spectrum`."""
    l = 0
    while l * l < a.shape[0]:
        for k in range(0, n_max, LANES):
            total = full(0.0)
            for row in range(l * l, (l + 1) * (l + 1)):
                total = total + load(a, row, k) * load(b, row, k)
            store(total, product, 0, k)
        for n in range(n_max):
            out[f] = product[0, n]
            f += 1
        l += 1
    return f


@kernel
def soap(
    offsets, vector, kind, own, center, reach, n_max, full_spectrum, unit, table, inverse_width, pieces,
    work, rows, radial, c, product, out,
):  # fmt: skip
    """Power spectra of each centre of a neighbour list, into `out` (C, features).

    `kind` (P,) channel of each neighbour, `own` (C,) that of each centre, which counts as its own neighbour when
    `center`. Neighbours from `reach` on do not count. `full_spectrum` is `spectrum`, otherwise `diagonal`, of all pairs
    of channels; `unit` divides by the length of the feature vector. `table` of `row_recurrence`, `pieces` of
    `interpolate`. Scratch: `work` (4, most neighbours + 1 + LANES), `rows` ((l_max + 1)^2, LANES), `radial` (LANES,
    columns), `c` (channels, (l_max + 1)^2, n_max padded), `product` (n_max padded, n_max padded).
    """
    for i in range(offsets.shape[0] - 1):
        for s in range(c.shape[0]):
            n = 0
            if center and own[i] == s:
                for k in range(4):
                    work[k, 0] = 0.0
                n = 1
            n = gather(offsets[i], offsets[i + 1], vector, kind, s, reach, work, n)
            normalize(work, n, 1e-300)
            expand(work, n, n_max, table, inverse_width, pieces, rows, radial, c[s])
        f = 0
        for a in range(c.shape[0]):
            for b in range(a, c.shape[0]):
                if full_spectrum:
                    f = spectrum(c[a], c[b], a == b, n_max, product, out[i], f)
                else:
                    f = diagonal(c[a], c[b], n_max, product, out[i], f)
        if unit:
            total = 0.0
            for f in range(out.shape[1]):
                total += out[i, f] * out[i, f]
            inverse = 1.0 / np.sqrt(total)
            for f in range(out.shape[1]):
                out[i, f] *= inverse
