"""Histograms of pairs and of triplets, and density modes."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.dynamics import sine
from glassdask.kernels.simd import LANES, load, positions_below, store


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
def density_modes(fraction, weight, starts, modes, real, imag, density):
    """Add rho_a(k) = sum_{j in a} w_j exp(-i k.r_j) of each wave vector k = 2 pi H^-1 n to `density` (S, 2, M).

    `fraction` (3, N) fractional coordinates and `weight` (N,) sorted by species, species s in
    ``starts[s]:starts[s + 1]``; `modes` (M, 3) integers n; work space `real`, `imag` (3, largest |n| + 1, W), W
    particles at a time. Powers of exp(-2 pi i f) by recurrence, so a mode costs three loads and two complex products
    for a particle.
    """
    width = real.shape[2]
    orders = real.shape[1]
    for s in range(starts.shape[0] - 1):
        for first in range(starts[s], starts[s + 1], width):
            number = min(width, starts[s + 1] - first)
            for axis in range(3):
                for p in range(number):
                    real[axis, 0, p] = 1.0
                    imag[axis, 0, p] = 0.0
                if orders > 1:
                    for p in range(number):
                        phase = -2.0 * np.pi * fraction[axis, first + p]
                        real[axis, 1, p] = sine(phase + 0.5 * np.pi)
                        imag[axis, 1, p] = sine(phase)
                for n in range(2, orders):
                    for p in range(number):
                        a = real[axis, n - 1, p]
                        b = imag[axis, n - 1, p]
                        real[axis, n, p] = a * real[axis, 1, p] - b * imag[axis, 1, p]
                        imag[axis, n, p] = a * imag[axis, 1, p] + b * real[axis, 1, p]
            for n in range(orders):
                for p in range(number):
                    real[0, n, p] *= weight[first + p]
                    imag[0, n, p] *= weight[first + p]
            for m in range(modes.shape[0]):
                # powers of a negative order are the conjugates
                sx = 1.0 if modes[m, 0] >= 0 else -1.0
                sy = 1.0 if modes[m, 1] >= 0 else -1.0
                sz = 1.0 if modes[m, 2] >= 0 else -1.0
                xr = real[0, abs(modes[m, 0])]
                xi = imag[0, abs(modes[m, 0])]
                yr = real[1, abs(modes[m, 1])]
                yi = imag[1, abs(modes[m, 1])]
                zr = real[2, abs(modes[m, 2])]
                zi = imag[2, abs(modes[m, 2])]
                total_re = 0.0
                total_im = 0.0
                for p in range(number):
                    a = xr[p] * yr[p] - (sx * sy) * xi[p] * yi[p]
                    b = sy * xr[p] * yi[p] + sx * xi[p] * yr[p]
                    total_re += a * zr[p] - sz * b * zi[p]
                    total_im += sz * a * zi[p] + b * zr[p]
                density[s, 0, m] += total_re
                density[s, 1, m] += total_im
