"""Connected components of particles, and whether they meet their own periodic images."""

from __future__ import annotations

import numpy as np

from glassdask.kernels import kernel


@kernel
def unite(first, second, image, parent, shift):
    """Join the particles of each pair: `second` in the periodic image `image` (P, 3) is a neighbour of `first`.

    `parent` (N,) numbers 0 to N - 1 and `shift` (N, 3) zeros before; afterwards `parent` is the root of the component
    of each particle, and its image that hangs together with the root is `shift` cells away.
    """
    for p in range(first.shape[0]):
        i = root(first[p], parent, shift)
        j = root(second[p], parent, shift)
        if i == j:
            continue
        # the later root hangs on the earlier one
        for d in range(3):
            step = shift[first[p], d] + image[p, d] - shift[second[p], d]
            if i < j:
                shift[j, d] = step
            else:
                shift[i, d] = -step
        if i < j:
            parent[j] = i
        else:
            parent[i] = j
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
def periods(first, second, image, parent, shift, basis, rank):
    """In how many independent directions the component of each root meets its own images, into `rank` (N,), zeros.

    As after `unite`; scratch: `basis` (N, 2, 3).
    """
    for p in range(first.shape[0]):
        i = first[p]
        j = second[p]
        r = parent[i]
        x = shift[i, 0] + image[p, 0] - shift[j, 0]
        y = shift[i, 1] + image[p, 1] - shift[j, 1]
        z = shift[i, 2] + image[p, 2] - shift[j, 2]
        if (x == 0 and y == 0 and z == 0) or rank[r] == 3:
            continue
        if rank[r] == 0:
            basis[r, 0, 0] = x
            basis[r, 0, 1] = y
            basis[r, 0, 2] = z
            rank[r] = 1
            continue
        u = basis[r, 0, 1] * z - basis[r, 0, 2] * y
        v = basis[r, 0, 2] * x - basis[r, 0, 0] * z
        w = basis[r, 0, 0] * y - basis[r, 0, 1] * x
        if rank[r] == 1:
            if u != 0 or v != 0 or w != 0:
                basis[r, 1, 0] = x
                basis[r, 1, 1] = y
                basis[r, 1, 2] = z
                rank[r] = 2
        elif basis[r, 1, 0] * u + basis[r, 1, 1] * v + basis[r, 1, 2] * w != 0:
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
