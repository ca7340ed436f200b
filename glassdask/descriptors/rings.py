"""Rings of bonds around each particle, as in networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from glassdask.declarations import Where
from glassdask.descriptors.base import Plan
from glassdask.descriptors.of_neighbors import OfBonds
from glassdask.errors import ParameterError
from glassdask.kernels import clusters
from glassdask.kernels import rings as kernels
from glassdask.neighborhood.configuration import Configuration, Neighbors
from glassdask.neighborhood.nearest import Neighborhood
from glassdask.neighborhood.surroundings import surroundings

Size = Annotated[int, Where(lambda n: 3 <= n <= 40, "a whole number from 3 to 40, such as 12")]
BALL, LARGEST = 256, 2048  # members of the first ball that is tried, and of the last


@dataclass(frozen=True, kw_only=True)
class Rings(OfBonds):
    r"""How many rings of each size go through each particle.

    A ring is a closed path of bonds without a shortcut: between any two of its particles no path of bonds is shorter
    than the ring (D. S. Franzblau, Phys. Rev. B 44, 4925 (1991), shortest-path rings). Two particles are bound where
    each is a neighbour of the other. Of silica with bonds between unlike species, ``neighbor_species="other"``, the
    sixfold ring has 12 particles.

    Parameters
    ----------
    max_size : int, default 6
        Largest number of particles of a ring: such as 20 for networks. In close packings there are hardly any rings of
        more than 6, and looking for them takes long.
    neighbor_species : str or tuple of str, default "all"
        ``"all"``, ``"other"`` (bonds between unlike species, for network formers) or a tuple of names, whose bonds with
        each other count.

    Notes
    -----
    Output ``rings`` (frame, particle, ring_size), no unit: numbers of rings, 0 where there are none. A ring of n
    particles is counted once at each of them, so that there are ``found.sel(ring_size=n).sum("particle") / n`` in a
    frame. Paths that go around the periodic box are no rings. Refused where more than 2048 particles
    are within ``max_size // 2`` bonds. NaN only beside open borders, where a neighbour of a
    particle within ``max_size // 2`` bonds may be hidden.

    Examples
    --------
    In the simple cubic crystal each particle is a corner of twelve squares, and of 24 hexagons that go around a
    diagonal of a cube:

    >>> import glassdask as gd
    >>> cubic = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(1, 64, 3)
    >>> crystal = gd.from_arrays(cubic, species=["A"] * 64, box=[4.0, 4.0, 4.0])
    >>> found = gd.describe(crystal, [gd.Rings(cutoffs=1.2, max_size=6)])["rings"][0, 0]
    >>> dict(zip(found.ring_size.values.tolist(), found.values.tolist()))
    {3: 0.0, 4: 12.0, 5: 0.0, 6: 24.0}
    """

    name: ClassVar[str] = "rings"
    weighed: ClassVar[bool] = False
    max_size: Size = 6

    def plan(self, names: tuple[str, ...], dimension: int) -> Plan:
        """See `Descriptor.plan`."""
        search, weigh = self.bonds(names)

        def find(configuration: Configuration, centers: np.ndarray) -> Neighbors:
            if isinstance(search, Neighborhood):
                found = search.find(configuration, centers)
            else:
                found = configuration.neighbors(centers, search)
            bound = weigh(configuration, found) > 0
            offsets = np.concatenate([[0], np.cumsum(bound)])[found.offsets]
            return Neighbors(found.centers, offsets, found.index[bound], found.vector[:, bound], known=found.known)

        def compute(configuration: Configuration, centers: np.ndarray, out: np.ndarray) -> None:
            around = surroundings(find, configuration, centers, self.max_size // 2)
            found = around.found
            image, target = np.empty((len(found.index), 3), np.int64), np.empty(len(found.index), np.int64)
            clusters.images(
                found.offsets, found.index, found.vector, found.centers, configuration.position, configuration.inverse,
                image,
            )  # fmt: skip
            kernels.mutual(found.offsets, found.index, image, around.row_of, target)
            # where a ring cannot have two images of a particle, and most rows are asked for, each is looked for once
            longest = float(found.distance.max(initial=0.0))
            wide = 2.0 * configuration.largest_radius > (self.max_size // 2) * longest * (1 + 1e-9)
            whole = wide and len(found.centers) < 3 * len(centers)
            roots = np.arange(len(found.centers)) if whole else around.rows
            counts, done = _counted(roots, whole, found.offsets, target, image, self.max_size)
            out[:] = counts[around.rows] if whole else counts
            if done < len(roots):
                raise ParameterError(
                    f"{configuration.label}: particle {int(found.centers[roots[done]])} has more than {LARGEST} others "
                    f"within {self.max_size // 2} bonds: use a smaller max_size or shorter cutoffs"
                )
            out[around.lost] = np.nan

        return Plan(
            dims=("ring_size",),
            shape=(self.max_size - 2,),
            coords={"ring_size": ("ring_size", np.arange(3, self.max_size + 1))},
            search=None,
            compute=compute,
            attrs={"long_name": "number of rings", "units": ""},
            microseconds=10.0 * self.max_size,
        )


def _counted(
    roots: np.ndarray, whole: bool, offsets: np.ndarray, target: np.ndarray, image: np.ndarray, largest: int
) -> tuple[np.ndarray, int]:
    """Rings through each root, and of how many they were counted; scratch memory grows with the largest ball."""
    out = np.zeros((len(roots), largest - 2), np.int64)
    done, size, half = 0, BALL, largest // 2 + 2
    head = np.full(len(offsets) - 1, -1, np.int64)
    bonds = int(np.diff(offsets).max(initial=0))  # of a particle
    while done < len(roots) and size <= LARGEST:
        following, row, level, start, queue, asked = (np.empty(size, np.int64) for _ in range(6))
        paths = [np.empty(half, np.int64) for _ in range(4)]
        failed = kernels.count_rings(
            done, roots, whole, offsets, target, image, largest, head, following, row, np.empty((size, 3), np.int64),
            level, start, np.empty(size * bonds, np.int64), np.empty((size, size), np.uint8), asked, queue, *paths, out,
        )  # fmt: skip
        done = len(roots) if failed < 0 else failed
        size *= 2
    return out, done
