"""Perfect crystals, and single shells of neighbours around a particle."""

from __future__ import annotations

import numpy as np

import glassdask as gd

BASIS = {
    "sc": [[0.0, 0, 0]],
    "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "fcc": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    "hcp": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 5 / 6, 0.5], [0, 1 / 3, 0.5]],
}
CELL = {"hcp": np.array([1.0, np.sqrt(3), np.sqrt(8 / 3)]) / np.sqrt(2)}
# between the first shell, of bcc the first two, and the next one
REACH = {"sc": 1.2, "bcc": 1.2, "fcc": 0.85, "hcp": 0.85, "icosahedron": 1.1}


def crystal(kind: str, n: int = 4, noise: float = 0.0):
    """n cubic cells a side, of edge 1, with Gaussian noise."""
    edge = CELL.get(kind, np.ones(3))
    corner = np.stack(np.meshgrid(*[np.arange(float(n))] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    position = ((corner + np.array(BASIS[kind])) * edge).reshape(-1, 3)
    position += np.random.default_rng(3).normal(size=position.shape) * noise
    return gd.from_arrays(position, species=["A"] * len(position), box=edge * n)


def icosahedron():
    """A particle with twelve around it at distance 1, alone in a box."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    position = np.concatenate([np.zeros((1, 3)), corners]) + 5
    return gd.from_arrays(position, species=["A"] * 13, box=[10.0] * 3)


SHELLS = {**{kind: crystal(kind) for kind in BASIS}, "icosahedron": icosahedron()}
