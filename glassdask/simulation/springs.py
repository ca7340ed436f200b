"""The Hessian as an operator: what it makes of displacements, from the springs of the pairs, without any matrix."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from glassdask.errors import ConvergenceError
from glassdask.kernels import hessians as kernels
from glassdask.kernels.simd import LANES, aligned
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.interactions import Interactions
from glassdask.simulation.lanczos import largest

NEAR_THE_END = 1e-2  # of the largest eigenvalue: how well the ends of the spectrum are known
MARGIN = 1.03  # by which bounds are wider than that
SOLVED = 1e-9  # residual of linear equations, of their right-hand sides
SMALL = 200  # rows of a matrix whose eigenvalues are all found
BITS = 10  # of each coordinate on the curve


class Springs:
    """The mass-weighted Hessian of a configuration, times vectors (N d,); without masses, all are 1.

    Eight vectors take hardly longer than one. Where the `order` of `along_a_curve` is given, particles are in that
    order within, so that neighbours are still in the cache; nothing is seen of it outside.

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.simulation.interactions import interactions
    >>> pair = gd.from_arrays([[[1.0, 1.0], [2.0, 1.0]]], species=["A", "A"], box=[9.0] * 2)
    >>> springs = Springs(interactions("kam_2d", pair, "test"))
    >>> bool(np.allclose(springs(np.eye(4)[0]), gd.simulation.hessian("kam_2d", pair).toarray()[0]))
    True
    """

    def __init__(self, pairs: Interactions, masses: np.ndarray | None = None, order: np.ndarray | None = None):
        n, self.dimension = pairs.n_particles, pairs.vector.shape[1]
        self.order = np.arange(n) if order is None else order
        rank = np.empty(n, np.int64)
        rank[self.order] = np.arange(n)
        ends = np.sort(rank[[pairs.first, pairs.second]], axis=0)
        sorted_pairs = np.argsort(ends[0] * n + ends[1], kind="stable")
        first, second = ends[:, sorted_pairs]
        r = pairs.distance
        tension = pairs.slope / r
        self.rows = np.searchsorted(first, np.arange(n + 1))
        self.second = second.astype(np.int32)
        bond = np.column_stack([pairs.vector / r[:, None], tension, pairs.curvature - tension])
        self.bond = bond[sorted_pairs]
        self.root = np.ones(n) if masses is None else np.sqrt(masses)
        self.size = n * self.dimension

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The matrix times one vector."""
        return self.of_columns(x.reshape(-1, 1)).ravel()

    def of_columns(self, x: np.ndarray) -> np.ndarray:
        """The matrix times each column."""
        out = np.empty(x.shape)
        for first in range(0, x.shape[1], LANES):
            block = self._within(x[:, first : first + LANES])
            image = aligned(*block.shape)
            image[:] = 0.0
            self._apply(1.0, 0.0, block, image)
            out[:, first : first + LANES] = self.outside(image)[:, : x.shape[1] - first]
        return out

    def chebyshev(self, x: np.ndarray, low: float, high: float) -> Iterator[np.ndarray]:
        """T_0 x, T_1 x, T_2 x, ... of the matrix mapped from `low`, `high` to -1, 1, for up to eight columns.

        They come in the order of `order`, see `outside`, and each is there until that after the next.
        """
        center, half = (high + low) / 2.0, (high - low) / 2.0
        before, last = self._within(x), aligned(self.size, LANES)
        yield before
        last[:] = 0.0
        self._apply(1.0 / half, -center / half, before, last)
        while True:
            yield last
            self._apply(2.0 / half, -2.0 * center / half, last, before)
            before, last = last, before

    def _apply(self, factor: float, shift: float, x: np.ndarray, out: np.ndarray) -> None:
        root = np.sqrt(factor) / self.root[self.order]
        kernels.apply_springs(self.rows, self.second, self.bond, root, shift, x, out)

    def _within(self, x: np.ndarray) -> np.ndarray:
        """Up to eight columns in the order of the rows, and zeros."""
        block = aligned(self.size, LANES)
        by_particle = block.reshape(len(self.order), self.dimension, LANES)
        by_particle[:, :, x.shape[1] :] = 0.0
        by_particle[:, :, : x.shape[1]] = x.reshape(len(self.order), self.dimension, -1)[self.order]
        return block

    def outside(self, block: np.ndarray) -> np.ndarray:
        """A block in the order of the particles."""
        out = np.empty((len(self.order), self.dimension, LANES))
        out[self.order] = block.reshape(out.shape)
        return out.reshape(block.shape)

    @cached_property
    def translations(self) -> np.ndarray:
        """Shifts of all particles alike, which cost nothing: orthonormal columns (N d, d)."""
        return np.kron(self.root[:, None] / np.linalg.norm(self.root), np.eye(self.dimension))

    def at_rest(self, x: np.ndarray) -> np.ndarray:
        """Vectors without their part along the translations."""
        return x - self.translations @ (self.translations.T @ x)

    @cached_property
    def highest(self) -> float:
        """The highest eigenvalue, roughly."""
        return self._end(1.0, NEAR_THE_END)

    def lowest(self, within: float) -> float:
        """The lowest eigenvalue, within about that, or a hundredth of itself."""
        return -self._end(-1.0, min(within / max(abs(self.highest), 1e-300), NEAR_THE_END))

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Numbers below and above all eigenvalues."""
        high = self.highest
        low = self.lowest(NEAR_THE_END * abs(high))
        room = (MARGIN - 1.0) * max(abs(low), abs(high), 1e-300)
        return low - room, high + room

    def _end(self, sign: float, least: float) -> float:
        if self.size < SMALL:
            return float(np.linalg.eigvalsh(sign * self.of_columns(np.eye(self.size)))[-1])
        start = np.random.default_rng(0).standard_normal((self.size, LANES))
        return float(largest(lambda x: sign * self.of_columns(x), start, 1, NEAR_THE_END, least)[0][0])

    def solve(self, right: np.ndarray) -> np.ndarray:
        """x of H x = right, columns without translations, by conjugate gradients; for minima only."""
        (n, d), diagonal = (len(self.root), self.dimension), np.zeros((len(self.root), self.dimension))
        for a in range(d):
            stiff = self.bond[:, d] + self.bond[:, d + 1] * self.bond[:, a] ** 2
            first = np.repeat(np.arange(n), np.diff(self.rows))
            diagonal[self.order, a] = np.bincount(first, stiff, n) + np.bincount(self.second, stiff, n)
        inverse = (self.root[:, None] ** 2 / np.where(diagonal > 0.0, diagonal, np.inf)).reshape(-1, 1)
        x, rest = np.zeros(right.shape), self.at_rest(right)
        limit = SOLVED * np.linalg.norm(rest, axis=0)
        step, before = np.zeros(right.shape), np.ones(right.shape[1])
        for _ in range(20 * self.size):
            going = np.linalg.norm(rest, axis=0) > limit
            if not going.any():
                return self.at_rest(x)
            downhill = inverse * rest
            now = np.einsum("ij,ij->j", rest, downhill)
            step = downhill + now / before * step
            image = self.of_columns(step)
            curvature = np.einsum("ij,ij->j", step, image)
            if not (curvature[going] > 0.0).all():
                break
            part = np.where(going, now / np.where(going, curvature, 1.0), 0.0)
            x += part * step
            rest -= part * image
            before = np.where(going, now, 1.0)
        raise ConvergenceError(
            "the response of the particles was not found: the configuration is no minimum, or parts are loose: "
            "give an inherent structure of a solid"
        )


def along_a_curve(configuration: Configuration) -> np.ndarray:
    """Numbers of the particles (N,) in the order in which Morton's curve visits them: near ones follow each other."""
    d = configuration.dimension
    fraction = (configuration.position @ configuration.inverse)[:, :d] % 1.0
    cell = np.minimum((fraction * 2**BITS).astype(np.int64), 2**BITS - 1)
    code = np.zeros(len(cell), np.int64)
    for bit in range(BITS):
        for axis in range(d):
            code |= (cell[:, axis] >> bit & 1) << (d * bit + axis)
    return np.argsort(code, kind="stable")
