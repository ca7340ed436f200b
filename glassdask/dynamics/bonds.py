"""Bonds between neighbours, and when they break."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import xarray as xr

from glassdask.correlations.shells import typical_minima
from glassdask.declarations import Positive, converted
from glassdask.dynamics.averages import by_species
from glassdask.dynamics.origins import ORIGINS, Origins
from glassdask.dynamics.replicas import check_displacement, check_start, whole_particles
from glassdask.dynamics.walk import map_pairs
from glassdask.errors import ParameterError
from glassdask.graphs import compute
from glassdask.kernels import events as kernels
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.boxes import check_radius
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.cutoffs import Cutoffs
from glassdask.neighborhood.nearest import Cutoff
from glassdask.schema import names_and_codes, species_names, validate
from glassdask.variables import annotated

# Frames from which cutoffs are found that are not given.
CUTOFF_FRAMES = 20
# What a particle takes, in microseconds, roughly.
MICROSECONDS = 2.0


def bond_breaking(
    trajectory: xr.Dataset,
    lags: Sequence[float] | None = None,
    *,
    cutoffs: Cutoffs | None = None,
    factor: float = 1.2,
    origins: int = ORIGINS,
) -> xr.Dataset:
    r"""Bond-breaking correlation C_B(t): the fraction of bonds between neighbours that have not broken.

    C_B(t) = < sum_i n_i(t) > / < sum_i n_i(0) >,

    where n_i(0) are the neighbours of particle i closer than the cutoff of their pair, and n_i(t) those of them that
    are then closer than `factor` times that cutoff, so that a bond does not break by vibration [1]_. Nothing but the
    relative motion of neighbours enters: neither drift nor long waves, which matters in two dimensions.

    Parameters
    ----------
    trajectory : xarray.Dataset
        Trajectory with ``time``, in memory or lazy; images are not needed.
    lags : sequence of float, optional
        Times; by default about 50 that occur.
    cutoffs : float or dict, optional
        One or for each pair of species; by default the `first_minima` of about 20 frames.
    factor : float, default 1.2
        At least 1.
    origins : int
        Time origins that are used of each lag at most, evenly spread over the trajectory.

    Returns
    -------
    xarray.Dataset
        ``cb`` (species, lag), of the bonds of that species' particles with all others, with ``_error``, and
        ``_total`` of all; ``origins`` (lag). Computed, not lazy; errors as those of `self_correlations`. NaN where
        there are no bonds.

    Raises
    ------
    SchemaError, ParameterError
        As `self_correlations`; and when cutoffs are missing or wrong, or the factor is less than 1.
    BoxError
        When the largest cutoff, times the factor, is more than half of the narrowest box width.

    References
    ----------
    .. [1] R. Yamamoto and A. Onuki, Phys. Rev. E 58, 3515 (1998).

    Examples
    --------
    A chain of four in a ring, of which one leaves: two of its bonds of four break.

    >>> import glassdask as gd
    >>> row = np.array([[[0.5, 1.0], [1.5, 1.0], [2.5, 1.0], [3.5, 1.0]]] * 2)
    >>> row[1, 3, 1] += 2.0
    >>> t = gd.from_arrays(row, species=["A"] * 4, box=[4.0, 6.0], time=[0.0, 1.0])
    >>> bond_breaking(t, lags=[1.0], cutoffs=1.2)["cb"].values.tolist()
    [[0.5]]
    """
    validate(trajectory)
    factor = _factor(factor)
    found_origins = Origins.of(trajectory, lags, origins)
    names = species_names(trajectory)
    if cutoffs is None:
        cutoffs = typical_minima(trajectory, CUTOFF_FRAMES)
    matrix = Cutoff(cutoffs).matrix(names)
    check_radius(trajectory, factor * float(matrix.max()))
    work = partial(_of_pair, matrix=matrix, factor=factor)
    sums = map_pairs(work, trajectory, found_origins.pairs, (2, len(names)), MICROSECONDS, moved=False)
    sums = np.concatenate([sums, sums.sum(axis=2, keepdims=True)], axis=2)

    def quantities(means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return {"cb": means[:, 0] / means[:, 1]}

    return by_species(trajectory, found_origins, found_origins.averages(quantities, sums), cb={"factor": factor})


def replica_bonds(
    displacement: xr.DataArray, start: xr.Dataset, cutoffs: Cutoffs, *, factor: float = 1.2
) -> xr.DataArray:
    """Fraction of the bonds of every particle that have not broken in each replica: see `bond_breaking`.

    Its mean over the replicas is the bond-breaking propensity, the second target of GlassBench.

    Parameters
    ----------
    displacement : xarray.DataArray (..., particle, space)
        In memory or lazy, such as (replica, lag, particle, space).
    start : xarray.Dataset
        Trajectory with one frame.
    cutoffs, factor : float or dict or float
        See `bond_breaking`.

    Returns
    -------
    DataArray (..., particle), lazy where the displacements are
        NaN for a particle without neighbours.

    Raises
    ------
    SchemaError
        When `start` has more than one frame or other particles.
    ParameterError, SpeciesError, BoxError
        When the cutoffs are wrong, or with the factor larger than half of the box.

    Examples
    --------
    >>> import glassdask as gd
    >>> row = gd.from_arrays([[[0.5, 1.0], [1.5, 1.0], [2.5, 1.0], [3.5, 1.0]]], species=["A"] * 4, box=[4.0, 6.0])
    >>> moved = xr.DataArray(np.zeros((2, 4, 2)), dims=("replica", "particle", "space"))
    >>> moved[1, 3, 1] = 2.0
    >>> replica_bonds(moved, row, 1.2).mean("replica").values.tolist()
    [0.75, 1.0, 0.75, 0.5]
    """
    check_displacement(displacement, ("particle", "space"))
    check_start(start, displacement)
    factor = _factor(factor)
    names, codes = names_and_codes(start)
    matrix = Cutoff(cutoffs).matrix(names)
    check_radius(start, factor * float(matrix.max()))
    result = xr.apply_ufunc(
        partial(_of_replicas, matrix=matrix, factor=factor, codes=codes, names=names, borders=borders_of(start)),
        whole_particles(displacement),
        *compute(*(start[name].isel(frame=0, drop=True) for name in ("position", "box"))),
        input_core_dims=[["particle", "space"], ["particle", "space"], ["axis", "space"]],
        output_core_dims=[["particle"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return annotated(result.rename("bonds_kept"))


def _factor(factor: float) -> float:
    value = float(converted(factor, Positive, "factor"))
    if value < 1.0:
        raise ParameterError(f"factor: expected at least 1, found {value:g}: a bond must not be broken when it is made")
    return value


def _of_pair(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, *, matrix: np.ndarray, factor: float
) -> np.ndarray:
    """Bonds kept and bonds of the particles of each species, (2, S)."""
    kept, counts = _kept(configuration, later[None], box, matrix, factor)
    n_species = len(configuration.names)
    known = np.isfinite(counts)
    return np.stack(
        [np.bincount(configuration.species[known], values[known], n_species) for values in (kept[0], counts)]
    )


def _of_replicas(displacement, position, box, *, matrix, factor, codes, names, borders):
    n, d = position.shape
    later = position + np.asarray(displacement, dtype=np.float64).reshape(-1, n, d)
    configuration = Configuration(position, codes, box, names, label="start", borders=borders)
    kept, counts = _kept(configuration, later, box, matrix, factor)
    with np.errstate(invalid="ignore"):
        return (kept / counts).reshape(displacement.shape[:-1])


def _kept(
    configuration: Configuration, later: np.ndarray, box: np.ndarray, matrix: np.ndarray, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bonds of each particle that are kept at `later` positions (M, N, d), (M, N), and all of its bonds (N,)."""
    n = len(configuration.position)
    # the second frame in the form of kernels, which see three dimensions
    borders = configuration.borders
    after = [
        Configuration(position, configuration.species, box, configuration.names, borders=borders) for position in later
    ]
    longer = [np.ones(3) if borders is None else borders.lengthening(one.position @ one.inverse) for one in after]
    kept, counts = np.empty((len(later), n)), np.empty(n)
    cutoff2 = (factor * matrix) ** 2
    for rows, found in configuration.batches(np.arange(n), matrix):
        counts[rows] = found.counts
        number = np.empty(len(rows))
        for m, one in enumerate(after):
            kernels.count_kept(
                found.centers, found.offsets, found.index, configuration.species, one.position,
                one.box * longer[m][:, None], one.inverse / longer[m], cutoff2, number,
            )  # fmt: skip
            kept[m, rows] = number
        if found.known is not None:
            counts[rows[~found.known]] = kept[:, rows[~found.known]] = np.nan
    return kept, counts
