"""Who is a neighbour: within a fixed cutoff, one of the k nearest, or as the solid angles say (SANN)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassdask.declarations import Count, Declaration, PairValues, Positive
from glassdask.errors import ParameterError
from glassdask.kernels import nearest
from glassdask.neighborhood.boxes import ball
from glassdask.neighborhood.configuration import Configuration, Neighbors, gather, lists_for
from glassdask.neighborhood.cutoffs import pair_matrix

Batches = Iterator[tuple[np.ndarray, Neighbors]]

# Longer lists of candidates, on average, are not sorted by insertion.
LONG = 500
# Those of shorter ones are put into at most so many bins before.
BINS = 64

# A search that was too short is repeated this much further, about three times the volume.
ENLARGEMENT = 1.4


class Neighborhood(Declaration):
    """A rule that chooses the neighbours of each particle: `batches` for kernels, `find` for all at once.

    In files a rule is a table such as ``{type = "k_nearest", k = 12}``, or ``"sann"`` where it needs no parameters.
    """

    weighted: bool = False
    # what a particle takes, roughly, to find its neighbours
    microseconds: ClassVar[float] = 5.0

    @property
    def needs_diameters(self) -> bool:
        """Whether particles must have diameters of their own."""
        return False

    def reach(self, names: tuple[str, ...]) -> float:
        """Distance beyond which nobody is a neighbour, 0 where that depends on the configuration.

        The rule's parameters are checked against the species here.
        """
        return 0.0

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """Neighbours of `centers`, a cache-sized batch at a time.

        Yields (rows, neighbors) with ``neighbors.centers == centers[rows]``; each row comes once, in any order. With
        open borders ``neighbors.known`` tells whose neighbours these are for sure, see
        `glassdask.neighborhood.borders`. The arrays may be reused by the next batch: copy what is to be kept.
        """
        raise NotImplementedError

    def find(self, configuration: Configuration, centers: np.ndarray) -> Neighbors:
        """Neighbours of all `centers` at once, in the order of `centers`."""
        return gather(self.batches(configuration, centers), centers)


def rule_of(neighbors: Any, what: str) -> Neighborhood:
    """The rule that `neighbors` is, or that of these cutoffs, for `what` counts all neighbours alike."""
    rule = neighbors if isinstance(neighbors, Neighborhood) else Cutoff(neighbors)
    refuse_weights(rule, what)
    return rule


def refuse_weights(rule: Neighborhood | None, what: str) -> None:
    """Raise `ParameterError` where a rule weighs its neighbours and `what` would count them alike."""
    if rule is not None and rule.weighted:
        raise ParameterError(f"{what} counts all neighbours alike, found {rule}: leave weighted out")


def refuse_both(cutoffs: Any, rule: Neighborhood | None, what: str) -> None:
    """Raise `ParameterError` where neighbours are given by cutoffs and by a rule as well."""
    if cutoffs is not None and rule is not None:
        raise ParameterError(
            f"{what} takes either cutoffs or neighbors, found both (cutoffs={cutoffs}, neighbors={rule}): leave one out"
        )


def one_of_both(cutoffs: Any, rule: Neighborhood | None, what: str) -> None:
    """Raise `ParameterError` unless neighbours are given in exactly one of two ways."""
    refuse_both(cutoffs, rule, what)
    if cutoffs is None and rule is None:
        raise ParameterError(
            f"{what} takes either cutoffs or neighbors, found neither: give cutoffs, such as 1.4, or a rule"
        )


@dataclass(frozen=True)
class Cutoff(Neighborhood):
    """Neighbours closer than the cutoff of their pair of species, r_ij < r_ab.

    Parameters
    ----------
    cutoffs : number, or mapping of pairs ("A", "B") to numbers
        In the unit of the positions. Every pair of the species that are there is needed, in either order.

    Raises
    ------
    ParameterError, SpeciesError
        When cutoffs are missing, not positive, or of an unknown species.
    BoxError
        When a cutoff beyond half of the narrowest box width holds more than 100000 images.

    Examples
    --------
    >>> import numpy as np
    >>> configuration = Configuration(np.array([[0.5, 1, 1], [3.5, 1, 1], [2, 1, 1]]), [0, 1, 1], np.eye(3) * 4, "AB")
    >>> Cutoff({("A", "A"): 1.8, ("A", "B"): 1.2, ("B", "B"): 1.8}).find(configuration, np.arange(3)).counts.tolist()
    [1, 2, 1]
    """

    cutoffs: PairValues

    def matrix(self, names: tuple[str, ...]) -> np.ndarray:
        """Cutoffs (S, S) in the order of `names`."""
        return pair_matrix(self.cutoffs, names)

    def reach(self, names: tuple[str, ...]) -> float:
        """The largest cutoff."""
        return float(self.matrix(names).max())

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`."""
        return configuration.batches(centers, self.matrix(configuration.names))


