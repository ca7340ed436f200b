"""How far particles move together: correlations of displacements in space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.dynamics.averages import cage_rule, relative_to_cage
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.paths import Scheme
from glassdask.dynamics.walk import map_pairs
from glassdask.errors import ParameterError
from glassdask.fields.spatial import bins_of, correlate, correlation_length
from glassdask.neighborhood.boxes import expected_neighbors
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.schema import validate
from glassdask.variables import annotated

PAIR_MICROSECONDS = 0.08  # what a pair of particles takes, roughly: four products


def displacement_correlation(
    trajectory: xr.Dataset,
    lags: Sequence[float] | float,
    *,
    r_max: float | None = None,
    width: float = 0.1,
    origins: int = ORIGINS,
    cage: Neighborhood | Cutoffs | None = None,
    scheme: Scheme = "lattice",
) -> xr.Dataset:
    r"""Correlation of the displacements u of two particles, as a function of their distance r at the time origin.

    g_u(r, t) = < u_i.u_j >_r / < u^2 >,  along which directions particles move together;

    g_m(r, t) = < (|u_i| - <|u|>) (|u_j| - <|u|>) >_r / (< u^2 > - < |u| >^2),  how mobile they are [1]_,

    averages over the pairs of particles whose distance is in the bin, over time origins. Displacements are those from
    the mean displacement of the frame.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; see `self_correlations`.
    lags : sequence of float
        Times.
    r_max : float, optional
        Largest distance; by default half of the narrowest width of the box.
    width : float, default 0.1
        Of the bins.
    origins : int
        Time origins that are used of each lag at most.
    cage, scheme : rule for neighbours or float or dict or str
        Of which displacements, see `self_correlations`.

    Returns
    -------
    xarray.Dataset
        ``vector`` and ``mobility`` (r, lag), each with ``_error``, NaN in bins without pairs; ``vector_length``
        and ``mobility_length`` (lag), where they first fall to 1/e, NaN where they do not; ``origins`` (lag). Computed,
        not lazy; errors as those of `self_correlations`.

    Raises
    ------
    SchemaError, PositionError, ParameterError, BoxError
        As `self_correlations` and `spatial_correlation`.

    References
    ----------
    .. [1] P. H. Poole, C. Donati and S. C. Glotzer, Physica A 261, 51 (1998).

    Examples
    --------
    Neighbours that go opposite ways, equally far:

    >>> import glassdask as gd
    >>> x = np.array([[n + 0.5, 1.0] for n in range(8)])
    >>> later = x + 0.2 * np.array([0.0, 1.0]) * (-1.0) ** np.arange(8)[:, None]
    >>> row = gd.from_arrays(np.stack([x, later]), species=["A"] * 8, box=[8.0, 8.0], time=[0.0, 1.0])
    >>> displacement_correlation(row, 1.0, r_max=2.5, width=0.5)["vector"].values[:, 0].round(6).tolist()
    [nan, nan, -1.0, nan, 1.0]
    """
    validate(trajectory)
    wanted = list(np.atleast_1d(converted(lags, Positive | tuple[Positive, ...], "lags")))
    if not wanted:
        raise ParameterError("lags: expected positive times, found none")
    n_bins, width = bins_of(trajectory, "displacement_correlation", r_max, width)
    found_origins = Origins.of(trajectory, wanted, origins)
    microseconds = 1.0 + PAIR_MICROSECONDS * expected_neighbors(trajectory, n_bins * width)
    values = map_pairs(
        partial(_both, n_bins=n_bins, width=width, rule=cage_rule(trajectory, cage)),
        trajectory, found_origins.pairs, (2, n_bins), microseconds, scheme=scheme,
    )  # fmt: skip
    averages = found_origins.averages(lambda m, _: {"vector": m[:, 0], "mobility": m[:, 1]}, values)
    r = (np.arange(n_bins) + 0.5) * width
    variables: dict[str, Any] = {"origins": ("lag", found_origins.counts)}
    for name, (mean, error) in averages.items():
        variables[name], variables[f"{name}_error"] = (("r", "lag"), mean), (("r", "lag"), error)
        variables[f"{name}_length"] = correlation_length(xr.DataArray(mean, {"r": r}, ("r", "lag")))
    attrs = {"dimension": trajectory.sizes["space"], "particles": trajectory.sizes["particle"]}
    return annotated(xr.Dataset(variables, coords={"r": r, "lag": found_origins.lags}, attrs=attrs))


def _both(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, moved: np.ndarray,
    *, n_bins: int, width: float, rule: Neighborhood | None,
) -> np.ndarray:  # fmt: skip
    if rule is not None:
        moved = relative_to_cage(configuration, moved, rule)
    moved = moved - moved.mean(axis=0)
    length = np.linalg.norm(moved, axis=1)
    columns = np.column_stack([moved, length - length.mean()])
    found = [correlate(configuration, np.ascontiguousarray(column), n_bins, width) for column in columns.T]
    total, pairs = np.stack([products for products, _ in found]), found[0][1]
    square = np.square(columns).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        both: np.ndarray = np.stack([total[:-1].sum(axis=0) / square[:-1].sum(), total[-1] / square[-1]]) / pairs
    return both
