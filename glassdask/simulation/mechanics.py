"""First and second derivatives of the potential energy of one configuration: forces, stresses, the Hessian."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.sparse import bsr_array

from glassdask.declarations import flags
from glassdask.kernels import hessians as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.interactions import Interactions, configuration_of, interactions
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import read_model
from glassdask.simulation.species import masses_of


def hessian(model: Model | str, configuration: xr.Dataset | Configuration, *, mass_weighted: bool = False) -> bsr_array:
    r"""Second derivatives of the potential energy of one configuration, as a sparse matrix.

    .. math::

        H_{ij} = \frac{\partial^2 U}{\partial r_i \partial r_j} = -\left[ \left( u'' - \frac{u'}{r} \right)
        \frac{r_{ij} r_{ij}^T}{r^2} + \frac{u'}{r} 1 \right], \qquad H_{ii} = -\sum_{j \ne i} H_{ij}

    with the derivatives of each potential from its formula, or, where a form does not know them, off by some 1e-11.
    A jump of the energy or the force at a cutoff (scheme "shift") is not seen.

    Parameters
    ----------
    model : PairModel, or the name of one
        Any potentials; with chains, too.
    configuration : Dataset with one frame
        A trajectory's ``isel(frame=[0])``, best of inherent structures: only there are all eigenvalues of a solid
        positive, but for the translations. Or what `glassdask.map_frames` gives a function.
    mass_weighted : bool, default False
        Divide by sqrt(m_i m_j): the dynamical matrix, whose eigenvalues are squared frequencies.

    Returns
    -------
    scipy.sparse.bsr_array (N d, N d)
        Symmetric to the last bit, in blocks of d rows and columns: row ``d * i + a`` is component a of particle i.
        Unit energy/length^2 (1/time^2 if `mass_weighted`). `tocsr()` gives single elements.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        When the model has no pair potentials or another dimension; there is not one frame of all particles; open
        borders hide neighbours, or a cutoff holds more than 100000 images; two particles are at the same place.

    Examples
    --------
    A dimer at its minimum is one spring, u'' = 57.146 for Lennard-Jones:

    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0, 1.0], [1.0 + 2 ** (1 / 6), 1.0, 1.0]]], species=["A", "A"], box=[9.0] * 3)
    >>> matrix = gd.simulation.hessian("kob_andersen", pair)
    >>> matrix.shape, matrix.tocsr()[[0, 0], [0, 3]].round(3).tolist()
    ((6, 6), [57.146, -57.146])
    """
    flags(mass_weighted=mass_weighted)
    found = configuration_of(configuration, "hessian")
    pairs = interactions(model, found, "hessian")
    n, d = pairs.n_particles, found.dimension
    rows, lower = np.empty(n + 1, np.int64), np.empty(n, np.int64)
    kernels.count_blocks(pairs.first, pairs.second, rows, lower)
    column = np.empty(rows[-1], np.int64)
    block = np.empty((rows[-1], d, d))
    kernels.fill_blocks(
        pairs.first, pairs.second, pairs.vector, pairs.slope, pairs.curvature, rows, lower, np.empty(n, np.int64),
        column, block,
    )  # fmt: skip
    if mass_weighted:
        root = np.sqrt(masses(model, found))
        block /= (np.repeat(root, np.diff(rows)) * root[column])[:, None, None]
    index = np.int32 if rows[-1] < 2**31 else np.int64
    matrix = bsr_array((block, column.astype(index), rows.astype(index)), shape=(n * d, n * d))
    matrix.sum_duplicates()  # images of a pair, in a small box
    return matrix


def forces(model: Model | str, configuration: xr.Dataset | Configuration) -> np.ndarray:
    """Force on each particle of one configuration.

    Parameters
    ----------
    model, configuration : PairModel and Dataset
        As for `hessian`.

    Returns
    -------
    array (N, d)
        -dU/dr_i, in units of energy/length. They add up to zero.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        As for `hessian`.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0], [2.0, 1.0]]], species=["A", "A"], box=[9.0] * 2)
    >>> gd.simulation.forces("kam_2d", pair).round(4).tolist()
    [[-24.039, 0.0], [24.039, 0.0]]
    """
    pairs = interactions(model, configuration, "forces")
    pull = pairs.slope / pairs.distance
    return np.stack([pairs.totals(pull * component, -1.0) for component in pairs.vector.T], axis=1)


def stresses(model: Model | str, configuration: xr.Dataset | Configuration) -> np.ndarray:
    r"""Stress on each particle of one configuration, times its volume, without the kinetic part.

    .. math:: s_i^{ab} = \frac{1}{2} \sum_j u'(r_{ij}) \frac{r_{ij}^a r_{ij}^b}{r_{ij}}

    positive where the particle is pulled, negative where it is pressed; half of each pair belongs to either particle
    (virial stress; as in LAMMPS' ``compute stress/atom``). The sum divided by the volume is the stress of the
    configuration, minus its pressure tensor.

    Parameters
    ----------
    model, configuration : PairModel and Dataset
        As for `hessian`.

    Returns
    -------
    array (N, d, d)
        In the unit of energy, symmetric.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        As for `hessian`.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0], [2.0, 1.0]]], species=["A", "A"], box=[9.0] * 2)
    >>> gd.simulation.stresses("kam_2d", pair)[0].round(4).tolist()
    [[-12.0195, 0.0], [0.0, 0.0]]
    """
    pairs = interactions(model, configuration, "stresses")
    return of_stress(pairs)


def of_stress(pairs: Interactions) -> np.ndarray:
    """The stresses (N, d, d) that these pairs make."""
    half, d = 0.5 * pairs.slope / pairs.distance, pairs.vector.shape[1]
    out = np.empty((pairs.n_particles, d, d))
    for a in range(d):
        for b in range(a + 1):
            out[:, a, b] = out[:, b, a] = pairs.totals(half * pairs.vector[:, a] * pairs.vector[:, b])
    return out


def masses(model: Model | str, configuration: Configuration) -> np.ndarray:
    """Mass of each particle, (N,)."""
    return masses_of(read_model(model, "model"), configuration.names)[configuration.species]
