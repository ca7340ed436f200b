"""Eigenvectors of a symmetric operator that is applied to eight vectors at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glassdask.errors import ConvergenceError
from glassdask.kernels.simd import LANES

PATIENCE = 200  # restarts
BATCH = 16384  # rows that are turned at a time


def largest(
    apply: Callable[[np.ndarray], np.ndarray], start: np.ndarray, many: int, tolerance: float, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    r"""The `many` largest eigenvalues, increasing, and their eigenvectors, (size, many).

    Block Lanczos with a thick restart: in the space of the start, A start, A^2 start, ..., one takes the largest
    values of the projected matrix; where the space is full, the best of its vectors are kept (K. Wu and H. Simon, SIAM
    J. Matrix Anal. Appl. 22, 602 (2000)). All vectors are made orthogonal to all others. A value is found when
    \|A v - value v\| is at most `tolerance` times its size, or `least` times that of the largest of all.

    Parameters
    ----------
    apply : callable
        Gives A times a block (size, 8).
    start : array (size, 8)
        Random vectors, where A acts within some space: within that.
    many, tolerance, least : int, float, float
        See above; there must be three times as many eigenvectors, and some tens.

    Raises
    ------
    ConvergenceError
        When they are not found in the end.

    Examples
    --------
    >>> line = np.arange(200.0)
    >>> value, vector = largest(lambda x: line[:, None] * x, np.random.default_rng(0).random((200, 8)), 2, 1e-9)
    >>> value.round(6).tolist(), np.abs(vector).argmax(axis=0).tolist()
    ([198.0, 199.0], [198, 199])
    """
    size, room = len(start), min(3 * many + 6 * LANES, len(start) // LANES * LANES - LANES)
    basis, matrix = np.empty((size, room + LANES)), np.zeros((room + LANES,) * 2)
    basis[:, :LANES] = np.linalg.qr(start)[0]
    have, restarts = LANES, 0
    check = min(room, many + 2 * LANES)
    while True:
        own = slice(have - LANES, have)
        image = apply(np.ascontiguousarray(basis[:, own]))
        part = basis[:, :have].T @ image
        matrix[:have, own], matrix[own, :have] = part, part.T
        image -= basis[:, :have] @ part
        block, rest = np.linalg.qr(image)
        # once more: what is left of the image may be small, and of zero any direction is made
        block -= basis[:, :have] @ (basis[:, :have].T @ block)
        block = np.linalg.qr(block)[0]
        if have >= check:
            value, turn = np.linalg.eigh((matrix[:have, :have] + matrix[:have, :have].T) / 2.0)
            error = np.linalg.norm(rest @ turn[own], axis=0)[-many:]
            limit = np.maximum(tolerance * np.abs(value[-many:]), least * np.abs(value).max())
            if len(error) == many and (error <= limit).all():
                return value[-many:], turned(basis, turn[:, -many:])
            check = min(room, have + max(LANES, have // 8))
            if have + LANES > room:
                restarts += 1
                if restarts > PATIENCE:
                    raise ConvergenceError(
                        f"{many} eigenvectors were not found: {np.sum(error > limit)} of them are not exact"
                    )
                kept = (many + room) // 2 // LANES * LANES
                turned(basis, turn[:, -kept:])
                matrix[:] = 0.0
                matrix[range(kept), range(kept)] = value[-kept:]
                have, check = kept, room
        basis[:, have : have + LANES] = block
        have += LANES


def turned(basis: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The first columns of a basis times a matrix, in the place of the former."""
    for first in range(0, len(basis), BATCH):
        rows = basis[first : first + BATCH]
        rows[:, : turn.shape[1]] = rows[:, : len(turn)] @ turn
    return basis[:, : turn.shape[1]]
