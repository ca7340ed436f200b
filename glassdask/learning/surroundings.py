"""Surroundings of all particles of a configuration, as a network of messages needs them: tables of neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glassdask.neighborhood.configuration import Configuration

NEAREST = 0.8  # where the first function of the distance has its centre, at most
BLOCK = 1 << 13  # particles whose functions of the neighbours are made at a time: some ten megabytes


@dataclass(frozen=True)
class Table:
    """Neighbours of every particle within a cutoff, filled up with the particle itself at the cutoff.

    Attributes
    ----------
    index : array (N, M)
    vector : array (N, M, 3)
        r_j - r_i; zero where there is no neighbour.
    distance : array (N, M)
        The cutoff where there is no neighbour.
    cutoff : float
    """

    index: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    cutoff: float


def table_of(configuration: Configuration, cutoff: float) -> Table:
    """All neighbours within the cutoff, in the order in which the cell lists give them."""
    n, n_species = len(configuration.position), len(configuration.names)
    found = configuration.neighbors(np.arange(n), np.full((n_species, n_species), cutoff))
    most = max(int(found.counts.max(initial=0)), 1)
    index = np.repeat(np.arange(n)[:, None], most, axis=1)
    vector, distance = np.zeros((n, most, 3)), np.full((n, most), cutoff)
    rows = np.repeat(np.arange(n), found.counts)
    columns = np.arange(len(rows)) - np.repeat(found.offsets[:-1], found.counts)
    index[rows, columns] = found.index
    vector[rows, columns] = found.vector[:3].T
    distance[rows, columns] = found.distance
    return Table(index, vector, distance, cutoff)


def blocks(n: int) -> Iterator[slice]:
    """Particles, some at a time."""
    return (slice(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK))


def functions(table: Table, rows: slice, n_radial: int) -> np.ndarray:
    r"""Radial times angular functions of the neighbours, (particle, 9 n_radial, neighbour), float32.

    Gaussians of equal width whose centres divide the way from 0.8, or half of a cutoff below 1.6, to the cutoff, times
    (1 - (r/r_c)^2)^2, which ends smoothly; times the real spherical harmonics of degree 0, 1 and 2, in the
    normalisation in which the squares of one degree add up to 2 l + 1.
    """
    r = table.distance[rows]
    begin = min(NEAREST, 0.5 * table.cutoff)
    centers, width = np.linspace(begin, table.cutoff, n_radial), (table.cutoff - begin) / max(n_radial - 1, 1)
    radial = np.exp(-0.5 * ((r[..., None] - centers) / width) ** 2) * ((1.0 - (r / table.cutoff) ** 2) ** 2)[..., None]
    x, y, z = np.moveaxis(table.vector[rows] / np.maximum(r, 1e-9)[..., None], -1, 0)
    angular = [
        np.ones_like(x), 3**0.5 * x, 3**0.5 * y, 3**0.5 * z, 15**0.5 * x * y, 15**0.5 * y * z, 15**0.5 * x * z,
        5**0.5 * (z * z - 0.5 * (x * x + y * y)), 0.5 * 15**0.5 * (x * x - y * y),
    ]  # fmt: skip
    product = np.stack(angular, axis=1)[:, :, None] * radial.transpose(0, 2, 1)[:, None]
    return np.ascontiguousarray(product.reshape(len(r), -1, r.shape[1]), dtype=np.float32)


@dataclass(frozen=True)
class Sums:
    """Sums over neighbours with fixed weights, y_i = sum_j w_ij x_j, as lists, and the lists of its transpose.

    Attributes
    ----------
    index, offsets, weight : arrays (P,), (N,) and (P,)
        Of particle i those from ``offsets[i]`` on, up to the next. Weights are float32.
    own : array (N, 1)
        The weight of the particle itself, with which they add up to 1.
    back_index, back_offsets, back_weight : arrays
        The same of the transpose.
    """

    index: np.ndarray
    offsets: np.ndarray
    weight: np.ndarray
    own: np.ndarray
    back_index: np.ndarray
    back_offsets: np.ndarray
    back_weight: np.ndarray


def averages_of(configuration: Configuration, cutoff: float) -> Sums:
    """Averages over the shell around every particle, with weights exp(-r/r_c)."""
    n, n_species = len(configuration.position), len(configuration.names)
    found = configuration.neighbors(np.arange(n), np.full((n_species, n_species), cutoff))
    owner = np.repeat(np.arange(n), found.counts)
    weight = np.exp(-found.distance / cutoff)
    total = 1.0 + np.bincount(owner, weight, minlength=n)
    weight = (weight / total[owner]).astype(np.float32)
    order, back_offsets = places_of(found.index, n)
    own = (1.0 / total).astype(np.float32)[:, None]
    return Sums(
        found.index.astype(np.int64), found.offsets[:-1].astype(np.int64), weight, own, owner[order], back_offsets,
        weight[order],
    )  # fmt: skip


def places_of(index: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `n` numbers is in an array, one number after the other, and where each begins in this list.

    >>> places_of(np.array([2, 0, 2, 1]), 3)
    (array([1, 3, 0, 2]), array([0, 1, 2]))
    """
    counts = np.bincount(index, minlength=n)
    return np.argsort(index, kind="stable"), np.cumsum(counts) - counts
