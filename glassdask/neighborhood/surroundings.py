"""Neighbours of neighbours: lists that reach a few bonds further than the centres that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glassdask.neighborhood.configuration import Configuration, Neighbors

Find = Callable[[Configuration, np.ndarray], Neighbors]


@dataclass(frozen=True)
class Surroundings:
    """Lists of all particles that are few bonds from some centres.

    Attributes
    ----------
    found : Neighbors
        Their neighbours, a row for each of them.
    rows : array (C,)
        Those of the centres.
    row_of : array (N,)
        Row of each particle, -1 where it has none.
    lost : array (C,)
        Whether an open border may hide a neighbour of a centre or of one of the others around it.
    """

    found: Neighbors
    rows: np.ndarray
    row_of: np.ndarray
    lost: np.ndarray


def surroundings(find: Find, configuration: Configuration, centers: np.ndarray, bonds: int = 1) -> Surroundings:
    """Neighbours, as `find` finds them, of the centres and of all that are up to so many bonds from them.

    >>> from glassdask.neighborhood.nearest import Cutoff
    >>> row = Configuration(np.array([[1.0, 1], [2, 1], [3, 1], [4, 1]]), np.zeros(4, int), np.eye(2) * 9, "A")
    >>> around = surroundings(Cutoff(1.2).find, row, np.array([0]), bonds=2)
    >>> around.found.centers.tolist(), around.rows.tolist(), around.row_of.tolist()
    ([0, 1, 2], [0], [0, 1, 2, -1])
    """
    members = np.unique(centers)
    found = find(configuration, members)
    for _ in range(bonds):
        wider = np.union1d(members, found.index)
        if len(wider) > len(members):
            members = wider
            found = find(configuration, members)
    row_of = np.full(len(configuration.position), -1, np.int64)
    row_of[members] = np.arange(len(members))
    lost = np.zeros(len(members), bool)
    if found.known is not None:
        lost |= ~found.known
        owner, target = np.repeat(np.arange(len(members)), found.counts), row_of[found.index]
        for _ in range(bonds):
            lost = lost | (np.bincount(owner, (target >= 0) & lost[target], len(members)) > 0)
    return Surroundings(found, row_of[centers], row_of, lost[row_of[centers]])
