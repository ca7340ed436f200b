"""A planted law: lattices with vacancies, whose particles move the more, the fewer neighbours they have nearby."""

from __future__ import annotations

import numpy as np

N = 300
LENGTH = (N / 1.2) ** (1 / 3)
TYPES = np.array([0] * 240 + [1] * 60)


def disturbed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) and how far each particle goes (N,)."""
    sites = np.stack(np.meshgrid(*[np.arange(7)] * 3), axis=-1).reshape(-1, 3)
    sites = sites[rng.permutation(len(sites))[:N]]  # vacancies make environments differ
    start = (sites + 0.5 + 0.04 * rng.normal(size=(N, 3))) * LENGTH / 7
    apart = start[:, None] - start
    r = np.linalg.norm(apart - LENGTH * np.round(apart / LENGTH), axis=-1)
    return start, 2.0 - 0.05 * np.exp(-((r - 1.2) ** 2) / 0.08).sum(axis=1)
