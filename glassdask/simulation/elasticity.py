"""Elastic moduli of an inherent structure, and how its particles move against an affine deformation."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import xarray as xr

from glassdask.errors import BoxError
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.interactions import Interactions, configuration_of, interactions
from glassdask.simulation.mechanics import of_stress
from glassdask.simulation.mixture import Model
from glassdask.simulation.springs import Springs, along_a_curve
from glassdask.variables import annotated


def elastic_moduli(model: Model | str, configuration: xr.Dataset | Configuration) -> xr.Dataset:
    r"""Elastic constants of one configuration at zero temperature, with what particles do against the strain.

    Second derivatives of the energy by the Lagrangian strain eta of the box,

    .. math::

        C_{abcd} = \frac{1}{V} \frac{d^2 U}{d\eta_{ab} d\eta_{cd}} = \frac{1}{V} \sum_{pairs} (r u'' - u') r n_a n_b n_c
        n_d - \frac{1}{V} \Xi_{ab} \cdot H^{-1} \Xi_{cd}, \qquad \Xi_{i, ab} = -\sum_j (r u'' - u') n_a n_b n

    the affine (Born) part, and the softening by non-affine displacements [1]_, which conjugate gradients find. Moduli
    are those of an isotropic body under the pressure p of the configuration: with Birch's coefficients B_aaaa =
    C_aaaa - p, B_aabb = C_aabb + p and B_abab = C_abab - p [2]_, averaged over directions (Voigt), K is the mean of all
    B_aabb, and G = (sum B_aaaa - sum_{a<b} B_aabb + 3 sum_{a<b} B_abab) / 15 in three dimensions,
    (sum B_aaaa - 2 B_xxyy + 4 B_xyxy) / 8 in two.

    Parameters
    ----------
    model, configuration : PairModel and Dataset
        As for `hessian`; a minimum of the energy (`Minimum`, `inherent_structures`), in a box that repeats. Potentials
        need a smooth cutoff: what jumps there is not seen.

    Returns
    -------
    xarray.Dataset
        ``elastic`` (strain_a, strain_b), the constants C in Voigt's order (xx, yy, zz, yz, xz, xy, or xx, yy, xy);
        ``born``, their affine part; ``stress`` (strain_a) of the configuration; ``bulk_modulus`` and ``shear_modulus``;
        ``nonaffine_displacement`` (strain_a, particle, space), for each unit of strain, shear counted once:
        eta_ab = eta_ba = 1/2. Units energy/length^d.

    Raises
    ------
    ParameterError, SchemaError, BoxError, PositionError
        As for `hessian`; a box with open axes has no volume.
    ConvergenceError
        When the configuration is no minimum, or rattlers make the response infinite.

    References
    ----------
    .. [1] A. Lemaître and C. Maloney, J. Stat. Phys. 123, 415 (2006).
    .. [2] T. H. K. Barron and M. L. Klein, Proc. Phys. Soc. 85, 523 (1965).

    Examples
    --------
    A triangular crystal of springs at rest, of stiffness 57.1: every particle stays, G = 3^0.5 / 4 of it, K twice that.

    >>> import glassdask as gd
    >>> from glassdask.simulation import LennardJones, PairModel
    >>> springs = PairModel(
    ...     species=("A",), fractions=(1.0,), masses=(1.0,), density=1.0, timestep=0.005, dimension=2,
    ...     pairs=(LennardJones(epsilon=1.0, sigma=1.0, cutoff=1.3),),
    ... )
    >>> cell = 2 ** (1 / 6) * np.array([[1.0, 0.0], [0.5, 0.75**0.5]])
    >>> places = np.array(list(np.ndindex(8, 8))) @ cell
    >>> crystal = gd.from_arrays(places[None], species=["A"] * 64, box=8 * cell)
    >>> moduli = gd.simulation.elastic_moduli(springs, crystal)
    >>> float(moduli["shear_modulus"].round(3)), float(moduli["bulk_modulus"].round(3))
    (24.745, 49.49)
    """
    found = configuration_of(configuration, "elastic_moduli")
    if found.borders is not None:
        raise BoxError("elastic_moduli: a box with open axes has no volume: give one that repeats along all axes")
    pairs, d = interactions(model, found, "elastic_moduli"), found.dimension
    volume = len(found.position) / found.density
    strains = [(a, a) for a in range(d)] + ([(1, 2), (0, 2), (0, 1)] if d == 3 else [(0, 1)])
    born, force = _affine(pairs, strains)
    springs = Springs(pairs, order=along_a_curve(found))
    moved = -springs.solve(force.T).T
    born, softened = born / volume, born / volume + force @ moved.T / volume
    stress = of_stress(pairs).sum(axis=0) / volume
    bulk, shear = _isotropic((softened + softened.T) / 2.0, -np.trace(stress) / d, d)
    labels = ["".join("xyz"[axis] for axis in pair) for pair in strains]
    return annotated(
        xr.Dataset(
            {
                "elastic": (("strain_a", "strain_b"), (softened + softened.T) / 2.0),
                "born": (("strain_a", "strain_b"), born),
                "stress": ("strain_a", np.array([stress[pair] for pair in strains])),
                "bulk_modulus": bulk,
                "shear_modulus": shear,
                "nonaffine_displacement": (("strain_a", "particle", "space"), moved.reshape(len(strains), -1, d)),
            },
            coords={
                "strain_a": labels,
                "strain_b": labels,
                "species": ("particle", np.array(found.names)[found.species]),
                "space": list("xyz"[:d]),
            },
        )
    )


def _affine(pairs: Interactions, strains: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The affine part, (S, S), times the volume, and Xi (S, N d), minus the forces that the strain makes."""
    r = pairs.distance
    unit, stiff = pairs.vector / r[:, None], r * pairs.curvature - pairs.slope
    products = np.stack([unit[:, a] * unit[:, b] for a, b in strains])
    born = np.empty((len(strains),) * 2)
    for s, t in combinations_with_replacement(range(len(strains)), 2):
        born[s, t] = born[t, s] = np.sum(stiff * r * products[s] * products[t])
    # of the second particle of a pair the derivative is positive, of the first negative
    force = [
        np.stack([pairs.totals(-stiff * product * axis, -1.0) for axis in unit.T], axis=1).ravel()
        for product in products
    ]
    return born, np.stack(force)


def _isotropic(c: np.ndarray, pressure: float, d: int) -> tuple[float, float]:
    """Bulk and shear modulus, averaged over directions, of a body under pressure."""
    straight, cross = np.trace(c[:d, :d]), c[:d, :d].sum() - np.trace(c[:d, :d])
    across = np.trace(c[d:, d:])
    # Birch's coefficients: B_aaaa = C - p, B_aabb = C + p, B_abab = C - p
    pairs = d * (d - 1) / 2
    bulk = (straight + cross + (2.0 * pairs - d) * pressure) / d**2
    straight, cross, across = straight - d * pressure, cross + 2.0 * pairs * pressure, across - pairs * pressure
    if d == 3:
        return float(bulk), float((straight - cross / 2.0 + 3.0 * across) / 15.0)
    return float(bulk), float((straight - cross + 4.0 * across) / 8.0)
