"""The larger clusters of the topological cluster classification: those made of others, and of rings with one spindle.

Rows, ``start`` and ``near`` are those of `glassdask.kernels.topology`; the definitions are those of Malins et al.
"""

from __future__ import annotations

from glassdask.kernels import kernel
from glassdask.kernels.rows import bound, common, has, mark, mark_both, other_spindle

C9A, C10A, C10K, C10W, C11B, C11E, C11F, C11W, C12A, C12D, C12E, C12K, C13B, C13K = range(21, 35)


@kernel
def lone_neighbor(s, a, b, c, start, near):
    """The neighbour of s that belongs to none of three rings and their spindles, where it is the only one, else -1."""
    found = -1
    for e in range(start[s], start[s + 1]):
        x = near[e]
        if has(a, 0, 7, x) or has(b, 0, 7, x) or has(c, 0, 7, x):
            continue
        if found >= 0:
            return -1
        found = x
    return found


@kernel
def with_one(a, b, c, x, column, out):
    """Three rings with their spindles and one more particle are a cluster."""
    mark_both(a, b, column, out)
    mark(c, column, out)
    out[x, column] = True


@kernel
def of_9k(a, b, s, start, near, out):
    """10K: a 9K whose common spindle s has one more neighbour."""
    x = lone_neighbor(s, a, b, a, start, near)
    if x >= 0:
        with_one(a, b, a, x, C10K, out)


@kernel
def of_11a(a, b, start, near, out):
    """12K: an 11A and a particle, the only one, on a triangle of its squares."""
    for turn in range(2):
        one = a if turn == 0 else b
        two = b if turn == 0 else a
        for k in range(4):
            x = -1
            y = -1
            for m in range(4):
                if bound(one[k], two[m], start, near):
                    y = x
                    x = two[m]
            top = -1
            tops = 0
            for e in range(start[x], start[x + 1]):
                z = near[e]
                if has(a, 0, 7, z) or has(b, 0, 7, z):
                    continue
                if bound(one[k], z, start, near) and bound(y, z, start, near):
                    tops += 1
                    top = z
            if tops == 1:
                with_one(a, b, a, top, C12K, out)


@kernel
def of_9b(a, b, s, start, near, out):
    """11B: a 9B and two more neighbours of its common spindle s, bound to each other and each to two of the shell."""
    if start[s + 1] - start[s] != 10:
        return
    x = -1
    y = -1
    for e in range(start[s], start[s + 1]):
        z = near[e]
        if not has(a, 0, 7, z) and not has(b, 0, 7, z):
            x = y
            y = z
    if not bound(x, y, start, near):
        return
    u = -1
    v = -1
    w = -1
    z = -1
    of_x = 0
    of_y = 0
    for k in range(10):
        i = a[k] if k < 5 else b[k - 5]
        if k >= 5 and has(a, 0, 5, i):
            continue
        if bound(i, x, start, near):
            of_x += 1
            u = v
            v = i
        if bound(i, y, start, near):
            of_y += 1
            w = z
            z = i
    if of_x != 2 or of_y != 2 or u in (w, z) or v in (w, z):
        return
    if bound(u, v, start, near) or bound(w, z, start, near):
        return
    straight = bound(u, w, start, near) + bound(v, z, start, near)
    across = bound(u, z, start, near) + bound(v, w, start, near)
    if straight + across == 2 and straight * across == 0:
        with_one(a, b, a, x, C11B, out)
        out[y, C11B] = True


@kernel
def around_9b(a, b, s, u, v, row, first, listed, start, near, out):
    """11E: the 9B of a and b, and a ring around the spindle v of b with s and u; 12D: a fourth closes the circle."""
    for p in range(first[v], first[v + 1]):
        c = row[listed[p]]
        w = other_spindle(c, v)
        if w == u or not (bound(w, s, start, near) and bound(w, u, start, near) and has(c, 0, 5, s)):
            continue
        if not has(c, 0, 5, u) or not (has(a, 0, 5, w) or has(b, 0, 5, w)):
            continue
        shared = 0
        for k in range(5):
            shared += c[k] != s and c[k] != u and has(a, 0, 5, c[k]) != has(b, 0, 5, c[k])
        if shared != 1:
            continue
        mark_both(a, b, C11E, out)
        mark(c, C11E, out)
        for q in range(first[u], first[u + 1]):
            d = row[listed[q]]
            if other_spindle(d, u) != w or not (has(d, 0, 5, s) and has(d, 0, 5, v)):
                continue
            inside = 0
            for k in range(5):
                inside += has(a, 0, 7, d[k]) or has(b, 0, 7, d[k]) or has(c, 0, 7, d[k])
            if inside == 4:
                mark_both(a, b, C12D, out)
                mark_both(c, d, C12D, out)


