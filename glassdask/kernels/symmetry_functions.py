"""Atom-centred symmetry functions: sums over neighbours and over pairs of them."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import LANES, exp, load, store

G4, G5, CUBUK = 0, 1, 2
# cos(pi sqrt(u)) = sum_n (-1)^n (pi^2 u)^n / (2 n)!, as good as doubles are for 0 <= u <= 1
COSINE = np.array([(-1.0) ** n * np.pi ** (2 * n) / float(np.prod(np.arange(1.0, 2 * n + 1))) for n in range(16)])


@kernel
def gather_by_species(begin, end, vector, kind, n_kinds, cutoff2, bond, first):
    """Neighbours within a cutoff, squared, one species after the other, into `bond` (rows x, y, z, r^2).

    Those of species s are ``first[s]`` to ``first[s + 1]`` - 1. Behind the last there is room for a vector of zeros.
    """
    n = 0
    for s in range(n_kinds):
        first[s] = n
        for p in range(begin, end):
            r2 = vector[3, p] * vector[3, p]
            if kind[p] == s and r2 < cutoff2:
                bond[0, n] = vector[0, p]
                bond[1, n] = vector[1, p]
                bond[2, n] = vector[2, p]
                bond[3, n] = r2
                n += 1
    first[n_kinds] = n
    for k in range(n, n + LANES):
        for row in range(4):
            bond[row, k] = 0.0


@kernel
def falloff(n, square, inverse2, smooth, out):
    """(1 + cos(pi r / r_c)) / 2 within r_c of n squared distances, 0 beyond; 1 everywhere unless `smooth`."""
    for k in range(n):
        u = square[k] * inverse2
        total = COSINE[15]
        for m in range(15):
            total = total * u + COSINE[14 - m]
        out[k] = (0.5 + 0.5 * total if u < 1.0 else 0.0) if smooth else 1.0
    for k in range(n, n + LANES):
        out[k] = 0.0


@kernel
def raised(n, base, power, factor, out, scratch):
    """``factor * base ** power`` of n numbers, of a whole power of at least 1, by repeated squaring."""
    for k in range(n):
        out[k] = factor
        scratch[k] = base[k]
    while power:
        if power & 1:
            for k in range(n):
                out[k] *= scratch[k]
        power >>= 1
        if power:
            for k in range(n):
                scratch[k] *= scratch[k]


@kernel
def symmetry_functions(offsets, vector, kind, r_cut, radial, angular, zeta, form, row, bond, first, work, out):
    """G2 of each species, and G4, G5 or Cubuk's functions of each pair of species.

    `offsets` (C + 1,), `vector` (4, P), `kind` (P,) species of the neighbours; `radial` (R, 2) eta and r_s; `angular`
    (A, 2) eta and lambda, equal eta one after the other, and `zeta` (A,); `row` (S, S) number of each pair of species.
    Scratch: `bond` (4, most + 8), `first` (S + 1,), `work` (8, most + 8). Output: `out` (C, S R + pairs A), zeros
    before.
    """
    kinds = row.shape[0]
    n_radial, n_angular = radial.shape[0], angular.shape[0]
    inverse2 = 1.0 / (r_cut * r_cut)
    smooth = form != CUBUK
    near, cosine, size, part, damped, base, power, other = work
    for c in range(offsets.shape[0] - 1):
        gather_by_species(offsets[c], offsets[c + 1], vector, kind, kinds, r_cut * r_cut, bond, first)
        n = first[kinds]
        falloff(n, bond[3], inverse2, smooth, near)
        for t in range(n_radial):
            for k in range(n):
                r = np.sqrt(bond[3, k]) - radial[t, 1]
                size[k] = -radial[t, 0] * r * r
            exponential(n, work, 2, near, 4)
            for s in range(kinds):
                total = 0.0
                for k in range(first[s], first[s + 1]):
                    total += damped[k]
                out[c, s * n_radial + t] = total
        if n_angular == 0:
            continue
        s = 0
        for j in range(n):
            while j >= first[s + 1]:
                s += 1
            x, y, z, r2 = bond[0, j], bond[1, j], bond[2, j], bond[3, j]
            inverse = 1.0 / np.sqrt(r2)
            m = n - j - 1
            for q in range(m):
                k = j + 1 + q
                dot = x * bond[0, k] + y * bond[1, k] + z * bond[2, k]
                cosine[q] = dot * inverse / np.sqrt(bond[3, k])
                base[q] = r2 + bond[3, k] - 2.0 * dot  # r_jk^2
            if form == G4:
                falloff(m, base, inverse2, True, part)
            else:
                for q in range(m):
                    part[q] = 1.0
            for q in range(m):
                k = j + 1 + q
                part[q] *= near[j] * near[k]
                size[q] = r2 + bond[3, k] + (0.0 if form == G5 else base[q])
            for q in range(m, m + LANES):
                part[q] = 0.0
            for t in range(n_angular):
                if t == 0 or angular[t, 0] != angular[t - 1, 0]:
                    for q in range(m):
                        other[q] = -angular[t, 0] * size[q]
                    exponential(m, work, 7, part, 4)
                for q in range(m):
                    base[q] = 1.0 + angular[t, 1] * cosine[q]
                raised(m, base, zeta[t], 1.0 if form == CUBUK else 0.5 ** (zeta[t] - 1), power, other)
                for q in range(m):
                    power[q] *= damped[q]
                for b in range(s, kinds):
                    total = 0.0
                    for q in range(max(first[b] - j - 1, 0), first[b + 1] - j - 1):
                        total += power[q]
                    out[c, kinds * n_radial + row[s, b] * n_angular + t] += total


@kernel
def exponential(n, work, source, weight, target):
    """``weight * exp(work[source])`` of n numbers into ``work[target]``; there is room for whole vectors."""
    for k in range(n, n + LANES):
        work[source, k] = 0.0
    k = 0
    while k < n:
        store(exp(load(work, source, k)), work, target, k)
        k += LANES
    for q in range(n):
        work[target, q] *= weight[q]
