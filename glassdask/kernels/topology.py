"""Clusters of the topological cluster classification: rings of three, four and five particles, and what they make up.

Rows of rings, ``start`` and ``near`` are those of `glassdask.kernels.rows`.
"""

from __future__ import annotations

from glassdask.kernels import kernel
from glassdask.kernels.compounds import around_9b, of_9b, of_9k, of_10b, of_11a, of_11c, opposite
from glassdask.kernels.rows import bound, common, has, mark, mark_both, other_spindle

# Columns of what is found: rings with no, one and two spindles, and clusters of several.
TYPES = (
    "sp3a", "sp3b", "5A", "sp4a", "sp4b", "6A", "sp5a", "sp5b", "7A", "6Z", "7K", "8A", "8B", "8K", "9B", "9K", "10B",
    "11A", "11C", "12B", "13A", "9A", "10A", "10K", "10W", "11B", "11E", "11F", "11W", "12A", "12D", "12E", "12K",
    "13B", "13K",
)  # fmt: skip
C6Z, C7K, C8A, C8B, C8K, C9B, C9K, C10B, C11A, C11C, C12B, C13A = range(9, 21)


@kernel
def shortest_bonds(offsets, vector, fc, kept):
    """Which candidates stay neighbours: r_ij^2 <= f_c (r_ik^2 + r_jk^2) for all k that are closer to both, (P,)."""
    for c in range(offsets.shape[0] - 1):
        for p in range(offsets[c], offsets[c + 1]):
            kept[p] = True
            square = vector[3, p] * vector[3, p]
            for q in range(offsets[c], offsets[c + 1]):
                near = vector[3, q] * vector[3, q]
                if near >= square:
                    continue
                x = vector[0, p] - vector[0, q]
                y = vector[1, p] - vector[1, q]
                z = vector[2, p] - vector[2, q]
                other = x * x + y * y + z * z
                if other < square and square > fc * (near + other):
                    kept[p] = False
                    break


@kernel
def rings(start, near, row, size, spindles):
    """All rings of three to five without bonds across, and their spindles, into `row` (., 7), `size` and `spindles`.

    More than two spindles count as none, as in the program of Malins et al. Returns how many rings there are; only as
    many as `row` has room for are there.
    """
    n = 0
    for a in range(start.shape[0] - 1):
        for e in range(start[a], start[a + 1]):
            b = near[e]
            if b < a:
                continue
            for f in range(e + 1, start[a + 1]):
                c = near[f]
                if c < a:
                    continue
                if bound(b, c, start, near):
                    n = keep(n, a, b, c, -1, -1, 3, start, near, row, size, spindles)
                    continue
                for g in range(start[b], start[b + 1]):
                    d = near[g]
                    if d <= a or d == c or bound(d, a, start, near):
                        continue
                    if bound(d, c, start, near):
                        n = keep(n, a, b, d, c, -1, 4, start, near, row, size, spindles)
                        continue
                    for h in range(start[c], start[c + 1]):
                        x = near[h]
                        if x <= a or x == b or bound(x, a, start, near) or bound(x, b, start, near):
                            continue
                        if bound(d, x, start, near):
                            n = keep(n, a, b, d, x, c, 5, start, near, row, size, spindles)
    return n


@kernel
def keep(n, a, b, c, d, e, members, start, near, row, size, spindles):
    """Write a ring down in row n, and return the next one."""
    if n < row.shape[0]:
        row[n, 0] = a
        row[n, 1] = b
        row[n, 2] = c
        row[n, 3] = d
        row[n, 4] = e
        row[n, 5] = -1
        row[n, 6] = -1
        found = 0
        for p in range(start[a], start[a + 1]):
            s = near[p]
            every = bound(b, s, start, near) and bound(c, s, start, near)
            if every and members > 3:
                every = bound(d, s, start, near)
            if every and members > 4:
                every = bound(e, s, start, near)
            if every:
                if found < 2:
                    row[n, 5 + found] = s
                found += 1
        size[n] = members
        spindles[n] = found if found < 3 else 0
    return n + 1


