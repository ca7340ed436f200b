"""Parts of periodic configurations, with open borders where they were cut."""

from __future__ import annotations

import numpy as np

CELLS = {
    "cube": np.eye(3) * 7.5,
    "skewed": np.array([[7.5, 0.0, 0.0], [2.0, 7.5, 0.0], [-1.5, 2.0, 7.5]]),
    "plane": np.eye(2) * 12.0,
    "skewed plane": np.array([[12.0, 0.0], [4.0, 12.0]]),
}
# box and the axes along which it still repeats after the cut
CUTS = {
    "film": ("cube", (True, True, False)),
    "wire": ("cube", (False, True, False)),
    "block": ("cube", (False, False, False)),
    "skewed film": ("skewed", (True, False, True)),
    "skewed block": ("skewed", (False, False, False)),
    "strip": ("plane", (False, True)),
    "window": ("plane", (False, False)),
    "skewed strip": ("skewed plane", (True, False)),
}
BEGIN, END = 0.04, 0.93


def liquid(cell, seed=0):
    """Positions in a box at number density 1, not too close to each other, and codes of two species."""
    rng = np.random.default_rng(seed)
    d = len(cell)
    n = round(abs(np.linalg.det(cell)))
    grid = int(np.ceil(n ** (1 / d)))
    sites = np.stack(np.meshgrid(*[np.arange(grid)] * d, indexing="ij"), -1).reshape(-1, d)
    fraction = (sites[rng.permutation(len(sites))[:n]] + 0.5 + rng.uniform(-0.32, 0.32, (n, d))) / grid
    return fraction @ cell, rng.integers(0, 2, n)


def cut(position, cell, periodic, begin=BEGIN, end=END):
    """Which particles are in a part of the box, their positions and the part's box."""
    is_open = ~np.array(periodic)
    fraction = position @ np.linalg.inv(cell)
    kept = np.flatnonzero(((fraction >= begin) & (fraction < end))[:, is_open].all(axis=1))
    corner = np.where(is_open, begin, 0.0) @ cell
    return kept, position[kept] - corner, cell * np.where(is_open, end - begin, 1.0)[:, None]


def face_distances(position, cell, periodic):
    """Distance of each particle from the nearest open face."""
    inverse = np.linalg.inv(cell)
    found = np.full(len(position), np.inf)
    for axis in np.flatnonzero(~np.array(periodic)):
        normal = inverse[:, axis]
        depth = position @ normal / np.linalg.norm(normal)
        found = np.minimum(found, np.minimum(depth, 1 / np.linalg.norm(normal) - depth))
    return found
