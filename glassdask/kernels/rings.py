"""Rings of bonds: closed paths without a shortcut, around one particle at a time.

The particles within so many bonds of a root are numbered in the order in which they are reached, the root 0: its ball.
A particle and its periodic images are different members of it, so that a path around the box is no ring.
"""

from __future__ import annotations

from glassdask.kernels import kernel

FAR = 255  # more bonds apart than are looked for


@kernel
def mutual(offsets, index, image, row_of, target):
    """Row of each neighbour that has the particle of the list as neighbour, too, in the same image, else -1.

    `offsets`, `index` and `image` (P, 3) list the neighbours of particles of which `row_of` (N,) tells the rows;
    `target` (P,).
    """
    for row in range(offsets.shape[0] - 1):
        for p in range(offsets[row], offsets[row + 1]):
            other = row_of[index[p]]
            target[p] = -1
            if other < 0:
                continue
            for q in range(offsets[other], offsets[other + 1]):
                if (
                    row_of[index[q]] == row and image[q, 0] == -image[p, 0] and image[q, 1] == -image[p, 1]
                    and image[q, 2] == -image[p, 2]
                ):  # fmt: skip
                    target[p] = other


@kernel
def count_rings(
    first, roots, whole, offsets, target, image, largest, head, following, row, place, level, start, near, apart, asked,
    queue, path, at, back, turn, out,
):  # fmt: skip
    """How many rings of 3 to `largest` particles go through each of the `roots` from `first` on, rows of the list.

    D. S. Franzblau, Phys. Rev. B 44, 4925 (1991): between any two of its particles no path is shorter than the ring.
    Neighbours of a row are the rows ``target[offsets[row]:offsets[row + 1]]``, in the images `image`; -1 are none. Of
    an even ring the member furthest from the root is the turn of two shortest paths from it, of an odd one a bond is.
    With `whole` the roots are all rows, and a ring, which must have none of them twice, is looked for from its first.

    Scratch: `head` (rows,) filled with -1; of a ball `following`, `row`, `place` (., 3), `level`, `start`, `asked` and
    `queue`, of its bonds `near`, of its pairs `apart`; of a path of half a ring `path`, `at`, `back` and `turn`. `out`
    (C, largest - 2), whole numbers, zeros before. Returns the first root whose ball they cannot hold, from which on
    nothing is counted, or -1.
    """
    depth = largest // 2
    for c in range(first, roots.shape[0]):
        size = gather(roots[c], depth, offsets, target, image, head, following, row, place, level, start, near)
        if size < 0:
            return c
        for v in range(size):
            asked[v] = -1
        for m in range(1, size):
            k = level[m]
            if whole and row[m] < c:
                continue
            if k > 1 and 2 * k <= largest:
                closings(
                    m, m, c, whole, k, row, level, start, near, apart, asked, queue, path, at, back, turn, size, out
                )  # fmt: skip
            if 2 * k + 1 <= largest:
                for e in range(start[m], start[m + 1]):
                    n = near[e]
                    if n > m and level[n] == k and not (whole and row[n] < c):
                        closings(
                            m, n, c, whole, k, row, level, start, near, apart, asked, queue, path, at, back, turn, size,
                            out,
                        )  # fmt: skip
    return -1


