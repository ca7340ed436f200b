"""Connected components of particles, and whether they meet their own periodic images."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel
from glassdask.kernels.correlations import later_in_row


@kernel
def unite(offsets, index, image, centers, wanted, parent, shift, basis, rank):
    """Join each centre with its neighbours that are `wanted` (N,): those of c are ``offsets[c]:offsets[c + 1]``.

    `index` (P,) and `image` (P, 3), the periodic image in which each is; the rest is as for `join`. `finish` follows.
    """
    for c in range(centers.shape[0]):
        for p in range(offsets[c], offsets[c + 1]):
            if wanted[index[p]]:
                join(centers[c], index[p], image[p, 0], image[p, 1], image[p, 2], parent, shift, basis, rank)


@kernel
def unite_within(lists, cutoff2, radius2, wanted, squares, near, parent, shift, basis, rank):
    """Join all `wanted` particles (N,) that are closer than the cutoff of their pair of species.

    `lists`, a `cells.CellLists`; `cutoff2` (S, S), the largest of which is `radius2`; scratch `squares` and `near` as
    for `later_in_row`; the rest is as for `join`. `finish` follows.
    """
    n_cells, starts, particle, kind = lists.n_cells, lists.starts, lists.particle, lists.kind
    last_x, last_y, last_z = n_cells[0] - 1, n_cells[1] - 1, n_cells[2] - 1
    pad_y = n_cells[1] + 2
    pad_z = n_cells[2] + 2
    for x in range(n_cells[0]):
        for y in range(n_cells[1]):
            for z in range(n_cells[2]):
                own = ((x + 1) * pad_y + y + 1) * pad_z + z + 1
                for slot in range(starts[own], starts[own + 1]):
                    if not wanted[particle[slot]]:
                        continue
                    within = cutoff2[kind[slot]]
                    for r in range(5):
                        begin, n = later_in_row(r, slot, own, lists, radius2, squares, near)
                        # of a row behind the own one, and of its three cells the first and the last
                        row = own + (0 if r == 0 else pad_z if r == 1 else (pad_y + r - 3) * pad_z)
                        right = 1 if r > 1 and x == last_x else 0
                        across = 0 if r == 0 or r == 3 else 1 if r != 2 else -1
                        across = 1 if y + across > last_y else -1 if y + across < 0 else 0
                        below = starts[row] if z == 0 and r > 0 else 0
                        above = starts[row + 1] if z == last_z else starts[starts.shape[0] - 1]
                        for m in range(n):
                            k = begin + near[m]
                            if wanted[particle[k]] and squares[0, near[m]] < within[kind[k]]:
                                up = 1 if k >= above else -1 if k < below else 0
                                join(particle[slot], particle[k], right, across, up, parent, shift, basis, rank)


@kernel
def join(a, b, x, y, z, parent, shift, basis, rank):
    """Join particle a with b in the periodic image x, y, z.

    `parent` (N,) numbers 0 to N - 1, `shift` (N, 3) and `rank` (N,) zeros and `basis` (N, 2, 3) anything before the
    first. Then the `parent` leads to the root of the component, the first particle of it, whose image that hangs
    together with this one is `shift` cells away from that of the parent; of a root, `rank` is in how many independent
    directions its component meets its own images, and `basis` the first two of them.
    """
    i = root(a, parent, shift)
    j = root(b, parent, shift)
    x += shift[a, 0] - shift[b, 0]
    y += shift[a, 1] - shift[b, 1]
    z += shift[a, 2] - shift[b, 2]
    if i == j:
        if x != 0 or y != 0 or z != 0:
            add_period(x, y, z, basis[i], rank, i)
        return
    # the later root hangs on the earlier one
    if i > j:
        i, j, x, y, z = j, i, -x, -y, -z
    shift[j, 0] = x
    shift[j, 1] = y
    shift[j, 2] = z
    parent[j] = i
    if rank[j] == 3:
        rank[i] = 3
    else:
        for k in range(rank[j]):
            add_period(basis[j, k, 0], basis[j, k, 1], basis[j, k, 2], basis[i], rank, i)


@kernel
def finish(parent, shift):
    """Hang every particle on its root itself."""
    for i in range(parent.shape[0]):
        root(i, parent, shift)


@kernel
def root(i, parent, shift):
    """The root of particle i, on which it then hangs itself."""
    found = i
    x = 0
    y = 0
    z = 0
    while parent[found] != found:
        x += shift[found, 0]
        y += shift[found, 1]
        z += shift[found, 2]
        found = parent[found]
    while parent[i] != found and i != found:
        following = parent[i]
        a = shift[i, 0]
        b = shift[i, 1]
        c = shift[i, 2]
        parent[i] = found
        shift[i, 0] = x
        shift[i, 1] = y
        shift[i, 2] = z
        x -= a
        y -= b
        z -= c
        i = following
    return found


@kernel
def add_period(x, y, z, basis, rank, r):
    """One more translation, not zero, of the component of root r, where `basis` (2, 3) and ``rank[r]`` lack it."""
    if rank[r] == 3:
        return
    if rank[r] == 0:
        basis[0, 0] = x
        basis[0, 1] = y
        basis[0, 2] = z
        rank[r] = 1
        return
    u = basis[0, 1] * z - basis[0, 2] * y
    v = basis[0, 2] * x - basis[0, 0] * z
    w = basis[0, 0] * y - basis[0, 1] * x
    if rank[r] == 1:
        if u != 0 or v != 0 or w != 0:
            basis[1, 0] = x
            basis[1, 1] = y
            basis[1, 2] = z
            rank[r] = 2
    elif basis[1, 0] * u + basis[1, 1] * v + basis[1, 2] * w != 0:
        rank[r] = 3


@kernel
def images(offsets, index, vector, centers, position, inverse, image):
    """The periodic image in which each neighbour is, as numbers of cells, into `image` (P, 3)."""
    for c in range(centers.shape[0]):
        i = centers[c]
        for p in range(offsets[c], offsets[c + 1]):
            j = index[p]
            x = vector[0, p] - (position[j, 0] - position[i, 0])
            y = vector[1, p] - (position[j, 1] - position[i, 1])
            z = vector[2, p] - (position[j, 2] - position[i, 2])
            for d in range(3):
                image[p, d] = int(np.rint(x * inverse[0, d] + y * inverse[1, d] + z * inverse[2, d]))
