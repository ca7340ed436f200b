"""Neighbours by comparing everything with everything: slow, short, and independent of the cell lists."""

import numpy as np


def images(box, reach):
    """All periodic images (M, 3) of the origin that a sphere of radius `reach` can need from inside the cell."""
    inverse = np.linalg.inv(box)
    depth = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int) + 1
    n = np.stack(np.meshgrid(*[np.arange(-d, d + 1) for d in depth], indexing="ij"), -1).reshape(-1, len(box))
    return n @ box


def pairs(position, box, reach):
    """(i, j, vector) of every pair i != j with some image closer than `reach`, counting each image."""
    shift = images(box, reach)
    found = []
    for i, here in enumerate(position):
        vector = position[None, :, :] + shift[:, None, :] - here
        distance = np.sqrt((vector**2).sum(-1))
        image, j = np.nonzero(distance < reach)
        found += [(i, int(b), vector[a, b]) for a, b in zip(image, j) if b != i]
    return found


def sets(position, species, box, cutoffs):
    """Neighbours of each particle closer than the cutoff of its pair, as {j: vector}."""
    result = [{} for _ in position]
    for i, j, vector in pairs(position, box, float(np.max(cutoffs))):
        if np.sqrt((vector**2).sum()) < cutoffs[species[i], species[j]]:
            assert j not in result[i], "two images of one particle within the cutoff"
            result[i][j] = vector
    return result
