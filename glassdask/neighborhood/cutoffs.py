"""Species and their pairs as they are asked for: cutoffs, one number or a mapping of pairs to numbers, and centres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from glassdask.declarations import converted, pair_text
from glassdask.errors import ParameterError, SpeciesError

Cutoffs = Mapping[Any, float] | float


def allowed_pairs(neighbor_species: str | tuple[str, ...], names: tuple[str, ...]) -> np.ndarray:
    """(S, S) truth of "a neighbour of this species counts for a centre of that one".

    Examples
    --------
    >>> allowed_pairs("other", ("O", "Si")).tolist()
    [[False, True], [True, False]]
    """
    n = len(names)
    if neighbor_species == "all":
        return np.ones((n, n), bool)
    if neighbor_species == "other":
        return ~np.eye(n, dtype=bool)
    wanted = (neighbor_species,) if isinstance(neighbor_species, str) else tuple(neighbor_species)
    unknown = [s for s in wanted if s not in names]
    if unknown or not wanted:
        raise SpeciesError(
            f"neighbor_species {neighbor_species!r}: expected 'all', 'other' or some of the species {', '.join(names)}"
        )
    return np.tile([s in wanted for s in names], (n, 1))


def pair_matrix(
    values: Cutoffs, names: tuple[str, ...], what: str = "cutoffs", needed: np.ndarray | None = None
) -> np.ndarray:
    """Symmetric (S, S) matrix from one number or one for each pair of species, as `read_pairs` has checked them.

    Where `needed` (S, S) is given, pairs that are not needed become zero and need not be named.

    Raises
    ------
    ParameterError
        When a pair is missing.
    SpeciesError
        When a pair names a species that is not there.

    Examples
    --------
    >>> pair_matrix({("A", "A"): 1.4, ("A", "B"): 1.3, ("B", "B"): 1.2}, ("A", "B")).tolist()
    [[1.4, 1.3], [1.3, 1.2]]
    """
    n = len(names)
    matrix = np.full((n, n), np.nan)
    if isinstance(values, Mapping):
        code = {name: k for k, name in enumerate(names)}
        for (a, b), value in values.items():
            if a not in code or b not in code:
                raise SpeciesError(f"{what} for {pair_text(a, b)}: known species are {', '.join(names)}")
            matrix[code[a], code[b]] = matrix[code[b], code[a]] = value
    else:
        matrix[:] = values
    if needed is not None:
        matrix[~needed] = 0.0
    missing = [pair_text(names[a], names[b]) for a, b in np.argwhere(np.isnan(matrix)) if a <= b]
    if missing:
        raise ParameterError(f"{what} lacks {', '.join(missing)}: give a value for every pair of {', '.join(names)}")
    return matrix


def chosen_species(names: tuple[str, ...], centers: str | Iterable[str] | None) -> list[str]:
    """The species that `centers` are, all of them by default.

    Raises
    ------
    SpeciesError
        When one is not there.

    Examples
    --------
    >>> chosen_species(("A", "B"), "B"), chosen_species(("A", "B"), None)
    (['B'], ['A', 'B'])
    """
    if centers is None:
        return list(names)
    wanted = [centers] if isinstance(centers, str) else list(converted(centers, tuple[str, ...], "centers"))
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        raise SpeciesError(f"centers {centers!r}: expected some of the species {', '.join(names)}")
    return wanted
