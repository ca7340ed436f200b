"""Coefficients q_lm of centres and of all their neighbours, for what compares or averages them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glassdask.kernels import bond_order as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Batches, Neighborhood

# Centres whose coefficients, with those of their neighbours, are held at once.
PIECE = 1 << 15
# Numbers in a row of scratch, at least.
SHORTEST_ROW = 64


@dataclass(frozen=True)
class Shells:
    """Neighbours of some centres, and the coefficients of all of them.

    Attributes
    ----------
    rows : array (C,)
        Which of the centres these are.
    offsets, index : array (C + 1,) and array (P,)
        Their neighbours.
    weight : array (P,)
        How much each neighbour counts, 1 where the rule does not say.
    own : array (C,)
        How much a centre counts among its neighbours: as one of average weight.
    row : array (N,)
        Row of each particle in `q`; the centres come first, in this order.
    q : array (rows, coefficients)
        As `glassdask.kernels.bond_order.coefficients` writes them; NaN where not all neighbours are known.
    """

    rows: np.ndarray
    offsets: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    own: np.ndarray
    row: np.ndarray
    q: np.ndarray


def shells(
    configuration: Configuration, centers: np.ndarray, rule: Neighborhood, l_min: int, table: np.ndarray
) -> Iterator[Shells]:
    """All `centers` in compact pieces of space, since the neighbours outside of a piece are looked at again."""
    reach = rule.reach(configuration.names) or configuration.spacing
    order = configuration.grid(min(reach, configuration.largest_radius)).order(centers)
    row = np.full(len(configuration.position), -1)
    for begin in range(0, len(order), PIECE):
        piece = _piece(configuration, centers, order[begin : begin + PIECE], rule, l_min, table, row)
        yield piece
        row[centers[piece.rows]] = row[piece.index] = -1  # those of one piece, not of the whole frame each time


def workspace(neighbors: Neighbors, table: np.ndarray) -> tuple[np.ndarray, ...]:
    """Scratch of the kernels that sum harmonics."""
    # never short: of rows that lie close together in memory, sums are not vectorised, and differ in the last bit
    longest = max(int(neighbors.counts.max(initial=0)) + 1, SHORTEST_ROW)
    degrees = table.shape[1]
    return np.empty((6, longest)), np.empty(longest), np.zeros((degrees, degrees)), np.zeros((degrees, degrees))


def _piece(configuration, centers, rows, rule, l_min, table, row) -> Shells:
    n_coefficients = sum(2 * (l + 1) for l in range(l_min, table.shape[1]))
    scratch, centers = configuration.scratch, centers[rows]

    def coefficients(particles: np.ndarray, q: np.ndarray, first: int) -> Batches:
        done = 0
        for which, neighbors in rule.batches(configuration, particles):
            part = q[done : done + len(which)]
            row[neighbors.centers] = first + done + np.arange(len(which))
            weight = neighbors.weight
            if weight is None:
                weight = scratch("weights", len(neighbors.index))
                weight[:] = 1.0
            room = workspace(neighbors, table)
            kernels.coefficients(neighbors.offsets, neighbors.vector, weight, l_min, table, *room, part)
            if neighbors.known is not None:
                part[~neighbors.known] = np.nan
            yield which, neighbors
            done += len(which)

    own = scratch("coefficients of the centres", len(centers), n_coefficients)
    # the arrays of a batch may be those of the next one
    found = [
        (which, n.counts, n.index.copy(), None if n.weight is None else n.weight.copy())
        for which, n in coefficients(centers, own, 0)
    ]
    which, counts, index = (np.concatenate([part[k] for part in found]) for k in range(3))
    row[index[row[index] < 0]] = -2
    others = np.flatnonzero(row == -2)
    halo = np.empty((len(others), n_coefficients))
    for _ in coefficients(others, halo, len(own)):
        pass
    q = np.concatenate([own, halo]) if len(others) else own
    own_weight = np.ones(len(which))
    if found[0][-1] is None:
        weight = np.ones(len(index))
    else:
        weight = np.concatenate([part[-1] for part in found])
        own_weight[:] = np.bincount(np.repeat(np.arange(len(which)), counts), np.square(weight), len(which))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Shells(rows[which], offsets, index, weight, own_weight, row, q)
