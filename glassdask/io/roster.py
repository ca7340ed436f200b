"""Who is in the frames of a trajectory, where not all of them have the same particles, or particles the same species.

With ids, a particle is the same in all frames that have its id, and absent from the others. Without, those of a frame
are the first ones, and the number of a particle says nothing of who it is: species are then of each frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from glassdask.errors import FormatError, SpeciesError
from glassdask.io.frame import Frame
from glassdask.schema import CODE


class OtherParticlesError(FormatError, SpeciesError):
    """A frame has other particles than the first one, or particles of other species."""


@dataclass(frozen=True)
class Roster:
    """All particles of a trajectory.

    Attributes
    ----------
    names : tuple of str
        All species, sorted.
    n_particles : int
        Rows of a frame.
    id : array (n_particles,)
        Sorted, where there are ids.
    codes : array (n_particles,)
        Species as indices into `names`; None where they change from frame to frame.
    absent : bool
        Whether some particles are not in all frames.
    notes : tuple of str, optional
        Lines that say so.
    """

    names: tuple[str, ...]
    n_particles: int
    id: np.ndarray | None
    codes: np.ndarray | None
    absent: bool
    notes: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """What every frame has besides."""
        return (*(("species",) if self.codes is None else ()), *(("present",) if self.absent else ()))

    def light(self) -> Roster:
        """Without what is long, which the store has."""
        nobody = np.empty(0, np.int64)
        return replace(self, id=None if self.id is None else nobody, codes=None if self.codes is None else nobody)

    def seated(self, frame: Frame, where: str) -> Frame:
        """The frame with a row for each particle: NaN, zero or false for those that are not there."""
        n = len(frame.position)
        if self.id is None:
            rows = np.arange(n)
            found = n <= self.n_particles
        else:
            if frame.id is None:
                raise FormatError(f"{where}: no ids, which the frames before have: {TOGETHER}")
            rows = np.minimum(np.searchsorted(self.id, frame.id), len(self.id) - 1)
            found = bool((self.id[rows] == frame.id).all())
        if not found or (n < self.n_particles and not self.absent):
            who = f"{n} particles" if self.id is None or n != self.n_particles else "other ids"
            raise FormatError(f"{where}: {who}, unlike the {self.n_particles} before: {TOGETHER}")
        if self.codes is not None and (self.codes[rows] != frame.codes).any():
            particle = rows[np.argmax(self.codes[rows] != frame.codes)]
            raise SpeciesError(f"{where}, particle {particle}: another species than before: {TOGETHER}")
        if not self.absent:
            return frame
        present = np.zeros(self.n_particles, dtype=bool)
        present[rows] = True
        return replace(frame.taken(lambda values: _placed(values, rows, self.n_particles)), present=present)


TOGETHER = "ingest all files together into another store"


def _placed(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    out = np.full((n, *values.shape[1:]), np.nan if values.dtype.kind == "f" else 0, values.dtype)
    out[rows] = values
    return out


@dataclass
class Census:
    """What a `Roster` is made of, frame by frame: first of parts of a trajectory, then of all of it."""

    names: list[str] = field(default_factory=list)
    id: np.ndarray | None = None
    codes: np.ndarray | None = None  # of the species in `names`, of each id or of the particles of the first frame
    changing: bool = False  # the species of a particle
    least: int = 1 << 62
    most: int = 0

    def count(self, frame: Frame) -> None:
        """Count the particles of a frame in the order of their ids."""
        n = len(frame.position)
        self.merge(Census(list(frame.species), frame.id, frame.codes, False, n, n))

    def merge(self, other: Census) -> None:
        """Count what another census has counted."""
        if other.codes is None:
            return
        known = {name: code for code, name in enumerate(self.names)}
        table = np.array([known.setdefault(name, len(known)) for name in other.names], dtype=CODE)
        codes, self.names = table[other.codes], list(known)
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.changing |= other.changing
        if self.codes is None:
            self.id, self.codes = other.id, codes
        elif self.id is None or other.id is None:
            self.id = None
            self.changing |= not np.array_equal(codes, self.codes)
        elif np.array_equal(self.id, other.id):
            self.changing |= not np.array_equal(codes, self.codes)
        else:
            union = np.union1d(self.id, other.id)
            merged = np.full(len(union), -1, dtype=CODE)
            merged[np.searchsorted(union, self.id)] = self.codes
            rows = np.searchsorted(union, other.id)
            self.changing |= bool(((merged[rows] >= 0) & (merged[rows] != codes)).any())
            merged[rows] = codes
            self.id, self.codes = union, merged

    def roster(self) -> Roster:
        """The roster of all frames that were counted."""
        assert self.codes is not None
        used = np.unique(self.codes) if not self.changing else range(len(self.names))
        names = tuple(sorted(self.names[code] for code in used))
        n_particles = self.most if self.id is None else len(self.id)
        absent = self.least < n_particles
        per_frame = self.changing or (absent and self.id is None)
        notes = []
        if absent:
            numbers = f"{self.least} to {self.most}" if self.least < self.most else f"{self.most}"
            how = "without ids, which fill the first rows" if self.id is None else f"matched by their {n_particles} ids"
            notes.append(f"{numbers} particles in a frame, {how}: of absent ones positions are NaN")
        if per_frame:
            notes.append("species are those of each frame, and particles have no identity: dynamics are refused")
        codes = None if per_frame else np.array([names.index(name) for name in self.names], dtype=CODE)[self.codes]
        return Roster(names, n_particles, self.id, codes, absent, tuple(notes))
