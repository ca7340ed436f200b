"""What single modes of vibration are like, and what all of them do to each particle."""

from __future__ import annotations

import numpy as np
import xarray as xr

from glassdask.declarations import Positive, converted
from glassdask.errors import ParameterError, SchemaError
from glassdask.neighborhood.configuration import Configuration
from glassdask.neighborhood.nearest import Cutoff
from glassdask.simulation.interactions import configuration_of
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import read_model
from glassdask.simulation.species import masses_of
from glassdask.variables import annotated


def participation_ratio(modes: xr.Dataset) -> xr.DataArray:
    r"""Part of the particles that take part in each mode.

    P = (sum_i \|e_i\|^2)^2 / (N sum_i \|e_i\|^4): 1 where all move alike, 2/3 in a plane wave, 1/N where one moves
    (V. Mazzacurati, G. Ruocco and M. Sampoli, Europhys. Lett. 34, 681 (1996)).

    Parameters
    ----------
    modes : xarray.Dataset
        Of `lowest_modes`, or any with ``polarization`` (mode, particle, space).

    Returns
    -------
    DataArray (mode,)
        NaN where nothing moves.

    Raises
    ------
    SchemaError
        Without ``polarization``.

    Examples
    --------
    >>> e = [[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]
    >>> participation_ratio(xr.Dataset({"polarization": (("mode", "particle", "space"), e)})).values.tolist()
    [1.0, 0.5]
    """
    square = (_polarization(modes) ** 2).sum("space")
    with np.errstate(invalid="ignore"):
        ratio = square.sum("particle") ** 2 / (square.sizes["particle"] * (square**2).sum("particle"))
    return annotated(ratio.rename("participation_ratio"))


def phase_quotient(
    modes: xr.Dataset, configuration: xr.Dataset | Configuration, cutoffs: float | dict[tuple[str, str], float]
) -> xr.DataArray:
    r"""Whether neighbours move alike in each mode: sum e_i . e_j / sum \|e_i . e_j\| over pairs of neighbours.

    1 for translations and long waves, -1 where all neighbours move against each other (R. J. Bell and D. C.
    Hibbins-Butler, J. Phys. C 8, 787 (1975)).

    Parameters
    ----------
    modes : xarray.Dataset
        As for `participation_ratio`; of the same particles as
    configuration : Dataset with one frame
        in which neighbours are searched.
    cutoffs : float or dict
        Within which particles are neighbours, such as the first minima of g(r), or one for each pair of species.

    Returns
    -------
    DataArray (mode,)
        NaN where no two neighbours move.

    Raises
    ------
    SchemaError, ParameterError, BoxError
        Other particles; wrong or too large cutoffs.

    Examples
    --------
    >>> import glassdask as gd
    >>> chain = gd.from_arrays([[[0.5, 1.0], [1.5, 1.0], [2.5, 1.0], [3.5, 1.0]]], species=["A"] * 4, box=[4.0, 9.0])
    >>> e = xr.Dataset({"polarization": (("mode", "particle", "space"), [[[0.5, 0]] * 4, [[0.5, 0], [-0.5, 0]] * 2])})
    >>> phase_quotient(e, chain, 1.1).values.tolist()
    [1.0, -1.0]
    """
    polarization = _polarization(modes).transpose("mode", "particle", "space").values
    found = configuration_of(configuration, "phase_quotient")
    if polarization.shape[1] != len(found.position):
        raise SchemaError(
            f"phase_quotient: modes of {polarization.shape[1]} particles, {len(found.position)} in the configuration"
        )
    over, under = np.zeros((2, len(polarization)))
    for _, batch in found.batches(np.arange(len(found.position)), Cutoff(cutoffs).matrix(found.names)):
        owner = np.repeat(batch.centers, batch.counts)
        for mode, e in enumerate(polarization):
            product = np.einsum("pa,pa->p", e[owner], e[batch.index])
            over[mode] += product.sum()
            under[mode] += np.abs(product).sum()
    with np.errstate(invalid="ignore"):
        quotient = xr.DataArray(over / under, dims="mode", name="phase_quotient")
    return annotated(quotient.assign_coords({k: v for k, v in modes.coords.items() if v.dims == ("mode",)}))