@kernel
def of_10b(a, b, c, s, start, near, out):
    """11W: a 10B and one more neighbour of its common spindle s, not bound to its other spindles."""
    if start[s + 1] - start[s] != 10:
        return
    for e in range(start[s], start[s + 1]):
        x = near[e]
        if has(a, 0, 7, x) or has(b, 0, 7, x) or has(c, 0, 7, x):
            continue
        touching = bound(x, other_spindle(a, s), start, near) or bound(x, other_spindle(b, s), start, near)
        if not touching and not bound(x, other_spindle(c, s), start, near):
            with_one(a, b, c, x, C11W, out)


@kernel
def of_11c(a, b, s, start, near, out):
    """12A: an 11C and one more neighbour of its common spindle s, bound to the far ends of its rings only."""
    if start[s + 1] - start[s] != 11:
        return
    for e in range(start[s], start[s + 1]):
        x = near[e]
        if has(a, 0, 7, x) or has(b, 0, 7, x):
            continue
        ends = far_end(a, b, s, x, start, near)
        if ends == 1 and far_end(b, a, s, x, start, near) == 1:
            with_one(a, b, a, x, C12A, out)


@kernel
def far_end(a, b, s, x, start, near):
    """1 if x is bound to the one of the ring of a that is far from those which that of b shares, and to no other of a.

    The spindle s that both have does not count.
    """
    if bound(x, other_spindle(a, s), start, near):
        return 0
    ends = 0
    for k in range(5):
        if not bound(a[k], x, start, near):
            continue
        if has(b, 0, 5, a[k]):
            return 0
        for m in range(5):
            if has(b, 0, 5, a[m]) and bound(a[k], a[m], start, near):
                return 0
        ends += 1
    return ends


@kernel
def each_bound(n, a, b, expected, start, near):
    """Whether each particle of two rings of n is bound to so many of the other ring."""
    for turn in range(2):
        one = a if turn == 0 else b
        two = b if turn == 0 else a
        for k in range(n):
            bonds = 0
            for m in range(n):
                bonds += bound(one[k], two[m], start, near)
            if bonds != expected:
                return False
    return True


@kernel
def opposite(a, b, start, near, out):
    """13B: two rings of 7A on either side of a common spindle, each particle bound to one of the other ring."""
    if each_bound(5, a, b, 1, start, near):
        mark_both(a, b, C13B, out)


@kernel
def of_caps(square, of_square, in_square, pentagon, of_spindle, in_spindle, start, near, out):
    """9A and 10A of rings of four with one spindle, 10W of rings of five with one.

    Squares with the particle i in their ring are ``in_square[of_square[i]:of_square[i + 1]]``, pentagons with the
    spindle s ``in_spindle[of_spindle[s]:of_spindle[s + 1]]``.
    """
    for i in range(square.shape[0]):
        a = square[i]
        for p in range(of_square[a[0]], of_square[a[0] + 1]):
            b = square[in_square[p]]
            if common(a, b) == 2 and b[5] != a[5] and not bound(a[5], b[5], start, near):
                third_square(a, b, square, of_square, in_square, start, near, out)
        for e in range(start[a[0]], start[a[0] + 1]):
            x = near[e]
            for p in range(of_square[x], of_square[x + 1]):
                j = in_square[p]
                if j > i:
                    antiprism(a, square[j], start, near, out)
    for s in range(of_spindle.shape[0] - 1):
        if start[s + 1] - start[s] != 9 or of_spindle[s + 1] - of_spindle[s] != 6:
            continue
        around = 0
        for e in range(start[s], start[s + 1]):
            here = False
            for p in range(of_spindle[s], of_spindle[s + 1]):
                here = here or has(pentagon[in_spindle[p]], 0, 5, near[e])
            around += here
        if around == 9:
            out[s, C10W] = True
            for e in range(start[s], start[s + 1]):
                out[near[e], C10W] = True


@kernel
def third_square(a, b, square, of_square, in_square, start, near, out):
    """The 9A of two squares with a common edge, and a third one of their other particles."""
    x = -1
    for k in range(4):
        if not has(b, 0, 4, a[k]):
            x = a[k]
    for p in range(of_square[x], of_square[x + 1]):
        c = square[in_square[p]]
        if common(a, c) != 2 or common(b, c) != 2 or c[5] == a[5] or c[5] == b[5]:
            continue
        alone = True
        for k in range(4):
            alone = alone and not (has(a, 0, 4, c[k]) and has(b, 0, 4, c[k]))
        if alone and not bound(a[5], c[5], start, near) and not bound(b[5], c[5], start, near):
            mark_both(a, b, C9A, out)
            mark(c, C9A, out)