@dataclass(frozen=True)
class ScaledCutoff(Neighborhood):
    """Neighbours closer than a multiple of their mean diameter, r_ij < scale (d_i + d_j) / 2.

    For polydisperse systems, whose trajectories have the diameter of every particle.

    Parameters
    ----------
    scale : float
        Such as 1.4.

    Raises
    ------
    ParameterError
        When scale is not positive, or the particles have no diameters.
    BoxError
        When the largest cutoff, beyond half of the narrowest box width, holds more than 100000 images.

    Examples
    --------
    >>> import numpy as np
    >>> row = np.array([[0.5, 1, 1], [1.5, 1, 1], [2.9, 1, 1]])
    >>> sized = Configuration(row, [0, 0, 0], np.eye(3) * 8, "A", diameter=[0.8, 1.0, 1.2])
    >>> ScaledCutoff(1.2).find(sized, np.arange(3)).counts.tolist()
    [1, 1, 0]
    """

    scale: Positive
    microseconds = 1.0

    @property
    def needs_diameters(self) -> bool:
        """See `Neighborhood.needs_diameters`."""
        return True

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`."""
        half, species = 0.5 * self.scale * configuration.known_diameters(), len(configuration.names)
        largest, sight = float(half.max(initial=0.0)), configuration.sight
        if largest == 0.0:  # points, which have no neighbours
            empty = np.zeros(len(centers) + 1, np.int64)
            yield np.arange(len(centers)), Neighbors(centers, empty, empty[:0].astype(np.int32), np.empty((4, 0)))
            return
        for rows, found in configuration.batches(centers, np.full((species, species), 2.0 * largest)):
            reach = np.repeat(half[found.centers], found.counts) + half[found.index]
            near = found.distance < reach
            offsets = np.concatenate([[0], np.cumsum(near)])[found.offsets]
            known = None if sight is None else half[found.centers] + largest <= sight[found.centers]
            yield rows, Neighbors(found.centers, offsets, found.index[near], found.vector[:, near], known=known)


class _Adaptive(Neighborhood):
    """Neighbours chosen among the candidates of a search that is enlarged for the centres that need it."""

    microseconds = 10.0

    def _expected(self, dimension: int) -> float:
        """Candidates that decide in nearly all cases."""
        raise NotImplementedError

    def _count(self, found: Neighbors, order: np.ndarray, sure: np.ndarray, dimension: int) -> np.ndarray:
        """Number of neighbours of each centre, of its candidates in their `order`; -1 where undecided.

        All particles closer than `sure` (C,) are among the candidates.
        """
        raise NotImplementedError

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`; the neighbours of each centre come nearest first."""
        dimension, sight = configuration.dimension, configuration.sight
        radius = (self._expected(dimension) / ball(1.0, dimension)) ** (1 / dimension) * configuration.spacing
        widest = configuration.useful_radius
        species = len(configuration.names)
        waiting, before = np.arange(len(centers)), 0.0
        while len(waiting):
            radius = min(radius, widest)
            undecided = []
            for rows, found in configuration.batches(centers[waiting], np.full((species, species), radius), before):
                order = by_distance(found)
                sure = np.full(len(rows), np.inf if radius == widest else radius)
                sure = sure if sight is None else np.minimum(sure, sight[found.centers])
                counts = self._count(found, order, sure, dimension)
                known = None
                if configuration.borders is not None:
                    # looking further does not tell more of those that are close to an open face
                    known = counts >= 0
                    counts[~known & ((sure < radius) | (radius == widest))] = 0
                undecided.append(waiting[rows[counts < 0]])
                decided = np.nonzero(counts >= 0)[0]
                if len(decided):
                    yield waiting[rows[decided]], _keep_nearest(found, order, decided, counts[decided], known)
            waiting = np.sort(np.concatenate(undecided))
            before = lists_for(radius, before)
            radius *= ENLARGEMENT


def by_distance(found: Neighbors) -> np.ndarray:
    """Entries of each centre's candidates (P,), nearest first."""
    if len(found.index) > LONG * len(found.centers):
        return np.lexsort((found.index, found.distance, np.repeat(np.arange(len(found.centers)), found.counts)))
    order = np.empty(len(found.index), np.int64)
    longest = int(found.counts.max(initial=0))
    first = np.empty(min(longest, BINS) + 1, np.int64)
    nearest.sort_by_distance(found.offsets, found.index, found.distance, first, np.empty(longest), order)
    return order


