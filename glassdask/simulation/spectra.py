"""The density of vibrational states of one configuration, without finding any of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import xarray as xr

from glassdask.errors import ParameterError
from glassdask.kernels.simd import LANES
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.interactions import configuration_of, interactions
from glassdask.simulation.mechanics import masses
from glassdask.simulation.mixture import Model
from glassdask.simulation.springs import Springs, along_a_curve
from glassdask.variables import annotated

FEWEST, MOST = 256, 2048  # moments of a level
LEVELS = 512
RESOLVED = 0.25  # of a level


def density_of_states(
    model: Model | str,
    configuration: xr.Dataset | Configuration,
    *,
    omega: np.ndarray | None = None,
    moments: int = 1000,
    vectors: int = 4,
    seed: int = 0,
) -> xr.Dataset:
    r"""The density of vibrational states of one configuration, by the kernel polynomial method.

    .. math::

        g(\omega) = 2 \omega \rho(\omega^2), \qquad \rho(\lambda) = \frac{1}{\pi h \sqrt{1 - x^2}} \left[ \mu_0 + 2
        \sum_{n=1}^{M-1} g_n \mu_n T_n(x) \right]

    with x = (lambda - c) / h between -1 and 1, moments mu_n = <r\|T_n\|r> / <r\|r> of random vectors r and Jackson's
    damping g_n [1]_. A line lambda becomes a peak of width sigma = pi h sqrt(1 - x^2) / M, so that frequencies are
    resolved to about sigma / (2 omega): the lowest ones badly, `lowest_modes` are for them.

    Parameters
    ----------
    model, configuration : PairModel and Dataset
        As for `hessian`.
    omega : array, optional
        Frequencies, increasing; by default 200, evenly spaced up to the highest.
    moments : int, default 1000
        M. Half as many products with the Hessian are made of each vector.
    vectors : int, default 4
        Random vectors; at least 2.
    seed : int, default 0
        Of the vectors.

    Returns
    -------
    xarray.Dataset
        ``vdos`` (omega), of integral 1 over all frequencies, without translations; ``vdos_error``, the standard error
        over the vectors; ``resolution`` (omega), sigma / (2 omega), infinite at zero. A frequency that is negative
        stands for omega^2 < 0, as of unstable modes.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        As for `hessian`; fewer than 2 moments or vectors; frequencies that do not increase.

    References
    ----------
    .. [1] A. Weiße, G. Wellein, A. Alvermann and H. Fehske, Rev. Mod. Phys. 78, 275 (2006).

    Examples
    --------
    A dimer has one mode, u'' = 57.1 of a reduced mass 1/2:

    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0, 1.0], [1.0 + 2 ** (1 / 6), 1.0, 1.0]]], species=["A", "A"], box=[9.0] * 3)
    >>> states = gd.simulation.density_of_states("kob_andersen", pair, moments=200)["vdos"]
    >>> bool(abs(states[states["omega"] > 5].idxmax("omega") - np.sqrt(2 * 57.146)) < 0.2)
    True
    """
    if not (isinstance(moments, int) and moments >= 2 and isinstance(vectors, int) and vectors >= 2):
        raise ParameterError(f"moments {moments} and vectors {vectors}: expected whole numbers of at least 2")
    found = configuration_of(configuration, "density_of_states")
    springs = Springs(interactions(model, found, "density_of_states"), masses(model, found), along_a_curve(found))
    low, high = springs.bounds
    if omega is None:
        omega = (np.arange(200) + 0.5) / 200 * np.sqrt(high)
    frequency = np.asarray(omega, dtype=np.float64)
    if frequency.ndim != 1 or not (np.diff(frequency) > 0).all() or not np.isfinite(frequency).all():
        raise ParameterError(f"omega: expected increasing frequencies, found an array of shape {frequency.shape}")
    center, half = (high + low) / 2.0, (high - low) / 2.0
    rng = np.random.default_rng(seed)
    found_moments = np.concatenate(
        [
            np.transpose([*islice(_moments(springs, low, high, min(LANES, vectors - n), rng), moments)])
            for n in range(0, vectors, LANES)
        ]
    )
    value = frequency * np.abs(frequency)
    x = (value - center) / half
    inside = np.abs(x) < 1.0
    root = np.sqrt(1.0 - np.where(inside, x, 0.0) ** 2)
    damped = found_moments * jackson(moments) * np.where(np.arange(moments) == 0, 1.0, 2.0)
    series = damped @ np.cos(np.arange(moments)[:, None] * np.arccos(np.where(inside, x, 0.0)))
    states = np.where(inside, 2.0 * np.abs(frequency) * series / (np.pi * half * root), 0.0)
    with np.errstate(divide="ignore"):
        resolution = np.pi * half * root / moments / np.abs(2.0 * frequency)
    return annotated(
        xr.Dataset(
            {
                "vdos": ("omega", states.mean(axis=0)),
                "vdos_error": ("omega", states.std(axis=0, ddof=1) / np.sqrt(vectors)),
                "resolution": ("omega", resolution),
            },
            coords={"omega": frequency},
        )
    )


def level(springs: Springs, rank: float, low: float, high: float, rng: np.random.Generator) -> float:
    """About the value below which there are `rank` eigenvalues besides translations; all are from `low` to `high`.

    The integral of the density, by as many moments as its resolution there needs.
    """
    center, half = (high + low) / 2.0, (high - low) / 2.0
    # evenly spaced in the root of the frequency at the lower end
    theta = np.pi * (1.0 - np.linspace(0.0, 1.0, LEVELS) ** 2)
    series, mean, moments = _moments(springs, low, high, LANES, rng), np.empty(0), FEWEST
    while True:
        more = np.array([*islice(series, moments - len(mean))])
        mean = np.append(mean, more.mean(axis=1))
        order = np.arange(1, moments)
        damped = (mean * jackson(moments))[1:] / order
        part = 1.0 - theta / np.pi - 2.0 / np.pi * np.sin(theta[:, None] * order) @ damped
        place = int(np.argmax((springs.size - springs.dimension) * part >= rank))
        value = center + half * np.cos(theta[place])
        if np.pi * half * np.sin(theta[place]) / moments <= RESOLVED * value or value <= 0.0 or moments >= MOST:
            return float(value)
        moments *= 2


def jackson(moments: int) -> np.ndarray:
    """Jackson's factors g_n, (moments,), of which the first is 1.

    >>> jackson(3).round(4).tolist()
    [1.0, 0.7071, 0.25]
    """
    n, step = np.arange(moments), np.pi / (moments + 1)
    return ((moments - n + 1) * np.cos(n * step) + np.sin(n * step) / np.tan(step)) / (moments + 1)


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each column of one array with that of another."""
    return np.asarray(np.einsum("ij,ij->j", a, b))


def _moments(springs: Springs, low: float, high: float, vectors: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One moment of up to eight random vectors after the other, two for each product.

    T_2n = 2 T_n T_n - 1, T_2n+1 = 2 T_n T_n+1 - T_1.
    """
    start = springs.at_rest(np.stack([rng.choice([-1.0, 1.0], springs.size) for _ in range(vectors)], axis=1))
    series = springs.chebyshev(start / np.linalg.norm(start, axis=0), low, high)
    before, last = next(series), next(series)
    yield np.ones(vectors)
    first = _products(before, last)
    yield first[:vectors]
    while True:
        yield (2.0 * _products(last, last) - 1.0)[:vectors]
        before, last = last, next(series)
        yield (2.0 * _products(before, last) - first)[:vectors]
