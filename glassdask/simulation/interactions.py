"""One walk over the pairs of a configuration, from which come forces, stresses and the Hessian."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from glassdask.errors import BoxError, ParameterError, PositionError, SchemaError
from glassdask.graphs import compute
from glassdask.neighborhood.borders import borders_of
from glassdask.neighborhood.configuration import Configuration
from glassdask.schema import check_positions, names_and_codes, validate
from glassdask.simulation.chains import Chains
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import PairModel, read_model
from glassdask.simulation.pair_lists import half_list, slope_and_curvature
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.potentials import Array
from glassdask.simulation.species import refuse_others


@dataclass(frozen=True)
class Interactions:
    """The pairs of particles within reach of each other, each once, sorted by its first and then its second particle.

    Attributes
    ----------
    n_particles : int
        Of the configuration, N.
    first, second : array (P,)
        Numbers of the particles, first <= second; the same where a small box has its own image within reach.
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
    if not isinstance(liquid, PairModel | PolydisperseModel):
        raise ParameterError(f"{what}: {liquid.name}: expected particles that interact in pairs (PairModel)")
    refuse_others(liquid, found.names, found.dimension)
    if isinstance(liquid, PolydisperseModel):
        return _of_sizes(liquid, found)
    cutoffs = liquid.cutoffs(found.names)
    if liquid.chains is not None:
        cutoffs = np.maximum(cutoffs, liquid.chains.r_max)
    n = len(found.position)
    first, second, vector, distance = half_list(found, cutoffs)
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


def _of_sizes(model: PolydisperseModel, configuration: Configuration) -> Interactions:
    """The same of particles with diameters of their own."""
    diameter = configuration.known_diameters()
    first, second, vector, distance = half_list(configuration, model.cutoffs(configuration))
    sigma = model.mixed(diameter[first], diameter[second])
    slope, curvature = slope_and_curvature(model.form, distance / sigma)
    return Interactions(len(diameter), first, second, vector, slope / sigma, curvature / sigma**2)


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
