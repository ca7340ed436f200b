"""The density of particles in waves: summed wave by wave, or by a non-uniform fast Fourier transform.

The transform spreads the particles over a grid and gives all waves of a box at once: it costs as much as particles plus
grid, sums as much as particles times waves. It is that of FINUFFT (extra ``transforms``; A. H. Barnett, J. Magland and
L. af Klinteberg, SIAM J. Sci. Comput. 41, C479 (2019)). Both give the same to about 1e-11 of a density; where FINUFFT
is not installed, or would take longer, waves are summed.
"""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType

import numpy as np

from glassdask.kernels import correlations as kernels
from glassdask.kernels.simd import aligned

# Particles whose positions are read at once.
PARTICLES_AT_ONCE = 256
# Relative accuracy of a transform.
ACCURACY = 1e-12
# What a wave of a particle takes when summed; a particle of a transform in two and three dimensions, and a wave of its
# box, microseconds of CPU.
SUMMED, SPREAD, WAVE = 0.25e-3, {2: 0.15, 3: 0.7}, 0.4
# The grid of a transform has twice as many places as waves along each axis, and is this large at most.
MOST_BYTES = 1 << 28


def add_waves(
    fraction: np.ndarray, weight: np.ndarray, starts: np.ndarray, modes: np.ndarray, density: np.ndarray
) -> None:
    """Add rho_a(k) = sum_{j in a} w_j exp(-i k.r_j) of each wave vector k = 2 pi H^-1 n to `density` (S, 2, M).

    `fraction` (3, N) fractional coordinates and `weight` (N,) sorted by species, species s in
    ``starts[s]:starts[s + 1]``; `modes` (M, 3) integers n; the third coordinates are 0 in two dimensions.
    """
    orders = np.abs(modes).max(axis=0, initial=0)
    numbers = [int(number) for number in np.diff(starts) if number]
    cost = sum(transform_microseconds(number, orders) for number in numbers)
    if cost < SUMMED * sum(numbers) * len(modes):
        for s in np.flatnonzero(np.diff(starts)):  # FINUFFT takes no empty arrays
            part = slice(starts[s], starts[s + 1])
            _transformed(fraction[:, part], weight[part], modes, orders, density[s])
    else:
        _summed(fraction, weight, starts, modes, orders, density)


def transform_microseconds(number: int, orders: np.ndarray) -> float:
    """About what a transform of so many particles takes, of waves of these orders (3,); infinity where there is none.

    Examples
    --------
    >>> transform_microseconds(10**6, np.array([500, 500, 500]))  # a grid of eight billion places
    inf
    """
    d = 2 if orders[2] == 0 else 3
    waves = math.prod(int(n) for n in 2 * orders + 1)
    if _finufft() is None or 16 * 2**d * waves > MOST_BYTES:
        return math.inf
    return SPREAD[d] * number + WAVE * waves


def _transformed(
    fraction: np.ndarray, weight: np.ndarray, modes: np.ndarray, orders: np.ndarray, density: np.ndarray
) -> None:
    """Add rho(k) of one species to `density` (2, M)."""
    transform = _finufft()
    assert transform is not None
    d = 2 if orders[2] == 0 else 3
    phases = [2.0 * np.pi * row for row in fraction[:d]]
    shape = tuple(int(n) for n in 2 * orders[:d] + 1)
    # one thread: dask has those of the machine
    function = transform.nufft2d1 if d == 2 else transform.nufft3d1
    waves = function(*phases, weight.astype(np.complex128), shape, eps=ACCURACY, isign=-1, nthreads=1)
    found = waves[tuple((modes[:, :d] + orders[:d]).T)]
    density[0] += found.real
    density[1] += found.imag


def _summed(
    fraction: np.ndarray, weight: np.ndarray, starts: np.ndarray, modes: np.ndarray, orders: np.ndarray,
    density: np.ndarray,
) -> None:  # fmt: skip
    """Add rho(k) of all species to `density` (S, 2, M)."""
    if orders[2] == 0:
        # in two dimensions waves that follow each other then have the first two integers in common
        turned = [2, 0, 1]
        fraction, modes, orders = fraction[turned], modes[:, turned], orders[turned]
    middle = kernels.POWER * (np.cumsum(2 * orders + 1) - orders - 1)
    unit, sums = aligned(7, PARTICLES_AT_ONCE), aligned(1, kernels.AT_ONCE * len(modes))
    phases = aligned(1, kernels.POWER * int((2 * orders + 1).sum()))
    places = middle + kernels.POWER * modes
    kernels.density_modes(fraction, weight, starts, places, middle, orders, unit, phases, sums, density)


@cache
def _finufft() -> ModuleType | None:
    """FINUFFT where it can be imported."""
    try:
        import finufft
    except ImportError:
        return None
    return finufft
