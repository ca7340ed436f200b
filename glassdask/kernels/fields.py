"""Sums over the surroundings of per-particle values, and sums between particles and a grid."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel, simd

# exp of this is zero: weights beyond the cutoff, and the lanes that only fill up a vector
_NOTHING = -1000.0


@kernel
def coarse_grain(centers, offsets, index, distance, values, known, inverse2, cutoff2, work, near, out):
    """Weighted means of `values` around each centre, the centre itself included, with weights exp(-(r / length)^2).

    `values` (N, F) with 0 and `known` (N, F) with 0 instead of 1 where they are undefined; `inverse2`, `cutoff2` (L,)
    of the lengths. Scratch: `work` (2, padded), `near` (2 F, padded). `out` (C, L, F): NaN where nothing is known.
    """
    n_fields = values.shape[1]
    for c in range(centers.shape[0]):
        i = centers[c]
        first = offsets[c]
        n = offsets[c + 1] - first
        end = (n + simd.LANES - 1) // simd.LANES * simd.LANES
        for f in range(n_fields):
            for k in range(n):
                j = index[first + k]
                near[2 * f, k] = values[j, f]
                near[2 * f + 1, k] = known[j, f]
        for l in range(inverse2.shape[0]):
            for k in range(n):
                r = distance[first + k]
                work[0, k] = -r * r * inverse2[l] if r * r < cutoff2[l] else _NOTHING
            for k in range(n, end):
                work[0, k] = _NOTHING
            for k in range(0, end, simd.LANES):
                simd.store(simd.exp(simd.load(work, 0, k)), work, 1, k)
            for f in range(n_fields):
                total = values[i, f]
                weight = known[i, f]
                for k in range(n):
                    total += work[1, k] * near[2 * f, k]
                    weight += work[1, k] * near[2 * f + 1, k]
                out[c, l, f] = total / weight if weight > 0.0 else np.nan


@kernel
def _span(x, reach, n, origin):
    """First and one past the last of the grid points (number + origin) / n within `reach` of the fraction x."""
    return int(np.ceil((x - reach) * n - origin)), int(np.floor((x + reach) * n - origin)) + 1


@kernel
def spread(fraction, box, widths, inverse2, cutoff, origin, grid):
    """Add exp(-(r / width)^2) of every particle to the points of `grid` (nx, ny, nz) within its cutoff.

    Grid point (k, l, m) is at the fractions (k + origin) / n of the box. `fraction` (N, 3); `widths` (3,) distances
    between opposite faces of `box`; `inverse2`, `cutoff` (N,).
    """
    nx, ny, nz = grid.shape
    for i in range(fraction.shape[0]):
        c2 = cutoff[i] * cutoff[i]
        kx0, kx1 = _span(fraction[i, 0], cutoff[i] / widths[0], nx, origin[0])
        ky0, ky1 = _span(fraction[i, 1], cutoff[i] / widths[1], ny, origin[1])
        kz0, kz1 = _span(fraction[i, 2], cutoff[i] / widths[2], nz, origin[2])
        for kx in range(kx0, kx1):
            fx = (kx + origin[0]) / nx - fraction[i, 0]
            for ky in range(ky0, ky1):
                fy = (ky + origin[1]) / ny - fraction[i, 1]
                for kz in range(kz0, kz1):
                    fz = (kz + origin[2]) / nz - fraction[i, 2]
                    x = fx * box[0, 0] + fy * box[1, 0] + fz * box[2, 0]
                    y = fx * box[0, 1] + fy * box[1, 1] + fz * box[2, 1]
                    z = fx * box[0, 2] + fy * box[1, 2] + fz * box[2, 2]
                    r2 = x * x + y * y + z * z
                    if r2 < c2:
                        grid[kx % nx, ky % ny, kz % nz] += np.exp(-r2 * inverse2[i])


@kernel
def gather(fraction, box, widths, inverse2, cutoff, origin, share, out):
    """Sum over the grid points within the cutoff of each particle of exp(-(r / width)^2) times `share` (nx, ny, nz).

    The arguments are those of `spread`; `out` (N,).
    """
    nx, ny, nz = share.shape
    for i in range(fraction.shape[0]):
        c2 = cutoff[i] * cutoff[i]
        kx0, kx1 = _span(fraction[i, 0], cutoff[i] / widths[0], nx, origin[0])
        ky0, ky1 = _span(fraction[i, 1], cutoff[i] / widths[1], ny, origin[1])
        kz0, kz1 = _span(fraction[i, 2], cutoff[i] / widths[2], nz, origin[2])
        total = 0.0
        for kx in range(kx0, kx1):
            fx = (kx + origin[0]) / nx - fraction[i, 0]
            for ky in range(ky0, ky1):
                fy = (ky + origin[1]) / ny - fraction[i, 1]
                for kz in range(kz0, kz1):
                    fz = (kz + origin[2]) / nz - fraction[i, 2]
                    x = fx * box[0, 0] + fy * box[1, 0] + fz * box[2, 0]
                    y = fx * box[0, 1] + fy * box[1, 1] + fz * box[2, 1]
                    z = fx * box[0, 2] + fy * box[1, 2] + fz * box[2, 2]
                    r2 = x * x + y * y + z * z
                    if r2 < c2:
                        total += np.exp(-r2 * inverse2[i]) * share[kx % nx, ky % ny, kz % nz]
        out[i] = total
