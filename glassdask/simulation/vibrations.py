"""Vibrations about one configuration: its lowest modes, and the density of all of them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import xarray as xr
from scipy.linalg import eigh

from glassdask.errors import ConvergenceError, ParameterError
from glassdask.kernels.simd import LANES
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.interactions import configuration_of, interactions
from glassdask.simulation.lanczos import largest, turned
from glassdask.simulation.mechanics import masses
from glassdask.simulation.mixture import Model
from glassdask.simulation.spectra import level
from glassdask.simulation.springs import Springs, along_a_curve
from glassdask.variables import annotated

DENSE = 1500  # rows of a matrix that is diagonalised as a whole
STEEPNESS = 5.0  # of the filter: it is cosh of this at zero, and at most 1 in what it dampens
STEEPEST = 20.0  # the same at the lowest eigenvalue: where it is more, others are lost by rounding
ABUNDANCE = 2.0  # as many modes as are wanted are about where the filter begins
EDGE = 1e-3  # of the highest eigenvalue: how well the lowest is known
UNSTABLE = 1e-3  # of the highest eigenvalue: where the filter begins if the bound is not above zero
TOLERANCE = 1e-9  # of values of the filter
ALIKE = 1e-3  # values of the filter that differ by less, of themselves, may be those of the same mode
MISSED = 8  # modes that are looked for at a time where some were missed
CREDIBLE = 1e-5  # of the highest eigenvalue: a residual that is larger is no mode


def lowest_modes(
    model: Model | str, configuration: xr.Dataset | Configuration, n_modes: int = 100, *, seed: int = 0
) -> xr.Dataset:
    r"""The vibrational modes of lowest frequency of one configuration, without its translations.

    Eigenvectors e of the mass-weighted Hessian D, D e = omega^2 e. A block Lanczos method finds them with a Chebyshev
    polynomial of D, steep where they are and small elsewhere [1]_; where they are, the density of states tells. Nothing
    is factorised, so that memory grows with the number of particles only. Afterwards one looks for modes that were
    missed, beside those that were found. Matrices up to 1500 rows are diagonalised as a whole.

    Parameters
    ----------
    model, configuration : PairModel and Dataset
        As for `hessian`. Of a configuration that is no minimum the lowest modes are unstable: omega^2 < 0.
    n_modes : int, default 100
        How many.
    seed : int, default 0
        Of the vector that the iteration begins with.

    Returns
    -------
    xarray.Dataset
        ``frequency`` (mode), sqrt(omega^2), negative where omega^2 is; ``eigenvalue`` (mode), omega^2, increasing;
        ``polarization`` (mode, particle, space), e_i, the sum of \|e_i\|^2 over particles being 1 (displacements are
        e_i / sqrt(m_i)); ``residual`` (mode), \|D e - omega^2 e\|. Of degenerate modes any combination.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        As for `hessian`; more modes than there are.
    ConvergenceError
        When the iteration does not converge, as with very many modes of zero frequency.

    Notes
    -----
    The lowest 100 modes of 10000 particles with a cutoff of 2.5 take less than a minute of one core.

    References
    ----------
    .. [1] Y. Zhou, Y. Saad, M. L. Tiago and J. R. Chelikowsky, J. Comput. Phys. 219, 172 (2006).

    Examples
    --------
    >>> import glassdask as gd
    >>> cell = 2 ** (1 / 6) * np.array([[1.0, 0.0], [0.5, 0.75**0.5]])
    >>> places = np.array(list(np.ndindex(8, 8))) @ cell
    >>> crystal = gd.from_arrays(places[None], species=["A"] * 64, box=8 * cell)
    >>> gd.simulation.lowest_modes("kam_2d", crystal, 6)["frequency"].round(3).values.tolist()
    [4.007, 4.007, 4.007, 4.007, 4.007, 4.007]
    """
    found = configuration_of(configuration, "lowest_modes")
    springs = Springs(interactions(model, found, "lowest_modes"), masses(model, found), along_a_curve(found))
    most = springs.size - springs.dimension
    if not 1 <= n_modes <= most:
        raise ParameterError(f"n_modes {n_modes}: expected 1 to {most}, as many as there are without translations")
    if springs.size <= DENSE or n_modes > most // 3:
        value, vector = _all_lowest(springs, n_modes)
    else:
        value, vector = _filtered(springs, n_modes, seed)
    # Rayleigh and Ritz: of nearly equal eigenvalues, each has its own vector
    image = springs.of_columns(vector)
    value, turn = np.linalg.eigh(vector.T @ image)
    value, turn = value[:n_modes], turn[:, :n_modes]
    vector, image = turned(vector, turn), turned(image, turn)
    n, d = len(found.position), found.dimension
    residual = np.sqrt(((image - vector * value) ** 2).sum(axis=0))
    if residual.max() > CREDIBLE * max(np.abs(springs.bounds)):
        raise ConvergenceError(
            f"the {n_modes} lowest modes were not found (residual {residual.max():.2g}): particles overlap, or "
            "too many modes are alike: take an inherent structure, or ask for fewer"
        )
    vector *= np.where(vector[np.abs(vector).argmax(axis=0), np.arange(n_modes)] < 0, -1.0, 1.0)
    return annotated(
        xr.Dataset(
            {
                "frequency": ("mode", np.sign(value) * np.sqrt(np.abs(value))),
                "eigenvalue": ("mode", value),
                "polarization": (("mode", "particle", "space"), np.ascontiguousarray(vector.T).reshape(-1, n, d)),
                "residual": ("mode", residual),
            },
            coords={
                "mode": np.arange(n_modes),
                "species": ("particle", np.array(found.names)[found.species]),
                "space": list("xyz"[:d]),
            },
        )
    )


def _all_lowest(springs: Springs, n_modes: int) -> tuple[np.ndarray, np.ndarray]:
    """By the whole matrix, in which translations are moved above all others."""
    matrix = springs.of_columns(np.eye(springs.size))
    top = np.abs(matrix).sum(axis=1).max()
    matrix = (matrix + matrix.T) / 2.0 + 2.0 * top * springs.translations @ springs.translations.T
    value, vector = eigh(matrix, subset_by_index=(0, n_modes - 1))
    return value, vector


def _filtered(springs: Springs, n_modes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """By Lanczos' method with a polynomial that is small above a bound of the wanted eigenvalues."""
    rng = np.random.default_rng(seed)
    high = springs.bounds[1]
    low = springs.lowest(EDGE * high) - EDGE * high
    begin = min(level(springs, ABUNDANCE * n_modes + LANES, low, high, rng), 0.5 * high)
    if begin <= 0.0:  # all that are wanted are unstable
        begin = UNSTABLE * high
    # steep from there down to zero, or to the lowest where that is far below
    steps = [
        steepness / np.arccosh(1.0 + 2.0 * (begin - end) / (high - begin))
        for steepness, end in ((STEEPNESS, 0.0), (STEEPEST, min(low, 0.0)))
    ]
    degree = int(np.ceil(min(steps)))
    degree += degree % 2  # so that it is positive below
    found = np.empty((springs.size, 0))

    def beside(x: np.ndarray) -> np.ndarray:
        """The polynomial of vectors, without what has been found."""
        y = next(islice(springs.chebyshev(without(x), begin, high), degree, None))
        return without(springs.outside(y))

    def without(x: np.ndarray) -> np.ndarray:
        return springs.at_rest(x - found @ (found.T @ x))

    def more(many: int, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        try:
            return largest(beside, without(rng.standard_normal((springs.size, LANES))), many, tolerance)
        except ConvergenceError as error:
            raise ConvergenceError(f"the {n_modes} lowest modes were not found ({error}): ask for fewer") from None

    value, found = more(n_modes, TOLERANCE)
    # of more modes that are alike than a block has vectors, as in crystals, it finds some only
    while found.shape[1] < (springs.size - springs.dimension) // 2:
        least = np.sort(value)[-n_modes] * (1.0 + ALIKE)
        if more(1, ALIKE)[0][0] <= least:
            break
        others, vector = more(MISSED, TOLERANCE)
        value, found = np.append(value, others), np.linalg.qr(np.hstack([found, vector]))[0]
    return value, found