def _keep_nearest(
    found: Neighbors, order: np.ndarray, decided: np.ndarray, counts: np.ndarray, known: np.ndarray | None
) -> Neighbors:
    """The first `counts` neighbours in `order` of the `decided` centres."""
    total = int(counts.sum())
    offsets, index, vector = np.empty(len(decided) + 1, np.int64), np.empty(total, np.int32), np.empty((4, total))
    nearest.keep_first(found.offsets, order, decided, counts, found.index, found.vector, offsets, index, vector)
    known = None if known is None else known[decided]
    return Neighbors(found.centers[decided], offsets, index, vector, known=known)


@dataclass(frozen=True)
class KNearest(_Adaptive):
    """The k nearest particles of any species.

    Of particles at the same distance the one with the lower index is nearer.

    Parameters
    ----------
    k : int
        Number of neighbours, at least 1.

    Raises
    ------
    ParameterError
        When k is not a whole number of at least 1; in a box that repeats along no axis, when a particle has not k
        others.

    Examples
    --------
    >>> import numpy as np
    >>> configuration = Configuration(np.array([[0.5, 1], [1.5, 1], [3, 1]]), [0, 0, 0], np.eye(2) * 4, ("A",))
    >>> KNearest(1).find(configuration, np.arange(3)).index.tolist()
    [1, 0, 0]
    """

    k: Count

    def batches(self, configuration: Configuration, centers: np.ndarray) -> Batches:
        """See `Neighborhood.batches`; the neighbours of each centre come nearest first."""
        others = len(configuration.position) - 1
        if self.k > others and not np.isfinite(configuration.largest_radius):  # without images there are no more
            raise ParameterError(
                f"{configuration.label}: k is {self.k}, but a particle has only {others} others: lower k"
            )
        return super().batches(configuration, centers)

    def _expected(self, dimension: int) -> float:
        # measured in liquids: fewer means more second searches, more means longer lists
        return 1.2 * self.k + 4

    def _count(self, found: Neighbors, order: np.ndarray, sure: np.ndarray, dimension: int) -> np.ndarray:
        enough = found.counts >= self.k
        furthest = order[found.offsets[:-1][enough] + self.k - 1]
        enough[enough] = found.distance[furthest] <= sure[enough]
        return np.where(enough, self.k, -1)


@dataclass(frozen=True)
class SANN(_Adaptive):
    """Solid-angle based nearest neighbours, without a parameter.

    The m nearest particles, with the smallest m >= 3 for which their solid angles fill the sphere before the next
    particle, R(m) = sum_{j <= m} r_j / (m - 2) <= r_{m+1} [1]_. In two dimensions the angles fill the circle:
    sum_{j <= m} arccos(r_j / R(m)) = pi.

    Not symmetric: j may be a neighbour of i and i not of j.

    References
    ----------
    .. [1] J. A. van Meel, L. Filion, C. Valeriani and D. Frenkel, J. Chem. Phys. 136, 234107 (2012), Eqs. 5-6.

    Examples
    --------
    Twelve neighbours in the face-centred cubic crystal:

    >>> import numpy as np
    >>> corner = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 1, 3)
    >>> fcc = (corner + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(-1, 3)
    >>> configuration = Configuration(fcc, np.zeros(256), np.eye(3) * 4, ("A",))
    >>> np.unique(SANN().find(configuration, np.arange(256)).counts).tolist()
    [12]
    """

    def _expected(self, dimension: int) -> float:
        return 20.0 if dimension == 3 else 10.0

    def _count(self, found: Neighbors, order: np.ndarray, sure: np.ndarray, dimension: int) -> np.ndarray:
        counts = np.empty(len(found.centers), np.int64)
        decide = nearest.count_solid_angle if dimension == 3 else nearest.count_plane_angle
        decide(found.offsets, found.distance[order], sure, counts)
        return counts
