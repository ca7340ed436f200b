"""Convex cells of which no corner lies on more than three planes, as those of all but crystals: corners and links.

A corner is where three faces meet, and three edges go from it to other corners. What a plane cuts off is then found
among the corners, and nothing else is touched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.polyhedra import DONE, OPEN, UNDECIDED
from glassdask.kernels.simd import LANES, load, positions_below, store

WALLS = 6


class Corners(NamedTuple):
    """Room for one cell of up to F faces, with its walls, which has at most V = 2 F - 4 corners at any time.

    The faces of a corner are numbered counterclockwise as seen from outside; its k-th edge lies between the two faces
    that are not the k-th.
    """

    xyz: np.ndarray  # (3, V and a vector)
    depth: np.ndarray  # (1, V and a vector) below the plane that cuts
    link: np.ndarray  # (V, 3) where its edges lead
    face: np.ndarray  # (V, 3)
    beyond: np.ndarray  # (V and a vector,) 32-bit, the corners that are cut off
    gone: np.ndarray  # (V,) the stamp of the plane that cut off who was in this place
    new: np.ndarray  # (4, 3 V) of an edge that is cut: the corner that stays, which edge of that it is, and two faces
    place: np.ndarray  # (3, 3 V) where it is cut
    start: np.ndarray  # (F,) which of these edges of a face the edge of that with the new face begins at
    owner: np.ndarray  # (F,) candidate that a face is of
    vectors: np.ndarray  # (3, F) area of each face, times its normal
    corners: np.ndarray  # (2, F) how many a face has, and one of them


def make_corners(faces: int) -> Corners:
    """Room for cells of up to so many faces besides their walls."""
    f = faces + WALLS
    v = 2 * f
    integers = np.int64
    return Corners(
        xyz=np.zeros((3, v + LANES)), depth=np.zeros((1, v + LANES)), link=np.zeros((v, 3), integers),
        face=np.zeros((v, 3), integers), beyond=np.zeros(v + LANES, np.int32), gone=np.zeros(v, integers),
        new=np.zeros((4, 3 * v), integers), place=np.zeros((3, 3 * v)), start=np.zeros(f, integers),
        owner=np.zeros(f, integers), vectors=np.zeros((3, f)), corners=np.zeros((2, f), integers),
    )  # fmt: skip


@kernel
def cut_simple_cells(offsets, vector, order, species, own, radius2, reach, half_height, tolerance, far, room, cells):
    """What `polyhedra.cut_cells` finds, of those cells in which four planes never meet within `tolerance`.

    Arguments and output are the same, but for the scratch `room`, `Corners`; others are left with status UNDECIDED.
    """
    # taken out of the tuple once: a reference to an array is counted each time
    xyz, depth, link, face, beyond, gone, new, place, start, owner, vectors, corners = room
    slot, area, edges, count, volume, furthest, status = cells
    largest = radius2.max()
    for c in range(offsets.shape[0] - 1):
        begin = offsets[c]
        mine = radius2[own[c]]
        n = begin_corners(reach, half_height, xyz, link, face)
        faces = WALLS
        status[c] = DONE
        count[c] = 0
        volume[c] = 0.0
        furthest[c] = 0.0
        limit = 0.0
        furthest2 = -1.0  # not known
        for k in range(begin, offsets[c + 1]):
            p = order[k]
            r = vector[3, p]
            if furthest2 >= 0.0 and r > limit:
                break
            if r == 0.0:
                n = -1
                break
            inverse = 1.0 / r
            at = 0.5 * (r * r + mine - radius2[species[p]]) * inverse
            out = find_beyond(
                vector[0, p] * inverse, vector[1, p] * inverse, vector[2, p] * inverse, at, tolerance, n, xyz, depth,
                beyond,
            )  # fmt: skip
            touched = mark(out, k + 1, tolerance, depth, beyond, gone)
            if out == touched:
                if furthest2 < 0.0:
                    # the corner furthest away decides who can still reach the cell
                    furthest2 = furthest_corner(n, xyz)
                    limit = np.sqrt(furthest2) + np.sqrt(furthest2 + largest - mine)
                continue
            if touched or out == n:
                n = -1 if touched else 0
                break
            furthest2 = -1.0
            beyond[out] = n
            beyond[out + 1] = n + 1
            many = find_edges(out, k + 1, xyz, depth, link, face, beyond, gone, new, place, start)
            if many > out + 2 or not put_corners(many, faces, xyz, link, face, beyond, new, place, start):
                n = -1
                break
            owner[faces] = p
            faces += 1
            # the new corners are in the places of those that went; the last ones take those that are left
            n += max(many - out, 0)
            for m in range(out - 1, many - 1, -1):
                n -= 1
                if n != beyond[m]:
                    move(n, beyond[m], xyz, link, face)
        if n < 0:
            status[c] = UNDECIDED
            continue
        if n == 0:
            status[c] = DONE if far else OPEN
            continue
        if furthest2 < 0.0:
            furthest2 = furthest_corner(n, xyz)
        if np.sqrt(furthest2) + np.sqrt(furthest2 + largest - mine) > reach:
            status[c] = OPEN
            continue
        furthest[c] = furthest2
        count[c], volume[c] = measure_corners(
            begin, n, faces, xyz, link, face, owner, vectors, corners, slot, area, edges
        )


@kernel
def begin_corners(half, half_height, xyz, link, face):
    """A box around the origin; returns its 8 corners."""
    for v in range(8):
        x = v & 1
        y = v >> 1 & 1
        z = v >> 2
        xyz[0, v] = half if x else -half
        xyz[1, v] = half if y else -half
        xyz[2, v] = half_height if z else -half_height
        # the other way around in a mirror
        second = 1 if (x + y + z) % 2 else 2
        face[v, 0] = x
        link[v, 0] = v ^ 1
        face[v, second] = 2 + y
        link[v, second] = v ^ 2
        face[v, 3 - second] = 4 + z
        link[v, 3 - second] = v ^ 4
    return 8


@kernel
def find_beyond(nx, ny, nz, at, tolerance, n, xyz, depth, beyond):
    """How many of n corners are beyond r . n = at or on it, which these are, and the `depth` of all below it."""
    out = 0
    for v in range(0, n, LANES):
        deep = at - (load(xyz, 0, v) * nx + load(xyz, 1, v) * ny + load(xyz, 2, v) * nz)
        store(deep, depth, 0, v)
        out = positions_below(deep, tolerance, min(n - v, LANES), v, beyond, out)
    return out


@kernel
def mark(out, stamp, tolerance, depth, beyond, gone):
    """Put the `stamp` on the first `out` corners that are `beyond`; how many are within `tolerance` of the plane."""
    touched = 0
    for k in range(out):
        gone[beyond[k]] = stamp
        touched += depth[0, beyond[k]] >= -tolerance
    return touched


@kernel
def find_edges(out, stamp, xyz, depth, link, face, beyond, gone, new, place, start):
    """The edges from those corners that are `gone` to those that stay, and where they are cut; returns how many."""
    many = 0
    for k in range(out):
        v = beyond[k]
        for e in range(3):
            u = link[v, e]
            if gone[u] == stamp:
                continue
            a = face[v, e + 1 if e < 2 else 0]
            t = depth[0, u] / (depth[0, u] - depth[0, v])
            for axis in range(3):
                place[axis, many] = xyz[axis, u] + t * (xyz[axis, v] - xyz[axis, u])
            new[0, many] = u
            new[1, many] = (link[u, 1] == v) + 2 * (link[u, 2] == v)
            new[2, many] = a
            new[3, many] = face[v, e - 1 if e else 2]
            start[a] = many
            many += 1
    return many


@kernel
def put_corners(many, new_face, xyz, link, face, beyond, new, place, start):
    """Put a corner on each edge that is cut, in the places `beyond`; whether they are a ring around the new face."""
    for k in range(many):
        w = beyond[k]
        u = new[0, k]
        following = beyond[min(start[new[3, k]], many - 1)]  # however rounding may have mixed them up
        link[u, new[1, k]] = w
        link[w, 0] = u
        link[w, 1] = following
        link[following, 2] = w
        face[w, 0] = new_face
        face[w, 1] = new[2, k]
        face[w, 2] = new[3, k]
        for axis in range(3):
            xyz[axis, w] = place[axis, k]
    wrong = 0
    w = beyond[0]
    for k in range(many):
        following = link[w, 1]
        wrong += face[following, 0] != new_face or face[following, 1] != face[w, 2]
        wrong += (following == beyond[0]) != (k == many - 1)
        w = following
    return wrong == 0


@kernel
def move(v, w, xyz, link, face):
    """Put corner v in the place w, which is free."""
    for axis in range(3):
        xyz[axis, w] = xyz[axis, v]
    for e in range(3):
        u = link[v, e]
        link[w, e] = u
        face[w, e] = face[v, e]
        back = 0 if link[u, 0] == v else 1 if link[u, 1] == v else 2
        link[u, back] = w


@kernel
def furthest_corner(n, xyz):
    """Squared distance of the corner that is furthest away."""
    furthest2 = 0.0
    for v in range(n):
        x = xyz[0, v]
        y = xyz[1, v]
        z = xyz[2, v]
        furthest2 = max(furthest2, x * x + y * y + z * z)
    return furthest2


@kernel
def measure_corners(begin, n, faces, xyz, link, face, owner, vectors, corners, slot, area, edges):
    """Candidate, area and edges of each face that is not a wall; returns how many these are, and the volume."""
    for f in range(faces):
        vectors[0, f] = 0.0
        vectors[1, f] = 0.0
        vectors[2, f] = 0.0
        corners[0, f] = 0
    for v in range(n):
        for e in range(3):
            f = face[v, e]
            corners[0, f] += 1
            corners[1, f] = v
            # the way from v to u goes around this face, the way back around the other
            u = link[v, e]
            f = face[v, e + 1 if e < 2 else 0]
            vectors[0, f] += 0.5 * (xyz[1, v] * xyz[2, u] - xyz[2, v] * xyz[1, u])
            vectors[1, f] += 0.5 * (xyz[2, v] * xyz[0, u] - xyz[0, v] * xyz[2, u])
            vectors[2, f] += 0.5 * (xyz[0, v] * xyz[1, u] - xyz[1, v] * xyz[0, u])
    total = 0.0
    many = 0
    for f in range(faces):
        if corners[0, f] == 0:
            continue
        x = vectors[0, f]
        y = vectors[1, f]
        z = vectors[2, f]
        v = corners[1, f]
        total += (x * xyz[0, v] + y * xyz[1, v] + z * xyz[2, v]) / 3.0
        if f >= WALLS:
            slot[begin + many] = owner[f]
            area[begin + many] = np.sqrt(x * x + y * y + z * z)
            edges[begin + many] = corners[0, f]
            many += 1
    return many, abs(total)
