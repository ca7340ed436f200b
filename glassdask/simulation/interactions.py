"""One walk over the pairs of a configuration, from which come forces, stresses and the Hessian."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.polynomial.polynomial import polyder, polyval

from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from glassdask.graphs import compute
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_positions, names_and_codes, validate
from glassdask.simulation.chains import Chains
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import PairModel, read_model
from glassdask.simulation.potentials import Array, PairPotential


@dataclass(frozen=True)
class Interactions:
    """The pairs of particles within reach of each other, each once, sorted by its first and then its second particle.

    Attributes
    ----------
    n_particles : int
        Of the configuration, N.
    first, second : array (P,)
        Numbers of the particles, first < second.
    vector : array (P, d)
        From the first to the second.
    slope, curvature : array (P,)
        u'(r) and u''(r).
    """

    n_particles: int
    first: np.ndarray
    second: np.ndarray
    vector: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """Length of each vector, (P,)."""
        return np.sqrt(np.einsum("pa,pa->p", self.vector, self.vector))

    def totals(self, values: np.ndarray, sign: float = 1.0) -> np.ndarray:
        """Of each particle the sum of the `values` (P,) of its pairs; times `sign` where it is the second."""
        n = self.n_particles
        return np.bincount(self.first, values, n) + sign * np.bincount(self.second, values, n)


def configuration_of(trajectory: xr.Dataset | Configuration, what: str) -> Configuration:
    """The one frame of a trajectory, ready for a neighbour search; `what` needs it."""
    if isinstance(trajectory, Configuration):
        borders, found = trajectory.borders, trajectory
    else:
        frame = _with_frames(trajectory) if _is_one_frame(trajectory) else trajectory
        validate(frame)
        if frame.sizes["frame"] != 1:
            raise SchemaError(
                f"{what}: found {frame.sizes['frame']} frames, expected one: give trajectory.isel(frame=[0])"
            )
        names, codes = names_and_codes(frame)
        optional = [name for name in ("present", "diameter") if name in frame]
        arrays = compute(*(frame[name] for name in ("position", "box", *optional)))
        given = dict(zip(("position", "box", *optional), (np.asarray(array.values) for array in arrays)))
        if "present" in given and not given["present"].all():
            raise SchemaError(f"{what}: some particles are absent: leave them out, isel(particle=...)")
        check_positions(given["position"])
        borders = borders_of(frame)
        found = Configuration(
            given["position"][0], codes, given["box"][0], names, "the configuration", borders=borders,
            diameter=given["diameter"].reshape(-1) if "diameter" in given else None,
        )  # fmt: skip
    if borders is not None and not borders.nothing_beyond:
        raise BoxError(f"{what}: open borders hide neighbours: say beyond='nothing' where nothing is beyond the faces")
    return found


def _is_one_frame(trajectory: Any) -> bool:
    return (
        isinstance(trajectory, xr.Dataset) and "position" in trajectory and "frame" not in trajectory["position"].dims
    )


def _with_frames(trajectory: xr.Dataset) -> xr.Dataset:
    """What `isel(frame=0)` gives, as `isel(frame=[0])` does."""
    kept = {"position": True, "box": True, "present": True, "species": False, "diameter": False, "periodic": False}
    found = {
        name: (trajectory[name].expand_dims("frame") if of_frames else trajectory[name]).variable
        for name, of_frames in kept.items()
        if name in trajectory
    }
    return xr.Dataset(found, attrs=trajectory.attrs)


def interactions(model: Model | str, configuration: xr.Dataset | Configuration, what: str) -> Interactions:
    """The pairs of a configuration, with the slopes and curvatures of their potentials, from the formulas themselves.

    Raises
    ------
    ParameterError
        When the model has other interactions than those of pairs, or another dimension.
    """
    found, liquid = configuration_of(configuration, what), read_model(model, f"{what}.model")
    if not isinstance(liquid, PairModel):
        raise ParameterError(f"{what}: {liquid.name}: expected particles that interact in pairs (PairModel)")
    if liquid.dimension != found.dimension:
        raise ParameterError(
            f"{what}: {liquid.name} is {liquid.dimension}-dimensional, the configuration {found.dimension}-dimensional"
        )
    cutoffs = liquid.cutoffs(found.names)
    if liquid.chains is not None:
        cutoffs = np.maximum(cutoffs, liquid.chains.r_max)
    n = len(found.position)
    first, second, vector, distance = _half_list(found, cutoffs)
    slope, curvature = np.zeros((2, len(first)))
    kind = found.species[first] * len(found.names) + found.species[second]
    for a, b in itertools.product(range(len(found.names)), repeat=2):
        rows = np.flatnonzero(kind == a * len(found.names) + b)
        pair = liquid.pair(found.names[a], found.names[b])
        slope[rows], curvature[rows] = slope_and_curvature(pair, distance[rows])
    if liquid.chains is not None:
        bonds = liquid.chains.bonds(n)
        rows = np.flatnonzero(np.isin(first * n + second, bonds[:, 0] * n + bonds[:, 1]))
        if len(rows) < len(bonds):
            raise PositionError(
                f"{what}: {len(bonds) - len(rows)} bonds are longer than {liquid.chains.r_max}: the particles must be "
                "in the order of the chains"
            )
        slope[rows], curvature[rows] = bond_slope_and_curvature(liquid.chains, distance[rows])
    return Interactions(n, first, second, vector, slope, curvature)


def _half_list(configuration: Configuration, cutoffs: np.ndarray) -> tuple[np.ndarray, ...]:
    """First and second particle, vector and distance of each pair once, sorted."""
    n, d = len(configuration.position), configuration.dimension
    pieces: list[tuple[np.ndarray, ...]] = []
    for _, found in configuration.batches(np.arange(n), cutoffs):
        owner = np.repeat(found.centers, found.counts)
        kept = np.flatnonzero(found.index > owner)
        pieces.append((owner[kept], found.index[kept].astype(np.int64), found.vector[:, kept]))
    first = np.concatenate([piece[0] for piece in pieces])
    second = np.concatenate([piece[1] for piece in pieces])
    vector = np.concatenate([piece[2] for piece in pieces], axis=1)
    order = np.argsort(first * n + second)
    if (vector[3] == 0.0).any():
        p = int(np.argmin(vector[3]))
        raise PositionError(f"particles {first[p]} and {second[p]} are at the same place: move one")
    return first[order], second[order], np.ascontiguousarray(vector[:d, order].T), vector[3, order]


def slope_and_curvature(potential: PairPotential, r: Array) -> tuple[Array, Array]:
    """u'(r) and u''(r) with the cutoff as `CutPotential` says; a jump of the energy or force there is not seen.

    Examples
    --------
    >>> from glassdask.simulation.forms import LennardJones
    >>> u = LennardJones(epsilon=1.0, sigma=1.0, cutoff=2.5)
    >>> [(x + 0.0).round(6).tolist() for x in slope_and_curvature(u, np.array([2 ** (1 / 6), 3.0]))]
    [[0.0, 0.0], [57.146438, 0.0]]
    """
    inside, within = r < potential.inner, r < potential.end
    _, first, second = potential.derivatives(np.minimum(r, np.nextafter(potential.inner, 0.0)))
    x, found = r - potential.inner, []
    for order, value in ((1, first), (2, second)):
        outer = np.where(within, polyval(x, polyder(potential.outer, order)), 0.0)
        found.append(np.where(inside, value + polyval(r, polyder(potential.added, order)), outer))
    return found[0], found[1]


def bond_slope_and_curvature(chains: Chains, r: Array) -> tuple[Array, Array]:
    """The same of a bond of chains, see `Chains`.

    Examples
    --------
    >>> [x.round(1).tolist() for x in bond_slope_and_curvature(Chains(), np.array([0.961]))]  # stiff
    [[0.1], [979.9]]
    """
    x = (r / chains.r_max) ** 2
    slope, curvature = chains.k * r / (1.0 - x), chains.k * (1.0 + x) / (1.0 - x) ** 2
    power6 = (chains.sigma / r) ** 6
    core = r < 2.0 ** (1.0 / 6.0) * chains.sigma
    slope += np.where(core, 24.0 * chains.epsilon * power6 * (1.0 - 2.0 * power6) / r, 0.0)
    curvature += np.where(core, 24.0 * chains.epsilon * power6 * (26.0 * power6 - 7.0) / r**2, 0.0)
    return slope, curvature