@kernel
def antiprism(a, b, start, near, out):
    """10A: two squares with nothing in common, each particle bound to two of the other, and spindles that are not."""
    if bound(a[5], b[5], start, near):
        return
    for k in range(6):
        if a[k] >= 0 and has(b, 0, 6, a[k]):
            return
    if each_bound(4, a, b, 2, start, near):
        mark_both(a, b, C10A, out)


@kernel
def of_two_triangles(row, first, listed, of_ring, in_ring, six, of_six, in_six, start, near, out):
    """11F, of pairs of 5A whose spindles are bound in pairs, with two 6A; 12E and 13K of these.

    5A with the spindle s are ``listed[first[s]:first[s + 1]]``, those with i in the ring ``in_ring[of_ring[i]:...]``,
    and 6A with the spindle s ``in_six[of_six[s]:...]``.
    """
    for i in range(row.shape[0]):
        a = row[i]
        for k in range(3):
            r = a[k]
            for p in range(of_ring[r], of_ring[r + 1]):
                j = in_ring[p]
                b = row[j]
                if j <= i or common(a, b) != 1 or has(b, 5, 7, a[5]) or has(b, 5, 7, a[6]):
                    continue
                u = b[5]
                v = b[6]
                if not (bound(a[5], u, start, near) and bound(a[6], v, start, near)):
                    u = b[6]
                    v = b[5]
                    if not (bound(a[5], u, start, near) and bound(a[6], v, start, near)):
                        continue
                x = -1
                y = -1
                bonds = 0
                for m in range(3):
                    for n in range(3):
                        if a[m] != r and b[n] != r and bound(a[m], b[n], start, near):
                            bonds += 1
                            x = a[m]
                            y = b[n]
                if bonds != 1:
                    continue
                top = crown(r, a[5], u, x, y, six, of_six, in_six)
                bottom = crown(r, a[6], v, x, y, six, of_six, in_six)
                if top < 0 or bottom < 0:
                    continue
                mark_11f(a, b, top, bottom, C11F, out)
                for q in range(first[top], first[top + 1]):
                    c = row[listed[q]]
                    if other_spindle(c, top) == bottom and has(c, 0, 3, x) and has(c, 0, 3, y):
                        mark_12e(a, b, c, top, bottom, out)
                new = wing(i, j, r, x, y, top, bottom, row, first, listed)
                other = wing(j, i, r, y, x, top, bottom, row, first, listed)
                if new >= 0 and other >= 0:
                    mark_11f(a, b, top, bottom, C13K, out)
                    out[new, C13K] = True
                    out[other, C13K] = True


@kernel
def crown(r, i, j, x, y, six, of_six, in_six):
    """The other spindle of the 6A with the spindle r and the ring i, j, x, y, -1 where there is none."""
    for p in range(of_six[r], of_six[r + 1]):
        c = six[in_six[p]]
        if has(c, 0, 4, i) and has(c, 0, 4, j) and has(c, 0, 4, x) and has(c, 0, 4, y):
            return other_spindle(c, r)
    return -1


@kernel
def mark_11f(a, b, top, bottom, column, out):
    """Two 5A and two more."""
    with_one(a, b, a, top, column, out)
    out[bottom, column] = True


@kernel
def mark_12e(a, b, c, top, bottom, out):
    """The 12E of an 11F and the 5A around its two other spindles, if that has somebody new."""
    for k in range(3):
        if not has(a, 0, 7, c[k]) and not has(b, 0, 7, c[k]):
            mark_11f(a, b, top, bottom, C12E, out)
            out[c[k], C12E] = True


@kernel
def wing(i, j, r, x, y, top, bottom, row, first, listed):
    """The particle that makes a 5A with the spindles of the i-th, r and its far end, and is new to the 11F, else -1.

    The far end is the one of the ring of i that is neither r nor x, which is bound to the y of the ring of j.
    """
    a = row[i]
    far = a[0] + a[1] + a[2] - r - x
    found = -1
    for p in range(first[a[5]], first[a[5] + 1]):
        n = listed[p]
        c = row[n]
        if n in (i, j) or other_spindle(c, a[5]) != a[6] or not has(c, 0, 3, r):
            continue
        for k in range(3):
            z = c[k]
            if z in (r, far):
                continue
            if found >= 0:
                return -1
            if not has(a, 0, 7, z) and not has(row[j], 0, 7, z) and z != top and z != bottom:
                found = z
    return found