@kernel
def of_triangles(row, first, listed, out):
    """6Z, 7K and 8K, of 5A clusters; those with the spindle s are ``listed[first[s]:first[s + 1]]``."""
    for i in range(row.shape[0]):
        a = row[i]
        for k in range(5, 7):  # pairs with a common spindle
            s = a[k]
            for p in range(first[s], first[s + 1]):
                j = listed[p]
                b = row[j]
                if j <= i or common(a, b) != 2:
                    continue
                u = other_spindle(a, s)
                v = other_spindle(b, s)
                if u == v or has(b, 0, 5, u) or has(a, 0, 5, v):
                    continue
                mark_both(a, b, C7K, out)
                for q in range(first[u], first[u + 1]):
                    c = row[listed[q]]
                    if other_spindle(c, u) == v and third(a, b, c):
                        mark_both(a, b, C8K, out)
                        mark(c, C8K, out)
        for k in range(3):  # pairs each with a spindle in the other's ring
            s = a[k]
            for p in range(first[s], first[s + 1]):
                b = row[listed[p]]
                if common(a, b) == 2 and not (has(a, 5, 7, b[5]) or has(a, 5, 7, b[6])):
                    u = has(b, 0, 5, a[5])
                    if u != has(b, 0, 5, a[6]) and has(a, 0, 5, b[5]) != has(a, 0, 5, b[6]):
                        mark_both(a, b, C6Z, out)


@kernel
def third(a, b, c):
    """Whether the ring of c shares with those of a and b what these share, and has one more particle of its own."""
    shared = 0
    alone = 0
    for k in range(3):
        if has(a, 0, 3, c[k]) and has(b, 0, 3, c[k]):
            shared += 1
        elif not has(a, 0, 7, c[k]) and not has(b, 0, 7, c[k]):
            alone += 1
    return shared == 2 and alone == 1


@kernel
def of_squares(row, first, listed, start, near, out):
    """9K and 11A, of 6A clusters with one common spindle, and what they are part of."""
    for i in range(row.shape[0]):
        a = row[i]
        for k in range(5, 7):
            s = a[k]
            for p in range(first[s], first[s + 1]):
                j = listed[p]
                b = row[j]
                u = other_spindle(a, s)
                v = other_spindle(b, s)
                if j <= i or u == v:
                    continue
                shared = common(a, b)
                if shared == 2 and not has(b, 0, 7, u) and not has(a, 0, 7, v):
                    mark_both(a, b, C9K, out)
                    of_9k(a, b, s, start, near, out)
                if shared == 0:
                    twice = True
                    for x in range(4):
                        bonds = 0
                        for y in range(4):
                            bonds += bound(a[x], b[y], start, near)
                        twice = twice and bonds == 2
                    if twice:
                        mark_both(a, b, C11A, out)
                        of_11a(a, b, start, near, out)


@kernel
def of_pentagons(row, first, listed, start, near, out):
    """8B, 9B, 10B, 11C, 12B, 13A and 13B, of 7A clusters, and what 9B, 10B and 11C are part of."""
    for i in range(row.shape[0]):
        a = row[i]
        for k in range(5, 7):
            s = a[k]
            u = other_spindle(a, s)
            for e in range(start[s], start[s + 1]):
                x = near[e]
                if has(a, 0, 7, x):
                    continue
                bonds = 0
                for y in range(5):
                    bonds += bound(a[y], x, start, near)
                if bonds == 2:
                    mark(a, C8B, out)
                    out[x, C8B] = True
            around = 0
            for p in range(first[s], first[s + 1]):
                j = listed[p]
                b = row[j]
                v = other_spindle(b, s)
                if j == i or u == v:
                    continue
                around += bound(u, v, start, near)
                shared = common(a, b)
                if j > i and shared == 0 and not bound(u, v, start, near):
                    opposite(a, b, start, near, out)
                if j < i or shared != 2:
                    continue
                if has(b, 0, 5, u) and has(a, 0, 5, v):
                    mark_both(a, b, C9B, out)
                    of_9b(a, b, s, start, near, out)
                    around_9b(a, b, s, u, v, row, first, listed, start, near, out)
                    around_9b(b, a, s, v, u, row, first, listed, start, near, out)
                    for q in range(first[s], first[s + 1]):
                        c = row[listed[q]]
                        if turned(a, b, c, s, u, v, start, near):
                            mark_both(a, b, C10B, out)
                            mark(c, C10B, out)
                            of_10b(a, b, c, s, start, near, out)
                if bonds_11c(a, b, start, near):
                    mark_both(a, b, C11C, out)
                    of_11c(a, b, s, start, near, out)
            if around == 5:
                crowned(i, s, u, row, first, listed, start, near, out)


