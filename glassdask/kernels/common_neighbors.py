"""Common neighbour analysis, and how far neighbours are from being pairs on opposite sides.

The neighbours of one centre are numbered from 0; bit b of ``bits[a]`` tells that a and b are neighbours of each other.
"""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel

OTHER, FCC, HCP, BCC, ICOSAHEDRAL = 0, 1, 2, 3, 4
MOST = 62  # neighbours of a centre, as many as have a bit
# Signatures that are counted, as hundreds, tens and ones: common neighbours, bonds between them, bonds of the chain
# of them that has most.
SIGNATURES = np.array([311, 322, 421, 422, 433, 444, 544, 555, 666])
# Neighbours of the centre of a cluster, and how many of them have 444, 555, 666, 421 and 422: bicapped square antiprism
# 11A, icosahedron 13A, polyhedra of Frank and Kasper with 14, 15 and 16 neighbours, fcc, hcp, bcc.
CLUSTERS = np.array(
    [
        [10, 2, 8, 0, 0, 0], [12, 0, 12, 0, 0, 0], [14, 0, 12, 2, 0, 0], [15, 0, 12, 3, 0, 0], [16, 0, 12, 4, 0, 0],
        [12, 0, 0, 0, 12, 0], [12, 0, 0, 0, 6, 6], [14, 6, 0, 8, 0, 0],
    ]
)  # fmt: skip
# Of the perfect crystals with nearest neighbours at 1 or sqrt(3) / 2: halfway between the first and the second shell.
HALFWAY = 0.5 * (1.0 + np.sqrt(2.0))


@kernel
def adaptive(offsets, vector, square, bits, out):
    """The structure around each centre, of its 14 nearest, nearest first: A. Stukowski, MSMSE 20, 045021 (2012).

    Scratch: `square` (14, 14) and `bits` (62,). `out` (C,): NaN with fewer neighbours, beside an open border.
    """
    for c in range(out.shape[0]):
        first = offsets[c]
        if offsets[c + 1] - first < 14:
            out[c] = np.nan
            continue
        for a in range(14):
            p = first + a
            for b in range(a):
                q = first + b
                x = vector[0, p] - vector[0, q]
                y = vector[1, p] - vector[1, q]
                z = vector[2, p] - vector[2, q]
                square[a, b] = x * x + y * y + z * z
        near = 0.0
        for p in range(12):
            near += vector[3, first + p]
        reach = near / 12.0 * HALFWAY
        bonds = bonds_within(12, square, reach * reach)
        found = OTHER
        if bonds == 24 or bonds == 30:  # 12 neighbours that have 4 in common with the centre, or 5: else it is no use
            closer(12, square, reach, bits)
            found = structure(12, bits)
        if found == OTHER:
            near = 0.0
            for p in range(8):
                near += vector[3, first + p] * np.sqrt(4.0 / 3.0)
            for p in range(8, 14):
                near += vector[3, first + p]
            reach = near / 14.0 * HALFWAY
            if bonds_within(14, square, reach * reach) == 36:  # 8 that have 6 in common, and 6 that have 4
                closer(14, square, reach, bits)
                found = structure(14, bits)
        out[c] = found


@kernel
def bonds_within(n, square, reach2):
    """How many pairs of n neighbours are closer to each other than the root of `reach2`."""
    found = 0
    for a in range(n):
        for b in range(a):
            found += square[a, b] < reach2
    return found


@kernel
def closer(n, square, reach, bits):
    """Which of n neighbours are closer to each other than `reach`, of the squared distances ``square[a, b]``, b < a."""
    for a in range(n):
        bits[a] = 0
    for a in range(n):
        mine = 0
        for b in range(a):
            if square[a, b] < reach * reach:
                mine |= 1 << b
                bits[b] |= 1 << a
        bits[a] = mine


@kernel
def within(centers, offsets, vector, species, kind, reach2, slot, bits, pairs, out):
    """The structure around each centre, or how many pairs have each signature.

    Neighbours are closer than `reach2` (S, S), squared; `kind` (P,) species of the neighbours. With `pairs`, `out` is
    (C, len(SIGNATURES) + 1), the last column all others, otherwise (C, 1). Returns the row of the first centre that has
    more than 62 neighbours, or -1.
    """
    for c in range(out.shape[0]):
        own = species[centers[c]]
        n = 0
        for p in range(offsets[c], offsets[c + 1]):
            if vector[3, p] * vector[3, p] < reach2[own, kind[p]]:
                if n == MOST:
                    return c
                slot[n] = p
                n += 1
        if pairs or n == 12 or n == 14:
            connect(slot, n, vector, kind, reach2, bits)
        tell(n, bits, pairs, out[c])
    return -1


@kernel
def listed(rows, offsets, index, vector, row_of, bits, pairs, out):
    """The same of the neighbours that a list names, where two are connected if one of them has the other as neighbour.

    `rows` (C,) row of each centre in the list `offsets`, `index`, `vector`, in which the neighbours of all centres have
    rows, too: `row_of` (N,).
    """
    for c in range(rows.shape[0]):
        n = connect_listed(rows[c], offsets, index, vector, row_of, bits)
        if n > MOST:
            return c
        tell(n, bits, pairs, out[c])
    return -1


