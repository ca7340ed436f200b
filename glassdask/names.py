"""Names of species as users give them: text, numbers that stand for it, of particles or of particles in every frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.errors import SchemaError, SpeciesError
from glassdask.variables import unmasked

# Up to so many names a comparison each is faster than a sort, of the 10^8 names that many frames may have.
FEW = 12


def names_given(species: Any) -> np.ndarray:
    """Names of any shape, or the numbers that stand for them: none is missing, and bytes are text."""
    try:
        names = unmasked("species", species)
    except ValueError as error:
        if isinstance(error, SchemaError):
            raise
        raise SpeciesError(f"species is no array of names ({error}): give one for each particle") from None
    if names.dtype.kind == "T":  # NumPy's text of any length, as that of pandas
        names = names.astype(object)
    if names.dtype.kind not in "USOiuf":  # True and False are answers, not names
        raise SpeciesError(f"species has dtype {names.dtype}, expected names: give text such as 'A'")
    # NumPy makes text of what a list has besides text
    looked_at = np.asarray(species, dtype=object) if isinstance(species, (list, tuple)) else names
    if any(map(_is_missing, looked_at.flat)) if looked_at.dtype.kind == "O" else (names != names).any():
        raise SpeciesError("species has None or NaN among the names: give every particle a name such as 'A'")
    try:
        if names.dtype.kind == "S":
            return np.char.decode(names, "utf-8")
        if names.dtype.kind == "O" and any(isinstance(name, bytes) for name in names.flat):
            texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names.flat]
            return np.array(texts).reshape(names.shape)
    except UnicodeDecodeError as error:
        raise SpeciesError(f"a species is in bytes that are no UTF-8 ({error}): give text such as 'A'") from None
    return names


def _is_missing(name: Any) -> bool:
    try:
        return name is None or bool(name != name)
    except TypeError:  # of pandas.NA, which is neither
        return True


def species_given(species: Any, n_frames: int, n_particles: int) -> np.ndarray:
    """Names (particle,) of what is given for all frames or for each; (frame, particle) only where they change.

    >>> species_given([["A", "B"], ["A", "B"]], 2, 2).tolist(), species_given([["A", "B"], ["B", "A"]], 2, 2).shape
    (['A', 'B'], (2, 2))
    """
    names = names_given(species)
    if names.ndim == 2 and len(names) in (1, n_frames) and not (names != names[0]).any():
        names = names[0]
    if names.shape not in ((n_particles,), (n_frames, n_particles)):
        raise SpeciesError(
            f"species has shape {names.shape}, expected ({n_particles},), one name for each particle, or "
            f"({n_frames}, {n_particles}) where they change"
        )
    return names.astype(str)


def coded(names: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The names that there are, sorted, and each of the given ones as an index into these.

    >>> found, codes = coded(np.array([["B", "A"], ["A", "A"]]))
    >>> found, codes.tolist()
    (('A', 'B'), [[1, 0], [0, 0]])
    """
    found: list[str] = []
    codes = np.full(names.shape, -1)
    while names.size and codes.min() < 0 and len(found) < FEW:
        name = names.flat[np.argmax(codes < 0)]
        codes[names == name] = len(found)
        found.append(str(name))
    if names.size and codes.min() < 0:
        several, codes = np.unique(names, return_inverse=True)
        return tuple(map(str, several)), codes.reshape(names.shape)
    order = np.argsort(np.argsort(found)) if found else np.empty(0, int)
    return tuple(sorted(found)), order[codes]
