"""Excess entropy of pairs, particle by particle."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.simd import exp, full, load, store


@kernel
def pair_entropy(offsets, distance, kind, step, size, weight, ideal, sigma, lanes, g, out):
    """-1/2 sum_b int (G ln(G / rho_b A) - G + rho_b A) dr of the smeared number of neighbours G(r) dr of each kind.

    `offsets` (C + 1,), `distance` (P,) and `kind` (P,) of the neighbours, those of kind -1 left out; radii are 0,
    `step`, 2 `step`, ..., `size` (points,) A(r) at them, the area of the sphere or the length of the circle, and
    `weight` (points,) those of the integral; `ideal` (C, S) density rho_b of each kind; `lanes` (1, 8) holds 0 to 7.
    Scratch: `g` (S, at least points + 8). Output: `out` (C,).
    """
    points = size.shape[0]
    inner = 1.0 / (sigma * sigma)
    reach = 6.0 * sigma
    peak = 1.0 / (np.sqrt(2.0 * np.pi) * sigma)
    number = load(lanes, 0, 0)
    # exp(-(x + m h)^2 / 2 s^2) for eight m: a common factor, one that is linear in m, and one that is always the same
    curve = exp(number * number * (-0.5 * step * step * inner))
    shrink = full(np.exp(-64.0 * step * step * inner))
    for c in range(out.shape[0]):
        for s in range(g.shape[0]):
            for k in range(g.shape[1]):
                g[s, k] = 0.0
        for p in range(offsets[c], offsets[c + 1]):
            s = kind[p]
            if s < 0:
                continue
            r = distance[p]
            first = max(0, int(np.ceil((r - reach) / step)))
            last = min(points - 1, int((r + reach) / step))
            x = first * step - r
            value = curve * exp(number * (-x * step * inner)) * (peak * np.exp(-0.5 * x * x * inner))
            # eight steps on: (x + 8 h + m h)^2 = (x + m h)^2 + 16 h (x + m h) + 64 h^2
            factor = exp((number * step + x) * (-8.0 * step * inner)) * np.exp(-32.0 * step * step * inner)
            k = first
            while k <= last:
                store(load(g, s, k) + value, g, s, k)
                value = value * factor
                factor = factor * shrink
                k += 8
        total = 0.0
        for s in range(g.shape[0]):
            rho = ideal[c, s]
            if rho == 0.0:
                continue
            for k in range(points):
                expected = rho * size[k]
                found = g[s, k]
                if found > 0.0 and expected > 0.0:
                    total += weight[k] * (found * np.log(found / expected) - found + expected)
                else:
                    total += weight[k] * expected
        out[c] = -0.5 * total
