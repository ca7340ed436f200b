"""Convex cells around a point, cut by one plane after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glassdask.kernels import kernel

# What became of a cell: cut by all that can touch it; it needs candidates from further away; rounding has left faces
# that do not close; it has more faces than there is room for; another kernel has to cut it.
DONE, OPEN, BROKEN, FULL, UNDECIDED = 0, 1, 2, 3, 4
# The walls that a cell begins with are not among the candidates.
WALL = -1
INSIDE, ON, OUTSIDE, FREE = 0, 1, 2, 3


class Polyhedron(NamedTuple):
    """Room for one cell of up to F faces at any time, its corners and the loops of them around its faces."""

    vertex: np.ndarray  # (3, 4 F)
    state: np.ndarray  # (4 F,)
    height: np.ndarray  # (4 F,)
    free: np.ndarray  # (4 F,)
    loop: np.ndarray  # (F, 2 F)
    length: np.ndarray  # (F,)
    owner: np.ndarray  # (F,)
    bits: np.ndarray  # (F,)
    edge: np.ndarray  # (4, F)


class Cells(NamedTuple):
    """What is found of the cells of C centres with P candidates in all, those of c from ``offsets[c]`` on.

    Of cell c, ``offsets[c] + k`` is the k-th face: `slot` (P,) its candidate, `area` (P,) and `edges` (P,). `faces`
    (C,) are how many it has; `volume` (C,); `furthest2` (C,) squared distance of its furthest corner; `status` (C,)
    DONE, OPEN, BROKEN or FULL. An empty cell has no faces and no volume; that of two particles of the same radius at
    the same place belongs to neither, and its volume is NaN.
    """

    slot: np.ndarray
    area: np.ndarray
    edges: np.ndarray
    faces: np.ndarray
    volume: np.ndarray
    furthest2: np.ndarray
    status: np.ndarray


@kernel
def cut_cells(offsets, vector, order, species, own, radius2, reach, half_height, tolerance, far, polyhedron, cells):
    """Voronoi or radical Voronoi cells of the centres that are UNDECIDED: C. H. Rycroft, Chaos 19, 041111 (2009).

    The cell of a centre of radius R_i is what is left of a box once each candidate j has cut off what lies beyond the
    plane r . n_ij = (r_ij^2 + R_i^2 - R_j^2) / (2 r_ij). The nearest come first, and those that are too far away to
    reach what is left need not be looked at.

    `offsets` (C + 1,) and `vector` (4, P): all candidates within `reach`; `order` (P,) of `sort_by_distance`; `species`
    (P,) theirs and `own` (C,) the centres'; `radius2` (S,) squared radii; `half_height` of the slab that stands for a
    plane, otherwise `reach`; `tolerance` how far from a plane a corner counts as on it; `far` whether `reach` is so
    large that a cell of which nothing is left of the box is empty, and not somewhere else.

    Output: `cells`, a `Cells`, of which the `status` is given. Scratch: `polyhedron`, a `Polyhedron`.
    """
    count, volume, status = cells.faces, cells.volume, cells.status
    largest = radius2.max()
    for c in range(offsets.shape[0] - 1):
        if status[c] != UNDECIDED:
            continue
        begin = offsets[c]
        mine = radius2[own[c]]
        faces, top = begin_box(reach, half_height, polyhedron)
        n_free = 0
        furthest2 = 2.0 * reach * reach + half_height * half_height
        status[c] = DONE
        count[c] = 0
        volume[c] = 0.0
        cells.furthest2[c] = 0.0
        for k in range(begin, offsets[c + 1]):
            p = order[k]
            r = vector[3, p]
            # the corner furthest away decides who can still reach the cell
            furthest = np.sqrt(furthest2)
            if r > furthest + np.sqrt(furthest2 + largest - mine):
                break
            if r == 0.0:
                if mine > radius2[species[p]]:
                    continue
                faces = 0
                if mine == radius2[species[p]]:
                    volume[c] = np.nan
                break
            inverse = 1.0 / r
            at = 0.5 * (r * r + mine - radius2[species[p]]) * inverse
            faces, top, n_free, furthest2 = cut(
                vector[0, p] * inverse, vector[1, p] * inverse, vector[2, p] * inverse, at, p, tolerance, furthest2,
                polyhedron, faces, top, n_free,
            )  # fmt: skip
            if faces <= 0:
                break
        if faces < 0:
            status[c] = BROKEN if faces == -1 else FULL
            continue
        if faces == 0:
            status[c] = DONE if far or np.isnan(volume[c]) else OPEN
            continue
        furthest = np.sqrt(furthest2)
        if furthest + np.sqrt(furthest2 + largest - mine) > reach:
            status[c] = OPEN
            continue
        cells.furthest2[c] = furthest2
        measure(begin, faces, polyhedron, cells, c)


@kernel
def begin_box(half, half_height, polyhedron):
    """A box around the origin, with its faces counterclockwise as seen from outside; returns 6 faces, 8 corners."""
    vertex, state, _, _, loop, length, owner, bits, _ = polyhedron
    for v in range(8):
        vertex[0, v] = half if v & 1 else -half
        vertex[1, v] = half if v & 2 else -half
        vertex[2, v] = half_height if v & 4 else -half_height
        state[v] = INSIDE
    for f in range(6):
        length[f] = 4
        owner[f] = WALL
    for f, a, b, c, d in (
        (0, 0, 4, 6, 2), (1, 1, 3, 7, 5), (2, 0, 1, 5, 4), (3, 2, 6, 7, 3), (4, 0, 2, 3, 1), (5, 4, 5, 7, 6),
    ):  # fmt: skip
        loop[f, 0] = a
        loop[f, 1] = b
        loop[f, 2] = c
        loop[f, 3] = d
        bits[f] = marks(loop, f, 4)
    return 6, 8


@kernel
def cut(nx, ny, nz, at, candidate, tolerance, furthest2, polyhedron, faces, top, n_free):
    """Cut off r . n > at. Returns faces (0: nothing left, -1: they do not close, -2: too many), top, n_free, furthest2.

    Corners are the slots below `top` but those in `free`, which are at the origin and are taken first.
    """
    vertex, state, height, free, loop, length, owner, bits, edge = polyhedron
    x = vertex[0]
    y = vertex[1]
    z = vertex[2]
    beyond = 0
    for v in range(top):
        h = nx * x[v] + ny * y[v] + nz * z[v] - at
        height[v] = h
        beyond += h > tolerance
    if beyond == 0:
        return faces, top, n_free, furthest2
    outside = 0
    inside = 0
    gone = 0
    for v in range(top):
        if state[v] == FREE:
            continue
        if height[v] > tolerance:
            state[v] = OUTSIDE
            outside += 1
            gone |= 1 << (v & 31)
        elif height[v] < -tolerance:
            state[v] = INSIDE
            inside += 1
        else:
            state[v] = ON
    if outside == 0:
        return faces, top, n_free, furthest2
    if inside == 0:
        return 0, top, n_free, furthest2
    n_edges = 0  # of the new face, from edge[0] to edge[1]
    n_new = 0  # new corners, on the old edges from edge[2] inside to edge[3] outside
    f = 0
    while f < faces:
        if bits[f] & gone == 0:
            f += 1
            continue
        n = length[f]
        n_in = 0
        n_out = 0
        for k in range(n):
            n_in += state[loop[f, k]] == INSIDE
            n_out += state[loop[f, k]] == OUTSIDE
        if n_out == 0:
            f += 1
            continue
        if n_in == 0:
            # the face goes; an edge of it that lies in the plane is one of the new face's
            for k in range(n):
                u = loop[f, k]
                w = loop[f, k + 1 if k + 1 < n else 0]
                if state[u] == ON and state[w] == ON:
                    edge[0, n_edges] = u
                    edge[1, n_edges] = w
                    n_edges += 1
            faces -= 1
            for k in range(length[faces]):
                loop[f, k] = loop[faces, k]
            length[f] = length[faces]
            owner[f] = owner[faces]
            bits[f] = bits[faces]
            continue
        # a convex face is left once and entered once
        leave = -1
        enter = -1
        start = 0
        while state[loop[f, start]] == OUTSIDE or state[loop[f, start - 1 if start else n - 1]] != OUTSIDE:
            start += 1
            if start == n:
                return -1, top, n_free, furthest2
        # from the first corner after those outside to the last before them; there is room behind the loop
        kept = 0
        for k in range(n):
            place = start + k
            u = loop[f, place - n if place >= n else place]
            if state[u] == OUTSIDE:
                break
            kept += 1
        before = loop[f, start - 1 if start else n - 1]
        last = start + kept - 1
        last -= n if last >= n else 0
        after = loop[f, last + 1 if last + 1 < n else 0]
        if kept + n_out < n:
            return -1, top, n_free, furthest2  # outside twice
        first = loop[f, start]
        final = loop[f, last]
        for way in range(2):
            u = first if way == 0 else final
            w = before if way == 0 else after
            point = u
            if state[u] == INSIDE:
                point = -1
                for k in range(n_new):
                    if edge[2, k] == u and edge[3, k] == w:
                        point = free[free.shape[0] - 1 - k]
                if point < 0:
                    if n_free:
                        n_free -= 1
                        point = free[n_free]
                    else:
                        point = top
                        top += 1
                    t = height[u] / (height[u] - height[w])
                    x[point] = x[u] + t * (x[w] - x[u])
                    y[point] = y[u] + t * (y[w] - y[u])
                    z[point] = z[u] + t * (z[w] - z[u])
                    state[point] = ON
                    edge[2, n_new] = u
                    edge[3, n_new] = w
                    free[free.shape[0] - 1 - n_new] = point  # the far end of `free` remembers them
                    n_new += 1
            if way == 0:
                enter = point
            else:
                leave = point
        # new loop: enter, the corners inside, leave
        rotate(loop, f, n, start, kept)
        n = kept
        if enter != first:
            for k in range(n, 0, -1):
                loop[f, k] = loop[f, k - 1]
            loop[f, 0] = enter
            n += 1
        if leave != final:
            loop[f, n] = leave
            n += 1
        length[f] = n
        bits[f] = marks(loop, f, n)
        edge[0, n_edges] = enter
        edge[1, n_edges] = leave
        n_edges += 1
        f += 1
    if faces == length.shape[0]:
        return -2, top, n_free, furthest2
    # the new face: its edges in a ring
    current = edge[0, 0]
    for k in range(n_edges):
        loop[faces, k] = current
        following = -1
        for m in range(n_edges):
            if edge[0, m] == current:
                following = edge[1, m]
                break
        if following < 0 or (following == edge[0, 0]) != (k == n_edges - 1):
            return -1, top, n_free, furthest2
        current = following
    if n_edges < 3:
        return -1, top, n_free, furthest2
    length[faces] = n_edges
    owner[faces] = candidate
    bits[faces] = marks(loop, faces, n_edges)
    for v in range(top):
        if state[v] == OUTSIDE:
            state[v] = FREE
            x[v] = y[v] = z[v] = 0.0  # for the loops over all slots
            free[n_free] = v
            n_free += 1
    furthest2 = 0.0
    for v in range(top):
        furthest2 = max(furthest2, x[v] * x[v] + y[v] * y[v] + z[v] * z[v])
    return faces + 1, top, n_free, furthest2


@kernel
def marks(loop, f, n):
    """A bit for each corner of a face, so that most faces that lose none are passed over with one comparison."""
    found = 0
    for k in range(n):
        found |= 1 << (loop[f, k] & 31)
    return found


@kernel
def rotate(loop, f, n, start, kept):
    """Put ``loop[f, start:start + kept]``, which may go on at the beginning, first."""
    if start == 0:
        return
    if start + kept <= n:
        for k in range(kept):
            loop[f, k] = loop[f, start + k]
        return
    # it wraps round: behind the loop there is room for a copy
    for k in range(kept):
        place = start + k
        loop[f, n + k] = loop[f, place - n if place >= n else place]
    for k in range(kept):
        loop[f, k] = loop[f, n + k]


@kernel
def measure(begin, faces, polyhedron, cells, c):
    """Volume of a finished cell; candidate, area and number of edges of each face that is not a wall."""
    vertex, loop, length, owner = polyhedron.vertex, polyhedron.loop, polyhedron.length, polyhedron.owner
    slot, area, edges = cells.slot, cells.area, cells.edges
    n = 0
    total = 0.0
    for f in range(faces):
        a = loop[f, 0]
        # the vector area of a planar polygon: the sum over a fan of triangles
        sx = 0.0
        sy = 0.0
        sz = 0.0
        for k in range(2, length[f]):
            b = loop[f, k - 1]
            d = loop[f, k]
            bx = vertex[0, b] - vertex[0, a]
            by = vertex[1, b] - vertex[1, a]
            bz = vertex[2, b] - vertex[2, a]
            dx = vertex[0, d] - vertex[0, a]
            dy = vertex[1, d] - vertex[1, a]
            dz = vertex[2, d] - vertex[2, a]
            sx += 0.5 * (by * dz - bz * dy)
            sy += 0.5 * (bz * dx - bx * dz)
            sz += 0.5 * (bx * dy - by * dx)
        total += (sx * vertex[0, a] + sy * vertex[1, a] + sz * vertex[2, a]) / 3.0
        if owner[f] != WALL:
            slot[begin + n] = owner[f]
            area[begin + n] = np.sqrt(sx * sx + sy * sy + sz * sz)
            edges[begin + n] = length[f]
            n += 1
    cells.faces[c] = n
    cells.volume[c] = abs(total)


@kernel
def copy_faces(begins, counts, slot, index, vector, area, edges, targets, to_index, to_vector, to_area, to_edges):
    """Faces of some cells: of cell c ``counts[c]`` from ``begins[c]`` on to ``targets[c]`` and the places behind it.

    `area` and `edges` (F,) of the faces, `slot` (F,) where in `index` (P,) and `vector` (4, P) their neighbours are.
    """
    for c in range(begins.shape[0]):
        for k in range(counts[c]):
            face = begins[c] + k
            target = targets[c] + k
            to_index[target] = index[slot[face]]
            for axis in range(4):
                to_vector[axis, target] = vector[axis, slot[face]]
            to_area[target] = area[face]
            to_edges[target] = edges[face]
