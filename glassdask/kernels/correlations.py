"""Histograms of pairs and of triplets, and density modes."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.dynamics import sine
from glassdask.kernels.simd import LANES, full, load, positions_below, store

# Particles whose density modes are summed together, two vectors of them, and what a power of their phases takes.
AT_ONCE = 2 * LANES
POWER = 2 * AT_ONCE


@kernel
def histogram_pairs(centers, lists, radius2, bins_per_length, squares, near, counts):
    """Add each pair closer than the radius to the bin of its distance: `counts` (S, S, bins), centre's species first.

    Of the two orders of a pair only one is seen: the particles of a cell that come later in it, and those of 13 of the
    26 cells around it. With all particles as centres each pair is counted once. `lists` are the
    `cells.CellLists`; work space `squares` (1, longest run and a vector) and `near` (the same,) of 32-bit integers.
    """
    cell, starts, index, kind = lists.cell, lists.starts, lists.particle, lists.kind
    last = counts.shape[2] - 1
    for c in range(centers.shape[0]):
        i = centers[c]
        slot = starts[cell[i]]
        while index[slot] != i:
            slot += 1
        row = counts[kind[slot]]
        for r in range(5):
            begin, n = later_in_row(r, slot, cell[i], lists, radius2, squares, near)
            for m in range(n):
                k = near[m]
                # a distance that rounds up to the upper edge belongs to the last bin
                row[kind[begin + k], min(int(np.sqrt(squares[0, k]) * bins_per_length), last)] += 1


@kernel
def later_in_row(r, slot, own, lists, radius2, squares, near):
    """Those of the particles behind the one at `slot` of cell `own` that are in row `r` (of 5) and within the radius.

    Of the two orders of a pair only one is seen so, over all rows: the rest of the own cell, and 13 of the 26 cells
    around it. Returns where the row begins and how many are near; `near` has their places in the row and in `squares`.
    """
    n_cells, starts, xyz = lists.n_cells, lists.starts, lists.xyz
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    if r == 0:  # the rest of the own cell and the next one above it
        begin = slot + 1
        end = starts[own + 2]
    else:  # three cells above one another: (dx, dy) = (0, 1), (1, -1), (1, 0), (1, 1)
        dx = 0 if r == 1 else 1
        dy = 1 if r == 1 else r - 3
        below = own + (dx * pad_y + dy) * pad_z - 1
        begin = starts[below]
        end = starts[below + 3]
    x = xyz[0, slot]
    y = xyz[1, slot]
    z = xyz[2, slot]
    n = 0
    for k in range(0, end - begin, LANES):
        rx = load(xyz, 0, begin + k) - x
        ry = load(xyz, 1, begin + k) - y
        rz = load(xyz, 2, begin + k) - z
        square = rx * rx + ry * ry + rz * rz
        store(square, squares, 0, k)
        n = positions_below(square, radius2, min(end - begin - k, LANES), k, near, n)
    return begin, n


@kernel
def correlate(centers, lists, values, known, radius2, bins_per_length, squares, near, total, pairs):
    """Add the product of the values of each pair to `total` (bins,), and to `pairs` (bins,) one where both are known.

    `values` (N,) with 0 and `known` (N,) with 0 instead of 1 where they are undefined. Work space as for
    `histogram_pairs`; with all particles of known value as centres each pair is met once.
    """
    cell, starts, index = lists.cell, lists.starts, lists.particle
    for c in range(centers.shape[0]):
        i = centers[c]
        slot = starts[cell[i]]
        while index[slot] != i:
            slot += 1
        for r in range(5):
            begin, n = later_in_row(r, slot, cell[i], lists, radius2, squares, near)
            for m in range(n):
                k = near[m]
                j = index[begin + k]
                b = int(np.sqrt(squares[0, k]) * bins_per_length)
                if b < total.shape[0]:
                    total[b] += values[i] * values[j]
                    pairs[b] += known[i] * known[j]


@kernel
def histogram_inside(centers, offsets, index, distance, species, usable, bins_per_length, counts):
    """Add each neighbour of each centre to the bin of its distance, where that is one of the `usable` (C,) first bins.

    `counts` (S, S, bins), centre's species first.
    """
    last = counts.shape[2] - 1
    for c in range(centers.shape[0]):
        row = counts[species[centers[c]]]
        for p in range(offsets[c], offsets[c + 1]):
            b = min(int(distance[p] * bins_per_length), last)
            if b < usable[c]:
                row[species[index[p]], b] += 1


@kernel
def histogram_angles(centers, offsets, index, vector, species, bins_per_radian, counts):
    """Add the angle j-i-k of each pair of neighbours of each centre: `counts` (S, S, S, bins).

    Species of the centre first, then of j and k in the order of the neighbours. Neighbours on top of the centre have no
    direction and are left out.
    """
    last = counts.shape[3] - 1
    for c in range(centers.shape[0]):
        block = counts[species[centers[c]]]
        for j in range(offsets[c], offsets[c + 1]):
            if vector[3, j] == 0.0:
                continue
            for k in range(offsets[c], j):
                if vector[3, k] == 0.0:
                    continue
                dot = vector[0, j] * vector[0, k] + vector[1, j] * vector[1, k] + vector[2, j] * vector[2, k]
                cosine = dot / (vector[3, j] * vector[3, k])
                angle = np.arccos(min(max(cosine, -1.0), 1.0))
                b = min(int(angle * bins_per_radian), last)
                block[species[index[k]], species[index[j]], b] += 1


@kernel
def unit_phases(fraction, weight, first, number, unit):
    """exp(-2 pi i f) of each axis of some particles, and their weights, into `unit` (7, W), with zeros behind them."""
    for axis in range(3):
        for p in range(number):
            phase = -2.0 * np.pi * fraction[axis, first + p]
            unit[2 * axis, p] = sine(phase + 0.5 * np.pi)
            unit[2 * axis + 1, p] = sine(phase)
    for p in range(number):
        unit[6, p] = weight[first + p]
    for row in range(7):
        for p in range(number, min(number + AT_ONCE, unit.shape[1])):
            unit[row, p] = 0.0


@kernel
def powers(unit, at, middle, most, phases):
    """All powers of the phases of the particles `at` in `unit` and the next, those of the first axis times the weight.

    `middle` (3,) is where the power 0 of each axis lies in `phases`, and `most` (3,) its largest power, either way.
    """
    for axis in range(3):
        for p in range(0, AT_ONCE, LANES):
            ur = load(unit, 2 * axis, at + p)
            ui = load(unit, 2 * axis + 1, at + p)
            a = full(1.0)
            if axis == 0:
                a = load(unit, 6, at + p)
            b = full(0.0)
            up = middle[axis] + p
            down = up
            store(a, phases, 0, up)
            store(b, phases, 0, up + AT_ONCE)
            for _ in range(most[axis]):
                c = a * ur - b * ui
                b = a * ui + b * ur
                a = c
                up += POWER
                down -= POWER
                store(a, phases, 0, up)
                store(b, phases, 0, up + AT_ONCE)
                store(a, phases, 0, down)
                store(-1.0 * b, phases, 0, down + AT_ONCE)


@kernel
def density_modes(fraction, weight, starts, places, middle, most, unit, phases, sums, density):
    """Add rho_a(k) = sum_{j in a} w_j exp(-i k.r_j) of each wave vector k = 2 pi H^-1 n to `density` (S, 2, M).

    `fraction` (3, N) fractional coordinates and `weight` (N,) sorted by species, species s in
    ``starts[s]:starts[s + 1]``. The phases of a wave vector are the powers of exp(-2 pi i f) that begin at its `places`
    (M, 3) in `phases`; see `powers` for `middle` and `most`. Each power is of `AT_ONCE` particles, so that those of
    usual wave numbers stay in the first-level cache: the real parts, then the imaginary ones. What two axes give
    together is kept as long as it stays the same, so that a wave vector whose first two integers are those of the one
    before costs one complex product for a particle. Work space: `unit` (7, W), W particles at a time, a multiple of
    `AT_ONCE`; `phases` (1, all powers times `POWER`); `sums` (1, M times `AT_ONCE`).
    """
    width = unit.shape[1]
    for s in range(starts.shape[0] - 1):
        for m in range(0, sums.shape[1], LANES):
            store(full(0.0), sums, 0, m)
        for first in range(starts[s], starts[s + 1], width):
            number = min(width, starts[s + 1] - first)
            unit_phases(fraction, weight, first, number, unit)
            for at in range(0, number, AT_ONCE):
                powers(unit, at, middle, most, phases)
                x = -1
                y = -1
                a0 = b0 = a1 = b1 = full(0.0)
                for m in range(places.shape[0]):
                    if places[m, 0] != x or places[m, 1] != y:
                        x = places[m, 0]
                        y = places[m, 1]
                        xr = load(phases, 0, x)
                        xi = load(phases, 0, x + AT_ONCE)
                        yr = load(phases, 0, y)
                        yi = load(phases, 0, y + AT_ONCE)
                        a0 = xr * yr - xi * yi
                        b0 = xr * yi + xi * yr
                        xr = load(phases, 0, x + LANES)
                        xi = load(phases, 0, x + AT_ONCE + LANES)
                        yr = load(phases, 0, y + LANES)
                        yi = load(phases, 0, y + AT_ONCE + LANES)
                        a1 = xr * yr - xi * yi
                        b1 = xr * yi + xi * yr
                    z = places[m, 2]
                    zr = load(phases, 0, z)
                    zi = load(phases, 0, z + AT_ONCE)
                    wr = load(phases, 0, z + LANES)
                    wi = load(phases, 0, z + AT_ONCE + LANES)
                    real = load(sums, 0, AT_ONCE * m)
                    imag = load(sums, 0, AT_ONCE * m + LANES)
                    store(real + a0 * zr - b0 * zi + a1 * wr - b1 * wi, sums, 0, AT_ONCE * m)
                    store(imag + a0 * zi + b0 * zr + a1 * wi + b1 * wr, sums, 0, AT_ONCE * m + LANES)
        for m in range(places.shape[0]):
            for part in range(2):
                total = 0.0
                for lane in range(LANES):
                    total += sums[0, AT_ONCE * m + LANES * part + lane]
                density[s, part, m] += total