@kernel
def gather(root, depth, offsets, target, image, head, following, row, place, level, start, near):
    """The ball of a root: its members and their bonds, as ``near[start[v]:start[v + 1]]``.

    Returns how many members there are, -1 where they are more than the scratch arrays hold. `head` is left as it was.
    """
    size = 1
    bonds = 0
    row[0] = root
    level[0] = 0
    following[0] = -1
    for d in range(3):
        place[0, d] = 0
    head[root] = 0
    v = 0
    full = False
    while v < size and not full:
        start[v] = bonds
        for p in range(offsets[row[v]], offsets[row[v] + 1]):
            other = target[p]
            if other < 0:
                continue
            x = place[v, 0] + image[p, 0]
            y = place[v, 1] + image[p, 1]
            z = place[v, 2] + image[p, 2]
            u = head[other]
            while u >= 0 and (place[u, 0] != x or place[u, 1] != y or place[u, 2] != z):
                u = following[u]
            if u < 0:
                if level[v] == depth:
                    continue
                if size + 1 >= row.shape[0]:
                    full = True
                    break
                u = size
                size += 1
                row[u] = other
                place[u, 0] = x
                place[u, 1] = y
                place[u, 2] = z
                level[u] = level[v] + 1
                following[u] = head[other]
                head[other] = u
            if bonds == near.shape[0]:
                full = True
                break
            near[bonds] = u
            bonds += 1
        v += 1
    for u in range(size):
        head[row[u]] = -1
    if full:
        return -1
    start[size] = bonds
    return size


@kernel
def closings(m, n, c, whole, k, row, level, start, near, apart, asked, queue, path, at, back, turn, size, out):
    """Count rings of two shortest paths of k bonds from root c, one to m, the other to n, which is m or bound to it."""
    path[k] = m
    at[k] = start[m]
    a = k
    while a <= k:
        if a == 0:
            second_paths(
                n, m == n, c, whole, k, row, level, start, near, apart, asked, queue, path, back, turn, size, out
            )  # fmt: skip
            a = 1
            continue
        e = at[a]
        while e < start[path[a] + 1] and (level[near[e]] != a - 1 or (whole and row[near[e]] < c)):
            e += 1
        if e == start[path[a] + 1]:
            a += 1
            continue
        at[a] = e + 1
        a -= 1
        path[a] = near[e]
        at[a] = start[near[e]]


@kernel
def second_paths(n, even, c, whole, k, row, level, start, near, apart, asked, queue, path, back, turn, size, out):
    """Count shortest paths from n to root c that close a ring with the `path`, of which each pair is counted once."""
    column = 2 * k - 3 if even else 2 * k - 2
    back[k] = n
    turn[k] = start[n]
    # the end of an odd ring's second path, against the member of the first that is k bonds away on both ways
    if not even and closer(path[1], n, k, start, near, apart, asked, queue, size):
        return
    b = k
    while b <= k:
        if b == 0:
            out[c, column] += 1
            if whole:
                for x in range(1, k + 1):
                    out[row[path[x]], column] += 1
                    if x < k or not even:
                        out[row[back[x]], column] += 1
            b = 1
            continue
        e = turn[b]
        while e < start[back[b] + 1]:
            w = near[e]
            if level[w] == b - 1 and not (whole and row[w] < c) and (b == 1 or not even or b < k or w > path[b - 1]):
                if b == 1:
                    break
                if not closer(path[k - b + 1], w, k, start, near, apart, asked, queue, size) and (
                    even or not closer(path[k - b + 2], w, k, start, near, apart, asked, queue, size)
                ):
                    break
            e += 1
        if e == start[back[b] + 1]:
            b += 1
            continue
        turn[b] = e + 1
        b -= 1
        back[b] = near[e]
        turn[b] = start[near[e]]


@kernel
def closer(v, w, k, start, near, apart, asked, queue, size):
    """Whether two members of the ball are less than k bonds apart.

    All who are, of the one that is nearer to the root, as there are fewer of these, are found when it is first asked.
    """
    if w < v:
        v, w = w, v
    if asked[v] < k - 1:
        asked[v] = k - 1
        for u in range(size):
            apart[v, u] = FAR
        apart[v, v] = 0
        queue[0] = v
        first = 0
        last = 1
        while first < last:
            u = queue[first]
            first += 1
            if apart[v, u] == k - 1:
                break
            for e in range(start[u], start[u + 1]):
                x = near[e]
                if apart[v, x] == FAR:
                    apart[v, x] = apart[v, u] + 1
                    queue[last] = x
                    last += 1
    return apart[v, w] < k
