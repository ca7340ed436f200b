"""The Hessian as an operator: what it makes of a displacement, from the springs of the pairs, without any matrix."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, cg, eigsh

from glassdask.errors import ConvergenceError
from glassdask.kernels import hessians as kernels
from glassdask.simulation.interactions import Interactions

BOUNDS_TOLERANCE = 1e-2  # of the largest eigenvalue
MARGIN = 1.03  # by which bounds are wider than what Lanczos' method finds within that tolerance
SOLVED = 1e-9  # residual of linear equations, of their right-hand sides


class Springs:
    """The mass-weighted Hessian of a configuration, times vectors (N d,); without masses, all are 1.

    Examples
    --------
    >>> import glassdask as gd
    >>> from glassdask.simulation.interactions import interactions
    >>> pair = gd.from_arrays([[[1.0, 1.0], [2.0, 1.0]]], species=["A", "A"], box=[9.0] * 2)
    >>> springs = Springs(interactions("kam_2d", pair, "test"))
    >>> bool(np.allclose(springs(np.eye(4)[0]), gd.simulation.hessian("kam_2d", pair).toarray()[0]))
    True
    """

    def __init__(self, pairs: Interactions, masses: np.ndarray | None = None):
        n, self.dimension = pairs.n_particles, pairs.vector.shape[1]
        r = pairs.distance
        tension = pairs.slope / r
        self.rows = np.searchsorted(pairs.first, np.arange(n + 1))
        self.second = pairs.second.astype(np.int32)
        self.bond = np.column_stack([pairs.vector / r[:, None], tension, pairs.curvature - tension])
        self.root = np.ones((n, 1)) if masses is None else np.sqrt(masses)[:, None]
        self.size = n * self.dimension

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The matrix times one vector."""
        out = np.empty((len(self.root), self.dimension))
        displacement = np.ascontiguousarray(x.reshape(out.shape) / self.root)
        kernels.apply_springs(self.rows, self.second, self.bond, displacement, out)
        return (out / self.root).ravel()

    def of_columns(self, x: np.ndarray) -> np.ndarray:
        """The matrix times each column."""
        return np.stack([self(column) for column in x.T], axis=1)

    @cached_property
    def translations(self) -> np.ndarray:
        """Shifts of all particles alike, which cost nothing: orthonormal columns (N d, d)."""
        return np.kron(self.root / np.linalg.norm(self.root), np.eye(self.dimension))

    def at_rest(self, x: np.ndarray) -> np.ndarray:
        """A vector without its part along the translations."""
        return x - self.translations @ (self.translations.T @ x)

    def operator(self) -> LinearOperator:
        """For SciPy."""
        return LinearOperator((self.size, self.size), matvec=lambda x: self(x.ravel()), dtype=np.float64)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest eigenvalue, roughly."""
        start = np.random.default_rng(0).standard_normal(self.size)
        if self.size <= 30:
            values = np.linalg.eigvalsh(self.of_columns(np.eye(self.size)))
        else:
            values = np.array([self._end(which, start) for which in ("SA", "LA")])
        return float(values[0]), float(values[-1])

    @property
    def bounds(self) -> tuple[float, float]:
        """Numbers below and above all eigenvalues."""
        low, high = self.ends
        room = (MARGIN - 1.0) * max(abs(low), abs(high), 1e-300)
        return low - room, high + room

    def _end(self, which: str, start: np.ndarray) -> float:
        try:
            found = eigsh(self.operator(), 1, which=which, tol=BOUNDS_TOLERANCE, v0=start, return_eigenvectors=False)
        except ArpackNoConvergence as error:
            raise ConvergenceError(f"the ends of the spectrum were not found ({error}): report this") from None
        return float(found[0])

    def solve(self, right: np.ndarray) -> np.ndarray:
        """x of H x = right, both without translations, by conjugate gradients; for minima only."""
        (n, d), diagonal = (len(self.root), self.dimension), np.zeros((len(self.root), self.dimension))
        for a in range(d):
            stiff = self.bond[:, d] + self.bond[:, d + 1] * self.bond[:, a] ** 2
            first = np.repeat(np.arange(n), np.diff(self.rows))
            diagonal[:, a] = np.bincount(first, stiff, n) + np.bincount(self.second, stiff, n)
        inverse = (self.root**2 / np.where(diagonal > 0.0, diagonal, np.inf)).ravel()
        jacobi = LinearOperator((self.size, self.size), matvec=lambda x: inverse * x.ravel(), dtype=np.float64)
        x, failed = cg(self.operator(), self.at_rest(right), rtol=SOLVED, atol=0.0, maxiter=20 * self.size, M=jacobi)
        if failed or not np.isfinite(x).all():
            raise ConvergenceError(
                "the response of the particles was not found: the configuration is no minimum, or parts are loose: "
                "give an inherent structure of a solid"
            )
        return self.at_rest(x)
