"""Order parameters of the first shell: bond angles, and how close neighbours are to touching."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def bond_angles(offsets, vector, weight, ideal, as_cosine, bond, out):
    """Mean deviation of the angles between all pairs of bonds from the `ideal` angle in degrees.

    `offsets` (C + 1,), `vector` (4, P); `weight` (P,) of each neighbour, a pair counts by the product of its two;
    `bond` (4, longest) is scratch. With `as_cosine` the deviation is |cos theta - cos ideal|, else |theta - ideal| in
    degrees. `out` (C,): NaN with fewer than two bonds.
    """
    cosine = np.cos(np.radians(ideal))
    for c in range(out.shape[0]):
        n = 0
        for k in range(offsets[c], offsets[c + 1]):
            if weight[k] > 0.0:
                for d in range(3):
                    bond[d, n] = vector[d, k] / vector[3, k]
                bond[3, n] = weight[k]
                n += 1
        total = 0.0
        norm = 0.0
        for p in range(n):
            for q in range(p):
                product = bond[0, p] * bond[0, q] + bond[1, p] * bond[1, q] + bond[2, p] * bond[2, q]
                w = bond[3, p] * bond[3, q]
                norm += w
                if as_cosine:
                    total += w * abs(product - cosine)
                else:
                    total += w * abs(np.degrees(np.arccos(min(max(product, -1.0), 1.0))) - ideal)
        out[c] = total / norm if n > 1 else np.nan


@kernel
def compactness(rows, members, row_of, offsets, index, vector, species, sigma, half, shell, mutual, mismatch, out):
    """Tong and Tanaka's Theta in three dimensions.

    `rows` (C,) row of each centre in the neighbour list `offsets`, `index`, `vector` of the particles `members`, among
    which are the neighbours of all centres; `row_of` (N,) row of each particle in that list. `sigma` (S, S) and
    `half` (N,): a and b touch at sigma + half[a] + half[b]. Scratch:
    `shell` (longest,), `mutual` and `mismatch` (longest, longest). `out` (C,): NaN without any tetrahedron.
    """
    for c in range(rows.shape[0]):
        first = offsets[rows[c]]
        n = offsets[rows[c] + 1] - first
        i = members[rows[c]]
        own = species[i]
        for p in range(n):
            for q in range(n):
                mutual[p, q] = False
        for p in range(n):
            j = index[first + p]
            shell[p] = abs(vector[3, first + p] - (sigma[own, species[j]] + half[i] + half[j]))
            for entry in range(offsets[row_of[j]], offsets[row_of[j] + 1]):
                k = index[entry]
                for q in range(p + 1, n):
                    if index[first + q] != k:
                        continue
                    # in a small box the neighbour of a neighbour may be another image of the same particle
                    x = vector[0, first + p] + vector[0, entry] - vector[0, first + q]
                    y = vector[1, first + p] + vector[1, entry] - vector[1, first + q]
                    z = vector[2, first + p] + vector[2, entry] - vector[2, first + q]
                    r = vector[3, entry]
                    if x * x + y * y + z * z < 1e-12 * r * r:
                        mutual[p, q] = True
                        mismatch[p, q] = abs(r - (sigma[species[j], species[k]] + half[j] + half[k]))
        total = 0.0
        tetrahedra = 0
        for p in range(n):
            sp = species[index[first + p]]
            for q in range(p + 1, n):
                if not mutual[p, q]:
                    continue
                sq = species[index[first + q]]
                edges = shell[p] + shell[q] + mismatch[p, q]
                # of each corner as many as it has edges
                extra = half[i] + half[index[first + p]] + half[index[first + q]]
                ideal = sigma[own, sp] + sigma[own, sq] + sigma[sp, sq] + 3.0 * extra
                for t in range(q + 1, n):
                    if mutual[p, t] and mutual[q, t]:
                        st = species[index[first + t]]
                        total += (edges + shell[t] + mismatch[p, t] + mismatch[q, t]) / (
                            ideal + sigma[own, st] + sigma[sp, st] + sigma[sq, st] + 3.0 * half[index[first + t]]
                        )
                        tetrahedra += 1
        out[c] = total / tetrahedra if tetrahedra > 0 else np.nan


@kernel
def ring(centers, offsets, index, vector, species, sigma, half, angle, order, out):
    """Tong and Tanaka's Theta in two dimensions: mean |angle - ideal angle| between consecutive neighbours.

    `sigma` (S, S) and `half` (N,) as for `compactness`; `angle` and `order` (longest,) are scratch. `out` (C,): NaN
    with fewer than three neighbours.
    """
    for c in range(centers.shape[0]):
        first = offsets[c]
        n = offsets[c + 1] - first
        if n < 3:
            out[c] = np.nan
            continue
        for p in range(n):
            here = np.arctan2(vector[1, first + p], vector[0, first + p])
            q = p
            while q > 0 and angle[q - 1] > here:
                angle[q] = angle[q - 1]
                order[q] = order[q - 1]
                q -= 1
            angle[q] = here
            order[q] = p
        own = species[centers[c]]
        total = 0.0
        for p in range(n):
            q = p + 1 if p + 1 < n else 0
            gap = angle[q] - angle[p] if q > 0 else angle[0] + 2.0 * np.pi - angle[p]
            a = index[first + order[p]]
            b = index[first + order[q]]
            u = sigma[own, species[a]] + half[centers[c]] + half[a]
            v = sigma[own, species[b]] + half[centers[c]] + half[b]
            w = sigma[species[a], species[b]] + half[a] + half[b]
            cosine = (u * u + v * v - w * w) / (2.0 * u * v)
            total += abs(gap - np.arccos(min(max(cosine, -1.0), 1.0)))
        out[c] = total / n


@kernel
def hexatic(offsets, vector, weight, n, out):
    """psi_n of each centre in the plane, `out` (C, 3): real part, imaginary part and modulus.

    `offsets` (C + 1,), `vector` (4, P), `weight` (P,) how much each neighbour counts; none at all gives NaN, and so
    does a neighbour on top of the centre.
    """
    for c in range(out.shape[0]):
        total = 0.0
        real = 0.0
        imag = 0.0
        for p in range(offsets[c], offsets[c + 1]):
            w = weight[p]
            if w == 0.0:
                continue
            # (x + i y)^n by repeated squaring
            inverse = 1.0 / vector[3, p]
            x = vector[0, p] * inverse
            y = vector[1, p] * inverse
            a = w
            b = 0.0
            remaining = n
            while remaining:
                if remaining & 1:
                    t = a * x - b * y
                    b = a * y + b * x
                    a = t
                t = x * x - y * y
                y = 2.0 * x * y
                x = t
                remaining >>= 1
            total += w
            real += a
            imag += b
        inverse = 1.0 / total if total != 0.0 else np.nan
        out[c, 0] = real * inverse
        out[c, 1] = imag * inverse
        out[c, 2] = np.sqrt(real * real + imag * imag) * inverse