@kernel
def turned(a, b, c, s, u, v, start, near):
    """Whether c, with the spindle s, makes a 10B of the 9B of a and b, whose spindles are also u and v."""
    w = other_spindle(c, s)
    if not (has(c, 0, 5, u) and has(c, 0, 5, v) and bound(w, u, start, near) and bound(w, v, start, near)):
        return False
    if not ((has(a, 0, 5, w) and w != v) or (has(b, 0, 5, w) and w != u)):
        return False
    alone = 0
    for k in range(5):
        if not has(a, 0, 7, c[k]) and not has(b, 0, 7, c[k]):
            alone += 1
    return alone == 1


@kernel
def bonds_11c(a, b, start, near):
    """Whether the two that two rings share are bound, and those beside them on either side are, as only they are."""
    x = -1
    y = -1
    bonds = 0
    for k in range(5):
        if has(b, 0, 5, a[k]):
            if x < 0:
                x = a[k]
            else:
                y = a[k]
            continue
        for m in range(5):
            if not has(a, 0, 5, b[m]):
                bonds += bound(a[k], b[m], start, near)
    if bonds != 2 or not bound(x, y, start, near):
        return False
    return bound(beside(a, x, y, start, near), beside(b, x, y, start, near), start, near) and bound(
        beside(a, y, x, start, near), beside(b, y, x, start, near), start, near
    )


@kernel
def beside(row, x, y, start, near):
    """The particle of a ring that is bound to x and is not y."""
    for k in range(5):
        if row[k] != x and row[k] != y and bound(row[k], x, start, near):
            return row[k]
    return -2


@kernel
def crowned(i, s, u, row, first, listed, start, near, out):
    """The 12B of the 7A cluster i and the five around its spindle u that share s, and the 13A of one more across."""
    a = row[i]
    members = 7
    for turn in range(2):  # first counted, then marked
        for p in range(first[s], first[s + 1]):
            b = row[listed[p]]
            if listed[p] == i or not bound(u, other_spindle(b, s), start, near):
                continue
            if turn == 1:
                mark_both(a, b, C12B, out)
                continue
            for k in range(5):
                new = not has(a, 0, 7, b[k])
                for q in range(first[s], p):
                    c = row[listed[q]]
                    if listed[q] != i and bound(u, other_spindle(c, s), start, near) and has(c, 0, 5, b[k]):
                        new = False
                members += new
        if members != 12:
            return
    for p in range(first[s], first[s + 1]):
        b = row[listed[p]]
        if common(a, b) == 0 and not has(a, 0, 7, other_spindle(b, s)):
            mark_both(a, b, C13A, out)


@kernel
def of_halves(five, seven, of_ring, in_ring, first, listed, out):
    """8A, of rings of five with one spindle, `five`, and with two, `seven`.

    Those of `five` with the particle i in their ring are ``in_ring[of_ring[i]:of_ring[i + 1]]``; those of `seven` with
    the spindle s ``listed[first[s]:first[s + 1]]``.
    """
    for i in range(five.shape[0]):
        a = five[i]
        for k in range(2):  # four of five are common: one of the first two is
            for p in range(of_ring[a[k]], of_ring[a[k] + 1]):
                b = five[in_ring[p]]
                if a[5] != b[5] and common(a, b) == 4:
                    mark_both(a, b, C8A, out)
        for p in range(first[a[5]], first[a[5] + 1]):
            b = seven[listed[p]]
            if common(a, b) == 4:
                mark_both(a, b, C8A, out)
    for i in range(seven.shape[0]):
        a = seven[i]
        for p in range(first[a[5]], first[a[5] + 1]):
            b = seven[listed[p]]
            if has(b, 5, 7, a[6]) and common(a, b) == 4:
                mark_both(a, b, C8A, out)
