"""A configuration of particles with diameters of their own that moves without LAMMPS: by Monte Carlo, and downhill.

It stands where `glassdask.simulation.instance` stands for all other models, in the process of the worker.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from glassdask.errors import BoxError, ConvergenceError, SimulationError
from glassdask.kernels import swapping as kernels
from glassdask.neighborhood.configuration import Configuration
from glassdask.simulation.instance import Frame
from glassdask.simulation.interactions import Interactions, interactions
from glassdask.simulation.mechanics import of_stress
from glassdask.simulation.polydisperse import PolydisperseModel
from glassdask.simulation.potentials import PairPotential, spline
from glassdask.simulation.springs import Springs
from glassdask.wrapping import wrap

SKIN = 1.0  # by which neighbours are searched beyond the cutoff: several of the largest moves
NEWTON = 20  # steps at most, near a minimum
STATE = ("position", "species", "box", "image", "origin", "diameter", "temperature")


class Sample:
    """The present configuration; `folder` and `timestep` are those of the worker, and not needed."""

    version = 0  # of LAMMPS

    def __init__(self, model: PolydisperseModel, timestep: float = 0.0, folder: Path = Path()):
        self.model, self.temperature = model, np.nan
        self.table = coefficients(model.form)
        self.counts = np.zeros(4, np.int64)
        self._list: tuple[np.ndarray, ...] | None = None
        self._room2 = 0.0

    def load(self, frame: Frame) -> None:
        """Begin with a configuration."""
        if frame.diameter is None:
            raise SimulationError(f"{self.model.name}: the configuration has no diameters: begin with one that has")
        n, d = frame.position.shape
        self.position, self.box, self.species = frame.position.copy(), frame.box.copy(), frame.species.copy()
        self.image = np.zeros((n, d), np.int32) if frame.image is None else frame.image.copy()
        self.origin = np.zeros(d) if frame.origin is None else frame.origin.copy()
        self.diameter = np.array(frame.diameter, dtype=np.float64)
        self.shift = np.zeros((3, n))
        self._list = None

    def save(self, file: Path) -> None:
        """Write the configuration, in which nobody is displaced."""
        self._place()
        with open(file, "wb") as out:
            np.savez(out, **{name: getattr(self, name) for name in STATE})

    def restart(self, file: Path, step: int) -> None:
        """Go on from such a file."""
        with open(file, "rb") as stream, np.load(stream) as stored:
            self.load(Frame(**{name: stored[name] for name in STATE if name != "temperature"}))
            self.temperature = float(stored["temperature"])

    def close(self) -> None:
        """There is nothing to end."""

    def rest(self) -> None:
        """Nobody has a velocity."""

    def flatten(self) -> None:
        """A plane stays one."""

    def _place(self) -> None:
        """Put everybody where he is; a neighbour list is then no longer one."""
        d = self.position.shape[1]
        moved, turns = wrap((self.position + self.shift[:d].T)[None], self.box[None])
        self.position, self.image = moved[0], self.image + turns[0].astype(np.int32)
        self.shift[:] = 0.0
        self._list = None

    def configuration(self) -> Configuration:
        """The present one, after `_place`."""
        return Configuration(self.position, self.species, self.box, self.model.species, diameter=self.diameter)

    def _neighbors(self, step: float) -> tuple[np.ndarray, ...]:
        """The list that `sweep_swaps` takes: offsets, indices, vectors, diameters of the neighbours, reverse entries.

        `_room2` is how far anybody may go before a move of up to `step` along each axis, squared. Of a pair, one is
        moved from there by the largest move, the other is within that distance: the list holds.
        """
        if self._list is None:
            self._place()
            found = self.configuration()
            reach, largest = self.model.form.end * float(self.diameter.max()), step * found.dimension**0.5
            skin = min(max(SKIN, 2.0 * largest), found.largest_radius - reach)
            if skin < largest:
                raise BoxError(
                    f"half of the box, {found.largest_radius:.4g}, is below the cutoff of the largest particles and a "
                    f"move, {reach:.4g} + {largest:.4g}: take more particles, or a smaller step"
                )
            near = found.neighbors(np.arange(len(self.position)), np.full((1, 1), reach + skin))
            self._list, self._room2 = (
                listed(near.offsets, near.index, near.vector, self.diameter),
                (0.5 * (skin - largest)) ** 2,
            )
        return self._list

    def sweep(self, rng: np.random.Generator, temperature: float, step: float, share: float) -> None:
        """As many trials as there are particles, `share` of them exchanges of two diameters, the others moves."""
        n, d = self.position.shape
        self.temperature = temperature
        random = rng.random((n, 6))
        moves = random[:, 0] >= share
        random[:, 2:5] = np.where(moves[:, None], step * (2.0 * random[:, 2:5] - 1.0), random[:, 2:5])
        random[:, 2 + d : 5] = 0.0
        done = 0
        while done < n:
            done = kernels.sweep_swaps(
                *self._neighbors(step), self.shift, self.diameter, self.table, self.model.nonadditivity,
                1.0 / temperature, share, self._room2, random, done, self.counts,
            )  # fmt: skip
            if done < n:
                self._list = None
        # the last trial may have ended the list as well
        if (np.einsum("ai,ai->i", self.shift, self.shift) > self._room2).any():
            self._list = None

    def frame(self) -> Frame:
        """The configuration, with energies and diameters."""
        self._place()
        energy = self.model.energies(self.configuration())
        return Frame(
            self.position.copy(), self.species.copy(), self.box.copy(), self.image.copy(), self.origin.copy(), None,
            energy, self.diameter.copy(),
        )  # fmt: skip

    def thermo(self) -> dict[str, float]:
        """Numbers of the configuration, and parts of moves and exchanges that were accepted since the last call.

        The pressure is that of the temperature of the last sweep; at rest (after a minimisation), of the forces alone.
        """
        self._place()
        pairs = interactions(self.model, self.configuration(), "simulate")
        n, d = self.position.shape
        volume = float(np.linalg.det(self.box))
        stress = of_stress(pairs).sum(axis=0) / volume
        kinetic = 0.0 if np.isnan(self.temperature) else n * self.temperature / volume
        tried = self.counts[[kernels.TRIED, kernels.EXCHANGES]].astype(float)
        with np.errstate(invalid="ignore"):
            accepted = self.counts[[kernels.MOVED, kernels.EXCHANGED]] / tried
        self.counts[:] = 0
        row = {
            "temperature": self.temperature,
            "potential_energy": float(self._energy(pairs)) / n,
            "pressure": float(kinetic - np.trace(stress) / d),
            "volume": volume,
            "shear_stress": float(stress[0, 1]),
            "largest_force": float(np.abs(_force(pairs)).max()),
            "accepted_moves": float(accepted[0]),
            "accepted_exchanges": float(accepted[1]),
        }
        if not np.isfinite([row["potential_energy"], row["pressure"]]).all():
            raise SimulationError(f"energy or pressure is not finite ({row}): begin with another configuration")
        return row

    def _energy(self, pairs: Interactions) -> float:
        sigma = self.model.mixed(self.diameter[pairs.first], self.diameter[pairs.second])
        return float(self.model.form.energy(pairs.distance / sigma).sum())

    def minimize(self, force: float, most: int) -> None:
        """Minimise the energy until no component of a force exceeds `force`, at most `most` evaluations."""
        self._place()
        start, self.temperature = self.position, np.nan

        def pairs_at(x: np.ndarray) -> Interactions:
            moved, _ = wrap((start + x.reshape(start.shape))[None], self.box[None])
            at = Configuration(moved[0], self.species, self.box, self.model.species, diameter=self.diameter)
            return interactions(self.model, at, "simulate")

        def energy(x: np.ndarray) -> tuple[float, np.ndarray]:
            pairs = pairs_at(x)
            return self._energy(pairs), -_force(pairs).ravel()

        options = {"gtol": force, "ftol": 0.0, "maxiter": most, "maxfun": most, "maxcor": 20}
        x = minimize(energy, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options).x
        pairs = pairs_at(x)
        with suppress(ConvergenceError):  # no minimum yet: the caller sees it by the force
            for _ in range(NEWTON):
                pull = _force(pairs)
                if np.abs(pull).max() <= force:
                    break
                trial = x + Springs(pairs).solve(pull.reshape(-1, 1)).ravel()
                closer = pairs_at(trial)
                if not np.abs(_force(closer)).max() < np.abs(pull).max():
                    break
                x, pairs = trial, closer
        self.shift[: start.shape[1]] = x.reshape(start.shape).T
        self._place()

    def descend(self, force: float, most: int) -> None:
        """The same."""
        self.minimize(force, most)


def listed(offsets: np.ndarray, index: np.ndarray, vector: np.ndarray, diameter: np.ndarray) -> tuple[np.ndarray, ...]:
    """A neighbour list (N + 1,), (P,), (3 or more, P) as `glassdask.kernels.swapping` takes it."""
    other, moving, reverse = np.empty_like(index), np.empty((3, len(index))), np.empty_like(index)
    kernels.mirror(offsets, index, vector, np.zeros(len(diameter), np.int64), other, moving, reverse)
    return offsets, other, moving, diameter[other], reverse


def _force(pairs: Interactions) -> np.ndarray:
    pull = pairs.slope / pairs.distance
    return np.stack([pairs.totals(pull * component, -1.0) for component in pairs.vector.T], axis=1)


def coefficients(form: PairPotential) -> Any:
    """What `glassdask.kernels.swapping` reads of a potential: six numbers where these are all, else a splined table.

    >>> from glassdask.simulation.polydisperse import POLYDISPERSE
    >>> coefficients(POLYDISPERSE.form).shape
    (6,)
    """
    odd = form.added[1] or form.added[3] or form.inner < form.end
    if form.powers is None or odd:
        return spline(form)
    return np.array([form.end**2, *form.powers, form.added[0], form.added[2], form.added[4]])
