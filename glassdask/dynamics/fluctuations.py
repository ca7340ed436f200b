"""How cooperative the motion is: the variance of what is averaged over particles, chi_4(t), and its shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted, flags
from glassdask.dynamics.averages import by_species, displacement_sums, particle_means
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.errors import ParameterError
from glassdask.kernels import dynamics as kernels
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import species_codes, validate
from glassdask.variables import annotated

# Part of a mean square below which a variance is only what rounding leaves: of what is counted from its mean, and of
# sums over particles and waves themselves, which are good to 1e-11.
ROUNDING, SUMMED = 1e-12, 1e-22


def dynamic_susceptibility(
    trajectory: xr.Dataset,
    *,
    a: float | None = None,
    k: float | None = None,
    lags: Sequence[float] | None = None,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    remove_drift: bool = False,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Four-point dynamic susceptibility chi_4(t) of the overlap and of F_s(k, t): how many particles move together.

    chi_4(t) = N (<Q(t)^2> - <Q(t)>^2),  Q(t) = 1/N sum_i w_i(t),

    over time origins, where w_i is 1 when particle i has moved less than `a` in the time t and else 0 [1]_; or the
    average of cos(k.r_i) over all directions of k. Of a species the sum and N are those of its particles. Where
    particles move independently, chi_4 is the variance of w_i: q (1 - q) for the overlap q.

    The fluctuations are those of the ensemble that the trajectory samples. Where N, the composition or the energy do
    not fluctuate, chi_4 is smaller than where they do: at constant energy by T^2 (dQ/dT)^2 / c_V [2]_.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    a : float, optional
        Length, in the unit of the positions.
    k : float, optional
        Wave number, in its inverse.
    lags : sequence of float, optional
        Times; by default about 50 that occur, of which there are two origins at least.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.
    cage, remove_drift, scheme : rule for neighbours or float or dict or bool or str
        See `self_correlations`.

    Returns
    -------
    xarray.Dataset
        With `a`, ``overlap``, ``chi4`` and ``binder``; with `k`, ``fs``, ``chi4_fs`` and ``binder_fs``; each (species,
        lag), with ``_error``, and with ``_total`` (lag), of all particles alike. ``binder`` is the cumulant
        1 - <dQ^4> / (3 <dQ^2>^2), dQ = Q - <Q>: 0 where Q is Gaussian, 2/3 where it has two values. Computed, not lazy.
        The variance is over n - 1 of n origins, which is right for independent ones: lags much longer than the
        relaxation time of few origins give too little. Errors are from the jackknife over blocks of origins, as those
        of `self_correlations`. ``binder`` is NaN where nothing fluctuates.

    Raises
    ------
    SchemaError, PositionError
        As `self_correlations`.
    ParameterError
        When neither a nor k is given, a number is not positive, or a lag has fewer than two origins.

    References
    ----------
    .. [1] N. Lacevic, F. W. Starr, T. B. Schroder and S. C. Glotzer, J. Chem. Phys. 119, 7372 (2003).
    .. [2] L. Berthier et al., J. Chem. Phys. 126, 184503 (2007).

    Examples
    --------
    In one of two intervals both particles stay, in the other both move: they do it together, and chi_4 = 2 * 1/2.

    >>> import glassdask as gd
    >>> path = np.array([[[1.0, 1.0], [5.0, 5.0]], [[1.0, 1.0], [5.0, 5.0]], [[2.0, 1.0], [5.0, 6.0]]])
    >>> t = gd.from_arrays(path, species=["A", "A"], box=[9.0, 9.0], time=[0.0, 1.0, 2.0])
    >>> dynamic_susceptibility(t, a=0.3, lags=[1.0])["chi4"].values.tolist()
    [[1.0]]
    """
    flags(remove_drift=remove_drift)
    validate(trajectory)
    k, a = (converted(value, Positive | None, name) for name, value in (("k", k), ("a", a)))
    if a is None and k is None:
        raise ParameterError("chi_4 of what: give a length a for the overlap, a wave number k for F_s, or both")
    found_origins = Origins.of(trajectory, lags, origins, least=2)
    sums, removed = displacement_sums(
        trajectory, found_origins, k, a, cage=cage, remove_drift=remove_drift, scheme=scheme
    )
    means = particle_means(trajectory, sums)
    number = np.bincount(species_codes(trajectory)).astype(float)
    number = np.append(number, number.sum())
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    attributes: dict[str, dict[str, float | None]] = {}
    for name, end, column, asked in (
        ("overlap", "", kernels.OVERLAP, {"a": a}),
        ("fs", "_fs", kernels.SCATTERING, {"k": k}),
    ):
        if any(asked.values()):
            values = means[:, :, column]
            found |= found_origins.averages(partial(_mean, name=name), values)
            for quantity, value in fluctuations(found_origins, values, number).items():
                found[f"{quantity}{end}"], attributes[f"{quantity}{end}"] = value, asked
            attributes[name] = asked
    result = by_species(trajectory, found_origins, found, **attributes)
    return result if removed is None else annotated(result.assign(drift=("lag", removed)))


def _mean(means: np.ndarray, counts: np.ndarray, *, name: str) -> dict[str, np.ndarray]:
    return {name: means}


def fluctuations(
    origins: Origins, values: np.ndarray, number: np.ndarray | np.float64
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """chi_4 and the Binder cumulant of means (P, ..., S) over `number` (S,) of particles at each origin."""

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        m1, m2, m3, m4, size = np.moveaxis(means, -1, 0)
        counts = counts[..., 0]
        square = m2 - m1**2
        square = np.where(square > np.maximum(ROUNDING * m2, SUMMED * size), square, 0.0)
        fourth = m4 - 4.0 * m3 * m1 + 6.0 * m2 * m1**2 - 3.0 * m1**4
        free = np.where(counts > 1, counts - 1.0, np.nan)
        known = np.where(square > 0.0, square, np.nan)
        return {"chi4": number * square * counts / free, "binder": 1.0 - fourth / (3.0 * known**2)}

    moved = origins.centered(values)
    return origins.averages(quantities, np.stack([moved, moved**2, moved**3, moved**4, values**2], axis=-1))
