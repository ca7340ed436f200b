"""Weights of neighbours by their distance and the species of both particles."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def sharp(centers, offsets, index, distance, species, cutoffs, weight):
    """1 for pairs closer than their cutoff, 0 for the others, into `weight` (P,).

    `centers` (C,), `offsets` (C + 1,), `index` (P,) and `distance` (P,) are a neighbour list, `species` (N,) codes,
    `cutoffs` (S, S) by the species of the centre and of the neighbour.
    """
    for c in range(centers.shape[0]):
        s = species[centers[c]]
        for p in range(offsets[c], offsets[c + 1]):
            weight[p] = 1.0 if distance[p] < cutoffs[s, species[index[p]]] else 0.0


@kernel
def smooth_exponent(centers, offsets, index, distance, species, inverse2, half_gamma, largest2, exponent):
    """Logarithm of the weight of paper A, Eq. (8): -(r / r_c)^gamma within R, -inf beyond, into `exponent` (P,).

    As for `sharp`; `inverse2` (S, S) is r_c^-2, infinite for an excluded pair, `half_gamma` gamma / 2, `largest2`
    (R / r_c)^2. The exponential itself is NumPy's, which does several at a time.
    """
    whole = -1
    if half_gamma <= 64.0 and half_gamma == np.floor(half_gamma):
        whole = int(half_gamma)
    for c in range(centers.shape[0]):
        s = species[centers[c]]
        for p in range(offsets[c], offsets[c + 1]):
            x2 = distance[p] * distance[p] * inverse2[s, species[index[p]]]
            if not x2 < largest2:  # so that 0 times infinity, a particle on top of an excluded one, is beyond too
                exponent[p] = -np.inf
                continue
            if whole < 0:
                exponent[p] = -(x2**half_gamma)
                continue
            # repeated squaring, several times faster than a power
            power = 1.0
            remaining = whole
            while remaining:
                if remaining & 1:
                    power *= x2
                x2 *= x2
                remaining >>= 1
            exponent[p] = -power
