"""What a reader gives: one configuration of a file, as the file has it, and what one pass over the file tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.schema import CODE

# Up to so many species a comparison each is faster than a sort, of the 10^7 labels that a frame may have.
FEW = 32


@dataclass
class Frame:
    """One configuration, particles in the order of the file, the box's origin subtracted from the positions.

    `codes` are indices into `species`, the names in order of appearance. `box` is a cell matrix (axis, space), or None
    where the file has none. `origin` (space,) is where the file has the box's lower corner. `image` is None where the
    file has none, and zeros where it says that the positions are unwrapped; `told` is false where it does not say
    whether they are. `present` is there where some particles are absent. `wrapped` counts the particles that
    `glassdask.io.frames` had to wrap, and `span` is what it found of positions that are not `told`.

    `kept` are further columns (particle,) or (particle, component) that were asked for, `unread` the names of those
    that nobody asked for, `more` what frame 0 of the file has not. `species_column` is where the species are from, and
    `notes` are lines about what a reader had to understand.
    """

    position: np.ndarray
    species: tuple[str, ...]
    codes: np.ndarray
    box: np.ndarray | None = None
    periodic: tuple[bool, ...] = (True, True, True)
    origin: np.ndarray | None = None
    image: np.ndarray | None = None
    velocity: np.ndarray | None = None
    energy: np.ndarray | None = None
    diameter: np.ndarray | None = None
    time: float | None = None
    step: int | None = None
    id: np.ndarray | None = None
    present: np.ndarray | None = None
    told: bool = True
    wrapped: int = 0
    span: np.ndarray | None = None
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    more: frozenset[str] = frozenset()
    species_column: str | None = None
    notes: tuple[str, ...] = ()

    def get(self, name: str) -> Any:
        """A variable, or a column that was kept; None where there is none."""
        name = "codes" if name == "species" else name
        return self.kept[name] if name in self.kept else getattr(self, name, None)

    def taken(self, of_each: Callable[[np.ndarray], np.ndarray]) -> Frame:
        """The frame with a function of everything that it has of particles."""
        per_particle = ("position", "codes", "image", "velocity", "energy", "diameter", "id")
        given = {name: value for name in per_particle if (value := getattr(self, name)) is not None}
        changes: dict[str, Any] = {name: of_each(value) for name, value in given.items()}
        return replace(self, kept={name: of_each(value) for name, value in self.kept.items()}, **changes)


@dataclass(frozen=True)
class Survey:
    """What one pass over a file tells.

    `offsets` are the bytes of (decompressed) text before each frame; `steps` and `times` are there where all frames
    have them. `unfinished`: the file ends within a frame that is not counted. `notes` are lines for the user.
    `moved`: the box of some frame does not begin at zero.
    """

    n_frames: int
    sha256: str
    offsets: np.ndarray | None
    random_access: bool
    steps: np.ndarray | None = None
    times: np.ndarray | None = None
    unfinished: bool = False
    notes: tuple[str, ...] = ()
    moved: bool = False


def encode(labels: np.ndarray, species: list[str | int]) -> np.ndarray:
    """Codes of `labels` in the list of known `species`, which grows by what is new."""
    codes = np.full(labels.shape, -1, dtype=CODE)
    for code, name in enumerate(species[:FEW]):
        codes[labels == name] = code
    new = codes < 0
    while new.any() and len(species) < FEW:
        name = labels[np.argmax(new)]
        codes[labels == name] = len(species)
        species.append(name.item())
        new = codes < 0
    if new.any():
        found, place = np.unique(labels[new], return_inverse=True)
        known = {name: code for code, name in enumerate(species)}
        numbers = [known.setdefault(name, len(known)) for name in found.tolist()]
        species += list(known)[len(species) :]
        codes[new] = np.array(numbers, dtype=CODE)[place]
    return codes


def named_column(columns: dict[str, str], variable: str, defaults: tuple[str, ...], found: list[str]) -> str | None:
    """The column of `found` that holds `variable`: the one that the user named, else the first of `defaults`."""
    if variable in columns:
        if columns[variable] not in found:
            raise FormatError(f"no column '{columns[variable]}' for {variable}: found {' '.join(found)}")
        return columns[variable]
    return next((name for name in defaults if name in found), None)


def right_handed(frame: Frame) -> Frame:
    """The frame with two cell vectors exchanged where they are left-handed; the positions stay."""
    box = frame.box
    if box is None or box.ndim != 2 or not np.isfinite(box).all() or np.linalg.det(box) >= 0:
        return frame
    pairs = [(0, 1)] if len(box) == 2 else [(0, 1), (0, 2), (1, 2)]

    def turned(pair: tuple[int, int]) -> list[int]:
        order = list(range(len(box)))
        order[pair[0]], order[pair[1]] = pair[1], pair[0]
        return order

    order = max(map(turned, pairs), key=lambda order: np.trace(box[order]))
    names = " ".join("abc"[k] for k in order)
    return replace(
        frame,
        box=box[order],
        periodic=tuple(frame.periodic[k] for k in order),
        image=None if frame.image is None else frame.image[:, order],
        notes=(*frame.notes, f"the cell is left-handed: its vectors are taken in the order {names}"),
    )