def vibrality(modes: xr.Dataset) -> xr.DataArray:
    r"""How far each particle goes in harmonic vibrations: psi_i = sum over modes of \|e_i\|^2 / omega^2.

    The trace of the particle's block of the inverse Hessian where all modes are given (and all masses are 1), of its
    softest part where the lowest are (H. Tong and N. Xu, Phys. Rev. E 90, 010401 (2014); D. Richard et al., Phys. Rev.
    Mater. 4, 113609 (2020)). Large where particles are about to rearrange.

    Parameters
    ----------
    modes : xarray.Dataset
        Of `lowest_modes`, all of which must be stable.

    Returns
    -------
    DataArray (particle,)
        In units of time^2.

    Raises
    ------
    SchemaError, ParameterError
        Without modes; when a mode is unstable or costs nothing.

    Examples
    --------
    >>> e = (("mode", "particle", "space"), [[[0.8, 0.0], [0.6, 0.0]]])
    >>> vibrality(xr.Dataset({"polarization": e, "eigenvalue": ("mode", [4.0])})).values.round(3).tolist()
    [0.16, 0.09]
    """
    value = _eigenvalue(modes)
    spread = ((_polarization(modes) ** 2).sum("space") / value).sum("mode")
    return annotated(spread.rename("vibrality"))


def harmonic_debye_waller(modes: xr.Dataset, model: Model | str, temperature: float) -> xr.DataArray:
    r"""Mean square distance of each particle from its place in harmonic vibrations, its Debye-Waller factor.

    <u_i^2> = T / m_i sum over modes of \|e_i\|^2 / omega^2, k_B = 1; with the lowest modes only, what these
    contribute. `glassdask.dynamics.debye_waller` finds it from short dynamics.

    Parameters
    ----------
    modes : xarray.Dataset
        Of `lowest_modes`, with ``species``.
    model : PairModel, or the name of one
        That has the masses.
    temperature : float
        In the unit of energy.

    Returns
    -------
    DataArray (particle,)
        In units of length^2.

    Raises
    ------
    SchemaError, ParameterError
        As `vibrality`; a temperature that is not positive.

    Examples
    --------
    >>> import glassdask as gd
    >>> pair = gd.from_arrays([[[1.0, 1.0], [1.0 + 2 ** (1 / 6), 1.0]]], species=["A", "A"], box=[9.0] * 2)
    >>> bond = gd.simulation.lowest_modes("kam_2d", pair, 2).isel(mode=[1])  # the first turns the pair
    >>> gd.simulation.harmonic_debye_waller(bond, "kam_2d", 0.1).round(5).values.tolist()
    [0.00044, 0.00044]
    """
    temperature = converted(temperature, Positive, "temperature")
    liquid = read_model(model, "harmonic_debye_waller.model")
    if "species" not in modes:
        raise SchemaError("harmonic_debye_waller: the modes have no species (particle): take those of lowest_modes")
    mass = xr.DataArray(masses_of(liquid, modes["species"].values.tolist()), dims="particle")
    return annotated((temperature * vibrality(modes) / mass).rename("debye_waller"))


def _polarization(modes: xr.Dataset) -> xr.DataArray:
    if "polarization" not in modes or not {"mode", "particle", "space"} <= set(modes["polarization"].dims):
        raise SchemaError("the modes have no polarization (mode, particle, space): take those of lowest_modes")
    return modes["polarization"]


def _eigenvalue(modes: xr.Dataset) -> xr.DataArray:
    if "eigenvalue" not in modes:
        raise SchemaError("the modes have no eigenvalue (mode): take those of lowest_modes")
    value = modes["eigenvalue"]
    if not bool((value > 0).all()):
        raise ParameterError(
            f"{int((value <= 0).sum())} modes are unstable or cost nothing (eigenvalue {float(value.min()):.3g}): take "
            "an inherent structure, and select positive eigenvalues"
        )
    return value