@kernel
def centres(rows, offsets, index, vector, row_of, bits, out):
    """Which of the `CLUSTERS` each centre is the middle of, -1 for none, into `out` (C,); otherwise as `listed`."""
    for c in range(rows.shape[0]):
        n = connect_listed(rows[c], offsets, index, vector, row_of, bits)
        if n > MOST:
            return c
        out[c] = -1
        if n < 10 or n > 16:
            continue
        fours = fives = sixes = straight = twisted = 0
        for a in range(n):
            common = count(bits[a])
            if common < 4 or common > 6:
                break
            found = signature(a, n, bits)
            fours += found == 444
            fives += found == 555
            sixes += found == 666
            straight += found == 421
            twisted += found == 422
        for k in range(CLUSTERS.shape[0]):
            if (
                CLUSTERS[k, 0] == n and CLUSTERS[k, 1] == fours and CLUSTERS[k, 2] == fives
                and CLUSTERS[k, 3] == sixes and CLUSTERS[k, 4] == straight and CLUSTERS[k, 5] == twisted
            ):  # fmt: skip
                out[c] = k
    return -1


@kernel
def connect_listed(row, offsets, index, vector, row_of, bits):
    """Which neighbours of the particle in `row` of a list are neighbours of each other; returns how many there are."""
    first = offsets[row]
    n = offsets[row + 1] - first
    if n > MOST:
        return n
    for a in range(n):
        bits[a] = 0
    for a in range(n):
        j = row_of[index[first + a]]
        for entry in range(offsets[j], offsets[j + 1]):
            for b in range(n):
                if index[first + b] != index[entry] or a == b:
                    continue
                # in a small box the neighbour of a neighbour may be another image of the same particle
                x = vector[0, first + a] + vector[0, entry] - vector[0, first + b]
                y = vector[1, first + a] + vector[1, entry] - vector[1, first + b]
                z = vector[2, first + a] + vector[2, entry] - vector[2, first + b]
                if x * x + y * y + z * z < 1e-12 * vector[3, entry] * vector[3, entry]:
                    bits[a] |= 1 << b
                    bits[b] |= 1 << a
    return n


@kernel
def connect(slot, n, vector, kind, reach2, bits):
    """Which of the neighbours in `slot` are closer to each other than `reach2` (S, S), squared, of their kinds."""
    for a in range(n):
        bits[a] = 0
    for a in range(n):
        p = slot[a]
        mine = 0
        for b in range(a):
            q = slot[b]
            x = vector[0, p] - vector[0, q]
            y = vector[1, p] - vector[1, q]
            z = vector[2, p] - vector[2, q]
            if x * x + y * y + z * z < reach2[kind[p], kind[q]]:
                mine |= 1 << b
                bits[b] |= 1 << a
        bits[a] = mine


@kernel
def tell(n, bits, pairs, out):
    """The structure into ``out[0]``, or the number of neighbours of each signature into `out`."""
    if not pairs:
        out[0] = structure(n, bits)
        return
    for k in range(out.shape[0]):
        out[k] = 0.0
    for a in range(n):
        found = signature(a, n, bits)
        place = out.shape[0] - 1
        for k in range(SIGNATURES.shape[0]):
            if SIGNATURES[k] == found:
                place = k
        out[place] += 1.0


@kernel
def structure(n, bits):
    """Which crystal the bonds between n neighbours are those of."""
    if n != 12 and n != 14:
        return OTHER
    fours = 0
    twos = 0
    fives = 0
    for a in range(n):
        common = count(bits[a])
        if common != 4 and common != (5 if n == 12 else 6):
            return OTHER
        found = signature(a, n, bits)
        if found == (421 if n == 12 else 444):
            fours += 1
        elif found == (422 if n == 12 else 666):
            twos += 1
        elif found == 555:
            fives += 1
        else:
            return OTHER
    if n == 14:
        return BCC if fours == 6 and twos == 8 else OTHER
    if fours == 12:
        return FCC
    if fours == 6 and twos == 6:
        return HCP
    return ICOSAHEDRAL if fives == 12 else OTHER


@kernel
def signature(a, n, bits):
    """Of neighbour a and the centre: common neighbours, bonds between them, and bonds of their longest chain."""
    mask = bits[a]
    bonds = 0
    longest = 0
    left = mask
    for seed in range(n):
        if left >> seed & 1 == 0:
            continue
        # all that are connected with the seed
        chain = 1 << seed
        grown = True
        while grown:
            grown = False
            for b in range(n):
                if chain >> b & 1 and bits[b] & mask & ~chain:
                    chain |= bits[b] & mask
                    grown = True
        own = 0
        for b in range(n):
            if chain >> b & 1:
                own += count(bits[b] & chain)
        own //= 2
        bonds += own
        longest = max(longest, own)
        left &= ~chain
    return 100 * count(mask) + 10 * bonds + longest


@kernel
def count(bits):
    """How many bits are set."""
    n = 0
    while bits:
        bits &= bits - 1
        n += 1
    return n


@kernel
def centrosymmetry(offsets, vector, least, out):
    """Sum of the n // 2 smallest |r_j + r_k|^2 over pairs of the n neighbours of each centre.

    Scratch: `least`, as many as half of the longest list. `out` (C,): NaN with fewer than two neighbours.
    """
    for c in range(out.shape[0]):
        half = (offsets[c + 1] - offsets[c]) // 2
        if half == 0:
            out[c] = np.nan
            continue
        for k in range(half):
            least[k] = np.inf
        for p in range(offsets[c], offsets[c + 1]):
            for q in range(offsets[c], p):
                x = vector[0, p] + vector[0, q]
                y = vector[1, p] + vector[1, q]
                z = vector[2, p] + vector[2, q]
                square = x * x + y * y + z * z
                if square >= least[half - 1]:
                    continue
                k = half - 1
                while k > 0 and least[k - 1] > square:
                    least[k] = least[k - 1]
                    k -= 1
                least[k] = square
        total = 0.0
        for k in range(half):
            total += least[k]
        out[c] = total
