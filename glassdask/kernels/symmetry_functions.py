"""Atom-centred symmetry functions: sums over neighbours and over pairs of them."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import LANES, exp, full, keep_below, load, store

G4, G5, CUBUK = 0, 1, 2
# cos(pi sqrt(u)) = sum_n (-1)^n (pi^2 u)^n / (2 n)!, as good as doubles are for 0 <= u <= 1
COSINE = np.array([(-1.0) ** n * np.pi ** (2 * n) / float(np.prod(np.arange(1.0, 2 * n + 1))) for n in range(16)])
# of a neighbour: its direction, distance, distance squared and how much it counts
ROWS = 6


@kernel
def falloff(square, cutoff2):
    """(1 + cos(pi r / r_c)) / 2 within r_c of a vector of squared distances, 0 beyond."""
    u = square * (1.0 / cutoff2)
    total = full(COSINE[15])
    for m in range(15):
        total = total * u + COSINE[14 - m]
    return keep_below(total * 0.5 + 0.5, square, cutoff2)


@kernel
def gather_by_species(begin, end, vector, kind, cutoff2, smooth, bond, first):
    """Neighbours within a cutoff, squared, one species after the other, into `bond` (6, most), see `ROWS`.

    Those of species s are ``first[0, s]`` to ``first[1, s]`` - 1, and behind them a vector of those that count nothing.
    """
    n = 0
    for s in range(first.shape[1]):
        first[0, s] = n
        for p in range(begin, end):
            r = vector[3, p]
            if kind[p] == s and r * r < cutoff2:
                inverse = 1.0 / r
                bond[0, n] = vector[0, p] * inverse
                bond[1, n] = vector[1, p] * inverse
                bond[2, n] = vector[2, p] * inverse
                bond[3, n] = r
                bond[4, n] = r * r
                n += 1
        first[1, s] = n
        for _ in range(LANES):
            bond[0, n] = 0.0
            bond[1, n] = 0.0
            bond[2, n] = 0.0
            bond[3, n] = 2.0 * np.sqrt(cutoff2)
            bond[4, n] = 4.0 * cutoff2
            bond[5, n] = 0.0
            n += 1
        for k in range(first[0, s], first[1, s], LANES):
            square = load(bond, 4, k)
            store(falloff(square, cutoff2) if smooth else keep_below(full(1.0), square, cutoff2), bond, 5, k)


@kernel
def add_radial(radial, bond, first, total):
    """G2 of each species: eight neighbours at a time, into as many sums of each function."""
    n_radial = radial.shape[0]
    for s in range(first.shape[1]):
        for k in range(first[0, s], first[1, s], LANES):
            for t in range(n_radial):
                away = load(bond, 3, k) - radial[t, 1]
                one = load(bond, 5, k) * exp(away * away * -radial[t, 0])
                store(load(total, s * n_radial + t, 0) + one, total, s * n_radial + t, 0)


@kernel
def add_angular(j, begin, end, angular, zeta, form, cutoff2, bond, column, total):
    """The angular functions of neighbour `j` and those from `begin` to `end`, a vector at a time."""
    x = bond[0, j]
    y = bond[1, j]
    z = bond[2, j]
    r = bond[3, j]
    for k in range(begin, end, LANES):
        cosine = load(bond, 0, k) * x + load(bond, 1, k) * y + load(bond, 2, k) * z
        size = load(bond, 4, k) + bond[4, j]
        square = size - cosine * load(bond, 3, k) * (2.0 * r)  # r_jk^2
        part = load(bond, 5, k) * bond[5, j]
        if form == G4:
            part = part * falloff(square, cutoff2)
        if form != G5:
            size = size + square
        damped = part
        for t in range(angular.shape[0]):
            if t == 0 or angular[t, 0] != angular[t - 1, 0]:
                damped = part * exp(size * -angular[t, 0])
            base = cosine * angular[t, 1] + 1.0
            power = zeta[t]
            one = damped * angular[t, 2]
            while power:  # by repeated squaring
                if power & 1:
                    one = one * base
                base = base * base
                power >>= 1
            store(load(total, column + t, 0) + one, total, column + t, 0)


@kernel
def symmetry_functions(offsets, vector, kind, r_cut, radial, angular, zeta, form, row, bond, first, total, out):
    """G2 of each species, and G4, G5 or Cubuk's functions of each pair of species.

    `offsets` (C + 1,), `vector` (4, P), `kind` (P,) species of the neighbours; `radial` (R, 2) eta and r_s; `angular`
    (A, 3) eta, lambda and the factor, equal eta one after the other, and `zeta` (A,); `row` (S, S) number of each pair
    of species.
    Scratch: `bond` (6, most + 8 S), `first` (2, S), `total` (S R + pairs A, 8). Output: `out` (C, S R + pairs A).
    """
    kinds = row.shape[0]
    n_angular = angular.shape[0]
    cutoff2 = r_cut * r_cut
    for c in range(offsets.shape[0] - 1):
        gather_by_species(offsets[c], offsets[c + 1], vector, kind, cutoff2, form != CUBUK, bond, first)
        for column in range(total.shape[0]):
            store(full(0.0), total, column, 0)
        add_radial(radial, bond, first, total)
        for s in range(kinds if n_angular else 0):
            for j in range(first[0, s], first[1, s]):
                for b in range(s, kinds):
                    column = kinds * radial.shape[0] + row[s, b] * n_angular
                    begin = j + 1 if b == s else first[0, b]
                    add_angular(j, begin, first[1, b], angular, zeta, form, cutoff2, bond, column, total)
        for column in range(total.shape[0]):
            found = 0.0
            for lane in range(LANES):
                found += total[column, lane]
            out[c, column] = found
