"""Radial functions of SOAP: a Gaussian at distance r projected on a basis, against r (paper A, Eqs. 12, 15)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ive

from glassdask.errors import ParameterError
from glassdask.kernels.simd import aligned, padded
from glassdask.kernels.soap import PIECE

# Largest error of the tabulated functions, relative to the largest value of all.
TOLERANCE = 1e-11
# Ratio of singular values beyond which rounding changes the orthonormalised functions by more than about 1e-7.
CONDITION = 1e9
# Value to which the GTOs have decayed at the radius that each belongs to.
GTO_THRESHOLD = 1e-3


def orthonormal(basis: str, r_cut: float, n_max: int, l_max: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes r_q and values G[l, q, n] with sum_q G[l, q, n] u(r_q) = int g_nl(r) u(r) r dr.

    Loewdin's g = S^(-1/2) phi with S the overlaps of phi. With the matrix A[q, n] = phi_n(r_q) r_q sqrt(w_q) this is
    the orthogonal factor of A's polar decomposition, which the singular vectors give without ever forming S: that
    would square the condition number.
    """
    # GTOs reach further than r_cut: their slowest one is below 1e-17 at 2.4 r_cut
    end = r_cut if basis == "polynomial" else 2.5 * r_cut
    x, w = np.polynomial.legendre.leggauss(int(40 + 6 * end / sigma))
    r = 0.5 * end * (x + 1)
    weight = np.sqrt(0.5 * end * w)
    n = np.arange(1, n_max + 1)
    functions = []
    for l in range(l_max + 1):
        if basis == "polynomial":
            phi = (r_cut - r[:, None]) ** (n + 2)
        else:
            radius = np.linspace(1.0, r_cut, n_max)
            alpha = -np.log(GTO_THRESHOLD / radius**l) / radius**2
            phi = r[:, None] ** l * np.exp(-alpha * r[:, None] ** 2)
        u, s, vt = np.linalg.svd(phi * (r * weight)[:, None], full_matrices=False)
        if not s[-1] * CONDITION > s[0]:
            raise ParameterError(
                f"n_max = {n_max} with r_cut = {r_cut}: the {basis} functions are linearly dependent in double "
                "precision: use a smaller n_max"
            )
        functions.append(u @ vt * weight[:, None])
    return r, np.array(functions)


def projections(distance: np.ndarray, sigma: float, r: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """f_nl(d) = 4 pi int g_nl(r) exp(-(r^2 + d^2) / 2 sigma^2) i_l(r d / sigma^2) r^2 dr, shape (len(d), l, n).

    So that c_nlm = sum_j f_nl(r_j) Y_lm(r_j). i_l is the modified spherical Bessel function of the first kind.
    """
    x = r * distance[:, None] / sigma**2
    zero = x == 0.0
    x[zero] = 1.0
    gauss = 4 * np.pi * np.exp(-0.5 * ((r - distance[:, None]) / sigma) ** 2) * r * np.sqrt(np.pi / (2 * x))
    result = np.empty((len(distance), *functions.shape[::2]))
    # downwards is the stable direction of i_(l-1) = i_(l+1) + (2 l + 1) / x i_l; exp(-x) i_l does not overflow
    above, bessel = gauss * ive(len(functions) + 0.5, x), gauss * ive(len(functions) - 0.5, x)
    for l in range(len(functions) - 1, -1, -1):
        bessel[zero] = gauss[zero] * np.sqrt(2 / np.pi) * (l == 0)
        result[:, l] = bessel @ functions[l]
        above, bessel = bessel, above + (2 * l + 1) / x * bessel
    return result


@lru_cache(maxsize=32)
def pieces(basis: str, r_cut: float, n_max: int, l_max: int, sigma: float, end: float) -> tuple[float, np.ndarray]:
    """Table of f_nl on [0, end] for the kernel: intervals per unit length and (intervals * PIECE, columns).

    Column l n_max + n - 1 holds (8 pi^2 / (2 l + 1))^(1/4) sqrt((2 l + 1) / 4 pi) f_nl, so that products of
    coefficients in Schmidt's harmonics are Q_nn'l with the prefactor of paper A, Eq. 13.
    """
    r, functions = orthonormal(basis, r_cut, n_max, l_max, sigma)
    l = np.arange(l_max + 1)
    scale = (8 * np.pi**2 / (2 * l + 1)) ** 0.25 * np.sqrt((2 * l + 1) / (4 * np.pi))
    nodes = np.cos(np.pi * (np.arange(PIECE) + 0.5) / PIECE)
    fit = np.linalg.inv(np.vander(nodes, increasing=True))
    between = np.array([-1.0, 0.0])  # where the error is largest
    values_between = np.vander(between, PIECE, increasing=True)

    def sample(t: np.ndarray, intervals: int) -> np.ndarray:
        d = (np.arange(intervals)[:, None] + 0.5 * (t + 1)) * end / intervals
        f = projections(d.ravel(), sigma, r, functions) * scale[:, None]
        return f.reshape(intervals, len(t), -1)

    intervals = max(8, int(np.ceil(8 * end / sigma)))
    while True:
        table = fit @ sample(nodes, intervals)
        exact = sample(between, intervals)
        if np.abs(values_between @ table - exact).max() <= TOLERANCE * np.abs(exact).max():
            break
        intervals = int(1.2 * intervals)
    columns = padded(l_max * n_max + padded(n_max))
    result = aligned(intervals * PIECE, columns)
    result[:] = 0.0
    result[:, : (l_max + 1) * n_max] = table.reshape(intervals * PIECE, -1)
    result.flags.writeable = False
    return intervals / end, result
